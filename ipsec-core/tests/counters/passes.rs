//! What a packet counts when it goes to the engine, and by how it comes back.

use super::*;

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
pub(crate) fn what_leaves_counts_how_it_came_back() {
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
pub(crate) fn what_arrives_counts_how_it_came_back() {
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
pub(crate) fn every_packet_counts_its_start() {
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

/// Every algorithm has the same counters, each its own.
#[test]
pub(crate) fn every_cipher_and_hash_counts_as_itself() {
    let ciphers = [
        (Cipher::Des, "des"),
        (Cipher::TripleDes, "3DesOuter"),
        (Cipher::Aes128, "aes"),
        (Cipher::Aes192, "aes"),
        (Cipher::Aes256, "aes"),
    ];
    let hashes = [(HashAlg::Md5, "md5"), (HashAlg::Sha, "sha")];
    let ends = [
        (Back::Good, "Good"),
        (Back::Refused, "Discard"),
        (CLOSED, "Discard"),
    ];
    for (direction, verb) in [(Direction::Out, "Encode"), (Direction::In, "Decode")] {
        for ((cipher, first), (hash, second)) in
            ciphers.iter().flat_map(|c| hashes.map(|h| (*c, h)))
        {
            let spec = esp(Mode::Tunnel, cipher, hash);
            for (back, word) in ends {
                let (_, ended) = one_pass(spec, direction, back);
                for algorithm in [first, second] {
                    let name = format!("{algorithm}{verb}{word}");
                    let times = ended.iter().filter(|other| **other == name).count();
                    assert_eq!(times, 1, "{name}: {ended:?}");
                }
            }
            for (back, algorithm) in [(CIPHER, first), (HASH, second)] {
                let (_, ended) = one_pass(spec, direction, back);
                assert!(
                    ended.contains(&format!("{algorithm}{verb}Fail")),
                    "{ended:?}"
                );
            }
        }
    }
}
