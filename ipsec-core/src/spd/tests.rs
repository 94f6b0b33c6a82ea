//! The index and the cache against the scan, and their edges.

use alloc::vec;
use core::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::model::{IpVersion, Name};

const ON: InterfaceId = InterfaceId(2);

/// Addresses at which mistakes would show: the ends of the number range, and few enough between
/// for selectors to meet, nest and cross.
fn address(number: u8, version: IpVersion) -> IpAddr {
    match (number % 24, version) {
        (n @ 0..2, IpVersion::V4) => IpAddr::V4(u32::from(n).into()),
        (n @ 2..4, IpVersion::V4) => IpAddr::V4((u32::MAX - u32::from(n - 2)).into()),
        (n, IpVersion::V4) => [10, 0, n / 20, n].into(),
        (n @ 0..2, IpVersion::V6) => IpAddr::V6(u128::from(n).into()),
        (n @ 2..4, IpVersion::V6) => IpAddr::V6((u128::MAX - u128::from(n - 2)).into()),
        (n, IpVersion::V6) => IpAddr::V6(((0xfe80 << 112) + u128::from(n)).into()),
    }
}

fn address_selector(version: IpVersion, any_weight: u32) -> impl Strategy<Value = AddressSelector> {
    let other = match version {
        IpVersion::V4 => IpVersion::V6,
        IpVersion::V6 => IpVersion::V4,
    };
    let short = prop_oneof![Just(0_u8), Just(1), Just(8), Just(24)];
    let long = (0_u8..=6).prop_map(move |host| match version {
        IpVersion::V4 => 32 - host,
        IpVersion::V6 => 128 - host,
    });
    let one = move || any::<u8>().prop_map(move |n| address(n, version));
    prop_oneof![
        any_weight => Just(AddressSelector::Any),
        6 => (one(), long).prop_map(|(a, len)| AddressSelector::Prefix(a, len)),
        2 => (one(), short).prop_map(|(a, len)| AddressSelector::Prefix(a, len)),
        4 => (one(), one()).prop_map(|(a, b)| AddressSelector::Range(a.min(b), a.max(b))),
        // What no command makes: nothing is selected.
        1 => (one(), one()).prop_map(|(a, b)| AddressSelector::Range(a, b)),
        1 => one().prop_map(move |a| AddressSelector::Range(a, address(9, other))),
        1 => Just(AddressSelector::host(address(9, other))),
    ]
}

/// The more addresses are ANY, the more the other fields decide.
fn selector(any_weight: u32) -> impl Strategy<Value = Selector> {
    let version = prop_oneof![3 => Just(IpVersion::V4), 2 => Just(IpVersion::V6)];
    let port = || proptest::option::weighted(0.3, prop_oneof![0_u16..3, Just(u16::MAX)]);
    let protocol = prop_oneof![Just(6_u8), Just(17), Just(58), Just(0), Just(255)];
    version.prop_flat_map(move |version| {
        (
            address_selector(version, any_weight),
            address_selector(version, any_weight),
            port(),
            port(),
            proptest::option::weighted(0.3, protocol.clone()),
            proptest::bool::weighted(0.2),
            proptest::option::weighted(0.1, Just(Name::new("peer"))),
        )
            .prop_map(
                move |(local, remote, local_port, remote_port, protocol, nd, name)| Selector {
                    version,
                    local,
                    remote,
                    local_port,
                    remote_port,
                    local_name: name.clone(),
                    remote_name: name,
                    protocol,
                    neighbour_discovery: nd,
                },
            )
    })
}

fn policies(selectors: impl IntoIterator<Item = Selector>) -> Vec<(PolicyId, Selector)> {
    (0..)
        .zip(selectors)
        .map(|(slot, selector)| {
            (
                PolicyId(Id {
                    slot,
                    generation: 7,
                }),
                selector,
            )
        })
        .collect()
}

/// A flow and its direction out of the bits of a number.
fn flow(mut bits: u64) -> (Flow, Direction) {
    let mut draw = |below: u64| {
        let drawn = bits % below;
        bits /= below;
        drawn as usize
    };
    let version = [IpVersion::V4, IpVersion::V4, IpVersion::V6][draw(3)];
    let port = |n: usize| [0, 1, 2, 3, u16::MAX][n];
    let source = address(draw(24) as u8, version);
    let destination = address(draw(24) as u8, version);
    let protocol = [6, 17, 58, 0, 255][draw(5)];
    let ports = (port(draw(5)), port(draw(5)));
    // A later fragment shows no ports.
    let fragment = draw(4) == 0;
    let flow = Flow {
        source,
        destination,
        protocol,
        ports: (matches!(protocol, 6 | 17) && !fragment).then_some(ports),
        icmp_type: (protocol == 58 && !fragment).then(|| 132 + draw(6) as u8),
    };
    (flow, [Direction::Out, Direction::In][draw(2)])
}

