//! Aggressive mode: both roles, disturbed in every gap, identities, and strangers.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use hw_offload::Engines;
use ipsec_core::Instant;
use isakmp_core::Report;
use isakmp_core::reason::Subject;
use isakmp_core::wire::ExchangeType;
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, attempts, basic, both, bundles, config, failed, failures, isakmp, one,
    pair_with, ping_both, story, transmissions,
};

const MINUTE: Instant = Instant::from_secs(60);
/// Messages of Aggressive mode and Quick mode together.
const MESSAGES: u64 = 6;
/// Where the exchange type and the flags stand in an IPv4 datagram.
const EXCHANGE: usize = 28 + 18;
const FLAGS: usize = 28 + 19;

/// The side without a fixed address, B, begins; A expects its name.
fn dynamic() -> [String; 2] {
    [
        config("aggressive-dynamic.a"),
        config("aggressive-dynamic.b"),
    ]
}

/// Both have fixed addresses, and either may begin.
fn fixed() -> [String; 2] {
    both(&basic(), "SENDN=TRUE", "SENDN=TRUE MODE=AGGRESSIVE")
}

fn phase1_messages<E: Engines<Buf = Buf>>(pair: &Pair<E>) -> usize {
    let sent = |side| (1..=3).map(move |message| (side, message));
    let all = sent(Side::A).chain(sent(Side::B));
    all.map(|(side, message)| transmissions(pair, side, (ExchangeType::Aggressive, message)).len())
        .sum()
}

story!(three_messages_bring_the_sa_up, |engines, seed| {
    for (configs, side) in [(dynamic(), Side::B), (fixed(), Side::A), (fixed(), Side::B)] {
        let mut pair = pair_with(&engines, &configs, seed);
        // Public values are made beforehand.
        pair.run_to(Instant::from_secs(1));
        let (from, to) = match side {
            Side::A => (HOST_A, HOST_B),
            Side::B => (HOST_B, HOST_A),
        };
        let now = pair.now;
        pair.ping(from, to, now);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        assert_eq!(phase1_messages(&pair), 3);
        let sent = isakmp(&pair).filter(|(_, r)| matches!(r, Report::Message { sent: true, .. }));
        assert_eq!(sent.count() as u64, MESSAGES);
        assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
        let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
        assert_eq!((up, pair.clear), ((1, 1), 0));
        at_rest(&mut pair);
    }
});

/// Both sides know the same bundles, and packets still pass both ways.
fn settled<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    pair.run_to(MINUTE);
    let (a, b) = (bundles(pair, Side::A), bundles(pair, Side::B));
    assert!(
        a == b && (1..=2).contains(&a),
        "{what}: {a} and {b} bundles"
    );
    ping_both(pair);
    let up = pair.run(MINUTE + Duration::from_secs(3));
    assert!(up, "{what}: no packet passes any more");
}

story!(each_message_may_be_lost, |engines, seed| {
    for configs in [dynamic(), fixed()] {
        for lost in 0..MESSAGES {
            let mut pair = pair_with(&engines, &configs, seed);
            pair.run_to(Instant::from_secs(1));
            pair.road = Some(Box::new(move |_, number, packet| {
                let copy = (Duration::ZERO, packet.to_vec());
                if number == lost {
                    Vec::new()
                } else {
                    vec![copy]
                }
            }));
            let now = pair.now;
            pair.ping(HOST_B, HOST_A, now);
            let up = pair.run(MINUTE);
            assert!(up, "message {lost} lost: {:?}", failures(&pair));
            assert_eq!(failures(&pair), [""; 0], "message {lost} lost");
            // Whatever was lost, the first retransmission heals it.
            let last = pair.pings.iter().filter_map(|ping| ping.answered).max();
            assert!(last < Some(Instant::from_secs(12)), "{lost}: {last:?}");
            settled(&mut pair, &format!("message {lost} lost"));
        }
    }
});

story!(each_message_may_come_twice, |engines, seed| {
    for twice in 0..MESSAGES {
        for later in [0, 5, 500, 5_000] {
            let mut pair = pair_with(&engines, &dynamic(), seed);
            pair.run_to(Instant::from_secs(1));
            pair.road = Some(Box::new(move |_, number, packet| {
                let copies = if number == twice { 2 } else { 1 };
                let late = |copy: u64| Duration::from_millis(copy * later);
                (0..copies)
                    .map(|copy| (late(copy), packet.to_vec()))
                    .collect()
            }));
            let now = pair.now;
            pair.ping(HOST_B, HOST_A, now);
            let what = format!("message {twice} twice, {later} ms later");
            assert!(pair.run(MINUTE), "{what}: {:?}", failures(&pair));
            pair.run_to(MINUTE);
            assert_eq!(failures(&pair), [""; 0], "{what}");
            assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1), "{what}");
            let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
            assert_eq!(up, (1, 1), "{what}");
        }
    }
});

story!(each_message_may_be_late, |engines, seed| {
    for late in 0..MESSAGES {
        let mut pair = pair_with(&engines, &dynamic(), seed);
        pair.run_to(Instant::from_secs(1));
        pair.road = Some(Box::new(move |_, number, packet| {
            let delay = Duration::from_secs(if number == late { 6 } else { 0 });
            vec![(delay, packet.to_vec())]
        }));
        let now = pair.now;
        pair.ping(HOST_B, HOST_A, now);
        let up = pair.run(MINUTE);
        assert!(up, "message {late} late: {:?}", failures(&pair));
        assert_eq!(failures(&pair), [""; 0], "message {late} late");
        settled(&mut pair, &format!("message {late} late"));
    }
});

