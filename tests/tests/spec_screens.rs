//! SHOW IPSEC SASPECIFICATION and BUNDLESPECIFICATION, as the manual prints them.

use ipsec_core::Instant;
use lab::Pair;
use sekisho_tests::screens::assert_screen;

fn show(script: &str, command: &str) -> String {
    let mut pair = Pair::soft(1);
    let findings = pair.a.run_script(Instant::ZERO, script);
    assert!(findings.is_empty(), "{findings:?}");
    pair.a.command(Instant::ZERO, command).text
}

const MANUALS: &str = "
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROTO=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROTO=AH HASHALG=MD5
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1 and 2\"
";

#[test]
fn show_ipsec_saspecification() {
    assert_screen(
        &show(MANUALS, "show ipsec saspecification"),
        "
ID  Proto KeyMan Mode      EncAlg    HashAlg CompAlg InSpi  EncKey HashKey
--------------------------------------------------------------------------
1   ESP   ISAKMP TUNNEL    DES       SHA     -       -      -      -
2   AH    ISAKMP TUNNEL    NULL      MD5     -       -      -      -
",
    );
    assert_screen(
        &show(MANUALS, "show ipsec saspecification=1"),
        "
Sa Specification
Id ............................. 1
Protocol ....................... ESP
Key Management ................. ISAKMP
Mode ........................... TUNNEL
Encryption Algorithm ........... DES
Hash Algorithm ................. SHA
Compression Algorithm .......... -
In SPI ......................... -
Out SPI ........................ -
Encryption Key ................. -
Hash Key ....................... -
AntiReplay Enabled ............. FALSE
Replay Window Size ............. 32
",
    );
}

#[test]
fn manual_keys_show_spis_and_key_numbers() {
    let script = "
CREATE ENCO KEY=1 TYPE=DES VALUE=0x4F40CB84313D1BAF
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0x0102030405060708090A0B0C0D0E0F1011121314
CREATE IPSEC SASPEC=1 KEYMAN=MANUAL PROT=ESP MODE=TRANSPORT ENCALG=DES ENCKEY=1 HASHALG=SHA HASHKEY=2 INSPI=1000 OUTSPI=1001
CREATE IPSEC BUNDLE=7 KEYMAN=MANUAL STRING=\"1\"
";
    assert_screen(
        &show(script, "SHOW IPSEC SASPEC"),
        "
ID  Proto KeyMan Mode      EncAlg    HashAlg CompAlg InSpi  EncKey HashKey
--------------------------------------------------------------------------
1   ESP   MANUAL TRANSPORT DES       SHA     -       1000   1      2
",
    );
    assert_screen(
        &show(script, "SHOW IPSEC BUNDLE"),
        "
ID   KeyManagement  ExpKBytes  ExpSec    String
------------------------------------------------------------------------
7    MANUAL         -          -         1
",
    );
}

#[test]
fn show_ipsec_bundlespecification() {
    assert_screen(
        &show(MANUALS, "show ipsec bundlespecification"),
        "
ID   KeyManagement  ExpKBytes  ExpSec    String
------------------------------------------------------------------------
1    ISAKMP         -          28800     1 and 2
",
    );
    assert_screen(
        &show(MANUALS, "show ipsec bundlespecification=1"),
        "
Bundle Specification
Id ............................. 1
Key Management ................. ISAKMP
String ......................... 1 and 2
Expiry Kilobytes ............... -
Expiry Seconds ................. 28800
Num of Proposals................ 2
Proposal ....................... 1
    ProposalNumber ............. 1
    Protocol ................... ESP
    Number Of Transfroms ....... 1
         Transform 0 ........... SA Spec Id 1
Proposal ....................... 2
    ProposalNumber ............. 1
    Protocol ................... AH
    Number Of Transfroms ....... 1
         Transform 0 ........... SA Spec Id 2
",
    );
}

#[test]
fn alternatives_are_transforms_and_candidates_are_proposal_numbers() {
    let script = "
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROTO=ESP ENCALG=DES HASHALG=SHA
CREATE IPSEC SASPEC=3 KEYMAN=ISAKMP PROTO=AH HASHALG=SHA
CREATE IPSEC SASPEC=4 KEYMAN=ISAKMP PROTO=AH HASHALG=MD5
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1 and 3 or 4, 1\" EXPIRYKBYTES=1000
";
    assert_screen(
        &show(script, "SHOW IPSEC BUNDLE=1"),
        "
Bundle Specification
Id ............................. 1
Key Management ................. ISAKMP
String ......................... 1 and 3 or 4, 1
Expiry Kilobytes ............... 1000
Expiry Seconds ................. 28800
Num of Proposals................ 3
Proposal ....................... 1
    ProposalNumber ............. 1
    Protocol ................... ESP
    Number Of Transfroms ....... 1
         Transform 0 ........... SA Spec Id 1
Proposal ....................... 2
    ProposalNumber ............. 1
    Protocol ................... AH
    Number Of Transfroms ....... 2
         Transform 0 ........... SA Spec Id 3
         Transform 1 ........... SA Spec Id 4
Proposal ....................... 3
    ProposalNumber ............. 2
    Protocol ................... ESP
    Number Of Transfroms ....... 1
         Transform 0 ........... SA Spec Id 1
",
    );
    assert!(
        show(script, "SHOW IPSEC BUNDLE=9").contains("the bundle specification 9 does not exist")
    );
    assert!(show(script, "SHOW IPSEC SASPEC=9").contains("the SA specification 9 does not exist"));
}
