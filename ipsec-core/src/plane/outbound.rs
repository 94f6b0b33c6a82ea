//! Packets that leave.

use alloc::vec::Vec;

use hw_offload::{EntropyFault, Op, PacketBuf, PacketJob, Span, Ticket};

use super::count::Phase;
use super::gather::Gathered;
use super::hold::{Fate, Waiting};
use super::ways::Came;
use super::{Cx, DataPlane, InFlight, PlaneEvent, PlaneState, Way};
use crate::counters::Happened;
use crate::model::{Action, DfBit, Direction, Flow, KeyManagement, Mode, PeerAddress, Protocol};
use crate::net::InterfaceId;
use crate::path::random_identification;
use crate::reason::DropReason;
use crate::sad::{BundleId, SaId};
use crate::spd::{Found, PolicyId};
use crate::time::Instant;
use crate::tunnel::{Outer, Shape, inner_number};
use crate::verdict::{Outgoing, Verdict, Wire};
use crate::wire::datagram::{Datagram, allow_fragments};
use crate::wire::{flow_of, udp};
use crate::{ah, esp};

/// Sequence numbers that are left when an SA with anti-replay is renewed.
const SEQUENCE_RESERVE: u32 = 1 << 20;
/// The initialisation vector of the longest block.
pub(super) const MAX_IV: usize = 16;

pub(super) const fn dropped<B>(why: DropReason, packet: B) -> Verdict<B> {
    Verdict::Drop { why, packet }
}

impl<B: PacketBuf> DataPlane<B> {
    /// A packet wants to leave by an interface.
    pub fn outbound(&mut self, cx: &mut Cx<'_, B>, on: InterfaceId, packet: B) -> Verdict<B> {
        let Gathered {
            packet,
            flow,
            joined,
        } = match self.gather(cx, on, Direction::Out, packet) {
            Ok(gathered) => gathered,
            Err(verdict) => return verdict,
        };
        let policy = match self.state.search(on, Direction::Out, &flow) {
            Found::Untouched => return self.state.transmit(cx, on, joined, packet),
            Found::Nothing => {
                self.state.counters.raise(Happened::OutNoPolicyFound);
                return dropped(DropReason::NoPolicy, packet);
            }
            Found::Policy(policy) => policy,
        };
        match self.state.action(policy) {
            Action::Permit => {
                self.state.raise(policy, Happened::OutActionPermit);
                self.state.transmit(cx, on, joined, packet)
            }
            Action::Deny => {
                self.state.raise(policy, Happened::OutActionDeny);
                dropped(DropReason::Denied, packet)
            }
            Action::Ipsec => match self.state.bundle_for(cx.now, policy, &flow) {
                Some(bundle) => self.state.seal(cx, on, bundle, packet),
                None => self.wait(on, policy, packet),
            },
        }
    }

    /// The interface of the packet that [`DataPlane::next_ready`] would give.
    #[must_use]
    pub fn next_ready_on(&self) -> Option<InterfaceId> {
        self.hold.next_on()
    }

    /// The next packet that waited and need not wait any longer, in the order of arrival.
    pub fn next_ready(&mut self, cx: &mut Cx<'_, B>) -> Option<Verdict<B>> {
        let (id, fate, Waiting { on, packet }) = self.hold.pop()?;
        let Some(policy) = self.state.policies.get_mut(id.0) else {
            return Some(dropped(DropReason::PolicyChanged, packet));
        };
        policy.queued = policy.queued.saturating_sub(1);
        let why = match fate {
            Fate::Discard(why) => why,
            Fate::Keep | Fate::Release => {
                let flow = flow_of(packet.packet()).ok();
                let bundle = flow.and_then(|flow| self.state.bundle_for(cx.now, id, &flow));
                if let Some(bundle) = bundle {
                    return Some(self.state.seal(cx, on, bundle, packet));
                }
                DropReason::NoBundle
            }
        };
        self.state.raise(id, Happened::OutNoBundleFail);
        Some(dropped(why, packet))
    }

