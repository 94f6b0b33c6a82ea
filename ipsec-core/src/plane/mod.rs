//! The data plane: packets in, verdicts out; and the control side that negotiation drives.

mod compile;
mod control;
mod packets;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Buffers, ChannelId, ChannelSpec, Entropy, PacketBuf, Ticket};

use crate::counters::Counters;
use crate::limits::Limits;
use crate::model::{
    Action, BundleConfig, DfBit, Half, KeyManagement, PolicyConfig, Protocol, SaSpecConfig,
    Selector, Spi,
};
use crate::net::InterfaceId;
use crate::sad::{Bundle, BundleId, Sa, SaId, Sad};
use crate::slab::{Id, Slab};
use crate::spd::{PolicyId, Spd};
use crate::time::Instant;

/// What every packet verb needs from its caller.
pub struct Cx<'a, B> {
    /// The time.
    pub now: Instant,
    /// Randomness, for initialisation vectors and SPIs.
    pub entropy: &'a mut dyn Entropy,
    /// Where storage comes from and goes back to.
    pub buffers: &'a mut dyn Buffers<B>,
}

/// Why a bundle is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveWhy {
    /// Its hard limit was reached.
    Expired,
    /// A newer bundle of the policy carries the traffic.
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
        /// The bundle that reached its soft limit, if there is one.
        replaces: Option<BundleId>,
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
}

/// What is told of a bundle after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedBundle {
    /// Its name, dead by now.
    pub bundle: BundleId,
    /// The policy it belonged to.
    pub policy: PolicyId,
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
    /// A DES key is a weak one.
    #[error("the negotiated DES key is a weak one")]
    WeakKey,
    /// The engine has no channel for it.
    #[error("the crypto engine cannot open a channel")]
    Engine,
}

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// Its record.
    pub config: PolicyConfig,
    /// The bundle specification and the SA specifications that it uses.
    pub bundle_config: Option<(BundleConfig, Vec<SaSpecConfig>)>,
    /// The interface.
    pub on: InterfaceId,
    /// What it does.
    pub action: Action,
    /// Where keys come from.
    pub key_management: Option<KeyManagement>,
    /// What it selects.
    pub selector: Selector,
    /// The peer's end of the tunnel.
    pub peer: Option<IpAddr>,
    /// Our end of the tunnel.
    pub local: Option<IpAddr>,
    /// The DF bit of the outer header.
    pub df: DfBit,
    /// Its bundles, the oldest first.
    pub bundles: Vec<BundleId>,
    /// The bundle that carries what leaves.
    pub current: Option<BundleId>,
    /// Packets that wait.
    pub queued: u8,
    /// What happened to its packets.
    pub counters: Counters,
    /// The next bundle's number.
    next_index: u16,
    /// Whether a bundle has been asked for and is still to come.
    acquiring: bool,
    /// What to do with the packets that wait.
    hold: Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Keep,
    Release,
    Discard,
}

/// A packet in the hands of the engine.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    sa: SaId,
    on: InterfaceId,
    sequence: u32,
    inner_len: u32,
    direction: crate::model::Direction,
}

/// Everything of the plane but the packets that wait; SHOW reads it.
#[derive(Debug)]
pub struct PlaneState {
    /// ENABLE IPSEC.
    enabled: bool,
    policies: Slab<Policy>,
    spd: Spd,
    sad: Sad,
    in_flight: Slab<InFlight>,
    events: VecDeque<PlaneEvent>,
    agenda: BTreeSet<(Instant, BundleId)>,
    local: Vec<IpAddr>,
    mtu: Vec<u16>,
    counters: Counters,
    ip_id: u16,
    limits: Limits,
}

struct Waiting<B> {
    on: InterfaceId,
    packet: B,
}

/// The data plane. See the crate documentation for its run loop.
pub struct DataPlane<B> {
    state: PlaneState,
    hold: Vec<(PolicyId, VecDeque<Waiting<B>>)>,
}

