//! The ways to peers: addresses, ports, encapsulation, and what was learned about them.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hw_offload::{Entropy, EntropyFault};

use crate::slab::{Id, Slab};
use crate::time::Instant;
use crate::wire::udp_encap::Framing;

/// A path by slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub Id);

/// What stands between the outer IP header and ESP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encap {
    /// Nothing.
    #[default]
    None,
    /// UDP as negotiated by NAT traversal (RFC 3948).
    NatT {
        /// Our port.
        local_port: u16,
        /// The peer's port.
        peer_port: u16,
    },
    /// The UDP tunnel of UDPTUNNEL=TRUE.
    Tunnel2746 {
        /// What stands between UDP and ESP.
        framing: Framing,
        /// Our port.
        local_port: u16,
        /// The peer's port.
        peer_port: u16,
    },
}

impl Encap {
    /// Our port and the peer's, if there is UDP.
    #[must_use]
    pub const fn ports(self) -> Option<(u16, u16)> {
        match self {
            Self::None => None,
            Self::NatT {
                local_port,
                peer_port,
            }
            | Self::Tunnel2746 {
                local_port,
                peer_port,
                ..
            } => Some((local_port, peer_port)),
        }
    }

    /// What stands between UDP and ESP.
    #[must_use]
    pub const fn framing(self) -> &'static [u8] {
        match self {
            Self::None | Self::NatT { .. } => &[],
            Self::Tunnel2746 { framing, .. } => framing.header(),
        }
    }

    const fn with_peer_port(self, peer_port: u16) -> Self {
        match self {
            Self::None => Self::None,
            Self::NatT { local_port, .. } => Self::NatT {
                local_port,
                peer_port,
            },
            Self::Tunnel2746 {
                framing,
                local_port,
                ..
            } => Self::Tunnel2746 {
                framing,
                local_port,
                peer_port,
            },
        }
    }

    /// Both are the same kind of encapsulation, whatever their ports.
    #[must_use]
    pub const fn same_kind(self, other: Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) | (Self::NatT { .. }, Self::NatT { .. }) => true,
            (Self::Tunnel2746 { framing: a, .. }, Self::Tunnel2746 { framing: b, .. }) => {
                matches!(
                    (a, b),
                    (Framing::V1, Framing::V1) | (Framing::Raw, Framing::Raw)
                )
            }
            _ => false,
        }
    }
}

/// One way to a peer. SAs refer to it, so that a peer that moves moves in one write.
#[derive(Debug)]
pub struct Path {
    /// Our address.
    pub local: IpAddr,
    /// The peer's address.
    pub peer: IpAddr,
    /// What stands between the outer IP header and ESP.
    pub encap: Encap,
    /// Whether a NAT stands in front of us: then we keep its mapping alive, and the peer's address
    /// does not follow what arrives.
    pub behind_nat: bool,
    /// UDPHEARTBEAT=TRUE.
    pub heartbeat: bool,
    /// The largest datagram that went through, as long as that is believed.
    learned: Option<(u16, Instant)>,
    moved_at: Option<Instant>,
    /// When the peer was last sent something.
    pub(crate) sent_at: Instant,
    /// When the peer was last sent a heartbeat.
    pub(crate) beat_at: Instant,
    /// The next thing that time does to it.
    pub(crate) due: Option<Instant>,
    /// The identification of the last datagram that was cut into IPv6 fragments.
    identification: Option<u32>,
    /// Bundles that use it.
    users: u32,
}

/// How long a NAT's mapping is left alone (RFC 3948 §4).
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
/// How often the heartbeat of UDPHEARTBEAT=TRUE is sent.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
/// How long a learned path MTU is believed (RFC 1191 §6.3).
const LEARNED_FOR: Duration = Duration::from_secs(600);
/// A peer moves at most so often.
const MOVES_EVERY: Duration = Duration::from_secs(1);

impl Path {
    /// Our end, with the port of the encapsulation or 0.
    #[must_use]
    pub fn local_end(&self) -> SocketAddr {
        let port = self.encap.ports().map_or(0, |(local, _)| local);
        SocketAddr::new(self.local, port)
    }

    /// The peer's end, with the port of the encapsulation or 0.
    #[must_use]
    pub fn peer_end(&self) -> SocketAddr {
        let port = self.encap.ports().map_or(0, |(_, peer)| peer);
        SocketAddr::new(self.peer, port)
    }

    /// The largest datagram that the path is known to carry.
    #[must_use]
    pub fn mtu(&self, now: Instant) -> Option<u16> {
        let (mtu, until) = self.learned?;
        (now < until).then_some(mtu)
    }

    /// The least that every path carries, below which no report is believed (RFC 791 §2.3,
    /// RFC 8200 §5).
    #[must_use]
    pub const fn floor(&self) -> u16 {
        if self.local.is_ipv4() { 576 } else { 1280 }
    }

