//! SHOW PKI CERTIFICATE. The chapter prints no such screen: these are in the style of the others.

use alloc::format;
use alloc::string::String;

use hw_offload::KeyNumber;
use isakmp_core::identity;
use isakmp_core::pki::{Certificate, Pki};
use isakmp_core::wire::Identification;

use super::{Screen, or_dash, truth};
use crate::dump::hex;

/// All certificates, one a line.
pub(crate) fn certificates(pki: &Pki, now: u64) -> String {
    let mut screen = Screen::new(0);
    screen.line("Name             Type  Trusted  State          Subject");
    screen.line("-".repeat(79));
    for certificate in &pki.certificates {
        let subject = subject(&certificate.facts.subject);
        screen.line(format_args!(
            "{:<16} {:<5} {:<8} {:<14} {subject}",
            certificate.name,
            format!("{}", certificate.role),
            truth(certificate.trusted),
            state(certificate, now),
        ));
    }
    screen.text
}

/// One certificate.
pub(crate) fn certificate(certificate: &Certificate, now: u64) -> String {
    let facts = &certificate.facts;
    let mut screen = Screen::new(33);
    screen.line(format_args!("Certificate {}", certificate.name));
    screen.field(2, "Type", certificate.role);
    screen.field(2, "Trusted", truth(certificate.trusted));
    screen.field(2, "State", state(certificate, now));
    screen.field(2, "File", &certificate.file);
    screen.field(2, "Subject", subject(&facts.subject));
    for name in &facts.names {
        screen.field(2, "Subject alternative name", identity_text(name));
    }
    screen.field(2, "Issuer", subject(&facts.issuer));
    screen.field(2, "Serial number", hex(&facts.serial, true));
    screen.field(2, "Valid from", date(facts.not_before));
    screen.field(2, "Valid until", date(facts.not_after));
    screen.field(2, "CA", truth(facts.is_ca));
    screen.field(2, "Path length", or_dash(facts.path_length));
    let key = certificate.key.map(|KeyNumber(number)| number);
    screen.field(2, "RSA key of this router", or_dash(key));
    screen.text
}

const fn state(certificate: &Certificate, now: u64) -> &'static str {
    if now < certificate.facts.not_before {
        "NOT YET VALID"
    } else if now > certificate.facts.not_after {
        "EXPIRED"
    } else {
        "VALID"
    }
}

fn subject(der: &[u8]) -> String {
    or_dash(identity::dn_text(der))
}

fn identity_text(name: &Identification) -> String {
    let text = || String::from_utf8_lossy(&name.data).replace(char::is_control, "?");
    match (name.kind, name.selector()) {
        (_, Some(selector)) => {
            let text = format!("{selector}");
            String::from(text.split('/').next().unwrap_or(&text))
        }
        (9, None) => subject(&name.data),
        (_, None) => text(),
    }
}

/// Day and time, UTC.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar: years are counted from
/// March on, so that the leap day is the last.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::date;

    /// As `date -u -d @SECONDS` prints them.
    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_704_067_199, "2023-12-31 23:59:59 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
