//! CBC over whole blocks in place, from key schedules made once.

use alloc::boxed::Box;
use core::ops::Range;

use aes::{Aes128, Aes192, Aes256};
use cipher::array::ArraySize;
use cipher::{
    Array, Block, BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt,
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit,
};
use des::{Des, TdesEde3};

use crate::algorithm::Cipher;

/// Why a CBC call was refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CbcFault {
    /// The key has not the length that the cipher needs.
    #[error("the key has the wrong length for the cipher")]
    KeyLength,
    /// The initialisation vector is not one block.
    #[error("the initialisation vector is not one block long")]
    IvLength,
    /// The data is not a whole number of blocks.
    #[error("the data is not a whole number of blocks")]
    DataLength,
}

/// A cipher with its key schedule. The schedules wipe themselves when dropped.
pub(crate) enum CipherKey {
    Null,
    Des(Box<Des>),
    TripleDes(Box<TdesEde3>),
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl CipherKey {
    pub(crate) fn new(cipher: Cipher, key: &[u8]) -> Result<Self, CbcFault> {
        fn keyed<C: KeyInit>(key: &[u8]) -> Result<Box<C>, CbcFault> {
            C::new_from_slice(key)
                .map(Box::new)
                .map_err(|_| CbcFault::KeyLength)
        }
        Ok(match cipher {
            Cipher::Null if key.is_empty() => Self::Null,
            Cipher::Null => return Err(CbcFault::KeyLength),
            Cipher::Des => Self::Des(keyed(key)?),
            Cipher::TripleDes => Self::TripleDes(keyed(key)?),
            Cipher::Aes128 => Self::Aes128(keyed(key)?),
            Cipher::Aes192 => Self::Aes192(keyed(key)?),
            Cipher::Aes256 => Self::Aes256(keyed(key)?),
        })
    }

    /// Enciphers whole blocks in place.
    pub(crate) fn encrypt(&self, iv: Iv, data: &mut [u8]) -> Result<(), CbcFault> {
        let all = 0..data.len();
        self.encrypt_and(iv, data, all, |_, _| usize::MAX)
    }

    /// Enciphers the range `crypt` of `storage`, whole blocks, in place. In between `behind` gets
    /// the storage and the offset up to which it is finished, and answers at which offset it
    /// wants to be called again.
    ///
    /// A CBC chain leaves most of a processor idle: each block waits for the one before it. What
    /// `behind` does with the finished bytes, hashing say, has its time for nothing.
    #[inline]
    pub(crate) fn encrypt_and(
        &self,
        iv: Iv,
        storage: &mut [u8],
        crypt: Range<usize>,
        behind: impl FnMut(&[u8], usize) -> usize,
    ) -> Result<(), CbcFault> {
        match self {
            Self::Null => Ok(()),
            Self::Des(key) => encrypt(&**key, iv, storage, crypt, behind),
            Self::TripleDes(key) => encrypt(&**key, iv, storage, crypt, behind),
            Self::Aes128(key) => encrypt(&**key, iv, storage, crypt, behind),
            Self::Aes192(key) => encrypt(&**key, iv, storage, crypt, behind),
            Self::Aes256(key) => encrypt(&**key, iv, storage, crypt, behind),
        }
    }

    /// Deciphers whole blocks in place.
    #[inline]
    pub(crate) fn decrypt(&self, iv: Iv, data: &mut [u8]) -> Result<(), CbcFault> {
        match self {
            Self::Null => Ok(()),
            Self::Des(key) => decrypt(&**key, iv, data),
            Self::TripleDes(key) => decrypt(&**key, iv, data),
            Self::Aes128(key) => decrypt(&**key, iv, data),
            Self::Aes192(key) => decrypt(&**key, iv, data),
            Self::Aes256(key) => decrypt(&**key, iv, data),
        }
    }
}

/// An initialisation vector of any of the ciphers.
#[derive(Clone, Copy)]
pub(crate) enum Iv {
    None,
    Short([u8; 8]),
    Long([u8; 16]),
}

impl Iv {
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, CbcFault> {
        if let Ok(long) = bytes.try_into() {
            Ok(Self::Long(long))
        } else if let Ok(short) = bytes.try_into() {
            Ok(Self::Short(short))
        } else if bytes.is_empty() {
            Ok(Self::None)
        } else {
            Err(CbcFault::IvLength)
        }
    }

