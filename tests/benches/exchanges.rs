//! Diffie–Hellman, and Main mode with everything around it.

use hw_offload::{
    DhGroup, PublicEngine, PublicJob, PublicValue, Secret, SoftPublic, Ticket, prime,
};
use ipsec_core::Instant;
use isakmp_core::{Phase, Report};
use sekisho_tests::{HOST_A, HOST_B, basic, isakmp, pair};

use crate::rounds::{Batch, Table, Target, timed};

pub(crate) fn run(table: &mut Table) {
    for (group, target) in [
        (DhGroup::Modp768, Target::None),
        (DhGroup::Modp1024, Target::Ratio(0.55)),
    ] {
        diffie_hellman(table, group, target);
    }
    for group in [DhGroup::Modp768, DhGroup::Modp1024] {
        let name = format!("main mode, group {}", group.number());
        table.alone(&name, Target::None, move || main_mode(group));
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

/// Two new routers, from the packet that wants a tunnel to the ISAKMP SA of both.
fn main_mode(group: DhGroup) -> Batch {
    let number = group.number();
    let configs = basic().map(|text| {
        let enable = "ENABLE ISAKMP\n";
        text.replace(
            enable,
            &format!("SET ISAKMP POLICY=i GROUP={number}\n{enable}"),
        )
    });
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    let sixth_message = Instant::ZERO + pair.weather.delay * 6;
    let batch = timed(1, || pair.run_to(sixth_message));
    let completed = isakmp(&pair).filter(|(_, report)| {
        matches!(
            report,
            Report::Completed {
                phase: Phase::One,
                ..
            }
        )
    });
    assert_eq!(completed.count(), 2);
    batch
}
