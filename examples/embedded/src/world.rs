//! What stands between the device and the board: Ethernet, ARP, UDP for ISAKMP, and a stock of
//! buffers. Everything here is bounded; what does not fit is dropped, as on any router.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use hw_offload::{Buffers, Headroom, PacketBuf, Ticket};
use ipsec_core::net::InterfaceId;
use ipsec_core::{HEADROOM, Outgoing, TAILROOM};
use isakmp_core::Path;
use isakmp_core::device::{DeviceReport, Port, Query};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr,
    UdpPacket, UdpRepr,
};

use crate::lan9118::{FRAME, Lan9118};
use crate::policy::{LAN, MAC, WAN};

/// A packet in memory that was allocated at the start.
pub type Buf = Headroom<Box<[u8]>>;

const MTU: usize = 1500;
/// The longest packet: a full one in its tunnel, before it is cut or after it is put together.
const PACKET: usize = MTU + 128;
const BUFFERS: usize = 12;
const ISAKMP: u16 = 500;
const TTL: u8 = 64;

const _: () = assert!(FRAME == MTU + EthernetFrame::<&[u8]>::header_len());

/// What came by Ethernet for the device.
pub enum Arrived {
    /// An IP datagram.
    Packet(Buf),
    /// An ISAKMP message.
    Isakmp(Path, Vec<u8>),
}

/// The board, as the device sees it.
pub struct World {
    card: Lan9118,
    wan: InterfaceId,
    spare: Vec<Buf>,
    neighbours: [Option<(Ipv4Address, EthernetAddress)>; 4],
    /// The place for the next neighbour; the oldest goes.
    oldest: usize,
    /// The datagram whose next hop has been asked for.
    waiting: Option<(Ipv4Address, Vec<u8>)>,
    /// Packets for the LAN.
    delivered: VecDeque<Buf>,
}

impl World {
    /// Everything that takes memory takes it now.
    pub fn new(card: Lan9118, wan: InterfaceId) -> Self {
        let buffer = || {
            let storage = vec![0; HEADROOM + PACKET + TAILROOM].into_boxed_slice();
            Headroom::new(storage, HEADROOM)
        };
        Self {
            card,
            wan,
            spare: core::iter::repeat_with(buffer).take(BUFFERS).collect(),
            neighbours: [None; 4],
            oldest: 0,
            waiting: None,
            delivered: VecDeque::with_capacity(BUFFERS),
        }
    }

    /// The next of what arrived. ARP is answered on the way.
    pub fn receive(&mut self) -> Option<Arrived> {
        let mut frame = [0; FRAME];
        while let Some(len) = self.card.receive(&mut frame) {
            let Ok(ethernet) = EthernetFrame::new_checked(&frame[..len]) else {
                continue;
            };
            let arrived = match ethernet.ethertype() {
                EthernetProtocol::Arp => {
                    self.arp(ethernet.payload());
                    None
                }
                EthernetProtocol::Ipv4 => self.ipv4(ethernet.payload()),
                _ => None,
            };
            if arrived.is_some() {
                return arrived;
            }
        }
        None
    }

    /// The answer of the router's own LAN address to a packet that came out of a tunnel.
    pub fn next_reply(&mut self) -> Option<Buf> {
        while let Some(mut packet) = self.delivered.pop_front() {
            if echo(packet.packet_mut()).is_some() {
                return Some(packet);
            }
            self.give(packet);
        }
        None
    }

    /// Whether something waits to be answered.
    pub fn has_work(&self) -> bool {
        !self.delivered.is_empty()
    }

    fn ipv4(&mut self, payload: &[u8]) -> Option<Arrived> {
        let ip = Ipv4Packet::new_checked(payload).ok()?;
        // Behind it Ethernet may have filled the frame up.
        let datagram = &payload[..ip.total_len().into()];
        let whole = !ip.more_frags() && ip.frag_offset() == 0;
        if whole && ip.next_header() == IpProtocol::Udp && ip.dst_addr().octets() == WAN {
            let udp = UdpPacket::new_checked(ip.payload()).ok()?;
            let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
            if udp.dst_port() == ISAKMP && ip.verify_checksum() && udp.verify_checksum(&from, &to) {
                let path = Path {
                    local: SocketAddr::new(IpAddr::V4(ip.dst_addr()), udp.dst_port()),
                    peer: SocketAddr::new(IpAddr::V4(ip.src_addr()), udp.src_port()),
                };
                return Some(Arrived::Isakmp(path, udp.payload().to_vec()));
            }
        }
        let mut packet = self.take(datagram.len())?;
        if packet.fill(HEADROOM, datagram).is_err() {
            self.give(packet);
            return None;
        }
        Some(Arrived::Packet(packet))
    }

    fn arp(&mut self, payload: &[u8]) {
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = ArpPacket::new_checked(payload).and_then(|arp| ArpRepr::parse(&arp))
        else {
            return;
        };
        if target_protocol_addr.octets() != WAN {
            return;
        }
        self.learn(source_protocol_addr, source_hardware_addr);
        if operation == ArpOperation::Request {
            self.send_arp(
                ArpOperation::Reply,
                source_hardware_addr,
                source_protocol_addr,
            );
        }
    }

