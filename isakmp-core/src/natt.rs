//! NAT traversal (RFC 3947 and its drafts): which version is spoken, where there is NAT, and when
//! a peer may be followed to another address.
//!
//! Every version says the same with other numbers, so that the version that phase 1 settled on
//! is a value, and the numbers are its methods.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hw_offload::{Digest, Hash, Primitives, ct_eq};
use ipsec_core::Instant;
use ipsec_core::model::Mode;

use crate::ask::Path;
use crate::keys::Cookies;
use crate::wire::{PayloadType, Payloads, Writer};

/// The port that a conversation moves to when there is NAT.
pub const PORT: u16 = 4500;
/// The shortest time between two moves of one peer.
const MOVE_EVERY: Duration = Duration::from_secs(1);

/// A version of NAT traversal, the least liked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NatVersion {
    /// draft-ietf-ipsec-nat-t-ike-02.
    Draft02,
    /// draft-ietf-ipsec-nat-t-ike-03.
    Draft03,
    /// draft-ietf-ipsec-nat-t-ike-08.
    Draft08,
    /// RFC 3947.
    Rfc3947,
}

impl NatVersion {
    /// The type of the NAT-D payloads that we send.
    #[must_use]
    pub const fn discovery(self) -> PayloadType {
        PayloadType(match self {
            Self::Draft02 | Self::Draft03 => 130,
            Self::Draft08 => 15,
            Self::Rfc3947 => 20,
        })
    }

    /// The type of the NAT-OA payloads that we send.
    #[must_use]
    pub const fn original(self) -> PayloadType {
        PayloadType(match self {
            Self::Draft02 | Self::Draft03 => 131,
            Self::Draft08 => 16,
            Self::Rfc3947 => 21,
        })
    }

    /// Whether a type is NAT-D here. Devices mix up the numbers of draft 08 and the RFC.
    #[must_use]
    pub const fn is_discovery(self, kind: PayloadType) -> bool {
        match self {
            Self::Draft02 | Self::Draft03 => kind.0 == 130,
            Self::Draft08 | Self::Rfc3947 => matches!(kind.0, 15 | 20),
        }
    }

    /// Whether a type is NAT-OA here.
    #[must_use]
    pub const fn is_original(self, kind: PayloadType) -> bool {
        match self {
            Self::Draft02 | Self::Draft03 => kind.0 == 131,
            Self::Draft08 | Self::Rfc3947 => matches!(kind.0, 16 | 21),
        }
    }

    /// The encapsulation mode attribute of an SA whose ESP travels in UDP.
    #[must_use]
    pub const fn mode_number(self, mode: Mode) -> u16 {
        match (self, mode) {
            (Self::Draft02 | Self::Draft03, Mode::Tunnel) => 61_443,
            (Self::Draft02 | Self::Draft03, Mode::Transport) => 61_444,
            (Self::Draft08 | Self::Rfc3947, Mode::Tunnel) => 3,
            (Self::Draft08 | Self::Rfc3947, Mode::Transport) => 4,
        }
    }

    /// Whether both original addresses are sent, the initiator's first; the older drafts send
    /// the sender's own only.
    #[must_use]
    pub const fn sends_both_originals(self) -> bool {
        matches!(self, Self::Draft08 | Self::Rfc3947)
    }
}

/// Where there is NAT between the two ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatFound {
    /// The peer does not speak NAT traversal, or it is too early to tell.
    #[default]
    Unknown,
    /// Nowhere.
    No,
    /// In front of the peer.
    Remote,
    /// In front of this router.
    Local,
    /// In front of both.
    Both,
}

impl NatFound {
    /// The word of the screens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::No => "NO",
            Self::Remote => "REMOTE",
            Self::Local => "LOCAL",
            Self::Both => "BOTH",
        }
    }

    /// Whether this router is behind NAT and has to keep the entry alive.
    #[must_use]
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Local | Self::Both)
    }

    /// Whether the peer is behind NAT and may appear at another address at any time.
    #[must_use]
    pub const fn is_there(self) -> bool {
        matches!(self, Self::Remote | Self::Both)
    }

    /// Whether ISAKMP and ESP move to [`PORT`].
    #[must_use]
    pub const fn any(self) -> bool {
        self.is_here() || self.is_there()
    }
}

/// The content of a NAT-D payload: hash(CKY-I | CKY-R | address | port) (RFC 3947 §3.2).
#[must_use]
pub fn discovery_hash(
    primitives: &dyn Primitives,
    hash: Hash,
    (initiator, responder): Cookies,
    end: SocketAddr,
) -> Digest {
    let port = end.port().to_be_bytes();
    let (v4, v6);
    let address: &[u8] = match end.ip() {
        IpAddr::V4(address) => {
            v4 = address.octets();
            &v4
        }
        IpAddr::V6(address) => {
            v6 = address.octets();
            &v6
        }
    };
    primitives.hash(hash, &[&initiator.0, &responder.0, address, &port])
}

