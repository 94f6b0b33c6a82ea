//! Fragments of both versions, put together within bounds.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use hw_offload::{Buffers, Headroom, PacketBuf};
use ipsec_core::model::Direction;
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::datagram::Datagram;
use ipsec_core::wire::{ipv4, ipv6};
use ipsec_core::{
    DropReason, HeldFragments, Instant, Limits, Reassembled, Reassembly, ReassemblyLimits,
};
use lab::Buf;

use super::addresses::repair;
use super::input::Input;

/// Bounds that a short input reaches.
const LIMITS: ReassemblyLimits = ReassemblyLimits {
    in_all: HeldFragments {
        datagrams: 4,
        fragments: 12,
        bytes: 4096,
    },
    per_source: HeldFragments {
        datagrams: 3,
        fragments: 8,
        bytes: 2048,
    },
    time: Duration::from_secs(30),
};

/// What every datagram carries.
const PROTOCOL: u8 = 17;

/// Buffers, counted while they are out.
#[derive(Default)]
struct Pool {
    out: usize,
}

impl Buffers<Buf> for Pool {
    fn take(&mut self, len: usize) -> Option<Buf> {
        self.out += 1;
        Some(Headroom::with_room(64, len + 128))
    }

    fn give(&mut self, _: Buf) {
        self.out -= 1;
    }
}

/// What makes fragments belong together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    v6: bool,
    source: u8,
    id: u8,
}

/// A fragment's place and content.
struct Piece {
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

/// The fragments of a datagram that were taken, as a naive implementation keeps them.
struct Pieces {
    taken: Vec<Piece>,
    /// Whether all of them still wait, so that the last that is missing must complete them.
    waiting: bool,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            taken: Vec::new(),
            waiting: true,
        }
    }
}

impl Pieces {
    /// Whether fragments without overlap are laid end to end to exactly this.
    fn tile(&self, whole: &[u8]) -> bool {
        let mut reached = BTreeSet::from([0]);
        while let Some(at) = reached.pop_first() {
            for piece in self.taken.iter().filter(|piece| piece.offset == at) {
                let end = at + piece.payload.len();
                if whole.get(at..end) != Some(&piece.payload[..]) {
                    continue;
                }
                match piece.more {
                    true => drop(reached.insert(end)),
                    false if end == whole.len() => return true,
                    false => {}
                }
            }
        }
        false
    }

    /// Whether nothing is missing, given that nothing overlaps.
    fn complete(&self) -> bool {
        let end = |piece: &Piece| piece.offset + piece.payload.len();
        let last = self.taken.iter().find(|piece| !piece.more);
        let sum: usize = self.taken.iter().map(|piece| piece.payload.len()).sum();
        last.is_some_and(|last| end(last) == sum)
    }
}

/// The reassembly and what is known of it.
struct Bench {
    reassembly: Reassembly<Buf>,
    pool: Pool,
    now: Instant,
    model: BTreeMap<Key, Pieces>,
    /// The sources of all that was offered.
    sources: BTreeSet<(bool, u8)>,
    /// Whether packets came that the model does not know.
    foreign: bool,
}

/// A sequence of fragments, other packets, and pauses.
pub fn reassembly(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bench = Bench {
        reassembly: Reassembly::new(&Limits {
            reassembly: LIMITS,
            ..Limits::default()
        }),
        pool: Pool::default(),
        now: Instant::from_secs(1),
        model: BTreeMap::new(),
        sources: BTreeSet::new(),
        foreign: false,
    };
    while let Some(event) = input.byte() {
        if bench.event(event, &mut input).is_none() {
            break;
        }
        bench.check_bounds();
    }
    bench.now = Instant::NEVER;
    bench.expire();
    assert_eq!(bench.pool.out, 0, "every buffer came back");
    assert_eq!(bench.reassembly.waiting(), HeldFragments::default());
}

impl Bench {
    fn event(&mut self, event: u8, input: &mut Input<'_>) -> Option<()> {
        match event % 8 {
            7 => {
                self.now += Duration::from_secs(input.byte()?.into());
                self.expire();
            }
            6 => {
                let mut packet = input.chunk()?.to_vec();
                repair(&mut packet);
                self.foreign = true;
                // Whatever becomes of it, the buffers are counted.
                drop(self.offer(&packet));
            }
            _ => {
                let which = input.byte()?;
                let key = Key {
                    v6: which & 1 != 0,
                    source: which >> 1 & 1,
                    id: which >> 2 & 3,
                };
                let more = event & 8 != 0;
                let mut offset = usize::from(input.byte()?) * 8;
                let mut len = usize::from(input.byte()?);
                if event & 32 == 0 && more {
                    len &= !7;
                }
                // Beyond what a datagram can be.
                if event & 128 != 0 {
                    offset += 0xf800;
                }
                let salt = event & 64;
                let payload = (offset..offset + len)
                    .map(|n| (n % 251) as u8 ^ salt)
                    .collect();
                self.fragment(
                    key,
                    Piece {
                        offset,
                        more,
                        payload,
                    },
                )?;
            }
        }
        Some(())
    }

