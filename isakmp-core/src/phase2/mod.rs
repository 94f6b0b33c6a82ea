//! Quick mode (RFC 2409 §5.5): what both roles share.
//!
//! ```text
//! initiator                              responder
//! 1  HDR*, HASH(1), SA, Ni [,KE] [,ID,ID]  ->
//!                  <-  HDR*, HASH(2), SA, Nr [,KE] [,ID,ID]   2
//! 3  HDR*, HASH(3)                         ->
//! ```
//! The responder's inbound SAs are installed before it answers, the initiator's both directions
//! before it confirms: no packet meets an SA that is not there yet.

mod commit;
mod initiator;
mod responder;
mod trace;

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{DhGroup, Digest, Secret, Ticket};
use ipsec_core::model::{
    AddressSelector, Half, IpsecConfig, Lifetime, Mode, Name, PolicyConfig, Protocol, Role,
    Selector, Spi,
};
use ipsec_core::{BundleId, Encap, Instant, Negotiated, SaKeys, Traversal};

pub(crate) use commit::Commit;
pub(crate) use responder::Offer;
pub(crate) use trace::trace_offer;

use initiator::Initiator;
use responder::Responder;

use crate::admission;
use crate::ask::{Acquire, Answer, Env, Renewal, Report};
use crate::config::IsakmpPolicyConfig;
use crate::conversation::{Conversation, Tick};
use crate::debug::{IsakmpDebug, watch_states};
use crate::keys::Iv;
use crate::negotiate::phase2::{Agreement, Phase2, life_of};
use crate::out::Out;
use crate::phase1::Incoming;
use crate::reason::{Reason, Subject, Whose};
use crate::sa::{IsakmpSa, IsakmpSaId};
use crate::timed::Due;
use crate::trace::Part;
use crate::wire::{
    Attributes, ExchangeType, Flags, Identification, MessageId, Notify, NotifyType, Payload,
    PayloadType, Payloads, SaBody, Writer,
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
    /// The bundle is installed.
    Done,
    /// Over without a result.
    Failed(Reason),
}

/// What both roles know of their exchange.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) talk: Conversation,
    pub(crate) sa: IsakmpSaId,
    pub(crate) message_id: MessageId,
    pub(crate) iv: Iv,
    pub(crate) isakmp_policy: IsakmpPolicyConfig,
    /// The IPsec policy.
    pub(crate) policy: Name,
    /// The bundle that is to have a successor.
    pub(crate) renews: Option<Renewal>,
    pub(crate) role: Role,
    pub(crate) bundle: Option<BundleId>,
    /// Our SPIs, once reserved.
    pub(crate) spis: Vec<(Protocol, Spi)>,
    /// The first protocol and SPI of the peer's side of what is agreed on.
    pub(crate) proposed: Option<(Protocol, Spi)>,
    /// The identities of both ends' selectors, the initiator's first, once they are named.
    pub(crate) ids: Option<(Identification, Identification)>,
    /// What is kept of what was agreed on.
    pub(crate) agreed: Kept,
    pub(crate) commit: Commit,
    pub(crate) suspicion: Option<Reason>,
}

/// One quick mode.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) common: Common,
    role: RoleState,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a few in a table of fixed size: a box would be one more allocation and no gain"
)]
enum RoleState {
    Initiator(Initiator),
    Responder(Responder),
}

/// Why an event did not move the state.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Not authentic: anybody could have sent it.
    Ignored(Reason),
    /// The exchange cannot succeed.
    Fatal(Reason),
}

pub(crate) const fn reason(message: u8, subject: Subject, whose: Whose) -> Reason {
    Reason::new(ExchangeType::Quick, message, subject, whose)
}

pub(crate) const fn ignored(message: u8, subject: Subject) -> Trouble {
    Trouble::Ignored(reason(message, subject, Whose::Theirs))
}

pub(crate) const fn fatal(message: u8, subject: Subject) -> Trouble {
    Trouble::Fatal(reason(message, subject, Whose::Ours))
}

