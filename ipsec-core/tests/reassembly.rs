//! Fragments in front of IPsec are put together, within bounds.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod datagrams;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use datagrams::{chain, naive, v4, v4_to_cut, v6};
use hw_offload::{ArrayBuf, Buffers, PacketBuf};
use ipsec_core::model::Direction;
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::datagram::Datagram;
use ipsec_core::wire::ipv4::write_checksum;
use ipsec_core::{
    DropReason, HeldFragments, Instant, Limits, Outgoing, Reassembled, Reassembly, ReassemblyLimits,
};
use proptest::prelude::*;

const HEADROOM: usize = 64;
const WAN: InterfaceId = InterfaceId(0);

/// Counts the buffers that are out.
#[derive(Default)]
struct Pool {
    out: usize,
    empty: bool,
}

impl<const N: usize> Buffers<ArrayBuf<N>> for Pool {
    fn take(&mut self, len: usize) -> Option<ArrayBuf<N>> {
        if self.empty || len > N - 2 * HEADROOM {
            return None;
        }
        self.out += 1;
        Some(ArrayBuf::with_headroom(HEADROOM))
    }

    fn give(&mut self, _: ArrayBuf<N>) {
        self.out -= 1;
    }
}

/// A packet's fate, its bytes instead of its buffer.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Whole(Vec<u8>),
    Held,
    Refused(DropReason),
}

/// Reassembly with buffers of `N` bytes that are counted.
struct Bench<const N: usize> {
    reassembly: Reassembly<ArrayBuf<N>>,
    pool: Pool,
    now: Instant,
}

impl<const N: usize> Bench<N> {
    fn new(limits: ReassemblyLimits) -> Self {
        Self {
            reassembly: Reassembly::new(&Limits {
                reassembly: limits,
                ..Limits::default()
            }),
            pool: Pool::default(),
            now: Instant::from_secs(1),
        }
    }

    fn offer(&mut self, packet: &[u8]) -> Fate {
        self.offer_on(WAN, Direction::In, packet)
    }

    fn offer_on(&mut self, on: InterfaceId, direction: Direction, packet: &[u8]) -> Fate {
        let mut buffer: ArrayBuf<N> = ArrayBuf::with_headroom(HEADROOM);
        buffer.fill(HEADROOM, packet).unwrap();
        self.pool.out += 1;
        let pool = &mut self.pool;
        let (buffer, fate) = match self.reassembly.offer(self.now, on, direction, buffer, pool) {
            Reassembled::Held => (None, Fate::Held),
            Reassembled::Whole(whole) => {
                let bytes = whole.packet().to_vec();
                (Some(whole), Fate::Whole(bytes))
            }
            Reassembled::Refused { why, packet } => (Some(packet), Fate::Refused(why)),
        };
        if let Some(buffer) = buffer {
            self.pool.give(buffer);
        }
        let waiting = self.reassembly.waiting();
        assert_eq!(self.pool.out, usize::from(waiting.fragments));
        fate
    }

    fn offer_all<'a>(&mut self, packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Fate {
        let mut last = Fate::Held;
        for packet in packets {
            assert_eq!(last, Fate::Held);
            last = self.offer(packet);
        }
        last
    }

    fn end(mut self) {
        let pool = &mut self.pool;
        self.reassembly
            .expire(Instant::NEVER, |buffer| pool.give(buffer));
        assert_eq!(self.pool.out, 0, "every buffer came back");
        assert_eq!(self.reassembly.waiting(), HeldFragments::default());
    }
}

fn bench() -> Bench<4096> {
    Bench::new(ReassemblyLimits::default())
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn cut(packet: &[u8], mtu: u16, id: u32) -> Vec<Vec<u8>> {
    let mut buffer = ArrayBuf::<{ 66 * 1024 }>::with_headroom(8);
    buffer.fill(8, packet).unwrap();
    let mut out = Outgoing::new(buffer, WAN, None, mtu);
    out.identification = Some(id);
    let mut all = Vec::new();
    while let Some(bytes) = out.next_datagram() {
        all.push(bytes.to_vec());
    }
    all
}

/// Gives an IPv4 packet an identification.
fn identify(packet: &mut [u8], id: u16) {
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    refresh(packet);
}

fn refresh(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 0xf) * 4;
    write_checksum(&mut packet[..len]);
}

/// Gives a packet another source.
fn from(packet: &mut [u8], source: IpAddr) {
    match source {
        IpAddr::V4(source) => {
            packet[12..16].copy_from_slice(&source.octets());
            refresh(packet);
        }
        IpAddr::V6(source) => packet[8..24].copy_from_slice(&source.octets()),
    }
}

