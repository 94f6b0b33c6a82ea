//! Packets that are too large, and packets in pieces.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use common::*;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::wire::datagram::Datagram;
use ipsec_core::wire::{icmp, ipv4};
use ipsec_core::*;

const V4: (&str, &str) = ("1.1.1.1", "2.2.2.2");
const V6: (&str, &str) = ("2001:db8::1", "2001:db8::2");
const LANS_V4: (&str, &str) = ("192.168.10.0/24", "192.168.20.0/24");
const LANS_V6: (&str, &str) = ("fd00:a::/32", "fd00:b::/32");
const HOSTS_V4: (&str, &str) = ("192.168.10.7", "192.168.20.9");
const HOSTS_V6: (&str, &str) = ("fd00:a::7", "fd00:b::9");

/// The address of a router on A's LAN.
const LAN_V4: &str = "192.168.10.254";
const LAN_V6: &str = "fd00:a::fe";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const AH: Spec = ah(Mode::Tunnel, HashAlg::Sha);
const TRANSPORT: Spec = esp(Mode::Transport, Cipher::TripleDes, HashAlg::Md5);

fn pair(specs: &[Spec], outer_v6: bool, inner_v6: bool, df: DfBit) -> (Router, Router) {
    let wans = if outer_v6 { V6 } else { V4 };
    let lans = if inner_v6 { LANS_V6 } else { LANS_V4 };
    let (mut a, mut b) = manual_pair(specs, wans, lans, |policy| policy.df_bit = Some(df));
    for router in [&mut a, &mut b] {
        // An own address of the inner version, to send ICMP from.
        let own = if inner_v6 { LAN_V6 } else { LAN_V4 };
        let place = router.net.get_mut(LAN).unwrap();
        place
            .addresses
            .push((ip(own), if inner_v6 { 32 } else { 24 }));
        router.configure();
    }
    (a, b)
}

fn packet_of(inner_v6: bool, total: usize) -> Vec<u8> {
    let (hosts, headers) = if inner_v6 {
        (HOSTS_V6, 48)
    } else {
        (HOSTS_V4, 28)
    };
    udp_packet(hosts.0, hosts.1, total - headers)
}

/// DF of an outer IPv4 header.
fn df(packet: &[u8]) -> bool {
    !Datagram::parse(packet).unwrap().may_fragment()
}

/// Larger than the MTU with DF clear: fragments after IPsec, which the other side puts together
/// before it.
#[test]
fn fragments_after_ipsec() {
    for (outer_v6, inner_v6) in [(false, false), (true, true), (false, true), (true, false)] {
        for specs in [&[ESP][..], &[AH], &[ESP, AH]] {
            let (mut a, mut b) = pair(specs, outer_v6, inner_v6, DfBit::Clear);
            let clear = packet_of(inner_v6, 1490);
            let mut pieces = a.send_all(&clear);
            assert_eq!(pieces.len(), 2);
            assert!(pieces.iter().all(|piece| piece.len() <= 1500));
            // In any order.
            pieces.reverse();
            assert!(matches!(b.inbound(&pieces[0]), Verdict::Held));
            assert_eq!(b.plane.held_fragments().fragments, 1);
            assert_eq!(b.deliver(&pieces[1]), clear);
            assert_eq!(b.plane.held_fragments(), HeldFragments::default());
        }
    }
}

