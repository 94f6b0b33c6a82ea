//! Main mode and Quick mode: undisturbed, and with each message lost, doubled or late.

use core::time::Duration;

use hw_offload::Engines;
use ipsec_core::Instant;
use isakmp_core::Report;
use lab::{Buf, Pair, Side};
use sekisho_tests::{attempts, basic, bundles, failures, isakmp, pair_with, ping_both, story};

const MINUTE: Instant = Instant::from_secs(60);
/// Messages of Main mode and Quick mode together.
const MESSAGES: u64 = 9;

story!(nine_messages_bring_the_tunnel_up, |engines, seed| {
    let mut pair = pair_with(engines, &basic(), seed);
    ping_both(&mut pair);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    let sent = isakmp(&pair).filter(|(_, r)| matches!(r, Report::Message { sent: true, .. }));
    assert_eq!(sent.count() as u64, MESSAGES);
    assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
    assert_eq!(
        (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B)),
        (1, 1)
    );
    assert_eq!(pair.clear, 0);
});

/// Both sides know the same bundles (two, where both sides negotiated at the same time), and
/// packets still pass both ways.
fn settled<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    pair.run_to(MINUTE);
    let (a, b) = (bundles(pair, Side::A), bundles(pair, Side::B));
    assert!(
        a == b && (1..=2).contains(&a),
        "{what}: {a} and {b} bundles"
    );
    let messages = pair.happenings.len();
    ping_both(pair);
    assert!(
        pair.run(MINUTE + Duration::from_secs(3)),
        "{what}: no packet passes any more"
    );
    assert_eq!(
        pair.happenings.len(),
        messages,
        "{what}: something is still going on"
    );
}

story!(each_message_may_be_lost, |engines, seed| {
    for lost in 0..MESSAGES {
        let mut pair = pair_with(&engines, &basic(), seed);
        pair.road = Some(Box::new(move |_, number, packet| {
            if number == lost {
                Vec::new()
            } else {
                vec![(Duration::ZERO, packet.to_vec())]
            }
        }));
        ping_both(&mut pair);
        assert!(
            pair.run(MINUTE),
            "message {lost} lost: {:?}",
            failures(&pair)
        );
        assert_eq!(failures(&pair), [""; 0], "message {lost} lost");
        settled(&mut pair, &format!("message {lost} lost"));
    }
});

story!(each_message_may_come_twice, |engines, seed| {
    for twice in 0..MESSAGES {
        for later in [0, 5, 500, 5_000] {
            let mut pair = pair_with(&engines, &basic(), seed);
            pair.road = Some(Box::new(move |_, number, packet| {
                let copies = if number == twice { 2 } else { 1 };
                let late = |copy: u64| Duration::from_millis(copy * later);
                (0..copies)
                    .map(|copy| (late(copy), packet.to_vec()))
                    .collect()
            }));
            ping_both(&mut pair);
            assert!(
                pair.run(MINUTE),
                "message {twice} twice: {:?}",
                failures(&pair)
            );
            pair.run_to(MINUTE);
            assert_eq!(
                failures(&pair),
                [""; 0],
                "message {twice} twice, {later} ms later"
            );
            assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
            let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
            assert_eq!(up, (1, 1), "message {twice} twice, {later} ms later");
        }
    }
});

story!(
    each_message_may_be_later_than_its_retransmission,
    |engines, seed| {
        for late in 0..MESSAGES {
            let mut pair = pair_with(&engines, &basic(), seed);
            pair.road = Some(Box::new(move |_, number, packet| {
                let delay = Duration::from_secs(if number == late { 6 } else { 0 });
                vec![(delay, packet.to_vec())]
            }));
            ping_both(&mut pair);
            assert!(
                pair.run(MINUTE),
                "message {late} late: {:?}",
                failures(&pair)
            );
            assert_eq!(failures(&pair), [""; 0], "message {late} late");
            settled(&mut pair, &format!("message {late} late"));
        }
    }
);
