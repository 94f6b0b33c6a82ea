//! What follows from the configuration: the index of policies, values made beforehand, the
//! addresses of hosts, and negotiations that begin with ENABLE ISAKMP.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use hw_offload::{PublicValue, Ticket};
use ipsec_core::Instant;
use ipsec_core::model::{Name, PeerAddress};

use super::Endpoint;
use super::phase1::Begin;
use crate::ask::{Answer, Ask, Env};
use crate::config::Phase1Mode;

/// How long a host's addresses are believed.
const RESOLVE_AFTER: Duration = Duration::from_secs(300);
/// How long it takes until a name without an address is asked for again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Host {
    name: Name,
    asked: Option<Ticket>,
    next: Instant,
}

/// When hosts are asked for.
#[derive(Debug, Default)]
pub(super) struct Hosts(Vec<Host>);

impl Hosts {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let idle = self.0.iter().filter(|host| host.asked.is_none());
        idle.map(|host| host.next).min()
    }
}

impl Endpoint {
    /// The configuration of ISAKMP is another now. Must be called before anything that depends on
    /// it, above all after ENABLE ISAKMP: then the policies with PRENEGOTIATE begin.
    pub fn configured(&mut self, env: &mut Env<'_>) {
        self.policies.compile(env.config);
        let enabled = env.config.enabled;
        let aggressive = env.config.policies.iter();
        let aggressive = aggressive.filter(|policy| policy.mode() == Phase1Mode::Aggressive);
        let mut wanted: Vec<_> = aggressive
            .map(|policy| (policy.group(), policy.exponent_bits()))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if !enabled {
            wanted.clear();
        }
        self.pool.keep_for(&wanted);
        self.refill_pool(env);
        let named = &self.policies.hosts;
        self.hosts
            .0
            .retain(|host| enabled && named.iter().any(|other| other.name == host.name));
        for host in named.iter().filter(|_| enabled) {
            if !self.hosts.0.iter().any(|known| known.name == host.name) {
                self.hosts.0.push(Host {
                    name: host.name.clone(),
                    asked: None,
                    next: env.now,
                });
            }
        }
        self.resolve_due(env);
        if enabled && !core::mem::replace(&mut self.was_enabled, enabled) {
            self.prenegotiate(env, |_| true);
        }
        self.was_enabled = enabled;
    }

    /// Begins phase 1 for the policies that want it at once.
    fn prenegotiate(&mut self, env: &mut Env<'_>, of: impl Fn(&PeerAddress) -> bool) {
        let wanted: Vec<(Name, IpAddr)> = env
            .config
            .policies
            .iter()
            .filter(|policy| policy.prenegotiates() && of(&policy.peer))
            .filter_map(|policy| {
                let address = match &policy.peer {
                    PeerAddress::Address(address) => Some(*address),
                    PeerAddress::Host(name) => self.address_of(name),
                    PeerAddress::Any | PeerAddress::Dynamic => None,
                };
                Some((policy.name.clone(), address?))
            })
            .collect();
        for (policy, peer) in wanted {
            let Some(local) = env.net.source_for(peer, None) else {
                continue;
            };
            if self.usable_sa(peer).is_none() && !self.is_under_way(peer) {
                let begin = Begin {
                    local,
                    peer,
                    policy: Some(&policy),
                    replaces: None,
                };
                self.start_phase1(env, &begin);
            }
        }
    }

    fn address_of(&self, name: &Name) -> Option<IpAddr> {
        let host = self.policies.hosts.iter().find(|host| host.name == *name)?;
        host.addresses.first().copied()
    }

    /// Asks for the addresses of hosts whose turn it is.
    pub(super) fn resolve_due(&mut self, env: &Env<'_>) {
        for host in &mut self.hosts.0 {
            if host.asked.is_some() || host.next > env.now {
                continue;
            }
            let mut out = super::out(&mut self.actions, &mut self.tickets, 0);
            let name = host.name.clone();
            host.asked = Some(out.ask(|_| Ask::Resolve(name)));
        }
    }

    /// Asks for public values that are missing.
    pub(super) fn refill_pool(&mut self, env: &mut Env<'_>) {
        let mut out = super::out(&mut self.actions, &mut self.tickets, 0);
        self.pool.refill(env.entropy, &mut out);
    }

    /// An answer that no exchange waits for; handed back if nothing else does.
    pub(super) fn answer_endpoint(
        &mut self,
        env: &mut Env<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Option<Answer> {
        match answer {
            Answer::Resolved(addresses) => {
                let asked = |host: &&mut Host| host.asked == Some(ticket);
                let host = self.hosts.0.iter_mut().find(asked)?;
                host.asked = None;
                let wait = if addresses.is_empty() {
                    RESOLVE_AGAIN
                } else {
                    RESOLVE_AFTER
                };
                host.next = env.now + wait;
                let name = host.name.clone();
                if !addresses.is_empty() {
                    let first = self.address_of(&name).is_none();
                    self.policies.resolved(env.config, &name, &addresses);
                    if first {
                        let this = PeerAddress::Host(name);
                        self.prenegotiate(env, |peer| *peer == this);
                    }
                }
                None
            }
            Answer::Public(result) => {
                let public = match result {
                    Ok(PublicValue::Public(public)) => Some(public),
                    _ => None,
                };
                let failed = public.is_none();
                if self.pool.answer(ticket, public) && !failed {
                    self.refill_pool(env);
                }
                None
            }
            Answer::LastHeard(last) => {
                self.heard_last(env, ticket, last);
                None
            }
            Answer::Reserved(_) | Answer::Installed(_) | Answer::Xauth(_) | Answer::Verified(_) => {
                Some(answer)
            }
        }
    }
}
