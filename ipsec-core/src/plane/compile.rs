//! From the configuration as written to compiled policies; manual bundles come up here.

use alloc::vec;
use alloc::vec::Vec;

use hw_offload::{KeyNumber, KeyRing, PacketBuf, Secret};

use super::{DataPlane, Hold, Policy, RemoveWhy};
use crate::counters::{Counters, Happened};
use crate::model::{
    Action, BundleConfig, DfBit, Half, IpsecConfig, KeyManagement, PeerAddress, PolicyConfig,
    SaSpecConfig, Selector, Spi,
};
use crate::net::{InterfaceId, Net};
use crate::sad::{Bundle, BundleId, Sa, SaKeys};
use crate::spd::PolicyId;
use crate::time::Instant;

impl<B: PacketBuf> DataPlane<B> {
    /// Rebuilds everything that is derived from the configuration. Policies whose records did not
    /// change keep their bundles; those of changed, removed or disabled ones are removed.
    pub fn configure(&mut self, now: Instant, config: &IpsecConfig, net: &Net, keys: &KeyRing) {
        let state = &mut self.state;
        state.enabled = config.enabled;
        state.local = net
            .interfaces()
            .flat_map(|(_, interface)| &interface.addresses)
            .map(|(address, _)| *address)
            .collect();
        state.mtu = net
            .interfaces()
            .map(|(_, interface)| interface.mtu)
            .collect();
        let wanted: Vec<Policy> = if config.enabled {
            config
                .policies
                .iter()
                .filter_map(|record| compile(record, config, net))
                .collect()
        } else {
            Vec::new()
        };
        let known: Vec<PolicyId> = state.policies().map(|(id, _)| id).collect();
        for id in known {
            let stays = self
                .state
                .policy(id)
                .is_some_and(|old| wanted.iter().any(|new| new.equal_to(old)));
            if !stays {
                self.remove_policy(id);
            }
        }
        let mut lists: Vec<(InterfaceId, Vec<(PolicyId, Selector)>)> = Vec::new();
        let mut fresh = Vec::new();
        for policy in wanted {
            let (on, selector) = (policy.on, policy.selector.clone());
            let id = match self.state.policy_by_name(policy.config.name.as_str()) {
                Some((id, _)) => id,
                None => match self.state.policies.insert(policy) {
                    Ok(id) => {
                        fresh.push(PolicyId(id));
                        PolicyId(id)
                    }
                    Err(_) => continue,
                },
            };
            match lists.iter_mut().find(|(interface, _)| *interface == on) {
                Some((_, list)) => list.push((id, selector)),
                None => lists.push((on, vec![(id, selector)])),
            }
        }
        self.state.spd.replace(lists);
        for id in fresh {
            self.bring_up_manual(now, id, keys);
        }
    }

    /// The bundles of a policy go, its packets are dropped at the next `next_ready`.
    fn remove_policy(&mut self, id: PolicyId) {
        self.reset_policy(id, RemoveWhy::Configuration);
        self.state.policies.remove(id.0);
    }

    /// Removes every bundle of a policy.
    pub fn reset_policy(&mut self, id: PolicyId, why: RemoveWhy) {
        let bundles = self.state.policy(id).map(|policy| policy.bundles.clone());
        for bundle in bundles.unwrap_or_default() {
            self.release(bundle, why);
        }
        if let Some(policy) = self.state.policies.get_mut(id.0) {
            policy.acquiring = false;
            policy.hold = Hold::Discard;
        }
    }

    fn bring_up_manual(&mut self, now: Instant, id: PolicyId, keys: &KeyRing) {
        let Some(policy) = self.state.policies.get_mut(id.0) else {
            return;
        };
        if policy.key_management != Some(KeyManagement::Manual) {
            return;
        }
        let (Some((bundle, specs)), Some(peer), Some(local)) =
            (&policy.bundle_config, policy.peer, policy.local)
        else {
            return;
        };
        let specs: Vec<SaSpecConfig> = bundle
            .string
            .specs()
            .filter_map(|number| specs.iter().find(|spec| spec.number == number))
            .cloned()
            .collect();
        let selector = policy.selector.clone();
        let record = Bundle::creating(id, policy.next_index, (local, peer), selector, now);
        let Ok(slot) = self.state.sad.bundles.insert(record) else {
            return;
        };
        let bundle = BundleId(slot);
        policy.next_index = policy.next_index.wrapping_add(1);
        policy.bundles.push(bundle);
        self.state.counters.raise(Happened::SetupStarted);
        if !self.install_manual(bundle, &specs, keys) {
            self.release(bundle, RemoveWhy::EngineFailed);
        }
    }

    /// Adds the SAs of a manual bundle and asks for their channels; false if one has no place.
    fn install_manual(&mut self, bundle: BundleId, specs: &[SaSpecConfig], keys: &KeyRing) -> bool {
        for spec in specs {
            let in_spi = Spi(spec.inspi.unwrap_or(0));
            let sa = Sa {
                mode: spec.mode(),
                ..Sa::reserved(bundle, spec.protocol, in_spi)
            };
            let (Some(sa), Some(record)) = (
                self.state.sad.add(sa),
                self.state.sad.bundles.get_mut(bundle.0),
            ) else {
                return false;
            };
            self.state.counters.raise(Happened::AddSa);
            record.sas.push(sa);
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
        cipher: spec.cipher(),
        cipher_key: key(spec.enckey.filter(|_| spec.cipher().key_len() > 0)),
        mac: spec.mac(),
        mac_key: key(spec.hashkey.filter(|_| spec.mac().key_len() > 0)),
        spec: spec.number,
    }
}

fn compile(record: &PolicyConfig, config: &IpsecConfig, net: &Net) -> Option<Policy> {
    let on = net.by_name(&record.interface)?;
    let peer = record.peer.as_ref().and_then(PeerAddress::address);
    let source = record
        .src_interface
        .as_ref()
        .and_then(|name| net.by_name(name));
    let local = peer.and_then(|peer| net.source_for(peer, source.or(Some(on))));
    let bundle_config: Option<(BundleConfig, Vec<SaSpecConfig>)> = record
        .bundle
        .and_then(|number| config.bundle(number))
        .map(|bundle| {
            let mut specs: Vec<SaSpecConfig> = Vec::new();
            for spec in bundle
                .string
                .specs()
                .filter_map(|number| config.sa_spec(number))
            {
                if !specs.iter().any(|known| known.number == spec.number) {
                    specs.push(spec.clone());
                }
            }
            (bundle.clone(), specs)
        });
    Some(Policy {
        on,
        action: record.action(),
        key_management: record
            .key_management
            .filter(|_| record.action() == Action::Ipsec),
        selector: record.selector(),
        peer,
        local,
        df: record.df_bit.unwrap_or(DfBit::Clear),
        bundle_config,
        config: record.clone(),
        bundles: Vec::new(),
        current: None,
        queued: 0,
        counters: Counters::default(),
        next_index: 0,
        acquiring: false,
        hold: Hold::Keep,
    })
}

impl Policy {
    fn equal_to(&self, other: &Self) -> bool {
        self.config == other.config
            && self.bundle_config == other.bundle_config
            && self.on == other.on
            && self.peer == other.peer
            && self.local == other.local
    }
}
