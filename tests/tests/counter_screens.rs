//! The counter screens of IPsec on a router that carried traffic by ESP and AH, and what RESET does.

use core::time::Duration;

use ipsec_core::Instant;
use ipsec_core::counters::Happened;
use lab::{Pair, Side};
use sekisho_tests::screens::{assert_screen, folded};
use sekisho_tests::{HOST_A, HOST_B, basic, both, command, failures, pair};

/// The manual's bundle of ESP and AH; ten requests from A and four from B, all answered.
fn after_traffic() -> Pair {
    let bundle = "STRING=\"1 and 2\"\n";
    let specs = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=MD5\nCREATE IPSEC BUNDLE";
    let configs = both(&basic(), "CREATE IPSEC BUNDLE", specs);
    let configs = both(&configs, "STRING=\"1\"\n", bundle);
    let mut pair = pair(&configs, 1);
    for at in 0..10 {
        pair.ping(HOST_A, HOST_B, Instant::from_secs(at));
    }
    for at in 10..14 {
        pair.ping(HOST_B, HOST_A, Instant::from_secs(at));
    }
    assert!(pair.run(Instant::from_secs(20)), "{:?}", failures(&pair));
    // What IPsec carried in the meantime was its peer's business.
    pair.run_to(Instant::from_secs(30));
    pair
}

