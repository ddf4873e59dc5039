//! UDP, both ends: a server that sends every datagram back, and a client that asks it.
//!
//! ```text
//! cargo run --release --example udp_echo [ADDR]
//! cargo run --release --example udp_echo -- --to ADDR TEXT…
//! ```
//!
//! A datagram may be lost on its way, so the client limits each wait and asks again, three
//! times in all. SIGINT or SIGTERM ends the server, which says what it did.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::env;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use corovent::net::UdpSocket;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

const ADDR_DEFAULT: &str = "127.0.0.1:7777";
/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How often a text is sent before it is given up, and how long its answer may take.
const ATTEMPTS: u32 = 3;
const PATIENCE: Duration = Duration::from_millis(500);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

const HELP: &str = "\
UDP, both ends: a server that sends every datagram back, and a client that asks it.

Usage: udp_echo [ADDR]
       udp_echo --to ADDR TEXT…

ADDR is where to listen (default 127.0.0.1:7777), where port 0 lets the system choose, or
whom to ask. SIGINT or SIGTERM stops the server.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["--help" | "-h", ..] => {
            println!("{HELP}");
            Ok(())
        }
        ["--to", addr, ref texts @ ..] if !texts.is_empty() => {
            ask(addr, texts).map_err(|error| format!("cannot ask {addr}: {error}"))
        }
        ["--to", ..] => Err("--to needs an address and a text (see --help)".to_owned()),
        [] => listen(ADDR_DEFAULT),
        [addr] => listen(addr),
        [_, extra, ..] => Err(format!("unexpected argument '{extra}' (see --help)")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("udp_echo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn listen(addr: &str) -> Result<(), String> {
    serve(addr).map_err(|error| format!("cannot listen on {addr}: {error}"))
}

/// What the server has sent back.
#[derive(Default)]
struct Counts {
    datagrams: Cell<u64>,
    bytes: Cell<u64>,
}

fn serve(addr: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(addr)?;
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {}", socket.local_addr()?);

    let counts = Rc::new(Counts::default());
    let echoing = spawn({
        let counts = Rc::clone(&counts);
        move || counts.echo_all(&socket)
    });
    stopped.join().expect("a wait for signals does not panic")?;
    echoing.kill();
    println!("echoed {} datagrams and {} bytes", counts.datagrams.get(), counts.bytes.get());
    Ok(())
}

impl Counts {
    fn echo_all(&self, socket: &UdpSocket) {
        let mut buf = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let echoed = socket.recv_from(&mut buf).and_then(|(count, client)| {
                socket.send_to(&buf[..count], client)?;
                Ok(count)
            });
            match echoed {
                Ok(count) => {
                    self.datagrams.set(self.datagrams.get() + 1);
                    self.bytes.set(self.bytes.get() + count as u64);
                }
                // The client cannot be reached: others can.
                Err(error) => {
                    eprintln!("udp_echo: {error}");
                    sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

fn ask(addr: &str, texts: &[&str]) -> io::Result<()> {
    // A connected socket hears nobody else; its port is the system's choice.
    let here = if addr.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(here)?;
    socket.connect(addr)?;
    for text in texts {
        println!("{}", exchange(&socket, text)?);
    }
    Ok(())
}

/// Sends a text until its answer comes.
fn exchange(socket: &UdpSocket, text: &str) -> io::Result<String> {
    let mut buf = vec![0; DATAGRAM_BYTES_MAX];
    for _ in 0..ATTEMPTS {
        socket.send(text.as_bytes())?;
        // The limit is on all of it: what answers something else does not lengthen it.
        let answered = timeout(PATIENCE, || {
            loop {
                let count = socket.recv(&mut buf)?;
                if buf[..count] == *text.as_bytes() {
                    return Ok(());
                }
            }
        });
        if let Ok(result) = answered {
            return result.map(|()| text.to_owned());
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer to '{text}'")))
}
