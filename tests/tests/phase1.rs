//! What a policy says of phase 1: groups, authentication, sources, limits, retries.

use core::time::Duration;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use hw_offload::{Engines, SoftEngines};
use ipsec_core::Instant;
use ipsec_core::model::Name;
use isakmp_core::counters::Happened;
use isakmp_core::reason::Subject;
use isakmp_core::wire::{ExchangeType, NotifyType, PayloadType};
use isakmp_core::{Report, RetryPhases};
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, attempts, basic, both, bundles, command, failed, failures, isakmp,
    isakmp_sas, one, pair, pair_with, ping_both, steady, story, transmissions,
};

const MINUTE: Instant = Instant::from_secs(60);

/// Keys of 1024 bits, made for these tests.
const PRIVATE_A: &str = include_str!("../keys/a.pem");
const PUBLIC_A: &str = include_str!("../keys/a.pub.pem");
const PRIVATE_B: &str = include_str!("../keys/b.pem");
const PUBLIC_B: &str = include_str!("../keys/b.pub.pem");

/// Two routers whose files hold their own private keys and each other's public keys.
fn pair_with_keys<E: Engines<Buf = Buf>>(
    engines: impl FnMut(Side) -> E,
    configs: &[String; 2],
    seed: u64,
) -> Pair<E> {
    let mut pair = Pair::new(engines, seed);
    for (side, own, other) in [
        (Side::A, PRIVATE_A, PUBLIC_B),
        (Side::B, PRIVATE_B, PUBLIC_A),
    ] {
        let router = pair.router(side);
        router.host.files.insert("own.key".into(), own.into());
        router.host.files.insert("peer.key".into(), other.into());
        let findings = router.run_script(Instant::ZERO, &configs[side as usize]);
        assert!(findings.is_empty(), "{side}: {findings:?}");
    }
    pair.connect();
    pair
}

/// The basic configurations with RSA instead of the pre-shared key, and more of a policy.
fn rsa(more: [&str; 2]) -> [String; 2] {
    let keys = "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=\"jogefoge\"";
    let own = "CREATE ENCO KEY=2 TYPE=RSA FILE=own.key\nCREATE ENCO KEY=3 TYPE=RSA FILE=peer.key";
    let configs = both(&basic(), keys, own);
    let auth = |more: &str| format!("AUTHTYPE=RSASIG LOCALRSAKEY=2 KEY=3 {more} SENDN=TRUE");
    let configs = one(&configs, 0, "KEY=1 SENDN=TRUE", &auth(more[0]));
    one(&configs, 1, "KEY=1 SENDN=TRUE", &auth(more[1]))
}

fn comes_up<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    ping_both(pair);
    let up = pair.run(MINUTE);
    assert!(up, "{what}: {:?}", failures(pair));
    assert_eq!(failures(pair), [""; 0], "{what}");
    assert_eq!(pair.clear, 0, "{what}");
    at_rest(pair);
}

story!(groups_beyond_the_manual, |engines, seed| {
    for mode in ["MAIN", "AGGRESSIVE"] {
        for (group, longest) in [(5, 1535), (14, 2047)] {
            for exponent in [160, longest] {
                let suite = format!("MODE={mode} GROUP={group} DHEXPONENTLENGTH={exponent}");
                let configs = both(&basic(), "SENDN=TRUE", &format!("SENDN=TRUE {suite}"));
                let mut pair = pair_with(&engines, &configs, seed);
                pair.run_to(Instant::from_secs(1));
                comes_up(&mut pair, &suite);
            }
        }
    }
});

/// Group 0 is spoken only where both policies say so.
#[test]
fn group_0_is_an_opt_in() {
    for (a, b, fits) in [("0", "0", true), ("0", "1", false), ("1", "0", false)] {
        let configs = basic();
        let mut pair = Pair::soft(1);
        for (side, group) in [(Side::A, a), (Side::B, b)] {
            let text =
                configs[side as usize].replace("SENDN=TRUE", &format!("SENDN=TRUE GROUP={group}"));
            let findings = pair.router(side).run_script(Instant::ZERO, &text);
            // The group deserves a warning.
            assert_eq!(findings.len(), usize::from(group == "0"), "{findings:?}");
        }
        pair.connect();
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(10)), fits, "{a} and {b}");
        if !fits {
            assert_eq!(failed(&pair, Side::B)[0].1, Subject::NoProposal);
        }
    }
}

