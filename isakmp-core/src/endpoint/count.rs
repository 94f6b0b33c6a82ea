//! Counting: what an action, a report or a message counts, in one place.

use super::Endpoint;
use crate::ask::{Action, Ask, Report};
use crate::counters::{Course, Happened};
use crate::reason::Subject;
use crate::wire::{ExchangeType, Header, Malformed};

impl Endpoint {
    /// How an exchange goes on.
    pub(super) fn count_course(&mut self, kind: ExchangeType, course: Course) {
        if let Some(happened) = Happened::of(kind, course) {
            self.counters.raise(happened);
        }
    }

    /// A message with a sound header.
    pub(super) fn count_received(&mut self, header: &Header) {
        let encrypted = header.flags.encrypted();
        self.counters.raise(if encrypted {
            Happened::MsgRxEncrypted
        } else {
            Happened::MsgRxPlain
        });
        match header.exchange {
            ExchangeType::Quick | ExchangeType::Transaction if !encrypted => {
                self.counters.raise(Happened::MsgRxPlainUnexpected);
            }
            ExchangeType::NewGroup | ExchangeType::Other(_) => {
                self.counters.raise(if header.message_id.0 == 0 {
                    Happened::MsgRxPh1UnkwnXchgType
                } else {
                    Happened::MsgRxPh2UnkwnXchgType
                });
            }
            _ => {}
        }
    }

    /// A message that its exchange, or its SA, did not accept.
    pub(super) fn count_ignored(&mut self, header: &Header) {
        self.count_course(header.exchange, Course::Ignored);
        if header.flags.encrypted() {
            self.count_deciphered(false);
        } else {
            self.counters.raise(Happened::MsgRxUnexpectedMsg);
        }
    }

    /// A message was deciphered; whether it is authentic.
    pub(super) fn count_deciphered(&mut self, authentic: bool) {
        self.counters.raise(Happened::MsgRxStartDecrypt);
        self.counters.raise(if authentic {
            Happened::RxDecryptGood
        } else {
            Happened::RxDecryptFail
        });
    }

    /// What exchanges saw of padding.
    pub(super) fn count_pads(&mut self) {
        for (happened, seen) in [
            (Happened::RxDecryptedBadPad, &mut self.tickets.odd_pads),
            (Happened::RxDecryptBadPadLength, &mut self.tickets.long_pads),
        ] {
            for _ in 0..core::mem::take(seen) {
                self.counters.raise(happened);
            }
        }
    }

    /// What leaves the endpoint.
    pub(super) fn count_action(&mut self, action: &Action) {
        let happened = match action {
            Action::Send { .. } => {
                self.counters.raise(Happened::MsgTxd);
                Happened::NetworkTx
            }
            Action::Ask { ask, .. } => match ask {
                Ask::Reserve { .. } => Happened::IpsecReserve,
                Ask::Install { .. } => Happened::IpsecInstall,
                _ => return,
            },
            Action::Release(_) => Happened::IpsecRelease,
            Action::Failed(_) => Happened::IpsecFailed,
            Action::DeleteSpi { .. } => Happened::IpsecSpiDeleted,
            Action::PeerLost(_) | Action::PeerRestarted(_) => Happened::IpsecBundlesLost,
            Action::Keepalive(_) => Happened::NetworkKeepalive,
            Action::Moved { .. } => Happened::NetworkMoved,
            Action::Report(report) => return self.count_report(report),
        };
        self.counters.raise(happened);
    }

    fn count_report(&mut self, report: &Report) {
        match report {
            Report::Message {
                sent,
                kind,
                message,
                again,
                ..
            } => self.count_message(*kind, *message, *sent, *again),
            Report::Completed { .. } => self.counters.raise(Happened::DoneGood),
            Report::Failed {
                exchange, reason, ..
            } => {
                self.count_course(reason.exchange, Course::Failed);
                let phase1 = matches!(
                    reason.exchange,
                    ExchangeType::Main | ExchangeType::Aggressive
                );
                if phase1 && *exchange != 0 {
                    self.counters.raise(Happened::DonePhase1Failed);
                }
                if reason.subject == Subject::Timeout {
                    self.counters.raise(Happened::TxRetryXchgTimedOut);
                }
            }
            Report::PeerLost { by, .. } => {
                if let Some(happened) = Happened::lost(*by) {
                    self.counters.raise(happened);
                }
            }
            Report::Started { .. }
            | Report::State { .. }
            | Report::Trace { .. }
            | Report::Packet { .. }
            | Report::Datagram { .. }
            | Report::Suspicious { .. }
            | Report::Notified { .. }
            | Report::SaGone { .. }
            | Report::PeerMoved { .. }
            | Report::Phase1Key { .. } => {}
        }
    }

    /// A message was sent or accepted.
    fn count_message(&mut self, kind: ExchangeType, message: u8, sent: bool, again: u16) {
        let enciphered = match kind {
            ExchangeType::Main => message >= 5,
            ExchangeType::Aggressive => message >= 3,
            ExchangeType::Informational
            | ExchangeType::Transaction
            | ExchangeType::Quick
            | ExchangeType::NewGroup
            | ExchangeType::Other(_) => true,
        };
        match (sent, again) {
            (true, 0) => {
                self.counters.raise(Happened::MsgTx);
                if enciphered {
                    self.counters.raise(Happened::MsgTxStartEncrypt);
                    self.counters.raise(Happened::TxEncryptGood);
                }
                self.count_course(kind, Course::Sent);
            }
            (true, _) => {
                self.counters.raise(Happened::TxRetryTxd);
                self.count_course(kind, Course::SentAgain);
            }
            (false, _) => {
                // Informational messages are counted where they are read.
                if enciphered && kind != ExchangeType::Informational {
                    self.count_deciphered(true);
                }
                self.count_course(kind, Course::Received);
            }
        }
    }
}

/// What is counted when the last word of an exchange is kept, or is not.
pub(super) const fn kept(is: bool) -> Happened {
    if is {
        Happened::DeleteDelayStarted
    } else {
        Happened::DeleteDelayNotUsed
    }
}

/// What is wrong with the payloads of a clear message.
pub(super) const fn bad_payloads(fault: Malformed) -> Happened {
    match fault {
        Malformed::TooMany => Happened::MsgRxPayBadNextPay,
        _ => Happened::MsgRxPayBadLength,
    }
}
