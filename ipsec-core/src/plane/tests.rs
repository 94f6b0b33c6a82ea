//! What only the plane itself can bring about: sequence numbers near their end, and sizes.

use alloc::vec;
use alloc::vec::Vec;
use core::mem::size_of;
use core::net::IpAddr;

use hw_offload::testing::SeededEntropy;
use hw_offload::{
    ArrayBuf, Buffers, ChannelId, Cipher, KeyRing, Mac, PacketBuf, PacketDone, PacketJob, Secret,
};

use super::{Cx, DataPlane, HEADROOM, InFlight, PlaneEvent};
use crate::counters::Happened;
use crate::limits::Limits;
use crate::model::{
    Action, BundleConfig, BundleString, Half, HashAlg, InterfaceName, IpVersion, IpsecConfig,
    KeyManagement, Lifetime, Mode, Name, PeerAddress, PolicyConfig, Protocol, Role, SaSpecConfig,
    Selector, Spi,
};
use crate::net::{InterfaceId, Net};
use crate::reason::DropReason;
use crate::sad::{Bundle, BundleId, Negotiated, Sa, SaKeys, Traversal};
use crate::time::Instant;
use crate::verdict::Verdict;
use crate::wire::ipv4::NewHeader;

type Buf = ArrayBuf<512>;

struct NoBuffers;

impl Buffers<Buf> for NoBuffers {
    fn take(&mut self, _: usize) -> Option<Buf> {
        None
    }

    fn give(&mut self, _: Buf) {}
}

const WAN: InterfaceId = InterfaceId(0);

/// A plane with one policy for the world, whose engine agrees with everything.
struct Rig {
    plane: DataPlane<Buf>,
    entropy: SeededEntropy,
    now: Instant,
    channels: u32,
    asked: u32,
    exhausted: u32,
}

impl Rig {
    fn new(limits: &Limits, specs: &[(Protocol, Mode)], peer: PeerAddress, replay: bool) -> Self {
        let mut net = Net::default();
        let wan = net.interface(&InterfaceName::new("ppp0"));
        if let Some(wan) = net.get_mut(wan) {
            wan.addresses.push(([1, 1, 1, 1].into(), 32));
        }
        let spec = |(number, (protocol, mode)): (u8, &(Protocol, Mode))| SaSpecConfig {
            number,
            key_management: KeyManagement::Isakmp,
            protocol: *protocol,
            mode: Some(*mode),
            encalg: (*protocol == Protocol::Esp).then_some(Cipher::Null),
            enckey: None,
            hashalg: Some(HashAlg::Sha),
            hashkey: None,
            inspi: None,
            outspi: None,
            anti_replay: Some(replay),
            window: None,
        };
        let string = if specs.len() == 1 { "1" } else { "1 AND 2" };
        let config = IpsecConfig {
            enabled: true,
            sa_specs: (1..).zip(specs).map(spec).collect(),
            bundles: vec![BundleConfig {
                number: 1,
                key_management: KeyManagement::Isakmp,
                string: BundleString::parse(string).unwrap(),
                expiry_kbytes: None,
                expiry_seconds: None,
            }],
            policies: vec![PolicyConfig {
                key_management: Some(KeyManagement::Isakmp),
                bundle: Some(1),
                peer: Some(peer),
                ..PolicyConfig::new(Name::new("vpn"), InterfaceName::new("ppp0"), Action::Ipsec)
            }],
            ..IpsecConfig::default()
        };
        let mut plane = DataPlane::new(limits, [3; 16]);
        let now = Instant::from_secs(1);
        plane.configure(now, &config, &net, &KeyRing::new(1));
        Self {
            plane,
            entropy: SeededEntropy::new(5),
            now,
            channels: 0,
            asked: 0,
            exhausted: 0,
        }
    }

    /// Answers every request; counts those for a bundle.
    fn pump(&mut self) {
        while let Some(event) = self.plane.next_event() {
            match event {
                PlaneEvent::Open { ticket, .. } => {
                    let channel = self.channel();
                    self.plane.opened(self.now, ticket, Ok(channel));
                }
                PlaneEvent::Close(channel) => self.plane.detached(channel),
                PlaneEvent::Acquire { .. } => self.asked += 1,
                PlaneEvent::Exhausted { .. } => self.exhausted += 1,
                _ => {}
            }
        }
    }

