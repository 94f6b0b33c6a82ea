//! From the configuration back to commands: SHOW CONFIG DYNAMIC and CREATE CONFIG.
//!
//! Executed on a fresh device the text makes an equal configuration.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{Display, Write};
use core::net::{IpAddr, Ipv4Addr};

use hw_offload::{KeyKind, KeyRing};
use ipsec_core::model::{AddressSelector, HashAlg, IpsecConfig, cipher_word};
use ipsec_core::wire::udp_encap::Framing;
use isakmp_core::config::IsakmpConfig;
use isakmp_core::device::{Privilege, RadiusServer, State};
use isakmp_core::negotiate::phase1::hash_word;

use crate::exec::PROTOCOLS;

/// Whether keys, passwords and shared secrets are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// They are: the text makes an equal device.
    Shown,
    /// The lines that have one are comments without it, for a person to complete.
    LeftOut,
}

impl Secrets {
    /// What somebody with these rights sees.
    #[must_use]
    pub const fn seen_by(rights: Privilege) -> Self {
        match rights {
            Privilege::SecurityOfficer => Self::Shown,
            Privilege::Manager | Privilege::User => Self::LeftOut,
        }
    }
}

/// A command under construction.
struct Line {
    text: String,
    /// Whether a secret was left out of it.
    lacks: bool,
}

impl Line {
    fn new(start: impl Display) -> Self {
        Self {
            text: start.to_string(),
            lacks: false,
        }
    }

    /// Appends a parameter if it was given.
    fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(self.text, " {name}={value}");
        }
        self
    }

    /// Appends a secret parameter if it was given.
    fn secret(mut self, secrets: Secrets, name: &str, value: Option<impl Display>) -> Self {
        match (secrets, value) {
            (Secrets::Shown, value) => self.with(name, value),
            (Secrets::LeftOut, None) => self,
            (Secrets::LeftOut, Some(_)) => {
                self.lacks = true;
                self.with(name, Some("..."))
            }
        }
    }

    fn end(self, out: &mut String) {
        if self.lacks {
            out.push_str("# ");
        }
        out.push_str(&self.text);
        if self.lacks {
            out.push_str(" (only a Security Officer sees it)");
        }
        out.push('\n');
    }
}

const fn truth(value: Option<bool>) -> Option<&'static str> {
    match value {
        Some(true) => Some("TRUE"),
        Some(false) => Some("FALSE"),
        None => None,
    }
}

fn quoted(text: impl Display) -> String {
    format!("\"{text}\"")
}

/// A prefix length as a mask.
pub(crate) fn mask(length: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(!u32::MAX.checked_shr(length.into()).unwrap_or(0))
}

/// The whole configuration.
#[must_use]
pub fn all(state: &State) -> String {
    all_with(state, Secrets::Shown)
}

/// The whole configuration, for those who may see its secrets or for others.
#[must_use]
pub fn all_with(state: &State, secrets: Secrets) -> String {
    let mut out = String::new();
    ip(state, &mut out);
    keys(&state.keys, secrets, &mut out);
    radius(&state.radius, secrets, &mut out);
    // What is enabled finds everything configured.
    isakmp_records(&state.isakmp, secrets, &mut out);
    ipsec_records(&state.ipsec, &mut out);
    ipsec_enabled(&state.ipsec, &mut out);
    isakmp_enabled(&state.isakmp, &mut out);
    for user in state.users.iter() {
        Line::new("ADD")
            .with("USER", Some(quoted(&user.name)))
            .secret(secrets, "PASSWORD", Some(&user.password))
            .with("PRIVILEGE", Some(user.privilege.word()))
            .with("LOGIN", (!user.login).then_some("NO"))
            .end(&mut out);
    }
    if state.security_mode {
        out.push_str("ENABLE SYSTEM SECURITY MODE\n");
    }
    out
}

