//! SHOW ISAKMP COUNTERS.

use alloc::format;
use alloc::string::String;

use isakmp_core::Endpoint;
use isakmp_core::counters::Happened;

use crate::show::Screen;

/// The counters of a category, or of all of them.
pub(crate) fn counters(endpoint: &Endpoint, category: Option<&str>) -> String {
    let categories: &[&str] = category.as_slice();
    let mut screen = Screen::new(0);
    for block in Happened::BLOCKS {
        if !block.is_in(categories) {
            continue;
        }
        if !screen.text.is_empty() {
            screen.line("");
        }
        screen.line(block.title);
        screen.line("");
        for row in block.rows {
            let cells = row.iter().map(|(name, happened)| {
                let count = endpoint.counters().get(*happened);
                format!("{name:<22}{count:>12}")
            });
            let cells: alloc::vec::Vec<String> = cells.collect();
            screen.line(format!("  {}", cells.join("    ")));
        }
    }
    screen.text
}
