//! What goes into the endpoint and what comes out of it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use hw_offload::{
    Entropy, KeyRing, Primitives, PublicFault, PublicJob, PublicValue, Secret, Ticket,
};
use ipsec_core::model::{Half, IpsecConfig, Name, Protocol, Role, Selector, Spi};
use ipsec_core::net::Net;
use ipsec_core::{BundleId, InstallFault, Instant, Negotiated, ReserveFault, Reserved};

use crate::config::IsakmpConfig;
use crate::pki::{CertificateFault, Chain};
use crate::reason::Reason;
use crate::trace::Trace;
use crate::wire::{Cookie, ExchangeType, NotifyType, PayloadType};
use crate::xauth::{XauthAnswer, XauthStep};

/// What the endpoint may look at while it works: time, randomness, computation, configuration.
pub struct Env<'a> {
    /// The time.
    pub now: Instant,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
    /// Hashes and small ciphers.
    pub primitives: &'a dyn Primitives,
    /// ISAKMP policies.
    pub config: &'a IsakmpConfig,
    /// IPsec policies and specifications.
    pub ipsec: &'a IpsecConfig,
    /// Interfaces and routes.
    pub net: &'a Net,
    /// Keys.
    pub keys: &'a KeyRing,
}

/// The two ends of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
}

/// A request for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// The policy's name.
    pub policy: Name,
    /// The peer.
    pub peer: IpAddr,
    /// Our address towards it.
    pub local: IpAddr,
    /// The bundle that is to have a successor, if it is for one.
    pub renews: Option<Renewal>,
}

/// A bundle that is to have a successor, with the peer that has it: others may share the peer's
/// address and the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The bundle.
    pub bundle: BundleId,
    /// What it carries, and its successor shall.
    pub selector: Selector,
}

/// Work for somebody else. The answer comes with the ticket, soon or late; it is never computed
/// on the spot.
#[derive(Debug)]
pub enum Ask {
    /// Compute.
    Public(PublicJob),
    /// Reserve a bundle and its SPIs.
    Reserve {
        /// The policy.
        policy: Name,
        /// Our end and the peer's.
        ends: (IpAddr, IpAddr),
        /// One SPI for each.
        protocols: Vec<Protocol>,
        /// Our part in the exchange.
        role: Role,
    },
    /// Install one direction.
    Install {
        /// The bundle.
        bundle: BundleId,
        /// The direction.
        half: Half,
        /// Keys and everything else.
        negotiated: Negotiated,
    },
    /// Find out whether a user is who it says.
    Xauth(XauthStep),
    /// When did authentic packets last come on any of these bundles?
    LastHeard(Vec<BundleId>),
    /// Find the addresses of a host.
    Resolve(Name),
    /// Find out whether a chain of certificates proves the peer's public key.
    Verify(Chain),
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// To `Public`.
    Public(Result<PublicValue, PublicFault>),
    /// To `Reserve`.
    Reserved(Result<Reserved, ReserveFault>),
    /// To `Install`.
    Installed(Result<(), InstallFault>),
    /// To `Xauth`.
    Xauth(XauthAnswer),
    /// To `LastHeard`: none if never.
    LastHeard(Option<Instant>),
    /// To `Resolve`: what was found, the best first.
    Resolved(Vec<IpAddr>),
    /// To `Verify`: the peer's RSA key, in the DER form of PKCS#1.
    Verified(Result<Vec<u8>, CertificateFault>),
}

/// What the endpoint wants done, in order.
#[derive(Debug)]
pub enum Action {
    /// Send a message.
    Send {
        /// From where to where.
        path: Path,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Do some work.
    Ask {
        /// The name of the answer.
        ticket: Ticket,
        /// The work.
        ask: Ask,
    },
    /// A bundle that will not be finished.
    Release(BundleId),
    /// No bundle could be made for the policy.
    Failed(Name),
    /// The peer deleted an SA that it receives on.
    DeleteSpi {
        /// The peer.
        peer: IpAddr,
        /// The protocol.
        protocol: Protocol,
        /// The peer's SPI.
        spi: Spi,
    },
    /// The peer is dead: so are these bundles.
    PeerLost(Vec<BundleId>),
    /// Send a keepalive, so that a NAT on the way keeps its entry.
    Keepalive(Path),
    /// A peer is elsewhere now.
    Moved {
        /// The way to it until now.
        from: Path,
        /// Where it is.
        to: SocketAddr,
    },
    /// The peer restarted and knows nothing of these bundles any more.
    PeerRestarted(Vec<BundleId>),
    /// Something to tell.
    Report(Report),
}

/// The phase that an exchange belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Main and Aggressive mode: an ISAKMP SA comes up.
    One,
    /// Transactions: its user is authenticated.
    OneAndHalf,
    /// Quick mode and what is said under an ISAKMP SA.
    Two,
}

