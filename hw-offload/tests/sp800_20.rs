//! NIST SP 800-20 for DES and TDES, and longer chains of both.

use hw_offload::testing::hex;
use hw_offload::{Cipher, Primitives, SoftPrimitives};

const ZERO: [u8; 8] = [0; 8];

/// Enciphers and deciphers back.
fn both_ways(cipher: Cipher, key: &[u8], iv: &[u8], plain: &[u8], expected: &[u8], what: &str) {
    let mut data = plain.to_vec();
    let done = SoftPrimitives.cbc_encrypt(cipher, key, iv, &mut data);
    assert!(done.is_ok() && data == expected, "{what}: {cipher:?}");
    let done = SoftPrimitives.cbc_decrypt(cipher, key, iv, &mut data);
    assert!(done.is_ok() && data == plain, "{what}: {cipher:?}");
}

/// One block under a zero IV is the block cipher alone. Three equal keys make TDES the same
/// function as DES, by which SP 800-20 tests it.
#[test]
fn known_answer_tests() {
    let mut counts = [
        ("text", 0),
        ("key", 0),
        ("permutation", 0),
        ("substitution", 0),
    ];
    for line in include_str!("sp800_20.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let [table, key, plain, cipher] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let (key, plain, enciphered) = (hex(key), hex(plain), hex(cipher));
        let triple = key.repeat(3);
        both_ways(Cipher::Des, &key, &ZERO, &plain, &enciphered, line);
        both_ways(Cipher::TripleDes, &triple, &ZERO, &plain, &enciphered, line);
        if table == "text" {
            // The inverse permutation test. The key is its own inverse.
            both_ways(Cipher::Des, &key, &ZERO, &enciphered, &plain, line);
            both_ways(Cipher::TripleDes, &triple, &ZERO, &enciphered, &plain, line);
        }
        let count = counts.iter_mut().find(|(name, _)| *name == table);
        count.unwrap_or_else(|| panic!("{line}")).1 += 1;
    }
    assert_eq!(
        counts,
        [
            ("text", 64),
            ("key", 56),
            ("permutation", 32),
            ("substitution", 19)
        ]
    );
}

/// FIPS 81 appendix C: DES in CBC mode.
#[test]
fn fips_81_cbc() {
    let (key, iv) = (hex("0123456789abcdef"), hex("1234567890abcdef"));
    let expected = hex("e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6");
    both_ways(
        Cipher::Des,
        &key,
        &iv,
        b"Now is the time for all ",
        &expected,
        "FIPS 81",
    );
}

/// SP 800-67 appendix B.1: three different keys, each block alone.
#[test]
fn sp800_67_three_keys() {
    let key = hex("0123456789abcdef23456789abcdef01456789abcdef0123");
    let expected = hex("a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900");
    for (plain, expected) in b"The qufck brown fox jump"
        .chunks(8)
        .zip(expected.chunks(8))
    {
        both_ways(Cipher::TripleDes, &key, &ZERO, plain, expected, "SP 800-67");
    }
}

/// RFC 2410 §2.3: NULL leaves what it is given as it is.
#[test]
fn rfc2410_null() {
    for data in [
        &hex("0123456789abcdef")[..],
        b"Network Security People Have A Strange Sense Of Humor",
    ] {
        both_ways(Cipher::Null, &[], &[], data, data, "NULL");
    }
}
