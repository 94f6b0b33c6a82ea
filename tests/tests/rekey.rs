//! Renewal at the soft limits, removal at the hard ones, and what the peer is told of it.

use std::time::Duration;

use hw_offload::Engines;
use ipsec_core::model::Role;
use ipsec_core::{Instant, RemoveWhy};
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use isakmp_core::wire::NotifyType;
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, attempts, basic, both, bundles, command, failures, isakmp, isakmp_sas,
    one, pair, pair_with, ping_both, steady, story,
};

/// Exchanges of a phase that a side began: when.
fn begun<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side, of: u8) -> Vec<u64> {
    isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Started {
                phase,
                role: Role::Initiator,
                ..
            } if *phase == of && happening.side == side => {
                Some(happening.at.since(Instant::ZERO).as_secs())
            }
            _ => None,
        })
        .collect()
}

fn removals<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side) -> Vec<RemoveWhy> {
    pair.happenings
        .iter()
        .filter_map(|happening| match &happening.report {
            DeviceReport::BundleRemoved { why, .. } if happening.side == side => Some(*why),
            _ => None,
        })
        .collect()
}

story!(ipsec_sas_are_renewed_at_the_soft_limit, |engines, seed| {
    let configs = both(&basic(), "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=600");
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    steady(&mut pair, 5, 3590);
    assert_eq!(failures(&pair), [""; 0]);
    // The initiator of the first renews at seven eighths less 0 to 15 s: every 510 to 525 s.
    let renewals = begun(&pair, Side::A, 2);
    assert_eq!(begun(&pair, Side::B, 2), [0; 0]);
    assert_eq!((renewals.len(), attempts(&pair, 1)), (7, 1), "{renewals:?}");
    for two in renewals.windows(2) {
        assert!((509..=526).contains(&(two[1] - two[0])), "{renewals:?}");
    }
    // The old bundle goes when its successor is in use, not at its hard limit.
    for side in [Side::A, Side::B] {
        assert_eq!(bundles(&mut pair, side), 1);
        let removals = removals(&pair, side);
        assert_eq!(removals, [RemoveWhy::Replaced; 6]);
    }
    assert_eq!(pair.clear, 0);
    at_rest(&mut pair);
});

story!(isakmp_sas_are_renewed_at_the_soft_limit, |engines, seed| {
    let life = "SENDN=TRUE SENDD=TRUE EXPIRYSECONDS=600";
    let configs = both(&basic(), "SENDN=TRUE", life);
    let configs = both(&configs, "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=1000");
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    steady(&mut pair, 5, 3590);
    assert_eq!(failures(&pair), [""; 0]);
    let renewals = begun(&pair, Side::A, 1);
    assert_eq!(begun(&pair, Side::B, 1), [0; 0]);
    assert_eq!(renewals.len(), 7, "{renewals:?}");
    for two in renewals.windows(2) {
        assert!((509..=526).contains(&(two[1] - two[0])), "{renewals:?}");
    }
    // An INITIAL-CONTACT in a renewal would remove what is in use.
    assert!(!removals(&pair, Side::A).contains(&RemoveWhy::PeerRestarted));
    assert!(!removals(&pair, Side::B).contains(&RemoveWhy::PeerRestarted));
    for side in [Side::A, Side::B] {
        // The newest and, until its hard limit, the one before.
        assert!((1..=2).contains(&isakmp_sas(&mut pair, side)));
        assert_eq!(bundles(&mut pair, side), 1);
    }
    at_rest(&mut pair);
});

story!(a_kilobyte_limit_renews_too, |engines, seed| {
    let configs = both(&basic(), "STRING=\"1\"", "STRING=\"1\" EXPIRYKBYTES=16");
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    // 240 bytes a second: 16 kB are seven eighths full after a minute.
    steady(&mut pair, 5, 590);
    let renewals = begun(&pair, Side::A, 2).len() + begun(&pair, Side::B, 2).len();
    assert!((9..=12).contains(&renewals), "{renewals}");
    assert_eq!(failures(&pair), [""; 0]);
    at_rest(&mut pair);
});

