//! Answers neighbours that look for an IPv4 address of the router (RFC 826).
//!
//! The kernel answers as well, but not to an address that it routes into the TUN device: its strict
//! source check takes such a request for forged. Where a protected range holds the neighbours
//! themselves - transport mode with one of them, or an implicit DENY of everything - the router
//! would be found no more.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use ipsec_core::net::InterfaceId;
use isakmp_core::device::State;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{LinkAddr, MsgFlags, recvfrom, sendto};
use socket2::{Domain, Protocol, Socket, Type};

use super::kernel::{Network, guarded, protected};

/// The Ethernet type of address resolution.
const ETHER_TYPE: u16 = 0x0806;
/// Of a packet about IPv4 on Ethernet.
const LENGTH: usize = 28;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Ethernet, IPv4, and the lengths of their addresses.
const FRONT: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// The addresses that are answered for, and to whom.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// Readable when somebody asks.
    pub(crate) socket: Socket,
    ports: Vec<Port>,
    protected: Vec<Network>,
}

/// A device, its station address and what the router is called there.
#[derive(Debug)]
struct Port {
    index: usize,
    station: [u8; 6],
    addresses: Vec<Ipv4Addr>,
}

impl Neighbours {
    /// Answers nobody yet.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn new() -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(ETHER_TYPE.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            ports: Vec::new(),
            protected: Vec::new(),
        })
    }

    /// Agrees with a configuration. Devices that are no Ethernet have nobody to answer.
    pub(crate) fn follow(&mut self, state: &State, devices: &[(InterfaceId, String)]) {
        let guarded = guarded(state);
        self.protected = protected(state);
        self.ports = devices
            .iter()
            .filter(|(on, _)| guarded.contains(on))
            .filter_map(|(on, device)| Port::new(state, *on, device))
            .collect();
    }

    /// Answers one request. False if none waits.
    pub(crate) fn answer(&self) -> bool {
        let socket = self.socket.as_raw_fd();
        let mut request = [0; LENGTH];
        let Ok((length, from)) = recvfrom::<LinkAddr>(socket, &mut request) else {
            return false;
        };
        let port =
            from.and_then(|from| self.ports.iter().find(|port| port.index == from.ifindex()));
        if let (LENGTH, Some(from), Some(port)) = (length, from, port)
            && let Some(reply) = port.reply(&request, &self.protected)
        {
            // Whoever does not get it asks again.
            let _ = sendto(socket, &reply, &from, MsgFlags::empty());
        }
        true
    }
}

impl Port {
    fn new(state: &State, on: InterfaceId, device: &str) -> Option<Self> {
        let addresses = state.net.get(on)?.addresses.iter();
        let addresses = addresses.filter_map(|(address, _)| match address {
            std::net::IpAddr::V4(address) => Some(*address),
            std::net::IpAddr::V6(_) => None,
        });
        let station = fs::read_to_string(format!("/sys/class/net/{device}/address")).ok()?;
        Some(Self {
            index: usize::try_from(if_nametoindex(device).ok()?).ok()?,
            station: station_address(station.trim())?,
            addresses: addresses.collect(),
        })
    }

    /// The reply to a request for an address of this port from a protected one.
    fn reply(&self, request: &[u8; LENGTH], protected: &[Network]) -> Option<[u8; LENGTH]> {
        let (front, rest) = request.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let (asker, rest) = rest.split_first_chunk::<10>()?;
        let [.., a, b, c, d] = *asker;
        let from = Ipv4Addr::new(a, b, c, d);
        let wanted = Ipv4Addr::from(*rest.last_chunk::<4>()?);
        let ours = |address: &Ipv4Addr| self.addresses.contains(address);
        // The kernel answers to who has no address yet.
        let unanswered = !from.is_unspecified() && protected.iter().any(|p| p.holds(from.into()));
        if *front != FRONT
            || *operation != [0, REQUEST]
            || !ours(&wanted)
            || ours(&from)
            || !unanswered
        {
            return None;
        }
        let parts = [
            &FRONT[..],
            &[0, REPLY],
            &self.station,
            &wanted.octets(),
            asker,
        ];
        parts.concat().try_into().ok()
    }
}

/// The six bytes of a station address as the kernel writes it.
fn station_address(text: &str) -> Option<[u8; 6]> {
    let bytes = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: [u8; 10] = [2, 0, 0, 0, 0, 9, 10, 0, 0, 9];

    fn port() -> Port {
        Port {
            index: 1,
            station: station_address("02:00:00:00:00:01").unwrap(),
            addresses: vec![Ipv4Addr::new(10, 0, 0, 1)],
        }
    }

    fn request(asker: [u8; 10], wanted: [u8; 4]) -> [u8; LENGTH] {
        let parts = [&FRONT[..], &[0, REQUEST], &asker, &[0; 6], &wanted];
        parts.concat().try_into().unwrap()
    }

    #[test]
    fn who_asks_from_a_protected_range_is_answered() {
        let protected = [Network::of([10, 0, 0, 0].into(), 24)];
        let reply = port().reply(&request(ASKER, [10, 0, 0, 1]), &protected);
        let own = [2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
        let expected = [&FRONT[..], &[0, REPLY], &own, &ASKER].concat();
        assert_eq!(reply.unwrap().as_slice(), expected);
    }

    #[test]
    fn nobody_else_is() {
        let (port, protected) = (port(), [Network::of([10, 0, 0, 0].into(), 24)]);
        let asker = |address: [u8; 4]| {
            let mut asker = ASKER;
            asker[6..].copy_from_slice(&address);
            asker
        };
        let wanted = [10, 0, 0, 1];
        let mut told = request(ASKER, wanted);
        told[7] = REPLY;
        let mut other = request(ASKER, wanted);
        other[1] = 6;
        for request in [
            request(ASKER, [10, 0, 0, 2]),
            request(asker([10, 0, 1, 9]), wanted),
            request(asker([0, 0, 0, 0]), wanted),
            request(asker(wanted), wanted),
            told,
            other,
        ] {
            assert_eq!(port.reply(&request, &protected), None, "{request:?}");
        }
        assert_eq!(port.reply(&request(ASKER, wanted), &[]), None);
    }

    #[test]
    fn station_addresses_have_six_bytes() {
        let expected = Some([0x02, 0xab, 0, 0x0c, 0xff, 1]);
        assert_eq!(station_address("02:ab:00:0c:ff:01"), expected);
        assert_eq!(station_address(""), None);
        assert_eq!(station_address("00:00:00:00"), None);
    }
}
