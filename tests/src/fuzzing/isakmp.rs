//! ISAKMP: messages, payloads, proposals, and datagrams at a whole device.

use core::net::Ipv4Addr;
use core::time::Duration;

use hw_offload::{Cipher, DhGroup, Hash};
use ipsec_core::Instant;
use ipsec_core::model::{
    AddressSelector, BundleConfig, BundleString, HashAlg, KeyManagement, Lifetime, Protocol,
    SaSpecConfig, Spi,
};
use ipsec_core::wire::ipv4::Ipv4;
use ipsec_core::wire::udp::Udp;
use isakmp_core::negotiate::phase1::{AuthMethod, Phase1};
use isakmp_core::negotiate::phase2::Phase2;
use isakmp_core::wire::{
    Attribute, Attributes, Cookie, Delete, ExchangeType, Flags, HEADER, Header, Identification,
    MessageId, Payload, PayloadType, Payloads, Proposed, Raw, SaBody, Writer,
};
use lab::{Output, Router, echo_request, udp};

use super::addresses::{A, B, isakmp};
use super::input::Input;
use super::router::{Engines, configured, negotiating, settle, show};
use crate::{HOST_A, HOST_B};

/// A whole message: read, written and read again it says the same.
pub fn isakmp_clear(data: &[u8]) {
    let Ok((header, body)) = Header::parse(data) else {
        return;
    };
    let Ok(payloads) = Payloads::parse(header.next, body) else {
        return;
    };
    let mut writer = Writer::new();
    for raw in payloads.all() {
        writer.push(raw.kind, raw.body);
    }
    let covered = payloads.after_first().len() + payloads.padding().len();
    assert!(covered <= body.len());
    let message = writer.message(header);
    let (again, body) = Header::parse(&message).expect("a written header is readable");
    assert_eq!(again, header);
    let again = Payloads::parse(again.next, body).expect("written payloads are readable");
    assert_eq!(again.all(), payloads.all());
    assert_eq!(again.padding(), [0; 0]);
    payloads.all().iter().copied().for_each(payload);
}

/// One payload: its type, then its body.
pub fn isakmp_payloads(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let kind = PayloadType(*kind);
    payload(Raw { kind, body, at: 0 });
}

/// Reads a body; where it can be written too, both agree.
fn payload(raw: Raw<'_>) {
    let Ok(payload) = Payload::parse(raw) else {
        return;
    };
    match &payload {
        Payload::Sa(sa) => sa_body(sa),
        Payload::Id(id) => {
            assert_eq!(id.to_bytes(), raw.body);
            assert!(!format!("{id}").contains(char::is_control));
            if let Some(selector) = id.selector() {
                identity_of(&selector, id);
            }
        }
        // The first four bytes are the domain of interpretation, which is not looked at.
        Payload::Notify(notify) => assert_eq!(notify.to_bytes()[4..], raw.body[4..]),
        Payload::Delete(delete) => {
            let spis: Vec<&[u8]> = delete.spis().collect();
            if !spis.is_empty() {
                assert_eq!(Delete::body(delete.protocol, &spis)[4..], raw.body[4..]);
            }
        }
        Payload::Attributes(_, _, attributes) => {
            let mut out = Vec::new();
            attributes
                .iter()
                .for_each(|attribute| attribute.write(&mut out));
            assert_eq!(out, raw.body[4..]);
        }
        Payload::KeyExchange(bytes)
        | Payload::Hash(bytes)
        | Payload::Signature(bytes)
        | Payload::Nonce(bytes)
        | Payload::Vendor(bytes)
        | Payload::NatDiscovery(bytes)
        | Payload::Unknown(_, bytes) => assert_eq!(*bytes, raw.body),
        Payload::Certificate(..)
        | Payload::CertificateRequest(..)
        | Payload::NatOriginal(_)
        | Payload::Fragment(..) => {}
    }
}

/// An identity that names addresses is the one that their selector makes.
fn identity_of(selector: &AddressSelector, id: &Identification) {
    let again = Identification::of_selector(selector, id.protocol, id.port);
    let both = (again.selector(), Some(*selector));
    if let (Some(again), Some(selector)) = both {
        assert!(again.same_as(&selector), "{again} and {selector}");
    } else {
        panic!("{selector} makes no identity of addresses");
    }
}

