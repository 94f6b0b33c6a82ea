//! What `gateway check` says: each warning with its cause and without it, every configuration of
//! `examples/configs`, and what the manual forbids on whichever line comes second.

use std::collections::BTreeMap;
use std::path::Path;

use config_lang::Finding;
use config_lang::message::Severity;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use lab::{Buf, Router};

/// A configuration that nobody regrets.
const SOUND: &str = "ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1 MASK=255.255.255.0
ADD IP ROUTE=0.0.0.0 INT=ppp0
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbf
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128 GROUP=2
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP
CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=vpn LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0
CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT
ENABLE IPSEC
ENABLE ISAKMP
";

fn router() -> Router<SoftEngines<Buf>> {
    Router::new(SoftEngines::new(64, 16, 16), 1)
}

fn check(text: &str) -> Vec<Finding> {
    router().check_script(Instant::ZERO, text)
}

/// The number of a message.
fn code(finding: &Finding) -> u32 {
    let (_, rest) = finding.text.split_once('(').expect("a number");
    let (code, _) = rest.split_once(')').expect("a number");
    code.parse().expect("a number")
}

/// A cause: the line of the sound configuration that it changes, or behind which it stands, the
/// line it becomes, and the place and a part of what is said.
struct Cause {
    of: &'static str,
    becomes: &'static str,
    code: u32,
    column: usize,
    says: &'static str,
}

const fn cause(
    of: &'static str,
    becomes: &'static str,
    (code, column): (u32, usize),
    says: &'static str,
) -> Cause {
    Cause {
        of,
        becomes,
        code,
        column,
        says,
    }
}

const ISAKMP: &str = "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128 GROUP=2";
const SPEC: &str = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA";
const KEY: &str = "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbf";
const ISA: &str =
    "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP";
const VPN: &str =
    "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2";
const LANS: &str =
    "SET IPSEC POLICY=vpn LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0";
const INET: &str = "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT";
const ROUTE: &str = "ADD IP ROUTE=0.0.0.0 INT=ppp0";
const WAN: &str = "ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255";

