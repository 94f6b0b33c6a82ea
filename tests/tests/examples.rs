//! `examples/configs`, the manual's configurations: every one executes without an error, and those
//! with sides come up against each other and carry the traffic that they are meant for.

use std::collections::BTreeSet;
use std::path::Path;

use config_lang::message::Severity;
use hw_offload::Engines;
use ipsec_core::model::AddressSelector;
use ipsec_core::{Instant, WallClock};
use lab::nat::Kind;
use lab::{Buf, Pair, Side};
use sekisho_tests::{bundles, config, failures, pair_with, story};

const DES_KEY: &str = "TYPE=DES VALUE=0xF888CAC6C66ECF52";
const SHA_KEY: &str = "TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957";

/// Two sides: their files and what is replaced in either because the manual leaves it to the
/// reader, like keys that both must have or the other half of a pair.
type Sides = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const SAME_KEYS: &[(&str, &str)] = &[
    ("TYPE=DES RANDOM", DES_KEY),
    ("TYPE=GENERAL LENGTH=20 RANDOM", SHA_KEY),
    ("ENABLE SYSTEM SECURITY MODE", ""),
];
const CERTIFICATES: &[(&str, &str)] = &[(
    "CREATE ISAKMP POLICY",
    "CREATE ENCO KEY=2 TYPE=RSA FILE=own.pem\n\
     ADD PKI CERTIFICATE=root LOCATION=ca.pem TYPE=CA TRUSTED=YES\n\
     ADD PKI CERTIFICATE=own LOCATION=own.crt.pem TYPE=SELF\nCREATE ISAKMP POLICY",
)];
const FROM_ETH1: &[(&str, &str)] = &[
    (
        "ADD IP INT=eth1",
        "ADD IP INT=ppp0 IP=0.0.0.0\nADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0\nADD IP INT=eth1",
    ),
    ("PEER=1.1.1.1", "PEER=4.4.4.1"),
];

const BASIC_B: &str = "basic-isakmp-vpn.b";
const PAIRS: &[Sides] = &[
    ("basic-isakmp-vpn.a", BASIC_B, &[]),
    ("nat-t-fixed.a", "nat-t-fixed.b", &[]),
    ("nat-t.a", "nat-t.b", &[]),
    ("dpd-default.a", "dpd-default.b", &[]),
    ("dpd-fast.a", "dpd-default.b", &[]),
    ("isakmp-heartbeat.a", "isakmp-heartbeat.b", &[]),
    ("aggressive-dynamic.a", "aggressive-dynamic.b", &[]),
    ("responder-rekey.a", "aggressive-dynamic.b", &[]),
    ("aggressive-client-id.a", "aggressive-client-id.b", &[]),
    ("vpn-client-dynamic.a", "vpn-client-dynamic.b", &[]),
    ("vpn-client-fixed.a", "vpn-client-fixed.b", &[]),
    ("three-clients.a", "three-clients.b1", &[]),
    ("three-clients.a", "three-clients.b2", &[]),
    ("three-clients.a", "three-clients.b3", &[]),
    ("two-fixed-peers.a", BASIC_B, &[]),
    ("two-fixed-peers.a", "two-fixed-peers.c", &[]),
    ("respond-bad-spi.a", BASIC_B, &[]),
    ("retry-ike.a", BASIC_B, &[]),
    ("prenegotiate.a", BASIC_B, &[]),
    ("anti-replay.a", BASIC_B, &[]),
    ("xauth.a", "xauth.b1", &[]),
    ("xauth.a", "xauth.b2", &[]),
    ("transport-mode.a", "transport-mode.b", &[]),
    ("pfs-group2.a", "pfs-group2.b", &[]),
    ("dh-group2.a", "dh-group2.b", &[]),
    ("multi-proposal-vpn.a", "multi-proposal-vpn.b", &[]),
    ("udp-tunnel.a", "udp-tunnel.b", &[]),
    ("udp-tunnel-port3456.a", "udp-tunnel-port3456.b", &[]),
    ("udp-tunnel-nat.a", "udp-tunnel-nat.b", &[]),
    ("ipv6-vpn.a", "ipv6-vpn.b", &[]),
    ("rsa.a", "rsa.b", CERTIFICATES),
    ("unnumbered-srcinterface.a", BASIC_B, FROM_ETH1),
    ("manual-key-vpn.a", "manual-key-vpn.b", SAME_KEYS),
    ("manual-key-vpn-fixed-values.a", "manual-key-vpn.b", &[]),
    ("bundle-manual-esp-ah.a", "bundle-manual-esp-ah.b", &[]),
];

