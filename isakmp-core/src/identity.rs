//! Identities of phase 1 (RFC 2407 §4.6.2): from the text of LOCALID and REMOTEID, and whether a
//! peer's is the one that a policy expects.
//!
//! The text says its form by itself: an address, a distinguished name if it contains `=`, a user
//! at a domain if it contains `@`, else a domain name.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::model::AddressSelector;

use crate::wire::Identification;

/// A distinguished name.
pub(crate) const DN: u8 = 9;
/// An opaque identity.
const KEY_ID: u8 = 11;

/// Why a text is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityTextFault {
    /// A part of a distinguished name is not `type=value`, or one of both is empty.
    #[error("a distinguished name is written as type=value, separated by commas")]
    Part,
    /// A type of a distinguished name that is neither known nor an object identifier.
    #[error("a type of the distinguished name is not known")]
    Type,
    /// Longer than an identity may be.
    #[error("the identity is too long")]
    Length,
}

/// The identity that a text means.
///
/// # Errors
/// [`IdentityTextFault`] for a distinguished name that is none.
pub fn parse(text: &str) -> Result<Identification, IdentityTextFault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Identification::of_address(address));
    }
    if !text.contains('=') {
        return Ok(Identification::of_name(text));
    }
    Ok(Identification {
        kind: DN,
        protocol: 0,
        port: 0,
        data: encode_dn(text)?,
    })
}

/// An identity's text with the name of its form before it, as SHOW ISAKMP POLICY prints it.
#[must_use]
pub fn labelled(text: &str) -> String {
    let form = parse(text).map_or("", |id| form(&id));
    format!("{form}{text}")
}

/// A received identity in the same way, whatever its bytes are. Addresses that are no single host
/// need no form.
#[must_use]
pub fn told(id: &Identification) -> String {
    let form = form(id);
    let text = match id.kind {
        DN => dn_text(&id.data),
        KEY_ID => core::str::from_utf8(&id.data).ok().map(String::from),
        _ => None,
    };
    let mut told = match (text, id.selector()) {
        (Some(text), _) => format!("{form}{text}"),
        (None, Some(AddressSelector::Prefix(address, _))) if matches!(id.kind, 1 | 5) => {
            format!("{form}{address}")
        }
        (None, _) => format!("{form}{id}"),
    };
    if id.protocol != 0 || id.port != 0 {
        told.push_str(&format!(" protocol {} port {}", id.protocol, id.port));
    }
    told
}

const fn form(id: &Identification) -> &'static str {
    match id.kind {
        1 => "IPv4:",
        2 => "FQDN:",
        3 => "USER_FQDN:",
        5 => "IPv6:",
        DN => "DER_ASN1_DN:",
        KEY_ID => "KEY_ID:",
        _ => "",
    }
}

/// Whether the peer's identity is the expected one. Protocol and port do not count; a KEY_ID with
/// the bytes of an expected name is that name; distinguished names are compared part by part.
#[must_use]
pub fn matches(expected: &Identification, given: &Identification) -> bool {
    match (expected.kind, given.kind) {
        (DN, DN) => same_dn(&expected.data, &given.data),
        (2 | 3, KEY_ID) => expected.data == given.data,
        _ => expected.same_as(given),
    }
}

/// Attribute types of a distinguished name: words, the object identifier as DER, and whether its
/// values are IA5 strings (RFC 4519, RFC 2985).
const TYPES: &[(&[&str], &[u8], bool)] = &[
    (&["CN"], &[0x55, 4, 3], false),
    (&["SN"], &[0x55, 4, 4], false),
    (&["SERIALNUMBER"], &[0x55, 4, 5], false),
    (&["C"], &[0x55, 4, 6], false),
    (&["L"], &[0x55, 4, 7], false),
    (&["ST", "S", "SP"], &[0x55, 4, 8], false),
    (&["STREET"], &[0x55, 4, 9], false),
    (&["O"], &[0x55, 4, 10], false),
    (&["OU"], &[0x55, 4, 11], false),
    (&["T", "TITLE"], &[0x55, 4, 12], false),
    (&["G", "GN"], &[0x55, 4, 42], false),
    (
        &["UID"],
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        false,
    ),
    (
        &["DC"],
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        true,
    ),
    (
        &["E", "EMAIL", "EMAILADDRESS"],
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        true,
    ),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;

/// The DER form of a distinguished name (RFC 4514: the text begins with the last part).
fn encode_dn(text: &str) -> Result<Vec<u8>, IdentityTextFault> {
    let mut parts = Vec::new();
    for part in split_unescaped(text, ',') {
        let (kind, value) = part.split_once('=').ok_or(IdentityTextFault::Part)?;
        let value = unescape(value.trim());
        if value.is_empty() {
            return Err(IdentityTextFault::Part);
        }
        let (oid, ia5) = object_id(kind.trim())?;
        let tag = match value.iter().all(|byte| is_printable(*byte)) {
            _ if ia5 => IA5,
            true => PRINTABLE,
            false => UTF8,
        };
        let mut pair = Vec::new();
        write(&mut pair, OBJECT_ID, &oid);
        write(&mut pair, tag, &value);
        let (mut attribute, mut set) = (Vec::new(), Vec::new());
        write(&mut attribute, SEQUENCE, &pair);
        write(&mut set, SET, &attribute);
        parts.push(set);
    }
    parts.reverse();
    let mut name = Vec::new();
    write(&mut name, SEQUENCE, &parts.concat());
    if name.len() > 1024 {
        return Err(IdentityTextFault::Length);
    }
    Ok(name)
}

/// The parts between separators that no backslash stands before.
fn split_unescaped(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (place, character) in text.char_indices() {
        if character == separator && !escaped {
            parts.push(text.get(start..place).unwrap_or(""));
            start = place + character.len_utf8();
        }
        escaped = character == '\\' && !escaped;
    }
    parts.push(text.get(start..).unwrap_or(""));
    parts
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut escaped) = (Vec::new(), false);
    for byte in text.bytes() {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            bytes.push(byte);
            escaped = false;
        }
    }
    bytes
}

