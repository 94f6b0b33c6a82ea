//! IKE fragments: long messages cut into payloads of type 132, for paths that lose IP fragments.
//!
//! ```text
//! header of the message | next | 0 | length (2) | identifier (2) | number | last | data
//! ```
//! The data of all fragments, from number 1, is the whole message with its own header. Nothing of
//! it is authenticated, so everything is bounded, and one message at a time is put together.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use ipsec_core::Instant;

use crate::keys::Cookies;
use crate::wire::{Flags, Header, PayloadType, Writer};

/// Fragments of one message.
const FRAGMENTS: usize = 16;
/// Bytes of one message.
const BYTES: usize = 16_384;
/// Messages that are put together at once, over all peers.
const AT_ONCE: usize = 64;
/// How long a message may be incomplete.
const LIFE: Duration = Duration::from_secs(30);
/// Longer messages are cut.
const WHOLE: usize = 1400;
/// Bytes of the message in one fragment: with all headers, NAT traversal included, it fits the
/// smallest link that IPv6 knows.
const PIECE: usize = 1168;

/// A message that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    current: Option<Message>,
}

#[derive(Debug)]
struct Message {
    identifier: u16,
    last: Option<u8>,
    /// By number, each once.
    pieces: Vec<(u8, Vec<u8>)>,
    until: Instant,
}

impl Reassembly {
    /// Whether there is something that may still become whole.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.current
            .as_ref()
            .is_some_and(|message| message.until > now)
    }

    /// Takes a fragment; returns the message that it completes. Of two with one number the first
    /// is kept. A fragment of another message begins anew, since a peer sends one at a time.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        identifier: u16,
        (number, is_last): (u8, bool),
        data: &[u8],
    ) -> Option<Vec<u8>> {
        if number == 0 || usize::from(number) > FRAGMENTS {
            return None;
        }
        let fits = |message: &&mut Message| message.identifier == identifier && message.until > now;
        if self.current.as_mut().filter(fits).is_none() {
            self.current = Some(Message {
                identifier,
                last: None,
                pieces: Vec::new(),
                until: now + LIFE,
            });
        }
        let message = self.current.as_mut()?;
        let total: usize = message.pieces.iter().map(|(_, piece)| piece.len()).sum();
        let beyond = message.last.is_some_and(|last| number > last);
        let ends_too_soon = is_last && message.pieces.iter().any(|(other, _)| *other > number);
        let known = message.pieces.iter().any(|(other, _)| *other == number);
        if beyond || ends_too_soon || known || total + data.len() > BYTES {
            return None;
        }
        if is_last {
            message.last.get_or_insert(number);
        }
        message.pieces.push((number, data.to_vec()));
        if message.last.map(usize::from) != Some(message.pieces.len()) {
            return None;
        }
        let mut pieces = self.current.take()?.pieces;
        pieces.sort_unstable_by_key(|(number, _)| *number);
        Some(pieces.into_iter().flat_map(|(_, piece)| piece).collect())
    }
}

/// Messages of all peers that are being put together, by the cookies in front of them.
#[derive(Debug, Default)]
pub(crate) struct Reassemblies(VecDeque<(Cookies, Reassembly)>);

impl Reassemblies {
    /// That of a peer. Where too many wait, the oldest is given up.
    pub(crate) fn of(&mut self, now: Instant, cookies: Cookies) -> Option<&mut Reassembly> {
        self.0.retain(|(_, reassembly)| reassembly.is_alive(now));
        let known = self.0.iter().position(|(of, _)| *of == cookies);
        let place = known.unwrap_or_else(|| {
            if self.0.len() >= AT_ONCE {
                self.0.pop_front();
            }
            self.0.push_back((cookies, Reassembly::default()));
            self.0.len() - 1
        });
        self.0.get_mut(place).map(|(_, reassembly)| reassembly)
    }
}

/// Cuts a message into fragments under its own header; none if it is short enough as it is, or
/// too long for as many fragments as anybody takes.
pub(crate) fn cut(identifier: u16, message: &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = message.len().div_ceil(PIECE);
    if message.len() <= WHOLE || count > FRAGMENTS {
        return None;
    }
    let (header, _) = Header::parse(message).ok()?;
    let header = Header {
        next: PayloadType::FRAGMENT,
        flags: Flags(0),
        ..header
    };
    let fragment = |(place, piece): (usize, &[u8])| {
        let number = u8::try_from(place + 1).unwrap_or(u8::MAX);
        let [high, low] = identifier.to_be_bytes();
        let mut body = alloc::vec![high, low, number, u8::from(place + 1 == count)];
        body.extend_from_slice(piece);
        let mut writer = Writer::new();
        writer.push(PayloadType::FRAGMENT, &body);
        writer.message(header)
    };
    Some(message.chunks(PIECE).enumerate().map(fragment).collect())
}

#[cfg(test)]
mod tests {
    use hw_offload::testing::SeededEntropy;

    use super::*;
    use crate::wire::{Cookie, ExchangeType, HEADER, MessageId, Payload, Payloads};