impl Common {
    /// What the exchange is in a trace.
    pub(crate) const fn part(&self) -> Part {
        (ExchangeType::Quick, self.role)
    }
}

impl Due for Exchange {
    fn due(&self) -> Option<Instant> {
        let talk = self.common.talk.deadline();
        talk.into_iter().chain(self.common.commit.until).min()
    }
}

impl Exchange {
    pub(crate) fn initiator(
        common: Common,
        acquire: &Acquire,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self, Reason> {
        let state = Initiator::start(&common, acquire, sa, env, out)?;
        Ok(Self {
            common,
            role: RoleState::Initiator(state),
        })
    }

    pub(crate) fn responder(common: Common, offer: Offer, out: &mut Out<'_>) -> Self {
        let state = Responder::start(&common, out, offer);
        Self {
            common,
            role: RoleState::Responder(state),
        }
    }

    /// The state's name on the screens.
    pub(crate) const fn state(&self) -> &'static str {
        match &self.role {
            RoleState::Initiator(state) => state.name(),
            RoleState::Responder(state) => state.name(),
        }
    }

    /// Whether it is the peer's turn.
    pub(crate) const fn waits_for_peer(&self) -> bool {
        match &self.role {
            RoleState::Initiator(state) => matches!(state, Initiator::Sent(_)),
            RoleState::Responder(state) => matches!(state, Responder::Sent(_)),
        }
    }

    pub(crate) fn receive(
        &mut self,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: &Incoming<'_>,
    ) -> Step {
        let before = self.state();
        let result = match &mut self.role {
            RoleState::Initiator(state) => state.receive(&mut self.common, sa, env, out, incoming),
            RoleState::Responder(state) => state.receive(&mut self.common, sa, env, out, incoming),
        };
        let step = self.settle(out, result);
        self.watch_step(env, out, before, &step);
        step
    }

    pub(crate) fn answer(
        &mut self,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ticket: Ticket,
        answer: Answer,
    ) -> Result<Step, Answer> {
        let before = self.state();
        let result = match &mut self.role {
            RoleState::Initiator(state) => {
                state.answer(&mut self.common, sa, env, out, ticket, answer)?
            }
            RoleState::Responder(state) => {
                state.answer(&mut self.common, sa, env, out, ticket, answer)?
            }
        };
        let step = self.settle(out, result);
        self.watch_step(env, out, before, &step);
        Ok(step)
    }

    fn watch_step(&self, env: &Env<'_>, out: &mut Out<'_>, before: &str, step: &Step) {
        if !matches!(step, Step::Failed(_)) {
            self.watch(env, out, Some(before));
        }
    }

    /// Tells the states since `before`, or all until now.
    pub(crate) fn watch(&self, env: &Env<'_>, out: &mut Out<'_>, before: Option<&str>) {
        let what = (ExchangeType::Quick, self.common.role);
        watch_states(env, out, what, before, self.state());
    }