/// The characters of a PrintableString.
const fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b' ' | b'\''..=b')' | b'+'..=b'/' | b':' | b'=' | b'?')
}

/// The object identifier of an attribute type: a word of the table or numbers with dots.
fn object_id(kind: &str) -> Result<(Vec<u8>, bool), IdentityTextFault> {
    let known = TYPES
        .iter()
        .find(|(words, ..)| words.iter().any(|word| word.eq_ignore_ascii_case(kind)));
    if let Some((_, oid, ia5)) = known {
        return Ok((oid.to_vec(), *ia5));
    }
    let mut numbers = kind.split('.').map(|number| number.parse::<u32>().ok());
    let first = numbers.next().flatten().filter(|first| *first <= 2);
    let (Some(first), Some(Some(second))) = (first, numbers.next()) else {
        return Err(IdentityTextFault::Type);
    };
    let mut oid = Vec::new();
    push_base_128(&mut oid, (first * 40).saturating_add(second));
    for number in numbers {
        push_base_128(&mut oid, number.ok_or(IdentityTextFault::Type)?);
    }
    Ok((oid, false))
}

fn push_base_128(out: &mut Vec<u8>, number: u32) {
    let groups = (1..5).rev().map(|group| number >> (7 * group));
    for group in groups.filter(|group| *group > 0) {
        out.push(u8::try_from(group & 0x7f).unwrap_or(0) | 0x80);
    }
    out.push(u8::try_from(number & 0x7f).unwrap_or(0));
}

fn write(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let bytes = content.len().to_be_bytes();
    let start = bytes
        .iter()
        .position(|byte| *byte > 0)
        .unwrap_or(bytes.len() - 1);
    let length = bytes.get(start..).unwrap_or(&[]);
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
}

/// One attribute of a name: its type, its string's tag, its value.
type Attribute<'a> = (&'a [u8], u8, &'a [u8]);

/// Whether two names have the same attributes in the same order, or in exactly the opposite one,
/// which is how the other half of all devices writes the same text.
fn same_dn(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (attributes(one), attributes(other)) else {
        return false;
    };
    let same =
        |a: &Attribute<'_>, b: &Attribute<'_>| a.0 == b.0 && same_text((a.1, a.2), (b.1, b.2));
    let forward = one.iter().zip(&other).all(|(a, b)| same(a, b));
    let backward = one.iter().zip(other.iter().rev()).all(|(a, b)| same(a, b));
    one.len() == other.len() && (forward || backward)
}

/// The attributes of a DER name; none if it is not well-formed or a value hides a zero byte.
fn attributes(name: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let (mut parts, rest) = read(name, SEQUENCE)?;
    let mut found = Vec::new();
    while !parts.is_empty() {
        let (mut set, later) = read(parts, SET)?;
        while !set.is_empty() {
            let (pair, next) = read(set, SEQUENCE)?;
            let (kind, value) = read(pair, OBJECT_ID)?;
            let (tag, _) = value.split_first()?;
            let (text, end) = read(value, *tag)?;
            if !end.is_empty() || is_text(*tag) && text.contains(&0) {
                return None;
            }
            found.push((kind, *tag, text));
            set = next;
        }
        parts = later;
    }
    (rest.is_empty() && !found.is_empty()).then_some(found)
}

