//! Long answers, a page at a time.

use std::io::{IsTerminal as _, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::print;

const MORE: &str = "--More--  (space: page, Enter: line, c: all, q: stop)";
/// A key that is held down in raw mode.
const INTERRUPT: u8 = 3;
const ESCAPE: u8 = 27;

/// Prints a text; one longer than the screen stops at each page until a key is pressed.
pub(super) fn show(text: &str) {
    let size = tcgetwinsize(stdout()).ok();
    let (rows, columns) = size.map_or((0, 0), |size| (size.ws_row.into(), size.ws_col.into()));
    let page = usize::saturating_sub(rows, 1);
    let mut room = page;
    // What is too small to page, or no screen at all, gets everything.
    let mut paged = page > 1 && columns > MORE.len() && stdin().is_terminal();
    let mut quiet = None;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        print(line);
        room = room.saturating_sub(height(line, columns));
        let next = lines.peek().map_or(0, |line| height(line, columns));
        if !paged || next == 0 || next <= room {
            continue;
        }
        // Before somebody can answer: a key must not be echoed between the lines.
        if quiet.is_none() {
            let modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            quiet = Modes::without(modes);
        }
        print(MORE);
        let key = quiet.as_ref().and_then(|_| key());
        print(&format!("\r{:width$}\r", "", width = MORE.len()));
        match key {
            Some(b'\r' | b'\n') => room = 1,
            Some(b'c' | b'C') => paged = false,
            Some(b'q' | b'Q' | INTERRUPT | ESCAPE) | None => return,
            Some(_) => room = page,
        }
    }
}

/// Rows of the screen that a line takes.
fn height(line: &str, columns: usize) -> usize {
    let width = line.trim_end_matches('\n').chars().count();
    width.div_ceil(columns.max(1)).max(1)
}

/// The next key; none if nobody can press one any more.
fn key() -> Option<u8> {
    let mut key = [0];
    match rustix::io::read(stdin(), &mut key) {
        Ok(1) => key.first().copied(),
        Ok(_) | Err(_) => None,
    }
}

/// Modes of the terminal that are off until this is dropped.
#[derive(Debug)]
pub(super) struct Modes(Termios);

impl Modes {
    /// Switches modes of the standard input's terminal off; none if it is no terminal.
    pub(super) fn without(modes: LocalModes) -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut now = before.clone();
        now.local_modes.remove(modes);
        tcsetattr(stdin(), OptionalActions::Now, &now).ok()?;
        Some(Self(before))
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::height;

    #[test]
    fn long_lines_take_more_rows() {
        assert_eq!(height("\n", 80), 1);
        assert_eq!(height(&"x".repeat(80), 80), 1);
        assert_eq!(height(&format!("{}\n", "x".repeat(81)), 80), 2);
        assert_eq!(height("x", 0), 1);
    }
}
