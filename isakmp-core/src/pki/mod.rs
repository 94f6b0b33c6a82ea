//! Certificates: those that are configured, and whether a peer's chain leads to one of them.
//!
//! ISAKMP asks its questions as a [`Chain`] and gets the peer's public key, or a
//! [`CertificateFault`], from a [`Verifier`]. `X509` (feature `x509`) is one for X.509; a router
//! with another idea of trust answers the question by itself.

mod path;
#[cfg(feature = "x509")]
mod x509;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::KeyNumber;
use ipsec_core::model::Name;
use ipsec_core::words;

pub use path::check_path;
#[cfg(feature = "x509")]
pub use x509::{X509, read, read_file};

use crate::identity::{self, DN};
use crate::reason::Subject;
use crate::wire::{Identification, PayloadType, Writer};

/// Certificates that are taken from one message.
pub const LONGEST_CHAIN: usize = 5;
/// Bytes of the longest certificate that is looked at.
pub const LONGEST_CERTIFICATE: usize = 8192;
/// Authorities that are named in a request; of more of them any will do.
const MOST_REQUESTS: usize = 4;
/// The certificate encoding "X.509 certificate, signature" (RFC 2408 §3.9), the only one spoken.
pub(crate) const X509_SIGNATURE: u8 = 4;

words! {
    /// TYPE of ADD PKI CERTIFICATE: whose certificate it is.
    CertificateRole {
        /// A certificate authority's.
        Ca = "CA",
        /// A peer's.
        EndEntity = "EE",
        /// This router's own.
        Own = "SELF",
    }
}

/// Why a certificate or a chain of them does not prove a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not a certificate in DER, or one with what X.509 does not allow.
    #[error("it is no well-formed X.509 certificate")]
    Malformed,
    /// Longer than [`LONGEST_CERTIFICATE`].
    #[error("it is longer than {LONGEST_CERTIFICATE} bytes")]
    TooLarge,
    /// The key is no RSA key of 1024 to 8192 bits.
    #[error("its key is no RSA key of 1024 to 8192 bits")]
    Key,
    /// An algorithm other than RSA with SHA-1, SHA-256, SHA-384 or SHA-512.
    #[error(
        "it is signed with an algorithm other than RSA with SHA-1, SHA-256, SHA-384 or SHA-512"
    )]
    Algorithm,
    /// An extension that must be understood and is not.
    #[error("it has a critical extension that is not known here")]
    Extension,
    /// The issuer's signature is wrong.
    #[error("its signature is not that of its issuer")]
    Signature,
    /// Before its time.
    #[error("it is not valid yet")]
    NotYetValid,
    /// After its time.
    #[error("it has expired")]
    Expired,
    /// The issuer is no authority.
    #[error("its issuer is no CA")]
    NotCa,
    /// An authority of the chain may not have that many others below it.
    #[error("its issuer may not have so many CAs below it")]
    PathLength,
    /// keyUsage or extKeyUsage say otherwise.
    #[error("it may not be used for this")]
    Usage,
    /// It names somebody else.
    #[error("it does not carry the identity that was claimed")]
    Name,
    /// No trusted issuer.
    #[error("no trusted CA certificate leads to it")]
    Untrusted,
    /// More certificates than are looked at.
    #[error("the chain is longer than {LONGEST_CHAIN} certificates")]
    ChainTooLong,
}

impl CertificateFault {
    /// What the log says of it.
    #[must_use]
    pub const fn subject(self) -> Subject {
        match self {
            Self::Malformed
            | Self::TooLarge
            | Self::Key
            | Self::Algorithm
            | Self::Extension
            | Self::Signature => Subject::BadCertificate,
            Self::NotYetValid | Self::Expired => Subject::Expired,
            Self::NotCa | Self::PathLength | Self::Usage => Subject::CertificateUse,
            Self::Name => Subject::CertificateName,
            Self::Untrusted => Subject::Untrusted,
            Self::ChainTooLong => Subject::ChainTooLong,
        }
    }
}

