//! A table whose entries wait for points in time, with the earliest always at hand.
//!
//! Whoever changes an entry does not tell the table: an entry that was lent to be changed is
//! looked at again before the next question for what is due. So no change of state can lose a
//! timer, and neither asking nor answering walks the table.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use ipsec_core::{Id, Instant, Slab};

/// Something that waits for a point in time.
pub(crate) trait Due {
    /// When it wants to be looked at.
    fn due(&self) -> Option<Instant>;
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    scheduled: Option<Instant>,
    lent: bool,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Timed<T> {
    slab: Slab<Entry<T>>,
    agenda: BTreeSet<(Instant, Id)>,
    /// Entries that were lent since the agenda was last brought up to date.
    lent: Vec<Id>,
}

impl<T: Due> Timed<T> {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            slab: Slab::new(limit),
            agenda: BTreeSet::new(),
            lent: Vec::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slab.is_full()
    }

    pub(crate) fn insert(&mut self, value: T) -> Result<Id, T> {
        let entry = Entry {
            value,
            scheduled: None,
            lent: true,
        };
        let id = self.slab.insert(entry).map_err(|entry| entry.value)?;
        self.lent.push(id);
        Ok(id)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        self.slab.get(id).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let entry = self.slab.get_mut(id)?;
        if !core::mem::replace(&mut entry.lent, true) {
            self.lent.push(id);
        }
        Some(&mut entry.value)
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let entry = self.slab.remove(id)?;
        if let Some(at) = entry.scheduled {
            self.agenda.remove(&(at, id));
        }
        Some(entry.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.slab.iter().map(|(id, entry)| (id, &entry.value))
    }

    /// The earliest point in time that an entry waits for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let lent = self.lent.iter().filter_map(|id| self.get(*id)?.due());
        // The time of one that was lent may be another by now.
        let scheduled = self
            .agenda
            .iter()
            .find(|(_, id)| self.slab.get(*id).is_some_and(|entry| !entry.lent));
        lent.chain(scheduled.map(|(at, _)| *at)).min()
    }

    /// The entries that are due, by time.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        for id in self.lent.drain(..) {
            let Some(entry) = self.slab.get_mut(id) else {
                continue;
            };
            entry.lent = false;
            let due = entry.value.due();
            if let Some(at) = entry.scheduled {
                self.agenda.remove(&(at, id));
            }
            entry.scheduled = due;
            if let Some(at) = due {
                self.agenda.insert((at, id));
            }
        }
        self.agenda
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    use super::*;

    impl Due for Option<u64> {
        fn due(&self) -> Option<Instant> {
            self.map(Instant::from_secs)
        }
    }

    proptest! {
        /// Whatever is done to the entries, the table answers what a walk over all would.
        #[test]
        fn like_a_walk(steps in prop::collection::vec((0..4_u8, 0..8_usize, prop::option::of(0..9_u64)), 1..60)) {
            let mut table = Timed::new(16);
            let mut ids: Vec<Id> = Vec::new();
            for (step, place, due) in steps {
                match (step, ids.get(place).copied()) {
                    (0, _) => ids.extend(table.insert(due).ok()),
                    (1, Some(id)) => {
                        if let Some(value) = table.get_mut(id) {
                            *value = due;
                        }
                    }
                    (2, Some(id)) => {
                        table.remove(id);
                    }
                    _ => {
                        let now = Instant::from_secs(due.unwrap_or(0));
                        let mut found = table.take_due(now);
                        found.sort_unstable();
                        let mut walked: Vec<Id> = table.iter().filter(|(_, value)| value.due().is_some_and(|at| at <= now)).map(|(id, _)| id).collect();
                        walked.sort_unstable();
                        prop_assert_eq!(found, walked);
                    }
                }
                let earliest = table.iter().filter_map(|(_, value)| value.due()).min();
                prop_assert_eq!(table.deadline(), earliest);
            }
        }
    }
}
