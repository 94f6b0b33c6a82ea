//! Every value of every parameter at its bounds and beyond, and every word in all the ways in which
//! it may be shortened.

use std::collections::BTreeSet;

use config_lang::grammar::{COMMANDS, Kind, Param, Spec};
use config_lang::message::Severity;
use config_lang::{ParseFault, Value, parse};
use ipsec_core::Instant;
use sekisho_tests::lines::{assigned, is_positional, object_word, shortest};

use super::{BUNDLES, KEYS, POLICIES, SPECS, company, device, line_with};

/// A command with what it requires and one parameter as it is given here, which stands last unless
/// it is a word of the object.
fn with(spec: &Spec, name: &str, given: &str) -> String {
    let mut line = spec.verb.to_owned();
    for word in spec.object {
        line += " ";
        line += &if *word == name {
            given.to_owned()
        } else {
            object_word(spec, word)
        };
    }
    let others =
        |param: &&Param| param.required && param.name != name && !spec.object.contains(&param.name);
    for param in spec.params.iter().filter(others) {
        line += " ";
        line += &assigned(param);
    }
    if !spec.object.contains(&name) {
        line += " ";
        line += given;
    }
    line
}

/// What a line gives to a parameter, or why it is no command.
fn read(line: &str, name: &str) -> Result<Value, ParseFault> {
    match parse(line) {
        Ok(parsed) => {
            let parsed = parsed.expect("a command");
            let given = parsed.get(name);
            Ok(given
                .unwrap_or_else(|| panic!("{line}: no {name}"))
                .value
                .clone())
        }
        Err(error) => Err(error.kind),
    }
}

/// Texts that a kind takes, and texts that it refuses.
fn edges(kind: &Kind) -> (Vec<String>, Vec<(String, ParseFault)>) {
    use ParseFault::{Range, Value as Wrong};
    let many = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let wrong = |texts: &[&str]| {
        let all = texts.iter().map(|text| ((*text).to_owned(), Wrong));
        all.collect::<Vec<_>>()
    };
    let long = |len| "a".repeat(len);
    match *kind {
        Kind::Enum(words) | Kind::List(words) => {
            let mut good = many(words);
            if matches!(kind, Kind::List(_)) {
                good.push(words.join(","));
            }
            (good, wrong(&["", "NONSENSE", "1.5", "ON,,OFF"]))
        }
        Kind::Bool => {
            let words = ["ON", "OFF", "TRUE", "FALSE", "YES", "NO"];
            (many(&words), wrong(&["", "MAYBE", "1"]))
        }
        Kind::Int {
            min,
            max,
            clamp,
            words,
        } => {
            let mut good = many(words);
            good.extend([min.to_string(), max.to_string()]);
            let mut bad = wrong(&["", "nonsense", "-1", "+1", "1.5", "0x1"]);
            if min > 0 {
                bad.push(((min - 1).to_string(), Range));
            }
            for above in [u64::from(max) + 1, 1 << 32, u64::MAX] {
                if clamp {
                    good.push(above.to_string());
                } else {
                    bad.push((above.to_string(), Range));
                }
            }
            (good, bad)
        }
        Kind::Text { max, words } => {
            let mut good = many(words);
            good.extend([long(1), long(max), "é".repeat(max), "two words".to_owned()]);
            let bad = [("", Range), (&long(max + 1), Range), ("a\u{7}b", Wrong)];
            (
                good,
                bad.map(|(text, kind)| (text.to_owned(), kind)).to_vec(),
            )
        }
        Kind::File { ext: "" } | Kind::Id => {
            let bad = vec![(String::new(), Range), (long(121), Range)];
            (vec![long(1), long(120)], bad)
        }
        Kind::File { ext } => {
            let named = |length: usize| format!("{}{ext}", long(length));
            let good = vec![named(1), named(116), named(3).to_uppercase()];
            let mut bad = wrong(&[ext, "some", "some.txt", &format!("{ext}x"), "cfg", "scp"]);
            bad.extend([(String::new(), Range), (named(117), Range)]);
            (good, bad)
        }
        Kind::Address { range, host, words } => {
            let mut good = many(words);
            good.extend(many(&["0.0.0.0", "255.255.255.255", "::", "2001:db8::1"]));
            let mut bad = wrong(&["", "256.0.0.1", "1.2.3", "1.2.3.4-", "1.2.3.9-1.2.3.4"]);
            let ranges = ["1.2.3.4-1.2.3.9", "2001:db8::/32", "::/0", "::1/128"];
            let hosts = ["gw.example", &long(120)];
            if range {
                good.extend(many(&ranges));
                bad.extend(wrong(&["::/129", "1.2.3.4-::1"]));
            } else {
                bad.extend(wrong(&ranges));
            }
            if host {
                good.extend(many(&hosts));
                bad.extend(wrong(&[&long(121), "under_score"]));
                // What has no letter is no name.
                bad.extend(wrong(&["1.2.3.4.5"]));
            } else {
                bad.extend(wrong(&hosts));
            }
            (good, bad)
        }
        Kind::Mask => (
            many(&["0.0.0.0", "128.0.0.0", "255.255.255.254", "255.255.255.255"]),
            wrong(&["", "255.0.255.0", "0.0.0.1", "255.255.255.256", "24"]),
        ),
        Kind::Ip => (
            many(&["0.0.0.0", "255.255.255.255"]),
            wrong(&["", "255.255.255.256", "1.2.3", "::1"]),
        ),
        Kind::IpRange => (
            many(&["0.0.0.0", "1.2.3.4-1.2.3.4", "0.0.0.0-255.255.255.255"]),
            wrong(&["", "1.2.3.256", "1.2.3.9-1.2.3.4", "1.2.3.4-"]),
        ),
        Kind::Ipv6 => (many(&["::", "2001:db8::1"]), wrong(&["", "1.2.3.4", "::g"])),
        Kind::Ipv6Prefix => (
            many(&["::/0", "2001:db8::1/64", "::1/128"]),
            wrong(&["", "::1", "::1/129", "1.2.3.4/8"]),
        ),
        Kind::Interface => (
            many(&["ppp0", "PPP0-0", "eth1.5", "a1", "abcdefghijklm12"]),
            wrong(&[
                "",
                "0",
                "ppp",
                "0ppp",
                "ppp0-",
                "ppp0-0-0",
                "abcdefghijklm123",
                "ppp 0",
            ]),
        ),
        Kind::Bundle => (
            many(&["0", "255", "1,1,1,1,1,1,1,1,1,1", "1 and 2 OR 3"]),
            wrong(&[
                "",
                "256",
                "1,1,1,1,1,1,1,1,1,1,1",
                "1 XOR 2",
                "1 AND",
                &"1".repeat(101),
            ]),
        ),
        Kind::Flag => (Vec::new(), Vec::new()),
    }
}

