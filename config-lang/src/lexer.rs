//! Words with their places: `NAME`, `NAME=VALUE`, `NAME="VALUE WITH BLANKS"`.

use alloc::string::String;
use alloc::vec::Vec;

/// Where something stands in a line: columns from 1, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The first column.
    pub start: usize,
    /// The column behind the last.
    pub end: usize,
}

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// What stands before the equals sign, as typed.
    pub name: String,
    /// Where it stands.
    pub at: Column,
    /// What stands behind it, without quotes.
    pub value: Option<(String, Column)>,
}

/// Why a line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexFault {
    /// A quote that is not closed.
    OpenQuote(Column),
    /// An equals sign without a name, or a quote inside a name.
    NoName(Column),
}

/// Cuts a line into words.
///
/// # Errors
/// [`LexFault`] with its place.
pub(crate) fn words(line: &str) -> Result<Vec<Token>, LexFault> {
    let characters: Vec<char> = line.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let get = |at: usize| characters.get(at).copied();
    let is_end = |c: Option<char>| c.is_none_or(char::is_whitespace);
    while at < characters.len() {
        if is_end(get(at)) {
            at += 1;
            continue;
        }
        let start = at;
        while !is_end(get(at)) && !matches!(get(at), Some('=' | '"')) {
            at += 1;
        }
        let column = Column {
            start: start + 1,
            end: at + 1,
        };
        let name: String = characters.get(start..at).unwrap_or(&[]).iter().collect();
        if name.is_empty() || get(at) == Some('"') {
            return Err(LexFault::NoName(Column {
                start: start + 1,
                end: at + 2,
            }));
        }
        let mut value = None;
        if get(at) == Some('=') {
            at += 1;
            let quoted = get(at) == Some('"');
            let start = at + usize::from(quoted);
            at = start;
            while at < characters.len() {
                let end = if quoted {
                    get(at) == Some('"')
                } else {
                    is_end(get(at))
                };
                if end {
                    break;
                }
                at += 1;
            }
            if quoted && get(at) != Some('"') {
                return Err(LexFault::OpenQuote(Column { start, end: at + 1 }));
            }
            let text: String = characters.get(start..at).unwrap_or(&[]).iter().collect();
            value = Some((
                text,
                Column {
                    start: start + 1,
                    end: at + 1,
                },
            ));
            at += usize::from(quoted);
        }
        tokens.push(Token {
            name,
            at: column,
            value,
        });
    }
    Ok(tokens)
}
