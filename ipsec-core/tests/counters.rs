//! Every counter of packets and SAs is raised where its name says, and by nothing else: what each
//! scene adds to the screens is listed in full.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use common::*;
use hw_offload::*;
use ipsec_core::counters::*;
use ipsec_core::model::*;
use ipsec_core::*;

const A: &str = "1.1.1.1";
const B: &str = "2.2.2.2";
const LANS: (&str, &str) = ("192.168.10.0/24", "192.168.20.0/24");
const HOST_A: &str = "192.168.10.7";
const HOST_B: &str = "192.168.20.9";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const NULL: Spec = esp(Mode::Tunnel, Cipher::Null, HashAlg::Md5);
const BARE: Spec = esp(Mode::Tunnel, Cipher::Des, HashAlg::Null);
const AH: Spec = ah(Mode::Tunnel, HashAlg::Sha);

fn clear() -> Vec<u8> {
    udp_packet(HOST_A, HOST_B, 40)
}

/// Everything that the counter screen shows, by block and name.
fn shown(router: &Router) -> Vec<(String, u64)> {
    let plane = router.plane.state();
    let events = Happened::ALL.iter().map(|happened| {
        let (block, name) = happened.printed();
        (format!("{block}/{name}"), plane.counters().get(*happened))
    });
    let algorithms = Algorithm::ALL.into_iter().flat_map(|algorithm| {
        AlgorithmEvent::ALL.into_iter().map(move |event| {
            let name = format!("{}{}", algorithm.printed().1, event.printed());
            (name, plane.algorithms().get(algorithm, event))
        })
    });
    let null = plane.algorithms().null_keymat_processed;
    events
        .chain(algorithms)
        .chain([("nullKeymatProcessed".into(), null)])
        .collect()
}

/// What a scene adds, without the counters that say what every packet does.
fn added(router: &mut Router, scene: impl FnOnce(&mut Router)) -> Vec<String> {
    let before = shown(router);
    scene(router);
    let mut added = Vec::new();
    for ((name, was), (_, is)) in before.into_iter().zip(shown(router)) {
        for _ in was..is {
            added.push(name.clone());
        }
    }
    added
}

/// How a packet comes back from the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Back {
    Good,
    Refused,
    Failed(JobFault),
    /// Its bundle was being removed meanwhile.
    Removing,
    /// Its SA was gone.
    Gone,
}

/// Lets one packet come back so, and tells what that added, and what was started before.
fn one_pass(spec: Spec, direction: Direction, back: Back) -> (Vec<String>, Vec<String>) {
    let (mut a, mut b) = manual_pair(&[spec], (A, B), LANS, |_| {});
    let (mut router, packet) = match direction {
        Direction::Out => (a, clear()),
        Direction::In => {
            let sealed = a.send(&clear());
            b.pump();
            (b, sealed)
        }
    };
    let mut job = None;
    let started = added(&mut router, |router| {
        let mut cx = Cx {
            now: router.now,
            entropy: &mut router.entropy,
            buffers: &mut Heap,
        };
        let buffer = filled(&packet);
        let verdict = match direction {
            Direction::Out => router.plane.outbound(&mut cx, WAN, buffer),
            Direction::In => router.plane.inbound(&mut cx, WAN, buffer),
        };
        let Verdict::Compute(compute) = verdict else {
            panic!("{}", name(&verdict))
        };
        job = Some(compute);
    });
    let job = job.unwrap();
    if matches!(back, Back::Removing | Back::Gone) {
        let bundle = router.policy("vpn").bundles[0];
        router.plane.release(bundle, RemoveWhy::Configuration);
        if back == Back::Gone {
            router.pump();
        }
    }
    let ended = added(&mut router, |router| {
        if back == Back::Refused {
            let why = RefusedWhy::Full;
            router.call(|plane, cx| plane.refused(cx, Refused { job, why }));
            return;
        }
        let result = match back {
            Back::Failed(fault) => Err(fault),
            _ => Ok(()),
        };
        if back == Back::Good {
            router.run(Verdict::Compute(job));
            return;
        }
        let done = PacketDone {
            ticket: job.ticket,
            channel: job.channel,
            result,
            buffer: job.buffer,
        };
        router.call(|plane, cx| plane.complete(cx, done));
    });
    (started, ended)
}

