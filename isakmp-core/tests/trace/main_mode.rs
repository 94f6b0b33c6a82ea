//! Main mode and quick mode, whole.

use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::{BundleId, Id, Instant, PolicyId, RemoveWhy, RemovedBundle, Reserved, SaKeys};
use isakmp_core::config::Phase1Mode;
use isakmp_core::keys::{Iv, Skeyid};
use isakmp_core::wire::{Cookie, MessageId, Notify, PayloadType};
use isakmp_core::{Acquire, Answer, Ask};

use crate::side::*;

const CIPHER_Q1: &str = "2d87232ebb939dc307fcb6b4f29b0b76ac2d37217d8829e50d8b095ff4cd7108b9de43839cff459eadd4c12b5bb67f7ccf4af5f324c8e81ffd1066b4172dbb4df0c6e02e4a4d118ae66eb7765af0134d458f4bbbfe2c9b8744f0f488c28e7d61d38d665bd091814b8b79377ecb76da69cb2866f30e616b90";
const CIPHER_Q3: &str = "5b4fb036ecacdebd520bd0d65fa6072bab6d0ff677eb6fe6";

fn bundle() -> BundleId {
    BundleId(Id {
        slot: 0,
        generation: 0,
    })
}

fn reserved(spi: u32) -> Answer {
    Answer::Reserved(Ok(Reserved {
        bundle: bundle(),
        spis: vec![(Protocol::Esp, Spi(spi))],
    }))
}

fn installed(asked: (Ticket, Ask)) -> (Ticket, Half, SaKeys) {
    let (
        ticket,
        Ask::Install {
            half,
            mut negotiated,
            ..
        },
    ) = asked
    else {
        panic!("{asked:?}")
    };
    assert_eq!(
        negotiated.lifetime,
        Lifetime {
            seconds: 28_800,
            kbytes: None
        }
    );
    (ticket, half, negotiated.sas.remove(0))
}

fn check_keys(keys: &SaKeys, spi: u32, des: &str, sha: &str) {
    assert_eq!(keys.spi, Spi(spi));
    assert_eq!(keys.cipher_key.expose(), hex(des));
    assert_eq!(keys.mac_key.expose(), hex(sha));
}

const IN_KEYS: (&str, &str) = (
    "95e9b959f1e819bc",
    "12e896bf227eb78a184f8c6ad31028d70d026bd0",
);
const OUT_KEYS: (&str, &str) = (
    "8303f4ba30e24de1",
    "dac0b835b11046fbb5f0f85f52112530c1000cc2",
);

/// The initiator with the trace's randomness, up to message 5.
fn initiator() -> Side {
    let told = [CKY_I, X, NI, "204ebb1d", QUICK_NI];
    let mut side = Side::new(
        Phase1Mode::Main,
        "63.12.66.122",
        "61.115.117.39",
        ("192.168.20.0", "192.168.1.0"),
        &told,
    );
    let acquire = Acquire {
        policy: Name::new("vpn"),
        peer: side.path.peer.ip(),
        local: side.path.local.ip(),
        renews: None,
    };
    side.call(|endpoint, env| endpoint.acquire(env, acquire));
    assert_eq!(side.sent(), hex(MESSAGE_1));

    side.receive(&header(2, 1, 0, "00000000", &MESSAGE_1[56..]));
    let mut asked = side.asked();
    let (
        ticket,
        Ask::Public(PublicJob::DhPublic {
            exponent, group, ..
        }),
    ) = asked.remove(0)
    else {
        panic!("the public value is asked for");
    };
    assert_eq!((exponent.expose(), group), (&hex(X)[..], DhGroup::Modp768));
    side.answer(ticket, Answer::Public(Ok(PublicValue::Public(hex(GX)))));
    assert_eq!(side.sent(), key_message(GX, NI));

    side.receive(&key_message(GY, NR));
    let mut asked = side.asked();
    let (ticket, Ask::Public(PublicJob::DhShared { exponent, peer, .. })) = asked.remove(0) else {
        panic!("the shared secret is asked for");
    };
    assert_eq!((exponent.expose(), peer), (&hex(X)[..], hex(GY)));
    side.answer(
        ticket,
        Answer::Public(Ok(PublicValue::Shared(Secret::new(hex(GXY))))),
    );
    assert_eq!(side.sent(), header(2, 5, 1, "00000000", CIPHER_5));
    side
}

