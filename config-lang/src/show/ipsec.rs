//! SHOW IPSEC, SHOW IPSEC POLICY and SHOW IPSEC SA.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Cipher, Mac};
use ipsec_core::debug::DebugMask;
use ipsec_core::model::{
    Action, AddressSelector, DfBit, Mode, PeerAddress, PolicyConfig, Protocol, cipher_word,
};
use ipsec_core::{Bundle, Instant, PlaneState, SaState};
use isakmp_core::device::State;

use super::{Screen, or_dash, truth};
use crate::debug::PACKET_LENGTH;
use crate::dump::mask;
use crate::exec::PROTOCOLS;

/// The terminal that debugging goes to: the console.
const DEBUG_DEVICE: u8 = 16;
/// "Sa Selector From Pkt": which selectors of an SA come from its first packet. None does.
const FLAGS: &str = "00000000";

pub(crate) fn ipsec(state: &State) -> String {
    let mut screen = Screen::new(40);
    screen.line("IPSEC Module Configuration");
    let status = if state.ipsec.enabled {
        "ENABLED"
    } else {
        "DISABLED"
    };
    screen.field(0, "Module Status", status);
    screen.line("IPsec over UDP");
    let mut policies = state.ipsec.policies.iter();
    let open = state.ipsec.enabled && policies.any(|policy| policy.udp_tunnel == Some(true));
    screen.field(2, "Status", if open { "OPEN" } else { "CLOSED" });
    screen.field(2, "Listen Port", state.ipsec.udp_port());
    screen.text
}

pub(crate) fn policies(state: &State) -> String {
    let mut screen = Screen::new(0);
    screen.line("Interface  Name                     Action   KeyManagement  Position");
    screen.line("-".repeat(72));
    for policy in &state.ipsec.policies {
        let management = or_dash(policy.key_management);
        screen.line(format!(
            "{:<10} {:<24} {:<8} {:<14} {}",
            policy.interface,
            policy.name,
            policy.action(),
            management,
            state.ipsec.position(policy)
        ));
    }
    screen.text
}

/// An address selector as its two lines: the address or range, and the mask.
fn lines(selector: AddressSelector) -> (String, String) {
    match selector {
        AddressSelector::Any => ("ANY".to_string(), "ANY".to_string()),
        AddressSelector::Prefix(address @ IpAddr::V4(_), length) => {
            (address.to_string(), mask(length).to_string())
        }
        AddressSelector::Prefix(address, length) => {
            (format!("{address}/{length}"), "-".to_string())
        }
        range @ AddressSelector::Range(..) => (range.to_string(), "-".to_string()),
    }
}

fn any(value: Option<impl core::fmt::Display>) -> String {
    value.map_or_else(|| "ANY".to_string(), |value| value.to_string())
}

fn protocol(number: Option<u8>) -> String {
    let name = PROTOCOLS.iter().find(|(_, known)| Some(*known) == number);
    name.map_or_else(|| any(number), |(name, _)| (*name).to_string())
}

