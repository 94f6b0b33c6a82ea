//! Telling what is watched. Every function returns at once where nothing is.

use alloc::boxed::Box;

use super::{PlaneEvent, PlaneState};
use crate::debug::{DebugEvent, DebugMask, Places, Watched};
use crate::model::{Direction, Flow, Selector};
use crate::sad::{BundleId, SaId};
use crate::spd::PolicyId;

/// How many watched events wait for the owner: further ones are not told, as whoever floods the
/// router would fill its memory through the eyes of the one who watches.
const WAITING: usize = 256;

impl PlaneState {
    fn tell(&mut self, event: DebugEvent) {
        if self.watched < WAITING {
            self.watched += 1;
            self.events.push_back(PlaneEvent::Debug(event));
        }
    }

    /// What is watched of a policy.
    #[must_use]
    pub fn debug(&self, policy: PolicyId) -> DebugMask {
        self.policy(policy).map_or(DebugMask::NONE, |p| p.debug)
    }

    /// Changes what is watched of a policy.
    pub fn set_debug(&mut self, policy: PolicyId, mask: DebugMask) {
        if let Some(policy) = self.policies.get_mut(policy.0) {
            policy.debug = mask;
        }
        let (mut filters, mut packets) = (false, false);
        for (_, policy) in self.policies() {
            filters |= policy.debug.filters();
            packets |= policy.debug.packets();
        }
        (self.watching_filters, self.watching_packets) = (filters, packets);
    }

    /// The selectors of a policy, or of one of its SAs, were compared with a packet, up to the
    /// first that differs.
    pub(super) fn watch_filter(
        &mut self,
        policy: PolicyId,
        sa: Option<SaId>,
        direction: Direction,
        flow: &Flow,
    ) {
        if !self.watching_filters {
            return;
        }
        let mask = self.debug(policy);
        let selector = match sa {
            Some(sa) => self
                .sa(sa)
                .and_then(|sa| self.bundle(sa.bundle))
                .map(|bundle| &bundle.selector),
            None => self.policy(policy).map(|policy| &policy.selector),
        };
        let Some(selector) = selector.filter(|_| mask.filters()).cloned() else {
            return;
        };
        let sa = sa.map(|sa| sa.0.slot);
        for (watched, passed) in comparisons(&selector, direction, flow) {
            if mask.watches(direction, watched, passed) {
                let event = DebugEvent::Compared {
                    policy,
                    sa,
                    watched,
                    passed,
                };
                self.tell(event);
            }
            if !passed {
                break;
            }
        }
    }

    /// An SA begins to work on a packet, or is done with it.
    pub(super) fn watch_packet(
        &mut self,
        bundle: BundleId,
        id: SaId,
        direction: Direction,
        post: bool,
        packet: &[u8],
    ) {
        if !self.watching_packets {
            return;
        }
        let Some(record) = self.bundle(bundle) else {
            return;
        };
        let policy = record.policy;
        let mask = self.debug(policy);
        // Outbound the innermost SA comes first, inbound the outermost.
        let (first, last) = (record.sas.first().copied(), record.sas.last().copied());
        let edge = if post == (direction == Direction::Out) {
            last
        } else {
            first
        };
        let place = if edge == Some(id) {
            Places::IPSEC
        } else {
            Places::PROTOCOL
        };
        let parts = mask.shows(direction, place);
        if parts.is_empty() {
            return;
        }
        let event = DebugEvent::Processed {
            policy,
            sa: id.0.slot,
            direction,
            post,
            parts,
            icv: self
                .sa(id)
                .map_or(0, |sa| u8::try_from(sa.mac.icv_len()).unwrap_or(0)),
            packet: Box::from(packet),
        };
        self.tell(event);
    }
}

/// What a selector compares, in its order; what is ANY is not compared.
fn comparisons(
    selector: &Selector,
    direction: Direction,
    flow: &Flow,
) -> impl Iterator<Item = (Watched, bool)> {
    let (local, remote) = match direction {
        Direction::Out => (flow.source, flow.destination),
        Direction::In => (flow.destination, flow.source),
    };
    let ports = flow.ports.map(|(source, destination)| match direction {
        Direction::Out => (source, destination),
        Direction::In => (destination, source),
    });
    let (own, theirs) = (selector.local, selector.remote);
    let address = |set: bool, watched, passed| set.then_some((watched, passed));
    let port = |own: Option<u16>, packet: Option<u16>| own.map(|own| (own, packet));
    [
        address(
            own.bounds().is_some(),
            Watched::LocalAddress { own, packet: local },
            own.matches(local),
        ),
        address(
            theirs.bounds().is_some(),
            Watched::RemoteAddress {
                own: theirs,
                packet: remote,
            },
            theirs.matches(remote),
        ),
        port(selector.local_port, ports.map(|ports| ports.0))
            .map(|(own, packet)| (Watched::LocalPort { own, packet }, packet == Some(own))),
        port(selector.remote_port, ports.map(|ports| ports.1))
            .map(|(own, packet)| (Watched::RemotePort { own, packet }, packet == Some(own))),
        selector.protocol.map(|own| {
            let packet = flow.protocol;
            (Watched::Protocol { own, packet }, packet == own)
        }),
    ]
    .into_iter()
    .flatten()
}
