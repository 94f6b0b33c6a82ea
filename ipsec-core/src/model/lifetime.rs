//! How long an SA lives, and when it is renewed.

use core::time::Duration;

/// Which side began an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We began it.
    Initiator,
    /// The peer began it.
    Responder,
}

impl Role {
    /// The role of the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// Hard limits of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Seconds until it is deleted.
    pub seconds: u32,
    /// Kilobytes (of 1024 bytes) until it is deleted; none is no limit.
    pub kbytes: Option<u32>,
}

impl Lifetime {
    /// The life of an IPsec SA when nobody says otherwise (RFC 2407 §4.5).
    pub const DEFAULT_SECONDS: u32 = 28_800;
    /// The most by which a soft limit comes early, so that many SAs do not expire at once.
    pub const JITTER_SECONDS: u32 = 15;

    /// The shorter of two lives, limit by limit.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.min(other.seconds),
            kbytes: match (self.kbytes, other.kbytes) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    /// The hard limit in time.
    #[must_use]
    pub const fn hard(self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// Seconds after which the SA is renewed: seven eighths of the hard limit for the initiator,
    /// so that it acts first, 95 % for the responder, less `jitter` (0 to 15 s), and never less
    /// than half.
    #[must_use]
    pub fn soft_seconds(self, role: Role, jitter: u32) -> u32 {
        let hard = u64::from(self.seconds);
        let soft = Self::soft_share(hard, role)
            .saturating_sub(u64::from(jitter.min(Self::JITTER_SECONDS)))
            .max(hard / 2);
        u32::try_from(soft).unwrap_or(self.seconds)
    }

    /// The hard limit in bytes.
    #[must_use]
    pub fn hard_bytes(self) -> Option<u64> {
        self.kbytes.map(|kbytes| u64::from(kbytes) * 1024)
    }

    /// Bytes after which the SA is renewed.
    #[must_use]
    pub fn soft_bytes(self, role: Role) -> Option<u64> {
        self.hard_bytes().map(|hard| Self::soft_share(hard, role))
    }

    /// The part of a hard limit, below 2^54, after which a side renews.
    const fn soft_share(hard: u64, role: Role) -> u64 {
        match role {
            Role::Initiator => hard * 875 / 1000,
            Role::Responder => hard * 950 / 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_limit_is_its_share_of_the_hard_one_to_the_byte() {
        let life = |kbytes| Lifetime {
            seconds: 86_400,
            kbytes: Some(kbytes),
        };
        for (kbytes, initiator, responder) in [
            (1, 896, 972),
            (1000, 896_000, 972_800),
            (4_193_280, 3_757_178_880, 4_079_222_784),
        ] {
            let soft = |role| life(kbytes).soft_bytes(role);
            assert_eq!(soft(Role::Initiator), Some(initiator));
            assert_eq!(soft(Role::Responder), Some(responder));
        }
        assert_eq!(life(1).soft_seconds(Role::Initiator, 0), 75_600);
        assert_eq!(life(1).soft_seconds(Role::Responder, 15), 82_065);
    }
}
