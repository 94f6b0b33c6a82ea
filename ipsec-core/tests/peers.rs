//! Peers: any number of them, peers that move, peers behind a NAT, peers known by name.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use common::*;
use hw_offload::*;
use ipsec_core::counters::Happened;
use ipsec_core::model::*;
use ipsec_core::wire::checksum::with_pseudo_header;
use ipsec_core::wire::udp_encap::Framing;
use ipsec_core::wire::{ipv4, udp};
use ipsec_core::*;
use std::time::Duration;

const A: &str = "1.1.1.1";
const B: &str = "2.2.2.2";
const C: &str = "3.3.3.3";
const LAN_A: &str = "192.168.10.0/24";
const LAN_B: &str = "192.168.20.0/24";
const HOST_A: &str = "192.168.10.7";
const HOST_B: &str = "192.168.20.9";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const TRANSPORT: Spec = esp(Mode::Transport, Cipher::Aes128, HashAlg::Sha);

/// A router A that serves peers, with one policy `vpn` for its LAN.
fn server(specs: &[Spec], change: impl Fn(&mut PolicyConfig)) -> Router {
    let mut router = Router::at(A);
    specify(&mut router, specs, KeyManagement::Isakmp);
    let peer = PeerAddress::Any;
    let mut policy = vpn(peer, KeyManagement::Isakmp, (LAN_A, LAN_B));
    change(&mut policy);
    router.config.policies.push(policy);
    for port in [2746, 4500] {
        let policy = PolicyConfig {
            transport: Some(17),
            lport: Some(port),
            ..PolicyConfig::new(
                Name::new(&format!("udp{port}")),
                InterfaceName::new("ppp0"),
                Action::Permit,
            )
        };
        router.config.policies.insert(0, policy);
    }
    router.configure();
    router
}

/// A peer of A at some address with some network behind it.
fn client(specs: &[Spec], wan: &str, lan: &str) -> Router {
    let mut router = Router::at(wan);
    specify(&mut router, specs, KeyManagement::Isakmp);
    let peer = PeerAddress::Address(ip(A));
    let policy = vpn(peer, KeyManagement::Isakmp, (lan, LAN_A));
    router.config.policies.push(policy);
    for port in [2746, 4500] {
        let policy = PolicyConfig {
            transport: Some(17),
            lport: Some(port),
            ..PolicyConfig::new(
                Name::new(&format!("udp{port}")),
                InterfaceName::new("ppp0"),
                Action::Permit,
            )
        };
        router.config.policies.insert(0, policy);
    }
    router.configure();
    router
}

fn destination(packet: &[u8]) -> std::net::IpAddr {
    wire::datagram::Datagram::parse(packet)
        .unwrap()
        .destination()
}

/// PEERADDRESS=ANY: many peers at once, each with its own bundle, and every packet finds its peer.
#[test]
fn any_number_of_peers() {
    let mut a = server(&[ESP], |policy| {
        policy.raddress = Some(selector("10.0.0.0/8"));
    });
    let mut clients = Vec::new();
    for n in 1..=40_u8 {
        // Networks of several sizes, one inside another.
        let wan = format!("5.5.5.{n}");
        let (lan, host) = if n % 10 == 0 {
            let net = n / 10;
            (format!("10.{net}.0.0/16"), format!("10.{net}.199.200"))
        } else {
            let net = n / 10 + 1;
            (format!("10.{net}.{n}.0/24"), format!("10.{net}.{n}.200"))
        };
        let mut client = client(&[ESP], &wan, &lan);
        Agreement::new(&[ESP], &wan, A, (&lan, LAN_A)).install(&mut client, &mut a);
        clients.push((wan, host, client));
    }
    assert_eq!(a.policy("vpn").bundles.len(), 40);
    for (wan, host, client) in &mut clients {
        let clear = udp_packet(HOST_A, host, 20);
        let sealed = a.send(&clear);
        assert_eq!(destination(&sealed), ip(wan), "{host}");
        assert_eq!(client.deliver(&sealed), clear);
        let back = udp_packet(host, HOST_A, 20);
        let sealed = client.send(&back);
        assert_eq!(a.deliver(&sealed), back);
    }
    // Nobody has that network, and A cannot begin.
    let stray = udp_packet(HOST_A, "10.200.0.1", 20);
    assert_eq!(why(a.outbound(&stray)), DropReason::NoBundle);
    assert_eq!(a.count(Happened::OutNoBundleFail), 1);
    assert!(
        !a.told()
            .iter()
            .any(|event| matches!(event, PlaneEvent::Acquire { .. }))
    );
    // One peer goes; the others stay.
    let (_, host, _) = &clients[10];
    let index = a
        .plane
        .state()
        .bundle(a.policy("vpn").bundles[10])
        .unwrap()
        .index;
    let bundle = a.plane.state().bundle_of("vpn", index).expect("a bundle");
    a.plane.release(bundle, RemoveWhy::Configuration);
    assert_eq!(a.plane.state().bundle_of("vpn", index), None);
    a.pump();
    assert_eq!(a.policy("vpn").bundles.len(), 39);
    // 10.2.11.0/24 lies in the network of another peer, 10.2.0.0/16.
    let sealed = a.send(&udp_packet(HOST_A, host, 20));
    assert_eq!(destination(&sealed), ip("5.5.5.20"));
}

