//! A session of a person at a terminal.

use std::io::{BufRead as _, IsTerminal as _, stdin};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::termios::LocalModes;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{ColorMode, CompletionType, Editor, EventHandler, ExternalPrinter, KeyEvent};
use zeroize::Zeroizing;

use super::assist::Assist;
use super::link::{Frames, Link, send};
use super::pager::{self, Modes};
use super::{LEAVE, help_text, print};
use crate::frame::{Head, Word};

/// Lines that the arrows bring back. They are kept in memory alone: keys are among them.
const HISTORY: usize = 200;

type Frame = Result<(Head, String), String>;

/// Reads and executes lines until the person leaves.
///
/// # Errors
/// When the gateway ends, or the terminal fails.
pub(super) fn run(link: Link) -> Result<bool, String> {
    let fault = |error: ReadlineError| format!("the terminal: {error}");
    let config = Config::builder()
        .auto_add_history(false)
        .max_history_size(HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(fault)?
        .completion_type(CompletionType::List)
        // Without colours no password would be masked; nothing else is drawn differently.
        .color_mode(ColorMode::Forced)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::<Assist, MemHistory>::with_history(config, history).map_err(fault)?;
    let assist = Assist::default();
    editor.set_helper(Some(assist.clone()));
    let question = EventHandler::Conditional(Box::new(assist.clone()));
    editor.bind_sequence(KeyEvent::from('?'), question);
    let printer = editor.create_external_printer().map_err(fault)?;
    let Link {
        mut lines,
        frames,
        greeting: mut head,
    } = link;
    let answers = listen(frames, printer);
    let mut begun = (String::new(), String::new());
    loop {
        let masked = head.word == Word::Password;
        assist.mask(masked);
        let line = editor.readline_with_initial(&head.prompt, (&begun.0, &begun.1));
        begun = (String::new(), String::new());
        let line = Zeroizing::new(match line {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Ok(true),
            // An empty line instead of a password gives up.
            Err(ReadlineError::Interrupted) if masked => String::new(),
            Err(ReadlineError::Interrupted) => continue,
            Err(error) => return Err(fault(error)),
        });
        if let Some((before, behind)) = assist.asked().and_then(|at| line.split_at_checked(at)) {
            pager::show(&help_text(before));
            begun = (before.to_owned(), behind.to_owned());
            continue;
        }
        if !masked {
            let command = line.trim();
            if command.is_empty() {
                continue;
            }
            if command.eq_ignore_ascii_case(LEAVE) {
                return Ok(true);
            }
            // A line like the one before is not kept twice.
            let _ = editor.add_history_entry(command);
        }
        let text = ask(&mut lines, &answers, &line, &mut head)?;
        pager::show(&text);
    }
}

/// Sends a line and waits for the answer.
fn ask(
    lines: &mut UnixStream,
    answers: &Receiver<Frame>,
    line: &str,
    head: &mut Head,
) -> Result<String, String> {
    // What came before the line was no answer to it: the gateway has ended.
    if let Ok(frame) = answers.try_recv() {
        frame?;
    }
    send(lines, line)?;
    let answer = answers.recv().map_err(|_| "the gateway has ended")?;
    let (next, text) = answer?;
    *head = next;
    Ok(text)
}

/// Takes frames as they come: reports are printed above the line that is being typed, answers wait.
fn listen(
    mut frames: Frames,
    mut printer: impl ExternalPrinter + Send + 'static,
) -> Receiver<Frame> {
    let (tell, answers) = channel();
    thread::spawn(move || {
        loop {
            let frame = frames.next();
            match frame {
                // The terminal may be gone, which the person's side notices.
                Ok((head, text)) if head.word == Word::Report => drop(printer.print(text)),
                frame => {
                    let last = frame.is_err();
                    if last {
                        let _ = printer.print("The gateway has ended.\n".to_owned());
                    }
                    if tell.send(frame).is_err() || last {
                        return;
                    }
                }
            }
        }
    });
    answers
}

/// Reads a password from the terminal without echo; none typed if there is no terminal.
///
/// # Errors
/// When it cannot be read.
pub(super) fn password() -> Result<String, String> {
    let mut password = String::new();
    if stdin().is_terminal() {
        print("Password: ");
        let _silent = Modes::without(LocalModes::ECHO);
        let read = stdin().lock().read_line(&mut password);
        print("\n");
        read.map_err(|error| format!("the terminal: {error}"))?;
    }
    let end = password.trim_end_matches(['\r', '\n']).len();
    password.truncate(end);
    Ok(password)
}
