//! All exchanges and ISAKMP SAs of a device: calls go in, ordered actions come out.

mod bad_spi;
mod fragments;
mod inform;
mod liveness;
mod main_mode;
mod quick_mode;
mod transaction;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Digest, Ticket};
use ipsec_core::model::{Name, Role};
use ipsec_core::{BundleId, Id, Instant, Limits, Slab};

use crate::ask::{Acquire, Action, Answer, Env, Path, Phase, Report};
use crate::conversation::fingerprint;
use crate::fragment::Reassembly;
use crate::guard::Guard;
use crate::heartbeat::HeartbeatCodec;
use crate::keys::Cookies;
use crate::natt;
use crate::out::Out;
use crate::phase1::{self, Incoming};
use crate::phase2;
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::transaction as transaction_exchange;
use crate::wire::{Cookie, ExchangeType, Header, Identification, PayloadType};

/// A bundle that was negotiated and still lives.
#[derive(Clone, Debug)]
struct Child {
    bundle: BundleId,
    policy: Name,
    /// Whose it is: several peers may share an address.
    identity: Identification,
    user: Option<Vec<u8>>,
    peer: IpAddr,
    since: Instant,
    /// What its negotiation left.
    kept: phase2::Kept,
}

/// A request that waits for an ISAKMP SA or for its turn.
#[derive(Clone, Debug)]
struct Waiting {
    acquire: Acquire,
    not_before: Instant,
}

/// What was not worth a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IsakmpCounters {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that are no ISAKMP messages.
    pub malformed: u64,
    /// Messages for an SA or exchange that is not there.
    pub unknown: u64,
    /// Messages that were answered before.
    pub duplicates: u64,
    /// First messages from addresses that no policy names.
    pub strangers: u64,
    /// Half-open exchanges that made room for newer ones.
    pub evicted: u64,
    /// Messages sent.
    pub sent: u64,
    /// Authentic messages by a way on which their sender has no business.
    pub bad_port: u64,
    /// Messages on the old port after the move to that of NAT traversal.
    pub old_port: u64,
    /// R-U-THERE and R-U-THERE-ACK whose sequence numbers are wrong, or too many of them.
    pub dpd_refused: u64,
    /// Unknown SPIs that the data plane told of.
    pub bad_spi_requests: u64,
    /// Of these, from peers with an ISAKMP SA or a negotiation of one.
    pub bad_spi_from_known_peer: u64,
    /// Of these, where the ISAKMP policy has MODE=AGGRESSIVE.
    pub bad_spi_in_aggr_mode: u64,
    /// Of these, where the ISAKMP policy has SENDNOTIFY=FALSE.
    pub bad_spi_send_notify_unset: u64,
    /// Heartbeats that are not newer than the last.
    pub heartbeats_refused: u64,
}

/// An exchange as SHOW ISAKMP EXCHANGE lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeView {
    /// Its number.
    pub number: u32,
    /// Its type.
    pub kind: ExchangeType,
    /// Its phase.
    pub phase: Phase,
    /// The peer.
    pub peer: IpAddr,
    /// The state's name.
    pub state: &'static str,
}

/// The ISAKMP state machine. Drain [`Endpoint::next_action`] after every call.
#[derive(Debug)]
pub struct Endpoint {
    limits: Limits,
    sas: Slab<IsakmpSa>,
    phase1: Slab<phase1::Exchange>,
    quick: Slab<phase2::Exchange>,
    transactions: Slab<transaction_exchange::Exchange>,
    guard: Guard,
    heartbeat: HeartbeatCodec,
    /// Messages in fragments, by the cookies in front of them.
    reassemblies: VecDeque<(Cookies, Reassembly)>,
    waiting: Vec<Waiting>,
    children: Vec<Child>,
    actions: VecDeque<Action>,
    tickets: u64,
    exchanges: u32,
    numbers: u32,
    complaints: VecDeque<(IpAddr, Instant)>,
    counters: IsakmpCounters,
}

