//! A network that loses, duplicates and reorders.

use core::time::Duration;
use std::thread;

use ipsec_core::Instant;
use sekisho_tests::{attempts, basic, failures, pair, ping_both};

/// What became of one seed.
struct Fate {
    seed: u64,
    up: Option<Duration>,
    attempts: usize,
    failures: Vec<String>,
    clear: u64,
}

fn run(seed: u64) -> Fate {
    let mut pair = pair(&basic(), seed);
    pair.weather.loss = 0.3;
    pair.weather.duplicate = 0.2;
    ping_both(&mut pair);
    let up = pair.run(Instant::from_secs(900));
    let last = pair.pings.iter().filter_map(|ping| ping.answered).max();
    Fate {
        seed,
        up: last.filter(|_| up).map(|at| at.since(Instant::ZERO)),
        attempts: attempts(&pair, 1),
        failures: failures(&pair),
        clear: pair.clear,
    }
}

#[test]
fn threat_f1_loss_and_duplication() {
    let halves = [1..=100, 101..=200];
    let workers = halves.map(|seeds| thread::spawn(move || seeds.map(run).collect::<Vec<_>>()));
    let fates: Vec<Fate> = workers
        .into_iter()
        .flat_map(|worker| worker.join().expect("no seed panics"))
        .collect();
    assert_eq!(fates.len(), 200);
    for fate in &fates {
        assert_eq!(fate.clear, 0, "seed {} sent in clear", fate.seed);
        assert!(
            fate.up.is_some(),
            "seed {} is not up: {:?}",
            fate.seed,
            fate.failures
        );
    }
    let again: Vec<_> = fates
        .iter()
        .filter(|fate| !fate.failures.is_empty())
        .collect();
    for fate in &again {
        println!(
            "{} {} {:?} {:?}",
            fate.seed, fate.attempts, fate.up, fate.failures
        );
    }
    let mut times: Vec<_> = fates.iter().filter_map(|fate| fate.up).collect();
    times.sort_unstable();
    println!(
        "p50 {:?} p95 {:?} p99 {:?} max {:?}, {} again",
        times[100],
        times[190],
        times[198],
        times[199],
        again.len()
    );
    assert!(
        again.len() <= 7,
        "{} seeds needed another attempt",
        again.len()
    );
}
