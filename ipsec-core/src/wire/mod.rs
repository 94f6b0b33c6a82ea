//! Checked views of the headers that the data plane reads and writes.

pub mod ah;
pub mod checksum;
pub mod datagram;
pub mod ecn;
pub mod esp;
pub mod extension;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod mutable;
pub mod repair;
pub mod udp;
pub mod udp_encap;

use crate::model::Flow;

/// Why bytes are not the packet they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Neither version 4 nor version 6.
    #[error("neither IPv4 nor IPv6")]
    Version,
    /// Shorter than its header.
    #[error("shorter than its header")]
    Short,
    /// A length field disagrees with the bytes there are.
    #[error("a length field disagrees with the packet")]
    Length,
    /// The header checksum is wrong.
    #[error("wrong header checksum")]
    Checksum,
    /// Extension headers do not end.
    #[error("too many extension headers")]
    Chain,
    /// An option or extension header that AH cannot cover.
    #[error("an option or extension header that AH cannot cover")]
    Uncovered,
}

/// The fields of a complete IP datagram that selectors compare.
///
/// # Errors
/// [`Malformed`] when the headers do not fit the bytes.
pub fn flow_of(packet: &[u8]) -> Result<Flow, Malformed> {
    datagram::Datagram::parse(packet)?.flow()
}
