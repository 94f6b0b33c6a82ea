//! Shared parts of the cross-crate tests.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

pub mod allocations;
pub mod broken;
pub mod crowd;
pub mod ends;
pub mod fuzzing;
pub mod lines;
pub mod memory;
pub mod screens;
pub mod setting;
pub mod tape;
pub mod witness;

use core::net::Ipv4Addr;
use std::path::Path;

use config_lang::message::Severity;
use hw_offload::{Engines, SoftEngines};
use ipsec_core::Instant;
use ipsec_core::SaState;
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use isakmp_core::reason::Subject;
use isakmp_core::wire::ExchangeType;
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

/// ISAKMP SAs of a side.
pub fn isakmp_sas<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, side: Side) -> usize {
    pair.router(side).device.endpoint().sas().count()
}

/// When a side sent a message of an exchange type, each transmission.
pub fn transmissions<E: Engines<Buf = Buf>>(
    pair: &Pair<E>,
    side: Side,
    of: (ExchangeType, u8),
) -> Vec<Instant> {
    isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Message {
                sent: true,
                kind,
                message,
                ..
            } if happening.side == side && (*kind, *message) == of => Some(happening.at),
            _ => None,
        })
        .collect()
}

/// When negotiations of a side failed, and with which subject.
pub fn failed<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side) -> Vec<(Instant, Subject)> {
    isakmp(pair)
        .filter(|(happening, _)| happening.side == side)
        .filter_map(|(happening, report)| match report {
            Report::Failed { reason, .. } => Some((happening.at, reason.subject)),
            _ => None,
        })
        .collect()
}

/// Runs from one second to another with a ping from both sides every second, which must not notice
/// what else is going on.
///
/// # Panics
/// When one is not answered at its first request.
pub fn steady<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, from: u64, to: u64) {
    for start in (from..to).step_by(10) {
        let end = to.min(start + 10);
        pair.pings.clear();
        for second in start..end {
            pair.ping(HOST_A, HOST_B, Instant::from_secs(second));
            pair.ping(HOST_B, HOST_A, Instant::from_secs(second));
        }
        pair.run_to(Instant::from_micros(end * 1_000_000 - 1));
        for ping in &pair.pings {
            let first = ping.answered.is_some() && ping.sent == 1;
            assert!(first, "{ping:?}: {:?}", failures(pair));
        }
    }
}

/// Nothing is under way on either side: no exchange, no packet with an engine or in a queue, no
/// buffer that did not come back, no bundle that is not whole.
///
/// # Panics
/// When something is.
pub fn at_rest<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) {
    assert_eq!(unrest(pair), None);
}

/// What is under way on either side, if anything is.
pub fn unrest<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) -> Option<String> {
    [Side::A, Side::B].into_iter().find_map(|side| {
        let now = pair.local(side);
        let router = pair.router(side);
        let exchanges: Vec<_> = router.device.endpoint().exchanges(now).collect();
        if !exchanges.is_empty() {
            return Some(format!("{side}: {exchanges:?}"));
        }
        let plane = router.device.plane();
        if plane.in_flight() != 0 {
            return Some(format!("{side}: packets in flight"));
        }
        let mut bundles = plane.bundles();
        if let Some((_, bundle)) =
            bundles.find(|(id, _)| plane.bundle_state(*id) != Some(SaState::Valid))
        {
            return Some(format!("{side}: {bundle:?}"));
        }
        if let Some((_, policy)) = plane.policies().find(|(_, policy)| policy.queued != 0) {
            return Some(format!("{side}: packets of {}", policy.config.name));
        }
        let buffers = router.world.outstanding;
        (buffers != 0).then(|| format!("{side}: {buffers} buffers"))
    })
}

/// Executes a command that must simply work.
///
/// # Panics
/// When it does not.
pub fn command<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, side: Side, line: &str) -> String {
    let now = pair.local(side);
    let outcome = pair.router(side).command(now, line);
    assert_eq!(outcome.worst, Severity::Info, "{line}: {}", outcome.text);
    pair.turn(side);
    outcome.text
}

/// Both configurations with one text replaced by another, which must occur.
///
/// # Panics
/// When it does not.
#[must_use]
pub fn both(configs: &[String; 2], from: &str, to: &str) -> [String; 2] {
    [0, 1].map(|place| one(configs, place, from, to)[place].clone())
}

/// The same in one configuration, 0 or 1.
///
/// # Panics
/// When the text does not occur.
#[must_use]
pub fn one(configs: &[String; 2], place: usize, from: &str, to: &str) -> [String; 2] {
    let mut changed = configs.clone();
    assert!(changed[place].contains(from), "no {from}");
    changed[place] = changed[place].replace(from, to);
    changed
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
