//! Requests that wait for an ISAKMP SA or for their turn, by peer.
//!
//! Nobody walks the queues: whatever may let a peer's requests go on stirs that peer, and only
//! stirred peers are looked at.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::Instant;
use ipsec_core::model::Name;

use crate::ask::Acquire;

/// A request and when its turn comes at the earliest.
#[derive(Debug)]
struct Waiting {
    acquire: Acquire,
    not_before: Instant,
}

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Waits {
    queues: BTreeMap<IpAddr, Vec<Waiting>>,
    stirred: BTreeSet<IpAddr>,
    /// When a peer is stirred by itself.
    agenda: BTreeSet<(Instant, IpAddr)>,
}

impl Waits {
    pub(super) fn push(&mut self, acquire: Acquire, not_before: Instant) {
        let peer = acquire.peer;
        let queue = self.queues.entry(peer).or_default();
        queue.push(Waiting {
            acquire,
            not_before,
        });
        self.agenda.insert((not_before, peer));
        self.stirred.insert(peer);
    }

    /// Something changed that the requests for a peer may have waited for.
    pub(super) fn stir(&mut self, peer: IpAddr) {
        if self.queues.contains_key(&peer) {
            self.stirred.insert(peer);
        }
    }

    pub(super) fn stir_all(&mut self) {
        self.stirred.extend(self.queues.keys());
    }

    /// A peer to look at.
    pub(super) fn next_stirred(&mut self, now: Instant) -> Option<IpAddr> {
        while let Some((at, peer)) = self.agenda.first().copied()
            && at <= now
        {
            self.agenda.pop_first();
            self.stir(peer);
        }
        self.stirred.pop_first()
    }

    /// When there is a peer to look at.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.stirred.is_empty() {
            self.agenda.first().map(|(at, _)| *at)
        } else {
            Some(now)
        }
    }

    /// The first request for a peer, whether its turn has come or not.
    pub(super) fn first(&self, peer: IpAddr) -> Option<&Acquire> {
        let queue = self.queues.get(&peer)?;
        queue.first().map(|waiting| &waiting.acquire)
    }

    /// The first request for a peer whose turn has come.
    pub(super) fn due(&self, peer: IpAddr, now: Instant) -> Option<&Acquire> {
        let mut queue = self.queues.get(&peer)?.iter();
        let due = queue.find(|waiting| waiting.not_before <= now);
        due.map(|waiting| &waiting.acquire)
    }

    /// Takes the first request for a peer whose turn has come.
    pub(super) fn take(&mut self, peer: IpAddr, now: Instant) -> Option<Acquire> {
        let queue = self.queues.get_mut(&peer)?;
        let place = queue.iter().position(|waiting| waiting.not_before <= now)?;
        let taken = queue.remove(place).acquire;
        if queue.is_empty() {
            self.queues.remove(&peer);
        }
        Some(taken)
    }

    /// No request for a peer has its turn before that.
    pub(super) fn defer(&mut self, peer: IpAddr, until: Instant) {
        let queue = self.queues.get_mut(&peer);
        for waiting in queue.into_iter().flatten() {
            waiting.not_before = waiting.not_before.max(until);
            self.agenda.insert((waiting.not_before, peer));
        }
    }

    /// Keeps only some of the requests for a peer: the others have what they waited for.
    pub(super) fn retain(&mut self, peer: IpAddr, keep: impl Fn(&Acquire) -> bool) {
        let Some(queue) = self.queues.get_mut(&peer) else {
            return;
        };
        queue.retain(|waiting| keep(&waiting.acquire));
        if queue.is_empty() {
            self.queues.remove(&peer);
        }
    }

    /// Takes every request for a peer.
    pub(super) fn take_all(&mut self, peer: IpAddr) -> impl Iterator<Item = Acquire> {
        let queue = self.queues.remove(&peer).unwrap_or_default();
        queue.into_iter().map(|waiting| waiting.acquire)
    }

    pub(super) fn peers(&self) -> Vec<IpAddr> {
        self.queues.keys().copied().collect()
    }

    pub(super) fn len(&self, peer: IpAddr) -> usize {
        self.queues.get(&peer).map_or(0, Vec::len)
    }

    /// The requests of a policy for a peer.
    pub(super) fn of(&self, policy: &Name, peer: IpAddr) -> impl Iterator<Item = &Acquire> {
        let queue = self.queues.get(&peer).into_iter().flatten();
        let queue = queue.map(|waiting| &waiting.acquire);
        queue.filter(move |acquire| acquire.policy == *policy)
    }
}
