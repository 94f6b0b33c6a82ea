//! The packet verbs.

use core::net::IpAddr;

use hw_offload::{JobFault, Op, PacketBuf, PacketDone, PacketJob, Refused, Span, Stage, Ticket};

use super::{Cx, DataPlane, Hold, InFlight, PlaneEvent, PlaneState, Waiting};
use crate::counters::Happened;
use crate::model::{Action, Direction, Flow};
use crate::net::{InterfaceId, Net};
use crate::reason::DropReason;
use crate::sad::{SaId, SaState};
use crate::slab::Id;
use crate::spd::{Found, PolicyId};
use crate::time::Instant;
use crate::verdict::{Outgoing, Verdict, Wire};
use crate::wire::ipv4::{self, Ipv4, NewHeader};
use crate::wire::{esp, flow_of, icmp};

/// Time to live of the outer header.
const TTL: u8 = 64;
/// IP in IP: the next header of a tunnelled IPv4 packet.
const IPV4_IN: u8 = 4;
/// The next header of a dummy packet.
const NO_NEXT_HEADER: u8 = 59;

impl<B: PacketBuf> DataPlane<B> {
    /// A packet wants to leave by an interface.
    pub fn outbound(&mut self, cx: &mut Cx<'_, B>, on: InterfaceId, packet: B) -> Verdict<B> {
        let Ok(flow) = flow_of(packet.packet()) else {
            return Verdict::Drop {
                why: DropReason::Malformed,
                packet,
            };
        };
        let policy = match self.state.search(on, Direction::Out, &flow) {
            Found::Untouched => return self.state.transmit(on, packet),
            Found::Nothing => {
                self.state.counters.raise(Happened::OutNoPolicyFound);
                return Verdict::Drop {
                    why: DropReason::NoPolicy,
                    packet,
                };
            }
            Found::Policy(policy) => policy,
        };
        match self.state.action(policy) {
            Action::Permit => {
                self.state.raise(policy, Happened::OutActionPermit);
                self.state.transmit(on, packet)
            }
            Action::Deny => {
                self.state.raise(policy, Happened::OutActionDeny);
                Verdict::Drop {
                    why: DropReason::Denied,
                    packet,
                }
            }
            Action::Ipsec => {
                self.state.raise(policy, Happened::OutActionIpsec);
                let current = self.state.policy(policy).and_then(|policy| policy.current);
                match current {
                    Some(bundle) => {
                        let sa = self
                            .state
                            .bundle(bundle)
                            .and_then(|b| b.sas.first().copied());
                        match sa {
                            Some(sa) => self.state.seal(cx, on, sa, packet),
                            None => Verdict::Drop {
                                why: DropReason::NoBundle,
                                packet,
                            },
                        }
                    }
                    None => self.hold(on, policy, packet),
                }
            }
        }
    }

    /// A packet arrived by an interface.
    pub fn inbound(&mut self, _: &mut Cx<'_, B>, on: InterfaceId, packet: B) -> Verdict<B> {
        let Ok(flow) = flow_of(packet.packet()) else {
            return Verdict::Drop {
                why: DropReason::Malformed,
                packet,
            };
        };
        if flow.protocol == 50 && self.state.local.contains(&flow.destination) {
            return self.state.open(on, packet);
        }
        let policy = match self.state.search(on, Direction::In, &flow) {
            Found::Untouched => return Verdict::Deliver { packet, on },
            Found::Nothing => {
                self.state.counters.raise(Happened::InNoPolicyFound);
                return Verdict::Drop {
                    why: DropReason::NoPolicy,
                    packet,
                };
            }
            Found::Policy(policy) => policy,
        };
        let (happened, why) = match self.state.action(policy) {
            Action::Permit => {
                self.state.raise(policy, Happened::InActionPermit);
                return Verdict::Deliver { packet, on };
            }
            Action::Deny => (Happened::InActionDeny, DropReason::Denied),
            Action::Ipsec => (Happened::InActionIpsecFail, DropReason::ClearWhereIpsec),
        };
        self.state.raise(policy, happened);
        Verdict::Drop { why, packet }
    }

