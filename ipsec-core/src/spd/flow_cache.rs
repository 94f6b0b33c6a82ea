//! The cache of known flows: fixed in size, set-associative, emptied by every edit.
//!
//! A known flow costs one line of a small directory and one entry of 72 bytes at most, however long the lists
//! are. An entry carries what the scan would count, so that a hit moves the counters as the scan
//! does.
//!
//! Memory is taken once: at most 76 bytes per entry (72 for the entry, 16 per set of four for the
//! directory). The place of a flow is drawn by pair-multiply-shift over the secret seed (Thorup,
//! "High Speed Hashing for Integers and Strings", section 3.5), which is strongly universal: any
//! two flows that a stranger fixes without knowing the seed share a place with the chance of two
//! random ones. It costs seven multiplications. What a stranger can still do is send many flows;
//! a flow seen once is therefore the first to go, and one that was seen again stays.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Answer;
use crate::model::{Direction, Flow};
use crate::net::InterfaceId;

/// All that a decision depends on, seen from the router's side, so that both directions of a
/// conversation are one flow.
///
/// ```text
///         31             16 15           8 7   3 2  1  0
/// word 0  | interface      | protocol     | 0   |ND|P |6 |   ND: neighbour discovery
///      1  | local port     | remote port         |        P: ports are known, 6: IPv6
///    2-5  | local address; IPv4 in the first     |
///    6-9  | remote address                       |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key([u32; Self::WORDS]);

impl Key {
    const WORDS: usize = 10;
    const IPV6: u32 = 1;
    const PORTS: u32 = 2;
    const NEIGHBOUR_DISCOVERY: u32 = 4;

    /// None if the addresses are of two versions: no selector matches such a flow.
    pub(super) fn new(on: InterfaceId, direction: Direction, flow: &Flow) -> Option<Self> {
        let (local, remote) = flow.addresses(direction);
        let mut flags = match (local, remote) {
            (IpAddr::V4(_), IpAddr::V4(_)) => 0,
            (IpAddr::V6(_), IpAddr::V6(_)) => Self::IPV6,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        let mut ports = 0;
        if let Some((local, remote)) = flow.local_remote_ports(direction) {
            flags |= Self::PORTS;
            ports = u32::from(local) << 16 | u32::from(remote);
        }
        if flow.is_neighbour_discovery() {
            flags |= Self::NEIGHBOUR_DISCOVERY;
        }
        let first = u32::from(on.0) << 16 | u32::from(flow.protocol) << 8 | flags;
        let ([l0, l1, l2, l3], [r0, r1, r2, r3]) = (words(local), words(remote));
        Some(Self([first, ports, l0, l1, l2, l3, r0, r1, r2, r3]))
    }

    pub(super) const fn is_ipv6(&self) -> bool {
        self.0[0] & Self::IPV6 != 0
    }

    pub(super) const fn local(&self) -> [u32; 4] {
        [self.0[2], self.0[3], self.0[4], self.0[5]]
    }

    pub(super) const fn remote(&self) -> [u32; 4] {
        [self.0[6], self.0[7], self.0[8], self.0[9]]
    }

    /// The local and the remote port, if the packet shows any.
    pub(super) const fn ports(&self) -> Option<(u16, u16)> {
        if self.0[0] & Self::PORTS == 0 {
            return None;
        }
        Some(((self.0[1] >> 16) as u16, (self.0[1] & 0xffff) as u16))
    }

    pub(super) const fn protocol(&self) -> u8 {
        (self.0[0] >> 8 & 0xff) as u8
    }

    pub(super) const fn is_neighbour_discovery(&self) -> bool {
        self.0[0] & Self::NEIGHBOUR_DISCOVERY != 0
    }
}

/// An address as big-endian words, IPv4 in the first.
pub(super) const fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(a) => [a.to_bits(), 0, 0, 0],
        IpAddr::V6(a) => {
            let bits = a.to_bits();
            [
                (bits >> 96) as u32,
                (bits >> 64) as u32,
                (bits >> 32) as u32,
                bits as u32,
            ]
        }
    }
}

/// Known flows and their answers.
#[derive(Debug)]
pub(super) struct FlowCache {
    directory: Vec<Set>,
    entries: Vec<[Entry; WAYS]>,
    epoch: u32,
    seed: [u64; Key::WORDS + 1],
}

/// Entries of a set.
const WAYS: usize = 4;

/// What is known of four entries without touching them.
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    /// The rest of each flow's hash, odd; zero for a free way.
    tags: [u16; WAYS],
    /// The epoch in which they were entered; in any other the set is empty.
    epoch: u32,
    /// One bit per way: found again since it was entered.
    hot: u8,
}

/// A known flow: with policies named by 32-bit slots and generations a little more than one line
/// of a processor's cache.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: Key,
    answer: Answer,
}

