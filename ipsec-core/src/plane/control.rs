//! The control side: reservations, installation, removal.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use hw_offload::{ChannelId, ChannelSpec, Cipher, Entropy, KeyRing, Op, OpenFault, PacketBuf};

use super::hold::Fate;
use super::{
    DataPlane, InstallFault, PlaneEvent, PlaneState, RemoveWhy, ReserveFault, Reserved, of_ticket,
    ticket_of,
};
use crate::counters::{AlgorithmEvent, Happened};
use crate::model::{AddressSelector, Half, KeyManagement, Protocol, Selector, Spi, is_weak_key};
use crate::path::{Encap, PathId};
use crate::replay::ReplayWindow;
use crate::sad::{Bundle, BundleId, Negotiated, Sa, SaId, SaKeys, SaList, SaState, Traversal};
use crate::spd::PolicyId;
use crate::time::Instant;

impl<B: PacketBuf> DataPlane<B> {
    /// Reserves a bundle between two ends, ours and the peer's, with one SPI per protocol, in
    /// state CREATING.
    ///
    /// # Errors
    /// [`ReserveFault`]; nothing is kept.
    pub fn reserve(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        policy: PolicyId,
        ends: (IpAddr, IpAddr),
        protocols: &[Protocol],
    ) -> Result<Reserved, ReserveFault> {
        let state = &mut self.state;
        if !state.enabled {
            return Err(ReserveFault::Disabled);
        }
        let mut spis = Vec::with_capacity(protocols.len());
        for &protocol in protocols {
            spis.push((protocol, state.free_spi(entropy, &spis)?));
        }
        let id = state.begin_bundle(now, policy, ends)?;
        for (protocol, spi) in &spis {
            if !self.state.add_sa(Sa::reserved(id, *protocol, *spi)) {
                self.release(id, RemoveWhy::NegotiationFailed);
                return Err(ReserveFault::Full);
            }
        }
        Ok(Reserved { bundle: id, spis })
    }

    /// Installs one direction of a reserved bundle. The answer is [`PlaneEvent::Installed`] once
    /// the channels are open; when both directions are, the bundle is VALID.
    ///
    /// # Errors
    /// [`InstallFault`]; the bundle is then as before.
    pub fn install(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        bundle: BundleId,
        half: Half,
        negotiated: Negotiated,
    ) -> Result<(), InstallFault> {
        let mut jitter = [0];
        // Without randomness all SAs of a moment are renewed together, which is no fault.
        let jitter = entropy
            .fill(&mut jitter)
            .map_or(0, |()| u32::from(jitter[0] & 0xf));
        let Negotiated {
            sas,
            lifetime,
            role,
            local,
            peer,
            selector,
            isakmp_sa,
            traversal,
        } = negotiated;
        let state = &mut self.state;
        let record = state.sad.bundles.get(bundle.0);
        let record = record.ok_or(InstallFault::NoSuchBundle)?;
        let owner = state.policies.get(record.policy.0);
        let owner = owner.ok_or(InstallFault::NoSuchBundle)?;
        if record.state != SaState::Creating {
            return Err(InstallFault::NoSuchBundle);
        }
        let encap = match traversal.encap {
            Encap::None => owner.encapsulation,
            negotiated => negotiated,
        };
        if encap != Encap::None && sas.iter().any(|keys| keys.protocol == Protocol::Ah) {
            return Err(InstallFault::Encapsulation);
        }
        let selector = followed(&owner.selector, selector, peer);
        let specs = owner.bundle_config.as_ref().map(|(_, specs)| specs);
        let windows: Vec<Option<u16>> = sas
            .iter()
            .map(|keys| {
                let spec = specs?.iter().find(|spec| spec.number == keys.spec)?;
                spec.replay_window()
            })
            .collect();
        let first = record.lifetime.is_none();
        let chosen: Vec<Protocol> = sas.iter().map(|keys| keys.protocol).collect();
        self.state.keep_chosen(bundle, &chosen);
        self.install_keys(bundle, half, sas)?;
        // The second half is of the same negotiation; packets may have come since the first, so
        // that the window has seen some and the path may have moved.
        let fits = !first
            || self
                .state
                .settle_path(now, bundle, (local, peer), encap, traversal);
        let Some(record) = self.state.sad.bundles.get_mut(bundle.0).filter(|_| fits) else {
            self.release(bundle, RemoveWhy::NegotiationFailed);
            return Err(InstallFault::Full);
        };
        if first {
            record.lifetime = Some(lifetime);
            record.role = role;
            record.soft_seconds = lifetime.soft_seconds(role, jitter);
            record.selector = selector;
            record.isakmp_sa = Some(isakmp_sa);
            record.nat_oa = traversal.nat_oa.map(Box::new);
            for (id, window) in record.sas.iter().copied().zip(windows) {
                if let Some(sa) = self.state.sad.sas.get_mut(id.0) {
                    sa.replay = ReplayWindow::new(window);
                }
            }
        }
        Ok(())
    }

