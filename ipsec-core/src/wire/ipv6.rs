//! IPv6 headers (RFC 8200).
//!
//! ```text
//! +-------+---------------+---------------------------------------+
//! |Version| Traffic Class |              Flow Label               |
//! +-------+---------------+-------+---------------+---------------+
//! |        Payload Length         |  Next Header  |   Hop Limit   |
//! +-------------------------------+---------------+---------------+
//! |                     Source Address, 16 bytes                  |
//! |                  Destination Address, 16 bytes                |
//! ```

use core::net::Ipv6Addr;

use super::Malformed;
use super::extension::{Chain, FRAGMENT, FRAGMENT_HEADER, Place};

/// Length of the fixed header.
pub const HEADER: usize = 40;

/// A datagram whose payload length is right.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    bytes: &'a [u8],
    fixed: &'a [u8; HEADER],
}

/// What stands behind the extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer<'a> {
    /// Its protocol number.
    pub protocol: u8,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Whether the packet is whole or a first fragment, so that ports can be read.
    pub first_fragment: bool,
}

/// A fragment header (RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// Where it stands.
    pub place: Place,
    /// What follows its 8 bytes.
    pub next: u8,
    /// Where the fragment's bytes belong, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identification.
    pub id: u32,
}

impl<'a> Ipv6<'a> {
    /// Checks version and payload length. Bytes behind the payload are left out.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = bytes.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        if fixed[0] >> 4 != 6 {
            return Err(Malformed::Version);
        }
        let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let bytes = bytes.get(..HEADER + len).ok_or(Malformed::Length)?;
        Ok(Self { bytes, fixed })
    }

    /// The datagram's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the whole datagram in bytes.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        self.bytes.len()
    }

    /// Traffic class.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        self.fixed[0] << 4 | self.fixed[1] >> 4
    }

    /// Flow label, 20 bits.
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[1] & 0xf, self.fixed[2], self.fixed[3]])
    }

    /// Hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.fixed[7]
    }

    /// Source address.
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[8..24]);
        octets.into()
    }

    /// Destination address: with a routing header that still has segments left, not the final one.
    #[must_use]
    pub fn destination(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[24..40]);
        octets.into()
    }

    /// Where an IPsec header stands or would stand.
    ///
    /// # Errors
    /// [`Malformed`] when an extension header leaves the packet or there are too many.
    pub fn ipsec_at(&self) -> Result<Place, Malformed> {
        Chain::new(self.bytes)?.ipsec_at()
    }

    /// The fragment header, if there is one.
    ///
    /// # Errors
    /// [`Malformed`] as for [`Ipv6::ipsec_at`].
    pub fn fragment(&self) -> Result<Option<FragmentHeader>, Malformed> {
        let mut chain = Chain::new(self.bytes)?;
        let mut place = chain.place();
        while let Some(extension) = chain.step()? {
            if extension.kind == FRAGMENT {
                let header = self.bytes.get(extension.at..);
                let header = header.and_then(|rest| rest.first_chunk::<FRAGMENT_HEADER>());
                let [next, _, high, low, id @ ..] = *header.ok_or(Malformed::Short)?;
                let field = u16::from_be_bytes([high, low]);
                return Ok(Some(FragmentHeader {
                    place,
                    next,
                    offset: usize::from(field & 0xfff8),
                    more: field & 1 != 0,
                    id: u32::from_be_bytes(id),
                }));
            }
            place = chain.place();
        }
        Ok(None)
    }

    /// Walks hop-by-hop, routing, fragment and destination options headers.
    ///
    /// # Errors
    /// [`Malformed`] as for [`Ipv6::ipsec_at`].
    pub fn upper_layer(&self) -> Result<UpperLayer<'a>, Malformed> {
        let mut chain = Chain::new(self.bytes)?;
        while chain.step()?.is_some() {}
        let place = chain.place();
        Ok(UpperLayer {
            protocol: place.next,
            payload: self.bytes.get(place.at..).ok_or(Malformed::Length)?,
            first_fragment: !chain.is_cut(),
        })
    }
}

/// The values of a fixed header that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewHeader {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Length of what follows the header.
    pub payload_len: u16,
    /// What follows the header.
    pub next: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
}

impl NewHeader {
    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let mut b = [0; HEADER];
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        b[0..4].copy_from_slice(&first.to_be_bytes());
        b[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        b[6] = self.next;
        b[7] = self.hop_limit;
        b[8..24].copy_from_slice(&self.source.octets());
        b[24..40].copy_from_slice(&self.destination.octets());
        b
    }
}
