//! What stands between a device and the world.

use core::net::IpAddr;

use hw_offload::{Buffers, Cipher, Mac, Secret, Ticket};
use ipsec_core::debug::DebugEvent;
use ipsec_core::model::{Direction, Name, Spi};
use ipsec_core::net::InterfaceId;
use ipsec_core::{DropReason, Outgoing, RemoveWhy};

#[cfg(doc)]
use super::Device;
#[cfg(doc)]
use crate::ask::Answer;
use crate::ask::{Path, Report};
use crate::pki::Chain;
use crate::reason::Reason;
use crate::xauth::XauthStep;

/// The world around a device. A leaf: it never calls back in.
pub trait Port<B>: Buffers<B> {
    /// Send a packet.
    fn transmit(&mut self, packet: Outgoing<B>);
    /// Forward a packet as if it had arrived by `on` in clear.
    fn deliver(&mut self, on: InterfaceId, packet: B);
    /// Send an ISAKMP message by UDP.
    fn datagram(&mut self, path: Path, bytes: &[u8]);
    /// Find something out. The answer comes by [`Device::answer`], soon or late.
    fn ask(&mut self, ticket: Ticket, query: Query);
    /// Be told.
    fn report(&mut self, report: DeviceReport);
}

/// What a device cannot find out by itself.
#[derive(Debug)]
pub enum Query {
    /// The addresses of a host; answered by [`Answer::Resolved`].
    Resolve(Name),
    /// Whether a RADIUS server accepts a user; answered by [`Answer::Xauth`].
    Radius(XauthStep),
    /// Whether a chain of certificates proves a public key, in a build without the feature `x509`;
    /// answered by [`Answer::Verified`].
    Verify(Chain),
}

/// What a device tells.
#[derive(Debug)]
pub enum DeviceReport {
    /// About ISAKMP.
    Isakmp(Report),
    /// A packet went no further.
    Dropped {
        /// The interface.
        on: InterfaceId,
        /// Which way it went.
        direction: Direction,
        /// Why.
        why: DropReason,
    },
    /// An ISAKMP message was kept from leaving or entering by the SPD.
    Forbidden {
        /// Its ends.
        path: Path,
        /// Which way it went.
        direction: Direction,
        /// What to do about it.
        reason: Reason,
    },
    /// A bundle came up.
    BundleCreated {
        /// The policy.
        policy: Name,
    },
    /// A bundle went.
    BundleRemoved {
        /// The policy.
        policy: Name,
        /// Why.
        why: RemoveWhy,
    },
    /// Something was seen that ENABLE IPSEC POLICY DEBUG watches.
    IpsecDebug {
        /// The policy.
        policy: Name,
        /// What was seen.
        event: DebugEvent,
    },
    /// The keys of one direction of an SA, for readers of captures; only while
    /// [`Device::set_key_log`] allows it.
    SaKeys {
        /// Outer source.
        source: IpAddr,
        /// Outer destination.
        destination: IpAddr,
        /// SPI.
        spi: Spi,
        /// Cipher.
        cipher: Cipher,
        /// Its key.
        cipher_key: Secret,
        /// Integrity algorithm.
        mac: Mac,
        /// Its key.
        mac_key: Secret,
    },
}

/// Everything that can happen to a device from outside but configuration and time.
#[derive(Debug)]
pub enum Input<'a, B> {
    /// A packet wants to leave by an interface, or arrived by it.
    Packet {
        /// The interface.
        on: InterfaceId,
        /// Which way it goes.
        direction: Direction,
        /// The packet.
        packet: B,
    },
    /// An ISAKMP message arrived by an interface.
    Datagram {
        /// The interface.
        on: InterfaceId,
        /// Its ends.
        path: Path,
        /// The message.
        bytes: &'a [u8],
    },
}
