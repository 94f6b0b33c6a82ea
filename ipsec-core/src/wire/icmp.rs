//! The ICMP error that tells a sender that its packet is too big (RFC 792, RFC 1191).

use core::net::Ipv4Addr;

use hw_offload::PacketBuf;

use super::checksum::checksum;
use super::ipv4::{HEADER, Ipv4, NewHeader};

/// Length of an ICMP header.
const ICMP: usize = 8;
/// As much of the offending packet as is quoted: its header with options and 8 bytes.
const QUOTED_PAYLOAD: usize = 8;

/// Turns an IPv4 packet in place into "fragmentation needed" from `router` to its sender, naming
/// the MTU that would fit. False, and the packet unchanged, where there is no room, the packet is
/// not readable, or RFC 1122 §3.2.2 forbids an answer (fragments, ICMP errors).
pub fn fragmentation_needed<B: PacketBuf>(buffer: &mut B, router: Ipv4Addr, mtu: u16) -> bool {
    let Ok(packet) = Ipv4::parse(buffer.packet()) else {
        return false;
    };
    let is_error =
        packet.protocol() == 1 && !matches!(packet.payload().first(), Some(0 | 8 | 13 | 14));
    if is_error || packet.fragment_offset() != 0 || packet.source().is_unspecified() {
        return false;
    }
    let sender = packet.source();
    let quoted = packet.header().len() + packet.payload().len().min(QUOTED_PAYLOAD);
    let spare = buffer.packet().len() - quoted;
    if buffer.grow_front(HEADER + ICMP).is_err() {
        return false;
    }
    buffer.shrink_back(spare);
    let total = buffer.packet().len();
    let header = NewHeader {
        tos: 0,
        total_len: u16::try_from(total).unwrap_or(u16::MAX),
        id: 0,
        dont_fragment: false,
        more_fragments: false,
        offset_units: 0,
        ttl: 64,
        protocol: 1,
        source: router,
        destination: sender,
    };
    let Some((outer, rest)) = buffer.packet_mut().split_first_chunk_mut::<HEADER>() else {
        return false;
    };
    *outer = header.to_bytes();
    let Some((icmp, quote)) = rest.split_first_chunk_mut::<ICMP>() else {
        return false;
    };
    let [high, low] = mtu.to_be_bytes();
    *icmp = [3, 4, 0, 0, 0, 0, high, low];
    let [high, low] = checksum(&[icmp, quote]).to_be_bytes();
    icmp[2] = high;
    icmp[3] = low;
    true
}
