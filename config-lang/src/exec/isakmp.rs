//! The ISAKMP commands.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::Display;

use hw_offload::{DhGroup, Engines, Secret};
use ipsec_core::model::{InterfaceName, IpVersion, Name, PeerAddress, PolicyConfig};
use ipsec_core::net::Net;
use isakmp_core::config::{
    AuthType, Backoff, DpdMode, ExchangeLimit, HeartbeatMode, IsakmpConfig, IsakmpPolicyConfig,
    Phase1Mode, Retries, Xauth, XauthPassword, XauthType,
};
use isakmp_core::debug::IsakmpDebug;
use isakmp_core::device::State;
use isakmp_core::negotiate::phase1::hash_of_word;

use super::{Look, Plan, PolicyChange, foreign};
use crate::message::{Message, Module, table};
use crate::parse::{Parsed, Value};
use crate::show::isakmp as show;

fn missing(what: &str, name: &dyn Display) -> Message {
    table::MISSING.by(Module::Isakmp, &[&what, name])
}

const POLICY: &str = "the ISAKMP policy";

pub(super) fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    let config = state.isakmp.clone();
    match (command.spec.verb, command.spec.object) {
        ("ENABLE", ["ISAKMP"]) => {
            let text = |name| command.text(name).map(String::from);
            let config = IsakmpConfig {
                enabled: true,
                udp_port: command.small("UDPPORT").or(config.udp_port),
                local_rsa_key: command.small("LOCALRSAKEY").or(config.local_rsa_key),
                policy_server: command.bool("POLICYSERVERENABLED").or(config.policy_server),
                policy_file: text("POLICYFILENAME").or(config.policy_file),
                ..config
            };
            Ok(Plan::Isakmp(Module::Isakmp, Box::new(config), None))
        }
        ("DISABLE", ["ISAKMP"]) => Ok(Plan::Isakmp(
            Module::Isakmp,
            Box::new(IsakmpConfig {
                enabled: false,
                ..config
            }),
            None,
        )),
        ("CREATE" | "SET" | "DESTROY", ["ISAKMP", "POLICY"]) => policy(look, config, command),
        ("RESET", ["ISAKMP", "POLICY"]) => {
            let name = command.text("POLICY").unwrap_or("");
            match config.policy(name) {
                Some(policy) => Ok(Plan::ResetIsakmp(policy.name.clone())),
                None => Err(missing(POLICY, &name)),
            }
        }
        ("ENABLE" | "DISABLE", ["ISAKMP", "DEBUG"]) => debug(command),
        ("RESET", ["ISAKMP", "COUNTER"]) => Ok(Plan::ResetIsakmpCounters(word(command, "COUNTER"))),
        ("SHOW", _) => screen(look, command),
        _ => Ok(foreign(command)),
    }
}

/// The word of a parameter of words.
fn word(command: &Parsed, name: &str) -> Option<&'static str> {
    match command.get(name).map(|given| &given.value) {
        Some(Value::Word(word)) => Some(*word),
        _ => None,
    }
}

fn screen<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let (state, endpoint) = (look.device.state(), look.device.endpoint());
    let text = match command.spec.object {
        ["ISAKMP"] => show::isakmp(state),
        ["ISAKMP", "COUNTERS"] => show::counters(endpoint, word(command, "COUNTERS")),
        ["ISAKMP", "POLICY"] => match command.text("POLICY") {
            None => show::policies(state),
            Some(name) => {
                show::policy(state, endpoint, name).ok_or_else(|| missing(POLICY, &name))?
            }
        },
        ["ISAKMP", "EXCHANGE"] => match command.number("EXCHANGE") {
            None => show::exchanges(endpoint, look.now),
            Some(number) => show::exchange(state, endpoint, look.now, number)
                .ok_or_else(|| missing("the exchange", &number))?,
        },
        ["ISAKMP", "SA"] => match command.number("SA") {
            None => show::sas(endpoint, look.now),
            Some(number) => show::sa(endpoint, look.now, number)
                .ok_or_else(|| missing("the ISAKMP SA", &number))?,
        },
        _ => return Ok(foreign(command)),
    };
    Ok(Plan::Print(text))
}

