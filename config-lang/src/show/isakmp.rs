//! SHOW ISAKMP and SHOW ISAKMP SA.

use alloc::format;
use alloc::string::String;

use hw_offload::{Cipher, DhGroup};
use ipsec_core::Instant;
use ipsec_core::model::cipher_word;
use isakmp_core::config::Backoff;
use isakmp_core::device::State;
use isakmp_core::negotiate::phase1::hash_word;
use isakmp_core::{Endpoint, IsakmpSa};

use super::{Screen, or_dash, truth};

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
    // Bit 0 stands on the left.
    let flags = state.isakmp.debug.bits().reverse_bits();
    screen.field(0, "Debug Flag", format!("{flags:08b}"));
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

fn seconds(sa: &IsakmpSa, now: Instant) -> String {
    let used = now.since(sa.since).as_secs();
    format!("{}/{}/{used}", sa.lifetime.seconds, sa.soft_seconds)
}

pub(crate) fn isakmp_sas(endpoint: &Endpoint, now: Instant) -> String {
    let mut screen = Screen::new(0);
    screen.line("                                            Expiry Limits - hard/soft/used");
    screen.line("SA Id  PeerAddress       EncA.     HashA.   Bytes       Seconds");
    screen.line("-".repeat(77));
    for sa in endpoint.sas() {
        let agreed = sa.agreed();
        screen.line(format!(
            "{:<6} {:<17} {:<9} {:<8} {:<11} {}",
            sa.number,
            format!("{}", sa.path.peer.ip()),
            cipher_word(agreed.cipher),
            hash_word(agreed.hash),
            "-/-/-",
            seconds(sa, now)
        ));
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

pub(crate) fn isakmp_sa(endpoint: &Endpoint, now: Instant, number: u32) -> Option<String> {
    let sa = endpoint.sas().find(|sa| sa.number == number)?;
    let (agreed, policy) = (sa.agreed(), &sa.policy);
    let mut screen = Screen::new(39);
    screen.field(0, "SA Id", sa.number);
    screen.field(2, "Initiator Cookie", sa.cookies.0);
    screen.field(2, "Responder Cookie", sa.cookies.1);
    screen.field(2, "DOI", "IPSEC");
    screen.field(2, "Policy name", &policy.name);
    screen.field(2, "State", "ACTIVE");
    screen.field(2, "Local address", sa.path.local.ip());
    screen.field(2, "Remote Address", sa.path.peer.ip());
    screen.line("  Time of establishment ...............");
    screen.field(2, "Commit bit set", truth(false));
    screen.field(2, "Send notifies", truth(policy.notifies()));
    screen.field(2, "Send deletes", truth(policy.deletes()));
    screen.field(2, "Message Retry Limit", policy.retry_limit());
    screen.field(2, "Initial Message Retry Timeout (s)", policy.timeout());
    let backoff = match policy.backoff() {
        Backoff::Incremental => "Incremental",
        Backoff::None => "None",
    };
    screen.field(2, "Message Back-off", backoff);
    screen.field(
        2,
        "Exchange Delete Delay (s)",
        policy.delete_delay().as_secs(),
    );
    screen.field(2, "Do Xauth", truth(false));
    screen.field(4, "Xauth Finished", truth(true));
    let hard = sa.lifetime.hard_bytes();
    screen.field(2, "Expiry Limit (bytes)", or_dash(hard));
    screen.field(2, "Soft Expiry Limit (bytes)", or_dash(sa.soft_bytes()));
    screen.field(2, "Bytes seen", or_dash(hard.map(|_| sa.bytes)));
    screen.field(2, "Expiry Limit (seconds)", sa.lifetime.seconds);
    screen.field(2, "Soft Expiry Limit (seconds)", sa.soft_seconds);
    screen.field(2, "Seconds since creation", now.since(sa.since).as_secs());
    let limit = policy.phase2_limit().number();
    screen.field(2, "Number of Phase 2 exchanges allowed", limit);
    screen.field(
        2,
        "Number of acquires queued",
        endpoint.queued(sa.path.peer.ip()),
    );
    screen.line("Sa Definition Information:");
    screen.field(2, "Authentication Type", policy.auth_type());
    screen.field(2, "Encryption Algorithm", cipher_text(agreed.cipher));
    screen.field(2, "Hash Algorithm", hash_word(agreed.hash));
    screen.field(2, "group Type", "MODP");
    screen.field(2, "group Description", group_text(agreed.group));
    screen.field(2, "DH Private Exponent Bits", policy.exponent_bits());
    screen.field(2, "expiry seconds", agreed.life.seconds);
    screen.field(2, "expiry kilobytes", or_dash(agreed.life.kbytes));
    screen.line("XAuth Information:");
    screen.field(2, "Id", 0);
    screen.field(2, "Next Message", "UNKNOWN");
    screen.field(2, "Status", "FAIL");
    screen.field(2, "Type", "Generic");
    screen.field(2, "Max Failed Attempts", 0);
    screen.field(2, "Failed Attempts", 0);
    screen.line("NAT-Traversal Information:");
    screen.field(2, "NAT-T enabled", "NO");
    screen.field(2, "Peer NAT-T capable", "NO");
    screen.field(2, "NAT discovered", "UNKNOWN");
    screen.line("Heartbeat information:");
    screen.field(2, "Send Heartbeats", "NO");
    screen.field(2, "Next sequence number tx", 1);
    screen.field(2, "Receive Heartbeats", "NO");
    screen.field(2, "Last sequence number rx", 0);
    screen.line("DPD information:");
    screen.field(2, "DPD Mode", "NONE");
    screen.line("  State ...............................");
    screen.field(2, "Retry Count", 0);
    screen.line("  Idle Expiry (seconds)................ 0");
    screen.field(2, "Next sequence number tx", 0);
    screen.field(2, "Last sequence number rx", 0);
    Some(screen.text)
}
