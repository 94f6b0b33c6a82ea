//! The security policy database: per interface an ordered list, and at its end "deny".
//!
//! The meaning is [`scan`]: policies are compared in order, field by field, the first that fails
//! nowhere decides, and every failed comparison is counted once. [`Spd::search`] answers the same
//! and counts the same without comparing: known flows come from a cache, new ones from an index.

mod flow_cache;
mod lookup;
mod policy_list;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::counters::{Counters, Happened};
use crate::model::{AddressSelector, Direction, Flow, Selector, SelectorField};
use crate::net::InterfaceId;
use crate::slab::Id;

use flow_cache::{FlowCache, Key};
use policy_list::PolicyList;

/// A policy by slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub Id);

/// What a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// The interface has no list: its traffic is not touched.
    Untouched,
    /// The first policy that selects the packet.
    Policy(PolicyId),
    /// None: the implicit last policy discards.
    #[default]
    Nothing,
}

/// The lists of all interfaces, compiled, with a cache of known flows in front.
#[derive(Debug)]
pub struct Spd {
    /// By the interface's number.
    lists: Vec<Option<Box<PolicyList>>>,
    cache: FlowCache,
}

impl Spd {
    /// An empty database with a cache of `cache` flows, see `Limits::flow_cache`. The seed is
    /// secret: it keeps strangers from choosing flows that share a place in the cache.
    #[must_use]
    pub fn new(cache: u16, seed: [u64; 2]) -> Self {
        Self {
            lists: Vec::new(),
            cache: FlowCache::new(cache, seed),
        }
    }

    /// Replaces all lists, each in the order of POSITION, and forgets every known flow. Of two
    /// lists for one interface the first counts.
    pub fn replace(&mut self, lists: Vec<(InterfaceId, Vec<(PolicyId, Selector)>)>) {
        self.lists.clear();
        for (on, policies) in lists {
            let place = usize::from(on.0);
            if self.lists.len() <= place {
                self.lists.resize_with(place + 1, || None);
            }
            if let Some(list @ None) = self.lists.get_mut(place) {
                *list = Some(Box::new(PolicyList::new(&policies)));
            }
        }
        self.lists.shrink_to_fit();
        self.cache.forget();
    }

    /// The first policy of the interface's list that selects the flow. Comparisons are counted
    /// as [`scan`] makes them, also for a flow that is known.
    pub fn search(
        &mut self,
        on: InterfaceId,
        direction: Direction,
        flow: &Flow,
        counters: &mut Counters,
    ) -> Found {
        let Some(list) = list(&self.lists, on) else {
            return Found::Untouched;
        };
        let Some(key) = Key::new(on, direction, flow) else {
            return Found::Nothing;
        };
        let place = self.cache.place(&key);
        if let Some(known) = self.cache.find(place, &key) {
            known.count(counters);
            return known.found;
        }
        let answer = list.search(&key);
        answer.count(counters);
        self.cache.enter(place, key, answer);
        answer.found
    }

    /// The same as [`Spd::search`], found by comparing one policy after the other: `each` hears
    /// of every comparison, in order, the match last. For filter debugging.
    pub fn search_aloud(
        &self,
        on: InterfaceId,
        direction: Direction,
        flow: &Flow,
        counters: &mut Counters,
        mut each: impl FnMut(PolicyId, Result<(), SelectorField>),
    ) -> Found {
        if list(&self.lists, on).is_none() {
            return Found::Untouched;
        }
        let mut answer = Answer::default();
        for (id, result) in self.compare(on, direction, flow) {
            each(id, result.map_err(Comparison::field));
            match result {
                Ok(()) => answer.found = Found::Policy(id),
                Err(comparison) => answer.failures.add(comparison, 1),
            }
        }
        answer.count(counters);
        answer.found
    }