    /// What the SPD says of a datagram that travels by socket. An interface without policies
    /// permits.
    pub fn check(&mut self, on: InterfaceId, direction: Direction, flow: &Flow) -> Action {
        match self.state.search(on, direction, flow) {
            Found::Untouched => Action::Permit,
            Found::Nothing => Action::Deny,
            Found::Policy(policy) => {
                let action = self.state.action(policy);
                let happened = match (direction, action) {
                    (Direction::Out, Action::Permit) => Happened::OutActionPermit,
                    (Direction::Out, Action::Deny) => Happened::OutActionDeny,
                    (Direction::Out, Action::Ipsec) => Happened::OutActionIpsec,
                    (Direction::In, Action::Permit) => Happened::InActionPermit,
                    (Direction::In, Action::Deny) => Happened::InActionDeny,
                    (Direction::In, Action::Ipsec) => Happened::InActionIpsecFail,
                };
                self.state.raise(policy, happened);
                action
            }
        }
    }

    /// The engine is done with a packet.
    pub fn complete(&mut self, cx: &mut Cx<'_, B>, done: PacketDone<B>) -> Verdict<B> {
        let _ = &cx.buffers;
        let PacketDone {
            ticket,
            result,
            buffer: packet,
            ..
        } = done;
        let flight = u32::try_from(ticket.0)
            .ok()
            .and_then(|number| self.state.in_flight.remove(Id::from_u32(number)));
        let Some(flight) = flight else {
            return Verdict::Drop {
                why: DropReason::SaGone,
                packet,
            };
        };
        let bundle = self.state.sa(flight.sa).map(|sa| sa.bundle);
        let alive = bundle
            .and_then(|id| self.state.bundle_state(id))
            .is_some_and(|state| matches!(state, SaState::Valid | SaState::Creating));
        let out = flight.direction == Direction::Out;
        if !alive {
            let gone = if out {
                Happened::EncDoneGetSaFail
            } else {
                Happened::DecDoneGetSaFail
            };
            self.state.counters.raise(gone);
            return Verdict::Drop {
                why: DropReason::SaGone,
                packet,
            };
        }
        if let Err(fault) = result {
            let (happened, why) = match (fault, out) {
                (JobFault::BadIcv, _) => (Happened::IcvInvalid, DropReason::BadIcv),
                (JobFault::Closed, true) => (Happened::EncDoneGetSaFail, DropReason::SaGone),
                (JobFault::Closed, false) => (Happened::DecDoneGetSaFail, DropReason::SaGone),
                (JobFault::Engine(Stage::Cipher), true) => {
                    (Happened::EncryptionFail, DropReason::EngineFailed)
                }
                (JobFault::Engine(Stage::Hash), true) => {
                    (Happened::OutHashFail, DropReason::EngineFailed)
                }
                (JobFault::Engine(_), false) => {
                    (Happened::DecryptionFail, DropReason::EngineFailed)
                }
            };
            self.state.raise_sa(flight.sa, happened);
            return Verdict::Drop { why, packet };
        }
        if out {
            self.state.raise_sa(flight.sa, Happened::EncryptionGood);
            self.state.counters.raise(Happened::OutProcessPktFinished);
            return self.state.sealed(flight, packet);
        }
        self.state.raise_sa(flight.sa, Happened::DecryptionGood);
        self.state.opened_packet(cx.now, flight, packet)
    }

