//! What each SA costs in memory, however many there are.

use core::time::Duration;

use hw_offload::SoftEngines;
use ipsec_core::{Instant, Limits};
use lab::{Buf, Pair, Pcap, Router, Side};
use sekisho_tests::allocations::{Counting, live};
use sekisho_tests::crowd::{Crowd, packet, reflect};
use sekisho_tests::{basic, both, isakmp_sas, one};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the plane keeps for each SA pair: both SAs, their bundle, their path and every index. The
/// engine's keyed contexts are its own affair.
#[test]
fn an_sa_pair_costs_a_kilobyte_and_a_half_at_most() {
    const PAIRS: u32 = 4096;
    let mut crowd = Crowd::new(PAIRS);
    let before = live();
    for _ in 0..PAIRS {
        crowd.join();
    }
    assert_eq!(crowd.plane.state().sas().count(), PAIRS as usize);
    let all = live() - before;
    drop(std::mem::replace(
        &mut crowd.engine,
        hw_offload::SoftEngine::new(0, 0),
    ));
    let each = (live() - before) / i64::from(PAIRS);
    println!(
        "{each} bytes per SA pair, {} with the engine",
        all / i64::from(PAIRS)
    );
    assert!(each <= 1536, "{each} bytes");
}

/// They are what they cost: every one of them carries packets, both ways.
#[test]
fn every_one_of_a_crowd_is_served() {
    let mut crowd = Crowd::new(300);
    for _ in 0..300 {
        crowd.join();
    }
    for peer in 0..crowd.peers() {
        let clear = packet(peer, 64);
        let bytes = hw_offload::PacketBuf::packet(&clear).to_vec();
        let mut sealed = crowd.seal(clear);
        reflect(&mut sealed);
        let opened = crowd.open(sealed);
        assert_eq!(hw_offload::PacketBuf::packet(&opened), bytes);
    }
}

/// Peers come one after the other, each with phase 1 and nothing else.
#[test]
fn an_isakmp_sa_costs_four_kilobytes_at_most() {
    const PEERS: u8 = 64;
    let limits = Limits {
        log_lines: 1,
        ..Limits::default()
    };
    let configs = one(&basic(), 0, "PEER=2.2.2.2", "PEER=ANY");
    let configs = both(&configs, "SENDN=TRUE", "SENDN=TRUE PRENEGOTIATE=TRUE");
    let configs = one(&configs, 0, " PRENEGOTIATE=TRUE", "");
    let engines = |_| SoftEngines::<Buf>::new(256, 64, 64);
    let mut pair = Pair::with_limits(&limits, engines, 1);
    let findings = pair.a.run_script(Instant::ZERO, &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    let mut first = 0;
    for peer in 1..=PEERS {
        let text = configs[1].replace("IP=2.2.2.2", &format!("IP=2.2.3.{peer}"));
        pair.b = Router::with_limits(&limits, engines(Side::B), peer.into());
        let findings = pair.b.run_script(pair.now, &text);
        assert!(findings.is_empty(), "{findings:?}");
        pair.connect();
        pair.turn(Side::B);
        // Until nothing of the exchange is kept for a peer that asks again.
        pair.run_to(pair.now + Duration::from_secs(400));
        assert_eq!(isakmp_sas(&mut pair, Side::A), usize::from(peer));
        pair.happenings = Vec::new();
        pair.capture = Pcap::default();
        if peer == PEERS / 2 {
            first = live();
        }
    }
    let each = (live() - first) / i64::from(PEERS / 2);
    println!("{each} bytes per ISAKMP SA");
    assert!(each <= 4096, "{each} bytes");
}
