//! Datagrams at the ports of ESP in UDP: NAT traversal's and the UDP tunnel's.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use hw_offload::testing::{InsecureEngine, SeededEntropy};
use hw_offload::{Buffers, Cipher, Completion, Headroom, Mac, PacketBuf, PacketEngine, Secret};
use ipsec_core::model::{
    AddressSelector, Half, InterfaceName, IpVersion, Lifetime, Mode, Protocol, Role, Selector,
};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::{flow_of, udp};
use ipsec_core::{
    Cx, DataPlane, DropReason, Encap, HEADROOM, Instant, Negotiated, PlaneEvent, SaKeys, SaState,
    TAILROOM, Traversal, Verdict,
};
use lab::Buf;

use super::addresses::{A, B, datagram, repair};
use super::input::Input;
use super::ipsec::{is_in, sealed};
use super::router::{configured, limits};

/// Two policies: in one the peer is behind a NAT, in the other ESP goes through the UDP tunnel.
const TUNNELS: &str = "
ENABLE IP
ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1 MASK=255.255.255.0
ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA ANTIREPLAYENABLED=TRUE
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP
CREATE IPSEC POLICY=udp INT=ppp0 ACTION=PERMIT LPORT=2746 TRANSPORT=UDP
CREATE IPSEC POLICY=one INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=one LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0
CREATE IPSEC POLICY=two INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=two LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.30.0 RMA=255.255.255.0
SET IPSEC POLICY=two UDPTUNNEL=TRUE UDPHEARTBEAT=TRUE
CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT
ENABLE IPSEC
";

/// The policies with the port of their encapsulation, what stands in front of ESP in it, and the
/// third byte of the LAN behind the peer.
const POLICIES: [(&str, u16, &[u8], u8); 2] =
    [("one", 4500, &[], 20), ("two", 2746, &[1, 0, 0, 0], 30)];

/// Payloads that only tell that somebody is there.
const BEATS: [&[u8]; 3] = [&[0xff], &[1, 1, 0, 0], &[1, 1, 7, 7]];

/// Buffers, counted while they are out.
#[derive(Default)]
struct Pool {
    out: usize,
}

impl Buffers<Buf> for Pool {
    fn take(&mut self, len: usize) -> Option<Buf> {
        self.out += 1;
        Some(Headroom::with_room(HEADROOM, HEADROOM + len + TAILROOM))
    }

    fn give(&mut self, _: Buf) {
        self.out -= 1;
    }
}

/// A plane with one bundle per policy.
struct Bench {
    plane: DataPlane<Buf>,
    engine: InsecureEngine<Buf>,
    entropy: SeededEntropy,
    pool: Pool,
    now: Instant,
    wan: InterfaceId,
    /// The SPIs on which each policy's bundle receives.
    spis: Vec<u32>,
    sequence: u32,
}

/// What became of a packet.
enum Fate {
    Delivered(Vec<u8>),
    Sent(Vec<Vec<u8>>),
    Dropped(DropReason),
    /// It waits, or an error was sent back.
    Other,
}

/// A sequence of datagrams at the ports of encapsulated ESP.
pub fn udp_in(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bench = Bench::new();
    while let Some(event) = input.byte() {
        if bench.event(event, &mut input).is_none() {
            break;
        }
        assert_eq!(bench.plane.state().in_flight(), 0);
        let waiting = bench.plane.held_fragments().fragments;
        assert_eq!(bench.pool.out, usize::from(waiting), "a buffer is lost");
    }
}

impl Bench {
    fn new() -> Self {
        let router = configured(TUNNELS);
        let state = router.device.state();
        let mut net = state.net.clone();
        let wan = net.interface(&InterfaceName::new("ppp0"));
        let mut bench = Self {
            plane: DataPlane::new(&limits(), [7; 16]),
            engine: InsecureEngine::new(8, 8),
            entropy: SeededEntropy::new(1),
            pool: Pool::default(),
            now: Instant::from_secs(1),
            wan,
            spis: Vec::new(),
            sequence: 0,
        };
        bench
            .plane
            .configure(bench.now, &state.ipsec, &net, &state.keys);
        for policy in POLICIES {
            bench.install(policy.0, policy.3, policy.1 == 4500);
        }
        bench
    }

