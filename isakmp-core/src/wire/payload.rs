//! Payloads: the generic header, the walk over a chain, and the body of every type.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::header::{Cookie, Header};
use super::{Attributes, Malformed, SaBody};
use ipsec_core::model::AddressSelector;

/// The most payloads in one message.
const MAX_PAYLOADS: usize = 64;
/// Length of the generic payload header.
const GENERIC: usize = 4;

/// The type of a payload. 15, 16, 20, 21, 130 and 131 mean NAT-D or NAT-OA by what was
/// negotiated; here every one of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

impl PayloadType {
    /// No payload.
    pub const NONE: Self = Self(0);
    /// Security association.
    pub const SA: Self = Self(1);
    /// Key exchange.
    pub const KE: Self = Self(4);
    /// Identification.
    pub const ID: Self = Self(5);
    /// Certificate.
    pub const CERT: Self = Self(6);
    /// Certificate request.
    pub const CR: Self = Self(7);
    /// Hash.
    pub const HASH: Self = Self(8);
    /// Signature.
    pub const SIG: Self = Self(9);
    /// Nonce.
    pub const NONCE: Self = Self(10);
    /// Notification.
    pub const N: Self = Self(11);
    /// Delete.
    pub const D: Self = Self(12);
    /// Vendor ID.
    pub const VID: Self = Self(13);
    /// Attributes of a transaction.
    pub const ATTR: Self = Self(14);
    /// IKE fragment (proprietary).
    pub const FRAGMENT: Self = Self(132);

    /// Its short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "NONE",
            1 => "SA",
            2 => "P",
            3 => "T",
            4 => "KE",
            5 => "ID",
            6 => "CERT",
            7 => "CR",
            8 => "HASH",
            9 => "SIG",
            10 => "NONCE",
            11 => "N",
            12 => "D",
            13 => "VID",
            14 => "ATTR",
            15 | 20 | 130 => "NAT-D",
            16 | 21 | 131 => "NAT-OA",
            132 => "FRAGMENT",
            _ => "?",
        }
    }
}

/// A payload as bytes, with everything that a hash may cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// Its type.
    pub kind: PayloadType,
    /// Its body, without the generic header.
    pub body: &'a [u8],
    /// Offset of its generic header in the bytes that were walked.
    pub at: usize,
}

/// The payloads of a message, checked to be whole.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    items: Vec<Raw<'a>>,
    bytes: &'a [u8],
    end: usize,
}

impl<'a> Payloads<'a> {
    /// Walks the chain from a first type. What stands behind the last payload is padding.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(first: PayloadType, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut kind, mut at) = (first, 0);
        let mut items = Vec::new();
        while kind != PayloadType::NONE {
            let rest = bytes.get(at..).ok_or(Malformed::Length)?;
            let (next, body, _) = split_generic(rest)?;
            items.push(Raw { kind, body, at });
            if items.len() > MAX_PAYLOADS {
                return Err(Malformed::TooMany);
            }
            at += GENERIC + body.len();
            kind = next;
        }
        Ok(Self {
            items,
            bytes,
            end: at,
        })
    }

    /// The payloads in order.
    #[must_use]
    pub fn all(&self) -> &[Raw<'a>] {
        &self.items
    }

    /// The first payload of a type.
    #[must_use]
    pub fn first(&self, kind: PayloadType) -> Option<Raw<'a>> {
        self.items.iter().copied().find(|raw| raw.kind == kind)
    }

    /// The payloads of a type.
    pub fn of(&self, kind: PayloadType) -> impl Iterator<Item = Raw<'a>> {
        self.items
            .iter()
            .copied()
            .filter(move |raw| raw.kind == kind)
    }

    /// The bytes behind the first payload up to the end of the last, with generic headers: what
    /// the HASH in front of them covers.
    #[must_use]
    pub fn after_first(&self) -> &'a [u8] {
        let start = self.items.get(1).map_or(self.end, |second| second.at);
        self.bytes.get(start..self.end).unwrap_or(&[])
    }

    /// Bytes behind the last payload.
    #[must_use]
    pub fn padding(&self) -> &'a [u8] {
        self.bytes.get(self.end..).unwrap_or(&[])
    }
}

pub(super) fn split_generic(bytes: &[u8]) -> Result<(PayloadType, &[u8], &[u8]), Malformed> {
    let (head, _) = bytes
        .split_first_chunk::<GENERIC>()
        .ok_or(Malformed::Length)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let body = bytes.get(GENERIC..length).ok_or(Malformed::Length)?;
    let rest = bytes.get(length..).ok_or(Malformed::Length)?;
    Ok((PayloadType(head[0]), body, rest))
}

