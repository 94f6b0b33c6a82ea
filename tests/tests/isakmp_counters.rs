//! The counters of ISAKMP: their screens, RESET, and that each counts what its name says.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hw_offload::testing::{NoEntropy, insecure_engines};
use hw_offload::{Engines, SoftEngines};
use ipsec_core::model::InterfaceName;
use ipsec_core::{Instant, Limits};
use isakmp_core::counters::{Counters, Happened, NEVER};
use isakmp_core::wire::{ExchangeType, HEADER, Header, Payloads};
use lab::nat::{Kind, NatBox};
use lab::{Buf, Pair, Side, is_udp, udp};
use sekisho_tests::screens::assert_screen;
use sekisho_tests::{HOST_A, HOST_B, basic, both, command, one, pair, pair_with, ping_both};

const POLICY: &str = "CREATE ISAKMP POLICY=i";
const ESP: &str = "PROT=ESP ENCALG=DES HASHALG=SHA";
const MINUTE: Instant = Instant::from_secs(60);
const A: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(2, 2, 2, 2);

fn with(a: &str, b: &str) -> [String; 2] {
    let configs = one(&basic(), 0, POLICY, &format!("{POLICY} {a}"));
    one(&configs, 1, POLICY, &format!("{POLICY} {b}"))
}

/// The manual's screen, before anything has happened.
#[test]
fn show_isakmp_counters_general() {
    let mut pair = pair(&basic(), 5);
    let screen = command(&mut pair, Side::A, "SHOW ISAKMP COUNTERS=GENERAL");
    assert_screen(
        &screen,
        "
ISAKMP General Counters

  acquire                          0
  acquireNoPolicy                  0    acquireNoSa                      0
  acquireEquivFound                0    acqPh2EquivInProgress            0
  acqPh1XchgStartFailed            0    acqPh2XchgStartFailed            0
  acquireQueued                    0    acqPeerAddrNameIncons            0
  acquirePrenegNoPolicy            0
  badSpiRequests                   0    badSpiFromKnownPeer              0
  badSpiInAggrMode                 0    badSpiSendNotifyUnset            0
  msgInitPh1p5StartFail            0
  doneGood                         0    donePhase1Failed                 0
  doneSendConNoSa                  0
  msgTx                            0    msgTxd                           0
  txEncryptNoExchange              0    msgTxEncryptNoEncoPrc            0
  msgTxStartEncrypt                0
  txEncryptFail                    0    txEncryptGood                    0
  msgTxEncryptExpKBytes            0
  txRetryTxd                       0    txRetryXchgTimedOut              0
  retryIkeAttemptsPh1              0    retryIkeAttemptsPh2              0
  msgRxd                           0
  msgRxInconsistLengths            0    msgRxBadLength                   0
  msgRxBadReserved                 0    msgRxBadVersion                  0
  msgRxBadNextPayload              0    msgRxUnexpectedMsg               0
  msgRxNoExchange                  0    msgRxNoExchangePhase1            0
  msgRxP1NoXcgNot1stMsg            0    msgRxPh1UnkwnXchgType            0
  msgRxPh1XchgStartFail            0    msgRxPh1MsgIdNotZero             0
  msgRxP15XchgStartFail            0
  msgRxPhase2NoSa                  0    msgRxNoExchangePhase2            0
  msgRxPh2XchgStartFail            0    msgRxPh2UnkwnXchgType            0
  msgRxEncrypted                   0    msgRxEncryptdUnexpect            0
  msgRxBadPad                      0    msgRxBadPadLength                0
  msgRxPayBadNextPay               0    msgRxPayBadReserved              0
  msgRxDecryptNoEncoPrc            0    msgRxStartDecrypt                0
  msgRxPlain                       0    msgRxPlainUnexpected             0
  msgRxBadPortIpChange             0    msgRxFailOldPort                 0
  msgRxPayBadLength                0
  rxDecryptNoExchange              0    rxDecryptedBadLength             0
  rxDecryptGood                    0    rxDecryptFail                    0
  rxDecryptedBadPad                0    rxDecryptBadPadLength            0
  rxDecrptPayBadNextPay            0    rxDecryptPayBadRsvd              0
  rxDecryptPayBadLength            0
  infoNoMatchingPolicy             0    infoPh1NotifyDisabled            0
  infoPh1NoDelAllowed              0    infoPh1ExchgStartFail            0
  infoPh2SANotFound                0    infoPh2SANotActive               0
  infoPh2NotifyDisabled            0    infoPh2DeleteDisabled            0
  infoPh2XchgStartFail             0
  deleteDelayStarted               0    deleteDelayNotUsed               0
  deleteDelayPktsRxd               0    deleteDelayRetrySent             0
  deleteDelayConSent               0    deleteDelayConNoSA               0
  deleteDelayTxExceeded            0    deleteDelayPktDiff               0
",
    );
}

