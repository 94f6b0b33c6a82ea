//! Reports from routers on the way that a sealed packet was too big (RFC 1191, RFC 8201).

use core::net::{IpAddr, SocketAddr};

use super::PlaneState;
use crate::model::{Protocol, Spi};
use crate::path::PathId;
use crate::time::Instant;
use crate::wire::esp;
use crate::wire::icmp::{Quoted, TooBigReport, read_too_big};

/// How far back the sequence number of a packet may lie that a report quotes.
const RECENT: u32 = 1 << 15;

impl PlaneState {
    /// Notes the MTU of a report that quotes a packet which one of our SAs sent a short while ago,
    /// and says whether it did: nobody who did not see such a packet can make one up.
    pub(super) fn learn_too_big(&mut self, now: Instant, packet: &[u8]) -> bool {
        let Some(report) = read_too_big(packet) else {
            return false;
        };
        let found = match report.quoted {
            Quoted::Esp { spi, sequence } => {
                let ends = (report.source, report.destination);
                self.sent_lately(ends, None, Protocol::Esp, spi, sequence)
            }
            Quoted::Ah {
                spi,
                sequence: Some(sequence),
            } => {
                let ends = (report.source, report.destination);
                self.sent_lately(ends, None, Protocol::Ah, spi, sequence)
            }
            Quoted::Ah { sequence: None, .. } => None,
            Quoted::Udp {
                source,
                destination,
                data,
            } => self.quoted_in_udp(&report, (source, destination), data),
        };
        let path = found.and_then(|id| self.paths.get_mut(id));
        if let Some(path) = path {
            path.learn(now, report.mtu);
            return true;
        }
        false
    }

    fn quoted_in_udp(
        &self,
        report: &TooBigReport<'_>,
        (local_port, peer_port): (u16, u16),
        data: &[u8],
    ) -> Option<PathId> {
        let local = SocketAddr::new(report.source, local_port);
        let peer = SocketAddr::new(report.destination, peer_port);
        let framing = self.path(self.paths.find(local, peer)?)?.encap.framing();
        let (spi, sequence) = esp::parse(data.get(framing.len()..)?).ok()?;
        let ends = (report.source, report.destination);
        let ports = Some((local_port, peer_port));
        self.sent_lately(ends, ports, Protocol::Esp, spi, sequence)
    }

    /// The path of the SA that sent that packet, if it did so lately.
    fn sent_lately(
        &self,
        (source, destination): (IpAddr, IpAddr),
        ports: Option<(u16, u16)>,
        protocol: Protocol,
        spi: Spi,
        sequence: u32,
    ) -> Option<PathId> {
        self.sad.sending_with(spi).find_map(|(_, sa)| {
            let id = self.bundle(sa.bundle)?.path;
            let path = self.path(id)?;
            let same =
                path.local == source && path.peer == destination && path.encap.ports() == ports;
            let lately = sa.sequence.wrapping_sub(sequence) < RECENT && sequence != 0;
            (sa.protocol == protocol && same && lately).then_some(id)
        })
    }
}
