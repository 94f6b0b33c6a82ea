//! `gateway pair` and `gateway check` as programs: what they print and how they exit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../configs/{name}.cfg"))
}

fn gateway(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(args)
        .output()
        .expect("the gateway starts")
}

fn pair(a: &Path, b: &Path) -> (Option<i32>, String) {
    let output = gateway(&[Path::new("pair"), a, b]);
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

/// A copy of a configuration with one thing changed.
fn changed(name: &str, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(config(name)).expect("the configuration is there");
    assert!(text.contains(from), "{name} has no {from}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "{}-{}.cfg",
        name.replace('/', "-"),
        to.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    ));
    fs::write(&path, text.replace(from, to)).expect("the target directory is writable");
    path
}

#[test]
fn the_basic_vpn_comes_up_with_nine_messages() {
    let (code, text) = pair(&config("basic-isakmp-vpn.a"), &config("basic-isakmp-vpn.b"));
    assert_eq!(code, Some(0), "{text}");
    let messages: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" mode "))
        .collect();
    assert_eq!(messages.len(), 9, "{text}");
    for (line, want) in messages.iter().zip([
        "Main mode 1: SA",
        "Main mode 2: SA",
        "Main mode 3: KE, NONCE",
        "Main mode 4: KE, NONCE",
        "Main mode 5: ID, HASH, N",
        "Main mode 6: ID, HASH, N",
        "Quick mode 1: HASH, SA, NONCE, ID, ID",
        "Quick mode 2: HASH, SA, NONCE, ID, ID",
        "Quick mode 3: HASH",
    ]) {
        assert!(line.contains(want), "{line} is not {want}");
    }
    assert_eq!(text.matches(": answered after").count(), 2, "{text}");
    assert!(text.ends_with("Every ping was answered through IPsec (4 packets).\n"));
}

#[test]
fn the_same_seed_prints_the_same_and_another_does_not_break_it() {
    let files = [config("basic-isakmp-vpn.a"), config("basic-isakmp-vpn.b")];
    let run = |seed: &str| {
        let words = [
            "--seed",
            seed,
            "--loss",
            "0.3",
            "--duplicate",
            "0.2",
            "--reorder",
            "0.2",
        ];
        let mut args = vec![Path::new("pair"), &files[0], &files[1]];
        args.extend(words.iter().map(Path::new));
        gateway(&args)
    };
    assert_eq!(run("7").stdout, run("7").stdout);
    assert_ne!(run("7").stdout, run("8").stdout);
}

#[test]
fn different_pre_shared_keys_are_told_in_one_sentence() {
    let a = changed("basic-isakmp-vpn.a", "jogefoge", "jogefogo");
    let (code, text) = pair(&a, &config("basic-isakmp-vpn.b"));
    assert_eq!(code, Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("The pre-shared keys differ, as far as B can tell"),
        "{last}"
    );
}

#[test]
fn different_ciphers_are_told_with_both_values() {
    for (name, to, about) in [
        (
            "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE",
            "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE ENCALG=3DESOUTER",
            "It is transform 1 of proposal 1, held against policy i.",
        ),
        (
            "ENCALG=DES",
            "ENCALG=3DESOUTER",
            "It is transform 1 of proposal 1, held against policy vpn.",
        ),
    ] {
        let a = changed("basic-isakmp-vpn.a", name, to);
        let (code, text) = pair(&a, &config("basic-isakmp-vpn.b"));
        assert_eq!(code, Some(1), "{text}");
        let last = text.lines().last().unwrap_or_default();
        let told = "refused A's proposal: ENCALG 3DESOUTER, B wants DES";
        assert!(last.contains(told), "{last}");
        assert!(text.lines().any(|line| line == about), "{text}");
    }
}

#[test]
fn other_selectors_are_told_with_both_values() {
    let b = changed("basic-isakmp-vpn.b", "RAD=192.168.10.0", "RAD=192.168.99.0");
    let (code, text) = pair(&config("basic-isakmp-vpn.a"), &b);
    assert_eq!(code, Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    let told = "policy vpn, RADDRESS: this router wants 192.168.99.0/24, the peer offers \
                192.168.10.0/24";
    assert!(last.contains(told), "{last}");
}

#[test]
fn fixed_manual_keys_need_no_isakmp_message() {
    let fixed = config("manual-key-vpn-fixed-values.a");
    let (code, text) = pair(&fixed, &config("manual-key-vpn.b"));
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains(" mode "), "{text}");
}