fn ip(state: &State, out: &mut String) {
    if state.ip_enabled {
        out.push_str("ENABLE IP\n");
    }
    if state.ip_remote_assign {
        out.push_str("ENABLE IP REMOTEASSIGN\n");
    }
    if state.ipv6_enabled {
        out.push_str("ENABLE IPV6\n");
    }
    let net = &state.net;
    for (_, interface) in net.interfaces() {
        let unnumbered = [(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32)];
        let addresses = if interface.addresses.is_empty() {
            &unnumbered[..]
        } else {
            &interface.addresses
        };
        for (address, length) in addresses {
            let v4 = address.is_ipv4();
            let value = if v4 {
                address.to_string()
            } else {
                format!("{address}/{length}")
            };
            Line::new(if v4 { "ADD IP" } else { "ADD IPV6" })
                .with("INTERFACE", Some(&interface.name))
                .with("IPADDRESS", Some(value))
                .with("MASK", v4.then(|| mask(*length)))
                .end(out);
        }
    }
    for route in net.routes() {
        let (destination, length) = route.destination;
        let interface = net.get(route.interface).map(|interface| &interface.name);
        match destination {
            IpAddr::V4(_) => Line::new("ADD IP")
                .with("ROUTE", Some(destination))
                .with(
                    "MASK",
                    (!destination.is_unspecified()).then(|| mask(length)),
                )
                .with("INTERFACE", interface)
                .with(
                    "NEXTHOP",
                    Some(route.next_hop.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
                )
                .end(out),
            IpAddr::V6(_) => Line::new("ADD IPV6")
                .with("ROUTE", Some(format!("{destination}/{length}")))
                .with("INTERFACE", interface)
                .with("NEXTHOP", route.next_hop)
                .end(out),
        }
    }
    for template in net.templates() {
        let interface = net.get(template.interface).map(|interface| &interface.name);
        Line::new("ADD IP ROUTE")
            .with("TEMPLATE", Some(quoted(&template.name)))
            .with("INTERFACE", interface)
            .with("NEXTHOP", template.next_hop)
            .end(out);
    }
}

fn radius(servers: &[RadiusServer], secrets: Secrets, out: &mut String) {
    for server in servers {
        let secret = String::from_utf8_lossy(server.secret.expose());
        let port = (server.port != RadiusServer::PORT).then_some(server.port);
        Line::new("ADD RADIUS")
            .with("SERVER", Some(server.address))
            .secret(secrets, "SECRET", Some(quoted(secret)))
            .with("PORT", port)
            .end(out);
    }
}

fn keys(keys: &KeyRing, secrets: Secrets, out: &mut String) {
    for (number, key) in keys.iter() {
        let line = Line::new("CREATE ENCO")
            .with("KEY", Some(number.0))
            .with("TYPE", Some(key.kind.word()));
        let value = key.value.expose();
        let line = match key.kind {
            // The engine is still making it.
            KeyKind::Rsa if value.is_empty() => {
                let _ = writeln!(out, "# {} RANDOM", line.text);
                continue;
            }
            KeyKind::RsaPublic => line.with("VALUE", Some(hex(value, false))),
            KeyKind::General | KeyKind::Rsa => {
                line.secret(secrets, "VALUE", Some(hex(value, false)))
            }
            KeyKind::Des | KeyKind::TripleDes | KeyKind::Aes => {
                line.secret(secrets, "VALUE", Some(hex(value, true)))
            }
        };
        line.with("DESCRIPTION", key.description.as_ref().map(quoted))
            .end(out);
    }
}

/// A key as `0x` and digits, capitals for cipher keys as the router prints them.
pub(crate) fn hex(bytes: &[u8], capitals: bool) -> String {
    let mut text = String::from("0x");
    for byte in bytes {
        let _ = if capitals {
            write!(text, "{byte:02X}")
        } else {
            write!(text, "{byte:02x}")
        };
    }
    text
}

/// SHOW CONFIG DYNAMIC=IPSEC.
#[must_use]
pub fn ipsec(config: &IpsecConfig) -> String {
    let mut out = String::new();
    ipsec_records(config, &mut out);
    ipsec_enabled(config, &mut out);
    out
}

fn ipsec_enabled(config: &IpsecConfig, out: &mut String) {
    if config.enabled {
        out.push_str("ENABLE IPSEC\n");
    }
}

fn ipsec_records(config: &IpsecConfig, out: &mut String) {
    for spec in &config.sa_specs {
        Line::new("CREATE IPSEC")
            .with("SASPECIFICATION", Some(spec.number))
            .with("KEYMANAGEMENT", Some(spec.key_management))
            .with("PROTOCOL", Some(spec.protocol))
            .with("MODE", spec.mode)
            .with("ENCALG", spec.encalg.map(cipher_word))
            .with("ENCKEY", spec.enckey)
            .with("HASHALG", spec.hashalg.map(HashAlg::word))
            .with("HASHKEY", spec.hashkey)
            .with("INSPI", spec.inspi)
            .with("OUTSPI", spec.outspi)
            .with("ANTIREPLAYENABLED", truth(spec.anti_replay))
            .with("REPLAYWINDOWSIZE", spec.window)
            .end(out);
    }
    for bundle in &config.bundles {
        Line::new("CREATE IPSEC")
            .with("BUNDLESPECIFICATION", Some(bundle.number))
            .with("KEYMANAGEMENT", Some(bundle.key_management))
            .with("STRING", Some(quoted(&bundle.string)))
            .with("EXPIRYKBYTES", bundle.expiry_kbytes)
            .with("EXPIRYSECONDS", bundle.expiry_seconds)
            .end(out);
    }
    if let Some(port) = config.udp_port {
        Line::new("SET IPSEC").with("UDPPORT", Some(port)).end(out);
    }
    for policy in &config.policies {
        let protocol = policy.transport.map(|number| {
            PROTOCOLS
                .iter()
                .find(|(_, known)| *known == number)
                .map_or_else(|| number.to_string(), |(name, _)| name.to_string())
        });
        Line::new("CREATE IPSEC")
            .with("POLICY", Some(quoted(&policy.name)))
            .with("INTERFACE", Some(&policy.interface))
            .with("ACTION", Some(policy.action))
            .with("IPVERSION", policy.version)
            .with("KEYMANAGEMENT", policy.key_management)
            .with("BUNDLESPECIFICATION", policy.bundle)
            .with("PEERADDRESS", policy.peer.as_ref())
            .with("LADDRESS", policy.laddress.map(address))
            .with("LMASK", policy.lmask.map(mask))
            .with("LNAME", policy.lname.as_ref().map(quoted))
            .with("LPORT", policy.lport)
            .with("RADDRESS", policy.raddress.map(address))
            .with("RMASK", policy.rmask.map(mask))
            .with("RNAME", policy.rname.as_ref().map(quoted))
            .with("RPORT", policy.rport)
            .with("TRANSPORTPROTOCOL", protocol)
            .with("DFBIT", policy.df_bit)
            .with("GROUP", policy.group)
            .with("ICMPTYPE", policy.neighbour_discovery.then_some("NDALL"))
            .with(
                "IPROUTETEMPLATE",
                policy.route_template.as_ref().map(quoted),
            )
            .with("ISAKMPPOLICY", policy.isakmp_policy.as_ref().map(quoted))
            .with("SRCINTERFACE", policy.src_interface.as_ref())
            .with("USEPFSKEY", truth(policy.use_pfs))
            .with("UDPTUNNEL", truth(policy.udp_tunnel))
            .with("UDPHEARTBEAT", truth(policy.udp_heartbeat))
            .with("UDPPORT", policy.udp_port)
            .with("UDPFRAMING", policy.udp_framing.map(framing))
            .with("RESPONDBADSPI", truth(policy.respond_bad_spi))
            .end(out);
    }
}

const fn framing(framing: Framing) -> &'static str {
    match framing {
        Framing::V1 => "V1",
        Framing::Raw => "RAW",
    }
}

