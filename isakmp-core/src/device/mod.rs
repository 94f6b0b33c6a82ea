//! The glue that every user needs: one device of configuration, data plane, endpoint and engines.
//!
//! It translates and never decides: completions, timers and events of one part become calls of
//! another, in a fixed order, until nothing is left or the turn's work is done.

#[cfg(feature = "testing")]
mod fingerprint;
mod log;
mod port;
mod state;
mod told;
mod users;
mod work;

use alloc::format;
use alloc::vec::Vec;

use hw_offload::{
    Engines, Entropy, Idle, KeyFault, KeyKind, KeyNumber, KeyRecord, PacketEngine, PublicEngine,
    PublicFault, PublicJob, PublicValue, RsaSeed, Ticket,
};
use ipsec_core::counters::Happened;
use ipsec_core::debug::DebugMask;
use ipsec_core::model::{self, Direction, Half, Name};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::udp_encap::{Encapsulated, demultiplex};
use ipsec_core::{
    BundleId, Cx, DataPlane, Instant, Limits, PlaneState, PolicyId, RemoveWhy, SaId, WallClock,
};

pub use log::{Log, LogModule, LogRecord, LogSubtype};
pub use port::{DeviceReport, Input, Port, Query};
pub use state::{RadiusServer, State};
pub use users::{Guesses, LoginFault, PasswordHash, Privilege, User, Users};

use crate::ask::{Answer, Path};
use crate::endpoint::Endpoint;
use crate::natt;
use work::udp;

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
    lookups: Vec<Lookup>,
    /// Tickets of our own that were given out.
    own_tickets: u64,
}

/// The address of an IPsec policy's peer that is known by its name.
#[derive(Debug)]
struct Lookup {
    policy: PolicyId,
    /// The question that is under way.
    ticket: Option<Ticket>,
    /// After a name was not found nobody is asked for it before.
    again: Instant,
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
            lookups: Vec::new(),
            own_tickets: 0,
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

    /// Has every SA go on after that sequence number.
    #[cfg(feature = "testing")]
    pub fn set_sequences(&mut self, sequence: u32) {
        self.plane.set_sequences(sequence);
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
        if ticket.0 & OWN_TICKETS != 0 {
            return self.resolved(now, ticket, &answer);
        }
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.answer(&mut env, ticket, answer);
    }

    /// Ends the phase 1 exchanges of an ISAKMP policy that is about to be changed; SAs stay: SET
    /// ISAKMP POLICY.
    pub fn isakmp_policy_changed(&mut self, now: Instant, entropy: &mut dyn Entropy, name: &Name) {
        let (endpoint, env) = self.endpoint_env(now, entropy);
        endpoint.policy_changed(&env, name);
    }

    /// Removes what was negotiated under an ISAKMP policy that is about to go: DESTROY ISAKMP
    /// POLICY.
    pub fn isakmp_policy_destroyed(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        name: &Name,
    ) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.policy_destroyed(&mut env, name);
    }

    /// Removes what was negotiated under an ISAKMP policy, without a Delete payload, whatever
    /// SENDDELETES says: RESET ISAKMP POLICY.
    pub fn reset_isakmp_policy(&mut self, now: Instant, entropy: &mut dyn Entropy, name: &Name) {
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.policy_reset(&mut env, name);
    }

    /// Sets the ISAKMP counters of a category, or all, to zero: RESET ISAKMP COUNTER.
    pub fn reset_isakmp_counters(&mut self, category: Option<&str>) {
        self.endpoint.reset_counters(category);
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
        let ticket = Ticket(OWN_TICKETS | self.own_tickets);
        let job = PublicJob::RsaGenerate { ticket, bits, seed };
        self.engines
            .public()
            .submit(job)
            .map_err(|_| KeyFault::Engine)?;
        self.own_tickets += 1;
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

    /// Removes one bundle: DESTROY IPSEC POLICY SABUNDLE.
    pub fn remove_bundle(&mut self, bundle: BundleId) {
        self.plane.release(bundle, RemoveWhy::Configuration);
    }

    /// Changes what is watched of a policy, or of all: ENABLE and DISABLE IPSEC POLICY DEBUG.
    pub fn watch(&mut self, policy: Option<&str>, change: impl Fn(DebugMask) -> DebugMask) {
        let state = self.plane.state_mut();
        let chosen: Vec<_> = state
            .policies()
            .filter(|(_, known)| policy.is_none_or(|name| known.config.name == *name))
            .map(|(id, known)| (id, change(known.debug)))
            .collect();
        for (id, mask) in chosen {
            state.set_debug(id, mask);
        }
    }

    /// Counts what happened to the configuration.
    pub fn count(&mut self, happened: Happened) {
        self.plane.state_mut().count(happened);
    }

    /// RESET IPSEC COUNTER of a category, or of all.
    pub fn reset_ipsec_counters(&mut self, category: Option<&str>) {
        self.plane.state_mut().reset_counters(category);
    }

    /// RESET IPSEC POLICY COUNTER.
    pub fn reset_policy_counters(&mut self, name: &str) {
        let state = self.plane.state_mut();
        if let Some((id, _)) = state.policy_by_name(name) {
            state.reset_policy_counters(id);
        }
    }

    /// RESET IPSEC SA COUNTER.
    pub fn reset_sa_counters(&mut self, sa: SaId) {
        self.plane.state_mut().reset_sa_counters(sa);
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
                self.watch_datagram(port, false, path, bytes);
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
}
