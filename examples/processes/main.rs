//! Many processes at once, looked after by one thread.
//!
//! ```text
//! cargo run --release --example processes -- run --jobs 4 --timeout 2.5 \
//!     'ping -c 1 127.0.0.1' 'make -C here' 'sleep 100' 'echo hello; exit 3'
//! ```
//!
//! `run` runs shell commands side by side and tells of each how it ended and what it printed.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::process::ExitCode;

mod commands;

const HELP: &str = "\
Many processes at once, looked after by one thread.

Usage: processes run [--jobs N] [--timeout S] COMMAND...

  run          runs each COMMAND by 'sh -c', and tells how it ended and what it printed
  --jobs N     commands that run at once (default 4)
  --timeout S  seconds after which a command is killed, with all that it has started
               (default 60)

The exit code is 1 unless all have ended well. SIGINT or SIGTERM kills those that run.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("--help" | "-h") => {
            println!("{HELP}");
            Ok(true)
        }
        Some("run") => commands::run(&args[1..]),
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
