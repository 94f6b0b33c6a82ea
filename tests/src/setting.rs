//! Two routers by what they are to negotiate, rather than by their commands.

use hw_offload::testing::hex;
use hw_offload::{Engines, Hash, Primitives, SoftEngines, SoftPrimitives};
use isakmp_core::wire::{HEADER, PayloadType, Payloads, Writer};
use isakmp_core::xauth::{XauthAnswer, XauthProof, XauthStep};
use lab::nat::{Kind, NatBox};
use lab::{Buf, Pair, Side, is_udp, udp};

use crate::witness::isakmp_message;

/// The mode of phase 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Main mode.
    Main,
    /// Aggressive mode.
    Aggressive,
}

/// How the two prove who they are. Where there is a user, A is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A pre-shared key.
    Psk,
    /// RSA signatures.
    Rsa,
    /// A pre-shared key and a password.
    Xauth,
    /// A pre-shared key and a digest that a RADIUS server judges, with one question in between.
    Chap,
    /// B by its signature, A by its password.
    Hybrid,
}

/// What two routers negotiate, and what stands between them.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The mode.
    pub mode: Mode,
    /// The proof.
    pub auth: Auth,
    /// A box in front of A and of B; behind that of B the ports of ISAKMP are forwarded.
    pub nat: [Option<Kind>; 2],
    /// More of the ISAKMP policies of both.
    pub isakmp: String,
    /// More of the bundles of both.
    pub bundle: String,
    /// More of the IPsec policies of both.
    pub ipsec: String,
    /// Who sets the commit bit.
    pub commit: [bool; 2],
    /// Whether the bundle is ESP and AH, or ESP alone.
    pub ah: bool,
}

/// Keys of 1024 bits, made for these tests.
const KEYS: [[&str; 2]; 2] = [
    [
        include_str!("../keys/a.pem"),
        include_str!("../keys/b.pub.pem"),
    ],
    [
        include_str!("../keys/b.pem"),
        include_str!("../keys/a.pub.pem"),
    ],
];
const OUTSIDE: [&str; 2] = ["1.1.1.1", "2.2.2.2"];
const INSIDE: [&str; 2] = ["10.0.0.2", "10.0.1.2"];
const LANS: [&str; 2] = ["192.168.10", "192.168.20"];

impl Setting {
    /// Nothing special.
    #[must_use]
    pub const fn new(mode: Mode, auth: Auth) -> Self {
        Self {
            mode,
            auth,
            nat: [None; 2],
            isakmp: String::new(),
            bundle: String::new(),
            ipsec: String::new(),
            commit: [false; 2],
            ah: false,
        }
    }

    /// The commands of a side.
    #[must_use]
    pub fn config(&self, side: Side) -> String {
        let (own, other) = (side as usize, side.other() as usize);
        let wan = if self.nat[own].is_some() {
            INSIDE[own]
        } else {
            OUTSIDE[own]
        };
        let names = if self.nat == [None; 2] {
            String::new()
        } else {
            format!("LOCALID=router{own} REMOTEID=router{other}")
        };
        let mode = match self.mode {
            Mode::Main => "MAIN",
            Mode::Aggressive => "AGGRESSIVE",
        };
        let (auth, peer, lan, far) = (self.proof(side), OUTSIDE[other], LANS[own], LANS[other]);
        let traversal = if self.nat == [None; 2] {
            ""
        } else {
            "NATTRAVERSAL=TRUE"
        };
        let commit = if self.commit[own] {
            "SETCOMMITBIT=TRUE"
        } else {
            ""
        };
        let string = if self.ah { "1 AND 2" } else { "1" };
        let Self {
            isakmp,
            bundle,
            ipsec,
            ..
        } = self;
        let lines = [
            "ENABLE IP".into(),
            format!("ADD IP INT=ppp0 IP={wan} MASK=255.255.255.255"),
            format!("ADD IP INT=vlan1 IP={lan}.1 MASK=255.255.255.0"),
            "ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0".into(),
            "ADD USER=joger PASSWORD=hogehoge LOGIN=NO".into(),
            "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=\"jogefoge\"".into(),
            "CREATE ENCO KEY=2 TYPE=RSA FILE=own.key".into(),
            "CREATE ENCO KEY=3 TYPE=RSA FILE=peer.key".into(),
            format!(
                "CREATE ISAKMP POLICY=i PEER={peer} MODE={mode} {auth} SENDN=TRUE {names} \
                 {traversal} {commit} {isakmp}"
            ),
            "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA ANTIREPLAY=TRUE"
                .into(),
            "CREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA ANTIREPLAY=TRUE".into(),
            format!("CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING=\"{string}\" {bundle}"),
            "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 TRANSPORT=UDP".into(),
            "CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP".into(),
            format!(
                "CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER={peer}"
            ),
            format!(
                "SET IPSEC POLICY=vpn LAD={lan}.0 LMA=255.255.255.0 RAD={far}.0 RMA=255.255.255.0 {ipsec}"
            ),
            "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT".into(),
            "ENABLE IPSEC".into(),
            "ENABLE ISAKMP\n".into(),
        ];
        lines.join("\n")
    }

