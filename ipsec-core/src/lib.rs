//! The IPsec data plane as a state machine without I/O.
//!
//! A call takes a packet and returns one [`Verdict`] that owns it. Keys arrive from outside, by
//! configuration or negotiation; time, randomness and storage are arguments. Cryptography is done
//! by an engine of the caller's choice: [`Verdict::Compute`] is a job for it, and the completion
//! comes back through [`DataPlane::complete`], now or much later.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod counters;
pub mod limits;
pub mod model;
pub mod net;
mod plane;
mod reason;
mod replay;
mod sad;
mod slab;
pub mod spd;
mod time;
mod verdict;
pub mod wire;

pub use limits::Limits;
pub use plane::{
    Cx, DataPlane, InstallFault, PlaneEvent, PlaneState, Policy, RemoveWhy, RemovedBundle,
    ReserveFault, Reserved,
};
pub use reason::DropReason;
pub use replay::ReplayWindow;
pub use sad::{Bundle, BundleId, Negotiated, Sa, SaId, SaKeys, SaState};
pub use slab::{Id, Slab};
pub use spd::PolicyId;
pub use time::{Instant, WallClock};
pub use verdict::{Outgoing, Verdict, Wire};
