//! Interfaces, addresses and routes: what the machines must know of the router around them.

mod registered;

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{
    Action, AddressSelector, InterfaceName, IpVersion, Name, PeerAddress, PolicyConfig,
};
use crate::sad::BundleId;
use registered::Registered;

/// An interface, by the order in which it was made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u16);

/// A logical interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// Its addresses with prefix lengths, in the order of configuration; none if unnumbered.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The longest datagram it carries.
    pub mtu: u16,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads, as address and prefix length.
    pub destination: (IpAddr, u8),
    /// The interface it leaves by.
    pub interface: InterfaceId,
    /// The next router; none where the destination is reached directly.
    pub next_hop: Option<IpAddr>,
}

/// A route that lacks its destination: the remote addresses of an SA (ADD IP ROUTE TEMPLATE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTemplate {
    /// Its name.
    pub name: Name,
    /// The interface that the routes leave by.
    pub interface: InterfaceId,
    /// The next router.
    pub next_hop: Option<IpAddr>,
}

/// The router's interfaces and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Net {
    interfaces: Vec<Interface>,
    routes: Vec<Route>,
    templates: Vec<RouteTemplate>,
    registered: Registered,
}

impl Net {
    /// The MTU of an interface of which nothing else is known.
    pub const DEFAULT_MTU: u16 = 1500;

    /// The interface of that name, made known if it was not.
    pub fn interface(&mut self, name: &InterfaceName) -> InterfaceId {
        if let Some(id) = self.by_name(name) {
            return id;
        }
        let id = InterfaceId(u16::try_from(self.interfaces.len()).unwrap_or(u16::MAX));
        self.interfaces.push(Interface {
            name: name.clone(),
            addresses: Vec::new(),
            mtu: Self::DEFAULT_MTU,
        });
        id
    }

    /// The interface of that name.
    #[must_use]
    pub fn by_name(&self, name: &InterfaceName) -> Option<InterfaceId> {
        let place = self
            .interfaces
            .iter()
            .position(|interface| interface.name == *name)?;
        u16::try_from(place).ok().map(InterfaceId)
    }

    /// An interface.
    #[must_use]
    pub fn get(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(usize::from(id.0))
    }

    /// An interface, to change it.
    #[must_use]
    pub fn get_mut(&mut self, id: InterfaceId) -> Option<&mut Interface> {
        self.interfaces.get_mut(usize::from(id.0))
    }

