//! SAs and the bundles they stand in.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Deref;

use hw_offload::{ChannelId, Cipher, Mac, Secret};

use crate::counters::SaCounters;
use crate::model::{Lifetime, Mode, Protocol, Role, Selector, Spi};
use crate::path::{Encap, PathId};
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
    /// Tunnel or transport.
    pub mode: Mode,
    /// The cipher; NULL for AH.
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

/// What NAT traversal found out for the SAs of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traversal {
    /// [`Encap::NatT`] where a NAT was found; UDPTUNNEL=TRUE of the policy needs nothing here.
    pub encap: Encap,
    /// Whether a NAT stands in front of us.
    pub behind_nat: bool,
    /// Source and destination that the peer sees on its own packets (NAT-OA), for the checksums of
    /// transport mode.
    pub nat_oa: Option<(IpAddr, IpAddr)>,
}

/// One direction of a bundle as negotiated.
#[derive(Debug)]
pub struct Negotiated {
    /// One entry per protocol, the innermost first.
    pub sas: Vec<SaKeys>,
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
    /// What NAT traversal found out.
    pub traversal: Traversal,
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
    /// Whether it has, or had, a channel.
    pub(crate) attached: bool,
    /// What happened on it.
    pub counters: SaCounters,
}

/// The SAs of a bundle, the innermost first: at most one per protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaList {
    sas: [SaId; Self::MAX],
    len: u8,
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
    /// Its SAs, the innermost first: in the order in which they are applied to what leaves.
    pub sas: SaList,
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
    /// When an authentic packet last arrived on it.
    pub heard: Option<Instant>,
    /// The way to the peer.
    pub path: PathId,
    /// What it carries.
    pub selector: Selector,
    /// The ISAKMP SA that watches over it.
    pub isakmp_sa: Option<u32>,
    /// Which halves are installed: inbound, outbound.
    pub installed: [bool; 2],
    /// Whether its renewal has been asked for.
    pub renewing: bool,
    /// Whether an authentic packet arrived on it since it is valid.
    pub(crate) confirmed: bool,
    /// Whether it carries everything that its policy selects; known once it is valid.
    pub(crate) covers_policy: bool,
    /// Whether it reached its hard limit in bytes.
    pub(crate) spent: bool,
    /// Source and destination that the peer sees on its own packets (NAT-OA).
    pub nat_oa: Option<Box<(IpAddr, IpAddr)>>,
    /// Counts the bundles of the plane: the newer has the greater.
    pub(crate) serial: u64,
    /// The next thing that time does to it, under which it stands in the agenda.
    pub(crate) due: Option<Instant>,
    /// Removed at that time because a successor took over.
    pub(crate) retire_at: Option<Instant>,
    /// Whether it stays all the same while the peer sends on it.
    pub(crate) stays_in_use: bool,
    /// No renewal is asked for before.
    pub(crate) renew_not_before: Instant,
    /// Channels that are still to be detached.
    pub(crate) closing: u8,
}

impl SaList {
    /// The most SAs of a bundle.
    pub const MAX: usize = 2;

    pub(crate) const fn new() -> Self {
        let none = SaId(Id {
            slot: u32::MAX,
            generation: u32::MAX,
        });
        Self {
            sas: [none; Self::MAX],
            len: 0,
        }
    }

    /// Adds the next outer one; false if there is no room.
    pub(crate) fn push(&mut self, sa: SaId) -> bool {
        let Some(place) = self.sas.get_mut(usize::from(self.len)) else {
            return false;
        };
        *place = sa;
        self.len += 1;
        true
    }
}

impl FromIterator<SaId> for SaList {
    fn from_iter<I: IntoIterator<Item = SaId>>(sas: I) -> Self {
        let mut list = Self::new();
        for sa in sas.into_iter().take(Self::MAX) {
            list.push(sa);
        }
        list
    }
}

impl Deref for SaList {
    type Target = [SaId];

    fn deref(&self) -> &[SaId] {
        self.sas.get(..usize::from(self.len)).unwrap_or(&[])
    }
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
            attached: false,
            counters: SaCounters::default(),
        }
    }
}

