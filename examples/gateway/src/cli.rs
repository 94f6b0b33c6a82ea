//! `gateway cli`: commands for a running gateway.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const PROMPT: &str = "SecOff > ";
/// Where a gateway is looked for when nothing is said.
const CONTROL: &str = "/run/sekisho.sock";

/// Executes one command, or those of a terminal. True if the last answer was no error.
///
/// # Errors
/// When no gateway answers.
pub(crate) fn run(args: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut args = args.peekable();
    let mut path = PathBuf::from(CONTROL);
    if args.next_if_eq("--control").is_some() {
        path = PathBuf::from(args.next().ok_or("--control needs a socket's path")?);
    }
    let words: Vec<String> = args.collect();
    let stream = UnixStream::connect(&path)
        .map_err(|error| format!("no gateway answers at {}: {error}", path.display()))?;
    let mut session = BufReader::new(stream);
    if !words.is_empty() {
        return ask(&mut session, &words.join(" "));
    }
    let mut good = true;
    loop {
        print!("{PROMPT}");
        std::io::stdout().flush().map_err(|e| e.to_string())?;
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            println!();
            return Ok(good);
        }
        good = ask(&mut session, line.trim_end())?;
    }
}

fn ask(session: &mut BufReader<UnixStream>, command: &str) -> Result<bool, String> {
    let ended = |error: std::io::Error| format!("the gateway has ended: {error}");
    let stream = session.get_mut();
    stream
        .write_all(format!("{command}\n").as_bytes())
        .map_err(ended)?;
    let mut head = String::new();
    session.read_line(&mut head).map_err(ended)?;
    let parts = head.trim_end().split_once(' ');
    let (word, len) = parts.ok_or("the gateway has ended the session")?;
    let len: usize = len.parse().map_err(|_| "the answer is not a gateway's")?;
    let mut text = vec![0; len];
    session.read_exact(&mut text).map_err(ended)?;
    print!("{}", String::from_utf8_lossy(&text));
    Ok(word == "ok")
}
