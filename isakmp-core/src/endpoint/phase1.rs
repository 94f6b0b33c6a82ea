//! Phase 1: who gets an exchange, and what an established SA begins.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_core::model::{Lifetime, Name, Role};
use ipsec_core::{Id, Instant, KEEPALIVE_AFTER};

use super::Endpoint;
use super::policies::at;
use crate::admission;
use crate::ask::{Action, Env, Path, Phase, Report};
use crate::config::{IsakmpPolicyConfig, Phase1Mode};
use crate::conversation::Conversation;
use crate::dpd::Dpd;
use crate::heartbeat::Heartbeat;
use crate::negotiate::phase1::{AuthBase, Phase1};
use crate::phase1::{
    AggrInit, AggrResp, Body, Common, Exchange, Extensions, First, HalfOpen, Incoming, KeyHalf,
    MainInit, MainResp, Opening, State, Step, Trouble, Up, expects, nonce, on_the_wire, types,
};
use crate::reason::{Mismatch, Reason, Subject, Whose};
use crate::rekey::Extension;
use crate::sa::{IsakmpSa, IsakmpSaId, PeerKey, Watch};
use crate::wire::{
    Cookie, ExchangeType, Flags, HEADER, Header, Identification, MessageId, NotifyType, Payload,
    PayloadType, Payloads, SaBody, Writer,
};