    /// Every policy that is compared with the flow, in order up to the first match, with the
    /// first selector that differs. Policies of the other IP version are not compared.
    pub fn explain(
        &self,
        on: InterfaceId,
        direction: Direction,
        flow: &Flow,
    ) -> impl Iterator<Item = (PolicyId, Result<(), SelectorField>)> {
        self.compare(on, direction, flow)
            .map(|(id, result)| (id, result.map_err(Comparison::field)))
    }

    fn compare(
        &self,
        on: InterfaceId,
        direction: Direction,
        flow: &Flow,
    ) -> impl Iterator<Item = (PolicyId, Result<(), Comparison>)> {
        let list = list(&self.lists, on);
        let key = Key::new(on, direction, flow);
        let mut compared = list.zip(key).map(|(list, key)| list.explain(&key));
        core::iter::from_fn(move || compared.as_mut()?.next())
    }
}

fn list(lists: &[Option<Box<PolicyList>>], on: InterfaceId) -> Option<&PolicyList> {
    lists.get(usize::from(on.0))?.as_deref()
}

/// The search without cache and index: the meaning of the database.
#[must_use]
pub fn scan(list: &[(PolicyId, Selector)], direction: Direction, flow: &Flow) -> (Found, Failures) {
    let mut failures = Failures::default();
    for (id, selector) in list {
        let is_range = |address: &AddressSelector| matches!(address, AddressSelector::Range(..));
        let comparison = match selector.matches(flow, direction) {
            Ok(()) => return (Found::Policy(*id), failures),
            Err(SelectorField::Version) => continue,
            Err(SelectorField::LocalAddress) if is_range(&selector.local) => Comparison::LocalRange,
            Err(SelectorField::LocalAddress) => Comparison::LocalMask,
            Err(SelectorField::RemoteAddress) if is_range(&selector.remote) => {
                Comparison::RemoteRange
            }
            Err(SelectorField::RemoteAddress) => Comparison::RemoteMask,
            Err(SelectorField::LocalPort) => Comparison::LocalPort,
            Err(SelectorField::RemotePort) => Comparison::RemotePort,
            Err(SelectorField::Protocol) => Comparison::Protocol,
            Err(SelectorField::NeighbourDiscovery) => Comparison::NeighbourDiscovery,
        };
        failures.add(comparison, 1);
    }
    (Found::Nothing, failures)
}

/// What is counted of a comparison that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    LocalMask,
    LocalRange,
    RemoteMask,
    RemoteRange,
    LocalPort,
    RemotePort,
    Protocol,
    NeighbourDiscovery,
}

/// Comparisons that failed before a decision, by what the filter counters tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures([u16; 8]);

impl Failures {
    /// By the number of a [`Comparison`].
    const COUNTED: [Happened; 8] = [
        Happened::LocalAddressFailed,
        Happened::LocalAddressRangeFailed,
        Happened::RemoteAddressFailed,
        Happened::RemoteAddressRangeFailed,
        Happened::LocalPortFailed,
        Happened::RemotePortFailed,
        Happened::TransportProtoFailed,
        Happened::NeighbourDiscFailed,
    ];

    fn add(&mut self, comparison: Comparison, times: usize) {
        if let Some(failed) = self.0.get_mut(comparison as usize) {
            *failed = failed.saturating_add(u16::try_from(times).unwrap_or(u16::MAX));
        }
    }

    /// How many comparisons with one counter failed.
    pub fn each(&self) -> impl Iterator<Item = (Happened, u16)> {
        Self::COUNTED.into_iter().zip(self.0)
    }
}

/// A decision, and what a scan counts on the way to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answer {
    found: Found,
    failures: Failures,
}

impl Answer {
    fn count(&self, counters: &mut Counters) {
        for (failed, times) in self.failures.each() {
            counters.raise_by(failed, times.into());
            counters.raise_by(Happened::PolicyMatchFailed, times.into());
        }
        if matches!(self.found, Found::Policy(_)) {
            counters.raise(Happened::PolicyMatchGood);
        }
    }
}

#[cfg(test)]
mod tests;
