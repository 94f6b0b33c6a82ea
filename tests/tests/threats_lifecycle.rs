//! What becomes of SAs when both sides act at once, forget, are lied to, or when time jumps.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use hw_offload::testing::{ChosenPrf, TestEngines, WithPrf};
use hw_offload::{
    Digest, Entropy, EntropyFault, Hash, Primitives, SoftEngine, SoftEngines, SoftPrimitives,
    SoftPublic,
};
use ipsec_core::model::Protocol;
use ipsec_core::{DataPlane, Instant, Limits, RemoveWhy};
use isakmp_core::Report;
use isakmp_core::counters::Happened;
use isakmp_core::device::DeviceReport;
use isakmp_core::reason::Subject;
use isakmp_core::xauth::{XauthAnswer, XauthProof};
use lab::{Buf, Pair, Side, udp};
use sekisho_tests::setting::{Auth, Mode, Setting};
use sekisho_tests::witness::{Witness, disagreement};
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, attempts, basic, both, bundles, command, failed, failures, isakmp,
    isakmp_sas, one, pair, pair_with, ping_both, steady,
};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

/// A restarted peer says INITIAL-CONTACT: what its identity had before goes, once, and nobody
/// else loses anything. The flag is believed only within an authenticated exchange, so that a
/// changed byte of message 5 that carries it is noise.
#[test]
fn threat_b12_initial_contact_concerns_its_sender_only() {
    let configs = both(&basic(), "SENDN=TRUE", "SENDN=TRUE EXPIRYSECONDS=600");
    let mut pair = pair(&configs, 1);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    let first = |pair: &mut Pair| {
        let sa = pair.b.device.endpoint().sas().next().expect("an SA");
        (sa.cookies, sa.since)
    };
    let before = first(&mut pair);
    // A says it when it comes anew; what B had with it goes.
    let engines = SoftEngines::new(256, 64, 64);
    let findings = pair.restart(Side::A, engines, &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    let now = pair.now;
    pair.pings.clear();
    pair.ping(HOST_A, HOST_B, now);
    assert!(pair.run(now + 5 * SECOND), "{:?}", failures(&pair));
    assert_ne!(first(&mut pair), before);
    assert_eq!(isakmp_sas(&mut pair, Side::B), 1);
    assert_eq!(bundles(&mut pair, Side::B), 1);
    let told = |pair: &Pair| {
        let removed = pair.happenings.iter().filter(|happening| {
            let why = RemoveWhy::PeerRestarted;
            matches!(&happening.report, DeviceReport::BundleRemoved { why: w, .. } if *w == why)
        });
        removed.count()
    };
    assert_eq!(told(&pair), 1);
    // Renewals do not say it again: what is in use stays.
    pair.run_to(pair.now + Duration::from_secs(2000));
    assert!(attempts(&pair, 1) >= 4);
    assert_eq!(told(&pair), 1);
    assert_eq!(bundles(&mut pair, Side::B), 1);
}

/// A genuine Delete takes only what its own sender has, whatever SPI it names.
#[test]
fn threat_b13_a_delete_reaches_no_other_peer() {
    let mut plane = sekisho_tests::crowd::Crowd::new(8);
    plane.join();
    plane.join();
    let spis: Vec<_> = plane
        .plane
        .state()
        .sas()
        .map(|(_, sa)| sa.out_spi)
        .collect();
    let peers: [IpAddr; 2] = ["5.0.0.1", "5.0.0.2"].map(|text| text.parse().expect("an address"));
    // Each names the other's SPI, and ones that nobody has.
    for (peer, spi) in [(peers[0], spis[1]), (peers[1], spis[0])] {
        assert!(!plane.plane.delete_by_spi(peer, Protocol::Esp, spi));
        assert!(!plane.plane.delete_by_spi(peer, Protocol::Ah, spi));
    }
    assert_eq!(plane.plane.state().bundles().count(), 2);
    assert!(plane.plane.delete_by_spi(peers[0], Protocol::Esp, spis[0]));
}

/// A source of randomness that says everything several times.
struct Stutter(u32, u8);

impl Entropy for Stutter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        self.1 = (self.1 + 1) % 5;
        self.0 += u32::from(self.1 == 0);
        let bytes = (256 + self.0 % 44).to_be_bytes();
        out.iter_mut()
            .zip(bytes.into_iter().cycle())
            .for_each(|(out, byte)| *out = byte);
        Ok(())
    }
}

