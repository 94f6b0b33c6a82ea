//! The contract of the software engine: channels, queue, and what a closed channel leaves behind.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use hw_offload::testing::SeededEntropy;
use hw_offload::*;
use proptest::prelude::*;

type Engine = SoftEngine<ArrayBuf<64>>;

fn spec(op: Op) -> ChannelSpec {
    ChannelSpec {
        cipher: Cipher::Aes128,
        cipher_key: Secret::copy_of(&[1; 16]),
        mac: Mac::HmacSha1_96,
        mac_key: Secret::copy_of(&[2; 20]),
        op,
    }
}

fn open(engine: &mut Engine, op: Op) -> Result<ChannelId, OpenFault> {
    engine.open(Ticket(7), spec(op)).unwrap();
    match engine.poll() {
        Some(Completion::Opened { ticket, result }) => {
            assert_eq!(ticket, Ticket(7));
            result
        }
        other => panic!("{other:?}"),
    }
}

fn close(engine: &mut Engine, channel: ChannelId) {
    engine.close(channel);
    let done = engine.poll();
    assert!(matches!(done, Some(Completion::Detached(gone)) if gone == channel));
}

/// 16 bytes of IV, 32 of data, 12 of ICV, each where the algorithms want it.
fn job(ticket: u64, channel: ChannelId, op: Op) -> PacketJob<ArrayBuf<64>> {
    let mut buffer = ArrayBuf::with_headroom(0);
    buffer.grow_back(60).unwrap();
    PacketJob {
        ticket: Ticket(ticket),
        channel,
        op,
        iv: Span { start: 0, len: 16 },
        crypt: Span { start: 16, len: 32 },
        auth: [Span { start: 0, len: 48 }, Span::EMPTY, Span::EMPTY],
        icv: Span { start: 48, len: 12 },
        buffer,
    }
}

