//! Whole-packet jobs and the engine that carries them out.
//!
//! The contract, for every engine:
//! * accepted means exactly one completion, refused hands job and buffer back at once;
//! * an engine never calls back: completions are fetched with [`PacketEngine::poll`];
//! * completions may come late and in any order;
//! * closing a channel with jobs in flight is legal: each still completes, some with
//!   [`JobFault::Closed`], and the channel's slot is free once [`Completion::Detached`] came.

use crate::algorithm::{Cipher, Mac};
use crate::buffer::PacketBuf;
use crate::secret::Secret;

/// Names a piece of work for its submitter; the engine only carries it along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A run of bytes in a buffer's storage, so that head- and tailroom can be named too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset from the start of the storage.
    pub start: u16,
    /// Number of bytes.
    pub len: u16,
}

impl Span {
    /// No bytes.
    pub const EMPTY: Self = Self { start: 0, len: 0 };

    /// The span from `start`, `len` bytes long, or nothing where 16 bits do not hold it.
    #[must_use]
    pub fn new(start: usize, len: usize) -> Option<Self> {
        let own = Self {
            start: u16::try_from(start).ok()?,
            len: u16::try_from(len).ok()?,
        };
        own.start.checked_add(own.len)?;
        Some(own)
    }

    /// First byte and byte behind the last.
    #[must_use]
    pub fn range(self) -> core::ops::Range<usize> {
        let start = usize::from(self.start);
        start..start + usize::from(self.len)
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A keyed context of an engine: slot and generation, so that a late completion for an earlier
/// owner of the slot is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId {
    /// Place in the engine's table; what the screens print as ENCO channel.
    pub slot: u32,
    /// How often the slot was given out before.
    pub generation: u32,
}

/// What a channel does to its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Encipher, then authenticate.
    Seal,
    /// Verify, then decipher.
    Open,
}

/// The keys and algorithms of a channel to be opened. One channel serves one direction of one SA.
#[derive(Debug)]
pub struct ChannelSpec {
    /// The cipher.
    pub cipher: Cipher,
    /// Its key, `cipher.key_len()` bytes.
    pub cipher_key: Secret,
    /// The integrity algorithm.
    pub mac: Mac,
    /// Its key, `mac.key_len()` bytes.
    pub mac_key: Secret,
    /// Direction.
    pub op: Op,
}

/// One packet's worth of work, at most 128 bytes for any buffer handle of up to 80.
#[derive(Debug)]
pub struct PacketJob<B> {
    /// The submitter's name for the job.
    pub ticket: Ticket,
    /// The keyed context.
    pub channel: ChannelId,
    /// Must agree with the channel.
    pub op: Op,
    /// The initialisation vector, `cipher.iv_len()` bytes.
    pub iv: Span,
    /// What is (de)ciphered in place; whole blocks.
    pub crypt: Span,
    /// What is authenticated, in this order; empty spans are skipped.
    pub auth: [Span; 3],
    /// Where the ICV is written (Seal) or read (Open), `mac.icv_len()` bytes.
    pub icv: Span,
    /// The packet.
    pub buffer: B,
}

/// Which half of a job an engine failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// While (de)ciphering.
    Cipher,
    /// While computing the ICV.
    Hash,
}

/// Why an accepted job did not succeed. On an Open that fails nothing was deciphered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFault {
    /// The ICV does not belong to the packet under this key.
    #[error("the integrity check value does not match")]
    BadIcv,
    /// The engine itself failed.
    #[error("the engine failed at the {0:?} stage")]
    Engine(Stage),
    /// The channel was closed before the job's turn came.
    #[error("the channel was closed")]
    Closed,
}

/// Why a job was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedWhy {
    /// The queue is full; later may do.
    #[error("the engine's queue is full")]
    Full,
    /// There is no such channel, or it belongs to somebody else by now.
    #[error("the channel does not exist")]
    NoSuchChannel,
    /// A span leaves the storage, or a length does not fit the algorithm.
    #[error("the job does not fit its channel")]
    Malformed,
}

/// A job that was not accepted, handed back with its buffer.
#[derive(Debug)]
pub struct Refused<J> {
    /// The job, untouched.
    pub job: J,
    /// Why.
    pub why: RefusedWhy,
}

/// The end of an accepted job.
#[derive(Debug)]
pub struct PacketDone<B> {
    /// The submitter's name for the job.
    pub ticket: Ticket,
    /// The channel it ran on.
    pub channel: ChannelId,
    /// What became of it.
    pub result: Result<(), JobFault>,
    /// The packet.
    pub buffer: B,
}

/// Why a channel was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// Every slot is taken.
    #[error("the engine has no free channel")]
    Full,
    /// A key has not the length that its algorithm needs.
    #[error("a key has the wrong length for its algorithm")]
    KeyLength,
    /// The engine failed.
    #[error("the engine failed")]
    Engine,
}

/// What an engine has finished.
#[derive(Debug)]
pub enum Completion<B> {
    /// A packet.
    Packet(PacketDone<B>),
    /// The end of an [`PacketEngine::open`].
    Opened {
        /// The opener's name for it.
        ticket: Ticket,
        /// The channel, or why there is none.
        result: Result<ChannelId, OpenFault>,
    },
    /// The channel is closed and no job of it is left; its slot may be given out again.
    Detached(ChannelId),
}

/// Whether an engine wants to be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing is queued or finished.
    Idle,
    /// `poll` will get something done now.
    PollNow,
    /// Work is under way elsewhere; an interrupt or a wake-up will tell.
    WillSignal,
}

/// An engine for whole packets. `submit` only queues; `poll` hands out what is finished and runs
/// what is queued.
pub trait PacketEngine {
    /// The packets it takes.
    type Buf: PacketBuf;

    /// Asks for a keyed context. Accepted, the answer is one [`Completion::Opened`].
    ///
    /// # Errors
    /// [`Refused`] with the specification when the request cannot be queued.
    fn open(&mut self, ticket: Ticket, spec: ChannelSpec) -> Result<(), Refused<ChannelSpec>>;

    /// Gives a channel up; its keys are forgotten at [`Completion::Detached`]. Unknown channels
    /// are ignored.
    fn close(&mut self, channel: ChannelId);

    /// Queues a packet.
    ///
    /// # Errors
    /// [`Refused`] with job and buffer, untouched.
    fn submit(&mut self, job: PacketJob<Self::Buf>) -> Result<(), Refused<PacketJob<Self::Buf>>>;

    /// The next finished piece of work, if any.
    fn poll(&mut self) -> Option<Completion<Self::Buf>>;

    /// Whether `poll` is worth calling.
    fn pending(&self) -> Idle;
}