impl<B: PacketBuf> DataPlane<B> {
    /// A plane without configuration. The seed keeps strangers from choosing which flows share a
    /// place in the cache.
    #[must_use]
    pub fn new(limits: &Limits, seed: [u8; 16]) -> Self {
        let seed = u128::from_be_bytes(seed);
        let half = |n: u128| u64::try_from(n & u128::from(u64::MAX)).unwrap_or(0);
        let state = PlaneState {
            enabled: false,
            policies: Slab::new(u16::MAX),
            spd: Spd::new(limits.flow_cache, [half(seed), half(seed >> 64)]),
            sad: Sad::new(limits.sas),
            in_flight: Slab::new(limits.packets_in_flight),
            events: VecDeque::new(),
            agenda: BTreeSet::new(),
            local: Vec::new(),
            mtu: Vec::new(),
            counters: Counters::default(),
            ip_id: 0,
            limits: limits.clone(),
        };
        Self {
            state,
            hold: Vec::new(),
        }
    }

    /// What SHOW reads.
    #[must_use]
    pub const fn state(&self) -> &PlaneState {
        &self.state
    }

    /// The next request or message for the owner.
    pub fn next_event(&mut self) -> Option<PlaneEvent> {
        self.state.events.pop_front()
    }

    /// When [`DataPlane::timers`] has something to do; now, while events wait.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let held = self
            .state
            .policies
            .iter()
            .any(|(_, p)| p.queued > 0 && p.hold != Hold::Keep);
        if !self.state.events.is_empty() || held {
            return Some(now);
        }
        self.state.agenda.first().map(|(at, _)| *at)
    }
}

impl PlaneState {
    /// Whether the module is enabled.
    #[must_use]
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// A policy.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.policies.get(id.0)
    }

    /// The policy of that name.
    #[must_use]
    pub fn policy_by_name(&self, name: &str) -> Option<(PolicyId, &Policy)> {
        self.policies()
            .find(|(_, policy)| policy.config.name == *name)
    }

    /// Every policy.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        self.policies
            .iter()
            .map(|(id, policy)| (PolicyId(id), policy))
    }

    /// A bundle.
    #[must_use]
    pub fn bundle(&self, id: BundleId) -> Option<&Bundle> {
        self.sad.bundles.get(id.0)
    }

    /// Every bundle.
    pub fn bundles(&self) -> impl Iterator<Item = (BundleId, &Bundle)> {
        self.sad
            .bundles
            .iter()
            .map(|(id, bundle)| (BundleId(id), bundle))
    }

    /// An SA.
    #[must_use]
    pub fn sa(&self, id: SaId) -> Option<&Sa> {
        self.sad.sas.get(id.0)
    }

    /// The SA in that slot: the number that a user sees.
    #[must_use]
    pub fn sa_by_number(&self, number: u16) -> Option<(SaId, &Sa)> {
        self.sas().find(|(id, _)| id.0.slot == number)
    }

    /// Every SA, by number.
    pub fn sas(&self) -> impl Iterator<Item = (SaId, &Sa)> {
        self.sad.sas.iter().map(|(id, sa)| (SaId(id), sa))
    }

    /// What happened, over all policies.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Packets in the hands of the engine.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The state of a bundle.
    #[must_use]
    pub fn bundle_state(&self, id: BundleId) -> Option<crate::sad::SaState> {
        self.bundle(id).map(|bundle| bundle.state)
    }
}

/// A request for a channel is named by the SA and the direction.
fn ticket_of(sa: SaId, half: Half) -> Ticket {
    Ticket(u64::from(sa.0.to_u32()) << 1 | u64::from(half == Half::Outbound))
}

fn of_ticket(ticket: Ticket) -> Option<(SaId, Half)> {
    let half = if ticket.0 & 1 == 1 {
        Half::Outbound
    } else {
        Half::Inbound
    };
    u32::try_from(ticket.0 >> 1)
        .ok()
        .map(|number| (SaId(Id::from_u32(number)), half))
}
