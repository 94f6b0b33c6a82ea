//! A Linux device that stands for an interface, and the sockets on it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use ipsec_core::net::InterfaceId;
use isakmp_core::device::State;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::kernel::{TABLE, guarded};

const ESP: i32 = 50;
const RECEIVE_BUFFER: usize = 4 << 20;

/// What a link is opened from; it is opened anew when this changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkPlan {
    on: InterfaceId,
    device: String,
    addresses: Vec<Ipv4Addr>,
    port: u16,
}

/// The sockets of one interface.
#[derive(Debug)]
pub(crate) struct Link {
    plan: LinkPlan,
    /// Whole IP datagrams, in both directions; receives ESP.
    pub(crate) raw: Socket,
    /// One socket for each own address, so that replies come from where the question went.
    pub(crate) isakmp: Vec<(SocketAddr, UdpSocket)>,
}

impl LinkPlan {
    /// The links that a configuration needs: those of the interfaces that have policies.
    pub(crate) fn of(state: &State, devices: &[(InterfaceId, String)]) -> Vec<Self> {
        let guarded = guarded(state);
        let devices = devices.iter().filter(|(on, _)| guarded.contains(on));
        devices
            .map(|(on, device)| {
                let addresses = state.net.get(*on).map_or(&[][..], |i| &i.addresses);
                Self {
                    on: *on,
                    device: device.clone(),
                    addresses: addresses
                        .iter()
                        .filter_map(|(address, _)| match address {
                            IpAddr::V4(address) => Some(*address),
                            IpAddr::V6(_) => None,
                        })
                        .collect(),
                    port: state.isakmp.port(),
                }
            })
            .collect()
    }
}

impl Link {
    /// Opens the sockets. The addresses need not be there yet: packets that arrive in the moment
    /// an address comes up shall find somebody listening.
    ///
    /// # Errors
    /// Which socket could not be opened, and why.
    pub(crate) fn open(plan: LinkPlan) -> Result<Self, String> {
        let device = &plan.device;
        let raw = raw(device).map_err(|e| format!("ESP socket on {device}: {e}"))?;
        let mut isakmp = Vec::new();
        for address in &plan.addresses {
            let local = SocketAddr::from((*address, plan.port));
            let socket = udp(device, local).map_err(|e| format!("UDP {local} on {device}: {e}"))?;
            isakmp.push((local, socket));
        }
        Ok(Self { plan, raw, isakmp })
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

    /// Sends a whole IPv4 datagram.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn send(&self, datagram: &[u8], to: Ipv4Addr) -> io::Result<()> {
        let to = SockAddr::from(SocketAddr::from((to, 0)));
        self.raw.send_to(datagram, &to).map(|_| ())
    }
}

fn raw(device: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(ESP)))?;
    socket.set_header_included_v4(true)?;
    common(&socket, device)?;
    Ok(socket)
}

fn udp(device: &str, local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_freebind_v4(true)?;
    common(&socket, device)?;
    socket.bind(&SockAddr::from(local))?;
    Ok(socket.into())
}

fn common(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))?;
    socket.set_mark(TABLE)?;
    socket.set_nonblocking(true)?;
    // The system's own limit may be lower, which costs speed and nothing else.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(())
}
