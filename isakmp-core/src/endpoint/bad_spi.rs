//! RESPONDBADSPI: a peer sends into an SA that is not here any more, most likely because this
//! router restarted. Who may not be told in an authentic way is negotiated with anew, and hears by
//! INITIAL-CONTACT that the past is gone.

use core::net::IpAddr;

use ipsec_core::model::Name;

use super::Endpoint;
use super::phase1::Begin;
use crate::ask::Env;
use crate::config::Phase1Mode;
use crate::counters::Happened;

impl Endpoint {
    /// The data plane saw an unknown SPI of a policy's fixed peer; it tells this at most once in
    /// ten seconds for a peer.
    pub fn bad_spi(&mut self, env: &mut Env<'_>, policy: &Name, (local, peer): (IpAddr, IpAddr)) {
        self.counters.raise(Happened::BadSpiRequests);
        if !env.config.enabled {
            return;
        }
        // Who has an SA with us was told, or will be: a forged packet must not undo it.
        let known = self.sas.with(peer).next().is_some();
        if known || self.is_under_way(peer) {
            self.counters.raise(Happened::BadSpiFromKnownPeer);
            return;
        }
        let named = env.ipsec.policy(policy.as_str());
        let named = named.and_then(|policy| policy.isakmp_policy.clone());
        let towards = self.policies.towards(env.config, peer, named.as_ref());
        let Some(isakmp) = towards else { return };
        if isakmp.mode() == Phase1Mode::Aggressive {
            self.counters.raise(Happened::BadSpiInAggrMode);
        } else if !isakmp.notifies() {
            self.counters.raise(Happened::BadSpiSendNotifyUnset);
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
