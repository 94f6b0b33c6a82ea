//! The IPSEC commands.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;

use hw_offload::{Cipher, Engines};
use ipsec_core::counters::PolicyCounters;
use ipsec_core::debug::{DebugMask, Directions, Parts, Places, Results, Selectors};
use ipsec_core::model::{
    Action, AddressSelector, BundleConfig, ConfigFault, DfBit, HashAlg, InterfaceName, IpVersion,
    IpsecConfig, KeyManagement, Mode, Name, PeerAddress, PolicyConfig, Protocol, SaSpecConfig, Spi,
};
use ipsec_core::net::Net;
use ipsec_core::wire::udp_encap::Framing;
use isakmp_core::config::IsakmpPolicyConfig;
use isakmp_core::device::State;

use super::{Look, Plan, foreign};
use crate::message::{Message, Module, Row, table};
use crate::parse::{Parsed, Value};
use crate::show;

fn message(row: &'static Row, words: &[&dyn Display]) -> Message {
    row.by(Module::Ipsec, words)
}

fn refused(fault: &ConfigFault) -> Message {
    Message::refused(Module::Ipsec, fault)
}

fn missing(what: &str, name: impl Display) -> Message {
    message(&table::MISSING, &[&what, &name])
}

pub(super) fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    let config = state.ipsec.clone();
    match (command.spec.verb, command.spec.object) {
        ("ENABLE" | "DISABLE", ["IPSEC"]) => {
            let enabled = command.spec.verb == "ENABLE";
            Ok(Plan::Ipsec(
                Box::new(IpsecConfig { enabled, ..config }),
                None,
            ))
        }
        ("PURGE", ["IPSEC"]) => Ok(Plan::Ipsec(Box::default(), None)),
        ("RESET", ["IPSEC", "POLICY"]) => {
            let name = command.text("POLICY").unwrap_or("");
            config
                .policy(name)
                .ok_or_else(|| missing("the policy", name))?;
            Ok(Plan::Ipsec(Box::new(config), Some(Name::new(name))))
        }
        ("ENABLE" | "DISABLE", ["IPSEC", "POLICY", "DEBUG"]) => debug(look, command),
        (verb, ["IPSEC", "SASPECIFICATION"]) if verb != "SHOW" => sa_spec(state, config, command),
        (verb, ["IPSEC", "BUNDLESPECIFICATION"]) if verb != "SHOW" => {
            bundle(state, config, command)
        }
        (verb, ["IPSEC", "POLICY"]) if verb != "SHOW" => policy(look, config, command),
        ("SET", ["IPSEC", "UDPPORT"]) => match command.small::<u16>("UDPPORT") {
            Some(0) | None => Err(message(&table::PORT_ZERO, &[])),
            port => {
                let config = IpsecConfig {
                    udp_port: port,
                    ..config
                };
                Ok(Plan::Ipsec(Box::new(config), None))
            }
        },
        ("SHOW", ["IPSEC"]) => Ok(Plan::Print(show::ipsec(state))),
        ("SHOW", ["IPSEC", "ISAKMP"]) => {
            let (plane, endpoint) = (look.device.plane(), look.device.endpoint());
            let text = show::isakmp::with_ipsec(plane, endpoint, look.now);
            Ok(Plan::Print(text))
        }
        ("SHOW", ["IPSEC", "COUNTERS"]) => {
            let categories = categories(command, "COUNTERS");
            let plane = look.device.plane();
            Ok(Plan::Print(show::counters(plane, categories.as_deref())))
        }
        ("RESET", ["IPSEC", "COUNTER"]) => Ok(Plan::ResetCounters(categories(command, "COUNTER"))),
        ("RESET", ["IPSEC", "POLICY", "COUNTER"]) => {
            let name = command.text("POLICY").unwrap_or("");
            let policy = config
                .policy(name)
                .ok_or_else(|| missing("the policy", name))?;
            Ok(Plan::ResetPolicyCounters(policy.name.clone()))
        }
        ("RESET", ["IPSEC", "SA", "COUNTER"]) => {
            let number = command.number("SA").unwrap_or(0);
            let found = look.device.plane().sa_by_number(number);
            let (id, _) = found.ok_or_else(|| missing("the SA", number))?;
            Ok(Plan::ResetSaCounters(id))
        }
        ("SHOW", ["IPSEC", "POLICY"]) => show_policy(look, command).map(Plan::Print),
        ("SHOW", ["IPSEC", "SA"]) => {
            let plane = look.device.plane();
            let counters = command.get("COUNTERS").is_some();
            let sa = |number| {
                plane
                    .sa_by_number(number)
                    .map(|(_, sa)| sa)
                    .ok_or_else(|| missing("the SA", number))
            };
            match command.number("SA") {
                None if counters => {
                    let each = plane.sas().map(|(id, sa)| show::sa_counters(id.0.slot, sa));
                    Ok(Plan::Print(each.collect()))
                }
                Some(number) if counters => Ok(Plan::Print(show::sa_counters(number, sa(number)?))),
                None => Ok(Plan::Print(show::sas(plane))),
                Some(number) => show::sa(plane, number)
                    .map(Plan::Print)
                    .ok_or_else(|| missing("the SA", number)),
            }
        }
        ("SHOW", ["IPSEC", "SASPECIFICATION"]) => match command.small("SASPECIFICATION") {
            None => Ok(Plan::Print(show::sa_specs(&config))),
            Some(number) => show::sa_spec(&config, number)
                .map(Plan::Print)
                .ok_or_else(|| missing("the SA specification", number)),
        },
        ("SHOW", ["IPSEC", "BUNDLESPECIFICATION"]) => match command.small("BUNDLESPECIFICATION") {
            None => Ok(Plan::Print(show::bundle_specs(&config))),
            Some(number) => show::bundle_spec(&config, number)
                .map(Plan::Print)
                .ok_or_else(|| missing("the bundle specification", number)),
        },
        _ => Ok(foreign(command)),
    }
}

