//! Somebody who sees everything that crosses the WAN and everything that arrives behind the
//! routers, and knows what must never be seen.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use hw_offload::Engines;
use ipsec_core::wire::ipv4::Ipv4;
use ipsec_core::{Instant, SaState};
use isakmp_core::wire::{Cookie, ExchangeType, Header, MessageId};
use lab::{Buf, Pair, Side, is_udp, udp};

use crate::{HOST_A, HOST_B};

const ESP: u8 = 50;
const AH: u8 = 51;
/// Where the traffic that a witness sends goes.
const PORT: u16 = 5000;
/// Bytes of an IV: those of DES.
const IV: usize = 8;
/// The most that may be there at once of what one peer and one policy need (threats.md C6: four
/// bundles that can be used, and what is being made and removed).
const BUNDLES: usize = 4;
const TABLE: usize = 16;

/// Packets as a road returns them.
pub type Copies = Vec<(Duration, Vec<u8>)>;

/// The witness; clones see with the same eyes.
#[derive(Clone, Debug, Default)]
pub struct Witness(Rc<RefCell<Seen>>);

/// The different messages of one message id, by sender and exchange type.
type Messages = BTreeMap<(Side, u8), BTreeSet<Vec<u8>>>;

#[derive(Debug, Default)]
struct Seen {
    isakmp: u64,
    /// The numbers under an SPI.
    sequences: BTreeMap<(Side, u8, u32), BTreeSet<u32>>,
    /// Whether they may come in any order.
    any_order: bool,
    ivs: BTreeSet<(u32, [u8; IV])>,
    exchanges: BTreeMap<(Cookie, Cookie, MessageId), Messages>,
    sent: BTreeMap<u64, (Side, Vec<u8>)>,
    arrived: BTreeSet<u64>,
    heard: [u64; 2],
    wrong: Vec<String>,
}

impl Witness {
    /// A witness of engines that finish packets in any order.
    #[must_use]
    pub fn of_slow_engines() -> Self {
        let seen = Seen {
            any_order: true,
            ..Seen::default()
        };
        Self(Rc::new(RefCell::new(seen)))
    }

    /// Watches a pair. What becomes of a packet is the road's matter, which is told the number of
    /// an ISAKMP message among those since `watch`, from 0.
    pub fn watch<E: Engines<Buf = Buf>>(
        &self,
        pair: &mut Pair<E>,
        mut road: impl FnMut(Side, Option<u64>, &[u8]) -> Copies + 'static,
    ) {
        self.0.borrow_mut().isakmp = 0;
        let seen = Rc::clone(&self.0);
        pair.road = Some(Box::new(move |side, _, packet| {
            let number = seen.borrow_mut().on_the_road(side, packet);
            road(side, number, packet)
        }));
        let seen = Rc::clone(&self.0);
        pair.watch = Some(Box::new(move |side, packet| {
            seen.borrow_mut().inside(side, packet);
        }));
    }

    /// Sends a UDP datagram with so many bytes of payload from the host behind a side to that
    /// behind the other.
    ///
    /// # Panics
    /// When that is no length of a datagram.
    pub fn send<E: Engines<Buf = Buf>>(&self, pair: &mut Pair<E>, side: Side, len: usize) {
        let mut seen = self.0.borrow_mut();
        let number = seen.sent.len() as u64;
        let mut payload = number.to_be_bytes().to_vec();
        payload.extend((0..len.saturating_sub(8)).map(|place| (place as u64 ^ number) as u8));
        let (from, to) = match side {
            Side::A => (HOST_A, HOST_B),
            Side::B => (HOST_B, HOST_A),
        };
        let (from, to) = (
            SocketAddr::new(from.into(), 4000),
            SocketAddr::new(to.into(), PORT),
        );
        let packet = udp(from, to, &payload).expect("a short datagram");
        seen.sent.insert(number, (side, payload));
        drop(seen);
        pair.forward(side, &packet);
    }

    /// ISAKMP messages since `watch`.
    #[must_use]
    pub fn isakmp(&self) -> u64 {
        self.0.borrow().isakmp
    }

    /// Datagrams of [`Self::send`] that arrived behind A and behind B.
    #[must_use]
    pub fn heard(&self) -> [u64; 2] {
        self.0.borrow().heard
    }

