//! Which of a policy's bundles carries a packet that leaves.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::model::{AddressSelector, Flow, Selector};
use crate::path::PathId;
use crate::sad::BundleId;

/// The valid bundles of a policy, ordered so that the one for a packet is found at once, however
/// many peers there are.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Bundles that carry a prefix of what the policy selects, by its length, the network and
    /// their serial number.
    prefixes: BTreeMap<(u8, IpAddr, u64), BundleId>,
    /// How many there are of every length.
    lengths: BTreeMap<u8, u32>,
    /// Bundles that carry a range, by its start and their serial number.
    ranges: BTreeMap<(IpAddr, u64), BundleId>,
    /// Those that reach every remote address of the policy, by serial number.
    whole: BTreeMap<u64, BundleId>,
}

/// How many ranges that overlap, or bundles that differ in ports only, are looked at before a
/// packet is said to have none.
const LOOKED_AT: usize = 16;

/// What of a policy a bundle reaches.
enum Reach {
    Whole,
    Prefix(u8, IpAddr),
    Range(IpAddr),
}

impl Ways {
    pub(crate) fn insert(&mut self, policy: &Selector, own: &Selector, serial: u64, id: BundleId) {
        match reach(policy, own) {
            Reach::Whole => {
                self.whole.insert(serial, id);
            }
            Reach::Prefix(len, network) => {
                self.prefixes.insert((len, network, serial), id);
                *self.lengths.entry(len).or_insert(0) += 1;
            }
            Reach::Range(start) => {
                self.ranges.insert((start, serial), id);
            }
        }
    }

    pub(crate) fn remove(&mut self, policy: &Selector, own: &Selector, serial: u64) {
        match reach(policy, own) {
            Reach::Whole => {
                self.whole.remove(&serial);
            }
            Reach::Prefix(len, network) => {
                let gone = self.prefixes.remove(&(len, network, serial)).is_some();
                if let Some(count) = self.lengths.get_mut(&len).filter(|_| gone) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.lengths.remove(&len);
                    }
                }
            }
            Reach::Range(start) => {
                self.ranges.remove(&(start, serial));
            }
        }
    }

    /// The newest bundle, where all carry every remote address of the policy.
    pub(crate) fn newest_of_equals(&self) -> Option<BundleId> {
        let equals = self.prefixes.is_empty() && self.ranges.is_empty();
        let newest = self.whole.last_key_value().filter(|_| equals);
        newest.map(|(_, id)| *id)
    }

    /// The bundles that may reach an address, the best first: narrow before wide, new before old.
    pub(crate) fn towards(&self, remote: IpAddr) -> impl Iterator<Item = BundleId> {
        let prefixes = self.lengths.keys().rev().flat_map(move |len| {
            let network = AddressSelector::Prefix(remote, *len).bounds();
            let network = network.map_or(remote, |(low, _)| low);
            let same = self
                .prefixes
                .range((*len, network, 0)..=(*len, network, u64::MAX));
            same.rev().map(|(_, id)| *id).take(LOOKED_AT)
        });
        let ranges = self.ranges.range(..=(remote, u64::MAX)).rev();
        let ranges = ranges.map(|(_, id)| *id).take(LOOKED_AT);
        let whole = self.whole.values().rev().copied().take(LOOKED_AT);
        prefixes.chain(ranges).chain(whole)
    }

    /// The bundles among which are all that carry the same as this selector, the oldest first.
    pub(crate) fn beside(&self, policy: &Selector, own: &Selector) -> Vec<BundleId> {
        match reach(policy, own) {
            Reach::Whole => self.whole.values().copied().collect(),
            Reach::Prefix(len, network) => {
                let same = (len, network, 0)..=(len, network, u64::MAX);
                self.prefixes.range(same).map(|(_, id)| *id).collect()
            }
            Reach::Range(start) => {
                let same = (start, 0)..=(start, u64::MAX);
                self.ranges.range(same).map(|(_, id)| *id).collect()
            }
        }
    }

    /// Every bundle.
    pub(crate) fn all(&self) -> impl Iterator<Item = BundleId> {
        let narrow = self.prefixes.values().chain(self.ranges.values());
        narrow.chain(self.whole.values()).copied()
    }
}

fn reach(policy: &Selector, own: &Selector) -> Reach {
    if own.remote.contains(&policy.remote) {
        return Reach::Whole;
    }
    match (own.remote, own.remote.bounds()) {
        (AddressSelector::Prefix(_, len), Some((network, _))) => Reach::Prefix(len, network),
        (AddressSelector::Range(..), Some((start, _))) => Reach::Range(start),
        (AddressSelector::Any, _) | (_, None) => Reach::Whole,
    }
}

/// Where the replies of flows go that came in on one of several equal bundles: clients of transport
/// mode behind one NAT differ in nothing but their path. A table of fixed size; a newer flow takes
/// the place of an older one.
#[derive(Debug)]
pub(crate) struct ReplyFlows {
    entries: Box<[Option<(Flow, Came)>]>,
    seed: u64,
    used: bool,
}

/// How a flow came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// On which bundle; it may have a successor by now.
    pub(crate) bundle: BundleId,
    /// By which path, which all bundles of one client share.
    pub(crate) path: PathId,
}

impl ReplyFlows {
    pub(crate) fn new(size: u16, seed: u64) -> Self {
        Self {
            entries: vec![None; usize::from(size)].into_boxed_slice(),
            seed,
            used: false,
        }
    }

    /// Notes how a flow came in.
    pub(crate) fn note(&mut self, flow: &Flow, came: Came) {
        let reply = Flow {
            source: flow.destination,
            destination: flow.source,
            ports: flow.ports.map(|(from, to)| (to, from)),
            ..*flow
        };
        self.enter(&reply, Some(came));
    }

    /// Notes how the flow that this one answers came in; none if nobody is there any more.
    pub(crate) fn enter(&mut self, leaves: &Flow, came: Option<Came>) {
        let leaves = Flow {
            icmp_type: None,
            ..*leaves
        };
        let place = self.place(&leaves);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = came.map(|came| (leaves, came));
            self.used = true;
        }
    }

    /// How the flow that this one answers came in.
    pub(crate) fn find(&self, leaves: &Flow) -> Option<Came> {
        if !self.used {
            return None;
        }
        let leaves = Flow {
            icmp_type: None,
            ..*leaves
        };
        let entry = self.entries.get(self.place(&leaves))?.as_ref()?;
        (entry.0 == leaves).then_some(entry.1)
    }

    fn place(&self, flow: &Flow) -> usize {
        let mut hash = self.seed;
        let mut mix = |word: u64| {
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 29;
        };
        for address in [flow.source, flow.destination] {
            let bits = match address {
                IpAddr::V4(address) => u128::from(address.to_bits()),
                IpAddr::V6(address) => address.to_bits(),
            };
            let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
            mix(half(bits));
            mix(half(bits >> 64));
        }
        let (from, to) = flow.ports.unwrap_or_default();
        mix(u64::from(from) << 32 | u64::from(to) << 16 | u64::from(flow.protocol));
        let len = self.entries.len().max(1);
        usize::try_from(hash >> 33).unwrap_or(0) % len
    }
}
