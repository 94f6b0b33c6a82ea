//! From a line to a command of the grammar with checked values.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_core::model::{AddressSelector, BundleFault, BundleString};

use crate::grammar::{COMMANDS, Kind, Param, Spec};
use crate::lexer::{Column, LexFault, Token, words};

/// A value as its kind demands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word of the grammar, in capitals.
    Word(&'static str),
    /// Several of them.
    Words(Vec<&'static str>),
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(u32),
    /// A text as typed.
    Text(String),
    /// An address.
    Address(IpAddr),
    /// A range or prefix of addresses.
    Selector(AddressSelector),
    /// A mask as a prefix length.
    Mask(u8),
    /// A bundle string.
    Bundle(BundleString),
    /// A word that has no value.
    Flag,
}

/// A parameter that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its whole name.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Where its name stands.
    pub at: Column,
}

/// A command with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The command.
    pub spec: &'static Spec,
    /// What was given, in the order typed.
    pub given: Vec<Given>,
}

impl Parsed {
    /// A parameter that was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.name == name)
    }
}

/// Why a line is no command. The message names the word and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What kind of fault it is.
    pub kind: ParseFault,
    /// Where.
    pub at: Column,
    /// A sentence for a person.
    pub message: String,
}

/// The kinds of faults of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseFault {
    /// A word that nothing begins with.
    Unknown,
    /// A word that several begin with.
    Ambiguous,
    /// A parameter twice.
    Repeated,
    /// A parameter that is missing.
    Required,
    /// A value that is not of its kind.
    Value,
    /// A number or length out of bounds.
    Range,
    /// Quotes.
    Syntax,
}

fn fault<T>(kind: ParseFault, at: Column, message: String) -> Result<T, ParseError> {
    Err(ParseError { kind, at, message })
}

/// Reads a line; none for an empty one.
///
/// # Errors
/// [`ParseError`].
pub fn parse(line: &str) -> Result<Option<Parsed>, ParseError> {
    let tokens = match words(line) {
        Ok(tokens) => tokens,
        Err(LexFault::OpenQuote(at)) => {
            return fault(ParseFault::Syntax, at, "the quote is not closed".into());
        }
        Err(LexFault::NoName(at)) => {
            return fault(
                ParseFault::Syntax,
                at,
                "a parameter name is expected here".into(),
            );
        }
        Err(LexFault::InnerQuote(at)) => {
            let message = "a quote stands around a whole value or nowhere";
            return fault(ParseFault::Syntax, at, message.into());
        }
    };
    let Some((first, rest)) = tokens.split_first() else {
        return Ok(None);
    };
    let mut verbs: Vec<&'static str> = COMMANDS.iter().map(|spec| spec.verb).collect();
    verbs.dedup();
    let verb = resolve(first, verbs.iter().copied(), "command")?;
    let (spec, used) = find_spec(verb, first, rest)?;
    let mut parsed = Parsed {
        spec,
        given: Vec::new(),
    };
    for (place, token) in rest.iter().enumerate() {
        if place < used && token.value.is_none() && !is_flag_object(spec, token) {
            continue;
        }
        let given = read(spec, token, place < used)?;
        if parsed.get(given.name).is_some() {
            let message = format!("{} is given twice", given.name);
            return fault(ParseFault::Repeated, token.at, message);
        }
        parsed.given.push(given);
    }
    let missing = spec
        .params
        .iter()
        .find(|p| p.required && parsed.get(p.name).is_none());
    if let Some(param) = missing {
        let end = line.chars().count() + 1;
        let message = format!("{} is required: {}", param.name, param.kind.expected());
        return fault(ParseFault::Required, Column { start: end, end }, message);
    }
    Ok(Some(parsed))
}

/// A word of the object that is at the same time a parameter without a value.
fn is_flag_object(spec: &Spec, token: &Token) -> bool {
    spec.params.iter().any(|param| {
        param.required && matches!(param.kind, Kind::Flag) && starts_with(param.name, &token.name)
    })
}

