//! Whether a peer is still there, and where: dead peer detection, heartbeat, the responder's
//! rekey extension, and peers that move.

use alloc::vec::Vec;
use core::net::SocketAddr;

use hw_offload::Ticket;
use ipsec_core::{BundleId, Id, Instant};

use super::{Child, Endpoint};
use crate::ask::{Action, Ask, Env, LostBy, Path, Report};
use crate::dpd::{Due, Query, Verdict};
use crate::heartbeat::Beat;
use crate::natt::Move;
use crate::out::Out;
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::wire::{Identification, Notify, NotifyType, PayloadType};

impl Endpoint {
    /// A fresh and authentic message came under an SA, by that way.
    pub(super) fn seen(&mut self, now: Instant, id: IsakmpSaId, path: Path) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        sa.watch.dpd.heard(now);
        match sa.watch.nat.judge(now, sa.path, path) {
            Move::Same => {}
            Move::Refuse => self.counters.bad_port += 1,
            Move::Follow => self.follow(id, path),
        }
    }

    /// ESP of a peer came from elsewhere, authentic and fresh, and the data plane followed it.
    pub fn peer_moved(&mut self, now: Instant, from: Path, to: SocketAddr) {
        let there: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.path == from)
            .map(|(id, _)| id)
            .collect();
        for id in there.into_iter().map(IsakmpSaId) {
            if let Some(sa) = self.sas.get_mut(id.0) {
                sa.watch.nat.follows(now);
            }
            self.follow(id, Path { peer: to, ..from });
        }
    }

    fn follow(&mut self, id: IsakmpSaId, path: Path) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        let from = core::mem::replace(&mut sa.path, path);
        let (number, identity) = (sa.number, sa.identity.clone());
        for (_, quick) in self.quick.iter_mut().filter(|(_, q)| q.common.sa == id) {
            quick.common.talk.path = path;
        }
        for (_, other) in self
            .transactions
            .iter_mut()
            .filter(|(_, t)| t.common.sa == id)
        {
            other.common.talk.path = path;
        }
        for child in self
            .children
            .iter_mut()
            .filter(|child| child.identity.same_as(&identity))
        {
            child.peer = path.peer.ip();
        }
        let (from_end, to) = (from.peer, path.peer);
        self.push(Action::Moved { from, to });
        self.push(Action::Report(Report::PeerMoved {
            sa: number,
            from: from_end,
            to,
        }));
    }

    fn bundles_of(&self, identity: &Identification) -> Vec<BundleId> {
        self.children
            .iter()
            .filter(|child| child.identity.same_as(identity))
            .map(|child| child.bundle)
            .collect()
    }

    /// When [`Endpoint::liveness_timers`] has something to do for an SA.
    pub(super) fn liveness_deadline(sa: &IsakmpSa) -> Option<Instant> {
        let dpd = sa.watch.dpd.deadline().filter(|_| !sa.replaced);
        let beat = sa.watch.heartbeat.deadline().filter(|_| !sa.replaced);
        dpd.into_iter().chain(beat).min()
    }

    pub(super) fn liveness_timers(&mut self, env: &mut Env<'_>) {
        let due: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| Self::liveness_deadline(sa).is_some_and(|at| at <= env.now))
            .map(|(id, _)| id)
            .collect();
        for id in due.into_iter().map(IsakmpSaId) {
            let Some(sa) = self.sas.get_mut(id.0) else {
                continue;
            };
            match sa.watch.heartbeat.tick(env.now) {
                Beat::Nothing => {}
                Beat::Lost => {
                    self.lost(env, id, LostBy::Heartbeat);
                    continue;
                }
                Beat::Send(sequence) => {
                    let body = (self.heartbeat.encode)(sa.cookies, sequence);
                    self.inform(env, id, (PayloadType::N, body));
                }
            }
            let Some(sa) = self.sas.get(id.0) else {
                continue;
            };
            if sa.watch.dpd.tick(env.now) == Due::Check {
                let ticket = self.last_heard(id);
                if let Some(sa) = self.sas.get_mut(id.0) {
                    sa.watch.dpd.check(ticket);
                }
            }
        }
    }

    /// Asks when packets came from an SA's peer.
    fn last_heard(&mut self, id: IsakmpSaId) -> Ticket {
        let identity = self.sas.get(id.0).map(|sa| &sa.identity);
        let bundles = identity.map_or_else(Vec::new, |identity| self.bundles_of(identity));
        let mut out = Out {
            actions: &mut self.actions,
            tickets: &mut self.tickets,
        };
        out.ask(|_| Ask::LastHeard(bundles))
    }

    /// The data plane's answer. False if nobody waits for it.
    pub(super) fn heard_last(
        &mut self,
        env: &mut Env<'_>,
        ticket: Ticket,
        last: Option<Instant>,
    ) -> bool {
        let waits =
            |sa: &IsakmpSa| sa.watch.dpd.waits_for(ticket) || sa.watch.extension.waits_for(ticket);
        let found = self.sas.iter().find(|(_, sa)| waits(sa));
        let Some(id) = found.map(|(id, _)| IsakmpSaId(id)) else {
            return false;
        };
        let Some(sa) = self.sas.get_mut(id.0) else {
            return false;
        };
        if sa.watch.extension.waits_for(ticket) {
            if !sa.watch.extension.checked(env.now, last) {
                self.lost(env, id, LostBy::Idle);
            }
            return true;
        }
        match sa.watch.dpd.checked(env.now, last, &sa.policy) {
            Verdict::Alive => {}
            Verdict::Dead => self.lost(env, id, LostBy::Dpd),
            Verdict::Ask(sequence) => {
                if sa.watch.dpd.retries() == 1 {
                    self.exchanges = self.exchanges.wrapping_add(1);
                    sa.watch.dpd.named(self.exchanges);
                }
                self.send_dpd(env, id, NotifyType::R_U_THERE, sequence);
            }
        }
        true
    }

    fn send_dpd(&mut self, env: &mut Env<'_>, id: IsakmpSaId, kind: NotifyType, sequence: u32) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let notify = Notify {
            protocol: 1,
            kind,
            spi: &[sa.cookies.0.0, sa.cookies.1.0].concat(),
            data: &sequence.to_be_bytes(),
        };
        let body = notify.to_bytes();
        self.inform(env, id, (PayloadType::N, body));
    }

    /// A notification about liveness, authentic. False if it is about something else.
    pub(super) fn liveness_notify(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        notify: &Notify<'_>,
    ) -> bool {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return false;
        };
        let sequence = notify.data.try_into().map(u32::from_be_bytes);
        match (notify.kind, sequence) {
            (NotifyType::R_U_THERE, Ok(sequence)) => {
                match sa.watch.dpd.queried(env.now, sequence) {
                    Query::Answer => {
                        self.send_dpd(env, id, NotifyType::R_U_THERE_ACK, sequence);
                    }
                    Query::Stale | Query::TooMany | Query::NotAgreed => {
                        self.counters.dpd_refused += 1;
                    }
                }
            }
            (NotifyType::R_U_THERE_ACK, Ok(sequence)) => {
                if !sa.watch.dpd.acknowledged(sequence) {
                    self.counters.dpd_refused += 1;
                }
            }
            (NotifyType::R_U_THERE | NotifyType::R_U_THERE_ACK, Err(_)) => {
                self.counters.malformed += 1;
            }
            _ => {
                let Some(sequence) = (self.heartbeat.decode)(notify) else {
                    return false;
                };
                if !sa.watch.heartbeat.received(env.now, sequence) {
                    self.counters.heartbeats_refused += 1;
                }
            }
        }
        true
    }

    /// The life of an SA is over. True if it may be extended, which the data plane decides.
    pub(super) fn may_extend(&mut self, id: IsakmpSaId) -> bool {
        let Some(sa) = self.sas.get(id.0) else {
            return false;
        };
        // Without effect where the IPsec SAs live shorter.
        let lives = |child: &&Child| {
            child.identity.same_as(&sa.identity) && child.kept.seconds >= sa.lifetime.seconds
        };
        if !sa.policy.extends() || sa.replaced || !self.children.iter().any(|c| lives(&c)) {
            return false;
        }
        let ticket = self.last_heard(id);
        if let Some(sa) = self.sas.get_mut(id.0) {
            sa.watch.extension.check(ticket);
        }
        true
    }

    /// A peer is gone: everything with it goes, with Delete payloads where the policy wants them.
    fn lost(&mut self, env: &mut Env<'_>, id: IsakmpSaId, by: LostBy) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let (number, peer, identity) = (sa.number, sa.path.peer.ip(), sa.identity.clone());
        let deletes = sa.policy.deletes();
        let sa = number;
        self.push(Action::Report(Report::PeerLost { sa, peer, by }));
        let children: Vec<Child> = self
            .children
            .extract_if(.., |child| child.identity.same_as(&identity))
            .collect();
        for child in children.iter().filter(|_| deletes) {
            self.send_delete(env, id, &child.kept.inbound);
        }
        let sas: Vec<Id> = self
            .sas
            .iter()
            .filter(|(_, sa)| sa.identity.same_as(&identity))
            .map(|(id, _)| id)
            .collect();
        for id in sas {
            self.remove_sa(env, IsakmpSaId(id), true, false);
        }
        let bundles = children.iter().map(|child| child.bundle).collect();
        self.push(Action::PeerLost(bundles));
    }
}
