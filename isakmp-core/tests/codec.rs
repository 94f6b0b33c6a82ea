//! The message codec: every payload type, unknown ones, and bytes that mean nothing.

use hw_offload::testing::hex;
use isakmp_core::wire::{
    Cookie, Delete, ExchangeType, Flags, Header, Identification, Malformed, MessageId, Notify,
    NotifyType, Payload, PayloadType, Payloads, Raw, SaBody, Writer,
};
use proptest::prelude::*;

fn parse(kind: u8, body: &[u8]) -> Result<Payload<'_>, Malformed> {
    Payload::parse(Raw {
        kind: PayloadType(kind),
        body,
        at: 0,
    })
}

/// Protocol notes §1: each type is read as what it is.
#[test]
fn every_payload_type() {
    let sa = hex(
        "00000001000000010000002c01010001000000240101000080010001800200028003000180040001800b0001000c000400015180",
    );
    let bytes = [7; 16];
    assert!(matches!(parse(1, &sa), Ok(Payload::Sa(_))));
    assert_eq!(parse(4, &bytes), Ok(Payload::KeyExchange(&bytes)));
    let id = Identification {
        kind: 11,
        protocol: 17,
        port: 500,
        data: b"key".to_vec(),
    };
    assert_eq!(parse(5, &id.to_bytes()), Ok(Payload::Id(id)));
    assert_eq!(parse(6, &[4, 1, 2]), Ok(Payload::Certificate(4, &[1, 2])));
    assert_eq!(parse(7, &[4]), Ok(Payload::CertificateRequest(4, &[])));
    assert_eq!(parse(8, &bytes), Ok(Payload::Hash(&bytes)));
    assert_eq!(parse(9, &bytes), Ok(Payload::Signature(&bytes)));
    assert_eq!(parse(10, &bytes), Ok(Payload::Nonce(&bytes)));
    let notify = Notify {
        protocol: 1,
        kind: NotifyType::INITIAL_CONTACT,
        spi: &bytes,
        data: &[9],
    };
    assert_eq!(parse(11, &notify.to_bytes()), Ok(Payload::Notify(notify)));
    let body = Delete::body(3, &[&[1, 2, 3, 4], &[5, 6, 7, 8]]);
    let Ok(Payload::Delete(delete)) = parse(12, &body) else {
        panic!("a Delete")
    };
    assert_eq!(
        delete.spis().collect::<Vec<_>>(),
        [[1, 2, 3, 4], [5, 6, 7, 8]]
    );
    assert_eq!(parse(13, b"vendor"), Ok(Payload::Vendor(b"vendor")));
    let attributes = hex("01001234c088000040890003616263");
    let Ok(Payload::Attributes(1, 0x1234, list)) = parse(14, &attributes) else {
        panic!("ATTR")
    };
    assert_eq!(
        list.iter().map(|a| a.class).collect::<Vec<_>>(),
        [16_520, 16_521]
    );
    for kind in [15, 20, 130] {
        assert_eq!(parse(kind, &bytes), Ok(Payload::NatDiscovery(&bytes)));
    }
    for kind in [16, 21, 131] {
        let address = "10.0.0.1".parse().expect("an address");
        // The three reserved bytes are not looked at.
        assert_eq!(
            parse(kind, &hex("01abcdef0a000001")),
            Ok(Payload::NatOriginal(address))
        );
    }
    assert_eq!(
        parse(132, &[0, 9, 2, 1, 5]),
        Ok(Payload::Fragment(9, 2, true, &[5]))
    );
    for kind in [2, 3, 17, 22, 99, 129, 133, 255] {
        assert_eq!(
            parse(kind, &bytes),
            Ok(Payload::Unknown(PayloadType(kind), &bytes))
        );
    }
}

/// Bodies that do not fit their type (threats.md A: CVE-2013-6075, CVE-2023-38711, CVE-2004-0221).
#[test]
fn bodies_that_do_not_fit() {
    for (kind, body) in [
        (1, ""),
        (1, "0000000100000001"),
        (1, "0000000100000002"),
        (1, "0000000200000001"),
        (4, ""),
        (5, "01000000"),
        (5, "010000000a0000"),
        (5, "040000000a000001"),
        (5, "0c0000000a000001"),
        (5, "02000000"),
        (8, ""),
        (10, "01020304050607"),
        (11, "00000001"),
        (11, "0000000103100001aabb"),
        (11, "000000020300000e"),
        (12, "0000000103040002aabbccdd"),
        (12, "000000010300ffff"),
        (14, "010000014089ffff"),
        (16, "010000000a0000"),
        (16, "020000000a000001"),
        (132, "0001"),
    ] {
        let body = hex(body);
        assert!(parse(kind, &body).is_err(), "{kind} {body:02x?}");
    }
    assert!(parse(10, &[1; 257]).is_err());
}

