//! Messages that somebody makes who has the keys and does not keep to the rules. The engines of
//! these pairs encipher nothing and their hashes are all the same, so that a message can be made,
//! or changed on its way, by whoever sees it.

use core::net::SocketAddr;
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use hw_offload::testing::{InsecurePrimitives, insecure_engines};
use hw_offload::{Engines, Hash, Primitives as _, SoftEngines};
use ipsec_core::Instant;
use ipsec_core::model::Spi;
use isakmp_core::counters::Happened;
use isakmp_core::reason::Subject;
use isakmp_core::wire::{
    Attribute, Delete, ExchangeType, Flags, HEADER, Header, MessageId, Notify, NotifyType, Payload,
    PayloadType, Payloads, SaBody, Writer,
};
use isakmp_core::xauth::XauthAnswer;
use lab::{Buf, Pair, Side, is_udp, udp};
use sekisho_tests::tape::{Tape, UDP_PAYLOAD, record};
use sekisho_tests::{
    HOST_A, HOST_B, basic, both, bundles, command, failed, failures, isakmp_sas, one, pair,
    pair_with, ping_both,
};

const A: &str = "1.1.1.1:500";
const B: &str = "2.2.2.2:500";

fn end(text: &str) -> SocketAddr {
    text.parse().expect("an end")
}

/// A message of A under the SA of B, enciphered and with the HASH in front.
fn tells(
    pair: &mut Pair<impl Engines<Buf = Buf>>,
    exchange: ExchangeType,
    id: u32,
    payloads: &[(PayloadType, Vec<u8>)],
) {
    let mut sas = pair.b.device.endpoint().sas();
    let (initiator, responder) = sas.next().expect("one").cookies;
    drop(sas);
    let hash = InsecurePrimitives.hmac(Hash::Sha1, &[], &[]);
    let mut writer = Writer::new();
    writer.push(PayloadType::HASH, hash.as_bytes());
    for (kind, body) in payloads {
        writer.push(*kind, body);
    }
    let header = Header {
        initiator,
        responder,
        next: writer.first(),
        exchange,
        flags: Flags::ENCRYPTED,
        message_id: MessageId(id),
    };
    let mut message = writer.message(header);
    let len = HEADER + (message.len() - HEADER).next_multiple_of(8);
    message.resize(len, 0);
    message[24..28].copy_from_slice(&u32::try_from(len).expect("short").to_be_bytes());
    hears(pair, A, &message);
}

/// A message arrives at B.
fn hears(pair: &mut Pair<impl Engines<Buf = Buf>>, from: &str, message: &[u8]) {
    let packet = udp(end(from), end(B), message).expect("short");
    let now = pair.now;
    pair.b.receive(now, &packet);
    pair.turn(Side::B);
}

