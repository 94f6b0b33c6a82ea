//! One side of the trace: an endpoint that gets the trace's randomness.

use core::cell::Cell;
use core::net::SocketAddr;

use hw_offload::testing::{ChosenPrf, WithPrf, hex};
use hw_offload::*;
use ipsec_core::model::*;
use ipsec_core::net::Net;
use ipsec_core::{Instant, Limits};
use isakmp_core::config::*;
use isakmp_core::keys::{Iv, Root, Skeyid};
use isakmp_core::wire::{Cookie, MessageId, PayloadType, Writer};
use isakmp_core::{Answer, Ask, Endpoint, Env, Path, Report};

pub(crate) const CKY_I: &str = "c7fb026ba87dc835";
pub(crate) const CKY_R: &str = "649adcdb744a7018";
pub(crate) const X: &str = "dee78c5e6d57a2b091e805d48b5cf4d7b62a6e5d";
pub(crate) const GX: &str = "fa431d749ddb3ebada8ef569f9da7960464a8ff7f59465ee024e0bb130c77f468ad275cbbc62314bd0184a5f0ad9f170894ab56f666510df2bb7946cf07167605fbaf4634ba8b6ebc7378c1e06c5e9ad5000ffefc8d27904fac1a9131b29b09e";
pub(crate) const GY: &str = "4bafa551598eb94183a7fdbe7deec732404b6330b0bfc9ee9ad4abb63bfd58f97d3c73320882e33984a4146fad9e29f3e0d17262567f7fe612dfea2b97662808a3ef3e868f0482e73ff550e96a39f33ebc9c4a929080529536aa569bb19a8f08";
pub(crate) const GXY: &str = "8c8a03e1564abad8868b40fc7d5bca62a6a79950405d296d9523d061bfd866da1a2ef286aac69939e6f1516fc5620ee2751420b88a64f86de0041875feb0ed62a0328a1e2fd7d90e01b42d0c3d315ece5d0167811b3d77dea899b8378edb2a01";
pub(crate) const NI: &str = "8e1eade9adda0c95289025ad0b322520f7c00a93";
pub(crate) const NR: &str = "16e83cf248d4c890bee7ef266cfb82788d83557a";
pub(crate) const MESSAGE_1: &str = "c7fb026ba87dc83500000000000000000110020000000000000000540000003800000001000000010000002c01010001000000240101000080010001800200028003000180040001800b0001000c000400015180";
pub(crate) const CIPHER_5: &str = "89a4578084159a6bff60f2459a287e47fc0d520813e9cd964b74c99062ce1049561c6bef9fce3800bd125052e72d3323fc109d7d16cfa784669ffaea015f71efdfa89a45d11814ec";
pub(crate) const CIPHER_6: &str = "e37f538da249b5710c50198951ec9d9108a4bd1392e539a561663874bbdabba9f4ae19b4cb3d5327a34e243170333992956a1bc133987999b078b54834da1d0d";
pub(crate) const QUICK_NI: &str = "099f36cc5dfa4c00c3c97a5f00ad334f7eae9c07";
pub(crate) const QUICK_NR: &str = "a095527f8c5274284d602fbc4f865fc1ae4490ea";

/// Gives prepared bytes, each request its own.
pub(crate) struct Told(pub(crate) Vec<Vec<u8>>);

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
pub(crate) const COOKIE_SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// The real computations, except that the responder's cookie is the trace's.
#[derive(Default)]
pub(crate) struct FixedCookie {
    /// How many prf were computed.
    pub(crate) computed: Cell<usize>,
}

impl ChosenPrf for FixedCookie {
    fn prf(&self, key: &[u8], _: &[&[u8]]) -> Option<Digest> {
        self.computed.set(self.computed.get() + 1);
        let cookie = || Digest::new(&hex(&format!("{CKY_R}{}", "00".repeat(12))));
        (key == hex(COOKIE_SECRET)).then(cookie).flatten()
    }
}

pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) told: Told,
    pub(crate) primitives: WithPrf<FixedCookie>,
    pub(crate) config: IsakmpConfig,
    pub(crate) ipsec: IpsecConfig,
    pub(crate) net: Net,
    pub(crate) keys: KeyRing,
    pub(crate) path: Path,
}

impl Side {
    /// A side whose identity is a name, which addresses cannot express, takes it from its policy.
    pub(crate) fn new(
        mode: Phase1Mode,
        local: &str,
        peer: &str,
        lan: (&str, &str),
        told: &[&str],
    ) -> Self {
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
            mode: Some(mode),
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
            primitives: WithPrf::default(),
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

    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut Endpoint, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: Instant::from_secs(1),
            entropy: &mut self.told,
            primitives: &self.primitives,
            config: &self.config,
            ipsec: &self.ipsec,
            net: &self.net,
            keys: &self.keys,
        };
        call(&mut self.endpoint, &mut env)
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let path = self.path;
        self.call(|endpoint, env| endpoint.datagram(env, path, bytes));
    }

    pub(crate) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.call(|endpoint, env| endpoint.answer(env, ticket, answer));
    }

    /// What is to be sent and asked; reports of trouble end the test.
    pub(crate) fn actions(&mut self) -> (Vec<Vec<u8>>, Vec<(Ticket, Ask)>) {
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

    pub(crate) fn sent(&mut self) -> Vec<u8> {
        let (sent, asked) = self.actions();
        assert_eq!((sent.len(), asked.len()), (1, 0));
        sent.into_iter().next().unwrap()
    }

    /// How often the peer is taken for restarted because of a message.
    pub(crate) fn hears_of_restarts(&mut self, message: &[u8]) -> usize {
        self.receive(message);
        let mut restarts = 0;
        while let Some(action) = self.endpoint.next_action() {
            restarts += usize::from(matches!(action, isakmp_core::Action::PeerRestarted(_)));
        }
        restarts
    }

    pub(crate) fn asked(&mut self) -> Vec<(Ticket, Ask)> {
        let (sent, asked) = self.actions();
        assert!(sent.is_empty());
        asked
    }
}

pub(crate) fn header(exchange: u8, next: u8, flags: u8, id: &str, body: &str) -> Vec<u8> {
    let length = 28 + body.len() / 2;
    hex(&format!(
        "{CKY_I}{CKY_R}{next:02x}10{exchange:02x}{flags:02x}{id}{length:08x}{body}"
    ))
}

/// A KE payload and a NONCE payload behind a header.
pub(crate) fn key_message(public: &str, nonce: &str) -> Vec<u8> {
    header(
        2,
        4,
        0,
        "00000000",
        &format!("0a000064{public}00000018{nonce}"),
    )
}

/// SKEYID and its children, the key and the first IV.
pub(crate) fn phase_1_keys() -> (Skeyid, Secret, Iv) {
    let cookie = |text| Cookie(hex(text).try_into().unwrap());
    let (ni, nr) = (hex(NI), hex(NR));
    let psk = hex("686f6765686f6765");
    let root = Root::pre_shared(&SoftPrimitives, Hash::Sha1, &psk, (&ni, &nr));
    let cookies = (cookie(CKY_I), cookie(CKY_R));
    let skeyid = root.expand(&SoftPrimitives, &hex(GXY), cookies);
    let key = skeyid.cipher_key(&SoftPrimitives, Cipher::Des);
    let publics = (&hex(GX)[..], &hex(GY)[..]);
    let iv = Iv::phase1(&SoftPrimitives, Hash::Sha1, Cipher::Des, publics);
    (skeyid, key, iv)
}

/// An authentic informational message with one payload, behind phase 1 that ended with this IV.
pub(crate) fn informational(iv: &Iv, id: u32, kind: PayloadType, body: &[u8]) -> Vec<u8> {
    let (skeyid, key, _) = phase_1_keys();
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
    header(5, 8, 1, &format!("{id:08x}"), &text(&sealed))
}

/// Bytes in hexadecimal.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
