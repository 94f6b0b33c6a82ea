//! What crosses the WAN of a pair, written down, and what a message may have changed.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use hw_offload::Engines;
use lab::{Buf, Pair, Side};

/// Where the ISAKMP message begins in an IPv4 datagram.
pub const UDP_PAYLOAD: usize = 28;

/// The packets on the WAN in order, each with the side that sent it.
pub type Tape = Rc<RefCell<Vec<(Side, Vec<u8>)>>>;

/// Writes down what crosses the WAN, and lets it pass or not.
pub fn record<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, passes: bool) -> Tape {
    let tape = Tape::default();
    let shared = Rc::clone(&tape);
    pair.road = Some(Box::new(move |side, _, packet| {
        shared.borrow_mut().push((side, packet.to_vec()));
        vec![(Duration::ZERO, packet.to_vec()); usize::from(passes)]
    }));
    tape
}

/// Everything about the SAs and exchanges of a side but what is counted.
pub fn state(pair: &mut Pair<impl Engines<Buf = Buf>>, side: Side) -> String {
    let now = pair.now;
    let device = &pair.router(side).device;
    let endpoint = device.endpoint();
    let isakmp: Vec<_> = endpoint
        .sas()
        .map(|sa| (sa.cookies, sa.bytes, sa.exchanges))
        .collect();
    let exchanges: Vec<_> = endpoint.exchanges(now).collect();
    let bundles: Vec<_> = device.plane().bundles().collect();
    format!("{isakmp:?} {exchanges:?} {bundles:?}")
}
