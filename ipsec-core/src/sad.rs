//! SAs and the bundles they stand in.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{ChannelId, Cipher, Mac, Secret};

use crate::counters::Counters;
use crate::model::{Lifetime, Mode, Protocol, Role, Selector, Spi};
use crate::replay::ReplayWindow;
use crate::slab::{Id, Slab};
use crate::spd::PolicyId;
use crate::time::Instant;

/// An SA by slot and generation; the slot is the number that the screens print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaId(pub Id);

/// A bundle by slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub Id);

/// The states of an SA and of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaState {
    /// Not usable: something it needs could not be had.
    Invalid,
    /// Reserved; keys or channels are still to come.
    Creating,
    /// In use.
    Valid,
    /// No longer used; its channels are being closed.
    Removing,
}

/// The keys and the algorithms of one direction of one SA.
#[derive(Debug)]
pub struct SaKeys {
    /// The protocol.
    pub protocol: Protocol,
    /// The SPI of this direction.
    pub spi: Spi,
    /// The cipher.
    pub cipher: Cipher,
    /// The cipher's key.
    pub cipher_key: Secret,
    /// The integrity algorithm.
    pub mac: Mac,
    /// The integrity key.
    pub mac_key: Secret,
    /// The SA specification that was chosen.
    pub spec: u8,
}

/// One direction of a bundle as negotiated.
#[derive(Debug)]
pub struct Negotiated {
    /// One entry per protocol, the innermost first.
    pub sas: Vec<SaKeys>,
    /// Tunnel or transport.
    pub mode: Mode,
    /// Hard limits.
    pub lifetime: Lifetime,
    /// Who began the exchange.
    pub role: Role,
    /// Our end.
    pub local: IpAddr,
    /// The peer's end.
    pub peer: IpAddr,
    /// What the bundle carries: the policy's selectors or narrower ones.
    pub selector: Selector,
    /// The ISAKMP SA that watches over it.
    pub isakmp_sa: u32,
}

/// A pair of inbound and outbound SA of one protocol.
#[derive(Debug)]
pub struct Sa {
    /// The bundle it stands in.
    pub bundle: BundleId,
    /// The SA specification it was made from.
    pub spec: u8,
    /// Protocol.
    pub protocol: Protocol,
    /// Mode.
    pub mode: Mode,
    /// Cipher.
    pub cipher: Cipher,
    /// Integrity algorithm.
    pub mac: Mac,
    /// Our SPI.
    pub in_spi: Spi,
    /// The peer's SPI; 0 until it is known.
    pub out_spi: Spi,
    /// The channel that opens.
    pub in_channel: Option<ChannelId>,
    /// The channel that seals.
    pub out_channel: Option<ChannelId>,
    /// Sequence number of the packet sent last.
    pub sequence: u32,
    /// Sequence numbers received.
    pub replay: ReplayWindow,
    /// What happened on it.
    pub counters: Counters,
}

/// SAs that are applied together.
#[derive(Debug)]
pub struct Bundle {
    /// The policy that wants it.
    pub policy: PolicyId,
    /// Its number within the policy, from 0.
    pub index: u16,
    /// State.
    pub state: SaState,
    /// Its SAs, the innermost first.
    pub sas: Vec<SaId>,
    /// Hard limits; none for manual keys.
    pub lifetime: Option<Lifetime>,
    /// Who began the exchange.
    pub role: Role,
    /// When its negotiation began.
    pub began: Instant,
    /// When it became valid.
    pub since: Instant,
    /// Soft limit in seconds; 0 for none.
    pub soft_seconds: u32,
    /// Bytes carried, both directions, before encapsulation.
    pub bytes: u64,
    /// Our end of the tunnel.
    pub local: IpAddr,
    /// The peer's end of the tunnel.
    pub peer: IpAddr,
    /// What it carries.
    pub selector: Selector,
    /// The ISAKMP SA that watches over it.
    pub isakmp_sa: Option<u32>,
    /// Which halves are installed: inbound, outbound.
    pub installed: [bool; 2],
    /// Whether its renewal has been asked for.
    pub renewing: bool,
    /// The next thing that time does to it, under which it stands in the agenda.
    pub(crate) due: Option<Instant>,
    /// Removed at that time because a successor took over.
    pub(crate) retire_at: Option<Instant>,
    /// No renewal is asked for before.
    pub(crate) renew_not_before: Instant,
    /// Channels that are still to be detached.
    pub(crate) closing: u8,
}

