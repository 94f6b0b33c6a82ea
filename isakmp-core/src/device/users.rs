//! The users of the router. Passwords are kept as salted, iterated hashes.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use hw_offload::{Digest, Entropy, EntropyFault, Hash, Primitives, ct_eq};
use ipsec_core::Instant;
use ipsec_core::model::Name;

use crate::xauth::{XauthAnswer, XauthProof, XauthStep};

/// Rounds of PBKDF2: slow enough to matter, quick enough for a small router.
const ROUNDS: u32 = 1000;
/// What the text form of a hash begins with: the function and its rounds.
const FORM: &str = "PBKDF2-SHA1:1000:";
const SALT: usize = 8;
const HASH: usize = 20;
/// Wrong passwords of one session, one after the other, that cost no time.
const FREE_GUESSES: u32 = 3;
/// From then on the time until the next guess doubles, up to this many times.
const DOUBLINGS: u32 = 6;
/// Wrong passwords of all sessions together that are put down to clumsy fingers. One is forgotten
/// every [`FORGETTING`], and no more than twice as many are remembered.
const CLUMSY: u32 = 12;
const FORGETTING: Duration = Duration::from_secs(60);
/// Beyond them each password is looked at only so long after it was offered first.
const PAUSE: Duration = Duration::from_secs(8);

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// Look.
    User,
    /// Change.
    Manager,
    /// Change what concerns security, and see it.
    SecurityOfficer,
}

impl Privilege {
    /// The word of the command language.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Manager => "MANAGER",
            Self::SecurityOfficer => "SECURITYOFFICER",
        }
    }
}

/// A password's hash with its salt (RFC 8018 §5.2, PBKDF2 with HMAC-SHA-1, one block).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash {
    salt: [u8; SALT],
    hash: Vec<u8>,
}

impl PasswordHash {
    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// [`EntropyFault`] when there is none to be had.
    pub fn new(
        primitives: &dyn Primitives,
        entropy: &mut dyn Entropy,
        password: &str,
    ) -> Result<Self, EntropyFault> {
        let mut salt = [0; SALT];
        entropy.fill(&mut salt)?;
        Ok(Self {
            salt,
            hash: derive(primitives, &salt, password),
        })
    }

    /// Reads the form in which a hash is written down; none for any other text. A password of just
    /// that form cannot be had.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (salt, hash) = text.strip_prefix(FORM)?.split_once(':')?;
        Some(Self {
            salt: unhex(salt)?,
            hash: unhex::<HASH>(hash)?.to_vec(),
        })
    }

    /// Whether that is the password.
    #[must_use]
    pub fn is(&self, primitives: &dyn Primitives, password: &str) -> bool {
        ct_eq(&self.hash, &derive(primitives, &self.salt, password))
    }
}

/// The form that [`PasswordHash::from_text`] reads, to keep a user beyond a restart.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORM)?;
        for byte in self.salt {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(":")?;
        for byte in &self.hash {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = core::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

fn derive(primitives: &dyn Primitives, salt: &[u8], password: &str) -> Vec<u8> {
    let prf = |parts: &[&[u8]]| primitives.hmac(Hash::Sha1, password.as_bytes(), parts);
    let mut block: Digest = prf(&[salt, &[0, 0, 0, 1]]);
    let mut sum = block.as_bytes().to_vec();
    for _ in 1..ROUNDS {
        block = prf(&[block.as_bytes()]);
        sum.iter_mut()
            .zip(block.as_bytes())
            .for_each(|(s, b)| *s ^= b);
    }
    sum
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: Name,
    /// The password.
    pub password: PasswordHash,
    /// What the user may do.
    pub privilege: Privilege,
    /// Whether the user may log in here; those who may not are peers' users.
    pub login: bool,
}

/// All users, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    users: Vec<User>,
    /// Wrong passwords of all sessions that are not forgotten yet.
    failures: u32,
    /// Until when they were forgotten.
    forgotten: Instant,
}

/// What one session has tried at the prompt. Every session waits for its own mistakes, so that
/// whoever guesses keeps nobody else out. While there are many wrong passwords in all, a session
/// without mistakes waits too, once and for a time that no other session makes longer: whoever
/// opens sessions anew gains nothing, and there are as many guesses in that time as sessions.
/// How many sessions are open at once is up to whoever opens them.
#[derive(Debug)]
pub struct Guesses {
    /// Wrong passwords since the last right one.
    failures: u32,
    /// No password is looked at before.
    wait: Instant,
    /// The next password has waited as long as all have to.
    paused: bool,
}

impl Guesses {
    /// Of a new session.
    pub const NONE: Self = Self {
        failures: 0,
        wait: Instant::ZERO,
        paused: false,
    };
}

impl Default for Guesses {
    fn default() -> Self {
        Self::NONE
    }
}

/// Why somebody may not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFault {
    /// There is no such user, it may not log in, or the password is another one.
    Wrong,
    /// Too many were wrong; the next is looked at after that time.
    Wait(Duration),
}

