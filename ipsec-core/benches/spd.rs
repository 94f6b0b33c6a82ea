//! Policy lookup in nanoseconds, by the length of the list and what is in it.
//!
//! Four ways in alternating rounds, of which the median is printed:
//! - *scan*: `spd::scan`, the meaning of the database, over selectors;
//! - *aloud*: the scan over compact records that filter debugging uses;
//! - *cold*: flows that the cache does not know;
//! - *warm*: flows that it knows.
//!
//! The flows belong to policies all over the list; those of the lines marked "last" match only
//! the last policy. Words behind `--` pick lists: `cargo bench -p ipsec-core --bench spd -- IPv6`.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use ipsec_core::counters::Counters;
use ipsec_core::model::{AddressSelector, Direction, Flow, IpVersion, Selector};
use ipsec_core::net::InterfaceId;
use ipsec_core::spd::{Spd, scan};
use ipsec_core::{Id, PolicyId};

type List = Vec<(PolicyId, Selector)>;

const ROUNDS: usize = 11;
/// Enough that cold lookups do not find the index in the processor's nearest cache.
const COLD_FLOWS: usize = 8192;
const WARM_FLOWS: usize = 512;
const SCANNED_FLOWS: usize = 64;
const CACHE: u16 = 2048;
const ON: InterfaceId = InterfaceId(40);

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>7}{:>7}{:>11}",
        "ns per lookup", "policies", "scan", "aloud", "cold", "warm", "build, us"
    );
    for (name, policy) in LISTS {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word)) {
            continue;
        }
        for len in [10, 100, 1000, 10_000] {
            let list = list(len, *policy);
            measure(name, &list, |n| scatter(n) as usize % len);
        }
        let list = list(10_000, *policy);
        measure(&format!("{name}, last"), &list, |_| list.len() - 1);
    }
}

/// The policy of a number out of so many.
type Make = fn(u32, u32) -> Selector;

const LISTS: &[(&str, Make)] = &[
    ("remote /24", |n, _| Selector {
        local: prefix(v4(0xc0a8_0000), 16),
        remote: prefix(v4(0x0a00_0000 + (scatter(n) << 8)), 24),
        ..Selector::any(IpVersion::V4)
    }),
    ("remote IPv6 /64", |n, _| Selector {
        local: prefix(v6(0x2001_0db8_0001 << 80), 48),
        remote: prefix(v6((0x2001_0db8 << 96) + (u128::from(scatter(n)) << 64)), 64),
        ..Selector::any(IpVersion::V6)
    }),
    ("local /24, remote /24", |n, _| Selector {
        local: prefix(v4(0xac10_0000 + (scatter(n) << 8)), 24),
        remote: prefix(v4(0x0a00_0000 + (scatter(n) << 8)), 24),
        ..Selector::any(IpVersion::V4)
    }),
    ("hosts, 16 ports each", |n, _| Selector {
        remote: AddressSelector::host(v4(0x0a00_0000 + n / 16)),
        remote_port: Some(1000 + (n % 16) as u16),
        protocol: Some(17),
        ..Selector::any(IpVersion::V4)
    }),
    ("nested prefixes", |n, of| Selector {
        remote: prefix(
            v4(0x0a00_0000 + (scatter(n) << 8)),
            32 - 4 * (n * 5 / of) as u8,
        ),
        ..Selector::any(IpVersion::V4)
    }),
    ("crossing ranges", |n, _| Selector {
        remote: range(scatter(n) << 6, 1 + (scatter(n + 7) << 4)),
        ..Selector::any(IpVersion::V4)
    }),
    ("crossing both ways", |n, _| Selector {
        local: range(scatter(n + 3) << 6, 1 + (scatter(n + 5) << 4)),
        remote: range(scatter(n) << 6, 1 + (scatter(n + 7) << 4)),
        ..Selector::any(IpVersion::V4)
    }),
    // The worst: everything matches but the ports, and the index is given up.
    ("covering both ways", |n, of| Selector {
        local: range(n, 2 * (of - n)),
        remote: range(scatter(n) % of, 2 * (of - scatter(n) % of)),
        remote_port: Some(n as u16),
        ..Selector::any(IpVersion::V4)
    }),
];