    fn message(len: usize) -> Vec<u8> {
        let header = Header {
            initiator: Cookie([1; 8]),
            responder: Cookie([2; 8]),
            next: PayloadType::ID,
            exchange: ExchangeType::Main,
            flags: Flags::ENCRYPTED,
            message_id: MessageId(0),
        };
        let mut bytes = header.to_bytes(len).to_vec();
        bytes.extend((0..len - HEADER).map(|n| u8::try_from(n % 251).unwrap_or(0)));
        bytes
    }

    fn feed(reassembly: &mut Reassembly, now: Instant, fragment: &[u8]) -> Option<Vec<u8>> {
        let (header, body) = Header::parse(fragment).expect("a header");
        let payloads = Payloads::parse(header.next, body).expect("payloads");
        let raw = payloads.all().first().expect("one payload");
        let Ok(Payload::Fragment(identifier, number, last, data)) = Payload::parse(*raw) else {
            panic!("not a fragment");
        };
        reassembly.take(now, identifier, (number, last), data)
    }

    #[test]
    fn short_messages_stay_whole() {
        assert!(cut(1, &message(WHOLE)).is_none());
        assert!(cut(1, &message(PIECE * FRAGMENTS + 1)).is_none());
        let fragments = cut(1, &message(WHOLE + 1)).expect("cut");
        assert_eq!(fragments.len(), 2);
        assert!(
            fragments
                .iter()
                .all(|fragment| fragment.len() <= 1280 - 48 - 4)
        );
    }

    #[test]
    fn threat_a9_any_order_and_duplicates_give_the_message_or_nothing() {
        let mut random = SeededEntropy::new(9);
        for len in [1401, 2000, 5000, BYTES] {
            let whole = message(len);
            let fragments = cut(7, &whole).expect("cut");
            for _ in 0..50 {
                let mut order: Vec<usize> =
                    (0..fragments.len()).chain(0..fragments.len()).collect();
                for place in (1..order.len()).rev() {
                    let other = usize::try_from(random.below(place as u64 + 1)).expect("small");
                    order.swap(place, other);
                }
                let mut reassembly = Reassembly::default();
                let mut done = Vec::new();
                for place in order {
                    done.extend(feed(&mut reassembly, Instant::ZERO, &fragments[place]));
                }
                assert!(!done.is_empty() && done.iter().all(|message| *message == whole));
            }
        }
    }

    #[test]
    fn threat_a9_everything_is_bounded() {
        let (now, piece) = (Instant::ZERO, [0; 1024]);
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(now, 1, (0, true), &piece), None);
        assert_eq!(reassembly.take(now, 1, (17, true), &piece), None);
        assert!(reassembly.current.is_none());
        for number in 1..=16 {
            assert_eq!(reassembly.take(now, 1, (number, false), &[0; 2000]), None);
        }
        let held = |reassembly: &Reassembly| {
            let message = reassembly.current.as_ref().expect("one");
            message
                .pieces
                .iter()
                .map(|(_, piece)| piece.len())
                .sum::<usize>()
        };
        assert!(held(&reassembly) <= BYTES);
        // Beyond the last, and a last before others.
        let mut reassembly = Reassembly::default();
        reassembly.take(now, 2, (2, true), &piece);
        assert_eq!(reassembly.take(now, 2, (3, false), &piece), None);
        assert_eq!(held(&reassembly), 1024);
        let mut reassembly = Reassembly::default();
        reassembly.take(now, 3, (4, false), &piece);
        reassembly.take(now, 3, (2, true), &piece);
        assert_eq!(held(&reassembly), 1024);
    }

    #[test]
    fn threat_a9_few_messages_are_put_together_at_once() {
        let mut all = Reassemblies::default();
        let fragments = cut(7, &message(2000)).expect("cut");
        let peer = |number: u8| (Cookie([1; 8]), Cookie([number; 8]));
        for number in 0..=64 {
            let one = all.of(Instant::ZERO, peer(number)).expect("a place");
            assert_eq!(feed(one, Instant::ZERO, &fragments[0]), None);
            assert!(all.0.len() <= AT_ONCE);
        }
        // The first had to go, the second is still there.
        for (number, whole) in [(1, true), (0, false)] {
            let one = all.of(Instant::ZERO, peer(number)).expect("a place");
            let done = feed(one, Instant::ZERO, &fragments[1]).is_some();
            assert_eq!(done, whole, "{number}");
        }
        all.of(Instant::ZERO + LIFE, peer(9));
        assert_eq!(all.0.len(), 1, "all others are too old");
    }

    #[test]
    fn threat_a9_a_late_fragment_begins_anew() {
        let fragments = cut(7, &message(2000)).expect("cut");
        let mut reassembly = Reassembly::default();
        assert_eq!(feed(&mut reassembly, Instant::ZERO, &fragments[0]), None);
        let late = Instant::ZERO + LIFE;
        assert_eq!(feed(&mut reassembly, late, &fragments[1]), None);
        assert!(feed(&mut reassembly, late, &fragments[0]).is_some());
    }
}
