//! `gateway check`: every line parsed and executed on a fresh device, offline, and the whole
//! judged.

use std::path::Path;

use config_lang::Finding;
use config_lang::message::Severity;
use hw_offload::SoftEngines;
use ipsec_core::Instant;
use lab::Router;

/// Checks files. True if each can be read and no line is an error.
///
/// # Errors
/// When no file is named.
pub(crate) fn run(files: &[String]) -> Result<bool, String> {
    if files.is_empty() {
        return Err("check takes at least one configuration".to_owned());
    }
    let mut good = true;
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                println!("{file}: error: it cannot be read: {error}");
                good = false;
                continue;
            }
        };
        let mut router = Router::new(SoftEngines::new(256, 64, 64), 1);
        router.host.folder = Path::new(file).parent().map(Path::to_owned);
        let findings = router.check_script(Instant::ZERO, &text);
        good &= print_findings(file, &findings);
    }
    Ok(good)
}

/// Prints what a script met. True if nothing was an error.
pub(crate) fn print_findings(file: &str, findings: &[Finding]) -> bool {
    for Finding {
        line,
        column,
        severity,
        text,
    } in findings
    {
        let word = if *severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        println!("{file}:{line}:{column}: {word}: {text}");
    }
    findings
        .iter()
        .all(|finding| finding.severity != Severity::Error)
}
