//! The path from a peer's certificate to one that is trusted (RFC 5280 §6.1, as far as ISAKMP
//! needs it).

use alloc::vec::Vec;

use super::{Certificate, CertificateFault, CertificateRole, Facts, LONGEST_CHAIN, Pki};

/// Finds the way from the first certificate, the peer's, over the others to a trusted one. The
/// signature of `one` by the key of `another` is checked by `signed(one, another)`.
///
/// Each step takes the first authority whose name is that of the issuer and whose key made the
/// signature, a trusted one before others. So every certificate is checked at most once against
/// every other: a chain costs at most [`LONGEST_CHAIN`] steps.
///
/// # Errors
/// The fault of the nearest miss; [`CertificateFault::Untrusted`] where there was not even that.
pub fn check_path(
    pki: &Pki,
    now: u64,
    given: &[Facts],
    signed: impl Fn(&Facts, &Facts) -> bool,
) -> Result<(), CertificateFault> {
    let Some((peer, others)) = given.split_first() else {
        return Err(CertificateFault::Untrusted);
    };
    if !peer.signs_messages {
        return Err(CertificateFault::Usage);
    }
    peer.check_time(now)?;
    let pinned = |own: &&Certificate| {
        own.trusted && own.role == CertificateRole::EndEntity && own.facts == *peer
    };
    if pki.certificates.iter().any(|own| pinned(&own)) {
        return Ok(());
    }
    let mut between = others.iter().collect::<Vec<_>>();
    between.extend(pki.authorities(false).map(|authority| &authority.facts));
    let (mut last, mut miss) = (peer, CertificateFault::Untrusted);
    for below in 0..LONGEST_CHAIN {
        let issued = |authority: &Facts, miss: &mut CertificateFault| {
            let checked = check_authority(authority, now, below).and_then(|()| {
                let own = signed(last, authority);
                own.then_some(()).ok_or(CertificateFault::Signature)
            });
            checked.map_err(|fault| *miss = fault).is_ok()
        };
        let mut trusted = pki.authorities(true).map(|authority| &authority.facts);
        if trusted.any(|authority| authority.subject == last.issuer && issued(authority, &mut miss))
        {
            return Ok(());
        }
        let next = between
            .iter()
            .position(|authority| authority.subject == last.issuer && issued(authority, &mut miss));
        match next {
            Some(place) => last = between.swap_remove(place),
            None => return Err(miss),
        }
    }
    Err(CertificateFault::ChainTooLong)
}

/// Whether an authority may issue, with so many others below it.
fn check_authority(facts: &Facts, now: u64, below: usize) -> Result<(), CertificateFault> {
    if !facts.is_ca {
        return Err(CertificateFault::NotCa);
    }
    if !facts.signs_certificates {
        return Err(CertificateFault::Usage);
    }
    if facts.path_length.is_some_and(|most| below > most.into()) {
        return Err(CertificateFault::PathLength);
    }
    facts.check_time(now)
}
