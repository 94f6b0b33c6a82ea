//! Commands on a device: `plan` finds out everything that can fail, `apply` cannot.

mod enco;
mod ip;
mod ipsec;
mod isakmp;
mod pki;
mod radius;
mod spd_counts;
mod system;

pub(crate) use ipsec::PROTOCOLS;
pub(crate) use spd_counts::{carried_out, named};

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hw_offload::{Engines, Entropy, KeyNumber, KeyRecord};
use ipsec_core::debug::DebugMask;
use ipsec_core::model::{IpsecConfig, Name};
use ipsec_core::net::Net;
use ipsec_core::{BundleId, Instant, SaId};
use isakmp_core::config::IsakmpConfig;
use isakmp_core::debug::IsakmpDebug;
use isakmp_core::device::{Device, LogModule, LogSubtype, Privilege, RadiusServer, User};

use crate::lexer::Column;
use crate::message::{Message, Module, Severity, table};
use crate::parse::{Parsed, Value};

/// What a command will do, with nothing left that could fail.
#[derive(Debug)]
pub enum Plan {
    /// Nothing but print.
    Print(String),
    /// Nothing: a command of another chapter.
    Foreign(Message),
    /// A new key.
    CreateKey(KeyNumber, KeyRecord),
    /// A new RSA key of so many bits, which the engine makes.
    GenerateKey(KeyNumber, KeyRecord, u16),
    /// A key goes.
    DestroyKey(KeyNumber),
    /// The IPsec configuration becomes this; the bundles of the policies named go.
    Ipsec(Box<IpsecConfig>, Option<Name>),
    /// An SA bundle goes.
    RemoveBundle(BundleId),
    /// What is watched of a policy, or of all, changes: this comes or goes.
    WatchIpsec(Option<Name>, DebugMask, bool),
    /// What is watched of ISAKMP changes: this comes or goes.
    WatchIsakmp(IsakmpDebug, bool),
    /// Counters of some categories become 0, or of all.
    ResetCounters(Option<Vec<&'static str>>),
    /// A policy's counters become 0.
    ResetPolicyCounters(Name),
    /// An SA's counters become 0.
    ResetSaCounters(SaId),
    /// The ISAKMP configuration becomes this, in which a policy may have changed. The module is
    /// whose command it was.
    Isakmp(Module, Box<IsakmpConfig>, Option<PolicyChange>),
    /// The ISAKMP SAs of a policy go.
    ResetIsakmp(Name),
    /// The counters of ISAKMP begin again from zero: those of a category, or all.
    ResetIsakmpCounters(Option<&'static str>),
    /// ENABLE IP.
    EnableIp,
    /// ENABLE IP REMOTEASSIGN.
    RemoteAssign,
    /// ENABLE IPV6.
    EnableIpv6,
    /// Interfaces and routes become this.
    Net(Box<Net>),
    /// The RADIUS servers become these.
    Radius(Vec<RadiusServer>),
    /// A new user.
    AddUser(User),
    /// The console belongs to that user now.
    Login(Name),
    /// A file is written.
    WriteFile(String, String),
    /// The file that is executed at the next start.
    BootConfig(String),
    /// LOGIN of a person: the next line is the password.
    AskPassword(Name),
    /// ENABLE and DISABLE SYSTEM SECURITY MODE.
    SecurityMode(bool),
    /// Something that works, but that a person should know about.
    Warned(Box<Self>, Message),
}

/// What becomes of an ISAKMP policy.
#[derive(Debug)]
pub enum PolicyChange {
    /// It gets other values.
    Set(Name),
    /// It goes.
    Destroyed(Name),
}

impl Plan {
    /// The same with a warning, if there is one.
    fn warned(self, warning: Option<Message>) -> Self {
        match warning {
            Some(message) => Self::Warned(Box::new(self), message),
            None => self,
        }
    }
}

/// What the world outside does for commands.
pub trait Host {
    /// Keeps a file.
    ///
    /// # Errors
    /// Why it could not be kept.
    fn write_file(&mut self, name: &str, content: &str) -> Result<(), String>;

    /// Whether a file is there.
    fn has_file(&self, name: &str) -> bool;

    /// A file's content.
    fn read_file(&self, name: &str) -> Option<Vec<u8>>;
}

/// What a command may look at while it is planned.
pub struct Look<'a, E: Engines> {
    /// The device.
    pub device: &'a Device<E>,
    /// Randomness, for keys and salts.
    pub entropy: &'a mut dyn Entropy,
    /// The time, for screens.
    pub now: Instant,
    /// The world outside.
    pub host: &'a dyn Host,
    /// What the session may do.
    pub rights: Privilege,
    /// Whether a script is being executed.
    pub script: bool,
}

/// Finds out what a command will do.
///
/// # Errors
/// Why it cannot be done; nothing was changed.
pub fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let words = (command.spec.verb, command.spec.object);
    let state = look.device.state();
    match words {
        ("CREATE", ["ENCO", "KEY"]) => enco::create(look, command),
        ("DESTROY", ["ENCO", "KEY"]) => enco::destroy(state, command),
        ("SET", ["ENCO", "DHPADDING"]) => Ok(enco::set(look, command)),
        ("SHOW", ["ENCO", "KEY"]) => enco::show(state, command),
        (_, ["IPSEC", ..]) => ipsec::plan(look, command),
        (_, ["ISAKMP", ..]) => isakmp::plan(look, command),
        (_, ["PKI", ..]) => pki::plan(look, command),
        (_, ["RADIUS", ..]) => radius::plan(state, command),
        (_, ["IP" | "IPV6", ..]) => ip::plan(state, command),
        (_, ["FIREWALL", ..]) => Ok(foreign(command)),
        _ => system::plan(look, command),
    }
}

