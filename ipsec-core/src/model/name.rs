//! Names that users give, compared without case.

use alloc::string::String;
use core::fmt;

/// A name as typed; equal to any other spelling of the same letters.
#[derive(Clone, Debug)]
pub struct Name(String);

impl Name {
    /// Takes the name over as typed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(String::from(text))
    }

    /// As typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a logical interface; `ppp0` and `ppp0-0` are the same one.
#[derive(Clone, Debug)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Takes the name over as typed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase())
    }

    /// As typed, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a local IP interface, an address of the router on no link.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.starts_with("local")
    }

    fn stem(&self) -> &str {
        self.0.strip_suffix("-0").unwrap_or(&self.0)
    }
}

impl PartialEq for InterfaceName {
    fn eq(&self, other: &Self) -> bool {
        self.stem() == other.stem()
    }
}

impl Eq for InterfaceName {}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