/// The bounds, one below and one above: taken where they are inside, refused where they are not, cut
/// where a rule says so.
#[test]
fn values_are_taken_up_to_their_bounds_and_no_further() {
    let (mut taken, mut refused) = (0, 0);
    for spec in COMMANDS.iter().filter(|spec| !is_positional(spec)) {
        for param in spec.params {
            let name = param.name;
            let (good, bad) = edges(&param.kind);
            for text in &good {
                let line = with(spec, name, &format!("{name}=\"{text}\""));
                let value = read(&line, name).unwrap_or_else(|kind| panic!("{line}: {kind:?}"));
                if let (Kind::Int { max, .. }, Ok(number)) = (&param.kind, text.parse::<u64>()) {
                    let stored = number.min(u64::from(*max));
                    let stored = u32::try_from(stored).expect("not above the maximum");
                    let word = matches!(value, Value::Word(word) if word == text);
                    assert!(word || value == Value::Number(stored), "{line}: {value:?}");
                }
                taken += 1;
            }
            for (text, kind) in bad {
                let line = with(spec, name, &format!("{name}=\"{text}\""));
                assert_eq!(read(&line, name), Err(kind), "{line}");
                refused += 1;
            }
            let line = with(spec, name, name);
            if matches!(param.kind, Kind::Flag) {
                let valued = with(spec, name, &format!("{name}=1"));
                assert_eq!(read(&valued, name), Err(ParseFault::Value), "{valued}");
            } else if param.bare {
                assert_eq!(read(&line, name), Ok(Value::Flag), "{line}");
            } else if !spec.object.contains(&name) {
                let without = if param.bare {
                    Ok(Value::Flag)
                } else {
                    Err(ParseFault::Value)
                };
                assert_eq!(read(&line, name), without, "{line}");
            }
        }
    }
    assert!(taken > 900 && refused > 1400, "{taken} {refused}");
}

