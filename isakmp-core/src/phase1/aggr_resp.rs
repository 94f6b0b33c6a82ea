//! The responder of Aggressive mode.
//!
//! With a pre-shared key message 2 needs no g^xy: it is made of a public value computed
//! beforehand, and what it was made of waits as an [`Opening`] for message 3. With signatures
//! message 2 needs both g^xy and a signature, so that the exchange begins with message 1.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hw_offload::{Digest, PublicValue, Secret, Ticket};
use ipsec_core::Instant;
use ipsec_core::model::Role;

use super::auth::{Check, Checking, Claim, Keyed, Own, digest, root};
use super::half_open::LIFE;
use super::key_half::Halves;
use super::{Common, Incoming, KeyHalf, Machine, Step, Trouble};
use crate::ask::{Answer, Env, Path};
use crate::keys::{Cookies, Root};
use crate::out::Out;
use crate::reason::Subject;
use crate::wire::{Header, Identification, PayloadType, Writer};

/// An admitted message 1.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) peer: KeyHalf,
    pub(crate) id: Identification,
    /// The body of the answer's SA payload.
    pub(crate) answer: Vec<u8>,
    /// Whether the initiator asks for our certificate.
    pub(crate) certificate_asked: bool,
}

/// A pre-shared key's exchange whose message 2 is out, before the initiator has proved anything.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) common: Common,
    halves: Halves,
    exponent: Secret,
    root: Root,
    /// The initiator's identity.
    id: Identification,
}

impl Opening {
    /// Makes message 2 and sends it: once, and again only when asked.
    pub(crate) fn start(
        mut common: Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        first: First,
        exponent: Secret,
        own: KeyHalf,
    ) -> Result<Self, Subject> {
        let First {
            peer, id, answer, ..
        } = first;
        common.trace_own(env, out, &exponent, &own.public);
        common.trace_peer(env, out, &peer.public);
        let halves = Halves { own, peer };
        let root = root(&common, env, &halves, None)?;
        let own_id = common.own_id(env);
        let proof = digest(&common, env, out, &root, &halves, Role::Responder, &own_id);
        let writer = second(
            &common,
            env,
            &halves.own,
            &answer,
            &own_id,
            proof.as_bytes(),
        );
        common.send_clear(env, out, 2, &writer, false);
        Ok(Self {
            common,
            halves,
            exponent,
            root,
            id,
        })
    }

    pub(crate) const fn cookies(&self) -> Cookies {
        self.common.cookies
    }

    pub(crate) const fn path(&self) -> Path {
        self.common.talk.path
    }

    pub(crate) const fn exponent(&self) -> &Secret {
        &self.exponent
    }

    pub(crate) const fn began(&self) -> Instant {
        self.common.began
    }

