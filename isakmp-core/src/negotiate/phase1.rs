//! The SA of phase 1 (RFC 2409 appendix A).

use alloc::vec::Vec;

use hw_offload::{Cipher, DhGroup, Hash};
use ipsec_core::model::{Lifetime, Role, cipher_word};

use super::{Nearest, four_bytes};
use crate::config::{AuthType, IsakmpPolicyConfig, Xauth};
use crate::reason::{Mismatch, Value};
use crate::wire::{Attribute, SaBody, Transform};

/// The identifier of the only transform, KEY_IKE.
const KEY_IKE: u8 = 1;
/// Attribute classes from this one on are for private use: whoever does not know them need not
/// (RFC 2409 appendix A).
const PRIVATE: u16 = 16_384;
/// Protocol ISAKMP in a proposal.
const PROTOCOL: u8 = 1;

/// What the two sides prove their identities with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthBase {
    /// Both know a key.
    PreShared,
    /// Both sign.
    RsaSig,
    /// The gateway signs; the user proves nothing before XAUTH
    /// (draft-ietf-ipsec-isakmp-hybrid-auth-05).
    Hybrid,
}

/// What a side proves its identity with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// HASH_I or HASH_R.
    Hash,
    /// A signature over it.
    Signature,
}

/// The authentication method of phase 1. RSA encryption is not among them: it is an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthMethod {
    /// What the identities are proved with.
    pub base: AuthBase,
    /// The side that XAUTH asks for a name afterwards, if there is XAUTH.
    pub asked: Option<Role>,
}

impl AuthMethod {
    /// Both know a key, and that is all.
    pub const PRE_SHARED: Self = Self {
        base: AuthBase::PreShared,
        asked: None,
    };

    /// Every method with the number of its attribute (RFC 2409 appendix A,
    /// draft-beaulieu-ike-xauth-02 §7.2, draft-ietf-ipsec-isakmp-hybrid-auth-05 §3.2.1).
    const ALL: [(u16, Self); 8] = [
        (1, Self::PRE_SHARED),
        (3, Self::new(AuthBase::RsaSig, None)),
        (64_221, Self::new(AuthBase::Hybrid, Some(Role::Initiator))),
        (64_222, Self::new(AuthBase::Hybrid, Some(Role::Responder))),
        (
            65_001,
            Self::new(AuthBase::PreShared, Some(Role::Initiator)),
        ),
        (
            65_002,
            Self::new(AuthBase::PreShared, Some(Role::Responder)),
        ),
        (65_005, Self::new(AuthBase::RsaSig, Some(Role::Initiator))),
        (65_006, Self::new(AuthBase::RsaSig, Some(Role::Responder))),
    ];

    const fn new(base: AuthBase, asked: Option<Role>) -> Self {
        Self { base, asked }
    }

    /// The method of a policy when this router has that role in phase 1.
    #[must_use]
    pub fn of(policy: &IsakmpPolicyConfig, role: Role) -> Self {
        let base = match (policy.auth_type(), policy.hybrid()) {
            (AuthType::PreShared, _) => AuthBase::PreShared,
            (AuthType::RsaSig, false) => AuthBase::RsaSig,
            (AuthType::RsaSig, true) => AuthBase::Hybrid,
        };
        let asked = match policy.xauth() {
            Xauth::None => None,
            Xauth::Client => Some(role),
            Xauth::Server => Some(role.other()),
        };
        Self { base, asked }
    }

    /// The number of its attribute.
    #[must_use]
    pub fn number(self) -> u16 {
        let known = Self::ALL.into_iter().find(|(_, method)| *method == self);
        // Hybrid authentication without XAUTH is not configurable and has no number.
        known.map_or(0, |(number, _)| number)
    }

    /// The method of a number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let known = Self::ALL.into_iter();
        known
            .filter(|(own, _)| u64::from(*own) == number)
            .map(|(_, method)| method)
            .next()
    }

    /// What a side proves its identity with.
    #[must_use]
    pub fn proof(self, of: Role) -> Proof {
        match self.base {
            AuthBase::PreShared => Proof::Hash,
            AuthBase::RsaSig => Proof::Signature,
            AuthBase::Hybrid if self.asked == Some(of) => Proof::Hash,
            AuthBase::Hybrid => Proof::Signature,
        }
    }

    /// The words of a policy that mean it, as a person would write them.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match (self.base, self.asked.is_some()) {
            (AuthBase::PreShared, false) => "PRESHARED",
            (AuthBase::PreShared, true) => "PRESHARED with XAUTH",
            (AuthBase::RsaSig, false) => "RSASIG",
            (AuthBase::RsaSig, true) => "RSASIG with XAUTH",
            (AuthBase::Hybrid, _) => "RSASIG with HYBRIDXAUTH",
        }
    }
}

