//! Forwards TCP connections: whoever connects here talks to another server.
//!
//! ```text
//! cargo run --release --example port_forwarder LISTEN TARGET [CONNECTIONS]
//! ```
//!
//! One coroutine for each connection copies in both directions at once. The end of one direction
//! is passed on while the other goes on, as in `ssh host command < file`. While there are as many
//! connections as are allowed, others have to wait. SIGINT or SIGTERM ends it: it stops accepting,
//! lets connections finish for a moment, and says what it did.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::env;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use corovent::io::copy_bidirectional;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::Semaphore;
use corovent::timeout;
use corovent::yield_now;

/// Each takes two descriptors, of which a process often may have 1024.
const CONNECTIONS_DEFAULT: u16 = 500;
/// How long the target may take to answer a connect, its name's lookup included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long connections may go on after the signal.
const GRACE: Duration = Duration::from_secs(1);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

const HELP: &str = "\
Forwards TCP connections: whoever connects here talks to another server.

Usage: port_forwarder LISTEN TARGET [CONNECTIONS]

LISTEN is where to listen; port 0 lets the system choose. TARGET is where to connect to, an
address or a name with a port. At most CONNECTIONS (default 500) are open at a time. SIGINT or
SIGTERM stops it.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["--help" | "-h", ..] => {
            println!("{HELP}");
            Ok(())
        }
        [listen, target] => serve(listen, target, CONNECTIONS_DEFAULT),
        [listen, target, connections] => match connections.parse::<u16>() {
            Ok(connections) if connections > 0 => serve(listen, target, connections),
            _ => Err(format!("CONNECTIONS must be a number from 1 to 65535, not '{connections}'")),
        },
        [_, _, _, extra, ..] => Err(format!("unexpected argument '{extra}' (see --help)")),
        _ => Err("LISTEN and TARGET are missing (see --help)".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("port_forwarder: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the coroutines share. They are on one thread: no lock is needed.
struct Forwarder {
    target: String,
    /// A permit for each connection that may be open.
    places: Arc<Semaphore>,
    connections: Cell<u64>,
    failed: Cell<u64>,
    bytes: Cell<u64>,
}

fn serve(listen: &str, target: &str, connections_max: u16) -> Result<(), String> {
    let cannot_listen = |error| format!("cannot listen on {listen}: {error}");
    let listener = TcpListener::bind(listen).map_err(cannot_listen)?;
    let addr = listener.local_addr().map_err(cannot_listen)?;
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {addr}");

    let places = Arc::new(Semaphore::new(connections_max.into()));
    let (target, zero) = (target.to_owned(), Cell::default);
    let forwarder =
        Forwarder { target, places, connections: zero(), failed: zero(), bytes: zero() };
    let forwarder = Rc::new(forwarder);
    let accepting = spawn({
        let forwarder = Rc::clone(&forwarder);
        move || forwarder.accept_all(&listener)
    });
    let signal = stopped.join().expect("a wait for signals does not panic");
    signal.map_err(|error| format!("cannot wait for signals: {error}"))?;
    accepting.kill();

    // Those that are in the middle of something get a moment to finish it: whoever has all
    // places is alone.
    let _ = timeout(GRACE, || drop(forwarder.places.acquire_many(connections_max.into())));
    println!(
        "forwarded {} connections and {} bytes, {} failed",
        forwarder.connections.get(),
        forwarder.bytes.get(),
        forwarder.failed.get()
    );
    Ok(())
}

impl Forwarder {
    fn accept_all(self: &Rc<Forwarder>, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    // The others wait while this one waits for a place.
                    let place = self.places.acquire_owned();
                    let forwarder = Rc::clone(self);
                    spawn(move || {
                        forwarder.serve_one(&client);
                        drop(place);
                    });
                }
                // No descriptor is left, or the client was too quick to go: others go on.
                Err(error) => {
                    eprintln!("port_forwarder: cannot accept: {error}");
                    sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn serve_one(&self, client: &TcpStream) {
        self.connections.set(self.connections.get() + 1);
        match self.forward(client) {
            Ok(bytes) => self.bytes.set(self.bytes.get() + bytes),
            Err(why) => {
                eprintln!("port_forwarder: {why}");
                self.failed.set(self.failed.get() + 1);
            }
        }
    }

    /// Copies until both directions have ended; gives how many bytes went through.
    fn forward(&self, client: &TcpStream) -> Result<u64, String> {
        let target = &self.target;
        let server = timeout(CONNECT, || TcpStream::connect(target))
            .unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
            .map_err(|error| format!("cannot connect to {target}: {error}"))?;
        // Answers to few bytes shall not wait for more; who sends them is not asked.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let copied = copy_bidirectional(client, &server);
        let (there, back) = copied.map_err(|error| format!("a connection broke: {error}"))?;
        Ok(there + back)
    }
}
