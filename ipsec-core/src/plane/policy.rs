//! A policy as the plane uses it.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::ways::Ways;
use crate::counters::PolicyCounters;
use crate::debug::DebugMask;
use crate::model::{
    Action, BundleConfig, DfBit, KeyManagement, PeerAddress, PolicyConfig, SaSpecConfig, Selector,
};
use crate::net::InterfaceId;
use crate::path::Encap;
use crate::sad::BundleId;
use crate::time::Instant;

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// Its record.
    pub config: PolicyConfig,
    /// The bundle specification and the SA specifications that it uses.
    pub bundle_config: Option<(BundleConfig, Vec<SaSpecConfig>)>,
    /// The interface.
    pub on: InterfaceId,
    /// What it does.
    pub action: Action,
    /// Where keys come from.
    pub key_management: Option<KeyManagement>,
    /// What it selects.
    pub selector: Selector,
    /// The peer's end, if it is one: fixed, or found by its name.
    pub peer: Option<IpAddr>,
    /// Our end towards it.
    pub local: Option<IpAddr>,
    /// The DF bit of the outer header.
    pub df: DfBit,
    /// Its bundles, the oldest first.
    pub bundles: Vec<BundleId>,
    /// Packets that wait.
    pub queued: u8,
    /// What happened to its packets.
    pub counters: PolicyCounters,
    /// What is watched of them.
    pub debug: DebugMask,
    /// The bundles that carry what leaves.
    pub(super) ways: Ways,
    /// The next bundle's number.
    pub(super) next_index: u16,
    /// Whether a bundle has been asked for and is still to come.
    pub(super) acquiring: bool,
    /// Its bundles that are not valid yet.
    pub(super) creating: u16,
    /// Bundles whose successors have been asked for.
    pub(super) renewals: Vec<BundleId>,
    /// The interface whose address is ours: SRCINTERFACE, or the sending one.
    pub(super) source_interface: InterfaceId,
    /// The encapsulation of UDPTUNNEL=TRUE.
    pub(super) encapsulation: Encap,
    /// When an unknown SPI of its peer was last told.
    pub(super) bad_spi_at: Option<Instant>,
}

impl Policy {
    /// Whether its bundles would be the same under another record of the same name.
    pub(super) fn equal_to(&self, other: &Self) -> bool {
        let named = matches!(self.config.peer, Some(PeerAddress::Host(_)));
        // What was negotiated stays as it was agreed on; the next negotiation has the new values.
        let negotiated = self.key_management == Some(KeyManagement::Isakmp);
        self.config == other.config
            && (negotiated || self.bundle_config == other.bundle_config)
            && self.on == other.on
            && (named || (self.peer == other.peer && self.local == other.local))
            && self.encapsulation == other.encapsulation
    }

    /// Whether any number of peers may have bundles at once.
    pub(super) fn takes_anybody(&self) -> bool {
        self.config.peer == Some(PeerAddress::Any)
    }

    /// Whether whoever came last is the peer.
    pub(super) fn takes_the_last(&self) -> bool {
        self.config.peer == Some(PeerAddress::Dynamic)
    }

    /// Whether only its bundles know which addresses the peer has: RNAME without RADDRESS.
    pub(super) fn follows_bundles(&self) -> bool {
        self.action == Action::Ipsec
            && self.config.rname.is_some()
            && self.selector.remote.bounds().is_none()
    }

    /// Whether there is, or will soon be, something that packets can wait for.
    pub(super) const fn is_busy(&self) -> bool {
        self.acquiring || self.creating > 0
    }
}
