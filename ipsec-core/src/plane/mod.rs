//! The data plane: packets in, verdicts out; and the control side that negotiation drives.

mod compile;
mod complete;
mod control;
mod count;
mod event;
mod gather;
mod hold;
mod inbound;
mod outbound;
mod policy;
mod remove;
mod size;
#[cfg(test)]
mod tests;
mod timers;
mod too_big;
mod watch;
mod ways;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Buffers, Entropy, PacketBuf, Ticket};

use crate::counters::{Counters, Happened};
use crate::fragment::Reassembly;
use crate::limits::{HeldFragments, Limits};
use crate::model::{Direction, Half};
use crate::net::{InterfaceId, Net};
use crate::path::{Path, PathId, Paths};
use crate::sad::{Bundle, BundleId, Sa, SaId, SaState, Sad};
use crate::slab::{Id, Slab};
use crate::spd::{PolicyId, Spd};
use crate::time::Instant;

pub use event::{InstallFault, PlaneEvent, RemoveWhy, RemovedBundle, ReserveFault, Reserved};
pub use policy::Policy;

use hold::Hold;
use timers::Due;
use ways::ReplyFlows;

/// Room in front of a packet that every verb may need, in bytes: outer header, ESP and IV, AH, and
/// the copy of the headers that AH covers, all of IPv6. Packets with IPv6 extension headers of
/// their own may need more; without it they are dropped with [`crate::DropReason::NoRoom`].
pub const HEADROOM: usize = 160;
/// Room behind a packet: padding, trailer and ICV of ESP.
pub const TAILROOM: usize = 32;

/// What every packet verb needs from its caller.
pub struct Cx<'a, B> {
    /// The time.
    pub now: Instant,
    /// Randomness, for initialisation vectors and SPIs.
    pub entropy: &'a mut dyn Entropy,
    /// Where storage comes from and goes back to.
    pub buffers: &'a mut dyn Buffers<B>,
}

/// A packet in the hands of the engine.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    sa: SaId,
    on: InterfaceId,
    sequence: u32,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Where the next SA will begin.
    Out(outbound::Begin),
    In(inbound::Pass),
}

impl InFlight {
    const fn direction(&self) -> Direction {
        match self.way {
            Way::Out(_) => Direction::Out,
            Way::In(_) => Direction::In,
        }
    }
}

/// Everything of the plane but the packets that wait; SHOW reads it.
#[derive(Debug)]
pub struct PlaneState {
    /// ENABLE IPSEC.
    enabled: bool,
    policies: Slab<Policy>,
    /// By their names in lower case.
    by_name: BTreeMap<alloc::string::String, PolicyId>,
    /// The policies of every interface in the order of their positions.
    lists: Vec<(InterfaceId, Vec<PolicyId>)>,
    spd: Spd,
    sad: Sad,
    paths: Paths,
    in_flight: Slab<InFlight>,
    replies: ReplyFlows,
    events: VecDeque<PlaneEvent>,
    /// How many of the events are watched ones.
    watched: usize,
    agenda: BTreeSet<(Instant, Due)>,
    net: Net,
    /// Own addresses, sorted.
    local: Vec<IpAddr>,
    /// Policies with RESPONDBADSPI=TRUE, by the addresses of their fixed peers.
    bad_spi_policies: BTreeMap<IpAddr, PolicyId>,
    /// Our port of the UDP tunnel, while a policy has one.
    tunnel_port: Option<u16>,
    counters: Counters,
    /// Whether FILTER is watched of any policy.
    watching_filters: bool,
    /// Whether PACKET or TRACE is watched of any policy.
    watching_packets: bool,
    /// The next bundle's serial number.
    serial: u64,
    ip_id: u16,
    limits: Limits,
}

/// The data plane. See the crate documentation for its run loop.
pub struct DataPlane<B> {
    state: PlaneState,
    hold: Hold<B>,
    fragments: Reassembly<B>,
}

impl<B: PacketBuf> DataPlane<B> {
    /// A plane without configuration. The seed keeps strangers from choosing which flows share a
    /// place in the cache.
    #[must_use]
    pub fn new(limits: &Limits, seed: [u8; 16]) -> Self {
        let seed = u128::from_be_bytes(seed);
        let half = |n: u128| u64::try_from(n & u128::from(u64::MAX)).unwrap_or(0);
        let seed = [half(seed), half(seed >> 64)];
        let state = PlaneState {
            enabled: false,
            policies: Slab::new(u32::MAX),
            by_name: BTreeMap::new(),
            lists: Vec::new(),
            spd: Spd::new(limits.flow_cache, seed),
            sad: Sad::new(limits.sas),
            paths: Paths::new(limits.sas),
            in_flight: Slab::reserved(limits.packets_in_flight),
            replies: ReplyFlows::new(limits.reply_flows, seed[0]),
            events: VecDeque::new(),
            watched: 0,
            agenda: BTreeSet::new(),
            net: Net::default(),
            local: Vec::new(),
            bad_spi_policies: BTreeMap::new(),
            tunnel_port: None,
            counters: Counters::default(),
            watching_filters: false,
            watching_packets: false,
            serial: 0,
            ip_id: 0,
            limits: limits.clone(),
        };
        Self {
            state,
            hold: Hold::new(limits.held),
            fragments: Reassembly::new(limits),
        }
    }

