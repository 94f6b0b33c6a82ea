//! Who may execute what.
//!
//! The manual names the level SECURITYOFFICER and security mode, and says no more than that the
//! mode needs such a user, who logs in before. The rest is this table's: a USER looks, a MANAGER
//! changes, and what is secret is seen by a SECURITYOFFICER alone. In security mode whatever
//! concerns security is a Security Officer's to change.

use core::fmt::Display;

use isakmp_core::device::{LoginFault, Privilege, State};

use crate::message::{Message, Module, table};
use crate::parse::Parsed;

/// The rights that a command asks for.
fn asked(command: &Parsed, security_mode: bool) -> Privilege {
    use Privilege::{Manager, SecurityOfficer, User};
    match (command.spec.verb, command.spec.object) {
        // The key itself stands in the screen.
        ("SHOW", ["ENCO", ..]) => SecurityOfficer,
        // Key material and passwords of extended authentication pass by.
        ("ENABLE", ["ISAKMP", "DEBUG"]) => SecurityOfficer,
        ("ENABLE" | "DISABLE", ["SYSTEM", "SECURITY", ..]) => SecurityOfficer,
        ("SHOW" | "LOGIN", _) => User,
        // Counters and what is watched harm nobody.
        ("RESET", [.., "COUNTER"]) | ("DISABLE", [.., "DEBUG"]) => Manager,
        (_, ["IP" | "IPV6" | "FIREWALL", ..]) => Manager,
        _ if security_mode => SecurityOfficer,
        _ => Manager,
    }
}

/// Whether a session of these rights may execute a command.
///
/// # Errors
/// The refusal, which names the level that is needed.
pub(crate) fn may(rights: Privilege, state: &State, command: &Parsed) -> Result<(), Message> {
    let mut asked = asked(command, state.security_mode);
    if let Some(granted) = granted(command) {
        // Nobody makes users who may do more than the maker.
        asked = asked.max(granted);
    }
    if rights >= asked {
        return Ok(());
    }
    let mode = if state.security_mode {
        " in security mode"
    } else {
        ""
    };
    let words: &[&dyn Display] = &[&asked.word(), &mode, &rights.word()];
    Err(table::NO_RIGHTS.by(Module::System, words))
}

/// The privilege that a command gives to a user.
fn granted(command: &Parsed) -> Option<Privilege> {
    let privilege = command.word("PRIVILEGE")?;
    let all = [
        Privilege::User,
        Privilege::Manager,
        Privilege::SecurityOfficer,
    ];
    all.into_iter().find(|known| known.word() == privilege)
}

/// Why a password was not taken.
pub(crate) fn no_login(fault: LoginFault) -> Message {
    match fault {
        LoginFault::Wrong => table::WRONG_LOGIN.by(Module::System, &[]),
        LoginFault::Wait(wait) => {
            let seconds = wait.as_millis().div_ceil(1000);
            table::LOGIN_LATER.by(Module::System, &[&seconds])
        }
    }
}
