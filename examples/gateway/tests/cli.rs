//! `gateway cli` as a person and as a script use it: the program on a pseudo-terminal or with
//! pipes, against the control socket of a router that has everything but a network.
#![cfg(target_os = "linux")]

#[path = "../src/run/control.rs"]
mod control;
#[path = "../src/frame.rs"]
mod frame;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use config_lang::{Console, Outcome, Surroundings};
use hw_offload::SoftEngines;
use hw_offload::testing::SeededEntropy;
use lab::{Buf, Router};
use nix::pty::{Winsize, openpty};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::control::Control;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const UP: &str = "\x1b[A";

/// A router with the users and the mode of the manual's configurations.
const CONFIG: &str = "ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbf
CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP
ADD USER=secoff PASS=PasswordS PRIVILEGE=SECURITYOFFICER
ADD USER=client PASS=p LOGIN=NO
";
const SECURITY_MODE: &str = "ENABLE SYSTEM SECURITY MODE\n";
const KEY: &str = "431d62cd3cb76fb8101dacaf43aa4dbf";

/// What the sessions talk to.
struct Desk {
    router: Router<SoftEngines<Buf>>,
    entropy: SeededEntropy,
    began: Instant,
}

impl control::Router for Desk {
    fn command(&mut self, console: &mut Console, line: &str) -> Outcome {
        let mut around = Surroundings {
            now: ipsec_core::Instant::ZERO + self.began.elapsed(),
            entropy: &mut self.entropy,
            host: &mut self.router.host,
        };
        console.execute(&mut self.router.device, &mut around, line)
    }

    fn prompt(&self, console: &Console) -> &'static str {
        console.prompt(self.router.device.state())
    }
}

/// A gateway's control socket, served until this is dropped.
struct Gateway {
    socket: PathBuf,
    reports: Sender<String>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    fn new(name: &str, config: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let socket = folder.join(format!("{name}.{}", std::process::id()));
        let mut control = Control::new(&socket).expect("a socket");
        let (wake, mut woken) = UnixStream::pair().expect("a pair");
        let (reports, told) = channel::<String>();
        let mut router = Router::new(SoftEngines::new(64, 16, 16), 1);
        let findings = router.run_script(ipsec_core::Instant::ZERO, config);
        assert!(findings.is_empty(), "{findings:?}");
        let mut desk = Desk {
            router,
            entropy: SeededEntropy::new(1),
            began: Instant::now(),
        };
        let thread = std::thread::spawn(move || {
            loop {
                let mut fds = vec![PollFd::new(&woken, PollFlags::IN)];
                control.watch(&mut fds);
                poll(&mut fds, None).expect("a poll");
                let call = fds[0].revents();
                if call.contains(PollFlags::IN) && woken.read(&mut [0; 1]).unwrap_or(0) == 0 {
                    break;
                }
                for text in told.try_iter() {
                    control.report(&text, |_| true);
                }
                control.serve(&mut desk);
            }
            control.close();
        });
        Self {
            socket,
            reports,
            wake,
            thread: Some(thread),
        }
    }

    fn report(&mut self, text: &str) {
        self.reports.send(text.to_owned()).expect("it is served");
        self.wake.write_all(b"!").expect("it is served");
    }

    fn end(&mut self) {
        // Nobody listens when the thread has panicked.
        let _ = self.wake.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }

    fn cli(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.arg("cli").arg("--control").arg(&self.socket);
        command
    }

    /// One command as a script gives it.
    fn once(&self, words: &[&str]) -> Output {
        let mut command = self.cli();
        command.args(words).stdin(Stdio::null());
        command.output().expect("it runs")
    }