story!(identities_of_every_form, |engines, seed| {
    for (local, remote, fits) in [
        ("RouterB", "RouterB", true),
        ("joger@example.net", "joger@example.net", true),
        (
            "\"cn=joge,o=ournet,c=jp\"",
            "\"CN=joge, O=ournet, C=JP\"",
            true,
        ),
        ("192.168.9.9", "192.168.9.9", true),
        ("RouterB", "RouterC", false),
        ("RouterB", "routerb", false),
        ("\"cn=joge,o=ournet\"", "\"cn=joge,o=other\"", false),
        ("2.2.2.2", "RouterB", false),
    ] {
        let configs = one(
            &dynamic(),
            1,
            "LOCALID=\"RouterB\"",
            &format!("LOCALID={local}"),
        );
        let configs = one(
            &configs,
            0,
            "REMOTEID=\"RouterB\"",
            &format!("REMOTEID={remote}"),
        );
        let mut pair = pair_with(&engines, &configs, seed);
        pair.run_to(Instant::from_secs(1));
        let now = pair.now;
        pair.ping(HOST_B, HOST_A, now);
        assert_eq!(pair.run(Instant::from_secs(8)), fits, "{local} {remote}");
        if !fits {
            // A stranger hears nothing at all.
            let sent = |(at, report): (&lab::Happening, &Report)| {
                at.side == Side::A && matches!(report, Report::Message { sent: true, .. })
            };
            assert!(!isakmp(&pair).any(sent), "{local} {remote}");
            assert_eq!(failed(&pair, Side::A)[0].1, Subject::Identity);
        }
    }
});

story!(a_wrong_key_comes_to_nothing, |engines, seed| {
    let configs = one(&dynamic(), 1, "jogefoge", "fogejoge");
    let mut pair = pair_with(&engines, &configs, seed);
    pair.run_to(Instant::from_secs(1));
    let now = pair.now;
    pair.ping(HOST_B, HOST_A, now);
    assert!(!pair.run(Instant::from_secs(400)));
    assert_eq!(failed(&pair, Side::B)[0].1, Subject::PreSharedKey);
    assert_eq!(pair.clear, 0);
    let sas = [Side::A, Side::B].map(|side| sekisho_tests::isakmp_sas(&mut pair, side));
    assert_eq!(sas, [0, 0]);
});

/// A peer with another MODE is told apart from a peer with another proposal.
#[test]
fn both_sides_must_use_the_same_mode() {
    for place in [0, 1] {
        let configs = one(&basic(), place, "SENDN=TRUE", "SENDN=TRUE MODE=AGGRESSIVE");
        let mut pair = sekisho_tests::pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(!pair.run(Instant::from_secs(10)));
        assert_eq!(failed(&pair, Side::B)[0].1, Subject::Mode);
    }
}

/// A forged message 2, 3 or first quick mode message costs nothing: the true one is understood.
#[test]
fn threat_b4_forged_messages_move_nothing() {
    for (message, length) in [(1, 244), (2, 84), (3, 148)] {
        for place in 16..length {
            let mut pair = sekisho_tests::pair(&dynamic(), 7);
            pair.run_to(Instant::from_secs(1));
            pair.road = Some(Box::new(move |_, number, packet| {
                let mut copies = vec![(Duration::ZERO, packet.to_vec())];
                if number == message {
                    let mut forged = packet.to_vec();
                    forged[28 + place] ^= 0x40;
                    copies.insert(0, (Duration::ZERO, forged));
                }
                copies
            }));
            pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
            let what = format!("message {message}, byte {place}");
            assert!(
                pair.run(Instant::from_secs(8)),
                "{what}: {:?}",
                failures(&pair)
            );
            assert_eq!(failures(&pair), [""; 0], "{what}");
            assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1), "{what}");
        }
    }
}

/// The initiator always enciphers its last message; one whose flag somebody cleared is noise.
#[test]
fn message_three_is_enciphered() {
    let mut pair = sekisho_tests::pair(&dynamic(), 3);
    pair.run_to(Instant::from_secs(1));
    let (seen, sees) = std::sync::mpsc::channel();
    pair.road = Some(Box::new(move |side, number, packet| {
        if side == Side::B && packet.get(EXCHANGE) == Some(&4) {
            seen.send((number, packet[FLAGS]))
                .expect("the test listens");
        }
        vec![(Duration::ZERO, packet.to_vec())]
    }));
    pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
    assert!(pair.run(MINUTE));
    let flags: Vec<_> = sees.try_iter().collect();
    assert_eq!(flags, [(0, 0), (2, 1)]);
}

/// threats.md B5: somebody returns whatever a router says, to it and under its peer's address.
#[test]
fn threat_b5_reflection() {
    for configs in [basic(), fixed()] {
        for with_cookie in [false, true] {
            let mut pair = sekisho_tests::pair(&configs, 5);
            let tape = Rc::new(RefCell::new(Vec::new()));
            let heard = Rc::clone(&tape);
            pair.road = Some(Box::new(move |_, _, packet| {
                heard.borrow_mut().push(packet.to_vec());
                Vec::new()
            }));
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            let mut returned = 0;
            for _ in 0..100 {
                pair.run_to(pair.now + Duration::from_millis(100));
                for packet in tape.take() {
                    let mut back = packet.clone();
                    back[12..16].copy_from_slice(&packet[16..20]);
                    back[16..20].copy_from_slice(&packet[12..16]);
                    if with_cookie {
                        // A responder's cookie, so that it looks like an answer.
                        back[28 + 8..28 + 16].copy_from_slice(&[7; 8]);
                    }
                    let now = pair.now;
                    pair.a.receive(now, &back);
                    pair.turn(Side::A);
                    returned += 1;
                }
            }
            assert!(returned > 0);
            assert_eq!(sekisho_tests::isakmp_sas(&mut pair, Side::A), 0);
        }
    }
}
