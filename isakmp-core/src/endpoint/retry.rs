//! RETRYIKEATTEMPTS: a negotiation that failed is tried again, by itself and for a while.
//!
//! A failed phase 1 is begun again; a phase 2 that was refused is begun again under the same
//! ISAKMP SA, one that was not answered with a new one, since the peer may have lost the old.
//! Between two attempts passes MSGTIMEOUT. Only peers with a fixed address are tried again, and
//! nothing that involves XAUTH: a password that was refused is refused again.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use core::time::Duration;

use ipsec_core::model::{Name, Role};
use ipsec_core::{Id, Instant};

use super::Endpoint;
use super::phase1::Begin;
use super::tables::Child;
use crate::ask::{Acquire, Env};
use crate::config::{IsakmpPolicyConfig, Retries, Xauth};
use crate::counters::Happened;
use crate::reason::{Reason, Subject};
use crate::sa::IsakmpSaId;

/// How long CONTINUOUS goes on.
const CONTINUOUS: Duration = Duration::from_secs(24 * 3600);

/// What is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryPhases {
    /// Nothing.
    #[default]
    None,
    /// Phase 1.
    Phase1,
    /// Phase 2.
    Phase2,
    /// Both.
    Both,
}

impl RetryPhases {
    /// The words of SHOW ISAKMP POLICY.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "No Phases",
            Self::Phase1 => "Phase 1",
            Self::Phase2 => "Phase 2",
            Self::Both => "Phases 1 & 2",
        }
    }
}

/// How far the retries for an ISAKMP policy are, as SHOW ISAKMP POLICY shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryView {
    /// Attempts made beyond the first.
    pub attempts: u32,
    /// What will be tried next.
    pub phases: RetryPhases,
}

/// The attempts for one peer.
#[derive(Debug)]
struct Attempts {
    policy: Name,
    local: IpAddr,
    /// Attempts made beyond the first.
    done: u32,
    phases: RetryPhases,
    /// When the first failure was.
    since: Instant,
    /// When the next attempt is made, where that is not a request's own matter.
    at: Option<Instant>,
}

/// The attempts by peer.
#[derive(Debug, Default)]
pub(super) struct Retrying {
    of: BTreeMap<IpAddr, Attempts>,
    /// What `at` was set to; what it no longer is stays here until then.
    agenda: BTreeSet<(Instant, IpAddr)>,
}

impl Retrying {
    /// When the next attempt may be due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Whether phase 1 with the peer will be tried again.
    pub(super) fn is_waiting(&self, peer: IpAddr) -> bool {
        self.of
            .get(&peer)
            .is_some_and(|attempts| attempts.at.is_some())
    }

    pub(super) fn clear(&mut self) {
        self.of.clear();
        self.agenda.clear();
    }

    pub(super) fn forget(&mut self, policy: &Name) {
        self.of.retain(|_, attempts| attempts.policy != *policy);
    }

    /// Another attempt, if the policy has any left.
    fn another(
        &mut self,
        now: Instant,
        policy: &IsakmpPolicyConfig,
        (local, peer): (IpAddr, IpAddr),
        phases: RetryPhases,
    ) -> Option<&mut Attempts> {
        if policy.xauth() != Xauth::None {
            return None;
        }
        let done = self.of.get(&peer).map_or(0, |attempts| attempts.done);
        let since = self.of.get(&peer).map_or(now, |attempts| attempts.since);
        let may = match policy.retries() {
            Retries::Times(times) => done < u32::from(times),
            Retries::Continuous => now < since + CONTINUOUS,
        };
        if !may {
            self.of.remove(&peer);
            return None;
        }
        let attempts = self.of.entry(peer).or_insert_with(|| Attempts {
            policy: policy.name.clone(),
            local,
            done,
            phases,
            since,
            at: None,
        });
        attempts.done = attempts.done.saturating_add(1);
        attempts.phases = phases;
        Some(attempts)
    }

    /// The same for phase 1, which nobody else would begin; false if the policy has none left.
    fn another_at(
        &mut self,
        now: Instant,
        policy: &IsakmpPolicyConfig,
        ends: (IpAddr, IpAddr),
        phases: RetryPhases,
        at: Instant,
    ) -> bool {
        let Some(attempts) = self.another(now, policy, ends, phases) else {
            return false;
        };
        attempts.at = Some(at);
        self.agenda.insert((at, ends.1));
        true
    }
}

/// Whether a failure is one of those that are tried again: the proposal was refused, the
/// authentication failed, or nobody answered.
const fn is_worth_it(reason: Reason) -> bool {
    matches!(
        reason.subject,
        Subject::NoProposal
            | Subject::PreSharedKey
            | Subject::Identity
            | Subject::Hash
            | Subject::Signature
            | Subject::Timeout
            | Subject::Selectors
            | Subject::OtherSelectors
            | Subject::Refused
            | Subject::NotOffered
            | Subject::PublicValue
            | Subject::Payloads
            | Subject::Malformed
    )
}