/// ENABLE and DISABLE IPSEC POLICY DEBUG. Of an option that is not given, everything is meant;
/// to switch off, what is given, or everything.
fn debug<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let enable = command.spec.verb == "ENABLE";
    let kind = command.word("DEBUG").unwrap_or("ALL");
    for (parameter, with) in [
        ("DISPLAY", "PACKET"),
        ("WHERE", "PACKET"),
        ("RESULT", "FILTER"),
        ("SELECTOR", "FILTER"),
    ] {
        if let Some(given) = command
            .get(parameter)
            .filter(|_| kind != with && kind != "ALL")
        {
            let when = format!("with DEBUG={with} or DEBUG=ALL");
            return Err(message(&table::ONLY_WITH, &[&parameter, &when]).about(given.at));
        }
    }
    let policy = command.text("POLICY").filter(|name| *name != "ALL");
    if let Some(name) = policy {
        let known = look.device.state().ipsec.policy(name);
        known.ok_or_else(|| missing("the policy", name))?;
    }
    let mut in_force = look.device.plane().policies();
    let found = match policy {
        Some(name) => in_force.any(|(_, known)| known.config.name == *name),
        None => in_force.next().is_some(),
    };
    if enable && !found {
        let what = policy.map_or_else(
            || String::from("no policy is"),
            |name| format!("the policy {name} is not"),
        );
        return Err(message(&table::NOT_IN_FORCE, &[&what]));
    }
    let named = ["DIRECTION", "DISPLAY", "RESULT", "SELECTOR", "WHERE"];
    let everything = enable || !named.iter().any(|name| command.get(name).is_some());
    // What an option that is not given stands for.
    let or = |all| if everything { all } else { 0 };
    let directions = match command.word("DIRECTION") {
        None => Directions::from_bits(or(Directions::ALL.bits())),
        Some("IN") => Directions::IN,
        Some("OUT") => Directions::OUT,
        Some(_) => Directions::ALL,
    };
    let results = match command.word("RESULT") {
        None => Results::from_bits(or(Results::ALL.bits())),
        Some("FAIL") => Results::FAIL,
        Some("PASS") => Results::PASS,
        Some(_) => Results::ALL,
    };
    let selectors = match command.word("SELECTOR") {
        None => Selectors::from_bits(or(Selectors::ALL.bits())),
        Some("LADDRESS") => Selectors::LOCAL_ADDRESS,
        Some("LNAME") => Selectors::LOCAL_NAME,
        Some("LPORT") => Selectors::LOCAL_PORT,
        Some("RADDRESS") => Selectors::REMOTE_ADDRESS,
        Some("RNAME") => Selectors::REMOTE_NAME,
        Some("RPORT") => Selectors::REMOTE_PORT,
        Some("TRANSPORTPROTOCOL") => Selectors::PROTOCOL,
        Some(_) => Selectors::ALL,
    };
    let parts = match command.word("DISPLAY") {
        None => Parts::from_bits(or(Parts::ALL.bits())),
        Some("BUFFERHEADER") => Parts::BUFFER_HEADER,
        Some("DATA") => Parts::DATA,
        Some("IPHEADER") => Parts::IP_HEADER,
        Some(_) => Parts::ALL,
    };
    let places = match command.word("WHERE") {
        None => Places::from_bits(or(Places::ALL.bits())),
        Some("IPSEC") => Places::IPSEC,
        Some("PROTOCOL") => Places::PROTOCOL,
        Some(_) => Places::ALL,
    };
    let mut mask = DebugMask::NONE;
    if matches!(kind, "FILTER" | "ALL") {
        mask = mask.with(DebugMask::filter(directions, results, selectors));
    }
    if matches!(kind, "PACKET" | "ALL") {
        mask = mask.with(DebugMask::packet(directions, parts, places));
    }
    if matches!(kind, "TRACE" | "ALL") {
        mask = mask.with(DebugMask::trace(directions));
    }
    Ok(Plan::WatchIpsec(policy.map(Name::new), mask, enable))
}

