//! What must not pass: every reason to drop a packet that arrives, with what it counts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use common::*;
use hw_offload::*;
use ipsec_core::counters::{Happened, OnPolicy, Scope};
use ipsec_core::debug::DebugMask;
use ipsec_core::model::*;
use ipsec_core::*;

const A: &str = "1.1.1.1";
const B: &str = "2.2.2.2";
const LAN_A: &str = "192.168.10.0/24";
const LAN_B: &str = "192.168.20.0/24";
const HOST_A: &str = "192.168.10.7";
const HOST_B: &str = "192.168.20.9";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const AH: Spec = ah(Mode::Tunnel, HashAlg::Sha);

fn pair(specs: &[Spec]) -> (Router, Router) {
    manual_pair(specs, (A, B), (LAN_A, LAN_B), |_| {})
}

fn clear() -> Vec<u8> {
    udp_packet(HOST_A, HOST_B, 40)
}

/// Somebody who knows the keys and sends from A to B.
fn forger(specs: &[(Spec, u32)], lans: (&str, &str)) -> Router {
    common::forger((A, B), specs, lans)
}

/// Asserts that a packet is refused for that reason, and that exactly this was counted once
/// globally and for the policy.
fn refused(router: &mut Router, packet: &[u8], reason: DropReason, happened: Happened) {
    let before = router.count(happened);
    let own = router.policy("vpn").counters.get(happened);
    assert_eq!(why(router.inbound(packet)), reason);
    assert_eq!(router.count(happened), before + 1, "{happened:?}");
    let counted = router.policy("vpn").counters.get(happened);
    let per_policy = OnPolicy::place(happened).is_some();
    assert_eq!(counted, own + u64::from(per_policy), "{happened:?}");
}

#[test]
fn clear_packets_never_pass() {
    let (_, mut b) = pair(&[ESP]);
    let happened = Happened::InActionIpsecFail;
    refused(&mut b, &clear(), DropReason::ClearWhereIpsec, happened);
    let other = udp_packet("10.0.0.1", HOST_B, 5);
    assert_eq!(why(b.inbound(&other)), DropReason::NoPolicy);
    assert_eq!(b.count(Happened::InNoPolicyFound), 1);
}

#[test]
fn an_unknown_spi() {
    let (_, mut b) = pair(&[ESP]);
    let sealed = forger(&[(ESP, 77)], (LAN_A, LAN_B)).send(&clear());
    let happened = Happened::FindSaFailed;
    refused(&mut b, &sealed, DropReason::UnknownSpi, happened);
    // The SPI of an ESP SA is none of AH.
    let sealed = forger(&[(AH, 2000)], (LAN_A, LAN_B)).send(&clear());
    refused(&mut b, &sealed, DropReason::UnknownSpi, happened);
    assert!(
        b.told()
            .iter()
            .all(|event| !matches!(event, PlaneEvent::BadSpi { .. }))
    );
}

/// Whoever watches filters during a flood is told of a bounded part of it, and of the rest again
/// once that is read.
#[test]
fn a_flood_fills_no_memory_through_those_who_watch() {
    let (_, mut b) = pair(&[ESP]);
    let vpn = b.plane.state().policy_by_name("vpn").unwrap().0;
    b.plane.state_mut().set_debug(vpn, DebugMask::FILTER);
    let told = |router: &mut Router| {
        let events = router.told();
        let watched = |event: &&PlaneEvent| matches!(event, PlaneEvent::Debug(_));
        events.iter().filter(watched).count()
    };
    let flood = |router: &mut Router| {
        for _ in 0..1000 {
            let _ = router.inbound(&clear());
        }
        told(router)
    };
    assert_eq!([flood(&mut b), flood(&mut b)], [256, 256]);
}

