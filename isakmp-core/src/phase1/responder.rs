//! The responder of main mode.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hw_offload::{PublicJob, PublicValue, Secret, Ticket};

use super::{
    Common, Incoming, Step, Trouble, Up, admit_keys, admit_proof, exponent, fatal, nonce, session,
};
use crate::ask::{Answer, Ask, Env};
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::reason::Subject;
use crate::sa::Session;
use crate::wire::{PayloadType, Writer};

/// Where the responder stands. Until message 3 it has computed nothing and keeps little.
#[derive(Debug)]
pub(crate) enum Responder {
    /// Message 2 is out.
    SaSent(Phase1),
    /// Public value and shared secret are being computed.
    MakingKeys(Box<MakingKeys>),
    /// Message 4 is out.
    KeSent(Box<KeSent>),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct MakingKeys {
    agreed: Phase1,
    nonce: Vec<u8>,
    peer_public: Vec<u8>,
    peer_nonce: Vec<u8>,
    public: Wanted<Vec<u8>>,
    shared: Wanted<Secret>,
}

#[derive(Debug)]
enum Wanted<T> {
    Asked(Ticket),
    Have(T),
}

impl<T> Wanted<T> {
    fn is(&self, ticket: Ticket) -> bool {
        matches!(self, Self::Asked(own) if *own == ticket)
    }
}

#[derive(Debug)]
pub(crate) struct KeSent {
    session: Session,
    public: Vec<u8>,
    peer_public: Vec<u8>,
}

impl Responder {
    /// Sends message 2 with the chosen transform. It is sent again for a duplicate of message 1
    /// only, never by time: the sender's address is not proven.
    pub(crate) fn start(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        agreed: Phase1,
        answer: &[u8],
    ) -> Self {
        let mut writer = Writer::new();
        writer.push(PayloadType::SA, answer);
        common.extensions.push_answer(&mut writer);
        common.send_clear(out, env.now, 2, &writer, false);
        Self::SaSent(agreed)
    }

    pub(crate) const fn proven(&self) -> bool {
        !matches!(self, Self::SaSent(_))
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::SaSent(_) => "SASENT",
            Self::MakingKeys(_) => "KERECV",
            Self::KeSent(_) => "KESENT",
            Self::Over => "UP",
        }
    }

    pub(crate) fn receive(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Step, Trouble> {
        let length = crate::wire::HEADER + incoming.body.len();
        match self {
            Self::SaSent(agreed) => {
                let agreed = *agreed;
                let keys = admit_keys(3, agreed.group, &incoming)?;
                let x = exponent(env.entropy, common.policy.exponent_bits());
                let (Some(x), Some(nonce)) = (x, nonce(env.entropy)) else {
                    return Err(fatal(3, Subject::Entropy));
                };
                common.extensions.discover_in(
                    env.primitives,
                    agreed.hash,
                    common.cookies,
                    incoming.path,
                    &incoming,
                );
                common
                    .talk
                    .accepted(out, incoming.digest, 3, keys.types, length);
                let (group, exponent, peer) = (agreed.group, x.duplicate(), keys.public.clone());
                let public = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhPublic {
                        ticket,
                        group,
                        exponent,
                    })
                });
                let shared = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhShared {
                        ticket,
                        group,
                        exponent: x,
                        peer,
                    })
                });
                *self = Self::MakingKeys(Box::new(MakingKeys {
                    agreed,
                    nonce,
                    peer_public: keys.public,
                    peer_nonce: keys.nonce,
                    public: Wanted::Asked(public),
                    shared: Wanted::Asked(shared),
                }));
                Ok(Step::On)
            }
            Self::KeSent(state) => {
                let proven = admit_proof(
                    5,
                    common,
                    &state.session,
                    (&state.peer_public, &state.public),
                    common.cookies,
                    env.primitives,
                    &incoming,
                )?;
                if common.extensions.nat.found.any() {
                    // Authentic, so that is where the initiator is now.
                    common.talk.path = incoming.path;
                }
                common
                    .talk
                    .accepted(out, incoming.digest, 5, proven.types, length);
                let Self::KeSent(state) = core::mem::replace(self, Self::Over) else {
                    return Ok(Step::On);
                };
                let KeSent {
                    mut session,
                    public,
                    peer_public,
                } = *state;
                let id = common.own_id();
                let hash = session.skeyid.proof(
                    env.primitives,
                    (&public, &peer_public),
                    (common.cookies.1, common.cookies.0),
                    &common.sa_body,
                    &id.to_bytes(),
                );
                let writer = common.proof(&id, &hash);
                let mut iv = proven.iv;
                let bytes = session.seal(env.primitives, &mut iv, common.header(), &writer);
                session.iv = iv;
                let message = (6, super::types(&writer));
                common.talk.send(out, env.now, message, bytes, None);
                let (identity, initial_contact) = (proven.identity, proven.initial_contact);
                Ok(Step::Up(Up {
                    session,
                    identity,
                    initial_contact,
                }))
            }
            Self::MakingKeys(_) | Self::Over => Ok(Step::On),
        }
    }

    pub(crate) fn answer(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Result<Step, Trouble>, Answer> {
        let Self::MakingKeys(state) = self else {
            return Err(answer);
        };
        if !state.public.is(ticket) && !state.shared.is(ticket) {
            return Err(answer);
        }
        match answer {
            Answer::Public(Ok(PublicValue::Public(value))) if state.public.is(ticket) => {
                state.public = Wanted::Have(value);
            }
            Answer::Public(Ok(PublicValue::Shared(value))) if state.shared.is(ticket) => {
                state.shared = Wanted::Have(value);
            }
            _ => return Ok(Err(fatal(4, Subject::Engine))),
        }
        let (Wanted::Have(public), Wanted::Have(_)) = (&state.public, &state.shared) else {
            return Ok(Ok(Step::On));
        };
        if *public == state.peer_public {
            return Ok(Err(fatal(3, Subject::Reflected)));
        }
        let Self::MakingKeys(state) = core::mem::replace(self, Self::Over) else {
            return Ok(Ok(Step::On));
        };
        let MakingKeys {
            agreed,
            nonce,
            peer_public,
            peer_nonce,
            public,
            shared,
        } = *state;
        let (Wanted::Have(public), Wanted::Have(shared)) = (public, shared) else {
            return Ok(Ok(Step::On));
        };
        let session = session(
            env,
            &common.policy,
            agreed,
            (&peer_nonce, &nonce),
            (&peer_public, &public),
            &shared,
            common.cookies,
        );
        let Some(session) = session else {
            return Ok(Err(fatal(4, Subject::NoKey)));
        };
        let mut writer = Writer::new();
        writer
            .push(PayloadType::KE, &public)
            .push(PayloadType::NONCE, &nonce);
        common.extensions.push_discovery(
            &mut writer,
            env.primitives,
            agreed.hash,
            common.cookies,
            common.talk.path,
        );
        common.send_clear(out, env.now, 4, &writer, true);
        out.report(crate::ask::Report::Phase1Key {
            initiator: common.cookies.0,
            key: session.key.duplicate(),
        });
        *self = Self::KeSent(Box::new(KeSent {
            session,
            public,
            peer_public,
        }));
        Ok(Ok(Step::On))
    }
}
