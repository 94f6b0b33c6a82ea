//! ENABLE ISAKMP DEBUG=TRACE and TRACEMORE: what the initiator prints of the negotiation that the
//! manual shows, message by message with the values of that negotiation.

#[path = "../../isakmp-core/tests/trace/side.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the tests of the core use the rest of it, and a test fails where it stands"
)]
mod side;

use config_lang::debug;
use hw_offload::testing::hex;
use hw_offload::{PublicJob, PublicValue, Secret};
use ipsec_core::model::{Name, Protocol, Spi};
use ipsec_core::{BundleId, Id, Reserved};
use isakmp_core::config::Phase1Mode;
use isakmp_core::debug::IsakmpDebug;
use isakmp_core::{Acquire, Action, Answer, Ask, Report};

use side::*;

const TRACE: &str = include_str!("../screens/isakmp-debug-trace.txt");
const TRACEMORE: &str = include_str!("../screens/isakmp-debug-tracemore.txt");

/// Both sides of the manual's negotiation, A being the device that prints.
struct Talk {
    a: Side,
    b: Side,
    printed: String,
}

impl Talk {
    fn new(set: IsakmpDebug) -> Self {
        let told = [CKY_I, X, NI, "204ebb1d", QUICK_NI];
        let lans = ("192.168.20.0", "192.168.1.0");
        let (own, peer) = ("63.12.66.122", "61.115.117.39");
        let mut a = Side::new(Phase1Mode::Main, own, peer, lans, &told);
        a.config.debug = set;
        let y = "80".repeat(20);
        let told = [COOKIE_SECRET, &y, NR, QUICK_NR];
        let b = Side::new(Phase1Mode::Main, peer, own, (lans.1, lans.0), &told);
        let printed = String::new();
        Self { a, b, printed }
    }

    /// Lets a side work until it waits for the other; what it says goes there.
    fn work(&mut self, of_a: bool) -> bool {
        let mut moved = false;
        let side = if of_a { &mut self.a } else { &mut self.b };
        let (mut sent, mut asked) = (Vec::new(), Vec::new());
        while let Some(action) = side.endpoint.next_action() {
            moved = true;
            match action {
                Action::Send { bytes, .. } => sent.push(bytes),
                Action::Ask { ticket, ask } => asked.push((ticket, ask)),
                Action::Report(Report::Failed { reason, .. }) => panic!("{reason}"),
                Action::Report(report) if of_a => {
                    self.printed
                        .push_str(&debug::isakmp(&report).unwrap_or_default());
                }
                _ => {}
            }
        }
        for (ticket, ask) in asked {
            let answer = match ask {
                Ask::Public(PublicJob::DhPublic { .. }) => {
                    let public = if of_a { GX } else { GY };
                    Answer::Public(Ok(PublicValue::Public(hex(public))))
                }
                Ask::Public(PublicJob::DhShared { .. }) => {
                    Answer::Public(Ok(PublicValue::Shared(Secret::new(hex(GXY)))))
                }
                Ask::Reserve { .. } => {
                    let spi = if of_a { 0x1576_52f2 } else { 0x2270_95c8 };
                    let id = Id {
                        slot: 0,
                        generation: 0,
                    };
                    Answer::Reserved(Ok(Reserved {
                        bundle: BundleId(id),
                        spis: vec![(Protocol::Esp, Spi(spi))],
                    }))
                }
                Ask::Install { .. } => Answer::Installed(Ok(())),
                other => panic!("{other:?}"),
            };
            side.answer(ticket, answer);
        }
        let other = if of_a { &mut self.b } else { &mut self.a };
        for message in sent {
            other.receive(&message);
        }
        moved
    }

    fn run(mut self) -> String {
        // A second packet needs the bundle while the first waits for it.
        for _ in 0..2 {
            let acquire = Acquire {
                policy: Name::new("vpn"),
                peer: self.a.path.peer.ip(),
                local: self.a.path.local.ip(),
                renews: None,
            };
            self.a.call(|endpoint, env| endpoint.acquire(env, acquire));
        }
        while self.work(true) | self.work(false) {}
        self.printed
    }
}

/// The manual's lines with our numbers of exchanges, the peer's own address, and no place in memory.
fn expected(manual: &str, exchanges: [u32; 2]) -> Vec<String> {
    let [main, quick] = exchanges;
    let line = |line: &str| {
        let line = line
            .replace(&format!("xchg {main}:"), "xchg 1:")
            .replace(&format!("xchg {quick}:"), "xchg 2:")
            .replace(&format!("QI {quick}:"), "QI 2:")
            .replace(&format!("Exchange {main} "), "Exchange 1 ")
            .replace(&format!("Exchange {quick} "), "Exchange 2 ")
            .replace(" 1.1.1.1", " 61.115.117.39")
            .replace(":1.1.1.1", ":61.115.117.39");
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            // "HASH1: 008390d4 100": a name, where the bytes are, how many they are.
            [.., address, len]
                if line.starts_with("ISAKMP QI")
                    && address.len() == 8
                    && len.parse::<u32>().is_ok() =>
            {
                line.replace(address, "00000000")
            }
            _ => line,
        }
    };
    manual.lines().map(line).collect()
}