/// RESPONDBADSPI=TRUE: the owner is told of a fixed peer's unknown SPI, at most once in 10 s.
#[test]
fn unknown_spis_of_a_peer_are_told_in_measure() {
    let (_, mut b) = pair(&[ESP]);
    b.config.policies[0].respond_bad_spi = Some(true);
    b.configure();
    let sealed = forger(&[(ESP, 77)], (LAN_A, LAN_B)).send(&clear());
    let mut told = 0;
    for _ in 0..25 {
        for _ in 0..3 {
            b.inbound(&sealed);
        }
        for event in b.told() {
            if let PlaneEvent::BadSpi { ends, spi, .. } = event {
                assert_eq!((ends, spi), ((ip(B), ip(A)), Spi(77)));
                told += 1;
            }
        }
        b.now += std::time::Duration::from_secs(1);
    }
    assert_eq!(told, 3);
    // A stranger is not answered.
    let mut stranger = sealed;
    stranger[12..16].copy_from_slice(&[9, 9, 9, 9]);
    wire::ipv4::write_checksum(&mut stranger[..20]);
    b.now += std::time::Duration::from_secs(60);
    b.inbound(&stranger);
    assert!(b.told().is_empty());
}

#[test]
fn not_the_outermost_sa_first() {
    let (_, mut b) = pair(&[ESP, AH]);
    let sealed = forger(&[(ESP, 2000)], (LAN_A, LAN_B)).send(&clear());
    let happened = Happened::InNotFirstSaInBundle;
    refused(&mut b, &sealed, DropReason::NotFirstSa, happened);
}

#[test]
fn the_next_sa_is_of_another_bundle() {
    let (_, mut b) = pair(&[ESP, AH]);
    // Another policy of B with an ESP SA of its own.
    let spec = SaSpecConfig {
        number: 3,
        inspi: Some(3000),
        outspi: Some(3001),
        ..b.config.sa_specs[0].clone()
    };
    b.config.sa_specs.push(spec);
    let bundle = BundleConfig {
        number: 2,
        string: BundleString::parse("3").unwrap(),
        ..b.config.bundles[0].clone()
    };
    b.config.bundles.push(bundle);
    let other = PolicyConfig {
        name: Name::new("other"),
        bundle: Some(2),
        laddress: Some(selector("10.0.0.0/8")),
        ..b.config.policies[0].clone()
    };
    b.config.policies.push(other);
    b.configure();
    let sealed = forger(&[(ESP, 3000), (AH, 2001)], (LAN_A, LAN_B)).send(&clear());
    assert_eq!(layers(&sealed), [51, 50]);
    assert_eq!(why(b.inbound(&sealed)), DropReason::WrongSa);
    assert_eq!(b.count(Happened::InBundleSaMatchFail), 1);
}

#[test]
fn in_clear_before_all_sas_were_applied() {
    let (_, mut b) = pair(&[ESP, AH]);
    let happened = Happened::InPrematureEndBundle;
    let sealed = forger(&[(AH, 2001)], (LAN_A, LAN_B)).send(&clear());
    refused(&mut b, &sealed, DropReason::PrematureEnd, happened);
    // Also as IP AH payload, without a tunnel.
    let bare = ah(Mode::Transport, HashAlg::Sha);
    let sealed = forger(&[(bare, 2001)], (A, B)).send(&udp_packet(A, B, 9));
    assert_eq!(why(b.inbound(&sealed)), DropReason::BadInner);
}

#[test]
fn more_ipsec_than_the_bundle_has() {
    let everything = ("0.0.0.0/0", "0.0.0.0/0");
    let (_, mut b) = manual_pair(&[ESP], (A, B), everything, |_| {});
    let mut outer = forger(&[(ESP, 2000)], everything);
    let happened = Happened::InEndOfBundle;
    // An SA that is not there, and the same SA once more.
    let unknown = forger(&[(ESP, 77)], everything).send(&clear());
    let sealed = outer.send(&unknown);
    refused(&mut b, &sealed, DropReason::EndOfBundle, happened);
    let again = outer.send(&clear());
    let sealed = outer.send(&again);
    refused(&mut b, &sealed, DropReason::EndOfBundle, happened);
}

