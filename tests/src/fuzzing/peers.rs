//! Two devices that negotiate while somebody on the road does as he likes.

use core::time::Duration;

use hw_offload::testing::insecure_engines;
use ipsec_core::Instant;
use ipsec_core::wire::ipv4::{HEADER as IP, Ipv4};
use isakmp_core::wire::{ExchangeType, HEADER, Header, MessageId, PayloadType};
use lab::{Pair, Side};

use super::addresses::datagram;
use super::input::Input;
use super::router::{Engines, check_bounds, configure, limits, negotiating, show};
use crate::ping_both;

/// Length of a UDP header.
const UDP: usize = 8;

/// The first byte says what happens besides, the rest what becomes of one packet on the WAN after
/// the other; packets after that are left alone.
///
/// The engines have no security: what is changed here counts as deciphered, changed and enciphered
/// again with the right keys.
pub fn two_peers(data: &[u8]) {
    let Some((plan, schedule)) = data.split_first() else {
        return;
    };
    let disturbed = !schedule.is_empty();
    let mut pair: Pair<Engines> = Pair::with_limits(&limits(), |_| insecure_engines(), 1);
    for (side, text) in [Side::A, Side::B].into_iter().zip(negotiating()) {
        configure(pair.router(side), text);
    }
    pair.connect();
    let mut schedule = schedule.to_vec();
    pair.road = Some(Box::new(move |_, _, packet| {
        let mut input = Input::new(&schedule);
        let copies = on_the_road(&mut input, packet);
        let left = input.rest().len();
        schedule.drain(..schedule.len() - left);
        copies.unwrap_or_else(|| vec![(Duration::ZERO, packet.to_vec())])
    }));
    ping_both(&mut pair);
    let answered = pair.run(Instant::from_secs(60));
    assert!(
        answered || disturbed,
        "undisturbed peers do not meet: {:?}",
        crate::failures(&pair)
    );
    if plan & 1 != 0 {
        // To the end of every SA, with what is negotiated in time for it. A ping that waits for
        // its answer would fill the time.
        pair.pings.clear();
        pair.run_to(Instant::from_secs(30_000));
        ping_both(&mut pair);
        pair.run(Instant::from_secs(30_060));
    }
    pair.pings.clear();
    let now = pair.now;
    for (side, bit) in [(Side::A, 2), (Side::B, 4)] {
        if plan & bit != 0 {
            pair.router(side).command(now, "DISABLE ISAKMP");
            pair.turn(side);
        }
    }
    pair.run_to(now + Duration::from_secs(600));
    assert_eq!(pair.clear, 0, "something left in clear");
    let now = pair.now;
    for side in [Side::A, Side::B] {
        check_bounds(pair.router(side), now);
        show(pair.router(side), now);
    }
}

/// What becomes of a packet; none once the schedule has ended.
fn on_the_road(input: &mut Input<'_>, packet: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
    let choice = input.byte()?;
    let late = |units: u8| Duration::from_millis(100 * u64::from(units));
    let at_once = |packet: Vec<u8>| vec![(Duration::ZERO, packet)];
    let whole = || packet.to_vec();
    Some(match choice % 8 {
        0 => at_once(whole()),
        1 => Vec::new(),
        2 => vec![(Duration::ZERO, whole()), (late(input.byte()?), whole())],
        3 => vec![(late(input.byte()?), whole())],
        4 => {
            let (at, mask) = (usize::from(input.number()?), input.byte()?);
            let mut payload = payload(packet)?;
            if let Some(byte) = payload.get_mut(at) {
                *byte ^= mask;
            }
            at_once(rebuild(packet, &payload)?)
        }
        5 => {
            let (at, bytes) = (usize::from(input.number()?), input.chunk()?);
            let mut payload = payload(packet)?;
            payload.truncate(at);
            payload.extend_from_slice(bytes);
            at_once(rebuild(packet, &payload)?)
        }
        6 => at_once(replaced(packet, None, input)?),
        _ => {
            let exchange = ExchangeType::from_number(input.byte()?);
            let id = MessageId(input.byte()?.into());
            let forged = replaced(packet, Some((exchange, id)), input)?;
            vec![(Duration::ZERO, whole()), (Duration::ZERO, forged)]
        }
    })
}

/// What stands behind the IP header.
fn payload(packet: &[u8]) -> Option<Vec<u8>> {
    Some(Ipv4::parse(packet).ok()?.payload().to_vec())
}

/// The same message with other payloads, or of another exchange under the same cookies; an ESP
/// packet with another inside.
fn replaced(
    packet: &[u8],
    exchange: Option<(ExchangeType, MessageId)>,
    input: &mut Input<'_>,
) -> Option<Vec<u8>> {
    let (next, body) = (PayloadType(input.byte()?), input.chunk()?);
    let payload = payload(packet)?;
    let kept = match Header::parse(payload.get(UDP..)?) {
        Ok((header, _)) if Ipv4::parse(packet).ok()?.protocol() == 17 => {
            let (exchange, message_id) = exchange.unwrap_or((header.exchange, header.message_id));
            let header = Header {
                next,
                exchange,
                message_id,
                ..header
            };
            [&payload[..UDP], &header.to_bytes(HEADER + body.len())].concat()
        }
        Ok(_) | Err(_) => payload.get(..16)?.to_vec(),
    };
    rebuild(packet, &[&kept[..], body].concat())
}

/// The packet with another payload, lengths and checksum made right.
fn rebuild(packet: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let ip = Ipv4::parse(packet).ok()?;
    let mut payload = payload.to_vec();
    if ip.protocol() == 17 && payload.len() >= UDP {
        let len = u16::try_from(payload.len()).ok()?;
        payload[4..6].copy_from_slice(&len.to_be_bytes());
        let isakmp = len.checked_sub(UDP as u16)?;
        if let Some(length) = payload.get_mut(UDP + 24..UDP + HEADER) {
            length.copy_from_slice(&u32::from(isakmp).to_be_bytes());
        }
    }
    let rebuilt = datagram(ip.source(), ip.destination(), ip.protocol(), &payload)?;
    (rebuilt.len() <= IP + 1500).then_some(rebuilt)
}