    /// What must never be, if it was. Asked after each event.
    #[must_use]
    pub fn objection<E: Engines<Buf = Buf>>(&self, pair: &mut Pair<E>) -> Option<String> {
        if let Some(wrong) = self.0.borrow().wrong.first() {
            return Some(wrong.clone());
        }
        if pair.clear != 0 {
            return Some("something crossed the WAN in clear".into());
        }
        [Side::A, Side::B].into_iter().find_map(|side| {
            let now = pair.local(side);
            let device = &pair.router(side).device;
            let (plane, endpoint) = (device.plane(), device.endpoint());
            let valid = |(_, bundle): &(_, &ipsec_core::Bundle)| bundle.state == SaState::Valid;
            let counts = [
                (
                    "usable bundles",
                    plane.bundles().filter(valid).count(),
                    BUNDLES,
                ),
                ("bundles", plane.bundles().count(), TABLE),
                ("ISAKMP SAs", endpoint.sas().count(), TABLE),
                ("exchanges", endpoint.exchanges(now).count(), TABLE),
            ];
            let over = counts.into_iter().find(|(_, count, most)| count > most);
            over.map(|(what, count, _)| format!("{side}: {count} {what}"))
        })
    }
}

/// Two routers under a witness's eyes, with traffic that somebody sends.
pub trait Watched {
    /// The routers' engines.
    type Engines: Engines<Buf = Buf>;

    /// The routers.
    fn pair(&mut self) -> &mut Pair<Self::Engines>;

    /// The witness.
    fn witness(&self) -> &Witness;

    /// When traffic is next due, if it is.
    fn next(&mut self) -> &mut Option<Instant>;

    /// Sends what is due; more is due so much later.
    fn send(&mut self) -> Duration;

    /// Which story it is.
    fn what(&self) -> String;

    /// Runs until something is so; false if it is not in time.
    ///
    /// # Panics
    /// When the witness objects.
    fn until(&mut self, time: Duration, done: impl Fn(&Witness) -> bool) -> bool {
        let end = self.pair().now + time;
        while !done(self.witness()) {
            let stop = self.next().map_or(end, |next| next.min(end));
            if !self.pair().step(stop) {
                self.pair().run_to(stop);
                if stop == end {
                    return false;
                }
                let wait = self.send();
                *self.next() = Some(stop + wait);
            }
            let witness = self.witness().clone();
            if let Some(objection) = witness.objection(self.pair()) {
                panic!("{objection}: {}", self.what());
            }
        }
        true
    }
}

impl Seen {
    /// The number of an ISAKMP message.
    fn on_the_road(&mut self, side: Side, packet: &[u8]) -> Option<u64> {
        let ip = Ipv4::parse(packet).ok()?;
        if let Some((header, message)) = isakmp_message(packet) {
            self.message(side, header, message);
            self.isakmp += 1;
            return Some(self.isakmp - 1);
        }
        if ip.fragment_offset() == 0 {
            match (ip.protocol(), is_udp(packet)) {
                (_, Some((.., payload))) if payload.len() > 8 => self.esp(side, payload),
                (ESP, _) => self.esp(side, ip.payload()),
                (AH, _) => self.ah(side, ip.payload()),
                _ => {}
            }
        }
        None
    }

    fn ah(&mut self, side: Side, ah: &[u8]) {
        let [_, len, _, _, s0, s1, s2, s3, n0, n1, n2, n3, ..] = *ah else {
            return;
        };
        self.sequence(side, AH, [[s0, s1, s2, s3], [n0, n1, n2, n3]]);
        // The length counts words of 4 bytes, less 2 (RFC 2402 §2.2).
        if let Some(esp) = ah.get((usize::from(len) + 2) * 4..) {
            self.esp(side, esp);
        }
    }

    fn esp(&mut self, side: Side, esp: &[u8]) {
        let Some((&[s0, s1, s2, s3, n0, n1, n2, n3], rest)) = esp.split_first_chunk() else {
            return;
        };
        self.sequence(side, ESP, [[s0, s1, s2, s3], [n0, n1, n2, n3]]);
        let spi = u32::from_be_bytes([s0, s1, s2, s3]);
        if let Some(iv) = rest.first_chunk::<IV>()
            && !self.ivs.insert((spi, *iv))
        {
            self.wrong
                .push(format!("{side}: an IV again under SPI {spi:08x}"));
        }
    }

