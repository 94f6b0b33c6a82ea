//! CREATE, DESTROY and SHOW ENCO KEY.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use hw_offload::{
    Engines, KeyKind, KeyNumber, KeyRecord, Secret, parse_value, random_value, read_rsa,
};
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
        return Err(error(4, "FILE is only valid with TYPE=RSA".into()).about(file.at));
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
    Ok(Plan::CreateKey(number, record(kind, value)))
}

/// An RSA key comes from a file, or is made by the engine, which takes its time.
fn create_rsa<E: Engines>(
    look: &Look<'_, E>,
    command: &Parsed,
    number: KeyNumber,
    record: impl Fn(KeyKind, Secret) -> KeyRecord,
) -> Result<Plan, Message> {
    if let Some(given) = command.get("VALUE") {
        let text = "VALUE is only valid with TYPE=GENERAL, DES, 3DES and AES";
        return Err(error(4, text.into()).about(given.at));
    }
    match (command.get("FILE"), command.get("RANDOM")) {
        (Some(_), Some(random)) => {
            Err(error(2, "FILE and RANDOM exclude each other".into()).about(random.at))
        }
        (None, None) => Err(error(3, "FILE or RANDOM is required".into())),
        (Some(given), None) => {
            if let Some(length) = command.get("LENGTH") {
                return Err(error(4, "LENGTH is only valid with RANDOM".into()).about(length.at));
            }
            let name = command.text("FILE").unwrap_or("");
            let content = look.host.read_file(name).ok_or_else(|| {
                error(10, format!("the file {name} does not exist")).about(given.at)
            })?;
            let (kind, value) = read_rsa(&content)
                .map_err(|fault| error(5, format!("FILE: {fault}")).about(given.at))?;
            Ok(Plan::CreateKey(number, record(kind, value)))
        }
        (None, Some(_)) => {
            let bits = command.number("LENGTH").unwrap_or(2048);
            let bits = u16::try_from(bits).unwrap_or(u16::MAX);
            if !(1024..=8192).contains(&bits) {
                let text = "LENGTH of an RSA key is 1024 to 8192 bits";
                let message = error(6, text.into());
                return Err(match command.get("LENGTH") {
                    Some(length) => message.about(length.at),
                    None => message,
                });
            }
            let key = record(KeyKind::Rsa, Secret::copy_of(&[]));
            Ok(Plan::GenerateKey(number, key, bits))
        }
    }
}

/// SET ENCO DHPADDING.
pub(super) fn set<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Plan {
    let mut config = look.device.state().isakmp.clone();
    config.dh_padding = command.bool("DHPADDING");
    Plan::Isakmp(Box::new(config), None)
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
        .any(|policy| [policy.key, policy.local_rsa_key].contains(&Some(number)))
        || state.isakmp.local_rsa_key == Some(number)
        || state.isakmp.pki.own(KeyNumber(number)).is_some()
        || state
            .ipsec
            .sa_specs
            .iter()
            .any(|spec| spec.enckey == Some(number) || spec.hashkey == Some(number));
    if used {
        return Err(error(
            8,
            format!("key {number} is used by a policy, SA specification or certificate"),
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
