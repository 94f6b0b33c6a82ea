//! Authentication: the keys that phase 1 derives, our own proof of identity, and the check of the
//! peer's.
//!
//! With pre-shared keys a proof is a hash that only a holder of the key can make. With signatures
//! it is a signature over the same bytes, which takes a public-key job: [`Own::Asked`] and
//! [`Checking`] are the two waits.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hw_offload::{
    Digest, KeyKind, KeyNumber, PublicJob, PublicValue, RsaSeed, Secret, Ticket, ct_eq,
};
use ipsec_core::model::Role;

use super::key_half::Halves;
use super::{Common, Extensions, Incoming, Receipt, Trouble, expects, on_the_wire, unexpected};
use crate::admission;
use crate::ask::{Answer, Ask, Env, Path, Report};
use crate::debug::IsakmpDebug;
use crate::identity;
use crate::keys::{Cookies, Iv, Root};
use crate::negotiate::phase1::{AuthBase, Proof};
use crate::out::Out;
use crate::pki::{self, Certificate, Chain};
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::sa::Session;
use crate::trace::Trace;
use crate::wire::{
    ExchangeType, Identification, Notify, NotifyType, Payload, PayloadType, Payloads, Writer,
};

/// The secrets of an exchange whose g^xy is known.
#[derive(Debug)]
pub(crate) struct Keyed {
    pub(crate) session: Session,
    root: Root,
    pub(crate) halves: Halves,
}

impl Keyed {
    /// Derives everything from g^xy.
    pub(crate) fn derive(
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        halves: Halves,
        shared: &Secret,
    ) -> Result<Self, Subject> {
        let shared = Secret::new(on_the_wire(env, shared.expose()));
        let root = root(common, env, &halves, Some(&shared))?;
        let agreed = common.agreed;
        let skeyid = root.expand(env.primitives, shared.expose(), common.cookies);
        let key = skeyid.cipher_key(env.primitives, agreed.cipher);
        let (initiator, responder) = halves.ordered(common.role);
        let publics = (&initiator.public[..], &responder.public[..]);
        let iv = Iv::phase1(env.primitives, agreed.hash, agreed.cipher, publics);
        out.report(Report::Phase1Key {
            initiator: common.cookies.0,
            key: key.duplicate(),
        });
        let session = Session {
            agreed,
            skeyid,
            key,
            iv,
        };
        let keyed = Self {
            session,
            root,
            halves,
        };
        keyed.trace(common, env, out, &shared);
        Ok(keyed)
    }

    fn trace(&self, common: &Common, env: &Env<'_>, out: &mut Out<'_>, shared: &Secret) {
        let part = common.part();
        let (initiator, responder) = self.halves.ordered(common.role);
        let (both, more) = (IsakmpDebug::TRACES, IsakmpDebug::TRACEMORE);
        out.trace_secret(env, part, more, ("g^xy", shared.expose()));
        for value in [
            ("Ni", &initiator.nonce[..]),
            ("Nr", &responder.nonce),
            ("COOKIE_I", &common.cookies.0.0),
            ("COOKIE_R", &common.cookies.1.0),
        ] {
            out.trace_value(env, part, both, value);
        }
        if common.agreed.method.base == AuthBase::PreShared
            && let Some(key) = common
                .policy
                .key
                .and_then(|key| env.keys.get(KeyNumber(key)))
        {
            out.trace_secret(env, part, both, ("Key", key.value.expose()));
        }
        let Session {
            skeyid, key, iv, ..
        } = &self.session;
        for value in [
            ("SKEYID", self.root.as_bytes()),
            ("SKEYID_d", skeyid.d.as_bytes()),
            ("SKEYID_a", skeyid.a.as_bytes()),
            ("SKEYID_e", skeyid.e.as_bytes()),
        ] {
            out.trace_secret(env, part, more, value);
        }
        out.trace_secret(env, part, both, ("EncKey", key.expose()));
        out.trace_value(env, part, both, ("IV", iv.as_bytes()));
    }

    /// HASH_I or HASH_R.
    pub(crate) fn digest(
        &self,
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        of: Role,
        id: &Identification,
    ) -> Digest {
        digest(common, env, out, &self.root, &self.halves, of, id)
    }
}