const CIPHER: Back = Back::Failed(JobFault::Engine(Stage::Cipher));
const HASH: Back = Back::Failed(JobFault::Engine(Stage::Hash));
const CLOSED: Back = Back::Failed(JobFault::Closed);
const BAD_ICV: Back = Back::Failed(JobFault::BadIcv);

/// The names of one row, with the blocks spelt out.
fn names(prefix: &str, row: &str) -> Vec<String> {
    let spelt = |name: &str| {
        if let Some(name) = name.strip_prefix('!') {
            return name.to_owned();
        }
        if name.contains("Process") && !name.ends_with("Finished") {
            return format!("Policy/{name}");
        }
        if name.ends_with("Finished") {
            return format!("IPsec main packet processing/{name}");
        }
        if name == "GetSA" {
            return "SAD/Get SA Good".into();
        }
        if name == "NoSA" {
            return "SAD/Get SA Failed".into();
        }
        format!("{prefix} processing/{name}")
    };
    row.split_whitespace().map(spelt).collect()
}

/// A specification, how the packet comes back, what that adds.
type Rows = &'static [(Spec, Back, &'static str)];

fn passes(direction: Direction, rows: Rows) {
    for (spec, back, row) in rows {
        let way = match direction {
            Direction::Out => "outbound",
            Direction::In => "inbound",
        };
        let prefix = format!("{} {way}", spec.protocol);
        let (_, ended) = one_pass(*spec, direction, *back);
        let (mut ended, mut expected) = (ended, names(&prefix, row));
        ended.sort();
        expected.sort();
        assert_eq!(ended, expected, "{spec:?} {direction:?} {back:?}");
    }
}

#[test]
fn what_leaves_counts_how_it_came_back() {
    passes(
        Direction::Out,
        &[
            (
                ESP,
                Back::Good,
                "GetSA encryptionGood hashStart hashGood outProcessDone outProcessPktFinished !aesEncodeGood !shaEncodeGood",
            ),
            (
                ESP,
                Back::Refused,
                "encryptionFailImm outProcessFailImm !aesEncodeDiscard !shaEncodeDiscard",
            ),
            (
                ESP,
                CIPHER,
                "GetSA encryptionFail outProcessFail !aesEncodeFail",
            ),
            (
                ESP,
                HASH,
                "GetSA encryptionGood hashStart hashFail outProcessFail !aesEncodeGood !shaEncodeFail",
            ),
            (
                ESP,
                CLOSED,
                "GetSA encDoneGetSaFail outProcessFail !aesEncodeDiscard !shaEncodeDiscard",
            ),
            (
                ESP,
                Back::Removing,
                "GetSA encDoneSaBadState outProcessFail !aesEncodeGood !shaEncodeGood",
            ),
            (ESP, Back::Gone, "NoSA encDoneGetSaFail"),
            (
                NULL,
                Back::Good,
                "GetSA hashGood outProcessDone outProcessPktFinished !md5EncodeGood",
            ),
            (
                NULL,
                Back::Refused,
                "hashFailImm outProcessFailImm !md5EncodeDiscard",
            ),
            (NULL, HASH, "GetSA hashFail outProcessFail !md5EncodeFail"),
            (
                NULL,
                CLOSED,
                "GetSA hashDoneGetSaFail outProcessFail !md5EncodeDiscard",
            ),
            (
                NULL,
                Back::Removing,
                "GetSA hashDoneSaBadState outProcessFail !md5EncodeGood",
            ),
            (
                BARE,
                Back::Good,
                "GetSA encryptionGood outProcessDone outProcessPktFinished !desEncodeGood",
            ),
            (
                BARE,
                CIPHER,
                "GetSA encryptionFail outProcessFail !desEncodeFail",
            ),
            (
                AH,
                Back::Good,
                "GetSA hashGood outProcessDone outProcessPktFinished !shaEncodeGood",
            ),
            (
                AH,
                Back::Refused,
                "hashFailImm outProcessFailImm !shaEncodeDiscard",
            ),
            (AH, HASH, "GetSA hashFail outProcessFail !shaEncodeFail"),
            (
                AH,
                CLOSED,
                "GetSA hashDoneGetSaFail outProcessFail !shaEncodeDiscard",
            ),
            (
                AH,
                Back::Removing,
                "GetSA hashDoneSaBadState outProcessFail !shaEncodeGood",
            ),
        ],
    );
}

