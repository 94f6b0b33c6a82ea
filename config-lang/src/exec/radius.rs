//! ADD, DELETE and SHOW RADIUS SERVER.

use core::net::IpAddr;

use hw_offload::Secret;
use isakmp_core::device::{RadiusServer, State};

use super::{Plan, foreign};
use crate::message::{Message, Module, table};
use crate::parse::{Parsed, Value};
use crate::show;

pub(super) fn plan(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let address = match command.get("SERVER").map(|given| &given.value) {
        Some(Value::Address(address)) => *address,
        _ => IpAddr::from([0; 4]),
    };
    let mut servers = state.radius.clone();
    let place = servers.iter().position(|server| server.address == address);
    match (command.spec.verb, place) {
        ("ADD", Some(_)) => {
            Err(table::EXISTS.by(Module::Radius, &[&"the RADIUS server", &address]))
        }
        ("ADD", None) => {
            servers.push(RadiusServer {
                address,
                port: command.small("PORT").unwrap_or(RadiusServer::PORT),
                secret: Secret::copy_of(command.text("SECRET").unwrap_or("").as_bytes()),
            });
            Ok(Plan::Radius(servers))
        }
        ("DELETE", Some(place)) => {
            servers.remove(place);
            Ok(Plan::Radius(servers))
        }
        ("DELETE", None) => {
            Err(table::MISSING.by(Module::Radius, &[&"the RADIUS server", &address]))
        }
        ("SHOW", _) => Ok(Plan::Print(show::radius(state))),
        _ => Ok(foreign(command)),
    }
}
