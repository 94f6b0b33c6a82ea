//! From a line to a command of the grammar with checked values.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_core::model::{AddressSelector, BundleFault, BundleString};

use crate::grammar::{COMMANDS, Kind, Param, Spec};
use crate::lexer::{Column, LexFault, Token, words};
use crate::near::hint;

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

/// What is wrong with a line that has no words.
fn lexical(fault: LexFault) -> ParseError {
    let (at, message) = match fault {
        LexFault::OpenQuote(at) => (at, "the quote is not closed"),
        LexFault::NoName(at) => (at, "a parameter name is expected here"),
        LexFault::InnerQuote(at) => (at, "a quote stands around a whole value or nowhere"),
    };
    ParseError {
        kind: ParseFault::Syntax,
        at,
        message: message.into(),
    }
}

/// Reads a line; none for an empty one.
///
/// # Errors
/// [`ParseError`].
pub fn parse(line: &str) -> Result<Option<Parsed>, ParseError> {
    let tokens = tokens(line)?;
    let Some((first, rest)) = tokens.split_first() else {
        return Ok(None);
    };
    let walk = Walk::new(resolve(first, verbs(), "command")?, rest)?;
    let Some(spec) = walk.here else {
        let end = tokens.last().map_or(1, |token| token.at.end);
        let mut words: Vec<&str> = walk.deeper().collect();
        words.sort_unstable();
        words.dedup();
        let message = format!("more is expected: {}", words.join(", "));
        return fault(ParseFault::Required, Column { start: end, end }, message);
    };
    let used = walk.path.len();
    let mut parsed = Parsed {
        spec,
        given: Vec::new(),
    };
    for (place, token) in rest.iter().enumerate() {
        if place < used && token.value.is_none() && !is_flag_object(spec, token) {
            continue;
        }
        let given = read(&walk, spec, token, place)?;
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

/// The parameter that is written without its name: LOGIN takes that of a user.
pub(crate) fn positional(spec: &'static Spec) -> Option<&'static Param> {
    match spec.params {
        [param] if spec.object.is_empty() => Some(param),
        _ => None,
    }
}

/// A word of the object that is at the same time a parameter without a value.
fn is_flag_object(spec: &Spec, token: &Token) -> bool {
    spec.params.iter().any(|param| {
        param.required && matches!(param.kind, Kind::Flag) && starts_with(param.name, &token.name)
    })
}

pub(crate) fn starts_with(word: &str, prefix: &str) -> bool {
    // The manual has both numbers of this word, sometimes for one command.
    let plural = word == "COUNTER" && prefix.eq_ignore_ascii_case("COUNTERS");
    let start = word.get(..prefix.len());
    plural || start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The word that a token means: an exact one wins, else the only one that it begins.
pub(crate) fn resolve(
    token: &Token,
    among: impl Iterator<Item = &'static str> + Clone,
    what: &str,
) -> Result<&'static str, ParseError> {
    pick(&token.name, token.at, among, what)
}

/// The words of a line, of which only what LOGIN takes may stand in quotes.
///
/// # Errors
/// Quotes that are wrong, or around a word of the grammar.
pub(crate) fn tokens(line: &str) -> Result<Vec<Token>, ParseError> {
    let tokens = words(line).map_err(lexical)?;
    let nameless = |verb: &Token| resolve(verb, verbs(), "command") == Ok("LOGIN");
    let free = usize::from(tokens.first().is_some_and(nameless));
    let mut quoted = (0..).zip(&tokens).filter(|(_, token)| token.quoted);
    match quoted.find(|(place, _)| free == 0 || *place != free) {
        Some((_, token)) => Err(lexical(LexFault::NoName(token.at))),
        None => Ok(tokens),
    }
}

pub(crate) fn pick(
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
            let hint = hint(text, among.clone());
            let mut all: Vec<&str> = among.collect();
            all.sort_unstable();
            all.dedup();
            let list = if all.len() <= 12 {
                format!(": {}", all.join(", "))
            } else {
                String::new()
            };
            let text = repeated(text);
            let message = format!("'{text}' is no {what}{hint}; expected {what}{list}");
            fault(ParseFault::Unknown, at, message)
        }
        several => {
            let text = repeated(text);
            let message = format!("'{text}' is ambiguous: {}", several.join(", "));
            fault(ParseFault::Ambiguous, at, message)
        }
    }
}

/// Where the words of a line lead in the grammar.
pub(crate) struct Walk {
    /// The verb, whole.
    pub verb: &'static str,
    /// The words of the object, whole, as far as they lead. The next one is a parameter's.
    pub path: Vec<&'static str>,
    /// The command that these words name, if they name one.
    pub here: Option<&'static Spec>,
}

impl Walk {
    /// Follows the words of an object as far as they lead.
    ///
    /// # Errors
    /// A word that is ambiguous, or leads nowhere while no command is named yet.
    pub(crate) fn new(verb: &'static str, rest: &[Token]) -> Result<Self, ParseError> {
        let mut walk = Self {
            verb,
            path: Vec::new(),
            here: None,
        };
        loop {
            let here = walk.commands().find(|spec| spec.object == walk.path);
            walk.here = here;
            let Some(token) = rest.get(walk.path.len()) else {
                return Ok(walk);
            };
            let error = match resolve(token, walk.deeper(), "object") {
                Ok(word) => {
                    walk.path.push(word);
                    continue;
                }
                Err(error) => error,
            };
            let own = walk.here.is_some_and(|spec| {
                let mut names = spec.params.iter().map(|param| param.name);
                names.any(|name| starts_with(name, &token.name)) || spec.object.is_empty()
            });
            let unknown = walk.here.is_some() && error.kind == ParseFault::Unknown;
            return if own || unknown { Ok(walk) } else { Err(error) };
        }
    }

    /// The commands that begin with these words.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &'static Spec> + Clone {
        COMMANDS
            .iter()
            .filter(|spec| spec.verb == self.verb && spec.object.starts_with(&self.path))
    }

    /// The words that may come next in the object, some of them more than once.
    pub(crate) fn deeper(&self) -> impl Iterator<Item = &'static str> + Clone {
        let next = self.path.len();
        self.commands()
            .filter_map(move |spec| spec.object.get(next).copied())
    }
}