#[test]
fn tracemore_of_the_manual_s_negotiation() {
    let printed = Talk::new(IsakmpDebug::TRACEMORE).run();
    let mut expected = expected(TRACEMORE, [15, 16]);
    // The device prints INK1 again where INK2 should stand, and calls the input of OUTK2 OUTK1.
    let ink1 = expected
        .iter()
        .rposition(|line| line.contains("HASH INK1: result"));
    expected[ink1.unwrap()] =
        "ISAKMP QI 2: HASH INK2: result d31028d70d026bd056b047a209b96dd5e9b2b42b".to_string();
    let outk1 = expected
        .iter()
        .rposition(|line| line.contains("HASH OUTK1: 00000000 65"));
    expected[outk1.unwrap()] = "ISAKMP QI 2: HASH OUTK2: 00000000 65".to_string();
    let printed: Vec<&str> = printed.lines().collect();
    for (place, (printed, expected)) in printed.iter().zip(&expected).enumerate() {
        assert_eq!(printed, expected, "line {}", place + 1);
    }
    assert_eq!(printed.len(), expected.len());
}

/// The values of a line's negotiation are another's, but as long.
fn without_values(line: &str) -> String {
    let digits = |text: &str| "#".repeat(text.len());
    for mark in [" v=", "MessageID="] {
        if let Some((head, value)) = line.split_once(mark) {
            return format!("{head}{mark}{}", digits(value));
        }
    }
    line.to_string()
}

#[test]
fn trace_has_the_manual_s_lines_and_no_secret() {
    let printed = Talk::new(IsakmpDebug::TRACE).run();
    let expected = expected(TRACE, [13, 14]);
    let expected: Vec<String> = expected.iter().map(|line| without_values(line)).collect();
    let lines: Vec<String> = printed.lines().map(without_values).collect();
    assert_eq!(lines, expected);
    let key = "ISAKMP MAIN: INIT: xchg 1: Key l=8 v=****************\n";
    assert!(printed.contains(key), "{printed}");
    assert!(printed.contains(&format!("COOKIE_R l=8 v={CKY_R}\n")));
    for secret in secrets() {
        assert!(!printed.contains(&secret), "{secret}: {printed}");
    }
}

/// What must not be seen on the way: the key, the exponent, g^xy, and what follows from them.
fn secrets() -> Vec<String> {
    let (skeyid, key, _) = phase_1_keys();
    let mut secrets = vec![
        "686f6765686f6765".to_string(),
        X.to_string(),
        GXY.to_string(),
        text(key.expose()),
        "95e9b959f1e819bc".to_string(),
        "8303f4ba30e24de1".to_string(),
    ];
    for part in [&skeyid.d, &skeyid.a, &skeyid.e] {
        secrets.push(text(part.as_bytes()));
    }
    secrets
}

#[test]
fn only_tracemore_shows_secrets() {
    let all = IsakmpDebug::ALL;
    let printed = Talk::new(all).run();
    for secret in secrets() {
        assert!(printed.contains(&secret), "{secret}: {printed}");
    }
    let printed = Talk::new(all.without(IsakmpDebug::TRACEMORE)).run();
    for secret in secrets() {
        assert!(!printed.contains(&secret), "{secret}: {printed}");
    }
    assert!(Talk::new(IsakmpDebug::NONE).run().is_empty());
}

/// PACKET shows both sides of every message, in clear, each once.
#[test]
fn packet_shows_every_message_deciphered() {
    let printed = Talk::new(IsakmpDebug::PACKET).run();
    let titles: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("ISAKMP "))
        .collect();
    let (tx, rx) = ("ISAKMP Tx Message", "ISAKMP Rx Message");
    let deciphered = "ISAKMP Rx Message (decrypted)";
    assert_eq!(
        titles,
        [tx, rx, tx, rx, tx, deciphered, tx, deciphered, tx],
        "{printed}"
    );
    let flags = |wanted: &str| printed.matches(&format!("Flags: {wanted}\n")).count();
    assert_eq!([flags("00"), flags("01")], [7, 2], "{printed}");
    for line in [
        "  MessageID: 204ebb1d Total Length: 148",
        "    Value: client",
        "    Value: 61.115.117.39",
        "  Payload #: 2 Length: 28 Type: Notification (N)",
    ] {
        assert!(
            printed.lines().any(|other| other == line),
            "{line}: {printed}"
        );
    }
}

/// Strangers flood a router that is watched and not read from: what waits is bounded.
#[test]
fn a_flood_fills_no_memory_through_those_who_watch() {
    let mut side = Talk::new(IsakmpDebug::ALL).a;
    side.path.peer.set_ip([9, 9, 9, 9].into());
    for _ in 0..6000 {
        side.receive(&hex(MESSAGE_1));
    }
    let mut waiting = 0;
    while let Some(action) = side.endpoint.next_action() {
        assert!(matches!(action, Action::Report(Report::Packet { .. })));
        waiting += 1;
    }
    assert_eq!(waiting, 4096);
    side.receive(&hex(MESSAGE_1));
    assert!(side.endpoint.next_action().is_some());
}