impl Users {
    /// A user by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == *name)
    }

    /// Adds a user; the caller has made sure that the name is free.
    pub fn add(&mut self, user: User) {
        self.users.push(user);
    }

    /// Whether a user of extended authentication is who it says.
    #[must_use]
    pub fn authenticate(&self, primitives: &dyn Primitives, step: &XauthStep) -> XauthAnswer {
        // A digest cannot be held against another digest: that takes the password itself.
        let XauthProof::Password(password) = &step.proof else {
            return XauthAnswer::Reject;
        };
        let text = core::str::from_utf8(password.expose()).unwrap_or("");
        let user = core::str::from_utf8(&step.user).ok();
        match self.verify(primitives, user.unwrap_or(""), text) {
            Some(_) => XauthAnswer::Accept,
            None => XauthAnswer::Reject,
        }
    }

    /// LOGIN at the prompt: the user, if the password is right and the user may log in. From the
    /// third wrong one in a row on, the session has to wait, longer each time.
    ///
    /// # Errors
    /// [`LoginFault`], which tells nobody whether there is such a user.
    pub fn login(
        &mut self,
        now: Instant,
        guesses: &mut Guesses,
        primitives: &dyn Primitives,
        name: &str,
        password: &str,
    ) -> Result<&User, LoginFault> {
        if now < guesses.wait {
            return Err(LoginFault::Wait(guesses.wait.since(now)));
        }
        if self.is_guessed(now) && !guesses.paused {
            guesses.paused = true;
            guesses.wait = now + PAUSE;
            return Err(LoginFault::Wait(PAUSE));
        }
        let user = self.verify(primitives, name, password);
        if user.is_some_and(|user| user.login) {
            *guesses = Guesses::NONE;
            return self.get(name).ok_or(LoginFault::Wrong);
        }
        // A right password of another user makes nobody forget these.
        self.failures = (self.failures + 1).min(2 * CLUMSY);
        guesses.failures = guesses.failures.saturating_add(1);
        let doublings = guesses.failures.checked_sub(FREE_GUESSES);
        let own = doublings.map_or(0, |doublings| 1 << doublings.min(DOUBLINGS));
        let own = Duration::from_secs(own);
        guesses.paused = self.is_guessed(now);
        let pause = if guesses.paused {
            PAUSE
        } else {
            Duration::ZERO
        };
        guesses.wait = now + own.max(pause);
        Err(LoginFault::Wrong)
    }

    /// Whether there were more wrong passwords lately than clumsy fingers account for.
    fn is_guessed(&mut self, now: Instant) -> bool {
        while self.failures > 0 && now.since(self.forgotten) >= FORGETTING {
            self.failures -= 1;
            self.forgotten += FORGETTING;
        }
        if self.failures == 0 {
            self.forgotten = now;
        }
        self.failures >= CLUMSY
    }

    /// The user of that name and password. For a name that nobody has the same work is done as for
    /// a wrong password.
    fn verify(&self, primitives: &dyn Primitives, name: &str, password: &str) -> Option<&User> {
        let nobody = PasswordHash {
            salt: [0; SALT],
            hash: Vec::new(),
        };
        let user = self.get(name);
        let hash = user.map_or(&nobody, |user| &user.password);
        let right = hash.is(primitives, password);
        user.filter(|_| right)
    }

    /// Every user.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_offload::SoftPrimitives;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
            for byte in out {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
            Ok(())
        }
    }

    fn users() -> Users {
        let mut users = Users::default();
        for (name, login) in [("secoff", true), ("client", false)] {
            users.add(User {
                name: Name::new(name),
                password: PasswordHash::new(&SoftPrimitives, &mut Counting(0), "PasswordS")
                    .expect("entropy"),
                privilege: Privilege::SecurityOfficer,
                login,
            });
        }
        users
    }

    /// RFC 6070 has no salt of eight bytes; the value is that of another implementation
    /// (Python's hashlib).
    #[test]
    fn the_hash_is_pbkdf2() {
        let hash = users().get("secoff").map(|user| user.password.clone());
        let text = hash.as_ref().map(|hash| alloc::format!("{hash}"));
        let known = "PBKDF2-SHA1:1000:0102030405060708:0cd64cc6ddfb830552b200b4573e0e02b997a558";
        assert_eq!(text.as_deref(), Some(known));
        assert_eq!(PasswordHash::from_text(known), hash);
    }

    #[test]
    fn only_the_written_form_of_a_hash_is_one() {
        let known = "PBKDF2-SHA1:1000:0102030405060708:0cd64cc6ddfb830552b200b4573e0e02b997a558";
        for wrong in [
            "",
            "PasswordS",
            "PBKDF2-SHA1:1000:",
            &known[..known.len() - 1],
            &known.replace("1000", "9999"),
            &known.replace('1', "+"),
            &alloc::format!("{known}0"),
        ] {
            assert_eq!(PasswordHash::from_text(wrong), None, "{wrong}");
        }
    }

    /// LOGIN of a session: whose, or why not.
    fn login(
        users: &mut Users,
        guesses: &mut Guesses,
        seconds: u64,
        (name, password): (&str, &str),
    ) -> Result<Name, LoginFault> {
        let now = Instant::from_secs(seconds);
        let user = users.login(now, guesses, &SoftPrimitives, name, password);
        user.map(|user| user.name.clone())
    }

    const fn wait(seconds: u64) -> Result<Name, LoginFault> {
        Err(LoginFault::Wait(Duration::from_secs(seconds)))
    }

    const WRONG: Result<Name, LoginFault> = Err(LoginFault::Wrong);
    const RIGHT: (&str, &str) = ("secoff", "PasswordS");

    fn officer() -> Result<Name, LoginFault> {
        Ok(Name::new("secoff"))
    }

    #[test]
    fn who_guesses_waits_longer_each_time() {
        let mut users = users();
        let mut own = Guesses::NONE;
        let mut login = |at, as_whom| login(&mut users, &mut own, at, as_whom);
        assert_eq!(login(0, ("SECOFF", "PasswordS")), officer());
        for as_whom in [("secoff", "passwords"), ("client", "PasswordS"), ("x", "")] {
            assert_eq!(login(0, as_whom), WRONG);
        }
        let mut at = 0;
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert_eq!(login(at, RIGHT), wait(seconds));
            at += seconds;
            assert_eq!(login(at, ("secoff", "x")), WRONG);
        }
        assert_eq!(login(at + 63, RIGHT), wait(1));
        assert_eq!(login(at + 64, RIGHT), officer());
        assert_eq!(login(at + 64, ("secoff", "x")), WRONG);
        assert_eq!(login(at + 64, RIGHT), officer());
    }

    /// A guesser who opens sessions anew, and who has a password of his own, is held to a guess of
    /// each session every 8 s; the officer waits once, however long that goes on.
    #[test]
    fn who_guesses_keeps_nobody_else_out() {
        let mut users = users();
        let mut one = Guesses::NONE;
        for _ in 0..3 {
            assert_eq!(login(&mut users, &mut one, 0, ("secoff", "x")), WRONG);
        }
        assert_eq!(login(&mut users, &mut one, 0, RIGHT), wait(1));
        let mut desk = Guesses::NONE;
        assert_eq!(login(&mut users, &mut desk, 0, RIGHT), officer());

        users.add(User {
            name: Name::new("guest"),
            login: true,
            ..users.get("client").cloned().expect("the client")
        });
        let mut looked_at = 0;
        let mut slots = [const { Guesses::NONE }; 4];
        for second in 1..=200 {
            for slot in &mut slots {
                while login(&mut users, slot, second, ("secoff", "x")) == WRONG {
                    looked_at += 1;
                    // Neither helps.
                    if looked_at % 2 == 0 {
                        *slot = Guesses::NONE;
                    }
                    let _ = login(&mut users, slot, second, ("guest", "PasswordS"));
                }
            }
        }
        // 9 at once, then at most 4 sessions every 8 s.
        assert!((60..=109).contains(&looked_at), "{looked_at}");
        for second in [200, 300] {
            let mut desk = Guesses::NONE;
            assert_eq!(login(&mut users, &mut desk, second, RIGHT), wait(8));
            for slot in &mut slots {
                let _ = login(&mut users, slot, second + 7, ("secoff", "x"));
            }
            assert_eq!(login(&mut users, &mut desk, second + 7, RIGHT), wait(1));
            assert_eq!(login(&mut users, &mut desk, second + 8, RIGHT), officer());
        }
        // It is forgotten.
        let later = 300 + 60 * 24;
        let mut desk = Guesses::NONE;
        assert_eq!(login(&mut users, &mut desk, later, RIGHT), officer());
    }
}
