//! `gateway pair`: two routers in one process on a virtual clock.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipsec_core::model::Direction;
use ipsec_core::{DropReason, Instant, WallClock};
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;
use isakmp_core::reason::{Mismatch, Reason, Subject};
use isakmp_core::wire::NotifyType;
use lab::nat::Kind;
use lab::{Happening, Pair, Side};

use crate::args::PairArgs;
use crate::check::print_findings;
use crate::diagram::svg;

/// Runs two configurations against each other. True if every ping was answered through IPsec.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn run(args: &PairArgs) -> Result<bool, String> {
    let mut pair = Pair::soft(args.seed);
    pair.weather = args.weather;
    // Only what a certificate says of its time depends on the date.
    let today = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall = WallClock {
        zero: today.unwrap_or_default().as_secs(),
    };
    let mut good = true;
    for (side, path) in [Side::A, Side::B].into_iter().zip(&args.files) {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        pair.router(side).device.state_mut().wall = wall;
        pair.router(side).host.folder = path.parent().map(Path::to_owned);
        let findings = pair.router(side).run_script(Instant::ZERO, &text);
        good &= print_findings(&name, &findings);
    }
    if !good {
        println!("\nThe configurations have errors; nothing was started.");
        return Ok(false);
    }
    for side in &args.nat {
        match pair.place_nat(*side, Kind::Symmetric) {
            Some(line) => println!("{line}"),
            None => return Err("--nat translates IPv4 only".to_owned()),
        }
    }
    for line in pair.connect() {
        println!("{line}");
    }
    let pings = if args.pings.is_empty() {
        pair.default_pings()
    } else {
        args.pings
            .iter()
            .map(|(source, destination)| (Side::A, *source, *destination))
            .collect()
    };
    if pings.is_empty() {
        println!("No IPSEC policy says between which hosts to ping; use --ping SRC DST.");
        return Ok(false);
    }
    // The sides begin one after the other, so that the picture shows one negotiation.
    for (place, (_, source, destination)) in (0..).zip(pings) {
        pair.ping(
            source,
            destination,
            Instant::ZERO + Duration::from_secs(place),
        );
    }
    let answered = pair.run(Instant::from_secs(args.seconds));
    // What is under way may arrive.
    let end = pair.now + Duration::from_secs(1);
    pair.run_to(end);
    print_ladder(&pair, args.debug);
    print_log(&pair);
    print_pings(&pair);
    if let Some(path) = &args.pcap {
        let name = path.display();
        fs::write(path, pair.capture.get_ref()).map_err(|error| format!("{name}: {error}"))?;
    }
    let good = answered && pair.protected > 0 && pair.clear == 0;
    let outcome = if good {
        let packets = pair.protected;
        format!("Every ping was answered through IPsec ({packets} packets).")
    } else {
        verdict(&pair)
    };
    println!("\n{outcome}");
    if let Some(path) = &args.diagram {
        let names = args.files.each_ref().map(|file| file.file_name());
        let names = names.map(|name| name.unwrap_or_default().to_string_lossy());
        let picture = svg(&pair, names.each_ref().map(AsRef::as_ref), &outcome);
        fs::write(path, picture).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(good)
}

fn clock(at: Instant) -> String {
    let micros = at.micros();
    format!("{:>4}.{:03}", micros / 1_000_000, micros / 1000 % 1000)
}

fn print_ladder(pair: &Pair, debug: bool) {
    println!("\n    time  A                                                       B");
    for Happening { at, side, report } in &pair.happenings {
        match report {
            DeviceReport::Isakmp(Report::Message {
                sent: true,
                kind,
                message,
                payloads,
                length,
                again,
                ..
            }) => {
                let names: Vec<&str> = payloads.iter().map(|kind| kind.name()).collect();
                let again = if *again > 0 {
                    format!(" (again, {again})")
                } else {
                    String::new()
                };
                let text = format!(
                    "{kind} {message}: {} [{length} bytes]{again}",
                    names.join(", ")
                );
                let arrow = match side {
                    Side::A => format!("{text:-<54}>"),
                    Side::B => format!("<{text:->54}"),
                };
                println!("{}  {arrow}", clock(*at));
            }
            DeviceReport::BundleCreated { policy } => {
                println!("{}  {side}: SA bundle of policy {policy} is up", clock(*at));
            }
            DeviceReport::BundleRemoved { policy, why } => {
                println!(
                    "{}  {side}: SA bundle of policy {policy} is gone ({why:?})",
                    clock(*at)
                );
            }
            DeviceReport::IpsecDebug { policy, event } => {
                print!("{}", config_lang::debug::ipsec(policy, event));
            }
            DeviceReport::Isakmp(report) if let Some(text) = config_lang::debug::isakmp(report) => {
                print!("{text}");
            }
            other if debug => println!("{}  {side}: {other:?}", clock(*at)),
            _ => {}
        }
    }
}

