//! Messages that are deciphered well and are wrong all the same: with another HASH, under another
//! message id, or not enciphered. Whoever gets them waits for the right ones as before.

use core::time::Duration;
use std::rc::Rc;

use hw_offload::testing::insecure_engines;
use ipsec_core::Instant;
use isakmp_core::wire::{ExchangeType, HEADER, Header, PayloadType, Payloads};
use lab::is_udp;
use sekisho_tests::tape::{Tape, UDP_PAYLOAD, state};
use sekisho_tests::{HOST_A, HOST_B, basic, both, one, pair_with};

/// Where the flags stand in it, and its message id.
const FLAGS: usize = 19;
const MESSAGE_ID: usize = 20;

/// An enciphered message on the WAN: the cipher of these engines changes nothing.
fn enciphered(packet: &[u8]) -> Option<Header> {
    let (_, _, bytes) = is_udp(packet)?;
    let (header, _) = Header::parse(bytes).ok()?;
    header.flags.encrypted().then_some(header)
}

/// The same message made wrong, each time in another way.
fn wrong(packet: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let header = enciphered(packet).expect("enciphered");
    let body = &packet[UDP_PAYLOAD + HEADER..];
    let payloads = Payloads::parse(header.next, body).expect("readable");
    let hash = payloads.first(PayloadType::HASH).expect("a hash");
    let changed = |place: usize, bits: u8| {
        let mut packet = packet.to_vec();
        packet[UDP_PAYLOAD + place] ^= bits;
        packet
    };
    let mut other_id = packet.to_vec();
    let id = UDP_PAYLOAD + MESSAGE_ID;
    let phase1 = header.message_id.0 == 0;
    other_id[id..id + 4].copy_from_slice(&u32::from(phase1).to_be_bytes());
    let mut wrong = vec![
        ("another hash", changed(HEADER + hash.at + 4, 1)),
        ("another message id", other_id),
    ];
    // The last message of Aggressive mode is good either way.
    if header.exchange != ExchangeType::Aggressive {
        wrong.push(("in clear", changed(FLAGS, 1)));
    }
    wrong
}

/// What a message of the pair is, for somebody who reads a failure.
fn name(packet: &[u8], number: usize) -> String {
    let kind = enciphered(packet).map(|header| header.exchange);
    let kind = kind.map_or_else(String::new, |kind: ExchangeType| kind.to_string());
    format!("enciphered message {number}, {kind}")
}

/// Holds one enciphered message back after the other, and shows its receiver the wrong ones first.
fn each_message(configs: &[String; 2], expected: usize) {
    let mut held_back = 0;
    for number in 0.. {
        let mut pair = pair_with(|_| insecure_engines(), configs, 1);
        let held = Tape::default();
        let (shared, mut seen) = (Rc::clone(&held), 0);
        pair.road = Some(Box::new(move |side, _, packet| {
            let is = enciphered(packet).is_some();
            let this = is && seen == number;
            seen += usize::from(is);
            if this {
                shared.borrow_mut().push((side, packet.to_vec()));
                return Vec::new();
            }
            vec![(Duration::ZERO, packet.to_vec())]
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        // Long enough for questions of dead peer detection.
        while held.borrow().is_empty() && pair.now < Instant::from_secs(50) {
            pair.run_to(pair.now + Duration::from_millis(10));
        }
        let Some((sender, packet)) = held.take().pop() else {
            break;
        };
        held_back += 1;
        // What was sent before it arrives before it.
        pair.run_to(pair.now + Duration::from_millis(80));
        let (side, now) = (sender.other(), pair.now);
        let before = state(&mut pair, side);
        for (how, wrong) in wrong(&packet) {
            pair.router(side).receive(now, &wrong);
            pair.turn(side);
            let after = state(&mut pair, side);
            assert_eq!(after, before, "{} {how}", name(&packet, number));
        }
        pair.router(side).receive(now, &packet);
        pair.turn(side);
        let after = state(&mut pair, side);
        assert_ne!(after, before, "{}", name(&packet, number));
    }
    assert!(held_back >= expected, "{held_back} of {expected}");
}

#[test]
fn of_main_mode_quick_mode_and_dead_peer_detection() {
    let configs = both(&basic(), "SENDN=TRUE", "DPDMODE=BOTH SENDN=TRUE");
    each_message(&configs, 2 + 3 + 2);
}

#[test]
fn of_extended_authentication() {
    let user = "ADD USER=joger PASSWORD=hogehoge LOGIN=NO\nCREATE ISAKMP POLICY";
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge SENDN=TRUE";
    let configs = one(&basic(), 0, "SENDN=TRUE", client);
    let configs = one(&configs, 1, "SENDN=TRUE", "XAUTH=SERVER SENDN=TRUE");
    each_message(&one(&configs, 1, "CREATE ISAKMP POLICY", user), 2 + 4 + 3);
}

#[test]
fn of_connected() {
    for side in [0, 1] {
        let configs = one(&basic(), side, "SENDN=TRUE", "SETCOMMITBIT=TRUE SENDN=TRUE");
        each_message(&configs, 2 + 3 + 1);
    }
}

#[test]
fn of_aggressive_mode() {
    let configs = both(&basic(), "SENDN=TRUE", "MODE=AGGRESSIVE");
    each_message(&configs, 1 + 3);
}