const CAUSES: &[Cause] = &[
    // Weak suites.
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=DES GROUP=2",
        (282_024, 43),
        "ISAKMP policy i uses ENCALG=DES",
    ),
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 GROUP=2",
        (282_024, 1),
        "uses ENCALG=DES, which",
    ),
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128",
        (282_024, 1),
        "uses GROUP=1",
    ),
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 HASHALG=MD5",
        (282_024, 43),
        "uses ENCALG=DES and HASHALG=MD5 and GROUP=1",
    ),
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128 GROUP=0",
        (282_020, 57),
        "GROUP=0",
    ),
    cause(
        SPEC,
        "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA",
        (281_024, 46),
        "SA specification 1 uses ENCALG=DES",
    ),
    cause(
        SPEC,
        "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=NULL HASHALG=SHA",
        (281_024, 46),
        "uses ENCALG=NULL",
    ),
    cause(
        SPEC,
        "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=MD5",
        (281_024, 60),
        "uses HASHALG=MD5",
    ),
    cause(
        SPEC,
        "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=AH HASHALG=MD5",
        (281_024, 45),
        "uses HASHALG=MD5",
    ),
    cause(
        SPEC,
        "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=NULL",
        (281_021, 60),
        "HASHALG=NULL",
    ),
    cause(
        LANS,
        "SET IPSEC POLICY=vpn LAD=192.168.10.0 RAD=192.168.20.0 USEPFSKEY=TRUE",
        (281_024, 56),
        "policy vpn uses GROUP=1",
    ),
    cause(
        LANS,
        "SET IPSEC POLICY=vpn LAD=192.168.10.0 RAD=192.168.20.0 USEPFSKEY=TRUE GROUP=0",
        (281_020, 71),
        "GROUP=0",
    ),
    // Keys.
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128 GROUP=2 MODE=AGGRESSIVE",
        (282_022, 65),
        "ISAKMP policy i shows everybody",
    ),
    cause(
        KEY,
        "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4d",
        (273_001, 32),
        "key 1 is a pre-shared key of 15 bytes",
    ),
    cause(
        KEY,
        "CREATE ENCO KEY=1 TYPE=GENERAL RANDOM LENGTH=8",
        (273_001, 39),
        "of 8 bytes",
    ),
    cause(
        VPN,
        "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2\nCREATE ENCO KEY=7 TYPE=AES RANDOM",
        (273_002, 13),
        "nothing uses key 7",
    ),
    // Policies.
    cause(
        ISA,
        "CREATE IPSEC POLICY=inet1 INT=ppp0 ACTION=PERMIT\nCREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP",
        (281_025, 25),
        "policy isa never matches, as policy inet1 before it on ppp0",
    ),
    cause(
        INET,
        "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT\nCREATE IPSEC POLICY=late INT=ppp0 ACTION=DENY LAD=10.0.0.0 LMA=255.0.0.0 TRANSPORT=TCP",
        (281_025, 26),
        "policy late never",
    ),
    cause(
        ISA,
        "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=DENY LPORT=500 RPORT=500 TRANSPORT=UDP",
        (281_026, 25),
        "policy vpn needs it, but no policy of ppp0 permits UDP from port 500 to port 500",
    ),
    // Several together leave nothing: halves of the addresses, of which one more is beside the
    // point, and the protocols that are left.
    cause(
        INET,
        "CREATE IPSEC POLICY=q INT=ppp0 ACTION=DENY RAD=10.0.0.0 RMA=255.255.255.192\nCREATE IPSEC POLICY=low INT=ppp0 ACTION=DENY RAD=10.0.0.0 RMA=255.255.255.128\nCREATE IPSEC POLICY=high INT=ppp0 ACTION=DENY RAD=10.0.0.128-10.0.0.255\nCREATE IPSEC POLICY=whole INT=ppp0 ACTION=PERMIT RAD=10.0.0.0 RMA=255.255.255.0 TRANSPORT=TCP",
        (281_028, 27),
        "policy whole never matches, as the policies low, high before it on ppp0 together",
    ),
    // Packets for the other LAN do not come to the policy.
    cause(
        ROUTE,
        "ADD IP ROUTE=10.0.0.0 INT=ppp0",
        (281_030, 57),
        "no route leads to 192.168.20.0, which policy vpn is to protect on ppp0",
    ),
    cause(
        ROUTE,
        "ADD IP ROUTE=192.168.20.0 MASK=255.255.255.128 INT=ppp0",
        (281_030, 57),
        "no route leads to 192.168.20.255,",
    ),
    cause(
        ROUTE,
        "ADD IP ROUTE=0.0.0.0 INT=ppp0\nADD IP ROUTE=192.168.0.0 MASK=255.255.0.0 INT=vlan1",
        (281_030, 57),
        "no route leads to 192.168.20.0,",
    ),
    // Ports of one's own.
    cause(
        INET,
        "ENABLE ISAKMP UDPPORT=5000",
        (281_026, 25),
        "permits UDP from port 5000 to port 5000",
    ),
    cause(
        INET,
        "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE\nSET IPSEC UDPPORT=3456\nCREATE IPSEC POLICY=udp INT=ppp0 POS=1 ACTION=PERMIT LPORT=2746 TRANSPORT=UDP",
        (281_026, 25),
        "from port 3456 to port 2746",
    ),
    cause(
        INET,
        "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE UDPPORT=4000\nCREATE IPSEC POLICY=udp INT=ppp0 POS=1 ACTION=PERMIT LPORT=2746 RPORT=2746 TRANSPORT=UDP",
        (281_026, 25),
        "from port 2746 to port 4000",
    ),
    cause(
        LANS,
        "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE\nCREATE IPSEC POLICY=udp INT=ppp0 ACTION=PERMIT LPORT=2746 TRANSPORT=UDP",
        (281_026, 25),
        "from port 2746",
    ),
    cause(
        LANS,
        "SET ISAKMP POLICY=i NATTRAVERSAL=TRUE",
        (281_026, 25),
        "from port 4500",
    ),
    cause(
        ISAKMP,
        "CREATE ISAKMP POLICY=i PEER=ANY KEY=1 ENCALG=AES128 GROUP=2 PRENEGOTIATE=TRUE",
        (282_027, 61),
        "nobody to prenegotiate with",
    ),
    // Networks as sources.
    cause(
        WAN,
        "ADD IP INT=ppp0 IP=1.1.1.0 MASK=255.255.255.0",
        (281_023, 1),
        "policy vpn sends from 1.1.1.0",
    ),
    cause(
        ISAKMP,
        "ADD IP INT=eth0 IP=4.4.4.0 MASK=255.255.255.0\nCREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 ENCALG=AES128 GROUP=2 SRCINT=eth0",
        (282_023, 65),
        "policy i sends from 4.4.4.0",
    ),
];

