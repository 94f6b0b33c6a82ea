//! Every message of the table is raised by a command on a device, with its number, its sentence
//! and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use config_lang::message::table::TABLE;
use config_lang::message::{Row, Severity};
use config_lang::{Console, Surroundings};
use hw_offload::SoftEngines;
use hw_offload::testing::SeededEntropy;
use ipsec_core::{Instant, Limits};
use isakmp_core::device::Privilege;
use lab::{Buf, MemoryHost, Router};
use sekisho_tests::broken::Broken;

/// What every device of these tests begins with.
const BASE: &str = "ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1
ADD IP ROUTE TEMPLATE=back INT=ppp0
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=jogefoge
CREATE ENCO KEY=2 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=3 TYPE=3DES VALUE=0xF888CAC6C66ECF52F888CAC6C66ECF520123456789ABCDEF
CREATE ENCO KEY=4 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=AES128 HASHALG=SHA
CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=ANY IPROUTETEMPLATE=back
CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1
ADD RADIUS SERVER=10.0.0.9 SECRET=x
ADD PKI CERTIFICATE=root LOCATION=ca.pem TRUSTED=YES TYPE=CA
ADD USER=peer PASSWORD=secret LOGIN=NO
";

/// The messages that commands raise on such a device.
const CASES: &[(u32, &str)] = &[
    (105_003, "ENABLE IP"),
    (173_003, "CREATE ENCO KEY=9 TYPE=GENERAL VALUE=x"),
    (181_003, "ENABLE IPSEC"),
    (182_003, "ENABLE ISAKMP"),
    (195_003, "DELETE PKI CERTIFICATE=root"),
    (161_003, "DELETE RADIUS SERVER=10.0.0.9"),
    (145_003, "ADD USER=x PASSWORD=y"),
    (181_057, "ENABLE IPSEC\nENABLE IPSEC POLICY=vpn DEBUG=ALL"),
    (181_058, "DISABLE IPSEC POLICY=vpn DEBUG=ALL"),
    (182_057, "ENABLE ISAKMP DEBUG=STATE"),
    (182_058, "DISABLE ISAKMP DEBUG=STATE"),
    (234_001, "ENABLE FIREWALL"),
    (281_020, "SET IPSEC POLICY=vpn USEPFSKEY=TRUE GROUP=0"),
    (282_020, "SET ISAKMP POLICY=i GROUP=0"),
    (281_021, "SET IPSEC SASPEC=1 HASHALG=NULL"),
    (
        281_022,
        "CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"2 AND 1\"",
    ),
    (
        281_023,
        "ADD IP INT=eth0 IP=4.4.4.0 MASK=255.255.255.0\nSET IPSEC POLICY=vpn SRCINT=eth0",
    ),
    (
        281_029,
        "CREATE IPSEC SASPEC=9 KEYMAN=MANUAL PROT=AH HASHALG=SHA HASHKEY=4 INSPI=255 OUTSPI=256",
    ),
    (
        282_023,
        "ADD IP INT=eth0 IP=4.4.4.0 MASK=255.255.255.0\nSET ISAKMP POLICY=i SRCINT=eth0",
    ),
    (
        282_021,
        "DELETE PKI CERTIFICATE=root\nCREATE ENCO KEY=8 TYPE=RSA FILE=own.key\nCREATE ISAKMP POLICY=r PEER=2.2.2.2 AUTHTYPE=RSASIG LOCALRSAKEY=8",
    ),
    (
        334_001,
        "CREATE IPSEC POLICY=x INT=ppp0 ACTION=PERMIT COLOUR=RED",
    ),
    (334_002, "SET ISAKMP POLICY=i SEND=TRUE"),
    (334_003, "SET ISAKMP POLICY=i KEY=1 KEY=1"),
    (334_004, "CREATE IPSEC POLICY=x INT=ppp0"),
    (334_005, "SET ISAKMP POLICY=i GROUP=3"),
    (334_006, "SET ISAKMP POLICY=i DELETEDELAY=31"),
    (334_007, "SET ISAKMP POLICY=\"i"),
    (381_010, "SET IPSEC SASPEC=1 ENCALG=NULL HASHALG=NULL"),
    (
        382_010,
        "SET ISAKMP POLICY=i PEER=ANY REKEY=ON EXPIRYKBYTES=5",
    ),
    (305_011, "DELETE IP ROUTE TEMPLATE=x"),
    (373_011, "DESTROY ENCO KEY=99"),
    (381_011, "SET IPSEC POLICY=x ACTION=PERMIT"),
    (382_011, "SHOW ISAKMP SA=5"),
    (395_011, "SHOW PKI CERTIFICATE=x"),
    (361_011, "DELETE RADIUS SERVER=10.0.0.1"),
    (305_012, "ADD IP ROUTE TEMPLATE=back INT=ppp0"),
    (373_012, "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=x"),
    (381_012, "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=DENY"),
    (382_012, "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1"),
    (395_012, "ADD PKI CERTIFICATE=root LOCATION=ca.pem TYPE=CA"),
    (361_012, "ADD RADIUS SERVER=10.0.0.9 SECRET=y"),
    (345_012, "ADD USER=peer PASSWORD=y"),
    (305_013, "DELETE IP ROUTE TEMPLATE=back"),
    (373_013, "DESTROY ENCO KEY=1"),
    (381_013, "DESTROY IPSEC BUNDLE=1"),
    (381_014, "ENABLE IPSEC POLICY=vpn DEBUG=ALL"),
    (381_019, "SET IPSEC UDPPORT=0"),
    (381_030, "CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=AH"),
    (382_030, "CREATE ISAKMP POLICY=x PEER=2.2.2.2"),
    (373_031, "CREATE ENCO KEY=9 TYPE=DES FILE=x"),
    (381_031, "SET IPSEC SASPEC=1 INSPI=1000"),
    (382_031, "SET ISAKMP POLICY=i REKEY=ON"),
    (381_032, "CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=9"),
    (381_033, "SET IPSEC POLICY=vpn BUNDLE=9"),
    (382_033, "SET ISAKMP POLICY=i KEY=99"),
    (
        381_034,
        "CREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=1 HASHALG=SHA HASHKEY=4 INSPI=1000 OUTSPI=1001",
    ),
    (382_035, "SET ISAKMP POLICY=i KEY=2"),
    (381_036, "CREATE IPSEC BUNDLE=2 KEYMAN=MANUAL STRING=1"),
    (
        381_037,
        "CREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=ESP ENCALG=3DESOUTER ENCKEY=3 HASHALG=SHA HASHKEY=4 INSPI=1000 OUTSPI=1001",
    ),
    (373_002, "CREATE ENCO KEY=9 TYPE=GENERAL VALUE=x RANDOM"),
    (373_003, "CREATE ENCO KEY=9 TYPE=GENERAL"),
    (373_005, "CREATE ENCO KEY=9 TYPE=DES VALUE=0x00"),
    (373_006, "CREATE ENCO KEY=9 TYPE=RSA FILE=noise.pem"),
    (373_007, "CREATE ENCO KEY=9 TYPE=RSA RANDOM LENGTH=512"),
    (
        373_009,
        "CREATE ENCO KEY=9 TYPE=RSA RANDOM\nCREATE ENCO KEY=10 TYPE=RSA RANDOM",
    ),
    (373_010, "CREATE ENCO KEY=9 TYPE=RSA FILE=none.pem"),
    (395_010, "ADD PKI CERTIFICATE=x LOCATION=none.pem TYPE=CA"),
    (345_010, "SET CONFIG=none.cfg"),
    (
        373_015,
        "CREATE ENCO KEY=9 TYPE=AES RANDOM\nCREATE ENCO KEY=10 TYPE=AES RANDOM\nCREATE ENCO KEY=11 TYPE=AES RANDOM",
    ),
    (305_001, "ADD IP INT=eth0 IP=1.1.1.1"),
    (305_002, "ADD IP ROUTE=10.0.0.0 INT=eth0"),
    (395_004, "ADD PKI CERTIFICATE=x LOCATION=noise.pem TYPE=CA"),
    (395_005, "ADD PKI CERTIFICATE=x LOCATION=ca.pem TYPE=SELF"),
    (395_006, "ADD PKI CERTIFICATE=x LOCATION=leaf.pem TYPE=CA"),
    (345_005, "ENABLE SYSTEM SECURITY MODE"),
    (345_007, "SET SYSTEM DISTINGUISHEDNAME=nothing"),
];

