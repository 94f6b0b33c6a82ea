//! The manual's trace of a real device: whole messages come out of the state machines, byte for
//! byte, when what was random there is given here.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use core::net::SocketAddr;

use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::net::Net;
use ipsec_core::{
    BundleId, Id, Instant, Limits, PolicyId, RemoveWhy, RemovedBundle, Reserved, SaKeys,
};
use isakmp_core::config::*;
use isakmp_core::keys::{Iv, Root, Skeyid};
use isakmp_core::wire::{Cookie, MessageId, Notify, PayloadType, Writer};
use isakmp_core::{Acquire, Answer, Ask, Endpoint, Env, Path, Report};

const CKY_I: &str = "c7fb026ba87dc835";
const CKY_R: &str = "649adcdb744a7018";
const X: &str = "dee78c5e6d57a2b091e805d48b5cf4d7b62a6e5d";
const GX: &str = "fa431d749ddb3ebada8ef569f9da7960464a8ff7f59465ee024e0bb130c77f468ad275cbbc62314bd0184a5f0ad9f170894ab56f666510df2bb7946cf07167605fbaf4634ba8b6ebc7378c1e06c5e9ad5000ffefc8d27904fac1a9131b29b09e";
const GY: &str = "4bafa551598eb94183a7fdbe7deec732404b6330b0bfc9ee9ad4abb63bfd58f97d3c73320882e33984a4146fad9e29f3e0d17262567f7fe612dfea2b97662808a3ef3e868f0482e73ff550e96a39f33ebc9c4a929080529536aa569bb19a8f08";
const GXY: &str = "8c8a03e1564abad8868b40fc7d5bca62a6a79950405d296d9523d061bfd866da1a2ef286aac69939e6f1516fc5620ee2751420b88a64f86de0041875feb0ed62a0328a1e2fd7d90e01b42d0c3d315ece5d0167811b3d77dea899b8378edb2a01";
const NI: &str = "8e1eade9adda0c95289025ad0b322520f7c00a93";
const NR: &str = "16e83cf248d4c890bee7ef266cfb82788d83557a";
const MESSAGE_1: &str = "c7fb026ba87dc83500000000000000000110020000000000000000540000003800000001000000010000002c01010001000000240101000080010001800200028003000180040001800b0001000c000400015180";
const CIPHER_5: &str = "89a4578084159a6bff60f2459a287e47fc0d520813e9cd964b74c99062ce1049561c6bef9fce3800bd125052e72d3323fc109d7d16cfa784669ffaea015f71efdfa89a45d11814ec";
const CIPHER_6: &str = "e37f538da249b5710c50198951ec9d9108a4bd1392e539a561663874bbdabba9f4ae19b4cb3d5327a34e243170333992956a1bc133987999b078b54834da1d0d";
const QUICK_NI: &str = "099f36cc5dfa4c00c3c97a5f00ad334f7eae9c07";
const QUICK_NR: &str = "a095527f8c5274284d602fbc4f865fc1ae4490ea";
const CIPHER_Q1: &str = "2d87232ebb939dc307fcb6b4f29b0b76ac2d37217d8829e50d8b095ff4cd7108b9de43839cff459eadd4c12b5bb67f7ccf4af5f324c8e81ffd1066b4172dbb4df0c6e02e4a4d118ae66eb7765af0134d458f4bbbfe2c9b8744f0f488c28e7d61d38d665bd091814b8b79377ecb76da69cb2866f30e616b90";
const CIPHER_Q3: &str = "5b4fb036ecacdebd520bd0d65fa6072bab6d0ff677eb6fe6";

/// Gives prepared bytes, each request its own.
struct Told(Vec<Vec<u8>>);

impl Entropy for Told {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        if out.len() == 1 {
            out[0] = 0;
            return Ok(());
        }
        assert!(
            !self.0.is_empty(),
            "nothing prepared for {} bytes",
            out.len()
        );
        let bytes = self.0.remove(0);
        assert_eq!(bytes.len(), out.len());
        out.copy_from_slice(&bytes);
        Ok(())
    }
}

/// The secret from which the responder makes cookies.
const COOKIE_SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// The real computations, except that the responder's cookie is the trace's.
struct FixedCookie;

