//! The rules between parameters, each by a case for every command that it is about.

use std::collections::{BTreeMap, BTreeSet};

use config_lang::message::Severity;
use ipsec_core::{Instant, Limits};

use super::effects::EFFECTS;
use super::{Device, KEYS, entries, state, table, text};

/// A device on which every rule can be broken: specifications 1 and 2 are ESP, 3 is AH, 4 and 5
/// are ESP and AH with manual keys, 6 a second AH; bundle 1 is ESP, 2 ESP and AH, 3 manual; policies
/// `vpn` and `man` are negotiated and manual, `any` is for anybody, `open` permits; ISAKMP policies
/// `i`, `any` and `rsa` are for 2.2.2.2, for anybody and with signatures.
const DEVICE: &str = "ADD IP INT=local1 IP=9.9.9.9
CREATE ENCO KEY=8 TYPE=RSA FILE=own.key
CREATE ENCO KEY=9 TYPE=RSA FILE=peer.key
ADD IP ROUTE TEMPLATE=back INT=ppp0
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA
CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=AH HASHALG=SHA
CREATE IPSEC SASPEC=4 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=2 HASHALG=SHA HASHKEY=3 INSPI=1000 OUTSPI=1001
CREATE IPSEC SASPEC=5 KEYMAN=MANUAL PROT=AH HASHALG=SHA HASHKEY=3 INSPI=1002 OUTSPI=1003
CREATE IPSEC SASPEC=6 KEYMAN=ISAKMP PROT=AH HASHALG=MD5
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"1 AND 3\"
CREATE IPSEC BUNDLE=3 KEYMAN=MANUAL STRING=4
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1
CREATE ISAKMP POLICY=any PEER=ANY KEY=1
CREATE ISAKMP POLICY=rsa PEER=3.3.3.3 AUTHTYPE=RSASIG LOCALRSAKEY=8 KEY=9
CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2
CREATE IPSEC POLICY=man INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=3 PEER=2.2.2.2
CREATE IPSEC POLICY=any INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY ISAKMP=any
CREATE IPSEC POLICY=open INT=ppp0 ACTION=PERMIT
";
const SPEC: &str = "CREATE IPSEC SASPEC=9 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA";
const MANUAL_SPEC: &str = "CREATE IPSEC SASPEC=9 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=2 HASHALG=SHA HASHKEY=3 INSPI=5000 OUTSPI=5001";
const BUNDLE: &str = "CREATE IPSEC BUNDLE=9 KEYMAN=ISAKMP STRING=1";
const MANUAL_BUNDLE: &str = "CREATE IPSEC BUNDLE=9 KEYMAN=MANUAL STRING=4";
const VPN: &str =
    "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2";
const MANUAL_VPN: &str =
    "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=3 PEER=2.2.2.2";
const ISAKMP: &str = "CREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1";

/// Something that a rule refuses: the rule, the number of the refusal, a line that works, and how
/// the line breaks the rule: words of it exchanged, or words more.
struct Refusal {
    rule: &'static str,
    code: u32,
    line: &'static str,
    breaks: &'static [Change],
}

