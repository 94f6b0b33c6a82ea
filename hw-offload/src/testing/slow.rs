//! Engines whose completions come late and out of order.

use alloc::vec::Vec;

use super::SeededEntropy;
use crate::packet::{
    ChannelId, ChannelSpec, Completion, Idle, PacketEngine, PacketJob, Refused, Ticket,
};
use crate::public::{PublicDone, PublicEngine, PublicJob};

/// The most polls by which a completion is late.
const LATEST: u64 = 50;

/// What is finished inside but not yet told, each with the poll at which it will be.
struct Held<T> {
    items: Vec<(u64, T)>,
    polls: u64,
    random: SeededEntropy,
}

impl<T> Held<T> {
    const fn new(seed: u64) -> Self {
        Self {
            items: Vec::new(),
            polls: 0,
            random: SeededEntropy::new(seed),
        }
    }

    fn hold(&mut self, item: T) {
        let due = self.polls + 1 + self.random.below(LATEST);
        self.items.push((due, item));
    }

    /// One event passes; an item that is due and that `may` go now is told.
    fn poll(&mut self, may: impl Fn(&T, &[(u64, T)]) -> bool) -> Option<T> {
        let ready = self
            .items
            .iter()
            .position(|(due, item)| *due <= self.polls && may(item, &self.items));
        match ready {
            Some(index) => Some(self.items.swap_remove(index).1),
            None => {
                self.polls += 1;
                None
            }
        }
    }

    const fn pending(&self) -> Idle {
        if self.items.is_empty() {
            Idle::Idle
        } else {
            Idle::WillSignal
        }
    }
}

/// Makes every completion of another packet engine 1 to 50 events late, out of order. An event is
/// a poll that answers nothing. While anything is held it promises a signal, as hardware would.
pub struct SlowEngine<E: PacketEngine> {
    inner: E,
    held: Held<Completion<E::Buf>>,
}

impl<E: PacketEngine> SlowEngine<E> {
    /// Slows `inner` down; the delays follow from the seed.
    pub const fn new(inner: E, seed: u64) -> Self {
        Self {
            inner,
            held: Held::new(seed),
        }
    }
}

impl<E: PacketEngine> PacketEngine for SlowEngine<E> {
    type Buf = E::Buf;

    fn open(&mut self, ticket: Ticket, spec: ChannelSpec) -> Result<(), Refused<ChannelSpec>> {
        self.inner.open(ticket, spec)
    }

    fn close(&mut self, channel: ChannelId) {
        self.inner.close(channel);
    }

    fn submit(&mut self, job: PacketJob<E::Buf>) -> Result<(), Refused<PacketJob<E::Buf>>> {
        self.inner.submit(job)
    }

    fn poll(&mut self) -> Option<Completion<E::Buf>> {
        while let Some(completion) = self.inner.poll() {
            self.held.hold(completion);
        }
        self.held.poll(|completion, all| match completion {
            Completion::Detached(channel) => !all.iter().any(|(_, other)| of(other, *channel)),
            Completion::Packet(_) | Completion::Opened { .. } => true,
        })
    }

    fn pending(&self) -> Idle {
        match self.inner.pending() {
            Idle::Idle => self.held.pending(),
            Idle::PollNow | Idle::WillSignal => Idle::WillSignal,
        }
    }
}

/// Whether a completion is a packet of that channel: its end must come before the channel's.
fn of<B>(completion: &Completion<B>, channel: ChannelId) -> bool {
    matches!(completion, Completion::Packet(done) if done.channel == channel)
}

/// Makes every completion of another public-key engine 1 to 50 events late, out of order.
pub struct SlowPublic<E> {
    inner: E,
    held: Held<PublicDone>,
}

impl<E: PublicEngine> SlowPublic<E> {
    /// Slows `inner` down; the delays follow from the seed.
    pub const fn new(inner: E, seed: u64) -> Self {
        Self {
            inner,
            held: Held::new(seed),
        }
    }
}

impl<E: PublicEngine> PublicEngine for SlowPublic<E> {
    fn submit(&mut self, job: PublicJob) -> Result<(), Refused<PublicJob>> {
        self.inner.submit(job)
    }

    fn poll(&mut self, budget: u32) -> Option<PublicDone> {
        while let Some(done) = self.inner.poll(budget) {
            self.held.hold(done);
        }
        self.held.poll(|_, _| true)
    }

    fn pending(&self) -> Idle {
        match self.inner.pending() {
            Idle::Idle => self.held.pending(),
            Idle::PollNow | Idle::WillSignal => Idle::WillSignal,
        }
    }
}
