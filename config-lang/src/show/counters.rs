//! The counter screens.

use alloc::format;
use alloc::string::String;

use ipsec_core::counters::{Block, Happened, Line, PolicyCounters};
use ipsec_core::{PlaneState, Sa};

use super::Screen;

/// SHOW IPSEC COUNTERS: the blocks of some categories, or all.
pub(crate) fn counters(plane: &PlaneState, categories: Option<&[&str]>) -> String {
    let wanted = |block: &&Block<Happened>| {
        categories.is_none_or(|categories| categories.contains(&block.category))
    };
    let mut screen = Screen::new(0);
    let blocks = Happened::BLOCKS.iter().filter(wanted);
    screen.blocks(blocks, 2, |event| plane.counters().get(event));
    screen.text
}

/// SHOW IPSEC POLICY COUNTERS of one policy.
pub(crate) fn policy_counters(counted: &PolicyCounters) -> String {
    let mut screen = Screen::new(0);
    screen.blocks(Happened::POLICY_BLOCKS, 2, |event| counted.get(event));
    screen.text
}

/// SHOW IPSEC SA COUNTERS of one SA.
pub(crate) fn sa_counters(number: u32, sa: &Sa) -> String {
    let mut screen = Screen::new(0);
    screen.line("");
    screen.line(format!("SA: {number}"));
    screen.blocks(Happened::SA_BLOCKS, 4, |event| sa.counters.get(event));
    screen.text
}

impl Screen {
    /// Blocks of counters, two beside each other, each block with an empty line in front. What
    /// names itself is indented by so many columns, headings among them by two.
    pub(crate) fn blocks<'a, E: Copy + 'static>(
        &mut self,
        blocks: impl IntoIterator<Item = &'a Block<E>>,
        indent: usize,
        value: impl Fn(E) -> u64,
    ) {
        for block in blocks {
            self.line("");
            self.line(block.title);
            let outcomes = |line: &Line<E>| !line.label.is_empty() && !line.cells.is_empty();
            let first_outcomes = block.lines.iter().position(outcomes);
            for (place, line) in block.lines.iter().enumerate() {
                if Some(place) == first_outcomes {
                    self.line("                                Good        Failed");
                }
                if line.cells.is_empty() {
                    self.line(format_args!("  {}", line.label));
                    continue;
                }
                let mut text = String::new();
                for (place, cell) in line.cells.iter().enumerate() {
                    let value = value(cell.event);
                    text += &match (line.label, place) {
                        ("", 0) => format!("{:indent$}{:24}{value:10}", "", cell.name),
                        ("", _) => format!("    {:24}{value:10}", cell.name),
                        (label, 0) => format!("  {label:24}{value:10}"),
                        (_, _) => format!("{value:14}"),
                    };
                }
                self.line(text);
            }
        }
    }
}