fn responder() -> Side {
    let y = "80".repeat(20);
    let told = [COOKIE_SECRET, &y, NR, QUICK_NR];
    let mut side = Side::new(
        Phase1Mode::Main,
        "61.115.117.39",
        "63.12.66.122",
        ("192.168.1.0", "192.168.20.0"),
        &told,
    );
    side.receive(&hex(MESSAGE_1));
    assert_eq!(side.sent(), header(2, 1, 0, "00000000", &MESSAGE_1[56..]));
    side.receive(&key_message(GX, NI));
    let asked = side.asked();
    assert_eq!(asked.len(), 2);
    for (ticket, ask) in asked {
        let value = match ask {
            Ask::Public(PublicJob::DhPublic { .. }) => PublicValue::Public(hex(GY)),
            Ask::Public(PublicJob::DhShared { peer, .. }) => {
                assert_eq!(peer, hex(GX));
                PublicValue::Shared(Secret::new(hex(GXY)))
            }
            other => panic!("{other:?}"),
        };
        side.answer(ticket, Answer::Public(Ok(value)));
    }
    assert_eq!(side.sent(), key_message(GY, NR));
    side.receive(&header(2, 5, 1, "00000000", CIPHER_5));
    assert_eq!(side.sent(), header(2, 5, 1, "00000000", CIPHER_6));
    side
}

/// Main mode messages 1, 3 and 5 as initiator, 2, 4 and 6 as responder, then quick mode 1 to 3
/// between the two, all with the trace's values.
#[test]
fn whole_messages() {
    let mut a = initiator();
    a.receive(&header(2, 5, 1, "00000000", CIPHER_6));
    let (ticket, Ask::Reserve { protocols, .. }) = a.asked().remove(0) else {
        panic!("quick mode begins");
    };
    assert_eq!(protocols, [Protocol::Esp]);
    a.answer(ticket, reserved(0x1576_52f2));
    let quick_1 = a.sent();
    assert_eq!(quick_1, header(32, 8, 1, "204ebb1d", CIPHER_Q1));

    let mut b = responder();
    b.receive(&quick_1);
    let (ticket, Ask::Reserve { .. }) = b.asked().remove(0) else {
        panic!()
    };
    b.answer(ticket, reserved(0x2270_95c8));
    let (ticket, half, keys) = installed(b.asked().remove(0));
    assert_eq!(half, Half::Inbound);
    check_keys(&keys, 0x2270_95c8, OUT_KEYS.0, OUT_KEYS.1);
    b.answer(ticket, Answer::Installed(Ok(())));
    let quick_2 = b.sent();
    assert_eq!(quick_2[quick_2.len() - 8..], hex("0b101d8a3161be84"));

    a.receive(&quick_2);
    let mut asked = a.asked();
    let (out_ticket, _, out_keys) = installed(asked.remove(1));
    let (in_ticket, half, in_keys) = installed(asked.remove(0));
    assert_eq!(half, Half::Inbound);
    check_keys(&in_keys, 0x1576_52f2, IN_KEYS.0, IN_KEYS.1);
    check_keys(&out_keys, 0x2270_95c8, OUT_KEYS.0, OUT_KEYS.1);
    a.answer(out_ticket, Answer::Installed(Ok(())));
    assert!(a.asked().is_empty(), "message 3 waits for both directions");
    a.answer(in_ticket, Answer::Installed(Ok(())));
    let quick_3 = a.sent();
    assert_eq!(quick_3, header(32, 8, 1, "204ebb1d", CIPHER_Q3));

    b.receive(&quick_3);
    let (ticket, half, keys) = installed(b.asked().remove(0));
    assert_eq!(half, Half::Outbound);
    check_keys(&keys, 0x1576_52f2, IN_KEYS.0, IN_KEYS.1);
    b.answer(ticket, Answer::Installed(Ok(())));
    assert!(a.told.0.is_empty() && b.told.0.is_empty());
    assert_eq!(
        (
            a.endpoint.exchanges(Instant::from_secs(1)).count(),
            b.endpoint.exchanges(Instant::from_secs(1)).count()
        ),
        (0, 0)
    );
}

