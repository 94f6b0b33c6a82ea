//! ESP headers and trailers (RFC 4303 §2).
//!
//! ```text
//! +---------------------------------------------------------------+
//! |               Security Parameters Index (SPI)                 |
//! |                        Sequence Number                        |
//! |              IV, payload, padding 1, 2, 3, ...                |
//! |                               |  Pad Length   |  Next Header  |
//! |                 Integrity Check Value (ICV)                   |
//! +---------------------------------------------------------------+
//! ```

use super::Malformed;
use crate::model::Spi;

/// Length of SPI and sequence number.
pub const HEADER: usize = 8;
/// Length of pad length and next header.
pub const TRAILER: usize = 2;

/// SPI and sequence number of a payload of protocol 50.
///
/// # Errors
/// [`Malformed::Short`].
pub fn parse(payload: &[u8]) -> Result<(Spi, u32), Malformed> {
    let (spi, rest) = payload.split_first_chunk::<4>().ok_or(Malformed::Short)?;
    let sequence = rest.first_chunk::<4>().ok_or(Malformed::Short)?;
    Ok((Spi::from_bytes(*spi), u32::from_be_bytes(*sequence)))
}

/// Bytes of padding that bring `len` bytes and the trailer to whole units of `align` bytes.
#[must_use]
pub const fn pad_len(len: usize, align: usize) -> usize {
    let used = (len + TRAILER) % align;
    if used == 0 { 0 } else { align - used }
}

/// Writes padding and trailer into the end of a packet.
pub fn write_trailer(end: &mut [u8], next_header: u8) {
    let pad = end.len().saturating_sub(TRAILER);
    for (byte, number) in end.iter_mut().zip(1_u8..=255).take(pad) {
        *byte = number;
    }
    if let [.., length, next] = end {
        *length = u8::try_from(pad).unwrap_or(u8::MAX);
        *next = next_header;
    }
}

/// Reads the trailer of deciphered bytes: how many bytes the payload has, and the next header.
/// The padding must be 1, 2, 3 and so on.
#[must_use]
pub fn read_trailer(plain: &[u8]) -> Option<(usize, u8)> {
    let [front @ .., pad, next] = plain else {
        return None;
    };
    let len = front.len().checked_sub(usize::from(*pad))?;
    let padding = front.get(len..)?;
    padding
        .iter()
        .zip(1_u8..)
        .all(|(byte, number)| *byte == number)
        .then_some((len, *next))
}
