//! Who may execute what, LOGIN, security mode, and that secrets are seen by nobody else.

use std::collections::BTreeSet;

use config_lang::grammar::{COMMANDS, Spec};
use config_lang::message::Severity;
use config_lang::{Console, Outcome, Surroundings};
use hw_offload::SoftEngines;
use hw_offload::testing::SeededEntropy;
use ipsec_core::Instant;
use isakmp_core::device::Privilege;
use lab::{Buf, Router};
use sekisho_tests::lines::shortest;

const USERS: &str = "ADD USER=secoff PASS=PasswordS PRIVILEGE=SECURITYOFFICER
ADD USER=manager PASS=\"Two words\" PRIVILEGE=MANAGER
ADD USER=looker PASS=p
ADD USER=client PASS=p LOGIN=NO
";
const SECURITY_MODE: &str = "ENABLE SYSTEM SECURITY MODE\n";
/// The refusal for want of rights.
const RIGHTS: &str = "Error (345009)";

/// A router with one session.
struct Desk {
    router: Router<SoftEngines<Buf>>,
    console: Console,
    entropy: SeededEntropy,
    now: Instant,
}

impl Desk {
    fn new(script: &str) -> Self {
        let mut router = Router::new(SoftEngines::new(64, 16, 16), 1);
        let findings = router.run_script(Instant::ZERO, script);
        assert!(findings.is_empty(), "{findings:?}");
        Self {
            router,
            console: Console::new(),
            entropy: SeededEntropy::new(1),
            now: Instant::ZERO,
        }
    }

    fn say(&mut self, line: &str) -> Outcome {
        let mut around = Surroundings {
            now: self.now,
            entropy: &mut self.entropy,
            host: &mut self.router.host,
        };
        self.console
            .execute(&mut self.router.device, &mut around, line)
    }

    fn prompt(&self) -> &'static str {
        self.console.prompt(self.router.device.state())
    }

    fn login(&mut self, name: &str, password: &str) -> Outcome {
        let outcome = self.say(&format!("LOGIN {name}"));
        assert_eq!((outcome.text.as_str(), outcome.worst), ("", Severity::Info));
        assert!(self.console.asks_password());
        assert_eq!(self.prompt(), "Password: ");
        let outcome = self.say(password);
        assert!(!self.console.asks_password());
        outcome
    }

    fn config(&mut self) -> String {
        self.say("SHOW CONFIG DYNAMIC=ISAKMP").text + &self.say("SHOW CONFIG").text
    }
}

#[test]
fn a_password_is_asked_for_and_the_rights_follow() {
    let mut desk = Desk::new(&format!("{USERS}{SECURITY_MODE}"));
    assert_eq!(desk.prompt(), "User > ");
    for (name, password, prompt) in [
        ("MANAGER", "Two words", "Manager > "),
        ("looker", "p", "User > "),
        ("secoff", "PasswordS", "SecOff > "),
    ] {
        let outcome = desk.login(name, password);
        assert_eq!(outcome.worst, Severity::Info, "{}", outcome.text);
        assert_eq!(desk.prompt(), prompt);
        assert!(desk.console.user().is_some_and(|user| *user == *name));
    }
}

/// A wrong password, no such user and a user of peers are refused in the same words; the session
/// stays who it was.
#[test]
fn a_login_is_refused_without_telling_why() {
    let mut refusals = BTreeSet::new();
    for (name, password) in [
        ("secoff", "passwords"),
        ("nobody", "PasswordS"),
        ("client", "p"),
    ] {
        let mut desk = Desk::new(&format!("{USERS}{SECURITY_MODE}"));
        let outcome = desk.login(name, password);
        assert_eq!(outcome.worst, Severity::Error);
        assert!(
            outcome
                .text
                .contains("the user name or the password is wrong")
        );
        refusals.insert(outcome.text);
        assert_eq!(desk.prompt(), "User > ");
        assert_eq!(desk.console.user(), None);
    }
    assert_eq!(refusals.len(), 1, "{refusals:?}");
}

/// Guessing takes time, for the session that guesses and for no other. Whoever opens one session
/// after the other waits as well.
#[test]
fn guesses_are_slowed_down() {
    let mut desk = Desk::new(USERS);
    for _ in 0..3 {
        assert!(desk.login("secoff", "x").text.contains("is wrong"));
    }
    let later = desk.login("secoff", "PasswordS");
    assert!(later.text.contains("refused for 1 s"), "{}", later.text);
    let guesser = std::mem::replace(&mut desk.console, Console::new());
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
    desk.console = guesser;
    desk.now = Instant::from_secs(1);
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
    for _ in 0..9 {
        desk.console = Console::new();
        assert!(desk.login("secoff", "x").text.contains("is wrong"));
    }
    desk.console = Console::new();
    let later = desk.login("secoff", "PasswordS");
    assert!(later.text.contains("refused for 8 s"), "{}", later.text);
    desk.now = Instant::from_secs(9);
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
}

