//! What ENABLE … DEBUG prints.

mod ipsec;
mod packet;

pub(crate) use ipsec::PACKET_LENGTH;
pub use ipsec::ipsec;
pub use packet::{Way, isakmp_message};
