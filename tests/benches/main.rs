//! What the data plane and the exchanges cost, beside OpenSSL doing the same.
//!
//! ```text
//! cargo bench -p sekisho-tests                                # our numbers alone
//! cargo bench -p sekisho-tests --features openssl             # beside libcrypto, re-using its contexts
//! cargo bench -p sekisho-tests --features openssl -- --quick  # few short rounds: does it run?
//! cargo bench -p sekisho-tests --features openssl -- engine   # rows whose name has that word
//! ```
//! Each row alternates rounds of our work and the peer's, so that a machine that slows down slows
//! both, and prints the medians: time per operation, the peer's, and the peer's time over ours
//! (above 1 we are faster). Where there is a number to reach, `ok` or `BELOW` says whether this
//! run reached it. Times are of this machine; only the ratios compare. Nothing is asserted.
//!
//! * *engine*: an ESP packet around so many bytes through `SoftEngine`, one at a time; the peer
//!   runs its cipher and its HMAC over the same bytes.
//! * *plane*: the same packet through `DataPlane` and `SoftEngine`, from the verb to the last
//!   verdict, of a known flow; the peer still does nothing but cipher and HMAC.
//! * *engine trait*: 32 packets queued and fetched, against the same kernel called directly.
//! * *known flow*, *new flow*: `DataPlane::check` with so many policies; the peer is a scan of
//!   the list of selectors.
//! * *one of so many SAs*: `DataPlane` and `SoftEngine` with a bundle for each of so many peers,
//!   the packets for one after the other.
//! * *DH*: one shared secret; *main + quick*: all that one router computes from the packet that wants
//!   a tunnel to the SA pair, the device around it included; the peer computes that role's two
//!   powers and nothing else.
//! * *memory*: bytes that each half-open exchange, ISAKMP SA and SA pair costs.

mod crowd;
mod exchanges;
mod lookup;
#[cfg(feature = "openssl")]
mod openssl;
mod packets;
mod rounds;

/// Counts bytes for the rows of memory; what is timed allocates nothing, or little.
#[global_allocator]
static ALLOCATOR: sekisho_tests::allocations::Counting = sekisho_tests::allocations::Counting;

fn main() {
    let mut table = rounds::Table::from_args(std::env::args().skip(1));
    packets::run(&mut table);
    lookup::run(&mut table);
    crowd::run(&mut table);
    exchanges::run(&mut table);
}
