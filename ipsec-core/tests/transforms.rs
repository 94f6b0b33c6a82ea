//! Every transform both ways: ciphers, hashes, ESP, AH and both, tunnel and transport, IPv4 and
//! IPv6 inside and outside.
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
use ipsec_core::*;
use proptest::prelude::*;

const V4: [&str; 2] = ["1.1.1.1", "2.2.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];
const LANS_V4: [&str; 2] = ["192.168.10.0/24", "192.168.20.0/24"];
const LANS_V6: [&str; 2] = ["fd00:a::/32", "fd00:b::/32"];

/// A pair whose packets are as if sent from host to host behind the tunnel, or between the routers.
fn pair(specs: &[Spec], outer_v6: bool, inner_v6: bool) -> (Router, Router, [String; 2]) {
    let tunnel = specs.iter().any(|spec| spec.mode == Mode::Tunnel);
    let wans = if outer_v6 { V6 } else { V4 };
    let lans = match (tunnel, inner_v6) {
        (false, _) => wans,
        (true, false) => LANS_V4,
        (true, true) => LANS_V6,
    };
    let host = |lan: &str, n: u8| match lan.split_once('/') {
        None => lan.to_string(),
        Some((net, _)) if inner_v6 => format!("{net}{n}"),
        Some((net, _)) => net.replace(".0", &format!(".{n}")),
    };
    let hosts = [host(lans[0], 7), host(lans[1], 9)];
    let (a, b) = manual_pair(specs, (wans[0], wans[1]), (lans[0], lans[1]), |_| {});
    (a, b, hosts)
}

/// Every legal bundle of one ESP, one AH, or both in the order of the manual.
fn bundles(mode: Mode) -> Vec<Vec<Spec>> {
    let hashes = [HashAlg::Null, HashAlg::Md5, HashAlg::Sha];
    let mut all: Vec<Vec<Spec>> = Vec::new();
    for hash in [HashAlg::Md5, HashAlg::Sha] {
        all.push(vec![ah(mode, hash)]);
    }
    for cipher in Cipher::ALL {
        for hash in hashes {
            if cipher == Cipher::Null && hash == HashAlg::Null {
                continue;
            }
            let esp = esp(mode, cipher, hash);
            all.push(vec![esp]);
            for outer in [HashAlg::Md5, HashAlg::Sha] {
                for other in [Mode::Tunnel, Mode::Transport] {
                    // A transport SA around a tunnel, and a tunnel around a transport SA.
                    all.push(vec![esp, ah(other, outer)]);
                }
            }
        }
    }
    all
}

fn crosses(a: &mut Router, b: &mut Router, hosts: &[String; 2], len: usize) {
    let there = udp_packet(&hosts[0], &hosts[1], len);
    let sealed = a.send(&there);
    assert_eq!(b.deliver(&sealed), there);
    let back = udp_packet(&hosts[1], &hosts[0], len / 2);
    let sealed = b.send(&back);
    assert_eq!(a.deliver(&sealed), back);
}

#[test]
fn every_combination_both_ways() {
    let mut count = 0;
    for mode in [Mode::Tunnel, Mode::Transport] {
        for specs in bundles(mode) {
            for (outer_v6, inner_v6) in [(false, false), (true, true), (false, true), (true, false)]
            {
                let tunnel = specs.iter().any(|spec| spec.mode == Mode::Tunnel);
                if !tunnel && outer_v6 != inner_v6 {
                    continue;
                }
                // A transport SA inside a tunnel of the same bundle joins the tunnel's ends.
                if specs[0].mode == Mode::Transport && tunnel {
                    continue;
                }
                let (mut a, mut b, hosts) = pair(&specs, outer_v6, inner_v6);
                for len in [0, 1, 15, 16, 40, 333] {
                    crosses(&mut a, &mut b, &hosts, len);
                }
                count += 1;
            }
        }
    }
    assert_eq!(count, 4 * (2 + 17 * 5) + 2 * (2 + 17 * 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What one side seals the other opens, whatever the length, and nothing else comes out.
    #[test]
    fn random_lengths_cross(
        which in any::<prop::sample::Index>(),
        transport in any::<bool>(),
        outer_v6 in any::<bool>(),
        inner_v6 in any::<bool>(),
        lens in proptest::collection::vec(0_usize..1300, 1..6),
    ) {
        let mode = if transport { Mode::Transport } else { Mode::Tunnel };
        let bundles = bundles(mode);
        let specs = which.get(&bundles);
        let inner_v6 = if transport { outer_v6 } else { inner_v6 };
        let tunnel = specs.iter().any(|spec| spec.mode == Mode::Tunnel);
        prop_assume!(!(specs[0].mode == Mode::Transport && tunnel));
        let (mut a, mut b, hosts) = pair(specs, outer_v6, inner_v6);
        for len in &lens {
            crosses(&mut a, &mut b, &hosts, *len);
        }
        let passes = u64::try_from(specs.len() * lens.len()).unwrap();
        for router in [&a, &b] {
            let done = [Happened::OutProcessDone, Happened::InProcessDone];
            prop_assert_eq!(done.map(|happened| router.count(happened)), [passes; 2]);
            prop_assert_eq!(router.plane.state().in_flight(), 0);
        }
    }
}

const ESP_TUNNEL: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const ESP_TRANSPORT: Spec = esp(Mode::Transport, Cipher::Aes128, HashAlg::Sha);
const AH_TUNNEL: Spec = ah(Mode::Tunnel, HashAlg::Sha);
const AH_TRANSPORT: Spec = ah(Mode::Transport, HashAlg::Sha);

/// One outer header, whatever the modes; AH covers it.
#[test]
fn a_bundle_adds_one_outer_header() {
    for ah in [AH_TUNNEL, AH_TRANSPORT] {
        let (mut a, _, hosts) = pair(&[ESP_TUNNEL, ah], false, false);
        let sealed = a.send(&udp_packet(&hosts[0], &hosts[1], 10));
        assert_eq!(layers(&sealed), [51, 50]);
        assert_eq!(sealed.len(), 20 + 24 + 24 + 48 + 12);
    }
    let (mut a, _, hosts) = pair(&[ESP_TRANSPORT, AH_TRANSPORT], false, false);
    let sealed = a.send(&udp_packet(&hosts[0], &hosts[1], 10));
    assert_eq!(layers(&sealed), [51, 50]);
    // The header is the packet's own.
    assert_eq!((sealed[4..6].to_vec(), sealed[8]), (vec![0, 7], 63));
    // The other way round is our own configuration and works, if it must be.
    let (mut a, mut b, hosts) = pair(&[AH_TUNNEL, ESP_TUNNEL], false, false);
    let sealed = a.send(&udp_packet(&hosts[0], &hosts[1], 10));
    assert_eq!(layers(&sealed), [50]);
    assert_eq!(b.deliver(&sealed), udp_packet(&hosts[0], &hosts[1], 10));
}

/// A tunnel inside which a transport SA joins the routers: IP AH IP ESP.
#[test]
fn a_tunnel_around_transport_mode() {
    let specs = [ESP_TRANSPORT, AH_TUNNEL];
    let (mut a, mut b) = manual_pair(&specs, (V4[0], V4[1]), (V4[0], V4[1]), |_| {});
    let clear = udp_packet(V4[0], V4[1], 10);
    let sealed = a.send(&clear);
    assert_eq!(layers(&sealed), [51, 4, 50]);
    assert_eq!(b.deliver(&sealed), clear);
}

/// `IP AH IP ESP IP` is read as well as `IP AH ESP IP`: each protocol of a bundle may come with an
/// outer header of its own.
#[test]
fn a_header_for_every_protocol_is_read() {
    let (_, mut b, hosts) = pair(&[ESP_TUNNEL, AH_TUNNEL], false, false);
    // A router that does ESP, and one behind it that puts AH around what leaves.
    let (mut inside, _, _) = pair(&[ESP_TUNNEL], false, false);
    let mut outside = Router::at(V4[0]);
    specify(&mut outside, &[AH_TUNNEL], KeyManagement::Manual);
    outside.key(3, KeyKind::General, &mac_key(HashAlg::Sha));
    outside.config.sa_specs[0].inspi = Some(9999);
    outside.config.sa_specs[0].outspi = Some(2001);
    let peer = PeerAddress::Address(ip(V4[1]));
    let policy = vpn(peer, KeyManagement::Manual, (V4[0], V4[1]));
    outside.config.policies.push(policy);
    outside.configure();
    let clear = udp_packet(&hosts[0], &hosts[1], 10);
    let sealed = outside.send(&inside.send(&clear));
    assert_eq!(layers(&sealed), [51, 4, 50]);
    assert_eq!(b.deliver(&sealed), clear);
}

/// IPv4 options and IPv6 extension headers go in front of the IPsec header in transport mode, and
/// AH covers of them what does not change.
#[test]
fn headers_with_options_cross() {
    let with_options = {
        let mut packet = udp_packet(V4[0], V4[1], 30);
        // Router alert, and a record route that routers write into.
        let options = [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0];
        packet.splice(20..20, options);
        packet[0] = 0x48;
        let len = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        wire::ipv4::write_checksum(&mut packet[..32]);
        packet
    };
    let with_extensions = {
        let mut payload = vec![60, 0, 0x3e, 4, 1, 2, 3, 4]; // hop-by-hop, may change
        payload.extend([17, 0, 0x05, 2, 0, 0, 1, 0]); // destination options
        payload.extend(&udp_packet(V6[0], V6[1], 30)[40..]);
        packet(ip(V6[0]), ip(V6[1]), 0, &payload)
    };
    for (wans, clear) in [(V4, with_options), (V6, with_extensions)] {
        for specs in [
            &[ESP_TRANSPORT][..],
            &[AH_TRANSPORT],
            &[ESP_TRANSPORT, AH_TRANSPORT],
        ] {
            let (mut a, mut b) = manual_pair(specs, (wans[0], wans[1]), (wans[0], wans[1]), |_| {});
            let mut sealed = a.send(&clear);
            // What a router does on the way.
            let changed = if clear[0] >> 4 == 4 {
                let mut changed = clear.clone();
                for packet in [&mut sealed, &mut changed] {
                    packet[8] -= 1;
                    packet[26..31].copy_from_slice(&[8, 9, 9, 9, 9]);
                    wire::ipv4::write_checksum(&mut packet[..32]);
                }
                changed
            } else {
                let mut changed = clear.clone();
                for packet in [&mut sealed, &mut changed] {
                    packet[7] -= 1;
                    packet[44..48].copy_from_slice(&[9, 9, 9, 9]);
                }
                changed
            };
            assert_eq!(b.deliver(&sealed), changed, "{specs:?}");
        }
    }
}

/// Class, ECN and time to live of the outer header.
#[test]
fn the_outer_header() {
    for (outer_v6, inner_v6) in [(false, false), (true, true), (false, true), (true, false)] {
        let (mut a, mut b, hosts) = pair(&[ESP_TUNNEL], outer_v6, inner_v6);
        let mut clear = udp_packet(&hosts[0], &hosts[1], 10);
        // EF and ECT(0).
        if inner_v6 {
            (clear[0], clear[1]) = (0x6b, 0xa0 | clear[1] & 0xf);
        } else {
            clear[1] = 0xba;
            wire::ipv4::write_checksum(&mut clear[..20]);
        }
        let mut sealed = a.send(&clear);
        let outer = wire::datagram::Datagram::parse(&sealed).unwrap();
        assert_eq!((outer.tos(), outer.ttl()), (0xba, 64));
        if outer_v6 {
            assert_eq!(sealed[1] & 0xf, 0, "no flow label");
        }
        // Congestion that the tunnel met is told to the inner packet.
        if outer_v6 {
            sealed[1] |= 0x30;
        } else {
            sealed[1] |= 3;
            wire::ipv4::write_checksum(&mut sealed[..20]);
        }
        let out = b.deliver(&sealed);
        assert_eq!(wire::datagram::Datagram::parse(&out).unwrap().tos(), 0xbb);
        // A packet that cannot show it is lost.
        let deaf = udp_packet(&hosts[0], &hosts[1], 10);
        let mut sealed = a.send(&deaf);
        if outer_v6 {
            sealed[1] |= 0x30;
        } else {
            sealed[1] |= 3;
            wire::ipv4::write_checksum(&mut sealed[..20]);
        }
        assert_eq!(why(b.inbound(&sealed)), DropReason::Congested);
    }
}

/// No IV comes twice under one key, and none is zero or the block before.
#[test]
fn threat_d4_every_packet_has_its_own_iv() {
    let (mut a, _, hosts) = pair(&[ESP_TUNNEL], false, false);
    let clear = udp_packet(&hosts[0], &hosts[1], 10);
    let mut seen = std::collections::BTreeSet::new();
    let mut last = Vec::new();
    for sequence in 1_u32..=5000 {
        let sealed = a.send(&clear);
        assert_eq!(sealed[24..28], sequence.to_be_bytes());
        let iv = sealed[28..44].to_vec();
        assert_ne!(iv, last);
        assert!(seen.insert(iv), "an IV came twice");
        last = sealed[sealed.len() - 28..sealed.len() - 12].to_vec();
    }
}

/// A buffer without the room that is asked for is a typed drop, in both directions.
#[test]
fn without_room_nothing_breaks() {
    let (mut a, mut b, hosts) = pair(&[ESP_TUNNEL, AH_TUNNEL], true, true);
    let clear = udp_packet(&hosts[0], &hosts[1], 10);
    let sealed = a.send(&clear);
    for room in 0..HEADROOM {
        let mut buffer = Buf::with_headroom(room);
        buffer.fill(room, &clear).unwrap();
        match a.call(|plane, cx| plane.outbound(cx, WAN, buffer)) {
            Verdict::Transmit(_) => assert!(room >= 40 + 24 + 24 + 64),
            Verdict::Drop { why, .. } => assert_eq!(why, DropReason::NoRoom),
            other => panic!("{}", name(&other)),
        }
        let mut buffer = Buf::with_headroom(room);
        buffer.fill(room, &sealed).unwrap();
        match b.call(|plane, cx| plane.inbound(cx, WAN, buffer)) {
            Verdict::Deliver { .. } => assert!(room >= 64),
            Verdict::Drop { why, .. } => assert_eq!(why, DropReason::NoRoom),
            other => panic!("{}", name(&other)),
        }
    }
    let tail = TAILROOM;
    let mut buffer = ArrayBuf::<4096>::with_headroom(4096 - clear.len() - tail);
    buffer.fill(4096 - clear.len() - tail, &clear).unwrap();
    assert!(matches!(
        a.call(|plane, cx| plane.outbound(cx, WAN, buffer)),
        Verdict::Transmit(_)
    ));
}
