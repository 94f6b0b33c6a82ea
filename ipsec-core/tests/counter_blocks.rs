//! The counter screens have every name of the manual, each once.

use ipsec_core::counters::{Block, Counters, Happened, PolicyCounters, SaCounters, Tally};

fn names(blocks: &[Block<Happened>]) -> usize {
    blocks.iter().map(|block| block.cells().count()).sum()
}

#[test]
fn every_name_of_the_screens_is_there() {
    assert_eq!(names(Happened::BLOCKS), 281);
    assert_eq!(names(Happened::POLICY_BLOCKS), 40);
    assert_eq!(names(Happened::SA_BLOCKS), 58);
    // The manual counts the nine algorithms as blocks of their own.
    assert_eq!(Happened::BLOCKS.len() + 9, 25);
}

/// Every printed counter is one of its own, and every event is printed somewhere.
#[test]
fn every_event_has_its_own_counters() {
    for blocks in [
        Happened::BLOCKS,
        Happened::POLICY_BLOCKS,
        Happened::SA_BLOCKS,
    ] {
        let mut seen = Vec::new();
        for (_, cell) in blocks.iter().flat_map(Block::cells) {
            assert!(!seen.contains(&cell.event), "{} twice", cell.name);
            seen.push(cell.event);
        }
    }
    let all = [
        Happened::BLOCKS,
        Happened::POLICY_BLOCKS,
        Happened::SA_BLOCKS,
    ];
    for event in Happened::ALL {
        let printed = all.iter().flat_map(|blocks| blocks.iter());
        let mut cells = printed.flat_map(Block::cells);
        assert!(cells.any(|(_, cell)| cell.event == *event), "{event:?}");
    }
}

#[test]
fn policies_and_sas_count_what_is_theirs() {
    let mut policy = PolicyCounters::default();
    let mut sa = SaCounters::default();
    for event in Happened::ALL {
        policy.raise(*event);
        sa.raise(*event);
    }
    let raised = |blocks: &[Block<Happened>], get: &dyn Fn(Happened) -> u64| {
        for (_, cell) in blocks.iter().flat_map(Block::cells) {
            let possible = u64::from(cell.event.impossible().is_none());
            assert_eq!(get(cell.event), possible, "{}", cell.name);
        }
    };
    raised(Happened::POLICY_BLOCKS, &|event| policy.get(event));
    raised(Happened::SA_BLOCKS, &|event| sa.get(event));
    assert_eq!(policy.get(Happened::FindSaGood), 0);
    assert_eq!(sa.get(Happened::OutActionPermit), 0);
    // Two SAs, a bundle and its share of tables stay below 1.5 KiB.
    assert!(size_of::<SaCounters>() <= 320);
}

#[test]
fn a_block_is_reset_alone() {
    let mut counters = Counters::default();
    counters.raise_by(Happened::FindSaGood, u64::MAX);
    counters.raise(Happened::FindSaGood);
    counters.raise(Happened::SetupDone);
    assert_eq!(counters.get(Happened::FindSaGood), u64::MAX);
    let sad = Happened::BLOCKS
        .iter()
        .filter(|block| block.category == "SAD");
    sad.for_each(|block| counters.reset_block(block));
    assert_eq!(counters.get(Happened::FindSaGood), 0);
    assert_eq!(counters.get(Happened::SetupDone), 1);
    counters.reset();
    assert_eq!(counters, Tally::default());
}
