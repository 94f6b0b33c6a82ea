//! SHOW ISAKMP COUNTERS.

use alloc::string::String;

use ipsec_core::counters::Block;
use isakmp_core::Endpoint;
use isakmp_core::counters::Happened;

use crate::show::Screen;

/// The counters of a category, or of all of them.
pub(crate) fn counters(endpoint: &Endpoint, category: Option<&str>) -> String {
    let chosen = |block: &&Block<Happened>| category.is_none_or(|one| block.category == one);
    let mut screen = Screen::new(0);
    let blocks = Happened::BLOCKS.iter().filter(chosen);
    screen.blocks(blocks, 2, |happened| endpoint.counters().get(happened));
    screen.text
}
