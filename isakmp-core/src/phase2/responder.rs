//! The responder of quick mode.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{DhGroup, PublicJob, PublicValue, Ticket};
use ipsec_core::InstallFault;
use ipsec_core::model::{
    Action, AddressSelector, Half, KeyManagement, Mode, Name, PeerAddress, PolicyConfig, Protocol,
    Role, Selector, Spi,
};

use super::commit::{connected, is_connected};
use super::trace::{trace_hash, trace_hash3};
use super::{
    Common, Opened, Step, Terms, Trouble, as_seen, body, fatal, hash3, ignored, originals,
    peer_sees, phase2, reason, sa_body, send,
};
use crate::ask::{Answer, Ask, Env};
use crate::debug::IsakmpDebug;
use crate::identity::told;
use crate::negotiate::phase2::{Agreement, Answer as SaAnswer};
use crate::out::Out;
use crate::phase1::{Incoming, exponent, nonce};
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::sa::IsakmpSa;
use crate::wire::{HEADER, Identification, PayloadType, Payloads};

/// Where the responder stands.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a few in a table of fixed size: a box would be one more allocation and no gain"
)]
pub(crate) enum Responder {
    /// SPIs are being reserved.
    Reserving(Offer, Ticket),
    /// Public value and shared secret are being computed (perfect forward secrecy).
    MakingKeys(MakingKeys),
    /// The inbound SAs are being installed.
    InstallingIn(Installing, Ticket),
    /// Message 2 is out.
    Sent(Terms),
    /// Message 3 came, and CONNECTED is waited for.
    Awaiting(Terms),
    /// The outbound SAs are being installed.
    InstallingOut(Ticket),
    /// Over.
    Over,
}

/// An acceptable message 1.
#[derive(Debug)]
pub(crate) struct Offer {
    agreement: Agreement,
    answer: SaAnswer,
    ni: Vec<u8>,
    peer_public: Option<Vec<u8>>,
    pfs: Option<DhGroup>,
    ids: Option<(Identification, Identification)>,
    selector: Selector,
    original: Option<(IpAddr, IpAddr)>,
}

#[derive(Debug)]
pub(crate) struct MakingKeys {
    offer: Offer,
    terms: Terms,
    tickets: [Ticket; 2],
    public: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Installing {
    terms: Terms,
    answer: SaAnswer,
    public: Option<Vec<u8>>,
    ids: Option<(Identification, Identification)>,
}

impl Offer {
    /// The first protocol of what was chosen, and the peer's SPI.
    pub(crate) fn proposed(&self) -> Option<(Protocol, Spi)> {
        self.agreement.proposed()
    }

    /// How many proposals were chosen, one for a protocol.
    pub(crate) const fn matched(&self) -> usize {
        self.agreement.chosen.len()
    }

    /// What the peer wants to be selected, from our side.
    pub(crate) const fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Holds an authentic message 1 against the policies for this peer. The first whose selectors
    /// contain the identities decides.
    pub(crate) fn admit<'a>(
        sa: &IsakmpSa,
        env: &Env<'a>,
        opened: &Opened,
    ) -> Result<(Self, &'a PolicyConfig), Reason> {
        let refuse = |subject| reason(1, subject, Whose::Ours);
        let (local, peer) = (sa.path.local.ip(), sa.path.peer.ip());
        let (remote_id, local_id) = match &opened.ids {
            Some((ci, cr)) => (ci.clone(), cr.clone()),
            None => (
                Identification::of_address(peer),
                Identification::of_address(local),
            ),
        };
        let original = peer_sees(sa, Role::Initiator, &opened.originals);
        let (policy, selector) = env
            .ipsec
            .policies
            .iter()
            .find_map(|policy| {
                let mode = phase2(env.ipsec, policy, sa)?.mode();
                let selector = wanted(policy, sa, mode, &local_id, &remote_id)?;
                let inside = original.map(|(own, _)| own);
                Some((policy, behind(selector, sa, mode, inside)))
            })
            .ok_or_else(|| unselected(sa, env, [&local_id, &remote_id]))?;
        let refuse = |subject| refuse(subject).under(&policy.name);
        let own = phase2(env.ipsec, policy, sa).ok_or(refuse(Subject::Changed))?;
        let offer = sa_body(1, opened).map_err(|_| refuse(Subject::Malformed))?;
        let (agreement, answer) = own
            .choose(&offer)
            .map_err(|mismatch| refuse(Subject::NoProposal).with(mismatch))?;
        if own.pfs.is_some() != opened.public.is_some() {
            return Err(refuse(Subject::Payloads));
        }
        if let (Some(group), Some(public)) = (own.pfs, &opened.public)
            && !hw_offload::acceptable_public_value(group, public)
        {
            return Err(refuse(Subject::PublicValue));
        }
        let admitted = Self {
            agreement,
            answer,
            ni: opened.nonce.clone(),
            peer_public: opened.public.clone(),
            pfs: own.pfs,
            ids: opened.ids.clone(),
            selector,
            original: original.filter(|_| own.mode() == Mode::Transport),
        };
        Ok((admitted, policy))
    }
}

