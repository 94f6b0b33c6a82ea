//! From a device to commands and back: for random valid configurations over the whole grammar, what
//! SHOW CONFIG prints for a Security Officer makes an equal device, which prints the same; for
//! others it keeps every secret to itself and says so.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use config_lang::dump::{self, Secrets};
use config_lang::grammar::{COMMANDS, Kind, Param, Spec};
use config_lang::message::Severity;
use config_lang::parse;
use hw_offload::{KeyKind, SoftEngines};
use ipsec_core::Instant;
use isakmp_core::device::State;
use lab::{Buf, Router};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Lines that others depend on: interfaces, a route template, and keys of every kind: 0 and 1 are
/// pre-shared, 2 and 3 for HMAC-SHA-1 and HMAC-MD5, 4 to 6 for ciphers, 7 and 8 private and public.
const GROUND: &str = "ADD IP INT=ppp0 IP=1.1.1.1
ADD IPV6 INT=vlan1 IP=fd00::1/64
ADD IP ROUTE TEMPLATE=back INT=ppp0
CREATE ENCO KEY=0 TYPE=GENERAL VALUE=\"a key # of \\ words\"
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x00
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE ENCO KEY=3 TYPE=GENERAL VALUE=0x00112233445566778899aabbccddeeff DESC=\"for MD5\"
CREATE ENCO KEY=4 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=5 TYPE=3DES VALUE=0xF888CAC6C66ECF5200112233445566770123456789ABCDEF
CREATE ENCO KEY=6 TYPE=AES VALUE=0x000102030405060708090A0B0C0D0E0F
CREATE ENCO KEY=7 TYPE=RSA FILE=own.key
CREATE ENCO KEY=8 TYPE=RSA FILE=peer.key DESC=theirs
";

/// Specifications that half of the devices begin with, so that policies have something to name.
const FOUNDATION: [&str; 10] = [
    "CREATE IPSEC SASPEC=0 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA",
    "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=AH HASHALG=SHA",
    "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=MD5 MODE=TRANSPORT",
    "CREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=4 HASHALG=SHA HASHKEY=2 INSPI=1000 OUTSPI=1001",
    "CREATE IPSEC SASPEC=4 KEYMAN=MANUAL PROT=AH HASHALG=MD5 HASHKEY=3 INSPI=1002 OUTSPI=1003",
    "CREATE IPSEC BUNDLE=0 KEYMAN=ISAKMP STRING=\"0 and 1\"",
    "CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=0",
    "CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"2, 0 AND 1\"",
    "CREATE IPSEC BUNDLE=3 KEYMAN=MANUAL STRING=3",
    "CREATE IPSEC POLICY=a INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY",
];

fn router() -> Router<SoftEngines<Buf>> {
    let mut router = Router::new(SoftEngines::new(64, 16, 16), 1);
    for (name, text) in [
        ("own.key", include_str!("../keys/a.pem")),
        ("peer.key", include_str!("../keys/b.pub.pem")),
        ("own.crt", include_str!("../keys/a.crt.pem")),
        ("ca.crt", include_str!("../keys/ca.crt.pem")),
    ] {
        router.host.files.insert(name.into(), text.into());
    }
    router
}

/// The commands that configure: what a file could hold. Which file is executed at the next start
/// stands in no file, and what is watched belongs to a session.
fn configures(spec: &Spec) -> bool {
    let verb = [
        "ADD", "CREATE", "SET", "ENABLE", "DISABLE", "DELETE", "DESTROY", "PURGE",
    ];
    let other = matches!(spec.object, ["CONFIG" | "FIREWALL", ..] | [.., "DEBUG"]);
    verb.contains(&spec.verb) && !other
}

/// A random text without what no text may hold.
fn free(seed: u32, max: usize) -> String {
    const LETTERS: [char; 16] = [
        'a', 'B', '7', ' ', '#', '\\', '=', ',', '\'', 'é', '/', '.', '-', '?', '日', '0',
    ];
    let mut seed = u64::from(seed) | 1 << 32;
    let len = 1 + seed as usize % max.min(24);
    let mut text = String::new();
    for _ in 0..len {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push(LETTERS[(seed >> 33) as usize % LETTERS.len()]);
    }
    text
}