#[test]
fn random_manual_keys_fail_with_the_icv() {
    let (code, text) = pair(&config("manual-key-vpn.a"), &config("manual-key-vpn.b"));
    assert_eq!(code, Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("ICV"), "{last}");
}

#[test]
fn a_capture_holds_every_datagram_of_the_wan() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pair.pcap");
    let (a, b) = (config("basic-isakmp-vpn.a"), config("basic-isakmp-vpn.b"));
    let output = gateway(&[Path::new("pair"), &a, &b, Path::new("--pcap"), &path]);
    assert_eq!(output.status.code(), Some(0));
    let bytes = fs::read(&path).expect("the capture is there");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 101));
    let (mut at, mut protocols) = (24, Vec::new());
    while at < bytes.len() {
        protocols.push(bytes[at + 16 + 9]);
        at += 16 + word(at + 8) as usize;
    }
    assert_eq!(
        protocols,
        [17, 17, 17, 17, 17, 17, 17, 17, 17, 50, 50, 50, 50]
    );
}

#[test]
fn check_names_file_line_and_column() {
    let good = config("basic-isakmp-vpn.a");
    let output = gateway(&[Path::new("check"), &good]);
    assert_eq!(output.status.code(), Some(0));
    let bad = changed("basic-isakmp-vpn.b", "HASHALG=SHA", "HASHALG=SHAMAN");
    // One that cannot be read keeps no other from being checked.
    let output = gateway(&[Path::new("check"), Path::new("no/such.cfg"), &bad]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.starts_with("no/such.cfg: error: it cannot be read: "),
        "{text}"
    );
    let place = fs::read_to_string(&bad)
        .expect("just written")
        .lines()
        .position(|line| line.contains("SHAMAN"))
        .map(|line| line + 1)
        .expect("just changed");
    let head = format!("{}:{place}:", bad.display());
    let line = text.lines().find(|line| line.starts_with(&head));
    let line = line.unwrap_or_else(|| panic!("{head} is not in {text}"));
    assert!(
        line.contains(": error: ") && line.contains("SHAMAN"),
        "{line}"
    );
}

#[test]
fn wrong_arguments_are_named() {
    for (args, want) in [
        (&["pair", "x.cfg"][..], "two configurations"),
        (&["pair", "--loss", "2", "a", "b"], "--loss 2"),
        (&["pair", "--nonsense", "a", "b"], "--nonsense"),
        (&["pair", "no-such-file", "no-such-file"], "no-such-file"),
        (&["run"], "one configuration"),
        (&["run", "a.cfg", "--interface", "ppp0"], "NAME=DEVICE"),
        (&["fly"], "'fly'"),
    ] {
        let args: Vec<&Path> = args.iter().map(Path::new).collect();
        let output = gateway(&args);
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(want), "{args:?}: {text}");
    }
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).expect("the README is there");
    let (_, shown) = readme.split_once("```text\n").expect("a picture");
    let (shown, rest) = shown.split_once("```").expect("its end");
    let (_, text) = pair(&config("basic-isakmp-vpn.a"), &config("basic-isakmp-vpn.b"));
    let ours: Vec<&str> = text.lines().collect();
    let mut from = 0;
    for line in shown.lines().filter(|line| !line.is_empty()) {
        let found = ours[from..].iter().position(|ours| *ours == line);
        from += found.unwrap_or_else(|| panic!("{line} is not in {text}")) + 1;
    }
    // The refusal that the README quotes.
    let quoted = rest.split('`').find(|part| part.starts_with("B refused"));
    let quoted = quoted.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let a = changed(
        "basic-isakmp-vpn.b",
        "SENDN=TRUE",
        "SENDN=TRUE ENCALG=3DESOUTER",
    );
    let (_, text) = pair(&config("basic-isakmp-vpn.a"), &a);
    let told = text.lines().last().unwrap_or_default();
    assert_eq!(quoted.as_deref(), Some(told));
}

