//! ENABLE ISAKMP DEBUG=PACKET: a message in clear, decoded as the router prints it.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::net::IpAddr;

use ipsec_core::model::AddressSelector;
use isakmp_core::wire::{
    Attribute, ExchangeType, HEADER, Header, Identification, Malformed, Payload, PayloadType,
    Payloads, Raw, SaBody, Transform,
};

use crate::dump::mask;

/// How many bytes of a payload stand in a line.
const PER_LINE: usize = 20;
/// Length of the generic header in front of a payload's body.
const GENERIC: usize = 4;
/// Width of an attribute's label with its dots.
const LABEL: usize = 31;
/// The protocol number of ISAKMP in proposals (RFC 2407 §4.4.1).
const ISAKMP: u8 = 1;
/// What the router prints of a quick mode that offers no group.
const DEFAULT_GROUP: u64 = 1;

/// Which way a message went, and how it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Sent. It is shown as it was before it was enciphered.
    Sent,
    /// Received in clear.
    Received,
    /// Received enciphered, and deciphered since.
    Deciphered,
}

/// The lines of a message whose payloads are in clear; the length field of its header does not
/// count padding. Values of a transaction's attributes may be passwords and are left out.
///
/// # Errors
/// [`Malformed`] when header or payloads cannot be told apart.
pub fn isakmp_message(way: Way, message: &[u8]) -> Result<String, Malformed> {
    let (header, body) = Header::parse(message)?;
    let payloads = Payloads::parse(header.next, body)?;
    let length = HEADER + body.len() - payloads.padding().len();
    let title = match way {
        Way::Sent => "Tx Message",
        Way::Received => "Rx Message",
        Way::Deciphered => "Rx Message (decrypted)",
    };
    let number = header.exchange.number();
    let exchange = exchange(header.exchange);
    let mut out = format!(
        "\nISAKMP {title}\n  Cookie's: {}:{}\n  Xchg Type: {exchange}({number}) Ver: 10 Flags: {:02x}\n  \
         MessageID: {:08x} Total Length: {length}\n",
        header.initiator, header.responder, header.flags.0, header.message_id.0
    );
    for (number, raw) in payloads.all().iter().enumerate() {
        payload(&mut out, number, *raw);
    }
    Ok(out)
}

fn exchange(kind: ExchangeType) -> &'static str {
    match kind {
        ExchangeType::Main => "IDPROT",
        ExchangeType::Aggressive => "AGGR",
        ExchangeType::Informational => "INFO",
        ExchangeType::Transaction => "TRANS",
        ExchangeType::Quick => "QUICK",
        ExchangeType::NewGroup => "NEWGROUP",
        ExchangeType::Other(_) => "UNKNOWN",
    }
}

fn payload(out: &mut String, number: usize, raw: Raw<'_>) {
    let length = raw.body.len() + GENERIC;
    let (name, short) = (name(raw.kind), raw.kind.name());
    let _ = writeln!(
        out,
        "  Payload #: {number} Length: {length} Type: {name} ({short})"
    );
    match Payload::parse(raw) {
        Ok(Payload::Sa(body)) => security_association(out, &body),
        Ok(Payload::Id(id)) => identification(out, &id),
        _ if raw.kind == PayloadType::ATTR => {
            let _ = writeln!(out, "    {} bytes, not shown", raw.body.len());
        }
        _ => dump(out, raw.body),
    }
}

const fn name(kind: PayloadType) -> &'static str {
    match kind.0 {
        1 => "Security Association",
        4 => "Key Exchange",
        5 => "Identification",
        6 => "Certificate",
        7 => "Certificate Request",
        8 => "Hash",
        9 => "Signature",
        10 => "Nonce",
        11 => "Notification",
        12 => "Delete",
        13 => "Vendor ID",
        14 => "Attributes",
        15 | 20 | 130 => "NAT Discovery",
        16 | 21 | 131 => "NAT Original Address",
        132 => "Fragment",
        _ => "Unknown",
    }
}

fn dump(out: &mut String, body: &[u8]) {
    for line in body.chunks(PER_LINE) {
        out.push_str("   ");
        for byte in line {
            let _ = write!(out, " {byte:02x}");
        }
        out.push('\n');
    }
}

/// The name of an identity's type (RFC 2407 §4.6.2.1).
pub(super) const fn id_type(kind: u8) -> &'static str {
    match kind {
        1 => "IPV4_ADDR",
        2 => "FQDN",
        3 => "USER_FQDN",
        4 => "IPV4_ADDR_SUBNET",
        5 => "IPV6_ADDR",
        6 => "IPV6_ADDR_SUBNET",
        7 => "IPV4_ADDR_RANGE",
        8 => "IPV6_ADDR_RANGE",
        9 => "DER_ASN1_DN",
        10 => "DER_ASN1_GN",
        11 => "KEY_ID",
        _ => "UNKNOWN",
    }
}

fn identification(out: &mut String, id: &Identification) {
    let kind = id_type(id.kind);
    let value = match (id.kind, id.selector()) {
        (4, Some(AddressSelector::Prefix(address @ IpAddr::V4(_), length))) => {
            format!("{address}:{}", mask(length))
        }
        (4, Some(AddressSelector::Any)) => "0.0.0.0:0.0.0.0".to_string(),
        _ => id.to_string(),
    };
    let _ = writeln!(
        out,
        "    Type: {kind} ProtocolId: {} Port: {}\n    Value: {value}",
        id.protocol, id.port
    );
}