/// SKEYID. A pre-shared key needs no g^xy for it.
pub(crate) fn root(
    common: &Common,
    env: &Env<'_>,
    halves: &Halves,
    shared: Option<&Secret>,
) -> Result<Root, Subject> {
    let hash = common.agreed.hash;
    let (initiator, responder) = halves.ordered(common.role);
    let nonces = (&initiator.nonce[..], &responder.nonce[..]);
    match common.agreed.method.base {
        AuthBase::PreShared => {
            let number = common.policy.key.ok_or(Subject::NoKey)?;
            let key = env.keys.get(KeyNumber(number)).ok_or(Subject::NoKey)?;
            let key = key.value.expose();
            Ok(Root::pre_shared(env.primitives, hash, key, nonces))
        }
        AuthBase::RsaSig | AuthBase::Hybrid => {
            let shared = shared.ok_or(Subject::Engine)?;
            let shared = shared.expose();
            Ok(Root::signatures(env.primitives, hash, nonces, shared))
        }
    }
}

/// HASH_I or HASH_R, by whose proof it is.
pub(crate) fn digest(
    common: &Common,
    env: &Env<'_>,
    out: &mut Out<'_>,
    root: &Root,
    halves: &Halves,
    of: Role,
    id: &Identification,
) -> Digest {
    let (initiator, responder) = halves.ordered(common.role);
    let (i, r) = common.cookies;
    let (name, publics, cookies) = match of {
        Role::Initiator => ("Hi", (&initiator.public, &responder.public), (i, r)),
        Role::Responder => ("Hr", (&responder.public, &initiator.public), (r, i)),
    };
    let publics = (&publics.0[..], &publics.1[..]);
    let proof = root.proof(
        env.primitives,
        publics,
        cookies,
        &common.sa_body,
        &id.to_bytes(),
    );
    let value = (name, proof.as_bytes());
    out.trace_secret(env, common.part(), IsakmpDebug::TRACEMORE, value);
    proof
}

/// Our own proof.
#[derive(Debug)]
pub(crate) enum Own {
    /// It is made.
    Made(Vec<u8>),
    /// The signature was asked for.
    Asked(Ticket),
}

impl Common {
    /// Begins our own proof over a hash.
    pub(crate) fn prove(
        &self,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        digest: &Digest,
    ) -> Result<Own, Subject> {
        match self.agreed.method.proof(self.role) {
            Proof::Hash => Ok(Own::Made(digest.as_bytes().to_vec())),
            Proof::Signature => {
                let number = self.policy.local_rsa_key(env.config);
                let key = number.and_then(|number| env.keys.get(number));
                let key = key
                    .filter(|key| key.kind == KeyKind::Rsa)
                    .ok_or(Subject::NoKey)?;
                let (key, digest) = (key.value.duplicate(), digest.as_bytes().to_vec());
                let seed = RsaSeed::draw(env.entropy).map_err(|_| Subject::Entropy)?;
                Ok(Own::Asked(out.ask(|ticket| {
                    Ask::Public(PublicJob::RsaSign {
                        ticket,
                        key,
                        digest,
                        seed,
                    })
                })))
            }
        }
    }

    /// Appends our identity and what stands for it, with our certificate for a peer that asked for
    /// it or that works with certificates, because we do.
    pub(crate) fn push_proof(
        &self,
        writer: &mut Writer,
        env: &Env<'_>,
        id: Option<&Identification>,
        proof: &[u8],
    ) {
        if let Some(id) = id {
            writer.push(PayloadType::ID, &id.to_bytes());
        }
        let wanted = self.certificate_asked || self.policy.key.is_none();
        if let Some(own) = self.certificate(env).filter(|_| wanted) {
            env.config.pki.push_chain(writer, own);
        }
        let kind = match self.agreed.method.proof(self.role) {
            Proof::Hash => PayloadType::HASH,
            Proof::Signature => PayloadType::SIG,
        };
        writer.push(kind, proof);
    }

    /// Whether a side proves itself with a signature.
    pub(crate) fn signs(&self, side: Role) -> bool {
        self.agreed.method.proof(side) == Proof::Signature
    }

    /// Our own certificate, if we sign and have one.
    pub(crate) fn certificate<'a>(&self, env: &'a Env<'_>) -> Option<&'a Certificate> {
        let key = self.policy.local_rsa_key(env.config)?;
        env.config.pki.own(key).filter(|_| self.signs(self.role))
    }

    /// Appends the request for the peer's certificate where only that can prove its signature.
    pub(crate) fn push_requests(&self, writer: &mut Writer, env: &Env<'_>) {
        if self.policy.key.is_none() && self.signs(self.role.other()) {
            env.config.pki.push_requests(writer);
        }
    }

