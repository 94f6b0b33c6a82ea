//! An ISAKMP SA: keys, limits, and what it needs for the exchanges under it.

use alloc::vec::Vec;
use core::time::Duration;

use hw_offload::{Digest, Entropy, Primitives, Secret};
use ipsec_core::model::{Lifetime, Name, Role};
use ipsec_core::{Id, Instant};

use crate::ask::Path;
use crate::config::IsakmpPolicyConfig;
use crate::conversation::Conversation;
use crate::dpd::Dpd;
use crate::heartbeat::Heartbeat;
use crate::keys::{Cookies, Iv, Skeyid};
use crate::natt::NatState;
use crate::negotiate::phase1::Phase1;
use crate::reason::Subject;
use crate::rekey::Extension;
use crate::timed::Due;
use crate::transaction::XauthView;
use crate::vendor::PeerFeatures;
use crate::wire::{
    ExchangeType, Flags, Header, Identification, MessageId, PayloadType, Payloads, Writer,
};

/// Replies that are kept for the peer's retransmissions.
const REPLIES: usize = 8;
/// How long after a failed renewal the next one starts.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// Message ids of both sides that are remembered. An SA that has used so many takes no other
/// exchange: an IV must not come twice.
const USED_IDS: usize = 1024;
/// When so many are used, the initiator asks for a successor; the responder later, so that not both
/// do.
const RENEW_AT_IDS: [usize; 2] = [USED_IDS / 4 * 3, USED_IDS / 8 * 7];

/// An ISAKMP SA by slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsakmpSaId(pub Id);

/// The secrets of phase 1.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) agreed: Phase1,
    pub(crate) skeyid: Skeyid,
    pub(crate) key: Secret,
    pub(crate) iv: Iv,
}

impl Session {
    /// Enciphers payloads under a header and moves the IV on.
    pub(crate) fn seal(
        &self,
        primitives: &dyn Primitives,
        iv: &mut Iv,
        header: Header,
        writer: &Writer,
    ) -> Vec<u8> {
        let sealed = iv.seal(primitives, self.agreed.cipher, &self.key, writer.bytes());
        let header = Header {
            next: writer.first(),
            flags: header.flags.with(Flags::ENCRYPTED),
            ..header
        };
        let mut message = header.to_bytes(crate::wire::HEADER + sealed.len()).to_vec();
        message.extend_from_slice(&sealed);
        message
    }
}

/// Whose SAs and bundles belong together: those of one identity. An inner address that many sites
/// use behind their NAT is an identity only together with where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerKey(Vec<u8>);

impl PeerKey {
    pub(crate) fn new(identity: &Identification, path: Path) -> Self {
        let mut key = alloc::vec![identity.kind];
        key.extend_from_slice(&identity.data);
        let seen = Identification::of_address(path.peer.ip());
        if matches!(identity.kind, 1 | 5) && !identity.same_as(&seen) {
            key.extend_from_slice(&seen.data);
            key.extend_from_slice(&path.peer.port().to_be_bytes());
        }
        Self(key)
    }

    /// Whose an SA is before its user is authenticated: nobody's that has anything else. A secret
    /// that many share proves who belongs to them, and not who of them it is.
    pub(crate) fn unproven(number: u32) -> Self {
        Self([&[0][..], &number.to_be_bytes()].concat())
    }

    /// Of a user who came with that identity: many may share it.
    pub(crate) fn of_user(mut self, user: &[u8]) -> Self {
        self.0.push(0);
        self.0.extend_from_slice(user);
        self
    }
}

/// What the extensions that phase 1 agreed on keep for an ISAKMP SA.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What both sides speak.
    pub features: PeerFeatures,
    /// NAT traversal.
    pub nat: NatState,
    /// Dead peer detection.
    pub dpd: Dpd,
    /// The ISAKMP heartbeat.
    pub heartbeat: Heartbeat,
    /// The responder's rekey extension.
    pub(crate) extension: Extension,
    /// When a NAT in front of us is next to be reminded of the peer.
    pub(crate) keepalive_at: Option<Instant>,
}

/// The states of an ISAKMP SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsakmpSaState {
    /// In use.
    Active,
    /// Beyond its hard limit.
    Expired,
    /// Extended authentication is not over.
    DoingXauth,
}

impl IsakmpSaState {
    /// The word of the screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::DoingXauth => "DOING_XAUTH",
        }
    }
}