/// Without padding a value with a leading zero is a byte shorter. Over many seeds one is, and
/// both sides must agree on what they hash.
#[test]
fn numbers_without_leading_zeros() {
    let configs = both(
        &basic(),
        "ENABLE IPSEC",
        "SET ENCO DHPADDING=OFF\nENABLE IPSEC",
    );
    let mut shorter = 0;
    for seed in 0..400 {
        let mut pair = pair(&configs, seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(
            pair.run(Instant::from_secs(3)),
            "{seed}: {:?}",
            failures(&pair)
        );
        let keys = isakmp(&pair).filter_map(|(_, report)| match report {
            Report::Message {
                sent: true,
                kind: ExchangeType::Main,
                message: 3 | 4,
                length,
                ..
            } => Some(*length),
            _ => None,
        });
        shorter += keys.filter(|length| *length < 152).count();
    }
    assert!(shorter > 0, "no value had a leading zero");
}

story!(threat_rsa_signatures_in_both_modes, |engines, seed| {
    for mode in ["MAIN", "AGGRESSIVE"] {
        for side in [Side::A, Side::B] {
            let mode = format!("MODE={mode}");
            let configs = rsa([&mode, &mode]);
            let mut pair = pair_with_keys(&engines, &configs, seed);
            pair.run_to(Instant::from_secs(1));
            let (from, to) = match side {
                Side::A => (HOST_A, HOST_B),
                Side::B => (HOST_B, HOST_A),
            };
            let now = pair.now;
            pair.ping(from, to, now);
            assert!(pair.run(MINUTE), "{mode}: {:?}", failures(&pair));
            assert_eq!(failures(&pair), [""; 0], "{mode}");
            pair.run_to(MINUTE);
            at_rest(&mut pair);
        }
    }
});

story!(rsa_survives_losses_and_copies, |engines, seed| {
    for (mode, messages) in [("MODE=MAIN", 9), ("MODE=AGGRESSIVE", 6)] {
        for number in 0..messages {
            for copies in [0, 2] {
                let mut pair = pair_with_keys(&engines, &rsa([mode, mode]), seed);
                pair.run_to(Instant::from_secs(1));
                pair.road = Some(Box::new(move |_, this, packet| {
                    let copies = if this == number { copies } else { 1 };
                    let late = |copy: u64| Duration::from_millis(copy * 5);
                    (0..copies)
                        .map(|copy| (late(copy), packet.to_vec()))
                        .collect()
                }));
                let now = pair.now;
                pair.ping(HOST_A, HOST_B, now);
                let what = format!("{mode}, message {number}, {copies} copies");
                assert!(pair.run(MINUTE), "{what}: {:?}", failures(&pair));
                assert_eq!(failures(&pair), [""; 0], "{what}");
            }
        }
    }
});

story!(a_wrong_rsa_key_comes_to_nothing, |engines, seed| {
    for mode in ["MODE=MAIN", "MODE=AGGRESSIVE"] {
        let mut pair = Pair::new(&engines, seed);
        let configs = rsa([mode, mode]);
        for (side, own, other) in [
            (Side::A, PRIVATE_A, PUBLIC_B),
            // B believes that A has B's key.
            (Side::B, PRIVATE_B, PUBLIC_B),
        ] {
            let router = pair.router(side);
            router.host.files.insert("own.key".into(), own.into());
            router.host.files.insert("peer.key".into(), other.into());
            router.run_script(Instant::ZERO, &configs[side as usize]);
        }
        pair.connect();
        pair.run_to(Instant::from_secs(1));
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        assert!(!pair.run(Instant::from_secs(20)), "{mode}");
        let suspected = isakmp(&pair).any(|(at, report)| {
            let wrong = |reason: &isakmp_core::reason::Reason| reason.subject == Subject::Signature;
            at.side == Side::B
                && matches!(report, Report::Suspicious { reason, .. } if wrong(reason))
        });
        assert!(suspected, "{mode}");
        assert_eq!(isakmp_sas(&mut pair, Side::B), 0);
        assert_eq!(pair.clear, 0);
    }
});

story!(hybrid_authentication, |engines, seed| {
    // A is the user, who has no key of its own; B is the gateway.
    for mode in ["MAIN", "AGGRESSIVE"] {
        let client = format!(
            "MODE={mode} HYBRIDXAUTH=ON XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge"
        );
        let server = format!("MODE={mode} HYBRIDXAUTH=ON XAUTH=SERVER");
        let configs = rsa([&client, &server]);
        let configs = one(&configs, 0, "LOCALRSAKEY=2 KEY=3", "KEY=3");
        let configs = one(&configs, 1, "LOCALRSAKEY=2 KEY=3", "LOCALRSAKEY=2");
        let user = "ADD USER=joger PASSWORD=hogehoge LOGIN=NO\nENABLE IPSEC";
        let configs = one(&configs, 1, "ENABLE IPSEC", user);
        for side in [Side::A, Side::B] {
            let mut pair = pair_with_keys(&engines, &configs, seed);
            pair.run_to(Instant::from_secs(1));
            let (from, to) = match side {
                Side::A => (HOST_A, HOST_B),
                Side::B => (HOST_B, HOST_A),
            };
            let now = pair.now;
            pair.ping(from, to, now);
            assert!(pair.run(MINUTE), "{mode}: {:?}", failures(&pair));
            assert_eq!(failures(&pair), [""; 0], "{mode}");
            let sa = pair.b.device.endpoint().sas().next().expect("one");
            assert_eq!(sa.user.as_deref(), Some(&b"joger"[..]));
        }
        // A gateway with another key is none, and is told no password.
        let mut pair = Pair::new(&engines, seed);
        for (side, own, other) in [
            (Side::A, PRIVATE_A, PUBLIC_A),
            (Side::B, PRIVATE_B, PUBLIC_A),
        ] {
            let router = pair.router(side);
            router.host.files.insert("own.key".into(), own.into());
            router.host.files.insert("peer.key".into(), other.into());
            router.run_script(Instant::ZERO, &configs[side as usize]);
        }
        pair.connect();
        pair.run_to(Instant::from_secs(1));
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        assert!(!pair.run(Instant::from_secs(20)));
        let transactions = transmissions(&pair, Side::A, (ExchangeType::Transaction, 1));
        assert!(transactions.is_empty());
    }
});

/// An RSA key that the engine makes is there when it is done, and works.
#[test]
fn an_rsa_key_is_made() {
    let mut pair = pair(&basic(), 3);
    command(
        &mut pair,
        Side::A,
        "CREATE ENCO KEY=9 TYPE=RSA LENGTH=1024 RANDOM",
    );
    let shown = command(&mut pair, Side::A, "SHOW ENCO KEY=9");
    assert!(shown.starts_with("RSA 1024 bits\n0x3081"), "{shown}");
}

/// Several policies for anybody in Main mode: the first whose proposal fits is taken; a policy
/// with the peer's address goes before them.
#[test]
fn the_responder_chooses_its_policy() {
    let line = "CREATE ISAKMP POLICY=i PEER=1.1.1.1 KEY=1 SENDN=TRUE";
    let any = |name: &str, more: &str| {
        format!("CREATE ISAKMP POLICY={name} PEER=ANY KEY=1 SENDN=TRUE {more}")
    };
    for (mine, more, chosen) in [
        ("ENCALG=AES128", "", Some("two")),
        ("ENCALG=DES", "", Some("one")),
        ("ENCALG=AES256", "", None),
        ("ENCALG=AES128", line, Some("two")),
        ("ENCALG=DES", line, Some("i")),
    ] {
        let policies = [
            any("one", ""),
            any("two", "ENCALG=AES128"),
            any("three", "ENCALG=AES128"),
            more.to_owned(),
        ];
        let configs = one(&basic(), 1, line, &policies.join("\n"));
        let configs = one(&configs, 0, "SENDN=TRUE", &format!("SENDN=TRUE {mine}"));
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(5)), chosen.is_some(), "{mine}");
        let sas: Vec<_> = pair.b.device.endpoint().sas().collect();
        let names: Vec<_> = sas.iter().map(|sa| sa.policy_name().as_str()).collect();
        assert_eq!(names, Vec::from_iter(chosen), "{mine} {more}");
    }
}

