//! A Linux device that stands for an interface, and the sockets on it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use ipsec_core::net::InterfaceId;
use isakmp_core::config::IsakmpPolicyConfig;
use isakmp_core::device::State;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::kernel::{TABLE, guarded};

/// The port of NAT traversal (RFC 3948 §2).
const NAT_T: u16 = 4500;
const ESP: u8 = 50;
const AH: u8 = 51;
/// A raw socket of this protocol sends whole datagrams and receives nothing.
const RAW: i32 = 255;
const RECEIVE_BUFFER: usize = 4 << 20;

/// What a link is opened from; it is opened anew when this changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkPlan {
    on: InterfaceId,
    device: String,
    addresses: Vec<IpAddr>,
    ports: Vec<(u16, UdpUse)>,
}

/// What a UDP port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UdpUse {
    /// ISAKMP messages.
    Isakmp,
    /// ISAKMP messages behind a marker, and ESP (RFC 3948).
    NatTraversal,
    /// ESP of UDP tunnels.
    Tunnel,
}

/// What comes through a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Whole IPv4 datagrams of one protocol.
    Datagrams,
    /// What follows the headers of IPv6 datagrams of one protocol for one own address.
    Payloads(u8, Ipv6Addr),
    /// What UDP carries to one own address and port.
    Udp(SocketAddr, UdpUse),
}

/// A socket that receives.
#[derive(Debug)]
pub(crate) struct Door {
    /// What comes through it.
    pub(crate) carries: Carries,
    /// The socket.
    pub(crate) socket: Socket,
}

/// What the kernel tells of a received message beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    /// Number of bytes.
    pub(crate) len: usize,
    /// The sender; none where the bytes are a whole datagram.
    pub(crate) from: Option<SocketAddr>,
    /// Type of service or traffic class.
    pub(crate) tos: u8,
}

/// The sockets of one interface.
#[derive(Debug)]
pub(crate) struct Link {
    plan: LinkPlan,
    /// Those that receive.
    pub(crate) doors: Vec<Door>,
    /// Those that send whole datagrams, for IPv4 and IPv6.
    out: [Socket; 2],
}

impl LinkPlan {
    /// The links that a configuration needs: those of the interfaces that have policies.
    pub(crate) fn of(state: &State, devices: &[(InterfaceId, String)]) -> Vec<Self> {
        let guarded = guarded(state);
        let devices = devices.iter().filter(|(on, _)| guarded.contains(on));
        let ports = ports(state);
        devices
            .map(|(on, device)| {
                let addresses = state.net.get(*on).map_or(&[][..], |i| &i.addresses);
                Self {
                    on: *on,
                    device: device.clone(),
                    addresses: addresses.iter().map(|(address, _)| *address).collect(),
                    ports: ports.clone(),
                }
            })
            .collect()
    }
}

/// The UDP ports that a configuration listens on.
pub(crate) fn ports(state: &State) -> Vec<(u16, UdpUse)> {
    let mut ports = vec![(state.isakmp.port(), UdpUse::Isakmp)];
    let policies = &state.isakmp.policies;
    if policies.iter().any(IsakmpPolicyConfig::traverses_nat) {
        ports.push((NAT_T, UdpUse::NatTraversal));
    }
    let ipsec = &state.ipsec;
    if ipsec
        .policies
        .iter()
        .any(|policy| policy.udp_tunnel == Some(true))
    {
        ports.push((ipsec.udp_port(), UdpUse::Tunnel));
    }
    ports
}

