//! The packet path allocates nothing once it is warm.

use std::hint::black_box;

use hw_offload::{Cipher, Mac, PacketBuf};
use ipsec_core::{DropReason, Verdict};
use lab::Buf;
use sekisho_tests::allocations::{Counting, allocations};
use sekisho_tests::ends::{End, buffer, fill, inner_packet};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One packet through the tunnel, then again, which is a replay; before both, where there is an ICV
/// to spoil, a forgery.
fn cross([near, far]: &mut [End; 2], mac: Mac, inner: &[u8], storage: &mut [Option<Buf>; 2]) {
    let [own, copy] = storage.each_mut().map(Option::take);
    let (mut own, mut copy) = (own.expect("given back"), copy.expect("given back"));
    fill(&mut own, inner);
    let Verdict::Transmit(mut sent) = near.outbound(own) else {
        panic!("not sealed");
    };
    if mac != Mac::None {
        fill(&mut copy, sent.next_datagram().expect("the packet"));
        copy.packet_mut()[30] ^= 1;
        copy = dropped(far.inbound(copy), DropReason::BadIcv);
    }
    fill(&mut copy, sent.packet.packet());
    let Verdict::Deliver { packet: own, .. } = far.inbound(sent.packet) else {
        panic!("not delivered");
    };
    assert_eq!(own.packet(), inner);
    let again = far.inbound(copy);
    let copy = match again {
        // Where nothing authenticates sequence numbers, no window is kept.
        Verdict::Deliver { packet, .. } if mac == Mac::None => packet,
        other => dropped(other, DropReason::Replayed),
    };
    *storage = [Some(own), Some(copy)];
}

fn dropped(verdict: Verdict<Buf>, reason: DropReason) -> Buf {
    match verdict {
        Verdict::Drop { why, packet } if why == reason => packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_allocation_is_noticed() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn no_packet_allocates() {
    for cipher in Cipher::ALL {
        for mac in Mac::ALL {
            let mut ends = End::pair(cipher, mac);
            let mut storage = [Some(buffer()), Some(buffer())];
            let inner = [28, 64, 576, 1400].map(inner_packet);
            for inner in &inner {
                cross(&mut ends, mac, inner, &mut storage);
            }
            let allocated = allocations(|| {
                for inner in inner.iter().cycle().take(4000) {
                    cross(&mut ends, mac, inner, &mut storage);
                }
            });
            assert_eq!(allocated, 0, "{cipher:?} with {mac:?}");
        }
    }
}
