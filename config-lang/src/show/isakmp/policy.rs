//! SHOW ISAKMP POLICY.

use alloc::format;
use alloc::string::String;

use ipsec_core::model::cipher_word;
use isakmp_core::Endpoint;
use isakmp_core::config::{IsakmpPolicyConfig, Phase1Mode, Xauth, XauthType};
use isakmp_core::device::State;
use isakmp_core::identity;
use isakmp_core::negotiate::phase1::hash_word;

use super::{backoff_text, cipher_text, flags};
use crate::show::{Screen, or_dash, truth};

const fn mode_text(mode: Phase1Mode) -> &'static str {
    match mode {
        Phase1Mode::Main => "IDPROT",
        Phase1Mode::Aggressive => "AGGR",
    }
}

pub(crate) fn policies(state: &State) -> String {
    let mut screen = Screen::new(0);
    screen.line("ISAKMP Policies");
    screen.line("");
    screen.line("Name                      PeerAddress");
    screen.line("Mode         AuthType     EncAlg       HashAlg");
    screen.line("-".repeat(75));
    for policy in &state.isakmp.policies {
        screen.line(format!("{:<25} {}", policy.name.as_str(), policy.peer));
        screen.line(format!(
            "{:<12} {:<12} {:<12} {}",
            mode_text(policy.mode()),
            policy.auth_type(),
            cipher_word(policy.cipher()),
            hash_word(policy.hash())
        ));
    }
    screen.text
}

pub(crate) fn policy(state: &State, endpoint: &Endpoint, name: &str) -> Option<String> {
    let policy = state.isakmp.policy(name)?;
    let mut screen = Screen::new(39);
    screen.line("ISAKMP Policy");
    screen.field(0, "Name", &policy.name);
    screen.field(0, "Peer Address", &policy.peer);
    screen.field(0, "Phase1 Mode", mode_text(policy.mode()));
    screen.field(0, "Authentication Type", policy.auth_type());
    extended(&mut screen, policy);
    screen.field(0, "Key Id", or_dash(policy.key));
    screen.field(0, "Local RSA key", or_dash(policy.local_rsa_key));
    screen.field(0, "Peer Certificate Id", "-");
    screen.field(0, "Phase 2 Exchanges Limit", policy.phase2_limit());
    screen.field(0, "PreNegotiate", truth(policy.prenegotiates()));
    screen.field(0, "DOI", "IPSEC");
    screen.field(0, "Send Notify Messages", truth(policy.notifies()));
    screen.field(0, "Send Delete Messages", truth(policy.deletes()));
    screen.field(
        0,
        "Always Send ID Messages",
        truth(policy.always_sends_ids()),
    );
    screen.field(0, "Commit Bit", truth(policy.commits()));
    screen.field(0, "Message Retry Limit", policy.retry_limit());
    screen.field(0, "Message Time Out", policy.timeout());
    screen.field(0, "Message Back-off", backoff_text(policy.backoff()));
    screen.field(0, "Exchange Delete Delay", policy.delete_delay().as_secs());
    screen.field(
        0,
        "Source Interface",
        or_dash(policy.src_interface.as_ref()),
    );
    let file = or_dash(policy.policy_file.as_ref());
    screen.field(0, "VPN Client Policy File Name", file);
    let id = |name: &Option<ipsec_core::model::Name>| {
        or_dash(name.as_ref().map(|name| identity::labelled(name.as_str())))
    };
    screen.field(0, "Local ID", id(&policy.local_id));
    screen.field(0, "Remote ID", id(&policy.remote_id));
    screen.field(0, "DebugFlag", flags(state));
    screen.field(0, "Retry IKE Attempts", policy.retries());
    let retries = endpoint.retries(&policy.name);
    screen.field(0, "Current IKE Retries", retries.attempts);
    screen.field(0, "Required IKE Retry Phase", retries.phases.word());
    if policy.extends() {
        screen.field(0, "Rekey on SA Soft Expiry", truth(true));
    }
    specification(&mut screen, policy);
    Some(screen.text)
}

/// Extended authentication: what the router is asked for as a client. The password is not for
/// the eyes of whoever stands behind the operator.
fn extended(screen: &mut Screen, policy: &IsakmpPolicyConfig) {
    let used = policy.xauth() != Xauth::None;
    let method = match policy.xauth_type() {
        XauthType::Generic => "GENERIC",
        XauthType::Radius => "RADIUS CHAP",
    };
    screen.field(0, "Extended Authentication", policy.xauth());
    let method = or_dash(Some(method).filter(|_| used));
    screen.field(0, "Extended Authentication Type", method);
    let name = or_dash(policy.xauth_name.as_ref());
    screen.field(0, "Extended Authentication User Name", name);
    let password = policy.xauth_password.as_ref().map(|_| "********");
    screen.field(0, "Extended Authentication Password", or_dash(password));
}

fn specification(screen: &mut Screen, policy: &IsakmpPolicyConfig) {
    screen.line("SA Specification");
    screen.field(0, "Encryption Algorithm", cipher_text(policy.cipher()));
    screen.field(0, "Hash Algorithm", hash_word(policy.hash()));
    screen.field(0, "Group Description", policy.group().number());
    screen.field(0, "DH Private Exponent Bits", policy.exponent_bits());
    screen.field(0, "Heartbeat Mode", policy.heartbeat());
    screen.field(0, "DPD Mode", policy.dpd());
    screen.field(0, "DPD Idle Timeout", policy.dpd_idle().as_secs());
    screen.field(0, "Group Type", "MODP");
    screen.field(0, "Expiry Seconds", policy.seconds());
    screen.field(0, "Expiry Kilobytes", or_dash(policy.expiry_kbytes));
    screen.field(0, "NAT Traversal", truth(policy.traverses_nat()));
}
