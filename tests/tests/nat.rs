//! NAT between the routers: every version of NAT traversal, boxes that forget, move and refuse, and
//! what they must not be able to do.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hw_offload::Engines;
use ipsec_core::Instant;
use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::Ipv4;
use isakmp_core::Report;
use isakmp_core::natt::{NatFound, NatVersion};
use isakmp_core::wire::{ExchangeType, Header, Identification, PayloadType, Payloads, Writer};
use lab::nat::{Kind, NatBox};
use lab::{Buf, Pair, Side};
use sekisho_tests::setting::with_vendor_ids;
use sekisho_tests::{
    HOST_A, HOST_B, basic, both, bundles, command, failures, isakmp, one, pair_with, ping_both,
    story,
};

const MINUTE: Instant = Instant::from_secs(60);
const PUBLIC_A: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const PUBLIC_B: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);
const INSIDE_A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const INSIDE_B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);

/// The basic VPN with NAT traversal, and names for who has no address of its own.
fn configs(nat: (bool, bool)) -> [String; 2] {
    let policy = "CREATE ISAKMP POLICY=i";
    let configs = both(&basic(), policy, &format!("{policy} NATTRAVERSAL=TRUE"));
    let isa = "CREATE IPSEC POLICY=isa";
    let natt = "CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP";
    let mut configs = both(&configs, isa, &format!("{natt}\n{isa}"));
    let sides = [
        (nat.0, 0, "1.1.1.1", INSIDE_A),
        (nat.1, 1, "2.2.2.2", INSIDE_B),
    ];
    for (behind, place, public, inside) in sides {
        if behind {
            let wan = format!("INT=ppp0 IP={public}");
            configs = one(&configs, place, &wan, &format!("INT=ppp0 IP={inside}"));
            let named = |word| format!("{policy} {word}=router{place}");
            configs = one(&configs, place, policy, &named("LOCALID"));
            configs = one(&configs, 1 - place, policy, &named("REMOTEID"));
        }
    }
    configs
}

fn box_of(public: Ipv4Addr, kind: Kind) -> NatBox {
    let mut nat = NatBox::new(public, kind, true);
    if public == PUBLIC_B {
        nat.forward(500, INSIDE_B);
        nat.forward(4500, INSIDE_B);
    }
    nat
}

/// The pair with boxes where they are wanted.
fn behind<E: Engines<Buf = Buf>>(
    engines: impl Fn(Side) -> E,
    seed: u64,
    nat: (bool, bool),
    kind: Kind,
) -> Pair<E> {
    let mut pair = pair_with(engines, &configs(nat), seed);
    pair.nat = [
        nat.0.then(|| box_of(PUBLIC_A, kind)),
        nat.1.then(|| box_of(PUBLIC_B, kind)),
    ];
    pair
}

fn found<E: Engines<Buf = Buf>>(
    pair: &mut Pair<E>,
    side: Side,
) -> (Option<NatVersion>, NatFound, u16) {
    let sa = pair
        .router(side)
        .device
        .endpoint()
        .sas()
        .next()
        .expect("an SA");
    let nat = sa.watch.nat;
    (nat.version, nat.found, sa.path.local.port())
}

/// How often a side saw its peer move.
fn moves<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side) -> usize {
    isakmp(pair)
        .filter(|(happening, report)| {
            happening.side == side && matches!(report, Report::PeerMoved { .. })
        })
        .count()
}

story!(where_there_is_nat_is_found, |engines, seed| {
    use NatFound::{Both, Local, No, Remote};
    let rows = [
        ((false, false), No, No, 500),
        ((true, false), Local, Remote, 4500),
        ((false, true), Remote, Local, 4500),
        ((true, true), Both, Both, 4500),
    ];
    for (nat, a, b, port) in rows {
        for kind in [Kind::Cone, Kind::Symmetric] {
            let mut pair = behind(&engines, seed, nat, kind);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            pair.ping(HOST_B, HOST_A, Instant::from_secs(2));
            assert!(pair.run(MINUTE), "{nat:?} {kind:?}: {:?}", failures(&pair));
            let best = Some(NatVersion::Rfc3947);
            assert_eq!(found(&mut pair, Side::A), (best, a, port), "{nat:?}");
            assert_eq!(found(&mut pair, Side::B), (best, b, port), "{nat:?}");
            assert_eq!(pair.clear, 0);
            let dropped = pair
                .nat
                .iter()
                .flatten()
                .map(|nat| nat.dropped)
                .sum::<u64>();
            assert_eq!(dropped, 0, "{nat:?}: ESP tried to pass as it is");
        }
    }
});