/// The verbs, some of them more than once.
pub(crate) fn verbs() -> impl Iterator<Item = &'static str> + Clone {
    COMMANDS.iter().map(|spec| spec.verb)
}

/// The name of the parameter that a word behind the verb gives.
pub(crate) fn parameter(
    walk: &Walk,
    spec: &'static Spec,
    token: &Token,
    place: usize,
) -> Result<&'static str, ParseError> {
    let names = spec.params.iter().map(|param| param.name);
    let used = walk.path.len();
    let object = walk.path.get(place).copied();
    if let Some(word) = object.filter(|word| names.clone().any(|name| name == *word)) {
        // A word of the object that carries a value is no other parameter, however short.
        return Ok(word);
    }
    if place < used {
        return resolve(token, names, "value of this command");
    }
    let error = match resolve(token, names.clone(), "parameter") {
        Ok(name) => return Ok(name),
        Err(error) => error,
    };
    match error.kind {
        // It could have been a word of a longer object, too.
        ParseFault::Unknown if place == used && walk.deeper().next().is_some() => {
            resolve(token, walk.deeper().chain(names), "object or parameter")
        }
        ParseFault::Unknown if spec.params.is_empty() => {
            let message = format!("'{}' is one word too many", repeated(&token.name));
            fault(ParseFault::Unknown, token.at, message)
        }
        _ => Err(error),
    }
}