impl Bundle {
    /// An empty bundle of a policy on a path.
    pub(crate) const fn creating(
        policy: PolicyId,
        (index, serial): (u16, u64),
        path: PathId,
        selector: Selector,
        now: Instant,
    ) -> Self {
        Self {
            policy,
            index,
            state: SaState::Creating,
            sas: SaList::new(),
            lifetime: None,
            role: Role::Responder,
            began: now,
            since: now,
            soft_seconds: 0,
            bytes: 0,
            heard: None,
            path,
            selector,
            isakmp_sa: None,
            installed: [false; 2],
            renewing: false,
            confirmed: false,
            covers_policy: false,
            spent: false,
            nat_oa: None,
            serial,
            due: None,
            retire_at: None,
            stays_in_use: false,
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

    /// Whether packets may still use it. Its life ends at the hard limit, also before anybody
    /// looked at the clock.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        let usable = matches!(self.state, SaState::Valid | SaState::Creating);
        usable && !self.spent && self.hard_at().is_none_or(|hard| now < hard)
    }
}

/// The table of SAs with its indices: ours by inbound SPI, the peers' by outbound SPI.
#[derive(Debug)]
pub(crate) struct Sad {
    pub(crate) sas: Slab<Sa>,
    pub(crate) bundles: Slab<Bundle>,
    by_spi: BTreeMap<(Spi, Protocol), SaId>,
    by_out_spi: BTreeSet<(Spi, SaId)>,
    by_channel: BTreeMap<ChannelId, SaId>,
}

impl Sad {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            sas: Slab::new(limit),
            bundles: Slab::new(limit),
            by_spi: BTreeMap::new(),
            by_out_spi: BTreeSet::new(),
            by_channel: BTreeMap::new(),
        }
    }

    /// The SA that receives on an SPI.
    pub(crate) fn find(&self, spi: Spi, protocol: Protocol) -> Option<SaId> {
        self.by_spi.get(&(spi, protocol)).copied()
    }

    /// Whether an SPI is in use, with whatever protocol.
    pub(crate) fn knows(&self, spi: Spi) -> bool {
        [Protocol::Esp, Protocol::Ah]
            .iter()
            .any(|protocol| self.find(spi, *protocol).is_some())
    }

    /// The SAs that send with an SPI: one per peer that chose it.
    pub(crate) fn sending_with(&self, spi: Spi) -> impl Iterator<Item = (SaId, &Sa)> {
        let slot = |slot| SaId(Id::from_u64(slot));
        self.by_out_spi
            .range((spi, slot(0))..)
            .take_while(move |(other, _)| *other == spi)
            .filter_map(|(_, id)| Some((*id, self.sas.get(id.0)?)))
    }

    /// Adds an SA; none when the table is full or its SPI is taken.
    pub(crate) fn add(&mut self, sa: Sa) -> Option<SaId> {
        let key = (sa.in_spi, sa.protocol);
        if self.by_spi.contains_key(&key) {
            return None;
        }
        let id = SaId(self.sas.insert(sa).ok()?);
        self.by_spi.insert(key, id);
        Some(id)
    }

    /// Sets the SPI that the peer chose.
    pub(crate) fn set_out_spi(&mut self, id: SaId, spi: Spi) {
        if let Some(sa) = self.sas.get_mut(id.0) {
            self.by_out_spi.remove(&(sa.out_spi, id));
            sa.out_spi = spi;
            self.by_out_spi.insert((spi, id));
        }
    }

    /// Makes an SA unreachable for packets; the entry stays until its channels are detached.
    pub(crate) fn unlist(&mut self, id: SaId) {
        if let Some(sa) = self.sas.get(id.0) {
            let key = (sa.in_spi, sa.protocol);
            if self.by_spi.get(&key) == Some(&id) {
                self.by_spi.remove(&key);
            }
            self.by_out_spi.remove(&(sa.out_spi, id));
        }
    }

    pub(crate) fn own_channel(&mut self, channel: ChannelId, id: SaId) {
        self.by_channel.insert(channel, id);
    }

    pub(crate) fn disown_channel(&mut self, channel: ChannelId) -> Option<SaId> {
        self.by_channel.remove(&channel)
    }
}
