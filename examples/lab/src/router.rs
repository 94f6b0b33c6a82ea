//! A router with its LANs, in memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use bytes::BytesMut;
use config_lang::check::check_script;
use config_lang::{Console, Finding, Host, Surroundings, run_script};
use hw_offload::testing::SeededEntropy;
use hw_offload::{Buffers, Engines, Headroom, Idle, PacketBuf, PacketEngine, PublicEngine, Ticket};
use ipsec_core::model::{Action, IpsecConfig, Name};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::flow_of;
use ipsec_core::wire::udp_encap::{Encapsulated, demultiplex};
use ipsec_core::{HEADROOM, Instant, Limits, Outgoing, TAILROOM, WallClock};
use isakmp_core::device::{Device, DeviceReport, Port, Privilege, Query};
use isakmp_core::natt;
use isakmp_core::xauth::XauthStep;
use isakmp_core::{Answer, Path};

use crate::packets;

/// Packets in the simulator.
pub type Buf = Headroom<BytesMut>;

const ROOM: usize = 2048;

/// What a device did to the world.
#[derive(Debug)]
pub enum Output {
    /// An IP datagram for the WAN.
    Wan(Vec<u8>),
    /// A packet for a host behind the router, or for the router itself.
    Lan(Vec<u8>),
    /// Something to tell.
    Report(DeviceReport),
    /// A user who wants to be judged by RADIUS.
    Ask(Ticket, XauthStep),
}

/// A port that collects what a device does, and the storage of its packets.
#[derive(Debug, Default)]
pub struct World {
    outputs: Vec<Output>,
    wan: Option<InterfaceId>,
    /// How often somebody was asked for a host's addresses.
    pub lookups: usize,
    /// The addresses of hosts, by names in lower case.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    asked: Vec<(Ticket, Name)>,
    spare: Vec<Buf>,
    /// Buffers handed out and not given back.
    pub outstanding: i64,
}

impl Buffers<Buf> for World {
    fn take(&mut self, len: usize) -> Option<Buf> {
        if len > ROOM - HEADROOM - TAILROOM {
            return None;
        }
        self.outstanding += 1;
        let mut buffer = self
            .spare
            .pop()
            .unwrap_or_else(|| Headroom::with_room(HEADROOM, ROOM));
        buffer.reset(HEADROOM);
        Some(buffer)
    }

    fn give(&mut self, buffer: Buf) {
        self.outstanding -= 1;
        self.spare.push(buffer);
    }
}

impl Port<Buf> for World {
    fn transmit(&mut self, mut packet: Outgoing<Buf>) {
        while let Some(bytes) = packet.next_datagram() {
            let bytes = bytes.to_vec();
            let wan = self.wan == Some(packet.on);
            self.outputs.push(if wan {
                Output::Wan(bytes)
            } else {
                Output::Lan(bytes)
            });
        }
        self.give(packet.packet);
    }

    fn deliver(&mut self, _: InterfaceId, packet: Buf) {
        self.outputs.push(Output::Lan(packet.packet().to_vec()));
        self.give(packet);
    }

    fn datagram(&mut self, path: Path, bytes: &[u8]) {
        if let Some(packet) = packets::udp(path.local, path.peer, bytes) {
            self.outputs.push(Output::Wan(packet));
        }
    }

    fn ask(&mut self, ticket: Ticket, query: Query) {
        match query {
            Query::Resolve(name) => {
                self.lookups += 1;
                self.asked.push((ticket, name));
            }
            Query::Radius(step) => self.outputs.push(Output::Ask(ticket, step)),
            // With the feature `x509` a device answers it by itself.
            Query::Verify(_) => {}
        }
    }

    fn report(&mut self, report: DeviceReport) {
        self.outputs.push(Output::Report(report));
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryHost {
    /// The files by name.
    pub files: BTreeMap<String, String>,
    /// Where files are read that are not in memory; nothing is written there.
    pub folder: Option<PathBuf>,
}

impl MemoryHost {
    /// The place of a file in the folder; a name that could lead out of it has none.
    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let good = !name.starts_with('.') && name.chars().all(plain);
        let place = self.folder.as_ref()?.join(name);
        (good && place.is_file()).then_some(place)
    }
}

impl Host for MemoryHost {
    fn write_file(&mut self, name: &str, content: &str) -> Result<(), String> {
        self.files.insert(name.to_lowercase(), content.to_owned());
        Ok(())
    }

