//! SHOW ISAKMP SA.

use alloc::format;
use alloc::string::String;

use ipsec_core::Instant;
use ipsec_core::model::cipher_word;
use isakmp_core::negotiate::phase1::hash_word;
use isakmp_core::{Endpoint, IsakmpSa};

use super::{backoff_text, cipher_text, group_text, seconds};
use crate::show::{Screen, or_dash, truth, yes};

/// Hard limit, soft limit and use in bytes; without a limit nothing of it.
fn bytes(sa: &IsakmpSa) -> String {
    let hard = sa.lifetime.hard_bytes();
    let used = hard.map(|_| sa.bytes);
    let soft = hard.and(sa.soft_bytes());
    format!("{}/{}/{}", or_dash(hard), or_dash(soft), or_dash(used))
}

pub(crate) fn sas(endpoint: &Endpoint, now: Instant) -> String {
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
            bytes(sa),
            seconds(sa, now)
        ));
    }
    screen.text
}

pub(crate) fn sa(endpoint: &Endpoint, now: Instant, number: u32) -> Option<String> {
    let sa = endpoint.sas().find(|sa| sa.number == number)?;
    let policy = &sa.policy;
    let mut screen = Screen::new(39);
    screen.field(0, "SA Id", sa.number);
    screen.field(2, "Initiator Cookie", sa.cookies.0);
    screen.field(2, "Responder Cookie", sa.cookies.1);
    screen.field(2, "DOI", "IPSEC");
    screen.field(2, "Policy name", &policy.name);
    screen.field(2, "State", sa.state(now).word());
    screen.field(2, "Local address", sa.path.local.ip());
    screen.field(2, "Remote Address", sa.path.peer.ip());
    screen.line("  Time of establishment ...............");
    screen.field(2, "Commit bit set", truth(policy.commits()));
    screen.field(2, "Send notifies", truth(policy.notifies()));
    screen.field(2, "Send deletes", truth(policy.deletes()));
    screen.field(2, "Message Retry Limit", policy.retry_limit());
    screen.field(2, "Initial Message Retry Timeout (s)", policy.timeout());
    screen.field(2, "Message Back-off", backoff_text(policy.backoff()));
    let delay = policy.delete_delay().as_secs();
    screen.field(2, "Exchange Delete Delay (s)", delay);
    screen.field(2, "Do Xauth", truth(sa.xauth.wanted));
    screen.field(4, "Xauth Finished", truth(sa.xauth.finished));
    let hard = sa.lifetime.hard_bytes();
    screen.field(2, "Expiry Limit (bytes)", or_dash(hard));
    screen.field(2, "Soft Expiry Limit (bytes)", or_dash(sa.soft_bytes()));
    screen.field(2, "Bytes seen", or_dash(hard.map(|_| sa.bytes)));
    screen.field(2, "Expiry Limit (seconds)", sa.lifetime.seconds);
    screen.field(2, "Soft Expiry Limit (seconds)", sa.soft_seconds);
    screen.field(2, "Seconds since creation", now.since(sa.since).as_secs());
    let limit = policy.phase2_limit().number();
    screen.field(2, "Number of Phase 2 exchanges allowed", limit);
    let queued = endpoint.queued(sa.path.peer.ip());
    screen.field(2, "Number of acquires queued", queued);
    definition(&mut screen, sa);
    extensions(&mut screen, sa, now);
    Some(screen.text)
}

/// What phase 1 agreed on.
fn definition(screen: &mut Screen, sa: &IsakmpSa) {
    let agreed = sa.agreed();
    screen.line("Sa Definition Information:");
    screen.field(2, "Authentication Type", sa.policy.auth_type());
    screen.field(2, "Encryption Algorithm", cipher_text(agreed.cipher));
    screen.field(2, "Hash Algorithm", hash_word(agreed.hash));
    screen.field(2, "group Type", "MODP");
    screen.field(2, "group Description", group_text(agreed.group));
    screen.field(2, "DH Private Exponent Bits", sa.policy.exponent_bits());
    screen.field(2, "expiry seconds", agreed.life.seconds);
    screen.field(2, "expiry kilobytes", or_dash(agreed.life.kbytes));
}

/// XAUTH, NAT traversal, heartbeat and dead peer detection. What is off is shown too.
fn extensions(screen: &mut Screen, sa: &IsakmpSa, now: Instant) {
    let (xauth, watch) = (&sa.xauth, &sa.watch);
    screen.line("XAuth Information:");
    screen.field(2, "Id", xauth.identifier);
    screen.field(2, "Next Message", xauth.next);
    screen.field(2, "Status", if xauth.ok { "OK" } else { "FAIL" });
    screen.field(2, "Type", xauth.method.word());
    screen.field(2, "Max Failed Attempts", xauth.max_failures);
    screen.field(2, "Failed Attempts", xauth.failures);
    screen.line("NAT-Traversal Information:");
    screen.field(2, "NAT-T enabled", yes(sa.policy.traverses_nat()));
    screen.field(2, "Peer NAT-T capable", yes(watch.nat.version.is_some()));
    screen.field(2, "NAT discovered", watch.nat.found.word());
    screen.line("Heartbeat information:");
    let heartbeat = &watch.heartbeat;
    screen.field(2, "Send Heartbeats", yes(heartbeat.sends()));
    screen.field(2, "Next sequence number tx", heartbeat.next_tx());
    screen.field(2, "Receive Heartbeats", yes(heartbeat.receives()));
    screen.field(2, "Last sequence number rx", heartbeat.last_rx());
    screen.line("DPD information:");
    let dpd = &watch.dpd;
    screen.field(2, "DPD Mode", dpd.mode());
    screen.field(2, "State", dpd.status().word());
    screen.field(2, "Retry Count", dpd.retries());
    let idle = dpd.idle_left(now).as_secs();
    screen.line(format!("  Idle Expiry (seconds)................ {idle}"));
    screen.field(2, "Next sequence number tx", dpd.next_tx());
    screen.field(2, "Last sequence number rx", dpd.last_rx());
}
