//! The IPsec data plane as a state machine without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
