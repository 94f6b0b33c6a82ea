//! Whether a peer is still there: dead peer detection, heartbeats, and what follows when it is
//! not.

use core::time::Duration;

use hw_offload::Engines;
use ipsec_core::{Instant, RemoveWhy};
use isakmp_core::device::DeviceReport;
use isakmp_core::dpd::DpdStatus;
use isakmp_core::wire::ExchangeType;
use isakmp_core::{LostBy, Report};
use lab::{Buf, Pair, Side, is_udp};
use sekisho_tests::{
    HOST_A, HOST_B, basic, both, bundles, failures, isakmp, isakmp_sas, one, pair, pair_with,
    ping_both, story, transmissions,
};

/// The basic VPN with parameters for the ISAKMP policies of A and B.
fn configs(a: &str, b: &str) -> [String; 2] {
    let policy = "CREATE ISAKMP POLICY=i";
    let configs = one(&basic(), 0, policy, &format!("{policy} {a}"));
    one(&configs, 1, policy, &format!("{policy} {b}"))
}

/// A pair whose tunnel is up, at the time of the last packet.
fn up<E: Engines<Buf = Buf>>(
    engines: impl Fn(Side) -> E,
    configs: &[String; 2],
    seed: u64,
) -> Pair<E> {
    let mut pair = pair_with(engines, configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    pair
}

/// Nothing crosses the WAN any more.
fn cut<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) {
    pair.road = Some(Box::new(|_, _, _| Vec::new()));
}

/// Informational messages that a side sent.
fn told<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side) -> Vec<Instant> {
    transmissions(pair, side, (ExchangeType::Informational, 1))
}

fn lost<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side) -> Vec<(Instant, LostBy)> {
    isakmp(pair)
        .filter(|(happening, _)| happening.side == side)
        .filter_map(|(happening, report)| match report {
            Report::PeerLost { by, .. } => Some((happening.at, *by)),
            _ => None,
        })
        .collect()
}

fn status<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, side: Side) -> DpdStatus {
    let sa = pair
        .router(side)
        .device
        .endpoint()
        .sas()
        .next()
        .expect("an SA");
    sa.watch.dpd.status()
}

/// Whole seconds, rounded: messages are under way for milliseconds.
fn seconds(at: Instant, since: Instant) -> u64 {
    (at.since(since).as_millis() as u64 + 500) / 1000
}

story!(the_figure_of_312_seconds, |engines, seed| {
    let configs = configs("DPDMODE=BOTH", "DPDMODE=RECEIVE");
    let mut pair = up(engines, &configs, seed);
    assert_eq!(status(&mut pair, Side::A), DpdStatus::Active);
    assert_eq!(status(&mut pair, Side::B), DpdStatus::ActiveReceive);
    // The first question is answered.
    let start = pair.now;
    pair.run_to(start + Duration::from_secs(21));
    let asked = told(&pair, Side::A);
    assert_eq!(asked.len(), 1);
    assert!((19..=20).contains(&seconds(asked[0], start)), "{asked:?}");
    assert_eq!(told(&pair, Side::B).len(), 1);
    assert_eq!(status(&mut pair, Side::A), DpdStatus::Active);
    cut(&mut pair);
    let answered = asked[0] + 2 * pair.weather.delay;
    let states = [(21, "IdlQy"), (25, "IdlQR"), (311, "IdlQR")];
    for (after, word) in states {
        pair.run_to(answered + Duration::from_secs(after));
        assert_eq!(status(&mut pair, Side::A).short(), word, "after {after} s");
        let exchanges = pair.a.device.endpoint().exchanges(pair.now);
        let states: Vec<_> = exchanges
            .map(|exchange| (exchange.kind, exchange.state))
            .collect();
        assert_eq!(states, [(ExchangeType::Informational, "WAIT_RUTA")]);
    }
    pair.run_to(answered + Duration::from_secs(400));
    let asked: Vec<u64> = told(&pair, Side::A)
        .into_iter()
        .skip(1)
        .map(|at| seconds(at, answered))
        .collect();
    assert_eq!(asked, [20, 24, 32, 48, 72, 104, 144, 192, 248]);
    let lost = lost(&pair, Side::A);
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (seconds(lost[0].0, answered), lost[0].1),
        (312, LostBy::Dpd)
    );
    assert_eq!(
        (bundles(&mut pair, Side::A), isakmp_sas(&mut pair, Side::A)),
        (0, 0)
    );
    let removed = pair.happenings.iter().any(|happening| {
        let why = RemoveWhy::PeerLost;
        matches!(&happening.report, DeviceReport::BundleRemoved { why: w, .. } if *w == why)
    });
    assert!(removed);
    // B has never asked.
    assert_eq!(told(&pair, Side::B).len(), 1);
});

