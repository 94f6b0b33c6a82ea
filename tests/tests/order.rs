//! Messages that are sent together arrive in any order. The first one of quick mode is not sent
//! together with the message that makes the peer ready for it.

use core::time::Duration;

use hw_offload::Engines;
use ipsec_core::Instant;
use isakmp_core::Report;
use isakmp_core::wire::ExchangeType;
use lab::{Buf, Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, failures, isakmp, one, pair_with, story};

const POLICY: &str = "CREATE ISAKMP POLICY=i";

/// A ping by A, with a message on the WAN that takes 50 ms longer than others. It is answered
/// soon, nothing is sent again, and quick mode begins when the message has arrived.
fn late<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, number: u64, messages: usize) {
    let late = Duration::from_millis(50);
    pair.road = Some(Box::new(move |_, this, packet| {
        let late = if this == number { late } else { Duration::ZERO };
        vec![(late, packet.to_vec())]
    }));
    // A responder of Aggressive mode needs a moment after its start.
    pair.ping(HOST_A, HOST_B, Instant::from_secs(2));
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(pair));
    let sent: Vec<_> = isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Message {
                sent: true, kind, ..
            } => Some((happening.at, *kind)),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), messages);
    let quick = sent
        .iter()
        .position(|(_, kind)| *kind == ExchangeType::Quick);
    let quick = quick.expect("quick mode");
    assert!(sent[quick].0.since(sent[quick - 1].0) > late);
}

story!(quick_mode_waits_for_aggressive_mode, |engines, seed| {
    let with = format!("{POLICY} MODE=AGGRESSIVE");
    let configs = one(&basic(), 0, POLICY, &with);
    let configs = one(&configs, 1, POLICY, &with);
    late(&mut pair_with(engines, &configs, seed), 2, 3 + 3);
});

story!(quick_mode_waits_for_authentication, |engines, seed| {
    let server = format!("ADD USER=joger PASSWORD=hogehoge LOGIN=NO\n{POLICY} XAUTH=SERVER");
    let client = format!("{POLICY} XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge");
    let configs = one(&one(&basic(), 1, POLICY, &server), 0, POLICY, &client);
    let mut pair = pair_with(engines, &configs, seed);
    late(&mut pair, 6 + 3, 6 + 4 + 3);
    assert_eq!(sekisho_tests::bundles(&mut pair, Side::B), 1);
});
