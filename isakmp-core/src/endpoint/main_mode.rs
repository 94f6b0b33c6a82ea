//! Main mode: who gets an exchange, and what an established SA begins.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_core::model::{Lifetime, Name, Role};
use ipsec_core::{Id, Instant};

use super::Endpoint;
use crate::admission;
use crate::ask::{Action, Env, Path, Report};
use crate::config::IsakmpPolicyConfig;
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::phase1::{
    Common, Exchange, Extensions, Incoming, Initiator, Responder, Step, Up, conversation,
};
use crate::reason::{Mismatch, Reason, Subject, Whose};
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::wire::{
    Cookie, ExchangeType, Identification, NotifyType, Payload, PayloadType, Payloads,
};

/// How long an initiator that has not proved its address is remembered.
const HALF_OPEN_LIFE: Duration = Duration::from_secs(120);
/// Replaced SAs of one peer that are kept until they expire.
const REPLACED_SAS: usize = 2;
/// How long a responder leaves the first quick mode to the initiator.
const RESPONDER_WAITS: Duration = Duration::from_secs(2);

impl Endpoint {
    /// Begins phase 1 with a peer; false, with a report, if it cannot.
    pub(super) fn start_main(
        &mut self,
        env: &mut Env<'_>,
        local: IpAddr,
        peer: IpAddr,
        policy: Option<&Name>,
        replaces: Option<IsakmpSaId>,
    ) -> bool {
        let reason = |subject| Reason::new(ExchangeType::Main, 0, subject, Whose::Ours);
        let Some(policy) = env.config.policy_towards(peer, policy).cloned() else {
            return self.cannot_start(peer, reason(Subject::NoIsakmpPolicy));
        };
        if self.phase1.is_full() {
            return self.cannot_start(peer, reason(Subject::Full));
        }
        let mut cookie = Cookie::ZERO;
        if env.entropy.fill(&mut cookie.0).is_err() || cookie == Cookie::ZERO {
            return self.cannot_start(peer, reason(Subject::Entropy));
        }
        let port = env.config.port();
        let path = Path {
            local: SocketAddr::new(local, port),
            peer: SocketAddr::new(peer, port),
        };
        let number = self.next_exchange();
        let first_contact = self.is_first_contact(peer);
        let mut common = Common {
            talk: conversation(number, path),
            policy,
            cookies: (cookie, Cookie::ZERO),
            sa_body: Vec::new(),
            first_contact,
            began: env.now,
            extensions: Extensions::default(),
            suspicion: None,
            told: None,
        };
        self.started(number, 1, Role::Initiator, peer);
        let mut out = Out {
            actions: &mut self.actions,
            tickets: &mut self.tickets,
        };
        let state = Initiator::start(&mut common, env, &mut out);
        let exchange = Exchange::initiator(common, state, replaces);
        self.phase1.insert(exchange).is_ok()
    }

    fn cannot_start(&mut self, peer: IpAddr, reason: Reason) -> bool {
        self.push(Action::Report(Report::Failed {
            exchange: 0,
            peer,
            reason,
        }));
        self.fail_hopeless(peer);
        false
    }

    /// Requests that neither an SA nor an exchange can serve have failed.
    fn fail_hopeless(&mut self, peer: IpAddr) {
        if self.usable_sa(peer).is_none() && !self.is_under_way(peer) {
            self.fail_waiting(|acquire| acquire.peer == peer);
        }
    }

    fn is_first_contact(&self, peer: IpAddr) -> bool {
        self.usable_sa(peer).is_none() && !self.children.iter().any(|child| child.peer == peer)
    }

    /// A message of main mode.
    pub(super) fn main_mode(&mut self, env: &mut Env<'_>, path: Path, incoming: Incoming<'_>) {
        let header = incoming.header;
        if header.message_id.0 != 0 {
            self.counters.malformed += 1;
            return;
        }
        let found = self.phase1.iter().find(|(_, exchange)| {
            let (initiator, responder) = exchange.common.cookies;
            let same_way = exchange.common.talk.path.peer == path.peer;
            // With NAT traversal the peer may come from another port, which its proof confirms.
            let may_move =
                header.flags.encrypted() && exchange.common.extensions.nat.version.is_some();
            initiator == header.initiator
                && (responder == header.responder && (same_way || may_move)
                    // The responder's answer to our first message, or its first message again.
                    || same_way && responder == Cookie::ZERO
                    || same_way && header.responder == Cookie::ZERO)
        });
        let Some(id) = found.map(|(id, _)| id) else {
            if header.responder == Cookie::ZERO {
                return self.first_message(env, path, incoming);
            }
            let sa = self.sa_of(header).and_then(|id| self.sas.get(id.0));
            match sa.and_then(|sa| Some((sa.path, sa.reply_to(&incoming.digest, env.now)?))) {
                Some((path, reply)) => {
                    self.counters.duplicates += 1;
                    let bytes = reply.to_vec();
                    self.push(Action::Send { path, bytes });
                }
                None => self.counters.unknown += 1,
            }
            return;
        };
        let Some(exchange) = self.phase1.get_mut(id) else {
            return;
        };
        let mut out = Out {
            actions: &mut self.actions,
            tickets: &mut self.tickets,
        };
        if exchange.common.talk.is_duplicate(&incoming.digest) {
            self.counters.duplicates += 1;
            exchange.common.talk.answer_again(&mut out);
            return;
        }
        let stale = header.responder == Cookie::ZERO
            || exchange.role() == Role::Responder && exchange.common.cookies.1 != header.responder;
        if stale {
            self.counters.unknown += 1;
            return;
        }
        let step = exchange.receive(env, &mut out, incoming);
        self.after_phase1(env, id, step);
    }

