//! The rules that change what a command does rather than refuse it.

use core::time::Duration;

use ipsec_core::Instant;
use ipsec_core::model::Action;
use isakmp_core::config::{IsakmpPolicyConfig, Retries};
use isakmp_core::counters::Happened;
use isakmp_core::wire::ExchangeType;
use lab::{Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, attempts, basic, both, bundles, command, isakmp_sas, one, pair, ping_both,
    transmissions,
};

use super::Device;
use super::rules::device;

/// A rule, the commands that are tried,
/// and what comes of them.
pub(super) type Effect = (&'static str, &'static [&'static str], fn(&str));

pub(super) const EFFECTS: &[Effect] = &[
    (
        "bundle-expirykbytes-clamp",
        &[
            "CREATE IPSEC BUNDLE=9 KEYMAN=ISAKMP STRING=1 EXPIRYK=",
            "SET IPSEC BUNDLE=1 EXPIRYK=",
        ],
        |line| {
            for (given, kept) in [
                ("4193279", 4_193_279),
                ("4193280", 4_193_280),
                ("4193281", 4_193_280),
                ("99999999999999999999999", 4_193_280),
            ] {
                let router = works(&format!("{line}{given}"));
                let bundles = &router.device.state().ipsec.bundles;
                assert!(
                    bundles
                        .iter()
                        .any(|bundle| bundle.expiry_kbytes == Some(kept)),
                    "{line}{given}"
                );
            }
        },
    ),
    (
        "policy-group-needs-pfs",
        &[
            "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=4.4.4.4 GROUP=2",
            "SET IPSEC POLICY=vpn GROUP=2",
        ],
        |line| {
            for (more, group) in [
                ("", None),
                (" USEPFSKEY=FALSE", None),
                (" USEPFSKEY=TRUE", Some(2)),
            ] {
                let router = works(&format!("{line}{more}"));
                let name = if line.starts_with("CREATE") {
                    "new"
                } else {
                    "vpn"
                };
                let policy = router
                    .device
                    .state()
                    .ipsec
                    .policy(name)
                    .expect("the policy");
                assert_eq!(policy.pfs_group(), group, "{line}{more}");
            }
        },
    ),
    (
        "policy-ndall",
        &[
            "CREATE IPSEC POLICY=new INT=ppp0 IPV=6 ACTION=DENY ICMPTYPE=NDALL",
            "SET IPSEC POLICY=open IPV=6 ACTION=DENY ICMPTYPE=NDALL",
        ],
        |line| {
            let router = works(line);
            let name = if line.starts_with("CREATE") {
                "new"
            } else {
                "open"
            };
            let policy = router
                .device
                .state()
                .ipsec
                .policy(name)
                .expect("the policy");
            assert_eq!(policy.action(), Action::Permit, "{line}");
        },
    ),
    (
        "policy-respondbadspi",
        &[
            "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2 RESPONDBADSPI=TRUE",
            "SET IPSEC POLICY=vpn RESPONDBADSPI=TRUE",
        ],
        |line| {
            // Taken whatever else is configured; acted on where SENDNOTIFY and MODE allow it.
            let vpn = "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2\n";
            for (isakmp, begun) in [
                ("SENDN=TRUE", 1),
                ("SENDN=FALSE", 0),
                ("SENDN=TRUE MODE=AGGR", 0),
            ] {
                let configs = one(&basic(), 0, "SENDN=TRUE", isakmp);
                let configs = if line.starts_with("CREATE") {
                    one(&configs, 0, vpn, &format!("{line}\n"))
                } else {
                    one(&configs, 0, vpn, &format!("{vpn}{line}\n"))
                };
                let configs = if begun == 0 && isakmp.contains("AGGR") {
                    one(&configs, 1, "SENDN=TRUE", isakmp)
                } else {
                    configs
                };
                let mut pair = up(&configs);
                let fresh = hw_offload::SoftEngines::new(256, 64, 64);
                assert_eq!(pair.restart(Side::A, fresh, &configs[0]), []);
                pair.pings.clear();
                pair.happenings.clear();
                let now = pair.now;
                pair.ping(HOST_B, HOST_A, now);
                pair.run_to(now + Duration::from_secs(9));
                assert_eq!(
                    pair.a
                        .device
                        .endpoint()
                        .counters()
                        .get(Happened::BadSpiRequests),
                    1
                );
                assert_eq!(attempts(&pair, 1), begun, "{line} {isakmp}");
            }
        },
    ),
    (
        "set-policy-deletes-sas",
        &[
            "SET IPSEC POLICY=vpn",
            "SET IPSEC POLICY=vpn DFBIT=COPY",
            "SET IPSEC POLICY=vpn POSITION=2",
        ],
        |line| {
            let mut pair = up(&basic());
            command(&mut pair, Side::A, line);
            assert_eq!(
                (bundles(&mut pair, Side::A), isakmp_sas(&mut pair, Side::A)),
                (0, 1),
                "{line}"
            );
        },
    ),
    (
        "isakmp-any-responder",
        &[
            "CREATE ISAKMP POLICY=i PEER=ANY KEY=1 SENDN=TRUE",
            "SET ISAKMP POLICY=i PEER=ANY",
        ],
        |line| {
            let policy = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE";
            let new = if line.starts_with("CREATE") {
                line.to_owned()
            } else {
                format!("{policy}\n{line}")
            };
            let configs = one(&basic(), 0, policy, &new);
            let mut pair = pair(&configs, 1);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            pair.run_to(Instant::from_secs(20));
            assert_eq!(attempts(&pair, 1), 0, "{line}");
            pair.ping(HOST_B, HOST_A, Instant::from_secs(20));
            pair.run_to(Instant::from_secs(40));
            assert_eq!(
                bundles(&mut pair, Side::A),
                1,
                "as responder it works: {line}"
            );
        },
    ),
    (
        "isakmp-rekey-lifetimes",
        &[
            "CREATE ISAKMP POLICY=i PEER=ANY KEY=1 REKEY=ON EXPIRYSECONDS=600 SENDN=TRUE",
            "SET ISAKMP POLICY=i PEER=ANY REKEY=ON EXPIRYSECONDS=600",
        ],
        |line| {
            // The IPsec SA of 300 seconds ends before the ISAKMP SA of 600: nothing is left to extend.
            // Where it lives longer, the ISAKMP SA outlives its own end.
            for (seconds, extended) in [("300", false), ("3600", true)] {
                assert_eq!(outlives(line, seconds), extended, "{line} {seconds}");
            }
        },
    ),
    (
        "isakmp-dpdidle-both",
        &[
            "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE DPDIDLETIMEOUT=2",
            "SET ISAKMP POLICY=i DPDIDLETIMEOUT=2",
        ],
        |line| {
            for (mode, asks) in [
                ("", false),
                (" DPDMODE=RECEIVE", false),
                (" DPDMODE=NONE", false),
                (" DPDMODE=BOTH", true),
            ] {
                let policy = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE";
                let new = if line.starts_with("CREATE") {
                    format!("{line}{mode}")
                } else {
                    format!("{policy}\n{line}{mode}")
                };
                let configs = one(&basic(), 0, policy, &new);
                let configs = one(&configs, 1, "SENDN=TRUE", "SENDN=TRUE DPDMODE=BOTH");
                let mut pair = up(&configs);
                pair.run_to(Instant::from_secs(15));
                let told = transmissions(&pair, Side::A, (ExchangeType::Informational, 1));
                assert_eq!(!told.is_empty(), asks, "{line}{mode}");
            }
        },
    ),
    (
        "isakmp-retry-not-any",
        &[
            "CREATE ISAKMP POLICY=new PEER=ANY KEY=1 RETRYIKE=5",
            "SET ISAKMP POLICY=any RETRYIKE=5",
        ],
        |line| {
            let any = policy(line);
            assert_eq!(
                (any.retry_ike_attempts, any.retries()),
                (Some(Retries::Times(5)), Retries::Times(0))
            );
            let fixed = policy(
                &line
                    .replace("PEER=ANY", "PEER=4.4.4.4")
                    .replace("POLICY=any", "POLICY=i"),
            );
            assert_eq!(fixed.retries(), Retries::Times(5), "{line}");
        },
    ),
    (
        "isakmp-policyfile-server",
        &[
            "CREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1 POLICYFILENAME=x.scp",
            "SET ISAKMP POLICY=i POLICYFILENAME=x.scp",
        ],
        |line| {
            for (server, file) in [
                ("ENABLE ISAKMP", None),
                ("ENABLE ISAKMP POLICYSERVER=FALSE", None),
                ("ENABLE ISAKMP POLICYSERVER=TRUE", Some("x.scp")),
            ] {
                let router = works(&format!("{server}\n{line}"));
                let config = &router.device.state().isakmp;
                let kept = config
                    .policies
                    .iter()
                    .find(|policy| policy.policy_file.is_some());
                let kept = kept.expect("it is kept");
                assert_eq!(config.policy_file(kept), file, "{server} {line}");
            }
        },
    ),
    (
        "isakmp-reset-no-delete",
        &["RESET ISAKMP POLICY=i"],
        |line| {
            let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
            let mut pair = up(&configs);
            let told = transmissions(&pair, Side::A, (ExchangeType::Informational, 1)).len();
            command(&mut pair, Side::A, line);
            pair.run_to(pair.now + Duration::from_secs(5));
            assert_eq!(
                (
                    isakmp_sas(&mut pair, Side::A),
                    isakmp_sas(&mut pair, Side::B)
                ),
                (0, 1)
            );
            let after = transmissions(&pair, Side::A, (ExchangeType::Informational, 1)).len();
            assert_eq!(after, told, "no Delete payload");
        },
    ),
];

/// A device on which lines simply worked.
fn works(lines: &str) -> Device {
    let mut router = device();
    let findings = router.run_script(Instant::ZERO, lines);
    assert!(findings.is_empty(), "{lines}: {findings:?}");
    router
}

/// The ISAKMP policy that a line makes or changes.
fn policy(line: &str) -> IsakmpPolicyConfig {
    let router = works(line);
    let policies = &router.device.state().isakmp.policies;
    let changed = policies
        .iter()
        .find(|policy| policy.retry_ike_attempts.is_some());
    changed.expect("it is kept").clone()
}

/// A pair whose tunnel is up.
fn up(configs: &[String; 2]) -> Pair {
    let mut pair = pair(configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(30)));
    pair
}

/// Whether the ISAKMP SA of a responder with that policy is there after its life of 600 seconds,
/// while traffic flows over IPsec SAs of so many seconds and the peer says nothing of ISAKMP.
fn outlives(line: &str, seconds: &str) -> bool {
    let policy = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE";
    let new = if line.starts_with("CREATE") {
        line.to_owned()
    } else {
        format!("{policy}\n{line}")
    };
    let configs = one(&basic(), 0, policy, &new);
    let configs = one(&configs, 1, "SENDN=TRUE", "SENDN=TRUE REKEY=OFF");
    let bundle = "STRING=\"1\"";
    let configs = both(&configs, bundle, &format!("{bundle} EXPIRYS={seconds}"));
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_B, HOST_A, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(30)));
    pair.run_to(pair.now + Duration::from_secs(1));
    pair.road = Some(Box::new(|side, _, packet| {
        if packet[9] == 50 || side == Side::A {
            vec![(Duration::ZERO, packet.to_vec())]
        } else {
            Vec::new()
        }
    }));
    while pair.now < Instant::from_secs(660) {
        let now = pair.now;
        pair.pings.clear();
        pair.ping(HOST_B, HOST_A, now);
        pair.run_to(now + Duration::from_secs(10));
    }
    isakmp_sas(&mut pair, Side::A) == 1
}

#[test]
fn what_a_rule_changes_is_changed() {
    for (rule, lines, check) in EFFECTS {
        for line in *lines {
            eprintln!("{rule}: {line}");
            check(line);
        }
    }
}
