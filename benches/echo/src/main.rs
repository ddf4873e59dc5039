//! Echo servers on corovent and on its peers, and what one request costs each of them.
//!
//! ```text
//! echo [--quick] [--rounds N] [--slot-ms N] [--connections N,…] [--bytes N,…] [--only NAME,…]
//!      [NAME=COMMAND …]
//! echo serve KIND       prints `listening on IP:PORT`, and serves until it is killed
//! echo load IP:PORT     does what the lines of stdin say (`load.rs`)
//! ```
//!
//! Each server is a process of its own on one processor, and the loads are on another. The figures
//! go to stdout as JSON, a line each, and tables of them to stderr.

mod epoll;
mod load;
mod peers;
mod plan;
mod race;
mod server_process;
mod servers;
mod system_calls;
mod tables;

use std::env;
use std::process::ExitCode;

use crate::load::Load;
use crate::plan::Plan;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", kind] => servers::serve(kind),
        ["load", addr] => Load::serve(addr),
        _ => Plan::from_args(&words).and_then(|plan| race::run(&plan)),
    };
    if let Err(error) = done {
        eprintln!("echo: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