/// The screen that a file holds.
fn printed(file: &str) -> String {
    let path = format!("{}/screens/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn show_ipsec_counters() {
    let mut pair = after_traffic();
    let all = command(&mut pair, Side::A, "SHOW IPSEC COUNTERS");
    assert_screen(&all, &printed("ipsec-counters"));
    // Every category is a part of the whole, and together they are all but compression.
    let mut lines = Vec::new();
    for category in ["SAD", "SPD", "SETUP", "MAIN", "ESP", "AH", "ALG"] {
        let screen = command(
            &mut pair,
            Side::A,
            &format!("SHOW IPSEC COUNTERS={category}"),
        );
        assert!(!screen.is_empty() && screen.len() < all.len(), "{category}");
        lines.extend(folded(&screen).lines().map(String::from));
    }
    let compression = |line: &&str| line.starts_with("comp") || line.starts_with("COMP");
    assert!(
        lines
            .iter()
            .all(|line| folded(&all).lines().any(|other| other == line))
    );
    assert!(!lines.iter().any(|line| compression(&line.as_str())));
    let two = command(&mut pair, Side::A, "SHOW IPSEC COUNTERS=AH,SAD");
    assert!(
        two.contains("SAD Counters") && two.contains("AH inbound"),
        "{two}"
    );
    assert!(!two.contains("ESP"), "{two}");
}

#[test]
fn show_ipsec_policy_counters() {
    let mut pair = after_traffic();
    let one = command(&mut pair, Side::A, "SHOW IPSEC POLICY=vpn COUNTERS");
    assert_screen(&one, &printed("ipsec-policy-counters"));
    let all = command(&mut pair, Side::A, "SHOW IPSEC POLICY COUNTERS");
    for name in ["isa", "vpn", "inet"] {
        assert!(all.contains(&format!("Policy ..........{name}\n")), "{all}");
    }
    assert!(all.contains(&one), "{all}");
}

#[test]
fn show_ipsec_sa_counters() {
    let mut pair = after_traffic();
    let all = command(&mut pair, Side::A, "SHOW IPSEC SA COUNTERS");
    assert_screen(&all, &printed("ipsec-sa-counters"));
    let second = command(&mut pair, Side::A, "SHOW IPSEC SA=1 COUNTERS");
    assert!(
        second.contains("SA: 1\n") && all.ends_with(&second),
        "{second}"
    );
}

#[test]
fn show_ipsec_policy_sabundle() {
    let mut pair = after_traffic();
    let expected = "
Ipsec Policy SA Bundles

                          Expiry Limits - hard/soft/used
Bundle                    Bytes
Index   SA's    State     Seconds
-----------------------------------------------------------------------
Policy ..........isa
Policy ..........vpn
0       0,1     VALID     -/-/1680
                          28800/25198/29
                          Isakmp SA = 1
Policy ..........inet
";
    let screen = command(&mut pair, Side::A, "SHOW IPSEC POLICY SABUNDLE");
    assert_screen(&screen, expected);
    let one = command(
        &mut pair,
        Side::A,
        "SHOW IPSEC POLICY=vpn SABUNDLE COUNTERS",
    );
    assert!(
        one.contains("0,1     VALID") && one.contains("outProcessStart"),
        "{one}"
    );
    assert!(!one.contains("inet"), "{one}");
}

#[test]
fn reset_sets_the_named_counters_to_zero() {
    let mut pair = after_traffic();
    let value = |pair: &mut Pair, line: &str, name: &str| -> u64 {
        let screen = command(pair, Side::A, line);
        let mut words = screen.split_whitespace();
        words
            .find(|word| *word == name)
            .unwrap_or_else(|| panic!("{name}: {screen}"));
        words
            .next()
            .and_then(|value| value.parse().ok())
            .expect("a number")
    };
    let esp = ("SHOW IPSEC COUNTERS=ESP", "encryptionGood");
    let main = ("SHOW IPSEC COUNTERS=MAIN", "outProcessPkt");
    let algorithm = ("SHOW IPSEC COUNTERS=ALG", "desEncodeGood");
    let ah = ("SHOW IPSEC COUNTERS=AH", "hashGood");
    let policy = ("SHOW IPSEC POLICY=vpn COUNTERS", "outProcessDone");
    let sa = ("SHOW IPSEC SA=0 COUNTERS", "espEncryptionGood");
    let all = [esp, main, algorithm, ah, policy, sa];
    let mut zero: Vec<(&str, &str)> = Vec::new();
    for (line, cleared) in [
        ("RESET IPSEC COUNTER=ESP", vec![esp]),
        ("RESET IPSEC POLICY=vpn COUNTER", vec![policy]),
        ("RESET IPSEC SA=0 COUNTER", vec![sa]),
        ("RESET IPSEC COUNTER=AH,MAIN", vec![ah, main]),
        ("RESET IPSEC COUNTER", vec![algorithm]),
    ] {
        command(&mut pair, Side::A, line);
        zero.extend(cleared);
        for counter in all {
            let is = value(&mut pair, counter.0, counter.1);
            assert_eq!(
                is == 0,
                zero.contains(&counter),
                "{line}: {counter:?} is {is}"
            );
        }
    }
    let later = pair.now + Duration::from_secs(1);
    pair.ping(HOST_A, HOST_B, later);
    assert!(pair.run(later + Duration::from_secs(5)));
    for counter in all {
        assert!(value(&mut pair, counter.0, counter.1) > 0, "{counter:?}");
    }
    for (line, answer) in [
        (
            "RESET IPSEC POLICY=x COUNTER",
            "the policy x does not exist",
        ),
        ("RESET IPSEC SA=77 COUNTER", "the SA 77 does not exist"),
        (
            "SHOW IPSEC POLICY=x COUNTERS",
            "the policy x does not exist",
        ),
        (
            "SHOW IPSEC POLICY=x SABUNDLE",
            "the policy x does not exist",
        ),
        ("SHOW IPSEC SA=77 COUNTERS", "the SA 77 does not exist"),
    ] {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.contains(answer), "{line}: {text}");
    }
}

