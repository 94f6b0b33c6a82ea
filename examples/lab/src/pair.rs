//! Two routers, the network between them, and pings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use config_lang::Finding;
use hw_offload::testing::SeededEntropy;
use hw_offload::{Engines, SoftEngines};
use ipsec_core::model::{Action, PeerAddress};
use ipsec_core::wire::flow_of;
use ipsec_core::{Instant, Limits};
use isakmp_core::Answer;
use isakmp_core::device::DeviceReport;
use isakmp_core::xauth::{XauthAnswer, XauthStep};

use crate::clock::Clock;
use crate::nat::{Kind, NatBox};
use crate::packets::{echo_request, is_echo_reply, is_udp};
use crate::pcap::Pcap;
use crate::router::{Buf, Output, Router, first_host};
use crate::weather::Weather;

/// One of the two routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A report and where and when it was made.
#[derive(Debug)]
pub struct Happening {
    /// When.
    pub at: Instant,
    /// Where.
    pub side: Side,
    /// What.
    pub report: DeviceReport,
}

/// A ping that is repeated every second until it is answered.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Behind which router it starts.
    pub side: Side,
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// When the first request goes out.
    pub start: Instant,
    /// Requests sent.
    pub sent: u32,
    /// When the reply came.
    pub answered: Option<Instant>,
    next: Instant,
    id: u16,
}

/// When a packet arrives, its number among those sent, where, and its bytes.
type Arrival = (Instant, u64, Side, Vec<u8>);

/// What becomes of a packet on the road, beside the weather: each copy with its own bytes and how
/// much later than usual it arrives. Asked with the sender, its number on the WAN from 0, and the
/// packet.
pub type Road = Box<dyn FnMut(Side, u64, &[u8]) -> Vec<(Duration, Vec<u8>)>>;

/// Is told of every packet that a router hands to the hosts behind it.
pub type Watch = Box<dyn FnMut(Side, &[u8])>;

/// A RADIUS server; without an answer the question stays open.
pub type Oracle = Box<dyn FnMut(Side, XauthStep) -> Option<XauthAnswer>>;

/// Two routers in one process.
pub struct Pair<E: Engines<Buf = Buf> = SoftEngines<Buf>> {
    /// The first router.
    pub a: Router<E>,
    /// The second router.
    pub b: Router<E>,
    /// The virtual time.
    pub now: Instant,
    /// The routers' own clocks; to be set before anything runs.
    pub clocks: [Clock; 2],
    /// What the network does.
    pub weather: Weather,
    /// What was reported.
    pub happenings: Vec<Happening>,
    /// The pings.
    pub pings: Vec<Ping>,
    /// What crossed the WAN, before the weather.
    pub capture: Pcap<Vec<u8>>,
    /// ESP and AH packets that crossed the WAN, in UDP or not.
    pub protected: u64,
    /// Packets on the WAN that are neither protected nor ISAKMP.
    pub clear: u64,
    /// Somebody on the road.
    pub road: Option<Road>,
    /// Boxes that translate addresses in front of A and B.
    pub nat: [Option<NatBox>; 2],
    /// Somebody who knows users that a router does not.
    pub oracle: Option<Oracle>,
    /// Somebody behind the routers.
    pub watch: Option<Watch>,
    crossed: u64,
    ping_ids: u16,
    random: SeededEntropy,
    queue: BinaryHeap<Reverse<Arrival>>,
    sent: u64,
    deadlines: [Option<Instant>; 2],
}

impl Pair<SoftEngines<Buf>> {
    /// Two routers with software engines.
    #[must_use]
    pub fn soft(seed: u64) -> Self {
        Self::new(|_| SoftEngines::new(256, 64, 64), seed)
    }
}

impl<E: Engines<Buf = Buf>> Pair<E> {
    /// Two routers with engines of your choice; everything random follows from the seed.
    pub fn new(engines: impl FnMut(Side) -> E, seed: u64) -> Self {
        Self::with_limits(&Limits::default(), engines, seed)
    }

