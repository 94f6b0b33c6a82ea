//! The anti-replay window (RFC 2401 appendix C, RFC 4303 §3.4.3).

/// Sequence numbers seen on an inbound SA: the highest and a bitmap of those before it.
///
/// [`ReplayWindow::precheck`] is asked before the ICV is verified and changes nothing;
/// [`ReplayWindow::accept`] tests and sets in one step afterwards.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// Window size in sequence numbers, or none while the check is off.
    size: Option<u16>,
    highest: u32,
    /// Bit n of the whole: `highest - n` was received.
    bits: [u64; 4],
}

impl ReplayWindow {
    /// The window sizes that can be configured.
    pub const SIZES: [u16; 4] = [32, 64, 128, 256];

    /// A fresh window of a size up to 256; none counts only.
    #[must_use]
    pub const fn new(size: Option<u16>) -> Self {
        Self {
            size,
            highest: 0,
            bits: [0; 4],
        }
    }

    /// The window size, or none while the check is off.
    #[must_use]
    pub const fn size(&self) -> Option<u16> {
        self.size
    }

    /// The highest sequence number received.
    #[must_use]
    pub const fn highest(&self) -> u32 {
        self.highest
    }

    /// Whether the last `n`-th sequence number (0 is the highest) was received.
    #[must_use]
    pub fn received(&self, n: u16) -> bool {
        self.bits
            .get(usize::from(n / 64))
            .is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Whether the number could still be accepted.
    #[must_use]
    pub fn precheck(&self, sequence: u32) -> bool {
        let Some(size) = self.size else { return true };
        if sequence == 0 {
            return false;
        }
        if sequence > self.highest {
            return true;
        }
        let behind = self.highest - sequence;
        behind < u32::from(size) && u16::try_from(behind).is_ok_and(|n| !self.received(n))
    }

    /// Takes the number of an authentic packet; false if it was seen or is too old.
    pub fn accept(&mut self, sequence: u32) -> bool {
        if !self.precheck(sequence) {
            return false;
        }
        if self.size.is_none() {
            self.highest = sequence;
            return true;
        }
        if sequence > self.highest {
            self.slide(sequence - self.highest);
            self.highest = sequence;
        }
        let behind = self.highest - sequence;
        if let Some(word) = self.bits.get_mut((behind / 64) as usize) {
            *word |= 1 << (behind % 64);
        }
        true
    }

    fn slide(&mut self, by: u32) {
        let (words, bits) = ((by / 64) as usize, by % 64);
        let old = self.bits;
        for (index, word) in self.bits.iter_mut().enumerate() {
            let low = index
                .checked_sub(words)
                .and_then(|i| old.get(i))
                .copied()
                .unwrap_or(0);
            let carry = index
                .checked_sub(words + 1)
                .and_then(|i| old.get(i))
                .copied()
                .unwrap_or(0);
            *word = low << bits | carry.checked_shr(64 - bits).unwrap_or(0);
        }
    }
}
