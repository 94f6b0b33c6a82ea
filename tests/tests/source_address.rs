//! The router's own address as a source: that of SRCINTERFACE, else the sending interface's, else
//! the one configured first; and the warning where that is a network's own address.

use core::net::IpAddr;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use config_lang::message::Severity;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use ipsec_core::wire::flow_of;
use lab::{Buf, Router, Side};
use sekisho_tests::{HOST_A, HOST_B, bundles, config, failures, pair};

const VPN: &str = "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=jogefoge
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 SENDN=TRUE
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC POLICY=isa INT=wan ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP
CREATE IPSEC POLICY=vpn INT=wan ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=vpn LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0
CREATE IPSEC POLICY=inet INT=wan ACTION=PERMIT
ENABLE IPSEC
ENABLE ISAKMP
";

/// A block of the manual with the unnumbered line it leaves out, and the VPN on `wan`.
fn block(name: &str, wan: &str) -> String {
    let text = config(name);
    let line = if text.contains(&format!("INT={wan} ")) {
        String::new()
    } else {
        format!("ADD IP INT={wan} IP=0.0.0.0\nADD IP ROUTE=0.0.0.0 INT={wan} NEXT=0.0.0.0\n")
    };
    format!(
        "{text}\n{line}{}",
        VPN.replace("INT=wan", &format!("INT={wan}"))
    )
}

fn router() -> Router<SoftEngines<Buf>> {
    Router::new(SoftEngines::new(64, 16, 16), 1)
}

/// Pings through the tunnel of a block against the basic configuration of the other side, which
/// knows the router by `source`: everything that the router sends comes from there.
fn sends_from(text: &str, source: &str) {
    let other = config("basic-isakmp-vpn.b").replace("1.1.1.1", source);
    let mut pair = pair(&[text.to_owned(), other], 4);
    let seen = Rc::new(RefCell::new(BTreeSet::new()));
    let noted = Rc::clone(&seen);
    pair.road = Some(Box::new(move |from, _, packet| {
        if from == Side::A {
            noted
                .borrow_mut()
                .insert(flow_of(packet).ok().map(|flow| flow.source));
        }
        vec![(Duration::ZERO, packet.to_vec())]
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.ping(HOST_B, HOST_A, Instant::from_secs(20));
    assert!(pair.run(Instant::from_secs(30)), "{:?}", failures(&pair));
    assert_eq!((pair.clear, bundles(&mut pair, Side::A)), (0, 1));
    let source: IpAddr = source.parse().expect("an address");
    assert_eq!(*seen.borrow(), BTreeSet::from([Some(source)]));
}

/// The addresses from which packets to the peer would be sent.
fn source(text: &str) -> Option<IpAddr> {
    let mut router = router();
    assert_eq!(router.run_script(Instant::ZERO, text), []);
    let state = router.device.state();
    let policy = state.ipsec.policy("vpn").expect("the policy");
    state.net.source_of(policy)
}

#[test]
fn the_address_configured_first_serves_an_unnumbered_interface() {
    let wrong = block("unnumbered-wrong-order", "ppp0");
    assert_eq!(source(&wrong), Some([192, 168, 10, 1].into()));
    sends_from(&wrong, "192.168.10.1");
    let right = block("unnumbered-right-order", "ppp0");
    assert_eq!(source(&right), Some([4, 4, 4, 1].into()));
    sends_from(&right, "4.4.4.1");
}

#[test]
fn the_address_of_srcinterface_comes_before_all() {
    let text = config("unnumbered-srcinterface.a");
    let unnumbered = "ADD IP INT=ppp0 IP=0.0.0.0\nADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0\n";
    let text = format!("{unnumbered}{text}");
    assert_eq!(source(&text), Some([4, 4, 4, 1].into()));
    sends_from(&text, "4.4.4.1");
    // Also before an address of the sending interface itself.
    let text = text.replace(
        "INT=ppp0 IP=0.0.0.0",
        "INT=ppp0 IP=5.5.5.5 MASK=255.255.255.255",
    );
    assert_eq!(source(&text), Some([4, 4, 4, 1].into()));
    sends_from(&text, "4.4.4.1");
}

#[test]
fn a_second_logical_interface_has_a_hosts_address() {
    let text = block("pppoe-lan-type-with-ipsec", "ppp0-1");
    assert_eq!(source(&text), Some([4, 4, 4, 6].into()));
    sends_from(&text, "4.4.4.6");
}

/// The line without IPsec in mind, once the provider has assigned the network's address.
#[test]
fn a_networks_own_address_is_warned_about() {
    let without = config("pppoe-lan-type-without-ipsec");
    let assigned = |at: usize| {
        let lines = [without.as_str(), &VPN.replace("INT=wan", "INT=ppp0")].concat();
        let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        lines.insert(at, "ADD IP INT=ppp0 IP=4.4.4.0 MASK=255.255.255.248".into());
        lines.join("\n")
    };
    let count = without.lines().count();
    // The warning stands where the last of address and policy is given, and nowhere else.
    for at in [count, count + 7, count + 10] {
        let text = assigned(at);
        let all: Vec<&str> = text.lines().collect();
        let line = all
            .iter()
            .rposition(|line| line.contains("POLICY=vpn INT") || line.contains("IP=4.4.4.0 "))
            .expect("both lines");
        let mut router = router();
        let findings = router.run_script(Instant::ZERO, &text);
        let [finding] = findings.as_slice() else {
            panic!("{findings:?}")
        };
        assert_eq!(
            (finding.line, finding.severity),
            (line + 1, Severity::Warning)
        );
        assert!(
            finding.text.contains("vpn sends from 4.4.4.0"),
            "{finding:?}"
        );
    }
    // SRCINTERFACE is the remedy; given later it ends the matter, taken away it is warned about.
    let mut router = router();
    router.run_script(Instant::ZERO, &assigned(count));
    let mut say = |line: &str| router.run_script(Instant::ZERO, line).len();
    assert_eq!(say("SET IPSEC POLICY=vpn SRCINTERFACE=eth1"), 0);
    assert_eq!(say("SET IPSEC POLICY=vpn DFBIT=COPY"), 0);
    assert_eq!(say("SET IPSEC POLICY=vpn SRCINTERFACE=ppp0"), 1);
    // It was said.
    assert_eq!(say("SET IPSEC POLICY=vpn DFBIT=SET"), 0);
}

#[test]
fn a_host_route_and_a_link_of_two_have_no_networks_address() {
    for (mask, warned) in [
        ("255.255.255.255", false),
        ("255.255.255.254", false),
        ("255.255.255.252", true),
        ("255.255.255.0", true),
        ("0.0.0.0", false),
    ] {
        let mut router = router();
        let address = format!("ADD IP INT=ppp0 IP=4.4.4.0 MASK={mask}\n");
        let text = address + &VPN.replace("INT=wan", "INT=ppp0");
        let findings = router.run_script(Instant::ZERO, &text);
        assert_eq!(!findings.is_empty(), warned, "{mask}: {findings:?}");
    }
}