fn expected(spec: &Spec, security_mode: bool) -> Privilege {
    let security = !matches!(spec.object.first(), Some(&("IP" | "IPV6" | "FIREWALL")));
    match (spec.verb, spec.object) {
        ("SHOW", ["ENCO", "KEY"])
        | ("ENABLE", ["ISAKMP", "DEBUG"])
        | ("ENABLE" | "DISABLE", ["SYSTEM", "SECURITY", "MODE"]) => Privilege::SecurityOfficer,
        ("SHOW" | "LOGIN", _) => Privilege::User,
        ("RESET", [.., "COUNTER"]) | ("DISABLE", [.., "DEBUG"]) => Privilege::Manager,
        _ if security_mode && security => Privilege::SecurityOfficer,
        _ => Privilege::Manager,
    }
}

/// Every command of the grammar, by every level, in both modes.
#[test]
fn each_level_may_what_is_its_own() {
    let levels = [
        Privilege::User,
        Privilege::Manager,
        Privilege::SecurityOfficer,
    ];
    for mode in ["", SECURITY_MODE] {
        let mut desk = Desk::new(&format!("{USERS}{mode}"));
        for rights in levels {
            for spec in COMMANDS {
                let security_mode = !mode.is_empty();
                desk.router.device.state_mut().security_mode = security_mode;
                desk.console = Console::vouched(rights);
                let line = shortest(spec);
                let outcome = desk.say(&line);
                let allowed = !outcome.text.contains(RIGHTS);
                let wanted = rights >= expected(spec, security_mode);
                assert_eq!(
                    allowed, wanted,
                    "{rights:?} {line} {mode}: {}",
                    outcome.text
                );
            }
        }
    }
}

#[test]
fn a_refusal_names_the_level_and_changes_nothing() {
    let mut desk = Desk::new(&format!("{USERS}{SECURITY_MODE}"));
    let before = config_lang::dump::all(desk.router.device.state());
    for line in [
        "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=x",
        "ENABLE ISAKMP",
        "SET CONFIG=a.cfg",
    ] {
        let outcome = desk.say(line);
        assert_eq!(outcome.worst, Severity::Error, "{line}");
        for part in [RIGHTS, "SECURITYOFFICER", "in security mode", "LOGIN"] {
            assert!(outcome.text.contains(part), "{line}: {}", outcome.text);
        }
    }
    assert_eq!(config_lang::dump::all(desk.router.device.state()), before);
}

/// An empty line instead of a password gives up and is no guess.
#[test]
fn an_empty_password_is_none() {
    let mut desk = Desk::new(USERS);
    for _ in 0..9 {
        let outcome = desk.login("secoff", "");
        assert_eq!((outcome.text.as_str(), outcome.worst), ("", Severity::Info));
        assert_eq!(desk.console.user(), None);
    }
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
}

/// A session that has enabled debugging watches from then on, whatever else it enables.
#[test]
fn a_session_goes_on_watching() {
    let mut desk = Desk::new("");
    for (line, watches) in [
        ("SHOW ISAKMP", false),
        ("ENABLE IPSEC", false),
        ("DISABLE ISAKMP DEBUG=ALL", false),
        ("ENABLE ISAKMP DEBUG=NONSENSE", false),
        ("ENABLE ISAKMP DEBUG=STATE", true),
        ("ENABLE ISAKMP", true),
        ("SHOW ISAKMP", true),
    ] {
        desk.say(line);
        assert_eq!(desk.console.watches(), watches, "{line}");
    }
}

#[test]
fn a_name_with_blanks_logs_in_too() {
    let mut desk = Desk::new("ADD USER=\"Jo Ge\" PASS=x PRIVILEGE=MANAGER\n");
    assert_eq!(desk.login("\"jo ge\"", "x").worst, Severity::Info);
    assert_eq!(desk.prompt(), "Manager > ");
}

#[test]
fn nobody_makes_users_of_more_rights() {
    let mut desk = Desk::new(USERS);
    desk.login("manager", "Two words");
    let outcome = desk.say("ADD USER=more PASS=x PRIVILEGE=SECURITYOFFICER");
    assert!(outcome.text.contains(RIGHTS), "{}", outcome.text);
    let outcome = desk.say("ADD USER=same PASS=x PRIVILEGE=MANAGER");
    assert_eq!(outcome.worst, Severity::Info, "{}", outcome.text);
}

