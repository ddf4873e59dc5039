//! One small service, written once for each way in which a server can do its I/O, and a
//! comparison of them all under the same load.
//!
//! ```text
//! cargo run --release --example io_models -- list
//! cargo run --release --example io_models -- serve coroutines 127.0.0.1:7777
//! cargo run --release --example io_models -- compare --svg io_models.svg
//! ```
//!
//! Each model is a file, short enough to be read in a minute. The comparison runs every
//! server in a process of its own and judges, by what it has measured, what is commonly
//! said about each model.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::net::TcpListener;
use std::process;
use std::process::ExitCode;
use std::thread;

use corovent::signal;
use corovent::spawn;
use corovent::yield_now;

use crate::compare::Plan;
use crate::model::MODELS;
use crate::model::Model;
use crate::tally::Tally;

// The service, and what the models share.
mod connection;
mod tally;
mod upper;

// The models.
mod async_io;
mod blocking;
mod coroutines;
mod epoll_edge;
mod epoll_level;
mod nonblocking;
mod poll;
mod select;
mod selectors;
mod signal_driven;
mod socketserver;
mod thread_pool;
mod threads;

// The comparison.
mod chart;
mod claims;
mod compare;
mod load;
mod model;
mod server;
mod table;

const HELP: &str = "\
One service, written for each model of I/O: what comes in goes back in upper case.

Usage: io_models list
       io_models serve MODEL [ADDR]
       io_models compare [--connections N] [--seconds S] [--models A,B,…] [--svg FILE]

  list             the models, a line each
  serve            serves until SIGINT or SIGTERM (default address 127.0.0.1:7777)
  compare          the same load against each model in turn, a table, and what it shows
  --connections N  clients at once (default 100)
  --seconds S      how long each is measured with all of them (default 2)
  --models A,B,…   only these
  --svg FILE       writes a chart as well";

const ADDR_DEFAULT: &str = "127.0.0.1:7777";
/// So many may knock before they are let in, if the system allows it.
const QUEUE: i32 = 4096;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("io_models: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    raise_fd_limit();
    match args {
        ["--help" | "-h"] => println!("{HELP}"),
        ["list"] => {
            for model in MODELS {
                println!("{:<14} {}", model.name, model.about);
            }
        }
        ["serve", name] => serve(Model::named(name)?, ADDR_DEFAULT)?,
        ["serve", name, addr] => serve(Model::named(name)?, addr)?,
        ["compare", options @ ..] => Plan::from_args(options)?.run()?,
        [other, ..] => return Err(format!("unexpected argument '{other}' (see --help)").into()),
        [] => return Err("what to do is missing (see --help)".into()),
    }
    Ok(())
}

/// Serves on a thread of its own, while this one waits for a signal: that is the same for all
/// models.
fn serve(model: &'static Model, addr: &str) -> Result<(), Box<dyn Error>> {
    let listener =
        TcpListener::bind(addr).map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    // std's queue is short: whoever finds it full tries again a second later.
    rustix::net::listen(&listener, QUEUE)?;
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {}", listener.local_addr()?);
    thread::Builder::new().name(model.name.to_owned()).spawn(move || {
        if let Err(error) = (model.serve)(listener) {
            eprintln!("io_models: {error}");
            process::exit(1);
        }
    })?;
    stopped.join().expect("a wait for signals does not panic")?;
    // Clients that are still there are cut off by the end of the process.
    println!("{}", Tally::now());
    Ok(())
}

/// Each connection takes a descriptor; the soft limit is often 1024.
fn raise_fd_limit() {
    use rustix::process::Resource;
    use rustix::process::getrlimit;
    use rustix::process::setrlimit;

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Fewer clients are served then.
    let _ = setrlimit(Resource::Nofile, limit);
}
