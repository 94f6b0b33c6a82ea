//! Planes with software engines, wired by hand.
#![allow(unreachable_pub, dead_code, reason = "shared by several test programs")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

use std::net::{IpAddr, SocketAddr};

pub use hw_offload::testing::SeededEntropy;
use hw_offload::*;
use ipsec_core::counters::Happened;
use ipsec_core::model::*;
use ipsec_core::net::{InterfaceId, Net, Route};
use ipsec_core::wire::{self, ipv4, ipv6, udp};
use ipsec_core::*;

pub type Buf = ArrayBuf<4096>;

/// Buffers without end.
pub struct Heap;

impl Buffers<Buf> for Heap {
    fn take(&mut self, _: usize) -> Option<Buf> {
        Some(Buf::with_headroom(HEADROOM))
    }

    fn give(&mut self, _: Buf) {}
}

/// A router with one plane and one engine.
pub struct Router<E = SoftEngine<Buf>> {
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
pub const LAN: InterfaceId = InterfaceId(1);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn soft() -> SoftEngine<Buf> {
    SoftEngine::new(1024, 64)
}

impl Router {
    /// A router with that WAN address and a default route.
    pub fn at(wan: &str) -> Self {
        Self::new(wan, soft())
    }
}

impl<E: PacketEngine<Buf = Buf>> Router<E> {
    /// A router with that engine.
    pub fn new(wan: &str, engine: E) -> Self {
        Self::with_limits(wan, engine, &Limits::default())
    }

    pub fn with_limits(wan: &str, engine: E, limits: &Limits) -> Self {
        let mut net = Net::default();
        let id = net.interface(&InterfaceName::new("ppp0"));
        let bits = if ip(wan).is_ipv4() { 32 } else { 128 };
        net.get_mut(id).unwrap().addresses.push((ip(wan), bits));
        net.interface(&InterfaceName::new("vlan1"));
        for any in ["0.0.0.0", "::"] {
            net.add_route(Route {
                destination: (ip(any), 0),
                interface: id,
                next_hop: None,
            });
        }
        Self {
            plane: DataPlane::new(limits, [7; 16]),
            engine,
            entropy: SeededEntropy::new(1),
            now: Instant::from_secs(1),
            config: IpsecConfig {
                enabled: true,
                ..IpsecConfig::default()
            },
            net,
            keys: KeyRing::new(64),
            events: Vec::new(),
        }
    }

    /// Gives the WAN a further address.
    pub fn add_address(&mut self, address: &str) {
        let bits = if ip(address).is_ipv4() { 32 } else { 128 };
        let wan = self.net.get_mut(WAN).unwrap();
        wan.addresses.push((ip(address), bits));
    }

    pub fn set_mtu(&mut self, mtu: u16) {
        self.net.get_mut(WAN).unwrap().mtu = mtu;
        self.configure();
    }

    /// Makes the configuration effective, which must be sound.
    pub fn configure(&mut self) {
        for bundle in &self.config.bundles {
            bundle.check(&self.config.sa_specs).unwrap();
        }
        for policy in &self.config.policies {
            policy.check(&self.config, &self.keys).unwrap();
        }
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

    /// Everything that was told since the last call.
    pub fn told(&mut self) -> Vec<PlaneEvent> {
        self.pump();
        std::mem::take(&mut self.events)
    }

    /// Runs a verb and the jobs that follow from it to the last verdict.
    pub fn run(&mut self, mut verdict: Verdict<Buf>) -> Verdict<Buf> {
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut Heap,
        };
        while let Verdict::Compute(job) = verdict {
            verdict = match self.engine.submit(job) {
                Err(refused) => self.plane.refused(&mut cx, refused),
                Ok(()) => loop {
                    match self.engine.poll() {
                        Some(Completion::Packet(done)) => {
                            break self.plane.complete(&mut cx, done);
                        }
                        Some(_) => panic!("nothing else is under way"),
                        None => {}
                    }
                },
            };
        }
        verdict
    }

    /// Calls a verb and runs it to its end.
    pub fn call(
        &mut self,
        verb: impl FnOnce(&mut DataPlane<Buf>, &mut Cx<'_, Buf>) -> Verdict<Buf>,
    ) -> Verdict<Buf> {
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut Heap,
        };
        let verdict = verb(&mut self.plane, &mut cx);
        self.run(verdict)
    }

    pub fn outbound(&mut self, packet: &[u8]) -> Verdict<Buf> {
        let buffer = filled(packet);
        self.call(|plane, cx| plane.outbound(cx, WAN, buffer))
    }

