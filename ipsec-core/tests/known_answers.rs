//! Packets that others computed, byte for byte and both ways.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use common::*;
use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::*;

/// The inner packet of the manual's trace.
const INNER: &str =
    "45000028eb1040002006d908c0a81464c0a801020429005005b7e65c01faee4c5004000038560000";
const SHA_KEY: &str = "dac0b835b11046fbb5f0f85f52112530c1000cc2";

/// Entropy that gives what it is told.
struct Told(Vec<u8>);

impl Entropy for Told {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }
}

fn send_with_iv(router: &mut Router, iv: &str, packet: &[u8]) -> Vec<u8> {
    let mut told = Told(hex(iv));
    let mut cx = Cx {
        now: router.now,
        entropy: &mut told,
        buffers: &mut Heap,
    };
    let verdict = router.plane.outbound(&mut cx, WAN, filled(packet));
    let verdict = router.run(verdict);
    datagrams(verdict).remove(0)
}

/// The manual's inner packet under the keys of its trace; computed apart from this code.
#[test]
fn the_manuals_esp_packet() {
    let mut router = Router::at("63.12.66.122");
    let (des, sha) = (hex("8303f4ba30e24de1"), hex(SHA_KEY));
    manual(
        &mut router,
        (Cipher::Des, &des),
        (HashAlg::Sha, &sha),
        (0x1576_52f2, 0x2270_95c8),
        "61.115.117.39",
        ("192.168.20.0", "192.168.1.0"),
    );
    let sent = send_with_iv(&mut router, "0102030405060708", &hex(INNER));
    assert_eq!(
        sent[20..],
        hex("227095c8 00000001 0102030405060708
             bd9701e3ecc69062c518edff94b8c98acdf6c18cc400f932770db2d9ae91c60bb1f3f301e5a6be86af75e2
             3071063cb2 5189612194d2647c46da6229")
    );
    // Outer header: 96 bytes in all, TTL 64, DF clear although the inner one is set, TOS 0.
    assert_eq!(sent.len(), 96);
    assert_eq!(&sent[..4], &[0x45, 0, 0, 96]);
    assert_eq!((sent[6], sent[8], sent[9]), (0, 64, 50));
    assert_eq!(sent[12..20], [63, 12, 66, 122, 61, 115, 117, 39]);
}

/// AH in tunnel mode around the same packet, computed apart from this code.
const AH_PACKET: &str = "451000544b7f00004033fac73f0c427a3d737527
     0404000000001000 00000001 b2417793b630e38bb546a0de
     45000028eb1040002006d908c0a81464c0a801020429005005b7e65c01faee4c5004000038560000";

fn ah_router(wan: &str, peer: &str, lans: (&str, &str), spis: (u32, u32)) -> Router {
    let mut router = Router::at(wan);
    let spec = ah(Mode::Tunnel, HashAlg::Sha);
    specify(&mut router, &[spec], KeyManagement::Manual);
    router.key(3, KeyKind::General, &hex(SHA_KEY));
    router.config.sa_specs[0].inspi = Some(spis.0);
    router.config.sa_specs[0].outspi = Some(spis.1);
    let peer = PeerAddress::Address(ip(peer));
    let policy = vpn(peer, KeyManagement::Manual, lans);
    router.config.policies.push(policy);
    router.configure();
    router
}

#[test]
fn an_ah_packet_from_elsewhere_is_opened() {
    let lans = ("192.168.1.0/24", "192.168.20.0/24");
    let mut router = ah_router("61.115.117.39", "63.12.66.122", lans, (0x1000, 0x2000));
    let mut arrived = hex(AH_PACKET);
    // What routers may change on the way is not covered.
    arrived[8] = 60;
    wire::ipv4::write_checksum(&mut arrived[..20]);
    assert_eq!(router.deliver(&arrived), hex(INNER));
}

#[test]
fn an_ah_packet_is_sealed_as_elsewhere() {
    let lans = ("192.168.20.0/24", "192.168.1.0/24");
    let mut router = ah_router("63.12.66.122", "61.115.117.39", lans, (0x2000, 0x1000));
    // The identification counts up; another tunnel uses up what comes before 0x4b7f.
    let mut other = router.config.policies[0].clone();
    other.name = Name::new("other");
    other.raddress = Some(selector("172.16.0.0/16"));
    other.bundle = Some(2);
    router.config.policies.push(other);
    let spec = SaSpecConfig {
        number: 2,
        inspi: Some(3),
        outspi: Some(4),
        ..router.config.sa_specs[0].clone()
    };
    router.config.sa_specs.push(spec);
    let bundle = BundleConfig {
        number: 2,
        string: BundleString::parse("2").unwrap(),
        ..router.config.bundles[0].clone()
    };
    router.config.bundles.push(bundle);
    router.configure();
    let filler = udp_packet("192.168.20.1", "172.16.0.1", 0);
    for _ in 1..0x4b7f {
        router.send(&filler);
    }
    let mut sent = router.send(&hex(INNER));
    // The vector's type of service is 0x10, which AH does not cover; ours is the inner one.
    assert_eq!(sent[1], 0);
    sent[1] = 0x10;
    wire::ipv4::write_checksum(&mut sent[..20]);
    assert_eq!(sent, hex(AH_PACKET));
}

/// RFC 3602 §4, cases 5 to 7: ESP with AES-CBC and no authentication, in transport and in tunnel
/// mode.
#[test]
fn the_packets_of_rfc_3602() {
    struct Case {
        mode: Mode,
        key: &'static str,
        spi: u32,
        sequence: u32,
        peer: &'static str,
        iv: &'static str,
        original: &'static str,
        sealed: &'static str,
    }
    let cases = [
        Case {
            mode: Mode::Transport,
            key: "90d382b410eeba7ad938c46cec1a82bf",
            spi: 0x4321,
            sequence: 1,
            peer: "192.168.123.100",
            iv: "e96e8c08ab465763fd098d45dd3ff893",
            original: "45000054 08f20000 4001f9fe c0a87b03 c0a87b64
                08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
                18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637",
            sealed: "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856
                a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a
                a269add047ad2d5913ac19b7cfbad4a6",
        },
        Case {
            mode: Mode::Transport,
            key: "90d382b410eeba7ad938c46cec1a82bf",
            spi: 0x4321,
            sequence: 8,
            peer: "192.168.123.100",
            iv: "69d08df7d203329db093fc4924e5bd80",
            original: "45000030 08fe0000 4001fa16 c0a87b03 c0a87b64
                0800b5e8 a80a0500 a69c083d 0b660e00 77777777 77777777 77777777",
            sealed: "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
        },
        Case {
            mode: Mode::Tunnel,
            key: "0123456789abcdef0123456789abcdef",
            spi: 0x8765,
            sequence: 2,
            peer: "192.168.123.200",
            iv: "f4e765244f6407adf13dc1380f673f37",
            original: "45000054 09040000 4001f988 c0a87b03 c0a87bc8
                08009f76 a90a0100 b49c083d 02a20400 08090a0b 0c0d0e0f 10111213 14151617
                18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637",
            sealed: "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8
                e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5
                c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
        },
    ];
    for case in cases {
        let spec = Spec {
            hash: HashAlg::Null,
            ..esp(case.mode, Cipher::Aes128, HashAlg::Null)
        };
        let mut router = Router::at("192.168.123.3");
        specify(&mut router, &[spec], KeyManagement::Manual);
        router.key(2, KeyKind::Aes, &hex(case.key));
        router.config.sa_specs[0].inspi = Some(case.spi);
        router.config.sa_specs[0].outspi = Some(case.spi);
        let peer = PeerAddress::Address(ip(case.peer));
        let lans = ("192.168.123.3", case.peer);
        let policy = vpn(peer, KeyManagement::Manual, lans);
        router.config.policies.push(policy);
        router.configure();
        let original = hex(case.original);
        for _ in 1..case.sequence {
            router.send(&original);
        }
        let sent = send_with_iv(&mut router, case.iv, &original);
        let esp = [
            &case.spi.to_be_bytes()[..],
            &case.sequence.to_be_bytes(),
            &hex(case.iv),
            &hex(case.sealed),
        ]
        .concat();
        assert_eq!(sent[20..], esp, "sequence {}", case.sequence);
        if case.mode == Mode::Transport {
            assert_eq!(
                sent[4..8],
                original[4..8],
                "the header stays but for its length"
            );
            assert_eq!((sent[8], sent[9]), (64, 50));
        }
    }
}