/// Does what was planned.
pub fn apply<E: Engines>(
    device: &mut Device<E>,
    now: Instant,
    entropy: &mut dyn Entropy,
    host: &mut dyn Host,
    plan: Plan,
) -> Outcome {
    let done = |module| Outcome::message(table::DONE.by(module, &[]));
    match plan {
        Plan::Print(text) => Outcome {
            text,
            ..Outcome::nothing()
        },
        Plan::Foreign(message) => Outcome::message(message),
        Plan::CreateKey(number, key) => match device.state_mut().keys.create(number, key) {
            Ok(()) => done(Module::Enco),
            Err(fault) => Outcome::message(Message::no_key(&fault)),
        },
        Plan::GenerateKey(number, key, bits) => {
            match device.generate_rsa_key(entropy, number, key, bits) {
                Ok(()) => done(Module::Enco),
                Err(fault) => Outcome::message(Message::no_key(&fault)),
            }
        }
        Plan::DestroyKey(number) => {
            // The plan has seen it.
            let _ = device.state_mut().keys.destroy(number);
            done(Module::Enco)
        }
        Plan::Ipsec(config, changed) => {
            let was = device.state().ipsec.enabled;
            let is = config.enabled;
            if let Some(name) = changed {
                device.reset_ipsec_policy(name.as_str());
            }
            device.state_mut().ipsec = *config;
            device.reconfigure(now);
            if was != is {
                let word = if is { "enabled" } else { "disabled" };
                let line = format!("IPSEC has been {word}");
                device.log(now, LogModule::Ipsec, LogSubtype::Msg, line);
            }
            done(Module::Ipsec)
        }
        Plan::RemoveBundle(bundle) => {
            device.remove_bundle(bundle);
            done(Module::Ipsec)
        }
        Plan::WatchIpsec(policy, mask, enable) => {
            let policy = policy.as_ref().map(Name::as_str);
            device.watch(policy, |watched| {
                if enable {
                    watched.with(mask)
                } else {
                    watched.without(mask)
                }
            });
            let row = if enable {
                &table::IPSEC_WATCHED
            } else {
                &table::IPSEC_UNWATCHED
            };
            Outcome::message(row.by(Module::Ipsec, &[]))
        }
        Plan::WatchIsakmp(set, enable) => {
            let watched = &mut device.state_mut().isakmp.debug;
            let row = if enable {
                *watched = watched.with(set);
                &table::ISAKMP_WATCHED
            } else {
                *watched = watched.without(set);
                &table::ISAKMP_UNWATCHED
            };
            Outcome::message(row.by(Module::Isakmp, &[]))
        }
        Plan::ResetCounters(categories) => {
            match categories {
                None => device.reset_ipsec_counters(None),
                Some(categories) => {
                    for category in categories {
                        device.reset_ipsec_counters(Some(category));
                    }
                }
            }
            done(Module::Ipsec)
        }
        Plan::ResetPolicyCounters(name) => {
            device.reset_policy_counters(name.as_str());
            done(Module::Ipsec)
        }
        Plan::ResetSaCounters(sa) => {
            device.reset_sa_counters(sa);
            done(Module::Ipsec)
        }
        Plan::Isakmp(module, config, changed) => {
            let was = device.state().isakmp.enabled;
            let is = config.enabled;
            match changed {
                Some(PolicyChange::Set(name)) => device.isakmp_policy_changed(now, entropy, &name),
                Some(PolicyChange::Destroyed(name)) => {
                    device.isakmp_policy_destroyed(now, entropy, &name);
                }
                None => {}
            }
            if was && !is {
                device.disable_isakmp(now, entropy);
            }
            device.state_mut().isakmp = *config;
            device.reconfigure_isakmp(now, entropy);
            if was != is {
                let word = if is { "enabled" } else { "disabled" };
                let line = format!("ISAKMP has been {word}");
                device.log(now, LogModule::Isakmp, LogSubtype::Msg, line);
            }
            done(module)
        }
        Plan::ResetIsakmpCounters(category) => {
            device.reset_isakmp_counters(category);
            done(Module::Isakmp)
        }
        Plan::ResetIsakmp(name) => {
            device.reset_isakmp_policy(now, entropy, &name);
            done(Module::Isakmp)
        }
        Plan::EnableIp => {
            device.state_mut().ip_enabled = true;
            done(Module::Ip)
        }
        Plan::RemoteAssign => {
            device.state_mut().ip_remote_assign = true;
            done(Module::Ip)
        }
        Plan::EnableIpv6 => {
            device.state_mut().ipv6_enabled = true;
            done(Module::Ip)
        }
        Plan::Net(net) => {
            device.state_mut().net = *net;
            device.reconfigure(now);
            done(Module::Ip)
        }
        Plan::Radius(servers) => {
            device.state_mut().radius = servers;
            done(Module::Radius)
        }
        Plan::AddUser(user) => {
            device.state_mut().users.add(user);
            done(Module::System)
        }
        Plan::Login(name) => Outcome::logged_in(name),
        Plan::AskPassword(name) => Outcome {
            asks: Some(name),
            ..Outcome::nothing()
        },
        Plan::WriteFile(name, content) => match host.write_file(&name, &content) {
            Ok(()) => done(Module::System),
            Err(why) => Outcome::message(table::NOT_WRITTEN.by(Module::System, &[&name, &why])),
        },
        Plan::BootConfig(name) => {
            device.state_mut().boot_config = Some(name);
            done(Module::System)
        }
        Plan::SecurityMode(on) => {
            device.state_mut().security_mode = on;
            done(Module::System)
        }
        Plan::Warned(plan, message) => {
            let outcome = apply(device, now, entropy, host, *plan);
            match outcome.worst {
                Severity::Info => Outcome::message(message),
                Severity::Warning => Outcome {
                    text: format!("{}{message}\n", outcome.text),
                    ..outcome
                },
                Severity::Error => outcome,
            }
        }
    }
}

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The text.
    pub text: String,
    /// The worst message in it.
    pub worst: Severity,
    /// The word that it is about, if it is about one.
    pub at: Option<Column>,
    /// Who is logged in from now on.
    pub login: Option<Name>,
    /// Whose password the next line is to be.
    pub asks: Option<Name>,
}

