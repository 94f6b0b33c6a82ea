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
/// Wrong passwords at the prompt, one after the other, that cost no time.
const FREE_GUESSES: u32 = 3;
/// From then on the time until the next guess doubles, up to this many times.
const DOUBLINGS: u32 = 6;

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
    /// Wrong passwords at the prompt since the last right one.
    failures: u32,
    /// No password is looked at before.
    wait: Instant,
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
    /// third wrong one in a row on, whoever tries has to wait, longer each time.
    ///
    /// # Errors
    /// [`LoginFault`], which tells nobody whether there is such a user.
    pub fn login(
        &mut self,
        now: Instant,
        primitives: &dyn Primitives,
        name: &str,
        password: &str,
    ) -> Result<&User, LoginFault> {
        if now < self.wait {
            return Err(LoginFault::Wait(self.wait.since(now)));
        }
        let user = self.verify(primitives, name, password);
        if user.is_some_and(|user| user.login) {
            self.failures = 0;
            return self.get(name).ok_or(LoginFault::Wrong);
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(doublings) = self.failures.checked_sub(FREE_GUESSES) {
            let seconds = 1 << doublings.min(DOUBLINGS);
            self.wait = now + Duration::from_secs(seconds);
        }
        Err(LoginFault::Wrong)
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

    #[test]
    fn who_guesses_waits_longer_each_time() {
        let mut users = users();
        let mut login = |now, name, password| {
            let user = users.login(now, &SoftPrimitives, name, password);
            user.map(|user| user.name.clone())
        };
        let wait = |seconds| Err(LoginFault::Wait(Duration::from_secs(seconds)));
        let at = Instant::from_secs;
        assert_eq!(login(at(0), "SECOFF", "PasswordS"), Ok(Name::new("secoff")));
        for (name, password) in [("secoff", "passwords"), ("client", "PasswordS"), ("x", "")] {
            assert_eq!(login(at(0), name, password), Err(LoginFault::Wrong));
        }
        assert_eq!(login(at(0), "secoff", "PasswordS"), wait(1));
        assert_eq!(login(at(1), "secoff", "x"), Err(LoginFault::Wrong));
        assert_eq!(login(at(1), "secoff", "PasswordS"), wait(2));
        assert_eq!(login(at(3), "secoff", "x"), Err(LoginFault::Wrong));
        assert_eq!(login(at(4), "secoff", "PasswordS"), wait(3));
        assert_eq!(login(at(7), "secoff", "PasswordS"), Ok(Name::new("secoff")));
        assert_eq!(login(at(7), "secoff", "x"), Err(LoginFault::Wrong));
        assert_eq!(login(at(7), "secoff", "PasswordS"), Ok(Name::new("secoff")));
    }
}
