//! Datagrams for tests.
#![allow(unreachable_pub, dead_code, reason = "shared by several test programs")]

use ipsec_core::wire::datagram::finish;
use ipsec_core::wire::{ipv4, ipv6};

/// An IPv6 datagram.
pub fn v6(next: u8, behind: &[u8]) -> Vec<u8> {
    let header = ipv6::NewHeader {
        traffic_class: 0xb9,
        flow_label: 0x1_2345,
        payload_len: u16::try_from(behind.len()).unwrap(),
        next,
        hop_limit: 63,
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8::2".parse().unwrap(),
    };
    [header.to_bytes().as_slice(), behind].concat()
}

/// An IPv4 datagram with options.
pub fn v4(options: &[u8], protocol: u8, behind: &[u8]) -> Vec<u8> {
    let header = ipv4::NewHeader {
        tos: 0x11,
        total_len: 0,
        id: 7,
        dont_fragment: true,
        more_fragments: false,
        offset_units: 0,
        ttl: 9,
        protocol,
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
    };
    let mut packet = [header.to_bytes().as_slice(), options, behind].concat();
    packet[0] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    finish(&mut packet, 9, protocol).unwrap();
    packet
}

/// Extension headers of 8 bytes each; the last names `protocol`.
pub fn chain(kinds: &[u8], protocol: u8) -> (u8, Vec<u8>) {
    let nexts = kinds.iter().skip(1).chain([&protocol]);
    let bytes = nexts
        .flat_map(|next| [*next, 0, 0, 0, 0, 0, 0, 0])
        .collect();
    (kinds.first().copied().unwrap_or(protocol), bytes)
}