// PEER by host name: resolved, asked again where there is no answer, and prenegotiated.
story!(peers_by_name, |engines, seed| {
    let line = "PEER=2.2.2.2 KEY=1 SENDN=TRUE";
    let name = "PEER=gateway.example KEY=1 SENDN=TRUE PRENEGOTIATE=TRUE";
    let configs = one(&basic(), 0, line, name);
    let mut pair = Pair::new(&engines, seed);
    let addresses = vec!["2.2.2.2".parse::<IpAddr>().expect("an address")];
    for side in [Side::A, Side::B] {
        let findings = pair
            .router(side)
            .run_script(Instant::ZERO, &configs[side as usize]);
        assert!(findings.is_empty(), "{findings:?}");
    }
    pair.connect();
    pair.run_to(Instant::from_secs(30));
    assert_eq!(attempts(&pair, 1), 0);
    let names = &mut pair.a.world.names;
    names.insert("gateway.example".into(), addresses);
    pair.run_to(Instant::from_secs(90));
    assert_eq!(attempts(&pair, 1), 1);
    assert_eq!(isakmp_sas(&mut pair, Side::A), 1);
    let now = pair.now;
    pair.ping(HOST_A, HOST_B, now);
    assert!(
        pair.run(now + Duration::from_secs(1)),
        "{:?}",
        failures(&pair)
    );
});

