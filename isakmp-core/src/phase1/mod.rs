//! Main mode with pre-shared keys (RFC 2409 §5.4): what both roles share.
//!
//! ```text
//! initiator            responder
//! 1  HDR, SA       ->
//!                  <-  HDR, SA            2
//! 3  HDR, KE, Ni   ->
//!                  <-  HDR, KE, Nr        4
//! 5  HDR*, ID, HASH ->
//!                  <-  HDR*, ID, HASH     6
//! ```

mod extensions;
mod initiator;
mod responder;

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{DhGroup, Digest, Entropy, KeyNumber, Primitives, Secret, Ticket};
use ipsec_core::Instant;
use ipsec_core::model::{Name, Role};

pub(crate) use extensions::Extensions;
pub(crate) use initiator::Initiator;
pub(crate) use responder::Responder;

use crate::admission;
use crate::ask::{Answer, Env, Path};
use crate::config::IsakmpPolicyConfig;
use crate::conversation::{Conversation, Tick};
use crate::keys::{Cookies, Iv, Skeyid};
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::reason::{Reason, Subject, Whose};
use crate::sa::{IsakmpSaId, Session};
use crate::wire::{
    ExchangeType, Header, Identification, MessageId, Notify, NotifyType, Payload, PayloadType,
    Payloads, Writer,
};

/// Length of our nonces in bytes.
const NONCE: usize = 20;

/// What came of an event.
#[derive(Debug)]
pub(crate) enum Step {
    /// The exchange goes on.
    On,
    /// The ISAKMP SA is established.
    Up(Up),
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

/// What both roles know of their exchange.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) talk: Conversation,
    pub(crate) policy: IsakmpPolicyConfig,
    pub(crate) cookies: Cookies,
    /// The initiator's SA body, byte for byte: both hashes cover it.
    pub(crate) sa_body: Vec<u8>,
    /// Whether the peer is told that this is our first contact since a restart.
    pub(crate) first_contact: bool,
    /// When the exchange began: what was established later is not older than it.
    pub(crate) began: Instant,
    pub(crate) extensions: Extensions,
    pub(crate) suspicion: Option<Reason>,
    pub(crate) told: Option<NotifyType>,
}

/// One phase 1 exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) common: Common,
    pub(crate) replaces: Option<IsakmpSaId>,
    /// Until when an unproven initiator is remembered.
    pub(crate) expires: Option<Instant>,
    role: RoleState,
}

#[derive(Debug)]
enum RoleState {
    Initiator(Initiator),
    Responder(Responder),
}

impl Exchange {
    pub(crate) const fn initiator(
        common: Common,
        state: Initiator,
        replaces: Option<IsakmpSaId>,
    ) -> Self {
        Self {
            common,
            replaces,
            expires: None,
            role: RoleState::Initiator(state),
        }
    }

    pub(crate) const fn responder(common: Common, state: Responder) -> Self {
        Self {
            common,
            replaces: None,
            expires: None,
            role: RoleState::Responder(state),
        }
    }

    pub(crate) const fn role(&self) -> Role {
        match self.role {
            RoleState::Initiator(_) => Role::Initiator,
            RoleState::Responder(_) => Role::Responder,
        }
    }

    /// Whether the peer has shown that it receives what we send to its address.
    pub(crate) const fn proven(&self) -> bool {
        match &self.role {
            RoleState::Initiator(_) => true,
            RoleState::Responder(state) => state.proven(),
        }
    }

