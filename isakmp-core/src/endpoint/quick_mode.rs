//! Quick mode: which exchange a message belongs to, and what a finished one leads to.

use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::model::{
    AddressSelector, PeerAddress, PolicyConfig, Protocol, Role, Selector, Spi,
};
use ipsec_core::{Id, Instant, RemoveWhy, RemovedBundle};

use super::count::kept;
use super::phase1::Begin;
use super::{Child, Endpoint, Place};
use crate::ask::{Acquire, Action, Env, Path, Phase, Report};
use crate::counters::Happened;
use crate::debug::IsakmpDebug;
use crate::phase1::Incoming;
use crate::phase2::{
    Commit, Common, Exchange, Kept, Step, Trouble, admit, responder_offer, trace_offer,
};
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::sa::IsakmpSaId;
use crate::trace::Trace;
use crate::wire::{ExchangeType, HEADER, MessageId, NotifyType, SaBody};

impl Endpoint {
    /// Begins quick modes for requests whose turn has come, and phase 1 for those that have
    /// neither an SA nor an exchange that could become one.
    pub(super) fn start_waiting(&mut self, env: &mut Env<'_>) {
        while let Some(peer) = self.waits.next_stirred(env.now) {
            self.start_waiting_for(env, peer);
        }
    }

    fn start_waiting_for(&mut self, env: &mut Env<'_>, peer: IpAddr) {
        if self.usable_sa(peer).is_none() && !self.is_under_way(peer) {
            // Begun or failed, no request for that peer is without an exchange afterwards.
            let Some(first) = self.waits.first(peer) else {
                return;
            };
            let policy = env.ipsec.policy(first.policy.as_str());
            let begin = Begin {
                local: first.local,
                peer,
                policy: policy.and_then(|policy| policy.isakmp_policy.as_ref()),
                replaces: None,
            };
            let create = || Trace::CreatePhase1;
            let part = (ExchangeType::Quick, Role::Initiator);
            super::out(&mut self.actions, &mut self.tickets, 0).trace(
                env,
                part,
                IsakmpDebug::TRACE,
                create,
            );
            if !self.start_phase1(env, &begin) {
                self.counters.raise(Happened::AcqPh1XchgStartFailed);
            }
            return;
        }
        while self.usable_sa(peer).is_some()
            && let Some(next) = self.waits.due(peer, env.now)
        {
            let sa = self.sa_for(next, env);
            if sa.is_some_and(|sa| !self.has_room(sa)) {
                return;
            }
            let Some(acquire) = self.waits.take(peer, env.now) else {
                return;
            };
            match sa {
                Some(sa) => self.start_quick(env, sa, &acquire),
                None => {
                    let subject = Subject::Absent;
                    let reason = Reason::new(ExchangeType::Quick, 0, subject, Whose::Theirs);
                    self.quick_failed(env, &acquire, reason);
                }
            }
        }
    }

    fn has_room(&self, sa: IsakmpSaId) -> bool {
        self.quick.under(sa).count() < usize::from(self.limits.quick_modes_per_sa)
    }

    fn start_quick(&mut self, env: &mut Env<'_>, id: IsakmpSaId, acquire: &Acquire) {
        let fail = |subject| Reason::new(ExchangeType::Quick, 0, subject, Whose::Ours);
        if self.quick.is_full() {
            return self.quick_failed(env, acquire, fail(Subject::Full));
        }
        let message_id = match self.new_message_id(env, id) {
            Ok(message_id) => message_id,
            Err(subject) => return self.quick_failed(env, acquire, fail(subject)),
        };
        let number = self.next_exchange();
        let Some(sa) = self.sas.get(id.0) else { return };
        let common = Common {
            talk: sa.conversation(number, ExchangeType::Quick),
            sa: id,
            message_id,
            iv: sa.iv(env.primitives, message_id),
            isakmp_policy: sa.policy.clone(),
            policy: acquire.policy.clone(),
            renews: acquire.renews.clone(),
            role: Role::Initiator,
            bundle: None,
            spis: Vec::new(),
            proposed: None,
            ids: None,
            agreed: Kept::default(),
            commit: Commit {
                ours: sa.policy.commits(),
                ..Commit::default()
            },
            suspicion: None,
        };
        let peer = sa.path.peer.ip();
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        trace_offer(sa, env, &mut out, acquire);
        self.started(env, common.part(), number, Phase::Two, peer);
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        sa.begin_exchange();
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        common.trace_start(sa, env, &mut out);
        match Exchange::initiator(common, acquire, sa, env, &mut out) {
            Ok(exchange) => self.begin_quick(env, exchange),
            Err(reason) => self.quick_failed(env, acquire, reason),
        }
    }