    /// Believes a report that larger datagrams do not pass. It can only lower what is known.
    pub(crate) fn learn(&mut self, now: Instant, mtu: u16) {
        let mtu = mtu.max(self.floor());
        if self.mtu(now).is_none_or(|known| mtu <= known) {
            self.learned = Some((mtu, now + LEARNED_FOR));
        }
    }

    /// The identification of the next datagram that is cut into IPv6 fragments. It counts from a
    /// random number: strangers cannot guess it, and none comes again while the fragments of
    /// another may still be on their way (RFC 7739 §5.1).
    pub(crate) fn next_identification(
        &mut self,
        entropy: &mut dyn Entropy,
    ) -> Result<u32, EntropyFault> {
        let next = match self.identification {
            Some(last) => last.wrapping_add(1),
            None => random_identification(entropy)?,
        };
        self.identification = Some(next);
        Ok(next)
    }

    /// When the peer is next to be sent something only to be heard of.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self.encap {
            Encap::NatT { .. } if self.behind_nat => Some(self.sent_at + KEEPALIVE_AFTER),
            Encap::Tunnel2746 { .. } if self.heartbeat => Some(self.beat_at + HEARTBEAT_EVERY),
            Encap::None | Encap::NatT { .. } | Encap::Tunnel2746 { .. } => None,
        }
    }

    /// Whether the peer may be followed to where an authentic, fresh packet came from.
    fn may_move(&self, now: Instant) -> bool {
        let rested = self
            .moved_at
            .is_none_or(|moved| now.since(moved) >= MOVES_EVERY);
        self.encap.ports().is_some() && !self.behind_nat && rested
    }
}

/// An identification for the IPv6 fragments of a datagram that no path leads to its end.
pub(crate) fn random_identification(entropy: &mut dyn Entropy) -> Result<u32, EntropyFault> {
    let mut id = [0; 4];
    entropy.fill(&mut id)?;
    Ok(u32::from_be_bytes(id))
}

/// The path table.
#[derive(Debug)]
pub(crate) struct Paths {
    table: Slab<Path>,
    by_ends: BTreeMap<(SocketAddr, SocketAddr), PathId>,
}

impl Paths {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            table: Slab::new(limit),
            by_ends: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.table.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.table.get_mut(id.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PathId, &Path)> {
        self.table.iter().map(|(id, path)| (PathId(id), path))
    }

    /// The path between two ends for one more user; made if there is none. None when the table is
    /// full.
    pub(crate) fn join(
        &mut self,
        now: Instant,
        (local, peer): (IpAddr, IpAddr),
        encap: Encap,
    ) -> Option<PathId> {
        let path = Path {
            local,
            peer,
            encap,
            behind_nat: false,
            heartbeat: false,
            learned: None,
            moved_at: None,
            sent_at: now,
            beat_at: now,
            due: None,
            identification: None,
            users: 1,
        };
        let ends = (path.local_end(), path.peer_end());
        if let Some(id) = self.by_ends.get(&ends).copied()
            && let Some(known) = self.get_mut(id)
            && known.encap == encap
        {
            known.users += 1;
            return Some(id);
        }
        let id = PathId(self.table.insert(path).ok()?);
        self.by_ends.insert(ends, id);
        Some(id)
    }

    /// A user less; without any the path goes. Gives back when it was due.
    pub(crate) fn leave(&mut self, id: PathId) -> Option<Instant> {
        let path = self.get_mut(id)?;
        path.users = path.users.saturating_sub(1);
        if path.users > 0 {
            return None;
        }
        let path = self.table.remove(id.0)?;
        self.unlist(id, (path.local_end(), path.peer_end()));
        path.due
    }

    /// Follows the peer to `to` if that is another end and the rules allow it. Gives back where it
    /// was.
    pub(crate) fn follow(
        &mut self,
        now: Instant,
        id: PathId,
        to: SocketAddr,
    ) -> Option<SocketAddr> {
        let path = self.get_mut(id)?;
        let from = path.peer_end();
        if from == to || !path.may_move(now) {
            return None;
        }
        path.moved_at = Some(now);
        self.relocate(id, to);
        Some(from)
    }

    /// Puts the peer of a path elsewhere. What was learned about the way there is forgotten.
    pub(crate) fn relocate(&mut self, id: PathId, to: SocketAddr) {
        let Some(path) = self.get_mut(id) else { return };
        let before = (path.local_end(), path.peer_end());
        path.peer = to.ip();
        path.encap = path.encap.with_peer_port(to.port());
        path.learned = None;
        let after = (path.local_end(), path.peer_end());
        self.unlist(id, before);
        self.by_ends.entry(after).or_insert(id);
    }