/// Every category has its screen, and without one all are printed in order.
#[test]
fn show_isakmp_counters_by_category() {
    let mut pair = pair(&basic(), 5);
    let all = command(&mut pair, Side::A, "SHOW ISAKMP COUNTERS");
    let mut parts = Vec::new();
    for block in Happened::BLOCKS {
        let line = format!("SHOW ISAKMP COUNTERS={}", block.category);
        let screen = command(&mut pair, Side::A, &line);
        assert!(screen.trim_start().starts_with(block.title), "{screen}");
        let names: Vec<&str> = block.cells().map(|(_, cell)| cell.name).collect();
        let shown = screen
            .split_whitespace()
            .filter(|word| names.contains(word));
        assert_eq!(shown.count(), block.cells().count(), "{screen}");
        parts.push(screen);
    }
    assert_eq!(parts.len(), 13);
    assert_eq!(all, parts.concat());
}

#[test]
fn reset_isakmp_counter() {
    let mut pair = pair(&basic(), 5);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(MINUTE));
    let counters = pair.a.device.endpoint().counters();
    assert_eq!(counters.get(Happened::MainCompleted), 1);
    assert_eq!(counters.get(Happened::QuickCompleted), 1);
    assert_eq!(counters.get(Happened::DoneGood), 2);
    command(&mut pair, Side::A, "RESET ISAKMP COUNTER=MAIN");
    let counters = pair.a.device.endpoint().counters();
    assert_eq!(counters.get(Happened::MainCompleted), 0);
    assert_eq!(counters.get(Happened::DoneGood), 2);
    // Every category that is shown can be reset, one by one.
    for block in Happened::BLOCKS {
        let line = format!("RESET ISAKMP COUNTERS={}", block.category);
        command(&mut pair, Side::A, &line);
    }
    let counters = pair.a.device.endpoint().counters();
    assert_eq!(counters, &Counters::default());
    command(&mut pair, Side::B, "RESET ISAKMP COUNTER");
    let counters = pair.b.device.endpoint().counters();
    assert_eq!(counters, &Counters::default());
}

/// What a plain tunnel counts on both sides.
#[test]
fn a_tunnel_comes_up() {
    let mut pair = pair(&basic(), 5);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(MINUTE));
    for (side, known) in [
        (Side::A, [1, 1, 0, 5, 5, 4, 4, 2, 2, 1]),
        (Side::B, [0, 0, 1, 4, 4, 5, 5, 2, 1, 1]),
    ] {
        let counters = pair.router(side).device.endpoint().counters();
        let got = [
            Happened::Acquire,
            Happened::MainInitStarted,
            Happened::MainRespStarted,
            Happened::MsgTx,
            Happened::MsgTxd,
            Happened::MsgRxd,
            Happened::NetworkRx,
            Happened::DoneGood,
            Happened::QuickMsgTx,
            Happened::SadAdd,
        ];
        assert_eq!(got.map(|happened| counters.get(happened)), known, "{side}");
    }
}

