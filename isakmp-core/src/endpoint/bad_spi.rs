//! RESPONDBADSPI: a peer sends into an SA that is not here any more, most likely because this
//! router restarted. Who may not be told in an authentic way is negotiated with anew, and hears by
//! INITIAL-CONTACT that the past is gone.

use core::net::IpAddr;

use ipsec_core::model::Name;

use super::Endpoint;
use super::phase1::Begin;
use crate::ask::Env;
use crate::config::Phase1Mode;

impl Endpoint {
    /// The data plane saw an unknown SPI of a policy's fixed peer; it tells this at most once in
    /// ten seconds for a peer.
    pub fn bad_spi(&mut self, env: &mut Env<'_>, policy: &Name, (local, peer): (IpAddr, IpAddr)) {
        self.counters.bad_spi_requests += 1;
        if !env.config.enabled {
            return;
        }
        // Who has an SA with us was told, or will be: a forged packet must not undo it.
        let known = self.sas.with(peer).next().is_some();
        if known || self.is_under_way(peer) {
            self.counters.bad_spi_from_known_peer += 1;
            return;
        }
        let named = env.ipsec.policy(policy.as_str());
        let named = named.and_then(|policy| policy.isakmp_policy.clone());
        let towards = self.policies.towards(env.config, peer, named.as_ref());
        let Some(isakmp) = towards else { return };
        if isakmp.mode() == Phase1Mode::Aggressive {
            self.counters.bad_spi_in_aggr_mode += 1;
        } else if !isakmp.notifies() {
            self.counters.bad_spi_send_notify_unset += 1;
        } else {
            let begin = Begin {
                local,
                peer,
                policy: named.as_ref(),
                replaces: None,
            };
            self.start_phase1(env, &begin);
        }
    }
}