fn nonzero<T: Default + PartialEq>(number: T) -> Option<T> {
    (number != T::default()).then_some(number)
}

/// What the identities of a quick mode select, if that lies inside what the policy selects and the
/// policy is for this peer.
fn wanted(
    policy: &PolicyConfig,
    sa: &IsakmpSa,
    mode: Mode,
    local_id: &Identification,
    remote_id: &Identification,
) -> Option<Selector> {
    let own = policy.selector();
    let bound = policy.action() == Action::Ipsec
        && policy.key_management == Some(KeyManagement::Isakmp)
        && is_for(policy, sa)
        && local_id.protocol == remote_id.protocol;
    let [local_id, remote_id] = &as_seen(sa, mode, [local_id, remote_id]);
    let wanted = Selector {
        local: side(&own.local, own.local_name.as_ref(), local_id)?,
        remote: side(&own.remote, own.remote_name.as_ref(), remote_id)?,
        protocol: nonzero(local_id.protocol),
        local_port: nonzero(local_id.port),
        remote_port: nonzero(remote_id.port),
        ..own.clone()
    };
    (bound && own.contains(&wanted)).then_some(wanted)
}

/// Why no policy selects what the identities of a quick mode name: what differs from the one that
/// comes nearest of those for this peer.
fn unselected(sa: &IsakmpSa, env: &Env<'_>, ids: [&Identification; 2]) -> Reason {
    let mut nearest: Option<(usize, Mismatch, &Name)> = None;
    for policy in env.ipsec.policies.iter().filter(|policy| {
        policy.action() == Action::Ipsec
            && policy.key_management == Some(KeyManagement::Isakmp)
            && is_for(policy, sa)
    }) {
        let mode = phase2(env.ipsec, policy, sa).map_or(Mode::Tunnel, |own| own.mode());
        let [local_id, remote_id] = &as_seen(sa, mode, ids);
        let own = policy.selector();
        let word = |name: &Option<Name>, named, else_| if name.is_some() { named } else { else_ };
        let address = |own: &AddressSelector, name: &Option<Name>, id: &Identification| {
            let ours = name.as_ref().map_or_else(|| Value::text(own), Value::text);
            let inside = side(own, name.as_ref(), id).is_some_and(|wanted| own.contains(&wanted));
            (inside, ours, Value::text(told(id)))
        };
        let number = |own: Option<u16>, id: u16| {
            let inside = own.is_none_or(|own| own == id);
            let ours = own.map_or(Value::Word("ANY"), |own| Value::Number(own.into()));
            (inside, ours, Value::Number(id.into()))
        };
        let sides = [
            (
                word(&own.remote_name, "RNAME", "RADDRESS"),
                address(&own.remote, &own.remote_name, remote_id),
            ),
            (
                word(&own.local_name, "LNAME", "LADDRESS"),
                address(&own.local, &own.local_name, local_id),
            ),
            (
                "TRANSPORTPROTOCOL",
                number(own.protocol.map(u16::from), local_id.protocol.into()),
            ),
            ("LPORT", number(own.local_port, local_id.port)),
            ("RPORT", number(own.remote_port, remote_id.port)),
        ];
        let agreed = sides.iter().filter(|(_, (inside, ..))| *inside).count();
        let differs = sides.iter().find(|(_, (inside, ..))| !inside);
        if let Some((attribute, (_, ours, theirs))) = differs
            && nearest.is_none_or(|(best, ..)| agreed > best)
        {
            let mismatch = Mismatch::new(attribute, *ours, *theirs);
            nearest = Some((agreed, mismatch, &policy.name));
        }
    }
    match nearest {
        Some((_, mismatch, policy)) => reason(1, Subject::Selectors, Whose::Ours)
            .with(Some(mismatch))
            .under(policy),
        None => reason(1, Subject::NoIpsecPolicy, Whose::Ours),
    }
}

/// What a peer behind NAT selects that is known by name only: the address that it has there. It may
/// name a private one alone, lest it draw what goes to others.
fn behind(selector: Selector, sa: &IsakmpSa, mode: Mode, inside: Option<IpAddr>) -> Selector {
    let named = selector.remote_name.is_some() && selector.remote.bounds().is_none();
    let private = match inside {
        Some(IpAddr::V4(address)) => {
            let [a, b, ..] = address.octets();
            address.is_private() || (a == 100 && b & 0xc0 == 64)
        }
        _ => false,
    };
    match inside {
        Some(inside)
            if named && private && mode == Mode::Tunnel && sa.watch.nat.found.is_there() =>
        {
            Selector {
                remote: AddressSelector::host(inside),
                ..selector
            }
        }
        _ => selector,
    }
}

