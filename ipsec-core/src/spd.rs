//! The security policy database: per interface an ordered list, and at its end "deny".

use alloc::vec;
use alloc::vec::Vec;

use crate::counters::{Counters, Happened};
use crate::model::{Direction, Flow, Selector, SelectorField};
use crate::net::InterfaceId;
use crate::slab::Id;

/// A policy by slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub Id);

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The interface has no list: its traffic is not touched.
    Untouched,
    /// The first policy that selects the packet.
    Policy(PolicyId),
    /// None: the implicit last policy discards.
    Nothing,
}

/// The lists of all interfaces, compiled, with a cache of known flows in front.
#[derive(Debug)]
pub(crate) struct Spd {
    lists: Vec<(InterfaceId, Vec<(PolicyId, Selector)>)>,
    cache: Vec<Option<Cached>>,
    epoch: u32,
    seed: [u64; 2],
}

/// Comparisons that failed before the decision, by field; the filter counters count them.
type Failures = [u16; 6];

#[derive(Clone, Copy, Debug)]
struct Cached {
    on: InterfaceId,
    direction: Direction,
    flow: Flow,
    epoch: u32,
    found: Found,
    failures: Failures,
}

/// Entries that share one place of the cache.
const WAYS: usize = 4;

impl Spd {
    /// An empty database with a cache of about `cache` flows. The seed keeps strangers from
    /// choosing flows that share a place.
    pub(crate) fn new(cache: u16, seed: [u64; 2]) -> Self {
        let sets = usize::from(cache).div_ceil(WAYS).next_power_of_two();
        Self {
            lists: Vec::new(),
            cache: vec![None; sets * WAYS],
            epoch: 0,
            seed,
        }
    }

    /// Replaces all lists and forgets every known flow.
    pub(crate) fn replace(&mut self, lists: Vec<(InterfaceId, Vec<(PolicyId, Selector)>)>) {
        self.lists = lists;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.cache.fill(None);
        }
    }

    /// The first policy of the interface's list that selects the flow. Comparisons are counted
    /// as a scan of the list would, also for a flow that is known.
    pub(crate) fn search(
        &mut self,
        on: InterfaceId,
        direction: Direction,
        flow: &Flow,
        counters: &mut Counters,
    ) -> Found {
        let Some(list) = self
            .lists
            .iter()
            .find(|(id, _)| *id == on)
            .map(|(_, list)| list)
        else {
            return Found::Untouched;
        };
        let set = self.place(on, direction, flow);
        let known = self
            .cache
            .get(set..set + WAYS)
            .unwrap_or(&[])
            .iter()
            .flatten()
            .find(|c| {
                c.epoch == self.epoch && c.on == on && c.direction == direction && c.flow == *flow
            });
        if let Some(known) = known {
            count(counters, &known.failures, known.found);
            return known.found;
        }
        let (found, failures) = scan(list, direction, flow);
        count(counters, &failures, found);
        let entry = Cached {
            on,
            direction,
            flow: *flow,
            epoch: self.epoch,
            found,
            failures,
        };
        if let Some(ways) = self.cache.get_mut(set..set + WAYS) {
            let stale = ways
                .iter()
                .position(|way| way.is_none_or(|cached| cached.epoch != entry.epoch));
            let victim = stale.unwrap_or(usize::from(flow.ports.map_or(0, |(a, b)| a ^ b)) % WAYS);
            if let Some(way) = ways.get_mut(victim) {
                *way = Some(entry);
            }
        }
        found
    }

    fn place(&self, on: InterfaceId, direction: Direction, flow: &Flow) -> usize {
        let mut hash = self.seed[0] ^ u64::from(on.0) ^ (direction as u64) << 17;
        let mut mix = |word: u64| {
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ self.seed[1]);
            hash ^= hash >> 29;
        };
        for address in [flow.source, flow.destination] {
            match address {
                core::net::IpAddr::V4(a) => mix(a.to_bits().into()),
                core::net::IpAddr::V6(a) => {
                    let [high, low] = [a.to_bits() >> 64, a.to_bits() & u128::from(u64::MAX)];
                    mix(u64::try_from(high).unwrap_or(0));
                    mix(u64::try_from(low).unwrap_or(0));
                }
            }
        }
        let (from, to) = flow.ports.unwrap_or_default();
        mix(u64::from(from) << 32 | u64::from(to) << 16 | u64::from(flow.protocol));
        let sets = self.cache.len() / WAYS;
        usize::try_from(hash >> 33).unwrap_or(0) % sets.max(1) * WAYS
    }
}

