//! ENABLE ISAKMP DEBUG: the manual's trace, from messages put together from what it prints of
//! them.

use config_lang::debug::{Way, isakmp, isakmp_message};
use hw_offload::testing::hex;
use ipsec_core::Instant;
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use isakmp_core::wire::{
    Attribute, Cookie, ExchangeType, Flags, Header, Identification, MessageId, PayloadType, SaBody,
    Writer,
};

use lab::{Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, command, config, failures, one, pair};

const MANUAL: &str = include_str!("../screens/isakmp-debug-packet.txt");

/// The attributes of phase 1, as the manual's hash inputs have them on the wire.
fn phase1_sa() -> Vec<u8> {
    let attributes = vec![
        Attribute::short(1, 1),
        Attribute::short(2, 2),
        Attribute::short(3, 1),
        Attribute::short(4, 1),
        Attribute::short(11, 1),
        Attribute::long(12, &[0, 1, 0x51, 0x80]),
    ];
    SaBody::write(&[(1, 1, &[], vec![(1, attributes)])])
}

/// The same of phase 2: no group, no lifetime.
fn phase2_sa(spi: &str) -> Vec<u8> {
    let attributes = vec![Attribute::short(4, 1), Attribute::short(5, 2)];
    SaBody::write(&[(1, 3, &hex(spi), vec![(2, attributes)])])
}

fn after<'a>(line: &'a str, label: &str) -> &'a str {
    let (_, rest) = line.split_once(label).expect(label);
    rest.split_whitespace().next().unwrap_or("")
}

fn identity(kind: &str, value: &str) -> Vec<u8> {
    let octets = |text: &str| -> Vec<u8> {
        let address: std::net::Ipv4Addr = text.parse().expect("an address");
        address.octets().to_vec()
    };
    let (kind, data) = match (kind, value.split_once(':')) {
        ("FQDN", _) => (2, value.as_bytes().to_vec()),
        ("IPV4_ADDR", _) => (1, octets(value)),
        ("IPV4_ADDR_SUBNET", Some((address, mask))) => {
            (4, [octets(address), octets(mask)].concat())
        }
        other => panic!("{other:?}"),
    };
    let (protocol, port) = (0, 0);
    Identification {
        kind,
        protocol,
        port,
        data,
    }
    .to_bytes()
}

/// Puts a message together from its printed lines.
fn assemble(lines: &[&str]) -> Vec<u8> {
    let cookie = |text: &str| Cookie(hex(text).try_into().expect("eight bytes"));
    let (initiator, responder) = after(lines[1], "Cookie's: ").split_once(':').expect("two");
    let exchange = if lines[2].contains("QUICK(32)") {
        ExchangeType::Quick
    } else {
        ExchangeType::Main
    };
    let header = Header {
        initiator: cookie(initiator),
        responder: cookie(responder),
        next: PayloadType::NONE,
        exchange,
        flags: Flags(hex(after(lines[2], "Flags: "))[0]),
        message_id: MessageId(
            u32::from_str_radix(after(lines[3], "MessageID: "), 16).expect("digits"),
        ),
    };
    let mut writer = Writer::new();
    for payload in payloads(&lines[4..]) {
        let body = &payload[1..];
        let (kind, bytes) = match payload[0].rsplit_once('(').expect("a type").1 {
            "SA)" => {
                let spi = after(body[1], "SPI:");
                let bytes = if spi.is_empty() {
                    phase1_sa()
                } else {
                    phase2_sa(spi)
                };
                (PayloadType::SA, bytes)
            }
            "ID)" => {
                let value = after(body[1], "Value: ");
                (PayloadType::ID, identity(after(body[0], "Type: "), value))
            }
            name => {
                let kind = match name {
                    "KE)" => PayloadType::KE,
                    "NONCE)" => PayloadType::NONCE,
                    "HASH)" => PayloadType::HASH,
                    "N)" => PayloadType::N,
                    other => panic!("{other}"),
                };
                (kind, hex(&body.concat().replace(' ', "")))
            }
        };
        writer.push(kind, &bytes);
    }
    writer.message(header)
}

/// The lines of each payload.
fn payloads<'a>(lines: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let starts: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains("Payload #:"))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &lines[*start..end])
        .collect()
}

