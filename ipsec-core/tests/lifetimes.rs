//! How bundles live: limits, renewals, replacement, removal.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod common;

use std::time::Duration;

use common::*;
use hw_offload::testing::hex;
use hw_offload::*;
use ipsec_core::counters::Happened;
use ipsec_core::model::*;
use ipsec_core::*;

const A: &str = "1.1.1.1";
const B: &str = "2.2.2.2";
const LANS: (&str, &str) = ("192.168.10.0/24", "192.168.20.0/24");
const HOST_A: &str = "192.168.10.7";
const HOST_B: &str = "192.168.20.9";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const BOTH: [Spec; 2] = [ESP, ah(Mode::Tunnel, HashAlg::Sha)];

fn pair(specs: &[Spec]) -> (Router, Router) {
    isakmp_pair(specs, (A, B), LANS, |_, _| {})
}

fn agreement(specs: &[Spec], seconds: u32, kbytes: Option<u32>) -> Agreement {
    Agreement {
        lifetime: Lifetime { seconds, kbytes },
        ..Agreement::new(specs, A, B, LANS)
    }
}

fn clear() -> Vec<u8> {
    udp_packet(HOST_A, HOST_B, 1000)
}

fn acquires(router: &mut Router) -> Vec<Option<BundleId>> {
    let told = router.told().into_iter();
    told.filter_map(|event| match event {
        PlaneEvent::Acquire { replaces, .. } => Some(replaces),
        _ => None,
    })
    .collect()
}

fn removals(router: &mut Router) -> Vec<(BundleId, RemoveWhy)> {
    let told = router.told().into_iter();
    told.filter_map(|event| match event {
        PlaneEvent::Removed { removed, why } => Some((removed.bundle, why)),
        _ => None,
    })
    .collect()
}

/// Packets wait for the first bundle in their order, so many and no more; they ask for it once.
#[test]
fn packets_wait_for_their_bundle() {
    let (mut a, mut b) = pair(&BOTH);
    let packets: Vec<Vec<u8>> = (0..25).map(|n| udp_packet(HOST_A, HOST_B, n)).collect();
    for (place, packet) in packets.iter().enumerate() {
        match a.outbound(packet) {
            Verdict::Held => assert!(place < 20),
            Verdict::Drop { why, .. } => assert!(place >= 20 && why == DropReason::QueueFull),
            other => panic!("{}", name(&other)),
        }
    }
    assert_eq!(a.policy("vpn").queued, 20);
    assert_eq!(acquires(&mut a), [None]);
    let counted = [Happened::OutNoBundle, Happened::OutNoBundleFail];
    assert_eq!(counted.map(|happened| a.count(happened)), [25, 5]);
    assert!(a.ready().is_none());
    agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    assert_eq!(a.plane.deadline(a.now), Some(a.now));
    for packet in &packets[..20] {
        let sealed = datagrams(a.ready().unwrap()).remove(0);
        assert_eq!(b.deliver(&sealed), *packet);
    }
    assert!(a.ready().is_none());
    assert_eq!(a.policy("vpn").queued, 0);
    // The second negotiation that nobody needs any more changes nothing.
    assert_eq!(acquires(&mut a), []);
}

/// The negotiation fails: what waits is dropped, and the next packet asks again.
#[test]
fn a_failed_negotiation_drops_what_waits() {
    let (mut a, _) = pair(&[ESP]);
    assert!(matches!(a.outbound(&clear()), Verdict::Held));
    let policy = a.policy_id("vpn");
    a.plane.negotiation_failed(a.now, policy);
    assert_eq!(why(a.ready().unwrap()), DropReason::NegotiationFailed);
    assert_eq!(acquires(&mut a), [None]);
    assert!(matches!(a.outbound(&clear()), Verdict::Held));
    assert_eq!(acquires(&mut a), [None]);
}

/// A reservation that comes to nothing while packets wait: another bundle is asked for.
#[test]
fn a_lost_reservation_is_asked_for_again() {
    let (mut a, _) = pair(&[ESP]);
    let policy = a.policy_id("vpn");
    let ends = (ip(A), ip(B));
    let reserved = a
        .plane
        .reserve(a.now, &mut a.entropy, policy, ends, &[Protocol::Esp])
        .unwrap();
    assert!(matches!(a.outbound(&clear()), Verdict::Held));
    assert_eq!(acquires(&mut a), [], "one is under way");
    a.plane
        .release(reserved.bundle, RemoveWhy::NegotiationFailed);
    assert_eq!(acquires(&mut a), [None]);
}

