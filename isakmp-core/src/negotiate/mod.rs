//! What is offered, what is accepted, and the nearest miss when nothing is.

pub mod phase1;
pub mod phase2;

use alloc::vec::Vec;

use crate::reason::Mismatch;

/// Keeps the miss that came furthest before it failed: of many refused transforms the nearest
/// one is worth telling.
#[derive(Debug, Default)]
pub(crate) struct Nearest(Option<(u8, Mismatch)>);

impl Nearest {
    /// A transform failed after `agreed` attributes had matched.
    pub(crate) fn miss(&mut self, agreed: u8, mismatch: Mismatch) {
        if self.0.is_none_or(|(best, _)| agreed > best) {
            self.0 = Some((agreed, mismatch));
        }
    }

    pub(crate) fn take(self) -> Option<Mismatch> {
        self.0.map(|(_, mismatch)| mismatch)
    }
}

/// A life duration as a four-byte value.
pub(crate) fn four_bytes(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}