    /// Gives a policy the bundle that quick mode would have agreed on.
    fn install(&mut self, policy: &str, lan: u8, traversal: bool) {
        let (id, _) = self
            .plane
            .state()
            .policy_by_name(policy)
            .expect("the policy is configured");
        let (local, peer) = (IpAddr::V4(A), IpAddr::V4(B));
        let reserved = self
            .plane
            .reserve(
                self.now,
                &mut self.entropy,
                id,
                (local, peer),
                &[Protocol::Esp],
            )
            .expect("there is room");
        let (_, spi) = reserved.spis[0];
        let net = |third| {
            let network = Ipv4Addr::new(192, 168, third, 0);
            AddressSelector::Prefix(network.into(), 24)
        };
        for half in [Half::Inbound, Half::Outbound] {
            let negotiated = Negotiated {
                sas: vec![SaKeys {
                    protocol: Protocol::Esp,
                    spi,
                    mode: Mode::Tunnel,
                    cipher: Cipher::Aes128,
                    cipher_key: Secret::copy_of(&[1; 16]),
                    mac: Mac::HmacSha1_96,
                    mac_key: Secret::copy_of(&[2; 20]),
                    spec: 1,
                }],
                lifetime: Lifetime {
                    seconds: 28_800,
                    kbytes: None,
                },
                role: Role::Responder,
                local,
                peer,
                selector: Selector {
                    local: net(10),
                    remote: net(lan),
                    ..Selector::any(IpVersion::V4)
                },
                isakmp_sa: 1,
                traversal: if traversal {
                    Traversal {
                        encap: Encap::NatT {
                            local_port: 4500,
                            peer_port: 4500,
                        },
                        ..Traversal::default()
                    }
                } else {
                    Traversal::default()
                },
            };
            self.plane
                .install(
                    self.now,
                    &mut self.entropy,
                    reserved.bundle,
                    half,
                    negotiated,
                )
                .expect("the bundle is reserved");
            self.pump();
        }
        let installed = self.plane.state().bundle_state(reserved.bundle);
        assert_eq!(installed, Some(SaState::Valid));
        self.spis.push(spi.0);
    }

    fn event(&mut self, event: u8, input: &mut Input<'_>) -> Option<()> {
        match event % 8 {
            // ESP of an SA, whatever is inside.
            kind @ 0..4 => {
                let how = input.byte()?;
                let of = usize::from(how & 1);
                // Sometimes as if it were the other policy's.
                let framed = if how & 2 == 0 { of } else { 1 - of };
                let (_, _, _, lan) = POLICIES[of];
                let (_, port, front, _) = POLICIES[framed];
                self.sequence = match kind {
                    0 | 1 => self.sequence.wrapping_add(1),
                    2 => self.sequence.wrapping_add(input.number()?.into()),
                    _ => self.sequence.wrapping_sub(input.byte()?.into()),
                };
                let mut inner = input.chunk()?.to_vec();
                if event & 8 == 0 {
                    repair(&mut inner);
                }
                let next = if event & 16 == 0 { 4 } else { input.byte()? };
                let esp = sealed(
                    (self.spis[of], 16, 12, 16, lan),
                    self.sequence,
                    &inner,
                    next,
                );
                let packet = from(how, port, &[front, &esp].concat())?;
                let (fate, _) = self.arrive(&packet)?;
                if let Fate::Delivered(packet) = fate {
                    assert_eq!(of, framed, "delivered out of another encapsulation");
                    assert_eq!(inner_lan(&packet), Some(lan));
                }
            }
            4 => {
                let how = input.byte()?;
                let packet = from(how, POLICIES[usize::from(how & 1)].1, input.chunk()?)?;
                let (fate, computed) = self.arrive(&packet)?;
                if let Fate::Delivered(inner) = fate {
                    let allowed = if computed {
                        inner_lan(&inner).is_some()
                    } else {
                        // For IKE, which sees it as it came.
                        inner == packet
                    };
                    assert!(allowed, "{inner:?} is delivered");
                }
            }
            5 => {
                let (how, which) = (input.byte()?, input.byte()?);
                let beat = BEATS[usize::from(which) % BEATS.len()];
                let port = POLICIES[usize::from(how & 1)].1;
                let (fate, computed) = self.arrive(&from(how, port, beat)?)?;
                assert!(!computed);
                let expected = match (port, beat) {
                    (4500, [0xff]) => DropReason::Keepalive,
                    (4500, _) => DropReason::UnknownSpi,
                    _ => DropReason::Heartbeat,
                };
                // Short of an ESP header, or of a framing that the tunnel does not have.
                let other = [DropReason::Malformed, DropReason::BadVersion];
                let told =
                    matches!(fate, Fate::Dropped(why) if why == expected || other.contains(&why));
                assert!(told, "a beat is swallowed");
            }
            6 => {
                let mut packet = input.chunk()?.to_vec();
                repair(&mut packet);
                let buffer = self.filled(&packet)?;
                let wan = self.wan;
                let (fate, _) = self.call(|plane, cx| plane.outbound(cx, wan, buffer));
                if let Fate::Sent(datagrams) = fate
                    && is_protected(&packet)
                {
                    for datagram in datagrams {
                        let flow = flow_of(&datagram).expect("what leaves is a packet");
                        let mut paths = self.plane.state().paths();
                        let known = paths.any(|(_, path)| path.peer == flow.destination);
                        assert!(flow.protocol == udp::PROTOCOL && known, "{flow} leaves");
                    }
                }
            }
            _ => {
                self.now += Duration::from_secs(input.byte()?.into());
                let mut cx = Cx {
                    now: self.now,
                    entropy: &mut self.entropy,
                    buffers: &mut self.pool,
                };
                self.plane.timers(&mut cx);
                self.pump();
                let due = self.plane.deadline(self.now);
                assert!(due.is_none_or(|at| at > self.now), "nothing is overdue");
            }
        }
        Some(())
    }

