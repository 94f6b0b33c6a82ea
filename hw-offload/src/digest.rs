//! Hashes and HMACs driven through their compression functions.
//!
//! A keyed HMAC is two chaining values computed once; a packet then costs one copy of them and
//! the blocks of its own bytes. The usual buffered hasher costs more per packet than a short
//! packet's cipher.

use core::slice;

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
        #[cfg(feature = "testing")]
        if crate::testing::tells_states_apart(f) {
            return write!(
                f,
                "Digest({:?})",
                crate::testing::of_secret(self.as_bytes())
            );
        }
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

    /// The first three words of the output, as the bytes of the output read in native order.
    #[inline]
    const fn first_96_bits(&self) -> [u32; 3] {
        match self {
            Self::Md5([a, b, c, _]) => [a.to_le(), b.to_le(), c.to_le()],
            Self::Sha1([a, b, c, _, _]) => [a.to_be(), b.to_be(), c.to_be()],
        }
    }

    /// The output as the only block of an outer hash, behind that of the key, padded.
    #[inline]
    fn only_block(&self) -> [u8; BLOCK] {
        let mut words = [0; 16];
        match *self {
            Self::Md5([a, b, c, d]) => {
                [words[0], words[1], words[2], words[3]] = [a, b, c, d];
                words[4] = 0x80;
                words[14] = 8 * (BLOCK as u32 + 16);
                words = words.map(u32::to_le);
            }
            Self::Sha1([a, b, c, d, e]) => {
                [words[0], words[1], words[2], words[3], words[4]] = [a, b, c, d, e];
                words[5] = 0x80 << 24;
                words[15] = 8 * (BLOCK as u32 + 20);
                words = words.map(u32::to_be);
            }
        }
        let mut block = [0; BLOCK];
        for (out, word) in block.as_chunks_mut().0.iter_mut().zip(words) {
            *out = word.to_ne_bytes();
        }
        block
    }

    fn output(&self) -> Digest {
        let mut bytes = [0; 20];
        let (words, _) = bytes.as_chunks_mut();
        let len = match self {
            Self::Md5(state) => {
                for (out, word) in words.iter_mut().zip(state) {
                    *out = word.to_le_bytes();
                }
                16
            }
            Self::Sha1(state) => {
                for (out, word) in words.iter_mut().zip(state) {
                    *out = word.to_be_bytes();
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
pub(crate) struct Hasher {
    chain: Chain,
    /// The last `fill` bytes, which are no whole block yet. If there are any they are padded as if
    /// nothing followed, before the blocks in front of them are compressed: padded behind those,
    /// the last compression would wait for these small stores.
    block: [u8; BLOCK],
    fill: usize,
    total: u64,
}

/// Where a padded block's length field begins.
const LENGTH_AT: usize = BLOCK - 8;

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
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.total = self.total.wrapping_add(data.len() as u64);
        if self.fill > 0 {
            let take = data.len().min(BLOCK - self.fill);
            let (now, later) = data.split_at(take);
            if let Some(free) = self.block.get_mut(self.fill..self.fill + take) {
                free.copy_from_slice(now);
            }
            if self.fill + take < BLOCK {
                let block = self.block;
                self.pad(block.get(..self.fill + take).unwrap_or(&[]));
                return;
            }
            self.chain.compress(slice::from_ref(&self.block));
            data = later;
        }
        let (blocks, rest) = data.as_chunks();
        self.fill = rest.len();
        if !rest.is_empty() {
            self.pad(rest);
        }
        self.chain.compress(blocks);
    }

    /// Absorbs the whole blocks at the start of `data` and answers how many bytes they are. Only
    /// for a hash that has taken nothing but whole blocks.
    #[inline]
    pub(crate) fn update_blocks(&mut self, data: &[u8]) -> usize {
        let blocks = data.as_chunks().0;
        self.chain.compress(blocks);
        let taken = blocks.as_flattened().len();
        self.total = self.total.wrapping_add(taken as u64);
        taken
    }

    /// Makes `rest`, shorter than a block, the last bytes.
    #[inline]
    fn pad(&mut self, rest: &[u8]) {
        self.block = [0; BLOCK];
        if let Some((start, free)) = self.block.split_at_mut_checked(rest.len()) {
            start.copy_from_slice(rest);
            if let Some(mark) = free.first_mut() {
                *mark = 0x80;
            }
        }
        self.fill = rest.len();
        if self.fill < LENGTH_AT {
            self.write_length();
        }
    }

    fn write_length(&mut self) {
        if let Some(end) = self.block.last_chunk_mut() {
            *end = self.chain.length_field(self.total);
        }
    }

    /// Absorbs what is left, and the padding.
    #[inline]
    fn finish(&mut self) -> Chain {
        if self.fill == 0 {
            self.pad(&[]);
        }
        self.chain.compress(slice::from_ref(&self.block));
        if self.fill >= LENGTH_AT {
            self.block = [0; BLOCK];
            self.write_length();
            self.chain.compress(slice::from_ref(&self.block));
        }
        self.chain
    }
}

/// The hash of the concatenation of `parts`.
pub(crate) fn hash(hash: Hash, parts: &[&[u8]]) -> Digest {
    let mut hasher = Hasher::resume(Chain::new(hash), 0);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish().output()
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
        let mut inner = self.begin();
        for part in parts {
            inner.update(part);
        }
        self.end(&mut inner).output()
    }

    /// The inner hash of an HMAC, to be fed with the message.
    #[inline]
    pub(crate) const fn begin(&self) -> Hasher {
        Hasher::resume(self.inner, BLOCK as u64)
    }

    /// The first 96 bits of the HMAC of the message that the inner hash was fed with.
    #[inline]
    pub(crate) fn icv(&self, inner: &mut Hasher) -> Icv {
        Icv(self.end(inner).first_96_bits())
    }

    #[inline]
    fn end(&self, inner: &mut Hasher) -> Chain {
        let mut outer = self.outer;
        outer.compress(&[inner.finish().only_block()]);
        outer
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

/// An integrity check value of 96 bits (RFC 2403, RFC 2404).
#[derive(Clone, Copy)]
pub(crate) struct Icv([u32; 3]);

impl Icv {
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (out, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *out = word.to_ne_bytes();
        }
        bytes
    }

    /// Whether that is what was received, in constant time.
    #[inline]
    pub(crate) fn equals(self, received: &[u8; 12]) -> bool {
        let (words, _) = received.as_chunks();
        let pairs = self.0.iter().zip(words);
        let difference = pairs.fold(0, |all, (own, word)| all | own ^ u32::from_ne_bytes(*word));
        difference.ct_eq(&0).into()
    }
}