/// A checked SA body, written from what was read: the same proposals, transforms and attributes.
fn sa_body(sa: &SaBody<'_>) {
    let proposed: Vec<Proposed<'_>> = sa
        .proposals()
        .map(|proposal| {
            let transforms = proposal
                .transforms()
                .map(|transform| (transform.id, transform.attributes.iter().collect()))
                .collect();
            (proposal.number, proposal.protocol, proposal.spi, transforms)
        })
        .collect();
    let body = SaBody::write(&proposed);
    let again = SaBody::parse(&body).expect("a written body is readable");
    let (mut ours, mut theirs) = (again.proposals(), sa.proposals());
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return,
            (Some(a), Some(b)) => {
                assert_eq!((a.number, a.protocol, a.spi), (b.number, b.protocol, b.spi));
                let transforms = |p: &isakmp_core::wire::Proposal<'_>| {
                    p.transforms()
                        .map(|t| (t.id, t.attributes.iter().count()))
                        .collect::<Vec<_>>()
                };
                assert_eq!(transforms(&a), transforms(&b));
            }
            (a, b) => panic!("{a:?} and {b:?}"),
        }
    }
}

/// Whether a transform has an attribute for private use, of the classes from `first` on.
fn is_private(sa: &SaBody<'_>, first: u16) -> bool {
    sa.proposals()
        .flat_map(|proposal| proposal.transforms())
        .flat_map(|transform| transform.attributes.iter())
        .any(|attribute| attribute.class >= first)
}

/// An SA payload's body as an offer and as an answer. What a responder agrees to, the initiator
/// that wants the same accepts; but not what it returns for private use, which only an initiator of
/// another make has offered.
pub fn isakmp_sa(data: &[u8]) {
    let Ok(body) = SaBody::parse(data) else {
        return;
    };
    sa_body(&body);
    for cipher in [Cipher::Des, Cipher::Aes256] {
        let own = Phase1 {
            cipher,
            hash: Hash::Sha1,
            group: DhGroup::Modp1024,
            method: AuthMethod::PRE_SHARED,
            life: Lifetime {
                seconds: 86_400,
                kbytes: None,
            },
        };
        // Whatever the answer, it must not panic.
        let _ = own.confirm(&body);
        if let Ok((agreed, answer)) = own.choose(&body) {
            let answer = SaBody::parse(&answer).expect("our answer is readable");
            let wanted = if is_private(&answer, 16_384) {
                Err(None)
            } else {
                Ok(agreed)
            };
            assert_eq!(own.confirm(&answer), wanted);
        }
    }
    let specs = [
        spec(1, Protocol::Esp, Some(Cipher::Aes128)),
        spec(2, Protocol::Ah, None),
        spec(3, Protocol::Esp, Some(Cipher::Des)),
    ];
    for (string, pfs) in [
        ("1", None),
        ("1 AND 2", None),
        ("1 OR 3, 3 AND 2", Some(DhGroup::Modp1024)),
    ] {
        let bundle = BundleConfig {
            number: 1,
            key_management: KeyManagement::Isakmp,
            string: BundleString::parse(string).expect("a bundle string"),
            expiry_kbytes: Some(1000),
            expiry_seconds: Some(3600),
        };
        let own = Phase2 {
            bundle: &bundle,
            specs: &specs,
            pfs,
            nat: None,
        };
        let _ = own.confirm(&body);
        let Ok((agreement, answer)) = own.choose(&body) else {
            continue;
        };
        let spis: Vec<(Protocol, Spi)> = agreement
            .chosen
            .iter()
            .map(|chosen| (chosen.protocol, Spi(0x1234_5678)))
            .collect();
        // The answer carries the peer's proposal number, which need not be one that we would offer.
        let mut answer = answer.to_body(&spis);
        let parsed = SaBody::parse(&answer).expect("our answer is readable");
        let private = is_private(&parsed, 32_001);
        let confirmed = (1..=3).find_map(|number| {
            renumber(&mut answer, number);
            let answer = SaBody::parse(&answer).expect("our answer is readable");
            own.confirm(&answer).ok()
        });
        assert_eq!(confirmed.is_none(), private);
        let Some(confirmed) = confirmed else { continue };
        assert_eq!(confirmed.lifetime, agreement.lifetime);
        let specs = |a: &isakmp_core::negotiate::phase2::Agreement| {
            a.chosen.iter().map(|c| c.spec.number).collect::<Vec<_>>()
        };
        assert_eq!(specs(&confirmed), specs(&agreement));
    }
}

/// The attributes of a transform: read, written and read again they say the same, and so does what
/// is made of them in either phase.
pub fn isakmp_attributes(data: &[u8]) {
    let Ok(attributes) = Attributes::parse(data) else {
        return;
    };
    let all: Vec<Attribute<'_>> = attributes.iter().collect();
    let mut written = Vec::new();
    for attribute in &all {
        attribute.write(&mut written);
        let short = Attribute::number(attribute).and_then(|n| u16::try_from(n).ok());
        let again = short.map(|n| Attribute::short(attribute.class, n));
        assert_eq!(again.and_then(|again| again.number()), short.map(u64::from));
    }
    assert_eq!(written, data);
    // Phase 1, ESP with each cipher, AH with each hash.
    for (protocol, transform) in [(1, 1), (3, 2), (3, 3), (3, 11), (3, 12), (2, 2), (2, 3)] {
        let spi: &[u8] = if protocol == 1 { &[] } else { &[1, 2, 3, 4] };
        isakmp_sa(&SaBody::write(&[(
            1,
            protocol,
            spi,
            vec![(transform, all.clone())],
        )]));
    }
}