/// A value for a parameter that has a chance to be taken.
fn value(spec: &Spec, param: &Param, seed: u32) -> String {
    let of = |all: &[&str]| all[seed as usize % all.len()].to_owned();
    let isakmp = spec.object.first() == Some(&"ISAKMP");
    match (param.name, param.kind) {
        ("PEER" | "PEERADDRESS", _) => {
            of(&["1.2.3.4", "ANY", "2001:db8::9", "gw.example", "DYNAMIC"])
        }
        ("LOCALID" | "REMOTEID" | "DISTINGUISHEDNAME", _) => {
            of(&["cn=x, o=y z, c=JP", "a@b.example", "9.9.9.9", "some host"])
        }
        ("POLICY", _) => of(&["a", "a", "b 2", "#é"]),
        ("ISAKMPPOLICY", _) => of(&["a", "b 2", "#é", "none"]),
        ("IPROUTETEMPLATE" | "TEMPLATE", _) => of(&["back", "there", "no \\"]),
        ("CERTIFICATE" | "USER", _) => of(&["x", "y z", "#é"]),
        ("LOCATION", _) => of(&["own.crt", "ca.crt"]),
        ("PASSWORD", _) => match seed % 3 {
            0 => {
                "PBKDF2-SHA1:1000:0102030405060708:0cd64cc6ddfb830552b200b4573e0e02b997a558".into()
            }
            _ => free(seed, 24),
        },
        ("STRING", _) => of(&[
            "0",
            "0 and 1",
            "0 OR 2",
            "2, 0 AND 1,0",
            "1",
            "3",
            "3 AND 4",
        ]),
        ("SASPECIFICATION", _) => (seed % 5).to_string(),
        ("BUNDLESPECIFICATION", _) => (seed % 4).to_string(),
        ("ENCKEY", _) => of(&["4", "5", "6"]),
        ("HASHKEY", _) => of(&["2", "3"]),
        ("LOCALRSAKEY", _) => of(&["7", "7", "7", "9"]),
        ("KEY", _) if isakmp => of(&["0", "1", "2", "8"]),
        ("KEY", _) => (seed % 16).to_string(),
        ("FILE", _) => of(&["own.key", "peer.key"]),
        ("VALUE", _) => match seed % 4 {
            0 => format!("0x{seed:08x}{seed:08X}"),
            1 => format!("0x{}", format!("{seed:08x}").repeat(6)),
            2 => format!("0x{}", format!("{seed:08x}").repeat(4)),
            _ => free(seed, 64),
        },
        ("LENGTH", _) => of(&["8", "16", "24", "32"]),
        (_, Kind::Interface) => of(&["ppp0", "vlan1", "eth0", "PPP0-1"]),
        (_, Kind::Enum(words)) => of(words),
        (_, Kind::List(words)) => words[..1 + seed as usize % words.len()].join(","),
        (_, Kind::Bool) => of(&["ON", "OFF", "true", "FALSE", "YES", "no"]),
        (
            _,
            Kind::Int {
                min, max, words, ..
            },
        ) => {
            let number = match seed % 4 {
                0 => min,
                1 => max,
                _ => min + seed % (max - min).saturating_add(1).max(1),
            };
            let word = words.get(seed as usize % (words.len() + 1));
            word.map_or_else(|| number.to_string(), |word| (*word).to_owned())
        }
        (_, Kind::Address { range: true, .. }) => of(&[
            "10.1.0.0",
            "10.1.0.0",
            "10.2.0.9-10.2.1.3",
            "ANY",
            "fd00:1::/48",
            "fd00:2::7",
        ]),
        (_, Kind::Address { .. } | Kind::Ip) => of(&[
            "10.0.0.1",
            "172.16.5.0",
            "203.0.113.7",
            "0.0.0.0",
            "192.0.2.255",
        ]),
        (_, Kind::Mask) => of(&["255.255.255.0", "255.255.255.255", "255.0.0.0", "0.0.0.0"]),
        (_, Kind::IpRange) => of(&["10.0.0.1", "10.0.0.1-10.0.0.9"]),
        (_, Kind::Ipv6) => of(&["fd00::9", "2001:db8::1", "::"]),
        (_, Kind::Ipv6Prefix) => of(&["fd00:5::1/64", "2001:db8::/32", "::/0", "fe80::1/128"]),
        (_, Kind::Text { max, .. }) => free(seed, max),
        (_, Kind::File { ext: ".cfg" }) => of(&["some.cfg", "a b.cfg"]),
        (_, Kind::File { .. }) => of(&["some.scp", "a b.SCP"]),
        (_, Kind::Id | Kind::Bundle | Kind::Flag) => String::new(),
    }
}

