//! The work of a packet without an engine around it.

use crate::buffer::PacketBuf;
use crate::channel::Keyed;
use crate::packet::{ChannelSpec, JobFault, OpenFault, PacketJob};

/// What [`crate::SoftEngine`] runs for each packet of a channel, to be called directly: the measure
/// of what an engine adds.
pub struct Kernel(Keyed);

impl Kernel {
    /// The kernel of a channel.
    ///
    /// # Errors
    /// [`OpenFault::KeyLength`].
    pub fn new(spec: &ChannelSpec) -> Result<Self, OpenFault> {
        Keyed::new(spec).map(Self)
    }

    /// Carries the job out.
    ///
    /// # Errors
    /// [`JobFault`], as an engine would complete it.
    pub fn run<B: PacketBuf>(&self, job: &mut PacketJob<B>) -> Result<(), JobFault> {
        self.0.run(job)
    }
}
