//! ENABLE IPSEC POLICY DEBUG: comparisons and packets, as the router prints them.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::net::IpAddr;

use ipsec_core::debug::{DebugEvent, Parts, Watched};
use ipsec_core::model::{AddressSelector, Direction, Name};
use ipsec_core::wire::datagram::Datagram;

use crate::dump::mask;

/// How much of a packet is printed behind its headers, in bytes ("Packet debug length").
pub(crate) const PACKET_LENGTH: usize = 72;
/// How many bytes stand in a line.
const PER_LINE: usize = 36;

/// The lines that an event prints, each with its line end.
#[must_use]
pub fn ipsec(policy: &Name, event: &DebugEvent) -> String {
    match event {
        DebugEvent::Compared {
            sa,
            watched,
            passed,
            ..
        } => comparison(policy, *sa, watched, *passed),
        DebugEvent::Processed {
            sa,
            direction,
            post,
            parts,
            icv,
            packet,
            ..
        } => {
            let way = match direction {
                Direction::In => "IN",
                Direction::Out => "OUT",
            };
            let when = if *post { "post" } else { "pre" };
            // Outbound the packet behind an SA is sealed, inbound the one in front of it.
            let sealed = *post == (*direction == Direction::Out);
            let icv = if sealed { usize::from(*icv) } else { 0 };
            format!(
                "\nIPSEC {policy}: {sa}: {way}: {when} processing:\n{}",
                dump(packet, *parts, icv)
            )
        }
    }
}

fn comparison(policy: &Name, sa: Option<u32>, watched: &Watched, passed: bool) -> String {
    let result = if passed { "pass" } else { "fail" };
    let (short, own, packet) = match watched {
        Watched::LocalAddress { own, packet } => ("laddr", addresses(*own), packet.to_string()),
        Watched::RemoteAddress { own, packet } => ("raddr", addresses(*own), packet.to_string()),
        Watched::LocalPort { own, packet } => ("lport", own.to_string(), port(*packet)),
        Watched::RemotePort { own, packet } => ("rport", own.to_string(), port(*packet)),
        Watched::Protocol { own, packet } => ("proto", own.to_string(), packet.to_string()),
    };
    let (whose, of) = match sa {
        None => ("pol", policy.to_string()),
        Some(sa) => ("sa", sa.to_string()),
    };
    format!("IPSEC: filt: {result}: {short}: {whose} {of}\n  {whose} {own}, pkt {packet}\n")
}

fn port(port: Option<u16>) -> String {
    port.map_or_else(|| "-".to_string(), |port| port.to_string())
}

fn addresses(selector: AddressSelector) -> String {
    match selector {
        AddressSelector::Prefix(address @ IpAddr::V4(_), length) => {
            format!("{address}:{}", mask(length))
        }
        other => other.to_string(),
    }
}

/// A packet: its IP header, the header behind it, and the data.
fn dump(packet: &[u8], parts: Parts, icv: usize) -> String {
    let mut out = String::new();
    if parts.has(Parts::BUFFER_HEADER) && !parts.has(Parts::ALL) {
        let _ = writeln!(out, "  buffer: {} bytes", packet.len());
    }
    let (at, next) = match Datagram::parse(packet) {
        Ok(datagram) => (datagram.place().at, Some(datagram.place().next)),
        Err(_) => (0, None),
    };
    let (header, rest) = packet.split_at_checked(at).unwrap_or((&[], packet));
    if parts.has(Parts::IP_HEADER) && next.is_some() {
        let _ = writeln!(out, "  IP: {}", hex(header));
    }
    if !parts.has(Parts::DATA) {
        return out;
    }
    let (label, len) = match next {
        Some(6) => ("TCP", 20),
        Some(17) => ("UDP", 8),
        Some(1 | 58) => ("ICMP", 8),
        Some(50) => ("ESP", 8),
        Some(51) => ("AH", ah_len(rest)),
        _ => ("", 0),
    };
    let (header, data) = rest.split_at_checked(len).unwrap_or((&[], rest));
    if !header.is_empty() {
        let _ = write!(out, "  {label}: {}", hex(header));
        if next == Some(50) && icv > 0 {
            let end = packet.len().saturating_sub(icv);
            let _ = write!(out, ":{}", hex(packet.get(end..).unwrap_or(&[])));
        }
        out.push('\n');
    }
    let shown = data.get(..PACKET_LENGTH).unwrap_or(data);
    let mut lines = shown.chunks(PER_LINE);
    match lines.next() {
        Some(first) => {
            let _ = writeln!(out, "  data: {}", hex(first));
        }
        None => out.push_str("  data:\n"),
    }
    for line in lines {
        let _ = writeln!(out, "        {}", hex(line));
    }
    out
}

/// The length of AH by its length field, in 4-byte words less 2 (RFC 4302 §2.2).
fn ah_len(header: &[u8]) -> usize {
    header
        .get(1)
        .map_or(0, |words| (usize::from(*words) + 2) * 4)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
