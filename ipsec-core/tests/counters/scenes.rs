//! What single events count: everything that is not the way of a packet through the engine.

use std::time::Duration;

use super::*;

const OTHER: &str = "10.0.0.1";
const ANYWHERE: (&str, &str) = ("0.0.0.0/0", "0.0.0.0/0");

/// Asserts that a scene counts each of these once.
#[track_caller]
fn counts(router: &mut Router, names: &[&str], scene: impl FnOnce(&mut Router)) {
    let added = added(router, scene);
    for name in names {
        let times = added.iter().filter(|other| other == name).count();
        assert_eq!(times, 1, "{name}: {added:#?}");
    }
}

/// The same of something that arrives.
#[track_caller]
fn arrives(router: &mut Router, names: &[&str], packet: &[u8]) {
    counts(router, names, |router| {
        router.inbound(packet);
    });
}

/// The same of something that leaves.
#[track_caller]
fn leaves(router: &mut Router, names: &[&str], packet: &[u8]) {
    counts(router, names, |router| {
        router.outbound(packet);
    });
}

/// Two routers with manual keys between the LANs.
fn manual(specs: &[Spec]) -> (Router, Router) {
    manual_pair(specs, (A, B), LANS, |_| {})
}

/// Somebody who knows the keys and sends to B what he likes.
fn forged(specs: &[(Spec, u32)], packet: &[u8]) -> Vec<u8> {
    forger((A, B), specs, ANYWHERE).send(packet)
}

#[test]
pub(crate) fn spis_are_found_or_not() {
    let (_, mut b) = manual(&[ESP]);
    let unknown = forged(&[(ESP, 77)], &clear());
    arrives(&mut b, &["SAD/Find SA Failed"], &unknown);
    counts(&mut b, &["SAD/Delete SA Failed"], |b| {
        b.plane.delete_by_spi(ip(A), Protocol::Esp, Spi(77));
    });
    let bundle = b.policy("vpn").bundles[0];
    b.plane.release(bundle, RemoveWhy::Configuration);
    b.pump();
    counts(&mut b, &["SAD/Delete SA Failed"], |b| {
        b.plane.release(bundle, RemoveWhy::Configuration);
    });
}

/// What travels by socket counts the same.
#[test]
pub(crate) fn what_policies_say_of_datagrams() {
    let flow = wire::flow_of(&clear()).unwrap();
    for (action, out, inside) in [
        (Action::Permit, "Policy/outPermit", "Policy/inPermit"),
        (Action::Deny, "Policy/outDeny", "Policy/inDeny"),
    ] {
        let mut router = Router::at(A);
        let policy = PolicyConfig::new(Name::new("p"), InterfaceName::new("ppp0"), action);
        router.config.policies.push(policy);
        router.configure();
        for (direction, name) in [(Direction::Out, out), (Direction::In, inside)] {
            counts(&mut router, &[name], |router| {
                router.plane.check(WAN, direction, &flow);
            });
        }
    }
    let (_, mut b) = manual(&[ESP]);
    arrives(&mut b, &["Policy/inActionIpsecFail"], &clear());
    counts(&mut b, &["Policy/inActionIpsecFail"], |b| {
        b.plane.check(WAN, Direction::In, &flow);
    });
}

#[test]
pub(crate) fn bundles_that_cannot_be_begun() {
    let setup = |name: &str| format!("IPsec bundle setup/remove/{name}");
    let (mut a, _) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
    let gone = a.policy_id("vpn");
    let ends = (ip(A), ip(B));
    let reserve = |a: &mut Router, protocols: &[Protocol]| {
        let _ = a
            .plane
            .reserve(a.now, &mut a.entropy, gone, ends, protocols);
    };
    a.config.policies.clear();
    a.configure();
    counts(&mut a, &[&setup("setupGetPolicyFail")], |a| {
        reserve(a, &[Protocol::Esp]);
    });
    // A manual bundle without its specification.
    let (mut a, _) = manual(&[ESP]);
    a.config.policies[0].df_bit = Some(DfBit::Set);
    a.config.sa_specs.clear();
    counts(&mut a, &[&setup("setupGetSaSpecFail")], |a| {
        a.plane.configure(a.now, &a.config, &a.net, &a.keys);
    });
    // No place for a second SA, and none for a second bundle.
    let limits = Limits {
        sas: 1,
        ..Limits::default()
    };
    let mut small = Router::with_limits(A, soft(), &limits);
    specify(&mut small, &[ESP, AH], KeyManagement::Isakmp);
    let peer = PeerAddress::Address(ip(B));
    let policy = vpn(peer, KeyManagement::Isakmp, LANS);
    small.config.policies.push(policy);
    small.configure();
    counts(
        &mut small,
        &[&setup("setupSaSetupFailImm"), &setup("setupFailed")],
        |a| {
            reserve(a, &[Protocol::Esp, Protocol::Ah]);
        },
    );
    small.pump();
    reserve(&mut small, &[Protocol::Esp]);
    counts(&mut small, &["Policy/outSetupBundleFail"], |a| {
        reserve(a, &[Protocol::Esp]);
    });
}