/// What commands on the configuration count, one by one.
#[test]
fn commands_count_what_they_did_to_the_spd() {
    let mut pair = Pair::soft(1);
    for (line, counted) in [
        (
            "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA",
            "saSpecGet Failed, saSpecAdd Good",
        ),
        (
            "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA",
            "saSpecGet Good, saSpecAdd Failed",
        ),
        (
            "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"",
            "bundleSpecGet Failed, saSpecGet Good, bundleSpecAdd Good",
        ),
        (
            "CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"1 OR 7\"",
            "bundleSpecGet Failed, saSpecGet Good, saSpecGet Failed, bundleSpecAdd Failed",
        ),
        (
            "CREATE IPSEC POLICY=p INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2",
            "policyGet Failed, bundleSpecGet Good, policyAdd Good",
        ),
        (
            "CREATE IPSEC POLICY=p INT=ppp0 ACTION=PERMIT",
            "policyGet Good, policyAdd Failed",
        ),
        (
            "SET IPSEC POLICY=p DFBIT=SET",
            "policyGet Good, policySetConfig Good",
        ),
        (
            "SET IPSEC POLICY=q DFBIT=SET",
            "policyGet Failed, policySetConfig Failed",
        ),
        (
            "SHOW IPSEC POLICY=p",
            "policyGet Good, policyGetConfig Good",
        ),
        (
            "SHOW IPSEC POLICY=q",
            "policyGet Failed, policyGetConfig Failed",
        ),
        ("SHOW IPSEC POLICY", ""),
        (
            "DESTROY IPSEC BUNDLE=1",
            "bundleSpecGet Good, bundleSpecDelete Failed",
        ),
        (
            "DESTROY IPSEC SASPEC=1",
            "saSpecGet Good, saSpecDelete Failed",
        ),
        (
            "DESTROY IPSEC POLICY=q",
            "policyGet Failed, policyDelete Failed",
        ),
        (
            "DESTROY IPSEC POLICY=p",
            "policyGet Good, policyDelete Good",
        ),
        (
            "DESTROY IPSEC BUNDLE=1",
            "bundleSpecGet Good, bundleSpecDelete Good",
        ),
        (
            "DESTROY IPSEC SASPEC=1",
            "saSpecGet Good, saSpecDelete Good",
        ),
    ] {
        let now = |pair: &Pair| pair.a.device.plane().counters().clone();
        let before = now(&pair);
        pair.a.command(Instant::ZERO, line);
        let after = now(&pair);
        let mut added: Vec<String> = Vec::new();
        for block in Happened::BLOCKS {
            for (subject, cell) in block.cells() {
                let times = after.get(cell.event) - before.get(cell.event);
                let name = format!("{subject} {}", cell.name);
                assert!(
                    times == 0 || block.title == "SPD Counters",
                    "{line}: {name}"
                );
                added.extend((0..times).map(|_| name.clone()));
            }
        }
        let mut expected: Vec<&str> = counted
            .split(", ")
            .filter(|name| !name.is_empty())
            .collect();
        added.sort_unstable();
        expected.sort_unstable();
        assert_eq!(added, expected, "{line}");
    }
}

/// A responder looks for the policy of each proposal.
#[test]
fn proposals_count_whether_a_policy_was_found() {
    for (selectors, good, failed) in [("192.168.20.0", 1, false), ("192.168.21.0", 0, true)] {
        let configs = basic();
        let configs =
            sekisho_tests::one(&configs, 1, "LAD=192.168.20.0", &format!("LAD={selectors}"));
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::from_secs(0));
        // The initiator tries again after some time.
        pair.run_to(Instant::from_secs(3));
        let counters = pair.b.device.plane().counters();
        let found = counters.get(Happened::PolicyFindByPeer);
        let lost = counters.get(Happened::PolicyFindByPeerFailed);
        assert_eq!((found, lost > 0), (good, failed), "{selectors}");
    }
}

#[test]
fn counters_stand_in_two_columns() {
    let mut pair = after_traffic();
    let screen = command(&mut pair, Side::A, "SHOW IPSEC COUNTERS");
    // Names of 24 and values of 10 characters, four apart.
    for line in [
        "  outNoPolicyFound                 0    inNoPolicyFound                  0\n",
        "  Delete SA                        0             0\n",
    ] {
        assert!(screen.contains(line), "{screen}");
    }
}

/// The manual has the word in both numbers.
#[test]
fn counter_and_counters_are_one_word() {
    let mut pair = after_traffic();
    for line in [
        "RESET IPSEC COUNTERS=ESP,AH",
        "RESET IPSEC COUNTER=ALL",
        "RESET IPSEC POLICY=vpn COUNTERS",
        "RESET IPSEC SA=0 COUNTERS",
        "SHOW IPSEC COUNTER=AH",
        "SHOW IPSEC POLICY=vpn COUNTER",
        "SHOW IPSEC SA COUNTER",
    ] {
        command(&mut pair, Side::A, line);
    }
}
