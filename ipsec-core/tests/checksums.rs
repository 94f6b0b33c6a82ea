//! Checksums made, changed and repaired.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod datagrams;

use std::net::IpAddr;

use datagrams::{chain, v4, v6};
use ipsec_core::wire::checksum::{adjust, checksum, with_pseudo_header};
use ipsec_core::wire::repair::repair;
use ipsec_core::wire::udp;
use proptest::prelude::*;

#[test]
fn the_example_of_rfc_1071_adds_up() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(checksum(&[&bytes]), !0xddf2);
}

#[test]
fn the_example_of_rfc_1624_comes_out() {
    // Section 4: HC = 0xdd2f, m = 0x5555, m' = 0x3285.
    assert_eq!(adjust(0xdd2f, &[0x55, 0x55], &[0x32, 0x85]), 0x0000);
}

/// What is left over when a right checksum is checked: nothing.
fn leftover(packet: &[u8], at: usize, protocol: u8) -> u16 {
    let ip = ipsec_core::wire::datagram::Datagram::parse(packet).unwrap();
    with_pseudo_header(ip.source(), ip.destination(), protocol, &packet[at..])
}

#[test]
fn udp_over_ipv6_gets_a_checksum() {
    let mut payload = udp::header(2746, 4500, 13).to_vec();
    payload.extend([9, 8, 7, 6, 5]);
    let mut packet = v6(17, &payload);
    udp::write_checksum(&mut packet, 40).unwrap();
    // By hand, in hexadecimal: both addresses 2 * (2001 + db8) + 1 + 2, protocol 11, length d,
    // ports aba and 1194, length d, data 908 + 706 + 500; in sum 8cfc, its complement 7303.
    assert_eq!(packet[46..48], [0x73, 0x03]);
    assert_eq!(leftover(&packet, 40, 17), 0);
    assert!(udp::write_checksum(&mut packet, 48).is_err());
}

#[test]
fn udp_never_gets_a_checksum_of_zero() {
    let mut payload = udp::header(0, 0, 10).to_vec();
    payload.extend([0, 0]);
    let mut packet = v6(17, &payload);
    udp::write_checksum(&mut packet, 40).unwrap();
    let sum = [packet[46], packet[47]];
    // With its own sum as data, everything cancels out.
    packet[48..50].copy_from_slice(&sum);
    udp::write_checksum(&mut packet, 40).unwrap();
    assert_eq!(packet[46..48], [0xff, 0xff]);
}

/// A datagram of either version with a right TCP or UDP checksum, and where the message begins.
fn message(is_v4: bool, protocol: u8, hop: bool, data: &[u8]) -> (Vec<u8>, usize) {
    let len = if protocol == 6 { 20 } else { 8 };
    let mut bytes = vec![0; len];
    bytes.extend(data);
    let total = u16::try_from(bytes.len()).unwrap();
    bytes[4..6].copy_from_slice(&total.to_be_bytes());
    let (mut packet, at) = if is_v4 {
        (v4(&[], protocol, &bytes), 20)
    } else if hop {
        let (first, extensions) = chain(&[0, 60], protocol);
        (v6(first, &[extensions, bytes].concat()), 56)
    } else {
        (v6(protocol, &bytes), 40)
    };
    let field = at + if protocol == 6 { 16 } else { 6 };
    let sum = leftover(&packet, at, protocol);
    let sum = if sum == 0 && protocol == 17 {
        0xffff
    } else {
        sum
    };
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    (packet, at)
}

/// Puts other addresses into the header, as a NAT does.
fn translate(packet: &mut [u8], source: IpAddr, destination: IpAddr) {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet[12..16].copy_from_slice(&source.octets());
            packet[16..20].copy_from_slice(&destination.octets());
            ipsec_core::wire::ipv4::write_checksum(&mut packet[..20]);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet[8..24].copy_from_slice(&source.octets());
            packet[24..40].copy_from_slice(&destination.octets());
        }
        _ => unreachable!("one version"),
    }
}

proptest! {
    #[test]
    fn behind_a_nat_checksums_are_repaired(
        is_v4: bool,
        tcp: bool,
        hop: bool,
        data in prop::collection::vec(any::<u8>(), 0..40),
        bits: [u128; 2],
        flaw: u16,
    ) {
        let protocol = if tcp { 6 } else { 17 };
        let (mut packet, at) = message(is_v4, protocol, hop, &data);
        let field = at + if tcp { 16 } else { 6 };
        let ip = ipsec_core::wire::datagram::Datagram::parse(&packet).unwrap();
        let (source, destination) = (ip.source(), ip.destination());
        let [new_source, new_destination] = bits.map(|bits| -> IpAddr {
            if is_v4 {
                std::net::Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap()).into()
            } else {
                std::net::Ipv6Addr::from_bits(bits).into()
            }
        });
        translate(&mut packet, new_source, new_destination);
        let mut flawed = packet.clone();
        repair(&mut packet, source, destination).unwrap();
        prop_assert_eq!(leftover(&packet, at, protocol), 0);
        prop_assert!(tcp || packet[field..field + 2] != [0, 0]);

        // What was wrong before stays wrong.
        let wrong = u16::from_be_bytes([flawed[field], flawed[field + 1]]) ^ flaw;
        let same = matches!((flaw, wrong), (0, _) | (0xffff, 0 | 0xffff));
        if !same && (tcp || wrong != 0) {
            flawed[field..field + 2].copy_from_slice(&wrong.to_be_bytes());
            repair(&mut flawed, source, destination).unwrap();
            prop_assert_ne!(leftover(&flawed, at, protocol), 0);
        }
    }
}

#[test]
fn what_has_no_checksum_to_repair_is_left_alone() {
    let other: IpAddr = "192.0.2.1".parse().unwrap();
    let untouched = |mut packet: Vec<u8>, source: IpAddr| {
        let before = packet.clone();
        repair(&mut packet, source, source).unwrap();
        assert_eq!(packet, before);
    };
    let (mut none, _) = message(true, 17, false, &[1]);
    none[26..28].fill(0);
    untouched(none, other);
    untouched(v4(&[], 1, &[8, 0, 0, 0, 0, 0, 0, 0]), other);
    let (tcp, _) = message(true, 6, false, &[1]);
    untouched(tcp.clone(), "2001:db8::9".parse().unwrap());
    for field in [[0x20, 0], [0, 3]] {
        let mut fragment = tcp.clone();
        fragment[6..8].copy_from_slice(&field);
        ipsec_core::wire::ipv4::write_checksum(&mut fragment[..20]);
        untouched(fragment, other);
    }
    assert!(repair(&mut v4(&[], 6, &[0; 17]), other, other).is_err());
}
