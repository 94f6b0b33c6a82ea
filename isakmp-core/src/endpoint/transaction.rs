//! Extended authentication: when it begins, and what its outcome leads to.

use ipsec_core::Id;
use ipsec_core::model::Role;

use super::count::kept;
use super::phase1::{RESPONDER_WAITS, SETTLING, keep_time};
use super::{Endpoint, Place};
use crate::ask::{Env, Path, Phase};
use crate::config::IsakmpPolicyConfig;
use crate::config::Xauth;
use crate::counters::Happened;
use crate::phase1::Incoming;
use crate::reason::Reason;
use crate::sa::IsakmpSaId;
use crate::transaction::{Common, Exchange, Step, method};
use crate::wire::{ExchangeType, HEADER};

impl Endpoint {
    /// Phase 1 is over: where the policy has it, the user is authenticated before anything else.
    pub(super) fn start_xauth(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let peer = sa.path.peer.ip();
        let (wanted, method) = (sa.policy.xauth(), method(&sa.policy));
        if wanted == Xauth::None {
            return;
        }
        let role = xauth_role(&sa.policy);
        let mut identifier = [0; 2];
        if wanted == Xauth::Server && env.entropy.fill(&mut identifier).is_err() {
            let reason =
                |subject| crate::transaction::reason(0, subject, crate::reason::Whose::Ours);
            self.counters.raise(Happened::MsgInitPh1p5StartFail);
            return self.xauth_failed(env, id, 0, reason(crate::reason::Subject::Entropy));
        }
        let number = self.next_exchange();
        self.started(
            env,
            (ExchangeType::Transaction, role),
            number,
            Phase::OneAndHalf,
            peer,
        );
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        let talk = sa.conversation(number, ExchangeType::Transaction);
        let common = Common::new(talk, id, u16::from_be_bytes(identifier), method);
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        let exchange = match wanted {
            Xauth::Client => Ok(Exchange::client(common, env.now, &sa.policy)),
            Xauth::Server | Xauth::None => Exchange::server(common, sa, env, &mut out),
        };
        match exchange {
            Ok(exchange) => {
                sa.xauth = exchange.view();
                // There are as many places as SAs.
                if let Some(place) = self.transactions.insert(exchange) {
                    self.counters.raise(Happened::XdbAdd);
                    self.places.insert(number, Place::Transaction(place));
                }
            }
            Err(reason) => {
                self.counters.raise(Happened::MsgInitPh1p5StartFail);
                self.xauth_failed(env, id, number, reason);
            }
        }
    }

