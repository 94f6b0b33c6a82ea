//! Key derivation, hashes and IVs of RFC 2409 §5, §5.5 and appendix B.

use alloc::vec::Vec;

use hw_offload::{Cipher, Digest, Hash, Primitives, Secret, is_weak_des_key};

use crate::wire::{Cookie, MessageId};

/// Both cookies, the initiator's first.
pub type Cookies = (Cookie, Cookie);

/// SKEYID, on which both proofs of phase 1 are built (RFC 2409 §5).
#[derive(Debug)]
pub struct Root {
    hash: Hash,
    digest: Digest,
}

impl Root {
    /// With a pre-shared key: SKEYID = prf(PSK, Ni_b | Nr_b). It needs no g^xy.
    #[must_use]
    pub fn pre_shared(
        primitives: &dyn Primitives,
        hash: Hash,
        key: &[u8],
        (ni, nr): (&[u8], &[u8]),
    ) -> Self {
        let digest = primitives.hmac(hash, key, &[ni, nr]);
        Self { hash, digest }
    }

    /// With signatures: SKEYID = prf(Ni_b | Nr_b, g^xy).
    #[must_use]
    pub fn signatures(
        primitives: &dyn Primitives,
        hash: Hash,
        (ni, nr): (&[u8], &[u8]),
        shared: &[u8],
    ) -> Self {
        let digest = primitives.hmac(hash, &[ni, nr].concat(), &[shared]);
        Self { hash, digest }
    }

    /// SKEYID itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digest.as_bytes()
    }

    /// HASH_I or HASH_R: prf(SKEYID, own g^x | other g^x | own cookie | other cookie | SAi_b |
    /// own ID_b), where "own" is the side that proves. A signature signs the same bytes.
    #[must_use]
    pub fn proof(
        &self,
        primitives: &dyn Primitives,
        (own_public, other_public): (&[u8], &[u8]),
        (own, other): Cookies,
        sa: &[u8],
        id: &[u8],
    ) -> Digest {
        let parts = [own_public, other_public, &own.0, &other.0, sa, id];
        primitives.hmac(self.hash, self.digest.as_bytes(), &parts)
    }

    /// SKEYID_d, SKEYID_a and SKEYID_e from g^xy.
    #[must_use]
    pub fn expand(
        &self,
        primitives: &dyn Primitives,
        shared: &[u8],
        (initiator, responder): Cookies,
    ) -> Skeyid {
        let (ci, cr) = (&initiator.0[..], &responder.0[..]);
        let prf = |parts: &[&[u8]]| primitives.hmac(self.hash, self.digest.as_bytes(), parts);
        let d = prf(&[shared, ci, cr, &[0]]);
        let a = prf(&[d.as_bytes(), shared, ci, cr, &[1]]);
        let e = prf(&[a.as_bytes(), shared, ci, cr, &[2]]);
        Skeyid {
            hash: self.hash,
            d,
            a,
            e,
        }
    }
}

/// What follows from SKEYID (RFC 2409 §5).
#[derive(Debug)]
pub struct Skeyid {
    hash: Hash,
    /// SKEYID_d, from which the keys of IPsec SAs are derived.
    pub d: Digest,
    /// SKEYID_a, which authenticates.
    pub a: Digest,
    /// SKEYID_e, which enciphers.
    pub e: Digest,
}

impl Skeyid {
    /// The hash that the prf is built on.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// prf(SKEYID_a, parts): HASH(1) to HASH(3) and the HASH of informational exchanges.
    #[must_use]
    pub fn authenticate(&self, primitives: &dyn Primitives, parts: &[&[u8]]) -> Digest {
        primitives.hmac(self.hash, self.a.as_bytes(), parts)
    }

    /// The cipher's key from SKEYID_e: its first bytes, or the expansion of appendix B where it
    /// is too short. For DES the first 8 bytes that are no weak key.
    #[must_use]
    pub fn cipher_key(&self, primitives: &dyn Primitives, cipher: Cipher) -> Secret {
        let e = self.e.as_bytes();
        let wanted = cipher.key_len();
        if cipher == Cipher::Des {
            let strong = e.windows(8).step_by(8).find(|key| !is_weak_des_key(key));
            return Secret::copy_of(strong.unwrap_or(e).get(..8).unwrap_or(e));
        }
        if wanted <= e.len() {
            return Secret::copy_of(e.get(..wanted).unwrap_or(e));
        }
        let mut key = Vec::with_capacity(wanted + 20);
        let mut block = primitives.hmac(self.hash, e, &[&[0]]);
        while key.len() < wanted {
            key.extend_from_slice(block.as_bytes());
            block = primitives.hmac(self.hash, e, &[block.as_bytes()]);
        }
        key.truncate(wanted);
        Secret::new(key)
    }

