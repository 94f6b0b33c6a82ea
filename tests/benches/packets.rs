//! Whole ESP packets, one at a time, and what the engine trait adds to its kernel.

use core::mem;

use hw_offload::testing::Kernel;
use hw_offload::{
    ChannelId, ChannelSpec, Cipher, Completion, Mac, Op, PacketBuf, PacketEngine, PacketJob,
    Secret, SoftEngine, Span, Ticket,
};
use ipsec_core::Verdict;
use lab::Buf;
use sekisho_tests::ends::{End, buffer, fill, inner_packet};

use crate::rounds::{Batch, Table, Target, timed};

const SIZES: [usize; 4] = [64, 256, 576, 1400];
const SUITES: [(&str, Cipher, Mac); 3] = [
    ("3des-sha1", Cipher::TripleDes, Mac::HmacSha1_96),
    ("aes128-sha1", Cipher::Aes128, Mac::HmacSha1_96),
    ("aes128-md5", Cipher::Aes128, Mac::HmacMd5_96),
];
/// Packets whose preparation is not timed, and then their work at a stretch.
const BATCH: usize = 32;

pub(crate) fn run(table: &mut Table) {
    for (suite, cipher, mac) in SUITES {
        for op in [Op::Seal, Op::Open] {
            for size in SIZES {
                let shape = Shape::new(cipher, mac, op, size);
                let target = match (cipher, mac, op, size) {
                    (Cipher::Aes128, Mac::HmacSha1_96, _, 64) => Target::Ratio(1.7),
                    (Cipher::Aes128, Mac::HmacSha1_96, Op::Seal, 1400) => Target::Ratio(1.0),
                    (Cipher::Aes128, Mac::HmacSha1_96, Op::Open, 1400) => Target::Ratio(1.1),
                    _ => Target::None,
                };
                let what = format!("{} {suite} {size}", verb(op));
                let engine = shape.engine();
                row(table, &format!("engine {what}"), target, &shape, engine);
                let plane = plane(&shape);
                row(table, &format!("plane {what}"), Target::None, &shape, plane);
            }
        }
    }
    for op in [Op::Seal, Op::Open] {
        let shape = Shape::new(Cipher::Aes128, Mac::HmacSha1_96, op, 64);
        let name = format!("engine trait {} 64", verb(op));
        table.beside(&name, Target::Beyond(40.0), shape.queued(), shape.kernel());
    }
}

const fn verb(op: Op) -> &'static str {
    match op {
        Op::Seal => "seal",
        Op::Open => "open",
    }
}

fn row(table: &mut Table, name: &str, target: Target, shape: &Shape, ours: impl FnMut() -> Batch) {
    #[cfg(feature = "openssl")]
    table.beside(name, target, ours, shape.openssl());
    #[cfg(not(feature = "openssl"))]
    {
        let _ = shape;
        table.alone(name, target, ours);
    }
}

/// Where everything lies in an ESP packet (without the outer header) around so many bytes.
struct Shape {
    cipher: Cipher,
    mac: Mac,
    op: Op,
    size: usize,
    /// A packet as the operation finds it.
    packet: Vec<u8>,
    /// IV, what is (de)ciphered, what is authenticated, ICV.
    spans: [Span; 4],
}

impl Shape {
    fn new(cipher: Cipher, mac: Mac, op: Op, size: usize) -> Self {
        let crypt = (size + 2).next_multiple_of(cipher.block_len());
        let packet = vec![0x5a; 8 + cipher.iv_len() + crypt + mac.icv_len()];
        let start = buffer().headroom();
        let data = start + 8 + cipher.iv_len();
        let spans = [
            (start + 8, data),
            (data, data + crypt),
            (start, data + crypt),
            (data + crypt, start + packet.len()),
        ];
        let span = |(start, end)| Span::new(start, end - start).expect("a short packet");
        let seal = Self {
            cipher,
            mac,
            op: Op::Seal,
            size,
            packet,
            spans: spans.map(span),
        };
        let packet = match op {
            Op::Seal => seal.packet,
            Op::Open => {
                let mut job = seal.job(CHANNEL, seal.filled());
                let sealed = Kernel::new(&seal.spec()).map(|kernel| kernel.run(&mut job));
                assert_eq!(sealed, Ok(Ok(())));
                job.buffer.packet().to_vec()
            }
        };
        Self { op, packet, ..seal }
    }

    fn spec(&self) -> ChannelSpec {
        ChannelSpec {
            cipher: self.cipher,
            cipher_key: key(self.cipher.key_len()),
            mac: self.mac,
            mac_key: key(self.mac.key_len()),
            op: self.op,
        }
    }

    fn filled(&self) -> Buf {
        let mut buffer = buffer();
        fill(&mut buffer, &self.packet);
        buffer
    }

    fn job(&self, channel: ChannelId, buffer: Buf) -> PacketJob<Buf> {
        let [iv, crypt, auth, icv] = self.spans;
        PacketJob {
            ticket: Ticket(0),
            channel,
            op: self.op,
            iv,
            crypt,
            auth: [auth, Span::EMPTY, Span::EMPTY],
            icv,
            buffer,
        }
    }