    /// Goes on as if every server had accepted this client: for tests of those servers.
    #[cfg(feature = "testing")]
    pub fn pretend_authenticated(&mut self) {
        let ids: alloc::vec::Vec<Id> = self.sas.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(place) = self.transactions.under(IsakmpSaId(id)) {
                self.end_transaction(place);
            }
            if let Some(sa) = self.sas.get_mut(id) {
                sa.xauth.finished = true;
            }
        }
    }

    /// A message of a transaction.
    pub(super) fn transaction(&mut self, env: &mut Env<'_>, path: Path, incoming: &Incoming<'_>) {
        let header = incoming.header;
        let Some(id) = self
            .sa_by(header, path)
            .filter(|_| header.flags.encrypted())
        else {
            if !self.is_early(env, incoming) {
                self.counters.raise(Happened::MsgRxPhase2NoSa);
            }
            return;
        };
        let Some(place) = self.transactions.under(id) else {
            if !self.repeat(env.now, id, &incoming.digest) {
                self.counters.raise(Happened::MsgRxNoExchange);
                self.counters.raise(Happened::MsgRxP15XchgStartFail);
            }
            return;
        };
        let (Some(sa), Some(exchange)) = (self.sas.get_mut(id.0), self.transactions.get_mut(place))
        else {
            return;
        };
        let number = exchange.common.talk.number;
        let mut out = super::out(&mut self.actions, &mut self.tickets, number);
        if exchange.common.talk.is_duplicate(&incoming.digest) {
            self.counters.raise(Happened::XdbDuplicate);
            exchange.common.talk.answer_again(&mut out);
            return;
        }
        let guard = &mut self.guard;
        let (step, authentic) = exchange.receive(sa, guard, env, &mut out, incoming);
        if authentic {
            sa.count(HEADER + incoming.body.len());
            self.seen(env.now, id, path);
        } else {
            self.count_ignored(incoming.header);
        }
        self.after_transaction(env, place, step);
    }

    /// What an event in a transaction leads to.
    pub(super) fn after_transaction(&mut self, env: &mut Env<'_>, place: Id, step: Step) {
        let Some(exchange) = self.transactions.get(place) else {
            return;
        };
        let (id, number) = (exchange.common.sa, exchange.common.talk.number);
        if let Some(sa) = self.sas.get_mut(id.0) {
            sa.xauth = exchange.view();
        }
        match step {
            Step::On => {}
            Step::Done => {
                self.transactions_done(env, place);
                self.start_waiting(env);
            }
            Step::Failed(reason) => {
                if self.end_transaction(place).is_some() {
                    self.xauth_failed(env, id, number, reason);
                }
            }
        }
    }

    /// The peer goes on under an SA whose user is accepted: it knows, whether its ACK arrived or
    /// not.
    pub(super) fn confirm_xauth(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let place = self.transactions.under(id);
        let accepted = |place: &Id| {
            let exchange = self.transactions.get(*place);
            exchange.is_some_and(Exchange::is_accepted)
        };
        if let Some(place) = place.filter(accepted) {
            self.transactions_done(env, place);
        }
    }

    pub(super) fn end_transaction(&mut self, place: Id) -> Option<Exchange> {
        let exchange = self.transactions.remove(place)?;
        self.counters.raise(Happened::XdbDelete);
        self.places.remove(&exchange.common.talk.number);
        self.waits.stir(exchange.common.talk.path.peer.ip());
        Some(exchange)
    }

    fn transactions_done(&mut self, env: &mut Env<'_>, place: Id) {
        let Some(exchange) = self.end_transaction(place) else {
            return;
        };
        let (view, role, common) = (exchange.view(), exchange.role(), exchange.common);
        let part = (ExchangeType::Transaction, role);
        self.completed(env, part, common.talk.number, Phase::OneAndHalf);
        if role == Role::Initiator {
            self.user_is_known(env, common.sa);
        }
        let Some(sa) = self.sas.get_mut(common.sa.0) else {
            return;
        };
        sa.xauth = view;
        (sa.xauth.finished, sa.xauth.ok) = (true, true);
        let keep = env.now + keep_time(&sa.policy);
        let (peer, role) = (sa.path.peer.ip(), sa.role);
        if sa.policy.xauth() == Xauth::Client {
            if let Some(reply) = common
                .talk
                .into_reply((Role::Responder, common.message_id), keep)
            {
                self.counters.raise(kept(keep > env.now));
                sa.keep_reply(reply, env.now);
            }
            self.waits.defer(peer, env.now + SETTLING);
        } else if role == Role::Responder {
            self.waits.defer(peer, env.now + RESPONDER_WAITS);
        }
    }

    fn xauth_failed(&mut self, env: &mut Env<'_>, id: IsakmpSaId, exchange: u32, reason: Reason) {
        let Some(sa) = self.sas.get(id.0) else {
            return;
        };
        let (peer, role) = (sa.path.peer.ip(), xauth_role(&sa.policy));
        let reason = reason.under(&sa.policy.name);
        self.failed(env, role, exchange, peer, reason);
        self.remove_sa(env, id, true, false);
        self.fail_hopeless(peer);
    }

    pub(super) fn transaction_timers(&mut self, env: &mut Env<'_>) {
        for place in self.transactions.take_due(env.now) {
            let Some(exchange) = self.transactions.get_mut(place) else {
                continue;
            };
            let Some(sa) = self.sas.get_mut(exchange.common.sa.0) else {
                continue;
            };
            let number = exchange.common.talk.number;
            let mut out = super::out(&mut self.actions, &mut self.tickets, number);
            let step = exchange.tick(sa, env, &mut out);
            self.after_transaction(env, place, step);
        }
    }
}

/// Our part in extended authentication: the server asks, the client is asked.
fn xauth_role(policy: &IsakmpPolicyConfig) -> Role {
    match policy.xauth() {
        Xauth::Server => Role::Initiator,
        Xauth::Client | Xauth::None => Role::Responder,
    }
}
