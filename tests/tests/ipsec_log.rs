//! The lines that IPsec writes into the log: those of the manual, and their siblings.

use core::time::Duration;

use ipsec_core::Instant;
use lab::{Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, both, command, one, pair, ping_both};

/// What A's log has of IPsec, in order.
fn lines<E: hw_offload::Engines<Buf = lab::Buf>>(pair: &mut Pair<E>) -> Vec<String> {
    let screen = command(pair, Side::A, "SHOW LOG MODULE=IPSE");
    let text = screen
        .lines()
        .filter_map(|line| line.split_once("IPSE IPSC MSG"));
    text.map(|(_, text)| text.trim().to_owned()).collect()
}

fn up(configs: &[String; 2]) -> Pair {
    let mut pair = pair(configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)));
    pair
}

const CREATED: [&str; 2] = ["IPSEC has been enabled", "SA bundle created: Policy - vpn"];

#[test]
fn removed_by_a_command() {
    for line in ["RESET IPSEC POLICY=vpn", "DESTROY IPSEC POLICY=vpn"] {
        let mut pair = up(&basic());
        command(&mut pair, Side::A, line);
        let expected = [&CREATED[..], &["SA bundle removed: Policy - vpn"]].concat();
        assert_eq!(lines(&mut pair), expected, "{line}");
    }
    let mut pair = up(&basic());
    command(&mut pair, Side::A, "DISABLE IPSEC");
    let after = ["IPSEC has been disabled", "SA bundle removed: Policy - vpn"];
    assert_eq!(lines(&mut pair), [&CREATED[..], &after].concat());
}

#[test]
fn expired_where_nobody_renews_it() {
    let configs = both(&basic(), "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=300");
    let mut pair = up(&configs);
    // The peer does not answer any more.
    command(&mut pair, Side::B, "DISABLE ISAKMP");
    command(&mut pair, Side::A, "DISABLE ISAKMP");
    pair.run_to(Instant::from_secs(400));
    let expected = [&CREATED[..], &["SA bundle expired: Policy - vpn"]].concat();
    assert_eq!(lines(&mut pair), expected);
}

#[test]
fn replaced_by_its_successor() {
    let configs = both(&basic(), "STRING=\"1\"", "STRING=\"1\" EXPIRYSECONDS=300");
    let mut pair = up(&configs);
    for at in (10..320).step_by(5) {
        pair.ping(HOST_A, HOST_B, Instant::from_secs(at));
    }
    assert!(pair.run(Instant::from_secs(320)));
    let expected = [
        &CREATED[..],
        &CREATED[1..],
        &["SA bundle replaced: Policy - vpn"],
    ]
    .concat();
    assert_eq!(lines(&mut pair), expected);
}

#[test]
fn creation_failed_where_the_peer_refuses() {
    let configs = one(
        &basic(),
        1,
        "ENCALG=DES HASHALG=SHA",
        "ENCALG=AES128 HASHALG=SHA",
    );
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(0));
    pair.run_to(Instant::from_secs(200));
    let lines = lines(&mut pair);
    assert_eq!(
        lines[..2],
        [
            "IPSEC has been enabled",
            "SA bundle creation failed: Policy - vpn"
        ]
    );
}

#[test]
fn exhausted_sequence_numbers() {
    let configs = both(&basic(), "HASHALG=SHA", "HASHALG=SHA ANTIREPLAY=TRUE");
    let mut pair = up(&configs);
    pair.a.device.set_sequences(u32::MAX - 1);
    let later = pair.now + Duration::from_secs(1);
    for _ in 0..3 {
        pair.ping(HOST_A, HOST_B, later);
    }
    pair.run(later + Duration::from_secs(1));
    let line = "SA sequence numbers exhausted: Policy - vpn";
    let told = lines(&mut pair);
    assert_eq!(
        told.iter().filter(|told| *told == line).count(),
        1,
        "{told:?}"
    );
}