/// An address selector as it is typed: a single address without a prefix length.
fn address(selector: AddressSelector) -> String {
    match selector {
        AddressSelector::Prefix(address, length) => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            if length == whole {
                address.to_string()
            } else {
                selector.to_string()
            }
        }
        other => other.to_string(),
    }
}

/// SHOW CONFIG DYNAMIC=ISAKMP.
#[must_use]
pub fn isakmp(config: &IsakmpConfig) -> String {
    isakmp_with(config, Secrets::Shown)
}

/// SHOW CONFIG DYNAMIC=ISAKMP, for those who may see its secrets or for others.
#[must_use]
pub fn isakmp_with(config: &IsakmpConfig, secrets: Secrets) -> String {
    let mut out = String::new();
    isakmp_records(config, secrets, &mut out);
    isakmp_enabled(config, &mut out);
    out
}

fn isakmp_enabled(config: &IsakmpConfig, out: &mut String) {
    if config.enabled {
        enable_isakmp(config, out);
    }
}

/// ENABLE ISAKMP with the parameters that were given at any time.
fn enable_isakmp(config: &IsakmpConfig, out: &mut String) {
    Line::new("ENABLE ISAKMP")
        .with("LOCALRSAKEY", config.local_rsa_key)
        .with("POLICYSERVERENABLED", truth(config.policy_server))
        .with("POLICYFILENAME", config.policy_file.as_ref().map(quoted))
        .with("UDPPORT", config.udp_port)
        .end(out);
}