pub(crate) fn policy(
    state: &State,
    plane: &PlaneState,
    now: Instant,
    name: &str,
) -> Option<String> {
    let config = state.ipsec.policy(name)?;
    let compiled = plane.policy_by_name(name).map(|(_, policy)| policy);
    let ipsec = config.action() == Action::Ipsec;
    let only = |text: String| if ipsec { text } else { "-".to_string() };
    let is = |peer: &PeerAddress| only(truth(config.peer.as_ref() == Some(peer)).to_string());
    let selector = config.selector();
    let mut screen = Screen::new(32);
    screen.line("Ipsec Policy Information");
    screen.field(0, "Name", &config.name);
    screen.field(0, "Interface", &config.interface);
    screen.line(format!(
        "Source Interface ................{}",
        or_dash(config.src_interface.as_ref())
    ));
    screen.field(0, "Position", state.ipsec.position(config));
    screen.field(0, "Action", config.action());
    screen.field(0, "Key Management", or_dash(config.key_management));
    let isakmp = config.isakmp_policy.as_ref();
    match isakmp {
        Some(name) => screen.field(0, "Isakmp Policy Name", name),
        None => screen.line("Isakmp Policy Name ............."),
    }
    screen.field(0, "Bundle Specification", or_dash(config.bundle));
    screen.field(0, "Peer IP Address Dynamic", is(&PeerAddress::Dynamic));
    screen.field(0, "Peer IP Address Any", is(&PeerAddress::Any));
    screen.field(
        0,
        "Local IP Address Dynamic",
        only(truth(false).to_string()),
    );
    // That of a host, too, once its name is resolved.
    let resolved = compiled.and_then(|policy| policy.peer);
    let peer = resolved.or_else(|| config.peer.as_ref().and_then(PeerAddress::address));
    screen.field(0, "Peer IP Address", or_dash(peer));
    if let Some(template) = &config.route_template {
        screen.field(0, "IP Route Template", template);
    }
    screen.field(
        0,
        "Local IP Address",
        or_dash(compiled.and_then(|policy| policy.local)),
    );
    screen.field(
        0,
        "Use PFS Key",
        only(truth(config.use_pfs == Some(true)).to_string()),
    );
    screen.line(format!(
        "Group........................... {}",
        only(config.group.unwrap_or(1).to_string())
    ));
    screen.line("Filter:");
    let (address, mask) = lines(selector.local);
    screen.field(2, "Local Address", address);
    screen.field(2, "Local Mask", mask);
    screen.field(2, "Local Port", any(config.lport));
    screen.field(2, "Local Name", any(config.lname.as_ref()));
    let (address, mask) = lines(selector.remote);
    screen.field(2, "Remote Address", address);
    screen.field(2, "Remote Mask", mask);
    screen.field(2, "Remote Port", any(config.rport));
    screen.field(2, "Remote Name", any(config.rname.as_ref()));
    screen.field(2, "Transport Protocol", protocol(config.transport));
    screen.field(2, "Sa Selector From Pkt", FLAGS);
    screen.field(
        0,
        "DF Bit",
        only(config.df_bit.unwrap_or(DfBit::Clear).to_string()),
    );
    let tunnel = config.udp_tunnel == Some(true);
    screen.field(0, "UDP Tunnel", only(truth(tunnel).to_string()));
    let inside = |text: String| if tunnel { text } else { "-".to_string() };
    let internal = compiled.and_then(|policy| policy.local);
    screen.field(4, "Peer Port", inside(config.udp_peer_port().to_string()));
    screen.field(4, "Peer IP Address", inside(or_dash(peer)));
    screen.field(4, "Internal IP Address", inside(or_dash(internal)));
    let beats = truth(config.udp_heartbeat == Some(true));
    screen.field(4, "HeartBeats Enabled", inside(beats.to_string()));
    screen.field(0, "Debug device", DEBUG_DEVICE);
    debug_flags(&mut screen, 0, compiled.map(|policy| policy.debug));
    screen.field(0, "Max Out Packet queue length", 20);
    screen.field(
        0,
        "Number of Out Packets queued",
        compiled.map_or(0, |policy| policy.queued),
    );
    screen.line("");
    screen.line("Bundles");
    screen.line("Bundle                    Expiry Limits - hard/soft/used");
    screen.line("Index   SA's    State     Bytes                 Seconds");
    screen.line("-".repeat(71));
    for bundle in bundles_of(plane, &removing(plane), name) {
        screen.line(format!(
            "{:<7} {:<7} {:<9} {:<21} {}",
            bundle.index,
            numbers(bundle),
            states(bundle).0,
            bytes(bundle),
            seconds(bundle, now)
        ));
    }
    Some(screen.text)
}

/// Bundles whose channels are being closed: their policies do not know them any more.
fn removing(plane: &PlaneState) -> Vec<&Bundle> {
    let bundles = plane.bundles().map(|(_, bundle)| bundle);
    bundles
        .filter(|bundle| bundle.state == SaState::Removing)
        .collect()
}