#[test]
fn a_sound_configuration_is_not_complained_of() {
    assert_eq!(check(SOUND), []);
}

#[test]
fn each_warning_has_its_cause() {
    for cause in CAUSES {
        assert!(SOUND.contains(cause.of), "{}", cause.of);
        let text = SOUND.replace(cause.of, cause.becomes);
        let findings = check(&text);
        let found = findings.iter().find(|finding| code(finding) == cause.code);
        let found = found.unwrap_or_else(|| panic!("{}: {findings:?}", cause.becomes));
        assert!(
            found.text.contains(cause.says),
            "{}: {found:?}",
            cause.becomes
        );
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.column, cause.column, "{}: {found:?}", cause.becomes);
        let line = text.lines().nth(found.line - 1).expect("the line");
        let caused = cause.becomes.lines().any(|other| other == line);
        // What nothing permits and nothing leads to is told of the policy that needs it, what
        // nobody can answer where the last of address and policy is written.
        let elsewhere = match cause.code {
            281_026 | 281_023 => line == VPN,
            281_030 => line == LANS,
            _ => false,
        };
        assert!(caused || elsewhere, "{}: {found:?}", cause.becomes);
    }
}

/// What looks like a cause and is none.
#[test]
fn what_only_looks_like_a_cause_is_not_complained_of() {
    for (of, becomes) in [
        // Peers that authentication tells apart stand beside each other.
        (
            INET,
            "CREATE IPSEC POLICY=d1 INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=DYNAMIC RNAME=one\nCREATE IPSEC POLICY=d2 INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=DYNAMIC RNAME=two\nCREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT",
        ),
        // Another interface, another IP version.
        (
            INET,
            "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT\nCREATE IPSEC POLICY=o INT=eth1 ACTION=PERMIT\nCREATE IPSEC POLICY=s INT=ppp0 ACTION=PERMIT IPV=6",
        ),
        // Any policy that permits it will do.
        (
            ISA,
            "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT TRANSPORT=UDP RAD=2.2.2.2",
        ),
        (
            LANS,
            "SET ISAKMP POLICY=i NATTRAVERSAL=TRUE\nSET IPSEC POLICY=vpn LAD=192.168.10.0 LMA=255.255.255.0",
        ),
        // One address is left, or one port.
        (
            INET,
            "CREATE IPSEC POLICY=low INT=ppp0 ACTION=DENY RAD=10.0.0.0-10.0.0.126\nCREATE IPSEC POLICY=high INT=ppp0 ACTION=DENY RAD=10.0.0.128-10.0.0.255\nCREATE IPSEC POLICY=whole INT=ppp0 ACTION=PERMIT RAD=10.0.0.0 RMA=255.255.255.0\nCREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT",
        ),
        // Two policies permit it, each to half of the addresses.
        (
            INET,
            "SET IPSEC POLICY=vpn PEER=gw.example\nSET IPSEC POLICY=isa RAD=0.0.0.0-9.255.255.255\nCREATE IPSEC POLICY=isb INT=ppp0 POS=1 ACTION=PERMIT RAD=10.0.0.0-255.255.255.255 TRANSPORT=UDP LPORT=500",
        ),
        // Ports of one's own, permitted.
        (
            INET,
            "ENABLE ISAKMP UDPPORT=5000\nSET IPSEC POLICY=isa LPORT=5000 RPORT=5000",
        ),
        (
            INET,
            "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE UDPPORT=4000\nSET IPSEC UDPPORT=3456\nCREATE IPSEC POLICY=udp INT=ppp0 POS=1 ACTION=PERMIT LPORT=3456 RPORT=4000 TRANSPORT=UDP",
        ),
        // Keys of every use.
        (
            SPEC,
            "CREATE ENCO KEY=5 TYPE=AES RANDOM\nCREATE ENCO KEY=6 TYPE=GENERAL RANDOM\nCREATE IPSEC SASPEC=9 KEYMAN=MANUAL PROT=ESP ENCALG=AES128 ENCKEY=5 HASHALG=SHA HASHKEY=6 INSPI=1000 OUTSPI=1001\nCREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA",
        ),
    ] {
        assert!(SOUND.contains(of), "{of}");
        assert_eq!(check(&SOUND.replace(of, becomes)), [], "{becomes}");
    }
}

