//! The manual's trace, value by value, through the functions that the exchanges use.

use hw_offload::testing::hex;
use hw_offload::{Cipher, Hash, Primitives, SoftPrimitives, ct_eq};
use isakmp_core::keys::{Iv, Root, Skeyid};
use isakmp_core::wire::{
    Attribute, Cookie, Delete, ExchangeType, Flags, Header, Identification, MessageId, Notify,
    NotifyType, Payload, PayloadType, Payloads, SaBody, Writer,
};

const PSK: &str = "686f6765686f6765";
const CKY_I: &str = "c7fb026ba87dc835";
const CKY_R: &str = "649adcdb744a7018";
const GX: &str = "fa431d749ddb3ebada8ef569f9da7960464a8ff7f59465ee024e0bb130c77f468ad275cbbc62314bd0184a5f0ad9f170894ab56f666510df2bb7946cf07167605fbaf4634ba8b6ebc7378c1e06c5e9ad5000ffefc8d27904fac1a9131b29b09e";
const GY: &str = "4bafa551598eb94183a7fdbe7deec732404b6330b0bfc9ee9ad4abb63bfd58f97d3c73320882e33984a4146fad9e29f3e0d17262567f7fe612dfea2b97662808a3ef3e868f0482e73ff550e96a39f33ebc9c4a929080529536aa569bb19a8f08";
const GXY: &str = "8c8a03e1564abad8868b40fc7d5bca62a6a79950405d296d9523d061bfd866da1a2ef286aac69939e6f1516fc5620ee2751420b88a64f86de0041875feb0ed62a0328a1e2fd7d90e01b42d0c3d315ece5d0167811b3d77dea899b8378edb2a01";
const NI: &str = "8e1eade9adda0c95289025ad0b322520f7c00a93";
const NR: &str = "16e83cf248d4c890bee7ef266cfb82788d83557a";
const SAI_B: &str = "00000001000000010000002c01010001000000240101000080010001800200028003000180040001800b0001000c000400015180";
const QUICK_NI: &str = "099f36cc5dfa4c00c3c97a5f00ad334f7eae9c07";
const QUICK_NR: &str = "a095527f8c5274284d602fbc4f865fc1ae4490ea";

fn cookies() -> (Cookie, Cookie) {
    let cookie = |text| Cookie(hex(text).try_into().expect("eight bytes"));
    (cookie(CKY_I), cookie(CKY_R))
}

fn root() -> Root {
    let nonces = (&hex(NI)[..], &hex(NR)[..]);
    Root::pre_shared(&SoftPrimitives, Hash::Sha1, &hex(PSK), nonces)
}

fn skeyid() -> Skeyid {
    root().expand(&SoftPrimitives, &hex(GXY), cookies())
}

#[test]
fn skeyids() {
    let known = hex("073f3d19abde74d9a3ab8584c99dc084c97929e9");
    assert_eq!(root().as_bytes(), known);
    let skeyid = skeyid();
    for (value, expected) in [
        (&skeyid.d, "dbdaf57885e0e76e580cf4e696c9c07312c93569"),
        (&skeyid.a, "6e6525ff8853e3239c374c9e0b604956e42084eb"),
        (&skeyid.e, "5483967a2001308d33adb5ff26a6a10efd486c21"),
    ] {
        assert_eq!(value.as_bytes(), hex(expected));
    }
}

/// Appendix B of RFC 2409: the first bytes, or the expansion where SKEYID_e is too short.
#[test]
fn cipher_keys() {
    let long = "0401b3f139fe192ceeee9a81b1e612c1679fb4cd762aa19c72538d4c6b1cc8d5";
    for (cipher, expected) in [
        (Cipher::Des, "5483967a2001308d"),
        (Cipher::TripleDes, &long[..48]),
        (Cipher::Aes128, "5483967a2001308d33adb5ff26a6a10e"),
        (Cipher::Aes192, &long[..48]),
        (Cipher::Aes256, long),
    ] {
        let key = skeyid().cipher_key(&SoftPrimitives, cipher);
        assert_eq!(key.expose(), hex(expected), "{cipher:?}");
    }
}