/// Renewals of one of many peers replace its own bundle and nobody else's.
#[test]
fn a_renewal_replaces_its_own_predecessor() {
    let mut a = server(&[ESP], |policy| policy.raddress = None);
    let mut b = client(&[ESP], B, "10.1.0.0/16");
    let mut c = client(&[ESP], C, "10.2.0.0/16");
    let with_b = Agreement::new(&[ESP], B, A, ("10.1.0.0/16", LAN_A));
    let with_c = Agreement::new(&[ESP], C, A, ("10.2.0.0/16", LAN_A));
    let old = with_b.install(&mut b, &mut a).1;
    with_c.install(&mut c, &mut a);
    a.wait(60);
    let new = with_b.install(&mut b, &mut a).1;
    assert_eq!(a.policy("vpn").bundles.len(), 3);
    let there = udp_packet("10.1.0.1", HOST_A, 5);
    let sealed = b.send(&there);
    assert_eq!(a.deliver(&sealed), there);
    assert_eq!(a.count(Happened::InBundleReplaced), 1);
    a.wait(11);
    assert_eq!(a.plane.state().bundle_state(old), None);
    assert_eq!(a.plane.state().bundle_state(new), Some(SaState::Valid));
    assert_eq!(a.policy("vpn").bundles.len(), 2);
}

/// PEERADDRESS=DYNAMIC: whoever came last is the peer; the bundle of an earlier address goes.
#[test]
fn the_last_peer_is_the_peer() {
    let mut a = server(&[ESP], |policy| policy.peer = Some(PeerAddress::Dynamic));
    let mut b = client(&[ESP], B, LAN_B);
    let mut c = client(&[ESP], C, LAN_B);
    Agreement::new(&[ESP], B, A, (LAN_B, LAN_A)).install(&mut b, &mut a);
    let clear = udp_packet(HOST_A, HOST_B, 5);
    assert_eq!(destination(&a.send(&clear)), ip(B));
    Agreement::new(&[ESP], C, A, (LAN_B, LAN_A)).install(&mut c, &mut a);
    assert_eq!(destination(&a.send(&clear)), ip(C));
    // What is under way may still arrive, for a while.
    let back = udp_packet(HOST_B, HOST_A, 5);
    let late = [b.send(&back), b.send(&back)];
    assert_eq!(a.deliver(&late[0]), back);
    a.wait(11);
    assert_eq!(why(a.inbound(&late[1])), DropReason::UnknownSpi);
    assert_eq!(a.policy("vpn").bundles.len(), 1);
}

/// RNAME without RADDRESS: the policy selects what its bundles carry, and nothing while there is
/// none.
#[test]
fn a_peer_known_by_name() {
    let mut a = server(&[ESP], |policy| {
        policy.peer = Some(PeerAddress::Dynamic);
        policy.raddress = None;
        policy.rname = Some(Name::new("client"));
    });
    let inet = PolicyConfig::new(
        Name::new("inet"),
        InterfaceName::new("ppp0"),
        Action::Permit,
    );
    a.config.policies.push(inet);
    a.configure();
    let mut b = client(&[ESP], B, B);
    let elsewhere = udp_packet(HOST_A, "8.8.8.8", 5);
    assert_eq!(a.send(&elsewhere), elsewhere);
    let mut agreement = Agreement::new(&[ESP], B, A, (B, LAN_A));
    // What A knows of the peer's addresses is its name.
    agreement.selectors.1.remote = AddressSelector::Any;
    agreement.selectors.1.remote_name = Some(Name::new("client"));
    agreement.install(&mut b, &mut a);
    assert_eq!(a.send(&elsewhere), elsewhere);
    let clear = udp_packet(HOST_A, B, 5);
    let sealed = a.send(&clear);
    assert_eq!(layers(&sealed), [50]);
    assert_eq!(b.deliver(&sealed), clear);
    let back = udp_packet(B, HOST_A, 5);
    assert_eq!(why(a.inbound(&back)), DropReason::ClearWhereIpsec);
    let sealed = b.send(&back);
    assert_eq!(a.deliver(&sealed), back);
    let policy = a.policy_id("vpn");
    a.plane.reset_policy(policy, RemoveWhy::Configuration);
    a.pump();
    assert_eq!(
        a.send(&clear),
        clear,
        "without a bundle nobody knows the peer"
    );
}

