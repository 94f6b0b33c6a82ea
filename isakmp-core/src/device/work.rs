//! One step of a turn: what one part of a device has to say becomes a call of another.

use alloc::format;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hw_offload::{
    Completion, Engines, Entropy, OpenFault, PacketEngine, PublicEngine, PublicFault, Ticket,
};
use ipsec_core::counters::Happened;
use ipsec_core::debug::DebugEvent;
use ipsec_core::model::{self, Direction, Flow, IpVersion, Name, Role};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::udp_encap::{KEEPALIVE, NON_ESP_MARKER};
use ipsec_core::{BundleId, Cx, InstallFault, Instant, PlaneEvent, PolicyId, RemoveWhy, Verdict};

use super::{Device, DeviceReport, LogModule, LogSubtype, Lookup, OWN_TICKETS, Port, Query, State};
use crate::ask::{Acquire, Action, Answer, Ask, Env, Path, Renewal, Report};
use crate::config::XauthType;
use crate::debug::IsakmpDebug;
use crate::endpoint::Endpoint;
use crate::natt;
#[cfg(feature = "x509")]
use crate::pki::{Verifier, X509};
use crate::reason::{Reason, Subject, Whose};
use crate::wire::ExchangeType;

/// How long nobody is asked again for a name that was not found.
const NOT_FOUND: Duration = Duration::from_secs(1);

impl<E: Engines> Device<E> {
    pub(super) fn endpoint_env<'a>(
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

