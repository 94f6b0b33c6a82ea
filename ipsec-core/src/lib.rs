//! The IPsec data plane as a state machine without I/O.
//!
//! A call takes a packet and returns one [`Verdict`] that owns it. Keys arrive from outside, by
//! configuration or negotiation; time, randomness and storage are arguments. Cryptography is done
//! by an engine of the caller's choice: [`Verdict::Compute`] is a job for it, and the completion
//! comes back through [`DataPlane::complete`], now or much later. What the plane wants of its owner
//! are [`PlaneEvent`]s; [`DataPlane::deadline`] says when [`DataPlane::timers`] is due.
//!
//! ```
//! use hw_offload::testing::SeededEntropy; // firmware has a true source
//! use hw_offload::*;
//! use ipsec_core::model::*;
//! use ipsec_core::net::{InterfaceId, Net};
//! use ipsec_core::*;
//!
//! type Buf = ArrayBuf<2048>;
//! struct Pool; // firmware has a few dozen
//! impl Buffers<Buf> for Pool {
//!     fn take(&mut self, _: usize) -> Option<Buf> { Some(Buf::with_headroom(HEADROOM)) }
//!     fn give(&mut self, _: Buf) {}
//! }
//!
//! // CREATE ENCO KEY, SASPECIFICATION, BUNDLESPECIFICATION, POLICY; ADD IP INTERFACE.
//! let mut keys = KeyRing::new(2);
//! let value = Secret::copy_of(&[1; 20]);
//! let key = KeyRecord { kind: KeyKind::General, value, description: None, address: None };
//! keys.create(KeyNumber(1), key).unwrap();
//! let ppp0 = InterfaceName::new("ppp0");
//! let management = KeyManagement::Manual;
//! let config = IpsecConfig {
//!     enabled: true,
//!     sa_specs: vec![SaSpecConfig {
//!         number: 1, key_management: management, protocol: Protocol::Ah, mode: None,
//!         encalg: None, enckey: None, hashalg: Some(HashAlg::Sha), hashkey: Some(1),
//!         inspi: Some(1000), outspi: Some(1001), anti_replay: None, window: None,
//!     }],
//!     bundles: vec![BundleConfig {
//!         number: 1, key_management: management, string: BundleString::parse("1").unwrap(),
//!         expiry_kbytes: None, expiry_seconds: None,
//!     }],
//!     policies: vec![PolicyConfig {
//!         key_management: Some(management), bundle: Some(1),
//!         peer: Some(PeerAddress::Address([2, 2, 2, 2].into())),
//!         ..PolicyConfig::new(Name::new("vpn"), ppp0.clone(), Action::Ipsec)
//!     }],
//!     ..IpsecConfig::default()
//! };
//! let mut net = Net::default();
//! let on: InterfaceId = net.interface(&ppp0);
//! net.get_mut(on).unwrap().addresses.push(([1, 1, 1, 1].into(), 32));
//!
//! let now = Instant::from_secs(1);
//! let mut plane = DataPlane::<Buf>::new(&Limits::default(), [7; 16]);
//! let mut engine = SoftEngine::<Buf>::new(8, 8);
//! plane.configure(now, &config, &net, &keys);
//!
//! let header = wire::ipv4::NewHeader {
//!     tos: 0, total_len: 20, id: 1, dont_fragment: false, more_fragments: false,
//!     offset_units: 0, ttl: 63, protocol: 17,
//!     source: [192, 168, 10, 1].into(), destination: [192, 168, 20, 1].into(),
//! };
//! let mut packet = Buf::with_headroom(HEADROOM);
//! packet.fill(HEADROOM, &header.to_bytes()).unwrap();
//!
//! // The loop: events, completions, and what became of packets, until nothing moves.
//! let (mut entropy, mut pool) = (SeededEntropy::new(1), Pool);
//! let mut cx = Cx { now, entropy: &mut entropy, buffers: &mut pool };
//! let (mut packet, mut sent) = (Some(packet), Vec::new());
//! while sent.is_empty() {
//!     plane.timers(&mut cx);
//!     while let Some(event) = plane.next_event() {
//!         match event {
//!             PlaneEvent::Open { ticket, spec, .. } => engine.open(ticket, spec).unwrap(),
//!             PlaneEvent::Close(channel) => engine.close(channel),
//!             _ => {} // Acquire and the like are for who negotiates.
//!         }
//!     }
//!     let verdict = match engine.poll() {
//!         Some(Completion::Opened { ticket, result }) => {
//!             plane.opened(now, ticket, result);
//!             None
//!         }
//!         Some(Completion::Detached(channel)) => {
//!             plane.detached(channel);
//!             None
//!         }
//!         Some(Completion::Packet(done)) => Some(plane.complete(&mut cx, done)),
//!         None if engine.pending() == Idle::Idle => plane
//!             .next_ready(&mut cx)
//!             .or_else(|| Some(plane.outbound(&mut cx, on, packet.take()?))),
//!         None => None,
//!     };
//!     match verdict {
//!         Some(Verdict::Compute(job)) => engine.submit(job).expect("an idle engine"),
//!         Some(Verdict::Transmit(mut out)) => {
//!             while let Some(datagram) = out.next_datagram() {
//!                 sent.push(datagram.to_vec());
//!             }
//!         }
//!         Some(Verdict::Deliver { .. } | Verdict::Bounce { .. } | Verdict::Drop { .. }) => {
//!             panic!("the packet leaves")
//!         }
//!         Some(Verdict::Held) | None => {}
//!     }
//! }
//! assert_eq!(sent[0].len(), 20 + 24 + 20);
//! assert_eq!(sent[0][9], 51);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ah;
pub mod counters;
pub mod debug;
mod esp;
mod fragment;
pub mod limits;
pub mod model;
pub mod net;
mod path;
mod plane;
mod reason;
mod replay;
mod sad;
mod slab;
pub mod spd;
mod time;
mod tunnel;
mod verdict;
pub mod wire;

pub use fragment::{Reassembled, Reassembly};
pub use limits::{HeldFragments, Limits, ReassemblyLimits};
pub use path::{Encap, HEARTBEAT_EVERY, KEEPALIVE_AFTER, Path, PathId};
pub use plane::{
    Cx, DataPlane, HEADROOM, InstallFault, PlaneEvent, PlaneState, Policy, RemoveWhy,
    RemovedBundle, ReserveFault, Reserved, TAILROOM,
};
pub use reason::DropReason;
pub use replay::ReplayWindow;
pub use sad::{Bundle, BundleId, Negotiated, Sa, SaId, SaKeys, SaList, SaState, Traversal};
pub use slab::{Id, Slab};
pub use spd::PolicyId;
pub use time::{Instant, WallClock};
pub use verdict::{Outgoing, Verdict, Wire};