/// Inbound SPIs are ours, and no two are equal, however often the source of randomness repeats
/// itself; none is reserved (RFC 2406 §2.1). Peers may choose equal ones for their side.
#[test]
fn threat_c5_spis_are_unique() {
    let mut router = lab::Router::new(SoftEngines::<Buf>::new(0, 0, 0), 1);
    let findings = router.run_script(Instant::ZERO, &basic()[0]);
    assert!(findings.is_empty(), "{findings:?}");
    let state = router.device.state();
    let mut plane: DataPlane<Buf> = DataPlane::new(&Limits::default(), [7; 16]);
    plane.configure(Instant::ZERO, &state.ipsec, &state.net, &state.keys);
    let (id, policy) = plane
        .state()
        .policies()
        .find(|(_, policy)| policy.peer.is_some())
        .expect("a policy with a peer");
    let ends = policy.local.zip(policy.peer).expect("addresses");
    let mut seen = BTreeSet::new();
    let mut entropy = Stutter(0, 0);
    let protocols = [Protocol::Esp, Protocol::Ah];
    while let Ok(reserved) = plane.reserve(Instant::ZERO, &mut entropy, id, ends, &protocols) {
        for (_, spi) in reserved.spis {
            assert!(spi.0 > 255, "{spi:?} is reserved");
            assert!(seen.insert(spi), "{spi:?} twice");
        }
    }
    assert!((20..=44).contains(&seen.len()), "{}", seen.len());
}

/// Both sides begin anew, with every distance between them and every message of either lost:
/// packets pass soon, and there are never more than four bundles (threats.md C6).
#[test]
fn threat_c6_both_sides_begin_at_once() {
    #[derive(Clone, Copy, Debug)]
    enum What {
        First,
        Phase1,
        Phase2,
        Restart,
    }
    let setting = Setting::new(Mode::Main, Auth::Psk);
    for what in [What::First, What::Phase1, What::Phase2, What::Restart] {
        for distance in [0, 5, 10, 15, 20, 35, 60] {
            for lost in (0..20).map(Some).chain([None]) {
                let mut pair = setting.pair(|_| SoftEngines::new(256, 64, 64), 1);
                let witness = Witness::default();
                witness.watch(&mut pair, |_, _, packet| {
                    vec![(Duration::ZERO, packet.to_vec())]
                });
                pair.run_to(Instant::from_secs(1));
                if !matches!(what, What::First) {
                    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
                    assert!(pair.run(Instant::from_secs(5)));
                    pair.run_to(Instant::from_secs(5));
                }
                witness.watch(&mut pair, move |_, number, packet| {
                    let gone = number.is_some() && number == lost;
                    vec![(Duration::ZERO, packet.to_vec()); usize::from(!gone)]
                });
                let name = format!("{what:?}, {distance} ms, {lost:?} lost");
                pair.pings.clear();
                for side in [Side::A, Side::B] {
                    match what {
                        What::First => {}
                        What::Phase1 => {
                            drop(command(&mut pair, side, "RESET ISAKMP POLICY=i"));
                            drop(command(&mut pair, side, "RESET IPSEC POLICY=vpn"));
                        }
                        What::Phase2 => drop(command(&mut pair, side, "RESET IPSEC POLICY=vpn")),
                        What::Restart => {
                            setting.restart(&mut pair, side, SoftEngines::new(256, 64, 64));
                        }
                    }
                }
                let now = pair.now;
                pair.ping(HOST_A, HOST_B, now);
                pair.ping(HOST_B, HOST_A, now + Duration::from_millis(distance));
                let end = pair.now + 14 * SECOND;
                loop {
                    assert_eq!(witness.objection(&mut pair), None, "{name}");
                    if pair.pings.iter().all(|ping| ping.answered.is_some()) {
                        break;
                    }
                    assert!(pair.step(end), "{name}: {:?}", failures(&pair));
                }
                pair.run_to(pair.now + Duration::from_secs(400));
                assert_eq!(disagreement(&mut pair), None, "{name}");
                at_rest(&mut pair);
                let from = pair.now.micros() / 1_000_000 + 1;
                pair.run_to(Instant::from_secs(from));
                steady(&mut pair, from, from + 2);
            }
        }
    }
}