fn isakmp_records(config: &IsakmpConfig, secrets: Secrets, out: &mut String) {
    let given = config.local_rsa_key.is_some()
        || config.policy_server.is_some()
        || config.policy_file.is_some()
        || config.udp_port.is_some();
    // Policies without LOCALRSAKEY stand on that of ENABLE ISAKMP, and DISABLE keeps it.
    if config.local_rsa_key.is_some() || given && !config.enabled {
        enable_isakmp(config, out);
        out.push_str("DISABLE ISAKMP\n");
    }
    if let Some(padding) = config.dh_padding {
        let on = if padding { "ON" } else { "OFF" };
        Line::new("SET ENCO").with("DHPADDING", Some(on)).end(out);
    }
    if let Some(name) = &config.distinguished_name {
        let name = Some(quoted(name));
        Line::new("SET SYSTEM")
            .with("DISTINGUISHEDNAME", name)
            .end(out);
    }
    for certificate in &config.pki.certificates {
        Line::new("ADD PKI")
            .with("CERTIFICATE", Some(quoted(&certificate.name)))
            .with("LOCATION", Some(quoted(&certificate.file)))
            .with("TRUSTED", certificate.trusted.then_some("TRUE"))
            .with("TYPE", Some(certificate.role))
            .end(out);
    }
    for policy in &config.policies {
        let password = policy
            .xauth_password
            .as_ref()
            .map(|password| quoted(String::from_utf8_lossy(password.0.expose())));
        Line::new("CREATE ISAKMP")
            .with("POLICY", Some(quoted(&policy.name)))
            .with("PEER", Some(&policy.peer))
            .with("IPVERSION", policy.version)
            .with("AUTHTYPE", policy.auth_type)
            .with("DELETEDELAY", policy.delete_delay)
            .with("DHEXPONENTLENGTH", policy.dh_exponent_length)
            .with("DPDIDLETIMEOUT", policy.dpd_idle_timeout)
            .with("DPDMODE", policy.dpd_mode)
            .with("ENCALG", policy.encalg.map(cipher_word))
            .with("EXPIRYKBYTES", policy.expiry_kbytes)
            .with("EXPIRYSECONDS", policy.expiry_seconds)
            .with("GROUP", policy.group.map(hw_offload::DhGroup::number))
            .with("HASHALG", policy.hashalg.map(hash_word))
            .with("HEARTBEATMODE", policy.heartbeat_mode)
            .with("HYBRIDXAUTH", truth(policy.hybrid_xauth))
            .with("KEY", policy.key)
            .with("LOCALID", policy.local_id.as_ref().map(quoted))
            .with("LOCALRSAKEY", policy.local_rsa_key)
            .with("MODE", policy.mode)
            .with("MSGBACKOFF", policy.msg_backoff)
            .with("MSGRETRYLIMIT", policy.msg_retry_limit)
            .with("MSGTIMEOUT", policy.msg_timeout)
            .with("NATTRAVERSAL", truth(policy.nat_traversal))
            .with("PHASE2XCHGLIMIT", policy.phase2_limit)
            .with("POLICYFILENAME", policy.policy_file.as_ref().map(quoted))
            .with("PRENEGOTIATE", truth(policy.prenegotiate))
            .with("REMOTEID", policy.remote_id.as_ref().map(quoted))
            .with("REKEY", truth(policy.rekey))
            .with("RETRYIKEATTEMPTS", policy.retry_ike_attempts)
            .with("SENDDELETES", truth(policy.send_deletes))
            .with("SENDNOTIFY", truth(policy.send_notify))
            .with("SENDIDALWAYS", truth(policy.send_id_always))
            .with("SETCOMMITBIT", truth(policy.set_commit_bit))
            .with("SRCINTERFACE", policy.src_interface.as_ref())
            .with("XAUTH", policy.xauth)
            .with("XAUTHNAME", policy.xauth_name.as_ref().map(quoted))
            .secret(secrets, "XAUTHPASSWORD", password)
            .with("XAUTHTYPE", policy.xauth_type)
            .end(out);
    }
}