/// What the two ends of a range mean to a device: they are kept as written, or refused for a
/// reason that is no matter of the range.
#[test]
fn both_ends_of_a_range_are_kept() {
    let script = format!("{KEYS}{SPECS}{BUNDLES}{POLICIES}");
    let mut kept = 0;
    for spec in COMMANDS {
        let record = matches!(
            spec.object,
            [
                "IPSEC" | "ISAKMP",
                "POLICY" | "SASPECIFICATION" | "BUNDLESPECIFICATION"
            ]
        );
        if !record || !["CREATE", "SET"].contains(&spec.verb) {
            continue;
        }
        for param in spec.params {
            let Kind::Int { min, max, .. } = param.kind else {
                continue;
            };
            if param.name == "POSITION" || spec.object.contains(&param.name) {
                continue;
            }
            for number in [min, max] {
                let sample = line_with(spec, param.name);
                let at = format!(" {}=", param.name);
                let (start, rest) = sample.split_once(&at).expect("it is given");
                let rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
                let line = format!("{start}{at}{number} {rest}{}", company(spec, param.name));
                let mut router = device(&script);
                let outcome = router.command(Instant::ZERO, &line);
                if outcome.worst == Severity::Error {
                    assert!(!outcome.text.contains("(3340"), "{line}: {}", outcome.text);
                    continue;
                }
                let written = config_lang::dump::all(router.device.state());
                assert!(
                    written.contains(&format!("{at}{number}")),
                    "{line}\n{written}"
                );
                kept += 1;
            }
        }
    }
    assert!(kept > 40, "{kept}");
}

/// What a prefix means among some words.
fn meant<'a>(prefix: &str, among: &BTreeSet<&'a str>) -> Result<&'a str, ParseFault> {
    if let Some(exact) = among.get(prefix) {
        return Ok(exact);
    }
    let found: Vec<_> = among
        .iter()
        .filter(|word| word.starts_with(prefix))
        .collect();
    match found.as_slice() {
        [word] => Ok(word),
        [] => Err(ParseFault::Unknown),
        _ => Err(ParseFault::Ambiguous),
    }
}

/// The prefixes of a word, itself included, in both cases.
fn prefixes(word: &str) -> impl Iterator<Item = &str> {
    (1..=word.len()).map(|len| &word[..len])
}

