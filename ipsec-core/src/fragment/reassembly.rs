//! Putting fragments together, within bounds (RFC 791 §3.2, RFC 815, RFC 8200 §4.5).
//!
//! Fragments are not authentic, and whoever sends them may be a stranger. So nothing is kept that
//! cannot be part of a sound datagram, any overlap ends its datagram (RFC 5722, for IPv4 as well),
//! and what waits is bounded in number, bytes and time, in all and per source.
//!
//! A fragment costs a scan of the datagrams that wait and a walk along the fragments of its own;
//! [`Limits::reassembly`] bounds both. The tables grow to their bound once and are used again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;

use hw_offload::{Buffers, PacketBuf};

use super::part::Part;
use crate::limits::{HeldFragments, Limits, ReassemblyLimits};
use crate::model::Direction;
use crate::net::InterfaceId;
use crate::reason::DropReason;
use crate::time::Instant;
use crate::wire::datagram::finish;
use crate::wire::ecn::{self, Ecn};

/// What became of a packet.
#[derive(Debug)]
pub enum Reassembled<B> {
    /// A whole datagram: the packet itself if it was no fragment, else a new buffer.
    Whole(B),
    /// It waits for the others.
    Held,
    /// It goes no further.
    Refused {
        /// Why.
        why: DropReason,
        /// The packet.
        packet: B,
    },
}

/// Datagrams of which fragments wait.
#[derive(Debug)]
pub struct Reassembly<B> {
    limits: ReassemblyLimits,
    /// In the order of their first fragment's arrival.
    datagrams: VecDeque<Partial>,
    slots: Vec<Slot<B>>,
    free: Option<u16>,
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    on: InterfaceId,
    direction: Direction,
    source: IpAddr,
    destination: IpAddr,
    /// In IPv6, which does not compare it, always 0.
    protocol: u8,
    id: u32,
}

#[derive(Debug)]
struct Partial {
    key: Key,
    born: Instant,
    /// Its fragments, by offset.
    first: Option<u16>,
    fragments: u16,
    bytes: usize,
    /// The highest end of a fragment.
    reach: usize,
    /// The length, once the last fragment is here.
    total: Option<usize>,
    /// Whether a fragment experienced congestion.
    congested: bool,
    /// Whether an overlap was seen, so that what still comes is refused, too.
    spoilt: bool,
}

/// A fragment, or a free place.
#[derive(Debug)]
struct Slot<B> {
    offset: usize,
    len: usize,
    payload_at: usize,
    next: Option<u16>,
    packet: Option<B>,
}

/// Where a fragment fits in.
enum Fit {
    /// Its datagram is not known yet.
    New,
    /// Behind this one, or at the front.
    Behind(Option<u16>),
    /// It is the last that was missing.
    Completes,
}

/// Why a fragment does not fit in.
enum Misfit {
    /// It goes, nothing else happens.
    Fragment(DropReason),
    /// Its whole datagram goes.
    Datagram(DropReason),
}