/// What was counted in many stories together.
#[derive(Default)]
struct Seen(BTreeSet<usize>);

impl Seen {
    fn add<E: Engines<Buf = Buf>>(&mut self, pair: &mut Pair<E>) {
        for side in [Side::A, Side::B] {
            let counters = pair.router(side).device.endpoint().counters();
            let raised = Happened::ALL
                .iter()
                .filter(|happened| counters.get(**happened) > 0);
            self.0.extend(raised.map(|happened| *happened as usize));
        }
    }
}

/// A tunnel that comes up, and some time after it.
fn tunnel(configs: &[String; 2], until: u64) -> Pair {
    let mut pair = pair(configs, 5);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.ping(HOST_B, HOST_A, Instant::from_secs(2));
    pair.run_to(Instant::from_secs(until));
    pair
}

/// An ISAKMP message: cookies, first payload, exchange, flags, message id and what follows.
fn message(cookies: [u8; 2], next: u8, exchange: u8, flags: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = [[cookies[0]; 8], [cookies[1]; 8]].concat();
    bytes.extend([next, 0x10, exchange, flags]);
    bytes.extend(id.to_be_bytes());
    let length = u32::try_from(28 + body.len()).expect("short");
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn send(pair: &mut Pair, from: Ipv4Addr, bytes: &[u8]) {
    let ends = [from, A].map(|ip| SocketAddr::new(IpAddr::V4(ip), 500));
    let packet = udp(ends[0], ends[1], bytes).expect("it fits");
    let now = pair.now;
    pair.a.receive(now, &packet);
    pair.turn(Side::A);
}

/// Messages that are no messages, or come at no time.
fn nonsense() -> Pair {
    let mut pair = tunnel(&basic(), 10);
    let mut old = message([1, 0], 1, 2, 0, 0, &[0; 8]);
    old[17] = 0x20;
    let mut short = message([1, 0], 1, 2, 0, 0, &[0; 8]);
    short.truncate(30);
    let many: Vec<u8> = [1, 0, 0, 4].repeat(200);
    for bytes in [
        vec![0; 9],
        short,
        old,
        message([1, 0], 0, 2, 0, 0, &[]),
        message([0, 0], 1, 2, 0, 0, &[0, 0, 0, 4]),
        message([1, 0], 1, 2, 0, 7, &[0, 0, 0, 4]),
        message([1, 0], 1, 9, 0, 0, &[0, 0, 0, 4]),
        message([1, 0], 1, 9, 0, 7, &[0, 0, 0, 4]),
        message([1, 0], 1, 2, 1, 0, &[0; 8]),
        message([2, 0], 1, 2, 0, 0, &[0, 0, 0, 99]),
        message([3, 0], 1, 2, 0, 0, &many),
        message([1, 2], 4, 2, 0, 0, &[0, 0, 0, 4]),
        message([1, 2], 8, 32, 1, 7, &[0; 8]),
        message([1, 2], 8, 32, 0, 7, &[0; 8]),
        message([1, 2], 8, 5, 1, 7, &[0; 8]),
        message([1, 2], 11, 5, 0, 7, &[0, 0, 0, 12, 0, 0, 0, 1, 1, 0, 0, 14]),
        message([1, 2], 12, 5, 0, 7, &[0, 0, 0, 12, 0, 0, 0, 1, 1, 16, 0, 0]),
        message([1, 2], 132, 2, 0, 0, &[0, 0, 0, 9, 0, 1, 1, 1, 0]),
    ] {
        send(&mut pair, B, &bytes);
        let later = pair.now + Duration::from_secs(2);
        pair.run_to(later);
    }
    let first = message([1, 0], 1, 2, 0, 0, &[0, 0, 0, 4]);
    send(&mut pair, Ipv4Addr::new(9, 9, 9, 9), &first);
    pair
}

/// What passes is kept, and once more sent, changed or not.
fn forged() -> Pair {
    let mut pair = pair(&with("DPDMODE=BOTH", "DPDMODE=BOTH"), 5);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = kept.clone();
    pair.road = Some(Box::new(move |to, _, packet| {
        keeper.lock().expect("whole").push((to, packet.to_vec()));
        vec![(Duration::ZERO, packet.to_vec())]
    }));
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(Instant::from_secs(90));
    let kept = kept.lock().expect("whole").clone();
    for (_, packet) in kept {
        let Some((from, to, payload)) = is_udp(&packet) else {
            continue;
        };
        for change in [0, 1] {
            let mut payload = payload.to_vec();
            if let Some(last) = payload.last_mut() {
                *last ^= change;
            }
            let Some(packet) = udp(from, to, &payload) else {
                continue;
            };
            let side = if to.ip() == IpAddr::V4(A) {
                Side::A
            } else {
                Side::B
            };
            let now = pair.now;
            pair.router(side).receive(now, &packet);
            pair.turn(side);
        }
    }
    pair
}

/// One of the messages of an exchange type is lost: each in turn.
fn losses(configs: &[String; 2], seen: &mut Seen) {
    for lost in 0..14 {
        let mut pair = pair(configs, 5);
        pair.road = Some(Box::new(move |_, number, packet| {
            let copy = (Duration::ZERO, packet.to_vec());
            if number == lost {
                Vec::new()
            } else {
                vec![copy]
            }
        }));
        pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
        pair.run_to(MINUTE);
        seen.add(&mut pair);
    }
}

/// Nothing arrives from some message on.
fn silence(configs: &[String; 2], from: u64, until: u64) -> Pair {
    let mut pair = pair(configs, 5);
    pair.road = Some(Box::new(move |_, number, packet| {
        let copy = (Duration::ZERO, packet.to_vec());
        if number >= from {
            Vec::new()
        } else {
            vec![copy]
        }
    }));
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(Instant::from_secs(until));
    pair
}

/// A is behind NAT, whose entry moves.
fn behind_nat(protocol: &str) -> Pair {
    let inside = Ipv4Addr::new(10, 0, 0, 2);
    let mut configs = both(
        &basic(),
        POLICY,
        &format!("{POLICY} NATTRAVERSAL=TRUE DPDMODE=BOTH"),
    );
    let isa = "CREATE IPSEC POLICY=isa";
    let natt = "CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP";
    configs = both(&configs, isa, &format!("{natt}\n{isa}"));
    configs = one(
        &configs,
        0,
        "INT=ppp0 IP=1.1.1.1",
        &format!("INT=ppp0 IP={inside}"),
    );
    configs = both(&configs, ESP, protocol);
    configs = one(&configs, 0, POLICY, &format!("{POLICY} LOCALID=a"));
    configs = one(&configs, 1, POLICY, &format!("{POLICY} REMOTEID=a"));
    let mut pair = pair(&configs, 5);
    pair.nat[0] = Some(NatBox::new(A, Kind::Symmetric, true));
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(MINUTE);
    pair
}

/// Each enciphered message is preceded by a copy of it that is broken at its end.
fn broken(configs: &[String; 2]) -> Pair {
    let mut pair = pair(configs, 5);
    pair.road = Some(Box::new(|_, _, packet| {
        let copy = (Duration::ZERO, packet.to_vec());
        let Some((from, to, payload)) = is_udp(packet).filter(|(.., bytes)| bytes[19] & 1 == 1)
        else {
            return vec![copy];
        };
        let mut payload = payload.to_vec();
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
        }
        let broken = udp(from, to, &payload).expect("it fits");
        vec![(Duration::ZERO, broken), copy]
    }));
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(MINUTE);
    pair
}