/// The messages of `check`, on such a configuration with these lines behind it.
const CHECKED: &[(u32, &str)] = &[
    (273_001, ""),
    (273_002, "CREATE ENCO KEY=9 TYPE=AES RANDOM"),
    (
        281_024,
        "CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=MD5",
    ),
    (282_024, "SET ISAKMP POLICY=i GROUP=1"),
    (
        281_025,
        "CREATE IPSEC POLICY=a INT=ppp0 ACTION=DENY\nCREATE IPSEC POLICY=b INT=ppp0 ACTION=PERMIT",
    ),
    (281_026, ""),
    (
        281_028,
        "CREATE IPSEC POLICY=a INT=eth0 ACTION=DENY RAD=0.0.0.0-9.9.9.9\nCREATE IPSEC POLICY=b INT=eth0 ACTION=DENY RAD=9.9.9.10-255.255.255.255\nCREATE IPSEC POLICY=c INT=eth0 ACTION=PERMIT",
    ),
    (
        281_030,
        "CREATE IPSEC POLICY=far INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=3.3.3.3 RAD=10.0.0.1",
    ),
    (282_022, "SET ISAKMP POLICY=i MODE=AGGRESSIVE"),
    (282_027, "SET ISAKMP POLICY=i PEER=ANY PRENEGOTIATE=TRUE"),
];

