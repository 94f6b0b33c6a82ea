//! `pair --diagram`: the ladder as a picture. Time runs down, one row for each thing that
//! happened; where nothing happens for a while the ladder is broken.

use std::fmt::Write as _;
use std::time::Duration;

use ipsec_core::Instant;
use isakmp_core::device::DeviceReport;
use isakmp_core::wire::{ExchangeType, PayloadType};
use isakmp_core::{Phase, Report};
use lab::{Pair, Side};

/// Where A and B stand, and how wide the picture is.
const A: i32 = 300;
const B: i32 = 760;
const WIDTH: i32 = 1060;
/// Where the first row begins.
const TOP: i32 = 92;
/// The height of a row with an arrow, and of one without.
const ARROW: i32 = 52;
const NOTE: i32 = 30;
/// A silence that breaks the ladder.
const SILENCE: Duration = Duration::from_secs(1);
/// Characters of a note in a line.
const NOTE_WIDTH: usize = 34;

/// What a row tells.
enum What {
    /// A message on its way.
    Message {
        from: Side,
        tone: &'static str,
        title: String,
        payloads: String,
        again: bool,
    },
    /// Something that happened on a side.
    Note {
        side: Side,
        tone: &'static str,
        text: String,
    },
    /// Packets that crossed the tunnel.
    Ping {
        from: Side,
        good: bool,
        text: String,
    },
}

struct Row {
    at: Instant,
    what: What,
}

/// The picture of what a pair did.
pub(crate) fn svg(pair: &Pair, names: [&str; 2], outcome: &str) -> String {
    let mut rows: Vec<Row> = pair.happenings.iter().filter_map(row).collect();
    rows.extend(pair.pings.iter().map(|ping| {
        let way = format!("ping {} → {}", ping.source, ping.destination);
        let (at, text) = match ping.answered {
            Some(at) => {
                let took = at.since(ping.start).as_millis();
                (at, format!("{way}: answered after {took} ms"))
            }
            None => (pair.now, format!("{way}: no answer")),
        };
        let what = What::Ping {
            from: ping.side,
            good: ping.answered.is_some(),
            text,
        };
        Row { at, what }
    }));
    rows.sort_by_key(|row| row.at);
    let mut drawn = String::new();
    let mut y = TOP;
    let mut last: Option<Instant> = None;
    for row in &rows {
        let silence = last.map_or(Duration::ZERO, |last| row.at.since(last));
        if silence >= SILENCE {
            pause(&mut drawn, y, silence);
            y += NOTE;
        }
        last = Some(row.at);
        let time = clock(row.at);
        put(&mut drawn, "time", 24, y + 20, &time);
        y += draw(&mut drawn, y, &row.what);
    }
    page(&drawn, y + 12, names, outcome)
}

fn clock(at: Instant) -> String {
    let millis = at.micros() / 1000;
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}

/// What is worth a row.
fn row(happening: &lab::Happening) -> Option<Row> {
    let side = happening.side;
    let note = |tone, text| What::Note { side, tone, text };
    let what = match &happening.report {
        DeviceReport::Isakmp(Report::Message {
            sent: true,
            kind,
            message,
            payloads,
            length,
            again,
            ..
        }) => {
            let again = *again > 0;
            let repeated = if again { ", again" } else { "" };
            What::Message {
                from: side,
                tone: tone(*kind),
                title: format!("{kind} {message} · {length} bytes{repeated}"),
                payloads: list(payloads),
                again,
            }
        }
        DeviceReport::Isakmp(Report::Completed { phase, .. }) => match phase {
            Phase::One => note("main", "ISAKMP SA up".into()),
            Phase::OneAndHalf => note("trans", "user accepted".into()),
            Phase::Two => return None,
        },
        DeviceReport::Isakmp(Report::Failed { reason, .. }) => note("bad", reason.to_string()),
        DeviceReport::Isakmp(Report::Suspicious { reason, .. }) => {
            note("odd", format!("ignored: {reason}"))
        }
        DeviceReport::Isakmp(Report::Notified { kind, .. }) if kind.is_error() => {
            note("odd", format!("told {}", kind.name()))
        }
        DeviceReport::Isakmp(Report::PeerLost { .. }) => note("bad", "the peer is lost".into()),
        DeviceReport::Isakmp(Report::SaGone { .. }) => note("odd", "ISAKMP SA gone".into()),
        DeviceReport::BundleCreated { policy } => note("quick", format!("SA bundle {policy} up")),
        DeviceReport::BundleRemoved { policy, .. } => {
            note("odd", format!("SA bundle {policy} gone"))
        }
        DeviceReport::Forbidden { reason, .. } => note("bad", reason.subject.sentence().into()),
        _ => return None,
    };
    Some(Row {
        at: happening.at,
        what,
    })
}

