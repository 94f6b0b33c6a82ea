//! Identities and names: LOCALID and REMOTEID in phase 1, LNAME and RNAME in phase 2, and which
//! ISAKMP policy an IPsec policy wants.

use ipsec_core::Instant;
use isakmp_core::reason::Subject;
use lab::Side;
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, failed, failures, one, pair, pair_with, ping_both, story,
};

story!(identities_may_be_names, |engines, seed| {
    for (local, remote, fits) in [
        ("LOCALID=client", "REMOTEID=client", true),
        ("LOCALID=a@example.net", "REMOTEID=a@example.net", true),
        ("LOCALID=1.1.1.1", "", true),
        ("LOCALID=client", "REMOTEID=other", false),
        ("LOCALID=client", "", false),
        ("LOCALID=9.9.9.9", "", false),
    ] {
        let configs = one(&basic(), 0, "SENDN=TRUE", &format!("SENDN=TRUE {local}"));
        let configs = one(&configs, 1, "SENDN=TRUE", &format!("SENDN=TRUE {remote}"));
        let mut pair = pair_with(&engines, &configs, seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(10)), fits, "{local} {remote}");
        if !fits {
            assert_eq!(failed(&pair, Side::B)[0].1, Subject::Identity);
        }
    }
});

story!(selectors_may_be_names, |engines, seed| {
    for (lname, rname, fits) in [
        ("branch", "BRANCH", true),
        ("u@x.jp", "u@x.jp", true),
        ("branch", "other", false),
    ] {
        let configs = one(
            &basic(),
            0,
            "SET IPSEC POLICY=vpn",
            &format!("SET IPSEC POLICY=vpn LNAME={lname}"),
        );
        let configs = one(
            &configs,
            1,
            "SET IPSEC POLICY=vpn",
            &format!("SET IPSEC POLICY=vpn RNAME={rname}"),
        );
        let mut pair = pair_with(&engines, &configs, seed);
        ping_both(&mut pair);
        assert_eq!(
            pair.run(Instant::from_secs(10)),
            fits,
            "{lname}: {:?}",
            failures(&pair)
        );
        if fits {
            at_rest(&mut pair);
        } else {
            assert!(
                failed(&pair, Side::B)
                    .iter()
                    .any(|(_, why)| *why == Subject::Selectors)
            );
        }
    }
});

/// ISAKMPPOLICY is obeyed: the one that it names, not the first for the peer.
#[test]
fn the_named_isakmp_policy_is_used() {
    let line = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE";
    let two = format!(
        "{line} ENCALG=AES256\n{}",
        line.replace("POLICY=i", "POLICY=j")
    );
    let configs = one(&basic(), 0, line, &two);
    for (named, works) in [("", false), (" ISAKMP=j", true), (" ISAKMP=k", false)] {
        let ipsec = "BUNDLE=1 PEER";
        let configs = one(&configs, 0, ipsec, &format!("BUNDLE=1{named} PEER"));
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(
            pair.run(Instant::from_secs(5)),
            works,
            "{named}: {:?}",
            failures(&pair)
        );
        if named.ends_with('k') {
            assert_eq!(failed(&pair, Side::A)[0].1, Subject::NoIsakmpPolicy);
        }
    }
}
