//! Engines that are late or fail, seeded randomness and primitives without security: for tests
//! and fuzzing, never for traffic.

mod faulty;
mod fingerprint;
mod insecure;
mod kernel;
mod prf;
mod slow;

pub(crate) use fingerprint::of_secret;

pub use faulty::{FaultPlan, FaultyEngine, FaultyPublic};
pub use fingerprint::{Fingerprint, tells_states_apart};
pub use insecure::{InsecureEngine, InsecurePrimitives, InsecurePublic};
pub use kernel::Kernel;
pub use prf::{ChosenPrf, WithPrf};
pub use slow::{SlowEngine, SlowPublic};

use alloc::vec::Vec;

use crate::buffer::PacketBuf;
use crate::engines::Engines;
use crate::entropy::{Entropy, EntropyFault};
use crate::packet::PacketEngine;
use crate::primitives::{Primitives, SoftPrimitives};
use crate::public::PublicEngine;
use crate::soft::{SoftEngine, SoftPublic};

/// The bytes of a published vector: hexadecimal digits, whatever stands between them.
#[must_use]
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    digits.chunks_exact(2).map(byte).collect()
}

/// A reproducible stream of bytes (SplitMix64): same seed, same bytes.
#[derive(Clone, Debug)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// The stream of that seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 for a bound of 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True once in `n` times; never for 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// A source that always fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyFault> {
        Err(EntropyFault)
    }
}

/// Any three engines together.
pub struct TestEngines<P, K, M = SoftPrimitives> {
    /// The packet engine.
    pub packet: P,
    /// The public-key engine.
    pub public: K,
    /// The primitives.
    pub primitives: M,
}

impl<P: PacketEngine, K: PublicEngine, M: Primitives> Engines for TestEngines<P, K, M> {
    type Buf = P::Buf;
    type Packet = P;
    type Public = K;
    type Prim = M;

    fn packet(&mut self) -> &mut P {
        &mut self.packet
    }

    fn public(&mut self) -> &mut K {
        &mut self.public
    }

    fn primitives(&self) -> &M {
        &self.primitives
    }
}

/// Software engines of which every job comes 1 to 50 polls late and out of order.
#[must_use]
pub fn slow_engines<B: PacketBuf>(
    seed: u64,
) -> TestEngines<SlowEngine<SoftEngine<B>>, SlowPublic<SoftPublic>> {
    TestEngines {
        packet: SlowEngine::new(SoftEngine::new(256, 64), seed),
        public: SlowPublic::new(SoftPublic::new(64), seed ^ 1),
        primitives: SoftPrimitives,
    }
}

/// Software engines that refuse and fail as planned.
#[must_use]
pub fn faulty_engines<B: PacketBuf>(
    plan: FaultPlan,
    seed: u64,
) -> TestEngines<FaultyEngine<SoftEngine<B>>, FaultyPublic<SoftPublic>> {
    TestEngines {
        packet: FaultyEngine::new(SoftEngine::new(256, 64), plan, seed),
        public: FaultyPublic::new(SoftPublic::new(64), plan, seed ^ 1),
        primitives: SoftPrimitives,
    }
}

/// Engines without any security: what a fuzzer writes is always well enciphered and authentic.
#[must_use]
pub fn insecure_engines<B: PacketBuf>()
-> TestEngines<InsecureEngine<B>, InsecurePublic, InsecurePrimitives> {
    TestEngines {
        packet: InsecureEngine::new(256, 64),
        public: InsecurePublic::new(64),
        primitives: InsecurePrimitives,
    }
}
