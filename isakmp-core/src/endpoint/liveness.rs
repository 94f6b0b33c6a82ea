//! Whether a peer is still there, and where: dead peer detection, heartbeat, the responder's
//! rekey extension, and peers that move.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::RangeInclusive;

use hw_offload::Ticket;
use ipsec_core::{Id, Instant, KEEPALIVE_AFTER};

use super::{Child, Endpoint};
use crate::ask::{Action, Ask, Env, LostBy, Path, Report};
use crate::counters::Happened;
use crate::dpd::{Due, Query, Verdict};
use crate::heartbeat::Beat;
use crate::natt::Move;
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::wire::{Notify, NotifyType, PayloadType};

impl Endpoint {
    /// A fresh and authentic message came under an SA, by that way.
    pub(super) fn seen(&mut self, now: Instant, id: IsakmpSaId, path: Path) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        sa.watch.dpd.heard(now);
        match sa.watch.nat.judge(now, sa.path, path) {
            Move::Same => {}
            Move::Refuse => self.counters.raise(Happened::MsgRxBadPortIpChange),
            Move::Follow => self.follow(id, path),
        }
    }

    /// ESP of a peer came from elsewhere, authentic and fresh, and the data plane followed it.
    pub fn peer_moved(&mut self, now: Instant, from: Path, to: SocketAddr) {
        let there: Vec<IsakmpSaId> = self
            .sas
            .with(from.peer.ip())
            .filter(|(_, sa)| sa.path == from)
            .map(|(id, _)| id)
            .collect();
        for id in there {
            if let Some(sa) = self.sas.get_mut(id.0) {
                sa.watch.nat.follows(now);
            }
            self.follow(id, Path { peer: to, ..from });
        }
    }

    fn follow(&mut self, id: IsakmpSaId, path: Path) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let (from, number, owner) = (sa.path, sa.number, sa.peer_key());
        self.sas.moved(id.0, path);
        self.waits.stir(from.peer.ip());
        self.waits.stir(path.peer.ip());
        let quick: Vec<Id> = self.quick.under(id).map(|(place, _)| place).collect();
        for place in quick {
            if let Some(quick) = self.quick.get_mut(place) {
                quick.common.talk.path = path;
            }
        }
        let transaction = self.transactions.under(id);
        if let Some(exchange) = transaction.and_then(|place| self.transactions.get_mut(place)) {
            exchange.common.talk.path = path;
        }
        let key = self.sas.get(id.0).map(IsakmpSa::peer_key);
        let key = key.as_ref().unwrap_or(&owner);
        self.children.moved(&owner, path.peer.ip(), key);
        let to = path.peer;
        self.push(Action::Moved { from, to });
        self.push(Action::Report(Report::PeerMoved {
            sa: number,
            from: from.peer,
            to,
        }));
    }

    /// A peer is to be asked, told or given up.
    pub(super) fn watch(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        match sa.watch.heartbeat.tick(env.now) {
            Beat::Nothing => {}
            Beat::Lost => return self.lost(env, id, LostBy::Heartbeat),
            Beat::Send(sequence) => {
                let body = (self.heartbeat.encode)(sa.cookies, sequence);
                self.counters.raise(Happened::HeartbeatTx);
                self.inform(env, id, (PayloadType::N, body));
            }
        }
        self.keep_alive(env.now, id);
        let Some(sa) = self.sas.get(id.0) else { return };
        if sa.watch.dpd.tick(env.now) == Due::Check {
            let ticket = self.last_heard(id);
            if let Some(sa) = self.sas.get_mut(id.0) {
                sa.watch.dpd.check(ticket);
            }
        }
    }

    /// Reminds a NAT in front of us of the peer, as long as no bundle does.
    fn keep_alive(&mut self, now: Instant, id: IsakmpSaId) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        if sa.watch.keepalive_at.is_none_or(|at| at > now) {
            return;
        }
        sa.watch.keepalive_at = Some(now + KEEPALIVE_AFTER);
        let (path, owner) = (sa.path, sa.peer_key());
        if self.children.owned(&owner).next().is_none() {
            self.push(Action::Keepalive(path));
        }
    }

    /// Asks when packets came from an SA's peer.
    fn last_heard(&mut self, id: IsakmpSaId) -> Ticket {
        let owner = self.sas.get(id.0).map(IsakmpSa::peer_key);
        let bundles = owner.map_or_else(Vec::new, |owner| {
            let owned = self.children.owned(&owner);
            owned.map(|child| child.bundle).collect()
        });
        let ticket = self.out(0).ask(|_| Ask::LastHeard(bundles));
        self.hearing.insert(ticket, id);
        ticket
    }

    /// The data plane's answer.
    pub(super) fn heard_last(&mut self, env: &mut Env<'_>, ticket: Ticket, last: Option<Instant>) {
        let Some(id) = self.hearing.remove(&ticket) else {
            return;
        };
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        if sa.watch.extension.waits_for(ticket) {
            if !sa.watch.extension.checked(env.now, last) {
                self.lost(env, id, LostBy::Idle);
            }
            return;
        }
        if !sa.watch.dpd.waits_for(ticket) {
            return;
        }
        match sa.watch.dpd.checked(env.now, last, &sa.policy) {
            Verdict::Alive => {}
            Verdict::Dead => self.lost(env, id, LostBy::Dpd),
            Verdict::Ask(sequence) => {
                let first = sa.watch.dpd.retries() == 1;
                let number = self.next_exchange();
                if let Some(sa) = self.sas.get_mut(id.0).filter(|_| first) {
                    sa.watch.dpd.named(number);
                }
                self.send_dpd(env, id, NotifyType::R_U_THERE, sequence);
            }
        }
    }

    fn send_dpd(&mut self, env: &mut Env<'_>, id: IsakmpSaId, kind: NotifyType, sequence: u32) {
        let Some(sa) = self.sas.get(id.0) else { return };
        self.counters.raise(match kind {
            NotifyType::R_U_THERE => Happened::DpdRutTx,
            _ => Happened::DpdAckTx,
        });
        let notify = Notify {
            protocol: 1,
            kind,
            spi: &[sa.cookies.0.0, sa.cookies.1.0].concat(),
            data: &sequence.to_be_bytes(),
        };
        let body = notify.to_bytes();
        self.inform(env, id, (PayloadType::N, body));
    }

    /// A notification about liveness, authentic, and the questions that were open when it came.
    /// False if it is about something else.
    pub(super) fn liveness_notify(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        notify: &Notify<'_>,
        questions: Option<&RangeInclusive<u32>>,
    ) -> bool {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return false;
        };
        let sequence = notify.data.try_into().map(u32::from_be_bytes);
        match (notify.kind, sequence) {
            (NotifyType::R_U_THERE, Ok(sequence)) => {
                match sa.watch.dpd.queried(env.now, sequence) {
                    Query::Answer => {
                        self.counters.raise(Happened::DpdRutRx);
                        self.send_dpd(env, id, NotifyType::R_U_THERE_ACK, sequence);
                    }
                    Query::Stale | Query::TooMany | Query::NotAgreed => {
                        self.counters.raise(Happened::DpdRefused);
                    }
                }
            }
            (NotifyType::R_U_THERE_ACK, Ok(sequence)) => {
                if questions.is_some_and(|questions| questions.contains(&sequence)) {
                    self.counters.raise(Happened::DpdAckRx);
                } else {
                    self.counters.raise(Happened::DpdRefused);
                }
            }
            (NotifyType::R_U_THERE | NotifyType::R_U_THERE_ACK, Err(_)) => {
                self.counters.raise(Happened::DpdRefused);
            }
            _ => {
                let Some(sequence) = (self.heartbeat.decode)(notify) else {
                    return false;
                };
                if !sa.watch.heartbeat.received(env.now, sequence) {
                    self.counters.raise(Happened::HeartbeatRefused);
                } else {
                    self.counters.raise(Happened::HeartbeatRx);
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
        let owner = sa.peer_key();
        let lives = self
            .children
            .owned(&owner)
            .any(|child| child.kept.seconds >= sa.lifetime.seconds);
        if !sa.policy.extends() || sa.replaced || !lives {
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
        let (number, peer, owner) = (sa.number, sa.path.peer.ip(), sa.peer_key());
        let deletes = sa.policy.deletes();
        let sa = number;
        self.push(Action::Report(Report::PeerLost { sa, peer, by }));
        let children: Vec<Child> = self.children.owned(&owner).cloned().collect();
        for child in &children {
            if deletes {
                self.send_delete(env, id, &child.kept.inbound);
            }
            self.children.remove(child.bundle);
        }
        let sas: Vec<Id> = self.sas.of(&owner).map(|(id, _)| id).collect();
        for id in sas {
            self.remove_sa(env, IsakmpSaId(id), true, false);
        }
        let bundles = children.iter().map(|child| child.bundle).collect();
        self.push(Action::PeerLost(bundles));
    }
}