    pub fn inbound(&mut self, packet: &[u8]) -> Verdict<Buf> {
        let buffer = filled(packet);
        self.call(|plane, cx| plane.inbound(cx, WAN, buffer))
    }

    /// A packet that waited and need not wait any longer.
    pub fn ready(&mut self) -> Option<Verdict<Buf>> {
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut Heap,
        };
        let verdict = self.plane.next_ready(&mut cx)?;
        Some(self.run(verdict))
    }

    pub fn timers(&mut self) {
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut Heap,
        };
        self.plane.timers(&mut cx);
        self.pump();
    }

    /// Lets time pass, with everything that it does.
    pub fn wait(&mut self, secs: u64) {
        let until = self.now + std::time::Duration::from_secs(secs);
        while let Some(at) = self.plane.deadline(self.now)
            && at <= until
            && at > self.now
        {
            self.now = at;
            self.timers();
        }
        self.now = until;
        self.timers();
    }

    /// The datagrams of a packet that must be sent.
    pub fn send_all(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        let verdict = self.outbound(packet);
        datagrams(verdict)
    }

    /// The one datagram of a packet that must be sent.
    pub fn send(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut all = self.send_all(packet);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// What a packet that must be delivered became.
    pub fn deliver(&mut self, packet: &[u8]) -> Vec<u8> {
        delivered(self.inbound(packet))
    }

    pub fn count(&self, happened: Happened) -> u64 {
        self.plane.state().counters().get(happened)
    }

    pub fn policy(&self, name: &str) -> &Policy {
        self.plane.state().policy_by_name(name).unwrap().1
    }

    pub fn policy_id(&self, name: &str) -> PolicyId {
        self.plane.state().policy_by_name(name).unwrap().0
    }

    /// A key in the ring.
    pub fn key(&mut self, number: u16, kind: KeyKind, value: &[u8]) {
        let record = KeyRecord {
            kind,
            value: Secret::copy_of(value),
            description: None,
            address: None,
        };
        self.keys.create(KeyNumber(number), record).unwrap();
    }
}

pub fn filled(packet: &[u8]) -> Buf {
    let mut buffer = Buf::with_headroom(HEADROOM);
    buffer.fill(HEADROOM, packet).unwrap();
    buffer
}

/// A verdict without its packet.
pub fn name(verdict: &Verdict<Buf>) -> String {
    match verdict {
        Verdict::Transmit(_) => "transmit".into(),
        Verdict::Deliver { .. } => "deliver".into(),
        Verdict::Bounce { why, .. } => format!("bounce: {why}"),
        Verdict::Compute(_) => "compute".into(),
        Verdict::Held => "held".into(),
        Verdict::Drop { why, .. } => format!("drop: {why}"),
    }
}

pub fn delivered(verdict: Verdict<Buf>) -> Vec<u8> {
    match verdict {
        Verdict::Deliver { packet, .. } => packet.packet().to_vec(),
        other => panic!("not delivered: {}", name(&other)),
    }
}

pub fn datagrams(verdict: Verdict<Buf>) -> Vec<Vec<u8>> {
    let Verdict::Transmit(mut out) = verdict else {
        panic!("not sent: {}", name(&verdict))
    };
    let mut all = Vec::new();
    while let Some(datagram) = out.next_datagram() {
        all.push(datagram.to_vec());
    }
    all
}

pub fn why(verdict: Verdict<Buf>) -> DropReason {
    match verdict {
        Verdict::Drop { why, .. } | Verdict::Bounce { why, .. } => why,
        other => panic!("not dropped: {}", name(&other)),
    }
}

/// One SA specification in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    pub protocol: Protocol,
    pub mode: Mode,
    pub cipher: Cipher,
    pub hash: HashAlg,
}

pub const fn esp(mode: Mode, cipher: Cipher, hash: HashAlg) -> Spec {
    Spec {
        protocol: Protocol::Esp,
        mode,
        cipher,
        hash,
    }
}

pub const fn ah(mode: Mode, hash: HashAlg) -> Spec {
    Spec {
        protocol: Protocol::Ah,
        mode,
        cipher: Cipher::Null,
        hash,
    }
}

pub fn cipher_key(cipher: Cipher) -> Vec<u8> {
    (1..=u8::try_from(cipher.key_len()).unwrap()).collect()
}

pub fn mac_key(hash: HashAlg) -> Vec<u8> {
    vec![9; hash.mac().key_len()]
}