impl Primitives for FixedCookie {
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Digest {
        SoftPrimitives.hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
        if key == hex(COOKIE_SECRET) {
            return Digest::new(&hex(&format!("{CKY_R}{}", "00".repeat(12)))).unwrap();
        }
        SoftPrimitives.hmac(hash, key, parts)
    }

    fn cbc_encrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        SoftPrimitives.cbc_encrypt(cipher, key, iv, data)
    }

    fn cbc_decrypt(
        &self,
        cipher: Cipher,
        key: &[u8],
        iv: &[u8],
        data: &mut [u8],
    ) -> Result<(), CbcFault> {
        SoftPrimitives.cbc_decrypt(cipher, key, iv, data)
    }
}

struct Side {
    endpoint: Endpoint,
    told: Told,
    config: IsakmpConfig,
    ipsec: IpsecConfig,
    net: Net,
    keys: KeyRing,
    path: Path,
}

impl Side {
    /// A side whose identity is a name, which addresses cannot express, takes it from its policy.
    fn new(local: &str, peer: &str, lan: (&str, &str), told: &[&str]) -> Self {
        let mut keys = KeyRing::new(4);
        let value = Secret::new(hex("686f6765686f6765"));
        let kind = KeyKind::General;
        let key = KeyRecord {
            kind,
            value,
            description: None,
            address: None,
        };
        keys.create(KeyNumber(1), key).unwrap();
        let peer_address = PeerAddress::Address(peer.parse().unwrap());
        let policy = IsakmpPolicyConfig {
            key: Some(1),
            send_notify: Some(true),
            send_deletes: Some(true),
            local_id: (local == "63.12.66.122").then(|| Name::new("client")),
            remote_id: (peer == "63.12.66.122").then(|| Name::new("client")),
            ..IsakmpPolicyConfig::new(Name::new("i"), peer_address.clone())
        };
        policy.check(&IsakmpConfig::default(), &keys).unwrap();
        let net = |text: &str| AddressSelector::Prefix(text.parse().unwrap(), 24);
        let ipsec = IpsecConfig {
            enabled: true,
            sa_specs: vec![SaSpecConfig {
                number: 1,
                key_management: KeyManagement::Isakmp,
                protocol: Protocol::Esp,
                mode: None,
                encalg: Some(Cipher::Des),
                enckey: None,
                hashalg: Some(HashAlg::Sha),
                hashkey: None,
                inspi: None,
                outspi: None,
                anti_replay: None,
                window: None,
            }],
            bundles: vec![BundleConfig {
                number: 1,
                key_management: KeyManagement::Isakmp,
                string: BundleString::parse("1").unwrap(),
                expiry_kbytes: None,
                expiry_seconds: None,
            }],
            policies: vec![PolicyConfig {
                key_management: Some(KeyManagement::Isakmp),
                bundle: Some(1),
                peer: Some(peer_address),
                laddress: Some(net(lan.0)),
                raddress: Some(net(lan.1)),
                ..PolicyConfig::new(Name::new("vpn"), InterfaceName::new("ppp0"), Action::Ipsec)
            }],
            ..IpsecConfig::default()
        };
        let mut side = Self {
            endpoint: Endpoint::new(&Limits::default()),
            told: Told(told.iter().map(|text| hex(text)).collect()),
            config: IsakmpConfig {
                enabled: true,
                policies: vec![policy],
                ..Default::default()
            },
            ipsec,
            net: Net::default(),
            keys,
            path: Path {
                local: SocketAddr::new(local.parse().unwrap(), 500),
                peer: SocketAddr::new(peer.parse().unwrap(), 500),
            },
        };
        side.call(Endpoint::configured);
        side
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Endpoint, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: Instant::from_secs(1),
            entropy: &mut self.told,
            primitives: &FixedCookie,
            config: &self.config,
            ipsec: &self.ipsec,
            net: &self.net,
            keys: &self.keys,
        };
        call(&mut self.endpoint, &mut env)
    }

    fn receive(&mut self, bytes: &[u8]) {
        let path = self.path;
        self.call(|endpoint, env| endpoint.datagram(env, path, bytes));
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.call(|endpoint, env| endpoint.answer(env, ticket, answer));
    }

    /// What is to be sent and asked; reports of trouble end the test.
    fn actions(&mut self) -> (Vec<Vec<u8>>, Vec<(Ticket, Ask)>) {
        let (mut sent, mut asked) = (Vec::new(), Vec::new());
        while let Some(action) = self.endpoint.next_action() {
            match action {
                isakmp_core::Action::Send { bytes, .. } => sent.push(bytes),
                isakmp_core::Action::Ask { ticket, ask } => asked.push((ticket, ask)),
                isakmp_core::Action::Report(
                    report @ (Report::Failed { .. } | Report::Suspicious { .. }),
                ) => panic!("{report:?}"),
                _ => {}
            }
        }
        (sent, asked)
    }

    fn sent(&mut self) -> Vec<u8> {
        let (sent, asked) = self.actions();
        assert_eq!((sent.len(), asked.len()), (1, 0));
        sent.into_iter().next().unwrap()
    }

    fn asked(&mut self) -> Vec<(Ticket, Ask)> {
        let (sent, asked) = self.actions();
        assert!(sent.is_empty());
        asked
    }
}

