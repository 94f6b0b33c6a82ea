//! Users, files, log and security mode.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use hw_offload::Engines;
use ipsec_core::model::Name;
use isakmp_core::device::{LogModule, PasswordHash, Privilege, User};
use isakmp_core::identity;

use super::{Look, Plan, not_yet_command};
use crate::dump::{self, Secrets};
use crate::message::{Message, Module};
use crate::parse::Parsed;
use crate::show;

fn error(number: u16, text: String) -> Message {
    Message::error(Module::System, number, text)
}

pub(super) fn plan<E: Engines>(look: &mut Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    match (command.spec.verb, command.spec.object) {
        ("ADD", ["USER"]) => {
            let name = command.text("USER").unwrap_or("");
            if state.users.get(name).is_some() {
                return Err(error(1, format!("the user {name} exists already")));
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
                    .map_err(|fault| error(2, format!("{fault}")))?,
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
            if !text.contains('=') {
                return Err(error(7, format!("{text} is no distinguished name")));
            }
            identity::parse(text).map_err(|fault| error(7, format!("{fault}")))?;
            let mut config = state.isakmp.clone();
            config.distinguished_name = Some(String::from(text));
            Ok(Plan::Isakmp(Box::new(config), None))
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
                return Err(error(3, format!("the user {name} does not exist")));
            };
            if !user.login {
                return Err(error(6, format!("the user {name} has LOGIN=NO")));
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
                return Err(error(
                    4,
                    format!("the file {name} does not exist; CREATE CONFIG={name} first"),
                ));
            }
            Ok(Plan::BootConfig(String::from(name)))
        }
        ("ENABLE", ["SYSTEM", "SECURITY", "MODE"]) => {
            let officer = Privilege::SecurityOfficer;
            if !state.users.iter().any(|user| user.privilege == officer) {
                let text =
                    "security mode needs a user with PRIVILEGE=SECURITYOFFICER; ADD USER first";
                return Err(error(5, text.into()));
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
            let module = match (command.word("MODULE"), command.word("TYPE")) {
                (Some("ISAK"), _) | (None, Some("IKMP")) => Some(LogModule::Isakmp),
                (Some(_), _) | (None, Some(_)) => Some(LogModule::Ipsec),
                (None, None) => None,
            };
            Ok(Plan::Print(show::log(state, module)))
        }
        _ => Err(not_yet_command(Module::System, command)),
    }
}
