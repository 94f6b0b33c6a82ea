//! Fragments of ISAKMP messages on their way in: for whom they are put together.

use ipsec_core::Instant;

use super::Endpoint;
use crate::ask::Path;
use crate::counters::Happened;
use crate::keys::Cookies;
use crate::wire::{Cookie, Header, Payload, Payloads};

impl Endpoint {
    /// Takes a fragment of a peer that was told of them; returns the message that it completes.
    pub(super) fn reassemble(
        &mut self,
        now: Instant,
        path: Path,
        header: &Header,
        body: &[u8],
    ) -> Option<alloc::vec::Vec<u8>> {
        self.counters.raise(Happened::NetworkFragment);
        let cookies = (header.initiator, header.responder);
        if !self.takes_fragments(cookies, path) {
            self.counters.raise(Happened::NetworkFragmentRefused);
            return None;
        }
        let payloads = Payloads::parse(header.next, body).ok();
        let raw = payloads.and_then(|payloads| payloads.all().first().copied());
        let Some(Payload::Fragment(identifier, number, last, data)) =
            raw.and_then(|raw| Payload::parse(raw).ok())
        else {
            self.counters.raise(Happened::NetworkFragmentRefused);
            return None;
        };
        let reassembly = self.reassemblies.of(now, cookies)?;
        reassembly.take(now, identifier, (number, last), data)
    }

    /// Whether fragments were agreed on with whom the cookies name.
    fn takes_fragments(&self, cookies: Cookies, path: Path) -> bool {
        let sa = self.sas.by_cookies(cookies);
        if let Some(sa) = sa.and_then(|id| self.sas.get(id.0)) {
            return sa.watch.features.fragments;
        }
        cookies.1 != Cookie::ZERO
            && self.phase1.named(cookies.0).any(|(_, exchange)| {
                let common = &exchange.common;
                let named = common.cookies.1 == cookies.1;
                // The initiator of Aggressive mode hears of them with the very message.
                let first = common.cookies.1 == Cookie::ZERO && common.offers_fragments();
                let agreed = named && common.extensions.features.fragments;
                let same = common.talk.path.peer.ip() == path.peer.ip();
                same && (agreed || first)
            })
    }
}
