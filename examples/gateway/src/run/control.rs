//! The control socket: one command a line in, `ok LENGTH` or `error LENGTH` and that many bytes of
//! text out.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use config_lang::message::Severity;
use config_lang::{Console, Outcome};
use rustix::fs::Mode;

/// Sessions at the same time; more are turned away.
const SESSIONS: usize = 8;
/// The longest line.
const LINE: usize = 4096;

/// The socket and who is connected.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    pub(crate) listener: UnixListener,
    pub(crate) sessions: Vec<Session>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) stream: UnixStream,
    pub(crate) console: Console,
    input: Vec<u8>,
    output: Vec<u8>,
    open: bool,
}

impl Control {
    /// Begins to listen. Only the socket's owner may connect.
    ///
    /// # Errors
    /// When another gateway listens there, or the socket cannot be made.
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let fault = |error: io::Error| format!("--control {}: {error}", path.display());
        if UnixStream::connect(path).is_ok() {
            return Err(format!(
                "--control {}: another gateway listens there",
                path.display()
            ));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            Ok(()) | Err(_) => {}
        }
        let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        let listener = listener.map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            sessions: Vec::new(),
        })
    }

    /// Takes a new connection.
    pub(crate) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.sessions.len() < SESSIONS && stream.set_nonblocking(true).is_ok() {
                self.sessions.push(Session {
                    stream,
                    console: Console::new(),
                    input: Vec::new(),
                    output: Vec::new(),
                    open: true,
                });
            }
        }
    }

    /// Forgets those who left.
    pub(crate) fn sweep(&mut self) {
        self.sessions
            .retain(|session| session.open || !session.output.is_empty());
    }

    /// Removes the socket.
    pub(crate) fn close(self) {
        // Somebody may have removed it before.
        let _ = fs::remove_file(&self.path);
    }
}

impl Session {
    /// Whether an answer waits to be read by the other side.
    pub(crate) const fn writes(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads what has arrived.
    pub(crate) fn read(&mut self) {
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.open = false,
                Ok(len) => {
                    self.input
                        .extend_from_slice(chunk.get(..len).unwrap_or(&[]));
                    if self.input.len() <= LINE {
                        continue;
                    }
                    self.open = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.open = false;
                    self.output.clear();
                }
            }
            return;
        }
    }

    /// The next whole line.
    pub(crate) fn line(&mut self) -> Option<String> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Queues an answer.
    pub(crate) fn answer(&mut self, outcome: &Outcome) {
        let word = if outcome.worst == Severity::Error {
            "error"
        } else {
            "ok"
        };
        let text = outcome.text.as_bytes();
        self.output
            .extend_from_slice(format!("{word} {}\n", text.len()).as_bytes());
        self.output.extend_from_slice(text);
        self.write();
    }

    /// Writes as much as goes.
    pub(crate) fn write(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(len) => drop(self.output.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.open = false;
                    self.output.clear();
                }
            }
        }
    }
}