/// With DF set the sender is told what fits; exactly that fits, and one byte more does not.
#[test]
fn the_sender_is_told_what_fits() {
    for (outer_v6, inner_v6) in [(false, false), (true, true), (false, true), (true, false)] {
        for specs in [&[ESP][..], &[AH], &[ESP, AH]] {
            for mtu in [1400, 1499, 1500] {
                let (mut a, _) = pair(specs, outer_v6, inner_v6, DfBit::Set);
                a.set_mtu(mtu);
                let clear = packet_of(inner_v6, usize::from(mtu));
                let Verdict::Bounce { packet, why } = a.outbound(&clear) else {
                    panic!()
                };
                assert_eq!(why, DropReason::TooBig);
                let told = Datagram::parse(packet.packet()).unwrap();
                let (sender, router) = if inner_v6 {
                    (HOSTS_V6.0, LAN_V6)
                } else {
                    (HOSTS_V4.0, LAN_V4)
                };
                assert_eq!(told.destination(), ip(sender));
                assert_eq!(told.source(), ip(router));
                let payload = told.payload();
                assert_eq!(payload[0], if inner_v6 { 2 } else { 3 });
                let fits = usize::from(u16::from_be_bytes([payload[6], payload[7]]));
                assert!(fits > 1280, "{fits}");
                let whole = a.send(&packet_of(inner_v6, fits));
                assert!(whole.len() <= usize::from(mtu));
                assert!(outer_v6 || df(&whole));
                let more = a.outbound(&packet_of(inner_v6, fits + 1));
                assert!(matches!(more, Verdict::Bounce { .. }));
            }
        }
    }
}

/// DFBIT=COPY goes by the inner packet; IPv6 never fragments on the way.
#[test]
fn df_is_copied() {
    let (mut a, _) = pair(&[ESP], false, false, DfBit::Copy);
    let large = packet_of(false, 1490);
    assert_eq!(a.send_all(&large).len(), 2);
    assert!(matches!(
        a.outbound(&with_df(large)),
        Verdict::Bounce { .. }
    ));
    for set in [false, true] {
        let mut small = packet_of(false, 100);
        if set {
            small = with_df(small);
        }
        assert_eq!(df(&a.send(&small)), set);
    }
    let (mut a, _) = pair(&[ESP], false, true, DfBit::Copy);
    assert!(df(&a.send(&packet_of(true, 100))));
    assert!(matches!(
        a.outbound(&packet_of(true, 1490)),
        Verdict::Bounce { .. }
    ));
}

/// Nobody is told to make packets smaller than every link carries: those are cut instead.
#[test]
fn what_every_link_carries_is_cut_instead() {
    let (mut a, mut b) = pair(&[ESP], false, true, DfBit::Set);
    a.set_mtu(1300);
    let Verdict::Bounce { packet, .. } = a.outbound(&packet_of(true, 1290)) else {
        panic!()
    };
    assert_eq!(packet.packet()[46..48], 1280_u16.to_be_bytes());
    let clear = packet_of(true, 1280);
    let pieces = a.send_all(&clear);
    assert_eq!(pieces.len(), 2);
    b.inbound(&pieces[0]);
    assert_eq!(b.deliver(&pieces[1]), clear);
}

/// Transport mode goes by the packet's own DF.
#[test]
fn transport_mode_keeps_df() {
    let (mut a, mut b) = manual_pair(&[TRANSPORT], V4, V4, |policy| {
        policy.df_bit = Some(DfBit::Clear);
    });
    let clear = udp_packet(V4.0, V4.1, 1470);
    let pieces = a.send_all(&clear);
    assert_eq!(pieces.len(), 2);
    b.inbound(&pieces[0]);
    assert_eq!(b.deliver(&pieces[1]), clear);
    let whole = with_df(clear);
    assert!(matches!(a.outbound(&whole), Verdict::Bounce { .. }));
    let (mut a, mut b) = manual_pair(&[TRANSPORT], V6, V6, |_| {});
    let clear = udp_packet(V6.0, V6.1, 1440);
    let pieces = a.send_all(&clear);
    assert_eq!(pieces.len(), 2);
    b.inbound(&pieces[0]);
    assert_eq!(b.deliver(&pieces[1]), clear);
}

/// A report from the way, about a packet that was sent a moment ago.
fn report(quoted: &[u8], to: &str, mtu: u16) -> Vec<u8> {
    let mut buffer = filled(quoted);
    let router = if ip(to).is_ipv4() {
        "9.9.9.9"
    } else {
        "2001:db8::9"
    };
    assert!(icmp::too_big(&mut buffer, ip(router), mtu));
    let told = buffer.packet().to_vec();
    assert_eq!(Datagram::parse(&told).unwrap().destination(), ip(to));
    told
}

