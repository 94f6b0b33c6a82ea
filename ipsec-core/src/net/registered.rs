//! The routes that came with SAs: found by longest prefix, whatever their number, and gone with
//! their bundle.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{InterfaceId, Route};
use crate::sad::BundleId;

type Ways = Vec<(BundleId, InterfaceId, Option<IpAddr>)>;

/// Every network is in both maps or in neither, and no list is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registered {
    /// The ways to each network, by prefix length, the first registered first.
    by_length: BTreeMap<u8, BTreeMap<IpAddr, Ways>>,
    by_bundle: BTreeMap<BundleId, Vec<(IpAddr, u8)>>,
    pub(super) changes: u64,
}

/// The network of that length which holds an address; None if there is none so long.
fn network(address: IpAddr, len: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let host = 32_u32.checked_sub(u32::from(len))?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let host = 128_u32.checked_sub(u32::from(len))?;
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    })
}

impl Registered {
    pub(super) fn insert(&mut self, bundle: BundleId, route: &Route) {
        let (address, len) = route.destination;
        let Some(start) = network(address, len) else {
            return;
        };
        let ways = self.by_length.entry(len).or_default();
        let way = (bundle, route.interface, route.next_hop);
        ways.entry(start).or_default().push(way);
        self.by_bundle.entry(bundle).or_default().push((start, len));
        self.changes += 1;
    }

    pub(super) fn remove(&mut self, bundle: BundleId) {
        for (start, len) in self.by_bundle.remove(&bundle).unwrap_or_default() {
            let Entry::Occupied(mut length) = self.by_length.entry(len) else {
                continue;
            };
            if let Entry::Occupied(mut ways) = length.get_mut().entry(start) {
                ways.get_mut().retain(|(owner, ..)| *owner != bundle);
                if ways.get().is_empty() {
                    ways.remove();
                }
            }
            if length.get().is_empty() {
                length.remove();
            }
            self.changes += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BundleId, Route)> {
        self.by_length.iter().flat_map(|(len, networks)| {
            networks.iter().flat_map(move |(start, ways)| {
                ways.iter().map(move |(bundle, interface, next_hop)| {
                    let route = Route {
                        destination: (*start, *len),
                        interface: *interface,
                        next_hop: *next_hop,
                    };
                    (*bundle, route)
                })
            })
        })
    }

    /// The longest network that holds the address, and the way there.
    pub(super) fn find(&self, address: IpAddr) -> Option<(u8, InterfaceId, Option<IpAddr>)> {
        self.by_length.iter().rev().find_map(|(len, networks)| {
            let ways = networks.get(&network(address, *len)?)?;
            let (_, interface, next_hop) = ways.first()?;
            Some((*len, *interface, *next_hop))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AddressSelector;
    use crate::slab::Id;
    use proptest::prelude::*;

    fn bundle(slot: u32) -> BundleId {
        BundleId(Id {
            slot,
            generation: 0,
        })
    }

    fn some_route() -> impl Strategy<Value = Route> {
        let v4 = (0..32_u32, 0..=32_u8).prop_map(|(bits, len)| {
            let address = Ipv4Addr::from_bits(bits << 27);
            (IpAddr::V4(address), len)
        });
        let v6 = (0..32_u128, 0..=128_u8).prop_map(|(bits, len)| {
            let address = Ipv6Addr::from_bits(bits << 123);
            (IpAddr::V6(address), len)
        });
        (prop_oneof![v4, v6], 0..4_u16).prop_map(|(destination, interface)| Route {
            destination,
            interface: InterfaceId(interface),
            next_hop: None,
        })
    }

    proptest! {
        #[test]
        fn the_longest_of_what_is_registered_is_found(
            steps in proptest::collection::vec((0..6_u32, some_route(), any::<bool>()), 0..40),
            wanted in some_route(),
        ) {
            let mut table = Registered::default();
            let mut model: Vec<(u32, Route)> = Vec::new();
            for (owner, route, add) in steps {
                if add {
                    table.insert(bundle(owner), &route);
                    model.push((owner, route));
                } else {
                    table.remove(bundle(owner));
                    model.retain(|(other, _)| *other != owner);
                }
            }
            prop_assert_eq!(table.iter().count(), model.len());
            let address = wanted.destination.0;
            let best = model.iter().rev().filter(|(_, route)| {
                let (network, len) = route.destination;
                AddressSelector::Prefix(network, len).matches(address)
            }).max_by_key(|(_, route)| route.destination.1);
            let best = best.map(|(_, route)| (route.destination.1, route.interface, None));
            prop_assert_eq!(table.find(address), best);
        }
    }

    #[test]
    fn nothing_is_kept_of_what_is_gone() {
        let mut table = Registered::default();
        let route = Route {
            destination: (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
            interface: InterfaceId(1),
            next_hop: None,
        };
        table.insert(bundle(1), &route);
        let changes = table.changes;
        table.remove(bundle(1));
        assert!(table.changes > changes);
        assert!(table.by_length.is_empty() && table.by_bundle.is_empty());
    }
}
