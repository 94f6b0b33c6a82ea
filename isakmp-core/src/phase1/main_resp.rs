//! The responder of Main mode, from message 3 on: until then it is a [`super::HalfOpen`].

use alloc::boxed::Box;
use alloc::vec::Vec;

use hw_offload::{PublicValue, Secret, Ticket};
use ipsec_core::model::Role;

use super::auth::{Check, Checking, Claim, Keyed, Own};
use super::key_half::Halves;
use super::{Common, Incoming, KeyHalf, Machine, Receipt, Step, Trouble, nonce, on_the_wire};
use crate::ask::{Answer, Env};
use crate::debug::IsakmpDebug;
use crate::out::Out;
use crate::reason::Subject;
use crate::wire::{Identification, Writer};

/// Where the responder stands.
#[derive(Debug)]
pub(crate) enum MainResp {
    /// Public value and shared secret are being computed.
    MakingKeys(Box<MakingKeys>),
    /// Message 4 is out.
    KeSent(Box<KeSent>),
    /// Message 5 is authentic, our signature is being made.
    Signing(Box<Proven>, Ticket),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct MakingKeys {
    nonce: Vec<u8>,
    peer: KeyHalf,
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
    keyed: Keyed,
    checking: Option<Box<Checking>>,
}

/// A peer that has proved who it is.
#[derive(Debug)]
pub(crate) struct Proven {
    keyed: Keyed,
    peer: Identification,
    initial_contact: bool,
    own: Identification,
}

/// An admitted message 3, with the randomness that it needs.
#[derive(Debug)]
pub(crate) struct Third {
    peer: KeyHalf,
    receipt: Receipt,
    exponent: Secret,
    nonce: Vec<u8>,
}

impl MainResp {
    /// Message 3: everything that can fail.
    pub(crate) fn admit(
        common: &mut Common,
        env: &mut Env<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Third, Trouble> {
        let (peer, receipt) = common.admit_keys(env, 3, incoming)?;
        let exponent = common.exponent(env);
        let (Some(exponent), Some(nonce)) = (exponent, nonce(env.entropy)) else {
            return Err(common.fatal(3, Subject::Entropy));
        };
        Ok(Third {
            peer,
            receipt,
            exponent,
            nonce,
        })
    }

    /// The exchange proper begins.
    pub(crate) fn start(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        third: Third,
    ) -> Self {
        let Third {
            peer,
            receipt,
            exponent,
            nonce,
        } = third;
        common.accept(out, 3, receipt);
        let x = ("x", exponent.expose());
        out.trace_secret(env, common.part(), IsakmpDebug::TRACEMORE, x);
        common.trace_peer(env, out, &peer.public);
        let public = common.ask_public(out, &exponent);
        let shared = common.ask_shared(out, exponent, &peer);
        Self::MakingKeys(Box::new(MakingKeys {
            nonce,
            peer,
            public: Wanted::Asked(public),
            shared: Wanted::Asked(shared),
        }))
    }

    /// Message 4.
    fn send_key(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        halves: Halves,
        shared: &Secret,
    ) -> Result<Self, Trouble> {
        let public = ("g^x", &halves.own.public[..]);
        out.trace_value(env, common.part(), IsakmpDebug::TRACEMORE, public);
        let keyed = Keyed::derive(common, env, out, halves, shared)
            .map_err(|subject| common.fatal(4, subject))?;
        let mut writer = Writer::new();
        keyed.halves.own.push(&mut writer);
        common.push_requests(&mut writer, env);
        let (hash, path) = (common.agreed.hash, common.talk.path);
        common
            .extensions
            .push_discovery(&mut writer, env.primitives, hash, common.cookies, path);
        common.send_clear(env, out, 4, &writer, true);
        Ok(Self::KeSent(Box::new(KeSent {
            keyed,
            checking: None,
        })))
    }

    /// A step of the check of message 5 is done.
    fn checked(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        check: Check,
    ) -> Result<Step, Trouble> {
        match (check, &mut *self) {
            (Check::Authentic(claim), _) => return self.proven(common, env, out, claim),
            (Check::Asked(checking), Self::KeSent(state)) => state.checking = Some(checking),
            (Check::Asked(_), _) => {}
        }
        Ok(Step::On)
    }

    /// Message 5 proved right: our own proof follows.
    fn proven(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        claim: Claim,
    ) -> Result<Step, Trouble> {
        let Self::KeSent(state) = core::mem::replace(self, Self::Over) else {
            return Ok(Step::On);
        };
        let mut keyed = state.keyed;
        keyed.session.iv = claim.iv.unwrap_or(keyed.session.iv);
        if common.extensions.nat.found.any() {
            // Authentic, so that is where the initiator is now.
            common.talk.path = claim.receipt.path;
        }
        common.certificate_asked |= claim.asks_certificate;
        common.accept(out, 5, claim.receipt);
        let own = common.own_id(env);
        let digest = keyed.digest(common, env, out, Role::Responder, &own);
        let proven = Proven {
            keyed,
            peer: claim.identity,
            initial_contact: claim.initial_contact,
            own,
        };
        let asked = common
            .prove(env, out, &digest)
            .map_err(|subject| common.fatal(6, subject))?;
        match asked {
            Own::Made(proof) => Ok(Self::send_auth(common, env, out, proven, &proof)),
            Own::Asked(ticket) => {
                *self = Self::Signing(Box::new(proven), ticket);
                Ok(Step::On)
            }
        }
    }

    /// Message 6.
    fn send_auth(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        proven: Proven,
        proof: &[u8],
    ) -> Step {
        let mut session = proven.keyed.session;
        let mut writer = Writer::new();
        common.push_proof(&mut writer, env, Some(&proven.own), proof);
        common.push_contact(&mut writer);
        common.send_sealed(env, out, &mut session, 6, &writer, false);
        Common::up(session, proven.peer, proven.initial_contact)
    }
}

impl Machine for MainResp {
    fn name(&self) -> &'static str {
        match self {
            Self::MakingKeys(_) => "KERECV",
            Self::KeSent(_) => "KESENT",
            Self::Signing(..) => "AUTHRECV",
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
        let Self::KeSent(state) = self else {
            return Ok(Step::On);
        };
        if state.checking.is_some() {
            return Ok(Step::On);
        }
        let claim = Claim::sealed(common, env, out, &state.keyed.session, 5, None, incoming)?;
        let digest = state
            .keyed
            .digest(common, env, out, Role::Initiator, &claim.identity);
        let check = common.check(env, out, 5, claim, &digest)?;
        self.checked(common, env, out, check)
    }