#[test]
fn messages_are_printed_as_in_the_manual() {
    let mut seen = 0;
    for block in MANUAL.trim().split("\n\n") {
        let lines: Vec<&str> = block.lines().collect();
        let way = match lines[0] {
            "ISAKMP Tx Message" => Way::Sent,
            "ISAKMP Rx Message" => Way::Received,
            "ISAKMP Rx Message (decrypted)" => Way::Deciphered,
            other => panic!("{other}"),
        };
        let mut message = assemble(&lines);
        if way == Way::Deciphered {
            // Padding of the cipher, which the length of the header covers.
            message.extend_from_slice(&[0; 4]);
            let length = u32::try_from(message.len()).unwrap();
            message[24..28].copy_from_slice(&length.to_be_bytes());
        }
        let printed = isakmp_message(way, &message).unwrap();
        let printed: Vec<&str> = printed.trim().lines().map(str::trim_end).collect();
        let expected: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        assert_eq!(printed, expected);
        seen += 1;
    }
    assert_eq!(seen, 9);
}

/// A transaction's attributes may be a user's password.
#[test]
fn no_password_is_printed() {
    let header = Header {
        initiator: Cookie([1; 8]),
        responder: Cookie([2; 8]),
        next: PayloadType::NONE,
        exchange: ExchangeType::Transaction,
        flags: Flags(1),
        message_id: MessageId(7),
    };
    let mut body = vec![2, 0, 0, 9];
    Attribute::long(16_522, b"open sesame").write(&mut body);
    let mut writer = Writer::new();
    writer.push(PayloadType::HASH, &[0; 20]);
    writer.push(PayloadType::ATTR, &body);
    let printed = isakmp_message(Way::Deciphered, &writer.message(header)).unwrap();
    assert!(printed.contains("Xchg Type: TRANS(6)"), "{printed}");
    assert!(printed.contains("Type: Attributes (ATTR)"), "{printed}");
    let bytes: Vec<String> = b"sesame".iter().map(|b| format!("{b:02x}")).collect();
    assert!(!printed.contains(&bytes.join(" ")), "{printed}");
    assert!(!printed.contains("sesame"), "{printed}");
}

#[test]
fn what_is_no_message_is_not_printed() {
    let message = assemble(&MANUAL.lines().take(17).collect::<Vec<_>>());
    for length in 0..message.len() {
        let mut cut = message[..length].to_vec();
        assert!(isakmp_message(Way::Received, &cut).is_err());
        if let Some(field) = cut.get_mut(24..28) {
            field.copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            assert!(isakmp_message(Way::Received, &cut).is_err());
        }
    }
}

/// What A and B print while policies of the basic VPN negotiate for a ping from A.
fn printed(mut pair: Pair, lines: [&[&str]; 2]) -> [Vec<String>; 2] {
    for line in lines[0] {
        let text = pair.a.command(pair.now, line).text;
        assert!(text.starts_with("Info (1820"), "{line}: {text}");
    }
    for line in lines[1] {
        let text = pair.b.command(pair.now, line).text;
        assert!(text.starts_with("Info (1820"), "{line}: {text}");
    }
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(5)));
    told(&pair)
}

/// What A and B have printed.
fn told(pair: &Pair) -> [Vec<String>; 2] {
    [Side::A, Side::B].map(|side| {
        let here = pair.happenings.iter().filter(|here| here.side == side);
        here.filter_map(|happening| match &happening.report {
            DeviceReport::Isakmp(report) => isakmp(report),
            _ => None,
        })
        .map(|line| line.trim_end().to_string())
        .collect()
    })
}

const STATE: &[&str] = &["enable isakmp debug=state"];

