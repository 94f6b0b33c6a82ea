//! RSA keys and signatures against values that OpenSSL made.
#![cfg(feature = "rsa")]

use hw_offload::testing::{SeededEntropy, hex};
use hw_offload::*;
use num_bigint::BigUint;

/// A private key in PKCS#1, of 1024 bits.
const PRIVATE: &str = "3082025c02010002818100985b039bd3dc218fbb7b2acf25074fb603fdaec808f37dfbb5578f36366fea980b12fe98ebcda80f8f140e26d0acef9a8e0c0c9d1104ed5ac5f0a194c229adfb32fad4338ca3ef6f424771f53637695c461bd57e5c6e4339e2265750b81335e935b14ce54b9d1df754aba0b96a5c83d45d9a8a9b21c83bbf9e0f4a6b0b0d301d02030100010281804f25c90424d590e1d865ade19abce79e0908bac9d44c9a402efee3b928228fde98b22f6d45e2bad20a6442cdcb4e6bd300c425b15aec125a3bc63c4ac96b59a3fe9dbf2f090acc0cd6fb55ba267431f51dd83b9fe7472ca27d7d9b24d9c65ba742848684142da703987519350467a505357c99c0b2e5efd45db25199b7d79ec1024100cacb5791854c3fbc58de72ba9ae48a0479f04dbef36dd5900cafe88efc4cad25086fdccca4ade37b31cff165bf388b994223228793c72dcd97591f4745c06bb5024100c053f4e7a003b02ece56ee31b7b6b98e72e812575e001cfc0880a39560cc76b53e066f24f2c68a5849d529233b851b85100dbca49c67fcc4ea12bc52274f83c902406bcc3d67405930c418e55e4d2d4af0c6c25ee7a4ea57671fa46ed98b30383e0da2777c0258438ad990b7fd94dd59dc73024214f7c6a92902d141f1ab7c3b75c50240072858b9f20b9117fcd7e15f7a4dd3940894b87205ee8d25980f69871aa62158d76917e3d121306edeb88f225f89b19f7f1c73c3d08a522ee5e3329d0017867902410080e2b9274d0c5815a82265d2bd87030c0f2fe4c4dd579012207f40e30f407d0bdeb5b32d3c7e34ac4be446274165f360e629ebb863618f28da85e6a2931468fd";
/// Its public half in PKCS#1.
const PUBLIC: &str = "30818902818100985b039bd3dc218fbb7b2acf25074fb603fdaec808f37dfbb5578f36366fea980b12fe98ebcda80f8f140e26d0acef9a8e0c0c9d1104ed5ac5f0a194c229adfb32fad4338ca3ef6f424771f53637695c461bd57e5c6e4339e2265750b81335e935b14ce54b9d1df754aba0b96a5c83d45d9a8a9b21c83bbf9e0f4a6b0b0d301d0203010001";
/// The manual's HASH_I, and its signature by `openssl pkeyutl -sign`.
const HASH: &str = "3d202c887fb67a69bb5e8851606a5f9d7184faf7";
const SIGNATURE: &str = "66e9b82f8ae7c291e54293f6088ec9c165eb646d89e62f21ee06ac55d3f646387f12909ec25513d03e1fc192662b4b71a20992825297435dee3ebb4b56388ddf6173e05be9bec71012f640035d7cdf1bd6bfe4bcd300c64b7dc7096aa9693361ac7ddace0f9ed6f4c2748f2e2dc9187828d082f51131b3b3179000e28e9b295d";
/// A public key with the exponent 3.
const EXPONENT_3: &str = "30818702818100c033b5fed5b5cee36a4e5cb385f37e0757a2a075a8fafa45c66c6f857f455cbc2cf8833b5d72bb3f0714f807ef1cc550af93440c3a075b719b5d17d204cab3adf404d29141e3b350835a1dc1d42439dfa6e24818fbcdba9055df32d38c0d2eb676ff447fffc14a865cc3e32ce2564c1ba64ce3c4fc48a1cc86945a28417535ab020103";
const MODULUS: &str = "985b039bd3dc218fbb7b2acf25074fb603fdaec808f37dfbb5578f36366fea980b12fe98ebcda80f8f140e26d0acef9a8e0c0c9d1104ed5ac5f0a194c229adfb32fad4338ca3ef6f424771f53637695c461bd57e5c6e4339e2265750b81335e935b14ce54b9d1df754aba0b96a5c83d45d9a8a9b21c83bbf9e0f4a6b0b0d301d";
const PRIVATE_EXPONENT: &str = "4f25c90424d590e1d865ade19abce79e0908bac9d44c9a402efee3b928228fde98b22f6d45e2bad20a6442cdcb4e6bd300c425b15aec125a3bc63c4ac96b59a3fe9dbf2f090acc0cd6fb55ba267431f51dd83b9fe7472ca27d7d9b24d9c65ba742848684142da703987519350467a505357c99c0b2e5efd45db25199b7d79ec1";

