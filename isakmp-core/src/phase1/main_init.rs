//! The initiator of Main mode.

use alloc::boxed::Box;

use hw_offload::{PublicValue, Secret, Ticket};
use ipsec_core::model::Role;

use super::auth::{Check, Checking, Claim, Keyed, Own};
use super::key_half::Halves;
use super::{Common, Extensions, Incoming, KeyHalf, Machine, Step, Trouble, nonce, on_the_wire};
use crate::admission;
use crate::ask::{Answer, Env};
use crate::out::Out;
use crate::reason::Subject;
use crate::vendor;
use crate::wire::{ExchangeType, Identification, PayloadType, Payloads, Writer};

/// Where the initiator stands.
#[derive(Debug)]
pub(crate) enum MainInit {
    /// Message 1 is out.
    SaSent,
    /// Our public value is being computed.
    MakingKey(MakingKey),
    /// Message 3 is out.
    KeSent(KeSent),
    /// The shared secret is being computed.
    Agreeing(Agreeing),
    /// Our signature is being made.
    Signing(Box<Signing>),
    /// Message 5 is out.
    AuthSent(Box<AuthSent>),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct MakingKey {
    exponent: Secret,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct KeSent {
    exponent: Secret,
    own: KeyHalf,
}

#[derive(Debug)]
pub(crate) struct Agreeing {
    halves: Halves,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct Signing {
    keyed: Keyed,
    id: Identification,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct AuthSent {
    keyed: Keyed,
    checking: Option<Box<Checking>>,
}

impl MainInit {
    /// Sends message 1.
    pub(crate) fn start(common: &mut Common, env: &Env<'_>, out: &mut Out<'_>) -> Self {
        common.sa_body = common.agreed.to_body();
        let mut writer = Writer::new();
        writer.push(PayloadType::SA, &common.sa_body);
        vendor::push_offer(&mut writer, &common.policy);
        common.send_clear(env, out, 1, &writer, true);
        Self::SaSent
    }

    /// Message 2: the responder has chosen.
    fn chosen(
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Self, Trouble> {
        let payloads = Payloads::parse(incoming.header.next, incoming.body)
            .map_err(|_| common.ignored(2, Subject::Malformed))?;
        let encrypted = incoming.header.flags.encrypted();
        if !admission::admits(ExchangeType::Main, 2, encrypted, &payloads) {
            return Err(common.ignored(2, Subject::Payloads));
        }
        let agreed = common.confirmed(&incoming, &payloads)?;
        let exponent = common
            .exponent(env)
            .ok_or(common.fatal(2, Subject::Entropy))?;
        common.agreed = agreed;
        common.cookies.1 = incoming.header.responder;
        common.extensions = Extensions::admit(&common.policy, &payloads);
        common.talk.fragments = common.extensions.features.fragments;
        common.accept(out, 2, incoming.receipt(&payloads));
        let ticket = common.ask_public(out, &exponent);
        Ok(Self::MakingKey(MakingKey { exponent, ticket }))
    }

    /// Message 3.
    fn offer_key(
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        exponent: Secret,
        public: &[u8],
    ) -> Result<Self, Trouble> {
        let nonce = nonce(env.entropy).ok_or(common.fatal(3, Subject::Entropy))?;
        let public = on_the_wire(env, public);
        common.trace_own(env, out, &exponent, &public);
        let own = KeyHalf { public, nonce };
        let mut writer = Writer::new();
        own.push(&mut writer);
        common.push_requests(&mut writer, env);
        let (hash, path) = (common.agreed.hash, common.talk.path);
        common
            .extensions
            .push_discovery(&mut writer, env.primitives, hash, common.cookies, path);
        common.send_clear(env, out, 3, &writer, true);
        Ok(Self::KeSent(KeSent { exponent, own }))
    }

    /// Message 5.
    fn send_auth(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        mut keyed: Keyed,
        id: &Identification,
        proof: &[u8],
    ) -> Self {
        let mut writer = Writer::new();
        common.push_proof(&mut writer, env, Some(id), proof);
        common.push_contact(&mut writer);
        common.talk.path = common.extensions.float(common.talk.path);
        common.send_sealed(env, out, &mut keyed.session, 5, &writer, true);
        Self::AuthSent(Box::new(AuthSent {
            keyed,
            checking: None,
        }))
    }

    /// A step of the check of message 6 is done.
    fn checked(&mut self, common: &mut Common, out: &mut Out<'_>, check: Check) -> Step {
        match (check, &mut *self) {
            (Check::Authentic(claim), _) => self.finish(common, out, claim),
            (Check::Asked(checking), Self::AuthSent(state)) => {
                state.checking = Some(checking);
                Step::On
            }
            (Check::Asked(_), _) => Step::On,
        }
    }

    /// Message 6 proved right.
    fn finish(&mut self, common: &mut Common, out: &mut Out<'_>, claim: Claim) -> Step {
        common.accept(out, 6, claim.receipt);
        let Self::AuthSent(state) = core::mem::replace(self, Self::Over) else {
            return Step::On;
        };
        let mut session = state.keyed.session;
        session.iv = claim.iv.unwrap_or(session.iv);
        Common::up(session, claim.identity, claim.initial_contact)
    }
}

impl Machine for MainInit {
    fn name(&self) -> &'static str {
        match self {
            Self::SaSent => "SASENT",
            Self::MakingKey(_) => "SARECV",
            Self::KeSent(_) => "KESENT",
            Self::Agreeing(_) | Self::Signing(_) => "KERECV",
            Self::AuthSent(_) => "AUTHSENT",
            Self::Over => "UP",
        }
    }

    fn receive(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Step, Trouble> {
        match self {
            Self::SaSent => {
                *self = Self::chosen(common, env, out, incoming)?;
                Ok(Step::On)
            }
            Self::KeSent(state) => {
                let (peer, receipt) = common.admit_keys(env, 4, incoming)?;
                if peer.reflects(&state.own) {
                    return Err(common.ignored(4, Subject::Reflected));
                }
                common.accept(out, 4, receipt);
                common.trace_peer(env, out, &peer.public);
                let Self::KeSent(sent) = core::mem::replace(self, Self::Over) else {
                    return Ok(Step::On);
                };
                let ticket = common.ask_shared(out, sent.exponent, &peer);
                let halves = Halves {
                    own: sent.own,
                    peer,
                };
                *self = Self::Agreeing(Agreeing { halves, ticket });
                Ok(Step::On)
            }
            Self::AuthSent(state) if state.checking.is_none() => {
                let session = &state.keyed.session;
                let claim = Claim::sealed(common, env, out, session, 6, None, incoming)?;
                let role = Role::Responder;
                let digest = state.keyed.digest(common, env, out, role, &claim.identity);
                let check = common.check(env, out, 6, claim, &digest)?;
                Ok(self.checked(common, out, check))
            }
            // Busy computing: the peer will say it again, or it says what comes later too soon.
            Self::MakingKey(_)
            | Self::Agreeing(_)
            | Self::Signing(_)
            | Self::AuthSent(_)
            | Self::Over => Ok(Step::On),
        }
    }

    fn answer(
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
            Self::Signing(state) => state.ticket == ticket,
            Self::AuthSent(state) => {
                let checking = state
                    .checking
                    .take_if(|checking| checking.waits_for(ticket));
                let Some(checking) = checking else {
                    return Err(answer);
                };
                let check = checking.answer(common, env, out, 6, answer);
                return Ok(check.map(|check| self.checked(common, out, check)));
            }
            Self::SaSent | Self::KeSent(_) | Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(self.computed(common, env, out, answer))
    }
}

impl MainInit {
    /// What was computed leads to the next message.
    fn computed(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        answer: Answer,
    ) -> Result<Step, Trouble> {
        *self = match (core::mem::replace(self, Self::Over), answer) {
            (Self::MakingKey(state), Answer::Public(Ok(PublicValue::Public(public)))) => {
                Self::offer_key(common, env, out, state.exponent, &public)?
            }
            (Self::Agreeing(state), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                let failed = |subject| common.fatal(5, subject);
                let keyed =
                    Keyed::derive(common, env, out, state.halves, &shared).map_err(failed)?;
                let id = common.own_id(env);
                let digest = keyed.digest(common, env, out, Role::Initiator, &id);
                match common.prove(env, out, &digest).map_err(failed)? {
                    Own::Made(proof) => Self::send_auth(common, env, out, keyed, &id, &proof),
                    Own::Asked(ticket) => Self::Signing(Box::new(Signing { keyed, id, ticket })),
                }
            }
            (Self::Signing(state), Answer::Public(Ok(PublicValue::Signature(proof)))) => {
                let Signing { keyed, id, .. } = *state;
                Self::send_auth(common, env, out, keyed, &id, &proof)
            }
            (_, answer) => return Err(common.failed(&answer)),
        };
        Ok(Step::On)
    }
}
