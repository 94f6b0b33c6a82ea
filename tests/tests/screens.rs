//! The screens against the manual's: every line, label, dot and value, but for runs of spaces.
//!
//! The manual's routers had values of their own; where ours must differ (random numbers, features
//! to come) the line says so.

use ipsec_core::Instant;
use lab::{Pair, Side};
use sekisho_tests::{command, pair};

/// The manual's pair of SHOW IPSEC: 192.168.100.1 and .2 on eth0, LANs behind vlan1.
fn configs() -> [String; 2] {
    let config = |own: u8, peer: u8, local: u8, remote: u8| {
        format!(
            "ENABLE IP
ADD IP INT=eth0 IP=192.168.100.{own} MASK=255.255.255.0
ADD IP INT=vlan1 IP=192.168.{local}.1 MASK=255.255.255.0
ADD IP ROUTE=192.168.{remote}.0 MASK=255.255.255.0 INT=eth0 NEXT=192.168.100.{peer}
CREATE ENCO KEY=1 TYPE=DES VALUE=j7amxbbrhun48a
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0xca59ba48cd4e1c8d5ed3ad62ce786758cb01dcf3
CREATE ISAKMP POLICY=main PEER=192.168.100.{peer} KEY=2 SENDNOTIFY=TRUE MSGRETRYLIMIT=5 MSGTIMEOUT=20 MSGBACKOFF=NONE DHEXPONENTLENGTH=767
CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=MD5
CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"1\"
CREATE IPSEC POLICY=isa INT=eth0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP
CREATE IPSEC POLICY=vpn INT=eth0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER=192.168.100.{peer} LAD=192.168.{local}.0 LMA=255.255.255.0 RAD=192.168.{remote}.0 RMA=255.255.255.0
CREATE IPSEC POLICY=inet INT=eth0 ACTION=PERMIT
ENABLE IPSEC
ENABLE ISAKMP
"
        )
    };
    [config(1, 2, 1, 10), config(2, 1, 10, 1)]
}

/// Runs of spaces become one, blank lines go; `{}` stands for a value of our own.
fn compare(screen: &str, manual: &str) {
    let fold = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (screen, manual) = (fold(screen), fold(manual));
    for (ours, theirs) in screen.iter().zip(&manual) {
        let parts: Vec<&str> = theirs.split("{}").collect();
        let mut rest = ours.as_str();
        let fits = parts.iter().enumerate().all(|(place, part)| {
            let found = if place == 0 {
                rest.strip_prefix(part).map(|rest| ("", rest))
            } else if part.is_empty() {
                Some((rest, ""))
            } else {
                rest.split_once(part)
            };
            let Some((value, left)) = found else {
                return false;
            };
            rest = left;
            place == 0 || !value.is_empty() && !value.contains(' ')
        });
        assert!(
            fits && rest.is_empty(),
            "\nours:   {ours}\nmanual: {theirs}"
        );
    }
    assert_eq!(screen.len(), manual.len(), "{screen:#?}");
}

/// Up since 1.08 s; the time is what the screens show as used.
fn up(at: u64) -> Pair {
    let mut pair = pair(&configs(), 5);
    let host = |net: u8| std::net::Ipv4Addr::new(192, 168, net, 2);
    pair.ping(host(1), host(10), Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(5)));
    pair.run_to(Instant::from_secs(at));
    pair
}

#[test]
fn show_ipsec() {
    let mut pair = up(5);
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC"),
        "
IPSEC Module Configuration
Module Status .......................... ENABLED
IPsec over UDP
  Status ............................... CLOSED
  Listen Port .......................... 2746
",
    );
    command(&mut pair, Side::A, "SET IPSEC POLICY=vpn UDPTUNNEL=TRUE");
    command(&mut pair, Side::A, "SET IPSEC UDPPORT=3456");
    for (line, module, tunnel, port) in [
        ("ENABLE IPSEC", "ENABLED", "OPEN", 3456),
        ("DISABLE IPSEC", "DISABLED", "CLOSED", 3456),
        ("ENABLE IPSEC", "ENABLED", "OPEN", 3456),
        ("PURGE IPSEC", "DISABLED", "CLOSED", 2746),
    ] {
        command(&mut pair, Side::A, line);
        let screen = command(&mut pair, Side::A, "SHOW IPSEC");
        for field in [
            format!("Module Status .......................... {module}\n"),
            format!("Status ............................... {tunnel}\n"),
            format!("Listen Port .......................... {port}\n"),
        ] {
            assert!(screen.contains(&field), "{line}: {screen}");
        }
    }
    // PURGE takes all of IPsec and nothing of ISAKMP.
    let left = command(&mut pair, Side::A, "SHOW CONFIG DYNAMIC=IPSEC");
    assert_eq!(left, "");
    let left = command(&mut pair, Side::A, "SHOW CONFIG");
    assert!(
        left.contains("CREATE ISAKMP POLICY") && left.contains("CREATE ENCO KEY"),
        "{left}"
    );
}

