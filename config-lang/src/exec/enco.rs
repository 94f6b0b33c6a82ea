//! CREATE, DESTROY and SHOW ENCO KEY.

use alloc::format;
use alloc::string::String;

use hw_offload::{Engines, KeyKind, KeyNumber, KeyRecord, parse_value, random_value};
use isakmp_core::device::State;

use super::{Look, Plan};
use crate::message::{Message, Module};
use crate::parse::Parsed;
use crate::show;

fn error(number: u16, text: String) -> Message {
    Message::error(Module::Enco, number, text)
}

pub(super) fn create<E: Engines>(
    look: &mut Look<'_, E>,
    command: &Parsed,
) -> Result<Plan, Message> {
    let number = KeyNumber(command.small("KEY").unwrap_or(0));
    look.device
        .state()
        .keys
        .admits(number)
        .map_err(|fault| error(1, format!("{fault}")))?;
    let kind = match command.word("TYPE") {
        Some("DES") => KeyKind::Des,
        Some("3DES") => KeyKind::TripleDes,
        Some("AES") => KeyKind::Aes,
        _ => KeyKind::General,
    };
    let random = command.get("RANDOM");
    let value = match (command.get("VALUE"), random) {
        (Some(_), Some(random)) => {
            return Err(error(2, "VALUE and RANDOM exclude each other".into()).about(random.at));
        }
        (None, None) => {
            return Err(error(3, "VALUE or RANDOM is required".into()));
        }
        (Some(given), None) => {
            if let Some(length) = command.get("LENGTH") {
                return Err(error(4, "LENGTH is only valid with RANDOM".into()).about(length.at));
            }
            let text = command.text("VALUE").unwrap_or("");
            parse_value(kind, text)
                .map_err(|fault| error(5, format!("VALUE: {fault}")).about(given.at))?
        }
        (None, Some(_)) => {
            let length = command.small("LENGTH");
            random_value(kind, length, look.entropy).map_err(|fault| {
                let message = error(6, format!("{fault}"));
                match command.get("LENGTH") {
                    Some(length) => message.about(length.at),
                    None => message,
                }
            })?
        }
    };
    let description = command.text("DESCRIPTION").map(String::from);
    Ok(Plan::CreateKey(
        number,
        KeyRecord {
            kind,
            value,
            description,
            address: None,
        },
    ))
}

pub(super) fn destroy(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let number: u16 = command.small("KEY").unwrap_or(0);
    if state.keys.get(KeyNumber(number)).is_none() {
        return Err(error(7, format!("key {number} does not exist")));
    }
    let used = state
        .isakmp
        .policies
        .iter()
        .any(|policy| policy.key == Some(number))
        || state
            .ipsec
            .sa_specs
            .iter()
            .any(|spec| spec.enckey == Some(number) || spec.hashkey == Some(number));
    if used {
        return Err(error(
            8,
            format!("key {number} is used by a policy or SA specification"),
        ));
    }
    Ok(Plan::DestroyKey(KeyNumber(number)))
}

pub(super) fn show(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let number: u16 = command.small("KEY").unwrap_or(0);
    let key = state
        .keys
        .get(KeyNumber(number))
        .ok_or_else(|| error(7, format!("key {number} does not exist")))?;
    Ok(Plan::Print(show::enco_key(key)))
}
