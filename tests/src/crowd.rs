//! One data plane with any number of peers, each with a bundle of its own.

use core::net::{IpAddr, Ipv4Addr};
use core::ops::Range;

use hw_offload::testing::SeededEntropy;
use hw_offload::{
    Cipher, Completion, Idle, Mac, PacketBuf, PacketEngine, Secret, SoftEngine, SoftEngines,
};
use ipsec_core::model::{
    AddressSelector, Half, InterfaceName, Lifetime, Mode, Protocol, Role, Selector,
};
use ipsec_core::net::InterfaceId;
use ipsec_core::{
    Cx, DataPlane, Instant, Limits, Negotiated, PlaneEvent, PolicyId, SaKeys, Traversal, Verdict,
};
use lab::{Buf, Router};

use crate::ends::{NoBuffers, buffer, fill};

/// Bytes before the addresses of an IPv4 header.
const SOURCE: Range<usize> = 12..16;
const DESTINATION: Range<usize> = 16..20;

/// A router and its peers. Both directions of a peer's SA have the same keys and SPI, so that what
/// was sealed for a peer, with the outer addresses exchanged, is what that peer would send.
pub struct Crowd {
    /// The plane.
    pub plane: DataPlane<Buf>,
    /// What it computes with.
    pub engine: SoftEngine<Buf>,
    wan: InterfaceId,
    policy: PolicyId,
    entropy: SeededEntropy,
    peers: u32,
}

impl Crowd {
    /// A router that has room for so many peers, and none yet.
    ///
    /// # Panics
    /// When the configuration is not taken.
    #[must_use]
    pub fn new(room: u32) -> Self {
        let mut router = Router::new(SoftEngines::<Buf>::new(0, 0, 0), 1);
        let findings = router.run_script(Instant::ZERO, CONFIGURATION);
        assert!(findings.is_empty(), "{findings:?}");
        let state = router.device.state();
        let wan = state.net.by_name(&InterfaceName::new("ppp0"));
        let limits = Limits {
            sas: room,
            ..Limits::default()
        };
        let mut plane = DataPlane::new(&limits, [7; 16]);
        plane.configure(Instant::ZERO, &state.ipsec, &state.net, &state.keys);
        let (policy, _) = plane.state().policies().next().expect("a policy");
        Self {
            plane,
            engine: SoftEngine::new(room * 2, 64),
            wan: wan.expect("the configuration has it"),
            policy,
            entropy: SeededEntropy::new(1),
            peers: 0,
        }
    }

    /// One peer more: an SA pair of AES-128 and SHA-1 with anti-replay.
    ///
    /// # Panics
    /// When there is no room.
    pub fn join(&mut self) {
        let host = inside(self.peers);
        let ends = (IpAddr::V4(OWN), IpAddr::V4(outside(self.peers)));
        let (now, entropy) = (Instant::ZERO, &mut self.entropy);
        let reserved = self
            .plane
            .reserve(now, entropy, self.policy, ends, &[Protocol::Esp])
            .expect("there is room");
        let policy = self.plane.state().policy(self.policy).expect("the policy");
        let selector = Selector {
            remote: AddressSelector::host(host.into()),
            ..policy.selector.clone()
        };
        for half in [Half::Inbound, Half::Outbound] {
            let key = |len| Secret::new((1..).take(len).collect());
            let (cipher, mac) = (Cipher::Aes128, Mac::HmacSha1_96);
            let keys = SaKeys {
                protocol: Protocol::Esp,
                mode: Mode::Tunnel,
                spi: reserved.spis[0].1,
                cipher,
                cipher_key: key(cipher.key_len()),
                mac,
                mac_key: key(mac.key_len()),
                spec: 1,
            };
            let negotiated = Negotiated {
                sas: vec![keys],
                lifetime: Lifetime {
                    seconds: Lifetime::DEFAULT_SECONDS,
                    kbytes: None,
                },
                role: Role::Responder,
                local: ends.0,
                peer: ends.1,
                selector: selector.clone(),
                isakmp_sa: self.peers,
                traversal: Traversal::default(),
            };
            self.plane
                .install(now, &mut self.entropy, reserved.bundle, half, negotiated)
                .expect("a reserved bundle takes its keys");
            self.open_channels();
        }
        self.peers += 1;
    }