#[test]
fn show_ipsec_policy() {
    let mut pair = up(11_987);
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC POLICY"),
        "
Interface  Name                     Action   KeyManagement  Position
------------------------------------------------------------------------
eth0       isa                      PERMIT   -              1
eth0       vpn                      IPSEC    ISAKMP         2
eth0       inet                     PERMIT   -              3
",
    );
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC POLICY=vpn"),
        "
Ipsec Policy Information
Name ........................... vpn
Interface ...................... eth0
Source Interface ................-
Position ....................... 2
Action ......................... IPSEC
Key Management ................. ISAKMP
Isakmp Policy Name .............
Bundle Specification ........... 1
Peer IP Address Dynamic ........ FALSE
Peer IP Address Any ............ FALSE
Local IP Address Dynamic ....... FALSE
Peer IP Address ................ 192.168.100.2
Local IP Address ............... 192.168.100.1
Use PFS Key .................... FALSE
Group........................... 1
Filter:
  Local Address ................ 192.168.1.0
  Local Mask ................... 255.255.255.0
  Local Port ................... ANY
  Local Name ................... ANY
  Remote Address ............... 192.168.10.0
  Remote Mask .................. 255.255.255.0
  Remote Port .................. ANY
  Remote Name .................. ANY
  Transport Protocol ........... ANY
  Sa Selector From Pkt ......... 00000000
DF Bit ......................... CLEAR
UDP Tunnel ..................... FALSE
    Peer Port .................. -
    Peer IP Address ............ -
    Internal IP Address ........ -
    HeartBeats Enabled ......... -
Debug device ................... 16
Filter debug flags ............. 00000000
Packet debug flags ............. 00000000
Trace debug flags .............. 00000000
Packet debug length ............ 72
Max Out Packet queue length .... 20
Number of Out Packets queued ... 0

Bundles
Bundle                    Expiry Limits - hard/soft/used
Index   SA's    State     Bytes                 Seconds
-----------------------------------------------------------------------
0       0       VALID     -/-/120               28800/{}/11985
",
    );
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC POLICY=isa"),
        "
Ipsec Policy Information
Name ........................... isa
Interface ...................... eth0
Source Interface ................-
Position ....................... 1
Action ......................... PERMIT
Key Management ................. -
Isakmp Policy Name .............
Bundle Specification ........... -
Peer IP Address Dynamic ........ -
Peer IP Address Any ............ -
Local IP Address Dynamic ....... -
Peer IP Address ................ -
Local IP Address ............... -
Use PFS Key .................... -
Group........................... -
Filter:
  Local Address ................ ANY
  Local Mask ................... ANY
  Local Port ................... 500
  Local Name ................... ANY
  Remote Address ............... ANY
  Remote Mask .................. ANY
  Remote Port .................. 500
  Remote Name .................. ANY
  Transport Protocol ........... UDP
  Sa Selector From Pkt ......... 00000000
DF Bit ......................... -
UDP Tunnel ..................... -
    Peer Port .................. -
    Peer IP Address ............ -
    Internal IP Address ........ -
    HeartBeats Enabled ......... -
Debug device ................... 16
Filter debug flags ............. 00000000
Packet debug flags ............. 00000000
Trace debug flags .............. 00000000
Packet debug length ............ 72
Max Out Packet queue length .... 20
Number of Out Packets queued ... 0

Bundles
Bundle                    Expiry Limits - hard/soft/used
Index   SA's    State     Bytes                 Seconds
-----------------------------------------------------------------------
",
    );
}

