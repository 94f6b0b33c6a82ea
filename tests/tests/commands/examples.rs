//! Every example of the grammar is accepted by a device that has what it names.

use config_lang::message::Severity;
use ipsec_core::Instant;
use sekisho_tests::{basic, both, pair, ping_both};

use super::{Device, entries, flag, table};

const NET: &str = "ADD IP INT=ppp0 IP=1.1.1.9 MASK=255.255.255.255\nADD IP INT=ppp0-1 IP=0.0.0.0\n";
const SHARED_KEYS: &str = "CREATE ENCO KEY=0 TYPE=GENERAL VALUE=x
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=y
CREATE ENCO KEY=2 TYPE=RSA FILE=own.key
";
const MANUAL_KEYS: &str = "CREATE ENCO KEY=1 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
";

/// Specifications of those numbers, the last of them AH and the others ESP.
fn specs(numbers: &[u8], manual: bool) -> String {
    let last = numbers.len() - 1;
    let spec = |(place, number): (usize, &u8)| {
        let ah = place == last && last > 0;
        let kind = if ah { "AH" } else { "ESP ENCALG=DES" };
        let management = if manual { "MANUAL" } else { "ISAKMP" };
        let mut line =
            format!("CREATE IPSEC SASPEC={number} KEYMAN={management} PROT={kind} HASHALG=SHA");
        if manual {
            line += &format!(
                " HASHKEY=2 INSPI={}000 OUTSPI={}001",
                number + 1,
                number + 1
            );
            line += if ah { "" } else { " ENCKEY=1" };
        }
        line + "\n"
    };
    numbers.iter().enumerate().map(spec).collect()
}

/// What a device has to have before a line.
fn before(line: &str) -> String {
    let manual = line.contains("MANUAL");
    let keys = if manual { MANUAL_KEYS } else { "" };
    let words: Vec<&str> = line.split([' ', '=']).collect();
    match words.as_slice() {
        ["CREATE", "ENCO", ..] => String::new(),
        ["CREATE", "IPSEC", "SASPEC", ..] => keys.to_owned(),
        ["CREATE", "IPSEC", "BUNDLE", ..] => {
            let (_, string) = line.split_once('"').expect("a string");
            let numbers = string
                .bytes()
                .filter(u8::is_ascii_digit)
                .map(|digit| digit - b'0');
            let mut numbers: Vec<u8> = numbers.collect();
            numbers.sort_unstable();
            numbers.dedup();
            keys.to_owned() + &specs(&numbers, manual)
        }
        ["CREATE", "IPSEC", "POLICY", ..] => {
            let management = if manual { "MANUAL" } else { "ISAKMP" };
            let bundle = format!("CREATE IPSEC BUNDLE=1 KEYMAN={management} STRING=1\n");
            format!("{NET}{keys}{}{bundle}", specs(&[1], manual))
        }
        ["CREATE", "ISAKMP", ..] => format!("{NET}{SHARED_KEYS}"),
        ["ADD", "IP", "INT", ..] | ["ADD", "USER", ..] => String::new(),
        ["DESTROY", "IPSEC", "SASPECIFICATION", ..] => specs(&[1], false),
        ["DESTROY", "IPSEC", "BUNDLESPECIFICATION", ..] => {
            specs(&[1], false) + "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1\n"
        }
        _ => {
            let policy = |name| {
                format!(
                    "CREATE IPSEC POLICY={name} INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2\n"
                )
            };
            let policies: String = ["vpn", "vpncli", "v1"].map(policy).concat();
            format!(
                "{NET}{SHARED_KEYS}{}CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1
{policies}ENABLE IPSEC
ADD USER=secoff PASSWORD=x PRIVILEGE=SECURITYOFFICER
",
                specs(&[1], false)
            )
        }
    }
}

/// Lines about SAs: they are told to a router whose tunnel is up.
const LIVE: [&str; 4] = [
    "DESTROY IPSEC POLICY=vpn SABUNDLE=0",
    "RESET IPSEC SA=1 COUNTER",
    "SHOW IPSEC SA=1",
    "SHOW ISAKMP SA=1",
];

#[test]
fn every_example_is_accepted() {
    let grammar = table("commands.toml");
    let mut problems = Vec::new();
    let mut accepted = 0;
    for command in entries(&grammar, "command") {
        let examples = command.get("examples").and_then(toml::Value::as_array);
        for line in examples
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str)
        {
            if flag(command, "mention_only") {
                continue;
            }
            let outcome = if LIVE.contains(&line) {
                // ESP and AH, so that there are two SAs.
                let bundle = "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"";
                let two = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA\nCREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1 AND 2\"";
                let mut pair = pair(&both(&basic(), bundle, two), 1);
                ping_both(&mut pair);
                assert!(pair.run(Instant::from_secs(30)));
                let now = pair.now;
                pair.a.command(now, line)
            } else {
                let mut device = Device::new(hw_offload::SoftEngines::new(64, 16, 16), 1);
                let files = &mut device.host.files;
                files.insert("own.key".into(), include_str!("../../keys/a.pem").into());
                files.insert("ipsecvpn.cfg".into(), String::new());
                let findings = device.run_script(Instant::ZERO, &before(line));
                assert!(findings.is_empty(), "{line}: {findings:?}");
                device.command(Instant::ZERO, line)
            };
            // What works may be warned of, and what belongs to another chapter is.
            if outcome.worst == Severity::Error {
                problems.push(format!("{line}: {}", outcome.text.trim_end()));
            } else {
                accepted += 1;
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(accepted > 100, "{accepted}");
}
