//! What the control socket carries. Towards the gateway: lines. Back: for the connection and for
//! each line a head, `WORD LENGTH PROMPT`, and that many bytes of text; reports stand between.

use std::fmt;
use std::str::FromStr;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The line was executed.
    Ok,
    /// It was not.
    Error,
    /// The next line is a password.
    Password,
    /// What debugging prints, at any time.
    Report,
}

/// What stands before a frame's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What the frame is.
    pub(crate) word: Word,
    /// The text's length in bytes.
    pub(crate) len: usize,
    /// What stands before the next line, with the blank at its end.
    pub(crate) prompt: String,
}

const WORDS: [(Word, &str); 4] = [
    (Word::Ok, "ok"),
    (Word::Error, "error"),
    (Word::Password, "password"),
    (Word::Report, "report"),
];

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = WORDS.iter().find(|(word, _)| *word == self.word);
        let word = known.map_or("", |(_, text)| text);
        writeln!(f, "{word} {} {}", self.len, self.prompt)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let line = line.strip_suffix('\n');
        let mut parts = line
            .ok_or("the gateway has ended the session")?
            .splitn(3, ' ');
        let mut part = || parts.next().ok_or("the answer is not a gateway's");
        let (word, len, prompt) = (part()?, part()?, part()?);
        let known = WORDS.iter().find(|(_, text)| *text == word);
        Ok(Self {
            word: known.ok_or("the answer is not a gateway's")?.0,
            len: len.parse().map_err(|_| "the answer is not a gateway's")?,
            prompt: prompt.to_owned(),
        })
    }
}
