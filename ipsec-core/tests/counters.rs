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
            router.plane.opened(now, tickets[0], Err(fault))
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
            router.plane.opened(now, tickets[1], Ok(CHANNEL))
        });
        assert_eq!(
            late,
            ["IPsec bundle setup/remove/setupBundleRemoving", expected]
        );
        router.plane.detached(CHANNEL);
        let gone = added(&mut router, |router| {
            router.plane.opened(now, tickets[1], Ok(CHANNEL))
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
    // 24 of compression, 54 of algorithms that are not there, 3 of lost SAs, 8 of their own.
    assert_eq!(never_raised, 89);
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
