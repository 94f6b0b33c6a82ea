//! What an exchange that has just begun and an ISAKMP SA cost in memory, however many there are.
//! Engines without security compute: they keep nothing, and the SAs are as long as others.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use hw_offload::testing::{InsecureEngine, InsecurePrimitives, InsecurePublic, TestEngines};
use ipsec_core::{Instant, Limits};
use lab::{Buf, Pair, Pcap, Router, Side, is_udp, udp};

use crate::allocations::live;
use crate::{isakmp_sas, one};

type Engines = TestEngines<InsecureEngine<Buf>, InsecurePublic, InsecurePrimitives>;

const SERVER: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
/// The first address of a peer; the others follow it.
const FIRST: u32 = Ipv4Addr::new(2, 2, 0, 1).to_bits();
/// Half-open exchanges of a router that is not to have many.
const FEW: u16 = 8;

/// Capacities of which no more is taken than what is measured.
fn small() -> Limits {
    Limits {
        flow_cache: 4,
        half_open: FEW,
        log_lines: 1,
        keys: 4,
        reply_flows: 4,
        ..Limits::default()
    }
}

/// A server that answers anybody, and a peer that begins with phase 1 at once.
fn configs() -> [String; 2] {
    let configs = crate::basic().map(|text| {
        let end = text.find("ADD USER").expect("a user is added last");
        text[..end].to_owned()
    });
    let configs = one(&configs, 0, "PEER=2.2.2.2", "PEER=ANY");
    one(&configs, 1, "SENDN=TRUE", "SENDN=TRUE PRENEGOTIATE=TRUE")
}

fn engines(_: Side) -> Engines {
    hw_offload::testing::insecure_engines()
}

fn address(peer: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST + peer)
}

/// A peer's router.
fn client(config: &str, peer: u32, now: Instant) -> Router<Engines> {
    let text = config.replace("IP=2.2.2.2", &format!("IP={}", address(peer)));
    let mut router = Router::with_limits(&small(), engines(Side::B), peer.into());
    let findings = router.run_script(now, &text);
    assert!(findings.is_empty(), "{findings:?}");
    router
}

/// Bytes that the responder keeps for each of so many first messages of Main mode.
///
/// # Panics
/// When one is not answered.
#[must_use]
pub fn half_open(count: u16) -> i64 {
    // Beside the table there is what a router has anyway, and what messages leave behind.
    let filled = [FEW, count].map(|room| with_half_open(room, count));
    (filled[1] - filled[0]) / i64::from(count - FEW)
}

/// A router with room for so many first messages, after so many.
fn with_half_open(room: u16, count: u16) -> i64 {
    let configs = configs();
    let before = live();
    let limits = Limits {
        half_open: room,
        ..small()
    };
    let mut pair = Pair::with_limits(&limits, engines, 1);
    let findings = pair.a.run_script(Instant::ZERO, &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    pair.b = client(&configs[1], 0, Instant::ZERO);
    pair.connect();
    pair.b.turn(Instant::ZERO);
    let first = pair
        .b
        .outputs()
        .into_iter()
        .find_map(|output| match output {
            lab::Output::Wan(packet) => is_udp(&packet).map(|(.., message)| message.to_vec()),
            _ => None,
        });
    let mut message = first.expect("the peer begins");
    let to = SocketAddr::from((SERVER, 500));
    for peer in 0..u32::from(count) {
        message[..4].copy_from_slice(&peer.to_be_bytes());
        let from = SocketAddr::from((address(peer), 500));
        let packet = udp(from, to, &message).expect("a short packet");
        pair.a.receive(Instant::ZERO, &packet);
        pair.a.turn(Instant::ZERO);
        let answered = pair
            .a
            .outputs()
            .into_iter()
            .any(|output| matches!(output, lab::Output::Wan(_)));
        assert!(answered, "peer {peer}");
    }
    live() - before
}

/// Bytes that the responder keeps for each of so many ISAKMP SAs, with nothing under them: half of
/// the peers come before the measurement begins.
///
/// # Panics
/// When one of the peers gets none.
#[must_use]
pub fn isakmp_sa(peers: u32) -> i64 {
    let configs = configs();
    let limits = Limits {
        isakmp_sas: peers,
        ..small()
    };
    let mut pair = Pair::with_limits(&limits, engines, 1);
    pair.weather.delay = Duration::from_millis(1);
    let findings = pair.a.run_script(Instant::ZERO, &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    let mut half = 0;
    for peer in 0..peers {
        pair.b = client(&configs[1], peer, pair.now);
        pair.connect();
        pair.turn(Side::B);
        pair.run_to(pair.now + Duration::from_millis(8));
        pair.happenings = Vec::new();
        pair.capture = Pcap::default();
        if peer + 1 == peers / 2 {
            half = settled(&mut pair);
        }
    }
    let all = settled(&mut pair);
    assert_eq!(isakmp_sas(&mut pair, Side::A), peers as usize);
    (all - half) / i64::from(peers - peers / 2)
}

/// What is in use when nothing of the last exchanges is kept for a peer that asks again.
fn settled(pair: &mut Pair<Engines>) -> i64 {
    pair.run_to(pair.now + Duration::from_secs(400));
    pair.happenings = Vec::new();
    pair.capture = Pcap::default();
    live()
}
