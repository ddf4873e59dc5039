//! Many processes at once, looked after by one thread.
//!
//! ```text
//! cargo run --release --example processes -- run --jobs 4 --timeout 2.5 \
//!     'ping -c 1 127.0.0.1' 'make -C here' 'sleep 100' 'echo hello; exit 3'
//! cargo run --release --example processes -- serve --workers 4
//! echo 10000000 | nc -N 127.0.0.1 7777          # in other terminals
//! ```
//!
//! `run` runs other programs, side by side; `serve` runs this one, several times, behind one
//! address: coroutines of one process never compute at the same time, processes do.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::process::ExitCode;

mod commands;
mod workers;

const HELP: &str = "\
Many processes at once, looked after by one thread.

Usage: processes run [--jobs N] [--timeout S] COMMAND...
       processes serve [--workers N] [ADDR]

  run          runs each COMMAND by 'sh -c', and tells how it ended and what it printed
  --jobs N     commands that run at once (default 4)
  --timeout S  seconds after which a command is killed, with all that it has started
               (default 60)

  serve        answers each line, a number, with how many primes there are up to it
  --workers N  processes that do so (default: as many as there are processors)
  ADDR         where to listen (default 127.0.0.1:7777); port 0 lets the system choose

The exit code of 'run' is 1 unless all have ended well. SIGINT or SIGTERM stops either.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("--help" | "-h") => {
            println!("{HELP}");
            Ok(true)
        }
        Some("run") => commands::run(&args[1..]),
        Some("serve") => workers::serve(&args[1..]),
        Some(other) => Err(format!("unknown command '{other}' (see --help)")),
        None => Err("what is to be done? (see --help)".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("processes: {message}");
            ExitCode::FAILURE
        }
    }
}