/// Replaced SAs of one peer that are kept until they expire.
const REPLACED_SAS: usize = 2;
/// How long a responder leaves the first quick mode to the initiator.
pub(super) const RESPONDER_WAITS: Duration = Duration::from_secs(2);
/// Who sent the last message before quick mode waits so long, so that the first one of quick mode
/// does not overtake it: on the way, or in a peer that works on several messages at a time.
pub(super) const SETTLING: Duration = Duration::from_millis(100);
/// How many times more exchanges an address may have unfinished than unproven.
const UNFINISHED: usize = 8;
/// The longest first message of Aggressive mode: it has to be kept.
const LONGEST_FIRST: usize = 4096;

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
            let subject = Subject::NoIsakmpPolicy;
            return self.cannot_start(peer, ExchangeType::Main, subject);
        };
        let kind = match policy.mode() {
            Phase1Mode::Main => ExchangeType::Main,
            Phase1Mode::Aggressive => ExchangeType::Aggressive,
        };
        if self.phase1.is_full() {
            return self.cannot_start(peer, kind, Subject::Full);
        }
        let mut cookie = Cookie::ZERO;
        if env.entropy.fill(&mut cookie.0).is_err() || cookie == Cookie::ZERO {
            return self.cannot_start(peer, kind, Subject::Entropy);
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
        };
        self.started(number, Phase::One, Role::Initiator, peer);
        let mut out = self.out(number);
        let state = match kind {
            ExchangeType::Aggressive => match AggrInit::start(&common, env, &mut out) {
                Ok(state) => State::AggrInit(state),
                Err(subject) => return self.cannot_start(peer, kind, subject),
            },
            _ => State::MainInit(MainInit::start(&mut common, env, &mut out)),
        };
        self.begin(Exchange::new(common, state, begin.replaces))
    }

    /// An exchange takes its place, which there is.
    fn begin(&mut self, exchange: Exchange) -> bool {
        let number = exchange.common.talk.number;
        match self.phase1.insert(exchange) {
            Some(id) => {
                self.places.insert(number, super::Place::Phase1(id));
                true
            }
            None => false,
        }
    }

    /// An exchange is over.
    pub(super) fn end_phase1(&mut self, id: Id) -> Option<Exchange> {
        let exchange = self.phase1.remove(id)?;
        self.places.remove(&exchange.common.talk.number);
        Some(exchange)
    }

    fn cannot_start(&mut self, peer: IpAddr, kind: ExchangeType, subject: Subject) -> bool {
        self.refused(peer, Reason::new(kind, 0, subject, Whose::Ours));
        self.fail_hopeless(peer);
        false
    }

    /// Something was refused before there was an exchange.
    fn refused(&mut self, peer: IpAddr, reason: Reason) {
        self.push(Action::Report(Report::Failed {
            exchange: 0,
            peer,
            reason,
        }));
    }

    /// Requests that neither an SA nor an exchange can serve have failed.
    pub(super) fn fail_hopeless(&mut self, peer: IpAddr) {
        if self.usable_sa(peer).is_none() && !self.is_under_way(peer) {
            self.fail_waiting(|acquire| acquire.peer == peer);
        }
    }

    fn is_first_contact(&self, peer: IpAddr) -> bool {
        self.usable_sa(peer).is_none() && !self.children.is_any_with(peer)
    }

    /// A message of Main or Aggressive mode.
    pub(super) fn phase1_message(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let header = incoming.header;
        if header.message_id.0 != 0 {
            self.counters.malformed += 1;
            return;
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
        if header.responder == Cookie::ZERO {
            return match main {
                true => self.first_main(env, incoming),
                false => self.first_aggressive(env, incoming),
            };
        }
        if let Some(id) = self.sa_of(header) {
            if !self.repeat(env.now, id, &incoming.digest) {
                self.counters.unknown += 1;
            }
            return;
        }
        if main {
            self.third_main(env, incoming);
        } else {
            self.third_aggressive(env, incoming);
        }
    }

    /// Message 1 of Main mode.
    fn first_main(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        if !self.policies.has_any_for(peer) {
            self.counters.strangers += 1;
            return;
        }
        let Some(hash) = self.hash_of(env, peer) else {
            return;
        };
        let initiator = incoming.header.initiator;
        let known = self.half_open.iter_mut().find_map(|table| {
            let same = |entry: &HalfOpen| entry.cookies.0 == initiator && entry.path == path;
            table.find(hash, env.now, same)?.as_mut()
        });
        if let Some(entry) = known {
            if entry.digest != incoming.digest {
                self.counters.unknown += 1;
                return;
            }
            self.counters.duplicates += 1;
            entry.repeats = entry.repeats.saturating_add(1);
            return second_main(entry, &mut self.actions);
        }
        let admitted = match self.admit_first(env, &incoming) {
            Ok(admitted) => admitted,
            Err((reason, notifies)) => return self.refuse_first(env, &incoming, reason, notifies),
        };
        let number = self.next_exchange();
        let Some(responder) = self.cookie(env, path, initiator, number) else {
            return;
        };
        let entry = HalfOpen {
            cookies: (initiator, responder),
            path,
            policy: admitted.policy,
            agreed: admitted.agreed,
            extensions: admitted.extensions,
            number,
            began: env.now,
            digest: incoming.digest,
            repeats: 0,
            suspected: false,
            body: Body::new(&admitted.sa_body),
        };
        self.started(number, Phase::One, Role::Responder, peer);
        self.push(Action::Report(Report::Message {
            exchange: number,
            sent: false,
            kind: ExchangeType::Main,
            message: 1,
            payloads: admitted.types,
            length: HEADER + incoming.body.len(),
            again: 0,
        }));
        second_main(&entry, &mut self.actions);
        // Whom a policy names is not displaced by those whom none does.
        let [named, unnamed, long] = &mut self.half_open;
        let table = match (entry.body.is_long(), self.policies.names(peer)) {
            (true, _) => long,
            (false, true) => named,
            (false, false) => unnamed,
        };
        if table.insert(hash, env.now, entry) {
            self.counters.evicted += 1;
        }
    }

    /// A refused first message: told and answered seldom enough to be of no use to an attacker.
    fn refuse_first(
        &mut self,
        env: &mut Env<'_>,
        incoming: &Incoming<'_>,
        reason: Reason,
        notifies: bool,
    ) {
        let path = incoming.path;
        if !self.is_seldom(env.now, path.peer.ip()) {
            return;
        }
        self.refused(path.peer.ip(), reason);
        if notifies && reason.subject == Subject::NoProposal {
            let kind = NotifyType::NO_PROPOSAL_CHOSEN;
            self.complain(env, path, incoming.header.initiator, kind);
        }
    }

    /// Chooses policy and transform for a first message of Main mode.
    fn admit_first(
        &self,
        env: &Env<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<Admitted, (Reason, bool)> {
        let kind = ExchangeType::Main;
        let refuse = |subject| (Reason::new(kind, 1, subject, Whose::Ours), false);
        let payloads = admitted(kind, incoming).map_err(refuse)?;
        let (offer, body) = offer(&payloads).map_err(refuse)?;
        let peer = incoming.path.peer.ip();
        let mut nearest: Option<(Reason, bool)> = None;
        for (place, policy) in self
            .policies
            .for_initiator(env.config, peer, Phase1Mode::Main)
        {
            match Phase1::of(policy, Role::Responder).choose(&offer) {
                Ok((agreed, _)) => {
                    return Ok(Admitted {
                        policy: place,
                        agreed,
                        sa_body: body.to_vec(),
                        extensions: Extensions::admit(policy, &payloads),
                        types: payloads.all().iter().map(|raw| raw.kind).collect(),
                    });
                }
                Err(mismatch) => {
                    let reason = refuse(Subject::NoProposal).0.with(mismatch);
                    nearest.get_or_insert((reason, policy.notifies()));
                }
            }
        }
        Err(nearest.unwrap_or(refuse(Subject::Mode)))
    }

    /// Message 3 of Main mode, whose cookie proves the initiator's address.
    fn third_main(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        let cookies = (incoming.header.initiator, incoming.header.responder);
        let (Some(hash), false) = (self.hash_of(env, peer), self.phase1.is_full()) else {
            self.counters.unknown += 1;
            return;
        };
        let first_contact = self.is_first_contact(peer);
        let found = self.half_open.iter_mut().find_map(|table| {
            let same = |entry: &HalfOpen| entry.cookies == cookies && entry.path == path;
            table.find(hash, env.now, same)
        });
        let Some(slot) = found else {
            self.counters.unknown += 1;
            return;
        };
        let Some(entry) = slot.as_mut() else { return };
        let Some(policy) = at(env.config, entry.policy).cloned() else {
            *slot = None;
            return;
        };
        let mut common = Common {
            talk: Conversation::new(entry.number, ExchangeType::Main, path),
            kind: ExchangeType::Main,
            role: Role::Responder,
            address: peer,
            policy,
            agreed: entry.agreed,
            cookies,
            sa_body: entry.body.as_bytes().to_vec(),
            first_contact,
            began: entry.began,
            extensions: entry.extensions,
            suspicion: None,
            told: None,
        };
        common.talk.fragments = entry.extensions.features.fragments;
        let third = match MainResp::admit(&mut common, env, incoming) {
            Ok(third) => third,
            Err(Trouble::Ignored(reason) | Trouble::Fatal(reason)) => {
                let (number, told) = (entry.number, entry.suspected);
                entry.suspected = true;
                if !told {
                    self.push(Action::Report(Report::Suspicious {
                        exchange: number,
                        peer,
                        reason,
                    }));
                }
                return;
            }
        };
        *slot = None;
        self.keep_few_unfinished(peer);
        let mut out = self.out(common.talk.number);
        let state = State::MainResp(MainResp::start(&mut common, &mut out, third));
        self.begin(Exchange::new(common, state, None));
    }

    /// Message 1 of Aggressive mode. For an identity that no policy expects as much is computed
    /// as for one that is expected, and nothing is said.
    fn first_aggressive(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        let length = HEADER + incoming.body.len();
        let mode = Phase1Mode::Aggressive;
        let mut candidates = self.policies.for_initiator(env.config, peer, mode);
        if candidates.next().is_none() {
            drop(candidates);
            if self.policies.names(peer) {
                let kind = ExchangeType::Aggressive;
                let reason = Reason::new(kind, 1, Subject::Mode, Whose::Ours);
                self.refuse_first(env, &incoming, reason, false);
            } else {
                self.counters.strangers += 1;
            }
            return;
        }
        drop(candidates);
        let Some(hash) = self.hash_of(env, peer) else {
            return;
        };
        let initiator = incoming.header.initiator;
        let same = |entry: &Opening| entry.cookies().0 == initiator && entry.path() == path;
        if let Some(entry) = self.openings.find(hash, env.now, same) {
            let Some(entry) = entry.as_mut() else { return };
            if entry.common.talk.is_duplicate(&incoming.digest) {
                self.counters.duplicates += 1;
                let number = entry.common.talk.number;
                let mut out = super::out(&mut self.actions, &mut self.tickets, number);
                entry.common.talk.answer_again(&mut out);
            } else {
                self.counters.unknown += 1;
            }
            return;
        }
        if length > LONGEST_FIRST || !self.bucket.take(env.now) {
            self.counters.unknown += 1;
            return;
        }
        let kind = ExchangeType::Aggressive;
        match self.admit_aggressive(env, &incoming) {
            Ok((admitted, first)) => self.open_aggressive(env, incoming, hash, admitted, first),
            Err((subject, mismatch, notifies)) => {
                let reason = Reason::new(kind, 1, subject, Whose::Ours).with(mismatch);
                self.refuse_first(env, &incoming, reason, notifies);
            }
        }
    }

    /// Chooses policy and transform for a first message of Aggressive mode.
    fn admit_aggressive(
        &self,
        env: &Env<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<(Admitted, First), (Subject, Option<Mismatch>, bool)> {
        let refuse = |subject| (subject, None, false);
        let payloads = admitted(ExchangeType::Aggressive, incoming).map_err(refuse)?;
        let (offer, body) = offer(&payloads).map_err(refuse)?;
        let id = payloads
            .first(PayloadType::ID)
            .and_then(|raw| Identification::parse(raw.body).ok())
            .ok_or(refuse(Subject::Malformed))?;
        let path = incoming.path;
        let mode = Phase1Mode::Aggressive;
        let policies = self
            .policies
            .for_initiator(env.config, path.peer.ip(), mode);
        let mut nearest: Option<(Subject, Option<Mismatch>, bool)> = None;
        for (place, policy) in policies {
            // Every policy is tried, so that the time does not tell which identities there are.
            let fits = expects(policy, path, &id);
            let chosen = Phase1::of(policy, Role::Responder).choose(&offer);
            match (fits, chosen) {
                (true, Ok((agreed, answer))) => {
                    let peer = KeyHalf::read(env, agreed.group, &payloads).map_err(refuse)?;
                    let admitted = Admitted {
                        policy: place,
                        agreed,
                        sa_body: body.to_vec(),
                        extensions: Extensions::admit(policy, &payloads),
                        types: payloads.all().iter().map(|raw| raw.kind).collect(),
                    };
                    return Ok((admitted, First { peer, id, answer }));
                }
                (true, Err(mismatch)) => {
                    nearest.get_or_insert((Subject::NoProposal, mismatch, policy.notifies()));
                }
                (false, _) => {}
            }
        }
        if nearest.is_none() {
            self.pretend(env, &payloads);
        }
        Err(nearest.unwrap_or(refuse(Subject::Identity)))
    }

    /// What an answer would have computed.
    fn pretend(&self, env: &Env<'_>, payloads: &Payloads<'_>) {
        let nonce = payloads
            .first(PayloadType::NONCE)
            .map_or(&[][..], |raw| raw.body);
        let hash = hw_offload::Hash::Sha1;
        let key = self
            .secret
            .as_ref()
            .map_or(&[][..], |secret| secret.expose());
        let root = crate::keys::Root::pre_shared(env.primitives, hash, key, (nonce, nonce));
        let public = payloads
            .first(PayloadType::KE)
            .map_or(&[][..], |raw| raw.body);
        let cookies = (Cookie::ZERO, Cookie::ZERO);
        let proof = root.proof(env.primitives, (public, public), cookies, nonce, nonce);
        // The value is not used: the time it took is.
        core::hint::black_box(proof);
    }

    /// Answers message 1 of Aggressive mode.
    fn open_aggressive(
        &mut self,
        env: &mut Env<'_>,
        incoming: Incoming<'_>,
        hash: u64,
        admitted: Admitted,
        first: First,
    ) {
        let path = incoming.path;
        let peer = path.peer.ip();
        let Some(policy) = at(env.config, admitted.policy).cloned() else {
            return;
        };
        let agreed = admitted.agreed;
        let pair = self.pool.lend(agreed.group, policy.exponent_bits());
        let (Some(pair), Some(nonce)) = (pair, nonce(env.entropy)) else {
            // Too early after a start: the initiator will ask again.
            self.counters.unknown += 1;
            return self.refill_pool(env);
        };
        let number = self.next_exchange();
        let initiator = incoming.header.initiator;
        let Some(responder) = self.cookie(env, path, initiator, number) else {
            return;
        };
        let own = KeyHalf {
            public: on_the_wire(env, &pair.public),
            nonce,
        };
        if own.reflects(&first.peer) {
            self.counters.malformed += 1;
            return;
        }
        let kind = ExchangeType::Aggressive;
        let mut common = Common {
            talk: Conversation::new(number, kind, path),
            kind,
            role: Role::Responder,
            address: peer,
            policy,
            agreed,
            cookies: (initiator, responder),
            sa_body: admitted.sa_body,
            first_contact: self.is_first_contact(peer),
            began: env.now,
            extensions: admitted.extensions,
            suspicion: None,
            told: None,
        };
        common.talk.fragments = common.extensions.features.fragments;
        self.started(number, Phase::One, Role::Responder, peer);
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        let length = HEADER + incoming.body.len();
        let talk = &mut common.talk;
        talk.accepted(&mut out, incoming.digest, 1, admitted.types, length);
        if agreed.method.base == AuthBase::PreShared {
            match Opening::start(common, env, &mut out, first, pair.exponent, own) {
                Ok(opening) => {
                    if self.openings.insert(hash, env.now, opening) {
                        self.counters.evicted += 1;
                    }
                }
                Err(subject) => self.refused(peer, Reason::new(kind, 2, subject, Whose::Ours)),
            }
            return;
        }
        if self.phase1.is_full() {
            return self.refused(peer, Reason::new(kind, 2, Subject::Full, Whose::Ours));
        }
        let state = AggrResp::prepare(&common, &mut out, first, pair.exponent.duplicate(), own);
        self.keep_few_unfinished(peer);
        self.begin(Exchange::new(common, State::AggrResp(state), None));
        self.pool.spend(&pair.exponent);
        self.refill_pool(env);
    }

    /// Message 3 of Aggressive mode, whose cookie proves the initiator's address.
    fn third_aggressive(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let peer = incoming.path.peer.ip();
        let cookies = (incoming.header.initiator, incoming.header.responder);
        let (Some(hash), false) = (self.hash_of(env, peer), self.phase1.is_full()) else {
            self.counters.unknown += 1;
            return;
        };
        let same = |entry: &Opening| entry.cookies() == cookies;
        let found = self.openings.find(hash, env.now, same);
        let Some(slot) = found else {
            self.counters.unknown += 1;
            return;
        };
        let Some(entry) = slot.as_mut() else { return };
        let number = entry.common.talk.number;
        let third = match entry.admit(env, incoming) {
            Ok(third) => third,
            Err(Trouble::Ignored(reason) | Trouble::Fatal(reason)) => {
                let told = entry.common.suspicion.replace(reason).is_some();
                if !told {
                    self.push(Action::Report(Report::Suspicious {
                        exchange: number,
                        peer,
                        reason,
                    }));
                }
                return;
            }
        };
        let Some(opening) = slot.take() else { return };
        self.pool.spend(opening.exponent());
        self.keep_few_unfinished(peer);
        let mut out = self.out(number);
        let (common, state) = opening.promote(&mut out, third);
        self.begin(Exchange::new(common, State::AggrResp(state), None));
        self.refill_pool(env);
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
        let found = self.openings.find(hash, env.now, same);
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
    fn keep_few_unfinished(&mut self, peer: IpAddr) {
        let begun = self.phase1.with(peer);
        let begun = begun.filter(|(_, exchange)| exchange.role() == Role::Responder);
        let mut begun: Vec<(u32, Id)> = begun
            .map(|(id, exchange)| (exchange.common.talk.number, id))
            .collect();
        begun.sort_unstable();
        let limit = usize::from(self.limits.half_open_per_address) * UNFINISHED;
        if let Some((_, oldest)) = begun.first().filter(|_| begun.len() >= limit.max(1)) {
            self.end_phase1(*oldest);
            self.counters.evicted += 1;
        }
    }

    /// The keyed hash of an address, which places it in the tables of strangers.
    fn hash_of(&mut self, env: &mut Env<'_>, peer: IpAddr) -> Option<u64> {
        let digest = self.keyed(env, &[&octets(peer)])?;
        let head = digest.as_bytes().first_chunk::<8>()?;
        Some(u64::from_be_bytes(*head))
    }

    /// A responder's cookie: nobody who does not receive it can know it.
    fn cookie(
        &mut self,
        env: &mut Env<'_>,
        path: Path,
        initiator: Cookie,
        number: u32,
    ) -> Option<Cookie> {
        let ports = [path.local.port(), path.peer.port()].map(u16::to_be_bytes);
        let (local, peer) = (octets(path.local.ip()), octets(path.peer.ip()));
        let number = number.to_be_bytes();
        let parts: [&[u8]; 5] = [&local, &peer, ports.as_flattened(), &initiator.0, &number];
        let digest = self.keyed(env, &parts)?;
        let cookie = Cookie(*digest.as_bytes().first_chunk::<8>()?);
        (cookie != Cookie::ZERO && cookie != initiator).then_some(cookie)
    }

    fn keyed(&mut self, env: &mut Env<'_>, parts: &[&[u8]]) -> Option<hw_offload::Digest> {
        if self.secret.is_none() {
            let mut bytes = alloc::vec![0; 20];
            env.entropy.fill(&mut bytes).ok()?;
            self.secret = Some(hw_offload::Secret::new(bytes));
        }
        let secret = self.secret.as_ref()?;
        Some(
            env.primitives
                .hmac(hw_offload::Hash::Sha1, secret.expose(), parts),
        )
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
                self.push(Action::Report(Report::Failed {
                    exchange: number,
                    peer,
                    reason,
                }));
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
        self.push(Action::Report(Report::Completed {
            exchange: common.talk.number,
            phase: Phase::One,
        }));
        self.numbers = self.numbers.wrapping_add(1);
        let number = self.numbers;
        let identity = up.identity;
        let owner = PeerKey::new(&identity, path);
        // A peer that restarted began this exchange afterwards: what came up meanwhile, by an
        // exchange that crossed this one, it knows.
        if up.initial_contact {
            self.peer_restarted(env, &owner, common.began, None);
        }
        self.replace_sas(env, &owner);
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
            identity,
            number,
            times,
            watch,
        );
        if last_was_ours && let Some((to, bytes)) = common.talk.into_reply() {
            sa.keep_reply(to, bytes, env.now, keep);
        }
        let Some(id) = self.sas.insert(sa) else {
            self.cannot_start(peer, common.kind, Subject::Full);
            return;
        };
        self.start_xauth(env, IsakmpSaId(id));
        self.phase1_succeeded(peer);
        if role == Role::Responder {
            // The initiator most likely has something to negotiate, perhaps the same.
            self.hold_waiting(peer, env.now + RESPONDER_WAITS);
        } else if last_was_ours {
            self.hold_waiting(peer, env.now + SETTLING);
        }
        self.start_waiting(env);
    }

    /// What waits for an SA with a peer waits until then at least.
    pub(super) fn hold_waiting(&mut self, peer: IpAddr, until: Instant) {
        for waiting in self.waiting.iter_mut().filter(|w| w.acquire.peer == peer) {
            waiting.not_before = waiting.not_before.max(until);
        }
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

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// What came of a first message.
struct Admitted {
    policy: u16,
    agreed: Phase1,
    sa_body: Vec<u8>,
    extensions: Extensions,
    types: Vec<PayloadType>,
}

/// The payloads of a first message.
fn admitted<'a>(kind: ExchangeType, incoming: &Incoming<'a>) -> Result<Payloads<'a>, Subject> {
    let payloads =
        Payloads::parse(incoming.header.next, incoming.body).map_err(|_| Subject::Malformed)?;
    let encrypted = incoming.header.flags.encrypted();
    if admission::admits(kind, 1, encrypted, &payloads) {
        Ok(payloads)
    } else {
        Err(Subject::Payloads)
    }
}

/// The offer of a first message, and its bytes.
fn offer<'a>(payloads: &Payloads<'a>) -> Result<(SaBody<'a>, &'a [u8]), Subject> {
    let sa = payloads.first(PayloadType::SA).ok_or(Subject::Payloads)?;
    match Payload::parse(sa) {
        Ok(Payload::Sa(offer)) => Ok((offer, sa.body)),
        _ => Err(Subject::Malformed),
    }
}

/// Message 2 of Main mode.
fn second_main(entry: &HalfOpen, actions: &mut alloc::collections::VecDeque<Action>) {
    let Some(answer) = entry.answer() else { return };
    let mut writer = Writer::new();
    writer.push(PayloadType::SA, &answer);
    entry.extensions.push_answer(&mut writer);
    let header = Header {
        initiator: entry.cookies.0,
        responder: entry.cookies.1,
        next: PayloadType::NONE,
        exchange: ExchangeType::Main,
        flags: Flags(0),
        message_id: MessageId(0),
    };
    let bytes = writer.message(header);
    actions.push_back(Action::Report(Report::Message {
        exchange: entry.number,
        sent: true,
        kind: ExchangeType::Main,
        message: 2,
        payloads: types(&writer),
        length: bytes.len(),
        again: entry.repeats,
    }));
    let path = entry.path;
    actions.push_back(Action::Send { path, bytes });
}
