//! Phase 1 (RFC 2409 §5): what all roles of both exchanges share.
//!
//! ```text
//! Main mode                              Aggressive mode
//! 1  HDR, SA        ->                   1  HDR, SA, KE, Ni, IDii   ->
//!                   <-  HDR, SA    2                  <-  HDR, SA, KE, Nr, IDir, PROOF  2
//! 3  HDR, KE, Ni    ->                   3  HDR*, PROOF             ->
//!                   <-  HDR, KE, Nr 4
//! 5  HDR*, ID, PROOF ->
//!            <-  HDR*, ID, PROOF   6
//! ```
//!
//! PROOF is HASH or SIG, by the authentication method ([`auth`]). A responder keeps the first
//! message of a stranger in a fixed table ([`half_open`]) until the stranger's cookie proves that
//! it receives what is sent to it; only then there is an [`Exchange`].

mod aggr_init;
mod aggr_resp;
mod auth;
mod extensions;
mod half_open;
mod key_half;
mod main_init;
mod main_resp;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Digest, Secret, Ticket};
use ipsec_core::Instant;
use ipsec_core::model::Role;

pub(crate) use aggr_init::AggrInit;
pub(crate) use aggr_resp::{AggrResp, First, Opening};
pub(crate) use auth::asks_certificate;
pub(crate) use extensions::Extensions;
pub(crate) use half_open::{Body, HalfOpen, HalfOpens, find_in};
pub(crate) use key_half::{KeyHalf, exponent, nonce, on_the_wire};
pub(crate) use main_init::MainInit;
pub(crate) use main_resp::MainResp;

use crate::ask::{Answer, Env, Path, Report};
use crate::config::IsakmpPolicyConfig;
use crate::conversation::{Conversation, Tick};
use crate::debug::{IsakmpDebug, watch_states};
use crate::identity;
use crate::keys::Cookies;
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::sa::{IsakmpSaId, Session};
use crate::timed::Due;
use crate::trace::Part;
use crate::vendor;
use crate::wire::{
    Cookie, ExchangeType, Flags, Header, Identification, MessageId, NotifyType, Payload,
    PayloadType, Payloads, Writer,
};

/// What came of an event.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is returned"
)]
pub(crate) enum Step {
    /// The exchange goes on.
    On,
    /// The ISAKMP SA is established.
    Up(Box<Up>),
    /// The exchange is over without a result.
    Failed(Reason),
}

/// What an established ISAKMP SA is made of.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) session: Session,
    pub(crate) identity: Identification,
    pub(crate) initial_contact: bool,
}

/// What every role knows of its exchange.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) talk: Conversation,
    pub(crate) kind: ExchangeType,
    pub(crate) role: Role,
    /// The peer's address when the exchange began.
    pub(crate) address: IpAddr,
    pub(crate) policy: IsakmpPolicyConfig,
    /// What is offered, until the peer has chosen; then what was agreed.
    pub(crate) agreed: Phase1,
    pub(crate) cookies: Cookies,
    /// The initiator's SA body, byte for byte: both proofs cover it.
    pub(crate) sa_body: Vec<u8>,
    /// Whether the peer is told that this is our first contact since a restart.
    pub(crate) first_contact: bool,
    /// When the exchange began: what was established later is not older than it.
    pub(crate) began: Instant,
    pub(crate) extensions: Extensions,
    pub(crate) suspicion: Option<Reason>,
    pub(crate) told: Option<NotifyType>,
    /// Jobs that a public-key engine has done for the exchange.
    pub(crate) passes: u8,
    /// Whether the peer asked for our certificate.
    pub(crate) certificate_asked: bool,
}

/// One role of one exchange.
pub(crate) trait Machine {
    /// The state's name on the screens.
    fn name(&self) -> &'static str;

