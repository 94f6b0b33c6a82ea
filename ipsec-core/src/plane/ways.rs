//! Which of a policy's bundles carries a packet that leaves.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use core::net::IpAddr;

use crate::model::{Flow, Selector};
use crate::sad::BundleId;

/// The valid bundles of a policy, ordered so that the one for a packet is found at once, however
/// many peers there are.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Bundles that carry less than the policy selects, by the start of their remote addresses and
    /// their serial number.
    narrow: BTreeMap<(IpAddr, u64), BundleId>,
    /// Those that reach every remote address of the policy, by serial number.
    whole: BTreeMap<u64, BundleId>,
}

/// How many bundles are looked at before a packet is said to have none. Remote addresses that
/// overlap in so many ways are not told apart any further.
const LOOKED_AT: usize = 8;

impl Ways {
    pub(crate) fn insert(&mut self, policy: &Selector, own: &Selector, serial: u64, id: BundleId) {
        match start(policy, own) {
            Some(start) => self.narrow.insert((start, serial), id),
            None => self.whole.insert(serial, id),
        };
    }

    pub(crate) fn remove(&mut self, policy: &Selector, own: &Selector, serial: u64) {
        match start(policy, own) {
            Some(start) => self.narrow.remove(&(start, serial)),
            None => self.whole.remove(&serial),
        };
    }

    /// The bundles that may reach an address, the best first: narrow before wide, new before old.
    pub(crate) fn towards(&self, remote: IpAddr) -> impl Iterator<Item = BundleId> {
        let narrow = self.narrow.range(..=(remote, u64::MAX)).rev();
        let narrow = narrow.map(|(_, id)| *id).take(LOOKED_AT);
        narrow.chain(self.whole.values().rev().copied().take(LOOKED_AT))
    }

    /// The bundles whose remote addresses begin where those of a selector do, the oldest first:
    /// among them are all that carry the same.
    pub(crate) fn beside(
        &self,
        policy: &Selector,
        own: &Selector,
    ) -> impl Iterator<Item = BundleId> {
        let start = start(policy, own);
        let narrow = start
            .map(|start| self.narrow.range((start, 0)..=(start, u64::MAX)))
            .into_iter()
            .flatten()
            .map(|(_, id)| *id);
        let whole = self.whole.values().copied();
        narrow.chain(whole.take(if start.is_none() { usize::MAX } else { 0 }))
    }

    /// Every bundle.
    pub(crate) fn all(&self) -> impl Iterator<Item = BundleId> {
        self.narrow.values().chain(self.whole.values()).copied()
    }
}

/// Where the remote addresses of a bundle begin, unless they are all that its policy selects.
fn start(policy: &Selector, own: &Selector) -> Option<IpAddr> {
    if own.remote.contains(&policy.remote) {
        return None;
    }
    own.remote.bounds().map(|(low, _)| low)
}

/// Where the replies of flows go that came in on one of several equal SAs: clients of transport
/// mode behind one NAT differ in nothing else. A table of fixed size; a newer flow takes the place
/// of an older one.
#[derive(Debug)]
pub(crate) struct ReplyFlows {
    entries: Box<[Option<(Flow, BundleId)>]>,
    seed: u64,
    used: bool,
}

impl ReplyFlows {
    pub(crate) fn new(size: u16, seed: u64) -> Self {
        Self {
            entries: vec![None; usize::from(size)].into_boxed_slice(),
            seed,
            used: false,
        }
    }

    /// Notes on which bundle a flow came in.
    pub(crate) fn note(&mut self, came: &Flow, id: BundleId) {
        let reply = Flow {
            source: came.destination,
            destination: came.source,
            ports: came.ports.map(|(from, to)| (to, from)),
            icmp_type: None,
            ..*came
        };
        let place = self.place(&reply);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Some((reply, id));
            self.used = true;
        }
    }

    /// The bundle on which the flow that this one answers came in.
    pub(crate) fn find(&self, leaves: &Flow) -> Option<BundleId> {
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