    #[allow(
        clippy::useless_conversion,
        reason = "of whatever width a channel's name is"
    )]
    fn channel(&mut self) -> ChannelId {
        self.channels += 1;
        let half = |number: u32| u16::try_from(number & 0xffff).unwrap();
        ChannelId {
            slot: half(self.channels).into(),
            generation: half(self.channels >> 16).into(),
        }
    }

    fn negotiate(
        &mut self,
        specs: &[(Protocol, Mode)],
        peer: IpAddr,
        selector: &Selector,
    ) -> BundleId {
        let (policy, _) = self.plane.state().policy_by_name("vpn").unwrap();
        let protocols: Vec<Protocol> = specs.iter().map(|(protocol, _)| *protocol).collect();
        let ends = ([1, 1, 1, 1].into(), peer);
        let reserved = self
            .plane
            .reserve(self.now, &mut self.entropy, policy, ends, &protocols)
            .unwrap();
        for half in [Half::Inbound, Half::Outbound] {
            let sas = (1..).zip(specs).zip(&reserved.spis);
            let sas = sas.map(|((spec, (protocol, mode)), (_, spi))| SaKeys {
                protocol: *protocol,
                spi: *spi,
                mode: *mode,
                cipher: Cipher::Null,
                cipher_key: Secret::copy_of(&[]),
                mac: Mac::HmacSha1_96,
                mac_key: Secret::copy_of(&[1; 20]),
                spec,
            });
            let negotiated = Negotiated {
                sas: sas.collect(),
                lifetime: Lifetime {
                    seconds: 3600,
                    kbytes: None,
                },
                role: Role::Responder,
                local: ends.0,
                peer,
                selector: selector.clone(),
                isakmp_sa: 1,
                traversal: Traversal::default(),
            };
            let (now, bundle) = (self.now, reserved.bundle);
            self.plane
                .install(now, &mut self.entropy, bundle, half, negotiated)
                .unwrap();
            self.pump();
        }
        reserved.bundle
    }

    fn outbound(&mut self, destination: IpAddr) -> Verdict<Buf> {
        let IpAddr::V4(destination) = destination else {
            panic!("IPv4")
        };
        let header = NewHeader {
            tos: 0,
            total_len: 20,
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            offset_units: 0,
            ttl: 64,
            protocol: 99,
            source: [10, 0, 0, 1].into(),
            destination,
        };
        let mut packet = Buf::with_headroom(HEADROOM);
        packet.fill(HEADROOM, &header.to_bytes()).unwrap();
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        self.plane.outbound(&mut cx, WAN, packet)
    }

    fn complete(&mut self, job: PacketJob<Buf>) -> Verdict<Buf> {
        let done = PacketDone {
            ticket: job.ticket,
            channel: job.channel,
            result: Ok(()),
            buffer: job.buffer,
        };
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        self.plane.complete(&mut cx, done)
    }

    /// The sequence number of the next packet, or why there is none.
    fn sequence(&mut self) -> Result<u32, DropReason> {
        match self.outbound([8, 8, 8, 8].into()) {
            Verdict::Compute(job) => {
                let field = job.auth[0].range().start + 4;
                let field = job.buffer.storage()[field..].first_chunk().copied();
                self.complete(job);
                Ok(u32::from_be_bytes(field.unwrap()))
            }
            Verdict::Drop { why, .. } => Err(why),
            _ => panic!("neither a job nor a drop"),
        }
    }

    fn set_sequence(&mut self, sequence: u32) {
        for (_, sa) in self.plane.state.sad.sas.iter_mut() {
            sa.sequence = sequence;
        }
    }
}

const ESP: [(Protocol, Mode); 1] = [(Protocol::Esp, Mode::Tunnel)];
const PEER: [u8; 4] = [2, 2, 2, 2];

fn esp_rig(replay: bool) -> Rig {
    let peer = PeerAddress::Address(PEER.into());
    let mut rig = Rig::new(&Limits::default(), &ESP, peer, replay);
    rig.negotiate(&ESP, PEER.into(), &Selector::any(IpVersion::V4));
    rig
}

/// With anti-replay the SA is renewed in time, and no number is used twice.
#[test]
fn threat_d13_numbers_end_with_anti_replay() {
    let mut rig = esp_rig(true);
    assert_eq!(rig.sequence(), Ok(1));
    rig.set_sequence(u32::MAX - (1 << 20) - 1);
    assert_eq!(rig.sequence(), Ok(u32::MAX - (1 << 20)));
    rig.pump();
    assert_eq!(rig.asked, 0);
    for _ in 0..3 {
        rig.sequence().unwrap();
    }
    rig.pump();
    assert_eq!(rig.asked, 1);
    rig.set_sequence(u32::MAX - 1);
    assert_eq!(rig.sequence(), Ok(u32::MAX));
    for _ in 0..3 {
        assert_eq!(rig.sequence(), Err(DropReason::SequenceExhausted));
    }
    rig.pump();
    assert_eq!((rig.asked, rig.exhausted), (1, 1));
    let count = |happened| rig.plane.state().counters().get(happened);
    assert_eq!(count(Happened::EspSeqNumberCycled), 0);
}

