//! Reading what arrives.

use hw_offload::PacketBuf;

use super::Algorithms;
use super::seal::{Spans, spans};
use crate::reason::DropReason;
use crate::wire::esp;

/// The spans of a packet that ends with its ESP packet, which begins at `at`.
pub(crate) fn open_job<B: PacketBuf>(
    packet: &B,
    at: usize,
    algorithms: Algorithms,
) -> Result<Spans, DropReason> {
    let len = packet.packet().len();
    let icv_len = algorithms.mac.icv_len();
    let crypt_len = len
        .checked_sub(at + algorithms.front() + icv_len)
        .filter(|len| *len >= esp::TRAILER && len.is_multiple_of(algorithms.align()))
        .ok_or(DropReason::Malformed)?;
    let start = packet.headroom() + at;
    let crypt = start + algorithms.front();
    let icv = crypt + crypt_len;
    spans(start, crypt, icv, icv + icv_len).ok_or(DropReason::Malformed)
}

/// What a deciphered ESP packet carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// Bytes in front of it, counted from where ESP begins.
    pub(crate) front: usize,
    /// Bytes behind it, to the end of the packet.
    pub(crate) back: usize,
    /// What it is.
    pub(crate) next: u8,
}

/// Reads the trailer of a verified and deciphered packet whose ESP begins at `at`.
pub(crate) fn opened(
    packet: &[u8],
    at: usize,
    algorithms: Algorithms,
) -> Result<Opened, DropReason> {
    let front = algorithms.front();
    let end = packet.len().saturating_sub(algorithms.mac.icv_len());
    let plain = packet.get(at + front..end).ok_or(DropReason::Malformed)?;
    let (len, next) = esp::read_trailer(plain).ok_or(DropReason::BadPadding)?;
    Ok(Opened {
        front,
        back: packet.len() - (at + front + len),
        next,
    })
}
