//! Editing help: what may follow the beginning of a line, and its completion.
//!
//! Both read the grammar that the parser reads; there is no second table.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::grammar::{COMMANDS, Kind, Param, Spec};
use crate::lexer::{Column, Token};
use crate::parse::{
    ParseError, Walk, parameter, parse, pick, positional, resolve, starts_with, tokens, verbs,
};

/// What may stand at the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The byte of the line at which the word begins that the choices continue.
    pub start: usize,
    /// What it may be: verbs and words of the object in the order of the alphabet, parameters and
    /// values in that of the grammar.
    pub choices: Vec<Choice>,
}

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// A word of the grammar; none for a value that is no word, and for the end of the line.
    pub word: Option<&'static str>,
    /// What it is.
    pub sort: Sort,
    /// What it takes, what is in force without it, or what may follow: a clause for a person; may
    /// be empty.
    pub about: String,
}

/// What a choice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The first word of a command.
    Verb,
    /// A word of its object.
    Object(Takes),
    /// A parameter.
    Parameter(Takes),
    /// A value.
    Value,
    /// Enter: the command is complete.
    End,
}

/// Whether a word takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It takes none.
    Nothing,
    /// With and without one it is right.
    Optional,
    /// It needs one.
    Always,
}

/// How a line may be continued without asking anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The byte of the line at which the continued word begins.
    pub start: usize,
    /// The words that it may become, in the order of [`Help`].
    pub candidates: Vec<&'static str>,
    /// The longest beginning that all of them have, in place of what is typed from `start` on. A
    /// single candidate brings the sign behind it: `=` where it needs a value, else a blank.
    pub common: String,
}

/// Tells what may stand at the end of a line: the words that continue what is typed of the last
/// one, or all that may follow a blank.
///
/// # Errors
/// Why nothing may: what is wrong with the line up to there.
///
/// ```
/// let help = config_lang::help::help("SHOW IPSEC SA")?;
/// let words: Vec<_> = help.choices.iter().filter_map(|choice| choice.word).collect();
/// assert_eq!(words, ["SA", "SASPECIFICATION"]);
/// # Ok::<(), config_lang::ParseError>(())
/// ```
pub fn help(line: &str) -> Result<Help, ParseError> {
    let start = last_word(line);
    let (before, typed) = line.split_at_checked(start).unwrap_or((line, ""));
    let tokens = tokens(before)?;
    let column = before.chars().count() + 1;
    let here = Column {
        start: column,
        end: column + typed.chars().count(),
    };
    if let Some((name, value)) = typed.split_once('=') {
        let at = start + name.len() + 1;
        return value_help(&tokens, name, here, value, at);
    }
    let mut choices = next_words(&tokens)?;
    if typed.is_empty() {
        if matches!(parse(before), Ok(Some(_))) {
            choices.push(Choice {
                word: None,
                sort: Sort::End,
                about: "the command is complete".into(),
            });
        }
        return Ok(Help { start, choices });
    }
    // For a name that the person chooses, any word is a beginning.
    let free = choices
        .iter()
        .any(|choice| choice.word.is_none() && choice.sort == Sort::Value);
    let all: Vec<&'static str> = choices.iter().filter_map(|choice| choice.word).collect();
    choices.retain(|choice| choice.word.is_none_or(|word| starts_with(word, typed)));
    if choices.is_empty() && !free {
        let what = if tokens.is_empty() {
            "command"
        } else {
            "object or parameter"
        };
        pick(typed, here, all.into_iter(), what)?;
    }
    Ok(Help { start, choices })
}

/// Continues a line as far as there is only one way.
///
/// ```
/// let done = config_lang::help::complete("cre ips sas");
/// assert_eq!((done.start, done.common.as_str()), (8, "SASPECIFICATION="));
/// ```
#[must_use]
pub fn complete(line: &str) -> Completion {
    let mut done = Completion {
        start: line.len(),
        candidates: Vec::new(),
        common: String::new(),
    };
    let Ok(help) = help(line) else {
        return done;
    };
    let words = help.choices.iter().filter(|choice| choice.word.is_some());
    done.candidates = words.clone().filter_map(|choice| choice.word).collect();
    let Some((first, rest)) = done.candidates.split_first() else {
        return done;
    };
    done.start = help.start;
    let common = rest.iter().fold(first.len(), |common, word| {
        let pairs = first.bytes().zip(word.bytes());
        common.min(pairs.take_while(|(a, b)| a == b).count())
    });
    done.common.push_str(first.get(..common).unwrap_or(first));
    if let (Some(only), true) = (words.clone().next(), rest.is_empty()) {
        let quoted = line
            .get(..help.start)
            .is_some_and(|line| line.ends_with('"'));
        done.common
            .push_str(if quoted { "\" " } else { only.tail() });
    }
    done
}

