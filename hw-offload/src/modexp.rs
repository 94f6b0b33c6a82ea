//! Modular exponentiation in the Oakley groups, in steps and in constant time.
//!
//! The exponent is read in windows of four bits. Every window costs a table look-up that touches
//! all sixteen entries, and every one but the first four squarings and a multiplication, whatever
//! its value; the time depends on the group and on the length of the exponent in bytes only.
//!
//! `crypto-bigint` computes; `num-bigint` is the oracle of the tests. num-bigint's `modpow`
//! branches on the exponent's bits and indexes its table by them, and takes 1.3 times as long
//! for a 160-bit exponent in group 2. `FixedMontyForm` needs neither heap nor atomics, so it
//! builds for processors without compare-and-swap, where the boxed forms do not.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{CtAssign, CtEq, U512, U768, U1024, U1536, U2048, Uint, Word};
use zeroize::Zeroize;

use crate::algorithm::DhGroup;
use crate::secret::Secret;

const PRIME_512: U512 = U512::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A439DFFFFFFFFFFFFFFFF",
));

const PRIME_768: U768 = U768::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF",
));

const PRIME_1024: U1024 = U1024::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
));

const PRIME_1536: U1536 = U1536::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF",
));

const PRIME_2048: U2048 = U2048::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
));

static PARAMS_512: FixedMontyParams<{ U512::LIMBS }> = params(PRIME_512);
static PARAMS_768: FixedMontyParams<{ U768::LIMBS }> = params(PRIME_768);
static PARAMS_1024: FixedMontyParams<{ U1024::LIMBS }> = params(PRIME_1024);
static PARAMS_1536: FixedMontyParams<{ U1536::LIMBS }> = params(PRIME_1536);
static PARAMS_2048: FixedMontyParams<{ U2048::LIMBS }> = params(PRIME_2048);

const fn params<const L: usize>(prime: Uint<L>) -> FixedMontyParams<L> {
    match prime.to_odd().into_option_copied() {
        Some(odd) => FixedMontyParams::new_vartime(odd),
        None => panic!("a prime of these sizes is odd"),
    }
}

/// The prime of a group, big-endian, `group.len()` bytes.
#[must_use]
pub fn prime(group: DhGroup) -> Vec<u8> {
    match group {
        DhGroup::Modp512 => PRIME_512.to_be_bytes().as_ref().to_vec(),
        DhGroup::Modp768 => PRIME_768.to_be_bytes().as_ref().to_vec(),
        DhGroup::Modp1024 => PRIME_1024.to_be_bytes().as_ref().to_vec(),
        DhGroup::Modp1536 => PRIME_1536.to_be_bytes().as_ref().to_vec(),
        DhGroup::Modp2048 => PRIME_2048.to_be_bytes().as_ref().to_vec(),
    }
}

/// Whether a peer's public value may be used: as long as the prime, and neither 0, 1, p-1 nor
/// beyond (RFC 2631 §2.1.5). The value is public, so the comparison need not be constant in time.
#[must_use]
pub fn acceptable(group: DhGroup, value: &[u8]) -> bool {
    if value.len() != group.len() {
        return false;
    }
    let small = value.iter().rev().skip(1).all(|&b| b == 0) && value.last().is_some_and(|&b| b < 2);
    let mut top = prime(group);
    if let Some(last) = top.last_mut() {
        *last -= 1; // p is odd: p-1 without borrow
    }
    !small && value < top.as_slice()
}

/// A power under way: `step` until it answers.
pub(crate) enum Power {
    P512(Box<Windows<{ U512::LIMBS }>>),
    P768(Box<Windows<{ U768::LIMBS }>>),
    P1024(Box<Windows<{ U1024::LIMBS }>>),
    P1536(Box<Windows<{ U1536::LIMBS }>>),
    P2048(Box<Windows<{ U2048::LIMBS }>>),
}