/// The records of SA specifications 1, 2, … and bundle specification 1 that joins them by AND.
pub fn specify(router: &mut Router, specs: &[Spec], management: KeyManagement) {
    let manual = management == KeyManagement::Manual;
    for (number, spec) in (1..).zip(specs) {
        let cipher = (spec.cipher.key_len() > 0).then_some(u16::from(number) * 2);
        let mac = (spec.hash != HashAlg::Null).then_some(u16::from(number) * 2 + 1);
        router.config.sa_specs.push(SaSpecConfig {
            number,
            key_management: management,
            protocol: spec.protocol,
            mode: Some(spec.mode),
            encalg: (spec.protocol == Protocol::Esp).then_some(spec.cipher),
            enckey: cipher.filter(|_| manual),
            hashalg: Some(spec.hash),
            hashkey: mac.filter(|_| manual),
            inspi: None,
            outspi: None,
            anti_replay: None,
            window: None,
        });
    }
    let numbers: Vec<String> = (1..=specs.len()).map(|n| n.to_string()).collect();
    router.config.bundles.push(BundleConfig {
        number: 1,
        key_management: management,
        string: BundleString::parse(&numbers.join(" AND ")).unwrap(),
        expiry_kbytes: None,
        expiry_seconds: None,
    });
}

/// The selector of an address in the text form `10.0.0.0/8` or `10.0.0.1`.
pub fn selector(text: &str) -> AddressSelector {
    match text.split_once('/') {
        Some((address, len)) => AddressSelector::Prefix(ip(address), len.parse().unwrap()),
        None => AddressSelector::host(ip(text)),
    }
}

/// An IPSEC policy `vpn` on the WAN with bundle specification 1.
pub fn vpn(
    peer: PeerAddress,
    management: KeyManagement,
    (local, remote): (&str, &str),
) -> PolicyConfig {
    let local = selector(local);
    let v6 = local.bounds().unwrap().0.is_ipv6();
    PolicyConfig {
        key_management: Some(management),
        bundle: Some(1),
        peer: Some(peer),
        version: v6.then_some(IpVersion::V6),
        laddress: Some(local),
        raddress: Some(selector(remote)),
        ..PolicyConfig::new(Name::new("vpn"), InterfaceName::new("ppp0"), Action::Ipsec)
    }
}

/// Two routers with manual keys whose policies `vpn` join two networks, or the routers themselves.
pub fn manual_pair(
    specs: &[Spec],
    (wan_a, wan_b): (&str, &str),
    (lan_a, lan_b): (&str, &str),
    change: impl Fn(&mut PolicyConfig),
) -> (Router, Router) {
    let make = |wan: &str, peer: &str, lans, spis: [u32; 2]| {
        let mut router = Router::at(wan);
        specify(&mut router, specs, KeyManagement::Manual);
        for (number, spec) in (1..).zip(specs) {
            if let Some(kind) = KeyKind::of_cipher(spec.cipher) {
                router.key(number * 2, kind, &cipher_key(spec.cipher));
            }
            if spec.hash != HashAlg::Null {
                router.key(number * 2 + 1, KeyKind::General, &mac_key(spec.hash));
            }
        }
        for (at, record) in (0..).zip(&mut router.config.sa_specs) {
            record.inspi = Some(spis[0] + at);
            record.outspi = Some(spis[1] + at);
        }
        let address = PeerAddress::Address(ip(peer));
        let mut policy = vpn(address, KeyManagement::Manual, lans);
        change(&mut policy);
        router.config.policies.push(policy);
        router.configure();
        router
    };
    let a = make(wan_a, wan_b, (lan_a, lan_b), [1000, 2000]);
    let b = make(wan_b, wan_a, (lan_b, lan_a), [2000, 1000]);
    (a, b)
}

/// One IPSEC policy with manual keys between two LANs, single ESP in tunnel mode.
pub fn manual(
    router: &mut Router,
    (cipher, cipher_key): (Cipher, &[u8]),
    (hash, mac_key): (HashAlg, &[u8]),
    (inspi, outspi): (u32, u32),
    peer: &str,
    (local, remote): (&str, &str),
) {
    let spec = esp(Mode::Tunnel, cipher, hash);
    specify(router, &[spec], KeyManagement::Manual);
    if let Some(kind) = KeyKind::of_cipher(cipher) {
        router.key(2, kind, cipher_key);
    }
    if hash != HashAlg::Null {
        router.key(3, KeyKind::General, mac_key);
    }
    router.config.sa_specs[0].inspi = Some(inspi);
    router.config.sa_specs[0].outspi = Some(outspi);
    let lan = |text: &str| format!("{text}/24");
    let peer = PeerAddress::Address(ip(peer));
    let lans = (lan(local), lan(remote));
    let policy = vpn(peer, KeyManagement::Manual, (&lans.0, &lans.1));
    router.config.policies.push(policy);
    router.configure();
}

