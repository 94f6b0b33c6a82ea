//! Public-key jobs: Diffie–Hellman and RSA.

use alloc::vec::Vec;

use crate::algorithm::DhGroup;
use crate::entropy::{Entropy, EntropyFault};
use crate::packet::{Idle, Refused, Ticket};
use crate::secret::Secret;

/// Randomness for an RSA job, which needs more of it than can be told beforehand.
#[derive(Debug)]
pub struct RsaSeed(Secret);

impl RsaSeed {
    /// Draws a seed.
    ///
    /// # Errors
    /// [`EntropyFault`].
    pub fn draw(entropy: &mut dyn Entropy) -> Result<Self, EntropyFault> {
        let mut bytes = alloc::vec![0; 32];
        entropy.fill(&mut bytes)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// The seed's bytes, for an engine.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.0
    }
}

/// One computation with public keys. Exponents and seeds are drawn by the submitter, so that
/// randomness stays an argument of the protocol machines.
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
    /// A signature: a PKCS#1 v1.5 block of type 1 over the bare hash (RFC 2409 §5.1).
    RsaSign {
        /// The submitter's name for the job.
        ticket: Ticket,
        /// The private key, in the form of the key ring.
        key: Secret,
        /// The hash.
        digest: Vec<u8>,
        /// For the blinding.
        seed: RsaSeed,
    },
    /// Whether a signature is that of this hash.
    RsaVerify {
        /// The submitter's name for the job.
        ticket: Ticket,
        /// The public key, in the form of the key ring.
        key: Vec<u8>,
        /// The hash.
        digest: Vec<u8>,
        /// The signature as received.
        signature: Vec<u8>,
    },
    /// A new private key.
    RsaGenerate {
        /// The submitter's name for the job.
        ticket: Ticket,
        /// Length of the modulus.
        bits: u16,
        /// For the primes.
        seed: RsaSeed,
    },
}

impl PublicJob {
    /// The submitter's name for the job.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::DhPublic { ticket, .. }
            | Self::DhShared { ticket, .. }
            | Self::RsaSign { ticket, .. }
            | Self::RsaVerify { ticket, .. }
            | Self::RsaGenerate { ticket, .. } => *ticket,
        }
    }
}

/// The result of a public-key job. Numbers of a Diffie–Hellman group are left-padded with zeros
/// to the length of the prime (RFC 2409 §5).
#[derive(Debug, PartialEq, Eq)]
pub enum PublicValue {
    /// g^x, which travels in the KE payload.
    Public(Vec<u8>),
    /// g^xy.
    Shared(Secret),
    /// A signature, as long as the modulus.
    Signature(Vec<u8>),
    /// The signature is that of the hash.
    Verified,
    /// A private key, in the form of the key ring.
    PrivateKey(Secret),
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
    /// The bytes are no RSA key that may be used.
    #[error("the RSA key cannot be used")]
    BadKey,
    /// The signature is not that of the hash.
    #[error("the signature is wrong")]
    BadSignature,
    /// The engine was built without this kind of job.
    #[error("the public-key engine does not compute this")]
    Unsupported,
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
