//! AH (RFC 4302): how packets are laid out for the engine, and read when it is done.
//!
//! The engine gets the headers as AH covers them from a copy in the headroom, and everything
//! behind AH from the packet itself, which therefore does not move.

use hw_offload::{Mac, PacketBuf, Span};

use crate::model::{Protocol, Spi};
use crate::reason::DropReason;
use crate::tunnel::Shape;
use crate::wire::{ah, mutable};

/// Length of AH with its ICV. With 96 bits it is a multiple of 8, as IPv6 demands.
pub(crate) const fn len(mac: Mac) -> usize {
    ah::HEADER + mac.icv_len()
}

/// Everything that goes into the AH of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub(crate) shape: Shape,
    pub(crate) mac: Mac,
    pub(crate) spi: Spi,
    pub(crate) sequence: u32,
}

/// Where the engine finds what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) auth: [Span; 3],
    pub(crate) icv: Span,
}

impl Sealing {
    /// Checks that the packet can be sealed; nothing changes.
    pub(crate) fn check<B: PacketBuf>(&self, packet: &B) -> Result<(), DropReason> {
        let gap = len(self.mac);
        let covered = self.shape.covered(packet.packet().len());
        if self.shape.at() + gap + covered > usize::from(u16::MAX) {
            return Err(DropReason::TooBig);
        }
        // In front of the packet as it grows stands the copy of its headers.
        if packet.headroom() < self.shape.front(gap) + self.shape.at() + gap {
            return Err(DropReason::NoRoom);
        }
        Ok(())
    }
}

/// Lays a packet out that [`Sealing::check`] allowed; the engine writes the ICV.
pub(crate) fn seal<B: PacketBuf>(packet: &mut B, sealing: &Sealing) -> Result<Spans, DropReason> {
    let Sealing { shape, mac, .. } = sealing;
    let (at, gap) = (shape.at(), len(*mac));
    shape
        .make_gap(packet, gap)
        .map_err(|_| DropReason::NoRoom)?;
    let bytes = packet.packet_mut();
    let header = ah::header(shape.next(), gap, sealing.spi, sealing.sequence);
    let place = bytes.get_mut(at..at + gap).ok_or(DropReason::NoRoom)?;
    let (front, icv) = place
        .split_first_chunk_mut::<{ ah::HEADER }>()
        .ok_or(DropReason::NoRoom)?;
    *front = header;
    icv.fill(0);
    shape
        .finish(bytes, Protocol::Ah.ip_number())
        .map_err(|_| DropReason::Malformed)?;
    spans(packet, at, *mac)
}

/// The spans of a packet whose AH begins at `at`, with the copy made.
pub(crate) fn spans<B: PacketBuf>(
    packet: &mut B,
    at: usize,
    mac: Mac,
) -> Result<Spans, DropReason> {
    let gap = len(mac);
    let (headroom, total) = (packet.headroom(), packet.packet().len());
    let (copied, end) = (at + gap, headroom + total);
    let start = headroom.checked_sub(copied).ok_or(DropReason::NoRoom)?;
    let (front, behind) = packet
        .storage_mut()
        .split_at_mut_checked(headroom)
        .ok_or(DropReason::NoRoom)?;
    let (Some(copy), Some(headers), Some(header)) = (
        front.get_mut(start..),
        behind.get(..at),
        behind.get(at..at + ah::HEADER),
    ) else {
        return Err(DropReason::Malformed);
    };
    let (ip, own) = copy.split_at_mut_checked(at).ok_or(DropReason::Malformed)?;
    mutable::normalise(headers, ip).map_err(|_| DropReason::Uncovered)?;
    let (fixed, icv) = own
        .split_at_mut_checked(ah::HEADER)
        .ok_or(DropReason::Malformed)?;
    fixed.copy_from_slice(header);
    icv.fill(0);
    let behind = headroom + at + gap;
    let spans = (
        Span::new(start, copied),
        end.checked_sub(behind)
            .and_then(|len| Span::new(behind, len)),
        Span::new(headroom + at + ah::HEADER, mac.icv_len()),
    );
    match spans {
        (Some(copy), Some(rest), Some(icv)) => Ok(Spans {
            auth: [copy, rest, Span::EMPTY],
            icv,
        }),
        _ => Err(DropReason::Malformed),
    }
}
