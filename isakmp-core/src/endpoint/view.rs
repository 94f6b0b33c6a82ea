//! The exchanges as the screens show them.

use core::net::IpAddr;

use ipsec_core::Instant;
use ipsec_core::model::{Name, Role};

use super::{Endpoint, Place};
use crate::ask::{Path, Phase};
use crate::config::{IsakmpConfig, IsakmpPolicyConfig, Xauth};
use crate::conversation::Conversation;
use crate::keys::Cookies;
use crate::negotiate::phase1::Phase1;
use crate::phase1;
use crate::sa::{IsakmpSa, Reply};
use crate::wire::{Cookie, ExchangeType, Identification, MessageId};

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

/// An exchange as SHOW ISAKMP EXCHANGE=n shows it.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeDetail<'a> {
    /// What the list shows.
    pub view: ExchangeView,
    /// Who began it.
    pub role: Role,
    /// The ISAKMP policy.
    pub policy: &'a IsakmpPolicyConfig,
    /// The ISAKMP SA that protects it; none in phase 1.
    pub sa: Option<&'a IsakmpSa>,
    /// The ends.
    pub path: Path,
    /// Both cookies; the responder's is zero until it is known.
    pub cookies: Cookies,
    /// The message id; none where each message has one of its own.
    pub message_id: Option<MessageId>,
    /// Whether it is the peer's turn.
    pub expects: bool,
    /// Whether our messages and the peer's carry the commit bit.
    pub commit: [bool; 2],
    /// Retransmissions left for the message under way.
    pub retries_left: u16,
    /// When it is sent again.
    pub resend_at: Option<Instant>,
    /// What belongs to its type.
    pub part: ExchangePart<'a>,
}

/// What belongs to one type of exchange.
#[derive(Clone, Copy, Debug)]
pub enum ExchangePart<'a> {
    /// Main and Aggressive mode.
    Phase1 {
        /// Jobs that a public-key engine has done.
        passes: u8,
        /// What is offered, or was agreed on.
        agreed: Phase1,
        /// Whether the peer's own word on it is known.
        answered: bool,
    },
    /// A transaction.
    Transaction {
        /// Its identifier.
        identifier: u16,
    },
    /// Quick mode.
    Quick {
        /// The IPsec policy.
        policy: &'a Name,
        /// The identities of both ends' selectors, the initiator's first.
        ids: Option<&'a (Identification, Identification)>,
    },
    /// What has nothing of its own.
    Informational,
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
        // A successor asks for an SA that was replaced.
        let probes = self.sas.iter().filter(|(_, sa)| !sa.replaced);
        let probes = probes.filter_map(|(_, sa)| {
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
        let all = self.sas.iter();
        all.flat_map(move |(_, sa)| sa.kept(now).map(|reply| kept(sa, reply)))
    }

    /// An exchange that [`Endpoint::exchanges`] or [`Endpoint::kept_exchanges`] lists, in full.
    #[must_use]
    pub fn exchange<'a>(
        &'a self,
        config: &'a IsakmpConfig,
        now: Instant,
        number: u32,
    ) -> Option<ExchangeDetail<'a>> {
        let mut all = self.exchanges(now).chain(self.kept_exchanges(now));
        let view = all.find(|view| view.number == number)?;
        match self.places.get(&number) {
            Some(Place::Phase1(id)) => {
                let common = &self.phase1.get(*id)?.common;
                Some(phase1(view, common))
            }
            Some(Place::Quick(id)) => {
                let common = &self.quick.get(*id)?.common;
                let sa = self.sas.get(common.sa.0)?;
                let talk = (&common.talk, common.role, Some(common.message_id));
                let part = ExchangePart::Quick {
                    policy: &common.policy,
                    ids: common.ids.as_ref(),
                };
                let commit = [common.commit.ours, common.commit.theirs];
                Some(ExchangeDetail {
                    commit,
                    ..under(view, sa, talk, part)
                })
            }
            Some(Place::Transaction(id)) => {
                let common = &self.transactions.get(*id)?.common;
                let sa = self.sas.get(common.sa.0)?;
                let role = match sa.policy.xauth() {
                    Xauth::Server => Role::Initiator,
                    Xauth::Client | Xauth::None => Role::Responder,
                };
                let talk = (&common.talk, role, Some(common.message_id));
                let part = ExchangePart::Transaction {
                    identifier: common.identifier,
                };
                Some(under(view, sa, talk, part))
            }
            None => self.without_place(config, now, view),
        }
    }

    /// What is no exchange of its own: a stranger's first message, a question whether the peer is
    /// alive, a last message.
    fn without_place<'a>(
        &'a self,
        config: &'a IsakmpConfig,
        now: Instant,
        view: ExchangeView,
    ) -> Option<ExchangeDetail<'a>> {
        let number = view.number;
        let mut openings = self.openings.iter().flat_map(|table| table.iter(now));
        if let Some(entry) = openings.find(|entry| entry.common.talk.number == number) {
            return Some(phase1(view, &entry.common));
        }
        let mut half_open = self.half_open.iter().flat_map(|table| table.iter(now));
        if let Some(entry) = half_open.find(|entry| entry.number == number) {
            return Some(ExchangeDetail {
                view,
                role: Role::Responder,
                policy: super::policies::at(config, entry.policy)?,
                sa: None,
                path: entry.path,
                cookies: entry.cookies,
                message_id: Some(MessageId(0)),
                expects: true,
                commit: [false; 2],
                retries_left: 0,
                resend_at: None,
                part: ExchangePart::Phase1 {
                    passes: 0,
                    agreed: entry.agreed,
                    answered: true,
                },
            });
        }
        self.sas.iter().find_map(|(_, sa)| {
            let reply = sa.kept(now).find(|reply| reply.number == number);
            let probe = sa
                .watch
                .dpd
                .exchange()
                .is_some_and(|(own, _)| own == number);
            let (role, message_id) = match reply {
                Some(reply) => (reply.role, Some(reply.message_id)),
                None if probe => (Role::Initiator, None),
                None => return None,
            };
            Some(ExchangeDetail {
                view,
                role,
                policy: &sa.policy,
                sa: Some(sa),
                path: sa.path,
                cookies: sa.cookies,
                message_id,
                expects: probe,
                commit: [false; 2],
                retries_left: if probe {
                    sa.watch.dpd.retries_left(&sa.policy)
                } else {
                    0
                },
                resend_at: sa.watch.dpd.deadline().filter(|_| probe),
                part: ExchangePart::Informational,
            })
        })
    }
}