/// A is restarted and hears ESP of which it knows nothing.
fn bad_spi(answers: &str, isakmp: &str) -> Pair {
    let vpn = "SET IPSEC POLICY=vpn";
    let configs = both(&basic(), vpn, &format!("{vpn} {answers}"));
    let configs = both(&configs, "SENDN=TRUE", isakmp);
    let mut pair = tunnel(&configs, 10);
    let engines = SoftEngines::new(256, 64, 64);
    let findings = pair.restart(Side::A, engines, &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    for second in 11..40 {
        pair.ping(HOST_B, HOST_A, Instant::from_secs(second));
    }
    pair.run_to(MINUTE);
    pair
}

/// The peer is known, and somebody sends ESP in its name.
fn forged_esp() -> Pair {
    let vpn = "SET IPSEC POLICY=vpn";
    let configs = both(&basic(), vpn, &format!("{vpn} RESPONDBADSPI=TRUE"));
    let mut pair = pair(&configs, 5);
    pair.road = Some(Box::new(|_, _, packet| {
        let mut copies = vec![(Duration::ZERO, packet.to_vec())];
        if packet.get(9) == Some(&50) {
            let mut forged = packet.to_vec();
            forged[20..24].copy_from_slice(&0x7000_0000_u32.to_be_bytes());
            copies.push((Duration::ZERO, forged));
        }
        copies
    }));
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(MINUTE);
    pair
}

/// A message of one of both sides arrives where there is no randomness.
fn without_entropy(configs: &[String; 2], number: u64) -> Pair {
    let mut pair = pair(configs, 5);
    let kept = Arc::new(Mutex::new(None));
    let keeper = kept.clone();
    pair.road = Some(Box::new(move |_, own, packet| {
        if own == number {
            *keeper.lock().expect("whole") = Some(packet.to_vec());
        }
        let copy = (Duration::ZERO, packet.to_vec());
        if own < number { vec![copy] } else { Vec::new() }
    }));
    // Whoever has never been asked has no secret for its cookies yet.
    let warm = message([7, 0], 1, 2, 0, 0, &[0, 0, 0, 4]);
    for side in [Side::A, Side::B] {
        let ends = match side {
            Side::A => [B, A],
            Side::B => [A, B],
        };
        let ends = ends.map(|ip| SocketAddr::new(IpAddr::V4(ip), 500));
        let packet = udp(ends[0], ends[1], &warm).expect("it fits");
        pair.router(side).receive(Instant::ZERO, &packet);
        pair.turn(side);
    }
    pair.ping(HOST_A, HOST_B, Instant::from_secs(2));
    pair.run_to(Instant::from_secs(30));
    let packet = kept.lock().expect("whole").clone().expect("so many");
    let (from, to, payload) = is_udp(&packet).expect("a message");
    let side = if to.ip() == IpAddr::V4(A) {
        Side::A
    } else {
        Side::B
    };
    let now = pair.now;
    let router = pair.router(side);
    let on = router
        .device
        .state()
        .net
        .by_name(&InterfaceName::new("ppp0"))
        .expect("the WAN");
    let path = isakmp_core::Path {
        local: to,
        peer: from,
    };
    let port = &mut router.world;
    router
        .device
        .datagram(now, &mut NoEntropy, port, on, path, payload);
    for _ in 0..100 {
        router.device.turn(now, &mut NoEntropy, &mut router.world);
    }
    pair
}

/// Peers that fill the last block, or more than that, with what they like. These engines encipher
/// nothing, so that it can be written into a message on its way.
fn padded(longer: bool) -> Pair<impl Engines<Buf = Buf>> {
    // Names of such a length that there is something to fill.
    let names = with("LOCALID=abc REMOTEID=abc", "LOCALID=abc REMOTEID=abc");
    let mut pair = pair_with(|_| insecure_engines(), &names, 1);
    pair.road = Some(Box::new(move |_, _, packet| {
        let unchanged = vec![(Duration::ZERO, packet.to_vec())];
        let Some((from, to, message)) = is_udp(packet) else {
            return unchanged;
        };
        let mut message = message.to_vec();
        match Header::parse(&message) {
            Ok((header, _)) if header.flags.encrypted() => {
                let body = Payloads::parse(header.next, &message[HEADER..]).expect("readable");
                let padding = body.padding().len();
                let len = message.len();
                message[len - padding..].fill(0xa5);
                if longer {
                    message.extend_from_slice(&[0; 16]);
                    let length = u32::try_from(message.len()).expect("short");
                    message[24..28].copy_from_slice(&length.to_be_bytes());
                }
            }
            _ => return unchanged,
        }
        let packet = udp(from, to, &message).expect("short");
        vec![(Duration::ZERO, packet)]
    }));
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(60)), "padding is refused");
    pair
}

