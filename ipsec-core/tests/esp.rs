//! ESP tunnel mode with manual keys, byte for byte and both ways.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use common::*;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::*;

const INNER: &str =
    "45000028eb1040002006d908c0a81464c0a801020429005005b7e65c01faee4c5004000038560000";

/// Entropy that gives what it is told.
struct Told(Vec<u8>);

impl Entropy for Told {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }
}

fn soft() -> SoftEngine<Buf> {
    SoftEngine::new(8, 8)
}

/// The manual's inner packet under the trace's outbound keys: protocol-notes' ESP vector.
#[test]
fn the_manuals_esp_packet() {
    let mut router = Router::new("63.12.66.122", soft());
    let (des, sha) = (
        hex("8303f4ba30e24de1"),
        hex("dac0b835b11046fbb5f0f85f52112530c1000cc2"),
    );
    manual(
        &mut router,
        (Cipher::Des, &des),
        (HashAlg::Sha, &sha),
        (0x1576_52f2, 0x2270_95c8),
        "61.115.117.39",
        ("192.168.20.0", "192.168.1.0"),
    );
    let mut buffer = Buf::with_headroom(64);
    buffer.fill(64, &hex(INNER)).unwrap();
    let mut told = Told(hex("0102030405060708"));
    let mut cx = Cx {
        now: router.now,
        entropy: &mut told,
        buffers: &mut NoBuffers,
    };
    let verdict = router.plane.outbound(&mut cx, WAN, buffer);
    let Verdict::Transmit(mut out) = router.run(verdict) else {
        panic!("not sent")
    };
    let sent = out.next_datagram().unwrap().to_vec();
    assert!(out.next_datagram().is_none());
    assert_eq!(
        sent[20..],
        hex(
            "227095c8000000010102030405060708bd9701e3ecc69062c518edff94b8c98acdf6c18cc400f932770db2d9ae91c60bb1f3f301e5a6be86af75e23071063cb25189612194d2647c46da6229"
        )
    );
    // Outer header: 96 bytes in all, TTL 64, DF clear although the inner one is set, TOS 0.
    assert_eq!(sent.len(), 96);
    assert_eq!(&sent[..4], &[0x45, 0, 0, 96]);
    assert_eq!((sent[6], sent[8], sent[9]), (0, 64, 50));
    assert_eq!(sent[12..20], [63, 12, 66, 122, 61, 115, 117, 39]);
}

fn pair(cipher: Cipher, hash: HashAlg) -> (Router<SoftEngine<Buf>>, Router<SoftEngine<Buf>>) {
    let mut a = Router::new("1.1.1.1", soft());
    let mut b = Router::new("2.2.2.2", soft());
    let key: Vec<u8> = (1..=u8::try_from(cipher.key_len()).unwrap()).collect();
    let mac: Vec<u8> = vec![9; hash.mac().key_len()];
    let (lan_a, lan_b) = ("192.168.20.0", "192.168.1.0");
    let (c, h) = ((cipher, &key[..]), (hash, &mac[..]));
    manual(&mut a, c, h, (1000, 1001), "2.2.2.2", (lan_a, lan_b));
    manual(&mut b, c, h, (1001, 1000), "1.1.1.1", (lan_b, lan_a));
    (a, b)
}

fn sealed(router: &mut Router<SoftEngine<Buf>>, packet: &[u8]) -> Vec<u8> {
    match router.outbound(packet) {
        Verdict::Transmit(mut out) => out.next_datagram().unwrap().to_vec(),
        other => panic!("not sent: {other:?}"),
    }
}

fn why(verdict: Verdict<Buf>) -> DropReason {
    match verdict {
        Verdict::Drop { why, .. } | Verdict::Bounce { why, .. } => why,
        other => panic!("not dropped: {other:?}"),
    }
}

#[test]
fn every_algorithm_both_ways() {
    for cipher in Cipher::ALL {
        for hash in [HashAlg::Null, HashAlg::Md5, HashAlg::Sha] {
            if cipher == Cipher::Null && hash == HashAlg::Null {
                continue;
            }
            let (mut a, mut b) = pair(cipher, hash);
            for _ in 0..3 {
                let esp = sealed(&mut a, &hex(INNER));
                let Verdict::Deliver { packet, .. } = b.inbound(&esp) else {
                    panic!()
                };
                assert_eq!(packet.packet(), hex(INNER), "{cipher:?} {hash:?}");
            }
            assert_eq!(a.plane.state().sas().next().unwrap().1.sequence, 3);
        }
    }
}

/// Every single changed bit of an authenticated packet is noticed, and nothing moves.
#[test]
fn threat_d3_authenticate_before_anything() {
    let (mut a, mut b) = pair(Cipher::Aes128, HashAlg::Sha);
    let esp = sealed(&mut a, &hex(INNER));
    for bit in 24 * 8..esp.len() * 8 {
        let mut forged = esp.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(why(b.inbound(&forged)), DropReason::BadIcv);
        assert_eq!(b.plane.state().sas().next().unwrap().1.replay.highest(), 0);
    }
    assert!(matches!(b.inbound(&esp), Verdict::Deliver { .. }));
}