#[test]
fn both_versions_become_whole_in_any_order() {
    let (first, mut payload) = chain(&[0, 60, 43, 60], 17);
    payload.extend(bytes(2000));
    for packet in [
        v4_to_cut(&[], 50, &bytes(2000)),
        v4_to_cut(&[148, 4, 0, 0], 17, &bytes(2000)),
        v6(50, &bytes(2000)),
        v6(first, &payload),
    ] {
        let mut parts = cut(&packet, 600, 9);
        assert!(parts.len() > 3);
        for _ in 0..parts.len() {
            parts.rotate_left(1);
            let mut bench = bench();
            assert_eq!(bench.offer_all(&parts), Fate::Whole(packet.clone()));
            assert_eq!(bench.reassembly.waiting(), HeldFragments::default());
            assert_eq!(
                bench.offer_all(parts.iter().rev()),
                Fate::Whole(packet.clone())
            );
            bench.end();
        }
    }
}

#[test]
fn other_packets_pass_at_once() {
    let mut bench = bench();
    for packet in [v4(&[], 50, &bytes(100)), v6(50, &bytes(100))] {
        assert_eq!(bench.offer(&packet), Fate::Whole(packet));
    }
    assert_eq!(bench.offer(&[0x45]), Fate::Refused(DropReason::Malformed));
    bench.end();
}

#[test]
fn atomic_fragments_lose_their_header_and_disturb_nobody() {
    let whole = v6(17, &bytes(600));
    let parts = cut(&whole, 400, 7);
    let (first, mut payload) = chain(&[0, 44], 17);
    payload[12..16].copy_from_slice(&7_u32.to_be_bytes());
    payload.extend(bytes(20));
    let mut atomic = v6(first, &payload);
    let (first, mut payload) = chain(&[0], 17);
    payload.extend(bytes(20));
    let expected = v6(first, &payload);
    let mut bench = bench();
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    atomic.extend([0xee; 3]); // behind the datagram
    assert_eq!(bench.offer(&atomic), Fate::Whole(expected));
    assert_eq!(bench.offer(&parts[1]), Fate::Whole(whole));
    bench.end();
}

#[test]
fn fragments_of_different_datagrams_never_mix() {
    let packet = v4_to_cut(&[], 17, &bytes(100));
    let parts = cut(&packet, 80, 0);
    let other = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut part = parts[1].clone();
        change(&mut part);
        refresh(&mut part);
        part
    };
    let mut bench = bench();
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    assert_eq!(
        bench.offer(&other(&|p| p[5] ^= 1)),
        Fate::Held,
        "identification"
    );
    assert_eq!(bench.offer(&other(&|p| p[9] = 50)), Fate::Held, "protocol");
    assert_eq!(bench.offer(&other(&|p| p[15] = 9)), Fate::Held, "source");
    assert_eq!(
        bench.offer(&other(&|p| p[19] = 9)),
        Fate::Held,
        "destination"
    );
    let (lan, part) = (InterfaceId(1), &parts[1]);
    assert_eq!(bench.offer_on(lan, Direction::In, part), Fate::Held);
    assert_eq!(bench.offer_on(WAN, Direction::Out, part), Fate::Held);
    assert_eq!(bench.reassembly.waiting().datagrams, 7);
    assert_eq!(bench.offer(part), Fate::Whole(packet));
    bench.end();
}

#[test]
fn what_waits_too_long_is_given_up() {
    let parts = cut(&v4_to_cut(&[], 17, &bytes(100)), 80, 0);
    let mut bench = bench();
    assert_eq!(bench.reassembly.deadline(), None);
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    let at = bench.now + Duration::from_secs(30);
    assert_eq!(bench.reassembly.deadline(), Some(at));
    bench.now = at;
    assert_eq!(bench.offer(&parts[1]), Fate::Held, "the first has gone");
    assert_eq!(bench.reassembly.waiting().fragments, 1);
    bench.end();
}

#[test]
fn congestion_of_a_fragment_is_that_of_the_datagram() {
    let mark = |part: &[u8], ecn: u8| {
        let mut part = part.to_vec();
        part[1] = part[1] & !3 | ecn;
        refresh(&mut part);
        part
    };
    let parts = cut(&v4_to_cut(&[], 17, &bytes(100)), 80, 0);
    for (first, second, expected) in [
        (2, 3, Some(3)),
        (3, 2, Some(3)),
        (1, 1, Some(1)),
        (0, 0, Some(0)),
        (0, 3, None),
    ] {
        let mut bench = bench();
        assert_eq!(bench.offer(&mark(&parts[1], second)), Fate::Held);
        match (bench.offer(&mark(&parts[0], first)), expected) {
            (Fate::Whole(whole), Some(ecn)) => {
                assert_eq!(Datagram::parse(&whole).unwrap().tos() & 3, ecn);
            }
            (fate, None) => assert_eq!(fate, Fate::Refused(DropReason::Congested)),
            (fate, Some(_)) => panic!("{fate:?}"),
        }
        bench.end();
    }
}

