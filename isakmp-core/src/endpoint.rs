//! All exchanges and ISAKMP SAs of a device: calls go in, ordered actions come out.

mod inform;
mod main_mode;
mod quick_mode;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::Ticket;
use ipsec_core::model::{Name, Role};
use ipsec_core::{BundleId, Id, Instant, Limits, Slab};

use crate::ask::{Acquire, Action, Answer, Env, Path, Report};
use crate::conversation::fingerprint;
use crate::out::Out;
use crate::phase1::{self, Incoming};
use crate::phase2;
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::wire::{Cookie, ExchangeType, Header, Identification};

/// A bundle that was negotiated and still lives.
#[derive(Clone, Debug)]
struct Child {
    bundle: BundleId,
    /// Whose it is: several peers may share an address.
    identity: Identification,
    peer: IpAddr,
    since: Instant,
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
}

/// An exchange as SHOW ISAKMP EXCHANGE lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeView {
    /// Its number.
    pub number: u32,
    /// 1 or 2.
    pub phase: u8,
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
            sas: Slab::new(limits.isakmp_sas),
            phase1: Slab::new(exchanges),
            quick: Slab::new(exchanges),
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
            ExchangeType::Quick => self.quick_mode(env, incoming),
            ExchangeType::Informational => self.informational(env, path, &incoming),
            ExchangeType::Aggressive
            | ExchangeType::Transaction
            | ExchangeType::NewGroup
            | ExchangeType::Other(_) => self.counters.unknown += 1,
        }
    }

    /// Somebody needs a bundle.
    pub fn acquire(&mut self, env: &mut Env<'_>, acquire: Acquire) {
        if !env.config.enabled {
            self.push(Action::Failed(acquire.policy));
            return;
        }
        let busy = self
            .quick
            .iter()
            .any(|(_, quick)| quick.common.policy == acquire.policy);
        let queued = self
            .waiting
            .iter()
            .any(|other| other.acquire.policy == acquire.policy);
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
        if let Answer::Reserved(Ok(reserved)) = answer {
            // Nobody waits for it any more.
            self.push(Action::Release(reserved.bundle));
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
            let step = quick.tick(&mut out, now);
            self.after_quick(env, id, step);
        }
        let due: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.deadline() <= now)
            .map(|(id, _)| id)
            .collect();
        for id in due {
            let Some(sa) = self.sas.get_mut(id) else {
                continue;
            };
            if sa.hard_at() <= now {
                self.remove_sa(env, IsakmpSaId(id), true, false);
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
        let quick = self
            .quick
            .iter()
            .filter_map(|(_, quick)| quick.common.talk.deadline());
        let sas = self.sas.iter().map(|(_, sa)| sa.deadline());
        // One whose turn has come waits for an exchange; one without any hope is taken up now.
        let waiting = self.waiting.iter().filter_map(|waiting| {
            let peer = waiting.acquire.peer;
            if self.usable_sa(peer).is_some() {
                return Some(waiting.not_before).filter(|at| *at > now);
            }
            (!self.is_under_way(peer)).then_some(now)
        });
        exchanges.chain(quick).chain(sas).chain(waiting).min()
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
            phase: 1,
            peer: exchange.common.talk.path.peer.ip(),
            state: exchange.state(),
        });
        let quick = self.quick.iter().map(|(_, quick)| ExchangeView {
            number: quick.common.talk.number,
            phase: 2,
            peer: quick.common.talk.path.peer.ip(),
            state: quick.state(),
        });
        phase1.chain(quick)
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

    fn started(&mut self, exchange: u32, phase: u8, role: Role, peer: IpAddr) {
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
            .filter(|(_, sa)| sa.path.peer.ip() == peer && !sa.replaced && !sa.is_spent())
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

    /// Whether phase 1 with a peer is on its way, begun by either side.
    fn is_under_way(&self, peer: IpAddr) -> bool {
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
