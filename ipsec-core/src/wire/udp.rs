//! UDP headers (RFC 768).

use super::Malformed;

/// Length of the header.
pub const HEADER: usize = 8;

/// A datagram whose length field fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// The data.
    pub payload: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Checks the length field; the checksum is the caller's business.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let payload = bytes.get(HEADER..len).ok_or(Malformed::Length)?;
        Ok(Self {
            source: u16::from_be_bytes([header[0], header[1]]),
            destination: u16::from_be_bytes([header[2], header[3]]),
            payload,
        })
    }
}
