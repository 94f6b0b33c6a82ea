//! Packets that arrive.

use core::net::SocketAddr;

use hw_offload::{Op, PacketBuf, PacketJob, Span, Ticket};

use super::count::Phase;
use super::gather::Gathered;
use super::outbound::dropped;
use super::{Cx, DataPlane, InFlight, PlaneEvent, PlaneState, Way};
use crate::counters::Happened;
use crate::model::{Action, Direction, Flow, Protocol, Spi};
use crate::net::InterfaceId;
use crate::path::Encap;
use crate::reason::DropReason;
use crate::sad::{BundleId, SaId};
use crate::spd::Found;
use crate::time::Instant;
use crate::verdict::Verdict;
use crate::wire;
use crate::wire::datagram::Datagram;
use crate::wire::udp::{self, Udp};
use crate::wire::udp_encap::{Encapsulated, Framed, Framing, demultiplex};
use crate::{ah, esp};

/// The port of NAT traversal (RFC 3948 §2.1).
pub(super) const NAT_T_PORT: u16 = 4500;
/// How long the owner is not told again of a peer's unknown SPIs.
const BAD_SPI_EVERY: core::time::Duration = core::time::Duration::from_secs(10);

/// Where the work on an arriving packet stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// Where the IPsec header begins.
    pub(super) at: u16,
    /// The SA's place in its bundle.
    pub(super) stage: u8,
    /// Whether a tunnel's outer header was taken off for this bundle.
    pub(super) decapsulated: bool,
    /// Bundles that the packet has behind it.
    pub(super) depth: u8,
}

/// What is to be opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed {
    /// How the IPsec header is encapsulated.
    pub(super) encap: Encap,
    /// The bundle and the place of the SA that must come next; none for the first.
    pub(super) expects: Option<(BundleId, u8)>,
    pub(super) decapsulated: bool,
    pub(super) depth: u8,
}

impl Sealed {
    const fn outermost(encap: Encap, depth: u8) -> Self {
        Self {
            encap,
            expects: None,
            decapsulated: false,
            depth,
        }
    }

    /// A packet inside the tunnel of another bundle.
    pub(super) const fn nested(depth: u8) -> Self {
        Self::outermost(Encap::None, depth)
    }
}

/// What a UDP datagram for one of our encapsulation ports turned out to be.
enum InUdp {
    /// ESP in that encapsulation.
    Esp(Encap),
    /// Something for the router itself.
    Ours,
    /// Done with.
    Swallow(DropReason),
}

impl<B: PacketBuf> DataPlane<B> {
    /// A packet arrived by an interface.
    pub fn inbound(&mut self, cx: &mut Cx<'_, B>, on: InterfaceId, packet: B) -> Verdict<B> {
        let Gathered { packet, flow, .. } = match self.gather(cx, on, Direction::In, packet) {
            Ok(gathered) => gathered,
            Err(verdict) => return verdict,
        };
        let state = &mut self.state;
        let local = state.is_local(flow.destination);
        if local && matches!(flow.protocol, 50 | 51) {
            state.counters.raise(Happened::InProcessPkt);
            let sealed = Sealed::outermost(Encap::None, 0);
            return state.open(cx, on, sealed, packet);
        }
        if local && matches!(flow.protocol, 1 | 58) && state.learn_too_big(cx.now, packet.packet())
        {
            return dropped(DropReason::PathMtu, packet);
        }
        let policy = match state.search(on, Direction::In, &flow) {
            Found::Untouched => return state.admitted(cx, on, &flow, local, packet),
            Found::Nothing => {
                state.counters.raise(Happened::InNoPolicyFound);
                return dropped(DropReason::NoPolicy, packet);
            }
            Found::Policy(policy) => policy,
        };
        let (happened, why) = match state.action(policy) {
            Action::Permit => {
                state.raise(policy, Happened::InActionPermit);
                return state.admitted(cx, on, &flow, local, packet);
            }
            Action::Deny => (Happened::InActionDeny, DropReason::Denied),
            Action::Ipsec => (Happened::InActionIpsecFail, DropReason::ClearWhereIpsec),
        };
        state.raise(policy, happened);
        dropped(why, packet)
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
                    (Direction::Out, Action::Permit) => Some(Happened::OutActionPermit),
                    (Direction::Out, Action::Deny) => Some(Happened::OutActionDeny),
                    (Direction::Out, Action::Ipsec) => None,
                    (Direction::In, Action::Permit) => Some(Happened::InActionPermit),
                    (Direction::In, Action::Deny) => Some(Happened::InActionDeny),
                    (Direction::In, Action::Ipsec) => Some(Happened::InActionIpsecFail),
                };
                if let Some(happened) = happened {
                    self.state.raise(policy, happened);
                }
                action
            }
        }
    }
}

