//! ENABLE and DISABLE IPSEC POLICY DEBUG: the manual's traces from the manual's packets, and what
//! a live router prints.

use core::net::IpAddr;

use config_lang::debug;
use hw_offload::testing::hex;
use ipsec_core::debug::{DebugEvent, DebugMask, Parts, Watched};
use ipsec_core::model::{AddressSelector, Direction, Name};
use ipsec_core::{Id, Instant, PolicyId};
use isakmp_core::device::DeviceReport;
use lab::{Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, both, command, pair};

const POLICY: PolicyId = PolicyId(Id {
    slot: 0,
    generation: 0,
});

fn print(event: &DebugEvent) -> String {
    debug::ipsec(&Name::new("vpn"), event)
}

fn processed(direction: Direction, post: bool, packet: &str) -> String {
    print(&DebugEvent::Processed {
        policy: POLICY,
        sa: 2,
        direction,
        post,
        parts: Parts::ALL,
        icv: 12,
        packet: hex(packet).into(),
    })
}

/// The packets that the manual prints, put together from the lines it prints of them.
#[test]
fn packets_are_printed_as_in_the_manual() {
    let clear = "45000028eb1040002006d908c0a81464c0a801020429005005b7e65c01faee4c5004000038560000";
    assert_eq!(
        processed(Direction::Out, false, clear),
        "
IPSEC vpn: 2: OUT: pre processing:
  IP: 45000028eb1040002006d908c0a81464c0a80102
  TCP: 0429005005b7e65c01faee4c5004000038560000
  data:
"
    );
    let sealed = "450000604b7f00004032fa573f0c42ef3d73752714f45fa300000b099fcd18d0a34ffeecb8b0f574ddeaa820f8ba0db36cd7a9fc0254f08215e2aa7ecdb346886193f17d39cc7f096276238bf262b668920b51c535d26e02458706623d9aa9bf";
    assert_eq!(
        processed(Direction::Out, true, sealed),
        "
IPSEC vpn: 2: OUT: post processing:
  IP: 450000604b7f00004032fa573f0c42ef3d737527
  ESP: 14f45fa300000b09:35d26e02458706623d9aa9bf
  data: 9fcd18d0a34ffeecb8b0f574ddeaa820f8ba0db36cd7a9fc0254f08215e2aa7ecdb34688
        6193f17d39cc7f096276238bf262b668920b51c535d26e02458706623d9aa9bf
"
    );
    let arrives = "450000605ae800003732f3ee3d7375273f0c42ef52d700ff00000c8c993a2918084608c51648755a8f6ebd12d68f806a169d4c243a04c0741d50a3ab52493dcd069d1ec17a17349b9ec9f6c6bb739a39b576298129109cc701bee3a76460a2eb";
    assert_eq!(
        processed(Direction::In, false, arrives),
        "
IPSEC vpn: 2: IN: pre processing:
  IP: 450000605ae800003732f3ee3d7375273f0c42ef
  ESP: 52d700ff00000c8c:29109cc701bee3a76460a2eb
  data: 993a2918084608c51648755a8f6ebd12d68f806a169d4c243a04c0741d50a3ab52493dcd
        069d1ec17a17349b9ec9f6c6bb739a39b576298129109cc701bee3a76460a2eb
"
    );
    let opened =
        "4500002c5ae500003f068a30c0a80102c0a814640050042cf254a5a005b9c355601204009b7b000002040218";
    assert_eq!(
        processed(Direction::In, true, opened),
        "
IPSEC vpn: 2: IN: post processing:
  IP: 4500002c5ae500003f068a30c0a80102c0a81464
  TCP: 0050042cf254a5a005b9c355601204009b7b0000
  data: 02040218
"
    );
}