    /// Peers.
    #[must_use]
    pub const fn peers(&self) -> u32 {
        self.peers
    }

    fn open_channels(&mut self) {
        while let Some(event) = self.plane.next_event() {
            if let PlaneEvent::Open { ticket, spec, .. } = event {
                let accepted = self.engine.open(ticket, spec);
                accepted.expect("an idle engine takes requests");
            }
        }
        while self.engine.pending() != Idle::Idle {
            if let Some(Completion::Opened { ticket, result }) = self.engine.poll() {
                self.plane.opened(Instant::ZERO, ticket, result);
            }
        }
        while self.plane.next_event().is_some() {}
    }

    /// Seals a packet of a peer's host for that peer.
    ///
    /// # Panics
    /// When it does not leave as one packet.
    pub fn seal(&mut self, packet: Buf) -> Buf {
        match self.step(packet, DataPlane::outbound) {
            Verdict::Transmit(sent) => sent.packet,
            other => panic!("{other:?}"),
        }
    }

    /// Opens what [`reflect`] made of a sealed packet.
    ///
    /// # Panics
    /// When it is not delivered.
    pub fn open(&mut self, packet: Buf) -> Buf {
        match self.step(packet, DataPlane::inbound) {
            Verdict::Deliver { packet, .. } => packet,
            other => panic!("{other:?}"),
        }
    }

    #[inline]
    fn step(
        &mut self,
        packet: Buf,
        verb: fn(&mut DataPlane<Buf>, &mut Cx<'_, Buf>, InterfaceId, Buf) -> Verdict<Buf>,
    ) -> Verdict<Buf> {
        let mut cx = Cx {
            now: Instant::ZERO,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        let Verdict::Compute(job) = verb(&mut self.plane, &mut cx, self.wan, packet) else {
            panic!("the packet was not for IPsec")
        };
        if let Err(refused) = self.engine.submit(job) {
            return self.plane.refused(&mut cx, refused);
        }
        loop {
            if let Some(Completion::Packet(done)) = self.engine.poll() {
                return self.plane.complete(&mut cx, done);
            }
        }
    }
}

/// A packet of `len` bytes from the host behind a peer to itself: it is carried either way.
///
/// # Panics
/// When `len` is not that of an IPv4 packet with a UDP header.
#[must_use]
pub fn packet(peer: u32, len: usize) -> Buf {
    let payload = len.checked_sub(28).map(|len| vec![0x5a; len]);
    let host = inside(peer);
    let ends = ((host, 4000).into(), (host, 5000).into());
    let bytes = lab::udp(ends.0, ends.1, &payload.expect("room for both headers"));
    let mut filled = buffer();
    fill(&mut filled, &bytes.expect("a short packet"));
    filled
}

/// Exchanges the outer addresses, which leaves the checksum right.
///
/// # Panics
/// When there is no IPv4 header.
pub fn reflect(packet: &mut Buf) {
    let bytes = packet.packet_mut();
    let (source, destination) = bytes.split_at_mut(DESTINATION.start);
    source[SOURCE].swap_with_slice(&mut destination[..4]);
}

const OWN: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const CONFIGURATION: &str = "ENABLE IP
ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA ANTIREPLAY=TRUE
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY
SET IPSEC POLICY=vpn LAD=10.0.0.0 LMA=255.0.0.0 RAD=10.0.0.0 RMA=255.0.0.0
ENABLE IPSEC
";

/// The host behind a peer.
const fn inside(peer: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + peer)
}

/// A peer's own address.
const fn outside(peer: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0500_0001 + peer)
}
