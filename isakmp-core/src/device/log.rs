//! The log: a ring of lines as SHOW LOG prints them.

use alloc::collections::VecDeque;
use alloc::string::String;

use ipsec_core::Instant;

/// Which module a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogModule {
    /// ISAKMP: module ISAK, type IKMP.
    Isakmp,
    /// IPsec: module IPSE, type IPSC.
    Ipsec,
}

impl LogModule {
    /// The words of the columns Mod and Type.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Isakmp => ("ISAK", "IKMP"),
            Self::Ipsec => ("IPSE", "IPSC"),
        }
    }
}

/// The column `SType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSubtype {
    /// A message.
    Msg,
    /// About an exchange.
    Xchg,
}

impl LogSubtype {
    /// The word of the column.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Msg => "MSG",
            Self::Xchg => "XCHG",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When.
    pub at: Instant,
    /// Severity, 3 for everything that the manual shows.
    pub severity: u8,
    /// From where.
    pub module: LogModule,
    /// What kind.
    pub subtype: LogSubtype,
    /// The text.
    pub message: String,
}

/// The newest lines, up to a limit.
#[derive(Clone, Debug)]
pub struct Log {
    lines: VecDeque<LogRecord>,
    limit: usize,
    written: u64,
}

impl Log {
    /// An empty log of at most `limit` lines.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            limit,
            written: 0,
        }
    }

    /// Adds a line; the oldest makes room.
    pub fn write(&mut self, at: Instant, module: LogModule, subtype: LogSubtype, message: String) {
        if self.lines.len() >= self.limit {
            self.lines.pop_front();
        }
        self.lines.push_back(LogRecord {
            at,
            severity: 3,
            module,
            subtype,
            message,
        });
        self.written += 1;
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &LogRecord> {
        self.lines.iter()
    }

    /// The lines that were written after the first `seen` ones, as far as they are still there.
    pub fn since(&self, seen: u64) -> impl Iterator<Item = &LogRecord> {
        let fresh = usize::try_from(self.written.saturating_sub(seen)).unwrap_or(usize::MAX);
        self.lines
            .iter()
            .skip(self.lines.len().saturating_sub(fresh))
    }

    /// How many lines were ever written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }
}