    /// The engine did not take a packet.
    pub fn refused(&mut self, _: &mut Cx<'_, B>, job: Refused<PacketJob<B>>) -> Verdict<B> {
        let PacketJob {
            ticket,
            op,
            buffer: packet,
            ..
        } = job.job;
        let flight = u32::try_from(ticket.0)
            .ok()
            .and_then(|number| self.state.in_flight.remove(Id::from_u32(number)));
        if let Some(flight) = flight {
            let happened = match op {
                Op::Seal => Happened::EncryptionFailImm,
                Op::Open => Happened::DecryptionFailImm,
            };
            self.state.raise_sa(flight.sa, happened);
        }
        Verdict::Drop {
            why: DropReason::EngineRefused,
            packet,
        }
    }

    /// The next packet that waited and need not wait any longer, in the order of arrival.
    pub fn next_ready(&mut self, cx: &mut Cx<'_, B>) -> Option<Verdict<B>> {
        let mut found = None;
        for (id, queue) in &mut self.hold {
            let hold = self.state.policy(*id).map(|policy| policy.hold);
            if hold == Some(Hold::Keep) {
                continue;
            }
            if let Some(waiting) = queue.pop_front() {
                found = Some((*id, hold, waiting, queue.is_empty()));
                break;
            }
        }
        self.hold
            .retain(|(id, queue)| !queue.is_empty() || self.state.policy(*id).is_some());
        let (id, hold, Waiting { on, packet }, empty) = found?;
        if let Some(policy) = self.state.policies.get_mut(id.0) {
            policy.queued = policy.queued.saturating_sub(1);
            if empty {
                policy.hold = Hold::Keep;
            }
        }
        Some(match hold {
            Some(Hold::Release | Hold::Keep) => {
                let sa = self
                    .state
                    .policy(id)
                    .and_then(|policy| policy.current)
                    .and_then(|bundle| self.state.bundle(bundle))
                    .and_then(|bundle| bundle.sas.first().copied());
                match sa {
                    Some(sa) => self.state.seal(cx, on, sa, packet),
                    None => {
                        self.state.raise(id, Happened::OutNoBundleFail);
                        Verdict::Drop {
                            why: DropReason::NoBundle,
                            packet,
                        }
                    }
                }
            }
            Some(Hold::Discard) => {
                self.state.raise(id, Happened::OutNoBundleFail);
                Verdict::Drop {
                    why: DropReason::NegotiationFailed,
                    packet,
                }
            }
            None => Verdict::Drop {
                why: DropReason::PolicyChanged,
                packet,
            },
        })
    }

    /// Lets a packet wait for a bundle and asks for one.
    fn hold(&mut self, on: InterfaceId, id: PolicyId, packet: B) -> Verdict<B> {
        self.state.raise(id, Happened::OutNoBundle);
        let limit = self.state.limits.held_per_policy;
        let negotiated = crate::model::KeyManagement::Isakmp;
        let Some(policy) = self.state.policies.get_mut(id.0) else {
            return Verdict::Drop {
                why: DropReason::PolicyChanged,
                packet,
            };
        };
        if policy.key_management != Some(negotiated) && policy.bundles.is_empty() {
            self.state.raise(id, Happened::OutNoBundleFail);
            return Verdict::Drop {
                why: DropReason::NoBundle,
                packet,
            };
        }
        if policy.queued >= limit {
            self.state.raise(id, Happened::OutNoBundleFail);
            return Verdict::Drop {
                why: DropReason::QueueFull,
                packet,
            };
        }
        if policy.hold == Hold::Discard && policy.queued == 0 {
            policy.hold = Hold::Keep;
        }
        policy.queued += 1;
        if !policy.acquiring && policy.key_management == Some(negotiated) {
            policy.acquiring = true;
            self.state.events.push_back(PlaneEvent::Acquire {
                policy: id,
                replaces: None,
            });
        }
        let waiting = Waiting { on, packet };
        match self.hold.iter_mut().find(|(owner, _)| *owner == id) {
            Some((_, queue)) => queue.push_back(waiting),
            None => self.hold.push((id, core::iter::once(waiting).collect())),
        }
        Verdict::Held
    }
}

