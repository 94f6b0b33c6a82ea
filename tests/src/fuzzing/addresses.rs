//! Datagrams between the addresses of the basic configurations.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::{HEADER, NewHeader};

/// The WAN address of A.
pub(super) const A: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
/// The WAN address of B.
pub(super) const B: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);

/// The port of ISAKMP at an address.
pub(super) const fn isakmp(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), 500)
}

/// An IPv4 datagram; none if the payload is too long for one.
pub(super) fn datagram(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let header = NewHeader {
        tos: 0,
        total_len: u16::try_from(HEADER + payload.len()).ok()?,
        id: 1,
        dont_fragment: false,
        more_fragments: false,
        offset_units: 0,
        ttl: 64,
        protocol,
        source,
        destination,
    };
    Some([&header.to_bytes(), payload].concat())
}

/// Makes the length and the header checksum of IPv4 bytes right, so that they are looked at.
pub(super) fn repair(packet: &mut [u8]) {
    let Ok(len) = u16::try_from(packet.len()) else {
        return;
    };
    let Some(first) = packet.first().copied() else {
        return;
    };
    let header = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header < HEADER || packet.len() < header {
        return;
    }
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..header]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}