impl<B: PacketBuf> Reassembly<B> {
    /// Nothing waits.
    #[must_use]
    pub const fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.reassembly,
            datagrams: VecDeque::new(),
            slots: Vec::new(),
            free: None,
        }
    }

    /// Takes a packet in front of IPsec. A packet that is no fragment comes back at once, an atomic
    /// fragment (RFC 6946) without its fragment header. A datagram that becomes whole is copied
    /// into a buffer of its length from `buffers`; the buffers of its fragments go back there, and
    /// so do those of fragments that are given up.
    pub fn offer(
        &mut self,
        now: Instant,
        on: InterfaceId,
        direction: Direction,
        mut packet: B,
        buffers: &mut dyn Buffers<B>,
    ) -> Reassembled<B> {
        let part = match Part::read(packet.packet()) {
            Ok(Some(part)) => part,
            Ok(None) => return Reassembled::Whole(packet),
            Err(why) => return Reassembled::Refused { why, packet },
        };
        if part.is_atomic() {
            return match part.strip(&mut packet) {
                Ok(()) => Reassembled::Whole(packet),
                Err(why) => Reassembled::Refused { why, packet },
            };
        }
        self.expire(now, |buffer| buffers.give(buffer));
        let key = Key {
            on,
            direction,
            source: part.source,
            destination: part.destination,
            protocol: part.protocol,
            id: part.id,
        };
        let fit = part
            .check()
            .map_err(Misfit::Fragment)
            .and_then(|()| self.fit(&key, &part, &packet));
        match fit {
            Ok(Fit::Completes) => return self.complete(&key, &part, packet, buffers),
            Ok(Fit::New) => {
                if self.open(now, key, &part, buffers) {
                    self.hold(&key, &part, None, packet);
                    return Reassembled::Held;
                }
            }
            Ok(Fit::Behind(before)) => {
                if self.make_room(&key, &part, 0, buffers) {
                    self.hold(&key, &part, before, packet);
                    return Reassembled::Held;
                }
                self.discard(&key, buffers);
            }
            Err(Misfit::Datagram(why)) => {
                self.spoil(&key, buffers);
                return Reassembled::Refused { why, packet };
            }
            Err(Misfit::Fragment(why)) => return Reassembled::Refused { why, packet },
        }
        let why = DropReason::FragmentsTooMany;
        Reassembled::Refused { why, packet }
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Instant, mut give: impl FnMut(B)) {
        while self.deadline().is_some_and(|at| at <= now) {
            if let Some(partial) = self.datagrams.pop_front() {
                self.release(partial.first, &mut give);
            }
        }
    }

    /// When [`Reassembly::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.datagrams
            .front()
            .map(|oldest| oldest.born + self.limits.time)
    }

    /// What waits.
    #[must_use]
    pub fn waiting(&self) -> HeldFragments {
        self.sum(|_| true)
    }

    fn sum(&self, of: impl Fn(&Key) -> bool) -> HeldFragments {
        let mut sum = HeldFragments::default();
        for partial in self.datagrams.iter().filter(|partial| of(&partial.key)) {
            sum.datagrams += 1;
            sum.fragments += partial.fragments;
            sum.bytes += u32::try_from(partial.bytes).unwrap_or(u32::MAX);
        }
        sum
    }

    /// Finds where a fragment fits in; changes nothing.
    fn fit(&self, key: &Key, part: &Part, packet: &B) -> Result<Fit, Misfit> {
        let overlap = DropReason::FragmentOverlap;
        let Some(partial) = self.datagrams.iter().find(|partial| partial.key == *key) else {
            return Ok(Fit::New);
        };
        if partial.spoilt {
            return Err(Misfit::Fragment(overlap));
        }
        let end = part.offset + part.len;
        let (mut before, mut next) = (None, partial.first);
        while let Some(slot) = self.slot(next) {
            let slot_end = slot.offset + slot.len;
            if slot.offset == part.offset && slot.len == part.len {
                let last = partial.total == Some(end);
                let same = last != part.more && slot.payload() == part.payload(packet.packet());
                return Err(if same {
                    Misfit::Fragment(DropReason::FragmentRepeated)
                } else {
                    Misfit::Datagram(overlap)
                });
            }
            if slot.offset >= end {
                break;
            }
            if slot_end > part.offset {
                return Err(Misfit::Datagram(overlap));
            }
            (before, next) = (next, slot.next);
        }
        let total = if part.more { partial.total } else { Some(end) };
        let agrees = partial.total.is_none_or(|known| total == Some(known))
            && total.is_none_or(|total| end.max(partial.reach) <= total);
        if !agrees {
            return Err(Misfit::Datagram(overlap));
        }
        Ok(if total == Some(partial.bytes + part.len) {
            Fit::Completes
        } else {
            Fit::Behind(before)
        })
    }

    /// Makes an entry for a datagram; false if there is no room.
    fn open(&mut self, now: Instant, key: Key, part: &Part, buffers: &mut dyn Buffers<B>) -> bool {
        if !self.make_room(&key, part, 1, buffers) {
            return false;
        }
        self.datagrams.push_back(Partial {
            key,
            born: now,
            first: None,
            fragments: 0,
            bytes: 0,
            reach: 0,
            total: None,
            congested: false,
            spoilt: false,
        });
        true
    }

    /// Gives up the oldest other datagrams, of the same source or of all, until one more fragment
    /// is within the limits; false if it cannot be.
    fn make_room(
        &mut self,
        key: &Key,
        part: &Part,
        datagrams: u16,
        buffers: &mut dyn Buffers<B>,
    ) -> bool {
        let more = HeldFragments {
            datagrams,
            fragments: 1,
            bytes: u32::try_from(part.len).unwrap_or(u32::MAX),
        };
        let ReassemblyLimits {
            in_all, per_source, ..
        } = self.limits;
        while !fits(self.sum(|other| other.same_source(key)), more, per_source) {
            if !self.discard_first(buffers, |other| other.same_source(key) && other != key) {
                return false;
            }
        }
        while !fits(self.sum(|_| true), more, in_all) {
            if !self.discard_first(buffers, |other| other != key) {
                return false;
            }
        }
        true
    }

    /// Keeps a fragment of a known datagram, for which `make_room` has been asked.
    fn hold(&mut self, key: &Key, part: &Part, before: Option<u16>, packet: B) {
        let Some(place) = self.free_slot() else {
            return;
        };
        let Some(partial) = self.datagrams.iter_mut().find(|p| p.key == *key) else {
            return;
        };
        partial.fragments += 1;
        partial.bytes += part.len;
        partial.reach = partial.reach.max(part.offset + part.len);
        partial.congested |= part.ecn == Ecn::Ce;
        if !part.more {
            partial.total = Some(part.offset + part.len);
        }
        let next = match before {
            None => partial.first.replace(place),
            Some(before) => match self.slots.get_mut(usize::from(before)) {
                Some(slot) => slot.next.replace(place),
                None => None,
            },
        };
        if let Some(slot) = self.slots.get_mut(usize::from(place)) {
            *slot = Slot {
                offset: part.offset,
                len: part.len,
                payload_at: part.payload_at,
                next,
                packet: Some(packet),
            };
        }
    }

    /// Copies a datagram together, of which `packet` is the last missing fragment.
    fn complete(
        &mut self,
        key: &Key,
        part: &Part,
        packet: B,
        buffers: &mut dyn Buffers<B>,
    ) -> Reassembled<B> {
        let whole = self.assemble(key, part, &packet, buffers);
        self.discard(key, buffers);
        match whole {
            Ok(whole) => {
                buffers.give(packet);
                Reassembled::Whole(whole)
            }
            Err(why) => Reassembled::Refused { why, packet },
        }
    }

    fn assemble(
        &self,
        key: &Key,
        part: &Part,
        packet: &B,
        buffers: &mut dyn Buffers<B>,
    ) -> Result<B, DropReason> {
        let partial = self.datagrams.iter().find(|partial| partial.key == *key);
        let partial = partial.ok_or(DropReason::Malformed)?;
        let first = match self.slot(partial.first) {
            Some(slot) if part.offset != 0 => slot.packet.as_ref(),
            Some(_) | None => Some(packet),
        };
        let first = first.ok_or(DropReason::Malformed)?.packet();
        let head = Part::read(first)?.ok_or(DropReason::Malformed)?;
        let len = head.header_len + partial.bytes + part.len;
        let mut whole = buffers.take(len).ok_or(DropReason::FragmentsTooMany)?;
        let copied = whole
            .grow_back(len)
            .map_err(|_| DropReason::NoRoom)
            .and_then(|()| {
                let bytes = whole.packet_mut();
                self.copy(bytes, partial, &head, first)?;
                let (_, rest) = bytes
                    .split_at_mut_checked(head.header_len + part.offset)
                    .ok_or(DropReason::Malformed)?;
                put(rest, part.payload(packet.packet()))?;
                finish(bytes, head.next_at, head.next).map_err(|_| DropReason::Malformed)?;
                if partial.congested || part.ecn == Ecn::Ce {
                    // RFC 3168 §5.3: congestion of a fragment is that of the datagram.
                    ecn::decapsulate(bytes, Ecn::Ce.bits()).map_err(|_| DropReason::Congested)?;
                }
                Ok(())
            });
        match copied {
            Ok(()) => Ok(whole),
            Err(why) => {
                buffers.give(whole);
                Err(why)
            }
        }
    }

    /// Copies the first fragment's header and every fragment that waits.
    fn copy(
        &self,
        bytes: &mut [u8],
        partial: &Partial,
        head: &Part,
        first: &[u8],
    ) -> Result<(), DropReason> {
        let (header, payload) = bytes
            .split_at_mut_checked(head.header_len)
            .ok_or(DropReason::Malformed)?;
        put(header, first.get(..head.header_len).unwrap_or(&[]))?;
        head.unmark(header);
        let mut next = partial.first;
        while let Some(slot) = self.slot(next) {
            let (_, rest) = payload
                .split_at_mut_checked(slot.offset)
                .ok_or(DropReason::Malformed)?;
            put(rest, slot.payload())?;
            next = slot.next;
        }
        Ok(())
    }

    /// Ends a datagram, and remembers that.
    fn spoil(&mut self, key: &Key, buffers: &mut dyn Buffers<B>) {
        let Some(partial) = self.datagrams.iter_mut().find(|p| p.key == *key) else {
            return;
        };
        partial.spoilt = true;
        partial.fragments = 0;
        partial.bytes = 0;
        let first = partial.first.take();
        self.release(first, &mut |buffer| buffers.give(buffer));
    }

    fn discard(&mut self, key: &Key, buffers: &mut dyn Buffers<B>) {
        self.discard_first(buffers, |other| other == key);
    }

    /// Gives up the oldest of those datagrams; false if there is none.
    fn discard_first(&mut self, buffers: &mut dyn Buffers<B>, of: impl Fn(&Key) -> bool) -> bool {
        let place = self.datagrams.iter().position(|partial| of(&partial.key));
        let partial = place.and_then(|place| self.datagrams.remove(place));
        let found = partial.is_some();
        if let Some(partial) = partial {
            self.release(partial.first, &mut |buffer| buffers.give(buffer));
        }
        found
    }

    fn slot(&self, place: Option<u16>) -> Option<&Slot<B>> {
        place.and_then(|place| self.slots.get(usize::from(place)))
    }

    /// A free place; the limits are far from the numbers that `u16` has.
    fn free_slot(&mut self) -> Option<u16> {
        if let Some(place) = self.free {
            self.free = self.slots.get(usize::from(place))?.next;
            return Some(place);
        }
        let place = u16::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot {
            offset: 0,
            len: 0,
            payload_at: 0,
            next: None,
            packet: None,
        });
        Some(place)
    }

    /// Frees a list of places.
    fn release(&mut self, mut first: Option<u16>, give: &mut dyn FnMut(B)) {
        while let Some(place) = first {
            let Some(slot) = self.slots.get_mut(usize::from(place)) else {
                return;
            };
            if let Some(packet) = slot.packet.take() {
                give(packet);
            }
            first = mem::replace(&mut slot.next, self.free);
            self.free = Some(place);
        }
    }
}

impl<B: PacketBuf> Slot<B> {
    fn payload(&self) -> &[u8] {
        self.packet
            .as_ref()
            .and_then(|packet| packet.packet().get(self.payload_at..))
            .and_then(|rest| rest.get(..self.len))
            .unwrap_or(&[])
    }
}

impl Key {
    /// One host, or one IPv6 network of the size that a host gets.
    fn same_source(&self, other: &Self) -> bool {
        match (self.source, other.source) {
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 64 == b.to_bits() >> 64,
            (a, b) => a == b,
        }
    }
}

fn fits(held: HeldFragments, more: HeldFragments, limit: HeldFragments) -> bool {
    held.datagrams.saturating_add(more.datagrams) <= limit.datagrams
        && held.fragments.saturating_add(more.fragments) <= limit.fragments
        && held.bytes.saturating_add(more.bytes) <= limit.bytes
}

fn put(to: &mut [u8], from: &[u8]) -> Result<(), DropReason> {
    to.get_mut(..from.len())
        .ok_or(DropReason::Malformed)?
        .copy_from_slice(from);
    Ok(())
}
