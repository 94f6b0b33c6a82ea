//! A table whose entries are named by slot and generation, so that a late name finds nothing.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// A slot and how often it was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Place in the table.
    pub slot: u32,
    /// How often the place was given out before.
    pub generation: u32,
}

impl Id {
    /// Both in one number.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The reverse of [`Id::to_u64`].
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self {
            slot: (number & 0xffff_ffff) as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// Entries in slots; the lowest free slot is used first, as the screens number them.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    /// Slots that were used and are free again.
    free: BinaryHeap<Reverse<u32>>,
    limit: u32,
}

impl<T> Slab<T> {
    /// The most entries of any table: a slot leaves one bit of 32 to its users.
    pub const MAX: u32 = u32::MAX >> 1;

    /// A table of at most `limit` entries, and never more than [`Slab::MAX`]; it grows as it is
    /// filled.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: BinaryHeap::new(),
            limit: if limit < Self::MAX { limit } else { Self::MAX },
        }
    }

    /// A table that has the memory for all its entries from the beginning.
    #[must_use]
    pub fn reserved(limit: u32) -> Self {
        let room = usize::try_from(limit).unwrap_or(0);
        Self {
            slots: Vec::with_capacity(room),
            free: BinaryHeap::with_capacity(room),
            ..Self::new(limit)
        }
    }

    /// Whether no entry can be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.next_slot().is_none()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry; hands it back when the table is full.
    ///
    /// # Errors
    /// The entry.
    pub fn insert(&mut self, entry: T) -> Result<Id, T> {
        let slot = match (self.free.pop(), self.next_slot()) {
            (Some(Reverse(slot)), _) => slot,
            (None, Some(slot)) => {
                self.slots.push((0, None));
                slot
            }
            (None, None) => return Err(entry),
        };
        match self.slots.get_mut(slot as usize) {
            Some((generation, place)) => {
                *place = Some(entry);
                Ok(Id {
                    slot,
                    generation: *generation,
                })
            }
            None => Err(entry),
        }
    }

    /// An entry.
    #[must_use]
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        match self.slots.get(id.slot as usize) {
            Some((generation, Some(entry))) if *generation == id.generation => Some(entry),
            _ => None,
        }
    }

    /// An entry, to change it.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.slots.get_mut(id.slot as usize) {
            Some((generation, Some(entry))) if *generation == id.generation => Some(entry),
            _ => None,
        }
    }

    /// The entry in a slot, whatever its generation.
    #[must_use]
    pub fn in_slot(&self, slot: u32) -> Option<(Id, &T)> {
        let (generation, entry) = self.slots.get(slot as usize)?;
        let id = Id {
            slot,
            generation: *generation,
        };
        Some((id, entry.as_ref()?))
    }

    /// Takes an entry out; its name is dead from then on.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        match self.slots.get_mut(id.slot as usize) {
            Some((generation, entry)) if *generation == id.generation => {
                let entry = entry.take()?;
                *generation = generation.wrapping_add(1);
                self.free.push(Reverse(id.slot));
                Some(entry)
            }
            _ => None,
        }
    }

    /// Every entry, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(slot, (generation, entry))| {
                let generation = *generation;
                entry.as_ref().map(|entry| (Id { slot, generation }, entry))
            })
    }

    /// Every entry, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut T)> {
        (0..)
            .zip(&mut self.slots)
            .filter_map(|(slot, (generation, entry))| {
                let generation = *generation;
                entry.as_mut().map(|entry| (Id { slot, generation }, entry))
            })
    }

    fn next_slot(&self) -> Option<u32> {
        let slot = u32::try_from(self.slots.len()).ok()?;
        (slot < self.limit).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        /// Lowest free slot first, dead names find nothing, and the length is the number of
        /// entries.
        #[test]
        fn like_a_map(ops in proptest::collection::vec((any::<bool>(), 0_u32..6), 1..200)) {
            let mut slab = Slab::new(4);
            let mut model: BTreeMap<u32, (Id, usize)> = BTreeMap::new();
            let mut dead = Vec::new();
            for (step, (insert, slot)) in ops.into_iter().enumerate() {
                if insert {
                    let lowest = (0..4).find(|slot| !model.contains_key(slot));
                    match slab.insert(step) {
                        Ok(id) => {
                            prop_assert_eq!(Some(id.slot), lowest);
                            prop_assert!(!dead.contains(&id));
                            model.insert(id.slot, (id, step));
                        }
                        Err(_) => prop_assert_eq!(lowest, None),
                    }
                } else if let Some((id, value)) = model.remove(&slot) {
                    prop_assert_eq!(slab.remove(id), Some(value));
                    dead.push(id);
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert_eq!(slab.is_full(), model.len() == 4);
                prop_assert!(dead.iter().all(|id| slab.get(*id).is_none()));
                let all: Vec<_> = slab.iter().map(|(id, value)| (id, *value)).collect();
                prop_assert_eq!(all, model.values().copied().collect::<Vec<_>>());
            }
        }
    }
}
