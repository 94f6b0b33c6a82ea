//! Headers of both versions: what is read, where IPsec stands, what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod datagrams;

use std::net::{IpAddr, Ipv6Addr};

use datagrams::{chain, v4, v6};

use ipsec_core::wire::Malformed;
use ipsec_core::wire::datagram::{Datagram, Fragment, finish};
use ipsec_core::wire::extension::Place;
use ipsec_core::wire::mutable::normalise;
use ipsec_core::wire::{ipv4, ipv6};
use proptest::prelude::*;

#[test]
fn ipv6_fields_are_read_as_written() {
    let mut packet = v6(17, &[1, 2, 3]);
    assert_eq!(packet[..8], [0x6b, 0x91, 0x23, 0x45, 0, 3, 17, 63]);
    packet.push(0xee); // behind the datagram: not part of it
    let ip = ipv6::Ipv6::parse(&packet).unwrap();
    assert_eq!((ip.traffic_class(), ip.flow_label()), (0xb9, 0x1_2345));
    let datagram = Datagram::parse(&packet).unwrap();
    assert_eq!((datagram.total_len(), datagram.ttl()), (43, 63));
    assert_eq!(datagram.tos(), 0xb9);
    assert_eq!(datagram.payload(), [1, 2, 3]);
    assert_eq!(
        datagram.source(),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
    );
    assert!(!datagram.is_ipv4() && !datagram.may_fragment() && !datagram.is_fragment());
}

#[test]
fn ipsec_stands_behind_what_routers_read_and_before_what_the_receiver_reads() {
    let place = |kinds: &[u8], protocol| {
        let (first, mut bytes) = chain(kinds, protocol);
        bytes.extend([0; 8]);
        let packet = v6(first, &bytes);
        let datagram = Datagram::parse(&packet).unwrap();
        assert_eq!(datagram.headers().len(), datagram.place().at);
        datagram.place()
    };
    let at = |at, next_at, next| Place { at, next_at, next };
    assert_eq!(place(&[], 6), at(40, 6, 6));
    assert_eq!(place(&[0], 6), at(48, 40, 6));
    assert_eq!(place(&[60], 6), at(40, 6, 60), "final destination options");
    assert_eq!(place(&[60, 43], 6), at(56, 48, 6));
    assert_eq!(place(&[0, 60, 43, 44, 60], 17), at(72, 64, 60));
    assert_eq!(
        place(&[0, 60, 43, 44, 60], 51),
        at(80, 72, 51),
        "AH behind them"
    );
    assert_eq!(place(&[60], 50), at(48, 40, 50), "ESP behind them");

    let packet = v4(&[1, 1, 1, 0], 6, &[0; 20]);
    let datagram = Datagram::parse(&packet).unwrap();
    assert_eq!(datagram.place(), at(24, 9, 6));
    assert_eq!((datagram.tos(), datagram.ttl()), (0x11, 9));
    assert!(datagram.is_ipv4() && !datagram.may_fragment());
}