/// The content of the element in front, if it has that tag, and what stands behind it.
fn read(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let [own, short] = *head;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| own == tag)
}

/// Strings of one byte a character, as far as ASCII goes.
const fn is_text(tag: u8) -> bool {
    matches!(tag, UTF8 | PRINTABLE | IA5 | 0x14)
}

/// Texts are compared without case and without the blanks around words, whatever their string
/// type (RFC 4518); anything else byte by byte.
fn same_text((tag, one): (u8, &[u8]), (other_tag, other): (u8, &[u8])) -> bool {
    if !is_text(tag) || !is_text(other_tag) {
        return tag == other_tag && one == other;
    }
    let mut a = one
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let mut b = other
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
            _ => return false,
        }
    }
}

/// The text of a DER name, last part first, for screens and logs.
pub fn dn_text(name: &[u8]) -> Option<String> {
    use core::fmt::Write;
    let mut text = String::new();
    for (kind, _, value) in attributes(name)?.into_iter().rev() {
        let word = TYPES.iter().find(|(_, oid, _)| *oid == kind);
        let word = word.and_then(|(words, ..)| words.first()).copied();
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = write!(text, "{}=", word.unwrap_or("?"));
        let value = core::str::from_utf8(value).ok()?;
        text.extend(value.chars().filter(|c| !c.is_control()));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use hw_offload::testing::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_follows_from_the_text() {
        let kinds = [
            ("172.16.10.5", 1),
            ("2001:db8::1", 5),
            ("bar.mydomain.net", 2),
            ("joger@bar.mydomain.net", 3),
            ("cn=joge,o=ournet,c=jp", 9),
        ];
        for (text, kind) in kinds {
            assert_eq!(parse(text).map(|id| id.kind), Ok(kind), "{text}");
        }
        for text in ["cn=", "=a", "cn=a,,o=b", "nothing=x", "3.1=x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    /// As `openssl asn1parse` reads it: C=jp, O=ournet, CN=joge.
    #[test]
    fn a_name_in_der() {
        let id = parse("cn=joge,o=ournet,c=jp").expect("a name");
        let der = "302d310b3009060355040613026a70310f300d060355040a13066f75726e6574310d300b060355040313046a6f6765";
        assert_eq!(id.data, hex(der));
        assert_eq!(
            dn_text(&id.data).as_deref(),
            Some("CN=joge, O=ournet, C=jp")
        );
        let id = parse("1.3.6.1.4.1.207=x").expect("an object identifier");
        assert_eq!(id.data, hex("3010310e300c06072b06010401814f130178"));
    }

    #[test]
    fn threat_a8_names_are_compared_by_structure() {
        let same = |a: &str, b: &str| {
            let (a, b) = (parse(a).expect("a name"), parse(b).expect("a name"));
            matches(&a, &b)
        };
        assert!(same("cn=Joge, o=our  net", "CN=joge,O=OUR net"));
        assert!(same("cn=a,o=b", "o=b,cn=a"), "the opposite order");
        assert!(!same("cn=a,o=b", "cn=a"));
        assert!(!same("cn=a,o=b", "ou=a,o=b"));
        assert!(!same("cn=a\\,o=b", "cn=a,o=b"));
        // A zero byte ends a C string, but no name.
        let id = parse("cn=ab").expect("a name");
        let mut hidden = id.clone();
        if let Some(last) = hidden.data.last_mut() {
            *last = 0;
        }
        assert!(!matches(&hidden, &hidden));
        let key_id = Identification {
            kind: KEY_ID,
            ..parse("client").expect("a name")
        };
        assert!(matches(&parse("client").expect("a name"), &key_id));
        assert!(!matches(&parse("Client").expect("a name"), &key_id));
    }

    proptest! {
        /// Comparing is an equivalence on names that are well-formed, and nothing panics on others.
        #[test]
        fn threat_a8_any_bytes(one: Vec<u8>, other: Vec<u8>) {
            let id = |data| Identification { kind: DN, protocol: 0, port: 0, data };
            let (one, other) = (id(one), id(other));
            prop_assert_eq!(matches(&one, &other), matches(&other, &one));
            prop_assert_eq!(matches(&one, &one), attributes(&one.data).is_some());
        }

        #[test]
        fn escaped_values_come_back(value in "[ -~]{1,40}") {
            let escaped: String = value.chars().flat_map(|c| ['\\', c]).collect();
            prop_assume!(!value.trim().is_empty() && value.trim() == value);
            let id = parse(&alloc::format!("cn={escaped}")).expect("a name");
            let parts = attributes(&id.data).expect("well-formed");
            prop_assert_eq!(parts[0].2, value.as_bytes());
        }
    }
}
