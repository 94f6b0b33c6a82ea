//! SHOW ISAKMP and the screens of its parts.

mod counters;
mod exchange;
mod policy;
mod sa;
mod with_ipsec;

use alloc::format;
use alloc::string::String;

use hw_offload::{Cipher, DhGroup};
use isakmp_core::config::Backoff;
use isakmp_core::device::State;

use super::{Screen, or_dash, truth};

pub(crate) use counters::counters;
pub(crate) use exchange::{exchange, exchanges};
pub(crate) use policy::{policies, policy};
pub(crate) use sa::{sa, sas};
pub(crate) use with_ipsec::with_ipsec;

/// The flags of the debug options; bit 0 stands on the left.
fn flags(state: &State) -> String {
    format!("{:08b}", state.isakmp.debug.bits().reverse_bits())
}

pub(crate) fn isakmp(state: &State) -> String {
    let mut screen = Screen::new(40);
    screen.line("ISAKMP Module Configuration");
    let status = if state.isakmp.enabled {
        "ENABLED"
    } else {
        "DISABLED"
    };
    screen.field(0, "Module Status", status);
    screen.field(0, "UDP Port", state.isakmp.port());
    screen.field(0, "Debug Flag", flags(state));
    screen.field(0, "Global Debug Device", 0);
    let rsa_key = or_dash(state.isakmp.local_rsa_key);
    screen.field(0, "Local RSA Key", rsa_key);
    let serves = state.isakmp.policy_server.unwrap_or(false);
    screen.field(0, "VPN Client Policy Server Enabled", truth(serves));
    match &state.isakmp.policy_file {
        Some(file) => screen.field(0, "VPN Client Policy File Name", file),
        None => screen.line("VPN Client Policy File Name ............"),
    }
    screen.text
}

const fn cipher_text(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Null => "NULL",
        Cipher::Des => "DES - 56 bit",
        Cipher::TripleDes => "3DESOUTER - 168 bit",
        Cipher::Aes128 => "AES - 128 bit",
        Cipher::Aes192 => "AES - 192 bit",
        Cipher::Aes256 => "AES - 256 bit",
    }
}

const fn group_text(group: DhGroup) -> &'static str {
    match group {
        DhGroup::Modp512 => "MODP512",
        DhGroup::Modp768 => "MODP768",
        DhGroup::Modp1024 => "MODP1024",
        DhGroup::Modp1536 => "MODP1536",
        DhGroup::Modp2048 => "MODP2048",
    }
}

const fn backoff_text(backoff: Backoff) -> &'static str {
    match backoff {
        Backoff::Incremental => "Incremental",
        Backoff::None => "None",
    }
}

/// Hard limit, soft limit and age of an ISAKMP SA.
fn seconds(sa: &isakmp_core::IsakmpSa, now: ipsec_core::Instant) -> String {
    let used = now.since(sa.since).as_secs();
    format!("{}/{}/{used}", sa.lifetime.seconds, sa.soft_seconds)
}
