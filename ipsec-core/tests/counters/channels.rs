//! What the life of channels counts.

use super::*;

/// A router whose bundle of one SA is being set up, and what that added; nothing has answered yet.
fn setting_up(spec: Spec) -> (Router, Vec<Ticket>, Vec<String>) {
    let mut router = Router::at(A);
    specify(&mut router, &[spec], KeyManagement::Manual);
    if let Some(kind) = KeyKind::of_cipher(spec.cipher) {
        router.key(2, kind, &cipher_key(spec.cipher));
    }
    router.key(3, KeyKind::General, &mac_key(spec.hash));
    let record = &mut router.config.sa_specs[0];
    (record.inspi, record.outspi) = (Some(1000), Some(2000));
    let peer = PeerAddress::Address(ip(B));
    router
        .config
        .policies
        .push(vpn(peer, KeyManagement::Manual, LANS));
    let begun = added(&mut router, |router| {
        let Router {
            plane,
            config,
            net,
            keys,
            now,
            ..
        } = router;
        plane.configure(*now, config, net, keys);
    });
    let mut tickets = Vec::new();
    while let Some(event) = router.plane.next_event() {
        if let PlaneEvent::Open { ticket, .. } = event {
            tickets.push(ticket);
        }
    }
    assert_eq!(tickets.len(), 2);
    (router, tickets, begun)
}

const CHANNEL: ChannelId = ChannelId {
    slot: 5,
    generation: 0,
};

#[test]
pub(crate) fn channels_that_cannot_be_opened_are_told_by_cause() {
    for (spec, fault, expected) in [
        (
            ESP,
            OpenFault::Full,
            &[
                "ESP setup/remove/setupEncSetupFailed",
                "ESP setup/remove/setupFailed",
                "aesAttachFail",
                "shaAttachFail",
            ][..],
        ),
        (
            ESP,
            OpenFault::KeyLength,
            &[
                "ESP setup/remove/setupEncSetupFailed",
                "ESP setup/remove/setupFailed",
                "aesConfigureFail",
                "shaConfigureFail",
            ],
        ),
        (
            NULL,
            OpenFault::Engine,
            &[
                "ESP setup/remove/setupHashSetupFailImm",
                "ESP setup/remove/setupFailed",
                "md5AttachFail",
            ],
        ),
        (
            AH,
            OpenFault::Full,
            &["AH setup/remove/setupFailed", "shaAttachFail"],
        ),
    ] {
        let (mut router, tickets, _) = setting_up(spec);
        let now = router.now;
        let mut added = added(&mut router, |router| {
            router.plane.opened(now, tickets[0], Err(fault));
        });
        // And with the SA its bundle goes.
        let removal = [
            "IPsec bundle setup/remove/setupSaSetupFailed",
            "IPsec bundle setup/remove/setupFailed",
            "IPsec bundle setup/remove/removeStarted",
            "IPsec bundle setup/remove/removeSaSetupStarted",
            "IPsec bundle setup/remove/removeDone",
            "SAD/Delete SA Good",
        ];
        let kind = spec.protocol.to_string();
        let mut expected: Vec<String> = expected
            .iter()
            .chain(&removal)
            .map(|name| (*name).into())
            .collect();
        expected.push(format!("{kind} setup/remove/removeNothingDone"));
        expected.push(format!("{kind} setup/remove/removeDone"));
        added.sort();
        expected.sort();
        assert_eq!(added, expected, "{spec:?} {fault:?}");
    }
}

