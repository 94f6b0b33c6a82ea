//! The end of bundles.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{ChannelId, PacketBuf};

use super::hold::Fate;
use super::{DataPlane, PlaneEvent, PlaneState, RemoveWhy, RemovedBundle};
use crate::counters::{AlgorithmEvent, Happened};
use crate::model::{KeyManagement, PeerAddress, Protocol, Spi};
use crate::reason::DropReason;
use crate::sad::{BundleId, SaId, SaState};
use crate::spd::PolicyId;
use crate::time::Instant;

impl<B: PacketBuf> DataPlane<B> {
    /// Removes a bundle, whatever its state. Its SPIs are free at once, its numbers when the
    /// engine has let go of its channels.
    pub fn release(&mut self, id: BundleId, why: RemoveWhy) {
        let state = &mut self.state;
        let Some(bundle) = state.sad.bundles.get(id.0) else {
            state.counters.raise(Happened::DeleteSaFailed);
            return;
        };
        if bundle.state == SaState::Removing {
            return;
        }
        let was_valid = bundle.state == SaState::Valid;
        let was_creating = bundle.state == SaState::Creating;
        let (policy, sas, path_id) = (bundle.policy, bundle.sas, bundle.path);
        let isakmp_sa = bundle.isakmp_sa;
        let peer = state.path(path_id).map(|path| path.peer);
        state.leave_way(id);
        let (inbound, closing) = state.close_channels(&sas);
        state.raise(policy, Happened::RemoveStarted);
        if was_creating {
            state.raise(policy, Happened::SetupFailed);
        }
        if let Some(bundle) = state.sad.bundles.get_mut(id.0) {
            bundle.state = SaState::Removing;
            bundle.closing = closing;
            if let Some(at) = bundle.due.take() {
                state.agenda.remove(&(at, super::Due::Bundle(id)));
            }
        }
        state.leave_path(path_id);
        if let Some(owner) = state.policies.get_mut(policy.0) {
            owner.bundles.retain(|other| *other != id);
            if was_creating {
                owner.creating = owner.creating.saturating_sub(1);
            }
        }
        state.relist_if_followed(policy);
        let name = state.policy(policy).map(|owner| owner.config.name.clone());
        if let (Some(peer), Some(name)) = (peer, name) {
            let removed = RemovedBundle {
                bundle: id,
                policy,
                name,
                peer,
                inbound,
                isakmp_sa,
                was_valid,
            };
            state.events.push_back(PlaneEvent::Removed { removed, why });
        }
        if closing == 0 {
            state.forget(id);
        }
        self.wake(policy);
    }

    /// Packets that wait for a bundle that will not come need another.
    fn wake(&mut self, policy: PolicyId) {
        let Some(owner) = self.state.policies.get(policy.0) else {
            return;
        };
        if owner.is_busy() || !self.hold.waits(policy) {
            return;
        }
        let begins = matches!(
            owner.config.peer,
            Some(PeerAddress::Address(_) | PeerAddress::Host(_))
        );
        if begins && owner.key_management == Some(KeyManagement::Isakmp) {
            self.state.ask_for_bundle(policy);
        } else {
            self.hold
                .settle(policy, Fate::Discard(DropReason::NegotiationFailed));
        }
    }

    /// The answer to [`PlaneEvent::Close`].
    pub fn detached(&mut self, channel: ChannelId) {
        let owner = self.state.sad.disown_channel(channel);
        let Some(bundle) = owner.and_then(|sa| Some(self.state.sa(sa)?.bundle)) else {
            // It was opened too late for its SA.
            self.state.counters.raise(Happened::EspRemoveGetSaFailed);
            return;
        };
        if let Some(record) = self.state.sad.bundles.get_mut(bundle.0) {
            record.closing = record.closing.saturating_sub(1);
            if record.state == SaState::Removing && record.closing == 0 {
                self.state.forget(bundle);
            }
        }
    }

    /// Removes every bundle of a policy: RESET IPSEC POLICY.
    pub fn reset_policy(&mut self, id: PolicyId, why: RemoveWhy) {
        let fate = Fate::Discard(DropReason::PolicyChanged);
        self.hold.settle(id, fate);
        // Taken out at once: to look for every one of many again would take long.
        let owner = self.state.policies.get_mut(id.0);
        let bundles = owner.map(|policy| {
            policy.acquiring = false;
            policy.renewals.clear();
            core::mem::take(&mut policy.bundles)
        });
        for bundle in bundles.unwrap_or_default() {
            self.release(bundle, why);
        }
    }