enum Change {
    /// These words more.
    More(&'static str),
    /// These words instead of those, or not at all.
    Instead(&'static str, &'static str),
}

use Change::{Instead, More};

const fn refusal(
    rule: &'static str,
    code: u32,
    line: &'static str,
    breaks: &'static [Change],
) -> Refusal {
    Refusal {
        rule,
        code,
        line,
        breaks,
    }
}

const REFUSALS: &[Refusal] = &[
    refusal(
        "saspec-not-both-null",
        381_010,
        SPEC,
        &[Instead("DES HASHALG=SHA", "NULL HASHALG=NULL")],
    ),
    refusal(
        "saspec-not-both-null",
        381_010,
        "SET IPSEC SASPEC=1 ENCALG=NULL",
        &[More("HASHALG=NULL")],
    ),
    refusal(
        "saspec-esp-needs-algs",
        381_030,
        SPEC,
        &[Instead(" ENCALG=DES", ""), Instead(" HASHALG=SHA", "")],
    ),
    refusal(
        "saspec-ah-needs-hash",
        381_030,
        "CREATE IPSEC SASPEC=9 KEYMAN=ISAKMP PROT=AH HASHALG=SHA",
        &[Instead(" HASHALG=SHA", "")],
    ),
    refusal(
        "saspec-manual-needs-keys",
        381_030,
        MANUAL_SPEC,
        &[
            Instead(" ENCKEY=2", ""),
            Instead(" HASHKEY=3", ""),
            Instead(" INSPI=5000", ""),
            Instead(" OUTSPI=5001", ""),
        ],
    ),
    refusal(
        "saspec-isakmp-no-manual-params",
        381_031,
        SPEC,
        &[
            More("ENCKEY=2"),
            More("HASHKEY=3"),
            More("INSPI=5000"),
            More("OUTSPI=5000"),
        ],
    ),
    refusal(
        "saspec-isakmp-no-manual-params",
        381_031,
        "SET IPSEC SASPEC=1",
        &[
            More("ENCKEY=2"),
            More("HASHKEY=3"),
            More("INSPI=5000"),
            More("OUTSPI=5000"),
        ],
    ),
    refusal(
        "saspec-ah-null-hash",
        381_010,
        "CREATE IPSEC SASPEC=9 KEYMAN=ISAKMP PROT=AH HASHALG=SHA",
        &[Instead("=SHA", "=NULL")],
    ),
    refusal(
        "saspec-antireplay-auto-only",
        381_031,
        MANUAL_SPEC,
        &[More("ANTIREPLAYENABLED=TRUE"), More("REPLAYWINDOWSIZE=64")],
    ),
    refusal(
        "saspec-antireplay-auto-only",
        381_031,
        "SET IPSEC SASPEC=4",
        &[More("ANTIREPLAYENABLED=TRUE"), More("REPLAYWINDOWSIZE=64")],
    ),
    refusal(
        "bundle-manual-and-only",
        381_032,
        MANUAL_BUNDLE,
        &[
            Instead("=4", "=\"4 OR 4\""),
            Instead("=4", "=\"4,4\""),
            Instead("=4", "=\"4 AND 5 AND 4\""),
        ],
    ),
    refusal(
        "bundle-and-different-protocols",
        381_032,
        BUNDLE,
        &[Instead("=1", "=\"1 AND 2\""), Instead("=1", "=\"3 AND 6\"")],
    ),
    refusal(
        "bundle-or-same-protocol",
        381_032,
        BUNDLE,
        &[
            Instead("=1", "=\"1 OR 3\""),
            Instead("=1", "=\"1 AND 3 OR 2\""),
        ],
    ),
    refusal(
        "bundle-max-10",
        334_005,
        BUNDLE,
        &[Instead("=1", "=\"1,1,1,1,1,1,1,1,1,1,1\"")],
    ),
    refusal(
        "bundle-expiry-auto-only",
        381_031,
        MANUAL_BUNDLE,
        &[More("EXPIRYKBYTES=1000"), More("EXPIRYSECONDS=1000")],
    ),
    refusal(
        "bundle-expiry-auto-only",
        381_031,
        "SET IPSEC BUNDLE=3",
        &[More("EXPIRYKBYTES=1000"), More("EXPIRYSECONDS=1000")],
    ),
    refusal(
        "policy-ipsec-needs",
        381_030,
        VPN,
        &[
            Instead(" KEYMAN=ISAKMP", ""),
            Instead(" BUNDLE=1", ""),
            Instead(" PEER=2.2.2.2", ""),
        ],
    ),
    refusal(
        "policy-keyman-matches-bundle",
        381_036,
        VPN,
        &[Instead("ISAKMP", "MANUAL"), Instead("BUNDLE=1", "BUNDLE=3")],
    ),
    refusal(
        "policy-keyman-matches-bundle",
        381_036,
        "SET IPSEC POLICY=vpn",
        &[More("BUNDLE=3")],
    ),
    refusal(
        "policy-any-dynamic-isakmp-only",
        381_010,
        MANUAL_VPN,
        &[Instead("2.2.2.2", "ANY"), Instead("2.2.2.2", "DYNAMIC")],
    ),
    refusal(
        "policy-any-dynamic-isakmp-only",
        381_010,
        "SET IPSEC POLICY=man",
        &[More("PEER=ANY"), More("PEER=DYNAMIC")],
    ),
    refusal(
        "policy-udptunnel-no-ah",
        381_010,
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=2 PEER=2.2.2.2",
        &[More("UDPTUNNEL=TRUE")],
    ),
    refusal(
        "policy-udptunnel-no-ah",
        381_010,
        "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE",
        &[More("BUNDLE=2")],
    ),
    refusal(
        "policy-udptunnel-no-natt",
        381_010,
        "CREATE ISAKMP POLICY=n PEER=4.4.4.4 KEY=1 NATT=ON\nCREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=4.4.4.4",
        &[More("UDPTUNNEL=TRUE")],
    ),
    refusal(
        "policy-udptunnel-no-natt",
        381_010,
        "SET ISAKMP POLICY=i NATT=ON\nSET IPSEC POLICY=vpn",
        &[More("UDPTUNNEL=TRUE")],
    ),
    refusal(
        "policy-udptunnel-no-natt",
        382_010,
        "SET IPSEC POLICY=vpn PEER=4.4.4.4 UDPTUNNEL=TRUE\nCREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1",
        &[More("NATTRAVERSAL=TRUE")],
    ),
    refusal(
        "policy-udptunnel-no-natt",
        382_010,
        "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE\nSET ISAKMP POLICY=i",
        &[More("NATTRAVERSAL=TRUE")],
    ),
    refusal(
        "policy-pfs-isakmp-only",
        381_031,
        MANUAL_VPN,
        &[More("USEPFSKEY=TRUE")],
    ),
    refusal(
        "policy-pfs-isakmp-only",
        381_031,
        "SET IPSEC POLICY=man",
        &[More("USEPFSKEY=TRUE")],
    ),
    refusal(
        "policy-ndall",
        381_031,
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=PERMIT",
        &[More("ICMPTYPE=NDALL")],
    ),
    refusal(
        "policy-ndall",
        381_031,
        "SET IPSEC POLICY=open",
        &[More("ICMPTYPE=NDALL")],
    ),
    refusal(
        "policy-routetemplate",
        381_031,
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY ISAKMP=any IPROUTE=back",
        &[
            Instead("PEER=ANY", "PEER=2.2.2.2"),
            Instead("ISAKMP=any", "ISAKMP=i"),
        ],
    ),
    refusal(
        "policy-routetemplate",
        381_031,
        "CREATE IPSEC POLICY=new INT=ppp0 ACTION=PERMIT",
        &[More("IPROUTE=back")],
    ),
    refusal(
        "policy-routetemplate",
        381_031,
        "SET IPSEC POLICY=vpn",
        &[More("IPROUTE=back")],
    ),
    refusal(
        "policy-srcinterface-not-local",
        381_010,
        VPN,
        &[More("SRCINT=local1")],
    ),
    refusal(
        "policy-srcinterface-not-local",
        381_010,
        "SET IPSEC POLICY=vpn",
        &[More("SRCINT=local1")],
    ),
    refusal(
        "policy-srcinterface-not-local",
        382_010,
        ISAKMP,
        &[More("SRCINT=local1")],
    ),
    refusal(
        "policy-srcinterface-not-local",
        382_010,
        "SET ISAKMP POLICY=i",
        &[More("SRCINT=local1")],
    ),
    refusal(
        "isakmp-preshared-needs-key",
        382_030,
        ISAKMP,
        &[
            Instead(" KEY=1", ""),
            Instead(" KEY=1", " AUTHTYPE=PRESHARED"),
        ],
    ),
    refusal(
        "isakmp-rsasig-needs-local-key",
        382_030,
        "CREATE ISAKMP POLICY=new PEER=4.4.4.4 AUTHTYPE=RSASIG LOCALRSAKEY=8 KEY=9",
        &[Instead(" LOCALRSAKEY=8", "")],
    ),
    refusal(
        "isakmp-hybrid-rsasig",
        382_031,
        ISAKMP,
        &[More("HYBRIDXAUTH=ON XAUTH=CLIENT")],
    ),
    refusal(
        "isakmp-hybrid-rsasig",
        382_031,
        "SET ISAKMP POLICY=i",
        &[More("HYBRIDXAUTH=ON")],
    ),
    refusal(
        "isakmp-rekey-peer-any",
        382_031,
        "CREATE ISAKMP POLICY=new PEER=ANY KEY=1 REKEY=ON",
        &[Instead("ANY", "4.4.4.4"), Instead("ANY", "gw.example")],
    ),
    refusal(
        "isakmp-rekey-peer-any",
        382_031,
        "SET ISAKMP POLICY=i",
        &[More("REKEY=ON")],
    ),
    refusal(
        "isakmp-rekey-no-kbytes",
        382_010,
        "CREATE ISAKMP POLICY=new PEER=ANY KEY=1 REKEY=ON",
        &[More("EXPIRYKBYTES=500")],
    ),
    refusal(
        "isakmp-rekey-no-kbytes",
        382_010,
        "SET ISAKMP POLICY=any REKEY=ON",
        &[More("EXPIRYKBYTES=500")],
    ),
    refusal(
        "isakmp-dhexp-group",
        382_010,
        "CREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1 DHEXP=511 GROUP=0",
        &[Instead("511", "512")],
    ),
    refusal(
        "isakmp-dhexp-group",
        382_010,
        "CREATE ISAKMP POLICY=new PEER=4.4.4.4 KEY=1 DHEXP=767 GROUP=1",
        &[Instead("767", "768")],
    ),
    refusal(
        "isakmp-dhexp-group",
        382_010,
        "SET ISAKMP POLICY=i DHEXP=1023 GROUP=2",
        &[Instead("1023", "1024"), Instead(" GROUP=2", "")],
    ),
    refusal(
        "secmode-needs-secoff",
        345_005,
        "ADD USER=o PASS=x PRIV=SECURITYOFFICER\nENABLE SYSTEM SECURITY MODE",
        &[Instead("PRIV=SECURITYOFFICER", "PRIV=MANAGER")],
    ),
];

/// The number of the refusal that a rule makes.
pub(super) fn code(rule: &str) -> u32 {
    let found = REFUSALS.iter().find(|refusal| refusal.rule == rule);
    found.unwrap_or_else(|| panic!("no case for {rule}")).code
}

pub(super) fn device() -> Device {
    let limits = Limits {
        flow_cache: 16,
        ..Limits::default()
    };
    let engines = hw_offload::SoftEngines::new(64, 16, 16);
    let mut router = Device::with_limits(&limits, engines, 1);
    for (name, key) in [
        ("own.key", include_str!("../../keys/a.pem")),
        ("peer.key", include_str!("../../keys/b.pub.pem")),
    ] {
        router.host.files.insert(name.into(), key.into());
    }
    // Without the user of the common lines: one rule asks for none.
    let keys = KEYS.lines().filter(|line| !line.starts_with("ADD USER"));
    let script: String = keys.map(|line| format!("{line}\n")).collect();
    let findings = router.run_script(Instant::ZERO, &format!("{script}{DEVICE}"));
    assert!(findings.is_empty(), "{findings:?}");
    router
}

/// The commands of a rule, by the verb and the object.
fn name(line: &str) -> String {
    let spec = config_lang::parse(line)
        .expect("a command")
        .expect("a command")
        .spec;
    format!("{} {}", spec.verb, spec.object.join(" "))
}

/// The line works, and does not with what breaks the rule; then nothing is changed.
#[test]
fn what_a_rule_forbids_is_refused() {
    for refusal in REFUSALS {
        let last = refusal.line.lines().count();
        for change in refusal.breaks {
            let text = match change {
                More(words) => format!("{} {words}", refusal.line),
                Instead(old, new) => {
                    assert!(refusal.line.contains(old), "{old}: {}", refusal.line);
                    refusal.line.replacen(old, new, 1)
                }
            };
            let mut sound = device();
            let findings = sound.run_script(Instant::ZERO, refusal.line);
            let errors = findings
                .iter()
                .filter(|f| f.severity == Severity::Error)
                .count();
            assert_eq!(errors, 0, "{}: {findings:?}", refusal.line);
            let mut router = device();
            let (first, line) = text.rsplit_once('\n').unwrap_or(("", &text));
            let findings = router.run_script(Instant::ZERO, first);
            assert!(findings.is_empty(), "{first}: {findings:?}");
            let before = state(&router);
            let outcome = router.command(Instant::ZERO, line);
            let code = format!("Error ({})", refusal.code);
            assert!(
                outcome.text.starts_with(&code),
                "{}: {line}: {}",
                refusal.rule,
                outcome.text
            );
            assert_eq!(state(&router), before, "{line}");
            assert_eq!(text.lines().count(), last, "{text}");
        }
    }
}

/// Every rule of the grammar has a case for every command that it is about.
#[test]
fn every_rule_has_its_cases() {
    let mut cases: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for refusal in REFUSALS {
        let line = refusal.line.lines().last().expect("a line");
        cases.entry(refusal.rule).or_default().insert(name(line));
    }
    for (rule, lines, _) in EFFECTS {
        let names = lines.iter().map(|line| {
            let whole = line
                .strip_suffix('=')
                .map_or_else(|| (*line).to_owned(), |l| format!("{l}=1"));
            name(&whole)
        });
        cases.entry(rule).or_default().extend(names);
    }
    let grammar = table("commands.toml");
    let rules = entries(&grammar, "rule");
    assert_eq!(rules.len(), 38);
    let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in rules {
        let commands = rule.get("commands").and_then(toml::Value::as_array);
        let commands = commands
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str);
        wanted.insert(text(rule, "id"), commands.map(str::to_owned).collect());
    }
    assert_eq!(cases, wanted);
}