/// The last message of a finished exchange: it answers one message, whenever that comes again.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The exchange's number.
    pub(crate) number: u32,
    /// The exchange's type.
    pub(crate) kind: ExchangeType,
    /// Which part of the exchange was ours.
    pub(crate) role: Role,
    /// The exchange's message id.
    pub(crate) message_id: MessageId,
    /// What it answers.
    pub(crate) to: Digest,
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// How long it is kept.
    pub(crate) until: Instant,
}

/// An ISAKMP SA.
#[derive(Debug)]
pub struct IsakmpSa {
    pub(crate) session: Session,
    /// Both cookies.
    pub cookies: Cookies,
    /// Who began phase 1.
    pub role: Role,
    /// The ends.
    pub path: Path,
    /// The policy as it was.
    pub policy: IsakmpPolicyConfig,
    /// The peer's authenticated identity.
    pub identity: Identification,
    /// The user whom extended authentication accepted.
    pub user: Option<Vec<u8>>,
    /// How far extended authentication is.
    pub xauth: XauthView,
    /// What the extensions of phase 1 keep.
    pub watch: Watch,
    /// When it was established.
    pub since: Instant,
    /// Hard limit.
    pub lifetime: Lifetime,
    /// Soft limit in seconds.
    pub soft_seconds: u32,
    /// Bytes of enciphered messages, sent and accepted.
    pub bytes: u64,
    /// Phase 2 exchanges begun under it.
    pub exchanges: u32,
    owner: PeerKey,
    /// Whether a quick mode under it was never answered: the peer may have lost it.
    pub(crate) doubtful: bool,
    /// Whether a successor has been asked for.
    pub(crate) renewing: bool,
    /// When a successor is asked for.
    renew_at: Instant,
    /// Whether a successor is there: no new exchanges.
    pub(crate) replaced: bool,
    /// Whether its bytes are used up and a quick mode that began before may still end.
    finishing: bool,
    /// The hash of its cookies: the number under which bundles know it.
    pub number: u32,
    /// Whether it has been told that somebody sends what is not authentic.
    pub(crate) suspected: bool,
    /// Whether the peer has said under it that it knows nothing from before.
    pub(crate) contacted: bool,
    /// What the peer had until then is gone, as it says, once its user is authenticated.
    pub(crate) forgets: Option<Instant>,
    replies: Vec<Reply>,
    used: Vec<MessageId>,
}

impl Due for IsakmpSa {
    fn due(&self) -> Option<Instant> {
        let liveness = self.liveness_due();
        if self.watch.extension.is_checking() {
            // Whether it goes on living is being found out.
            return liveness;
        }
        if self.is_over(self.since) {
            return Some(self.since);
        }
        let hard = self.hard_at();
        let renewed = self.renewing || self.replaced || self.is_used_up();
        let own = if renewed {
            hard
        } else {
            self.renew_at.min(hard)
        };
        liveness.into_iter().chain([own]).min()
    }
}

