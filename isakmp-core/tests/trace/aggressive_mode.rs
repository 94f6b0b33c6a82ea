//! Aggressive mode with the trace's values. What both modes prove is the same, so that HASH_I and
//! HASH_R are those of the trace.

use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::Instant;
use ipsec_core::model::Name;
use isakmp_core::config::Phase1Mode;
use isakmp_core::keys::Iv;
use isakmp_core::wire::{Cookie, Notify, PayloadType, Payloads, Writer};
use isakmp_core::{Acquire, Answer, Ask};

use crate::side::*;

/// The value that the responder made beforehand.
const Y: &str = "8080808080808080808080808080808080808080";

/// The identities and proofs of the trace: IDii, HASH_I, IDir, HASH_R.
fn proofs() -> [Vec<u8>; 4] {
    let (_, key, iv) = phase_1_keys();
    let open = |iv: &Iv, sealed| iv.open(&SoftPrimitives, Cipher::Des, &key, &hex(sealed));
    let (five, iv) = open(&iv, CIPHER_5).unwrap();
    let (six, _) = open(&iv, CIPHER_6).unwrap();
    let body = |plain: &[u8], kind| {
        let payloads = Payloads::parse(PayloadType::ID, plain).unwrap();
        payloads.first(kind).unwrap().body.to_vec()
    };
    [
        body(&five, PayloadType::ID),
        body(&five, PayloadType::HASH),
        body(&six, PayloadType::ID),
        body(&six, PayloadType::HASH),
    ]
}

/// Message 1 or 2, without and with a proof.
fn opening(responder: &str, public: &str, nonce: &str, id: &[u8], hash: Option<&[u8]>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer
        .push(PayloadType::SA, &hex(&MESSAGE_1[64..]))
        .push(PayloadType::KE, &hex(public))
        .push(PayloadType::NONCE, &hex(nonce))
        .push(PayloadType::ID, id);
    if let Some(hash) = hash {
        writer.push(PayloadType::HASH, hash);
    }
    let mut message = header(4, 1, 0, "00000000", &text(writer.bytes()));
    message[8..16].copy_from_slice(&hex(responder));
    message
}

fn message_1() -> Vec<u8> {
    let [id, ..] = proofs();
    opening("0000000000000000", GX, NI, &id, None)
}

fn message_2() -> Vec<u8> {
    let [_, _, id, hash] = proofs();
    opening(CKY_R, GY, NR, &id, Some(&hash))
}

/// INITIAL-CONTACT.
fn contact() -> Vec<u8> {
    let cookie = |text| Cookie(hex(text).try_into().unwrap());
    Notify::initial_contact(cookie(CKY_I), cookie(CKY_R)).to_vec()
}

/// Message 3, from an initiator that says that it knows nothing or from one that does not, and the
/// IV behind it.
fn message_3(first_contact: bool) -> (Vec<u8>, Iv) {
    let (_, key, mut iv) = phase_1_keys();
    let mut writer = Writer::new();
    writer.push(PayloadType::HASH, &proofs()[1]);
    if first_contact {
        writer.push(PayloadType::N, &contact());
    }
    let sealed = iv.seal(&SoftPrimitives, Cipher::Des, &key, writer.bytes());
    (header(4, 8, 1, "00000000", &text(&sealed)), iv)
}

/// The same in clear, as RFC 2409 lets it be.
fn message_3_in_clear() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.push(PayloadType::HASH, &proofs()[1]);
    header(4, 8, 0, "00000000", &text(writer.bytes()))
}

/// A request for the public value of an exponent, or for the shared secret.
fn public_job(side: &mut Side) -> (Ticket, PublicJob) {
    let mut asked = side.asked();
    let (ticket, Ask::Public(job)) = asked.remove(0) else {
        panic!("a public-key job");
    };
    (ticket, job)
}