    /// Asks for the channels of one direction.
    pub(super) fn install_keys(
        &mut self,
        bundle: BundleId,
        half: Half,
        keys: Vec<SaKeys>,
    ) -> Result<(), InstallFault> {
        let state = &mut self.state;
        let record = state.sad.bundles.get(bundle.0);
        let ids = record.ok_or(InstallFault::NoSuchBundle)?.sas;
        let fits = ids.len() == keys.len()
            && ids.iter().zip(&keys).all(|(id, keys)| {
                state.sad.sas.get(id.0).is_some_and(|sa| {
                    sa.protocol == keys.protocol
                        && (half == Half::Outbound || sa.in_spi == keys.spi)
                })
            });
        if !fits {
            return Err(InstallFault::Mismatch);
        }
        let weak = |keys: &SaKeys| is_weak_key(keys.cipher, keys.cipher_key.expose());
        if keys.iter().any(weak) {
            return Err(InstallFault::WeakKey);
        }
        for (id, keys) in ids.iter().copied().zip(keys) {
            let SaKeys {
                protocol,
                spi,
                mode,
                cipher,
                cipher_key,
                mac,
                mac_key,
                spec,
            } = keys;
            if let Some(sa) = state.sad.sas.get_mut(id.0) {
                sa.spec = spec;
                sa.mode = mode;
                sa.cipher = cipher;
                sa.mac = mac;
            }
            let op = match half {
                Half::Outbound => Op::Seal,
                Half::Inbound => Op::Open,
            };
            if half == Half::Outbound {
                state.sad.set_out_spi(id, spi);
            }
            // The keys of an SA come in two halves, the inbound one always.
            if half == Half::Inbound {
                state.raise_algorithms(cipher, mac, AlgorithmEvent::KeymatProcessed);
                if cipher == Cipher::Null && protocol == Protocol::Esp {
                    state.counters.raise(Happened::NullKeymatProcessed);
                }
            }
            let spec = ChannelSpec {
                cipher,
                cipher_key,
                mac,
                mac_key,
                op,
            };
            state.events.push_back(PlaneEvent::Open {
                ticket: ticket_of(id, half),
                sa: id,
                half,
                spec,
            });
        }
        Ok(())
    }

    /// Has every SA go on after that sequence number.
    #[cfg(feature = "testing")]
    pub fn set_sequences(&mut self, sequence: u32) {
        for (_, sa) in self.state.sad.sas.iter_mut() {
            sa.sequence = sequence;
        }
    }