/// An exchange of phase 1.
fn phase1(view: ExchangeView, common: &phase1::Common) -> ExchangeDetail<'_> {
    ExchangeDetail {
        view,
        role: common.role,
        policy: &common.policy,
        sa: None,
        path: common.talk.path,
        cookies: common.cookies,
        message_id: Some(MessageId(0)),
        expects: common.talk.deadline().is_some(),
        commit: [false; 2],
        retries_left: common.talk.retries_left(&common.policy),
        resend_at: common.talk.deadline(),
        part: ExchangePart::Phase1 {
            passes: common.passes,
            agreed: common.agreed,
            answered: common.cookies.1 != Cookie::ZERO,
        },
    }
}

/// An exchange under an ISAKMP SA.
fn under<'a>(
    view: ExchangeView,
    sa: &'a IsakmpSa,
    (talk, role, message_id): (&Conversation, Role, Option<MessageId>),
    part: ExchangePart<'a>,
) -> ExchangeDetail<'a> {
    ExchangeDetail {
        view,
        role,
        policy: &sa.policy,
        sa: Some(sa),
        path: talk.path,
        cookies: sa.cookies,
        message_id,
        expects: talk.deadline().is_some(),
        commit: [false; 2],
        retries_left: talk.retries_left(&sa.policy),
        resend_at: talk.deadline(),
        part,
    }
}

fn kept(sa: &IsakmpSa, reply: &Reply) -> ExchangeView {
    ExchangeView {
        number: reply.number,
        kind: reply.kind,
        phase: match reply.kind {
            ExchangeType::Main | ExchangeType::Aggressive => Phase::One,
            ExchangeType::Transaction => Phase::OneAndHalf,
            ExchangeType::Informational
            | ExchangeType::Quick
            | ExchangeType::NewGroup
            | ExchangeType::Other(_) => Phase::Two,
        },
        peer: sa.path.peer.ip(),
        state: "DELETEDELAY",
    }
}
