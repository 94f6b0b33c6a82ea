//! Published vectors and the manual's trace, through the public interface.

use hw_offload::testing::hex;
use hw_offload::*;

/// RFC 2202 §2 and §3: key, data, HMAC-MD5, key, HMAC-SHA-1 (the keys of cases 1, 3 and 4 have
/// the length of the hash).
#[test]
fn rfc2202_hmac() {
    type Case = (Vec<u8>, Vec<u8>, Vec<u8>, &'static str, &'static str);
    let cases: [Case; 7] = [
        (
            vec![0x0b; 16],
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "9294727a3638bb1c13f48ef8158bfc9d",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            b"Jefe".to_vec(),
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "750c783e6ab0b503eaa86e310a5db738",
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            vec![0xaa; 16],
            vec![0xaa; 20],
            vec![0xdd; 50],
            "56be34521d144c88dbb8c733f0e8b3f6",
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
        (
            hex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
            hex("0102030405060708090a0b0c0d0e0f10111213141516171819"),
            vec![0xcd; 50],
            "697eaf0aca3a3aea3a75164746ffaa79",
            "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
        ),
        (
            vec![0x0c; 16],
            vec![0x0c; 20],
            b"Test With Truncation".to_vec(),
            "56461ef2342edc00f9bab995690efd4c",
            "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04",
        ),
        (
            vec![0xaa; 80],
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (
            vec![0xaa; 80],
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".to_vec(),
            "6f630fad67cda0ee1fb1f562db3aa53e",
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
        ),
    ];
    for (md5_key, sha_key, data, md5, sha) in cases {
        let got = SoftPrimitives.hmac(Hash::Md5, &md5_key, &[&data]);
        assert_eq!(got.as_bytes(), hex(md5));
        let (front, back) = data.split_at(data.len() / 3);
        let got = SoftPrimitives.hmac(Hash::Sha1, &sha_key, &[front, &[], back]);
        assert_eq!(got.as_bytes(), hex(sha));
    }
}

/// RFC 3602 §4, cases 1 to 4.
#[test]
fn rfc3602_aes_cbc() {
    let cases = [
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg".to_vec(),
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            (0x00..0x20).collect(),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            "6c3ea0477630ce21a2ce334aa746c2cd",
            "c782dc4c098c66cbd9cd27d825682c81",
            b"This is a 48-byte message (exactly 3 AES blocks)".to_vec(),
            "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
        ),
        (
            "56e47a38c5598974bc46903dba290349",
            "8ce82eefbea0da3c44699ed7db51b7d9",
            (0xa0..0xe0).collect(),
            "c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55",
        ),
    ];
    for (key, iv, plain, cipher) in cases {
        let mut data = plain.clone();
        SoftPrimitives
            .cbc_encrypt(Cipher::Aes128, &hex(key), &hex(iv), &mut data)
            .unwrap();
        assert_eq!(data, hex(cipher));
        SoftPrimitives
            .cbc_decrypt(Cipher::Aes128, &hex(key), &hex(iv), &mut data)
            .unwrap();
        assert_eq!(data, plain);
    }
}

/// NIST SP 800-38A §F.2: CBC-AES128, 192 and 256.
#[test]
fn sp800_38a_aes_cbc() {
    let plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let cases = [
        (
            Cipher::Aes128,
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        ),
        (
            Cipher::Aes192,
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
        ),
        (
            Cipher::Aes256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    ];
    for (cipher, key, expected) in cases {
        let mut data = hex(plain);
        let iv = hex("000102030405060708090a0b0c0d0e0f");
        SoftPrimitives
            .cbc_encrypt(cipher, &hex(key), &iv, &mut data)
            .unwrap();
        assert_eq!(data, hex(expected));
        SoftPrimitives
            .cbc_decrypt(cipher, &hex(key), &iv, &mut data)
            .unwrap();
        assert_eq!(data, hex(plain));
    }
}

fn run(engine: &mut SoftPublic, job: PublicJob, budget: u32) -> Result<PublicValue, PublicFault> {
    engine.submit(job).expect("the queue is empty");
    let mut polls = 0;
    loop {
        if let Some(done) = engine.poll(budget) {
            return done.result;
        }
        polls += 1;
        assert!(polls < 1000, "an exponentiation comes to an end");
    }
}

const X: &str = "dee78c5e6d57a2b091e805d48b5cf4d7b62a6e5d";
const GX: &str = "fa431d749ddb3ebada8ef569f9da7960464a8ff7f59465ee024e0bb130c77f468ad275cbbc62314bd0184a5f0ad9f170894ab56f666510df2bb7946cf07167605fbaf4634ba8b6ebc7378c1e06c5e9ad5000ffefc8d27904fac1a9131b29b09e";
const GY: &str = "4bafa551598eb94183a7fdbe7deec732404b6330b0bfc9ee9ad4abb63bfd58f97d3c73320882e33984a4146fad9e29f3e0d17262567f7fe612dfea2b97662808a3ef3e868f0482e73ff550e96a39f33ebc9c4a929080529536aa569bb19a8f08";
const GXY: &str = "8c8a03e1564abad8868b40fc7d5bca62a6a79950405d296d9523d061bfd866da1a2ef286aac69939e6f1516fc5620ee2751420b88a64f86de0041875feb0ed62a0328a1e2fd7d90e01b42d0c3d315ece5d0167811b3d77dea899b8378edb2a01";

/// The manual's trace: x gives g^x, and with g^y it gives g^xy, whatever the budget of a poll.
#[test]
fn the_manuals_diffie_hellman() {
    let mut engine = SoftPublic::new(4);
    for budget in [1, 3, 40, u32::MAX] {
        let (ticket, group) = (Ticket(1), DhGroup::Modp768);
        let job = PublicJob::DhPublic {
            ticket,
            group,
            exponent: Secret::new(hex(X)),
        };
        assert_eq!(
            run(&mut engine, job, budget),
            Ok(PublicValue::Public(hex(GX)))
        );
        let job = PublicJob::DhShared {
            ticket,
            group,
            exponent: Secret::new(hex(X)),
            peer: hex(GY),
        };
        assert_eq!(
            run(&mut engine, job, budget),
            Ok(PublicValue::Shared(Secret::new(hex(GXY))))
        );
    }
}

/// threats.md B6: 0, 1, p-1, p, beyond, and wrong lengths are refused; p-2 is not.
#[test]
fn threat_b6_bad_public_values() {
    for group in DhGroup::ALL {
        let p = prime(group);
        let mut small = vec![0; group.len()];
        assert!(!acceptable_public_value(group, &small));
        *small.last_mut().unwrap() = 1;
        assert!(!acceptable_public_value(group, &small));
        *small.last_mut().unwrap() = 2;
        assert!(acceptable_public_value(group, &small));
        assert!(!acceptable_public_value(group, &small[1..]));
        assert!(!acceptable_public_value(group, &p));
        assert!(!acceptable_public_value(group, &vec![0xff; group.len()]));
        let mut below = p.clone();
        *below.last_mut().unwrap() -= 1;
        assert!(!acceptable_public_value(group, &below));
        *below.last_mut().unwrap() -= 1;
        assert!(acceptable_public_value(group, &below));
        let job = PublicJob::DhShared {
            ticket: Ticket(1),
            group,
            exponent: Secret::copy_of(&[3]),
            peer: p,
        };
        let mut engine = SoftPublic::new(1);
        assert_eq!(run(&mut engine, job, 9), Err(PublicFault::BadPeerValue));
    }
}

/// Every prime is p = 2^n - 2^(n-64) - 1 + 2^64 (floor(2^(n-130) pi) + c), as RFC 2409 §6 and
/// RFC 3526 define them, with pi from Machin's formula. Group 0 has the same shape.
#[test]
fn primes_follow_their_formula() {
    use num_bigint::BigUint;
    let arctan_of_inverse = |x: u32, one: &BigUint| {
        let (mut power, mut sum) = (one / x, BigUint::ZERO);
        let mut minus = BigUint::ZERO;
        for n in (1_u32..).step_by(2) {
            let part = &power / n;
            if power == BigUint::ZERO {
                break;
            }
            if n % 4 == 1 {
                sum += part;
            } else {
                minus += part;
            }
            power /= x * x;
        }
        sum - minus
    };
    let guard = 64;
    let floor_of_pi = |bits: u32| {
        let one = BigUint::from(1_u8) << (bits + guard);
        let pi = (arctan_of_inverse(5, &one) * 4_u8 - arctan_of_inverse(239, &one)) * 4_u8;
        pi >> guard
    };
    let constants: [(DhGroup, u32); 5] = [
        (DhGroup::Modp512, 131),
        (DhGroup::Modp768, 149_686),
        (DhGroup::Modp1024, 129_093),
        (DhGroup::Modp1536, 741_804),
        (DhGroup::Modp2048, 124_476),
    ];
    assert_eq!(constants.map(|(group, _)| group), DhGroup::ALL);
    for (group, c) in constants {
        let n = u32::from(group.bits());
        let two = |power: u32| BigUint::from(1_u8) << power;
        let p = two(n) - two(n - 64) - 1_u8 + two(64) * (floor_of_pi(n - 130) + c);
        assert_eq!(BigUint::from_bytes_be(&prime(group)), p, "{group:?}");
    }
}

/// Every group's power equals num-bigint's, for random bases and exponents of every length.
#[test]
fn powers_equal_num_bigint() {
    use num_bigint::BigUint;
    let mut random = testing::SeededEntropy::new(7);
    for group in DhGroup::ALL {
        let p = BigUint::from_bytes_be(&prime(group));
        for round in 0..12 {
            let mut exponent = vec![0; [1, 20, 32, group.len()][round % 4]];
            random.fill(&mut exponent).unwrap();
            let mut base = vec![0; group.len()];
            random.fill(&mut base).unwrap();
            base[0] = 0;
            let expected = BigUint::from_bytes_be(&base)
                .modpow(&BigUint::from_bytes_be(&exponent), &p)
                .to_bytes_be();
            let mut padded = vec![0; group.len() - expected.len()];
            padded.extend(expected);
            let job = PublicJob::DhShared {
                ticket: Ticket(0),
                group,
                exponent: Secret::new(exponent),
                peer: base,
            };
            assert_eq!(
                run(&mut SoftPublic::new(1), job, 7),
                Ok(PublicValue::Shared(Secret::new(padded)))
            );
        }
    }
}

/// The key that the manual's SHOW ENCO KEY prints in both forms.
#[test]
fn the_manuals_base32_key() {
    let key = parse_value(KeyKind::Des, "j7amxbbrhun48a").unwrap();
    assert_eq!(key.expose(), hex("4F40CB84313D1BAF"));
    assert_eq!(to_base32(key.expose()), "j7amxbbrhun48a");
    assert_eq!(
        parse_value(KeyKind::Des, "0x4F40CB84313D1BAF").unwrap(),
        key
    );
    for (kind, len) in [
        (KeyKind::Aes, 16),
        (KeyKind::Aes, 24),
        (KeyKind::TripleDes, 24),
        (KeyKind::Aes, 32),
    ] {
        let value = random_value(kind, Some(len), &mut testing::SeededEntropy::new(3)).unwrap();
        assert_eq!(parse_value(kind, &to_base32(value.expose())), Ok(value));
    }
    assert_eq!(
        parse_value(KeyKind::Des, "0x0101010101010101"),
        Err(KeyFault::Weak)
    );
    assert!(matches!(
        parse_value(KeyKind::Des, "0x01"),
        Err(KeyFault::Length { .. })
    ));
    assert_eq!(parse_value(KeyKind::General, "0x123"), Err(KeyFault::Hex));
    assert_eq!(
        parse_value(KeyKind::General, "jogefoge").unwrap().expose(),
        b"jogefoge"
    );
}
