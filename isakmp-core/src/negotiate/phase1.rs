//! The SA of phase 1 (RFC 2409 appendix A).

use alloc::vec::Vec;

use hw_offload::{Cipher, DhGroup, Hash};
use ipsec_core::model::cipher_word;

use super::{Nearest, four_bytes};
use crate::config::IsakmpPolicyConfig;
use crate::reason::{Mismatch, Value};
use crate::wire::{Attribute, SaBody, Transform};

/// The identifier of the only transform, KEY_IKE.
const KEY_IKE: u8 = 1;
/// Protocol ISAKMP in a proposal.
const PROTOCOL: u8 = 1;

/// Authentication by pre-shared key.
const PRE_SHARED: u16 = 1;

/// What one transform of phase 1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase1 {
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// The group.
    pub group: DhGroup,
    /// Life in seconds.
    pub seconds: u32,
}

impl Phase1 {
    /// What a policy wants.
    #[must_use]
    pub fn of(policy: &IsakmpPolicyConfig) -> Self {
        Self {
            cipher: policy.cipher(),
            hash: policy.hash(),
            group: policy.group(),
            seconds: policy.seconds(),
        }
    }

    /// The SA body with this one transform, in the order that the router sends: cipher, hash,
    /// authentication, group, life.
    #[must_use]
    pub fn to_body(self) -> Vec<u8> {
        let seconds = four_bytes(self.seconds);
        let mut attributes = alloc::vec![Attribute::short(1, cipher_number(self.cipher).0)];
        attributes.push(Attribute::short(2, hash_number(self.hash)));
        attributes.push(Attribute::short(3, PRE_SHARED));
        attributes.push(Attribute::short(4, self.group.number()));
        attributes.push(Attribute::short(11, 1));
        attributes.push(Attribute::long(12, &seconds));
        if let Some(bits) = cipher_number(self.cipher).1 {
            attributes.push(Attribute::short(14, bits));
        }
        SaBody::write(&[(1, PROTOCOL, &[], alloc::vec![(KEY_IKE, attributes)])])
    }

    /// The answer of a responder: the first transform that fits the policy, unchanged, and what
    /// was agreed (the shorter life).
    ///
    /// # Errors
    /// The nearest miss.
    pub fn choose(self, offer: &SaBody<'_>) -> Result<(Self, Vec<u8>), Option<Mismatch>> {
        let mut nearest = Nearest::default();
        for proposal in offer
            .proposals()
            .filter(|proposal| proposal.protocol == PROTOCOL)
        {
            for transform in proposal
                .transforms()
                .filter(|transform| transform.id == KEY_IKE)
            {
                match self.compare(&transform) {
                    Ok(seconds) => {
                        let attributes = transform.attributes.iter().collect();
                        let body = SaBody::write(&[(
                            proposal.number,
                            PROTOCOL,
                            proposal.spi,
                            alloc::vec![(KEY_IKE, attributes)],
                        )]);
                        let body = renumber(body, proposal.spi.len(), transform.number);
                        let seconds = seconds.map_or(self.seconds, |s| s.min(self.seconds));
                        return Ok((Self { seconds, ..self }, body));
                    }
                    Err((agreed, mismatch)) => nearest.miss(agreed, mismatch),
                }
            }
        }
        Err(nearest.take())
    }

    /// What the responder answered to our offer: exactly our transform.
    ///
    /// # Errors
    /// The attribute that differs.
    pub fn confirm(self, answer: &SaBody<'_>) -> Result<Self, Option<Mismatch>> {
        let mut proposals = answer.proposals();
        let (Some(proposal), None) = (proposals.next(), proposals.next()) else {
            return Err(None);
        };
        let mut transforms = proposal.transforms();
        let (Some(transform), None) = (transforms.next(), transforms.next()) else {
            return Err(None);
        };
        let seconds = self
            .compare(&transform)
            .map_err(|(_, mismatch)| Some(mismatch))?;
        Ok(Self {
            seconds: seconds.map_or(self.seconds, |s| s.min(self.seconds)),
            ..self
        })
    }

