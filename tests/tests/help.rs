//! Editing help against the whole grammar: at each prefix of each command `?` lists what may
//! follow, completion reaches it, and a slip is met with the word that was meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use config_lang::grammar::{COMMANDS, Kind, Param, Spec};
use config_lang::help::{Help, Sort, complete, help};
use config_lang::parse;
use proptest::prelude::*;
use sekisho_tests::lines::{assigned, is_positional, object_word, whole_object};

fn listed(line: &str) -> Help {
    help(line).unwrap_or_else(|error| panic!("{line}|: {}", error.message))
}

fn lists(line: &str, word: &str) {
    let help = listed(line);
    let found = help.choices.iter().any(|choice| choice.word == Some(word));
    assert!(found, "{line}| does not list {word}: {help}");
}

/// Types a word letter by letter behind a line: at each letter help lists it, and completion adds
/// nothing but letters of it, until it stands there alone.
fn reaches(line: &str, word: &str) {
    let mut reached = false;
    for end in 0..=word.len() {
        for typed in [word[..end].to_owned(), word[..end].to_lowercase()] {
            let typed = format!("{line}{typed}");
            lists(&typed, word);
            let done = complete(&typed);
            assert!(done.candidates.contains(&word), "{typed}|: {done:?}");
            let letters = done.common.trim_end_matches(['=', '"', ' ']);
            let right = word.starts_with(letters) || letters == word;
            assert!(right, "{typed}|: {done:?}");
            assert!(
                done.start + letters.len() >= typed.len(),
                "{typed}|: {done:?}"
            );
            if done.candidates == [word] {
                assert_eq!(letters, word, "{typed}|");
                reached = true;
            }
        }
    }
    // What is alone with its last letter or before; a word that begins another one is typed whole.
    let others = listed(&format!("{line}{word}")).choices.len();
    assert!(reached || others > 1, "{line}{word}");
}

#[test]
fn every_word_of_every_command_is_listed_and_reached() {
    let (mut commands, mut params, mut words) = (0, 0, 0);
    for spec in COMMANDS {
        commands += 1;
        reaches("", spec.verb);
        let mut line = spec.verb.to_owned();
        for word in spec.object {
            line += " ";
            reaches(&line, word);
            line += &object_word(spec, word);
        }
        if is_positional(spec) {
            let help = listed(&format!("{line} "));
            let [choice] = &help.choices[..] else {
                panic!("{help}")
            };
            assert_eq!((choice.word, choice.sort), (None, Sort::Value));
            assert!(choice.about.contains("1 to 255"), "{help}");
            continue;
        }
        for param in spec.params {
            params += 1;
            if !spec.object.contains(&param.name) {
                reaches(&format!("{line} "), param.name);
            }
            if matches!(param.kind, Kind::Flag) {
                continue;
            }
            words += values_are_listed(spec, param);
        }
    }
    let enough = commands >= 70 && params >= 270 && words >= 450;
    assert!(enough, "{commands} {params} {words}");
}

/// The values of a parameter: its words are listed and reached, its range and default are told.
fn values_are_listed(spec: &Spec, param: &Param) -> usize {
    let mut line = spec.verb.to_owned();
    for word in spec.object {
        if *word == param.name {
            break;
        }
        line += " ";
        line += &object_word(spec, word);
    }
    let line = format!("{line} {}=", param.name);
    for word in param.kind.words() {
        reaches(&line, word);
        reaches(&format!("{line}\""), word);
    }
    let shown = listed(&line).to_string();
    if let Some(form) = param.kind.form() {
        assert!(shown.contains(&form), "{line}|: {shown}");
    }
    if let Kind::Int { min, max, .. } = param.kind {
        assert!(shown.contains(&format!("from {min} to {max}")), "{shown}");
    }
    if let Some(default) = param.default {
        assert!(
            shown.contains("default") && shown.contains(default),
            "{line}|: {shown}"
        );
    }
    if let Kind::List(words) = param.kind {
        for pair in words.windows(2) {
            let line = format!("{line}{},", pair[0]);
            reaches(&line, pair[1]);
            let again = listed(&line);
            let twice = again
                .choices
                .iter()
                .any(|choice| choice.word == Some(pair[0]));
            assert!(!twice, "{line}|: {again}");
        }
    }
    param.kind.words().len()
}