/// Soft limits by role, the initiator first; the hard limit is exact, also before anybody looked
/// at the clock.
#[test]
fn threat_d13_the_hard_limit_is_exact() {
    let (mut a, mut b) = pair(&[ESP]);
    let (of_a, of_b) = agreement(&[ESP], 1000, None).install(&mut a, &mut b);
    let born = a.now;
    a.told();
    b.told();
    let soft = |router: &Router, id| router.plane.state().bundle(id).unwrap().soft_seconds;
    assert!((860..=875).contains(&soft(&a, of_a)));
    assert!((935..=950).contains(&soft(&b, of_b)));
    let (at_a, at_b) = (soft(&a, of_a), soft(&b, of_b));
    a.wait(u64::from(at_a) - 1);
    assert_eq!(acquires(&mut a), []);
    a.wait(1);
    assert_eq!(acquires(&mut a), [Some(of_a)]);
    b.wait(u64::from(at_b));
    assert_eq!(acquires(&mut b), [Some(of_b)]);
    assert_eq!(a.count(Happened::OutBundleSoftExpire), 1);
    // The renewal fails, and is tried again after a while.
    let policy = a.policy_id("vpn");
    a.plane.negotiation_failed(a.now, policy);
    a.wait(29);
    assert_eq!(acquires(&mut a), []);
    a.wait(1);
    assert_eq!(acquires(&mut a), [Some(of_a)]);
    // A microsecond before the end everything works, at the end nothing does; no timer ran.
    let last = born + Duration::from_micros(1_000_000_000 - 1);
    (a.now, b.now) = (last, last);
    let sealed = [a.send(&clear()), a.send(&clear())];
    assert_eq!(b.deliver(&sealed[0]), clear());
    let mut cx = Cx {
        now: a.now,
        entropy: &mut a.entropy,
        buffers: &mut Heap,
    };
    let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, filled(&clear())) else {
        panic!()
    };
    let end = born + Duration::from_secs(1000);
    (a.now, b.now) = (end, end);
    assert_eq!(why(b.inbound(&sealed[1])), DropReason::Expired);
    assert_eq!(b.count(Happened::InBundleStateBad), 1);
    assert!(matches!(a.outbound(&clear()), Verdict::Held));
    assert_eq!(a.count(Happened::OutBundleStateBad), 1);
    // What the engine still had comes too late.
    assert_eq!(why(a.run(Verdict::Compute(job))), DropReason::SaGone);
    assert_eq!(a.count(Happened::EncDoneSaBadState), 1);
    a.timers();
    assert_eq!(removals(&mut a), [(of_a, RemoveWhy::Expired)]);
    assert_eq!(a.count(Happened::OutBundleExpire), 1);
    assert!(a.plane.state().sas().next().is_none());
}

/// Limits in bytes: the soft one asks, the hard one ends.
#[test]
fn limits_in_bytes() {
    let (mut a, mut b) = pair(&[ESP]);
    let (of_a, of_b) = agreement(&[ESP], 3600, Some(20)).install(&mut a, &mut b);
    a.told();
    b.told();
    let len = clear().len();
    let (mut asked, mut sent) = (None, 0);
    loop {
        match a.outbound(&clear()) {
            Verdict::Transmit(mut out) => {
                sent += 1;
                b.inbound(out.next_datagram().unwrap());
            }
            Verdict::Drop { why, .. } => {
                assert_eq!(why, DropReason::Expired);
                break;
            }
            other => panic!("{}", name(&other)),
        }
        if acquires(&mut a) == [Some(of_a)] {
            assert_eq!(asked.replace(sent), None);
        }
    }
    assert_eq!(sent, 20 * 1024 / len);
    assert_eq!(asked, Some((20 * 1024 / 1000 * 875usize).div_ceil(len)));
    assert_eq!(a.count(Happened::OutBundleSoftExpire), 1);
    assert_eq!(a.count(Happened::OutBundleExpire), 1);
    assert_eq!(b.count(Happened::InBundleSoftExpire), 1);
    // At once, and not at some time.
    assert_eq!(a.plane.deadline(a.now), Some(Instant::ZERO));
    a.timers();
    assert_eq!(removals(&mut a), [(of_a, RemoveWhy::Expired)]);
    assert_eq!(b.plane.state().bundle_state(of_b), Some(SaState::Valid));
}