fn header(exchange: u8, next: u8, flags: u8, id: &str, body: &str) -> Vec<u8> {
    let length = 28 + body.len() / 2;
    hex(&format!(
        "{CKY_I}{CKY_R}{next:02x}10{exchange:02x}{flags:02x}{id}{length:08x}{body}"
    ))
}

/// A KE payload and a NONCE payload behind a header.
fn key_message(public: &str, nonce: &str) -> Vec<u8> {
    header(
        2,
        4,
        0,
        "00000000",
        &format!("0a000064{public}00000018{nonce}"),
    )
}

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
        "63.12.66.122",
        "61.115.117.39",
        ("192.168.20.0", "192.168.1.0"),
        &told,
    );
    let acquire = Acquire {
        policy: Name::new("vpn"),
        peer: side.path.peer.ip(),
        local: side.path.local.ip(),
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
    let cookie = |text| Cookie(hex(text).try_into().unwrap());
    let (ni, nr) = (hex(NI), hex(NR));
    let psk = hex("686f6765686f6765");
    let root = Root::pre_shared(&SoftPrimitives, Hash::Sha1, &psk, (&ni, &nr));
    let cookies = (cookie(CKY_I), cookie(CKY_R));
    let skeyid = root.expand(&SoftPrimitives, &hex(GXY), cookies);
    let key = skeyid.cipher_key(&SoftPrimitives, Cipher::Des);
    let publics = (&hex(GX)[..], &hex(GY)[..]);
    let iv = Iv::phase1(&SoftPrimitives, Hash::Sha1, Cipher::Des, publics);
    let (_, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &hex(CIPHER_5))
        .unwrap();
    let (_, iv) = iv
        .open(&SoftPrimitives, Cipher::Des, &key, &hex(CIPHER_6))
        .unwrap();
    (skeyid, key, iv)
}

/// An authentic informational message with one payload.
fn informational(id: u32, kind: PayloadType, body: &[u8]) -> Vec<u8> {
    let (skeyid, key, iv) = session();
    let mut covered = Writer::new();
    covered.push(kind, body);
    let parts = [&id.to_be_bytes()[..], covered.bytes()];
    let hash = skeyid.authenticate(&SoftPrimitives, &parts);
    let mut writer = Writer::new();
    writer
        .push(PayloadType::HASH, hash.as_bytes())
        .push(kind, body);
    let mut iv = iv.later(&SoftPrimitives, Hash::Sha1, Cipher::Des, MessageId(id));
    let sealed = iv.seal(&SoftPrimitives, Cipher::Des, &key, writer.bytes());
    let text: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    header(5, 8, 1, &format!("{id:08x}"), &text)
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
    let restarted = |b: &mut Side, message: &[u8]| {
        b.receive(message);
        let mut restarted = 0;
        while let Some(action) = b.endpoint.next_action() {
            restarted += usize::from(matches!(action, isakmp_core::Action::PeerRestarted(_)));
        }
        restarted
    };
    let message = informational(0x11, PayloadType::N, &body);
    let mut forged = message.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(restarted(&mut b, &forged), 0);
    assert_eq!(restarted(&mut b, &message), 1);
    assert_eq!(restarted(&mut b, &message), 0);
    let again = informational(0x12, PayloadType::N, &body);
    assert_eq!(restarted(&mut b, &again), 0);
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