#[test]
fn what_arrives_counts_how_it_came_back() {
    passes(
        Direction::In,
        &[
            (
                ESP,
                Back::Good,
                "GetSA hashGood decryptionStart decryptionGood inProcessDone inProcessPktFinished !aesDecodeGood !shaDecodeGood",
            ),
            (
                ESP,
                Back::Refused,
                "hashFailImm inProcessFailImm !aesDecodeDiscard !shaDecodeDiscard",
            ),
            (
                ESP,
                BAD_ICV,
                "GetSA hashGood icvInvalid inProcessFail !shaDecodeGood",
            ),
            (
                ESP,
                CIPHER,
                "GetSA hashGood decryptionStart decryptionFail inProcessFail !aesDecodeFail !shaDecodeGood",
            ),
            (ESP, HASH, "GetSA hashFail inProcessFail !shaDecodeFail"),
            (
                ESP,
                CLOSED,
                "GetSA hashDoneGetSaFail inProcessFail !aesDecodeDiscard !shaDecodeDiscard",
            ),
            (
                ESP,
                Back::Removing,
                "GetSA hashDoneSaBadState inProcessFail !aesDecodeGood !shaDecodeGood",
            ),
            (ESP, Back::Gone, "NoSA encDoneGetSaFail"),
            (
                BARE,
                Back::Good,
                "GetSA decryptionGood inProcessDone inProcessPktFinished !desDecodeGood",
            ),
            (
                BARE,
                Back::Refused,
                "decryptionFailImm inProcessFailImm !desDecodeDiscard",
            ),
            (
                BARE,
                CIPHER,
                "GetSA decryptionFail inProcessFail !desDecodeFail",
            ),
            (
                BARE,
                CLOSED,
                "GetSA encDoneGetSaFail inProcessFail !desDecodeDiscard",
            ),
            (
                BARE,
                Back::Removing,
                "GetSA encDoneSaBadState inProcessFail !desDecodeGood",
            ),
            (
                NULL,
                Back::Good,
                "GetSA hashGood inProcessDone inProcessPktFinished !md5DecodeGood",
            ),
            (
                AH,
                Back::Good,
                "GetSA hashGood inProcessDone inProcessPktFinished !shaDecodeGood",
            ),
            (
                AH,
                Back::Refused,
                "hashFailImm inProcessFailImm !shaDecodeDiscard",
            ),
            (
                AH,
                BAD_ICV,
                "GetSA hashGood icvInvalid inProcessFail !shaDecodeGood",
            ),
            (AH, HASH, "GetSA hashFail inProcessFail !shaDecodeFail"),
            (
                AH,
                CLOSED,
                "GetSA hashDoneGetSaFail inProcessFail !shaDecodeDiscard",
            ),
            (
                AH,
                Back::Removing,
                "GetSA hashDoneSaBadState inProcessFail !shaDecodeGood",
            ),
        ],
    );
}

#[test]
fn every_packet_counts_its_start() {
    let out = [
        "IPsec main packet processing/outProcessPkt",
        "SPD/policyMatchSelectors Good",
        "Policy/outProcessStart",
    ];
    let inside = [
        "IPsec main packet processing/inProcessPkt",
        "SAD/Find SA Good",
        "Policy/inProcessStart",
    ];
    for (spec, direction, first) in [
        (
            ESP,
            Direction::Out,
            "ESP outbound processing/encryptionStart",
        ),
        (NULL, Direction::Out, "ESP outbound processing/hashStart"),
        (AH, Direction::Out, "AH outbound processing/hashStart"),
        (ESP, Direction::In, "ESP inbound processing/hashStart"),
        (
            BARE,
            Direction::In,
            "ESP inbound processing/decryptionStart",
        ),
        (AH, Direction::In, "AH inbound processing/hashStart"),
    ] {
        let (mut started, _) = one_pass(spec, direction, Back::Good);
        let common = if direction == Direction::Out {
            out
        } else {
            inside
        };
        let mut expected: Vec<String> = common.iter().map(|name| (*name).into()).collect();
        expected.push(first.into());
        started.sort();
        expected.sort();
        assert_eq!(started, expected, "{spec:?} {direction:?}");
    }
}

