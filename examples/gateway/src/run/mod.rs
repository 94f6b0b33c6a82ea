//! `gateway run`: a real endpoint on Linux.

mod args;
mod control;
mod errands;
mod files;
mod kernel;
mod keylog;
mod link;
mod neighbours;
mod privileges;
mod radius;
mod resolver;
mod world;

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config_lang::message::Severity;
use config_lang::{Console, Outcome, Surroundings, run_script};
use hw_offload::{Entropy, EntropyFault, PacketBuf as _, SoftEngines};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::flow_of;
use ipsec_core::{Instant, Limits, WallClock};
use isakmp_core::Answer;
use isakmp_core::device::{Device, Privilege};
use isakmp_core::xauth::XauthAnswer;
use lab::Buf;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

pub(crate) use args::RunArgs;

use self::control::Control;
use self::files::Files;
use self::kernel::{Kernel, guarded};
use self::link::{Link, LinkPlan};
use self::neighbours::Neighbours;
use self::privileges::Unprivileged;
use self::world::{Arrived, World};
use crate::check::print_findings;

/// Packets taken from one source before the others have their turn.
const BATCH: usize = 64;
/// How long the last messages may take to leave when the gateway ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// The operating system's randomness.
struct Random;

impl Entropy for Random {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        getrandom::fill(out).map_err(|_| EntropyFault)
    }
}

struct Clock(std::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}

struct Gateway {
    device: Device<SoftEngines<Buf>>,
    devices: Vec<(InterfaceId, String)>,
    world: World,
    kernel: Kernel,
    neighbours: Neighbours,
    files: Files,
    control: Option<Control>,
    clock: Clock,
    told: u64,
    /// The routes of SAs that the kernel knows of.
    registrations: u64,
}

/// Runs a gateway until SIGTERM or SIGINT. True if it ended in order.
///
/// # Errors
/// What could not be begun; whatever was set is undone.
pub(crate) fn run(args: &RunArgs) -> Result<bool, String> {
    let path = args.file.display().to_string();
    let text = fs::read_to_string(&args.file).map_err(|error| format!("{path}: {error}"))?;
    let user = args.user.as_deref().map(Unprivileged::named).transpose()?;
    let (signals, _keep) = signals().map_err(|error| format!("signals: {error}"))?;
    let clock = Clock(std::time::Instant::now());
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut seed = [0; 16];
    Random
        .fill(&mut seed)
        .map_err(|_| "the system has no randomness".to_owned())?;
    let limits = Limits::default();
    let wall_clock = WallClock {
        zero: wall.as_secs(),
    };
    let mut device = Device::new(&limits, SoftEngines::new(1024, 64, 1024), wall_clock, seed);
    device.set_key_log(args.keylog.is_some());
    let mut files = Files::new(args.config_dir.as_deref())?;
    let mut around = Surroundings {
        now: clock.now(),
        entropy: &mut Random,
        host: &mut files,
    };
    let findings = run_script(&mut device, &mut around, &text);
    if !print_findings(&path, &findings) {
        println!("\nThe configuration has errors; nothing was started.");
        return Ok(false);
    }
    if let Files::Memory(files) = &files
        && !files.files.is_empty()
    {
        println!("Files that the configuration makes are not kept: there is no --config-dir.");
    }
    let devices = stand_for(&device, args)?;
    for (on, name) in &devices {
        if let Some(interface) = device.state_mut().net.get_mut(*on) {
            interface.mtu = mtu(name)?;
        }
    }
    device.reconfigure(clock.now());
    let longest = devices
        .iter()
        .filter_map(|(on, _)| device.state().net.get(*on));
    let longest = longest.map(|interface| interface.mtu).max().unwrap_or(1500);
    let tun = tun_rs::DeviceBuilder::new()
        .name(args.tun.clone())
        .mtu(longest)
        .build_sync()
        .map_err(|error| format!("--tun {}: {error}", args.tun))?;
    tun.set_nonblocking(true)
        .map_err(|error| format!("--tun {}: {error}", args.tun))?;
    let world = World::new(tun, wall, args.pcap.as_deref(), args.keylog.as_deref())?;
    let neighbours =
        Neighbours::new().map_err(|error| format!("address resolution socket: {error}"))?;
    let control = args.control.as_deref().map(Control::new).transpose()?;
    let mut gateway = Gateway {
        device,
        devices,
        world,
        kernel: Kernel::new(args.tun.clone()),
        neighbours,
        files,
        control,
        clock,
        told: 0,
        registrations: 0,
    };
    let result = gateway
        .begin()
        .and_then(|()| match &user {
            Some(user) => user.become_it(args.control.as_deref(), args.config_dir.as_deref()),
            None => Ok(()),
        })
        .and_then(|()| {
            println!("ready");
            gateway.serve(&signals)
        });
    gateway.kernel.restore();
    if let Some(control) = gateway.control.take() {
        control.close();
    }
    result.map(|()| true)
}