    /// The path between two ends.
    pub(crate) fn find(&self, local: SocketAddr, peer: SocketAddr) -> Option<PathId> {
        self.by_ends.get(&(local, peer)).copied()
    }

    /// When the path is next to be heard of, or nothing if it is that already.
    pub(crate) fn reschedule(&mut self, id: PathId) -> Option<(Option<Instant>, Instant)> {
        let path = self.get_mut(id)?;
        let due = path.next_due()?;
        let old = path.due.replace(due);
        (old != Some(due)).then_some((old, due))
    }

    fn unlist(&mut self, id: PathId, ends: (SocketAddr, SocketAddr)) {
        if self.by_ends.get(&ends) == Some(&id) {
            self.by_ends.remove(&ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const NAT: Encap = Encap::NatT {
        local_port: 4500,
        peer_port: 4500,
    };

    #[test]
    fn bundles_between_two_ends_share_a_path() {
        let now = Instant::from_secs(1);
        let mut paths = Paths::new(4);
        let ends = (at("1.1.1.1:0").ip(), at("2.2.2.2:0").ip());
        let first = paths.join(now, ends, NAT).unwrap();
        assert_eq!(paths.join(now, ends, NAT), Some(first));
        assert_ne!(paths.join(now, ends, Encap::None), Some(first));
        paths.leave(first);
        assert!(paths.get(first).is_some());
        paths.leave(first);
        assert!(paths.get(first).is_none());
        assert_ne!(paths.join(now, ends, NAT), Some(first));
    }

    /// A peer is followed at most once a second, and never by the side behind the NAT.
    #[test]
    fn threat_d8_a_path_moves_by_its_rules() {
        let now = Instant::from_secs(1);
        let mut paths = Paths::new(4);
        let ends = (at("1.1.1.1:0").ip(), at("2.2.2.2:0").ip());
        let id = paths.join(now, ends, NAT).unwrap();
        let (here, there) = (at("3.3.3.3:1024"), at("3.3.3.3:1025"));
        assert_eq!(paths.follow(now, id, at("2.2.2.2:4500")), None);
        assert_eq!(paths.follow(now, id, here), Some(at("2.2.2.2:4500")));
        let soon = now + Duration::from_millis(999);
        assert_eq!(paths.follow(soon, id, there), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(paths.follow(later, id, there), Some(here));
        assert_eq!(paths.find(at("1.1.1.1:4500"), there), Some(id));
        assert_eq!(paths.find(at("1.1.1.1:4500"), here), None);
        paths.get_mut(id).unwrap().behind_nat = true;
        let later = now + Duration::from_secs(9);
        assert_eq!(paths.follow(later, id, here), None);
        let plain = paths.join(now, ends, Encap::None).unwrap();
        assert_eq!(paths.follow(later, plain, here), None);
    }

    /// Reports only lower the MTU, never below what every path carries, and are forgotten.
    #[test]
    fn threat_d11_reports_have_a_floor_and_an_end() {
        let now = Instant::from_secs(1);
        let mut paths = Paths::new(4);
        let ends = (at("1.1.1.1:0").ip(), at("2.2.2.2:0").ip());
        let id = paths.join(now, ends, Encap::None).unwrap();
        let path = paths.get_mut(id).unwrap();
        assert_eq!(path.mtu(now), None);
        path.learn(now, 1400);
        path.learn(now, 1450);
        assert_eq!(path.mtu(now), Some(1400));
        path.learn(now, 0);
        assert_eq!(path.mtu(now), Some(576));
        assert_eq!(path.mtu(now + Duration::from_secs(600)), None);
        path.learn(now + Duration::from_secs(600), 1450);
        assert_eq!(path.mtu(now + Duration::from_secs(601)), Some(1450));
    }

    #[test]
    fn identifications_count_from_a_random_number() {
        use hw_offload::testing::{NoEntropy, SeededEntropy};
        let now = Instant::from_secs(1);
        let mut paths = Paths::new(4);
        let mut starts = Vec::new();
        for port in 1..=3 {
            let ends = (at("[fd00::1]:0").ip(), at("[fd00::2]:0").ip());
            let encap = Encap::NatT {
                local_port: port,
                peer_port: port,
            };
            let id = paths.join(now, ends, encap).unwrap();
            let path = paths.get_mut(id).unwrap();
            assert_eq!(path.next_identification(&mut NoEntropy), Err(EntropyFault));
            let mut entropy = SeededEntropy::new(port.into());
            let first = path.next_identification(&mut entropy).unwrap();
            for step in 1..=1000 {
                let next = path.next_identification(&mut NoEntropy);
                assert_eq!(next, Ok(first.wrapping_add(step)));
            }
            starts.push(first);
        }
        starts.dedup();
        assert_eq!(starts.len(), 3);
    }
}
