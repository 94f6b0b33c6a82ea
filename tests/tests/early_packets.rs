//! Packets that overtake the last message of Quick mode: the responder receives on an SA on which
//! it does not send yet.

use core::time::Duration;

use ipsec_core::{DropReason, Instant};
use isakmp_core::device::DeviceReport;
use lab::Side;
use sekisho_tests::{HOST_A, HOST_B, basic, pair_with, story};

/// The last message of Quick mode among those on the WAN, and the first packet of ESP.
const LAST_MESSAGE: u64 = 8;
const FIRST_PACKET: u64 = 9;

story!(an_early_packet_cannot_be_replayed, |engines, seed| {
    let configs = basic().map(|text| text.replace("HASHALG=SHA", "HASHALG=SHA ANTIREPLAY=TRUE"));
    let mut pair = pair_with(engines, &configs, seed);
    pair.road = Some(Box::new(|_, number, packet| {
        let times: &[u64] = match number {
            LAST_MESSAGE => &[500],
            FIRST_PACKET => &[0, 1_000],
            _ => &[0],
        };
        times
            .iter()
            .map(|millis| (Duration::from_millis(*millis), packet.to_vec()))
            .collect()
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(5));
    assert!(pair.pings[0].answered.is_some());
    let replayed = |why: &DropReason| *why == DropReason::Replayed;
    let dropped = pair.happenings.iter().filter(|happening| {
        happening.side == Side::B
            && matches!(&happening.report, DeviceReport::Dropped { why, .. } if replayed(why))
    });
    assert_eq!(dropped.count(), 1);
});