/// A host name is looked up when a bundle is needed; packets wait meanwhile.
#[test]
fn a_peer_with_a_host_name() {
    let (mut a, mut b) = isakmp_pair(&[ESP], (A, B), (LAN_A, LAN_B), |router, place| {
        if place == 0 {
            let name = PeerAddress::Host(Name::new("b.example"));
            router.config.policies[0].peer = Some(name);
        }
    });
    let clear = udp_packet(HOST_A, HOST_B, 5);
    assert!(matches!(a.outbound(&clear), Verdict::Held));
    assert!(matches!(a.outbound(&clear), Verdict::Held));
    let policy = a.policy_id("vpn");
    let told = a.told();
    assert_eq!(told.len(), 1);
    let asked = matches!(&told[0], PlaneEvent::Resolve { policy: of, name }
        if *of == policy && *name == *"b.example");
    assert!(asked);
    a.plane.resolved(a.now, policy, Some(ip(B)), &a.keys);
    let told = a.told();
    let expected = Some((ip(A), ip(B)));
    assert!(matches!(told[..], [PlaneEvent::Acquire { ends, .. }] if ends == expected));
    Agreement::new(&[ESP], A, B, (LAN_A, LAN_B)).install(&mut a, &mut b);
    for _ in 0..2 {
        let sealed = datagrams(a.ready().unwrap()).remove(0);
        assert_eq!(b.deliver(&sealed), clear);
    }
    assert!(a.ready().is_none());
    // The peer moved: the old bundle goes, and the next packet asks again.
    a.plane.resolved(a.now, policy, Some(ip(C)), &a.keys);
    a.told();
    assert!(a.policy("vpn").bundles.is_empty());
    assert!(matches!(a.outbound(&clear), Verdict::Held));
    assert!(matches!(a.told()[..], [PlaneEvent::Resolve { .. }]));
    // Nobody knows the name: what waits is dropped.
    a.plane.resolved(a.now, policy, None, &a.keys);
    assert_eq!(why(a.ready().unwrap()), DropReason::NegotiationFailed);
}

/// Manual keys with a host name come up once the name is known.
#[test]
fn manual_keys_with_a_host_name() {
    let name = PeerAddress::Host(Name::new("b.example"));
    let (mut a, mut b) = manual_pair(&[ESP], (A, B), (LAN_A, LAN_B), |policy| {
        if policy.peer == Some(PeerAddress::Address(ip(B))) {
            policy.peer = Some(name.clone());
        }
    });
    let policy = a.policy_id("vpn");
    assert!(matches!(a.told()[..], [PlaneEvent::Resolve { .. }]));
    let clear = udp_packet(HOST_A, HOST_B, 5);
    assert_eq!(why(a.outbound(&clear)), DropReason::NoBundle);
    a.plane.resolved(a.now, policy, Some(ip(B)), &a.keys);
    a.pump();
    let sealed = a.send(&clear);
    assert_eq!(b.deliver(&sealed), clear);
}

const NAT_T: Encap = Encap::NatT {
    local_port: 4500,
    peer_port: 4500,
};

/// B behind a NAT that shows it as 7.7.7.7 with some port.
struct Nat {
    outside: std::net::SocketAddr,
}

impl Nat {
    fn rewrite(packet: &[u8], ends: [Option<std::net::SocketAddr>; 2]) -> Vec<u8> {
        let mut packet = packet.to_vec();
        assert_eq!(packet[9], 17);
        for (place, end) in ends.into_iter().enumerate() {
            if let Some(std::net::SocketAddr::V4(end)) = end {
                packet[12 + place * 4..16 + place * 4].copy_from_slice(&end.ip().octets());
                packet[20 + place * 2..22 + place * 2].copy_from_slice(&end.port().to_be_bytes());
            }
        }
        ipv4::write_checksum(&mut packet[..20]);
        packet
    }

