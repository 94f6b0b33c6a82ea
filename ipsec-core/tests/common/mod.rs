//! Two planes with software engines, wired by hand.
#![allow(unreachable_pub, dead_code, reason = "shared by several test programs")]
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

pub use hw_offload::testing::{SeededEntropy, hex};
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::net::{InterfaceId, Net, Route};
use ipsec_core::*;

pub type Buf = ArrayBuf<2048>;

pub struct NoBuffers;

impl Buffers<Buf> for NoBuffers {
    fn take(&mut self, _: usize) -> Option<Buf> {
        None
    }

    fn give(&mut self, _: Buf) {}
}

/// A router with one plane and one engine.
pub struct Router<E> {
    pub plane: DataPlane<Buf>,
    pub engine: E,
    pub entropy: SeededEntropy,
    pub now: Instant,
    pub config: IpsecConfig,
    pub net: Net,
    pub keys: KeyRing,
    pub events: Vec<PlaneEvent>,
}

pub const WAN: InterfaceId = InterfaceId(0);

pub fn v4(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

impl<E: PacketEngine<Buf = Buf>> Router<E> {
    /// A router with a WAN address and a default route.
    pub fn new(wan: &str, engine: E) -> Self {
        let mut net = Net::default();
        let id = net.interface(&InterfaceName::new("ppp0"));
        net.get_mut(id).unwrap().addresses.push((v4(wan), 32));
        net.add_route(Route {
            destination: (v4("0.0.0.0"), 0),
            interface: id,
            next_hop: None,
        });
        Self {
            plane: DataPlane::new(&Limits::default(), [7; 16]),
            engine,
            entropy: SeededEntropy::new(1),
            now: Instant::from_secs(1),
            config: IpsecConfig {
                enabled: true,
                ..IpsecConfig::default()
            },
            net,
            keys: KeyRing::new(16),
            events: Vec::new(),
        }
    }

    pub fn configure(&mut self) {
        self.plane
            .configure(self.now, &self.config, &self.net, &self.keys);
        self.pump();
    }

    /// Carries requests to the engine and answers back; other events are kept.
    pub fn pump(&mut self) {
        loop {
            while let Some(event) = self.plane.next_event() {
                match event {
                    PlaneEvent::Open { ticket, spec, .. } => {
                        self.engine
                            .open(ticket, spec)
                            .expect("the engine takes requests");
                    }
                    PlaneEvent::Close(channel) => self.engine.close(channel),
                    other => self.events.push(other),
                }
            }
            match self.engine.poll() {
                Some(Completion::Opened { ticket, result }) => {
                    self.plane.opened(self.now, ticket, result);
                }
                Some(Completion::Detached(channel)) => self.plane.detached(channel),
                Some(Completion::Packet(_)) => panic!("no packet is under way"),
                None if self.engine.pending() == Idle::Idle => break,
                None => {}
            }
        }
    }

    /// Runs a verb and the jobs that follow from it to the last verdict.
    pub fn run(&mut self, verdict: Verdict<Buf>) -> Verdict<Buf> {
        let Verdict::Compute(job) = verdict else {
            return verdict;
        };
        let mut cx = Cx {
            now: self.now,
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

    pub fn outbound(&mut self, packet: &[u8]) -> Verdict<Buf> {
        let mut buffer = Buf::with_headroom(128);
        buffer.fill(128, packet).unwrap();
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        let verdict = self.plane.outbound(&mut cx, WAN, buffer);
        self.run(verdict)
    }

    pub fn inbound(&mut self, packet: &[u8]) -> Verdict<Buf> {
        let mut buffer = Buf::with_headroom(128);
        buffer.fill(128, packet).unwrap();
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut NoBuffers,
        };
        let verdict = self.plane.inbound(&mut cx, WAN, buffer);
        self.run(verdict)
    }
}

/// One IPSEC policy with manual keys between two LANs.
pub fn manual(
    router: &mut Router<impl PacketEngine<Buf = Buf>>,
    (cipher, cipher_key): (Cipher, &[u8]),
    (hash, mac_key): (HashAlg, &[u8]),
    (inspi, outspi): (u32, u32),
    peer: &str,
    (local, remote): (&str, &str),
) {
    let lan = |text: &str| AddressSelector::Prefix(v4(text), 24);
    for (number, kind, key) in [
        (1, KeyKind::of_cipher(cipher), cipher_key),
        (2, Some(KeyKind::General), mac_key),
    ] {
        if let Some(kind) = kind.filter(|_| !key.is_empty()) {
            let record = KeyRecord {
                kind,
                value: Secret::copy_of(key),
                description: None,
                address: None,
            };
            router.keys.create(KeyNumber(number), record).unwrap();
        }
    }
    router.config.sa_specs.push(SaSpecConfig {
        number: 1,
        key_management: KeyManagement::Manual,
        protocol: Protocol::Esp,
        mode: None,
        encalg: Some(cipher),
        enckey: Some(1).filter(|_| !cipher_key.is_empty()),
        hashalg: Some(hash),
        hashkey: Some(2).filter(|_| !mac_key.is_empty()),
        inspi: Some(inspi),
        outspi: Some(outspi),
        anti_replay: None,
        window: None,
    });
    router.config.bundles.push(BundleConfig {
        number: 1,
        key_management: KeyManagement::Manual,
        string: BundleString::parse("1").unwrap(),
        expiry_kbytes: None,
        expiry_seconds: None,
    });
    router.config.policies.push(PolicyConfig {
        key_management: Some(KeyManagement::Manual),
        bundle: Some(1),
        peer: Some(PeerAddress::Address(v4(peer))),
        laddress: Some(lan(local)),
        raddress: Some(lan(remote)),
        ..PolicyConfig::new(Name::new("vpn"), InterfaceName::new("ppp0"), Action::Ipsec)
    });
    for policy in &router.config.policies {
        policy
            .check(&router.config, &router.keys)
            .expect("the configuration is sound");
    }
    router.configure();
}