fn starts_with(word: &str, prefix: &str) -> bool {
    // The manual has both numbers of this word, sometimes for one command.
    let plural = word == "COUNTER" && prefix.eq_ignore_ascii_case("COUNTERS");
    let start = word.get(..prefix.len());
    plural || start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The word that a token means: an exact one wins, else the only one that it begins.
fn resolve(
    token: &Token,
    among: impl Iterator<Item = &'static str> + Clone,
    what: &str,
) -> Result<&'static str, ParseError> {
    pick(&token.name, token.at, among, what)
}

fn pick(
    text: &str,
    at: Column,
    among: impl Iterator<Item = &'static str> + Clone,
    what: &str,
) -> Result<&'static str, ParseError> {
    if let Some(exact) = among.clone().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok(exact);
    }
    let mut found: Vec<&'static str> = Vec::new();
    for word in among
        .clone()
        .filter(|word| !text.is_empty() && starts_with(word, text))
    {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    match found.as_slice() {
        [word] => Ok(word),
        [] => {
            let mut all: Vec<&str> = among.collect();
            all.sort_unstable();
            all.dedup();
            let near = all.iter().min_by_key(|word| distance(text, word));
            let hint = near
                .filter(|word| distance(text, word) <= 2)
                .map_or_else(String::new, |word| format!(" (did you mean {word}?)"));
            let list = if all.len() <= 12 {
                format!(": {}", all.join(", "))
            } else {
                String::new()
            };
            let message = format!("'{text}' is no {what}{hint}; expected {what}{list}");
            fault(ParseFault::Unknown, at, message)
        }
        several => {
            let message = format!("'{text}' is ambiguous: {}", several.join(", "));
            fault(ParseFault::Ambiguous, at, message)
        }
    }
}

/// Edits that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().map(|c| c.to_ascii_uppercase()).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.bytes().map(|c| c.to_ascii_uppercase()).enumerate() {
        let mut previous = i;
        let mut next = alloc::vec![i + 1];
        for (j, d) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let left = next.last().copied().unwrap_or(0);
            let best = (previous + usize::from(c != *d))
                .min(above + 1)
                .min(left + 1);
            previous = above;
            next.push(best);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// Walks the words of the object as far as they lead. Returns the command and how many words it
/// took.
fn find_spec(
    verb: &'static str,
    first: &Token,
    rest: &[Token],
) -> Result<(&'static Spec, usize), ParseError> {
    let mut path: Vec<&'static str> = Vec::new();
    loop {
        let deeper = COMMANDS
            .iter()
            .filter(|spec| spec.verb == verb && spec.object.starts_with(&path))
            .filter_map(|spec| spec.object.get(path.len()).copied());
        let here = COMMANDS
            .iter()
            .find(|spec| spec.verb == verb && spec.object == path);
        let Some(token) = rest.get(path.len()) else {
            return match here {
                Some(spec) => Ok((spec, path.len())),
                None => {
                    let end = rest.last().map_or(first.at.end, |token| token.at.end);
                    let mut words: Vec<&str> = deeper.collect();
                    words.sort_unstable();
                    words.dedup();
                    let message = format!("more is expected: {}", words.join(", "));
                    fault(ParseFault::Required, Column { start: end, end }, message)
                }
            };
        };
        let own_param = here.is_some_and(|spec| {
            spec.params
                .iter()
                .any(|param| starts_with(param.name, &token.name))
                || spec.object.is_empty()
        });
        match resolve(token, deeper, "object") {
            Ok(word) => path.push(word),
            Err(error) => {
                return match here {
                    Some(spec) if own_param || error.kind == ParseFault::Unknown => {
                        Ok((spec, path.len()))
                    }
                    _ => Err(error),
                };
            }
        }
    }
}

