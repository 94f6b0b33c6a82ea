//! Datagrams for tests.
#![allow(unreachable_pub, dead_code, reason = "shared by several test programs")]

use ipsec_core::wire::datagram::{Datagram, finish};
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
    build_v4(true, options, protocol, behind)
}

/// The same, with DF clear.
pub fn v4_to_cut(options: &[u8], protocol: u8, behind: &[u8]) -> Vec<u8> {
    build_v4(false, options, protocol, behind)
}

fn build_v4(dont_fragment: bool, options: &[u8], protocol: u8, behind: &[u8]) -> Vec<u8> {
    let header = ipv4::NewHeader {
        tos: 0x11,
        total_len: 0,
        id: 7,
        dont_fragment,
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

/// Puts fragments together by marking every byte; none if one is missing. The reference that
/// others are compared with: slow and plain.
pub fn naive(fragments: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut bytes: Vec<Option<u8>> = Vec::new();
    let (mut end, mut headers) = (None, None);
    for packet in fragments {
        let ip = Datagram::parse(packet).ok()?;
        let (front, offset, more, payload) = if ip.is_ipv4() {
            let header = ipv4::Ipv4::parse(packet).ok()?;
            (
                header.header().to_vec(),
                header.fragment_offset(),
                header.more_fragments(),
                header.payload().to_vec(),
            )
        } else {
            let header = ipv6::Ipv6::parse(packet).ok()?.fragment().ok()??;
            let mut front = packet[..header.place.at].to_vec();
            front[header.place.next_at] = packet[header.place.at];
            let payload = ip.bytes()[header.place.at + 8..].to_vec();
            (front, header.offset, header.more, payload)
        };
        if offset == 0 {
            headers = Some(front);
        }
        if !more {
            end = Some(offset + payload.len());
        }
        bytes.resize(bytes.len().max(offset + payload.len()), None);
        for (place, byte) in bytes[offset..].iter_mut().zip(payload) {
            *place = Some(byte);
        }
    }
    let mut whole = headers?;
    let payload = bytes.into_iter().collect::<Option<Vec<u8>>>()?;
    if end? != payload.len() {
        return None;
    }
    whole.extend(payload);
    let next_at = if whole[0] >> 4 == 4 { 9 } else { 6 };
    let next = whole[next_at];
    if next_at == 9 {
        whole[6] &= 0xdf;
    }
    finish(&mut whole, next_at, next).ok()?;
    Some(whole)
}
