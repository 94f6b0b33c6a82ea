//! The control side: reservations, installation, removal, limits.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{ChannelId, ChannelSpec, Entropy, Op, OpenFault, PacketBuf, is_weak_des_key};

use super::{
    DataPlane, Hold, InstallFault, PlaneEvent, PlaneState, RemoveWhy, RemovedBundle, ReserveFault,
    Reserved, of_ticket, ticket_of,
};
use crate::counters::Happened;
use crate::model::{Half, Protocol, Spi};
use crate::replay::ReplayWindow;
use crate::sad::{Bundle, BundleId, Negotiated, Sa, SaId, SaKeys, SaState};
use crate::spd::PolicyId;
use crate::time::Instant;

/// Bytes after which an SA with 64-bit blocks is renewed whatever its configured life: 2^29
/// blocks, an eighth of what the birthday bound allows.
const SHORT_BLOCK_BYTES: u64 = 4 << 30;

impl<B: PacketBuf> DataPlane<B> {
    /// Reserves a bundle with one SPI per protocol, in state CREATING.
    ///
    /// # Errors
    /// [`ReserveFault`]; nothing is kept.
    pub fn reserve(
        &mut self,
        now: Instant,
        entropy: &mut dyn Entropy,
        policy: PolicyId,
        protocols: &[Protocol],
    ) -> Result<Reserved, ReserveFault> {
        let state = &mut self.state;
        if !state.enabled {
            return Err(ReserveFault::Disabled);
        }
        let Some(owner) = state.policies.get(policy.0) else {
            return Err(ReserveFault::NoSuchPolicy);
        };
        let (Some(peer), Some(local)) = (owner.peer, owner.local) else {
            return Err(ReserveFault::NoSuchPolicy);
        };
        let mut spis = Vec::with_capacity(protocols.len());
        for &protocol in protocols {
            spis.push((protocol, state.free_spi(entropy, &spis)?));
        }
        let ends = (local, peer);
        let bundle = Bundle::creating(policy, owner.next_index, ends, owner.selector.clone(), now);
        let id = state
            .sad
            .bundles
            .insert(bundle)
            .map_err(|_| ReserveFault::Full)?;
        let id = BundleId(id);
        state.counters.raise(Happened::SetupStarted);
        for (protocol, spi) in &spis {
            let added = state.sad.add(Sa::reserved(id, *protocol, *spi));
            match (added, state.sad.bundles.get_mut(id.0)) {
                (Some(sa), Some(bundle)) => {
                    state.counters.raise(Happened::AddSa);
                    bundle.sas.push(sa);
                }
                _ => {
                    self.release(id, RemoveWhy::NegotiationFailed);
                    return Err(ReserveFault::Full);
                }
            }
        }
        if let Some(owner) = self.state.policies.get_mut(policy.0) {
            owner.next_index = owner.next_index.wrapping_add(1);
            owner.bundles.push(id);
            owner.acquiring = true;
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
            mode,
            lifetime,
            role,
            local,
            peer,
            selector,
            isakmp_sa,
        } = negotiated;
        for keys in &sas {
            if keys.cipher == hw_offload::Cipher::Des && is_weak_des_key(keys.cipher_key.expose()) {
                return Err(InstallFault::WeakKey);
            }
        }
        let record = self
            .state
            .sad
            .bundles
            .get(bundle.0)
            .ok_or(InstallFault::NoSuchBundle)?;
        if record.state != SaState::Creating {
            return Err(InstallFault::NoSuchBundle);
        }
        let windows = self.replay_windows(record.policy);
        self.install_keys(bundle, half, sas)?;
        let Some(record) = self.state.sad.bundles.get_mut(bundle.0) else {
            return Err(InstallFault::NoSuchBundle);
        };
        record.lifetime = Some(lifetime);
        record.role = role;
        record.soft_seconds = lifetime.soft_seconds(role, jitter);
        record.local = local;
        record.peer = peer;
        record.selector = selector;
        record.isakmp_sa = Some(isakmp_sa);
        for id in record.sas.clone() {
            if let Some(sa) = self.state.sad.sas.get_mut(id.0) {
                sa.mode = mode;
                // Packets may come between the two halves: the window keeps what it has seen.
                if half == Half::Inbound {
                    let window = windows.iter().find(|(spec, _)| *spec == sa.spec);
                    sa.replay = ReplayWindow::new(window.and_then(|(_, window)| *window));
                }
            }
        }
        Ok(())
    }

