//! Informational exchanges: notifications and deletes, received and sent.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_core::Instant;
use ipsec_core::model::{Protocol, Spi};

use super::Endpoint;
use super::count::bad_payloads;
use crate::admission;
use crate::ask::{Action, Env, Path, Report};
use crate::counters::Happened;
use crate::phase1::Incoming;
use crate::phase2::Step;
use crate::reason::{Reason, Subject, Whose};
use crate::sa::IsakmpSaId;
use crate::wire::{
    Cookie, Delete, ExchangeType, Flags, HEADER, Header, MessageId, Notify, NotifyType, Payload,
    PayloadType, Payloads, Writer,
};

/// At most one unauthenticated error notification per address in this time.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);
/// Addresses remembered for that.
const COMPLAINTS: usize = 64;

impl Endpoint {
    /// A message of an informational exchange.
    pub(super) fn informational(&mut self, env: &mut Env<'_>, path: Path, incoming: &Incoming<'_>) {
        let header = incoming.header;
        if !header.flags.encrypted() {
            return self.unauthenticated(path, incoming);
        }
        let Some(id) = self.sa_by(header, path) else {
            if !self.is_early(env, incoming) {
                self.counters.raise(Happened::MsgRxPhase2NoSa);
                self.counters.raise(Happened::InfoPh2SANotFound);
            }
            return;
        };
        let Some(sa) = self.sas.get(id.0) else { return };
        let quick = self.quick.by_message(id, header.message_id);
        if let Some(place) = quick
            && let Some(quick) = self.quick.get_mut(place)
        {
            let number = quick.common.talk.number;
            let mut out = super::out(&mut self.actions, &mut self.tickets, number);
            let step = quick.connected(sa, env, &mut out, incoming);
            return self.after_quick(env, place, step);
        }
        if header.message_id.0 == 0 || sa.is_used(header.message_id) || sa.is_spent() {
            return self.counters.raise(Happened::MsgRxUnexpectedMsg);
        }
        let iv = sa.iv(env.primitives, header.message_id);
        let opened = sa.open(env.primitives, &iv, incoming.body);
        let payloads = opened
            .as_ref()
            .and_then(|(plain, _)| Payloads::parse(header.next, plain).ok());
        let Some(payloads) = payloads
            .filter(|payloads| sa.authentic(env.primitives, header.message_id, &[], payloads))
            .filter(|payloads| admission::admits(ExchangeType::Informational, 1, true, payloads))
        else {
            return self.count_ignored(header);
        };
        if let Some((plain, _)) = &opened {
            let mut out = super::out(&mut self.actions, &mut self.tickets, 0);
            out.watch_received(env, header, plain);
        }
        let peer = sa.path.peer.ip();
        let own_cookies = [sa.cookies.0.0, sa.cookies.1.0].concat();
        let questions = sa.watch.dpd.questions();
        self.count_deciphered(true);
        if let Some(sa) = self.sas.get_mut(id.0) {
            sa.remember(header.message_id);
            sa.count(HEADER + incoming.body.len());
        }
        self.seen(env.now, id, path);
        for raw in payloads.all() {
            match Payload::parse(*raw) {
                Ok(Payload::Notify(notify)) => {
                    self.counters.raise(Happened::InfoNotifyRx);
                    if self.liveness_notify(env, id, &notify, questions.as_ref()) {
                        continue;
                    }
                    let (kind, exchange) = (notify.kind, 0);
                    let authentic = true;
                    let report = Report::Notified {
                        exchange,
                        peer,
                        kind,
                        authentic,
                    };
                    self.push(Action::Report(report));
                    if kind == NotifyType::INITIAL_CONTACT {
                        self.contacted_under(env, id);
                    } else if kind.is_error() {
                        self.refused_under(env, id, &notify);
                    }
                }
                Ok(Payload::Delete(delete))
                    if delete.protocol == 1 && delete.spis().any(|spi| spi == own_cookies) =>
                {
                    self.counters.raise(Happened::InfoDeleteRx);
                    // What stands behind it is no longer protected by anything.
                    self.retry_deleted(env, id);
                    return self.remove_sa(env, id, false, true);
                }
                Ok(Payload::Delete(delete)) => {
                    self.counters.raise(Happened::InfoDeleteRx);
                    let Some(protocol) = Protocol::from_doi_number(delete.protocol) else {
                        continue;
                    };
                    for spi in delete
                        .spis()
                        .filter_map(|spi| <[u8; 4]>::try_from(spi).ok())
                    {
                        let spi = Spi::from_bytes(spi);
                        self.push(Action::DeleteSpi {
                            peer,
                            protocol,
                            spi,
                        });
                    }
                }
                _ => {}
            }
        }
    }

