//! A hundred thousand SAs: what each costs, and what packets cost among so many.

use core::mem;

use hw_offload::{PacketBuf, SoftEngine};
use lab::Buf;
use sekisho_tests::allocations::live;
use sekisho_tests::crowd::{Crowd, packet, reflect};

use crate::rounds::{Batch, Table, Target, timed};

const SIZES: [u32; 3] = [1, 1000, 100_000];
/// Packets whose preparation is not timed, and then their work at a stretch.
const BATCH: u32 = 32;

pub(crate) fn run(table: &mut Table) {
    for pairs in SIZES {
        let names = ["seal", "open"].map(|verb| format!("{verb} 64, one of {pairs} SAs"));
        let memory = format!("memory, {pairs} SAs, per pair");
        if !names.iter().chain([&memory]).any(|name| table.wants(name)) {
            continue;
        }
        let before = live();
        let mut crowd = Crowd::new(pairs);
        for _ in 0..pairs {
            crowd.join();
        }
        let [seal, open] = names;
        let mut sent = 0;
        table.alone(&seal, Target::None, || batch(&mut crowd, &mut sent)[0]);
        table.alone(&open, Target::None, || batch(&mut crowd, &mut sent)[1]);
        // The engine's contexts are counted apart: hardware has its own place for them.
        let both = live() - before;
        crowd.engine = SoftEngine::new(0, 0);
        let plane = live() - before;
        if pairs > 1 {
            table.bytes(&memory, plane / i64::from(pairs), Some(1536));
            let engine = (both - plane) / i64::from(pairs);
            table.bytes(&format!("{memory}, engine"), engine, None);
        }
    }
}

/// Packets of peers from all over the table, sealed and then opened again.
fn batch(crowd: &mut Crowd, sent: &mut u32) -> [Batch; 2] {
    let first = *sent;
    *sent = first.wrapping_add(BATCH);
    // A multiplier without common factors scatters them.
    let peer = |n| first.wrapping_add(n).wrapping_mul(0x9e37_79b1) % crowd.peers();
    let mut buffers: Vec<Buf> = (0..BATCH).map(|n| packet(peer(n), 64)).collect();
    let mut done: Vec<Buf> = Vec::with_capacity(buffers.len());
    let sealing = timed(buffers.len(), || {
        done.extend(buffers.drain(..).map(|packet| crowd.seal(packet)));
    });
    done.iter_mut().for_each(reflect);
    mem::swap(&mut buffers, &mut done);
    let opening = timed(buffers.len(), || {
        done.extend(buffers.drain(..).map(|packet| crowd.open(packet)));
    });
    assert!(done.iter().all(|packet| packet.packet().len() == 64));
    [sealing, opening]
}
