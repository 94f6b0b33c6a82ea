//! The software packet engine.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::buffer::PacketBuf;
use crate::channel::Keyed;
use crate::packet::{
    ChannelId, ChannelSpec, Completion, Idle, JobFault, OpenFault, PacketDone, PacketEngine,
    PacketJob, Refused, RefusedWhy, Ticket,
};

/// Runs packets one after the other in the order of submission.
///
/// All storage is taken at construction; a packet costs no allocation.
pub struct SoftEngine<B> {
    slots: Vec<Slot>,
    limit: u16,
    queue: VecDeque<PacketJob<B>>,
    depth: usize,
    done: VecDeque<PacketDone<B>>,
    control: VecDeque<Completion<B>>,
    closing: Vec<ChannelId>,
    key_schedule: KeySchedule,
}

/// What makes a keyed context of a specification.
type KeySchedule = fn(&ChannelSpec) -> Result<Keyed, OpenFault>;

struct Slot {
    generation: u16,
    state: SlotState,
}

enum SlotState {
    Free,
    Open(Keyed),
    Closing,
}

impl<B: PacketBuf> SoftEngine<B> {
    /// An engine with at most `channels` channels and `depth` packets between two polls.
    #[must_use]
    pub fn new(channels: u16, depth: usize) -> Self {
        Self::with_key_schedule(channels, depth, Keyed::new)
    }

    pub(crate) fn with_key_schedule(
        channels: u16,
        depth: usize,
        key_schedule: KeySchedule,
    ) -> Self {
        Self {
            slots: Vec::new(),
            limit: channels,
            queue: VecDeque::with_capacity(depth),
            depth,
            done: VecDeque::with_capacity(depth),
            control: VecDeque::new(),
            closing: Vec::new(),
            key_schedule,
        }
    }

    fn keyed(&self, channel: ChannelId) -> Option<&Keyed> {
        let slot = self.slots.get(usize::from(channel.slot))?;
        match &slot.state {
            SlotState::Open(keyed) if slot.generation == channel.generation => Some(keyed),
            SlotState::Open(_) | SlotState::Free | SlotState::Closing => None,
        }
    }

    fn place(&mut self, keyed: Keyed) -> Result<ChannelId, OpenFault> {
        let free = self
            .slots
            .iter()
            .position(|slot| matches!(slot.state, SlotState::Free));
        let index = match free {
            Some(index) => index,
            None if self.slots.len() < usize::from(self.limit) => {
                self.slots.push(Slot {
                    generation: 0,
                    state: SlotState::Free,
                });
                self.slots.len() - 1
            }
            None => return Err(OpenFault::Full),
        };
        let slot = self.slots.get_mut(index).ok_or(OpenFault::Full)?;
        slot.state = SlotState::Open(keyed);
        let number = u16::try_from(index).map_err(|_| OpenFault::Full)?;
        Ok(ChannelId {
            slot: number,
            generation: slot.generation,
        })
    }

    fn run_queue(&mut self) {
        while let Some(mut job) = self.queue.pop_front() {
            let result = match self.keyed(job.channel) {
                Some(keyed) => keyed.run(&mut job),
                None => Err(JobFault::Closed),
            };
            self.done.push_back(PacketDone {
                ticket: job.ticket,
                channel: job.channel,
                result,
                buffer: job.buffer,
            });
        }
    }

    fn detach(&mut self) {
        for channel in self.closing.drain(..) {
            if let Some(slot) = self.slots.get_mut(usize::from(channel.slot)) {
                slot.state = SlotState::Free;
                slot.generation = slot.generation.wrapping_add(1);
            }
            self.control.push_back(Completion::Detached(channel));
        }
    }
}

impl<B: PacketBuf> PacketEngine for SoftEngine<B> {
    type Buf = B;

    fn open(&mut self, ticket: Ticket, spec: ChannelSpec) -> Result<(), Refused<ChannelSpec>> {
        let result = (self.key_schedule)(&spec).and_then(|keyed| self.place(keyed));
        self.control
            .push_back(Completion::Opened { ticket, result });
        Ok(())
    }

    fn close(&mut self, channel: ChannelId) {
        if self.keyed(channel).is_some()
            && let Some(slot) = self.slots.get_mut(usize::from(channel.slot))
        {
            slot.state = SlotState::Closing;
            self.closing.push(channel);
        }
    }

    fn submit(&mut self, job: PacketJob<B>) -> Result<(), Refused<PacketJob<B>>> {
        let verdict = match self.keyed(job.channel) {
            None => Err(RefusedWhy::NoSuchChannel),
            Some(_) if self.queue.len() + self.done.len() >= self.depth => Err(RefusedWhy::Full),
            Some(keyed) => keyed.admits(&job),
        };
        match verdict {
            Ok(()) => {
                self.queue.push_back(job);
                Ok(())
            }
            Err(why) => Err(Refused { job, why }),
        }
    }

    fn poll(&mut self) -> Option<Completion<B>> {
        if self.done.is_empty() {
            self.run_queue();
        }
        if let Some(done) = self.done.pop_front() {
            return Some(Completion::Packet(done));
        }
        self.detach();
        self.control.pop_front()
    }

    fn pending(&self) -> Idle {
        let idle = self.queue.is_empty()
            && self.done.is_empty()
            && self.control.is_empty()
            && self.closing.is_empty();
        if idle { Idle::Idle } else { Idle::PollNow }
    }
}
