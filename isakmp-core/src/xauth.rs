//! Extended authentication (draft-beaulieu-ike-xauth-02): the attributes of a transaction, and
//! the question that is put to whoever knows the users.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Hash, Primitives, Secret};
use ipsec_core::model::Name;

use crate::wire::{Attribute, AttributeValue, Attributes};

/// What an ATTR payload is (draft-dukes-ike-mode-cfg-02 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Request,
    Reply,
    Set,
    Ack,
}

impl Verb {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Set => 3,
            Self::Ack => 4,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Reply,
            3 => Self::Set,
            4 => Self::Ack,
            _ => return None,
        })
    }
}

/// Attribute classes.
pub(crate) mod class {
    pub(crate) const TYPE: u16 = 16_520;
    pub(crate) const USER_NAME: u16 = 16_521;
    pub(crate) const USER_PASSWORD: u16 = 16_522;
    pub(crate) const PASSCODE: u16 = 16_523;
    pub(crate) const MESSAGE: u16 = 16_524;
    pub(crate) const CHALLENGE: u16 = 16_525;
    pub(crate) const STATUS: u16 = 16_527;
    pub(crate) const LAST: u16 = 16_529;
}

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XauthMethod {
    /// With its password.
    Generic,
    /// With a digest of its password and a challenge (RFC 1994).
    RadiusChap,
}

impl XauthMethod {
    /// The value of the TYPE attribute.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Generic => 0,
            Self::RadiusChap => 1,
        }
    }

    /// The word of SHOW ISAKMP SA.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Generic => "Generic",
            Self::RadiusChap => "RADIUS-CHAP",
        }
    }
}

/// What a user gave as proof.
#[derive(Debug)]
pub enum XauthProof {
    /// The password, or the answer to the last challenge.
    Password(Secret),
    /// MD5(id | password | challenge).
    Chap {
        /// The id.
        id: u8,
        /// The digest.
        digest: [u8; 16],
        /// The challenge, which this router chose.
        challenge: [u8; 16],
    },
}

/// The question whether a user is who it says.
#[derive(Debug)]
pub struct XauthStep {
    /// The peer's address.
    pub peer: IpAddr,
    /// The ISAKMP policy.
    pub policy: Name,
    /// The user's name, in the bytes that came.
    pub user: Vec<u8>,
    /// The proof.
    pub proof: XauthProof,
    /// What came with the challenge that this answers (RADIUS: State).
    pub state: Option<Vec<u8>>,
}

/// The answer to an [`XauthStep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XauthAnswer {
    /// It is that user.
    Accept,
    /// It is not, or cannot be found out.
    Reject,
    /// The user must answer something more.
    Challenge {
        /// What the user is told.
        message: Vec<u8>,
        /// What comes back with the answer.
        state: Vec<u8>,
    },
}

/// The content of one ATTR payload, as far as extended authentication goes.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) method: Option<u64>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Secret>,
    pub(crate) challenge: Option<Vec<u8>>,
    pub(crate) status: Option<u64>,
    /// Every class of the range, in order.
    pub(crate) classes: Vec<u16>,
}

impl Content {
    /// Reads attributes; of two of one class the first counts. What belongs to somebody else is
    /// left out.
    pub(crate) fn read(attributes: &Attributes<'_>) -> Self {
        let mut content = Self::default();
        for attribute in attributes.iter() {
            if !(class::TYPE..=class::LAST).contains(&attribute.class)
                || content.classes.contains(&attribute.class)
            {
                continue;
            }
            content.classes.push(attribute.class);
            let short;
            let bytes = match attribute.value {
                AttributeValue::Long(bytes) => bytes,
                AttributeValue::Short(value) => {
                    short = value.to_be_bytes();
                    &short[..]
                }
            };
            match attribute.class {
                class::TYPE => content.method = attribute.number(),
                class::STATUS => content.status = attribute.number(),
                class::USER_NAME => content.user = Some(text(bytes).to_vec()),
                class::CHALLENGE => content.challenge = Some(bytes.to_vec()),
                class::USER_PASSWORD | class::PASSCODE => {
                    content.password.get_or_insert(Secret::copy_of(bytes));
                }
                _ => {}
            }
        }
        content
    }
}

/// A string without the NUL that some peers append.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

/// The body of an ATTR payload.
pub(crate) fn body(verb: Verb, identifier: u16, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    let mut body = alloc::vec![verb.number(), 0, high, low];
    attributes
        .iter()
        .for_each(|attribute| attribute.write(&mut body));
    body
}

/// The password attribute of RADIUS-CHAP: id | MD5(id | password | challenge).
pub(crate) fn chap(
    primitives: &dyn Primitives,
    id: u8,
    password: &[u8],
    challenge: &[u8],
) -> Vec<u8> {
    let digest = primitives.hash(Hash::Md5, &[&[id], password, challenge]);
    let mut value = alloc::vec![id];
    value.extend_from_slice(digest.as_bytes());
    value
}

#[cfg(test)]
mod tests {
    use hw_offload::SoftPrimitives;
    use hw_offload::testing::hex;

    use super::*;

    #[test]
    fn the_wire_form() {
        let attributes = [
            Attribute::short(class::TYPE, 0),
            Attribute::long(class::USER_NAME, b"joger"),
            Attribute::long(class::USER_PASSWORD, &[]),
            Attribute::short(class::STATUS, 1),
        ];
        let known = "010002a7c088000040890005 6a6f676572 408a0000 c08f0001".replace(' ', "");
        assert_eq!(body(Verb::Request, 0x02a7, &attributes), hex(&known));
    }

    #[test]
    fn threat_a8_one_trailing_nul_is_no_part_of_a_name() {
        let bytes = hex("40890006 6a6f67657200".replace(' ', "").as_str());
        let attributes = Attributes::parse(&bytes).expect("whole");
        let content = Content::read(&attributes);
        assert_eq!(content.user.as_deref(), Some(&b"joger"[..]));
        assert_eq!(text(b"a\0\0"), b"a\0");
    }

    #[test]
    fn the_first_of_two_counts() {
        let bytes = hex("408a000161408a000162c08f0000c08f0001");
        let content = Content::read(&Attributes::parse(&bytes).expect("whole"));
        let password = content.password.expect("there");
        assert_eq!((password.expose(), content.status), (&b"a"[..], Some(0)));
    }

    #[test]
    fn a_chap_digest() {
        // MD5 of 07 | "secret" | sixteen bytes 00 to 0f, by an independent calculation.
        let challenge: Vec<u8> = (0..16).collect();
        let value = chap(&SoftPrimitives, 7, b"secret", &challenge);
        assert_eq!(value, hex("07821643665b430359e52ac524d29c8f95"));
    }
}
