//! What stands inside enciphered messages, where nothing but the content can be wrong.

use core::time::Duration;
use std::sync::{Arc, Mutex, OnceLock};

use hw_offload::testing::{InsecurePrimitives, insecure_engines};
use hw_offload::{Hash, Primitives as _};
use ipsec_core::Instant;
use isakmp_core::wire::{
    ExchangeType, Flags, HEADER, Header, MessageId, PayloadType, Payloads, Writer,
};
use isakmp_core::xauth::XauthAnswer;
use lab::{Pair, Side, is_udp, udp};

use super::addresses::{A, B, isakmp};
use super::input::Input;
use super::router::{Engines, check_bounds, configure, limits, negotiating, show};
use crate::{HOST_A, HOST_B, both, one, ping_both};

/// The ISAKMP policies of A and B, and the IPSEC policies of both.
const KINDS: [[&str; 3]; 6] = [
    ["", "", ""],
    [
        "DPDMODE=BOTH HEARTBEATMODE=BOTH",
        "DPDMODE=BOTH HEARTBEATMODE=BOTH",
        "",
    ],
    [
        "SETCOMMITBIT=TRUE",
        "SETCOMMITBIT=TRUE",
        "USEPFSKEY=TRUE GROUP=1",
    ],
    [
        "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge",
        "XAUTH=SERVER",
        "",
    ],
    [
        "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge XAUTHTYPE=RADIUS",
        "XAUTH=SERVER XAUTHTYPE=RADIUS",
        "",
    ],
    [
        "MODE=AGGRESSIVE NATTRAVERSAL=TRUE",
        "MODE=AGGRESSIVE NATTRAVERSAL=TRUE",
        "",
    ],
];

fn configs(kind: usize) -> &'static [String; 2] {
    static CONFIGS: OnceLock<[[String; 2]; KINDS.len()]> = OnceLock::new();
    let configs = CONFIGS.get_or_init(|| {
        KINDS.map(|[a, b, ipsec]| {
            let policy = "CREATE ISAKMP POLICY=i";
            let server = "ADD RADIUS SERVER=192.168.20.9 SECRET=xyzzy5461";
            let configs = one(negotiating(), 0, policy, &format!("{policy} {a}"));
            let configs = one(&configs, 1, policy, &format!("{server}\n{policy} {b}"));
            let bundle = "KEYMAN=ISAKMP BUNDLE=1 PEER";
            both(
                &configs,
                bundle,
                &bundle.replace("PEER", &format!("{ipsec} PEER")),
            )
        })
    });
    &configs[kind % KINDS.len()]
}

/// A message that was on the WAN: its header.
type Last = Arc<Mutex<Option<Header>>>;

/// Authentic messages between two routers. The first byte says how they are configured, the second
/// after how many packets the road between them ends, which leaves each where it is. Then come
/// messages to one or the other under its own SA, and the time between them.
pub fn isakmp_decrypted(data: &[u8]) {
    let mut input = Input::new(data);
    let (Some(kind), Some(length)) = (input.byte(), input.byte()) else {
        return;
    };
    let mut pair: Pair<Engines> = Pair::with_limits(&limits(), |_| insecure_engines(), 1);
    for (side, text) in [Side::A, Side::B].into_iter().zip(configs(kind.into())) {
        configure(pair.router(side), text);
    }
    pair.connect();
    pair.oracle = Some(Box::new(|_, step| {
        let question = XauthAnswer::Challenge {
            message: b"again".to_vec(),
            state: vec![7],
        };
        Some(if step.state.is_some() {
            XauthAnswer::Accept
        } else {
            question
        })
    }));
    let last = Last::default();
    let noted = Arc::clone(&last);
    let undisturbed = input.rest().is_empty() && length == 0;
    let mut left = if length == 0 { u64::MAX } else { length.into() };
    pair.road = Some(Box::new(move |_, _, packet| {
        let header = is_udp(packet).and_then(|(_, _, bytes)| Header::parse(bytes).ok());
        if let (Some((header, _)), Ok(mut noted)) = (header, noted.lock()) {
            *noted = Some(header);
        }
        left = left.saturating_sub(1);
        let arrives = left > 0;
        arrives
            .then(|| (Duration::ZERO, packet.to_vec()))
            .into_iter()
            .collect()
    }));
    ping_both(&mut pair);
    let answered = pair.run(Instant::from_secs(10));
    assert!(answered || !undisturbed, "{:?}", crate::failures(&pair));
    while let Some(choice) = input.byte() {
        if event(&mut pair, &last, choice, &mut input).is_none() {
            break;
        }
    }
    pair.pings.clear();
    pair.run_to(pair.now + Duration::from_secs(600));
    assert_eq!(pair.clear, 0, "something left in clear");
    let now = pair.now;
    for side in [Side::A, Side::B] {
        check_bounds(pair.router(side), now);
        show(pair.router(side), now);
    }
}

