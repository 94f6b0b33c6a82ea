//! Two clients of transport mode with the same inner address behind one NAT, as L2TP makes them:
//! each at home behind a box of its own, both behind one more. To the server they differ in the
//! port of their NAT alone.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use hw_offload::Engines;
use ipsec_core::wire::ipv4::Ipv4;
use ipsec_core::wire::udp::Udp;
use ipsec_core::{Instant, SaState};
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use isakmp_core::wire::{ExchangeType, Header, MessageId};
use lab::nat::{Kind, NatBox};
use lab::{Buf, Output, Router, Side};
use sekisho_tests::story;

const SERVER: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const HOMES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 64, 0, 11), Ipv4Addr::new(10, 64, 0, 12)];
const PUBLIC: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const L2TP: u16 = 1701;
const DELAY: Duration = Duration::from_millis(10);

/// Both clients' configuration. What they send is to the server's port 1701.
fn client(ports: &str, more: &str) -> String {
    let wan = "ADD IP INT=ppp0 IP=192.168.1.2 MASK=255.255.255.0";
    let address = "LAD=192.168.1.2 RAD=2.2.2.2 RPORT=1701";
    common(wan, "2.2.2.2", &format!("{address} {ports}"), more)
}

fn server(more: &str) -> String {
    let wan = "ADD IP INT=ppp0 IP=2.2.2.2 MASK=255.255.255.255";
    common(wan, "ANY", "LAD=2.2.2.2 LPORT=1701", more)
}

fn common(wan: &str, peer: &str, selector: &str, more: &str) -> String {
    format!(
        "ENABLE IP
{wan}
ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=\"correct horse\"
CREATE ISAKMP POLICY=i PEER={peer} KEY=1 SENDNOTIFY=TRUE SENDDELETES=TRUE NATTRAVERSAL=TRUE ENCALG=3DESOUTER GROUP=1
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=3DESOUTER HASHALG=SHA MODE=TRANSPORT
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\" {more}
CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 TRANSPORT=UDP
CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP
CREATE IPSEC POLICY=l2tp INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER={peer}
SET IPSEC POLICY=l2tp {selector} TRANSPORT=UDP
ENABLE IPSEC
ENABLE ISAKMP
"
    )
}

/// The place of the server among the routers; the clients are 0 and 1.
const AT_SERVER: usize = 2;

/// Three routers and three boxes.
struct World<E: Engines<Buf = Buf>> {
    now: Instant,
    routers: [Router<E>; 3],
    homes: [NatBox; 2],
    carrier: NatBox,
    road: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    deadlines: [Option<Instant>; 3],
    /// What arrived in UDP: from where, and the payload.
    got: [Vec<(SocketAddr, Vec<u8>)>; 3],
    failures: Vec<String>,
    /// Negotiations that the server finished well.
    finished: u32,
    /// Whether clients cannot begin a quick mode: the server does.
    hushed: bool,
    /// Quick modes that the server began.
    begun: BTreeSet<MessageId>,
}

impl<E: Engines<Buf = Buf>> World<E> {
    fn new(engines: impl Fn(Side) -> E, configs: [&str; 3], seed: u64) -> Self {
        let routers = [0, 1, 2].map(|place| {
            let side = if place == AT_SERVER { Side::B } else { Side::A };
            let mut router = Router::new(engines(side), seed * 8 + place as u64);
            let findings = router.run_script(Instant::ZERO, configs[place]);
            assert!(findings.is_empty(), "{findings:?}");
            router.settle_wan();
            router
        });
        Self {
            now: Instant::ZERO,
            routers,
            homes: HOMES.map(|public| NatBox::new(public, Kind::Symmetric, false)),
            carrier: NatBox::new(PUBLIC, Kind::Symmetric, true),
            road: BTreeMap::new(),
            sent: 0,
            deadlines: [Some(Instant::ZERO); 3],
            got: [const { Vec::new() }; 3],
            failures: Vec::new(),
            finished: 0,
            hushed: false,
            begun: BTreeSet::new(),
        }
    }

