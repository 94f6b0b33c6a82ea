//! The software public-key engine: resumable modular exponentiation.

use alloc::collections::VecDeque;

use crate::modexp::{Power, acceptable};
use crate::packet::{Idle, Refused, RefusedWhy, Ticket};
use crate::public::{PublicDone, PublicEngine, PublicFault, PublicJob, PublicValue};

/// Works off one job after the other, a budget of exponent windows at a time.
pub struct SoftPublic {
    queue: VecDeque<PublicJob>,
    depth: usize,
    current: Option<Running>,
}

struct Running {
    ticket: Ticket,
    shared: bool,
    power: Power,
}

impl SoftPublic {
    /// An engine that holds at most `depth` jobs besides the one it works on.
    #[must_use]
    pub fn new(depth: usize) -> Self {
        Self {
            queue: VecDeque::with_capacity(depth),
            depth,
            current: None,
        }
    }
}

/// Checks the job's values and sets the exponentiation up.
fn start(job: PublicJob) -> Result<Running, PublicDone> {
    let ticket = job.ticket();
    let (group, exponent, peer, shared) = match job {
        PublicJob::DhPublic {
            group, exponent, ..
        } => (group, exponent, None, false),
        PublicJob::DhShared {
            group,
            exponent,
            peer,
            ..
        } => (group, exponent, Some(peer), true),
    };
    let fault = if exponent.is_empty() || exponent.len() > group.len() {
        Some(PublicFault::BadExponent)
    } else if peer.as_ref().is_some_and(|value| !acceptable(group, value)) {
        Some(PublicFault::BadPeerValue)
    } else {
        None
    };
    match fault {
        Some(fault) => Err(PublicDone {
            ticket,
            result: Err(fault),
        }),
        None => Ok(Running {
            ticket,
            shared,
            power: Power::new(group, peer.as_deref(), exponent),
        }),
    }
}

impl PublicEngine for SoftPublic {
    fn submit(&mut self, job: PublicJob) -> Result<(), Refused<PublicJob>> {
        if self.queue.len() >= self.depth {
            return Err(Refused {
                job,
                why: RefusedWhy::Full,
            });
        }
        self.queue.push_back(job);
        Ok(())
    }

    fn poll(&mut self, budget: u32) -> Option<PublicDone> {
        let mut left = budget;
        let mut running = match self.current.take() {
            Some(running) => running,
            None => match start(self.queue.pop_front()?) {
                Ok(running) => running,
                Err(done) => return Some(done),
            },
        };
        let Some(value) = running.power.step(&mut left) else {
            self.current = Some(running);
            return None;
        };
        let value = if running.shared {
            PublicValue::Shared(value)
        } else {
            PublicValue::Public(value.expose().to_vec())
        };
        Some(PublicDone {
            ticket: running.ticket,
            result: Ok(value),
        })
    }

    fn pending(&self) -> Idle {
        if self.current.is_none() && self.queue.is_empty() {
            Idle::Idle
        } else {
            Idle::PollNow
        }
    }
}