/// A router that restarted is told of by its own Main mode within seconds of the first packet that
/// it does not know, and by dead peer detection in 312 s where it says nothing.
#[test]
fn threat_c7_a_restarted_peer_is_noticed() {
    let answers = "BUNDLE=1 PEER=2.2.2.2 RESPONDBADSPI=TRUE";
    for (ipsec, isakmp, within) in [
        (answers, "", 5),
        ("BUNDLE=1 PEER=2.2.2.2", "DPDMODE=BOTH", 316),
    ] {
        let configs = one(&basic(), 0, "BUNDLE=1 PEER=2.2.2.2", ipsec);
        let configs = both(&configs, "SENDN=TRUE", &format!("SENDN=TRUE {isakmp}"));
        let mut pair = pair(&configs, 1);
        ping_both(&mut pair);
        assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        let findings = pair.restart(Side::A, SoftEngines::new(256, 64, 64), &configs[0]);
        assert!(findings.is_empty(), "{findings:?}");
        pair.pings.clear();
        let now = pair.now;
        // Only the side that forgot nothing speaks.
        pair.ping(HOST_B, HOST_A, now);
        let up = pair.run(now + Duration::from_secs(within));
        assert!(up, "{isakmp}: {:?}", failures(&pair));
        assert_eq!(pair.clear, 0);
    }
}

/// Forged ESP under SPIs that nobody has: at most one Main mode in ten seconds, none at all while
/// there is an SA with that peer, and what is there stays.
#[test]
fn threat_c8_forged_spis_cost_little() {
    let answers = "BUNDLE=1 PEER=2.2.2.2 RESPONDBADSPI=TRUE";
    for up in [false, true] {
        let configs = one(&basic(), 0, "BUNDLE=1 PEER=2.2.2.2", answers);
        let mut pair = pair(&configs, 1);
        if up {
            ping_both(&mut pair);
            assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
        }
        pair.pings.clear();
        pair.run_to(Instant::from_secs(5));
        // B is away, so that nothing that A begins comes to an end.
        pair.road = Some(Box::new(|_, _, _| Vec::new()));
        let before = attempts(&pair, 1);
        for n in 0..1000_u32 {
            let mut esp = udp(
                "2.2.2.2:1".parse().expect("an end"),
                "1.1.1.1:1".parse().expect("an end"),
                &[0x5a; 60],
            )
            .expect("short");
            // The SPI and the sequence number of ESP instead of the ports.
            esp[9] = 50;
            esp[20..24].copy_from_slice(&(0x1234_0000 + n).to_be_bytes());
            esp[24..28].copy_from_slice(&n.to_be_bytes());
            ipsec_core::wire::ipv4::write_checksum(&mut esp[..20]);
            let now = pair.now;
            pair.a.receive(now, &esp);
            pair.turn(Side::A);
            pair.run_to(now + Duration::from_millis(30));
        }
        let begun = attempts(&pair, 1) - before;
        let counters = pair.a.device.endpoint().counters();
        let requests = counters.get(Happened::BadSpiRequests);
        // 30 seconds.
        assert!((1..=4).contains(&requests), "{requests}");
        assert_eq!(begun, usize::from(!up), "up: {up}");
        assert_eq!(bundles(&mut pair, Side::A), usize::from(up));
        assert_eq!(isakmp_sas(&mut pair, Side::A), usize::from(up));
    }
}

