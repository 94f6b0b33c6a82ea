//! The ISAKMP commands.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use hw_offload::{DhGroup, Engines, Hash};
use ipsec_core::model::{ConfigFault, Name, PeerAddress};
use isakmp_core::config::{Backoff, IsakmpConfig, IsakmpPolicyConfig};

use super::{Look, Plan, not_yet_command, refuse_later};
use crate::message::{Message, Module};
use crate::parse::{Given, Parsed, Value};
use crate::show;

fn error(number: u16, text: String) -> Message {
    Message::error(Module::Isakmp, number, text)
}

pub(super) fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    let config = state.isakmp.clone();
    match (command.spec.verb, command.spec.object) {
        ("ENABLE", ["ISAKMP"]) => {
            refuse_later(Module::Isakmp, command, |given| match given.name {
                "UDPPORT" => false,
                "POLICYSERVERENABLED" => given.value == Value::Bool(true),
                _ => true,
            })?;
            let udp_port = command.small("UDPPORT").or(config.udp_port);
            let config = IsakmpConfig {
                enabled: true,
                udp_port,
                ..config
            };
            Ok(Plan::Isakmp(Box::new(config), None))
        }
        ("DISABLE", ["ISAKMP"]) => Ok(Plan::Isakmp(
            Box::new(IsakmpConfig {
                enabled: false,
                ..config
            }),
            None,
        )),
        ("CREATE" | "SET" | "DESTROY", ["ISAKMP", "POLICY"]) => policy(look, config, command),
        ("SHOW", ["ISAKMP"]) => Ok(Plan::Print(show::isakmp(state))),
        ("SHOW", ["ISAKMP", "SA"]) => {
            let endpoint = look.device.endpoint();
            match command.number("SA") {
                None => Ok(Plan::Print(show::isakmp_sas(endpoint, look.now))),
                Some(number) => show::isakmp_sa(endpoint, look.now, number)
                    .map(Plan::Print)
                    .ok_or_else(|| error(11, format!("the ISAKMP SA {number} does not exist"))),
            }
        }
        _ => Err(not_yet_command(Module::Isakmp, command)),
    }
}

/// Values that mean that a feature of a later version is off.
fn is_off(given: &Given) -> bool {
    match (&given.value, given.name) {
        (Value::Bool(on), _) => !on,
        (Value::Word("NONE"), _) => true,
        (Value::Word(word), "MODE") => *word == "MAIN",
        (Value::Word(word), "AUTHTYPE") => *word == "PRESHARED",
        (Value::Number(n), "RETRYIKEATTEMPTS") => *n == 0,
        _ => false,
    }
}

/// The parameters that this version acts on.
const BUILT: [&str; 16] = [
    "POLICY",
    "PEER",
    "KEY",
    "ENCALG",
    "HASHALG",
    "GROUP",
    "DHEXPONENTLENGTH",
    "EXPIRYSECONDS",
    "LOCALID",
    "REMOTEID",
    "SENDNOTIFY",
    "SENDDELETES",
    "DELETEDELAY",
    "MSGTIMEOUT",
    "MSGRETRYLIMIT",
    "MSGBACKOFF",
];

fn policy<E: Engines>(
    look: &Look<'_, E>,
    mut config: IsakmpConfig,
    command: &Parsed,
) -> Result<Plan, Message> {
    let name = command.text("POLICY").unwrap_or("");
    let place = config
        .policies
        .iter()
        .position(|policy| policy.name == *name);
    let changed = Some(Name::new(name)).filter(|_| place.is_some());
    refuse_later(Module::Isakmp, command, |given| {
        !BUILT.contains(&given.name) && !is_off(given)
    })?;
    let peer = match command.get("PEER").map(|given| &given.value) {
        Some(Value::Address(address)) => Some(PeerAddress::Address(*address)),
        Some(Value::Text(text)) => Some(PeerAddress::Host(Name::new(text))),
        Some(_) => Some(PeerAddress::Any),
        None => None,
    };
    let mut record = match (
        command.spec.verb,
        place.and_then(|p| config.policies.get(p)),
    ) {
        ("CREATE", Some(_)) => {
            return Err(error(
                12,
                format!("the ISAKMP policy {name} exists already"),
            ));
        }
        ("CREATE", None) => {
            IsakmpPolicyConfig::new(Name::new(name), peer.clone().unwrap_or(PeerAddress::Any))
        }
        (_, None) => {
            return Err(error(
                11,
                format!("the ISAKMP policy {name} does not exist"),
            ));
        }
        ("DESTROY", Some(_)) => {
            config.policies.retain(|policy| policy.name != *name);
            return Ok(Plan::Isakmp(Box::new(config), changed));
        }
        (_, Some(record)) => record.clone(),
    };
    if let Some(peer) = peer {
        record.peer = peer;
    }
    fill(&mut record, command);
    record.check(&look.device.state().keys).map_err(|fault| {
        let number = if matches!(fault, ConfigFault::NotYet(_)) {
            99
        } else {
            10
        };
        error(number, format!("{fault}"))
    })?;
    let warning = command
        .get("GROUP")
        .filter(|_| record.group == Some(DhGroup::Modp512))
        .map(|given| super::group_0(Module::Isakmp).about(given.at));
    match place.and_then(|place| config.policies.get_mut(place)) {
        Some(old) => *old = record,
        None => config.policies.push(record),
    }
    Ok(Plan::Isakmp(Box::new(config), changed).warned(warning))
}

/// Overlays a record with what was given.
fn fill(record: &mut IsakmpPolicyConfig, command: &Parsed) {
    for given in &command.given {
        match (given.name, &given.value) {
            ("KEY", Value::Number(n)) => record.key = u16::try_from(*n).ok(),
            ("ENCALG", Value::Word(word)) => record.encalg = super::ipsec::cipher(word),
            ("HASHALG", Value::Word(word)) => {
                record.hashalg = Some(if *word == "MD5" {
                    Hash::Md5
                } else {
                    Hash::Sha1
                });
            }
            ("GROUP", Value::Word(word)) => {
                record.group = word.parse().ok().and_then(DhGroup::from_number);
            }
            ("DHEXPONENTLENGTH", Value::Number(n)) => {
                record.dh_exponent_length = u16::try_from(*n).ok();
            }
            ("EXPIRYSECONDS", Value::Number(n)) => record.expiry_seconds = Some(*n),
            ("LOCALID", Value::Text(text)) => record.local_id = Some(Name::new(text)),
            ("REMOTEID", Value::Text(text)) => record.remote_id = Some(Name::new(text)),
            ("SENDNOTIFY", Value::Bool(on)) => record.send_notify = Some(*on),
            ("SENDDELETES", Value::Bool(on)) => record.send_deletes = Some(*on),
            ("DELETEDELAY", Value::Number(n)) => record.delete_delay = u16::try_from(*n).ok(),
            ("MSGTIMEOUT", Value::Number(n)) => record.msg_timeout = Some(*n),
            ("MSGRETRYLIMIT", Value::Number(n)) => record.msg_retry_limit = u16::try_from(*n).ok(),
            ("MSGBACKOFF", Value::Word(word)) => {
                let none = *word == "NONE";
                record.msg_backoff = Some(if none {
                    Backoff::None
                } else {
                    Backoff::Incremental
                });
            }
            _ => {}
        }
    }
}
