//! The initiator of Aggressive mode.

use alloc::boxed::Box;

use hw_offload::{PublicValue, Secret, Ticket};
use ipsec_core::model::Role;

use super::auth::{Check, Checking, Claim, Keyed, Own, digest, root};
use super::key_half::Halves;
use super::{Common, Extensions, Incoming, KeyHalf, Machine, Step, Trouble, nonce, on_the_wire};
use crate::ask::{Answer, Env};
use crate::negotiate::phase1::{AuthBase, Phase1};
use crate::out::Out;
use crate::reason::Subject;
use crate::vendor;
use crate::wire::{Cookie, Identification, PayloadType, Payloads, Writer};

/// Where the initiator stands.
#[derive(Debug)]
pub(crate) enum AggrInit {
    /// Our public value is being computed.
    MakingKey(Secret, Ticket),
    /// Message 1 is out.
    SaKeSent(Box<Sent>),
    /// Message 2 is there, the shared secret is being computed.
    Agreeing(Box<Agreeing>),
    /// The signature of message 2 is being verified.
    Checking(Box<Verifying>),
    /// Message 2 is authentic, our signature is being made.
    Signing(Box<Proven>, Ticket),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct Sent {
    exponent: Secret,
    own: KeyHalf,
    id: Identification,
    offer: Phase1,
}

/// Message 2 as far as it can be believed: wholly where a hash has proved it, not at all where a
/// signature has yet to. Then the sent message is kept, and the exchange falls back to it.
#[derive(Debug)]
pub(crate) struct Agreeing {
    sent: Sent,
    peer: KeyHalf,
    claim: Claim,
    authentic: bool,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct Verifying {
    keyed: Keyed,
    checking: Box<Checking>,
    back: (Secret, Identification, Phase1),
}

/// A peer that has proved who it is.
#[derive(Debug)]
pub(crate) struct Proven {
    keyed: Keyed,
    peer: Identification,
    initial_contact: bool,
}

impl AggrInit {
    /// Asks for the public value that message 1 carries.
    pub(crate) fn start(
        common: &Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self, Subject> {
        let exponent = common.exponent(env).ok_or(Subject::Entropy)?;
        let ticket = common.ask_public(out, &exponent);
        Ok(Self::MakingKey(exponent, ticket))
    }

    /// Message 1.
    fn offer(
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        exponent: Secret,
        public: &[u8],
    ) -> Result<Self, Trouble> {
        let nonce = nonce(env.entropy).ok_or(common.fatal(1, Subject::Entropy))?;
        let public = on_the_wire(env, public);
        common.trace_own(env, out, &exponent, &public);
        let own = KeyHalf { public, nonce };
        let id = common.own_id(env);
        common.sa_body = common.agreed.to_body();
        let mut writer = Writer::new();
        writer.push(PayloadType::SA, &common.sa_body);
        own.push(&mut writer);
        writer.push(PayloadType::ID, &id.to_bytes());
        common.push_requests(&mut writer, env);
        vendor::push_offer(&mut writer, &common.policy);
        common.send_clear(env, out, 1, &writer, true);
        let offer = common.agreed;
        Ok(Self::SaKeSent(Box::new(Sent {
            exponent,
            own,
            id,
            offer,
        })))
    }

    /// Message 2. With a pre-shared key its hash is checked before anything else is done.
    fn answered(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: Incoming<'_>,
    ) -> Result<Step, Trouble> {
        let Self::SaKeSent(sent) = self else {
            return Ok(Step::On);
        };
        let payloads = Payloads::parse(incoming.header.next, incoming.body)
            .map_err(|_| common.ignored(2, Subject::Malformed))?;
        let agreed = common.confirmed(&incoming, &payloads)?;
        let peer = KeyHalf::read(env, agreed.group, &payloads)
            .map_err(|subject| common.ignored(2, subject))?;
        if peer.reflects(&sent.own) {
            return Err(common.ignored(2, Subject::Reflected));
        }
        let responder = incoming.header.responder;
        let extensions = Extensions::admit(&common.policy, &payloads);
        // The hash covers the responder's cookie; until it is proven the exchange has none.
        let unproven = Unproven::new(common, agreed, responder, extensions);
        let claim = match Claim::clear(common, env, out, 2, None, incoming) {
            Ok(claim) => claim,
            Err(trouble) => return Err(unproven.back(common, trouble)),
        };
        let Self::SaKeSent(sent) = core::mem::replace(self, Self::Over) else {
            return Ok(Step::On);
        };
        let Sent {
            exponent,
            own,
            id,
            offer,
        } = *sent;
        let halves = Halves { own, peer };
        let (claim, authentic) = if agreed.method.base == AuthBase::PreShared {
            let checked = root(common, env, &halves, None)
                .map_err(|subject| common.fatal(2, subject))
                .and_then(|root| {
                    let by = Role::Responder;
                    let digest = digest(common, env, out, &root, &halves, by, &claim.identity);
                    common.check_hash(env, 2, claim, &digest)
                });
            match checked {
                Ok(claim) => (claim, true),
                Err(trouble) => {
                    let own = halves.own;
                    *self = Self::SaKeSent(Box::new(Sent {
                        exponent,
                        own,
                        id,
                        offer,
                    }));
                    return Err(unproven.back(common, trouble));
                }
            }
        } else {
            (claim, false)
        };
        let Halves { own, peer } = halves;
        common.trace_peer(env, out, &peer.public);
        let ticket = common.ask_shared(out, exponent.duplicate(), &peer);
        let sent = Sent {
            exponent,
            own,
            id,
            offer,
        };
        *self = Self::Agreeing(Box::new(Agreeing {
            sent,
            peer,
            claim,
            authentic,
            ticket,
        }));
        Ok(Step::On)
    }

    /// g^xy is there.
    fn agreed(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        state: Agreeing,
        shared: &Secret,
    ) -> Result<Step, Trouble> {
        let Agreeing {
            sent,
            peer,
            claim,
            authentic,
            ..
        } = state;
        let Sent {
            exponent,
            own,
            id,
            offer,
        } = sent;
        let halves = Halves { own, peer };
        let keyed = Keyed::derive(common, env, out, halves, shared)
            .map_err(|subject| common.fatal(3, subject))?;
        if authentic {
            return self.proven(common, env, out, keyed, &id, claim);
        }
        let digest = keyed.digest(common, env, out, Role::Responder, &claim.identity);
        let check = common.check(env, out, 2, claim, &digest);
        self.checked(common, env, out, keyed, (exponent, id, offer), check)
    }

    /// A step of the check of message 2 is done.
    fn checked(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        keyed: Keyed,
        back: (Secret, Identification, Phase1),
        check: Result<Check, Trouble>,
    ) -> Result<Step, Trouble> {
        match check {
            Ok(Check::Authentic(claim)) => self.proven(common, env, out, keyed, &back.1, claim),
            Ok(Check::Asked(checking)) => {
                *self = Self::Checking(Box::new(Verifying {
                    keyed,
                    checking,
                    back,
                }));
                Ok(Step::On)
            }
            Err(trouble) => Err(self.fall_back(common, keyed.halves.own, back, trouble)),
        }
    }

    /// Message 2 was not what it seemed: the exchange waits for the real one.
    fn fall_back(
        &mut self,
        common: &mut Common,
        own: KeyHalf,
        (exponent, id, offer): (Secret, Identification, Phase1),
        trouble: Trouble,
    ) -> Trouble {
        *self = Self::SaKeSent(Box::new(Sent {
            exponent,
            own,
            id,
            offer,
        }));
        common.cookies.1 = Cookie::ZERO;
        common.agreed = offer;
        common.extensions = Extensions::default();
        trouble
    }

    /// Message 2 proved right: our own proof follows.
    fn proven(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        keyed: Keyed,
        id: &Identification,
        claim: Claim,
    ) -> Result<Step, Trouble> {
        common.extensions = claim.extensions;
        common.certificate_asked = claim.asks_certificate;
        common.talk.fragments = common.extensions.features.fragments;
        common.accept(out, 2, claim.receipt);
        let digest = keyed.digest(common, env, out, Role::Initiator, id);
        let proven = Proven {
            keyed,
            peer: claim.identity,
            initial_contact: claim.initial_contact,
        };
        let own = common
            .prove(env, out, &digest)
            .map_err(|subject| common.fatal(3, subject))?;
        match own {
            Own::Made(proof) => Ok(Self::send_auth(common, env, out, proven, &proof)),
            Own::Asked(ticket) => {
                *self = Self::Signing(Box::new(proven), ticket);
                Ok(Step::On)
            }
        }
    }

    /// Message 3.
    fn send_auth(
        common: &mut Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        proven: Proven,
        proof: &[u8],
    ) -> Step {
        let mut session = proven.keyed.session;
        let mut writer = Writer::new();
        common.push_proof(&mut writer, env, None, proof);
        let (hash, path) = (common.agreed.hash, common.talk.path);
        common
            .extensions
            .push_discovery(&mut writer, env.primitives, hash, common.cookies, path);
        common.push_contact(&mut writer);
        common.talk.path = common.extensions.float(path);
        common.send_sealed(env, out, &mut session, 3, &writer, false);
        Common::up(session, proven.peer, proven.initial_contact)
    }
}

/// What an unproven message 2 says, set for the time of its check.
struct Unproven {
    agreed: Phase1,
    extensions: Extensions,
}

impl Unproven {
    fn new(common: &mut Common, agreed: Phase1, responder: Cookie, extensions: Extensions) -> Self {
        let before = Self {
            agreed: common.agreed,
            extensions: common.extensions,
        };
        common.agreed = agreed;
        common.extensions = extensions;
        common.cookies.1 = responder;
        before
    }