/// The ends of a datagram that carries ISAKMP, the marker in front of the message, and the message.
fn isakmp_in(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8], &[u8])> {
    let ip = Ipv4::parse(packet).ok().filter(|ip| ip.protocol() == 17)?;
    let (udp, payload) = ip.payload().split_at_checked(8)?;
    let end = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let (from, to) = (
        SocketAddr::from((ip.source(), end(0))),
        SocketAddr::from((ip.destination(), end(2))),
    );
    let marker = if from.port() == 4500 { 4 } else { 0 };
    let (marked, message) = payload.split_at_checked(marker)?;
    (marked.iter().all(|byte| *byte == 0)).then_some((from, to, marked, message))
}

/// Takes vendor IDs out of the first two messages, as a device would that does not know them.
fn strip<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, left: &'static [&'static str]) {
    pair.road = Some(Box::new(move |_, _, packet| {
        vec![(Duration::ZERO, with_vendor_ids(packet, left))]
    }));
}

story!(every_version_carries_packets, |engines, seed| {
    let rows: [(&[&str], Option<NatVersion>); 6] = [
        (
            &["8f8d83826d246b6fc7a8a6a428c11de8"],
            Some(NatVersion::Draft08),
        ),
        (
            &["810fa565f8ab14369105d706fbd57279"],
            Some(NatVersion::Draft08),
        ),
        (
            &["7d9419a65310ca6f2c179d9215529d56"],
            Some(NatVersion::Draft03),
        ),
        (
            &["cd60464335df21f87cfdb2fc68b6a448"],
            Some(NatVersion::Draft02),
        ),
        (
            &["90cb80913ebb696e086381b5ec427b1f"],
            Some(NatVersion::Draft02),
        ),
        (&[], None),
    ];
    for (ids, version) in rows {
        let mut pair = behind(&engines, seed, (true, false), Kind::Symmetric);
        strip(&mut pair, ids);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        let up = pair.run(Instant::from_secs(20));
        // Without NAT traversal ISAKMP comes up, and no ESP passes the box.
        assert_eq!(up, version.is_some(), "{version:?}: {:?}", failures(&pair));
        assert_eq!(found(&mut pair, Side::A).0, version);
        assert_eq!(found(&mut pair, Side::B).0, version);
    }
});

story!(keepalives_hold_the_entry, |engines, seed| {
    let mut pair = behind(engines, seed, (true, false), Kind::Symmetric);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    for minutes in [5, 10, 30] {
        let now = Instant::from_secs(minutes * 60);
        pair.run_to(now);
        pair.ping(HOST_B, HOST_A, now);
        assert!(
            pair.run(now + Duration::from_millis(500)),
            "after {minutes} minutes"
        );
    }
    assert_eq!(moves(&pair, Side::B), 0);
});

story!(a_box_that_forgets_is_followed, |engines, seed| {
    for renumber in [false, true] {
        let mut pair = behind(&engines, seed, (true, false), Kind::Symmetric);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        for round in 1..=3_u8 {
            let now = Instant::from_secs(u64::from(round) * 100);
            pair.run_to(now);
            let nat = pair.nat[0].as_mut().expect("a box");
            if renumber {
                nat.renumber(Ipv4Addr::new(9, 9, 9, round));
            } else {
                nat.forget();
            }
            // A speaks first; B's answer already goes to the new place.
            pair.ping(HOST_A, HOST_B, now);
            assert!(pair.run(now + Duration::from_millis(500)), "round {round}");
            pair.ping(HOST_B, HOST_A, pair.now);
            assert!(
                pair.run(pair.now + Duration::from_millis(500)),
                "round {round}"
            );
            assert_eq!(moves(&pair, Side::B), usize::from(round));
            // ISAKMP is at the new place too.
            let sa = pair.b.device.endpoint().sas().next().expect("an SA");
            let public = pair.nat[0].as_ref().expect("a box").public;
            assert_eq!(sa.path.peer.ip(), public);
        }
        assert_eq!(moves(&pair, Side::A), 0);
        assert_eq!(
            (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B)),
            (1, 1)
        );
    }
});