/// The byte at which the last word of a line begins, which is the line's end behind a blank.
fn last_word(line: &str) -> usize {
    let (mut start, mut quoted) = (0, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}

/// What may stand behind whole words: verbs, words of the object, parameters that were not given.
fn next_words(tokens: &[Token]) -> Result<Vec<Choice>, ParseError> {
    let mut choices = Vec::new();
    let Some((first, rest)) = tokens.split_first() else {
        choices.extend(sorted(verbs()).map(|verb| Choice {
            word: Some(verb),
            sort: Sort::Verb,
            about: first_words(verb),
        }));
        return Ok(choices);
    };
    let walk = Walk::new(resolve(first, verbs(), "command")?, rest)?;
    if walk.path.len() == rest.len() {
        choices.extend(sorted(walk.deeper()).map(|word| object_word(&walk, word)));
    }
    let Some(spec) = walk.here else {
        return Ok(choices);
    };
    if let Some(param) = positional(spec) {
        if rest.is_empty() {
            choices.extend(values(param));
        }
        return Ok(choices);
    }
    let given = given(spec, &walk, rest)?;
    for param in spec.params {
        let named = spec.object.contains(&param.name);
        // A word of the object stands in the line already; its value may still be missing.
        let open = !named || param.required && takes(param) == Takes::Always;
        if open && !given.contains(&param.name) {
            choices.push(Choice {
                word: Some(param.name),
                sort: Sort::Parameter(takes(param)),
                about: about(param),
            });
        }
    }
    Ok(choices)
}

/// The parameters that a line gives.
fn given(
    spec: &'static Spec,
    walk: &Walk,
    rest: &[Token],
) -> Result<Vec<&'static str>, ParseError> {
    let mut given = Vec::new();
    for (place, token) in rest.iter().enumerate() {
        if place < walk.path.len() && token.value.is_none() {
            continue;
        }
        let name = parameter(walk, spec, token, place)?;
        if !given.contains(&name) {
            given.push(name);
        }
    }
    Ok(given)
}

