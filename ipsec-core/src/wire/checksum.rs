//! The Internet checksum (RFC 1071, RFC 1624).

use core::net::IpAddr;

/// The ones' complement sum of the parts, each taken as big-endian 16-bit words; every part but
/// the last must have an even length.
#[must_use]
pub fn checksum(parts: &[&[u8]]) -> u16 {
    !fold(parts.iter().map(|part| words(part)).sum())
}

/// The checksum of a message of TCP, UDP or ICMPv6 with the pseudo header of either version
/// (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1).
#[must_use]
pub fn with_pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    message: &[u8],
) -> u16 {
    let address = |address| match address {
        IpAddr::V4(address) => words(&address.octets()),
        IpAddr::V6(address) => words(&address.octets()),
    };
    let len = u64::try_from(message.len()).unwrap_or(u64::MAX);
    let len = (len >> 16 & 0xffff) + (len & 0xffff);
    let pseudo = address(source) + address(destination) + u64::from(protocol) + len;
    !fold(pseudo + words(message))
}

/// The checksum `sum` after the covered bytes `old` became `new`; both start at an even place and
/// have even lengths (RFC 1624 equation 3).
#[must_use]
pub fn adjust(sum: u16, old: &[u8], new: &[u8]) -> u16 {
    let gone = u64::from(!fold(words(old)));
    !fold(u64::from(!sum) + gone + words(new))
}

fn words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let whole: u64 = words
        .iter()
        .map(|word| u64::from(u16::from_be_bytes(*word)))
        .sum();
    match rest {
        [last] => whole + u64::from(u16::from_be_bytes([*last, 0])),
        _ => whole,
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
