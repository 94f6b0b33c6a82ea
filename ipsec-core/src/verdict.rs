//! What becomes of a packet.

use core::net::IpAddr;

use hw_offload::{PacketBuf, PacketJob};

use crate::net::InterfaceId;
use crate::reason::DropReason;
use crate::wire::ipv4::{HEADER, Ipv4, NewHeader};

/// The answer of every packet verb; it owns the packet.
#[derive(Debug)]
pub enum Verdict<B> {
    /// Send it.
    Transmit(Outgoing<B>),
    /// Hand it to the router's forwarding as if it had arrived by `on`.
    Deliver {
        /// The packet.
        packet: B,
        /// The interface.
        on: InterfaceId,
    },
    /// The packet has become an ICMP error for its sender; route it back.
    Bounce {
        /// Why.
        why: DropReason,
        /// The error message.
        packet: B,
    },
    /// Give it to the packet engine; its completion goes to `complete`.
    Compute(PacketJob<B>),
    /// It waits, owned by the plane; `next_ready` will tell.
    Held,
    /// It goes no further.
    Drop {
        /// Why.
        why: DropReason,
        /// The packet, so that its storage can be used again.
        packet: B,
    },
}

/// How a datagram travels, for callers whose sockets write the outer header themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Outer source address.
    pub source: IpAddr,
    /// Outer destination address.
    pub destination: IpAddr,
    /// Outer protocol.
    pub protocol: u8,
    /// Where the outer payload begins.
    pub payload_at: u16,
    /// Type of service.
    pub tos: u8,
    /// Don't Fragment.
    pub df: bool,
    /// Time to live.
    pub ttl: u8,
}

/// A datagram to send, as one piece or as fragments.
#[derive(Debug)]
pub struct Outgoing<B> {
    /// The complete IP datagram.
    pub packet: B,
    /// The interface it leaves by.
    pub on: InterfaceId,
    /// Its outer header for those who write it themselves; none for packets that IPsec did not
    /// touch.
    pub wire: Option<Wire>,
    /// The longest datagram that the interface carries.
    pub mtu: u16,
    /// What is left to hand out.
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    All,
    /// The header and the payload length of the whole, and how much of it went out.
    Fragments {
        header: NewHeader,
        payload: usize,
        sent: usize,
    },
    Nothing,
}

impl<B: PacketBuf> Outgoing<B> {
    /// A datagram for an interface.
    pub const fn new(packet: B, on: InterfaceId, wire: Option<Wire>, mtu: u16) -> Self {
        Self {
            packet,
            on,
            wire,
            mtu,
            rest: Rest::All,
        }
    }

    /// The datagrams to send, one after the other: the packet itself if it fits, else its
    /// fragments, cut in place. Each must be sent before the next is asked for.
    pub fn next_datagram(&mut self) -> Option<&[u8]> {
        let mtu = usize::from(self.mtu);
        let (whole, payload, sent) = match self.rest {
            Rest::Nothing => return None,
            Rest::Fragments {
                header,
                payload,
                sent,
            } => (header, payload, sent),
            Rest::All => {
                let too_long = self.packet.packet().len() > mtu;
                match Ipv4::parse(self.packet.packet()) {
                    Ok(ip) if too_long && ip.header().len() == HEADER && !ip.dont_fragment() => {
                        let header = NewHeader {
                            tos: ip.tos(),
                            total_len: 0,
                            id: ip.id(),
                            dont_fragment: false,
                            more_fragments: ip.more_fragments(),
                            offset_units: u16::try_from(ip.fragment_offset() / 8).ok()?,
                            ttl: ip.ttl(),
                            protocol: ip.protocol(),
                            source: ip.source(),
                            destination: ip.destination(),
                        };
                        (header, ip.payload().len(), 0)
                    }
                    Ok(_) | Err(_) => {
                        self.rest = Rest::Nothing;
                        return Some(self.packet.packet());
                    }
                }
            }
        };
        let left = payload - sent;
        let len = left.min((mtu.saturating_sub(HEADER) / 8 * 8).max(8));
        let last = len == left;
        let header = NewHeader {
            total_len: u16::try_from(HEADER + len).ok()?,
            more_fragments: whole.more_fragments || !last,
            offset_units: whole.offset_units + u16::try_from(sent / 8).ok()?,
            ..whole
        };
        self.rest = if last {
            Rest::Nothing
        } else {
            Rest::Fragments {
                header: whole,
                payload,
                sent: sent + len,
            }
        };
        // The header takes the place of bytes that the fragment before has carried away.
        let packet = self.packet.packet_mut();
        packet
            .get_mut(sent..sent + HEADER)?
            .copy_from_slice(&header.to_bytes());
        packet.get(sent..sent + HEADER + len)
    }
}
