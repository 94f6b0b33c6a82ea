//! The manual's trace of a real device: whole messages come out of the state machines, byte for
//! byte, when what was random there is given here.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod aggressive_mode;
mod main_mode;
mod side;