    /// Appends INITIAL-CONTACT where the policy and the past want it.
    pub(crate) fn push_contact(&self, writer: &mut Writer) {
        if self.policy.notifies() && self.first_contact {
            let (initiator, responder) = self.cookies;
            let contact = Notify::initial_contact(initiator, responder);
            writer.push(PayloadType::N, &contact);
        }
    }
}

/// What a peer says of itself, believed only once it is checked.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) identity: Identification,
    proof: Vec<u8>,
    /// The peer's certificates, its own first.
    certificates: Vec<Vec<u8>>,
    /// Whether the peer asks for ours.
    pub(crate) asks_certificate: bool,
    pub(crate) initial_contact: bool,
    pub(crate) receipt: Receipt,
    /// The IV that follows the message, where it was enciphered.
    pub(crate) iv: Option<Iv>,
    /// With what the message says of NAT.
    pub(crate) extensions: Extensions,
}

impl Claim {
    /// Reads identity and proof from admitted payloads; in the last message of Aggressive mode the
    /// identity is that of the first. With `noise` for what does not even look like a proof.
    fn read(
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        payloads: &Payloads<'_>,
        known: Option<&Identification>,
        receipt: Receipt,
        iv: Option<Iv>,
    ) -> Result<Self, Subject> {
        let identity = match (known, payloads.first(PayloadType::ID)) {
            (Some(known), _) => known.clone(),
            (None, Some(id)) => Identification::parse(id.body).map_err(|_| Subject::Malformed)?,
            (None, None) => return Err(Subject::Payloads),
        };
        let kind = match common.agreed.method.proof(common.role.other()) {
            Proof::Hash => PayloadType::HASH,
            Proof::Signature => PayloadType::SIG,
        };
        let proof = payloads.first(kind).ok_or(Subject::Payloads)?.body.to_vec();
        let notified = notified(payloads, common.cookies)?;
        let initial_contact = notified.contains(&NotifyType::INITIAL_CONTACT);
        let claim = Self {
            identity,
            proof,
            certificates: certificates(payloads)?,
            asks_certificate: asks_certificate(payloads),
            initial_contact,
            receipt,
            iv,
            extensions: common.extensions,
        };
        claim.trace(common, env, out, &notified);
        Ok(claim)
    }

    /// Tells who the peer says it is, and what it notifies.
    fn trace(&self, common: &Common, env: &Env<'_>, out: &mut Out<'_>, notified: &[NotifyType]) {
        for kind in notified {
            let what = || Trace::Notified(*kind);
            out.trace(env, common.part(), IsakmpDebug::TRACE, what);
        }
        let what = || Trace::RemoteId(self.identity.clone());
        out.trace(env, common.part(), IsakmpDebug::TRACES, what);
    }

    /// NAT is discovered with the last messages of Aggressive mode; Main mode has done it before.
    fn discover(&mut self, common: &Common, env: &Env<'_>, path: Path, payloads: &Payloads<'_>) {
        if common.kind == ExchangeType::Aggressive {
            let (hash, cookies) = (common.agreed.hash, common.cookies);
            self.extensions
                .discover(env.primitives, hash, cookies, path, payloads);
        }
    }

    /// From a message in clear.
    pub(crate) fn clear(
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        message: u8,
        known: Option<&Identification>,
        incoming: Incoming<'_>,
    ) -> Result<Self, Trouble> {
        let ignored = |subject| common.ignored(message, subject);
        let payloads = Payloads::parse(incoming.header.next, incoming.body)
            .map_err(|_| ignored(Subject::Malformed))?;
        let encrypted = incoming.header.flags.encrypted();
        let proof = Some(common.agreed.method.proof(common.role.other()));
        if !admission::admits_proof(common.kind, message, encrypted, proof, &payloads) {
            return Err(ignored(Subject::Payloads));
        }
        let path = incoming.path;
        let receipt = incoming.receipt(&payloads);
        let mut claim =
            Self::read(common, env, out, &payloads, known, receipt, None).map_err(ignored)?;
        claim.discover(common, env, path, &payloads);
        Ok(claim)
    }