/// The stories that need more than two configurations.
fn more_stories(seen: &mut Seen) {
    // No ISAKMP policy for the peer.
    seen.add(&mut tunnel(
        &one(&basic(), 0, "i PEER=2.2.2.2", "i PEER=3.3.3.3"),
        30,
    ));
    // A policy that was reset asks again, and its first request still waits for phase 1.
    let mut twice = silence(&basic(), 0, 5);
    command(&mut twice, Side::A, "RESET IPSEC POLICY=vpn");
    twice.run_to(Instant::from_secs(10));
    seen.add(&mut twice);
    // Answers to DPD come later than the next question.
    let dpd = "DPDMODE=BOTH";
    let mut slow = pair(&with(dpd, "DPDMODE=RECEIVE"), 5);
    slow.road = Some(Box::new(|_, number, packet| {
        let late = if number >= 11 { 3 } else { 0 };
        vec![(Duration::from_secs(late), packet.to_vec())]
    }));
    slow.ping(HOST_A, HOST_B, Instant::from_secs(1));
    slow.run_to(MINUTE);
    seen.add(&mut slow);
    for (answers, isakmp) in [
        ("RESPONDBADSPI=TRUE", "SENDN=TRUE"),
        ("RESPONDBADSPI=TRUE", "SENDN=FALSE"),
        ("RESPONDBADSPI=TRUE", "SENDN=TRUE MODE=AGGR"),
    ] {
        seen.add(&mut bad_spi(answers, isakmp));
    }
    seen.add(&mut forged_esp());
    both_renew(seen);
    // The dead peer's last questions use up the life of the SA.
    let little = "EXPIRYKBYTES=1 DPDMODE=BOTH";
    seen.add(&mut silence(&with(little, little), 12, 600));
    let user = "ADD USER=joger PASSWORD=hogehoge LOGIN=NO";
    let xauth = with(
        "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge",
        "XAUTH=SERVER",
    );
    let xauth = one(&xauth, 1, POLICY, &format!("{user}\n{POLICY}"));
    for configs in [
        &basic(),
        &with("MODE=AGGRESSIVE", "MODE=AGGRESSIVE"),
        &xauth,
    ] {
        seen.add(&mut broken(configs));
    }
    seen.add(&mut tunnel(
        &with("MODE=AGGRESSIVE HASHALG=MD5", "MODE=AGGRESSIVE"),
        300,
    ));
    // Of two heartbeats the first comes last.
    let beats = "HEARTBEATMODE=BOTH";
    let mut late = pair(&with(beats, beats), 5);
    late.road = Some(Box::new(|_, number, packet| {
        let late = if number == 11 { 25 } else { 0 };
        vec![(Duration::from_secs(late), packet.to_vec())]
    }));
    late.ping(HOST_A, HOST_B, Instant::from_secs(1));
    late.run_to(Instant::from_secs(120));
    seen.add(&mut late);
    // Quick mode's first message comes from an address of which nothing is known.
    let mut astray = pair(&basic(), 5);
    astray.road = Some(Box::new(|_, number, packet| {
        let mut packet = packet.to_vec();
        if number == 6
            && let Some((from, to, payload)) = is_udp(&packet)
        {
            let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 9)), from.port());
            packet = udp(from, to, payload).expect("it fits");
        }
        vec![(Duration::ZERO, packet)]
    }));
    astray.ping(HOST_A, HOST_B, Instant::from_secs(1));
    astray.run_to(Instant::from_secs(20));
    seen.add(&mut astray);
    // No randomness: for a notification in clear, a question for the user, an answer to DPD.
    let refused = one(&basic(), 1, "SENDN=TRUE", "SENDN=TRUE HASHALG=MD5");
    seen.add(&mut without_entropy(&refused, 0));
    seen.add(&mut without_entropy(&xauth, 4));
    seen.add(&mut without_entropy(&with(dpd, "DPDMODE=RECEIVE"), 11));
    // No room.
    let limits = Limits {
        isakmp_sas: 0,
        ..Limits::default()
    };
    let mut full = Pair::with_limits(&limits, |_| SoftEngines::new(256, 64, 64), 5);
    for (side, text) in [Side::A, Side::B].into_iter().zip(&basic()) {
        full.router(side).run_script(Instant::ZERO, text);
    }
    full.connect();
    full.ping(HOST_A, HOST_B, Instant::from_secs(1));
    full.run_to(Instant::from_secs(10));
    seen.add(&mut full);
    // Many first messages from one address.
    let mut flood = pair(&basic(), 5);
    flood.road = Some(Box::new(|_, number, packet| {
        let Some((from, to, payload)) = is_udp(packet).filter(|_| number == 0) else {
            return Vec::new();
        };
        let copies = (0..100).map(|copy: u8| {
            let mut payload = payload.to_vec();
            payload[0] = copy;
            (Duration::ZERO, udp(from, to, &payload).expect("it fits"))
        });
        copies.collect()
    }));
    flood.ping(HOST_A, HOST_B, Instant::from_secs(1));
    flood.run_to(Instant::from_secs(3));
    seen.add(&mut flood);
    natted(seen);
}