/// The pipe that signals write to.
fn signals() -> std::io::Result<(UnixStream, Vec<signal_hook::SigId>)> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    let ids = [SIGTERM, SIGINT]
        .into_iter()
        .map(|signal| signal_hook::low_level::pipe::register(signal, write.try_clone()?))
        .collect::<std::io::Result<Vec<_>>>()?;
    Ok((read, ids))
}

/// Which Linux device stands for which interface.
fn stand_for(
    device: &Device<SoftEngines<Buf>>,
    args: &RunArgs,
) -> Result<Vec<(InterfaceId, String)>, String> {
    let state = device.state();
    let mut devices = Vec::new();
    for (name, linux) in &args.interfaces {
        let on = state.net.by_name(name).ok_or(format!(
            "--interface {name}={linux}: the configuration has no interface {name}"
        ))?;
        devices.push((on, linux.clone()));
    }
    for on in guarded(state) {
        let name = state
            .net
            .get(on)
            .map(|interface| interface.name.to_string());
        let name = name.unwrap_or_default();
        if !devices.iter().any(|(mapped, _)| *mapped == on) {
            return Err(format!(
                "IPSEC policies are on {name}: say which device stands for it with --interface {name}=DEVICE"
            ));
        }
    }
    Ok(devices)
}

fn mtu(device: &str) -> Result<u16, String> {
    let path = format!("/sys/class/net/{device}/mtu");
    let text = fs::read_to_string(path).map_err(|_| format!("there is no device {device}"))?;
    Ok(text.trim().parse().unwrap_or(u16::MAX))
}

impl Gateway {
    fn begin(&mut self) -> Result<(), String> {
        let guarded = guarded(self.device.state());
        let devices = self.devices.iter();
        let names = devices.filter(|(on, _)| guarded.contains(on));
        let names: Vec<&str> = names.map(|(_, name)| name.as_str()).collect();
        self.kernel.guard(&names)?;
        self.follow()?;
        for (on, linux) in &self.devices {
            if let Some(interface) = self.device.state().net.get(*on) {
                println!("{} is {linux}, MTU {}", interface.name, interface.mtu);
            }
        }
        Ok(())
    }

    /// Makes sockets and kernel agree with the configuration.
    fn follow(&mut self) -> Result<(), String> {
        let plans = LinkPlan::of(self.device.state(), &self.devices);
        self.world.links.retain(|link| plans.contains(link.plan()));
        for plan in plans {
            if !self.world.links.iter().any(|link| *link.plan() == plan) {
                self.world.links.push(Link::open(plan)?);
            }
        }
        let state = self.device.state();
        self.neighbours.follow(state, &self.devices);
        self.kernel.follow(state, &self.devices)
    }

    fn serve(&mut self, signals: &UnixStream) -> Result<(), String> {
        loop {
            let deadline = self.turn();
            if self.wait(signals, deadline)? {
                break;
            }
            self.read_tun();
            self.read_links();
            self.read_neighbours();
            self.read_control();
        }
        println!("ending: IPSEC and ISAKMP are being disabled");
        let end = self.clock.now() + FAREWELL;
        // While their ISAKMP SAs are there, peers can be told of the IPsec SAs that go.
        for line in ["DISABLE IPSEC", "DISABLE ISAKMP"] {
            let mut around = Surroundings {
                now: self.clock.now(),
                entropy: &mut Random,
                host: &mut self.files,
            };
            Console::script().execute(&mut self.device, &mut around, line);
            while self.clock.now() < end && self.turn().is_some_and(|at| at <= self.clock.now()) {}
        }
        Ok(())
    }