#[test]
pub(crate) fn packets_without_a_bundle() {
    let (mut a, _) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
    for _ in 0..20 {
        leaves(&mut a, &["Policy/outNoBundle"], &clear());
    }
    leaves(
        &mut a,
        &["Policy/outNoBundle", "Policy/outNoBundleFail"],
        &clear(),
    );
    // What waited is told as well when it is dropped.
    let policy = a.policy_id("vpn");
    a.plane.negotiation_failed(a.now, policy);
    counts(&mut a, &["Policy/outNoBundleFail"], |a| {
        a.ready();
    });
}

/// Two routers with a negotiated bundle of ten seconds or one kilobyte.
fn short_lived() -> (Router, Router) {
    let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
    let mut agreement = Agreement::new(&[ESP], A, B, LANS);
    agreement.lifetime = Lifetime {
        seconds: 100,
        kbytes: Some(1),
    };
    agreement.install(&mut a, &mut b);
    (a, b)
}

#[test]
pub(crate) fn bundles_reach_their_limits() {
    let (mut a, mut b) = short_lived();
    let (there, back) = (
        udp_packet(HOST_A, HOST_B, 950),
        udp_packet(HOST_B, HOST_A, 950),
    );
    let mut sealed = Vec::new();
    counts(&mut a, &["Policy/outBundleSoftExpire"], |a| {
        sealed = a.send(&there);
    });
    leaves(&mut a, &["Policy/outBundleExpire"], &there);
    arrives(&mut b, &["Policy/inBundleSoftExpire"], &sealed);
    let (mut a, mut b) = short_lived();
    let sealed = a.send(&there);
    b.send(&back);
    arrives(&mut b, &["Policy/inBundleExpire"], &sealed);
    // By time: once nobody may use them, and once the timer removes them.
    let (mut a, mut b) = short_lived();
    let sealed = a.send(&clear());
    (a.now, b.now) = (
        a.now + Duration::from_secs(100),
        b.now + Duration::from_secs(100),
    );
    leaves(&mut a, &["Policy/outBundleStateBad"], &clear());
    arrives(&mut b, &["Policy/inBundleStateBad"], &sealed);
    counts(&mut a, &["Policy/outBundleExpire"], Router::timers);
}

#[test]
pub(crate) fn the_first_packet_replaces_a_bundle() {
    let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
    let agreement = Agreement::new(&[ESP], A, B, LANS);
    agreement.install(&mut a, &mut b);
    a.wait(60);
    b.wait(60);
    agreement.install(&mut a, &mut b);
    let sealed = a.send(&clear());
    arrives(&mut b, &["Policy/inBundleReplaced"], &sealed);
}

#[test]
pub(crate) fn packets_that_do_not_fit_their_bundle() {
    let name = "Policy/inNotFirstSaInBundle";
    let (_, mut b) = manual(&[ESP, AH]);
    arrives(&mut b, &[name], &forged(&[(ESP, 2000)], &clear()));
    let early = "Policy/inPrematureEndBundle";
    arrives(&mut b, &[early], &forged(&[(AH, 2001)], &clear()));
    let (_, mut b) = manual(&[ESP]);
    let wrong = forged(&[(ESP, 2000)], &udp_packet(OTHER, HOST_B, 8));
    arrives(&mut b, &["Policy/inPolSelectMatchFail"], &wrong);
    let (_, mut b) = manual_pair(&[ESP], (A, B), ANYWHERE, |_| {});
    let unknown = forged(&[(ESP, 77)], &clear());
    let twice = forged(&[(ESP, 2000)], &unknown);
    arrives(&mut b, &["Policy/inEndOfBundle"], &twice);
    // Another policy of B has an ESP SA of its own.
    let (_, mut b) = manual(&[ESP, AH]);
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
    let mixed = forged(&[(ESP, 3000), (AH, 2001)], &clear());
    arrives(&mut b, &["Policy/inBundleSaMatchFail"], &mixed);
}