    /// A quick mode takes its place, which there is.
    fn begin_quick(&mut self, env: &Env<'_>, quick: Exchange) {
        let number = quick.common.talk.number;
        quick.watch(env, &mut self.out(number), None);
        if let Some(id) = self.quick.insert(quick) {
            self.counters.raise(Happened::XdbAdd);
            self.places.insert(number, Place::Quick(id));
        }
    }

    fn end_quick(&mut self, id: Id) -> Option<Exchange> {
        let quick = self.quick.remove(id)?;
        self.counters.raise(Happened::XdbDelete);
        self.places.remove(&quick.common.talk.number);
        self.waits.stir(quick.common.talk.path.peer.ip());
        if let Some(sa) = self.sas.get_mut(quick.common.sa.0) {
            sa.quick_ended();
        }
        Some(quick)
    }

    fn quick_failed(&mut self, env: &Env<'_>, acquire: &Acquire, reason: Reason) {
        let reason = reason.under(&acquire.policy);
        self.counters.raise(Happened::AcqPh2XchgStartFailed);
        let (exchange, peer) = (0, acquire.peer);
        self.failed(env, Role::Initiator, exchange, peer, reason);
        self.push(Action::Failed(acquire.policy.clone()));
    }

    /// A random message id that was not used under this SA, remembered from here on.
    pub(super) fn new_message_id(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
    ) -> Result<MessageId, Subject> {
        let sa = self.sas.get_mut(id.0).ok_or(Subject::Full)?;
        sa.new_message_id(env.entropy)
    }

    /// A message of quick mode.
    pub(super) fn quick_mode(&mut self, env: &mut Env<'_>, path: Path, incoming: Incoming<'_>) {
        let header = *incoming.header;
        let Some(id) = self.sa_by(&header, path) else {
            if !self.is_early(env, &incoming) {
                self.counters.raise(Happened::MsgRxPhase2NoSa);
            }
            return;
        };
        let Some(place) = self.quick.by_message(id, header.message_id) else {
            if self.repeat(env.now, id, &incoming.digest) {
                return;
            }
            let Some(sa) = self.sas.get(id.0) else { return };
            self.counters.raise(Happened::MsgRxNoExchange);
            self.counters.raise(Happened::MsgRxNoExchangePhase2);
            if sa.is_used(header.message_id) {
                return self.counters.raise(Happened::DeleteDelayPktDiff);
            }
            if header.message_id.0 == 0 || sa.is_spent() {
                return self.counters.raise(Happened::MsgRxUnexpectedMsg);
            }
            return self.first_quick(env, id, incoming);
        };
        let (Some(quick), Some(sa)) = (self.quick.get_mut(place), self.sas.get(id.0)) else {
            return;
        };
        let number = quick.common.talk.number;
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        if quick.common.talk.is_duplicate(&incoming.digest) {
            self.counters.raise(Happened::XdbDuplicate);
            quick.common.talk.answer_again(&mut out);
            return;
        }
        let step = quick.receive(sa, env, &mut out, &incoming);
        if quick.common.talk.is_duplicate(&incoming.digest) {
            // It was accepted, hence authentic.
            if let Some(sa) = self.sas.get_mut(id.0) {
                sa.count(HEADER + incoming.body.len());
            }
            self.seen(env.now, id, path);
        } else {
            self.count_ignored(&header);
        }
        self.after_quick(env, place, step);
    }

