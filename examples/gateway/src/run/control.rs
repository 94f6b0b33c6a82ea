//! The control socket: commands in, a line each, answers out, as [`crate::frame`] says.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use config_lang::message::Severity;
use config_lang::{Console, Outcome};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::Mode;
use zeroize::{Zeroize as _, Zeroizing};

use crate::frame::{Head, Word};

/// Sessions at the same time; more are turned away.
const SESSIONS: usize = 8;
/// The longest line: an RSA key of 8192 bits as VALUE=0x… fits.
const LINE: usize = 12 * 1024;
/// Bytes of reports that wait for a slow reader; more are lost.
const REPORTS: usize = 256 * 1024;

/// The router that the sessions talk to.
pub(crate) trait Router {
    /// Executes a line.
    fn command(&mut self, console: &mut Console, line: &str) -> Outcome;

    /// What stands before the next one.
    fn prompt(&self, console: &Console) -> &'static str;
}

/// The socket and who is connected.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    listener: UnixListener,
    sessions: Vec<Session>,
}

/// One connection.
#[derive(Debug)]
struct Session {
    stream: UnixStream,
    console: Console,
    /// Passwords pass through it: it is made once and never moves.
    input: Zeroizing<Vec<u8>>,
    output: Vec<u8>,
    open: bool,
    /// The line that is coming in is too long, and its rest is thrown away.
    skips: bool,
    /// Reports were lost since the last one that was sent.
    lost: bool,
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

    /// What to wait for.
    pub(crate) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.listener, PollFlags::IN));
        for session in &self.sessions {
            // Who does not read its answers is asked for no more lines.
            let flags = if session.output.is_empty() {
                PollFlags::IN
            } else {
                PollFlags::OUT
            };
            fds.push(PollFd::new(&session.stream, flags));
        }
    }

    /// Takes connections, executes what was sent, and sends what the router answers.
    pub(crate) fn serve(&mut self, router: &mut impl Router) {
        self.accept(router);
        for session in &mut self.sessions {
            session.write();
            if session.output.is_empty() {
                session.read();
            }
            if session.skips {
                session.skip(router);
            }
            while session.output.is_empty()
                && let Some(line) = session.line()
            {
                let outcome = router.command(&mut session.console, &line);
                session.answer(&outcome, router);
            }
        }
        self.sessions
            .retain(|session| session.open || !session.output.is_empty());
    }

    /// Sends a report to the sessions that watch; one that may tell secrets to those only that may
    /// see them.
    pub(crate) fn report(&mut self, text: &str, may_see: impl Fn(&Console) -> bool) {
        let watching = |session: &&mut Session| session.open && session.console.watches();
        for session in self.sessions.iter_mut().filter(watching) {
            if may_see(&session.console) {
                session.report(text);
            }
        }
    }

    fn accept(&mut self, router: &impl Router) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let mut session = Session {
                stream,
                console: Console::new(),
                input: Zeroizing::new(Vec::with_capacity(2 * LINE)),
                output: Vec::new(),
                open: true,
                skips: false,
                lost: false,
            };
            if self.sessions.len() < SESSIONS {
                let prompt = router.prompt(&session.console);
                session.send(Word::Ok, "", prompt);
                self.sessions.push(session);
            } else {
                session.send(Word::Error, "too many sessions are open\n", "");
            }
        }
    }

    /// Removes the socket.
    pub(crate) fn close(self) {
        // Somebody may have removed it before.
        let _ = fs::remove_file(&self.path);
    }
}

impl Session {
    /// Reads what has arrived.
    fn read(&mut self) {
        let mut chunk = Zeroizing::new([0; 1024]);
        while self.input.len() <= LINE {
            match self.stream.read(&mut *chunk) {
                Ok(0) => {
                    self.open = false;
                    return;
                }
                Ok(len) => {
                    let read = chunk.get(..len).unwrap_or(&[]);
                    self.input.extend_from_slice(read);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.open = false;
                    self.output.clear();
                    return;
                }
            }
        }
        let end = self.input.iter().position(|byte| *byte == b'\n');
        self.skips |= end.is_none_or(|end| end > LINE);
    }

    /// Leaves out the rest of a line that is too long, and tells so at its end.
    fn skip(&mut self, router: &impl Router) {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            self.input.zeroize();
            return;
        };
        self.forget(end + 1);
        self.skips = false;
        let text = format!("the line has more than {LINE} bytes; nothing was done\n");
        let prompt = router.prompt(&self.console);
        self.send(Word::Error, &text, prompt);
    }

    /// The next whole line.
    fn line(&mut self) -> Option<Zeroizing<String>> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        let line = self.input.get(..end).unwrap_or(&[]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = Zeroizing::new(String::from_utf8_lossy(line).into_owned());
        self.forget(end + 1);
        Some(line)
    }

    /// Forgets the first bytes of the input, which does not move.
    fn forget(&mut self, bytes: usize) {
        let left = self.input.len() - bytes;
        self.input.copy_within(bytes.., 0);
        if let Some(rest) = self.input.get_mut(left..) {
            rest.zeroize();
        }
        self.input.truncate(left);
    }

    /// Answers a line.
    fn answer(&mut self, outcome: &Outcome, router: &impl Router) {
        let word = if self.console.asks_password() {
            Word::Password
        } else if outcome.worst == Severity::Error {
            Word::Error
        } else {
            Word::Ok
        };
        let prompt = router.prompt(&self.console);
        self.send(word, &outcome.text, prompt);
    }

    /// Sends a report, if the reader has kept up with those before.
    fn report(&mut self, text: &str) {
        if self.output.len() + text.len() > REPORTS {
            self.lost = true;
            return;
        }
        if std::mem::take(&mut self.lost) {
            self.send(
                Word::Report,
                "(reports were lost: too many for the reader)\n",
                "",
            );
        }
        self.send(Word::Report, text, "");
    }

    fn send(&mut self, word: Word, text: &str, prompt: &str) {
        let head = Head {
            word,
            len: text.len(),
            prompt: prompt.to_owned(),
        };
        self.output.extend_from_slice(head.to_string().as_bytes());
        self.output.extend_from_slice(text.as_bytes());
        self.write();
    }

    /// Writes as much as goes.
    fn write(&mut self) {
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
