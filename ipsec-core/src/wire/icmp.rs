//! The ICMP errors that speak of a packet that is too big: RFC 792 and RFC 1191 for IPv4, RFC 4443
//! §3.2 for IPv6.
//!
//! ```text
//! +---------------+---------------+-------------------------------+
//! |    3  or  2   |    4  or  0   |           Checksum            |
//! +---------------+---------------+-------------------------------+
//! |            MTU (IPv4: the lower 16 bits, after zeros)         |
//! +---------------------------------------------------------------+
//! |                  Start of the offending packet                |
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hw_offload::PacketBuf;

use super::checksum::{checksum, with_pseudo_header};
use super::extension::Chain;
use super::ipv4::{self, Ipv4};
use super::ipv6::{self, Ipv6};
use super::{esp, udp};
use crate::model::Spi;

/// Protocol number of ICMP.
const ICMP: u8 = 1;
/// Protocol number of ICMPv6.
const ICMPV6: u8 = 58;
/// Length of an ICMP header of either version.
const HEADER: usize = 8;
/// IPv4's "destination unreachable" and its code "fragmentation needed and DF set".
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
/// ICMPv6's "packet too big".
const PACKET_TOO_BIG: [u8; 2] = [2, 0];
/// What IPv4 quotes of the payload of the offending packet.
const QUOTED_PAYLOAD: usize = 8;
/// The longest ICMPv6 error: what every link carries.
const MAX_V6: usize = 1280;
/// Time to live of the errors.
const TTL: u8 = 64;

/// Turns a packet in place into the error that tells its sender the MTU that would fit, from
/// `router`, an address of the packet's version. False, and the packet unchanged, where there is
/// no room or no answer may be given: see [`fragmentation_needed`] and [`packet_too_big`].
pub fn too_big<B: PacketBuf>(buffer: &mut B, router: IpAddr, mtu: u16) -> bool {
    match router {
        IpAddr::V4(router) => fragmentation_needed(buffer, router, mtu),
        IpAddr::V6(router) => packet_too_big(buffer, router, mtu),
    }
}

/// Turns an IPv4 packet in place into "fragmentation needed" from `router` to its sender, naming
/// the MTU that would fit. False, and the packet unchanged, where there is no room, the packet is
/// not readable, or RFC 1122 §3.2.2 forbids an answer: to ICMP errors, to later fragments, to what
/// was sent to many, and to a source that is not one host.
pub fn fragmentation_needed<B: PacketBuf>(buffer: &mut B, router: Ipv4Addr, mtu: u16) -> bool {
    let Ok(packet) = Ipv4::parse(buffer.packet()) else {
        return false;
    };
    let is_error =
        packet.protocol() == ICMP && !matches!(packet.payload().first(), Some(0 | 8 | 13 | 14));
    let (sender, to) = (packet.source(), packet.destination());
    let one_host = |a: Ipv4Addr| !(a.is_unspecified() || a.is_multicast() || a.is_broadcast());
    if is_error || packet.fragment_offset() != 0 || !one_host(sender) || !one_host(to) {
        return false;
    }
    let quoted = packet.header().len() + packet.payload().len().min(QUOTED_PAYLOAD);
    if !make_room(buffer, ipv4::HEADER + HEADER, quoted) {
        return false;
    }
    let header = ipv4::NewHeader {
        tos: 0,
        total_len: u16::try_from(buffer.packet().len()).unwrap_or(u16::MAX),
        id: 0,
        dont_fragment: false,
        more_fragments: false,
        offset_units: 0,
        ttl: TTL,
        protocol: ICMP,
        source: router,
        destination: sender,
    };
    if let Some((ip, message)) = buffer.packet_mut().split_first_chunk_mut() {
        *ip = header.to_bytes();
        write_message(message, FRAGMENTATION_NEEDED, mtu, |m| checksum(&[m]));
    }
    true
}

/// Turns an IPv6 packet in place into "packet too big" from `router` to its sender, naming the MTU
/// that would fit. False, and the packet unchanged, where there is no room, the packet is not
/// readable, or RFC 4443 §2.4 forbids an answer: to ICMPv6 errors and redirects, and to a source
/// that is not one node. This error alone is due even for a multicast destination.
pub fn packet_too_big<B: PacketBuf>(buffer: &mut B, router: Ipv6Addr, mtu: u16) -> bool {
    let Ok(packet) = Ipv6::parse(buffer.packet()) else {
        return false;
    };
    let Ok(upper) = packet.upper_layer() else {
        return false;
    };
    // Of a later fragment of an ICMPv6 message nobody can say whether it is an error.
    let is_error = upper.protocol == ICMPV6
        && (!upper.first_fragment || matches!(upper.payload.first(), None | Some(0..128 | 137)));
    let sender = packet.source();
    if is_error || sender.is_unspecified() || sender.is_multicast() {
        return false;
    }
    let front = ipv6::HEADER + HEADER;
    let quoted = packet.total_len().min(MAX_V6 - front);
    if !make_room(buffer, front, quoted) {
        return false;
    }
    let header = ipv6::NewHeader {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(HEADER + quoted).unwrap_or(u16::MAX),
        next: ICMPV6,
        hop_limit: TTL,
        source: router,
        destination: sender,
    };
    if let Some((ip, message)) = buffer.packet_mut().split_first_chunk_mut() {
        *ip = header.to_bytes();
        write_message(message, PACKET_TOO_BIG, mtu, |m| {
            with_pseudo_header(router.into(), sender.into(), ICMPV6, m)
        });
    }
    true
}

