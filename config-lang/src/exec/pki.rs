//! ADD, DELETE and SHOW PKI CERTIFICATE.

use alloc::boxed::Box;

use hw_offload::Engines;
use isakmp_core::config::IsakmpConfig;
use isakmp_core::device::State;

use super::{Look, Plan, foreign};
use crate::message::{Message, Module, table};
use crate::parse::Parsed;
use crate::show;

pub(super) fn plan<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    let state = look.device.state();
    match (command.spec.verb, command.spec.object) {
        ("ADD", ["PKI", "CERTIFICATE"]) => add(look, command),
        ("DELETE", ["PKI", "CERTIFICATE"]) => delete(state, command),
        ("SHOW", ["PKI", "CERTIFICATE"]) => {
            let pki = &state.isakmp.pki;
            let now = state.wall.seconds(look.now);
            match command.text("CERTIFICATE") {
                None => Ok(Plan::Print(show::certificates(pki, now))),
                Some(name) => pki
                    .get(name)
                    .map(|certificate| Plan::Print(show::certificate(certificate, now)))
                    .ok_or_else(|| missing(name)),
            }
        }
        _ => Ok(foreign(command)),
    }
}

fn missing(name: &str) -> Message {
    table::MISSING.by(Module::Pki, &[&"the certificate", &name])
}

/// Reads a certificate from a file. An own one has to belong to an RSA key of this router.
#[cfg(feature = "x509")]
fn add<E: Engines>(look: &Look<'_, E>, command: &Parsed) -> Result<Plan, Message> {
    use alloc::string::String;
    use core::fmt::Display;

    use hw_offload::{KeyKind, rsa_public_half};
    use ipsec_core::model::Name;
    use isakmp_core::pki::{Certificate, CertificateRole, read_file};

    use crate::message::Row;

    let state = look.device.state();
    let name = command.text("CERTIFICATE").unwrap_or("");
    if state.isakmp.pki.get(name).is_some() {
        return Err(table::EXISTS.by(Module::Pki, &[&"the certificate", &name]));
    }
    let file = command.text("LOCATION").unwrap_or("");
    let refuse = |row: &'static Row, words: &[&dyn Display]| {
        row.by(Module::Pki, words)
            .about_given(command.get("LOCATION"))
    };
    let content = look.host.read_file(file);
    let content = content.ok_or_else(|| refuse(&table::NO_FILE, &[&file]))?;
    let (der, facts) =
        read_file(&content).map_err(|fault| refuse(&table::BAD_CERTIFICATE, &[&file, &fault]))?;
    let role = match command.word("TYPE") {
        Some("SELF") => CertificateRole::Own,
        Some("EE") => CertificateRole::EndEntity,
        _ => CertificateRole::Ca,
    };
    let key = if role == CertificateRole::Own {
        let mut keys = state
            .keys
            .iter()
            .filter(|(_, key)| key.kind == KeyKind::Rsa);
        let own = keys.find(|(_, key)| {
            rsa_public_half(&key.value).is_ok_and(|half| half == facts.public_key)
        });
        Some(
            own.ok_or_else(|| refuse(&table::NO_PRIVATE_KEY, &[&file]))?
                .0,
        )
    } else {
        None
    };
    if role == CertificateRole::Ca && !(facts.is_ca && facts.signs_certificates) {
        return Err(refuse(&table::NO_CA, &[&file]));
    }
    let mut config = state.isakmp.clone();
    config.pki.certificates.push(Certificate {
        name: Name::new(name),
        file: String::from(file),
        role,
        trusted: command.bool("TRUSTED") == Some(true),
        key,
        der,
        facts,
    });
    Ok(Plan::Isakmp(Module::Pki, Box::new(config), None))
}

#[cfg(not(feature = "x509"))]
fn add<E: Engines>(_: &Look<'_, E>, _: &Parsed) -> Result<Plan, Message> {
    Err(table::NO_X509.by(Module::Pki, &[]))
}

fn delete(state: &State, command: &Parsed) -> Result<Plan, Message> {
    let name = command.text("CERTIFICATE").unwrap_or("");
    if state.isakmp.pki.get(name).is_none() {
        return Err(missing(name));
    }
    let mut config: IsakmpConfig = state.isakmp.clone();
    config
        .pki
        .certificates
        .retain(|certificate| certificate.name != *name);
    Ok(Plan::Isakmp(Module::Pki, Box::new(config), None))
}