/// A router whose bundle of one SA is being set up; nothing has answered yet.
fn setting_up(spec: Spec) -> (Router, Vec<Ticket>) {
    let mut router = Router::at(A);
    specify(&mut router, &[spec], KeyManagement::Manual);
    if let Some(kind) = KeyKind::of_cipher(spec.cipher) {
        router.key(2, kind, &cipher_key(spec.cipher));
    }
    router.key(3, KeyKind::General, &mac_key(spec.hash));
    let record = &mut router.config.sa_specs[0];
    (record.inspi, record.outspi) = (Some(1000), Some(2000));
    let peer = PeerAddress::Address(ip(B));
    router
        .config
        .policies
        .push(vpn(peer, KeyManagement::Manual, LANS));
    let Router {
        plane,
        config,
        net,
        keys,
        now,
        ..
    } = &mut router;
    plane.configure(*now, config, net, keys);
    let mut tickets = Vec::new();
    while let Some(event) = router.plane.next_event() {
        if let PlaneEvent::Open { ticket, .. } = event {
            tickets.push(ticket);
        }
    }
    assert_eq!(tickets.len(), 2);
    (router, tickets)
}

const CHANNEL: ChannelId = ChannelId {
    slot: 5,
    generation: 0,
};

#[test]
fn channels_that_cannot_be_opened_are_told_by_cause() {
    for (spec, fault, expected) in [
        (
            ESP,
            OpenFault::Full,
            &[
                "ESP setup/remove/setupEncSetupFailed",
                "ESP setup/remove/setupFailed",
                "aesAttachFail",
                "shaAttachFail",
            ][..],
        ),
        (
            ESP,
            OpenFault::KeyLength,
            &[
                "ESP setup/remove/setupEncSetupFailed",
                "ESP setup/remove/setupFailed",
                "aesConfigureFail",
                "shaConfigureFail",
            ],
        ),
        (
            NULL,
            OpenFault::Engine,
            &[
                "ESP setup/remove/setupHashSetupFailImm",
                "ESP setup/remove/setupFailed",
                "md5AttachFail",
            ],
        ),
        (
            AH,
            OpenFault::Full,
            &["AH setup/remove/setupFailed", "shaAttachFail"],
        ),
    ] {
        let (mut router, tickets) = setting_up(spec);
        let now = router.now;
        let mut added = added(&mut router, |router| {
            router.plane.opened(now, tickets[0], Err(fault));
        });
        // And with the SA its bundle goes.
        let removal = [
            "IPsec bundle setup/remove/setupSaSetupFailed",
            "IPsec bundle setup/remove/setupFailed",
            "IPsec bundle setup/remove/removeStarted",
            "IPsec bundle setup/remove/removeSaSetupStarted",
            "IPsec bundle setup/remove/removeDone",
            "SAD/Delete SA Good",
        ];
        let kind = spec.protocol.to_string();
        let mut expected: Vec<String> = expected
            .iter()
            .chain(&removal)
            .map(|name| (*name).into())
            .collect();
        expected.push(format!("{kind} setup/remove/removeNothingDone"));
        expected.push(format!("{kind} setup/remove/removeDone"));
        added.sort();
        expected.sort();
        assert_eq!(added, expected, "{spec:?} {fault:?}");
    }
}