/// Leaves the first `quoted` bytes of the packet, with `front` bytes before them; in the headroom,
/// or else in the room that the rest of the packet and the tailroom make.
fn make_room<B: PacketBuf>(buffer: &mut B, front: usize, quoted: usize) -> bool {
    let spare = buffer.packet().len().saturating_sub(quoted);
    if buffer.headroom() >= front {
        buffer.shrink_back(spare);
        return buffer.grow_front(front).is_ok();
    }
    if spare + buffer.tailroom() < front {
        return false;
    }
    buffer.shrink_back(spare);
    let grown = buffer.grow_back(front).is_ok();
    buffer.packet_mut().copy_within(..quoted, front);
    grown
}

fn write_message(
    message: &mut [u8],
    [kind, code]: [u8; 2],
    mtu: u16,
    sum: impl FnOnce(&[u8]) -> u16,
) {
    let [high, low] = mtu.to_be_bytes();
    if let Some(header) = message.first_chunk_mut::<HEADER>() {
        *header = [kind, code, 0, 0, 0, 0, high, low];
    }
    let sum = sum(message).to_be_bytes();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum);
    }
}

/// What an error says about one of our own IPsec packets. Nothing in it is authentic: whoever acts
/// on it first compares the quoted packet with the SAs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBigReport<'a> {
    /// The MTU it names; 0 from routers older than RFC 1191.
    pub mtu: u16,
    /// Source of the quoted packet.
    pub source: IpAddr,
    /// Destination of the quoted packet.
    pub destination: IpAddr,
    /// What the quoted packet carries.
    pub quoted: Quoted<'a>,
}

/// The start of the quoted packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoted<'a> {
    /// Protocol 50.
    Esp {
        /// Its SPI.
        spi: Spi,
        /// Its sequence number.
        sequence: u32,
    },
    /// Protocol 51.
    Ah {
        /// Its SPI.
        spi: Spi,
        /// Its sequence number; the 8 bytes that every router quotes end before it.
        sequence: Option<u32>,
    },
    /// Protocol 17, perhaps with ESP inside.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// As much of the data as is quoted.
        data: &'a [u8],
    },
}

/// Reads an error that says that a packet of AH, ESP or UDP was too big. None for every other
/// datagram, for a wrong checksum, and where too little is quoted.
#[must_use]
pub fn read_too_big(packet: &[u8]) -> Option<TooBigReport<'_>> {
    match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4::parse(packet).ok()?;
            let message = ip.payload();
            if ip.protocol() != ICMP || ip.is_fragment() || checksum(&[message]) != 0 {
                return None;
            }
            let (mtu, quote) = read_message(message, FRAGMENTATION_NEEDED)?;
            let fixed = quote.first_chunk::<{ ipv4::HEADER }>()?;
            let is_first = fixed[6] & 0x1f == 0 && fixed[7] == 0;
            if fixed[0] >> 4 != 4 || !is_first {
                return None;
            }
            let [.., a, b, c, d, e, f, g, h] = *fixed;
            Some(TooBigReport {
                mtu,
                source: Ipv4Addr::new(a, b, c, d).into(),
                destination: Ipv4Addr::new(e, f, g, h).into(),
                quoted: read_quoted(fixed[9], quote.get(usize::from(fixed[0] & 0xf) * 4..)?)?,
            })
        }
        6 => {
            let ip = Ipv6::parse(packet).ok()?;
            let upper = ip.upper_layer().ok()?;
            let (source, destination) = (ip.source().into(), ip.destination().into());
            let message = upper.payload;
            let sound = || with_pseudo_header(source, destination, ICMPV6, message) == 0;
            let whole = ip.fragment().ok()?.is_none();
            if upper.protocol != ICMPV6 || !whole || !sound() {
                return None;
            }
            let (mtu, quote) = read_message(message, PACKET_TOO_BIG)?;
            let mut chain = Chain::new(quote).ok()?;
            while chain.step().ok()?.is_some() {}
            let place = chain.place();
            let source = quote.get(8..)?.first_chunk::<16>()?;
            let destination = quote.get(24..)?.first_chunk::<16>()?;
            if quote.first()? >> 4 != 6 || chain.is_cut() {
                return None;
            }
            Some(TooBigReport {
                mtu,
                source: Ipv6Addr::from(*source).into(),
                destination: Ipv6Addr::from(*destination).into(),
                quoted: read_quoted(place.next, quote.get(place.at..)?)?,
            })
        }
        _ => None,
    }
}

/// The MTU and the quoted packet of a message of that type and code.
fn read_message(message: &[u8], kind: [u8; 2]) -> Option<(u16, &[u8])> {
    let ([a, b, _, _, high @ .., c, d], quote) = message.split_first_chunk::<HEADER>()?;
    // In IPv4 the upper half belongs to extensions (RFC 4884).
    let huge = kind == PACKET_TOO_BIG && *high != [0, 0];
    let mtu = u16::from_be_bytes([*c, *d]);
    ([*a, *b] == kind).then_some((if huge { u16::MAX } else { mtu }, quote))
}

fn read_quoted(protocol: u8, start: &[u8]) -> Option<Quoted<'_>> {
    match protocol {
        50 => {
            let (spi, sequence) = esp::parse(start).ok()?;
            Some(Quoted::Esp { spi, sequence })
        }
        51 => {
            let spi = start.get(4..)?.first_chunk::<4>()?;
            let sequence = start.get(8..).and_then(|rest| rest.first_chunk::<4>());
            Some(Quoted::Ah {
                spi: Spi::from_bytes(*spi),
                sequence: sequence.map(|bytes| u32::from_be_bytes(*bytes)),
            })
        }
        udp::PROTOCOL => {
            let ([a, b, c, d, ..], data) = start.split_first_chunk::<{ udp::HEADER }>()?;
            Some(Quoted::Udp {
                source: u16::from_be_bytes([*a, *b]),
                destination: u16::from_be_bytes([*c, *d]),
                data,
            })
        }
        _ => None,
    }
}
