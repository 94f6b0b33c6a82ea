//! The simulator that tests, benches, fuzzers and the example gateway share.
