//! Fragments: IPsec covers whole datagrams, so they are cut after it and put together before it
//! (RFC 4303 §3.3.4 and §3.4.1).

mod cut;
mod part;
mod reassembly;

pub(crate) use cut::Cut;
pub use reassembly::{Reassembled, Reassembly};
