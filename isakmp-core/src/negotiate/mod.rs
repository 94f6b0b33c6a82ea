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
    /// A proposal failed, or one of its transforms (0 for the proposal as a whole), after `agreed`
    /// attributes had matched.
    pub(crate) fn miss(&mut self, agreed: u8, of: (u8, u8), mismatch: Mismatch) {
        if self.0.is_none_or(|(best, _)| agreed > best) {
            let proposal = Some(of);
            self.0 = Some((
                agreed,
                Mismatch {
                    proposal,
                    ..mismatch
                },
            ));
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
