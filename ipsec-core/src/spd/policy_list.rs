//! The list of one interface: policies in their order, as compact records.

use alloc::boxed::Box;
use core::net::IpAddr;

use super::flow_cache::{Key, words};
use super::lookup::Index;
use super::{Answer, Comparison, Failures, Found, PolicyId};
use crate::model::{AddressSelector, IpVersion, Selector, SelectorField};

/// The policies of one interface. Those of the two IP versions never compete, so each version
/// has a list of its own.
#[derive(Debug)]
pub(super) struct PolicyList {
    v4: List<u32>,
    v6: List<u128>,
}

impl PolicyList {
    pub(super) fn new(policies: &[(PolicyId, Selector)]) -> Self {
        Self {
            v4: List::new(policies, IpVersion::V4),
            v6: List::new(policies, IpVersion::V6),
        }
    }

    /// The first policy that selects the flow, and what the policies before it failed.
    pub(super) fn search(&self, key: &Key) -> Answer {
        if key.is_ipv6() {
            self.v6.search(&Packet::new(key))
        } else {
            self.v4.search(&Packet::new(key))
        }
    }

    /// Every comparison that a scan makes, in its order.
    pub(super) fn explain(
        &self,
        key: &Key,
    ) -> impl Iterator<Item = (PolicyId, Result<(), Comparison>)> + use<'_> {
        let (four, six) = (Packet::new(key), Packet::new(key));
        let is_ipv6 = key.is_ipv6();
        let mut positions = 0..;
        let mut decided = false;
        core::iter::from_fn(move || {
            let position = positions.next().filter(|_| !decided)?;
            let (id, result) = if is_ipv6 {
                self.v6.compare(position, &six)?
            } else {
                self.v4.compare(position, &four)?
            };
            decided = result.is_ok();
            Some((id, result))
        })
    }
}

/// The policies of one version, and the index that makes searching them cheap.
#[derive(Debug)]
struct List<N> {
    records: Box<[Record<N>]>,
    index: Index<N>,
}

impl<N: Number> List<N> {
    fn new(policies: &[(PolicyId, Selector)], version: IpVersion) -> Self {
        let records: Box<[_]> = policies
            .iter()
            .filter(|(_, selector)| selector.version == version)
            .map(|(id, selector)| Record::new(*id, selector))
            .collect();
        let index = Index::new(&records);
        Self { records, index }
    }

    fn search(&self, packet: &Packet<N>) -> Answer {
        let mut failures = Failures::default();
        let first = self.index.search(&self.records, packet, &mut failures);
        Answer {
            found: first
                .and_then(|position| self.records.get(position as usize))
                .map_or(Found::Nothing, |record| Found::Policy(record.id)),
            failures,
        }
    }

    fn compare(
        &self,
        position: usize,
        packet: &Packet<N>,
    ) -> Option<(PolicyId, Result<(), Comparison>)> {
        let record = self.records.get(position)?;
        Some((record.id, record.compare(packet)))
    }
}

/// An address, or a smaller value, as a number: `u32` for IPv4 and `u128` for IPv6.
pub(super) trait Number: Copy + Ord + From<u32> {
    /// The highest.
    const MAX: Self;

    /// From big-endian words, IPv4 in the first.
    fn from_words(words: [u32; 4]) -> Self;

    /// The next one.
    fn next(self) -> Option<Self>;

    /// The address of this version, none of the other.
    fn of(address: IpAddr) -> Option<Self>;
}

impl Number for u32 {
    const MAX: Self = Self::MAX;

    fn from_words([word, ..]: [u32; 4]) -> Self {
        word
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn of(address: IpAddr) -> Option<Self> {
        address.is_ipv4().then(|| Self::from_words(words(address)))
    }
}

impl Number for u128 {
    const MAX: Self = Self::MAX;

    fn from_words(words: [u32; 4]) -> Self {
        words
            .into_iter()
            .fold(0, |number, word| number << 32 | Self::from(word))
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn of(address: IpAddr) -> Option<Self> {
        address.is_ipv6().then(|| Self::from_words(words(address)))
    }
}

/// A packet as the records see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<N> {
    local: N,
    remote: N,
    ports: Option<(u16, u16)>,
    protocol: u8,
    neighbour_discovery: bool,
}

impl<N: Number> Packet<N> {
    fn new(key: &Key) -> Self {
        Self {
            local: N::from_words(key.local()),
            remote: N::from_words(key.remote()),
            ports: key.ports(),
            protocol: key.protocol(),
            neighbour_discovery: key.is_neighbour_discovery(),
        }
    }

    /// The field as a number; a port that is not known lies above every port.
    pub(super) fn value(&self, field: Field) -> N {
        match field {
            Field::LocalAddress => self.local,
            Field::RemoteAddress => self.remote,
            Field::LocalPort => N::from(self.ports.map_or(NO_PORT, |(local, _)| local.into())),
            Field::RemotePort => N::from(self.ports.map_or(NO_PORT, |(_, remote)| remote.into())),
            Field::Protocol => N::from(self.protocol.into()),
            Field::NeighbourDiscovery => N::from(self.neighbour_discovery.into()),
        }
    }
}

const NO_PORT: u32 = 0x1_0000;

/// The fields in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    LocalAddress,
    RemoteAddress,
    LocalPort,
    RemotePort,
    Protocol,
    NeighbourDiscovery,
}