fn read(spec: &'static Spec, token: &Token, in_object: bool) -> Result<Given, ParseError> {
    // LOGIN takes its name without an equals sign.
    if let [param] = spec.params
        && spec.object.is_empty()
        && token.value.is_none()
    {
        let value = value(param, &token.name, token.at)?;
        return Ok(Given {
            name: param.name,
            value,
            at: token.at,
        });
    }
    let names = spec.params.iter().map(|param| param.name);
    let what = if in_object {
        "value of this command"
    } else {
        "parameter"
    };
    let name = resolve(token, names, what)?;
    let Some(param) = spec.params.iter().find(|param| param.name == name) else {
        return fault(
            ParseFault::Unknown,
            token.at,
            format!("{name} is not known"),
        );
    };
    let value = match (&token.value, param.kind) {
        (None, Kind::Flag) => Value::Flag,
        (Some((_, at)), Kind::Flag) => {
            return fault(ParseFault::Value, *at, format!("{name} takes no value"));
        }
        (None, kind) => {
            let message = format!("{name} needs a value: {}", kind.expected());
            return fault(ParseFault::Value, token.at, message);
        }
        (Some((text, at)), _) => value(param, text, *at)?,
    };
    Ok(Given {
        name,
        value,
        at: token.at,
    })
}

