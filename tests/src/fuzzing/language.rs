//! The command language: one line, and whole scripts.

use std::sync::OnceLock;

use config_lang::help::{complete, help};
use config_lang::message::Severity;
use config_lang::{dump, script_lines};
use ipsec_core::Instant;
use lab::{Router, echo_request, udp};

use super::addresses::{A, B, isakmp};
use super::router::{
    Engines, any_error, configured, factory, fingerprint, negotiating, settle, show,
};
use crate::{HOST_A, HOST_B};

/// Commands that bring up what no line of a single command could.
const MORE: &str = "
CREATE ENCO KEY=2 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=3 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE IPSEC SASPEC=2 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=2 HASHALG=SHA HASHKEY=3 INSPI=1001 OUTSPI=2001
CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=AH HASHALG=MD5
CREATE IPSEC BUNDLE=2 KEYMAN=MANUAL STRING=2
";

/// One line of a person at a configured router. It does not panic; refused, it changes nothing.
pub fn command_line(data: &[u8]) {
    let Ok(line) = core::str::from_utf8(data) else {
        return;
    };
    // While it is typed, help and completion read it.
    let _ = help(line);
    let done = complete(line);
    assert!(line.is_char_boundary(done.start), "{done:?}");
    static CONFIG: OnceLock<String> = OnceLock::new();
    let config = CONFIG.get_or_init(|| format!("{}{MORE}", negotiating()[0]));
    let mut router = configured(config);
    // What a command counts, carried out or refused, is no change.
    router.device.reset_ipsec_counters(Some("SPD"));
    let before = fingerprint(&router);
    let outcome = router.command(Instant::from_secs(1), line);
    router.device.reset_ipsec_counters(Some("SPD"));
    let unchanged = fingerprint(&router) == before;
    if outcome.worst == Severity::Error {
        assert!(outcome.text.starts_with("Error (3"), "{}", outcome.text);
        assert!(unchanged, "a refused line changes nothing");
    }
    if !unchanged {
        reproduced(&router);
    }
    settle(&mut router, Instant::from_secs(1));
}

/// A script at a fresh router, then packets. Nothing panics; what it complains of, it places.
pub fn script(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let mut router = factory();
    let findings = router.run_script(Instant::ZERO, text);
    let lines: Vec<usize> = script_lines(text).iter().map(|(line, _)| *line).collect();
    for finding in &findings {
        assert!(
            lines.contains(&finding.line) && finding.column > 0,
            "{finding:?}"
        );
        assert!(finding.severity != Severity::Info && !finding.text.is_empty());
    }
    reproduced(&router);
    router.settle_wan();
    let now = Instant::from_secs(1);
    let wan = udp(isakmp(B), isakmp(A), &[1; 28]).expect("a small datagram");
    router.receive(now, &wan);
    router.forward(
        now,
        &echo_request(HOST_A, HOST_B, 0, 1).expect("both ends are IPv4"),
    );
    router.receive(
        now,
        &echo_request(HOST_B, HOST_A, 0, 1).expect("both ends are IPv4"),
    );
    settle(&mut router, now);
    show(&mut router, now);
}

/// The configuration as commands, executed on a fresh router, makes the same configuration.
fn reproduced(router: &Router<Engines>) {
    let text = dump::all(router.device.state());
    let mut fresh = factory();
    let findings = fresh.run_script(Instant::ZERO, &text);
    assert!(!any_error(&findings), "{findings:?} in\n{text}");
    // Users are left to a person.
    let commands = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(commands(dump::all(fresh.device.state())), commands(text));
}