/// A UDP packet of either version with `len` bytes of data.
pub fn udp_packet(from: &str, to: &str, len: usize) -> Vec<u8> {
    packet(ip(from), ip(to), udp::PROTOCOL, &{
        let total = u16::try_from(udp::HEADER + len).unwrap();
        let mut bytes = udp::header(4000, 5000, total).to_vec();
        bytes.extend((0..len).map(|n| (n % 251) as u8));
        bytes
    })
}

/// A packet of either version.
pub fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4::NewHeader {
            tos: 0,
            total_len: u16::try_from(20 + payload.len()).unwrap(),
            id: 7,
            dont_fragment: false,
            more_fragments: false,
            offset_units: 0,
            ttl: 63,
            protocol,
            source,
            destination,
        }
        .to_bytes()
        .to_vec(),
        (IpAddr::V6(source), IpAddr::V6(destination)) => ipv6::NewHeader {
            traffic_class: 0,
            flow_label: 5,
            payload_len: u16::try_from(payload.len()).unwrap(),
            next: protocol,
            hop_limit: 63,
            source,
            destination,
        }
        .to_bytes()
        .to_vec(),
        _ => panic!("one version"),
    };
    bytes.extend(payload);
    bytes
}

/// Sets DF of an IPv4 packet.
pub fn with_df(mut packet: Vec<u8>) -> Vec<u8> {
    packet[6] |= 0x40;
    ipv4::write_checksum(&mut packet[..20]);
    packet
}

/// Protocol numbers of an IPv4 or IPv6 packet's headers, from the outside in, as far as they are
/// in clear.
pub fn layers(packet: &[u8]) -> Vec<u8> {
    let mut layers = Vec::new();
    let Ok(ip) = wire::datagram::Datagram::parse(packet) else {
        return layers;
    };
    let (mut next, mut rest) = (ip.place().next, ip.payload());
    loop {
        layers.push(next);
        match next {
            51 => {
                let ah = wire::ah::parse(rest).unwrap();
                (next, rest) = (ah.next, &rest[ah.len..]);
            }
            4 | 41 => {
                layers.extend(self::layers(rest));
                return layers;
            }
            _ => return layers,
        }
    }
}

/// What quick mode would agree on: both routers reserve and install, `a` begins.
pub struct Agreement {
    pub specs: Vec<Spec>,
    pub lifetime: Lifetime,
    /// As `a` sees it: ours, the peer's.
    pub ends: (IpAddr, IpAddr),
    /// As `b` sees it, where a NAT stands between.
    pub seen: (IpAddr, IpAddr),
    pub selectors: (Selector, Selector),
    pub traversal: (Traversal, Traversal),
    pub policies: (&'static str, &'static str),
}

impl Agreement {
    pub fn new(specs: &[Spec], wan_a: &str, wan_b: &str, lans: (&str, &str)) -> Self {
        let version = if selector(lans.0).bounds().unwrap().0.is_ipv4() {
            IpVersion::V4
        } else {
            IpVersion::V6
        };
        let (local, remote) = (selector(lans.0), selector(lans.1));
        let own = Selector {
            local,
            remote,
            ..Selector::any(version)
        };
        let theirs = Selector {
            local: remote,
            remote: local,
            ..Selector::any(version)
        };
        Self {
            specs: specs.to_vec(),
            lifetime: Lifetime {
                seconds: 28_800,
                kbytes: None,
            },
            ends: (ip(wan_a), ip(wan_b)),
            seen: (ip(wan_b), ip(wan_a)),
            selectors: (own, theirs),
            traversal: (Traversal::default(), Traversal::default()),
            policies: ("vpn", "vpn"),
        }
    }

    /// Carries the negotiation out; the bundles on both sides.
    pub fn install(&self, a: &mut Router, b: &mut Router) -> (BundleId, BundleId) {
        self.install_with(a, b, |_, _| {})
    }