/// The categories of counters that a command names; none for all.
fn categories(command: &Parsed, parameter: &str) -> Option<Vec<&'static str>> {
    match &command.get(parameter)?.value {
        Value::Words(words) if !words.contains(&"ALL") => Some(words.clone()),
        _ => None,
    }
}

/// SHOW IPSEC POLICY in its forms. Both SABUNDLE and COUNTERS give both.
fn show_policy<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Result<String, Message> {
    let (state, plane) = (look.device.state(), look.device.plane());
    let name = command.text("POLICY");
    let absent = || missing("the policy", name.unwrap_or(""));
    let (bundles, counters) = (
        command.get("SABUNDLE").is_some(),
        command.get("COUNTERS").is_some(),
    );
    let mut text = String::new();
    if bundles {
        text += &show::policy_bundles(state, plane, look.now, name).ok_or_else(absent)?;
    }
    if counters {
        let none = PolicyCounters::default();
        for config in &state.ipsec.policies {
            if name.is_some_and(|name| config.name != *name) {
                continue;
            }
            if name.is_none() {
                text += &format!("\nPolicy ..........{}\n", config.name);
            }
            // A policy that is not in force has counted nothing.
            let policy = plane.policy_by_name(config.name.as_str());
            let counted = policy.map_or(&none, |(_, policy)| &policy.counters);
            text += &show::policy_counters(counted);
        }
        if text.is_empty() && name.is_some() {
            return Err(absent());
        }
    }
    match name {
        _ if bundles || counters => Ok(text),
        None => Ok(show::policies(state)),
        Some(name) => show::policy(state, plane, look.now, name).ok_or_else(absent),
    }
}

fn key_management(command: &Parsed) -> Option<KeyManagement> {
    command
        .word("KEYMANAGEMENT")
        .and_then(KeyManagement::from_word)
}

/// The word of the command language for a cipher, read.
pub(super) fn cipher(word: &str) -> Option<Cipher> {
    Some(match word {
        "NULL" => Cipher::Null,
        "DES" => Cipher::Des,
        "3DESOUTER" => Cipher::TripleDes,
        "AES128" => Cipher::Aes128,
        "AES192" => Cipher::Aes192,
        "AES256" => Cipher::Aes256,
        _ => return None,
    })
}

