//! Words with their places: `NAME`, `NAME=VALUE`, `NAME="VALUE WITH BLANKS"`, `"VALUE WITH BLANKS"`.

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
    /// Whether the whole word stands in quotes: it is then no word of the grammar.
    pub quoted: bool,
}

/// Why a line has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexFault {
    /// A quote that is not closed.
    OpenQuote(Column),
    /// An equals sign without a name, or a quote inside a name.
    NoName(Column),
    /// A quote inside a value that does not begin with one.
    InnerQuote(Column),
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
        if get(at) == Some('"') {
            let end = (at + 1..characters.len()).find(|end| get(*end) == Some('"'));
            let Some(end) = end else {
                return Err(LexFault::OpenQuote(Column {
                    start: start + 1,
                    end: characters.len() + 1,
                }));
            };
            at = end + 1;
            let column = Column {
                start: start + 1,
                end: at + 1,
            };
            if !is_end(get(at)) {
                return Err(LexFault::NoName(column));
            }
            let inside = characters.get(start + 1..end).unwrap_or(&[]);
            tokens.push(Token {
                name: inside.iter().collect(),
                at: column,
                value: None,
                quoted: true,
            });
            continue;
        }
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
            let inside = characters.get(start..at).unwrap_or(&[]);
            if let Some(place) = inside.iter().position(|c| *c == '"') {
                let start = start + place + 1;
                let end = start + 1;
                return Err(LexFault::InnerQuote(Column { start, end }));
            }
            let text: String = inside.iter().collect();
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
            quoted: false,
        });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_inside_a_value_is_a_fault() {
        let at = |start| Column {
            start,
            end: start + 1,
        };
        assert_eq!(words("A=b\"c"), Err(LexFault::InnerQuote(at(4))));
        assert_eq!(words("A=b\""), Err(LexFault::InnerQuote(at(4))));
        let value = |line| words(line).map(|tokens| tokens[0].value.clone().map(|(text, _)| text));
        assert_eq!(value("A=\"b c\""), Ok(Some("b c".into())));
    }
}