/// The hash of a certificate's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureHash {
    /// SHA-1: what peers of the routers' age have.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What a certificate says, in the words of this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The subject's name in DER.
    pub subject: Vec<u8>,
    /// The issuer's name in DER.
    pub issuer: Vec<u8>,
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
    /// The subject's RSA key in the DER form of PKCS#1.
    pub public_key: Vec<u8>,
    /// The first second at which it is valid, since the epoch.
    pub not_before: u64,
    /// The last second at which it is valid, since the epoch.
    pub not_after: u64,
    /// Whether the subject is an authority (basicConstraints).
    pub is_ca: bool,
    /// How many authorities may stand between this one and the end of the chain.
    pub path_length: Option<u8>,
    /// Whether the key may sign certificates (keyUsage).
    pub signs_certificates: bool,
    /// Whether the key may sign in ISAKMP (keyUsage and extKeyUsage, RFC 4945 §5.1.3).
    pub signs_messages: bool,
    /// The subject's other names that ISAKMP has identities for.
    pub names: Vec<Identification>,
    /// The part that is signed, byte for byte as it came.
    pub signed: Vec<u8>,
    /// The hash of the signature.
    pub hash: SignatureHash,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Facts {
    /// Whether an identity is one of the subject's.
    #[must_use]
    pub fn is(&self, claimed: &Identification) -> bool {
        identity::matches(&self.identity(), claimed)
            || self
                .names
                .iter()
                .any(|name| identity::matches(name, claimed))
    }

    /// The subject's name as an identity.
    #[must_use]
    pub fn identity(&self) -> Identification {
        Identification {
            kind: DN,
            protocol: 0,
            port: 0,
            data: self.subject.clone(),
        }
    }

    /// # Errors
    /// [`CertificateFault::NotYetValid`] or [`CertificateFault::Expired`].
    pub(crate) const fn check_time(&self, now: u64) -> Result<(), CertificateFault> {
        if now < self.not_before {
            return Err(CertificateFault::NotYetValid);
        }
        if now > self.not_after {
            return Err(CertificateFault::Expired);
        }
        Ok(())
    }
}

/// A configured certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its name.
    pub name: Name,
    /// The file that it came from.
    pub file: String,
    /// Whose it is.
    pub role: CertificateRole,
    /// TRUSTED: whether chains may end in it.
    pub trusted: bool,
    /// The RSA key of this router that belongs to it.
    pub key: Option<KeyNumber>,
    /// The certificate itself.
    pub der: Vec<u8>,
    /// What it says.
    pub facts: Facts,
}

/// The configured certificates, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pki {
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

impl Pki {
    /// A certificate by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.name == *name)
    }

    /// This router's own certificate for one of its keys.
    #[must_use]
    pub fn own(&self, key: KeyNumber) -> Option<&Certificate> {
        self.certificates.iter().find(|certificate| {
            certificate.role == CertificateRole::Own && certificate.key == Some(key)
        })
    }

    /// Authorities; with `trusted` only those that chains may end in.
    pub(crate) fn authorities(&self, trusted: bool) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter(move |certificate| {
            certificate.role == CertificateRole::Ca && (certificate.trusted || !trusted)
        })
    }

    /// Whether anybody is trusted.
    #[must_use]
    pub fn trusts(&self) -> bool {
        self.certificates
            .iter()
            .any(|certificate| certificate.trusted && certificate.role != CertificateRole::Own)
    }

    /// Appends our own certificate for a key, and those of the authorities between it and a root,
    /// which the peer has.
    pub(crate) fn push_chain(&self, writer: &mut Writer, own: &Certificate) {
        let mut last = own;
        for _ in 0..LONGEST_CHAIN {
            let body = [&[X509_SIGNATURE], &last.der[..]].concat();
            writer.push(PayloadType::CERT, &body);
            let next = self.authorities(false).find(|authority| {
                authority.facts.subject == last.facts.issuer
                    && authority.facts.subject != authority.facts.issuer
            });
            match next {
                Some(next) => last = next,
                None => break,
            }
        }
    }

    /// Appends the requests for a certificate of somebody whom an authority of ours knows.
    pub(crate) fn push_requests(&self, writer: &mut Writer) {
        let named = self.authorities(true).count();
        if named == 0 || named > MOST_REQUESTS {
            writer.push(PayloadType::CR, &[X509_SIGNATURE]);
            return;
        }
        for authority in self.authorities(true) {
            let body = [&[X509_SIGNATURE], &authority.facts.subject[..]].concat();
            writer.push(PayloadType::CR, &body);
        }
    }
}

/// The question whether a chain of certificates proves a peer's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The peer's address.
    pub peer: IpAddr,
    /// The ISAKMP policy.
    pub policy: Name,
    /// Who the peer says it is. The first certificate must say the same.
    pub identity: Identification,
    /// At most [`LONGEST_CHAIN`] certificates as they came, the peer's own first.
    pub certificates: Vec<Vec<u8>>,
}

/// Whoever knows which certificates to believe.
pub trait Verifier {
    /// The peer's RSA key, in the DER form of PKCS#1, `now` in seconds since the epoch.
    ///
    /// # Errors
    /// [`CertificateFault`].
    fn verify(&self, pki: &Pki, now: u64, chain: &Chain) -> Result<Vec<u8>, CertificateFault>;
}