#[test]
fn show_ipsec_sa() {
    let mut pair = up(5);
    let (inbound, outbound) = {
        let plane = pair.a.device.plane();
        let (_, sa) = plane.sas().next().expect("one");
        (sa.in_spi.0, sa.out_spi.0)
    };
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC SA"),
        &format!(
            "
SA Id  Policy                   Bundle  State  Protocol  OutSPI      InSPI
-----------------------------------------------------------------------------
0      vpn                      1       Valid  ESP       {outbound}  {inbound}
"
        ),
    );
    // The manual shows an AH SA; the lines of ESP are those of its field table.
    compare(
        &command(&mut pair, Side::A, "SHOW IPSEC SA=0"),
        &format!(
            "
SA Id ................................... 0
  Policy ................................ vpn
  Bundle ................................ 1
  SA Specification Used ................. 1
  State ................................. Valid
  Protocol .............................. ESP
  Mode .................................. TUNNEL
  Outbound SPI .......................... {outbound}
  Inbound SPI ........................... {inbound}
  Local tunnel IP address ............... 192.168.100.1
  Remote tunnel IP address .............. 192.168.100.2
  Encryption algorithm .................. DES
  Encryption ENCO channel ............... {{}}
  Hash algorithm ........................ MD5
  Hash ENCO channel...................... {{}}
  Filters
    Local IP address .................... 192.168.1.0
    Local IP address mask ............... 255.255.255.0
    Remote IP address ................... 192.168.10.0
    Remote IP address mask .............. 255.255.255.0
    Local Name .......................... ANY
    Remote Name ......................... ANY
  DF Bit ................................ CLEAR
  Last sent sequence number ............. 1
  Anti-replay checking enabled .......... FALSE
  Debug device .......................... 16
  Filter debug flags .................... 00000000
  Packet debug flags .................... 00000000
  Trace debug flags ..................... 00000000
  Packet debug length ................... 72
"
        ),
    );
    let text = pair
        .a
        .command(Instant::from_secs(5), "SHOW IPSEC SA=7")
        .text;
    assert!(text.contains("the SA 7 does not exist"), "{text}");
}

/// With anti-replay on the screen has three lines more.
#[test]
fn show_ipsec_sa_with_anti_replay() {
    let configs = configs().map(|text| text.replace("HASHALG=MD5", "HASHALG=MD5 ANTIREPLAY=TRUE"));
    let mut pair = pair(&configs, 5);
    let host = |net: u8| std::net::Ipv4Addr::new(192, 168, net, 2);
    for second in 1..=3 {
        pair.ping(host(1), host(10), Instant::from_secs(second));
        assert!(pair.run(Instant::from_secs(second + 1)));
    }
    let screen = command(&mut pair, Side::A, "SHOW IPSEC SA=0");
    let bitmap = format!(
        "  Anti-replay bitmap .................... 111{}\n",
        "0".repeat(29)
    );
    for line in [
        "  Anti-replay checking enabled .......... TRUE\n",
        "  Anti-replay window size ............... 32\n",
        "  Last received sequence number ......... 3\n",
        &bitmap,
    ] {
        assert!(screen.contains(line), "{line}{screen}");
    }
}

#[test]
fn show_isakmp() {
    let mut pair = up(5);
    compare(
        &command(&mut pair, Side::A, "SHOW ISAKMP"),
        "
ISAKMP Module Configuration
Module Status .......................... ENABLED
UDP Port ............................... 500
Debug Flag ............................. 00000000
Global Debug Device .................... 0
Local RSA Key .......................... -
VPN Client Policy Server Enabled ....... FALSE
VPN Client Policy File Name ............
",
    );
    compare(
        &command(&mut pair, Side::A, "SHOW ISAKMP SA"),
        "
                                            Expiry Limits - hard/soft/used
SA Id  PeerAddress       EncA.     HashA.   Bytes       Seconds
-----------------------------------------------------------------------------
1      192.168.100.2     DES       SHA      -/-/-       86400/{}/3
",
    );
}

