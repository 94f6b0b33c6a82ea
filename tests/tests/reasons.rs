//! Why a negotiation failed: which policy decided, and which proposal, identity or selectors
//! differ, ours and theirs. Report, log and trace tell the same.

use ipsec_core::Instant;
use isakmp_core::Report;
use isakmp_core::trace::Trace;
use lab::{Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, command, isakmp, one, pair};

const POLICY: &str = "KEY=1 SENDN=TRUE";
const LAST: &str = "CREATE IPSEC POLICY=inet";
const USER: &str = "ADD USER=joger PASSWORD=right LOGIN=NO\nCREATE ISAKMP POLICY";

/// What a side gives as reasons, once by the reports and once by the trace.
fn reasons(pair: &Pair, side: Side) -> [Vec<String>; 2] {
    let of_side = || isakmp(pair).filter(|(happening, _)| happening.side == side);
    let reports = of_side().filter_map(|(_, report)| match report {
        Report::Failed { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    let traces = of_side().filter_map(|(_, report)| match report {
        Report::Trace {
            what: Trace::Failed(reason),
            ..
        } => Some(reason.to_string()),
        _ => None,
    });
    [reports.collect(), traces.collect()]
}

/// A pings B, with some text of each configuration exchanged for another; what the side that fails
/// says must contain the words.
fn told(changes: &[(Side, &str, &str)], side: Side, words: &str) {
    let mut configs = basic();
    for (of, from, to) in changes {
        configs = one(&configs, usize::from(*of == Side::B), from, to);
    }
    let mut pair = pair(&configs, 1);
    for side in [Side::A, Side::B] {
        command(&mut pair, side, "ENABLE ISAKMP DEBUG=TRACE");
    }
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(Instant::from_secs(400));
    let [reports, traces] = reasons(&pair, side);
    let found = reports.iter().find(|reason| reason.contains(words));
    let found = found.unwrap_or_else(|| panic!("{side}: {words}: {reports:?}"));
    assert!(traces.contains(found), "{traces:?}");
    let log = &pair.router(side).device.state().log;
    let in_log = log
        .lines()
        .any(|line| line.message.ends_with(found.as_str()));
    assert!(in_log, "{found}");
}

/// The same word beside a parameter of both ISAKMP policies.
fn with<'a>(a: &'a str, b: &'a str) -> [(Side, &'a str, &'a str); 2] {
    [(Side::A, POLICY, a), (Side::B, POLICY, b)]
}

#[test]
fn which_proposal() {
    told(
        &[(Side::A, POLICY, "KEY=1 ENCALG=AES128 SENDN=TRUE")],
        Side::B,
        "(policy i, proposal 1 transform 1, ENCALG: this router wants DES, the peer offers AES128)",
    );
    let second = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=MD5\n";
    told(
        &[
            (
                Side::A,
                "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA",
                &format!(
                    "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA\n{second}"
                ),
            ),
            (Side::A, "STRING=\"1\"", "STRING=\"1, 2\""),
        ],
        Side::B,
        "(policy vpn, proposal 2 transform 1, HASHALG: this router wants SHA, the peer offers MD5)",
    );
    told(
        &[(Side::A, "PROT=ESP ENCALG=DES", "PROT=AH")],
        Side::B,
        "(policy vpn, proposal 1, PROTOCOL: this router wants ESP, the peer offers AH)",
    );
}

#[test]
fn which_identity() {
    let name = |local| format!("{POLICY} LOCALID={local}");
    let client = name("client");
    for (mode, message) in [("MAIN", 5), ("AGGRESSIVE", 1)] {
        let a = format!("{client} MODE={mode}");
        let b = format!("{POLICY} REMOTEID=other MODE={mode}");
        let words = format!(
            "message {message}: the peer's identity is not the one that the ISAKMP policy expects \
             (policy i, REMOTEID: this router wants FQDN:other, the peer offers FQDN:client)"
        );
        told(&with(&a, &b), Side::B, &words);
    }
    told(
        &with(&client, POLICY),
        Side::B,
        "(policy i, REMOTEID: this router wants IPv4:1.1.1.1, the peer offers FQDN:client)",
    );
    let dn = name("\"cn=a,o=b\"");
    let user = format!("{POLICY} REMOTEID=u@example.net");
    told(
        &with(&dn, &user),
        Side::B,
        "REMOTEID: this router wants USER_FQDN:u@example.net, the peer offers DER_ASN1_DN:CN=a, O=b)",
    );
    // The initiator is as strict.
    let b = name("server");
    told(
        &with(POLICY, &b),
        Side::A,
        "message 6: the peer's identity is not the one that the ISAKMP policy expects \
         (policy i, REMOTEID: this router wants IPv4:2.2.2.2, the peer offers FQDN:server)",
    );
}

#[test]
fn which_mode() {
    for (a, b) in [("AGGRESSIVE", "MAIN"), ("MAIN", "AGGRESSIVE")] {
        let [modes_a, modes_b] = [a, b].map(|mode| format!("{POLICY} MODE={mode}"));
        let words = format!("(policy i, MODE: this router wants {b}, the peer offers {a})");
        told(&with(&modes_a, &modes_b), Side::B, &words);
    }
}

#[test]
fn which_selectors() {
    let more = |more: &str| match more {
        "" => LAST.to_string(),
        more => format!("SET IPSEC POLICY=vpn {more}\n{LAST}"),
    };
    for (a, b, words) in [
        (
            "",
            "RAD=192.168.99.0 RMA=255.255.255.0",
            "RADDRESS: this router wants 192.168.99.0/24, the peer offers 192.168.10.0/24",
        ),
        (
            "",
            "LAD=192.168.20.1 LMA=255.255.255.255",
            "LADDRESS: this router wants 192.168.20.1/32, the peer offers 192.168.20.0/24",
        ),
        (
            "",
            "TRANSPORT=TCP LPORT=80",
            "TRANSPORTPROTOCOL: this router wants 6, the peer offers 0",
        ),
        (
            "LNAME=branch",
            "RNAME=other",
            "RNAME: this router wants other, the peer offers FQDN:branch",
        ),
    ] {
        let [a, b] = [a, b].map(more);
        let changes = [(Side::A, LAST, &*a), (Side::B, LAST, &*b)];
        told(&changes, Side::B, &format!("(policy vpn, {words})"));
    }
}

#[test]
fn which_policy() {
    told(
        &[(Side::B, "BUNDLE=1 PEER=1.1.1.1", "BUNDLE=1 PEER=9.9.9.9")],
        Side::B,
        "no IPsec policy with KEYMANAGEMENT=ISAKMP is for the peer (policy i)",
    );
    told(
        &[(Side::A, "BUNDLE=1 PEER", "BUNDLE=1 ISAKMP=k PEER")],
        Side::A,
        "(PEER: this router wants none, the peer offers 2.2.2.2)",
    );
    told(
        &[
            (Side::A, "POLICY=i PEER=2.2.2.2", "POLICY=i PEER=9.9.9.9"),
            (Side::A, "BUNDLE=1 PEER", "BUNDLE=1 ISAKMP=i PEER"),
        ],
        Side::A,
        "(policy i, PEER: this router wants 9.9.9.9, the peer offers 2.2.2.2)",
    );
    told(
        &[
            (
                Side::A,
                "POLICY=i PEER=2.2.2.2",
                "POLICY=i PEER=gate.example",
            ),
            (Side::A, "BUNDLE=1 PEER", "BUNDLE=1 ISAKMP=i PEER"),
        ],
        Side::A,
        "the host name of the ISAKMP policy has no address (policy i, PEER: ",
    );
    told(
        &[(Side::B, "ENABLE ISAKMP", "DISABLE ISAKMP")],
        Side::A,
        "the peer does not answer (policy i)",
    );
}

#[test]
fn which_user() {
    let a = format!("{POLICY} XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=wrong");
    let b = format!("{POLICY} XAUTH=SERVER");
    let changes = [
        (Side::B, "CREATE ISAKMP POLICY", USER),
        (Side::A, POLICY, &*a),
        (Side::B, POLICY, &*b),
    ];
    told(
        &changes,
        Side::B,
        "(policy i, XAUTHNAME: the peer offers joger)",
    );
    told(
        &changes,
        Side::A,
        "(policy i, XAUTHNAME: this router wants joger)",
    );
}