impl Field {
    /// The first to be compared.
    pub(super) const FIRST: Self = Self::LocalAddress;

    /// The one that is compared after this.
    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::LocalAddress => Some(Self::RemoteAddress),
            Self::RemoteAddress => Some(Self::LocalPort),
            Self::LocalPort => Some(Self::RemotePort),
            Self::RemotePort => Some(Self::Protocol),
            Self::Protocol => Some(Self::NeighbourDiscovery),
            Self::NeighbourDiscovery => None,
        }
    }
}

/// The selectors of a policy: every field is an interval of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<N> {
    /// First and last address; the first behind the last selects nothing.
    local: (N, N),
    remote: (N, N),
    local_port: Option<u16>,
    remote_port: Option<u16>,
    protocol: Option<u8>,
    neighbour_discovery: bool,
    local_is_range: bool,
    remote_is_range: bool,
    id: PolicyId,
}

impl<N: Number> Record<N> {
    fn new(id: PolicyId, selector: &Selector) -> Self {
        let interval = |address: &AddressSelector| match address.bounds() {
            None => (N::from(0), N::MAX),
            Some((low, high)) => N::of(low).zip(N::of(high)).unwrap_or((N::MAX, N::from(0))),
        };
        let is_range = |address: &AddressSelector| matches!(address, AddressSelector::Range(..));
        Self {
            local: interval(&selector.local),
            remote: interval(&selector.remote),
            local_port: selector.local_port,
            remote_port: selector.remote_port,
            protocol: selector.protocol,
            neighbour_discovery: selector.neighbour_discovery,
            local_is_range: is_range(&selector.local),
            remote_is_range: is_range(&selector.remote),
            id,
        }
    }

    /// The numbers that the field selects; none if the first lies behind the last.
    pub(super) fn interval(&self, field: Field) -> (N, N) {
        let one = |value: Option<u32>| match value {
            Some(value) => (N::from(value), N::from(value)),
            None => (N::from(0), N::MAX),
        };
        match field {
            Field::LocalAddress => self.local,
            Field::RemoteAddress => self.remote,
            Field::LocalPort => one(self.local_port.map(Into::into)),
            Field::RemotePort => one(self.remote_port.map(Into::into)),
            Field::Protocol => one(self.protocol.map(Into::into)),
            Field::NeighbourDiscovery => one(self.neighbour_discovery.then_some(1)),
        }
    }

    /// What is counted when the field fails.
    pub(super) const fn comparison(&self, field: Field) -> Comparison {
        match field {
            Field::LocalAddress if self.local_is_range => Comparison::LocalRange,
            Field::LocalAddress => Comparison::LocalMask,
            Field::RemoteAddress if self.remote_is_range => Comparison::RemoteRange,
            Field::RemoteAddress => Comparison::RemoteMask,
            Field::LocalPort => Comparison::LocalPort,
            Field::RemotePort => Comparison::RemotePort,
            Field::Protocol => Comparison::Protocol,
            Field::NeighbourDiscovery => Comparison::NeighbourDiscovery,
        }
    }

    /// Compares as the scan does.
    ///
    /// # Errors
    /// The first comparison that failed.
    pub(super) fn compare(&self, packet: &Packet<N>) -> Result<(), Comparison> {
        // Both bounds at once: which of them fails is as good as random.
        let outside = |(low, high): (N, N), address: N| (address < low) | (high < address);
        let differs = |wanted: Option<u16>, port: Option<u16>| wanted.is_some() && wanted != port;
        let failed = if outside(self.local, packet.local) {
            Field::LocalAddress
        } else if outside(self.remote, packet.remote) {
            Field::RemoteAddress
        } else if differs(self.local_port, packet.ports.map(|(local, _)| local)) {
            Field::LocalPort
        } else if differs(self.remote_port, packet.ports.map(|(_, remote)| remote)) {
            Field::RemotePort
        } else if self
            .protocol
            .is_some_and(|protocol| protocol != packet.protocol)
        {
            Field::Protocol
        } else if self.neighbour_discovery && !packet.neighbour_discovery {
            Field::NeighbourDiscovery
        } else {
            return Ok(());
        };
        Err(self.comparison(failed))
    }
}

impl Comparison {
    /// The selector that was compared.
    pub(super) const fn field(self) -> SelectorField {
        match self {
            Self::LocalMask | Self::LocalRange => SelectorField::LocalAddress,
            Self::RemoteMask | Self::RemoteRange => SelectorField::RemoteAddress,
            Self::LocalPort => SelectorField::LocalPort,
            Self::RemotePort => SelectorField::RemotePort,
            Self::Protocol => SelectorField::Protocol,
            Self::NeighbourDiscovery => SelectorField::NeighbourDiscovery,
        }
    }
}
