//! Phase 1: who gets an exchange, and what an established SA begins.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_core::model::{Lifetime, Name, Role};
use ipsec_core::{Id, Instant, KEEPALIVE_AFTER};

use super::Endpoint;
use super::count::kept;
use crate::ask::{Action, Env, Path, Phase, Report};
use crate::config::{IsakmpPolicyConfig, Phase1Mode, Xauth};
use crate::conversation::Conversation;
use crate::counters::Happened;
use crate::dpd::Dpd;
use crate::heartbeat::Heartbeat;
use crate::negotiate::phase1::Phase1;
use crate::phase1::{
    AggrInit, Common, Exchange, Extensions, Incoming, MainInit, Opening, State, Step, Up, find_in,
};
use crate::reason::{Reason, Subject, Whose};
use crate::rekey::Extension;
use crate::sa::{IsakmpSa, IsakmpSaId, PeerKey, Watch};
use crate::wire::{Cookie, ExchangeType, HEADER, NotifyType};

/// Replaced SAs of one peer that are kept until they expire.
const REPLACED_SAS: usize = 2;
/// How long a responder leaves the first quick mode to the initiator.
pub(super) const RESPONDER_WAITS: Duration = Duration::from_secs(2);
/// Who sent the last message before quick mode waits so long, so that the first one of quick mode
/// does not overtake it: on the way, or in a peer that works on several messages at a time.
pub(super) const SETTLING: Duration = Duration::from_millis(100);
/// How many times more exchanges an address may have unfinished than unproven.
const UNFINISHED: usize = 8;

/// What begins a phase 1 exchange.
pub(super) struct Begin<'a> {
    pub(super) local: IpAddr,
    pub(super) peer: IpAddr,
    /// The ISAKMP policy that must be used, if one is named.
    pub(super) policy: Option<&'a Name>,
    pub(super) replaces: Option<IsakmpSaId>,
}

impl Endpoint {
    /// Begins phase 1 with a peer; false, with a report, if it cannot.
    pub(super) fn start_phase1(&mut self, env: &mut Env<'_>, begin: &Begin<'_>) -> bool {
        let peer = begin.peer;
        let policy = self.policies.towards(env.config, peer, begin.policy);
        let Some(policy) = policy.cloned() else {
            self.counters.raise(Happened::AcquireNoPolicy);
            self.counters.raise(Happened::SpdByPeerFailed);
            let reason = self.policies.none_towards(env.config, peer, begin.policy);
            return self.cannot_start(env, peer, reason);
        };
        let kind = match policy.mode() {
            Phase1Mode::Main => ExchangeType::Main,
            Phase1Mode::Aggressive => ExchangeType::Aggressive,
        };
        let ours = |subject| Reason::new(kind, 0, subject, Whose::Ours);
        let fail = |policy: &Name, subject| ours(subject).under(policy);
        if self.phase1.is_full() {
            return self.cannot_start(env, peer, fail(&policy.name, Subject::Full));
        }
        let mut cookie = Cookie::ZERO;
        if env.entropy.fill(&mut cookie.0).is_err() || cookie == Cookie::ZERO {
            return self.cannot_start(env, peer, fail(&policy.name, Subject::Entropy));
        }
        let port = env.config.port();
        let local = source(env, &policy, peer).unwrap_or(begin.local);
        let path = Path {
            local: SocketAddr::new(local, port),
            peer: SocketAddr::new(peer, port),
        };
        let number = self.next_exchange();
        let mut common = Common {
            talk: Conversation::new(number, kind, path),
            kind,
            role: Role::Initiator,
            address: peer,
            agreed: Phase1::of(&policy, Role::Initiator),
            policy,
            cookies: (cookie, Cookie::ZERO),
            sa_body: Vec::new(),
            first_contact: self.is_first_contact(peer),
            began: env.now,
            extensions: Extensions::default(),
            suspicion: None,
            told: None,
            passes: 0,
            certificate_asked: false,
        };
        self.counters.raise(Happened::SpdByPeerGood);
        self.started(env, (kind, Role::Initiator), number, Phase::One, peer);
        let mut out = self.out(number);
        let state = match kind {
            ExchangeType::Aggressive => match AggrInit::start(&common, env, &mut out) {
                Ok(state) => State::AggrInit(state),
                Err(subject) => {
                    let reason = fail(&common.policy.name, subject);
                    return self.cannot_start(env, peer, reason);
                }
            },
            _ => State::MainInit(MainInit::start(&mut common, env, &mut out)),
        };
        self.begin(env, Exchange::new(common, state, begin.replaces))
    }

