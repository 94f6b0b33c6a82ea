//! ENABLE ISAKMP DEBUG: what is watched of exchanges, as the router prints it.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::net::IpAddr;

use ipsec_core::model::Role;
use isakmp_core::Report;
use isakmp_core::trace::{Offered, Progress, Trace};
use isakmp_core::wire::{ExchangeType, Identification, NotifyType};

use super::packet::{Way, id_type, isakmp_message};

/// How many bytes of a hash's input stand in a line.
const PER_LINE: usize = 32;
/// Stands where the router prints the place in its memory.
const ADDRESS: &str = "00000000";

/// The lines that a report prints while it is watched, each with its line end; none of the reports
/// that nobody asked for.
#[must_use]
pub fn isakmp(report: &Report) -> Option<String> {
    Some(match report {
        Report::State {
            exchange,
            kind,
            state,
        } => format!(
            "ISAKMP {} exchange {exchange}: New State: {state}\n",
            word(*kind)
        ),
        Report::Trace {
            exchange,
            kind,
            role,
            what,
        } => trace(*exchange, *kind, *role, what),
        Report::Packet { sent, message } => packet(*sent, message),
        Report::Datagram { sent, path, bytes } => {
            let way = if *sent { "Tx" } else { "Rx" };
            let mut out = format!(
                "\nISAKMP {way} Raw {} {} {}: {} bytes\n",
                path.local,
                if *sent { "->" } else { "<-" },
                path.peer,
                bytes.len()
            );
            lines(&mut out, bytes);
            out
        }
        _ => return None,
    })
}

const fn word(kind: ExchangeType) -> &'static str {
    match kind {
        ExchangeType::Main => "MAIN",
        ExchangeType::Aggressive => "AGGR",
        ExchangeType::Informational => "INFO",
        ExchangeType::Transaction => "TRANS",
        ExchangeType::Quick => "QUICK",
        ExchangeType::NewGroup | ExchangeType::Other(_) => "UNKNOWN",
    }
}

fn packet(sent: bool, message: &[u8]) -> String {
    // The flags stand behind the exchange type.
    let enciphered = message.get(19).is_some_and(|flags| flags & 1 != 0);
    let way = match (sent, enciphered) {
        (true, _) => Way::Sent,
        (false, false) => Way::Received,
        (false, true) => Way::Deciphered,
    };
    isakmp_message(way, message).unwrap_or_else(|fault| {
        let mut out = format!("\nISAKMP Rx Message\n  not understood: {fault}\n");
        lines(&mut out, message);
        out
    })
}

fn trace(exchange: u32, kind: ExchangeType, role: Role, what: &Trace) -> String {
    let part = match role {
        Role::Initiator => "INIT",
        Role::Responder => "RESP",
    };
    let head = format!("ISAKMP {}: {part}: xchg {exchange}:", word(kind));
    // The word for quick mode has the letter of the part in it.
    let quick = format!("ISAKMP Q{} {exchange}:", part.get(..1).unwrap_or(""));
    let mut out = match what {
        Trace::CreatePhase1 => "ISAKMP: acquire - Create Phase 1 Exchange".to_string(),
        Trace::QueueAcquire => "ISAKMP: acquire - Queue the acquire struct".to_string(),
        Trace::EquivalentAcquire => {
            "ISAKMP CORE: Aquire: equivalent acquire request in progress".to_string()
        }
        Trace::Started(peer) => format!("{head} Started with peer {peer}"),
        Trace::Done => format!("ISAKMP CORE: Exchange {exchange} done"),
        Trace::Failed(reason) => format!("ISAKMP CORE: Exchange {exchange} failed - {reason}"),
        Trace::Value { name, len, bytes } => {
            let value = match bytes {
                Some(bytes) => hex(bytes.expose()),
                None => "*".repeat(2 * len),
            };
            format!("{head} {name} l={len} v={value}")
        }
        Trace::MessageId(id) => format!("{head} MessageID={:08x}", id.0),
        Trace::Notified(kind) => {
            format!(
                "ISAKMP InfoProcess: xchg {exchange}: Rx Notification Message - {}",
                about(*kind)
            )
        }
        Trace::RemoteId(id) => format!("{head} RemoteID={}:{id}", id_family(id)),
        Trace::Selectors(ci, cr) => {
            let mut out = "ISAKMP DOI: IPSEC: Exchange IDs from selectors:\n".to_string();
            identity(&mut out, "IDi", ci);
            identity(&mut out, "IDr", cr);
            return out;
        }
        Trace::LocalPolicy(offered) => return local_policy(offered),
        Trace::IdsNotDefault([(initiator, ci), (responder, cr)]) => {
            let mut out = "ISAKMP DOI: IPSEC: Exchange IDs not default:\n".to_string();
            side(&mut out, "initiatorAddress", *initiator, "IDi", ci);
            side(&mut out, "responderAddress", *responder, "IDr", cr);
            return out;
        }
        Trace::IdsCreated => format!("{quick} HASH1: ID Payload Created"),
        Trace::Input(name, input) => {
            let input = input.expose();
            let mut out = format!("{quick} {name}: {ADDRESS} {}\n", input.len());
            lines(&mut out, input);
            return out;
        }
        Trace::Output(name, output) => format!("{quick} {name}: result {}", hex(output.expose())),
        Trace::Checked(message, progress) => {
            format!("{head} rx msg {message}: {}", checked(*progress))
        }
    };
    out.push('\n');
    out
}