    /// Message 1 from somebody.
    fn first_message(&mut self, env: &mut Env<'_>, path: Path, incoming: Incoming<'_>) {
        let peer = path.peer.ip();
        let Some(policy) = env.config.policy_for(peer).cloned() else {
            self.counters.strangers += 1;
            return;
        };
        let admitted = admit_first(&policy, &incoming);
        let (agreed, answer, sa_body, extensions, types) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                self.push(Action::Report(Report::Failed {
                    exchange: 0,
                    peer,
                    reason,
                }));
                if policy.notifies() && reason.subject == Subject::NoProposal {
                    let kind = NotifyType::NO_PROPOSAL_CHOSEN;
                    self.complain(env, path, incoming.header.initiator, kind);
                }
                return;
            }
        };
        self.make_room(peer);
        let mut cookie = Cookie::ZERO;
        if env.entropy.fill(&mut cookie.0).is_err()
            || cookie == Cookie::ZERO
            || cookie == incoming.header.initiator
        {
            return;
        }
        let number = self.next_exchange();
        let mut common = Common {
            talk: conversation(number, path),
            policy,
            cookies: (incoming.header.initiator, cookie),
            sa_body,
            first_contact: self.is_first_contact(peer),
            began: env.now,
            extensions,
            suspicion: None,
            told: None,
        };
        self.started(number, 1, Role::Responder, peer);
        let mut out = Out {
            actions: &mut self.actions,
            tickets: &mut self.tickets,
        };
        let length = crate::wire::HEADER + incoming.body.len();
        common
            .talk
            .accepted(&mut out, incoming.digest, 1, types, length);
        let state = Responder::start(&mut common, env, &mut out, agreed, &answer);
        let mut exchange = Exchange::responder(common, state);
        exchange.expires = Some(env.now + HALF_OPEN_LIFE);
        // make_room left a place.
        let _ = self.phase1.insert(exchange);
    }

    /// Lets the oldest exchange of an unproven initiator go where there are too many.
    fn make_room(&mut self, peer: IpAddr) {
        let unproven = |from: Option<IpAddr>| {
            let mut ids: Vec<(u32, Id)> = self
                .phase1
                .iter()
                .filter(|(_, exchange)| !exchange.proven())
                .filter(|(_, exchange)| {
                    from.is_none_or(|from| exchange.common.talk.path.peer.ip() == from)
                })
                .map(|(id, exchange)| (exchange.common.talk.number, id))
                .collect();
            ids.sort_unstable();
            ids
        };
        let (same, all) = (unproven(Some(peer)), unproven(None));
        let victim = if same.len() >= usize::from(self.limits.half_open_per_address) {
            same.first()
        } else if all.len() >= usize::from(self.limits.half_open) || self.phase1.is_full() {
            all.first()
        } else {
            None
        };
        if let Some((_, id)) = victim {
            self.phase1.remove(*id);
            self.counters.evicted += 1;
        }
    }

    /// What an event in a phase 1 exchange leads to.
    pub(super) fn after_phase1(&mut self, env: &mut Env<'_>, id: Id, step: Step) {
        match step {
            Step::On => {}
            Step::Failed(reason) => {
                let Some(exchange) = self.phase1.remove(id) else {
                    return;
                };
                let (number, peer) = (
                    exchange.common.talk.number,
                    exchange.common.talk.path.peer.ip(),
                );
                if let Some(old) = exchange.replaces.and_then(|old| self.sas.get_mut(old.0)) {
                    old.renew_later(env.now);
                }
                self.push(Action::Report(Report::Failed {
                    exchange: number,
                    peer,
                    reason,
                }));
                if exchange.proven() {
                    self.fail_hopeless(peer);
                }
            }
            Step::Up(up) => self.establish(env, id, up),
        }
    }

    fn establish(&mut self, env: &mut Env<'_>, id: Id, up: Up) {
        let Some(exchange) = self.phase1.remove(id) else {
            return;
        };
        let role = exchange.role();
        let common = exchange.common;
        let (path, peer) = (common.talk.path, common.talk.path.peer.ip());
        if up.initial_contact {
            self.push(Action::Report(Report::Notified {
                exchange: common.talk.number,
                peer,
                kind: NotifyType::INITIAL_CONTACT,
                authentic: true,
            }));
        }
        self.push(Action::Report(Report::Completed {
            exchange: common.talk.number,
            phase: 1,
        }));
        self.numbers = self.numbers.wrapping_add(1);
        let number = self.numbers;
        let identity = up.identity;
        // A peer that restarted began this exchange afterwards: what came up meanwhile, by an
        // exchange that crossed this one, it knows.
        if up.initial_contact {
            self.peer_restarted(env, &identity, common.began, None);
        }
        self.replace_sas(env, &identity);
        for (_, other) in self.phase1.iter_mut() {
            if other.common.talk.path.peer.ip() == peer {
                other.common.first_contact = false;
            }
        }
        let mut jitter = [0];
        let jitter = env
            .entropy
            .fill(&mut jitter)
            .map_or(0, |()| u32::from(jitter[0] & 0xf));
        let life = Lifetime {
            seconds: up.session.agreed.seconds,
            kbytes: None,
        };
        let times = (env.now, life.soft_seconds(role, jitter));
        let keep = env.now + keep_time(&common.policy);
        let policy = common.policy;
        let mut sa = IsakmpSa::new(
            up.session,
            common.cookies,
            role,
            path,
            policy,
            identity,
            number,
            times,
        );
        if role == Role::Responder
            && let Some((to, bytes)) = common.talk.into_reply()
        {
            sa.keep_reply(to, bytes, env.now, keep);
        }
        if self.sas.insert(sa).is_err() {
            let reason = Reason::new(ExchangeType::Main, 0, Subject::Full, Whose::Ours);
            self.cannot_start(peer, reason);
            return;
        }
        if role == Role::Responder {
            // The initiator most likely has something to negotiate, perhaps the same.
            for waiting in self.waiting.iter_mut().filter(|w| w.acquire.peer == peer) {
                waiting.not_before = env.now + RESPONDER_WAITS;
            }
        }
        self.start_waiting(env);
    }

    /// A peer says that it knows nothing from before: what it had until `before` goes, but not
    /// the SA `by` which it said so.
    pub(super) fn peer_restarted(
        &mut self,
        env: &mut Env<'_>,
        identity: &Identification,
        before: Instant,
        by: Option<IsakmpSaId>,
    ) {
        let lost: Vec<Id> = self
            .sas
            .iter()
            .filter(|(id, sa)| {
                by != Some(IsakmpSaId(*id)) && sa.since <= before && sa.identity.same_as(identity)
            })
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            self.remove_sa(env, IsakmpSaId(id), false, true);
        }
        let dead = self
            .children
            .iter()
            .filter(|child| child.since <= before && child.identity.same_as(identity))
            .map(|child| child.bundle)
            .collect();
        self.push(Action::PeerRestarted(dead));
    }

    /// The SAs that a peer has take no new exchanges any more; only the newest of them are kept
    /// for what is under way.
    fn replace_sas(&mut self, env: &mut Env<'_>, identity: &Identification) {
        let mut same: Vec<(u32, Id)> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.identity.same_as(identity))
            .map(|(id, sa)| (sa.number, id))
            .collect();
        same.sort_unstable();
        let old = same.len().saturating_sub(REPLACED_SAS);
        for (place, (_, id)) in same.into_iter().enumerate() {
            if place < old {
                self.remove_sa(env, IsakmpSaId(id), true, false);
            } else if let Some(sa) = self.sas.get_mut(id) {
                sa.replaced = true;
            }
        }
    }
}