pub(super) fn write_generic(out: &mut Vec<u8>, next: PayloadType, body: &[u8]) {
    let length = u16::try_from(body.len() + GENERIC).unwrap_or(u16::MAX);
    out.extend_from_slice(&[next.0, 0]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

/// Puts payloads one behind the other and links them.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    first: Option<PayloadType>,
    /// Where the type of the payload to come must be written.
    link: usize,
}

impl Writer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a payload.
    pub fn push(&mut self, kind: PayloadType, body: &[u8]) -> &mut Self {
        if self.first.is_none() {
            self.first = Some(kind);
        } else if let Some(link) = self.bytes.get_mut(self.link) {
            *link = kind.0;
        }
        self.link = self.bytes.len();
        write_generic(&mut self.bytes, PayloadType::NONE, body);
        self
    }

    /// The first payload's type.
    #[must_use]
    pub fn first(&self) -> PayloadType {
        self.first.unwrap_or(PayloadType::NONE)
    }

    /// The payloads' bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole message in clear under this header, whose next payload is set.
    #[must_use]
    pub fn message(&self, header: Header) -> Vec<u8> {
        let header = Header {
            next: self.first(),
            ..header
        };
        let mut message = header.to_bytes(super::HEADER + self.bytes.len()).to_vec();
        message.extend_from_slice(&self.bytes);
        message
    }
}