// The IPsec policy, too, may know its peer by name, together with the ISAKMP policy or alone; either
// side may begin, and the screen shows the address once it is known.
story!(ipsec_peers_by_name, |engines, seed| {
    let both_named = ("PEER=2.2.2.2 KEY=1", "PEER=gateway.example KEY=1", "");
    let one_named = (
        "PEER=2.2.2.2 KEY=1",
        "PEER=2.2.2.2 KEY=1",
        " ISAKMPPOLICY=i",
    );
    for ((isakmp, becomes, more), a_begins) in [
        (both_named, true),
        (both_named, false),
        (one_named, true),
        (one_named, false),
    ] {
        let configs = one(&basic(), 0, isakmp, becomes);
        let named = format!("BUNDLE=1 PEER=gateway.example{more}");
        let configs = one(&configs, 0, "BUNDLE=1 PEER=2.2.2.2", &named);
        let mut pair = pair_with(&engines, &configs, seed);
        let peer = |pair: &mut Pair<_>| {
            let screen = command(pair, Side::A, "SHOW IPSEC POLICY=vpn");
            let (_, rest) = screen
                .split_once("Peer IP Address ................ ")
                .expect("a field");
            rest.lines().next().map(str::to_owned)
        };
        assert_eq!(peer(&mut pair).as_deref(), Some("-"));
        // Nobody knows the name yet: what waits is dropped, and nothing is sent.
        // However much waits, once a second somebody is asked.
        for place in 0..200 {
            pair.ping(HOST_A, HOST_B, Instant::from_micros(place * 20_000));
        }
        let before = pair.a.world.lookups;
        assert!(!pair.run(Instant::from_secs(5)), "{becomes}{more}");
        assert_eq!((attempts(&pair, 1), pair.clear), (0, 0));
        let asked = pair.a.world.lookups - before;
        assert!((4..=8).contains(&asked), "{asked}");
        pair.pings.clear();
        let address = "2.2.2.2".parse::<IpAddr>().expect("an address");
        let names = &mut pair.a.world.names;
        names.insert("gateway.example".into(), vec![address]);
        // The ISAKMP policy asks again after a while.
        let begin = Instant::from_secs(120);
        pair.run_to(begin);
        let ends = if a_begins {
            (HOST_A, HOST_B)
        } else {
            (HOST_B, HOST_A)
        };
        pair.ping(ends.0, ends.1, begin);
        let up = pair.run(begin + Duration::from_secs(10));
        assert!(up, "{becomes}{more} {a_begins}: {:?}", failures(&pair));
        pair.ping(HOST_A, HOST_B, begin + Duration::from_secs(10));
        assert!(pair.run(begin + Duration::from_secs(20)));
        if a_begins {
            assert_eq!(peer(&mut pair).as_deref(), Some("2.2.2.2"));
        }
        assert_eq!(pair.clear, 0);
    }
});

story!(prenegotiation_begins_with_enable, |engines, seed| {
    let configs = one(&basic(), 0, "SENDN=TRUE", "SENDN=TRUE PRENEGOTIATE=TRUE");
    let mut pair = pair_with(&engines, &configs, seed);
    pair.run_to(Instant::from_secs(5));
    let sas = [Side::A, Side::B].map(|side| isakmp_sas(&mut pair, side));
    assert_eq!(sas, [1, 1]);
    assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 0));
    // Again after it was disabled, and not for a mere change of parameters.
    command(
        &mut pair,
        Side::A,
        "ENABLE ISAKMP POLICYSERVERENABLED=FALSE",
    );
    pair.run_to(Instant::from_secs(10));
    assert_eq!(attempts(&pair, 1), 1);
    command(&mut pair, Side::A, "DISABLE ISAKMP");
    command(&mut pair, Side::A, "ENABLE ISAKMP");
    pair.run_to(Instant::from_secs(15));
    assert_eq!(attempts(&pair, 1), 2);
});

