//! One fragment of either version, read.

use core::net::IpAddr;

use hw_offload::PacketBuf;

use crate::reason::DropReason;
use crate::wire::datagram::finish;
use crate::wire::ecn::Ecn;
use crate::wire::extension::FRAGMENT_HEADER;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6};

/// The longest total length of IPv4, and payload length of IPv6.
const MAX: usize = 65_535;
/// What a first fragment shows at least of what stands behind all headers of IP: ports, or SPI
/// and sequence number (RFC 1858 §4, RFC 7112 §5).
const MIN_UPPER: usize = 8;
const TCP: u8 = 6;

/// A fragment's own words.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Of IPv4; 0 in IPv6.
    pub(super) protocol: u8,
    pub(super) id: u32,
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) ecn: Ecn,
    /// Where the header of the whole ends; in IPv6, where the fragment header begins.
    pub(super) header_len: usize,
    /// Where the header of the whole names what follows it, and what that is.
    pub(super) next_at: usize,
    pub(super) next: u8,
    pub(super) payload_at: usize,
    pub(super) len: usize,
    /// Bytes behind all headers of IP.
    upper_len: usize,
}

impl Part {
    /// Reads a packet; none if it is no fragment and has no fragment header.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, DropReason> {
        if bytes.first().is_some_and(|first| first >> 4 == 6) {
            return Self::read_v6(bytes);
        }
        let ip = Ipv4::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let place = ip.ipsec_at();
        Ok(ip.is_fragment().then(|| Self {
            source: ip.source().into(),
            destination: ip.destination().into(),
            protocol: place.next,
            id: ip.id().into(),
            offset: ip.fragment_offset(),
            more: ip.more_fragments(),
            ecn: Ecn::of(ip.tos()),
            header_len: place.at,
            next_at: place.next_at,
            next: place.next,
            payload_at: place.at,
            len: ip.payload().len(),
            upper_len: ip.payload().len(),
        }))
    }

    fn read_v6(bytes: &[u8]) -> Result<Option<Self>, DropReason> {
        let ip = Ipv6::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let header = ip.fragment().map_err(|_| DropReason::Malformed)?;
        let Some(header) = header else {
            return Ok(None);
        };
        let payload_at = header.place.at + FRAGMENT_HEADER;
        Ok(Some(Self {
            source: ip.source().into(),
            destination: ip.destination().into(),
            protocol: 0,
            id: header.id,
            offset: header.offset,
            more: header.more,
            ecn: Ecn::of(ip.traffic_class()),
            header_len: header.place.at,
            next_at: header.place.next_at,
            next: header.next,
            payload_at,
            len: ip.total_len() - payload_at,
            // A first fragment whose extension headers do not end in it shows nothing.
            upper_len: ip.upper_layer().map_or(0, |upper| upper.payload.len()),
        }))
    }

    /// Whether it is the whole datagram already.
    pub(super) const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Refuses what is no part of a sound datagram: empty, or not a multiple of 8 where more
    /// follow, or reaching beyond the longest datagram; or where the headers of TCP or of any
    /// first fragment are torn apart (RFC 1858, RFC 3128).
    pub(super) const fn check(&self) -> Result<(), DropReason> {
        let fixed = if self.is_v6() { ipv6::HEADER } else { 0 };
        let reach = self.header_len - fixed + self.offset + self.len;
        if self.len == 0 || (self.more && !self.len.is_multiple_of(8)) || reach > MAX {
            return Err(DropReason::Malformed);
        }
        let tcp = self.next == TCP;
        if (self.offset == 0 && self.upper_len < MIN_UPPER) || (tcp && self.offset == MIN_UPPER) {
            return Err(DropReason::FragmentTiny);
        }
        Ok(())
    }

    /// Takes the fragment header out of an atomic fragment.
    pub(super) fn strip<B: PacketBuf>(&self, packet: &mut B) -> Result<(), DropReason> {
        packet.shrink_back(packet.packet().len() - (self.payload_at + self.len));
        let shift = self.payload_at - self.header_len;
        packet.packet_mut().copy_within(..self.header_len, shift);
        packet.shrink_front(shift);
        finish(packet.packet_mut(), self.next_at, self.next).map_err(|_| DropReason::Malformed)
    }

    /// Its bytes of the datagram's payload.
    pub(super) fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet
            .get(self.payload_at..self.payload_at + self.len)
            .unwrap_or(&[])
    }

    /// Makes a first fragment's header that of the whole, but for what [`finish`] does.
    pub(super) fn unmark(&self, header: &mut [u8]) {
        if !self.is_v6()
            && let Some(header) = header.first_chunk_mut::<{ ipv4::HEADER }>()
        {
            header[6] &= 0xc0; // DF stays
            header[7] = 0;
        }
    }

    const fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }
}
