//! What becomes of a packet.

use core::net::IpAddr;

use hw_offload::{PacketBuf, PacketJob};

use crate::fragment::Cut;
use crate::net::InterfaceId;
use crate::reason::DropReason;

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
    /// The identification of IPv6 fragments, for a datagram whose source this router is; none for
    /// one that it forwards, which is then never cut. IPv4 has its own in the header.
    pub identification: Option<u32>,
    /// What is left to hand out.
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    All,
    Fragments(Cut),
    Nothing,
}

impl<B: PacketBuf> Outgoing<B> {
    /// A datagram for an interface, of IPv6 not to be cut.
    pub const fn new(packet: B, on: InterfaceId, wire: Option<Wire>, mtu: u16) -> Self {
        Self {
            packet,
            on,
            wire,
            mtu,
            identification: None,
            rest: Rest::All,
        }
    }

    /// The datagrams to send, one after the other: the packet itself if it fits or must not be
    /// cut, else its fragments, cut in place. Each must be sent before the next is asked for.
    pub fn next_datagram(&mut self) -> Option<&[u8]> {
        if let Rest::All = self.rest {
            self.rest = match Cut::begin(&mut self.packet, self.mtu, self.identification) {
                Some(cut) => Rest::Fragments(cut),
                None => {
                    self.rest = Rest::Nothing;
                    return Some(self.packet.packet());
                }
            };
        }
        let Rest::Fragments(cut) = &mut self.rest else {
            return None;
        };
        let fragment = cut.next(self.packet.packet_mut())?;
        self.packet.packet().get(fragment)
    }
}