#[test]
pub(crate) fn packets_that_are_no_good() {
    // Once in 256 times garbage looks like padding.
    let (mut a, mut b) = manual(&[BARE]);
    let name = "ESP inbound processing/paddingInvalid";
    let sealed = a.send(&clear());
    let bad = (0..64).find(|bit| {
        let mut forged = sealed.clone();
        let last = forged.len() - 1 - bit / 8;
        forged[last] ^= 1 << (bit % 8);
        let added = added(&mut b, |b| {
            b.inbound(&forged);
        });
        added.iter().any(|other| other == name)
    });
    assert!(bad.is_some());
    for spec in [ESP, AH] {
        let (mut a, mut b) = isakmp_pair(&[spec], (A, B), LANS, |router, _| {
            router.config.sa_specs[0].anti_replay = Some(true);
        });
        Agreement::new(&[spec], A, B, LANS).install(&mut a, &mut b);
        let sealed = a.send(&clear());
        let kind = spec.protocol;
        b.deliver(&sealed);
        let name = format!("{kind} inbound processing/replayedPacket");
        arrives(&mut b, &[&name], &sealed);
    }
    let (mut a, mut b) = manual(&[AH]);
    let name = "AH inbound processing/badPayloadLength";
    let mut sealed = a.send(&clear());
    sealed[21] = 5;
    arrives(&mut b, &[name], &sealed);
    // A header that is too short to be one is none of an SA.
    sealed[21] = 0;
    b.inbound(&sealed);
    assert_eq!(b.count(Happened::AhBadPayloadLength), 2);
    let sa = b.plane.state().sas().next().unwrap().1;
    assert_eq!(sa.counters.get(Happened::AhBadPayloadLength), 1);
}

/// Routers with a UDP tunnel, or without; a second policy keeps the port open in either case.
fn udp_routers(tunnel: bool) -> (Router, Router) {
    let (mut a, mut b) = manual_pair(&[ESP], (A, B), LANS, |policy| {
        policy.udp_tunnel = tunnel.then_some(true);
        policy.udp_heartbeat = tunnel.then_some(true);
    });
    for router in [&mut a, &mut b] {
        let udp = PolicyConfig {
            transport: Some(17),
            lport: Some(2746),
            ..PolicyConfig::new(Name::new("udp"), InterfaceName::new("ppp0"), Action::Permit)
        };
        router.config.policies.insert(0, udp);
        let spec = SaSpecConfig {
            number: 2,
            inspi: Some(5000),
            outspi: Some(5001),
            ..router.config.sa_specs[0].clone()
        };
        router.config.sa_specs.push(spec);
        let bundle = BundleConfig {
            number: 2,
            string: BundleString::parse("2").unwrap(),
            ..router.config.bundles[0].clone()
        };
        router.config.bundles.push(bundle);
        let other = PolicyConfig {
            name: Name::new("other"),
            bundle: Some(2),
            udp_tunnel: Some(true),
            udp_heartbeat: None,
            raddress: Some(selector("172.16.0.0/16")),
            ..router.config.policies[1].clone()
        };
        router.config.policies.push(other);
        router.configure();
    }
    (a, b)
}

#[test]
pub(crate) fn what_goes_by_udp() {
    let (mut a, mut b) = udp_routers(true);
    let mut sealed = Vec::new();
    counts(&mut a, &["IPsec over UDP/outPkt"], |a| {
        sealed = a.send(&clear());
    });
    arrives(&mut b, &["IPsec over UDP/inPkt"], &sealed);
    // No room in front of it for what UDP needs.
    counts(
        &mut a,
        &["IPsec over UDP/outPktFail", "Policy/outProcessFailImm"],
        |a| {
            let mut cramped = Buf::with_headroom(0);
            cramped.fill(0, &clear()).unwrap();
            let verdict = a.call(|plane, cx| plane.outbound(cx, WAN, cramped));
            assert_eq!(why(verdict), DropReason::NoRoom);
        },
    );
    // Or no room in the engine.
    counts(
        &mut a,
        &["IPsec over UDP/outPktFail", "Policy/outProcessFailImm"],
        |a| {
            let buffer = filled(&clear());
            let mut cx = Cx {
                now: a.now,
                entropy: &mut a.entropy,
                buffers: &mut Heap,
            };
            let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, buffer) else {
                panic!("a job")
            };
            let why = RefusedWhy::Full;
            a.plane.refused(&mut cx, Refused { job, why });
        },
    );
    let datagram = |payload: &[u8]| {
        let len = u16::try_from(8 + payload.len()).unwrap();
        let mut bytes = wire::udp::header(2746, 2746, len).to_vec();
        bytes.extend(payload);
        packet(ip(A), ip(B), 17, &bytes)
    };
    let odd = datagram(&[2, 0, 0, 0, 1, 2, 3, 4]);
    arrives(&mut b, &["IPsec over UDP/inPktBadVersion"], &odd);
    let beat = datagram(wire::udp_encap::Framing::V1.heartbeat());
    arrives(&mut b, &["IPsec over UDP/inUdpHeartBeat"], &beat);
    counts(&mut a, &["IPsec over UDP/outUdpHeartBeat"], |a| a.wait(30));
    let (_, mut bare) = udp_routers(false);
    arrives(&mut bare, &["IPsec over UDP/inPktNoPolicy"], &sealed);
}