    /// From an enciphered message. With another key everything behind the header is noise: most
    /// often that is why nothing can be read.
    pub(crate) fn sealed(
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        session: &Session,
        message: u8,
        known: Option<&Identification>,
        incoming: Incoming<'_>,
    ) -> Result<Self, Trouble> {
        if !incoming.header.flags.encrypted() {
            return Err(common.ignored(message, Subject::Payloads));
        }
        let opened = session.iv.open(
            env.primitives,
            session.agreed.cipher,
            &session.key,
            incoming.body,
        );
        let (plain, iv) = opened.ok_or(common.ignored(message, Subject::Malformed))?;
        let noise = common.unproven();
        let payloads = Payloads::parse(incoming.header.next, &plain)
            .map_err(|_| common.ignored(message, noise))?;
        let proof = Some(common.agreed.method.proof(common.role.other()));
        if !admission::admits_proof(common.kind, message, true, proof, &payloads) {
            return Err(common.ignored(message, noise));
        }
        out.watch_received(env, incoming.header, &plain);
        let path = incoming.path;
        let receipt = incoming.receipt(&payloads);
        let mut claim = Self::read(common, env, out, &payloads, known, receipt, Some(iv))
            .map_err(|subject| common.ignored(message, subject))?;
        claim.discover(common, env, path, &payloads);
        Ok(claim)
    }
}

/// The notifications beside a proof. The proof does not cover them: a message in which one does
/// not fit this exchange was changed on its way, and accepting it would lead the IV chain astray.
fn notified(
    payloads: &Payloads<'_>,
    (initiator, responder): Cookies,
) -> Result<Vec<NotifyType>, Subject> {
    let own = [initiator.0, responder.0].concat();
    payloads
        .of(PayloadType::N)
        .map(|raw| match Payload::parse(raw) {
            Ok(Payload::Notify(Notify { kind, spi, .. }))
                if spi == own || kind != NotifyType::INITIAL_CONTACT && spi.len() != own.len() =>
            {
                Ok(kind)
            }
            _ => Err(Subject::Malformed),
        })
        .collect()
}

/// The X.509 certificates of a message; those in other encodings are passed over.
fn certificates(payloads: &Payloads<'_>) -> Result<Vec<Vec<u8>>, Subject> {
    let mut found = Vec::new();
    for raw in payloads.of(PayloadType::CERT) {
        let Ok(Payload::Certificate(encoding, der)) = Payload::parse(raw) else {
            return Err(Subject::Malformed);
        };
        if encoding != pki::X509_SIGNATURE {
            continue;
        }
        if found.len() == pki::LONGEST_CHAIN {
            return Err(Subject::ChainTooLong);
        }
        if der.len() > pki::LONGEST_CERTIFICATE {
            return Err(Subject::BadCertificate);
        }
        found.push(der.to_vec());
    }
    Ok(found)
}

/// Whether the sender of a message asks for a certificate that we could have. Which authorities
/// it names does not matter: with one certificate for a key there is no other to send.
pub(crate) fn asks_certificate(payloads: &Payloads<'_>) -> bool {
    payloads.of(PayloadType::CR).any(|raw| {
        matches!(
            Payload::parse(raw),
            Ok(Payload::CertificateRequest(pki::X509_SIGNATURE, _))
        )
    })
}

/// What a check came to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is returned"
)]
pub(crate) enum Check {
    /// The peer is who it says, and who the policy expects.
    Authentic(Claim),
    /// The signature is being verified.
    Asked(Box<Checking>),
}

/// A signature that is being verified. It moves nothing else until it proves right.
#[derive(Debug)]
pub(crate) struct Checking {
    claim: Claim,
    ticket: Ticket,
    stage: Stage,
}

/// How far the check of a signature is.
#[derive(Debug)]
enum Stage {
    /// The certificates are being checked; their key will be that of a signature over the hash.
    Certificates(Digest),
    /// The signature is being checked.
    Signature,
}

impl Checking {
    pub(crate) fn waits_for(&self, ticket: Ticket) -> bool {
        self.ticket == ticket
    }

    /// The end of one step of the verification.
    pub(crate) fn answer(
        self,
        common: &Common,
        env: &Env<'_>,
        out: &mut Out<'_>,
        message: u8,
        answer: Answer,
    ) -> Result<Check, Trouble> {
        match (self.stage, answer) {
            (Stage::Certificates(digest), Answer::Verified(Ok(key))) => {
                Ok(check_signature(out, self.claim, key, &digest))
            }
            (Stage::Certificates(_), Answer::Verified(Err(fault))) => {
                let claimed = Value::text(identity::told(&self.claim.identity));
                let mismatch = Mismatch::new("LOCALID", Value::Unsaid, claimed);
                let reason = Reason::new(common.kind, message, fault.subject(), Whose::Theirs);
                Err(Trouble::Ignored(reason.with(Some(mismatch))))
            }
            (Stage::Signature, Answer::Public(Ok(PublicValue::Verified))) => {
                let claim = common.expected(env, message, self.claim)?;
                Ok(Check::Authentic(claim))
            }
            (
                Stage::Signature,
                Answer::Public(Err(
                    hw_offload::PublicFault::BadSignature | hw_offload::PublicFault::BadKey,
                )),
            ) => Err(common.ignored(message, Subject::Signature)),
            (_, answer) => Err(common.failed(&answer)),
        }
    }
}

