//! Certificates: what can be read of them, and which chains prove a key.

use std::net::IpAddr;
use std::sync::OnceLock;

use ipsec_core::model::Name;
use isakmp_core::pki::{
    Certificate, CertificateRole, Chain, Facts, LONGEST_CERTIFICATE, LONGEST_CHAIN, Pki, Verifier,
    X509, check_path, read, read_file,
};

use super::input::Input;

/// A time at which the certificates of `tests/keys` are valid, in seconds since 1970.
const NOW: u64 = 1_750_000_000;

/// What a router knows: the root of `tests/keys`, and what stands in the certificates of A and B.
struct Known {
    pki: Pki,
    issued: [Facts; 2],
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let files: [&[u8]; 3] = [
            include_bytes!("../../keys/ca.crt.pem"),
            include_bytes!("../../keys/a.crt.pem"),
            include_bytes!("../../keys/b.crt.pem"),
        ];
        let [(der, facts), a, b] = files.map(|file| read_file(file).expect("a certificate"));
        let root = Certificate {
            name: Name::new("root"),
            file: "ca.crt".into(),
            role: CertificateRole::Ca,
            trusted: true,
            key: None,
            der,
            facts,
        };
        Known {
            pki: Pki {
                certificates: vec![root],
            },
            issued: [a.1, b.1],
        }
    })
}

/// A chain of certificates, each behind its length. Nobody but A and B is believed, and without
/// signatures nobody whose issuers are not what issuers must be.
pub fn certificates(data: &[u8]) {
    let mut input = Input::new(data);
    let mut chain = Vec::new();
    while let Some(der) = input.chunk().filter(|_| chain.len() <= LONGEST_CHAIN) {
        chain.push(der.to_vec());
    }
    let facts: Vec<Facts> = chain.iter().filter_map(|der| facts_of(der)).collect();
    let Some(first) = facts.first() else {
        return;
    };
    let known = known();
    let claimed = first.identity();
    // A name that hides a zero byte is nobody's, not even its own.
    let is_somebody = first.is(&claimed);
    let whole = facts.len() == chain.len();
    let question = Chain {
        peer: IpAddr::from([1, 1, 1, 1]),
        policy: Name::new("i"),
        identity: claimed,
        certificates: chain,
    };
    if let Ok(key) = X509.verify(&known.pki, NOW, &question) {
        assert!(whole && is_somebody && key == first.public_key);
        let issued = known.issued.iter().any(|own| own.signed == first.signed);
        assert!(issued, "nobody has signed this");
    }
    if whole && check_path(&known.pki, NOW, &facts, |_, _| true).is_ok() {
        assert!(first.not_before <= NOW && NOW <= first.not_after);
        let root = &known.pki.certificates[0].facts.subject;
        let above = |facts: &Facts| facts.is_ca && facts.subject == first.issuer;
        let issued = first.issuer == *root || facts.iter().any(above);
        let rooted = facts.iter().any(|facts| facts.issuer == *root);
        assert!(issued && rooted, "a path that no authority made");
    }
}

/// What can be read of a certificate; the same by itself and as a file.
fn facts_of(der: &[u8]) -> Option<Facts> {
    let facts = read(der).ok();
    let file = read_file(der).ok();
    if der.first() == Some(&0x30) {
        assert_eq!(file.map(|(_, facts)| facts), facts);
    }
    assert!(facts.is_none() || der.len() <= LONGEST_CERTIFICATE);
    facts
}
