//! A router's own clock.

use std::time::Duration;

use ipsec_core::Instant;

/// How a router's clock goes beside that of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// What it shows at the simulator's start.
    pub ahead: Duration,
    /// By how many millionths it is too fast.
    pub ppm: u32,
}

impl Clock {
    const MILLION: u128 = 1_000_000;

    /// What it shows at a time of the simulator.
    #[must_use]
    pub fn local(self, now: Instant) -> Instant {
        let rate = Self::MILLION + u128::from(self.ppm);
        micros(u128::from(now.micros()) * rate / Self::MILLION) + self.ahead
    }

    /// The first time of the simulator at which it shows as much.
    #[must_use]
    pub fn global(self, local: Instant) -> Instant {
        let rate = Self::MILLION + u128::from(self.ppm);
        let since = local.since(Instant::ZERO + self.ahead).as_micros();
        micros((since * Self::MILLION).div_ceil(rate))
    }
}

fn micros(value: u128) -> Instant {
    Instant::from_micros(u64::try_from(value).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_met_and_not_before() {
        for ppm in [0, 1, 10_000, 333_333] {
            let ahead = Duration::from_secs(5);
            let clock = Clock { ahead, ppm };
            for micros in [0, 1, 2, 3, 999_999, 1_000_000, 86_400_000_001] {
                let due = Instant::from_micros(micros) + ahead;
                let at = clock.global(due);
                assert!(clock.local(at) >= due, "{ppm} {micros}");
                let before = at.micros().checked_sub(1).map(Instant::from_micros);
                assert!(before.is_none_or(|before| clock.local(before) < due));
            }
        }
        assert_eq!(
            Clock::default().local(Instant::from_secs(7)),
            Instant::from_secs(7)
        );
    }
}