    #[inline]
    fn block<N: ArraySize>(&self) -> Result<Array<u8, N>, CbcFault> {
        let bytes = match self {
            Self::None => &[],
            Self::Short(short) => short.as_slice(),
            Self::Long(long) => long,
        };
        bytes.try_into().map_err(|_| CbcFault::IvLength)
    }
}

#[inline]
fn encrypt<C: BlockCipherEncrypt>(
    key: &C,
    iv: Iv,
    storage: &mut [u8],
    crypt: Range<usize>,
    behind: impl FnMut(&[u8], usize) -> usize,
) -> Result<(), CbcFault> {
    let chain: Block<C> = iv.block()?;
    let data = storage.get(crypt.clone()).ok_or(CbcFault::DataLength)?;
    if !data.len().is_multiple_of(chain.len()) {
        return Err(CbcFault::DataLength);
    }
    key.encrypt_with_backend(Chain {
        chain,
        storage,
        crypt,
        behind,
    });
    Ok(())
}

/// CBC encryption under way, inside the code that has the processor's AES instructions.
struct Chain<'a, N: ArraySize, F> {
    /// The last block of ciphertext.
    chain: Array<u8, N>,
    storage: &'a mut [u8],
    crypt: Range<usize>,
    behind: F,
}

impl<N: ArraySize, F> BlockSizeUser for Chain<'_, N, F> {
    type BlockSize = N;
}

impl<N: ArraySize, F: FnMut(&[u8], usize) -> usize> BlockCipherEncClosure for Chain<'_, N, F> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        let Self {
            mut chain,
            storage,
            crypt,
            mut behind,
        } = self;
        let mut at = crypt.start;
        while at < crypt.end {
            let wanted = behind(storage, at).saturating_sub(at).min(crypt.end - at);
            let next = at + wanted.max(1).next_multiple_of(N::USIZE);
            let run = storage.get_mut(at..next).unwrap_or(&mut []);
            for block in Array::<u8, N>::slice_as_chunks_mut(run).0 {
                xor(&mut chain, block);
                backend.encrypt_block((&mut chain).into());
                block.clone_from(&chain);
            }
            at = next;
        }
    }
}

#[inline]
fn decrypt<C: BlockCipherDecrypt>(key: &C, iv: Iv, data: &mut [u8]) -> Result<(), CbcFault> {
    let chain: Block<C> = iv.block()?;
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    if !rest.is_empty() {
        return Err(CbcFault::DataLength);
    }
    key.decrypt_with_backend(Unchain { chain, blocks });
    Ok(())
}

/// CBC decryption under way, inside the code that has the processor's AES instructions: as many
/// blocks at once as the cipher takes, then one by one, each free of the one before it.
struct Unchain<'a, N: ArraySize> {
    /// The block of ciphertext before `blocks`.
    chain: Array<u8, N>,
    blocks: &'a mut [Array<u8, N>],
}

impl<N: ArraySize> BlockSizeUser for Unchain<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherDecClosure for Unchain<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = N>>(self, backend: &B) {
        let Self { mut chain, blocks } = self;
        let (wide, single) = Array::<_, B::ParBlocksSize>::slice_as_chunks_mut(blocks);
        for blocks in wide {
            let received = blocks.clone();
            backend.decrypt_par_blocks_inplace(blocks);
            if let Some((first, others)) = blocks.split_first_mut() {
                xor(first, &chain);
                for (block, before) in others.iter_mut().zip(&received) {
                    xor(block, before);
                }
            }
            if let Some(last) = received.last() {
                chain.clone_from(last);
            }
        }
        for block in single {
            let received = block.clone();
            backend.decrypt_block_inplace(block);
            xor(block, &chain);
            chain = received;
        }
    }
}

#[inline(always)]
fn xor<N: ArraySize>(block: &mut Array<u8, N>, with: &Array<u8, N>) {
    for (b, w) in block.iter_mut().zip(with) {
        *b ^= w;
    }
}
