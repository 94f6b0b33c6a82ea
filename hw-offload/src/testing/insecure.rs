//! Engines and primitives without any security, so that a fuzzer's input gets past decryption and
//! authentication.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::algorithm::{Cipher, DhGroup, Hash};
use crate::buffer::PacketBuf;
use crate::cbc_mode::CbcFault;
use crate::channel::Keyed;
use crate::digest::{self, Digest};
use crate::modexp::acceptable;
use crate::packet::{
    ChannelId, ChannelSpec, Completion, Idle, PacketEngine, PacketJob, Refused, RefusedWhy, Ticket,
};
use crate::primitives::Primitives;
use crate::public::{PublicDone, PublicEngine, PublicFault, PublicJob, PublicValue};
use crate::secret::Secret;
use crate::soft::SoftEngine;

/// A packet engine that admits jobs as the software engine does and then leaves every packet as
/// it is: what is sealed is readable, and what is opened is always authentic.
pub struct InsecureEngine<B>(SoftEngine<B>);

impl<B: PacketBuf> InsecureEngine<B> {
    /// An engine with at most `channels` channels and `depth` packets between two polls.
    #[must_use]
    pub fn new(channels: u32, depth: usize) -> Self {
        Self(SoftEngine::with_key_schedule(
            channels,
            depth,
            Keyed::insecure,
        ))
    }
}

impl<B: PacketBuf> PacketEngine for InsecureEngine<B> {
    type Buf = B;

    fn open(&mut self, ticket: Ticket, spec: ChannelSpec) -> Result<(), Refused<ChannelSpec>> {
        self.0.open(ticket, spec)
    }

    fn close(&mut self, channel: ChannelId) {
        self.0.close(channel);
    }

    fn submit(&mut self, job: PacketJob<B>) -> Result<(), Refused<PacketJob<B>>> {
        self.0.submit(job)
    }

    fn poll(&mut self) -> Option<Completion<B>> {
        self.0.poll()
    }

    fn pending(&self) -> Idle {
        self.0.pending()
    }
}

/// A public-key engine whose public value is the exponent itself and whose shared secrets are all
/// equal. It refuses the peer's values that the software engine refuses.
pub struct InsecurePublic {
    queue: VecDeque<PublicJob>,
    depth: usize,
}

impl InsecurePublic {
    /// An engine that holds at most `depth` jobs.
    #[must_use]
    pub const fn new(depth: usize) -> Self {
        let queue = VecDeque::new();
        Self { queue, depth }
    }
}

/// The bytes at the end of as many zeros as the group's prime is long.
fn padded(group: DhGroup, bytes: &[u8]) -> Vec<u8> {
    let mut value = alloc::vec![0; group.len().saturating_sub(bytes.len())];
    value.extend_from_slice(bytes);
    value
}

impl PublicEngine for InsecurePublic {
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

    fn poll(&mut self, _: u32) -> Option<PublicDone> {
        let job = self.queue.pop_front()?;
        let ticket = job.ticket();
        let result = match job {
            PublicJob::DhPublic {
                group, exponent, ..
            } => Ok(PublicValue::Public(padded(group, exponent.expose()))),
            PublicJob::DhShared { group, peer, .. } if acceptable(group, &peer) => {
                Ok(PublicValue::Shared(Secret::new(padded(group, &[2]))))
            }
            PublicJob::DhShared { .. } => Err(PublicFault::BadPeerValue),
            PublicJob::RsaSign { digest, .. } => Ok(PublicValue::Signature(digest)),
            PublicJob::RsaVerify { .. } => Ok(PublicValue::Verified),
            PublicJob::RsaGenerate { .. } => Err(PublicFault::Unsupported),
        };
        Some(PublicDone { ticket, result })
    }

    fn pending(&self) -> Idle {
        if self.queue.is_empty() {
            Idle::Idle
        } else {
            Idle::PollNow
        }
    }
}

/// Ciphers that do nothing and a prf that ignores key and data. Hashes are real: they authenticate
/// nothing, and tell one message from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct InsecurePrimitives;

impl Primitives for InsecurePrimitives {
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        digest::hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, _: &[u8], _: &[&[u8]]) -> Digest {
        digest::constant(hash)
    }

    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        _: &[u8],
        _: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        if data.len().is_multiple_of(cipher.block_len()) {
            Ok(())
        } else {
            Err(CbcFault::DataLength)
        }
    }

    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        self.cbc_encrypt(cipher, key, iv, data)
    }
}
