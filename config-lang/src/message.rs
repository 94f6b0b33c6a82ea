//! What a command answers: `Info (1mmnnn)`, `Warning (2mmnnn)`, `Error (3mmnnn)`.

use alloc::format;
use alloc::string::String;

use crate::lexer::Column;

/// How bad it is; the first digit of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It worked.
    Info,
    /// It worked, but look at it.
    Warning,
    /// It did not work; nothing was changed.
    Error,
}

/// The module that speaks: digits two and three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// The command processor.
    Command,
    /// IP.
    Ip,
    /// ENCO: keys and engines.
    Enco,
    /// IPsec.
    Ipsec,
    /// ISAKMP.
    Isakmp,
    /// Certificates.
    Pki,
    /// RADIUS servers.
    Radius,
    /// Users, files, system.
    System,
}

impl Module {
    const fn number(self) -> u32 {
        match self {
            Self::Command => 34,
            Self::Ip => 5,
            Self::Enco => 73,
            Self::Ipsec => 81,
            Self::Isakmp => 82,
            Self::Pki => 95,
            Self::Radius => 61,
            Self::System => 45,
        }
    }
}

/// A message with its stable number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// Who speaks.
    pub module: Module,
    /// The number within severity and module.
    pub number: u16,
    /// The sentence, without its full stop.
    pub text: String,
    /// The word that it is about, if it is about one.
    pub at: Option<Column>,
}

impl Message {
    /// A message about no word in particular.
    #[must_use]
    pub const fn new(severity: Severity, module: Module, number: u16, text: String) -> Self {
        Self {
            severity,
            module,
            number,
            text,
            at: None,
        }
    }

    /// The command was carried out.
    #[must_use]
    pub fn done(module: Module) -> Self {
        Self::new(Severity::Info, module, 3, "Operation successful".into())
    }

    /// An error.
    #[must_use]
    pub const fn error(module: Module, number: u16, text: String) -> Self {
        Self::new(Severity::Error, module, number, text)
    }

    /// The same about a word.
    #[must_use]
    pub fn about(self, at: Column) -> Self {
        Self {
            at: Some(at),
            ..self
        }
    }
}

impl core::fmt::Display for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (word, digit) = match self.severity {
            Severity::Info => ("Info", 1),
            Severity::Warning => ("Warning", 2),
            Severity::Error => ("Error", 3),
        };
        let number = format!("{digit}{:02}{:03}", self.module.number(), self.number);
        match self.at {
            Some(at) => write!(f, "{word} ({number}): column {}: {}.", at.start, self.text),
            None => write!(f, "{word} ({number}): {}.", self.text),
        }
    }
}
