//! SHOW ISAKMP EXCHANGE.

use alloc::format;
use alloc::string::{String, ToString};

use ipsec_core::Instant;
use isakmp_core::wire::ExchangeType;
use isakmp_core::{Endpoint, ExchangeView};

use crate::show::Screen;

const fn type_text(kind: ExchangeType) -> &'static str {
    match kind {
        ExchangeType::Main => "MAIN",
        ExchangeType::Aggressive => "AGGRESSIVE",
        ExchangeType::Transaction => "TRANSACTION",
        ExchangeType::Informational => "INFO",
        ExchangeType::Quick => "QUICK",
        ExchangeType::NewGroup | ExchangeType::Other(_) => "-",
    }
}

/// The exchanges under way and those that are kept for the peer's retransmissions, in the order in
/// which they began; nothing at all if there is none.
pub(crate) fn exchanges(endpoint: &Endpoint, now: Instant) -> String {
    let mut all: alloc::vec::Vec<ExchangeView> = endpoint.exchanges(now).collect();
    all.extend(endpoint.kept_exchanges(now));
    all.sort_by_key(|exchange| exchange.number);
    let mut screen = Screen::new(0);
    if all.is_empty() {
        return screen.text;
    }
    screen.line("ISAKMP Exchanges");
    screen.line("");
    screen.line("Id    Phase  State                   PeerAddress      Type");
    screen.line("-".repeat(65));
    for exchange in all {
        screen.line(format!(
            "{:<5} {:<6} {:<23} {:<16} {}",
            exchange.number,
            exchange.phase,
            exchange.state,
            exchange.peer.to_string(),
            type_text(exchange.kind)
        ));
    }
    screen.text
}