    /// A datagram from the WAN, and whether the engine saw it. What it did not see has changed
    /// nothing.
    fn arrive(&mut self, packet: &[u8]) -> Option<(Fate, bool)> {
        let before = self.state();
        let buffer = self.filled(packet)?;
        let wan = self.wan;
        let (fate, computed) = self.call(|plane, cx| plane.inbound(cx, wan, buffer));
        if !computed {
            assert_eq!(self.state(), before, "without proof something changed");
        }
        self.pump();
        Some((fate, computed))
    }

    /// What only authentic packets may change.
    fn state(&self) -> String {
        let state = self.plane.state();
        let windows: Vec<_> = state
            .sas()
            .map(|(id, sa)| (id, sa.sequence, &sa.replay))
            .collect();
        let paths: Vec<_> = state.paths().collect();
        format!("{windows:?} {paths:?} {:?}", self.plane.deadline(self.now))
    }

    fn filled(&mut self, packet: &[u8]) -> Option<Buf> {
        let mut buffer = self.pool.take(packet.len())?;
        buffer.fill(HEADROOM, packet).expect("it has that room");
        Some(buffer)
    }

    /// Calls a verb and runs it to its end.
    fn call(
        &mut self,
        verb: impl FnOnce(&mut DataPlane<Buf>, &mut Cx<'_, Buf>) -> Verdict<Buf>,
    ) -> (Fate, bool) {
        let mut cx = Cx {
            now: self.now,
            entropy: &mut self.entropy,
            buffers: &mut self.pool,
        };
        let mut verdict = verb(&mut self.plane, &mut cx);
        let mut computed = false;
        while let Verdict::Compute(job) = verdict {
            computed = true;
            verdict = match self.engine.submit(job) {
                Err(refused) => self.plane.refused(&mut cx, refused),
                Ok(()) => match self.engine.poll() {
                    Some(Completion::Packet(done)) => self.plane.complete(&mut cx, done),
                    other => panic!("{other:?} for a packet"),
                },
            };
        }
        let (fate, buffer) = match verdict {
            Verdict::Deliver { packet, .. } => (Fate::Delivered(packet.packet().to_vec()), packet),
            Verdict::Bounce { packet, .. } => (Fate::Other, packet),
            Verdict::Drop { why, packet } => (Fate::Dropped(why), packet),
            Verdict::Transmit(mut out) => {
                let mut datagrams = Vec::new();
                while let Some(datagram) = out.next_datagram() {
                    datagrams.push(datagram.to_vec());
                }
                (Fate::Sent(datagrams), out.packet)
            }
            Verdict::Held => return (Fate::Other, computed),
            Verdict::Compute(_) => unreachable!("computed above"),
        };
        self.pool.give(buffer);
        (fate, computed)
    }

    /// Carries requests to the engine and answers back.
    fn pump(&mut self) {
        loop {
            while let Some(event) = self.plane.next_event() {
                match event {
                    PlaneEvent::Open { ticket, spec, .. } => {
                        self.engine.open(ticket, spec).expect("there is room");
                    }
                    PlaneEvent::Close(channel) => self.engine.close(channel),
                    _ => {}
                }
            }
            match self.engine.poll() {
                Some(Completion::Opened { ticket, result }) => {
                    self.plane.opened(self.now, ticket, result);
                }
                Some(Completion::Detached(channel)) => self.plane.detached(channel),
                Some(Completion::Packet(_)) => panic!("no packet is under way"),
                None => return,
            }
        }
    }
}

/// A UDP datagram for A; where it comes from is the choice of `how`.
fn from(how: u8, port: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let source = if how & 4 == 0 {
        B
    } else {
        Ipv4Addr::new(6, 6, 6, how >> 4)
    };
    let source_port = if how & 8 == 0 { port } else { 1024 };
    let len = u16::try_from(udp::HEADER + payload.len()).ok()?;
    let header = udp::header(source_port, port, len);
    datagram(source, A, udp::PROTOCOL, &[&header[..], payload].concat())
}

/// The LAN behind the peer that a packet for ours came from.
fn inner_lan(packet: &[u8]) -> Option<u8> {
    let flow = flow_of(packet).ok()?;
    let lan = |policy: &(_, _, _, u8)| is_in(flow.source, policy.3).then_some(policy.3);
    POLICIES
        .iter()
        .find_map(lan)
        .filter(|_| is_in(flow.destination, 10))
}

/// Whether a policy protects a packet that leaves.
fn is_protected(packet: &[u8]) -> bool {
    flow_of(packet).is_ok_and(|flow| {
        is_in(flow.source, 10) && POLICIES.iter().any(|p| is_in(flow.destination, p.3))
    })
}