#[test]
fn show_isakmp_sa() {
    let mut pair = up(2118);
    let (initiator, responder) = pair.a.device.endpoint().sas().next().expect("one").cookies;
    // NAT-T and DPD are on and there is a byte limit on the manual's screen; elsewhere here.
    compare(
        &command(&mut pair, Side::A, "SHOW ISAKMP SA=1"),
        &format!(
            "
SA Id ................................. 1
  Initiator Cookie .................... {initiator}
  Responder Cookie .................... {responder}
  DOI ................................. IPSEC
  Policy name ......................... main
  State ............................... ACTIVE
  Local address ....................... 192.168.100.1
  Remote Address ...................... 192.168.100.2
  Time of establishment ...............
  Commit bit set ...................... FALSE
  Send notifies ....................... TRUE
  Send deletes ........................ FALSE
  Message Retry Limit ................. 5
  Initial Message Retry Timeout (s) ... 20
  Message Back-off .................... None
  Exchange Delete Delay (s) ........... 30
  Do Xauth ............................ FALSE
    Xauth Finished .................... TRUE
  Expiry Limit (bytes) ................ -
  Soft Expiry Limit (bytes) ........... -
  Bytes seen .......................... -
  Expiry Limit (seconds) .............. 86400
  Soft Expiry Limit (seconds) ......... {{}}
  Seconds since creation .............. 2116
  Number of Phase 2 exchanges allowed . 4294967295
  Number of acquires queued ........... 0
Sa Definition Information:
  Authentication Type ................. PRESHARED
  Encryption Algorithm ................ DES - 56 bit
  Hash Algorithm ...................... SHA
  group Type .......................... MODP
  group Description ................... MODP768
  DH Private Exponent Bits ............ 767
  expiry seconds ...................... 86400
  expiry kilobytes .................... -
XAuth Information:
  Id .................................. 0
  Next Message ........................ UNKNOWN
  Status .............................. FAIL
  Type ................................ Generic
  Max Failed Attempts ................. 0
  Failed Attempts ..................... 0
NAT-Traversal Information:
  NAT-T enabled ....................... NO
  Peer NAT-T capable .................. NO
  NAT discovered ...................... UNKNOWN
Heartbeat information:
  Send Heartbeats ..................... NO
  Next sequence number tx ............. 1
  Receive Heartbeats .................. NO
  Last sequence number rx ............. 0
DPD information:
  DPD Mode ............................ NONE
  State ............................... None
  Retry Count ......................... 0
  Idle Expiry (seconds)................ 0
  Next sequence number tx ............. 0
  Last sequence number rx ............. 0
"
        ),
    );
}

#[test]
fn show_enco_key() {
    let mut pair = up(5);
    compare(
        &command(&mut pair, Side::A, "SHOW ENCO KEY=1"),
        "
j7amxbbrhun48a
0x4F40CB84313D1BAF
IP Address:
-
",
    );
    compare(
        &command(&mut pair, Side::A, "SHOW ENCO KEY=2"),
        "
0xca59ba48cd4e1c8d5ed3ad62ce786758cb01dcf3
IP Address:
-
",
    );
}

#[test]
fn show_log() {
    let mut pair = up(5);
    let isakmp = "
Date/Time   S Mod  Type SType Message
-------------------------------------------------------------------------------
{} {} 3 ISAK IKMP MSG   ISAKMP has been enabled
{} {} 3 ISAK IKMP XCHG  Exchange 1: Phase 1 [init] started with peer
                        192.168.100.2
{} {} 3 ISAK IKMP XCHG  Exchange 1: Notification Received - DOI
{} {} 3 ISAK IKMP XCHG  Exchange 1: Completed successfully
{} {} 3 ISAK IKMP XCHG  Exchange 2: Phase 2 [init] started with peer
                        192.168.100.2
{} {} 3 ISAK IKMP XCHG  Exchange 2: Completed successfully
-------------------------------------------------------------------------------
";
    let ipsec = "
Date/Time   S Mod  Type SType Message
-------------------------------------------------------------------------------
{} {} 3 IPSE IPSC MSG   IPSEC has been enabled
{} {} 3 IPSE IPSC MSG   SA bundle created: Policy - vpn
-------------------------------------------------------------------------------
";
    let nothing = "
Date/Time   S Mod  Type SType Message
-------------------------------------------------------------------------------
-------------------------------------------------------------------------------
";
    for (line, manual) in [
        ("SHOW LOG MODULE=ISAK", isakmp),
        ("SHOW LOG TYPE=IKMP", isakmp),
        ("SHOW LOG TYPE=IPSC", ipsec),
        ("SHOW LOG MODULE=IPSE", ipsec),
        // Both are asked for.
        ("SHOW LOG MODULE=IPSE TYPE=IPSC", ipsec),
        ("SHOW LOG MODULE=IPSE TYPE=IKMP", nothing),
        ("SHOW LOG MODULE=ISAK TYPE=IPSC", nothing),
    ] {
        compare(&command(&mut pair, Side::A, line), manual);
    }
    let responder = command(&mut pair, Side::B, "SHOW LOG");
    assert!(
        responder.contains("Exchange 1: Phase 1 [resp] started with peer"),
        "{responder}"
    );
}