    /// Lets a packet wait for a bundle and asks for one.
    fn wait(&mut self, on: InterfaceId, id: PolicyId, packet: B) -> Verdict<B> {
        self.state.raise(id, Happened::OutNoBundle);
        let limit = self.state.limits.held_per_policy;
        let Some(policy) = self.state.policies.get(id.0) else {
            return dropped(DropReason::PolicyChanged, packet);
        };
        let asks = match (policy.key_management, &policy.config.peer) {
            (Some(KeyManagement::Isakmp), Some(PeerAddress::Address(_) | PeerAddress::Host(_))) => {
                true
            }
            // Whoever it is begins; keys that were typed in are there or not.
            (Some(KeyManagement::Isakmp | KeyManagement::Manual) | None, _) => false,
        };
        let why = if !asks && !policy.is_busy() {
            Some(DropReason::NoBundle)
        } else if policy.queued >= limit {
            Some(DropReason::QueueFull)
        } else {
            None
        };
        let pushed = match why {
            Some(why) => Err((why, packet)),
            None => self
                .hold
                .push(id, Waiting { on, packet })
                .map_err(|packet| (DropReason::QueueFull, packet)),
        };
        if let Err((why, packet)) = pushed {
            self.state.raise(id, Happened::OutNoBundleFail);
            return dropped(why, packet);
        }
        if let Some(policy) = self.state.policies.get_mut(id.0) {
            policy.queued = policy.queued.saturating_add(1);
        }
        self.state.ask_for_bundle(id);
        Verdict::Held
    }
}

impl PlaneState {
    pub(super) fn search(&mut self, on: InterfaceId, direction: Direction, flow: &Flow) -> Found {
        if self.watching_filters {
            let compared = self.spd.explain(on, direction, flow);
            let compared: Vec<PolicyId> = compared.map(|(policy, _)| policy).collect();
            for policy in compared {
                self.watch_filter(policy, None, direction, flow);
            }
        }
        let found = self.spd.search(on, direction, flow, &mut self.counters);
        if found != Found::Untouched {
            self.counters.raise(match direction {
                Direction::Out => Happened::OutProcessPkt,
                Direction::In => Happened::InProcessPkt,
            });
        }
        found
    }

    pub(super) fn action(&self, id: PolicyId) -> Action {
        self.policy(id).map_or(Action::Deny, |policy| policy.action)
    }

    /// Sends a packet as it is. What came in fragments may leave in fragments.
    fn transmit<B: PacketBuf>(
        &self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        joined: bool,
        mut packet: B,
    ) -> Verdict<B> {
        let mtu = self.mtu(on);
        if !joined || packet.packet().len() <= usize::from(mtu) {
            return Verdict::Transmit(Outgoing::new(packet, on, None, mtu));
        }
        if allow_fragments(packet.packet_mut()).is_err() {
            return dropped(DropReason::Malformed, packet);
        }
        let identification = random_identification(cx.entropy);
        cut_by_us(Outgoing::new(packet, on, None, mtu), identification)
    }

    /// Asks for a bundle of a policy that has none, unless one is under way.
    pub(super) fn ask_for_bundle(&mut self, id: PolicyId) {
        let Some(policy) = self.policies.get_mut(id.0) else {
            return;
        };
        if policy.is_busy() || policy.key_management != Some(KeyManagement::Isakmp) {
            return;
        }
        policy.acquiring = true;
        // A host's address is looked up every time: it may have changed.
        self.events.push_back(match &policy.config.peer {
            Some(PeerAddress::Host(name)) => PlaneEvent::Resolve {
                policy: id,
                name: name.clone(),
            },
            _ => PlaneEvent::Acquire {
                policy: id,
                ends: policy.local.zip(policy.peer),
                replaces: None,
            },
        });
    }

