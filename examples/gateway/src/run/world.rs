//! The device's port on Linux: where packets, messages and reports go.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;
use std::time::Duration;

use hw_offload::{Buffers, Headroom, PacketBuf, Ticket};
use ipsec_core::net::InterfaceId;
use ipsec_core::{HEADROOM, Instant, Outgoing, TAILROOM};
use isakmp_core::Path;
use isakmp_core::device::{DeviceReport, Port, Query};
use isakmp_core::xauth::XauthStep;
use lab::{Buf, Pcap};
use socket2::Socket;
use tun_rs::SyncDevice;

use super::keylog::KeyLog;
use super::link::Link;
use super::resolver::Resolver;

/// The longest packet, with room for its trailer.
const ROOM: usize = 16_384;
/// The same complaint is not repeated sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets, TUN device, capture and the storage of packets.
pub(crate) struct World {
    /// Clear packets.
    pub(crate) tun: SyncDevice,
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
    pub(crate) resolver: Resolver,
    complaint: Option<(String, Instant)>,
    /// Users that nobody has judged yet.
    pub(crate) logins: Vec<(Ticket, XauthStep)>,
}

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
        let capture = |path: &FilePath| {
            let file = File::create(path).map(BufWriter::new);
            let capture = file.and_then(Pcap::new);
            capture.map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            tun,
            links: Vec::new(),
            now: Instant::ZERO,
            wall,
            spare: Vec::new(),
            capture: pcap.map(capture).transpose()?,
            keys: keylog.map(KeyLog::new).transpose()?,
            resolver: Resolver::new().map_err(|error| format!("a socket pair: {error}"))?,
            complaint: None,
            logins: Vec::new(),
        })
    }

    /// The next packet of the TUN device, if one waits.
    pub(crate) fn next_clear(&mut self) -> Option<Buf> {
        let mut buffer = self.take(0)?;
        let result = receive(&mut buffer, |storage| self.tun.recv(storage));
        self.received(buffer, result, "TUN device")
    }

    /// The next datagram of a link, if one waits.
    pub(crate) fn next_protected(&mut self, place: usize) -> Option<(InterfaceId, Buf)> {
        let mut buffer = self.take(0)?;
        let link = self.links.get(place)?;
        let on = link.on();
        let result = receive(&mut buffer, |storage| {
            let mut socket: &Socket = &link.raw;
            socket.read(storage)
        });
        let packet = self.received(buffer, result, "ESP socket")?;
        self.record(packet.packet());
        Some((on, packet))
    }

    /// The next message of a link's ISAKMP socket, if one waits.
    pub(crate) fn message(
        &mut self,
        place: usize,
        socket: usize,
        buffer: &mut [u8],
    ) -> Option<(InterfaceId, Path, usize)> {
        let link = self.links.get(place)?;
        let (local, socket) = link.isakmp.get(socket)?;
        match socket.recv_from(buffer) {
            Ok((len, peer)) => {
                let (on, path) = (
                    link.on(),
                    Path {
                        local: *local,
                        peer,
                    },
                );
                let datagram = buffer
                    .get(..len)
                    .and_then(|m| lab::udp(peer, path.local, m));
                if let Some(datagram) = datagram {
                    self.record(&datagram);
                }
                Some((on, path, len))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                // An ICMP error about something sent earlier: the retransmission deals with it.
                let text = format!("UDP {local}: {error}");
                self.complain(text);
                None
            }
        }
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
            let Ok(ip) = ipsec_core::wire::ipv4::Ipv4::parse(datagram) else {
                break;
            };
            let to = ip.destination();
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
        let sockets = self.links.iter().flat_map(|link| &link.isakmp);
        let result = match sockets.into_iter().find(|(local, _)| *local == path.local) {
            Some((_, socket)) => socket.send_to(bytes, path.peer).map(|_| ()),
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
                if let Err(error) = self.resolver.ask(ticket, name.as_str().to_owned()) {
                    self.complain(format!("{name} cannot be looked up: {error}"));
                }
            }
            Query::Radius(step) => self.logins.push((ticket, step)),
        }
    }

    fn report(&mut self, report: DeviceReport) {
        if let Some(keys) = &mut self.keys
            && let Err(error) = keys.note(&report)
        {
            self.complain(format!("the key log is not written: {error}"));
        }
        if let DeviceReport::Forbidden { path, reason, .. } = &report {
            let peer: IpAddr = SocketAddr::ip(&path.peer);
            let (what, advice) = (reason.subject.sentence(), reason.subject.advice());
            self.complain(format!("ISAKMP with {peer}: {what} - {advice}"));
        }
    }
}