impl Sa {
    /// An SA of which only our SPI is known.
    pub(crate) fn reserved(bundle: BundleId, protocol: Protocol, in_spi: Spi) -> Self {
        Self {
            bundle,
            spec: 0,
            protocol,
            mode: Mode::Tunnel,
            cipher: Cipher::Null,
            mac: Mac::None,
            in_spi,
            out_spi: Spi(0),
            in_channel: None,
            out_channel: None,
            sequence: 0,
            replay: ReplayWindow::new(None),
            counters: Counters::default(),
        }
    }
}

impl Bundle {
    /// An empty bundle of a policy between two ends.
    pub(crate) const fn creating(
        policy: PolicyId,
        index: u16,
        (local, peer): (IpAddr, IpAddr),
        selector: Selector,
        now: Instant,
    ) -> Self {
        Self {
            policy,
            index,
            state: SaState::Creating,
            sas: Vec::new(),
            lifetime: None,
            role: Role::Responder,
            began: now,
            since: now,
            soft_seconds: 0,
            bytes: 0,
            local,
            peer,
            selector,
            isakmp_sa: None,
            installed: [false; 2],
            renewing: false,
            due: None,
            retire_at: None,
            renew_not_before: Instant::ZERO,
            closing: 0,
        }
    }

    /// When it is renewed.
    #[must_use]
    pub fn soft_at(&self) -> Option<Instant> {
        self.lifetime?;
        let at = self.since + core::time::Duration::from_secs(self.soft_seconds.into());
        Some(at.max(self.renew_not_before))
    }

    /// When it is deleted.
    #[must_use]
    pub fn hard_at(&self) -> Option<Instant> {
        self.lifetime.map(|life| self.since + life.hard())
    }
}

/// The table of SAs with the index by inbound SPI.
#[derive(Debug)]
pub(crate) struct Sad {
    pub(crate) sas: Slab<Sa>,
    pub(crate) bundles: Slab<Bundle>,
    by_spi: BTreeMap<Spi, SaId>,
    by_channel: BTreeMap<ChannelId, SaId>,
}

impl Sad {
    pub(crate) const fn new(limit: u16) -> Self {
        Self {
            sas: Slab::new(limit),
            bundles: Slab::new(limit),
            by_spi: BTreeMap::new(),
            by_channel: BTreeMap::new(),
        }
    }

    pub(crate) fn find(&self, spi: Spi) -> Option<SaId> {
        self.by_spi.get(&spi).copied()
    }

    pub(crate) fn knows(&self, spi: Spi) -> bool {
        self.by_spi.contains_key(&spi)
    }

    /// Adds an SA; none when the table is full or its SPI is taken.
    pub(crate) fn add(&mut self, sa: Sa) -> Option<SaId> {
        if self.knows(sa.in_spi) {
            return None;
        }
        let spi = sa.in_spi;
        let id = SaId(self.sas.insert(sa).ok()?);
        self.by_spi.insert(spi, id);
        Some(id)
    }

    /// Makes an SA unreachable for packets; the entry stays until its channels are detached.
    pub(crate) fn unlist(&mut self, id: SaId) {
        if let Some(sa) = self.sas.get(id.0)
            && self.by_spi.get(&sa.in_spi) == Some(&id)
        {
            self.by_spi.remove(&sa.in_spi);
        }
    }

    pub(crate) fn own_channel(&mut self, channel: ChannelId, id: SaId) {
        self.by_channel.insert(channel, id);
    }

    pub(crate) fn disown_channel(&mut self, channel: ChannelId) -> Option<SaId> {
        self.by_channel.remove(&channel)
    }
}
