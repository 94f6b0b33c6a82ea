//! What may be watched of ISAKMP: ENABLE ISAKMP DEBUG.

use ipsec_core::model::Role;

use crate::ask::{Env, Report};
use crate::out::Out;
use crate::wire::ExchangeType;

/// A set of things to watch, in one word whose bits are those of the screen's "Debug Flag";
/// nothing is built while none of them is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IsakmpDebug(u8);

impl IsakmpDebug {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// PACKET: messages, decoded.
    pub const PACKET: Self = Self(1);
    /// STATE: the states of exchanges.
    pub const STATE: Self = Self(2);
    /// PKTRAW: datagrams in hexadecimal.
    pub const PKTRAW: Self = Self(4);
    /// TRACE: the steps of the work, without its secrets.
    pub const TRACE: Self = Self(8);
    /// TRACEMORE: more of them, with keys and what hashes are made of.
    pub const TRACEMORE: Self = Self(16);
    /// DEFAULT.
    pub const DEFAULT: Self = Self::TRACE.with(Self::STATE).with(Self::PACKET);
    /// ALL.
    pub const ALL: Self = Self::DEFAULT.with(Self::PKTRAW).with(Self::TRACEMORE);
    /// What both TRACE and TRACEMORE show.
    pub(crate) const TRACES: Self = Self::TRACE.with(Self::TRACEMORE);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has everything of the other.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it has something of the other.
    #[must_use]
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// Tells the states that an exchange came through with one event: those after `before`, or from
/// the first on, up to `now`. Some take no time.
pub(crate) fn watch_states(
    env: &Env<'_>,
    out: &mut Out<'_>,
    (kind, role): (ExchangeType, Role),
    before: Option<&str>,
    now: &str,
) {
    if !env.config.debug.has(IsakmpDebug::STATE) {
        return;
    }
    let exchange = out.number;
    for state in passed(way(kind, role), before, now) {
        out.report(Report::State {
            exchange,
            kind,
            state,
        });
    }
}

/// The states of an exchange in order. The manual's trace leaves out those that only wait.
const fn way(kind: ExchangeType, role: Role) -> &'static [&'static str] {
    match (kind, role) {
        (ExchangeType::Main, Role::Initiator) => &[
            "IDLE", "SASENT", "SARECV", "KESENT", "KERECV", "AUTHSENT", "AUTHRECV", "UP",
        ],
        (ExchangeType::Main, Role::Responder) => &[
            "IDLE", "SARECV", "SASENT", "KERECV", "KESENT", "AUTHRECV", "AUTHSENT", "UP",
        ],
        (ExchangeType::Aggressive, Role::Initiator) => {
            &["IDLE", "SAKESENT", "SAKEAUTHRECV", "AUTHSENT", "UP"]
        }
        (ExchangeType::Aggressive, Role::Responder) => {
            &["IDLE", "SAKERECV", "SAKEAUTHSENT", "AUTHRECV", "UP"]
        }
        (ExchangeType::Quick, Role::Initiator) => &[
            "SENDING_HASH_SA_NONCE",
            "WAIT_HASH_SA_NONCE",
            "RECEIVING_MESSAGE",
            "SENDING_HASH",
            "WAIT_HASH",
            "DONE",
        ],
        (ExchangeType::Quick, Role::Responder) => &[
            "RECEIVING_MESSAGE",
            "SENDING_HASH_SA_NONCE",
            "WAIT_HASH",
            "DONE",
        ],
        _ => &[],
    }
}

fn passed(
    way: &'static [&'static str],
    before: Option<&str>,
    now: &str,
) -> impl Iterator<Item = &'static str> {
    let place = |state: &str| way.iter().position(|other| *other == state);
    let start = before.and_then(place).map_or(0, |place| place + 1);
    let end = place(now).map_or(0, |place| place + 1);
    let some = way.get(start..end).unwrap_or(&[]);
    some.iter()
        .copied()
        .filter(|state| !state.starts_with("WAIT"))
}
