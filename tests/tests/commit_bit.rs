//! The commit bit: no packet into an SA before the other side says CONNECTED.

use core::time::Duration;

use hw_offload::Engines;
use ipsec_core::Instant;
use ipsec_core::wire::ipv4::Ipv4;
use isakmp_core::Report;
use isakmp_core::wire::Header;
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, attempts, basic, bundles, failures, isakmp, one, pair_with, ping_both, story,
};

const MINUTE: Instant = Instant::from_secs(60);
/// Main mode, quick mode, CONNECTED.
const MESSAGES: u64 = 10;

fn configs(a: bool, b: bool) -> [String; 2] {
    let policy = "CREATE ISAKMP POLICY=i";
    let sets = |on: bool| if on { "SETCOMMITBIT=TRUE" } else { "" };
    let configs = one(&basic(), 0, policy, &format!("{policy} {}", sets(a)));
    one(&configs, 1, policy, &format!("{policy} {}", sets(b)))
}

const BOTH: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

/// The ISAKMP header of a datagram on the WAN.
fn header(packet: &[u8]) -> Option<Header> {
    let ip = Ipv4::parse(packet).ok().filter(|ip| ip.protocol() == 17)?;
    Header::parse(ip.payload().get(8..)?)
        .ok()
        .map(|(header, _)| header)
}

/// Messages on the WAN in order: E for ESP, C for an informational one, q and Q for quick mode
/// without and with the commit bit; main mode is left out.
fn order<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) -> std::sync::Arc<std::sync::Mutex<String>> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let shared = std::sync::Arc::clone(&seen);
    pair.road = Some(Box::new(move |_, _, packet| {
        let letter = match header(packet) {
            None => "E",
            Some(header) => match (header.exchange.number(), header.flags.commit()) {
                (5, _) => "C",
                (32, true) => "Q",
                (32, false) => "q",
                _ => "",
            },
        };
        shared.lock().expect("nobody panicked").push_str(letter);
        vec![(Duration::ZERO, packet.to_vec())]
    }));
    seen
}

story!(nothing_is_sent_before_connected, |engines, seed| {
    for ((a, b), known) in BOTH.into_iter().zip(["QqQC", "qQqC", "QQQC"]) {
        let mut pair = pair_with(&engines, &configs(a, b), seed);
        let order = order(&mut pair);
        ping_both(&mut pair);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        let order = order.lock().expect("nobody panicked").clone();
        // Who set the bit is ready before it says so; where both did, that is B.
        assert!(order.starts_with(known), "{order}");
        assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
        let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
        assert_eq!(up, (1, 1));
        assert!(
            pair.now < Instant::from_secs(2),
            "nobody waited for a timer"
        );
    }
});

story!(each_message_may_be_lost, |engines, seed| {
    for (a, b) in BOTH {
        for lost in 0..MESSAGES {
            let mut pair = pair_with(&engines, &configs(a, b), seed);
            pair.road = Some(Box::new(move |_, number, packet| {
                let copy = (Duration::ZERO, packet.to_vec());
                if number == lost {
                    Vec::new()
                } else {
                    vec![copy]
                }
            }));
            ping_both(&mut pair);
            assert!(pair.run(MINUTE), "{a} {b} {lost}: {:?}", failures(&pair));
            pair.run_to(MINUTE);
            assert_eq!(failures(&pair), [""; 0], "{a} {b}: message {lost} lost");
            let (a, b) = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
            assert!(
                a == b && (1..=2).contains(&a),
                "message {lost} lost: {a}, {b}"
            );
        }
    }
});

story!(each_message_may_come_twice, |engines, seed| {
    for (a, b) in BOTH {
        for twice in 0..MESSAGES {
            for later in [0, 5, 5_000] {
                let mut pair = pair_with(&engines, &configs(a, b), seed);
                pair.road = Some(Box::new(move |_, number, packet| {
                    let copies = if number == twice { 2 } else { 1 };
                    let late = |copy: u64| Duration::from_millis(copy * later);
                    (0..copies)
                        .map(|copy| (late(copy), packet.to_vec()))
                        .collect()
                }));
                ping_both(&mut pair);
                assert!(pair.run(MINUTE), "{a} {b} {twice}: {:?}", failures(&pair));
                pair.run_to(MINUTE);
                assert_eq!(failures(&pair), [""; 0], "{a} {b}: message {twice} twice");
                let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
                assert_eq!(up, (1, 1), "{a} {b}: message {twice} twice");
            }
        }
    }
});

story!(threat_c4_connected_never_comes, |engines, seed| {
    for (a, b) in BOTH {
        let mut pair = pair_with(&engines, &configs(a, b), seed);
        pair.road = Some(Box::new(|_, _, packet| {
            let informational = header(packet).is_some_and(|h| h.exchange.number() == 5);
            let copy = (Duration::ZERO, packet.to_vec());
            if informational {
                Vec::new()
            } else {
                vec![copy]
            }
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        // One message timeout, and the next ping.
        assert!(pair.now <= Instant::from_secs(6), "{a} {b}: {:?}", pair.now);
        assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
    }
});

story!(threat_c4_the_bit_is_forged, |engines, seed| {
    // In either direction of quick mode, in main mode, everywhere.
    for (of, by) in [
        (32, Some(Side::A)),
        (32, Some(Side::B)),
        (2, None),
        (32, None),
    ] {
        let mut pair = pair_with(&engines, &basic(), seed);
        pair.road = Some(Box::new(move |side, _, packet| {
            let mut packet = packet.to_vec();
            let hit = header(&packet).is_some_and(|h| h.exchange.number() == of);
            if hit && by.is_none_or(|by| by == side) {
                // IP header, UDP header, and the flags at byte 19.
                packet[20 + 8 + 19] ^= 2;
            }
            vec![(Duration::ZERO, packet)]
        }));
        ping_both(&mut pair);
        assert!(
            pair.run(Instant::from_secs(6)),
            "{of} {by:?}: {:?}",
            failures(&pair)
        );
        assert_eq!(failures(&pair), [""; 0]);
        assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
        assert_eq!(pair.clear, 0);
        let four = isakmp(&pair).filter(
            |(_, r)| matches!(r, Report::Message { message: 4, kind, .. } if kind.number() == 32),
        );
        assert_eq!(four.count(), 0);
    }
});