    /// A message of this exchange that is not a duplicate of the last one.
    fn receive(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Step, Trouble>;

    /// An answer, handed back if this state does not wait for it.
    fn answer(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Result<Step, Trouble>, Answer>;
}

/// One phase 1 exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) common: Common,
    pub(crate) replaces: Option<IsakmpSaId>,
    /// A message under the SA that this exchange makes, which came before it was up.
    pub(crate) early: Option<(Path, Vec<u8>)>,
    state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    MainInit(MainInit),
    MainResp(MainResp),
    AggrInit(AggrInit),
    AggrResp(AggrResp),
}

impl State {
    fn machine(&mut self) -> &mut dyn Machine {
        match self {
            Self::MainInit(state) => state,
            Self::MainResp(state) => state,
            Self::AggrInit(state) => state,
            Self::AggrResp(state) => state,
        }
    }
}

impl Due for Exchange {
    fn due(&self) -> Option<Instant> {
        self.common.talk.deadline()
    }
}

impl Exchange {
    pub(crate) const fn new(common: Common, state: State, replaces: Option<IsakmpSaId>) -> Self {
        Self {
            common,
            replaces,
            early: None,
            state,
        }
    }

    pub(crate) const fn role(&self) -> Role {
        self.common.role
    }

    /// Whether it waits for the last message of Aggressive mode.
    pub(crate) const fn lacks_third(&self) -> bool {
        matches!(&self.state, State::AggrResp(AggrResp::SakeAuthSent(_)))
    }

    /// The state's name on the screens.
    pub(crate) fn state(&self) -> &'static str {
        match &self.state {
            State::MainInit(state) => state.name(),
            State::MainResp(state) => state.name(),
            State::AggrInit(state) => state.name(),
            State::AggrResp(state) => state.name(),
        }
    }

    /// A message for this exchange.
    pub(crate) fn receive(
        &mut self,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Step {
        let before = self.state();
        let machine = self.state.machine();
        let result = machine.receive(&mut self.common, env, out, incoming);
        let step = self.settle(out, result);
        if !matches!(step, Step::Failed(_)) {
            self.watch(env, out, Some(before));
        }
        step
    }

    /// An answer, if this exchange waits for it.
    pub(crate) fn answer(
        &mut self,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Step, Answer> {
        if matches!(answer, Answer::Public(_)) {
            self.common.passes = self.common.passes.saturating_add(1);
        }
        let before = self.state();
        let machine = self.state.machine();
        let result = machine.answer(&mut self.common, env, out, ticket, answer)?;
        let step = self.settle(out, result);
        if !matches!(step, Step::Failed(_)) {
            self.watch(env, out, Some(before));
        }
        Ok(step)
    }

    /// Tells the states since `before`, or all until now.
    pub(crate) fn watch(&self, env: &Env<'_>, out: &mut Out<'_>, before: Option<&str>) {
        let what = (self.common.kind, self.common.role);
        watch_states(env, out, what, before, self.state());
    }

    /// Whether a message could not be used is the sender's word against ours: it is told once,
    /// and the exchange goes on.
    fn settle(&mut self, out: &mut Out<'_>, result: Result<Step, Trouble>) -> Step {
        match result {
            Ok(step) => step,
            Err(Trouble::Fatal(reason)) => Step::Failed(reason.under(&self.common.policy.name)),
            Err(Trouble::Ignored(reason)) => {
                let reason = reason.under(&self.common.policy.name);
                if self.common.suspicion.is_none() {
                    self.common.suspicion = Some(reason);
                    let talk = &self.common.talk;
                    let (exchange, peer) = (talk.number, talk.path.peer.ip());
                    out.report(Report::Suspicious {
                        exchange,
                        peer,
                        reason,
                    });
                }
                Step::On
            }
        }
    }

    pub(crate) fn tick(&mut self, out: &mut Out<'_>, now: Instant) -> Step {
        match self.common.talk.tick(out, now, &self.common.policy) {
            Tick::Nothing => Step::On,
            Tick::GivenUp => Step::Failed(self.given_up()),
        }
    }

    /// Why nothing came of it: what was wrong with what came, else silence.
    fn given_up(&self) -> Reason {
        let message = self.common.talk.message() + 1;
        let silence = Reason::new(self.common.kind, message, Subject::Timeout, Whose::Theirs);
        self.common
            .suspicion
            .unwrap_or(silence)
            .told(self.common.told)
            .under(&self.common.policy.name)
    }

    /// A notification that nobody has authenticated: remembered as a hint.
    pub(crate) const fn hint(&mut self, kind: NotifyType) {
        self.common.told = Some(kind);
    }
}

/// A message with its fingerprint.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) path: Path,
    pub(crate) header: &'a Header,
    pub(crate) body: &'a [u8],
    pub(crate) digest: Digest,
}

/// What is left of a message once it was read.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) path: Path,
    digest: Digest,
    types: Vec<PayloadType>,
    length: usize,
}