fn packet(engine: &mut Engine) -> PacketDone<ArrayBuf<64>> {
    match engine.poll() {
        Some(Completion::Packet(done)) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn more_channels_than_sixteen_bits_count() {
    let mut engine = Engine::new(70_000, 1);
    let all: Vec<_> = (0..70_000)
        .map(|_| open(&mut engine, Op::Seal).unwrap())
        .collect();
    assert!(
        all.iter()
            .zip(0..)
            .all(|(channel, slot)| channel.slot == slot)
    );
    assert_eq!(open(&mut engine, Op::Seal), Err(OpenFault::Full));
    engine.submit(job(1, all[69_999], Op::Seal)).unwrap();
    assert_eq!(packet(&mut engine).result, Ok(()));
}

#[test]
fn a_slot_comes_back_under_another_name() {
    let mut engine = Engine::new(2, 4);
    let [first, second] = [Op::Seal, Op::Open].map(|op| open(&mut engine, op).unwrap());
    close(&mut engine, first);
    let again = open(&mut engine, Op::Seal).unwrap();
    assert_eq!(again.slot, first.slot);
    assert_ne!(again.generation, first.generation);
    let refused = engine.submit(job(1, first, Op::Seal)).unwrap_err();
    assert_eq!(refused.why, RefusedWhy::NoSuchChannel);
    // Closing by the old name does not hit the new owner.
    engine.close(first);
    assert_eq!(engine.pending(), Idle::Idle);
    for (ticket, channel, op) in [(2, again, Op::Seal), (3, second, Op::Open)] {
        engine.submit(job(ticket, channel, op)).unwrap();
    }
    assert_eq!(packet(&mut engine).result, Ok(()));
    assert_eq!(packet(&mut engine).result, Err(JobFault::BadIcv));
}

#[test]
fn jobs_of_a_closed_channel_complete_before_it_is_detached() {
    let mut engine = Engine::new(1, 4);
    let channel = open(&mut engine, Op::Seal).unwrap();
    engine.submit(job(1, channel, Op::Seal)).unwrap();
    engine.submit(job(2, channel, Op::Seal)).unwrap();
    engine.close(channel);
    engine.close(channel);
    for ticket in [1, 2] {
        let done = packet(&mut engine);
        assert_eq!(
            (done.ticket, done.result),
            (Ticket(ticket), Err(JobFault::Closed))
        );
    }
    assert!(matches!(engine.poll(), Some(Completion::Detached(gone)) if gone == channel));
    assert!(engine.poll().is_none());
    assert_eq!(engine.pending(), Idle::Idle);
}

#[test]
fn a_full_queue_or_a_job_that_does_not_fit_comes_back_untouched() {
    let mut engine = Engine::new(1, 2);
    let channel = open(&mut engine, Op::Seal).unwrap();
    let spoilt: [fn(&mut PacketJob<ArrayBuf<64>>); 5] = [
        |job| job.op = Op::Open,
        |job| job.iv.len = 8,
        |job| job.crypt.len = 33,
        |job| job.icv.start = 60,
        |job| job.auth[2] = Span { start: 1, len: 64 },
    ];
    for spoil in spoilt {
        let mut wrong = job(1, channel, Op::Seal);
        spoil(&mut wrong);
        let refused = engine.submit(wrong).unwrap_err();
        assert_eq!(
            (refused.why, refused.job.ticket),
            (RefusedWhy::Malformed, Ticket(1))
        );
        assert_eq!(refused.job.buffer.packet(), [0; 60]);
    }
    engine.submit(job(2, channel, Op::Seal)).unwrap();
    engine.submit(job(3, channel, Op::Seal)).unwrap();
    let refused = engine.submit(job(4, channel, Op::Seal)).unwrap_err();
    assert_eq!(
        (refused.why, refused.job.ticket),
        (RefusedWhy::Full, Ticket(4))
    );
    // A finished packet that nobody fetched still takes its place.
    assert_eq!(packet(&mut engine).ticket, Ticket(2));
    engine.submit(job(5, channel, Op::Seal)).unwrap();
    let refused = engine.submit(job(6, channel, Op::Seal)).unwrap_err();
    assert_eq!(refused.why, RefusedWhy::Full);
    assert_eq!(
        [3, 5].map(Ticket),
        [3, 5].map(|_| packet(&mut engine).ticket)
    );
}

/// A run of whole blocks somewhere in the storage, with room for an IV in front.
fn placed(block: usize) -> impl Strategy<Value = (usize, usize)> {
    (16_usize..100, 0_usize..400).prop_map(move |(at, len)| (at, len / block * block))
}

/// A run of bytes, often as long as blocks of the hash.
fn authenticated() -> impl Strategy<Value = (u16, u16)> {
    let len = prop_oneof![0_u16..300, (0_u16..5).prop_map(|blocks| blocks * 64)];
    (0_u16..300, len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is authenticated, before, around or behind what is enciphered: sealing is the
    /// cipher and then the HMAC, and opening undoes it unless a bit of either was changed.
    #[test]
    fn a_seal_is_cipher_then_hmac(
        cipher in proptest::sample::select(&Cipher::ALL),
        mac in proptest::sample::select(&Mac::ALL),
        (at, len) in placed(16),
        auth in proptest::array::uniform3(authenticated()),
        seed in any::<u64>(),
        flip in any::<proptest::sample::Index>(),
    ) {
        let mut random = SeededEntropy::new(seed);
        let mut key = |len| {
            let mut bytes = vec![0; len];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        let (cipher_key, mac_key) = (key(cipher.key_len()), key(mac.key_len()));
        let plain: [u8; 640] = key(640).try_into().unwrap();
        let auth = auth.map(|(start, len)| Span { start, len });
        let icv = Span::new(600, mac.icv_len()).unwrap();
        let iv = Span::new(at - cipher.iv_len(), cipher.iv_len()).unwrap();
        let crypt = Span::new(at, len).unwrap();

        let mut expected = plain;
        let iv_bytes = plain[iv.range()].to_vec();
        if cipher != Cipher::Null {
            SoftPrimitives
                .cbc_encrypt(cipher, &cipher_key, &iv_bytes, &mut expected[crypt.range()])
                .unwrap();
        }
        if let Some(hash) = mac.hash() {
            let parts = auth.map(|span| &expected[span.range()]).concat();
            let value = SoftPrimitives.hmac(hash, &mac_key, &[&parts]);
            expected[icv.range()].copy_from_slice(&value.as_bytes()[..12]);
        }

        let run = |op, bytes: &[u8]| {
            let mut engine = SoftEngine::<ArrayBuf<640>>::new(1, 1);
            let spec = ChannelSpec {
                cipher,
                cipher_key: Secret::copy_of(&cipher_key),
                mac,
                mac_key: Secret::copy_of(&mac_key),
                op,
            };
            engine.open(Ticket(0), spec).unwrap();
            let Some(Completion::Opened { result: Ok(channel), .. }) = engine.poll() else {
                panic!("no channel");
            };
            let mut buffer = ArrayBuf::with_headroom(0);
            buffer.fill(0, bytes).unwrap();
            let ticket = Ticket(1);
            let job = PacketJob { ticket, channel, op, iv, crypt, auth, icv, buffer };
            engine.submit(job).unwrap();
            match engine.poll() {
                Some(Completion::Packet(done)) => (done.result, done.buffer.packet().to_vec()),
                other => panic!("{other:?}"),
            }
        };
        let (result, sealed) = run(Op::Seal, &plain);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(&sealed[..], &expected);

        let (result, opened) = run(Op::Open, &sealed);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(&opened[..600], &plain[..600]);

        let signed: Vec<usize> = auth.iter().chain([&icv]).flat_map(|span| span.range()).collect();
        if mac != Mac::None {
            let mut forged = sealed;
            forged[signed[flip.index(signed.len())]] ^= 1;
            let (result, untouched) = run(Op::Open, &forged);
            prop_assert_eq!(result, Err(JobFault::BadIcv));
            prop_assert_eq!(untouched, forged);
        }
    }

    /// A hash does not depend on how its input is cut.
    #[test]
    fn parts_are_one_message(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        for hash in Hash::ALL {
            let whole = SoftPrimitives.hash(hash, &[&bytes]);
            prop_assert_eq!(SoftPrimitives.hash(hash, &parts), whole);
            let whole = SoftPrimitives.hmac(hash, b"key", &[&bytes]);
            prop_assert_eq!(SoftPrimitives.hmac(hash, b"key", &parts), whole);
        }
    }
}