/// ENABLE and DISABLE ISAKMP DEBUG.
fn debug(command: &Parsed) -> Result<Plan, Message> {
    let enable = command.spec.verb == "ENABLE";
    let set = match command.word("DEBUG") {
        Some("PACKET" | "PKT") => IsakmpDebug::PACKET,
        Some("PKTRAW") => IsakmpDebug::PKTRAW,
        Some("STATE") => IsakmpDebug::STATE,
        Some("TRACE") => IsakmpDebug::TRACE,
        Some("TRACEMORE") => IsakmpDebug::TRACEMORE,
        Some("DEFAULT") => IsakmpDebug::DEFAULT,
        _ => IsakmpDebug::ALL,
    };
    Ok(Plan::WatchIsakmp(set, enable))
}

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
            return Err(table::EXISTS.by(Module::Isakmp, &[&POLICY, &name]));
        }
        ("CREATE", None) => {
            IsakmpPolicyConfig::new(Name::new(name), peer.clone().unwrap_or(PeerAddress::Any))
        }
        (_, None) => {
            return Err(missing(POLICY, &name));
        }
        ("DESTROY", Some(_)) => {
            config.policies.retain(|policy| policy.name != *name);
            let destroyed = Some(PolicyChange::Destroyed(Name::new(name)));
            return Ok(Plan::Isakmp(Module::Isakmp, Box::new(config), destroyed));
        }
        (_, Some(record)) => record.clone(),
    };
    if let Some(peer) = peer {
        record.peer = peer;
    }
    fill(&mut record, command);
    let state = look.device.state();
    record
        .check(&config, &state.keys)
        .map_err(|fault| Message::refused(Module::Isakmp, &fault))?;
    check_users(state, &record, command)?;
    let group_0 = command
        .get("GROUP")
        .filter(|_| record.group == Some(DhGroup::Modp512))
        .map(|given| table::GROUP_0.by(Module::Isakmp, &[]).about(given.at));
    let by_certificate = record.verifies_signatures() && record.key.is_none();
    let no_authority = by_certificate && !config.pki.trusts();
    let warning =
        group_0.or_else(|| no_authority.then(|| table::NO_AUTHORITY.by(Module::Isakmp, &[])));
    let old = place.and_then(|place| config.policies.get_mut(place));
    let nowhere = network_source(&record, &state.net)
        .filter(|_| {
            let old = old.as_deref();
            old.is_none_or(|old| network_source(old, &state.net).is_none())
        })
        .map(|message| message.about_given(command.get("SRCINTERFACE")));
    match old {
        Some(old) => *old = record,
        None => config.policies.push(record),
    }
    let changed = place.map(|_| PolicyChange::Set(Name::new(name)));
    let plan = Plan::Isakmp(Module::Isakmp, Box::new(config), changed);
    Ok(plan.warned(warning).warned(nowhere))
}

/// Whether the IPsec policies that are negotiated under a policy go with it.
fn check_users(
    state: &State,
    record: &IsakmpPolicyConfig,
    command: &Parsed,
) -> Result<(), Message> {
    let served = |policy: &&PolicyConfig| record.serves(policy);
    for policy in state.ipsec.policies.iter().filter(served) {
        if policy.udp_tunnel == Some(true) && record.traverses_nat() {
            let given = ["NATTRAVERSAL", "PEER"];
            let given = given.into_iter().find_map(|name| command.get(name));
            let message = super::ipsec::two_translations(Module::Isakmp, policy, record);
            return Err(message.about_given(given));
        }
        if let Some(template) = &policy.route_template
            && policy.isakmp_policy.is_some()
            && record.peer != PeerAddress::Any
        {
            let text = format!(
                "IPROUTETEMPLATE={template} of IPsec policy {} needs PEER=ANY",
                policy.name
            );
            let message = table::CONFLICT.by(Module::Isakmp, &[&text]);
            return Err(message.about_given(command.get("PEER")));
        }
    }
    Ok(())
}

/// The warning that a policy with SRCINTERFACE sends from a network's own address.
pub(super) fn network_source(policy: &IsakmpPolicyConfig, net: &Net) -> Option<Message> {
    let id = net.by_name(policy.src_interface.as_ref()?)?;
    let v4 = policy.version() == IpVersion::V4;
    let mut addresses = net.get(id)?.addresses.iter().map(|(address, _)| *address);
    let source = addresses.find(|address| address.is_ipv4() == v4)?;
    net.is_network_address(source)
        .then(|| table::NETWORK_SOURCE.by(Module::Isakmp, &[&policy.name, &source]))
}