story!(dead_peer_detection_tells_of_a_move, |engines, seed| {
    let policy = "CREATE ISAKMP POLICY=i";
    let configs = both(
        &configs((true, false)),
        policy,
        &format!("{policy} DPDMODE=BOTH"),
    );
    let mut pair = pair_with(engines, &configs, seed);
    pair.nat[0] = Some(box_of(PUBLIC_A, Kind::Symmetric));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    pair.nat[0].as_mut().expect("a box").forget();
    pair.run_to(MINUTE);
    assert_eq!(moves(&pair, Side::B), 1);
    pair.ping(HOST_B, HOST_A, pair.now);
    assert!(pair.run(pair.now + Duration::from_millis(500)));
});

/// The datagram from another source.
fn forged(packet: &[u8], source: [u8; 4], port: [u8; 2]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[12..16].copy_from_slice(&source);
    packet[20..22].copy_from_slice(&port);
    packet[26..28].fill(0);
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet
}

story!(
    threat_d8_copies_from_elsewhere_lead_nobody_astray,
    |engines, seed| {
        for late in [false, true] {
            let mut pair = behind(&engines, seed, (true, false), Kind::Symmetric);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            assert!(pair.run(MINUTE), "{:?}", failures(&pair));
            let armed = Arc::new(Mutex::new(true));
            let shared = Arc::clone(&armed);
            pair.road = Some(Box::new(move |side, _, packet| {
                let genuine = packet.to_vec();
                if side != Side::A || !*shared.lock().expect("nobody panicked") {
                    return vec![(Duration::ZERO, genuine)];
                }
                let copy = forged(packet, [6, 6, 6, 6], [66, 66]);
                let ms = Duration::from_millis;
                if late {
                    vec![(ms(0), genuine), (ms(200), copy)]
                } else {
                    vec![(ms(3), genuine), (ms(0), copy)]
                }
            }));
            // Later copies are replays; earlier ones are believed once, until the next packet comes.
            let now = Instant::from_secs(70);
            pair.run_to(now);
            pair.ping(HOST_A, HOST_B, now);
            let answered = pair.run(now + Duration::from_millis(900));
            assert!(answered || !late, "a replay moved the peer");
            *armed.lock().expect("nobody panicked") = false;
            let now = Instant::from_secs(80);
            pair.run_to(now);
            pair.ping(HOST_A, HOST_B, now);
            assert!(
                pair.run(now + Duration::from_millis(500)),
                "the next packet brings it back"
            );
        }
    }
);

story!(threat_d8_nobody_moves_without_nat, |engines, seed| {
    let mut pair = behind(engines, seed, (false, false), Kind::Cone);
    ping_both(&mut pair);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    pair.road = Some(Box::new(move |_, _, packet| {
        let copy = forged(packet, [6, 6, 6, 6], [1, 244]);
        let genuine = packet.to_vec();
        vec![(Duration::from_millis(3), genuine), (Duration::ZERO, copy)]
    }));
    pair.pings.clear();
    ping_both(&mut pair);
    pair.run_to(MINUTE);
    assert_eq!((moves(&pair, Side::A), moves(&pair, Side::B)), (0, 0));
});

story!(ah_does_not_pass_and_says_so, |engines, seed| {
    let spec = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA";
    let ah = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=AH HASHALG=SHA";
    let configs = both(&configs((true, false)), spec, ah);
    let mut pair = pair_with(engines, &configs, seed);
    pair.nat[0] = Some(box_of(PUBLIC_A, Kind::Cone));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(10)));
    let why = failures(&pair).join("\n");
    assert!(why.contains("AH"), "{why}");
});

/// Transport mode between the routers themselves, A behind a box that changes ports.
fn transport() -> [String; 2] {
    let spec = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP";
    let mut configs = both(
        &configs((true, false)),
        spec,
        &format!("{spec} MODE=TRANSPORT"),
    );
    configs = both(&configs, "LPORT=500 RPORT=500", "LPORT=500");
    let lan = |own: &str, lan: &str| {
        let (own_net, lan_net) = (format!("192.168.{own}.0"), format!("192.168.{lan}.0"));
        format!("LAD={own_net} LMA=255.255.255.0 RAD={lan_net} RMA=255.255.255.0")
    };
    configs = one(&configs, 0, &lan("10", "20"), "LAD=10.0.0.2 RAD=2.2.2.2");
    one(&configs, 1, &lan("20", "10"), "LAD=2.2.2.2 RAD=1.1.1.1")
}