/// Routes that come with the SAs of a policy need not be there before.
#[test]
fn a_route_template_leads_to_the_remote_addresses() {
    let policy = "CREATE IPSEC POLICY=d INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=DYNAMIC \
                  RNAME=one RAD=10.0.0.0 RMA=255.0.0.0";
    let narrow = "ADD IP ROUTE=192.168.20.0 MASK=255.255.255.0 INT=ppp0\n\
                  ADD IP ROUTE TEMPLATE=back INT=ppp0";
    for (template, said) in [("", vec![UNROUTED]), (" IPROUTE=back", Vec::new())] {
        let text = SOUND.replace(ROUTE, narrow);
        let text = text.replace(INET, &format!("{policy}{template}\n{INET}"));
        let codes: Vec<u32> = check(&text).iter().map(code).collect();
        assert_eq!(codes, said, "{template}");
    }
}

/// What the manual forbids is an error on whichever of its lines comes second.
#[test]
fn what_is_forbidden_is_an_error_on_the_second_line() {
    let tunnel = "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE";
    let natt = "SET ISAKMP POLICY=i NATTRAVERSAL=TRUE";
    let ah = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA\nCREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"1 AND 2\"\n";
    let manual = "CREATE ENCO KEY=6 TYPE=GENERAL RANDOM\nCREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=AH HASHALG=SHA HASHKEY=6 INSPI=1000 OUTSPI=1001\n";
    for (first, second, says) in [
        (
            tunnel,
            natt,
            "UDPTUNNEL=TRUE of policy vpn does not go with NATTRAVERSAL=TRUE of ISAKMP policy i",
        ),
        (
            natt,
            tunnel,
            "UDPTUNNEL=TRUE of policy vpn does not go with NATTRAVERSAL=TRUE of ISAKMP policy i",
        ),
        (
            "CREATE ISAKMP POLICY=n PEER=3.3.3.3 KEY=1 NATT=ON\nSET IPSEC POLICY=vpn UDPTUNNEL=TRUE",
            "SET IPSEC POLICY=vpn PEER=3.3.3.3",
            "does not go with NATTRAVERSAL=TRUE of ISAKMP policy n",
        ),
        (
            "CREATE ISAKMP POLICY=n PEER=3.3.3.3 KEY=1 NATT=ON\nSET IPSEC POLICY=vpn UDPTUNNEL=TRUE",
            "SET IPSEC POLICY=vpn ISAKMPPOLICY=n",
            "does not go with NATTRAVERSAL=TRUE of ISAKMP policy n",
        ),
        (
            "SET IPSEC POLICY=vpn PEER=4.4.4.4 UDPTUNNEL=TRUE",
            "CREATE ISAKMP POLICY=n PEER=4.4.4.4 KEY=1 NATT=ON",
            "does not go with NATTRAVERSAL=TRUE of ISAKMP policy n",
        ),
        (
            &format!("{ah}{tunnel}"),
            "SET IPSEC POLICY=vpn BUNDLE=2",
            "UDPTUNNEL=TRUE does not work with PROTOCOL=AH",
        ),
        (
            &format!("{ah}SET IPSEC POLICY=vpn BUNDLE=2"),
            tunnel,
            "UDPTUNNEL=TRUE does not work with PROTOCOL=AH",
        ),
        (
            manual,
            "CREATE IPSEC BUNDLE=3 KEYMAN=ISAKMP STRING=\"1 AND 3\"",
            "KEYMANAGEMENT=MANUAL",
        ),
        (
            manual,
            "CREATE IPSEC BUNDLE=3 KEYMAN=MANUAL STRING=\"1 AND 3\"",
            "KEYMANAGEMENT=ISAKMP",
        ),
        (
            "CREATE IPSEC POLICY=any INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY ISAKMP=r IPROUTE=back",
            "CREATE ISAKMP POLICY=r PEER=2.2.2.2 KEY=1",
            "IPROUTETEMPLATE=back of IPsec policy any needs PEER=ANY",
        ),
        (
            "CREATE ISAKMP POLICY=r PEER=2.2.2.2 KEY=1\nCREATE IPSEC POLICY=any INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY IPROUTE=back",
            "SET IPSEC POLICY=any ISAKMP=r IPROUTE=back",
            "IPROUTETEMPLATE is only valid where the ISAKMP policy has PEER=ANY",
        ),
    ] {
        let sound = format!("{SOUND}ADD IP ROUTE TEMPLATE=back INT=ppp0\n{first}\n");
        let mut router = router();
        let findings = router.run_script(Instant::ZERO, &sound);
        assert_eq!(findings, [], "{first}");
        let text = format!("{sound}{second}");
        let errors: Vec<Finding> = check(&text)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let [error] = errors.as_slice() else {
            panic!("{first}, {second}: {errors:?}")
        };
        assert_eq!(error.line, text.lines().count(), "{second}: {error:?}");
        assert!(error.text.contains(says), "{second}: {error:?}");
    }
}

