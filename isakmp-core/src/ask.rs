//! What goes into the endpoint and what comes out of it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use hw_offload::{
    Entropy, KeyRing, Primitives, PublicFault, PublicJob, PublicValue, Secret, Ticket,
};
use ipsec_core::model::{Half, IpsecConfig, Name, Protocol, Role, Spi};
use ipsec_core::net::Net;
use ipsec_core::{BundleId, InstallFault, Instant, Negotiated, ReserveFault, Reserved};

use crate::config::IsakmpConfig;
use crate::reason::Reason;
use crate::wire::{Cookie, ExchangeType, NotifyType, PayloadType};

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
        /// One SPI for each.
        protocols: Vec<Protocol>,
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
    /// Find the addresses of a host.
    Resolve(Name),
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
    /// To `Resolve`: what was found, the best first.
    Resolved(Vec<IpAddr>),
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
    /// The peer restarted and knows nothing of these bundles any more.
    PeerRestarted(Vec<BundleId>),
    /// Something to tell.
    Report(Report),
}

/// What happened, for logs, ladders and diagnosis.
#[derive(Debug)]
pub enum Report {
    /// An exchange began.
    Started {
        /// Its number.
        exchange: u32,
        /// 1 or 2.
        phase: u8,
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
    /// An exchange ended well.
    Completed {
        /// Its number.
        exchange: u32,
        /// 1 or 2.
        phase: u8,
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
    /// The phase 1 cipher key, for readers of captures. Its owner decides whether it leaves.
    Phase1Key {
        /// The initiator's cookie.
        initiator: Cookie,
        /// The cipher's key.
        key: Secret,
    },
}
