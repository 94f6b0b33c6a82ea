//! IPv6 headers and the walk over extension headers (RFC 8200).

use core::net::Ipv6Addr;

use super::Malformed;

/// Length of the fixed header.
pub const HEADER: usize = 40;
/// The most extension headers that are followed.
const MAX_EXTENSIONS: usize = 8;

/// A datagram whose payload length is right.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    fixed: &'a [u8; HEADER],
    payload: &'a [u8],
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

impl<'a> Ipv6<'a> {
    /// Checks version and payload length.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(Malformed::Short)?;
        if fixed[0] >> 4 != 6 {
            return Err(Malformed::Version);
        }
        let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let payload = rest.get(..len).ok_or(Malformed::Length)?;
        Ok(Self { fixed, payload })
    }

    /// Source address.
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[8..24]);
        octets.into()
    }

    /// Destination address.
    #[must_use]
    pub fn destination(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[24..40]);
        octets.into()
    }

    /// Hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.fixed[7]
    }

    /// Walks hop-by-hop, routing, fragment and destination options headers.
    ///
    /// # Errors
    /// [`Malformed`] when a header leaves the packet or there are too many.
    pub fn upper_layer(&self) -> Result<UpperLayer<'a>, Malformed> {
        let (mut protocol, mut payload, mut first_fragment) = (self.fixed[6], self.payload, true);
        for _ in 0..MAX_EXTENSIONS {
            let len = match (protocol, payload) {
                (0 | 43 | 60, [_, units, ..]) => usize::from(*units) * 8 + 8,
                (44, [_, _, high, low, ..]) => {
                    first_fragment &= u16::from_be_bytes([*high, *low]) & 0xfff8 == 0;
                    8
                }
                (0 | 43 | 44 | 60, _) => return Err(Malformed::Short),
                _ => {
                    return Ok(UpperLayer {
                        protocol,
                        payload,
                        first_fragment,
                    });
                }
            };
            let next = payload.first().copied().ok_or(Malformed::Short)?;
            payload = payload.get(len..).ok_or(Malformed::Length)?;
            protocol = next;
            if !first_fragment {
                return Ok(UpperLayer {
                    protocol,
                    payload,
                    first_fragment,
                });
            }
        }
        Err(Malformed::Chain)
    }
}