    fn proof(&self, side: Side) -> &'static str {
        match (self.auth, side) {
            (Auth::Psk, _) => "KEY=1",
            (Auth::Rsa, _) => "AUTHTYPE=RSASIG LOCALRSAKEY=2 KEY=3",
            (Auth::Xauth | Auth::Chap, Side::A) => {
                "KEY=1 XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge"
            }
            (Auth::Xauth, Side::B) => "KEY=1 XAUTH=SERVER",
            (Auth::Chap, Side::B) => "KEY=1 XAUTH=SERVER XAUTHTYPE=RADIUS",
            (Auth::Hybrid, Side::A) => {
                "AUTHTYPE=RSASIG KEY=3 HYBRIDXAUTH=ON XAUTH=CLIENT XAUTHNAME=joger \
                 XAUTHPASSWORD=hogehoge"
            }
            (Auth::Hybrid, Side::B) => "AUTHTYPE=RSASIG LOCALRSAKEY=2 HYBRIDXAUTH=ON XAUTH=SERVER",
        }
    }

    /// The two routers.
    ///
    /// # Panics
    /// When a line of a configuration is not simply executed.
    pub fn pair<E: Engines<Buf = Buf>>(
        &self,
        engines: impl FnMut(Side) -> E,
        seed: u64,
    ) -> Pair<E> {
        let mut pair = Pair::new(engines, seed);
        self.settle(&mut pair);
        pair
    }

    /// Gives new routers their files and configurations, and puts the boxes up.
    ///
    /// # Panics
    /// When a line of a configuration is not simply executed.
    pub fn settle<E: Engines<Buf = Buf>>(&self, pair: &mut Pair<E>) {
        for side in [Side::A, Side::B] {
            let now = pair.local(side);
            let router = pair.router(side);
            let [own, other] = KEYS[side as usize];
            router.host.files.insert("own.key".into(), own.into());
            router.host.files.insert("peer.key".into(), other.into());
            let findings = router.run_script(now, &self.config(side));
            assert!(findings.is_empty(), "{side}: {findings:?}");
        }
        pair.nat = [0, 1].map(|place| {
            let address = |text: &str| text.parse().expect("an address");
            let mut nat = NatBox::new(address(OUTSIDE[place]), self.nat[place]?, true);
            if place == 1 {
                nat.forward(500, address(INSIDE[place]));
                nat.forward(4500, address(INSIDE[place]));
            }
            Some(nat)
        });
        if self.auth == Auth::Chap {
            pair.oracle = Some(Box::new(|_, step| Some(radius(&step))));
        }
        pair.connect();
    }

    /// A side loses all that it learnt.
    ///
    /// # Panics
    /// When a line of its configuration is not simply executed.
    pub fn restart(&self, pair: &mut Pair, side: Side) {
        let engines = SoftEngines::new(256, 64, 64);
        let findings = pair.restart(side, engines, &self.config(side));
        assert!(findings.is_empty(), "{side}: {findings:?}");
        pair.turn(side);
    }
}

/// Asks once for a number, then judges the digest.
fn radius(step: &XauthStep) -> XauthAnswer {
    let XauthProof::Chap {
        id,
        digest,
        challenge,
    } = &step.proof
    else {
        return XauthAnswer::Reject;
    };
    let known = SoftPrimitives.hash(Hash::Md5, &[&[*id], b"hogehoge", challenge]);
    if step.user != b"joger" || known.as_bytes() != digest {
        XauthAnswer::Reject
    } else if step.state.is_none() {
        XauthAnswer::Challenge {
            message: b"the number on your card".to_vec(),
            state: hex("0102"),
        }
    } else {
        XauthAnswer::Accept
    }
}

/// A packet without the vendor IDs of an opening ISAKMP message that are not among those left, as
/// a device would send it that does not know them.
///
/// # Panics
/// When the message is not whole.
#[must_use]
pub fn with_vendor_ids(packet: &[u8], left: &[&str]) -> Vec<u8> {
    let opening = isakmp_message(packet)
        .filter(|(header, _)| !header.flags.encrypted() && header.next == PayloadType::SA);
    let (Some((header, message)), Some((from, to, _))) = (opening, is_udp(packet)) else {
        return packet.to_vec();
    };
    let payloads = Payloads::parse(header.next, &message[HEADER..]).expect("ours are whole");
    let mut writer = Writer::new();
    for raw in payloads.all() {
        if raw.kind != PayloadType::VID || left.iter().any(|id| raw.body == hex(id)) {
            writer.push(raw.kind, raw.body);
        }
    }
    udp(from, to, &writer.message(header)).expect("it was longer before")
}