/// The end of phase 1 on both sides, without a quick mode.
fn phase_1() -> (Side, Side) {
    let (mut a, b) = (initiator(), responder());
    a.receive(&header(2, 5, 1, "00000000", CIPHER_6));
    assert!(matches!(a.asked().remove(0).1, Ask::Reserve { .. }));
    (a, b)
}

/// What protects exchanges under the trace's ISAKMP SA.
fn session() -> (Skeyid, Secret, Iv) {
    let (skeyid, key, iv) = phase_1_keys();
    let (_, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &hex(CIPHER_5))
        .unwrap();
    let (_, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &hex(CIPHER_6))
        .unwrap();
    (skeyid, key, iv)
}

/// The Delete of protocol-notes: out of the state machine when the message id is given.
#[test]
fn a_delete_with_the_traces_keys() {
    let (_, mut b) = phase_1();
    b.told.0 = vec![hex("a1b2c3d4")];
    let removed = RemovedBundle {
        bundle: bundle(),
        policy: PolicyId(Id {
            slot: 0,
            generation: 0,
        }),
        name: Name::new("vpn"),
        peer: b.path.peer.ip(),
        inbound: vec![(Protocol::Esp, Spi(0x2270_95c8))],
        isakmp_sa: Some(1),
        was_valid: true,
    };
    b.call(|endpoint, env| endpoint.bundle_removed(env, &removed, RemoveWhy::Configuration));
    let sent = b.sent();
    let (_, key, iv) = session();
    let id = MessageId(0xa1b2_c3d4);
    let iv = iv.later(&SoftPrimitives, Hash::Sha1, Cipher::Des, id);
    let (plain, _) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &sent[28..])
        .unwrap();
    let hash = "0c000018249506211e7589411dadbe7077c2e6d3fa246cf2";
    let expected = hex(&format!("{hash}000000100000000103040001227095c8"));
    assert_eq!(plain[..expected.len()], expected);
    assert_eq!(
        sent[..28],
        header(5, 8, 1, "a1b2c3d4", &"00".repeat(plain.len()))[..28]
    );
}

/// INITIAL-CONTACT that comes by itself, as some peers send it: heard once, and only where it is
/// authentic; a message id is never heard twice.
#[test]
fn initial_contact_in_an_informational_exchange() {
    let (_, mut b) = phase_1();
    let cookie = |text| Cookie(hex(text).try_into().unwrap());
    let body = Notify::initial_contact(cookie(CKY_I), cookie(CKY_R));
    let (.., iv) = session();
    let message = informational(&iv, 0x11, PayloadType::N, &body);
    let mut forged = message.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(b.hears_of_restarts(&forged), 0);
    assert_eq!(b.hears_of_restarts(&message), 1);
    assert_eq!(b.hears_of_restarts(&message), 0);
    let again = informational(&iv, 0x12, PayloadType::N, &body);
    assert_eq!(b.hears_of_restarts(&again), 0);
    assert_eq!(
        b.endpoint.sas().count(),
        1,
        "not the SA under which it was said"
    );
}

/// A repetition of message 5 is answered to the peer of the SA, wherever it comes from.
#[test]
fn answers_go_to_the_peer_only() {
    let (_, mut b) = phase_1();
    let right = b.path;
    b.path.peer = "9.9.9.9:500".parse().unwrap();
    b.receive(&header(2, 5, 1, "00000000", CIPHER_5));
    let Some(isakmp_core::Action::Send { path, bytes }) = b.endpoint.next_action() else {
        panic!("message 6 again");
    };
    assert_eq!(
        (path, bytes),
        (right, header(2, 5, 1, "00000000", CIPHER_6))
    );
}