/// Numbers below 65 536 in no order, each once.
fn scatter(n: u32) -> u32 {
    n.wrapping_mul(40_503) & 0xffff
}

fn v4(bits: u32) -> IpAddr {
    IpAddr::V4(bits.into())
}

fn v6(bits: u128) -> IpAddr {
    IpAddr::V6(bits.into())
}

fn prefix(address: IpAddr, length: u8) -> AddressSelector {
    AddressSelector::Prefix(address, length)
}

fn range(from: u32, len: u32) -> AddressSelector {
    AddressSelector::Range(v4(0x0a00_0000 + from), v4(0x0a00_0000 + from + len))
}

/// A policy for ISAKMP, the wanted ones, and one for the rest.
fn list(len: usize, policy: Make) -> List {
    let of = len as u32 - 2;
    let version = policy(0, of).version;
    let isakmp = Selector {
        local_port: Some(500),
        remote_port: Some(500),
        protocol: Some(17),
        ..Selector::any(version)
    };
    std::iter::once(isakmp)
        .chain((0..of).map(|n| policy(n, of)))
        .chain([Selector::any(version)])
        .zip(0..)
        .map(|(selector, slot)| {
            (
                PolicyId(Id {
                    slot,
                    generation: 0,
                }),
                selector,
            )
        })
        .collect()
}

/// A flow that the policy selects, or that only the last one selects.
fn flow(policy: &Selector, n: u32) -> Flow {
    let (from, to) = match policy.version {
        IpVersion::V4 => (v4(0xc633_6401), v4(0xcb00_7101)),
        IpVersion::V6 => (v6(0x2001_0db8_ffff << 80), v6(0x2001_0db8_fffe << 80)),
    };
    Flow {
        source: policy.local.bounds().map_or(from, |(low, _)| low),
        destination: policy.remote.bounds().map_or(to, |(low, _)| low),
        protocol: 17,
        ports: Some((n as u16, policy.remote_port.unwrap_or(9))),
        icmp_type: None,
    }
}

fn measure(name: &str, list: &List, policy_of: impl Fn(u32) -> usize) {
    let flows: Vec<Flow> = (0..COLD_FLOWS as u32)
        .map(|n| flow(&list[policy_of(n)].1, n))
        .collect();
    let mut cold = Spd::new(0, [1, 2]);
    let mut warm = Spd::new(CACHE, [1, 2]);
    warm.replace(vec![(ON, list.clone())]);
    let mut counters = Counters::default();
    let [mut builds, mut scans, mut alouds, mut colds, mut warms] = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        let lists = vec![(ON, list.clone())];
        let began = Instant::now();
        cold.replace(lists);
        builds.push(began.elapsed().as_nanos() as f64 / 1000.0);
        scans.push(per_flow(&flows[..SCANNED_FLOWS], |flow| {
            black_box(scan(list, Direction::Out, flow));
        }));
        alouds.push(per_flow(&flows[..SCANNED_FLOWS], |flow| {
            let quiet = |_, _| ();
            black_box(cold.search_aloud(ON, Direction::Out, flow, &mut counters, quiet));
        }));
        for flows in flows.chunks(WARM_FLOWS) {
            colds.push(per_flow(flows, |flow| {
                black_box(cold.search(ON, Direction::Out, flow, &mut counters));
            }));
        }
        for _ in 0..16 {
            warms.push(per_flow(&flows[..WARM_FLOWS], |flow| {
                black_box(warm.search(ON, Direction::Out, flow, &mut counters));
            }));
        }
    }
    println!(
        "{name:<28}{:>9}{:>9.0}{:>9.0}{:>7.0}{:>7.1}{:>11.0}",
        list.len(),
        median(scans),
        median(alouds),
        median(colds),
        median(warms),
        median(builds),
    );
}

fn per_flow(flows: &[Flow], mut lookup: impl FnMut(&Flow)) -> f64 {
    let began = Instant::now();
    for flow in flows {
        lookup(black_box(flow));
    }
    began.elapsed().as_nanos() as f64 / flows.len() as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
