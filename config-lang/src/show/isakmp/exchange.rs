//! SHOW ISAKMP EXCHANGE.

use alloc::format;
use alloc::string::{String, ToString};

use ipsec_core::Instant;
use isakmp_core::config::AuthType;
use isakmp_core::device::State;
use isakmp_core::negotiate::phase1::{Phase1, hash_word};
use isakmp_core::wire::{ExchangeType, Identification};
use isakmp_core::{Endpoint, ExchangeDetail, ExchangePart, ExchangeView, IsakmpSa};

use super::{cipher_text, group_text};
use crate::show::{Screen, or_dash, truth};

const fn type_text(kind: ExchangeType) -> &'static str {
    match kind {
        ExchangeType::Main => "MAIN",
        ExchangeType::Aggressive => "AGGRESSIVE",
        ExchangeType::Transaction => "TRANSACTION",
        ExchangeType::Informational => "INFO",
        ExchangeType::Quick => "QUICK",
        ExchangeType::NewGroup | ExchangeType::Other(_) => "-",
    }
}

/// The exchanges under way and those that are kept for the peer's retransmissions, in the order in
/// which they began; nothing at all if there is none.
pub(crate) fn exchanges(endpoint: &Endpoint, now: Instant) -> String {
    let mut all: alloc::vec::Vec<ExchangeView> = endpoint.exchanges(now).collect();
    all.extend(endpoint.kept_exchanges(now));
    all.sort_by_key(|exchange| exchange.number);
    let mut screen = Screen::new(0);
    if all.is_empty() {
        return screen.text;
    }
    screen.line("ISAKMP Exchanges");
    screen.line("");
    screen.line("Id    Phase  State                   PeerAddress      Type");
    screen.line("-".repeat(65));
    for exchange in all {
        screen.line(format!(
            "{:<5} {:<6} {:<23} {:<16} {}",
            exchange.number,
            exchange.phase,
            exchange.state,
            exchange.peer.to_string(),
            type_text(exchange.kind)
        ));
    }
    screen.text
}

pub(crate) fn exchange(
    state: &State,
    endpoint: &Endpoint,
    now: Instant,
    number: u32,
) -> Option<String> {
    let exchange = endpoint.exchange(&state.isakmp, now, number)?;
    let mut screen = Screen::new(39);
    general(&mut screen, &exchange, now);
    match exchange.part {
        ExchangePart::Phase1 {
            passes,
            agreed,
            answered,
        } => {
            keys(&mut screen, &exchange, state, passes);
            phase1(&mut screen, &exchange, agreed, answered);
        }
        ExchangePart::Transaction { identifier } => {
            screen.line("Transaction Mode");
            screen.field(2, "Mode", "XAUTH");
            screen.field(2, "Id", identifier);
        }
        ExchangePart::Quick { policy, ids } => {
            let pfs = state.ipsec.policy(policy.as_str());
            let pfs = pfs.and_then(ipsec_core::model::PolicyConfig::pfs_group);
            quick(&mut screen, &exchange, pfs, ids);
        }
        ExchangePart::Informational => {}
    }
    Some(screen.text)
}

fn general(screen: &mut Screen, exchange: &ExchangeDetail<'_>, now: Instant) {
    let (view, policy) = (&exchange.view, exchange.policy);
    screen.line("ISAKMP Exchange");
    screen.field(2, "Id", view.number);
    screen.field(2, "Phase", view.phase);
    screen.field(2, "State", view.state);
    screen.field(2, "Type", type_text(view.kind));
    let initiator = exchange.role == ipsec_core::model::Role::Initiator;
    screen.field(2, "Initiator", truth(initiator));
    screen.field(2, "DOI", "IPSEC");
    screen.field(2, "Policy name", &policy.name);
    screen.field(2, "SA", or_dash(exchange.sa.map(|sa| sa.number)));
    screen.field(2, "Peer Address", exchange.path.peer.ip());
    screen.field(2, "Local IP Address", exchange.path.local.ip());
    screen.field(2, "Encrypted", truth(exchange.sa.is_some()));
    screen.field(2, "Expecting message", truth(exchange.expects));
    screen.field(2, "Has SA", truth(exchange.sa.is_some()));
    screen.field(2, "Initiator Cookie", exchange.cookies.0);
    screen.field(2, "Responder Cookie", exchange.cookies.1);
    let message_id = exchange.message_id.map(|id| format!("{:08x}", id.0));
    screen.field(2, "Message Id", or_dash(message_id));
    let [ours, theirs] = exchange.commit;
    screen.field(2, "Set Commit bit", truth(ours));
    screen.field(2, "Commit bit received", truth(theirs));
    screen.field(2, "Send notifies", truth(policy.notifies()));
    screen.field(2, "Send deletes", truth(policy.deletes()));
    screen.field(2, "Message Retry Limit", policy.retry_limit());
    screen.field(2, "Packet Retry Counter", exchange.retries_left);
    screen.field(2, "Initial Message Retry Timeout (s)", policy.timeout());
    let left = exchange.resend_at.map(|at| at.since(now).as_secs());
    screen.field(2, "Packet Retry Timer (time left(s))", or_dash(left));
}

