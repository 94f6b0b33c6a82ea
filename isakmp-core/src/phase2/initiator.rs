//! The initiator of quick mode.

use alloc::vec::Vec;
use core::net::SocketAddr;

use hw_offload::{PublicJob, PublicValue, Secret, Ticket};
use ipsec_core::model::{Half, Role, Selector};
use ipsec_core::{InstallFault, Reserved};

use super::commit::{connected, is_connected};
use super::trace::{trace_hash, trace_hash3};
use super::{
    Common, Step, Terms, Trouble, admit, as_seen, body, fatal, hash3, identities, ignored,
    originals, peer_sees, phase2, reason, sa_body, send,
};
use crate::ask::{Acquire, Answer, Ask, Env};
use crate::debug::IsakmpDebug;
use crate::identity::told;
use crate::out::Out;
use crate::phase1::{Incoming, exponent, nonce};
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::sa::IsakmpSa;
use crate::trace::Trace;
use crate::wire::{HEADER, Identification, PayloadType, Writer};

/// Where the initiator stands.
#[derive(Debug)]
pub(crate) enum Initiator {
    /// SPIs are being reserved.
    Reserving(Ticket),
    /// Our public value is being computed (perfect forward secrecy).
    MakingKey(MakingKey),
    /// Message 1 is out.
    Sent(Sent),
    /// The shared secret is being computed (perfect forward secrecy).
    Agreeing(Terms, Ticket),
    /// Both directions are being installed, or the inbound one if CONNECTED is waited for.
    Installing(Terms, [Option<Ticket>; 2]),
    /// Message 3 is out, and CONNECTED is waited for.
    Awaiting(Terms),
    /// The outbound direction is being installed.
    InstallingOut(Ticket),
    /// Over.
    Over,
}

#[derive(Debug)]
pub(crate) struct MakingKey {
    reserved: Reserved,
    exponent: Secret,
    ticket: Ticket,
}

#[derive(Debug)]
pub(crate) struct Sent {
    reserved: Reserved,
    ni: Vec<u8>,
    ids: Option<(Identification, Identification)>,
    selector: Selector,
    exponent: Option<(Secret, Vec<u8>)>,
}

impl Initiator {
    pub(crate) fn start(
        common: &Common,
        acquire: &Acquire,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self, Reason> {
        let gone = reason(0, Subject::Changed, Whose::Ours);
        let policy = env.ipsec.policy(acquire.policy.as_str()).ok_or(gone)?;
        let protocols = phase2(env.ipsec, policy, sa).ok_or(gone)?.protocols();
        if protocols.is_empty() {
            return Err(reason(0, Subject::AhThroughNat, Whose::Ours));
        }
        let (policy, path) = (common.policy.clone(), common.talk.path);
        let ends = (path.local.ip(), path.peer.ip());
        Ok(Self::Reserving(out.ask(|_| Ask::Reserve {
            policy,
            ends,
            protocols,
            role: Role::Initiator,
        })))
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Reserving(_) | Self::MakingKey(_) => "SENDING_HASH_SA_NONCE",
            Self::Sent(_) => "WAIT_HASH_SA_NONCE",
            Self::Agreeing(..) => "RECEIVING_MESSAGE",
            Self::Installing(..) => "SENDING_HASH",
            Self::Awaiting(_) => "WAIT_HASH",
            Self::InstallingOut(_) => "DONE",
            Self::Over => "DONE",
        }
    }