/// The comparison with the manual folds blanks: here the headings of lists stand as screens.md has
/// them, and every cell begins where its heading does.
#[test]
fn columns_stand_under_their_headings() {
    let mut pair = up(5);
    for (line, heading, columns) in [
        (
            "SHOW IPSEC BUNDLESPECIFICATION",
            "ID   KeyManagement  ExpKBytes  ExpSec    String",
            &["ID", "KeyM", "ExpK", "ExpS", "Str"][..],
        ),
        (
            "SHOW IPSEC POLICY",
            "Interface  Name                     Action   KeyManagement  Position",
            &["Interface", "Name", "Action", "KeyM", "Position"],
        ),
        (
            "SHOW IPSEC POLICY=vpn",
            "Index   SA's    State     Bytes                 Seconds",
            &["Index", "SA's", "State", "Bytes", "Seconds"],
        ),
        (
            "SHOW IPSEC SA",
            "SA Id  Policy                   Bundle  State  Protocol  OutSPI      InSPI",
            &[
                "SA Id", "Policy", "Bundle", "State", "Protocol", "OutSPI", "InSPI",
            ],
        ),
        (
            "SHOW IPSEC SASPECIFICATION",
            "ID  Proto KeyMan Mode      EncAlg    HashAlg CompAlg InSpi  EncKey HashKey",
            &[
                "ID", "Proto", "KeyMan", "Mode", "EncAlg", "HashAlg", "CompAlg", "InSpi", "EncKey",
                "HashKey",
            ],
        ),
        (
            "SHOW IPSEC ISAKMP",
            "SA Id NAT-OA          SA Id Peer Address    DPD   ISAKMP SA Lifetime (secs)",
            &["SA Id NAT", "NAT-OA", "SA Id Peer", "Peer", "ISAKMP"],
        ),
        (
            "SHOW ISAKMP SA",
            "SA Id  PeerAddress       EncA.     HashA.   Bytes       Seconds",
            &[
                "SA Id",
                "PeerAddress",
                "EncA.",
                "HashA.",
                "Bytes",
                "Seconds",
            ],
        ),
        (
            "SHOW ISAKMP EXCHANGE",
            "Id    Phase  State                   PeerAddress      Type",
            &["Id", "Phase", "State", "PeerAddress", "Type"],
        ),
        (
            "SHOW LOG",
            "Date/Time   S Mod  Type SType Message",
            &["Date/Time", "S Mod", "Mod", "Type", "SType", "Message"],
        ),
    ] {
        let screen = command(&mut pair, Side::A, line);
        let rows = screen
            .lines()
            .skip_while(|row| *row != heading)
            .skip(2)
            .take_while(|row| !row.starts_with("---"));
        let mut seen = 0;
        for row in rows {
            let begins = |column: &&str| {
                let at = heading.find(*column).expect("a heading");
                let (before, cell) = row.split_at_checked(at).unwrap_or((row, ""));
                (before.is_empty() || before.ends_with(' ')) && !cell.starts_with(' ')
            };
            let message = heading.find("Message").unwrap_or(0);
            let continued = message > 0 && row.starts_with(' ');
            if continued {
                let own = row.len() - row.trim_start().len();
                assert_eq!(own, message, "{line}: {screen}");
            } else {
                assert!(columns.iter().all(begins), "{line}: {row:?} in {screen}");
            }
            seen += 1;
        }
        assert!(seen > 0, "{line}: {screen}");
    }
}
