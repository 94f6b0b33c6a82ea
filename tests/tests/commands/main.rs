//! The command language against the grammar of the manual's chapter, `commands.toml`, and of what
//! stands beside it, `extensions.toml`: both say the same, every example is understood, every
//! negative is refused, and nothing is accepted that has no effect.

mod defaults;
mod effects;
mod examples;
mod rules;
mod unchanged;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config_lang::dump;
use config_lang::grammar::{COMMANDS, Kind, Spec};
use config_lang::message::Severity;
use config_lang::parse;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use lab::{Buf, Router};
use toml::Value;

type Device = Router<SoftEngines<Buf>>;

fn table(name: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).expect("the grammar is there");
    text.parse().expect("the grammar is TOML")
}

fn entries<'a>(table: &'a toml::Table, of: &str) -> Vec<&'a toml::Table> {
    let all = table.get(of).and_then(Value::as_array);
    all.map_or_else(Vec::new, |all| {
        all.iter().filter_map(Value::as_table).collect()
    })
}

fn text<'a>(entry: &'a toml::Table, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or("")
}

fn number(entry: &toml::Table, key: &str) -> Option<u32> {
    let number = entry.get(key).and_then(Value::as_integer)?;
    Some(u32::try_from(number).expect("numbers have 32 bits"))
}

fn words(entry: &toml::Table) -> BTreeSet<&str> {
    let values = entry.get("values").and_then(Value::as_array);
    values.map_or_else(BTreeSet::new, |all| {
        all.iter().filter_map(Value::as_str).collect()
    })
}

fn flag(entry: &toml::Table, key: &str) -> bool {
    entry.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// What a parameter of the grammar allows: kind, bounds or lengths, and words.
type Allowed<'a> = (&'a str, Option<u32>, Option<u32>, BTreeSet<&'a str>);

fn wanted(parameter: &toml::Table) -> Allowed<'_> {
    let (min, max) = match text(parameter, "kind") {
        "int" => (number(parameter, "min"), number(parameter, "max")),
        "string" => (None, number(parameter, "maxlen")),
        _ => (None, None),
    };
    let words = match text(parameter, "kind") {
        "enum" | "int" | "string" | "address" => words(parameter),
        "filename" if parameter.contains_key("ext") => BTreeSet::from([text(parameter, "ext")]),
        _ => BTreeSet::new(),
    };
    let kind = match text(parameter, "separator") {
        "," => "enum,",
        _ => text(parameter, "kind"),
    };
    (kind, min, max, words)
}

fn built(kind: &Kind) -> Allowed<'static> {
    let set = |words: &'static [&'static str]| words.iter().copied().collect();
    match *kind {
        Kind::Enum(words) => ("enum", None, None, set(words)),
        Kind::List(words) => ("enum,", None, None, set(words)),
        Kind::Bool => ("bool", None, None, BTreeSet::new()),
        Kind::Int {
            min, max, words, ..
        } => ("int", Some(min), Some(max), set(words)),
        Kind::Text { max, words } => ("string", None, u32::try_from(max).ok(), set(words)),
        Kind::Address { words, .. } => ("address", None, None, set(words)),
        Kind::Mask => ("ipv4mask", None, None, BTreeSet::new()),
        Kind::Ip => ("ip", None, None, BTreeSet::new()),
        Kind::IpRange => ("iprange", None, None, BTreeSet::new()),
        Kind::Ipv6 => ("ipv6", None, None, BTreeSet::new()),
        Kind::Ipv6Prefix => ("ipv6prefix", None, None, BTreeSet::new()),
        Kind::Interface => ("interface", None, None, BTreeSet::new()),
        Kind::File { ext: "" } => ("filename", None, None, BTreeSet::new()),
        Kind::File { ext } => ("filename", None, None, BTreeSet::from([ext])),
        Kind::Id => ("id", None, None, BTreeSet::new()),
        Kind::Bundle => ("bundle-string", None, None, BTreeSet::new()),
        Kind::Flag => ("flag", None, None, BTreeSet::new()),
    }
}