/// Asks for the check of a signature.
fn check_signature(out: &mut Out<'_>, claim: Claim, key: Vec<u8>, digest: &Digest) -> Check {
    let (digest, signature) = (digest.as_bytes().to_vec(), claim.proof.clone());
    let ticket = out.ask(|ticket| {
        Ask::Public(PublicJob::RsaVerify {
            ticket,
            key,
            digest,
            signature,
        })
    });
    Check::Asked(Box::new(Checking {
        claim,
        ticket,
        stage: Stage::Signature,
    }))
}

impl Common {
    /// Checks a proof that is a hash.
    pub(crate) fn check_hash(
        &self,
        env: &Env<'_>,
        message: u8,
        claim: Claim,
        digest: &Digest,
    ) -> Result<Claim, Trouble> {
        if !ct_eq(&claim.proof, digest.as_bytes()) {
            return Err(self.ignored(message, self.unproven()));
        }
        self.expected(env, message, claim)
    }

    /// Checks the peer's proof over a hash.
    pub(crate) fn check(
        &self,
        env: &Env<'_>,
        out: &mut Out<'_>,
        message: u8,
        claim: Claim,
        digest: &Digest,
    ) -> Result<Check, Trouble> {
        match self.agreed.method.proof(self.role.other()) {
            Proof::Hash => {
                let claim = self.check_hash(env, message, claim, digest)?;
                Ok(Check::Authentic(claim))
            }
            Proof::Signature => self.check_signed(env, out, message, claim, digest),
        }
    }

    /// Checks a signature with the key that KEY names, else with that of the peer's certificate.
    fn check_signed(
        &self,
        env: &Env<'_>,
        out: &mut Out<'_>,
        message: u8,
        mut claim: Claim,
        digest: &Digest,
    ) -> Result<Check, Trouble> {
        if let Some(number) = self.policy.key {
            let key = env.keys.get(KeyNumber(number));
            let key = key.filter(|key| key.kind == KeyKind::RsaPublic);
            let key = key.ok_or(self.fatal(message, Subject::NoKey))?;
            return Ok(check_signature(
                out,
                claim,
                key.value.expose().to_vec(),
                digest,
            ));
        }
        let certificates = core::mem::take(&mut claim.certificates);
        if certificates.is_empty() {
            return Err(self.ignored(message, Subject::NoCertificate));
        }
        let chain = Chain {
            peer: self.talk.path.peer.ip(),
            policy: self.policy.name.clone(),
            identity: claim.identity.clone(),
            certificates,
        };
        let ticket = out.ask(|_| Ask::Verify(chain));
        Ok(Check::Asked(Box::new(Checking {
            claim,
            ticket,
            stage: Stage::Certificates(digest.clone()),
        })))
    }

    /// A proven identity must be the expected one. Where none is configured it is anybody's but
    /// our own: that comes from a mirror.
    fn expected(&self, env: &Env<'_>, message: u8, claim: Claim) -> Result<Claim, Trouble> {
        let path = self.talk.path;
        if self.policy.remote_id.is_none() && claim.identity.same_as(&self.own_id(env)) {
            return Err(self.fatal(message, Subject::Reflected));
        }
        if expects(&self.policy, path, &claim.identity) {
            Ok(claim)
        } else {
            let mismatch = unexpected(&self.policy, path, &claim.identity);
            let reason = Reason::new(self.kind, message, Subject::Identity, Whose::Ours);
            Err(Trouble::Fatal(reason.with(Some(mismatch))))
        }
    }

    /// Why a proof most likely is wrong.
    const fn unproven(&self) -> Subject {
        match self.agreed.method.base {
            AuthBase::PreShared => Subject::PreSharedKey,
            AuthBase::RsaSig | AuthBase::Hybrid => Subject::Hash,
        }
    }
}