/// Whether a policy is for the peer of an ISAKMP SA.
fn is_for(policy: &PolicyConfig, sa: &IsakmpSa) -> bool {
    let named = policy.isakmp_policy.as_ref();
    if named.is_some_and(|name| *name != sa.policy.name) {
        return false;
    }
    match &policy.peer {
        Some(PeerAddress::Address(address)) => *address == sa.path.peer.ip(),
        // Whoever passed authentication under the ISAKMP policy that it names, or else under one
        // that is for anybody.
        Some(PeerAddress::Dynamic | PeerAddress::Any) => {
            named.is_some() || sa.policy.peer == PeerAddress::Any
        }
        // The address is the ISAKMP policy's, under which the peer has proved itself: one of the
        // same name, or the one that this policy names.
        host @ Some(PeerAddress::Host(_)) => {
            host.as_ref() == Some(&sa.policy.peer)
                || named.is_some() && sa.policy.peer != PeerAddress::Any
        }
        None => false,
    }
}

/// What an identity selects on one side: where the policy has a name (LNAME, RNAME) the identity
/// must be that name, and stands for the policy's own addresses.
fn side(
    own: &AddressSelector,
    name: Option<&Name>,
    id: &Identification,
) -> Option<AddressSelector> {
    match name {
        Some(name) => id.is_name(name.as_str()).then_some(*own),
        None => id.selector(),
    }
}

impl Responder {
    pub(crate) fn start(common: &Common, out: &mut Out<'_>, offer: Offer) -> Self {
        let protocols = offer
            .agreement
            .chosen
            .iter()
            .map(|chosen| chosen.protocol)
            .collect();
        let (policy, path) = (common.policy.clone(), common.talk.path);
        let ends = (path.local.ip(), path.peer.ip());
        let ticket = out.ask(|_| Ask::Reserve {
            policy,
            ends,
            protocols,
            role: Role::Responder,
        });
        Self::Reserving(offer, ticket)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Reserving(..) | Self::MakingKeys(_) => "RECEIVING_MESSAGE",
            Self::InstallingIn(..) => "SENDING_HASH_SA_NONCE",
            Self::Sent(_) | Self::Awaiting(_) => "WAIT_HASH",
            Self::InstallingOut(_) | Self::Over => "DONE",
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
        let Self::Sent(terms) = self else {
            return Ok(Step::On);
        };
        let (plain, iv) = sa
            .open(env.primitives, &common.iv, incoming.body)
            .ok_or(ignored(3, Subject::Malformed))?;
        let payloads =
            Payloads::parse(incoming.header.next, &plain).map_err(|_| ignored(3, Subject::Hash))?;
        let expected = hash3(sa, env, common.message_id, (&terms.ni, &terms.nr));
        let authentic = payloads.all().first().is_some_and(|raw| {
            raw.kind == PayloadType::HASH && hw_offload::ct_eq(raw.body, expected.as_bytes())
        });
        if !authentic || !incoming.header.flags.encrypted() {
            return Err(ignored(3, Subject::Hash));
        }
        out.watch_received(env, incoming.header, &plain);
        trace_hash3(common, env, out, (&terms.ni, &terms.nr), &expected);
        common.iv = iv;
        let types = payloads.all().iter().map(|raw| raw.kind).collect();
        let length = HEADER + incoming.body.len();
        common
            .talk
            .accepted(out, incoming.digest.clone(), 3, types, length);
        common.commit.theirs |= incoming.header.flags.commit();
        let waits = common.commit.theirs && !common.commit.ours;
        if let Self::Sent(terms) = core::mem::replace(self, Self::Over) {
            *self = Self::Awaiting(terms);
        }
        if waits {
            let wait = common.isakmp_policy.wait(1);
            common.commit.wait(env.now, wait);
            return Ok(Step::On);
        }
        self.go_on(common, sa, env, out)
    }