    /// Lines from a pipe.
    fn piped(&self, lines: &str) -> Output {
        let mut command = self.cli();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(lines.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end();
    }
}

/// The program on a terminal.
struct Terminal {
    master: File,
    child: Child,
    /// Everything that it has written.
    raw: Vec<u8>,
    /// The part of it that was read as text.
    seen: usize,
    /// What it has drawn since the last thing that was expected, without control sequences.
    drawn: String,
    /// Whether the program has let go of the terminal.
    ended: bool,
}

impl Terminal {
    fn new(gateway: &Gateway, rows: u16) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).expect("a pseudo-terminal");
        let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let mut command = gateway.cli();
        command.env("TERM", "xterm");
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("it runs");
        Self {
            master: File::from(pty.master),
            child,
            raw: Vec::new(),
            seen: 0,
            drawn: String::new(),
            ended: false,
        }
    }

    fn typed(&mut self, keys: &str) -> &mut Self {
        self.master.write_all(keys.as_bytes()).expect("it reads");
        self
    }

    /// Reads on until a text appears.
    fn expect(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.drawn.find(text) {
                self.drawn.drain(..at + text.len());
                return self;
            }
            let left = until.saturating_duration_since(Instant::now());
            let going = !left.is_zero() && self.read(left);
            assert!(going, "no {text:?} in {:?}", self.drawn);
        }
    }

    /// Reads what is there. False at the end.
    fn read(&mut self, patience: Duration) -> bool {
        let limit = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).expect("seconds"),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let mut fds = [PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN)];
        if poll(&mut fds, Some(&limit)).expect("a poll") == 0 {
            return false;
        }
        let mut chunk = [0; 4096];
        match self.master.read(&mut chunk) {
            // Linux says EIO once nobody holds the other end.
            Ok(0) | Err(_) => {
                self.ended = true;
                false
            }
            Ok(len) => {
                self.raw.extend_from_slice(&chunk[..len]);
                self.draw();
                true
            }
        }
    }

    /// Takes the text out of what was written, up to a control sequence that is not whole yet.
    fn draw(&mut self) {
        while let Some(&byte) = self.raw.get(self.seen) {
            let rest = &self.raw[self.seen..];
            let length = match rest {
                [0x1b, b'[', more @ ..] => {
                    let Some(end) = more.iter().position(|b| (0x40..=0x7e).contains(b)) else {
                        return;
                    };
                    end + 3
                }
                [0x1b] => return,
                [0x1b, ..] => 2,
                _ => 1,
            };
            if length == 1 && (byte == b'\n' || (b' '..0x7f).contains(&byte)) {
                self.drawn.push(char::from(byte));
            }
            self.seen += length;
        }
    }

    /// Waits for the program's end and returns everything that it has written.
    fn ends_with(mut self, code: i32) -> String {
        while self.read(PATIENCE) {}
        let raw = String::from_utf8_lossy(&self.raw).into_owned();
        assert!(self.ended, "it does not end: {raw}");
        let status = self.child.wait().expect("a child");
        assert_eq!(status.code(), Some(code), "{raw}");
        raw
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_types_completes_asks_and_leaves() {
    let gateway = Gateway::new("types", CONFIG);
    let mut terminal = Terminal::new(&gateway, 50);
    terminal
        .expect("SecOff > ")
        .typed("sh\tips\t")
        .expect("SHOW IPSEC ")
        .typed("pol\t=i\x7fisa\r")
        .expect("Ipsec Policy Information");
    terminal
        .expect("SecOff > ")
        .typed("bogus\r")
        .expect("Error (3");
    // Two tabs list, one letter more decides.
    terminal
        .expect("SecOff > ")
        .typed("CREATE IPSEC \t\t")
        .expect("BUNDLESPECIFICATION")
        .expect("SASPECIFICATION")
        .expect("SecOff > CREATE IPSEC ")
        .typed("P\t")
        .expect("POLICY=");
    // A question is answered, and the line goes on where it was, the cursor in its middle too.
    terminal
        .typed("vpn ACTION=?")
        .expect("DENY")
        .expect("IPSEC")
        .expect("PERMIT")
        .expect("SecOff > CREATE IPSEC POLICY=vpn ACTION=")
        .typed("PERMIT INT=\x01")
        .typed("?")
        .expect("CREATE")
        .expect("QUIT")
        .expect("SecOff > CREATE IPSEC POLICY=vpn ACTION=PERMIT INT=")
        .typed("\x05ppp0 RPORT=?")
        .expect("a number from 0 to 65535")
        .expect("ANY")
        .expect("the default")
        .expect("RPORT=")
        .typed("7 tr\tu\t\r")
        .expect("Operation successful")
        .expect("SecOff > ");
    // Ctrl-C abandons the line, not the session.
    terminal
        .typed("DESTROY IPSEC POLICY=vpn\x03")
        .expect("SecOff > ");
    terminal.typed("quit\r");
    terminal.ends_with(0);
    let answer = gateway.once(&["SHOW", "IPSEC", "POLICY"]);
    assert!(String::from_utf8_lossy(&answer.stdout).contains("vpn"));
}

#[test]
fn a_question_tells_what_is_wrong() {
    let gateway = Gateway::new("wrong", CONFIG);
    let mut terminal = Terminal::new(&gateway, 50);
    terminal
        .expect("SecOff > ")
        .typed("CREATE IPSEC POLCY?")
        .expect("column 14: 'POLCY'")
        .expect("did you mean POLICY?")
        .expect("SecOff > CREATE IPSEC POLCY")
        .typed("\x15")
        // Inside quotes it is a letter.
        .typed("ADD USER=x PASSWORD=\"wh?\" LOGIN=NO\r")
        .expect("\"wh?\"")
        .expect("Operation successful")
        .expect("SecOff > ")
        .typed("\x04");
    terminal.ends_with(0);
}

/// The longest command of the language is taken; of a longer line nothing is, and the session goes
/// on.
#[test]
fn a_line_that_is_too_long_is_refused() {
    let gateway = Gateway::new("long", CONFIG);
    let key = |bytes| {
        format!(
            "CREATE ENCO KEY=7 TYPE=RSA VALUE=0x{}\n",
            "5a".repeat(bytes)
        )
    };
    let told = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let taken = told(&gateway.piped(&key(5119)));
    assert!(taken.contains("the value is no RSA key"), "{taken}");
    for bytes in [6_200, 100_000] {
        let answer = gateway.piped(&format!("{}SHOW IPSEC\n", key(bytes)));
        let text = told(&answer);
        assert!(text.len() < 300, "{} bytes", text.len());
        assert!(
            text.starts_with("the line has more than 12288 bytes"),
            "{text}"
        );
        assert!(text.contains("IPSEC Module Configuration"), "{text}");
        assert_eq!(answer.status.code(), Some(1));
    }
}

#[test]
fn the_arrows_bring_lines_back() {
    let gateway = Gateway::new("history", CONFIG);
    let mut terminal = Terminal::new(&gateway, 100);
    for line in ["SHOW ISAKMP", "SHOW IPSEC SA"] {
        terminal.expect("SecOff > ").typed(line).typed("\r");
    }
    terminal.expect("SecOff > ");
    terminal.typed(UP).expect("SHOW IPSEC SA");
    terminal.typed(UP).expect("SHOW ISAKMP");
    terminal.typed(" EXCHANGE\r").expect("SecOff > ");
    terminal.typed(UP).expect("SHOW ISAKMP EXCHANGE");
    terminal.typed("\x15\x04");
    terminal.ends_with(0);
}

#[test]
fn long_answers_stop_at_each_page() {
    let gateway = Gateway::new("pages", CONFIG);
    let whole = gateway.once(&["SHOW IPSEC COUNTERS"]).stdout;
    let whole = String::from_utf8(whole).expect("text");
    let lines: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 60, "{}", lines.len());
    let mut terminal = Terminal::new(&gateway, 20);
    // All of it, page after page, then a line, then the rest at once.
    terminal.expect("SecOff > ").typed("SHOW IPSEC COUNTERS\r");
    terminal.expect(lines[0]).expect("--More--");
    assert!(!terminal.drawn.contains(lines[20]));
    terminal.typed(" ").expect("--More--");
    terminal.typed("\r").expect("--More--");
    let raw = terminal.raw.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(
        raw,
        1 + 19 + 19 + 1,
        "lines of two pages, a line, and what was typed"
    );
    terminal
        .typed("c")
        .expect(lines[lines.len() - 1])
        .expect("SecOff > ");
    assert!(!terminal.drawn.contains("--More--"));
    // The rest is not wanted.
    terminal.typed("SHOW IPSEC COUNTERS\r").expect("--More--");
    terminal.typed("q").expect("SecOff > ").typed("quit\r");
    let raw = terminal.ends_with(0);
    let last = raw.matches(lines[lines.len() - 1]).count();
    assert!(
        last < whole.matches(lines[lines.len() - 1]).count() * 2,
        "{raw}"
    );
}

