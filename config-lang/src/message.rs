//! What a command answers: `Info (1mmnnn)`, `Warning (2mmnnn)`, `Error (3mmnnn)`.
//!
//! Every message is a row of the one [`table`], which gives its number, its sentence and what to
//! do about it.

pub mod table;

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Display, Write};

use hw_offload::KeyFault;
use ipsec_core::model::ConfigFault;

use crate::lexer::Column;
use crate::parse::{ParseError, ParseFault};

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

impl Severity {
    const fn digit(self) -> u32 {
        match self {
            Self::Info => 1,
            Self::Warning => 2,
            Self::Error => 3,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// The module that speaks: digits two and three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A row of the [`table`].
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What the code calls it.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The number within severity and module. It never changes and is never used again.
    pub number: u16,
    /// Who says it.
    pub modules: &'static [Module],
    /// The sentence without its full stop; each `{}` stands for a word of the occasion.
    pub text: &'static str,
    /// What to do about it; nothing where all is well.
    pub advice: &'static str,
}

impl Row {
    /// The seven digits of it in the mouth of a module.
    #[must_use]
    pub const fn code(&self, module: Module) -> u32 {
        self.severity.digit() * 100_000 + module.number() * 1000 + self.number as u32
    }

    /// The message, with the words of the occasion in their places.
    #[must_use]
    pub fn by(&'static self, module: Module, words: &[&dyn Display]) -> Message {
        debug_assert!(self.modules.contains(&module), "{} {module:?}", self.name);
        let holes = self.text.matches("{}").count();
        debug_assert_eq!(holes, words.len(), "{}", self.name);
        let mut text = String::new();
        let mut words = words.iter();
        for (place, part) in self.text.split("{}").enumerate() {
            if place > 0
                && let Some(word) = words.next()
            {
                // Writing to a string does not fail.
                let _ = write!(text, "{word}");
            }
            text.push_str(part);
        }
        Message {
            row: self,
            module,
            text,
            at: None,
        }
    }
}

/// A row of the table said on an occasion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The row.
    pub row: &'static Row,
    /// Who speaks.
    pub module: Module,
    /// The sentence, without advice and full stop.
    pub text: String,
    /// The word that it is about, if it is about one.
    pub at: Option<Column>,
}

impl Message {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.row.severity
    }

    /// The same about a word.
    #[must_use]
    pub fn about(self, at: Column) -> Self {
        Self {
            at: Some(at),
            ..self
        }
    }

    /// The same about the word of a parameter, if that was given.
    #[must_use]
    pub fn about_given(self, given: Option<&crate::parse::Given>) -> Self {
        match given {
            Some(given) => self.about(given.at),
            None => self,
        }
    }

    /// Why a record of the configuration is refused.
    #[must_use]
    pub fn refused(module: Module, fault: &ConfigFault) -> Self {
        use ConfigFault as F;
        match fault {
            F::Required { parameter, when } => table::REQUIRED.by(module, &[parameter, when]),
            F::OnlyWith { parameter, when } => table::ONLY_WITH.by(module, &[parameter, when]),
            F::Bundle(_) => table::BAD_BUNDLE.by(module, &[fault]),
            F::NoSuch { what, number } => table::NO_SUCH.by(module, &[what, number]),
            F::Key { .. } => table::KEY_LENGTH.by(module, &[fault]),
            F::KeyKind { .. } => table::KEY_KIND.by(module, &[fault]),
            F::KeyManagement { .. } => table::KEY_MANAGEMENT.by(module, &[fault]),
            F::WeakKey { .. } => table::WEAK_KEY.by(module, &[fault]),
            _ => table::CONFLICT.by(module, &[fault]),
        }
    }

    /// Why there is no such key.
    #[must_use]
    pub fn no_key(fault: &KeyFault) -> Self {
        use KeyFault as F;
        let by = |row: &'static Row, words: &[&dyn Display]| row.by(Module::Enco, words);
        match fault {
            F::Exists { number } => by(&table::EXISTS, &[&"key", &number.0]),
            F::Missing { number } => by(&table::MISSING, &[&"key", &number.0]),
            F::Full { limit } => by(&table::KEYS_FULL, &[limit]),
            F::Engine => by(&table::ENGINE_BUSY, &[]),
            F::Entropy(_) => by(&table::NO_ENTROPY, &[]),
            F::Rsa => by(&table::BAD_RSA_KEY, &[]),
            #[cfg(not(feature = "rsa"))]
            F::NoRsa => by(&table::NO_RSA, &[]),
            _ => by(&table::BAD_KEY, &[fault]),
        }
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self
            .at
            .map_or_else(String::new, |at| format!("column {}: ", at.start));
        let word = self.row.severity.word();
        let (code, text) = (self.row.code(self.module), &self.text);
        write!(f, "{word} ({code}): {place}{text}")?;
        if !self.row.advice.is_empty() {
            write!(f, "; {}", self.row.advice)?;
        }
        f.write_str(".")
    }
}

impl From<ParseError> for Message {
    fn from(error: ParseError) -> Self {
        let row = match error.kind {
            ParseFault::Unknown => &table::UNKNOWN_WORD,
            ParseFault::Ambiguous => &table::AMBIGUOUS,
            ParseFault::Repeated => &table::REPEATED,
            ParseFault::Required => &table::INCOMPLETE,
            ParseFault::Value => &table::BAD_VALUE,
            ParseFault::Range => &table::OUT_OF_RANGE,
            ParseFault::Syntax => &table::BAD_QUOTES,
        };
        row.by(Module::Command, &[&error.message]).about(error.at)
    }
}
