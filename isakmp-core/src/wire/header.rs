//! The message header.
//!
//! ```text
//! |                       Initiator Cookie (8)                    |
//! |                       Responder Cookie (8)                    |
//! | Next Payload  | Version 0x10  | Exchange Type |     Flags     |
//! |                          Message ID                           |
//! |                            Length                             |
//! ```

use super::Malformed;
use super::payload::PayloadType;

/// Length of the header in bytes.
pub const HEADER: usize = 28;

/// One of the two cookies that name an ISAKMP SA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub [u8; 8]);

impl Cookie {
    /// No cookie yet.
    pub const ZERO: Self = Self([0; 8]);
}

impl core::fmt::Display for Cookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The message identifier: 0 in phase 1, else the name of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

impl MessageId {
    /// Its four wire bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// What an exchange is for (RFC 2408 §3.1, RFC 2409 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeType {
    /// Main mode (identity protection).
    Main,
    /// Aggressive mode.
    Aggressive,
    /// Informational.
    Informational,
    /// Transaction: Mode-Config and XAUTH.
    Transaction,
    /// Quick mode.
    Quick,
    /// New group mode.
    NewGroup,
    /// Anything else.
    Other(u8),
}

impl ExchangeType {
    /// The exchange of a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            2 => Self::Main,
            4 => Self::Aggressive,
            5 => Self::Informational,
            6 => Self::Transaction,
            32 => Self::Quick,
            33 => Self::NewGroup,
            other => Self::Other(other),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Main => 2,
            Self::Aggressive => 4,
            Self::Informational => 5,
            Self::Transaction => 6,
            Self::Quick => 32,
            Self::NewGroup => 33,
            Self::Other(other) => other,
        }
    }
}

impl core::fmt::Display for ExchangeType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Main => "Main mode",
            Self::Aggressive => "Aggressive mode",
            Self::Informational => "Informational",
            Self::Transaction => "Transaction",
            Self::Quick => "Quick mode",
            Self::NewGroup => "New group mode",
            Self::Other(_) => "unknown exchange",
        })
    }
}

/// The header's flags. They are not authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The payloads are enciphered.
    pub const ENCRYPTED: Self = Self(1);
    /// Wait for CONNECTED.
    pub const COMMIT: Self = Self(2);

    /// These and others.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the other side shall wait for CONNECTED.
    #[must_use]
    pub const fn commit(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether the payloads are enciphered.
    #[must_use]
    pub const fn encrypted(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A message header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The initiator's cookie.
    pub initiator: Cookie,
    /// The responder's cookie; zero in the first message.
    pub responder: Cookie,
    /// The first payload's type.
    pub next: PayloadType,
    /// The exchange.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// The exchange's name.
    pub message_id: MessageId,
}

impl Header {
    /// Reads a header and the bytes behind it. Bytes beyond the length field are left out.
    ///
    /// # Errors
    /// [`Malformed`] when the length does not fit, or the major version is not 1.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (b, _) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(Malformed::Length)?;
        let length = u32::from_be_bytes([b[24], b[25], b[26], b[27]]);
        let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
        let body = bytes.get(HEADER..length).ok_or(Malformed::Length)?;
        if b[17] >> 4 != 1 {
            return Err(Malformed::Version);
        }
        let (mut initiator, mut responder) = (Cookie::ZERO, Cookie::ZERO);
        initiator.0.copy_from_slice(&b[..8]);
        responder.0.copy_from_slice(&b[8..16]);
        let header = Self {
            initiator,
            responder,
            next: PayloadType(b[16]),
            exchange: ExchangeType::from_number(b[18]),
            flags: Flags(b[19]),
            message_id: MessageId(u32::from_be_bytes([b[20], b[21], b[22], b[23]])),
        };
        Ok((header, body))
    }

    /// The header's bytes for a message of `length` bytes in all.
    #[must_use]
    pub fn to_bytes(&self, length: usize) -> [u8; HEADER] {
        let mut b = [0; HEADER];
        b[..8].copy_from_slice(&self.initiator.0);
        b[8..16].copy_from_slice(&self.responder.0);
        b[16] = self.next.0;
        b[17] = 0x10;
        b[18] = self.exchange.number();
        b[19] = self.flags.0;
        b[20..24].copy_from_slice(&self.message_id.to_bytes());
        b[24..].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        b
    }
}
