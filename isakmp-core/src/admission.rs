//! Which payloads a message must and may have, by exchange and message number.

use crate::wire::{ExchangeType, PayloadType, Payloads};

/// One row: the payloads in the order demanded at the front, those that must be somewhere, and
/// those that may.
#[derive(Debug)]
pub struct Row {
    /// The exchange.
    pub exchange: ExchangeType,
    /// The message's number, from 1.
    pub message: u8,
    /// Whether the payloads must be enciphered.
    pub encrypted: bool,
    /// Must stand first, in this order.
    pub front: &'static [PayloadType],
    /// Must be there, once.
    pub required: &'static [PayloadType],
    /// May be there.
    pub optional: &'static [PayloadType],
}

use PayloadType as P;

/// Main mode and quick mode with pre-shared keys, and informational exchanges.
pub const ROWS: &[Row] = &[
    row(ExchangeType::Main, 1, false, &[P::SA], &[], &[P::VID]),
    row(ExchangeType::Main, 2, false, &[P::SA], &[], &[P::VID, P::N]),
    row(
        ExchangeType::Main,
        3,
        false,
        &[],
        &[P::KE, P::NONCE],
        &[P::VID],
    ),
    row(
        ExchangeType::Main,
        4,
        false,
        &[],
        &[P::KE, P::NONCE],
        &[P::VID],
    ),
    row(
        ExchangeType::Main,
        5,
        true,
        &[],
        &[P::ID, P::HASH],
        &[P::N, P::VID],
    ),
    row(
        ExchangeType::Main,
        6,
        true,
        &[],
        &[P::ID, P::HASH],
        &[P::N, P::VID],
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
        encrypted,
        front,
        required,
        optional,
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
    let Some(row) = ROWS
        .iter()
        .find(|row| row.exchange == exchange && row.message == message)
    else {
        return false;
    };
    let types = || payloads.all().iter().map(|raw| raw.kind);
    let in_front = types()
        .zip(row.front)
        .filter(|(have, want)| have == *want)
        .count();
    let count = |kind: PayloadType| types().filter(|have| *have == kind).count();
    let known = |kind: PayloadType| (1..=14).contains(&kind.0);
    row.encrypted == encrypted
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