#[test]
fn a_set_up_and_its_removal_count_each_step_once() {
    for (spec, prefix, algorithms) in [
        (ESP, "ESP", &["aes", "sha"][..]),
        (AH, "AH", &["sha"]),
        (NULL, "ESP", &["md5"]),
    ] {
        let (mut router, tickets) = setting_up(spec);
        let now = router.now;
        let channels = [CHANNEL, ChannelId { slot: 6, ..CHANNEL }];
        let mut set_up = added(&mut router, |router| {
            for (ticket, channel) in tickets.iter().zip(channels) {
                router.plane.opened(now, *ticket, Ok(channel));
            }
        });
        let mut expected = vec![
            format!("{prefix} setup/remove/setupDone"),
            "IPsec bundle setup/remove/setupDone".into(),
        ];
        for algorithm in algorithms {
            expected.push(format!("{algorithm}AttachGood"));
            expected.push(format!("{algorithm}ConfigureGood"));
        }
        set_up.sort();
        expected.sort();
        assert_eq!(set_up, expected);
        let mut removed = added(&mut router, |router| {
            let bundle = router.policy("vpn").bundles[0];
            router.plane.release(bundle, RemoveWhy::Configuration);
            for channel in channels {
                router.plane.detached(channel);
            }
        });
        let mut expected = vec![
            format!("{prefix} setup/remove/removeDone"),
            "IPsec bundle setup/remove/removeStarted".into(),
            "IPsec bundle setup/remove/removeSaSetupStarted".into(),
            "IPsec bundle setup/remove/removeDone".into(),
            "SAD/Delete SA Good".into(),
        ];
        for algorithm in algorithms {
            expected.push(format!("{algorithm}Remove"));
            expected.push(format!("{algorithm}Detached"));
        }
        removed.sort();
        expected.sort();
        assert_eq!(removed, expected);
    }
}

#[test]
fn keys_are_counted_when_they_are_taken() {
    for (spec, expected) in [
        (ESP, &["aesKeymatProcessed", "shaKeymatProcessed"][..]),
        (NULL, &["md5KeymatProcessed", "nullKeymatProcessed"]),
        (AH, &["shaKeymatProcessed"]),
    ] {
        let (router, _) = setting_up(spec);
        let keys: Vec<String> = shown(&router)
            .into_iter()
            .filter(|(name, value)| name.ends_with("KeymatProcessed") && *value == 1)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(keys, expected);
    }
}

#[test]
fn answers_that_come_too_late() {
    for (spec, expected) in [
        (ESP, "ESP setup/remove/setupEncSetupBundleRm"),
        (AH, "AH setup/remove/setupGetSaFailed"),
    ] {
        let (mut router, tickets) = setting_up(spec);
        let now = router.now;
        // One of its channels is open, so that its entry outlives the removal for a while.
        router.plane.opened(now, tickets[0], Ok(CHANNEL));
        let bundle = router.policy("vpn").bundles[0];
        router.plane.release(bundle, RemoveWhy::Configuration);
        let late = added(&mut router, |router| {
            router.plane.opened(now, tickets[1], Ok(CHANNEL));
        });
        assert_eq!(
            late,
            ["IPsec bundle setup/remove/setupBundleRemoving", expected]
        );
        router.plane.detached(CHANNEL);
        let gone = added(&mut router, |router| {
            router.plane.opened(now, tickets[1], Ok(CHANNEL));
        });
        assert_eq!(
            gone,
            [
                "IPsec bundle setup/remove/setupBundleRemoving",
                "ESP setup/remove/setupGetSaFailed"
            ]
        );
    }
}