/// ISAKMP on another port, from another interface.
#[test]
fn port_and_source() {
    let configs = both(&basic(), "ENABLE ISAKMP", "ENABLE ISAKMP UDPPORT=5000");
    let configs = both(&configs, "LPORT=500 RPORT=500", "LPORT=5000 RPORT=5000");
    let mut other = pair(&configs, 1);
    ping_both(&mut other);
    assert!(other.run(MINUTE), "{:?}", failures(&other));
    let sa = other.a.device.endpoint().sas().next().expect("one");
    assert_eq!((sa.path.local.port(), sa.path.peer.port()), (5000, 5000));

    // A speaks from the address of its LAN, which B expects.
    let configs = one(&basic(), 0, "SENDN=TRUE", "SENDN=TRUE SRCINTERFACE=vlan1");
    let configs = one(
        &configs,
        1,
        "ISAKMP POLICY=i PEER=1.1.1.1",
        "ISAKMP POLICY=i PEER=192.168.10.1",
    );
    let mut source = pair(&configs, 1);
    source.ping(HOST_A, HOST_B, Instant::ZERO);
    source.run_to(Instant::from_secs(2));
    let sa = source.a.device.endpoint().sas().next().expect("one");
    assert_eq!(
        sa.path.local.ip(),
        "192.168.10.1".parse::<IpAddr>().expect("an address")
    );
}

/// Bytes of enciphered ISAKMP messages count, and the SA is renewed before they are used up.
#[test]
fn kilobytes_of_isakmp() {
    let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE EXPIRYKBYTES=2");
    let configs = both(&configs, "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=300");
    let mut pair = pair(&configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(MINUTE));
    let sa = pair.a.device.endpoint().sas().next().expect("one");
    // The three messages of Quick mode.
    assert_eq!(sa.bytes, 164 + 164 + 52, "both directions count");
    assert_eq!(sa.lifetime.kbytes, Some(2));
    steady(&mut pair, 61, 2400);
    assert!(attempts(&pair, 1) >= 2, "{}", attempts(&pair, 1));
    assert_eq!(failures(&pair), [""; 0]);
}

/// So many phase 2 exchanges under one ISAKMP SA, then a new one.
#[test]
fn phase_2_exchanges_are_limited() {
    for limit in [1, 2, 5] {
        let policy = format!("SENDN=TRUE PHASE2XCHGLIMIT={limit}");
        let configs = both(&basic(), "SENDN=TRUE", &policy);
        let configs = both(&configs, "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=300");
        let mut pair = pair(&configs, 1);
        ping_both(&mut pair);
        assert!(pair.run(MINUTE));
        let mut sas = pair.a.device.endpoint().sas();
        let number = sas.next().expect("an SA").number;
        drop(sas);
        let sa = command(&mut pair, Side::A, &format!("SHOW ISAKMP SA={number}"));
        let allowed = format!("Number of Phase 2 exchanges allowed . {limit}\n");
        assert!(sa.contains(&allowed), "{sa}");
        steady(&mut pair, 61, 3000);
        let (first, second) = (attempts(&pair, 1), attempts(&pair, 2));
        assert!(second >= 9, "{second}");
        assert!(first >= second / limit, "{limit}: {first} and {second}");
        assert_eq!(failures(&pair), [""; 0], "{limit}");
    }
}

/// A timed-out negotiation is tried again as often as the policy says, and no more.
#[test]
fn retries_are_counted() {
    for (word, times) in [("0", 0), ("2", 2), ("16", 16)] {
        let policy = format!("SENDN=TRUE RETRYIKEATTEMPTS={word} MSGTIMEOUT=1 MSGRETRYLIMIT=1");
        let configs = one(&basic(), 0, "SENDN=TRUE", &policy);
        let mut pair = pair(&configs, 1);
        pair.road = Some(Box::new(|_, _, _| Vec::new()));
        // One packet that nobody repeats.
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_micros(500_000));
        pair.pings.clear();
        pair.run_to(Instant::from_secs(3));
        let view = pair.a.device.endpoint().retries(&Name::new("i"));
        let phases = if times > 0 {
            RetryPhases::Both
        } else {
            RetryPhases::None
        };
        assert_eq!(
            (view.attempts, view.phases),
            (times.min(1), phases),
            "{word}"
        );
        pair.run_to(Instant::from_secs(600));
        assert_eq!(attempts(&pair, 1), 1 + times as usize, "{word}");
        assert_eq!(
            pair.a
                .device
                .endpoint()
                .counters()
                .get(Happened::RetryIkeAttemptsPh1),
            u64::from(times)
        );
        at_rest(&mut pair);
    }
}

