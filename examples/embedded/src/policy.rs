//! The compiled-in configuration: what `peer.cfg` says, seen from the other side. A firmware with
//! a prompt would link the crate `config-lang` instead.

use alloc::vec;

use hw_offload::{Cipher, DhGroup, KeyKind, KeyNumber, KeyRecord, Secret};
use ipsec_core::model::{
    Action, AddressSelector, BundleConfig, BundleString, HashAlg, InterfaceName, KeyManagement,
    Name, PeerAddress, PolicyConfig, Protocol, SaSpecConfig,
};
use ipsec_core::net::InterfaceId;
use isakmp_core::config::{DpdMode, IsakmpPolicyConfig};
use isakmp_core::device::State;
use smoltcp::wire::EthernetAddress;

/// The card's address, one of those that anybody may use.
pub const MAC: EthernetAddress = EthernetAddress([0x02, 0, 0x5e, 0, 0x53, 2]);
/// The WAN address.
pub const WAN: [u8; 4] = [192, 0, 2, 2];
/// The address in the LAN.
pub const LAN: [u8; 4] = [192, 168, 20, 1];
const PEER: [u8; 4] = [192, 0, 2, 1];
const PEER_LAN: [u8; 4] = [192, 168, 10, 0];
const KEY: KeyNumber = KeyNumber(1);
const PRESHARED: &[u8] = b"a bare board and a gateway";

/// Configures a router that is as it left the factory; tells which interface is the WAN.
pub fn configure(state: &mut State) -> InterfaceId {
    let (wan, lan) = (InterfaceName::new("eth0"), InterfaceName::new("vlan1"));
    let wan_id = state.net.interface(&wan);
    let lan_id = state.net.interface(&lan);
    for (id, address) in [(wan_id, WAN), (lan_id, LAN)] {
        let interface = state.net.get_mut(id).expect("it was just made");
        interface.addresses.push((address.into(), 24));
    }
    let key = KeyRecord {
        kind: KeyKind::General,
        value: Secret::copy_of(PRESHARED),
        description: None,
        address: None,
    };
    state.keys.create(KEY, key).expect("there is place for it");

    let ipsec = &mut state.ipsec;
    ipsec.sa_specs = vec![SaSpecConfig {
        number: 1,
        key_management: KeyManagement::Isakmp,
        protocol: Protocol::Esp,
        mode: None,
        encalg: Some(Cipher::Aes128),
        enckey: None,
        hashalg: Some(HashAlg::Sha),
        hashkey: None,
        inspi: None,
        outspi: None,
        anti_replay: None,
        window: None,
    }];
    ipsec.bundles = vec![BundleConfig {
        number: 1,
        key_management: KeyManagement::Isakmp,
        string: BundleString::parse("1").expect("it names one SA"),
        expiry_kbytes: None,
        expiry_seconds: None,
    }];
    ipsec.policies = vec![
        PolicyConfig {
            lport: Some(500),
            rport: Some(500),
            transport: Some(17),
            ..PolicyConfig::new(Name::new("isa"), wan.clone(), Action::Permit)
        },
        PolicyConfig {
            key_management: Some(KeyManagement::Isakmp),
            bundle: Some(1),
            peer: Some(PeerAddress::Address(PEER.into())),
            laddress: Some(AddressSelector::Prefix(LAN.into(), 32)),
            lmask: Some(24),
            raddress: Some(AddressSelector::Prefix(PEER_LAN.into(), 32)),
            rmask: Some(24),
            ..PolicyConfig::new(Name::new("vpn"), wan, Action::Ipsec)
        },
    ];
    ipsec.enabled = true;

    state.isakmp.policies = vec![IsakmpPolicyConfig {
        key: Some(KEY.0),
        encalg: Some(Cipher::Aes128),
        group: Some(DhGroup::Modp1024),
        dpd_mode: Some(DpdMode::Both),
        prenegotiate: Some(true),
        send_deletes: Some(true),
        // INITIAL-CONTACT, among others: after a restart the peer forgets what was.
        send_notify: Some(true),
        ..IsakmpPolicyConfig::new(Name::new("peer"), PeerAddress::Address(PEER.into()))
    }];
    state.isakmp.enabled = true;
    wan_id
}