/// Every configuration of the examples, with what is said of it: the manual's are of a time when
/// DES, group 1 and short keys were good.
#[test]
fn every_example_is_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/configs");
    let mut said = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("the examples") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let mut router = router();
        router.host.folder = Some(folder.clone());
        let findings = router.check_script(Instant::ZERO, &text);
        let codes: Vec<u32> = findings.iter().map(code).collect();
        let name = path.file_stem().expect("a name").to_string_lossy();
        said.insert(name.into_owned(), codes);
    }
    let listed: BTreeMap<String, Vec<u32>> = EXAMPLES
        .iter()
        .flat_map(|(codes, names)| {
            names
                .iter()
                .map(|name| ((*name).to_owned(), codes.to_vec()))
        })
        .collect();
    assert_eq!(said, listed);
}

/// Said of the examples most often.
const SHORT_KEY: u32 = 273_001;
const WEAK_ISAKMP: u32 = 282_024;
const WEAK_IPSEC: u32 = 281_024;
const AGGRESSIVE: u32 = 282_022;
const NULL_HASH: u32 = 281_021;
const UNROUTED: u32 = 281_030;
const FOREIGN: u32 = 234_001;

/// The configurations of which each list is said. Blocks that the manual prints without the keys
/// and specifications they name have errors; see the message table for the numbers.
const EXAMPLES: &[(&[u32], &[&str])] = &[
    (
        &[SHORT_KEY, WEAK_ISAKMP, WEAK_IPSEC],
        &[
            "anti-replay.a",
            "basic-isakmp-vpn.a",
            "basic-isakmp-vpn.b",
            "dh-group2.a",
            "dh-group2.b",
            "dpd-default.a",
            "dpd-default.b",
            "dpd-fast.a",
            "isakmp-heartbeat.a",
            "isakmp-heartbeat.b",
            "nat-t-fixed.a",
            "nat-t-fixed.b",
            "pfs-group2.a",
            "pfs-group2.b",
            "prenegotiate.a",
            "respond-bad-spi.a",
            "retry-ike.a",
            "transport-mode.a",
            "transport-mode.b",
            "two-fixed-peers.c",
            "udp-tunnel-port3456.a",
            "udp-tunnel-port3456.b",
            "udp-tunnel.a",
            "udp-tunnel.b",
            "vpn-client-fixed.a",
            "vpn-client-fixed.b",
            "xauth.a",
            "xauth.b1",
            "xauth.b2",
        ],
    ),
    (
        &[SHORT_KEY, WEAK_ISAKMP, AGGRESSIVE, WEAK_IPSEC],
        &[
            "aggressive-client-id.a",
            "aggressive-client-id.b",
            "aggressive-dynamic.a",
            "aggressive-dynamic.b",
            "nat-t.a",
            "nat-t.b",
            "responder-rekey.a",
            "three-clients.b1",
            "three-clients.b2",
            "three-clients.b3",
            "udp-tunnel-nat.a",
            "udp-tunnel-nat.b",
            "vpn-client-dynamic.a",
            "vpn-client-dynamic.b",
        ],
    ),
    (
        &[],
        &[
            "isa-translated-port",
            "pppoe-lan-type-with-ipsec",
            "pppoe-lan-type-without-ipsec",
            "saspec-ah",
            "unnumbered-right-order",
            "unnumbered-wrong-order",
        ],
    ),
    (
        &[WEAK_IPSEC, WEAK_IPSEC, WEAK_IPSEC],
        &[
            "bundle-alternatives",
            "bundle-esp-then-ah",
            "bundle-one-protocol",
            "bundle-sample-saspecs",
            "bundle-three-candidates",
            "bundle-two-candidates",
        ],
    ),
    (
        &[WEAK_IPSEC],
        &[
            "manual-key-vpn-fixed-values.a",
            "manual-key-vpn.a",
            "manual-key-vpn.b",
            "saspec-esp",
            "saspec-esp-nullenc",
        ],
    ),
    (
        &[WEAK_IPSEC, WEAK_IPSEC],
        &[
            "bundle-manual-esp-ah.a",
            "bundle-manual-esp-ah.b",
            "bundle-reference-isakmp",
        ],
    ),
    (
        &[
            FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN,
            FOREIGN, FOREIGN,
        ],
        &["firewall-isakmp.a", "firewall-isakmp.b"],
    ),
    (&[SHORT_KEY, WEAK_ISAKMP], &["ipv6-vpn.a", "ipv6-vpn.b"]),
    (
        &[SHORT_KEY, WEAK_ISAKMP, WEAK_IPSEC, WEAK_IPSEC, WEAK_IPSEC],
        &["multi-proposal-vpn.a", "multi-proposal-vpn.b"],
    ),
    (&[381_033], &["saspec-ah-manual", "saspec-esp-manual"]),
    (&[382_033, WEAK_IPSEC], &["rsa.a", "rsa.b"]),
    (
        &[
            FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN,
        ],
        &["firewall-base.a"],
    ),
    (
        &[
            FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN, FOREIGN,
            FOREIGN, FOREIGN, FOREIGN, FOREIGN,
        ],
        &["firewall-all.a"],
    ),
    (
        &[
            SHORT_KEY,
            SHORT_KEY,
            SHORT_KEY,
            WEAK_ISAKMP,
            AGGRESSIVE,
            WEAK_ISAKMP,
            AGGRESSIVE,
            WEAK_ISAKMP,
            AGGRESSIVE,
            WEAK_IPSEC,
        ],
        &["three-clients.a"],
    ),
    (
        &[SHORT_KEY, SHORT_KEY, WEAK_ISAKMP, WEAK_ISAKMP, WEAK_IPSEC],
        &["two-fixed-peers.a"],
    ),
    (
        &[SHORT_KEY, WEAK_ISAKMP, WEAK_IPSEC, WEAK_IPSEC, UNROUTED],
        &["screens-esp-ah"],
    ),
    (
        &[SHORT_KEY, WEAK_ISAKMP, WEAK_IPSEC, UNROUTED],
        &["traces-main-quick", "unnumbered-srcinterface.a"],
    ),
    (&[WEAK_IPSEC, NULL_HASH], &["saspec-esp-noauth"]),
    (&[373_011, 382_011, 381_011, 381_011], &["inspection"]),
    (
        &[381_033, WEAK_IPSEC, WEAK_IPSEC],
        &["saspec-reference-page"],
    ),
    (&[381_033, 381_011], &["vpn-client-user1.policies"]),
    (&[381_033, 381_033, 381_032], &["bundle-reference-manual"]),
    (&[382_033], &["screens-isakmp-policy"]),
    (
        &[382_033, 382_033, 382_033, 382_033, 382_033],
        &["five-isakmp-policies"],
    ),
];