    fn has_file(&self, name: &str) -> bool {
        self.files.contains_key(&name.to_lowercase()) || self.on_disk(name).is_some()
    }

    fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        match self.files.get(&name.to_lowercase()) {
            Some(text) => Some(text.clone().into_bytes()),
            None => std::fs::read(self.on_disk(name)?).ok(),
        }
    }
}

/// A router, its LANs and its randomness.
pub struct Router<E: Engines<Buf = Buf>> {
    /// The device.
    pub device: Device<E>,
    /// What it did, and its packets' storage.
    pub world: World,
    /// Its files.
    pub host: MemoryHost,
    entropy: SeededEntropy,
}

impl<E: Engines<Buf = Buf>> Router<E> {
    /// A router as it leaves the factory.
    #[must_use]
    pub fn new(engines: E, seed: u64) -> Self {
        Self::with_limits(&Limits::default(), engines, seed)
    }

    /// The same with other capacities.
    #[must_use]
    pub fn with_limits(limits: &Limits, engines: E, seed: u64) -> Self {
        Self {
            device: Device::new(limits, engines, WallClock::default(), [7; 16]),
            world: World::default(),
            host: MemoryHost::default(),
            entropy: SeededEntropy::new(seed),
        }
    }

    fn with_surroundings<T>(
        &mut self,
        now: Instant,
        work: impl FnOnce(&mut Device<E>, &mut Surroundings<'_>) -> T,
    ) -> T {
        let Self {
            device,
            host,
            entropy,
            ..
        } = self;
        let mut around = Surroundings { now, entropy, host };
        work(device, &mut around)
    }

    /// Executes a script and tells what did not simply work.
    pub fn run_script(&mut self, now: Instant, text: &str) -> Vec<Finding> {
        self.with_surroundings(now, |device, around| run_script(device, around, text))
    }

    /// Executes a script, which a fresh router takes, and tells what did not simply work and what
    /// will be regretted.
    pub fn check_script(&mut self, now: Instant, text: &str) -> Vec<Finding> {
        self.with_surroundings(now, |device, around| check_script(device, around, text))
    }

    /// Executes one command of a Security Officer and returns what it prints.
    pub fn command(&mut self, now: Instant, line: &str) -> config_lang::Outcome {
        let mut console = Console::vouched(Privilege::SecurityOfficer);
        self.with_surroundings(now, |device, around| console.execute(device, around, line))
    }

    /// Decides which interface is the WAN: that of the IPSEC policies.
    pub fn settle_wan(&mut self) {
        let state = self.device.state();
        let ipsec = state
            .ipsec
            .policies
            .iter()
            .find(|policy| policy.action == Action::Ipsec);
        let policy = ipsec.or(state.ipsec.policies.first());
        self.world.wan = policy.and_then(|policy| state.net.by_name(&policy.interface));
    }

    /// The WAN interface.
    #[must_use]
    pub const fn wan(&self) -> Option<InterfaceId> {
        self.world.wan
    }

    /// The WAN address, if one is configured.
    #[must_use]
    pub fn wan_address(&self) -> Option<IpAddr> {
        let net = &self.device.state().net;
        let interface = net.get(self.world.wan?)?;
        interface.addresses.first().map(|(address, _)| *address)
    }

    /// Gives the WAN interface an address.
    pub fn set_wan_address(&mut self, now: Instant, address: IpAddr) {
        let Some(wan) = self.world.wan else { return };
        let length = if address.is_ipv4() { 32 } else { 128 };
        if let Some(interface) = self.device.state_mut().net.get_mut(wan) {
            interface.addresses.insert(0, (address, length));
        }
        self.device.reconfigure(now);
    }

    /// The IPsec configuration.
    #[must_use]
    pub fn ipsec(&self) -> &IpsecConfig {
        &self.device.state().ipsec
    }

    /// Whether an address is the router's own or that of a host behind it.
    #[must_use]
    pub fn is_here(&self, address: IpAddr) -> bool {
        let net = &self.device.state().net;
        let selected = self
            .ipsec()
            .policies
            .iter()
            .filter(|policy| policy.action == Action::Ipsec)
            .map(|policy| policy.selector().local);
        net.is_local(address)
            || selected
                .filter(|local| local.bounds().is_some())
                .any(|local| local.matches(address))
    }

    /// Forwards a packet that comes from behind the router, or from itself.
    pub fn forward(&mut self, now: Instant, packet: &[u8]) {
        let Ok(flow) = flow_of(packet) else { return };
        let route = self.device.state().net.route(flow.destination);
        let on = route.map(|(on, _)| on).or(self.world.wan);
        let Some(on) = on else { return };
        let Some(buffer) = self.fill(packet) else {
            return;
        };
        let Self {
            device,
            world,
            entropy,
            ..
        } = self;
        device.outbound(now, entropy, world, on, buffer);
    }

    /// Takes a packet from the WAN.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) {
        let Some(on) = self.world.wan else { return };
        if let Some((peer, local, payload)) = packets::is_udp(packet) {
            let state = self.device.state();
            // Behind the port of NAT traversal is ISAKMP only where the mark says so; the rest is
            // for the data plane.
            let marked = matches!(demultiplex(payload), Some(Encapsulated::Ike(_)));
            let floated = local.port() == natt::PORT && marked;
            let own = state.net.is_local(local.ip());
            if own && (local.port() == state.isakmp.port() || floated) {
                let path = Path { local, peer };
                let Self {
                    device,
                    world,
                    entropy,
                    ..
                } = self;
                return device.datagram(now, entropy, world, on, path, payload);
            }
        }
        let Some(buffer) = self.fill(packet) else {
            return;
        };
        let Self {
            device,
            world,
            entropy,
            ..
        } = self;
        device.inbound(now, entropy, world, on, buffer);
    }