fn event(pair: &mut Pair<Engines>, last: &Last, choice: u8, input: &mut Input<'_>) -> Option<()> {
    let side = if choice & 1 == 0 { Side::A } else { Side::B };
    match choice >> 1 & 3 {
        0 | 1 => {
            let message = message(pair, side, last, input)?;
            let (from, to) = match side {
                Side::A => (B, A),
                Side::B => (A, B),
            };
            let packet = udp(isakmp(from), isakmp(to), &message)?;
            let now = pair.now;
            pair.router(side).receive(now, &packet);
            pair.turn(side);
        }
        2 => {
            let units = u64::from(input.byte()?);
            pair.run_to(pair.now + Duration::from_millis(10 * units * units));
        }
        _ => {
            let ends = if side == Side::A {
                (HOST_A, HOST_B)
            } else {
                (HOST_B, HOST_A)
            };
            pair.pings.clear();
            pair.ping(ends.0, ends.1, pair.now);
            pair.run(pair.now + Duration::from_secs(2));
        }
    }
    Some(())
}

/// An enciphered message of the peer of a side: exchange, message id, flags and the types and bodies
/// of its payloads, which end with the input or a type of zero. The HASH, which is right, stands
/// where the exchange has it.
fn message(
    pair: &mut Pair<Engines>,
    side: Side,
    last: &Last,
    input: &mut Input<'_>,
) -> Option<Vec<u8>> {
    let (exchange, id) = (ExchangeType::from_number(input.byte()?), input.byte()?);
    let flags = Flags(input.byte()?).with(Flags::ENCRYPTED);
    let seen = last.lock().ok().and_then(|last| *last);
    let known = pair
        .router(side)
        .device
        .endpoint()
        .sas()
        .last()
        .map(|sa| sa.cookies);
    let (initiator, responder) = known.or(seen.map(|seen| (seen.initiator, seen.responder)))?;
    let phase1 = matches!(exchange, ExchangeType::Main | ExchangeType::Aggressive);
    let message_id = match seen {
        _ if phase1 => MessageId(0),
        // Mostly the exchange that is under way.
        Some(seen) if id == 0 => seen.message_id,
        Some(_) | None => MessageId(id.into()),
    };
    let hash = InsecurePrimitives.hmac(Hash::Sha1, &[], &[]);
    let mut writer = Writer::new();
    if !phase1 {
        writer.push(PayloadType::HASH, hash.as_bytes());
    }
    let mut payloads = 0;
    while let Some(kind) = input.byte().filter(|kind| *kind != 0) {
        writer.push(PayloadType(kind), input.chunk()?);
        if phase1 && payloads == 0 {
            writer.push(PayloadType::HASH, hash.as_bytes());
        }
        payloads += 1;
    }
    let header = Header {
        initiator,
        responder,
        next: writer.first(),
        exchange,
        flags,
        message_id,
    };
    let body = writer.bytes();
    // What is written is what is read, whatever its bodies say.
    assert!(payloads == 0 || Payloads::parse(header.next, body).is_ok() || body.len() > 0xffff);
    let padded = body.len().next_multiple_of(8);
    let mut message = header.to_bytes(HEADER + padded).to_vec();
    message.extend_from_slice(body);
    message.resize(HEADER + padded, 0);
    Some(message)
}
