//! The manual's configurations around phase 1 do what they are there for.

use core::time::Duration;

use hw_offload::Engines;
use ipsec_core::Instant;
use isakmp_core::counters::Happened;
use isakmp_core::wire::ExchangeType;
use isakmp_core::{LostBy, Report};
use lab::nat::Kind;
use lab::{Buf, Pair, Side};
use sekisho_tests::{
    HOST_A, HOST_B, attempts, bundles, config, failures, isakmp, isakmp_sas, one, pair_with,
    ping_both, story, transmissions,
};

/// The pings that the policies allow, from whichever side can begin.
fn comes_up<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    let pings = pair.default_pings();
    assert!(!pings.is_empty(), "{what}");
    for (place, (_, source, destination)) in (0..).zip(pings) {
        pair.ping(source, destination, Instant::from_secs(place));
    }
    let up = pair.run(Instant::from_secs(60));
    assert!(up, "{what}: {:?}", failures(pair));
    assert_eq!((failures(pair), pair.clear), (Vec::new(), 0), "{what}");
    for side in [Side::A, Side::B] {
        assert_eq!(bundles(pair, side), 1, "{what} {side}");
    }
}

story!(
    the_nat_traversal_pair_comes_up_behind_a_box,
    |engines, seed| {
        // The file has no address of its own for B, the test gave it a public one.
        let configs = [config("nat-t.a"), config("nat-t.b")];
        let configs = one(&configs, 1, "IP=2.2.2.2", "IP=10.0.1.2");
        let mut pair = pair_with(engines, &configs, seed);
        assert!(pair.place_nat(Side::B, Kind::Symmetric).is_some());
        comes_up(&mut pair, "nat-t");
        let sa = pair.a.device.endpoint().sas().next().expect("an SA");
        assert_eq!(sa.path.local.port(), 4500);
    }
);

/// The responder with the extension and a short life, and a client that no longer says a word of
/// ISAKMP once the tunnel is up.
fn silent_client<E: Engines<Buf = Buf>>(
    engines: impl Fn(Side) -> E,
    rekey: &str,
    seed: u64,
) -> Pair<E> {
    let configs = [config("responder-rekey.a"), config("aggressive-dynamic.b")];
    let wanted = format!("{rekey} EXPIRYSECONDS=600");
    let configs = one(&configs, 0, "REKEY=ON EXPIRYSECONDS=28800", &wanted);
    let mut pair = pair_with(engines, &configs, seed);
    pair.ping(HOST_B, HOST_A, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    pair.run_to(pair.now + Duration::from_secs(1));
    pair.road = Some(Box::new(|side, _, packet| {
        let esp = packet[9] == 50;
        if esp || side == Side::A {
            vec![(Duration::ZERO, packet.to_vec())]
        } else {
            Vec::new()
        }
    }));
    pair
}

/// A ping from the client every ten seconds.
fn busy<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, until: u64) {
    while pair.now < Instant::from_secs(until) {
        let now = pair.now;
        pair.pings.clear();
        pair.ping(HOST_B, HOST_A, now);
        pair.run_to(now + Duration::from_secs(10));
    }
}

story!(
    the_responder_extends_while_there_is_traffic,
    |engines, seed| {
        let mut pair = silent_client(engines, "REKEY=ON", seed);
        busy(&mut pair, 900);
        let up = (bundles(&mut pair, Side::A), isakmp_sas(&mut pair, Side::A));
        assert_eq!(up, (1, 1), "used for five minutes after its life");
        let end = pair.now;
        pair.pings.clear();
        pair.run_to(end + Duration::from_secs(125));
        let up = (bundles(&mut pair, Side::A), isakmp_sas(&mut pair, Side::A));
        assert_eq!(up, (0, 0), "unused for more than a minute");
        let lost: Vec<LostBy> = isakmp(&pair)
            .filter_map(|(_, report)| match report {
                Report::PeerLost { by, .. } => Some(*by),
                _ => None,
            })
            .collect();
        assert_eq!(lost, [LostBy::Idle]);
    }
);

story!(
    what_goes_unused_is_told_where_the_policy_says_so,
    |engines, seed| {
        for (more, deletes) in [("", 0), (" SENDDELETES=TRUE", 2)] {
            let mut pair = silent_client(&engines, &format!("REKEY=ON{more}"), seed);
            pair.run_to(Instant::from_secs(760));
            let left = (bundles(&mut pair, Side::A), isakmp_sas(&mut pair, Side::A));
            assert_eq!(left, (0, 0), "{more}");
            let informational = (ExchangeType::Informational, 1);
            let told = transmissions(&pair, Side::A, informational).into_iter();
            let told = told.filter(|at| *at > Instant::from_secs(590)).count();
            assert_eq!(told, deletes, "{more}");
        }
    }
);

story!(
    without_the_extension_the_life_is_the_life,
    |engines, seed| {
        let mut pair = silent_client(engines, "REKEY=OFF", seed);
        busy(&mut pair, 660);
        assert_eq!(isakmp_sas(&mut pair, Side::A), 0);
    }
);