/// The path MTU follows reports that quote one of our own late packets, down to a floor, and is
/// forgotten after ten minutes.
#[test]
fn threat_d11_the_path_mtu_follows_true_reports() {
    for (outer_v6, wan, floor) in [(false, V4.0, 576), (true, V6.0, 1280)] {
        for specs in [&[ESP][..], &[AH]] {
            let (mut a, _) = pair(specs, outer_v6, false, DfBit::Set);
            let sealed = a.send(&packet_of(false, 1300));
            let path = |a: &Router| a.plane.state().paths().next().unwrap().1.mtu(a.now);
            assert_eq!(path(&a), None);
            let told = report(&sealed, wan, 1290);
            if specs == [AH] && !outer_v6 {
                // Eight bytes of AH show no sequence number: such a report could be anybody's.
                assert_eq!(why(a.inbound(&told)), DropReason::NoPolicy);
                continue;
            }
            assert_eq!(why(a.inbound(&told)), DropReason::PathMtu);
            assert_eq!(path(&a), Some(1290));
            assert!(matches!(
                a.outbound(&packet_of(false, 1290)),
                Verdict::Bounce { .. }
            ));
            // A greater MTU, and one that no link has.
            a.inbound(&report(&sealed, wan, 1400));
            assert_eq!(path(&a), Some(1290));
            a.inbound(&report(&sealed, wan, 10));
            assert_eq!(path(&a), Some(floor));
            a.wait(601);
            assert_eq!(path(&a), None);
        }
    }
}

/// Reports that quote no packet of ours, or one of long ago, change nothing and are ordinary
/// packets.
#[test]
fn threat_d11_lies_about_the_path_mtu_change_nothing() {
    let (mut a, _) = pair(&[ESP], false, false, DfBit::Set);
    let sealed = a.send(&packet_of(false, 1300));
    let path = |a: &Router| a.plane.state().paths().next().unwrap().1.mtu(a.now);
    let mut lies = Vec::new();
    for (at, value) in [(23, 1), (27, 9), (27, 0), (19, 9)] {
        // Another SPI, a sequence number to come, none, another peer.
        let mut quoted = sealed.clone();
        quoted[at] ^= value;
        if value == 0 {
            quoted[24..28].fill(0);
        }
        ipv4::write_checksum(&mut quoted[..20]);
        lies.push(report(&quoted, V4.0, 600));
    }
    for _ in 0..40_000 {
        a.send(&packet_of(false, 60));
    }
    lies.push(report(&sealed, V4.0, 600));
    for lie in lies {
        assert_eq!(why(a.inbound(&lie)), DropReason::NoPolicy);
        assert_eq!(path(&a), None);
    }
}

fn cut(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let mut outgoing = Outgoing::new(filled(packet), WAN, None, mtu);
    outgoing.identification = Some(77);
    datagrams(Verdict::Transmit(outgoing))
}