    fn settle(&mut self, out: &mut Out<'_>, result: Result<Step, Trouble>) -> Step {
        match result {
            Ok(step) => step,
            Err(Trouble::Fatal(reason)) => Step::Failed(reason.under(&self.common.policy)),
            Err(Trouble::Ignored(reason)) => {
                let reason = reason.under(&self.common.policy);
                if self.common.suspicion.is_none() {
                    self.common.suspicion = Some(reason);
                    let (exchange, peer) =
                        (self.common.talk.number, self.common.talk.path.peer.ip());
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

    /// Whether a message of an informational exchange is the CONNECTED that this one waits for.
    pub(crate) fn connected(
        &mut self,
        sa: &IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        incoming: &Incoming<'_>,
    ) -> Step {
        let waits = self.common.commit.until.is_some();
        if waits && commit::is_connected(&mut self.common, sa, env, out, incoming) {
            self.go_on(sa, env, out)
        } else {
            Step::On
        }
    }

    /// The peer is ready, or was waited for long enough.
    fn go_on(&mut self, sa: &IsakmpSa, env: &Env<'_>, out: &mut Out<'_>) -> Step {
        self.common.commit.until = None;
        let before = self.state();
        let result = match &mut self.role {
            RoleState::Initiator(state) => state.go_on(&self.common, sa, env, out),
            RoleState::Responder(state) => state.go_on(&self.common, sa, env, out),
        };
        let step = self.settle(out, result);
        self.watch_step(env, out, before, &step);
        step
    }

    pub(crate) fn tick(&mut self, sa: &IsakmpSa, env: &Env<'_>, out: &mut Out<'_>) -> Step {
        let now = env.now;
        if self.common.commit.until.is_some_and(|until| until <= now) {
            return self.go_on(sa, env, out);
        }
        match self.common.talk.tick(out, now, &self.common.isakmp_policy) {
            Tick::Nothing => Step::On,
            Tick::GivenUp => {
                let message = self.common.talk.message() + 1;
                let silence = reason(message, Subject::Timeout, Whose::Theirs);
                let reason = self.common.suspicion.unwrap_or(silence);
                Step::Failed(reason.under(&self.common.policy))
            }
        }
    }
}

/// Holds an authentic message 1 against the policies for its sender.
pub(crate) fn responder_offer<'a>(
    sa: &IsakmpSa,
    env: &Env<'a>,
    opened: &Opened,
) -> Result<(Offer, &'a PolicyConfig), Reason> {
    Offer::admit(sa, env, opened)
}

/// Our side of the negotiation, from the configuration.
pub(crate) fn phase2<'a>(
    ipsec: &'a IpsecConfig,
    policy: &PolicyConfig,
    sa: &IsakmpSa,
) -> Option<Phase2<'a>> {
    let bundle = ipsec.bundle(policy.bundle?)?;
    let pfs = policy
        .pfs_group()
        .and_then(|group| DhGroup::from_number(group.into()));
    Some(Phase2 {
        bundle,
        specs: &ipsec.sa_specs,
        pfs,
        nat: sa.watch.nat.encapsulates(),
    })
}

/// A checked message 1 or 2, with its HASH verified by the caller's prefix.
pub(crate) struct Opened {
    message: u8,
    /// What the HASH covers, and it, while TRACEMORE is watched.
    hashed: Option<(Secret, Vec<u8>)>,
    pub(crate) sa_body: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) public: Option<Vec<u8>>,
    pub(crate) ids: Option<(Identification, Identification)>,
    /// RESPONDER-LIFETIME, which can only shorten.
    pub(crate) lifetime: Option<Lifetime>,
    /// NAT-OA: original addresses, in order.
    pub(crate) originals: Vec<IpAddr>,
    pub(crate) iv: Iv,
    pub(crate) types: Vec<PayloadType>,
}

