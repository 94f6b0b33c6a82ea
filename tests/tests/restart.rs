//! A router loses its memory: how soon packets pass again, and whom INITIAL-CONTACT concerns.

use std::time::Duration;

use hw_offload::Engines;
use ipsec_core::{Instant, RemoveWhy};
use isakmp_core::device::DeviceReport;
use lab::{Buf, Pair, Router, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, both, bundles, command, failures, isakmp_sas, pair_with,
    ping_both, steady, story,
};

/// The router on a side forgets everything but its configuration.
fn restart<E: Engines<Buf = Buf>>(
    pair: &mut Pair<E>,
    side: Side,
    engines: &impl Fn(Side) -> E,
    configs: &[String; 2],
) {
    let now = pair.now;
    let seed = 0x5eed + now.micros();
    *pair.router(side) = Router::new(engines(side), seed);
    let findings = pair.router(side).run_script(now, &configs[side as usize]);
    assert!(findings.is_empty(), "{findings:?}");
    pair.connect();
    pair.turn(side);
}

story!(
    initial_contact_removes_what_the_peer_forgot,
    |engines, seed| {
        // In the middle of life, and in every gap of the first negotiation.
        for millis in (0..=100).step_by(10).chain([5_000]) {
            for side in [Side::A, Side::B] {
                let configs = basic();
                let mut pair = pair_with(&engines, &configs, seed);
                ping_both(&mut pair);
                pair.run_to(Instant::from_micros(millis * 1000));
                restart(&mut pair, side, &engines, &configs);
                // Traffic from the router that restarted, and from behind the other one.
                pair.pings.clear();
                let now = pair.now;
                pair.ping(HOST_A, HOST_B, now);
                pair.ping(HOST_B, HOST_A, now);
                let up = pair.run(now + Duration::from_secs(10));
                assert!(up, "{side} after {millis} ms: {:?}", failures(&pair));
                assert_eq!(pair.clear, 0);
                pair.run_to(now + Duration::from_secs(400));
                let end = pair.now.micros() / 1_000_000 + 1;
                steady(&mut pair, end, end + 5);
                for side in [Side::A, Side::B] {
                    let up = (bundles(&mut pair, side), isakmp_sas(&mut pair, side));
                    assert!(
                        (1..=2).contains(&up.0) && up.1 >= 1,
                        "{side} {millis}: {up:?}"
                    );
                }
                at_rest(&mut pair);
            }
        }
    }
);

story!(
    the_survivor_removes_the_dead_bundle_at_once,
    |engines, seed| {
        for (notify, told) in [("SENDN=TRUE", true), ("SENDN=FALSE", false)] {
            let configs = both(&basic(), "SENDN=TRUE", notify);
            let mut pair = pair_with(&engines, &configs, seed);
            ping_both(&mut pair);
            assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
            pair.run_to(Instant::from_secs(5));
            restart(&mut pair, Side::B, &engines, &configs);
            pair.ping(HOST_B, HOST_A, Instant::from_secs(5));
            assert!(pair.run(Instant::from_secs(15)), "{:?}", failures(&pair));
            let restarted = pair.happenings.iter().any(|happening| {
                matches!(
                    happening.report,
                    DeviceReport::BundleRemoved {
                        why: RemoveWhy::PeerRestarted,
                        ..
                    }
                )
            });
            assert_eq!(restarted, told, "{notify}");
            // With or without, what leaves uses the SA that the peer knows.
            steady(&mut pair, 15, 40);
            assert_eq!(isakmp_sas(&mut pair, Side::A), if told { 1 } else { 2 });
            at_rest(&mut pair);
        }
    }
);

story!(
    an_isakmp_sa_that_the_peer_forgot_is_given_up,
    |engines, seed| {
        let configs = basic();
        let mut pair = pair_with(&engines, &configs, seed);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        restart(&mut pair, Side::B, &engines, &configs);
        // Only A has something to say, and negotiates under an SA that B knows nothing of.
        command(&mut pair, Side::A, "RESET IPSEC POLICY=vpn");
        pair.pings.clear();
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        assert!(!pair.run(now + Duration::from_secs(290)));
        assert!(
            pair.run(now + Duration::from_secs(300)),
            "{:?}",
            failures(&pair)
        );
        assert_eq!(pair.clear, 0);
    }
);
