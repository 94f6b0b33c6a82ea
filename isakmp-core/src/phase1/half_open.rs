//! First messages of initiators that have proved nothing: a fixed table, so that no flood makes
//! it grow, costs an exponentiation or sets a timer.
//!
//! The table is set-associative: the place of an entry follows from a keyed hash of the
//! initiator's address, so that nobody can choose whom it displaces, all entries of one address
//! are found together, and a look-up reads [`WAYS`] entries however large the table is. In a full
//! set the oldest entry goes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use hw_offload::Digest;
use ipsec_core::Instant;

use super::{Extensions, Opening};
use crate::ask::Path;
use crate::keys::Cookies;
use crate::negotiate::phase1::Phase1;
use crate::wire::{Payload, PayloadType, Raw, SaBody};

/// Entries of one set.
const WAYS: usize = 8;
/// How long an initiator that has not proved its address is remembered.
pub(crate) const LIFE: Duration = Duration::from_secs(120);
/// Longer SA bodies than this take a place of their own, of which there are few.
const SHORT: usize = 256;

/// An initiator's SA body.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most entries are short, and none allocates"
)]
pub(crate) enum Body {
    /// In the entry itself.
    Short([u8; SHORT], u16),
    /// Elsewhere.
    Long(Box<[u8]>),
}

impl Body {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match (short.get_mut(..bytes.len()), u16::try_from(bytes.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(bytes);
                Self::Short(short, len)
            }
            _ => Self::Long(bytes.into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Long(bytes) => bytes,
        }
    }

    pub(crate) const fn is_long(&self) -> bool {
        matches!(self, Self::Long(_))
    }
}

/// Main mode after message 2, as the responder keeps it. Message 2 itself is made anew when it is
/// asked for again.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    pub(crate) cookies: Cookies,
    pub(crate) path: Path,
    /// The policy's place in the configuration.
    pub(crate) policy: u16,
    pub(crate) agreed: Phase1,
    pub(crate) extensions: Extensions,
    pub(crate) number: u32,
    pub(crate) began: Instant,
    /// Message 1's fingerprint.
    pub(crate) digest: Digest,
    /// How often message 2 was sent again.
    pub(crate) repeats: u16,
    /// Whether it was told that somebody sends what is no message 3.
    pub(crate) suspected: bool,
    pub(crate) body: Body,
}

// The figure that the capacity is planned with.
const _: () = assert!(size_of::<HalfOpen>() <= 512);

impl HalfOpen {
    /// The body of message 2's SA payload: the same choice from the same offer.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        let raw = Raw {
            kind: PayloadType::SA,
            body: self.body.as_bytes(),
            at: 0,
        };
        let Ok(Payload::Sa(offer)) = Payload::parse(raw) else {
            return None;
        };
        choose(&offer, self.agreed)
    }
}

fn choose(offer: &SaBody<'_>, agreed: Phase1) -> Option<Vec<u8>> {
    agreed.choose(offer).ok().map(|(_, answer)| answer)
}

/// What an entry is found by.
pub(crate) trait Entry {
    fn path(&self) -> Path;
    fn began(&self) -> Instant;
}

impl Entry for HalfOpen {
    fn path(&self) -> Path {
        self.path
    }

    fn began(&self) -> Instant {
        self.began
    }
}

impl Entry for Opening {
    fn path(&self) -> Path {
        self.path()
    }