/// Make before break: the new bundle sends as soon as it is there, the first authentic packet on
/// it retires the old one, which still receives for ten seconds.
#[test]
fn the_old_bundle_receives_until_late_packets_are_in() {
    let (mut a, mut b) = pair(&BOTH);
    let old = agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    let late: Vec<Vec<u8>> = (0..3).map(|_| a.send(&clear())).collect();
    a.wait(60);
    b.wait(60);
    let new = agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    a.told();
    b.told();
    let spi_of = |router: &Router, id: BundleId| {
        let state = router.plane.state();
        let outermost = *state.bundle(id).unwrap().sas.last().unwrap();
        state.sa(outermost).unwrap().out_spi.to_bytes()
    };
    let sealed = a.send(&clear());
    assert_eq!(sealed[24..28], spi_of(&a, new.0), "AH of the new bundle");
    // A forged packet on the new bundle retires nothing.
    let mut forged = sealed.clone();
    *forged.last_mut().unwrap() ^= 1;
    b.inbound(&forged);
    b.wait(20);
    assert_eq!(removals(&mut b), []);
    assert_eq!(b.deliver(&sealed), clear());
    assert_eq!(b.count(Happened::InBundleReplaced), 1);
    assert_eq!(b.deliver(&late[0]), clear());
    b.wait(5);
    assert_eq!(b.deliver(&late[1]), clear());
    b.wait(5);
    assert_eq!(removals(&mut b), [(old.1, RemoveWhy::Replaced)]);
    assert_eq!(why(b.inbound(&late[2])), DropReason::UnknownSpi);
    assert_eq!(b.count(Happened::InBundleReplaced), 1);
}

/// To a peer that came to them in another order the older bundle is the newest: as long as it
/// sends on it, it stays.
#[test]
fn a_replaced_bundle_stays_while_the_peer_sends_on_it() {
    let (mut a, mut b) = pair(&BOTH);
    let old = agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    let on_old: Vec<_> = (0..9).map(|_| a.send(&clear())).collect();
    a.wait(60);
    b.wait(60);
    agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    a.told();
    b.told();
    let on_new = a.send(&clear());
    assert_eq!(b.deliver(&on_new), clear());
    assert_eq!(b.count(Happened::InBundleReplaced), 1);
    for sealed in &on_old {
        b.wait(4);
        assert_eq!(b.deliver(sealed), clear());
        assert_eq!(removals(&mut b), []);
    }
    b.wait(14);
    assert_eq!(removals(&mut b), [(old.1, RemoveWhy::Replaced)]);
    assert_eq!(b.count(Happened::InBundleReplaced), 1);
}

/// The newer bundle goes: the older one serves again, as long as it is there.
#[test]
fn the_older_bundle_serves_again() {
    let (mut a, mut b) = pair(&[ESP]);
    agreement(&[ESP], 3600, None).install(&mut a, &mut b);
    let new = agreement(&[ESP], 3600, None).install(&mut a, &mut b);
    a.plane.release(new.0, RemoveWhy::PeerDeleted);
    let sealed = a.send(&clear());
    assert_eq!(b.deliver(&sealed), clear());
}

/// Both sides renew at once: bundles do not pile up.
#[test]
fn bundles_of_one_policy_are_limited() {
    let (mut a, mut b) = pair(&[ESP]);
    for _ in 0..12 {
        agreement(&[ESP], 3600, None).install(&mut a, &mut b);
        assert!(a.policy("vpn").bundles.len() <= 4);
    }
    let sealed = a.send(&clear());
    assert_eq!(b.deliver(&sealed), clear());
}

