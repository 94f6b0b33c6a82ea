//! What a fuzzer and the replay of its corpora run: one function per target, from bytes to nothing
//! or a panic.
//!
//! `fuzz/` wraps each function for libFuzzer and keeps a small corpus for it; `tests/corpus.rs`
//! runs the same functions over the same files in the ordinary test run. A new target is a function
//! here with its line in [`TARGETS`], a file in `fuzz/fuzz_targets` and a folder in `fuzz/corpus`.
//!
//! Targets that run devices use engines without security, so that what the fuzzer writes counts as
//! well enciphered and authentic, and check what must hold whatever is written.

mod addresses;
mod ah;
mod certificates;
mod decrypted;
mod input;
mod ipsec;
mod isakmp;
mod language;
mod peers;
mod reassembly;
mod router;
mod udp;

pub use ah::ah_in;
pub use certificates::certificates;
pub use decrypted::isakmp_decrypted;
pub use ipsec::{bundle_string, esp_in, ip_headers};
pub use isakmp::{isakmp_attributes, isakmp_clear, isakmp_endpoint, isakmp_payloads, isakmp_sa};
pub use language::{command_line, script};
pub use peers::two_peers;
pub use reassembly::reassembly;
pub use udp::udp_in;

/// One target: its name, which is also that of its corpus, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("isakmp_clear", isakmp_clear),
    ("isakmp_payloads", isakmp_payloads),
    ("isakmp_sa", isakmp_sa),
    ("isakmp_attributes", isakmp_attributes),
    ("certificates", certificates),
    ("isakmp_endpoint", isakmp_endpoint),
    ("isakmp_decrypted", isakmp_decrypted),
    ("two_peers", two_peers),
    ("esp_in", esp_in),
    ("ah_in", ah_in),
    ("udp_in", udp_in),
    ("reassembly", reassembly),
    ("ip_headers", ip_headers),
    ("bundle_string", bundle_string),
    ("command_line", command_line),
    ("script", script),
];
