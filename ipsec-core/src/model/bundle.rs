//! Bundle strings: which SA specifications are applied together, and which are offered instead.
//!
//! ```text
//! string    = candidate *( "," candidate )      ; at most 10, the first preferred
//! candidate = group *( "AND" group )             ; applied together, in this order
//! group     = number *( "OR" number )            ; one protocol, one of these
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::words::Protocol;

/// Specifications of one protocol of which one is chosen.
pub type Group = Vec<u8>;

/// Groups that are applied together, in the order written.
pub type Candidate = Vec<Group>;

/// A parsed bundle string that remembers how it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleString {
    text: String,
    candidates: Vec<Candidate>,
}

/// One protocol of one candidate, as it goes into a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalEntry<'a> {
    /// The candidate's number, from 1; entries with the same number are applied together.
    pub number: u8,
    /// The alternatives, as SA specification numbers.
    pub specs: &'a [u8],
}

/// Why a text is no bundle string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFault {
    /// Something else stands where the grammar wants this; `at` counts characters from 0.
    #[error("'{found}' at character {} of the bundle string, where {expected} is expected", at + 1)]
    Unexpected {
        /// Offset of the word.
        at: usize,
        /// The word, or "the end".
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// The text is too long.
    #[error("the bundle string has {len} characters, at most 100 are allowed")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Too many candidates.
    #[error("the bundle string has {count} candidates, at most 10 are allowed")]
    TooManyCandidates {
        /// How many.
        count: usize,
    },
    /// A specification that does not exist.
    #[error("SA specification {spec} of the bundle string does not exist")]
    NoSuchSpec {
        /// Its number.
        spec: u8,
    },
    /// OR between different protocols.
    #[error(
        "SA specifications {first} and {second} have different protocols and cannot be alternatives (OR)"
    )]
    MixedGroup {
        /// One of them.
        first: u8,
        /// The other.
        second: u8,
    },
    /// AND between equal protocols.
    #[error(
        "SA specifications {first} and {second} have the same protocol and cannot be applied together (AND)"
    )]
    RepeatedProtocol {
        /// One of them.
        first: u8,
        /// The other.
        second: u8,
    },
    /// A bundle with manual keys has nothing to choose from.
    #[error("a bundle with KEYMANAGEMENT=MANUAL takes one SA specification, or two joined by AND")]
    ManualAlternatives,
}

impl BundleString {
    /// The longest text in characters.
    pub const MAX_LEN: usize = 100;
    /// The most candidates.
    pub const MAX_CANDIDATES: usize = 10;

    /// Reads a bundle string.
    ///
    /// # Errors
    /// [`BundleFault`] with the place of the fault.
    pub fn parse(text: &str) -> Result<Self, BundleFault> {
        if text.len() > Self::MAX_LEN {
            return Err(BundleFault::TooLong { len: text.len() });
        }
        let mut words = Words { text, at: 0 };
        let mut candidates = Vec::new();
        let mut candidate: Candidate = Vec::new();
        let mut group: Group = Vec::new();
        loop {
            let (at, word) = words.next();
            let Ok(number) = word.parse::<u8>() else {
                return Err(unexpected(at, word, "an SA specification number (0-255)"));
            };
            group.push(number);
            let (at, word) = words.next();
            if word.eq_ignore_ascii_case("OR") {
                continue;
            }
            candidate.push(core::mem::take(&mut group));
            if word.eq_ignore_ascii_case("AND") {
                continue;
            }
            candidates.push(core::mem::take(&mut candidate));
            match word {
                "," => {}
                "" => break,
                other => return Err(unexpected(at, other, "OR, AND, a comma or the end")),
            }
        }
        if candidates.len() > Self::MAX_CANDIDATES {
            return Err(BundleFault::TooManyCandidates {
                count: candidates.len(),
            });
        }
        Ok(Self {
            text: String::from(text),
            candidates,
        })
    }

    /// As typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The candidates, the preferred one first.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// One entry per protocol of every candidate, in the order in which they are offered.
    pub fn proposals(&self) -> impl Iterator<Item = ProposalEntry<'_>> {
        (1..).zip(&self.candidates).flat_map(|(number, candidate)| {
            candidate
                .iter()
                .map(move |specs| ProposalEntry { number, specs })
        })
    }

    /// Every specification named, with repetitions.
    pub fn specs(&self) -> impl Iterator<Item = u8> {
        self.candidates.iter().flatten().flatten().copied()
    }

    /// Checks the protocols of the specifications named: one in a group, each once in a
    /// candidate; with manual keys no alternatives.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn check(
        &self,
        manual: bool,
        protocol_of: impl Fn(u8) -> Option<Protocol>,
    ) -> Result<(), BundleFault> {
        let find = |spec| protocol_of(spec).ok_or(BundleFault::NoSuchSpec { spec });
        for candidate in &self.candidates {
            let mut seen: Vec<(u8, Protocol)> = Vec::new();
            for group in candidate {
                let Some((&first, others)) = group.split_first() else {
                    continue;
                };
                let protocol = find(first)?;
                for &second in others {
                    if find(second)? != protocol {
                        return Err(BundleFault::MixedGroup { first, second });
                    }
                }
                if let Some(&(other, _)) = seen.iter().find(|(_, p)| *p == protocol) {
                    return Err(BundleFault::RepeatedProtocol {
                        first: other,
                        second: first,
                    });
                }
                seen.push((first, protocol));
            }
        }
        let plain = self.candidates.len() == 1
            && self
                .candidates
                .iter()
                .flatten()
                .all(|group| group.len() == 1)
            && self.candidates.iter().all(|candidate| candidate.len() <= 2);
        if manual && !plain {
            Err(BundleFault::ManualAlternatives)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for BundleString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn unexpected(at: usize, word: &str, expected: &'static str) -> BundleFault {
    let found = if word.is_empty() { "the end" } else { word };
    BundleFault::Unexpected {
        at,
        found: String::from(found),
        expected,
    }
}

/// The words of a bundle string: runs without blanks, and commas.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    /// The next word with its offset; empty at the end.
    fn next(&mut self) -> (usize, &'a str) {
        let rest = self.text.get(self.at..).unwrap_or("");
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = rest.trim_start();
        let len = match rest.find(|c: char| c == ',' || c.is_whitespace()) {
            Some(0) => 1,
            Some(end) => end,
            None => rest.len(),
        };
        self.at = start + len;
        (start, rest.get(..len).unwrap_or(""))
    }
}
