//! The counter screens of IPsec.

use alloc::format;
use alloc::string::String;

use ipsec_core::counters::{
    Algorithm, AlgorithmEvent, BLOCKS, Block, Body, Category, Happened, POLICY_BLOCKS,
    POLICY_EVENTS, PolicyCounters, Row, SA_LINES, SaLine,
};
use ipsec_core::{PlaneState, Sa};

use super::Screen;

/// SHOW IPSEC COUNTERS: the blocks of some categories, or all.
pub(crate) fn counters(plane: &PlaneState, categories: Option<&[Category]>) -> String {
    let wanted = |block: &&Block| {
        categories.is_none_or(|list| block.category.is_some_and(|one| list.contains(&one)))
    };
    let mut screen = Screen::new(0);
    for block in BLOCKS.iter().filter(wanted) {
        screen.line("");
        screen.line(block.title);
        match block.body {
            Body::Outcomes(rows) => outcomes(&mut screen, plane, block, rows),
            Body::Rows(rows) => {
                for row in rows {
                    cells(&mut screen, 2, *row, |name| {
                        let happened = Happened::of(block.key, name);
                        happened.map_or(0, |happened| plane.counters().get(happened))
                    });
                }
            }
            Body::Algorithms => algorithms(&mut screen, plane),
        }
    }
    screen.text
}

fn outcomes(screen: &mut Screen, plane: &PlaneState, block: &Block, rows: &[(&str, bool)]) {
    screen.line(format!("{:>36}{:>14}", "Good", "Failed"));
    let value = |name: String| {
        Happened::of(block.key, &name).map_or(0, |happened| plane.counters().get(happened))
    };
    for (name, fails) in rows {
        let good = value(format!("{name} Good"));
        let failed = value(format!("{name} Failed"));
        if *fails {
            screen.line(format!("  {name:<24}{good:>10}{failed:>14}"));
        } else {
            screen.line(format!("  {name:<24}{good:>10}"));
        }
    }
}

fn algorithms(screen: &mut Screen, plane: &PlaneState) {
    let counted = plane.algorithms();
    cells(screen, 2, ["nullKeymatProcessed", ""], |_| {
        counted.null_keymat_processed
    });
    for algorithm in Algorithm::ALL {
        let (heading, start, last) = algorithm.printed();
        screen.line(format!("  {heading}:"));
        let cell = |event: &AlgorithmEvent| {
            let name = format!("{start}{}", event.printed());
            (name, counted.get(algorithm, *event))
        };
        let [alone, paired @ ..] = AlgorithmEvent::ALL;
        let (name, value) = cell(&alone);
        screen.line(format!("  {name:<24}{value:>10}"));
        for [first, second] in paired.as_chunks().0 {
            let ((first, one), (second, other)) = (cell(first), cell(second));
            screen.line(format!("  {first:<24}{one:>10}    {second:<24}{other:>10}"));
        }
        if let Some(last) = last {
            let name = format!("{start}{last}");
            screen.line(format!("  {name:<24}{:>10}", 0));
        }
    }
}

/// A row of names with their values.
fn cells(screen: &mut Screen, indent: usize, row: Row, value: impl Fn(&str) -> u64) {
    let [first, second] = row;
    let one = value(first);
    if second.is_empty() {
        screen.line(format!("{:indent$}{first:<24}{one:>10}", ""));
    } else {
        let other = value(second);
        screen.line(format!(
            "{:indent$}{first:<24}{one:>10}    {second:<24}{other:>10}",
            ""
        ));
    }
}

/// SHOW IPSEC POLICY COUNTERS of one policy.
pub(crate) fn policy_counters(counted: &PolicyCounters) -> String {
    let mut screen = Screen::new(0);
    for (title, rows) in POLICY_BLOCKS {
        screen.line("");
        screen.line(title);
        for row in *rows {
            cells(&mut screen, 2, *row, |name| {
                let mut events = POLICY_EVENTS.iter();
                let happened = events.find(|happened| happened.printed().1 == name);
                happened.map_or(0, |happened| counted.get(*happened))
            });
        }
    }
    screen.text
}

/// SHOW IPSEC SA COUNTERS of one SA.
pub(crate) fn sa_counters(number: u32, sa: &Sa) -> String {
    let mut screen = Screen::new(0);
    screen.line("");
    screen.line(format!("SA: {number}"));
    for line in SA_LINES {
        match line {
            SaLine::Title(title) => {
                screen.line("");
                screen.line(title);
            }
            SaLine::Heading(heading) => screen.line(format!("  {heading}")),
            SaLine::Cells([(first, one), (second, other)]) => {
                let value = |happened: Option<Happened>| {
                    happened.map_or(0, |happened| sa.counters.get(happened))
                };
                let (one, other) = (value(*one), value(*other));
                cells(&mut screen, 4, [first, second], |name| {
                    if name == *first { one } else { other }
                });
            }
        }
    }
    screen.text
}