fn sa_spec(state: &State, mut config: IpsecConfig, command: &Parsed) -> Result<Plan, Message> {
    let number: u8 = command.small("SASPECIFICATION").unwrap_or(0);
    let place = config
        .sa_specs
        .iter()
        .position(|spec| spec.number == number);
    let what = "the SA specification";
    let mut record = match (
        command.spec.verb,
        place.and_then(|p| config.sa_specs.get(p)),
    ) {
        ("CREATE", Some(_)) => return Err(message(&table::EXISTS, &[&what, &number])),
        ("CREATE", None) => SaSpecConfig {
            number,
            key_management: key_management(command).unwrap_or(KeyManagement::Isakmp),
            protocol: Protocol::Esp,
            mode: None,
            encalg: None,
            enckey: None,
            hashalg: None,
            hashkey: None,
            inspi: None,
            outspi: None,
            anti_replay: None,
            window: None,
        },
        (_, None) => return Err(missing(what, number)),
        ("DESTROY", Some(_)) => {
            let used = config
                .bundles
                .iter()
                .find(|bundle| bundle.string.specs().any(|spec| spec == number));
            if let Some(bundle) = used {
                let user = format!("bundle specification {}", bundle.number);
                return Err(message(&table::IN_USE, &[&what, &number, &user]));
            }
            config.sa_specs.retain(|spec| spec.number != number);
            return Ok(Plan::Ipsec(Box::new(config), None));
        }
        (_, Some(record)) => record.clone(),
    };
    if let Some(value) = key_management(command) {
        record.key_management = value;
    }
    if let Some(value) = command.word("PROTOCOL").and_then(Protocol::from_word) {
        record.protocol = value;
    }
    let set = |old: Option<u16>, name: &str| command.small(name).or(old);
    record.mode = command
        .word("MODE")
        .and_then(Mode::from_word)
        .or(record.mode);
    record.encalg = command.word("ENCALG").and_then(cipher).or(record.encalg);
    record.hashalg = match command.word("HASHALG") {
        Some("NULL") => Some(HashAlg::Null),
        Some("MD5") => Some(HashAlg::Md5),
        Some("SHA") => Some(HashAlg::Sha),
        _ => record.hashalg,
    };
    record.enckey = set(record.enckey, "ENCKEY");
    record.hashkey = set(record.hashkey, "HASHKEY");
    record.inspi = command.number("INSPI").or(record.inspi);
    record.outspi = command.number("OUTSPI").or(record.outspi);
    record.anti_replay = command.bool("ANTIREPLAYENABLED").or(record.anti_replay);
    let window = command
        .word("REPLAYWINDOWSIZE")
        .and_then(|word| word.parse().ok())
        .or_else(|| command.small("REPLAYWINDOWSIZE"));
    record.window = window.or(record.window);
    record.check().map_err(|fault| refused(&fault))?;
    record
        .check_keys(&state.keys)
        .map_err(|fault| refused(&fault))?;
    let warning = command
        .get("HASHALG")
        .filter(|_| record.protocol == Protocol::Esp && record.hashalg == Some(HashAlg::Null))
        .map(|given| message(&table::NULL_HASH, &[]).about(given.at));
    let reserved = [("INSPI", record.inspi), ("OUTSPI", record.outspi)]
        .into_iter()
        .filter(|(_, spi)| spi.is_some_and(|spi| spi < Spi::FIRST.0))
        .find_map(|(name, spi)| Some((command.get(name)?, spi?)))
        .map(|(given, spi)| message(&table::RESERVED_SPI, &[&given.name, &spi]).about(given.at));
    match place.and_then(|place| config.sa_specs.get_mut(place)) {
        Some(old) => *old = record,
        None => config.sa_specs.push(record),
    }
    check_all(state, &config)?;
    let plan = Plan::Ipsec(Box::new(config), None);
    Ok(plan.warned(warning).warned(reserved))
}

/// What refers to a changed record must still be sound.
fn check_all(state: &State, config: &IpsecConfig) -> Result<(), Message> {
    for bundle in &config.bundles {
        bundle
            .check(&config.sa_specs)
            .map_err(|fault| refused(&fault))?;
    }
    for policy in &config.policies {
        policy
            .check(config, &state.keys)
            .map_err(|fault| refused(&fault))?;
    }
    Ok(())
}