impl PlaneState {
    /// A clear packet that may pass: it is for somebody, or UDP around an ESP packet for us.
    fn admitted<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        flow: &Flow,
        local: bool,
        packet: B,
    ) -> Verdict<B> {
        let encapsulated = local
            && flow.ports.is_some_and(|(_, to)| {
                flow.protocol == udp::PROTOCOL && (to == NAT_T_PORT || Some(to) == self.tunnel_port)
            });
        if !encapsulated {
            return Verdict::Deliver { packet, on };
        }
        match self.in_udp(packet.packet()) {
            InUdp::Esp(encap) => {
                self.counters.raise(Happened::InUdpPkt);
                self.open(cx, on, Sealed::outermost(encap, 0), packet)
            }
            InUdp::Ours => Verdict::Deliver { packet, on },
            InUdp::Swallow(why) => dropped(why, packet),
        }
    }

    /// Tells apart what arrives at the ports of encapsulated ESP.
    fn in_udp(&mut self, packet: &[u8]) -> InUdp {
        let Some((ip, udp)) = Datagram::reread(packet)
            .ok()
            .filter(|ip| !ip.is_fragment())
            .and_then(|ip| Some((ip, Udp::parse(ip.payload()).ok()?)))
        else {
            return InUdp::Swallow(DropReason::Malformed);
        };
        let (local_port, peer_port) = (udp.destination, udp.source);
        if local_port == NAT_T_PORT && self.tunnel_port != Some(NAT_T_PORT) {
            return match demultiplex(udp.payload) {
                Some(Encapsulated::Keepalive) => self.heard(DropReason::Keepalive),
                Some(Encapsulated::Ike(_)) => InUdp::Ours,
                Some(Encapsulated::Esp(_)) => InUdp::Esp(Encap::NatT {
                    local_port,
                    peer_port,
                }),
                None => InUdp::Swallow(DropReason::Malformed),
            };
        }
        let (local, peer) = (
            SocketAddr::new(ip.destination(), local_port),
            SocketAddr::new(ip.source(), peer_port),
        );
        // The framing is the policy's. A peer that is not known, or came from elsewhere, is read in
        // the framing that says what it is.
        let framing = match self.paths.find(local, peer).and_then(|id| self.path(id)) {
            Some(path) => match path.encap {
                Encap::Tunnel2746 { framing, .. } => Some(framing),
                Encap::None | Encap::NatT { .. } => None,
            },
            None => None,
        };
        let framing = framing.unwrap_or_else(|| match Framing::V1.read(udp.payload) {
            Some(Framed::Esp(_) | Framed::Heartbeat) => Framing::V1,
            Some(Framed::BadVersion) | None => self.other_framing(udp.payload),
        });
        match framing.read(udp.payload) {
            Some(Framed::Esp(_)) => InUdp::Esp(Encap::Tunnel2746 {
                framing,
                local_port,
                peer_port,
            }),
            Some(Framed::Heartbeat) => self.heard(DropReason::Heartbeat),
            Some(Framed::BadVersion) | None => {
                self.counters.raise(Happened::InPktBadVersion);
                InUdp::Swallow(DropReason::BadVersion)
            }
        }
    }

    /// The framing of a payload that is not of version 1: none but that of an SA that it names.
    fn other_framing(&self, payload: &[u8]) -> Framing {
        let names_sa = wire::esp::parse(payload)
            .is_ok_and(|(spi, _)| self.sad.find(spi, Protocol::Esp).is_some());
        let beat = payload == Framing::Raw.heartbeat();
        if names_sa || beat {
            Framing::Raw
        } else {
            Framing::V1
        }
    }

    fn heard(&mut self, why: DropReason) -> InUdp {
        self.counters.raise(Happened::InUdpHeartBeat);
        InUdp::Swallow(why)
    }

    /// An IPsec packet for us: what can be refused before the engine sees it is refused.
    pub(super) fn open<B: PacketBuf>(
        &mut self,
        cx: &mut Cx<'_, B>,
        on: InterfaceId,
        sealed: Sealed,
        mut packet: B,
    ) -> Verdict<B> {
        let Ok(outer) = Datagram::reread(packet.packet()) else {
            return dropped(DropReason::Malformed, packet);
        };
        if outer.is_fragment() {
            return dropped(DropReason::Fragment, packet);
        }
        let (place, len) = (outer.place(), outer.total_len());
        let (mut at, mut protocol) = (place.at, place.next);
        if sealed.encap != Encap::None {
            let whole = Udp::parse(outer.payload())
                .is_ok_and(|udp| udp::HEADER + udp.payload.len() == outer.payload().len());
            if !whole {
                return dropped(DropReason::Malformed, packet);
            }
            at += udp::HEADER + sealed.encap.framing().len();
            protocol = Protocol::Esp.ip_number();
        }
        let header = outer.bytes().get(at..).unwrap_or(&[]);
        let read = match protocol {
            50 => wire::esp::parse(header).map(|(spi, sequence)| (Protocol::Esp, spi, sequence, 0)),
            51 => wire::ah::parse(header).map(|ah| (Protocol::Ah, ah.spi, ah.sequence, ah.len)),
            _ => return self.ended_early(sealed, packet),
        };
        let Ok((protocol, spi, sequence, ah_len)) = read else {
            if protocol == 51 {
                self.counters.raise(Happened::AhBadPayloadLength);
            }
            return dropped(DropReason::Malformed, packet);
        };
        let Some(sa_id) = self.sad.find(spi, protocol) else {
            self.counters.raise(Happened::FindSaFailed);
            let ends = (outer.destination(), outer.source());
            if sealed.depth == 0 && sealed.expects.is_none() {
                self.tell_bad_spi(cx.now, ends, protocol, spi);
            }
            return dropped(DropReason::UnknownSpi, packet);
        };
        self.counters.raise(Happened::FindSaGood);
        let stage = match self.admit(cx.now, sa_id, &sealed, sequence) {
            Ok(stage) => stage,
            Err((happened, why)) => {
                if let Some(happened) = happened {
                    self.raise_sa(sa_id, happened);
                }
                return dropped(why, packet);
            }
        };
        packet.shrink_back(packet.packet().len() - len);
        let Some(sa) = self.sa(sa_id) else {
            return dropped(DropReason::UnknownSpi, packet);
        };
        let Some(channel) = sa.in_channel else {
            self.raise_sa(sa_id, Happened::InBundleStateBad);
            return dropped(DropReason::UnknownSpi, packet);
        };
        let laid_out = match protocol {
            Protocol::Ah if ah_len != ah::len(sa.mac) => {
                self.raise_sa(sa_id, Happened::AhBadPayloadLength);
                return dropped(DropReason::Malformed, packet);
            }
            Protocol::Ah => ah::spans(&mut packet, at, sa.mac)
                .map(|spans| (Span::EMPTY, Span::EMPTY, spans.auth, spans.icv)),
            Protocol::Esp => {
                let algorithms = esp::Algorithms {
                    cipher: sa.cipher,
                    mac: sa.mac,
                };
                esp::open_job(&packet, at, algorithms)
                    .map(|spans| (spans.iv, spans.crypt, spans.auth, spans.icv))
            }
        };
        let flight = InFlight {
            sa: sa_id,
            on,
            sequence,
            way: Way::In(Pass {
                at: u16::try_from(at).unwrap_or(u16::MAX),
                stage,
                decapsulated: sealed.decapsulated,
                depth: sealed.depth,
            }),
        };
        let ticket = laid_out.and_then(|spans| {
            let ticket = self.in_flight.insert(flight);
            ticket
                .map(|ticket| (ticket, spans))
                .map_err(|_| DropReason::Busy)
        });
        let (ticket, (iv, crypt, auth, icv)) = match ticket {
            Ok(job) => job,
            Err(why) => {
                self.raise_sa(sa_id, Happened::InProcessFailImm);
                return dropped(why, packet);
            }
        };
        self.raise_pass(sa_id, Direction::In, Phase::Start);
        let bundle = self.sa(sa_id).map(|sa| sa.bundle);
        if let Some(bundle) = bundle {
            self.watch_packet(bundle, sa_id, Direction::In, false, packet.packet());
        }
        Verdict::Compute(PacketJob {
            ticket: Ticket(ticket.to_u64()),
            channel,
            op: Op::Open,
            iv,
            crypt,
            auth,
            icv,
            buffer: packet,
        })
    }

    /// Whether an SA may be the next for a packet, and its place in its bundle.
    fn admit(
        &self,
        now: Instant,
        id: SaId,
        sealed: &Sealed,
        sequence: u32,
    ) -> Result<u8, (Option<Happened>, DropReason)> {
        let found = self.sa(id).and_then(|sa| {
            let bundle = self.bundle(sa.bundle)?;
            Some((sa, bundle, self.path(bundle.path)?))
        });
        let (sa, bundle, path) = found.ok_or((None, DropReason::UnknownSpi))?;
        if !bundle.is_alive(now) {
            return Err((Some(Happened::InBundleStateBad), DropReason::Expired));
        }
        let place = bundle.sas.iter().position(|other| *other == id);
        let stage = place.and_then(|place| u8::try_from(place).ok());
        let stage = stage.ok_or((None, DropReason::UnknownSpi))?;
        match sealed.expects {
            Some(expected) if expected != (sa.bundle, stage) => {
                return Err((Some(Happened::InBundleSaMatchFail), DropReason::WrongSa));
            }
            None if usize::from(stage) + 1 != bundle.sas.len() => {
                return Err((Some(Happened::InNotFirstSaInBundle), DropReason::NotFirstSa));
            }
            Some(_) | None => {}
        }
        // The encapsulation is that of the outermost SA.
        if sealed.expects.is_none() && !sealed.encap.same_kind(path.encap) {
            let tunnel = matches!(sealed.encap, Encap::Tunnel2746 { .. });
            let happened = tunnel.then_some(Happened::InPktNoPolicy);
            return Err((happened, DropReason::WrongEncapsulation));
        }
        if !sa.replay.precheck(sequence) {
            let happened = match sa.protocol {
                Protocol::Esp => Happened::EspReplayedPacket,
                Protocol::Ah => Happened::AhReplayedPacket,
            };
            return Err((Some(happened), DropReason::Replayed));
        }
        Ok(stage)
    }

    /// A packet came out in clear while SAs of its bundle were left.
    pub(super) fn ended_early<B: PacketBuf>(&mut self, sealed: Sealed, packet: B) -> Verdict<B> {
        let Some((bundle, stage)) = sealed.expects else {
            return dropped(DropReason::Malformed, packet);
        };
        let next = self
            .bundle(bundle)
            .and_then(|bundle| bundle.sas.get(usize::from(stage)).copied());
        if let Some(sa) = next {
            self.raise_sa(sa, Happened::InPrematureEndBundle);
        }
        dropped(DropReason::PrematureEnd, packet)
    }

    /// Tells the owner that a fixed peer uses an SA that is unknown here, if its policy wants to
    /// act on that.
    fn tell_bad_spi(
        &mut self,
        now: Instant,
        ends: (core::net::IpAddr, core::net::IpAddr),
        protocol: Protocol,
        spi: Spi,
    ) {
        let Some(id) = self.bad_spi_policies.get(&ends.1).copied() else {
            return;
        };
        let Some(policy) = self.policies.get_mut(id.0) else {
            return;
        };
        let rested = policy
            .bad_spi_at
            .is_none_or(|at| now.since(at) >= BAD_SPI_EVERY);
        if rested {
            policy.bad_spi_at = Some(now);
            self.events.push_back(PlaneEvent::BadSpi {
                policy: id,
                ends,
                protocol,
                spi,
            });
        }
    }
}