/// Appends our NAT-D payloads: the peer's end as we see it, then our own.
pub(crate) fn push_discovery(
    writer: &mut Writer,
    primitives: &dyn Primitives,
    version: NatVersion,
    hash: Hash,
    cookies: Cookies,
    path: Path,
) {
    for end in [path.peer, path.local] {
        let digest = discovery_hash(primitives, hash, cookies, end);
        writer.push(version.discovery(), digest.as_bytes());
    }
}

/// What the peer's NAT-D payloads say about a message that travelled by `path`. Unknown if there
/// are not two of them at least.
pub(crate) fn discover(
    primitives: &dyn Primitives,
    version: NatVersion,
    hash: Hash,
    cookies: Cookies,
    path: Path,
    payloads: &Payloads<'_>,
) -> NatFound {
    let hashes: Vec<&[u8]> = payloads
        .all()
        .iter()
        .filter(|raw| version.is_discovery(raw.kind))
        .map(|raw| raw.body)
        .collect();
    let Some((ours, theirs @ [_, ..])) = hashes.split_first() else {
        return NatFound::Unknown;
    };
    let is = |end: SocketAddr, body: &[u8]| {
        let digest = discovery_hash(primitives, hash, cookies, end);
        ct_eq(digest.as_bytes(), body)
    };
    let here = !is(path.local, ours);
    let there = !theirs.iter().any(|body| is(path.peer, body));
    match (here, there) {
        (false, false) => NatFound::No,
        (false, true) => NatFound::Remote,
        (true, false) => NatFound::Local,
        (true, true) => NatFound::Both,
    }
}

/// What NAT traversal came to in phase 1, and where the peer was last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatState {
    /// The version that both sides speak; none without NAT traversal.
    pub version: Option<NatVersion>,
    /// Where there is NAT.
    pub found: NatFound,
    moved_at: Option<Instant>,
}

/// What is made of an authentic message that came by another way than the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Nothing new.
    Same,
    /// The peer is elsewhere now.
    Follow,
    /// The peer has no business there: it is not behind NAT, or we are, or it hops about.
    Refuse,
}

impl NatState {
    /// Of an exchange that speaks this version, before anything is known.
    #[must_use]
    pub const fn new(version: Option<NatVersion>) -> Self {
        Self {
            version,
            found: NatFound::Unknown,
            moved_at: None,
        }
    }

    /// The version in whose way ESP is carried in UDP; none where it travels by itself.
    #[must_use]
    pub fn encapsulates(&self) -> Option<NatVersion> {
        self.version.filter(|_| self.found.any())
    }

    /// The peer is followed by the data plane's word.
    pub(crate) const fn follows(&mut self, now: Instant) {
        self.moved_at = Some(now);
    }

    /// Judges the way by which a fresh and authentic message came. A peer is followed only where
    /// NAT stands before it and not before us: else our own NAT, or somebody who re-sends
    /// packets, would lead us astray.
    pub(crate) fn judge(&mut self, now: Instant, known: Path, seen: Path) -> Move {
        if known == seen {
            return Move::Same;
        }
        let may = self.found == NatFound::Remote && seen.local.ip() == known.local.ip();
        let recently = self.moved_at.is_some_and(|at| at + MOVE_EVERY > now);
        if !may || recently {
            return Move::Refuse;
        }
        self.moved_at = Some(now);
        Move::Follow
    }
}

#[cfg(test)]
mod tests {
    use hw_offload::SoftPrimitives;
    use hw_offload::testing::hex;

    use super::*;
    use crate::wire::Cookie;

    fn cookies() -> Cookies {
        let cookie = |text: &str| Cookie(hex(text).try_into().expect("eight bytes"));
        (cookie("c7fb026ba87dc835"), cookie("649adcdb744a7018"))
    }

    fn end(text: &str) -> SocketAddr {
        text.parse().expect("an address and a port")
    }

    fn path(local: &str, peer: &str) -> Path {
        let (local, peer) = (end(local), end(peer));
        Path { local, peer }
    }