    /// INITIAL-CONTACT under an established SA: once, what the peer had before it is gone.
    fn contacted_under(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get_mut(id.0) else {
            return;
        };
        if core::mem::replace(&mut sa.contacted, true) {
            return;
        }
        let (owner, since) = (sa.peer_key(), sa.since);
        if !sa.xauth.finished {
            sa.forgets = Some(since);
            return;
        }
        self.peer_restarted(env, &owner, since, Some(id));
    }

    /// An authentic error ends the quick mode that it is about: the one whose SPI it names, or the
    /// only one that waits for an answer.
    fn refused_under(&mut self, env: &mut Env<'_>, id: IsakmpSaId, notify: &Notify<'_>) {
        let waiting: Vec<_> = self
            .quick
            .under(id)
            .filter(|(_, quick)| quick.waits_for_peer())
            .map(|(place, quick)| (place, &quick.common.spis))
            .collect();
        let found = match (<[u8; 4]>::try_from(notify.spi), waiting.as_slice()) {
            (Ok(named), _) if named != [0; 4] => waiting
                .iter()
                .find(|(_, spis)| spis.iter().any(|(_, spi)| spi.to_bytes() == named)),
            (_, [only]) => Some(only),
            _ => None,
        };
        if let Some(place) = found.map(|(place, _)| *place) {
            let Some(quick) = self.quick.get(place) else {
                return;
            };
            let (message, subject) = (quick.common.talk.message(), Subject::Refused);
            let reason = Reason::new(ExchangeType::Quick, message, subject, Whose::Theirs)
                .told(Some(notify.kind))
                .under(&quick.common.policy);
            self.after_quick(env, place, Step::Failed(reason));
        }
    }

    /// Without authentication a notification is a hint for a person, and nothing else.
    fn unauthenticated(&mut self, path: Path, incoming: &Incoming<'_>) {
        let header = incoming.header;
        let found = self
            .phase1
            .named(header.initiator)
            .find(|(_, exchange)| exchange.common.talk.path.peer == path.peer)
            .map(|(id, _)| id);
        let payloads = match Payloads::parse(header.next, incoming.body) {
            Ok(payloads) => payloads,
            Err(fault) => return self.counters.raise(bad_payloads(fault)),
        };
        if payloads.first(PayloadType::D).is_some() {
            self.counters.raise(Happened::InfoPh1NoDelAllowed);
        }
        let Some(exchange) = found.and_then(|id| self.phase1.get_mut(id)) else {
            return self.counters.raise(Happened::InfoNoMatchingPolicy);
        };
        let notify = payloads
            .all()
            .iter()
            .find_map(|raw| match Payload::parse(*raw) {
                Ok(Payload::Notify(notify)) => Some(notify),
                _ => None,
            });
        if let Some(notify) = notify.filter(|notify| notify.kind.is_error()) {
            self.counters.raise(Happened::InfoNotifyRxPlain);
            exchange.hint(notify.kind);
            let exchange = exchange.common.talk.number;
            let (peer, kind, authentic) = (path.peer.ip(), notify.kind, false);
            self.push(Action::Report(Report::Notified {
                exchange,
                peer,
                kind,
                authentic,
            }));
        }
    }