/// The messages that lines in a script raise.
const SCRIPTED: &[(u32, &str)] = &[(345_011, "LOGIN nobody"), (345_006, "LOGIN peer")];

/// The messages of sessions of less rights, after these lines of one session.
const SESSIONS: &[(u32, &str)] = &[
    (345_009, "ENABLE IPSEC"),
    (345_015, "LOGIN nobody\nguess"),
    (
        345_016,
        "LOGIN peer\n1\nLOGIN peer\n2\nLOGIN peer\n3\nLOGIN peer\n4\nLOGIN peer\n5\nLOGIN peer\n6",
    ),
];

/// The messages of a world that fails: randomness is gone and the disk is full.
const BROKEN: &[(u32, &str)] = &[
    (373_014, "CREATE ENCO KEY=9 TYPE=GENERAL RANDOM"),
    (345_014, "ADD USER=x PASSWORD=y"),
    (345_008, "CREATE CONFIG=some.cfg"),
];

/// A router with room for six keys, whose engine takes one job for RSA at a time.
fn router() -> Router<SoftEngines<Buf>> {
    let limits = Limits {
        keys: 6,
        ..Limits::default()
    };
    let mut router = Router::with_limits(&limits, SoftEngines::new(64, 16, 1), 1);
    let MemoryHost { files, .. } = &mut router.host;
    for (name, text) in [
        ("ca.pem", include_str!("../keys/ca.crt.pem")),
        ("leaf.pem", include_str!("../keys/a.crt.pem")),
        ("own.key", include_str!("../keys/a.pem")),
        ("noise.pem", "noise"),
    ] {
        files.insert(name.into(), text.into());
    }
    router
}

/// The same, configured.
fn device() -> Router<SoftEngines<Buf>> {
    let mut router = router();
    let findings = router.run_script(Instant::ZERO, BASE);
    assert!(findings.is_empty(), "{findings:?}");
    router
}

/// Every message in the mouth of every module that has it, by its number.
fn table() -> BTreeMap<u32, &'static Row> {
    let mut rows = BTreeMap::new();
    for row in TABLE {
        for module in row.modules {
            let old = rows.insert(row.code(*module), *row);
            assert!(old.is_none(), "{} has the number of {old:?}", row.name);
        }
    }
    rows
}

