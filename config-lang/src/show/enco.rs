//! SHOW ENCO KEY=n.

use alloc::string::String;
use core::fmt::Write;

use hw_offload::{KeyKind, KeyRecord, to_base32};

use super::or_dash;
use crate::dump::hex;

pub(crate) fn enco_key(key: &KeyRecord) -> String {
    let mut text = String::new();
    let cipher = key.kind != KeyKind::General;
    if cipher {
        let _ = writeln!(text, "{}", to_base32(key.value.expose()));
    }
    let _ = writeln!(text, "{}", hex(key.value.expose(), cipher));
    let _ = writeln!(text, "IP Address:\n{}", or_dash(key.address));
    text
}