#[test]
fn comparisons_are_printed_as_in_the_manual() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let compared = |sa, watched| {
        print(&DebugEvent::Compared {
            policy: POLICY,
            sa,
            watched,
            passed: true,
        })
    };
    let laddr = Watched::LocalAddress {
        own: AddressSelector::Prefix(address("192.168.20.0"), 24),
        packet: address("192.168.20.100"),
    };
    let raddr = Watched::RemoteAddress {
        own: AddressSelector::Prefix(address("192.168.1.0"), 24),
        packet: address("192.168.1.2"),
    };
    let printed = [
        compared(None, laddr),
        compared(None, raddr),
        compared(Some(2), laddr),
        compared(Some(2), raddr),
    ];
    assert_eq!(
        printed.concat(),
        "\
IPSEC: filt: pass: laddr: pol vpn
  pol 192.168.20.0:255.255.255.0, pkt 192.168.20.100
IPSEC: filt: pass: raddr: pol vpn
  pol 192.168.1.0:255.255.255.0, pkt 192.168.1.2
IPSEC: filt: pass: laddr: sa 2
  sa 192.168.20.0:255.255.255.0, pkt 192.168.20.100
IPSEC: filt: pass: raddr: sa 2
  sa 192.168.1.0:255.255.255.0, pkt 192.168.1.2
"
    );
}

/// Never more than 72 bytes of data, whatever the packet.
#[test]
fn data_ends_after_72_bytes() {
    let mut packet = hex("450000f800000000401173f001010101020202020400040000e40000");
    packet.resize(248, 0xab);
    let text = print(&DebugEvent::Processed {
        policy: POLICY,
        sa: 0,
        direction: Direction::Out,
        post: false,
        parts: Parts::ALL,
        icv: 12,
        packet: packet.into(),
    });
    assert!(text.contains("  UDP: 0400040000e40000\n"), "{text}");
    assert_eq!(text.matches("ab").count(), 72, "{text}");
    // Rubbish is printed as far as it can be read.
    for len in 0..64 {
        let text = print(&DebugEvent::Processed {
            policy: POLICY,
            sa: 0,
            direction: Direction::In,
            post: false,
            parts: Parts::ALL,
            icv: 12,
            packet: vec![0x45; len].into(),
        });
        assert!(text.contains("data:"), "{text}");
    }
}

fn printed(pair: &Pair, side: Side) -> String {
    let here = pair
        .happenings
        .iter()
        .filter(|happening| happening.side == side);
    here.filter_map(|happening| match &happening.report {
        DeviceReport::IpsecDebug { policy, event } => Some(debug::ipsec(policy, event)),
        _ => None,
    })
    .collect()
}

/// A ping from A, with that switched on and off again.
fn watched(lines: &[&str]) -> (String, Pair) {
    let mut pair = pair(&basic(), 1);
    for line in lines {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.starts_with("Info (1810"), "{line}: {text}");
    }
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(5)));
    (printed(&pair, Side::A), pair)
}

#[test]
fn filter_shows_policies_and_then_sas() {
    let (text, _) = watched(&["ENABLE IPSEC POLICY=vpn DEBUG=FILTER DIRECTION=OUT"]);
    let policy = "\
IPSEC: filt: pass: laddr: pol vpn
  pol 192.168.10.0:255.255.255.0, pkt 192.168.10.2
IPSEC: filt: pass: raddr: pol vpn
  pol 192.168.20.0:255.255.255.0, pkt 192.168.20.2
";
    let sa = policy.replace("pol vpn", "sa 0").replace("  pol", "  sa");
    // The first packet meets no SA; it is sent when there is one.
    assert!(text.contains(policy), "{text}");
    let (text, _) = watched(&["ENABLE IPSEC POLICY=vpn DEBUG=FILTER DIRECTION=IN"]);
    assert_eq!(text, policy.to_owned() + &sa);
    // Only what fails, of one selector.
    let lines = ["ENABLE IPSEC POLICY=isa DEBUG=FILTER RESULT=FAIL SELECTOR=LPORT DIRECTION=OUT"];
    let (text, _) = watched(&lines);
    assert_eq!(
        text,
        "IPSEC: filt: fail: lport: pol isa\n  pol 500, pkt -\n"
    );
    let lines = ["ENABLE IPSEC POLICY=isa DEBUG=FILTER RESULT=PASS SELECTOR=LPORT DIRECTION=OUT"];
    let (text, _) = watched(&lines);
    assert!(text.starts_with("IPSEC: filt: pass: lport: pol isa\n  pol 500, pkt 500\n"));
    assert!(!text.contains("fail"), "{text}");
}

