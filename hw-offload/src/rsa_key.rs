//! RSA keys and what is computed with them: signatures of ISAKMP, which are a PKCS#1 v1.5 block
//! of type 1 over the bare hash, without an algorithm identifier (RFC 2409 §5.1).
//!
//! A key is kept as its PKCS#1 form in DER (RFC 8017 appendix A.1). Files may also hold PKCS#8 or
//! SubjectPublicKeyInfo, in DER or PEM.

use alloc::vec::Vec;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use rsa::pkcs1::{
    DecodeRsaPrivateKey, DecodeRsaPublicKey, EncodeRsaPrivateKey, EncodeRsaPublicKey,
};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Pkcs1v15Sign, PrivateKey, PublicKey};

use crate::key_ring::{KeyFault, KeyKind};
use crate::public::{PublicFault, RsaSeed};
use crate::secret::Secret;

/// The least public exponent: smaller ones make forged signatures cheap.
const LEAST_EXPONENT: u32 = 65_537;

/// Reads a private or public key from the content of a file; [`KeyFault::Rsa`] when it is none, has fewer than 1024 or more than 8192 bits, or a public
/// exponent below 65537.
pub(crate) fn read(content: &[u8]) -> Result<(KeyKind, Secret), KeyFault> {
    if let Some(key) = private(content) {
        check(key.as_ref())?;
        let der = key.to_pkcs1_der().map_err(|_| KeyFault::Rsa)?;
        return Ok((KeyKind::Rsa, Secret::copy_of(der.as_bytes())));
    }
    let key = public(content).ok_or(KeyFault::Rsa)?;
    check(&key)?;
    let der = key.to_pkcs1_der().map_err(|_| KeyFault::Rsa)?;
    Ok((KeyKind::RsaPublic, Secret::copy_of(der.as_bytes())))
}

fn check(key: &PublicKey) -> Result<(), KeyFault> {
    if key.e() < &BoxedUint::from(LEAST_EXPONENT) {
        return Err(KeyFault::Rsa);
    }
    Ok(())
}

fn private(content: &[u8]) -> Option<PrivateKey> {
    let text = core::str::from_utf8(content).ok();
    let pem = text.and_then(|text| {
        PrivateKey::from_pkcs1_pem(text)
            .ok()
            .or_else(|| PrivateKey::from_pkcs8_pem(text).ok())
    });
    pem.or_else(|| PrivateKey::from_pkcs1_der(content).ok())
        .or_else(|| PrivateKey::from_pkcs8_der(content).ok())
}

fn public(content: &[u8]) -> Option<PublicKey> {
    let text = core::str::from_utf8(content).ok();
    let pem = text.and_then(|text| {
        PublicKey::from_pkcs1_pem(text)
            .ok()
            .or_else(|| PublicKey::from_public_key_pem(text).ok())
    });
    pem.or_else(|| PublicKey::from_pkcs1_der(content).ok())
        .or_else(|| PublicKey::from_public_key_der(content).ok())
}

/// The public half of a key of either kind, in DER.
///
/// # Errors
/// [`KeyFault::Rsa`] when the bytes are no RSA key.
pub fn rsa_public_half(key: &Secret) -> Result<Vec<u8>, KeyFault> {
    let half = match PrivateKey::from_pkcs1_der(key.expose()) {
        Ok(key) => key.to_public_key(),
        Err(_) => PublicKey::from_pkcs1_der(key.expose()).map_err(|_| KeyFault::Rsa)?,
    };
    let der = half.to_pkcs1_der().map_err(|_| KeyFault::Rsa)?;
    Ok(der.as_bytes().to_vec())
}

/// Length of the modulus of a key of either kind, in bits.
///
/// # Errors
/// [`KeyFault::Rsa`] when the bytes are no RSA key.
pub fn rsa_bits(key: &Secret) -> Result<usize, KeyFault> {
    let half = rsa_public_half(key)?;
    let key = PublicKey::from_pkcs1_der(&half).map_err(|_| KeyFault::Rsa)?;
    Ok(usize::try_from(key.n().bit_width()).unwrap_or(usize::MAX))
}

pub(crate) fn generate(bits: u16, seed: &RsaSeed) -> Result<Secret, PublicFault> {
    let mut random = random(seed)?;
    let key = PrivateKey::new(&mut random, bits.into()).map_err(|_| PublicFault::BadKey)?;
    let der = key.to_pkcs1_der().map_err(|_| PublicFault::BadKey)?;
    Ok(Secret::copy_of(der.as_bytes()))
}

pub(crate) fn sign(key: &Secret, digest: &[u8], seed: &RsaSeed) -> Result<Vec<u8>, PublicFault> {
    let key = PrivateKey::from_pkcs1_der(key.expose()).map_err(|_| PublicFault::BadKey)?;
    // Randomness blinds the exponentiation.
    let mut random = random(seed)?;
    key.sign_with_rng(&mut random, Pkcs1v15Sign::new_unprefixed(), digest)
        .map_err(|_| PublicFault::Engine)
}

/// Whether a signature is that of the public key, in the DER form of PKCS#1, over a block of type 1
/// with this content: the bare hash in ISAKMP, a DigestInfo elsewhere (RFC 8017 §8.2.2).
///
/// The crate raises the signature and compares every byte of the block that it must be, in
/// constant time; nothing of the block is parsed.
///
/// # Errors
/// [`PublicFault::BadKey`] or [`PublicFault::BadSignature`].
pub fn verify(key: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), PublicFault> {
    let key = PublicKey::from_pkcs1_der(key).map_err(|_| PublicFault::BadKey)?;
    check(&key).map_err(|_| PublicFault::BadKey)?;
    key.verify(Pkcs1v15Sign::new_unprefixed(), digest, signature)
        .map_err(|_| PublicFault::BadSignature)
}

fn random(seed: &RsaSeed) -> Result<ChaCha20Rng, PublicFault> {
    let seed = <[u8; 32]>::try_from(seed.secret().expose()).map_err(|_| PublicFault::Engine)?;
    Ok(ChaCha20Rng::from_seed(seed))
}