/// What one transform of phase 1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase1 {
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// The authentication method.
    pub method: AuthMethod,
    /// The group.
    pub group: DhGroup,
    /// How long the ISAKMP SA lives.
    pub life: Lifetime,
}

impl Phase1 {
    /// What a policy wants when this router has that role.
    #[must_use]
    pub fn of(policy: &IsakmpPolicyConfig, role: Role) -> Self {
        Self {
            cipher: policy.cipher(),
            hash: policy.hash(),
            method: AuthMethod::of(policy, role),
            group: policy.group(),
            life: policy.lifetime(),
        }
    }

    /// The SA body with this one transform, in the order that the router sends: cipher, hash,
    /// authentication, group, life.
    #[must_use]
    pub fn to_body(self) -> Vec<u8> {
        let seconds = four_bytes(self.life.seconds);
        let kbytes = self.life.kbytes.map(four_bytes);
        let mut attributes = alloc::vec![Attribute::short(1, cipher_number(self.cipher).0)];
        attributes.push(Attribute::short(2, hash_number(self.hash)));
        attributes.push(Attribute::short(3, self.method.number()));
        attributes.push(Attribute::short(4, self.group.number()));
        attributes.push(Attribute::short(11, 1));
        attributes.push(Attribute::long(12, &seconds));
        if let Some(kbytes) = &kbytes {
            attributes.push(Attribute::short(11, 2));
            attributes.push(Attribute::long(12, kbytes));
        }
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
                    Ok(life) => {
                        let attributes = transform.attributes.iter().collect();
                        let body = SaBody::write(&[(
                            proposal.number,
                            PROTOCOL,
                            proposal.spi,
                            alloc::vec![(KEY_IKE, attributes)],
                        )]);
                        let body = renumber(body, proposal.spi.len(), transform.number);
                        let life = self.life.shorter(life);
                        return Ok((Self { life, ..self }, body));
                    }
                    Err((agreed, mismatch)) => {
                        nearest.miss(agreed, (proposal.number, transform.number), mismatch);
                    }
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
        let private = transform.attributes.iter().any(|a| a.class >= PRIVATE);
        if proposal.protocol != PROTOCOL || transform.id != KEY_IKE || private {
            return Err(None);
        }
        let life = self
            .compare(&transform)
            .map_err(|(_, mismatch)| Some(mismatch))?;
        let life = self.life.shorter(life);
        Ok(Self { life, ..self })
    }

    /// Compares a transform with what we want; its life is returned, not compared. Where it says
    /// nothing, ours counts. What it says twice, and what means nothing here, fits nobody; what
    /// means something to others only is theirs.
    fn compare(self, transform: &Transform<'_>) -> Result<Lifetime, (u8, Mismatch)> {
        let mut given: [Option<u64>; 15] = [None; 15];
        let (mut life_type, mut life) = (None, self.life);
        let mut strange = None;
        for attribute in transform.attributes.iter() {
            let number = attribute.number();
            match attribute.class {
                11 => life_type = number,
                12 => {
                    let amount = number.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                    match (life_type, amount.filter(|amount| *amount > 0)) {
                        (Some(1), Some(amount)) => life.seconds = amount,
                        (Some(2), Some(amount)) => life.kbytes = Some(amount),
                        _ => {}
                    }
                    life_type = None;
                }
                class @ (1..=5 | 14) => match given.get_mut(usize::from(class)) {
                    Some(slot) if slot.is_none() => *slot = number.or(Some(u64::MAX)),
                    _ => strange = Some(u64::from(class)),
                },
                class if class >= PRIVATE => {}
                class => strange = Some(u64::from(class)),
            }
        }
        let get = |class: usize| given.get(class).copied().flatten();
        let (number, bits) = cipher_number(self.cipher);
        let length = get(14).or(if get(1) == Some(7) { Some(128) } else { None });
        let cipher_fits = get(1) == Some(number.into()) && length == bits.map(u64::from);
        if !cipher_fits {
            let theirs = theirs_cipher(get(1), length);
            let ours = Value::Word(cipher_word(self.cipher));
            return Err((0, Mismatch::new("ENCALG", ours, theirs)));
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
        if get(3) != Some(self.method.number().into()) {
            let word = |n| AuthMethod::from_number(n).map(AuthMethod::word);
            let ours = Value::Word(self.method.word());
            return Err((2, miss("AUTHTYPE", ours, get(3), word)));
        }
        let group_fits =
            get(4) == Some(self.group.number().into()) && get(5).is_none_or(|t| t == 1);
        if !group_fits {
            let ours = Value::Number(self.group.number().into());
            return Err((3, miss("GROUP", ours, get(4), |_| None)));
        }
        if strange.is_some() {
            return Err((4, miss("attribute", Value::Absent, strange, |_| None)));
        }
        Ok(life)
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
    Mismatch::new(attribute, ours, theirs)
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