    #[test]
    fn hashes_of_known_ends() {
        for (text, known) in [
            (
                "61.115.117.39:500",
                "29490d8ffac8004e996218f7eeb46ffec58d86b1",
            ),
            (
                "63.12.66.122:500",
                "591ff7465393c0649382b3b4753e98d4a46495f1",
            ),
        ] {
            let digest = discovery_hash(&SoftPrimitives, Hash::Sha1, cookies(), end(text));
            assert_eq!(digest.as_bytes(), hex(known), "{text}");
        }
    }

    #[test]
    fn each_side_finds_where_the_nat_is() {
        let plain = path("1.1.1.1:500", "2.2.2.2:500");
        let before_sender = path("2.2.2.2:500", "9.9.9.9:1024");
        let before_receiver = path("10.0.0.2:500", "1.1.1.1:500");
        let before_both = path("10.0.0.2:500", "9.9.9.9:1024");
        for version in [
            NatVersion::Draft02,
            NatVersion::Draft03,
            NatVersion::Draft08,
            NatVersion::Rfc3947,
        ] {
            let mut writer = Writer::new();
            let primitives = &SoftPrimitives;
            push_discovery(
                &mut writer,
                primitives,
                version,
                Hash::Md5,
                cookies(),
                plain,
            );
            let payloads = Payloads::parse(writer.first(), writer.bytes()).expect("whole");
            let found = |seen| discover(primitives, version, Hash::Md5, cookies(), seen, &payloads);
            let straight = path("2.2.2.2:500", "1.1.1.1:500");
            assert_eq!(found(straight), NatFound::No);
            assert_eq!(found(before_sender), NatFound::Remote);
            assert_eq!(found(before_receiver), NatFound::Local);
            assert_eq!(found(before_both), NatFound::Both);
        }
    }

    /// A sender with several addresses names them all.
    #[test]
    fn one_of_the_senders_own_ends_is_enough() {
        let mut writer = Writer::new();
        let ends = ["2.2.2.2:500", "10.0.0.1:500", "1.1.1.1:500"];
        for text in ends {
            let digest = discovery_hash(&SoftPrimitives, Hash::Sha1, cookies(), end(text));
            writer.push(NatVersion::Rfc3947.discovery(), digest.as_bytes());
        }
        let payloads = Payloads::parse(writer.first(), writer.bytes()).expect("whole");
        let (version, hash) = (NatVersion::Rfc3947, Hash::Sha1);
        let found = |peer| {
            let seen = path("2.2.2.2:500", peer);
            discover(&SoftPrimitives, version, hash, cookies(), seen, &payloads)
        };
        assert_eq!(found("1.1.1.1:500"), NatFound::No);
        assert_eq!(found("10.0.0.1:500"), NatFound::No);
        assert_eq!(found("1.1.1.1:501"), NatFound::Remote);
    }

    #[test]
    fn numbers_of_the_rfc_and_of_draft_08_are_taken_for_each_other() {
        let mut writer = Writer::new();
        let way = path("1.1.1.1:500", "2.2.2.2:500");
        let (primitives, hash) = (&SoftPrimitives, Hash::Sha1);
        push_discovery(
            &mut writer,
            primitives,
            NatVersion::Rfc3947,
            hash,
            cookies(),
            way,
        );
        let payloads = Payloads::parse(writer.first(), writer.bytes()).expect("whole");
        let seen = path("2.2.2.2:500", "1.1.1.1:500");
        let found = |version| discover(primitives, version, hash, cookies(), seen, &payloads);
        assert_eq!(found(NatVersion::Draft08), NatFound::No);
        assert_eq!(found(NatVersion::Draft02), NatFound::Unknown);
    }

    #[test]
    fn threat_d8_a_peer_is_followed_only_from_behind_its_own_nat() {
        let known = path("1.1.1.1:4500", "9.9.9.9:1024");
        let seen = path("1.1.1.1:4500", "9.9.9.9:2048");
        let at = Instant::from_secs;
        for (found, outcome) in [
            (NatFound::Remote, Move::Follow),
            (NatFound::Both, Move::Refuse),
            (NatFound::Local, Move::Refuse),
            (NatFound::No, Move::Refuse),
            (NatFound::Unknown, Move::Refuse),
        ] {
            let mut state = NatState::new(Some(NatVersion::Rfc3947));
            state.found = found;
            assert_eq!(state.judge(at(9), known, seen), outcome, "{found:?}");
            assert_eq!(state.judge(at(9), known, known), Move::Same);
        }
        let mut state = NatState::new(Some(NatVersion::Rfc3947));
        state.found = NatFound::Remote;
        assert_eq!(state.judge(at(9), known, seen), Move::Follow);
        assert_eq!(state.judge(at(9), seen, known), Move::Refuse, "too soon");
        assert_eq!(state.judge(at(10), seen, known), Move::Follow);
    }
}
