//! Captures in the classic pcap format, raw IP, microseconds.

use ipsec_core::Instant;

/// A capture in memory.
#[derive(Clone, Debug)]
pub struct Pcap(Vec<u8>);

impl Default for Pcap {
    fn default() -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        // Major and minor version are two 16-bit fields.
        bytes.splice(4..8, [2, 0, 4, 0]);
        Self(bytes)
    }
}

impl Pcap {
    /// Adds a packet.
    pub fn add(&mut self, at: Instant, packet: &[u8]) {
        let micros = at.micros();
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
        let rest = u32::try_from(micros % 1_000_000).unwrap_or(0);
        for word in [seconds, rest, len, len] {
            self.0.extend_from_slice(&word.to_le_bytes());
        }
        self.0.extend_from_slice(packet);
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
