//! CBC of any number of blocks against an independent implementation of the mode: the engine
//! works on several blocks at once, and how many depends on the processor.

use aes::{Aes128, Aes192, Aes256};
use cbc::{Decryptor, Encryptor};
use cipher::{
    Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt,
    InnerIvInit, KeyInit,
};
use des::{Des, TdesEde3};
use hw_offload::{Cipher, Primitives, SoftPrimitives};
use proptest::prelude::*;

/// Longer than the widest batch of any processor, twice and a bit.
const MOST_BLOCKS: usize = 150;

fn agrees<C>(cipher: Cipher, key: &[u8], iv: &[u8], plain: &[u8]) -> Result<(), TestCaseError>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt,
{
    let oracle = C::new_from_slice(&key[..cipher.key_len()]).expect("the key has that length");
    let iv = &iv[..cipher.iv_len()];
    let first: &Block<C> = iv.try_into().expect("the IV is one block");
    let plain = &plain[..plain.len() - plain.len() % cipher.block_len()];

    let mut expected = plain.to_vec();
    let (blocks, _) = Array::slice_as_chunks_mut(&mut expected);
    Encryptor::inner_iv_init(&oracle, first).encrypt_blocks(blocks);
    let mut data = plain.to_vec();
    let key = &key[..cipher.key_len()];
    let done = SoftPrimitives.cbc_encrypt(cipher, key, iv, &mut data);
    prop_assert!(done.is_ok());
    prop_assert_eq!(&data, &expected);

    // What is deciphered need not be what was enciphered.
    let mut expected = plain.to_vec();
    let (blocks, _) = Array::slice_as_chunks_mut(&mut expected);
    Decryptor::inner_iv_init(&oracle, first).decrypt_blocks(blocks);
    let mut deciphered = plain.to_vec();
    let done = SoftPrimitives.cbc_decrypt(cipher, key, iv, &mut deciphered);
    prop_assert!(done.is_ok());
    prop_assert_eq!(&deciphered, &expected);
    Ok(())
}

proptest! {
    #[test]
    fn any_number_of_blocks_is_chained_as_elsewhere(
        key in any::<[u8; 32]>(),
        iv in any::<[u8; 16]>(),
        plain in prop::collection::vec(any::<u8>(), 0..=MOST_BLOCKS * 16),
    ) {
        agrees::<Des>(Cipher::Des, &key, &iv, &plain)?;
        agrees::<TdesEde3>(Cipher::TripleDes, &key, &iv, &plain)?;
        agrees::<Aes128>(Cipher::Aes128, &key, &iv, &plain)?;
        agrees::<Aes192>(Cipher::Aes192, &key, &iv, &plain)?;
        agrees::<Aes256>(Cipher::Aes256, &key, &iv, &plain)?;
    }
}
