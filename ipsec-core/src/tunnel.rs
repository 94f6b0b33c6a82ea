//! What IPsec headers stand behind: the outer header of a tunnel, or a packet's own headers.

use core::net::IpAddr;

use hw_offload::{NoRoom, PacketBuf};

use crate::wire::datagram::{self, Datagram};
use crate::wire::extension::Place;
use crate::wire::{Malformed, ipv4, ipv6};

/// Time to live and hop limit of an outer header.
const TTL: u8 = 64;
/// IP in IP: the next header of a tunnelled IPv4 packet.
pub(crate) const IPV4_IN: u8 = 4;
/// The next header of a tunnelled IPv6 packet.
pub(crate) const IPV6_IN: u8 = 41;

/// The outer header of a tunnel (RFC 4301 §5.1.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Type of service or traffic class, the inner one with its ECN field (RFC 6040 §4.1).
    pub(crate) tos: u8,
    /// Identification; IPv4.
    pub(crate) id: u16,
    /// Don't Fragment; IPv4.
    pub(crate) dont_fragment: bool,
    /// What the tunnel carries.
    pub(crate) inner: u8,
}

/// Where in a packet an IPsec header is put.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// In front of the whole packet, behind a new header.
    Tunnel(Outer),
    /// Behind the packet's own headers.
    Transport(Place),
}

/// Length of the header of an outer datagram.
pub(crate) const fn outer_len(address: IpAddr) -> usize {
    if address.is_ipv4() {
        ipv4::HEADER
    } else {
        ipv6::HEADER
    }
}

impl Shape {
    /// Where the IPsec header comes to stand.
    pub(crate) const fn at(&self) -> usize {
        match self {
            Self::Tunnel(outer) => outer_len(outer.source),
            Self::Transport(place) => place.at,
        }
    }

    /// What stands behind the IPsec header.
    pub(crate) const fn next(&self) -> u8 {
        match self {
            Self::Tunnel(outer) => outer.inner,
            Self::Transport(place) => place.next,
        }
    }

    /// Bytes by which the packet grows at its front for a gap.
    pub(crate) const fn front(&self, gap: usize) -> usize {
        match self {
            Self::Tunnel(outer) => outer_len(outer.source) + gap,
            Self::Transport(_) => gap,
        }
    }

    /// How many bytes of a packet come to stand behind the IPsec header.
    pub(crate) const fn covered(&self, len: usize) -> usize {
        match self {
            Self::Tunnel(_) => len,
            Self::Transport(place) => len.saturating_sub(place.at),
        }
    }

    /// Makes room for an IPsec header of `gap` bytes at [`Shape::at`].
    pub(crate) fn make_gap<B: PacketBuf>(&self, packet: &mut B, gap: usize) -> Result<(), NoRoom> {
        packet.grow_front(self.front(gap))?;
        if let Self::Transport(place) = self {
            packet.packet_mut().copy_within(gap..gap + place.at, 0);
        }
        Ok(())
    }

    /// Writes the headers in front once the packet has its length.
    pub(crate) fn finish(&self, packet: &mut [u8], protocol: u8) -> Result<(), Malformed> {
        match self {
            Self::Tunnel(outer) => outer.write(packet, protocol),
            Self::Transport(place) => datagram::finish(packet, place.next_at, protocol),
        }
    }
}

impl Outer {
    fn write(&self, packet: &mut [u8], protocol: u8) -> Result<(), Malformed> {
        let len = packet.len();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = ipv4::NewHeader {
                    tos: self.tos,
                    total_len: u16::try_from(len).map_err(|_| Malformed::Length)?,
                    id: self.id,
                    dont_fragment: self.dont_fragment,
                    more_fragments: false,
                    offset_units: 0,
                    ttl: TTL,
                    protocol,
                    source,
                    destination,
                };
                *packet.first_chunk_mut().ok_or(Malformed::Short)? = header.to_bytes();
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let payload = len.checked_sub(ipv6::HEADER).ok_or(Malformed::Short)?;
                let header = ipv6::NewHeader {
                    traffic_class: self.tos,
                    flow_label: 0,
                    payload_len: u16::try_from(payload).map_err(|_| Malformed::Length)?,
                    next: protocol,
                    hop_limit: TTL,
                    source,
                    destination,
                };
                *packet.first_chunk_mut().ok_or(Malformed::Short)? = header.to_bytes();
            }
            _ => return Err(Malformed::Version),
        }
        Ok(())
    }
}

/// The next header of a tunnel that carries this datagram.
pub(crate) const fn inner_number(inner: &Datagram<'_>) -> u8 {
    if inner.is_ipv4() { IPV4_IN } else { IPV6_IN }
}

/// Takes an IPsec header of `gap` bytes out from behind a packet's own headers, whose `place`
/// was where that header stood, and names what follows now.
pub(crate) fn close_gap<B: PacketBuf>(
    packet: &mut B,
    place: Place,
    gap: usize,
    next: u8,
) -> Result<(), Malformed> {
    let bytes = packet.packet_mut();
    if bytes.len() < place.at + gap {
        return Err(Malformed::Length);
    }
    bytes.copy_within(..place.at, gap);
    packet.shrink_front(gap);
    datagram::finish(packet.packet_mut(), place.next_at, next)
}