    fn out(&self, packet: &[u8]) -> Vec<u8> {
        Self::rewrite(packet, [Some(self.outside), None])
    }

    fn back(&self, packet: &[u8], inside: &str) -> Option<Vec<u8>> {
        let ip4 = ipv4::Ipv4::parse(packet).unwrap();
        let to = udp::Udp::parse(ip4.payload()).unwrap().destination;
        (std::net::SocketAddr::from((ip4.destination(), to)) == self.outside)
            .then(|| Self::rewrite(packet, [None, Some(end(inside))]))
    }
}

fn traversal(agreement: &mut Agreement, outside: &str) {
    let peer_port = end(outside).port();
    agreement.seen.1 = end(outside).ip();
    agreement.traversal.0 = Traversal {
        encap: NAT_T,
        behind_nat: true,
        nat_oa: None,
    };
    agreement.traversal.1.encap = Encap::NatT {
        local_port: 4500,
        peer_port,
    };
}

/// NAT traversal both ways, with the mapping kept alive by the side behind the NAT.
#[test]
fn a_peer_behind_a_nat() {
    let mut a = server(&[ESP], |_| {});
    let mut b = client(&[ESP], "10.0.0.2", LAN_B);
    let nat = Nat {
        outside: end("7.7.7.7:1024"),
    };
    let mut agreement = Agreement::new(&[ESP], "10.0.0.2", A, (LAN_B, LAN_A));
    traversal(&mut agreement, "7.7.7.7:1024");
    agreement.install(&mut b, &mut a);
    let there = udp_packet(HOST_B, HOST_A, 50);
    let sealed = b.send(&there);
    assert_eq!(layers(&sealed), [17]);
    assert_eq!(sealed[20..24], [4500_u16.to_be_bytes(); 2].concat());
    assert_eq!(sealed[26..28], [0, 0], "no checksum over IPv4");
    assert_eq!(a.deliver(&nat.out(&sealed)), there);
    let back = udp_packet(HOST_A, HOST_B, 50);
    let sealed = nat.back(&a.send(&back), "10.0.0.2:4500").unwrap();
    assert_eq!(b.deliver(&sealed), back);
    assert_eq!(
        (a.count(Happened::InUdpPkt), a.count(Happened::OutUdpPkt)),
        (1, 1)
    );
    // Idle: the side behind the NAT is heard of every 20 s, the other side is silent.
    a.told();
    b.told();
    let begin = b.now;
    let mut beats = Vec::new();
    for _ in 0..65 {
        b.wait(1);
        a.wait(1);
        for event in b.told() {
            if let PlaneEvent::Keepalive {
                local, peer, bytes, ..
            } = event
            {
                assert_eq!((local, peer), (end("10.0.0.2:4500"), end("1.1.1.1:4500")));
                assert_eq!(bytes, [0xff]);
                beats.push(b.now.since(begin).as_secs());
            }
        }
    }
    assert_eq!(beats, [20, 40, 60]);
    assert!(a.told().is_empty());
    // Traffic serves as well.
    b.send(&there);
    b.wait(19);
    assert!(b.told().is_empty());
    b.wait(1);
    assert_eq!(b.told().len(), 1);
    // And A swallows what it hears.
    let mut beat = vec![0; 9];
    beat[..8].copy_from_slice(&udp::header(1024, 4500, 9));
    beat[8] = 0xff;
    let beat = packet(ip("7.7.7.7"), ip(A), 17, &beat);
    assert_eq!(why(a.inbound(&beat)), DropReason::Keepalive);
    assert_eq!(a.count(Happened::InUdpHeartBeat), 1);
}

