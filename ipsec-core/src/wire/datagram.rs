//! A datagram of either version, read once.

use core::net::IpAddr;

use super::Malformed;
use super::extension::Place;
use super::ipv4::{self, Ipv4};
use super::ipv6::{self, Ipv6};
use crate::model::Flow;

/// A datagram whose lengths, header checksum and extension headers are right.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    bytes: &'a [u8],
    ip: Version<'a>,
    place: Place,
    fragment: Option<Fragment>,
}

/// What a fragment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where its bytes belong, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identification; 16 bits in IPv4.
    pub id: u32,
}

#[derive(Clone, Copy, Debug)]
enum Version<'a> {
    V4(Ipv4<'a>),
    V6(Ipv6<'a>),
}

impl<'a> Datagram<'a> {
    /// Reads all headers up to where an IPsec header stands or would stand. Bytes behind the
    /// datagram are left out.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(bytes, Ipv4::parse)
    }

    /// The same for a datagram that was read before or made here: an IPv4 header checksum is taken
    /// for granted.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn reread(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(bytes, Ipv4::reread)
    }

    fn read(
        bytes: &'a [u8],
        read_v4: impl FnOnce(&'a [u8]) -> Result<Ipv4<'a>, Malformed>,
    ) -> Result<Self, Malformed> {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => {
                let ip = read_v4(bytes)?;
                Ok(Self {
                    bytes: bytes.get(..ip.total_len()).ok_or(Malformed::Length)?,
                    ip: Version::V4(ip),
                    place: ip.ipsec_at(),
                    fragment: ip.is_fragment().then(|| Fragment {
                        offset: ip.fragment_offset(),
                        more: ip.more_fragments(),
                        id: ip.id().into(),
                    }),
                })
            }
            Some(6) => {
                let ip = Ipv6::parse(bytes)?;
                Ok(Self {
                    bytes: ip.bytes(),
                    ip: Version::V6(ip),
                    place: ip.ipsec_at()?,
                    fragment: ip.fragment()?.map(|header| Fragment {
                        offset: header.offset,
                        more: header.more,
                        id: header.id,
                    }),
                })
            }
            Some(_) => Err(Malformed::Version),
            None => Err(Malformed::Short),
        }
    }

    /// The fields that selectors compare.
    ///
    /// # Errors
    /// [`Malformed`] when IPv6 extension headers leave the packet.
    pub fn flow(&self) -> Result<Flow, Malformed> {
        let (protocol, payload, first) = match self.ip {
            Version::V4(ip) => (ip.protocol(), ip.payload(), ip.fragment_offset() == 0),
            Version::V6(ip) => {
                let upper = ip.upper_layer()?;
                (upper.protocol, upper.payload, upper.first_fragment)
            }
        };
        let ports = match (protocol, payload) {
            (6 | 17, [a, b, c, d, ..]) if first => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        };
        let icmp_type = match (protocol, payload) {
            (1 | 58, [kind, ..]) if first => Some(*kind),
            _ => None,
        };
        Ok(Flow {
            source: self.source(),
            destination: self.destination(),
            protocol,
            ports,
            icmp_type,
        })
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

    /// Whether it is IPv4.
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        matches!(self.ip, Version::V4(_))
    }

    /// Source address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        match self.ip {
            Version::V4(ip) => ip.source().into(),
            Version::V6(ip) => ip.source().into(),
        }
    }

    /// Destination address in the header.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        match self.ip {
            Version::V4(ip) => ip.destination().into(),
            Version::V6(ip) => ip.destination().into(),
        }
    }

    /// Type of service or traffic class: DSCP in the upper six bits, ECN in the lower two.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        match self.ip {
            Version::V4(ip) => ip.tos(),
            Version::V6(ip) => ip.traffic_class(),
        }
    }

    /// Time to live or hop limit.
    #[must_use]
    pub const fn ttl(&self) -> u8 {
        match self.ip {
            Version::V4(ip) => ip.ttl(),
            Version::V6(ip) => ip.hop_limit(),
        }
    }

    /// Whether a router on the way may cut it into fragments: IPv4 with DF clear. Never IPv6,
    /// where only the source cuts (RFC 8200 §5); a tunnel's outer header is its own source and
    /// need not ask.
    #[must_use]
    pub const fn may_fragment(&self) -> bool {
        match self.ip {
            Version::V4(ip) => !ip.dont_fragment(),
            Version::V6(_) => false,
        }
    }

    /// Whether it is a part of a larger datagram. An IPv6 fragment header that says "first and
    /// last" (an atomic fragment, RFC 6946) is not.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        matches!(
            self.fragment,
            Some(Fragment { offset, more, .. }) if more || offset != 0
        )
    }

    /// What a fragment says of itself; an atomic fragment has such a header, too.
    #[must_use]
    pub const fn fragment(&self) -> Option<Fragment> {
        self.fragment
    }

    /// Where an IPsec header stands or would stand.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The headers in front of that place.
    #[must_use]
    pub fn headers(&self) -> &'a [u8] {
        self.bytes.get(..self.place.at).unwrap_or(self.bytes)
    }

    /// What stands at that place and behind it.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.place.at..).unwrap_or(&[])
    }
}

/// Makes the headers fit what was put in or taken out behind them: the byte at `next_at` becomes
/// `next`, the length field that of `packet`, and an IPv4 checksum is made anew.
///
/// # Errors
/// [`Malformed`] when `packet` does not begin with an IP header that long, or is longer than a
/// datagram can be; it may then be half changed.
pub fn finish(packet: &mut [u8], next_at: usize, next: u8) -> Result<(), Malformed> {
    *packet.get_mut(next_at).ok_or(Malformed::Length)? = next;
    let len = packet.len();
    match packet.first() {
        Some(first) if first >> 4 == 4 => {
            let header_len = usize::from(first & 0xf) * 4;
            let header = packet.get_mut(..header_len).ok_or(Malformed::Length)?;
            let fixed = header.first_chunk_mut::<{ ipv4::HEADER }>();
            let fixed = fixed.ok_or(Malformed::Length)?;
            let total = u16::try_from(len).map_err(|_| Malformed::Length)?;
            fixed[2..4].copy_from_slice(&total.to_be_bytes());
            ipv4::write_checksum(header);
            Ok(())
        }
        Some(first) if first >> 4 == 6 => {
            let fixed = packet.first_chunk_mut::<{ ipv6::HEADER }>();
            let fixed = fixed.ok_or(Malformed::Short)?;
            let payload = u16::try_from(len - ipv6::HEADER).map_err(|_| Malformed::Length)?;
            fixed[4..6].copy_from_slice(&payload.to_be_bytes());
            Ok(())
        }
        Some(_) => Err(Malformed::Version),
        None => Err(Malformed::Short),
    }
}

/// Clears DF of an IPv4 packet. IPv6 has no such bit.
///
/// # Errors
/// [`Malformed`]; nothing is changed.
pub fn allow_fragments(packet: &mut [u8]) -> Result<(), Malformed> {
    let ip = Datagram::parse(packet)?;
    if ip.is_ipv4() {
        let place = ip.place();
        if let Some(flags) = packet.get_mut(6) {
            *flags &= !0x40;
        }
        if let Some(header) = packet.get_mut(..place.at) {
            ipv4::write_checksum(header);
        }
    }
    Ok(())
}