/// The router prints the number of the DOI as 0, although it is 1.
fn security_association(out: &mut String, body: &SaBody<'_>) {
    out.push_str("    DOI: IPSEC(0) Situation: 00000001\n");
    for proposal in body.proposals() {
        let name = match proposal.protocol {
            ISAKMP => "ISAKMP",
            2 => "AH",
            3 => "ESP",
            4 => "IPCOMP",
            _ => "UNKNOWN",
        };
        let _ = write!(
            out,
            "    Proposal#: {} Protocol: {name}({}) #Trans: {} SPI:",
            proposal.number,
            proposal.protocol,
            proposal.transforms().count()
        );
        if !proposal.spi.is_empty() {
            out.push(' ');
        }
        for byte in proposal.spi {
            let _ = write!(out, "{byte:02x}");
        }
        out.push('\n');
        for transform in proposal.transforms() {
            let _ = writeln!(out, "      Transform#: {}", transform.number);
            let name = transform_name(proposal.protocol, transform.id);
            field(out, "Transform Id ", &word(name, transform.id.into()));
            if proposal.protocol == ISAKMP {
                phase1(out, &transform);
            } else {
                phase2(out, &transform);
            }
        }
    }
}

fn field(out: &mut String, label: &str, value: &str) {
    let _ = writeln!(out, "        {label:.<LABEL$} {value}");
}

fn word(name: &str, number: u64) -> String {
    format!("{name}({number})")
}

const fn transform_name(protocol: u8, id: u8) -> &'static str {
    match (protocol, id) {
        (ISAKMP, 1) => "IKE",
        (2, 2) => "MD5",
        (2, 3) => "SHA",
        (3, 2) => "DES",
        (3, 3) => "3DES",
        (3, 11) => "NULL",
        (3, 12) => "AES",
        _ => "UNKNOWN",
    }
}

/// The attributes of phase 1 (RFC 2409 appendix A).
fn phase1(out: &mut String, transform: &Transform<'_>) {
    let mut life = 0;
    for attribute in transform.attributes.iter() {
        let value = attribute.number().unwrap_or(0);
        match attribute.class {
            1 => {
                let name = match value {
                    1 => "DES",
                    5 => "3DES",
                    7 => "AES",
                    _ => "UNKNOWN",
                };
                field(out, "Encryption Algorithm", &word(name, value));
            }
            2 => field(out, "Authentication Algorithm", &word(hash(value), value)),
            3 => {
                let name = match value {
                    1 => "PRESHARED",
                    3 => "RSASIG",
                    64_221 | 64_222 => "HYBRID",
                    65_001..=65_010 => "XAUTH",
                    _ => "UNKNOWN",
                };
                field(out, "Authentication Method", &word(name, value));
            }
            4 => {
                field(out, "Group Description", &word(group(value), value));
                field(out, "Group Type", "MODP");
            }
            11 => life = value,
            12 => lifetime(out, life, &attribute, ""),
            14 => field(out, "Key Length", &value.to_string()),
            _ => {}
        }
    }
}

/// The attributes of phase 2 (RFC 2407 §4.5). The group comes first, offered or not.
fn phase2(out: &mut String, transform: &Transform<'_>) {
    let offered = transform.attributes.iter().find(|a| a.class == 3);
    let offered = offered.and_then(|attribute| attribute.number());
    let value = offered.unwrap_or(DEFAULT_GROUP);
    let name = format!("MODP{}", group(value));
    field(out, "Group Description ", &word(&name, value));
    let mut life = 0;
    for attribute in transform.attributes.iter() {
        let value = attribute.number().unwrap_or(0);
        match attribute.class {
            1 => life = value,
            2 => lifetime(out, life, &attribute, " "),
            4 => {
                let name = match value {
                    1 => "TUNNEL",
                    2 => "TRANSPORT",
                    3 | 61_443 => "UDP_TUNNEL",
                    4 | 61_444 => "UDP_TRANSPORT",
                    _ => "UNKNOWN",
                };
                field(out, "Encapsulation Mode ", &word(name, value));
            }
            5 => field(out, "Authentication Algorithm ", &word(hash(value), value)),
            6 => field(out, "Key Length ", &value.to_string()),
            _ => {}
        }
    }
}

fn lifetime(out: &mut String, kind: u64, attribute: &Attribute<'_>, space: &str) {
    let label = match kind {
        1 => "Expiry Seconds",
        2 => "Expiry Kilobytes",
        _ => return,
    };
    let value = attribute.number().map_or("-".into(), |n| n.to_string());
    field(out, &format!("{label}{space}"), &value);
}

const fn hash(value: u64) -> &'static str {
    match value {
        1 => "MD5",
        2 => "SHA",
        _ => "UNKNOWN",
    }
}

const fn group(value: u64) -> &'static str {
    match value {
        1 => "768",
        2 => "1024",
        5 => "1536",
        14 => "2048",
        _ => "UNKNOWN",
    }
}
