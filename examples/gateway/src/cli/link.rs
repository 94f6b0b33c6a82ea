//! The connection to a gateway.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::frame::{Head, Word};

/// A connection whose greeting was read.
#[derive(Debug)]
pub(super) struct Link {
    /// Lines go in here.
    pub(super) lines: UnixStream,
    /// Frames come out here.
    pub(super) frames: Frames,
    /// What the gateway said first.
    pub(super) greeting: Head,
}

/// The frames of a connection.
#[derive(Debug)]
pub(super) struct Frames(BufReader<UnixStream>);

impl Link {
    /// Connects to a gateway.
    ///
    /// # Errors
    /// When none answers, or it has no room for the session.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let nobody = |error| format!("no gateway answers at {}: {error}", path.display());
        let stream = UnixStream::connect(path).map_err(nobody)?;
        let lines = stream.try_clone().map_err(nobody)?;
        let mut frames = Frames(BufReader::new(stream));
        let (greeting, text) = frames.next()?;
        if greeting.word == Word::Error {
            return Err(format!("the gateway says: {}", text.trim_end()));
        }
        Ok(Self {
            lines,
            frames,
            greeting,
        })
    }

    /// Sends a line and waits for its answer; reports go to `report` meanwhile.
    ///
    /// # Errors
    /// When the gateway has ended.
    pub(super) fn ask(
        &mut self,
        line: &str,
        report: impl Fn(&str),
    ) -> Result<(Head, String), String> {
        send(&mut self.lines, line)?;
        loop {
            let (head, text) = self.frames.next()?;
            if head.word != Word::Report {
                return Ok((head, text));
            }
            report(&text);
        }
    }
}

impl Frames {
    /// The next frame; waits for it.
    ///
    /// # Errors
    /// When the gateway has ended.
    pub(super) fn next(&mut self) -> Result<(Head, String), String> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(ended)?;
        let head: Head = line.parse()?;
        let mut text = vec![0; head.len];
        self.0.read_exact(&mut text).map_err(ended)?;
        Ok((head, String::from_utf8_lossy(&text).into_owned()))
    }
}

/// Sends a line.
///
/// # Errors
/// When the gateway has ended.
pub(super) fn send(lines: &mut UnixStream, line: &str) -> Result<(), String> {
    let sent = lines.write_all(line.as_bytes());
    sent.and_then(|()| lines.write_all(b"\n")).map_err(ended)
}

fn ended(error: std::io::Error) -> String {
    format!("the gateway has ended: {error}")
}
