//! Which payloads a message must and may have, by exchange and message number.

use crate::negotiate::phase1::Proof;
use crate::wire::{ExchangeType, PayloadType, Payloads};

/// One row: the payloads in the order demanded at the front, those that must be somewhere, and
/// those that may.
#[derive(Debug)]
pub struct Row {
    /// The exchange.
    pub exchange: ExchangeType,
    /// The message's number, from 1.
    pub message: u8,
    /// What the sender proves its identity with, where the message does that.
    pub proof: Option<Proof>,
    /// Whether the payloads must be enciphered; none where either way is good.
    pub encrypted: Option<bool>,
    /// Must stand first, in this order.
    pub front: &'static [PayloadType],
    /// Must be there, once.
    pub required: &'static [PayloadType],
    /// May be there.
    pub optional: &'static [PayloadType],
}

use PayloadType as P;

/// What may stand beside a proof.
const WITH_HASH: &[P] = &[P::N, P::VID, P::CR];
const WITH_SIGNATURE: &[P] = &[P::N, P::VID, P::CR, P::CERT];

/// Every message of every exchange.
pub const ROWS: &[Row] = &[
    row(ExchangeType::Main, 1, false, &[P::SA], &[], &[P::VID]),
    row(ExchangeType::Main, 2, false, &[P::SA], &[], &[P::VID, P::N]),
    row(
        ExchangeType::Main,
        3,
        false,
        &[],
        &[P::KE, P::NONCE],
        &[P::VID, P::CR],
    ),
    row(
        ExchangeType::Main,
        4,
        false,
        &[],
        &[P::KE, P::NONCE],
        &[P::VID, P::CR],
    ),
    proof(
        ExchangeType::Main,
        5,
        Some(true),
        Proof::Hash,
        &[],
        &[P::ID, P::HASH],
    ),
    proof(
        ExchangeType::Main,
        5,
        Some(true),
        Proof::Signature,
        &[],
        &[P::ID, P::SIG],
    ),
    proof(
        ExchangeType::Main,
        6,
        Some(true),
        Proof::Hash,
        &[],
        &[P::ID, P::HASH],
    ),
    proof(
        ExchangeType::Main,
        6,
        Some(true),
        Proof::Signature,
        &[],
        &[P::ID, P::SIG],
    ),
    row(
        ExchangeType::Aggressive,
        1,
        false,
        &[P::SA],
        &[P::KE, P::NONCE, P::ID],
        &[P::VID, P::CR],
    ),
    proof(
        ExchangeType::Aggressive,
        2,
        Some(false),
        Proof::Hash,
        &[P::SA],
        &[P::KE, P::NONCE, P::ID, P::HASH],
    ),
    proof(
        ExchangeType::Aggressive,
        2,
        Some(false),
        Proof::Signature,
        &[P::SA],
        &[P::KE, P::NONCE, P::ID, P::SIG],
    ),
    proof(
        ExchangeType::Aggressive,
        3,
        None,
        Proof::Hash,
        &[],
        &[P::HASH],
    ),
    proof(
        ExchangeType::Aggressive,
        3,
        None,
        Proof::Signature,
        &[],
        &[P::SIG],
    ),
    row(
        ExchangeType::Quick,
        1,
        true,
        &[P::HASH, P::SA],
        &[P::NONCE],
        &[P::KE, P::ID, P::N],
    ),
    row(
        ExchangeType::Quick,
        2,
        true,
        &[P::HASH, P::SA],
        &[P::NONCE],
        &[P::KE, P::ID, P::N],
    ),
    row(ExchangeType::Quick, 3, true, &[P::HASH], &[], &[P::N]),
    row(
        ExchangeType::Transaction,
        1,
        true,
        &[P::HASH],
        &[P::ATTR],
        &[],
    ),
    row(
        ExchangeType::Informational,
        1,
        true,
        &[P::HASH],
        &[],
        &[P::N, P::D],
    ),
];