impl Incoming<'_> {
    pub(crate) fn receipt(self, payloads: &Payloads<'_>) -> Receipt {
        Receipt {
            path: self.path,
            digest: self.digest,
            types: payloads.all().iter().map(|raw| raw.kind).collect(),
            length: crate::wire::HEADER + self.body.len(),
        }
    }
}

/// Why a message or an answer did not move the state.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Anybody could have sent it.
    Ignored(Reason),
    /// It is our own side that cannot go on, or the peer proved to be another.
    Fatal(Reason),
}

impl Common {
    /// What the exchange is in a trace.
    pub(crate) const fn part(&self) -> Part {
        (self.kind, self.role)
    }

    /// Tells our exponent and the public value made of it.
    pub(crate) fn trace_own(&self, env: &Env<'_>, out: &mut Out<'_>, x: &Secret, public: &[u8]) {
        let more = IsakmpDebug::TRACEMORE;
        out.trace_secret(env, self.part(), more, ("x", x.expose()));
        out.trace_value(env, self.part(), more, ("g^x", public));
    }

    /// Tells the peer's public value.
    pub(crate) fn trace_peer(&self, env: &Env<'_>, out: &mut Out<'_>, public: &[u8]) {
        out.trace_value(env, self.part(), IsakmpDebug::TRACEMORE, ("g^y", public));
    }

    /// The peer's message cannot be used.
    pub(crate) const fn ignored(&self, message: u8, subject: Subject) -> Trouble {
        Trouble::Ignored(Reason::new(self.kind, message, subject, Whose::Theirs))
    }

    /// The exchange cannot go on.
    pub(crate) const fn fatal(&self, message: u8, subject: Subject) -> Trouble {
        Trouble::Fatal(Reason::new(self.kind, message, subject, Whose::Ours))
    }

    /// What became of an answer that is an error or makes no sense.
    pub(crate) const fn failed(&self, answer: &Answer) -> Trouble {
        match answer {
            Answer::Public(Err(hw_offload::PublicFault::BadPeerValue)) => {
                self.fatal(0, Subject::PublicValue)
            }
            _ => self.fatal(0, Subject::Engine),
        }
    }

    pub(crate) const fn header(&self) -> Header {
        Header {
            initiator: self.cookies.0,
            responder: self.cookies.1,
            next: PayloadType::NONE,
            exchange: self.kind,
            flags: Flags(0),
            message_id: MessageId(0),
        }
    }

    /// Whether our first message, which nobody has answered yet, offered fragments.
    pub(crate) fn offers_fragments(&self) -> bool {
        self.kind == ExchangeType::Aggressive && vendor::offers_fragments(&self.policy)
    }

    /// Takes a message as the one that was waited for.
    pub(crate) fn accept(&mut self, out: &mut Out<'_>, message: u8, receipt: Receipt) {
        let Receipt {
            digest,
            types,
            length,
            ..
        } = receipt;
        self.talk.accepted(out, digest, message, types, length);
    }

    /// Sends a message in clear.
    pub(crate) fn send_clear(
        &mut self,
        env: &Env<'_>,
        out: &mut Out<'_>,
        message: u8,
        writer: &Writer,
        again: bool,
    ) {
        out.watch_sent(env, &self.header(), writer);
        let bytes = writer.message(self.header());
        let policy = again.then_some(&self.policy);
        self.talk
            .send(out, env.now, (message, types(writer)), bytes, policy);
    }

    /// Sends a message enciphered, and moves the IV on.
    pub(crate) fn send_sealed(
        &mut self,
        env: &Env<'_>,
        out: &mut Out<'_>,
        session: &mut Session,
        message: u8,
        writer: &Writer,
        again: bool,
    ) {
        out.watch_sent(env, &self.header(), writer);
        let mut iv = session.iv;
        let bytes = session.seal(env.primitives, &mut iv, self.header(), writer);
        session.iv = iv;
        let policy = again.then_some(&self.policy);
        self.talk
            .send(out, env.now, (message, types(writer)), bytes, policy);
    }