#[test]
fn packet_and_trace_show_both_ends_of_the_work() {
    let ways = ["OUT: pre", "OUT: post", "IN: pre", "IN: post"];
    for (lines, expected) in [
        (vec!["ENABLE IPSEC POLICY=vpn DEBUG=PACKET"], [true; 4]),
        (vec!["ENABLE IPSEC POLICY DEBUG=TRACE"], [true; 4]),
        (vec!["ENABLE IPSEC POLICY=vpn DEBUG=ALL"], [true; 4]),
        (
            vec!["ENABLE IPSEC POLICY=vpn DEBUG=PACKET DIRECTION=IN"],
            [false, false, true, true],
        ),
        (vec!["ENABLE IPSEC POLICY=isa DEBUG=ALL"], [false; 4]),
        (
            vec!["ENABLE IPSEC POLICY=vpn DEBUG=PACKET WHERE=PROTOCOL"],
            [false; 4],
        ),
        (
            vec![
                "ENABLE IPSEC POLICY=vpn DEBUG=ALL",
                "DISABLE IPSEC POLICY=vpn DEBUG=ALL",
            ],
            [false; 4],
        ),
        (
            vec![
                "ENABLE IPSEC POLICY=vpn DEBUG=ALL",
                "DISABLE IPSEC POLICY=ALL DEBUG=ALL DIRECTION=OUT",
            ],
            [false, false, true, true],
        ),
        (
            vec![
                "ENABLE IPSEC POLICY=vpn DEBUG=TRACE",
                "DISABLE IPSEC POLICY=vpn DEBUG=PACKET",
            ],
            [true; 4],
        ),
    ] {
        let (text, _) = watched(&lines);
        for (way, shown) in ways.iter().zip(expected) {
            let count = text
                .matches(&format!("IPSEC vpn: 0: {way} processing:\n"))
                .count();
            assert_eq!(count, usize::from(shown), "{lines:?} {way}: {text}");
        }
    }
}

#[test]
fn display_chooses_the_parts_of_a_packet() {
    for (display, header, data, buffer) in [
        ("ALL", true, true, false),
        ("IPHEADER", true, false, false),
        ("DATA", false, true, false),
        ("BUFFERHEADER", false, false, true),
    ] {
        let line = format!("ENABLE IPSEC POLICY=vpn DEBUG=PACKET DISPLAY={display}");
        let (text, _) = watched(&[&line]);
        assert_eq!(text.contains("  IP: 45"), header, "{display}: {text}");
        assert_eq!(text.contains("  ESP: "), data, "{display}: {text}");
        assert_eq!(text.contains("  data: "), data, "{display}: {text}");
        assert_eq!(text.contains("  buffer: "), buffer, "{display}: {text}");
    }
}

/// Between ESP and AH stands what WHERE=PROTOCOL shows.
#[test]
fn protocol_shows_what_stands_between_the_sas_of_a_bundle() {
    let specs = "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=MD5\nCREATE IPSEC BUNDLE";
    let configs = both(&basic(), "CREATE IPSEC BUNDLE", specs);
    let configs = both(&configs, "STRING=\"1\"", "STRING=\"1 and 2\"");
    for (place, out) in [
        ("IPSEC", [("0", "pre"), ("1", "post")]),
        ("PROTOCOL", [("0", "post"), ("1", "pre")]),
    ] {
        let mut pair = pair(&configs, 1);
        let line = format!("ENABLE IPSEC POLICY=vpn DEBUG=PACKET DIR=OUT WHERE={place}");
        command(&mut pair, Side::A, &line);
        pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
        assert!(pair.run(Instant::from_secs(5)));
        let text = printed(&pair, Side::A);
        let heads: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("IPSEC"))
            .collect();
        let expected = out.map(|(sa, when)| format!("IPSEC vpn: {sa}: OUT: {when} processing:"));
        assert_eq!(heads, expected, "{text}");
    }
}

