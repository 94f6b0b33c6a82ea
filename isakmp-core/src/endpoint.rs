//! All exchanges and ISAKMP SAs of a device: calls go in, ordered actions come out.

mod acquire;
mod bad_spi;
mod bucket;
mod count;
mod first_aggressive;
mod first_main;
mod fragments;
mod inform;
mod liveness;
mod phase1;
mod policies;
mod pool;
mod quick_mode;
mod retry;
mod setup;
mod tables;
mod transaction;
mod view;
mod waits;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Digest, Secret, Ticket};
use ipsec_core::model::{Name, Role};
use ipsec_core::{Id, Instant, Limits};

use crate::ask::{Action, Answer, Env, Path, Phase, Report};
use crate::conversation::fingerprint;
use crate::counters::{Counters, Course, Happened};
use crate::debug::IsakmpDebug;
use crate::fragment::Reassemblies;
use crate::guard::Guard;
use crate::heartbeat::HeartbeatCodec;
use crate::natt;
use crate::out::{Out, Tickets, waits_for};
use crate::phase1::{HalfOpen, HalfOpens, Incoming, Opening};
use crate::reason::Reason;
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::trace::{Part, Trace};
use crate::wire::{Cookie, ExchangeType, Header, Malformed, PayloadType};
use bucket::Bucket;
use ipsec_core::counters::Block;
use phase1::Begin;
use policies::Policies;
use pool::Pool;
use retry::Retrying;
use tables::{Child, Children, Phase1s, Quicks, Sas, Transactions};
use waits::Waits;

pub use retry::{RetryPhases, RetryView};
pub use view::{ExchangeDetail, ExchangePart, ExchangeView};

/// Where an exchange is kept.
#[derive(Clone, Copy, Debug)]
enum Place {
    Phase1(Id),
    Quick(Id),
    Transaction(Id),
}

/// The ISAKMP state machine. Drain [`Endpoint::next_action`] after every call.
#[derive(Debug)]
pub struct Endpoint {
    limits: Limits,
    policies: Policies,
    /// First messages of those whom a policy names, of others, and long ones.
    half_open: [HalfOpens<HalfOpen>; 3],
    /// The same of Aggressive mode.
    openings: [HalfOpens<Opening>; 2],
    /// Answers of Aggressive mode to those whom a policy names, and to others.
    buckets: [Bucket; 2],
    pool: Pool,
    /// For the cookies of responders and the places of strangers.
    secret: Option<Secret>,
    sas: Sas,
    phase1: Phase1s,
    quick: Quicks,
    transactions: Transactions,
    guard: Guard,
    heartbeat: HeartbeatCodec,
    reassemblies: Reassemblies,
    /// SAs for which the data plane was asked when it heard the peer.
    hearing: BTreeMap<Ticket, IsakmpSaId>,
    /// The exchanges by number.
    places: BTreeMap<u32, Place>,
    waits: Waits,
    retrying: Retrying,
    children: Children,
    actions: VecDeque<Action>,
    tickets: Tickets,
    exchanges: u32,
    numbers: u32,
    complaints: VecDeque<(IpAddr, Instant)>,
    hosts: setup::Hosts,
    was_enabled: bool,
    counters: Counters,
}

/// First messages with long SA bodies that are kept at once.
const LONG_OFFERS: u16 = 32;
/// First messages of Aggressive mode that are kept at once, of those whom a policy names and of
/// others.
const OPENINGS: u16 = 64;

/// Numbers of exchanges begin again below this; tickets leave the rest to others.
const LAST_EXCHANGE: u32 = 1 << 31;

/// The sight that an exchange has of the queue of actions.
fn out<'a>(actions: &'a mut VecDeque<Action>, tickets: &'a mut Tickets, number: u32) -> Out<'a> {
    Out {
        actions,
        tickets,
        number,
    }
}

