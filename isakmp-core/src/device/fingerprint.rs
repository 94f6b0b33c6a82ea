//! One number for everything that a device holds: two that are equal moved nothing in between.
//!
//! Secrets are in it, those of the sessions too. Counters are not, nor is the log: who is refused
//! may be counted and told of there. The two outermost types are taken apart here, so that a new
//! part does not compile before somebody has decided; what is inside of them counts by being there
//! ([`Fingerprint`]).

use core::fmt::Debug;

use hw_offload::Engines;
use hw_offload::testing::Fingerprint;

use super::{Device, State};

impl State {
    /// The number of the configuration with its keys, users and passwords.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            ipsec,
            isakmp,
            keys,
            net,
            ip_enabled,
            ip_remote_assign,
            ipv6_enabled,
            users,
            radius,
            security_mode,
            boot_config,
            log: _,
            wall,
        } = self;
        let switches = (ip_enabled, ip_remote_assign, ipv6_enabled, security_mode);
        let mut sum = Fingerprint::default();
        let parts: [&dyn Debug; 9] = [
            ipsec,
            isakmp,
            keys,
            net,
            &switches,
            users,
            radius,
            boot_config,
            wall,
        ];
        for part in parts {
            sum.add(part);
        }
        sum.number()
    }
}

impl<E: Engines> Device<E> {
    /// The number of the configuration, and of all SAs, exchanges and packets under way; what an
    /// engine works on is its own.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            state,
            plane,
            endpoint,
            engines: _,
            installs,
            limits,
            key_log,
            generating,
            lookups,
            own_tickets,
        } = self;
        let mut sum = Fingerprint::default();
        sum.add(&state.fingerprint());
        sum.add(plane.state());
        sum.add(&plane.held_fragments());
        sum.add(endpoint);
        sum.add(&(installs, limits, key_log));
        sum.add(&(generating, lookups, own_tickets));
        sum.number()
    }

    /// The number of what was counted, for commands that must not move that either. It has also
    /// what stands around the counters.
    #[must_use]
    pub fn fingerprint_of_counters(&self) -> u64 {
        let mut sum = Fingerprint::default();
        sum.add_shown(self.plane.state());
        sum.add_shown(&self.endpoint);
        sum.number()
    }
}