/// Policies without keys count what they did with a packet, and the filter where it differed.
#[test]
fn policies_and_selectors() {
    let mut router = Router::at(A);
    let policy = |name: &str, action, remote: &str| {
        let interface = InterfaceName::new("ppp0");
        let mut policy = PolicyConfig::new(Name::new(name), interface, action);
        policy.raddress = Some(selector(remote));
        policy
    };
    let mut web = policy("web", Action::Permit, "10.0.0.0/8");
    (web.transport, web.lport, web.rport) = (Some(6), Some(1000), Some(80));
    let mut range = policy("range", Action::Permit, "10.0.0.0/8");
    range.raddress = Some(AddressSelector::Range(ip("10.9.0.0"), ip("10.9.0.9")));
    let mut own = policy("own", Action::Deny, "10.0.0.0/8");
    own.laddress = Some(selector("192.168.77.0/24"));
    let mut own_range = policy("own-range", Action::Deny, "10.0.0.0/8");
    own_range.laddress = Some(AddressSelector::Range(
        ip("192.168.77.0"),
        ip("192.168.77.9"),
    ));
    let mut discovery = policy("nd", Action::Permit, "10.0.0.0/8");
    (discovery.raddress, discovery.version) = (None, Some(IpVersion::V6));
    discovery.neighbour_discovery = true;
    let deny = policy("deny", Action::Deny, "10.1.0.0/16");
    let permit = policy("permit", Action::Permit, "10.2.0.0/16");
    router.config.policies = vec![web, range, own, own_range, discovery, deny, permit];
    router.configure();
    let in_front = [
        "Policy Filter/localAddressMaskFailed",
        "Policy Filter/localAddressRangeFailed",
        "Policy Filter/remoteAddressRangeFailed",
        // Ports are compared before protocols.
        "Policy Filter/localPortFailed",
    ];
    let main = "IPsec main packet processing";
    for (to, arrives, last) in [
        ("10.1.0.1", false, vec!["Policy/outDeny".to_owned()]),
        (
            "10.2.0.1",
            false,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy/outPermit".into(),
            ],
        ),
        (
            "10.3.0.1",
            false,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy Filter/remoteAddressMaskFailed".into(),
                format!("{main}/outNoPolicyFound"),
            ],
        ),
        ("10.1.0.1", true, vec!["Policy/inDeny".into()]),
        (
            "10.2.0.1",
            true,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy/inPermit".into(),
            ],
        ),
        (
            "10.3.0.1",
            true,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy Filter/remoteAddressMaskFailed".into(),
                format!("{main}/inNoPolicyFound"),
            ],
        ),
    ] {
        let mut expected: Vec<String> = in_front.iter().map(|name| (*name).into()).collect();
        expected.extend(last);
        let failures = expected
            .iter()
            .filter(|name| name.starts_with("Policy Filter"))
            .count();
        expected.extend(vec!["SPD/policyMatchSelectors Failed".into(); failures]);
        let start = if arrives {
            "inProcessPkt"
        } else {
            "outProcessPkt"
        };
        expected.push(format!("{main}/{start}"));
        if !expected.iter().any(|name| name.ends_with("NoPolicyFound")) {
            expected.push("SPD/policyMatchSelectors Good".into());
        }
        let mut added = added(&mut router, |router| {
            if arrives {
                router.inbound(&udp_packet(to, HOST_A, 4));
            } else {
                router.outbound(&udp_packet(HOST_A, to, 4));
            }
        });
        added.sort();
        expected.sort();
        assert_eq!(added, expected, "{to}");
    }
    // Neighbour discovery is compared by its types.
    let segment = |protocol: u8, from: u16, to: u16| {
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        packet(
            ip(HOST_A),
            ip("10.0.0.1"),
            protocol,
            &[&ports[..], &[0; 16]].concat(),
        )
    };
    for (packet, failed) in [
        (segment(6, 1001, 80), "Policy Filter/localPortFailed"),
        (segment(6, 1000, 81), "Policy Filter/remotePortFailed"),
        (segment(17, 1000, 80), "Policy Filter/transportProtoFailed"),
        (
            packet(
                ip("fd00::1"),
                ip("fd00::2"),
                58,
                &[128, 0, 0, 0, 0, 0, 0, 0],
            ),
            "Policy Filter/neighbourDiscFailed",
        ),
    ] {
        let added = added(&mut router, |router| {
            router.outbound(&packet);
        });
        let here = added.iter().filter(|name| *name == failed).count();
        assert_eq!(here, 1, "{failed}: {added:?}");
    }
}

#[test]
fn replayed_packets() {
    for (spec, name) in [
        (ESP, "ESP inbound processing/replayedPacket"),
        (AH, "AH inbound processing/replayedPacket"),
    ] {
        let (mut a, mut b) = isakmp_pair(&[spec], (A, B), LANS, |router, _| {
            router.config.sa_specs[0].anti_replay = Some(true);
        });
        Agreement::new(&[spec], A, B, LANS).install(&mut a, &mut b);
        let sealed = a.send(&clear());
        b.deliver(&sealed);
        let added = added(&mut b, |b| {
            assert_eq!(why(b.inbound(&sealed)), DropReason::Replayed);
        });
        let here = added.iter().filter(|added| *added == name).count();
        assert_eq!(here, 1, "{added:?}");
    }
}