/// CONTINUOUS goes on for a day, and a peer that comes back in between is met.
#[test]
fn continuous_retries_end_after_a_day() {
    let policy = "SENDN=TRUE RETRYIKEATTEMPTS=CONTINUOUS PRENEGOTIATE=TRUE";
    let configs = one(&basic(), 0, "SENDN=TRUE", policy);
    for back_at in [Some(3600 * 5), None] {
        let mut pair = pair(&configs, 1);
        let gone = Rc::new(std::cell::Cell::new(true));
        let still = Rc::clone(&gone);
        pair.road = Some(Box::new(move |_, _, packet| {
            let copy = (Duration::ZERO, packet.to_vec());
            if still.get() { Vec::new() } else { vec![copy] }
        }));
        if let Some(seconds) = back_at {
            pair.run_to(Instant::from_secs(seconds));
            gone.set(false);
            pair.run_to(Instant::from_secs(seconds + 400));
            assert_eq!(isakmp_sas(&mut pair, Side::A), 1);
        } else {
            pair.run_to(Instant::from_secs(3600 * 25));
            let so_far = attempts(&pair, 1);
            // 292 s for an attempt and 4 s between two.
            assert!((290..=293).contains(&so_far), "{so_far}");
            pair.run_to(Instant::from_secs(3600 * 48));
            assert_eq!(attempts(&pair, 1), so_far);
            at_rest(&mut pair);
        }
    }
}

/// A refused proposal, a wrong key and a Delete of the newest SA are tried again.
#[test]
fn what_else_is_tried_again() {
    let policy = "SENDN=TRUE RETRYIKEATTEMPTS=3 MSGTIMEOUT=1 MSGRETRYLIMIT=1";
    let configs = one(&basic(), 0, "SENDN=TRUE", policy);
    let refused = one(&configs, 1, "SENDN=TRUE", "SENDN=TRUE HASHALG=MD5");
    let key = one(&configs, 1, "jogefoge", "fogejoge");
    for configs in [refused, key] {
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_micros(500_000));
        pair.pings.clear();
        pair.run_to(Instant::from_secs(300));
        assert_eq!(attempts(&pair, 1), 4, "{:?}", failures(&pair));
    }
    // Phase 2 is refused: phase 1 stays.
    let configs = one(&configs, 1, "HASHALG=SHA", "HASHALG=MD5");
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_micros(500_000));
    pair.pings.clear();
    pair.run_to(Instant::from_secs(300));
    assert_eq!(
        (attempts(&pair, 1), attempts(&pair, 2)),
        (1, 4),
        "{:?}",
        failures(&pair)
    );
}

/// The peer deletes the newest ISAKMP SA, or the newest bundle: both are negotiated again.
#[test]
fn what_the_peer_deletes_is_negotiated_again() {
    let configs = one(&basic(), 0, "SENDN=TRUE", "SENDN=TRUE RETRYIKEATTEMPTS=3");
    let configs = one(&configs, 1, "SENDN=TRUE", "SENDN=TRUE SENDDELETES=TRUE");
    let mut pair = pair(&configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(MINUTE));
    pair.pings.clear();
    command(&mut pair, Side::B, "RESET IPSEC POLICY=vpn");
    let now = pair.now;
    pair.run_to(now + Duration::from_secs(10));
    assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 2));
    assert_eq!(bundles(&mut pair, Side::B), 1);
    let told = isakmp(&pair).any(|(_, report)| {
        matches!(report, Report::Notified { kind, .. } if *kind == NotifyType::NO_PROPOSAL_CHOSEN)
    });
    assert!(!told);
    command(&mut pair, Side::B, "DISABLE ISAKMP");
    command(&mut pair, Side::B, "ENABLE ISAKMP");
    let now = pair.now;
    pair.run_to(now + Duration::from_secs(10));
    assert_eq!(attempts(&pair, 1), 2);
    assert_eq!(isakmp_sas(&mut pair, Side::A), 1);
}