/// Gives every proposal of an SA payload's body that number.
fn renumber(body: &mut [u8], number: u8) {
    let mut at = 8;
    while let Some([_, _, high, low, own]) = body.get_mut(at..).and_then(|p| p.first_chunk_mut()) {
        *own = number;
        at += usize::from(u16::from_be_bytes([*high, *low])).max(1);
    }
}

const fn spec(number: u8, protocol: Protocol, encalg: Option<Cipher>) -> SaSpecConfig {
    SaSpecConfig {
        number,
        key_management: KeyManagement::Isakmp,
        protocol,
        mode: None,
        encalg,
        enckey: None,
        hashalg: Some(HashAlg::Sha),
        hashkey: None,
        inspi: None,
        outspi: None,
        anti_replay: None,
        window: None,
    }
}

/// A sequence of events at router A, most of them datagrams of its peer or of strangers.
pub fn isakmp_endpoint(data: &[u8]) {
    let mut input = Input::new(data);
    let mut attacked = Attacked {
        router: configured(&negotiating()[0]),
        now: Instant::from_secs(1),
        sent: None,
        received: Vec::new(),
    };
    while let Some(event) = input.byte() {
        if attacked.event(event, &mut input).is_none() {
            break;
        }
    }
    show(&mut attacked.router, attacked.now);
}

struct Attacked {
    router: Router<Engines>,
    now: Instant,
    /// The ISAKMP message that it sent last.
    sent: Option<Vec<u8>>,
    /// The one that it received last.
    received: Vec<u8>,
}

impl Attacked {
    fn event(&mut self, event: u8, input: &mut Input<'_>) -> Option<()> {
        match event % 8 {
            0 => self.datagram(B, input.chunk()?.to_vec()),
            1 => {
                let message = self.message(input)?;
                self.datagram(B, message);
            }
            2 => {
                let stranger = Ipv4Addr::new(3, 3, 3, input.byte()?);
                self.datagram(stranger, input.chunk()?.to_vec());
            }
            3 => {
                let sent = self.sent.clone()?;
                self.datagram(B, sent);
            }
            4 => {
                let received = self.received.clone();
                self.datagram(B, received);
            }
            5 => self.now += Duration::from_millis(500 * u64::from(input.byte()?)),
            6 => self.now += Duration::from_secs(3600 * u64::from(input.byte()?)),
            _ => {
                let ping = echo_request(HOST_A, HOST_B, 0, 1).expect("both ends are IPv4");
                self.router.forward(self.now, &ping);
            }
        }
        for output in settle(&mut self.router, self.now) {
            let Output::Wan(packet) = output else {
                continue;
            };
            let ip = Ipv4::parse(&packet).expect("what leaves is IPv4");
            match ip.protocol() {
                50 => {}
                17 => {
                    let udp = Udp::parse(ip.payload()).expect("what leaves is UDP");
                    assert_eq!(udp.source, 500, "only ISAKMP leaves in clear");
                    self.sent = Some(udp.payload.to_vec());
                }
                other => panic!("protocol {other} leaves in clear"),
            }
        }
        Some(())
    }

    fn datagram(&mut self, from: Ipv4Addr, message: Vec<u8>) {
        if let Some(packet) = udp(isakmp(from), isakmp(A), &message) {
            self.router.receive(self.now, &packet);
        }
        self.received = message;
    }

    /// A message under the cookies of the last one that was sent: exchange, flags, message id,
    /// first payload, then the rest.
    fn message(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let exchange = ExchangeType::from_number(input.byte()?);
        let flags = Flags(input.byte()?);
        let own = input.byte()?;
        let message_id = match &self.sent {
            // Mostly the exchange that is under way.
            Some(sent) if own == 0 => Header::parse(sent).ok()?.0.message_id,
            Some(_) | None => MessageId(u32::from(own)),
        };
        let next = PayloadType(input.byte()?);
        let body = input.chunk()?;
        let (mut initiator, mut responder) = (Cookie([1; 8]), Cookie::ZERO);
        if let Some((header, _)) = self.sent.as_ref().and_then(|sent| Header::parse(sent).ok()) {
            initiator = header.initiator;
            // To its first message somebody answers with a cookie of his own.
            responder = match header.responder {
                Cookie::ZERO => Cookie([2; 8]),
                known => known,
            };
        }
        let header = Header {
            initiator,
            responder,
            next,
            exchange,
            flags,
            message_id,
        };
        let mut message = header.to_bytes(HEADER + body.len()).to_vec();
        message.extend_from_slice(body);
        Some(message)
    }
}
