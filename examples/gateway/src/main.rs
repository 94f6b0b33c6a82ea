//! The example gateway: two whole routers in one process, a check of configurations, or a real
//! endpoint on Linux.

mod args;
mod check;
#[cfg(target_os = "linux")]
mod cli;
mod diagram;
#[cfg(target_os = "linux")]
mod frame;
mod pair;
#[cfg(target_os = "linux")]
mod run;

use std::process::ExitCode;

const USAGE: &str = "\
gateway pair A.cfg B.cfg [--ping SRC DST]... [--loss P] [--duplicate P] [--reorder P] [--delay MS]
                         [--seed N] [--for SECONDS] [--nat a|b]... [--pcap FILE]
                         [--diagram FILE.svg] [--debug]
gateway check FILE.cfg...
gateway run FILE.cfg --interface NAME=DEVICE... [--tun NAME] [--config-dir DIR] [--control SOCKET]
                     [--pcap FILE] [--keylog DIR] [--drop-privileges USER]
gateway cli [--control SOCKET] [COMMAND]";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let result = match args.next().as_deref() {
        Some("pair") => args::PairArgs::read(args).and_then(|args| pair::run(&args)),
        Some("check") => check::run(&args.collect::<Vec<_>>()),
        #[cfg(target_os = "linux")]
        Some("run") => run::RunArgs::read(args).and_then(|args| run::run(&args)),
        #[cfg(target_os = "linux")]
        Some("cli") => cli::run(args),
        #[cfg(not(target_os = "linux"))]
        Some("run" | "cli") => Err("run and cli need Linux".to_owned()),
        Some("-h" | "--help" | "help") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(format!("there is no command '{other}'\n{USAGE}")),
        None => Err(format!("a command is expected\n{USAGE}")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("gateway: {message}");
            ExitCode::from(2)
        }
    }
}