/// The mapping changes: A follows the first authentic, fresh packet, at most once a second, and
/// nothing else.
#[test]
fn threat_d8_only_fresh_authentic_packets_move_a_path() {
    let mut a = server(&[ESP], |_| {});
    a.config.sa_specs[0].anti_replay = Some(true);
    a.configure();
    let mut b = client(&[ESP], "10.0.0.2", LAN_B);
    let mut agreement = Agreement::new(&[ESP], "10.0.0.2", A, (LAN_B, LAN_A));
    traversal(&mut agreement, "7.7.7.7:1024");
    agreement.install(&mut b, &mut a);
    a.told();
    let at = |text: &str| Nat { outside: end(text) };
    let there = udp_packet(HOST_B, HOST_A, 50);
    let peer = |a: &Router| a.plane.state().paths().next().unwrap().1.peer_end();
    let first = b.send(&there);
    a.deliver(&at("7.7.7.7:1024").out(&first));
    // A replay, a forgery and a keepalive from elsewhere.
    let thief = at("6.6.6.6:666");
    assert_eq!(why(a.inbound(&thief.out(&first))), DropReason::Replayed);
    let mut forged = thief.out(&b.send(&there));
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(why(a.inbound(&forged)), DropReason::BadIcv);
    let mut beat = udp::header(666, 4500, 9).to_vec();
    beat.push(0xff);
    a.inbound(&packet(ip("6.6.6.6"), ip(A), 17, &beat));
    assert_eq!(peer(&a), end("7.7.7.7:1024"));
    assert!(a.told().is_empty());
    // The NAT chose another port, and another address.
    let moved = at("8.8.8.8:2000");
    assert_eq!(a.deliver(&moved.out(&b.send(&there))), there);
    assert_eq!(peer(&a), end("8.8.8.8:2000"));
    let told = a.told();
    assert!(matches!(told[..], [PlaneEvent::Moved { from, to, .. }]
        if from == end("7.7.7.7:1024") && to == end("8.8.8.8:2000")));
    let reply = a.send(&udp_packet(HOST_A, HOST_B, 5));
    assert!(moved.back(&reply, "10.0.0.2:4500").is_some());
    // A copy that came faster from elsewhere holds the path for a moment only.
    let copied = b.send(&there);
    a.now += Duration::from_secs(1);
    a.deliver(&thief.out(&copied));
    assert_eq!(peer(&a), end("6.6.6.6:666"));
    a.inbound(&moved.out(&copied));
    a.now += Duration::from_millis(500);
    a.deliver(&moved.out(&b.send(&there)));
    assert_eq!(peer(&a), end("6.6.6.6:666"), "not twice in a second");
    a.now += Duration::from_millis(500);
    a.deliver(&moved.out(&b.send(&there)));
    assert_eq!(peer(&a), end("8.8.8.8:2000"));
    // B is behind the NAT and follows nobody.
    b.now += Duration::from_secs(9);
    b.told();
    let reply = a.send(&udp_packet(HOST_A, HOST_B, 5));
    let astray = Nat::rewrite(
        &reply,
        [Some(end("6.6.6.6:4500")), Some(end("10.0.0.2:4500"))],
    );
    b.deliver(&astray);
    assert!(b.told().is_empty());
}

/// IKE on port 4500 is not ours to swallow, and the outer datagram is held against the policies.
#[test]
fn port_4500_carries_three_things() {
    let mut a = server(&[ESP], |_| {});
    let mut ike = udp::header(4500, 4500, 8 + 4 + 28).to_vec();
    ike.extend([0; 32]);
    let ike = packet(ip(B), ip(A), 17, &ike);
    assert_eq!(a.deliver(&ike), ike);
    let short = packet(
        ip(B),
        ip(A),
        17,
        &[&udp::header(9, 4500, 10)[..], &[1, 2]].concat(),
    );
    assert_eq!(why(a.inbound(&short)), DropReason::Malformed);
    a.config
        .policies
        .retain(|policy| policy.lport != Some(4500));
    a.configure();
    assert_eq!(why(a.inbound(&ike)), DropReason::NoPolicy);
    // Elsewhere it is anybody's port.
    let transit = packet(ip(B), ip("9.9.9.9"), 17, &ike[20..]);
    let buffer = filled(&transit);
    let verdict = a.call(|plane, cx| plane.inbound(cx, LAN, buffer));
    assert_eq!(delivered(verdict), transit);
}

