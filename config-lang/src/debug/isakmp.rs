//! ENABLE ISAKMP DEBUG: what is watched of exchanges, as the router prints it.

use alloc::format;
use alloc::string::String;

use isakmp_core::Report;
use isakmp_core::wire::ExchangeType;

/// The lines that a report prints while it is watched, each with its line end; none of the reports
/// that nobody asked for.
#[must_use]
pub fn isakmp(report: &Report) -> Option<String> {
    let Report::State {
        exchange,
        kind,
        state,
    } = report
    else {
        return None;
    };
    let kind = match kind {
        ExchangeType::Main => "MAIN",
        ExchangeType::Aggressive => "AGGR",
        ExchangeType::Informational => "INFO",
        ExchangeType::Transaction => "TRANS",
        ExchangeType::Quick => "QUICK",
        ExchangeType::NewGroup | ExchangeType::Other(_) => "UNKNOWN",
    };
    Some(format!(
        "ISAKMP {kind} exchange {exchange}: New State: {state}\n"
    ))
}