#[test]
fn pings_delay_time_and_debug_are_as_asked_for() {
    let (a, b) = (config("basic-isakmp-vpn.a"), config("basic-isakmp-vpn.b"));
    let run = |words: &[&str]| {
        let mut args = vec![Path::new("pair"), &a, &b];
        args.extend(words.iter().map(Path::new));
        let output = gateway(&args);
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text)
    };
    // Hosts behind either router; the farther away, the later.
    let (code, text) = run(&[
        "--ping",
        "192.168.20.9",
        "192.168.10.7",
        "--ping",
        "192.168.10.8",
        "192.168.20.9",
        "--delay",
        "500",
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("ping 192.168.20.9 > 192.168.10.7: answered after 5000 ms"),
        "{text}"
    );
    assert!(
        text.contains("ping 192.168.10.8 > 192.168.20.9: answered after 4500 ms"),
        "{text}"
    );
    // A router's own address; no policy protects that, so it is no success.
    let (code, text) = run(&["--ping", "1.1.1.1", "2.2.2.2"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.ends_with("2 packets crossed the WAN in clear.\n"),
        "{text}"
    );
    // The end of the time, and no answer by then.
    let (code, text) = run(&["--loss", "1", "--for", "20"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no answer to 21 requests"), "{text}");
    assert!(
        text.contains("  12.000  Main mode 1: SA [84 bytes] (again, 2)"),
        "{text}"
    );
    assert!(!text.contains("  28.000"), "{text}");
    // More is told with --debug.
    let lines = |words: &[&str]| run(words).1.lines().count();
    assert!(lines(&["--debug"]) > lines(&[]));
    // Bad weather, each seed its own.
    for seed in ["11", "12", "13", "14"] {
        let words = [
            "--loss",
            "0.3",
            "--duplicate",
            "0.2",
            "--for",
            "900",
            "--seed",
            seed,
        ];
        let (code, text) = run(&words);
        assert_eq!(code, Some(0), "seed {seed}: {text}");
    }
}

#[test]
fn check_tells_warnings_and_still_succeeds() {
    let weak = changed("basic-isakmp-vpn.a", "SENDN=TRUE", "SENDN=TRUE GROUP=0");
    let output = gateway(&[Path::new("check"), &weak, &config("basic-isakmp-vpn.b")]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let head = format!("{}:6:54: warning: ", weak.display());
    let line = text.lines().find(|line| line.starts_with(&head));
    assert!(line.is_some_and(|line| line.contains("GROUP=0")), "{text}");
    // Short keys and DES are told of both files, one line for each fault, and nothing is an error.
    let other = format!("{}:", config("basic-isakmp-vpn.b").display());
    let short = |line: &&str| line.starts_with(&other) && line.contains("pre-shared key of 8");
    assert_eq!(text.lines().filter(short).count(), 1, "{text}");
    assert!(!text.contains(": error: "), "{text}");
}

/// The picture of a ladder, and what `pair` printed last.
fn diagram(files: [&Path; 2], name: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let [a, b] = files;
    let output = gateway(&[Path::new("pair"), a, b, Path::new("--diagram"), &path]);
    let printed = String::from_utf8(output.stdout).expect("text");
    let last = printed.lines().last().unwrap_or("").to_owned();
    (fs::read_to_string(&path).expect("a picture"), last)
}

/// A changed picture is something to look at: then tests/ladder.svg is to be made anew.
#[test]
fn the_picture_of_the_basic_vpn() {
    let files = [config("basic-isakmp-vpn.a"), config("basic-isakmp-vpn.b")];
    let (picture, _) = diagram([&files[0], &files[1]], "basic.svg");
    assert_eq!(picture, include_str!("ladder.svg"));
}

#[test]
fn the_picture_of_a_failure_says_why() {
    let other = changed("basic-isakmp-vpn.b", "jogefoge", "another & <key>");
    let (picture, last) = diagram([&config("basic-isakmp-vpn.a"), &other], "failure.svg");
    let escaped = last
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    assert!(picture.contains(&escaped), "{last}: {picture}");
    assert!(picture.contains("class=\"note right odd\""), "{picture}");
    assert!(picture.contains(" again\""), "{picture}");
    for tag in ["text", "title", "style", "svg"] {
        let opened = picture.matches(&format!("<{tag}>")).count()
            + picture.matches(&format!("<{tag} ")).count();
        let closed = picture.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{tag}");
    }
}

/// Keys and certificates lie beside the configurations.
#[test]
fn two_routers_with_certificates() {
    let folder = config("certificates/a");
    let (code, text) = pair(&folder, &config("certificates/b"));
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "Main mode 5: ID, CERT, SIG, N",
        "Main mode 6: ID, CERT, SIG, N",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let other = changed("certificates/b", "REMOTEID=\"cn=A", "REMOTEID=\"cn=C");
    for file in ["b.key.pem", "b.crt.pem", "ca.crt.pem"] {
        let from = folder.with_file_name(file);
        fs::copy(from, other.with_file_name(file)).expect("the target directory is writable");
    }
    let (code, text) = pair(&folder, &other);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("REMOTEID"), "{text}");
}