    /// The same, with something that happens while `a` sends already and `b` only receives.
    pub fn install_with(
        &self,
        a: &mut Router,
        b: &mut Router,
        early: impl FnOnce(&mut Router, &mut Router),
    ) -> (BundleId, BundleId) {
        let protocols: Vec<Protocol> = self.specs.iter().map(|spec| spec.protocol).collect();
        let reserve = |router: &mut Router, policy: &str, ends| {
            let id = router.policy_id(policy);
            router
                .plane
                .reserve(router.now, &mut router.entropy, id, ends, &protocols)
                .unwrap()
        };
        a.entropy.fill(&mut [0; 3]).unwrap();
        let at_a = reserve(a, self.policies.0, self.ends);
        let at_b = reserve(b, self.policies.1, self.seen);
        let install =
            |router: &mut Router, reserved: &Reserved, half, first: bool, spis: &Reserved| {
                let sas = (1..).zip(&self.specs).zip(&spis.spis);
                let sas = sas
                    .map(|((number, spec), (protocol, spi))| SaKeys {
                        protocol: *protocol,
                        spi: *spi,
                        mode: spec.mode,
                        cipher: spec.cipher,
                        cipher_key: Secret::copy_of(&cipher_key(spec.cipher)),
                        mac: spec.hash.mac(),
                        mac_key: Secret::copy_of(&mac_key(spec.hash)),
                        spec: number,
                    })
                    .collect();
                let (ends, selector, traversal, role) = if first {
                    let traversal = self.traversal.0;
                    (self.ends, &self.selectors.0, traversal, Role::Initiator)
                } else {
                    let traversal = self.traversal.1;
                    (self.seen, &self.selectors.1, traversal, Role::Responder)
                };
                let negotiated = Negotiated {
                    sas,
                    lifetime: self.lifetime,
                    role,
                    local: ends.0,
                    peer: ends.1,
                    selector: selector.clone(),
                    isakmp_sa: 1,
                    traversal,
                };
                router
                    .plane
                    .install(
                        router.now,
                        &mut router.entropy,
                        reserved.bundle,
                        half,
                        negotiated,
                    )
                    .unwrap();
                router.pump();
            };
        install(b, &at_b, Half::Inbound, false, &at_b);
        install(a, &at_a, Half::Inbound, true, &at_a);
        install(a, &at_a, Half::Outbound, true, &at_b);
        early(a, b);
        install(b, &at_b, Half::Outbound, false, &at_a);
        for (router, reserved) in [(a, &at_a), (b, &at_b)] {
            assert_eq!(
                router.plane.state().bundle_state(reserved.bundle),
                Some(SaState::Valid)
            );
        }
        (at_a.bundle, at_b.bundle)
    }
}

/// A router that sends to the other end with keys and SPIs of its own choice; the policy selects
/// everything that its bundle is to carry.
pub fn forger((wan, to): (&str, &str), specs: &[(Spec, u32)], lans: (&str, &str)) -> Router {
    let mut router = Router::at(wan);
    let bare: Vec<Spec> = specs.iter().map(|(spec, _)| *spec).collect();
    specify(&mut router, &bare, KeyManagement::Manual);
    for (number, (spec, spi)) in (1..).zip(specs) {
        if let Some(kind) = KeyKind::of_cipher(spec.cipher) {
            router.key(number * 2, kind, &cipher_key(spec.cipher));
        }
        if spec.hash != HashAlg::Null {
            router.key(number * 2 + 1, KeyKind::General, &mac_key(spec.hash));
        }
        let record = &mut router.config.sa_specs[usize::from(number) - 1];
        record.inspi = Some(9000 + u32::from(number));
        record.outspi = Some(*spi);
    }
    let peer = PeerAddress::Address(ip(to));
    let policy = vpn(peer, KeyManagement::Manual, lans);
    router.config.policies.push(policy);
    router.configure();
    router
}

/// Two routers with policies `vpn` whose keys are negotiated, and nothing negotiated yet.
pub fn isakmp_pair(
    specs: &[Spec],
    (wan_a, wan_b): (&str, &str),
    (lan_a, lan_b): (&str, &str),
    change: impl Fn(&mut Router, usize),
) -> (Router, Router) {
    let make = |wan: &str, peer: &str, lans, place| {
        let mut router = Router::at(wan);
        specify(&mut router, specs, KeyManagement::Isakmp);
        let address = PeerAddress::Address(ip(peer));
        let policy = vpn(address, KeyManagement::Isakmp, lans);
        router.config.policies.push(policy);
        change(&mut router, place);
        router.configure();
        router
    };
    (
        make(wan_a, wan_b, (lan_a, lan_b), 0),
        make(wan_b, wan_a, (lan_b, lan_a), 1),
    )
}