/// An answer with a signature costs an exponentiation and more before anything is proved: they are
/// rare, whoever the first messages claim to be from.
#[test]
fn threat_b2_signatures_are_rationed_for_all() {
    let configs = rsa(["MODE=AGGRESSIVE"; 2]);
    let seen: Rc<RefCell<Vec<u8>>> = Rc::default();
    let mut pair = pair_with_keys(|_| SoftEngines::new(256, 64, 64), &configs, 1);
    let first = Rc::clone(&seen);
    pair.road = Some(Box::new(move |_, _, packet| {
        first.borrow_mut().clear();
        first.borrow_mut().extend_from_slice(packet);
        Vec::new()
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(3));
    let mut packet = seen.take();
    pair.road = Some(Box::new(|_, _, _| Vec::new()));
    let began = |pair: &Pair| {
        let reports = isakmp(pair).filter(|(happening, _)| happening.side == Side::B);
        let reports = reports.filter(|(_, report)| matches!(report, Report::Started { .. }));
        reports.count()
    };
    for number in 0..1000_u16 {
        // Another cookie; no checksum of UDP.
        packet[28..30].copy_from_slice(&number.to_be_bytes());
        packet[26..28].fill(0);
        let now = pair.now;
        pair.b.receive(now, &packet);
        pair.turn(Side::B);
    }
    // Of a thousand answers in a second each counts twenty.
    assert_eq!(began(&pair), 50);
}

/// With a limit, no ISAKMP SA ever has more phase 2 exchanges than that, whoever begins them, and
/// its successor does not wait for the next need.
#[test]
fn no_sa_has_more_phase_2_exchanges_than_the_limit() {
    let limited = "SENDN=TRUE PHASE2XCHGLIMIT=2";
    for (a, b) in [
        (limited, limited),
        (limited, "SENDN=TRUE"),
        ("SENDN=TRUE", limited),
    ] {
        let configs = one(&basic(), 0, "SENDN=TRUE", a);
        let configs = one(&configs, 1, "SENDN=TRUE", b);
        // B cannot begin anything: what A begins beyond the limit must be refused.
        let configs = one(&configs, 1, "PEER=1.1.1.1 KEY", "PEER=ANY KEY");
        let configs = one(
            &configs,
            1,
            "BUNDLE=1 PEER=1.1.1.1",
            "BUNDLE=1 PEER=DYNAMIC",
        );
        let configs = both(&configs, "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=300");
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(MINUTE));
        for minute in 1..30 {
            pair.pings.clear();
            let now = Instant::from_secs(60 * minute);
            pair.ping(HOST_A, HOST_B, now);
            pair.run_to(now + Duration::from_secs(59));
            let limits = [(Side::A, a), (Side::B, b)];
            for (side, _) in limits.iter().filter(|(_, policy)| *policy == limited) {
                let sas = pair.router(*side).device.endpoint().sas();
                let most = sas.map(|sa| sa.exchanges).max();
                assert!(most <= Some(2), "{side}: {most:?} in minute {minute}");
            }
        }
        assert!(attempts(&pair, 2) >= 6, "{}", attempts(&pair, 2));
        let ahead = a == limited;
        assert_eq!(
            attempts(&pair, 1) > attempts(&pair, 2) / 2,
            ahead,
            "{a} {b}"
        );
    }
}

/// At the soft limit of bytes a successor takes over; where none can be had, the hard limit ends
/// the SA.
#[test]
fn bytes_of_isakmp_renew_and_end_an_sa() {
    let limited = "SENDN=TRUE HEARTBEATMODE=SEND EXPIRYKBYTES=1";
    let configs = both(&basic(), "SENDN=TRUE", limited);
    for cut in [false, true] {
        let mut pair = pair(&configs, 1);
        ping_both(&mut pair);
        assert!(pair.run(MINUTE));
        if cut {
            pair.road = Some(Box::new(|_, _, _| Vec::new()));
        }
        let before = pair.a.device.endpoint().sas().next().expect("one").cookies;
        let mut most = 0;
        for second in 2..400 {
            pair.run_to(Instant::from_secs(second));
            let sas = pair.a.device.endpoint().sas();
            most = sas.map(|sa| sa.bytes).max().unwrap_or(0).max(most);
        }
        assert!(most < 1024 + 200, "{most}");
        let mut sas = pair.a.device.endpoint().sas();
        assert!(sas.all(|sa| sa.cookies != before), "cut {cut}");
        drop(sas);
        let counters = pair.a.device.endpoint().counters();
        let ended = if cut {
            Happened::SadExpired
        } else {
            Happened::SadReplaced
        };
        assert!(counters.get(ended) > 0, "cut {cut}");
    }
}

/// The policy that ISAKMPPOLICY names counts for the responder too.
#[test]
fn an_ipsec_policy_is_for_the_peers_of_its_isakmp_policy() {
    let line = "CREATE ISAKMP POLICY=i PEER=1.1.1.1 KEY=1 SENDN=TRUE";
    let two = format!("{line}\nCREATE ISAKMP POLICY=j PEER=ANY KEY=1");
    let configs = one(&basic(), 1, line, &two);
    for (named, works) in [("i", true), ("j", false)] {
        let ipsec = format!("BUNDLE=1 ISAKMP={named} PEER");
        let mut pair = pair(&one(&configs, 1, "BUNDLE=1 PEER", &ipsec), 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(5)), works, "{named}");
        let refused = failed(&pair, Side::B);
        let refused = refused
            .iter()
            .any(|(_, why)| *why == Subject::NoIpsecPolicy);
        assert_eq!(refused, !works, "{named}");
    }
}