fn read(
    walk: &Walk,
    spec: &'static Spec,
    token: &Token,
    place: usize,
) -> Result<Given, ParseError> {
    if let Some(param) = positional(spec)
        && token.value.is_none()
    {
        let value = value(param, &token.name, token.at)?;
        return Ok(Given {
            name: param.name,
            value,
            at: token.at,
        });
    }
    let name = parameter(walk, spec, token, place)?;
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
        (None, _) if param.bare => Value::Flag,
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

/// Parameters that hold keys or passwords: no message repeats their values.
const SECRETS: [&str; 4] = ["PASSWORD", "SECRET", "VALUE", "XAUTHPASSWORD"];
/// The most characters of a word that a message repeats.
const REPEATED: usize = 40;

/// What a message repeats of a word.
fn repeated(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or("")),
        None => text.into(),
    }
}

/// Values that the manual's text names where its syntax line has another word: they are written in
/// full, and mean that.
const OTHER_WORDS: [(&str, &str, &str); 2] = [
    ("TRANSPORTPROTOCOL", "ALL", "ANY"),
    ("DIRECTION", "BOTH", "ALL"),
];

/// Reads a value by its kind.
fn value(param: &Param, text: &str, at: Column) -> Result<Value, ParseError> {
    let name = param.name;
    let other = OTHER_WORDS
        .iter()
        .find(|(of, word, _)| *of == name && word.eq_ignore_ascii_case(text));
    let text = other.map_or(text, |(_, _, meant)| *meant);
    let wrong_at = |kind, at, typed: &str| {
        let hint = hint(typed, param.kind.words().iter().copied());
        let expected = param.kind.expected();
        let shown = if SECRETS.contains(&name) {
            "...".into()
        } else {
            repeated(text)
        };
        let message = format!("{name}={shown}{hint}: {expected} is expected");
        Err(ParseError { kind, at, message })
    };
    let wrong = |kind| wrong_at(kind, at, text);
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
                    Err(_) => return wrong_at(ParseFault::Value, at, part),
                }
                start = end + 1;
            }
            Ok(Value::Words(list))
        }
        Kind::Bool => match pick(text, at, param.kind.words().iter().copied(), "value") {
            Ok(word) => Ok(Value::Bool(matches!(word, "ON" | "TRUE" | "YES"))),
            Err(error) if error.kind == ParseFault::Ambiguous => Err(error),
            Err(_) => wrong(ParseFault::Value),
        },
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
        Kind::File { .. } | Kind::Id => {
            if text.is_empty() || text.len() > 120 || text.chars().any(char::is_control) {
                return wrong(ParseFault::Range);
            }
            if let Kind::File { ext } = param.kind {
                let start = text.len().saturating_sub(ext.len());
                let end = text.get(start..).unwrap_or("");
                if start == 0 && !ext.is_empty() || !end.eq_ignore_ascii_case(ext) {
                    return wrong(ParseFault::Value);
                }
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
    fn messages_repeat_no_secrets_and_no_long_words() {
        let told = |line: &str| {
            parse(line)
                .map_err(|error| error.message)
                .expect_err("a slip")
        };
        let long = "x".repeat(300);
        for line in [
            format!("ADD USER=x PASSWORD={long}"),
            format!("CREATE ISAKMP POLICY=i PEER=ANY XAUTHPASS={long}"),
            format!("ADD RADIUS SERVER=1.1.1.1 SECRET={long}"),
            "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=x\u{7}xxx".to_string(),
        ] {
            let message = told(&line);
            assert!(message.contains("=...: a text of"), "{message}");
            assert!(!message.contains("xxx"), "{message}");
        }
        for line in [
            format!("SHOW LOG {long}"),
            format!("{long} IPSEC"),
            format!("ENABLE IPSEC {long}"),
            format!("SHOW IPSEC SA={long}"),
        ] {
            let message = told(&line);
            assert!(
                message.contains(&format!("{}...", "x".repeat(40))),
                "{message}"
            );
            assert!(message.len() < 250, "{message}");
        }
    }

    #[test]
    fn the_longest_key_can_be_written_in_hexadecimal() {
        let line = |bytes| format!("CREATE ENCO KEY=1 TYPE=RSA VALUE=0x{}", "5a".repeat(bytes));
        assert!(parse(&line(5119)).is_ok());
        let refused = parse(&line(5120)).map_err(|error| error.kind);
        assert_eq!(refused, Err(ParseFault::Range));
    }
}
