//! The ENCO module of the router: algorithms, numbered keys, channels, and engines that compute.
//!
//! An engine takes whole packets. `submit` only queues, `poll` hands out what is finished; a
//! software engine finishes at the next poll, hardware when it pleases, and there is one path for
//! both.
//!
//! ```
//! use hw_offload::*;
//!
//! let mut engine = SoftEngine::<ArrayBuf<256>>::new(4, 8);
//!
//! // A channel is a keyed context. Opening it answers through `poll` like everything else.
//! let spec = ChannelSpec {
//!     cipher: Cipher::Aes128,
//!     cipher_key: Secret::copy_of(&[1; 16]),
//!     mac: Mac::HmacSha1_96,
//!     mac_key: Secret::copy_of(&[2; 20]),
//!     op: Op::Seal,
//! };
//! engine.open(Ticket(1), spec).expect("an idle engine takes requests");
//! let Some(Completion::Opened { result: Ok(channel), .. }) = engine.poll() else {
//!     panic!("no channel");
//! };
//!
//! // 16 bytes of IV, 32 bytes of data, 12 bytes for the integrity check value.
//! let mut buffer = ArrayBuf::with_headroom(0);
//! buffer.grow_back(60).expect("60 bytes fit");
//! let job = PacketJob {
//!     ticket: Ticket(2),
//!     channel,
//!     op: Op::Seal,
//!     iv: Span { start: 0, len: 16 },
//!     crypt: Span { start: 16, len: 32 },
//!     auth: [Span { start: 0, len: 48 }, Span::EMPTY, Span::EMPTY],
//!     icv: Span { start: 48, len: 12 },
//!     buffer,
//! };
//! engine.submit(job).expect("the job fits its channel");
//! while engine.pending() == Idle::PollNow {
//!     if let Some(Completion::Packet(done)) = engine.poll() {
//!         assert_eq!((done.ticket, done.result), (Ticket(2), Ok(())));
//!         assert_ne!(done.buffer.packet()[16..48], [0; 32]);
//!     }
//! }
//! ```
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod algorithm;
mod buffer;
mod cbc_mode;
mod channel;
mod digest;
mod engines;
mod entropy;
mod key_ring;
mod modexp;
mod packet;
mod primitives;
mod public;
#[cfg(feature = "rsa")]
mod rsa_key;
mod secret;
mod soft;
#[cfg(feature = "testing")]
pub mod testing;

pub use algorithm::{Cipher, DhGroup, Hash, Mac};
pub use buffer::{ArrayBuf, Buffers, Headroom, NoRoom, PacketBuf};
pub use cbc_mode::CbcFault;
pub use digest::{Digest, HmacKey};
pub use engines::Engines;
pub use entropy::{Entropy, EntropyFault};
pub use key_ring::{
    KeyFault, KeyKind, KeyNumber, KeyRecord, KeyRing, is_weak_des_key, parse_value, random_value,
    read_rsa, to_base32,
};
pub use modexp::{acceptable as acceptable_public_value, prime};
pub use packet::{
    ChannelId, ChannelSpec, Completion, Idle, JobFault, Op, OpenFault, PacketDone, PacketEngine,
    PacketJob, Refused, RefusedWhy, Span, Stage, Ticket,
};
pub use primitives::{Primitives, SoftPrimitives};
pub use public::{PublicDone, PublicEngine, PublicFault, PublicJob, PublicValue, RsaSeed};
#[cfg(feature = "rsa")]
pub use rsa_key::{rsa_bits, rsa_public_half, verify as rsa_verify};
pub use secret::{Secret, ct_eq};
pub use soft::{SoftEngine, SoftEngines, SoftPublic};
