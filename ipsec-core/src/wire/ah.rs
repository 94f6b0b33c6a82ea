//! Authentication headers (RFC 4302 §2).
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |  Next Header  |  Payload Len  |           Reserved            |
//! |               Security Parameters Index (SPI)                 |
//! |                        Sequence Number                        |
//! |                 Integrity Check Value (ICV)                   |
//! ```

use super::Malformed;
use crate::model::Spi;

/// Length in front of the ICV.
pub const HEADER: usize = 12;

/// What a header says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ah {
    /// What it covers.
    pub next: u8,
    /// Length of the whole header with its ICV in bytes.
    pub len: usize,
    /// SPI.
    pub spi: Spi,
    /// Sequence number.
    pub sequence: u32,
}

/// Reads a payload of protocol 51. The length is that of the header's own field; it lies within
/// the payload.
///
/// # Errors
/// [`Malformed`].
pub fn parse(payload: &[u8]) -> Result<Ah, Malformed> {
    let header = payload.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
    let [next, words, _, _, a, b, c, d, e, f, g, h] = *header;
    let len = (usize::from(words) + 2) * 4;
    if len < HEADER || len > payload.len() {
        return Err(Malformed::Length);
    }
    Ok(Ah {
        next,
        len,
        spi: Spi::from_bytes([a, b, c, d]),
        sequence: u32::from_be_bytes([e, f, g, h]),
    })
}

/// The bytes in front of the ICV; `len` is that of the whole header, a multiple of 4.
#[must_use]
pub fn header(next: u8, len: usize, spi: Spi, sequence: u32) -> [u8; HEADER] {
    let words = u8::try_from((len / 4).saturating_sub(2)).unwrap_or(u8::MAX);
    let [a, b, c, d] = spi.to_bytes();
    let [e, f, g, h] = sequence.to_be_bytes();
    [next, words, 0, 0, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = [&header(4, 24, Spi(0x1000), 7)[..], &[0; 12]].concat();
        assert_eq!(bytes[..4], [4, 4, 0, 0]);
        let ah = Ah {
            next: 4,
            len: 24,
            spi: Spi(0x1000),
            sequence: 7,
        };
        assert_eq!(parse(&bytes), Ok(ah));
        assert_eq!(parse(&bytes[..23]), Err(Malformed::Length));
        assert_eq!(parse(&bytes[..11]), Err(Malformed::Short));
        let mut tiny = bytes;
        tiny[1] = 0;
        assert_eq!(parse(&tiny), Err(Malformed::Length));
    }
}
