//! Why a negotiation failed: one value that log, trace and programs all print.

use core::fmt;

use ipsec_core::model::Name;

use crate::wire::{ExchangeType, NotifyType};

/// A short text of fixed size, which a reason can carry about: printable ASCII, since it may be a
/// stranger's word. Anything else is a question mark, and what is too long ends in dots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; Self::MOST],
    len: u8,
}

impl Text {
    /// The most bytes that it has: a prefix of IPv6 fits, and a name of a policy.
    const MOST: usize = 55;

    /// The text of a value.
    #[must_use]
    pub fn of(value: impl fmt::Display) -> Self {
        let mut text = Self {
            bytes: [0; Self::MOST],
            len: 0,
        };
        if fmt::Write::write_fmt(&mut text, format_args!("{value}")).is_err()
            && let Some(end) = text.bytes.last_chunk_mut::<3>()
        {
            *end = *b"...";
        }
        text
    }

    /// It.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let slot = self
                .bytes
                .get_mut(usize::from(self.len))
                .ok_or(fmt::Error)?;
            let printable = Some(character).filter(|c| matches!(c, ' '..='~'));
            *slot = u8::try_from(printable.unwrap_or('?')).unwrap_or(b'?');
            self.len += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value of an attribute, as a person would write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word of the command language.
    Word(&'static str),
    /// A number.
    Number(u64),
    /// An identity, addresses, or a name.
    Text(Text),
    /// The attribute is not there.
    Absent,
    /// There is nothing to tell of this side.
    Unsaid,
}

impl Value {
    /// The text of something.
    #[must_use]
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(Text::of(value))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Absent => f.write_str("none"),
            Self::Unsaid => Ok(()),
        }
    }
}

/// An attribute, an identity or selectors that the two sides have different ideas of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name in the command language.
    pub attribute: &'static str,
    /// Our value.
    pub ours: Value,
    /// The peer's value.
    pub theirs: Value,
    /// The numbers of the proposal and of its transform, where it is about one.
    pub proposal: Option<(u8, u8)>,
}

impl Mismatch {
    /// Of an attribute.
    #[must_use]
    pub const fn new(attribute: &'static str, ours: Value, theirs: Value) -> Self {
        Self {
            attribute,
            ours,
            theirs,
            proposal: None,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((proposal, transform)) = self.proposal {
            write!(f, "proposal {proposal}")?;
            if transform > 0 {
                write!(f, " transform {transform}")?;
            }
            f.write_str(", ")?;
        }
        let Self {
            attribute,
            ours,
            theirs,
            ..
        } = self;
        match (ours, theirs) {
            (Value::Unsaid, theirs) => write!(f, "{attribute}: the peer offers {theirs}"),
            (ours, Value::Unsaid) => write!(f, "{attribute}: this router wants {ours}"),
            (ours, theirs) => write!(
                f,
                "{attribute}: this router wants {ours}, the peer offers {theirs}"
            ),
        }
    }
}

/// Which side's doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// We refused what the peer sent.
    Ours,
    /// The peer refused, or did not answer.
    Theirs,
    /// The network, or nobody knows.
    Nobody,
}