/// Every word of a value: whole and in every prefix that is no other's.
#[test]
fn words_may_be_shortened_while_they_are_unambiguous() {
    let (mut understood, mut ambiguous) = (0, 0);
    for spec in COMMANDS.iter().filter(|spec| !is_positional(spec)) {
        for param in spec.params {
            let name = param.name;
            let (words, shortened): (&[&str], _) = match param.kind {
                Kind::Enum(words) | Kind::List(words) => (words, true),
                Kind::Bool => (&["ON", "OFF", "TRUE", "FALSE", "YES", "NO"], true),
                Kind::Int { words, .. } => (words, true),
                // Free texts are taken as they stand.
                Kind::Text { words, .. } | Kind::Address { words, .. } => (words, false),
                _ => continue,
            };
            let among: BTreeSet<&str> = words.iter().copied().collect();
            for word in words {
                for prefix in prefixes(word).filter(|prefix| shortened || prefix == word) {
                    for typed in [prefix.to_owned(), prefix.to_lowercase()] {
                        let line = with(spec, name, &format!("{name}={typed}"));
                        let value = read(&line, name);
                        match meant(prefix, &among) {
                            Ok(word) => {
                                let truth = ["ON", "TRUE", "YES"].contains(&word);
                                let right = match &value {
                                    Ok(Value::Word(found)) => *found == word,
                                    Ok(Value::Words(found)) => found == &[word],
                                    Ok(Value::Bool(found)) => *found == truth,
                                    _ => false,
                                };
                                assert!(right, "{line}: {value:?}");
                                understood += 1;
                            }
                            Err(fault) => {
                                assert_eq!(value, Err(fault), "{line}");
                                ambiguous += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(
        understood > 2000 && ambiguous > 100,
        "{understood} {ambiguous}"
    );
}

/// Every parameter's name in every prefix.
#[test]
fn names_may_be_shortened_while_they_are_unambiguous() {
    let (mut understood, mut ambiguous) = (0, 0);
    for spec in COMMANDS.iter().filter(|spec| !is_positional(spec)) {
        let names: BTreeSet<&str> = spec.params.iter().map(|param| param.name).collect();
        for param in spec
            .params
            .iter()
            .filter(|param| !spec.object.contains(&param.name))
        {
            let value = assigned(param)[param.name.len()..].to_owned();
            for prefix in prefixes(param.name) {
                let line = with(spec, param.name, &format!("{prefix}{value}"));
                match meant(prefix, &names) {
                    Ok(name) if name == param.name => {
                        let parsed = parse(&line);
                        let parsed = parsed.unwrap_or_else(|e| panic!("{line}: {}", e.message));
                        let parsed = parsed.expect("a command");
                        assert!(parsed.get(name).is_some(), "{line}");
                        understood += 1;
                    }
                    // It is the whole of a shorter name.
                    Ok(_) => {
                        let parsed = parse(&line).ok().flatten();
                        assert!(parsed.is_none_or(|p| p.get(param.name).is_none()), "{line}");
                    }
                    Err(fault) => {
                        assert_eq!(
                            parse(&line).map_err(|error| error.kind),
                            Err(fault),
                            "{line}"
                        );
                        ambiguous += 1;
                    }
                }
            }
        }
    }
    assert!(
        understood > 1000 && ambiguous > 200,
        "{understood} {ambiguous}"
    );
}

/// Every verb and every word of an object in every prefix.
#[test]
fn commands_may_be_shortened_while_they_are_unambiguous() {
    let (mut understood, mut ambiguous) = (0, 0);
    let verbs: BTreeSet<&str> = COMMANDS.iter().map(|spec| spec.verb).collect();
    for spec in COMMANDS {
        let whole = shortest(spec);
        let words: Vec<&str> = whole.split(' ').collect();
        for place in 0..=spec.object.len() {
            let before = place.saturating_sub(1);
            let (word, among) = if place == 0 {
                (spec.verb, verbs.clone())
            } else {
                let same = COMMANDS
                    .iter()
                    .filter(|other| other.verb == spec.verb)
                    .filter(|other| other.object.starts_with(&spec.object[..before]))
                    .filter_map(|other| other.object.get(before).copied());
                (spec.object[before], same.collect())
            };
            for prefix in prefixes(word) {
                let mut typed: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
                typed[place] = typed[place].replacen(word, prefix, 1);
                let line = typed.join(" ");
                let parsed = parse(&line);
                match meant(prefix, &among) {
                    Ok(found) => {
                        if found != word {
                            // It is the whole of a shorter word.
                            continue;
                        }
                        let parsed = parsed.unwrap_or_else(|e| panic!("{line}: {}", e.message));
                        let found = parsed.expect("a command").spec;
                        assert_eq!(
                            (found.verb, found.object),
                            (spec.verb, spec.object),
                            "{line}"
                        );
                        understood += 1;
                    }
                    Err(fault) => {
                        assert_eq!(parsed.map_err(|error| error.kind), Err(fault), "{line}");
                        ambiguous += 1;
                    }
                }
            }
        }
    }
    assert!(
        understood > 500 && ambiguous > 50,
        "{understood} {ambiguous}"
    );
}

/// Words that the manual's text has where its syntax line has another: whole, and meaning that.
#[test]
fn words_of_the_text_mean_those_of_the_syntax() {
    let given = |line: &str| parse(line).map(|parsed| parsed.expect("a command").given);
    for (line, of_text, of_syntax) in [
        (
            "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT TRANSPORT=",
            "all",
            "ANY",
        ),
        ("SET IPSEC POLICY=x TRANSPORT=", "ALL", "ANY"),
        ("ENABLE IPSEC POLICY=x DEBUG=ALL DIR=", "Both", "ALL"),
        ("DISABLE IPSEC POLICY=x DEBUG=ALL DIR=", "BOTH", "ALL"),
    ] {
        let meant = given(&format!("{line}{of_syntax}"));
        assert!(meant.is_ok(), "{line}{of_syntax}: {meant:?}");
        assert_eq!(given(&format!("{line}{of_text}")), meant);
    }
    assert!(given("SET IPSEC POLICY=x TRANSPORT=AL").is_err());
    assert!(given("SHOW IPSEC COUNTERS=ALL").is_err());
}

/// Quotes stand around values; a name that LOGIN takes is one.
#[test]
fn quotes_stand_around_values_alone() {
    let login = |line: &str| {
        let parsed = parse(line).expect("a command").expect("a command");
        match &parsed.given[..] {
            [given] => given.value.clone(),
            other => panic!("{line}: {other:?}"),
        }
    };
    assert_eq!(login("LOGIN \"a b\""), Value::Text("a b".into()));
    assert_eq!(login("login secoff"), Value::Text("secoff".into()));
    for line in [
        "\"LOGIN\" x",
        "\"SHOW\" IPSEC",
        "SHOW \"IPSEC\"",
        "SHOW IPSEC \"POLICY\"",
        "LOGIN x \"y\"",
        "LOGIN \"a\"b",
        "LOGIN \"a",
    ] {
        let fault = parse(line).map_err(|error| error.kind);
        assert_eq!(fault, Err(ParseFault::Syntax), "{line}");
    }
}
