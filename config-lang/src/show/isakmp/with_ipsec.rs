//! SHOW IPSEC ISAKMP: each IPsec SA with the ISAKMP SA that watches over it.

use alloc::format;
use alloc::string::{String, ToString};

use ipsec_core::model::Mode;
use ipsec_core::{Instant, PlaneState};
use isakmp_core::Endpoint;

use super::seconds;
use crate::show::Screen;

/// IPsec SAs with manual keys, and those whose ISAKMP SA is gone, are not listed.
pub(crate) fn with_ipsec(plane: &PlaneState, endpoint: &Endpoint, now: Instant) -> String {
    let mut screen = Screen::new(0);
    screen.line("IPSEC                 ISAKMP                      Expiry Limits - hard/soft/used");
    screen.line("SA Id NAT-OA          SA Id Peer Address    DPD   ISAKMP SA Lifetime (secs)");
    screen.line("-".repeat(80));
    for (id, sa) in plane.sas() {
        let Some(bundle) = plane.bundle(sa.bundle) else {
            continue;
        };
        let mut isakmp = endpoint.sas();
        let Some(over) = isakmp.find(|over| Some(over.number) == bundle.isakmp_sa) else {
            continue;
        };
        let original = match (sa.mode, bundle.nat_oa.as_deref()) {
            (Mode::Tunnel, _) => "N/A (Tnl Mode)".to_string(),
            (Mode::Transport, Some((address, _))) => address.to_string(),
            (Mode::Transport, None) => "-".to_string(),
        };
        screen.line(format!(
            "{:<5} {:<15} {:<5} {:<15} {:<5} {}",
            id.0.slot,
            original,
            over.number,
            over.path.peer.ip().to_string(),
            over.watch.dpd.status().short(),
            seconds(over, now)
        ));
    }
    screen.line("-".repeat(80));
    screen.text
}
