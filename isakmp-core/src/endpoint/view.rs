//! The exchanges as the screens show them.

use core::net::IpAddr;

use ipsec_core::Instant;

use super::Endpoint;
use crate::ask::Phase;
use crate::wire::ExchangeType;

/// An exchange as SHOW ISAKMP EXCHANGE lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeView {
    /// Its number.
    pub number: u32,
    /// Its type.
    pub kind: ExchangeType,
    /// Its phase.
    pub phase: Phase,
    /// The peer.
    pub peer: IpAddr,
    /// The state's name.
    pub state: &'static str,
}

impl Endpoint {
    /// Every exchange under way.
    pub fn exchanges(&self, now: Instant) -> impl Iterator<Item = ExchangeView> {
        let phase1 = self.phase1.iter().map(|(_, exchange)| ExchangeView {
            number: exchange.common.talk.number,
            kind: exchange.common.kind,
            phase: Phase::One,
            peer: exchange.common.talk.path.peer.ip(),
            state: exchange.state(),
        });
        let quick = self.quick.iter().map(|(_, quick)| ExchangeView {
            number: quick.common.talk.number,
            kind: ExchangeType::Quick,
            phase: Phase::Two,
            peer: quick.common.talk.path.peer.ip(),
            state: quick.state(),
        });
        let half_open = self.half_open.iter().flat_map(move |table| table.iter(now));
        let half_open = half_open.map(|entry| ExchangeView {
            number: entry.number,
            kind: ExchangeType::Main,
            phase: Phase::One,
            peer: entry.path.peer.ip(),
            state: "SASENT",
        });
        let openings = self.openings.iter().flat_map(move |table| table.iter(now));
        let openings = openings.map(|entry| ExchangeView {
            number: entry.common.talk.number,
            kind: ExchangeType::Aggressive,
            phase: Phase::One,
            peer: entry.path().peer.ip(),
            state: "SAKEAUTHSENT",
        });
        let transactions = self.transactions.iter().map(|(_, exchange)| ExchangeView {
            number: exchange.common.talk.number,
            kind: ExchangeType::Transaction,
            phase: Phase::OneAndHalf,
            peer: exchange.common.talk.path.peer.ip(),
            state: exchange.state(),
        });
        let probes = self.sas.iter().filter_map(|(_, sa)| {
            let (number, state) = sa.watch.dpd.exchange()?;
            Some(ExchangeView {
                number,
                kind: ExchangeType::Informational,
                phase: Phase::Two,
                peer: sa.path.peer.ip(),
                state,
            })
        });
        let strangers = half_open.chain(openings);
        let under = transactions.chain(quick).chain(probes);
        phase1.chain(strangers).chain(under)
    }

    /// Every exchange that is over but for the peer's retransmissions of its last message, for
    /// DELETEDELAY. It is kept by the side that spoke last.
    pub fn kept_exchanges(&self, now: Instant) -> impl Iterator<Item = ExchangeView> {
        self.sas.iter().flat_map(move |(_, sa)| {
            sa.kept(now).map(|(number, kind)| ExchangeView {
                number,
                kind,
                phase: match kind {
                    ExchangeType::Main | ExchangeType::Aggressive => Phase::One,
                    ExchangeType::Transaction => Phase::OneAndHalf,
                    ExchangeType::Informational
                    | ExchangeType::Quick
                    | ExchangeType::NewGroup
                    | ExchangeType::Other(_) => Phase::Two,
                },
                peer: sa.path.peer.ip(),
                state: "DELETEDELAY",
            })
        })
    }
}