    fn learn(&mut self, address: Ipv4Address, card: EthernetAddress) {
        if !card.is_unicast() {
            return;
        }
        let known = self
            .neighbours
            .iter()
            .position(|known| known.is_some_and(|(known, _)| known == address));
        let place = known.unwrap_or_else(|| {
            let place = self.oldest;
            self.oldest = (place + 1) % self.neighbours.len();
            place
        });
        self.neighbours[place] = Some((address, card));
        if let Some((_, datagram)) = self.waiting.take_if(|(next, _)| *next == address) {
            self.send_ipv4(card, &datagram);
        }
    }

    fn send_arp(&mut self, operation: ArpOperation, card: EthernetAddress, target: Ipv4Address) {
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: MAC,
            source_protocol_addr: Ipv4Address::from(WAN),
            target_hardware_addr: card,
            target_protocol_addr: target,
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut ArpPacket::new_unchecked(&mut bytes));
        self.card
            .send(&ethernet(card, EthernetProtocol::Arp), &bytes);
    }

    fn send_ipv4(&mut self, card: EthernetAddress, datagram: &[u8]) {
        self.card
            .send(&ethernet(card, EthernetProtocol::Ipv4), datagram);
    }

    /// Sends a datagram to a neighbour; the WAN has no others.
    fn send(&mut self, datagram: &[u8]) {
        let Ok(ip) = Ipv4Packet::new_checked(datagram) else {
            return;
        };
        let next = ip.dst_addr();
        let mut known = self.neighbours.iter().flatten();
        match known.find(|(address, _)| *address == next).copied() {
            Some((_, card)) => self.send_ipv4(card, datagram),
            None => {
                self.waiting = Some((next, datagram.to_vec()));
                self.send_arp(ArpOperation::Request, EthernetAddress::BROADCAST, next);
            }
        }
    }
}

impl Buffers<Buf> for World {
    fn take(&mut self, len: usize) -> Option<Buf> {
        if len > PACKET {
            return None;
        }
        let mut buffer = self.spare.pop()?;
        buffer.reset(HEADROOM);
        Some(buffer)
    }

    fn give(&mut self, buffer: Buf) {
        self.spare.push(buffer);
    }
}

impl Port<Buf> for World {
    fn transmit(&mut self, mut packet: Outgoing<Buf>) {
        // Whoever wants to send to the LAN finds no one there but this router.
        let out = packet.on == self.wan;
        while out && let Some(datagram) = packet.next_datagram() {
            self.send(datagram);
        }
        self.give(packet.packet);
    }

    fn deliver(&mut self, _: InterfaceId, packet: Buf) {
        self.delivered.push_back(packet);
    }

    fn datagram(&mut self, path: Path, bytes: &[u8]) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (path.local.ip(), path.peer.ip()) else {
            return;
        };
        let udp = UdpRepr {
            src_port: path.local.port(),
            dst_port: path.peer.port(),
        };
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: IpProtocol::Udp,
            payload_len: udp.header_len() + bytes.len(),
            hop_limit: TTL,
        };
        let sums = ChecksumCapabilities::default();
        let mut datagram = vec![0; ip.buffer_len() + ip.payload_len];
        let mut packet = Ipv4Packet::new_unchecked(&mut datagram);
        ip.emit(&mut packet, &sums);
        udp.emit(
            &mut UdpPacket::new_unchecked(packet.payload_mut()),
            &from.into(),
            &to.into(),
            bytes.len(),
            |payload| payload.copy_from_slice(bytes),
            &sums,
        );
        if datagram.len() <= MTU {
            self.send(&datagram);
        }
    }

    /// The policy names neither hosts nor users, and no certificates.
    fn ask(&mut self, _: Ticket, _: Query) {}

    /// What matters is in the log, too.
    fn report(&mut self, _: DeviceReport) {}
}

fn ethernet(to: EthernetAddress, kind: EthernetProtocol) -> [u8; 14] {
    let mut header = [0; 14];
    let repr = EthernetRepr {
        src_addr: MAC,
        dst_addr: to,
        ethertype: kind,
    };
    repr.emit(&mut EthernetFrame::new_unchecked(&mut header));
    header
}

/// Turns an echo request to the LAN address into its reply; none if the packet is another.
fn echo(packet: &mut [u8]) -> Option<()> {
    let mut ip = Ipv4Packet::new_checked(packet).ok()?;
    let (source, destination) = (ip.src_addr(), ip.dst_addr());
    if ip.next_header() != IpProtocol::Icmp || destination.octets() != LAN || ip.more_frags() {
        return None;
    }
    ip.set_src_addr(destination);
    ip.set_dst_addr(source);
    ip.set_hop_limit(TTL);
    ip.fill_checksum();
    let mut icmp = Icmpv4Packet::new_checked(ip.payload_mut()).ok()?;
    if icmp.msg_type() != Icmpv4Message::EchoRequest {
        return None;
    }
    icmp.set_msg_type(Icmpv4Message::EchoReply);
    icmp.fill_checksum();
    Some(())
}
