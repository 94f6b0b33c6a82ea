//! IPv4 headers (RFC 791).
//!
//! ```text
//!  0                   1                   2                   3
//! +-------+-------+---------------+-------------------------------+
//! |Version|  IHL  |Type of Service|          Total Length         |
//! +-------+-------+---------------+-----+-------------------------+
//! |         Identification        |Flags|     Fragment Offset     |
//! +---------------+---------------+-----+-------------------------+
//! | Time to Live  |    Protocol   |        Header Checksum        |
//! +---------------+---------------+-------------------------------+
//! |                        Source Address                         |
//! |                      Destination Address                      |
//! |                     Options, if IHL > 5                       |
//! ```

use core::net::Ipv4Addr;

use super::Malformed;
use super::checksum::checksum;
use super::extension::Place;

/// Length of a header without options.
pub const HEADER: usize = 20;
/// Where the header names the protocol behind it.
const PROTOCOL: usize = 9;

/// A datagram whose lengths and header checksum are right.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; HEADER],
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// Checks version, lengths, fragment offset and header checksum. Bytes behind the total length are left out.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let own = Self::reread(bytes)?;
        if checksum(&[own.header]) != 0 {
            return Err(Malformed::Checksum);
        }
        Ok(own)
    }

    /// The same for a datagram that was read before or made here: the header checksum is taken
    /// for granted.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn reread(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = bytes.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        if fixed[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(fixed[0] & 0xf) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if header_len < HEADER || total < header_len {
            return Err(Malformed::Length);
        }
        let header = bytes.get(..header_len).ok_or(Malformed::Length)?;
        let payload = bytes.get(header_len..total).ok_or(Malformed::Length)?;
        let own = Self {
            fixed,
            header,
            payload,
        };
        // A fragment that ends beyond the longest datagram can be no part of one; cut into smaller
        // fragments its offset would start again at 0.
        if own.fragment_offset() + own.total_len() > usize::from(u16::MAX) {
            return Err(Malformed::Length);
        }
        Ok(own)
    }

    /// The header with its options.
    #[must_use]
    pub const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// What follows the header, up to the total length.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Length of the whole datagram in bytes.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// Type of service.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.fixed[1]
    }

    /// Identification.
    #[must_use]
    pub const fn id(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    /// Don't Fragment.
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        self.fixed[6] & 0x40 != 0
    }

    /// Whether more fragments follow this one.
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        self.fixed[6] & 0x20 != 0
    }

    /// Offset of this fragment in bytes.
    #[must_use]
    pub const fn fragment_offset(&self) -> usize {
        (u16::from_be_bytes([self.fixed[6] & 0x1f, self.fixed[7]]) as usize) * 8
    }

    /// Whether it is a part of a larger datagram.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset() != 0
    }

    /// Time to live.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// The protocol behind the header.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.fixed[PROTOCOL]
    }

    /// Where an IPsec header stands or would stand: behind the options.
    #[must_use]
    pub const fn ipsec_at(&self) -> Place {
        Place {
            at: self.header.len(),
            next_at: PROTOCOL,
            next: self.protocol(),
        }
    }

    /// Source address.
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        Ipv4Addr::new(
            self.fixed[12],
            self.fixed[13],
            self.fixed[14],
            self.fixed[15],
        )
    }

    /// Destination address.
    #[must_use]
    pub const fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::new(
            self.fixed[16],
            self.fixed[17],
            self.fixed[18],
            self.fixed[19],
        )
    }
}

/// The values of a header without options that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHeader {
    /// Type of service.
    pub tos: u8,
    /// Length of the whole datagram.
    pub total_len: u16,
    /// Identification.
    pub id: u16,
    /// Don't Fragment.
    pub dont_fragment: bool,
    /// Whether more fragments follow.
    pub more_fragments: bool,
    /// Offset in units of 8 bytes.
    pub offset_units: u16,
    /// Time to live.
    pub ttl: u8,
    /// The protocol behind the header.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

impl NewHeader {
    /// The header's bytes, checksum included.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut b = [0; HEADER];
        b[0] = 0x45;
        b[1] = self.tos;
        b[2..4].copy_from_slice(&self.total_len.to_be_bytes());
        b[4..6].copy_from_slice(&self.id.to_be_bytes());
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        b[6..8].copy_from_slice(&(flags | self.offset_units & 0x1fff).to_be_bytes());
        b[8] = self.ttl;
        b[PROTOCOL] = self.protocol;
        b[12..16].copy_from_slice(&self.source.octets());
        b[16..20].copy_from_slice(&self.destination.octets());
        let sum = checksum(&[&b]);
        b[10..12].copy_from_slice(&sum.to_be_bytes());
        b
    }
}