const TWO_KEYS: &str = "CREATE ENCO KEY=1 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
";
const SHARED_KEYS: &str = "CREATE ENCO KEY=0 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=11 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=12 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=30 TYPE=GENERAL VALUE=jogefoge
";
const ONE_BUNDLE: &str = "ADD IP INT=ppp0 IP=1.1.1.1
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"
";

/// Files without sides, and the lines in front of them that the manual leaves to the reader.
const ALONE: &[(&str, &str)] = &[
    ("bundle-alternatives", ""),
    ("bundle-esp-then-ah", ""),
    ("bundle-one-protocol", ""),
    ("bundle-reference-isakmp", ""),
    ("bundle-reference-manual", TWO_KEYS),
    ("bundle-sample-saspecs", ""),
    ("bundle-three-candidates", ""),
    ("bundle-two-candidates", ""),
    ("firewall-all.a", ""),
    ("firewall-base.a", ""),
    ("firewall-isakmp.a", ""),
    ("firewall-isakmp.b", ""),
    ("five-isakmp-policies", SHARED_KEYS),
    ("isa-translated-port", ""),
    ("pppoe-lan-type-with-ipsec", ""),
    ("pppoe-lan-type-without-ipsec", ""),
    ("saspec-ah", ""),
    ("saspec-ah-manual", TWO_KEYS),
    ("saspec-esp", ""),
    ("saspec-esp-manual", TWO_KEYS),
    ("saspec-esp-noauth", ""),
    ("saspec-esp-nullenc", ""),
    ("saspec-reference-page", TWO_KEYS),
    ("screens-esp-ah", ""),
    ("screens-isakmp-policy", SHARED_KEYS),
    ("traces-main-quick", ""),
    ("unnumbered-right-order", ""),
    ("unnumbered-wrong-order", ""),
    ("vpn-client-user1.policies", ONE_BUNDLE),
];

/// The commands with which the manual looks at a tunnel that is up.
const INSPECTION: &str = "inspection";

/// Every file is in one of the tables.
#[test]
fn every_example_is_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/configs");
    let files = std::fs::read_dir(folder).expect("the examples").flatten();
    let files: BTreeSet<String> = files
        .filter_map(|file| file.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".cfg").map(String::from))
        .collect();
    let sides = PAIRS.iter().flat_map(|(a, b, _)| [*a, *b]);
    let listed = sides.chain(ALONE.iter().map(|(name, _)| *name));
    let listed: BTreeSet<String> = listed.chain([INSPECTION]).map(String::from).collect();
    assert_eq!(files, listed);
}

#[test]
fn those_without_sides_execute() {
    for (name, before) in ALONE {
        let mut pair = Pair::soft(1);
        let text = format!("{before}{}", config(name));
        let findings = pair.a.run_script(Instant::ZERO, &text);
        let wrong = findings
            .iter()
            .filter(|found| found.severity == Severity::Error);
        assert_eq!(wrong.count(), 0, "{name}: {findings:#?}");
    }
}

/// Pings between the hosts that the policies name, as far as they are behind these two routers,
/// from whichever side can begin.
fn comes_up<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    let pings = pair.default_pings();
    let behind = |pair: &Pair<E>, side: Side, address| {
        let router = match side {
            Side::A => &pair.a,
            Side::B => &pair.b,
        };
        let mut own = router.device.state().net.interfaces();
        own.any(|(_, interface)| {
            let mut networks = interface.addresses.iter();
            networks.any(|(own, len)| AddressSelector::Prefix(*own, *len).matches(address))
        })
    };
    let mut sent = 0;
    for (side, source, destination) in pings {
        if behind(pair, side.other(), destination) {
            pair.ping(source, destination, Instant::from_secs(sent));
            sent += 1;
        }
    }
    assert!(sent > 0, "{what}: nothing to ping");
    let up = pair.run(Instant::from_secs(60));
    assert!(up, "{what}: {:?}", failures(pair));
    assert_eq!((failures(pair), pair.clear), (Vec::new(), 0), "{what}");
    for side in [Side::A, Side::B] {
        assert_eq!(bundles(pair, side), 1, "{what} {side}");
    }
}