    /// The bundle of a policy that carries a packet.
    pub(super) fn bundle_for(
        &mut self,
        now: Instant,
        policy: PolicyId,
        flow: &Flow,
    ) -> Option<BundleId> {
        if let Some(came) = self.replies.find(flow) {
            let answering = self.bundle_answering(now, policy, flow, came);
            if answering.is_some() {
                return answering;
            }
        }
        let owner = self.policies.get(policy.0)?;
        // Most policies have one bundle, for all that they select.
        if let Some(id) = owner.ways.newest_of_equals()
            && let Some(bundle) = self.bundle(id)
            && bundle.covers_policy
            && bundle.is_alive(now)
        {
            return Some(id);
        }
        let mut dead = false;
        let found = owner.ways.towards(flow.destination).find(|id| {
            let carries = self.carries(*id, policy, flow);
            let alive = self.bundle(*id).is_some_and(|bundle| bundle.is_alive(now));
            dead |= carries && !alive;
            carries && alive
        });
        if found.is_none() && dead {
            self.raise(policy, Happened::OutBundleStateBad);
        }
        found
    }

    fn carries(&self, id: BundleId, policy: PolicyId, flow: &Flow) -> bool {
        self.bundle(id).is_some_and(|bundle| {
            bundle.policy == policy && bundle.selector.matches(flow, Direction::Out).is_ok()
        })
    }

    /// The bundle for the reply to a flow: that on which it came in, or its newest successor by the
    /// same path, which is looked for once. Without any the flow is nobody's.
    fn bundle_answering(
        &mut self,
        now: Instant,
        policy: PolicyId,
        flow: &Flow,
        came: Came,
    ) -> Option<BundleId> {
        let usable = |id: BundleId| {
            let carries = self.carries(id, policy, flow);
            let alive = self.bundle(id).filter(|bundle| bundle.is_alive(now));
            alive.filter(|_| carries)
        };
        if usable(came.bundle).is_some_and(|bundle| bundle.retire_at.is_none()) {
            return Some(came.bundle);
        }
        let on_path = |id: &BundleId| {
            let bundle = usable(*id).filter(|bundle| bundle.path == came.path);
            bundle.map(|bundle| (bundle.serial, *id))
        };
        let owner = self.policies.get(policy.0)?;
        let newest = owner.ways.all().filter_map(|id| on_path(&id)).max();
        let bundle = newest.map(|(_, id)| id);
        let came = bundle.map(|bundle| Came { bundle, ..came });
        self.replies.enter(flow, came);
        bundle
    }