/// The bundles of a policy, those that go last.
fn bundles_of<'a>(plane: &'a PlaneState, removing: &[&'a Bundle], name: &str) -> Vec<&'a Bundle> {
    let Some((id, policy)) = plane.policy_by_name(name) else {
        return Vec::new();
    };
    let own = policy.bundles.iter().filter_map(|id| plane.bundle(*id));
    let going = removing.iter().copied();
    own.chain(going.filter(|bundle| bundle.policy == id))
        .collect()
}

/// SHOW IPSEC POLICY SABUNDLE, of one policy or of all. None if there is no such policy.
pub(crate) fn policy_bundles(
    state: &State,
    plane: &PlaneState,
    now: Instant,
    name: Option<&str>,
) -> Option<String> {
    if let Some(name) = name {
        state.ipsec.policy(name)?;
    }
    let mut screen = Screen::new(0);
    screen.line("Ipsec Policy SA Bundles");
    screen.line("");
    screen.line("                          Expiry Limits - hard/soft/used");
    screen.line("Bundle                    Bytes");
    screen.line("Index   SA's    State     Seconds");
    screen.line("-".repeat(71));
    let removing = removing(plane);
    let chosen = |config: &&PolicyConfig| name.is_none_or(|name| config.name == *name);
    for config in state.ipsec.policies.iter().filter(chosen) {
        screen.line(format!("Policy ..........{}", config.name));
        for bundle in bundles_of(plane, &removing, config.name.as_str()) {
            screen.line(format!(
                "{:<7} {:<7} {:<9} {}",
                bundle.index,
                numbers(bundle),
                states(bundle).0,
                bytes(bundle)
            ));
            screen.line(format!("{:26}{}", "", seconds(bundle, now)));
            if let Some(sa) = bundle.isakmp_sa {
                screen.line(format!("{:26}Isakmp SA = {sa}", ""));
            }
        }
    }
    Some(screen.text)
}

fn debug_flags(screen: &mut Screen, indent: usize, watched: Option<DebugMask>) {
    let flags = watched.unwrap_or_default().flags();
    for (name, flags) in ["Filter", "Packet", "Trace"].into_iter().zip(flags) {
        let name = format!("{name} debug flags");
        screen.field(indent, &name, format!("{flags:08x}"));
    }
    screen.field(indent, "Packet debug length", PACKET_LENGTH);
}

/// The numbers of a bundle's SAs.
fn numbers(bundle: &Bundle) -> String {
    let numbers = bundle.sas.iter().map(|sa| sa.0.slot.to_string());
    numbers.collect::<Vec<_>>().join(",")
}

/// The state of a bundle, and the word that SHOW IPSEC SA has for it. One that is only reserved has
/// no algorithms and keys yet.
const fn states(bundle: &Bundle) -> (&'static str, &'static str) {
    match (bundle.state, bundle.lifetime) {
        (SaState::Creating, None) => ("INVALID", "Undef"),
        (SaState::Creating, Some(_)) => ("CREATING", "Creating"),
        (SaState::Valid, _) => ("VALID", "Valid"),
        (SaState::Removing, _) => ("REMOVING", "Removing"),
    }
}

/// Hard limit, soft limit and use in bytes.
fn bytes(bundle: &Bundle) -> String {
    let hard = bundle
        .lifetime
        .and_then(ipsec_core::model::Lifetime::hard_bytes);
    let soft = bundle
        .lifetime
        .and_then(|life| life.soft_bytes(bundle.role));
    format!("{}/{}/{}", or_dash(hard), or_dash(soft), bundle.bytes)
}

/// Hard limit, soft limit and age in seconds.
fn seconds(bundle: &Bundle, now: Instant) -> String {
    let hard = bundle.lifetime.map(|life| life.seconds);
    let soft = bundle.lifetime.map(|_| bundle.soft_seconds);
    format!(
        "{}/{}/{}",
        or_dash(hard),
        or_dash(soft),
        now.since(bundle.since).as_secs()
    )
}

pub(crate) fn sas(plane: &PlaneState) -> String {
    let mut screen = Screen::new(0);
    screen.line("SA Id  Policy                   Bundle  State  Protocol  OutSPI      InSPI");
    screen.line("-".repeat(77));
    for (id, sa) in plane.sas() {
        let Some(bundle) = plane.bundle(sa.bundle) else {
            continue;
        };
        let policy = plane.policy(bundle.policy);
        screen.line(format!(
            "{:<6} {:<24} {:<7} {:<6} {:<9} {:<11} {}",
            id.0.slot,
            or_dash(policy.map(|policy| &policy.config.name)),
            or_dash(policy.and_then(|policy| policy.config.bundle)),
            states(bundle).1,
            sa.protocol,
            sa.out_spi.0,
            sa.in_spi.0
        ));
    }
    screen.text
}

pub(crate) fn sa(plane: &PlaneState, number: u32) -> Option<String> {
    let (_, sa) = plane.sa_by_number(number)?;
    let bundle = plane.bundle(sa.bundle)?;
    let policy = plane.policy(bundle.policy);
    let channel = sa.out_channel.or(sa.in_channel).map(|channel| channel.slot);
    let mut screen = Screen::new(41);
    screen.field(0, "SA Id", number);
    screen.field(
        2,
        "Policy",
        or_dash(policy.map(|policy| &policy.config.name)),
    );
    screen.field(
        2,
        "Bundle",
        or_dash(policy.and_then(|policy| policy.config.bundle)),
    );
    screen.field(2, "SA Specification Used", sa.spec);
    screen.field(2, "State", states(bundle).1);
    screen.field(2, "Protocol", sa.protocol);
    screen.field(2, "Mode", sa.mode);
    screen.field(2, "Outbound SPI", sa.out_spi.0);
    screen.field(2, "Inbound SPI", sa.in_spi.0);
    if sa.mode == Mode::Tunnel {
        let path = plane.path(bundle.path);
        let ends = (path.map(|path| path.local), path.map(|path| path.peer));
        screen.field(2, "Local tunnel IP address", or_dash(ends.0));
        screen.field(2, "Remote tunnel IP address", or_dash(ends.1));
    }
    if sa.protocol == Protocol::Esp {
        screen.field(2, "Encryption algorithm", cipher_word(sa.cipher));
        let channel = channel.filter(|_| sa.cipher != Cipher::Null);
        screen.field(2, "Encryption ENCO channel", or_dash(channel));
    }
    let hash = match sa.mac {
        Mac::None => "NULL",
        Mac::HmacMd5_96 => "MD5",
        Mac::HmacSha1_96 => "SHA",
    };
    screen.field(2, "Hash algorithm", hash);
    let channel = channel.filter(|_| sa.mac != Mac::None);
    screen.line(format!(
        "  Hash ENCO channel...................... {}",
        or_dash(channel)
    ));
    if let Some((source, destination)) = bundle.nat_oa.as_deref() {
        screen.line("  NAT-Traversal NAT-OA");
        screen.field(4, "Peer original source IP address", source);
        screen.field(4, "Peer original destination IP address", destination);
    }
    screen.line("  Filters");
    let (address, mask) = lines(bundle.selector.local);
    screen.field(4, "Local IP address", address);
    screen.field(4, "Local IP address mask", mask);
    let (address, mask) = lines(bundle.selector.remote);
    screen.field(4, "Remote IP address", address);
    screen.field(4, "Remote IP address mask", mask);
    screen.field(4, "Local Name", any(bundle.selector.local_name.as_ref()));
    screen.field(4, "Remote Name", any(bundle.selector.remote_name.as_ref()));
    if let Some(port) = bundle.selector.local_port {
        screen.field(4, "Local port number", port);
    }
    if let Some(port) = bundle.selector.remote_port {
        screen.field(4, "Remote port number", port);
    }
    if bundle.selector.protocol.is_some() {
        screen.field(4, "Transport protocol", protocol(bundle.selector.protocol));
    }
    screen.field(2, "DF Bit", or_dash(policy.map(|policy| policy.df)));
    screen.field(2, "Last sent sequence number", sa.sequence);
    let window = sa.replay.size();
    screen.field(2, "Anti-replay checking enabled", truth(window.is_some()));
    if let Some(size) = window {
        screen.field(2, "Anti-replay window size", size);
        screen.field(2, "Last received sequence number", sa.replay.highest());
        let bits: String = (0..size)
            .map(|n| if sa.replay.received(n) { '1' } else { '0' })
            .collect();
        screen.field(2, "Anti-replay bitmap", bits);
    }
    screen.field(2, "Debug device", DEBUG_DEVICE);
    debug_flags(&mut screen, 2, policy.map(|policy| policy.debug));
    Some(screen.text)
}
