//! What a network does to packets.

use std::time::Duration;

use hw_offload::testing::SeededEntropy;
use ipsec_core::wire::ipv4::HEADER;

/// Probabilities from 0 to 1 for each packet, and the delay of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Lost.
    pub loss: f64,
    /// Delivered twice.
    pub duplicate: f64,
    /// Delivered later than its successors.
    pub reorder: f64,
    /// Delivered with a bit changed.
    pub corrupt: f64,
    /// One way.
    pub delay: Duration,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            delay: Duration::from_millis(10),
        }
    }
}

impl Weather {
    /// How long each copy of a packet is under way; nothing if it is lost.
    pub(crate) fn copies(&self, random: &mut SeededEntropy) -> Vec<Duration> {
        let one = |random: &mut SeededEntropy| {
            let late = chance(self.reorder, random);
            let extra = if late { 1 + random.below(50) } else { 0 };
            self.delay + Duration::from_millis(extra)
        };
        let mut copies = Vec::new();
        if !chance(self.loss, random) {
            copies.push(one(random));
        }
        if chance(self.duplicate, random) && !chance(self.loss, random) {
            copies.push(one(random) + Duration::from_millis(random.below(100)));
        }
        copies
    }

    /// Changes a bit of a packet, behind what routers on the way read and write.
    pub(crate) fn damage(&self, random: &mut SeededEntropy, packet: &mut [u8]) {
        let Some(inside) = packet.get_mut(HEADER..).filter(|inside| !inside.is_empty()) else {
            return;
        };
        if self.corrupt > 0.0 && chance(self.corrupt, random) {
            let bits = u64::try_from(inside.len() * 8).unwrap_or(u64::MAX);
            let bit = usize::try_from(random.below(bits)).unwrap_or(0);
            inside[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

fn chance(p: f64, random: &mut SeededEntropy) -> bool {
    // 32 bits are exact in a float.
    let n = u32::try_from(random.next_u64() >> 32).unwrap_or(0);
    f64::from(n) < p * f64::from(u32::MAX)
}