/// Only the newest of several asks for a successor.
#[test]
fn only_the_newest_is_renewed() {
    let (mut a, mut b) = pair(&[ESP]);
    agreement(&[ESP], 1000, None).install(&mut a, &mut b);
    a.wait(100);
    let new = agreement(&[ESP], 1000, None).install(&mut a, &mut b).0;
    a.told();
    a.wait(880);
    assert_eq!(acquires(&mut a), [Some(new)]);
}

/// The peer's Delete names its inbound SPI, our outbound one.
#[test]
fn a_delete_finds_its_bundle() {
    let (mut a, mut b) = pair(&BOTH);
    let (of_a, _) = agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    a.told();
    let state = b.plane.state();
    let [esp, ah] = [0, 1].map(|place| state.sas().nth(place).unwrap().1.in_spi);
    assert!(!a.plane.delete_by_spi(ip("3.3.3.3"), Protocol::Esp, esp));
    assert!(!a.plane.delete_by_spi(ip(B), Protocol::Esp, ah));
    assert!(a.plane.delete_by_spi(ip(B), Protocol::Ah, ah));
    assert!(!a.plane.delete_by_spi(ip(B), Protocol::Ah, ah));
    assert_eq!(removals(&mut a), [(of_a, RemoveWhy::PeerDeleted)]);
}

/// A bundle goes while its packets are with the engine: they end, and its numbers are free only
/// when the engine has let go of the channels.
#[test]
fn removal_with_jobs_in_flight() {
    let (mut a, mut b) = pair(&BOTH);
    let (of_a, _) = agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    a.told();
    let mut cx = Cx {
        now: a.now,
        entropy: &mut a.entropy,
        buffers: &mut Heap,
    };
    let Verdict::Compute(job) = a.plane.outbound(&mut cx, WAN, filled(&clear())) else {
        panic!()
    };
    a.plane.release(of_a, RemoveWhy::Configuration);
    assert_eq!(a.plane.state().bundle_state(of_a), Some(SaState::Removing));
    a.plane.release(of_a, RemoveWhy::Configuration);
    let done = PacketDone {
        ticket: job.ticket,
        channel: job.channel,
        result: Ok(()),
        buffer: job.buffer,
    };
    let mut cx = Cx {
        now: a.now,
        entropy: &mut a.entropy,
        buffers: &mut Heap,
    };
    assert_eq!(why(a.plane.complete(&mut cx, done)), DropReason::SaGone);
    let mut closed = Vec::new();
    while let Some(event) = a.plane.next_event() {
        if let PlaneEvent::Close(channel) = event {
            closed.push(channel);
        }
    }
    assert_eq!(closed.len(), 4);
    for (place, channel) in closed.iter().enumerate() {
        assert_eq!(a.plane.state().sas().count(), 2, "{place}");
        a.plane.detached(*channel);
    }
    assert_eq!(a.plane.state().bundle_state(of_a), None);
    assert_eq!(a.plane.state().sas().count(), 0);
    let counted = [
        Happened::RemoveStarted,
        Happened::RemoveSaSetupStarted,
        Happened::RemoveDone,
        Happened::EspRemoveDone,
        Happened::AhRemoveDone,
    ];
    assert_eq!(counted.map(|happened| a.count(happened)), [1, 2, 1, 1, 1]);
    assert!(a.plane.state().paths().next().is_none());
}

/// Set-up and removal are counted where their names say.
#[test]
fn setting_up_is_counted() {
    let (mut a, mut b) = pair(&BOTH);
    agreement(&BOTH, 3600, None).install(&mut a, &mut b);
    let counted = [
        (Happened::SetupStarted, 1),
        (Happened::SetupSaSetupStarted, 2),
        (Happened::SetupDone, 1),
        (Happened::SetupFailed, 0),
        (Happened::AddSa, 2),
        (Happened::EspSetupDone, 1),
        (Happened::AhSetupDone, 1),
    ];
    for (happened, times) in counted {
        assert_eq!(a.count(happened), times, "{happened:?}");
    }
    let own = [
        Happened::SetupStarted,
        Happened::SetupSaSetupStarted,
        Happened::SetupDone,
    ];
    let policy = &a.policy("vpn").counters;
    assert_eq!(own.map(|happened| policy.get(happened)), [1, 2, 1]);
    // No room for another SA: nothing is kept.
    let limits = Limits {
        sas: 1,
        ..Limits::default()
    };
    let mut small = Router::with_limits(A, soft(), &limits);
    specify(&mut small, &BOTH, KeyManagement::Isakmp);
    let peer = PeerAddress::Address(ip(B));
    let policy = vpn(peer, KeyManagement::Isakmp, LANS);
    small.config.policies.push(policy);
    small.configure();
    let policy = small.policy_id("vpn");
    let protocols = [Protocol::Esp, Protocol::Ah];
    let ends = (ip(A), ip(B));
    let reserved = small
        .plane
        .reserve(small.now, &mut small.entropy, policy, ends, &protocols);
    assert_eq!(reserved, Err(ReserveFault::Full));
    small.pump();
    assert_eq!(small.count(Happened::SetupSaSetupFailImm), 1);
    assert_eq!(small.count(Happened::SetupFailed), 1);
    assert!(small.plane.state().sas().next().is_none());
    assert!(small.plane.state().bundles().next().is_none());
    assert!(small.plane.state().paths().next().is_none());
}

