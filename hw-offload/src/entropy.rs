//! Randomness is an argument: whoever drives the machines brings the source.

/// The source failed; nothing that needs randomness may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct EntropyFault;

/// A cryptographically strong source of random bytes.
pub trait Entropy {
    /// Fills `out` completely.
    ///
    /// # Errors
    /// [`EntropyFault`] when the source cannot answer; `out` must then not be used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault>;
}

impl<T: Entropy + ?Sized> Entropy for &mut T {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        (**self).fill(out)
    }
}
