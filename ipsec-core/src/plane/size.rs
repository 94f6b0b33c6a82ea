//! How large packets get, and what their senders are told of that.

use core::net::IpAddr;

use hw_offload::PacketBuf;

use super::PlaneState;
use super::outbound::{MAX_IV, dropped};
use crate::model::{Mode, Protocol};
use crate::path::Encap;
use crate::reason::DropReason;
use crate::sad::BundleId;
use crate::tunnel::outer_len;
use crate::verdict::Verdict;
use crate::wire::{icmp, udp};
use crate::{ah, esp};

impl PlaneState {
    /// Makes an ICMP error of a packet that must not be fragmented.
    pub(super) fn bounce<B: PacketBuf>(
        &self,
        sender: IpAddr,
        mtu: u16,
        mut packet: B,
    ) -> Verdict<B> {
        let why = DropReason::TooBig;
        let router = self.net.source_for(sender, None);
        if router.is_some_and(|router| icmp::too_big(&mut packet, router, mtu)) {
            Verdict::Bounce { why, packet }
        } else {
            dropped(why, packet)
        }
    }

    /// How long a packet of `len` bytes with `headers` bytes in front of its IPsec header gets in
    /// a bundle, and whether that is a tunnel.
    pub(super) fn grown(&self, id: BundleId, len: usize, headers: usize) -> (usize, bool) {
        let (mut total, mut at, mut tunnelled) = (len, headers, false);
        let Some((bundle, path)) = self.bundle(id).zip(self.path_of(id)) else {
            return (len, false);
        };
        for sa in bundle.sas.iter().filter_map(|sa| self.sa(*sa)) {
            let mut covered = total.saturating_sub(at);
            if sa.mode == Mode::Tunnel && !tunnelled {
                covered = total;
                at = outer_len(path.peer);
                tunnelled = true;
            }
            total = at
                + match sa.protocol {
                    Protocol::Ah => ah::len(sa.mac) + covered,
                    Protocol::Esp => {
                        let algorithms = esp::Algorithms {
                            cipher: sa.cipher,
                            mac: sa.mac,
                        };
                        encapsulation(path.encap)
                            + algorithms.front()
                            + covered
                            + algorithms.back(covered)
                    }
                };
        }
        (total, tunnelled)
    }

    /// The longest packet that still fits an MTU in a bundle.
    pub(super) fn largest(&self, id: BundleId, headers: usize, mtu: usize) -> usize {
        // Padding makes the growth vary by less than a block.
        let mut len = mtu.saturating_sub(self.grown(id, mtu, headers).0.saturating_sub(mtu));
        len += MAX_IV;
        while len > 0 && self.grown(id, len, headers).0 > mtu {
            len -= 1;
        }
        len
    }
}

/// Bytes that an encapsulation puts in front of ESP.
const fn encapsulation(encap: Encap) -> usize {
    match encap {
        Encap::None => 0,
        Encap::NatT { .. } | Encap::Tunnel2746 { .. } => udp::HEADER + encap.framing().len(),
    }
}
