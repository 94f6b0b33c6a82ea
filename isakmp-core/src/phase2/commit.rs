//! The commit bit (RFC 2408 §3.1): who sets it obliges the other side to send nothing into the
//! new SAs before it hears CONNECTED.
//!
//! The bit stands in the header, which nothing authenticates: it delays by one message timeout at
//! most. Where both sides set it the responder's word counts, since it is the last to be ready.

use alloc::vec::Vec;
use core::time::Duration;

use ipsec_core::Instant;
use ipsec_core::model::{Protocol, Spi};

use super::Common;
use crate::admission;
use crate::ask::{Env, Report};
use crate::out::Out;
use crate::phase1::Incoming;
use crate::sa::IsakmpSa;
use crate::wire::{ExchangeType, HEADER, Notify, NotifyType, Payload, PayloadType, Payloads};

/// The commit bit of one exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Commit {
    /// Whether our messages carry it.
    pub(crate) ours: bool,
    /// Whether the peer's messages carried it.
    pub(crate) theirs: bool,
    /// Until when CONNECTED is waited for.
    pub(crate) until: Option<Instant>,
}

impl Commit {
    /// CONNECTED is waited for from now on.
    pub(crate) fn wait(&mut self, now: Instant, long: Duration) {
        self.until = Some(now + long);
    }
}

/// The CONNECTED of an exchange: an informational message under its message id, whose IV goes on
/// from the last message.
pub(crate) fn connected(
    common: &mut Common,
    sa: &IsakmpSa,
    env: &Env<'_>,
    out: &mut Out<'_>,
    own: Option<(Protocol, Spi)>,
) -> (Vec<u8>, Vec<PayloadType>) {
    let (protocol, spi) = own.unwrap_or((Protocol::Esp, Spi(0)));
    let notify = Notify {
        protocol: protocol.doi_number(),
        kind: NotifyType::CONNECTED,
        spi: &spi.to_bytes(),
        data: &[],
    };
    let payload = (PayloadType::N, notify.to_bytes());
    let writer = sa.hashed(env.primitives, common.message_id, &[], &[payload]);
    let header = sa.header(ExchangeType::Informational, common.message_id);
    out.watch_sent(env, &header, &writer);
    let bytes = sa
        .session
        .seal(env.primitives, &mut common.iv, header, &writer);
    (bytes, crate::phase1::types(&writer))
}

/// Whether a message is the CONNECTED that the exchange waits for. It is taken as an informational
/// message and as a fourth one of quick mode, which some send.
pub(crate) fn is_connected(
    common: &mut Common,
    sa: &IsakmpSa,
    env: &Env<'_>,
    out: &mut Out<'_>,
    incoming: &Incoming<'_>,
) -> bool {
    let header = incoming.header;
    let Some((plain, iv)) = sa.open(env.primitives, &common.iv, incoming.body) else {
        return false;
    };
    let Ok(payloads) = Payloads::parse(header.next, &plain) else {
        return false;
    };
    let authentic = header.flags.encrypted()
        && sa.authentic(env.primitives, header.message_id, &[], &payloads)
        && admission::admits(ExchangeType::Informational, 1, true, &payloads);
    let says_so = payloads.of(PayloadType::N).any(|raw| {
        let kind = NotifyType::CONNECTED;
        matches!(Payload::parse(raw), Ok(Payload::Notify(notify)) if notify.kind == kind)
    });
    if !authentic || !says_so {
        return false;
    }
    out.watch_received(env, header, &plain);
    common.iv = iv;
    out.report(Report::Message {
        exchange: common.talk.number,
        sent: false,
        kind: header.exchange,
        message: 4,
        payloads: payloads.all().iter().map(|raw| raw.kind).collect(),
        length: HEADER + incoming.body.len(),
        again: 0,
    });
    true
}
