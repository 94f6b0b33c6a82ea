//! The states of SA bundles and SAs on their screens: looked at again and again while a tunnel
//! comes up and goes, with engines that take their time.

use std::collections::BTreeSet;

use core::time::Duration;
use hw_offload::testing::slow_engines;
use ipsec_core::Instant;
use lab::Side;
use sekisho_tests::{HOST_A, HOST_B, basic, command, pair_with};

/// The words of a column, from every row that begins with a number.
fn column<'a>(screen: &'a str, place: usize, seen: &mut BTreeSet<&'a str>) {
    for line in screen.lines() {
        let mut words = line.split_whitespace();
        if words.next().is_some_and(|word| word.parse::<u32>().is_ok()) {
            seen.extend(words.nth(place - 1));
        }
    }
}

#[test]
fn every_state_of_a_bundle_and_of_an_sa() {
    let (mut bundles, mut listed, mut sas) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 1..=8 {
        let engines = |side| slow_engines(seed * 2 + side as u64);
        let mut pair = pair_with(engines, &basic(), seed);
        pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
        pair.run_to(Instant::from_secs(1));
        for tick in 0..1500 {
            pair.run_to(pair.now + Duration::from_millis(1));
            if tick == 1400 {
                let now = pair.now;
                pair.a.command(now, "RESET IPSEC POLICY=vpn");
            }
            for (line, place, seen) in [
                ("SHOW IPSEC POLICY=vpn", 2, &mut bundles),
                ("SHOW IPSEC POLICY=vpn SABUNDLE", 2, &mut listed),
                ("SHOW IPSEC SA", 3, &mut sas),
            ] {
                let now = pair.now;
                let screen = pair.a.command(now, line).text;
                let mut words = BTreeSet::new();
                column(&screen, place, &mut words);
                seen.extend(words.into_iter().map(String::from));
            }
            let now = pair.now;
            let screen = pair.a.command(now, "SHOW IPSEC SA=0").text;
            let state = screen
                .lines()
                .find_map(|line| line.strip_prefix("  State ..."));
            sas.extend(state.map(|state| state.trim_matches(['.', ' ']).to_string()));
        }
        command(&mut pair, Side::A, "SHOW IPSEC");
    }
    let words = |set: &BTreeSet<String>| -> Vec<String> { set.iter().cloned().collect() };
    let known = ["CREATING", "INVALID", "REMOVING", "VALID"];
    assert_eq!(words(&bundles), known);
    assert_eq!(words(&listed), known);
    assert_eq!(words(&sas), ["Creating", "Removing", "Undef", "Valid"]);
}