#[test]
fn the_screens_say_what_is_watched() {
    let (_, mut pair) = watched(&["ENABLE IPSEC POLICY=vpn DEBUG=FILTER"]);
    let flags = DebugMask::FILTER.flags()[0];
    for line in ["SHOW IPSEC POLICY=vpn", "SHOW IPSEC SA=0"] {
        let screen = command(&mut pair, Side::A, line);
        assert!(screen.contains(&format!(" {flags:08x}\n")), "{screen}");
        let rest = screen.matches(" 00000000\n").count();
        assert!(rest >= 2, "{screen}");
    }
    command(&mut pair, Side::A, "DISABLE IPSEC POLICY=vpn DEBUG=FILTER");
    let screen = command(&mut pair, Side::A, "SHOW IPSEC SA=0");
    assert!(!screen.contains(&format!("{flags:08x}")), "{screen}");
}

/// To switch off, only what is given goes: of everything that is watched, these flags are gone.
#[test]
fn disable_takes_away_what_it_names() {
    for (options, gone) in [
        ("DEBUG=FILTER SELECTOR=LADDRESS", [1, 0, 0]),
        ("DEBUG=FILTER RESULT=PASS", [1, 0, 0]),
        ("DEBUG=PACKET DISPLAY=DATA", [0, 1, 0]),
        ("DEBUG=PACKET WHERE=PROTOCOL", [0, 1, 0]),
        ("DEBUG=ALL DIRECTION=IN", [1, 1, 1]),
        ("DEBUG=TRACE DIRECTION=BOTH", [0, 0, 2]),
        ("DEBUG=FILTER", [11, 0, 0]),
        ("DEBUG=ALL", [11, 7, 2]),
    ] {
        let mut pair = pair(&basic(), 1);
        let mut flags = |line: &str| -> [u32; 3] {
            command(&mut pair, Side::A, line);
            let screen = command(&mut pair, Side::A, "SHOW IPSEC POLICY=vpn");
            ["Filter", "Packet", "Trace"].map(|kind| {
                let (_, rest) = screen
                    .split_once(&format!("{kind} debug flags "))
                    .expect("a field");
                let digits = rest.split_whitespace().nth(1).expect("flags");
                u32::from_str_radix(digits, 16)
                    .expect("digits")
                    .count_ones()
            })
        };
        let all = flags("ENABLE IPSEC POLICY=vpn DEBUG=ALL");
        assert_eq!(all, [11, 7, 2]);
        let left = flags(&format!("DISABLE IPSEC POLICY=ALL {options}"));
        let expected = [0, 1, 2].map(|kind| all[kind] - gone[kind]);
        assert_eq!(left, expected, "{options}");
    }
}

#[test]
fn options_are_refused_where_they_mean_nothing() {
    let mut pair = pair(&basic(), 1);
    for (line, answer) in [
        (
            "ENABLE IPSEC POLICY=vpn DEBUG=FILTER DISPLAY=DATA",
            "DISPLAY is only valid with DEBUG=PACKET or DEBUG=ALL",
        ),
        (
            "ENABLE IPSEC POLICY=vpn DEBUG=TRACE WHERE=IPSEC",
            "WHERE is only valid with DEBUG=PACKET or DEBUG=ALL",
        ),
        (
            "DISABLE IPSEC POLICY=vpn DEBUG=PACKET RESULT=FAIL",
            "RESULT is only valid with DEBUG=FILTER or DEBUG=ALL",
        ),
        (
            "ENABLE IPSEC POLICY=vpn DEBUG=PACKET SELECTOR=LPORT",
            "SELECTOR is only valid with DEBUG=FILTER or DEBUG=ALL",
        ),
        (
            "ENABLE IPSEC POLICY=x DEBUG=ALL",
            "the policy x does not exist",
        ),
    ] {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.contains(answer), "{line}: {text}");
    }
    command(&mut pair, Side::A, "DISABLE IPSEC");
    let text = pair
        .a
        .command(pair.now, "ENABLE IPSEC POLICY=vpn DEBUG=ALL")
        .text;
    assert!(text.contains("not in force; ENABLE IPSEC first"), "{text}");
}
