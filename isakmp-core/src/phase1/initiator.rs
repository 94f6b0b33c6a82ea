//! The initiator of main mode.

use alloc::vec::Vec;

use hw_offload::{PublicJob, PublicValue, Secret, Ticket};

use super::{
    Common, Extensions, Incoming, Step, Trouble, Up, admit_keys, admit_proof, exponent, fatal,
    ignored, nonce, session,
};
use crate::admission;
use crate::ask::{Answer, Ask, Env};
use crate::config::IsakmpPolicyConfig;
use crate::negotiate::phase1::Phase1;
use crate::out::Out;
use crate::reason::{Reason, Subject, Whose};
use crate::sa::Session;
use crate::vendor;
use crate::wire::{Cookie, ExchangeType, Payload, PayloadType, Payloads, Writer};

/// Where the initiator stands.
#[derive(Debug)]
pub(crate) enum Initiator {
    /// Message 1 is out.
    SaSent(SaSent),
    /// Our public value is being computed.
    MakingKey(MakingKey),
    /// Message 3 is out.
    KeSent(KeSent),
    /// The shared secret is being computed.
    Agreeing(Agreeing),
    /// Message 5 is out.
    AuthSent(AuthSent),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct SaSent {
    offer: Phase1,
}

#[derive(Debug)]
pub(crate) struct MakingKey {
    agreed: Phase1,
    exponent: Secret,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct KeSent {
    agreed: Phase1,
    exponent: Secret,
    public: Vec<u8>,
    nonce: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Agreeing {
    sent: KeSent,
    peer_public: Vec<u8>,
    peer_nonce: Vec<u8>,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct AuthSent {
    session: Session,
    public: Vec<u8>,
    peer_public: Vec<u8>,
}

impl Initiator {
    /// Sends message 1.
    pub(crate) fn start(common: &mut Common, env: &Env<'_>, out: &mut Out<'_>) -> Self {
        let offer = Phase1::of(&common.policy);
        common.sa_body = offer.to_body();
        let mut writer = Writer::new();
        writer.push(PayloadType::SA, &common.sa_body);
        vendor::push_offer(&mut writer, &common.policy);
        common.send_clear(out, env.now, 1, &writer, true);
        Self::SaSent(SaSent { offer })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::SaSent(_) => "SASENT",
            Self::MakingKey(_) => "SARECV",
            Self::KeSent(_) => "KESENT",
            Self::Agreeing(_) => "KERECV",
            Self::AuthSent(_) => "AUTHSENT",
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
        match self {
            Self::SaSent(state) => {
                let (agreed, extensions, types) = state.admit(&common.policy, &incoming)?;
                let exponent = exponent(env.entropy, common.policy.exponent_bits())
                    .ok_or(fatal(2, Subject::Entropy))?;
                common.cookies.1 = incoming.header.responder;
                common.extensions = extensions;
                common.talk.fragments = extensions.features.fragments;
                let length = crate::wire::HEADER + incoming.body.len();
                common.talk.accepted(out, incoming.digest, 2, types, length);
                let (group, x) = (agreed.group, exponent.duplicate());
                let ticket = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhPublic {
                        ticket,
                        group,
                        exponent: x,
                    })
                });
                *self = Self::MakingKey(MakingKey {
                    agreed,
                    exponent,
                    ticket,
                });
                Ok(Step::On)
            }
            Self::KeSent(state) => {
                let keys = admit_keys(4, state.agreed.group, &incoming)?;
                if keys.public == state.public || keys.nonce == state.nonce {
                    return Err(ignored(4, Subject::Reflected));
                }
                common.extensions.discover_in(
                    env.primitives,
                    state.agreed.hash,
                    common.cookies,
                    incoming.path,
                    &incoming,
                );
                let length = crate::wire::HEADER + incoming.body.len();
                common
                    .talk
                    .accepted(out, incoming.digest, 4, keys.types, length);
                let Self::KeSent(sent) = core::mem::replace(self, Self::Over) else {
                    return Ok(Step::On);
                };
                let (group, exponent) = (sent.agreed.group, sent.exponent.duplicate());
                let peer = keys.public.clone();
                let ticket = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhShared {
                        ticket,
                        group,
                        exponent,
                        peer,
                    })
                });
                *self = Self::Agreeing(Agreeing {
                    sent,
                    peer_public: keys.public,
                    peer_nonce: keys.nonce,
                    ticket,
                });
                Ok(Step::On)
            }
            Self::AuthSent(state) => {
                let proven = admit_proof(
                    6,
                    common,
                    &state.session,
                    (&state.peer_public, &state.public),
                    (common.cookies.1, common.cookies.0),
                    env.primitives,
                    &incoming,
                )?;
                let length = crate::wire::HEADER + incoming.body.len();
                common
                    .talk
                    .accepted(out, incoming.digest, 6, proven.types, length);
                let Self::AuthSent(state) = core::mem::replace(self, Self::Over) else {
                    return Ok(Step::On);
                };
                let session = Session {
                    iv: proven.iv,
                    ..state.session
                };
                let (identity, initial_contact) = (proven.identity, proven.initial_contact);
                Ok(Step::Up(Up {
                    session,
                    identity,
                    initial_contact,
                }))
            }
            // Busy computing: the peer will say it again, or it says what comes later too soon.
            Self::MakingKey(_) | Self::Agreeing(_) | Self::Over => Ok(Step::On),
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
        let waits = match self {
            Self::MakingKey(state) => state.ticket == ticket,
            Self::Agreeing(state) => state.ticket == ticket,
            Self::SaSent(_) | Self::KeSent(_) | Self::AuthSent(_) | Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(match (core::mem::replace(self, Self::Over), answer) {
            (Self::MakingKey(state), Answer::Public(Ok(PublicValue::Public(public)))) => {
                let Some(nonce) = nonce(env.entropy) else {
                    return Ok(Err(fatal(3, Subject::Entropy)));
                };
                let mut writer = Writer::new();
                writer
                    .push(PayloadType::KE, &public)
                    .push(PayloadType::NONCE, &nonce);
                common.extensions.push_discovery(
                    &mut writer,
                    env.primitives,
                    state.agreed.hash,
                    common.cookies,
                    common.talk.path,
                );
                common.send_clear(out, env.now, 3, &writer, true);
                let MakingKey {
                    agreed, exponent, ..
                } = state;
                *self = Self::KeSent(KeSent {
                    agreed,
                    exponent,
                    public,
                    nonce,
                });
                Ok(Step::On)
            }
            (Self::Agreeing(state), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                let Agreeing {
                    sent,
                    peer_public,
                    peer_nonce,
                    ..
                } = state;
                let session = session(
                    env,
                    &common.policy,
                    sent.agreed,
                    (&sent.nonce, &peer_nonce),
                    (&sent.public, &peer_public),
                    &shared,
                    common.cookies,
                );
                let Some(mut session) = session else {
                    return Ok(Err(fatal(5, Subject::NoKey)));
                };
                let id = common.own_id();
                let hash = session.skeyid.proof(
                    env.primitives,
                    (&sent.public, &peer_public),
                    common.cookies,
                    &common.sa_body,
                    &id.to_bytes(),
                );
                let writer = common.proof(&id, &hash);
                let mut iv = session.iv;
                let bytes = session.seal(env.primitives, &mut iv, common.header(), &writer);
                session.iv = iv;
                let message = (5, super::types(&writer));
                common.talk.path = common.extensions.float(common.talk.path);
                common
                    .talk
                    .send(out, env.now, message, bytes, Some(&common.policy));
                out.report(crate::ask::Report::Phase1Key {
                    initiator: common.cookies.0,
                    key: session.key.duplicate(),
                });
                *self = Self::AuthSent(AuthSent {
                    session,
                    public: sent.public,
                    peer_public,
                });
                Ok(Step::On)
            }
            (_, Answer::Public(Err(_))) => Err(fatal(0, Subject::Engine)),
            (_, _) => Err(fatal(0, Subject::Engine)),
        })
    }
}

