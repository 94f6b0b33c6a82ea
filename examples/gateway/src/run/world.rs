//! The device's port on Linux: where packets, messages and reports go.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path as FilePath;
use std::time::Duration;

use hw_offload::{Buffers, Headroom, PacketBuf, Ticket};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::udp_encap::NON_ESP_MARKER;
use ipsec_core::wire::{flow_of, ipv4, ipv6, udp};
use ipsec_core::{HEADROOM, Instant, Outgoing, TAILROOM};
use isakmp_core::Path;
use isakmp_core::device::{DeviceReport, Port, Query};
use isakmp_core::xauth::{XauthAnswer, XauthStep};
use lab::{Buf, Pcap};
use rustix::io::fcntl_dupfd_cloexec;
use tun_rs::SyncDevice;

use super::errands::Errands;
use super::keylog::KeyLog;
use super::link::{Carries, Link, UdpUse};
use super::resolver::look_up;

const UDP: u8 = 17;
/// What the header of a datagram says whose own is not handed out: nobody looks at it.
const HOPS: u8 = 64;
/// The longest packet, with room for its trailer.
const ROOM: usize = 16_384;
/// The same complaint is not repeated sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came from a WAN.
pub(crate) enum Arrived {
    /// A whole datagram for the data plane.
    Packet(InterfaceId, Buf),
    /// An ISAKMP message: where it stands in the datagram.
    Message(InterfaceId, Path, Buf, usize),
}

/// Threads that may wait for others at once, of each kind.
const ERRANDS: usize = 64;

/// Sockets, TUN device, capture and the storage of packets.
pub(crate) struct World {
    /// Clear packets.
    pub(crate) tun: SyncDevice,
    /// A second hold on the TUN device.
    _last: OwnedFd,
    /// The WAN.
    pub(crate) links: Vec<Link>,
    /// The time of this turn.
    pub(crate) now: Instant,
    /// Seconds since 1970 at the clock's zero.
    wall: Duration,
    spare: Vec<Buf>,
    capture: Option<Pcap<BufWriter<File>>>,
    keys: Option<KeyLog>,
    /// Look-ups of host names.
    pub(crate) names: Errands<Vec<IpAddr>>,
    complaint: Option<(String, Instant)>,
    /// What debugging prints, and whether it may tell secrets.
    pub(crate) debug: Vec<(String, bool)>,
    /// Users whom no server was asked about yet.
    pub(crate) users: Vec<(Ticket, XauthStep)>,
    /// Users whom a RADIUS server is asked about, and what went wrong with it.
    pub(crate) logins: Errands<(XauthAnswer, Option<String>)>,
}

/// A file descriptor behind all others: sockets and files have the lowest free numbers.
const LAST: i32 = 500;

impl World {
    /// A world without links.
    ///
    /// # Errors
    /// When the capture or the key log cannot be begun.
    pub(crate) fn new(
        tun: SyncDevice,
        wall: Duration,
        pcap: Option<&FilePath>,
        keylog: Option<&FilePath>,
    ) -> Result<Self, String> {
        let no_sockets = |error| format!("a socket pair: {error}");
        let capture = |path: &FilePath| {
            let file = File::create(path).map(BufWriter::new);
            let capture = file.and_then(Pcap::new);
            capture.map_err(|error| format!("{}: {error}", path.display()))
        };
        // The kernel lets go of what a killed process had last to first. The TUN device with the
        // router's addresses must go before the sockets: to what still arrives for an address
        // without a socket the kernel answers in clear that the protocol is unreachable.
        let last = fcntl_dupfd_cloexec(&tun, LAST).map_err(|error| format!("TUN: {error}"))?;
        Ok(Self {
            tun,
            _last: last,
            links: Vec::new(),
            now: Instant::ZERO,
            wall,
            spare: Vec::new(),
            capture: pcap.map(capture).transpose()?,
            keys: keylog.map(KeyLog::new).transpose()?,
            names: Errands::new(ERRANDS).map_err(no_sockets)?,
            complaint: None,
            debug: Vec::new(),
            users: Vec::new(),
            logins: Errands::new(ERRANDS).map_err(no_sockets)?,
        })
    }

    /// The next packet of the TUN device, if one waits.
    pub(crate) fn next_clear(&mut self) -> Option<Buf> {
        let mut buffer = self.take(0)?;
        let result = receive(&mut buffer, |storage| self.tun.recv(storage));
        self.received(buffer, result, "TUN device")
    }