    fn back(self, common: &mut Common, trouble: Trouble) -> Trouble {
        common.agreed = self.agreed;
        common.extensions = self.extensions;
        common.cookies.1 = Cookie::ZERO;
        trouble
    }
}

impl Machine for AggrInit {
    fn name(&self) -> &'static str {
        match self {
            Self::MakingKey(..) => "IDLE",
            Self::SaKeSent(_) => "SAKESENT",
            Self::Agreeing(_) | Self::Checking(_) | Self::Signing(..) => "SAKEAUTHRECV",
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
        self.answered(common, env, out, incoming)
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
            Self::MakingKey(_, own) | Self::Signing(_, own) => *own == ticket,
            Self::Agreeing(state) => state.ticket == ticket,
            Self::Checking(state) => state.checking.waits_for(ticket),
            Self::SaKeSent(_) | Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(self.computed(common, env, out, answer))
    }
}

impl AggrInit {
    /// What was computed leads on.
    fn computed(
        &mut self,
        common: &mut Common,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        answer: Answer,
    ) -> Result<Step, Trouble> {
        match (core::mem::replace(self, Self::Over), answer) {
            (Self::MakingKey(exponent, _), Answer::Public(Ok(PublicValue::Public(public)))) => {
                *self = Self::offer(common, env, out, exponent, &public)?;
                Ok(Step::On)
            }
            (Self::Agreeing(state), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                self.agreed(common, env, out, *state, &shared)
            }
            (Self::Checking(state), answer) => {
                let Verifying {
                    keyed,
                    checking,
                    back,
                } = *state;
                let check = checking.answer(common, env, out, 2, answer);
                self.checked(common, env, out, keyed, back, check)
            }
            (Self::Signing(proven, _), Answer::Public(Ok(PublicValue::Signature(proof)))) => {
                Ok(Self::send_auth(common, env, out, *proven, &proof))
            }
            (_, answer) => Err(common.failed(&answer)),
        }
    }
}