impl SaSent {
    /// Message 2: our own transform, unchanged, and a cookie that is not ours.
    fn admit(
        &self,
        policy: &IsakmpPolicyConfig,
        incoming: &Incoming<'_>,
    ) -> Result<(Phase1, Extensions, Vec<PayloadType>), Trouble> {
        let malformed = |_| ignored(2, Subject::Malformed);
        let payloads = Payloads::parse(incoming.header.next, incoming.body).map_err(malformed)?;
        let encrypted = incoming.header.flags.encrypted();
        if !admission::admits(ExchangeType::Main, 2, encrypted, &payloads) {
            return Err(ignored(2, Subject::Payloads));
        }
        let responder = incoming.header.responder;
        if responder == Cookie::ZERO || responder == incoming.header.initiator {
            return Err(ignored(2, Subject::Reflected));
        }
        let Some(sa) = payloads.first(PayloadType::SA) else {
            return Err(ignored(2, Subject::Payloads));
        };
        let Payload::Sa(answer) = Payload::parse(sa).map_err(malformed)? else {
            return Err(ignored(2, Subject::Malformed));
        };
        let agreed = self.offer.confirm(&answer).map_err(|mismatch| {
            let reason = Reason::new(ExchangeType::Main, 2, Subject::NotOffered, Whose::Theirs);
            Trouble::Ignored(reason.with(mismatch))
        })?;
        let extensions = Extensions::admit(policy, &payloads);
        let types = payloads.all().iter().map(|raw| raw.kind).collect();
        Ok((agreed, extensions, types))
    }
}
