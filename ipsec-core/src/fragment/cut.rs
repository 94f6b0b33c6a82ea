//! Cutting a datagram into fragments, in place.

use core::ops::Range;

use hw_offload::PacketBuf;

use crate::wire::extension::{Chain, FRAGMENT, FRAGMENT_HEADER};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6};

/// What is left to be cut of one datagram. The header of every fragment takes the place of bytes
/// that the fragment before has carried away.
#[derive(Debug)]
pub(crate) struct Cut {
    mtu: usize,
    is_v4: bool,
    /// Where the header of the latest fragment stands, and its length.
    header_at: usize,
    header_len: usize,
    /// Where the payload that is left begins, and its length.
    payload_at: usize,
    left: usize,
    /// Where that payload belongs in the whole, in bytes.
    offset: usize,
    /// Whether more fragments follow the whole: it is one itself.
    more: bool,
    /// Whether no fragment was cut yet.
    first: bool,
}

impl Cut {
    /// Prepares a datagram that is longer than `mtu`. None where it must travel whole: IPv4 with
    /// DF (RFC 791 §2.3), IPv6 unless `id` says that this is its source (RFC 8200 §4.5), and an
    /// IPv6 fragment.
    ///
    /// IPv6 gets its fragment header here; that takes 8 bytes of headroom or, with a move of the
    /// payload, of tailroom.
    pub(crate) fn begin<B: PacketBuf>(packet: &mut B, mtu: u16, id: Option<u32>) -> Option<Self> {
        let mtu = usize::from(mtu);
        let bytes = packet.packet();
        if bytes.len() <= mtu {
            return None;
        }
        let whole = Self {
            mtu,
            is_v4: true,
            header_at: 0,
            header_len: 0,
            payload_at: 0,
            left: 0,
            offset: 0,
            more: false,
            first: true,
        };
        let cut = if let Ok(ip) = Ipv4::parse(bytes) {
            let header_len = ip.header().len();
            let cut = Self {
                header_len,
                payload_at: header_len,
                left: ip.payload().len(),
                offset: ip.fragment_offset(),
                more: ip.more_fragments(),
                ..whole
            };
            (ip.total_len() > mtu && !ip.dont_fragment()).then_some(cut)?
        } else {
            let ip = Ipv6::parse(bytes).ok()?;
            let (len, is_fragment) = (ip.total_len(), ip.fragment().ok()?.is_some());
            let id = id.filter(|_| len > mtu && !is_fragment)?;
            let place = Chain::new(bytes).ok()?.fragment_at().ok()?;
            if packet.grow_front(FRAGMENT_HEADER).is_ok() {
                let moved = FRAGMENT_HEADER..FRAGMENT_HEADER + place.at;
                packet.packet_mut().copy_within(moved, 0);
            } else {
                packet.shrink_back(packet.packet().len() - len);
                packet.grow_back(FRAGMENT_HEADER).ok()?;
                let bytes = packet.packet_mut();
                bytes.copy_within(place.at..len, place.at + FRAGMENT_HEADER);
            }
            let bytes = packet.packet_mut();
            *bytes.get_mut(place.next_at)? = FRAGMENT;
            let header = bytes.get_mut(place.at..)?;
            let header = header.first_chunk_mut::<FRAGMENT_HEADER>()?;
            let [a, b, c, d] = id.to_be_bytes();
            *header = [place.next, 0, 0, 0, a, b, c, d];
            Self {
                is_v4: false,
                header_len: place.at + FRAGMENT_HEADER,
                payload_at: place.at + FRAGMENT_HEADER,
                left: len - place.at,
                ..whole
            }
        };
        (cut.left > 0).then_some(cut)
    }

    /// Makes the next fragment; its place in `bytes`, the packet that [`Cut::begin`] prepared.
    pub(crate) fn next(&mut self, bytes: &mut [u8]) -> Option<Range<usize>> {
        if self.left == 0 {
            return None;
        }
        if !self.first {
            let header = bytes.get_mut(self.header_at..self.header_at + self.header_len)?;
            if self.is_v4 {
                self.header_len = ipv4::keep_copied_options(header)?;
            }
            let at = self.payload_at.checked_sub(self.header_len)?;
            bytes.copy_within(self.header_at..self.header_at + self.header_len, at);
            self.header_at = at;
        }
        self.first = false;
        let room = self.mtu.saturating_sub(self.header_len);
        let len = if self.left <= room {
            self.left
        } else {
            self.left.min((room / 8 * 8).max(8))
        };
        let fragment = self.header_at..self.payload_at + len;
        let more = self.more || len < self.left;
        let header = bytes.get_mut(self.header_at..self.payload_at)?;
        let offset = u16::try_from(self.offset).ok()?;
        let total = u16::try_from(fragment.len()).ok()?;
        if self.is_v4 {
            let field = (offset / 8) | (u16::from(more) << 13);
            header.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            header.get_mut(6..8)?.copy_from_slice(&field.to_be_bytes());
            ipv4::write_checksum(header);
        } else {
            let payload = fragment.len().checked_sub(ipv6::HEADER)?;
            let payload = u16::try_from(payload).ok()?.to_be_bytes();
            header.get_mut(4..6)?.copy_from_slice(&payload);
            let field = (offset | u16::from(more)).to_be_bytes();
            let (_, own) = header.split_last_chunk_mut::<FRAGMENT_HEADER>()?;
            own.get_mut(2..4)?.copy_from_slice(&field);
        }
        self.payload_at += len;
        self.offset += len;
        self.left -= len;
        Some(fragment)
    }
}
