//! UDP headers (RFC 768).

use super::Malformed;
use super::checksum::with_pseudo_header;
use super::datagram::Datagram;

/// Length of the header.
pub const HEADER: usize = 8;
/// Its protocol number.
pub const PROTOCOL: u8 = 17;

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

/// A header without a checksum, which IPv4 allows (RFC 3948 §2.1 asks for it); `len` counts header
/// and data.
#[must_use]
pub const fn header(source: u16, destination: u16, len: u16) -> [u8; HEADER] {
    let [a, b] = source.to_be_bytes();
    let [c, d] = destination.to_be_bytes();
    let [e, f] = len.to_be_bytes();
    [a, b, c, d, e, f, 0, 0]
}

/// Computes the checksum of the UDP message at offset `at` of a whole datagram, in place. For
/// IPv6, which demands it, when the data are final.
///
/// # Errors
/// [`Malformed`]; nothing is changed.
pub fn write_checksum(packet: &mut [u8], at: usize) -> Result<(), Malformed> {
    let ip = Datagram::parse(packet)?;
    let (source, destination, end) = (ip.source(), ip.destination(), ip.total_len());
    let message = packet.get_mut(at..end).ok_or(Malformed::Length)?;
    Udp::parse(message)?;
    set_checksum(message, 0);
    let sum = with_pseudo_header(source, destination, PROTOCOL, message);
    // Zero would mean that there is none.
    set_checksum(message, if sum == 0 { 0xffff } else { sum });
    Ok(())
}

fn set_checksum(message: &mut [u8], sum: u16) {
    if let Some(field) = message.get_mut(6..8) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}