    fn replay_windows(&self, policy: PolicyId) -> Vec<(u8, Option<u16>)> {
        let config = self
            .state
            .policy(policy)
            .and_then(|p| p.bundle_config.as_ref());
        config.map_or_else(Vec::new, |(_, specs)| {
            specs
                .iter()
                .map(|spec| (spec.number, spec.replay_window()))
                .collect()
        })
    }

    /// Asks for the channels of one direction.
    pub(super) fn install_keys(
        &mut self,
        bundle: BundleId,
        half: Half,
        keys: Vec<SaKeys>,
    ) -> Result<(), InstallFault> {
        let state = &mut self.state;
        let record = state
            .sad
            .bundles
            .get(bundle.0)
            .ok_or(InstallFault::NoSuchBundle)?;
        let ids = record.sas.clone();
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
        for (id, keys) in ids.into_iter().zip(keys) {
            let SaKeys {
                spi,
                cipher,
                cipher_key,
                mac,
                mac_key,
                spec,
                ..
            } = keys;
            if let Some(sa) = state.sad.sas.get_mut(id.0) {
                sa.spec = spec;
                sa.cipher = cipher;
                sa.mac = mac;
                if half == Half::Outbound {
                    sa.out_spi = spi;
                }
            }
            let op = if half == Half::Outbound {
                Op::Seal
            } else {
                Op::Open
            };
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

    /// The answer to [`PlaneEvent::Open`].
    pub fn opened(
        &mut self,
        now: Instant,
        ticket: hw_offload::Ticket,
        result: Result<ChannelId, OpenFault>,
    ) {
        let Some((id, half)) = of_ticket(ticket) else {
            return;
        };
        let state = &mut self.state;
        let bundle = state.sad.sas.get(id.0).map(|sa| sa.bundle);
        let alive = bundle
            .and_then(|bundle| state.sad.bundles.get(bundle.0))
            .is_some_and(|bundle| bundle.state == SaState::Creating);
        let (Some(bundle), true) = (bundle, alive) else {
            // Its SA went while it was being opened.
            if let Ok(channel) = result {
                state.events.push_back(PlaneEvent::Close(channel));
            }
            return;
        };
        let Ok(channel) = result else {
            state.events.push_back(PlaneEvent::Installed {
                bundle,
                half,
                ok: false,
            });
            self.release(bundle, RemoveWhy::EngineFailed);
            return;
        };
        state.sad.own_channel(channel, id);
        if let Some(sa) = state.sad.sas.get_mut(id.0) {
            match half {
                Half::Inbound => sa.in_channel = Some(channel),
                Half::Outbound => sa.out_channel = Some(channel),
            }
        }
        let Some(record) = state.sad.bundles.get(bundle.0) else {
            return;
        };
        let complete = record.sas.iter().all(|sa| {
            state.sad.sas.get(sa.0).is_some_and(|sa| match half {
                Half::Inbound => sa.in_channel.is_some(),
                Half::Outbound => sa.out_channel.is_some(),
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
            return;
        }
        bundle.state = SaState::Valid;
        bundle.since = now;
        let policy = bundle.policy;
        state.counters.raise(Happened::SetupDone);
        if let Some(owner) = state.policies.get_mut(policy.0) {
            owner.current = Some(id);
            owner.acquiring = false;
            if owner.queued > 0 {
                owner.hold = Hold::Release;
            }
        }
        state
            .events
            .push_back(PlaneEvent::Created { bundle: id, policy });
        state.schedule(id);
        self.keep_within_limit(policy);
    }

    /// At most so many bundles of a policy; the oldest go first.
    fn keep_within_limit(&mut self, policy: PolicyId) {
        let limit = usize::from(self.state.limits.bundles_per_policy);
        while let Some(owner) = self.state.policy(policy)
            && owner.bundles.len() > limit
            && let Some(oldest) = owner.bundles.iter().find(|id| Some(**id) != owner.current)
        {
            self.release(*oldest, RemoveWhy::Replaced);
        }
    }

    /// Removes a bundle, whatever its state. Its SPIs are free at once, its numbers when the
    /// engine has let go of its channels.
    pub fn release(&mut self, id: BundleId, why: RemoveWhy) {
        let state = &mut self.state;
        let Some(bundle) = state.sad.bundles.get_mut(id.0) else {
            return;
        };
        if bundle.state == SaState::Removing {
            return;
        }
        let was_valid = bundle.state == SaState::Valid;
        bundle.state = SaState::Removing;
        if let Some(at) = bundle.due.take() {
            state.agenda.remove(&(at, id));
        }
        let (policy, sas) = (bundle.policy, bundle.sas.clone());
        let (peer, isakmp_sa) = (bundle.peer, bundle.isakmp_sa);
        let mut inbound = Vec::with_capacity(sas.len());
        let mut closing = 0;
        for sa in &sas {
            state.sad.unlist(*sa);
            if let Some(entry) = state.sad.sas.get_mut(sa.0) {
                inbound.push((entry.protocol, entry.in_spi));
                state.counters.raise(Happened::DeleteSa);
                for channel in [entry.in_channel.take(), entry.out_channel.take()]
                    .into_iter()
                    .flatten()
                {
                    closing += 1;
                    state.events.push_back(PlaneEvent::Close(channel));
                }
            }
        }
        if let Some(bundle) = state.sad.bundles.get_mut(id.0) {
            bundle.closing = closing;
        }
        state.counters.raise(Happened::RemoveStarted);
        if let Some(owner) = state.policies.get_mut(policy.0) {
            owner.bundles.retain(|other| *other != id);
            if owner.current == Some(id) {
                owner.current = None;
            }
            let others: Vec<BundleId> = owner.bundles.clone();
            let newest = others.into_iter().rev().find(|other| {
                state
                    .sad
                    .bundles
                    .get(other.0)
                    .is_some_and(|b| b.state == SaState::Valid)
            });
            if let Some(owner) = state.policies.get_mut(policy.0)
                && owner.current.is_none()
            {
                owner.current = newest;
            }
        }
        let removed = RemovedBundle {
            bundle: id,
            policy,
            peer,
            inbound,
            isakmp_sa,
            was_valid,
        };
        state.events.push_back(PlaneEvent::Removed { removed, why });
        if closing == 0 {
            state.forget(id);
        }
    }

    /// The answer to [`PlaneEvent::Close`].
    pub fn detached(&mut self, channel: ChannelId) {
        let Some(sa) = self.state.sad.disown_channel(channel) else {
            return;
        };
        let Some(bundle) = self.state.sad.sas.get(sa.0).map(|sa| sa.bundle) else {
            return;
        };
        if let Some(record) = self.state.sad.bundles.get_mut(bundle.0) {
            record.closing = record.closing.saturating_sub(1);
            if record.state == SaState::Removing && record.closing == 0 {
                self.state.forget(bundle);
            }
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
        if owner.queued > 0 {
            owner.hold = Hold::Discard;
        }
        for id in owner.bundles.clone() {
            if let Some(bundle) = self.state.sad.bundles.get_mut(id.0)
                && bundle.renewing
            {
                bundle.renewing = false;
                bundle.renew_not_before = retry;
                self.state.schedule(id);
            }
        }
    }

    /// Removes the bundle whose outbound SA has that SPI with that peer: the peer deleted its
    /// inbound SA. False if there is none.
    pub fn delete_by_spi(&mut self, peer: IpAddr, protocol: Protocol, spi: Spi) -> bool {
        let found = self.state.sas().find_map(|(_, sa)| {
            let bundle = self.state.bundle(sa.bundle)?;
            (sa.protocol == protocol
                && sa.out_spi == spi
                && bundle.peer == peer
                && bundle.state == SaState::Valid)
                .then_some(sa.bundle)
        });
        if let Some(bundle) = found {
            self.release(bundle, RemoveWhy::PeerDeleted);
        }
        found.is_some()
    }

    /// What time does: renewals, expiries, the end of replaced bundles.
    pub fn timers(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.state.agenda.first()
            && at <= now
        {
            self.state.agenda.remove(&(at, id));
            let Some(bundle) = self.state.sad.bundles.get_mut(id.0) else {
                continue;
            };
            bundle.due = None;
            if bundle.retire_at.is_some_and(|at| at <= now) {
                self.release(id, RemoveWhy::Replaced);
            } else if bundle.hard_at().is_some_and(|at| at <= now) {
                let policy = bundle.policy;
                self.state.raise(policy, Happened::OutBundleExpire);
                self.release(id, RemoveWhy::Expired);
            } else {
                if bundle.soft_at().is_some_and(|at| at <= now) {
                    self.state.renew(id);
                }
                self.state.schedule(id);
            }
        }
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

    /// The entries of a removed bundle go, and with them its numbers.
    fn forget(&mut self, id: BundleId) {
        if let Some(bundle) = self.sad.bundles.remove(id.0) {
            for SaId(sa) in bundle.sas {
                self.sad.sas.remove(sa);
            }
            self.counters.raise(Happened::RemoveDone);
        }
    }

    /// Puts the next thing that time does to a bundle into the agenda.
    pub(super) fn schedule(&mut self, id: BundleId) {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return;
        };
        if let Some(at) = bundle.due.take() {
            self.agenda.remove(&(at, id));
        }
        let bundle_soft = if bundle.renewing {
            None
        } else {
            bundle.soft_at()
        };
        let due = [bundle.retire_at, bundle.hard_at(), bundle_soft]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = due
            && bundle.state == SaState::Valid
        {
            bundle.due = Some(at);
            self.agenda.insert((at, id));
        }
    }

    /// Asks for the successor of a bundle, once, and only for the one that carries traffic.
    pub(super) fn renew(&mut self, id: BundleId) {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return;
        };
        let policy = bundle.policy;
        if bundle.renewing {
            return;
        }
        bundle.renewing = true;
        let Some(owner) = self.policies.get_mut(policy.0) else {
            return;
        };
        if owner.current != Some(id) {
            return;
        }
        owner.acquiring = true;
        self.raise(policy, Happened::OutBundleSoftExpire);
        self.events.push_back(PlaneEvent::Acquire {
            policy,
            replaces: Some(id),
        });
    }

    /// Counts bytes on a bundle and acts on its limits. False once it may carry no more.
    pub(super) fn spend(&mut self, id: BundleId, bytes: u64, short_block: bool) -> bool {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return false;
        };
        bundle.bytes = bundle.bytes.saturating_add(bytes);
        let Some(life) = bundle.lifetime else {
            return true;
        };
        let hard = life.hard_bytes();
        if hard.is_some_and(|hard| bundle.bytes > hard) {
            return false;
        }
        let cap = if short_block {
            SHORT_BLOCK_BYTES
        } else {
            u64::MAX
        };
        let soft = life.soft_bytes(bundle.role).unwrap_or(u64::MAX).min(cap);
        if bundle.bytes >= soft && !bundle.renewing {
            self.renew(id);
            self.schedule(id);
        }
        true
    }

    /// Counts globally and for a policy.
    pub(super) fn raise(&mut self, policy: PolicyId, happened: Happened) {
        self.counters.raise(happened);
        if let Some(policy) = self.policies.get_mut(policy.0) {
            policy.counters.raise(happened);
        }
    }

    /// Counts globally, for the policy and for the SA.
    pub(super) fn raise_sa(&mut self, sa: SaId, happened: Happened) {
        let bundle = self.sad.sas.get_mut(sa.0).map(|sa| {
            sa.counters.raise(happened);
            sa.bundle
        });
        match bundle
            .and_then(|bundle| self.bundle(bundle))
            .map(|bundle| bundle.policy)
        {
            Some(policy) => self.raise(policy, happened),
            None => self.counters.raise(happened),
        }
    }
}
