//! The numbered keys that a user creates: CREATE ENCO KEY.
//!
//! A [`KeyNumber`] names what a user typed; a channel is a keyed context of an engine. One key may
//! stand behind many channels.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::algorithm::Cipher;
use crate::entropy::{Entropy, EntropyFault};
use crate::secret::Secret;

/// The number of a key, 0 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(pub u16);

/// What a key is for; fixes its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Pre-shared keys and HMAC keys: any length from 1 to [`KeyKind::GENERAL_MAX`] bytes.
    General,
    /// A DES key, 8 bytes.
    Des,
    /// Three DES keys, 24 bytes.
    TripleDes,
    /// An AES key of 16, 24 or 32 bytes.
    Aes,
    /// An RSA private key, in the DER form of PKCS#1.
    Rsa,
    /// An RSA public key, in the DER form of PKCS#1.
    RsaPublic,
}

impl KeyKind {
    /// The longest GENERAL key in bytes.
    pub const GENERAL_MAX: usize = 1024;

    /// The word of the command language.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::General => "GENERAL",
            Self::Des => "DES",
            Self::TripleDes => "3DES",
            Self::Aes => "AES",
            Self::Rsa | Self::RsaPublic => "RSA",
        }
    }

    /// Whether a key of this kind may have that many bytes.
    #[must_use]
    pub const fn admits_len(self, len: usize) -> bool {
        match self {
            Self::General => len >= 1 && len <= Self::GENERAL_MAX,
            Self::Des => len == 8,
            Self::TripleDes => len == 24,
            Self::Aes => matches!(len, 16 | 24 | 32),
            Self::Rsa | Self::RsaPublic => len >= 1,
        }
    }

    /// The lengths it may have, in words for a message.
    #[must_use]
    pub const fn lengths(self) -> &'static str {
        match self {
            Self::General => "1 to 1024 bytes",
            Self::Des => "8 bytes",
            Self::TripleDes => "24 bytes",
            Self::Aes => "16, 24 or 32 bytes",
            Self::Rsa | Self::RsaPublic => "a PKCS#1, PKCS#8 or SubjectPublicKeyInfo structure",
        }
    }

    /// The length of a random key when none is asked for.
    #[must_use]
    pub const fn default_len(self) -> usize {
        match self {
            Self::General => 20,
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::Aes => 16,
            // In bits of the modulus.
            Self::Rsa | Self::RsaPublic => 2048,
        }
    }

    /// The kind that a cipher's manual key must have; none for NULL.
    #[must_use]
    pub const fn of_cipher(cipher: Cipher) -> Option<Self> {
        match cipher {
            Cipher::Null => None,
            Cipher::Des => Some(Self::Des),
            Cipher::TripleDes => Some(Self::TripleDes),
            Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256 => Some(Self::Aes),
        }
    }
}

/// Why a value cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The value has the wrong number of bytes.
    #[error("a {} key has {}, this value has {len}", kind.word(), kind.lengths())]
    Length {
        /// The key's kind.
        kind: KeyKind,
        /// Bytes given.
        len: usize,
    },
    /// An odd number of digits or a character that is not a hexadecimal digit.
    #[error("after 0x an even number of hexadecimal digits is expected")]
    Hex,
    /// The base-32 form has a character outside a-z and 4-9 or bits left over.
    #[error("the value is neither hexadecimal (0x…) nor the base-32 form of a {} key", kind.word())]
    Base32 {
        /// The key's kind.
        kind: KeyKind,
    },
    /// Not an RSA key, or one that is too short or has a small public exponent.
    #[error("the value is no RSA key of 1024 to 8192 bits with a public exponent of 65537 or more")]
    Rsa,
    /// The engine does not take the job that would make the key.
    #[error("the crypto engine is busy")]
    Engine,
    /// Built without RSA.
    #[error("this router was built without RSA")]
    NoRsa,
    /// The key is one of the weak or semi-weak keys of DES.
    #[error("the value is a weak DES key")]
    Weak,
    /// No randomness to make the key from.
    #[error(transparent)]
    Entropy(#[from] EntropyFault),
    /// The number is taken.
    #[error("key {} exists already", number.0)]
    Exists {
        /// The number.
        number: KeyNumber,
    },
    /// There is no such key.
    #[error("key {} does not exist", number.0)]
    Missing {
        /// The number.
        number: KeyNumber,
    },
    /// The ring is full.
    #[error("there is no room for more than {limit} keys")]
    Full {
        /// Keys it holds.
        limit: usize,
    },
}