    /// The same with other capacities.
    pub fn with_limits(limits: &Limits, mut engines: impl FnMut(Side) -> E, seed: u64) -> Self {
        let mut random = SeededEntropy::new(seed);
        Self {
            a: Router::with_limits(limits, engines(Side::A), random.next_u64()),
            b: Router::with_limits(limits, engines(Side::B), random.next_u64()),
            now: Instant::ZERO,
            clocks: [Clock::default(); 2],
            weather: Weather::default(),
            happenings: Vec::new(),
            pings: Vec::new(),
            capture: Pcap::default(),
            protected: 0,
            clear: 0,
            road: None,
            nat: [None, None],
            oracle: None,
            watch: None,
            crossed: 0,
            ping_ids: 0,
            random,
            queue: BinaryHeap::new(),
            sent: 0,
            deadlines: [Some(Instant::ZERO); 2],
        }
    }

    /// A router.
    pub const fn router(&mut self, side: Side) -> &mut Router<E> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// What a router's clock shows.
    #[must_use]
    pub fn local(&self, side: Side) -> Instant {
        self.clocks[side as usize].local(self.now)
    }

    /// Finds both WAN interfaces, and addresses for them where the configuration has none.
    /// Returns what was made up.
    pub fn connect(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for side in [Side::A, Side::B] {
            self.router(side).settle_wan();
        }
        for side in [Side::A, Side::B] {
            if self.router(side).wan_address().is_some() {
                continue;
            }
            let named = self
                .router(side.other())
                .ipsec()
                .policies
                .iter()
                .find_map(|policy| policy.peer.as_ref().and_then(PeerAddress::address));
            let v6 = self
                .router(side.other())
                .wan_address()
                .is_some_and(|a| a.is_ipv6());
            let host = side as u8 + 1;
            let invented = if v6 {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()))
            } else {
                IpAddr::V4(Ipv4Addr::new(host, host, host, host))
            };
            let address = named.unwrap_or(invented);
            let why = if named.is_some() {
                "the other side's PEER"
            } else {
                "invented"
            };
            said.push(format!("{side}: WAN address {address} ({why})"));
            let now = self.local(side);
            self.router(side).set_wan_address(now, address);
        }
        said
    }

    /// Puts a box that translates addresses and ports in front of a side, before `connect`. It has
    /// the address that the other side knows, unless the router has that itself, and lets ISAKMP in.
    /// Returns what it did; none with IPv6.
    pub fn place_nat(&mut self, side: Side, kind: Kind) -> Option<String> {
        for side in [Side::A, Side::B] {
            self.router(side).settle_wan();
        }
        let peers = &self.router(side.other()).ipsec().policies;
        let named = peers
            .iter()
            .find_map(|policy| policy.peer.as_ref().and_then(PeerAddress::address));
        let inside = match self.router(side).wan_address() {
            Some(IpAddr::V4(inside)) => inside,
            Some(IpAddr::V6(_)) => return None,
            None => {
                let inside = Ipv4Addr::new(10, 77, side as u8, 2);
                let now = self.local(side);
                self.router(side).set_wan_address(now, inside.into());
                inside
            }
        };
        let public = match named {
            Some(IpAddr::V4(named)) if named != inside => named,
            Some(IpAddr::V6(_)) => return None,
            _ => Ipv4Addr::new(192, 0, 2, 77 + side as u8),
        };
        let mut nat = NatBox::new(public, kind, true);
        nat.forward(500, inside);
        nat.forward(4500, inside);
        self.nat[side as usize] = Some(nat);
        Some(format!("{side}: {inside} behind NAT, seen as {public}"))
    }

    /// The pings that show every IPSEC policy at work, from each side that may begin.
    #[must_use]
    pub fn default_pings(&self) -> Vec<(Side, IpAddr, IpAddr)> {
        let mut pings = Vec::new();
        for (side, router, other) in [(Side::A, &self.a, &self.b), (Side::B, &self.b, &self.a)] {
            for policy in &router.ipsec().policies {
                let fixed = policy
                    .peer
                    .as_ref()
                    .and_then(PeerAddress::address)
                    .is_some();
                if policy.action != Action::Ipsec || !fixed {
                    continue;
                }
                let selector = policy.selector();
                let host = |bounds: Option<(IpAddr, IpAddr)>, at: &Router<E>| match bounds {
                    Some((low, high)) => {
                        first_host(low, high, |address| at.device.state().net.is_local(address))
                    }
                    None => at.wan_address(),
                };
                let source = host(selector.local.bounds(), router);
                let destination = host(selector.remote.bounds(), other);
                if let (Some(source), Some(destination)) = (source, destination) {
                    pings.push((side, source, destination));
                }
            }
        }
        pings
    }

    /// Adds a ping that starts then.
    pub fn ping(
        &mut self,
        source: impl Into<IpAddr>,
        destination: impl Into<IpAddr>,
        start: Instant,
    ) {
        let (source, destination) = (source.into(), destination.into());
        let side = if self.a.is_here(source) {
            Side::A
        } else {
            Side::B
        };
        let (sent, answered, next) = (0, None, start);
        let id = self.ping_ids;
        self.ping_ids = id.wrapping_add(1);
        self.pings.push(Ping {
            side,
            source,
            destination,
            start,
            sent,
            answered,
            next,
            id,
        });
    }

    /// A router loses all that it learnt, and begins anew with its configuration. Its files are
    /// still there.
    pub fn restart(&mut self, side: Side, engines: E, config: &str) -> Vec<Finding> {
        let (seed, now) = (self.random.next_u64(), self.local(side));
        let before = self.router(side).wan_address();
        let router = self.router(side);
        let host = std::mem::take(&mut router.host);
        *router = Router::new(engines, seed);
        router.host = host;
        let findings = router.run_script(now, config);
        router.settle_wan();
        if let (None, Some(address)) = (router.wan_address(), before) {
            router.set_wan_address(now, address);
        }
        self.deadlines[side as usize] = Some(self.now);
        findings
    }

    /// Runs until every ping is answered or the time has come. True if all were answered.
    pub fn run(&mut self, until: Instant) -> bool {
        loop {
            if self.pings.iter().all(|ping| ping.answered.is_some()) && !self.pings.is_empty() {
                return true;
            }
            if !self.step(until) {
                return false;
            }
        }
    }

    /// Runs to that time, whatever happens.
    pub fn run_to(&mut self, until: Instant) {
        while self.step(until) {}
        self.now = self.now.max(until);
    }

    /// One event; false if there is none up to `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        let packet = self.queue.peek().map(|Reverse((at, ..))| *at);
        let ping = self
            .pings
            .iter()
            .filter(|p| p.answered.is_none())
            .map(|p| p.next)
            .min();
        let next = [packet, ping, self.deadlines[0], self.deadlines[1]]
            .into_iter()
            .flatten()
            .min();
        let Some(at) = next.filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(at);
        let now = self.now;
        while let Some(Reverse((at, ..))) = self.queue.peek()
            && *at <= now
            && let Some(Reverse((_, _, side, packet))) = self.queue.pop()
        {
            let packet = match &mut self.nat[side as usize] {
                Some(nat) => nat.inward(now, &packet),
                None => Some(packet),
            };
            if let Some(packet) = packet {
                let local = self.local(side);
                self.router(side).receive(local, &packet);
                self.turn(side);
            }
        }
        for place in 0..self.pings.len() {
            let ping = &mut self.pings[place];
            if ping.answered.is_some() || ping.next > now {
                continue;
            }
            ping.next = now + Duration::from_secs(1);
            ping.sent += 1;
            let id = ping.id;
            let sequence = u16::try_from(ping.sent & 0xffff).unwrap_or(0);
            let request = echo_request(ping.source, ping.destination, id, sequence);
            let side = ping.side;
            if let Some(request) = request {
                self.forward(side, &request);
            }
        }
        for side in [Side::A, Side::B] {
            if self.deadlines[side as usize].is_some_and(|at| at <= now) {
                self.turn(side);
            }
        }
        true
    }

    /// A packet from behind a router, or from the router itself.
    pub fn forward(&mut self, side: Side, packet: &[u8]) {
        let local = self.local(side);
        self.router(side).forward(local, packet);
        self.turn(side);
    }

    /// Lets a router work, and carries away what it did.
    pub fn turn(&mut self, side: Side) {
        let (now, local) = (self.now, self.local(side));
        let clock = self.clocks[side as usize];
        loop {
            let deadline = self.router(side).turn(local).map(|at| clock.global(at));
            let outputs = self.router(side).outputs();
            let quiet = outputs.is_empty();
            for output in outputs {
                self.carry(side, output);
            }
            if quiet && deadline.is_none_or(|at| at > now) {
                self.deadlines[side as usize] = deadline;
                return;
            }
        }
    }

    /// The UDP ports that the routers' tunnels use.
    fn tunnel_ports(&self) -> Vec<u16> {
        let configs = [self.a.ipsec(), self.b.ipsec()].into_iter();
        let tunnels = configs.flat_map(|config| {
            let policies = config.policies.iter();
            let tunnels = policies.filter(|policy| policy.udp_tunnel == Some(true));
            tunnels.map(|policy| [config.udp_port(), policy.udp_peer_port()])
        });
        tunnels.flatten().collect()
    }

    fn carry(&mut self, side: Side, output: Output) {
        let now = self.now;
        match output {
            Output::Report(report) => self.happenings.push(Happening {
                at: now,
                side,
                report,
            }),
            Output::Ask(ticket, step) => {
                let answer = self.oracle.as_mut().and_then(|oracle| oracle(side, step));
                if let Some(answer) = answer {
                    let local = self.local(side);
                    self.router(side)
                        .answer(local, ticket, Answer::Xauth(answer));
                }
            }
            Output::Wan(packet) => {
                let packet = match &mut self.nat[side as usize] {
                    Some(nat) => nat.outward(now, &packet),
                    None => Some(packet),
                };
                let Some(packet) = packet else { return };
                self.capture
                    .add(now, &packet)
                    .expect("memory takes everything");
                match seen_on_the_wan(&packet, &self.tunnel_ports()) {
                    Seen::Protected => self.protected += 1,
                    Seen::Isakmp => {}
                    Seen::Clear => self.clear += 1,
                }
                let number = self.crossed;
                self.crossed += 1;
                let copies = match &mut self.road {
                    Some(road) => road(side, number, &packet),
                    None => vec![(Duration::ZERO, packet)],
                };
                for (late, packet) in copies {
                    for delay in self.weather.copies(&mut self.random) {
                        self.sent += 1;
                        let mut packet = packet.clone();
                        self.weather.damage(&mut self.random, &mut packet);
                        let entry = (now + delay + late, self.sent, side.other(), packet);
                        self.queue.push(Reverse(entry));
                    }
                }
            }
            Output::Lan(packet) => {
                if let Some(watch) = &mut self.watch {
                    watch(side, &packet);
                }
                if let Some((from, to, id, _)) = is_echo_reply(&packet) {
                    if let Some(ping) = self.pings.iter_mut().find(|ping| {
                        ping.id == id
                            && ping.side == side
                            && ping.source == to
                            && ping.destination == from
                    }) {
                        ping.answered.get_or_insert(now);
                    }
                } else if let Some(reply) = self.router(side).reply_to(&packet) {
                    let local = self.local(side);
                    self.router(side).forward(local, &reply);
                }
            }
        }
    }
}

/// What somebody on the road takes a packet for.
enum Seen {
    Protected,
    Isakmp,
    Clear,
}

fn seen_on_the_wan(packet: &[u8], tunnels: &[u16]) -> Seen {
    let Ok(flow) = flow_of(packet) else {
        return Seen::Clear;
    };
    match (flow.protocol, is_udp(packet)) {
        (50 | 51, _) => Seen::Protected,
        (_, Some((from, to, payload))) => {
            let uses = |port| from.port() == port || to.port() == port;
            // Behind a NAT one of the ports may be any; a marker of zeros or one byte is no ESP.
            if tunnels.iter().any(|port| uses(*port))
                || uses(4500) && payload.len() > 1 && !payload.starts_with(&[0; 4])
            {
                Seen::Protected
            } else if uses(500) || uses(4500) {
                Seen::Isakmp
            } else {
                Seen::Clear
            }
        }
        _ => Seen::Clear,
    }
}