    fn answer(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Result<Step, Trouble>, Answer> {
        match self {
            Self::MakingKeys(state) if state.public.is(ticket) || state.shared.is(ticket) => {
                Ok(self.computed(common, env, out, ticket, answer))
            }
            Self::KeSent(state) => {
                let checking = state
                    .checking
                    .take_if(|checking| checking.waits_for(ticket));
                let Some(checking) = checking else {
                    return Err(answer);
                };
                let check = checking.answer(common, env, out, 5, answer);
                Ok(check.and_then(|check| self.checked(common, env, out, check)))
            }
            Self::Signing(_, waits) if *waits == ticket => {
                let Answer::Public(Ok(PublicValue::Signature(proof))) = answer else {
                    return Ok(Err(common.failed(&answer)));
                };
                let Self::Signing(proven, _) = core::mem::replace(self, Self::Over) else {
                    return Ok(Ok(Step::On));
                };
                Ok(Ok(Self::send_auth(common, env, out, *proven, &proof)))
            }
            Self::MakingKeys(_) | Self::Signing(..) | Self::Over => Err(answer),
        }
    }
}

impl MainResp {
    /// Of public value and shared secret, one more is there.
    fn computed(
        &mut self,
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Step, Trouble> {
        let Self::MakingKeys(state) = self else {
            return Ok(Step::On);
        };
        match answer {
            Answer::Public(Ok(PublicValue::Public(value))) if state.public.is(ticket) => {
                state.public = Wanted::Have(on_the_wire(env, &value));
            }
            Answer::Public(Ok(PublicValue::Shared(value))) if state.shared.is(ticket) => {
                state.shared = Wanted::Have(value);
            }
            answer => return Err(common.failed(&answer)),
        }
        let (Wanted::Have(public), Wanted::Have(_)) = (&state.public, &state.shared) else {
            return Ok(Step::On);
        };
        if *public == state.peer.public {
            return Err(common.fatal(3, Subject::Reflected));
        }
        let Self::MakingKeys(state) = core::mem::replace(self, Self::Over) else {
            return Ok(Step::On);
        };
        let MakingKeys {
            nonce,
            peer,
            public: Wanted::Have(public),
            shared: Wanted::Have(shared),
        } = *state
        else {
            return Ok(Step::On);
        };
        let own = KeyHalf { public, nonce };
        let halves = Halves { own, peer };
        *self = Self::send_key(common, env, out, halves, &shared)?;
        Ok(Step::On)
    }
}
