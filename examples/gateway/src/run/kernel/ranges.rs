//! Which addresses must pass the SPD, as networks that a kernel routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_core::model::{Action, IpVersion, PolicyConfig, Selector};
use ipsec_core::net::InterfaceId;
use isakmp_core::device::State;

/// An address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(pub(super) IpAddr, pub(super) u8);

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl Network {
    /// The network that an address with that prefix length lies in.
    pub(super) fn of(address: IpAddr, len: u8) -> Self {
        let address = match address {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::V4((a.to_bits() & mask).into())
            }
            IpAddr::V6(a) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                IpAddr::V6((a.to_bits() & mask).into())
            }
        };
        Self(address, len)
    }

    /// Whether an address lies in it.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.0.is_ipv4() && Self::of(address, self.1) == *self
    }

    /// Everything, in two halves: a default route would be the kernel's own, and these are more
    /// specific.
    const fn halves(version: IpVersion) -> [Self; 2] {
        match version {
            IpVersion::V4 => [
                Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1),
                Self(IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)), 1),
            ],
            IpVersion::V6 => [
                Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 1),
                Self(IpAddr::V6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)), 1),
            ],
        }
    }

    /// The option that tells `ip` the version.
    pub(super) const fn family(&self) -> &'static str {
        family(self.0)
    }
}

/// The option that tells `ip` the version of an address.
pub(super) const fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "-4" } else { "-6" }
}

/// What must pass the SPD: the remote ranges of the policies that do not permit, each with its
/// policy and the interface, and everything where an interface's last word is the implicit DENY.
pub(super) fn ranges<'a>(
    state: &'a State,
    guarded: &[InterfaceId],
) -> Vec<(Network, InterfaceId, Option<&'a PolicyConfig>)> {
    let mut ranges: Vec<(Network, InterfaceId, Option<&PolicyConfig>)> = Vec::new();
    if !state.ipsec.enabled {
        return ranges;
    }
    let mut add = |network, on, policy| {
        if !ranges.iter().any(|(range, ..)| *range == network) {
            ranges.push((network, on, policy));
        }
    };
    for on in guarded {
        let (mut open, mut any_v6) = (Vec::new(), false);
        let here = |policy: &&PolicyConfig| state.net.by_name(&policy.interface) == Some(*on);
        for policy in state.ipsec.policies.iter().filter(here) {
            let selector = policy.selector();
            any_v6 |= selector.version == IpVersion::V6;
            if policy.action == Action::Permit {
                if selector == Selector::any(selector.version) {
                    open.push(selector.version);
                }
                continue;
            }
            for network in networks(&selector) {
                add(network, *on, Some(policy));
            }
        }
        let versions = [(IpVersion::V4, true), (IpVersion::V6, any_v6)];
        for (version, _) in versions.iter().filter(|(_, used)| *used) {
            if !open.contains(version) {
                for half in Network::halves(*version) {
                    add(half, *on, None);
                }
            }
        }
    }
    ranges
}

/// The networks that cover a selector's remote addresses exactly.
fn networks(selector: &Selector) -> Vec<Network> {
    match selector.remote.bounds() {
        None => Network::halves(selector.version).to_vec(),
        Some((low, high)) => cover(low, high),
    }
}

/// The fewest networks that hold exactly the addresses from `low` to `high`.
fn cover(low: IpAddr, high: IpAddr) -> Vec<Network> {
    let (mut next, last, width) = match (low, high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => (low.to_bits().into(), high.to_bits().into(), 32),
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
        networks.push(Network(address, len));
        match next.checked_add(1 << bits) {
            Some(following) => next = following,
            None => break,
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::{Network, cover};

    #[test]
    fn ranges_are_covered_exactly() {
        let of = |low: &str, high: &str| {
            let networks = cover(low.parse().unwrap(), high.parse().unwrap());
            networks.iter().map(Network::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("192.168.20.0", "192.168.20.255"), ["192.168.20.0/24"]);
        assert_eq!(of("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(
            of("10.0.0.1", "10.0.0.6"),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        assert_eq!(
            of("0.0.0.0", "255.255.255.255"),
            ["0.0.0.0/1", "128.0.0.0/1"]
        );
        assert_eq!(
            of("255.255.255.255", "255.255.255.255"),
            ["255.255.255.255/32"]
        );
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(of("::", all), ["::/1", "8000::/1"]);
        assert_eq!(of("fd00::", "fd00::ffff"), ["fd00::/112"]);
        assert_eq!(of(all, all), [format!("{all}/128")]);
    }

    #[test]
    fn networks_are_addresses_under_their_masks() {
        let of = |address: &str, len| Network::of(address.parse().unwrap(), len).to_string();
        assert_eq!(of("10.1.2.3", 24), "10.1.2.0/24");
        assert_eq!(of("10.1.2.3", 32), "10.1.2.3/32");
        assert_eq!(of("10.1.2.3", 0), "0.0.0.0/0");
        assert_eq!(of("fd00::1:2:3", 64), "fd00::/64");
    }
}
