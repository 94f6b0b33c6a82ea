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

/// Source, destination and identification, which the fragments of a datagram have in common.
type Datagram = (Ipv4Addr, Ipv4Addr, u16);

/// Datagrams whose fragments are known again.
const FRAGMENTED: usize = 64;

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
    /// What the first fragments of datagrams were translated to, the newest last.
    fragments: Vec<(Datagram, Ipv4Addr)>,
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
            fragments: Vec::new(),
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
        self.fragments.clear();
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
        if let Some(datagram) = later_fragment(packet) {
            let public = self.begun(datagram)?;
            return Some(readdress(packet, public, datagram.1));
        }
        let translated = self.outward_whole(now, packet);
        let seen = translated.as_deref().and_then(|out| Ipv4::parse(out).ok());
        self.begin(packet, seen.map(|ip| ip.source()));
        translated
    }

    /// A packet that has ports, from inside.
    fn outward_whole(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
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
        if let Some(datagram) = later_fragment(packet) {
            let inside = self.begun(datagram)?;
            return Some(readdress(packet, datagram.0, inside));
        }
        let translated = self.inward_whole(now, packet);
        let seen = translated.as_deref().and_then(|out| Ipv4::parse(out).ok());
        self.begin(packet, seen.map(|ip| ip.destination()));
        translated
    }

    /// Remembers to which address the first fragment of a datagram was translated.
    fn begin(&mut self, packet: &[u8], translated: Option<Ipv4Addr>) {
        let (Ok(ip), Some(address)) = (Ipv4::parse(packet), translated) else {
            return;
        };
        if ip.is_fragment() {
            if self.fragments.len() == FRAGMENTED {
                self.fragments.remove(0);
            }
            self.fragments.push((datagram(&ip), address));
        }
    }

    /// What the first fragment of a datagram was translated to.
    fn begun(&mut self, datagram: Datagram) -> Option<Ipv4Addr> {
        let found = self.fragments.iter().rev().find(|(of, _)| *of == datagram);
        let found = found.map(|(_, address)| *address);
        self.dropped += u64::from(found.is_none());
        found
    }

    /// A packet that has ports, from outside.
    fn inward_whole(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
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

/// The datagram that a fragment belongs to which is not the first, and so has no ports.
fn later_fragment(packet: &[u8]) -> Option<Datagram> {
    let ip = Ipv4::parse(packet).ok()?;
    (ip.fragment_offset() > 0).then(|| datagram(&ip))
}

fn datagram(ip: &Ipv4<'_>) -> Datagram {
    (ip.source(), ip.destination(), ip.id())
}

/// The datagram with other ends, its checksums made good.
fn rewrite(packet: &[u8], from: End, to: End) -> Vec<u8> {
    let mut packet = readdress(packet, from.0, to.0);
    let header = usize::from(packet[0] & 0xf) * 4;
    let udp = &mut packet[header..];
    udp[..2].copy_from_slice(&from.1.to_be_bytes());
    udp[2..4].copy_from_slice(&to.1.to_be_bytes());
    // ESP and ISAKMP in UDP over IPv4 carry no checksum, and nothing else crosses the WAN.
    udp[6..8].fill(0);
    packet
}

/// The packet with other addresses.
fn readdress(packet: &[u8], from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let header = usize::from(packet[0] & 0xf) * 4;
    packet[10..12].fill(0);
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&[&packet[..header]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
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

    #[test]
    fn fragments_follow_the_first() {
        // More fragments; 8 bytes further on, the last.
        let fragment = |packet: &[u8], bits: u16| {
            let mut packet = packet.to_vec();
            packet[6..8].copy_from_slice(&bits.to_be_bytes());
            let (from, to) = (packet[12..16].to_vec(), packet[16..20].to_vec());
            let address = |bytes: &[u8]| Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
            readdress(&packet, address(&from), address(&to))
        };
        let mut nat = NatBox::new(PUBLIC, Kind::Symmetric, true);
        let whole = packet(INSIDE, "2.2.2.2:4500");
        let (first, last) = (fragment(&whole, 0x2000), fragment(&whole, 1));
        assert!(nat.outward(at(0), &last).is_none());
        let out = nat.outward(at(0), &first).expect("out");
        let port = ends(&out).expect("UDP").0.1;
        let after = nat.outward(at(0), &last).expect("out");
        assert_eq!(Ipv4::parse(&after).expect("a packet").source(), PUBLIC);
        assert_eq!(after[20..], last[20..]);
        let whole = packet("2.2.2.2:4500", &format!("9.9.9.9:{port}"));
        assert!(nat.inward(at(1), &fragment(&whole, 0x2000)).is_some());
        let after = nat.inward(at(1), &fragment(&whole, 1)).expect("in");
        let inside = Ipv4::parse(&after).expect("a packet").destination();
        assert_eq!(inside, Ipv4Addr::new(10, 0, 0, 2));
    }
}
