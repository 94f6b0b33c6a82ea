//! Packets that come back from the engine.

use core::net::SocketAddr;
use core::time::Duration;

use hw_offload::{Mac, Op, PacketBuf, PacketDone, PacketJob, Refused};

use super::count::Phase;
use super::inbound::{Pass, Sealed};
use super::outbound::dropped;
use super::policy::Policy;
use super::ways::Came;
use super::{Cx, DataPlane, InFlight, PlaneEvent, PlaneState, Way};
use crate::counters::Happened;
use crate::model::{Action, Direction, Flow, Mode, Protocol};
use crate::net::InterfaceId;
use crate::path::Encap;
use crate::reason::DropReason;
use crate::sad::{BundleId, SaId};
use crate::slab::Id;
use crate::time::Instant;
use crate::tunnel::{IPV4_IN, IPV6_IN, close_gap};
use crate::verdict::Verdict;
use crate::wire::datagram::Datagram;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::udp::Udp;
use crate::wire::{self, ecn, repair};
use crate::{ah, esp};

/// The next header of a dummy packet (RFC 4303 §2.6).
const NO_NEXT_HEADER: u8 = 59;

/// What one SA's work brought to light.
struct Stripped {
    /// What follows the IPsec header.
    next: u8,
    /// Bytes of the IPsec header and everything between it and the packet's own headers.
    gap: usize,
    /// Bytes behind the payload.
    back: usize,
}

/// A packet that came through its whole bundle.
#[derive(Clone, Copy)]
struct Open {
    on: InterfaceId,
    bundle: BundleId,
    /// The SA that it came through last.
    sa: SaId,
    /// Whether a tunnel's outer header was taken off.
    decapsulated: bool,
    /// Bundles that it had behind it before.
    depth: u8,
}

impl<B: PacketBuf> DataPlane<B> {
    /// The engine is done with a packet.
    pub fn complete(&mut self, cx: &mut Cx<'_, B>, done: PacketDone<B>) -> Verdict<B> {
        let PacketDone {
            ticket,
            result,
            buffer: packet,
            ..
        } = done;
        let state = &mut self.state;
        let Some(flight) = state.in_flight.remove(Id::from_u64(ticket.0)) else {
            return dropped(DropReason::SaGone, packet);
        };
        let direction = flight.direction();
        let Some(bundle_id) = state.sa(flight.sa).map(|sa| sa.bundle) else {
            state.raise_gone(direction);
            return dropped(DropReason::SaGone, packet);
        };
        state.counters.raise(Happened::GetSaGood);
        let alive = state
            .bundle(bundle_id)
            .is_some_and(|bundle| bundle.is_alive(cx.now));
        if !alive {
            state.raise_pass(flight.sa, direction, Phase::SaBadState);
            return dropped(DropReason::SaGone, packet);
        }
        if let Err(fault) = result {
            state.raise_pass(flight.sa, direction, Phase::Fault(fault));
            let why = match fault {
                hw_offload::JobFault::BadIcv => DropReason::BadIcv,
                hw_offload::JobFault::Closed => DropReason::SaGone,
                hw_offload::JobFault::Engine(_) => DropReason::EngineFailed,
            };
            return dropped(why, packet);
        }
        state.raise_pass(flight.sa, direction, Phase::Done);
        match flight.way {
            Way::Out(begin) => {
                state.watch_packet(bundle_id, flight.sa, direction, true, packet.packet());
                let more = state
                    .bundle(bundle_id)
                    .is_some_and(|bundle| usize::from(begin.stage) < bundle.sas.len());
                if more {
                    state.seal_stage(cx, flight.on, bundle_id, begin, packet)
                } else {
                    state.sealed(cx, flight.on, bundle_id, packet)
                }
            }
            Way::In(pass) => state.opened(cx, &flight, pass, bundle_id, packet),
        }
    }