#[test]
fn ivs() {
    let (gx, gy) = (hex(GX), hex(GY));
    let iv = Iv::phase1(&SoftPrimitives, Hash::Sha1, Cipher::Des, (&gx, &gy));
    assert_eq!(iv.as_bytes(), hex("a05ded8713462c0c"));
    // After message 6 its last block is what later exchanges start from.
    let key = skeyid().cipher_key(&SoftPrimitives, Cipher::Des);
    let five = hex(
        "89a4578084159a6bff60f2459a287e47fc0d520813e9cd964b74c99062ce1049561c6bef9fce3800bd125052e72d3323fc109d7d16cfa784669ffaea015f71efdfa89a45d11814ec",
    );
    let six = hex(
        "e37f538da249b5710c50198951ec9d9108a4bd1392e539a561663874bbdabba9f4ae19b4cb3d5327a34e243170333992956a1bc133987999b078b54834da1d0d",
    );
    let (plain, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &five)
        .expect("whole blocks");
    let expected = "0800000e02000000636c69656e740b0000183d202c887fb67a69bb5e8851606a5f9d7184faf70000001c0000000101106002c7fb026ba87dc835649adcdb744a7018000000000000";
    assert_eq!(plain, hex(expected));
    let (_, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &six)
        .expect("whole blocks");
    let quick = iv.later(
        &SoftPrimitives,
        Hash::Sha1,
        Cipher::Des,
        MessageId(0x204e_bb1d),
    );
    assert_eq!(quick.as_bytes(), hex("9b8e48c932970cb4"));
}

#[test]
fn proofs() {
    let (ci, cr) = cookies();
    let (gx, gy) = (hex(GX), hex(GY));
    let (idii, idir) = (hex("02000000636c69656e74"), hex("010000003d737527"));
    assert_eq!(Identification::of_name("client").to_bytes(), idii);
    let address = "61.115.117.39".parse().expect("an address");
    assert_eq!(Identification::of_address(address).to_bytes(), idir);
    let root = root();
    let hash_i = root.proof(&SoftPrimitives, (&gx, &gy), (ci, cr), &hex(SAI_B), &idii);
    assert_eq!(
        hash_i.as_bytes(),
        hex("3d202c887fb67a69bb5e8851606a5f9d7184faf7")
    );
    let hash_r = root.proof(&SoftPrimitives, (&gy, &gx), (cr, ci), &hex(SAI_B), &idir);
    assert_eq!(
        hash_r.as_bytes(),
        hex("77c2972f612e22418e867a30dbdbeda4c729edb6")
    );
}

#[test]
fn quick_mode_hashes() {
    let skeyid = skeyid();
    let one = "204ebb1d0a00002800000001000000010000001c01030401157652f20000001001020000800400018005000205000018099f36cc5dfa4c00c3c97a5f00ad334f7eae9c070500001004000000c0a81400ffffff000000001004000000c0a80100ffffff00";
    let two = "204ebb1d099f36cc5dfa4c00c3c97a5f00ad334f7eae9c070a00002800000001000000010000001c01030401227095c80000001001020000800400018005000205000018a095527f8c5274284d602fbc4f865fc1ae4490ea0500001004000000c0a81400ffffff000000001004000000c0a80100ffffff00";
    let three = format!("00204ebb1d{QUICK_NI}{QUICK_NR}");
    for (input, length, expected) in [
        (one, 100, "f21b2f7aa43130b98db2e8a3eccc6921855d10dd"),
        (two, 120, "52016de8012ee5ec2a74f60e6d571bcae625b8fe"),
        (&three, 45, "14014fd9c3a2749b6c65a0b42f0c558aede913d2"),
    ] {
        let input = hex(input);
        assert_eq!(input.len(), length);
        let hash = skeyid.authenticate(&SoftPrimitives, &[&input]);
        assert_eq!(hash.as_bytes(), hex(expected));
    }
}