/// The engine has no channel left: the bundle goes, and its owner hears of it.
#[test]
fn no_channel_left() {
    let mut a = Router::new(A, SoftEngine::new(3, 8));
    specify(&mut a, &BOTH, KeyManagement::Manual);
    a.key(2, KeyKind::Aes, &cipher_key(Cipher::Aes128));
    for number in [3, 5] {
        a.key(number, KeyKind::General, &mac_key(HashAlg::Sha));
    }
    for (at, record) in (0..).zip(&mut a.config.sa_specs) {
        record.inspi = Some(1000 + at);
        record.outspi = Some(2000 + at);
    }
    let peer = PeerAddress::Address(ip(B));
    let policy = vpn(peer, KeyManagement::Manual, LANS);
    a.config.policies.push(policy);
    a.configure();
    assert!(a.policy("vpn").bundles.is_empty());
    assert_eq!(a.count(Happened::AhSetupFailed), 1);
    assert_eq!(why(a.outbound(&clear())), DropReason::NoBundle);
}

/// DES keys that are weak, and 3DES keys that are DES, are refused wherever they come from.
#[test]
fn threat_d14_weak_keys() {
    let weak = [
        "0101010101010101",
        "fefefefefefefefe",
        "e0e0e0e0f1f1f1f1",
        "1f1f1f1f0e0e0e0e",
        "011f011f010e010e",
        "1f011f010e010e01",
        "01e001e001f101f1",
        "e001e001f101f101",
        "01fe01fe01fe01fe",
        "fe01fe01fe01fe01",
        "1fe01fe00ef10ef1",
        "e01fe01ff10ef10e",
        "1ffe1ffe0efe0efe",
        "fe1ffe1ffe0efe0e",
        "e0fee0fef1fef1fe",
        "fee0fee0fef1fef1",
        "0000000000000000",
        "1e1e1e1e0f0f0f0f",
    ];
    for key in weak {
        assert!(is_weak_key(Cipher::Des, &hex(key)), "{key}");
    }
    assert!(!is_weak_key(Cipher::Des, &hex("0123456789abcdef")));
    let [x, y, z] = ["0123456789abcdef", "23456789abcdef01", "456789abcdef0123"];
    let cases = [
        ([x, y, z], false),
        ([x, x, z], true),
        ([x, y, y], true),
        ([x, y, x], false),
        // Parity makes no difference.
        (["0022446688aaccee", x, z], true),
    ];
    for (thirds, expected) in cases {
        assert_eq!(
            is_weak_key(Cipher::TripleDes, &hex(&thirds.concat())),
            expected
        );
    }
    for (cipher, key) in [
        (Cipher::Des, weak[0].to_string()),
        (Cipher::TripleDes, [x, x, z].concat()),
    ] {
        let specs = [esp(Mode::Tunnel, cipher, HashAlg::Sha)];
        let (mut a, _) = pair(&specs);
        let policy = a.policy_id("vpn");
        let ends = (ip(A), ip(B));
        let reserved = a
            .plane
            .reserve(a.now, &mut a.entropy, policy, ends, &[Protocol::Esp])
            .unwrap();
        let negotiated = Negotiated {
            sas: vec![SaKeys {
                protocol: Protocol::Esp,
                spi: reserved.spis[0].1,
                mode: Mode::Tunnel,
                cipher,
                cipher_key: Secret::copy_of(&hex(&key)),
                mac: Mac::HmacSha1_96,
                mac_key: Secret::copy_of(&[1; 20]),
                spec: 1,
            }],
            lifetime: Lifetime {
                seconds: 60,
                kbytes: None,
            },
            role: Role::Initiator,
            local: ends.0,
            peer: ends.1,
            selector: Selector::any(IpVersion::V4),
            isakmp_sa: 1,
            traversal: Traversal::default(),
        };
        let (bundle, half) = (reserved.bundle, Half::Inbound);
        let installed = a
            .plane
            .install(a.now, &mut a.entropy, bundle, half, negotiated);
        assert_eq!(installed, Err(InstallFault::WeakKey));
    }
    // 3DES with two equal thirds, typed in.
    let mut a = Router::at(A);
    let spec = esp(Mode::Tunnel, Cipher::TripleDes, HashAlg::Null);
    specify(&mut a, &[spec], KeyManagement::Manual);
    a.key(2, KeyKind::TripleDes, &hex(&[x, x, z].concat()));
    let fault = a.config.sa_specs[0].check_keys(&a.keys);
    assert!(matches!(fault, Err(ConfigFault::WeakKey { number: 2, .. })));
}

