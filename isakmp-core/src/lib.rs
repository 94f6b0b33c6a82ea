//! ISAKMP and IKEv1 as a state machine without I/O.
//!
//! Calls go into the [`Endpoint`], ordered [`Action`]s come out, and the deadline is computed when
//! asked for. Whatever takes time, above all Diffie–Hellman, is an [`Ask`] with a ticket that is
//! answered later.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::result_large_err,
    reason = "a reason is a value without a heap, and nothing that fails is in a hurry"
)]

extern crate alloc;

pub mod admission;
mod ask;
pub mod config;
mod conversation;
pub mod counters;
pub mod debug;
pub mod device;
pub mod dpd;
mod endpoint;
mod fragment;
mod guard;
pub mod heartbeat;
pub mod identity;
pub mod keys;
pub mod natt;
pub mod negotiate;
mod out;
mod phase1;
mod phase2;
pub mod pki;
pub mod reason;
mod rekey;
mod sa;
mod timed;
pub mod trace;
mod transaction;
pub mod vendor;
pub mod wire;
pub mod xauth;

pub use ask::{Acquire, Action, Answer, Ask, Env, LostBy, Path, Phase, Renewal, Report};
pub use endpoint::{Endpoint, ExchangeDetail, ExchangePart, ExchangeView, RetryPhases, RetryView};
pub use sa::{IsakmpSa, IsakmpSaId, IsakmpSaState, Watch};
pub use transaction::XauthView;
