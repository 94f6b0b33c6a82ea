//! What is in force where a parameter is left out: the manual's default, in the help and on the
//! device.

use config_lang::grammar::COMMANDS;
use config_lang::message::Severity;
use ipsec_core::Instant;

use super::{Device, entries, grammar, rules, text};

/// Defaults that the help tells in words of its own.
const IN_WORDS: [(&str, &str); 6] = [
    ("SRCINTERFACE", "the one that the packet leaves by"),
    ("POSITION", "the end of the list"),
    ("EXPIRYKBYTES", "unlimited"),
    ("LOCALID", "its address, with RSASIG its distinguished name"),
    ("LOCALRSAKEY", "that of ENABLE ISAKMP"),
    ("REMOTEID", "the peer's address"),
];

/// The default of a parameter as commands.toml writes it.
fn printed(parameter: &toml::Table) -> Option<String> {
    Some(match parameter.get("default")? {
        toml::Value::String(text) => {
            let (word, _) = text.split_once(" (").unwrap_or((text, ""));
            word.to_owned()
        }
        value => value.to_string(),
    })
}

#[test]
fn the_help_tells_the_manuals_defaults() {
    let grammar = grammar();
    let mut told = 0;
    for spec in COMMANDS.iter().filter(|spec| spec.verb != "SET") {
        let parameters = &grammar[&(spec.verb.to_owned(), spec.object.join(" "))];
        for param in spec.params {
            let what = format!("{} {:?} {}", spec.verb, spec.object, param.name);
            let Some(printed) = printed(&parameters[param.name]) else {
                continue;
            };
            let default = param.default.unwrap_or("");
            let in_words = IN_WORDS.contains(&(param.name, default));
            assert!(
                default == printed || in_words,
                "{what}: {default}, {printed}"
            );
            told += 1;
        }
    }
    assert!(told > 60, "{told}");
}

/// Lines that make a record, with what it takes for a parameter to be given, the parameters that
/// are tried, and the screen that shows the record.
const RECORDS: &[(&str, &str, &[&str], &str)] = &[
    (
        "CREATE IPSEC BUNDLE=9 KEYMAN=ISAKMP STRING=1",
        "IPSEC BUNDLESPECIFICATION",
        &["EXPIRYSECONDS"],
        "SHOW IPSEC BUNDLE=9",
    ),
    (
        "CREATE IPSEC SASPEC=9 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA",
        "IPSEC SASPECIFICATION",
        &["MODE", "ANTIREPLAYENABLED", "REPLAYWINDOWSIZE"],
        "SHOW IPSEC SASPEC=9",
    ),
    (
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2 UDPTUNNEL=TRUE",
        "IPSEC POLICY",
        &["UDPHEARTBEAT", "UDPPORT"],
        "SHOW IPSEC POLICY=new",
    ),
    (
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2 LAD=10.1.2.3 RAD=10.3.2.1",
        "IPSEC POLICY",
        &["LMASK", "RMASK"],
        "SHOW IPSEC POLICY=new",
    ),
    (
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2",
        "IPSEC POLICY",
        &[
            "IPVERSION",
            "LADDRESS",
            "LMASK",
            "LNAME",
            "LPORT",
            "RADDRESS",
            "RMASK",
            "RNAME",
            "RPORT",
            "TRANSPORTPROTOCOL",
            "DFBIT",
            "GROUP",
            "UDPTUNNEL",
            "USEPFSKEY",
            "RESPONDBADSPI",
        ],
        "SHOW IPSEC POLICY=new",
    ),
    (
        "CREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1",
        "ISAKMP POLICY",
        &[
            "IPVERSION",
            "AUTHTYPE",
            "DELETEDELAY",
            "DHEXPONENTLENGTH",
            "DPDIDLETIMEOUT",
            "DPDMODE",
            "ENCALG",
            "EXPIRYSECONDS",
            "GROUP",
            "HASHALG",
            "HEARTBEATMODE",
            "HYBRIDXAUTH",
            "MODE",
            "MSGBACKOFF",
            "MSGRETRYLIMIT",
            "MSGTIMEOUT",
            "NATTRAVERSAL",
            "PHASE2XCHGLIMIT",
            "PRENEGOTIATE",
            "REKEY",
            "RETRYIKEATTEMPTS",
            "SENDDELETES",
            "SENDNOTIFY",
            "SENDIDALWAYS",
            "SETCOMMITBIT",
            "XAUTH",
            "XAUTHTYPE",
        ],
        "SHOW ISAKMP POLICY=new",
    ),
    (
        "ENABLE ISAKMP",
        "ISAKMP",
        &["POLICYSERVERENABLED", "UDPPORT"],
        "SHOW ISAKMP",
    ),
];

fn shown(line: &str, screen: &str) -> String {
    let mut device: Device = rules::device();
    let outcome = device.command(Instant::ZERO, line);
    assert_ne!(outcome.worst, Severity::Error, "{line}: {}", outcome.text);
    device.command(Instant::ZERO, screen).text
}

/// A record whose parameter was left out is the same, in its screen, as one to which the default
/// was given; and every default that can be written down is tried.
#[test]
fn what_is_left_out_is_the_default() {
    let commands = super::table("commands.toml");
    for command in entries(&commands, "command") {
        let (verb, object) = (text(command, "verb"), text(command, "object"));
        if !(verb == "CREATE" || (verb, object) == ("ENABLE", "ISAKMP")) {
            continue;
        }
        for parameter in entries(command, "parameter") {
            let (name, Some(default)) = (text(parameter, "name"), printed(parameter)) else {
                continue;
            };
            let writable = !default.contains(' ') && !["none", "unlimited"].contains(&&*default);
            let unwritten = ["EXPIRYKBYTES"].contains(&name);
            if !writable || unwritten {
                continue;
            }
            let records = RECORDS
                .iter()
                .filter(|(_, of, tried, _)| *of == object && tried.contains(&name));
            let mut tried = 0;
            for (line, _, _, screen) in records {
                let without = shown(line, screen);
                // IPv4 is not printed.
                let default = if default == "IPv4" { "4" } else { &default };
                let with = shown(&format!("{line} {name}={default}"), screen);
                assert_eq!(without, with, "{line} {name}={default}");
                tried += 1;
            }
            assert!(tried > 0, "{verb} {object} {name}={default} is not tried");
        }
    }
}
