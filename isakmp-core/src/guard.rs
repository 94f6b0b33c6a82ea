//! The delays that make guessing of passwords slow, across all SAs: one second, then two, then
//! four, for each name and address.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_core::Instant;

/// Names and addresses that are remembered; the oldest is forgotten first.
const ENTRIES: usize = 256;
/// How long after the last failure one is remembered.
const LIFE: Duration = Duration::from_secs(600);
/// The delay after this many failures is the longest.
const MOST: u32 = 6;

#[derive(Debug)]
struct Entry {
    user: Vec<u8>,
    address: IpAddr,
    failures: u32,
    not_before: Instant,
}

/// Failures that are not forgotten yet, the one that failed last at the end.
#[derive(Debug, Default)]
pub(crate) struct Guard(VecDeque<Entry>);

impl Guard {
    /// When the next attempt of a user at an address is looked at, if that is not now.
    pub(crate) fn not_before(&self, now: Instant, user: &[u8], address: IpAddr) -> Option<Instant> {
        self.0
            .iter()
            .find(|entry| entry.address == address && entry.user == user)
            .map(|entry| entry.not_before)
            .filter(|at| *at > now)
    }

    /// An attempt failed; returns when its outcome is told.
    pub(crate) fn failed(&mut self, now: Instant, user: &[u8], address: IpAddr) -> Instant {
        self.0.retain(|entry| entry.not_before + LIFE > now);
        let same = |entry: &Entry| entry.address == address && entry.user == user;
        let place = self.0.iter().position(same);
        let failures = place
            .and_then(|place| self.0.remove(place))
            .map_or(0, |entry| entry.failures);
        if self.0.len() >= ENTRIES {
            self.0.pop_front();
        }
        let not_before = now + Duration::from_secs(1 << failures.min(MOST));
        self.0.push_back(Entry {
            user: user.to_vec(),
            address,
            failures: failures.saturating_add(1),
            not_before,
        });
        not_before
    }

    /// An attempt succeeded: what failed before is forgotten.
    pub(crate) fn passed(&mut self, user: &[u8], address: IpAddr) {
        self.0
            .retain(|entry| entry.address != address || entry.user != user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(1, 1, 1, 1));
    const THERE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(2, 2, 2, 2));

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn threat_c9_each_failure_doubles_the_delay() {
        let mut guard = Guard::default();
        let mut now = at(0);
        for delay in [1, 2, 4, 8, 16, 32, 64, 64] {
            let until = guard.failed(now, b"joger", HERE);
            assert_eq!(until.since(now), Duration::from_secs(delay));
            assert_eq!(guard.not_before(now, b"joger", HERE), Some(until));
            assert_eq!(guard.not_before(now, b"joger", THERE), None);
            assert_eq!(guard.not_before(now, b"other", HERE), None);
            now = until;
            assert_eq!(guard.not_before(now, b"joger", HERE), None);
        }
        guard.passed(b"joger", HERE);
        assert_eq!(
            guard.failed(now, b"joger", HERE).since(now),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn it_is_bounded_and_forgets() {
        let mut guard = Guard::default();
        for user in 0..1000_u32 {
            guard.failed(at(0), &user.to_be_bytes(), HERE);
        }
        assert_eq!(guard.0.len(), ENTRIES);
        guard.failed(at(1000), b"joger", HERE);
        assert_eq!(guard.0.len(), 1);
    }
}
