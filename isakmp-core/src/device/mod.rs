//! The glue that every user needs: one device of configuration, data plane, endpoint and engines.
//!
//! It translates and never decides: completions, timers and events of one part become calls of
//! another, in a fixed order, until nothing is left or the turn's work is done.

mod log;
mod state;
mod users;

use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;

use hw_offload::{
    Buffers, Cipher, Completion, Engines, Entropy, Idle, KeyFault, KeyKind, KeyNumber, KeyRecord,
    Mac, OpenFault, PacketEngine, PublicEngine, PublicFault, PublicJob, PublicValue, RsaSeed,
    Secret, Ticket,
};
use ipsec_core::model::{self, Direction, Flow, Half, Name, Role, Spi};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::udp_encap::{Encapsulated, KEEPALIVE, NON_ESP_MARKER, demultiplex};
use ipsec_core::{
    BundleId, Cx, DataPlane, DropReason, InstallFault, Instant, Limits, Outgoing, PlaneEvent,
    PlaneState, RemoveWhy, SaId, Verdict, WallClock,
};

pub use log::{Log, LogModule, LogRecord, LogSubtype};
pub use state::State;
pub use users::{PasswordHash, Privilege, User, Users};

use crate::ask::{Acquire, Action, Answer, Ask, Env, LostBy, Path, Report};
use crate::config::XauthType;
use crate::endpoint::Endpoint;
use crate::natt;
use crate::reason::{Reason, Subject, Whose};
use crate::wire::ExchangeType;
use crate::xauth::XauthStep;

/// The world around a device. A leaf: it never calls back in.
pub trait Port<B>: Buffers<B> {
    /// Send a packet.
    fn transmit(&mut self, packet: Outgoing<B>);
    /// Forward a packet as if it had arrived by `on` in clear.
    fn deliver(&mut self, on: InterfaceId, packet: B);
    /// Send an ISAKMP message by UDP.
    fn datagram(&mut self, path: Path, bytes: &[u8]);
    /// Find something out. The answer comes by [`Device::answer`], soon or late.
    fn ask(&mut self, ticket: Ticket, query: Query);
    /// Be told.
    fn report(&mut self, report: DeviceReport);
}

/// What a device cannot find out by itself.
#[derive(Debug)]
pub enum Query {
    /// The addresses of a host; answered by [`Answer::Resolved`].
    Resolve(Name),
    /// Whether a RADIUS server accepts a user; answered by [`Answer::Xauth`].
    Radius(XauthStep),
}

/// What a device tells.
#[derive(Debug)]
pub enum DeviceReport {
    /// About ISAKMP.
    Isakmp(Report),
    /// A packet went no further.
    Dropped {
        /// The interface.
        on: InterfaceId,
        /// Which way it went.
        direction: Direction,
        /// Why.
        why: DropReason,
    },
    /// An ISAKMP message was kept from leaving or entering by the SPD.
    Forbidden {
        /// Its ends.
        path: Path,
        /// Which way it went.
        direction: Direction,
        /// What to do about it.
        reason: Reason,
    },
    /// A bundle came up.
    BundleCreated {
        /// The policy.
        policy: Name,
    },
    /// A bundle went.
    BundleRemoved {
        /// The policy.
        policy: Name,
        /// Why.
        why: RemoveWhy,
    },
    /// The keys of one direction of an SA, for readers of captures; only while
    /// [`Device::set_key_log`] allows it.
    SaKeys {
        /// Outer source.
        source: core::net::IpAddr,
        /// Outer destination.
        destination: core::net::IpAddr,
        /// SPI.
        spi: Spi,
        /// Cipher.
        cipher: Cipher,
        /// Its key.
        cipher_key: Secret,
        /// Integrity algorithm.
        mac: Mac,
        /// Its key.
        mac_key: Secret,
    },
}

