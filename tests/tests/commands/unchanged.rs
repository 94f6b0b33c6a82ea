//! A failing command changes nothing: the fingerprint of the device is the same before and after,
//! for the negatives of the grammar and for examples gone wrong at random, on a device that is
//! configured and on one whose tunnel is up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use config_lang::message::Severity;
use config_lang::{Console, Outcome, Surroundings};
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use isakmp_core::device::Privilege;
use lab::{Pair, Side};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sekisho_tests::broken::Broken;
use sekisho_tests::{basic, pair, ping_both};

use super::{Device, entries, flag, rules, table, text};

/// All that a refused line must leave as it is: the state, every other counter, and the files.
fn moved(device: &Device) -> (u64, u64, BTreeMap<String, String>) {
    let router = &device.device;
    let files = device.host.files.clone();
    (
        router.fingerprint(),
        router.fingerprint_of_counters(),
        files,
    )
}

/// Executes a line; if it is refused, with nothing changed, its number.
///
/// # Errors
/// What a refused line changed.
fn refused(device: &mut Device, now: Instant, line: &str) -> Result<Option<String>, String> {
    // What is counted of a command, carried out or not, is no change.
    device.device.reset_ipsec_counters(Some("SPD"));
    let before = moved(device);
    let Outcome { text, worst, .. } = device.command(now, line);
    device.device.reset_ipsec_counters(Some("SPD"));
    let after = moved(device);
    if worst != Severity::Error {
        return Ok(None);
    }
    if before != after {
        return Err(format!("{line}: {text}"));
    }
    let number = text.split(['(', ')']).nth(1).unwrap_or("");
    Ok(Some(number.to_owned()))
}

/// A pair whose tunnel is up, of which A is spoken to.
fn live() -> Pair {
    let mut pair = pair(&basic(), 1);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(30)));
    pair
}

/// What the grammar prints: examples, and negatives.
fn printed() -> (Vec<String>, Vec<String>) {
    let grammar = table("commands.toml");
    let examples = entries(&grammar, "command")
        .into_iter()
        .filter(|command| !flag(command, "mention_only"))
        .filter_map(|command| command.get("examples")?.as_array())
        .flatten()
        .filter_map(|line| line.as_str().map(str::to_owned));
    let negatives = entries(&grammar, "negative");
    let negatives = negatives
        .into_iter()
        .map(|entry| text(entry, "line").to_owned());
    (examples.collect(), negatives.collect())
}

/// A way for a line to go wrong.
#[derive(Clone, Copy, Debug)]
enum Slip {
    /// A word is missing.
    Drop,
    /// A word stands twice.
    Twice,
    /// A word comes from another line.
    Borrow,
    /// A value is another one.
    Value,
    /// A name is cut short.
    Short,
    /// A character is another one.
    Typo,
    /// The rest is missing.
    Cut,
}

/// Values that fit some parameters, and others not.
const VALUES: [&str; 24] = [
    "0",
    "1",
    "2",
    "9",
    "255",
    "256",
    "65536",
    "99999999999",
    "-1",
    "ANY",
    "DYNAMIC",
    "2.2.2.2",
    "1.1.1.1",
    "fd00::1",
    "MANUAL",
    "ISAKMP",
    "AH",
    "NULL",
    "TRUE",
    "RSASIG",
    "vpn",
    "local1",
    "\"1 AND 2\"",
    "\"",
];

fn slipped(line: &str, slip: Slip, at: Index, seed: usize, lines: &[String]) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if words.is_empty() {
        return String::new();
    }
    let place = at.index(words.len());
    let word = words[place].clone();
    match slip {
        Slip::Drop => drop(words.remove(place)),
        Slip::Twice => words.insert(place, word),
        Slip::Borrow => {
            let other = &lines[seed % lines.len()];
            let others: Vec<&str> = other.split(' ').collect();
            words.insert(place, others[seed / 7 % others.len()].to_owned());
        }
        Slip::Value => {
            let name = word.split('=').next().unwrap_or("");
            words[place] = format!("{name}={}", VALUES[seed % VALUES.len()]);
        }
        Slip::Short => {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            let equals = if word.contains('=') { "=" } else { "" };
            let short: String = name.chars().take(1 + seed % 3).collect();
            words[place] = format!("{short}{equals}{value}");
        }
        Slip::Typo => {
            let mut letters: Vec<char> = word.chars().collect();
            if !letters.is_empty() {
                let place = seed % letters.len();
                letters[place] = ['Q', '=', '"', '9', '.', '/'][seed % 6];
            }
            words[place] = letters.into_iter().collect();
        }
        Slip::Cut => words.truncate(place),
    }
    words.join(" ")
}

/// Lines of which most are wrong.
fn wrong_lines(examples: Vec<String>) -> impl Strategy<Value = Vec<String>> {
    let slips = [
        Slip::Drop,
        Slip::Twice,
        Slip::Borrow,
        Slip::Value,
        Slip::Value,
        Slip::Short,
        Slip::Typo,
        Slip::Cut,
    ];
    let slip = (
        prop::sample::select(slips.to_vec()),
        any::<Index>(),
        any::<u16>(),
    );
    let one = (any::<Index>(), prop::collection::vec(slip, 1..4));
    let one = one.prop_map(move |(example, slips)| {
        let start = example.get(&examples).clone();
        slips.into_iter().fold(start, |line, (slip, at, seed)| {
            slipped(&line, slip, at, usize::from(seed), &examples)
        })
    });
    prop::collection::vec(one, 1..50)
}