/// The manual's trace, with the numbers of its exchanges made 1 and 2.
#[test]
fn states_come_in_the_manual_s_order() {
    let [a, b] = printed(pair(&basic(), 1), [STATE, STATE]);
    let expected = [
        "ISAKMP MAIN exchange 1: New State: IDLE",
        "ISAKMP MAIN exchange 1: New State: SASENT",
        "ISAKMP MAIN exchange 1: New State: SARECV",
        "ISAKMP MAIN exchange 1: New State: KESENT",
        "ISAKMP MAIN exchange 1: New State: KERECV",
        "ISAKMP MAIN exchange 1: New State: AUTHSENT",
        "ISAKMP MAIN exchange 1: New State: AUTHRECV",
        "ISAKMP MAIN exchange 1: New State: UP",
        "ISAKMP QUICK exchange 2: New State: SENDING_HASH_SA_NONCE",
        "ISAKMP QUICK exchange 2: New State: RECEIVING_MESSAGE",
        "ISAKMP QUICK exchange 2: New State: SENDING_HASH",
        "ISAKMP QUICK exchange 2: New State: DONE",
    ];
    assert_eq!(a, expected);
    let expected = [
        "ISAKMP MAIN exchange 1: New State: IDLE",
        "ISAKMP MAIN exchange 1: New State: SARECV",
        "ISAKMP MAIN exchange 1: New State: SASENT",
        "ISAKMP MAIN exchange 1: New State: KERECV",
        "ISAKMP MAIN exchange 1: New State: KESENT",
        "ISAKMP MAIN exchange 1: New State: AUTHRECV",
        "ISAKMP MAIN exchange 1: New State: AUTHSENT",
        "ISAKMP MAIN exchange 1: New State: UP",
        "ISAKMP QUICK exchange 2: New State: RECEIVING_MESSAGE",
        "ISAKMP QUICK exchange 2: New State: SENDING_HASH_SA_NONCE",
        "ISAKMP QUICK exchange 2: New State: DONE",
    ];
    assert_eq!(b, expected);
}

#[test]
fn only_what_is_enabled_is_printed() {
    let off: &[&str] = &["ENABLE ISAKMP DEBUG=STATE", "DISABLE ISAKMP DEBUG=STATE"];
    let all: &[&str] = &["ENABLE ISAKMP DEBUG=STATE", "DISABLE ISAKMP DEBUG=ALL"];
    let [a, b] = printed(pair(&basic(), 1), [&[], off]);
    assert_eq!((a.len(), b.len()), (0, 0));
    let [a, b] = printed(pair(&basic(), 1), [all, STATE]);
    assert_eq!((a.len(), b.len()), (0, 11));
}

/// What a router prints that watches everything about a negotiation of those sides.
fn everything(configs: &[String; 2], watch: &[&str]) -> [String; 2] {
    printed(pair(configs, 1), [watch; 2]).map(|lines| lines.join("\n"))
}

#[test]
fn pktraw_shows_what_is_on_the_wire() {
    let [a, b] = everything(&basic(), &["ENABLE ISAKMP DEBUG=PKTRAW"]);
    let head = "ISAKMP Tx Raw 1.1.1.1:500 -> 2.2.2.2:500: ";
    let first = a.split(head).nth(1).expect("message 1");
    assert!(first.contains("0110020000000000000000"), "{first}");
    let head = |way: &str| format!("\nISAKMP {way} Raw ");
    let count = |text: &str, way: &str| format!("\n{text}").matches(&head(way)).count();
    // Six messages of Main mode, three of quick mode.
    assert_eq!([count(&a, "Tx"), count(&a, "Rx")], [5, 4], "{a}");
    assert_eq!([count(&b, "Tx"), count(&b, "Rx")], [4, 5], "{b}");
    assert!(!a.contains("ISAKMP Tx Message"), "{a}");
}