    /// The engine did not take a packet.
    pub fn refused(&mut self, _: &mut Cx<'_, B>, job: Refused<PacketJob<B>>) -> Verdict<B> {
        let PacketJob {
            ticket,
            op,
            buffer: packet,
            ..
        } = job.job;
        if let Some(flight) = self.state.in_flight.remove(Id::from_u64(ticket.0)) {
            let direction = match op {
                Op::Seal => Direction::Out,
                Op::Open => Direction::In,
            };
            self.state.raise_pass(flight.sa, direction, Phase::FailImm);
        }
        dropped(DropReason::EngineRefused, packet)
    }
}

impl PlaneState {
    /// An authentic, deciphered packet: the window moves, and what was inside is looked at.
    fn opened<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        flight: &InFlight,
        pass: Pass,
        id: BundleId,
        mut packet: B,
    ) -> Verdict<B> {
        let at = usize::from(pass.at);
        let Some(sa) = self.sad.sas.get_mut(flight.sa.0) else {
            return dropped(DropReason::SaGone, packet);
        };
        let (protocol, mode, mac) = (sa.protocol, sa.mode, sa.mac);
        if !sa.replay.accept(flight.sequence) {
            self.raise_sa(
                flight.sa,
                match protocol {
                    Protocol::Esp => Happened::EspReplayedPacket,
                    Protocol::Ah => Happened::AhReplayedPacket,
                },
            );
            return dropped(DropReason::Replayed, packet);
        }
        let bundle = sa.bundle;
        if let Some(bundle) = self.sad.bundles.get_mut(bundle.0) {
            bundle.heard = Some(cx.now);
        }
        let Ok(outer) = Datagram::reread(packet.packet()) else {
            return dropped(DropReason::Malformed, packet);
        };
        let (place, tos) = (outer.place(), outer.tos());
        if mac != Mac::None {
            let came = came_from(&outer, at);
            self.retire_older(cx.now, id);
            if let Some(came) = came {
                self.follow(cx.now, id, came);
            }
        }
        let Some(stripped) = self.stripped(flight.sa, place.at, at, packet.packet()) else {
            self.raise_sa(flight.sa, Happened::PaddingInvalid);
            return dropped(DropReason::BadPadding, packet);
        };
        let Stripped { next, gap, back } = stripped;
        if next == NO_NEXT_HEADER {
            return dropped(DropReason::Dummy, packet);
        }
        packet.shrink_back(back);
        let last = pass.stage == 0;
        let is_ip = matches!(next, IPV4_IN | IPV6_IN);
        let mut decapsulated = pass.decapsulated;
        if mode == Mode::Tunnel && is_ip {
            packet.shrink_front(place.at + gap);
            let version = packet.packet().first().map(|byte| byte >> 4);
            let len = Datagram::parse(packet.packet()).map(|inner| inner.total_len());
            let expected = if next == IPV4_IN { 4 } else { 6 };
            let (Ok(len), true) = (len, version == Some(expected)) else {
                return dropped(DropReason::BadInner, packet);
            };
            packet.shrink_back(packet.packet().len() - len);
            if ecn::decapsulate(packet.packet_mut(), tos).is_err() {
                return dropped(DropReason::Congested, packet);
            }
            decapsulated = true;
        } else {
            // Only inside its bundle does an SA in tunnel mode cover no tunnel of its own.
            let bare = mode == Mode::Tunnel && (last || !matches!(next, 50 | 51));
            if bare || close_gap(&mut packet, place, gap, next).is_err() {
                return dropped(DropReason::BadInner, packet);
            }
        }
        self.watch_packet(id, flight.sa, Direction::In, true, packet.packet());
        if last {
            let open = Open {
                on: flight.on,
                bundle: id,
                sa: flight.sa,
                decapsulated,
                depth: pass.depth,
            };
            return self.unwrapped(cx, open, packet);
        }
        let sealed = Sealed {
            encap: Encap::None,
            expects: Some((id, pass.stage - 1)),
            decapsulated,
            depth: pass.depth,
        };
        let here =
            Datagram::reread(packet.packet()).is_ok_and(|inner| self.is_local(inner.destination()));
        if here {
            self.open(cx, flight.on, sealed, packet)
        } else {
            self.ended_early(sealed, packet)
        }
    }

    /// What the packet of an SA carries; none where its padding is wrong.
    fn stripped(&self, id: SaId, headers: usize, at: usize, packet: &[u8]) -> Option<Stripped> {
        let sa = self.sa(id)?;
        match sa.protocol {
            Protocol::Ah => {
                let header = wire::ah::parse(packet.get(at..)?).ok()?;
                Some(Stripped {
                    next: header.next,
                    gap: at - headers + ah::len(sa.mac),
                    back: 0,
                })
            }
            Protocol::Esp => {
                let algorithms = esp::Algorithms {
                    cipher: sa.cipher,
                    mac: sa.mac,
                };
                let opened = esp::opened(packet, at, algorithms).ok()?;
                Some(Stripped {
                    next: opened.next,
                    gap: at - headers + opened.front,
                    back: opened.back,
                })
            }
        }
    }

    /// A packet behind the last SA of its bundle: it is held against what the bundle carries.
    fn unwrapped<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        open: Open,
        mut packet: B,
    ) -> Verdict<B> {
        let Open {
            on,
            bundle: id,
            sa,
            decapsulated,
            ..
        } = open;
        let Some(bundle) = self.bundle(id) else {
            return dropped(DropReason::SaGone, packet);
        };
        let transport = bundle
            .sas
            .iter()
            .filter_map(|sa| self.sa(*sa))
            .all(|sa| sa.mode == Mode::Transport);
        if transport == decapsulated {
            return dropped(DropReason::BadInner, packet);
        }
        let traversed = self
            .path(bundle.path)
            .is_some_and(|path| matches!(path.encap, Encap::NatT { .. }));
        if let Some((source, destination)) = bundle.nat_oa.as_deref().filter(|_| transport)
            && repair::repair(packet.packet_mut(), *source, *destination).is_err()
        {
            return dropped(DropReason::BadInner, packet);
        }
        let Ok(flow) = Datagram::reread(packet.packet()).and_then(|ip| ip.flow()) else {
            return dropped(DropReason::BadInner, packet);
        };
        let (policy, path) = (bundle.policy, bundle.path);
        self.watch_filter(policy, None, Direction::In, &flow);
        self.watch_filter(policy, Some(sa), Direction::In, &flow);
        let Some(bundle) = self.bundle(id) else {
            return dropped(DropReason::SaGone, packet);
        };
        let outside = |flow: &Flow| bundle.selector.matches(flow, Direction::In).is_err();
        if outside(&flow) || strays(packet.packet(), &flow, outside) {
            self.raise_sa(sa, Happened::InPolSelectMatchFail);
            return dropped(DropReason::SelectorMismatch, packet);
        }
        if self.action(policy) != Action::Ipsec {
            return dropped(DropReason::PolicyAction, packet);
        }
        let short = bundle
            .sas
            .iter()
            .filter_map(|sa| self.sa(*sa))
            .any(|sa| sa.cipher.has_short_block());
        let bytes = u64::try_from(packet.packet().len()).unwrap_or(u64::MAX);
        if !self.spend(id, Direction::In, bytes, short) {
            self.expire_by_bytes(id, Direction::In);
        }
        self.counters.raise(Happened::InProcessPktFinished);
        if matches!(flow.protocol, 50 | 51) && self.is_local(flow.destination) {
            return self.nested(cx, open, &flow, packet);
        }
        let shared = self.policy(policy).is_some_and(Policy::takes_anybody);
        if transport && traversed && shared {
            self.replies.note(&flow, Came { bundle: id, path });
        }
        Verdict::Deliver { packet, on }
    }

    /// A packet that still carries IPsec for us: legal as the tunnel of another SA, so deep and no
    /// deeper.
    fn nested<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        open: Open,
        flow: &Flow,
        packet: B,
    ) -> Verdict<B> {
        let inner = Datagram::reread(packet.packet()).ok().and_then(|inner| {
            let payload = inner.payload();
            let (spi, protocol) = match flow.protocol {
                50 => (wire::esp::parse(payload).ok()?.0, Protocol::Esp),
                _ => (wire::ah::parse(payload).ok()?.spi, Protocol::Ah),
            };
            self.sa(self.sad.find(spi, protocol)?)
        });
        let other = inner.is_some_and(|inner| inner.bundle != open.bundle);
        let depth = open.depth + 1;
        if !other || depth >= self.limits.nesting {
            self.raise_sa(open.sa, Happened::InEndOfBundle);
            return dropped(DropReason::EndOfBundle, packet);
        }
        self.open(cx, open.on, Sealed::nested(depth), packet)
    }

    /// The peer of a bundle's path is followed to where an authentic, fresh packet came from.
    fn follow(&mut self, now: Instant, id: BundleId, came: SocketAddr) {
        let Some(path) = self.bundle(id).map(|bundle| bundle.path) else {
            return;
        };
        if let Some(from) = self.paths.follow(now, path, came)
            && let Some(record) = self.path(path)
        {
            self.events.push_back(PlaneEvent::Moved {
                path,
                local: record.local_end(),
                from,
                to: came,
            });
        }
    }

    /// The first authentic packet on a new bundle shows that the peer sends on it: older ones that
    /// carry the same go once packets under way have had time to arrive, unless the peer goes on
    /// sending on them. One that had hardly been there when the new one was begun may have crossed
    /// it: to the peer that one may be the newest, so both stay.
    fn retire_older(&mut self, now: Instant, id: BundleId) {
        let first = self.sad.bundles.get_mut(id.0).is_some_and(|bundle| {
            let valid = bundle.state == crate::sad::SaState::Valid;
            valid && !core::mem::replace(&mut bundle.confirmed, true)
        });
        if !first {
            return;
        }
        let Some((policy, serial)) = self.bundle(id).map(|b| (b.policy, b.serial)) else {
            return;
        };
        let began = self.bundle(id).map_or(now, |bundle| bundle.began);
        let at = now + self.limits.replaced_linger;
        for old in self.siblings(id) {
            let replaced = self.sad.bundles.get_mut(old.0).is_some_and(|bundle| {
                let older = bundle.serial < serial && bundle.since + CROSSING <= began;
                let replaced = older && bundle.retire_at.is_none();
                if replaced {
                    bundle.retire_at = Some(at);
                    bundle.stays_in_use = true;
                }
                replaced
            });
            if replaced {
                self.raise(policy, Happened::InBundleReplaced);
                self.schedule(old);
            }
        }
    }
}

/// How long after a bundle is there the peer may still begin another without knowing of it: lost
/// messages come again after 4, 12 and 28 s.
const CROSSING: Duration = Duration::from_secs(30);

/// Whether what came out of a tunnel goes on by a source route to where the tunnel does not lead.
fn strays(packet: &[u8], flow: &Flow, outside: impl Fn(&Flow) -> bool) -> bool {
    let Ok(ip) = Ipv4::reread(packet) else {
        return false;
    };
    ipv4::leads_to(ip.header(), |stop| {
        outside(&Flow {
            destination: stop.into(),
            ..*flow
        })
    })
}

/// The end that an encapsulated packet came from, whose IPsec header begins at `at`.
fn came_from(outer: &Datagram<'_>, at: usize) -> Option<SocketAddr> {
    if at == outer.place().at {
        return None;
    }
    let udp = Udp::parse(outer.payload()).ok()?;
    Some(SocketAddr::new(outer.source(), udp.source))
}