    /// An application sends a datagram.
    fn send(&mut self, place: usize, from: u16, to: SocketAddr, text: &str) {
        let own = if place == AT_SERVER { SERVER } else { INSIDE };
        let packet = lab::udp((own, from).into(), to, text.as_bytes()).expect("a short packet");
        self.routers[place].forward(self.now, &packet);
        self.turn(place);
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.road.keys().next().map(|(at, _)| *at);
            let due = self.deadlines.iter().copied().flatten();
            let Some(at) = arrival
                .into_iter()
                .chain(due)
                .min()
                .filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            if let Some(entry) = self.road.first_entry()
                && entry.key().0 <= self.now
            {
                let (place, packet) = entry.remove();
                self.routers[place].receive(self.now, &packet);
                self.turn(place);
            }
            for place in 0..3 {
                if self.deadlines[place].is_some_and(|at| at <= self.now) {
                    self.turn(place);
                }
            }
        }
    }

    fn turn(&mut self, place: usize) {
        loop {
            let deadline = self.routers[place].turn(self.now);
            let outputs = self.routers[place].outputs();
            let quiet = outputs.is_empty();
            for output in outputs {
                self.carry(place, output);
            }
            if quiet && deadline.is_none_or(|at| at > self.now) {
                self.deadlines[place] = deadline;
                return;
            }
        }
    }

    fn carry(&mut self, place: usize, output: Output) {
        match output {
            Output::Wan(packet) => {
                let Some((to, packet)) = self.translate(place, &packet) else {
                    return;
                };
                self.sent += 1;
                self.road
                    .insert((self.now + DELAY, self.sent), (to, packet));
            }
            Output::Lan(packet) => {
                let ip = Ipv4::parse(&packet).expect("a packet");
                let udp = Udp::parse(ip.payload()).expect("UDP");
                let from = (ip.source(), udp.source).into();
                self.got[place].push((from, udp.payload.to_vec()));
            }
            Output::Report(DeviceReport::Isakmp(Report::Failed { reason, .. })) => {
                self.failures.push(format!("{place}: {reason}"));
            }
            Output::Report(DeviceReport::Isakmp(Report::Completed { .. }))
                if place == AT_SERVER =>
            {
                self.finished += 1;
            }
            Output::Report(_) | Output::Ask(..) => {}
        }
    }

    /// Where a packet goes, and what the boxes make of it.
    fn translate(&mut self, place: usize, packet: &[u8]) -> Option<(usize, Vec<u8>)> {
        let now = self.now;
        if let Some(id) = quick_mode(packet) {
            if place == AT_SERVER {
                self.begun.insert(id);
            } else if self.hushed && !self.begun.contains(&id) {
                return None;
            }
        }
        if let Some(home) = self.homes.get_mut(place) {
            let packet = home.outward(now, packet)?;
            return Some((AT_SERVER, self.carrier.outward(now, &packet)?));
        }
        let packet = self.carrier.inward(now, packet)?;
        let to = Ipv4::parse(&packet).ok()?.destination();
        let place = HOMES.iter().position(|home| *home == to)?;
        Some((place, self.homes[place].inward(now, &packet)?))
    }

    /// Takes what arrived.
    fn take(&mut self, place: usize) -> Vec<(SocketAddr, String)> {
        let got = std::mem::take(&mut self.got[place]).into_iter();
        got.map(|(from, text)| (from, String::from_utf8(text).expect("a text")))
            .collect()
    }

    /// A client says something, and the server answers at once: each hears what is meant for it.
    fn talk(&mut self, who: usize, port: u16, text: &str) {
        self.send(who, port, (SERVER, L2TP).into(), text);
        self.run(Duration::from_secs(2));
        let heard = self.take(AT_SERVER);
        let [(from, said)] = &heard[..] else {
            panic!("the server heard {heard:?}: {:?}", self.failures);
        };
        assert_eq!(said, text);
        self.send(AT_SERVER, L2TP, *from, &format!("{text}?"));
        self.run(Duration::from_secs(1));
        assert_eq!(
            self.take(1 - who),
            [],
            "{text}: the wrong client was answered"
        );
        let answer = ((SERVER, L2TP).into(), format!("{text}?"));
        assert_eq!(self.take(who), [answer], "{:?}", self.failures);
    }

    /// The first client loses all that it learnt.
    fn restart(&mut self, engines: E, config: &str) {
        let mut router = Router::new(engines, 99);
        let findings = router.run_script(self.now, config);
        assert!(findings.is_empty(), "{findings:?}");
        router.settle_wan();
        self.routers[0] = router;
        self.turn(0);
    }

    fn bundles(&self, place: usize) -> usize {
        let plane = self.routers[place].device.plane();
        let valid = plane
            .bundles()
            .filter(|(id, _)| plane.bundle_state(*id) == Some(SaState::Valid));
        valid.count()
    }
}

story!(each_twin_is_answered_on_its_own_sa, |engines, seed| {
    for ports in [[L2TP, L2TP], [1701, 1702]] {
        let client = client("", "");
        let mut world = World::new(&engines, [&client, &client, &server("")], seed);
        for round in 0..3 {
            for who in [0, 1] {
                world.talk(who, ports[who], &format!("{who} in round {round}"));
            }
        }
        assert_eq!(world.bundles(AT_SERVER), 2);
        assert_eq!(world.failures, [""; 0]);
    }
});

/// The quick mode that a packet belongs to.
fn quick_mode(packet: &[u8]) -> Option<MessageId> {
    let (_, _, payload) = lab::is_udp(packet)?;
    let message = payload.strip_prefix(&[0; 4]).unwrap_or(payload);
    let (header, _) = Header::parse(message).ok()?;
    (header.exchange == ExchangeType::Quick).then_some(header.message_id)
}

