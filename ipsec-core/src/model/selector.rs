//! What a policy selects, and what a packet shows of itself.

use core::fmt;
use core::net::IpAddr;

use super::name::Name;
use super::words::{Direction, IpVersion};

/// The fields of a packet that selectors look at, as they stand on the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol, behind IPv6 extension headers.
    pub protocol: u8,
    /// Source and destination port of TCP and UDP; none for others and for later fragments.
    pub ports: Option<(u16, u16)>,
    /// ICMP or ICMPv6 type.
    pub icmp_type: Option<u8>,
}

impl Flow {
    /// The local and the remote address.
    #[must_use]
    pub const fn addresses(&self, direction: Direction) -> (IpAddr, IpAddr) {
        match direction {
            Direction::Out => (self.source, self.destination),
            Direction::In => (self.destination, self.source),
        }
    }

    /// The local and the remote port.
    #[must_use]
    pub const fn local_remote_ports(&self, direction: Direction) -> Option<(u16, u16)> {
        match (self.ports, direction) {
            (Some((source, destination)), Direction::In) => Some((destination, source)),
            (ports, _) => ports,
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} > {} protocol {}",
            self.source, self.destination, self.protocol
        )?;
        match self.ports {
            Some((source, destination)) => write!(f, " ports {source} > {destination}"),
            None => Ok(()),
        }
    }
}

/// Addresses that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressSelector {
    /// Every address.
    #[default]
    Any,
    /// An address and a prefix length; the address may have bits beyond the prefix, which do
    /// not count.
    Prefix(IpAddr, u8),
    /// From the first to the last, both included.
    Range(IpAddr, IpAddr),
}

/// An address as a number in the upper bits, so that both versions share the arithmetic.
const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => (a.to_bits() as u128) << 96,
        IpAddr::V6(a) => a.to_bits(),
    }
}

const fn same_version(a: IpAddr, b: IpAddr) -> bool {
    matches!(
        (a, b),
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_))
    )
}

impl AddressSelector {
    /// Exactly one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self::Prefix(address, bits)
    }

    /// The lowest and the highest address, unless it is every address.
    #[must_use]
    pub fn bounds(&self) -> Option<(IpAddr, IpAddr)> {
        match *self {
            Self::Any => None,
            Self::Range(first, last) => Some((first, last)),
            Self::Prefix(IpAddr::V4(a), length) => {
                let host = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                let (low, high) = (a.to_bits() & !host, a.to_bits() | host);
                Some((IpAddr::V4(low.into()), IpAddr::V4(high.into())))
            }
            Self::Prefix(IpAddr::V6(a), length) => {
                let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                let (low, high) = (a.to_bits() & !host, a.to_bits() | host);
                Some((IpAddr::V6(low.into()), IpAddr::V6(high.into())))
            }
        }
    }

    /// Whether the address is selected.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        match self.bounds() {
            None => true,
            Some((low, high)) => {
                same_version(low, address)
                    && (number(low)..=number(high)).contains(&number(address))
            }
        }
    }

    /// Whether everything that `other` selects is selected here too.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self.bounds(), other.bounds()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((low, high)), Some((from, to))) => {
                same_version(low, from) && number(low) <= number(from) && number(to) <= number(high)
            }
        }
    }

    /// Whether an address is selected by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.bounds(), other.bounds()) {
            (None, _) | (_, None) => true,
            (Some((low, high)), Some((from, to))) => {
                same_version(low, from) && number(low) <= number(to) && number(from) <= number(high)
            }
        }
    }

    /// Whether both select the same addresses.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.contains(other) && other.contains(self)
    }
}

impl fmt::Display for AddressSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("ANY"),
            Self::Prefix(address, length) => write!(f, "{address}/{length}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// A port that a policy selects; none is any.
pub type PortSelector = Option<u16>;

/// The compiled selectors of a policy or of an SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// IP version.
    pub version: IpVersion,
    /// Local addresses.
    pub local: AddressSelector,
    /// Remote addresses.
    pub remote: AddressSelector,
    /// Local port.
    pub local_port: PortSelector,
    /// Remote port.
    pub remote_port: PortSelector,
    /// Own system name, the phase 2 identity sent.
    pub local_name: Option<Name>,
    /// Peer's system name, the phase 2 identity expected.
    pub remote_name: Option<Name>,
    /// IP protocol; none is any.
    pub protocol: Option<u8>,
    /// Only ICMPv6 neighbour discovery, types 133 to 136.
    pub neighbour_discovery: bool,
}

/// The selector that a packet failed first, in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorField {
    /// IPVERSION.
    Version,
    /// LADDRESS.
    LocalAddress,
    /// RADDRESS.
    RemoteAddress,
    /// LPORT.
    LocalPort,
    /// RPORT.
    RemotePort,
    /// TRANSPORTPROTOCOL.
    Protocol,
    /// ICMPTYPE.
    NeighbourDiscovery,
}

impl Selector {
    /// Everything of one IP version.
    #[must_use]
    pub const fn any(version: IpVersion) -> Self {
        Self {
            version,
            local: AddressSelector::Any,
            remote: AddressSelector::Any,
            local_port: None,
            remote_port: None,
            local_name: None,
            remote_name: None,
            protocol: None,
            neighbour_discovery: false,
        }
    }

    /// Whether a packet is selected.
    ///
    /// # Errors
    /// The first field that differs, which the filter counters count.
    pub fn matches(&self, flow: &Flow, direction: Direction) -> Result<(), SelectorField> {
        let (local, remote) = flow.addresses(direction);
        if local.is_ipv4() != (self.version == IpVersion::V4) {
            return Err(SelectorField::Version);
        }
        if !self.local.matches(local) {
            return Err(SelectorField::LocalAddress);
        }
        if !self.remote.matches(remote) {
            return Err(SelectorField::RemoteAddress);
        }
        let ports = flow.local_remote_ports(direction);
        if self
            .local_port
            .is_some_and(|port| ports.is_none_or(|(local, _)| local != port))
        {
            return Err(SelectorField::LocalPort);
        }
        if self
            .remote_port
            .is_some_and(|port| ports.is_none_or(|(_, remote)| remote != port))
        {
            return Err(SelectorField::RemotePort);
        }
        if self
            .protocol
            .is_some_and(|protocol| protocol != flow.protocol)
        {
            return Err(SelectorField::Protocol);
        }
        if self.neighbour_discovery
            && !flow
                .icmp_type
                .is_some_and(|kind| (133..=136).contains(&kind))
        {
            return Err(SelectorField::NeighbourDiscovery);
        }
        Ok(())
    }

    /// Whether everything that `other` selects is selected here too; names are not compared.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.version == other.version
            && self.local.contains(&other.local)
            && self.remote.contains(&other.remote)
            && self
                .local_port
                .is_none_or(|port| other.local_port == Some(port))
            && self
                .remote_port
                .is_none_or(|port| other.remote_port == Some(port))
            && self
                .protocol
                .is_none_or(|protocol| other.protocol == Some(protocol))
    }
}