/// SET, DESTROY and re-ordering while traffic flows: only what changed loses its bundles.
#[test]
fn edits_take_only_what_they_change() {
    let (mut a, mut b) = pair(&[ESP]);
    for router in [&mut a, &mut b] {
        let own = router.config.policies[0].clone();
        let other = PolicyConfig {
            name: Name::new("other"),
            laddress: own.laddress.map(|_| selector("10.0.0.0/8")),
            ..own
        };
        router.config.policies.push(other);
        router.configure();
    }
    let (of_a, _) = agreement(&[ESP], 3600, None).install(&mut a, &mut b);
    let other = Agreement {
        policies: ("other", "other"),
        selectors: (
            a.policy("other").selector.clone(),
            b.policy("other").selector.clone(),
        ),
        ..agreement(&[ESP], 3600, None)
    };
    let (of_other, _) = other.install(&mut a, &mut b);
    a.told();
    let alive = |router: &Router, id| router.plane.state().bundle_state(id);
    // Another order, and a policy in front.
    a.config.policies.reverse();
    let deny = PolicyConfig {
        raddress: Some(selector("192.168.20.66")),
        ..PolicyConfig::new(Name::new("deny"), InterfaceName::new("ppp0"), Action::Deny)
    };
    a.config.policies.insert(0, deny);
    a.configure();
    let both = [of_a, of_other].map(|id| alive(&a, id));
    assert_eq!(both, [Some(SaState::Valid); 2]);
    let denied = udp_packet(HOST_A, "192.168.20.66", 5);
    assert_eq!(why(a.outbound(&denied)), DropReason::Denied);
    // SET of one policy.
    let place = a
        .config
        .policies
        .iter()
        .position(|p| p.name == *"vpn")
        .unwrap();
    a.config.policies[place].df_bit = Some(DfBit::Set);
    a.configure();
    assert_eq!(removals(&mut a), [(of_a, RemoveWhy::Configuration)]);
    assert_eq!(alive(&a, of_other), Some(SaState::Valid));
    // A packet that waits for a policy that goes.
    assert!(matches!(a.outbound(&clear()), Verdict::Held));
    a.config.policies.remove(place);
    a.configure();
    assert_eq!(why(a.ready().unwrap()), DropReason::PolicyChanged);
    assert!(a.ready().is_none());
    // DISABLE IPSEC: all bundles go, no policy is consulted.
    a.config.enabled = false;
    a.configure();
    assert_eq!(removals(&mut a), [(of_other, RemoveWhy::Configuration)]);
    assert_eq!(a.send(&clear()), clear());
    let policy = b.policy_id("vpn");
    b.plane.reset_policy(policy, RemoveWhy::Configuration);
    b.pump();
    assert!(b.policy("vpn").bundles.is_empty());
    assert_eq!(b.policy("other").bundles.len(), 1);
}
