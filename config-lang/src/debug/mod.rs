//! What ENABLE … DEBUG prints.

mod ipsec;

pub(crate) use ipsec::PACKET_LENGTH;
pub use ipsec::ipsec;