/// Both clients have spoken from ports of their own: where the server's next words go is known.
fn both_spoke<E: Engines<Buf = Buf>>(world: &mut World<E>, ports: [u16; 2]) -> [SocketAddr; 2] {
    [0, 1].map(|who| {
        world.send(who, ports[who], (SERVER, L2TP).into(), "hello");
        world.run(Duration::from_secs(2));
        let heard = world.take(AT_SERVER);
        let [(from, _)] = &heard[..] else {
            panic!("the server heard {heard:?}: {:?}", world.failures);
        };
        *from
    })
}

/// The server speaks first, to each.
fn server_speaks<E: Engines<Buf = Buf>>(world: &mut World<E>, ends: [SocketAddr; 2], when: &str) {
    for who in [0, 1] {
        let text = format!("to {who} {when}");
        world.send(AT_SERVER, L2TP, ends[who], &text);
        world.run(Duration::from_secs(1));
        assert_eq!(world.take(1 - who), [], "{text}");
        let heard = ((SERVER, L2TP).into(), text);
        assert_eq!(world.take(who), [heard], "{:?}", world.failures);
    }
}

story!(
    flows_outlive_the_sas_that_they_came_in_on,
    |engines, seed| {
        let short = "EXPIRYSECONDS=600";
        let client = client("", short);
        let mut world = World::new(&engines, [&client, &client, &server(short)], seed);
        let ends = both_spoke(&mut world, [1701, 1702]);
        let first = world.finished;
        server_speaks(&mut world, ends, "at first");
        // Nobody but the server says anything while the SAs are renewed, more than once.
        for minute in [8, 10, 20, 30] {
            world.run(
                Duration::from_secs(minute * 60).saturating_sub(world.now.since(Instant::ZERO)),
            );
            server_speaks(&mut world, ends, &format!("after {minute} minutes"));
        }
        assert!(world.finished > first + 4, "the SAs were not renewed");
        assert_eq!(world.failures, [""; 0]);
    }
);

story!(flows_follow_a_client_whose_nat_forgets, |engines, seed| {
    let client = client("", "");
    let mut world = World::new(&engines, [&client, &client, &server("")], seed);
    let ends = both_spoke(&mut world, [1701, 1702]);
    world.carrier.forget();
    // The keepalives of the clients are not believed; what they say next is.
    let again = both_spoke(&mut world, [1701, 1702]);
    assert_eq!(again, ends);
    server_speaks(&mut world, ends, "after the box forgot");
});

story!(a_client_that_leaves_takes_nothing_along, |engines, seed| {
    for end in ["RESET IPSEC POLICY=l2tp", "DISABLE IPSEC"] {
        let client = client("", "");
        let mut world = World::new(&engines, [&client, &client, &server("")], seed);
        world.talk(0, 1701, "first");
        world.talk(1, 1702, "second");
        let now = world.now;
        world.routers[0].command(now, end);
        world.turn(0);
        world.run(Duration::from_secs(30));
        assert_eq!(world.bundles(AT_SERVER), 1, "{end}");
        world.talk(1, 1702, "still there");
        world.talk(1, 1701, "by the port of the other one");
    }
});

story!(
    a_client_that_restarts_leaves_the_other_alone,
    |engines, seed| {
        let client = client("", "");
        let mut world = World::new(&engines, [&client, &client, &server("")], seed);
        world.talk(0, 1701, "first");
        world.talk(1, 1702, "second");
        world.restart(engines(Side::A), &client);
        world.talk(0, 1701, "again");
        world.talk(1, 1702, "as before");
        world.run(Duration::from_secs(60));
        assert_eq!(world.bundles(AT_SERVER), 2);
    }
);

story!(the_server_renews_what_each_client_has, |engines, seed| {
    let short = "EXPIRYSECONDS=600";
    let client = client("LPORT=1701", short);
    for moves in [false, true] {
        let mut world = World::new(&engines, [&client, &client, &server(short)], seed);
        for who in [0, 1] {
            world.talk(who, L2TP, "hello");
        }
        assert_eq!(world.finished, 4);
        world.hushed = true;
        if moves {
            world.carrier.forget();
            for who in [0, 1] {
                world.talk(who, L2TP, "from elsewhere");
            }
        }
        world.run(Duration::from_secs(585));
        // Both at about the same time, each with the client that has the bundle.
        assert_eq!(world.finished, 6, "{:?}", world.failures);
        world.run(Duration::from_secs(60));
        assert_eq!(world.bundles(AT_SERVER), 2);
        for who in [0, 1] {
            assert_eq!(world.bundles(who), 1);
            world.talk(who, L2TP, "after the renewal");
        }
    }
});
