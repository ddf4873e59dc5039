//! Files over a socket, in frames: who sends says first how much is to come.
//!
//! ```text
//! cargo run --example length_framed -- demo
//! cargo run --release --example length_framed -- serve DIRECTORY
//! cargo run --release --example length_framed -- put 127.0.0.1:7777 README.md
//! cargo run --release --example length_framed -- get 127.0.0.1:7777 README.md copy.md
//! cargo run --release --example length_framed -- ls 127.0.0.1:7777
//! ```
//!
//! A stream has no messages: what was sent in many pieces may come in one, and the other way
//! round. `demo` shows that, and the cure, which is in `frame.rs`: a length, a header in JSON,
//! and a payload as long as the header says. `server.rs` and `client.rs` send files that way.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

mod client;
mod demo;
mod frame;
mod partial;
mod server;

const ADDR_DEFAULT: &str = "127.0.0.1:7777";

const HELP: &str = "\
Files over a socket, in frames: a length, a header in JSON, a payload.

Usage: length_framed demo
       length_framed serve DIRECTORY [ADDR]
       length_framed put ADDR FILE...
       length_framed get ADDR NAME [FILE]
       length_framed ls ADDR

  demo   shows what goes wrong without frames, and how it goes with them
  serve  keeps files in DIRECTORY, until SIGINT or SIGTERM; ADDR is where to listen
         (default 127.0.0.1:7777), port 0 lets the system choose
  put    sends files to a server
  get    fetches one, into FILE (default NAME)
  ls     lists what a server has";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done: Result<(), Box<dyn Error>> = match *args {
        ["--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ["demo"] => demo::run().map_err(Into::into),
        ["serve", directory] => server::run(Path::new(directory), ADDR_DEFAULT),
        ["serve", directory, addr] => server::run(Path::new(directory), addr),
        ["put", addr, ref files @ ..] if !files.is_empty() => client::put(addr, files),
        ["get", addr, name] => client::get(addr, name, Path::new(name)),
        ["get", addr, name, file] => client::get(addr, name, Path::new(file)),
        ["ls", addr] => client::ls(addr),
        _ => Err("bad arguments (see --help)".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("length_framed: {error}");
            ExitCode::FAILURE
        }
    }
}