/// Reads a VALUE: `0x` and hexadecimal digits; for GENERAL keys the text itself, byte for byte;
/// for cipher keys the base-32 form that SHOW ENCO KEY prints.
///
/// # Errors
/// [`KeyFault`] naming what is wrong with it.
pub fn parse_value(kind: KeyKind, text: &str) -> Result<Secret, KeyFault> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let value = match (hex, kind) {
        (Some(digits), _) => from_hex(digits)?,
        (None, KeyKind::General) => Secret::copy_of(text.as_bytes()),
        (None, KeyKind::Des | KeyKind::TripleDes | KeyKind::Aes) => from_base32(kind, text)?,
        (None, KeyKind::Rsa | KeyKind::RsaPublic) => return Err(KeyFault::Hex),
    };
    check_value(kind, value.expose())?;
    Ok(value)
}

/// Reads an RSA key, private or public, from the content of a file: PKCS#1, PKCS#8 or
/// SubjectPublicKeyInfo, in DER or PEM. Returns it in the form that the ring keeps.
///
/// # Errors
/// [`KeyFault::Rsa`], or [`KeyFault::NoRsa`] without the feature `rsa`.
pub fn read_rsa(content: &[u8]) -> Result<(KeyKind, Secret), KeyFault> {
    #[cfg(feature = "rsa")]
    return crate::rsa_key::read(content);
    #[cfg(not(feature = "rsa"))]
    {
        let _ = content;
        Err(KeyFault::NoRsa)
    }
}

/// A random key of `len` bytes, or of the usual length; DES keys get odd parity and are not weak.
///
/// # Errors
/// [`KeyFault`] when the length does not fit the kind or the source of randomness fails.
pub fn random_value(
    kind: KeyKind,
    len: Option<usize>,
    entropy: &mut dyn Entropy,
) -> Result<Secret, KeyFault> {
    let len = len.unwrap_or(kind.default_len());
    if !kind.admits_len(len) || matches!(kind, KeyKind::Rsa | KeyKind::RsaPublic) {
        return Err(KeyFault::Length { kind, len });
    }
    loop {
        let mut bytes = alloc::vec![0; len];
        entropy.fill(&mut bytes)?;
        if matches!(kind, KeyKind::Des | KeyKind::TripleDes) {
            for byte in &mut bytes {
                *byte = odd_parity(*byte);
            }
        }
        let value = Secret::new(bytes);
        if check_value(kind, value.expose()).is_ok() {
            return Ok(value);
        }
    }
}

fn check_value(kind: KeyKind, value: &[u8]) -> Result<(), KeyFault> {
    if !kind.admits_len(value.len()) {
        return Err(KeyFault::Length {
            kind,
            len: value.len(),
        });
    }
    if kind == KeyKind::Des && is_weak_des_key(value) {
        return Err(KeyFault::Weak);
    }
    Ok(())
}

const fn odd_parity(byte: u8) -> u8 {
    if byte.count_ones().is_multiple_of(2) {
        byte ^ 1
    } else {
        byte
    }
}

/// Whether the first 8 bytes are one of the 16 weak and semi-weak DES keys (FIPS 74 §3.6),
/// parity bits ignored.
#[must_use]
pub fn is_weak_des_key(key: &[u8]) -> bool {
    const WEAK: [u64; 16] = [
        0x0101_0101_0101_0101,
        0xfefe_fefe_fefe_fefe,
        0xe0e0_e0e0_f1f1_f1f1,
        0x1f1f_1f1f_0e0e_0e0e,
        0x011f_011f_010e_010e,
        0x1f01_1f01_0e01_0e01,
        0x01e0_01e0_01f1_01f1,
        0xe001_e001_f101_f101,
        0x01fe_01fe_01fe_01fe,
        0xfe01_fe01_fe01_fe01,
        0x1fe0_1fe0_0ef1_0ef1,
        0xe01f_e01f_f10e_f10e,
        0x1ffe_1ffe_0efe_0efe,
        0xfe1f_fe1f_fe0e_fe0e,
        0xe0fe_e0fe_f1fe_f1fe,
        0xfee0_fee0_fef1_fef1,
    ];
    const NO_PARITY: u64 = 0xfefe_fefe_fefe_fefe;
    let Some(bytes) = key.first_chunk::<8>() else {
        return false;
    };
    let key = u64::from_be_bytes(*bytes) & NO_PARITY;
    WEAK.iter()
        .fold(false, |found, weak| found | (weak & NO_PARITY == key))
}

fn from_hex(digits: &str) -> Result<Secret, KeyFault> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(KeyFault::Hex);
    }
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
            return Err(KeyFault::Hex);
        };
        bytes.push(high << 4 | low);
    }
    Ok(Secret::new(bytes))
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz456789";

