//! Laying out what leaves.

use hw_offload::{PacketBuf, Span};

use super::Algorithms;
use crate::model::Spi;
use crate::reason::DropReason;
use crate::tunnel::Shape;
use crate::wire::{esp, udp};

/// Everything that goes into the ESP headers of one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing<'a> {
    pub(crate) shape: Shape,
    pub(crate) algorithms: Algorithms,
    pub(crate) spi: Spi,
    pub(crate) sequence: u32,
    /// Fresh and unpredictable, as long as the cipher's.
    pub(crate) iv: &'a [u8],
    /// Ports of the UDP encapsulation, ours and the peer's.
    pub(crate) udp: Option<(u16, u16)>,
    /// What stands between UDP and ESP.
    pub(crate) framing: &'a [u8],
}

/// Where the engine finds what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) iv: Span,
    pub(crate) crypt: Span,
    pub(crate) auth: [Span; 3],
    pub(crate) icv: Span,
}

impl Sealing<'_> {
    const fn encapsulation(&self) -> usize {
        match self.udp {
            Some(_) => udp::HEADER + self.framing.len(),
            None => 0,
        }
    }

    const fn gap(&self) -> usize {
        self.encapsulation() + self.algorithms.front()
    }

    /// Checks that the packet can be sealed; nothing changes.
    pub(crate) fn check<B: PacketBuf>(&self, packet: &B) -> Result<(), DropReason> {
        let len = packet.packet().len();
        let covered = self.shape.covered(len);
        let back = self.algorithms.back(covered);
        if self.shape.at() + self.gap() + covered + back > usize::from(u16::MAX) {
            return Err(DropReason::TooBig);
        }
        if packet.headroom() < self.shape.front(self.gap()) || packet.tailroom() < back {
            return Err(DropReason::NoRoom);
        }
        Ok(())
    }
}

/// Lays a packet out that [`Sealing::check`] allowed: headers, IV, padding and trailer are in
/// place, the engine enciphers and writes the ICV.
pub(crate) fn seal<B: PacketBuf>(
    packet: &mut B,
    sealing: &Sealing<'_>,
) -> Result<Spans, DropReason> {
    let Sealing {
        shape, algorithms, ..
    } = sealing;
    let covered = shape.covered(packet.packet().len());
    let icv_len = algorithms.mac.icv_len();
    let back = algorithms.back(covered);
    let no_room = |_| DropReason::NoRoom;
    shape.make_gap(packet, sealing.gap()).map_err(no_room)?;
    packet.grow_back(back).map_err(no_room)?;
    let at = shape.at();
    let len = packet.packet().len();
    let bytes = packet.packet_mut();
    write(bytes.get_mut(at..).unwrap_or(&mut []), sealing, covered).ok_or(DropReason::NoRoom)?;
    let protocol = match sealing.udp {
        Some(_) => udp::PROTOCOL,
        None => crate::model::Protocol::Esp.ip_number(),
    };
    shape
        .finish(bytes, protocol)
        .map_err(|_| DropReason::Malformed)?;
    let start = packet.headroom() + at + sealing.encapsulation();
    let crypt = start + algorithms.front();
    let end = packet.headroom() + len;
    spans(start, crypt, end - icv_len, end).ok_or(DropReason::NoRoom)
}

/// Writes everything from the gap to the trailer.
fn write(bytes: &mut [u8], sealing: &Sealing<'_>, covered: usize) -> Option<()> {
    let total = bytes.len();
    let mut rest = bytes;
    if let Some((local, peer)) = sealing.udp {
        let (header, behind) = rest.split_first_chunk_mut::<{ udp::HEADER }>()?;
        *header = udp::header(local, peer, u16::try_from(total).ok()?);
        let (framing, behind) = behind.split_at_mut_checked(sealing.framing.len())?;
        framing.copy_from_slice(sealing.framing);
        rest = behind;
    }
    let (header, rest) = rest.split_first_chunk_mut::<{ esp::HEADER }>()?;
    let [a, b, c, d] = sealing.spi.to_bytes();
    let [e, f, g, h] = sealing.sequence.to_be_bytes();
    *header = [a, b, c, d, e, f, g, h];
    let (iv, rest) = rest.split_at_mut_checked(sealing.iv.len())?;
    iv.copy_from_slice(sealing.iv);
    let end = rest
        .len()
        .checked_sub(sealing.algorithms.mac.icv_len())
        .filter(|end| covered <= *end)?;
    esp::write_trailer(rest.get_mut(covered..end)?, sealing.shape.next());
    Some(())
}

/// The spans of an ESP packet whose header begins at `start`, its ciphertext at `crypt`, its ICV
/// at `icv`, in the storage.
pub(super) fn spans(start: usize, crypt: usize, icv: usize, end: usize) -> Option<Spans> {
    let iv = start + esp::HEADER;
    let span = |from: usize, to: usize| Span::new(from, to.checked_sub(from)?);
    Some(Spans {
        iv: span(iv, crypt)?,
        crypt: span(crypt, icv)?,
        auth: [span(start, icv)?, Span::EMPTY, Span::EMPTY],
        icv: span(icv, end)?,
    })
}
