//! Ten million packets under one key, and no initialisation vector twice.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use common::{SeededEntropy, WAN, esp, manual_pair, udp_packet};
use hw_offload::*;
use ipsec_core::model::{HashAlg, Mode};
use ipsec_core::{Cx, DataPlane, HEADROOM, Instant, Limits, PlaneEvent, Verdict};

/// Small, because it is moved with every packet.
type Buf = ArrayBuf<384>;

/// No packet here needs a buffer besides its own.
struct NoPool;

impl Buffers<Buf> for NoPool {
    fn take(&mut self, _: usize) -> Option<Buf> {
        None
    }

    fn give(&mut self, _: Buf) {}
}

/// The IVs of `count` packets that one SA lays out, in order. The engine only opens the channels:
/// it gives every job back, because what is enciphered does not bear on the IVs.
fn ivs(cipher: Cipher, count: usize) -> Vec<u128> {
    let specs = [esp(Mode::Tunnel, cipher, HashAlg::Sha)];
    let lans = ("192.168.10.0/24", "192.168.20.0/24");
    let (router, _) = manual_pair(&specs, ("1.1.1.1", "2.2.2.2"), lans, |_| {});
    let now = Instant::from_secs(1);
    let mut plane = DataPlane::<Buf>::new(&Limits::default(), [7; 16]);
    let mut engine = SoftEngine::<Buf>::new(8, 8);
    plane.configure(now, &router.config, &router.net, &router.keys);
    while let Some(event) = plane.next_event() {
        if let PlaneEvent::Open { ticket, spec, .. } = event {
            engine.open(ticket, spec).unwrap();
        }
    }
    while let Some(completion) = engine.poll() {
        let Completion::Opened { ticket, result } = completion else {
            panic!("only channels are asked for");
        };
        plane.opened(now, ticket, result);
    }
    let mut entropy = SeededEntropy::new(4);
    let mut cx = Cx {
        now,
        entropy: &mut entropy,
        buffers: &mut NoPool,
    };
    let clear = udp_packet("192.168.10.1", "192.168.20.1", 4);
    let mut buffer = Buf::with_headroom(HEADROOM);
    let mut ivs = Vec::with_capacity(count);
    for _ in 0..count {
        buffer.fill(HEADROOM, &clear).unwrap();
        let Verdict::Compute(job) = plane.outbound(&mut cx, WAN, buffer) else {
            panic!("the SA seals");
        };
        let iv = job.buffer.storage().get(job.iv.range()).unwrap();
        assert_eq!(iv.len(), cipher.iv_len());
        let number = iv.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        ivs.push(number);
        let why = RefusedWhy::Full;
        let Verdict::Drop { packet, .. } = plane.refused(&mut cx, Refused { job, why }) else {
            panic!("a refused packet is dropped");
        };
        buffer = packet;
    }
    assert_eq!(plane.state().in_flight(), 0);
    let (_, sa) = plane.state().sas().next().unwrap();
    assert_eq!(usize::try_from(sa.sequence), Ok(count));
    ivs
}

fn no_iv_is_repeated(cipher: Cipher) {
    let mut ivs = ivs(cipher, 10_000_000);
    let counts = |[before, iv]: &[u128; 2]| before.abs_diff(*iv) <= 1;
    assert!(!ivs.array_windows().any(counts), "a counter");
    ivs.sort_unstable();
    assert!(
        !ivs.array_windows().any(|[a, b]| a == b),
        "an IV came twice"
    );
}

// Two tests, so that they run side by side.

#[test]
fn threat_d4_no_iv_is_repeated_of_8_bytes() {
    no_iv_is_repeated(Cipher::Des);
}

#[test]
fn threat_d4_no_iv_is_repeated_of_16_bytes() {
    no_iv_is_repeated(Cipher::Aes128);
}
