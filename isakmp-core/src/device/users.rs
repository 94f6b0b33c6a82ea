//! The users of the router. Passwords are kept as salted, iterated hashes.

use alloc::vec::Vec;

use hw_offload::{Digest, Entropy, EntropyFault, Hash, Primitives, ct_eq};
use ipsec_core::model::Name;

use crate::xauth::{XauthAnswer, XauthProof, XauthStep};

/// Rounds of PBKDF2: slow enough to matter, quick enough for a small router.
const ROUNDS: u32 = 1000;

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
    salt: [u8; 8],
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
        let mut salt = [0; 8];
        entropy.fill(&mut salt)?;
        Ok(Self {
            salt,
            hash: derive(primitives, &salt, password),
        })
    }

    /// Whether that is the password.
    #[must_use]
    pub fn is(&self, primitives: &dyn Primitives, password: &str) -> bool {
        ct_eq(&self.hash, &derive(primitives, &self.salt, password))
    }
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
pub struct Users(Vec<User>);

impl Users {
    /// A user by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&User> {
        self.0.iter().find(|user| user.name == *name)
    }

    /// Adds a user; the caller has made sure that the name is free.
    pub fn add(&mut self, user: User) {
        self.0.push(user);
    }

    /// Whether a user of extended authentication is who it says. For a name that nobody has the
    /// same work is done as for a wrong password.
    #[must_use]
    pub fn authenticate(&self, primitives: &dyn Primitives, step: &XauthStep) -> XauthAnswer {
        // A digest cannot be held against another digest: that takes the password itself.
        let XauthProof::Password(password) = &step.proof else {
            return XauthAnswer::Reject;
        };
        let nobody = PasswordHash {
            salt: [0; 8],
            hash: Vec::new(),
        };
        let user = core::str::from_utf8(&step.user).ok();
        let user = user.and_then(|name| self.get(name));
        let hash = user.map_or(&nobody, |user| &user.password);
        let text = core::str::from_utf8(password.expose()).unwrap_or("");
        if hash.is(primitives, text) && user.is_some() {
            XauthAnswer::Accept
        } else {
            XauthAnswer::Reject
        }
    }

    /// Every user.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.iter()
    }
}
