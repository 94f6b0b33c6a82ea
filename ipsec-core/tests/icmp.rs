//! "Packet too big": what is said, what is heard, and to whom nothing is said.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod datagrams;

use std::net::IpAddr;

use datagrams::{chain, v4, v6};
use hw_offload::{ArrayBuf, PacketBuf};
use ipsec_core::model::Spi;
use ipsec_core::wire::checksum::{checksum, with_pseudo_header};
use ipsec_core::wire::datagram::Datagram;
use ipsec_core::wire::icmp::{Quoted, read_too_big, too_big};
use ipsec_core::wire::ipv4::write_checksum;
use proptest::prelude::*;

const ROUTER4: &str = "192.0.2.1";
const ROUTER6: &str = "2001:db8::ffff";

/// The error about a packet, with that much headroom.
fn error(headroom: usize, packet: &[u8], router: &str) -> Option<Vec<u8>> {
    let mut buffer = ArrayBuf::<2048>::with_headroom(headroom);
    buffer.fill(headroom, packet).unwrap();
    if too_big(&mut buffer, router.parse().unwrap(), 1400) {
        return Some(buffer.packet().to_vec());
    }
    assert_eq!(buffer.packet(), packet, "unchanged where nothing is said");
    None
}

fn esp(len: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x12, 0x34, 0, 0, 0, 77];
    bytes.resize(len, 0xa5);
    bytes
}

#[test]
fn ipv4_senders_are_told() {
    let packet = v4(&[1, 1, 1, 0], 50, &esp(1480));
    let message = error(64, &packet, ROUTER4).unwrap();
    let ip = Datagram::parse(&message).unwrap();
    assert_eq!(ip.source(), ROUTER4.parse::<IpAddr>().unwrap());
    assert_eq!(ip.destination(), IpAddr::from([10, 0, 0, 1]));
    assert_eq!(checksum(&[ip.payload()]), 0);
    assert_eq!(ip.payload()[..2], [3, 4]);
    assert_eq!(ip.payload()[4..8], [0, 0, 0x05, 0x78]);
    assert_eq!(ip.payload()[8..], packet[..32], "header, options, 8 bytes");
}

#[test]
fn ipv6_senders_are_told() {
    let packet = v6(50, &esp(1460));
    let message = error(64, &packet, ROUTER6).unwrap();
    let ip = Datagram::parse(&message).unwrap();
    assert_eq!(ip.total_len(), 1280, "no longer than any link carries");
    assert_eq!(ip.source(), ROUTER6.parse::<IpAddr>().unwrap());
    assert_eq!(ip.place().next, 58);
    let sum = with_pseudo_header(ip.source(), ip.destination(), 58, ip.payload());
    assert_eq!(sum, 0);
    assert_eq!(ip.payload()[..2], [2, 0]);
    assert_eq!(ip.payload()[4..8], [0, 0, 0x05, 0x78]);
    assert_eq!(ip.payload()[8..], packet[..1232]);

    let short = v6(50, &esp(100));
    let message = error(64, &short, ROUTER6).unwrap();
    assert_eq!(message[48..], short, "a short one whole");
}

#[test]
fn without_headroom_the_rest_of_the_packet_makes_room() {
    for (packet, router) in [
        (v4(&[], 50, &esp(1480)), ROUTER4),
        (v6(50, &esp(1460)), ROUTER6),
    ] {
        assert_eq!(error(0, &packet, router), error(64, &packet, router));
        let mut buffer = ArrayBuf::<1500>::with_headroom(0);
        buffer.fill(0, &packet).unwrap();
        assert!(too_big(&mut buffer, router.parse().unwrap(), 1400));
        assert_eq!(Some(buffer.packet().to_vec()), error(64, &packet, router));
        let mut tight = ArrayBuf::<60>::with_headroom(0);
        tight.fill(0, &v4(&[], 50, &esp(40))).unwrap();
        assert!(too_big(&mut tight, ROUTER4.parse().unwrap(), 1400));
        let mut none = ArrayBuf::<50>::with_headroom(0);
        none.fill(0, &v4(&[], 50, &esp(30))).unwrap();
        assert!(!too_big(&mut none, ROUTER4.parse().unwrap(), 1400));
        assert_eq!(none.packet(), v4(&[], 50, &esp(30)));
    }
}

#[test]
fn some_are_not_answered() {
    let refused = |packet: &[u8], router| assert_eq!(error(64, packet, router), None);
    for kind in [3, 4, 5, 11, 12] {
        refused(&v4(&[], 1, &[kind; 64]), ROUTER4);
    }
    assert!(error(64, &v4(&[], 1, &[8; 64]), ROUTER4).is_some());
    let with = |at: usize, bytes: &[u8]| {
        let mut packet = v4(&[], 17, &[0; 64]);
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        write_checksum(&mut packet[..20]);
        packet
    };
    refused(&with(6, &[0, 1]), ROUTER4); // a later fragment
    refused(&with(12, &[0, 0, 0, 0]), ROUTER4);
    refused(&with(12, &[224, 0, 0, 1]), ROUTER4);
    refused(&with(16, &[224, 0, 0, 1]), ROUTER4);
    refused(&with(16, &[255, 255, 255, 255]), ROUTER4);
    refused(&v4(&[], 17, &[0; 64]), ROUTER6);

    for kind in [1, 2, 3, 4, 127, 137] {
        refused(&v6(58, &[kind; 64]), ROUTER6);
        let (first, mut bytes) = chain(&[0, 60], 58);
        bytes.extend([kind; 64]);
        refused(&v6(first, &bytes), ROUTER6);
    }
    refused(&v6(58, &[]), ROUTER6);
    assert!(error(64, &v6(58, &[128; 64]), ROUTER6).is_some());
    for source in [0, 0xff] {
        let mut packet = v6(17, &[0; 64]);
        packet[8..24].fill(source);
        refused(&packet, ROUTER6);
    }
    let mut multicast = v6(17, &[0; 64]);
    multicast[24] = 0xff;
    assert!(
        error(64, &multicast, ROUTER6).is_some(),
        "RFC 4443 §2.4 e.3"
    );
    refused(&v6(17, &[0; 64]), ROUTER4);
}