/// Everything that can happen to a device from outside but configuration and time.
#[derive(Debug)]
pub enum Input<'a, B> {
    /// A packet wants to leave by an interface, or arrived by it.
    Packet {
        /// The interface.
        on: InterfaceId,
        /// Which way it goes.
        direction: Direction,
        /// The packet.
        packet: B,
    },
    /// An ISAKMP message arrived by an interface.
    Datagram {
        /// The interface.
        on: InterfaceId,
        /// Its ends.
        path: Path,
        /// The message.
        bytes: &'a [u8],
    },
}

/// One router.
pub struct Device<E: Engines> {
    state: State,
    plane: DataPlane<E::Buf>,
    endpoint: Endpoint,
    engines: E,
    installs: Vec<(BundleId, Half, Ticket)>,
    limits: Limits,
    key_log: bool,
    /// RSA keys that the engine makes.
    generating: Vec<(Ticket, KeyNumber)>,
    generated: u64,
}

/// Tickets of the device itself have this bit; the endpoint's carry an exchange's number, which
/// does not come so far.
const OWN_TICKETS: u64 = 1 << 63;

impl<E: Engines> Device<E> {
    /// A router as it leaves the factory. The seed keeps strangers from choosing what shares a
    /// place in its caches.
    #[must_use]
    pub fn new(limits: &Limits, engines: E, wall: WallClock, seed: [u8; 16]) -> Self {
        Self {
            state: State::new(limits, wall),
            plane: DataPlane::new(limits, seed),
            endpoint: Endpoint::new(limits),
            engines,
            installs: Vec::new(),
            limits: limits.clone(),
            key_log: false,
            generating: Vec::new(),
            generated: 0,
        }
    }

    /// Configuration, keys, users and log.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The same, to change it; [`Device::reconfigure`] makes the changes effective.
    pub const fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What SHOW IPSEC reads.
    #[must_use]
    pub const fn plane(&self) -> &PlaneState {
        self.plane.state()
    }

    /// Fragments that wait for the rest of their datagrams.
    #[must_use]
    pub fn held_fragments(&self) -> ipsec_core::HeldFragments {
        self.plane.held_fragments()
    }

    /// What SHOW ISAKMP reads.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint itself, for tests that make it misbehave.
    #[cfg(feature = "testing")]
    pub const fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// The engines.
    pub const fn engines(&mut self) -> &mut E {
        &mut self.engines
    }

    /// Whether keys are reported to the port, for readers of captures. Off until asked for.
    pub const fn set_key_log(&mut self, on: bool) {
        self.key_log = on;
    }

    /// Makes a changed configuration effective: bundles of changed policies go.
    pub fn reconfigure(&mut self, now: Instant) {
        let State {
            ipsec, net, keys, ..
        } = &self.state;
        self.plane.configure(now, ipsec, net, keys);
    }

    /// Makes a changed configuration of ISAKMP effective: above all after ENABLE ISAKMP.
    pub fn reconfigure_isakmp(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.configured(&mut env);
    }

