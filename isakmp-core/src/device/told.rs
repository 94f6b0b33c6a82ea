//! What a device tells: lines of the log, keys for readers of captures.

use alloc::format;
use alloc::string::String;

use hw_offload::Engines;
use ipsec_core::model::{Half, Name, Role};
use ipsec_core::{Instant, SaId};

use super::{Device, DeviceReport, LogModule, LogSubtype, Port};
use crate::ask::{LostBy, Report};

impl<E: Engines> Device<E> {
    pub(super) fn policy_name(&self, id: ipsec_core::PolicyId) -> Option<Name> {
        self.plane
            .state()
            .policy(id)
            .map(|policy| policy.config.name.clone())
    }

    pub(super) fn report_keys(
        &self,
        port: &mut dyn Port<E::Buf>,
        sa: SaId,
        half: Half,
        spec: &hw_offload::ChannelSpec,
    ) {
        let Some(sa) = self.plane.state().sa(sa) else {
            return;
        };
        let Some(path) = self.plane.state().path_of(sa.bundle) else {
            return;
        };
        let (source, destination, spi) = match half {
            Half::Inbound => (path.peer, path.local, sa.in_spi),
            Half::Outbound => (path.local, path.peer, sa.out_spi),
        };
        port.report(DeviceReport::SaKeys {
            source,
            destination,
            spi,
            cipher: spec.cipher,
            cipher_key: spec.cipher_key.duplicate(),
            mac: spec.mac,
            mac_key: spec.mac_key.duplicate(),
        });
    }

    /// Writes a line into the log.
    pub fn log(&mut self, now: Instant, module: LogModule, subtype: LogSubtype, message: String) {
        self.state.log.write(now, module, subtype, message);
    }

    pub(super) fn log_report(&mut self, now: Instant, report: &Report) {
        let line = match report {
            Report::Started {
                exchange,
                phase,
                role,
                peer,
            } => {
                let role = match role {
                    Role::Initiator => "init",
                    Role::Responder => "resp",
                };
                format!("Exchange {exchange}: Phase {phase} [{role}] started with peer {peer}")
            }
            Report::Completed { exchange, .. } => {
                format!("Exchange {exchange}: Completed successfully")
            }
            Report::Failed {
                exchange: 0,
                peer,
                reason,
            } => {
                format!("Refused peer {peer} - {reason}")
            }
            Report::Failed {
                exchange, reason, ..
            } => {
                format!("Exchange {exchange}: Failed - {reason}")
            }
            Report::Suspicious {
                exchange, reason, ..
            } => {
                format!("Exchange {exchange}: Message ignored - {reason}")
            }
            Report::Notified {
                exchange,
                kind,
                authentic,
                ..
            } => {
                let trust = if *authentic {
                    ""
                } else {
                    " (not authenticated)"
                };
                format!(
                    "Exchange {exchange}: Notification Received - {}{trust}",
                    kind.log_word()
                )
            }
            Report::SaGone { sa, peer, by_peer } => {
                let who = if *by_peer { " by the peer" } else { "" };
                format!("ISAKMP SA {sa} with peer {peer} deleted{who}")
            }
            Report::PeerLost { sa, peer, by } => {
                let how = match by {
                    LostBy::Dpd => "does not answer R-U-THERE",
                    LostBy::Heartbeat => "sends no heartbeat any more",
                    LostBy::Idle => "sends nothing any more",
                };
                format!("ISAKMP SA {sa}: peer {peer} {how}, all SAs with it deleted")
            }
            Report::PeerMoved { sa, from, to } => {
                format!("ISAKMP SA {sa}: peer moved from {from} to {to}")
            }
            Report::Message { .. }
            | Report::Phase1Key { .. }
            | Report::State { .. }
            | Report::Trace { .. }
            | Report::Packet { .. }
            | Report::Datagram { .. } => return,
        };
        self.log(now, LogModule::Isakmp, LogSubtype::Xchg, line);
    }
}