#[test]
fn without_a_buffer_everything_is_given_back() {
    let parts = cut(&v4_to_cut(&[], 17, &bytes(100)), 80, 0);
    let mut bench = bench();
    bench.pool.empty = true;
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    let full = Fate::Refused(DropReason::FragmentsTooMany);
    assert_eq!(bench.offer(&parts[1]), full);
    assert_eq!(bench.pool.out, 0);
    bench.end();
}

#[test]
fn threat_a10_overlaps_end_the_datagram() {
    for is_v4 in [true, false] {
        let packet = if is_v4 {
            v4_to_cut(&[], 17, &bytes(400))
        } else {
            v6(17, &bytes(400))
        };
        let parts = cut(&packet, 160, 3);
        let at = if is_v4 { 7 } else { 43 };
        let units = if is_v4 { 1 } else { 8 };
        let mut overlapping = parts[1].clone();
        overlapping[at] -= units;
        if is_v4 {
            refresh(&mut overlapping);
        }
        let mut bench = bench();
        assert_eq!(bench.offer(&parts[0]), Fate::Held);
        let overlap = Fate::Refused(DropReason::FragmentOverlap);
        assert_eq!(bench.offer(&overlapping), overlap);
        assert_eq!(bench.pool.out, 0);
        for part in &parts {
            assert_eq!(bench.offer(part), overlap, "what still comes, too");
        }
        bench.now += Duration::from_secs(30);
        assert_eq!(bench.offer_all(&parts), Fate::Whole(packet));

        // Other bytes at the same place, and a repetition.
        let mut different = parts[0].clone();
        *different.last_mut().unwrap() ^= 1;
        assert_eq!(bench.offer(&parts[0]), Fate::Held);
        let repeated = Fate::Refused(DropReason::FragmentRepeated);
        assert_eq!(bench.offer(&parts[0]), repeated);
        assert_eq!(bench.offer(&different), overlap);
        bench.end();
    }
}

#[test]
fn threat_a10_a_second_end_ends_the_datagram() {
    let packet = v4_to_cut(&[], 17, &bytes(400));
    let parts = cut(&packet, 160, 3);
    let last = parts.last().unwrap();
    let mut early = parts[1].clone();
    early[6] &= 0xdf; // no more fragments
    refresh(&mut early);
    let overlap = Fate::Refused(DropReason::FragmentOverlap);
    for pair in [[last, &early], [&early, last]] {
        let mut bench = bench();
        assert_eq!(bench.offer(pair[0]), Fate::Held);
        assert_eq!(bench.offer(pair[1]), overlap);
        bench.end();
    }
    // The same place with and without the end.
    let mut bench = bench();
    assert_eq!(bench.offer(&parts[1]), Fate::Held);
    assert_eq!(bench.offer(&early), overlap);
    bench.end();
}

#[test]
fn threat_a10_tiny_first_fragments_are_refused() {
    let mut bench = bench();
    let tiny = Fate::Refused(DropReason::FragmentTiny);
    // TCP torn apart behind its ports (RFC 3128).
    let parts = cut(&v4_to_cut(&[], 6, &bytes(60)), 28, 0);
    assert_eq!(bench.offer(&parts[1]), tiny);
    // IPv6: extension headers fill the first fragment, or do not end in it.
    let (_, mut payload) = chain(&[44, 60], 17);
    payload[3] = 1;
    assert_eq!(bench.offer(&v6(44, &payload)), tiny);
    payload[9] = 1;
    assert_eq!(bench.offer(&v6(44, &payload)), tiny);
    payload[9] = 0;
    payload.extend([0; 8]);
    assert_eq!(bench.offer(&v6(44, &payload)), Fate::Held);
    bench.end();
}

