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
    pub(crate) tickets: &'a mut u32,
    pub(crate) number: u32,
}

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
        *self.tickets = self.tickets.wrapping_add(1);
        let ticket = Ticket(u64::from(self.number) << 32 | u64::from(*self.tickets));
        self.push(Action::Ask {
            ticket,
            ask: ask(ticket),
        });
        ticket
    }
}