    /// Begins to seal a packet with the innermost SA of a bundle.
    pub(super) fn seal<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        id: BundleId,
        mut packet: B,
    ) -> Verdict<B> {
        let Ok(inner) = Datagram::reread(packet.packet()) else {
            return dropped(DropReason::Malformed, packet);
        };
        let (len, place) = (inner.total_len(), inner.place());
        let Some(path) = self.path_of(id) else {
            return dropped(DropReason::SaGone, packet);
        };
        let mtu = usize::from(path.mtu(cx.now).unwrap_or(u16::MAX).min(self.mtu(on)));
        let (total, tunnels) = self.grown(id, len, place.at);
        let mut dont_fragment = match self.bundle(id).and_then(|b| self.policy(b.policy)) {
            Some(policy) if tunnels => match policy.df {
                DfBit::Set => true,
                DfBit::Copy => !inner.may_fragment(),
                DfBit::Clear => false,
            },
            // Transport mode keeps the packet's own DF; the source of IPv6 may cut, and in
            // transport mode that is this router.
            Some(_) => inner.is_ipv4() && !inner.may_fragment(),
            None => return dropped(DropReason::SaGone, packet),
        };
        if total > mtu && dont_fragment {
            let floor = if inner.is_ipv4() { 576 } else { 1280 };
            let fits = self.largest(id, place.at, mtu);
            if fits < floor && len <= floor {
                // The sender need not make its packets smaller than that.
                dont_fragment = false;
            } else {
                let source = inner.source();
                let mtu = u16::try_from(fits.max(floor)).unwrap_or(u16::MAX);
                return self.bounce(source, mtu, packet);
            }
        }
        packet.shrink_back(packet.packet().len() - len);
        let short = self
            .bundle(id)
            .is_some_and(|bundle| bundle.sas.iter().any(|sa| self.has_short_block(*sa)));
        let bytes = u64::try_from(len).unwrap_or(u64::MAX);
        if !self.spend(id, Direction::Out, bytes, short) {
            self.expire_by_bytes(id, Direction::Out);
            return dropped(DropReason::Expired, packet);
        }
        let begin = Begin {
            stage: 0,
            tunnelled: false,
            dont_fragment,
        };
        self.seal_stage(cx, on, id, begin, packet)
    }

    fn has_short_block(&self, sa: SaId) -> bool {
        self.sa(sa).is_some_and(|sa| sa.cipher.has_short_block())
    }

    /// Lays a packet out for one SA, up to what the engine computes.
    pub(super) fn seal_stage<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        id: BundleId,
        begin: Begin,
        mut packet: B,
    ) -> Verdict<B> {
        let Begin {
            stage, tunnelled, ..
        } = begin;
        let working = self.bundle(id).and_then(|b| b.sas.get(usize::from(stage)));
        if let Some(sa) = working.copied() {
            self.watch_packet(id, sa, Direction::Out, false, packet.packet());
        }
        let Some((sa_id, path)) = self
            .bundle(id)
            .and_then(|b| Some((*b.sas.get(usize::from(stage))?, self.path(b.path)?)))
        else {
            return dropped(DropReason::SaGone, packet);
        };
        let Some(sa) = self.sa(sa_id) else {
            return dropped(DropReason::SaGone, packet);
        };
        let Some(channel) = sa.out_channel else {
            self.raise_sa(sa_id, Happened::OutBundleStateBad);
            return dropped(DropReason::NoBundle, packet);
        };
        let sequence = sa.sequence.wrapping_add(1);
        let counted = sa.replay.size().is_some();
        if counted && sequence == 0 {
            self.renew(id, Direction::Out);
            self.raise_sa(sa_id, Happened::OutProcessFailImm);
            return dropped(DropReason::SequenceExhausted, packet);
        }
        let Ok(current) = Datagram::reread(packet.packet()) else {
            return dropped(DropReason::Malformed, packet);
        };
        let shape = if sa.mode == Mode::Tunnel && !tunnelled {
            Shape::Tunnel(Outer {
                source: path.local,
                destination: path.peer,
                tos: current.tos(),
                id: self.ip_id.wrapping_add(1),
                dont_fragment: begin.dont_fragment,
                inner: inner_number(&current),
            })
        } else if current.is_fragment() {
            return dropped(DropReason::Fragment, packet);
        } else {
            Shape::Transport(current.place())
        };
        let laid_out = match sa.protocol {
            Protocol::Ah => {
                let sealing = ah::Sealing {
                    shape,
                    mac: sa.mac,
                    spi: sa.out_spi,
                    sequence,
                };
                sealing
                    .check(&packet)
                    .and_then(|()| ah::seal(&mut packet, &sealing))
                    .map(|spans| (Span::EMPTY, Span::EMPTY, spans.auth, spans.icv))
            }
            Protocol::Esp => {
                let mut iv = [0; MAX_IV];
                let iv = iv.get_mut(..sa.cipher.iv_len()).unwrap_or(&mut []);
                let entropy = cx.entropy.fill(iv).map_err(|_| DropReason::NoEntropy);
                let sealing = esp::Sealing {
                    shape,
                    algorithms: esp::Algorithms {
                        cipher: sa.cipher,
                        mac: sa.mac,
                    },
                    spi: sa.out_spi,
                    sequence,
                    iv,
                    udp: path.encap.ports(),
                    framing: path.encap.framing(),
                };
                entropy
                    .and_then(|()| sealing.check(&packet))
                    .and_then(|()| esp::seal(&mut packet, &sealing))
                    .map(|spans| (spans.iv, spans.crypt, spans.auth, spans.icv))
            }
        };
        let (iv, crypt, auth, icv) = match laid_out {
            Ok(spans) => spans,
            Err(why) => {
                self.raise_udp_failure(id);
                self.raise_sa(sa_id, Happened::OutProcessFailImm);
                return dropped(why, packet);
            }
        };
        let flight = InFlight {
            sa: sa_id,
            on,
            sequence,
            way: Way::Out(Begin {
                stage: stage.saturating_add(1),
                tunnelled: tunnelled || matches!(shape, Shape::Tunnel(_)),
                ..begin
            }),
        };
        let Ok(ticket) = self.in_flight.insert(flight) else {
            self.raise_sa(sa_id, Happened::OutProcessFailImm);
            return dropped(DropReason::Busy, packet);
        };
        if let Shape::Tunnel(outer) = shape {
            self.ip_id = outer.id;
        }
        self.take_number(id, sa_id, sequence, counted);
        self.raise_pass(sa_id, Direction::Out, Phase::Start);
        Verdict::Compute(PacketJob {
            ticket: Ticket(ticket.to_u64()),
            channel,
            op: Op::Seal,
            iv,
            crypt,
            auth,
            icv,
            buffer: packet,
        })
    }

    /// A sequence number is used up, whatever becomes of the job.
    fn take_number(&mut self, bundle: BundleId, id: SaId, sequence: u32, counted: bool) {
        let mut protocol = Protocol::Esp;
        if let Some(sa) = self.sad.sas.get_mut(id.0) {
            sa.sequence = sequence;
            protocol = sa.protocol;
        }
        if sequence == 0 {
            self.raise_sa(
                id,
                match protocol {
                    Protocol::Esp => Happened::EspSeqNumberCycled,
                    Protocol::Ah => Happened::AhSeqNumberCycled,
                },
            );
        }
        if counted && sequence > u32::MAX - SEQUENCE_RESERVE {
            self.renew(bundle, Direction::Out);
        }
        if counted
            && sequence == u32::MAX
            && let Some(policy) = self.policy_of(bundle)
        {
            let event = PlaneEvent::Exhausted { bundle, policy };
            self.events.push_back(event);
        }
    }

    /// A packet through all SAs of its bundle.
    pub(super) fn sealed<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        id: BundleId,
        mut packet: B,
    ) -> Verdict<B> {
        let Some(bundle) = self.sad.bundles.get(id.0) else {
            return dropped(DropReason::SaGone, packet);
        };
        let mut mtu = self.mtu(on);
        let mut encapsulated = false;
        let path_id = bundle.path;
        if let Some(path) = self.paths.get_mut(path_id) {
            path.sent_at = cx.now;
            mtu = mtu.min(path.mtu(cx.now).unwrap_or(u16::MAX));
            encapsulated = path.encap.ports().is_some();
        }
        let Ok(outer) = Datagram::reread(packet.packet()) else {
            return dropped(DropReason::Malformed, packet);
        };
        let (place, is_v4, len) = (outer.place(), outer.is_ipv4(), outer.total_len());
        let wire = Wire {
            source: outer.source(),
            destination: outer.destination(),
            protocol: place.next,
            payload_at: u16::try_from(place.at).unwrap_or(u16::MAX),
            tos: outer.tos(),
            df: is_v4 && !outer.may_fragment(),
            ttl: outer.ttl(),
        };
        if encapsulated && !is_v4 && udp::write_checksum(packet.packet_mut(), place.at).is_err() {
            return dropped(DropReason::Malformed, packet);
        }
        if encapsulated {
            self.counters.raise(Happened::OutUdpPkt);
        }
        self.counters.raise(Happened::OutProcessPktFinished);
        let outgoing = Outgoing::new(packet, on, Some(wire), mtu);
        if is_v4 || len <= usize::from(mtu) {
            Verdict::Transmit(outgoing)
        } else {
            let identification = match self.paths.get_mut(path_id) {
                Some(path) => path.next_identification(cx.entropy),
                None => random_identification(cx.entropy),
            };
            cut_by_us(outgoing, identification)
        }
    }
}

/// Sends a datagram as IPv6 fragments with that identification.
fn cut_by_us<B>(
    mut outgoing: Outgoing<B>,
    identification: Result<u32, EntropyFault>,
) -> Verdict<B> {
    match identification {
        Ok(identification) => {
            outgoing.identification = Some(identification);
            Verdict::Transmit(outgoing)
        }
        Err(EntropyFault) => dropped(DropReason::NoEntropy, outgoing.packet),
    }
}

/// Where the work on a leaving packet stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// The SA's place in its bundle.
    pub(super) stage: u8,
    /// Whether the packet has its outer header already.
    pub(super) tunnelled: bool,
    /// DF of the outer header, where this stage writes it.
    pub(super) dont_fragment: bool,
}