impl Endpoint {
    /// An endpoint without SAs.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let exchanges = limits.isakmp_sas.saturating_add(limits.half_open.into());
        let strangers = limits.half_open / 2;
        let each = limits.half_open_per_address;
        Self {
            limits: limits.clone(),
            policies: Policies::default(),
            half_open: [
                HalfOpens::new(limits.half_open - strangers, each),
                HalfOpens::new(strangers, each),
                HalfOpens::new(LONG_OFFERS, each),
            ],
            openings: [OPENINGS, OPENINGS].map(|many| HalfOpens::new(many, each)),
            buckets: [limits.aggressive_per_second; 2].map(Bucket::new),
            pool: Pool::default(),
            secret: None,
            sas: Sas::new(limits.isakmp_sas),
            phase1: Phase1s::new(exchanges),
            quick: Quicks::new(exchanges),
            transactions: Transactions::new(limits.isakmp_sas),
            guard: Guard::default(),
            heartbeat: HeartbeatCodec::default(),
            reassemblies: Reassemblies::default(),
            hearing: BTreeMap::new(),
            places: BTreeMap::new(),
            waits: Waits::default(),
            retrying: Retrying::default(),
            children: Children::default(),
            actions: VecDeque::new(),
            tickets: Tickets::default(),
            exchanges: 0,
            numbers: 0,
            complaints: VecDeque::new(),
            hosts: setup::Hosts::default(),
            was_enabled: false,
            counters: Counters::default(),
        }
    }

    /// A datagram arrived.
    pub fn datagram(&mut self, env: &mut Env<'_>, path: Path, bytes: &[u8]) {
        if !env.config.enabled {
            return;
        }
        self.counters.raise(Happened::MsgRxd);
        self.counters.raise(Happened::NetworkRx);
        let long = bytes.len() > usize::from(self.limits.message_len);
        if long || bytes.len() < crate::wire::HEADER {
            return self.counters.raise(Happened::MsgRxBadLength);
        }
        let (header, body) = match Header::parse(bytes) {
            Ok(parsed) => parsed,
            Err(Malformed::Version) => return self.counters.raise(Happened::MsgRxBadVersion),
            Err(_) => return self.counters.raise(Happened::MsgRxInconsistLengths),
        };
        if header.next == PayloadType::FRAGMENT {
            if let Some(whole) = self.reassemble(env.now, path, &header, body) {
                self.message(env, path, &whole);
            }
            return;
        }
        self.message(env, path, bytes);
        self.count_pads();
    }

    /// A whole message.
    fn message(&mut self, env: &mut Env<'_>, path: Path, bytes: &[u8]) {
        let Ok((header, body)) = Header::parse(bytes) else {
            return self.counters.raise(Happened::MsgRxInconsistLengths);
        };
        if header.initiator == Cookie::ZERO || header.initiator == header.responder {
            return self.counters.raise(Happened::MsgRxUnexpectedMsg);
        }
        if header.next == PayloadType::NONE {
            return self.counters.raise(Happened::MsgRxBadNextPayload);
        }
        self.count_received(&header);
        if !header.flags.encrypted() {
            self.out(0).watch_received(env, &header, body);
        }
        let whole = bytes
            .get(..crate::wire::HEADER + body.len())
            .unwrap_or(bytes);
        let digest = fingerprint(env.primitives, whole);
        let incoming = Incoming {
            path,
            header: &header,
            body,
            digest,
        };
        match header.exchange {
            ExchangeType::Main | ExchangeType::Aggressive => self.phase1_message(env, incoming),
            ExchangeType::Quick => self.quick_mode(env, path, incoming),
            ExchangeType::Transaction => self.transaction(env, path, &incoming),
            ExchangeType::Informational => self.informational(env, path, &incoming),
            ExchangeType::NewGroup | ExchangeType::Other(_) => {}
        }
    }

    /// An answer to an [`Action::Ask`]. A late or foreign one has no effect.
    pub fn answer(&mut self, env: &mut Env<'_>, ticket: Ticket, answer: Answer) {
        let number = waits_for(ticket);
        let back = match self.places.get(&number).copied() {
            Some(Place::Phase1(id)) => {
                let Some(exchange) = self.phase1.get_mut(id) else {
                    return;
                };
                let mut out = out(&mut self.actions, &mut self.tickets, number);
                match exchange.answer(env, &mut out, ticket, answer) {
                    Ok(step) => return self.after_phase1(env, id, step),
                    Err(back) => back,
                }
            }
            Some(Place::Quick(id)) => {
                let Some(quick) = self.quick.get_mut(id) else {
                    return;
                };
                let Some(sa) = self.sas.get(quick.common.sa.0) else {
                    return;
                };
                let mut out = out(&mut self.actions, &mut self.tickets, number);
                match quick.answer(sa, env, &mut out, ticket, answer) {
                    Ok(step) => return self.after_quick(env, id, step),
                    Err(back) => back,
                }
            }
            Some(Place::Transaction(id)) => {
                let Some(exchange) = self.transactions.get_mut(id) else {
                    return;
                };
                let Some(sa) = self.sas.get_mut(exchange.common.sa.0) else {
                    return;
                };
                let mut out = out(&mut self.actions, &mut self.tickets, number);
                match exchange.answer(sa, &mut self.guard, env, &mut out, ticket, answer) {
                    Ok(step) => return self.after_transaction(env, id, step),
                    Err(back) => back,
                }
            }
            None => match self.answer_endpoint(env, ticket, answer) {
                Some(back) => back,
                None => return,
            },
        };
        if let Answer::Reserved(Ok(reserved)) = back {
            // Nobody waits for it any more.
            self.push(Action::Release(reserved.bundle));
        }
    }

    /// Does what is due.
    pub fn timers(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        for id in self.phase1.take_due(now) {
            let Some(exchange) = self.phase1.get_mut(id) else {
                continue;
            };
            let number = exchange.common.talk.number;
            let mut out = out(&mut self.actions, &mut self.tickets, number);
            let step = exchange.tick(&mut out, now);
            self.after_phase1(env, id, step);
        }
        for id in self.quick.take_due(now) {
            let Some(quick) = self.quick.get_mut(id) else {
                continue;
            };
            let number = quick.common.talk.number;
            let mut out = out(&mut self.actions, &mut self.tickets, number);
            let Some(sa) = self.sas.get(quick.common.sa.0) else {
                continue;
            };
            let step = quick.tick(sa, env, &mut out);
            self.after_quick(env, id, step);
        }
        self.transaction_timers(env);
        for id in self.sas.take_due(now) {
            self.sa_is_due(env, IsakmpSaId(id));
        }
        self.retry_due(env);
        self.resolve_due(env);
        self.start_waiting(env);
    }

    /// An SA has reached one of its limits.
    fn sa_is_due(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get(id.0) else {
            return;
        };
        if sa.is_over(env.now) && !sa.watch.extension.is_checking() {
            let under_way = self.quick.under(id).next().is_some();
            if under_way
                && let Some(sa) = self.sas.get_mut(id.0)
                && sa.lets_finish(env.now)
            {
                return;
            }
            if !self.may_extend(id) {
                self.counters.raise(Happened::SadExpired);
                self.remove_sa(env, id, true, false);
            }
            return;
        }
        if sa.liveness_due().is_some_and(|at| at <= env.now) {
            self.watch(env, id);
        }
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        if !sa.wants_successor(env.now) {
            return;
        }
        sa.renewing = true;
        let (local, peer) = (sa.path.local.ip(), sa.path.peer.ip());
        let policy = sa.policy.name.clone();
        let begin = Begin {
            local,
            peer,
            policy: Some(&policy),
            replaces: Some(id),
        };
        let may = self.policies.towards(env.config, peer, Some(&policy));
        if may.is_none() {
            // A peer without a fixed address renews by itself.
            return;
        }
        if !self.start_phase1(env, &begin)
            && let Some(sa) = self.sas.get_mut(id.0)
        {
            sa.renew_later(env.now);
        }
    }

    /// When [`Endpoint::timers`] has something to do; now, while actions wait.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.actions.is_empty() {
            return Some(now);
        }
        let tables = [
            self.phase1.deadline(),
            self.quick.deadline(),
            self.transactions.deadline(),
            self.sas.deadline(),
            self.retrying.deadline(),
            self.hosts.deadline(),
            self.waits.deadline(now),
        ];
        tables.into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.count_pads();
        let action = self.actions.pop_front()?;
        self.count_action(&action);
        if let Action::Send { bytes, .. } = &action {
            self.count_sent(bytes);
        }
        Some(action)
    }

    /// What leaves enciphered under an SA uses up its life.
    fn count_sent(&mut self, bytes: &[u8]) {
        let Ok((header, _)) = Header::parse(bytes) else {
            return;
        };
        let id = self.sa_of(&header).filter(|_| header.flags.encrypted());
        if let Some(sa) = id.and_then(|id| self.sas.get_mut(id.0)) {
            sa.count(bytes.len());
            let limit = sa.lifetime.hard_bytes();
            if limit.is_some_and(|limit| sa.bytes >= limit) {
                self.counters.raise(Happened::MsgTxEncryptExpKBytes);
            }
        }
    }

    /// DISABLE ISAKMP, or the end of the program: every SA goes, with Delete payloads where the
    /// policy wants them.
    pub fn disable(&mut self, env: &mut Env<'_>) {
        let ids: Vec<Id> = self.sas.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.remove_sa(env, IsakmpSaId(id), true, false);
        }
        self.drop_exchanges(|_| true);
        for table in &mut self.half_open {
            table.drop_if(|_| true);
        }
        self.retrying.clear();
        for peer in self.waits.peers() {
            self.fail_waiting(peer);
        }
    }

    /// The policy was changed, before its new values are in force. SAs stay as they were agreed on;
    /// a phase 1 that is under way ends, so that whoever waits for it begins with the new values.
    pub fn policy_changed(&mut self, env: &Env<'_>, name: &Name) {
        self.drop_phase1s(|policy| policy == name);
        self.retrying.forget(name);
        self.waits.stir_all();
        // Entries name their policies by place.
        let mut policies = env.config.policies.iter();
        let place = policies.position(|policy| policy.name == *name);
        for table in &mut self.half_open {
            table.drop_if(|entry| Some(usize::from(entry.policy)) == place);
        }
    }

    /// The policy is destroyed: what was made from it goes.
    pub fn policy_destroyed(&mut self, env: &mut Env<'_>, name: &Name) {
        self.end_policy(env, name, true);
    }

    /// RESET ISAKMP POLICY: what was made from the policy goes, and no peer is told.
    pub fn policy_reset(&mut self, env: &mut Env<'_>, name: &Name) {
        self.end_policy(env, name, false);
    }

    fn end_policy(&mut self, env: &mut Env<'_>, name: &Name, tell: bool) {
        let ids: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.policy.name == *name)
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.remove_sa(env, IsakmpSaId(id), tell, false);
        }
        self.drop_exchanges(|policy| policy == name);
        self.retrying.forget(name);
        self.waits.stir_all();
        // Entries name their policies by place, and the places behind this one may change.
        let mut policies = env.config.policies.iter();
        let place = policies
            .position(|policy| policy.name == *name)
            .unwrap_or(0);
        for table in &mut self.half_open {
            table.drop_if(|entry| usize::from(entry.policy) >= place);
        }
    }

    fn drop_exchanges(&mut self, of: impl Fn(&Name) -> bool) {
        self.drop_phase1s(&of);
        let quick = self.quick.iter();
        let ids: Vec<Id> = quick
            .filter(|(_, quick)| of(&quick.common.isakmp_policy.name))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.drop_quick(id);
        }
    }

    fn drop_phase1s(&mut self, of: impl Fn(&Name) -> bool) {
        let phase1 = self.phase1.iter();
        let ids: Vec<Id> = phase1
            .filter(|(_, exchange)| of(&exchange.common.policy.name))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            if let Some(exchange) = self.end_phase1(id) {
                let peer = exchange.common.talk.path.peer.ip();
                self.fail_waiting(peer);
            }
        }
        for table in &mut self.openings {
            table.drop_if(|opening| of(&opening.common.policy.name));
        }
    }

    /// Every ISAKMP SA.
    pub fn sas(&self) -> impl Iterator<Item = &IsakmpSa> {
        self.sas.iter().map(|(_, sa)| sa)
    }

    /// Replaces the form of the ISAKMP heartbeat.
    pub const fn set_heartbeat_codec(&mut self, codec: HeartbeatCodec) {
        self.heartbeat = codec;
    }

    /// Requests that wait for a peer.
    #[must_use]
    pub fn queued(&self, peer: IpAddr) -> usize {
        self.waits.len(peer)
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// RESET ISAKMP COUNTER: the counters of a category, or all, begin again from zero.
    pub fn reset_counters(&mut self, category: Option<&str>) {
        let chosen = |block: &&Block<Happened>| category.is_none_or(|one| block.category == one);
        for block in Happened::BLOCKS.iter().filter(chosen) {
            self.counters.reset_block(block);
        }
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// The number of the next exchange. 0 is none.
    fn next_exchange(&mut self) -> u32 {
        self.exchanges = (self.exchanges + 1) % LAST_EXCHANGE;
        self.exchanges = self.exchanges.max(1);
        self.exchanges
    }

    fn out(&mut self, number: u32) -> Out<'_> {
        out(&mut self.actions, &mut self.tickets, number)
    }

    fn started(
        &mut self,
        env: &Env<'_>,
        (kind, role): Part,
        exchange: u32,
        phase: Phase,
        peer: IpAddr,
    ) {
        let what = || Trace::Started(peer);
        self.out(exchange)
            .trace(env, (kind, role), IsakmpDebug::TRACES, what);
        self.count_course(
            kind,
            match role {
                Role::Initiator => Course::InitStarted,
                Role::Responder => Course::RespStarted,
            },
        );
        self.push(Action::Report(Report::Started {
            exchange,
            phase,
            role,
            peer,
        }));
    }

    /// An exchange is over, with its result.
    fn completed(&mut self, env: &Env<'_>, part: Part, exchange: u32, phase: Phase) {
        self.count_course(part.0, Course::Completed);
        self.push(Action::Report(Report::Completed { exchange, phase }));
        let mut out = self.out(exchange);
        out.trace(env, part, IsakmpDebug::TRACE, || Trace::Done);
    }

    /// An exchange is over without a result; 0 is one that was refused before it began.
    fn failed(&mut self, env: &Env<'_>, role: Role, exchange: u32, peer: IpAddr, reason: Reason) {
        self.push(Action::Report(Report::Failed {
            exchange,
            peer,
            reason,
        }));
        let (part, what) = ((reason.exchange, role), || Trace::Failed(reason));
        self.out(exchange)
            .trace(env, part, IsakmpDebug::TRACES, what);
    }

    /// The newest SA with a peer under which it can be told something.
    fn talking_sa(&self, peer: IpAddr) -> Option<IsakmpSaId> {
        let mut sas = self.sas.with(peer);
        sas.find(|(_, sa)| !sa.replaced && !sa.is_spent())
            .map(|(id, _)| id)
    }

    fn sa_of(&self, header: &Header) -> Option<IsakmpSaId> {
        self.sas.by_cookies((header.initiator, header.responder))
    }

    /// The SA that a message of a later exchange names, unless it comes by the port that both
    /// sides have left.
    fn sa_by(&mut self, header: &Header, path: Path) -> Option<IsakmpSaId> {
        let id = self.sa_of(header)?;
        let moved = self.sas.get(id.0)?.path.local.port() == natt::PORT;
        if moved && path.local.port() != natt::PORT {
            self.counters.raise(Happened::MsgRxFailOldPort);
            return None;
        }
        Some(id)
    }

    /// Answers a message that was answered before, as it was. False if it was not.
    fn repeat(&mut self, now: Instant, id: IsakmpSaId, message: &Digest) -> bool {
        let Some(sa) = self.sas.get(id.0) else {
            return false;
        };
        let path = sa.path;
        let Some(reply) = sa.reply_to(message, now) else {
            return false;
        };
        self.counters.raise(Happened::XdbDuplicate);
        self.counters.raise(Happened::DeleteDelayPktsRxd);
        self.counters.raise(Happened::DeleteDelayRetrySent);
        if (reply.kind, reply.role) == (ExchangeType::Quick, Role::Responder) {
            self.counters.raise(Happened::DeleteDelayConSent);
        }
        for bytes in reply.datagrams.clone() {
            self.push(Action::Send { path, bytes });
        }
        true
    }

    /// Whether an SA with a peer is on its way, begun by either side, or will be tried again.
    fn is_under_way(&self, peer: IpAddr) -> bool {
        let mut sas = self.sas.with(peer);
        if sas.any(|(_, sa)| !sa.xauth.finished) {
            return true;
        }
        self.phase1.with(peer).next().is_some() || self.retrying.is_waiting(peer)
    }

    /// Every request for a peer has failed.
    fn fail_waiting(&mut self, peer: IpAddr) {
        for acquire in self.waits.take_all(peer) {
            self.actions.push_back(Action::Failed(acquire.policy));
        }
    }

    /// An ISAKMP SA goes; its bundles live on.
    fn remove_sa(&mut self, env: &mut Env<'_>, id: IsakmpSaId, tell: bool, by_peer: bool) {
        let wants = self.sas.get(id.0).is_some_and(|sa| sa.policy.deletes());
        if tell && wants {
            self.send_isakmp_delete(env, id);
        } else if tell && self.sas.get(id.0).is_some() {
            self.counters.raise(Happened::InfoPh2DeleteDisabled);
        }
        let quick: Vec<Id> = self.quick.under(id).map(|(id, _)| id).collect();
        for id in quick {
            self.drop_quick(id);
        }
        if let Some(place) = self.transactions.under(id) {
            self.end_transaction(place);
        }
        if let Some(sa) = self.sas.remove(id.0) {
            self.waits.stir(sa.path.peer.ip());
            self.counters.raise(if by_peer {
                Happened::SadDeletedByPeer
            } else {
                Happened::SadDelete
            });
            let number = u16::try_from(sa.number).unwrap_or(u16::MAX);
            let report = Report::SaGone {
                sa: number,
                peer: sa.path.peer.ip(),
                by_peer,
            };
            self.push(Action::Report(report));
        }
    }
}
