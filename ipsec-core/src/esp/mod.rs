//! ESP (RFC 4303): how packets are laid out for the engine, and read when it is done.

mod open;
mod seal;

pub(crate) use open::{open_job, opened};
pub(crate) use seal::{Sealing, seal};

use hw_offload::{Cipher, Mac};

use crate::wire::esp;

/// The algorithms of an ESP SA, and what follows from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Algorithms {
    pub(crate) cipher: Cipher,
    pub(crate) mac: Mac,
}

impl Algorithms {
    /// Bytes in front of what is enciphered.
    pub(crate) const fn front(self) -> usize {
        esp::HEADER + self.cipher.iv_len()
    }

    /// What is enciphered, padding and trailer included, is a multiple of this: whole blocks, and
    /// at least whole words (RFC 4303 §2.4).
    pub(crate) const fn align(self) -> usize {
        let block = self.cipher.block_len();
        if block < 4 { 4 } else { block }
    }

    /// Bytes behind a payload of `len` bytes: padding, trailer, ICV.
    pub(crate) const fn back(self, len: usize) -> usize {
        esp::pad_len(len, self.align()) + esp::TRAILER + self.mac.icv_len()
    }
}