#[test]
fn threat_a10_unsound_fragments_are_refused() {
    let fragment = |field: u16, len: usize| {
        let mut packet = v4(&[], 17, &bytes(len));
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        refresh(&mut packet);
        packet
    };
    let fragment6 = |field: u16, len: usize| {
        let mut payload = vec![17, 0, 0, 0, 0, 0, 0, 1];
        payload[2..4].copy_from_slice(&field.to_be_bytes());
        payload.extend(bytes(len));
        v6(44, &payload)
    };
    let mut bench = bench();
    let unsound = Fate::Refused(DropReason::Malformed);
    for packet in [
        fragment(0x2000, 0),  // empty
        fragment(0x0001, 0),  // empty and last
        fragment(0x2000, 15), // no multiple of 8, but more follow
        fragment(0x1fff, 8),  // beyond 65535
        fragment(0x1ffd, 4),  // the same by 1 byte
        fragment6(0x0001, 0),
        fragment6(0x0001, 15),
        fragment6(0xfff8, 8),
        fragment6(0xfff0, 16),
    ] {
        assert_eq!(bench.offer(&packet), unsound);
    }
    assert_eq!(bench.offer(&fragment(0x1ffd, 3)), Fate::Held);
    assert_eq!(bench.offer(&fragment6(0xfff0, 15)), Fate::Held);
    bench.end();
}

#[test]
fn the_longest_datagrams_become_whole() {
    for packet in [v4_to_cut(&[], 17, &bytes(65_515)), v6(17, &bytes(65_400))] {
        let parts = cut(&packet, 1500, 5);
        let mut bench: Bench<{ 66 * 1024 }> = Bench::new(ReassemblyLimits::default());
        assert_eq!(bench.offer_all(&parts), Fate::Whole(packet));
        bench.end();
    }
}

#[test]
fn threat_a10_a_flood_from_one_source_keeps_the_others() {
    let packet = v4_to_cut(&[], 50, &bytes(1000));
    let parts = cut(&packet, 600, 0);
    let mut bench = bench();
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));
    for id in 0..10_000 {
        let mut part = parts[usize::from(id % 3 == 0)].clone();
        identify(&mut part, id);
        from(&mut part, stranger);
        assert_eq!(bench.offer(&part), Fate::Held);
        assert_eq!(bench.reassembly.waiting().datagrams, 17.min(id + 2));
    }
    assert_eq!(bench.offer(&parts[1]), Fate::Whole(packet));

    // Many small fragments of one datagram.
    let mut many = cut(&v4_to_cut(&[], 50, &bytes(2000)), 28, 0);
    let full = Fate::Refused(DropReason::FragmentsTooMany);
    many.truncate(65);
    for part in &many[..64] {
        assert_eq!(bench.offer(part), Fate::Held);
    }
    assert_eq!(bench.offer(&many[64]), full);
    bench.end();
}

#[test]
fn threat_a10_an_ipv6_network_counts_as_one_source() {
    let packet = v6(50, &bytes(1000));
    let parts = cut(&packet, 600, 0);
    let mut bench = bench();
    assert_eq!(bench.offer(&parts[0]), Fate::Held);
    for host in 0..1000 {
        let mut part = parts[0].clone();
        let network = 0x2001_0db8_0001_u128 << 80;
        from(&mut part, Ipv6Addr::from_bits(network | host).into());
        assert_eq!(bench.offer(&part), Fate::Held);
    }
    assert_eq!(bench.reassembly.waiting().datagrams, 17);
    assert_eq!(bench.offer(&parts[1]), Fate::Whole(packet));
    bench.end();
}

#[test]
fn threat_a10_many_sources_stay_within_bounds() {
    let limits = ReassemblyLimits::default();
    let parts = cut(&v4_to_cut(&[], 50, &bytes(3000)), 1500, 0);
    let mut bench = bench();
    for number in 0..5000_u32 {
        let mut part = parts[0].clone();
        let stranger = Ipv4Addr::from_bits(0xc000_0200 + number / 5);
        identify(&mut part, u16::try_from(number).unwrap());
        from(&mut part, stranger.into());
        assert_eq!(bench.offer(&part), Fate::Held);
        let waiting = bench.reassembly.waiting();
        assert!(waiting.datagrams <= limits.in_all.datagrams);
        assert!(waiting.fragments <= limits.in_all.fragments);
        assert!(waiting.bytes <= limits.in_all.bytes);
    }
    assert_eq!(bench.reassembly.waiting().datagrams, 64);
    // The newest of them is still there.
    let source = Ipv4Addr::from_bits(0xc000_0200 + 4999 / 5);
    let mut fate = Fate::Held;
    for part in &parts[1..] {
        let mut part = part.clone();
        identify(&mut part, 4999);
        from(&mut part, source.into());
        fate = bench.offer(&part);
    }
    assert!(matches!(fate, Fate::Whole(_)));
    bench.end();

    // Bytes bound as well as numbers.
    let few = HeldFragments {
        datagrams: 64,
        fragments: 256,
        bytes: 3000,
    };
    let mut bench: Bench<4096> = Bench::new(ReassemblyLimits {
        in_all: few,
        ..limits
    });
    for number in 0..10 {
        let mut part = parts[0].clone();
        from(&mut part, Ipv4Addr::new(192, 0, 2, number).into());
        assert_eq!(bench.offer(&part), Fate::Held);
        assert_eq!(
            bench.reassembly.waiting().fragments,
            2.min(u16::from(number) + 1)
        );
    }
    bench.end();
}