const fn tone(kind: ExchangeType) -> &'static str {
    match kind {
        ExchangeType::Main | ExchangeType::Aggressive => "main",
        ExchangeType::Transaction => "trans",
        ExchangeType::Quick => "quick",
        _ => "info",
    }
}

/// Payloads in order, those that come several times in a row once.
fn list(payloads: &[PayloadType]) -> String {
    let mut out = String::new();
    for group in payloads.chunk_by(|a, b| a == b) {
        let Some(first) = group.first() else { continue };
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(first.name());
        if group.len() > 1 {
            let _ = write!(out, " ×{}", group.len());
        }
    }
    out
}

const fn place(side: Side) -> i32 {
    match side {
        Side::A => A,
        Side::B => B,
    }
}

/// Draws a row at a height and returns how high it is.
fn draw(out: &mut String, y: i32, what: &What) -> i32 {
    let middle = i32::midpoint(A, B);
    match what {
        What::Message {
            from,
            tone,
            title,
            payloads,
            again,
        } => {
            let (x1, x2) = (place(*from), place(from.other()));
            let inward = (x2 - x1).signum();
            let dashed = if *again { " again" } else { "" };
            put(out, &format!("title {tone}"), middle, y + 14, title);
            put(out, "payloads", middle, y + 40, payloads);
            let (x1, x2, y1, y2) = (x1 + 7 * inward, x2 - 9 * inward, y + 22, y + 27);
            let _ = writeln!(
                out,
                "<line class=\"{tone}{dashed}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\
                 <path class=\"head {tone}\" d=\"M{x2} {y2}l{} -5v10z\"/>",
                -11 * inward
            );
            ARROW
        }
        What::Note { side, tone, text } => {
            let x = place(*side);
            let (at, class) = match side {
                Side::A => (x - 16, "left"),
                Side::B => (x + 16, "right"),
            };
            let lines = wrapped(text);
            for (line, number) in lines.iter().zip(0..) {
                let class = format!("note {class} {tone}");
                put(out, &class, at, y + 20 + 17 * number, line);
            }
            let _ = writeln!(
                out,
                "<circle class=\"{tone}\" cx=\"{x}\" cy=\"{}\" r=\"5\"/>",
                y + 15
            );
            NOTE + 17 * i32::try_from(lines.len().saturating_sub(1)).unwrap_or(0)
        }
        What::Ping { from, good, text } => {
            let tone = if *good { "quick" } else { "bad" };
            let (x1, x2) = (place(*from), place(from.other()));
            let inward = (x2 - x1).signum();
            put(out, &format!("title {tone}"), middle, y + 14, text);
            let (x1, x2, y) = (x1 + 7 * inward, x2 - 7 * inward, y + 26);
            let _ = writeln!(
                out,
                "<line class=\"tunnel {tone}\" x1=\"{x1}\" y1=\"{y}\" x2=\"{x2}\" y2=\"{y}\"/>"
            );
            ARROW
        }
    }
}