#[test]
fn bundles_that_cannot_be_begun() {
    let (mut a, _) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
    let ends = (ip(A), ip(B));
    let policy = a.policy_id("vpn");
    let reserve = |a: &mut Router, expected: ReserveFault| {
        added(a, |a| {
            let reserved = a
                .plane
                .reserve(a.now, &mut a.entropy, policy, ends, &[Protocol::Esp]);
            assert_eq!(reserved.unwrap_err(), expected);
        })
    };
    // The policy goes while its peer is asked.
    a.config.policies.clear();
    a.configure();
    let setup = "IPsec bundle setup/remove";
    assert_eq!(
        reserve(&mut a, ReserveFault::NoSuchPolicy),
        [format!("{setup}/setupGetPolicyFail")]
    );
    // SAs that are not there cannot be deleted.
    let unknown = added(&mut a, |a| {
        assert!(!a.plane.delete_by_spi(ip(B), Protocol::Esp, Spi(77)));
    });
    assert_eq!(unknown, ["SAD/Delete SA Failed"]);

    // A manual bundle without one of its specifications.
    let (mut router, _) = setting_up(ESP);
    router.config.sa_specs.clear();
    let missing = added(&mut router, |router| {
        router
            .plane
            .configure(router.now, &router.config, &router.net, &router.keys);
    });
    assert!(
        missing.contains(&format!("{setup}/setupGetSaSpecFail")),
        "{missing:?}"
    );

    // A table that is full.
    let limits = Limits {
        sas: 0,
        ..Limits::default()
    };
    let mut full = Router::with_limits(A, soft(), &limits);
    specify(&mut full, &[ESP], KeyManagement::Isakmp);
    let peer = PeerAddress::Address(ip(B));
    full.config
        .policies
        .push(vpn(peer, KeyManagement::Isakmp, LANS));
    full.configure();
    let policy = full.policy_id("vpn");
    let none = added(&mut full, |full| {
        let reserved =
            full.plane
                .reserve(full.now, &mut full.entropy, policy, ends, &[Protocol::Esp]);
        assert_eq!(reserved.unwrap_err(), ReserveFault::Full);
    });
    assert!(
        none.contains(&"Policy/outSetupBundleFail".to_owned()),
        "{none:?}"
    );
}

#[test]
fn bundles_expire_by_what_arrives_and_what_leaves() {
    for direction in [Direction::Out, Direction::In] {
        let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), LANS, |_, _| {});
        let mut agreement = Agreement::new(&[ESP], A, B, LANS);
        agreement.lifetime.kbytes = Some(1);
        agreement.install(&mut a, &mut b);
        let mut seen = Vec::new();
        for _ in 0..12 {
            let packet = udp_packet(HOST_A, HOST_B, 100);
            match direction {
                Direction::Out => seen.extend(added(&mut a, |a| {
                    a.outbound(&packet);
                })),
                Direction::In => {
                    let Verdict::Transmit(mut sealed) = a.outbound(&packet) else {
                        break;
                    };
                    let sealed = sealed.next_datagram().unwrap().to_vec();
                    seen.extend(added(&mut b, |b| {
                        b.inbound(&sealed);
                    }));
                }
            }
        }
        let ways = if direction == Direction::Out {
            "out"
        } else {
            "in"
        };
        for name in ["BundleSoftExpire", "BundleExpire"] {
            let name = format!("Policy/{ways}{name}");
            let here = seen.iter().filter(|seen| **seen == name).count();
            let expected = usize::from(direction == Direction::Out || name.ends_with("SoftExpire"));
            assert!(here >= expected, "{name}: {here} {seen:?}");
        }
    }
}

