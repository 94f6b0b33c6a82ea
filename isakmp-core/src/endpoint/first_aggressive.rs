//! First messages of Aggressive mode, and the messages that prove the addresses they came from.

use core::net::IpAddr;

use ipsec_core::Instant;
use ipsec_core::model::Role;

use super::Endpoint;
use super::first_main::{Admitted, admitted, offer};
use super::policies::at;
use crate::ask::{Action, Env, Phase, Report};
use crate::config::Phase1Mode;
use crate::conversation::Conversation;
use crate::counters::Happened;
use crate::negotiate::phase1::{AuthBase, Phase1};
use crate::phase1::{
    AggrResp, Common, Exchange, Extensions, First, Incoming, KeyHalf, Opening, State, Trouble,
    asks_certificate, expects, find_in, nonce, on_the_wire, unexpected,
};
use crate::reason::{Reason, Subject, Whose};
use crate::wire::{Cookie, ExchangeType, HEADER, Identification, PayloadType, Payloads};

/// What an answer with a signature costs, in answers without.
const SIGNATURE: u8 = 20;
/// The longest first message of Aggressive mode: it has to be kept.
const LONGEST_FIRST: usize = 4096;

impl Endpoint {
    /// Message 1 of Aggressive mode. For an identity that no policy expects as much is computed
    /// as for one that is expected, and nothing is said.
    pub(super) fn first_aggressive(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        let length = HEADER + incoming.body.len();
        let mode = Phase1Mode::Aggressive;
        let mut candidates = self.policies.for_initiator(env.config, peer, mode);
        if candidates.next().is_none() {
            drop(candidates);
            if self.policies.names(peer) {
                let reason = self.policies.wrong_mode(env.config, peer, mode);
                self.refuse_first(env, &incoming, reason, false);
            } else {
                self.counters.raise(Happened::XdbStranger);
                self.counters.raise(Happened::SpdByPeerFailed);
            }
            return;
        }
        drop(candidates);
        let Some(hash) = self.hash_of(env, peer) else {
            return;
        };
        let initiator = incoming.header.initiator;
        let same = |entry: &Opening| entry.cookies().0 == initiator && entry.path() == path;
        if let Some(entry) = find_in(&mut self.openings, hash, env.now, same) {
            let Some(entry) = entry.as_mut() else { return };
            if entry.common.talk.is_duplicate(&incoming.digest) {
                self.counters.raise(Happened::XdbDuplicate);
                let number = entry.common.talk.number;
                let mut out = super::out(&mut self.actions, &mut self.tickets, number);
                entry.common.talk.answer_again(&mut out);
            } else {
                self.counters.raise(Happened::MsgRxUnexpectedMsg);
            }
            return;
        }
        if length > LONGEST_FIRST {
            return self.counters.raise(Happened::MsgRxPh1XchgStartFail);
        }
        match self.admit_aggressive(env, &incoming) {
            Ok((admitted, _)) if !self.is_in_turn(env.now, peer, &admitted) => {
                self.counters.raise(Happened::MsgRxPh1XchgStartFail);
            }
            Ok((admitted, first)) => self.open_aggressive(env, incoming, hash, admitted, first),
            Err((reason, notifies)) => self.refuse_first(env, &incoming, reason, notifies),
        }
    }

    /// Whether a first message that could be answered is. Strangers, of whom only the name is
    /// known, take their turn; so does whoever claims an address that a policy names, where the
    /// answer costs an exponentiation and a signature.
    fn is_in_turn(&mut self, now: Instant, peer: IpAddr, admitted: &Admitted) -> bool {
        let named = self.policies.names(peer);
        let signs = admitted.agreed.method.base != AuthBase::PreShared;
        let tokens = if signs { SIGNATURE } else { 1 };
        let [of_named, of_others] = &mut self.buckets;
        let bucket = if named { of_named } else { of_others };
        named && !signs || bucket.take(now, tokens)
    }