story!(traffic_keeps_dead_peer_detection_quiet, |engines, seed| {
    let mut pair = up(engines, &configs("DPDMODE=BOTH", "DPDMODE=BOTH"), seed);
    for round in 1..40 {
        let now = Instant::from_secs(10 * round);
        pair.run_to(now);
        pair.ping(HOST_A, HOST_B, now);
        assert!(pair.run(now + Duration::from_secs(1)));
    }
    assert_eq!(
        (told(&pair, Side::A).len(), told(&pair, Side::B).len()),
        (0, 0)
    );
});

story!(each_question_and_answer_may_be_lost, |engines, seed| {
    let configs = configs("DPDMODE=BOTH", "DPDMODE=BOTH");
    for lost_one in 0..6 {
        let mut pair = up(&engines, &configs, seed);
        let mut seen = 0;
        pair.road = Some(Box::new(move |_, _, packet| {
            let number = seen;
            seen += 1;
            let copy = (Duration::ZERO, packet.to_vec());
            if number == lost_one {
                Vec::new()
            } else {
                vec![copy]
            }
        }));
        pair.run_to(pair.now + Duration::from_secs(120));
        assert!(lost(&pair, Side::A).is_empty() && lost(&pair, Side::B).is_empty());
        let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
        assert_eq!(up, (1, 1), "message {lost_one} lost");
    }
});

story!(each_question_and_answer_may_come_twice, |engines, seed| {
    let configs = configs("DPDMODE=BOTH", "DPDMODE=RECEIVE");
    let mut pair = up(engines, &configs, seed);
    pair.weather.duplicate = 1.0;
    let start = pair.now;
    pair.run_to(start + Duration::from_secs(201));
    // One question in twenty seconds, and one answer each: a copy is no other message.
    assert_eq!(told(&pair, Side::A).len(), told(&pair, Side::B).len());
    assert!(told(&pair, Side::A).len() <= 10);
    assert_eq!(status(&mut pair, Side::A), DpdStatus::Active);
});

story!(
    nothing_is_asked_of_a_peer_that_does_not_know_it,
    |engines, seed| {
        let mut pair = up(engines, &configs("DPDMODE=BOTH", ""), seed);
        pair.run_to(pair.now + Duration::from_secs(120));
        assert_eq!(status(&mut pair, Side::A).short(), "None");
        assert_eq!(status(&mut pair, Side::B).short(), "");
        assert!(told(&pair, Side::A).is_empty());
    }
);

story!(
    a_dead_peer_is_told_what_goes_where_the_policy_says_so,
    |engines, seed| {
        let short = "DPDMODE=BOTH DPDIDLETIMEOUT=5 MSGTIMEOUT=1 MSGRETRYLIMIT=1 SENDDELETES=TRUE";
        let mut pair = up(engines, &configs(short, "DPDMODE=RECEIVE"), seed);
        cut(&mut pair);
        pair.run_to(pair.now + Duration::from_secs(60));
        // Two questions, a Delete for the bundle, one for the ISAKMP SA.
        assert_eq!(told(&pair, Side::A).len(), 4);
        assert_eq!(lost(&pair, Side::A).len(), 1);
    }
);

story!(
    silence_after_heartbeats_is_told_where_the_policy_says_so,
    |engines, seed| {
        for (more, deletes) in [("", 0), (" SENDDELETES=TRUE", 2)] {
            let receives = format!("HEARTBEATMODE=RECEIVE{more}");
            let mut pair = up(&engines, &configs("HEARTBEATMODE=SEND", &receives), seed);
            pair.run_to(Instant::from_secs(25));
            cut(&mut pair);
            pair.run_to(Instant::from_secs(100));
            assert_eq!(lost(&pair, Side::B).len(), 1, "{more}");
            assert_eq!(bundles(&mut pair, Side::B), 0, "{more}");
            // For the bundle and for the ISAKMP SA.
            assert_eq!(told(&pair, Side::B).len(), deletes, "{more}");
        }
    }
);