/// A tunnel inside the tunnel of another SA is read, so deep and no deeper: a packet that went
/// round in circles through its own tunnel ends.
#[test]
fn threat_d12_tunnels_inside_one_another_are_bounded() {
    let everything = ("0.0.0.0/0", "0.0.0.0/0");
    let (_, mut b) = manual_pair(&[ESP], (A, B), everything, |_| {});
    for (number, inspi) in [(2, 3000), (3, 4000)] {
        let spec = SaSpecConfig {
            number,
            inspi: Some(inspi),
            outspi: Some(inspi),
            ..b.config.sa_specs[0].clone()
        };
        b.config.sa_specs.push(spec);
        let bundle = BundleConfig {
            number,
            string: BundleString::parse(&number.to_string()).unwrap(),
            ..b.config.bundles[0].clone()
        };
        b.config.bundles.push(bundle);
        let policy = PolicyConfig {
            name: Name::new(&format!("vpn{number}")),
            bundle: Some(number),
            ..b.config.policies[0].clone()
        };
        b.config.policies.push(policy);
    }
    b.configure();
    let layer = |spi: u32, packet: &[u8]| forger(&[(ESP, spi)], everything).send(packet);
    let one = layer(2000, &clear());
    let two = layer(3000, &one);
    let three = layer(4000, &two);
    assert_eq!(b.deliver(&two), clear());
    assert_eq!(why(b.inbound(&three)), DropReason::EndOfBundle);
    assert_eq!(b.plane.state().in_flight(), 0);
}

/// What is sealed is sent as it is: no policy sees it again, also one that selects everything.
#[test]
fn threat_d12_own_packets_are_sealed_once() {
    let everything = ("0.0.0.0/0", "0.0.0.0/0");
    let (mut a, mut b) = manual_pair(&[ESP], (A, B), everything, |_| {});
    let sealed = a.send(&clear());
    assert_eq!(layers(&sealed), [50]);
    assert_eq!(a.count(Happened::OutProcessPkt), 1);
    assert_eq!(b.deliver(&sealed), clear());
}

/// Every single changed bit of an authenticated packet is noticed, and nothing moves: neither the
/// window nor the packet, which is not deciphered.
#[test]
fn threat_d3_decrypt_before_authenticate() {
    for specs in [&[ESP][..], &[AH], &[ESP, AH]] {
        let (mut a, mut b) = pair(specs);
        let sealed = a.send(&clear());
        let outermost = b.plane.state().sas().last().unwrap().0;
        let first_covered = if specs.len() == 1 && specs[0] == ESP {
            24
        } else {
            20
        };
        for bit in first_covered * 8..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let verdict = b.inbound(&forged);
            if let Verdict::Drop {
                why: DropReason::BadIcv,
                packet,
            } = &verdict
            {
                assert_eq!(packet.packet(), forged, "still as it came");
            } else {
                let reason = why(verdict);
                let early = matches!(reason, DropReason::UnknownSpi | DropReason::Malformed);
                assert!(early && bit / 8 < 32, "byte {}: {reason:?}", bit / 8);
            }
            assert_eq!(b.plane.state().sa(outermost).unwrap().replay.highest(), 0);
        }
        assert_eq!(b.deliver(&sealed), clear());
    }
}

#[test]
fn a_wrong_icv_is_counted() {
    let (mut a, mut b) = pair(&[ESP]);
    let mut sealed = a.send(&clear());
    *sealed.last_mut().unwrap() ^= 1;
    refused(&mut b, &sealed, DropReason::BadIcv, Happened::EspIcvInvalid);
    let sa = b.plane.state().sas().next().unwrap().1;
    let counted = [
        Happened::InProcessStart,
        Happened::EspInHashStart,
        Happened::EspInHashGood,
        Happened::EspIcvInvalid,
        Happened::InProcessFail,
        Happened::DecryptionStart,
        Happened::InProcessDone,
    ]
    .map(|happened| sa.counters.get(happened));
    assert_eq!(counted, [1, 1, 1, 1, 1, 0, 0]);
    let (mut a, mut b) = pair(&[AH]);
    let mut sealed = a.send(&clear());
    *sealed.last_mut().unwrap() ^= 1;
    refused(&mut b, &sealed, DropReason::BadIcv, Happened::AhIcvInvalid);
}