/// A parameter with its value; a text in quotes whether it needs them or not.
fn assigned(spec: &Spec, param: &Param, seed: u32) -> String {
    if matches!(param.kind, Kind::Flag) {
        return param.name.to_owned();
    }
    format!("{}=\"{}\"", param.name, value(spec, param, seed))
}

/// What a parameter makes necessary or likely beside it, so that random lines are seldom refused.
fn company(name: &str) -> &'static [&'static str] {
    match name {
        "RANDOM" | "DESCRIPTION" => &["LENGTH"],
        "ICMPTYPE" => &["IPVERSION"],
        "LPORT" | "RPORT" => &["TRANSPORTPROTOCOL"],
        "AUTHTYPE" => &["LOCALRSAKEY", "KEY"],
        "HYBRIDXAUTH" => &["AUTHTYPE", "XAUTH", "LOCALRSAKEY"],
        "GROUP" => &["USEPFSKEY"],
        "IPROUTETEMPLATE" => &["PEERADDRESS"],
        _ => &[],
    }
}

/// A line of one of the commands: what it requires, what records need to be any use, and some of the
/// rest.
fn line(spec: &Spec, chosen: &[(Index, u32)], seed: u32) -> String {
    let basic: &[&str] = match (spec.verb, spec.object) {
        ("CREATE", ["IPSEC", "SASPECIFICATION"]) if seed.is_multiple_of(4) => {
            &["ENCALG", "ENCKEY", "HASHALG", "HASHKEY", "INSPI", "OUTSPI"]
        }
        ("CREATE", ["IPSEC", "SASPECIFICATION"]) => &["HASHALG", "ENCALG"],
        ("CREATE", ["IPSEC", "POLICY"]) if !seed.is_multiple_of(3) => {
            &["KEYMANAGEMENT", "BUNDLESPECIFICATION", "PEERADDRESS"]
        }
        ("CREATE", ["ISAKMP", "POLICY"]) => &["KEY"],
        ("CREATE", ["ENCO", "KEY"]) => match seed % 3 {
            0 => &["RANDOM"],
            1 => &["FILE"],
            _ => &["VALUE"],
        },
        _ => &[],
    };
    let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
    let optional: Vec<&Param> = spec.params.iter().filter(|param| !param.required).collect();
    for (index, seed) in chosen {
        if !optional.is_empty() {
            let name = index.get(&optional).name;
            wanted.insert(name, *seed);
            for (place, other) in company(name).iter().enumerate() {
                wanted.entry(other).or_insert(seed >> (place + 1));
            }
        }
    }
    for (place, param) in (0_u32..).zip(spec.params) {
        if param.required || basic.contains(&param.name) {
            // The next number but the same for the same line.
            let own = seed.rotate_left(place * 5).wrapping_mul(0x9e37_79b9) >> 3;
            wanted.insert(param.name, own);
        }
    }
    let mut line = spec.verb.to_owned();
    let given = |name: &str, seed: u32| {
        let param = spec.params.iter().find(|param| param.name == name);
        param.map(|param| assigned(spec, param, seed))
    };
    for word in spec.object {
        let value = wanted.remove(word).and_then(|seed| given(word, seed));
        line += " ";
        line += &value.unwrap_or_else(|| (*word).to_owned());
    }
    for (name, seed) in wanted {
        if let Some(words) = given(name, seed) {
            line += " ";
            line += &words;
        }
    }
    line
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let specs: Vec<&'static Spec> = COMMANDS.iter().filter(|spec| configures(spec)).collect();
    // What makes records is tried more often than what removes them.
    let weighted = specs.into_iter().flat_map(|spec| {
        let weight = match (spec.verb, spec.object) {
            ("CREATE" | "SET", ["IPSEC", "POLICY"]) => 24,
            ("CREATE", ["IPSEC" | "ISAKMP", ..]) => 12,
            ("SET", ["IPSEC" | "ISAKMP", ..]) => 6,
            ("CREATE" | "ADD", _) => 3,
            _ => 1,
        };
        core::iter::repeat_n(spec, weight)
    });
    let one = (
        prop::sample::select(weighted.collect::<Vec<_>>()),
        prop::collection::vec((any::<Index>(), any::<u32>()), 0..5),
        any::<u32>(),
    );
    let one = one.prop_map(|(spec, chosen, seed)| line(spec, &chosen, seed));
    (any::<bool>(), prop::collection::vec(one, 1..80)).prop_map(|(founded, lines)| {
        let foundation = FOUNDATION.iter().filter(|_| founded);
        foundation
            .map(|line| (*line).to_owned())
            .chain(lines)
            .collect()
    })
}

