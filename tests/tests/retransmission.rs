//! When a message is sent again, for how long, and who answers a repetition.

use std::time::Duration;

use ipsec_core::Instant;
use isakmp_core::reason::Subject;
use isakmp_core::wire::ExchangeType::{Main, Quick};
use lab::{Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, basic, both, bundles, command, failed, failures, pair, pair_with, story,
    transmissions,
};

/// A way of the network: what becomes of a packet by its sender and its number on the WAN.
type Fate = fn(Side, u64) -> bool;

fn with_losses(configs: &[String; 2], passes: Fate) -> Pair {
    let mut pair = pair(configs, 1);
    pair.road = Some(Box::new(move |side, number, packet| {
        let copies = usize::from(passes(side, number));
        vec![(Duration::ZERO, packet.to_vec()); copies]
    }));
    pair
}

fn seconds(times: &[Instant]) -> Vec<u64> {
    times
        .iter()
        .map(|at| at.since(Instant::ZERO).as_secs())
        .collect()
}

/// Protocol notes §10: 4, 8, 16, 24, ... 64 s between transmissions, given up after 292 s.
#[test]
fn waits_grow_and_end_after_292_seconds() {
    let mut pair = with_losses(&basic(), |_, _| false);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(292));
    assert_eq!(
        seconds(&transmissions(&pair, Side::A, (Main, 1)))[..9],
        [0, 4, 12, 28, 52, 84, 124, 172, 228]
    );
    assert_eq!(
        failed(&pair, Side::A),
        [(Instant::from_secs(292), Subject::Timeout)]
    );
}

#[test]
fn the_policy_sets_timeout_limit_and_back_off() {
    for (parameters, times, end) in [
        (
            "MSGTIMEOUT=3 MSGRETRYLIMIT=2 MSGBACKOFF=NONE",
            &[0, 3, 6][..],
            9,
        ),
        ("MSGTIMEOUT=1 MSGRETRYLIMIT=3", &[0, 1, 3, 7], 13),
        ("MSGRETRYLIMIT=0", &[0], 4),
        ("MSGTIMEOUT=70000 MSGRETRYLIMIT=1", &[0, 70_000], 210_000),
    ] {
        let configs = both(&basic(), "SENDN=TRUE", &format!("SENDN=TRUE {parameters}"));
        let mut pair = with_losses(&configs, |_, _| false);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(end));
        let sent = seconds(&transmissions(&pair, Side::A, (Main, 1)));
        assert_eq!(sent[..times.len()], *times, "{parameters}");
        let end = (Instant::from_secs(end), Subject::Timeout);
        assert_eq!(failed(&pair, Side::A), [end], "{parameters}");
    }
}

/// Every later message waits in the same way, and the exchange ends.
#[test]
fn messages_3_and_5_and_quick_mode_1_are_repeated_alike() {
    for (passing, message) in [(2, (Main, 3)), (4, (Main, 5)), (6, (Quick, 1))] {
        let mut pair = pair(&basic(), 1);
        pair.road = Some(Box::new(move |_, number, packet| {
            vec![(Duration::ZERO, packet.to_vec()); usize::from(number < passing)]
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(293));
        let sent = transmissions(&pair, Side::A, message);
        let waits: Vec<u64> = sent[..9]
            .iter()
            .map(|at| at.since(sent[0]).as_secs())
            .collect();
        assert_eq!(waits, [0, 4, 12, 28, 52, 84, 124, 172, 228], "{message:?}");
        let ends: Vec<_> = failed(&pair, Side::A);
        assert_eq!(ends.len(), 1, "{message:?}: {ends:?}");
        assert_eq!(ends[0].0.since(sent[0]).as_secs(), 292);
    }
}

/// threats.md: an address that is not proven gets no packet by a timer.
#[test]
fn a_responder_repeats_message_2_only_when_asked() {
    let mut pair = with_losses(&basic(), |side, _| side == Side::A);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(100));
    let asked = transmissions(&pair, Side::A, (Main, 1));
    let answered = transmissions(&pair, Side::B, (Main, 2));
    assert_eq!(asked.len(), 6);
    let delay = pair.weather.delay;
    let expected: Vec<Instant> = asked.iter().map(|at| *at + delay).collect();
    assert_eq!(answered, expected);
}

/// From message 4 on it repeats by itself. Somebody who repeats message 3 gets message 4 each
/// time, but does not use up the transmissions meant for the peer.
#[test]
fn repetitions_do_not_shorten_an_exchange() {
    let mut pair = pair(&basic(), 1);
    pair.road = Some(Box::new(|side, number, packet| match (side, number) {
        (_, 0 | 1) => vec![(Duration::ZERO, packet.to_vec())],
        (Side::A, 2) => (0..40)
            .map(|copy| (Duration::from_millis(copy * 10), packet.to_vec()))
            .collect(),
        _ => Vec::new(),
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(290));
    let sent = transmissions(&pair, Side::B, (Main, 4));
    assert_eq!(sent.len(), 9 + 39);
    assert_eq!(failed(&pair, Side::B), []);
    pair.run_to(Instant::from_secs(293));
    let (at, subject) = failed(&pair, Side::B)[0];
    assert_eq!(
        (at.since(sent[0]).as_secs(), subject),
        (292, Subject::Timeout)
    );
}

story!(the_last_message_is_kept_for_repetitions, |engines, seed| {
    // Message 6 is lost five times, quick mode message 3 likewise.
    for lost in [(Side::B, 5), (Side::A, 8)] {
        let mut pair = pair_with(&engines, &basic(), seed);
        let mut losses = 0;
        pair.road = Some(Box::new(move |side, number, packet| {
            let hit = side == lost.0 && number >= lost.1 && losses < 5 && packet[9] == 17;
            losses += u32::from(hit);
            vec![(Duration::ZERO, packet.to_vec()); usize::from(!hit)]
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(Instant::from_secs(200)), "{:?}", failures(&pair));
        pair.run_to(Instant::from_secs(250));
        assert_eq!(failures(&pair), [""; 0], "{lost:?}");
        assert_eq!(bundles(&mut pair, Side::B), 1);
    }
});

/// DELETEDELAY=0: the exchange is gone with its last message, and a repetition meets silence.
#[test]
fn without_deletedelay_nothing_is_kept() {
    for (delay, ends_well) in [("DELETEDELAY=0", false), ("DELETEDELAY=30", true)] {
        let configs = both(&basic(), "SENDN=TRUE", &format!("SENDN=TRUE {delay}"));
        let mut pair = with_losses(&configs, |_, number| number != 5);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(20));
        assert_eq!(
            bundles(&mut pair, Side::A),
            usize::from(ends_well),
            "{delay}"
        );
    }
}

/// Message 3 of quick mode was lost, and then the initiator's bundle goes: the responder, which asks
/// for it again, must not be left alone with SAs that nobody has.
#[test]
fn what_is_gone_is_confirmed_to_nobody() {
    let lost = |_, number| number != 8;
    let mut pair = with_losses(&basic(), lost);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(1));
    assert_eq!(bundles(&mut pair, Side::A), 1);
    assert_eq!(transmissions(&pair, Side::A, (Quick, 3)).len(), 1);
    command(&mut pair, Side::A, "DISABLE IPSEC");
    pair.run_to(Instant::from_secs(60));
    assert!(transmissions(&pair, Side::B, (Quick, 2)).len() > 2);
    assert_eq!(bundles(&mut pair, Side::B), 0);
}
