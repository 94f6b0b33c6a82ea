//! Plain calls for what an exchange computes on a few dozen bytes: hashes, prf, CBC.

use crate::algorithm::{Cipher, Hash};
use crate::cbc_mode::{CbcFault, CipherKey, Iv};
use crate::digest::{self, Digest, HmacKey};

/// The small computations of ISAKMP. A trait, so that a fuzzer can pass a twin without security.
pub trait Primitives {
    /// The hash of the concatenation of `parts`.
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest;

    /// The HMAC of the concatenation of `parts`, uncut: the prf of RFC 2409 §4.
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest;

    /// Enciphers whole blocks in place.
    ///
    /// # Errors
    /// [`CbcFault`] when a length does not fit the cipher; the data is then unchanged.
    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault>;

    /// Deciphers whole blocks in place.
    ///
    /// # Errors
    /// As [`Primitives::cbc_encrypt`].
    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault>;
}

/// The real thing, in software.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftPrimitives;

impl Primitives for SoftPrimitives {
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        digest::hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        HmacKey::new(hash, key).mac(parts.iter().copied())
    }

    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        CipherKey::new(cipher, key)?.encrypt(Iv::new(iv)?, data)
    }

    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        CipherKey::new(cipher, key)?.decrypt(Iv::new(iv)?, data)
    }
}