/// Both parts of Aggressive mode, and of quick mode with perfect forward secrecy.
#[test]
fn traces_of_the_other_exchanges() {
    let configs = [
        config("aggressive-dynamic.b"),
        config("aggressive-dynamic.a"),
    ];
    let configs = one(
        &configs,
        0,
        "BUNDLE=1 PEER=1.1.1.1",
        "BUNDLE=1 PEER=1.1.1.1 USEPFS=TRUE",
    );
    let configs = one(
        &configs,
        1,
        "BUNDLE=1 PEER=DYNAMIC",
        "BUNDLE=1 PEER=DYNAMIC USEPFS=TRUE",
    );
    let mut pair = pair(&configs, 1);
    for side in [Side::A, Side::B] {
        command(&mut pair, side, "ENABLE ISAKMP DEBUG=TRACEMORE");
    }
    pair.ping(HOST_B, HOST_A, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    let [a, b] = told(&pair).map(|lines| lines.join("\n"));
    for (text, part) in [(&a, "INIT"), (&b, "RESP")] {
        for line in [
            format!("ISAKMP AGGR: {part}: xchg 1: Started with peer "),
            format!("ISAKMP AGGR: {part}: xchg 1: x l=20 v="),
            format!("ISAKMP AGGR: {part}: xchg 1: g^xy l=96 v="),
            format!("ISAKMP AGGR: {part}: xchg 1: Hi l=20 v="),
            format!("ISAKMP AGGR: {part}: xchg 1: Hr l=20 v="),
            format!("ISAKMP AGGR: {part}: xchg 1: RemoteID="),
            format!("ISAKMP QUICK: {part}: xchg 2: g^xy l=96 v="),
            format!("ISAKMP QUICK: {part}: xchg 2: rx msg 1: All proposals matched: (lpn 1)"),
            format!("ISAKMP Q{} 2: HASH OUTK2: result ", &part[..1]),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
    // Both computed the same.
    for (name, digits) in [("g^xy", 192), ("SKEYID_e", 40), ("EncKey", 16)] {
        let value = |text: &str| {
            let (_, rest) = text.split_once(&format!(" {name} l=")).expect(name);
            let (_, value) = rest.split_once(" v=").expect("its value");
            value[..digits].to_string()
        };
        assert_eq!(value(&a), value(&b), "{name}");
    }
}

/// Why nothing came of an exchange stands in the trace.
#[test]
fn a_trace_ends_with_the_reason() {
    let configs = one(&basic(), 1, "\"jogefoge\"", "\"other\"");
    let mut pair = pair(&configs, 1);
    command(&mut pair, Side::A, "ENABLE ISAKMP DEBUG=TRACE");
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run(Instant::from_secs(400));
    let [a, _] = told(&pair).map(|lines| lines.join("\n"));
    let line = "ISAKMP CORE: Exchange 1 failed - ";
    assert!(a.contains(line), "{a}");
    let logged = failures(&pair);
    let (_, reason) = a.split_once(line).expect("a reason");
    let reason = reason.lines().next().unwrap_or("");
    assert!(
        logged.iter().any(|logged| logged.contains(reason)),
        "{reason}: {logged:?}"
    );
}

/// The password of extended authentication is in no trace of messages.
#[test]
fn passwords_are_in_no_packet() {
    let policy = "CREATE ISAKMP POLICY=i";
    let server = format!("ADD USER=joger PASSWORD=passclie LOGIN=NO\n{policy} XAUTH=SERVER");
    let client = format!("{policy} XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=passclie");
    let configs = one(&one(&basic(), 1, policy, &server), 0, policy, &client);
    let mut pair = pair(&configs, 1);
    for side in [Side::A, Side::B] {
        command(&mut pair, side, "ENABLE ISAKMP DEBUG=ALL");
    }
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(20)), "{:?}", failures(&pair));
    for text in told(&pair).map(|lines| lines.join("\n")) {
        assert!(text.contains("Xchg Type: TRANS(6)"), "{text}");
        assert!(text.contains(" bytes, not shown"), "{text}");
    }
    for happening in &pair.happenings {
        if let DeviceReport::Isakmp(Report::Packet { message, .. }) = &happening.report {
            let spelled = message.windows(b"passclie".len());
            assert!(spelled.into_iter().all(|bytes| bytes != b"passclie"));
        }
    }
}

#[test]
fn words_enable_what_they_name() {
    let mut pair = pair(&basic(), 1);
    for (word, flag) in [
        ("PACKET", "10000000"),
        ("PKT", "10000000"),
        ("STATE", "01000000"),
        ("PKTRAW", "00100000"),
        ("TRACE", "00010000"),
        ("TRACEMORE", "00001000"),
        ("DEFAULT", "11010000"),
        ("ALL", "11111000"),
    ] {
        command(&mut pair, Side::A, &format!("ENABLE ISAKMP DEBUG={word}"));
        let screen = command(&mut pair, Side::A, "SHOW ISAKMP");
        assert!(screen.contains(&format!(" {flag}\n")), "{word}: {screen}");
        command(&mut pair, Side::A, &format!("DISABLE ISAKMP DEBUG={word}"));
        let screen = command(&mut pair, Side::A, "SHOW ISAKMP");
        assert!(screen.contains(" 00000000\n"), "{word}: {screen}");
    }
}

#[test]
fn the_screen_shows_the_flag() {
    let mut pair = pair(&basic(), 1);
    let flag = |pair: &mut Pair| {
        let text = pair.a.command(pair.now, "SHOW ISAKMP").text;
        let line = text.lines().find(|line| line.starts_with("Debug Flag"));
        line.unwrap().to_string()
    };
    assert!(flag(&mut pair).ends_with(" 00000000"));
    let answer = pair.a.command(pair.now, STATE[0]).text;
    assert_eq!(
        answer,
        "Info (182057): ISAKMP Debugging has been enabled.\n"
    );
    assert!(flag(&mut pair).ends_with(" 01000000"));
}
