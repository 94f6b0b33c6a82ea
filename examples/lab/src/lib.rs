//! The simulator: two whole routers in one process, a network with bad weather between them, and a
//! virtual clock. The gateway's `pair`, the tests and the benches stand on it.

pub mod certificates;
mod clock;
pub mod nat;
mod packets;
mod pair;
mod pcap;
mod router;
mod weather;

pub use clock::Clock;
pub use packets::{echo_reply, echo_request, is_echo_reply, is_udp, udp};
pub use pair::{Happening, Oracle, Pair, Ping, Road, Side, Watch};
pub use pcap::Pcap;
pub use router::{Buf, MemoryHost, Output, Router, World};
pub use weather::Weather;