    /// What waits at a door of a link, if anything.
    pub(crate) fn arrived(&mut self, place: usize, door: usize) -> Option<Arrived> {
        let mut buffer = self.take(0)?;
        let link = self.links.get(place)?;
        let (on, door) = (link.on(), link.doors.get(door)?);
        let carries = door.carries;
        let front = match carries {
            Carries::Datagrams => 0,
            Carries::Payloads(..) => ipv6::HEADER,
            Carries::Udp(SocketAddr::V4(_), _) => ipv4::HEADER + udp::HEADER,
            Carries::Udp(SocketAddr::V6(_), _) => ipv6::HEADER + udp::HEADER,
        };
        let mut envelope = None;
        let result = receive(&mut buffer, |storage| {
            let room = storage.get_mut(front..).unwrap_or(&mut []);
            let got = door.receive(room)?;
            envelope = Some(got);
            Ok(front + got.len)
        });
        let buffer = self.received(buffer, result, "WAN socket");
        let (mut packet, envelope) = (buffer?, envelope?);
        let ends = match (carries, envelope.from) {
            (Carries::Datagrams, _) | (_, None) => None,
            (Carries::Payloads(protocol, local), Some(from)) => {
                let local = SocketAddr::from((local, 0));
                head(packet.packet_mut(), from, local, protocol, envelope.tos);
                None
            }
            (Carries::Udp(local, what), Some(from)) => {
                head(packet.packet_mut(), from, local, UDP, envelope.tos);
                Some((Path { local, peer: from }, what))
            }
        };
        self.record(packet.packet());
        let marked = packet.packet().get(front..).unwrap_or(&[]);
        let marked = marked.starts_with(&NON_ESP_MARKER);
        Some(match ends {
            Some((path, UdpUse::Isakmp)) => Arrived::Message(on, path, packet, front),
            Some((path, UdpUse::NatTraversal)) if marked => {
                Arrived::Message(on, path, packet, front)
            }
            _ => Arrived::Packet(on, packet),
        })
    }

    /// Writes the capture out.
    pub(crate) fn flush(&mut self) {
        if let Some(capture) = &mut self.capture
            && let Err(error) = capture.get_mut().flush()
        {
            self.capture = None;
            self.complain(format!("the capture ends here: {error}"));
        }
    }

    /// Tells what went wrong, once in a while.
    pub(crate) fn complain(&mut self, text: String) {
        let fresh = self
            .complaint
            .as_ref()
            .is_none_or(|(last, at)| *last != text || self.now.since(*at) >= PATIENCE);
        if fresh {
            eprintln!("gateway: {text}");
            self.complaint = Some((text, self.now));
        }
    }

    fn received(&mut self, buffer: Buf, result: io::Result<()>, from: &str) -> Option<Buf> {
        match result {
            Ok(()) => return Some(buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.complain(format!("{from}: {error}")),
        }
        self.give(buffer);
        None
    }

    fn record(&mut self, packet: &[u8]) {
        let at = self.now + self.wall;
        if let Some(capture) = &mut self.capture
            && let Err(error) = capture.add(at, packet)
        {
            self.capture = None;
            self.complain(format!("the capture ends here: {error}"));
        }
    }

    fn link(&self, on: InterfaceId) -> Option<usize> {
        self.links.iter().position(|link| link.on() == on)
    }
}

/// Writes the headers that the kernel has taken off: IP, and UDP in front of a UDP payload. The
/// kernel has checked the checksum of UDP; here it says that there is none.
fn head(packet: &mut [u8], from: SocketAddr, to: SocketAddr, protocol: u8, tos: u8) {
    let total = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    let ip_len = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = ipv4::NewHeader {
                tos,
                total_len: total,
                id: 0,
                dont_fragment: false,
                more_fragments: false,
                offset_units: 0,
                ttl: HOPS,
                protocol,
                source,
                destination,
            };
            if let Some(front) = packet.first_chunk_mut() {
                *front = header.to_bytes();
            }
            ipv4::HEADER
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = ipv6::NewHeader {
                traffic_class: tos,
                flow_label: 0,
                payload_len: total.saturating_sub(40),
                next: protocol,
                hop_limit: HOPS,
                source,
                destination,
            };
            if let Some(front) = packet.first_chunk_mut() {
                *front = header.to_bytes();
            }
            ipv6::HEADER
        }
        _ => return,
    };
    if protocol == UDP
        && let Some(header) = packet.get_mut(ip_len..)
        && let Ok(len) = u16::try_from(header.len())
        && let Some(front) = header.first_chunk_mut::<{ udp::HEADER }>()
    {
        front[..2].copy_from_slice(&from.port().to_be_bytes());
        front[2..4].copy_from_slice(&to.port().to_be_bytes());
        front[4..6].copy_from_slice(&len.to_be_bytes());
        front[6..].fill(0);
    }
}