    /// Our own identity: LOCALID; else, with signatures, the router's distinguished name or the
    /// subject of its certificate; else the address that we send from.
    pub(crate) fn own_id(&self, env: &Env<'_>) -> Identification {
        let signs = self.signs(self.role);
        let name = env.config.distinguished_name.as_deref().filter(|_| signs);
        let text = self
            .policy
            .local_id
            .as_ref()
            .map(ipsec_core::model::Name::as_str);
        let named = text.or(name).and_then(|text| identity::parse(text).ok());
        let subject = self
            .certificate(env)
            .map(|certificate| certificate.facts.identity());
        match (named, subject) {
            // The peer may be stricter: it gets the very bytes of the certificate.
            (Some(named), Some(subject)) if identity::matches(&named, &subject) => subject,
            (Some(named), _) => named,
            (None, Some(subject)) => subject,
            (None, None) => Identification::of_address(self.talk.path.local.ip()),
        }
    }

    /// The responder's choice in message 2: our own transform, unchanged, and a cookie that is
    /// not ours.
    pub(crate) fn confirmed(
        &self,
        incoming: &Incoming<'_>,
        payloads: &Payloads<'_>,
    ) -> Result<Phase1, Trouble> {
        let responder = incoming.header.responder;
        if responder == Cookie::ZERO || responder == incoming.header.initiator {
            return Err(self.ignored(2, Subject::Reflected));
        }
        let sa = payloads
            .first(PayloadType::SA)
            .ok_or(self.ignored(2, Subject::Payloads))?;
        let Ok(Payload::Sa(answer)) = Payload::parse(sa) else {
            return Err(self.ignored(2, Subject::Malformed));
        };
        self.agreed.confirm(&answer).map_err(|mismatch| {
            let reason = Reason::new(self.kind, 2, Subject::NotOffered, Whose::Theirs);
            Trouble::Ignored(reason.with(mismatch))
        })
    }

    /// Up: what the SA is made of.
    pub(crate) fn up(session: Session, identity: Identification, initial_contact: bool) -> Step {
        Step::Up(Box::new(Up {
            session,
            identity,
            initial_contact,
        }))
    }
}

/// Whether that is the identity that a policy expects: REMOTEID, else the peer's address. Where
/// the address cannot tell, because the peer may be behind NAT, or where a certificate or a key
/// of its own says who the peer is, anybody is who proves it.
pub(crate) fn expects(policy: &IsakmpPolicyConfig, path: Path, id: &Identification) -> bool {
    let port_fits = match (id.protocol, id.port) {
        (0, 0) | (17, 0 | 500) => true,
        (17, port) => port == path.local.port() || policy.traverses_nat() && port == 4500,
        _ => false,
    };
    let expected = policy
        .remote_id
        .as_ref()
        .map(|name| identity::parse(name.as_str()));
    let fits = match expected {
        Some(Ok(expected)) => identity::matches(&expected, id),
        Some(Err(_)) => false,
        None => {
            let address = Identification::of_address(path.peer.ip());
            let elsewhere =
                policy.traverses_nat() || policy.auth_type() == crate::config::AuthType::RsaSig;
            elsewhere || identity::matches(&address, id)
        }
    };
    port_fits && fits
}

/// The identity that a policy expects, and the one that came instead.
pub(crate) fn unexpected(policy: &IsakmpPolicyConfig, path: Path, id: &Identification) -> Mismatch {
    let ours = policy.remote_id.as_ref().map_or_else(
        || identity::told(&Identification::of_address(path.peer.ip())),
        |name| identity::labelled(name.as_str()),
    );
    Mismatch::new(
        "REMOTEID",
        Value::text(ours),
        Value::text(identity::told(id)),
    )
}

/// The types of a writer's payloads.
pub(crate) fn types(writer: &Writer) -> Vec<PayloadType> {
    Payloads::parse(writer.first(), writer.bytes())
        .map(|payloads| payloads.all().iter().map(|raw| raw.kind).collect())
        .unwrap_or_default()
}