/// Encapsulation over IPv6, whose checksum is computed.
#[test]
fn udp_over_ipv6_has_a_checksum() {
    let (mut a, mut b) = isakmp_pair(
        &[ESP],
        ("2001:db8::1", "2001:db8::2"),
        ("fd00:a::/32", "fd00:b::/32"),
        |_, _| {},
    );
    let mut agreement = Agreement::new(
        &[ESP],
        "2001:db8::1",
        "2001:db8::2",
        ("fd00:a::/32", "fd00:b::/32"),
    );
    agreement.traversal.0.encap = NAT_T;
    agreement.traversal.1.encap = NAT_T;
    agreement.install(&mut a, &mut b);
    for router in [&mut a, &mut b] {
        let policy = PolicyConfig {
            transport: Some(17),
            lport: Some(4500),
            version: Some(IpVersion::V6),
            ..PolicyConfig::new(
                Name::new("natt"),
                InterfaceName::new("ppp0"),
                Action::Permit,
            )
        };
        router.config.policies.push(policy);
        router.configure();
    }
    let clear = udp_packet("fd00:a::1", "fd00:b::1", 33);
    let sealed = a.send(&clear);
    let sum = with_pseudo_header(ip("2001:db8::1"), ip("2001:db8::2"), 17, &sealed[40..]);
    assert_eq!(sum, 0);
    assert_ne!(sealed[46..48], [0, 0]);
    assert_eq!(b.deliver(&sealed), clear);
}

/// UDPTUNNEL=TRUE: both framings, ports of one's own, heartbeats, and the counters.
#[test]
fn the_udp_tunnel() {
    for framing in [Framing::V1, Framing::Raw] {
        let tunnel = |policy: &mut PolicyConfig| {
            policy.udp_tunnel = Some(true);
            policy.udp_framing = Some(framing);
        };
        let (mut a, mut b) = manual_pair(&[ESP], (A, B), (LAN_A, LAN_B), |policy| {
            tunnel(policy);
            policy.udp_heartbeat = Some(policy.peer == Some(PeerAddress::Address(ip(A))));
        });
        for (router, own, peers) in [(&mut a, 2746, 3456), (&mut b, 3456, 2746)] {
            router.config.udp_port = (own != 2746).then_some(own);
            router.config.policies[0].udp_port = (peers != 2746).then_some(peers);
            let udp = PolicyConfig {
                transport: Some(17),
                lport: Some(own),
                ..PolicyConfig::new(Name::new("udp"), InterfaceName::new("ppp0"), Action::Permit)
            };
            router.config.policies.insert(0, udp);
            router.configure();
            router.told();
        }
        let clear = udp_packet(HOST_A, HOST_B, 20);
        let sealed = a.send(&clear);
        assert_eq!(layers(&sealed), [17]);
        assert_eq!(
            sealed[20..24],
            [2746_u16.to_be_bytes(), 3456_u16.to_be_bytes()].concat()
        );
        assert!(sealed[28..].starts_with(framing.header()));
        assert_eq!(b.deliver(&sealed), clear);
        let back = udp_packet(HOST_B, HOST_A, 20);
        let sealed = b.send(&back);
        assert_eq!(a.deliver(&sealed), back);
        // B sends a heartbeat every 30 s, traffic or not.
        let begin = b.now;
        let mut beats = Vec::new();
        for _ in 0..95 {
            b.wait(1);
            b.send(&back);
            for event in b.told() {
                if let PlaneEvent::Keepalive {
                    local, peer, bytes, ..
                } = event
                {
                    assert_eq!((local, peer), (end("2.2.2.2:3456"), end("1.1.1.1:2746")));
                    assert_eq!(bytes, framing.heartbeat());
                    beats.push(b.now.since(begin).as_secs());
                }
            }
        }
        assert_eq!(beats, [30, 60, 90]);
        assert_eq!(b.count(Happened::OutUdpHeartBeat), 3);
        let datagram = |payload: &[u8]| {
            let len = u16::try_from(8 + payload.len()).unwrap();
            let mut bytes = udp::header(3456, 2746, len).to_vec();
            bytes.extend(payload);
            packet(ip(B), ip(A), 17, &bytes)
        };
        let beat = datagram(framing.heartbeat());
        assert_eq!(why(a.inbound(&beat)), DropReason::Heartbeat);
        assert_eq!(a.count(Happened::InUdpHeartBeat), 1);
        if framing == Framing::V1 {
            let odd = datagram(&[2, 0, 0, 0, 1, 2, 3, 4]);
            assert_eq!(why(a.inbound(&odd)), DropReason::BadVersion);
            assert_eq!(a.count(Happened::InPktBadVersion), 1);
        }
        // Without the PERMIT policy nothing gets in.
        a.config.policies.remove(0);
        a.configure();
        assert_eq!(why(a.inbound(&beat)), DropReason::NoPolicy);
    }
}

