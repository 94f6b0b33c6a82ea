//! Where states put what they want done.

use alloc::collections::VecDeque;

use hw_offload::Ticket;

use crate::ask::{Action, Ask, Report};

/// The queue of actions and the source of tickets, as one exchange sees them.
///
/// A ticket carries the number of the exchange that waits for it, so that an answer finds its way
/// without a search.
pub(crate) struct Out<'a> {
    pub(crate) actions: &'a mut VecDeque<Action>,
    pub(crate) tickets: &'a mut Tickets,
    pub(crate) number: u32,
}

/// The source of tickets, and what exchanges see that is counted where the counters are.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    last: u32,
    /// Deciphered messages whose padding is not of zeros.
    pub(crate) odd_pads: u32,
    /// Deciphered messages whose padding is longer than any block.
    pub(crate) long_pads: u32,
}

impl Tickets {
    /// Looks at the padding of a deciphered message. Peers fill it with what they like, so that it
    /// is counted and no more.
    pub(crate) fn padded(&mut self, padding: &[u8]) {
        if padding.iter().any(|byte| *byte != 0) {
            self.odd_pads = self.odd_pads.saturating_add(1);
        }
        if padding.len() >= LONGEST_BLOCK {
            self.long_pads = self.long_pads.saturating_add(1);
        }
    }
}

/// The block of AES in bytes.
const LONGEST_BLOCK: usize = 16;

/// The exchange that waits for a ticket.
pub(crate) const fn waits_for(ticket: Ticket) -> u32 {
    (ticket.0 >> 32) as u32
}

impl Out<'_> {
    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.push(Action::Report(report));
    }

    /// Puts a question. Whoever asked keeps the ticket in the state that waits.
    pub(crate) fn ask(&mut self, ask: impl FnOnce(Ticket) -> Ask) -> Ticket {
        self.tickets.last = self.tickets.last.wrapping_add(1);
        let ticket = Ticket(u64::from(self.number) << 32 | u64::from(self.tickets.last));
        self.push(Action::Ask {
            ticket,
            ask: ask(ticket),
        });
        ticket
    }
}
