//! Primitives without any security, so that a fuzzer's input gets past decryption and hashes.

use crate::algorithm::{Cipher, Hash};
use crate::cbc_mode::CbcFault;
use crate::digest::{self, Digest};
use crate::primitives::Primitives;

/// Ciphers that do nothing and a prf that ignores key and data.
#[derive(Clone, Copy, Debug, Default)]
pub struct InsecurePrimitives;

impl Primitives for InsecurePrimitives {
    fn hash(&self, hash: Hash, _: &[&[u8]]) -> Digest {
        digest::constant(hash)
    }

    fn hmac(&self, hash: Hash, _: &[u8], _: &[&[u8]]) -> Digest {
        digest::constant(hash)
    }

    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        _: &[u8],
        _: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        if data.len().is_multiple_of(cipher.block_len()) {
            Ok(())
        } else {
            Err(CbcFault::DataLength)
        }
    }

    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        self.cbc_encrypt(cipher, key, iv, data)
    }
}
