//! What commands on policies, SA and bundle specifications count: SPD of SHOW IPSEC COUNTERS.

use alloc::vec::Vec;

use ipsec_core::counters::Happened;
use ipsec_core::model::IpsecConfig;

use crate::parse::{Parsed, Value};

/// The records that a command names, each found or not.
pub(crate) fn named(config: &IpsecConfig, command: &Parsed) -> Vec<Happened> {
    let mut counted = Vec::new();
    let (["IPSEC", ..], false) = (command.spec.object, command.spec.object.contains(&"DEBUG"))
    else {
        return counted;
    };
    for given in &command.given {
        match (given.name, &given.value) {
            ("POLICY", Value::Text(name)) => counted.push(match config.policy(name) {
                Some(_) => Happened::PolicyGet,
                None => Happened::PolicyGetFailed,
            }),
            ("SASPECIFICATION", Value::Number(number)) => counted.push(sa_spec(config, *number)),
            ("BUNDLESPECIFICATION", Value::Number(number)) => {
                let number = u8::try_from(*number).ok();
                let found = number.and_then(|number| config.bundle(number));
                counted.push(match found {
                    Some(_) => Happened::BundleSpecGet,
                    None => Happened::BundleSpecGetFailed,
                });
            }
            ("STRING", Value::Bundle(string)) => {
                counted.extend(string.specs().map(|number| sa_spec(config, number.into())));
            }
            _ => {}
        }
    }
    counted
}

fn sa_spec(config: &IpsecConfig, number: u32) -> Happened {
    let number = u8::try_from(number).ok();
    match number.and_then(|number| config.sa_spec(number)) {
        Some(_) => Happened::SaSpecGet,
        None => Happened::SaSpecGetFailed,
    }
}

/// What a command was, and whether it worked.
pub(crate) fn carried_out(command: &Parsed, worked: bool) -> Option<Happened> {
    use Happened as H;
    let one_policy = command.get("POLICY").is_some();
    let (good, failed) = match (command.spec.verb, command.spec.object) {
        ("CREATE", ["IPSEC", "POLICY"]) => (H::PolicyAdd, H::PolicyAddFailed),
        ("SET", ["IPSEC", "POLICY"]) => (H::PolicySetConfig, H::PolicySetConfigFailed),
        ("SHOW", ["IPSEC", "POLICY"]) if one_policy => {
            (H::PolicyGetConfig, H::PolicyGetConfigFailed)
        }
        ("DESTROY", ["IPSEC", "POLICY"]) if command.get("SABUNDLE").is_none() => {
            (H::PolicyDelete, H::PolicyDeleteFailed)
        }
        ("CREATE", ["IPSEC", "SASPECIFICATION"]) => (H::SaSpecAdd, H::SaSpecAddFailed),
        ("DESTROY", ["IPSEC", "SASPECIFICATION"]) => (H::SaSpecDelete, H::SaSpecDeleteFailed),
        ("CREATE", ["IPSEC", "BUNDLESPECIFICATION"]) => (H::BundleSpecAdd, H::BundleSpecAddFailed),
        ("DESTROY", ["IPSEC", "BUNDLESPECIFICATION"]) => {
            (H::BundleSpecDelete, H::BundleSpecDeleteFailed)
        }
        _ => return None,
    };
    Some(if worked { good } else { failed })
}