    /// The answer to [`PlaneEvent::Open`].
    pub fn opened(
        &mut self,
        now: Instant,
        ticket: hw_offload::Ticket,
        result: Result<ChannelId, OpenFault>,
    ) {
        let (id, half) = of_ticket(ticket);
        let state = &mut self.state;
        let found = state.sad.sas.get(id.0);
        let found = found.map(|sa| (sa.bundle, sa.protocol, sa.cipher, sa.mac));
        let creating = found
            .and_then(|(bundle, ..)| state.sad.bundles.get(bundle.0))
            .is_some_and(|bundle| bundle.state == SaState::Creating);
        let (Some((bundle, protocol, cipher, mac)), true) = (found, creating) else {
            // Its SA went while it was being opened.
            state.counters.raise(Happened::SetupBundleRemoving);
            match found {
                Some((_, Protocol::Esp, ..)) => {
                    state.counters.raise(Happened::EspSetupEncSetupBundleRm);
                }
                // Entries stay until their bundle has let go of its channels.
                Some((_, Protocol::Ah, ..)) => state.counters.raise(Happened::AhSetupGetSaFailed),
                None => state.counters.raise(Happened::EspSetupGetSaFailed),
            }
            if let Ok(channel) = result {
                state.events.push_back(PlaneEvent::Close(channel));
            }
            return;
        };
        let channel = match result {
            Ok(channel) => channel,
            Err(fault) => {
                state.raise_algorithms(
                    cipher,
                    mac,
                    match fault {
                        OpenFault::KeyLength => AlgorithmEvent::ConfigureFail,
                        OpenFault::Full | OpenFault::Engine => AlgorithmEvent::AttachFail,
                    },
                );
                let events: &[Happened] = match protocol {
                    Protocol::Esp if cipher == Cipher::Null => {
                        &[Happened::EspSetupHashSetupFailImm, Happened::EspSetupFailed]
                    }
                    Protocol::Esp => &[Happened::EspSetupEncSetupFailed, Happened::EspSetupFailed],
                    Protocol::Ah => &[Happened::AhSetupFailed],
                };
                for happened in events {
                    state.counters.raise(*happened);
                }
                if let Some(policy) = state.policy_of(bundle) {
                    state.raise(policy, Happened::SetupSaSetupFailed);
                }
                state.events.push_back(PlaneEvent::Installed {
                    bundle,
                    half,
                    ok: false,
                });
                self.release(bundle, RemoveWhy::EngineFailed);
                return;
            }
        };
        state.sad.own_channel(channel, id);
        if let Some(sa) = state.sad.sas.get_mut(id.0) {
            sa.attached = true;
            match half {
                Half::Inbound => sa.in_channel = Some(channel),
                Half::Outbound => sa.out_channel = Some(channel),
            }
            if sa.in_channel.is_some() && sa.out_channel.is_some() {
                state.counters.raise(match protocol {
                    Protocol::Esp => Happened::EspSetupDone,
                    Protocol::Ah => Happened::AhSetupDone,
                });
                for event in [AlgorithmEvent::AttachGood, AlgorithmEvent::ConfigureGood] {
                    state.raise_algorithms(cipher, mac, event);
                }
            }
        }
        let complete = state.bundle(bundle).is_some_and(|record| {
            record.sas.iter().all(|sa| {
                state.sad.sas.get(sa.0).is_some_and(|sa| match half {
                    Half::Inbound => sa.in_channel.is_some(),
                    Half::Outbound => sa.out_channel.is_some(),
                })
            })
        });
        if complete {
            self.half_done(now, bundle, half);
        }
    }

    fn half_done(&mut self, now: Instant, id: BundleId, half: Half) {
        let state = &mut self.state;
        let Some(bundle) = state.sad.bundles.get_mut(id.0) else {
            return;
        };
        bundle.installed[usize::from(half == Half::Outbound)] = true;
        state.events.push_back(PlaneEvent::Installed {
            bundle: id,
            half,
            ok: true,
        });
        if bundle.installed != [true; 2] {
            let policy = bundle.policy;
            state.relist_if_followed(policy);
            return;
        }
        bundle.state = SaState::Valid;
        bundle.since = now;
        let (policy, serial) = (bundle.policy, bundle.serial);
        state.raise(policy, Happened::SetupDone);
        if let (Some(owner), Some(bundle)) = (
            state.policies.get_mut(policy.0),
            state.sad.bundles.get_mut(id.0),
        ) {
            bundle.covers_policy = bundle.selector.contains(&owner.selector);
            owner.acquiring = false;
            owner.creating = owner.creating.saturating_sub(1);
            owner
                .ways
                .insert(&owner.selector, &bundle.selector, serial, id);
        }
        state
            .events
            .push_back(PlaneEvent::Created { bundle: id, policy });
        state.schedule(id);
        state.relist_if_followed(policy);
        self.hold.settle(policy, Fate::Release);
        self.displace(now, id);
        self.keep_within_limit(id);
    }

    /// A policy whose peer is whoever came last has no use for the bundles of another peer.
    fn displace(&mut self, now: Instant, id: BundleId) {
        let Some(path) = self.state.bundle(id).map(|bundle| bundle.path) else {
            return;
        };
        let owner = self.state.policy_of(id).and_then(|p| self.state.policy(p));
        let Some(owner) = owner.filter(|owner| owner.takes_the_last()) else {
            return;
        };
        let at = now + self.state.limits.replaced_linger;
        let elsewhere: Vec<BundleId> = owner
            .ways
            .all()
            .filter(|other| self.state.bundle(*other).is_some_and(|b| b.path != path))
            .collect();
        for old in elsewhere {
            self.state.leave_way(old);
            if let Some(bundle) = self.state.sad.bundles.get_mut(old.0) {
                bundle.retire_at = Some(bundle.retire_at.map_or(at, |already| already.min(at)));
                bundle.stays_in_use = false;
            }
            self.state.schedule(old);
        }
    }