fn up(configs: &[String; 2]) -> Pair<impl Engines<Buf = Buf> + use<>> {
    let mut pair = pair_with(|_| insecure_engines(), configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    pair
}

/// A message that was recorded.
fn message(tape: &Tape, place: usize) -> Vec<u8> {
    tape.borrow()[place].1[UDP_PAYLOAD..].to_vec()
}

/// A message with some of its payloads changed; one that is changed to nothing is left out.
fn rebuilt(
    message: &[u8],
    mut change: impl FnMut(&Header, PayloadType, &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (header, body) = Header::parse(message).ok()?;
    let payloads = Payloads::parse(header.next, body).ok()?;
    let (mut writer, mut changed) = (Writer::new(), false);
    for raw in payloads.all() {
        let other = change(&header, raw.kind, raw.body);
        changed |= other.is_some();
        let body = other.as_deref().unwrap_or(raw.body);
        if !body.is_empty() {
            writer.push(raw.kind, body);
        }
    }
    if !changed {
        return None;
    }
    let mut message = writer.message(header);
    if header.flags.encrypted() {
        let len = HEADER + (message.len() - HEADER).next_multiple_of(8);
        message.resize(len, 0);
        message[24..28].copy_from_slice(&u32::try_from(len).expect("short").to_be_bytes());
    }
    Some(message)
}

/// The road changes payloads of what one side sends.
fn change(
    pair: &mut Pair<impl Engines<Buf = Buf>>,
    of: Side,
    mut how: impl FnMut(&Header, PayloadType, &[u8]) -> Option<Vec<u8>> + 'static,
) {
    pair.road = Some(Box::new(move |side, _, packet| {
        let changed = is_udp(packet)
            .filter(|_| side == of)
            .and_then(|(from, to, message)| udp(from, to, &rebuilt(message, &mut how)?));
        vec![(Duration::ZERO, changed.unwrap_or_else(|| packet.to_vec()))]
    }));
}

/// An SA body with other transforms.
fn transforms(
    body: &[u8],
    other: impl Fn(Vec<Attribute<'_>>) -> Vec<(u8, Vec<Attribute<'_>>)>,
) -> Vec<u8> {
    let sa = SaBody::parse(body).expect("whole");
    let proposal = sa.proposals().next().expect("one");
    let transform = proposal.transforms().next().expect("one");
    let mut transforms = other(transform.attributes.iter().collect());
    for (id, _) in &mut transforms {
        *id = transform.id;
    }
    SaBody::write(&[(proposal.number, proposal.protocol, proposal.spi, transforms)])
}

/// Protocol notes §12, CVE-2023-38712: what stands behind the Delete of the SA itself is protected
/// by nothing.
#[test]
fn threat_b13_nothing_counts_behind_the_delete_of_the_sa() {
    for behind in [false, true] {
        let mut pair = up(&basic());
        let sa = pair.b.device.endpoint().sas().next().expect("one").cookies;
        let of_sa = Delete::body(1, &[&[sa.0.0, sa.1.0].concat()]);
        let spi: Spi = pair.b.device.plane().sas().next().expect("one").1.out_spi;
        let of_esp = Delete::body(3, &[&spi.to_bytes()]);
        let mut deletes = vec![(PayloadType::D, of_esp), (PayloadType::D, of_sa)];
        if behind {
            deletes.reverse();
        }
        tells(&mut pair, ExchangeType::Informational, 77, &deletes);
        let left = (isakmp_sas(&mut pair, Side::B), bundles(&mut pair, Side::B));
        assert_eq!(left, (0, usize::from(behind)));
    }
}

/// INITIAL-CONTACT counts once under an SA.
#[test]
fn threat_b12_initial_contact_counts_once() {
    let configs = both(&basic(), "SENDN=TRUE", "SENDN=FALSE");
    let mut pair = up(&configs);
    let sa = pair.b.device.endpoint().sas().next().expect("one").cookies;
    let contact = Notify {
        protocol: 1,
        kind: NotifyType::INITIAL_CONTACT,
        spi: &[sa.0.0, sa.1.0].concat(),
        data: &[],
    };
    let contact = [(PayloadType::N, contact.to_bytes())];
    tells(&mut pair, ExchangeType::Informational, 77, &contact);
    let lost = |pair: &Pair<_>| {
        let counters = pair.b.device.endpoint().counters();
        counters.get(Happened::IpsecBundlesLost)
    };
    let once = lost(&pair);
    assert!(once > 0);
    tells(&mut pair, ExchangeType::Informational, 78, &contact);
    assert_eq!(lost(&pair), once);
}

/// The answer to an offer of quick mode is one transform of it, unchanged, with another nonce.
#[test]
fn threat_b16_answers_of_quick_mode_are_what_was_offered() {
    type Change = fn(PayloadType, &[u8], &[u8]) -> Option<Vec<u8>>;
    let rows: [(&str, Change, Subject); 4] = [
        (
            "two transforms",
            |kind, body, _| {
                (kind == PayloadType::SA)
                    .then(|| transforms(body, |all| vec![(1, all.clone()), (2, all)]))
            },
            Subject::NotOffered,
        ),
        (
            "an attribute for private use",
            |kind, body, _| {
                (kind == PayloadType::SA).then(|| {
                    transforms(body, |mut all| {
                        all.push(Attribute::short(32_001, 1));
                        vec![(1, all)]
                    })
                })
            },
            Subject::NotOffered,
        ),
        (
            "our own nonce",
            |kind, _, nonce| (kind == PayloadType::NONCE).then(|| nonce.to_vec()),
            Subject::Reflected,
        ),
        (
            "other addresses",
            |kind, body, _| {
                let mut body = body.to_vec();
                *body.get_mut(6)? ^= 1;
                (kind == PayloadType::ID).then_some(body)
            },
            Subject::OtherSelectors,
        ),
    ];
    for (what, change, subject) in rows {
        let mut pair = pair_with(|_| insecure_engines(), &basic(), 1);
        let mut nonce = Vec::new();
        pair.road = Some(Box::new(move |side, _, packet| {
            let unchanged = vec![(Duration::ZERO, packet.to_vec())];
            let Some((from, to, message)) = is_udp(packet) else {
                return unchanged;
            };
            let changed = rebuilt(message, |header, kind, body| {
                if header.exchange != ExchangeType::Quick {
                    return None;
                }
                if side == Side::A && kind == PayloadType::NONCE {
                    nonce = body.to_vec();
                }
                change(kind, body, &nonce).filter(|_| side == Side::B)
            });
            let packet = changed.and_then(|message| udp(from, to, &message));
            packet.map_or(unchanged, |packet| vec![(Duration::ZERO, packet)])
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(!pair.run(Instant::from_secs(3)), "{what}");
        let told = failed(&pair, Side::A);
        assert!(
            told.iter().any(|(_, why)| *why == subject),
            "{what}: {told:?}"
        );
    }
}

/// What is for private use only is ignored in an offer of quick mode; what nobody knows is not.
#[test]
fn attributes_for_private_use_are_ignored_in_quick_mode() {
    for (class, fits) in [(12, false), (32_000, false), (32_001, true), (32_767, true)] {
        let mut pair = pair_with(|_| insecure_engines(), &basic(), 1);
        change(&mut pair, Side::A, move |header, kind, body| {
            let offers = header.exchange == ExchangeType::Quick && kind == PayloadType::SA;
            offers.then(|| {
                transforms(body, |mut all| {
                    all.push(Attribute::short(class, 1));
                    vec![(1, all)]
                })
            })
        });
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(3));
        // A refuses the echo of what it has not offered, so that B alone tells.
        let refused = failed(&pair, Side::B);
        let refused = refused.iter().any(|(_, why)| *why == Subject::NoProposal);
        assert_eq!(refused, !fits, "{class}: {:?}", failures(&pair));
    }
}

/// Protocol notes §12: message 3 comes by the way on which the cookie went out, else anybody may
/// have overheard it.
#[test]
fn threat_b4_a_cookie_counts_where_it_was_sent() {
    // Nor does it count for a policy that is another now.
    for (from, changed, begins) in [
        ("1.1.1.1:501", false, false),
        ("1.1.1.9:500", false, false),
        (A, true, false),
        (A, false, true),
    ] {
        let configs = one(&basic(), 1, "POLICY=i PEER=1.1.1.1", "POLICY=i PEER=ANY");
        let mut pair = pair_with(|_| insecure_engines(), &configs, 1);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let third = Rc::clone(&seen);
        pair.road = Some(Box::new(move |_, _, packet| {
            let message = is_udp(packet).map(|(_, _, message)| message.to_vec());
            let is_third = |message: &Vec<u8>| message[16] == PayloadType::KE.0;
            if let Some(message) = message.filter(is_third) {
                *third.borrow_mut() = message;
                return Vec::new();
            }
            vec![(Duration::ZERO, packet.to_vec())]
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(1));
        let message = seen.take();
        if changed {
            let line = "SET ISAKMP POLICY=i MSGTIMEOUT=5";
            let answer = command(&mut pair, Side::B, line);
            assert!(!answer.contains("Error"), "{answer}");
        }
        hears(&mut pair, from, &message);
        let now = pair.now;
        let exchanges: Vec<_> = pair.b.device.endpoint().exchanges(now).collect();
        let goes_on = exchanges.iter().any(|exchange| exchange.state != "SASENT");
        assert_eq!(goes_on, begins, "{from}: {exchanges:?}");
    }
}

/// Exchanges that one address has begun and not finished are bounded, though it has shown that it
/// receives what is sent to it.
#[test]
fn threat_b1_one_address_has_few_unfinished_exchanges() {
    let mut pair = pair_with(|_| insecure_engines(), &basic(), 1);
    let tape = record(&mut pair, true);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(3)));
    let mut messages = [0, 2].map(|place| message(&tape, place));
    let mut pair = pair_with(|_| insecure_engines(), &basic(), 2);
    let answers = record(&mut pair, false);
    for number in 0..100_u8 {
        let [first, third] = &mut messages;
        first[0] = number;
        hears(&mut pair, A, &first.clone());
        let answer = message(&answers, answers.borrow().len() - 1);
        third[..16].copy_from_slice(&answer[..16]);
        hears(&mut pair, A, &third.clone());
    }
    let now = pair.now;
    let exchanges = pair.b.device.endpoint().exchanges(now);
    let unfinished = exchanges.filter(|exchange| exchange.state != "SASENT");
    let count = unfinished.count();
    assert!((20..=40).contains(&count), "{count}");
}

/// A refusal in clear: where SENDNOTIFY is on, once a second for an address, and to few addresses.
#[test]
fn threat_b3_refusals_in_clear_are_rare() {
    let configs = one(&basic(), 0, "SENDN=TRUE", "ENCALG=AES256");
    for notifies in [true, false] {
        let policy = format!("SENDN={notifies}");
        let configs = one(&configs, 1, "SENDN=TRUE", &policy.to_uppercase());
        let configs = one(&configs, 1, "POLICY=i PEER=1.1.1.1", "POLICY=i PEER=ANY");
        let mut pair = pair_with(|_| insecure_engines(), &configs, 1);
        let tape = record(&mut pair, false);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(1));
        let first = message(&tape, 0);
        let refusals = |pair: &mut Pair<_>, from: &dyn Fn(u8) -> String| {
            tape.borrow_mut().clear();
            for number in 0..200_u8 {
                let mut message = first.clone();
                message[0] = number;
                hears(pair, &from(number), &message);
            }
            let tape = tape.borrow();
            let refusals = tape.iter().filter(|(side, packet)| {
                let message = &packet[UDP_PAYLOAD..];
                let (header, body) = Header::parse(message).expect("a header");
                let payloads = Payloads::parse(header.next, body).expect("payloads");
                let raw = payloads.first(PayloadType::N).map(Payload::parse);
                let refuses = matches!(raw, Some(Ok(Payload::Notify(notify)))
                    if notify.kind == NotifyType::NO_PROPOSAL_CHOSEN);
                *side == Side::B && refuses
            });
            refusals.count()
        };
        assert_eq!(refusals(&mut pair, &|_| A.into()), usize::from(notifies));
        let later = pair.now + Duration::from_secs(2);
        pair.run_to(later);
        let many = refusals(&mut pair, &|number| format!("1.1.2.{number}:500"));
        assert_eq!(many, if notifies { 64 } else { 0 });
    }
}

/// SPIs below 256 are reserved.
#[test]
fn reserved_spis_are_refused() {
    for (spi, fits) in [(0_u32, false), (255, false), (256, true)] {
        let mut pair = pair_with(|_| insecure_engines(), &basic(), 1);
        change(&mut pair, Side::A, move |header, kind, body| {
            let offers = header.exchange == ExchangeType::Quick && kind == PayloadType::SA;
            let mut body = body.to_vec();
            // Behind DOI, situation and the head of the proposal.
            body.get_mut(16..20)?.copy_from_slice(&spi.to_be_bytes());
            offers.then_some(body)
        });
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        pair.run_to(Instant::from_secs(3));
        assert_eq!(failed(&pair, Side::B).is_empty(), fits, "{spi}");
    }
}

/// A policy for anybody keeps for one identity what that has; another one at the same place may
/// not take it.
#[test]
fn threat_c3_what_one_identity_has_another_does_not_get() {
    let a = |name: &str| {
        let policy = format!("LOCALID={name} SENDN=FALSE");
        let [a, _] = one(&basic(), 0, "SENDN=TRUE", &policy);
        a
    };
    // With NAT traversal every identity is welcome that proves itself.
    let b = one(
        &basic(),
        1,
        "PEER=1.1.1.1 KEY=1",
        "PEER=ANY NATTRAVERSAL=TRUE KEY=1",
    );
    let [_, b] = one(&b, 1, "BUNDLE=1 PEER=1.1.1.1", "BUNDLE=1 PEER=ANY");
    for (second, taken) in [("first", false), ("second", true)] {
        let mut pair = pair(&[a("first"), b.clone()], 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        pair.restart(Side::A, SoftEngines::new(256, 64, 64), &a(second));
        pair.turn(Side::A);
        pair.pings.clear();
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        let up = pair.run(now + Duration::from_secs(5));
        assert_eq!(up, !taken, "{second}: {:?}", failures(&pair));
        let told = failed(&pair, Side::B);
        let refused = told.iter().any(|(_, why)| *why == Subject::Taken);
        assert_eq!(refused, taken, "{second}: {told:?}");
    }
}

/// Protocol notes §12: a message that was answered comes again, perhaps late. It is answered as it
/// was, or with nothing, and never with what came later.
#[test]
fn late_duplicates_are_not_answered_with_what_came_later() {
    let mut pair = pair(&basic(), 1);
    let tape = record(&mut pair, true);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    let mut answered: Vec<(usize, usize)> = Vec::new();
    let mut seen = 0;
    for _ in 0..100 {
        pair.run_to(pair.now + Duration::from_millis(10));
        let mut packets: Vec<(Side, Vec<u8>)> = Vec::new();
        for packet in tape.borrow().iter() {
            if !packets.contains(packet) {
                packets.push(packet.clone());
            }
        }
        let of_a: Vec<usize> = (0..packets.len())
            .filter(|place| packets[*place].0 == Side::A && is_udp(&packets[*place].1).is_some())
            .collect();
        let arrived = packets.iter().rposition(|(side, _)| *side == Side::B);
        if packets.len() == seen || arrived.is_none() {
            continue;
        }
        seen = packets.len();
        // All that A has said until B spoke last.
        // Message 1 may begin anew, and is then answered anew.
        let old = of_a.iter().skip(1).rev();
        let old = old.filter(|place| Some(**place) < arrived);
        for (age, place) in old.enumerate() {
            let before = tape.borrow().len();
            let now = pair.now;
            pair.b.receive(now, &packets[*place].1);
            pair.turn(Side::B);
            let said = tape.borrow_mut().split_off(before);
            // What was due anyway is not an answer; an answer was given before, to that message.
            let (again, new): (Vec<_>, Vec<_>) = said
                .into_iter()
                .partition(|packet| packets.contains(packet));
            tape.borrow_mut().extend(new);
            for packet in &again {
                let mut later = packets.iter().skip(*place);
                let answers = later.find(|(side, _)| *side == Side::B) == Some(packet);
                assert!(answers, "{place} of {seen}");
            }
            answered.push((age, again.len()));
        }
    }
    assert!(answered.iter().any(|(age, said)| (*age, *said) == (0, 1)));
    assert!(answered.iter().any(|(age, said)| *age > 1 && *said == 0));
    assert_eq!(failures(&pair), [""; 0]);
}

/// An empty password is nobody's: whoever knows the users is not even asked.
#[test]
fn threat_c9_an_empty_password_is_none() {
    for empty in [false, true] {
        let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge SENDN=TRUE";
        let configs = one(&basic(), 0, "SENDN=TRUE", client);
        let server = "XAUTH=SERVER XAUTHTYPE=RADIUS SENDN=TRUE";
        let configs = one(&configs, 1, "SENDN=TRUE", server);
        let mut pair = pair_with(|_| insecure_engines(), &configs, 1);
        pair.oracle = Some(Box::new(|_, _| Some(XauthAnswer::Accept)));
        change(&mut pair, Side::A, move |_, kind, body| {
            // USER-PASSWORD stands last.
            let password = body.windows(2).position(|class| class == [0x40, 0x8a])?;
            let mut body = body.get(..password + 2)?.to_vec();
            body.extend_from_slice(&[0, 0]);
            (empty && kind == PayloadType::ATTR).then_some(body)
        });
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(5)), !empty);
    }
}

/// Where perfect forward secrecy is agreed on, both sides give a public value, or nothing comes of
/// it.
#[test]
fn threat_b14_forward_secrecy_is_not_left_out() {
    let configs = both(&basic(), "BUNDLE=1 PEER", "BUNDLE=1 USEPFSKEY=TRUE PEER");
    for from in [None, Some(Side::A), Some(Side::B)] {
        let mut pair = pair_with(|_| insecure_engines(), &configs, 1);
        if let Some(side) = from {
            change(&mut pair, side, |header, kind, _| {
                let quick = header.exchange == ExchangeType::Quick;
                (quick && kind == PayloadType::KE).then(Vec::new)
            });
        }
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(3)), from.is_none(), "{from:?}");
        if let Some(side) = from {
            let told = failed(&pair, side.other());
            assert!(
                told.iter().any(|(_, why)| *why == Subject::Payloads),
                "{told:?}"
            );
        }
    }
}
