//! Time as an argument: microseconds on a clock that only the caller knows.

use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A point on the caller's monotonic clock, in microseconds since its zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's zero.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant that many microseconds after zero.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant that many seconds after zero.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since zero.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// Seconds since 1970-01-01 at [`Instant::ZERO`]; for log lines only, never for a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Seconds since the epoch at the zero of the monotonic clock.
    pub zero: u64,
}

impl WallClock {
    /// Seconds since the epoch at `now`.
    #[must_use]
    pub const fn seconds(self, now: Instant) -> u64 {
        self.zero.saturating_add(now.micros() / 1_000_000)
    }

    /// Day of the month, hour, minute, second (UTC) at `now`.
    #[must_use]
    pub fn day_and_time(self, now: Instant) -> (u8, u8, u8, u8) {
        let secs = self.seconds(now);
        let (days, rest) = (secs / 86_400, secs % 86_400);
        // Day of month from days since 1970 in the proleptic Gregorian calendar.
        let z = days + 719_468;
        let doe = z % 146_097;
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let small = |n: u64| u8::try_from(n).unwrap_or(0);
        (
            small(day),
            small(rest / 3_600),
            small(rest / 60 % 60),
            small(rest % 60),
        )
    }
}