story!(
    without_an_answer_the_old_sa_lives_to_its_hard_limit,
    |engines, seed| {
        let configs = both(&basic(), "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=600");
        let mut pair = pair_with(engines, &configs, seed);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        // From now on no ISAKMP message passes.
        pair.road = Some(Box::new(|_, _, packet| {
            vec![(Duration::ZERO, packet.to_vec()); usize::from(packet[9] == 50)]
        }));
        steady(&mut pair, 5, 599);
        pair.run_to(Instant::from_secs(605));
        for side in [Side::A, Side::B] {
            assert_eq!(removals(&pair, side), [RemoveWhy::Expired]);
            assert_eq!(bundles(&mut pair, side), 0);
        }
        // What comes now waits or is dropped, never sent in clear; all is well once messages pass.
        pair.ping(HOST_A, HOST_B, Instant::from_secs(605));
        pair.run_to(Instant::from_secs(700));
        assert_eq!(
            (pair.clear, pair.pings.last().expect("a ping").answered),
            (0, None)
        );
        pair.road = None;
        assert!(pair.run(Instant::from_secs(1600)), "{:?}", failures(&pair));
    }
);

story!(both_sides_may_begin_at_once, |engines, seed| {
    let mut pair = pair_with(engines, &basic(), seed);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.ping(HOST_B, HOST_A, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(10)), "{:?}", failures(&pair));
    assert_eq!(failures(&pair), [""; 0]);
    steady(&mut pair, 10, 60);
    let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
    assert!(up.0 == up.1 && (1..=2).contains(&up.0), "{up:?}");
    at_rest(&mut pair);
});

story!(senddeletes_takes_the_peers_bundle_along, |engines, seed| {
    for (parameter, told) in [("SENDN=TRUE", false), ("SENDN=TRUE SENDDELETES=ON", true)] {
        let configs = both(&basic(), "SENDN=TRUE", parameter);
        let mut pair = pair_with(&engines, &configs, seed);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        command(&mut pair, Side::A, "RESET IPSEC POLICY=vpn");
        pair.run_to(Instant::from_secs(10));
        assert_eq!(bundles(&mut pair, Side::A), 0);
        assert_eq!(bundles(&mut pair, Side::B), usize::from(!told));
        let expected: &[RemoveWhy] = if told { &[RemoveWhy::PeerDeleted] } else { &[] };
        assert_eq!(removals(&pair, Side::B), expected);
        // The next packet begins again, under the ISAKMP SA that is still there.
        pair.ping(HOST_A, HOST_B, Instant::from_secs(10));
        assert!(pair.run(Instant::from_secs(20)), "{:?}", failures(&pair));
        assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 2));
        at_rest(&mut pair);
    }
});

story!(
    disable_isakmp_says_goodbye_and_enable_begins_again,
    |engines, seed| {
        let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
        let mut pair = pair_with(engines, &configs, seed);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        command(&mut pair, Side::A, "DISABLE ISAKMP");
        pair.run_to(Instant::from_secs(10));
        let gone = isakmp(&pair).any(|(happening, report)| {
            happening.side == Side::B && matches!(report, Report::SaGone { by_peer: true, .. })
        });
        assert!(gone);
        assert_eq!(isakmp_sas(&mut pair, Side::A), 0);
        assert_eq!(isakmp_sas(&mut pair, Side::B), 0);
        // The bundles live on without their ISAKMP SA.
        steady(&mut pair, 10, 20);
        pair.run_to(Instant::from_secs(21));
        command(&mut pair, Side::A, "RESET IPSEC POLICY=vpn");
        pair.ping(HOST_A, HOST_B, Instant::from_secs(21));
        pair.run_to(Instant::from_secs(30));
        assert_eq!(pair.pings.last().expect("a ping").answered, None);
        command(&mut pair, Side::A, "ENABLE ISAKMP");
        assert!(pair.run(Instant::from_secs(40)), "{:?}", failures(&pair));
        at_rest(&mut pair);
    }
);