const _: () = assert!(size_of::<Entry>() <= 72 && size_of::<Set>() == 16);

/// Where a flow is to be found or entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    set: usize,
    tag: u16,
}

impl FlowCache {
    /// A cache of `capacity` flows, rounded up to a multiple of four; none if zero.
    pub(super) fn new(capacity: u16, seed: [u64; 2]) -> Self {
        let sets = usize::from(capacity).div_ceil(WAYS);
        Self {
            directory: vec![Set::default(); sets],
            entries: vec![[Entry::default(); WAYS]; sets],
            epoch: 1,
            seed: expand(seed),
        }
    }

    /// Forgets every flow.
    pub(super) fn forget(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.directory.fill(Set::default());
            self.epoch = 1;
        }
    }

    /// The answer for a flow, if it is known.
    pub(super) fn find(&mut self, place: Place, key: &Key) -> Option<&Answer> {
        let set = self.directory.get_mut(place.set)?;
        if set.epoch != self.epoch {
            return None;
        }
        let ways = self.entries.get(place.set)?;
        for (way, (tag, entry)) in set.tags.iter().zip(ways).enumerate() {
            if *tag == place.tag && entry.key == *key {
                set.hot |= 1 << way;
                return Some(&entry.answer);
            }
        }
        None
    }

    /// Enters a flow that is not known: into a free way, else in place of one that was not found
    /// again; when all were, they have to prove it anew.
    pub(super) fn enter(&mut self, place: Place, key: Key, answer: Answer) {
        let epoch = self.epoch;
        let (Some(set), Some(ways)) = (
            self.directory.get_mut(place.set),
            self.entries.get_mut(place.set),
        ) else {
            return;
        };
        if set.epoch != epoch {
            *set = Set {
                epoch,
                ..Set::default()
            };
        }
        let free = set.tags.iter().position(|tag| *tag == 0);
        let way = free.unwrap_or_else(|| {
            if set.hot == ALL_HOT {
                set.hot = 0;
            }
            // The hash says where to begin, so that no way is the victim more often.
            let begin = usize::from(place.tag >> 1) % WAYS;
            (begin..begin + WAYS)
                .map(|way| way % WAYS)
                .find(|way| set.hot & 1 << way == 0)
                .unwrap_or(begin)
        });
        if let (Some(tag), Some(entry)) = (set.tags.get_mut(way), ways.get_mut(way)) {
            *tag = place.tag;
            *entry = Entry { key, answer };
            set.hot &= !(1 << way);
        }
    }

    /// Where a flow belongs.
    pub(super) fn place(&self, key: &Key) -> Place {
        let [seeds @ .., last] = &self.seed;
        let (seeds, _) = seeds.as_chunks::<2>();
        let (words, _) = key.0.as_chunks::<2>();
        let sum = seeds.iter().zip(words).fold(*last, |sum, (seed, word)| {
            let left = seed[0].wrapping_add(u64::from(word[1]));
            let right = seed[1].wrapping_add(u64::from(word[0]));
            sum.wrapping_add(left.wrapping_mul(right))
        });
        // Only the upper half is strongly universal, which a bijection keeps. The upper bits of
        // the hash choose the set, whatever the number of sets, and the lower ones are the tag.
        let hash = scatter((sum >> 32) as u32);
        Place {
            set: ((u64::from(hash) * self.directory.len() as u64) >> 32) as usize,
            tag: hash as u16 | 1,
        }
    }
}