fn shared(side: &mut Side, own: &str, others: &str) {
    let (ticket, job) = public_job(side);
    let PublicJob::DhShared { exponent, peer, .. } = job else {
        panic!("{job:?}");
    };
    assert_eq!((exponent.expose(), peer), (&hex(own)[..], hex(others)));
    let value = PublicValue::Shared(Secret::new(hex(GXY)));
    side.answer(ticket, Answer::Public(Ok(value)));
}

#[test]
fn the_initiator() {
    let told = [Y, CKY_I, X, NI];
    let lans = ("192.168.20.0", "192.168.1.0");
    let mode = Phase1Mode::Aggressive;
    let mut side = Side::new(mode, "63.12.66.122", "61.115.117.39", lans, &told);
    // Either side may be the responder of another exchange.
    public_job(&mut side);
    let acquire = Acquire {
        policy: Name::new("vpn"),
        peer: side.path.peer.ip(),
        local: side.path.local.ip(),
        renews: None,
    };
    side.call(|endpoint, env| endpoint.acquire(env, acquire));
    let (ticket, job) = public_job(&mut side);
    let PublicJob::DhPublic { exponent, .. } = job else {
        panic!("{job:?}");
    };
    assert_eq!(exponent.expose(), hex(X));
    side.answer(ticket, Answer::Public(Ok(PublicValue::Public(hex(GX)))));
    assert_eq!(side.sent(), message_1());
    side.told.0.push(hex("204ebb1d"));
    side.told.0.push(vec![7; 20]);
    side.receive(&message_2());
    shared(&mut side, X, GY);
    let (sent, _) = side.actions();
    assert_eq!(sent, [message_3(true).0]);
    assert_eq!(side.endpoint.sas().count(), 1);
}

/// Up to message 1, with a public value.
fn ready() -> Side {
    let lans = ("192.168.1.0", "192.168.20.0");
    let mode = Phase1Mode::Aggressive;
    let other = "81".repeat(20);
    let told = [Y, &other, COOKIE_SECRET, NR];
    let mut side = Side::new(mode, "61.115.117.39", "63.12.66.122", lans, &told);
    let (ticket, job) = public_job(&mut side);
    let PublicJob::DhPublic { exponent, .. } = job else {
        panic!("{job:?}");
    };
    assert_eq!(exponent.expose(), hex(Y));
    side.answer(ticket, Answer::Public(Ok(PublicValue::Public(hex(GY)))));
    // The next of them is asked for, and not given.
    public_job(&mut side);
    side
}

/// Up to message 2.
fn responder() -> Side {
    let mut side = ready();
    side.receive(&message_1());
    assert_eq!(side.sent(), message_2());
    side
}

/// Whoever says a name that nobody expects gets no answer, after as much computing as others.
#[test]
fn threat_b7_a_wrong_name_costs_as_much() {
    let right = message_1();
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let costs = [right, wrong].map(|message| {
        let mut side = ready();
        let before = side.primitives.0.computed.get();
        side.receive(&message);
        let cost = side.primitives.0.computed.get() - before;
        while side.endpoint.next_action().is_some() {}
        (side.endpoint.exchanges(Instant::from_secs(1)).count(), cost)
    });
    let [(right, cost), (wrong, wasted)] = costs;
    assert_eq!((right, wrong), (1, 0));
    // The difference is the responder's cookie, which is one of many.
    assert!(wasted.abs_diff(cost) <= 1, "{cost} and {wasted}");
}

#[test]
fn the_responder() {
    let (sealed, iv) = message_3(false);
    let body = contact();
    let first = phase_1_keys().2;
    // Where message 3 came in clear, no block is behind the first IV.
    for (third, iv, other) in [(sealed, iv, first), (message_3_in_clear(), first, iv)] {
        let mut side = responder();
        side.receive(&third);
        shared(&mut side, Y, GX);
        assert_eq!(side.endpoint.sas().count(), 1);
        side.actions();
        let wrong = informational(&other, 0x11, PayloadType::N, &body);
        assert_eq!(side.hears_of_restarts(&wrong), 0);
        let right = informational(&iv, 0x12, PayloadType::N, &body);
        assert_eq!(side.hears_of_restarts(&right), 1);
    }
}