/// Five bits a character, most significant first; zero bits fill the last one. A 8-byte key has
/// 13 characters of key and one of padding, as the manual's screen shows.
fn from_base32(kind: KeyKind, text: &str) -> Result<Secret, KeyFault> {
    let fault = KeyFault::Base32 { kind };
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    // The longest key of the kind that so many characters can hold; what follows is padding.
    let longest = (0..=text.len() * 5 / 8)
        .rev()
        .find(|&len| kind.admits_len(len))
        .unwrap_or(0);
    for character in text.bytes().map(|c| c.to_ascii_lowercase()) {
        let value = BASE32.iter().position(|&c| c == character).ok_or(fault)?;
        bits = bits << 5 | u32::try_from(value).map_err(|_| fault)?;
        held += 5;
        if held >= 8 {
            held -= 8;
            let byte = u8::try_from(bits >> held & 0xff).map_err(|_| fault)?;
            bits &= (1 << held) - 1;
            if bytes.len() == longest {
                if byte != 0 {
                    return Err(fault);
                }
            } else {
                bytes.push(byte);
            }
        }
    }
    let value = Secret::new(bytes);
    if bits == 0 { Ok(value) } else { Err(fault) }
}

/// The base-32 form that SHOW ENCO KEY prints for cipher keys: 8 bytes give 14 characters.
#[must_use]
pub fn to_base32(key: &[u8]) -> String {
    let characters = key.len() * 8 / 5 + 2;
    let mut text = String::with_capacity(characters);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = key.iter();
    while text.len() < characters {
        if held < 5 {
            bits = bits << 8 | bytes.next().copied().map_or(0, u32::from);
            held += 8;
        }
        held -= 5;
        let index = usize::try_from(bits >> held & 31).unwrap_or(0);
        bits &= (1 << held) - 1;
        text.push(char::from(BASE32.get(index).copied().unwrap_or(b'a')));
    }
    text
}

/// One key of the ring.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// What it is for.
    pub kind: KeyKind,
    /// The key.
    pub value: Secret,
    /// DESCRIPTION, as typed.
    pub description: Option<String>,
    /// The address the key is bound to.
    pub address: Option<IpAddr>,
}

/// The keys by number.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<(KeyNumber, KeyRecord)>,
    limit: usize,
}

impl KeyRing {
    /// An empty ring for at most `limit` keys.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            keys: Vec::new(),
            limit,
        }
    }

    /// Whether a key of that number could be added.
    ///
    /// # Errors
    /// [`KeyFault::Exists`] or [`KeyFault::Full`].
    pub fn admits(&self, number: KeyNumber) -> Result<(), KeyFault> {
        if self.get(number).is_some() {
            return Err(KeyFault::Exists { number });
        }
        if self.keys.len() >= self.limit {
            return Err(KeyFault::Full { limit: self.limit });
        }
        Ok(())
    }

    /// Adds a key.
    ///
    /// # Errors
    /// As [`KeyRing::admits`]; the ring is then unchanged.
    pub fn create(&mut self, number: KeyNumber, key: KeyRecord) -> Result<(), KeyFault> {
        self.admits(number)?;
        let place = self.keys.partition_point(|(other, _)| *other < number);
        self.keys.insert(place, (number, key));
        Ok(())
    }

    /// Removes a key; its bytes are zeroed.
    ///
    /// # Errors
    /// [`KeyFault::Missing`].
    pub fn destroy(&mut self, number: KeyNumber) -> Result<(), KeyFault> {
        let place = self
            .keys
            .iter()
            .position(|(other, _)| *other == number)
            .ok_or(KeyFault::Missing { number })?;
        self.keys.remove(place);
        Ok(())
    }

    /// A key by its number.
    #[must_use]
    pub fn get(&self, number: KeyNumber) -> Option<&KeyRecord> {
        let place = self
            .keys
            .binary_search_by_key(&number, |(other, _)| *other)
            .ok()?;
        self.keys.get(place).map(|(_, key)| key)
    }

    /// A key by its number, to change it.
    #[must_use]
    pub fn get_mut(&mut self, number: KeyNumber) -> Option<&mut KeyRecord> {
        let place = self
            .keys
            .binary_search_by_key(&number, |(other, _)| *other)
            .ok()?;
        self.keys.get_mut(place).map(|(_, key)| key)
    }

    /// Every key, by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = (KeyNumber, &KeyRecord)> {
        self.keys.iter().map(|(number, key)| (*number, key))
    }
}