    /// An exchange takes its place, which there is.
    pub(super) fn begin(&mut self, env: &Env<'_>, exchange: Exchange) -> bool {
        let number = exchange.common.talk.number;
        exchange.watch(env, &mut self.out(number), None);
        match self.phase1.insert(exchange) {
            Some(id) => {
                self.counters.raise(Happened::XdbAdd);
                self.places.insert(number, super::Place::Phase1(id));
                true
            }
            None => false,
        }
    }

    /// An exchange is over.
    pub(super) fn end_phase1(&mut self, id: Id) -> Option<Exchange> {
        let exchange = self.phase1.remove(id)?;
        self.counters.raise(Happened::XdbDelete);
        self.places.remove(&exchange.common.talk.number);
        self.waits.stir(exchange.common.talk.path.peer.ip());
        self.waits.stir(exchange.common.address);
        Some(exchange)
    }

    fn cannot_start(&mut self, env: &Env<'_>, peer: IpAddr, reason: Reason) -> bool {
        self.failed(env, Role::Initiator, 0, peer, reason);
        self.fail_hopeless(peer);
        false
    }

    /// A peer's request was refused before there was an exchange.
    pub(super) fn refused(&mut self, env: &Env<'_>, peer: IpAddr, reason: Reason) {
        self.failed(env, Role::Responder, 0, peer, reason);
    }

    /// Requests that neither an SA nor an exchange can serve have failed.
    pub(super) fn fail_hopeless(&mut self, peer: IpAddr) {
        if self.usable_sa(peer).is_none() && !self.is_under_way(peer) {
            self.fail_waiting(peer);
        }
    }

    pub(super) fn is_first_contact(&self, peer: IpAddr) -> bool {
        self.usable_sa(peer).is_none() && !self.children.is_any_with(peer)
    }

    /// A message of Main or Aggressive mode.
    pub(super) fn phase1_message(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let header = incoming.header;
        if header.message_id.0 != 0 {
            return self.counters.raise(Happened::MsgRxPh1MsgIdNotZero);
        }
        let Some(id) = self.exchange_of(&incoming) else {
            return self.without_exchange(env, incoming);
        };
        let Some(exchange) = self.phase1.get_mut(id) else {
            return;
        };
        let number = exchange.common.talk.number;
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        if exchange.common.talk.is_duplicate(&incoming.digest) {
            self.counters.raise(Happened::XdbDuplicate);
            exchange.common.talk.answer_again(&mut out);
            return;
        }
        let stale = header.responder == Cookie::ZERO
            || exchange.role() == Role::Responder && exchange.common.cookies.1 != header.responder;
        if stale {
            return self.counters.raise(Happened::MsgRxUnexpectedMsg);
        }
        let (header, digest) = (*header, incoming.digest.clone());
        let step = exchange.receive(env, &mut out, incoming);
        let taken = exchange.common.talk.is_duplicate(&digest);
        if !taken {
            self.count_ignored(&header);
        }
        self.after_phase1(env, id, step);
    }

    /// The exchange that a message belongs to.
    fn exchange_of(&self, incoming: &Incoming<'_>) -> Option<Id> {
        let header = incoming.header;
        let mut named = self.phase1.named(header.initiator);
        let found = named.find(|(_, exchange)| {
            let common = &exchange.common;
            let responder = common.cookies.1;
            let same_way = common.talk.path.peer == incoming.path.peer;
            // With NAT traversal the peer may come from another port, which its proof confirms.
            let may_move = header.flags.encrypted() && common.extensions.nat.version.is_some();
            common.kind == header.exchange
                && (responder == header.responder && (same_way || may_move)
                    // The responder's answer to our first message, or its first message again.
                    || same_way && responder == Cookie::ZERO
                    || same_way && header.responder == Cookie::ZERO)
        });
        found.map(|(id, _)| id)
    }

