//! What the plane asks of, and tells, its owner; and what it answers to negotiation.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use hw_offload::{ChannelId, ChannelSpec, Ticket};

use crate::debug::DebugEvent;
use crate::model::{Half, Name, Protocol, Spi};
use crate::path::PathId;
use crate::sad::{BundleId, SaId};
use crate::spd::PolicyId;

/// Why a bundle is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveWhy {
    /// Its hard limit was reached.
    Expired,
    /// A newer bundle carries its traffic.
    Replaced,
    /// The peer deleted it.
    PeerDeleted,
    /// The peer restarted: INITIAL-CONTACT.
    PeerRestarted,
    /// The peer gives no sign of life any more.
    PeerLost,
    /// A command or a change of configuration.
    Configuration,
    /// The negotiation that it was reserved for failed.
    NegotiationFailed,
    /// A channel could not be opened.
    EngineFailed,
}

/// What the plane asks of, or tells, its owner.
#[derive(Debug)]
pub enum PlaneEvent {
    /// Open a channel; `opened` takes the answer.
    Open {
        /// The name of the request.
        ticket: Ticket,
        /// The SA that it is for.
        sa: SaId,
        /// The direction.
        half: Half,
        /// Keys and algorithms.
        spec: ChannelSpec,
    },
    /// Close a channel; `detached` takes the answer.
    Close(ChannelId),
    /// A policy with negotiated keys needs a bundle.
    Acquire {
        /// The policy.
        policy: PolicyId,
        /// Our end and the peer's; none where no own address leads to the peer.
        ends: Option<(IpAddr, IpAddr)>,
        /// The bundle that reached its soft limit, if there is one.
        replaces: Option<BundleId>,
    },
    /// Find the address of a policy's peer; `resolved` takes the answer.
    Resolve {
        /// The policy.
        policy: PolicyId,
        /// The peer's host name.
        name: Name,
    },
    /// The channels of one direction are open, or cannot be.
    Installed {
        /// The bundle.
        bundle: BundleId,
        /// The direction.
        half: Half,
        /// Whether it can be used.
        ok: bool,
    },
    /// A bundle became valid.
    Created {
        /// The bundle.
        bundle: BundleId,
        /// Its policy.
        policy: PolicyId,
    },
    /// A bundle was removed.
    Removed {
        /// What is left of it.
        removed: RemovedBundle,
        /// Why.
        why: RemoveWhy,
    },
    /// Something that is watched was seen.
    Debug(DebugEvent),
    /// An SA used its last sequence number and carries nothing more.
    Exhausted {
        /// Its bundle.
        bundle: BundleId,
        /// The policy.
        policy: PolicyId,
    },
    /// An authentic packet came from another end, and the path follows it.
    Moved {
        /// The path.
        path: PathId,
        /// Our end.
        local: SocketAddr,
        /// Where the peer was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// Send this by UDP, so that a NAT on the way keeps its mapping.
    Keepalive {
        /// The path.
        path: PathId,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        peer: SocketAddr,
        /// The payload.
        bytes: &'static [u8],
    },
    /// A fixed peer uses an SPI that is unknown here, and its policy has RESPONDBADSPI=TRUE.
    BadSpi {
        /// The policy.
        policy: PolicyId,
        /// Our end and the peer's.
        ends: (IpAddr, IpAddr),
        /// The protocol.
        protocol: Protocol,
        /// The SPI.
        spi: Spi,
    },
}

/// What is told of a bundle after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedBundle {
    /// Its name, dead by now.
    pub bundle: BundleId,
    /// The policy it belonged to.
    pub policy: PolicyId,
    /// That policy's name, which may be gone too.
    pub name: Name,
    /// The peer.
    pub peer: IpAddr,
    /// Our SPIs, which a Delete payload names.
    pub inbound: Vec<(Protocol, Spi)>,
    /// The ISAKMP SA that watched over it.
    pub isakmp_sa: Option<u32>,
    /// Whether it ever was valid.
    pub was_valid: bool,
}

/// Why SPIs could not be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveFault {
    /// The policy is gone.
    #[error("the IPsec policy does not exist any more")]
    NoSuchPolicy,
    /// No room.
    #[error("there is no room for another SA")]
    Full,
    /// No randomness.
    #[error("the source of randomness failed")]
    NoEntropy,
    /// The module is disabled.
    #[error("the IPsec module is disabled")]
    Disabled,
}

/// Reserved SPIs of a bundle to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The bundle.
    pub bundle: BundleId,
    /// Our SPIs, one per protocol in the order asked for.
    pub spis: Vec<(Protocol, Spi)>,
}

/// Why one direction could not be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallFault {
    /// The bundle is gone.
    #[error("the SA bundle does not exist any more")]
    NoSuchBundle,
    /// The keys do not belong to the reserved SAs.
    #[error("the keys do not fit the reserved SAs")]
    Mismatch,
    /// A DES key is a weak one, or a 3DES key is single DES.
    #[error("the negotiated key is a weak one")]
    WeakKey,
    /// AH was negotiated where only ESP can be put into UDP.
    #[error("AH cannot be encapsulated in UDP")]
    Encapsulation,
    /// No room.
    #[error("there is no room for another path")]
    Full,
    /// The engine has no channel for it.
    #[error("the crypto engine cannot open a channel")]
    Engine,
}