    pub(super) fn completions(
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
                let way = self.plane.state().way_of(done.ticket);
                let mut cx = Cx {
                    now,
                    entropy: &mut *entropy,
                    buffers: &mut *port,
                };
                let verdict = self.plane.complete(&mut cx, done);
                // An engine that completes a job twice is the only one without a way.
                let way = way.unwrap_or((InterfaceId(0), Direction::In));
                self.carry_out(now, entropy, port, way, verdict);
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

    pub(super) fn events(
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
            PlaneEvent::Acquire {
                policy,
                ends,
                replaces,
            } => match ends.zip(self.policy_name(policy)) {
                Some(((local, peer), policy)) => {
                    let bundle = replaces.and_then(|id| Some((id, self.plane.state().bundle(id)?)));
                    let acquire = Acquire {
                        policy,
                        peer,
                        local,
                        renews: bundle.map(|(bundle, record)| Renewal {
                            bundle,
                            selector: record.selector.clone(),
                        }),
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
            PlaneEvent::Created { policy, bundle } => {
                self.register_route(now, policy, bundle);
                if let Some(name) = self.policy_name(policy) {
                    let line = format!("SA bundle created: Policy - {name}");
                    self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
                    port.report(DeviceReport::BundleCreated { policy: name });
                }
            }
            PlaneEvent::Removed { removed, why } => {
                self.state.net.withdraw(removed.bundle);
                self.installs
                    .retain(|(bundle, ..)| *bundle != removed.bundle);
                let what = match (removed.was_valid, why) {
                    (false, _) => "creation failed",
                    (true, RemoveWhy::Expired) => "expired",
                    (true, RemoveWhy::Replaced) => "replaced",
                    (
                        true,
                        RemoveWhy::PeerDeleted
                        | RemoveWhy::PeerRestarted
                        | RemoveWhy::PeerLost
                        | RemoveWhy::Configuration
                        | RemoveWhy::NegotiationFailed
                        | RemoveWhy::EngineFailed,
                    ) => "removed",
                };
                let line = format!("SA bundle {what}: Policy - {}", removed.name);
                self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
                if removed.was_valid {
                    let policy = removed.name.clone();
                    port.report(DeviceReport::BundleRemoved { policy, why });
                }
                let (endpoint, mut env) = self.endpoint_env(now, entropy);
                endpoint.bundle_removed(&mut env, &removed, why);
            }
            PlaneEvent::Debug(event) => {
                let policy = match &event {
                    DebugEvent::Compared { policy, .. } | DebugEvent::Processed { policy, .. } => {
                        *policy
                    }
                };
                if let Some(policy) = self.policy_name(policy) {
                    port.report(DeviceReport::IpsecDebug { policy, event });
                }
            }
            PlaneEvent::Exhausted { policy, .. } => {
                if let Some(name) = self.policy_name(policy) {
                    let line = format!("SA sequence numbers exhausted: Policy - {name}");
                    self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
                }
            }
            PlaneEvent::Resolve { policy, name } => self.resolve(now, port, policy, name),
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

    /// The routes that a policy's IPROUTETEMPLATE wants for a bundle.
    fn register_route(&mut self, now: Instant, policy: PolicyId, bundle: BundleId) {
        let plane = self.plane.state();
        let template = plane.policy(policy).and_then(|policy| {
            let config = &policy.config;
            config.route_template.clone()
        });
        let (Some(template), Some(bundle_of)) = (template, plane.bundle(bundle)) else {
            return;
        };
        let remote = bundle_of.selector.remote;
        if !self.state.net.register(bundle, template.as_str(), remote) {
            let line = format!("No route for SA bundle: IP route template {template} is missing");
            self.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
        }
    }

    pub(super) fn actions(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let Some(action) = self.endpoint.next_action() else {
            return false;
        };
        match action {
            Action::Send { path, bytes } => {
                self.watch_datagram(port, true, path, &bytes);
                self.send(port, path, &bytes);
            }
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
                if let Report::Failed { reason, .. } = &report
                    && matches!(reason.subject, Subject::Selectors | Subject::NoIpsecPolicy)
                {
                    self.count(Happened::PolicyFindByPeerFailed);
                }
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
                role,
            } => {
                if role == Role::Responder {
                    self.count(Happened::PolicyFindByPeer);
                }
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
                // Whom the router does not know the servers may, where there are any.
                let user = core::str::from_utf8(&step.user).ok();
                let known = user.is_some_and(|name| self.state.users.get(name).is_some());
                if radius || !known && !self.state.radius.is_empty() {
                    return port.ask(ticket, Query::Radius(step));
                }
                let primitives = self.engines.primitives();
                Answer::Xauth(self.state.users.authenticate(primitives, &step))
            }
            Ask::Resolve(name) => return port.ask(ticket, Query::Resolve(name)),
            #[cfg(feature = "x509")]
            Ask::Verify(chain) => {
                let now = self.state.wall.seconds(now);
                let pki = &self.state.isakmp.pki;
                Answer::Verified(X509.verify(pki, now, &chain))
            }
            #[cfg(not(feature = "x509"))]
            Ask::Verify(chain) => return port.ask(ticket, Query::Verify(chain)),
        };
        let (endpoint, mut env) = self.endpoint_env(now, entropy);
        endpoint.answer(&mut env, ticket, answer);
    }

    /// Has the name of a policy's peer looked up, unless that is under way. Packets ask for it: one
    /// that was not found is asked for once a second at most.
    fn resolve(&mut self, now: Instant, port: &mut dyn Port<E::Buf>, policy: PolicyId, name: Name) {
        let plane = self.plane.state();
        self.lookups
            .retain(|known| plane.policy(known.policy).is_some());
        let known = self.lookups.iter().find(|known| known.policy == policy);
        match known {
            Some(known) if known.ticket.is_some() => return,
            Some(known) if now < known.again => {
                return self.plane.resolved(now, policy, None, &self.state.keys);
            }
            Some(_) | None => {}
        }
        self.lookups.retain(|known| known.policy != policy);
        let ticket = Ticket(OWN_TICKETS | self.own_tickets);
        self.own_tickets += 1;
        self.lookups.push(Lookup {
            policy,
            ticket: Some(ticket),
            again: now,
        });
        port.ask(ticket, Query::Resolve(name));
    }

    /// The name of a policy's peer was looked up. Of its addresses the first of the policy's IP
    /// version is taken, or else the first.
    pub(super) fn resolved(&mut self, now: Instant, ticket: Ticket, answer: &Answer) {
        let mut lookups = self.lookups.iter_mut();
        let Some(lookup) = lookups.find(|known| known.ticket == Some(ticket)) else {
            return;
        };
        let addresses: &[IpAddr] = match answer {
            Answer::Resolved(addresses) => addresses,
            _ => &[],
        };
        let policy = lookup.policy;
        let known = self.plane.state().policy(policy);
        let v4 = known.is_some_and(|known| known.config.version != Some(IpVersion::V6));
        let fits = addresses.iter().find(|address| address.is_ipv4() == v4);
        let address = fits.or(addresses.first()).copied();
        lookup.ticket = None;
        if address.is_none() {
            lookup.again = now + NOT_FOUND;
        }
        self.plane.resolved(now, policy, address, &self.state.keys);
    }

    /// Sends an ISAKMP message; on the port of NAT traversal with a mark in front of it.
    fn send(&mut self, port: &mut dyn Port<E::Buf>, path: Path, bytes: &[u8]) {
        if path.local.port() == natt::PORT {
            self.datagram_out(port, path, &[&NON_ESP_MARKER, bytes].concat());
        } else {
            self.datagram_out(port, path, bytes);
        }
    }

    /// Shows a datagram of ISAKMP, if that is watched.
    pub(super) fn watch_datagram(
        &self,
        port: &mut dyn Port<E::Buf>,
        sent: bool,
        path: Path,
        bytes: &[u8],
    ) {
        if self.state.isakmp.debug.has(IsakmpDebug::PKTRAW) {
            port.report(DeviceReport::Isakmp(Report::Datagram {
                sent,
                path,
                bytes: bytes.to_vec(),
            }));
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

    pub(super) fn forbidden(&self, port: &mut dyn Port<E::Buf>, path: Path, direction: Direction) {
        let reason = Reason::new(ExchangeType::Main, 0, Subject::Forbidden, Whose::Ours);
        port.report(DeviceReport::Forbidden {
            path,
            direction,
            reason,
        });
    }

    pub(super) fn ready(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        port: &mut dyn Port<E::Buf>,
    ) -> bool {
        let on = self.plane.next_ready_on();
        let mut cx = Cx {
            now,
            entropy: &mut *entropy,
            buffers: &mut *port,
        };
        let Some((on, verdict)) = on.zip(self.plane.next_ready(&mut cx)) else {
            return false;
        };
        self.carry_out(now, entropy, port, (on, Direction::Out), verdict);
        true
    }

    pub(super) fn carry_out(
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
}

/// The flow of a UDP datagram.
pub(super) const fn udp(from: SocketAddr, to: SocketAddr) -> Flow {
    Flow {
        source: from.ip(),
        destination: to.ip(),
        protocol: 17,
        ports: Some((from.port(), to.port())),
        icmp_type: None,
    }
}
