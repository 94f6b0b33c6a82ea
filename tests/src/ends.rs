//! Two data planes joined by one SA bundle, each with its engine: the packet path alone.

use core::net::Ipv4Addr;

use hw_offload::testing::SeededEntropy;
use hw_offload::{
    Buffers, Cipher, Completion, Headroom, Idle, Mac, PacketEngine, Secret, SoftEngine, SoftEngines,
};
use ipsec_core::model::{Half, InterfaceName, Lifetime, Mode, Protocol, Role};
use ipsec_core::net::InterfaceId;
use ipsec_core::{
    BundleId, Cx, DataPlane, Instant, Limits, Negotiated, PlaneEvent, PolicyId, SaKeys, Traversal,
    Verdict,
};
use lab::{Buf, Router};

use crate::{HOST_A, HOST_B};

/// Storage in front of a packet, and from its start on.
const ROOM: [usize; 2] = [128, 2048];
const WAN_A: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const WAN_B: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);

/// The packet path needs storage only from its caller.
pub(crate) struct NoBuffers;

impl Buffers<Buf> for NoBuffers {
    fn take(&mut self, _: usize) -> Option<Buf> {
        None
    }

    fn give(&mut self, _: Buf) {}
}

/// One end of a tunnel.
pub struct End {
    /// The plane.
    pub plane: DataPlane<Buf>,
    /// What it computes with.
    pub engine: SoftEngine<Buf>,
    /// The interface that the tunnel runs over.
    pub wan: InterfaceId,
    entropy: SeededEntropy,
}

impl End {
    /// Both ends of a tunnel between the LANs of [`HOST_A`] and [`HOST_B`], with replay protection.
    ///
    /// # Panics
    /// When a plane does not take the configuration or the keys.
    #[must_use]
    pub fn pair(cipher: Cipher, mac: Mac) -> [Self; 2] {
        let mut ends = [
            Self::configured(WAN_A, WAN_B, [HOST_A, HOST_B]),
            Self::configured(WAN_B, WAN_A, [HOST_B, HOST_A]),
        ];
        let reserved = ends.each_mut().map(|end| {
            let (id, policy) = end.plane.state().policies().next().expect("a policy");
            let addresses = policy.local.zip(policy.peer).expect("addresses");
            let reserved = end.plane.reserve(
                Instant::ZERO,
                &mut end.entropy,
                id,
                addresses,
                &[Protocol::Esp],
            );
            (id, reserved.expect("a new plane has room"))
        });
        for side in [0, 1] {
            let (policy, own) = &reserved[side];
            let (_, other) = &reserved[1 - side];
            for (half, spis) in [(Half::Inbound, own), (Half::Outbound, other)] {
                let keys = SaKeys {
                    protocol: Protocol::Esp,
                    mode: Mode::Tunnel,
                    spi: spis.spis[0].1,
                    cipher,
                    cipher_key: key(cipher.key_len()),
                    mac,
                    mac_key: key(mac.key_len()),
                    spec: 1,
                };
                ends[side].install(*policy, own.bundle, half, keys);
            }
        }
        ends
    }

    fn configured(own: Ipv4Addr, peer: Ipv4Addr, lans: [Ipv4Addr; 2]) -> Self {
        let mut router = Router::new(SoftEngines::<Buf>::new(0, 0, 0), 1);
        let findings = router.run_script(Instant::ZERO, &configuration(own, peer, lans));
        assert!(findings.is_empty(), "{findings:?}");
        let state = router.device.state();
        let wan = state.net.by_name(&InterfaceName::new("ppp0"));
        let mut end = Self {
            plane: DataPlane::new(&Limits::default(), [7; 16]),
            engine: SoftEngine::new(2, 64),
            wan: wan.expect("the configuration has it"),
            entropy: SeededEntropy::new(u64::from(own.to_bits())),
        };
        end.plane
            .configure(Instant::ZERO, &state.ipsec, &state.net, &state.keys);
        end
    }

    fn install(&mut self, policy: PolicyId, bundle: BundleId, half: Half, keys: SaKeys) {
        let policy = self.plane.state().policy(policy).expect("its policy");
        let negotiated = Negotiated {
            sas: vec![keys],
            lifetime: Lifetime {
                seconds: Lifetime::DEFAULT_SECONDS,
                kbytes: None,
            },
            role: Role::Initiator,
            local: policy.local.expect("an address"),
            peer: policy.peer.expect("an address"),
            selector: policy.selector.clone(),
            isakmp_sa: 0,
            traversal: Traversal::default(),
        };
        self.plane
            .install(Instant::ZERO, &mut self.entropy, bundle, half, negotiated)
            .expect("a reserved bundle takes its keys");
        self.open_channels();
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

    /// A packet from behind this end, to the last verdict.
    #[inline]
    pub fn outbound(&mut self, packet: Buf) -> Verdict<Buf> {
        let mut cx = Cx {
            now: Instant::ZERO,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        let verdict = self.plane.outbound(&mut cx, self.wan, packet);
        self.compute(verdict)
    }

    /// A packet from the WAN, to the last verdict.
    #[inline]
    pub fn inbound(&mut self, packet: Buf) -> Verdict<Buf> {
        let mut cx = Cx {
            now: Instant::ZERO,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        let verdict = self.plane.inbound(&mut cx, self.wan, packet);
        self.compute(verdict)
    }

    #[inline]
    fn compute(&mut self, verdict: Verdict<Buf>) -> Verdict<Buf> {
        let Verdict::Compute(job) = verdict else {
            return verdict;
        };
        let mut cx = Cx {
            now: Instant::ZERO,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
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

fn key(len: usize) -> Secret {
    Secret::new((1..).take(len).collect())
}

/// The configuration of one end in the manual's commands.
fn configuration(own: Ipv4Addr, peer: Ipv4Addr, lans: [Ipv4Addr; 2]) -> String {
    let mask = "255.255.255.0";
    let [local, remote] = lans.map(|host| Ipv4Addr::from_bits(host.to_bits() & !0xff));
    format!(
        "ENABLE IP\n\
         ADD IP INT=ppp0 IP={own} MASK=255.255.255.255\n\
         ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0\n\
         CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA ANTIREPLAY=TRUE\n\
         CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"\n\
         CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER={peer}\n\
         SET IPSEC POLICY=vpn LAD={local} LMA={mask} RAD={remote} RMA={mask}\n\
         ENABLE IPSEC\n"
    )
}

/// Empty storage for one packet.
#[must_use]
pub fn buffer() -> Buf {
    Headroom::with_room(ROOM[0], ROOM[1])
}

/// Puts a copy of `bytes` where the packet path has room around it.
///
/// # Panics
/// When it does not fit.
pub fn fill(buffer: &mut Buf, bytes: &[u8]) {
    buffer.fill(ROOM[0], bytes).expect("the packet fits");
}

/// A UDP datagram of `len` bytes in all, from a host behind A to one behind B.
///
/// # Panics
/// When `len` is not that of an IPv4 packet with a UDP header.
#[must_use]
pub fn inner_packet(len: usize) -> Vec<u8> {
    let payload = len.checked_sub(28).map(|len| vec![0x5a; len]);
    let payload = payload.expect("room for both headers");
    let (from, to) = ((HOST_A, 4000).into(), (HOST_B, 5000).into());
    lab::udp(from, to, &payload).expect("a short packet")
}