/// Deciphers, verifies and reads message 1 or 2. What fails before the HASH is verified is
/// nobody's fault in particular; what fails behind it is the peer's.
pub(crate) fn admit(
    message: u8,
    sa: &IsakmpSa,
    env: &Env<'_>,
    out: &mut Out<'_>,
    iv: &Iv,
    prefix: &[&[u8]],
    incoming: &Incoming<'_>,
) -> Result<Opened, Trouble> {
    let header = incoming.header;
    if !header.flags.encrypted() {
        return Err(ignored(message, Subject::Payloads));
    }
    let (plain, iv) = sa
        .open(env.primitives, iv, incoming.body)
        .ok_or(ignored(message, Subject::Malformed))?;
    let payloads =
        Payloads::parse(header.next, &plain).map_err(|_| ignored(message, Subject::Hash))?;
    if !sa.authentic(env.primitives, header.message_id, prefix, &payloads) {
        return Err(ignored(message, Subject::Hash));
    }
    out.watch_received(env, header, &plain);
    if !admission::admits(ExchangeType::Quick, message, true, &payloads) {
        return Err(fatal(message, Subject::Payloads));
    }
    let malformed = |_| fatal(message, Subject::Malformed);
    let (mut sa_body, mut nonce, mut public) = (Vec::new(), Vec::new(), None);
    let (mut ids, mut lifetime, mut originals) = (Vec::new(), None, Vec::new());
    let nat = sa.watch.nat.encapsulates();
    for raw in payloads.all() {
        // Without NAT traversal these numbers mean something else, or nothing.
        if !nat.is_some_and(|version| version.is_original(raw.kind)) && raw.kind.0 > 14 {
            continue;
        }
        match Payload::parse(*raw).map_err(malformed)? {
            Payload::NatOriginal(address) => originals.push(address),
            Payload::Sa(_) => sa_body = raw.body.to_vec(),
            Payload::Nonce(value) => nonce = value.to_vec(),
            Payload::KeyExchange(value) => public = Some(value.to_vec()),
            Payload::Id(id) => ids.push(id),
            Payload::Notify(Notify {
                kind: NotifyType::RESPONDER_LIFETIME,
                data,
                ..
            }) => {
                let attributes = Attributes::parse(data).map_err(malformed)?;
                lifetime = Some(life_of(&attributes, UNLIMITED));
            }
            _ => {}
        }
    }
    let mut ids = ids.into_iter();
    let ids = match (ids.next(), ids.next()) {
        (None, _) => None,
        (Some(ci), Some(cr)) => Some((ci, cr)),
        (Some(_), None) => return Err(fatal(message, Subject::Payloads)),
    };
    let types = payloads.all().iter().map(|raw| raw.kind).collect();
    let hashed = env.config.debug.has(IsakmpDebug::TRACEMORE).then(|| {
        let id = header.message_id.to_bytes();
        let input = [&[&id[..]], prefix, &[payloads.after_first()]].concat();
        let hash = payloads.all().first().map_or(&[][..], |raw| raw.body);
        (Secret::new(input.concat()), hash.to_vec())
    });
    Ok(Opened {
        message,
        hashed,
        sa_body,
        nonce,
        public,
        ids,
        lifetime,
        originals,
        iv,
        types,
    })
}

/// What shortens nothing.
const UNLIMITED: Lifetime = Lifetime {
    seconds: u32::MAX,
    kbytes: None,
};

/// The SA body of an admitted message.
pub(crate) fn sa_body(message: u8, opened: &Opened) -> Result<SaBody<'_>, Trouble> {
    SaBody::parse(&opened.sa_body).map_err(|_| fatal(message, Subject::Malformed))
}

/// The payloads of message 1 or 2 behind the HASH.
pub(crate) fn body(
    sa_body: Vec<u8>,
    nonce: &[u8],
    public: Option<&[u8]>,
    ids: Option<&(Identification, Identification)>,
) -> Vec<(PayloadType, Vec<u8>)> {
    let mut payloads = alloc::vec![
        (PayloadType::SA, sa_body),
        (PayloadType::NONCE, nonce.to_vec())
    ];
    if let Some(public) = public {
        payloads.push((PayloadType::KE, public.to_vec()));
    }
    if let Some((ci, cr)) = ids {
        payloads.push((PayloadType::ID, ci.to_bytes()));
        payloads.push((PayloadType::ID, cr.to_bytes()));
    }
    payloads
}

/// NAT-OA payloads, which transport mode needs where there is NAT (RFC 3947 §5.2): both ends as
/// this side sees them, the initiator's first; by the older drafts our own alone. In tunnel mode
/// they tell the address of an initiator behind NAT whose identity is a name.
pub(crate) fn originals(
    sa: &IsakmpSa,
    role: Role,
    mode: Mode,
    named: bool,
) -> Vec<(PayloadType, Vec<u8>)> {
    let Some(version) = sa.watch.nat.encapsulates() else {
        return Vec::new();
    };
    let (own, peer) = (sa.path.local.ip(), sa.path.peer.ip());
    let ends = match (role, version.sends_both_originals()) {
        _ if mode == Mode::Tunnel && !(named && sa.watch.nat.found.is_here()) => [None, None],
        (_, false) => [Some(own), None],
        (Role::Initiator, true) => [Some(own), Some(peer)],
        (Role::Responder, true) => [Some(peer), Some(own)],
    };
    let payload = |address| {
        // The body has the form of an identity without protocol and port.
        let body = Identification::of_address(address).to_bytes();
        (version.original(), body)
    };
    ends.into_iter().flatten().map(payload).collect()
}