    /// Gives the device the answer to a question of its own.
    pub fn answer(&mut self, now: Instant, ticket: Ticket, answer: Answer) {
        let Self {
            device, entropy, ..
        } = self;
        device.answer(now, entropy, ticket, answer);
    }

    /// Lets the device do what is due; returns the next deadline.
    pub fn turn(&mut self, now: Instant) -> Option<Instant> {
        let Self {
            device,
            world,
            entropy,
            ..
        } = self;
        for (ticket, name) in std::mem::take(&mut world.asked) {
            let found = world.names.get(&name.as_str().to_lowercase());
            let answer = Answer::Resolved(found.cloned().unwrap_or_default());
            device.answer(now, entropy, ticket, answer);
        }
        let deadline = device.turn(now, entropy, world);
        // Whoever asks gets an answer at once.
        let deadline = if world.asked.is_empty() {
            deadline
        } else {
            Some(now)
        };
        let waits = [
            device.engines().packet().pending(),
            device.engines().public().pending(),
        ];
        // Hardware would interrupt; here somebody looks every millisecond.
        let signal = waits
            .contains(&Idle::WillSignal)
            .then(|| now + std::time::Duration::from_millis(1));
        [deadline, signal].into_iter().flatten().min()
    }

    /// What the device did since the last call.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.world.outputs)
    }

    /// The reply of a host behind the router, or of the router itself, to a packet.
    #[must_use]
    pub fn reply_to(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let flow = flow_of(packet).ok()?;
        self.is_here(flow.destination)
            .then(|| packets::echo_reply(packet))?
    }

    fn fill(&mut self, packet: &[u8]) -> Option<Buf> {
        let mut buffer = self.world.take(packet.len())?;
        if buffer.fill(HEADROOM, packet).is_err() {
            self.world.give(buffer);
            return None;
        }
        Some(buffer)
    }
}

/// The first host of a network that is not the router itself.
pub(crate) fn first_host(
    low: IpAddr,
    high: IpAddr,
    own: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    if low == high {
        return Some(low);
    }
    match (low, high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => (low.to_bits() + 1..high.to_bits())
            .map(|bits| IpAddr::V4(bits.into()))
            .find(|address| !own(*address)),
        (IpAddr::V6(low), IpAddr::V6(high)) => (low.to_bits() + 1..high.to_bits())
            .map(|bits| IpAddr::V6(bits.into()))
            .find(|address| !own(*address)),
        _ => None,
    }
}
