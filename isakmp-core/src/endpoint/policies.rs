//! Which ISAKMP policy is for whom, compiled from the configuration.
//!
//! As responder: the policies that name the peer's address (or a host that has it), then those
//! with PEER=ANY, each in the order of creation and of the right MODE; in Aggressive mode the
//! initiator's identity narrows them further. As initiator: the policy that the IPsec policy
//! names with ISAKMPPOLICY, else the first for the address.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::model::{IpVersion, Name, PeerAddress};

use crate::config::{IsakmpConfig, IsakmpPolicyConfig, Phase1Mode};
use crate::reason::{Mismatch, Reason, Subject, Value, Whose};
use crate::wire::ExchangeType;

/// A host that policies name.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Name,
    policies: Vec<u16>,
    pub(super) addresses: Vec<IpAddr>,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Policies {
    by_address: BTreeMap<IpAddr, Vec<u16>>,
    any: Vec<u16>,
    pub(super) hosts: Vec<Host>,
}

impl Policies {
    /// Compiles the configuration; the addresses of hosts that are known already stay known.
    pub(super) fn compile(&mut self, config: &IsakmpConfig) {
        let known = core::mem::take(&mut self.hosts);
        self.any.clear();
        for (place, policy) in (0..).zip(&config.policies) {
            match &policy.peer {
                PeerAddress::Address(_) | PeerAddress::Dynamic => {}
                PeerAddress::Any => self.any.push(place),
                PeerAddress::Host(name) => {
                    match self.hosts.iter_mut().find(|host| host.name == *name) {
                        Some(host) => host.policies.push(place),
                        None => {
                            let before = known.iter().find(|host| host.name == *name);
                            let addresses = before.map_or_else(Vec::new, |h| h.addresses.clone());
                            self.hosts.push(Host {
                                name: name.clone(),
                                policies: alloc::vec![place],
                                addresses,
                            });
                        }
                    }
                }
            }
        }
        self.file(config);
    }

    /// A host has these addresses now.
    pub(super) fn resolved(&mut self, config: &IsakmpConfig, name: &Name, addresses: &[IpAddr]) {
        if let Some(host) = self.hosts.iter_mut().find(|host| host.name == *name) {
            host.addresses = addresses.to_vec();
            self.file(config);
        }
    }

    fn file(&mut self, config: &IsakmpConfig) {
        self.by_address.clear();
        for (place, policy) in (0..).zip(&config.policies) {
            if let PeerAddress::Address(address) = policy.peer {
                self.by_address.entry(address).or_default().push(place);
            }
        }
        for host in &self.hosts {
            for address in &host.addresses {
                let policies = self.by_address.entry(*address).or_default();
                policies.extend_from_slice(&host.policies);
                policies.sort_unstable();
            }
        }
    }

    /// Whether a policy names the address.
    pub(super) fn names(&self, peer: IpAddr) -> bool {
        self.by_address.contains_key(&peer)
    }

    /// The policies for an address, best first.
    pub(super) fn for_peer<'a>(
        &'a self,
        config: &'a IsakmpConfig,
        peer: IpAddr,
    ) -> impl Iterator<Item = (u16, &'a IsakmpPolicyConfig)> {
        let version = if peer.is_ipv4() {
            IpVersion::V4
        } else {
            IpVersion::V6
        };
        self.by_address
            .get(&peer)
            .into_iter()
            .flatten()
            .chain(&self.any)
            .filter_map(move |place| Some((*place, at(config, *place)?)))
            .filter(move |(_, policy)| policy.version() == version)
    }

    /// The policies of one mode that an initiator at that address may meet, best first.
    pub(super) fn for_initiator<'a>(
        &'a self,
        config: &'a IsakmpConfig,
        peer: IpAddr,
        mode: Phase1Mode,
    ) -> impl Iterator<Item = (u16, &'a IsakmpPolicyConfig)> {
        self.for_peer(config, peer)
            .filter(move |(_, policy)| policy.mode() == mode)
    }

    /// Why none of the policies for an address was held against its offer: all have another mode.
    pub(super) fn wrong_mode(
        &self,
        config: &IsakmpConfig,
        peer: IpAddr,
        theirs: Phase1Mode,
    ) -> Reason {
        let exchange = match theirs {
            Phase1Mode::Main => ExchangeType::Main,
            Phase1Mode::Aggressive => ExchangeType::Aggressive,
        };
        let reason = Reason::new(exchange, 1, Subject::Mode, Whose::Ours);
        let Some((_, policy)) = self.for_peer(config, peer).next() else {
            return reason;
        };
        let [ours, theirs] = [policy.mode(), theirs].map(|mode| Value::Word(mode.word()));
        let mismatch = Mismatch::new("MODE", ours, theirs);
        reason.with(Some(mismatch)).under(&policy.name)
    }

    /// Why there is no policy to begin phase 1 with.
    pub(super) fn none_towards(
        &self,
        config: &IsakmpConfig,
        peer: IpAddr,
        named: Option<&Name>,
    ) -> Reason {
        let reason = |subject| Reason::new(ExchangeType::Main, 0, subject, Whose::Ours);
        let theirs = Value::text(peer);
        let Some(policy) = named.and_then(|name| config.policy(name.as_str())) else {
            let mismatch = Mismatch::new("PEER", Value::Absent, theirs);
            return reason(Subject::NoIsakmpPolicy).with(Some(mismatch));
        };
        let host = self
            .hosts
            .iter()
            .find(|host| matches!(&policy.peer, PeerAddress::Host(name) if *name == host.name));
        let subject = match host {
            Some(host) if host.addresses.is_empty() => Subject::Unresolved,
            _ => Subject::NoIsakmpPolicy,
        };
        let mismatch = Mismatch::new("PEER", Value::text(&policy.peer), theirs);
        reason(subject).with(Some(mismatch)).under(&policy.name)
    }

    /// The policy to begin phase 1 with.
    pub(super) fn towards<'a>(
        &self,
        config: &'a IsakmpConfig,
        peer: IpAddr,
        named: Option<&Name>,
    ) -> Option<&'a IsakmpPolicyConfig> {
        let places = self.by_address.get(&peer)?;
        places
            .iter()
            .filter_map(|place| at(config, *place))
            .find(|policy| named.is_none_or(|name| policy.name == *name))
    }
}

/// A policy by its place.
pub(super) fn at(config: &IsakmpConfig, place: u16) -> Option<&IsakmpPolicyConfig> {
    config.policies.get(usize::from(place))
}