/// The fragments of a datagram, and whether an overlap was seen.
type Kept = (Vec<Vec<u8>>, bool);

/// The reference: everything that came, kept and compared byte by byte.
#[derive(Default)]
struct Reference {
    datagrams: BTreeMap<(bool, u32), Kept>,
}

impl Reference {
    fn offer(&mut self, packet: &[u8]) -> Fate {
        let ip = Datagram::parse(packet).unwrap();
        let read = |packet: &[u8]| {
            let ip = Datagram::parse(packet).unwrap();
            let fragment = ip.fragment().unwrap();
            let header = if ip.is_ipv4() { ip.place().at } else { 48 };
            let len = ip.total_len() - header;
            let range = fragment.offset..fragment.offset + len;
            (range, fragment.more, packet[header..].to_vec())
        };
        let key = (ip.is_ipv4(), ip.fragment().unwrap().id);
        let (held, spoilt) = self.datagrams.entry(key).or_default();
        if *spoilt {
            return Fate::Refused(DropReason::FragmentOverlap);
        }
        let new = read(packet);
        if held.iter().any(|old| read(old) == new) {
            return Fate::Refused(DropReason::FragmentRepeated);
        }
        let mut all: Vec<_> = held.iter().map(|old| read(old)).collect();
        let overlaps =
            |range: &core::ops::Range<usize>| range.clone().any(|byte| new.0.contains(&byte));
        let mut bad = all.iter().any(|(range, ..)| overlaps(range));
        all.push(new);
        for (end, ..) in all.iter().filter(|(_, more, _)| !more) {
            bad |= all.iter().any(|(other, ..)| other.end > end.end);
            bad |= all
                .iter()
                .any(|(other, more, _)| !more && other.end != end.end);
        }
        if bad {
            held.clear();
            *spoilt = true;
            return Fate::Refused(DropReason::FragmentOverlap);
        }
        held.push(packet.to_vec());
        match naive(held) {
            Some(whole) => {
                self.datagrams.remove(&key);
                Fate::Whole(whole)
            }
            None => Fate::Held,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    Shift(u8),
    Flip,
    End,
}

proptest! {
    #[test]
    fn it_does_what_the_reference_does(
        datagrams in prop::collection::vec((any::<bool>(), 1_usize..600, 100_u16..300), 1..5),
        arrivals in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                any::<prop::sample::Index>(),
                prop_oneof![
                    30 => Just(Twist::None),
                    1 => (1_u8..5).prop_map(Twist::Shift),
                    1 => Just(Twist::Flip),
                    1 => Just(Twist::End),
                ],
            ),
            0..120,
        ),
    ) {
        let cut_up: Vec<_> = (0_u16..)
            .zip(&datagrams)
            .map(|(id, (is_v4, len, mtu))| {
                let len = len + usize::from(*mtu); // never fits
                let parts = if *is_v4 {
                    let mut packet = v4_to_cut(&[], 17, &bytes(len));
                    identify(&mut packet, id);
                    cut(&packet, *mtu, 0)
                } else {
                    cut(&v6(17, &bytes(len)), *mtu, id.into())
                };
                (*is_v4, parts)
            })
            .collect();
        let mut bench = bench();
        let mut reference = Reference::default();
        for (datagram, part, twist) in arrivals {
            let (is_v4, parts) = &cut_up[datagram.index(cut_up.len())];
            let mut part = part.get(parts).clone();
            let (low, more) = if *is_v4 { (7, 6) } else { (43, 43) };
            let more_bit = if *is_v4 { 0x20 } else { 1 };
            let is_first = Datagram::parse(&part).unwrap().fragment().unwrap().offset == 0;
            match twist {
                Twist::None => {}
                Twist::Shift(by) => {
                    let by = if *is_v4 { by } else { by * 8 };
                    part[low] = part[low].checked_add(by).unwrap_or(part[low]);
                }
                Twist::Flip => *part.last_mut().unwrap() ^= 1,
                Twist::End if is_first => {}
                Twist::End => part[more] &= !more_bit,
            }
            if *is_v4 {
                refresh(&mut part);
            }
            prop_assert_eq!(bench.offer(&part), reference.offer(&part));
        }
        bench.end();
    }
}