impl PartialEq<u8> for Phase {
    fn eq(&self, other: &u8) -> bool {
        matches!((self, other), (Self::One, 1) | (Self::Two, 2))
    }
}

impl core::fmt::Display for Phase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::One => "1",
            Self::OneAndHalf => "1.5",
            Self::Two => "2",
        })
    }
}

/// How the loss of a peer was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostBy {
    /// R-U-THERE stayed without answer.
    Dpd,
    /// Heartbeats stayed away.
    Heartbeat,
    /// No traffic beyond the life of its ISAKMP SA.
    Idle,
}

/// What happened, for logs, ladders and diagnosis.
#[derive(Debug)]
pub enum Report {
    /// An exchange began.
    Started {
        /// Its number.
        exchange: u32,
        /// Its phase.
        phase: Phase,
        /// Who began it.
        role: Role,
        /// The peer.
        peer: IpAddr,
    },
    /// A message was sent or accepted.
    Message {
        /// The exchange's number.
        exchange: u32,
        /// Whether we sent it.
        sent: bool,
        /// The exchange's type.
        kind: ExchangeType,
        /// Its number in the exchange, from 1.
        message: u8,
        /// Its payloads.
        payloads: Vec<PayloadType>,
        /// Its length.
        length: usize,
        /// How often it was sent before.
        again: u16,
    },
    /// An exchange came to another state; only while [`IsakmpDebug::STATE`] is watched.
    ///
    /// [`IsakmpDebug::STATE`]: crate::debug::IsakmpDebug::STATE
    State {
        /// Its number.
        exchange: u32,
        /// Its type.
        kind: ExchangeType,
        /// The state's name.
        state: &'static str,
    },
    /// A step of the work; only while [`IsakmpDebug::TRACE`] or [`IsakmpDebug::TRACEMORE`] is
    /// watched.
    ///
    /// [`IsakmpDebug::TRACE`]: crate::debug::IsakmpDebug::TRACE
    /// [`IsakmpDebug::TRACEMORE`]: crate::debug::IsakmpDebug::TRACEMORE
    Trace {
        /// The exchange's number; 0 where there is none yet.
        exchange: u32,
        /// Its type.
        kind: ExchangeType,
        /// Our part in it.
        role: Role,
        /// The step.
        what: Trace,
    },
    /// A message that was sent or received, with its payloads in clear: those of a received one
    /// once it proved authentic, the attributes of a transaction as zeros. Only while
    /// [`IsakmpDebug::PACKET`] is watched.
    ///
    /// [`IsakmpDebug::PACKET`]: crate::debug::IsakmpDebug::PACKET
    Packet {
        /// Whether we sent it.
        sent: bool,
        /// Header and payloads.
        message: Vec<u8>,
    },
    /// A datagram as it is on the wire; only while [`IsakmpDebug::PKTRAW`] is watched.
    ///
    /// [`IsakmpDebug::PKTRAW`]: crate::debug::IsakmpDebug::PKTRAW
    Datagram {
        /// Whether we sent it.
        sent: bool,
        /// From where to where.
        path: Path,
        /// The message or its fragment.
        bytes: Vec<u8>,
    },
    /// An exchange ended well.
    Completed {
        /// Its number.
        exchange: u32,
        /// Its phase.
        phase: Phase,
    },
    /// An exchange ended without a result, or a peer's request was refused.
    Failed {
        /// Its number; 0 where a request was refused before there was an exchange.
        exchange: u32,
        /// The peer.
        peer: IpAddr,
        /// Why.
        reason: Reason,
    },
    /// Something is wrong with what the peer sends; the exchange goes on.
    Suspicious {
        /// Its number.
        exchange: u32,
        /// The peer.
        peer: IpAddr,
        /// What.
        reason: Reason,
    },
    /// A notification was received.
    Notified {
        /// The exchange's number; 0 outside one.
        exchange: u32,
        /// The peer.
        peer: IpAddr,
        /// The type.
        kind: NotifyType,
        /// Whether the peer was authenticated.
        authentic: bool,
    },
    /// An ISAKMP SA is gone.
    SaGone {
        /// Its number.
        sa: u16,
        /// The peer.
        peer: IpAddr,
        /// Whether the peer deleted it.
        by_peer: bool,
    },
    /// A peer gave no sign of life any more: all SAs with it go.
    PeerLost {
        /// The ISAKMP SA's number.
        sa: u32,
        /// The peer.
        peer: IpAddr,
        /// How that was noticed.
        by: LostBy,
    },
    /// A peer behind NAT appeared elsewhere.
    PeerMoved {
        /// The ISAKMP SA's number.
        sa: u32,
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// The phase 1 cipher key, for readers of captures. Its owner decides whether it leaves.
    Phase1Key {
        /// The initiator's cookie.
        initiator: Cookie,
        /// The cipher's key.
        key: Secret,
    },
}