fn bundle(state: &State, mut config: IpsecConfig, command: &Parsed) -> Result<Plan, Message> {
    let number: u8 = command.small("BUNDLESPECIFICATION").unwrap_or(0);
    let place = config
        .bundles
        .iter()
        .position(|bundle| bundle.number == number);
    let what = "the bundle specification";
    let string = match command.get("STRING").map(|given| &given.value) {
        Some(Value::Bundle(string)) => Some(string.clone()),
        _ => None,
    };
    let mut record = match (
        command.spec.verb,
        place.and_then(|p| config.bundles.get(p)),
        string,
    ) {
        ("CREATE", Some(_), _) => {
            return Err(message(&table::EXISTS, &[&what, &number]));
        }
        ("CREATE", None, Some(string)) => BundleConfig {
            number,
            key_management: key_management(command).unwrap_or(KeyManagement::Isakmp),
            string,
            expiry_kbytes: None,
            expiry_seconds: None,
        },
        (_, None, _) => return Err(missing(what, number)),
        ("DESTROY", Some(_), _) => {
            if let Some(policy) = config.policies.iter().find(|p| p.bundle == Some(number)) {
                let user = format!("policy {}", policy.name);
                return Err(message(&table::IN_USE, &[&what, &number, &user]));
            }
            config.bundles.retain(|bundle| bundle.number != number);
            return Ok(Plan::Ipsec(Box::new(config), None));
        }
        (_, Some(record), _) => record.clone(),
    };
    record.expiry_kbytes = command.number("EXPIRYKBYTES").or(record.expiry_kbytes);
    record.expiry_seconds = command.number("EXPIRYSECONDS").or(record.expiry_seconds);
    record
        .check(&config.sa_specs)
        .map_err(|fault| refused(&fault))?;
    let protocol = |group: &Vec<u8>| {
        let spec = config.sa_spec(*group.first()?)?;
        Some(spec.protocol)
    };
    let warning = command
        .get("STRING")
        .filter(|_| {
            record.string.candidates().iter().any(|groups| {
                let protocols: Vec<_> = groups.iter().map(protocol).collect();
                protocols == [Some(Protocol::Ah), Some(Protocol::Esp)]
            })
        })
        .map(|given| message(&table::AH_FIRST, &[]).about(given.at));
    match place.and_then(|place| config.bundles.get_mut(place)) {
        Some(old) => *old = record,
        None => config.bundles.push(record),
    }
    check_all(state, &config)?;
    Ok(Plan::Ipsec(Box::new(config), None).warned(warning))
}