/// Reads a value by its kind.
fn value(param: &Param, text: &str, at: Column) -> Result<Value, ParseError> {
    let name = param.name;
    let wrong_at = |kind, at| {
        let message = format!("{name}={text}: {} is expected", param.kind.expected());
        Err(ParseError { kind, at, message })
    };
    let wrong = |kind| wrong_at(kind, at);
    let word = |words: &'static [&'static str]| {
        pick(text, at, words.iter().copied(), "value")
            .ok()
            .map(Value::Word)
    };
    match param.kind {
        Kind::Enum(words) => match pick(text, at, words.iter().copied(), "value") {
            Ok(word) => Ok(Value::Word(word)),
            Err(error) if error.kind == ParseFault::Ambiguous => Err(error),
            Err(_) => wrong(ParseFault::Value),
        },
        Kind::List(words) => {
            let mut list = Vec::new();
            let mut start = at.start;
            for part in text.split(',') {
                let end = start + part.chars().count();
                let at = Column { start, end };
                match pick(part, at, words.iter().copied(), "value") {
                    Ok(word) => list.push(word),
                    Err(error) if error.kind == ParseFault::Ambiguous => return Err(error),
                    Err(_) => return wrong_at(ParseFault::Value, at),
                }
                start = end + 1;
            }
            Ok(Value::Words(list))
        }
        Kind::Bool => {
            let all = ["ON", "OFF", "TRUE", "FALSE", "YES", "NO"];
            match pick(text, at, all.into_iter(), "value") {
                Ok(word) => Ok(Value::Bool(matches!(word, "ON" | "TRUE" | "YES"))),
                Err(error) if error.kind == ParseFault::Ambiguous => Err(error),
                Err(_) => wrong(ParseFault::Value),
            }
        }
        Kind::Int {
            min,
            max,
            clamp,
            words,
        } => {
            if let Some(word) = word(words) {
                return Ok(word);
            }
            if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
                return wrong(ParseFault::Value);
            }
            match text.parse::<u64>().ok().and_then(|n| u32::try_from(n).ok()) {
                Some(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
                Some(number) if clamp && number > max => Ok(Value::Number(max)),
                None if clamp => Ok(Value::Number(max)),
                _ => wrong(ParseFault::Range),
            }
        }
        Kind::Text { max, words } => {
            if let Some(exact) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                return Ok(Value::Word(exact));
            }
            if text.is_empty() || text.chars().count() > max {
                return wrong(ParseFault::Range);
            }
            if text.chars().any(char::is_control) {
                return wrong(ParseFault::Value);
            }
            Ok(Value::Text(text.to_string()))
        }
        Kind::Address { range, host, words } => {
            if let Some(exact) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                return Ok(Value::Word(exact));
            }
            if let Ok(address) = text.parse::<IpAddr>() {
                return Ok(if range {
                    Value::Selector(AddressSelector::host(address))
                } else {
                    Value::Address(address)
                });
            }
            match (range, selector(text)) {
                (true, Some(selector)) => Ok(Value::Selector(selector)),
                (false, _) if host && is_host_name(text) => Ok(Value::Text(text.to_string())),
                _ => wrong(ParseFault::Value),
            }
        }
        Kind::Mask => match text.parse::<Ipv4Addr>().map(Ipv4Addr::to_bits) {
            Ok(mask) if mask.leading_ones() + mask.trailing_zeros() == 32 => {
                Ok(Value::Mask(u8::try_from(mask.leading_ones()).unwrap_or(32)))
            }
            _ => wrong(ParseFault::Value),
        },
        Kind::Ip => match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Value::Address(IpAddr::V4(address))),
            Err(_) => wrong(ParseFault::Value),
        },
        Kind::IpRange => match (text.parse::<Ipv4Addr>(), selector(text)) {
            (Ok(address), _) => Ok(Value::Selector(AddressSelector::host(IpAddr::V4(address)))),
            (Err(_), Some(selector)) => Ok(Value::Selector(selector)),
            (Err(_), None) => wrong(ParseFault::Value),
        },
        Kind::Ipv6 => match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Value::Address(IpAddr::V6(address))),
            Err(_) => wrong(ParseFault::Value),
        },
        Kind::Ipv6Prefix => match selector(text) {
            Some(prefix @ AddressSelector::Prefix(IpAddr::V6(_), _)) => Ok(Value::Selector(prefix)),
            _ => wrong(ParseFault::Value),
        },
        Kind::Interface => {
            let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
            let numbers = text.get(letters..).unwrap_or("");
            let parts: Vec<&str> = numbers.split(['-', '.']).collect();
            let numeric =
                |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
            if letters > 0 && parts.len() <= 2 && parts.iter().all(numeric) && text.len() <= 15 {
                Ok(Value::Text(text.to_string()))
            } else {
                wrong(ParseFault::Value)
            }
        }
        Kind::File | Kind::Id => {
            if text.is_empty() || text.len() > 120 || text.chars().any(char::is_control) {
                return wrong(ParseFault::Range);
            }
            Ok(Value::Text(text.to_string()))
        }
        Kind::Bundle => match BundleString::parse(text) {
            Ok(bundle) => Ok(Value::Bundle(bundle)),
            Err(error) => {
                let at = match &error {
                    BundleFault::Unexpected { at: place, .. } => Column {
                        start: at.start + place,
                        end: at.start + place + 1,
                    },
                    _ => at,
                };
                fault(ParseFault::Value, at, format!("{name}: {error}"))
            }
        },
        Kind::Flag => Ok(Value::Flag),
    }
}

fn is_host_name(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
    !text.is_empty()
        && text.len() <= 120
        && text.bytes().all(plain)
        && text.bytes().any(|c| c.is_ascii_alphabetic())
}

/// A range `a-b` or a prefix `a/n`.
fn selector(text: &str) -> Option<AddressSelector> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?);
        let ordered = first <= last && first.is_ipv4() == last.is_ipv4();
        return ordered.then_some(AddressSelector::Range(first, last));
    }
    let (address, len) = text.split_once('/')?;
    let address = address.parse::<IpAddr>().ok()?;
    let len = len.parse::<u8>().ok()?;
    (address.is_ipv6() && len <= 128).then_some(AddressSelector::Prefix(address, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_can_be_written_in_hexadecimal() {
        let line = |bytes| {
            format!(
                "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x{}",
                "5a".repeat(bytes)
            )
        };
        assert!(parse(&line(1024)).is_ok());
        let refused = parse(&line(1025)).map_err(|error| error.kind);
        assert_eq!(refused, Err(ParseFault::Range));
    }
}
