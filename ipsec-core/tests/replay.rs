//! The replay window against a set that remembers everything.

use std::collections::BTreeSet;

use hw_offload::testing::SeededEntropy;
use ipsec_core::ReplayWindow;

/// The rule of RFC 2401 appendix C in words: not zero, not left of the window, not seen.
#[derive(Default)]
struct Oracle {
    seen: BTreeSet<u32>,
    highest: u32,
}

impl Oracle {
    fn accepts(&self, size: u32, sequence: u32) -> bool {
        let inside = u64::from(sequence) + u64::from(size) > u64::from(self.highest);
        sequence != 0 && inside && !self.seen.contains(&sequence)
    }

    fn take(&mut self, size: u32, sequence: u32) {
        self.highest = self.highest.max(sequence);
        self.seen.insert(sequence);
        while let Some(first) = self.seen.first().copied()
            && u64::from(first) + u64::from(size) <= u64::from(self.highest)
        {
            self.seen.pop_first();
        }
    }
}

/// Ten million sequence numbers per window size: near the edges of the window, far ahead, far
/// behind, and around 2^31 and the end.
#[test]
fn threat_d1_replay_window_equals_a_set() {
    for size in ReplayWindow::SIZES {
        let mut random = SeededEntropy::new(u64::from(size));
        let mut window = ReplayWindow::new(Some(size));
        let mut oracle = Oracle::default();
        let width = u64::from(size);
        let (mut accepted, mut refused) = (0_u32, 0_u32);
        for step in 0..10_000_000_u32 {
            if step % 1_000_000 == 0 {
                window = ReplayWindow::new(Some(size));
                oracle = Oracle::default();
            }
            let highest = u64::from(oracle.highest);
            let sequence = match random.below(32) {
                0 => random.below(3),
                1 => highest.saturating_sub(width),
                2 => highest.saturating_sub(width - 1),
                3 => highest,
                4 => highest + random.below(2 * width),
                5 if step % 1_000_000 > 900_000 => u64::from(u32::MAX) - random.below(3 * width),
                5 if step % 1_000_000 > 500_000 => (1 << 31) + random.below(3 * width),
                6..16 => highest + 1,
                _ => highest.saturating_sub(random.below(width + 2)),
            };
            let sequence = u32::try_from(sequence).unwrap_or(u32::MAX);
            let expected = oracle.accepts(u32::from(size), sequence);
            assert_eq!(window.precheck(sequence), expected, "{size}: {sequence}");
            assert_eq!(window.accept(sequence), expected);
            if expected {
                oracle.take(u32::from(size), sequence);
                accepted += 1;
            } else {
                refused += 1;
            }
            assert_eq!(window.highest(), oracle.highest);
        }
        assert!(accepted > 1_000_000 && refused > 1_000_000);
        for n in 0..size {
            let sequence = oracle.highest.checked_sub(n.into());
            let known = sequence.is_some_and(|sequence| oracle.seen.contains(&sequence));
            assert_eq!(window.received(n), known);
        }
    }
}

/// Without a window everything passes, and the last number is still shown.
#[test]
fn without_a_window_everything_passes() {
    let mut window = ReplayWindow::new(None);
    for sequence in [0, 5, 5, 1, u32::MAX, 0] {
        assert!(window.accept(sequence));
        assert_eq!(window.highest(), sequence);
    }
}