/// The two texts with what is replaced in them; each replacement is for at least one.
fn texts(sides: &Sides) -> [String; 2] {
    let (a, b, replaced) = sides;
    let mut texts = [config(a), config(b)];
    for (from, to) in *replaced {
        assert!(texts.iter().any(|text| text.contains(from)), "{a}: {from}");
        texts = texts.map(|text| text.replace(from, to));
    }
    texts
}

/// Keys and certificates for those that ask for files.
fn lend_files<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) {
    let own = [
        (
            include_str!("../keys/a.pem"),
            include_str!("../keys/a.crt.pem"),
        ),
        (
            include_str!("../keys/b.pem"),
            include_str!("../keys/b.crt.pem"),
        ),
    ];
    for (side, (key, certificate)) in [Side::A, Side::B].into_iter().zip(own) {
        let router = pair.router(side);
        // The certificates are from the year 2000.
        router.device.state_mut().wall = WallClock {
            zero: 1_000_000_000,
        };
        for (name, text) in [
            ("own.pem", key),
            ("own.crt.pem", certificate),
            ("ca.pem", include_str!("../keys/ca.crt.pem")),
        ] {
            router.host.files.insert(name.into(), text.into());
        }
    }
}

story!(those_with_sides_come_up, |engines, seed| {
    for sides in PAIRS {
        let mut pair = pair_with(&engines, &[String::new(), String::new()], seed);
        lend_files(&mut pair);
        let what = format!("{} with {}", sides.0, sides.1);
        for (side, text) in [Side::A, Side::B].into_iter().zip(texts(sides)) {
            let findings = pair.router(side).run_script(Instant::ZERO, &text);
            let wrong = findings
                .iter()
                .filter(|found| found.severity == Severity::Error);
            assert_eq!(wrong.count(), 0, "{what}: {findings:#?}");
        }
        if sides.0 == "udp-tunnel-nat.a" {
            pair.place_nat(Side::B, Kind::Symmetric);
        }
        pair.connect();
        comes_up(&mut pair, &what);
    }
});

/// Three bundles with manual keys beside the tunnel of the manual's first configuration.
fn busy_router() -> String {
    let mut more = String::new();
    for number in 2..5 {
        let spi = 1000 * number;
        more.push_str(&format!(
            "CREATE IPSEC SASPEC={number} KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=2 HASHALG=SHA \
             HASHKEY=3 INSPI={spi} OUTSPI={spi}\n\
             CREATE IPSEC BUNDLE={number} KEYMAN=MANUAL STRING=\"{number}\"\n\
             CREATE IPSEC POLICY=m{number} INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE={number} \
             PEER=9.9.9.{number} RAD=10.0.{number}.0 RMA=255.255.255.0\n"
        ));
    }
    let keys = format!("CREATE ENCO KEY=2 {DES_KEY}\nCREATE ENCO KEY=3 {SHA_KEY}\n");
    let inet = "CREATE IPSEC POLICY=inet";
    let text = config("basic-isakmp-vpn.a");
    format!("{keys}{}", text.replace(inet, &format!("{more}{inet}")))
}

#[test]
fn the_commands_that_look_at_a_tunnel() {
    let configs = [busy_router(), config(BASIC_B)];
    let mut pair = pair_with(|_| hw_offload::SoftEngines::new(256, 64, 64), &configs, 1);
    pair.ping(sekisho_tests::HOST_A, sekisho_tests::HOST_B, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    for line in config(INSPECTION).lines() {
        let outcome = pair.a.command(pair.now, line);
        assert_eq!(outcome.worst, Severity::Info, "{line}: {}", outcome.text);
    }
}