/// Without it they begin again, which is counted.
#[test]
fn threat_d13_numbers_cycle_without_anti_replay() {
    let mut rig = esp_rig(false);
    rig.set_sequence(u32::MAX - 1);
    let numbers: Vec<_> = (0..3).map(|_| rig.sequence()).collect();
    assert_eq!(numbers, [Ok(u32::MAX), Ok(0), Ok(1)]);
    rig.pump();
    assert_eq!(rig.asked, 0);
    let count = |happened| rig.plane.state().counters().get(happened);
    assert_eq!(count(Happened::EspSeqNumberCycled), 1);
}

#[test]
fn numbers_of_ah_cycle_too() {
    let mut rig = esp_rig(false);
    for (_, sa) in rig.plane.state.sad.sas.iter_mut() {
        (sa.protocol, sa.cipher, sa.mac) = (Protocol::Ah, Cipher::Null, Mac::HmacSha1_96);
        sa.sequence = u32::MAX;
    }
    let job = rig.outbound([8, 8, 8, 8].into());
    assert!(matches!(job, Verdict::Compute(_)));
    let count = |happened| rig.plane.state().counters().get(happened);
    assert_eq!(count(Happened::AhSeqNumberCycled), 1);
    assert_eq!(count(Happened::EspSeqNumberCycled), 0);
}

/// DES and 3DES are renewed after 4 GiB, whatever the configured life.
#[test]
fn threat_c11_short_blocks_are_renewed() {
    for (cipher, asked) in [(Cipher::TripleDes, 1), (Cipher::Null, 0)] {
        let mut rig = esp_rig(false);
        for (_, sa) in rig.plane.state.sad.sas.iter_mut() {
            sa.cipher = cipher;
        }
        for (_, bundle) in rig.plane.state.sad.bundles.iter_mut() {
            bundle.bytes = (4 << 30) - 30;
        }
        for expected in [0, asked, asked] {
            rig.outbound([8, 8, 8, 8].into());
            rig.pump();
            assert_eq!(rig.asked, expected, "{cipher:?}");
        }
    }
}

/// An SPI is never 0 to 255, nor one that is in use, whatever the source of randomness gives.
#[test]
fn spis_are_free_and_not_reserved() {
    struct Low(u32);
    impl hw_offload::Entropy for Low {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), hw_offload::EntropyFault> {
            self.0 += 1;
            let bytes = (253 + self.0 / 2).to_be_bytes();
            out.copy_from_slice(bytes.get(..out.len()).unwrap());
            Ok(())
        }
    }
    let mut rig = esp_rig(false);
    let (policy, _) = rig.plane.state().policy_by_name("vpn").unwrap();
    let both = [Protocol::Esp, Protocol::Ah];
    let ends = ([1, 1, 1, 1].into(), PEER.into());
    let mut low = Low(0);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let reserved = rig
            .plane
            .reserve(rig.now, &mut low, policy, ends, &both)
            .unwrap();
        seen.extend(reserved.spis.iter().map(|(_, spi)| *spi));
    }
    assert_eq!(seen, (256..264).map(Spi).collect::<Vec<_>>());
}

/// What is kept of a pair of SAs, and of a packet under way, stays small: the tables around them
/// add less than a fifth.
#[test]
fn records_are_small() {
    let pair = size_of::<Sa>() + size_of::<Bundle>();
    assert!(pair <= 1024, "{pair}");
    assert!(size_of::<InFlight>() <= 64, "{}", size_of::<InFlight>());
    assert!(size_of::<PacketJob<()>>() <= 64);
}

/// A hundred thousand peers of one policy: set up, found, and gone again.
#[test]
fn a_hundred_thousand_peers() {
    const PEERS: u32 = 100_000;
    let limits = Limits {
        sas: PEERS,
        ..Limits::default()
    };
    let mut rig = Rig::new(&limits, &ESP, PeerAddress::Any, true);
    let address = |n: u32| IpAddr::from((0x0b00_0000 + n).to_be_bytes());
    for n in 0..PEERS {
        let selector = Selector {
            remote: crate::model::AddressSelector::host(address(n)),
            ..Selector::any(IpVersion::V4)
        };
        rig.negotiate(&ESP, address(n), &selector);
    }
    assert_eq!(rig.plane.state().sas().count(), PEERS as usize);
    for n in (0..PEERS).step_by(997) {
        let Verdict::Compute(job) = rig.outbound(address(n)) else {
            panic!("{n}")
        };
        let Verdict::Transmit(out) = rig.complete(job) else {
            panic!("{n}")
        };
        assert_eq!(out.wire.unwrap().destination, address(n));
    }
    let (policy, _) = rig.plane.state().policy_by_name("vpn").unwrap();
    rig.plane
        .reset_policy(policy, super::RemoveWhy::Configuration);
    rig.pump();
    assert_eq!(rig.plane.state().sas().count(), 0);
    assert_eq!(rig.plane.state().paths().count(), 0);
    assert_eq!(rig.plane.deadline(rig.now), None);
}