/// The keys that prove who we are and who the peer is.
fn keys(screen: &mut Screen, exchange: &ExchangeDetail<'_>, state: &State, passes: u8) {
    let policy = exchange.policy;
    let signs = policy.auth_type() == AuthType::RsaSig;
    let key = |wanted: bool| or_dash(policy.key.filter(|_| wanted));
    let local = policy.local_rsa_key(&state.isakmp).filter(|_| signs);
    screen.line("Main and Aggressive Mode");
    screen.field(2, "ENCO Pass", passes);
    screen.field(2, "Shared Key Id", key(!signs));
    screen.field(2, "Peer RSA Key Id", key(signs));
    screen.field(2, "Local RSA Key Id", or_dash(local.map(|key| key.0)));
    screen.field(2, "Peer Certificate Id", "-");
    let own = local.and_then(|key| state.isakmp.pki.own(key));
    screen.field(2, "Local Certificate Id", or_dash(own.map(|own| &own.name)));
}

/// The policies of both sides. What the peer chose is what was offered: until it has spoken there
/// is nothing to show of it.
fn phase1(screen: &mut Screen, exchange: &ExchangeDetail<'_>, agreed: Phase1, answered: bool) {
    screen.line("  Local Policy");
    transform(screen, exchange, agreed);
    if answered {
        screen.line("  Remote Policy");
        transform(screen, exchange, agreed);
    } else {
        screen.field(2, "Remote Policy", "-");
    }
}

/// The only transform of a proposal of phase 1.
fn transform(screen: &mut Screen, exchange: &ExchangeDetail<'_>, agreed: Phase1) {
    screen.line("    Transform");
    screen.field(6, "Transform Number", 1);
    screen.field(6, "Transform Id", "IKE");
    screen.field(6, "Encryption Algorithm", cipher_text(agreed.cipher));
    screen.field(6, "Authentication Algorithm", hash_word(agreed.hash));
    screen.field(6, "Authentication Method", exchange.policy.auth_type());
    screen.field(6, "Group Description", group_text(agreed.group));
    screen.field(6, "Group Type", "MODP");
    let bits = exchange.policy.exponent_bits();
    screen.field(6, "DH Private Exponent Bits", bits);
    screen.field(6, "Expiry Seconds", agreed.life.seconds);
    screen.field(6, "Expiry KBytes", or_dash(agreed.life.kbytes));
}

fn quick(
    screen: &mut Screen,
    exchange: &ExchangeDetail<'_>,
    pfs: Option<u8>,
    ids: Option<&(Identification, Identification)>,
) {
    let policy = exchange.policy;
    screen.line("Quick Mode Status");
    screen.field(2, "SA id", or_dash(exchange.sa.map(|sa| sa.number)));
    screen.field(2, "local address", exchange.path.local.ip());
    screen.field(2, "policy name", &policy.name);
    screen.field(2, "use PFS-KEY", truth(pfs.is_some()));
    screen.field(2, "use PFS-ID", truth(false));
    screen.field(2, "DH group ID", or_dash(pfs));
    screen.field(2, "msg retry limit", policy.retry_limit());
    screen.field(2, "msg retry timeout", policy.timeout());
    screen.line("IPSEC exchange info");
    identity(screen, "IDi", ids.map(|(initiator, _)| initiator));
    identity(screen, "IDr", ids.map(|(_, responder)| responder));
    screen.field(2, "group Id", or_dash(pfs));
    if let Some(sa) = exchange.sa {
        definition(screen, sa);
    }
}

/// An identity in the form of the trace; a dash where both ends are the gateways themselves.
fn identity(screen: &mut Screen, label: &str, id: Option<&Identification>) {
    let Some(id) = id else {
        return screen.field(2, label, "-");
    };
    let data: String = id.data.iter().map(|byte| format!("{byte:02x}")).collect();
    screen.line(format!("  {label}"));
    screen.field(4, "type", id.kind_word());
    screen.field(4, "protocol Id", id.protocol);
    screen.field(4, "port", id.port);
    screen.field(4, "data", data);
}

fn definition(screen: &mut Screen, sa: &IsakmpSa) {
    let agreed = sa.agreed();
    screen.line("Sa Definition Information");
    screen.field(2, "Authentication Type", sa.policy.auth_type());
    screen.field(2, "Encryption Algorithm", cipher_text(agreed.cipher));
    screen.field(2, "Hash Algorithm", hash_word(agreed.hash));
    screen.field(2, "group Type", "MODP");
    screen.field(2, "group Description", group_text(agreed.group));
    screen.field(2, "expiry seconds", agreed.life.seconds);
    screen.field(2, "expiry kilobytes", or_dash(agreed.life.kbytes));
}