    /// Lets the device work; prints what it logged.
    fn turn(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        self.world.now = now;
        for (ticket, addresses) in self.world.names.results() {
            let answer = Answer::Resolved(addresses);
            self.device.answer(now, &mut Random, ticket, answer);
        }
        for (ticket, (answer, trouble)) in self.world.logins.results() {
            if let Some(trouble) = trouble {
                self.world.complain(trouble);
            }
            let answer = Answer::Xauth(answer);
            self.device.answer(now, &mut Random, ticket, answer);
        }
        let mut deadline = self.device.turn(now, &mut Random, &mut self.world);
        for (ticket, step) in std::mem::take(&mut self.world.users) {
            let servers = self.device.state().radius.clone();
            let judge = move || radius::judge(&servers, &step);
            if let Err(error) = self.world.logins.begin(ticket, judge) {
                self.world
                    .complain(format!("no RADIUS server is asked: {error}"));
                let answer = Answer::Xauth(XauthAnswer::Reject);
                self.device.answer(now, &mut Random, ticket, answer);
                deadline = self.device.deadline(now);
            }
        }
        let log = &self.device.state().log;
        for record in log.since(self.told) {
            let (module, _) = record.module.words();
            let (_, hour, minute, second) = self.device.state().wall.day_and_time(record.at);
            println!(
                "{hour:02}:{minute:02}:{second:02} {module} {:4} {}",
                record.subtype.word(),
                record.message
            );
        }
        self.told = log.written();
        let registrations = self.device.state().net.registrations();
        if registrations != self.registrations {
            self.registrations = registrations;
            if let Err(error) = self.follow() {
                self.world.complain(error);
            }
        }
        let state = self.device.state();
        for (text, secret) in self.world.debug.drain(..) {
            print!("{text}");
            let needed = if secret {
                Privilege::SecurityOfficer
            } else {
                Privilege::User
            };
            if let Some(control) = &mut self.control {
                control.report(&text, |console| console.rights(state) >= needed);
            }
        }
        self.world.flush();
        deadline
    }

    /// Waits for work. True if the gateway shall end.
    fn wait(&mut self, signals: &UnixStream, deadline: Option<Instant>) -> Result<bool, String> {
        let mut fds = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(&self.world.tun, PollFlags::IN),
            PollFd::new(&self.world.names.wake, PollFlags::IN),
            PollFd::new(&self.world.logins.wake, PollFlags::IN),
            PollFd::new(&self.neighbours.socket, PollFlags::IN),
        ];
        for link in &self.world.links {
            let doors = link.doors.iter();
            fds.extend(doors.map(|door| PollFd::new(&door.socket, PollFlags::IN)));
        }
        if let Some(control) = &self.control {
            control.watch(&mut fds);
        }
        let left = deadline.map(|at| at.since(self.clock.now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("poll: {error}")),
        }
        drop(fds);
        let mut signals = signals;
        Ok(signals.read(&mut [0; 16]).is_ok())
    }

    fn read_tun(&mut self) {
        for _ in 0..BATCH {
            let Some(packet) = self.world.next_clear() else {
                return;
            };
            let to = flow_of(packet.packet()).map(|flow| flow.destination);
            let on = to.ok().and_then(|to| {
                let route = self.device.state().net.route(to);
                route.map(|(on, _)| on)
            });
            let now = self.clock.now();
            let world = &mut self.world;
            match on {
                Some(on) => self.device.outbound(now, &mut Random, world, on, packet),
                // A destination that no route of the configuration leads to.
                None => hw_offload::Buffers::give(world, packet),
            }
        }
    }

    fn read_links(&mut self) {
        let links = self.world.links.iter().map(|link| link.doors.len());
        let doors: Vec<(usize, usize)> = links
            .enumerate()
            .flat_map(|(place, doors)| (0..doors).map(move |door| (place, door)))
            .collect();
        for (place, door) in doors {
            let now = self.clock.now();
            for _ in 0..BATCH {
                let world = &mut self.world;
                match world.arrived(place, door) {
                    Some(Arrived::Packet(on, packet)) => {
                        self.device.inbound(now, &mut Random, world, on, packet);
                    }
                    Some(Arrived::Message(on, path, packet, at)) => {
                        let bytes = packet.packet().get(at..).unwrap_or(&[]);
                        self.device
                            .datagram(now, &mut Random, world, on, path, bytes);
                        hw_offload::Buffers::give(world, packet);
                    }
                    None => break,
                }
            }
        }
    }

    fn read_neighbours(&self) {
        for _ in 0..BATCH {
            if !self.neighbours.answer() {
                return;
            }
        }
    }

    fn read_control(&mut self) {
        let Some(mut control) = self.control.take() else {
            return;
        };
        control.serve(self);
        self.control = Some(control);
    }
}

impl control::Router for Gateway {
    fn prompt(&self, console: &Console) -> &'static str {
        console.prompt(self.device.state())
    }

    fn command(&mut self, console: &mut Console, line: &str) -> Outcome {
        let mut around = Surroundings {
            now: self.clock.now(),
            entropy: &mut Random,
            host: &mut self.files,
        };
        let mut outcome = console.execute(&mut self.device, &mut around, line);
        if outcome.worst != Severity::Error
            && let Err(error) = self.follow()
        {
            outcome.worst = Severity::Error;
            outcome.text.push_str(&format!("{error}\n"));
        }
        outcome
    }
}