/// The manual's grammar with the extensions laid over it: parameters by command and name.
fn grammar() -> BTreeMap<(String, String), BTreeMap<String, toml::Table>> {
    let mut commands: BTreeMap<_, BTreeMap<String, toml::Table>> = BTreeMap::new();
    for file in ["commands.toml", "extensions.toml"] {
        for command in entries(&table(file), "command") {
            if flag(command, "mention_only") {
                continue;
            }
            let name = (
                text(command, "verb").to_owned(),
                text(command, "object").to_owned(),
            );
            let parameters = commands.entry(name).or_default();
            for parameter in entries(command, "parameter") {
                parameters.insert(text(parameter, "name").to_owned(), parameter.clone());
            }
        }
    }
    commands
}

#[test]
fn the_grammar_is_the_manuals() {
    let grammar = grammar();
    let known: BTreeSet<_> = COMMANDS
        .iter()
        .map(|spec| (spec.verb.to_owned(), spec.object.join(" ")))
        .collect();
    assert_eq!(known, grammar.keys().cloned().collect());
    assert_eq!(known.len(), COMMANDS.len(), "a command stands twice");
    for spec in COMMANDS {
        let what = format!("{} {}", spec.verb, spec.object.join(" "));
        let parameters = &grammar[&(spec.verb.to_owned(), spec.object.join(" "))];
        let names: BTreeSet<&str> = spec.params.iter().map(|param| param.name).collect();
        // A word of the object that takes no value is no parameter.
        let wanted_names: BTreeSet<&str> = parameters
            .iter()
            .filter(|(name, p)| {
                names.contains(name.as_str())
                    || (text(p, "role"), text(p, "kind")) != ("object", "flag")
            })
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, wanted_names, "{what}");
        for param in spec.params {
            let parameter = &parameters[param.name];
            let (built, mut wanted) = (built(&param.kind), wanted(parameter));
            let object_flag = text(parameter, "kind") == "flag";
            if wanted.0 == "int" && wanted.1.is_none() || wanted.0 == "string" && wanted.2.is_none()
            {
                // The manual's chapter gives no bounds.
                (wanted.1, wanted.2) = (built.1, built.2);
            }
            assert_eq!(built, wanted, "{what} {}", param.name);
            let always = text(parameter, "required") == "always";
            assert_eq!(
                param.required, always,
                "{what} {} (flag {object_flag})",
                param.name
            );
        }
    }
}