#[test]
fn a_login_is_asked_for_its_password_which_nobody_sees() {
    let gateway = Gateway::new("login", &format!("{CONFIG}{SECURITY_MODE}"));
    let mut terminal = Terminal::new(&gateway, 50);
    terminal
        .expect("User > ")
        .typed("SHOW ENCO KEY=1\r")
        .expect("SECURITYOFFICER")
        .expect("User > ")
        .typed("LOGIN secoff\r")
        .expect("Password: ")
        .typed("wrong?\t\r")
        .expect("the password is wrong")
        .expect("User > ")
        .typed("LOGIN secoff\r")
        .expect("Password: ")
        .typed("PasswordS\r")
        .expect("Operation successful")
        .expect("SecOff > ")
        .typed(UP)
        .expect("LOGIN secoff")
        .typed("\x15SHOW ENCO KEY=1\r")
        .expect(KEY)
        .expect("SecOff > ")
        // Who thinks better of it stays who it was.
        .typed("LOGIN client\r")
        .expect("Password: ")
        .typed("\x03")
        .expect("SecOff > ")
        .typed("QUIT\r");
    let raw = terminal.ends_with(0);
    assert!(
        !raw.contains("PasswordS") && !raw.contains("wrong?"),
        "{raw}"
    );
    assert!(raw.contains("*********"), "{raw}");
}

