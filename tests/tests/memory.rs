//! What each SA costs in memory, however many there are.

use sekisho_tests::allocations::{Counting, live};
use sekisho_tests::crowd::{Crowd, packet, reflect};
use sekisho_tests::memory::{half_open, isakmp_sa};

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

/// What a stranger's first message leaves behind.
#[test]
fn a_half_open_exchange_costs_half_a_kilobyte_at_most() {
    let each = half_open(4096);
    println!("{each} bytes per half-open exchange");
    assert!((1..=512).contains(&each), "{each} bytes");
}

/// Peers come one after the other, each with phase 1 and nothing else.
#[test]
fn an_isakmp_sa_costs_four_kilobytes_at_most() {
    let each = isakmp_sa(512);
    println!("{each} bytes per ISAKMP SA");
    assert!((1..=4096).contains(&each), "{each} bytes");
}
