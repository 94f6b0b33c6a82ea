//! What a policy selects, and what a packet shows of itself.

use alloc::vec::Vec;
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

    /// Whether it is ICMPv6 neighbour discovery: router solicitation and advertisement, neighbour
    /// solicitation and advertisement (RFC 4861, section 4).
    #[must_use]
    pub const fn is_neighbour_discovery(&self) -> bool {
        self.protocol == ICMPV6 && matches!(self.icmp_type, Some(133..=136))
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

/// The protocol number of ICMPv6.
const ICMPV6: u8 = 58;

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
    /// From the first to the last, both included; nothing if the first lies behind the last or
    /// is of the other IP version.
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

    /// Whether it selects every address, or every one of an IP version.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.bounds().is_none_or(|bounds| match bounds {
            (IpAddr::V4(low), IpAddr::V4(high)) => low.to_bits() == 0 && high.to_bits() == u32::MAX,
            (IpAddr::V6(low), IpAddr::V6(high)) => {
                low.to_bits() == 0 && high.to_bits() == u128::MAX
            }
            _ => false,
        })
    }

    /// The fewest networks that hold exactly these addresses, in order, each as address and prefix
    /// length; one of length 0 is given as its two halves. None for every address.
    #[must_use]
    pub fn networks(&self) -> Vec<(IpAddr, u8)> {
        let Some((low, high)) = self.bounds() else {
            return Vec::new();
        };
        let (mut next, last, width) = match (low, high) {
            (IpAddr::V4(low), IpAddr::V4(high)) => {
                (u128::from(low.to_bits()), u128::from(high.to_bits()), 32)
            }
            (IpAddr::V6(low), IpAddr::V6(high)) => (low.to_bits(), high.to_bits(), 128),
            _ => return Vec::new(),
        };
        let mut networks = Vec::new();
        while next <= last {
            let aligned = next.trailing_zeros().min(width);
            // The number of addresses left is not a 128-bit number where it is all of them.
            let fits = (last - next)
                .checked_add(1)
                .map_or(width, |left: u128| left.ilog2());
            let bits = aligned.min(fits).min(width - 1);
            let address = match width {
                32 => IpAddr::V4(u32::try_from(next).unwrap_or(u32::MAX).into()),
                _ => IpAddr::V6(next.into()),
            };
            let len = u8::try_from(width - bits).unwrap_or(u8::MAX);
            networks.push((address, len));
            match next.checked_add(1 << bits) {
                Some(following) => next = following,
                None => break,
            }
        }
        networks
    }

    /// Whether the address is selected.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        match self.bounds() {
            None => true,
            Some((low, high)) => {
                same_version(low, address)
                    && same_version(high, address)
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
                same_version(low, from)
                    && same_version(high, to)
                    && number(low) <= number(from)
                    && number(to) <= number(high)
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

    /// Whether a packet is selected. A packet that shows no ports (another protocol, a later
    /// fragment) fails every port that is given. Names stand on no packet and exclude none; they
    /// decide which peer negotiates, and then the SA's selectors hold. A flow between addresses of
    /// two versions is of neither.
    ///
    /// # Errors
    /// The first field that differs, which the filter counters count.
    pub fn matches(&self, flow: &Flow, direction: Direction) -> Result<(), SelectorField> {
        let (local, remote) = flow.addresses(direction);
        if local.is_ipv4() != (self.version == IpVersion::V4) || !same_version(local, remote) {
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
        if self.neighbour_discovery && !flow.is_neighbour_discovery() {
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
            && (!self.neighbour_discovery || other.neighbour_discovery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use core::net::{Ipv4Addr, Ipv6Addr};

    const LOWEST: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    const HIGHEST: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    ];

    #[test]
    fn intervals_reach_to_both_ends() {
        for (low, high) in LOWEST.into_iter().zip(HIGHEST) {
            for whole in [
                AddressSelector::Prefix(high, 0),
                AddressSelector::Range(low, high),
                AddressSelector::Any,
            ] {
                assert!(whole.matches(low) && whole.matches(high), "{whole}");
            }
            for one in [low, high] {
                let host = AddressSelector::host(one);
                let range = AddressSelector::Range(one, one);
                assert!(host.matches(low) == (one == low) && host.matches(high) == (one == high));
                assert!(host.same_as(&range));
            }
            let upside_down = AddressSelector::Range(high, low);
            assert!(!upside_down.matches(low) && !upside_down.matches(high));
        }
        let [low, other] = LOWEST;
        let [_, high] = HIGHEST;
        let mixed = AddressSelector::Range(low, high);
        assert!(!mixed.matches(low) && !mixed.matches(other) && !mixed.matches(high));
    }

    #[test]
    fn bits_beyond_the_prefix_do_not_count() {
        let lan = AddressSelector::Prefix([192, 168, 10, 77].into(), 24);
        for (last, inside) in [([192, 168, 9, 255], false), ([192, 168, 10, 0], true)] {
            assert_eq!(lan.matches(last.into()), inside);
        }
        for (first, inside) in [([192, 168, 10, 255], true), ([192, 168, 11, 0], false)] {
            assert_eq!(lan.matches(first.into()), inside);
        }
    }

    const fn packet(protocol: u8) -> Flow {
        Flow {
            source: LOWEST[1],
            destination: HIGHEST[1],
            protocol,
            ports: None,
            icmp_type: None,
        }
    }

    #[test]
    fn a_packet_without_ports_fails_every_port() {
        let isakmp = Selector {
            local_port: Some(500),
            protocol: Some(17),
            ..Selector::any(IpVersion::V6)
        };
        let first = Flow {
            ports: Some((500, 4500)),
            ..packet(17)
        };
        assert_eq!(isakmp.matches(&first, Direction::Out), Ok(()));
        let received = isakmp.matches(&first, Direction::In);
        assert_eq!(received, Err(SelectorField::LocalPort));
        for hidden in [packet(17), packet(50)] {
            let result = isakmp.matches(&hidden, Direction::Out);
            assert_eq!(result, Err(SelectorField::LocalPort));
        }
    }

    #[test]
    fn neighbour_discovery_is_icmpv6_of_four_types() {
        let nd_all = Selector {
            neighbour_discovery: true,
            ..Selector::any(IpVersion::V6)
        };
        let selected = |protocol, icmp_type| {
            let flow = Flow {
                icmp_type,
                ..packet(protocol)
            };
            nd_all.matches(&flow, Direction::In).is_ok()
        };
        let types = (0..=u8::MAX).filter(|kind| selected(58, Some(*kind)));
        assert!(types.eq(133..=136));
        assert!(!selected(58, None) && !selected(1, Some(135)) && !selected(17, Some(135)));
        assert!(!nd_all.contains(&Selector::any(IpVersion::V6)));
        assert!(Selector::any(IpVersion::V6).contains(&nd_all));
    }

    /// A name decides who negotiates; it stands on no packet.
    #[test]
    fn names_exclude_no_packet() {
        let client = Selector {
            remote_name: Some(Name::new("client")),
            local_name: Some(Name::new("office")),
            ..Selector::any(IpVersion::V6)
        };
        assert_eq!(client.matches(&packet(17), Direction::Out), Ok(()));
    }

    #[test]
    fn ranges_are_covered_exactly() {
        let of = |low: &str, high: &str| {
            let range = AddressSelector::Range(low.parse().unwrap(), high.parse().unwrap());
            let networks = range.networks().into_iter();
            let networks = networks.map(|(address, len)| format!("{address}/{len}"));
            networks.collect::<Vec<_>>()
        };
        assert_eq!(of("192.168.20.0", "192.168.20.255"), ["192.168.20.0/24"]);
        assert_eq!(of("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(
            of("10.0.0.1", "10.0.0.6"),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        let halves = ["0.0.0.0/1", "128.0.0.0/1"];
        assert_eq!(of("0.0.0.0", "255.255.255.255"), halves);
        let last = "255.255.255.255";
        assert_eq!(of(last, last), [format!("{last}/32")]);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(of("::", last), ["::/1", "8000::/1"]);
        assert_eq!(of("fd00::", "fd00::ffff"), ["fd00::/112"]);
        assert_eq!(of(last, last), [format!("{last}/128")]);
        assert!(of("10.0.0.2", "10.0.0.1").is_empty());
        assert!(AddressSelector::Any.networks().is_empty());
    }
}