/// The texts of a device that only a Security Officer sees.
fn secrets(state: &State) -> BTreeSet<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = BTreeSet::new();
    for (_, key) in state.keys.iter() {
        if key.kind != KeyKind::RsaPublic {
            let hex: String = key
                .value
                .expose()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            all.insert(hex);
        }
    }
    all.extend(
        state
            .radius
            .iter()
            .map(|server| text(server.secret.expose())),
    );
    all.extend(state.users.iter().map(|user| user.password.to_string()));
    let passwords = state
        .isakmp
        .policies
        .iter()
        .filter_map(|policy| policy.xauth_password.as_ref());
    all.extend(passwords.map(|password| text(password.0.expose())));
    all
}

/// What was executed with success over all cases: command and parameter.
type Covered = BTreeSet<(String, &'static str)>;

/// The device that the lines make, the refused ones left out.
fn made(lines: &[String], covered: &mut Covered) -> Router<SoftEngines<Buf>> {
    let mut router = router();
    let findings = router.run_script(Instant::ZERO, GROUND);
    assert!(findings.is_empty(), "{findings:?}");
    // A key that the engine is still making is the one thing that no line can say.
    let making = |line: &&String| line.contains("\"RSA\"") && line.contains(" RANDOM");
    for line in lines.iter().filter(|line| !making(line)) {
        let outcome = router.command(Instant::ZERO, line);
        if outcome.worst == Severity::Error {
            continue;
        }
        let parsed = parse(line).expect("it was executed").expect("a command");
        let name = format!("{} {}", parsed.spec.verb, parsed.spec.object.join(" "));
        covered.insert((name.clone(), ""));
        covered.extend(parsed.given.iter().map(|given| (name.clone(), given.name)));
    }
    router
}

fn round(lines: &[String], covered: &mut Covered) -> Result<(), TestCaseError> {
    let mut first = made(lines, covered);
    let mut show = |what: &str| first.command(Instant::ZERO, what).text;
    let printed = show("SHOW CONFIG DYNAMIC");
    let parts = ["IPSEC", "ISAKMP"].map(|module| show(&format!("SHOW CONFIG DYNAMIC={module}")));
    for line in parts.iter().flat_map(|part| part.lines()) {
        prop_assert!(printed.lines().any(|whole| whole == line), "{}", line);
    }
    prop_assert_eq!(&printed, &dump::all(first.device.state()));
    let mut second = router();
    let findings = second.run_script(Instant::ZERO, &printed);
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> = errors.collect();
    prop_assert!(errors.is_empty(), "{:?} in\n{}", errors, printed);
    prop_assert_eq!(&dump::all(second.device.state()), &printed);
    let (one, other) = (first.device.state(), second.device.state());
    prop_assert_eq!(&one.ipsec, &other.ipsec, "{}", &printed);
    prop_assert_eq!(&one.net, &other.net, "{}", &printed);
    prop_assert_eq!(&one.isakmp, &other.isakmp, "{}", &printed);
    prop_assert_eq!(one.fingerprint(), other.fingerprint(), "{}", &printed);
    prop_assert!(
        printed.lines().all(|line| !line.starts_with('#')),
        "{}",
        printed
    );

    let public = dump::all_with(one, Secrets::LeftOut);
    for secret in secrets(one).into_iter().filter(|secret| secret.len() > 8) {
        let lower = public.to_lowercase();
        prop_assert!(
            !lower.contains(&secret.to_lowercase()),
            "{} in\n{}",
            secret,
            public
        );
    }
    let mut left_out = 0;
    for (whole, line) in printed.lines().zip(public.lines()) {
        if whole != line {
            let said = line.starts_with("# ")
                && line.contains("=...")
                && line.contains("Security Officer");
            prop_assert!(said, "{}", line);
            left_out += 1;
        }
    }
    prop_assert_eq!(public.lines().count(), printed.lines().count());
    let keys = one
        .keys
        .iter()
        .filter(|(_, key)| key.kind != KeyKind::RsaPublic)
        .count();
    let passwords = one
        .isakmp
        .policies
        .iter()
        .filter(|policy| policy.xauth_password.is_some())
        .count();
    let expected = keys + passwords + one.radius.len() + one.users.iter().count();
    prop_assert_eq!(left_out, expected, "{}", public);
    Ok(())
}

#[test]
fn a_printed_configuration_makes_an_equal_device() {
    let covered = RefCell::new(Covered::new());
    let config = Config {
        cases: 1000,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases each time, so that what they cover is no matter of luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let result = TestRunner::new_with_rng(config, rng)
        .run(&lines(), |lines| round(&lines, &mut covered.borrow_mut()));
    if let Err(error) = result {
        panic!("{error}");
    }
    let mut missing = Vec::new();
    for spec in COMMANDS.iter().filter(|spec| configures(spec)) {
        let name = format!("{} {}", spec.verb, spec.object.join(" "));
        for param in spec.params.iter().map(|param| param.name).chain([""]) {
            // No SA is up here.
            let bundle = (name.as_str(), param) == ("DESTROY IPSEC POLICY", "SABUNDLE");
            if !bundle && !covered.borrow().contains(&(name.clone(), param)) {
                missing.push(format!("{name} {param}"));
            }
        }
    }
    assert!(missing.is_empty(), "never executed: {missing:#?}");
}

/// What chance seldom meets: policies that stand on what ENABLE ISAKMP was given, enabled and not.
#[test]
fn what_enable_isakmp_was_given_is_printed_before_it_is_needed() {
    let policy = "CREATE ISAKMP POLICY=a PEER=1.2.3.4 AUTHTYPE=RSASIG KEY=8";
    for lines in [
        &["ENABLE ISAKMP LOCALRSAKEY=7 UDPPORT=5000", policy][..],
        &["ENABLE ISAKMP LOCALRSAKEY=7", policy, "DISABLE ISAKMP"],
        &[
            "ENABLE ISAKMP POLICYFILENAME=a.scp POLICYSERVER=TRUE",
            "DISABLE ISAKMP",
        ],
        &["ENABLE ISAKMP UDPPORT=5000"],
        &["ENABLE ISAKMP", "DISABLE ISAKMP"],
    ] {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut covered = Covered::new();
        round(&lines, &mut covered).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        let parsed = lines.iter().filter_map(|line| parse(line).ok().flatten());
        let names = parsed.map(|p| (format!("{} {}", p.spec.verb, p.spec.object.join(" ")), ""));
        assert!(
            names.into_iter().all(|name| covered.contains(&name)),
            "{lines:?}"
        );
    }
}

/// A key that the engine is still making has no value yet: the line says so and is none.
#[test]
fn a_key_in_the_making_is_a_comment() {
    let mut router = router();
    let outcome = router.command(
        Instant::ZERO,
        "CREATE ENCO KEY=3 TYPE=RSA RANDOM LENGTH=1024",
    );
    assert_eq!(outcome.worst, Severity::Info);
    let printed = dump::all(router.device.state());
    assert_eq!(printed, "# CREATE ENCO KEY=3 TYPE=RSA RANDOM\n");
}
