//! Pings and UDP datagrams.

use std::net::{Ipv4Addr, SocketAddr};

use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::{HEADER, Ipv4, NewHeader};

fn header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: usize) -> [u8; HEADER] {
    NewHeader {
        tos: 0,
        total_len: u16::try_from(HEADER + payload).unwrap_or(u16::MAX),
        id: 1,
        dont_fragment: false,
        more_fragments: false,
        offset_units: 0,
        ttl: 63,
        protocol,
        source,
        destination,
    }
    .to_bytes()
}

fn echo(kind: u8, source: Ipv4Addr, destination: Ipv4Addr, rest: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0];
    icmp.extend_from_slice(rest);
    let sum = checksum(&[&icmp]).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    let mut packet = header(source, destination, 1, icmp.len()).to_vec();
    packet.extend_from_slice(&icmp);
    packet
}

/// An ICMP echo request with 32 bytes of data.
#[must_use]
pub fn echo_request(source: Ipv4Addr, destination: Ipv4Addr, id: u16, sequence: u16) -> Vec<u8> {
    let mut rest = [id.to_be_bytes(), sequence.to_be_bytes()].concat();
    rest.extend(b'a'..b'a' + 26);
    rest.extend(b"012345");
    echo(8, source, destination, &rest)
}

/// The reply to an echo request; none if the packet is something else.
#[must_use]
pub fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let ip = Ipv4::parse(packet).ok()?;
    let [8, 0, _, _, rest @ ..] = ip.payload() else {
        return None;
    };
    (ip.protocol() == 1).then(|| echo(0, ip.destination(), ip.source(), rest))
}

/// Source, destination, id and sequence number of an echo reply.
#[must_use]
pub fn is_echo_reply(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u16, u16)> {
    let ip = Ipv4::parse(packet).ok()?;
    let [0, 0, _, _, a, b, c, d, ..] = ip.payload() else {
        return None;
    };
    let (id, sequence) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    (ip.protocol() == 1).then(|| (ip.source(), ip.destination(), id, sequence))
}

/// A UDP datagram over IPv4; none if an end is not IPv4 or the payload too long.
#[must_use]
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
        return None;
    };
    let mut udp = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let len = u16::try_from(8 + payload.len()).ok()?;
    udp.extend_from_slice(&len.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    let mut packet = header(*from.ip(), *to.ip(), 17, udp.len()).to_vec();
    packet.extend_from_slice(&udp);
    Some(packet)
}
