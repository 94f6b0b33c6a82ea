//! CREATE, DESTROY and SHOW ENCO KEY.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Display;

use hw_offload::{
    Engines, KeyKind, KeyNumber, KeyRecord, Secret, parse_value, random_value, read_rsa,
};
use isakmp_core::device::State;

use super::{Look, Plan};
use crate::check::key_user;
use crate::message::{Message, Module, Row, table};
use crate::parse::Parsed;
use crate::show;

fn error(row: &'static Row, words: &[&dyn Display]) -> Message {
    row.by(Module::Enco, words)
}

/// LENGTH stands beside RANDOM only.
fn no_length(command: &Parsed) -> Result<(), Message> {
    match command.get("LENGTH") {
        Some(length) => {
            Err(error(&table::ONLY_WITH, &[&"LENGTH", &"with RANDOM"]).about(length.at))
        }
        None => Ok(()),
    }
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
        .map_err(|fault| Message::no_key(&fault))?;
    let description = command.text("DESCRIPTION").map(String::from);
    let record = |kind, value| KeyRecord {
        kind,
        value,
        description: description.clone(),
        address: None,
    };
    if command.word("TYPE") == Some("RSA") {
        return create_rsa(look, command, number, record);
    }
    if let Some(file) = command.get("FILE") {
        return Err(error(&table::ONLY_WITH, &[&"FILE", &"with TYPE=RSA"]).about(file.at));
    }
    let kind = match command.word("TYPE") {
        Some("DES") => KeyKind::Des,
        Some("3DES") => KeyKind::TripleDes,
        Some("AES") => KeyKind::Aes,
        _ => KeyKind::General,
    };
    let random = command.get("RANDOM");
    let value = match (command.get("VALUE"), random) {
        (Some(_), Some(random)) => {
            return Err(error(&table::KEY_TWICE, &[&"VALUE", &"RANDOM"]).about(random.at));
        }
        (None, None) => {
            return Err(error(&table::KEY_NOWHERE, &[&"VALUE"]));
        }
        (Some(given), None) => {
            no_length(command)?;
            let text = command.text("VALUE").unwrap_or("");
            parse_value(kind, text).map_err(|fault| Message::no_key(&fault).about(given.at))?
        }
        (None, Some(_)) => {
            let length = command.small("LENGTH");
            random_value(kind, length, look.entropy)
                .map_err(|fault| Message::no_key(&fault).about_given(command.get("LENGTH")))?
        }
    };
    Ok(Plan::CreateKey(number, record(kind, value)))
}

/// An RSA key comes from a file or stands in the line, or is made by the engine, which takes its
/// time.
fn create_rsa<E: Engines>(
    look: &Look<'_, E>,
    command: &Parsed,
    number: KeyNumber,
    record: impl Fn(KeyKind, Secret) -> KeyRecord,
) -> Result<Plan, Message> {
    let [file, value, random] = ["FILE", "VALUE", "RANDOM"].map(|name| command.get(name));
    let (source, given) = match (file.or(value), file.and(value), random) {
        (None, _, None) => return Err(error(&table::KEY_NOWHERE, &[&"FILE, VALUE"])),
        (Some(_), Some(value), _) => {
            return Err(error(&table::KEY_TWICE, &[&"FILE", &"VALUE"]).about(value.at));
        }
        (Some(source), None, Some(random)) => {
            return Err(error(&table::KEY_TWICE, &[&source.name, &"RANDOM"]).about(random.at));
        }
        (Some(source), None, None) => {
            no_length(command)?;
            (source, command.text(source.name).unwrap_or(""))
        }
        (None, _, Some(_)) => {
            let bits = command.number("LENGTH").unwrap_or(2048);
            let bits = u16::try_from(bits).unwrap_or(u16::MAX);
            if !(1024..=8192).contains(&bits) {
                let message = error(&table::RSA_LENGTH, &[]);
                return Err(message.about_given(command.get("LENGTH")));
            }
            let key = record(KeyKind::Rsa, Secret::copy_of(&[]));
            return Ok(Plan::GenerateKey(number, key, bits));
        }
    };
    let read = if file.is_some() {
        let content = look.host.read_file(given);
        let content = content.ok_or_else(|| error(&table::NO_FILE, &[&given]).about(source.at))?;
        read_rsa(&content)
    } else {
        parse_value(KeyKind::Rsa, given).and_then(|der| read_rsa(der.expose()))
    };
    let (kind, key) = read.map_err(|fault| Message::no_key(&fault).about(source.at))?;
    Ok(Plan::CreateKey(number, record(kind, key)))
}

fn missing(number: u16) -> Message {
    error(&table::MISSING, &[&"key", &number])
}

/// SET ENCO DHPADDING.
pub(super) fn set<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Plan {
    let mut config = look.device.state().isakmp.clone();
    config.dh_padding = command.bool("DHPADDING");
    Plan::Isakmp(Module::Enco, Box::new(config), None)
}

pub(super) fn destroy(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let number: u16 = command.small("KEY").unwrap_or(0);
    if state.keys.get(KeyNumber(number)).is_none() {
        return Err(missing(number));
    }
    if let Some(user) = key_user(state, KeyNumber(number)) {
        return Err(error(&table::IN_USE, &[&"key", &number, &user]));
    }
    Ok(Plan::DestroyKey(KeyNumber(number)))
}

pub(super) fn show(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let number: u16 = command.small("KEY").unwrap_or(0);
    let key = state
        .keys
        .get(KeyNumber(number))
        .ok_or_else(|| missing(number))?;
    Ok(Plan::Print(show::enco_key(key)))
}