impl Outcome {
    /// Nothing to say.
    pub(crate) const fn nothing() -> Self {
        Self {
            text: String::new(),
            worst: Severity::Info,
            at: None,
            login: None,
            asks: None,
        }
    }

    /// Somebody has logged in.
    pub(crate) fn logged_in(name: Name) -> Self {
        Self {
            login: Some(name),
            ..Self::message(table::DONE.by(Module::System, &[]))
        }
    }

    /// One message.
    #[must_use]
    pub fn message(message: Message) -> Self {
        Self {
            text: format!("{message}\n"),
            worst: message.severity(),
            at: message.at,
            ..Self::nothing()
        }
    }
}

fn full_name(command: &Parsed) -> String {
    let mut name = String::from(command.spec.verb);
    for word in command.spec.object {
        name.push(' ');
        name.push_str(word);
    }
    name
}

/// A command that no module carries out.
fn foreign(command: &Parsed) -> Plan {
    Plan::Foreign(table::FOREIGN.by(Module::Command, &[&full_name(command)]))
}

/// The values of parameters, by name.
impl Parsed {
    fn number(&self, name: &str) -> Option<u32> {
        match self.get(name)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    fn small<T: TryFrom<u32>>(&self, name: &str) -> Option<T> {
        self.number(name)
            .and_then(|number| T::try_from(number).ok())
    }

    pub(crate) fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(name)?.value {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            Value::Text(text) => Some(text),
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}