/// The printed text is that row of the table.
fn is_row(text: &str, code: u32, row: &Row, line: &str) {
    let word = match row.severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Error => "Error",
    };
    let rest = text.strip_prefix(&format!("{word} ({code}): "));
    let mut rest = rest.unwrap_or_else(|| panic!("{line}: {code} is due, not {text}"));
    for part in row.text.split("{}") {
        let place = rest
            .find(part)
            .unwrap_or_else(|| panic!("{line}: no '{part}' in {text}"));
        rest = &rest[place + part.len()..];
    }
    let end = match row.advice {
        "" => ".\n".to_owned(),
        advice => format!("; {advice}.\n"),
    };
    assert!(text.ends_with(&end), "{line}: {text}");
    assert!(!text.contains("{}"), "{line}: {text}");
}

#[test]
fn every_message_is_raised_by_a_command() {
    let table = table();
    let cases = [CASES, SCRIPTED, SESSIONS, CHECKED, BROKEN]
        .into_iter()
        .flatten();
    let cases: BTreeSet<u32> = cases.map(|(code, _)| *code).collect();
    let known: BTreeSet<u32> = table.keys().copied().collect();
    assert_eq!(cases, known, "what has no case, or is no message");
    for (code, lines) in CASES {
        let mut router = device();
        let (first, line) = lines.rsplit_once('\n').unwrap_or(("", lines));
        let errors = router.run_script(Instant::ZERO, first);
        assert!(errors.is_empty(), "{errors:?}");
        let outcome = router.command(Instant::ZERO, line);
        is_row(&outcome.text, *code, table[code], line);
        assert_eq!(outcome.worst, table[code].severity, "{line}");
    }
    for (code, line) in SCRIPTED {
        let findings = device().run_script(Instant::ZERO, line);
        let [finding] = findings.as_slice() else {
            panic!("{line}: {findings:?}")
        };
        is_row(&format!("{}\n", finding.text), *code, table[code], line);
    }
    for (code, lines) in SESSIONS {
        let mut router = device();
        let mut console = Console::vouched(Privilege::User);
        let (mut entropy, mut last) = (SeededEntropy::new(1), String::new());
        for line in lines.lines() {
            let mut around = Surroundings {
                now: Instant::ZERO,
                entropy: &mut entropy,
                host: &mut router.host,
            };
            last = console.execute(&mut router.device, &mut around, line).text;
        }
        is_row(&last, *code, table[code], lines);
    }
    for (code, lines) in CHECKED {
        let findings = router().check_script(Instant::ZERO, &format!("{BASE}{lines}"));
        let (number, row) = (format!("({code})"), table[code]);
        let found = findings
            .iter()
            .find(|finding| finding.text.contains(&number));
        let found = found.unwrap_or_else(|| panic!("{lines}: no {code} in {findings:?}"));
        is_row(&format!("{}\n", found.text), *code, row, lines);
        assert_eq!(found.severity, row.severity, "{lines}");
    }
    for (code, line) in BROKEN {
        let mut router = device();
        let mut around = Surroundings {
            now: Instant::ZERO,
            entropy: &mut Broken,
            host: &mut Broken,
        };
        let mut console = Console::vouched(Privilege::SecurityOfficer);
        let outcome = console.execute(&mut router.device, &mut around, line);
        is_row(&outcome.text, *code, table[code], line);
    }
}

/// The numbers have six digits, the severity first; a complaint comes with what to do about it.
#[test]
fn every_complaint_says_what_to_do() {
    for (code, row) in table() {
        let first = match row.severity {
            Severity::Info => 1,
            Severity::Warning => 2,
            Severity::Error => 3,
        };
        assert_eq!(code / 100_000, first, "{}", row.name);
        let complains = row.severity != Severity::Info;
        assert_eq!(!row.advice.is_empty(), complains, "{}", row.name);
        for text in [row.text, row.advice] {
            let lower = |c: char| !c.is_ascii_uppercase();
            // A sentence may begin with a word of the command language.
            let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
            let keyword = word.len() > 1 && !word.chars().any(lower);
            let begins_low = text.chars().next().is_none_or(lower) || keyword || !complains;
            assert!(begins_low && !text.ends_with('.'), "{}: {text}", row.name);
        }
    }
}
