//! Checksums of transport mode behind a NAT (RFC 3948 §3.1.2).
//!
//! The checksums of TCP and UDP cover the addresses that the sender saw. A NAT on the way changed
//! the addresses, and could not change what ESP hides.

use core::net::IpAddr;

use super::Malformed;
use super::checksum::adjust;
use super::datagram::Datagram;
use super::ipv6::Ipv6;
use super::udp;

const TCP: u8 = 6;
/// Where the checksum stands in a TCP header.
const TCP_CHECKSUM: usize = 16;
/// The same for UDP.
const UDP_CHECKSUM: usize = 6;

/// Makes the TCP or UDP checksum of a decapsulated datagram fit the addresses that it shows, when
/// its sender computed it for `source` and `destination` (from NAT-OA), by the difference, in
/// place. A wrong checksum stays wrong. Nothing is done to other protocols, to UDP without a
/// checksum, and to fragments, which do not show the whole; where both versions mix, neither.
///
/// # Errors
/// [`Malformed`]; nothing is changed.
pub fn repair(packet: &mut [u8], source: IpAddr, destination: IpAddr) -> Result<(), Malformed> {
    let ip = Datagram::parse(packet)?;
    let (place, seen) = (ip.place(), [ip.source(), ip.destination()]);
    let (protocol, at) = if ip.is_ipv4() {
        (place.next, place.at)
    } else {
        let upper = Ipv6::parse(packet)?.upper_layer()?;
        (upper.protocol, ip.total_len() - upper.payload.len())
    };
    let field = match protocol {
        TCP => at + TCP_CHECKSUM,
        udp::PROTOCOL => at + UDP_CHECKSUM,
        _ => return Ok(()),
    };
    if ip.is_fragment() {
        return Ok(());
    }
    let end = ip.total_len();
    let sum = packet
        .get_mut(..end)
        .and_then(|packet| packet.get_mut(field..))
        .and_then(|rest| rest.first_chunk_mut::<2>())
        .ok_or(Malformed::Short)?;
    let is_udp = protocol == udp::PROTOCOL;
    let mut new = u16::from_be_bytes(*sum);
    if is_udp && new == 0 {
        return Ok(());
    }
    for (computed, seen) in [source, destination].into_iter().zip(seen) {
        new = match (computed, seen) {
            (IpAddr::V4(old), IpAddr::V4(now)) => adjust(new, &old.octets(), &now.octets()),
            (IpAddr::V6(old), IpAddr::V6(now)) => adjust(new, &old.octets(), &now.octets()),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Ok(()),
        };
    }
    if is_udp && new == 0 {
        new = 0xffff;
    }
    *sum = new.to_be_bytes();
    Ok(())
}