fn policy<E: Engines>(
    look: &Look<'_, E>,
    mut config: IpsecConfig,
    command: &Parsed,
) -> Result<Plan, Message> {
    let state = look.device.state();
    let name = command.text("POLICY").unwrap_or("");
    let place = config
        .policies
        .iter()
        .position(|policy| policy.name == *name);
    let changed = Some(Name::new(name));
    let mut record = match (
        command.spec.verb,
        place.and_then(|p| config.policies.get(p)),
    ) {
        ("CREATE", Some(_)) => {
            return Err(message(&table::EXISTS, &[&"the policy", &name]));
        }
        ("CREATE", None) => PolicyConfig::new(
            Name::new(name),
            InterfaceName::new(command.text("INTERFACE").unwrap_or("")),
            command
                .word("ACTION")
                .and_then(Action::from_word)
                .unwrap_or(Action::Deny),
        ),
        (_, None) => return Err(missing("the policy", name)),
        ("DESTROY", Some(_)) if command.get("SABUNDLE").is_some() => {
            let index: u16 = command.small("SABUNDLE").unwrap_or(0);
            let bundle = look.device.plane().bundle_of(name, index);
            return bundle
                .map(Plan::RemoveBundle)
                .ok_or_else(|| missing("the SA bundle", format!("{index} of policy {name}")));
        }
        ("DESTROY", Some(_)) => {
            config.policies.retain(|policy| policy.name != *name);
            return Ok(Plan::Ipsec(Box::new(config), changed));
        }
        (_, Some(record)) => record.clone(),
    };
    let was = record.action;
    fill(&mut record, command);
    if command.spec.verb == "SET" {
        follow_action(&mut record, was, &config, command);
    }
    record
        .check(&config, &state.keys)
        .map_err(|fault| refused(&fault))?;
    if let Some(interface) = record
        .src_interface
        .as_ref()
        .filter(|name| state.net.by_name(name).is_none())
    {
        return Err(missing("the interface of SRCINTERFACE", interface));
    }
    if let (Some(given), Some(isakmp)) = (
        command.get("IPROUTETEMPLATE"),
        record.isakmp_policy.as_ref(),
    ) && let Some(isakmp) = state.isakmp.policy(isakmp.as_str())
        && isakmp.peer != PeerAddress::Any
    {
        let when = format!(
            "where the ISAKMP policy has PEER=ANY; {} has not",
            isakmp.name
        );
        return Err(message(&table::ONLY_WITH, &[&"IPROUTETEMPLATE", &when]).about(given.at));
    }
    let served = |isakmp: &&IsakmpPolicyConfig| isakmp.serves(&record);
    if let Some(isakmp) = state
        .isakmp
        .policies
        .iter()
        .filter(served)
        .find(|isakmp| record.udp_tunnel == Some(true) && isakmp.traverses_nat())
    {
        let given = ["UDPTUNNEL", "ISAKMPPOLICY", "PEERADDRESS"];
        let given = given.into_iter().find_map(|name| command.get(name));
        return Err(two_translations(Module::Ipsec, &record, isakmp).about_given(given));
    }
    let warning = ["GROUP", "USEPFSKEY"]
        .into_iter()
        .find_map(|name| command.get(name))
        .filter(|_| record.pfs_group() == Some(0))
        .map(|given| message(&table::GROUP_0, &[]).about(given.at));
    let nowhere = network_source(&record, &state.net)
        .filter(|_| {
            let old = place.and_then(|place| config.policies.get(place));
            old.is_none_or(|old| network_source(old, &state.net).is_none())
        })
        .map(|message| message.about_given(command.get("SRCINTERFACE")));
    let position = command.small("POSITION");
    match place {
        Some(place) if position.is_none() => {
            if let Some(old) = config.policies.get_mut(place) {
                *old = record;
            }
        }
        place => {
            if let Some(place) = place {
                config.policies.remove(place);
            }
            config.insert_policy(record, position);
        }
    }
    let changed = changed.filter(|_| place.is_some());
    let plan = Plan::Ipsec(Box::new(config), changed);
    Ok(plan.warned(warning).warned(nowhere))
}

/// What SET of another action brings with it: KEYMANAGEMENT, which SET cannot give, is that of the
/// bundle; and what only IPSEC has goes with it, since a policy of another action cannot have it.
fn follow_action(record: &mut PolicyConfig, was: Action, config: &IpsecConfig, command: &Parsed) {
    match (was, record.action) {
        (Action::Permit | Action::Deny, Action::Ipsec) if record.key_management.is_none() => {
            let bundle = record.bundle.and_then(|number| config.bundle(number));
            record.key_management = bundle.map(|bundle| bundle.key_management);
        }
        (Action::Ipsec, Action::Permit | Action::Deny) => {
            record.key_management = None;
            let given = |name| command.get(name).is_some();
            if !given("BUNDLESPECIFICATION") {
                record.bundle = None;
            }
            if !given("PEERADDRESS") {
                record.peer = None;
            }
            if !given("ISAKMPPOLICY") {
                record.isakmp_policy = None;
            }
            if !given("IPROUTETEMPLATE") {
                record.route_template = None;
            }
        }
        _ => {}
    }
}

/// Both ways to pass a translator exclude each other.
pub(super) fn two_translations(
    module: Module,
    policy: &PolicyConfig,
    isakmp: &IsakmpPolicyConfig,
) -> Message {
    let text = format!(
        "UDPTUNNEL=TRUE of policy {} does not go with NATTRAVERSAL=TRUE of ISAKMP policy {}",
        policy.name, isakmp.name
    );
    table::CONFLICT.by(module, &[&text])
}

