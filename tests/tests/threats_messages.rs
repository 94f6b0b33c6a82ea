//! Messages that nobody honest sends: lengths that lie, payloads that are missing, too many or
//! elsewhere, cookies, public values, Deletes and notifications.

use core::time::Duration;
use std::net::SocketAddr;
use std::rc::Rc;

use hw_offload::testing::{hex, insecure_engines};
use hw_offload::{Cipher, DhGroup, Engines, Hash};
use ipsec_core::Instant;
use ipsec_core::model::Lifetime;
use isakmp_core::negotiate::phase1::{AuthMethod, Phase1};
use isakmp_core::wire::{
    Attribute, Cookie, ExchangeType, HEADER, Header, MessageId, Payload, PayloadType, Payloads,
    SaBody, Writer,
};
use lab::{Buf, Pair, Side, is_udp, udp};
use sekisho_tests::tape::{UDP_PAYLOAD, record, state};
use sekisho_tests::witness::isakmp_message;
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, both, bundles, command, failures, isakmp_sas, pair, pair_with,
    ping_both,
};

const A: &str = "1.1.1.1:500";
const B: &str = "2.2.2.2:500";

/// The basic VPN without error notifications.
fn silent() -> [String; 2] {
    both(&basic(), "SENDN=TRUE", "SENDN=FALSE")
}

/// What A says first.
fn first_message(configs: &[String; 2]) -> Vec<u8> {
    let mut pair = pair(configs, 99);
    let tape = record(&mut pair, false);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(1));
    let tape = tape.borrow();
    tape[0].1[UDP_PAYLOAD..].to_vec()
}

/// A message from A arrives at B.
fn hears<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, message: &[u8]) {
    let end = |text: &str| text.parse::<SocketAddr>().expect("an end");
    let packet = udp(end(A), end(B), message).expect("short");
    let now = pair.now;
    pair.b.receive(now, &packet);
    pair.turn(Side::B);
}

/// Places of length fields of two bytes in a message: those of its payloads, proposals and
/// transforms.
fn lengths(message: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let (mut kind, mut at) = (message[16], HEADER);
    while kind != 0 {
        let length = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
        places.push(at + 2);
        if PayloadType(kind) == PayloadType::SA {
            // Proposals stand behind DOI and situation, transforms behind a proposal's head.
            places.extend([at + 12 + 2, at + 12 + 8 + 2]);
        }
        (kind, at) = (message[at], at + length);
    }
    places
}

#[test]
fn threat_a1_lengths_that_lie_are_met_with_silence() {
    let message = first_message(&silent());
    let mut pair = pair(&silent(), 1);
    let tape = record(&mut pair, true);
    let mut changed = Vec::new();
    for place in lengths(&message) {
        let right = u16::from_be_bytes([message[place], message[place + 1]]);
        for wrong in [0, 1, 3, 4, right - 1, right + 1, right + 4, 0x7fff, 0xffff] {
            let mut lie = message.clone();
            lie[place..place + 2].copy_from_slice(&wrong.to_be_bytes());
            changed.push((place, lie));
        }
    }
    for wrong in [0, 1, 27, 28, 83, 0x7fff_ffff, u32::MAX] {
        let mut lie = message.clone();
        lie[24..28].copy_from_slice(&u32::to_be_bytes(wrong));
        changed.push((24, lie));
    }
    for end in 0..message.len() {
        changed.push((end, message[..end].to_vec()));
    }
    assert!(changed.len() > 100);
    for (place, lie) in changed.into_iter().filter(|(_, lie)| *lie != message) {
        hears(&mut pair, &lie);
        let what = format!("{place}: {lie:02x?}");
        assert!(tape.borrow().is_empty(), "{what} was answered");
        let now = pair.now;
        let endpoint = pair.b.device.endpoint();
        assert_eq!(endpoint.exchanges(now).count(), 0, "{what} is remembered");
    }
    hears(&mut pair, &message);
    assert_eq!(tape.borrow().len(), 1);
}

