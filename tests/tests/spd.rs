//! ISAKMP datagrams pass the SPD like everything else, and clear packets do not pass an IPSEC
//! policy.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use ipsec_core::model::Direction;
use ipsec_core::{DropReason, Instant};
use isakmp_core::device::DeviceReport;
use isakmp_core::reason::Subject;
use lab::{Side, echo_request};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, attempts, basic, bundles, failures, one, pair, pair_with, ping_both,
    story,
};

const ISA: &str =
    "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP";

/// Without it, or behind a policy that selects ISAKMP for something else, nothing is negotiated.
#[test]
fn without_the_policy_isa_nothing_is_negotiated_and_the_reason_says_so() {
    let inet = "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT";
    for (side, direction) in [(0, Direction::Out), (1, Direction::In)] {
        for instead in [
            String::new(),
            ISA.replace("ACTION=PERMIT", "ACTION=DENY"),
            ISA.replace("LPORT=500", "LPORT=501"),
        ] {
            let configs = one(&basic(), side, ISA, &instead);
            let configs = one(&configs, side, inet, "");
            let mut pair = pair(&configs, 1);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            pair.run_to(Instant::from_secs(300));
            let forbidden: Vec<_> = pair
                .happenings
                .iter()
                .filter_map(|happening| match &happening.report {
                    DeviceReport::Forbidden {
                        direction, reason, ..
                    } => Some((happening.side as usize, *direction, reason.subject)),
                    _ => None,
                })
                .collect();
            assert!(!forbidden.is_empty(), "{instead}");
            let expected = (side, direction, Subject::Forbidden);
            assert!(
                forbidden.iter().all(|found| *found == expected),
                "{forbidden:?}"
            );
            assert_eq!(bundles(&mut pair, Side::A), 0);
            assert_eq!(attempts(&pair, 2), 0);
            assert_eq!((pair.clear, pair.protected), (0, 0));
            if side == 0 {
                assert!(pair.capture.get_ref().len() <= 24, "a message left");
            }
        }
    }
}

story!(
    a_forged_clear_packet_does_not_reach_the_lan,
    |engines, seed| {
        let mut pair = pair_with(engines, &basic(), seed);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        pair.watch = Some(Box::new(move |side, packet| {
            log.borrow_mut().push((side, packet.to_vec()));
        }));
        // Before there is an SA, and while there is one.
        for up in [false, true] {
            if up {
                ping_both(&mut pair);
                assert!(pair.run(Instant::from_secs(10)), "{:?}", failures(&pair));
                pair.run_to(Instant::from_secs(10));
            }
            let (now, before) = (pair.now, seen.borrow().len());
            pair.b.receive(
                now,
                &echo_request(HOST_A, HOST_B, 9, 1).expect("both ends are IPv4"),
            );
            pair.turn(Side::B);
            pair.run_to(now + std::time::Duration::from_secs(1));
            assert_eq!(seen.borrow().len(), before, "up: {up}");
            let refused = pair.happenings.iter().any(|happening| {
                happening.at == now
                    && matches!(
                        happening.report,
                        DeviceReport::Dropped {
                            why: DropReason::ClearWhereIpsec,
                            ..
                        }
                    )
            });
            assert!(refused, "up: {up}");
        }
        at_rest(&mut pair);
    }
);

/// Behind the last policy stands one that denies everything.
#[test]
fn what_no_policy_selects_is_dropped() {
    let inet = "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT";
    for (policy, passes) in [(inet, true), ("", false)] {
        let configs = one(&basic(), 0, inet, policy);
        let mut pair = pair(&configs, 1);
        let elsewhere = Ipv4Addr::new(203, 0, 113, 5);
        pair.a.forward(
            Instant::ZERO,
            &echo_request(HOST_A, elsewhere, 9, 1).expect("both ends are IPv4"),
        );
        pair.turn(Side::A);
        assert_eq!(pair.clear, u64::from(passes));
        let dropped = pair.happenings.iter().any(|happening| {
            matches!(
                happening.report,
                DeviceReport::Dropped {
                    why: DropReason::NoPolicy,
                    ..
                }
            )
        });
        assert_eq!(dropped, !passes);
    }
}
