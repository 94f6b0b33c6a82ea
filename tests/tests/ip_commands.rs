//! Addresses and routes of both versions, from commands and back to commands.

use ipsec_core::Instant;
use ipsec_core::model::InterfaceName;
use lab::Pair;

const SCRIPT: &str = "\
ENABLE IP
ENABLE IPV6
ADD IP INTERFACE=ppp0 IPADDRESS=1.1.1.1 MASK=255.255.255.255
ADD IPV6 INTERFACE=ppp0 IPADDRESS=2001:db8::1/64
ADD IP INTERFACE=vlan1 IPADDRESS=0.0.0.0 MASK=255.255.255.255
ADD IP ROUTE=0.0.0.0 INTERFACE=ppp0 NEXTHOP=0.0.0.0
ADD IPV6 ROUTE=::/0 INTERFACE=ppp0 NEXTHOP=2001:db8::ff
";

#[test]
fn addresses_and_routes_come_back_as_they_were_given() {
    let mut pair = Pair::soft(1);
    let findings = pair.a.run_script(Instant::ZERO, SCRIPT);
    assert!(findings.is_empty(), "{findings:?}");
    let text = config_lang::dump::all(pair.a.device.state());
    assert_eq!(text, SCRIPT);
    let net = &pair.a.device.state().net;
    let ppp0 = net.by_name(&InterfaceName::new("ppp0"));
    let (to, hop): (std::net::IpAddr, std::net::IpAddr) = (
        "fd00::1".parse().expect("an address"),
        "2001:db8::ff".parse().expect("an address"),
    );
    assert_eq!(net.route(to), ppp0.map(|on| (on, Some(hop))));
    assert_eq!(
        net.source_for(to, None),
        Some("2001:db8::1".parse().expect("an address"))
    );
}

#[test]
fn what_is_no_ipv6_prefix_is_refused_with_its_place() {
    for (line, complaint) in [
        (
            "ADD IPV6 INT=ppp0 IP=2001:db8::1",
            "an IPv6 address with its prefix length",
        ),
        (
            "ADD IPV6 INT=ppp0 IP=1.1.1.1/24",
            "an IPv6 address with its prefix length",
        ),
        (
            "ADD IPV6 INT=ppp0 IP=2001:db8::1/129",
            "an IPv6 address with its prefix length",
        ),
        (
            "ADD IPV6 ROUTE=::/0 INT=ppp9",
            "the interface ppp9 has no IP configuration",
        ),
    ] {
        let mut pair = Pair::soft(1);
        let outcome = pair.a.command(Instant::ZERO, line);
        assert!(outcome.text.contains(complaint), "{line}: {}", outcome.text);
        assert_eq!(config_lang::dump::all(pair.a.device.state()), "");
    }
}