/// The basic VPN whose A answers unknown SPIs, and B that goes on sending after A restarted.
fn forgetful<E: Engines<Buf = Buf>>(
    engines: &impl Fn(Side) -> E,
    answers: &str,
    isakmp: &str,
    seed: u64,
) -> Pair<E> {
    let a = config("respond-bad-spi.a");
    let configs = [a, config("basic-isakmp-vpn.b")];
    let configs = one(&configs, 0, "RESPONDBADSPI=TRUE", answers);
    let configs = one(&configs, 0, "SENDN=TRUE", isakmp);
    let mode = isakmp.contains("AGGR");
    let configs = if mode {
        one(&configs, 1, "SENDN=TRUE", isakmp)
    } else {
        configs
    };
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    let findings = pair.restart(Side::A, engines(Side::A), &configs[0]);
    assert!(findings.is_empty(), "{findings:?}");
    pair.pings.clear();
    pair.happenings.clear();
    let now = pair.now;
    pair.ping(HOST_B, HOST_A, now);
    pair
}

story!(
    an_unknown_spi_brings_a_restarted_router_back,
    |engines, seed| {
        let mut pair = forgetful(&engines, "RESPONDBADSPI=TRUE", "SENDN=TRUE", seed);
        let up = pair.run(pair.now + Duration::from_secs(10));
        assert!(up, "{:?}", failures(&pair));
        let counters = pair.a.device.endpoint().counters();
        assert_eq!(
            (
                counters.get(Happened::BadSpiRequests),
                counters.get(Happened::BadSpiFromKnownPeer),
                attempts(&pair, 1)
            ),
            (1, 0, 1)
        );
        assert_eq!(pair.clear, 0);
    }
);

story!(who_may_not_be_told_is_left_alone, |engines, seed| {
    let rows = [
        ("RESPONDBADSPI=FALSE", "SENDN=TRUE", (0, 0, 0)),
        ("RESPONDBADSPI=TRUE", "SENDN=FALSE", (1, 0, 1)),
        ("RESPONDBADSPI=TRUE", "SENDN=TRUE MODE=AGGR", (1, 1, 0)),
    ];
    for (answers, isakmp, want) in rows {
        let mut pair = forgetful(&engines, answers, isakmp, seed);
        pair.run_to(pair.now + Duration::from_secs(9));
        let counters = pair.a.device.endpoint().counters();
        assert_eq!(
            (
                counters.get(Happened::BadSpiRequests),
                counters.get(Happened::BadSpiInAggrMode),
                counters.get(Happened::BadSpiSendNotifyUnset)
            ),
            want,
            "{answers} {isakmp}"
        );
        assert_eq!(attempts(&pair, 1), 0, "{answers} {isakmp}");
    }
});

/// Somebody copies what B sends, with an SPI that nobody knows.
fn forge<E: Engines<Buf = Buf>>(pair: &mut Pair<E>) {
    pair.road = Some(Box::new(|side, number, packet| {
        let mut copies = vec![(Duration::ZERO, packet.to_vec())];
        if side == Side::B && packet[9] == 50 {
            let mut forged = packet.to_vec();
            forged[20..24].copy_from_slice(&(0x7000_0000 + number as u32).to_be_bytes());
            copies.push((Duration::ZERO, forged));
        }
        copies
    }));
}

story!(threat_c8_forged_esp_undoes_nothing, |engines, seed| {
    let configs = [config("respond-bad-spi.a"), config("basic-isakmp-vpn.b")];
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(60)), "{:?}", failures(&pair));
    forge(&mut pair);
    for _ in 0..60 {
        let now = pair.now;
        pair.ping(HOST_B, HOST_A, now);
        assert!(pair.run(now + Duration::from_secs(1)));
        pair.run_to(now + Duration::from_secs(1));
    }
    let counters = pair.a.device.endpoint().counters();
    // At most one in ten seconds is even looked at, and the peer is known.
    assert!((6..=7).contains(&counters.get(Happened::BadSpiRequests)));
    assert_eq!(
        counters.get(Happened::BadSpiFromKnownPeer),
        counters.get(Happened::BadSpiRequests)
    );
    assert_eq!((attempts(&pair, 1), attempts(&pair, 2)), (1, 1));
    let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
    assert_eq!(up, (1, 1));
});

/// threats.md C3: who is allowed a subnet by name gets no other client's.
#[test]
fn threat_c3_nobody_takes_what_another_has() {
    let configs = [config("xauth.a"), config("xauth.b1")];
    // Client 1 asks as client 2.
    let configs = one(&configs, 1, "LNAME=client1", "LNAME=client2");
    let mut pair = sekisho_tests::pair(&configs, 7);
    let (_, source, destination) = pair.default_pings()[0];
    pair.ping(source, destination, Instant::ZERO);
    pair.run_to(Instant::from_secs(60));
    // The name is one that its phase 1 does not prove; what it gets is its own address only.
    for (_, bundle) in pair.a.device.plane().bundles() {
        let remote = format!("{bundle:?}");
        assert!(remote.contains("2.2.2.1"), "{remote}");
    }
}