/// What debugging prints appears above the line that is being typed, in the session that asked.
#[test]
fn reports_stand_above_the_line() {
    let mut gateway = Gateway::new("reports", CONFIG);
    let mut terminal = Terminal::new(&gateway, 50);
    let mut other = Terminal::new(&gateway, 50);
    other.expect("SecOff > ");
    terminal
        .expect("SecOff > ")
        .typed("ENABLE ISAKMP DEBUG=STATE\r")
        .expect("ISAKMP Debugging has been enabled")
        .expect("SecOff > ")
        .typed("SHOW IPS")
        .expect("SHOW IPS");
    gateway.report("ISAKMP MAIN exchange 11: New State: IDLE\n");
    terminal
        .expect("exchange 11: New State: IDLE")
        .expect("SecOff > SHOW IPS")
        .typed("EC SA\r")
        .expect("SecOff > ")
        .typed("quit\r");
    other.typed("quit\r");
    assert!(terminal.ends_with(0).contains("New State"));
    assert!(!other.ends_with(0).contains("New State"));
}

#[test]
fn a_gateway_that_ends_ends_the_session() {
    let mut gateway = Gateway::new("ends", CONFIG);
    let mut terminal = Terminal::new(&gateway, 50);
    terminal.expect("SecOff > ");
    gateway.end();
    terminal.expect("The gateway has ended.");
    terminal.typed("SHOW IPSEC\r");
    terminal.ends_with(2);
    let output = gateway.once(&["SHOW", "IPSEC"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no gateway answers at"), "{said}");
}

#[test]
fn the_exit_status_says_whether_a_command_failed() {
    let gateway = Gateway::new("status", CONFIG);
    for (words, code, said) in [
        (&["SHOW", "IPSEC"][..], 0, "Module Status"),
        (&["SHOW IPSEC"], 0, "Module Status"),
        (&["SHOW", "NONSENSE"], 1, "Error (3"),
        (
            &["CREATE", "ENCO", "KEY=7", "TYPE=GENERAL", "VALUE=two words"],
            0,
            "successful",
        ),
        (&["SHOW", "ENCO", "KEY=7"], 0, "0x74776f20776f726473"),
        (&["SHOW", "ISAKMP", "?"], 0, "EXCHANGE[=]"),
        (&["LOGIN", "secoff"], 1, ""),
    ] {
        let output = gateway.once(words);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
    }
}

#[test]
fn a_pipe_may_log_in() {
    let gateway = Gateway::new("pipe", &format!("{CONFIG}{SECURITY_MODE}"));
    let output = gateway
        .piped("# with the password in the next line\nLOGIN secoff\nPasswordS\nSHOW ENCO KEY=1\n");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains(KEY) && !text.contains("PasswordS") && !text.contains(" > "),
        "{text}"
    );
    // One failure among several is a failure.
    let output = gateway.piped("SHOW ENCO KEY=1\n\nSHOW IPSEC\n");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        !text.contains(KEY) && text.contains("Module Status"),
        "{text}"
    );
}

#[test]
fn the_socket_is_its_owners_alone() {
    let gateway = Gateway::new("owner", CONFIG);
    let mode = std::fs::metadata(&gateway.socket)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn more_sessions_than_there_is_room_for_are_turned_away() {
    let gateway = Gateway::new("many", CONFIG);
    let mut sessions: Vec<Terminal> = (0..8).map(|_| Terminal::new(&gateway, 50)).collect();
    for session in &mut sessions {
        session.expect("SecOff > ");
    }
    let output = gateway.once(&["SHOW", "IPSEC"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("too many sessions"), "{said}");
}

/// Whoever sends what is no line, or reads no answers, is told or waits; the others are served.
#[test]
fn a_session_that_misbehaves_harms_no_other() {
    let gateway = Gateway::new("rude", CONFIG);
    let connect = || UnixStream::connect(&gateway.socket).expect("a session");
    let mut endless = connect();
    endless.write_all(&[b'x'; 100_000]).expect("it is read");
    let mut deaf = connect();
    deaf.set_nonblocking(true).expect("a mode");
    while deaf.write(b"SHOW IPSEC COUNTERS\n").is_ok() {}
    let mut bytes = connect();
    bytes.write_all(b"\xff\x00\xfe=\"\n").expect("a session");
    assert_eq!(gateway.once(&["SHOW", "IPSEC"]).status.code(), Some(0));
    // Whatever it sent, it is told once it comes to an end.
    endless.write_all(b"\n").expect("it is read");
    endless.set_read_timeout(Some(PATIENCE)).expect("a mode");
    let (mut told, mut chunk) = (Vec::new(), [0; 256]);
    while !String::from_utf8_lossy(&told).contains("more than 12288 bytes") {
        let len = endless.read(&mut chunk).expect("an answer");
        assert!(len > 0, "{told:?}");
        told.extend_from_slice(&chunk[..len]);
    }
}