/// KEYMAT, both directions, with K2; each block is longer than a DES key and shorter than both keys.
#[test]
fn keymat() {
    for (spi, k1, k2) in [
        (
            0x1576_52f2_u32,
            "95e9b959f1e819bc12e896bf227eb78a184f8c6a",
            "d31028d70d026bd056b047a209b96dd5e9b2b42b",
        ),
        (
            0x2270_95c8,
            "8303f4ba30e24de1dac0b835b11046fbb5f0f85f",
            "52112530c1000cc247cdea99096bad13f19e25c9",
        ),
    ] {
        let nonces = (&hex(QUICK_NI)[..], &hex(QUICK_NR)[..]);
        let blocks = hex(&format!("{k1}{k2}"));
        for len in [8, 20, 28, 40] {
            let keymat = skeyid().keymat(&SoftPrimitives, None, 3, spi.to_be_bytes(), nonces, len);
            assert_eq!(keymat.expose(), &blocks[..len]);
        }
    }
}

/// NAT-D: hash(CKY-I | CKY-R | address | port).
#[test]
fn nat_d() {
    for (address, expected) in [
        (
            [61, 115, 117, 39],
            "29490d8ffac8004e996218f7eeb46ffec58d86b1",
        ),
        (
            [63, 12, 66, 122],
            "591ff7465393c0649382b3b4753e98d4a46495f1",
        ),
    ] {
        let parts = [
            &hex(CKY_I)[..],
            &hex(CKY_R),
            &address,
            &500_u16.to_be_bytes(),
        ];
        assert_eq!(
            SoftPrimitives.hash(Hash::Sha1, &parts).as_bytes(),
            hex(expected)
        );
    }
}

/// The HASH of informational exchanges: over a dead peer detection probe and a Delete.
#[test]
fn informational_hashes() {
    let id = hex("a1b2c3d4");
    let probe = Notify {
        protocol: 1,
        kind: NotifyType(36_136),
        spi: &hex(&format!("{CKY_I}{CKY_R}")),
        data: &12_516_u32.to_be_bytes(),
    };
    let delete = Delete::body(3, &[&hex("227095c8")]);
    for (kind, body, payload, expected) in [
        (
            PayloadType::N,
            probe.to_bytes(),
            "000000200000000101108d28c7fb026ba87dc835649adcdb744a7018000030e4",
            "89fca1b9ca73d30925482b635393a551d59b9f03",
        ),
        (
            PayloadType::D,
            delete,
            "000000100000000103040001227095c8",
            "249506211e7589411dadbe7077c2e6d3fa246cf2",
        ),
    ] {
        let mut writer = Writer::new();
        writer.push(kind, &body);
        assert_eq!(writer.bytes(), hex(payload));
        let hash = skeyid().authenticate(&SoftPrimitives, &[&id, writer.bytes()]);
        assert!(ct_eq(hash.as_bytes(), &hex(expected)));
    }
}

/// Main mode message 1 from its parts.
#[test]
fn message_1() {
    let seconds = 86_400_u32.to_be_bytes();
    let attributes = vec![
        Attribute::short(1, 1),
        Attribute::short(2, 2),
        Attribute::short(3, 1),
        Attribute::short(4, 1),
        Attribute::short(11, 1),
        Attribute::long(12, &seconds),
    ];
    let body = SaBody::write(&[(1, 1, &[], vec![(1, attributes)])]);
    assert_eq!(body, hex(SAI_B));
    let mut writer = Writer::new();
    writer.push(PayloadType::SA, &body);
    let header = Header {
        initiator: cookies().0,
        responder: Cookie::ZERO,
        next: PayloadType::NONE,
        exchange: ExchangeType::Main,
        flags: Flags(0),
        message_id: MessageId(0),
    };
    let message = writer.message(header);
    let expected = format!(
        "{CKY_I}00000000000000000110020000000000000000540000003800000001000000010000002c01010001000000240101000080010001800200028003000180040001800b0001000c000400015180"
    );
    assert_eq!(message, hex(&expected));
    let (header, rest) = Header::parse(&message).expect("a message");
    let payloads = Payloads::parse(header.next, rest).expect("payloads");
    assert!(matches!(
        Payload::parse(payloads.all()[0]),
        Ok(Payload::Sa(_))
    ));
}
