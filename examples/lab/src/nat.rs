//! A box that translates addresses and ports, in front of a router.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipsec_core::Instant;
use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::Ipv4;

/// Who may answer through an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One entry for each inside address and port, for everybody outside.
    Cone,
    /// One entry for each pair of ends, for that one outside.
    Symmetric,
}

/// One end of a flow.
type End = (Ipv4Addr, u16);

#[derive(Clone, Debug)]
struct Entry {
    inside: End,
    /// The end outside; of a cone the one that was last spoken to.
    outside: End,
    /// The port on the public address.
    port: u16,
    used: Instant,
}

/// An address and port translator for UDP. Other packets it lets through in neither direction,
/// as cheap ones do with ESP.
#[derive(Clone, Debug)]
pub struct NatBox {
    /// The address that the world sees.
    pub public: Ipv4Addr,
    kind: Kind,
    /// Whether ports change too, or addresses only.
    translates_ports: bool,
    /// How long an unused entry lives.
    pub life: Duration,
    entries: Vec<Entry>,
    forwards: Vec<(u16, Ipv4Addr)>,
    next_port: u16,
    /// Packets that it did not let through.
    pub dropped: u64,
}

impl NatBox {
    /// A box with a public address.
    #[must_use]
    pub const fn new(public: Ipv4Addr, kind: Kind, translates_ports: bool) -> Self {
        Self {
            public,
            kind,
            translates_ports,
            life: Duration::from_secs(60),
            entries: Vec::new(),
            forwards: Vec::new(),
            next_port: 40_000,
            dropped: 0,
        }
    }

    /// Datagrams to a port of the public address go inside, whoever sends them.
    pub fn forward(&mut self, port: u16, inside: Ipv4Addr) {
        self.forwards.push((port, inside));
    }

    /// The box restarts: it has forgotten every entry, and gives out other ports.
    pub fn forget(&mut self) {
        self.entries.clear();
        self.next_port += 1000;
        self.translates_ports = true;
    }

    /// The box gets another address, as after a new dial-in.
    pub fn renumber(&mut self, public: Ipv4Addr) {
        self.public = public;
        self.forget();
    }

    /// A packet from inside.
    pub fn outward(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        let Some((from, to)) = ends(packet) else {
            self.dropped += 1;
            return None;
        };
        self.expire(now);
        if self.forwards.contains(&(from.1, from.0)) {
            return Some(rewrite(packet, (self.public, from.1), to));
        }
        let (kind, port) = (self.kind, from.1);
        let same = |entry: &&mut Entry| {
            entry.inside == from && (kind == Kind::Cone || entry.outside == to)
        };
        let port = match self.entries.iter_mut().find(same) {
            Some(entry) => {
                (entry.used, entry.outside) = (now, to);
                entry.port
            }
            None => {
                let taken = self.entries.iter().any(|entry| entry.port == port);
                let port = if self.translates_ports || taken {
                    self.next_port += 1;
                    self.next_port
                } else {
                    port
                };
                self.entries.push(Entry {
                    inside: from,
                    outside: to,
                    port,
                    used: now,
                });
                port
            }
        };
        Some(rewrite(packet, (self.public, port), to))
    }

    /// A packet from outside.
    pub fn inward(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        self.expire(now);
        let kind = self.kind;
        let found = ends(packet).and_then(|(from, to)| {
            let forward = self.forwards.iter().find(|(port, _)| *port == to.1);
            if let Some((port, inside)) = forward.filter(|_| to.0 == self.public) {
                return Some(rewrite(packet, from, (*inside, *port)));
            }
            let entry = self.entries.iter().find(|entry| {
                entry.port == to.1 && (kind == Kind::Cone || entry.outside == from)
            })?;
            (to.0 == self.public).then(|| rewrite(packet, from, entry.inside))
        });
        self.dropped += u64::from(found.is_none());
        found
    }