macro_rules! subjects {
    ($($(#[$meta:meta])* $variant:ident = $number:literal, $sentence:literal, $advice:literal;)*) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Subject { $($(#[$meta])* $variant,)* }

        impl Subject {
            /// Every subject.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its number, stable across releases.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// One sentence without a full stop.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

subjects! {
    /// No ISAKMP policy for the peer.
    NoIsakmpPolicy = 1, "no ISAKMP policy names the peer's address",
        "CREATE ISAKMP POLICY with PEER= that address";
    /// No acceptable proposal.
    NoProposal = 2, "no proposal of the offer is acceptable",
        "make the ISAKMP policies and SA specifications of both routers agree";
    /// The pre-shared keys differ.
    PreSharedKey = 3, "the pre-shared keys differ, as far as this side can tell",
        "compare the keys of both routers with SHOW ENCO KEY";
    /// The peer's identity is not the expected one.
    Identity = 4, "the peer's identity is not the one that the ISAKMP policy expects",
        "compare REMOTEID with the peer's LOCALID";
    /// The hash of a later message is wrong.
    Hash = 5, "the hash of a message is wrong", "the message was damaged or forged";
    /// Not well-formed.
    Malformed = 6, "a message is malformed", "the peer has a fault or somebody interferes";
    /// A payload is missing or one too many.
    Payloads = 7, "a message has not the payloads that its exchange demands",
        "the peer has a fault or uses what this router does not support";
    /// No answer.
    Timeout = 8, "the peer does not answer", "check the route, UDP port 500 and the peer's policy";
    /// No selectors fit.
    Selectors = 9, "no IPsec policy has the selectors that the peer proposes",
        "compare LADDRESS, LMASK, RADDRESS and RMASK of both routers, exchanged";
    /// The crypto engine failed.
    Engine = 10, "the crypto engine failed", "look at the engine's own diagnostics";
    /// The source of randomness failed.
    Entropy = 11, "the source of randomness failed", "look at the random number generator";
    /// A table is full.
    Full = 12, "there is no room for another SA or exchange", "wait, or raise the limits";
    /// The peer's Diffie-Hellman value is bad.
    PublicValue = 13, "the peer's Diffie-Hellman value is not acceptable",
        "compare GROUP of both routers; else the peer has a fault";
    /// The peer refused.
    Refused = 14, "the peer refused", "look at the peer's log";
    /// The peer answered with something that was not offered.
    NotOffered = 15, "the peer chose what was not offered", "the peer has a fault";
    /// The configuration changed meanwhile.
    Changed = 16, "the configuration was changed meanwhile", "nothing, if that was intended";
    /// The key of the policy does not exist.
    NoKey = 17, "the key that the ISAKMP policy names does not exist",
        "CREATE ENCO KEY with the number that KEY= names";
    /// The installation of keys failed.
    Install = 18, "the negotiated SA could not be installed", "look at the crypto engine";
    /// No permit policy for ISAKMP itself.
    Forbidden = 19, "an IPsec policy of the interface forbids ISAKMP messages",
        "create a PERMIT policy with LPORT=500 RPORT=500 TRANSPORT=UDP before the IPSEC policies";
    /// Reflection of our own messages.
    Reflected = 20, "the peer returned this router's own values", "somebody interferes";
    /// Extended authentication refused the user.
    Xauth = 21, "extended authentication (XAUTH) did not accept the user",
        "compare XAUTHNAME and XAUTHPASSWORD with the users of the other side";
    /// The peer does not ask for extended authentication.
    NoXauth = 22, "the peer does not ask for extended authentication (XAUTH)",
        "use XAUTH=CLIENT only with a peer that has XAUTH=SERVER";
    /// Something under an SA whose user is not known yet.
    XauthFirst = 23, "the peer went on before extended authentication (XAUTH) was over",
        "look at the peer's XAUTH parameters";
    /// A weak key was derived.
    WeakKey = 24, "the key that was derived is a weak one", "nothing, another is negotiated";
    /// Only bundles with AH, and NAT between the ends.
    AhThroughNat = 25, "every candidate of the bundle has AH, which cannot pass the NAT between the ends",
        "use a bundle specification without AH";
    /// Another peer has these addresses.
    Taken = 26, "another peer has an SA for the addresses that the peer proposes",
        "give every peer of the policy its own address";
    /// No certificate came, and no KEY is configured.
    NoCertificate = 27, "the peer sent no certificate, and the ISAKMP policy has no KEY",
        "have the peer send its certificate, or give the policy the peer's public key with KEY=";
    /// Nobody who is trusted issued the peer's certificate.
    Untrusted = 28, "no trusted CA certificate leads to the peer's certificate",
        "ADD PKI CERTIFICATE with TYPE=CA TRUSTED=YES for the CA that issued it";
    /// Too early or too late for a certificate.
    Expired = 29, "a certificate of the peer's chain is not valid at this time",
        "look at the clock of this router, then have the certificate renewed";
    /// A certificate that cannot be read or that its issuer did not sign.
    BadCertificate = 30, "a certificate of the peer's chain is damaged or forged",
        "look at the peer's certificates with another program";
    /// A certificate that is for something else.
    CertificateUse = 31, "a certificate of the peer's chain may not be used for this",
        "CA certificates need basicConstraints and keyCertSign, the peer's digitalSignature";
    /// A certificate of somebody else.
    CertificateName = 32, "the peer's certificate does not carry the identity that the peer claims",
        "give the peer the LOCALID that stands in its certificate, as subject or subjectAltName";
    /// More certificates than are looked at.
    ChainTooLong = 33, "the peer's chain of certificates is too long", "shorten the chain";
    /// Nobody to renew a bundle with.
    Absent = 34, "the peer whose SA is to be renewed has no ISAKMP SA", "nothing: the peer begins anew";
    /// A signature is wrong.
    Signature = 35, "the signature of a message is wrong",
        "compare the peer's public key with the one that KEY= of the ISAKMP policy names";
    /// The peer begins with another exchange.
    Mode = 36, "the ISAKMP policy for the peer has another MODE than the peer uses",
        "give both routers the same MODE";
    /// A host name without an address.
    Unresolved = 37, "the host name of the ISAKMP policy has no address",
        "check the name and the name server";
    /// No IPsec policy for the peer.
    NoIpsecPolicy = 38, "no IPsec policy with KEYMANAGEMENT=ISAKMP is for the peer",
        "CREATE IPSEC POLICY with PEER= its address, or DYNAMIC for a peer without a fixed one";
    /// The answer has other selectors than the offer.
    OtherSelectors = 39, "the peer answers for other addresses than this router proposed",
        "the peer has a fault";
}

/// Why a negotiation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The exchange.
    pub exchange: ExchangeType,
    /// The number of the message in the exchange, from 1; 0 if it is about none.
    pub message: u8,
    /// What went wrong.
    pub subject: Subject,
    /// Whose doing it is.
    pub whose: Whose,
    /// The attribute that differs, of the nearest miss.
    pub mismatch: Option<Mismatch>,
    /// The policy of ours that decided: of ISAKMP in phase 1, of IPsec in phase 2.
    pub policy: Option<Text>,
    /// What the peer said, believed or not.
    pub notify: Option<NotifyType>,
}

impl Reason {
    /// A reason about a message of an exchange.
    #[must_use]
    pub const fn new(exchange: ExchangeType, message: u8, subject: Subject, whose: Whose) -> Self {
        Self {
            exchange,
            message,
            subject,
            whose,
            mismatch: None,
            policy: None,
            notify: None,
        }
    }

    /// The same with the policy that decided, unless one is told already.
    #[must_use]
    pub fn under(self, policy: &Name) -> Self {
        let policy = self.policy.unwrap_or_else(|| Text::of(policy));
        Self {
            policy: Some(policy),
            ..self
        }
    }

    /// The same with the attribute that differs.
    #[must_use]
    pub const fn with(self, mismatch: Option<Mismatch>) -> Self {
        Self { mismatch, ..self }
    }

    /// The same with what the peer said.
    #[must_use]
    pub const fn told(self, notify: Option<NotifyType>) -> Self {
        Self { notify, ..self }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.exchange)?;
        if self.message > 0 {
            write!(f, " message {}", self.message)?;
        }
        write!(f, ": {}", self.subject.sentence())?;
        match (self.policy, self.mismatch) {
            (Some(policy), Some(mismatch)) => write!(f, " (policy {policy}, {mismatch})")?,
            (Some(policy), None) => write!(f, " (policy {policy})")?,
            (None, Some(mismatch)) => write!(f, " ({mismatch})")?,
            (None, None) => {}
        }
        if let Some(notify) = self.notify {
            write!(f, "; the peer says {}", notify.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;

    use super::*;

    /// Numbers, sentences and advice are told apart by whoever reads them in a log.
    #[test]
    fn no_two_subjects_are_the_same() {
        let numbers: BTreeSet<u16> = Subject::ALL.iter().map(|s| s.number()).collect();
        let sentences: BTreeSet<&str> = Subject::ALL.iter().map(|s| s.sentence()).collect();
        assert_eq!(numbers.len(), Subject::ALL.len());
        assert_eq!(sentences.len(), Subject::ALL.len());
        assert!(Subject::ALL.iter().all(|s| !s.advice().is_empty()));
    }

    #[test]
    fn a_text_is_short_and_printable() {
        assert_eq!(Text::of("vpn").as_str(), "vpn");
        assert_eq!(Text::of("a\nb\u{202e}c\u{e9}").as_str(), "a?b?c?");
        let long = "x".repeat(Text::MOST);
        assert_eq!(Text::of(&long).as_str(), long);
        let longer = format!("{}...", "x".repeat(Text::MOST - 3));
        assert_eq!(Text::of("x".repeat(Text::MOST + 1)).as_str(), longer);
    }

    #[test]
    fn what_is_known_is_told() {
        let mismatch = Mismatch::new("HASHALG", Value::Word("SHA"), Value::Word("MD5"));
        let told = |mismatch, policy: Option<&str>| {
            let reason = Reason::new(ExchangeType::Main, 1, Subject::NoProposal, Whose::Ours);
            let reason = reason.with(mismatch);
            let reason = policy.map_or(reason, |name| reason.under(&Name::new(name)));
            String::from(
                format!("{reason}")
                    .split_once(" (")
                    .map_or("", |(_, told)| told),
            )
        };
        assert_eq!(told(None, None), "");
        assert_eq!(told(None, Some("main")), "policy main)");
        assert_eq!(
            told(Some(mismatch), None),
            "HASHALG: this router wants SHA, the peer offers MD5)"
        );
        let third = Mismatch {
            proposal: Some((1, 3)),
            ..mismatch
        };
        assert_eq!(
            told(Some(third), Some("main")),
            "policy main, proposal 1 transform 3, HASHALG: this router wants SHA, the peer offers MD5)"
        );
        let theirs = Mismatch {
            ours: Value::Unsaid,
            ..mismatch
        };
        assert_eq!(told(Some(theirs), None), "HASHALG: the peer offers MD5)");
    }
}
