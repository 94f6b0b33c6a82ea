//! Which addresses must pass the SPD, as networks that a kernel routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_core::model::{Action, IpVersion, PolicyConfig, Selector};
use ipsec_core::net::InterfaceId;
use isakmp_core::device::State;

/// An address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(super) IpAddr, pub(super) u8);

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl Network {
    /// The network that an address with that prefix length lies in.
    pub(crate) fn of(address: IpAddr, len: u8) -> Self {
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
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
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
        Some(_) => {
            let networks = selector.remote.networks().into_iter();
            networks
                .map(|(address, len)| Network(address, len))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn networks_are_addresses_under_their_masks() {
        let of = |address: &str, len| Network::of(address.parse().unwrap(), len).to_string();
        assert_eq!(of("10.1.2.3", 24), "10.1.2.0/24");
        assert_eq!(of("10.1.2.3", 32), "10.1.2.3/32");
        assert_eq!(of("10.1.2.3", 0), "0.0.0.0/0");
        assert_eq!(of("fd00::1:2:3", 64), "fd00::/64");
    }
}