/// A bijection without lines in it: what flows in arithmetic progression leave in the sum is one
/// again, and would crowd in a few sets. The finaliser of MurmurHash3.
const fn scatter(mut hash: u32) -> u32 {
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

const ALL_HOT: u8 = (1 << WAYS) - 1;

/// Eleven secret words from two: two counters through the finaliser of SplitMix64.
fn expand(seed: [u64; 2]) -> [u64; Key::WORDS + 1] {
    const fn mix(mut z: u64) -> u64 {
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    let [mut a, mut b] = seed;
    core::array::from_fn(|_| {
        a = a.wrapping_add(0x9e37_79b9_7f4a_7c15);
        b = b.wrapping_add(0xd1b5_4a32_d192_ed03);
        mix(a) ^ mix(b).rotate_left(32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Id;
    use crate::spd::{Found, PolicyId};

    fn key(n: u32) -> Key {
        let flow = Flow {
            source: IpAddr::V4((0x0a00_0000 + n).into()),
            destination: [192, 0, 2, 1].into(),
            protocol: 17,
            ports: Some((500, 500)),
            icmp_type: None,
        };
        Key::new(InterfaceId(1), Direction::Out, &flow).expect("one version")
    }

    fn answer(n: u32) -> Answer {
        Answer {
            found: Found::Policy(PolicyId(Id {
                slot: n,
                generation: 0,
            })),
            ..Answer::default()
        }
    }

    impl FlowCache {
        fn see(&mut self, n: u32) -> bool {
            let place = self.place(&key(n));
            let known = self.find(place, &key(n)).copied();
            assert!(known.is_none_or(|known| known == answer(n)));
            if known.is_none() {
                self.enter(place, key(n), answer(n));
            }
            known.is_some()
        }
    }

    #[test]
    fn both_directions_are_one_flow() {
        let there = Flow {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            protocol: 17,
            ports: Some((1, 2)),
            icmp_type: None,
        };
        let back = Flow {
            source: there.destination,
            destination: there.source,
            ports: Some((2, 1)),
            ..there
        };
        let on = InterfaceId(1);
        let out = Key::new(on, Direction::Out, &there);
        assert_eq!(out, Key::new(on, Direction::In, &back));
        assert_ne!(out, Key::new(on, Direction::Out, &back));
        assert_ne!(out, Key::new(InterfaceId(2), Direction::Out, &there));
        let fragment = Flow {
            ports: None,
            ..there
        };
        let zero = Flow {
            ports: Some((0, 0)),
            ..there
        };
        assert_ne!(
            Key::new(on, Direction::Out, &fragment),
            Key::new(on, Direction::Out, &zero)
        );
    }

    #[test]
    fn forgets_also_when_epochs_wrap() {
        let mut cache = FlowCache::new(16, [1, 2]);
        assert!(!cache.see(1) && cache.see(1));
        cache.forget();
        assert!(!cache.see(1) && cache.see(1));
        cache.epoch = u32::MAX - 1;
        cache.directory.fill(Set::default());
        assert!(!cache.see(1));
        for _ in 0..4 {
            // MAX, then past zero, which marks a set that was never used.
            cache.forget();
            assert_ne!(cache.epoch, 0);
            assert!(!cache.see(1) && cache.see(1));
        }
        // An entry of the first epoch is not taken for one of the epoch after the wrap.
        let mut cache = FlowCache::new(16, [1, 2]);
        assert!(!cache.see(1));
        cache.epoch = u32::MAX;
        cache.forget();
        assert!(!cache.see(1));
    }

    #[test]
    fn holds_no_more_than_it_has_places_for() {
        let mut none = FlowCache::new(0, [1, 2]);
        assert!(!none.see(1) && !none.see(1));
        let mut one_set = FlowCache::new(3, [1, 2]);
        assert!((0..WAYS as u32).all(|n| !one_set.see(n)));
        assert!((0..WAYS as u32).all(|n| one_set.see(n)));
        assert!((100..1000).all(|n| !one_set.see(n)));
        assert_eq!(one_set.entries.len(), 1);
    }

    /// One-packet flows push each other out, not the flows that are in use.
    #[test]
    fn flows_in_use_outlive_a_spray() {
        let mut cache = FlowCache::new(1024, [1, 2]);
        for n in 0..64 {
            cache.see(n);
            cache.see(n);
        }
        let mut lost = 0;
        for round in 1..=100 {
            // Sixteen packets of strangers for every set in which the flows in use are.
            for stranger in 0..4096 {
                cache.see(1_000_000 * round + stranger);
            }
            lost += (0..64).filter(|n| !cache.see(*n)).count();
        }
        assert!(lost < 64, "{lost} of 6400 lookups missed");
    }

    /// Flows that differ little share a set as often as random ones, whatever the difference.
    #[test]
    fn neighbours_share_a_set_no_more_than_strangers() {
        const SETS: usize = 256;
        const SEEDS: u64 = 1 << 12;
        for bit in 0..32 {
            let shared = (0..SEEDS)
                .filter(|seed| {
                    let cache = FlowCache::new((SETS * WAYS) as u16, [*seed, !*seed]);
                    cache.place(&key(0)).set == cache.place(&key(1 << bit)).set
                })
                .count();
            // 16 expected.
            assert!((3..40).contains(&shared), "bit {bit}: {shared}");
        }
    }

    /// Ranges of hosts and ports, as scanners and servers make them, fill the sets evenly.
    #[test]
    fn progressions_of_flows_spread() {
        let (mut found, mut looked_up) = (0, 0);
        for (seed, step) in (0..64).flat_map(|seed| [1, 16, 256, 257].map(|step| (seed, step))) {
            let mut cache = FlowCache::new(2048, [seed, seed + 1]);
            let known = |cache: &mut FlowCache| (0..512).filter(|n| cache.see(n * step)).count();
            known(&mut cache);
            let again = known(&mut cache);
            assert!(again > 480, "seed {seed}, step {step}: {again} of 512");
            found += again;
            looked_up += 512;
        }
        // With random places 0.4 % lie in a set too many.
        assert!(found * 100 > looked_up * 99, "{found} of {looked_up}");
    }
}