/// The digest of CHAP is no text: one that ends in a zero is as good as any other.
#[test]
fn threat_c9_a_digest_may_end_in_zero() {
    let setting = Setting::new(Mode::Main, Auth::Chap);
    let ended = Rc::new(RefCell::new(0));
    for seed in 0..1200 {
        let mut pair = setting.pair(|_| SoftEngines::new(256, 64, 64), seed);
        let shared = Rc::clone(&ended);
        pair.oracle = Some(Box::new(move |_, step| {
            let XauthProof::Chap {
                id,
                digest,
                challenge,
            } = &step.proof
            else {
                return Some(XauthAnswer::Reject);
            };
            let known = SoftPrimitives.hash(Hash::Md5, &[&[*id], b"hogehoge", challenge]);
            *shared.borrow_mut() += u32::from(digest.last() == Some(&0));
            Some(if known.as_bytes() == digest {
                XauthAnswer::Accept
            } else {
                XauthAnswer::Reject
            })
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        // A first answer that was refused would cost a second.
        assert!(
            pair.run(at(950)) || pair.run(at(1100)),
            "{seed}: {:?}",
            failures(&pair)
        );
        let sa = pair.b.device.endpoint().sas().next().expect("an SA");
        assert_eq!(sa.xauth.failures, 0, "{seed}");
    }
    assert!(*ended.borrow() > 0, "no digest ended in zero");
}

/// Nobody comes in with an empty password, nor by saying that the server said OK.
#[test]
fn threat_c9_only_the_server_says_ok() {
    let mut setting = Setting::new(Mode::Main, Auth::Xauth);
    setting.isakmp = String::new();
    let configs = [Side::A, Side::B].map(|side| setting.config(side));
    let wrong = one(&configs, 0, "XAUTHPASSWORD=hogehoge", "XAUTHPASSWORD=x");
    let mut pair = pair_with_keys(&setting, &wrong);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(9)));
    assert_eq!(failed(&pair, Side::B)[0].1, Subject::Xauth);
    assert_eq!(bundles(&mut pair, Side::B), 0);
}

fn pair_with_keys(setting: &Setting, configs: &[String; 2]) -> Pair {
    // The files are the setting's, the commands these.
    let mut pair = setting.pair(|_| SoftEngines::new(256, 64, 64), 1);
    for side in [Side::A, Side::B] {
        let engines = SoftEngines::new(256, 64, 64);
        let findings = pair.restart(side, engines, &configs[side as usize]);
        assert!(findings.is_empty(), "{findings:?}");
        pair.turn(side);
    }
    pair
}

/// Packets come faster than a life in kilobytes can be renewed, and no renewal gets through: what
/// has no SA waits or is dropped, and nothing leaves in clear.
#[test]
fn threat_c10_nothing_in_clear_when_a_life_is_over() {
    let configs = both(
        &basic(),
        "STRING=\"1\"",
        "STRING=\"1\" EXPIRYKBYTES=4 EXPIRYSECONDS=600",
    );
    let mut pair = pair(&configs, 1);
    let witness = Witness::default();
    witness.watch(&mut pair, |_, _, packet| {
        vec![(Duration::ZERO, packet.to_vec())]
    });
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)), "{:?}", failures(&pair));
    witness.watch(&mut pair, |_, number, packet| {
        vec![(Duration::ZERO, packet.to_vec()); usize::from(number.is_none())]
    });
    for _ in 0..200 {
        for side in [Side::A, Side::B] {
            witness.send(&mut pair, side, 1000);
        }
        pair.run_to(pair.now + Duration::from_millis(10));
        assert_eq!(pair.clear, 0);
    }
    assert_eq!(witness.objection(&mut pair), None);
    assert!(
        witness.heard().iter().all(|heard| (1..=8).contains(heard)),
        "{:?}",
        witness.heard()
    );
    pair.run_to(Instant::from_secs(700));
    assert_eq!(pair.clear, 0);
}

/// Time jumps: a minute, a day, 136 years, in the middle of everything; what is over is over, what
/// comes next begins anew, and nothing wraps.
#[test]
fn threat_c12_time_may_jump() {
    for seconds in [
        59,
        3600,
        86_400,
        u64::from(u32::MAX) / 1000,
        u64::from(u32::MAX),
    ] {
        for millis in [0, 15, 25, 45, 75, 5000] {
            let mut pair = pair(&basic(), 1);
            ping_both(&mut pair);
            pair.run_to(at(millis));
            // The devices hear nothing of the time between.
            pair.now += Duration::from_secs(seconds);
            pair.pings.clear();
            ping_both(&mut pair);
            let up = pair.run(pair.now + Duration::from_secs(600));
            assert!(up, "{seconds} s after {millis} ms: {:?}", failures(&pair));
            pair.run_to(pair.now + Duration::from_secs(400));
            at_rest(&mut pair);
            assert_eq!(pair.clear, 0);
        }
    }
}

/// Primitives that derive a weak DES key for the first two SPIs that anybody asks for.
#[derive(Clone, Default)]
struct Weak(Rc<RefCell<BTreeSet<Vec<u8>>>>);

