//! Lines made from the grammar: right in form, with values that mean nothing.

use config_lang::grammar::{Kind, Param, Spec};

/// A value that a parameter takes.
fn value(kind: &Kind) -> String {
    match *kind {
        Kind::Enum(words) | Kind::List(words) => words[0].to_owned(),
        Kind::Bool => "ON".to_owned(),
        Kind::Int { min, .. } => min.to_string(),
        Kind::Text { .. } | Kind::Id => "word".to_owned(),
        Kind::Address { .. } | Kind::Ip | Kind::IpRange => "10.0.0.1".to_owned(),
        Kind::Mask => "255.0.0.0".to_owned(),
        Kind::Ipv6 => "2001:db8::1".to_owned(),
        Kind::Ipv6Prefix => "2001:db8::1/64".to_owned(),
        Kind::Interface => "ppp0".to_owned(),
        Kind::File { ext } => format!("some{ext}"),
        Kind::Bundle => "\"1 AND 2\"".to_owned(),
        Kind::Flag => String::new(),
    }
}

/// A parameter with a value that it takes.
#[must_use]
pub fn assigned(param: &Param) -> String {
    match param.kind {
        Kind::Flag => param.name.to_owned(),
        kind => format!("{}={}", param.name, value(&kind)),
    }
}

/// A word of an object with the value that it must have.
#[must_use]
pub fn object_word(spec: &Spec, word: &str) -> String {
    let param = spec.params.iter().find(|param| param.name == word);
    param
        .filter(|param| param.required)
        .map_or_else(|| word.to_owned(), assigned)
}

/// A command up to the end of its object, with the values that stand in it.
#[must_use]
pub fn whole_object(spec: &Spec) -> String {
    let mut line = spec.verb.to_owned();
    for word in spec.object {
        line += " ";
        line += &object_word(spec, word);
    }
    line
}

/// LOGIN takes a name without a word before it.
#[must_use]
pub fn is_positional(spec: &Spec) -> bool {
    spec.object.is_empty() && spec.params.len() == 1
}

/// The shortest line of a command: with what it requires.
#[must_use]
pub fn shortest(spec: &Spec) -> String {
    let mut line = whole_object(spec);
    if is_positional(spec) {
        return line + " somebody";
    }
    let named = |param: &&Param| param.required && !spec.object.contains(&param.name);
    for param in spec.params.iter().filter(named) {
        line += " ";
        line += &assigned(param);
    }
    line
}