impl Endpoint {
    /// Phase 1 that we began has failed.
    pub(super) fn retry_phase1(
        &mut self,
        env: &Env<'_>,
        policy: &IsakmpPolicyConfig,
        ends: (IpAddr, IpAddr),
        reason: Reason,
    ) {
        if !is_worth_it(reason) {
            return;
        }
        let phases = if self.waits.len(ends.1) > 0 {
            RetryPhases::Both
        } else {
            RetryPhases::Phase1
        };
        let at = env.now + policy.wait(1);
        if self.retrying.another_at(env.now, policy, ends, phases, at) {
            self.counters.raise(Happened::RetryIkeAttemptsPh1);
            self.counters.raise(Happened::SpdRetryGood);
        } else {
            self.counters.raise(Happened::SpdRetryFailed);
        }
    }

    /// A quick mode that we began has failed: when it is tried again, if it is.
    pub(super) fn retry_phase2(
        &mut self,
        env: &Env<'_>,
        id: Id,
        reason: Reason,
    ) -> Option<Instant> {
        let common = &self.quick.get(id)?.common;
        if !is_worth_it(reason) || common.role != Role::Initiator {
            return None;
        }
        let phases = if reason.subject == Subject::Timeout {
            RetryPhases::Both
        } else {
            RetryPhases::Phase2
        };
        let path = common.talk.path;
        let ends = (path.local.ip(), path.peer.ip());
        let policy = &common.isakmp_policy;
        let at = env.now + policy.wait(1);
        if self
            .retrying
            .another(env.now, policy, ends, phases)
            .is_none()
        {
            self.counters.raise(Happened::SpdRetryFailed);
            return None;
        }
        self.counters.raise(Happened::RetryIkeAttemptsPh2);
        self.counters.raise(Happened::SpdRetryGood);
        Some(at)
    }

    /// The peer has deleted the newest ISAKMP SA with it.
    pub(super) fn retry_deleted(&mut self, env: &Env<'_>, id: IsakmpSaId) {
        let Some(sa) = self.sas.get(id.0) else { return };
        let ends = (sa.path.local.ip(), sa.path.peer.ip());
        let newest = self.sas.with(ends.1).next().map(|(id, _)| id);
        if newest != Some(id) {
            return;
        }
        let at = env.now + sa.policy.wait(1);
        let phases = RetryPhases::Phase1;
        let policy = &sa.policy;
        if self.retrying.another_at(env.now, policy, ends, phases, at) {
            self.counters.raise(Happened::RetryIkeAttemptsPh1);
            self.counters.raise(Happened::SpdRetryGood);
        }
    }

    /// The peer has deleted a bundle; the newest of a policy is negotiated again.
    pub(super) fn retry_deleted_child(&mut self, env: &Env<'_>, child: &Child) {
        let newer = |other: &Child| other.policy == child.policy && other.since >= child.since;
        if self.children.owned(&child.owner).any(newer) {
            return;
        }
        let Some(sa) = self
            .talking_sa(child.peer)
            .and_then(|id| self.sas.get(id.0))
        else {
            return;
        };
        let (local, peer) = (sa.path.local.ip(), child.peer);
        let not_before = env.now + sa.policy.wait(1);
        let phases = RetryPhases::Phase2;
        let another = self
            .retrying
            .another(env.now, &sa.policy, (local, peer), phases);
        if another.is_some() {
            self.counters.raise(Happened::RetryIkeAttemptsPh2);
            self.counters.raise(Happened::SpdRetryGood);
            let policy = child.policy.clone();
            let acquire = Acquire {
                policy,
                peer,
                local,
                renews: None,
            };
            self.waits.push(acquire, not_before);
        }
    }

    /// Begins the attempts that are due.
    pub(super) fn retry_due(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        while let Some((_, peer)) = self.retrying.agenda.first().filter(|(at, _)| *at <= now) {
            let peer = *peer;
            self.retrying.agenda.pop_first();
            let Some(attempts) = self.retrying.of.get_mut(&peer) else {
                continue;
            };
            if attempts.at.take_if(|at| *at <= now).is_none() {
                continue;
            }
            let (policy, local) = (attempts.policy.clone(), attempts.local);
            self.waits.stir(peer);
            if self.usable_sa(peer).is_some() || self.is_under_way(peer) {
                continue;
            }
            let begin = Begin {
                local,
                peer,
                policy: Some(&policy),
                replaces: None,
            };
            self.start_phase1(env, &begin);
        }
    }

    /// Phase 1 with a peer succeeded.
    pub(super) fn phase1_succeeded(&mut self, peer: IpAddr) {
        let Some(attempts) = self.retrying.of.get_mut(&peer) else {
            return;
        };
        attempts.at = None;
        match attempts.phases {
            RetryPhases::Both => attempts.phases = RetryPhases::Phase2,
            RetryPhases::Phase2 => {}
            RetryPhases::None | RetryPhases::Phase1 => {
                self.retrying.of.remove(&peer);
            }
        }
    }

    /// A quick mode with a peer succeeded.
    pub(super) fn phase2_succeeded(&mut self, peer: IpAddr) {
        self.retrying.of.remove(&peer);
    }

    /// How far the retries for an ISAKMP policy are.
    #[must_use]
    pub fn retries(&self, policy: &Name) -> RetryView {
        let mut of = self.retrying.of.values();
        let of = of.find(|attempts| attempts.policy == *policy);
        of.map_or_else(RetryView::default, |attempts| RetryView {
            attempts: attempts.done,
            phases: attempts.phases,
        })
    }
}
