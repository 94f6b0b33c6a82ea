//! The example gateway.

fn main() {}
