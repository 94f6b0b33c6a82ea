//! What ENABLE ISAKMP DEBUG=TRACE and TRACEMORE tell of the work, as typed events, and the messages
//! in clear of PACKET, which hold no secret. Nothing is built while nobody watches; values are wiped
//! when they are dropped.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::Secret;
use ipsec_core::model::{Protocol, Role};

use crate::ask::{Env, Report};
use crate::debug::IsakmpDebug;
use crate::out::Out;
use crate::reason::Reason;
use crate::wire::{
    ExchangeType, Flags, HEADER, Header, Identification, MessageId, NotifyType, PayloadType,
    Payloads, Writer,
};

/// How many actions may wait when one more line of a trace is added: whoever floods the router must
/// not fill its memory through the eyes of the one who watches.
const WAITING: usize = 4096;

/// The type of an exchange and our part in it.
pub(crate) type Part = (ExchangeType, Role);

/// A step of the work.
#[derive(Debug)]
pub enum Trace {
    /// A request for a bundle needs phase 1.
    CreatePhase1,
    /// A request for a bundle waits.
    QueueAcquire,
    /// An equal request is under way.
    EquivalentAcquire,
    /// The exchange begins.
    Started(IpAddr),
    /// The exchange is over, with its result.
    Done,
    /// The exchange is over without a result.
    Failed(Reason),
    /// A value that was drawn, received or computed.
    Value {
        /// Its name in RFC 2409, or in the manual's trace.
        name: &'static str,
        /// Its length in bytes.
        len: usize,
        /// It; none where it is secret and only TRACE is watched.
        bytes: Option<Secret>,
    },
    /// The message id of the exchange.
    MessageId(MessageId),
    /// A notification stands in a message of the exchange.
    Notified(NotifyType),
    /// Who the peer says it is.
    RemoteId(Identification),
    /// The identities of a quick mode as the policy's selectors give them, the initiator's first.
    Selectors(Identification, Identification),
    /// What the policy offers.
    LocalPolicy(Vec<Offered>),
    /// The identities of a quick mode are not the gateways themselves.
    IdsNotDefault([(IpAddr, Identification); 2]),
    /// The identities stand in the message that HASH(1) covers.
    IdsCreated,
    /// The bytes that a hash or a key is made of.
    Input(&'static str, Secret),
    /// The hash or key made of them.
    Output(&'static str, Secret),
    /// How far a received message is checked: its number among those that we receive.
    Checked(u8, Progress),
}

/// A proposal that the policy offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its number; those of one number belong together.
    pub number: u8,
    /// The protocol.
    pub protocol: Protocol,
    /// Its transforms.
    pub transforms: Vec<OfferedTransform>,
}

/// A transform that the policy offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedTransform {
    /// The transform identifier of the domain of interpretation.
    pub id: u8,
    /// The SA specification that it comes from.
    pub spec: u8,
    /// The longest life in kilobytes, if there is a limit.
    pub kbytes: Option<u32>,
    /// The longest life in seconds.
    pub seconds: u32,
    /// The group for perfect forward secrecy; without it the default one.
    pub group: u16,
    /// The encapsulation mode's number.
    pub mode: u16,
    /// The integrity algorithm's number; 0 for none.
    pub auth: u16,
}

/// How far message 2 of a quick mode, or message 1, is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is authentic.
    Start,
    /// Our own side of the negotiation is there.
    PolicyDone,
    /// The attributes of a proposal's transform are well formed.
    AttributesGood(usize),
    /// They are what the policy says.
    TransformMatch(usize),
    /// So is the proposal.
    ProposalMatch(usize),
    /// So are all of so many.
    AllMatched(usize),
    /// The other payloads fit.
    PayloadsGood,
    /// Everything is as it should be.
    Good,
}

impl Out<'_> {
    fn tell(&mut self, report: impl FnOnce() -> Report) {
        if self.actions.len() < WAITING {
            let report = report();
            self.report(report);
        }
    }

    /// Tells a step, if any of those things is watched.
    pub(crate) fn trace(
        &mut self,
        env: &Env<'_>,
        (kind, role): Part,
        at: IsakmpDebug,
        what: impl FnOnce() -> Trace,
    ) {
        let exchange = self.number;
        if env.config.debug.has_any(at) {
            self.tell(|| Report::Trace {
                exchange,
                kind,
                role,
                what: what(),
            });
        }
    }

    /// Tells a value that anybody on the way may know.
    pub(crate) fn trace_value(
        &mut self,
        env: &Env<'_>,
        part: Part,
        at: IsakmpDebug,
        (name, bytes): (&'static str, &[u8]),
    ) {
        self.trace(env, part, at, || Trace::Value {
            name,
            len: bytes.len(),
            bytes: Some(Secret::copy_of(bytes)),
        });
    }

    /// Tells a secret: TRACEMORE shows it, TRACE its length.
    pub(crate) fn trace_secret(
        &mut self,
        env: &Env<'_>,
        part: Part,
        at: IsakmpDebug,
        (name, bytes): (&'static str, &[u8]),
    ) {
        let more = env.config.debug.has(IsakmpDebug::TRACEMORE);
        self.trace(env, part, at, || Trace::Value {
            name,
            len: bytes.len(),
            bytes: more.then(|| Secret::copy_of(bytes)),
        });
    }

    /// Tells the input of a hash or a key, and what it gives; in the order of TRACEMORE, which alone
    /// shows them.
    pub(crate) fn trace_hash(
        &mut self,
        env: &Env<'_>,
        part: Part,
        name: &'static str,
        input: &[&[u8]],
        output: &[u8],
    ) {
        let more = IsakmpDebug::TRACEMORE;
        self.trace(env, part, more, || {
            Trace::Input(name, Secret::new(input.concat()))
        });
        self.trace(env, part, more, || {
            Trace::Output(name, Secret::copy_of(output))
        });
    }

    /// Shows a message that we send, as it is before it is enciphered.
    pub(crate) fn watch_sent(&mut self, env: &Env<'_>, header: &Header, writer: &Writer) {
        let header = Header {
            next: writer.first(),
            flags: header.flags.without(Flags::ENCRYPTED),
            ..*header
        };
        self.watch_message(env, true, &header, writer.bytes());
    }

    /// Shows a message that was received, with its payloads in clear.
    pub(crate) fn watch_received(&mut self, env: &Env<'_>, header: &Header, payloads: &[u8]) {
        if header.flags.encrypted()
            && let Ok(whole) = Payloads::parse(header.next, payloads)
        {
            self.tickets.padded(whole.padding());
        }
        self.watch_message(env, false, header, payloads);
    }

    fn watch_message(&mut self, env: &Env<'_>, sent: bool, header: &Header, payloads: &[u8]) {
        if !env.config.debug.has(IsakmpDebug::PACKET) {
            return;
        }
        let masked = (header.exchange == ExchangeType::Transaction)
            .then(|| without_attributes(header.next, payloads));
        let payloads = masked.as_deref().unwrap_or(payloads);
        let mut message = header.to_bytes(HEADER + payloads.len()).to_vec();
        message.extend_from_slice(payloads);
        self.tell(|| Report::Packet { sent, message });
    }
}

/// The payloads of a transaction with zeros for attributes, which may be passwords.
fn without_attributes(next: PayloadType, payloads: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    let parsed = Payloads::parse(next, payloads);
    for raw in parsed.iter().flat_map(Payloads::all) {
        if raw.kind == PayloadType::ATTR {
            writer.push(raw.kind, &alloc::vec![0; raw.body.len()]);
        } else {
            writer.push(raw.kind, raw.body);
        }
    }
    writer.bytes().to_vec()
}
