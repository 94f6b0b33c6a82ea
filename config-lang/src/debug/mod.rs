//! What ENABLE … DEBUG prints.

mod ipsec;
mod isakmp;
mod packet;

pub(crate) use ipsec::PACKET_LENGTH;
pub use ipsec::ipsec;
pub use isakmp::isakmp;
pub use packet::{Way, isakmp_message};