/// The encapsulation is that of the SA: neither more nor less.
#[test]
fn esp_comes_in_the_encapsulation_of_its_sa() {
    let permit = |router: &mut Router| {
        let udp = PolicyConfig {
            transport: Some(17),
            lport: Some(2746),
            ..PolicyConfig::new(Name::new("udp"), InterfaceName::new("ppp0"), Action::Permit)
        };
        router.config.policies.insert(0, udp);
        // A second tunnel keeps the port open.
        let spec = SaSpecConfig {
            number: 2,
            inspi: Some(5000),
            outspi: Some(5001),
            ..router.config.sa_specs[0].clone()
        };
        router.config.sa_specs.push(spec);
        let bundle = BundleConfig {
            number: 2,
            string: BundleString::parse("2").unwrap(),
            ..router.config.bundles[0].clone()
        };
        router.config.bundles.push(bundle);
        let other = PolicyConfig {
            name: Name::new("other"),
            bundle: Some(2),
            udp_tunnel: Some(true),
            raddress: Some(selector("172.16.0.0/16")),
            ..router.config.policies[1].clone()
        };
        router.config.policies.push(other);
        router.configure();
    };
    let pair = |tunnel: bool| {
        let (mut a, mut b) = manual_pair(&[ESP], (A, B), (LAN_A, LAN_B), |policy| {
            policy.udp_tunnel = tunnel.then_some(true);
        });
        permit(&mut a);
        permit(&mut b);
        (a, b)
    };
    let (mut bare, _) = pair(false);
    let (mut tunnelled, _) = pair(true);
    let clear = udp_packet(HOST_A, HOST_B, 20);
    let (_, mut b) = pair(false);
    assert_eq!(
        why(b.inbound(&tunnelled.send(&clear))),
        DropReason::WrongEncapsulation
    );
    assert_eq!(b.count(Happened::InPktNoPolicy), 1);
    let (_, mut b) = pair(true);
    assert_eq!(
        why(b.inbound(&bare.send(&clear))),
        DropReason::WrongEncapsulation
    );
    assert_eq!(b.count(Happened::InPktNoPolicy), 0);
}

/// AH is not put into UDP: by configuration it is refused, by negotiation as well.
#[test]
fn ah_stays_out_of_udp() {
    let both = [ESP, ah(Mode::Tunnel, HashAlg::Sha)];
    let mut a = server(&both, |_| {});
    a.config.policies.last_mut().unwrap().udp_tunnel = Some(true);
    let fault = a.config.policies.last().unwrap().check(&a.config, &a.keys);
    assert!(matches!(fault, Err(ConfigFault::Conflict(_))));
    a.config.policies.last_mut().unwrap().udp_tunnel = None;
    let policy = a.policy_id("vpn");
    let ends = (ip(A), ip(B));
    let protocols = [Protocol::Esp, Protocol::Ah];
    let reserved = a
        .plane
        .reserve(a.now, &mut a.entropy, policy, ends, &protocols)
        .unwrap();
    let sas = reserved
        .spis
        .iter()
        .zip(&both)
        .map(|((protocol, spi), spec)| SaKeys {
            protocol: *protocol,
            spi: *spi,
            mode: spec.mode,
            cipher: spec.cipher,
            cipher_key: Secret::copy_of(&cipher_key(spec.cipher)),
            mac: spec.hash.mac(),
            mac_key: Secret::copy_of(&mac_key(spec.hash)),
            spec: 1,
        });
    let negotiated = Negotiated {
        sas: sas.collect(),
        lifetime: Lifetime {
            seconds: 60,
            kbytes: None,
        },
        role: Role::Responder,
        local: ends.0,
        peer: ends.1,
        selector: Selector::any(IpVersion::V4),
        isakmp_sa: 1,
        traversal: Traversal {
            encap: NAT_T,
            ..Traversal::default()
        },
    };
    let installed = a.plane.install(
        a.now,
        &mut a.entropy,
        reserved.bundle,
        Half::Inbound,
        negotiated,
    );
    assert_eq!(installed, Err(InstallFault::Encapsulation));
}