impl PlaneState {
    fn search(&mut self, on: InterfaceId, direction: Direction, flow: &Flow) -> Found {
        let found = self.spd.search(on, direction, flow, &mut self.counters);
        if found != Found::Untouched {
            self.counters.raise(match direction {
                Direction::Out => Happened::OutProcessPkt,
                Direction::In => Happened::InProcessPkt,
            });
        }
        found
    }

    fn action(&self, id: PolicyId) -> Action {
        self.policy(id).map_or(Action::Deny, |policy| policy.action)
    }

    fn mtu(&self, on: InterfaceId) -> u16 {
        self.mtu
            .get(usize::from(on.0))
            .copied()
            .unwrap_or(Net::DEFAULT_MTU)
    }

    fn transmit<B: PacketBuf>(&self, on: InterfaceId, packet: B) -> Verdict<B> {
        Verdict::Transmit(Outgoing::new(packet, on, None, self.mtu(on)))
    }

    /// Builds the ESP packet around an inner one, up to what the engine computes.
    fn seal<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        id: SaId,
        mut packet: B,
    ) -> Verdict<B> {
        let drop = |why, packet| Verdict::Drop { why, packet };
        let mtu = self.mtu(on);
        let Some(sa) = self.sad.sas.get(id.0) else {
            return drop(DropReason::SaGone, packet);
        };
        let Some(bundle) = self.sad.bundles.get(sa.bundle.0) else {
            return drop(DropReason::SaGone, packet);
        };
        let (Some(channel), IpAddr::V4(source), IpAddr::V4(destination)) =
            (sa.out_channel, bundle.local, bundle.peer)
        else {
            self.raise_sa(id, Happened::OutBundleStateBad);
            return drop(DropReason::NoBundle, packet);
        };
        let df = self.policy(bundle.policy).map(|policy| policy.df);
        let (bundle_id, cipher, mac) = (sa.bundle, sa.cipher, sa.mac);
        let (spi, sequence) = (sa.out_spi, sa.sequence.wrapping_add(1));
        if sequence == 0 && sa.replay.size().is_some() {
            self.renew(bundle_id);
            return drop(DropReason::SequenceExhausted, packet);
        }
        let Ok(inner) = Ipv4::parse(packet.packet()) else {
            return drop(DropReason::Malformed, packet);
        };
        let (inner_len, tos, inner_df) = (inner.total_len(), inner.tos(), inner.dont_fragment());
        packet.shrink_back(packet.packet().len() - inner_len);
        let iv_len = cipher.iv_len();
        let pad = esp::pad_len(inner_len, cipher.block_len().max(4));
        let front = ipv4::HEADER + esp::HEADER + iv_len;
        let crypt_len = inner_len + pad + esp::TRAILER;
        let total = front + crypt_len + mac.icv_len();
        let dont_fragment = match df {
            Some(crate::model::DfBit::Set) => true,
            Some(crate::model::DfBit::Copy) => inner_df,
            Some(crate::model::DfBit::Clear) | None => false,
        };
        if total > usize::from(mtu) && dont_fragment {
            let room = usize::from(mtu).saturating_sub(front + mac.icv_len());
            let block = cipher.block_len().max(4);
            let fits = (room / block * block).saturating_sub(esp::TRAILER);
            let fits = u16::try_from(fits).unwrap_or(0);
            return if icmp::fragmentation_needed(&mut packet, source, fits) {
                Verdict::Bounce {
                    why: DropReason::TooBig,
                    packet,
                }
            } else {
                drop(DropReason::TooBig, packet)
            };
        }
        let Ok(total_len) = u16::try_from(total) else {
            return drop(DropReason::TooBig, packet);
        };
        if packet.headroom() < front || packet.tailroom() < pad + esp::TRAILER + mac.icv_len() {
            return drop(DropReason::NoRoom, packet);
        }
        let mut iv = [0; 16];
        let Some(iv) = iv.get_mut(..iv_len) else {
            return drop(DropReason::NoRoom, packet);
        };
        if cx.entropy.fill(iv).is_err() {
            return drop(DropReason::NoEntropy, packet);
        }
        let start = packet.headroom() - front;
        let spans = (
            Span::new(start + ipv4::HEADER + esp::HEADER, iv_len),
            Span::new(start + front, crypt_len),
            Span::new(start + ipv4::HEADER, esp::HEADER + iv_len + crypt_len),
            Span::new(start + front + crypt_len, mac.icv_len()),
        );
        let (Some(iv_span), Some(crypt), Some(auth), Some(icv)) = spans else {
            return drop(DropReason::NoRoom, packet);
        };
        let flight = InFlight {
            sa: id,
            on,
            sequence,
            inner_len: u32::try_from(inner_len).unwrap_or(u32::MAX),
            direction: Direction::Out,
        };
        let Ok(ticket) = self.in_flight.insert(flight) else {
            return drop(DropReason::Busy, packet);
        };
        if !self.spend(
            bundle_id,
            u64::from(flight.inner_len),
            cipher.has_short_block(),
        ) {
            self.in_flight.remove(ticket);
            self.raise_sa(id, Happened::OutBundleExpire);
            self.expire_by_bytes(bundle_id);
            return drop(DropReason::Expired, packet);
        }
        // From here on nothing fails: room was checked above.
        let _ = packet.grow_front(front);
        let _ = packet.grow_back(pad + esp::TRAILER + mac.icv_len());
        self.ip_id = self.ip_id.wrapping_add(1);
        let header = NewHeader {
            tos,
            total_len,
            id: self.ip_id,
            dont_fragment,
            more_fragments: false,
            offset_units: 0,
            ttl: TTL,
            protocol: 50,
            source,
            destination,
        };
        let bytes = packet.packet_mut();
        let parts = bytes
            .split_first_chunk_mut::<{ ipv4::HEADER }>()
            .and_then(|(ip, rest)| Some((ip, rest.split_first_chunk_mut::<{ esp::HEADER }>()?)));
        if let Some((ip, (esp_header, rest))) = parts {
            *ip = header.to_bytes();
            let [a, b, c, d] = spi.to_bytes();
            let [e, f, g, h] = sequence.to_be_bytes();
            *esp_header = [a, b, c, d, e, f, g, h];
            if let Some(to) = rest.get_mut(..iv_len) {
                to.copy_from_slice(iv);
            }
            let trailer = iv_len + inner_len;
            if let Some(end) = rest.get_mut(trailer..trailer + pad + esp::TRAILER) {
                esp::write_trailer(end, IPV4_IN);
            }
        }
        if let Some(sa) = self.sad.sas.get_mut(id.0) {
            sa.sequence = sequence;
        }
        if sequence == 0 {
            self.raise_sa(id, Happened::SeqNumberCycled);
        }
        self.raise_sa(id, Happened::EncryptionStart);
        Verdict::Compute(PacketJob {
            ticket: Ticket(ticket.to_u32().into()),
            channel,
            op: Op::Seal,
            iv: iv_span,
            crypt,
            auth: [auth, Span::EMPTY, Span::EMPTY],
            icv,
            buffer: packet,
        })
    }

    fn expire_by_bytes(&mut self, id: crate::sad::BundleId) {
        // The agenda removes it: an instant that has passed.
        if let Some(bundle) = self.sad.bundles.get_mut(id.0) {
            if let Some(at) = bundle.due.replace(Instant::ZERO) {
                self.agenda.remove(&(at, id));
            }
            bundle.retire_at = Some(Instant::ZERO);
            self.agenda.insert((Instant::ZERO, id));
        }
    }

    fn sealed<B: PacketBuf>(&mut self, flight: InFlight, packet: B) -> Verdict<B> {
        let wire = match Ipv4::parse(packet.packet()) {
            Ok(outer) => Wire {
                source: IpAddr::V4(outer.source()),
                destination: IpAddr::V4(outer.destination()),
                protocol: outer.protocol(),
                payload_at: 20,
                tos: outer.tos(),
                df: outer.dont_fragment(),
                ttl: outer.ttl(),
            },
            Err(_) => {
                return Verdict::Drop {
                    why: DropReason::Malformed,
                    packet,
                };
            }
        };
        Verdict::Transmit(Outgoing::new(
            packet,
            flight.on,
            Some(wire),
            self.mtu(flight.on),
        ))
    }

    /// An ESP packet for us: what can be refused before the engine sees it is refused.
    fn open<B: PacketBuf>(&mut self, on: InterfaceId, packet: B) -> Verdict<B> {
        let drop = |why, packet| Verdict::Drop { why, packet };
        self.counters.raise(Happened::InProcessPkt);
        let Ok(outer) = Ipv4::parse(packet.packet()) else {
            return drop(DropReason::Malformed, packet);
        };
        if outer.is_fragment() {
            return drop(DropReason::Fragment, packet);
        }
        let Ok((spi, sequence)) = esp::parse(outer.payload()) else {
            return drop(DropReason::Malformed, packet);
        };
        let (header_len, payload_len) = (outer.header().len(), outer.payload().len());
        let Some(id) = self.sad.find(spi) else {
            self.counters.raise(Happened::FindSaFailed);
            return drop(DropReason::UnknownSpi, packet);
        };
        self.counters.raise(Happened::FindSaGood);
        let Some(sa) = self.sad.sas.get(id.0) else {
            return drop(DropReason::UnknownSpi, packet);
        };
        let valid = self
            .bundle(sa.bundle)
            .is_some_and(|b| matches!(b.state, SaState::Valid | SaState::Creating));
        let (Some(channel), true) = (sa.in_channel, valid) else {
            return drop(DropReason::UnknownSpi, packet);
        };
        if !sa.replay.precheck(sequence) {
            self.raise_sa(id, Happened::ReplayedPacket);
            return drop(DropReason::Replayed, packet);
        }
        let (cipher, mac) = (sa.cipher, sa.mac);
        let overhead = esp::HEADER + cipher.iv_len() + mac.icv_len();
        let crypt_len = payload_len
            .checked_sub(overhead)
            .filter(|len| *len >= esp::TRAILER && len.is_multiple_of(cipher.block_len().max(4)));
        let Some(crypt_len) = crypt_len else {
            return drop(DropReason::Malformed, packet);
        };
        let start = packet.headroom() + header_len;
        let spans = (
            Span::new(start + esp::HEADER, cipher.iv_len()),
            Span::new(start + esp::HEADER + cipher.iv_len(), crypt_len),
            Span::new(start, payload_len - mac.icv_len()),
            Span::new(start + payload_len - mac.icv_len(), mac.icv_len()),
        );
        let (Some(iv), Some(crypt), Some(auth), Some(icv)) = spans else {
            return drop(DropReason::Malformed, packet);
        };
        let flight = InFlight {
            sa: id,
            on,
            sequence,
            inner_len: 0,
            direction: Direction::In,
        };
        let Ok(ticket) = self.in_flight.insert(flight) else {
            return drop(DropReason::Busy, packet);
        };
        self.raise_sa(id, Happened::DecryptionStart);
        Verdict::Compute(PacketJob {
            ticket: Ticket(ticket.to_u32().into()),
            channel,
            op: Op::Open,
            iv,
            crypt,
            auth: [auth, Span::EMPTY, Span::EMPTY],
            icv,
            buffer: packet,
        })
    }

    /// An authentic, deciphered packet: the window moves, and the inner packet is held against
    /// the policy that the SA belongs to.
    fn opened_packet<B: PacketBuf>(
        &mut self,
        now: Instant,
        flight: InFlight,
        mut packet: B,
    ) -> Verdict<B> {
        let drop = |why, packet| Verdict::Drop { why, packet };
        let Some(sa) = self.sad.sas.get_mut(flight.sa.0) else {
            return drop(DropReason::SaGone, packet);
        };
        if !sa.replay.accept(flight.sequence) {
            self.raise_sa(flight.sa, Happened::ReplayedPacket);
            return drop(DropReason::Replayed, packet);
        }
        let (bundle_id, iv_len, icv_len) = (sa.bundle, sa.cipher.iv_len(), sa.mac.icv_len());
        let short_block = sa.cipher.has_short_block();
        self.retire_older(now, bundle_id);
        let Ok(outer) = Ipv4::parse(packet.packet()) else {
            return drop(DropReason::Malformed, packet);
        };
        let front = outer.header().len() + esp::HEADER + iv_len;
        let total = outer.total_len();
        let plain = packet
            .packet()
            .get(front..total.saturating_sub(icv_len))
            .unwrap_or(&[]);
        let Some((inner_len, next_header)) = esp::read_trailer(plain) else {
            self.raise_sa(flight.sa, Happened::PaddingInvalid);
            return drop(DropReason::BadPadding, packet);
        };
        if next_header == NO_NEXT_HEADER {
            return drop(DropReason::Dummy, packet);
        }
        packet.shrink_front(front);
        packet.shrink_back(packet.packet().len().saturating_sub(inner_len));
        let inner = Ipv4::parse(packet.packet()).map(|inner| inner.total_len());
        let (Ok(inner_len), IPV4_IN) = (inner, next_header) else {
            return drop(DropReason::BadInner, packet);
        };
        packet.shrink_back(packet.packet().len() - inner_len);
        let fits = flow_of(packet.packet()).is_ok_and(|flow| {
            self.bundle(bundle_id)
                .is_some_and(|bundle| bundle.selector.matches(&flow, Direction::In).is_ok())
        });
        if !fits {
            self.raise_sa(flight.sa, Happened::InPolSelectMatchFail);
            return drop(DropReason::SelectorMismatch, packet);
        }
        if !self.spend(
            bundle_id,
            u64::try_from(inner_len).unwrap_or(0),
            short_block,
        ) {
            self.expire_by_bytes(bundle_id);
        }
        self.counters.raise(Happened::InProcessPktFinished);
        Verdict::Deliver {
            packet,
            on: flight.on,
        }
    }

    /// The first authentic packet on a policy's newest bundle shows that the peer sends on it:
    /// the older ones go once packets under way have had time to arrive. One that was not there yet
    /// when the newest was begun crossed it: to the peer that one may be the newest, so both stay.
    fn retire_older(&mut self, now: Instant, id: crate::sad::BundleId) {
        let Some(policy) = self.bundle(id).map(|bundle| bundle.policy) else {
            return;
        };
        let Some(owner) = self.policies.get(policy.0) else {
            return;
        };
        if owner.bundles.len() < 2 || owner.current != Some(id) {
            return;
        }
        let began = self.bundle(id).map_or(now, |bundle| bundle.began);
        let at = now + self.limits.replaced_linger;
        // Bundles are few (Limits::bundles_per_policy), and this happens once per renewal.
        for place in 0..usize::from(self.limits.bundles_per_policy) + 1 {
            let Some(old) = self
                .policies
                .get(policy.0)
                .and_then(|p| p.bundles.get(place).copied())
            else {
                break;
            };
            if old == id {
                continue;
            }
            let fresh = self.sad.bundles.get_mut(old.0).is_some_and(|bundle| {
                let replaced = bundle.state == SaState::Valid
                    && bundle.since < began
                    && bundle.retire_at.is_none();
                if replaced {
                    bundle.retire_at = Some(at);
                }
                replaced
            });
            if fresh {
                self.raise(policy, Happened::InBundleReplaced);
                self.schedule(old);
            }
        }
    }
}
