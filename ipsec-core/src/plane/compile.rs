//! From the configuration as written to compiled policies; manual bundles come up here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use hw_offload::{KeyNumber, KeyRing, PacketBuf, Secret};

use super::ways::Ways;
use super::{DataPlane, PlaneEvent, PlaneState, Policy, RemoveWhy};
use crate::counters::{Happened, PolicyCounters};
use crate::debug::DebugMask;
use crate::model::{
    Action, BundleConfig, DfBit, Half, IpsecConfig, KeyManagement, PeerAddress, PolicyConfig,
    SaSpecConfig, Selector, Spi,
};
use crate::net::{InterfaceId, Net};
use crate::path::Encap;
use crate::sad::{BundleId, Sa, SaKeys, SaState};
use crate::spd::PolicyId;
use crate::time::Instant;

impl<B: PacketBuf> DataPlane<B> {
    /// Rebuilds everything that is derived from the configuration. Policies whose records did not
    /// change keep their bundles, whatever their order; those of changed, removed or disabled ones
    /// are removed.
    pub fn configure(&mut self, now: Instant, config: &IpsecConfig, net: &Net, keys: &KeyRing) {
        let state = &mut self.state;
        state.enabled = config.enabled;
        state.net = net.clone();
        state.local = net
            .interfaces()
            .flat_map(|(_, interface)| &interface.addresses)
            .map(|(address, _)| *address)
            .collect();
        state.local.sort_unstable();
        let wanted: Vec<Policy> = if config.enabled {
            config
                .policies
                .iter()
                .filter_map(|record| compile(record, config, net))
                .collect()
        } else {
            Vec::new()
        };
        let names: BTreeMap<String, usize> = wanted
            .iter()
            .enumerate()
            .map(|(place, policy)| (policy.key(), place))
            .collect();
        let known: Vec<PolicyId> = state.policies().map(|(id, _)| id).collect();
        for id in known {
            let stays = self.state.policy(id).is_some_and(|old| {
                let new = names.get(&old.key()).and_then(|place| wanted.get(*place));
                new.is_some_and(|new| new.equal_to(old))
            });
            if !stays {
                self.remove_policy(id);
            }
        }
        let fresh = self.state.take_over(wanted);
        self.state.relist();
        for id in fresh {
            self.bring_up_manual(now, id, keys);
        }
    }

    /// The bundles of a policy go, its packets are dropped at the next `next_ready`.
    fn remove_policy(&mut self, id: PolicyId) {
        self.reset_policy(id, RemoveWhy::Configuration);
        if let Some(policy) = self.state.policies.remove(id.0) {
            self.state.by_name.remove(&policy.key());
        }
    }

    /// Makes the bundle of a policy with manual keys, or asks for the address that it needs first.
    pub(super) fn bring_up_manual(&mut self, now: Instant, id: PolicyId, keys: &KeyRing) {
        let Some(policy) = self.state.policies.get(id.0) else {
            return;
        };
        if policy.key_management != Some(KeyManagement::Manual) || !policy.bundles.is_empty() {
            return;
        }
        if let (None, Some(PeerAddress::Host(name))) = (policy.peer, &policy.config.peer) {
            let name = name.clone();
            let event = PlaneEvent::Resolve { policy: id, name };
            return self.state.events.push_back(event);
        }
        let Some(((bundle, specs), ends)) = policy
            .bundle_config
            .as_ref()
            .zip(policy.local.zip(policy.peer))
        else {
            return;
        };
        let numbers: Vec<u8> = bundle.string.specs().collect();
        let found: Vec<SaSpecConfig> = numbers
            .iter()
            .filter_map(|number| specs.iter().find(|spec| spec.number == *number))
            .cloned()
            .collect();
        if found.len() != numbers.len() {
            self.state.raise(id, Happened::SetupGetSaSpecFail);
            return;
        }
        let heartbeat = policy.config.udp_heartbeat == Some(true);
        let Ok(bundle) = self.state.begin_bundle(now, id, ends) else {
            return;
        };
        if let Some(path) = self.state.bundle(bundle).map(|bundle| bundle.path) {
            if let Some(path) = self.state.paths.get_mut(path) {
                path.heartbeat |= heartbeat;
            }
            self.state.schedule_path(path);
        }
        if !self.install_manual(bundle, &found, keys) {
            self.release(bundle, RemoveWhy::EngineFailed);
        }
    }

    /// Adds the SAs of a manual bundle and asks for their channels; false if one has no place, or
    /// its keys are no good.
    fn install_manual(&mut self, bundle: BundleId, specs: &[SaSpecConfig], keys: &KeyRing) -> bool {
        for spec in specs {
            let in_spi = Spi(spec.inspi.unwrap_or(0));
            if !self
                .state
                .add_sa(Sa::reserved(bundle, spec.protocol, in_spi))
            {
                return false;
            }
        }
        [Half::Inbound, Half::Outbound].into_iter().all(|half| {
            let sas = specs
                .iter()
                .map(|spec| manual_keys(spec, half, keys))
                .collect();
            self.install_keys(bundle, half, sas).is_ok()
        })
    }
}