/// ESP without authentication is no oracle: a wrong padding, a wrong inner packet and a packet
/// outside the selectors are all dropped without an answer of any kind.
#[test]
fn threat_d2_no_oracle_without_authentication() {
    let bare = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Null);
    let (mut a, mut b) = pair(&[bare]);
    b.told();
    let sealed = a.send(&clear());
    let mut reasons = std::collections::BTreeSet::new();
    for bit in 28 * 8..sealed.len() * 8 {
        let mut forged = sealed.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        match b.inbound(&forged) {
            Verdict::Drop { why, .. } => {
                reasons.insert(why);
            }
            // A bit of what no header covers: nobody can tell.
            Verdict::Deliver { packet, .. } => assert_ne!(packet.packet(), clear()),
            other => panic!("{}", name(&other)),
        }
    }
    let expected = [DropReason::BadPadding, DropReason::BadInner];
    assert_eq!(reasons, expected.into());
    assert!(b.count(Happened::PaddingInvalid) > 0);
    assert!(b.told().is_empty(), "nobody is told anything");
}

/// Short and odd packets are refused before anything is computed.
#[test]
fn threat_d6_tiny_packets() {
    for specs in [&[ESP][..], &[AH], &[ESP, AH]] {
        let (mut a, mut b) = pair(specs);
        let sealed = a.send(&clear());
        for len in 0..sealed.len() {
            let mut short = sealed[..len].to_vec();
            if len >= 20 {
                short[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                wire::ipv4::write_checksum(&mut short[..20]);
            }
            let got = why(b.inbound(&short));
            let fine = matches!(got, DropReason::Malformed | DropReason::BadIcv);
            assert!(fine, "{len}: {got:?}");
        }
        assert_eq!(b.plane.state().in_flight(), 0);
        assert_eq!(b.deliver(&sealed), clear());
    }
}

/// An AH whose length is not that of its algorithm.
#[test]
fn threat_d6_ah_of_the_wrong_length() {
    let (mut a, mut b) = pair(&[AH]);
    let sealed = a.send(&clear());
    for words in (0..=255).filter(|words| *words != 4) {
        let mut forged = sealed.clone();
        forged[21] = words;
        let before = b.count(Happened::AhBadPayloadLength);
        assert_eq!(why(b.inbound(&forged)), DropReason::Malformed);
        assert_eq!(b.count(Happened::AhBadPayloadLength), before + 1, "{words}");
    }
}

/// What comes out of a tunnel is held against the selectors of its SA.
#[test]
fn threat_d5_inner_packets_outside_the_selectors() {
    let (_, mut b) = pair(&[ESP]);
    let mut wide = forger(&[(ESP, 2000)], ("0.0.0.0/0", "0.0.0.0/0"));
    let happened = Happened::InPolSelectMatchFail;
    for (from, to) in [
        (HOST_A, "192.168.21.9"),
        ("192.168.11.7", HOST_B),
        (HOST_B, HOST_A),
    ] {
        let sealed = wide.send(&udp_packet(from, to, 5));
        refused(&mut b, &sealed, DropReason::SelectorMismatch, happened);
    }
    // Also of the other version.
    let mut other = forger(&[(ESP, 2000)], ("::/0", "::/0"));
    for _ in 0..4 {
        other.send(&udp_packet("fd00::1", "fd00::2", 5));
    }
    let sealed = other.send(&udp_packet("fd00::1", "fd00::2", 5));
    refused(&mut b, &sealed, DropReason::SelectorMismatch, happened);
}

/// A source route inside a tunnel leads nowhere but where the tunnel does (RFC 791 §3.1).
#[test]
fn threat_d5_source_routes_inside_a_tunnel() {
    let happened = Happened::InPolSelectMatchFail;
    // Loose and strict; the pointer stands before the last stop, or behind it.
    for kind in [131, 137] {
        for (stop, pointer, passes) in [
            ([192, 168, 20, 77], 4, true),
            ([10, 9, 9, 9], 4, false),
            ([10, 9, 9, 9], 8, true),
        ] {
            let (_, mut b) = pair(&[ESP]);
            let mut wide = forger(&[(ESP, 2000)], ("0.0.0.0/0", "0.0.0.0/0"));
            let mut routed = udp_packet(HOST_A, HOST_B, 5);
            let option = [kind, 7, pointer, stop[0], stop[1], stop[2], stop[3], 0];
            routed.splice(20..20, option);
            routed[0] = 0x47;
            let len = u16::try_from(routed.len()).unwrap();
            routed[2..4].copy_from_slice(&len.to_be_bytes());
            wire::ipv4::write_checksum(&mut routed[..28]);
            let sealed = wide.send(&routed);
            if passes {
                assert_eq!(b.deliver(&sealed), routed);
            } else {
                refused(&mut b, &sealed, DropReason::SelectorMismatch, happened);
            }
        }
    }
}

/// A transport SA is no tunnel, and a tunnel no transport SA.
#[test]
fn the_mode_is_that_of_the_sa() {
    let bare = esp(Mode::Transport, Cipher::Aes128, HashAlg::Sha);
    let (_, mut b) = manual_pair(&[ESP], (A, B), (A, B), |_| {});
    let sealed = forger(&[(bare, 2000)], (A, B)).send(&udp_packet(A, B, 9));
    assert_eq!(why(b.inbound(&sealed)), DropReason::BadInner);
    let (_, mut b) = manual_pair(&[bare], (A, B), (A, B), |_| {});
    let sealed = forger(&[(ESP, 2000)], (A, B)).send(&udp_packet(A, B, 9));
    // What comes out is IP in IP between the routers, which the policy selects; it stays packed.
    let out = b.deliver(&sealed);
    assert_eq!(layers(&out), [4, 17]);
}

/// A dummy packet vanishes.
#[test]
fn dummies_vanish() {
    let bare = esp(Mode::Transport, Cipher::Aes128, HashAlg::Sha);
    let (mut a, mut b) = manual_pair(&[bare], (A, B), (A, B), |_| {});
    let sealed = a.send(&packet(ip(A), ip(B), 59, &[0; 20]));
    let reason = why(b.inbound(&sealed));
    assert_eq!(reason, DropReason::Dummy);
    assert!(reason.is_expected());
}

/// Replays are refused before and after the engine; without the check they are not.
#[test]
fn threat_d1_replays() {
    for (anti_replay, expected) in [(Some(true), false), (None, true)] {
        let (mut a, mut b) = isakmp_pair(&[ESP, AH], (A, B), (LAN_A, LAN_B), |router, _| {
            for spec in &mut router.config.sa_specs {
                spec.anti_replay = anti_replay;
                spec.window = anti_replay.map(|_| 64);
            }
        });
        Agreement::new(&[ESP, AH], A, B, (LAN_A, LAN_B)).install(&mut a, &mut b);
        let sealed: Vec<Vec<u8>> = (0..200).map(|_| a.send(&clear())).collect();
        // Out of order within the window, each once.
        for index in [0, 2, 1, 63, 10, 100, 37, 150] {
            assert_eq!(b.deliver(&sealed[index]), clear(), "{index}");
        }
        for index in [0, 2, 63, 36, 37, 86, 100, 150] {
            let verdict = b.inbound(&sealed[index]);
            if expected {
                assert_eq!(delivered(verdict), clear());
            } else {
                assert_eq!(why(verdict), DropReason::Replayed, "{index}");
            }
        }
        if !expected {
            assert_eq!(b.count(Happened::AhReplayedPacket), 8);
            // Two copies with the engine at once: one passes.
            let mut jobs: Vec<PacketJob<Buf>> = Vec::new();
            for _ in 0..2 {
                let mut cx = Cx {
                    now: b.now,
                    entropy: &mut b.entropy,
                    buffers: &mut Heap,
                };
                match b.plane.inbound(&mut cx, WAN, filled(&sealed[160])) {
                    Verdict::Compute(job) => jobs.push(job),
                    other => panic!("{}", name(&other)),
                }
            }
            let mut jobs = jobs.into_iter().map(|job| b.run(Verdict::Compute(job)));
            assert_eq!(delivered(jobs.next().unwrap()), clear());
            assert_eq!(why(jobs.next().unwrap()), DropReason::Replayed);
        }
    }
}

/// The responder receives before it sends: what came early does not come again.
#[test]
fn threat_d1_early_packets_are_not_replayed() {
    let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), (LAN_A, LAN_B), |router, _| {
        router.config.sa_specs[0].anti_replay = Some(true);
    });
    let mut early = Vec::new();
    Agreement::new(&[ESP], A, B, (LAN_A, LAN_B)).install_with(&mut a, &mut b, |a, b| {
        early = a.send(&clear());
        assert_eq!(b.deliver(&early), clear());
    });
    assert_eq!(why(b.inbound(&early)), DropReason::Replayed);
}

