//! One session: text in, text out.

use alloc::string::String;
use alloc::vec::Vec;

use hw_offload::{Engines, Entropy};
use ipsec_core::Instant;
use ipsec_core::model::Name;
use isakmp_core::device::Device;

use crate::exec::{Host, Look, Outcome, apply, carried_out, named, plan};
use crate::message::Severity;
use crate::parse::parse;

/// A session of a person or a script.
#[derive(Debug, Default)]
pub struct Console {
    user: Option<Name>,
    script: bool,
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
    /// A session of a person.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            user: None,
            script: false,
        }
    }

    /// A session of a script, which logs in without a password.
    #[must_use]
    pub const fn script() -> Self {
        Self {
            user: None,
            script: true,
        }
    }

    /// Who is logged in.
    #[must_use]
    pub const fn user(&self) -> Option<&Name> {
        self.user.as_ref()
    }

    /// Executes one line. On an error the device is unchanged.
    pub fn execute<E: Engines>(
        &mut self,
        device: &mut Device<E>,
        around: &mut Surroundings<'_>,
        line: &str,
    ) -> Outcome {
        let parsed = match parse(line) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                return Outcome {
                    text: String::new(),
                    worst: Severity::Info,
                    at: None,
                    login: None,
                };
            }
            Err(error) => return Outcome::message(error.into()),
        };
        for happened in named(&device.state().ipsec, &parsed) {
            device.count(happened);
        }
        let planned = plan(
            &mut Look {
                device,
                entropy: around.entropy,
                now: around.now,
                host: around.host,
                script: self.script,
            },
            &parsed,
        );
        if let Some(happened) = carried_out(&parsed, planned.is_ok()) {
            device.count(happened);
        }
        let outcome = match planned {
            Ok(planned) => apply(device, around.now, around.entropy, around.host, planned),
            Err(message) => Outcome::message(message),
        };
        if let Some(user) = &outcome.login {
            self.user = Some(user.clone());
        }
        outcome
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