/// Tells random wrong lines to devices. Returns how many were refused, and with which numbers.
fn tell(
    cases: u32,
    mut on: impl FnMut(&[String], &mut dyn FnMut(Option<String>)) -> Result<(), String>,
) -> (usize, BTreeSet<String>) {
    let seen = RefCell::new((0, BTreeSet::new()));
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // The same lines each time, so that what they meet is no matter of luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let on = RefCell::new(&mut on);
    let result = TestRunner::new_with_rng(config, rng).run(&wrong_lines(printed().0), |lines| {
        let mut note = |number: Option<String>| {
            if let Some(number) = number {
                let mut seen = seen.borrow_mut();
                seen.0 += 1;
                seen.1.insert(number);
            }
        };
        on.borrow_mut()(&lines, &mut note).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    seen.into_inner()
}

#[test]
fn the_negatives_of_the_grammar_change_nothing() {
    let negatives = printed().1;
    assert_eq!(negatives.len(), 29);
    for line in &negatives {
        let mut device = rules::device();
        let number = refused(&mut device, Instant::ZERO, line);
        assert!(matches!(number, Ok(Some(_))), "{line}: {number:?}");
        let mut pair = live();
        let now = pair.now;
        let number = refused(&mut pair.a, now, line);
        assert!(matches!(number, Ok(Some(_))), "{line}: {number:?}");
    }
}

#[test]
fn random_wrong_lines_change_nothing_of_a_configured_device() {
    let (count, numbers) = tell(200, |lines, note| {
        let mut device = rules::device();
        for line in lines {
            note(refused(&mut device, Instant::ZERO, line)?);
        }
        Ok(())
    });
    assert!(count > 3000 && numbers.len() > 20, "{count} {numbers:?}");
}

#[test]
fn random_wrong_lines_change_nothing_of_a_live_device() {
    let (count, numbers) = tell(40, |lines, note| {
        let mut pair = live();
        let now = pair.now;
        for line in lines {
            note(refused(&mut pair.a, now, line)?);
            pair.turn(Side::A);
        }
        Ok(())
    });
    assert!(count > 600 && numbers.len() > 12, "{count} {numbers:?}");
}

/// Also what fails late, because the world or the engine does, leaves everything as it was.
#[test]
fn what_the_world_refuses_changes_nothing() {
    for line in [
        "CREATE ENCO KEY=30 TYPE=GENERAL RANDOM",
        "CREATE ENCO KEY=30 TYPE=RSA RANDOM",
        "CREATE ENCO KEY=30 TYPE=RSA FILE=own.key",
        "CREATE CONFIG=some.cfg",
        "SET CONFIG=some.cfg",
        "ADD USER=x PASSWORD=y",
        "ADD PKI CERTIFICATE=x LOCATION=ca.pem TYPE=CA",
    ] {
        let mut router = rules::device();
        router.device.reset_ipsec_counters(Some("SPD"));
        let before = moved(&router);
        let mut around = Surroundings {
            now: Instant::ZERO,
            entropy: &mut Broken,
            host: &mut Broken,
        };
        let mut console = Console::vouched(Privilege::SecurityOfficer);
        let outcome = console.execute(&mut router.device, &mut around, line);
        assert_eq!(outcome.worst, Severity::Error, "{line}: {}", outcome.text);
        // What is counted of a command, carried out or not, is no change.
        router.device.reset_ipsec_counters(Some("SPD"));
        assert_eq!(moved(&router), before, "{line}");
    }
    // An engine that takes one job and no second.
    let mut router = Device::new(SoftEngines::new(64, 16, 1), 1);
    let make = |number: u8| format!("CREATE ENCO KEY={number} TYPE=RSA RANDOM");
    let first = router.command(Instant::ZERO, &make(1));
    assert_eq!(first.worst, Severity::Info, "{}", first.text);
    let number = refused(&mut router, Instant::ZERO, &make(2));
    assert_eq!(number, Ok(Some("373009".into())));
}

/// The fingerprint sees every secret of a router at work, and no counter; what is shown otherwise
/// is the other way round.
#[test]
fn secrets_count_for_the_fingerprint_and_counters_do_not() {
    let mut pair = live();
    for line in [
        "SET ISAKMP POLICY=i XAUTHNAME=me XAUTHPASSWORD=mine",
        "ADD RADIUS SERVER=10.0.0.9 SECRET=shared",
    ] {
        let outcome = pair.a.command(pair.now, line);
        assert_ne!(outcome.worst, Severity::Error, "{line}: {}", outcome.text);
    }
    let router = &mut pair.a.device;
    let parts: [&dyn std::fmt::Debug; 3] = [router.state(), router.plane(), router.endpoint()];
    let shown = format!("{parts:?}");
    let compared = format!("{parts:+?}");
    let secrets = shown.matches(" bytes)").count();
    assert!(secrets > 6, "{secrets}");
    assert!(!compared.contains(" bytes)"), "{compared}");
    assert!(shown.contains("Tally([") && !compared.contains("Tally("));
    // A counter alone moves, and a secret alone.
    let (state, counters) = (router.fingerprint(), router.fingerprint_of_counters());
    router.reset_isakmp_counters(None);
    assert_eq!(router.fingerprint(), state);
    assert_ne!(router.fingerprint_of_counters(), counters);
    router.state_mut().radius[0].secret = hw_offload::Secret::copy_of(b"SHARED");
    assert_ne!(router.fingerprint(), state);
}
