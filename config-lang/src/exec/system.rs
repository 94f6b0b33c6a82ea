//! Users, files, log and security mode.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Display;

use hw_offload::Engines;
use ipsec_core::model::Name;
use isakmp_core::device::{PasswordHash, Privilege, User};
use isakmp_core::identity;

use super::{Look, Plan, foreign};
use crate::dump::{self, Secrets};
use crate::message::{Message, Module, Row, table};
use crate::parse::Parsed;
use crate::show;

fn error(row: &'static Row, words: &[&dyn Display]) -> Message {
    row.by(Module::System, words)
}

pub(super) fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    match (command.spec.verb, command.spec.object) {
        ("ADD", ["USER"]) => {
            let name = command.text("USER").unwrap_or("");
            if state.users.get(name).is_some() {
                return Err(error(&table::EXISTS, &[&"the user", &name]));
            }
            let privilege = match command.word("PRIVILEGE") {
                Some("SECURITYOFFICER") => Privilege::SecurityOfficer,
                Some("MANAGER") => Privilege::Manager,
                _ => Privilege::User,
            };
            let password = command.text("PASSWORD").unwrap_or("");
            let password = match PasswordHash::from_text(password) {
                Some(hash) => hash,
                None => PasswordHash::new(&hw_offload::SoftPrimitives, look.entropy, password)
                    .map_err(|_| error(&table::NO_ENTROPY, &[]))?,
            };
            Ok(Plan::AddUser(User {
                name: Name::new(name),
                password,
                privilege,
                login: command.bool("LOGIN") != Some(false),
            }))
        }
        ("SET", ["SYSTEM", "DISTINGUISHEDNAME"]) => {
            let text = command.text("DISTINGUISHEDNAME").unwrap_or("");
            if !text.contains('=') || identity::parse(text).is_err() {
                return Err(error(&table::BAD_NAME, &[&text]));
            }
            let mut config = state.isakmp.clone();
            config.distinguished_name = Some(String::from(text));
            Ok(Plan::Isakmp(Module::System, Box::new(config), None))
        }
        ("LOGIN", []) => {
            let name = command
                .given
                .first()
                .and_then(|given| command.text(given.name));
            let name = name.unwrap_or("");
            if !look.script {
                // Whether there is such a user is told with the password only.
                return Ok(Plan::AskPassword(Name::new(name)));
            }
            let Some(user) = state.users.get(name) else {
                return Err(error(&table::MISSING, &[&"the user", &name]));
            };
            if !user.login {
                return Err(error(&table::LOGIN_NO, &[&name]));
            }
            Ok(Plan::Login(Name::new(name)))
        }
        ("CREATE", ["CONFIG"]) => {
            let name = command.text("CONFIG").unwrap_or("");
            Ok(Plan::WriteFile(String::from(name), dump::all(state)))
        }
        ("SET", ["CONFIG"]) => {
            let name = command.text("CONFIG").unwrap_or("");
            if !look.host.has_file(name) {
                return Err(error(&table::NO_FILE, &[&name]));
            }
            Ok(Plan::BootConfig(String::from(name)))
        }
        ("ENABLE", ["SYSTEM", "SECURITY", "MODE"]) => {
            let officer = Privilege::SecurityOfficer;
            // One who may not log in would leave nobody to end the mode.
            let may = |user: &User| user.privilege == officer && user.login;
            if !state.users.iter().any(may) {
                return Err(error(&table::NO_OFFICER, &[]));
            }
            Ok(Plan::SecurityMode(true))
        }
        ("DISABLE", ["SYSTEM", "SECURITY", "MODE"]) => Ok(Plan::SecurityMode(false)),
        ("SHOW", ["CONFIG"]) => {
            let secrets = Secrets::seen_by(look.rights);
            Ok(Plan::Print(match command.word("DYNAMIC") {
                Some("IPSEC") => dump::ipsec(&state.ipsec),
                Some("ISAKMP") => dump::isakmp_with(&state.isakmp, secrets),
                _ => dump::all_with(state, secrets),
            }))
        }
        ("SHOW", ["LOG"]) => {
            let given = [command.word("MODULE"), command.word("TYPE")];
            Ok(Plan::Print(show::log(state, given)))
        }
        _ => Ok(foreign(command)),
    }
}
