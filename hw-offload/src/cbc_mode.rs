//! CBC over whole blocks in place, from key schedules made once.

use aes::{Aes128, Aes192, Aes256};
use alloc::boxed::Box;
use cbc::{Decryptor, Encryptor};
use cipher::{
    Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt,
    InnerIvInit, KeyInit,
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

    #[inline]
    pub(crate) fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CbcFault> {
        match self {
            Self::Null => Ok(()),
            Self::Des(key) => encrypt(&**key, iv, data),
            Self::TripleDes(key) => encrypt(&**key, iv, data),
            Self::Aes128(key) => encrypt(&**key, iv, data),
            Self::Aes192(key) => encrypt(&**key, iv, data),
            Self::Aes256(key) => encrypt(&**key, iv, data),
        }
    }

    #[inline]
    pub(crate) fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CbcFault> {
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

#[inline]
fn encrypt<C: BlockCipherEncrypt>(key: &C, iv: &[u8], data: &mut [u8]) -> Result<(), CbcFault> {
    let iv = <&Block<C>>::try_from(iv).map_err(|_| CbcFault::IvLength)?;
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    if !rest.is_empty() {
        return Err(CbcFault::DataLength);
    }
    Encryptor::inner_iv_init(key, iv).encrypt_blocks(blocks);
    Ok(())
}

#[inline]
fn decrypt<C: BlockCipherDecrypt>(key: &C, iv: &[u8], data: &mut [u8]) -> Result<(), CbcFault> {
    let iv = <&Block<C>>::try_from(iv).map_err(|_| CbcFault::IvLength)?;
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    if !rest.is_empty() {
        return Err(CbcFault::DataLength);
    }
    Decryptor::inner_iv_init(key, iv).decrypt_blocks(blocks);
    Ok(())
}