/// The manual's steps 9 to 12 at the prompt: a Security Officer is made and logs in, the
/// configuration is saved, security mode begins; and again after a restart from that file.
#[test]
fn security_mode_as_the_manual_enters_it_and_after_a_restart() {
    let mut desk = Desk::new("");
    let early = desk.say("ENABLE SYSTEM SECURITY MODE");
    assert!(early.text.contains("SECURITYOFFICER"), "{}", early.text);
    // One who could not log in would lock everybody out.
    desk.say("ADD USER=nobody PASS=x PRIVILEGE=SECURITYOFFICER LOGIN=NO");
    let early = desk.say("ENABLE SYSTEM SECURITY MODE");
    assert!(early.text.contains("who may log in"), "{}", early.text);
    desk.say("ADD USER=secoff PASS=PasswordS PRIVILEGE=SECURITYOFFICER");
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
    for line in ["SET CONFIG=ipsecvpn.cfg", "ENABLE SYSTEM SECURITY MODE"] {
        desk.say("CREATE CONFIG=ipsecvpn.cfg");
        let outcome = desk.say(line);
        assert_eq!(outcome.worst, Severity::Info, "{line}: {}", outcome.text);
    }
    assert_eq!(desk.prompt(), "SecOff > ");
    desk.say("CREATE CONFIG=ipsecvpn.cfg");
    let file = desk
        .router
        .host
        .files
        .get("ipsecvpn.cfg")
        .expect("the file")
        .clone();
    assert!(!file.contains("PasswordS"), "{file}");

    let mut desk = Desk::new(&file);
    assert_eq!(desk.prompt(), "User > ");
    assert_eq!(desk.login("secoff", "PasswordS").worst, Severity::Info);
    assert_eq!(desk.prompt(), "SecOff > ");
    let outcome = desk.say("DISABLE SYSTEM SECURITY MODE");
    assert_eq!(outcome.worst, Severity::Info, "{}", outcome.text);
    desk.console = Console::new();
    assert_eq!(desk.prompt(), "SecOff > ");
}

/// What a device keeps secret stands in no screen for those who are no Security Officers, whatever
/// they ask for; a Security Officer finds it in the configuration, but no password.
#[test]
fn secrets_are_a_security_officers_alone() {
    let secrets = [
        "0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957",
        "431D62CD3CB76FB8101DACAF43AA4DBFB919E957",
        "7069636172645f736563726574",
        "sharedwithradius",
        "xauthpassword",
    ];
    let script = format!(
        "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=\"picard_secret\"
ADD RADIUS SERVER=10.0.0.9 SECRET=sharedwithradius
ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 XAUTH=CLIENT XAUTHNAME=me XAUTHPASSWORD=xauthpassword
{USERS}"
    );
    let mut desk = Desk::new(&script);
    let whole = desk.config();
    for secret in [
        secrets[0],
        secrets[2],
        secrets[3],
        secrets[4],
        "PBKDF2-SHA1:",
    ] {
        assert!(whole.contains(secret), "{secret}: {whole}");
    }
    assert!(
        !whole.contains("PasswordS") && !whole.contains("Two words"),
        "{whole}"
    );
    for rights in [Privilege::User, Privilege::Manager] {
        desk.console = Console::vouched(rights);
        let mut seen = desk.config();
        for spec in COMMANDS.iter().filter(|spec| spec.verb == "SHOW") {
            seen += &desk.say(&shortest(spec)).text;
        }
        for key in ["1", "2"] {
            seen += &desk.say(&format!("SHOW ENCO KEY={key}")).text;
        }
        seen += &desk.say("SHOW ISAKMP POLICY=i").text;
        for secret in secrets.iter().chain(&["PBKDF2", "PasswordS", "Two words"]) {
            assert!(!seen.contains(secret), "{rights:?} sees {secret}: {seen}");
        }
        for line in [
            "# CREATE ENCO KEY=1 TYPE=GENERAL VALUE=... (only a Security Officer sees it)",
            "# ADD RADIUS SERVER=10.0.0.9 SECRET=...",
            "XAUTHNAME=\"me\" XAUTHPASSWORD=...",
            "# ADD USER=\"secoff\" PASSWORD=... PRIVILEGE=SECURITYOFFICER",
        ] {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        // What is left is still a script.
        let findings = Router::new(SoftEngines::<Buf>::new(64, 16, 16), 1)
            .run_script(Instant::ZERO, &desk.say("SHOW CONFIG").text);
        assert!(findings.is_empty(), "{findings:?}");
    }
}

/// A password in the form of its hash makes a user with that password, and nothing else does.
#[test]
fn a_hash_is_taken_for_its_password() {
    let desk = Desk::new(USERS);
    let text = config_lang::dump::all(desk.router.device.state());
    let mut again = Desk::new(&text);
    let users = |desk: &Desk| desk.router.device.state().users.clone();
    assert_eq!(users(&again), users(&desk));
    assert_eq!(again.login("manager", "Two words").worst, Severity::Info);
    let hash = users(&desk)
        .get("manager")
        .map(|user| user.password.to_string());
    let wrong = again.login("manager", &hash.unwrap_or_default());
    assert_eq!(wrong.worst, Severity::Error, "a hash is no password");
}