    /// Chooses policy and transform for a first message of Aggressive mode.
    fn admit_aggressive(
        &self,
        env: &Env<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<(Admitted, First), (Reason, bool)> {
        let kind = ExchangeType::Aggressive;
        let refuse = |subject| (Reason::new(kind, 1, subject, Whose::Ours), false);
        let payloads = admitted(kind, incoming).map_err(refuse)?;
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
        let (mut nearest, mut stranger) = (None, None);
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
                    let first = First {
                        peer,
                        id,
                        answer,
                        certificate_asked: asks_certificate(&payloads),
                    };
                    return Ok((admitted, first));
                }
                (true, Err(mismatch)) => {
                    let reason = refuse(Subject::NoProposal).0.with(mismatch);
                    nearest.get_or_insert((reason.under(&policy.name), policy.notifies()));
                }
                (false, _) => {
                    let reason = refuse(Subject::Identity).0;
                    let mismatch = unexpected(policy, path, &id);
                    stranger.get_or_insert(reason.with(Some(mismatch)).under(&policy.name));
                }
            }
        }
        if nearest.is_none() {
            self.pretend(env, &payloads);
        }
        let stranger = stranger.map_or(refuse(Subject::Identity), |reason| (reason, false));
        Err(nearest.unwrap_or(stranger))
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
            self.counters.raise(Happened::MsgRxPh1XchgStartFail);
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
            return self.counters.raise(Happened::MsgRxPh1XchgStartFail);
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
            passes: 0,
            certificate_asked: first.certificate_asked,
        };
        common.talk.fragments = common.extensions.features.fragments;
        self.counters.raise(Happened::SpdByPeerGood);
        self.counters.raise(Happened::XdbHalfOpenAdd);
        self.started(env, (kind, Role::Responder), number, Phase::One, peer);
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        let length = HEADER + incoming.body.len();
        let talk = &mut common.talk;
        talk.accepted(&mut out, incoming.digest, 1, admitted.types, length);
        if agreed.method.base == AuthBase::PreShared {
            match Opening::start(common, env, &mut out, first, pair.exponent, own) {
                Ok(opening) => {
                    let [named, unnamed] = &mut self.openings;
                    let table = if self.policies.names(peer) {
                        named
                    } else {
                        unnamed
                    };
                    if table.insert(hash, env.now, opening) {
                        self.counters.raise(Happened::XdbHalfOpenEvicted);
                    }
                }
                Err(subject) => self.refused(env, peer, Reason::new(kind, 2, subject, Whose::Ours)),
            }
            return;
        }
        if self.phase1.is_full() {
            return self.refused(env, peer, Reason::new(kind, 2, Subject::Full, Whose::Ours));
        }
        let state = AggrResp::prepare(
            &common,
            env,
            &mut out,
            first,
            pair.exponent.duplicate(),
            own,
        );
        self.keep_few_unfinished(peer);
        self.begin(env, Exchange::new(common, State::AggrResp(state), None));
        self.pool.spend(&pair.exponent);
        self.refill_pool(env);
    }

    /// Message 3 of Aggressive mode, whose cookie proves the initiator's address.
    pub(super) fn third_aggressive(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let peer = incoming.path.peer.ip();
        let cookies = (incoming.header.initiator, incoming.header.responder);
        let (Some(hash), false) = (self.hash_of(env, peer), self.phase1.is_full()) else {
            self.counters.raise(Happened::MsgRxP1NoXcgNot1stMsg);
            return;
        };
        let same = |entry: &Opening| entry.cookies() == cookies;
        let found = find_in(&mut self.openings, hash, env.now, same);
        let Some(slot) = found else {
            self.counters.raise(Happened::MsgRxP1NoXcgNot1stMsg);
            return;
        };
        let Some(entry) = slot.as_mut() else { return };
        let number = entry.common.talk.number;
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        let third = match entry.admit(env, &mut out, incoming) {
            Ok(third) => third,
            Err(Trouble::Ignored(reason) | Trouble::Fatal(reason)) => {
                let reason = reason.under(&entry.common.policy.name);
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
        self.begin(env, Exchange::new(common, State::AggrResp(state), None));
        self.refill_pool(env);
    }
}
