//! Every counter of packets and SAs is raised where its name says, and by nothing else: what each
//! scene adds to the screens is listed in full.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it stands"
)]

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod passes;
mod policies;
mod scenes;

use std::cell::RefCell;
use std::collections::BTreeSet;

use common::*;
use hw_offload::*;
use ipsec_core::counters::*;
use ipsec_core::model::*;
use ipsec_core::*;

const A: &str = "1.1.1.1";
const B: &str = "2.2.2.2";
const LANS: (&str, &str) = ("192.168.10.0/24", "192.168.20.0/24");
const HOST_A: &str = "192.168.10.7";
const HOST_B: &str = "192.168.20.9";

const ESP: Spec = esp(Mode::Tunnel, Cipher::Aes128, HashAlg::Sha);
const NULL: Spec = esp(Mode::Tunnel, Cipher::Null, HashAlg::Md5);
const BARE: Spec = esp(Mode::Tunnel, Cipher::Des, HashAlg::Null);
const TRIPLE: Spec = esp(Mode::Tunnel, Cipher::TripleDes, HashAlg::Md5);
const AH: Spec = ah(Mode::Tunnel, HashAlg::Sha);

fn clear() -> Vec<u8> {
    udp_packet(HOST_A, HOST_B, 40)
}

/// Every event with its name, those that only screens of policies print in a block `Policy`.
fn every_name() -> Vec<(Happened, String)> {
    let named = |block: &str, line: &str, cell: Cell<Happened>| {
        let name = [line, cell.name].join(" ");
        let name = match block.strip_suffix(" Algorithm") {
            Some(_) => cell.name.to_owned(),
            None => format!("{block}/{}", name.trim()),
        };
        (cell.event, name)
    };
    let mut names = Vec::new();
    for block in Happened::BLOCKS {
        let title = block.title.trim_end_matches(':').to_lowercase();
        let length = title.trim_end_matches(" counters").len();
        let title = &block.title[..length];
        names.extend(block.cells().map(|(line, cell)| named(title, line, cell)));
    }
    for (_, cell) in Happened::POLICY_BLOCKS.iter().flat_map(Block::cells) {
        if !names.iter().any(|(event, _)| *event == cell.event) {
            names.push(named("Policy", "", cell));
        }
    }
    assert_eq!(names.len(), Happened::ALL.len());
    names
}

thread_local! {
    /// Everything that scenes on this thread added.
    static SEEN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Every counter of a router, in the order of [`Happened::ALL`]: over all, and summed up over the
/// policies and the SAs that are there.
struct Counts {
    all: Vec<u64>,
    on_policies: Vec<u64>,
    on_sas: Vec<u64>,
    policies: Vec<PolicyId>,
    sas: Vec<SaId>,
}

impl Counts {
    fn of(router: &Router) -> Self {
        let plane = router.plane.state();
        let each = |value: &dyn Fn(Happened) -> u64| {
            let values = Happened::ALL.iter().map(|event| value(*event));
            values.collect()
        };
        Self {
            all: each(&|event| plane.counters().get(event)),
            on_policies: each(&|event| plane.policies().map(|(_, p)| p.counters.get(event)).sum()),
            on_sas: each(&|event| plane.sas().map(|(_, sa)| sa.counters.get(event)).sum()),
            policies: plane.policies().map(|(id, _)| id).collect(),
            sas: plane.sas().map(|(id, _)| id).collect(),
        }
    }
}

/// What a scene adds: every name as often as it was counted. What policies or SAs count, one of
/// them counted as often, where all are still there.
#[track_caller]
fn added(router: &mut Router, scene: impl FnOnce(&mut Router)) -> Vec<String> {
    let before = Counts::of(router);
    scene(router);
    let after = Counts::of(router);
    let grown = |before: &[u64], after: &[u64]| -> Vec<u64> {
        after.iter().zip(before).map(|(is, was)| is - was).collect()
    };
    let all = grown(&before.all, &after.all);
    if (&before.policies, &before.sas) == (&after.policies, &after.sas) {
        let on_policies = grown(&before.on_policies, &after.on_policies);
        let on_sas = grown(&before.on_sas, &after.on_sas);
        for (place, event) in Happened::ALL.iter().enumerate() {
            if OnPolicy::place(*event).is_some() {
                assert_eq!(on_policies[place], all[place], "{event:?} on policies");
            }
            if OnSa::place(*event).is_some() {
                assert_eq!(on_sas[place], all[place], "{event:?} on SAs");
            }
        }
    }
    let mut added = Vec::new();
    for (event, name) in every_name() {
        for _ in 0..all[event as usize] {
            added.push(name.clone());
        }
    }
    SEEN.with_borrow_mut(|seen| seen.extend(added.iter().cloned()));
    added
}

/// What no scene adds cannot happen, or commands count it, or it takes 2^32 packets; and nothing
/// that is said to be impossible is added by one.
#[test]
fn only_the_impossible_never_happens() {
    passes::what_leaves_counts_how_it_came_back();
    passes::what_arrives_counts_how_it_came_back();
    passes::every_packet_counts_its_start();
    passes::every_cipher_and_hash_counts_as_itself();
    channels::channels_that_cannot_be_opened_are_told_by_cause();
    channels::a_set_up_and_its_removal_count_each_step_once();
    channels::a_bundle_that_is_begun_takes_its_keys();
    channels::answers_that_come_too_late();
    channels::each_algorithm_fails_as_itself();
    policies::policies_and_selectors();
    scenes::spis_are_found_or_not();
    scenes::what_policies_say_of_datagrams();
    scenes::bundles_that_cannot_be_begun();
    scenes::packets_without_a_bundle();
    scenes::bundles_reach_their_limits();
    scenes::the_first_packet_replaces_a_bundle();
    scenes::packets_that_do_not_fit_their_bundle();
    scenes::packets_that_are_no_good();
    scenes::what_goes_by_udp();
    let seen = SEEN.take();
    // Sequence numbers end in the tests inside the crate, which can set them.
    let elsewhere = |name: &str| {
        let command = ["policy", "saSpec", "bundleSpec"]
            .iter()
            .any(|record| name.starts_with(&format!("SPD/{record}")));
        let matching = name.contains("MatchSelectors");
        (command && !matching) || name.ends_with("seqNumberCycled")
    };
    for (event, name) in every_name() {
        let expected = event.impossible().is_none() && !elsewhere(&name);
        assert_eq!(seen.contains(&name), expected, "{name}");
    }
}