fn checked(progress: Progress) -> String {
    match progress {
        Progress::Start => "start".to_string(),
        Progress::PolicyDone => "prop policy done".to_string(),
        Progress::AttributesGood(proposal) => format!("TRAN {proposal},1 attributes good"),
        Progress::TransformMatch(proposal) => format!("TRAN {proposal},1 match"),
        Progress::ProposalMatch(proposal) => format!("prop {proposal} match"),
        Progress::AllMatched(last) => format!("All proposals matched: (lpn {last})"),
        Progress::PayloadsGood => "payloads good:".to_string(),
        Progress::Good => "good".to_string(),
    }
}

/// What a notification is about: the types of the domain of interpretation are one word.
fn about(kind: NotifyType) -> String {
    match kind.0 {
        0x2000..=0x3fff | 0x6000..=0x7fff => "DOI".to_string(),
        _ => kind.log_word().to_string(),
    }
}

fn id_family(id: &Identification) -> &'static str {
    match id.kind {
        1 => "IPv4",
        5 => "IPv6",
        _ => id_type(id.kind),
    }
}

fn identity(out: &mut String, name: &str, id: &Identification) {
    let (kind, data) = (id_type(id.kind), hex(&id.data));
    let _ = write!(
        out,
        "  {name}: type {kind}\n    protocol Id {}\n    port {}\n    data {data}\n",
        id.protocol, id.port
    );
}

fn side(out: &mut String, label: &str, address: IpAddr, name: &str, id: &Identification) {
    let _ = writeln!(out, "  {label} {address}");
    identity(out, name, id);
}

fn local_policy(offered: &[Offered]) -> String {
    let count = offered.len();
    let mut out =
        format!("ISAKMP DOI: IPSEC: Aquire Info -> Local Policy\n  number of proposals {count}\n");
    for (place, proposal) in offered.iter().enumerate() {
        let _ = writeln!(
            out,
            "    proposal {place}: # {}, protId {}, #transforms {}",
            proposal.number,
            proposal.protocol.doi_number(),
            proposal.transforms.len()
        );
        for (place, transform) in proposal.transforms.iter().enumerate() {
            let _ = write!(
                out,
                "      transform {place}: # {}, id {}, sas {}\n        expiry: b 0-{}, s 0-{}\n        \
                 gr {}, mode {}, auth {}\n",
                place + 1,
                transform.id,
                transform.spec,
                transform.kbytes.unwrap_or(u32::MAX),
                transform.seconds,
                transform.group,
                transform.mode,
                transform.auth
            );
        }
    }
    out
}

fn lines(out: &mut String, bytes: &[u8]) {
    for line in bytes.chunks(PER_LINE) {
        let _ = writeln!(out, "  {}", hex(line));
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
