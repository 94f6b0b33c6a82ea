//! The software engines: synchronous inside, complete at the next poll, like any hardware.

mod packet;
mod public;

pub use packet::SoftEngine;
pub use public::SoftPublic;

use crate::buffer::PacketBuf;
use crate::engines::Engines;
use crate::primitives::SoftPrimitives;

/// The software trio for packets in buffers of type `B`.
pub struct SoftEngines<B> {
    packet: SoftEngine<B>,
    public: SoftPublic,
    primitives: SoftPrimitives,
}

impl<B: PacketBuf> SoftEngines<B> {
    /// Engines for at most `channels` open channels, `packets` queued packets and `keys` queued
    /// public-key jobs.
    #[must_use]
    pub fn new(channels: u32, packets: usize, keys: usize) -> Self {
        Self {
            packet: SoftEngine::new(channels, packets),
            public: SoftPublic::new(keys),
            primitives: SoftPrimitives,
        }
    }
}

impl<B: PacketBuf> Engines for SoftEngines<B> {
    type Buf = B;
    type Packet = SoftEngine<B>;
    type Public = SoftPublic;
    type Prim = SoftPrimitives;

    fn packet(&mut self) -> &mut SoftEngine<B> {
        &mut self.packet
    }

    fn public(&mut self) -> &mut SoftPublic {
        &mut self.public
    }

    fn primitives(&self) -> &SoftPrimitives {
        &self.primitives
    }
}
