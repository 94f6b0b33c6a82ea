//! One grammar: what may be written. The parser reads it, help and completion too.

mod table;

use alloc::format;
use alloc::string::String;

pub use table::COMMANDS;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The first word.
    pub verb: &'static str,
    /// The words behind it. One of them may carry a value.
    pub object: &'static [&'static str],
    /// The parameters.
    pub params: &'static [Param],
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its whole name.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What is in force when it is left out of the command; none where SET leaves what was.
    pub default: Option<&'static str>,
    /// Whether the name alone means something, without a value.
    pub bare: bool,
}

/// What a value looks like. `words` are accepted besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Some of these words, with commas between them.
    List(&'static [&'static str]),
    /// ON, OFF, TRUE, FALSE, YES, NO.
    Bool,
    /// A decimal number.
    Int {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
        /// Whether a greater one is cut to the greatest.
        clamp: bool,
        /// Words.
        words: &'static [&'static str],
    },
    /// A text, quoted if it has blanks.
    Text {
        /// The most characters.
        max: usize,
        /// Words.
        words: &'static [&'static str],
    },
    /// An address; where `range` is set also a range or prefix, where `host` is set a host name.
    Address {
        /// Whether ranges and prefixes are accepted.
        range: bool,
        /// Whether host names are accepted.
        host: bool,
        /// Words.
        words: &'static [&'static str],
    },
    /// An IPv4 network mask.
    Mask,
    /// An IPv4 address.
    Ip,
    /// An IPv4 address or range.
    IpRange,
    /// An IPv6 address.
    Ipv6,
    /// An IPv6 address with a prefix length.
    Ipv6Prefix,
    /// An interface's name.
    Interface,
    /// A file's name.
    File {
        /// What it must end in; empty if in anything.
        ext: &'static str,
    },
    /// An identity: address, name, user@name or distinguished name.
    Id,
    /// A bundle string.
    Bundle,
    /// A word without a value.
    Flag,
}

impl Kind {
    /// The words of the grammar that a value may be.
    #[must_use]
    pub const fn words(&self) -> &'static [&'static str] {
        match self {
            Self::Enum(words) | Self::List(words) => words,
            Self::Bool => &["ON", "OFF", "TRUE", "FALSE", "YES", "NO"],
            Self::Int { words, .. } | Self::Text { words, .. } | Self::Address { words, .. } => {
                words
            }
            Self::Mask
            | Self::Ip
            | Self::IpRange
            | Self::Ipv6
            | Self::Ipv6Prefix
            | Self::Interface
            | Self::File { .. }
            | Self::Id
            | Self::Bundle
            | Self::Flag => &[],
        }
    }

    /// What a value may be besides these words: its form and range.
    #[must_use]
    pub fn form(&self) -> Option<String> {
        Some(match self {
            Self::Enum(_) | Self::List(_) | Self::Bool | Self::Flag => return None,
            Self::Int { min, max, .. } => format!("a number from {min} to {max}"),
            Self::Text { max, .. } => format!("a text of 1 to {max} characters"),
            Self::Address { range, host, .. } => {
                let range = if *range {
                    ", a range low-high, an IPv6 prefix"
                } else {
                    ""
                };
                let host = if *host { ", a host name" } else { "" };
                format!("an address{range}{host}")
            }
            Self::Mask => "a network mask such as 255.255.255.0".into(),
            Self::Ip => "an IPv4 address".into(),
            Self::IpRange => "an IPv4 address or a range".into(),
            Self::Ipv6 => "an IPv6 address".into(),
            Self::Ipv6Prefix => {
                "an IPv6 address with its prefix length such as 2001:db8::1/64".into()
            }
            Self::Interface => "an interface such as ppp0 or vlan1".into(),
            Self::File { ext: "" } => "a file name such as ca.pem".into(),
            Self::File { ext } => format!("a file name that ends in {ext}"),
            Self::Id => "an address, a name or user@name".into(),
            Self::Bundle => "a bundle string such as \"1 AND 2, 1\"".into(),
        })
    }

    /// What is expected, for messages.
    #[must_use]
    pub fn expected(&self) -> String {
        match (self, self.form(), self.words()) {
            (Self::Bool, ..) => "ON, OFF, TRUE or FALSE".into(),
            (Self::Flag, ..) => "no value".into(),
            (Self::List(_), _, words) => {
                format!("some of {} with commas between", words.join(", "))
            }
            (_, None, words) => format!("one of {}", words.join(", ")),
            (_, Some(form), []) => form,
            (_, Some(form), words) => format!("{form} or {}", words.join(", ")),
        }
    }
}
