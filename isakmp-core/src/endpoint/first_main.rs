//! First messages of Main mode, and the messages that prove the addresses they came from.

use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::model::Role;

use super::Endpoint;
use super::count::bad_payloads;
use super::policies::at;
use crate::admission;
use crate::ask::{Action, Env, Path, Phase, Report};
use crate::config::Phase1Mode;
use crate::conversation::Conversation;
use crate::counters::Happened;
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::phase1::{
    Body, Common, Exchange, Extensions, HalfOpen, Incoming, MainResp, State, Trouble, find_in,
    types,
};
use crate::reason::{Reason, Subject, Whose};
use crate::wire::{
    Cookie, ExchangeType, Flags, HEADER, Header, MessageId, NotifyType, Payload, PayloadType,
    Payloads, SaBody, Writer,
};

impl Endpoint {
    /// Message 1 of Main mode.
    pub(super) fn first_main(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        if self.policies.for_peer(env.config, peer).next().is_none() {
            self.counters.raise(Happened::XdbStranger);
            self.counters.raise(Happened::SpdByPeerFailed);
            return;
        }
        let Some(hash) = self.hash_of(env, peer) else {
            return;
        };
        let initiator = incoming.header.initiator;
        let same = |entry: &HalfOpen| entry.cookies.0 == initiator && entry.path == path;
        let known = find_in(&mut self.half_open, hash, env.now, same);
        if let Some(entry) = known.and_then(Option::as_mut) {
            if entry.digest != incoming.digest {
                return self.counters.raise(Happened::MsgRxUnexpectedMsg);
            }
            self.counters.raise(Happened::XdbDuplicate);
            entry.repeats = entry.repeats.saturating_add(1);
            let mut out = super::out(&mut self.actions, &mut self.tickets, entry.number);
            return second_main(entry, env, &mut out);
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
        self.counters.raise(Happened::SpdByPeerGood);
        self.counters.raise(Happened::XdbHalfOpenAdd);
        self.started(
            env,
            (ExchangeType::Main, Role::Responder),
            number,
            Phase::One,
            peer,
        );
        self.push(Action::Report(Report::Message {
            exchange: number,
            sent: false,
            kind: ExchangeType::Main,
            message: 1,
            payloads: admitted.types,
            length: HEADER + incoming.body.len(),
            again: 0,
        }));
        second_main(&entry, env, &mut self.out(number));
        // Whom a policy names is not displaced by those whom none does.
        let [named, unnamed, long] = &mut self.half_open;
        let table = match (entry.body.is_long(), self.policies.names(peer)) {
            (true, _) => long,
            (false, true) => named,
            (false, false) => unnamed,
        };
        if table.insert(hash, env.now, entry) {
            self.counters.raise(Happened::XdbHalfOpenEvicted);
        }
    }

    /// A refused first message: told and answered seldom enough to be of no use to an attacker.
    pub(super) fn refuse_first(
        &mut self,
        env: &mut Env<'_>,
        incoming: &Incoming<'_>,
        reason: Reason,
        notifies: bool,
    ) {
        let path = incoming.path;
        self.counters.raise(Happened::MsgRxPh1XchgStartFail);
        if let Err(fault) = Payloads::parse(incoming.header.next, incoming.body) {
            self.counters.raise(bad_payloads(fault));
        }
        if !notifies && reason.subject == Subject::NoProposal {
            self.counters.raise(Happened::InfoPh1NotifyDisabled);
        }
        if !self.is_seldom(env.now, path.peer.ip()) {
            return;
        }
        self.refused(env, path.peer.ip(), reason);
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
                    nearest.get_or_insert((reason.under(&policy.name), policy.notifies()));
                }
            }
        }
        Err(nearest.unwrap_or_else(|| {
            let mode = Phase1Mode::Main;
            (self.policies.wrong_mode(env.config, peer, mode), false)
        }))
    }

    /// Message 3 of Main mode, whose cookie proves the initiator's address.
    pub(super) fn third_main(&mut self, env: &mut Env<'_>, incoming: Incoming<'_>) {
        let path = incoming.path;
        let peer = path.peer.ip();
        let cookies = (incoming.header.initiator, incoming.header.responder);
        let (Some(hash), false) = (self.hash_of(env, peer), self.phase1.is_full()) else {
            self.counters.raise(Happened::MsgRxP1NoXcgNot1stMsg);
            return;
        };
        let first_contact = self.is_first_contact(peer);
        let same = |entry: &HalfOpen| entry.cookies == cookies && entry.path == path;
        let found = find_in(&mut self.half_open, hash, env.now, same);
        let Some(slot) = found else {
            self.counters.raise(Happened::MsgRxP1NoXcgNot1stMsg);
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
            passes: 0,
            certificate_asked: false,
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
                        reason: reason.under(&common.policy.name),
                    }));
                }
                return;
            }
        };
        *slot = None;
        self.keep_few_unfinished(peer);
        let mut out = self.out(common.talk.number);
        let state = State::MainResp(MainResp::start(&mut common, env, &mut out, third));
        self.begin(env, Exchange::new(common, state, None));
    }

    /// The keyed hash of an address, which places it in the tables of strangers.
    pub(super) fn hash_of(&mut self, env: &mut Env<'_>, peer: IpAddr) -> Option<u64> {
        let digest = self.keyed(env, &[&octets(peer)])?;
        let head = digest.as_bytes().first_chunk::<8>()?;
        Some(u64::from_be_bytes(*head))
    }

    /// A responder's cookie: nobody who does not receive it can know it.
    pub(super) fn cookie(
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
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// What came of a first message.
pub(super) struct Admitted {
    pub(super) policy: u16,
    pub(super) agreed: Phase1,
    pub(super) sa_body: Vec<u8>,
    pub(super) extensions: Extensions,
    pub(super) types: Vec<PayloadType>,
}

/// The payloads of a first message.
pub(super) fn admitted<'a>(
    kind: ExchangeType,
    incoming: &Incoming<'a>,
) -> Result<Payloads<'a>, Subject> {
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
pub(super) fn offer<'a>(payloads: &Payloads<'a>) -> Result<(SaBody<'a>, &'a [u8]), Subject> {
    let sa = payloads.first(PayloadType::SA).ok_or(Subject::Payloads)?;
    match Payload::parse(sa) {
        Ok(Payload::Sa(offer)) => Ok((offer, sa.body)),
        _ => Err(Subject::Malformed),
    }
}

/// Message 2 of Main mode.
fn second_main(entry: &HalfOpen, env: &Env<'_>, out: &mut Out<'_>) {
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
    out.watch_sent(env, &header, &writer);
    let bytes = writer.message(header);
    out.report(Report::Message {
        exchange: entry.number,
        sent: true,
        kind: ExchangeType::Main,
        message: 2,
        payloads: types(&writer),
        length: bytes.len(),
        again: entry.repeats,
    });
    let path = entry.path;
    out.push(Action::Send { path, bytes });
}