    /// A message for which there is no exchange: a first message, the message that proves a first
    /// message's address, or one that was answered when an exchange ended.
    fn without_exchange(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let header = incoming.header;
        let main = header.exchange == ExchangeType::Main;
        self.counters.raise(Happened::MsgRxNoExchange);
        self.counters.raise(Happened::MsgRxNoExchangePhase1);
        if header.responder == Cookie::ZERO && header.flags.encrypted() {
            return self.counters.raise(Happened::MsgRxEncryptdUnexpect);
        }
        if header.responder == Cookie::ZERO {
            return match main {
                true => self.first_main(env, incoming),
                false => self.first_aggressive(env, incoming),
            };
        }
        if let Some(id) = self.sa_of(header) {
            if !self.repeat(env.now, id, &incoming.digest) {
                self.counters.raise(Happened::DeleteDelayPktDiff);
            }
            return;
        }
        if main {
            self.third_main(env, incoming);
        } else {
            self.third_aggressive(env, incoming);
        }
    }

    /// A message under an SA that is not there yet, from somebody who knows both cookies. One is
    /// held until the SA is up. Where message 3 of Aggressive mode was lost, message 2 once more
    /// makes the initiator repeat it. False if there is no such exchange.
    pub(super) fn is_early(&mut self, env: &mut Env<'_>, incoming: &Incoming<'_>) -> bool {
        let header = incoming.header;
        let cookies = (header.initiator, header.responder);
        let Some(hash) = self.hash_of(env, incoming.path.peer.ip()) else {
            return false;
        };
        let same = |entry: &Opening| entry.cookies() == cookies;
        let found = find_in(&mut self.openings, hash, env.now, same);
        if let Some(entry) = found.and_then(Option::as_mut) {
            let number = entry.common.talk.number;
            let mut out = super::out(&mut self.actions, &mut self.tickets, number);
            entry.common.talk.answer_again(&mut out);
            return true;
        }
        let named = self.phase1.named(cookies.0);
        let mut waiting = named.filter(|(_, exchange)| exchange.common.cookies == cookies);
        let Some(id) = waiting.next().map(|(id, _)| id) else {
            return false;
        };
        drop(waiting);
        let Some(exchange) = self.phase1.get_mut(id) else {
            return false;
        };
        if exchange.early.is_none() && header.flags.encrypted() {
            let mut bytes = header.to_bytes(HEADER + incoming.body.len()).to_vec();
            bytes.extend_from_slice(incoming.body);
            exchange.early = Some((incoming.path, bytes));
        }
        if exchange.lacks_third() {
            let number = exchange.common.talk.number;
            let mut out = super::out(&mut self.actions, &mut self.tickets, number);
            exchange.common.talk.answer_again(&mut out);
        }
        true
    }

    /// Of the exchanges that an address began and has not finished, the oldest goes when there
    /// are too many. Several peers behind one NAT share an address, so that they may be more than
    /// those that have proved nothing.
    pub(super) fn keep_few_unfinished(&mut self, peer: IpAddr) {
        let begun = self.phase1.with(peer);
        let begun = begun.filter(|(_, exchange)| exchange.role() == Role::Responder);
        let mut begun: Vec<(u32, Id)> = begun
            .map(|(id, exchange)| (exchange.common.talk.number, id))
            .collect();
        begun.sort_unstable();
        let limit = usize::from(self.limits.half_open_per_address) * UNFINISHED;
        if let Some((_, oldest)) = begun.first().filter(|_| begun.len() >= limit.max(1)) {
            self.end_phase1(*oldest);
            self.counters.raise(Happened::XdbHalfOpenEvicted);
        }
    }