/// The warning that an IPSEC policy sends from a network's own address.
pub(super) fn network_source(policy: &PolicyConfig, net: &Net) -> Option<Message> {
    let source = net.source_of(policy)?;
    net.is_network_address(source)
        .then(|| message(&table::NETWORK_SOURCE, &[&policy.name, &source]))
}

/// Overlays a record with what was given.
fn fill(record: &mut PolicyConfig, command: &Parsed) {
    if let Some(action) = command.word("ACTION").and_then(Action::from_word) {
        record.action = action;
    }
    for given in &command.given {
        match (given.name, &given.value) {
            ("IPVERSION", Value::Word(word)) => record.version = IpVersion::from_word(word),
            ("KEYMANAGEMENT", Value::Word(word)) => {
                record.key_management = KeyManagement::from_word(word);
            }
            ("BUNDLESPECIFICATION", Value::Number(n)) => record.bundle = u8::try_from(*n).ok(),
            ("PEERADDRESS", Value::Address(a)) => record.peer = Some(PeerAddress::Address(*a)),
            ("PEERADDRESS", Value::Text(t)) => record.peer = Some(PeerAddress::Host(Name::new(t))),
            ("PEERADDRESS", Value::Word("ANY")) => record.peer = Some(PeerAddress::Any),
            ("PEERADDRESS", Value::Word(_)) => record.peer = Some(PeerAddress::Dynamic),
            ("LADDRESS", value) => record.laddress = selector(value),
            ("RADDRESS", value) => record.raddress = selector(value),
            ("LMASK", Value::Mask(len)) => record.lmask = Some(*len),
            ("RMASK", Value::Mask(len)) => record.rmask = Some(*len),
            ("LNAME", value) => record.lname = text_of(value),
            ("RNAME", value) => record.rname = text_of(value),
            ("LPORT", value) => record.lport = number_of(value),
            ("RPORT", value) => record.rport = number_of(value),
            ("TRANSPORTPROTOCOL", Value::Number(n)) => record.transport = u8::try_from(*n).ok(),
            ("TRANSPORTPROTOCOL", Value::Word(word)) => record.transport = protocol_number(word),
            ("DFBIT", Value::Word(word)) => record.df_bit = DfBit::from_word(word),
            ("GROUP", Value::Word(word)) => record.group = word.parse().ok(),
            ("ICMPTYPE", _) => record.neighbour_discovery = true,
            ("IPROUTETEMPLATE", value) => record.route_template = text_of(value),
            ("ISAKMPPOLICY", value) => record.isakmp_policy = text_of(value),
            ("SRCINTERFACE", Value::Text(t)) => record.src_interface = Some(InterfaceName::new(t)),
            ("USEPFSKEY", Value::Bool(on)) => record.use_pfs = Some(*on),
            ("UDPTUNNEL", Value::Bool(on)) => record.udp_tunnel = Some(*on),
            ("UDPHEARTBEAT", Value::Bool(on)) => record.udp_heartbeat = Some(*on),
            ("UDPPORT", value) => record.udp_port = number_of(value),
            ("UDPFRAMING", Value::Word(word)) => {
                let raw = *word == "RAW";
                record.udp_framing = Some(if raw { Framing::Raw } else { Framing::V1 });
            }
            ("RESPONDBADSPI", Value::Bool(on)) => record.respond_bad_spi = Some(*on),
            _ => {}
        }
    }
}

const fn selector(value: &Value) -> Option<AddressSelector> {
    match value {
        Value::Selector(selector) => Some(*selector),
        _ => None,
    }
}

fn text_of(value: &Value) -> Option<Name> {
    match value {
        Value::Text(text) => Some(Name::new(text)),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

/// The protocols that have names.
pub(crate) const PROTOCOLS: [(&str, u8); 7] = [
    ("ESP", 50),
    ("GRE", 47),
    ("ICMP", 1),
    ("OSPF", 89),
    ("RSVP", 46),
    ("TCP", 6),
    ("UDP", 17),
];

fn protocol_number(word: &str) -> Option<u8> {
    PROTOCOLS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, number)| *number)
}
