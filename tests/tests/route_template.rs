//! IPROUTETEMPLATE: a route to the peer's network comes and goes with the SA.

use ipsec_core::Instant;
use isakmp_core::device::Device;
use lab::{Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, bundles, command, config, failures, one, pair, pair_with, story,
};

const TEMPLATE: &str = "ADD IP ROUTE TEMPLATE=\"clients\" INTERFACE=ppp0";

/// A's default route leads elsewhere: without the template it answers B by the wrong interface.
fn configs(template: &str) -> [String; 2] {
    let b = config("aggressive-dynamic.b");
    let a = config("aggressive-dynamic.a");
    let both = [a, b];
    let elsewhere = format!(
        "ADD IP INT=eth0 IP=9.9.9.1 MASK=255.255.255.0\n\
         ADD IP ROUTE=2.2.2.2 MASK=255.255.255.255 INT=ppp0\n\
         ADD IP ROUTE=0.0.0.0 INT=eth0 NEXT=9.9.9.2\n{TEMPLATE}"
    );
    let both = one(
        &both,
        0,
        "ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0",
        &elsewhere,
    );
    one(
        &both,
        0,
        "RMA=255.255.255.0",
        &format!("RMA=255.255.255.0 {template}"),
    )
}

fn registered<E: hw_offload::Engines>(device: &Device<E>) -> Vec<String> {
    let routes = device.state().net.registered();
    let text = |(address, len)| format!("{address}/{len}");
    routes.map(|(_, route)| text(route.destination)).collect()
}

/// How many packets from behind A go where the packets for HOST_B go.
fn replies(pair: &mut Pair) -> bool {
    pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
    pair.run(Instant::from_secs(20))
}

story!(a_route_comes_and_goes_with_the_sa, |engines, seed| {
    let mut pair = pair_with(&engines, &configs("IPROUTETEMPLATE=CLIENTS"), seed);
    assert!(registered(&pair.a.device).is_empty());
    pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    assert_eq!(registered(&pair.a.device), ["192.168.20.0/24"]);
    command(&mut pair, Side::A, "RESET IPSEC POLICY=vpn");
    assert_eq!(bundles(&mut pair, Side::A), 0);
    let end = pair.now + core::time::Duration::from_secs(1);
    pair.run_to(end);
    assert!(registered(&pair.a.device).is_empty());
});

#[test]
fn without_it_the_answers_go_elsewhere() {
    assert!(!replies(&mut pair(&configs(""), 1)));
    assert!(replies(&mut pair(&configs("IPROUTETEMPLATE=clients"), 1)));
}

#[test]
fn a_renewed_sa_keeps_the_route() {
    let configs = one(
        &configs("IPROUTETEMPLATE=clients"),
        1,
        "STRING=\"1\"",
        "STRING=\"1\" EXPIRYSECONDS=300",
    );
    let mut pair = pair(&configs, 3);
    for at in (1..900).step_by(20) {
        pair.ping(HOST_B, HOST_A, Instant::from_secs(at));
    }
    pair.run_to(Instant::from_secs(200));
    let owners = |pair: &Pair| -> Vec<_> {
        let routes = pair.a.device.state().net.registered();
        routes.map(|(bundle, _)| bundle).collect()
    };
    let first = owners(&pair)[0];
    assert!(pair.run(Instant::from_secs(900)), "{:?}", failures(&pair));
    let renewed = owners(&pair);
    assert!(!renewed.is_empty());
    assert!(!renewed.contains(&first));
}

/// What A registers for a client with those addresses behind it.
fn claimed(range: &str) -> Vec<String> {
    let configs = configs("IPROUTETEMPLATE=clients");
    let any = "RAD=192.168.20.0 RMA=255.255.255.0";
    let configs = one(&configs, 0, any, "RAD=ANY");
    let configs = one(&configs, 1, "LAD=192.168.20.0 LMA=255.255.255.0", range);
    let mut pair = pair(&configs, 5);
    pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
    pair.run(Instant::from_secs(20));
    assert_eq!(bundles(&mut pair, Side::A), 1, "{:?}", failures(&pair));
    registered(&pair.a.device)
}

#[test]
fn no_peer_gets_the_default_route_or_a_network_of_ours() {
    let none: [&str; 0] = [];
    assert_eq!(
        claimed("LAD=192.168.0.0-192.168.255.255"),
        ["192.168.0.0/16"]
    );
    for everything in ["LAD=0.0.0.0-255.255.255.255", "LAD=0.0.0.0 LMA=0.0.0.0"] {
        assert_eq!(claimed(everything), none, "{everything}");
    }
    // 9.9.9.0/24 is on another interface of A.
    let beside = claimed("LAD=9.9.9.0-192.168.20.255");
    assert!(beside.contains(&"9.9.10.0/23".into()), "{beside:?}");
    assert!(!beside.contains(&"9.9.9.0/24".into()), "{beside:?}");
}

#[test]
fn a_template_that_is_missing_is_told_in_the_log() {
    let mut pair = pair(&configs("IPROUTETEMPLATE=other"), 1);
    assert!(!replies(&mut pair));
    let log = &pair.a.device.state().log;
    let line = "No route for SA bundle: IP route template other is missing";
    assert!(log.since(0).any(|record| record.message == line));
}

#[test]
fn templates_are_made_once_and_kept_while_they_are_used() {
    let mut pair = pair(&configs("IPROUTETEMPLATE=clients"), 1);
    for (line, answer) in [
        (TEMPLATE, "the IP route template clients exists already"),
        (
            "DELETE IP ROUTE TEMPLATE=clients",
            "the IP route template clients is used by IPsec policy vpn",
        ),
        (
            "DELETE IP ROUTE TEMPLATE=other",
            "the IP route template other does not exist",
        ),
        (
            "ADD IP ROUTE TEMPLATE=t INT=ppp7",
            "the interface ppp7 has no IP configuration",
        ),
    ] {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.contains(answer), "{line}: {text}");
    }
    let dumped = config_lang::dump::all(pair.a.device.state());
    assert!(dumped.contains(TEMPLATE), "{dumped}");
    assert!(dumped.contains("IPROUTETEMPLATE=\"clients\""), "{dumped}");
    let screen = pair.a.command(pair.now, "SHOW IPSEC POLICY=vpn").text;
    assert!(
        screen.contains("IP Route Template .............. clients"),
        "{screen}"
    );
    for line in [
        "DESTROY IPSEC POLICY=vpn",
        "DELETE IP ROUTE TEMPLATE=CLIENTS",
    ] {
        command(&mut pair, Side::A, line);
    }
    assert!(pair.a.device.state().net.templates().is_empty());
}

#[test]
fn a_template_needs_an_isakmp_policy_for_anybody() {
    let mut pair = pair(&configs("IPROUTETEMPLATE=clients"), 1);
    command(
        &mut pair,
        Side::A,
        "CREATE ISAKMP POLICY=f PEER=3.3.3.3 KEY=1",
    );
    let line = "SET IPSEC POLICY=vpn ISAKMPPOLICY=f IPROUTETEMPLATE=clients";
    let text = pair.a.command(pair.now, line).text;
    assert!(text.contains("PEER=ANY; f has not"), "{text}");
}
