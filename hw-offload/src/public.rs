//! Public-key jobs: Diffie–Hellman.

use alloc::vec::Vec;

use crate::algorithm::DhGroup;
use crate::packet::{Idle, Refused, Ticket};
use crate::secret::Secret;

/// One modular exponentiation. Exponents are drawn by the submitter, so that randomness stays an
/// argument of the protocol machines.
#[derive(Debug)]
pub enum PublicJob {
    /// The public value g^x.
    DhPublic {
        /// The submitter's name for the job.
        ticket: Ticket,
        /// The group.
        group: DhGroup,
        /// The private exponent x, big-endian.
        exponent: Secret,
    },
    /// The shared secret g^xy.
    DhShared {
        /// The submitter's name for the job.
        ticket: Ticket,
        /// The group.
        group: DhGroup,
        /// The private exponent x, big-endian.
        exponent: Secret,
        /// The peer's public value g^y as received, big-endian.
        peer: Vec<u8>,
    },
}

impl PublicJob {
    /// The submitter's name for the job.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::DhPublic { ticket, .. } | Self::DhShared { ticket, .. } => *ticket,
        }
    }
}

/// The result of a public-key job, left-padded with zeros to the length of the prime
/// (RFC 2409 §5).
#[derive(Debug, PartialEq, Eq)]
pub enum PublicValue {
    /// g^x, which travels in the KE payload.
    Public(Vec<u8>),
    /// g^xy.
    Shared(Secret),
}

/// Why a public-key job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicFault {
    /// The peer's public value is 0, 1, p-1, not below p, or not as long as the prime.
    #[error("the peer's Diffie-Hellman public value is not acceptable")]
    BadPeerValue,
    /// The private exponent is empty or longer than the prime.
    #[error("the private exponent does not fit the group")]
    BadExponent,
    /// The engine failed.
    #[error("the public-key engine failed")]
    Engine,
}

/// The end of an accepted public-key job.
#[derive(Debug)]
pub struct PublicDone {
    /// The submitter's name for the job.
    pub ticket: Ticket,
    /// The value, or why there is none.
    pub result: Result<PublicValue, PublicFault>,
}

/// An engine for public-key jobs, under the same contract as [`crate::packet::PacketEngine`].
pub trait PublicEngine {
    /// Queues a job.
    ///
    /// # Errors
    /// [`Refused`] with the job when it cannot be queued.
    fn submit(&mut self, job: PublicJob) -> Result<(), Refused<PublicJob>>;

    /// The next finished job. A software engine works on the oldest one for at most `budget`
    /// exponent windows before it returns, so that a slow CPU keeps its deadlines.
    fn poll(&mut self, budget: u32) -> Option<PublicDone>;

    /// Whether `poll` is worth calling.
    fn pending(&self) -> Idle;
}