impl ChosenPrf for Weak {
    fn prf(&self, _: &[u8], parts: &[&[u8]]) -> Option<Digest> {
        // KEYMAT (RFC 2409 §5.5): g^xy or nothing, protocol, SPI, both nonces.
        let [_, [_], spi, _, _] = parts else {
            return None;
        };
        if spi.len() != 4 {
            return None;
        }
        let mut weak = self.0.borrow_mut();
        if weak.len() < 2 {
            weak.insert(spi.to_vec());
        }
        let chosen = weak.contains(*spi);
        chosen.then(|| Digest::new(&[1; 20]).expect("as long as SHA-1"))
    }
}

/// A negotiation that comes to a weak key is given up and begun again: nothing is sent under it.
#[test]
fn threat_d14_a_weak_key_is_negotiated_anew() {
    let weak = Weak::default();
    let engines = |_| TestEngines {
        packet: SoftEngine::new(256, 64),
        public: SoftPublic::new(64),
        primitives: WithPrf(weak.clone()),
    };
    let mut pair = pair_with(engines, &basic(), 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    let subjects: Vec<Subject> = [Side::A, Side::B]
        .into_iter()
        .flat_map(|side| failed(&pair, side))
        .map(|(_, subject)| subject)
        .collect();
    assert!(subjects.contains(&Subject::WeakKey), "{subjects:?}");
    assert!(attempts(&pair, 2) >= 2);
    let weak = weak.0.borrow();
    for side in [Side::A, Side::B] {
        for (_, sa) in pair.router(side).device.plane().sas() {
            for spi in [sa.in_spi, sa.out_spi] {
                assert!(
                    !weak.contains(&spi.to_bytes()[..]),
                    "{side} uses a weak key"
                );
            }
        }
    }
    assert_eq!(pair.clear, 0);
}

/// ESP AND AH is one wish: who offers one of them alone is refused, whichever it is.
#[test]
fn part_of_a_bundle_is_refused() {
    let esp = "CREATE IPSEC SASPEC=1 KEYMAN=ISAKMP PROT=ESP ENCALG=DES HASHALG=SHA";
    let with_ah = format!("{esp}\nCREATE IPSEC SASPEC=2 KEYMAN=ISAKMP PROT=AH HASHALG=SHA");
    let base = both(&basic(), esp, &with_ah);
    let strings = ["1 AND 2", "1", "2"];
    for a in strings {
        for b in strings {
            let configs = one(&base, 0, "STRING=\"1\"", &format!("STRING=\"{a}\""));
            let configs = one(&configs, 1, "STRING=\"1\"", &format!("STRING=\"{b}\""));
            let mut pair = pair(&configs, 1);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            let up = pair.run(Instant::from_secs(10));
            assert_eq!(up, a == b, "{a} and {b}: {:?}", failures(&pair));
            if !up {
                let refused = failed(&pair, Side::B)
                    .iter()
                    .any(|(_, subject)| *subject == Subject::NoProposal);
                assert!(refused, "{a} and {b}: {:?}", failures(&pair));
            }
            assert_eq!(pair.clear, 0);
        }
    }
}

/// Who has no key comes to nothing, in every mode and with every proof.
#[test]
fn nobody_comes_in_without_the_key() {
    for mode in [Mode::Main, Mode::Aggressive] {
        for (auth, right, wrong) in [
            (Auth::Psk, "jogefoge", "fogejoge"),
            (Auth::Xauth, "jogefoge", "fogejoge"),
            (
                Auth::Rsa,
                "KEY=2 TYPE=RSA FILE=own.key",
                "KEY=2 TYPE=RSA LENGTH=1024",
            ),
            (
                Auth::Hybrid,
                "KEY=2 TYPE=RSA FILE=own.key",
                "KEY=2 TYPE=RSA LENGTH=1024",
            ),
        ] {
            let setting = Setting::new(mode, auth);
            let configs = [Side::A, Side::B].map(|side| setting.config(side));
            let random = if wrong.contains("LENGTH") {
                "RANDOM"
            } else {
                ""
            };
            let configs = one(&configs, 1, right, &format!("{wrong} {random}"));
            let mut pair = pair_with_keys(&setting, &configs);
            pair.run_to(Instant::from_secs(10));
            ping_both(&mut pair);
            assert!(!pair.run(Instant::from_secs(60)), "{mode:?} {auth:?}");
            let up = isakmp(&pair)
                .filter(|(h, r)| h.side == Side::A && matches!(r, Report::Completed { .. }));
            assert_eq!(up.count(), 0, "{mode:?} {auth:?}");
            assert_eq!((bundles(&mut pair, Side::A), pair.clear), (0, 0));
        }
    }
}
