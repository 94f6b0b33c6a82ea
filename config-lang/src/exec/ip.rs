//! The IP commands that the IPsec chapter needs.

use alloc::boxed::Box;
use alloc::format;
use core::net::{IpAddr, Ipv4Addr};

use ipsec_core::model::InterfaceName;
use ipsec_core::net::Route;
use isakmp_core::device::State;

use super::{Plan, not_yet_command};
use crate::message::{Message, Module};
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
    let name = InterfaceName::new(command.text("INTERFACE").unwrap_or(""));
    let mut net = state.net.clone();
    match (command.spec.verb, command.spec.object) {
        ("ENABLE", ["IP"]) => Ok(Plan::EnableIp),
        ("ADD", ["IP", "INTERFACE"]) => {
            let id = net.interface(&name);
            let address = address("IPADDRESS").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            if net.is_local(address) {
                let text = format!("the address {address} is configured already");
                return Err(Message::error(Module::Ip, 1, text));
            }
            // 0.0.0.0 leaves the interface unnumbered.
            if !address.is_unspecified()
                && let Some(interface) = net.get_mut(id)
            {
                interface
                    .addresses
                    .push((address, mask.unwrap_or_else(|| natural(address))));
            }
            Ok(Plan::Net(Box::new(net)))
        }
        ("ADD", ["IP", "ROUTE"]) => {
            let Some(interface) = net.by_name(&name) else {
                let text = format!("the interface {name} has no IP configuration");
                return Err(Message::error(Module::Ip, 2, text));
            };
            let destination = address("ROUTE").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let length = if destination.is_unspecified() {
                0
            } else {
                mask.unwrap_or_else(|| natural(destination))
            };
            let next_hop = address("NEXTHOP").filter(|hop| !hop.is_unspecified());
            net.add_route(Route {
                destination: (destination, length),
                interface,
                next_hop,
            });
            Ok(Plan::Net(Box::new(net)))
        }
        _ => Err(not_yet_command(Module::Ip, command)),
    }
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
