//! A table whose entries are named by slot and generation, so that a late name finds nothing.

use alloc::vec::Vec;

/// A slot and how often it was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Place in the table.
    pub slot: u16,
    /// How often the place was given out before.
    pub generation: u16,
}

impl Id {
    /// Both in one number.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        (self.generation as u32) << 16 | self.slot as u32
    }

    /// The reverse of [`Id::to_u32`].
    #[must_use]
    pub const fn from_u32(number: u32) -> Self {
        Self {
            slot: (number & 0xffff) as u16,
            generation: (number >> 16) as u16,
        }
    }
}

/// Entries in slots; the lowest free slot is used first, as the screens number them.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<(u16, Option<T>)>,
    limit: u16,
}

impl<T> Slab<T> {
    /// A table of at most `limit` entries.
    #[must_use]
    pub const fn new(limit: u16) -> Self {
        Self {
            slots: Vec::new(),
            limit,
        }
    }

    /// Whether no entry can be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= usize::from(self.limit)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots
            .iter()
            .filter(|(_, entry)| entry.is_some())
            .count()
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
        let free = self.slots.iter().position(|(_, entry)| entry.is_none());
        let place = match free {
            Some(place) => place,
            None if self.slots.len() < usize::from(self.limit) => {
                self.slots.push((0, None));
                self.slots.len() - 1
            }
            None => return Err(entry),
        };
        match (u16::try_from(place), self.slots.get_mut(place)) {
            (Ok(slot), Some((generation, free))) => {
                *free = Some(entry);
                Ok(Id {
                    slot,
                    generation: *generation,
                })
            }
            _ => Err(entry),
        }
    }

    /// An entry.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&T> {
        match self.slots.get(usize::from(id.slot)) {
            Some((generation, Some(entry))) if *generation == id.generation => Some(entry),
            _ => None,
        }
    }

    /// An entry, to change it.
    #[must_use]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.slots.get_mut(usize::from(id.slot)) {
            Some((generation, Some(entry))) if *generation == id.generation => Some(entry),
            _ => None,
        }
    }

    /// Takes an entry out; its name is dead from then on.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        match self.slots.get_mut(usize::from(id.slot)) {
            Some((generation, entry)) if *generation == id.generation => {
                let entry = entry.take()?;
                *generation = generation.wrapping_add(1);
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
                entry.as_ref().map(|entry| {
                    (
                        Id {
                            slot,
                            generation: *generation,
                        },
                        entry,
                    )
                })
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
}
