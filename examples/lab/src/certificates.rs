//! Certificates made on the spot, good ones and others: tests need some that no program issues.
//!
//! Everything is written here byte by byte, so that the reader under test meets another idea of
//! X.509 than its own.

use hw_offload::testing::SeededEntropy;
use hw_offload::{
    Hash, Primitives, PublicEngine, PublicJob, PublicValue, RsaSeed, Secret, SoftPrimitives,
    SoftPublic, Ticket, rsa_public_half,
};
use isakmp_core::identity;

/// Seconds since the epoch at which certificates end that shall never end (RFC 5280 §4.1.2.5).
pub const NEVER: &str = "99991231235959Z";

/// An RSA key pair, always the same for the same seed.
///
/// # Panics
/// If the engine fails.
#[must_use]
pub fn key_pair(bits: u16, seed: u64) -> Secret {
    let seed = RsaSeed::draw(&mut SeededEntropy::new(seed)).expect("randomness");
    let ticket = Ticket(0);
    match compute(PublicJob::RsaGenerate { ticket, bits, seed }) {
        PublicValue::PrivateKey(key) => key,
        other => panic!("{other:?}"),
    }
}

fn compute(job: PublicJob) -> PublicValue {
    let mut engine = SoftPublic::new(1);
    engine.submit(job).expect("there is room");
    loop {
        if let Some(done) = engine.poll(u32::MAX) {
            return done.result.expect("a good job");
        }
    }
}

/// What a certificate shall say.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The subject, as the command language writes names.
    pub subject: String,
    /// The issuer.
    pub issuer: String,
    /// notBefore and notAfter as GeneralizedTime, or as UTCTime if that short.
    pub validity: [String; 2],
    /// basicConstraints: whether it is an authority, and how many others may follow.
    pub ca: Option<(bool, Option<u8>)>,
    /// keyUsage: the first bit is digitalSignature, the sixth keyCertSign.
    pub usage: Option<u8>,
    /// extKeyUsage: object identifiers in DER, without their header.
    pub uses: Vec<Vec<u8>>,
    /// subjectAltName: the number of the choice and its content.
    pub names: Vec<(u8, Vec<u8>)>,
    /// A critical extension that nobody knows.
    pub strange: bool,
    /// Whether SHA-1 is used instead of SHA-256.
    pub sha1: bool,
}

/// digitalSignature.
pub const SIGNS_MESSAGES: u8 = 0x80;
/// keyCertSign and cRLSign.
pub const SIGNS_CERTIFICATES: u8 = 0x06;

impl Draft {
    /// An authority.
    #[must_use]
    pub fn authority(subject: &str, issuer: &str) -> Self {
        Self {
            ca: Some((true, None)),
            usage: Some(SIGNS_CERTIFICATES),
            ..Self::router(subject, issuer)
        }
    }

    /// A router.
    #[must_use]
    pub fn router(subject: &str, issuer: &str) -> Self {
        Self {
            subject: subject.into(),
            issuer: issuer.into(),
            validity: ["700101000000Z".into(), NEVER.into()],
            ca: None,
            usage: Some(SIGNS_MESSAGES),
            uses: Vec::new(),
            names: Vec::new(),
            strange: false,
            sha1: false,
        }
    }

    /// The certificate of a key pair, signed with an issuer's.
    ///
    /// # Panics
    /// For names that are none, and keys.
    #[must_use]
    pub fn issue(&self, key: &Secret, issuer: &Secret) -> Vec<u8> {
        let algorithm = algorithm(self.sha1);
        let name = |text: &str| identity::parse(text).expect("a name").data;
        let time = |text: &str| element(if text.len() > 13 { 0x18 } else { 0x17 }, text.as_bytes());
        let [from, until] = &self.validity;
        let public = rsa_public_half(key).expect("an RSA key");
        let rsa = [&element(6, RSA_ENCRYPTION)[..], &[5, 0]].concat();
        let signed = element(
            0x30,
            &[
                element(0xa0, &[2, 1, 2]),
                element(2, &[1]),
                algorithm.clone(),
                name(&self.issuer),
                element(0x30, &[time(from), time(until)].concat()),
                name(&self.subject),
                element(0x30, &[element(0x30, &rsa), bits(&public)].concat()),
                element(0xa3, &element(0x30, &self.extensions())),
            ]
            .concat(),
        );
        let signature = sign(issuer, &signed, self.sha1);
        element(0x30, &[signed, algorithm, bits(&signature)].concat())
    }