    /// At most so many valid bundles that carry the same; the oldest go first. None of them is
    /// to be renewed any more.
    fn keep_within_limit(&mut self, id: BundleId) {
        let limit = usize::from(self.state.limits.bundles_per_policy).max(1);
        let siblings = self.state.siblings(id);
        let policy = self.state.policy_of(id);
        if let Some(owner) = policy.and_then(|policy| self.state.policies.get_mut(policy.0)) {
            owner.renewals.retain(|old| !siblings.contains(old));
        }
        let spare = (siblings.len() + 1).saturating_sub(limit);
        for oldest in siblings.into_iter().take(spare) {
            self.release(oldest, RemoveWhy::Replaced);
        }
    }

    /// The answer to [`PlaneEvent::Resolve`]. Bundles with another address of the peer go.
    pub fn resolved(
        &mut self,
        now: Instant,
        policy: PolicyId,
        address: Option<IpAddr>,
        keys: &KeyRing,
    ) {
        let Some(owner) = self.state.policies.get_mut(policy.0) else {
            return;
        };
        let Some(peer) = address else {
            return self.negotiation_failed(now, policy);
        };
        let moved = owner.peer.is_some_and(|before| before != peer);
        owner.peer = Some(peer);
        owner.local = self
            .state
            .net
            .source_for(peer, Some(owner.source_interface));
        let ends = owner.local.zip(owner.peer);
        let (asked, manual) = (
            owner.acquiring,
            owner.key_management == Some(KeyManagement::Manual),
        );
        if moved {
            let old: Vec<BundleId> = owner.bundles.clone();
            for id in old {
                let there = self.state.path_of(id).is_some_and(|path| path.peer == peer);
                if !there {
                    self.release(id, RemoveWhy::Replaced);
                }
            }
        }
        if manual {
            self.bring_up_manual(now, policy, keys);
        } else if asked {
            self.state.events.push_back(PlaneEvent::Acquire {
                policy,
                ends,
                replaces: None,
            });
        }
    }

    /// ISAKMP authenticated the peer of a path at another end. False if there is no such path.
    pub fn peer_moved(&mut self, local: SocketAddr, from: SocketAddr, to: SocketAddr) -> bool {
        let found = self.state.paths.find(local, from);
        if let Some(path) = found {
            self.state.paths.relocate(path, to);
        }
        found.is_some()
    }
}

impl PlaneState {
    fn free_spi(
        &self,
        entropy: &mut dyn Entropy,
        taken: &[(Protocol, Spi)],
    ) -> Result<Spi, ReserveFault> {
        // A collision with one of the SAs there are is rare; many in a row mean a broken source.
        for _ in 0..64 {
            let mut bytes = [0; 4];
            entropy
                .fill(&mut bytes)
                .map_err(|_| ReserveFault::NoEntropy)?;
            let spi = Spi::from_bytes(bytes);
            let free = spi >= Spi::FIRST
                && !self.sad.knows(spi)
                && !taken.iter().any(|(_, other)| *other == spi);
            if free {
                return Ok(spi);
            }
        }
        Err(ReserveFault::NoEntropy)
    }

    /// Adds an empty bundle to a policy.
    pub(super) fn begin_bundle(
        &mut self,
        now: Instant,
        policy: PolicyId,
        ends: (IpAddr, IpAddr),
    ) -> Result<BundleId, ReserveFault> {
        let Some(owner) = self.policies.get_mut(policy.0) else {
            self.counters.raise(Happened::SetupGetPolicyFail);
            return Err(ReserveFault::NoSuchPolicy);
        };
        let Some(path) = self.paths.join(now, ends, owner.encapsulation) else {
            self.raise(policy, Happened::OutSetupBundleFail);
            return Err(ReserveFault::Full);
        };
        let names = (owner.next_index, self.serial);
        let record = Bundle::creating(policy, names, path, owner.selector.clone(), now);
        let Ok(id) = self.sad.bundles.insert(record) else {
            self.leave_path(path);
            self.raise(policy, Happened::OutSetupBundleFail);
            return Err(ReserveFault::Full);
        };
        let id = BundleId(id);
        owner.next_index = owner.next_index.wrapping_add(1);
        owner.creating = owner.creating.saturating_add(1);
        owner.bundles.push(id);
        self.serial = self.serial.wrapping_add(1);
        self.raise(policy, Happened::SetupStarted);
        Ok(id)
    }

