//! Somebody on the road changes, invents and repeats messages.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ipsec_core::Instant;
use isakmp_core::Report;
use lab::Side;
use sekisho_tests::{
    at_rest, attempts, basic, both, bundles, failures, isakmp, isakmp_sas, pair, pair_with,
    ping_both, steady, story,
};

/// Where the ISAKMP message begins in an IPv4 datagram.
const UDP_PAYLOAD: usize = 28;

/// threats.md B4: what proves its sender is changed in one byte and comes first. It moves nothing:
/// the true message that follows is understood, and no exchange needs a second attempt.
#[test]
fn a_forged_message_moves_nothing() {
    for (message, length) in [(4, 92), (5, 92), (6, 148), (7, 148), (8, 52)] {
        for place in 0..length {
            let mut pair = pair(&basic(), 7);
            pair.road = Some(Box::new(move |_, number, packet| {
                let mut copies = vec![(Duration::ZERO, packet.to_vec())];
                if number == message {
                    let mut forged = packet.to_vec();
                    forged[UDP_PAYLOAD + place] ^= 0x40;
                    copies.insert(0, (Duration::ZERO, forged));
                }
                copies
            }));
            ping_both(&mut pair);
            let up = pair.run(Instant::from_secs(3));
            let what = format!("message {message}, byte {place}");
            assert!(up, "{what}: {:?}", failures(&pair));
            assert_eq!(failures(&pair), [""; 0], "{what}");
            assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1), "{what}");
            let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
            assert_eq!((up, pair.clear), ((1, 1), 0), "{what}");
        }
    }
}

/// The first four messages prove nothing. Forged ones may cost an attempt, never more.
#[test]
fn forged_openings_cost_an_attempt_at_most() {
    for (message, length) in [(0, 84), (1, 84), (2, 152), (3, 152)] {
        for place in 0..length {
            let mut pair = pair(&basic(), 7);
            pair.road = Some(Box::new(move |_, number, packet| {
                let mut copies = vec![(Duration::ZERO, packet.to_vec())];
                if number == message {
                    let mut forged = packet.to_vec();
                    forged[UDP_PAYLOAD + place] ^= 0x40;
                    copies.insert(0, (Duration::ZERO, forged));
                }
                copies
            }));
            ping_both(&mut pair);
            let up = pair.run(Instant::from_secs(600));
            assert!(up, "message {message}, byte {place}: {:?}", failures(&pair));
            assert_eq!(pair.clear, 0);
            pair.run_to(Instant::from_secs(1000));
            at_rest(&mut pair);
        }
    }
}

story!(
    threat_c1_recorded_messages_make_no_new_sa,
    |engines, seed| {
        let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
        let configs = both(&configs, "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=600");
        let mut pair = pair_with(engines, &configs, seed);
        let record = Rc::new(RefCell::new(Vec::new()));
        let tape = Rc::clone(&record);
        pair.road = Some(Box::new(move |side, _, packet| {
            if packet[9] == 17 {
                tape.borrow_mut().push((side, packet.to_vec()));
            }
            vec![(Duration::ZERO, packet.to_vec())]
        }));
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        // A renewal and its Delete are on the tape too.
        steady(&mut pair, 5, 560);
        pair.road = None;
        let tape = record.borrow().clone();
        assert!(tape.len() >= 13, "{}", tape.len());
        let count = |pair: &mut lab::Pair<E>| {
            [Side::A, Side::B].map(|side| (bundles(pair, side), isakmp_sas(pair, side)))
        };
        let before = (count(&mut pair), attempts(&pair, 1), attempts(&pair, 2));
        for later in [0, 1, 7, 200] {
            pair.run_to(pair.now + Duration::from_secs(later));
            for (from, packet) in &tape {
                let now = pair.now;
                // To whom it was meant, and back to its sender.
                for side in [from.other(), *from] {
                    pair.router(side).receive(now, packet);
                    pair.turn(side);
                }
            }
            pair.run_to(pair.now + Duration::from_secs(1));
            let after = (count(&mut pair), attempts(&pair, 1), attempts(&pair, 2));
            assert_eq!(after, before, "{later} s later");
        }
        let gone = isakmp(&pair).any(|(_, report)| matches!(report, Report::SaGone { .. }));
        assert!(!gone);
        pair.run_to(pair.now + Duration::from_secs(130));
        at_rest(&mut pair);
    }
);