#[test]
fn fragments_say_so() {
    let fragment = |field: u16| {
        let [high, low] = field.to_be_bytes();
        let bytes = [17, 0, high, low, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        let packet = v6(44, &bytes);
        let datagram = Datagram::parse(&packet).unwrap();
        (datagram.is_fragment(), datagram.fragment().unwrap())
    };
    let id = 0x0102_0304;
    let says = |offset, more| Fragment { offset, more, id };
    assert_eq!(fragment(0), (false, says(0, false)), "atomic");
    assert_eq!(fragment(1), (true, says(0, true)));
    assert_eq!(
        fragment(0x0fff),
        (true, says(0x0ff8, true)),
        "reserved bits are ignored"
    );
    assert_eq!(fragment(0x0008), (true, says(8, false)));

    // The bytes behind a later fragment's header are no extension headers.
    let packet = v6(44, &[60, 0, 0, 8, 0, 0, 0, 1, 43, 255, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Datagram::parse(&packet).unwrap().place().at, 48);
}

#[test]
fn chains_that_lie_are_refused() {
    let refused = |first, bytes: &[u8]| Datagram::parse(&v6(first, bytes)).unwrap_err();
    assert_eq!(refused(0, &[6, 1, 0, 0, 0, 0, 0, 0]), Malformed::Length);
    assert_eq!(refused(43, &[6, 0]), Malformed::Short);
    let (first, bytes) = chain(&[60, 0], 6);
    assert_eq!(
        refused(first, &bytes),
        Malformed::Chain,
        "hop-by-hop is not the first"
    );
    let (first, bytes) = chain(&[60; 9], 6);
    assert_eq!(refused(first, &bytes), Malformed::Chain);
    let (first, bytes) = chain(&[60; 8], 6);
    assert!(Datagram::parse(&v6(first, &bytes)).is_ok());
    assert_eq!(Datagram::parse(&[]).unwrap_err(), Malformed::Short);
    assert_eq!(
        Datagram::parse(&[0x50; 64]).unwrap_err(),
        Malformed::Version
    );
}

#[test]
fn a_finished_header_fits_its_packet() {
    let mut packet = v4(&[], 6, &[0; 8]);
    packet.extend([0; 24]);
    finish(&mut packet, 9, 51).unwrap();
    let ip = ipv4::Ipv4::parse(&packet).unwrap();
    assert_eq!((ip.total_len(), ip.protocol()), (52, 51));

    let mut packet = v6(6, &[0; 8]);
    packet.extend([0; 24]);
    finish(&mut packet, 6, 51).unwrap();
    let datagram = Datagram::parse(&packet).unwrap();
    assert_eq!((datagram.total_len(), datagram.place().next), (72, 51));

    let mut long = v4(&[], 6, &[]);
    long.resize(65_536, 0);
    assert_eq!(finish(&mut long, 9, 6), Err(Malformed::Length));
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(mut bytes in prop::collection::vec(any::<u8>(), 0..160), v6: bool) {
        if let Some(first) = bytes.first_mut() {
            *first = if v6 { 0x60 } else { 0x46 };
        }
        if v6 && bytes.len() >= 40 {
            bytes[4] = 0;
            bytes[6] = [0, 43, 44, 60][usize::from(bytes[6] % 4)];
        }
        if let Ok(datagram) = Datagram::parse(&bytes) {
            let place = datagram.place();
            prop_assert_eq!(datagram.headers().len() + datagram.payload().len(), datagram.total_len());
            prop_assert_eq!(bytes[place.next_at], place.next);
        }
    }

    #[test]
    fn what_ah_covers_is_covered_alike_at_both_ends(
        mut bytes in prop::collection::vec(any::<u8>(), 20..60),
        kinds in prop::collection::vec(prop::sample::select(vec![0_u8, 43, 60]), 0..4),
        is_v6: bool,
        on_the_way: [u8; 4],
    ) {
        let changes: &[usize] = if is_v6 {
            let (first, chain) = chain(&kinds, 51);
            bytes = v6(first, &chain);
            // The lower half of the traffic class and of the flow label, and the hop limit.
            &[1, 2, 3, 7]
        } else {
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[0] = 0x40 + u8::try_from(bytes.len() / 4).unwrap();
            &[1, 6, 8, 11]
        };
        let mut sent = vec![0; bytes.len()];
        let result = normalise(&bytes, &mut sent);
        let mut arrived = bytes.clone();
        for (at, change) in changes.iter().zip(on_the_way) {
            arrived[*at] ^= change;
        }
        let mut received = vec![0; bytes.len()];
        prop_assert_eq!(normalise(&arrived, &mut received), result);
        if result.is_ok() {
            prop_assert_eq!(&received, &sent);
            let mut again = vec![0; bytes.len()];
            prop_assert_eq!(normalise(&sent, &mut again), Ok(()));
            prop_assert_eq!(again, sent, "nothing is left to take out");
        }
    }
}