/// Source and destination that a peer sees on its own packets, from the originals of its message.
/// The older drafts tell the source only.
pub(crate) fn peer_sees(
    sa: &IsakmpSa,
    peer: Role,
    originals: &[IpAddr],
) -> Option<(IpAddr, IpAddr)> {
    match (peer, originals) {
        (_, []) => None,
        (_, [own]) => Some((*own, sa.path.local.ip())),
        (Role::Initiator, [initiator, responder, ..]) => Some((*initiator, *responder)),
        (Role::Responder, [initiator, responder, ..]) => Some((*responder, *initiator)),
    }
}

/// HASH(3): prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b).
pub(crate) fn hash3(
    sa: &IsakmpSa,
    env: &Env<'_>,
    message_id: MessageId,
    (ni, nr): (&[u8], &[u8]),
) -> Digest {
    let parts = [&[0][..], &message_id.to_bytes(), ni, nr];
    sa.session.skeyid.authenticate(env.primitives, &parts)
}

/// Seals and sends a message of the exchange.
pub(crate) fn send(
    common: &mut Common,
    sa: &IsakmpSa,
    env: &Env<'_>,
    out: &mut Out<'_>,
    message: u8,
    writer: &Writer,
    again: bool,
) {
    let mut header = sa.header(ExchangeType::Quick, common.message_id);
    if common.commit.ours {
        header.flags = header.flags.with(Flags::COMMIT);
    }
    out.watch_sent(env, &header, writer);
    let bytes = sa
        .session
        .seal(env.primitives, &mut common.iv, header, writer);
    let named = (message, crate::phase1::types(writer));
    let policy = again.then_some(&common.isakmp_policy);
    common.talk.send(out, env.now, named, bytes, policy);
}

/// What a negotiation leaves behind for the life of its bundle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Our SPIs, which a Delete payload names.
    pub(crate) inbound: Vec<(Protocol, Spi)>,
    /// Its life.
    pub(crate) seconds: u32,
    /// The peer's side of what it carries.
    pub(crate) remote: AddressSelector,
}

/// What was agreed on, ready to become keys.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) agreement: Agreement,
    pub(crate) spis: Vec<(Protocol, Spi)>,
    pub(crate) ni: Vec<u8>,
    pub(crate) nr: Vec<u8>,
    pub(crate) shared: Option<Secret>,
    pub(crate) selector: Selector,
    /// Source and destination that the peer sees on its packets, for transport mode.
    pub(crate) original: Option<(IpAddr, IpAddr)>,
}

impl Terms {
    /// RESPONDER-LIFETIME about the first of our inbound SAs (RFC 2407 §4.6.3.1).
    pub(crate) fn responder_lifetime(&self) -> Vec<u8> {
        let (protocol, spi) = self
            .spis
            .first()
            .map_or((3, Spi(0)), |(protocol, spi)| (protocol.doi_number(), *spi));
        Notify {
            protocol,
            kind: NotifyType::RESPONDER_LIFETIME,
            spi: &spi.to_bytes(),
            data: &Phase2::life_attributes(self.agreement.lifetime),
        }
        .to_bytes()
    }

    /// What is kept of it for the life of the bundle.
    pub(crate) fn kept(&self) -> Kept {
        let chosen = |protocol: Protocol| {
            let mut all = self.agreement.chosen.iter();
            all.any(|chosen| chosen.protocol == protocol)
        };
        let inbound = self.spis.iter().copied();
        let inbound = inbound.filter(|(protocol, _)| chosen(*protocol)).collect();
        Kept {
            inbound,
            seconds: self.agreement.lifetime.seconds,
            remote: self.selector.remote,
        }
    }

