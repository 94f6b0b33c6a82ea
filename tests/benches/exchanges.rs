//! Diffie–Hellman, Main and Quick mode with everything around them, and what they cost in memory.

use core::time::Duration;
use std::time::Instant as Clock;

use hw_offload::{
    DhGroup, PublicEngine, PublicJob, PublicValue, Secret, SoftEngines, SoftPublic, Ticket, prime,
};
use ipsec_core::Instant;
use ipsec_core::model::Role;
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use lab::{Buf, Output, Router, echo_request};
use sekisho_tests::memory::{half_open, isakmp_sa};
use sekisho_tests::{HOST_A, HOST_B, basic};

use crate::rounds::{Table, Target, timed};

pub(crate) fn run(table: &mut Table) {
    for (group, target) in [
        (DhGroup::Modp768, Target::None),
        (DhGroup::Modp1024, Target::Ratio(0.55)),
    ] {
        diffie_hellman(table, group, target);
    }
    for group in [DhGroup::Modp768, DhGroup::Modp1024] {
        for role in [Role::Initiator, Role::Responder] {
            negotiations(table, group, role);
        }
    }
    memory(table);
}

/// What waits and what is agreed on costs in memory; SA pairs are with the crowd.
fn memory(table: &Table) {
    let half_opens = u16::MAX;
    let name = format!("memory, {half_opens} half-open, each");
    if table.wants(&name) {
        table.bytes(&name, half_open(half_opens), Some(512));
    }
    for peers in [1000, 100_000] {
        let name = format!("memory, {peers} ISAKMP SAs, each");
        if table.wants(&name) {
            table.bytes(&name, isakmp_sa(peers), Some(4096));
        }
    }
}

/// A shared secret from an exponent of 160 bits.
fn diffie_hellman(table: &mut Table, group: DhGroup, target: Target) {
    let exponent: Vec<u8> = (0xa0..0xa0 + 20).collect();
    let peer: Vec<u8> = (1..).take(group.len()).collect();
    let mut engine = SoftPublic::new(1);
    let mut secret = {
        let (exponent, peer) = (exponent.clone(), peer.clone());
        move || {
            let job = PublicJob::DhShared {
                ticket: Ticket(0),
                group,
                exponent: Secret::copy_of(&exponent),
                peer: peer.clone(),
            };
            engine.submit(job).expect("an idle engine takes a job");
            let done = engine.poll(u32::MAX).expect("the budget is enough");
            match done.result {
                Ok(PublicValue::Shared(secret)) => secret,
                other => panic!("{other:?}"),
            }
        }
    };
    let name = format!("DH group {}, 160 bits", group.number());
    #[cfg(feature = "openssl")]
    {
        let mut power = crate::openssl::Power::new(&peer, &exponent, &prime(group));
        power.run();
        assert_eq!(power.result(group.len()), secret().expose());
        let peer = || timed(1, || power.run());
        table.beside(&name, target, || timed(1, || drop(secret())), peer);
    }
    #[cfg(not(feature = "openssl"))]
    {
        let _ = prime;
        table.alone(&name, target, || timed(1, || drop(secret())));
    }
}

/// What one role computes from the packet that wants a tunnel to the bundle, beside libcrypto doing
/// nothing but that role's two exponentiations.
fn negotiations(table: &mut Table, group: DhGroup, role: Role) {
    let (place, word) = match role {
        Role::Initiator => (0, "initiator"),
        Role::Responder => (1, "responder"),
    };
    let name = format!("main + quick, group {}, {word}", group.number());
    let ours = move || (1, negotiate(group)[place]);
    #[cfg(feature = "openssl")]
    {
        let exponent: Vec<u8> = (0xa0..0xa0 + 20).collect();
        let theirs: Vec<u8> = (1..).take(group.len()).collect();
        let prime = prime(group);
        let power = |base: &[u8]| crate::openssl::Power::new(base, &exponent, &prime);
        let mut powers = [power(&[2]), power(&theirs)];
        let peer = || timed(1, || powers.iter_mut().for_each(crate::openssl::Power::run));
        table.beside(&name, Target::Rate, ours, peer);
    }
    #[cfg(not(feature = "openssl"))]
    table.alone(&name, Target::Rate, ours);
}

/// Two new routers that come to an SA pair, without a network between them; how long each of
/// them computed.
fn negotiate(group: DhGroup) -> [Duration; 2] {
    let number = group.number();
    let enable = "ENABLE ISAKMP\n";
    let set = format!("SET ISAKMP POLICY=i GROUP={number}\n{enable}");
    let mut routers = basic().map(|text| {
        let mut router = Router::new(SoftEngines::<Buf>::new(256, 64, 64), number.into());
        let findings = router.run_script(NOW, &text.replace(enable, &set));
        assert!(findings.is_empty(), "{findings:?}");
        router.settle_wan();
        router
    });
    let mut spent = [Duration::ZERO; 2];
    let (mut completed, mut sides) = (0, [1, 0].iter().cycle());
    let ping = echo_request(HOST_A, HOST_B, 0, 1).expect("both are IPv4");
    let start = Clock::now();
    routers[0].forward(NOW, &ping);
    let mut road = work(&mut routers[0], &mut completed);
    spent[0] += start.elapsed();
    // Phase 1 and phase 2, both here and there.
    while completed < 4 {
        let side = *sides.next().expect("they take turns for ever");
        let start = Clock::now();
        for packet in core::mem::take(&mut road) {
            routers[side].receive(NOW, &packet);
        }
        road = work(&mut routers[side], &mut completed);
        spent[side] += start.elapsed();
        assert!(!road.is_empty() || completed == 4, "they do not meet");
    }
    spent
}

/// Lets a router work until it rests; what it sends, and how many negotiations ended well.
fn work(router: &mut Router<SoftEngines<Buf>>, completed: &mut u32) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    loop {
        let deadline = router.turn(NOW);
        let outputs = router.outputs();
        let quiet = outputs.is_empty() && deadline.is_none_or(|at| at > NOW);
        for output in outputs {
            match output {
                Output::Wan(packet) => sent.push(packet),
                Output::Report(DeviceReport::Isakmp(Report::Completed { .. })) => *completed += 1,
                Output::Lan(_) | Output::Report(_) | Output::Ask(..) => {}
            }
        }
        if quiet {
            return sent;
        }
    }
}

const NOW: Instant = Instant::ZERO;
