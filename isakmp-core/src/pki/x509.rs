//! X.509 certificates (RFC 5280) with RSA keys: read with the `x509-cert` crate, their signatures
//! checked with the RSA of `hw-offload`.

use alloc::vec::Vec;

use hw_offload::{Hash, Primitives, SoftPrimitives, rsa_verify};
use sha2::Digest;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use super::{
    CertificateFault, Chain, Facts, LONGEST_CERTIFICATE, LONGEST_CHAIN, Pki, SignatureHash,
    Verifier, check_path,
};
use crate::identity::DN;
use crate::wire::Identification;

/// rsaEncryption (RFC 8017 appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The signature algorithms (RFC 8017 appendix A.2.4), and what stands before the hash in a block
/// that is signed (its §9.2).
const ALGORITHMS: &[(ObjectIdentifier, SignatureHash, &[u8])] = &[
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"),
        SignatureHash::Sha1,
        &[
            0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
            0x14,
        ],
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
        SignatureHash::Sha256,
        &[
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ],
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
        SignatureHash::Sha384,
        &[
            0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x02, 0x05, 0x00, 0x04, 0x30,
        ],
    ),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
        SignatureHash::Sha512,
        &[
            0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0x04, 0x40,
        ],
    ),
];

/// Uses of a key that do not speak against ISAKMP: any, the three of IPsec, IKE intermediate and
/// IPsec IKE (RFC 4945 §5.1.3.12), and those of TLS, which gateways' certificates often have.
const USES: &[&str] = &[
    "2.5.29.37.0",
    "1.3.6.1.5.5.7.3.1",
    "1.3.6.1.5.5.7.3.2",
    "1.3.6.1.5.5.7.3.5",
    "1.3.6.1.5.5.7.3.6",
    "1.3.6.1.5.5.7.3.7",
    "1.3.6.1.5.5.7.3.17",
    "1.3.6.1.5.5.8.2.2",
];

/// Extensions that may be critical: those that are read here, and certificatePolicies, which are
/// all acceptable.
const KNOWN: &[ObjectIdentifier] = &[
    BasicConstraints::OID,
    KeyUsage::OID,
    ExtendedKeyUsage::OID,
    SubjectAltName::OID,
    ObjectIdentifier::new_unwrap("2.5.29.32"),
];

/// The verifier for X.509.
#[derive(Clone, Copy, Debug)]
pub struct X509;

impl Verifier for X509 {
    fn verify(&self, pki: &Pki, now: u64, chain: &Chain) -> Result<Vec<u8>, CertificateFault> {
        if chain.certificates.len() > LONGEST_CHAIN {
            return Err(CertificateFault::ChainTooLong);
        }
        let given = chain.certificates.iter().map(|der| read(der));
        let given = given.collect::<Result<Vec<_>, _>>()?;
        check_path(pki, now, &given, is_signed_by)?;
        let peer = given.first().ok_or(CertificateFault::Untrusted)?;
        if !peer.is(&chain.identity) {
            return Err(CertificateFault::Name);
        }
        Ok(peer.public_key.clone())
    }
}

/// Whether the key of an authority made the signature of a certificate.
fn is_signed_by(one: &Facts, authority: &Facts) -> bool {
    let Some((_, hash, prefix)) = ALGORITHMS.iter().find(|(_, hash, _)| *hash == one.hash) else {
        return false;
    };
    let digest = match hash {
        SignatureHash::Sha1 => SoftPrimitives
            .hash(Hash::Sha1, &[&one.signed])
            .as_bytes()
            .to_vec(),
        SignatureHash::Sha256 => sha2::Sha256::digest(&one.signed).to_vec(),
        SignatureHash::Sha384 => sha2::Sha384::digest(&one.signed).to_vec(),
        SignatureHash::Sha512 => sha2::Sha512::digest(&one.signed).to_vec(),
    };
    let block = [prefix, &digest[..]].concat();
    rsa_verify(&authority.public_key, &block, &one.signature).is_ok()
}

/// The certificate in a file, PEM or DER, as DER, and what it says.
///
/// # Errors
/// [`CertificateFault`].
pub fn read_file(content: &[u8]) -> Result<(Vec<u8>, Facts), CertificateFault> {
    let der = if content.first() == Some(&0x30) {
        content.to_vec()
    } else {
        from_pem(content)?
    };
    let facts = read(&der)?;
    Ok((der, facts))
}

/// Text may stand around the PEM form, as other programs write it.
fn from_pem(content: &[u8]) -> Result<Vec<u8>, CertificateFault> {
    let text = core::str::from_utf8(content).map_err(|_| CertificateFault::Malformed)?;
    let start = text.find("-----BEGIN CERTIFICATE-----");
    let text = start.and_then(|start| text.get(start..));
    let (label, der) = text
        .and_then(|text| {
            let end = "-----END CERTIFICATE-----";
            let end = text.find(end)? + end.len();
            x509_cert::der::pem::decode_vec(text.get(..end)?.as_bytes()).ok()
        })
        .ok_or(CertificateFault::Malformed)?;
    if label != "CERTIFICATE" {
        return Err(CertificateFault::Malformed);
    }
    Ok(der)
}