/// A typed payload; the types that this crate has no use for keep their bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Security association.
    Sa(SaBody<'a>),
    /// Key exchange: a public value.
    KeyExchange(&'a [u8]),
    /// Identification.
    Id(Identification),
    /// Certificate: encoding and data.
    Certificate(u8, &'a [u8]),
    /// Certificate request: encoding and authority.
    CertificateRequest(u8, &'a [u8]),
    /// Hash.
    Hash(&'a [u8]),
    /// Signature.
    Signature(&'a [u8]),
    /// Nonce, 8 to 256 bytes.
    Nonce(&'a [u8]),
    /// Notification.
    Notify(Notify<'a>),
    /// Delete.
    Delete(Delete<'a>),
    /// Vendor ID.
    Vendor(&'a [u8]),
    /// Transaction: type, identifier, attributes.
    Attributes(u8, u16, Attributes<'a>),
    /// NAT discovery: a hash of an address and port.
    NatDiscovery(&'a [u8]),
    /// The original address of a peer behind NAT.
    NatOriginal(IpAddr),
    /// Part of a message: identifier, number, whether it is the last, data.
    Fragment(u16, u8, bool, &'a [u8]),
    /// Any other.
    Unknown(PayloadType, &'a [u8]),
}

impl<'a> Payload<'a> {
    /// Reads a body by its type.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(raw: Raw<'a>) -> Result<Self, Malformed> {
        let body = raw.body;
        let fault = Malformed::Body(raw.kind);
        Ok(match raw.kind.0 {
            1 => Self::Sa(SaBody::parse(body)?),
            4 if !body.is_empty() => Self::KeyExchange(body),
            5 => Self::Id(Identification::parse(body).map_err(|_| fault)?),
            6 | 7 => {
                let (&encoding, data) = body.split_first().ok_or(fault)?;
                if raw.kind == PayloadType::CERT {
                    Self::Certificate(encoding, data)
                } else {
                    Self::CertificateRequest(encoding, data)
                }
            }
            8 if !body.is_empty() => Self::Hash(body),
            9 if !body.is_empty() => Self::Signature(body),
            10 if (8..=256).contains(&body.len()) => Self::Nonce(body),
            11 => Self::Notify(Notify::parse(body).ok_or(fault)?),
            12 => Self::Delete(Delete::parse(body).ok_or(fault)?),
            13 => Self::Vendor(body),
            14 => {
                let (head, rest) = body.split_first_chunk::<4>().ok_or(fault)?;
                let identifier = u16::from_be_bytes([head[2], head[3]]);
                Self::Attributes(head[0], identifier, Attributes::parse(rest)?)
            }
            15 | 20 | 130 if !body.is_empty() => Self::NatDiscovery(body),
            16 | 21 | 131 => {
                let (head, address) = body.split_first_chunk::<4>().ok_or(fault)?;
                Self::NatOriginal(match head[0] {
                    1 => address_v4(address).ok_or(fault)?,
                    5 => address_v6(address).ok_or(fault)?,
                    _ => return Err(fault),
                })
            }
            132 => {
                let (head, data) = body.split_first_chunk::<4>().ok_or(fault)?;
                let identifier = u16::from_be_bytes([head[0], head[1]]);
                Self::Fragment(identifier, head[2], head[3] & 1 == 1, data)
            }
            4 | 8 | 9 | 10 | 15 | 20 | 130 => return Err(fault),
            _ => Self::Unknown(raw.kind, body),
        })
    }
}

fn address_v4(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .ok()
        .map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

fn address_v6(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}

/// Why bytes are no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the length of the identity does not fit its type")]
pub struct IdentityFault;

/// Who, or which addresses (RFC 2407 §4.6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// 1 IPv4, 2 FQDN, 3 user@FQDN, 4 IPv4 subnet, 5 IPv6, 6 IPv6 subnet, 7 and 8 ranges, 9 DER
    /// distinguished name, 10 DER general name, 11 key id.
    pub kind: u8,
    /// IP protocol, 0 for any.
    pub protocol: u8,
    /// Port, 0 for any.
    pub port: u16,
    /// The identity itself, of the length that its type has.
    pub data: Vec<u8>,
}

impl Identification {
    /// The name of its type (RFC 2407 §4.6.2.1).
    #[must_use]
    pub const fn kind_word(&self) -> &'static str {
        match self.kind {
            1 => "IPV4_ADDR",
            2 => "FQDN",
            3 => "USER_FQDN",
            4 => "IPV4_ADDR_SUBNET",
            5 => "IPV6_ADDR",
            6 => "IPV6_ADDR_SUBNET",
            7 => "IPV4_ADDR_RANGE",
            8 => "IPV6_ADDR_RANGE",
            9 => "DER_ASN1_DN",
            10 => "DER_ASN1_GN",
            11 => "KEY_ID",
            _ => "UNKNOWN",
        }
    }

    /// Reads a body and checks the data's length against the type.
    ///
    /// # Errors
    /// [`IdentityFault`].
    pub fn parse(body: &[u8]) -> Result<Self, IdentityFault> {
        let (head, data) = body.split_first_chunk::<4>().ok_or(IdentityFault)?;
        let fits = match head[0] {
            1 => data.len() == 4,
            4 | 7 => data.len() == 8,
            5 => data.len() == 16,
            6 | 8 => data.len() == 32,
            2 | 3 | 9 | 10 | 11 => (1..=1024).contains(&data.len()),
            _ => false,
        };
        if !fits {
            return Err(IdentityFault);
        }
        let port = u16::from_be_bytes([head[2], head[3]]);
        Ok(Self {
            kind: head[0],
            protocol: head[1],
            port,
            data: data.to_vec(),
        })
    }

    /// The identity of an address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(a) => (1, a.octets().to_vec()),
            IpAddr::V6(a) => (5, a.octets().to_vec()),
        };
        Self {
            kind,
            protocol: 0,
            port: 0,
            data,
        }
    }

    /// The identity of a name: user@FQDN if it contains an @, else FQDN.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let kind = if name.contains('@') { 3 } else { 2 };
        Self {
            kind,
            protocol: 0,
            port: 0,
            data: name.as_bytes().to_vec(),
        }
    }

    /// The identity of selected addresses: a host, a subnet or a range. Any is the subnet of
    /// everything.
    #[must_use]
    pub fn of_selector(selector: &AddressSelector, protocol: u8, port: u16) -> Self {
        let (kind, data) = match *selector {
            AddressSelector::Any => (4, alloc::vec![0; 8]),
            AddressSelector::Prefix(IpAddr::V4(a), 32) => (1, a.octets().to_vec()),
            AddressSelector::Prefix(IpAddr::V6(a), 128) => (5, a.octets().to_vec()),
            AddressSelector::Prefix(IpAddr::V4(a), len) => {
                let mask = !u32::MAX.checked_shr(len.into()).unwrap_or(0);
                let mut data = (a.to_bits() & mask).to_be_bytes().to_vec();
                data.extend_from_slice(&mask.to_be_bytes());
                (4, data)
            }
            AddressSelector::Prefix(IpAddr::V6(a), len) => {
                let mask = !u128::MAX.checked_shr(len.into()).unwrap_or(0);
                let mut data = (a.to_bits() & mask).to_be_bytes().to_vec();
                data.extend_from_slice(&mask.to_be_bytes());
                (6, data)
            }
            AddressSelector::Range(IpAddr::V4(a), IpAddr::V4(b)) => {
                (7, [a.octets(), b.octets()].concat())
            }
            AddressSelector::Range(IpAddr::V6(a), IpAddr::V6(b)) => {
                (8, [a.octets(), b.octets()].concat())
            }
            AddressSelector::Range(a, _) => return Self::of_address(a),
        };
        Self {
            kind,
            protocol,
            port,
            data,
        }
    }

    /// The addresses that it names, if it names addresses.
    #[must_use]
    pub fn selector(&self) -> Option<AddressSelector> {
        let (first, second) = self.data.split_at_checked(self.data.len() / 2)?;
        Some(match self.kind {
            1 => AddressSelector::host(address_v4(&self.data)?),
            5 => AddressSelector::host(address_v6(&self.data)?),
            4 => {
                let (address, mask) = (
                    address_v4(first)?,
                    u32::from_be_bytes(second.try_into().ok()?),
                );
                let len = mask.leading_ones();
                if mask.checked_shl(len).unwrap_or(0) != 0 {
                    return None;
                }
                if len == 0 {
                    AddressSelector::Any
                } else {
                    AddressSelector::Prefix(address, u8::try_from(len).ok()?)
                }
            }
            6 => {
                let (address, mask) = (
                    address_v6(first)?,
                    u128::from_be_bytes(second.try_into().ok()?),
                );
                let len = mask.leading_ones();
                if mask.checked_shl(len).unwrap_or(0) != 0 {
                    return None;
                }
                AddressSelector::Prefix(address, u8::try_from(len).ok()?)
            }
            7 => AddressSelector::Range(address_v4(first)?, address_v4(second)?),
            8 => AddressSelector::Range(address_v6(first)?, address_v6(second)?),
            _ => return None,
        })
    }

    /// Whether it is that system name, as FQDN, user@FQDN or key id; case does not count.
    #[must_use]
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.kind, 2 | 3 | 11) && self.data.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether both are the same identity: type and data; protocol and port do not count.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.data == other.data
    }

    /// The body's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let [high, low] = self.port.to_be_bytes();
        let mut body = alloc::vec![self.kind, self.protocol, high, low];
        body.extend_from_slice(&self.data);
        body
    }
}

impl core::fmt::Display for Identification {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.selector(), core::str::from_utf8(&self.data)) {
            (Some(AddressSelector::Prefix(address, 32)), _) if address.is_ipv4() => address.fmt(f),
            (Some(selector), _) => selector.fmt(f),
            (None, Ok(text)) if matches!(self.kind, 2 | 3) => text
                .chars()
                .filter(|c| !c.is_control())
                .try_for_each(|c| write!(f, "{c}")),
            (None, _) => self
                .data
                .iter()
                .take(32)
                .try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// The type of a notification (RFC 2408 §3.14.1, RFC 2407 §4.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotifyType(pub u16);

impl NotifyType {
    /// PAYLOAD-MALFORMED.
    pub const PAYLOAD_MALFORMED: Self = Self(16);
    /// NO-PROPOSAL-CHOSEN.
    pub const NO_PROPOSAL_CHOSEN: Self = Self(14);
    /// INVALID-KEY-INFORMATION.
    pub const INVALID_KEY_INFORMATION: Self = Self(17);
    /// INVALID-ID-INFORMATION.
    pub const INVALID_ID_INFORMATION: Self = Self(18);
    /// AUTHENTICATION-FAILED.
    pub const AUTHENTICATION_FAILED: Self = Self(24);
    /// RESPONDER-LIFETIME.
    pub const RESPONDER_LIFETIME: Self = Self(24_576);
    /// R-U-THERE (RFC 3706).
    pub const R_U_THERE: Self = Self(36_136);
    /// R-U-THERE-ACK (RFC 3706).
    pub const R_U_THERE_ACK: Self = Self(36_137);
    /// CONNECTED: what was asked for with the commit bit.
    pub const CONNECTED: Self = Self(16_384);
    /// INITIAL-CONTACT.
    pub const INITIAL_CONTACT: Self = Self(24_578);

    /// Whether it reports an error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 < 16_384
    }

    /// The word of the log's `Notification Received`: the DOI's own status types share one
    /// (manual, SHOW LOG).
    #[must_use]
    pub const fn log_word(self) -> &'static str {
        match self.0 {
            24_576..=32_767 => "DOI",
            _ => self.name(),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            1 => "INVALID-PAYLOAD-TYPE",
            2 => "DOI-NOT-SUPPORTED",
            3 => "SITUATION-NOT-SUPPORTED",
            4 => "INVALID-COOKIE",
            5 => "INVALID-MAJOR-VERSION",
            6 => "INVALID-MINOR-VERSION",
            7 => "INVALID-EXCHANGE-TYPE",
            8 => "INVALID-FLAGS",
            9 => "INVALID-MESSAGE-ID",
            10 => "INVALID-PROTOCOL-ID",
            11 => "INVALID-SPI",
            12 => "INVALID-TRANSFORM-ID",
            13 => "ATTRIBUTES-NOT-SUPPORTED",
            14 => "NO-PROPOSAL-CHOSEN",
            15 => "BAD-PROPOSAL-SYNTAX",
            16 => "PAYLOAD-MALFORMED",
            17 => "INVALID-KEY-INFORMATION",
            18 => "INVALID-ID-INFORMATION",
            19 => "INVALID-CERT-ENCODING",
            20 => "INVALID-CERTIFICATE",
            21 => "CERT-TYPE-UNSUPPORTED",
            22 => "INVALID-CERT-AUTHORITY",
            23 => "INVALID-HASH-INFORMATION",
            24 => "AUTHENTICATION-FAILED",
            25 => "INVALID-SIGNATURE",
            26 => "ADDRESS-NOTIFICATION",
            27 => "NOTIFY-SA-LIFETIME",
            28 => "CERTIFICATE-UNAVAILABLE",
            29 => "UNSUPPORTED-EXCHANGE-TYPE",
            30 => "UNEQUAL-PAYLOAD-LENGTHS",
            16_384 => "CONNECTED",
            24_576 => "RESPONDER-LIFETIME",
            24_577 => "REPLAY-STATUS",
            24_578 => "INITIAL-CONTACT",
            36_136 => "R-U-THERE",
            36_137 => "R-U-THERE-ACK",
            _ => "unknown notification",
        }
    }
}

/// A notification's body: DOI (4) | protocol | SPI size | type (2) | SPI | data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify<'a> {
    /// The protocol that it is about.
    pub protocol: u8,
    /// The type.
    pub kind: NotifyType,
    /// The SPI that it is about; both cookies for ISAKMP.
    pub spi: &'a [u8],
    /// Its data.
    pub data: &'a [u8],
}

impl<'a> Notify<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<8>()?;
        // The IPsec domain of interpretation, or ISAKMP's own (RFC 2408 §3.14).
        if head[..3] != [0; 3] || head[3] > 1 {
            return None;
        }
        let (spi, data) = rest.split_at_checked(usize::from(head[5]))?;
        let kind = NotifyType(u16::from_be_bytes([head[6], head[7]]));
        Some(Self {
            protocol: head[4],
            kind,
            spi,
            data,
        })
    }

    /// INITIAL-CONTACT on an ISAKMP SA.
    #[must_use]
    pub fn initial_contact(initiator: Cookie, responder: Cookie) -> Vec<u8> {
        let spi = [initiator.0, responder.0].concat();
        Notify {
            protocol: 1,
            kind: NotifyType::INITIAL_CONTACT,
            spi: &spi,
            data: &[],
        }
        .to_bytes()
    }

    /// The body's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = u8::try_from(self.spi.len()).unwrap_or(u8::MAX);
        let mut body = alloc::vec![0, 0, 0, 1, self.protocol, size];
        body.extend_from_slice(&self.kind.0.to_be_bytes());
        body.extend_from_slice(self.spi);
        body.extend_from_slice(self.data);
        body
    }
}