story!(a_peer_that_was_lost_comes_back, |engines, seed| {
    let short = "DPDMODE=BOTH DPDIDLETIMEOUT=5 MSGTIMEOUT=1 MSGRETRYLIMIT=1";
    let mut pair = up(engines, &configs(short, short), seed);
    cut(&mut pair);
    pair.run_to(pair.now + Duration::from_secs(60));
    assert_eq!(
        (lost(&pair, Side::A).len(), lost(&pair, Side::B).len()),
        (1, 1)
    );
    pair.road = None;
    ping_both(&mut pair);
    assert!(
        pair.run(pair.now + Duration::from_secs(5)),
        "{:?}",
        failures(&pair)
    );
    assert_eq!(pair.clear, 0);
});

story!(heartbeats_every_twenty_seconds, |engines, seed| {
    let mut pair = up(
        engines,
        &configs("HEARTBEATMODE=SEND", "HEARTBEATMODE=RECEIVE"),
        seed,
    );
    pair.run_to(Instant::from_secs(99));
    let times: Vec<u64> = told(&pair, Side::A)
        .into_iter()
        .map(|at| seconds(at, Instant::ZERO))
        .collect();
    assert_eq!(times, [20, 40, 60, 80]);
    assert!(told(&pair, Side::B).is_empty());
    let sa = pair.b.device.endpoint().sas().next().expect("an SA");
    assert_eq!(
        (sa.watch.heartbeat.last_rx(), sa.watch.heartbeat.next_tx()),
        (4, 1)
    );
    let sa = pair.a.device.endpoint().sas().next().expect("an SA");
    assert_eq!(sa.watch.heartbeat.next_tx(), 5);
    cut(&mut pair);
    pair.run_to(Instant::from_secs(200));
    // Sixty seconds after the last it is over.
    let lost = lost(&pair, Side::B);
    assert_eq!(lost.len(), 1);
    assert_eq!(
        (seconds(lost[0].0, Instant::ZERO), lost[0].1),
        (140, LostBy::Heartbeat)
    );
    assert_eq!(
        (bundles(&mut pair, Side::B), isakmp_sas(&mut pair, Side::B)),
        (0, 0)
    );
});

story!(no_heartbeat_without_agreement, |engines, seed| {
    let mut pair = up(engines, &configs("HEARTBEATMODE=BOTH", ""), seed);
    pair.run_to(Instant::from_secs(300));
    assert!(told(&pair, Side::A).is_empty() && lost(&pair, Side::A).is_empty());
    assert_eq!(
        (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B)),
        (1, 1)
    );
});

/// The extension is of no use where bundles live shorter than the ISAKMP SA: that ends in time.
#[test]
fn short_bundles_extend_nothing() {
    for (seconds, extended) in [(28_800, true), (300, false)] {
        let client = "PEER=ANY REKEY=TRUE EXPIRYSECONDS=600 KEY=1";
        let configs = one(&basic(), 1, "PEER=1.1.1.1 KEY=1", client);
        let string = format!("STRING=\"1\" EXPIRYSECONDS={seconds}");
        let configs = both(&configs, "STRING=\"1\"", &string);
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(Instant::from_secs(5)));
        // No other ISAKMP SA comes up.
        pair.road = Some(Box::new(|_, _, packet| {
            let message = is_udp(packet).map(|(_, _, message)| message[18]);
            vec![(Duration::ZERO, packet.to_vec()); usize::from(message != Some(2))]
        }));
        for second in 6..=630 {
            pair.pings.clear();
            let now = Instant::from_secs(second);
            pair.ping(HOST_A, HOST_B, now);
            pair.run_to(now + Duration::from_millis(900));
        }
        let left = isakmp_sas(&mut pair, Side::B);
        assert_eq!(left, usize::from(extended), "{seconds}");
    }
}