impl Link {
    /// Opens the sockets. The addresses need not be there yet: packets that arrive in the moment
    /// an address comes up shall find somebody listening.
    ///
    /// # Errors
    /// Which socket could not be opened, and why.
    pub(crate) fn open(plan: LinkPlan) -> Result<Self, String> {
        let device = &plan.device;
        let mut doors = Vec::new();
        for (protocol, name) in [(ESP, "ESP"), (AH, "AH")] {
            let told = |e: io::Error| format!("{name} socket on {device}: {e}");
            doors.push(Door {
                carries: Carries::Datagrams,
                socket: raw(device, Domain::IPV4, protocol.into()).map_err(told)?,
            });
            for address in &plan.addresses {
                let IpAddr::V6(address) = *address else {
                    continue;
                };
                let socket = payloads(device, protocol, address).map_err(told)?;
                let carries = Carries::Payloads(protocol, address);
                doors.push(Door { carries, socket });
            }
        }
        for address in &plan.addresses {
            for (port, what) in &plan.ports {
                let local = SocketAddr::from((*address, *port));
                let told = |e: io::Error| format!("UDP {local} on {device}: {e}");
                let socket = udp(device, local).map_err(told)?;
                let carries = Carries::Udp(local, *what);
                doors.push(Door { carries, socket });
            }
        }
        let out = |domain| {
            let told = |e: io::Error| format!("sending socket on {device}: {e}");
            raw(device, domain, RAW).map_err(told)
        };
        let out = [out(Domain::IPV4)?, out(Domain::IPV6)?];
        Ok(Self { plan, doors, out })
    }

    /// What it was opened from.
    pub(crate) const fn plan(&self) -> &LinkPlan {
        &self.plan
    }

    /// The interface that it stands for.
    pub(crate) const fn on(&self) -> InterfaceId {
        self.plan.on
    }

    /// The Linux device.
    pub(crate) fn device(&self) -> &str {
        &self.plan.device
    }

    /// Sends a whole IP datagram.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn send(&self, datagram: &[u8], to: IpAddr) -> io::Result<()> {
        let [v4, v6] = &self.out;
        let socket = if to.is_ipv4() { v4 } else { v6 };
        socket
            .send_to(datagram, &SockAddr::from(SocketAddr::from((to, 0))))
            .map(|_| ())
    }

    /// The UDP socket of an own address and port.
    pub(crate) fn udp(&self, local: SocketAddr) -> Option<&Socket> {
        let door = |door: &&Door| matches!(door.carries, Carries::Udp(own, _) if own == local);
        self.doors.iter().find(door).map(|door| &door.socket)
    }
}

impl Door {
    /// Receives one message, if one waits.
    ///
    /// # Errors
    /// Those of the socket; `WouldBlock` if nothing waits.
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<Envelope> {
        let mut control = nix::cmsg_space!(i32, i32);
        let mut parts = [io::IoSliceMut::new(into)];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)?;
        let from = message.address.as_ref().and_then(|address| {
            let v4 = address
                .as_sockaddr_in()
                .map(|a| SocketAddr::V4((*a).into()));
            let v6 = address
                .as_sockaddr_in6()
                .map(|a| SocketAddr::V6((*a).into()));
            v4.or(v6)
        });
        let tos = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
            ControlMessageOwned::Ipv6TClass(class) => u8::try_from(class).ok(),
            _ => None,
        });
        Ok(Envelope {
            len: message.bytes,
            from: from.filter(|_| self.carries != Carries::Datagrams),
            tos: tos.unwrap_or(0),
        })
    }
}

/// A socket for whole datagrams.
fn raw(device: &str, domain: Domain, protocol: i32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
    if domain == Domain::IPV4 {
        socket.set_header_included_v4(true)?;
    } else {
        socket.set_header_included_v6(true)?;
    }
    common(&socket, device)?;
    Ok(socket)
}

/// A socket for what follows the headers of IPv6 datagrams: the kernel does not hand those out.
fn payloads(device: &str, protocol: u8, address: Ipv6Addr) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(protocol));
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(protocol))?;
    socket.set_freebind_v6(true)?;
    socket.set_recv_tclass_v6(true)?;
    common(&socket, device)?;
    socket.bind(&SockAddr::from(SocketAddr::from((address, 0))))?;
    Ok(socket)
}

fn udp(device: &str, local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv4() {
        socket.set_freebind_v4(true)?;
        socket.set_recv_tos_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
        socket.set_recv_tclass_v6(true)?;
    }
    common(&socket, device)?;
    socket.bind(&SockAddr::from(local))?;
    Ok(socket)
}

fn common(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))?;
    socket.set_mark(TABLE)?;
    socket.set_nonblocking(true)?;
    // The system's own limit may be lower, which costs speed and nothing else.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(())
}
