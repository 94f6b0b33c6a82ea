//! One router as a program that talks in lines, for independent implementations to test it with.
//!
//! ```text
//! reset          a router as it leaves the factory
//! do COMMAND     a command of the command language
//! out HEX        a clear IP packet wants to leave by the WAN
//! in HEX         an IP packet arrives from the WAN
//! ```
//! Every line is answered: `wire HEX` for each datagram sent to the WAN, `lan HEX` for each packet
//! passed on in clear, `drop WHY` for each that went no further, `error TEXT`, and `.` at the end.

use std::io::{self, BufRead as _, Write as _};

use config_lang::Finding;
use config_lang::message::Severity;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use isakmp_core::device::DeviceReport;
use lab::{Buf, Output, Router};

fn router() -> Router<SoftEngines<Buf>> {
    Router::new(SoftEngines::new(64, 64, 4), 1)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [a, b] => Some(digit(*a)? << 4 | digit(*b)?),
            _ => None,
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() -> io::Result<()> {
    let now = Instant::from_secs(1);
    let mut router = router();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (verb, bytes(rest)) {
            ("reset", _) => router = self::router(),
            ("do", _) => {
                let findings = router.run_script(now, rest);
                let refused = |finding: &Finding| finding.severity == Severity::Error;
                for finding in findings.into_iter().filter(refused) {
                    writeln!(out, "error {finding:?}")?;
                }
                router.settle_wan();
            }
            ("out", Some(packet)) => router.forward(now, &packet),
            ("in", Some(packet)) => router.receive(now, &packet),
            _ => writeln!(out, "error not understood: {line}")?,
        }
        while router.turn(now).is_some_and(|at| at <= now) {}
        for output in router.outputs() {
            match output {
                Output::Wan(packet) => writeln!(out, "wire {}", hex(&packet))?,
                Output::Lan(packet) => writeln!(out, "lan {}", hex(&packet))?,
                Output::Report(DeviceReport::Dropped { why, .. }) => writeln!(out, "drop {why}")?,
                Output::Report(_) | Output::Ask(..) => {}
            }
        }
        writeln!(out, ".")?;
        out.flush()?;
    }
    Ok(())
}
