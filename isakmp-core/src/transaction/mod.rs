//! The transaction exchange with extended authentication, between phase 1 and phase 2.
//!
//! ```text
//! server                                        client
//! HDR*, HASH, ATTR(REQUEST: NAME, PASSWORD) ->
//!                         <- HDR*, HASH, ATTR(REPLY: NAME, PASSWORD)
//!         ... perhaps more questions and answers ...
//! HDR*, HASH, ATTR(SET: STATUS)             ->
//!                         <- HDR*, HASH, ATTR(ACK)
//! ```
//! HASH = prf(SKEYID_a, M-ID | ATTR). Each question, and SET, begins with a message id of its
//! own; a peer that goes on under the old one is understood too, its IV is chained then.

mod client;
mod server;

use alloc::vec::Vec;

use hw_offload::Ticket;
use ipsec_core::Instant;
use ipsec_core::model::Role;
use zeroize::Zeroize;

use crate::admission;
use crate::ask::{Answer, Env, Report};
use crate::config::{IsakmpPolicyConfig, XauthType};
use crate::conversation::{Conversation, Tick};
use crate::guard::Guard;
use crate::keys::Iv;
use crate::out::Out;
use crate::phase1::Incoming;
use crate::reason::{Reason, Subject, Text, Whose};
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::timed::Due;
use crate::wire::{Attribute, ExchangeType, HEADER, MessageId, Payload, PayloadType, Payloads};
use crate::xauth::{Content, Verb, XauthMethod, body};

use client::Client;
use server::Server;

/// What a user may get wrong on one ISAKMP SA.
pub(crate) const MAX_FAILURES: u8 = 3;

/// What SHOW ISAKMP SA tells about extended authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XauthView {
    /// Whether the policy asks for it.
    pub wanted: bool,
    /// Whether it is over, or never was to be.
    pub finished: bool,
    /// The identifier of the transaction; 0 before it began.
    pub identifier: u16,
    /// What this side sends next as server: REQ, SET, or UNKNOWN.
    pub next: &'static str,
    /// Whether the user was accepted.
    pub ok: bool,
    /// The method.
    pub method: XauthMethod,
    /// Wrong answers that are too many; 0 without extended authentication.
    pub max_failures: u8,
    /// Wrong answers so far.
    pub failures: u8,
}

impl Default for XauthView {
    fn default() -> Self {
        Self {
            wanted: false,
            finished: true,
            identifier: 0,
            next: "UNKNOWN",
            ok: false,
            method: XauthMethod::Generic,
            max_failures: 0,
            failures: 0,
        }
    }
}

/// What came of an event.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is returned"
)]
pub(crate) enum Step {
    /// The exchange goes on.
    On,
    /// Over: the user is accepted, and both sides know.
    Done,
    /// Over: the ISAKMP SA goes.
    Failed(Reason),
}

/// What both roles know of their exchange.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) talk: Conversation,
    pub(crate) sa: IsakmpSaId,
    /// The message id of the messages under way; 0 before the first.
    pub(crate) message_id: MessageId,
    iv: Option<Iv>,
    pub(crate) identifier: u16,
    pub(crate) method: XauthMethod,
    pub(crate) failures: u8,
    pub(crate) suspicion: Option<Reason>,
    /// The name that the client gave last.
    user: Option<Text>,
    /// How many messages have been exchanged.
    count: u8,
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) common: Common,
    role: RoleState,
}

#[derive(Debug)]
enum RoleState {
    Server(Server),
    Client(Client),
}

pub(crate) const fn reason(message: u8, subject: Subject, whose: Whose) -> Reason {
    Reason::new(ExchangeType::Transaction, message, subject, whose)
}

impl Common {
    pub(crate) const fn new(
        talk: Conversation,
        sa: IsakmpSaId,
        identifier: u16,
        method: XauthMethod,
    ) -> Self {
        Self {
            talk,
            sa,
            message_id: MessageId(0),
            iv: None,
            identifier,
            method,
            failures: 0,
            suspicion: None,
            user: None,
            count: 0,
        }
    }

    /// Goes on under a message id of its own.
    fn begin(&mut self, sa: &IsakmpSa, env: &Env<'_>, message_id: MessageId) {
        self.message_id = message_id;
        self.iv = Some(sa.iv(env.primitives, message_id));
    }