    /// A negotiation for a policy ended without a bundle: what waits is dropped, and the next
    /// packet asks again.
    pub fn negotiation_failed(&mut self, now: Instant, policy: PolicyId) {
        let retry = now + self.state.limits.rekey_retry;
        let Some(owner) = self.state.policies.get_mut(policy.0) else {
            return;
        };
        owner.acquiring = false;
        if owner.creating == 0 {
            self.hold
                .settle(policy, Fate::Discard(DropReason::NegotiationFailed));
        }
        for id in core::mem::take(&mut owner.renewals) {
            if let Some(bundle) = self.state.sad.bundles.get_mut(id.0) {
                bundle.renewing = false;
                bundle.renew_not_before = retry;
                self.state.schedule(id);
            }
        }
    }

    /// Removes the bundle whose outbound SA has that SPI with that peer: the peer deleted its
    /// inbound SA. False if there is none.
    pub fn delete_by_spi(&mut self, peer: IpAddr, protocol: Protocol, spi: Spi) -> bool {
        let found = self.state.sad.sending_with(spi).find_map(|(_, sa)| {
            let bundle = self.state.bundle(sa.bundle)?;
            let there = self.state.path(bundle.path)?.peer == peer;
            (sa.protocol == protocol && there && bundle.state == SaState::Valid)
                .then_some(sa.bundle)
        });
        match found {
            Some(bundle) => self.release(bundle, RemoveWhy::PeerDeleted),
            None => self.state.counters.raise(Happened::DeleteSaFailed),
        }
        found.is_some()
    }
}

impl PlaneState {
    /// Takes a bundle out of those that carry what leaves.
    pub(super) fn leave_way(&mut self, id: BundleId) {
        let Some(bundle) = self.sad.bundles.get(id.0) else {
            return;
        };
        if bundle.state == SaState::Valid
            && let Some(owner) = self.policies.get_mut(bundle.policy.0)
        {
            owner
                .ways
                .remove(&owner.selector, &bundle.selector, bundle.serial);
        }
    }

    /// Unlists SAs and has their channels closed: our SPIs, and how many channels.
    fn close_channels(&mut self, sas: &[SaId]) -> (Vec<(Protocol, Spi)>, u8) {
        let mut inbound = Vec::with_capacity(sas.len());
        let mut closing = 0;
        for sa in sas {
            self.sad.unlist(*sa);
            let Some(entry) = self.sad.sas.get_mut(sa.0) else {
                continue;
            };
            inbound.push((entry.protocol, entry.in_spi));
            let channels = [entry.in_channel.take(), entry.out_channel.take()];
            let (bundle, protocol) = (entry.bundle, entry.protocol);
            let (cipher, mac) = (entry.cipher, entry.mac);
            self.counters.raise(Happened::DeleteSa);
            if channels != [None, None] {
                self.raise_algorithms(cipher, mac, AlgorithmEvent::Remove);
            } else {
                self.counters.raise(match protocol {
                    Protocol::Esp => Happened::EspRemoveNothingDone,
                    Protocol::Ah => Happened::AhRemoveNothingDone,
                });
            }
            for channel in channels.into_iter().flatten() {
                closing += 1;
                self.events.push_back(PlaneEvent::Close(channel));
            }
            if let Some(policy) = self.policy_of(bundle) {
                self.raise(policy, Happened::RemoveSaSetupStarted);
            }
        }
        (inbound, closing)
    }

    /// The entries of a removed bundle go, and with them its numbers.
    fn forget(&mut self, id: BundleId) {
        let Some(bundle) = self.sad.bundles.remove(id.0) else {
            return;
        };
        for SaId(sa) in bundle.sas.iter().copied() {
            if let Some(sa) = self.sad.sas.remove(sa) {
                self.counters.raise(match sa.protocol {
                    Protocol::Esp => Happened::EspRemoveDone,
                    Protocol::Ah => Happened::AhRemoveDone,
                });
                if sa.attached {
                    self.raise_algorithms(sa.cipher, sa.mac, AlgorithmEvent::Detached);
                }
            }
        }
        self.raise(bundle.policy, Happened::RemoveDone);
    }
}
