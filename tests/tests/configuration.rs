//! From a configuration to commands and back, and what works but deserves a warning.

use config_lang::dump;
use config_lang::message::Severity;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use lab::{Buf, Router};
use sekisho_tests::config;

fn device() -> Router<SoftEngines<Buf>> {
    Router::new(SoftEngines::new(64, 16, 16), 1)
}

/// What SHOW CONFIG prints makes an equal device.
#[test]
fn a_printed_configuration_makes_the_same_device() {
    let more = "CREATE ISAKMP POLICY=\"two words\" PEER=9.9.9.9 KEY=1 ENCALG=AES256 HASHALG=MD5 GROUP=2 DHEXP=1000 EXPIRYS=700 LOCALID=a@b.c REMOTEID=\"c=JP, o=x\" SENDN=ON SENDD=OFF DELETED=5 MSGT=86400 MSGR=1024 MSGB=NONE
CREATE IPSEC SASPEC=200 KEYMAN=ISAKMP PROT=AH HASHALG=MD5 MODE=TRANSPORT ANTIREPLAY=TRUE REPLAYWIN=256
CREATE IPSEC BUNDLE=255 KEYMAN=ISAKMP STRING=\"1 and 200, 1\" EXPIRYK=9999999999 EXPIRYS=31449600
CREATE IPSEC POLICY=p1 INT=ppp0 ACTION=DENY LAD=10.0.0.1-10.0.0.9 RAD=10.0.0.0 RMA=255.0.0.0 LPORT=1 RPORT=ANY TRANS=TCP POS=1
CREATE IPSEC POLICY=p0 INT=ppp0 ACTION=PERMIT TRANS=OSPF
CREATE IPSEC POLICY=p2 INT=ppp0-0 ACTION=PERMIT IPV=6 RAD=2001:db8::/32 ICMPT=NDALL
CREATE IPSEC POLICY=p3 INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=9.9.9.9 LNAME=me RNAME=you DFBIT=SET GROUP=2 ISAKMP=\"two words\" SRCINT=vlan1 USEPFS=TRUE TRANS=99
SET IPSEC POLICY=inet POSITION=2
ADD RADIUS SERVER=10.0.0.9 SECRET=\"two words\" PORT=1645
ADD RADIUS SERVER=2001:db8::9 SECRET=x
ADD PKI CERTIFICATE=root LOCATION=ca.pem TRUSTED=YES TYPE=CA
ENABLE ISAKMP UDPPORT=5000
";
    for name in [
        "basic-isakmp-vpn.a",
        "basic-isakmp-vpn.b",
        "manual-key-vpn.a",
        "manual-key-vpn.b",
    ] {
        let mut text = config(name);
        if name.starts_with("basic") {
            text += more;
        }
        let certificate = include_str!("../keys/ca.crt.pem");
        let with_file = || {
            let mut router = device();
            let files = &mut router.host.files;
            files.insert("ca.pem".into(), certificate.into());
            router
        };
        let mut first = with_file();
        let findings = first.run_script(Instant::ZERO, &text);
        assert!(findings.is_empty(), "{findings:?}");
        let printed = dump::all(first.device.state());
        let mut second = with_file();
        let findings = second.run_script(Instant::ZERO, &printed);
        assert!(findings.is_empty(), "{printed}{findings:?}");
        let (one, other) = (first.device.state(), second.device.state());
        assert_eq!(one.ipsec, other.ipsec, "{printed}");
        assert_eq!(one.isakmp, other.isakmp, "{printed}");
        assert_eq!(
            format!("{:?}", one.net),
            format!("{:?}", other.net),
            "{printed}"
        );
        assert_eq!(one.ip_enabled, other.ip_enabled);
        assert_eq!(
            dump::all(other).replace('#', ""),
            printed
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        );
        for (number, key) in one.keys.iter() {
            let same = other.keys.get(number).expect("the key is there");
            assert_eq!(
                (key.kind, &key.value, &key.description),
                (same.kind, &same.value, &same.description)
            );
        }
    }
}

/// It works, but somebody should know.
#[test]
fn what_is_weak_is_warned_about() {
    let base = "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=word
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=1
ADD IP INT=ppp0 IP=1.1.1.1
";
    for (line, column, word) in [
        (
            "CREATE ISAKMP POLICY=i PEER=2.2.2.2 KEY=1 GROUP=0",
            43,
            "GROUP=0",
        ),
        (
            "CREATE IPSEC POLICY=p INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=2.2.2.2 USEPFS=TRUE GROUP=0",
            93,
            "GROUP=0",
        ),
        (
            "CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=NULL",
            57,
            "HASHALG=NULL",
        ),
        (
            "CREATE IPSEC BUNDLE=2 KEYMAN=ISAKMP STRING=\"1, 2 AND 1\"",
            37,
            "AH before ESP",
        ),
    ] {
        let mut router = device();
        let findings = router.run_script(Instant::ZERO, &format!("{base}{line}"));
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = &findings[0];
        assert_eq!(
            (finding.line, finding.column, finding.severity),
            (6, column, Severity::Warning),
            "{finding:?}"
        );
        assert!(finding.text.contains(word), "{finding:?}");
        // It was done all the same.
        let words: Vec<&str> = line.split(' ').collect();
        let object = words[2]
            .replace("SASPEC", "SASPECIFICATION")
            .replace("BUNDLE", "BUNDLESPECIFICATION");
        let printed = dump::all(router.device.state()).replace('"', "");
        assert!(printed.contains(&object), "{object}: {printed}");
    }
}

/// Comments, blank lines and joined lines; a finding names the line where its command begins.
#[test]
fn scripts_join_lines_and_skip_comments() {
    let text = "# a comment \\\n\n  # another\nCREATE ENCO KEY=1 \\\n  TYPE=GENERAL \\\n  VALUE=word\nSHOW NONSENSE\n";
    let mut router = device();
    let findings = router.run_script(Instant::ZERO, text);
    let places: Vec<_> = findings
        .iter()
        .map(|finding| (finding.line, finding.column))
        .collect();
    assert_eq!(places, [(7, 6)]);
    assert_eq!(router.device.state().keys.iter().count(), 1);
}

/// SHOW CONFIG DYNAMIC[=module]: without a module it is everything.
#[test]
fn the_module_of_a_configuration_may_be_left_out() {
    let mut router = device();
    let findings = router.run_script(Instant::ZERO, &config("basic-isakmp-vpn.a"));
    assert!(findings.is_empty(), "{findings:?}");
    let mut print = |line: &str| router.command(Instant::ZERO, line).text;
    let whole = print("SHOW CONFIG DYNAMIC");
    assert_eq!(whole, print("SHOW CONFIG"));
    for module in ["IPSEC", "ISAKMP"] {
        let part = print(&format!("SHOW CONFIG DYNAMIC={module}"));
        assert!(part.len() < whole.len() && part.contains(&format!("ENABLE {module}")));
        assert!(part.lines().all(|line| whole.contains(line)), "{part}");
    }
}