/// The answer to an offer is the chosen part of it and what this router always says, whatever
/// lengths the offer claims.
#[test]
fn threat_a2_answers_are_made_of_what_was_read() {
    let message = first_message(&basic());
    let own: Vec<Vec<u8>> = vendor_ids(&message);
    let mut answered = 0;
    for place in HEADER..message.len() {
        for bits in [0x01, 0x10, 0x80] {
            let mut changed = message.clone();
            changed[place] ^= bits;
            let mut pair = pair(&basic(), 1);
            let tape = record(&mut pair, true);
            hears(&mut pair, &changed);
            let tape = tape.borrow();
            let Some((_, packet)) = tape.first() else {
                continue;
            };
            let (header, answer) = isakmp_message(packet).expect("ISAKMP");
            if header.exchange != ExchangeType::Main {
                continue;
            }
            answered += 1;
            assert!(answer.len() * 10 <= changed.len() * 12);
            let payloads = Payloads::parse(header.next, &answer[HEADER..]).expect("whole");
            for raw in payloads.all() {
                match raw.kind {
                    PayloadType::SA => {
                        // Each byte of a transform that is not its number was offered.
                        let transform = &raw.body[raw.body.len() - 28..];
                        let offered = changed.windows(28).any(|window| window == transform);
                        assert!(offered, "{place} {bits}: {transform:02x?}");
                    }
                    PayloadType::VID => assert!(own.iter().any(|id| id == raw.body)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    assert!(answered > 10, "{answered}");
}

fn vendor_ids(message: &[u8]) -> Vec<Vec<u8>> {
    let (header, body) = Header::parse(message).expect("ISAKMP");
    let payloads = Payloads::parse(header.next, body).expect("whole");
    let ids = payloads.all().iter();
    let ids = ids.filter(|raw| raw.kind == PayloadType::VID);
    ids.map(|raw| raw.body.to_vec()).collect()
}

/// Every attribute of a transform left out, doubled, longer, shorter, or of another value; and
/// classes that nobody knows. What is agreed on is what the policy says, or nothing.
#[test]
fn threat_a4_attributes() {
    let own = Phase1 {
        cipher: Cipher::Aes128,
        hash: Hash::Sha1,
        method: AuthMethod::from_number(1).expect("pre-shared keys"),
        group: DhGroup::Modp1024,
        life: Lifetime {
            seconds: 3600,
            kbytes: None,
        },
    };
    const RIGHT: [(u16, u16); 7] = [
        (1, 7),
        (14, 128),
        (2, 2),
        (3, 1),
        (4, 2),
        (11, 1),
        (12, 3600),
    ];
    let chooses = |attributes: Vec<Attribute<'_>>| {
        let body = SaBody::write(&[(1, 1, &[], vec![(1, attributes)])]);
        let offer = SaBody::parse(&body).expect("whole");
        own.choose(&offer).ok().map(|(agreed, _)| agreed)
    };
    let right = || {
        RIGHT
            .map(|(class, value)| Attribute::short(class, value))
            .to_vec()
    };
    assert_eq!(chooses(right()), Some(own));
    let mut rows = 1;
    let is_life = |class: u16| class == 11 || class == 12;
    for place in 0..RIGHT.len() {
        let (class, value) = RIGHT[place];
        let mut without = right();
        without.remove(place);
        // Without a life the usual one counts, and AES is AES-128; everything else is needed.
        let agreed = chooses(without);
        assert!(
            agreed.is_none() || is_life(class) || class == 14,
            "without {class}"
        );
        for other in (0..16).chain([64, 129, 192, 256, 0x7fff, 0xffff]) {
            rows += 1;
            if other == value || is_life(class) {
                continue;
            }
            let mut changed = right();
            changed[place] = Attribute::short(class, other);
            assert_eq!(chooses(changed), None, "{class} is {other}");
            // The wrong value does not hide behind the right one.
            for at in [place, place + 1] {
                let mut doubled = right();
                doubled.insert(at, Attribute::short(class, other));
                assert_eq!(chooses(doubled), None, "{class} is {value} and {other}");
            }
        }
        // Longer forms say the same number or nothing.
        for bytes in [&[][..], &[0; 1], &[0; 4], &[0xff; 4], &[0xff; 9], &[0; 300]] {
            rows += 1;
            let mut changed = right();
            changed[place] = Attribute::long(class, bytes);
            let agreed = chooses(changed);
            assert!(agreed.is_none() || is_life(class), "{class} is {bytes:?}");
            if let Some(agreed) = agreed {
                let life = Phase1 {
                    life: own.life,
                    ..agreed
                };
                assert_eq!(life, own);
                assert!((1..=3600).contains(&agreed.life.seconds), "{agreed:?}");
            }
        }
    }
    // A key length belongs to ciphers that have several.
    let triple = Phase1 {
        cipher: Cipher::TripleDes,
        ..own
    };
    let attributes = [(1, 5), (14, 192), (2, 2), (3, 1), (4, 2)];
    let attributes = attributes.map(|(class, value)| Attribute::short(class, value));
    let body = SaBody::write(&[(1, 1, &[], vec![(1, attributes.to_vec())])]);
    assert!(
        triple
            .choose(&SaBody::parse(&body).expect("whole"))
            .is_err()
    );
    assert!(rows >= 190, "{rows}");
}

/// A change of the payloads of a message.
type Change = Rc<dyn Fn(&mut Vec<(PayloadType, Vec<u8>)>)>;

/// Two routers without security negotiate; the payloads of one message are changed, and whatever
/// comes of it, neither router minds: undisturbed they meet later, and nothing is left.
fn grammar(message: u64, change: &Change, watched: bool) {
    let mut pair = pair_with(|_| insecure_engines(), &silent(), 1);
    if watched {
        for side in [Side::A, Side::B] {
            for debug in ["STATE", "PACKET", "PKTRAW", "TRACE", "TRACEMORE"] {
                command(&mut pair, side, &format!("ENABLE ISAKMP DEBUG={debug}"));
            }
        }
    }
    let change = Rc::clone(change);
    let mut number = 0;
    pair.road = Some(Box::new(move |_, _, packet| {
        let whole = vec![(Duration::ZERO, packet.to_vec())];
        let Some((header, bytes)) = isakmp_message(packet) else {
            return whole;
        };
        number += 1;
        if number - 1 != message {
            return whole;
        }
        let payloads = Payloads::parse(header.next, &bytes[HEADER..]).expect("ours are whole");
        let mut list: Vec<_> = payloads
            .all()
            .iter()
            .map(|raw| (raw.kind, raw.body.to_vec()))
            .collect();
        change(&mut list);
        let mut writer = Writer::new();
        for (kind, body) in &list {
            writer.push(*kind, body);
        }
        let mut bytes = writer.message(Header {
            next: writer.first(),
            ..header
        });
        if header.flags.encrypted() {
            bytes.resize(bytes.len().next_multiple_of(8) + 4, 0);
            let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
            bytes[24..28].copy_from_slice(&length);
        }
        let (from, to, _) = is_udp(packet).expect("UDP");
        let changed = udp(from, to, &bytes);
        changed.map_or(Vec::new(), |changed| vec![(Duration::ZERO, changed)])
    }));
    ping_both(&mut pair);
    let up = pair.run(Instant::from_secs(900));
    assert!(up, "message {message}: {:?}", failures(&pair));
    pair.run_to(pair.now + Duration::from_secs(400));
    at_rest(&mut pair);
    assert_eq!(pair.clear, 0);
    for side in [Side::A, Side::B] {
        assert!(bundles(&mut pair, side) <= 4);
    }
}

/// Messages of Main mode and Quick mode.
const MESSAGES: u64 = 9;

#[test]
fn threat_a5_every_type_in_every_message() {
    for message in 0..MESSAGES {
        for kind in (0..=30).chain([99, 128, 129, 130, 131, 132, 133, 255]) {
            for body in [&[][..], &[0; 3], &[1; 24]] {
                let body = body.to_vec();
                let change: Change = Rc::new(move |list| {
                    list.push((PayloadType(kind), body.clone()));
                });
                grammar(message, &change, false);
            }
        }
    }
}

/// Each payload of each message left out, doubled, exchanged with its neighbour, emptied, cut, and
/// taken for another type.
fn grammars(watched: bool) {
    for message in 0..MESSAGES {
        for place in 0..6 {
            let changes: [Change; 6] = [
                Rc::new(move |list| drop((place < list.len()).then(|| list.remove(place)))),
                Rc::new(move |list| {
                    if let Some(twice) = list.get(place).cloned() {
                        list.insert(place, twice);
                    }
                }),
                Rc::new(move |list| {
                    if place + 1 < list.len() {
                        list.swap(place, place + 1);
                    }
                }),
                Rc::new(move |list| {
                    if let Some((_, body)) = list.get_mut(place) {
                        body.clear();
                    }
                }),
                Rc::new(move |list| {
                    if let Some((_, body)) = list.get_mut(place) {
                        body.truncate(body.len() / 2);
                    }
                }),
                Rc::new(move |list| {
                    if let Some((kind, _)) = list.get_mut(place) {
                        *kind = PayloadType(kind.0 % 14 + 1);
                    }
                }),
            ];
            for change in &changes {
                grammar(message, change, watched);
            }
        }
    }
}

#[test]
fn threat_a6_payloads_missing_repeated_and_exchanged() {
    grammars(false);
}

/// The same while everything is logged and traced.
#[test]
fn threat_a7_whatever_comes_can_be_told() {
    grammars(true);
}

/// Equal cookies, no cookie where one belongs, and one where none does.
#[test]
fn threat_b4_cookies_that_nobody_issued() {
    let message = first_message(&silent());
    let mut pair = pair(&silent(), 1);
    let tape = record(&mut pair, true);
    let cookie: [u8; 8] = message[..8].try_into().expect("eight");
    for (initiator, responder) in [
        (cookie, cookie),
        (cookie, [7; 8]),
        ([0; 8], [0; 8]),
        ([0; 8], [7; 8]),
    ] {
        for exchange in [2, 4, 5, 6, 32] {
            let mut forged = message.clone();
            forged[..8].copy_from_slice(&initiator);
            forged[8..16].copy_from_slice(&responder);
            forged[18] = exchange;
            hears(&mut pair, &forged);
            let what = format!("{initiator:?} {responder:?} {exchange}");
            assert!(tape.borrow().is_empty(), "{what}");
            let now = pair.now;
            let endpoint = pair.b.device.endpoint();
            assert_eq!(endpoint.exchanges(now).count(), 0, "{what}");
        }
    }
}

/// Public values that give the secret away: each ends the exchange or is passed over, in either
/// direction, and no SA comes of it.
#[test]
fn threat_b6_bad_public_values_in_an_exchange() {
    let prime = hex(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff",
    );
    let less_one = |mut value: Vec<u8>| {
        *value.last_mut().expect("long") -= 1;
        value
    };
    let number = |last: u8| [vec![0; 95], vec![last]].concat();
    let values = [
        number(0),
        number(1),
        prime.clone(),
        less_one(prime.clone()),
        vec![0xff; 96],
        vec![2; 95],
        vec![2; 97],
        Vec::new(),
    ];
    for value in values {
        for side in [Side::A, Side::B] {
            let mut pair = pair(&silent(), 1);
            let value = value.clone();
            let what = format!("{value:02x?} of {side}");
            pair.road = Some(Box::new(move |from, _, packet| {
                vec![(Duration::ZERO, with_public(packet, &value, from == side))]
            }));
            ping_both(&mut pair);
            assert!(!pair.run(Instant::from_secs(100)), "{what}");
            let sas = [Side::A, Side::B].map(|side| isakmp_sas(&mut pair, side));
            assert_eq!((sas, pair.clear), ([0, 0], 0), "{what}");
        }
    }
}

/// The message with another public value, where it has one.
fn with_public(packet: &[u8], value: &[u8], changes: bool) -> Vec<u8> {
    let Some((header, message)) = isakmp_message(packet).filter(|_| changes) else {
        return packet.to_vec();
    };
    if header.next != PayloadType::KE || header.flags.encrypted() {
        return packet.to_vec();
    }
    let payloads = Payloads::parse(header.next, &message[HEADER..]).expect("ours are whole");
    let mut writer = Writer::new();
    for raw in payloads.all() {
        let body = if raw.kind == PayloadType::KE {
            value
        } else {
            raw.body
        };
        writer.push(raw.kind, body);
    }
    let (from, to, _) = is_udp(packet).expect("UDP");
    udp(from, to, &writer.message(header)).expect("short")
}

/// Notifications and Deletes that nobody proves, in clear or with a hash that is none, change
/// nothing, before and after an SA is there.
#[test]
fn threat_b11_informational_messages_that_nobody_proves() {
    let mut pair = pair(&basic(), 1);
    let tape = record(&mut pair, true);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    pair.run_to(Instant::from_secs(10));
    let cookies = pair
        .b
        .device
        .endpoint()
        .sas()
        .next()
        .expect("an SA")
        .cookies;
    let spis: Vec<_> = pair
        .b
        .device
        .plane()
        .sas()
        .map(|(_, sa)| (sa.in_spi, sa.out_spi))
        .collect();
    tape.borrow_mut().clear();
    let notify = |kind: u16, data: &[u8]| {
        let mut body = hex("0000000101100000");
        body[6..8].copy_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(&cookies.0.0);
        body.extend_from_slice(&cookies.1.0);
        body.extend_from_slice(data);
        (PayloadType::N, body)
    };
    let mut said: Vec<(PayloadType, Vec<u8>)> = (1..=30)
        .chain([16_384, 24_576, 24_577, 24_578, 36_136, 36_137])
        .map(|kind| notify(kind, &[0; 4]))
        .collect();
    let cookie_names = [cookies.0.0, cookies.1.0].concat();
    said.push((
        PayloadType::D,
        [hex("0000000101100001"), cookie_names].concat(),
    ));
    for (own, other) in spis {
        for spi in [own, other] {
            said.push((
                PayloadType::D,
                [hex("0000000103040001"), spi.to_bytes().to_vec()].concat(),
            ));
        }
    }
    let before = state(&mut pair, Side::B);
    for (kind, body) in said {
        for proof in [None, Some([0; 20])] {
            for encrypted in [false, true] {
                for id in [0, 7] {
                    let mut writer = Writer::new();
                    if let Some(hash) = proof {
                        writer.push(PayloadType::HASH, &hash);
                    }
                    writer.push(kind, &body);
                    let mut message = writer.message(Header {
                        initiator: cookies.0,
                        responder: cookies.1,
                        next: writer.first(),
                        exchange: ExchangeType::Informational,
                        flags: isakmp_core::wire::Flags(u8::from(encrypted)),
                        message_id: MessageId(id),
                    });
                    message.resize(HEADER + (message.len() - HEADER).next_multiple_of(8), 0);
                    let length = u32::try_from(message.len()).expect("short");
                    message[24..28].copy_from_slice(&length.to_be_bytes());
                    hears(&mut pair, &message);
                    assert_eq!(state(&mut pair, Side::B), before, "{kind:?} {body:02x?}");
                }
            }
        }
    }
    assert_eq!(tape.borrow().len(), 0, "nothing of it is answered");
}

/// Who recorded a whole negotiation and says A's part of it again gets message 2 and no further:
/// cookie and nonce of the responder are others.
#[test]
fn threat_b15_a_recorded_phase_1_ends_at_message_3() {
    let mut first = pair(&silent(), 1);
    let tape = record(&mut first, true);
    ping_both(&mut first);
    assert!(first.run(Instant::from_secs(5)));
    let said: Vec<Vec<u8>> = tape
        .borrow()
        .iter()
        .filter(|(side, packet)| *side == Side::A && packet[9] == 17)
        .map(|(_, packet)| packet.clone())
        .collect();
    assert!(said.len() >= 5);
    // The responder as it was, and later; a responder that has forgotten; in both cases A is away.
    for restarted in [false, true] {
        let mut victim = if restarted {
            pair(&silent(), 2)
        } else {
            let mut victim = pair(&silent(), 1);
            ping_both(&mut victim);
            assert!(victim.run(Instant::from_secs(5)));
            victim.run_to(Instant::from_secs(100));
            victim
        };
        let answers = record(&mut victim, false);
        let before = (
            isakmp_sas(&mut victim, Side::B),
            bundles(&mut victim, Side::B),
        );
        for _ in 0..3 {
            for packet in &said {
                let now = victim.now;
                victim.b.receive(now, packet);
                victim.turn(Side::B);
            }
        }
        let after = (
            isakmp_sas(&mut victim, Side::B),
            bundles(&mut victim, Side::B),
        );
        assert_eq!(after, before);
        // A new message 2, or the very answer that was given then.
        let given: Vec<Vec<u8>> = tape
            .borrow()
            .iter()
            .map(|(_, packet)| packet.clone())
            .collect();
        let harmless = answers.borrow().iter().all(|(_, packet)| {
            let (header, _) = isakmp_message(packet).expect("ISAKMP");
            let second = header.next == PayloadType::SA && header.responder != Cookie::ZERO;
            second || given.contains(packet)
        });
        assert!(harmless, "a message 4 or later to a recording");
        victim.road = None;
        victim.run_to(victim.now + Duration::from_secs(400));
        at_rest(&mut victim);
    }
}

/// What was enciphered with nothing, under the right cookies and message id, comes in front of
/// every true message: the IV does not move, and nothing has to be said again.
#[test]
fn threat_c2_the_iv_moves_only_with_what_is_accepted() {
    let mut pair = pair(&basic(), 1);
    pair.road = Some(Box::new(|_, _, packet| {
        let mut copies = vec![(Duration::ZERO, packet.to_vec())];
        if let Some((header, _)) = isakmp_message(packet)
            && header.flags.encrypted()
        {
            for (place, bits) in [(0, 0x80), (8, 1), (20, 0xff)] {
                let mut noise = packet.to_vec();
                noise[UDP_PAYLOAD + HEADER + place] ^= bits;
                copies.insert(0, (Duration::ZERO, noise));
            }
            // And after it.
            copies.push((Duration::from_millis(1), copies[0].1.clone()));
        }
        copies
    }));
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(2)), "{:?}", failures(&pair));
    assert_eq!(failures(&pair), [""; 0]);
    for line in ["RESET IPSEC POLICY=vpn", "RESET IPSEC POLICY=vpn"] {
        command(&mut pair, Side::A, line);
        pair.pings.clear();
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        assert!(
            pair.run(now + Duration::from_secs(2)),
            "{:?}",
            failures(&pair)
        );
    }
}

/// Whatever payload the fuzzers' reader knows, this one was read as well: a Delete that names more
/// SPIs than it has is none.
#[test]
fn threat_b13_deletes_name_no_more_than_they_hold() {
    for (count, fits) in [
        (0, false),
        (1, false),
        (2, true),
        (3, false),
        (0xffff, false),
    ] {
        let mut body = hex("0000000103040000aaaaaaaabbbbbbbb");
        body[6..8].copy_from_slice(&u16::to_be_bytes(count));
        let raw = isakmp_core::wire::Raw {
            kind: PayloadType::D,
            body: &body,
            at: 0,
        };
        let read = Payload::parse(raw);
        assert_eq!(matches!(read, Ok(Payload::Delete(_))), fits, "{count}");
    }
}
