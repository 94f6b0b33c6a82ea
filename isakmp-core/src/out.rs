//! Where states put what they want done.

use alloc::collections::VecDeque;

use hw_offload::Ticket;

use crate::ask::{Action, Ask, Report};

/// The queue of actions and the source of tickets.
pub(crate) struct Out<'a> {
    pub(crate) actions: &'a mut VecDeque<Action>,
    pub(crate) tickets: &'a mut u64,
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
        *self.tickets += 1;
        let ticket = Ticket(*self.tickets);
        self.push(Action::Ask {
            ticket,
            ask: ask(ticket),
        });
        ticket
    }
}