/// The search without cache or counters: the meaning of the database.
pub(crate) fn scan(
    list: &[(PolicyId, Selector)],
    direction: Direction,
    flow: &Flow,
) -> (Found, Failures) {
    let mut failures = [0_u16; 6];
    for (id, selector) in list {
        let field = match selector.matches(flow, direction) {
            Ok(()) => return (Found::Policy(*id), failures),
            Err(SelectorField::Version) => continue,
            Err(field) => field,
        };
        if let Some(failed) = failures.get_mut(index_of(field)) {
            *failed = failed.saturating_add(1);
        }
    }
    (Found::Nothing, failures)
}

const fn index_of(field: SelectorField) -> usize {
    match field {
        SelectorField::LocalAddress => 0,
        SelectorField::RemoteAddress => 1,
        SelectorField::LocalPort => 2,
        SelectorField::RemotePort => 3,
        SelectorField::Protocol => 4,
        SelectorField::NeighbourDiscovery | SelectorField::Version => 5,
    }
}

fn count(counters: &mut Counters, failures: &Failures, found: Found) {
    const FIELDS: [Happened; 6] = [
        Happened::LocalAddressFailed,
        Happened::RemoteAddressFailed,
        Happened::LocalPortFailed,
        Happened::RemotePortFailed,
        Happened::TransportProtoFailed,
        Happened::NeighbourDiscFailed,
    ];
    for (field, failed) in FIELDS.into_iter().zip(failures) {
        if *failed > 0 {
            counters.raise_by(field, u64::from(*failed));
        }
    }
    if matches!(found, Found::Policy(_)) {
        counters.raise(Happened::PolicyMatchGood);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressSelector, IpVersion};
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = Selector> {
        let address = (0_u8..4, 24_u8..=32)
            .prop_map(|(host, len)| AddressSelector::Prefix([10, 0, 0, host].into(), len));
        let address = prop_oneof![Just(AddressSelector::Any), address];
        (
            address.clone(),
            address,
            proptest::option::of(1_u16..3),
            proptest::option::of(16_u8..18),
        )
            .prop_map(|(local, remote, port, protocol)| Selector {
                local,
                remote,
                local_port: port,
                protocol,
                ..Selector::any(IpVersion::V4)
            })
    }

    proptest! {
        /// The cache changes neither the decision nor a single counter.
        #[test]
        fn search_equals_scan(
            list in proptest::collection::vec(policy(), 1..6),
            flows in proptest::collection::vec(
                (0_u8..4, 0_u8..4, 16_u8..18, 0_u16..4, any::<bool>()), 1..60),
        ) {
            let list: Vec<_> = (0..)
                .zip(list)
                .map(|(slot, s)| (PolicyId(Id { slot, generation: 0 }), s))
                .collect();
            let mut spd = Spd::new(8, [1, 2]);
            spd.replace(vec![(InterfaceId(0), list.clone())]);
            let (mut cached, mut naive) = (Counters::default(), Counters::default());
            for (from, to, protocol, port, out) in flows {
                let flow = Flow {
                    source: [10, 0, 0, from].into(),
                    destination: [10, 0, 0, to].into(),
                    protocol,
                    ports: (protocol == 17).then_some((port, port)),
                    icmp_type: None,
                };
                let direction = if out { Direction::Out } else { Direction::In };
                let (expected, failures) = scan(&list, direction, &flow);
                count(&mut naive, &failures, expected);
                prop_assert_eq!(
                    spd.search(InterfaceId(0), direction, &flow, &mut cached), expected);
            }
            prop_assert_eq!(&cached, &naive);
            let untouched = Flow {
                source: [10, 0, 0, 1].into(), destination: [10, 0, 0, 1].into(),
                protocol: 1, ports: None, icmp_type: None };
            prop_assert_eq!(
                spd.search(InterfaceId(1), Direction::In, &untouched, &mut naive),
                Found::Untouched);
        }
    }
}
