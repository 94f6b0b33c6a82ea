//! The IP and IPv6 commands that the IPsec chapter needs.

use alloc::boxed::Box;
use alloc::format;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_core::model::{AddressSelector, InterfaceName, Name, PolicyConfig};
use ipsec_core::net::{InterfaceId, Net, Route, RouteTemplate};
use isakmp_core::device::State;

use super::ipsec::network_source;
use super::{Plan, foreign, isakmp};
use crate::message::{Message, Module, table};
use crate::parse::{Parsed, Value};

pub(super) fn plan(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let address = |name: &str| match command.get(name).map(|given| &given.value) {
        Some(Value::Address(address)) => Some(*address),
        _ => None,
    };
    let mask = match command.get("MASK").map(|given| &given.value) {
        Some(Value::Mask(length)) => Some(*length),
        _ => None,
    };
    let prefix = |name: &str| match command.get(name).map(|given| &given.value) {
        Some(Value::Selector(AddressSelector::Prefix(address, length))) => {
            Some((*address, *length))
        }
        _ => None,
    };
    let name = InterfaceName::new(command.text("INTERFACE").unwrap_or(""));
    let mut net = state.net.clone();
    match (command.spec.verb, command.spec.object) {
        ("ENABLE", ["IP"]) => Ok(Plan::EnableIp),
        ("ENABLE", ["IP", "REMOTEASSIGN"]) => Ok(Plan::RemoteAssign),
        ("ENABLE", ["IPV6"]) => Ok(Plan::EnableIpv6),
        ("ADD", ["IP", "INTERFACE"]) => {
            let address = address("IPADDRESS").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let length = mask.unwrap_or_else(|| natural(address));
            add_address(&mut net, &name, (address, length))?;
            Ok(readdressed(state, net, command))
        }
        ("ADD", ["IPV6", "INTERFACE"]) => {
            let address = prefix("IPADDRESS").unwrap_or((IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128));
            add_address(&mut net, &name, address)?;
            Ok(readdressed(state, net, command))
        }
        ("ADD", ["IP", "ROUTE"]) => {
            let interface = known(&net, &name)?;
            let destination = address("ROUTE").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let length = if destination.is_unspecified() {
                0
            } else {
                mask.unwrap_or_else(|| natural(destination))
            };
            net.add_route(Route {
                destination: (destination, length),
                interface,
                next_hop: address("NEXTHOP").filter(|hop| !hop.is_unspecified()),
            });
            Ok(Plan::Net(Box::new(net)))
        }
        ("ADD", ["IP", "ROUTE", "TEMPLATE"]) => {
            let template = command.text("TEMPLATE").unwrap_or("");
            if net.template(template).is_some() {
                let what = "the IP route template";
                return Err(table::EXISTS.by(Module::Ip, &[&what, &template]));
            }
            net.add_template(RouteTemplate {
                name: Name::new(template),
                interface: known(&net, &name)?,
                next_hop: address("NEXTHOP").filter(|hop| !hop.is_unspecified()),
            });
            Ok(Plan::Net(Box::new(net)))
        }
        ("DELETE", ["IP", "ROUTE", "TEMPLATE"]) => {
            let what = "the IP route template";
            let template = command.text("TEMPLATE").unwrap_or("");
            if net.template(template).is_none() {
                return Err(table::MISSING.by(Module::Ip, &[&what, &template]));
            }
            let uses = |policy: &&PolicyConfig| {
                let named = policy.route_template.as_ref();
                named.is_some_and(|name| *name == *template)
            };
            if let Some(policy) = state.ipsec.policies.iter().find(uses) {
                let user = format!("IPsec policy {}", policy.name);
                return Err(table::IN_USE.by(Module::Ip, &[&what, &template, &user]));
            }
            net.delete_template(template);
            Ok(Plan::Net(Box::new(net)))
        }
        ("ADD", ["IPV6", "ROUTE"]) => {
            let interface = known(&net, &name)?;
            net.add_route(Route {
                destination: prefix("ROUTE").unwrap_or((IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)),
                interface,
                next_hop: address("NEXTHOP").filter(|hop| !hop.is_unspecified()),
            });
            Ok(Plan::Net(Box::new(net)))
        }
        _ => Ok(foreign(command)),
    }
}

/// Gives an interface an address; an unspecified one leaves it unnumbered.
fn add_address(net: &mut Net, name: &InterfaceName, address: (IpAddr, u8)) -> Result<(), Message> {
    let id = net.interface(name);
    if net.is_local(address.0) {
        return Err(table::ADDRESS_TAKEN.by(Module::Ip, &[&address.0]));
    }
    if !address.0.is_unspecified()
        && let Some(interface) = net.get_mut(id)
    {
        interface.addresses.push(address);
    }
    Ok(())
}

/// The change of addresses, with a warning when it makes a policy send from a network's own
/// address.
fn readdressed(state: &State, net: Net, command: &Parsed) -> Plan {
    let ipsec = state.ipsec.policies.iter().find_map(|policy| {
        let message = network_source(policy, &net)?;
        let new = network_source(policy, &state.net).is_none();
        new.then_some(message)
    });
    let isakmp = state.isakmp.policies.iter().find_map(|policy| {
        let message = isakmp::network_source(policy, &net)?;
        let new = isakmp::network_source(policy, &state.net).is_none();
        new.then_some(message)
    });
    let warning = ipsec
        .or(isakmp)
        .map(|message| message.about_given(command.get("IPADDRESS")));
    Plan::Net(Box::new(net)).warned(warning)
}

/// The interface of that name, which a route needs.
fn known(net: &Net, name: &InterfaceName) -> Result<InterfaceId, Message> {
    net.by_name(name)
        .ok_or_else(|| table::NO_INTERFACE.by(Module::Ip, &[name]))
}

/// The prefix length of an address's class, which holds where no mask is given.
const fn natural(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(a) => match a.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        },
        IpAddr::V6(_) => 64,
    }
}