impl PlaneState {
    /// Takes compiled policies over in their order; gives back the new ones.
    fn take_over(&mut self, wanted: Vec<Policy>) -> Vec<PolicyId> {
        let mut fresh = Vec::new();
        self.lists.clear();
        self.bad_spi_policies.clear();
        self.tunnel_port = None;
        for policy in wanted {
            let on = policy.on;
            let key = policy.key();
            let asks = policy.config.respond_bad_spi == Some(true);
            let answers = policy.peer.filter(|_| asks);
            let tunnel = match policy.encapsulation {
                Encap::Tunnel2746 { local_port, .. } => Some(local_port),
                Encap::None | Encap::NatT { .. } => None,
            };
            let id = match self.by_name.get(&key) {
                Some(id) => {
                    if let Some(known) = self.policies.get_mut(id.0) {
                        known.bundle_config = policy.bundle_config;
                    }
                    *id
                }
                None => match self.policies.insert(policy) {
                    Ok(id) => {
                        let id = PolicyId(id);
                        self.by_name.insert(key, id);
                        fresh.push(id);
                        id
                    }
                    Err(_) => continue,
                },
            };
            self.tunnel_port = self.tunnel_port.or(tunnel);
            if let Some(peer) = answers {
                self.bad_spi_policies.entry(peer).or_insert(id);
            }
            match self
                .lists
                .iter_mut()
                .find(|(interface, _)| *interface == on)
            {
                Some((_, list)) => list.push(id),
                None => self.lists.push((on, vec![id])),
            }
        }
        fresh
    }

    /// Gives the SPD what every policy selects now: for a policy that knows its peer by name only,
    /// what its bundles carry.
    pub(super) fn relist(&mut self) {
        let lists: Vec<(InterfaceId, Vec<(PolicyId, Selector)>)> = self
            .lists
            .iter()
            .map(|(on, list)| {
                let selectors = list.iter().flat_map(|id| {
                    let selectors = self.policy(*id).map(|policy| self.selectors(policy));
                    let selectors = selectors.unwrap_or_default();
                    selectors.into_iter().map(|selector| (*id, selector))
                });
                (*on, selectors.collect())
            })
            .collect();
        self.spd.replace(lists);
    }

    fn selectors(&self, policy: &Policy) -> Vec<Selector> {
        if !policy.follows_bundles() {
            return vec![policy.selector.clone()];
        }
        // What answers the first packets that come in on a bundle waits until it is whole.
        let coming = policy.bundles.iter().copied().filter(|id| {
            let bundle = self.bundle(*id);
            bundle.is_some_and(|b| b.state == SaState::Creating && b.installed[0])
        });
        policy
            .ways
            .all()
            .chain(coming)
            .filter_map(|id| Some(self.bundle(id)?.selector.clone()))
            .collect()
    }

    /// The same, if bundles of that policy have a say in it.
    pub(super) fn relist_if_followed(&mut self, id: PolicyId) {
        if self.policy(id).is_some_and(Policy::follows_bundles) {
            self.relist();
        }
    }
}

impl Policy {
    fn key(&self) -> String {
        self.config.name.as_str().to_ascii_lowercase()
    }
}

fn manual_keys(spec: &SaSpecConfig, half: Half, keys: &KeyRing) -> SaKeys {
    let key = |number: Option<u16>| {
        number
            .and_then(|number| keys.get(KeyNumber(number)))
            .map_or_else(|| Secret::copy_of(&[]), |key| key.value.duplicate())
    };
    SaKeys {
        protocol: spec.protocol,
        spi: Spi(match half {
            Half::Inbound => spec.inspi.unwrap_or(0),
            Half::Outbound => spec.outspi.unwrap_or(0),
        }),
        mode: spec.mode(),
        cipher: spec.cipher(),
        cipher_key: key(spec.enckey.filter(|_| spec.cipher().key_len() > 0)),
        mac: spec.mac(),
        mac_key: key(spec.hashkey.filter(|_| spec.mac().key_len() > 0)),
        spec: spec.number,
    }
}

fn compile(record: &PolicyConfig, config: &IpsecConfig, net: &Net) -> Option<Policy> {
    let on = net.by_name(&record.interface)?;
    let ipsec = record.action() == Action::Ipsec;
    let peer = record.peer.as_ref().and_then(PeerAddress::address);
    let source = record.src_interface.as_ref();
    let source = source.and_then(|name| net.by_name(name)).unwrap_or(on);
    let local = net.source_of(record);
    let bundle = record.bundle.and_then(|number| config.bundle(number));
    let bundle_config: Option<(BundleConfig, Vec<SaSpecConfig>)> = bundle.map(|bundle| {
        let mut specs: Vec<SaSpecConfig> = Vec::new();
        let named = bundle.string.specs();
        for spec in named.filter_map(|number| config.sa_spec(number)) {
            if !specs.iter().any(|known| known.number == spec.number) {
                specs.push(spec.clone());
            }
        }
        (bundle.clone(), specs)
    });
    let encapsulation = if ipsec && record.udp_tunnel == Some(true) {
        Encap::Tunnel2746 {
            framing: record.udp_framing.unwrap_or_default(),
            local_port: config.udp_port(),
            peer_port: record.udp_peer_port(),
        }
    } else {
        Encap::None
    };
    Some(Policy {
        on,
        action: record.action(),
        key_management: record.key_management.filter(|_| ipsec),
        selector: record.selector(),
        peer,
        local,
        df: record.df_bit.unwrap_or(DfBit::Clear),
        bundle_config,
        config: record.clone(),
        bundles: Vec::new(),
        queued: 0,
        counters: PolicyCounters::default(),
        debug: DebugMask::NONE,
        ways: Ways::default(),
        next_index: 0,
        acquiring: false,
        creating: 0,
        renewals: Vec::new(),
        source_interface: source,
        encapsulation,
        bad_spi_at: None,
    })
}
