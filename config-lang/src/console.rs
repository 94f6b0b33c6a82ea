//! One session: text in, text out.

use alloc::string::String;
use alloc::vec::Vec;

use hw_offload::{Engines, Entropy, SoftPrimitives};
use ipsec_core::Instant;
use ipsec_core::model::Name;
use isakmp_core::device::{Device, Guesses, Privilege, State};

use crate::exec::{Host, Look, Outcome, apply, carried_out, named, plan};
use crate::message::Severity;
use crate::parse::parse;
use crate::rights::{may, no_login};

/// A session of a person or a script.
#[derive(Debug, Default)]
pub struct Console {
    user: Option<Name>,
    script: bool,
    /// The rights that the session has without LOGIN, whatever the router's mode.
    vouched: Option<Privilege>,
    /// Whose password the next line is.
    asked: Option<Name>,
    /// Whether debugging was enabled here.
    watches: bool,
    /// Passwords that were wrong.
    guesses: Guesses,
}

/// What a command may need of the world.
pub struct Surroundings<'a> {
    /// The time.
    pub now: Instant,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
    /// Files.
    pub host: &'a mut dyn Host,
}

impl Console {
    /// A session of a person at the router's own console: who sits there has the rights of a
    /// Security Officer, in security mode those of a user, until LOGIN.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            user: None,
            script: false,
            vouched: None,
            asked: None,
            watches: false,
            guesses: Guesses::NONE,
        }
    }

    /// A session of a script, which has all rights and logs in without a password.
    #[must_use]
    pub const fn script() -> Self {
        Self {
            user: None,
            script: true,
            vouched: Some(Privilege::SecurityOfficer),
            asked: None,
            watches: false,
            guesses: Guesses::NONE,
        }
    }

    /// A session of somebody whom the caller knows already: these are the rights until LOGIN.
    #[must_use]
    pub const fn vouched(rights: Privilege) -> Self {
        Self {
            user: None,
            script: false,
            vouched: Some(rights),
            asked: None,
            watches: false,
            guesses: Guesses::NONE,
        }
    }

    /// What the session may do: what its user may, else what it began with.
    #[must_use]
    pub fn rights(&self, state: &State) -> Privilege {
        match (&self.user, self.vouched) {
            (Some(name), _) => {
                let user = state.users.get(name.as_str());
                user.map_or(Privilege::User, |user| user.privilege)
            }
            (None, Some(rights)) => rights,
            (None, None) if state.security_mode => Privilege::User,
            (None, None) => Privilege::SecurityOfficer,
        }
    }

    /// What stands before the next line.
    #[must_use]
    pub fn prompt(&self, state: &State) -> &'static str {
        match (&self.asked, self.rights(state)) {
            (Some(_), _) => "Password: ",
            (None, Privilege::SecurityOfficer) => "SecOff > ",
            (None, Privilege::Manager) => "Manager > ",
            (None, Privilege::User) => "User > ",
        }
    }

    /// Whether the next line is a password: it is to be shown and kept nowhere.
    #[must_use]
    pub const fn asks_password(&self) -> bool {
        self.asked.is_some()
    }

    /// Who is logged in.
    #[must_use]
    pub const fn user(&self) -> Option<&Name> {
        self.user.as_ref()
    }

    /// Whether what debugging prints belongs here: it was enabled in this session.
    #[must_use]
    pub const fn watches(&self) -> bool {
        self.watches
    }

    /// Executes one line, or takes it as the password that was asked for. On an error the
    /// configuration is unchanged.
    pub fn execute<E: Engines>(
        &mut self,
        device: &mut Device<E>,
        around: &mut Surroundings<'_>,
        line: &str,
    ) -> Outcome {
        if let Some(name) = self.asked.take() {
            // No password is empty: whoever sends nothing has thought better of it.
            if line.is_empty() {
                return Outcome::nothing();
            }
            return self.password(device, around.now, &name, line);
        }
        let parsed = match parse(line) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                return Outcome::nothing();
            }
            Err(error) => return Outcome::message(error.into()),
        };
        for happened in named(&device.state().ipsec, &parsed) {
            device.count(happened);
        }
        let rights = self.rights(device.state());
        let planned = may(rights, device.state(), &parsed).and_then(|()| {
            plan(
                &mut Look {
                    device,
                    entropy: around.entropy,
                    now: around.now,
                    host: around.host,
                    rights,
                    script: self.script,
                },
                &parsed,
            )
        });
        if let Some(happened) = carried_out(&parsed, planned.is_ok()) {
            device.count(happened);
        }
        if planned.is_ok() && parsed.spec.verb == "ENABLE" {
            self.watches |= parsed.spec.object.contains(&"DEBUG");
        }
        let outcome = match planned {
            Ok(planned) => apply(device, around.now, around.entropy, around.host, planned),
            Err(message) => Outcome::message(message),
        };
        if let Some(user) = &outcome.login {
            self.user = Some(user.clone());
        }
        self.asked.clone_from(&outcome.asks);
        outcome
    }

    /// LOGIN, second part.
    fn password<E: Engines>(
        &mut self,
        device: &mut Device<E>,
        now: Instant,
        name: &Name,
        password: &str,
    ) -> Outcome {
        let users = &mut device.state_mut().users;
        let guesses = &mut self.guesses;
        match users.login(now, guesses, &SoftPrimitives, name.as_str(), password) {
            Ok(user) => {
                self.user = Some(user.name.clone());
                Outcome::logged_in(user.name.clone())
            }
            Err(fault) => Outcome::message(no_login(fault)),
        }
    }
}

/// A line of a script that did not simply work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line's number, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// The message.
    pub text: String,
}

/// The commands of a script with the numbers of their first lines: `#` comments and blank lines
/// left out, lines that end in `\` joined with the next.
#[must_use]
pub fn script_lines(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut held: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let (start, mut command) = held.take().unwrap_or((number, String::new()));
        let comment = command.is_empty() && line.trim_start().starts_with('#');
        match line.trim_end().strip_suffix('\\') {
            Some(rest) if !comment => {
                command.push_str(rest);
                command.push(' ');
                held = Some((start, command));
                continue;
            }
            _ => {}
        }
        if !comment {
            command.push_str(line);
        }
        if !command.trim().is_empty() {
            commands.push((start, command));
        }
    }
    commands.extend(held);
    commands
}

/// Executes a script to its end and tells every line that did not simply work.
pub fn run_script<E: Engines>(
    device: &mut Device<E>,
    around: &mut Surroundings<'_>,
    text: &str,
) -> Vec<Finding> {
    let mut console = Console::script();
    let mut findings = Vec::new();
    for (line, command) in script_lines(text) {
        let outcome = console.execute(device, around, &command);
        if outcome.worst == Severity::Info {
            continue;
        }
        findings.push(Finding {
            line,
            column: outcome.at.map_or(1, |at| at.start),
            severity: outcome.worst,
            text: String::from(outcome.text.trim_end()),
        });
    }
    findings
}
