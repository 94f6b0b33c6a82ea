//! Algorithms, keys, channels and engines: the ENCO module of the router.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
