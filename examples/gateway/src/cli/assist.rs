//! What the line editor asks the grammar: completion, and `?`. The grammar is in this program, so
//! that no line leaves it before Enter.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use config_lang::help::complete;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, RepeatCount};

use super::LEAVE;

/// What the editor and whoever drives it tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Assist {
    /// Whether the line is a password.
    masked: Arc<AtomicBool>,
    /// One more than the byte at which `?` was typed; 0 if it was not.
    asked: Arc<AtomicUsize>,
}

impl Assist {
    /// Says whether the next line is a password.
    pub(super) fn mask(&self, masked: bool) {
        self.masked.store(masked, Ordering::Relaxed);
    }

    /// Where `?` has ended the line, if it has.
    pub(super) fn asked(&self) -> Option<usize> {
        self.asked.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    fn is_masked(&self) -> bool {
        self.masked.load(Ordering::Relaxed)
    }
}

impl Completer for Assist {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = line.get(..pos).unwrap_or(line);
        if self.is_masked() {
            return Ok((pos, Vec::new()));
        }
        let mut done = complete(line);
        let typed = line.trim_start().to_ascii_uppercase();
        if LEAVE.starts_with(&typed) {
            if done.candidates.is_empty() {
                done.start = pos - typed.len();
                done.common = LEAVE.to_owned();
            }
            done.candidates.push(LEAVE);
        }
        let pair = |word: &str, replacement: &str| Pair {
            display: word.to_owned(),
            replacement: replacement.to_owned(),
        };
        let pairs = match &done.candidates[..] {
            [only] => vec![pair(only, &done.common)],
            several => several.iter().map(|word| pair(word, word)).collect(),
        };
        Ok((done.start, pairs))
    }
}

/// A password is drawn as stars.
impl Highlighter for Assist {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.is_masked() {
            Cow::Owned("*".repeat(line.chars().count()))
        } else {
            Cow::Borrowed(line)
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.is_masked() && kind != CmdKind::MoveCursor
    }
}

impl Hinter for Assist {
    type Hint = String;
}

impl Validator for Assist {}

impl Helper for Assist {}

/// `?` ends the line, so that what may follow can be printed before it is offered again; inside
/// quotes and in a password it is a character like any other.
impl ConditionalEventHandler for Assist {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let before = context.line().get(..context.pos()).unwrap_or("");
        let quoted = !before.matches('"').count().is_multiple_of(2);
        if quoted || self.is_masked() {
            return None;
        }
        self.asked.store(context.pos() + 1, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}