/// Identities of quick mode are left out where they are the gateways, unless SENDIDALWAYS.
#[test]
fn identities_of_gateways_are_sent_on_demand() {
    for always in [false, true] {
        let policy = format!(
            "SENDN=TRUE SENDIDALWAYS={}",
            if always { "TRUE" } else { "FALSE" }
        );
        let configs = both(&basic(), "SENDN=TRUE", &policy);
        let lan = |own: &str, other: &str| {
            format!("LAD=192.168.{own}.0 LMA=255.255.255.0 RAD=192.168.{other}.0 RMA=255.255.255.0")
        };
        let configs = one(&configs, 0, &lan("10", "20"), "LAD=1.1.1.1 RAD=2.2.2.2");
        let configs = one(&configs, 1, &lan("20", "10"), "LAD=2.2.2.2 RAD=1.1.1.1");
        let mut pair = pair(&configs, 1);
        let [a, b] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2)];
        pair.ping(a, b, Instant::ZERO);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        let named = isakmp(&pair).any(|(_, report)| {
            matches!(report, Report::Message { kind: ExchangeType::Quick, payloads, .. }
                if payloads.contains(&PayloadType::ID))
        });
        assert_eq!(named, always);
    }
}

/// At most two quick modes at once under one ISAKMP SA; the other requests wait for their turn,
/// and no more of them than there are places.
#[test]
fn quick_modes_take_turns() {
    let policies = |own: &str, other: &str, peer: &str, hosts: [&str; 2]| -> String {
        let policy = |host: u8| {
            let [own_host, other_host] = hosts.map(|side| match side {
                "host" => format!("{host}"),
                net => net.to_string(),
            });
            format!(
                "CREATE IPSEC POLICY=v{host} INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER={peer}\n\
                 SET IPSEC POLICY=v{host} LAD=192.168.{own}.{own_host} RAD=192.168.{other}.{other_host}\n"
            )
        };
        (1..=6).map(policy).collect()
    };
    let last = "CREATE IPSEC POLICY=vpn";
    let a = policies("10", "20", "2.2.2.2", ["host", "host"]);
    let b = policies("20", "10", "1.1.1.1", ["host", "host"]);
    let configs = one(&basic(), 0, last, &format!("{a}{last}"));
    let configs = one(&configs, 1, last, &format!("{b}{last}"));
    for (places, served) in [(32, 6), (3, 3)] {
        let limits = ipsec_core::Limits {
            queued_acquires: places,
            ..ipsec_core::Limits::default()
        };
        let mut pair = Pair::with_limits(&limits, |_| SoftEngines::new(256, 64, 64), 1);
        for (side, text) in [Side::A, Side::B].into_iter().zip(&configs) {
            let findings = pair.router(side).run_script(Instant::ZERO, text);
            assert!(findings.is_empty(), "{findings:?}");
        }
        pair.connect();
        for host in 1..=6 {
            let [from, to] = [10, 20].map(|net| Ipv4Addr::new(192, 168, net, host));
            pair.ping(from, to, Instant::ZERO);
        }
        let mut most = 0;
        for millis in 1..900 {
            pair.run_to(Instant::from_micros(millis * 1000));
            let now = pair.now;
            let exchanges = pair.a.device.endpoint().exchanges(now);
            let quick = exchanges.filter(|exchange| exchange.kind == ExchangeType::Quick);
            most = quick.count().max(most);
        }
        assert_eq!(most, 2);
        assert_eq!(bundles(&mut pair, Side::A), served);
    }
}
