//! Whole datagrams out of what arrives and leaves: neither policies nor IPsec work on fragments.

use hw_offload::PacketBuf;

use super::outbound::dropped;
use super::{Cx, DataPlane};
use crate::fragment::Reassembled;
use crate::model::{Direction, Flow};
use crate::net::InterfaceId;
use crate::reason::DropReason;
use crate::verdict::Verdict;
use crate::wire::datagram::Datagram;
use crate::wire::{flow_of, udp};

/// A packet that selectors can be held against.
pub(super) struct Gathered<B> {
    pub(super) packet: B,
    pub(super) flow: Flow,
    /// Whether it came in fragments.
    pub(super) joined: bool,
}

impl<B: PacketBuf> DataPlane<B> {
    /// Reads a packet; fragments wait for the rest of their datagram where its ports decide about
    /// it, or where it is IPsec for this router. The rest of the traffic is not touched.
    pub(super) fn gather(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        direction: Direction,
        packet: B,
    ) -> Result<Gathered<B>, Verdict<B>> {
        let read = Datagram::parse(packet.packet())
            .and_then(|ip| Ok((ip.flow()?, ip.fragment().is_some())));
        let Ok((flow, has_fragment)) = read else {
            return Err(dropped(DropReason::Malformed, packet));
        };
        let ours = || {
            direction == Direction::In
                && matches!(flow.protocol, 50 | 51 | udp::PROTOCOL)
                && self.state.is_local(flow.destination)
        };
        if !has_fragment || !(self.state.is_guarded(on) || ours()) {
            return Ok(Gathered {
                packet,
                flow,
                joined: false,
            });
        }
        match self
            .fragments
            .offer(cx.now, on, direction, packet, cx.buffers)
        {
            Reassembled::Whole(packet) => match flow_of(packet.packet()) {
                Ok(flow) => Ok(Gathered {
                    packet,
                    flow,
                    joined: true,
                }),
                Err(_) => Err(dropped(DropReason::Malformed, packet)),
            },
            Reassembled::Held => Err(Verdict::Held),
            Reassembled::Refused { why, packet } => Err(dropped(why, packet)),
        }
    }
}