const PKCS8_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAJhbA5vT3CGPu3sq
zyUHT7YD/a7ICPN9+7VXjzY2b+qYCxL+mOvNqA+PFA4m0Kzvmo4MDJ0RBO1axfCh
lMIprfsy+tQzjKPvb0JHcfU2N2lcRhvVflxuQzniJldQuBM16TWxTOVLnR33VKug
uWpcg9RdmoqbIcg7v54PSmsLDTAdAgMBAAECgYBPJckEJNWQ4dhlreGavOeeCQi6
ydRMmkAu/uO5KCKP3piyL21F4rrSCmRCzctOa9MAxCWxWuwSWjvGPErJa1mj/p2/
LwkKzAzW+1W6JnQx9R3YO5/nRyyifX2bJNnGW6dChIaEFC2nA5h1GTUEZ6UFNXyZ
wLLl79RdslGZt9eewQJBAMrLV5GFTD+8WN5yuprkigR58E2+823VkAyv6I78TK0l
CG/czKSt43sxz/FlvziLmUIjIoeTxy3Nl1kfR0XAa7UCQQDAU/TnoAOwLs5W7jG3
trmOcugSV14AHPwIgKOVYMx2tT4GbyTyxopYSdUpIzuFG4UQDbyknGf8xOoSvFIn
T4PJAkBrzD1nQFkwxBjlXk0tSvDGwl7npOpXZx+kbtmLMDg+DaJ3fAJYQ4rZkLf9
lN1Z3HMCQhT3xqkpAtFB8at8O3XFAkAHKFi58guRF/zX4V96TdOUCJS4cgXujSWY
D2mHGqYhWNdpF+PRITBu3riPIl+JsZ9/HHPD0IpSLuXjMp0AF4Z5AkEAgOK5J00M
WBWoImXSvYcDDA8v5MTdV5ASIH9A4w9AfQvetbMtPH40rEvkRidBZfNg5inruGNh
jyjaheaikxRo/Q==
-----END PRIVATE KEY-----
";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCYWwOb09whj7t7Ks8lB0+2A/2u
yAjzffu1V482Nm/qmAsS/pjrzagPjxQOJtCs75qODAydEQTtWsXwoZTCKa37MvrU
M4yj729CR3H1NjdpXEYb1X5cbkM54iZXULgTNek1sUzlS50d91SroLlqXIPUXZqK
myHIO7+eD0prCw0wHQIDAQAB
-----END PUBLIC KEY-----
";

fn run(job: PublicJob) -> Result<PublicValue, PublicFault> {
    let mut engine = SoftPublic::new(1);
    engine.submit(job).expect("there is room");
    engine.poll(1).expect("RSA is done at once").result
}

fn seed(n: u64) -> RsaSeed {
    RsaSeed::draw(&mut SeededEntropy::new(n)).expect("randomness")
}

fn verify(key: &str, digest: &[u8], signature: Vec<u8>) -> Result<PublicValue, PublicFault> {
    run(PublicJob::RsaVerify {
        ticket: Ticket(1),
        key: hex(key),
        digest: digest.to_vec(),
        signature,
    })
}

#[test]
fn keys_of_every_form() {
    let private = (KeyKind::Rsa, Secret::new(hex(PRIVATE)));
    let public = (KeyKind::RsaPublic, Secret::new(hex(PUBLIC)));
    assert_eq!(read_rsa(&hex(PRIVATE)), Ok(private));
    assert_eq!(read_rsa(&hex(PUBLIC)), Ok(public));
    assert_eq!(read_rsa(PKCS8_PEM.as_bytes()), read_rsa(&hex(PRIVATE)));
    assert_eq!(read_rsa(PUBLIC_PEM.as_bytes()), read_rsa(&hex(PUBLIC)));
    assert_eq!(rsa_public_half(&Secret::new(hex(PRIVATE))), Ok(hex(PUBLIC)));
    assert_eq!(rsa_bits(&Secret::new(hex(PUBLIC))), Ok(1024));
    assert_eq!(read_rsa(b"no key"), Err(KeyFault::Rsa));
    let cut = hex(PRIVATE);
    assert_eq!(read_rsa(&cut[..cut.len() - 1]), Err(KeyFault::Rsa));
}