/// A Delete's body: DOI (4) | protocol | SPI size | count (2) | SPIs of the sender's inbound SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The protocol.
    pub protocol: u8,
    size: u8,
    spis: &'a [u8],
}

impl<'a> Delete<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let (head, spis) = body.split_first_chunk::<8>()?;
        let count = usize::from(u16::from_be_bytes([head[6], head[7]]));
        let fits = head[5] > 0 && count.checked_mul(usize::from(head[5]))? == spis.len();
        fits.then_some(Self {
            protocol: head[4],
            size: head[5],
            spis,
        })
    }

    /// The SPIs, each of the size that the payload gives.
    pub fn spis(&self) -> impl Iterator<Item = &'a [u8]> {
        self.spis.chunks_exact(usize::from(self.size).max(1))
    }

    /// A body that deletes SPIs of one size.
    #[must_use]
    pub fn body(protocol: u8, spis: &[&[u8]]) -> Vec<u8> {
        let size = spis.first().map_or(0, |spi| spi.len());
        let mut body = alloc::vec![0, 0, 0, 1, protocol, u8::try_from(size).unwrap_or(u8::MAX)];
        let count = u16::try_from(spis.len()).unwrap_or(u16::MAX);
        body.extend_from_slice(&count.to_be_bytes());
        spis.iter().for_each(|spi| body.extend_from_slice(spi));
        body
    }
}
