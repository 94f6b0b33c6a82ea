//! Datagrams that are too long leave as fragments, cut in place.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod datagrams;

use datagrams::{chain, naive, v4, v4_to_cut, v6};
use hw_offload::Headroom;
use ipsec_core::Outgoing;
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::datagram::Datagram;
use ipsec_core::wire::ipv4::Ipv4;
use proptest::prelude::*;

/// Everything that leaves for one packet, with that much room at both ends.
fn sent(packet: &[u8], mtu: u16, id: Option<u32>, (front, back): (usize, usize)) -> Vec<Vec<u8>> {
    let mut buffer = Headroom::with_room(front, packet.len() + back);
    buffer.fill(front, packet).unwrap();
    let mut out = Outgoing::new(buffer, InterfaceId(0), None, mtu);
    out.identification = id;
    let mut all = Vec::new();
    while let Some(bytes) = out.next_datagram() {
        all.push(bytes.to_vec());
    }
    all
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// Security (copied), record route (not copied), no operation, end.
const OPTIONS: [u8; 12] = [1, 130, 3, 7, 7, 3, 4, 1, 148, 2, 0, 9];

#[test]
fn later_fragments_carry_the_copied_options_only() {
    let packet = v4_to_cut(&OPTIONS, 17, &bytes(200));
    let all = sent(&packet, 100, None, (0, 0));
    let header = |packet: &Vec<u8>| Ipv4::parse(packet).unwrap().header()[20..].to_vec();
    assert_eq!(header(&all[0]), OPTIONS);
    for later in &all[1..] {
        assert_eq!(header(later), [130, 3, 7, 148, 2, 0, 0, 0]);
    }
    // 100 - 32 = 68 give 64 bytes; 100 - 28 = 72 give 72.
    let lens: Vec<usize> = all.iter().map(Vec::len).collect();
    assert_eq!(lens, [96, 100, 92]);
    assert_eq!(naive(&all), Some(packet));
}

#[test]
fn broken_options_are_not_copied() {
    for broken in [[130, 9, 0, 0], [130, 0, 0, 0], [1, 1, 1, 130]] {
        let all = sent(&v4_to_cut(&broken, 17, &bytes(200)), 100, None, (0, 0));
        assert_eq!(Ipv4::parse(&all[1]).unwrap().header().len(), 20);
    }
}

#[test]
fn a_fragment_is_cut_into_fragments_of_the_whole() {
    let packet = v4_to_cut(&[], 17, &bytes(1480));
    let parts = sent(&packet, 800, None, (0, 0));
    let all: Vec<_> = parts
        .iter()
        .flat_map(|part| sent(part, 300, None, (0, 0)))
        .collect();
    assert!(all.len() > parts.len());
    assert_eq!(naive(&all), Some(packet));
}

#[test]
fn what_must_not_be_cut_travels_whole() {
    let whole = |packet: Vec<u8>, id| {
        assert_eq!(sent(&packet, 1300, id, (64, 64)), [packet]);
    };
    whole(v4(&[], 17, &bytes(1400)), None); // DF
    whole(v6(17, &bytes(1400)), None); // forwarded
    whole(v4_to_cut(&[], 17, &bytes(1280)), None);
    whole(v6(17, &bytes(1260)), Some(1));
    let mut fragment = vec![17, 0, 0, 1, 0, 0, 0, 1];
    fragment.extend(bytes(1400));
    whole(v6(44, &fragment), Some(1));
    let no_room = v6(17, &bytes(1400));
    assert_eq!(sent(&no_room, 1300, Some(1), (7, 7)), [no_room]);
}

#[test]
fn ipv6_fragments_have_the_header_that_rfc_8200_draws() {
    let (first, mut payload) = chain(&[0, 60, 43, 60], 17);
    payload.extend(bytes(40));
    let packet = v6(first, &payload);
    let all = sent(&packet, 104, Some(0x0102_0304), (8, 0));
    // In front: fixed header, hop-by-hop, destination options, routing: 64 bytes; then the header.
    assert_eq!(all[0][56], 44, "the routing header names it");
    assert_eq!(all[0][64..72], [60, 0, 0, 1, 1, 2, 3, 4]);
    assert_eq!(all[1][64..72], [60, 0, 0, 32, 1, 2, 3, 4]);
    assert_eq!((all.len(), all[0].len(), all[1].len()), (2, 104, 88));
    assert_eq!(naive(&all), Some(packet));

    // Destination options in front of ESP are for the last receiver: behind the fragment header.
    let (first, mut payload) = chain(&[60], 50);
    payload.extend(bytes(100));
    let packet = v6(first, &payload);
    let all = sent(&packet, 104, Some(1), (8, 0));
    assert_eq!(all[0][40..44], [60, 0, 0, 1]);
    assert_eq!(naive(&all), Some(packet));
}

proptest! {
    #[test]
    fn fragments_make_the_whole(
        len in 1_usize..3000,
        mtu in 96_u16..1600,
        is_v4: bool,
        extra: bool,
        room in prop::sample::select(vec![(0, 8), (8, 0), (64, 64)]),
        tail in 0_usize..9,
    ) {
        let payload = bytes(len);
        let packet = match (is_v4, extra) {
            (true, false) => v4_to_cut(&[], 17, &payload),
            (true, true) => v4_to_cut(&OPTIONS, 17, &payload),
            (false, false) => v6(50, &payload),
            (false, true) => {
                let (first, mut bytes) = chain(&[0, 60], 17);
                bytes.extend(&payload);
                v6(first, &bytes)
            }
        };
        let mut with_tail = packet.clone();
        with_tail.extend(vec![0xee; tail]);
        let all = sent(&with_tail, mtu, Some(7), room);
        if packet.len() <= usize::from(mtu) {
            prop_assert_eq!(all.len(), 1);
            prop_assert!(all[0].starts_with(&packet));
        } else {
            for (number, fragment) in all.iter().enumerate() {
                prop_assert!(fragment.len() <= usize::from(mtu));
                let ip = Datagram::parse(fragment).unwrap();
                prop_assert_eq!(ip.total_len(), fragment.len());
                prop_assert_eq!(ip.fragment().unwrap().more, number + 1 < all.len());
                prop_assert_eq!(ip.tos(), Datagram::parse(&packet).unwrap().tos());
            }
            prop_assert_eq!(naive(&all), Some(packet));
        }
    }
}
