//! What policies without keys count.

use super::*;

/// Policies without keys count what they did with a packet, and the filter where it differed.
#[test]
pub(crate) fn policies_and_selectors() {
    let mut router = Router::at(A);
    let policy = |name: &str, action, remote: &str| {
        let interface = InterfaceName::new("ppp0");
        let mut policy = PolicyConfig::new(Name::new(name), interface, action);
        policy.raddress = Some(selector(remote));
        policy
    };
    let mut web = policy("web", Action::Permit, "10.0.0.0/8");
    (web.transport, web.lport, web.rport) = (Some(6), Some(1000), Some(80));
    let mut range = policy("range", Action::Permit, "10.0.0.0/8");
    range.raddress = Some(AddressSelector::Range(ip("10.9.0.0"), ip("10.9.0.9")));
    let mut own = policy("own", Action::Deny, "10.0.0.0/8");
    own.laddress = Some(selector("192.168.77.0/24"));
    let mut own_range = policy("own-range", Action::Deny, "10.0.0.0/8");
    own_range.laddress = Some(AddressSelector::Range(
        ip("192.168.77.0"),
        ip("192.168.77.9"),
    ));
    let mut discovery = policy("nd", Action::Permit, "10.0.0.0/8");
    (discovery.raddress, discovery.version) = (None, Some(IpVersion::V6));
    discovery.neighbour_discovery = true;
    let deny = policy("deny", Action::Deny, "10.1.0.0/16");
    let permit = policy("permit", Action::Permit, "10.2.0.0/16");
    router.config.policies = vec![web, range, own, own_range, discovery, deny, permit];
    router.configure();
    let in_front = [
        "Policy Filter/localAddressMaskFailed",
        "Policy Filter/localAddressRangeFailed",
        "Policy Filter/remoteAddressRangeFailed",
        // Ports are compared before protocols.
        "Policy Filter/localPortFailed",
    ];
    let main = "IPsec main packet processing";
    for (to, arrives, last) in [
        ("10.1.0.1", false, vec!["Policy/outDeny".to_owned()]),
        (
            "10.2.0.1",
            false,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy/outPermit".into(),
            ],
        ),
        (
            "10.3.0.1",
            false,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy Filter/remoteAddressMaskFailed".into(),
                format!("{main}/outNoPolicyFound"),
            ],
        ),
        ("10.1.0.1", true, vec!["Policy/inDeny".into()]),
        (
            "10.2.0.1",
            true,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy/inPermit".into(),
            ],
        ),
        (
            "10.3.0.1",
            true,
            vec![
                "Policy Filter/remoteAddressMaskFailed".into(),
                "Policy Filter/remoteAddressMaskFailed".into(),
                format!("{main}/inNoPolicyFound"),
            ],
        ),
    ] {
        let mut expected: Vec<String> = in_front.iter().map(|name| (*name).into()).collect();
        expected.extend(last);
        let failures = expected
            .iter()
            .filter(|name| name.starts_with("Policy Filter"))
            .count();
        expected.extend(vec!["SPD/policyMatchSelectors Failed".into(); failures]);
        let start = if arrives {
            "inProcessPkt"
        } else {
            "outProcessPkt"
        };
        expected.push(format!("{main}/{start}"));
        if !expected.iter().any(|name| name.ends_with("NoPolicyFound")) {
            expected.push("SPD/policyMatchSelectors Good".into());
        }
        let mut added = added(&mut router, |router| {
            if arrives {
                router.inbound(&udp_packet(to, HOST_A, 4));
            } else {
                router.outbound(&udp_packet(HOST_A, to, 4));
            }
        });
        added.sort();
        expected.sort();
        assert_eq!(added, expected, "{to}");
    }
    // Neighbour discovery is compared by its types.
    let segment = |protocol: u8, from: u16, to: u16| {
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        packet(
            ip(HOST_A),
            ip("10.0.0.1"),
            protocol,
            &[&ports[..], &[0; 16]].concat(),
        )
    };
    for (packet, failed) in [
        (segment(6, 1001, 80), "Policy Filter/localPortFailed"),
        (segment(6, 1000, 81), "Policy Filter/remotePortFailed"),
        (segment(17, 1000, 80), "Policy Filter/transportProtoFailed"),
        (
            packet(
                ip("fd00::1"),
                ip("fd00::2"),
                58,
                &[128, 0, 0, 0, 0, 0, 0, 0],
            ),
            "Policy Filter/neighbourDiscFailed",
        ),
    ] {
        let added = added(&mut router, |router| {
            router.outbound(&packet);
        });
        let here = added.iter().filter(|name| *name == failed).count();
        assert_eq!(here, 1, "{failed}: {added:?}");
    }
}
