//! A token bucket: so many a second, and as many at once.

use ipsec_core::Instant;

/// The bucket. It counts in microseconds of waiting, so that nothing is lost to rounding.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Microseconds that one token takes.
    each: u64,
    /// Until when the tokens are spent; behind now they are full.
    spent_until: u64,
}

impl Bucket {
    pub(super) fn new(per_second: u16) -> Self {
        Self {
            each: 1_000_000 / u64::from(per_second.max(1)),
            spent_until: 0,
        }
    }

    /// Takes so many tokens if they are there.
    pub(super) fn take(&mut self, now: Instant, tokens: u8) -> bool {
        let now = now.micros();
        let after = self.spent_until.max(now) + self.each * u64::from(tokens);
        let fits = after <= now.saturating_add(1_000_000);
        if fits {
            self.spent_until = after;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_as_many_as_it_may() {
        let mut bucket = Bucket::new(100);
        let taken = |bucket: &mut Bucket, at: u64| {
            (0..1000)
                .filter(|_| bucket.take(Instant::from_micros(at), 1))
                .count()
        };
        assert_eq!(taken(&mut bucket, 0), 100);
        assert_eq!(taken(&mut bucket, 500_000), 50);
        assert_eq!(taken(&mut bucket, 500_001), 0);
        assert_eq!(taken(&mut bucket, 9_000_000), 100);
        let ten = (0..10).filter(|_| bucket.take(Instant::from_secs(20), 20));
        assert_eq!(ten.count(), 5);
    }
}
