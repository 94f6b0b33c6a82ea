//! Engines that refuse and fail.

use super::SeededEntropy;
use crate::packet::{
    ChannelId, ChannelSpec, Completion, Idle, JobFault, OpenFault, PacketEngine, PacketJob,
    Refused, RefusedWhy, Stage, Ticket,
};
use crate::public::{PublicDone, PublicEngine, PublicFault, PublicJob};

/// How often things go wrong: one time in so many; 0 is never, 1 always.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultPlan {
    /// Packet jobs refused at submission.
    pub refuse_packet: u64,
    /// Packet jobs that fail inside the engine.
    pub fail_packet: u64,
    /// Channels that cannot be opened.
    pub fail_open: u64,
    /// Public-key jobs refused at submission.
    pub refuse_public: u64,
    /// Public-key jobs that fail inside the engine.
    pub fail_public: u64,
}

/// A packet engine that goes wrong as planned.
pub struct FaultyEngine<E> {
    inner: E,
    plan: FaultPlan,
    random: SeededEntropy,
}

impl<E: PacketEngine> FaultyEngine<E> {
    /// Spoils `inner`; which jobs suffer follows from the seed.
    pub const fn new(inner: E, plan: FaultPlan, seed: u64) -> Self {
        Self {
            inner,
            plan,
            random: SeededEntropy::new(seed),
        }
    }
}

impl<E: PacketEngine> PacketEngine for FaultyEngine<E> {
    type Buf = E::Buf;

    fn open(&mut self, ticket: Ticket, spec: ChannelSpec) -> Result<(), Refused<ChannelSpec>> {
        self.inner.open(ticket, spec)
    }

    fn close(&mut self, channel: ChannelId) {
        self.inner.close(channel);
    }

    fn submit(&mut self, job: PacketJob<E::Buf>) -> Result<(), Refused<PacketJob<E::Buf>>> {
        if self.random.one_in(self.plan.refuse_packet) {
            return Err(Refused {
                job,
                why: RefusedWhy::Full,
            });
        }
        self.inner.submit(job)
    }

    fn poll(&mut self) -> Option<Completion<E::Buf>> {
        let mut completion = self.inner.poll()?;
        match &mut completion {
            Completion::Packet(done) => {
                if done.result.is_ok() && self.random.one_in(self.plan.fail_packet) {
                    let stage = if self.random.one_in(2) {
                        Stage::Cipher
                    } else {
                        Stage::Hash
                    };
                    done.result = Err(JobFault::Engine(stage));
                }
            }
            Completion::Opened { result, .. } => {
                if let Ok(channel) = *result
                    && self.random.one_in(self.plan.fail_open)
                {
                    self.inner.close(channel);
                    *result = Err(OpenFault::Engine);
                    // Its owner never learnt of the channel, so its end is told to nobody.
                    return Some(completion);
                }
            }
            Completion::Detached(ChannelId { .. }) => {}
        }
        Some(completion)
    }

    fn pending(&self) -> Idle {
        self.inner.pending()
    }
}

/// A public-key engine that goes wrong as planned.
pub struct FaultyPublic<E> {
    inner: E,
    plan: FaultPlan,
    random: SeededEntropy,
}

impl<E: PublicEngine> FaultyPublic<E> {
    /// Spoils `inner`; which jobs suffer follows from the seed.
    pub const fn new(inner: E, plan: FaultPlan, seed: u64) -> Self {
        Self {
            inner,
            plan,
            random: SeededEntropy::new(seed),
        }
    }
}

impl<E: PublicEngine> PublicEngine for FaultyPublic<E> {
    fn submit(&mut self, job: PublicJob) -> Result<(), Refused<PublicJob>> {
        if self.random.one_in(self.plan.refuse_public) {
            return Err(Refused {
                job,
                why: RefusedWhy::Full,
            });
        }
        self.inner.submit(job)
    }

    fn poll(&mut self, budget: u32) -> Option<PublicDone> {
        let mut done = self.inner.poll(budget)?;
        if done.result.is_ok() && self.random.one_in(self.plan.fail_public) {
            done.result = Err(PublicFault::Engine);
        }
        Some(done)
    }

    fn pending(&self) -> Idle {
        self.inner.pending()
    }
}