    fn fragment(&mut self, key: Key, piece: Piece) -> Option<()> {
        let packet = written(key, &piece)?;
        self.sources.insert((key.v6, key.source));
        let atomic = piece.offset == 0 && !piece.more;
        let before = self.pool.out;
        let fate = self.offer(&packet);
        if atomic {
            let Ok(whole) = fate else {
                panic!("it needs no other")
            };
            let whole = whole.expect("nor does it wait");
            assert_eq!(content(&whole, key), piece.payload);
            return Some(());
        }
        let kept = self.pool.out == before + 1;
        let pieces = self.model.entry(key).or_default();
        match fate {
            Ok(None) => {
                pieces.taken.push(piece);
                let complete = pieces.waiting && pieces.complete();
                assert!(self.foreign || !complete, "nothing is missing");
                if !kept {
                    self.lose();
                }
            }
            Ok(Some(whole)) => {
                pieces.taken.push(piece);
                let sound = self.foreign || pieces.tile(&content(&whole, key));
                assert!(sound, "this was not sent");
                *pieces = Pieces::default();
            }
            Err(DropReason::FragmentRepeated) => {}
            Err(DropReason::FragmentsTooMany) => self.lose(),
            Err(_) => pieces.waiting = false,
        }
        Some(())
    }

    /// Offers a packet: it is whole, waits, or is refused.
    fn offer(&mut self, packet: &[u8]) -> Result<Option<Vec<u8>>, DropReason> {
        let mut buffer = self.pool.take(packet.len()).expect("there is no end");
        buffer.fill(64, packet).expect("it has that room");
        let (on, direction) = (InterfaceId(0), Direction::In);
        let fate = self
            .reassembly
            .offer(self.now, on, direction, buffer, &mut self.pool);
        match fate {
            Reassembled::Held => Ok(None),
            Reassembled::Whole(whole) => {
                let bytes = whole.packet().to_vec();
                self.pool.give(whole);
                Ok(Some(bytes))
            }
            Reassembled::Refused { why, packet: back } => {
                assert_eq!(back.packet(), packet, "what is refused is unchanged");
                self.pool.give(back);
                Err(why)
            }
        }
    }

    /// Some of what waited was given up.
    fn lose(&mut self) {
        for pieces in self.model.values_mut() {
            pieces.waiting = false;
        }
    }

    fn expire(&mut self) {
        let pool = &mut self.pool;
        self.reassembly.expire(self.now, |buffer| pool.give(buffer));
        assert!(self.reassembly.deadline().is_none_or(|at| at > self.now));
        if self.reassembly.waiting() == HeldFragments::default() {
            self.model.clear();
        } else {
            self.lose();
        }
    }

    fn check_bounds(&self) {
        let waiting = self.reassembly.waiting();
        assert_eq!(self.pool.out, usize::from(waiting.fragments));
        let bound = if self.sources.len() == 1 && !self.foreign {
            LIMITS.per_source
        } else {
            LIMITS.in_all
        };
        assert!(
            waiting.datagrams <= bound.datagrams
                && waiting.fragments <= bound.fragments
                && waiting.bytes <= bound.bytes,
            "{waiting:?}"
        );
    }
}

/// The payload of a whole datagram, whose headers must be sound.
fn content(whole: &[u8], key: Key) -> Vec<u8> {
    let ip = Datagram::parse(whole).expect("a whole datagram is readable");
    assert!(!ip.is_fragment());
    assert_eq!((ip.place().next, ip.total_len()), (PROTOCOL, whole.len()));
    assert_eq!(ip.source(), source(key));
    ip.payload().to_vec()
}

fn source(key: Key) -> IpAddr {
    if key.v6 {
        let prefix = 0xdb8 + u16::from(key.source);
        Ipv6Addr::new(0x2001, prefix, 0, 0, 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(10, 0, key.source, 1).into()
    }
}

/// A fragment as it comes; none if it cannot be written.
fn written(key: Key, piece: &Piece) -> Option<Vec<u8>> {
    let units = u16::try_from(piece.offset / 8).ok()?;
    match source(key) {
        IpAddr::V4(source) => {
            let header = ipv4::NewHeader {
                tos: 0,
                total_len: u16::try_from(ipv4::HEADER + piece.payload.len()).ok()?,
                id: key.id.into(),
                dont_fragment: false,
                more_fragments: piece.more,
                offset_units: units,
                ttl: 64,
                protocol: PROTOCOL,
                source,
                destination: Ipv4Addr::new(10, 0, 9, 9),
            };
            Some([&header.to_bytes(), &piece.payload[..]].concat())
        }
        IpAddr::V6(source) => {
            let [high, low] = (units * 8 + u16::from(piece.more)).to_be_bytes();
            let fragment = [PROTOCOL, 0, high, low, 0, 0, 0, key.id];
            let header = ipv6::NewHeader {
                traffic_class: 0,
                flow_label: 0,
                payload_len: u16::try_from(fragment.len() + piece.payload.len()).ok()?,
                next: 44,
                hop_limit: 64,
                source,
                destination: Ipv6Addr::LOCALHOST,
            };
            Some([&header.to_bytes()[..], &fragment, &piece.payload].concat())
        }
    }
}
