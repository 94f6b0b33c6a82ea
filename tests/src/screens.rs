//! Screens compared as the manual's print allows: runs of blanks are one blank and empty lines do
//! not count, dot leaders and dashes count exactly.

/// A screen in the form in which screens are compared.
#[must_use]
pub fn folded(screen: &str) -> String {
    screen
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Asserts that a screen is the printed one.
///
/// # Panics
/// Where it is not, with both in full.
#[track_caller]
pub fn assert_screen(got: &str, printed: &str) {
    assert_eq!(folded(got), folded(printed), "the whole screen:\n{got}");
}