    /// What an event in a phase 1 exchange leads to.
    pub(super) fn after_phase1(&mut self, env: &mut Env<'_>, id: Id, step: Step) {
        match step {
            Step::On => {}
            Step::Failed(reason) => {
                let Some(exchange) = self.end_phase1(id) else {
                    return;
                };
                let common = &exchange.common;
                let (number, peer) = (common.talk.number, common.talk.path.peer.ip());
                if let Some(old) = exchange.replaces.and_then(|old| self.sas.get_mut(old.0)) {
                    old.renew_later(env.now);
                }
                self.failed(env, exchange.role(), number, peer, reason);
                if exchange.role() == Role::Initiator && exchange.replaces.is_none() {
                    let local = common.talk.path.local.ip();
                    self.retry_phase1(env, &common.policy, (local, peer), reason);
                }
                self.fail_hopeless(peer);
            }
            Step::Up(up) => {
                let early = self
                    .phase1
                    .get_mut(id)
                    .and_then(|exchange| exchange.early.take());
                self.establish(env, id, *up);
                if let Some((path, bytes)) = early {
                    self.message(env, path, &bytes);
                }
            }
        }
    }

    fn establish(&mut self, env: &mut Env<'_>, id: Id, up: Up) {
        let Some(exchange) = self.end_phase1(id) else {
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
        self.completed(env, common.part(), common.talk.number, Phase::One);
        self.numbers = self.numbers.wrapping_add(1);
        let number = self.numbers;
        let identity = up.identity;
        // Whom only a user's password tells apart takes nothing from anybody before that.
        let waits = common.policy.xauth() == Xauth::Server;
        let owner = match waits {
            true => PeerKey::unproven(number),
            false => PeerKey::new(&identity, path),
        };
        // A peer that restarted began this exchange afterwards: what came up meanwhile, by an
        // exchange that crossed this one, it knows.
        let forgets = up.initial_contact.then_some(common.began);
        if waits {
            self.keep_few_unproven(env, peer);
        } else {
            if let Some(before) = forgets {
                self.peer_restarted(env, &owner, before, None);
            }
            self.replace_sas(env, &owner);
        }
        let others: Vec<Id> = self.phase1.with(peer).map(|(id, _)| id).collect();
        for other in others {
            if let Some(other) = self.phase1.get_mut(other) {
                other.common.first_contact = false;
            }
        }
        let mut jitter = [0];
        let jitter = env
            .entropy
            .fill(&mut jitter)
            .map_or(0, |()| u32::from(jitter[0] & 0xf));
        let life: Lifetime = up.session.agreed.life;
        let times = (env.now, life.soft_seconds(role, jitter));
        let keep = env.now + keep_time(&common.policy);
        let policy = common.policy;
        let policy_name = policy.name.clone();
        let watch = watch(env, &policy, common.extensions);
        let last_was_ours = match common.kind {
            ExchangeType::Aggressive => role == Role::Initiator,
            _ => role == Role::Responder,
        };
        let mut sa = IsakmpSa::new(
            up.session,
            common.cookies,
            role,
            path,
            policy,
            (identity, owner),
            number,
            times,
            watch,
        );
        sa.forgets = forgets.filter(|_| waits);
        if last_was_ours
            && let Some(reply) = common
                .talk
                .into_reply((role, crate::wire::MessageId(0)), keep)
        {
            self.counters.raise(kept(keep > env.now));
            sa.keep_reply(reply, env.now);
        }
        let Some(id) = self.sas.insert(sa) else {
            self.counters.raise(Happened::SadAddFull);
            let reason = Reason::new(common.kind, 0, Subject::Full, Whose::Ours);
            self.cannot_start(env, peer, reason.under(&policy_name));
            return;
        };
        self.counters.raise(Happened::SadAdd);
        self.waits.stir(peer);
        self.start_xauth(env, IsakmpSaId(id));
        self.phase1_succeeded(peer);
        if role == Role::Responder {
            // The initiator most likely has something to negotiate, perhaps the same.
            self.waits.defer(peer, env.now + RESPONDER_WAITS);
        } else if last_was_ours {
            self.waits.defer(peer, env.now + SETTLING);
        }
        self.start_waiting(env);
    }

    /// Of the SAs of an address whose users are not authenticated, the oldest goes when there are
    /// too many.
    fn keep_few_unproven(&mut self, env: &mut Env<'_>, peer: IpAddr) {
        let unproven = self.sas.with(peer).filter(|(_, sa)| !sa.xauth.finished);
        let unproven: Vec<IsakmpSaId> = unproven.map(|(id, _)| id).collect();
        let limit = usize::from(self.limits.half_open_per_address) * UNFINISHED;
        if let Some(oldest) = unproven.last().filter(|_| unproven.len() >= limit.max(1)) {
            self.remove_sa(env, *oldest, true, false);
        }
    }

    /// The user of an SA is authenticated, so that it is known whose it is.
    pub(super) fn user_is_known(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        let user = sa.user.as_deref().unwrap_or(&[]);
        let owner = PeerKey::new(&sa.identity, sa.path).of_user(user);
        if let Some(before) = sa.forgets.take() {
            self.peer_restarted(env, &owner, before, Some(id));
        }
        self.replace_sas(env, &owner);
        self.sas.belongs_to(id.0, owner);
    }

    /// A peer says that it knows nothing from before: what it had until `before` goes, but not
    /// the SA `by` which it said so.
    pub(super) fn peer_restarted(
        &mut self,
        env: &mut Env<'_>,
        owner: &PeerKey,
        before: Instant,
        by: Option<IsakmpSaId>,
    ) {
        let lost: Vec<Id> = self
            .sas
            .of(owner)
            .filter(|(id, sa)| by != Some(IsakmpSaId(*id)) && sa.since <= before)
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            self.remove_sa(env, IsakmpSaId(id), false, true);
        }
        let dead = self.children.of(owner, before);
        self.push(Action::PeerRestarted(dead));
    }