impl IsakmpSa {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one field and comes from elsewhere"
    )]
    pub(crate) fn new(
        session: Session,
        cookies: Cookies,
        role: Role,
        path: Path,
        policy: IsakmpPolicyConfig,
        (identity, owner): (Identification, PeerKey),
        number: u32,
        (since, soft_seconds): (Instant, u32),
        watch: Watch,
    ) -> Self {
        let lifetime = session.agreed.life;
        let renew_at = since + Duration::from_secs(soft_seconds.into());
        Self {
            session,
            cookies,
            role,
            path,
            policy,
            identity,
            user: None,
            xauth: XauthView::default(),
            watch,
            since,
            lifetime,
            soft_seconds,
            bytes: 0,
            exchanges: 0,
            owner,
            doubtful: false,
            renewing: false,
            renew_at,
            replaced: false,
            finishing: false,
            number,
            suspected: false,
            contacted: false,
            forgets: None,
            replies: Vec::new(),
            used: Vec::new(),
        }
    }

    /// What phase 1 agreed on.
    #[must_use]
    pub const fn agreed(&self) -> Phase1 {
        self.session.agreed
    }

    /// The policy's name.
    #[must_use]
    pub const fn policy_name(&self) -> &Name {
        &self.policy.name
    }

    /// Its state.
    #[must_use]
    pub fn state(&self, now: Instant) -> IsakmpSaState {
        if !self.xauth.finished {
            IsakmpSaState::DoingXauth
        } else if self.hard_at() <= now || self.is_used_up() {
            IsakmpSaState::Expired
        } else {
            IsakmpSaState::Active
        }
    }

    /// When it is deleted, unless traffic extends its life.
    #[must_use]
    pub fn hard_at(&self) -> Instant {
        let own = self.since + self.lifetime.hard();
        self.watch.extension.until().unwrap_or(own)
    }

    /// Whether a successor is to be asked for.
    pub(crate) fn wants_successor(&self, now: Instant) -> bool {
        !self.renewing && !self.replaced && !self.is_used_up() && self.renew_at <= now
    }

    /// When its peer is next asked, told or given up. One that is replaced leaves that to its
    /// successor.
    pub(crate) fn liveness_due(&self) -> Option<Instant> {
        let watch = &self.watch;
        let due = [
            watch.dpd.deadline(),
            watch.heartbeat.deadline(),
            watch.keepalive_at,
        ];
        due.into_iter().flatten().min().filter(|_| !self.replaced)
    }

    /// The negotiation of a successor failed: another is tried in a while.
    pub(crate) fn renew_later(&mut self, now: Instant) {
        self.renewing = false;
        self.renew_at = now + RENEW_AGAIN;
    }

    /// It turned out whose it is.
    pub(crate) fn belongs_to(&mut self, owner: PeerKey) {
        self.owner = owner;
    }

    /// Whose it is.
    pub(crate) fn peer_key(&self) -> PeerKey {
        self.owner.clone()
    }

    /// Bytes after which a successor is asked for.
    #[must_use]
    pub fn soft_bytes(&self) -> Option<u64> {
        self.lifetime.soft_bytes(self.role)
    }

    /// An enciphered message was sent or accepted. At the soft limit a successor is asked for, at
    /// the hard one the SA is due for deletion.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.soft_bytes().is_some_and(|limit| self.bytes >= limit) {
            self.renew_now();
        }
    }

    /// A phase 2 exchange begins. At the policy's limit a successor is asked for.
    pub(crate) fn begin_exchange(&mut self) {
        self.exchanges = self.exchanges.saturating_add(1);
        if self.exchanges >= self.policy.phase2_limit().number() {
            self.renew_now();
        }
    }

    /// Whether another quick mode may begin under it.
    pub(crate) fn takes_quick(&self) -> bool {
        let limit = self.policy.phase2_limit().number();
        let takes_new = !self.replaced && !self.doubtful && self.xauth.finished;
        takes_new && !self.is_used_up() && !self.is_spent() && self.exchanges < limit
    }

    /// The same for a quick mode that the peer begins: it may not know of our doubts, nor of a
    /// successor.
    pub(crate) fn takes_quick_of_peer(&self) -> bool {
        let limit = self.policy.phase2_limit().number();
        !self.is_used_up() && !self.is_spent() && self.exchanges < limit
    }

    fn renew_now(&mut self) {
        if !self.renewing {
            self.renew_at = self.renew_at.min(self.since);
        }
    }

    /// Whether it is to be deleted.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.hard_at() <= now || self.is_used_up() && !self.finishing
    }

    /// Whether its bytes have reached the hard limit: nothing begins under it any more.
    fn is_used_up(&self) -> bool {
        let limit = self.lifetime.hard_bytes();
        limit.is_some_and(|limit| self.bytes >= limit)
    }

    /// A quick mode is under way: if only the bytes are used up, which the peer may count
    /// otherwise, it may end. True if the SA stays that long.
    pub(crate) fn lets_finish(&mut self, now: Instant) -> bool {
        self.finishing = self.hard_at() > now;
        self.finishing
    }

    /// A quick mode has ended.
    pub(crate) const fn quick_ended(&mut self) {
        self.finishing = false;
    }

    /// The conversation of an exchange under this SA.
    pub(crate) const fn conversation(&self, number: u32, kind: ExchangeType) -> Conversation {
        let mut talk = Conversation::new(number, kind, self.path);
        talk.fragments = self.watch.features.fragments;
        talk
    }

    /// The header of a message of an exchange under this SA.
    pub(crate) const fn header(&self, exchange: ExchangeType, message_id: MessageId) -> Header {
        Header {
            initiator: self.cookies.0,
            responder: self.cookies.1,
            next: PayloadType::NONE,
            exchange,
            flags: Flags::ENCRYPTED,
            message_id,
        }
    }

    /// The IV of a new exchange.
    pub(crate) fn iv(&self, primitives: &dyn Primitives, message_id: MessageId) -> Iv {
        let Session { agreed, iv, .. } = &self.session;
        iv.later(primitives, agreed.hash, agreed.cipher, message_id)
    }

    /// Deciphers the payloads of a message with an IV.
    pub(crate) fn open(
        &self,
        primitives: &dyn Primitives,
        iv: &Iv,
        body: &[u8],
    ) -> Option<(Vec<u8>, Iv)> {
        iv.open(
            primitives,
            self.session.agreed.cipher,
            &self.session.key,
            body,
        )
    }

    /// Whether the first payload is the HASH of message id, `prefix` and all that follows.
    pub(crate) fn authentic(
        &self,
        primitives: &dyn Primitives,
        message_id: MessageId,
        prefix: &[&[u8]],
        payloads: &Payloads<'_>,
    ) -> bool {
        let Some(hash) = payloads
            .all()
            .first()
            .filter(|raw| raw.kind == PayloadType::HASH)
        else {
            return false;
        };
        let id = message_id.to_bytes();
        let mut parts: Vec<&[u8]> = alloc::vec![&id];
        parts.extend_from_slice(prefix);
        parts.push(payloads.after_first());
        let expected = self.session.skeyid.authenticate(primitives, &parts);
        hw_offload::ct_eq(hash.body, expected.as_bytes())
    }

    /// A message whose first payload is the HASH of message id, `prefix` and the payloads.
    pub(crate) fn hashed(
        &self,
        primitives: &dyn Primitives,
        message_id: MessageId,
        prefix: &[&[u8]],
        payloads: &[(PayloadType, Vec<u8>)],
    ) -> Writer {
        let mut covered = Writer::new();
        payloads.iter().for_each(|(kind, body)| {
            covered.push(*kind, body);
        });
        let id = message_id.to_bytes();
        let mut parts: Vec<&[u8]> = alloc::vec![&id];
        parts.extend_from_slice(prefix);
        parts.push(covered.bytes());
        let hash = self.session.skeyid.authenticate(primitives, &parts);
        let mut writer = Writer::new();
        writer.push(PayloadType::HASH, hash.as_bytes());
        payloads.iter().for_each(|(kind, body)| {
            writer.push(*kind, body);
        });
        writer
    }

    /// Keeps the last message of a finished exchange until nobody will ask for it again.
    pub(crate) fn keep_reply(&mut self, reply: Reply, now: Instant) {
        self.replies.retain(|reply| reply.until > now);
        if self.replies.len() >= REPLIES {
            self.replies.remove(0);
        }
        self.replies.push(reply);
    }

    /// Nobody who asks for the last message of an exchange gets it any more.
    pub(crate) fn forget_reply(&mut self, exchange: u32) {
        self.replies.retain(|reply| reply.number != exchange);
    }

    /// The last messages that are kept.
    pub(crate) fn kept(&self, now: Instant) -> impl Iterator<Item = &Reply> {
        self.replies.iter().filter(move |reply| reply.until > now)
    }

    /// The datagrams of message 3 of Aggressive mode, where it was ours.
    pub(crate) fn last_of_aggressive_mode(&self, now: Instant) -> Vec<Vec<u8>> {
        let of = (ExchangeType::Aggressive, Role::Initiator);
        let mut kept = self.kept(now);
        let last = kept.find(|reply| (reply.kind, reply.role) == of);
        last.map_or_else(Vec::new, |reply| reply.datagrams.clone())
    }

    /// The reply to a message that was answered before.
    pub(crate) fn reply_to(&self, message: &Digest, now: Instant) -> Option<&Reply> {
        self.kept(now).find(|reply| reply.to == *message)
    }

    /// Whether a message id was used before, which no honest peer does again.
    pub(crate) fn is_used(&self, id: MessageId) -> bool {
        self.used.contains(&id)
    }

    /// A random message id that was not used under this SA, remembered from here on.
    pub(crate) fn new_message_id(
        &mut self,
        entropy: &mut dyn Entropy,
    ) -> Result<MessageId, Subject> {
        if self.is_spent() {
            return Err(Subject::Full);
        }
        // A collision is rare; many in a row mean a broken source.
        for _ in 0..16 {
            let mut bytes = [0; 4];
            entropy.fill(&mut bytes).map_err(|_| Subject::Entropy)?;
            let message_id = MessageId(u32::from_be_bytes(bytes));
            if message_id.0 != 0 && !self.is_used(message_id) {
                self.remember(message_id);
                return Ok(message_id);
            }
        }
        Err(Subject::Entropy)
    }

    /// Whether it takes no other exchange: too many ids are used to remember one more.
    pub(crate) const fn is_spent(&self) -> bool {
        self.used.len() >= USED_IDS
    }

    /// Remembers the message id of an exchange that [`IsakmpSa::is_spent`] lets begin.
    pub(crate) fn remember(&mut self, id: MessageId) {
        if !self.is_spent() {
            self.used.push(id);
        }
        let [initiator, responder] = RENEW_AT_IDS;
        let limit = match self.role {
            Role::Initiator => initiator,
            Role::Responder => responder,
        };
        if self.used.len() >= limit {
            self.renew_now();
        }
    }
}
