//! Engines that refuse and fail: every attempt has an end, nothing leaks, and what can come up
//! comes up.

use std::time::Duration;

use hw_offload::testing::{
    FaultPlan, FaultyEngine, FaultyPublic, SlowEngine, SlowPublic, TestEngines,
};
use hw_offload::{Engines, SoftEngine, SoftPrimitives, SoftPublic};
use ipsec_core::Instant;
use isakmp_core::reason::Subject;
use lab::{Buf, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, both, bundles, command, failed, failures, pair_with, ping_both,
};

/// Engines with few places, so that a leak shows soon; each fault, once in `n`.
fn plans(n: u64) -> [(&'static str, FaultPlan); 6] {
    let none = FaultPlan::default();
    [
        (
            "packets are refused",
            FaultPlan {
                refuse_packet: n,
                ..none
            },
        ),
        (
            "packets fail",
            FaultPlan {
                fail_packet: n,
                ..none
            },
        ),
        (
            "channels fail",
            FaultPlan {
                fail_open: n,
                ..none
            },
        ),
        (
            "keys are refused",
            FaultPlan {
                refuse_public: n,
                ..none
            },
        ),
        (
            "keys fail",
            FaultPlan {
                fail_public: n,
                ..none
            },
        ),
        (
            "all of it",
            FaultPlan {
                refuse_packet: n,
                fail_packet: n,
                fail_open: n,
                refuse_public: n,
                fail_public: n,
            },
        ),
    ]
}

fn faulty(plan: FaultPlan, seed: u64) -> impl Engines<Buf = Buf> {
    TestEngines {
        packet: FaultyEngine::new(SoftEngine::new(12, 8), plan, seed),
        public: FaultyPublic::new(SoftPublic::new(4), plan, seed ^ 1),
        primitives: SoftPrimitives,
    }
}

fn faulty_and_slow(plan: FaultPlan, seed: u64) -> impl Engines<Buf = Buf> {
    TestEngines {
        packet: FaultyEngine::new(SlowEngine::new(SoftEngine::new(12, 8), seed), plan, seed),
        public: FaultyPublic::new(SlowPublic::new(SoftPublic::new(4), seed), plan, seed ^ 1),
        primitives: SoftPrimitives,
    }
}

/// With one fault in five the tunnel comes up all the same, again and again: a channel, a place
/// or an exchange that leaked would be missed after a few rounds.
fn survives<E: Engines<Buf = Buf>>(engines: impl Fn(FaultPlan, u64) -> E) {
    let configs = both(
        &basic(),
        "SENDN=TRUE",
        "SENDN=TRUE SENDDELETES=TRUE MSGTIMEOUT=1",
    );
    for (what, plan) in plans(5) {
        for seed in 1..=4 {
            let mut pair = pair_with(|side| engines(plan, seed * 2 + side as u64), &configs, seed);
            for round in 0..15 {
                pair.pings.clear();
                let start = pair.now;
                pair.ping(HOST_A, HOST_B, start);
                let up = pair.run(start + Duration::from_secs(2000));
                assert!(
                    up,
                    "{what}, seed {seed}, round {round}: {:?}",
                    failures(&pair)
                );
                for side in [Side::A, Side::B] {
                    command(&mut pair, side, "DISABLE ISAKMP");
                    command(&mut pair, side, "DISABLE IPSEC");
                    command(&mut pair, side, "ENABLE IPSEC");
                    command(&mut pair, side, "ENABLE ISAKMP");
                }
                pair.run_to(pair.now + Duration::from_secs(100));
                at_rest(&mut pair);
                assert_eq!(pair.clear, 0, "{what}, seed {seed}");
            }
        }
    }
}

#[test]
fn one_in_five_fails() {
    survives(faulty);
}

#[test]
fn one_in_five_fails_and_the_rest_is_late() {
    survives(faulty_and_slow);
}

/// When an engine does nothing but fail, each attempt ends with its reason and nothing is left.
#[test]
fn what_always_fails_has_a_clear_end() {
    for (what, plan) in plans(1) {
        let mut pair = pair_with(|side| faulty(plan, side as u64), &basic(), 1);
        ping_both(&mut pair);
        assert!(!pair.run(Instant::from_secs(700)), "{what}");
        pair.pings.clear();
        pair.run_to(Instant::from_secs(1100));
        at_rest(&mut pair);
        assert_eq!(pair.clear, 0, "{what}");
        let subjects: Vec<Subject> = [Side::A, Side::B]
            .into_iter()
            .flat_map(|side| failed(&pair, side))
            .map(|(_, subject)| subject)
            .collect();
        let expected = match what {
            "packets are refused" | "packets fail" => {
                assert_eq!(subjects, [], "{what}");
                assert_eq!(bundles(&mut pair, Side::A), 1);
                continue;
            }
            "channels fail" => Subject::Install,
            _ => Subject::Engine,
        };
        assert!(subjects.contains(&expected), "{what}: {subjects:?}");
    }
}