/// Searches in every way; all must agree with the scan in the decision and in every counter.
fn check(
    list: &[(PolicyId, Selector)],
    flows: impl IntoIterator<Item = (Flow, Direction)>,
    cache: u16,
) -> Result<(), TestCaseError> {
    let mut spd = Spd::new(cache, [1, 2]);
    spd.replace(vec![(ON, list.to_vec())]);
    let (mut searched, mut aloud) = (Counters::default(), Counters::default());
    let mut expected = Counters::default();
    for (flow, direction) in flows {
        let (found, failures) = scan(list, direction, &flow);
        Answer { found, failures }.count(&mut expected);
        prop_assert_eq!(spd.search(ON, direction, &flow, &mut searched), found);
        prop_assert_eq!(&searched, &expected, "{} {:?}", flow, direction);
        let loud = spd.search_aloud(ON, direction, &flow, &mut aloud, |_, _| ());
        prop_assert_eq!(loud, found);
    }
    prop_assert_eq!(&aloud, &expected);
    Ok(())
}

const CASES: u32 = 2500;
const FLOWS: usize = 400;

proptest! {
    // A million flows.
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Neither the index nor the cache changes the decision or a single counter.
    #[test]
    fn search_equals_scan(
        selectors in prop_oneof![
            proptest::collection::vec(selector(3), 0..80),
            proptest::collection::vec(selector(80), 0..80),
        ],
        flows in proptest::collection::vec(any::<u64>(), FLOWS),
        cache in prop_oneof![Just(0_u16), 1_u16..16, Just(1024)],
    ) {
        check(&policies(selectors), flows.into_iter().map(flow), cache)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Edits under traffic: what is known of the old lists is never said of the new ones.
    #[test]
    fn edits_empty_the_cache(
        lists in proptest::collection::vec(proptest::collection::vec(selector(3), 0..12), 1..8),
        flows in proptest::collection::vec(any::<u64>(), 1..40),
    ) {
        let mut spd = Spd::new(64, [3, 4]);
        for list in lists.into_iter().map(policies) {
            spd.replace(vec![(ON, list.clone())]);
            for (flow, direction) in flows.iter().chain(&flows).copied().map(flow) {
                let (found, failures) = scan(&list, direction, &flow);
                let (mut expected, mut counted) = (Counters::default(), Counters::default());
                Answer { found, failures }.count(&mut expected);
                prop_assert_eq!(spd.search(ON, direction, &flow, &mut counted), found);
                prop_assert_eq!(&counted, &expected);
            }
        }
    }
}

/// Numbers in no order, for lists too long to be drawn by proptest.
fn scatter(n: u32) -> u32 {
    n.wrapping_mul(0x9e37_79b1).rotate_left(13)
}

fn v4(bits: u32) -> IpAddr {
    IpAddr::V4(bits.into())
}

/// Long lists: prefixes, ranges that cross in one field, and ranges that cover each other in
/// both, for which there is no index.
#[test]
fn long_lists_equal_scan() {
    let wide = |n: u32| {
        let (a, b) = (scatter(n) >> 8, scatter(n + 1) >> 8);
        AddressSelector::Range(v4(a.min(b)), v4(a.max(b)))
    };
    let narrow = |n: u32| AddressSelector::Prefix(v4(scatter(n) >> 8), 22);
    let of = |n: u32, local, remote| Selector {
        local,
        remote,
        remote_port: (!n.is_multiple_of(3)).then_some((n % 50) as u16),
        protocol: n.is_multiple_of(5).then_some(6),
        ..Selector::any(IpVersion::V4)
    };
    let kinds: [&dyn Fn(u32) -> Selector; 4] = [
        &|n| of(n, AddressSelector::Any, narrow(n)),
        &|n| of(n, narrow(n), narrow(n + 1)),
        &|n| {
            of(
                n,
                narrow(n % 64),
                if n % 2 == 0 { wide(n) } else { narrow(n) },
            )
        },
        &|n| of(n + 1, wide(2 * n), wide(2 * n + 9_999)),
    ];
    for selector in kinds {
        let list = policies((0..3000).map(selector));
        let flows = (0..300).map(|n| {
            let addresses = |selector: &AddressSelector| match selector.bounds() {
                Some((low, _)) => low,
                None => v4(scatter(n)),
            };
            let (_, policy) = &list[scatter(n) as usize % list.len()];
            let flow = Flow {
                source: addresses(&policy.local),
                destination: addresses(&policy.remote),
                protocol: [6, 17][n as usize % 2],
                ports: Some((1, policy.remote_port.unwrap_or(7))),
                icmp_type: None,
            };
            (flow, Direction::Out)
        });
        check(&list, flows, 256).expect("search equals scan");
    }
}

fn ping(source: [u8; 4], destination: [u8; 4]) -> Flow {
    Flow {
        source: source.into(),
        destination: destination.into(),
        protocol: 1,
        ports: None,
        icmp_type: Some(8),
    }
}

#[test]
fn each_interface_has_its_own_list() {
    let mut spd = Spd::new(16, [1, 2]);
    let all = |generation| {
        let id = PolicyId(Id {
            slot: 0,
            generation,
        });
        vec![(id, Selector::any(IpVersion::V4))]
    };
    spd.replace(vec![
        (InterfaceId(7), all(1)),
        (InterfaceId(300), all(2)),
        (InterfaceId(9), Vec::new()),
        (InterfaceId(7), all(3)),
    ]);
    let flow = ping([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut counters = Counters::default();
    let mut search = |on| spd.search(InterfaceId(on), Direction::In, &flow, &mut counters);
    let policy = |generation| {
        Found::Policy(PolicyId(Id {
            slot: 0,
            generation,
        }))
    };
    for _ in 0..2 {
        assert_eq!(search(0), Found::Untouched);
        assert_eq!(search(8), Found::Untouched);
        assert_eq!(search(u16::MAX), Found::Untouched);
        assert_eq!(search(7), policy(1));
        assert_eq!(search(300), policy(2));
        assert_eq!(search(9), Found::Nothing);
    }
    assert_eq!(counters.get(Happened::PolicyMatchGood), 4);
    spd.replace(Vec::new());
    let found = spd.search(InterfaceId(7), Direction::In, &flow, &mut counters);
    assert_eq!(found, Found::Untouched);
}

#[test]
fn a_flow_of_two_versions_is_of_neither() {
    let all = [IpVersion::V4, IpVersion::V6].map(Selector::any);
    let list = policies(all);
    let flow = Flow {
        destination: IpAddr::V6(1_u128.into()),
        ..ping([10, 0, 0, 1], [10, 0, 0, 2])
    };
    let both = [Direction::Out, Direction::In].map(|direction| (flow, direction));
    check(&list, both, 16).expect("search equals scan");
    let (found, failures) = scan(&list, Direction::Out, &flow);
    assert_eq!((found, failures), (Found::Nothing, Failures::default()));
}

/// The debugging scan tells of each policy of the version up to the match, and of none after it.
#[test]
fn every_comparison_is_told_in_order() {
    let any = Selector::any(IpVersion::V4);
    let list = policies([
        Selector {
            remote: AddressSelector::host([10, 0, 0, 3].into()),
            ..any.clone()
        },
        Selector::any(IpVersion::V6),
        Selector {
            local_port: Some(500),
            ..any.clone()
        },
        any.clone(),
        any,
    ]);
    let mut spd = Spd::new(16, [1, 2]);
    spd.replace(vec![(ON, list.clone())]);
    let flow = ping([10, 0, 0, 1], [10, 0, 0, 2]);
    let expected = [
        (list[0].0, Err(SelectorField::RemoteAddress)),
        (list[2].0, Err(SelectorField::LocalPort)),
        (list[3].0, Ok(())),
    ];
    let told: Vec<_> = spd.explain(ON, Direction::Out, &flow).collect();
    assert_eq!(told, expected);
    let (mut told, mut counters) = (Vec::new(), Counters::default());
    let found = spd.search_aloud(ON, Direction::Out, &flow, &mut counters, |id, result| {
        told.push((id, result));
    });
    assert_eq!(
        (told.as_slice(), found),
        (&expected[..], Found::Policy(list[3].0))
    );
    assert_eq!(
        spd.explain(InterfaceId(0), Direction::Out, &flow).count(),
        0
    );
}

/// The filter counters tell addresses written as a mask from those written as a range.
#[test]
fn masks_and_ranges_are_counted_apart() {
    let range = AddressSelector::Range([10, 0, 0, 8].into(), [10, 0, 0, 9].into());
    let host = AddressSelector::host([10, 0, 0, 8].into());
    let of = |local, remote| Selector {
        local,
        remote,
        ..Selector::any(IpVersion::V4)
    };
    let any = AddressSelector::Any;
    let kinds = [of(range, any), of(host, any), of(any, range), of(any, host)];
    // Once compared one by one, once by the index.
    for times in [1, 20] {
        let list = policies(kinds.iter().cycle().take(4 * times).cloned());
        let mut spd = Spd::new(16, [1, 2]);
        spd.replace(vec![(ON, list)]);
        let mut counters = Counters::default();
        let flow = ping([10, 0, 0, 1], [10, 0, 0, 2]);
        for round in 1..=2 {
            spd.search(ON, Direction::Out, &flow, &mut counters);
            for happened in [
                Happened::LocalAddressRangeFailed,
                Happened::LocalAddressFailed,
                Happened::RemoteAddressRangeFailed,
                Happened::RemoteAddressFailed,
            ] {
                assert_eq!(
                    counters.get(happened),
                    (round * times) as u64,
                    "{happened:?}"
                );
            }
        }
    }
}

/// A port that the packet does not show is none at all, not the highest either.
#[test]
fn a_hidden_port_is_no_port() {
    let list = policies((0..60).map(|n| Selector {
        local_port: Some(u16::MAX),
        remote_port: Some(n),
        ..Selector::any(IpVersion::V4)
    }));
    let hidden = ping([10, 0, 0, 1], [10, 0, 0, 2]);
    let shown = Flow {
        protocol: 17,
        ports: Some((u16::MAX, u16::MAX)),
        ..hidden
    };
    let flows = [hidden, shown].map(|flow| (flow, Direction::Out));
    check(&list, flows, 16).expect("search equals scan");
}