story!(transport_mode_with_original_addresses, |engines, seed| {
    // The older draft tells the sender's own address only.
    for (ids, destination) in [
        (&["4a131c81070358455c5728f20e95452f"], PUBLIC_A),
        (&["cd60464335df21f87cfdb2fc68b6a448"], INSIDE_A),
    ] {
        let mut pair = pair_with(&engines, &transport(), seed);
        pair.nat[0] = Some(box_of(PUBLIC_A, Kind::Symmetric));
        strip(&mut pair, ids);
        pair.ping(INSIDE_A, PUBLIC_B, Instant::ZERO);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        // Source and destination as the peer sees them on its packets.
        let ends = [
            (Side::A, (PUBLIC_B, destination)),
            (Side::B, (INSIDE_A, PUBLIC_B)),
        ];
        for (side, (from, to)) in ends {
            let plane = pair.router(side).device.plane();
            let bundle = plane.bundles().next().expect("a bundle").1;
            let original = bundle.nat_oa.as_deref().copied();
            assert_eq!(original, Some((from.into(), to.into())), "{side} {ids:?}");
        }
        let lines = "  NAT-Traversal NAT-OA
    Peer original source IP address ..... 10.0.0.2
    Peer original destination IP address  2.2.2.2
  Filters
";
        let screen = command(&mut pair, Side::B, "SHOW IPSEC SA=0");
        assert!(screen.contains(lines), "{screen}");
        let screen = command(&mut pair, Side::B, "SHOW IPSEC ISAKMP");
        assert!(screen.contains("\n0     10.0.0.2        "), "{screen}");
    }
});

/// Adds identities to the responder's quick mode message, which were not in the initiator's: the
/// engines have no security, so the message counts as authentic.
fn name_ends<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, ends: [Ipv4Addr; 2], port: u16) {
    pair.road = Some(Box::new(move |side, _, packet| {
        let whole = vec![(Duration::ZERO, packet.to_vec())];
        let Some((from, to, marked, bytes)) = isakmp_in(packet).filter(|_| side == Side::B) else {
            return whole;
        };
        let Ok((header, body)) = Header::parse(bytes) else {
            return whole;
        };
        if header.exchange != ExchangeType::Quick {
            return whole;
        }
        let payloads = Payloads::parse(header.next, body).expect("ours are whole");
        let mut writer = Writer::new();
        for raw in payloads.all() {
            assert_ne!(raw.kind, PayloadType::ID, "nobody named the ends yet");
            writer.push(raw.kind, raw.body);
        }
        for address in ends {
            let mut id = Identification::of_address(address.into());
            (id.protocol, id.port) = (if port == 0 { 0 } else { 17 }, port);
            writer.push(PayloadType::ID, &id.to_bytes());
        }
        let message = [marked, &writer.message(header)].concat();
        let packet = lab::udp(from, to, &message).expect("a short packet");
        vec![(Duration::ZERO, packet)]
    }));
}

#[test]
fn a_responder_may_name_the_ends_as_it_sees_them() {
    let public = [PUBLIC_A, PUBLIC_B];
    for (ends, port, up) in [
        (public, 0, true),
        ([INSIDE_A, PUBLIC_B], 0, true),
        // No NAT stands in front of the responder.
        ([PUBLIC_A, Ipv4Addr::new(2, 2, 2, 3)], 0, false),
        // Less than was asked for.
        (public, 1701, false),
    ] {
        let engines = |_| hw_offload::testing::insecure_engines();
        let mut pair = pair_with(engines, &transport(), 1);
        pair.nat[0] = Some(box_of(PUBLIC_A, Kind::Symmetric));
        name_ends(&mut pair, ends, port);
        pair.ping(INSIDE_A, PUBLIC_B, Instant::ZERO);
        let (answered, told) = (pair.run(Instant::from_secs(20)), failures(&pair));
        assert_eq!(answered, up, "{ends:?} {port}: {told:?}");
        assert_eq!(told.is_empty(), up, "{told:?}");
    }
}