/// What a stranger may send costs little: payloads, proposals, transforms and attributes have
/// limits.
#[test]
fn counts_are_limited() {
    let mut many = Writer::new();
    for _ in 0..65 {
        many.push(PayloadType::VID, &[]);
    }
    let parsed = Payloads::parse(many.first(), many.bytes());
    assert!(matches!(parsed, Err(Malformed::TooMany)));
    let transforms = |n: usize| vec![(1, Vec::new()); n];
    let one = |n| SaBody::write(&[(1, 1, &[], transforms(n))]);
    assert!(SaBody::parse(&one(64)).is_ok());
    assert!(SaBody::parse(&one(65)).is_err());
    let proposals = |n: usize| SaBody::write(&vec![(1, 1, &[][..], transforms(1)); n]);
    assert!(SaBody::parse(&proposals(32)).is_ok());
    assert!(SaBody::parse(&proposals(33)).is_err());
    let attributes = |n: usize| {
        let attribute = isakmp_core::wire::Attribute::short(99, 1);
        SaBody::write(&[(1, 1, &[], vec![(1, vec![attribute; n])])])
    };
    assert!(SaBody::parse(&attributes(32)).is_ok());
    assert!(SaBody::parse(&attributes(33)).is_err());
}

fn payloads() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let one = (1_u8.., prop::collection::vec(any::<u8>(), 0..300));
    prop::collection::vec(one, 1..40)
}

proptest! {
    /// What is written is read again, payload by payload, unknown ones too, whatever padding
    /// stands behind; the bytes that a HASH covers are those behind the first payload.
    #[test]
    fn payloads_survive(list in payloads(), padding in 0..16_usize, fields in any::<(u64, u64, u8, u32)>()) {
        let mut writer = Writer::new();
        for (kind, body) in &list {
            writer.push(PayloadType(*kind), body);
        }
        let header = Header {
            initiator: Cookie(fields.0.to_be_bytes()),
            responder: Cookie(fields.1.to_be_bytes()),
            next: PayloadType::NONE,
            exchange: ExchangeType::from_number(fields.2),
            flags: Flags(fields.2),
            message_id: MessageId(fields.3),
        };
        let mut message = writer.message(header);
        message.extend(vec![0; padding]);
        let (read, body) = Header::parse(&message).unwrap();
        prop_assert_eq!(read, Header { next: PayloadType(list[0].0), ..header });
        let mut padded = body.to_vec();
        padded.extend(vec![0; padding]);
        let parsed = Payloads::parse(read.next, &padded).unwrap();
        let again: Vec<(u8, Vec<u8>)> = parsed.all().iter().map(|raw| (raw.kind.0, raw.body.to_vec())).collect();
        prop_assert_eq!(&again, &list);
        prop_assert_eq!(parsed.padding().len(), padding);
        prop_assert_eq!(parsed.after_first(), &body[4 + list[0].1.len()..]);
    }

    /// Bytes that mean nothing are refused or read, and nothing else.
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), first in any::<u8>()) {
        let _ = Header::parse(&bytes);
        let _ = SaBody::parse(&bytes).map(|sa| {
            sa.proposals().map(|p| p.transforms().map(|t| t.attributes.iter().count()).sum::<usize>()).sum::<usize>()
        });
        let _ = Identification::parse(&bytes).map(|id| (id.selector(), id.to_string(), id.to_bytes()));
        if let Ok(payloads) = Payloads::parse(PayloadType(first), &bytes) {
            for raw in payloads.all() {
                if let Ok(Payload::Delete(delete)) = Payload::parse(*raw) {
                    prop_assert!(delete.spis().count() <= bytes.len());
                }
            }
            prop_assert!(payloads.after_first().len() + payloads.padding().len() <= bytes.len());
        }
        let _ = parse(first, &bytes);
    }
}