story!(a_changed_policy_stops_what_is_under_way, |engines, seed| {
    let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
    // Before, during and after each message of the first negotiation.
    for line in [
        "RESET IPSEC POLICY=vpn",
        "SET IPSEC POLICY=vpn DFBIT=COPY",
        "SET ISAKMP POLICY=i DELETEDELAY=20",
        "DISABLE ISAKMP",
        "DISABLE IPSEC",
    ] {
        for millis in (0..130).step_by(5) {
            for side in [Side::A, Side::B] {
                let mut pair = pair_with(&engines, &configs, seed);
                ping_both(&mut pair);
                pair.run_to(Instant::from_micros(millis * 1000));
                command(&mut pair, side, line);
                if line.starts_with("DISABLE") {
                    command(&mut pair, side, &line.replace("DISABLE", "ENABLE"));
                }
                let up = pair.run(Instant::from_secs(900));
                assert!(
                    up,
                    "{line} on {side} after {millis} ms: {:?}",
                    failures(&pair)
                );
                assert_eq!(pair.clear, 0, "{line} on {side} after {millis} ms");
                pair.run_to(Instant::from_secs(1300));
                at_rest(&mut pair);
            }
        }
    }
});

story!(a_responder_with_a_shorter_life_says_so, |engines, seed| {
    for (notify, heard) in [("SENDN=TRUE", true), ("SENDN=FALSE", false)] {
        let life = "STRING=\"1\" EXPIRYSECONDS=3600 EXPIRYKBYTES=5000";
        let configs = one(&basic(), 1, "STRING=\"1\"", life);
        let configs = one(&configs, 1, "SENDN=TRUE", notify);
        let mut pair = pair_with(&engines, &configs, seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        for (side, shorter) in [(Side::A, heard), (Side::B, true)] {
            let plane = pair.router(side).device.plane();
            let life = plane
                .bundles()
                .next()
                .expect("a bundle")
                .1
                .lifetime
                .expect("a life");
            let expected = if shorter {
                (3600, Some(5000))
            } else {
                (28_800, None)
            };
            assert_eq!((life.seconds, life.kbytes), expected, "{side} {notify}");
        }
    }
});

story!(a_refusal_ends_the_exchange_at_once, |engines, seed| {
    for (notify, at_once) in [("SENDN=TRUE", true), ("SENDN=FALSE", false)] {
        let configs = one(&basic(), 1, "ENCALG=DES", "ENCALG=AES128");
        let configs = one(&configs, 1, "SENDN=TRUE", notify);
        let mut pair = pair_with(&engines, &configs, seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(1));
        let refused = isakmp(&pair).any(|(happening, report)| {
            happening.side == Side::A
                && matches!(report, Report::Failed { reason, .. }
                    if reason.notify == Some(NotifyType::NO_PROPOSAL_CHOSEN))
        });
        assert_eq!(refused, at_once, "{:?}", failures(&pair));
    }
});

/// An ISAKMP SA remembers 1024 message ids: before they are used up it is renewed, and traffic
/// never notices.
#[test]
fn threat_b18_an_sa_is_renewed_before_its_message_ids_are_used_up() {
    let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
    let mut pair = pair(&configs, 3);
    for second in 0..1500 {
        pair.pings.clear();
        pair.ping(HOST_A, HOST_B, Instant::from_secs(second));
        let end = Instant::from_secs(second) + Duration::from_millis(900);
        assert!(pair.run(end), "{second}: {:?}", failures(&pair));
        command(&mut pair, Side::A, "RESET IPSEC POLICY=vpn");
        pair.run_to(end);
        assert_eq!(bundles(&mut pair, Side::B), 0);
    }
    // Each round takes two ids: 768 ids are 384 rounds.
    assert_eq!(attempts(&pair, 1), 4);
    assert!(isakmp_sas(&mut pair, Side::B) <= 3);
    at_rest(&mut pair);
}

story!(
    a_request_outlives_the_isakmp_sa_that_it_waits_for,
    |engines, seed| {
        let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
        for side in [Side::A, Side::B] {
            let mut pair = pair_with(&engines, &configs, seed);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            // B wants something too while A begins: it leaves the first quick mode to A.
            while pair
                .b
                .device
                .endpoint()
                .exchanges(pair.now)
                .next()
                .is_none()
            {
                pair.run_to(pair.now + Duration::from_millis(1));
            }
            pair.run_to(pair.now + Duration::from_millis(25));
            pair.ping(HOST_B, HOST_A, pair.now);
            while isakmp_sas(&mut pair, side) == 0 {
                pair.run_to(pair.now + Duration::from_millis(1));
            }
            // Before the quick mode, the SA goes.
            command(&mut pair, side, "DISABLE ISAKMP");
            pair.run_to(pair.now + Duration::from_millis(100));
            assert_eq!(isakmp_sas(&mut pair, side), 0);
            let peer = "1.1.1.1".parse().expect("an address");
            let quiet = pair.happenings.len();
            if side == Side::B {
                assert_eq!(
                    pair.b.device.endpoint().queued(peer),
                    0,
                    "disabled, it asks for nothing"
                );
                pair.pings.clear();
                pair.run_to(pair.now + Duration::from_secs(300));
                let begun = pair.happenings[quiet..].iter().any(|happening| {
                    happening.side == Side::B
                        && matches!(
                            happening.report,
                            DeviceReport::Isakmp(Report::Started { .. })
                        )
                });
                assert!(!begun, "disabled, it begins nothing");
            }
            command(&mut pair, side, "ENABLE ISAKMP");
            if side == Side::B {
                pair.ping(HOST_B, HOST_A, pair.now);
            } else {
                // Only what waits at B asks again; A has nothing to say.
                pair.pings.retain(|ping| ping.side == Side::B);
            }
            // What B began meanwhile may have to time out first: A forgot it.
            let up = pair.run(pair.now + Duration::from_secs(900));
            assert!(up, "{side}: {:?}", failures(&pair));
            assert_eq!(pair.clear, 0);
        }
    }
);

story!(
    a_quick_mode_that_uses_up_the_kilobytes_still_ends,
    |engines, seed| {
        // Bundle after bundle until the ISAKMP SA has carried its kilobyte. Questions of dead peer
        // detection before the first move the message at which that is: whichever it is, the
        // peer who waits for the exchange is not left alone with it.
        for (answers, questions) in (0..12_u32).map(|n| (n as usize % 2, n / 2)) {
            let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDD=TRUE DPDMODE=BOTH");
            let configs = one(&configs, answers, "DPDMODE", "EXPIRYKBYTES=1 DPDMODE");
            let (side, from, to) = if answers == 1 {
                (Side::A, HOST_A, HOST_B)
            } else {
                (Side::B, HOST_B, HOST_A)
            };
            let mut pair = pair_with(&engines, &configs, seed);
            for bundle in 0..8 {
                pair.pings.clear();
                pair.ping(from, to, pair.now);
                let up = pair.run(pair.now + Duration::from_secs(3));
                assert!(up, "{side} {questions}: {:?}", failures(&pair));
                if bundle == 0 {
                    pair.run_to(pair.now + Duration::from_secs(20) * questions);
                }
                command(&mut pair, side, "RESET IPSEC POLICY=vpn");
                pair.run_to(pair.now + Duration::from_secs(1));
            }
            assert_eq!(failures(&pair), [""; 0]);
            assert!(attempts(&pair, 1) > 1);
        }
    }
);
