//! The example gateway: two whole routers in one process, a check of configurations, or a real
//! endpoint on Linux.

mod args;
mod check;
mod pair;

use std::process::ExitCode;

const USAGE: &str = "\
gateway pair A.cfg B.cfg [--ping SRC DST]... [--loss P] [--duplicate P] [--reorder P] [--delay MS]
                         [--seed N] [--for SECONDS] [--pcap FILE] [--debug]
gateway check FILE.cfg...";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let result = match args.next().as_deref() {
        Some("pair") => args::PairArgs::read(args).and_then(|args| pair::run(&args)),
        Some("check") => check::run(&args.collect::<Vec<_>>()),
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
