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

/// Checks the job's values and sets the exponentiation up. RSA is done on the spot: its crate
/// does not work in steps.
fn start(job: PublicJob) -> Result<Running, PublicDone> {
    let ticket = job.ticket();
    let done = |result| PublicDone { ticket, result };
    let (group, exponent, peer) = match job {
        PublicJob::DhPublic {
            group, exponent, ..
        } => (group, exponent, None),
        PublicJob::DhShared {
            group,
            exponent,
            peer,
            ..
        } => (group, exponent, Some(peer)),
        PublicJob::RsaSign {
            key, digest, seed, ..
        } => return Err(done(rsa::sign(&key, &digest, &seed))),
        PublicJob::RsaVerify {
            key,
            digest,
            signature,
            ..
        } => return Err(done(rsa::verify(&key, &digest, &signature))),
        PublicJob::RsaGenerate { bits, seed, .. } => return Err(done(rsa::generate(bits, &seed))),
    };
    if exponent.is_empty() || exponent.len() > group.len() {
        return Err(done(Err(PublicFault::BadExponent)));
    }
    if peer.as_ref().is_some_and(|value| !acceptable(group, value)) {
        return Err(done(Err(PublicFault::BadPeerValue)));
    }
    Ok(Running {
        ticket,
        shared: peer.is_some(),
        power: Power::new(group, peer.as_deref(), exponent),
    })
}

#[cfg(feature = "rsa")]
mod rsa {
    use super::{PublicFault, PublicValue};
    use crate::public::RsaSeed;
    use crate::rsa_key;
    use crate::secret::Secret;

    pub(super) fn sign(
        key: &Secret,
        digest: &[u8],
        seed: &RsaSeed,
    ) -> Result<PublicValue, PublicFault> {
        rsa_key::sign(key, digest, seed).map(PublicValue::Signature)
    }

    pub(super) fn verify(
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<PublicValue, PublicFault> {
        rsa_key::verify(key, digest, signature).map(|()| PublicValue::Verified)
    }

    pub(super) fn generate(bits: u16, seed: &RsaSeed) -> Result<PublicValue, PublicFault> {
        rsa_key::generate(bits, seed).map(PublicValue::PrivateKey)
    }
}

/// Without RSA built in, its jobs are accepted and fail, as those of any engine that lacks them.
#[cfg(not(feature = "rsa"))]
mod rsa {
    use super::{PublicFault, PublicValue};
    use crate::public::RsaSeed;
    use crate::secret::Secret;

    type Outcome = Result<PublicValue, PublicFault>;

    pub(super) const fn sign(_: &Secret, _: &[u8], _: &RsaSeed) -> Outcome {
        Err(PublicFault::Unsupported)
    }

    pub(super) const fn verify(_: &[u8], _: &[u8], _: &[u8]) -> Outcome {
        Err(PublicFault::Unsupported)
    }

    pub(super) const fn generate(_: u16, _: &RsaSeed) -> Outcome {
        Err(PublicFault::Unsupported)
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