    fn sequence(&mut self, side: Side, protocol: u8, [spi, number]: [[u8; 4]; 2]) {
        let (spi, number) = (u32::from_be_bytes(spi), u32::from_be_bytes(number));
        let numbers = self.sequences.entry((side, protocol, spi)).or_default();
        let last = numbers.last().copied();
        let again = !numbers.insert(number);
        let back = !self.any_order && last.is_some_and(|last| number <= last);
        if again || back {
            let wrong = format!("{side}: SPI {spi:08x} went from {last:?} to {number}");
            self.wrong.push(wrong);
        }
    }

    /// A message id names one exchange, and a side has at most so many different messages in it.
    fn message(&mut self, side: Side, header: Header, message: &[u8]) {
        if header.message_id == MessageId(0) {
            return;
        }
        let name = (header.initiator, header.responder, header.message_id);
        let exchange = self.exchanges.entry(name).or_default();
        let kind = header.exchange.number();
        let messages = exchange.entry((side, kind)).or_default();
        messages.insert(message.to_vec());
        let most = match header.exchange {
            ExchangeType::Quick => 2,
            // Three questions, and what came of them.
            ExchangeType::Transaction => 4,
            _ => 1,
        };
        // CONNECTED comes under the message id of its quick mode.
        let kinds: BTreeSet<u8> = exchange.keys().map(|(_, kind)| *kind).collect();
        let quick = ExchangeType::Quick.number();
        let one = kinds.len() == 1 || kinds.len() == 2 && kinds.contains(&quick);
        let few = exchange[&(side, kind)].len() <= most;
        if !one || !few {
            self.wrong.push(format!(
                "{side}: message id {:08x} again",
                header.message_id.0
            ));
        }
    }

    fn inside(&mut self, side: Side, packet: &[u8]) {
        let Some((_, to, payload)) = is_udp(packet).filter(|(_, to, _)| to.port() == PORT) else {
            return;
        };
        let host: IpAddr = match side {
            Side::A => HOST_A.into(),
            Side::B => HOST_B.into(),
        };
        let number = payload
            .first_chunk()
            .map(|bytes| u64::from_be_bytes(*bytes));
        let sent = number.and_then(|number| self.sent.get(&number));
        let genuine = sent.is_some_and(|(from, sent)| *from == side.other() && sent == payload);
        if !genuine || to.ip() != host {
            self.wrong
                .push(format!("{side}: a packet that nobody sent"));
        } else if !self.arrived.insert(number.unwrap_or(0)) {
            self.wrong.push(format!("{side}: a packet arrived twice"));
        } else {
            self.heard[side as usize] += 1;
        }
    }
}

/// The ISAKMP message in a datagram, with its header.
#[must_use]
pub fn isakmp_message(packet: &[u8]) -> Option<(Header, &[u8])> {
    let (from, to, payload) = is_udp(packet)?;
    let ports = [from.port(), to.port()];
    let message = if ports.contains(&4500) {
        payload.strip_prefix(&[0; 4])?
    } else {
        ports.contains(&500).then_some(payload)?
    };
    let (header, _) = Header::parse(message).ok()?;
    Some((header, message))
}

/// What one side has and the other does not know: SAs by their SPIs, and the ISAKMP SA under which
/// the next exchange would be. Older ones may stay with one side: nothing is begun under them.
pub fn disagreement<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) -> Option<String> {
    let spis = |pair: &mut Pair<E>, side: Side| -> BTreeSet<(u32, u32)> {
        let plane = pair.router(side).device.plane();
        let sas = plane.sas();
        sas.map(|(_, sa)| (sa.in_spi.0, sa.out_spi.0)).collect()
    };
    let (a, b) = (spis(pair, Side::A), spis(pair, Side::B));
    let turned: BTreeSet<_> = b.iter().map(|(own, other)| (*other, *own)).collect();
    if a != turned {
        return Some(format!("SAs {a:08x?} and {b:08x?}"));
    }
    [Side::A, Side::B].into_iter().find_map(|side| {
        let endpoint = pair.router(side).device.endpoint();
        let newest = endpoint.sas().max_by_key(|sa| sa.since)?.cookies;
        let mut others = pair.router(side.other()).device.endpoint().sas();
        let known = others.any(|sa| sa.cookies == newest);
        (!known).then(|| format!("{side} has an ISAKMP SA {newest:?} of its own"))
    })
}