    /// Whether an address has not been complained about just now; it counts as such from here on.
    pub(super) fn is_seldom(&mut self, now: Instant, peer: IpAddr) -> bool {
        self.complaints
            .retain(|(_, at)| *at + COMPLAINT_EVERY > now);
        let recent = self.complaints.iter().any(|(other, _)| *other == peer);
        if recent || self.complaints.len() >= COMPLAINTS {
            return false;
        }
        self.complaints.push_back((peer, now));
        true
    }

    /// Tells somebody in clear that its first message was refused.
    pub(super) fn complain(
        &mut self,
        env: &mut Env<'_>,
        path: Path,
        initiator: Cookie,
        kind: NotifyType,
    ) {
        let mut id = [0; 4];
        if env.entropy.fill(&mut id).is_err() {
            return self.counters.raise(Happened::InfoPh1ExchgStartFail);
        }
        let header = Header {
            initiator,
            responder: Cookie::ZERO,
            next: PayloadType::NONE,
            exchange: ExchangeType::Informational,
            flags: Flags(0),
            message_id: MessageId(u32::from_be_bytes(id) | 1),
        };
        let notify = Notify {
            protocol: 1,
            kind,
            spi: &[],
            data: &[],
        };
        let mut writer = Writer::new();
        writer.push(PayloadType::N, &notify.to_bytes());
        self.counters.raise(Happened::MsgTx);
        self.counters.raise(Happened::InfoNotifyTxPlain);
        self.out(0).watch_sent(env, &header, &writer);
        self.push(Action::Send {
            path,
            bytes: writer.message(header),
        });
    }

    /// Sends an error notification under an SA, where the policy wants it: about a protocol and the
    /// SPI that the peer proposed for it.
    pub(super) fn send_notify(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        kind: NotifyType,
        (protocol, spi): (u8, &[u8]),
    ) {
        if self.sas.get(id.0).is_some_and(|sa| sa.policy.notifies()) {
            let notify = Notify {
                protocol,
                kind,
                spi,
                data: &[],
            };
            self.inform(env, id, (PayloadType::N, notify.to_bytes()));
        } else {
            self.counters.raise(Happened::InfoPh2NotifyDisabled);
        }
    }

    /// Sends Delete payloads for our inbound SPIs.
    pub(super) fn send_delete(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        inbound: &[(Protocol, Spi)],
    ) {
        for (protocol, spi) in inbound {
            let body = Delete::body(protocol.doi_number(), &[&spi.to_bytes()]);
            self.inform(env, id, (PayloadType::D, body));
        }
    }

    /// Sends a Delete payload for the ISAKMP SA itself.
    pub(super) fn send_isakmp_delete(&mut self, env: &mut Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let cookies = [sa.cookies.0.0, sa.cookies.1.0].concat();
        self.inform(env, id, (PayloadType::D, Delete::body(1, &[&cookies])));
    }

    pub(super) fn inform(
        &mut self,
        env: &mut Env<'_>,
        id: IsakmpSaId,
        payload: (PayloadType, Vec<u8>),
    ) {
        let Ok(message_id) = self.new_message_id(env, id) else {
            return self.counters.raise(Happened::InfoPh2XchgStartFail);
        };
        self.counters.raise(match payload.0 {
            PayloadType::D => Happened::InfoDeleteTx,
            _ => Happened::InfoNotifyTx,
        });
        let Some(sa) = self.sas.get(id.0) else { return };
        let writer = sa.hashed(env.primitives, message_id, &[], &[payload]);
        let mut iv = sa.iv(env.primitives, message_id);
        let header = sa.header(ExchangeType::Informational, message_id);
        let mut out = super::out(&mut self.actions, &mut self.tickets, 0);
        out.watch_sent(env, &header, &writer);
        let bytes = sa.session.seal(env.primitives, &mut iv, header, &writer);
        let path = sa.path;
        if let Some(sa) = self.sas.get_mut(id.0) {
            sa.count(bytes.len());
        }
        self.push(Action::Report(Report::Message {
            exchange: 0,
            sent: true,
            kind: ExchangeType::Informational,
            message: 1,
            payloads: crate::phase1::types(&writer),
            length: bytes.len(),
            again: 0,
        }));
        self.push(Action::Send { path, bytes });
    }
}