/// Makes the checksum of a header with its options anew.
pub fn write_checksum(header: &mut [u8]) {
    if let Some(field) = header.get_mut(10..12) {
        field.fill(0);
    }
    let sum = checksum(&[header]);
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Length of the option that `options` begin with: 1 for end of list and no operation.
///
/// # Errors
/// [`Malformed::Length`] when its length byte is missing or too small; that the option lies within
/// `options` is for the caller to check.
pub fn option_len(options: &[u8]) -> Result<usize, Malformed> {
    match options {
        [0 | 1, ..] => Ok(1),
        [_, len, ..] if *len >= 2 => Ok(usize::from(*len)),
        _ => Err(Malformed::Length),
    }
}

/// The final destination that a source route option names, unless the route is used up.
///
/// # Errors
/// [`Malformed::Length`] when it is no list of addresses.
pub fn source_route(option: &[u8]) -> Result<Option<[u8; 4]>, Malformed> {
    let [_, _, pointer, route @ ..] = option else {
        return Err(Malformed::Length);
    };
    let (addresses, odd) = route.as_chunks::<4>();
    if !odd.is_empty() {
        return Err(Malformed::Length);
    }
    let arrived = usize::from(*pointer) > option.len();
    Ok(addresses.last().filter(|_| !arrived).copied())
}

/// The options of loose and strict source routes (RFC 791 §3.1).
pub const SOURCE_ROUTES: [u8; 2] = [131, 137];

/// Whether a packet has a source route that still leads to such an address. Of options that are
/// broken only what stands before them counts.
pub fn leads_to(header: &[u8], is: impl Fn(Ipv4Addr) -> bool) -> bool {
    let mut options = header.get(HEADER..).unwrap_or(&[]);
    while let [kind, ..] = options {
        let len = option_len(options).unwrap_or(0);
        let Some((option, rest)) = options.split_at_checked(len).filter(|_| len > 0) else {
            return false;
        };
        if SOURCE_ROUTES.contains(kind) {
            // The pointer counts from 1, and from the option's first byte.
            let next = option.get(2).and_then(|pointer| pointer.checked_sub(1));
            let left = next.and_then(|next| option.get(usize::from(next)..));
            let (stops, _) = left.unwrap_or(&[]).as_chunks::<4>();
            if stops.iter().any(|stop| is(Ipv4Addr::from(*stop))) {
                return true;
            }
        } else if *kind == 0 {
            return false;
        }
        options = rest;
    }
    false
}

/// Takes those options out of a header that only the first fragment carries (RFC 791 §3.1: the
/// upper bit of their type is clear). The header's new length, which its first byte says, too;
/// the checksum is not made anew. None for a header that is too short.
pub fn keep_copied_options(header: &mut [u8]) -> Option<usize> {
    let (fixed, options) = header.split_first_chunk_mut::<HEADER>()?;
    let (mut kept, mut at) = (0, 0);
    while let Some([kind, ..]) = options.get(at..) {
        let copied = kind & 0x80 != 0;
        let len = options.get(at..).map(option_len)?.unwrap_or(0);
        // At the list's end, or where it is broken, nothing more is kept.
        if *kind == 0 || len == 0 || at + len > options.len() {
            break;
        }
        if copied {
            options.copy_within(at..at + len, kept);
            kept += len;
        }
        at += len;
    }
    let padded = kept.next_multiple_of(4);
    options.get_mut(kept..padded)?.fill(0);
    fixed[0] = 0x40 | u8::try_from((HEADER + padded) / 4).ok()?;
    Some(HEADER + padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fragment_ends_beyond_the_longest_datagram() {
        let fragment = |offset_units| {
            let header = NewHeader {
                tos: 0,
                total_len: 36,
                id: 1,
                dont_fragment: false,
                more_fragments: true,
                offset_units,
                ttl: 64,
                protocol: 17,
                source: Ipv4Addr::new(10, 0, 0, 1),
                destination: Ipv4Addr::new(10, 0, 0, 2),
            };
            let packet = [&header.to_bytes()[..], &[0; 16]].concat();
            Ipv4::parse(&packet).map(|ip| ip.fragment_offset())
        };
        assert_eq!(fragment(8187), Ok(65_496));
        assert_eq!(fragment(8188), Err(Malformed::Length));
        assert_eq!(fragment(8191), Err(Malformed::Length));
    }
}
