//! Which commands delete SAs, and whether the peer is told: with SENDDELETES and without.

use ipsec_core::Instant;
use lab::{Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, both, bundles, command, config, failures, isakmp_sas,
    pair_with, ping_both, story,
};

/// Bundles and ISAKMP SAs.
type Has = (usize, usize);

fn has<E: hw_offload::Engines<Buf = lab::Buf>>(pair: &mut Pair<E>, side: Side) -> Has {
    (bundles(pair, side), isakmp_sas(pair, side))
}

/// The command, what A has afterwards, and what B has if it was told.
const ROWS: [(&str, Has, Has); 10] = [
    ("SET IPSEC POLICY=vpn DFBIT=COPY", (0, 1), (0, 1)),
    ("RESET IPSEC POLICY=vpn", (0, 1), (0, 1)),
    ("DESTROY IPSEC POLICY=vpn", (0, 1), (0, 1)),
    ("DESTROY IPSEC POLICY=vpn SABUNDLE=0", (0, 1), (0, 1)),
    ("DISABLE IPSEC", (0, 1), (0, 1)),
    ("PURGE IPSEC", (0, 1), (0, 1)),
    // New negotiations have the new values; what was agreed on stays.
    ("SET ISAKMP POLICY=i DELETEDELAY=20", (1, 1), (1, 1)),
    ("DESTROY ISAKMP POLICY=i", (1, 0), (1, 0)),
    ("DISABLE ISAKMP", (1, 0), (1, 0)),
    // Never told.
    ("RESET ISAKMP POLICY=i", (1, 0), (1, 1)),
];

story!(
    commands_delete_sas_and_tell_where_told_to,
    |engines, seed| {
        for (deletes, tells) in [("", false), (" SENDDELETES=TRUE", true)] {
            let configs = both(&basic(), "SENDN=TRUE", &format!("SENDN=TRUE{deletes}"));
            for (line, ours, theirs) in ROWS {
                let mut pair = pair_with(&engines, &configs, seed);
                ping_both(&mut pair);
                assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
                assert_eq!(has(&mut pair, Side::A), (1, 1), "{line}");
                assert_eq!(has(&mut pair, Side::B), (1, 1), "{line}");
                command(&mut pair, Side::A, line);
                pair.run_to(Instant::from_secs(10));
                let expected = if tells { theirs } else { (1, 1) };
                assert_eq!(has(&mut pair, Side::A), ours, "{line}{deletes}");
                assert_eq!(has(&mut pair, Side::B), expected, "{line}{deletes}");
                assert_eq!(pair.clear, 0, "{line}{deletes}");
            }
        }
    }
);

story!(
    what_a_command_deleted_is_negotiated_again,
    |engines, seed| {
        let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
        for (line, again) in [
            ("SET IPSEC POLICY=vpn DFBIT=COPY", None),
            ("RESET IPSEC POLICY=vpn", None),
            ("DESTROY IPSEC POLICY=vpn SABUNDLE=0", None),
            ("DISABLE IPSEC", Some("ENABLE IPSEC")),
            ("DISABLE ISAKMP", Some("ENABLE ISAKMP")),
            ("RESET ISAKMP POLICY=i", None),
        ] {
            let mut pair = pair_with(&engines, &configs, seed);
            ping_both(&mut pair);
            assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
            command(&mut pair, Side::A, line);
            pair.run_to(Instant::from_secs(10));
            if let Some(line) = again {
                command(&mut pair, Side::A, line);
            }
            for (at, from, to) in [(10, HOST_A, HOST_B), (12, HOST_B, HOST_A)] {
                pair.ping(from, to, Instant::from_secs(at));
            }
            assert!(
                pair.run(Instant::from_secs(60)),
                "{line}: {:?}",
                failures(&pair)
            );
            at_rest(&mut pair);
        }
    }
);

story!(
    what_was_negotiated_stays_when_a_specification_is_set,
    |engines, seed| {
        for (line, screen, old, new) in [
            (
                "SET IPSEC BUNDLE=1 EXPIRYSECONDS=600",
                "SHOW IPSEC POLICY=vpn SABUNDLE",
                " 28800/",
                " 600/",
            ),
            (
                "SET IPSEC SASPEC=1 ANTIREPLAY=TRUE REPLAYWINDOW=64",
                "SHOW IPSEC SA=0",
                "checking enabled .......... FALSE",
                "window size ............... 64",
            ),
            (
                "SET ISAKMP POLICY=i EXPIRYSECONDS=1000",
                "SHOW ISAKMP SA",
                " 86400/",
                " 1000/",
            ),
        ] {
            let mut pair = pair_with(&engines, &basic(), seed);
            ping_both(&mut pair);
            assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
            command(&mut pair, Side::A, line);
            pair.run_to(Instant::from_secs(6));
            assert_eq!(has(&mut pair, Side::A), (1, 1), "{line}");
            let now = pair.now;
            let text = pair.a.command(now, screen).text;
            assert!(text.contains(old), "{line}: {text}");
            for reset in ["RESET IPSEC POLICY=vpn", "RESET ISAKMP POLICY=i"] {
                command(&mut pair, Side::A, reset);
            }
            pair.ping(HOST_A, HOST_B, Instant::from_secs(20));
            assert!(
                pair.run(Instant::from_secs(60)),
                "{line}: {:?}",
                failures(&pair)
            );
            let now = pair.now;
            let text = pair.a.command(now, screen).text;
            assert!(text.contains(new), "{line}: {text}");
        }
    }
);

/// A key that was wrong and is set right is used at once, not when the old attempt has given up.
#[test]
fn a_policy_that_is_set_right_is_tried_at_once() {
    let mut configs = basic();
    configs[0] += "CREATE ENCO KEY=9 TYPE=GENERAL VALUE=\"another\"\nSET ISAKMP POLICY=i KEY=9\n";
    let mut pair = sekisho_tests::pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(20)));
    command(&mut pair, Side::A, "SET ISAKMP POLICY=i KEY=1");
    assert!(pair.run(Instant::from_secs(40)), "{:?}", failures(&pair));
}

/// SAs with manual keys are made anew when their specification changes.
#[test]
fn manual_sas_follow_their_specification() {
    let configs = [
        config("manual-key-vpn-fixed-values.a"),
        config("manual-key-vpn.b"),
    ];
    let mut pair = sekisho_tests::pair(&configs, 1);
    pair.run_to(Instant::from_secs(1));
    let now = pair.now;
    let before = pair.a.command(now, "SHOW IPSEC SA").text;
    assert!(before.contains(" 1000"), "{before}");
    command(&mut pair, Side::A, "SET IPSEC SASPEC=1 INSPI=3000");
    pair.run_to(Instant::from_secs(2));
    let after = pair.a.command(pair.now, "SHOW IPSEC SA").text;
    assert!(
        after.contains(" 3000") && !after.contains(" 1000 "),
        "{after}"
    );
}

#[test]
fn a_bundle_that_is_not_there_is_named() {
    let mut pair = sekisho_tests::pair(&basic(), 1);
    for (line, answer) in [
        (
            "DESTROY IPSEC POLICY=vpn SABUNDLE=3",
            "the SA bundle 3 of policy vpn does not exist",
        ),
        (
            "DESTROY IPSEC POLICY=x SABUNDLE=0",
            "the policy x does not exist",
        ),
        (
            "RESET ISAKMP POLICY=x",
            "the ISAKMP policy x does not exist",
        ),
    ] {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.contains(answer), "{line}: {text}");
    }
}