    /// Message 1 of a quick mode.
    fn first_quick(&mut self, env: &mut Env<'_>, id: IsakmpSaId, incoming: Incoming<'_>) {
        let message_id = incoming.header.message_id;
        let Some(sa) = self.sas.get(id.0) else { return };
        let peer = sa.path.peer.ip();
        let iv = sa.iv(env.primitives, message_id);
        let mut out = super::out(&mut self.actions, &mut self.tickets, 0);
        let opened = match admit(1, sa, env, &mut out, &iv, &[], &incoming) {
            Ok(opened) => opened,
            Err(Trouble::Ignored(reason)) => {
                self.count_ignored(incoming.header);
                return self.suspect(id, reason);
            }
            Err(Trouble::Fatal(reason)) => {
                return self.refuse_quick(env, id, message_id, reason, &[]);
            }
        };
        // Authentic from here on: the message id is spent.
        self.seen(env.now, id, incoming.path);
        let Some(sa) = self.sas.get(id.0) else { return };
        let refuse = |subject| Err(Reason::new(ExchangeType::Quick, 1, subject, Whose::Ours));
        // Who was told OK knows it before we know that it knows.
        let offer = if !sa.xauth.finished && !sa.xauth.ok {
            refuse(Subject::XauthFirst)
        } else if self.quick.is_full() || !sa.takes_quick_of_peer() {
            refuse(Subject::Full)
        } else {
            responder_offer(sa, env, &opened)
        };
        let offer = offer.and_then(|(offer, policy)| {
            let wanted = offer.selector();
            if !self.is_taken(id, policy, wanted) {
                return Ok((offer, policy));
            }
            let refused = Reason::new(ExchangeType::Quick, 1, Subject::Taken, Whose::Ours);
            let theirs = Value::text(wanted.remote);
            let mismatch = Mismatch::new("RADDRESS", Value::Unsaid, theirs);
            Err(refused.with(Some(mismatch)).under(&policy.name))
        });
        let (offer, policy) = match offer {
            Ok(admitted) => admitted,
            Err(reason) => {
                return self.refuse_quick(env, id, message_id, reason, &opened.sa_body);
            }
        };
        let number = self.next_exchange();
        let Some(sa) = self.sas.get(id.0) else { return };
        let mut common = Common {
            talk: sa.conversation(number, ExchangeType::Quick),
            sa: id,
            message_id,
            iv: opened.iv,
            isakmp_policy: sa.policy.clone(),
            policy: policy.name.clone(),
            renews: None,
            role: Role::Responder,
            bundle: None,
            spis: Vec::new(),
            proposed: offer.proposed(),
            ids: opened.ids.clone(),
            agreed: Kept::default(),
            commit: Commit {
                ours: sa.policy.commits(),
                theirs: incoming.header.flags.commit(),
                until: None,
            },
            suspicion: None,
        };
        self.started(
            env,
            (ExchangeType::Quick, Role::Responder),
            number,
            Phase::Two,
            peer,
        );
        let Some(sa) = self.sas.get(id.0) else { return };
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        common.trace_start(sa, env, &mut out);
        opened.trace(env, &mut out, common.part(), offer.matched());
        let length = HEADER + incoming.body.len();
        common
            .talk
            .accepted(&mut out, incoming.digest, 1, opened.types, length);
        let exchange = Exchange::responder(common, offer, &mut out);
        self.begin_quick(env, exchange);
        if let Some(sa) = self.sas.get_mut(id.0) {
            sa.remember(message_id);
            sa.begin_exchange();
            sa.count(length);
        }
        self.confirm_xauth(env, id);
    }

