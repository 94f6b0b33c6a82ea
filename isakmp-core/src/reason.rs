//! Why a negotiation failed: one value that log, trace and programs all print.

use core::fmt;

use crate::wire::{ExchangeType, NotifyType};

/// A value of an attribute, as a person would write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word of the command language.
    Word(&'static str),
    /// A number.
    Number(u64),
    /// The attribute is not there.
    Absent,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Number(number) => number.fmt(f),
            Self::Absent => f.write_str("none"),
        }
    }
}

/// An attribute that the two sides have different ideas of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name in the command language.
    pub attribute: &'static str,
    /// Our value.
    pub ours: Value,
    /// The peer's value.
    pub theirs: Value,
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
    /// Reflection of our own messages.
    Reflected = 20, "the peer returned this router's own values", "somebody interferes";
    /// A signature is wrong.
    Signature = 21, "the signature of a message is wrong",
        "compare the peer's public key with the one that KEY= of the ISAKMP policy names";
    /// The peer begins with another exchange.
    Mode = 22, "the ISAKMP policy for the peer has another MODE than the peer uses",
        "give both routers the same MODE";
    /// A host name without an address.
    Unresolved = 23, "the host name of the ISAKMP policy has no address",
        "check the name and the name server";
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
            notify: None,
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
        if let Some(Mismatch {
            attribute,
            ours,
            theirs,
        }) = self.mismatch
        {
            write!(
                f,
                " ({attribute}: this router wants {ours}, the peer offers {theirs})"
            )?;
        }
        if let Some(notify) = self.notify {
            write!(f, "; the peer says {}", notify.name())?;
        }
        Ok(())
    }
}
