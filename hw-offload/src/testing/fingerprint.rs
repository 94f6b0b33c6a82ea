//! One number for a state: two that are equal moved nothing in between.
//!
//! What a number is made of is what `Debug` prints. That is derived, so that no field can be
//! forgotten: one that is new counts, and one of a type without `Debug` does not compile. Only the
//! types that `Debug` redacts, or that are no state, have a say of their own. They are asked by
//! `{:+?}`, a form that nothing else uses.

use core::fmt::{self, Debug, Write};

/// FNV-1a of 64 bits: it has to tell changes apart, not to withstand anybody.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Adds a state: secrets count as much as everything else, counters not at all.
    pub fn add(&mut self, value: &dyn Debug) {
        // A sum takes whatever is written.
        let _ = write!(self, "{value:+?};");
    }

    /// Adds what `Debug` prints: counters too, of secrets the length only.
    pub fn add_shown(&mut self, value: &dyn Debug) {
        let _ = write!(self, "{value:?};");
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// Whether a `Debug` implementation is asked for what tells states apart.
#[must_use]
pub fn tells_states_apart(f: &fmt::Formatter<'_>) -> bool {
    f.sign_plus()
}

/// What stands for secret bytes there.
pub(crate) fn of_secret(bytes: &[u8]) -> impl Debug {
    let mut sum = Fingerprint::default();
    sum.bytes(bytes);
    sum.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, Secret};
    use alloc::vec::Vec;

    fn number(value: &dyn Debug) -> u64 {
        let mut sum = Fingerprint::default();
        sum.add(value);
        sum.number()
    }

    #[test]
    fn secrets_of_one_length_are_told_apart_wherever_they_stand() {
        let secrets = [[1; 4], [2; 4]].map(|bytes| Secret::copy_of(&bytes));
        let digests = [[1; 16], [2; 16]].map(|bytes| Digest::new(&bytes));
        let [one, other] = &secrets;
        assert_ne!(number(one), number(other));
        assert_ne!(number(&Some((1, one))), number(&Some((1, other))));
        let [one, other] = &digests;
        assert_ne!(number(&Vec::from([one])), number(&Vec::from([other])));
        assert_eq!(number(&secrets), number(&secrets));
    }

    #[test]
    fn what_is_shown_tells_no_secret() {
        let [one, other] = [[1; 4], [2; 4]].map(|bytes| Secret::copy_of(&bytes));
        let shown = |value: &dyn Debug| {
            let mut sum = Fingerprint::default();
            sum.add_shown(value);
            sum.number()
        };
        assert_eq!(shown(&one), shown(&other));
        assert_eq!(alloc::format!("{one:?}"), "Secret(4 bytes)");
        assert!(!alloc::format!("{one:+?}").contains("1, 1"));
    }
}
