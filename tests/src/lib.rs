//! Shared parts of the cross-crate tests.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

pub mod ends;

use core::net::Ipv4Addr;
use std::path::Path;

use hw_offload::{Engines, SoftEngines};
use ipsec_core::Instant;
use ipsec_core::SaState;
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use lab::{Buf, Happening, Pair, Side};

/// A host behind A in the basic configurations.
pub const HOST_A: Ipv4Addr = Ipv4Addr::new(192, 168, 10, 2);
/// A host behind B in the basic configurations.
pub const HOST_B: Ipv4Addr = Ipv4Addr::new(192, 168, 20, 2);

/// A configuration of `examples/configs`.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn config(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/configs");
    let path = folder.join(format!("{name}.cfg"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The configurations of both sides of the basic VPN.
#[must_use]
pub fn basic() -> [String; 2] {
    [config("basic-isakmp-vpn.a"), config("basic-isakmp-vpn.b")]
}

/// Two routers with engines of your choice and configurations that must hold without a finding.
///
/// # Panics
/// When a line of a configuration is not simply executed.
pub fn pair_with<E: Engines<Buf = Buf>>(
    engines: impl FnMut(Side) -> E,
    configs: &[String; 2],
    seed: u64,
) -> Pair<E> {
    let mut pair = Pair::new(engines, seed);
    for (side, text) in [Side::A, Side::B].into_iter().zip(configs) {
        let findings = pair.router(side).run_script(Instant::ZERO, text);
        assert!(findings.is_empty(), "{side}: {findings:?}");
    }
    pair.connect();
    pair
}

/// The same with software engines.
#[must_use]
pub fn pair(configs: &[String; 2], seed: u64) -> Pair {
    pair_with(|_| SoftEngines::new(256, 64, 64), configs, seed)
}

/// Adds the pings that show the tunnel, from A at once and from B a second later.
pub fn ping_both<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) {
    let now = pair.now;
    pair.ping(HOST_A, HOST_B, now);
    pair.ping(HOST_B, HOST_A, now + core::time::Duration::from_secs(1));
}

/// What ISAKMP reported.
pub fn isakmp<E: Engines<Buf = Buf>>(
    pair: &Pair<E>,
) -> impl Iterator<Item = (&Happening, &Report)> {
    pair.happenings
        .iter()
        .filter_map(|happening| match &happening.report {
            DeviceReport::Isakmp(report) => Some((happening, report)),
            _ => None,
        })
}

/// Negotiations of a phase that a side began as initiator.
pub fn attempts<E: Engines<Buf = Buf>>(pair: &Pair<E>, of: u8) -> usize {
    isakmp(pair)
        .filter(|(_, report)| {
            matches!(report, Report::Started { phase, role: ipsec_core::model::Role::Initiator, .. } if *phase == of)
        })
        .count()
}

/// Negotiations that failed.
pub fn failures<E: Engines<Buf = Buf>>(pair: &Pair<E>) -> Vec<String> {
    isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Failed { reason, .. } => Some(format!("{}: {reason}", happening.side)),
            _ => None,
        })
        .collect()
}

/// Bundles that a side can use.
pub fn bundles<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, side: Side) -> usize {
    let plane = pair.router(side).device.plane();
    let ids: Vec<_> = plane.bundles().map(|(id, _)| id).collect();
    let valid = |id: &ipsec_core::BundleId| plane.bundle_state(*id) == Some(SaState::Valid);
    ids.iter().filter(|id| valid(id)).count()
}

/// Runs a story once with software engines and several times with slow ones, whose jobs complete 1
/// to 50 events later and out of order. The story gets a maker of engines and a seed.
#[macro_export]
macro_rules! story {
    ($name:ident, |$engines:ident, $seed:ident| $body:block) => {
        mod $name {
            use super::*;

            fn story<E: hw_offload::Engines<Buf = lab::Buf>>(
                $engines: impl Fn(lab::Side) -> E,
                $seed: u64,
            ) $body

            #[test]
            fn soft() {
                story(|_| hw_offload::SoftEngines::new(256, 64, 64), 1);
            }

            #[test]
            fn slow() {
                for seed in 1..=8 {
                    story(|side| hw_offload::testing::slow_engines(seed * 2 + side as u64), seed);
                }
            }
        }
    };
}