    pub(crate) fn receive(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<Step, Trouble> {
        if let Self::Awaiting(_) = self {
            if !is_connected(common, sa, env, out, incoming) {
                return Err(ignored(4, Subject::Hash));
            }
            common.commit.until = None;
            return self.go_on(common, sa, env, out);
        }
        let Self::Sent(sent) = self else {
            return Ok(Step::On);
        };
        let opened = admit(2, sa, env, out, &common.iv, &[&sent.ni], incoming)?;
        let gone = || fatal(2, Subject::Changed);
        let policy = env.ipsec.policy(common.policy.as_str()).ok_or_else(gone)?;
        let own = phase2(env.ipsec, policy, sa).ok_or_else(gone)?;
        let mut agreement = own.confirm(&sa_body(2, &opened)?).map_err(|mismatch| {
            Trouble::Fatal(reason(2, Subject::NotOffered, Whose::Theirs).with(mismatch))
        })?;
        // Without identities both ends select all that they send each other.
        let host = |end: SocketAddr| Identification::of_address(end.ip());
        let ends = (host(sa.path.local), host(sa.path.peer));
        let (own_id, peer_id) = sent.ids.as_ref().unwrap_or(&ends);
        let other = opened.ids.as_ref().and_then(|(ci, cr)| {
            let [ci_seen, cr_seen] = as_seen(sa, own.mode(), [ci, cr]);
            if ![ci, &ci_seen].contains(&own_id) {
                Some(("LADDRESS", own_id, ci))
            } else if ![cr, &cr_seen].contains(&peer_id) {
                Some(("RADDRESS", peer_id, cr))
            } else {
                None
            }
        });
        if let Some((attribute, ours, theirs)) = other {
            let [ours, theirs] = [ours, theirs].map(|id| Value::text(told(id)));
            let mismatch = Mismatch::new(attribute, ours, theirs);
            let reason = reason(2, Subject::OtherSelectors, Whose::Theirs);
            return Err(Trouble::Fatal(reason.with(Some(mismatch))));
        }
        if opened.nonce == sent.ni {
            return Err(fatal(2, Subject::Reflected));
        }
        let bad = reason(2, Subject::PublicValue, Whose::Theirs);
        let peer_public = match (&sent.exponent, &opened.public, own.pfs) {
            (None, None, _) => None,
            (Some((exponent, own)), Some(public), Some(group)) => {
                if own == public || !hw_offload::acceptable_public_value(group, public) {
                    return Err(Trouble::Fatal(bad));
                }
                Some((exponent.duplicate(), public.clone()))
            }
            _ => return Err(fatal(2, Subject::Payloads)),
        };
        opened.trace(env, out, common.part(), agreement.chosen.len());
        if let Some((_, public)) = &peer_public {
            let value = ("g^y", &public[..]);
            out.trace_value(env, common.part(), IsakmpDebug::TRACEMORE, value);
        }
        if let Some(shorter) = opened.lifetime {
            agreement.lifetime = agreement.lifetime.shorter(shorter);
        }
        common.iv = opened.iv;
        common.proposed = agreement.proposed();
        common.commit.theirs = incoming.header.flags.commit();
        let length = HEADER + incoming.body.len();
        common
            .talk
            .accepted(out, incoming.digest.clone(), 2, opened.types, length);
        let Self::Sent(sent) = core::mem::replace(self, Self::Over) else {
            return Ok(Step::On);
        };
        let terms = Terms {
            agreement,
            spis: sent.reserved.spis,
            ni: sent.ni,
            nr: opened.nonce,
            shared: None,
            selector: sent.selector,
            original: peer_sees(sa, Role::Responder, &opened.originals),
        };
        match (peer_public, own.pfs) {
            (Some((exponent, peer)), Some(group)) => {
                let ticket = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhShared {
                        ticket,
                        group,
                        exponent,
                        peer,
                    })
                });
                *self = Self::Agreeing(terms, ticket);
            }
            _ => self.install(common, sa, env, out, terms),
        }
        Ok(Step::On)
    }

    fn install(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
        terms: Terms,
    ) {
        terms.trace(common, sa, env, out);
        common.agreed = terms.kept();
        let waits = common.commit.theirs;
        let tickets = [Half::Inbound, Half::Outbound].map(|half| {
            if waits && half == Half::Outbound {
                return None;
            }
            let negotiated = terms.negotiated(sa, env, Role::Initiator, half);
            common.bundle.map(|bundle| {
                out.ask(|_| Ask::Install {
                    bundle,
                    half,
                    negotiated,
                })
            })
        });
        *self = Self::Installing(terms, tickets);
    }

    pub(crate) fn answer(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Result<Step, Trouble>, Answer> {
        let waits = match self {
            Self::Reserving(own) | Self::Agreeing(_, own) | Self::InstallingOut(own) => {
                *own == ticket
            }
            Self::MakingKey(state) => state.ticket == ticket,
            Self::Installing(_, tickets) => tickets.contains(&Some(ticket)),
            Self::Sent(_) | Self::Awaiting(_) | Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(match (core::mem::replace(self, Self::Over), answer) {
            (Self::Reserving(_), Answer::Reserved(Ok(reserved))) => {
                common.bundle = Some(reserved.bundle);
                common.spis.clone_from(&reserved.spis);
                let pfs = env
                    .ipsec
                    .policy(common.policy.as_str())
                    .and_then(|policy| phase2(env.ipsec, policy, sa))
                    .and_then(|own| own.pfs);
                let Some(group) = pfs else {
                    return Ok(self.send_first(common, sa, env, out, reserved, None));
                };
                let bits = common.isakmp_policy.exponent_bits().min(group.bits() - 1);
                let Some(exponent) = exponent(env.entropy, bits) else {
                    return Ok(Err(fatal(1, Subject::Entropy)));
                };
                let x = exponent.duplicate();
                let ticket = out.ask(|ticket| {
                    Ask::Public(PublicJob::DhPublic {
                        ticket,
                        group,
                        exponent: x,
                    })
                });
                *self = Self::MakingKey(MakingKey {
                    reserved,
                    exponent,
                    ticket,
                });
                Ok(Step::On)
            }
            (Self::MakingKey(state), Answer::Public(Ok(PublicValue::Public(public)))) => {
                let key = Some((state.exponent, public));
                self.send_first(common, sa, env, out, state.reserved, key)
            }
            (Self::Agreeing(mut terms, _), Answer::Public(Ok(PublicValue::Shared(shared)))) => {
                terms.shared = Some(shared);
                self.install(common, sa, env, out, terms);
                Ok(Step::On)
            }
            (Self::Installing(terms, mut tickets), Answer::Installed(Ok(()))) => {
                for slot in &mut tickets {
                    if *slot == Some(ticket) {
                        *slot = None;
                    }
                }
                if tickets != [None; 2] {
                    *self = Self::Installing(terms, tickets);
                    return Ok(Ok(Step::On));
                }
                let nonces = (&terms.ni[..], &terms.nr[..]);
                let hash = hash3(sa, env, common.message_id, nonces);
                trace_hash3(common, env, out, nonces, &hash);
                let mut writer = Writer::new();
                writer.push(PayloadType::HASH, hash.as_bytes());
                send(common, sa, env, out, 3, &writer, false);
                if common.commit.theirs {
                    let wait = common.isakmp_policy.wait(1);
                    common.commit.wait(env.now, wait);
                    *self = Self::Awaiting(terms);
                    return Ok(Ok(Step::On));
                }
                if common.commit.ours {
                    let own = terms.kept().inbound.first().copied();
                    let (bytes, _) = connected(common, sa, env, out, own);
                    common.talk.follow(out, bytes);
                }
                Ok(Step::Done)
            }
            (Self::InstallingOut(_), Answer::Installed(Ok(()))) => Ok(Step::Done),
            (_, Answer::Installed(Err(InstallFault::WeakKey))) => Err(fatal(2, Subject::WeakKey)),
            (_, Answer::Installed(Err(_))) => Err(fatal(2, Subject::Install)),
            (_, Answer::Reserved(Err(_))) => Err(fatal(0, Subject::Full)),
            _ => Err(fatal(0, Subject::Engine)),
        })
    }

    /// CONNECTED came, or was waited for long enough: packets may leave.
    pub(super) fn go_on(
        &mut self,
        common: &Common,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Step, Trouble> {
        let Self::Awaiting(terms) = self else {
            return Ok(Step::On);
        };
        let bundle = common.bundle.ok_or(fatal(3, Subject::Install))?;
        let half = Half::Outbound;
        let negotiated = terms.negotiated(sa, env, Role::Initiator, half);
        let ticket = out.ask(|_| Ask::Install {
            bundle,
            half,
            negotiated,
        });
        *self = Self::InstallingOut(ticket);
        Ok(Step::On)
    }

    fn send_first(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        reserved: Reserved,
        exponent: Option<(Secret, Vec<u8>)>,
    ) -> Result<Step, Trouble> {
        let policy = env
            .ipsec
            .policy(common.policy.as_str())
            .ok_or(fatal(1, Subject::Changed))?;
        let own = phase2(env.ipsec, policy, sa).ok_or(fatal(1, Subject::Changed))?;
        let ni = nonce(env.entropy).ok_or(fatal(1, Subject::Entropy))?;
        let renewed = common.renews.as_ref();
        let selector =
            renewed.map_or_else(|| policy.selector(), |renewed| renewed.selector.clone());
        let always = common.isakmp_policy.always_sends_ids();
        let ids = identities(&selector, sa.path.local.ip(), sa.path.peer.ip(), always);
        let public = exponent.as_ref().map(|(_, public)| &public[..]);
        if let Some((x, public)) = &exponent {
            let more = IsakmpDebug::TRACEMORE;
            out.trace_secret(env, common.part(), more, ("x", x.expose()));
            out.trace_value(env, common.part(), more, ("g^x", public));
        }
        let mut payloads = body(own.offer(&reserved.spis), &ni, public, ids.as_ref());
        let named = selector.local_name.is_some() && selector.local.bounds().is_none();
        payloads.extend(originals(sa, Role::Initiator, own.mode(), named));
        let writer = sa.hashed(env.primitives, common.message_id, &[], &payloads);
        if let Some((ci, cr)) = &ids {
            let (own, peer) = (sa.path.local.ip(), sa.path.peer.ip());
            let ids = || Trace::IdsNotDefault([(own, ci.clone()), (peer, cr.clone())]);
            let (more, created) = (IsakmpDebug::TRACEMORE, || Trace::IdsCreated);
            out.trace(env, common.part(), more, ids);
            out.trace(env, common.part(), IsakmpDebug::TRACE, created);
        }
        trace_hash(common, env, out, "HASH1", &[], &writer);
        send(common, sa, env, out, 1, &writer, true);
        common.ids.clone_from(&ids);
        *self = Self::Sent(Sent {
            reserved,
            ni,
            ids,
            selector,
            exponent,
        });
        Ok(Step::On)
    }
}