#[test]
pub(crate) fn a_set_up_and_its_removal_count_each_step_once() {
    for (spec, prefix, algorithms) in [
        (ESP, "ESP", &["aes", "sha"][..]),
        (AH, "AH", &["sha"]),
        (BARE, "ESP", &["des"]),
        (TRIPLE, "ESP", &["3DesOuter", "md5"]),
        (NULL, "ESP", &["md5"]),
    ] {
        let (mut router, tickets, _) = setting_up(spec);
        let now = router.now;
        let channels = [CHANNEL, ChannelId { slot: 6, ..CHANNEL }];
        let mut set_up = added(&mut router, |router| {
            for (ticket, channel) in tickets.iter().zip(channels) {
                router.plane.opened(now, *ticket, Ok(channel));
            }
        });
        let mut expected = vec![
            format!("{prefix} setup/remove/setupDone"),
            "IPsec bundle setup/remove/setupDone".into(),
        ];
        for algorithm in algorithms {
            expected.push(format!("{algorithm}AttachGood"));
            expected.push(format!("{algorithm}ConfigureGood"));
        }
        set_up.sort();
        expected.sort();
        assert_eq!(set_up, expected);
        let mut removed = added(&mut router, |router| {
            let bundle = router.policy("vpn").bundles[0];
            router.plane.release(bundle, RemoveWhy::Configuration);
            for channel in channels {
                router.plane.detached(channel);
            }
        });
        let mut expected = vec![
            format!("{prefix} setup/remove/removeDone"),
            "IPsec bundle setup/remove/removeStarted".into(),
            "IPsec bundle setup/remove/removeSaSetupStarted".into(),
            "IPsec bundle setup/remove/removeDone".into(),
            "SAD/Delete SA Good".into(),
        ];
        for algorithm in algorithms {
            expected.push(format!("{algorithm}Remove"));
            expected.push(format!("{algorithm}Detached"));
        }
        removed.sort();
        expected.sort();
        assert_eq!(removed, expected);
    }
}

#[test]
pub(crate) fn a_bundle_that_is_begun_takes_its_keys() {
    for (spec, keys) in [
        (ESP, &["aesKeymatProcessed", "shaKeymatProcessed"][..]),
        (BARE, &["desKeymatProcessed"]),
        (TRIPLE, &["3DesOuterKeymatProcessed", "md5KeymatProcessed"]),
        (NULL, &["nullKeymatProcessed", "md5KeymatProcessed"]),
        (AH, &["shaKeymatProcessed"]),
    ] {
        let (.., mut begun) = setting_up(spec);
        let mut expected = vec![
            "SAD/Add SA Good",
            "IPsec bundle setup/remove/setupStarted",
            "IPsec bundle setup/remove/setupSaSetupStarted",
        ];
        expected.extend(keys);
        begun.sort();
        expected.sort_unstable();
        assert_eq!(begun, expected, "{spec:?}");
    }
}

#[test]
pub(crate) fn answers_that_come_too_late() {
    for (spec, expected) in [
        (ESP, "ESP setup/remove/setupEncSetupBundleRm"),
        (AH, "AH setup/remove/setupGetSaFailed"),
    ] {
        let (mut router, tickets, _) = setting_up(spec);
        let now = router.now;
        // One of its channels is open, so that its entry outlives the removal for a while.
        router.plane.opened(now, tickets[0], Ok(CHANNEL));
        let bundle = router.policy("vpn").bundles[0];
        router.plane.release(bundle, RemoveWhy::Configuration);
        let late = added(&mut router, |router| {
            router.plane.opened(now, tickets[1], Ok(CHANNEL));
        });
        assert_eq!(
            late,
            ["IPsec bundle setup/remove/setupBundleRemoving", expected]
        );
        router.plane.detached(CHANNEL);
        // Nobody knows a channel that came too late.
        let foreign = added(&mut router, |router| router.plane.detached(CHANNEL));
        assert_eq!(foreign, ["ESP setup/remove/removeGetSaFailed"]);
        let gone = added(&mut router, |router| {
            router.plane.opened(now, tickets[1], Ok(CHANNEL));
        });
        assert_eq!(
            gone,
            [
                "IPsec bundle setup/remove/setupBundleRemoving",
                "ESP setup/remove/setupGetSaFailed"
            ]
        );
    }
}

/// Whatever the algorithms, they are told apart.
#[test]
pub(crate) fn each_algorithm_fails_as_itself() {
    for (spec, algorithms) in [
        (ESP, &["aes", "sha"][..]),
        (BARE, &["des"]),
        (TRIPLE, &["3DesOuter", "md5"]),
    ] {
        for (fault, event) in [
            (OpenFault::Full, "AttachFail"),
            (OpenFault::Engine, "AttachFail"),
            (OpenFault::KeyLength, "ConfigureFail"),
        ] {
            let (mut router, tickets, _) = setting_up(spec);
            let now = router.now;
            let added = added(&mut router, |router| {
                router.plane.opened(now, tickets[0], Err(fault));
            });
            let failed = added.iter().filter(|name| !name.contains('/'));
            let expected = algorithms.iter().map(|name| format!("{name}{event}"));
            assert!(failed.cloned().eq(expected), "{added:?}");
        }
    }
}