    /// KEYMAT for one SA (RFC 2409 §5.5), `len` bytes: with g(qm)^xy under perfect forward
    /// secrecy. The SPI is the one that the receiver chose.
    #[must_use]
    pub fn keymat(
        &self,
        primitives: &dyn Primitives,
        shared: Option<&[u8]>,
        protocol: u8,
        spi: [u8; 4],
        (ni, nr): (&[u8], &[u8]),
        len: usize,
    ) -> Secret {
        let seed = [shared.unwrap_or(&[]), &[protocol], &spi, ni, nr];
        let mut keymat = Vec::with_capacity(len + 20);
        let mut block = primitives.hmac(self.hash, self.d.as_bytes(), &seed);
        while keymat.len() < len {
            keymat.extend_from_slice(block.as_bytes());
            let [a, b, c, d, e] = seed;
            let next = [block.as_bytes(), a, b, c, d, e];
            block = primitives.hmac(self.hash, self.d.as_bytes(), &next);
        }
        keymat.truncate(len);
        Secret::new(keymat)
    }
}

/// The last ciphertext block of an exchange, from which its next message continues.
///
/// A value: a message is deciphered from a copy, and the copy takes the original's place only
/// when the message proved authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iv {
    block: [u8; 16],
    len: u8,
}

impl Iv {
    fn from_digest(digest: &Digest, cipher: Cipher) -> Self {
        let mut block = [0; 16];
        let len = cipher.iv_len();
        for (to, from) in block.iter_mut().zip(digest.as_bytes()).take(len) {
            *to = *from;
        }
        Self {
            block,
            len: u8::try_from(len).unwrap_or(16),
        }
    }

    /// Of phase 1: the first block of hash(g^xi | g^xr).
    #[must_use]
    pub fn phase1(
        primitives: &dyn Primitives,
        hash: Hash,
        cipher: Cipher,
        public: (&[u8], &[u8]),
    ) -> Self {
        Self::from_digest(&primitives.hash(hash, &[public.0, public.1]), cipher)
    }

    /// Of a later exchange: the first block of hash(last phase 1 ciphertext block | message id).
    #[must_use]
    pub fn later(
        &self,
        primitives: &dyn Primitives,
        hash: Hash,
        cipher: Cipher,
        message_id: MessageId,
    ) -> Self {
        let parts = [self.as_bytes(), &message_id.to_bytes()[..]];
        Self::from_digest(&primitives.hash(hash, &parts), cipher)
    }

    /// The block.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.block
            .get(..usize::from(self.len))
            .unwrap_or(&self.block)
    }

    /// Enciphers a message's payloads, padded with zeros to whole blocks, and moves on.
    #[must_use]
    pub fn seal(
        &mut self,
        primitives: &dyn Primitives,
        cipher: Cipher,
        key: &Secret,
        payloads: &[u8],
    ) -> Vec<u8> {
        let mut data = payloads.to_vec();
        data.resize(payloads.len().next_multiple_of(cipher.block_len()), 0);
        // The lengths fit by construction.
        let _ = primitives.cbc_encrypt(cipher, key.expose(), self.as_bytes(), &mut data);
        self.advance(&data);
        data
    }

    /// Deciphers a message's payloads. Returns them with the IV that follows, which the caller
    /// keeps once they proved authentic. None if the length is not a whole number of blocks.
    #[must_use]
    pub fn open(
        &self,
        primitives: &dyn Primitives,
        cipher: Cipher,
        key: &Secret,
        payloads: &[u8],
    ) -> Option<(Vec<u8>, Self)> {
        let mut data = payloads.to_vec();
        if data.is_empty() {
            return None;
        }
        primitives
            .cbc_decrypt(cipher, key.expose(), self.as_bytes(), &mut data)
            .ok()?;
        let mut next = *self;
        next.advance(payloads);
        Some((data, next))
    }

    fn advance(&mut self, ciphertext: &[u8]) {
        let len = usize::from(self.len);
        let last = ciphertext
            .len()
            .checked_sub(len)
            .and_then(|start| ciphertext.get(start..));
        for (to, from) in self.block.iter_mut().zip(last.unwrap_or(&[])) {
            *to = *from;
        }
    }
}