    /// Compares a transform with what we want; its life in seconds is returned, not compared.
    fn compare(self, transform: &Transform<'_>) -> Result<Option<u32>, (u8, Mismatch)> {
        let mut given: [Option<u64>; 17] = [None; 17];
        let (mut life_type, mut seconds) = (None, None);
        for attribute in transform.attributes.iter() {
            let number = attribute.number();
            match attribute.class {
                11 => life_type = number,
                12 => {
                    if life_type == Some(1) {
                        seconds = number.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                    }
                    life_type = None;
                }
                class => match given.get_mut(usize::from(class)) {
                    Some(slot) if slot.is_none() => *slot = number.or(Some(u64::MAX)),
                    Some(_) => {
                        return Err((
                            0,
                            miss("attribute", Value::Absent, Some(u64::from(class)), |_| None),
                        ));
                    }
                    None => {}
                },
            }
        }
        let get = |class: usize| given.get(class).copied().flatten();
        let (number, bits) = cipher_number(self.cipher);
        let length = get(14).or(if get(1) == Some(7) { Some(128) } else { None });
        let cipher_fits = get(1) == Some(number.into()) && length == bits.map(u64::from);
        if !cipher_fits {
            let theirs = theirs_cipher(get(1), length);
            let ours = Value::Word(cipher_word(self.cipher));
            return Err((
                0,
                Mismatch {
                    attribute: "ENCALG",
                    ours,
                    theirs,
                },
            ));
        }
        if get(2) != Some(hash_number(self.hash).into()) {
            let ours = Value::Word(hash_word(self.hash));
            let word = |n| match n {
                1 => Some("MD5"),
                2 => Some("SHA"),
                _ => None,
            };
            return Err((1, miss("HASHALG", ours, get(2), word)));
        }
        if get(3) != Some(PRE_SHARED.into()) {
            let word = |n| (n == 3).then_some("RSASIG");
            return Err((2, miss("AUTHTYPE", Value::Word("PRESHARED"), get(3), word)));
        }
        let group_fits =
            get(4) == Some(self.group.number().into()) && get(5).is_none_or(|t| t == 1);
        if !group_fits {
            let ours = Value::Number(self.group.number().into());
            return Err((3, miss("GROUP", ours, get(4), |_| None)));
        }
        if get(13).is_some() {
            return Err((4, miss("prf", Value::Absent, get(13), |_| None)));
        }
        Ok(seconds.filter(|s| *s > 0))
    }
}

fn miss(
    attribute: &'static str,
    ours: Value,
    theirs: Option<u64>,
    word: impl Fn(u64) -> Option<&'static str>,
) -> Mismatch {
    let theirs = theirs.map_or(Value::Absent, |n| {
        word(n).map_or(Value::Number(n), Value::Word)
    });
    Mismatch {
        attribute,
        ours,
        theirs,
    }
}

fn theirs_cipher(number: Option<u64>, length: Option<u64>) -> Value {
    match (number, length) {
        (Some(1), _) => Value::Word("DES"),
        (Some(5), _) => Value::Word("3DESOUTER"),
        (Some(7), Some(128)) => Value::Word("AES128"),
        (Some(7), Some(192)) => Value::Word("AES192"),
        (Some(7), Some(256)) => Value::Word("AES256"),
        (Some(other), _) => Value::Number(other),
        (None, _) => Value::Absent,
    }
}

/// The cipher's number and its key length attribute.
const fn cipher_number(cipher: Cipher) -> (u16, Option<u16>) {
    match cipher {
        Cipher::Null => (0, None),
        Cipher::Des => (1, None),
        Cipher::TripleDes => (5, None),
        Cipher::Aes128 => (7, Some(128)),
        Cipher::Aes192 => (7, Some(192)),
        Cipher::Aes256 => (7, Some(256)),
    }
}

const fn hash_number(hash: Hash) -> u16 {
    match hash {
        Hash::Md5 => 1,
        Hash::Sha1 => 2,
    }
}

/// The word of the command language for a hash.
#[must_use]
pub const fn hash_word(hash: Hash) -> &'static str {
    match hash {
        Hash::Md5 => "MD5",
        Hash::Sha1 => "SHA",
    }
}

/// The hash of a word of the command language.
#[must_use]
pub fn hash_of_word(word: &str) -> Option<Hash> {
    Hash::ALL.into_iter().find(|hash| hash_word(*hash) == word)
}

/// A responder answers with the offered transform's own number.
fn renumber(mut body: Vec<u8>, spi_len: usize, number: u8) -> Vec<u8> {
    // DOI, situation, proposal header, SPI, transform header up to the number.
    if let Some(place) = body.get_mut(8 + 8 + spi_len + 4) {
        *place = number;
    }
    body
}
