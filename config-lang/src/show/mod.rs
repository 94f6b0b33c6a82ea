//! The screens, as the manual prints them.

mod counters;
mod enco;
mod ipsec;
pub(crate) mod isakmp;
mod log;
mod specs;

use alloc::string::String;
use core::fmt::{Display, Write};

pub(crate) use counters::{counters, policy_counters, sa_counters};
pub(crate) use enco::enco_key;
pub(crate) use ipsec::{ipsec, policies, policy, policy_bundles, sa, sas};
pub(crate) use log::log;
pub(crate) use specs::{bundle_spec, bundle_specs, sa_spec, sa_specs};

/// A screen of labels with dot leaders: the values stand in one column.
struct Screen {
    text: String,
    /// Column of the values.
    width: usize,
}

impl Screen {
    fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            width,
        }
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{text}");
    }

    /// A label, its dots and its value, indented.
    fn field(&mut self, indent: usize, label: &str, value: impl Display) {
        let dots = self.width.saturating_sub(indent + label.len() + 1);
        let _ = writeln!(self.text, "{:indent$}{label} {:.<dots$} {value}", "", "");
    }
}

/// A value or the manual's sign for its absence.
fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| String::from("-"), |value| alloc::format!("{value}"))
}

const fn yes(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

const fn truth(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}