/// Lets `read` fill a buffer; the packet is what it read.
fn receive(buffer: &mut Buf, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
    let room = ROOM - HEADROOM - TAILROOM;
    buffer.grow_back(room).map_err(io::Error::other)?;
    let len = read(buffer.packet_mut())?;
    buffer.shrink_back(room.saturating_sub(len));
    Ok(())
}

impl Buffers<Buf> for World {
    fn take(&mut self, len: usize) -> Option<Buf> {
        if len > ROOM - HEADROOM - TAILROOM {
            return None;
        }
        let mut buffer = self
            .spare
            .pop()
            .unwrap_or_else(|| Headroom::with_room(HEADROOM, ROOM));
        buffer.reset(HEADROOM);
        Some(buffer)
    }

    fn give(&mut self, buffer: Buf) {
        self.spare.push(buffer);
    }
}

impl Port<Buf> for World {
    fn transmit(&mut self, mut packet: Outgoing<Buf>) {
        let Some(place) = self.link(packet.on) else {
            self.complain(format!(
                "a packet wants to leave by interface number {}, for which no device stands",
                packet.on.0
            ));
            return self.give(packet.packet);
        };
        while let Some(datagram) = packet.next_datagram() {
            let Ok(flow) = flow_of(datagram) else {
                break;
            };
            let to = flow.destination;
            self.record(datagram);
            let Some(link) = self.links.get(place) else {
                break;
            };
            if let Err(error) = link.send(datagram, to) {
                let text = format!(
                    "a packet to {to} cannot leave by {}: {error}",
                    link.device()
                );
                self.complain(text);
            }
        }
        self.give(packet.packet);
    }

    fn deliver(&mut self, _: InterfaceId, packet: Buf) {
        if let Err(error) = self.tun.send(packet.packet()) {
            self.complain(format!("the kernel does not take a packet: {error}"));
        }
        self.give(packet);
    }

    fn datagram(&mut self, path: Path, bytes: &[u8]) {
        let socket = self.links.iter().find_map(|link| link.udp(path.local));
        let result = match socket {
            Some(socket) => socket.send_to(bytes, &path.peer.into()).map(|_| ()),
            None => Err(io::Error::other("no device has that address")),
        };
        if let Some(datagram) = lab::udp(path.local, path.peer, bytes) {
            self.record(&datagram);
        }
        if let Err(error) = result {
            let (from, to) = (path.local, path.peer);
            self.complain(format!(
                "an ISAKMP message {from} > {to} was not sent: {error}"
            ));
        }
    }

    fn ask(&mut self, ticket: Ticket, query: Query) {
        match query {
            Query::Resolve(name) => {
                let host = name.as_str().to_owned();
                if let Err(error) = self.names.begin(ticket, move || look_up(&host)) {
                    self.complain(format!("{name} cannot be looked up: {error}"));
                }
            }
            Query::Radius(step) => self.users.push((ticket, step)),
            // With the feature `x509` a device answers it by itself.
            Query::Verify(_) => {}
        }
    }

    fn report(&mut self, report: DeviceReport) {
        if let Some(keys) = &mut self.keys
            && let Err(error) = keys.note(&report)
        {
            self.complain(format!("the key log is not written: {error}"));
        }
        if let DeviceReport::IpsecDebug { policy, event } = &report {
            let text = config_lang::debug::ipsec(policy, event);
            self.debug.push((text, false));
        }
        if let DeviceReport::Isakmp(report) = &report
            && let Some(text) = config_lang::debug::isakmp(report)
        {
            self.debug.push((text, true));
        }
        if let DeviceReport::Forbidden { path, reason, .. } = &report {
            let peer: IpAddr = SocketAddr::ip(&path.peer);
            let (what, advice) = (reason.subject.sentence(), reason.subject.advice());
            self.complain(format!("ISAKMP with {peer}: {what} - {advice}"));
        }
    }
}
