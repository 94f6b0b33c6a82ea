//! The tunnel packets of RFC 3602 §4, cases 7 and 8: AES-CBC without integrity, sealed and opened.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use common::*;
use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::*;

/// A case: key, SPI, sequence number, IV, the packet before, ciphertext.
struct Case {
    key: &'static str,
    spi: u32,
    sequence: u32,
    iv: &'static str,
    packet: &'static str,
    ciphertext: &'static str,
}

const TUNNEL: [Case; 2] = [
    Case {
        key: "0123456789abcdef0123456789abcdef",
        spi: 0x8765,
        sequence: 2,
        iv: "f4e765244f6407adf13dc1380f673f37",
        packet: "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        ciphertext: "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d",
    },
    Case {
        key: "0123456789abcdef0123456789abcdef",
        spi: 0x8765,
        sequence: 5,
        iv: "85d47224b5f3dd5d2101d4ea8dffab22",
        packet: "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ciphertext: "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
    },
];

impl Case {
    fn esp(&self) -> Vec<u8> {
        let head = format!(
            "{:08x}{:08x}{}{}",
            self.spi, self.sequence, self.iv, self.ciphertext
        );
        hex(&head)
    }
}

/// Gives the IV that is told.
struct Told(Vec<u8>);

impl Entropy for Told {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        out.copy_from_slice(&self.0[..out.len()]);
        Ok(())
    }
}

fn router(case: &Case, own: &str, peer: &str) -> Router {
    let mut router = Router::at(own);
    manual(
        &mut router,
        (Cipher::Aes128, &hex(case.key)),
        (HashAlg::Null, &[]),
        (case.spi, case.spi),
        peer,
        ("192.168.123.0", "192.168.123.0"),
    );
    router
}

#[test]
fn rfc3602_tunnel_packets_are_sealed() {
    for case in TUNNEL {
        let mut router = router(&case, "192.168.123.3", "192.168.123.200");
        let mut last = Vec::new();
        // The sequence number counts from 1 to that of the case.
        for _ in 0..case.sequence {
            let buffer = filled(&hex(case.packet));
            let mut told = Told(hex(case.iv));
            let mut cx = Cx {
                now: router.now,
                entropy: &mut told,
                buffers: &mut Heap,
            };
            let verdict = router.plane.outbound(&mut cx, WAN, buffer);
            let Verdict::Transmit(mut out) = router.run(verdict) else {
                panic!("not sent")
            };
            last = out.next_datagram().unwrap().to_vec();
        }
        assert_eq!(last[20..], case.esp());
    }
}

#[test]
fn rfc3602_tunnel_packets_are_opened() {
    for case in TUNNEL {
        let mut router = router(&case, "192.168.123.200", "192.168.123.3");
        let payload = case.esp();
        let outer = wire::ipv4::NewHeader {
            tos: 0,
            total_len: u16::try_from(20 + payload.len()).unwrap(),
            id: 0x0905,
            dont_fragment: false,
            more_fragments: false,
            offset_units: 0,
            ttl: 64,
            protocol: 50,
            source: "192.168.123.3".parse().unwrap(),
            destination: "192.168.123.200".parse().unwrap(),
        };
        let packet = [&outer.to_bytes()[..], &payload].concat();
        let Verdict::Deliver { packet, .. } = router.inbound(&packet) else {
            panic!()
        };
        assert_eq!(packet.packet(), hex(case.packet));
    }
}