    /// The state's name on the screens.
    pub(crate) const fn state(&self) -> &'static str {
        match &self.role {
            RoleState::Initiator(state) => state.name(),
            RoleState::Responder(state) => state.name(),
        }
    }

    /// A message for this exchange.
    pub(crate) fn receive(
        &mut self,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Step {
        let result = match &mut self.role {
            RoleState::Initiator(state) => state.receive(&mut self.common, env, out, incoming),
            RoleState::Responder(state) => state.receive(&mut self.common, env, out, incoming),
        };
        self.settle(out, result)
    }

    /// An answer, if this exchange waits for it.
    pub(crate) fn answer(
        &mut self,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Step, Answer> {
        let result = match &mut self.role {
            RoleState::Initiator(state) => {
                state.answer(&mut self.common, env, out, ticket, answer)?
            }
            RoleState::Responder(state) => {
                state.answer(&mut self.common, env, out, ticket, answer)?
            }
        };
        Ok(self.settle(out, result))
    }

    /// Whether a message could not be used is the sender's word against ours: it is told once,
    /// and the exchange goes on.
    fn settle(&mut self, out: &mut Out<'_>, result: Result<Step, Trouble>) -> Step {
        match result {
            Ok(step) => step,
            Err(Trouble::Fatal(reason)) => Step::Failed(reason),
            Err(Trouble::Ignored(reason)) => {
                if self.common.suspicion.is_none() {
                    self.common.suspicion = Some(reason);
                    let (exchange, peer) =
                        (self.common.talk.number, self.common.talk.path.peer.ip());
                    out.report(crate::ask::Report::Suspicious {
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
    pub(crate) fn given_up(&self) -> Reason {
        let message = self.common.talk.message() + 1;
        let silence = Reason::new(ExchangeType::Main, message, Subject::Timeout, Whose::Theirs);
        self.common
            .suspicion
            .unwrap_or(silence)
            .told(self.common.told)
    }

    /// A notification that nobody has authenticated: remembered as a hint.
    pub(crate) const fn hint(&mut self, kind: NotifyType) {
        self.common.told = Some(kind);
    }
}

/// A message with its fingerprint.
pub(crate) struct Incoming<'a> {
    pub(crate) path: Path,
    pub(crate) header: &'a Header,
    pub(crate) body: &'a [u8],
    pub(crate) digest: Digest,
}

/// Why a message or an answer did not move the state.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Anybody could have sent it.
    Ignored(Reason),
    /// It is our own side that cannot go on.
    Fatal(Reason),
}

pub(crate) const fn ignored(message: u8, subject: Subject) -> Trouble {
    Trouble::Ignored(Reason::new(
        ExchangeType::Main,
        message,
        subject,
        Whose::Theirs,
    ))
}

pub(crate) const fn fatal(message: u8, subject: Subject) -> Trouble {
    Trouble::Fatal(Reason::new(
        ExchangeType::Main,
        message,
        subject,
        Whose::Ours,
    ))
}

impl Common {
    pub(crate) const fn header(&self) -> Header {
        let flags = crate::wire::Flags(0);
        Header {
            initiator: self.cookies.0,
            responder: self.cookies.1,
            next: PayloadType::NONE,
            exchange: ExchangeType::Main,
            flags,
            message_id: MessageId(0),
        }
    }

    /// Sends a message in clear.
    fn send_clear(
        &mut self,
        out: &mut Out<'_>,
        now: Instant,
        message: u8,
        writer: &Writer,
        again: bool,
    ) {
        let bytes = writer.message(self.header());
        let policy = again.then_some(&self.policy);
        self.talk
            .send(out, now, (message, types(writer)), bytes, policy);
    }

    /// Whether the peer may send in fragments: both sides said so, or its word is still to come
    /// with the message itself.
    pub(crate) const fn may_be_cut(&self) -> bool {
        self.extensions.features.fragments
    }

    /// Our own identity: LOCALID, else the address that we send from.
    fn own_id(&self) -> Identification {
        identity(self.policy.local_id.as_ref(), self.talk.path.local.ip())
    }

    /// Whether that is the identity that the peer must have: REMOTEID, else its address.
    fn expects(&self, id: &Identification) -> bool {
        identity(self.policy.remote_id.as_ref(), self.talk.path.peer.ip()).same_as(id)
    }

    /// The payloads of message 5 or 6.
    fn proof(&self, id: &Identification, hash: &Digest) -> Writer {
        let mut writer = Writer::new();
        writer.push(PayloadType::ID, &id.to_bytes());
        writer.push(PayloadType::HASH, hash.as_bytes());
        if self.policy.notifies() && self.first_contact {
            let (initiator, responder) = self.cookies;
            writer.push(
                PayloadType::N,
                &Notify::initial_contact(initiator, responder),
            );
        }
        writer
    }
}

/// The identity of a configured name, which may be an address, else of the address in use.
fn identity(name: Option<&Name>, address: IpAddr) -> Identification {
    match name {
        Some(name) => name.as_str().parse().map_or_else(
            |_| Identification::of_name(name.as_str()),
            Identification::of_address,
        ),
        None => Identification::of_address(address),
    }
}

/// The types of a writer's payloads.
pub(crate) fn types(writer: &Writer) -> Vec<PayloadType> {
    Payloads::parse(writer.first(), writer.bytes())
        .map(|payloads| payloads.all().iter().map(|raw| raw.kind).collect())
        .unwrap_or_default()
}

/// A checked message 3 or 4: public value and nonce.
pub(crate) struct KeyMessage {
    pub(crate) public: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) types: Vec<PayloadType>,
}

/// Admits message 3 or 4.
pub(crate) fn admit_keys(
    message: u8,
    group: DhGroup,
    incoming: &Incoming<'_>,
) -> Result<KeyMessage, Trouble> {
    let malformed = |_| ignored(message, Subject::Malformed);
    let payloads = Payloads::parse(incoming.header.next, incoming.body).map_err(malformed)?;
    let encrypted = incoming.header.flags.encrypted();
    if !admission::admits(ExchangeType::Main, message, encrypted, &payloads) {
        return Err(ignored(message, Subject::Payloads));
    }
    let (mut public, mut nonce) = (Vec::new(), Vec::new());
    for raw in payloads.all() {
        match Payload::parse(*raw).map_err(malformed)? {
            Payload::KeyExchange(value) => public = value.to_vec(),
            Payload::Nonce(value) => nonce = value.to_vec(),
            _ => {}
        }
    }
    if !hw_offload::acceptable_public_value(group, &public) {
        return Err(ignored(message, Subject::PublicValue));
    }
    let types = payloads.all().iter().map(|raw| raw.kind).collect();
    Ok(KeyMessage {
        public,
        nonce,
        types,
    })
}

/// A checked message 5 or 6 with the IV that follows it.
pub(crate) struct Proven {
    pub(crate) identity: Identification,
    pub(crate) initial_contact: bool,
    pub(crate) iv: Iv,
    pub(crate) types: Vec<PayloadType>,
}

/// Admits message 5 or 6: deciphered, whole, and with the hash that only a holder of the
/// pre-shared key can make.
pub(crate) fn admit_proof(
    message: u8,
    common: &Common,
    session: &Session,
    publics: (&[u8], &[u8]),
    cookies: Cookies,
    primitives: &dyn Primitives,
    incoming: &Incoming<'_>,
) -> Result<Proven, Trouble> {
    // With another key everything behind the header is noise: most often that is why.
    let noise = || ignored(message, Subject::PreSharedKey);
    if !incoming.header.flags.encrypted() {
        return Err(ignored(message, Subject::Payloads));
    }
    let (plain, iv) = session
        .iv
        .open(
            primitives,
            session.agreed.cipher,
            &session.key,
            incoming.body,
        )
        .ok_or(ignored(message, Subject::Malformed))?;
    let payloads = Payloads::parse(incoming.header.next, &plain).map_err(|_| noise())?;
    if !admission::admits(ExchangeType::Main, message, true, &payloads) {
        return Err(noise());
    }
    let (Some(id), Some(hash)) = (
        payloads.first(PayloadType::ID),
        payloads.first(PayloadType::HASH),
    ) else {
        return Err(noise());
    };
    let expected = session
        .skeyid
        .proof(primitives, publics, cookies, &common.sa_body, id.body);
    if !hw_offload::ct_eq(hash.body, expected.as_bytes()) {
        return Err(noise());
    }
    // Authentic from here on.
    let identity =
        Identification::parse(id.body).map_err(|_| ignored(message, Subject::Malformed))?;
    let notify = admit_notifies(message, &payloads, common.cookies)?;
    let port_fits = matches!(
        (identity.protocol, identity.port),
        (0, 0) | (17, 0 | 500 | 4500)
    );
    if !port_fits || !common.expects(&identity) {
        return Err(fatal(message, Subject::Identity));
    }
    let initial_contact = notify.contains(&NotifyType::INITIAL_CONTACT);
    let types = payloads.all().iter().map(|raw| raw.kind).collect();
    Ok(Proven {
        identity,
        initial_contact,
        iv,
        types,
    })
}

/// The notifications beside a proof. The HASH does not cover them: a message in which one does not
/// fit this exchange was changed on its way, and accepting it would lead the IV chain astray.
fn admit_notifies(
    message: u8,
    payloads: &Payloads<'_>,
    (initiator, responder): Cookies,
) -> Result<Vec<NotifyType>, Trouble> {
    let own = [initiator.0, responder.0].concat();
    payloads
        .of(PayloadType::N)
        .map(|raw| match Payload::parse(raw) {
            Ok(Payload::Notify(Notify { kind, spi, .. }))
                if spi == own || kind != NotifyType::INITIAL_CONTACT && spi.len() != own.len() =>
            {
                Ok(kind)
            }
            _ => Err(ignored(message, Subject::Malformed)),
        })
        .collect()
}

/// A private exponent of so many bits: the top bit is set, so that the length is what was asked
/// for.
pub(crate) fn exponent(entropy: &mut dyn Entropy, bits: u16) -> Option<Secret> {
    let len = usize::from(bits).div_ceil(8);
    let mut bytes = alloc::vec![0; len];
    entropy.fill(&mut bytes).ok()?;
    let top = bits.wrapping_sub(1) % 8;
    if let Some(first) = bytes.first_mut() {
        *first = *first & (0xff >> (7 - top)) | 1 << top;
    }
    Some(Secret::new(bytes))
}

/// A nonce.
pub(crate) fn nonce(entropy: &mut dyn Entropy) -> Option<Vec<u8>> {
    let mut bytes = alloc::vec![0; NONCE];
    entropy.fill(&mut bytes).ok()?;
    Some(bytes)
}

/// The secrets of phase 1 from the shared secret.
pub(crate) fn session(
    env: &Env<'_>,
    policy: &IsakmpPolicyConfig,
    agreed: Phase1,
    nonces: (&[u8], &[u8]),
    publics: (&[u8], &[u8]),
    shared: &Secret,
    cookies: Cookies,
) -> Option<Session> {
    let key = env.keys.get(KeyNumber(policy.key?))?;
    let skeyid = Skeyid::pre_shared(
        env.primitives,
        agreed.hash,
        key.value.expose(),
        nonces,
        shared.expose(),
        cookies,
    );
    let cipher_key = skeyid.cipher_key(env.primitives, agreed.cipher);
    let iv = Iv::phase1(env.primitives, agreed.hash, agreed.cipher, publics);
    Some(Session {
        agreed,
        skeyid,
        key: cipher_key,
        iv,
    })
}

/// The conversation of an exchange that begins.
pub(crate) const fn conversation(number: u32, path: Path) -> Conversation {
    Conversation::new(number, ExchangeType::Main, path)
}