    /// What SHOW reads.
    #[must_use]
    pub const fn state(&self) -> &PlaneState {
        &self.state
    }

    /// What RESET changes.
    pub const fn state_mut(&mut self) -> &mut PlaneState {
        &mut self.state
    }

    /// The next request or message for the owner.
    pub fn next_event(&mut self) -> Option<PlaneEvent> {
        let event = self.state.events.pop_front()?;
        self.state.watched -= usize::from(matches!(event, PlaneEvent::Debug(_)));
        Some(event)
    }

    /// When [`DataPlane::timers`] has something to do; now, while events or packets wait for the
    /// owner.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        if !self.state.events.is_empty() || self.hold.is_ready() {
            return Some(now);
        }
        let agenda = self.state.agenda.first().map(|(at, _)| *at);
        [agenda, self.fragments.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Fragments that wait for the rest of their datagram.
    #[must_use]
    pub fn held_fragments(&self) -> HeldFragments {
        self.fragments.waiting()
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
        let id = *self.by_name.get(&name.to_ascii_lowercase())?;
        Some((id, self.policy(id)?))
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

    /// The interface and direction of a packet that the engine works on.
    #[must_use]
    pub fn way_of(&self, ticket: Ticket) -> Option<(InterfaceId, Direction)> {
        let flight = self.in_flight.get(Id::from_u64(ticket.0))?;
        Some((flight.on, flight.direction()))
    }

    /// A policy's bundle by its number within the policy, as SHOW IPSEC POLICY SABUNDLE prints it.
    #[must_use]
    pub fn bundle_of(&self, policy: &str, index: u16) -> Option<BundleId> {
        let (_, policy) = self.policy_by_name(policy)?;
        let mut bundles = policy.bundles.iter().copied();
        bundles.find(|id| {
            let bundle = self.bundle(*id);
            bundle.is_some_and(|bundle| bundle.index == index)
        })
    }

    /// Every bundle.
    pub fn bundles(&self) -> impl Iterator<Item = (BundleId, &Bundle)> {
        self.sad
            .bundles
            .iter()
            .map(|(id, bundle)| (BundleId(id), bundle))
    }

    /// A path.
    #[must_use]
    pub fn path(&self, id: PathId) -> Option<&Path> {
        self.paths.get(id)
    }

    /// Every path.
    pub fn paths(&self) -> impl Iterator<Item = (PathId, &Path)> {
        self.paths.iter()
    }

    /// The way to the peer of a bundle.
    #[must_use]
    pub fn path_of(&self, id: BundleId) -> Option<&Path> {
        self.path(self.bundle(id)?.path)
    }

    /// An SA.
    #[must_use]
    pub fn sa(&self, id: SaId) -> Option<&Sa> {
        self.sad.sas.get(id.0)
    }

    /// The SA in that slot: the number that a user sees.
    #[must_use]
    pub fn sa_by_number(&self, number: u32) -> Option<(SaId, &Sa)> {
        let (id, sa) = self.sad.sas.in_slot(number)?;
        Some((SaId(id), sa))
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

    /// Counts what happened to the configuration, which others keep.
    pub fn count(&mut self, happened: Happened) {
        self.counters.raise(happened);
    }

    /// RESET IPSEC COUNTER of a category, or of all.
    pub fn reset_counters(&mut self, category: Option<&str>) {
        for block in Happened::BLOCKS {
            if category.is_none_or(|category| category == block.category) {
                self.counters.reset_block(block);
            }
        }
    }

    /// RESET IPSEC POLICY COUNTER.
    pub fn reset_policy_counters(&mut self, id: PolicyId) {
        if let Some(policy) = self.policies.get_mut(id.0) {
            policy.counters.reset();
        }
    }

    /// RESET IPSEC SA COUNTER.
    pub fn reset_sa_counters(&mut self, id: SaId) {
        if let Some(sa) = self.sad.sas.get_mut(id.0) {
            sa.counters.reset();
        }
    }

    /// Packets in the hands of the engine.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The state of a bundle.
    #[must_use]
    pub fn bundle_state(&self, id: BundleId) -> Option<SaState> {
        self.bundle(id).map(|bundle| bundle.state)
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.local.binary_search(&address).is_ok()
    }

    /// Whether an interface has policies.
    fn is_guarded(&self, on: InterfaceId) -> bool {
        self.lists.iter().any(|(interface, _)| *interface == on)
    }

    fn mtu(&self, on: InterfaceId) -> u16 {
        self.net
            .get(on)
            .map_or(Net::DEFAULT_MTU, |interface| interface.mtu)
    }
}

/// A request for a channel is named by the SA and the direction; a slot has 31 bits.
fn ticket_of(sa: SaId, half: Half) -> Ticket {
    let Id { slot, generation } = sa.0;
    let half = u64::from(half == Half::Outbound);
    Ticket(u64::from(generation) << 32 | u64::from(slot) << 1 | half)
}

const fn of_ticket(ticket: Ticket) -> (SaId, Half) {
    let half = if ticket.0 & 1 == 1 {
        Half::Outbound
    } else {
        Half::Inbound
    };
    let Id { slot, generation } = Id::from_u64(ticket.0);
    let slot = slot >> 1;
    (SaId(Id { slot, generation }), half)
}