fn pause(out: &mut String, y: i32, silence: Duration) {
    let middle = i32::midpoint(A, B);
    let text = format!(
        "{}.{} s later",
        silence.as_secs(),
        silence.subsec_millis() / 100
    );
    put(out, "pause", middle, y + 19, &text);
    for x in [A, B] {
        let _ = writeln!(
            out,
            "<rect class=\"paper\" x=\"{}\" y=\"{}\" width=\"8\" height=\"14\"/>",
            x - 4,
            y + 8
        );
    }
}

fn put(out: &mut String, class: &str, x: i32, y: i32, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
    );
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A text in lines of bounded length, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= NOTE_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Light and dark, by what the reader prefers.
const STYLE: &str = "\
svg{--ink:#1f2933;--soft:#7b8794;--line:#cbd2d9;--paper:#ffffff;--main:#2f6fde;--trans:#8a4fd3;\
--quick:#14804a;--info:#52606d;--bad:#cf222e;--odd:#b26a00;font:14px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{--ink:#e4e7eb;--soft:#9aa5b1;--line:#3e4c59;--paper:#12181f;\
--main:#7db0ff;--trans:#c9a2ff;--quick:#5fd49a;--info:#b8c2cc;--bad:#ff8b8b;--odd:#f0b450}}\
.paper{fill:var(--paper)}\
.life{stroke:var(--line);stroke-width:2}\
text{fill:var(--ink)}\
.name{font-weight:650;font-size:17px;text-anchor:middle}\
.file,.time,.payloads,.pause{fill:var(--soft);font-size:12px}\
.file,.payloads,.pause,.title{text-anchor:middle}\
.time{font-variant-numeric:tabular-nums}\
.pause{font-style:italic}\
.left{text-anchor:end}\
.outcome{font-weight:600;text-anchor:middle}\
line{stroke-width:1.8;fill:none}\
.again{stroke-dasharray:6 4}\
.tunnel{stroke-width:6;stroke-linecap:round;opacity:.45}\
.main{stroke:var(--main)}.trans{stroke:var(--trans)}.quick{stroke:var(--quick)}\
.info{stroke:var(--info)}.bad{stroke:var(--bad)}.odd{stroke:var(--odd)}\
text.main,.head.main,circle.main{fill:var(--main);stroke:none}\
text.trans,.head.trans,circle.trans{fill:var(--trans);stroke:none}\
text.quick,.head.quick,circle.quick{fill:var(--quick);stroke:none}\
text.info,.head.info,circle.info{fill:var(--info);stroke:none}\
text.bad,circle.bad{fill:var(--bad);stroke:none}\
text.odd,circle.odd{fill:var(--odd);stroke:none}";

fn page(rows: &str, end: i32, names: [&str; 2], outcome: &str) -> String {
    let height = end + 56;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        escaped(outcome)
    );
    for ((side, x), name) in [("A", A), ("B", B)].into_iter().zip(names) {
        put(&mut out, "name", x, 36, side);
        put(&mut out, "file", x, 56, name);
        let _ = writeln!(
            out,
            "<line class=\"life\" x1=\"{x}\" y1=\"68\" x2=\"{x}\" y2=\"{end}\"/>"
        );
    }
    out.push_str(rows);
    put(&mut out, "outcome", i32::midpoint(A, B), end + 30, outcome);
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_text() {
        assert_eq!(escaped("<&\">\u{7}x"), "&lt;&amp;&quot;&gt; x");
    }

    #[test]
    fn long_notes_are_broken_between_words() {
        let text = "Main message 1: NO-PROPOSAL-CHOSEN (ENCALG: ours 3DES, theirs DES)";
        let lines = wrapped(text);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= NOTE_WIDTH));
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn payloads_that_repeat_are_counted() {
        let vid = PayloadType::VID;
        let payloads = [PayloadType::SA, vid, vid, vid, PayloadType::N, vid];
        assert_eq!(list(&payloads), "SA, VID ×3, N, VID");
    }
}