    /// Seals and sends an ATTR payload; again and again if an answer is due.
    fn send(
        &mut self,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
        (verb, attributes): (Verb, &[Attribute<'_>]),
        again: bool,
    ) {
        let Some(mut iv) = self.iv else { return };
        let payload = (PayloadType::ATTR, body(verb, self.identifier, attributes));
        let writer = sa.hashed(env.primitives, self.message_id, &[], &[payload]);
        let header = sa.header(ExchangeType::Transaction, self.message_id);
        out.watch_sent(env, &header, &writer);
        let bytes = sa.session.seal(env.primitives, &mut iv, header, &writer);
        self.iv = Some(iv);
        self.count = self.count.saturating_add(1);
        let named = (self.count, crate::phase1::types(&writer));
        let policy = again.then_some(&sa.policy);
        self.talk.send(out, env.now, named, bytes, policy);
    }
}

/// An authentic ATTR payload, and what its acceptance changes.
struct Opened {
    verb: Option<Verb>,
    identifier: u16,
    content: Content,
    iv: Iv,
    types: Vec<PayloadType>,
}

/// Deciphers, verifies and reads a message. Who cannot make the HASH moves nothing.
fn admit(
    sa: &IsakmpSa,
    env: &Env<'_>,
    out: &mut Out<'_>,
    iv: &Iv,
    incoming: &Incoming<'_>,
) -> Option<Opened> {
    let header = incoming.header;
    let (mut plain, iv) = sa.open(env.primitives, iv, incoming.body)?;
    let opened = Payloads::parse(header.next, &plain)
        .ok()
        .filter(|payloads| sa.authentic(env.primitives, header.message_id, &[], payloads))
        .filter(|payloads| admission::admits(ExchangeType::Transaction, 1, true, payloads))
        .and_then(|payloads| {
            let raw = payloads.first(PayloadType::ATTR)?;
            let Ok(Payload::Attributes(verb, identifier, attributes)) = Payload::parse(raw) else {
                return None;
            };
            Some(Opened {
                verb: Verb::from_number(verb),
                identifier,
                content: Content::read(&attributes),
                iv,
                types: payloads.all().iter().map(|raw| raw.kind).collect(),
            })
        });
    if opened.is_some() {
        out.watch_received(env, header, &plain);
    }
    // A password may stand in it.
    plain.zeroize();
    opened
}

impl Due for Exchange {
    fn due(&self) -> Option<Instant> {
        let own = match &self.role {
            RoleState::Server(state) => state.deadline(),
            RoleState::Client(state) => state.deadline(),
        };
        self.common.talk.deadline().into_iter().chain(own).min()
    }
}

impl Exchange {
    /// Of the side that asks. Its first question goes out.
    pub(crate) fn server(
        mut common: Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self, Reason> {
        let server = Server::start(&mut common, sa, env, out)?;
        Ok(Self {
            common,
            role: RoleState::Server(server),
        })
    }

    /// Of the side that is asked: it waits for the first question.
    pub(crate) fn client(common: Common, now: Instant, policy: &IsakmpPolicyConfig) -> Self {
        Self {
            common,
            role: RoleState::Client(Client::new(now, policy)),
        }
    }

    /// Our part in it.
    pub(crate) const fn role(&self) -> Role {
        match &self.role {
            RoleState::Server(_) => Role::Initiator,
            RoleState::Client(_) => Role::Responder,
        }
    }

    /// The state's name on the screens.
    pub(crate) const fn state(&self) -> &'static str {
        match &self.role {
            RoleState::Server(state) => state.name(),
            RoleState::Client(state) => state.name(),
        }
    }

    /// Where it stands, for the screens and for those who wait for its end.
    pub(crate) const fn view(&self) -> XauthView {
        let next = match &self.role {
            RoleState::Server(state) => state.next(self.common.failures),
            RoleState::Client(_) => "UNKNOWN",
        };
        let ok = self.is_accepted();
        XauthView {
            wanted: true,
            finished: false,
            identifier: self.common.identifier,
            next,
            ok,
            method: self.common.method,
            max_failures: MAX_FAILURES,
            failures: self.common.failures,
        }
    }

    /// Whether the user is accepted, and only the client's word that it knows is missing.
    pub(crate) const fn is_accepted(&self) -> bool {
        matches!(&self.role, RoleState::Server(Server::Telling { ok: true }))
    }

    /// A message under this exchange's SA. True in the second place if it is authentic and new.
    pub(crate) fn receive(
        &mut self,
        sa: &mut IsakmpSa,
        guard: &mut Guard,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: &Incoming<'_>,
    ) -> (Step, bool) {
        let message_id = incoming.header.message_id;
        let client = matches!(self.role, RoleState::Client(_));
        let iv = match self.common.iv {
            Some(iv) if message_id == self.common.message_id => iv,
            // A client goes along when its peer begins under a new message id; a server waits
            // for the answer to its own.
            _ if client && message_id.0 != 0 && !sa.is_used(message_id) => {
                sa.iv(env.primitives, message_id)
            }
            _ => return (Step::On, false),
        };
        let Some(opened) = admit(sa, env, out, &iv, incoming) else {
            self.suspect(out, Subject::Hash);
            return (Step::On, false);
        };
        // A client learns the identifier from the server. A server does not ask for its own back:
        // there are clients that say 0, and the message id, which the HASH covers, tells enough.
        let same = opened.identifier == self.common.identifier;
        let expected = match &self.role {
            RoleState::Server(state) => state.expects(opened.verb),
            RoleState::Client(state) => (same || state.is_new()) && state.expects(opened.verb),
        };
        if !expected {
            self.suspect(out, Subject::Payloads);
            return (Step::On, false);
        }
        let common = &mut self.common;
        if message_id != common.message_id {
            sa.remember(message_id);
        }
        common.message_id = message_id;
        common.iv = Some(opened.iv);
        if client {
            common.identifier = opened.identifier;
        }
        common.count = common.count.saturating_add(1);
        let (digest, types) = (incoming.digest.clone(), opened.types.clone());
        let length = HEADER + incoming.body.len();
        common
            .talk
            .accepted(out, digest, common.count, types, length);
        let step = match &mut self.role {
            RoleState::Server(state) => state.receive(common, sa, guard, env, out, opened),
            RoleState::Client(state) => state.receive(common, sa, env, out, &opened),
        };
        (step, true)
    }

    /// An answer, if this exchange waits for it.
    pub(crate) fn answer(
        &mut self,
        sa: &mut IsakmpSa,
        guard: &mut Guard,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Step, Answer> {
        let RoleState::Server(state) = &mut self.role else {
            return Err(answer);
        };
        match answer {
            Answer::Xauth(answer) if state.waits_for(ticket) => {
                Ok(state.answer(&mut self.common, sa, guard, env, out, answer))
            }
            other => Err(other),
        }
    }

    pub(crate) fn tick(&mut self, sa: &mut IsakmpSa, env: &mut Env<'_>, out: &mut Out<'_>) -> Step {
        let common = &mut self.common;
        if common.talk.tick(out, env.now, &sa.policy) == Tick::GivenUp {
            let message = common.count.saturating_add(1);
            let silence = reason(message, Subject::Timeout, Whose::Theirs);
            return Step::Failed(common.suspicion.unwrap_or(silence));
        }
        match &mut self.role {
            RoleState::Server(state) => state.tick(common, sa, env, out),
            RoleState::Client(state) => state.tick(sa, env.now, out),
        }
    }

    fn suspect(&mut self, out: &mut Out<'_>, subject: Subject) {
        let common = &mut self.common;
        let message = common.count.saturating_add(1);
        let reason = reason(message, subject, Whose::Theirs);
        if common.suspicion.is_none() {
            common.suspicion = Some(reason);
            out.report(Report::Suspicious {
                exchange: common.talk.number,
                peer: common.talk.path.peer.ip(),
                reason,
            });
        }
    }
}

/// The question's method by the policy.
pub(crate) fn method(policy: &IsakmpPolicyConfig) -> XauthMethod {
    match policy.xauth_type() {
        XauthType::Generic => XauthMethod::Generic,
        XauthType::Radius => XauthMethod::RadiusChap,
    }
}
