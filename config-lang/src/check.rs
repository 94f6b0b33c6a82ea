//! What no rule refuses and a person would regret, judged on a whole configuration.
//!
//! What the command at fault shows by itself (GROUP=0, HASHALG=NULL, a network's address as source)
//! is its own answer. Here stands what only the finished configuration shows.

mod cover;

use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hw_offload::{Cipher, DhGroup, Engines, Hash, KeyKind, KeyNumber};
use ipsec_core::model::{
    Action, AddressSelector, HashAlg, InterfaceName, IpVersion, IpsecConfig, KeyManagement, Name,
    PeerAddress, PolicyConfig, SaSpecConfig, Selector,
};
use ipsec_core::net::Net;
use isakmp_core::config::{AuthType, IsakmpPolicyConfig, Phase1Mode};
use isakmp_core::device::{Device, State};
use isakmp_core::natt;

use self::cover::Left;
use crate::console::{Finding, Surroundings, run_script, script_lines};
use crate::message::{Message, Module, Row, table};
use crate::parse::{Parsed, Value, parse};

/// The fewest bytes of a pre-shared key that nobody guesses.
const LONG_ENOUGH: usize = 16;

/// The record that a judgement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// CREATE ENCO KEY.
    Key(KeyNumber),
    /// CREATE IPSEC SASPECIFICATION.
    SaSpec(u8),
    /// CREATE IPSEC POLICY.
    Policy(Name),
    /// CREATE ISAKMP POLICY.
    IsakmpPolicy(Name),
}

impl Record {
    /// The record that a command makes or changes.
    fn of(command: &Parsed) -> Option<Self> {
        let value = |name| command.get(name).map(|given| &given.value);
        match (command.spec.verb, command.spec.object) {
            ("CREATE", ["ENCO", "KEY"]) => match value("KEY")? {
                Value::Number(number) => Some(Self::Key(KeyNumber(u16::try_from(*number).ok()?))),
                _ => None,
            },
            ("CREATE" | "SET", ["IPSEC", "SASPECIFICATION"]) => match value("SASPECIFICATION")? {
                Value::Number(number) => u8::try_from(*number).ok().map(Self::SaSpec),
                _ => None,
            },
            ("CREATE" | "SET", [module @ ("IPSEC" | "ISAKMP"), "POLICY"]) => {
                let Value::Text(name) = value("POLICY")? else {
                    return None;
                };
                let name = Name::new(name);
                Some(if *module == "IPSEC" {
                    Self::Policy(name)
                } else {
                    Self::IsakmpPolicy(name)
                })
            }
            _ => None,
        }
    }
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regret {
    /// What it is about.
    pub about: Record,
    /// The parameters that are at fault, where some are.
    pub parameters: Vec<&'static str>,
    /// The warning.
    pub message: Message,
}

/// Executes a script to its end on a fresh device, and tells every line that did not simply work
/// and every one that will be regretted, in the order of the lines.
pub fn check_script<E: Engines>(
    device: &mut Device<E>,
    around: &mut Surroundings<'_>,
    text: &str,
) -> Vec<Finding> {
    let mut findings = run_script(device, around, text);
    let commands: Vec<(usize, Parsed)> = script_lines(text)
        .into_iter()
        .filter_map(|(line, command)| Some((line, parse(&command).ok()??)))
        .collect();
    findings.extend(regrets(device.state()).into_iter().map(|regret| {
        let (line, column) = place(&commands, &regret);
        let message = match column {
            Some(at) => regret.message.about(at),
            None => regret.message,
        };
        Finding {
            line,
            column: column.map_or(1, |at| at.start),
            severity: message.severity(),
            text: message.to_string(),
        }
    }));
    findings.sort_by_key(|finding| (finding.line, finding.column));
    findings
}

/// The line where the fault was written last, else the one that made the record.
fn place(commands: &[(usize, Parsed)], regret: &Regret) -> (usize, Option<crate::Column>) {
    let about =
        |(_, command): &&(usize, Parsed)| Record::of(command).as_ref() == Some(&regret.about);
    let fault = commands
        .iter()
        .rev()
        .filter(about)
        .find_map(|(line, command)| {
            let mut names = regret.parameters.iter();
            let given = names.find_map(|name| command.get(name))?;
            Some((*line, Some(given.at)))
        });
    let made = commands.iter().filter(about).map(|(line, _)| *line).next();
    // A record that no line of the script made was there before it.
    fault.unwrap_or((made.unwrap_or(1), None))
}

/// Everything that will be regretted, in the order of the records.
#[must_use]
pub fn regrets(state: &State) -> Vec<Regret> {
    let mut found = Vec::new();
    // Interfaces and ports, each of which is told once.
    let mut told = Vec::new();
    for (number, _) in state.keys.iter() {
        found.extend(key(state, number));
    }
    found.extend(state.isakmp.policies.iter().flat_map(isakmp_policy));
    found.extend(state.ipsec.sa_specs.iter().filter_map(sa_spec));
    for policy in &state.ipsec.policies {
        found.extend(weak_group(policy));
        found.extend(shadowed(&state.ipsec, policy));
        found.extend(unrouted(&state.net, policy));
        for (port, to) in unheard(state, policy) {
            let place = (&policy.interface, port, to);
            if told.contains(&place) {
                continue;
            }
            told.push(place);
            let words: &[&dyn Display] = &[&policy.name, &policy.interface, &port, &to];
            let about = Record::Policy(policy.name.clone());
            found.push(regret(about, &["INTERFACE"], &table::UNHEARD, words));
        }
    }
    found
}

/// What names a key, if anything does.
pub(crate) fn key_user(state: &State, number: KeyNumber) -> Option<&'static str> {
    let own = Some(number.0);
    let policies = &state.isakmp.policies;
    let specs = &state.ipsec.sa_specs;
    let named = |policy: &IsakmpPolicyConfig| [policy.key, policy.local_rsa_key].contains(&own);
    if policies.iter().any(named) {
        Some("an ISAKMP policy")
    } else if state.isakmp.local_rsa_key == own {
        Some("ENABLE ISAKMP")
    } else if state.isakmp.pki.own(number).is_some() {
        Some("a certificate")
    } else if specs
        .iter()
        .any(|spec| [spec.enckey, spec.hashkey].contains(&own))
    {
        Some("an SA specification")
    } else {
        None
    }
}

