//! What a device computes with, as one parameter.

use crate::buffer::PacketBuf;
use crate::packet::PacketEngine;
use crate::primitives::Primitives;
use crate::public::PublicEngine;

/// A packet engine, a public-key engine and the primitives, chosen together.
pub trait Engines {
    /// The packets.
    type Buf: PacketBuf;
    /// The engine for packets.
    type Packet: PacketEngine<Buf = Self::Buf>;
    /// The engine for Diffie–Hellman.
    type Public: PublicEngine;
    /// The small computations.
    type Prim: Primitives;

    /// The engine for packets.
    fn packet(&mut self) -> &mut Self::Packet;
    /// The engine for Diffie–Hellman.
    fn public(&mut self) -> &mut Self::Public;
    /// The small computations.
    fn primitives(&self) -> &Self::Prim;
}
