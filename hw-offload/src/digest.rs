//! Hashes and HMACs driven through their compression functions.
//!
//! A keyed HMAC is two chaining values computed once; a packet then costs one copy of them and
//! the blocks of its own bytes. The usual buffered hasher costs more per packet than a short
//! packet's cipher.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::algorithm::Hash;

const BLOCK: usize = 64;

/// The output of a hash or prf: 16 or 20 bytes, zeroed when dropped.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; 20],
    len: u8,
}

impl Digest {
    /// The output of a hash that was computed elsewhere, for other
    /// [`Primitives`](crate::Primitives). None if no hash has that length.
    #[must_use]
    pub fn new(output: &[u8]) -> Option<Self> {
        let known = Hash::ALL
            .iter()
            .any(|hash| hash.output_len() == output.len());
        let mut bytes = [0; 20];
        bytes.get_mut(..output.len())?.copy_from_slice(output);
        let len = u8::try_from(output.len()).ok()?;
        known.then_some(Self { bytes, len })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for Digest {}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

/// The chaining value of a hash under way.
#[derive(Clone, Copy)]
enum Chain {
    Md5([u32; 4]),
    Sha1([u32; 5]),
}

impl Chain {
    const fn new(hash: Hash) -> Self {
        match hash {
            Hash::Md5 => Self::Md5([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]),
            Hash::Sha1 => Self::Sha1([
                0x6745_2301,
                0xefcd_ab89,
                0x98ba_dcfe,
                0x1032_5476,
                0xc3d2_e1f0,
            ]),
        }
    }

    #[inline]
    fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        match self {
            Self::Md5(state) => md5::block_api::compress(state, blocks),
            Self::Sha1(state) => sha1::block_api::compress(state, blocks),
        }
    }

    /// The length field of the final block: bits, in the byte order of the hash.
    fn length_field(&self, bytes: u64) -> [u8; 8] {
        let bits = bytes.wrapping_mul(8);
        match self {
            Self::Md5(_) => bits.to_le_bytes(),
            Self::Sha1(_) => bits.to_be_bytes(),
        }
    }

    fn output(&self) -> Digest {
        let mut bytes = [0; 20];
        let len = match self {
            Self::Md5(state) => {
                for (out, word) in bytes.chunks_exact_mut(4).zip(state) {
                    out.copy_from_slice(&word.to_le_bytes());
                }
                16
            }
            Self::Sha1(state) => {
                for (out, word) in bytes.chunks_exact_mut(4).zip(state) {
                    out.copy_from_slice(&word.to_be_bytes());
                }
                20
            }
        };
        Digest { bytes, len }
    }
}

impl Zeroize for Chain {
    fn zeroize(&mut self) {
        match self {
            Self::Md5(state) => state.zeroize(),
            Self::Sha1(state) => state.zeroize(),
        }
    }
}

/// A hash under way.
struct Hasher {
    chain: Chain,
    block: [u8; BLOCK],
    fill: usize,
    total: u64,
}

impl Hasher {
    /// Continues from a chaining value that has already taken `before` bytes (whole blocks).
    #[inline]
    const fn resume(chain: Chain, before: u64) -> Self {
        Self {
            chain,
            block: [0; BLOCK],
            fill: 0,
            total: before,
        }
    }

    #[inline]
    fn update(&mut self, mut data: &[u8]) {
        self.total = self.total.wrapping_add(data.len() as u64);
        if self.fill > 0 {
            let take = data.len().min(BLOCK - self.fill);
            let (now, later) = data.split_at(take);
            if let Some(free) = self.block.get_mut(self.fill..self.fill + take) {
                free.copy_from_slice(now);
            }
            self.fill += take;
            data = later;
            if self.fill < BLOCK {
                return;
            }
            self.chain.compress(&[self.block]);
            self.fill = 0;
        }
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        if !blocks.is_empty() {
            self.chain.compress(blocks);
        }
        if let Some(start) = self.block.get_mut(..rest.len()) {
            start.copy_from_slice(rest);
        }
        self.fill = rest.len();
    }

    #[inline]
    fn finish(mut self) -> Digest {
        let length = self.chain.length_field(self.total);
        let mut last = [[0; BLOCK]; 2];
        let used = if self.fill < BLOCK - 8 { 1 } else { 2 };
        {
            let flat = last.as_flattened_mut();
            if let (Some(to), Some(from)) = (flat.get_mut(..self.fill), self.block.get(..self.fill))
            {
                to.copy_from_slice(from);
            }
            if let Some(mark) = flat.get_mut(self.fill) {
                *mark = 0x80;
            }
            if let Some(end) = flat.get_mut(used * BLOCK - 8..used * BLOCK) {
                end.copy_from_slice(&length);
            }
        }
        if let Some(blocks) = last.get(..used) {
            self.chain.compress(blocks);
        }
        self.chain.output()
    }
}

/// The hash of the concatenation of `parts`.
pub(crate) fn hash(hash: Hash, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::resume(Chain::new(hash), 0);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// An output that depends on nothing.
#[cfg(feature = "testing")]
pub(crate) fn constant(hash: Hash) -> Digest {
    Chain::new(hash).output()
}

/// An HMAC key (RFC 2104) with both padded blocks already absorbed; zeroed when dropped.
pub struct HmacKey {
    inner: Chain,
    outer: Chain,
}

impl HmacKey {
    /// Absorbs a key of any length; longer ones than a block are hashed first.
    #[must_use]
    pub fn new(algorithm: Hash, key: &[u8]) -> Self {
        let hashed;
        let key = if key.len() > BLOCK {
            hashed = hash(algorithm, &[key]);
            hashed.as_bytes()
        } else {
            key
        };
        let mut pad = [0x36; BLOCK];
        for (p, k) in pad.iter_mut().zip(key) {
            *p ^= k;
        }
        let mut inner = Chain::new(algorithm);
        inner.compress(&[pad]);
        for p in &mut pad {
            *p ^= 0x36 ^ 0x5c;
        }
        let mut outer = Chain::new(algorithm);
        outer.compress(&[pad]);
        pad.zeroize();
        Self { inner, outer }
    }

    /// The HMAC of the concatenation of `parts`, uncut.
    #[must_use]
    #[inline]
    pub fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut inner = Hasher::resume(self.inner, BLOCK as u64);
        for part in parts {
            inner.update(part);
        }
        let mut outer = Hasher::resume(self.outer, BLOCK as u64);
        outer.update(inner.finish().as_bytes());
        outer.finish()
    }
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

impl core::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HmacKey")
    }
}