/// Reads a certificate in DER.
///
/// # Errors
/// [`CertificateFault`] for what is none, or has what is not supported.
pub fn read(der: &[u8]) -> Result<Facts, CertificateFault> {
    if der.len() > LONGEST_CERTIFICATE {
        return Err(CertificateFault::TooLarge);
    }
    let malformed = |_| CertificateFault::Malformed;
    let certificate = Certificate::from_der(der).map_err(malformed)?;
    let body = certificate.tbs_certificate();
    let algorithm = certificate.signature_algorithm();
    // What is signed names its algorithm too, or another could be put in its place.
    if algorithm != body.signature() {
        return Err(CertificateFault::Malformed);
    }
    let (_, hash, _) = ALGORITHMS
        .iter()
        .find(|(oid, ..)| *oid == algorithm.oid)
        .ok_or(CertificateFault::Algorithm)?;
    let key = body.subject_public_key_info();
    if key.algorithm.oid != RSA {
        return Err(CertificateFault::Key);
    }
    let public_key = key.subject_public_key.as_bytes();
    let public_key = public_key.ok_or(CertificateFault::Key)?;
    // The same key in the form that this router's own keys have.
    let (kind, value) = hw_offload::read_rsa(public_key).map_err(|_| CertificateFault::Key)?;
    if kind != hw_offload::KeyKind::RsaPublic {
        return Err(CertificateFault::Key);
    }
    for extension in body.extensions().into_iter().flatten() {
        if extension.critical && !KNOWN.contains(&extension.extn_id) {
            return Err(CertificateFault::Extension);
        }
    }
    let constraints = body
        .get_extension::<BasicConstraints>()
        .map_err(malformed)?;
    let usage = body.get_extension::<KeyUsage>().map_err(malformed)?;
    let uses = body
        .get_extension::<ExtendedKeyUsage>()
        .map_err(malformed)?;
    let names = body.get_extension::<SubjectAltName>().map_err(malformed)?;
    let constraints = constraints.map(|(_, constraints)| constraints);
    let signs = |of: fn(&KeyUsage) -> bool| usage.as_ref().is_none_or(|(_, usage)| of(usage));
    let for_ike = uses.is_none_or(|(_, uses)| {
        let known = |oid: &ObjectIdentifier| USES.contains(&alloc::format!("{oid}").as_str());
        uses.0.iter().any(known)
    });
    let signature = certificate.signature().as_bytes();
    let validity = body.validity();
    Ok(Facts {
        subject: body.subject().to_der().map_err(malformed)?,
        issuer: body.issuer().to_der().map_err(malformed)?,
        serial: body.serial_number().as_bytes().to_vec(),
        public_key: value.expose().to_vec(),
        not_before: validity.not_before.to_unix_duration().as_secs(),
        not_after: validity.not_after.to_unix_duration().as_secs(),
        is_ca: constraints.as_ref().is_some_and(|found| found.ca),
        path_length: constraints.and_then(|found| found.path_len_constraint),
        signs_certificates: signs(KeyUsage::key_cert_sign),
        signs_messages: for_ike
            && signs(|usage| usage.digital_signature() || usage.non_repudiation()),
        names: names
            .map(|(_, names)| names.0.iter().filter_map(identity).collect())
            .unwrap_or_default(),
        signed: signed_part(der).map_err(malformed)?,
        hash: *hash,
        signature: signature.ok_or(CertificateFault::Malformed)?.to_vec(),
    })
}

/// The bytes that are signed, as they came: encoded anew they could differ.
fn signed_part(der: &[u8]) -> x509_cert::der::Result<Vec<u8>> {
    let whole = AnyRef::from_der(der)?;
    Ok(SliceReader::new(whole.value())?.tlv_bytes()?.to_vec())
}

/// The identity of ISAKMP that a name of subjectAltName is.
fn identity(name: &GeneralName) -> Option<Identification> {
    let (kind, data) = match name {
        GeneralName::DnsName(name) => (2, name.as_bytes().to_vec()),
        GeneralName::Rfc822Name(name) => (3, name.as_bytes().to_vec()),
        GeneralName::IpAddress(address) if address.as_bytes().len() == 4 => {
            (1, address.as_bytes().to_vec())
        }
        GeneralName::IpAddress(address) if address.as_bytes().len() == 16 => {
            (5, address.as_bytes().to_vec())
        }
        GeneralName::DirectoryName(name) => (DN, name.to_der().ok()?),
        GeneralName::OtherName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::UniformResourceIdentifier(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => return None,
    };
    Some(Identification {
        kind,
        protocol: 0,
        port: 0,
        data,
    })
}