/// NAT: a keepalive where no bundle is, a peer that moves, the port that was left, AH that cannot
/// pass.
fn natted(seen: &mut Seen) {
    let mut moved = behind_nat(ESP);
    if let Some(nat) = &mut moved.nat[0] {
        nat.forget();
    }
    let later = moved.now + Duration::from_secs(60);
    moved.run_to(later);
    command(&mut moved, Side::A, "RESET IPSEC POLICY=vpn");
    moved.pings.clear();
    let later = moved.now + Duration::from_secs(120);
    moved.run_to(later);
    seen.add(&mut moved);
    seen.add(&mut behind_nat("PROT=AH HASHALG=SHA"));
    let mut old = behind_nat(ESP);
    let sa = old.b.device.endpoint().sas().next().expect("one");
    let (initiator, responder) = sa.cookies;
    let mut bytes = [initiator.0, responder.0].concat();
    bytes.extend([8, 0x10, 32, 1, 0, 0, 0, 9, 0, 0, 0, 36]);
    bytes.extend([0; 8]);
    let ends = [A, B].map(|ip| SocketAddr::new(IpAddr::V4(ip), 500));
    let packet = udp(ends[0], ends[1], &bytes).expect("it fits");
    let now = old.now;
    old.b.receive(now, &packet);
    seen.add(&mut old);
}