/// threats.md D6: short and odd ESP packets are refused before anything is computed.
#[test]
fn threat_d6_tiny_packets() {
    let (mut a, mut b) = pair(Cipher::Aes128, HashAlg::Sha);
    let esp = sealed(&mut a, &hex(INNER));
    for len in 0..esp.len() {
        let mut short = esp[..len].to_vec();
        if len >= 20 {
            let header = wire::ipv4::NewHeader {
                tos: 0,
                total_len: u16::try_from(len).unwrap(),
                id: 1,
                dont_fragment: false,
                more_fragments: false,
                offset_units: 0,
                ttl: 64,
                protocol: 50,
                source: "1.1.1.1".parse().unwrap(),
                destination: "2.2.2.2".parse().unwrap(),
            };
            short[..20].copy_from_slice(&header.to_bytes());
        }
        let got = why(b.inbound(&short));
        assert!(
            matches!(got, DropReason::Malformed | DropReason::BadIcv),
            "{len}: {got:?}"
        );
    }
}

/// A clear packet that an IPSEC policy selects never passes, in either direction.
#[test]
fn clear_packets_never_pass() {
    let (mut a, mut b) = pair(Cipher::Des, HashAlg::Sha);
    assert_eq!(why(b.inbound(&hex(INNER))), DropReason::ClearWhereIpsec);
    // With the engine's channels gone there is no way to seal it: dropped, not sent.
    a.config.enabled = false;
    let policies = a.plane.state().policies().count();
    assert_eq!(policies, 1);
}

/// A tunnelled packet whose addresses are not the policy's is refused after deciphering.
#[test]
fn threat_d5_inner_selectors() {
    let mut a = Router::new("1.1.1.1", soft());
    let (mut b, key) = (pair(Cipher::Des, HashAlg::Sha).1, [1, 2, 3, 4, 5, 6, 7, 8]);
    manual(
        &mut a,
        (Cipher::Des, &key),
        (HashAlg::Sha, &[9; 20]),
        (1000, 1001),
        "2.2.2.2",
        ("192.168.20.0", "192.168.0.0"),
    );
    let mut other = hex(INNER);
    other[18] = 0; // destination 192.168.0.2, outside b's LAN
    other[10..12].copy_from_slice(&[0, 0]);
    let sum = wire::checksum::checksum(&[&other[..20]]);
    other[10..12].copy_from_slice(&sum.to_be_bytes());
    let esp = sealed(&mut a, &other);
    assert_eq!(why(b.inbound(&esp)), DropReason::SelectorMismatch);
}

/// Too large for the MTU: fragments while DF is clear, an ICMP error when it must be set.
#[test]
fn larger_than_the_mtu() {
    let (mut a, _) = pair(Cipher::Aes128, HashAlg::Sha);
    let header = wire::ipv4::NewHeader {
        tos: 0,
        total_len: 1490,
        id: 1,
        dont_fragment: true,
        more_fragments: false,
        offset_units: 0,
        ttl: 64,
        protocol: 17,
        source: "192.168.20.1".parse().unwrap(),
        destination: "192.168.1.1".parse().unwrap(),
    };
    let mut large = header.to_bytes().to_vec();
    large.extend((0..1470).map(|n| (n % 251) as u8));
    let Verdict::Transmit(mut out) = a.outbound(&large) else {
        panic!()
    };
    let whole = out.packet.packet()[20..].to_vec();
    let mut joined = Vec::new();
    while let Some(fragment) = out.next_datagram() {
        let ip = wire::ipv4::Ipv4::parse(fragment).unwrap();
        assert!(fragment.len() <= 1500);
        assert_eq!(ip.fragment_offset(), joined.len());
        joined.extend_from_slice(ip.payload());
        assert_eq!(ip.more_fragments(), joined.len() < whole.len());
    }
    assert_eq!(joined, whole);

    a.config.policies[0].df_bit = Some(DfBit::Copy);
    a.configure();
    let Verdict::Bounce { packet, why } = a.outbound(&large) else {
        panic!()
    };
    assert_eq!(why, DropReason::TooBig);
    let ip = wire::ipv4::Ipv4::parse(packet.packet()).unwrap();
    assert_eq!(ip.destination().to_string(), "192.168.20.1");
    let mtu = usize::from(u16::from_be_bytes([ip.payload()[6], ip.payload()[7]]));
    assert_eq!(&ip.payload()[..2], &[3, 4]);
    // A packet of exactly that size fits, one byte more does not.
    for (len, fits) in [(mtu, true), (mtu + 1, false)] {
        let mut packet = wire::ipv4::NewHeader {
            total_len: u16::try_from(len).unwrap(),
            ..header
        }
        .to_bytes()
        .to_vec();
        packet.resize(len, 0);
        assert_eq!(matches!(a.outbound(&packet), Verdict::Transmit(_)), fits);
    }
}
