//! Captures in the classic pcap format: raw IP, microseconds.

use std::io::{self, Write};

use ipsec_core::Instant;

/// A capture that is being written.
#[derive(Clone, Debug)]
pub struct Pcap<W>(W);

impl<W: Write> Pcap<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut to: W) -> io::Result<Self> {
        let version = 0x0004_0002;
        for word in [0xa1b2_c3d4_u32, version, 0, 0, 65_535, 101] {
            to.write_all(&word.to_le_bytes())?;
        }
        Ok(Self(to))
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn add(&mut self, at: Instant, packet: &[u8]) -> io::Result<()> {
        let micros = at.micros();
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
        let rest = u32::try_from(micros % 1_000_000).unwrap_or(0);
        for word in [seconds, rest, len, len] {
            self.0.write_all(&word.to_le_bytes())?;
        }
        self.0.write_all(packet)
    }

    /// Where it is written to.
    pub const fn get_ref(&self) -> &W {
        &self.0
    }

    /// The same, to flush it.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.0
    }
}

impl Default for Pcap<Vec<u8>> {
    fn default() -> Self {
        Self::new(Vec::new()).expect("memory takes everything")
    }
}