    /// Every interface.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        (0..).map(InterfaceId).zip(&self.interfaces)
    }

    /// Every route, in the order of configuration.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: Route) {
        self.routes.push(route);
    }

    /// Every route template, in the order of configuration.
    #[must_use]
    pub fn templates(&self) -> &[RouteTemplate] {
        &self.templates
    }

    /// The route template of that name.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&RouteTemplate> {
        self.templates
            .iter()
            .find(|template| template.name == *name)
    }

    /// Adds a route template.
    pub fn add_template(&mut self, template: RouteTemplate) {
        self.templates.push(template);
    }

    /// Removes a route template; the routes made from it stay as long as their SAs.
    pub fn delete_template(&mut self, name: &str) {
        self.templates.retain(|template| template.name != *name);
    }

    /// The routes that came with SAs, each with its bundle, shorter prefixes first.
    pub fn registered(&self) -> impl Iterator<Item = (BundleId, Route)> {
        self.registered.iter()
    }

    /// How many times a route was registered or withdrawn: as long as it stands still,
    /// [`Net::registered`] gives the same.
    #[must_use]
    pub fn registrations(&self) -> u64 {
        self.registered.changes
    }

    /// Adds a bundle's routes: from a template to its remote addresses. False if there is no such
    /// template.
    ///
    /// The peer has chosen the addresses, so it gets none to everything, as a router has one
    /// default route, and none within a network that the router is connected to elsewhere.
    pub fn register(&mut self, bundle: BundleId, template: &str, remote: AddressSelector) -> bool {
        let Some(RouteTemplate {
            interface,
            next_hop,
            ..
        }) = self.template(template).cloned()
        else {
            return false;
        };
        if remote.is_everything() {
            return true;
        }
        for destination in remote.networks() {
            if !self.is_connected_elsewhere(destination, interface) {
                let route = Route {
                    destination,
                    interface,
                    next_hop,
                };
                self.registered.insert(bundle, &route);
            }
        }
        true
    }

    /// Removes a bundle's routes.
    pub fn withdraw(&mut self, bundle: BundleId) {
        self.registered.remove(bundle);
    }

    /// Whether a network lies within one of another interface than `on`.
    fn is_connected_elsewhere(&self, (start, len): (IpAddr, u8), on: InterfaceId) -> bool {
        let others = self.interfaces().filter(|(id, _)| *id != on);
        others
            .flat_map(|(_, interface)| &interface.addresses)
            .any(|(own, own_len)| {
                len >= *own_len && AddressSelector::Prefix(*own, *own_len).matches(start)
            })
    }

    /// Whether the address is one of the router's own.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.interfaces
            .iter()
            .flat_map(|i| &i.addresses)
            .any(|(own, _)| *own == address)
    }

    /// The way to an address: the connected network or route with the longest prefix, the first
    /// of several.
    #[must_use]
    pub fn route(&self, destination: IpAddr) -> Option<(InterfaceId, Option<IpAddr>)> {
        let connected = self.interfaces().flat_map(|(id, interface)| {
            interface
                .addresses
                .iter()
                .map(move |(address, len)| ((*address, *len), id, None))
        });
        let routes = self.routes.iter();
        let routes = routes.map(|r| (r.destination, r.interface, r.next_hop));
        let mut best: Option<(u8, InterfaceId, Option<IpAddr>)> = None;
        for ((address, len), interface, next_hop) in connected.chain(routes) {
            let fits = AddressSelector::Prefix(address, len).matches(destination);
            if fits && best.is_none_or(|(longest, ..)| len > longest) {
                best = Some((len, interface, next_hop));
            }
        }
        let registered = self.registered.find(destination);
        if let Some(found) =
            registered.filter(|(len, ..)| best.is_none_or(|(longest, ..)| *len > longest))
        {
            best = Some(found);
        }
        best.map(|(_, interface, next_hop)| (interface, next_hop))
    }

    /// The own address for packets to `peer`: that of the sending interface (`on`, or where the
    /// route leads), or, if that is unnumbered, the one configured first on any other. A
    /// link-local address of IPv6 serves no peer but a link-local one.
    #[must_use]
    pub fn source_for(&self, peer: IpAddr, on: Option<InterfaceId>) -> Option<IpAddr> {
        let fits = |address: &IpAddr| match (address, peer) {
            (IpAddr::V4(_), IpAddr::V4(_)) => true,
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                own.is_unicast_link_local() == peer.is_unicast_link_local()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        };
        let first = |interface: &Interface| {
            interface
                .addresses
                .iter()
                .map(|(address, _)| *address)
                .find(&fits)
        };
        let on = on.or_else(|| self.route(peer).map(|(interface, _)| interface));
        on.and_then(|id| self.get(id))
            .and_then(first)
            .or_else(|| self.interfaces.iter().find_map(first))
    }

    /// The own address from which an IPSEC policy sends to its peer: that of SRCINTERFACE, else of
    /// its own interface, as [`Net::source_for`] finds it. None for other policies, and before
    /// there is an address.
    #[must_use]
    pub fn source_of(&self, policy: &PolicyConfig) -> Option<IpAddr> {
        if policy.action() != Action::Ipsec {
            return None;
        }
        let source = policy.src_interface.as_ref();
        let on = source
            .and_then(|name| self.by_name(name))
            .or_else(|| self.by_name(&policy.interface))?;
        let peer = policy.peer.as_ref().and_then(PeerAddress::address);
        let towards = peer.unwrap_or(match policy.version {
            Some(IpVersion::V6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Some(IpVersion::V4) | None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        });
        self.source_for(towards, Some(on))
    }

    /// Whether an own address is that of the network it stands in, to which nobody can answer:
    /// providers assign such ones to LAN type lines. Networks of one or two addresses have none.
    #[must_use]
    pub fn is_network_address(&self, address: IpAddr) -> bool {
        let mut own = self.interfaces.iter().flat_map(|i| &i.addresses);
        own.any(|(own, len)| {
            let host_bits = match own {
                IpAddr::V4(own) => own.to_bits().checked_shl(u32::from(*len)) == Some(0),
                IpAddr::V6(own) => own.to_bits().checked_shl(u32::from(*len)) == Some(0),
            };
            let bits = if own.is_ipv4() { 32 } else { 128 };
            *own == address && host_bits && len + 1 < bits
        })
    }
}