    /// Message 3, as far as it can be judged without g^xy: in clear its hash must be right.
    pub(crate) fn admit(
        &self,
        env: &Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Third, Trouble> {
        if incoming.header.flags.encrypted() {
            return Ok(Third::Sealed(Held {
                path: incoming.path,
                header: *incoming.header,
                body: incoming.body.to_vec(),
                digest: incoming.digest,
            }));
        }
        let common = &self.common;
        let claim = Claim::clear(common, env, out, 3, Some(&self.id), incoming)?;
        let own = digest(
            common,
            env,
            out,
            &self.root,
            &self.halves,
            Role::Initiator,
            &self.id,
        );
        let claim = common.check_hash(env, 3, claim, &own)?;
        Ok(Third::Clear(claim))
    }

    /// The initiator has our cookie: the exchange proper begins.
    pub(crate) fn promote(self, out: &mut Out<'_>, third: Third) -> (Common, AggrResp) {
        let Self {
            common,
            halves,
            exponent,
            id,
            ..
        } = self;
        let ticket = common.ask_shared(out, exponent, &halves.peer);
        let state = AggrResp::Agreeing(Box::new(Agreeing {
            halves,
            id,
            third,
            ticket,
        }));
        (common, state)
    }
}

/// Message 3, before g^xy is known.
#[derive(Debug)]
pub(crate) enum Third {
    /// It was in clear, and is authentic.
    Clear(Claim),
    /// It is enciphered.
    Sealed(Held),
}

/// A message that is read later.
#[derive(Debug)]
pub(crate) struct Held {
    path: Path,
    header: Header,
    body: Vec<u8>,
    digest: Digest,
}

/// Where the responder stands.
#[derive(Debug)]
pub(crate) enum AggrResp {
    /// Signatures: g^xy is being computed for message 2.
    Preparing(Box<Preparing>),
    /// Signatures: that of message 2 is being made.
    Signing(Box<Answering>, Ticket),
    /// Pre-shared key: g^xy is being computed for message 3.
    Agreeing(Box<Agreeing>),
    /// Message 2 is out and g^xy is known.
    SakeAuthSent(Box<Sent>),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct Preparing {
    halves: Halves,
    id: Identification,
    answer: Vec<u8>,
    ticket: Ticket,
}

/// Message 2, which lacks its proof.
#[derive(Debug)]
pub(crate) struct Answering {
    keyed: Keyed,
    id: Identification,
    own_id: Identification,
    answer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Agreeing {
    halves: Halves,
    id: Identification,
    third: Third,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct Sent {
    keyed: Keyed,
    id: Identification,
    checking: Option<Box<Checking>>,
}

impl AggrResp {
    /// Begins an exchange with signatures at message 1.
    pub(crate) fn prepare(
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        first: First,
        exponent: Secret,
        own: KeyHalf,
    ) -> Self {
        let First {
            peer, id, answer, ..
        } = first;
        common.trace_own(env, out, &exponent, &own.public);
        common.trace_peer(env, out, &peer.public);
        let ticket = common.ask_shared(out, exponent, &peer);
        let halves = Halves { own, peer };
        Self::Preparing(Box::new(Preparing {
            halves,
            id,
            answer,
            ticket,
        }))
    }

    /// A step of the check of message 3 is done.
    fn checked(&mut self, common: &mut Common, out: &mut Out<'_>, check: Check) -> Step {
        match (check, &mut *self) {
            (Check::Authentic(claim), _) => self.finish(common, out, claim),
            (Check::Asked(checking), Self::SakeAuthSent(state)) => {
                state.checking = Some(checking);
                Step::On
            }
            (Check::Asked(_), _) => Step::On,
        }
    }

    /// Message 3 proved right.
    fn finish(&mut self, common: &mut Common, out: &mut Out<'_>, claim: Claim) -> Step {
        let Self::SakeAuthSent(state) = core::mem::replace(self, Self::Over) else {
            return Step::On;
        };
        common.extensions = claim.extensions;
        if common.extensions.nat.found.any() {
            // Authentic, so that is where the initiator is now.
            common.talk.path = claim.receipt.path;
        }
        common.accept(out, 3, claim.receipt);
        let mut session = state.keyed.session;
        session.iv = claim.iv.unwrap_or(session.iv);
        Common::up(session, claim.identity, claim.initial_contact)
    }

    /// The initiator has proved nothing yet, and is not waited for any longer than others who
    /// have not.
    fn wait_for_third(
        common: &mut Common,
        env: &Env<'_>,
        keyed: Keyed,
        id: Identification,
    ) -> Self {
        common.talk.wait_until(env.now + LIFE);
        Self::SakeAuthSent(Box::new(Sent {
            keyed,
            id,
            checking: None,
        }))
    }

    /// Sends message 2 with our proof.
    fn send_second(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        answering: Answering,
        proof: &[u8],
    ) -> Self {
        let Answering {
            keyed,
            id,
            own_id,
            answer,
        } = answering;
        let writer = second(common, env, &keyed.halves.own, &answer, &own_id, proof);
        common.send_clear(env, out, 2, &writer, false);
        Self::wait_for_third(common, env, keyed, id)
    }
}

/// Message 2.
fn second(
    common: &Common,
    env: &Env<'_>,
    own: &KeyHalf,
    answer: &[u8],
    id: &Identification,
    proof: &[u8],
) -> Writer {
    let mut writer = Writer::new();
    writer.push(PayloadType::SA, answer);
    own.push(&mut writer);
    common.push_requests(&mut writer, env);
    common.push_proof(&mut writer, env, Some(id), proof);
    common.extensions.push_answer(&mut writer);
    let (hash, path) = (common.agreed.hash, common.talk.path);
    common
        .extensions
        .push_discovery(&mut writer, env.primitives, hash, common.cookies, path);
    writer
}

impl Machine for AggrResp {
    fn name(&self) -> &'static str {
        match self {
            Self::Preparing(_) | Self::Signing(..) => "SAKERECV",
            Self::Agreeing(_) => "AUTHRECV",
            Self::SakeAuthSent(_) => "SAKEAUTHSENT",
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
        let Self::SakeAuthSent(state) = self else {
            return Ok(Step::On);
        };
        if state.checking.is_some() {
            return Ok(Step::On);
        }
        let known = Some(&state.id);
        let claim = if incoming.header.flags.encrypted() {
            Claim::sealed(common, env, out, &state.keyed.session, 3, known, incoming)?
        } else {
            Claim::clear(common, env, out, 3, known, incoming)?
        };
        let digest = state
            .keyed
            .digest(common, env, out, Role::Initiator, &state.id);
        let check = common.check(env, out, 3, claim, &digest)?;
        Ok(self.checked(common, out, check))
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
            Self::Preparing(state) => state.ticket == ticket,
            Self::Signing(_, own) => *own == ticket,
            Self::Agreeing(state) => state.ticket == ticket,
            Self::SakeAuthSent(state) => {
                let checking = state
                    .checking
                    .take_if(|checking| checking.waits_for(ticket));
                let Some(checking) = checking else {
                    return Err(answer);
                };
                let check = checking.answer(common, env, out, 3, answer);
                return Ok(check.map(|check| self.checked(common, out, check)));
            }
            Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(self.computed(common, env, out, answer))
    }
}

impl AggrResp {
    /// What was computed leads on.
    fn computed(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        answer: Answer,
    ) -> Result<Step, Trouble> {
        match (core::mem::replace(self, Self::Over), answer) {
            (Self::Preparing(state), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                let Preparing {
                    halves, id, answer, ..
                } = *state;
                let failed = |subject| common.fatal(2, subject);
                let keyed = Keyed::derive(common, env, out, halves, &shared).map_err(failed)?;
                let own_id = common.own_id(env);
                let digest = keyed.digest(common, env, out, Role::Responder, &own_id);
                let own = common.prove(env, out, &digest).map_err(failed)?;
                let answering = Answering {
                    keyed,
                    id,
                    own_id,
                    answer,
                };
                *self = match own {
                    Own::Made(proof) => Self::send_second(common, env, out, answering, &proof),
                    Own::Asked(ticket) => Self::Signing(Box::new(answering), ticket),
                };
                Ok(Step::On)
            }
            (Self::Signing(state, _), Answer::Public(Ok(PublicValue::Signature(proof)))) => {
                *self = Self::send_second(common, env, out, *state, &proof);
                Ok(Step::On)
            }
            (Self::Agreeing(state), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                let Agreeing {
                    halves, id, third, ..
                } = *state;
                let keyed = Keyed::derive(common, env, out, halves, &shared)
                    .map_err(|subject| common.fatal(3, subject))?;
                *self = Self::wait_for_third(common, env, keyed, id);
                match third {
                    Third::Clear(claim) => Ok(self.finish(common, out, claim)),
                    Third::Sealed(held) => {
                        let incoming = Incoming {
                            path: held.path,
                            header: &held.header,
                            body: &held.body,
                            digest: held.digest,
                        };
                        self.receive(common, env, out, incoming)
                    }
                }
            }
            (_, answer) => Err(common.failed(&answer)),
        }
    }
}
