//! What time and bytes do: renewals, expiries, the end of replaced bundles, keepalives.

use hw_offload::PacketBuf;

use super::{Cx, DataPlane, PlaneEvent, PlaneState, RemoveWhy};
use crate::counters::Happened;
use crate::model::Direction;
use crate::path::{Encap, PathId};
use crate::sad::{BundleId, SaState};
use crate::time::Instant;
use crate::wire::udp_encap::KEEPALIVE;

/// Bytes after which an SA with 64-bit blocks is renewed whatever its configured life: 2^29
/// blocks, an eighth of what the birthday bound allows.
const SHORT_BLOCK_BYTES: u64 = 4 << 30;

/// Whom an entry of the agenda is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Bundle(BundleId),
    Path(PathId),
}

impl<B: PacketBuf> DataPlane<B> {
    /// What time does: renewals, expiries, the end of replaced bundles, keepalives. Fragments that
    /// waited too long go back to the buffers.
    pub fn timers(&mut self, cx: &mut Cx<'_, B>) {
        let now = cx.now;
        let buffers = &mut *cx.buffers;
        self.fragments.expire(now, |buffer| buffers.give(buffer));
        while let Some(&(at, due)) = self.state.agenda.first()
            && at <= now
        {
            self.state.agenda.remove(&(at, due));
            match due {
                Due::Bundle(id) => self.bundle_due(now, id),
                Due::Path(id) => self.state.path_due(now, id),
            }
        }
    }

    fn bundle_due(&mut self, now: Instant, id: BundleId) {
        let Some(bundle) = self.state.sad.bundles.get_mut(id.0) else {
            return;
        };
        bundle.due = None;
        // What was under way when it was replaced arrived long before the second half.
        let linger = self.state.limits.replaced_linger;
        let heard = bundle.heard.is_some_and(|at| at + linger / 2 > now);
        if bundle.stays_in_use && heard && bundle.retire_at.is_some_and(|at| at <= now) {
            bundle.retire_at = Some(now + linger);
        }
        if bundle.retire_at.is_some_and(|at| at <= now) {
            let why = if bundle.spent {
                RemoveWhy::Expired
            } else {
                RemoveWhy::Replaced
            };
            self.release(id, why);
        } else if bundle.hard_at().is_some_and(|at| at <= now) {
            let policy = bundle.policy;
            self.state.raise(policy, Happened::OutBundleExpire);
            self.release(id, RemoveWhy::Expired);
        } else {
            if bundle.soft_at().is_some_and(|at| at <= now) {
                self.state.renew(id, Direction::Out);
            }
            self.state.schedule(id);
        }
    }
}

impl PlaneState {
    /// Puts the next thing that time does to a bundle into the agenda.
    pub(super) fn schedule(&mut self, id: BundleId) {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return;
        };
        if let Some(at) = bundle.due.take() {
            self.agenda.remove(&(at, Due::Bundle(id)));
        }
        let soft = if bundle.renewing {
            None
        } else {
            bundle.soft_at()
        };
        let due = [bundle.retire_at, bundle.hard_at(), soft]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = due
            && bundle.state == SaState::Valid
        {
            bundle.due = Some(at);
            self.agenda.insert((at, Due::Bundle(id)));
        }
    }

    /// Puts the next keepalive or heartbeat of a path into the agenda.
    pub(super) fn schedule_path(&mut self, id: PathId) {
        if let Some((old, due)) = self.paths.reschedule(id) {
            if let Some(old) = old {
                self.agenda.remove(&(old, Due::Path(id)));
            }
            self.agenda.insert((due, Due::Path(id)));
        }
    }

    /// A path that was sent nothing for some time is sent something now.
    fn path_due(&mut self, now: Instant, id: PathId) {
        let Some(path) = self.paths.get_mut(id) else {
            return;
        };
        path.due = None;
        if path.next_due().is_some_and(|due| due <= now) {
            let bytes: &'static [u8] = match path.encap {
                Encap::Tunnel2746 { framing, .. } => framing.heartbeat(),
                Encap::NatT { .. } | Encap::None => &KEEPALIVE,
            };
            path.sent_at = now;
            path.beat_at = now;
            let (local, peer) = (path.local_end(), path.peer_end());
            self.counters.raise(Happened::OutUdpHeartBeat);
            self.events.push_back(PlaneEvent::Keepalive {
                path: id,
                local,
                peer,
                bytes,
            });
        }
        self.schedule_path(id);
    }

    /// Asks for the successor of a bundle, once, and only for the newest of those that carry the
    /// same.
    pub(super) fn renew(&mut self, id: BundleId, direction: Direction) {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return;
        };
        let manual = bundle.lifetime.is_none();
        if core::mem::replace(&mut bundle.renewing, true) || manual {
            return;
        }
        let (policy, serial, path) = (bundle.policy, bundle.serial, bundle.path);
        let newest = self
            .siblings(id)
            .iter()
            .all(|other| self.bundle(*other).is_some_and(|b| b.serial < serial));
        let Some(owner) = self.policies.get_mut(policy.0).filter(|_| newest) else {
            return;
        };
        owner.acquiring = true;
        owner.renewals.push(id);
        let ends = self.path(path).map(|path| (path.local, path.peer));
        self.raise(
            policy,
            match direction {
                Direction::Out => Happened::OutBundleSoftExpire,
                Direction::In => Happened::InBundleSoftExpire,
            },
        );
        self.events.push_back(PlaneEvent::Acquire {
            policy,
            ends,
            replaces: Some(id),
        });
    }

    /// Counts bytes on a bundle and acts on its limits. False once it may carry no more.
    pub(super) fn spend(
        &mut self,
        id: BundleId,
        direction: Direction,
        bytes: u64,
        short_block: bool,
    ) -> bool {
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
            self.renew(id, direction);
            self.schedule(id);
        }
        true
    }

    /// A bundle reached its hard limit in bytes: the agenda removes it at once.
    pub(super) fn expire_by_bytes(&mut self, id: BundleId, direction: Direction) {
        let Some(bundle) = self.sad.bundles.get_mut(id.0) else {
            return;
        };
        if core::mem::replace(&mut bundle.spent, true) {
            return;
        }
        bundle.retire_at = Some(Instant::ZERO);
        bundle.stays_in_use = false;
        let policy = bundle.policy;
        self.raise(
            policy,
            match direction {
                Direction::Out => Happened::OutBundleExpire,
                Direction::In => Happened::InBundleExpire,
            },
        );
        self.schedule(id);
    }
}
