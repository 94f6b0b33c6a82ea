//! The arguments of `pair`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lab::{Side, Weather};

/// What `pair` was asked to do.
#[derive(Debug)]
pub(crate) struct PairArgs {
    /// Both configurations.
    pub(crate) files: [PathBuf; 2],
    /// Pings; the default ones if empty.
    pub(crate) pings: Vec<(IpAddr, IpAddr)>,
    /// The network.
    pub(crate) weather: Weather,
    /// Everything random follows from it.
    pub(crate) seed: u64,
    /// Virtual seconds.
    pub(crate) seconds: u64,
    /// Where the capture goes.
    pub(crate) pcap: Option<PathBuf>,
    /// Where the picture of the ladder goes.
    pub(crate) diagram: Option<PathBuf>,
    /// The sides behind a box that translates addresses.
    pub(crate) nat: Vec<Side>,
    /// Whether every report is printed.
    pub(crate) debug: bool,
}

/// The value of an option.
///
/// # Errors
/// A sentence that names the option and what is expected.
pub(crate) fn value<T: FromStr>(
    option: &str,
    args: &mut impl Iterator<Item = String>,
    what: &str,
) -> Result<T, String> {
    let text = args.next().ok_or(format!("{option} needs {what}"))?;
    text.parse()
        .map_err(|_| format!("{option} {text}: {what} is expected"))
}

impl PairArgs {
    /// Reads the arguments behind `pair`.
    ///
    /// # Errors
    /// A sentence that names the argument.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut own = Self {
            files: [PathBuf::new(), PathBuf::new()],
            pings: Vec::new(),
            weather: Weather::default(),
            seed: 1,
            seconds: 300,
            pcap: None,
            diagram: None,
            nat: Vec::new(),
            debug: false,
        };
        while let Some(arg) = args.next() {
            let chance = |args: &mut dyn Iterator<Item = String>| {
                let mut args = args;
                let p: f64 = value(&arg, &mut args, "a probability from 0 to 1")?;
                if (0.0..=1.0).contains(&p) {
                    Ok(p)
                } else {
                    Err(format!("{arg} {p}: a probability from 0 to 1 is expected"))
                }
            };
            match arg.as_str() {
                "--ping" => {
                    let source = value(&arg, &mut args, "two addresses")?;
                    own.pings
                        .push((source, value(&arg, &mut args, "two addresses")?));
                }
                "--loss" => own.weather.loss = chance(&mut args)?,
                "--duplicate" => own.weather.duplicate = chance(&mut args)?,
                "--reorder" => own.weather.reorder = chance(&mut args)?,
                "--delay" => {
                    let millis = value(&arg, &mut args, "milliseconds")?;
                    own.weather.delay = Duration::from_millis(millis);
                }
                "--seed" => own.seed = value(&arg, &mut args, "a number")?,
                "--for" => own.seconds = value(&arg, &mut args, "seconds")?,
                "--pcap" => own.pcap = Some(value(&arg, &mut args, "a file")?),
                "--debug" => own.debug = true,
                "--nat" => {
                    let what = "a or b";
                    let side: String = value(&arg, &mut args, what)?;
                    own.nat.push(match side.as_str() {
                        "a" | "A" => Side::A,
                        "b" | "B" => Side::B,
                        _ => return Err(format!("{arg} {side}: {what} is expected")),
                    });
                }
                "--diagram" => own.diagram = Some(value(&arg, &mut args, "a file")?),
                other if other.starts_with('-') => {
                    return Err(format!("pair has no option {other}"));
                }
                file => files.push(PathBuf::from(file)),
            }
        }
        let count = files.len();
        own.files = files
            .try_into()
            .map_err(|_| format!("pair takes two configurations, {count} were given"))?;
        Ok(own)
    }
}
