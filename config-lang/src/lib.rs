//! The command language of the router: text in, effects on a device, screens out.
//!
//! A line becomes a command of the one grammar table with checked values ([`parse`]); `plan` finds
//! out everything that can fail, `apply` cannot; a [`Console`] is one session.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod check;
mod console;
pub mod debug;
pub mod dump;
mod exec;
pub mod grammar;
pub mod help;
mod lexer;
pub mod message;
mod near;
mod parse;
mod rights;
mod show;

pub use console::{Console, Finding, Surroundings, run_script, script_lines};
pub use exec::{Host, Look, Outcome, Plan, PolicyChange, apply, plan};
pub use lexer::Column;
pub use parse::{Given, ParseError, ParseFault, Parsed, Value, parse};
