//! Every combination of algorithms: both sides agree, and packets pass.

use hw_offload::Engines;
use ipsec_core::Instant;
use isakmp_core::Report;
use isakmp_core::wire::ExchangeType;
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    at_rest, attempts, basic, both, failures, isakmp, one, pair, pair_with, ping_both, story,
};

fn comes_up<E: Engines<Buf = Buf>>(mut pair: Pair<E>, what: &str) {
    ping_both(&mut pair);
    let up = pair.run(Instant::from_secs(10));
    assert!(up, "{what}: {:?}", failures(&pair));
    assert_eq!(failures(&pair), [""; 0], "{what}");
    assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1), "{what}");
    assert_eq!((pair.clear, pair.protected), (0, 4), "{what}");
    at_rest(&mut pair);
}

story!(every_phase_1_suite, |engines, seed| {
    for cipher in ["DES", "3DESOUTER", "AES128", "AES192", "AES256"] {
        for hash in ["MD5", "SHA"] {
            for (group, longest) in [(1, 767), (2, 1023)] {
                for exponent in [160, longest] {
                    let suite = format!(
                        "ENCALG={cipher} HASHALG={hash} GROUP={group} DHEXPONENTLENGTH={exponent}"
                    );
                    let configs = both(&basic(), "SENDN=TRUE", &format!("SENDN=TRUE {suite}"));
                    comes_up(pair_with(&engines, &configs, seed), &suite);
                }
            }
        }
    }
});

story!(every_esp_suite, |engines, seed| {
    for cipher in ["NULL", "DES", "3DESOUTER", "AES128", "AES192", "AES256"] {
        for hash in ["MD5", "SHA"] {
            let suite = format!("ENCALG={cipher} HASHALG={hash}");
            let configs = both(&basic(), "ENCALG=DES HASHALG=SHA", &suite);
            comes_up(pair_with(&engines, &configs, seed), &suite);
        }
    }
});

story!(perfect_forward_secrecy, |engines, seed| {
    for group in [1, 2] {
        let pfs = format!("BUNDLE=1 USEPFSKEY=TRUE GROUP={group} PEER");
        let configs = both(&basic(), "BUNDLE=1 PEER", &pfs);
        let pair = pair_with(&engines, &configs, seed);
        comes_up(pair, &pfs);
    }
    // The group of phase 1 is another matter.
    let configs = both(&basic(), "BUNDLE=1 PEER", "BUNDLE=1 USEPFSKEY=TRUE PEER");
    let configs = both(&configs, "SENDN=TRUE", "SENDN=TRUE GROUP=2");
    comes_up(pair_with(&engines, &configs, seed), "groups 2 and 1");
});

/// A proposal that only one side can agree to is refused with the attribute's name.
#[test]
fn what_differs_is_named() {
    let policy = "SENDN=TRUE";
    let spec = "ENCALG=DES HASHALG=SHA";
    let ipsec = "BUNDLE=1 PEER";
    for (from, to, named) in [
        (
            policy,
            "SENDN=TRUE ENCALG=AES256",
            "ENCALG: this router wants DES, the peer offers AES256",
        ),
        (
            policy,
            "SENDN=TRUE HASHALG=MD5",
            "HASHALG: this router wants SHA, the peer offers MD5",
        ),
        (
            policy,
            "SENDN=TRUE GROUP=2",
            "GROUP: this router wants 1, the peer offers 2",
        ),
        (
            spec,
            "ENCALG=3DESOUTER HASHALG=SHA",
            "ENCALG: this router wants DES, the peer offers 3DESOUTER",
        ),
        (
            spec,
            "ENCALG=AES192 HASHALG=SHA",
            "ENCALG: this router wants DES, the peer offers AES192",
        ),
        (
            spec,
            "ENCALG=DES HASHALG=MD5",
            "HASHALG: this router wants SHA, the peer offers MD5",
        ),
        (
            ipsec,
            "BUNDLE=1 USEPFSKEY=TRUE PEER",
            "GROUP (USEPFSKEY): this router wants none, the peer offers 1",
        ),
    ] {
        let mut pair = pair(&one(&basic(), 0, from, to), 1);
        ping_both(&mut pair);
        assert!(!pair.run(Instant::from_micros(900_000)));
        let refusals = failures(&pair);
        let told = refusals
            .iter()
            .any(|told| told.starts_with("B: ") && told.contains(named));
        assert!(told, "{to}: {refusals:?}");
    }
}

/// The bundle string's candidates are offered in order, and the responder takes what both have.
#[test]
fn the_first_common_candidate_is_taken() {
    let spec = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA";
    let more = format!(
        "{spec}\nCREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA\n\
         CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=ESP ENCALG=3DESOUTER HASHALG=MD5"
    );
    let configs = both(&basic(), spec, &more);
    for (a, b, wanted) in [
        ("2 OR 3, 1", "1", 1),
        ("3, 2, 1", "1 OR 2", 2),
        ("3 OR 2", "2 OR 3", 2),
        ("3, 2", "2, 3", 2),
        ("1, 1", "1", 1),
    ] {
        let configs = one(&configs, 0, "STRING=\"1\"", &format!("STRING=\"{a}\""));
        let configs = one(&configs, 1, "STRING=\"1\"", &format!("STRING=\"{b}\""));
        let mut pair = pair(&configs, 1);
        pair.ping(sekisho_tests::HOST_A, sekisho_tests::HOST_B, Instant::ZERO);
        assert!(
            pair.run(Instant::from_secs(5)),
            "{a}/{b}: {:?}",
            failures(&pair)
        );
        for side in [Side::A, Side::B] {
            let plane = pair.router(side).device.plane();
            let specs: Vec<u8> = plane.sas().map(|(_, sa)| sa.spec).collect();
            assert_eq!(specs, [wanted], "{a}/{b} on {side}");
        }
    }
}

/// Protocol notes §2: the default life is not sent; every other one is.
#[test]
fn lives_are_sent_where_they_are_not_the_default() {
    for (life, length) in [
        ("", 148),
        (" EXPIRYSECONDS=28800", 148),
        (" EXPIRYSECONDS=3600", 164),
        (" EXPIRYKBYTES=1000", 164),
        (" EXPIRYSECONDS=600 EXPIRYKBYTES=9", 172),
    ] {
        let configs = both(&basic(), "STRING=\"1\"", &format!("STRING=\"1\"{life}"));
        let mut pair = pair(&configs, 1);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        let sent: Vec<usize> = isakmp(&pair)
            .filter_map(|(_, report)| match report {
                Report::Message {
                    sent: true,
                    kind: ExchangeType::Quick,
                    message: 1,
                    length,
                    ..
                } => Some(*length),
                _ => None,
            })
            .collect();
        assert_eq!(sent, [length], "{life}");
    }
}

/// The 512-bit group: only where both ask for it, and never without a warning.
#[test]
fn group_0_where_both_ask_for_it() {
    for (groups, up) in [([0, 0], true), ([0, 1], false), ([1, 0], false)] {
        let mut pair = Pair::soft(1);
        for (side, group) in [Side::A, Side::B].into_iter().zip(groups) {
            let with_group = format!("SENDN=TRUE GROUP={group}");
            let text = basic()[side as usize].replace("SENDN=TRUE", &with_group);
            let findings = pair.router(side).run_script(Instant::ZERO, &text);
            assert_eq!(findings.len(), usize::from(group == 0), "{findings:?}");
        }
        pair.connect();
        ping_both(&mut pair);
        assert_eq!(
            pair.run(Instant::from_secs(5)),
            up,
            "{groups:?}: {:?}",
            failures(&pair)
        );
    }
}