const fn row(
    exchange: ExchangeType,
    message: u8,
    encrypted: bool,
    front: &'static [PayloadType],
    required: &'static [PayloadType],
    optional: &'static [PayloadType],
) -> Row {
    Row {
        exchange,
        message,
        proof: None,
        encrypted: Some(encrypted),
        front,
        required,
        optional,
    }
}

const fn proof(
    exchange: ExchangeType,
    message: u8,
    encrypted: Option<bool>,
    proof: Proof,
    front: &'static [PayloadType],
    required: &'static [PayloadType],
) -> Row {
    Row {
        exchange,
        message,
        proof: Some(proof),
        encrypted,
        front,
        required,
        optional: match proof {
            Proof::Hash => WITH_HASH,
            Proof::Signature => WITH_SIGNATURE,
        },
    }
}

/// Whether the payloads are those of the row for this message. Unknown types are let through and
/// ignored; known types in a place where they mean nothing are not.
#[must_use]
pub fn admits(
    exchange: ExchangeType,
    message: u8,
    encrypted: bool,
    payloads: &Payloads<'_>,
) -> bool {
    admits_proof(exchange, message, encrypted, None, payloads)
}

/// The same for a message in which the sender proves its identity.
#[must_use]
pub fn admits_proof(
    exchange: ExchangeType,
    message: u8,
    encrypted: bool,
    proof: Option<Proof>,
    payloads: &Payloads<'_>,
) -> bool {
    let is = |row: &&Row| row.exchange == exchange && row.message == message && row.proof == proof;
    let Some(row) = ROWS.iter().find(is) else {
        return false;
    };
    let types = || payloads.all().iter().map(|raw| raw.kind);
    let in_front = types()
        .zip(row.front)
        .filter(|(have, want)| have == *want)
        .count();
    let count = |kind: PayloadType| types().filter(|have| *have == kind).count();
    let known = |kind: PayloadType| (1..=14).contains(&kind.0);
    row.encrypted.is_none_or(|must| must == encrypted)
        && in_front == row.front.len()
        && row
            .front
            .iter()
            .chain(row.required)
            .all(|kind| count(*kind) == 1)
        && types().all(|kind| {
            !known(kind)
                || row.front.contains(&kind)
                || row.required.contains(&kind)
                || row.optional.contains(&kind)
        })
        && count(P::KE) <= 1
        && count(P::ID) <= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    fn admitted(exchange: ExchangeType, message: u8, encrypted: bool, kinds: &[P]) -> bool {
        let mut writer = Writer::new();
        for kind in kinds {
            writer.push(*kind, &[1; 8]);
        }
        let payloads = Payloads::parse(writer.first(), writer.bytes()).expect("whole");
        admits(exchange, message, encrypted, &payloads)
    }

    #[test]
    fn threat_a6_each_payload_in_its_place_and_number() {
        let quick = |kinds: &[P]| admitted(ExchangeType::Quick, 1, true, kinds);
        let all = [P::HASH, P::SA, P::NONCE, P::KE, P::ID, P::ID, P::N];
        assert!(quick(&all));
        assert!(quick(&all[..3]));
        // HASH and SA stand in front.
        assert!(!quick(&[P::SA, P::HASH, P::NONCE]));
        assert!(!quick(&[P::HASH, P::NONCE, P::SA]));
        for twice in [P::HASH, P::SA, P::NONCE, P::KE] {
            assert!(!quick(&[&all[..], &[twice]].concat()), "{twice:?} twice");
        }
        assert!(!quick(&[&all[..], &[P::ID]].concat()), "a third identity");
        assert!(!quick(&[&all[..], &[P::D]].concat()), "no place for it");
        assert!(quick(&[&all[..], &[PayloadType(77)]].concat()), "unknown");
        assert!(!admitted(ExchangeType::Quick, 1, false, &all), "in clear");
        assert!(!admitted(ExchangeType::Main, 1, true, &[P::SA]));
        assert!(admitted(
            ExchangeType::Main,
            1,
            false,
            &[P::SA, P::VID, P::VID]
        ));
    }
}
