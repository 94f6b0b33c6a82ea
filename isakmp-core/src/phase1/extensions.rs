//! What both sides of phase 1 agree on beside the keys: vendor IDs and NAT discovery. Main and
//! Aggressive mode call the same functions at their own messages.

use hw_offload::{Hash, Primitives};

use crate::ask::Path;
use crate::config::IsakmpPolicyConfig;
use crate::keys::Cookies;
use crate::natt::{self, NatState};
use crate::vendor::{self, PeerFeatures};
use crate::wire::{Payloads, Writer};

/// The extensions of one phase 1 exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extensions {
    /// What both sides speak.
    pub(crate) features: PeerFeatures,
    /// Where there is NAT.
    pub(crate) nat: NatState,
}

impl Extensions {
    /// From the vendor IDs of the peer's first message.
    pub(crate) fn admit(policy: &IsakmpPolicyConfig, payloads: &Payloads<'_>) -> Self {
        let features = PeerFeatures::of(payloads).within(policy);
        let nat = NatState::new(features.nat());
        Self { features, nat }
    }

    /// Appends the responder's vendor IDs.
    pub(crate) fn push_answer(&self, writer: &mut Writer) {
        vendor::push_answer(writer, &self.features);
    }

    /// Appends NAT-D payloads where NAT traversal is spoken.
    pub(crate) fn push_discovery(
        &self,
        writer: &mut Writer,
        primitives: &dyn Primitives,
        hash: Hash,
        cookies: Cookies,
        path: Path,
    ) {
        if let Some(version) = self.nat.version {
            natt::push_discovery(writer, primitives, version, hash, cookies, path);
        }
    }

    /// Reads the NAT-D payloads of an admitted message.
    pub(crate) fn discover(
        &mut self,
        primitives: &dyn Primitives,
        hash: Hash,
        cookies: Cookies,
        path: Path,
        payloads: &Payloads<'_>,
    ) {
        if let Some(version) = self.nat.version {
            self.nat.found = natt::discover(primitives, version, hash, cookies, path, payloads);
        }
    }

    /// The way of an initiator's messages from the one on that follows the discovery: both ports
    /// change to that of NAT traversal where there is NAT.
    pub(crate) const fn float(&self, path: Path) -> Path {
        let Path {
            mut local,
            mut peer,
        } = path;
        if self.nat.found.any() {
            local.set_port(natt::PORT);
            peer.set_port(natt::PORT);
        }
        Path { local, peer }
    }
}