    /// A message that nobody has authenticated: told once for an SA, since anybody who has seen
    /// its cookies can send it.
    fn suspect(&mut self, id: IsakmpSaId, reason: Reason) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        if !core::mem::replace(&mut sa.suspected, true) {
            let (exchange, peer) = (0, sa.path.peer.ip());
            let reason = reason.under(&sa.policy.name);
            self.push(Action::Report(Report::Suspicious {
                exchange,
                peer,
                reason,
            }));
        }
    }

    /// An authentic message 1 that leads to nothing: its message id is spent, and the peer is told
    /// where the policy wants it.
    fn refuse_quick(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        message_id: MessageId,
        reason: Reason,
        sa_body: &[u8],
    ) {
        self.counters.raise(Happened::MsgRxPh2XchgStartFail);
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        sa.remember(message_id);
        let peer = sa.path.peer.ip();
        // Where no IPsec policy decided, that of ISAKMP tells who the peer is.
        let reason = reason.under(&sa.policy.name);
        let exchange = self.next_exchange();
        self.started(
            env,
            (ExchangeType::Quick, Role::Responder),
            exchange,
            Phase::Two,
            peer,
        );
        self.failed(env, Role::Responder, exchange, peer, reason);
        let kind = match reason.subject {
            Subject::Selectors | Subject::NoIpsecPolicy | Subject::Taken => {
                NotifyType::INVALID_ID_INFORMATION
            }
            Subject::Malformed | Subject::Payloads => NotifyType::PAYLOAD_MALFORMED,
            Subject::PublicValue => NotifyType::INVALID_KEY_INFORMATION,
            _ => NotifyType::NO_PROPOSAL_CHOSEN,
        };
        let offer = SaBody::parse(sa_body).ok();
        let first = offer.and_then(|offer| offer.proposals().next());
        let about = first.map_or((3, &[][..]), |first| (first.protocol, first.spi));
        self.send_notify(env, id, kind, about);
    }

    /// What an event in a quick mode leads to.
    pub(super) fn after_quick(&mut self, env: &mut Env<'_>, id: Id, step: Step) {
        match step {
            Step::On => {}
            Step::Done => {
                let Some(quick) = self.end_quick(id) else {
                    return;
                };
                let common = quick.common;
                self.completed(env, common.part(), common.talk.number, Phase::Two);
                let peer = common.talk.path.peer.ip();
                self.forget_served(&common, peer);
                let keep = env.now + super::phase1::keep_time(&common.isakmp_policy);
                let Some(sa) = self.sas.get_mut(common.sa.0) else {
                    return;
                };
                if let Some(bundle) = common.bundle {
                    let child = Child {
                        bundle,
                        exchange: common.talk.number,
                        policy: common.policy.clone(),
                        owner: sa.peer_key(),
                        user: sa.user.clone(),
                        peer,
                        since: env.now,
                        kept: common.agreed,
                    };
                    self.children.insert(child);
                }
                // Whoever spoke last answers when the peer repeats itself.
                if (common.role == Role::Initiator || common.commit.ours)
                    && let Some(reply) = common
                        .talk
                        .into_reply((common.role, common.message_id), keep)
                {
                    self.counters.raise(kept(keep > env.now));
                    sa.keep_reply(reply, env.now);
                }
                self.phase2_succeeded(peer);
                self.start_waiting(env);
            }
            Step::Failed(reason) => {
                let Some(quick) = self.quick.get_mut(id) else {
                    return;
                };
                let common = &quick.common;
                let (exchange, role, sa) = (common.talk.number, common.role, common.sa);
                let peer = common.talk.path.peer.ip();
                // Who waits for our next message is told that none will come.
                let told = match (common.role, common.proposed) {
                    _ if matches!(reason.subject, Subject::Timeout | Subject::Refused) => None,
                    (Role::Responder, proposed) => proposed,
                    (Role::Initiator, Some(proposed)) => Some(proposed),
                    (Role::Initiator, None) if reason.message == 2 => Some((Protocol::Esp, Spi(0))),
                    (Role::Initiator, None) => None,
                };
                let again = common.role == Role::Initiator && reason.subject == Subject::WeakKey;
                // Once it has message 2 the peer may already use what it will never hear of again.
                let answered = common.role == Role::Responder && common.talk.message() == 2;
                let known = if answered && reason.subject != Subject::Refused {
                    common.spis.clone()
                } else {
                    Vec::new()
                };
                self.failed(env, role, exchange, peer, reason);
                if reason.subject == Subject::Timeout
                    && let Some(sa) = self.sas.get_mut(sa.0)
                {
                    // Perhaps the peer has lost the SA: what comes next begins with another.
                    sa.doubtful = true;
                }
                if again {
                    self.negotiate_again(id, env.now);
                } else if let Some(at) = self.retry_phase2(env, id, reason) {
                    self.negotiate_again(id, at);
                } else {
                    self.drop_quick(id);
                }
                if let Some((protocol, spi)) = told {
                    let spi = spi.to_bytes();
                    let spi = if spi == [0; 4] { &[][..] } else { &spi };
                    let kind = NotifyType::NO_PROPOSAL_CHOSEN;
                    self.send_notify(env, sa, kind, (protocol.doi_number(), spi));
                }
                if self.sas.get(sa.0).is_some_and(|sa| sa.policy.deletes()) {
                    self.send_delete(env, sa, &known);
                }
                self.start_waiting(env);
            }
        }
    }

    /// Whether another peer already has what this one wants to be selected. A policy for anybody
    /// keeps what it gave; one for a peer that changes follows it.
    fn is_taken(&self, id: IsakmpSaId, policy: &PolicyConfig, wanted: &Selector) -> bool {
        let Some(sa) = self.sas.get(id.0) else {
            return false;
        };
        // Clients behind one NAT share its address; their flows tell them apart.
        let behind_nat = sa.watch.nat.found.is_there()
            && wanted.remote == AddressSelector::host(sa.path.peer.ip());
        let owner = sa.peer_key();
        let foreign = |child: &Child| child.owner != owner || child.user != sa.user;
        // An address behind NAT is the peer's word alone.
        let named = policy.rname.is_some() && policy.selector().remote.bounds().is_none();
        if named && !behind_nat && wanted.remote.bounds().is_some() {
            let of_others = |child: &Child| child.policy != policy.name && foreign(child);
            if self.children.is_held(&wanted.remote, of_others) {
                return true;
            }
        }
        policy.peer == Some(PeerAddress::Any)
            && !behind_nat
            && self
                .children
                .is_taken(&policy.name, &wanted.remote, foreign)
    }

    /// Requests that wait for what a quick mode has brought need not wait any more.
    fn forget_served(&mut self, quick: &Common, peer: IpAddr) {
        let waiting = self.waits.of(&quick.policy, peer);
        let others: Vec<Acquire> = waiting
            .filter(|acquire| !self.serves(quick, acquire))
            .cloned()
            .collect();
        let keep = |acquire: &Acquire| acquire.policy != quick.policy || others.contains(acquire);
        self.waits.retain(peer, keep);
    }

    /// An unfinished quick mode goes, but not what it was for: that is taken up again.
    fn negotiate_again(&mut self, id: Id, not_before: Instant) {
        let Some(quick) = self.end_quick(id) else {
            return;
        };
        let common = quick.common;
        if let Some(bundle) = common.bundle {
            self.push(Action::Release(bundle));
        }
        let path = common.talk.path;
        let acquire = Acquire {
            policy: common.policy,
            peer: path.peer.ip(),
            local: path.local.ip(),
            renews: common.renews,
        };
        self.waits.push(acquire, not_before);
    }

    /// An unfinished quick mode goes, and its bundle with it.
    pub(super) fn drop_quick(&mut self, id: Id) {
        if let Some(quick) = self.end_quick(id) {
            if let Some(bundle) = quick.common.bundle {
                self.push(Action::Release(bundle));
            }
            self.push(Action::Failed(quick.common.policy));
        }
    }

    /// A bundle is gone: the peer is told where the policy wants it, unless it knows.
    pub fn bundle_removed(&mut self, env: &mut Env<'_>, removed: &RemovedBundle, why: RemoveWhy) {
        let child = self.children.remove(removed.bundle);
        if let Some(child) = &child {
            // A peer that still asks for the last message would use what is gone.
            let sas: Vec<Id> = self.sas.of(&child.owner).map(|(id, _)| id).collect();
            for id in sas {
                if let Some(sa) = self.sas.get_mut(id) {
                    sa.forget_reply(child.exchange);
                }
            }
        }
        if let Some(child) = child.filter(|_| why == RemoveWhy::PeerDeleted) {
            self.retry_deleted_child(env, &child);
        }
        let waits = self
            .quick
            .iter()
            .find(|(_, quick)| quick.common.bundle == Some(removed.bundle));
        if let Some((id, quick)) = waits {
            // Nobody will answer for the bundle any more.
            let subject = match why {
                RemoveWhy::EngineFailed => Subject::Install,
                _ => Subject::Changed,
            };
            let message = quick.common.talk.message();
            let reason = Reason::new(ExchangeType::Quick, message, subject, Whose::Ours);
            let reason = reason.under(&quick.common.policy);
            self.after_quick(env, id, Step::Failed(reason));
        }
        let told = matches!(
            why,
            RemoveWhy::PeerDeleted
                | RemoveWhy::PeerRestarted
                | RemoveWhy::PeerLost
                | RemoveWhy::NegotiationFailed
        );
        if told || !removed.was_valid {
            return;
        }
        let sa = self.talking_sa(removed.peer);
        if let Some(id) = sa
            && self.sas.get(id.0).is_some_and(|sa| sa.policy.deletes())
        {
            self.send_delete(env, id, &removed.inbound);
        }
    }
}