    /// The answer to a [`Query`].
    pub fn answer(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        ticket: Ticket,
        answer: Answer,
    ) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.answer(&mut env, ticket, answer);
    }

    /// Removes what was negotiated under an ISAKMP policy that was changed or destroyed.
    pub fn isakmp_policy_changed(&mut self, now: Instant, entropy: &mut dyn Entropy, name: &Name) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.policy_changed(&mut env, name);
    }

    /// Removes every ISAKMP SA, with Delete payloads where the policies want them.
    pub fn disable_isakmp(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.disable(&mut env);
    }

    /// Has the engine make an RSA key, which the ring holds without a value until it is done.
    ///
    /// # Errors
    /// [`KeyFault`] when the ring has no place, or no randomness for the primes.
    pub fn generate_rsa_key(
        &mut self,
        entropy: &mut dyn Entropy,
        number: KeyNumber,
        key: KeyRecord,
        bits: u16,
    ) -> Result<(), KeyFault> {
        self.state.keys.admits(number)?;
        let seed = RsaSeed::draw(entropy)?;
        let ticket = Ticket(OWN_TICKETS | self.generated);
        self.generated += 1;
        let job = PublicJob::RsaGenerate { ticket, bits, seed };
        self.engines
            .public()
            .submit(job)
            .map_err(|_| KeyFault::Engine)?;
        self.generating.push((ticket, number));
        self.state.keys.create(number, key)
    }

    /// The engine has made a key, or failed to.
    fn generated(
        &mut self,
        now: Instant,
        ticket: Ticket,
        result: Result<PublicValue, PublicFault>,
    ) {
        let Some(place) = self.generating.iter().position(|(own, _)| *own == ticket) else {
            return;
        };
        let (_, number) = self.generating.swap_remove(place);
        let waits = |key: &&mut KeyRecord| key.kind == KeyKind::Rsa && key.value.is_empty();
        let Some(key) = self.state.keys.get_mut(number).filter(waits) else {
            // It was destroyed meanwhile.
            return;
        };
        let line = match result {
            Ok(PublicValue::PrivateKey(value)) => {
                key.value = value;
                format!("RSA key {} has been created", number.0)
            }
            Ok(_) | Err(_) => {
                // It is there.
                let _ = self.state.keys.destroy(number);
                format!("RSA key {} could not be created", number.0)
            }
        };
        self.log(now, LogModule::Isakmp, LogSubtype::Msg, line);
    }

    /// Removes the bundles of an IPsec policy.
    pub fn reset_ipsec_policy(&mut self, name: &str) {
        if let Some((id, _)) = self.plane.state().policy_by_name(name) {
            self.plane.reset_policy(id, RemoveWhy::Configuration);
        }
    }

    /// A packet wants to leave by an interface.
    pub fn outbound(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        on: InterfaceId,
        packet: E::Buf,
    ) {
        self.input(
            now,
            entropy,
            port,
            Input::Packet {
                on,
                direction: Direction::Out,
                packet,
            },
        );
    }

    /// A packet arrived by an interface.
    pub fn inbound(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        on: InterfaceId,
        packet: E::Buf,
    ) {
        self.input(
            now,
            entropy,
            port,
            Input::Packet {
                on,
                direction: Direction::In,
                packet,
            },
        );
    }

    /// An ISAKMP message arrived by an interface.
    pub fn datagram(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        on: InterfaceId,
        path: Path,
        bytes: &[u8],
    ) {
        self.input(now, entropy, port, Input::Datagram { on, path, bytes });
    }

    /// The only way in.
    pub fn input(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        input: Input<'_, E::Buf>,
    ) {
        match input {
            Input::Packet {
                on,
                direction,
                packet,
            } => {
                let mut cx = Cx {
                    now,
                    entropy: &mut *entropy,
                    buffers: &mut *port,
                };
                let verdict = match direction {
                    Direction::Out => self.plane.outbound(&mut cx, on, packet),
                    Direction::In => self.plane.inbound(&mut cx, on, packet),
                };
                self.carry_out(now, entropy, port, (on, direction), verdict);
            }
            Input::Datagram { on, path, bytes } => {
                let flow = udp(path.peer, path.local);
                let action = self.plane.check(on, Direction::In, &flow);
                if action != model::Action::Permit {
                    return self.forbidden(port, path, Direction::In);
                }
                // On the port of NAT traversal ISAKMP has a mark in front of it.
                let bytes = if path.local.port() == natt::PORT {
                    match demultiplex(bytes) {
                        Some(Encapsulated::Ike(bytes)) => Some(bytes),
                        Some(Encapsulated::Keepalive | Encapsulated::Esp(_)) | None => None,
                    }
                } else {
                    Some(bytes)
                };
                let Some(bytes) = bytes else { return };
                let (endpoint, mut env) = self.endpoint_env(now, entropy);
                endpoint.datagram(&mut env, path, bytes);
            }
        }
    }

    /// Does what is due: completions, timers, events, actions. Returns the next deadline: `now`
    /// if work is left.
    pub fn turn(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> Option<Instant> {
        let mut cx = Cx {
            now,
            entropy: &mut *entropy,
            buffers: &mut *port,
        };
        self.plane.timers(&mut cx);
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.timers(&mut env);
        for _ in 0..self.limits.work_per_turn {
            let moved = self.completions(now, entropy, port)
                | self.events(now, entropy, port)
                | self.actions(now, entropy, port);
            // Held packets last: the message that tells the peer of their SA goes before them.
            if !moved && !self.ready(now, entropy, port) {
                break;
            }
        }
        self.deadline(now)
    }

    /// When the next turn is due.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let busy = self.engines.packet().pending() == Idle::PollNow
            || self.engines.public().pending() == Idle::PollNow;
        let engines = busy.then_some(now);
        [
            engines,
            self.plane.deadline(now),
            self.endpoint.deadline(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn endpoint_env<'a>(
        &'a mut self,
        now: Instant,
        entropy: &'a mut dyn Entropy,
    ) -> (&'a mut Endpoint, Env<'a>) {
        let State {
            ipsec,
            isakmp,
            keys,
            net,
            ..
        } = &self.state;
        let primitives = self.engines.primitives();
        (
            &mut self.endpoint,
            Env {
                now,
                entropy,
                primitives,
                config: isakmp,
                ipsec,
                net,
                keys,
            },
        )
    }

    fn completions(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let mut moved = false;
        if let Some(done) = self.engines.public().poll(self.limits.public_budget) {
            moved = true;
            if done.ticket.0 & OWN_TICKETS != 0 {
                self.generated(now, done.ticket, done.result);
            } else {
                let (endpoint, mut env) = self.endpoint_env(now, entropy);
                endpoint.answer(&mut env, done.ticket, Answer::Public(done.result));
            }
        }
        match self.engines.packet().poll() {
            Some(Completion::Packet(done)) => {
                let mut cx = Cx {
                    now,
                    entropy: &mut *entropy,
                    buffers: &mut *port,
                };
                let verdict = self.plane.complete(&mut cx, done);
                self.carry_out(now, entropy, port, (InterfaceId(0), Direction::In), verdict);
                true
            }
            Some(Completion::Opened { ticket, result }) => {
                self.plane.opened(now, ticket, result);
                true
            }
            Some(Completion::Detached(channel)) => {
                self.plane.detached(channel);
                true
            }
            None => moved,
        }
    }

    fn events(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let Some(event) = self.plane.next_event() else {
            return false;
        };
        match event {
            PlaneEvent::Open {
                ticket,
                sa,
                half,
                spec,
            } => {
                if self.key_log {
                    self.report_keys(port, sa, half, &spec);
                }
                if self.engines.packet().open(ticket, spec).is_err() {
                    self.plane.opened(now, ticket, Err(OpenFault::Full));
                }
            }
            PlaneEvent::Close(channel) => self.engines.packet().close(channel),
            PlaneEvent::Acquire { policy, ends, .. } => match ends.zip(self.policy_name(policy)) {
                Some(((local, peer), policy)) => {
                    let acquire = Acquire {
                        policy,
                        peer,
                        local,
                    };
                    let (endpoint, mut env) = self.endpoint_env(now, entropy);
                    endpoint.acquire(&mut env, acquire);
                }
                None => self.plane.negotiation_failed(now, policy),
            },
            PlaneEvent::Installed { bundle, half, ok } => {
                let found = self
                    .installs
                    .iter()
                    .position(|(b, h, _)| *b == bundle && *h == half);
                if let Some(place) = found {
                    let (_, _, ticket) = self.installs.swap_remove(place);
                    let result = if ok {
                        Ok(())
                    } else {
                        Err(InstallFault::Engine)
                    };
                    let (endpoint, mut env) = self.endpoint_env(now, entropy);
                    endpoint.answer(&mut env, ticket, Answer::Installed(result));
                }
            }
            PlaneEvent::Created { policy, .. } => {
                if let Some(name) = self.policy_name(policy) {
                    let line = format!("SA bundle created: Policy - {name}");
                    self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
                    port.report(DeviceReport::BundleCreated { policy: name });
                }
            }
            PlaneEvent::Removed { removed, why } => {
                self.installs
                    .retain(|(bundle, ..)| *bundle != removed.bundle);
                if removed.was_valid
                    && let Some(name) = self.policy_name(removed.policy)
                {
                    let verb = match why {
                        RemoveWhy::Expired => "expired",
                        RemoveWhy::Replaced => "replaced",
                        RemoveWhy::PeerDeleted
                        | RemoveWhy::PeerRestarted
                        | RemoveWhy::PeerLost
                        | RemoveWhy::Configuration
                        | RemoveWhy::NegotiationFailed
                        | RemoveWhy::EngineFailed => "removed",
                    };
                    let line = format!("SA bundle {verb}: Policy - {name}");
                    self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
                    port.report(DeviceReport::BundleRemoved { policy: name, why });
                }
                let (endpoint, mut env) = self.endpoint_env(now, entropy);
                endpoint.bundle_removed(&mut env, &removed, why);
            }
            // Nobody here can look a name up: the packets that wait are dropped.
            PlaneEvent::Resolve { policy, .. } => {
                self.plane.resolved(now, policy, None, &self.state.keys);
            }
            PlaneEvent::Keepalive {
                local, peer, bytes, ..
            } => self.datagram_out(port, Path { local, peer }, bytes),
            PlaneEvent::Moved {
                local, from, to, ..
            } => self
                .endpoint
                .peer_moved(now, Path { local, peer: from }, to),
            PlaneEvent::BadSpi { policy, ends, .. } => {
                if let Some(name) = self.policy_name(policy) {
                    let (endpoint, mut env) = self.endpoint_env(now, entropy);
                    endpoint.bad_spi(&mut env, &name, ends);
                }
            }
        }
        true
    }

    fn actions(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let Some(action) = self.endpoint.next_action() else {
            return false;
        };
        match action {
            Action::Send { path, bytes } => self.send(port, path, &bytes),
            Action::Ask { ticket, ask } => self.ask(now, entropy, port, ticket, ask),
            Action::Release(bundle) => self.plane.release(bundle, RemoveWhy::NegotiationFailed),
            Action::Failed(name) => {
                if let Some((id, _)) = self.plane.state().policy_by_name(name.as_str()) {
                    self.plane.negotiation_failed(now, id);
                }
            }
            Action::DeleteSpi {
                peer,
                protocol,
                spi,
            } => {
                self.plane.delete_by_spi(peer, protocol, spi);
            }
            Action::PeerLost(bundles) => {
                for bundle in bundles {
                    self.plane.release(bundle, RemoveWhy::PeerLost);
                }
            }
            Action::Keepalive(path) => self.datagram_out(port, path, &KEEPALIVE),
            Action::Moved { from, to } => {
                self.plane.peer_moved(from.local, from.peer, to);
            }
            Action::PeerRestarted(bundles) => {
                for bundle in bundles {
                    self.plane.release(bundle, RemoveWhy::PeerRestarted);
                }
            }
            Action::Report(report) => {
                self.log_report(now, &report);
                let secret = matches!(report, Report::Phase1Key { .. });
                if !secret || self.key_log {
                    port.report(DeviceReport::Isakmp(report));
                }
            }
        }
        true
    }

    fn ask(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        ticket: Ticket,
        ask: Ask,
    ) {
        let answer = match ask {
            Ask::Public(job) => {
                // The job carries the endpoint's ticket.
                if self.engines.public().submit(job).is_ok() {
                    return;
                }
                Answer::Public(Err(PublicFault::Engine))
            }
            Ask::Reserve {
                policy,
                ends,
                protocols,
            } => {
                let id = self
                    .plane
                    .state()
                    .policy_by_name(policy.as_str())
                    .map(|(id, _)| id);
                Answer::Reserved(match id {
                    Some(id) => self.plane.reserve(now, entropy, id, ends, &protocols),
                    None => Err(ipsec_core::ReserveFault::NoSuchPolicy),
                })
            }
            Ask::Install {
                bundle,
                half,
                negotiated,
            } => match self.plane.install(now, entropy, bundle, half, negotiated) {
                Ok(()) => {
                    self.installs.push((bundle, half, ticket));
                    return;
                }
                Err(fault) => Answer::Installed(Err(fault)),
            },
            Ask::LastHeard(bundles) => {
                let state = self.plane.state();
                let heard = |id: &BundleId| state.bundle(*id)?.heard;
                Answer::LastHeard(bundles.iter().filter_map(heard).max())
            }
            Ask::Xauth(step) => {
                let policy = self.state.isakmp.policy(step.policy.as_str());
                let radius = policy.is_some_and(|p| p.xauth_type() == XauthType::Radius);
                if radius {
                    return port.ask(ticket, Query::Radius(step));
                }
                let primitives = self.engines.primitives();
                Answer::Xauth(self.state.users.authenticate(primitives, &step))
            }
            Ask::Resolve(name) => return port.ask(ticket, Query::Resolve(name)),
        };
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.answer(&mut env, ticket, answer);
    }

    /// Sends an ISAKMP message; on the port of NAT traversal with a mark in front of it.
    fn send(&mut self, port: &mut dyn Port<E::Buf>, path: Path, bytes: &[u8]) {
        if path.local.port() == natt::PORT {
            self.datagram_out(port, path, &[&NON_ESP_MARKER, bytes].concat());
        } else {
            self.datagram_out(port, path, bytes);
        }
    }

    fn datagram_out(&mut self, port: &mut dyn Port<E::Buf>, path: Path, bytes: &[u8]) {
        let on = self.state.net.route(path.peer.ip()).map(|(on, _)| on);
        let allowed = on.is_none_or(|on| {
            let flow = udp(path.local, path.peer);
            self.plane.check(on, Direction::Out, &flow) == model::Action::Permit
        });
        if allowed {
            port.datagram(path, bytes);
        } else {
            self.forbidden(port, path, Direction::Out);
        }
    }

    fn forbidden(&self, port: &mut dyn Port<E::Buf>, path: Path, direction: Direction) {
        let reason = Reason::new(ExchangeType::Main, 0, Subject::Forbidden, Whose::Ours);
        port.report(DeviceReport::Forbidden {
            path,
            direction,
            reason,
        });
    }

    fn ready(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let mut cx = Cx {
            now,
            entropy: &mut *entropy,
            buffers: &mut *port,
        };
        let Some(verdict) = self.plane.next_ready(&mut cx) else {
            return false;
        };
        self.carry_out(
            now,
            entropy,
            port,
            (InterfaceId(0), Direction::Out),
            verdict,
        );
        true
    }

    fn carry_out(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
        (on, direction): (InterfaceId, Direction),
        verdict: Verdict<E::Buf>,
    ) {
        match verdict {
            Verdict::Transmit(packet) => port.transmit(packet),
            Verdict::Deliver { packet, on } => port.deliver(on, packet),
            Verdict::Bounce { why, packet } => {
                port.report(DeviceReport::Dropped { on, direction, why });
                port.deliver(on, packet);
            }
            Verdict::Compute(job) => {
                if let Err(refused) = self.engines.packet().submit(job) {
                    let mut cx = Cx {
                        now,
                        entropy: &mut *entropy,
                        buffers: &mut *port,
                    };
                    let verdict = self.plane.refused(&mut cx, refused);
                    self.carry_out(now, entropy, port, (on, direction), verdict);
                }
            }
            Verdict::Held => {}
            Verdict::Drop { why, packet } => {
                port.report(DeviceReport::Dropped { on, direction, why });
                port.give(packet);
            }
        }
    }

    fn policy_name(&self, id: ipsec_core::PolicyId) -> Option<Name> {
        self.plane
            .state()
            .policy(id)
            .map(|policy| policy.config.name.clone())
    }

    fn report_keys(
        &self,
        port: &mut dyn Port<E::Buf>,
        sa: SaId,
        half: Half,
        spec: &hw_offload::ChannelSpec,
    ) {
        let Some(sa) = self.plane.state().sa(sa) else {
            return;
        };
        let Some(path) = self.plane.state().path_of(sa.bundle) else {
            return;
        };
        let (source, destination, spi) = match half {
            Half::Inbound => (path.peer, path.local, sa.in_spi),
            Half::Outbound => (path.local, path.peer, sa.out_spi),
        };
        port.report(DeviceReport::SaKeys {
            source,
            destination,
            spi,
            cipher: spec.cipher,
            cipher_key: spec.cipher_key.duplicate(),
            mac: spec.mac,
            mac_key: spec.mac_key.duplicate(),
        });
    }

    /// Writes a line into the log.
    pub fn log(
        &mut self,
        now: Instant,
        module: LogModule,
        subtype: LogSubtype,
        message: alloc::string::String,
    ) {
        self.state.log.write(now, module, subtype, message);
    }

    fn log_report(&mut self, now: Instant, report: &Report) {
        let line = match report {
            Report::Started {
                exchange,
                phase,
                role,
                peer,
            } => {
                let role = match role {
                    Role::Initiator => "init",
                    Role::Responder => "resp",
                };
                format!("Exchange {exchange}: Phase {phase} [{role}] started with peer {peer}")
            }
            Report::Completed { exchange, .. } => {
                format!("Exchange {exchange}: Completed successfully")
            }
            Report::Failed {
                exchange: 0,
                peer,
                reason,
            } => {
                format!("Refused peer {peer} - {reason}")
            }
            Report::Failed {
                exchange, reason, ..
            } => {
                format!("Exchange {exchange}: Failed - {reason}")
            }
            Report::Suspicious {
                exchange, reason, ..
            } => {
                format!("Exchange {exchange}: Message ignored - {reason}")
            }
            Report::Notified {
                exchange,
                kind,
                authentic,
                ..
            } => {
                let trust = if *authentic {
                    ""
                } else {
                    " (not authenticated)"
                };
                format!(
                    "Exchange {exchange}: Notification Received - {}{trust}",
                    kind.log_word()
                )
            }
            Report::SaGone { sa, peer, by_peer } => {
                let who = if *by_peer { " by the peer" } else { "" };
                format!("ISAKMP SA {sa} with peer {peer} deleted{who}")
            }
            Report::PeerLost { sa, peer, by } => {
                let how = match by {
                    LostBy::Dpd => "does not answer R-U-THERE",
                    LostBy::Heartbeat => "sends no heartbeat any more",
                    LostBy::Idle => "sends nothing any more",
                };
                format!("ISAKMP SA {sa}: peer {peer} {how}, all SAs with it deleted")
            }
            Report::PeerMoved { sa, from, to } => {
                format!("ISAKMP SA {sa}: peer moved from {from} to {to}")
            }
            Report::Message { .. } | Report::Phase1Key { .. } => return,
        };
        self.log(now, LogModule::Isakmp, LogSubtype::Xchg, line);
    }
}

/// The flow of a UDP datagram.
const fn udp(from: SocketAddr, to: SocketAddr) -> Flow {
    Flow {
        source: from.ip(),
        destination: to.ip(),
        protocol: 17,
        ports: Some((from.port(), to.port())),
        icmp_type: None,
    }
}