/// Policies see whole datagrams: a later fragment shows no ports, and would otherwise meet another
/// policy than its first.
#[test]
fn fragments_meet_the_policy_of_their_datagram() {
    for inner_v6 in [false, true] {
        let (mut a, mut b) = pair(&[ESP], false, inner_v6, DfBit::Clear);
        for router in [&mut a, &mut b] {
            let vpn = &mut router.config.policies[0];
            vpn.transport = Some(17);
            vpn.lport = Some(if router.net.is_local(ip(V4.0)) {
                4000
            } else {
                5000
            });
            let inet = PolicyConfig {
                version: vpn.version,
                ..PolicyConfig::new(
                    Name::new("inet"),
                    InterfaceName::new("ppp0"),
                    Action::Permit,
                )
            };
            router.config.policies.push(inet);
            router.configure();
        }
        let clear = packet_of(inner_v6, 1400);
        let pieces = cut(&clear, 600);
        assert_eq!(pieces.len(), 3);
        for piece in &pieces[..2] {
            assert!(matches!(a.outbound(piece), Verdict::Held));
        }
        let sealed = datagrams(a.outbound(&pieces[2]));
        assert!(sealed.iter().all(|datagram| layers(datagram)[0] == 50));
        assert_eq!(b.deliver(&sealed[0]), clear);
        // Arriving in clear, they are what an IPSEC policy forbids.
        for piece in &pieces[..2] {
            assert!(matches!(b.inbound(piece), Verdict::Held));
        }
        assert_eq!(why(b.inbound(&pieces[2])), DropReason::ClearWhereIpsec);
        // What is permitted may leave in pieces again.
        let hosts = if inner_v6 { HOSTS_V6 } else { HOSTS_V4 };
        let elsewhere = if inner_v6 { "2001:db8:5::1" } else { "8.8.8.8" };
        let other = udp_packet(hosts.0, elsewhere, 1600);
        let other = if inner_v6 { other } else { with_df(other) };
        let mut pieces: Vec<Vec<u8>> = cut_anyway(&other, 1000);
        let last = pieces.pop().unwrap();
        for piece in &pieces {
            assert!(matches!(a.outbound(piece), Verdict::Held));
        }
        let sent = datagrams(a.outbound(&last));
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|datagram| datagram.len() <= 1500));
    }
}

/// Fragments that carry DF, as some senders make them.
fn cut_anyway(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let mut whole = packet.to_vec();
    let df = whole[0] >> 4 == 4 && whole[6] & 0x40 != 0;
    if df {
        whole[6] &= !0x40;
        ipv4::write_checksum(&mut whole[..20]);
    }
    let mut pieces = cut(&whole, mtu);
    for piece in pieces.iter_mut().filter(|_| df) {
        piece[6] |= 0x40;
        ipv4::write_checksum(&mut piece[..20]);
    }
    pieces
}

/// An interface without policies is not touched, fragments included, unless they are IPsec for us.
#[test]
fn fragments_elsewhere_are_left_alone() {
    let (mut a, mut b) = pair(&[ESP], false, false, DfBit::Clear);
    let pieces = cut(&packet_of(false, 1400), 600);
    for piece in &pieces {
        let buffer = filled(piece);
        let verdict = a.call(|plane, cx| plane.outbound(cx, LAN, buffer));
        assert_eq!(datagrams(verdict)[..], [&piece[..]]);
        let buffer = filled(piece);
        let verdict = b.call(|plane, cx| plane.inbound(cx, LAN, buffer));
        assert_eq!(delivered(verdict), *piece);
    }
    let clear = packet_of(false, 1490);
    let pieces = a.send_all(&clear);
    let first = filled(&pieces[0]);
    assert!(matches!(
        b.call(|plane, cx| plane.inbound(cx, LAN, first)),
        Verdict::Held
    ));
    let last = filled(&pieces[1]);
    assert_eq!(
        delivered(b.call(|plane, cx| plane.inbound(cx, LAN, last))),
        clear
    );
}

/// Fragments that never become a datagram go back to the buffers when their time is over.
#[test]
fn lonely_fragments_go_back() {
    let (mut a, mut b) = pair(&[ESP], false, false, DfBit::Clear);
    let pieces = a.send_all(&packet_of(false, 1490));
    b.inbound(&pieces[0]);
    assert_eq!(b.plane.held_fragments().fragments, 1);
    let born = b.now;
    assert_eq!(
        b.plane.deadline(b.now),
        Some(born + std::time::Duration::from_secs(30))
    );
    b.wait(31);
    assert_eq!(b.plane.held_fragments(), HeldFragments::default());
    assert!(matches!(b.inbound(&pieces[1]), Verdict::Held));
}