/// What was given is not offered again, what is required is named as such, and the end is offered
/// exactly when the command is complete.
#[test]
fn the_list_follows_what_was_given() {
    for spec in COMMANDS.iter().filter(|spec| !is_positional(spec)) {
        let mut line = whole_object(spec);
        let rest: Vec<&Param> = spec
            .params
            .iter()
            .filter(|param| !spec.object.contains(&param.name))
            .collect();
        for (place, param) in rest.iter().enumerate() {
            let help = listed(&format!("{line} "));
            for (other, later) in rest.iter().enumerate() {
                let choice = help.choices.iter().find(|choice| {
                    choice.word == Some(later.name) && matches!(choice.sort, Sort::Parameter(_))
                });
                assert_eq!(
                    choice.is_some(),
                    other >= place,
                    "{line} |{}: {help}",
                    later.name
                );
                let required = choice.is_some_and(|choice| choice.about.ends_with("required"));
                assert_eq!(
                    required,
                    other >= place && later.required,
                    "{line} |: {help}"
                );
            }
            let ends = help.choices.iter().any(|choice| choice.sort == Sort::End);
            assert_eq!(ends, parse(&line).is_ok(), "{line}: {help}");
            line = format!("{line} {}", assigned(param));
        }
        let parsed = parse(&line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
        assert_eq!(parsed.map(|parsed| parsed.spec), Some(spec), "{line}");
        let ends = listed(&format!("{line} "));
        assert!(
            ends.choices.iter().any(|choice| choice.sort == Sort::End),
            "{line}: {ends}"
        );
    }
}

/// The defaults that help tells are the manual's.
#[test]
fn the_defaults_are_the_manuals() {
    let table: toml::Table = include_str!("../commands.toml").parse().expect("TOML");
    let array = |table: &toml::Table, key: &str| -> Vec<toml::Table> {
        let all = table.get(key).and_then(toml::Value::as_array).cloned();
        let all = all.unwrap_or_default().into_iter();
        all.filter_map(|one| one.as_table().cloned()).collect()
    };
    let text = |table: &toml::Table, key: &str| {
        let text = table.get(key).and_then(toml::Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut wanted: BTreeMap<(String, String, String), String> = BTreeMap::new();
    for command in array(&table, "command") {
        // What SET leaves out stays as it was.
        if text(&command, "verb") == "SET" {
            continue;
        }
        for param in array(&command, "parameter") {
            let default = match param.get("default") {
                Some(toml::Value::Integer(number)) => number.to_string(),
                Some(toml::Value::String(text)) => text.clone(),
                _ => continue,
            };
            let name = text(&param, "name");
            wanted.insert(
                (text(&command, "verb"), text(&command, "object"), name),
                default,
            );
        }
    }
    let mut told = 0;
    for spec in COMMANDS {
        for param in spec.params {
            let key = (
                spec.verb.to_owned(),
                spec.object.join(" "),
                param.name.to_owned(),
            );
            let wanted = wanted.remove(&key);
            assert_eq!(param.default.is_some(), wanted.is_some(), "{key:?}");
            let (Some(default), Some(wanted)) = (param.default, wanted) else {
                continue;
            };
            // A remark in brackets, and sentences, are in other words.
            let word = wanted.split(" (").next().unwrap_or(&wanted).to_owned();
            let sentence = word.contains(' ') || wanted.contains("unlimited") || word == "IPv4";
            assert!(
                sentence || default == word,
                "{key:?}: {default}, not {wanted}"
            );
            told += 1;
        }
    }
    assert!(wanted.is_empty(), "{wanted:?}");
    assert!(told > 70, "{told}");
}

/// The same word with a letter in its middle replaced, and with two neighbours swapped.
fn slips(word: &str) -> Vec<String> {
    let middle = word.len() / 2;
    let replaced = format!("{}X{}", &word[..middle], &word[middle + 1..]);
    let mut letters: Vec<char> = word.chars().collect();
    letters.swap(middle - 1, middle);
    let swapped: String = letters.into_iter().collect();
    let mut slips = vec![replaced];
    if swapped != word {
        slips.push(swapped);
    }
    slips
}

fn is_met(line: &str, word: &str, missed: &mut String) {
    let Err(error) = parse(line) else {
        let _ = writeln!(missed, "{line} is understood");
        return;
    };
    let meant = error.message.split("did you mean ").nth(1).unwrap_or("");
    if !meant.contains(word) {
        let _ = writeln!(missed, "{line}: not {word}: {}", error.message);
    }
}

#[test]
fn every_slip_is_met_with_the_word_that_was_meant() {
    let mut missed = String::new();
    for spec in COMMANDS {
        for slip in slips(spec.verb) {
            is_met(
                &format!("{slip} {}", spec.object.join(" ")),
                spec.verb,
                &mut missed,
            );
        }
        let mut line = spec.verb.to_owned();
        for word in spec.object {
            if word.len() > 2 {
                for slip in slips(word) {
                    is_met(&format!("{line} {slip}"), word, &mut missed);
                }
            }
            line += " ";
            line += &object_word(spec, word);
        }
        if is_positional(spec) {
            continue;
        }
        for param in spec.params {
            if !spec.object.contains(&param.name) && param.name.len() > 2 {
                // PROT is no slip of PORT where PROTOCOL is a parameter.
                let other = |slip: &String| spec.params.iter().any(|p| p.name.starts_with(slip));
                for slip in slips(param.name).into_iter().filter(|slip| !other(slip)) {
                    is_met(&format!("{line} {slip}=1"), param.name, &mut missed);
                }
            }
            let word_only = matches!(param.kind, Kind::Enum(_) | Kind::List(_) | Kind::Bool);
            for word in param.kind.words().iter().filter(|_| word_only) {
                if word.len() <= 2 || word.bytes().all(|c| c.is_ascii_digit()) {
                    continue;
                }
                for slip in slips(word) {
                    let object = whole_object(spec).replace(&assigned(param), param.name);
                    let line = if spec.object.contains(&param.name) {
                        let last = spec.object.last() == Some(&param.name);
                        assert!(last, "{} {:?}", spec.verb, spec.object);
                        format!("{object}={slip}")
                    } else {
                        format!("{object} {}={slip}", param.name)
                    };
                    is_met(&line, word, &mut missed);
                }
            }
        }
    }
    assert!(missed.is_empty(), "{missed}");
}

proptest! {
    /// Whatever stands in the line, help and completion come to an end, and what completion would
    /// replace is a part of the line.
    #[test]
    fn no_line_confuses_help(line in "\\PC{0,60}|([A-Za-z]{1,9}[ =\",]{1,2}){0,9}") {
        let _ = help(&line);
        let done = complete(&line);
        prop_assert!(line.get(done.start..).is_some());
    }

    /// A beginning of a right line is no fault, wherever it ends between words.
    #[test]
    fn every_beginning_of_a_right_line_has_help(at in 0..COMMANDS.len(), seed: u64) {
        let spec = &COMMANDS[at];
        let mut line = whole_object(spec);
        if is_positional(spec) {
            line += " somebody";
        } else {
            let rest = spec.params.iter().filter(|param| !spec.object.contains(&param.name));
            for (place, param) in rest.enumerate() {
                if param.required || seed >> (place % 64) & 1 == 1 {
                    line += " ";
                    line += &assigned(param);
                }
            }
        }
        prop_assert!(parse(&line).is_ok(), "{line}");
        for (end, _) in line.match_indices(' ') {
            // Blanks inside quotes do not end a word.
            if line[..end].matches('"').count().is_multiple_of(2) {
                prop_assert!(help(&line[..=end]).is_ok(), "{}", &line[..=end]);
            }
        }
    }
}

/// The work for a line follows its length, whatever it says.
#[test]
fn a_long_hostile_line_is_answered() {
    let long = "A".repeat(100_000);
    for line in [
        long.clone(),
        format!("CREATE IPSEC POLICY={long}"),
        format!("CREATE IPSEC {long}"),
        format!("CREATE IPSEC POLICY=x {}", "L=1 ".repeat(20_000)),
        format!("SHOW IPSEC COUNTERS={}", "AH,".repeat(20_000)),
    ] {
        let _ = help(&line);
        let _ = complete(&line);
        assert!(parse(&line).is_err() || line.ends_with(&long));
    }
}