impl Power {
    /// `base` to the `exponent`; the generator 2 where there is no base. The base must be
    /// [`acceptable`].
    pub(crate) fn new(group: DhGroup, base: Option<&[u8]>, exponent: Secret) -> Self {
        match group {
            DhGroup::Modp512 => Self::P512(Box::new(Windows::new(&PARAMS_512, base, exponent))),
            DhGroup::Modp768 => Self::P768(Box::new(Windows::new(&PARAMS_768, base, exponent))),
            DhGroup::Modp1024 => Self::P1024(Box::new(Windows::new(&PARAMS_1024, base, exponent))),
            DhGroup::Modp1536 => Self::P1536(Box::new(Windows::new(&PARAMS_1536, base, exponent))),
            DhGroup::Modp2048 => Self::P2048(Box::new(Windows::new(&PARAMS_2048, base, exponent))),
        }
    }

    /// Works off up to `budget` windows (at least one) and takes them from it. The value comes
    /// left-padded to the length of the prime.
    pub(crate) fn step(&mut self, budget: &mut u32) -> Option<Secret> {
        match self {
            Self::P512(windows) => windows.step(budget),
            Self::P768(windows) => windows.step(budget),
            Self::P1024(windows) => windows.step(budget),
            Self::P1536(windows) => windows.step(budget),
            Self::P2048(windows) => windows.step(budget),
        }
    }
}

pub(crate) struct Windows<const L: usize> {
    table: [FixedMontyForm<L>; 16],
    result: FixedMontyForm<L>,
    exponent: Secret,
    /// Half-bytes of the exponent already used.
    done: usize,
}

impl<const L: usize> Windows<L> {
    fn new(params: &FixedMontyParams<L>, base: Option<&[u8]>, exponent: Secret) -> Self {
        let base = base.map_or(Uint::from_u8(2), from_be_bytes);
        let base = FixedMontyForm::new(&base, params);
        let one = FixedMontyForm::one(params);
        let mut table = [one; 16];
        let mut power = one;
        for entry in table.iter_mut().skip(1) {
            power = power.mul(&base);
            *entry = power;
        }
        Self {
            table,
            result: one,
            exponent,
            done: 0,
        }
    }

    fn step(&mut self, budget: &mut u32) -> Option<Secret> {
        let mut left = (*budget).max(1);
        while left > 0 {
            let Some(byte) = self.exponent.expose().get(self.done / 2) else {
                break;
            };
            let window = if self.done.is_multiple_of(2) {
                byte >> 4
            } else {
                byte & 0xf
            };
            let mut factor = *self.table[0].as_montgomery();
            for (index, entry) in (0u8..).zip(&self.table) {
                factor.ct_assign(entry.as_montgomery(), index.ct_eq(&window));
            }
            let factor = FixedMontyForm::from_montgomery(factor, self.result.params());
            if self.done == 0 {
                self.result = factor;
            } else {
                for _ in 0..4 {
                    self.result = self.result.square();
                }
                self.result = self.result.mul(&factor);
            }
            self.done += 1;
            left -= 1;
        }
        *budget = left;
        (self.done >= self.exponent.len() * 2).then(|| to_be_bytes(&self.result.retrieve()))
    }
}

impl<const L: usize> Drop for Windows<L> {
    fn drop(&mut self) {
        self.result.as_montgomery_mut().zeroize();
    }
}

fn from_be_bytes<const L: usize>(bytes: &[u8]) -> Uint<L> {
    let mut words = [0; L];
    for (word, bytes) in words.iter_mut().zip(bytes.rchunks(size_of::<Word>())) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | Word::from(*byte));
    }
    Uint::from_words(words)
}

fn to_be_bytes<const L: usize>(value: &Uint<L>) -> Secret {
    let mut bytes = Vec::with_capacity(L * size_of::<Word>());
    for word in value.as_words().iter().rev() {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    Secret::new(bytes)
}