    fn open_engine(&self) -> (SoftEngine<Buf>, ChannelId) {
        let mut engine = SoftEngine::new(1, BATCH);
        let accepted = engine.open(Ticket(0), self.spec());
        accepted.expect("an idle engine takes requests");
        match engine.poll() {
            Some(Completion::Opened {
                result: Ok(channel),
                ..
            }) => (engine, channel),
            other => panic!("{other:?}"),
        }
    }

    /// The engine alone, one packet at a time.
    fn engine(&self) -> impl FnMut() -> Batch {
        let (mut engine, channel) = self.open_engine();
        self.batches(move |shape, buffer| {
            let accepted = engine.submit(shape.job(channel, buffer));
            accepted.expect("the job fits its channel");
            fetch(&mut engine)
        })
    }

    /// The kernel that the engine runs.
    fn kernel(&self) -> impl FnMut() -> Batch {
        let kernel = Kernel::new(&self.spec()).expect("the keys fit");
        self.batches(move |shape, buffer| {
            let mut job = shape.job(CHANNEL, buffer);
            assert_eq!(kernel.run(&mut job), Ok(()));
            job.buffer
        })
    }

    /// A batch of packets, all queued before the first is fetched.
    fn queued(&self) -> impl FnMut() -> Batch {
        let (mut engine, channel) = self.open_engine();
        let mut buffers: Vec<Buf> = (0..BATCH).map(|_| buffer()).collect();
        move || {
            buffers
                .iter_mut()
                .for_each(|buffer| fill(buffer, &self.packet));
            timed(BATCH, || {
                for buffer in buffers.drain(..) {
                    let accepted = engine.submit(self.job(channel, buffer));
                    accepted.expect("the job fits its channel");
                }
                buffers.extend((0..BATCH).map(|_| fetch(&mut engine)));
            })
        }
    }

    #[cfg(feature = "openssl")]
    fn openssl(&self) -> impl FnMut() -> Batch {
        let (cipher_key, mac_key) = (key(self.cipher.key_len()), key(self.mac.key_len()));
        let mut peer = crate::openssl::Packets::new(
            self.cipher,
            cipher_key.expose(),
            self.mac,
            mac_key.expose(),
            self.op,
        );
        self.batches(move |shape, mut buffer| {
            assert!(peer.run(buffer.packet_mut(), shape.cipher.iv_len()));
            buffer
        })
    }

    /// Batches of packets that go through `work` one after the other. Their content is made again
    /// before each batch, which is not timed.
    fn batches(&self, mut work: impl FnMut(&Self, Buf) -> Buf) -> impl FnMut() -> Batch {
        let mut buffers: Vec<Buf> = (0..BATCH).map(|_| buffer()).collect();
        let mut done = Vec::with_capacity(BATCH);
        move || {
            buffers
                .iter_mut()
                .for_each(|buffer| fill(buffer, &self.packet));
            let batch = timed(BATCH, || {
                done.extend(buffers.drain(..).map(|buffer| work(self, buffer)));
            });
            mem::swap(&mut buffers, &mut done);
            batch
        }
    }
}

/// The kernel looks at no channel.
const CHANNEL: ChannelId = ChannelId {
    slot: 0,
    generation: 0,
};

fn key(len: usize) -> Secret {
    Secret::new((1..).take(len).collect())
}

fn fetch(engine: &mut SoftEngine<Buf>) -> Buf {
    match engine.poll() {
        Some(Completion::Packet(done)) => {
            assert_eq!(done.result, Ok(()));
            done.buffer
        }
        other => panic!("{other:?}"),
    }
}

/// From the packet verb to the last verdict. For opening, each batch is sealed first, which is not
/// timed, so that no packet is a replay.
fn plane(shape: &Shape) -> impl FnMut() -> Batch {
    let [mut near, mut far] = End::pair(shape.cipher, shape.mac);
    let op = shape.op;
    let inner = inner_packet(shape.size);
    let mut buffers: Vec<Buf> = (0..BATCH).map(|_| buffer()).collect();
    let mut sealed = Vec::with_capacity(BATCH);
    let mut opened = Vec::with_capacity(BATCH);
    move || {
        buffers.iter_mut().for_each(|buffer| fill(buffer, &inner));
        let sealing = timed(BATCH, || {
            sealed.extend(buffers.drain(..).map(|buffer| match near.outbound(buffer) {
                Verdict::Transmit(sent) => sent.packet,
                other => panic!("{other:?}"),
            }));
        });
        let opening = timed(BATCH, || {
            opened.extend(sealed.drain(..).map(|buffer| match far.inbound(buffer) {
                Verdict::Deliver { packet, .. } => packet,
                other => panic!("{other:?}"),
            }));
        });
        mem::swap(&mut buffers, &mut opened);
        match op {
            Op::Seal => sealing,
            Op::Open => opening,
        }
    }
}
