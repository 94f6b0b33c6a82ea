//! Requests for bundles: which are new, and under which ISAKMP SA each is negotiated.

use core::net::IpAddr;

use ipsec_core::model::{PeerAddress, Role};

use super::Endpoint;
use crate::ask::{Acquire, Action, Env, Renewal};
use crate::counters::Happened;
use crate::debug::IsakmpDebug;
use crate::phase2::Common;
use crate::sa::{IsakmpSaId, PeerKey};
use crate::trace::Trace;
use crate::wire::ExchangeType;

impl Endpoint {
    /// Somebody needs a bundle.
    pub fn acquire(&mut self, env: &mut Env<'_>, acquire: Acquire) {
        if !env.config.enabled {
            self.push(Action::Failed(acquire.policy));
            return;
        }
        self.counters.raise(Happened::Acquire);
        let part = (ExchangeType::Quick, Role::Initiator);
        if let Some(happened) = self.is_asked_for(&acquire) {
            self.counters.raise(happened);
            if happened == Happened::AcquireEquivFound {
                let mut out = self.out(0);
                let equal = || Trace::EquivalentAcquire;
                out.trace(env, part, IsakmpDebug::TRACE, equal);
                out.trace(env, part, IsakmpDebug::TRACEMORE, || Trace::QueueAcquire);
            }
            return;
        }
        if self.usable_sa(acquire.peer).is_none() {
            self.counters.raise(Happened::AcquireNoSa);
        }
        if self.waits.len(acquire.peer) >= usize::from(self.limits.queued_acquires) {
            self.push(Action::Failed(acquire.policy));
            return;
        }
        let (policy, peer) = (acquire.policy.clone(), acquire.peer);
        self.waits.push(acquire, env.now);
        self.start_waiting(env);
        if self.waits.of(&policy, peer).next().is_some() {
            self.counters.raise(Happened::AcquireQueued);
            let waits = || Trace::QueueAcquire;
            self.out(0).trace(env, part, IsakmpDebug::TRACEMORE, waits);
        }
    }

    /// What is counted if somebody already wants, or negotiates, the same.
    fn is_asked_for(&self, acquire: &Acquire) -> Option<Happened> {
        let mut under_way = self.quick.of(&acquire.policy, acquire.peer);
        if under_way.any(|quick| self.serves(&quick.common, acquire)) {
            return Some(Happened::AcqPh2EquivInProgress);
        }
        let mut waiting = self.waits.of(&acquire.policy, acquire.peer);
        let equal = waiting.any(|other| self.is_for_the_same(other, acquire));
        equal.then_some(Happened::AcquireEquivFound)
    }

    /// The newest SA with a peer that takes another quick mode.
    pub(super) fn usable_sa(&self, peer: IpAddr) -> Option<IsakmpSaId> {
        let mut sas = self.sas.with(peer);
        sas.find(|(_, sa)| sa.takes_quick()).map(|(id, _)| id)
    }

    /// The SA under which a request is negotiated: that of the peer who has the bundle that it
    /// renews. Another one with the same address serves only where the policy is for one peer.
    pub(super) fn sa_for(&self, acquire: &Acquire, env: &Env<'_>) -> Option<IsakmpSaId> {
        let Some(owner) = self.owner(acquire) else {
            return self.usable_sa(acquire.peer);
        };
        let mut own = self.sas.with(acquire.peer);
        let own = own.find(|(_, sa)| sa.takes_quick() && sa.peer_key() == *owner);
        own.map(|(id, _)| id).or_else(|| {
            let policy = env.ipsec.policy(acquire.policy.as_str());
            let one_peer = policy.is_some_and(|policy| policy.peer != Some(PeerAddress::Any));
            self.usable_sa(acquire.peer).filter(|_| one_peer)
        })
    }

    /// Whose bundle a request renews.
    fn owner(&self, acquire: &Acquire) -> Option<&PeerKey> {
        let renewal = acquire.renews.as_ref()?;
        Some(&self.children.get(renewal.bundle)?.owner)
    }

    /// Whether two requests of one policy and one address are for the same.
    fn is_for_the_same(&self, one: &Acquire, other: &Acquire) -> bool {
        let owners = self.owner(one).zip(self.owner(other));
        owners.is_none_or(|(one, other)| one == other) && carry_the_same(&one.renews, &other.renews)
    }

    /// Whether a quick mode brings what a request of its policy and its peer's address wants.
    pub(super) fn serves(&self, quick: &Common, acquire: &Acquire) -> bool {
        let sa = self.sas.get(quick.sa.0);
        let owners = self.owner(acquire).zip(sa);
        owners.is_none_or(|(owner, sa)| sa.peer_key() == *owner)
            && carry_the_same(&quick.renews, &acquire.renews)
    }
}

/// Whether two renewals are of bundles that carry the same; a request that renews none counts as
/// equal.
fn carry_the_same(one: &Option<Renewal>, other: &Option<Renewal>) -> bool {
    let renewals = one.as_ref().zip(other.as_ref());
    renewals.is_none_or(|(one, other)| one.selector == other.selector)
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use ipsec_core::model::{AddressSelector, IpVersion, Name, Selector};
    use ipsec_core::{BundleId, Id, Instant, Limits};

    use super::*;
    use crate::ask::Path;
    use crate::endpoint::Child;
    use crate::phase2::Kept;
    use crate::wire::Identification;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([1, 1, 1, last])
    }

    fn bundle(slot: u32) -> BundleId {
        BundleId(Id {
            slot,
            generation: 0,
        })
    }

    /// A request for a successor of a bundle that carries packets for a host.
    fn renewal(slot: u32, host: u8) -> Acquire {
        let selector = Selector {
            remote: AddressSelector::host(address(host)),
            ..Selector::any(IpVersion::V4)
        };
        Acquire {
            policy: Name::new("vpn"),
            peer: address(1),
            local: address(2),
            renews: Some(Renewal {
                bundle: bundle(slot),
                selector,
            }),
        }
    }

    /// Behind one address and under one policy there may be several peers, each with bundles for
    /// several things.
    #[test]
    fn requests_for_other_bundles_are_not_the_same() {
        let mut endpoint = Endpoint::new(&Limits::default());
        for (slot, name) in [(0, "a"), (1, "b"), (2, "a")] {
            let path = Path {
                local: SocketAddr::new(address(2), 4500),
                peer: SocketAddr::new(address(1), 4500),
            };
            endpoint.children.insert(Child {
                bundle: bundle(slot),
                exchange: 0,
                policy: Name::new("vpn"),
                owner: PeerKey::new(&Identification::of_name(name), path),
                user: None,
                peer: address(1),
                since: Instant::ZERO,
                kept: Kept::default(),
            });
        }
        let same = |one: &Acquire, other: &Acquire| endpoint.is_for_the_same(one, other);
        assert!(same(&renewal(0, 7), &renewal(0, 7)));
        // The next bundle of one peer for the same, of another peer, and for another host.
        assert!(same(&renewal(0, 7), &renewal(2, 7)));
        assert!(!same(&renewal(0, 7), &renewal(1, 7)));
        assert!(!same(&renewal(0, 7), &renewal(2, 8)));
        // A packet without a bundle gets what is under way.
        let packet = Acquire {
            renews: None,
            ..renewal(0, 7)
        };
        assert!(same(&packet, &renewal(1, 8)));
    }
}