impl Endpoint {
    /// An endpoint without SAs.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let exchanges = limits.half_open.saturating_add(limits.isakmp_sas);
        Self {
            limits: limits.clone(),
            sas: Slab::new(limits.isakmp_sas.into()),
            phase1: Slab::new(exchanges.into()),
            quick: Slab::new(exchanges.into()),
            transactions: Slab::new(limits.isakmp_sas.into()),
            guard: Guard::default(),
            heartbeat: HeartbeatCodec::default(),
            reassemblies: VecDeque::new(),
            waiting: Vec::new(),
            children: Vec::new(),
            actions: VecDeque::new(),
            tickets: 0,
            exchanges: 0,
            numbers: 0,
            complaints: VecDeque::new(),
            counters: IsakmpCounters::default(),
        }
    }

    /// A datagram arrived.
    pub fn datagram(&mut self, env: &mut Env<'_>, path: Path, bytes: &[u8]) {
        if !env.config.enabled {
            return;
        }
        self.counters.received += 1;
        let parsed = Header::parse(bytes);
        let fits = bytes.len() <= usize::from(self.limits.message_len);
        let (Ok((header, body)), true) = (parsed, fits) else {
            self.counters.malformed += 1;
            return;
        };
        if header.next == PayloadType::FRAGMENT {
            if let Some(whole) = self.reassemble(env.now, path, &header, body) {
                self.message(env, path, &whole);
            }
            return;
        }
        self.message(env, path, bytes);
    }

    /// A whole message.
    fn message(&mut self, env: &mut Env<'_>, path: Path, bytes: &[u8]) {
        let Ok((header, body)) = Header::parse(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if header.initiator == Cookie::ZERO || header.initiator == header.responder {
            self.counters.malformed += 1;
            return;
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
            ExchangeType::Main => self.main_mode(env, path, incoming),
            ExchangeType::Quick => self.quick_mode(env, path, incoming),
            ExchangeType::Transaction => self.transaction(env, path, &incoming),
            ExchangeType::Informational => self.informational(env, path, &incoming),
            ExchangeType::Aggressive | ExchangeType::NewGroup | ExchangeType::Other(_) => {
                self.counters.unknown += 1;
            }
        }
    }

    /// Somebody needs a bundle.
    pub fn acquire(&mut self, env: &mut Env<'_>, acquire: Acquire) {
        if !env.config.enabled {
            self.push(Action::Failed(acquire.policy));
            return;
        }
        let busy = self.quick.iter().any(|(_, quick)| {
            let common = &quick.common;
            common.policy == acquire.policy && common.talk.path.peer.ip() == acquire.peer
        });
        let queued = self.waiting.iter().any(|other| {
            other.acquire.policy == acquire.policy && other.acquire.peer == acquire.peer
        });
        if busy || queued {
            return;
        }
        if self.waiting.len() >= usize::from(self.limits.queued_acquires) {
            self.push(Action::Failed(acquire.policy));
            return;
        }
        self.waiting.push(Waiting {
            acquire,
            not_before: env.now,
        });
        self.start_waiting(env);
    }

    /// An answer to an [`Action::Ask`]. A late or foreign one has no effect.
    pub fn answer(&mut self, env: &mut Env<'_>, ticket: Ticket, answer: Answer) {
        let mut answer = answer;
        let ids: Vec<Id> = self.phase1.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(exchange) = self.phase1.get_mut(id) else {
                continue;
            };
            let mut out = Out {
                actions: &mut self.actions,
                tickets: &mut self.tickets,
            };
            match exchange.answer(env, &mut out, ticket, answer) {
                Ok(step) => return self.after_phase1(env, id, step),
                Err(back) => answer = back,
            }
        }
        let ids: Vec<Id> = self.quick.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(quick) = self.quick.get_mut(id) else {
                continue;
            };
            let Some(sa) = self.sas.get(quick.common.sa.0) else {
                continue;
            };
            let mut out = Out {
                actions: &mut self.actions,
                tickets: &mut self.tickets,
            };
            match quick.answer(sa, env, &mut out, ticket, answer) {
                Ok(step) => return self.after_quick(env, id, step),
                Err(back) => answer = back,
            }
        }
        let ids: Vec<Id> = self.transactions.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(exchange) = self.transactions.get_mut(id) else {
                continue;
            };
            let Some(sa) = self.sas.get_mut(exchange.common.sa.0) else {
                continue;
            };
            let mut out = Out {
                actions: &mut self.actions,
                tickets: &mut self.tickets,
            };
            match exchange.answer(sa, &mut self.guard, env, &mut out, ticket, answer) {
                Ok(step) => return self.after_transaction(env, id, step),
                Err(back) => answer = back,
            }
        }
        match answer {
            // Nobody waits for it any more.
            Answer::Reserved(Ok(reserved)) => self.push(Action::Release(reserved.bundle)),
            Answer::LastHeard(last) => {
                self.heard_last(env, ticket, last);
            }
            Answer::Public(_)
            | Answer::Reserved(Err(_))
            | Answer::Installed(_)
            | Answer::Xauth(_) => {}
        }
    }

    /// Does what is due.
    pub fn timers(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        let ids: Vec<Id> = self.phase1.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(exchange) = self.phase1.get_mut(id) else {
                continue;
            };
            let mut out = Out {
                actions: &mut self.actions,
                tickets: &mut self.tickets,
            };
            let step = if exchange.expires.is_some_and(|at| at <= now) && !exchange.proven() {
                phase1::Step::Failed(exchange.given_up())
            } else {
                exchange.tick(&mut out, now)
            };
            self.after_phase1(env, id, step);
        }
        let ids: Vec<Id> = self.quick.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(quick) = self.quick.get_mut(id) else {
                continue;
            };
            let mut out = Out {
                actions: &mut self.actions,
                tickets: &mut self.tickets,
            };
            let Some(sa) = self.sas.get(quick.common.sa.0) else {
                continue;
            };
            let step = quick.tick(sa, env, &mut out);
            self.after_quick(env, id, step);
        }
        let due: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| id)
            .collect();
        for id in due {
            let Some(sa) = self.sas.get_mut(id) else {
                continue;
            };
            if sa.hard_at() <= now {
                if !self.may_extend(IsakmpSaId(id)) {
                    self.remove_sa(env, IsakmpSaId(id), true, false);
                }
            } else {
                sa.renewing = true;
                let (local, peer) = (sa.path.local.ip(), sa.path.peer.ip());
                let policy = sa.policy.name.clone();
                if !self.start_main(env, local, peer, Some(&policy), Some(IsakmpSaId(id)))
                    && let Some(sa) = self.sas.get_mut(id)
                {
                    sa.renew_later(env.now);
                }
            }
        }
        self.transaction_timers(env);
        self.liveness_timers(env);
        self.start_waiting(env);
    }

    /// When [`Endpoint::timers`] has something to do; now, while actions wait.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.actions.is_empty() {
            return Some(now);
        }
        let exchanges = self.phase1.iter().filter_map(|(_, exchange)| {
            let expires = exchange.expires.filter(|_| !exchange.proven());
            expires
                .into_iter()
                .chain(exchange.common.talk.deadline())
                .min()
        });
        let quick = self.quick.iter().filter_map(|(_, quick)| quick.deadline());
        let sas = self.sas.iter().filter_map(|(_, sa)| {
            let own = sa.deadline().into_iter();
            own.chain(Self::liveness_deadline(sa)).min()
        });
        let transactions = self.transactions.iter().filter_map(|(_, t)| t.deadline());
        // One whose turn has come waits for an exchange; one without any hope is taken up now.
        let waiting = self.waiting.iter().filter_map(|waiting| {
            let peer = waiting.acquire.peer;
            if self.usable_sa(peer).is_some() {
                return Some(waiting.not_before).filter(|at| *at > now);
            }
            (!self.is_under_way(peer)).then_some(now)
        });
        let begun = exchanges.chain(quick).chain(transactions);
        begun.chain(sas).chain(waiting).min()
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front()?;
        if matches!(action, Action::Send { .. }) {
            self.counters.sent += 1;
        }
        Some(action)
    }

    /// DISABLE ISAKMP, or the end of the program: every SA goes, with Delete payloads where the
    /// policy wants them.
    pub fn disable(&mut self, env: &mut Env<'_>) {
        let ids: Vec<Id> = self.sas.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.remove_sa(env, IsakmpSaId(id), true, false);
        }
        self.drop_exchanges(|_| true);
        self.fail_waiting(|_| true);
    }

    /// The policy was changed or destroyed: what was made from it goes.
    pub fn policy_changed(&mut self, env: &mut Env<'_>, name: &Name) {
        let ids: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.policy.name == *name)
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.remove_sa(env, IsakmpSaId(id), true, false);
        }
        self.drop_exchanges(|policy| policy == name);
    }

    fn drop_exchanges(&mut self, of: impl Fn(&Name) -> bool) {
        let ids: Vec<Id> = self
            .phase1
            .iter()
            .filter(|(_, exchange)| of(&exchange.common.policy.name))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            if let Some(exchange) = self.phase1.remove(id) {
                let peer = exchange.common.talk.path.peer.ip();
                self.fail_waiting(|acquire| acquire.peer == peer);
            }
        }
        let ids: Vec<Id> = self
            .quick
            .iter()
            .filter(|(_, quick)| of(&quick.common.isakmp_policy.name))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.drop_quick(id);
        }
    }

    /// Every ISAKMP SA.
    pub fn sas(&self) -> impl Iterator<Item = &IsakmpSa> {
        self.sas.iter().map(|(_, sa)| sa)
    }

    /// Every exchange under way.
    pub fn exchanges(&self) -> impl Iterator<Item = ExchangeView> {
        let phase1 = self.phase1.iter().map(|(_, exchange)| ExchangeView {
            number: exchange.common.talk.number,
            kind: ExchangeType::Main,
            phase: Phase::One,
            peer: exchange.common.talk.path.peer.ip(),
            state: exchange.state(),
        });
        let quick = self.quick.iter().map(|(_, quick)| ExchangeView {
            number: quick.common.talk.number,
            kind: ExchangeType::Quick,
            phase: Phase::Two,
            peer: quick.common.talk.path.peer.ip(),
            state: quick.state(),
        });
        let transactions = self.transactions.iter().map(|(_, exchange)| ExchangeView {
            number: exchange.common.talk.number,
            kind: ExchangeType::Transaction,
            phase: Phase::OneAndHalf,
            peer: exchange.common.talk.path.peer.ip(),
            state: exchange.state(),
        });
        let probes = self.sas.iter().filter_map(|(_, sa)| {
            let (number, state) = sa.watch.dpd.exchange()?;
            Some(ExchangeView {
                number,
                kind: ExchangeType::Informational,
                phase: Phase::Two,
                peer: sa.path.peer.ip(),
                state,
            })
        });
        phase1.chain(transactions).chain(quick).chain(probes)
    }

    /// Replaces the form of the ISAKMP heartbeat.
    pub const fn set_heartbeat_codec(&mut self, codec: HeartbeatCodec) {
        self.heartbeat = codec;
    }

    /// Requests that wait for a peer.
    #[must_use]
    pub fn queued(&self, peer: IpAddr) -> usize {
        self.waiting
            .iter()
            .filter(|waiting| waiting.acquire.peer == peer)
            .count()
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> IsakmpCounters {
        self.counters
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn next_exchange(&mut self) -> u32 {
        self.exchanges = self.exchanges.wrapping_add(1);
        self.exchanges
    }

    fn started(&mut self, exchange: u32, phase: Phase, role: Role, peer: IpAddr) {
        self.push(Action::Report(Report::Started {
            exchange,
            phase,
            role,
            peer,
        }));
    }

    /// The newest SA with a peer that takes new exchanges.
    fn usable_sa(&self, peer: IpAddr) -> Option<IsakmpSaId> {
        self.sas
            .iter()
            .filter(|(_, sa)| {
                let takes_new = !sa.replaced && !sa.is_spent() && sa.xauth.finished;
                takes_new && sa.path.peer.ip() == peer
            })
            .max_by_key(|(_, sa)| (sa.since, sa.number))
            .map(|(id, _)| IsakmpSaId(id))
    }

    fn sa_of(&self, header: &Header) -> Option<IsakmpSaId> {
        let cookies = (header.initiator, header.responder);
        self.sas
            .iter()
            .find(|(_, sa)| sa.cookies == cookies)
            .map(|(id, _)| IsakmpSaId(id))
    }

    /// The SA that a message of a later exchange names, unless it comes by the port that both
    /// sides have left.
    fn sa_by(&mut self, header: &Header, path: Path) -> Option<IsakmpSaId> {
        let id = self.sa_of(header)?;
        let moved = self.sas.get(id.0)?.path.local.port() == natt::PORT;
        if moved && path.local.port() != natt::PORT {
            self.counters.old_port += 1;
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
        let Some(replies) = sa.replies_to(message, now) else {
            return false;
        };
        self.counters.duplicates += 1;
        for bytes in replies {
            self.push(Action::Send { path, bytes });
        }
        true
    }

    /// Whether an SA with a peer is on its way, begun by either side.
    fn is_under_way(&self, peer: IpAddr) -> bool {
        let authenticating = |sa: &IsakmpSa| sa.path.peer.ip() == peer && !sa.xauth.finished;
        if self.sas.iter().any(|(_, sa)| authenticating(sa)) {
            return true;
        }
        self.phase1
            .iter()
            .any(|(_, exchange)| exchange.common.talk.path.peer.ip() == peer && exchange.proven())
    }

    fn fail_waiting(&mut self, of: impl Fn(&Acquire) -> bool) {
        let failed = self.waiting.extract_if(.., |waiting| of(&waiting.acquire));
        for waiting in failed {
            self.actions
                .push_back(Action::Failed(waiting.acquire.policy));
        }
    }

    /// An ISAKMP SA goes; its bundles live on.
    fn remove_sa(&mut self, env: &mut Env<'_>, id: IsakmpSaId, tell: bool, by_peer: bool) {
        let wants = self.sas.get(id.0).is_some_and(|sa| sa.policy.deletes());
        if tell && wants {
            self.send_isakmp_delete(env, id);
        }
        let quick: Vec<Id> = self
            .quick
            .iter()
            .filter(|(_, quick)| quick.common.sa == id)
            .map(|(id, _)| id)
            .collect();
        for id in quick {
            self.drop_quick(id);
        }
        let transaction = self.transactions.iter().find(|(_, t)| t.common.sa == id);
        if let Some(place) = transaction.map(|(place, _)| place) {
            self.transactions.remove(place);
        }
        if let Some(sa) = self.sas.remove(id.0) {
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