    /// The SAs that a peer has take no new exchanges any more; only the newest of them are kept
    /// for what is under way.
    fn replace_sas(&mut self, env: &mut Env<'_>, owner: &PeerKey) {
        let same = self.sas.of(owner);
        let mut same: Vec<(u32, Id)> = same.map(|(id, sa)| (sa.number, id)).collect();
        same.sort_unstable();
        let old = same.len().saturating_sub(REPLACED_SAS);
        for (place, (_, id)) in same.into_iter().enumerate() {
            if place < old {
                self.remove_sa(env, IsakmpSaId(id), true, false);
            } else if let Some(sa) = self.sas.get_mut(id) {
                sa.replaced = true;
                self.counters.raise(Happened::SadReplaced);
            }
        }
    }
}

/// What the extensions keep for an SA that comes up now.
fn watch(env: &mut Env<'_>, policy: &IsakmpPolicyConfig, extensions: Extensions) -> Watch {
    let Extensions { features, nat } = extensions;
    let mut first = [0; 4];
    // A source of randomness that fails now has no part in what DPD is for.
    if features.dpd && env.entropy.fill(&mut first).is_err() {
        first = [0; 4];
    }
    let first = u32::from_be_bytes(first);
    Watch {
        features,
        nat,
        dpd: Dpd::new(policy, features.dpd, first, env.now),
        heartbeat: Heartbeat::new(policy, features.heartbeat, env.now),
        extension: Extension::default(),
        keepalive_at: nat.found.is_here().then(|| env.now + KEEPALIVE_AFTER),
    }
}

/// Replies are kept as long as the peer may ask for them, unless DELETEDELAY is 0.
pub(super) fn keep_time(policy: &IsakmpPolicyConfig) -> Duration {
    if policy.delete_delay() == Duration::ZERO {
        return Duration::ZERO;
    }
    policy.patience().max(policy.delete_delay())
}

/// The address to send from: that of SRCINTERFACE, if it has one of the right version.
fn source(env: &Env<'_>, policy: &IsakmpPolicyConfig, peer: IpAddr) -> Option<IpAddr> {
    let id = env.net.by_name(policy.src_interface.as_ref()?)?;
    let addresses = env.net.get(id)?.addresses.iter();
    addresses
        .map(|(address, _)| *address)
        .find(|address| address.is_ipv4() == peer.is_ipv4())
}