    fn extensions(&self) -> Vec<u8> {
        let mut all = Vec::new();
        if let Some((ca, length)) = self.ca {
            let mut content = if ca { vec![1, 1, 0xff] } else { Vec::new() };
            if let Some(length) = length {
                content.extend([2, 1, length]);
            }
            all.extend(extension(&[0x55, 0x1d, 19], true, &element(0x30, &content)));
        }
        if let Some(usage) = self.usage {
            // Named bits end with the last one that is set.
            let unused = u8::try_from(usage.trailing_zeros().min(7)).unwrap_or(7);
            all.extend(extension(&[0x55, 0x1d, 15], true, &[3, 2, unused, usage]));
        }
        if !self.uses.is_empty() {
            let uses = self.uses.iter().flat_map(|oid| element(6, oid));
            let content = element(0x30, &uses.collect::<Vec<_>>());
            all.extend(extension(&[0x55, 0x1d, 37], false, &content));
        }
        if !self.names.is_empty() {
            let names = self.names.iter();
            let names = names.flat_map(|(choice, content)| element(0x80 | choice, content));
            let content = element(0x30, &names.collect::<Vec<_>>());
            all.extend(extension(&[0x55, 0x1d, 17], false, &content));
        }
        if self.strange {
            all.extend(extension(&[0x2a, 3, 4], true, &[5, 0]));
        }
        all
    }
}

/// rsaEncryption.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// The algorithm of a signature: sha1WithRSAEncryption or sha256WithRSAEncryption.
fn algorithm(sha1: bool) -> Vec<u8> {
    let last = if sha1 { 5 } else { 11 };
    let oid = [&RSA_ENCRYPTION[..8], &[last]].concat();
    element(0x30, &[&element(6, &oid)[..], &[5, 0]].concat())
}

/// A signature: RFC 8017 §9.2 around the hash.
fn sign(key: &Secret, signed: &[u8], sha1: bool) -> Vec<u8> {
    use sha2::Digest;
    let (oid, hash): (&[u8], Vec<u8>) = if sha1 {
        let hash = SoftPrimitives.hash(Hash::Sha1, &[signed]);
        (&[0x2b, 0x0e, 3, 2, 0x1a], hash.as_bytes().to_vec())
    } else {
        let oid = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
        (oid, sha2::Sha256::digest(signed).to_vec())
    };
    let algorithm = element(0x30, &[&element(6, oid)[..], &[5, 0]].concat());
    let digest = element(0x30, &[algorithm, element(4, &hash)].concat());
    let seed = RsaSeed::draw(&mut SeededEntropy::new(1)).expect("randomness");
    match compute(PublicJob::RsaSign {
        ticket: Ticket(0),
        key: key.duplicate(),
        digest,
        seed,
    }) {
        PublicValue::Signature(signature) => signature,
        other => panic!("{other:?}"),
    }
}

fn extension(oid: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let mut body = element(6, oid);
    if critical {
        body.extend([1, 1, 0xff]);
    }
    body.extend(element(4, content));
    element(0x30, &body)
}

/// A bit string of whole bytes.
fn bits(content: &[u8]) -> Vec<u8> {
    element(3, &[&[0], content].concat())
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = u16::try_from(content.len()).expect("short");
    let [high, low] = length.to_be_bytes();
    match length {
        0..0x80 => bytes.push(low),
        0x80..0x100 => bytes.extend([0x81, low]),
        _ => bytes.extend([0x82, high, low]),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The PEM form, for files of routers.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = String::new();
    for group in der.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(number >> (18 - 6 * place) & 63).unwrap_or(0);
            let pad = place > group.len();
            digits.push(if pad { '=' } else { char::from(DIGITS[digit]) });
        }
    }
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