#[test]
fn what_was_to_leave_inside_udp() {
    let (mut a, _) = manual_pair(&[ESP], (A, B), LANS, |policy| {
        policy.udp_tunnel = Some(true);
    });
    let mut cx = Cx {
        now: a.now,
        entropy: &mut a.entropy,
        buffers: &mut Heap,
    };
    let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, filled(&clear())) else {
        panic!("a job")
    };
    let refused = added(&mut a, |a| {
        let why = RefusedWhy::Full;
        a.call(|plane, cx| plane.refused(cx, Refused { job, why }));
    });
    assert!(
        refused.contains(&"IPsec over UDP/outPktFail".to_owned()),
        "{refused:?}"
    );
    let sent = added(&mut a, |a| drop(a.send(&clear())));
    assert!(
        sent.contains(&"IPsec over UDP/outPkt".to_owned()),
        "{sent:?}"
    );
}

/// What the 281 names of the screen are raised by, or why they are not.
#[test]
fn every_name_on_the_screen_has_an_event_or_a_reason() {
    let mut names = Vec::new();
    for block in BLOCKS {
        match block.body {
            Body::Rows(rows) => {
                let cells = rows.iter().flatten().filter(|name| !name.is_empty());
                names.extend(cells.map(|name| (block.key, String::from(*name))));
            }
            Body::Outcomes(rows) => {
                for (name, fails) in rows {
                    names.push((block.key, format!("{name} Good")));
                    if *fails {
                        names.push((block.key, format!("{name} Failed")));
                    }
                }
            }
            Body::Algorithms => {
                names.push(("", "nullKeymatProcessed".into()));
                for algorithm in Algorithm::ALL {
                    let (heading, start, last) = algorithm.printed();
                    for event in AlgorithmEvent::ALL {
                        names.push((heading, format!("{start}{}", event.printed())));
                    }
                    names.extend(last.map(|last| (heading, format!("{start}{last}"))));
                }
            }
        }
    }
    assert_eq!(names.len(), 281);
    let counted = |block: &str, name: &str| {
        Happened::of(block, name).is_some()
            || block.is_empty()
            || Algorithm::ALL.into_iter().any(|algorithm| {
                let (heading, start, _) = algorithm.printed();
                heading == block
                    && AlgorithmEvent::ALL
                        .into_iter()
                        .any(|event| name == format!("{start}{}", event.printed()))
            })
    };
    let mut never_raised = 0;
    for (block, name) in &names {
        match never(block, name) {
            Some(_) => never_raised += 1,
            None => assert!(counted(block, name), "{block}: {name}"),
        }
    }
    // 24 of compression, 54 of algorithms that are not there, 3 of lost SAs, 11 of their own.
    assert_eq!(never_raised, 92);
    // Every event stands on some screen.
    let policy = |name: &str| {
        POLICY_BLOCKS
            .iter()
            .any(|(_, rows)| rows.iter().flatten().any(|cell| *cell == name))
    };
    for happened in Happened::ALL {
        let (block, name) = happened.printed();
        let global = names
            .iter()
            .any(|(other, cell)| *other == block && cell == name);
        assert!(global || policy(name), "{block}: {name}");
        assert!(
            never(block, name).is_none() || *happened == Happened::InPolicyActionFail,
            "{name}"
        );
    }
    // The 40 of a policy and the 58 of an SA.
    let cells: Vec<&str> = POLICY_BLOCKS
        .iter()
        .flat_map(|(_, rows)| rows.iter().flatten())
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(cells.len(), 40);
    for name in cells {
        let known = POLICY_EVENTS
            .iter()
            .any(|happened| happened.printed().1 == name);
        assert!(known || never("Policy", name).is_some(), "{name}");
    }
    let cells = SA_LINES.iter().filter_map(|line| match line {
        SaLine::Cells(cells) => Some(cells),
        SaLine::Title(_) | SaLine::Heading(_) => None,
    });
    let cells: Vec<_> = cells
        .flatten()
        .filter(|(name, _)| !name.is_empty())
        .collect();
    assert_eq!(cells.len(), 58);
    let raised: Vec<Happened> = cells.iter().filter_map(|(_, happened)| *happened).collect();
    assert_eq!(raised.len(), SA_EVENTS.len());
    assert!(SA_EVENTS.iter().all(|happened| raised.contains(happened)));
}