/// The third message of a renewal is lost until the other side wants the same.
fn both_renew(seen: &mut Seen) {
    let bundle = "STRING=\"1\"";
    let configs = both(&basic(), bundle, &format!("{bundle} EXPIRYSECONDS=600"));
    let mut pair = tunnel(&configs, 60);
    let mut first = None;
    pair.road = Some(Box::new(move |side, _, packet| {
        let copy = vec![(Duration::ZERO, packet.to_vec())];
        let header = is_udp(packet).and_then(|(_, _, bytes)| Header::parse(bytes).ok());
        let quick = header.filter(|(header, _)| header.exchange == ExchangeType::Quick);
        if side == Side::B || quick.is_none() || *first.get_or_insert(packet.len()) == packet.len()
        {
            return copy;
        }
        Vec::new()
    }));
    pair.run_to(Instant::from_secs(600));
    seen.add(&mut pair);
}

/// Every counter is raised in one of these stories, but for those that are said to be never raised.
#[test]
fn each_counts() {
    let mut seen = Seen::default();
    let deletes = "SENDDELETES=TRUE";
    let mut stories: Vec<Pair> = vec![
        nonsense(),
        forged(),
        tunnel(&with("MODE=AGGRESSIVE", "MODE=AGGRESSIVE"), 60),
        tunnel(&with("DELETEDELAY=0", "DELETEDELAY=0"), 60),
        tunnel(
            &with("HASHALG=MD5 RETRYIKEATTEMPTS=1 MSGTIMEOUT=1", ""),
            300,
        ),
        tunnel(&one(&basic(), 1, "SENDN=TRUE", "HASHALG=MD5"), 300),
        tunnel(
            &one(
                &one(&basic(), 1, "HASHALG=SHA", "HASHALG=MD5"),
                1,
                "SENDN=TRUE",
                "",
            ),
            300,
        ),
        tunnel(&with("EXPIRYSECONDS=600", "EXPIRYSECONDS=600"), 1500),
        tunnel(&with("HEARTBEATMODE=BOTH", "HEARTBEATMODE=BOTH"), 100),
        behind_nat(ESP),
        silence(&with("DPDMODE=BOTH", ""), 14, 600),
        silence(&with("HEARTBEATMODE=BOTH", "HEARTBEATMODE=BOTH"), 12, 600),
        silence(&with("DPDMODE=BOTH", "DPDMODE=BOTH"), 12, 600),
        silence(&basic(), 0, 600),
        silence(&with("RETRYIKEATTEMPTS=1", ""), 7, 900),
    ];
    for pair in &mut stories {
        seen.add(pair);
    }
    losses(&basic(), &mut seen);
    losses(
        &both(&basic(), POLICY, &format!("{POLICY} SETCOMMITBIT=TRUE")),
        &mut seen,
    );
    losses(&with("MODE=AGGRESSIVE", "MODE=AGGRESSIVE"), &mut seen);
    for password in ["hogehoge", "wrong"] {
        let client = format!("XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD={password}");
        let configs = with(&client, "XAUTH=SERVER");
        let user = "ADD USER=joger PASSWORD=hogehoge LOGIN=NO";
        let configs = one(&configs, 1, POLICY, &format!("{user}\n{POLICY}"));
        seen.add(&mut tunnel(&configs, 60));
        losses(&configs, &mut seen);
    }
    for end in ["DISABLE ISAKMP", "RESET IPSEC POLICY=vpn"] {
        for deletes in [deletes, ""] {
            let mut pair = tunnel(&with(deletes, deletes), 60);
            command(&mut pair, Side::A, end);
            let later = pair.now + Duration::from_secs(5);
            pair.run_to(later);
            seen.add(&mut pair);
        }
    }
    more_stories(&mut seen);
    for longer in [false, true] {
        let mut pair = padded(longer);
        for side in [Side::A, Side::B] {
            let counters = pair.router(side).device.endpoint().counters();
            let odd = counters.get(Happened::RxDecryptedBadPad);
            let long = counters.get(Happened::RxDecryptBadPadLength);
            assert!(odd > 0 && (long > 0) == longer, "{odd} {long}");
        }
        seen.add(&mut pair);
    }
    let never: BTreeSet<usize> = NEVER
        .iter()
        .map(|(happened, _)| *happened as usize)
        .collect();
    let all = Happened::ALL.iter().copied();
    let wrong: Vec<Happened> = all
        .filter(|happened| {
            let place = *happened as usize;
            seen.0.contains(&place) == never.contains(&place)
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "raised or not, against the list: {wrong:#?}"
    );
}
