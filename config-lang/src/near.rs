//! Near misses: which words of the grammar somebody may have meant.

use alloc::string::String;
use alloc::vec::Vec;

/// Longer words than this are in no grammar: what is typed longer is near to nothing, so that the
/// work for a word is bounded whatever arrives.
const LONGEST: usize = 32;
/// More words than that are no hint.
const MOST: usize = 3;

/// The words nearest to a text, if any is near: at most one edit for a short text, two for a longer
/// one. An abbreviation with a slip is near to the word that it abbreviates. Sorted, at most three.
pub(crate) fn near(
    text: &str,
    among: impl Iterator<Item = &'static str>,
) -> impl Iterator<Item = &'static str> {
    let allowed = match text.len() {
        0 | 1 => 0,
        2..=4 => 1,
        _ => 2,
    };
    let mut best = (allowed, usize::MAX);
    let mut found: Vec<&'static str> = Vec::new();
    // A number that is wrong is no slip.
    if text.len() <= LONGEST && allowed > 0 && !text.bytes().all(|c| c.is_ascii_digit()) {
        for word in among {
            let far = distance(text.as_bytes(), word.as_bytes());
            if far < best {
                best = far;
                found.clear();
            }
            if far == best && !found.contains(&word) {
                found.push(word);
            }
        }
    }
    found.sort_unstable();
    found.into_iter().take(MOST)
}

/// ` (did you mean POLICY?)`, or nothing.
pub(crate) fn hint(text: &str, among: impl Iterator<Item = &'static str>) -> String {
    let mut hint = String::new();
    for (place, word) in near(text, among).enumerate() {
        hint.push_str(if place == 0 {
            " (did you mean "
        } else {
            " or "
        });
        hint.push_str(word);
    }
    if !hint.is_empty() {
        hint.push_str("?)");
    }
    hint
}

/// Edits between a text and the beginning of a word that is nearest, then those to all of the word.
/// An edit inserts, omits or replaces a letter, or swaps two neighbours; case does not count.
fn distance(text: &[u8], word: &[u8]) -> (usize, usize) {
    let Some(word) = word.get(..word.len().min(LONGEST)) else {
        return (usize::MAX, usize::MAX);
    };
    // Row i holds the edits between the first i letters of the text and each beginning of the word.
    let mut before = [0_usize; LONGEST + 1];
    let mut above: [usize; LONGEST + 1] = core::array::from_fn(|j| j);
    let same = |a: Option<&u8>, b: Option<&u8>| match (a, b) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    };
    let at = |row: &[usize; LONGEST + 1], j: usize| row.get(j).copied().unwrap_or(usize::MAX);
    for i in 1..=text.len() {
        let mut row = [i; LONGEST + 1];
        for j in 1..=word.len() {
            let replaced = usize::from(!same(text.get(i - 1), word.get(j - 1)));
            let mut least = (at(&above, j - 1) + replaced)
                .min(at(&above, j) + 1)
                .min(at(&row, j - 1) + 1);
            let swapped = i > 1
                && j > 1
                && same(text.get(i - 1), word.get(j - 2))
                && same(text.get(i - 2), word.get(j - 1));
            if swapped {
                least = least.min(at(&before, j - 2) + 1);
            }
            if let Some(cell) = row.get_mut(j) {
                *cell = least;
            }
        }
        before = above;
        above = row;
    }
    let whole = at(&above, word.len());
    // Of two letters no abbreviation can be recognised.
    let abbreviated = (text.len() > 2).then(|| {
        let cells = (2..word.len()).map(|j| at(&above, j));
        cells.min().unwrap_or(whole)
    });
    (whole.min(abbreviated.unwrap_or(whole)), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 7] = [
        "POLICY",
        "LPORT",
        "RPORT",
        "SASPECIFICATION",
        "BUNDLESPECIFICATION",
        "SA",
        "14",
    ];

    fn nearest(text: &str) -> Vec<&'static str> {
        near(text, WORDS.into_iter()).collect()
    }

    #[test]
    fn a_slip_is_found() {
        assert_eq!(nearest("polcy"), ["POLICY"]);
        assert_eq!(nearest("PLOICY"), ["POLICY"]);
        assert_eq!(nearest("LPRT"), ["LPORT"]);
        assert_eq!(nearest("BUNDEL"), ["BUNDLESPECIFICATION"]);
        assert_eq!(nearest("SAPSEC"), ["SASPECIFICATION"]);
        assert_eq!(nearest("XPORT"), ["LPORT", "RPORT"]);
        assert_eq!(nearest("SX"), ["SA"]);
    }

    #[test]
    fn what_is_far_is_no_slip() {
        for text in ["", "X", "15", "INTERFACE", "PQRSCY", "ЯЯЯЯ"] {
            assert!(nearest(text).is_empty(), "{text}");
        }
        assert!(nearest(&"POLICY".repeat(1000)).is_empty());
    }

    #[test]
    fn the_hint_is_a_question() {
        let hint = |text| hint(text, WORDS.into_iter());
        assert_eq!(hint("POLCY"), " (did you mean POLICY?)");
        assert_eq!(hint("XPORT"), " (did you mean LPORT or RPORT?)");
        assert_eq!(hint("NONSENSE"), "");
    }
}