/// Overlays a record with what was given.
fn fill(record: &mut IsakmpPolicyConfig, command: &Parsed) {
    for given in &command.given {
        match &given.value {
            Value::Number(number) => fill_number(record, given.name, *number),
            Value::Word(word) => fill_word(record, given.name, word),
            Value::Bool(on) => fill_bool(record, given.name, *on),
            Value::Text(text) => fill_text(record, given.name, text),
            Value::Address(_)
            | Value::Selector(_)
            | Value::Mask(_)
            | Value::Bundle(_)
            | Value::Words(_)
            | Value::Flag => {}
        }
    }
}

fn fill_number(record: &mut IsakmpPolicyConfig, name: &str, number: u32) {
    // The grammar's bounds are those of the fields.
    let small = u16::try_from(number).ok();
    match name {
        "DELETEDELAY" => record.delete_delay = small,
        "DHEXPONENTLENGTH" => record.dh_exponent_length = small,
        "DPDIDLETIMEOUT" => record.dpd_idle_timeout = Some(number),
        "EXPIRYKBYTES" => record.expiry_kbytes = Some(number),
        "EXPIRYSECONDS" => record.expiry_seconds = Some(number),
        "KEY" => record.key = small,
        "LOCALRSAKEY" => record.local_rsa_key = small,
        "MSGRETRYLIMIT" => record.msg_retry_limit = small,
        "MSGTIMEOUT" => record.msg_timeout = Some(number),
        "PHASE2XCHGLIMIT" => record.phase2_limit = small.map(ExchangeLimit::Exchanges),
        "RETRYIKEATTEMPTS" => {
            record.retry_ike_attempts = u8::try_from(number).ok().map(Retries::Times);
        }
        _ => {}
    }
}

fn fill_word(record: &mut IsakmpPolicyConfig, name: &str, word: &str) {
    match name {
        "IPVERSION" => record.version = IpVersion::from_word(word),
        "AUTHTYPE" => record.auth_type = AuthType::from_word(word),
        "DPDMODE" => record.dpd_mode = DpdMode::from_word(word),
        "ENCALG" => record.encalg = super::ipsec::cipher(word),
        "GROUP" => record.group = word.parse().ok().and_then(DhGroup::from_number),
        "HASHALG" => record.hashalg = hash_of_word(word),
        "HEARTBEATMODE" => record.heartbeat_mode = HeartbeatMode::from_word(word),
        "MODE" => record.mode = Phase1Mode::from_word(word),
        "MSGBACKOFF" => record.msg_backoff = Backoff::from_word(word),
        "PHASE2XCHGLIMIT" => record.phase2_limit = Some(ExchangeLimit::None),
        "RETRYIKEATTEMPTS" => record.retry_ike_attempts = Some(Retries::Continuous),
        "XAUTH" => record.xauth = Xauth::from_word(word),
        "XAUTHTYPE" => record.xauth_type = XauthType::from_word(word),
        _ => {}
    }
}

fn fill_bool(record: &mut IsakmpPolicyConfig, name: &str, on: bool) {
    let field = match name {
        "HYBRIDXAUTH" => &mut record.hybrid_xauth,
        "NATTRAVERSAL" => &mut record.nat_traversal,
        "PRENEGOTIATE" => &mut record.prenegotiate,
        "REKEY" => &mut record.rekey,
        "SENDDELETES" => &mut record.send_deletes,
        "SENDNOTIFY" => &mut record.send_notify,
        "SENDIDALWAYS" => &mut record.send_id_always,
        "SETCOMMITBIT" => &mut record.set_commit_bit,
        _ => return,
    };
    *field = Some(on);
}

fn fill_text(record: &mut IsakmpPolicyConfig, name: &str, text: &str) {
    match name {
        "LOCALID" => record.local_id = Some(Name::new(text)),
        "POLICYFILENAME" => record.policy_file = Some(String::from(text)),
        "REMOTEID" => record.remote_id = Some(Name::new(text)),
        "SRCINTERFACE" => record.src_interface = Some(InterfaceName::new(text)),
        "XAUTHNAME" => record.xauth_name = Some(String::from(text)),
        "XAUTHPASSWORD" => {
            record.xauth_password = Some(XauthPassword(Secret::copy_of(text.as_bytes())));
        }
        _ => {}
    }
}
