//! Packets that wait for an SA: a bounded queue per policy, and the policies whose wait is over.

use alloc::collections::{BTreeMap, VecDeque};

use crate::net::InterfaceId;
use crate::reason::DropReason;
use crate::spd::PolicyId;

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Waiting<B> {
    pub(super) on: InterfaceId,
    pub(super) packet: B,
}

/// What became of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing yet.
    Keep,
    /// There is a bundle.
    Release,
    /// There will be none.
    Discard(DropReason),
}

#[derive(Debug)]
struct Queue<B> {
    packets: VecDeque<Waiting<B>>,
    fate: Fate,
}

/// The queues of all policies.
#[derive(Debug)]
pub(super) struct Hold<B> {
    queues: BTreeMap<PolicyId, Queue<B>>,
    /// Policies whose packets need not wait any longer.
    ready: VecDeque<PolicyId>,
    held: u32,
    limit: u32,
}

impl<B> Hold<B> {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            queues: BTreeMap::new(),
            ready: VecDeque::new(),
            held: 0,
            limit,
        }
    }

    /// Lets a packet wait behind those of its policy; handed back where there is no room in all.
    pub(super) fn push(&mut self, policy: PolicyId, waiting: Waiting<B>) -> Result<(), B> {
        if self.held >= self.limit {
            return Err(waiting.packet);
        }
        self.held += 1;
        let queue = self.queues.entry(policy).or_insert_with(|| Queue {
            packets: VecDeque::new(),
            fate: Fate::Keep,
        });
        queue.packets.push_back(waiting);
        Ok(())
    }

    /// Ends the wait of a policy's packets.
    pub(super) fn settle(&mut self, policy: PolicyId, fate: Fate) {
        let Some(queue) = self.queues.get_mut(&policy) else {
            return;
        };
        if queue.fate == Fate::Keep && fate != Fate::Keep {
            self.ready.push_back(policy);
        }
        queue.fate = fate;
    }

    /// Whether packets of a policy wait and nothing is settled.
    pub(super) fn waits(&self, policy: PolicyId) -> bool {
        let queue = self.queues.get(&policy);
        queue.is_some_and(|queue| queue.fate == Fate::Keep)
    }

    /// Whether a packet need not wait any longer.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The interface that the next packet which need not wait any longer leaves by.
    pub(super) fn next_on(&self) -> Option<InterfaceId> {
        let queues = self.ready.iter().filter_map(|id| self.queues.get(id));
        let mut settled = queues.filter(|queue| queue.fate != Fate::Keep);
        let next = settled.find_map(|queue| queue.packets.front())?;
        Some(next.on)
    }

    /// The next packet that need not wait any longer.
    pub(super) fn pop(&mut self) -> Option<(PolicyId, Fate, Waiting<B>)> {
        while let Some(id) = self.ready.front().copied() {
            let queue = self.queues.get_mut(&id);
            let fate = queue.as_ref().map_or(Fate::Keep, |queue| queue.fate);
            let waiting = queue
                .filter(|_| fate != Fate::Keep)
                .and_then(|queue| queue.packets.pop_front());
            if let Some(waiting) = waiting {
                self.held -= 1;
                let empty = |queue: &Queue<B>| queue.packets.is_empty();
                if self.queues.get(&id).is_some_and(empty) {
                    self.queues.remove(&id);
                    self.ready.pop_front();
                }
                return Some((id, fate, waiting));
            }
            self.ready.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Id;

    #[test]
    fn packets_leave_in_order_when_their_policy_is_settled() {
        let policy = |slot| {
            PolicyId(Id {
                slot,
                generation: 0,
            })
        };
        let on = InterfaceId(0);
        let mut hold = Hold::new(5);
        for (slot, packet) in [(0, 'a'), (1, 'b'), (0, 'c'), (1, 'd'), (2, 'e')] {
            hold.push(policy(slot), Waiting { on, packet }).unwrap();
        }
        assert_eq!(hold.push(policy(3), Waiting { on, packet: 'f' }), Err('f'));
        assert!(!hold.is_ready());
        assert!(hold.pop().is_none());
        hold.settle(policy(1), Fate::Release);
        hold.settle(policy(1), Fate::Release);
        hold.settle(policy(0), Fate::Discard(DropReason::NoBundle));
        hold.settle(policy(7), Fate::Release);
        let mut order = Vec::new();
        while let Some((_, fate, waiting)) = hold.pop() {
            order.push((waiting.packet, fate == Fate::Release));
        }
        assert_eq!(
            order,
            [('b', true), ('d', true), ('a', false), ('c', false)]
        );
        assert!(!hold.is_ready());
        hold.push(policy(1), Waiting { on, packet: 'g' }).unwrap();
        assert!(hold.pop().is_none(), "a new wait begins anew");
    }

    extern crate std;
    use std::vec::Vec;
}