    /// What the data plane has to know of NAT.
    fn traversal(&self, sa: &IsakmpSa) -> Traversal {
        let nat = sa.watch.nat;
        if nat.encapsulates().is_none() {
            return Traversal::default();
        }
        Traversal {
            encap: Encap::NatT {
                local_port: sa.path.local.port(),
                peer_port: sa.path.peer.port(),
            },
            behind_nat: nat.found.is_here(),
            nat_oa: self.original,
        }
    }

    /// One direction's keys and everything else that its installation needs.
    pub(crate) fn negotiated(
        &self,
        sa: &IsakmpSa,
        env: &Env<'_>,
        role: Role,
        half: Half,
    ) -> Negotiated {
        let own = |protocol| {
            let found = self.spis.iter().find(|(other, _)| *other == protocol);
            found.map_or(Spi(0), |(_, spi)| *spi)
        };
        let chosen = &self.agreement.chosen;
        let sas = chosen.iter().map(|chosen| {
            let spi = match half {
                Half::Inbound => own(chosen.protocol),
                Half::Outbound => chosen.spi,
            };
            let (cipher, mac) = (chosen.spec.cipher(), chosen.spec.mac());
            let keymat = sa.session.skeyid.keymat(
                env.primitives,
                self.shared.as_ref().map(Secret::expose),
                chosen.protocol.doi_number(),
                spi.to_bytes(),
                (&self.ni, &self.nr),
                cipher.key_len() + mac.key_len(),
            );
            let (cipher_key, mac_key) = keymat.expose().split_at(cipher.key_len());
            SaKeys {
                protocol: chosen.protocol,
                spi,
                mode: chosen.spec.mode(),
                cipher,
                cipher_key: Secret::copy_of(cipher_key),
                mac,
                mac_key: Secret::copy_of(mac_key),
                spec: chosen.spec.number,
            }
        });
        Negotiated {
            sas: sas.collect(),
            lifetime: self.agreement.lifetime,
            role,
            local: sa.path.local.ip(),
            peer: sa.path.peer.ip(),
            selector: self.selector.clone(),
            isakmp_sa: sa.number,
            traversal: self.traversal(sa),
        }
    }
}

/// Identities as this side sees their ends, ours first: in transport mode packets come with the
/// addresses that a NAT gave them, whatever an end calls itself or is called by the other one.
pub(crate) fn as_seen(
    sa: &IsakmpSa,
    mode: Mode,
    [local, remote]: [&Identification; 2],
) -> [Identification; 2] {
    let found = sa.watch.nat.found;
    let seen = |translated: bool, id: &Identification, address: IpAddr| {
        let host = matches!(id.kind, 1 | 5) && mode == Mode::Transport && translated;
        let mut id = id.clone();
        if host {
            id.data = Identification::of_address(address).data;
        }
        id
    };
    [
        seen(found.is_here(), local, sa.path.local.ip()),
        seen(found.is_there(), remote, sa.path.peer.ip()),
    ]
}

/// The identities of both ends' selectors, ours first; none where they are exactly the two
/// gateways, which is what their absence means, unless the policy always wants them.
pub(crate) fn identities(
    selector: &Selector,
    local: IpAddr,
    peer: IpAddr,
    always: bool,
) -> Option<(Identification, Identification)> {
    use ipsec_core::model::AddressSelector as A;
    let plain = selector.protocol.is_none()
        && selector.local_port.is_none()
        && selector.remote_port.is_none();
    let gateways =
        selector.local.same_as(&A::host(local)) && selector.remote.same_as(&A::host(peer));
    if plain && gateways && !always {
        return None;
    }
    let protocol = selector.protocol.unwrap_or(0);
    let id = |address: &A, name: &Option<Name>, port: Option<u16>| match name {
        Some(name) => Identification::of_name(name.as_str()),
        None => Identification::of_selector(address, protocol, port.unwrap_or(0)),
    };
    Some((
        id(&selector.local, &selector.local_name, selector.local_port),
        id(
            &selector.remote,
            &selector.remote_name,
            selector.remote_port,
        ),
    ))
}