/// Replies are kept as long as the peer may ask for them, unless DELETEDELAY is 0.
pub(super) fn keep_time(policy: &IsakmpPolicyConfig) -> Duration {
    if policy.delete_delay() == Duration::ZERO {
        return Duration::ZERO;
    }
    let retries: Duration = (1..=policy.retry_limit() + 1).map(|n| policy.wait(n)).sum();
    retries.max(policy.delete_delay())
}

type Admitted = (Phase1, Vec<u8>, Vec<u8>, Extensions, Vec<PayloadType>);

/// Message 1: an SA payload with an acceptable transform.
fn admit_first(policy: &IsakmpPolicyConfig, incoming: &Incoming<'_>) -> Result<Admitted, Reason> {
    let refuse = |subject| Reason::new(ExchangeType::Main, 1, subject, Whose::Ours);
    let malformed = |_| refuse(Subject::Malformed);
    let payloads = Payloads::parse(incoming.header.next, incoming.body).map_err(malformed)?;
    let encrypted = incoming.header.flags.encrypted();
    if !admission::admits(ExchangeType::Main, 1, encrypted, &payloads) {
        return Err(refuse(Subject::Payloads));
    }
    let sa = payloads
        .first(PayloadType::SA)
        .ok_or(refuse(Subject::Payloads))?;
    let Payload::Sa(offer) = Payload::parse(sa).map_err(malformed)? else {
        return Err(refuse(Subject::Malformed));
    };
    let (agreed, answer) = Phase1::of(policy)
        .choose(&offer)
        .map_err(|mismatch: Option<Mismatch>| refuse(Subject::NoProposal).with(mismatch))?;
    let types = payloads.all().iter().map(|raw| raw.kind).collect();
    let extensions = Extensions::admit(policy, &payloads);
    Ok((agreed, answer, sa.body.to_vec(), extensions, types))
}