/// A forged packet with a sequence number far ahead does not move the window.
#[test]
fn threat_d1_a_forged_jump_moves_nothing() {
    let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), (LAN_A, LAN_B), |router, _| {
        router.config.sa_specs[0].anti_replay = Some(true);
    });
    Agreement::new(&[ESP], A, B, (LAN_A, LAN_B)).install(&mut a, &mut b);
    let sealed = a.send(&clear());
    let mut forged = sealed.clone();
    forged[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(why(b.inbound(&forged)), DropReason::BadIcv);
    forged[24..28].copy_from_slice(&[0; 4]);
    assert_eq!(why(b.inbound(&forged)), DropReason::Replayed);
    assert_eq!(b.deliver(&sealed), clear());
}

/// The engine refuses, fails, or is late: the packet ends, and the next one is not affected.
#[test]
fn a_faulty_engine_loses_packets_and_nothing_else() {
    let (mut a, mut b) = pair(&[ESP, AH]);
    let mut cx = Cx {
        now: a.now,
        entropy: &mut a.entropy,
        buffers: &mut Heap,
    };
    let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, filled(&clear())) else {
        panic!()
    };
    let refused = Refused {
        job,
        why: RefusedWhy::Full,
    };
    assert_eq!(
        why(a.plane.refused(&mut cx, refused)),
        DropReason::EngineRefused
    );
    assert_eq!(a.count(Happened::EncryptionFailImm), 1);
    let faults = [
        (JobFault::Engine(Stage::Cipher), Happened::EncryptionFail),
        (JobFault::Engine(Stage::Hash), Happened::EspOutHashFail),
        (JobFault::Closed, Happened::EncDoneGetSaFail),
    ];
    for (fault, happened) in faults {
        let mut cx = Cx {
            now: a.now,
            entropy: &mut a.entropy,
            buffers: &mut Heap,
        };
        let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, filled(&clear())) else {
            panic!()
        };
        let done = PacketDone {
            ticket: job.ticket,
            channel: job.channel,
            result: Err(fault),
            buffer: job.buffer,
        };
        let ticket = done.ticket;
        assert!(matches!(
            a.plane.complete(&mut cx, done),
            Verdict::Drop { .. }
        ));
        // A completion that was there before has no effect.
        let late = PacketDone {
            ticket,
            channel: job.channel,
            result: Ok(()),
            buffer: filled(&clear()),
        };
        assert_eq!(why(a.plane.complete(&mut cx, late)), DropReason::SaGone);
        assert_eq!(a.count(happened), 1);
    }
    assert_eq!(a.plane.state().in_flight(), 0);
    // Sequence numbers were used up, none twice.
    let sealed = a.send(&clear());
    assert_eq!(b.deliver(&sealed), clear());
    let sequences: Vec<u32> = a.plane.state().sas().map(|(_, sa)| sa.sequence).collect();
    assert_eq!(sequences, [5, 1]);
}

/// No packet is under way without a place for it.
#[test]
fn the_engine_holds_so_many_packets_and_no_more() {
    let limits = Limits {
        packets_in_flight: 3,
        ..Limits::default()
    };
    let mut a = Router::with_limits(A, soft(), &limits);
    manual(
        &mut a,
        (Cipher::Aes128, &cipher_key(Cipher::Aes128)),
        (HashAlg::Sha, &mac_key(HashAlg::Sha)),
        (1000, 2000),
        B,
        ("192.168.10.0", "192.168.20.0"),
    );
    let mut jobs = Vec::new();
    for place in 0..5 {
        let mut cx = Cx {
            now: a.now,
            entropy: &mut a.entropy,
            buffers: &mut Heap,
        };
        match a.plane.outbound(&mut cx, WAN, filled(&clear())) {
            Verdict::Compute(job) => jobs.push(job),
            Verdict::Drop { why, .. } => assert!(place >= 3 && why == DropReason::Busy),
            other => panic!("{}", name(&other)),
        }
    }
    assert_eq!(jobs.len(), 3);
    for job in jobs {
        datagrams(a.run(Verdict::Compute(job)));
    }
    datagrams(a.outbound(&clear()));
}