/// The signature does not depend on the blinding, and is OpenSSL's.
#[test]
fn a_signature_over_the_bare_hash() {
    for n in 0..4 {
        let signature = run(PublicJob::RsaSign {
            ticket: Ticket(1),
            key: Secret::new(hex(PRIVATE)),
            digest: hex(HASH),
            seed: seed(n),
        });
        assert_eq!(signature, Ok(PublicValue::Signature(hex(SIGNATURE))));
    }
    let good = verify(PUBLIC, &hex(HASH), hex(SIGNATURE));
    assert_eq!(good, Ok(PublicValue::Verified));
}

#[test]
fn a_new_key_signs() {
    let key = run(PublicJob::RsaGenerate {
        ticket: Ticket(1),
        bits: 1024,
        seed: seed(9),
    });
    let Ok(PublicValue::PrivateKey(key)) = key else {
        panic!("{key:?}");
    };
    assert_eq!(rsa_bits(&key), Ok(1024));
    let public = rsa_public_half(&key).expect("a key");
    let signature = run(PublicJob::RsaSign {
        ticket: Ticket(1),
        key,
        digest: hex(HASH),
        seed: seed(1),
    });
    let Ok(PublicValue::Signature(signature)) = signature else {
        panic!("{signature:?}");
    };
    let job = PublicJob::RsaVerify {
        ticket: Ticket(1),
        key: public,
        digest: hex(HASH),
        signature,
    };
    assert_eq!(run(job), Ok(PublicValue::Verified));
    let short = PublicJob::RsaGenerate {
        ticket: Ticket(1),
        bits: 512,
        seed: seed(9),
    };
    assert_eq!(run(short), Err(PublicFault::BadKey));
}

/// threats.md B10: blocks that a parser might take for the signature of the hash, each raised
/// with the real private key, so that only their form is wrong.
#[test]
fn threat_b10_forged_blocks() {
    let hash = hex(HASH);
    let (n, d) = (hex(MODULUS), hex(PRIVATE_EXPONENT));
    let (n, d) = (BigUint::from_bytes_be(&n), BigUint::from_bytes_be(&d));
    let raise = |block: &[u8]| {
        let value = BigUint::from_bytes_be(block).modpow(&d, &n).to_bytes_be();
        [vec![0; 128 - value.len()], value].concat()
    };
    let block = |start: &[u8], fill: u8, tail: &[u8]| {
        let pad = vec![fill; 128 - start.len() - tail.len()];
        [start, &pad, tail].concat()
    };
    let behind = |parts: &[&[u8]]| parts.concat();
    let good = block(&[0, 1], 0xff, &behind(&[&[0], &hash]));
    assert_eq!(
        verify(PUBLIC, &hash, raise(&good)),
        Ok(PublicValue::Verified)
    );

    let info = hex("3021300906052b0e03021a05000414");
    let forged = [
        (
            "an algorithm identifier",
            block(&[0, 1], 0xff, &behind(&[&[0], &info, &hash])),
        ),
        (
            "a hash cut short",
            block(&[0, 1], 0xff, &behind(&[&[0], &hash[..19]])),
        ),
        (
            "bytes behind the hash",
            block(&[0, 1], 0xff, &behind(&[&[0], &hash, &[0; 8]])),
        ),
        ("padding cut short", block(&[0, 1, 0xff, 0], 0, &hash)),
        (
            "padding of other bytes",
            block(&[0, 1], 0xfe, &behind(&[&[0], &hash])),
        ),
        (
            "block type 2",
            block(&[0, 2], 0xff, &behind(&[&[0], &hash])),
        ),
        ("no block at all", block(&[], 0, &hash)),
    ];
    for (what, block) in forged {
        let outcome = verify(PUBLIC, &hash, raise(&block));
        assert_eq!(outcome, Err(PublicFault::BadSignature), "{what}");
    }
    for (what, signature) in [
        ("nothing", Vec::new()),
        ("zero", vec![0; 128]),
        ("one", block(&[], 0, &[1])),
        ("the modulus and more", behind(&[&hex(MODULUS)])),
        ("a byte more", [vec![0], hex(SIGNATURE)].concat()),
        ("a byte less", hex(SIGNATURE)[1..].to_vec()),
    ] {
        let outcome = verify(PUBLIC, &hash, signature);
        assert_eq!(outcome, Err(PublicFault::BadSignature), "{what}");
    }
    let cube = verify(EXPONENT_3, &hash, vec![0; 128]);
    assert_eq!(cube, Err(PublicFault::BadKey));
    assert_eq!(read_rsa(&hex(EXPONENT_3)), Err(KeyFault::Rsa));
}