/// Words in the order of the alphabet, each once.
fn sorted(words: impl Iterator<Item = &'static str>) -> impl Iterator<Item = &'static str> {
    let mut words: Vec<&'static str> = words.collect();
    words.sort_unstable();
    words.dedup();
    words.into_iter()
}

fn joined(words: impl Iterator<Item = &'static str>) -> String {
    let words: Vec<&'static str> = sorted(words).collect();
    words.join(", ")
}

/// What a verb can be said of.
fn first_words(verb: &'static str) -> String {
    let of_verb = COMMANDS.iter().filter(|spec| spec.verb == verb);
    joined(of_verb.filter_map(|spec| spec.object.first().copied()))
}

/// A word that leads deeper into the object.
fn object_word(walk: &Walk, word: &'static str) -> Choice {
    let next = walk.path.len();
    let mut sort = None;
    let mut about_value = String::new();
    for spec in walk.commands() {
        if spec.object.get(next) != Some(&word) {
            continue;
        }
        let param = spec.params.iter().find(|param| param.name == word);
        let takes = match param {
            Some(param) if matches!(param.kind, Kind::Flag) => Takes::Nothing,
            Some(param) if param.required => Takes::Always,
            Some(_) => Takes::Optional,
            None => Takes::Nothing,
        };
        if let Some(param) = param.filter(|_| about_value.is_empty()) {
            about_value = param.kind.expected();
        }
        sort = match sort {
            None => Some(takes),
            Some(same) if same == takes => sort,
            Some(_) => Some(Takes::Optional),
        };
    }
    let takes = sort.unwrap_or(Takes::Nothing);
    Choice {
        word: Some(word),
        sort: Sort::Object(takes),
        about: match takes {
            Takes::Nothing => {
                let longer = walk.commands();
                let longer = longer.filter(|spec| spec.object.get(next) == Some(&word));
                joined(longer.filter_map(|spec| spec.object.get(next + 1).copied()))
            }
            Takes::Always | Takes::Optional => about_value,
        },
    }
}

/// What may stand behind `NAME=`; `at` is the byte at which the value begins.
fn value_help(
    tokens: &[Token],
    name: &str,
    here: Column,
    value: &str,
    at: usize,
) -> Result<Help, ParseError> {
    let open = Token {
        name: name.into(),
        at: here,
        value: Some((value.into(), here)),
        quoted: false,
    };
    let Some((first, rest)) = tokens.split_first() else {
        resolve(&open, verbs(), "command")?;
        return Ok(Help {
            start: at,
            choices: Vec::new(),
        });
    };
    let verb = resolve(first, verbs(), "command")?;
    let mut line = rest.to_vec();
    line.push(open);
    let walk = Walk::new(verb, &line)?;
    let mut params: Vec<&'static Param> = Vec::new();
    if let Some(word) = walk.path.get(rest.len()) {
        // A word of the object: all commands that begin so far say what its value may be.
        let all = walk.commands().flat_map(|spec| spec.params);
        for param in all.filter(|param| param.name == *word) {
            if params.iter().all(|known| known.kind != param.kind) {
                params.push(param);
            }
        }
    } else if let (Some(spec), Some(open)) = (walk.here, line.last()) {
        given(spec, &walk, rest)?;
        let name = parameter(&walk, spec, open, rest.len())?;
        params.extend(spec.params.iter().find(|param| param.name == name));
    }
    let list = params
        .iter()
        .any(|param| matches!(param.kind, Kind::List(_)));
    let mut start = at + usize::from(value.starts_with('"'));
    let mut typed = value.strip_prefix('"').unwrap_or(value);
    let mut named = "";
    if list && let Some((before, part)) = typed.rsplit_once(',') {
        start += before.len() + 1;
        (named, typed) = (before, part);
    }
    let mut choices: Vec<Choice> = params.into_iter().flat_map(values).collect();
    choices.retain(|choice| {
        choice.word.is_none_or(|word| {
            let mut twice = named.split(',').filter(|part| !part.is_empty());
            starts_with(word, typed) && !twice.any(|part| starts_with(word, part))
        })
    });
    Ok(Help { start, choices })
}

/// What a parameter's value may be.
fn values(param: &Param) -> impl Iterator<Item = Choice> {
    let choice = |word, about| Choice {
        word,
        sort: Sort::Value,
        about,
    };
    let words = param.kind.words();
    // A default that is no word of the grammar is told once, at the beginning.
    let mut other = param.default.filter(|default| !words.contains(default));
    let form = param.kind.form().map(|form| {
        let default = other.take().map(default_is);
        choice(None, clauses([Some(form), default]))
    });
    let words = words.iter().map(move |word| {
        let about = if param.default == Some(word) {
            "the default".into()
        } else {
            other.take().map_or_else(String::new, default_is)
        };
        choice(Some(*word), about)
    });
    form.into_iter().chain(words)
}

fn default_is(default: &str) -> String {
    format!("default {default}")
}

/// What a parameter takes, whether it must be given, and what holds without it.
fn about(param: &Param) -> String {
    let value = match takes(param) {
        Takes::Nothing => None,
        Takes::Optional | Takes::Always => Some(param.kind.expected()),
    };
    let required = param.required.then(|| "required".into());
    clauses([value, required.or_else(|| param.default.map(default_is))])
}

fn clauses(parts: [Option<String>; 2]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

const fn takes(param: &Param) -> Takes {
    match param.kind {
        Kind::Flag => Takes::Nothing,
        _ if param.bare => Takes::Optional,
        _ => Takes::Always,
    }
}

impl Choice {
    /// What follows the word when it is the only one.
    const fn tail(&self) -> &'static str {
        match self.sort {
            Sort::Object(Takes::Always) | Sort::Parameter(Takes::Always) => "=",
            // An equals sign may follow, or nothing.
            Sort::Object(Takes::Optional) | Sort::Parameter(Takes::Optional) => "",
            Sort::Verb | Sort::Object(_) | Sort::Parameter(_) | Sort::Value | Sort::End => " ",
        }
    }

    /// What stands in the first column of the list.
    fn shown(&self) -> String {
        match (self.word, self.sort) {
            (Some(word), Sort::Object(Takes::Optional) | Sort::Parameter(Takes::Optional)) => {
                format!("{word}[=]")
            }
            (Some(word), Sort::Object(Takes::Always) | Sort::Parameter(Takes::Always)) => {
                format!("{word}=")
            }
            (Some(word), _) => word.into(),
            (None, Sort::End) => "<Enter>".into(),
            (None, _) => "<value>".into(),
        }
    }
}

/// The list as it is shown: a choice a line.
impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.choices.iter().map(Choice::shown).collect();
        let width = shown.iter().map(String::len).max().unwrap_or(0);
        for (choice, shown) in self.choices.iter().zip(shown) {
            if choice.about.is_empty() {
                writeln!(f, "  {shown}")?;
            } else {
                writeln!(f, "  {shown:width$}  {}", choice.about)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(line: &str) -> Vec<&'static str> {
        let help = help(line).unwrap_or_else(|error| panic!("{line}: {}", error.message));
        help.choices
            .iter()
            .filter_map(|choice| choice.word)
            .collect()
    }

    #[test]
    fn verbs_objects_and_parameters_are_listed() {
        assert!(listed("").contains(&"CREATE") && listed("").contains(&"LOGIN"));
        assert_eq!(listed("cre"), ["CREATE"]);
        assert_eq!(
            listed("CREATE IPSEC "),
            ["BUNDLESPECIFICATION", "POLICY", "SASPECIFICATION"]
        );
        let params = listed("CREATE IPSEC BUNDLE=1 STRING=\"1 AND 2\" ");
        assert_eq!(params, ["KEYMANAGEMENT", "EXPIRYKBYTES", "EXPIRYSECONDS"]);
        assert_eq!(
            listed("CREATE IPSEC BUNDLE=1 EXP"),
            ["EXPIRYKBYTES", "EXPIRYSECONDS"]
        );
    }

    #[test]
    fn values_are_listed_with_their_range_and_default() {
        let text = |line: &str| help(line).map(|help| format!("{help}")).unwrap_or_default();
        let line = "CREATE IPSEC POLICY=x INT=ppp0 ";
        assert_eq!(
            text(&format!("{line}LPORT=")),
            "  <value>  a number from 0 to 65535\n  ANY      the default\n"
        );
        assert_eq!(
            text(&format!("{line}DFBIT=C")),
            "  COPY\n  CLEAR  the default\n"
        );
        assert_eq!(
            text(&format!("{line}UDPP")),
            "  UDPPORT=  a number from 0 to 65535; default 2746\n"
        );
        assert_eq!(
            listed("SHOW IPSEC COUNTERS=AH,ESP,S"),
            ["SAD", "SETUP", "SPD"]
        );
    }

    #[test]
    fn the_end_is_offered_when_the_command_is_complete() {
        let ends = |line| {
            let help = help(line).expect("help");
            help.choices.iter().any(|choice| choice.sort == Sort::End)
        };
        assert!(ends("SHOW IPSEC "));
        assert!(!ends("SHOW "));
        assert!(!ends("CREATE IPSEC POLICY=x INT=ppp0 "));
        assert!(ends("LOGIN secoff "));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |line| help(line).map_err(|error| error.message);
        let policy = wrong("CREATE IPSEC POLCY").expect_err("a slip");
        assert!(policy.contains("did you mean POLICY?"), "{policy}");
        for line in [
            "CRATE IPSEC ",
            "SHOW IPSEC SPA=1 ",
            "SHOW =",
            "S IPSEC ",
            "A\"b ",
        ] {
            assert!(help(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_single_candidate_brings_what_follows_it() {
        let done = |line| complete(line).common;
        assert_eq!(done("cr"), "CREATE ");
        assert_eq!(done("CREATE IPSEC P"), "POLICY=");
        assert_eq!(done("SHOW IPSEC POL"), "POLICY");
        assert_eq!(done("SHOW IPSEC SA"), "SA");
        assert_eq!(done("CREATE IPSEC POLICY=x ACTION=p"), "PERMIT ");
        assert_eq!(done("CREATE IPSEC POLICY=x ACTION=\"p"), "PERMIT\" ");
        assert_eq!(done("CREATE IPSEC POLICY=x LN"), "LNAME=");
        assert_eq!(done("SHOW IPSEC COUNTERS=AH,ES"), "ESP ");
        assert_eq!(done("nonsense"), "");
        assert_eq!(complete("SHOW IPSEC COUNTERS=AH,ES").start, 23);
    }
}
