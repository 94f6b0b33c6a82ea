//! The tables of the endpoint, each with the indices that its messages are found by. No look-up
//! walks a table.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

use ipsec_core::model::{AddressSelector, Name};
use ipsec_core::{BundleId, Id, Instant};

use crate::ask::Path;
use crate::keys::Cookies;
use crate::phase1::Exchange;
use crate::phase2::{Exchange as Quick, Kept};
use crate::sa::{IsakmpSa, IsakmpSaId, PeerKey};
use crate::timed::Timed;
use crate::transaction::Exchange as Transaction;
use crate::wire::{Cookie, MessageId};

const FIRST: Id = Id {
    slot: 0,
    generation: 0,
};

/// The ISAKMP SAs.
#[derive(Debug)]
pub(super) struct Sas {
    table: Timed<IsakmpSa>,
    by_cookies: BTreeMap<Cookies, Id>,
    /// The newest of a peer's address first.
    by_address: BTreeSet<(IpAddr, Reverse<u32>, Id)>,
    by_peer: BTreeSet<(PeerKey, Id)>,
}

impl Sas {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            table: Timed::new(limit),
            by_cookies: BTreeMap::new(),
            by_address: BTreeSet::new(),
            by_peer: BTreeSet::new(),
        }
    }

    pub(super) fn insert(&mut self, sa: IsakmpSa) -> Option<Id> {
        let (cookies, number, key) = (sa.cookies, sa.number, sa.peer_key());
        let address = sa.path.peer.ip();
        let id = self.table.insert(sa).ok()?;
        self.by_cookies.insert(cookies, id);
        self.by_address.insert((address, Reverse(number), id));
        self.by_peer.insert((key, id));
        Some(id)
    }

    pub(super) fn get(&self, id: Id) -> Option<&IsakmpSa> {
        self.table.get(id)
    }

    /// An SA, to change anything but its path, for which there is [`Sas::moved`].
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut IsakmpSa> {
        self.table.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<IsakmpSa> {
        let sa = self.table.remove(id)?;
        self.by_cookies.remove(&sa.cookies);
        let address = sa.path.peer.ip();
        self.by_address.remove(&(address, Reverse(sa.number), id));
        self.by_peer.remove(&(sa.peer_key(), id));
        Some(sa)
    }

    /// The peer of an SA is elsewhere now.
    pub(super) fn moved(&mut self, id: Id, path: Path) {
        let Some(sa) = self.table.get_mut(id) else {
            return;
        };
        let (old, number) = (sa.path.peer.ip(), sa.number);
        let old_key = sa.peer_key();
        sa.path = path;
        let key = sa.peer_key();
        self.by_address.remove(&(old, Reverse(number), id));
        self.by_address
            .insert((path.peer.ip(), Reverse(number), id));
        self.by_peer.remove(&(old_key, id));
        self.by_peer.insert((key, id));
    }

    /// It turned out whose an SA is.
    pub(super) fn belongs_to(&mut self, id: Id, owner: PeerKey) {
        if let Some(sa) = self.table.get_mut(id) {
            self.by_peer.remove(&(sa.peer_key(), id));
            self.by_peer.insert((owner.clone(), id));
            sa.belongs_to(owner);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &IsakmpSa)> {
        self.table.iter()
    }

    pub(super) fn by_cookies(&self, cookies: Cookies) -> Option<IsakmpSaId> {
        self.by_cookies.get(&cookies).copied().map(IsakmpSaId)
    }

    /// The SAs with an address, the newest first.
    pub(super) fn with(&self, address: IpAddr) -> impl Iterator<Item = (IsakmpSaId, &IsakmpSa)> {
        let start = (address, Reverse(u32::MAX), FIRST);
        self.by_address
            .range(start..)
            .take_while(move |(other, ..)| *other == address)
            .filter_map(|(_, _, id)| Some((IsakmpSaId(*id), self.table.get(*id)?)))
    }

    /// The SAs of a peer, wherever it is.
    pub(super) fn of<'a>(&'a self, peer: &'a PeerKey) -> impl Iterator<Item = (Id, &'a IsakmpSa)> {
        self.by_peer
            .range((peer.clone(), FIRST)..)
            .take_while(move |(other, _)| other == peer)
            .filter_map(|(_, id)| Some((*id, self.table.get(*id)?)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.table.deadline()
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        self.table.take_due(now)
    }
}

/// The phase 1 exchanges.
#[derive(Debug)]
pub(super) struct Phase1s {
    table: Timed<Exchange>,
    by_cookie: BTreeSet<(Cookie, Id)>,
    /// By the address that the exchange began with.
    by_address: BTreeSet<(IpAddr, Id)>,
}

impl Phase1s {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            table: Timed::new(limit),
            by_cookie: BTreeSet::new(),
            by_address: BTreeSet::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    pub(super) fn insert(&mut self, exchange: Exchange) -> Option<Id> {
        let (cookie, address) = (exchange.common.cookies.0, exchange.common.address);
        let id = self.table.insert(exchange).ok()?;
        self.by_cookie.insert((cookie, id));
        self.by_address.insert((address, id));
        Some(id)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Exchange> {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Exchange> {
        self.table.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Exchange> {
        let exchange = self.table.remove(id)?;
        let common = &exchange.common;
        self.by_cookie.remove(&(common.cookies.0, id));
        self.by_address.remove(&(common.address, id));
        Some(exchange)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Exchange)> {
        self.table.iter()
    }

    /// The exchanges that an initiator's cookie names.
    pub(super) fn named(&self, cookie: Cookie) -> impl Iterator<Item = (Id, &Exchange)> {
        self.by_cookie
            .range((cookie, FIRST)..)
            .take_while(move |(other, _)| *other == cookie)
            .filter_map(|(_, id)| Some((*id, self.table.get(*id)?)))
    }

    /// The exchanges with an address.
    pub(super) fn with(&self, address: IpAddr) -> impl Iterator<Item = (Id, &Exchange)> {
        self.by_address
            .range((address, FIRST)..)
            .take_while(move |(other, _)| *other == address)
            .filter_map(|(_, id)| Some((*id, self.table.get(*id)?)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.table.deadline()
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        self.table.take_due(now)
    }
}

/// The quick modes.
#[derive(Debug)]
pub(super) struct Quicks {
    table: Timed<Quick>,
    by_message: BTreeMap<(IsakmpSaId, MessageId), Id>,
    /// By the IPsec policy's name in lower case.
    by_policy: BTreeSet<(String, Id)>,
}

impl Quicks {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            table: Timed::new(limit),
            by_message: BTreeMap::new(),
            by_policy: BTreeSet::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    pub(super) fn insert(&mut self, quick: Quick) -> Option<Id> {
        let common = &quick.common;
        let message = (common.sa, common.message_id);
        let policy = common.policy.as_str().to_ascii_lowercase();
        let id = self.table.insert(quick).ok()?;
        self.by_message.insert(message, id);
        self.by_policy.insert((policy, id));
        Some(id)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Quick> {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Quick> {
        self.table.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Quick> {
        let quick = self.table.remove(id)?;
        let common = &quick.common;
        self.by_message.remove(&(common.sa, common.message_id));
        let policy = common.policy.as_str().to_ascii_lowercase();
        self.by_policy.remove(&(policy, id));
        Some(quick)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Quick)> {
        self.table.iter()
    }

    pub(super) fn by_message(&self, sa: IsakmpSaId, message_id: MessageId) -> Option<Id> {
        self.by_message.get(&(sa, message_id)).copied()
    }

    /// The quick modes under an SA.
    pub(super) fn under(&self, sa: IsakmpSaId) -> impl Iterator<Item = (Id, &Quick)> {
        self.by_message
            .range((sa, MessageId(0))..=(sa, MessageId(u32::MAX)))
            .filter_map(|(_, id)| Some((*id, self.table.get(*id)?)))
    }

    /// Those for an IPsec policy with a peer's address.
    pub(super) fn of(&self, policy: &Name, peer: IpAddr) -> impl Iterator<Item = &Quick> {
        let policy = policy.as_str().to_ascii_lowercase();
        self.by_policy
            .range((policy.clone(), FIRST)..)
            .take_while(move |(other, _)| *other == policy)
            .filter_map(|(_, id)| self.table.get(*id))
            .filter(move |quick| quick.common.talk.path.peer.ip() == peer)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.table.deadline()
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        self.table.take_due(now)
    }
}

/// Bundles of one peer that carry the same, at most: that many may stand before the range of
/// another peer.
const BEFORE: usize = 8;

fn range_of(child: &Child) -> (String, Option<IpAddr>, BundleId) {
    let policy = child.policy.as_str().to_ascii_lowercase();
    let low = child.kept.remote.bounds().map(|(low, _)| low);
    (policy, low, child.bundle)
}

/// The transactions, at most one under an SA.
#[derive(Debug)]
pub(super) struct Transactions {
    table: Timed<Transaction>,
    by_sa: BTreeMap<IsakmpSaId, Id>,
}

impl Transactions {
    pub(super) const fn new(limit: u32) -> Self {
        Self {
            table: Timed::new(limit),
            by_sa: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, exchange: Transaction) -> Option<Id> {
        let sa = exchange.common.sa;
        let id = self.table.insert(exchange).ok()?;
        self.by_sa.insert(sa, id);
        Some(id)
    }

    pub(super) fn get(&self, id: Id) -> Option<&Transaction> {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Transaction> {
        self.table.get_mut(id)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Transaction> {
        let exchange = self.table.remove(id)?;
        self.by_sa.remove(&exchange.common.sa);
        Some(exchange)
    }

    /// The one under an SA.
    pub(super) fn under(&self, sa: IsakmpSaId) -> Option<Id> {
        self.by_sa.get(&sa).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Transaction)> {
        self.table.iter()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.table.deadline()
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        self.table.take_due(now)
    }
}

/// A bundle that was negotiated and still lives.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) bundle: BundleId,
    /// The number of the exchange that made it.
    pub(super) exchange: u32,
    /// The IPsec policy.
    pub(super) policy: Name,
    /// Whose it is: several peers may share an address.
    pub(super) owner: PeerKey,
    pub(super) user: Option<Vec<u8>>,
    pub(super) peer: IpAddr,
    pub(super) since: Instant,
    /// What its negotiation left.
    pub(super) kept: Kept,
}

/// The bundles by their names, owners and addresses.
#[derive(Debug, Default)]
pub(super) struct Children {
    all: BTreeMap<BundleId, Child>,
    by_owner: BTreeSet<(PeerKey, BundleId)>,
    by_address: BTreeSet<(IpAddr, BundleId)>,
    /// By policy and the lowest address of the peer's side.
    by_range: BTreeSet<(String, Option<IpAddr>, BundleId)>,
}

impl Children {
    pub(super) fn insert(&mut self, child: Child) {
        self.by_range.insert(range_of(&child));
        self.by_owner.insert((child.owner.clone(), child.bundle));
        self.by_address.insert((child.peer, child.bundle));
        self.all.insert(child.bundle, child);
    }

    pub(super) fn remove(&mut self, bundle: BundleId) -> Option<Child> {
        let child = self.all.remove(&bundle)?;
        self.by_owner.remove(&(child.owner.clone(), bundle));
        self.by_address.remove(&(child.peer, bundle));
        self.by_range.remove(&range_of(&child));
        Some(child)
    }

    pub(super) fn get(&self, bundle: BundleId) -> Option<&Child> {
        self.all.get(&bundle)
    }

    pub(super) fn is_any_with(&self, address: IpAddr) -> bool {
        let start = (address, BundleId(FIRST));
        let first = self.by_address.range(start..).next();
        first.is_some_and(|(other, _)| *other == address)
    }

    /// The bundles of a peer.
    pub(super) fn owned<'a>(&'a self, owner: &'a PeerKey) -> impl Iterator<Item = &'a Child> {
        self.by_owner
            .range((owner.clone(), BundleId(FIRST))..)
            .take_while(move |(other, _)| other == owner)
            .filter_map(|(_, bundle)| self.all.get(bundle))
    }

    /// The peer of some bundles has another address, and is known by another key perhaps.
    pub(super) fn moved(&mut self, owner: &PeerKey, to: IpAddr, key: &PeerKey) {
        let theirs: Vec<BundleId> = self.owned(owner).map(|child| child.bundle).collect();
        for bundle in theirs {
            if let Some(child) = self.all.get_mut(&bundle) {
                self.by_address.remove(&(child.peer, bundle));
                child.peer = to;
                self.by_address.insert((to, bundle));
                self.by_owner.remove(&(owner.clone(), bundle));
                child.owner = key.clone();
                self.by_owner.insert((key.clone(), bundle));
            }
        }
    }

    /// Whether somebody else has addresses of a range under a policy. Ranges of different peers
    /// do not overlap, since that is asked first: of those that begin before this one only the
    /// last can reach into it.
    pub(super) fn is_taken(
        &self,
        policy: &Name,
        wanted: &AddressSelector,
        foreign: impl Fn(&Child) -> bool,
    ) -> bool {
        let policy = policy.as_str().to_ascii_lowercase();
        let (low, high) = match wanted.bounds() {
            Some((low, high)) => (Some(low), Some(high)),
            None => (None, None),
        };
        let start = (policy.clone(), low, BundleId(FIRST));
        let within = self
            .by_range
            .range(start.clone()..)
            .take_while(|(other, from, _)| *other == policy && (high.is_none() || *from <= high));
        let before = self.by_range.range(..start).rev();
        let before = before
            .take_while(|(other, ..)| *other == policy)
            .take(BEFORE);
        within
            .chain(before)
            .filter_map(|(_, _, bundle)| self.all.get(bundle))
            .any(|child| child.kept.remote.overlaps(wanted) && foreign(child))
    }

    /// Whether one of some bundles has addresses of a range, whatever its policy.
    pub(super) fn is_held(&self, wanted: &AddressSelector, among: impl Fn(&Child) -> bool) -> bool {
        self.all.values().any(|child| {
            let own = AddressSelector::host(child.peer);
            // Whoever is known by name only has its own address.
            let remote = child
                .kept
                .remote
                .bounds()
                .map_or(own, |_| child.kept.remote);
            remote.overlaps(wanted) && among(child)
        })
    }

    /// The bundles of a peer that are not younger than that.
    pub(super) fn of(&self, owner: &PeerKey, until: Instant) -> Vec<BundleId> {
        self.by_owner
            .range((owner.clone(), BundleId(FIRST))..)
            .take_while(|(other, _)| other == owner)
            .filter_map(|(_, bundle)| self.all.get(bundle))
            .filter(|child| child.since <= until)
            .map(|child| child.bundle)
            .collect()
    }
}