fn regret(
    about: Record,
    parameters: &[&'static str],
    row: &'static Row,
    words: &[&dyn Display],
) -> Regret {
    let module = match about {
        Record::Key(_) => Module::Enco,
        Record::SaSpec(_) | Record::Policy(_) => Module::Ipsec,
        Record::IsakmpPolicy(_) => Module::Isakmp,
    };
    Regret {
        about,
        parameters: parameters.to_owned(),
        message: row.by(module, words),
    }
}

fn key(state: &State, number: KeyNumber) -> Option<Regret> {
    let about = Record::Key(number);
    let key = state.keys.get(number)?;
    if key_user(state, number).is_none() {
        return Some(regret(about, &["KEY"], &table::UNUSED_KEY, &[&number.0]));
    }
    let shared = |policy: &IsakmpPolicyConfig| {
        policy.auth_type() == AuthType::PreShared && policy.key == Some(number.0)
    };
    let len = key.value.len();
    let short = key.kind == KeyKind::General
        && len < LONG_ENOUGH
        && state.isakmp.policies.iter().any(shared);
    short.then(|| {
        regret(
            about,
            &["VALUE", "LENGTH"],
            &table::SHORT_KEY,
            &[&number.0, &len],
        )
    })
}

fn isakmp_policy(policy: &IsakmpPolicyConfig) -> Vec<Regret> {
    let about = || Record::IsakmpPolicy(policy.name.clone());
    let mut found = Vec::new();
    let weak = [
        ("ENCALG", policy.cipher() == Cipher::Des, "ENCALG=DES"),
        ("HASHALG", policy.hash() == Hash::Md5, "HASHALG=MD5"),
        ("GROUP", policy.group() == DhGroup::Modp768, "GROUP=1"),
    ];
    found.extend(weak_suite(
        about(),
        &format!("ISAKMP policy {}", policy.name),
        &weak,
    ));
    if policy.mode() == Phase1Mode::Aggressive && policy.auth_type() == AuthType::PreShared {
        found.push(regret(
            about(),
            &["MODE"],
            &table::AGGRESSIVE_KEY,
            &[&policy.name],
        ));
    }
    if policy.peer == PeerAddress::Any && policy.prenegotiates() {
        let parameters = &["PRENEGOTIATE", "PEER"];
        found.push(regret(
            about(),
            parameters,
            &table::NOBODY_FIRST,
            &[&policy.name],
        ));
    }
    found
}

fn sa_spec(spec: &SaSpecConfig) -> Option<Regret> {
    let weak = [
        ("ENCALG", spec.encalg == Some(Cipher::Des), "ENCALG=DES"),
        ("ENCALG", spec.encalg == Some(Cipher::Null), "ENCALG=NULL"),
        ("HASHALG", spec.hashalg == Some(HashAlg::Md5), "HASHALG=MD5"),
    ];
    let name = format!("SA specification {}", spec.number);
    weak_suite(Record::SaSpec(spec.number), &name, &weak)
}

fn weak_group(policy: &PolicyConfig) -> Option<Regret> {
    let about = Record::Policy(policy.name.clone());
    let weak = [("GROUP", policy.pfs_group() == Some(1), "GROUP=1")];
    let found = weak_suite(about, &format!("policy {}", policy.name), &weak)?;
    Some(Regret {
        parameters: vec!["GROUP", "USEPFSKEY"],
        ..found
    })
}

/// One warning for all that is weak in a record.
fn weak_suite(
    about: Record,
    name: &str,
    of: &[(&'static str, bool, &'static str)],
) -> Option<Regret> {
    let weak = || of.iter().filter(|(_, weak, _)| *weak);
    let parameters: Vec<&'static str> = weak().map(|(parameter, _, _)| *parameter).collect();
    let words: Vec<&str> = weak().map(|(_, _, word)| *word).collect();
    let words = words.join(" and ");
    (!parameters.is_empty())
        .then(|| regret(about, &parameters, &table::WEAK_SUITE, &[&name, &words]))
}

/// Earlier policies of the interface that take every packet of this one: one alone, or several
/// together. Policies for peers that only authentication tells apart stand beside each other.
fn shadowed(config: &IpsecConfig, policy: &PolicyConfig) -> Option<Regret> {
    let selector = policy.selector();
    let takes_packets = |earlier: &&PolicyConfig| {
        let peers = matches!(earlier.peer, Some(PeerAddress::Any | PeerAddress::Dynamic));
        !peers && earlier.lname.is_none() && earlier.rname.is_none()
    };
    let earlier: Vec<&PolicyConfig> = config
        .policies_on(&policy.interface)
        .map(|(_, earlier)| earlier)
        .take_while(|earlier| earlier.name != policy.name)
        .filter(takes_packets)
        .collect();
    let alone = |earlier: &&PolicyConfig| earlier.selector().contains(&selector);
    let about = Record::Policy(policy.name.clone());
    let parameters = &["POSITION", "INTERFACE"];
    if let Some(earlier) = earlier.iter().copied().find(alone) {
        let words: &[&dyn Display] = &[&policy.name, &earlier.name, &policy.interface];
        return Some(regret(about, parameters, &table::SHADOWED, words));
    }
    let mut left = Left::of(&selector);
    let mut together: Vec<&PolicyConfig> = earlier
        .into_iter()
        .filter(|earlier| left.take(&earlier.selector()))
        .collect();
    if together.is_empty() || !left.is_nothing() {
        return None;
    }
    // Not those whose packets the others take anyway.
    let mut place = 0;
    while place < together.len() {
        let mut fewer = together.clone();
        fewer.remove(place);
        let mut left = Left::of(&selector);
        for other in &fewer {
            left.take(&other.selector());
        }
        if left.is_nothing() {
            together = fewer;
        } else {
            place += 1;
        }
    }
    let names: Vec<&str> = together.iter().map(|other| other.name.as_str()).collect();
    let names = names.join(", ");
    let words: &[&dyn Display] = &[&policy.name, &names, &policy.interface];
    Some(regret(about, parameters, &table::SHADOWED_TOGETHER, words))
}

/// The remote addresses of a policy, of which the first or the last is not reached by its
/// interface. A route template brings routes of its own.
fn unrouted(net: &Net, policy: &PolicyConfig) -> Option<Regret> {
    if policy.action() != Action::Ipsec || policy.route_template.is_some() {
        return None;
    }
    let (first, last) = policy.selector().remote.bounds()?;
    let on = net.by_name(&policy.interface);
    let missed = [first, last]
        .into_iter()
        .find(|address| net.route(*address).map(|(on, _)| on) != on || on.is_none())?;
    let words: &[&dyn Display] = &[&missed, &policy.name, &policy.interface];
    let about = Record::Policy(policy.name.clone());
    Some(regret(about, &["RADDRESS"], &table::UNROUTED, words))
}

/// The ports, own and the peer's, that a policy needs besides its own packets, and that no PERMIT
/// policy lets through.
fn unheard(state: &State, policy: &PolicyConfig) -> Vec<(u16, u16)> {
    let negotiates = policy.key_management == Some(KeyManagement::Isakmp);
    if policy.action() != Action::Ipsec {
        return Vec::new();
    }
    let concerned: Vec<&IsakmpPolicyConfig> = state
        .isakmp
        .policies
        .iter()
        .filter(|isakmp| isakmp.serves(policy))
        .collect();
    let mut ports = Vec::new();
    if negotiates {
        ports.push((state.isakmp.port(), state.isakmp.port()));
    }
    if policy.udp_tunnel == Some(true) {
        ports.push((state.ipsec.udp_port(), policy.udp_peer_port()));
    }
    if concerned.iter().any(|isakmp| isakmp.traverses_nat()) {
        ports.push((natt::PORT, natt::PORT));
    }
    let from = concerned
        .iter()
        .find_map(|isakmp| isakmp.src_interface.as_ref());
    ports.retain(|ports| !is_permitted(state, policy, from, *ports));
    ports
}

/// Whether PERMIT policies let all such datagrams through before another takes them for certain.
fn is_permitted(
    state: &State,
    policy: &PolicyConfig,
    from: Option<&InterfaceName>,
    (local, remote): (u16, u16),
) -> bool {
    let peer = policy.peer.as_ref().and_then(PeerAddress::address);
    let version = match peer {
        Some(peer) if peer.is_ipv4() => IpVersion::V4,
        Some(_) => IpVersion::V6,
        None => policy.version.unwrap_or(IpVersion::V4),
    };
    let own = own_address(&state.net, policy, from, version);
    // A side whose address nobody knows yet may be anybody.
    let side =
        |address: Option<IpAddr>| address.map_or(AddressSelector::Any, AddressSelector::host);
    let wanted = Selector {
        local: side(own),
        remote: side(peer),
        local_port: Some(local),
        remote_port: Some(remote),
        protocol: Some(17),
        ..Selector::any(version)
    };
    let mut left = Left::of(&wanted);
    for (_, other) in state.ipsec.policies_on(&policy.interface) {
        let selector = other.selector();
        if other.action() == Action::Permit {
            left.take(&selector);
        } else if selector.contains(&wanted) {
            break;
        }
    }
    left.is_nothing()
}

/// The address that datagrams to the policy's peer come from.
fn own_address(
    net: &Net,
    policy: &PolicyConfig,
    from: Option<&InterfaceName>,
    version: IpVersion,
) -> Option<IpAddr> {
    match from.and_then(|name| net.by_name(name)) {
        Some(id) => {
            let anybody = match version {
                IpVersion::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpVersion::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            net.source_for(anybody, Some(id))
        }
        None => net.source_of(policy),
    }
}
