//! A router of two addresses on a bare Cortex-M4: an Ethernet as its WAN, a LAN of which only the
//! router itself answers, and an IPsec policy compiled in. It shows what a firmware has to bring:
//! a clock, randomness, buffers, and a network card.
#![no_std]
#![no_main]

extern crate alloc;

mod clock;
mod heap;
mod lan9118;
mod policy;
mod random;
mod stack;
mod world;

use cortex_m::asm::wfi;
use cortex_m::peripheral::Peripherals;
use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use hw_offload::SoftEngines;
use ipsec_core::{Limits, ReassemblyLimits, WallClock};
use isakmp_core::device::Device;
use panic_semihosting as _;

use clock::Clock;
use lan9118::Lan9118;
use random::Random;
use world::{Arrived, Buf, World};

/// One peer and a few packets at a time: what this router never needs takes no memory.
fn limits() -> Limits {
    let mut reassembly = ReassemblyLimits::default();
    reassembly.in_all.fragments = 8;
    reassembly.in_all.datagrams = 4;
    Limits {
        sas: 16,
        packets_in_flight: 8,
        held_per_policy: 4,
        held: 4,
        reply_flows: 16,
        flow_cache: 32,
        half_open: 8,
        isakmp_sas: 4,
        message_len: 2048,
        work_per_turn: 32,
        // Windows of an exponent between two looks at the network card.
        public_budget: 2,
        log_lines: 16,
        keys: 4,
        reassembly,
        ..Limits::default()
    }
}

#[entry]
fn main() -> ! {
    stack::paint();
    heap::begin();
    let peripherals = Peripherals::take().expect("it is called once");
    let mut clock = Clock::start(peripherals.SYST);
    let mut random = Random::from_board();
    let mut cache_seed = [0; 16];
    hw_offload::Entropy::fill(&mut random, &mut cache_seed).expect("it was seeded");

    let limits = limits();
    let engines = SoftEngines::<Buf>::new(limits.sas, limits.packets_in_flight as usize, 2);
    let mut device = Device::new(&limits, engines, WallClock::default(), cache_seed);
    let wan = policy::configure(device.state_mut());
    let mut world = World::new(Lan9118::start(policy::MAC), wan);
    let now = clock.now();
    device.reconfigure(now);
    device.reconfigure_isakmp(now, &mut random);
    hprintln!("ready");

    let mut told = 0;
    loop {
        let now = clock.now();
        while let Some(arrived) = world.receive() {
            match arrived {
                Arrived::Packet(packet) => {
                    device.inbound(now, &mut random, &mut world, wan, packet);
                }
                Arrived::Isakmp(path, message) => {
                    device.datagram(now, &mut random, &mut world, wan, path, &message);
                }
            }
        }
        let deadline = device.turn(now, &mut random, &mut world);
        while let Some(reply) = world.next_reply() {
            device.outbound(now, &mut random, &mut world, wan, reply);
        }
        told = tell(&device, told);
        if deadline.is_none_or(|deadline| deadline > clock.now()) && !world.has_work() {
            // Until the next millisecond of the clock at the latest.
            wfi();
        }
    }
}

/// Prints what is new in the log, and the memory that all has taken so far.
fn tell(device: &Device<SoftEngines<Buf>>, told: u64) -> u64 {
    let log = &device.state().log;
    for line in log.since(told) {
        hprintln!("{:>8} ms  {}", line.at.micros() / 1000, line.message);
    }
    if log.written() > told {
        let (heap, stack) = (heap::peak(), stack::peak());
        hprintln!("heap: {heap} bytes at most, stack: {stack}");
    }
    log.written()
}