fn print_log(pair: &Pair) {
    for (side, router) in [(Side::A, &pair.a), (Side::B, &pair.b)] {
        println!("\nLog of {side}");
        for record in router.device.state().log.lines() {
            let (module, _) = record.module.words();
            println!(
                "{}  {module} {:4} {}",
                clock(record.at),
                record.subtype.word(),
                record.message
            );
        }
    }
}

fn print_pings(pair: &Pair) {
    println!();
    for ping in &pair.pings {
        let (source, destination) = (ping.source, ping.destination);
        match ping.answered {
            Some(at) => {
                let time = at.since(ping.start).as_millis();
                println!(
                    "ping {source} > {destination}: answered after {time} ms, request {}",
                    ping.sent
                );
            }
            None => println!(
                "ping {source} > {destination}: no answer to {} requests",
                ping.sent
            ),
        }
    }
}

/// Why it did not work, in one sentence on the last line.
fn verdict(pair: &Pair) -> String {
    if pair.clear > 0 {
        return format!("{} packets crossed the WAN in clear.", pair.clear);
    }
    let mut best: Option<(u8, String)> = None;
    for Happening { side, report, .. } in &pair.happenings {
        let found = match report {
            DeviceReport::Isakmp(
                Report::Failed { reason, .. } | Report::Suspicious { reason, .. },
            ) => negotiation(*side, reason),
            DeviceReport::Forbidden { reason, .. } => Some((
                6,
                format!(
                    "{side}: {} - {}.",
                    reason.subject.sentence(),
                    reason.subject.advice()
                ),
            )),
            DeviceReport::Dropped { why, direction, .. } => packet(*side, *why, *direction),
            DeviceReport::Isakmp(Report::Notified { kind, .. }) if kind.is_error() => {
                Some((2, told(*side, *kind)))
            }
            _ => None,
        };
        if let Some((weight, text)) = found
            && best.as_ref().is_none_or(|(heaviest, _)| weight > *heaviest)
        {
            best = Some((weight, text));
        }
    }
    best.map_or_else(
        || "No ping was answered through IPsec, and neither router complained.".to_owned(),
        |(_, text)| text,
    )
}

fn told(side: Side, kind: NotifyType) -> String {
    format!("{} told {side}: {}.", side.other(), kind.name())
}

/// What a failed negotiation means, and how much it explains.
fn negotiation(side: Side, reason: &Reason) -> Option<(u8, String)> {
    let other = side.other();
    let advice = reason.subject.advice();
    Some(match (reason.subject, reason.mismatch) {
        (
            Subject::NoProposal,
            Some(Mismatch {
                attribute,
                ours,
                theirs,
                proposal,
            }),
        ) => {
            let about = match (proposal, reason.policy) {
                (Some((proposal, 0)), Some(policy)) => {
                    format!("It is proposal {proposal}, held against policy {policy}.\n")
                }
                (Some((proposal, transform)), Some(policy)) => format!(
                    "It is transform {transform} of proposal {proposal}, held against policy \
                     {policy}.\n"
                ),
                _ => String::new(),
            };
            (
                9,
                format!(
                    "{about}{side} refused {other}'s proposal: {attribute} {theirs}, {side} wants \
                     {ours} ({}).",
                    reason.exchange
                ),
            )
        }
        (Subject::PreSharedKey, _) => (
            8,
            format!("The pre-shared keys differ, as far as {side} can tell: {advice}."),
        ),
        (Subject::Refused, _) => (2, format!("{side}: {reason} - {advice}.")),
        (Subject::Timeout, _) => (1, format!("{side}: {reason} - {advice}.")),
        _ => (7, format!("{side}: {reason} - {advice}.")),
    })
}

/// What a dropped packet means, and how much it explains.
fn packet(side: Side, why: DropReason, direction: Direction) -> Option<(u8, String)> {
    let weight = match why {
        DropReason::BadIcv | DropReason::BadPadding | DropReason::BadInner => 8,
        DropReason::NegotiationFailed | DropReason::QueueFull | DropReason::Dummy => return None,
        _ => 4,
    };
    let way = match direction {
        Direction::Out => "sends",
        Direction::In => "receives",
    };
    Some((
        weight,
        format!("{side} drops what it {way}: {why} - {}.", why.advice()),
    ))
}
