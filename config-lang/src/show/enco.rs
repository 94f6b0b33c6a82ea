//! SHOW ENCO KEY=n.

use alloc::string::String;
use core::fmt::Write;

use alloc::vec::Vec;

use hw_offload::{KeyKind, KeyRecord, Secret, to_base32};

use super::or_dash;
use crate::dump::hex;

pub(crate) fn enco_key(key: &KeyRecord) -> String {
    let mut text = String::new();
    if matches!(key.kind, KeyKind::Rsa | KeyKind::RsaPublic) {
        // The private half stays inside.
        let _ = match rsa_public(&key.value) {
            Some((bits, public)) => writeln!(text, "RSA {bits} bits\n{}", hex(&public, true)),
            None => writeln!(text, "RSA key being generated"),
        };
        let _ = writeln!(text, "IP Address:\n{}", or_dash(key.address));
        return text;
    }
    let cipher = key.kind != KeyKind::General;
    if cipher {
        let _ = writeln!(text, "{}", to_base32(key.value.expose()));
    }
    let _ = writeln!(text, "{}", hex(key.value.expose(), cipher));
    let _ = writeln!(text, "IP Address:\n{}", or_dash(key.address));
    text
}

#[cfg(feature = "rsa")]
fn rsa_public(key: &Secret) -> Option<(usize, Vec<u8>)> {
    let bits = hw_offload::rsa_bits(key).ok()?;
    Some((bits, hw_offload::rsa_public_half(key).ok()?))
}

#[cfg(not(feature = "rsa"))]
fn rsa_public(_: &Secret) -> Option<(usize, Vec<u8>)> {
    None
}
