//! Alternating rounds, medians, and the table.

use std::time::{Duration, Instant};

/// Operations done, and the time that they took; preparations are not in it.
pub(crate) type Batch = (u32, Duration);

/// What a row is held against.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Nothing.
    None,
    /// Nothing; how many there are in a second is told.
    Rate,
    /// The peer's time over ours, at least.
    Ratio(f64),
    /// Nanoseconds, at most.
    Nanoseconds(f64),
    /// Nanoseconds beyond the peer's, at most.
    Beyond(f64),
}

/// Prints one row after the other.
pub(crate) struct Table {
    rounds: usize,
    /// How long one round of one side takes.
    round: Duration,
    words: Vec<String>,
}

impl Table {
    /// Reads `--quick` and words that row names must contain. What else cargo says is for others.
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Self {
        let (options, words): (Vec<_>, Vec<_>) = args.partition(|arg| arg.starts_with('-'));
        let quick = options.iter().any(|option| option == "--quick");
        println!(
            "{:<34}{:>12}{:>12}{:>9}  to reach",
            "per operation", "ours", "peer", "peer/our"
        );
        Self {
            rounds: if quick { 3 } else { 101 },
            round: Duration::from_millis(1),
            words,
        }
    }

    /// Whether a row of that name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.words.iter().all(|word| name.contains(word.as_str()))
    }

    /// A row without peer.
    pub(crate) fn alone(&mut self, name: &str, target: Target, mut ours: impl FnMut() -> Batch) {
        self.row(name, target, &mut ours, None);
    }

    /// A row with a peer.
    pub(crate) fn beside(
        &mut self,
        name: &str,
        target: Target,
        mut ours: impl FnMut() -> Batch,
        mut peer: impl FnMut() -> Batch,
    ) {
        self.row(name, target, &mut ours, Some(&mut peer));
    }

    /// A row of memory, and the most that it may be.
    pub(crate) fn bytes(&self, name: &str, bytes: i64, most: Option<i64>) {
        if !self.wants(name) {
            return;
        }
        let to_reach = most.map_or_else(String::new, |most| {
            let verdict = if bytes <= most { "ok" } else { "BELOW" };
            format!("{most} bytes {verdict}")
        });
        println!(
            "{name:<34}{:>12}{:>12}{:>9}  {to_reach}",
            format!("{bytes} B"),
            "-",
            "-"
        );
    }

    fn row(
        &mut self,
        name: &str,
        target: Target,
        ours: &mut dyn FnMut() -> Batch,
        mut peer: Option<&mut dyn FnMut() -> Batch>,
    ) {
        if !self.wants(name) {
            return;
        }
        let mut all = [const { Vec::new() }; 4];
        for _ in 0..self.rounds {
            let [own, other, ratio, beyond] = &mut all;
            own.push(self.round(ours));
            if let (Some(peer), Some(last)) = (&mut peer, own.last()) {
                let time = self.round(&mut **peer);
                other.push(time);
                ratio.push(time / last);
                beyond.push(last - time);
            }
        }
        let [own, other, ratio, beyond] = all.map(median);
        let dash = || "-".to_owned();
        let verdict = |reached| if reached { "ok" } else { "BELOW" };
        let to_reach = match target {
            Target::None => String::new(),
            Target::Rate => {
                own.map_or_else(String::new, |own| format!("{:.0} a second", 1e9 / own))
            }
            Target::Ratio(least) => ratio.map_or_else(String::new, |ratio| {
                format!("{least:.2}x {}", verdict(ratio >= least))
            }),
            Target::Nanoseconds(most) => own.map_or_else(String::new, |own| {
                format!("{most:.0} ns {}", verdict(own <= most))
            }),
            Target::Beyond(most) => beyond.map_or_else(String::new, |beyond| {
                format!("{beyond:.0} of {most:.0} ns {}", verdict(beyond <= most))
            }),
        };
        println!(
            "{name:<34}{:>12}{:>12}{:>9}  {to_reach}",
            own.map_or_else(dash, time),
            other.map_or_else(dash, time),
            ratio.map_or_else(dash, |ratio| format!("{ratio:.2}x")),
        );
    }

    /// Nanoseconds per operation, over as many batches as fill a round.
    fn round(&self, work: &mut dyn FnMut() -> Batch) -> f64 {
        let (mut operations, mut time) = (0, Duration::ZERO);
        while time < self.round {
            let (more, took) = work();
            operations += more;
            time += took;
        }
        time.as_secs_f64() * 1e9 / f64::from(operations)
    }
}

/// Times so many operations.
pub(crate) fn timed(operations: usize, work: impl FnOnce()) -> Batch {
    let start = Instant::now();
    work();
    let took = start.elapsed();
    (u32::try_from(operations).expect("a batch is small"), took)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds < 1e5 {
        format!("{nanoseconds:.1} ns")
    } else {
        format!("{:.1} us", nanoseconds / 1e3)
    }
}
