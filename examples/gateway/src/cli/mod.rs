//! `gateway cli`: commands for a running gateway, from a person, a pipe or a script's line.

mod assist;
mod link;
mod pager;
mod terminal;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use config_lang::help::help;
use config_lang::parse;
use zeroize::Zeroizing;

use self::link::Link;
use crate::frame::Word;

/// Where a gateway is looked for when nothing is said.
const CONTROL: &str = "/run/sekisho.sock";

/// Executes one command, or those of a terminal or pipe. True if none was answered with an error;
/// what a person mistypes does not count.
///
/// # Errors
/// When no gateway answers.
pub(crate) fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut args = args.peekable();
    let mut path = PathBuf::from(CONTROL);
    if args.next_if_eq("--control").is_some() {
        path = PathBuf::from(args.next().ok_or("--control needs a socket's path")?);
    }
    let words: Vec<String> = args.collect();
    let link = Link::open(&path)?;
    if !words.is_empty() {
        return piped(link, std::iter::once(Ok(one_line(&words))));
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return terminal::run(link);
    }
    piped(link, std::io::stdin().lock().lines())
}

/// Executes lines as they come. The line behind a LOGIN is the password.
fn piped(
    mut link: Link,
    lines: impl Iterator<Item = std::io::Result<String>>,
) -> Result<bool, String> {
    let mut good = true;
    let mut word = Word::Ok;
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        if word != Word::Password {
            if line.trim_start().starts_with('#') {
                continue;
            }
            if let Some(text) = asked(&line) {
                print(&text);
                continue;
            }
        }
        let (head, text) = link.ask(&line, print)?;
        print(&text);
        word = head.word;
        good &= word != Word::Error;
    }
    if word == Word::Password {
        // The one command was LOGIN, or the pipe ended behind it.
        let password = Zeroizing::new(terminal::password()?);
        let (head, text) = link.ask(&password, print)?;
        print(&text);
        good &= head.word == Word::Ok && !password.is_empty();
    }
    Ok(good)
}

/// Writes to the standard output; nobody may be there to read it any more.
fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The words of a command line as one line of the router. A value whose quotes the shell has taken
/// gets them back.
fn one_line(words: &[String]) -> String {
    let [line] = words else {
        let quoted = |word: &String| match word.split_once('=') {
            Some((name, value)) if value.contains(char::is_whitespace) && !value.contains('"') => {
                format!("{name}=\"{value}\"")
            }
            _ => word.clone(),
        };
        return words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    };
    line.clone()
}

/// What a line that ends in a question mark asks about, unless it is a command as it stands.
fn asked(line: &str) -> Option<String> {
    let before = line.trim_end().strip_suffix('?')?;
    let quoted = !before.matches('"').count().is_multiple_of(2);
    if quoted || matches!(parse(line), Ok(Some(_))) {
        return None;
    }
    Some(help_text(before))
}

/// What may stand at the end of a line, or what is wrong with it.
fn help_text(line: &str) -> String {
    match help(line) {
        Ok(help) => {
            let leave = if line.trim().is_empty() {
                format!("  {LEAVE:<7}  ends the session\n")
            } else {
                String::new()
            };
            format!("{help}{leave}")
        }
        Err(error) => format!("  column {}: {}\n", error.at.start, error.message),
    }
}

/// The word that ends a session at the terminal; the router has no such command.
const LEAVE: &str = "QUIT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shells_words_become_one_line() {
        let line = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            one_line(&words)
        };
        assert_eq!(line(&["show", "ipsec", "sa"]), "show ipsec sa");
        assert_eq!(
            line(&["CREATE", "ENCO", "VALUE=two words", "KEY=\"x y\""]),
            "CREATE ENCO VALUE=\"two words\" KEY=\"x y\""
        );
        assert_eq!(line(&["SHOW LOG TYPE=IKMP"]), "SHOW LOG TYPE=IKMP");
    }

    #[test]
    fn a_question_is_no_password_that_ends_like_one() {
        assert!(asked("SHOW IPSEC SA?").is_some_and(|text| text.contains("SASPECIFICATION")));
        assert!(asked("SHOW ").is_none() && asked("?").is_some_and(|text| text.contains(LEAVE)));
        assert_eq!(asked("ADD USER=x PASSWORD=what?"), None);
        assert_eq!(asked("ADD USER=x PASSWORD=\"what?"), None);
    }
}
