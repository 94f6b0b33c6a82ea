//! One router without security and with small capacities, and what must hold of it at any time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use config_lang::Finding;
use config_lang::message::Severity;
use hw_offload::KeyRecord;
use hw_offload::testing::{InsecureEngine, InsecurePrimitives, InsecurePublic, TestEngines};
use ipsec_core::{Instant, Limits};
use isakmp_core::device::State;
use lab::{Buf, Output, Router};

/// Engines without security.
pub(super) type Engines = TestEngines<InsecureEngine<Buf>, InsecurePublic, InsecurePrimitives>;

/// Screens that must be printable whatever happened.
const SCREENS: [&str; 9] = [
    "SHOW IPSEC",
    "SHOW IPSEC SA",
    "SHOW IPSEC SA=0",
    "SHOW IPSEC POLICY",
    "SHOW ISAKMP",
    "SHOW ISAKMP SA",
    "SHOW ENCO KEY",
    "SHOW LOG",
    "SHOW CONFIG DYNAMIC",
];

/// Turns after which a device must have come to rest.
const TURNS: usize = 1000;

/// Capacities that a short input can exhaust.
pub(super) fn limits() -> Limits {
    Limits {
        sas: 8,
        packets_in_flight: 8,
        held_per_policy: 4,
        flow_cache: 16,
        bundles_per_policy: 3,
        half_open: 4,
        half_open_per_address: 2,
        isakmp_sas: 4,
        quick_modes_per_sa: 2,
        queued_acquires: 4,
        log_lines: 16,
        keys: 16,
        ..Limits::default()
    }
}

/// The configurations of the basic VPN without users, whose passwords take longer to hash than all
/// the rest, and without files.
pub(super) fn negotiating() -> &'static [String; 2] {
    static CONFIGS: OnceLock<[String; 2]> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        crate::basic().map(|text| {
            let end = text.find("ADD USER").expect("a user is added last");
            text[..end].to_owned()
        })
    })
}

/// Whether a line was refused; warnings are no hindrance.
pub(super) fn any_error(findings: &[Finding]) -> bool {
    let refused = |finding: &Finding| finding.severity == Severity::Error;
    findings.iter().any(refused)
}

/// A router without a configuration.
pub(super) fn factory() -> Router<Engines> {
    Router::with_limits(&limits(), hw_offload::testing::insecure_engines(), 1)
}

/// A router that has executed a script which must hold.
pub(super) fn configured(script: &'static str) -> Router<Engines> {
    let mut router = factory();
    configure(&mut router, script);
    router.settle_wan();
    settle(&mut router, Instant::ZERO);
    router
}

/// Gives a router the configuration that a script makes. Each script is executed once in a thread:
/// a thousand executions a second are for what comes after it.
pub(super) fn configure(router: &mut Router<Engines>, script: &'static str) {
    thread_local! {
        static MADE: RefCell<BTreeMap<&'static str, Router<Engines>>> = const { RefCell::new(BTreeMap::new()) };
    }
    MADE.with_borrow_mut(|made| {
        let template = made.entry(script).or_insert_with(|| {
            let mut router = factory();
            let findings = router.run_script(Instant::ZERO, script);
            assert!(!any_error(&findings), "{findings:?}");
            let mut copy = factory();
            copy_state(router.device.state(), &mut copy);
            let dump = |router: &Router<Engines>| config_lang::dump::all(router.device.state());
            assert_eq!(dump(&router), dump(&copy), "something is not copied");
            router
        });
        copy_state(template.device.state(), router);
    });
}

fn copy_state(from: &State, router: &mut Router<Engines>) {
    let to = router.device.state_mut();
    to.ipsec = from.ipsec.clone();
    to.isakmp = from.isakmp.clone();
    to.net = from.net.clone();
    to.ip_enabled = from.ip_enabled;
    to.ip_remote_assign = from.ip_remote_assign;
    to.ipv6_enabled = from.ipv6_enabled;
    to.radius = from.radius.clone();
    for (number, key) in from.keys.iter() {
        let copy = KeyRecord {
            kind: key.kind,
            value: key.value.duplicate(),
            description: key.description.clone(),
            address: key.address,
        };
        to.keys.create(number, copy).expect("the number is free");
    }
    router.device.reconfigure(Instant::ZERO);
    let mut entropy = hw_offload::testing::SeededEntropy::new(1);
    router
        .device
        .reconfigure_isakmp(Instant::ZERO, &mut entropy);
}

/// Lets the router work until it rests; what it did to the world, without what it told.
pub(super) fn settle(router: &mut Router<Engines>, now: Instant) -> Vec<Output> {
    let mut done = Vec::new();
    for _ in 0..TURNS {
        let deadline = router.turn(now);
        let outputs = router.outputs();
        let quiet = outputs.is_empty();
        done.extend(
            outputs
                .into_iter()
                .filter(|output| !matches!(output, Output::Report(_))),
        );
        if quiet && deadline.is_none_or(|at| at > now) {
            check_bounds(router, now);
            return done;
        }
    }
    panic!("the device does not come to rest");
}

/// Nothing has grown beyond its capacity, and no buffer is lost.
pub(super) fn check_bounds(router: &Router<Engines>, now: Instant) {
    let (limits, plane, endpoint) = (limits(), router.device.plane(), router.device.endpoint());
    let exchanges = usize::from(limits.half_open) + limits.isakmp_sas as usize;
    let phase = |of: u8| {
        endpoint
            .exchanges(now)
            .filter(move |x| x.phase == of)
            .count()
    };
    assert!(phase(1) <= exchanges && phase(2) <= exchanges);
    assert!(endpoint.sas().count() <= limits.isakmp_sas as usize);
    assert!(plane.sas().count() <= limits.sas as usize);
    assert_eq!(plane.in_flight(), 0, "the engine is idle");
    let held: i64 = plane.policies().map(|(_, p)| i64::from(p.queued)).sum();
    let fragments = i64::from(router.device.held_fragments().fragments);
    let out = router.world.outstanding;
    assert_eq!(out, held + fragments, "only what is held is out");
}

/// Prints every screen.
pub(super) fn show(router: &mut Router<Engines>, now: Instant) {
    for screen in SCREENS {
        router.command(now, screen);
    }
}

/// Everything that a refused command must leave as it is, secrets and counters included.
pub(super) fn fingerprint(router: &Router<Engines>) -> (u64, u64, BTreeMap<String, String>) {
    let device = &router.device;
    let files = router.host.files.clone();
    (
        device.fingerprint(),
        device.fingerprint_of_counters(),
        files,
    )
}
