//! The responder's rekey extension (REKEY): for peers that neither say when they leave nor answer
//! questions, the life of an ISAKMP SA is extended minute by minute while its IPsec SAs are used.

use core::time::Duration;

use hw_offload::Ticket;
use ipsec_core::Instant;

/// The length of an extension, and the silence that ends it.
const MINUTE: Duration = Duration::from_secs(60);

/// The extension of one ISAKMP SA.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extension {
    until: Option<Instant>,
    checking: Option<Ticket>,
}

impl Extension {
    /// Until when the SA lives, once it has been extended.
    pub(crate) const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The data plane has been asked.
    pub(crate) const fn check(&mut self, ticket: Ticket) {
        self.checking = Some(ticket);
    }

    /// Whether the data plane's answer is awaited.
    pub(crate) const fn is_checking(&self) -> bool {
        self.checking.is_some()
    }

    pub(crate) fn waits_for(&self, ticket: Ticket) -> bool {
        self.checking == Some(ticket)
    }

    /// The data plane's answer: when packets last came. False if that is a minute ago, and all
    /// ends here.
    pub(crate) fn checked(&mut self, now: Instant, last: Option<Instant>) -> bool {
        self.checking = None;
        let used = last.is_some_and(|last| last + MINUTE > now);
        if used {
            self.until = Some(now + MINUTE);
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_minute_at_a_time_while_there_is_traffic() {
        let mut extension = Extension::default();
        extension.check(Ticket(1));
        assert!(extension.is_checking() && extension.waits_for(Ticket(1)));
        assert!(extension.checked(at(600), Some(at(541))));
        assert_eq!(extension.until(), Some(at(660)));
        assert!(!extension.checked(at(660), Some(at(600))));
        assert!(!extension.checked(at(660), None));
    }
}
