//! The computations of [`SoftPrimitives`], some of whose results a test chooses.

use crate::algorithm::{Cipher, Hash};
use crate::cbc_mode::CbcFault;
use crate::digest::Digest;
use crate::primitives::{Primitives, SoftPrimitives};

/// Results of the prf that a test chooses.
pub trait ChosenPrf {
    /// The result for a key and the parts of a message; none for the computed one.
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Option<Digest>;
}

/// Primitives that compute, but for the chosen results of the prf.
#[derive(Clone, Debug, Default)]
pub struct WithPrf<P>(pub P);

impl<P: ChosenPrf> Primitives for WithPrf<P> {
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        SoftPrimitives.hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        let chosen = self.0.prf(key, parts);
        chosen.unwrap_or_else(|| SoftPrimitives.hmac(hash, key, parts))
    }

    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        SoftPrimitives.cbc_encrypt(cipher, key, iv, data)
    }

    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        SoftPrimitives.cbc_decrypt(cipher, key, iv, data)
    }
}
