//! Every capacity in one place: nothing grows beyond it on a stranger's word.

use core::time::Duration;

/// Capacities and waiting times of a device.
#[derive(Clone, Debug)]
pub struct Limits {
    /// SAs of the data plane, both directions of one protocol counted once.
    pub sas: u32,
    /// Packets in the hands of the engine at once.
    pub packets_in_flight: u32,
    /// Packets held per policy while an SA is negotiated.
    pub held_per_policy: u8,
    /// Packets held in all.
    pub held: u32,
    /// Tunnels inside one another that an arriving packet may have.
    pub nesting: u8,
    /// Flows of which is remembered on which SA of several equal ones they came in.
    pub reply_flows: u16,
    /// Entries of the flow cache.
    pub flow_cache: u16,
    /// Valid bundles of one policy at once that carry the same to the same peer.
    pub bundles_per_policy: u8,
    /// How long an old bundle still receives after its successor took over.
    pub replaced_linger: Duration,
    /// How long to wait before a failed renewal is tried again.
    pub rekey_retry: Duration,
    /// Fragments that wait for the rest of their datagram.
    pub reassembly: ReassemblyLimits,
    /// Phase 1 exchanges whose initiator has not proved its address.
    pub half_open: u16,
    /// The same, per address.
    pub half_open_per_address: u8,
    /// First messages of Aggressive mode that are answered in a second.
    pub aggressive_per_second: u16,
    /// ISAKMP SAs.
    pub isakmp_sas: u32,
    /// Quick mode exchanges at once per ISAKMP SA.
    pub quick_modes_per_sa: u8,
    /// Requests for SAs that wait for an ISAKMP SA or a free exchange, per peer.
    pub queued_acquires: u8,
    /// Longest ISAKMP message that is read.
    pub message_len: u16,
    /// Items that one turn of a device handles.
    pub work_per_turn: u16,
    /// Exponent windows that one turn gives to public-key work.
    pub public_budget: u32,
    /// Lines of the log.
    pub log_lines: u16,
    /// Keys of the key ring.
    pub keys: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sas: 1024,
            packets_in_flight: 256,
            held_per_policy: 20,
            held: 1024,
            nesting: 2,
            reply_flows: 256,
            flow_cache: 1024,
            bundles_per_policy: 4,
            replaced_linger: Duration::from_secs(10),
            rekey_retry: Duration::from_secs(30),
            reassembly: ReassemblyLimits::default(),
            half_open: 1024,
            half_open_per_address: 5,
            aggressive_per_second: 1000,
            isakmp_sas: 1024,
            quick_modes_per_sa: 2,
            queued_acquires: 32,
            message_len: 16_384,
            work_per_turn: 256,
            public_budget: 64,
            log_lines: 1024,
            keys: 1024,
        }
    }
}

/// How much may wait in front of reassembly. What does not fit pushes out the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// From everyone.
    pub in_all: HeldFragments,
    /// From one source: an IPv4 address or an IPv6 prefix of 64 bits. Also the most that a single
    /// datagram may need.
    pub per_source: HeldFragments,
    /// How long a datagram may take to arrive.
    pub time: Duration,
}

/// An amount of waiting fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldFragments {
    /// Datagrams of which fragments wait.
    pub datagrams: u16,
    /// The fragments; each keeps a buffer of the caller's.
    pub fragments: u16,
    /// Bytes of payload.
    pub bytes: u32,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self {
            in_all: HeldFragments {
                datagrams: 64,
                fragments: 256,
                bytes: 256 * 1024,
            },
            per_source: HeldFragments {
                datagrams: 16,
                fragments: 64,
                bytes: 64 * 1024,
            },
            time: Duration::from_secs(30),
        }
    }
}