#[test]
fn every_example_is_understood() {
    let mut examples = 0;
    for command in entries(&table("commands.toml"), "command") {
        let lines = command.get("examples").and_then(Value::as_array);
        for line in lines.into_iter().flatten().filter_map(Value::as_str) {
            if flag(command, "mention_only") {
                continue;
            }
            let parsed = parse(line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
            let spec = parsed.expect("a command").spec;
            let (verb, object) = (text(command, "verb"), text(command, "object"));
            assert_eq!(
                (spec.verb, spec.object.join(" ").as_str()),
                (verb, object),
                "{line}"
            );
            examples += 1;
        }
    }
    assert!(examples > 100, "{examples}");
}

/// Abbreviations: the shortest that the grammar calls unambiguous works, and an exact word wins.
#[test]
fn the_shortest_prefixes_are_understood() {
    for command in entries(&table("commands.toml"), "command") {
        if text(command, "source") != "chapter" {
            continue;
        }
        for parameter in entries(command, "parameter") {
            let (verb, object) = (text(command, "verb"), text(command, "object"));
            let spec = find(verb, object);
            let (name, short) = (text(parameter, "name"), text(parameter, "min_prefix"));
            if text(parameter, "role") == "object" || short.is_empty() {
                continue;
            }
            let line = line_with(spec, name).replace(&format!(" {name}"), &format!(" {short}"));
            let parsed = parse(&line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
            assert!(parsed.expect("a command").get(name).is_some(), "{line}");
        }
    }
}

const KEYS: &str = "ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1
ADD IP ROUTE=0.0.0.0 INT=ppp0
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=\"jogefoge\"
CREATE ENCO KEY=2 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=3 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
ADD USER=secoff PASS=PasswordS PRIVILEGE=SECURITYOFFICER
";
const SPECS: &str = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA
";
const MANUAL: &str = "CREATE IPSEC SASPEC=1 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=2 HASHALG=SHA HASHKEY=3 INSPI=1000 OUTSPI=1001
CREATE IPSEC BUNDLE=1 KEYMAN=MANUAL STRING=\"1\"
";
const BUNDLES: &str = "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"
CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"2\"
";
const POLICIES: &str = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1
CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP
CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
";

fn device(script: &str) -> Device {
    let mut router = Router::new(SoftEngines::new(64, 16, 16), 1);
    let findings = router.run_script(Instant::ZERO, script);
    assert!(findings.is_empty(), "{findings:?}");
    router
}

/// Everything that a command could change: the configuration as commands and as records.
fn state(router: &Device) -> String {
    let state = router.device.state();
    format!(
        "{}{:?}{:?}{:?}{}{:?}{:?}{}",
        dump::all(state),
        state.ipsec,
        state.isakmp,
        state.net,
        state.ip_enabled,
        state.users,
        state.boot_config,
        state.security_mode
    )
}

#[test]
fn every_negative_is_refused_and_changes_nothing() {
    let grammar = table("commands.toml");
    let negatives = entries(&grammar, "negative");
    assert_eq!(negatives.len(), 29);
    for negative in negatives {
        let (line, rule) = (text(negative, "line"), text(negative, "rule"));
        let script = match line.split([' ', '=']).nth(2) {
            Some("SASPEC") => KEYS.to_owned(),
            Some("BUNDLE") => format!("{KEYS}{SPECS}"),
            // The bundle that the line names is one with manual keys.
            _ if rule == "policy-any-dynamic-isakmp-only" => format!("{KEYS}{MANUAL}"),
            _ => format!("{KEYS}{SPECS}{BUNDLES}"),
        };
        let mut router = device(&script);
        let before = state(&router);
        let outcome = router.command(Instant::ZERO, line);
        assert_eq!(outcome.worst, Severity::Error, "{line}");
        assert_eq!(state(&router), before, "{line}");
        let code = match rule {
            "ambiguous" => 334_002,
            "required" => 334_004,
            "value" => 334_005,
            "range" => 334_006,
            rule => rules::code(rule),
        };
        let text = outcome.text;
        assert!(text.contains(&format!("({code})")), "{line}: {text}");
        // What the line alone shows is placed.
        assert!(
            code / 1000 != 334 || text.contains("column "),
            "{line}: {text}"
        );
    }
}

/// Beyond the manual's own negatives: each fault names the word, its column, and what is expected.
#[test]
fn faults_name_the_word_its_column_and_what_was_expected() {
    for (line, column, parts) in [
        ("CRATE IPSEC POLICY=x", 1, &["CRATE", "CREATE"][..]),
        ("S IPSEC", 1, &["SET", "SHOW"]),
        ("CREATE IPSEG POLICY=x", 8, &["IPSEG", "IPSEC"]),
        (
            "CREATE IPSEC POLICE=x INT=ppp0 ACTION=PERMIT",
            14,
            &["POLICE", "POLICY"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LPRT=5",
            46,
            &["LPRT", "LPORT"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT L=5",
            46,
            &["LADDRESS", "LPORT"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LPORT=70000",
            52,
            &["70000", "0 to 65535"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LPORT=http",
            52,
            &["http", "0 to 65535"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LPORT",
            46,
            &["LPORT", "0 to 65535"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0",
            31,
            &["ACTION", "DENY, IPSEC, PERMIT"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=ALLOW",
            39,
            &["ALLOW", "DENY, IPSEC, PERMIT"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=0 ACTION=PERMIT",
            27,
            &["INTERFACE", "ppp0"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LMA=255.0.255.0",
            50,
            &["255.0.255.0", "mask"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT LAD=1.2.3",
            50,
            &["1.2.3", "address"],
        ),
        (
            "CREATE IPSEC POLICY=x INT=ppp0 INT=ppp0 ACTION=PERMIT",
            32,
            &["INTERFACE", "twice"],
        ),
        ("CREATE ENCO KEY=1 TYPE=DES VALUE=\"abc", 34, &["quote"]),
        (
            "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1 XOR 2\"",
            47,
            &["STRING"],
        ),
        (
            "SHOW IPSEC SA=99999999999",
            15,
            &["99999999999", "0 to 65535"],
        ),
        ("=5", 1, &["name"]),
    ] {
        let mut router = device(KEYS);
        let before = state(&router);
        let outcome = router.command(Instant::ZERO, line);
        assert_eq!(outcome.worst, Severity::Error, "{line}");
        let place = format!("column {column}:");
        assert!(outcome.text.contains(&place), "{line}: {}", outcome.text);
        for part in parts {
            assert!(
                outcome.text.contains(part),
                "{line}: no {part} in {}",
                outcome.text
            );
        }
        assert_eq!(state(&router), before, "{line}");
    }
}

fn find(verb: &str, object: &str) -> &'static Spec {
    let found = COMMANDS
        .iter()
        .find(|spec| spec.verb == verb && spec.object.join(" ") == object);
    found.unwrap_or_else(|| panic!("no {verb} {object}"))
}

/// A value that suits a parameter and is none of the defaults.
fn value(spec: &Spec, name: &str, kind: &Kind) -> Option<String> {
    let isakmp = spec.object.first() == Some(&"ISAKMP");
    Some(
        match (name, kind) {
            (_, Kind::Flag) => return None,
            ("POLICY", _) if spec.verb == "CREATE" => "new",
            ("POLICY", _) if isakmp => "i",
            ("POLICY", _) => "vpn",
            ("SASPECIFICATION" | "BUNDLESPECIFICATION", _)
                if spec.verb == "CREATE" && spec.object.contains(&name) =>
            {
                "9"
            }
            ("SASPECIFICATION", _) => "2",
            ("BUNDLESPECIFICATION", _) => "2",
            ("KEYMANAGEMENT", _) => "ISAKMP",
            ("PROTOCOL", Kind::Enum(words)) if words.contains(&"ESP") => "ESP",
            ("STRING", _) => "\"2\"",
            ("KEY", _) if spec.verb == "CREATE" && !isakmp => "9",
            ("KEY", _) => "3",
            ("POSITION", _) => "1",
            ("LOGIN", _) => "NO",
            ("LOCATION", _) => "ca.pem",
            ("TYPE", _) if spec.object == ["ENCO", "KEY"] => "GENERAL",
            ("PEER", _) => "3.3.3.3",
            ("INTERFACE" | "SRCINTERFACE", _) => "ppp0",
            ("ACTION", Kind::Enum(words)) if words.contains(&"PERMIT") => "PERMIT",
            ("MODE", _) if isakmp => "AGGRESSIVE",
            ("MODE", _) => "TRANSPORT",
            ("ENCALG", _) => "AES256",
            ("HASHALG", _) => "MD5",
            ("GROUP", _) => "2",
            ("IPVERSION", _) => "6",
            ("ICMPTYPE", _) => "NDALL",
            ("DHEXPONENTLENGTH", _) => "500",
            ("AUTHTYPE", _) => "RSASIG",
            ("MSGBACKOFF", _) => "NONE",
            ("REPLAYWINDOWSIZE", _) => "64",
            ("USER", _) => "somebody",
            ("name", _) => "secoff",
            (_, Kind::Ipv6) => "2001:db8::2",
            (_, Kind::Ipv6Prefix) => "2001:db8::1/64",
            ("IPADDRESS", _) => "10.0.0.1",
            (_, Kind::Enum(words)) => words[0],
            (_, Kind::List(words)) => return Some(words[..2].join(",")),
            (_, Kind::Bool) => "TRUE",
            (_, Kind::Int { min, max, .. }) => return Some((min + 7).min(*max).to_string()),
            (_, Kind::Text { .. }) => "word",
            (_, Kind::Address { .. } | Kind::Ip | Kind::IpRange) => "10.2.3.4",
            (_, Kind::Mask) => "255.255.0.0",
            (_, Kind::Interface) => "ppp0",
            (_, Kind::File { ext }) => return Some(format!("some{ext}")),
            (_, Kind::Id) => "a@b.example",
            (_, Kind::Bundle) => "\"2\"",
        }
        .to_owned(),
    )
}

/// A command with what it requires and one parameter more.
fn line_with(spec: &Spec, extra: &str) -> String {
    let mut line = spec.verb.to_owned();
    let given = |param: &&config_lang::grammar::Param| param.required || param.name == extra;
    let with = |name: &str, kind: &Kind| match value(spec, name, kind) {
        Some(value) => format!(" {name}={value}"),
        None => format!(" {name}"),
    };
    for word in spec.object {
        match spec
            .params
            .iter()
            .filter(given)
            .find(|param| param.name == *word)
        {
            Some(param) => line += &with(word, &param.kind),
            None => line += &format!(" {word}"),
        }
    }
    if spec.object.is_empty() && spec.params.len() == 1 {
        return format!(
            "{line} {}",
            value(spec, spec.params[0].name, &spec.params[0].kind).expect("a name")
        );
    }
    let rest = spec
        .params
        .iter()
        .filter(given)
        .filter(|param| !spec.object.contains(&param.name));
    for param in rest {
        line += &with(param.name, &param.kind);
    }
    line
}

/// What a parameter needs beside it to mean something.
fn company(spec: &Spec, name: &str) -> &'static str {
    match (spec.verb, spec.object, name) {
        ("CREATE", ["IPSEC", "SASPECIFICATION"], "ENCALG") => " HASHALG=SHA",
        ("CREATE", ["IPSEC", "SASPECIFICATION"], "HASHALG") => " ENCALG=AES128",
        ("CREATE", ["IPSEC", "SASPECIFICATION"], _) => " ENCALG=AES128 HASHALG=SHA",
        ("CREATE", ["ISAKMP", "POLICY"], "KEY") => "",
        ("CREATE", ["ISAKMP", "POLICY"], _) => " KEY=1",
        ("CREATE", ["ENCO", "KEY"], "LENGTH") => " RANDOM",
        ("CREATE", ["ENCO", "KEY"], "RANDOM" | "VALUE") => "",
        ("CREATE", ["ENCO", "KEY"], _) => " VALUE=word",
        ("CREATE" | "SET", ["IPSEC", "POLICY"], "ICMPTYPE") => " IPVERSION=6",
        ("ADD", ["IP", "ROUTE"], "NEXTHOP" | "MASK") => "",
        _ => "",
    }
}

/// Whatever the grammar lets in has an effect, is refused for a reason, or is answered with a
/// warning: nothing is ignored.
#[test]
fn nothing_is_accepted_without_effect() {
    let script = format!("{KEYS}{SPECS}{BUNDLES}{POLICIES}");
    let mut works = 0;
    let mut problems: Vec<String> = Vec::new();
    for spec in COMMANDS {
        let extras = spec.params.iter().map(|param| param.name);
        for extra in extras.chain([""]) {
            let mut line = line_with(spec, extra) + company(spec, extra);
            if spec.object == ["IPSEC", "POLICY"] && spec.verb == "CREATE" {
                let ipsec = [
                    "KEYMANAGEMENT",
                    "BUNDLESPECIFICATION",
                    "PEERADDRESS",
                    "DFBIT",
                    "GROUP",
                    "ISAKMPPOLICY",
                    "USEPFSKEY",
                    "RESPONDBADSPI",
                    "UDPTUNNEL",
                    "UDPHEARTBEAT",
                    "UDPPORT",
                    "UDPFRAMING",
                    "IPROUTETEMPLATE",
                    "SRCINTERFACE",
                ];
                if ipsec.contains(&extra) {
                    line = line.replace("ACTION=PERMIT", "ACTION=IPSEC");
                    for (name, value) in [
                        ("KEYMANAGEMENT", "ISAKMP"),
                        ("BUNDLESPECIFICATION", "1"),
                        ("PEERADDRESS", "3.3.3.3"),
                    ] {
                        if extra != name {
                            line += &format!(" {name}={value}");
                        }
                    }
                }
            }
            let mut router = device(&script);
            // A file that SET CONFIG may name.
            router.host.files.insert("some.cfg".into(), String::new());
            let certificate = include_str!("../../keys/ca.crt.pem");
            router
                .host
                .files
                .insert("ca.pem".into(), certificate.into());
            let before = state(&router);
            let outcome = router.command(Instant::ZERO, &line);
            let after = state(&router);
            match outcome.worst {
                Severity::Error => {
                    assert_eq!(after, before, "{line}");
                    let reasons = [
                        "is only valid",
                        "is required with",
                        "is not of the policy's",
                        "is no distinguished name",
                        "exclude each other",
                        "is used by",
                        "in force; ENABLE IPSEC first",
                        "does not exist",
                        "is required with",
                        "is not of the policy's IPVERSION",
                    ];
                    let told = reasons.iter().any(|reason| outcome.text.contains(reason));
                    if !told {
                        problems.push(format!("{line}: {}", outcome.text));
                    }
                }
                Severity::Warning => assert_eq!(after, before, "{line}: {}", outcome.text),
                Severity::Info => {
                    works += 1;
                    let effect = after != before
                        || !router.host.files.contains_key("some.cfg")
                        || spec.verb == "SHOW"
                        // SET with nothing to set.
                        || spec.verb == "SET" && (extra.is_empty() || spec.object.contains(&extra))
                        || matches!((spec.verb, extra), ("LOGIN" | "RESET" | "DISABLE", _))
                        || router.host.files.get("some.cfg").is_some_and(|file| !file.is_empty());
                    if !effect {
                        problems.push(format!("{line} does nothing"));
                    }
                    let written = matches!(
                        (spec.verb, spec.object),
                        (
                            "CREATE" | "SET",
                            [
                                "IPSEC" | "ISAKMP",
                                "POLICY" | "SASPECIFICATION" | "BUNDLESPECIFICATION"
                            ]
                        )
                    );
                    let kept = after.contains(&format!(" {extra}="));
                    if written && !kept && !["", "POSITION"].contains(&extra) {
                        problems.push(format!("{line} forgets {extra}"));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(works > 250, "{works}");
}

/// SET of another action: KEYMANAGEMENT, which SET cannot give, comes with the bundle, and what
/// only IPSEC has goes with it, unless it is given, which is refused.
#[test]
fn set_of_another_action_brings_what_belongs_to_it() {
    let mut device = rules::device();
    let mut say = |line: &str| device.command(Instant::ZERO, line).text;
    for (line, says) in [
        (
            "SET IPSEC POLICY=open ACTION=IPSEC",
            "BUNDLESPECIFICATION is required",
        ),
        (
            "SET IPSEC POLICY=open ACTION=IPSEC BUNDLE=3",
            "PEERADDRESS is required",
        ),
        (
            "SET IPSEC POLICY=open ACTION=IPSEC BUNDLE=3 PEER=2.2.2.2",
            "Info",
        ),
        (
            "SHOW IPSEC POLICY=open",
            "Key Management ................. MANUAL",
        ),
        (
            "SET IPSEC POLICY=any ACTION=DENY BUNDLE=1",
            "BUNDLESPECIFICATION is only valid",
        ),
        (
            "SET IPSEC POLICY=any ACTION=DENY PEER=ANY",
            "PEERADDRESS is only valid",
        ),
        (
            "SHOW IPSEC POLICY=any",
            "Action ......................... IPSEC",
        ),
        ("SET IPSEC POLICY=any LAD=10.0.0.1 DFBIT=COPY", "Info"),
        ("SET IPSEC POLICY=any ACTION=DENY", "Info"),
        (
            "SHOW IPSEC POLICY=any",
            "Key Management ................. -",
        ),
        (
            "SHOW CONFIG DYNAMIC=IPSEC",
            "POLICY=\"any\" INTERFACE=ppp0 ACTION=DENY LADDRESS=10.0.0.1 DFBIT=COPY\n",
        ),
        (
            "SET IPSEC POLICY=any ACTION=IPSEC BUNDLE=1 PEER=ANY ISAKMP=any",
            "Info",
        ),
        (
            "SHOW IPSEC POLICY=any",
            "Key Management ................. ISAKMP",
        ),
    ] {
        let text = say(line);
        assert!(text.contains(says), "{line}: {text}");
    }
}

/// A mask that was given goes again by the value that it has where it is left out.
#[test]
fn a_network_becomes_a_range_by_set() {
    let mut device = rules::device();
    let mut say = |line: &str| device.command(Instant::ZERO, line).text;
    let lan = say("SET IPSEC POLICY=vpn LAD=10.0.0.0 LMA=255.255.255.0");
    assert!(lan.starts_with("Info"), "{lan}");
    let range = "SET IPSEC POLICY=vpn LAD=10.0.0.1-10.0.0.9";
    let refused = say(range);
    assert!(refused.contains("other than 255.255.255.255"), "{refused}");
    let taken = say(&format!("{range} LMA=255.255.255.255"));
    assert!(taken.starts_with("Info"), "{taken}");
    let screen = say("SHOW IPSEC POLICY=vpn");
    assert!(
        screen.contains("Local Address ................ 10.0.0.1-10.0.0.9"),
        "{screen}"
    );
}

/// ENABLE ISAKMP once more changes what it names, and nothing else.
#[test]
fn enable_isakmp_again_changes_what_it_names() {
    let mut device = rules::device();
    let mut say = |line: &str| device.command(Instant::ZERO, line).text;
    say("ENABLE ISAKMP LOCALRSAKEY=8 POLICYSERVERENABLED=ON POLICYFILENAME=a.scp UDPPORT=600");
    for (line, fields) in [
        ("ENABLE ISAKMP", ["600", "8", "TRUE", "a.scp"]),
        ("ENABLE ISAKMP UDPPORT=700", ["700", "8", "TRUE", "a.scp"]),
        ("ENABLE ISAKMP LOCALRSAKEY=8", ["700", "8", "TRUE", "a.scp"]),
        ("DISABLE ISAKMP", ["700", "8", "TRUE", "a.scp"]),
        (
            "ENABLE ISAKMP POLICYSERVER=OFF",
            ["700", "8", "FALSE", "a.scp"],
        ),
        (
            "ENABLE ISAKMP POLICYFILE=b.scp",
            ["700", "8", "FALSE", "b.scp"],
        ),
    ] {
        let answer = say(line);
        assert!(answer.starts_with("Info"), "{line}: {answer}");
        let screen = say("SHOW ISAKMP");
        let labels = [
            "UDP Port ...............................",
            "Local RSA Key ..........................",
            "VPN Client Policy Server Enabled .......",
            "VPN Client Policy File Name ............",
        ];
        for (label, value) in labels.into_iter().zip(fields) {
            assert!(
                screen.contains(&format!("{label} {value}\n")),
                "{line}: {screen}"
            );
        }
    }
}