    /// Nothing is waited for any more: packets may leave.
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
        let negotiated = terms.negotiated(sa, env, Role::Responder, half);
        let ticket = out.ask(|_| Ask::Install {
            bundle,
            half,
            negotiated,
        });
        *self = Self::InstallingOut(ticket);
        Ok(Step::On)
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
            Self::Reserving(_, own) | Self::InstallingIn(_, own) | Self::InstallingOut(own) => {
                *own == ticket
            }
            Self::MakingKeys(state) => state.tickets.contains(&ticket),
            Self::Sent(_) | Self::Awaiting(_) | Self::Over => false,
        };
        if !waits {
            return Err(answer);
        }
        Ok(match (core::mem::replace(self, Self::Over), answer) {
            (Self::Reserving(offer, _), Answer::Reserved(Ok(reserved))) => {
                common.bundle = Some(reserved.bundle);
                common.spis.clone_from(&reserved.spis);
                let Some(nr) = nonce(env.entropy) else {
                    return Ok(Err(fatal(2, Subject::Entropy)));
                };
                let terms = Terms {
                    agreement: offer.agreement.clone(),
                    spis: reserved.spis,
                    ni: offer.ni.clone(),
                    nr,
                    shared: None,
                    selector: offer.selector.clone(),
                    original: offer.original,
                };
                match (offer.pfs, offer.peer_public.clone()) {
                    (Some(group), Some(peer)) => {
                        let bits = common.isakmp_policy.exponent_bits().min(group.bits() - 1);
                        let Some(x) = exponent(env.entropy, bits) else {
                            return Ok(Err(fatal(2, Subject::Entropy)));
                        };
                        let exponent = x.duplicate();
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
                        let tickets = [public, shared];
                        *self = Self::MakingKeys(MakingKeys {
                            offer,
                            terms,
                            tickets,
                            public: None,
                        });
                        Ok(Step::On)
                    }
                    _ => Ok(self.install(common, sa, env, out, offer, terms, None)),
                }
            }
            (Self::MakingKeys(mut state), Answer::Public(Ok(value))) => {
                match value {
                    PublicValue::Public(public) => state.public = Some(public),
                    PublicValue::Shared(shared) => state.terms.shared = Some(shared),
                    PublicValue::Signature(_)
                    | PublicValue::Verified
                    | PublicValue::PrivateKey(_) => return Ok(Err(fatal(2, Subject::Engine))),
                }
                match (state.public.take(), &state.terms.shared) {
                    (Some(public), Some(_)) => {
                        let MakingKeys { offer, terms, .. } = state;
                        if offer.peer_public.as_ref() == Some(&public) {
                            return Ok(Err(fatal(2, Subject::Reflected)));
                        }
                        Ok(self.install(common, sa, env, out, offer, terms, Some(public)))
                    }
                    (public, _) => {
                        state.public = public;
                        *self = Self::MakingKeys(state);
                        Ok(Step::On)
                    }
                }
            }
            (Self::InstallingIn(state, _), Answer::Installed(Ok(()))) => {
                let Installing {
                    terms,
                    answer,
                    public,
                    ids,
                } = state;
                let mut payloads = body(
                    answer.to_body(&terms.spis),
                    &terms.nr,
                    public.as_deref(),
                    ids.as_ref(),
                );
                let chosen = terms.agreement.chosen.first();
                let mode = chosen.map_or(Mode::Tunnel, |chosen| chosen.spec.mode());
                payloads.extend(originals(sa, Role::Responder, mode, false));
                if terms.agreement.shortened && common.isakmp_policy.notifies() {
                    payloads.push((PayloadType::N, terms.responder_lifetime()));
                }
                let id = common.message_id;
                let writer = sa.hashed(env.primitives, id, &[&terms.ni], &payloads);
                trace_hash(common, env, out, "HASH2", &terms.ni, &writer);
                send(common, sa, env, out, 2, &writer, true);
                *self = Self::Sent(terms);
                Ok(Step::On)
            }
            (Self::InstallingOut(_), Answer::Installed(Ok(()))) => {
                if common.commit.ours {
                    let own = common.agreed.inbound.first().copied();
                    let (bytes, types) = connected(common, sa, env, out, own);
                    common.talk.send(out, env.now, (4, types), bytes, None);
                }
                Ok(Step::Done)
            }
            (_, Answer::Installed(Err(InstallFault::WeakKey))) => Err(fatal(0, Subject::WeakKey)),
            (_, Answer::Installed(Err(_))) => Err(fatal(0, Subject::Install)),
            (_, Answer::Reserved(Err(_))) => Err(fatal(0, Subject::Full)),
            _ => Err(fatal(0, Subject::Engine)),
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a state sees its input and nothing else"
    )]
    fn install(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
        offer: Offer,
        terms: Terms,
        public: Option<Vec<u8>>,
    ) -> Step {
        let Some(bundle) = common.bundle else {
            return Step::Failed(reason(2, Subject::Install, Whose::Ours));
        };
        let half = Half::Inbound;
        if let Some(public) = &public {
            let value = ("g^x", &public[..]);
            out.trace_value(env, common.part(), IsakmpDebug::TRACEMORE, value);
        }
        terms.trace(common, sa, env, out);
        common.agreed = terms.kept();
        let negotiated = terms.negotiated(sa, env, Role::Responder, half);
        let ticket = out.ask(|_| Ask::Install {
            bundle,
            half,
            negotiated,
        });
        let Offer { answer, ids, .. } = offer;
        *self = Self::InstallingIn(
            Installing {
                terms,
                answer,
                public,
                ids,
            },
            ticket,
        );
        Step::On
    }
}
