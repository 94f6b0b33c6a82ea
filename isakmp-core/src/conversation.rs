//! One side of an exchange on the wire: what was sent last, when it is sent again, and which
//! message was answered with it.

use alloc::vec::Vec;

use hw_offload::{Digest, Hash, Primitives};
use ipsec_core::Instant;
use ipsec_core::model::Role;

use crate::ask::{Action, Path, Report};
use crate::config::IsakmpPolicyConfig;
use crate::fragment;
use crate::out::Out;
use crate::sa::Reply;
use crate::wire::{ExchangeType, MessageId, PayloadType};

/// The hash by which a message is known again.
pub(crate) fn fingerprint(primitives: &dyn Primitives, message: &[u8]) -> Digest {
    primitives.hash(Hash::Sha1, &[message])
}

/// Sending, sending again, and answering duplicates.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) number: u32,
    pub(crate) path: Path,
    kind: ExchangeType,
    sent: Vec<u8>,
    payloads: Vec<PayloadType>,
    message: u8,
    /// Transmissions that the timer made; only these use up the policy's retransmissions.
    times: u16,
    /// Copies sent because the peer repeated itself.
    repeats: u16,
    resend_at: Option<Instant>,
    /// When it is given up where nothing is sent again.
    over_at: Option<Instant>,
    received: Option<Digest>,
    /// What goes with the last message.
    trailing: Vec<u8>,
    /// Whether the peer takes long messages in fragments.
    pub(crate) fragments: bool,
}

/// What time did to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    Nothing,
    GivenUp,
}

impl Conversation {
    pub(crate) const fn new(number: u32, kind: ExchangeType, path: Path) -> Self {
        Self {
            number,
            path,
            kind,
            sent: Vec::new(),
            payloads: Vec::new(),
            message: 0,
            times: 0,
            repeats: 0,
            resend_at: None,
            over_at: None,
            received: None,
            trailing: Vec::new(),
            fragments: false,
        }
    }

    /// The number of the message sent last.
    pub(crate) const fn message(&self) -> u8 {
        self.message
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.resend_at.or(self.over_at)
    }

    /// Waits without sending again: whoever is asked has not proved where it is.
    pub(crate) const fn wait_until(&mut self, at: Instant) {
        self.over_at = Some(at);
    }

    /// Retransmissions that the message under way has left.
    pub(crate) fn retries_left(&self, policy: &IsakmpPolicyConfig) -> u16 {
        let used = self.times.saturating_sub(1);
        let left = policy.retry_limit().saturating_sub(used);
        self.resend_at.map_or(0, |_| left)
    }

    /// Takes an accepted message's fingerprint: the same bytes again are a duplicate. Waiting for
    /// it is over.
    pub(crate) fn accepted(
        &mut self,
        out: &mut Out<'_>,
        received: Digest,
        message: u8,
        payloads: Vec<PayloadType>,
        length: usize,
    ) {
        self.received = Some(received);
        self.resend_at = None;
        self.over_at = None;
        out.report(Report::Message {
            exchange: self.number,
            sent: false,
            kind: self.kind,
            message,
            payloads,
            length,
            again: 0,
        });
    }

    /// Whether the message was accepted just before.
    pub(crate) fn is_duplicate(&self, message: &Digest) -> bool {
        self.received.as_ref() == Some(message)
    }

    /// Sends a message. With a policy, again and again until an answer is accepted.
    pub(crate) fn send(
        &mut self,
        out: &mut Out<'_>,
        now: Instant,
        (message, payloads): (u8, Vec<PayloadType>),
        bytes: Vec<u8>,
        policy: Option<&IsakmpPolicyConfig>,
    ) {
        self.message = message;
        self.payloads = payloads;
        self.sent = bytes;
        self.times = 1;
        self.repeats = 0;
        self.transmit(out, 0);
        self.resend_at = policy.map(|policy| now + policy.wait(1));
    }

    /// Answers a message that was answered before. Whoever repeats it, perhaps a stranger, does
    /// not shorten the exchange by that.
    pub(crate) fn answer_again(&mut self, out: &mut Out<'_>) {
        if self.sent.is_empty() {
            return;
        }
        self.repeats = self.repeats.saturating_add(1);
        self.transmit(out, self.again());
    }

    /// How often the message was sent before the last time.
    const fn again(&self) -> u16 {
        self.times.saturating_sub(1).saturating_add(self.repeats)
    }

    fn transmit(&self, out: &mut Out<'_>, again: u16) {
        out.report(Report::Message {
            exchange: self.number,
            sent: true,
            kind: self.kind,
            message: self.message,
            payloads: self.payloads.clone(),
            length: self.sent.len(),
            again,
        });
        let path = self.path;
        for bytes in self.datagrams() {
            out.push(Action::Send { path, bytes });
        }
    }

    /// Sends a message of another kind that belongs to the last one, whenever that is sent.
    pub(crate) fn follow(&mut self, out: &mut Out<'_>, bytes: Vec<u8>) {
        let path = self.path;
        self.trailing.clone_from(&bytes);
        out.push(Action::Send { path, bytes });
    }

    /// The last message, in fragments where it is long, and what follows it.
    fn datagrams(&self) -> Vec<Vec<u8>> {
        // The exchange's number tells the fragments of one message from those of another.
        let [_, _, a, b] = self.number.to_be_bytes();
        let identifier = u16::from_be_bytes([a, b]).wrapping_add(self.message.into());
        let pieces = if self.fragments {
            fragment::cut(identifier, &self.sent)
        } else {
            None
        };
        let mut datagrams = pieces.unwrap_or_else(|| alloc::vec![self.sent.clone()]);
        if !self.trailing.is_empty() {
            datagrams.push(self.trailing.clone());
        }
        datagrams
    }

    /// Sends again if it is time to; gives up when all retransmissions are spent.
    pub(crate) fn tick(
        &mut self,
        out: &mut Out<'_>,
        now: Instant,
        policy: &IsakmpPolicyConfig,
    ) -> Tick {
        if self.over_at.is_some_and(|at| at <= now) {
            self.over_at = None;
            return Tick::GivenUp;
        }
        if self.resend_at.is_none_or(|at| at > now) {
            return Tick::Nothing;
        }
        if self.times > policy.retry_limit() {
            self.resend_at = None;
            return Tick::GivenUp;
        }
        self.times = self.times.saturating_add(1);
        self.transmit(out, self.again());
        self.resend_at = Some(now + policy.wait(self.times));
        Tick::Nothing
    }

    /// The last message and the one that it answered, for those who must keep them.
    pub(crate) fn into_reply(
        self,
        (role, message_id): (Role, MessageId),
        until: Instant,
    ) -> Option<Reply> {
        Some(Reply {
            number: self.number,
            kind: self.kind,
            role,
            message_id,
            datagrams: self.datagrams(),
            to: self.received?,
            until,
        })
    }
}