/// L2TP clients behind one NAT: the same addresses and selectors; a reply leaves on the SA that
/// its flow came in on, and checksums are made to fit what the NAT did.
#[test]
fn transport_clients_behind_one_nat() {
    let mut a = server(&[TRANSPORT], |policy| {
        policy.laddress = Some(selector(A));
        policy.raddress = None;
        policy.transport = Some(17);
        policy.lport = Some(1701);
    });
    let mut clients = Vec::new();
    for port in [1024, 1025] {
        let mut client = Router::at("10.0.0.2");
        specify(&mut client, &[TRANSPORT], KeyManagement::Isakmp);
        let peer = PeerAddress::Address(ip(A));
        let policy = PolicyConfig {
            transport: Some(17),
            rport: Some(1701),
            ..vpn(peer, KeyManagement::Isakmp, ("10.0.0.2", A))
        };
        client.config.policies.push(policy);
        let natt = PolicyConfig {
            transport: Some(17),
            lport: Some(4500),
            ..PolicyConfig::new(
                Name::new("natt"),
                InterfaceName::new("ppp0"),
                Action::Permit,
            )
        };
        client.config.policies.insert(0, natt);
        client.configure();
        let mut agreement = Agreement::new(&[TRANSPORT], "10.0.0.2", A, ("10.0.0.2", A));
        let outside = format!("7.7.7.7:{port}");
        traversal(&mut agreement, &outside);
        agreement.selectors.0.remote_port = Some(1701);
        agreement.selectors.0.protocol = Some(17);
        agreement.selectors.1.remote = selector("7.7.7.7");
        agreement.selectors.1.local_port = Some(1701);
        agreement.selectors.1.protocol = Some(17);
        // A knows from NAT-OA what the client computed its checksum with.
        agreement.traversal.1.nat_oa = Some((ip("10.0.0.2"), ip(A)));
        agreement.install(&mut client, &mut a);
        clients.push((
            client,
            Nat {
                outside: end(&outside),
            },
        ));
    }
    let l2tp = |port: u16, n: u8| {
        let mut message = udp::header(port, 1701, 8 + 5).to_vec();
        message.extend([n; 5]);
        let mut bytes = packet(ip("10.0.0.2"), ip(A), 17, &message);
        udp::write_checksum(&mut bytes, 20).unwrap();
        bytes
    };
    // Both at once, each with a port of its own.
    for (round, order) in [[0, 1], [1, 0]].into_iter().enumerate() {
        for place in order {
            let (client, nat) = &mut clients[place];
            let port = 5000 + u16::try_from(place).unwrap();
            let clear = l2tp(port, 3);
            let out = a.deliver(&nat.out(&client.send(&clear)));
            let seen = wire::datagram::Datagram::parse(&out).unwrap();
            assert_eq!(seen.source(), ip("7.7.7.7"));
            let sum = with_pseudo_header(seen.source(), seen.destination(), 17, seen.payload());
            assert_eq!(sum, 0, "round {round}");
        }
        for place in [0, 1] {
            let port = 5000 + u16::try_from(place).unwrap();
            let mut message = udp::header(1701, port, 8 + 2).to_vec();
            message.extend([1, 2]);
            let sealed = a.send(&packet(ip(A), ip("7.7.7.7"), 17, &message));
            let (client, nat) = &mut clients[place];
            let sealed = nat
                .back(&sealed, "10.0.0.2:4500")
                .expect("the right client");
            assert_eq!(client.deliver(&sealed)[20..], message);
        }
    }
    // The same port: whoever spoke last is answered.
    for place in [0, 1, 0] {
        let (client, nat) = &mut clients[place];
        a.deliver(&nat.out(&client.send(&l2tp(1701, 9))));
        let message = udp::header(1701, 1701, 8).to_vec();
        let sealed = a.send(&packet(ip(A), ip("7.7.7.7"), 17, &message));
        assert!(clients[place].1.back(&sealed, "10.0.0.2:4500").is_some());
    }
}

/// A peer whose ISAKMP moved takes its IPsec along.
#[test]
fn isakmp_may_move_a_path() {
    let mut a = server(&[ESP], |_| {});
    let mut b = client(&[ESP], "10.0.0.2", LAN_B);
    let mut agreement = Agreement::new(&[ESP], "10.0.0.2", A, (LAN_B, LAN_A));
    traversal(&mut agreement, "7.7.7.7:1024");
    agreement.install(&mut b, &mut a);
    let local = end("1.1.1.1:4500");
    let (from, to) = (end("7.7.7.7:1024"), end("8.8.8.8:99"));
    assert!(a.plane.peer_moved(local, from, to));
    assert!(!a.plane.peer_moved(local, from, to));
    let sealed = a.send(&udp_packet(HOST_A, HOST_B, 5));
    assert!(Nat { outside: to }.back(&sealed, "10.0.0.2:4500").is_some());
}
