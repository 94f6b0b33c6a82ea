//! Bytes that must not outlive their use nor appear in any output.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Secret bytes of any length, zeroed when dropped.
///
/// `Debug` prints the length only, comparison takes the same time wherever the bytes differ, and
/// a copy is made only by [`Secret::duplicate`], so that every copy is visible in the code.
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes over. The vector is first cut to its length, so that no spare capacity
    /// with an earlier copy stays behind.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let own = Self(Box::from(bytes.as_slice()));
        bytes.zeroize();
        own
    }

    /// Copies the bytes; the caller keeps the responsibility for the original.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(Box::from(bytes))
    }

    /// A second owner of the same bytes.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The bytes. Whoever calls this must not let them reach a log, a screen or an error.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "testing")]
        if crate::testing::tells_states_apart(f) {
            return write!(f, "Secret({:?})", crate::testing::of_secret(&self.0));
        }
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
