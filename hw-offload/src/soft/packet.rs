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
    /// Slots below `slots.len()` that may be given out again, the next one last.
    free: Vec<u32>,
    limit: u32,
    /// First the jobs that have been carried out, in order, then those that wait.
    queue: VecDeque<(PacketJob<B>, Result<(), JobFault>)>,
    /// How many have been carried out.
    done: usize,
    depth: usize,
    control: VecDeque<Completion<B>>,
    closing: Vec<ChannelId>,
    key_schedule: KeySchedule,
}

/// What makes a keyed context of a specification.
type KeySchedule = fn(&ChannelSpec) -> Result<Keyed, OpenFault>;

struct Slot {
    generation: u32,
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
    pub fn new(channels: u32, depth: usize) -> Self {
        Self::with_key_schedule(channels, depth, Keyed::new)
    }

    pub(crate) fn with_key_schedule(
        channels: u32,
        depth: usize,
        key_schedule: KeySchedule,
    ) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit: channels,
            queue: VecDeque::with_capacity(depth),
            done: 0,
            depth,
            control: VecDeque::new(),
            closing: Vec::new(),
            key_schedule,
        }
    }

    fn place(&mut self, keyed: Keyed) -> Result<ChannelId, OpenFault> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let next = u32::try_from(self.slots.len()).map_err(|_| OpenFault::Full)?;
                if next >= self.limit {
                    return Err(OpenFault::Full);
                }
                self.slots.push(Slot {
                    generation: 0,
                    state: SlotState::Free,
                });
                next
            }
        };
        let slot = self.slots.get_mut(index(number)).ok_or(OpenFault::Full)?;
        slot.state = SlotState::Open(keyed);
        Ok(ChannelId {
            slot: number,
            generation: slot.generation,
        })
    }

    /// Carries out what waits, where it lies.
    fn run_queue(&mut self) {
        for (job, result) in self.queue.iter_mut().skip(self.done) {
            *result = match keyed(&self.slots, job.channel) {
                Some(keyed) => keyed.run(job),
                None => Err(JobFault::Closed),
            };
        }
        self.done = self.queue.len();
    }

    fn detach(&mut self) {
        for channel in self.closing.drain(..) {
            if let Some(slot) = self.slots.get_mut(index(channel.slot)) {
                slot.state = SlotState::Free;
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(channel.slot);
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
        if keyed(&self.slots, channel).is_some()
            && let Some(slot) = self.slots.get_mut(index(channel.slot))
        {
            slot.state = SlotState::Closing;
            self.closing.push(channel);
        }
    }

    fn submit(&mut self, job: PacketJob<B>) -> Result<(), Refused<PacketJob<B>>> {
        let verdict = match keyed(&self.slots, job.channel) {
            None => Err(RefusedWhy::NoSuchChannel),
            Some(_) if self.queue.len() >= self.depth => Err(RefusedWhy::Full),
            Some(keyed) => keyed.admits(&job),
        };
        match verdict {
            Ok(()) => {
                self.queue.push_back((job, Ok(())));
                Ok(())
            }
            Err(why) => Err(Refused { job, why }),
        }
    }

    fn poll(&mut self) -> Option<Completion<B>> {
        if self.done == 0 {
            self.run_queue();
        }
        if let Some((job, result)) = self.queue.pop_front() {
            self.done -= 1;
            return Some(Completion::Packet(PacketDone {
                ticket: job.ticket,
                channel: job.channel,
                result,
                buffer: job.buffer,
            }));
        }
        self.detach();
        self.control.pop_front()
    }

    fn pending(&self) -> Idle {
        let idle = self.queue.is_empty() && self.control.is_empty() && self.closing.is_empty();
        if idle { Idle::Idle } else { Idle::PollNow }
    }
}

/// The schedules of an open channel.
fn keyed(slots: &[Slot], channel: ChannelId) -> Option<&Keyed> {
    let slot = slots.get(index(channel.slot))?;
    match &slot.state {
        SlotState::Open(keyed) if slot.generation == channel.generation => Some(keyed),
        SlotState::Open(_) | SlotState::Free | SlotState::Closing => None,
    }
}

/// A slot's place; one beyond the address space is beyond the table too.
fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