    /// Only what goes out keeps an entry alive.
    fn expire(&mut self, now: Instant) {
        let life = self.life;
        self.entries.retain(|entry| entry.used + life > now);
    }
}

/// The ends of a UDP datagram.
fn ends(packet: &[u8]) -> Option<(End, End)> {
    let ip = Ipv4::parse(packet).ok().filter(|ip| ip.protocol() == 17)?;
    let [a, b, c, d, ..] = ip.payload() else {
        return None;
    };
    let (from, to) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    Some(((ip.source(), from), (ip.destination(), to)))
}

/// The datagram with other ends, its checksums made good.
fn rewrite(packet: &[u8], from: End, to: End) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let header = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    packet[12..16].copy_from_slice(&from.0.octets());
    packet[16..20].copy_from_slice(&to.0.octets());
    let sum = checksum(&[&packet[..header]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    let udp = &mut packet[header..];
    udp[..2].copy_from_slice(&from.1.to_be_bytes());
    udp[2..4].copy_from_slice(&to.1.to_be_bytes());
    // ESP and ISAKMP in UDP over IPv4 carry no checksum, and nothing else crosses the WAN.
    udp[6..8].fill(0);
    packet
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::packets::udp;

    const INSIDE: &str = "10.0.0.2:4500";
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

    fn packet(from: &str, to: &str) -> Vec<u8> {
        let end = |text: &str| text.parse::<SocketAddr>().expect("an end");
        udp(end(from), end(to), b"x").expect("IPv4")
    }

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_cone_lets_everybody_answer_and_a_symmetric_one_does_not() {
        for (kind, others) in [(Kind::Cone, true), (Kind::Symmetric, false)] {
            let mut nat = NatBox::new(PUBLIC, kind, true);
            let out = nat
                .outward(at(0), &packet(INSIDE, "2.2.2.2:4500"))
                .expect("out");
            let (from, to) = ends(&out).expect("UDP");
            assert_eq!((from.0, to), (PUBLIC, (Ipv4Addr::new(2, 2, 2, 2), 4500)));
            assert_ne!(from.1, 4500);
            assert!(Ipv4::parse(&out).is_ok());
            let back = format!("9.9.9.9:{}", from.1);
            let answer = nat
                .inward(at(1), &packet("2.2.2.2:4500", &back))
                .expect("in");
            assert_eq!(
                ends(&answer).expect("UDP").1,
                (Ipv4Addr::new(10, 0, 0, 2), 4500)
            );
            let stranger = nat.inward(at(1), &packet("3.3.3.3:4500", &back));
            assert_eq!(stranger.is_some(), others);
        }
    }

    #[test]
    fn entries_die_of_silence_and_of_restarts() {
        let mut nat = NatBox::new(PUBLIC, Kind::Symmetric, false);
        let there = packet(INSIDE, "2.2.2.2:4500");
        let back = packet("2.2.2.2:4500", "9.9.9.9:4500");
        assert!(nat.outward(at(0), &there).is_some());
        assert!(nat.inward(at(59), &back).is_some());
        assert!(nat.inward(at(60), &back).is_none());
        nat.outward(at(61), &there);
        assert!(nat.inward(at(61), &back).is_some());
        nat.forget();
        assert!(nat.inward(at(62), &back).is_none());
        let port = ends(&nat.outward(at(63), &there).expect("out"))
            .expect("UDP")
            .0
            .1;
        assert_ne!(port, 4500);
        assert_eq!(nat.dropped, 2);
    }

    #[test]
    fn esp_does_not_pass() {
        let mut nat = NatBox::new(PUBLIC, Kind::Cone, true);
        let mut esp = packet(INSIDE, "2.2.2.2:4500");
        esp[9] = 50;
        esp[10..12].fill(0);
        let sum = checksum(&[&esp[..20]]).to_be_bytes();
        esp[10..12].copy_from_slice(&sum);
        assert!(nat.outward(at(0), &esp).is_none());
    }
}
