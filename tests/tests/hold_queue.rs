//! Packets that wait for an SA: the first twenty of a policy, in order; the rest is counted.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use ipsec_core::counters::Happened;
use ipsec_core::{DropReason, Instant};
use isakmp_core::device::DeviceReport;
use lab::{Side, echo_request};
use sekisho_tests::{HOST_A, HOST_B, at_rest, basic, failures, pair_with, story};

/// The ICMP sequence number of an echo request, and whether it is one.
fn sequence(packet: &[u8]) -> Option<u16> {
    (packet[20] == 8).then(|| u16::from_be_bytes([packet[26], packet[27]]))
}

story!(
    twenty_wait_in_order_and_the_rest_is_counted,
    |engines, seed| {
        let mut pair = pair_with(engines, &basic(), seed);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        pair.watch = Some(Box::new(move |side, packet| {
            if side == Side::B {
                log.borrow_mut().extend(sequence(packet));
            }
        }));
        for number in 1..=25 {
            let packet = echo_request(HOST_A, HOST_B, 77, number).expect("both ends are IPv4");
            let now = pair.now;
            pair.a.forward(now, &packet);
            pair.turn(Side::A);
        }
        pair.run_to(Instant::from_secs(10));
        let mut seen = seen.borrow().clone();
        // An engine that finishes out of order is no queue's fault.
        seen.sort_unstable();
        let all: Vec<u16> = (1..=20).collect();
        assert_eq!(seen, all, "{:?}", failures(&pair));
        let dropped = pair.happenings.iter().filter(|happening| {
            matches!(
                happening.report,
                DeviceReport::Dropped {
                    why: DropReason::QueueFull,
                    ..
                }
            )
        });
        assert_eq!(dropped.count(), 5);
        let plane = pair.a.device.plane();
        let policy = plane.policy_by_name("vpn").expect("it is there").1;
        assert_eq!(policy.counters.get(Happened::OutNoBundle), 25);
        assert_eq!(policy.counters.get(Happened::OutNoBundleFail), 5);
        assert_eq!(pair.clear, 0);
        at_rest(&mut pair);
    }
);

/// An engine that keeps the order shows the queue's.
#[test]
fn the_order_is_kept() {
    let mut pair = sekisho_tests::pair(&basic(), 1);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    pair.watch = Some(Box::new(move |side, packet| {
        if side == Side::B {
            log.borrow_mut().extend(sequence(packet));
        }
    }));
    for number in 1..=20 {
        let now = pair.now;
        pair.a.forward(
            now,
            &echo_request(HOST_A, HOST_B, 77, number).expect("both ends are IPv4"),
        );
        pair.turn(Side::A);
    }
    pair.run_to(Instant::from_secs(1));
    assert_eq!(*seen.borrow(), (1..=20).collect::<Vec<u16>>());
}

story!(
    what_waits_in_vain_is_dropped_and_the_next_packet_asks_again,
    |engines, seed| {
        let mut pair = pair_with(engines, &basic(), seed);
        pair.road = Some(Box::new(|_, _, _| Vec::new()));
        let other = Ipv4Addr::new(192, 168, 20, 9);
        for number in 1..=3 {
            let now = pair.now;
            pair.a.forward(
                now,
                &echo_request(HOST_A, other, 77, number).expect("both ends are IPv4"),
            );
            pair.turn(Side::A);
        }
        pair.run_to(Instant::from_secs(291));
        assert_eq!(
            pair.a
                .device
                .plane()
                .policy_by_name("vpn")
                .expect("it is there")
                .1
                .queued,
            3
        );
        pair.run_to(Instant::from_secs(293));
        let dropped = pair.happenings.iter().filter(|happening| {
            matches!(
                happening.report,
                DeviceReport::Dropped {
                    why: DropReason::NegotiationFailed,
                    ..
                }
            )
        });
        assert_eq!(dropped.count(), 3);
        at_rest(&mut pair);
        pair.road = None;
        pair.ping(HOST_A, HOST_B, Instant::from_secs(300));
        assert!(pair.run(Instant::from_secs(310)), "{:?}", failures(&pair));
        assert_eq!(pair.clear, 0);
        pair.run_to(pair.now + Duration::from_secs(20));
        at_rest(&mut pair);
    }
);