    /// Adds an SA to its bundle; false if there is no room.
    pub(super) fn add_sa(&mut self, sa: Sa) -> bool {
        let bundle = sa.bundle;
        let policy = self.policy_of(bundle);
        let added = self.sad.add(sa);
        let listed = match (added, self.sad.bundles.get_mut(bundle.0)) {
            (Some(id), Some(record)) => record.sas.push(id),
            _ => false,
        };
        if listed {
            self.counters.raise(Happened::AddSa);
        }
        if let Some(policy) = policy {
            self.raise(
                policy,
                if listed {
                    Happened::SetupSaSetupStarted
                } else {
                    Happened::SetupSaSetupFailImm
                },
            );
        }
        listed
    }

    pub(super) fn policy_of(&self, bundle: BundleId) -> Option<PolicyId> {
        self.bundle(bundle).map(|bundle| bundle.policy)
    }

    /// Puts a bundle on the path that was negotiated for it. False where there is no room for one.
    fn settle_path(
        &mut self,
        now: Instant,
        bundle: BundleId,
        ends: (IpAddr, IpAddr),
        encap: Encap,
        traversal: Traversal,
    ) -> bool {
        let Some(id) = self.paths.join(now, ends, encap) else {
            return false;
        };
        let heartbeat = self
            .policy_of(bundle)
            .and_then(|policy| self.policy(policy))
            .is_some_and(|policy| policy.config.udp_heartbeat == Some(true));
        if let Some(path) = self.paths.get_mut(id) {
            path.behind_nat |= traversal.behind_nat;
            path.heartbeat |= heartbeat;
        }
        let before = self
            .sad
            .bundles
            .get_mut(bundle.0)
            .map(|record| core::mem::replace(&mut record.path, id));
        if let Some(before) = before {
            self.leave_path(before);
        }
        self.schedule_path(id);
        true
    }

    pub(super) fn leave_path(&mut self, id: PathId) {
        if let Some(due) = self.paths.leave(id) {
            self.agenda.remove(&(due, super::Due::Path(id)));
        }
    }

    /// The other valid bundles of a policy that carry the same to the same peer, the oldest first.
    pub(super) fn siblings(&self, id: BundleId) -> Vec<BundleId> {
        let found = self
            .bundle(id)
            .and_then(|own| Some((own, self.policy(own.policy)?)));
        let Some((own, owner)) = found else {
            return Vec::new();
        };
        let anybody = owner.takes_anybody();
        let same = |other: &BundleId| {
            *other != id
                && self.bundle(*other).is_some_and(|other| {
                    other.selector == own.selector && (!anybody || other.path == own.path)
                })
        };
        let mut beside = owner.ways.beside(&owner.selector, &own.selector);
        beside.retain(same);
        beside
    }

    /// An initiator reserves for every candidate that it offers; what was not chosen goes, and the
    /// rest stands in the order in which it was chosen.
    fn keep_chosen(&mut self, id: BundleId, chosen: &[Protocol]) {
        let Some(sas) = self.bundle(id).map(|bundle| bundle.sas) else {
            return;
        };
        let of = |protocol: &Protocol| {
            let is = |sa: &&SaId| self.sa(**sa).is_some_and(|sa| sa.protocol == *protocol);
            sas.iter().find(is).copied()
        };
        let kept: SaList = chosen.iter().filter_map(of).collect();
        if kept.len() != chosen.len() {
            return;
        }
        for sa in sas.iter().filter(|sa| !kept.contains(sa)) {
            self.sad.unlist(*sa);
            self.sad.sas.remove(sa.0);
            self.counters.raise(Happened::DeleteSa);
        }
        if let Some(bundle) = self.sad.bundles.get_mut(id.0) {
            bundle.sas = kept;
        }
    }
}

/// What a bundle carries. Where the policy knows its peer by name only, the peer's addresses are
/// the one that it negotiated from.
fn followed(policy: &Selector, negotiated: Selector, peer: IpAddr) -> Selector {
    let named = policy.remote_name.is_some() && negotiated.remote.bounds().is_none();
    let fits = peer.is_ipv4() == (policy.version == crate::model::IpVersion::V4);
    if named && fits {
        Selector {
            remote: AddressSelector::host(peer),
            ..negotiated
        }
    } else {
        negotiated
    }
}