    fn began(&self) -> Instant {
        self.began()
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct HalfOpens<T> {
    slots: Vec<Option<T>>,
    sets: u64,
    per_address: usize,
}

impl<T: Entry> HalfOpens<T> {
    /// A table of about `capacity` entries, of which an address gets `per_address` at most. All
    /// its memory is taken now.
    pub(crate) fn new(capacity: u16, per_address: u8) -> Self {
        let sets = usize::from(capacity).div_ceil(WAYS).max(1);
        Self {
            slots: (0..sets * WAYS).map(|_| None).collect(),
            sets: sets as u64,
            per_address: usize::from(per_address).clamp(1, WAYS),
        }
    }

    /// The set of an address, by its keyed hash.
    fn set(&mut self, hash: u64) -> &mut [Option<T>] {
        let start = usize::try_from(hash % self.sets).unwrap_or(0) * WAYS;
        self.slots.get_mut(start..start + WAYS).unwrap_or_default()
    }

    /// The living entry of an address that fits.
    pub(crate) fn find(
        &mut self,
        hash: u64,
        now: Instant,
        fits: impl Fn(&T) -> bool,
    ) -> Option<&mut Option<T>> {
        let alive = |entry: &T| entry.began() + LIFE > now && fits(entry);
        self.set(hash)
            .iter_mut()
            .find(|slot| slot.as_ref().is_some_and(alive))
    }

    /// Puts an entry into its place; true if another had to go for it.
    pub(crate) fn insert(&mut self, hash: u64, now: Instant, entry: T) -> bool {
        let (address, per_address) = (entry.path().peer.ip(), self.per_address);
        let set = self.set(hash);
        for slot in set.iter_mut() {
            slot.take_if(|old| old.began() + LIFE <= now);
        }
        let same = |old: &T| old.path().peer.ip() == address;
        let crowded = set.iter().flatten().filter(|old| same(old)).count() >= per_address;
        let free = set.iter_mut().find(|slot| slot.is_none());
        if let (Some(slot), false) = (free, crowded) {
            *slot = Some(entry);
            return false;
        }
        let victims = set
            .iter_mut()
            .filter(|slot| slot.as_ref().is_some_and(|old| !crowded || same(old)));
        let oldest = victims.min_by_key(|slot| slot.as_ref().map(Entry::began));
        if let Some(slot) = oldest {
            *slot = Some(entry);
        }
        true
    }

    /// Every living entry.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = &T> {
        let entries = self.slots.iter().flatten();
        entries.filter(move |entry| entry.began() + LIFE > now)
    }

    /// Drops the entries that fit.
    pub(crate) fn drop_if(&mut self, fits: impl Fn(&T) -> bool) {
        for slot in &mut self.slots {
            slot.take_if(|entry| fits(entry));
        }
    }
}

/// The living entry of an address that fits, in whichever of some tables it is.
pub(crate) fn find_in<T: Entry>(
    tables: &mut [HalfOpens<T>],
    hash: u64,
    now: Instant,
    fits: impl Fn(&T) -> bool,
) -> Option<&mut Option<T>> {
    let mut tables = tables.iter_mut();
    tables.find_map(|table| table.find(hash, now, &fits))
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;

    struct Known {
        from: SocketAddr,
        began: Instant,
    }

    impl Entry for Known {
        fn path(&self) -> Path {
            Path {
                local: SocketAddr::from(([2, 2, 2, 2], 500)),
                peer: self.from,
            }
        }

        fn began(&self) -> Instant {
            self.began
        }
    }

    fn entry(last: u8, port: u16, began: u64) -> Known {
        Known {
            from: SocketAddr::from(([1, 1, 1, last], port)),
            began: Instant::from_secs(began),
        }
    }

    /// The ports that are left of an address.
    fn left(table: &HalfOpens<Known>, last: u8, now: u64) -> Vec<u16> {
        let ip = entry(last, 0, 0).from.ip();
        let entries = table.iter(Instant::from_secs(now));
        let mut ports: Vec<u16> = entries
            .filter(|known| known.from.ip() == ip)
            .map(|known| known.from.port())
            .collect();
        ports.sort_unstable();
        ports
    }

    #[test]
    fn threat_b1_an_address_displaces_its_own_first() {
        let mut table = HalfOpens::new(8, 3);
        let now = Instant::from_secs(10);
        assert!(!table.insert(0, now, entry(9, 500, 0)));
        for port in 1..=3 {
            assert!(!table.insert(0, now, entry(1, port, port.into())));
        }
        assert!(table.insert(0, now, entry(1, 4, 4)), "the fourth");
        assert_eq!(left(&table, 1, 10), [2, 3, 4]);
        assert_eq!(left(&table, 9, 10), [500], "older, and another's");
        // A full set loses its oldest.
        for last in 2..=5 {
            assert!(!table.insert(0, now, entry(last, 500, 9)));
        }
        assert!(table.insert(0, now, entry(6, 500, 9)));
        assert_eq!(left(&table, 9, 10), [0; 0]);
    }

    #[test]
    fn threat_b1_who_says_nothing_more_is_forgotten() {
        let mut table = HalfOpens::new(8, 3);
        table.insert(0, Instant::ZERO, entry(1, 500, 0));
        let mut found = |now| table.find(0, Instant::from_secs(now), |_| true).is_some();
        assert!(found(119));
        assert!(!found(120));
    }
}
