//! IPv6 outside, inside and both: two routers that find each other and carry what they should.

use core::net::IpAddr;

use ipsec_core::Instant;
use lab::Side;
use sekisho_tests::{
    at_rest, attempts, both, bundles, config, failures, one, pair, pair_with, ping_both, steady,
    story,
};

fn configs() -> [String; 2] {
    [config("ipv6-vpn.a"), config("ipv6-vpn.b")]
}

const SPEC: &str = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA";
const BUNDLE: &str = "STRING=\"1\"";

story!(a_tunnel_over_ipv6_comes_up, |engines, seed| {
    let mut pair = pair_with(&engines, &configs(), seed);
    for (place, (_, from, to)) in (0..).zip(pair.default_pings()) {
        pair.ping(from, to, Instant::from_secs(place));
    }
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    assert_eq!(pair.clear, 0);
    at_rest(&mut pair);
});

#[test]
fn every_protocol_and_mode_works_over_ipv6() {
    let ah = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=MD5";
    for (mode, tunnel) in [("", true), (" MODE=TRANSPORT", false)] {
        for string in ["1", "2", "1 AND 2"] {
            let specs = format!("{SPEC}{mode}\n{ah}{mode}");
            let configs = both(&configs(), SPEC, &specs);
            let mut configs = both(&configs, BUNDLE, &format!("STRING=\"{string}\""));
            if !tunnel {
                // Between the routers themselves; their ISAKMP is permitted in front of it.
                for (text, own, peer) in [(0, 1, 2), (1, 2, 1)] {
                    let start = configs[text]
                        .find("SET IPSEC POLICY=vpn")
                        .expect("the selectors");
                    let end = configs[text][start..].find('\n').expect("a line") + start;
                    let line = format!(
                        "SET IPSEC POLICY=vpn LAD=2001:db8::{own}/128 RAD=2001:db8::{peer}/128"
                    );
                    configs[text].replace_range(start..end, &line);
                }
            }
            let mut pair = pair(&configs, 7);
            let pings = pair.default_pings();
            assert!(!pings.is_empty());
            for (place, (_, from, to)) in (0..).zip(pings) {
                pair.ping(from, to, Instant::from_secs(place));
            }
            let up = pair.run(Instant::from_secs(30));
            assert!(up, "{string}{mode}: {:?}", failures(&pair));
            assert_eq!(
                (pair.clear, bundles(&mut pair, Side::A)),
                (0, 1),
                "{string}{mode}"
            );
            at_rest(&mut pair);
        }
    }
}

/// The LANs speak the version that the path between the routers does not.
#[test]
fn either_version_goes_through_a_tunnel_of_the_other() {
    let basic = sekisho_tests::basic();
    let v6 = configs();
    // IPv4 in IPv6.
    let mut inside_v6 = v6.clone();
    for (text, own, peer) in [(0, 10, 20), (1, 20, 10)] {
        let start = inside_v6[text]
            .find("CREATE IPSEC POLICY=vpn")
            .expect("the policy");
        let end = inside_v6[text]
            .find("CREATE IPSEC POLICY=inet")
            .expect("the last policy");
        let outer = if text == 0 { 2 } else { 1 };
        let lines = format!(
            "ENABLE IP\nADD IP INT=vlan1 IP=192.168.{own}.1 MASK=255.255.255.0\n\
             ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0\n\
             CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 \
             PEER=2001:db8::{outer} LAD=192.168.{own}.0 LMA=255.255.255.0 \
             RAD=192.168.{peer}.0 RMA=255.255.255.0\n"
        );
        inside_v6[text].replace_range(start..end, &lines);
    }
    let mut pair = pair(&inside_v6, 3);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(20)), "{:?}", failures(&pair));
    assert_eq!(pair.clear, 0);
    steady(&mut pair, 20, 40);
    at_rest(&mut pair);

    // IPv6 in IPv4.
    let mut inside_v4 = basic.clone();
    for (text, own, peer, outer) in [(0, 10, 20, "2.2.2.2"), (1, 20, 10, "1.1.1.1")] {
        let start = inside_v4[text]
            .find("CREATE IPSEC POLICY=vpn")
            .expect("the policy");
        let end = inside_v4[text]
            .find("CREATE IPSEC POLICY=inet")
            .expect("the last policy");
        let lines = format!(
            "ENABLE IPV6\nADD IPV6 INT=vlan1 IP=fd00:{own}::1/64\n\
             ADD IPV6 ROUTE=::/0 INT=ppp0\n\
             CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC IPVERSION=6 KEYMAN=ISAKMP BUNDLE=1 \
             PEER={outer} LAD=fd00:{own}::/64 RAD=fd00:{peer}::/64\n"
        );
        inside_v4[text].replace_range(start..end, &lines);
    }
    let mut pair = sekisho_tests::pair(&inside_v4, 3);
    for (at, from, to) in [
        (0, "fd00:10::2", "fd00:20::2"),
        (1, "fd00:20::2", "fd00:10::2"),
    ] {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        pair.ping(address(from), address(to), Instant::from_secs(at));
    }
    assert!(pair.run(Instant::from_secs(20)), "{:?}", failures(&pair));
    assert_eq!((pair.clear, bundles(&mut pair, Side::B)), (0, 1));
    at_rest(&mut pair);
}

#[test]
fn both_limits_are_renewed_over_ipv6() {
    let configs = both(&configs(), BUNDLE, "STRING=\"1\" EXPIRYSECONDS=300");
    let configs = one(&configs, 0, "SENDN=TRUE", "SENDN=TRUE EXPIRYSECONDS=700");
    let mut pair = pair(&configs, 5);
    let (_, from, to) = pair.default_pings()[0];
    for at in (1..1800).step_by(10) {
        pair.ping(from, to, Instant::from_secs(at));
    }
    assert!(pair.run(Instant::from_secs(1800)), "{:?}", failures(&pair));
    assert!(attempts(&pair, 1) >= 2, "{}", attempts(&pair, 1));
    assert!(attempts(&pair, 2) >= 6, "{}", attempts(&pair, 2));
    assert_eq!(pair.clear, 0);
}
