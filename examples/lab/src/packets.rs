//! Pings and UDP datagrams, over IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};

use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::{HEADER, Ipv4, NewHeader};
use ipsec_core::wire::ipv6::Ipv6;

/// Time to live of everything made here: one router has been passed.
const TTL: u8 = 63;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;

/// A whole datagram; none if its ends are of different versions or the payload is too long.
fn datagram(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => NewHeader {
            tos: 0,
            total_len: u16::try_from(HEADER + payload.len()).ok()?,
            id: 1,
            dont_fragment: false,
            more_fragments: false,
            offset_units: 0,
            ttl: TTL,
            protocol,
            source,
            destination,
        }
        .to_bytes()
        .to_vec(),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(u16::try_from(payload.len()).ok()?.to_be_bytes());
            header.extend([protocol, TTL]);
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        _ => return None,
    };
    packet.extend_from_slice(payload);
    Some(packet)
}

/// The checksum that covers a pseudo header of IPv6 (RFC 8200 §8.1); over IPv4 only the payload.
fn sum(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> u16 {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
        return checksum(&[payload]);
    };
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    checksum(&[
        &source.octets(),
        &destination.octets(),
        &len.to_be_bytes(),
        &[0, 0, 0, protocol],
        payload,
    ])
}

/// Protocol, source, destination and what follows the headers.
fn upper(packet: &[u8]) -> Option<(u8, IpAddr, IpAddr, &[u8])> {
    if let Ok(ip) = Ipv4::parse(packet) {
        let (source, destination) = (ip.source().into(), ip.destination().into());
        return Some((ip.protocol(), source, destination, ip.payload()));
    }
    let ip = Ipv6::parse(packet).ok()?;
    let upper = ip.upper_layer().ok()?;
    let (source, destination) = (ip.source().into(), ip.destination().into());
    Some((upper.protocol, source, destination, upper.payload))
}

fn echo(reply: bool, source: IpAddr, destination: IpAddr, rest: &[u8]) -> Option<Vec<u8>> {
    let (protocol, kind) = match (source.is_ipv4(), reply) {
        (true, false) => (ICMP, 8),
        (true, true) => (ICMP, 0),
        (false, false) => (ICMPV6, 128),
        (false, true) => (ICMPV6, 129),
    };
    let mut icmp = vec![kind, 0, 0, 0];
    icmp.extend_from_slice(rest);
    let sum = sum(source, destination, protocol, &icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    datagram(source, destination, protocol, &icmp)
}

/// An echo request with 32 bytes of data; none if the ends are of different versions.
#[must_use]
pub fn echo_request(
    source: IpAddr,
    destination: IpAddr,
    id: u16,
    sequence: u16,
) -> Option<Vec<u8>> {
    let mut rest = [id.to_be_bytes(), sequence.to_be_bytes()].concat();
    rest.extend(b'a'..b'a' + 26);
    rest.extend(b"012345");
    echo(false, source, destination, &rest)
}

/// The reply to an echo request; none if the packet is something else.
#[must_use]
pub fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let (protocol, source, destination, payload) = upper(packet)?;
    match (protocol, payload) {
        (ICMP, [8, 0, _, _, rest @ ..]) | (ICMPV6, [128, 0, _, _, rest @ ..]) => {
            echo(true, destination, source, rest)
        }
        _ => None,
    }
}

/// Source, destination, id and sequence number of an echo reply.
#[must_use]
pub fn is_echo_reply(packet: &[u8]) -> Option<(IpAddr, IpAddr, u16, u16)> {
    let (protocol, source, destination, payload) = upper(packet)?;
    let ((ICMP, [0, 0, _, _, a, b, c, d, ..]) | (ICMPV6, [129, 0, _, _, a, b, c, d, ..])) =
        (protocol, payload)
    else {
        return None;
    };
    let (id, sequence) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    Some((source, destination, id, sequence))
}

/// A UDP datagram, without a checksum over IPv4; none if the ends are of different versions or
/// the payload is too long.
#[must_use]
pub fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let mut udp = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let len = u16::try_from(8 + payload.len()).ok()?;
    udp.extend_from_slice(&len.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(payload);
    if from.is_ipv6() {
        let sum = match sum(from.ip(), to.ip(), UDP, &udp) {
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    datagram(from.ip(), to.ip(), UDP, &udp)
}

/// Ends and payload of a UDP datagram; none if the packet is something else or a fragment.
#[must_use]
pub fn is_udp(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (protocol, source, destination, payload) = upper(packet)?;
    if Ipv4::parse(packet).is_ok_and(|ip| ip.is_fragment()) || protocol != UDP {
        return None;
    }
    let udp = ipsec_core::wire::udp::Udp::parse(payload).ok()?;
    let from = SocketAddr::new(source, udp.source);
    Some((
        from,
        SocketAddr::new(destination, udp.destination),
        udp.payload,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_answer_each_other_in_both_versions() {
        for (a, b) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let (a, b): (IpAddr, IpAddr) = (a.parse().unwrap(), b.parse().unwrap());
            let request = echo_request(a, b, 7, 9).unwrap();
            assert_eq!(is_echo_reply(&request), None);
            let reply = echo_reply(&request).unwrap();
            assert_eq!(is_echo_reply(&reply), Some((b, a, 7, 9)));
            let (protocol, from, to, payload) = upper(&reply).unwrap();
            // A right checksum makes the sum over everything 0.
            assert_eq!(sum(from, to, protocol, payload), 0);
        }
        let (v4, v6) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        assert_eq!(echo_request(v4, v6, 1, 1), None);
    }

    #[test]
    fn datagrams_are_read_back() {
        for ends in [
            ("10.0.0.1:500", "10.0.0.2:4500"),
            ("[fd00::1]:500", "[fd00::2]:4500"),
        ] {
            let (from, to) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
            let packet = udp(from, to, b"hello").unwrap();
            assert_eq!(is_udp(&packet), Some((from, to, &b"hello"[..])));
        }
    }
}