#[test]
fn what_is_said_is_heard() {
    let spi = Spi::from_bytes([0, 0, 0x12, 0x34]);
    let ah = [4, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 78, 1, 2, 3, 4];
    let udp = [
        0x11, 0x94, 0x11, 0x95, 0, 16, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 79,
    ];
    let heard = |packet: &[u8], router: &str| {
        let message = error(64, packet, router)?;
        let report = read_too_big(&message)?;
        let ip = Datagram::parse(packet).unwrap();
        assert_eq!(report.mtu, 1400);
        assert_eq!(
            (report.source, report.destination),
            (ip.source(), ip.destination())
        );
        let owned = match report.quoted {
            Quoted::Esp { spi, sequence } => (50, spi, Some(sequence), vec![]),
            Quoted::Ah { spi, sequence } => (51, spi, sequence, vec![]),
            Quoted::Udp {
                source,
                destination,
                data,
            } => {
                assert_eq!((source, destination), (4500, 4501));
                (17, spi, None, data.to_vec())
            }
        };
        Some(owned)
    };
    assert_eq!(
        heard(&v4(&[], 50, &esp(64)), ROUTER4),
        Some((50, spi, Some(77), vec![]))
    );
    assert_eq!(
        heard(&v4(&[1; 4], 51, &ah), ROUTER4),
        Some((51, spi, None, vec![]))
    );
    assert_eq!(
        heard(&v4(&[], 17, &udp), ROUTER4),
        Some((17, spi, None, vec![]))
    );
    assert_eq!(heard(&v4(&[], 6, &udp), ROUTER4), None);
    assert_eq!(
        heard(&v6(50, &esp(64)), ROUTER6),
        Some((50, spi, Some(77), vec![]))
    );
    assert_eq!(
        heard(&v6(51, &ah), ROUTER6),
        Some((51, spi, Some(78), vec![]))
    );
    let data = udp[8..].to_vec();
    assert_eq!(heard(&v6(17, &udp), ROUTER6), Some((17, spi, None, data)));
    let (first, mut bytes) = chain(&[60, 43], 50);
    bytes.extend(esp(64));
    assert_eq!(
        heard(&v6(first, &bytes), ROUTER6),
        Some((50, spi, Some(77), vec![]))
    );
    assert_eq!(heard(&v6(58, &[128; 64]), ROUTER6), None);
}

#[test]
fn threat_d11_damaged_errors_are_not_heard() {
    for (packet, router) in [
        (v4(&[], 50, &esp(64)), ROUTER4),
        (v6(50, &esp(64)), ROUTER6),
    ] {
        let message = error(64, &packet, router).unwrap();
        assert!(read_too_big(&message).is_some());
        let start = message.len() - packet.len().min(message.len() - 28);
        for at in start - 8..message.len() {
            let mut damaged = message.clone();
            damaged[at] ^= 0x10;
            assert_eq!(read_too_big(&damaged), None, "byte {at}");
        }
        assert_eq!(read_too_big(&packet), None);
        assert_eq!(read_too_big(&message[..message.len() - 1]), None);
    }
    assert_eq!(read_too_big(&[]), None);

    // A later fragment of ours shows no SPI.
    let mut later = v4(&[], 50, &esp(64));
    later[6..8].copy_from_slice(&[0, 0]);
    write_checksum(&mut later[..20]);
    let mut message = error(64, &later, ROUTER4).unwrap();
    assert!(read_too_big(&message).is_some());
    message[35] = 9; // the quoted offset
    message[22..24].fill(0);
    let sum = checksum(&[&message[20..]]).to_be_bytes();
    message[22..24].copy_from_slice(&sum);
    assert_eq!(read_too_big(&message), None);
}

proptest! {
    #[test]
    fn no_quote_is_too_odd(quote in prop::collection::vec(any::<u8>(), 0..120), is_v4: bool) {
        let mut message = if is_v4 { vec![3, 4, 0, 0, 0, 0, 5, 0] } else { vec![2, 0, 0, 0, 0, 0, 5, 0] };
        message.extend(quote);
        if let Some(first) = message.get_mut(8) {
            *first = *first & 0xf | if is_v4 { 0x40 } else { 0x60 };
        }
        let packet = if is_v4 {
            let sum = checksum(&[&message]).to_be_bytes();
            message[2..4].copy_from_slice(&sum);
            v4(&[], 1, &message)
        } else {
            let [a, b]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
            let sum = with_pseudo_header(a, b, 58, &message).to_be_bytes();
            message[2..4].copy_from_slice(&sum);
            v6(58, &message)
        };
        if let Some(report) = read_too_big(&packet) {
            prop_assert_eq!(report.mtu, 0x500);
        }
    }
}
