//! An echo server: one coroutine for each connection, all on one thread.
//!
//! ```text
//! cargo run --release --example coroutine_echo [ADDR]
//! ```
//!
//! An idle connection holds no buffer: its coroutine waits first and takes one of a few
//! buffers when there is something to read. SIGINT or SIGTERM ends the server: it stops
//! accepting, lets connections finish for a moment, and says what it did.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::io;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

const ADDR_DEFAULT: &str = "127.0.0.1:7777";
const BUFFER_BYTES: usize = 16 * 1024;
/// How long connections may go on after the signal.
const GRACE: Duration = Duration::from_secs(1);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

const HELP: &str = "\
An echo server: one coroutine for each connection, all on one thread.

Usage: coroutine_echo [ADDR]

ADDR is where to listen (default 127.0.0.1:7777); port 0 lets the system choose.
SIGINT or SIGTERM stops it.";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let addr = match args.next().as_deref() {
        Some("--help" | "-h") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(addr) => addr.to_owned(),
        None => ADDR_DEFAULT.to_owned(),
    };
    if let Some(extra) = args.next() {
        eprintln!("coroutine_echo: unexpected argument '{extra}' (see --help)");
        return ExitCode::FAILURE;
    }
    raise_fd_limit();
    match serve(&addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coroutine_echo: cannot listen on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the coroutines share. They are on one thread: no lock is needed.
#[derive(Default)]
struct Server {
    buffers: RefCell<Vec<Box<[u8]>>>,
    connections: Cell<u64>,
    bytes: Cell<u64>,
    open: Cell<u64>,
}

fn serve(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    let server = Rc::new(Server::default());
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {}", listener.local_addr()?);

    let accepting = spawn({
        let server = Rc::clone(&server);
        move || server.accept_all(&listener)
    });
    stopped.join().expect("a wait for signals does not panic")?;
    accepting.kill();

    // Those that are in the middle of something get a moment to finish it.
    let _ = timeout(GRACE, || {
        while server.open.get() > 0 {
            sleep(Duration::from_millis(10));
        }
    });
    println!("served {} connections and {} bytes", server.connections.get(), server.bytes.get());
    Ok(())
}

impl Server {
    fn accept_all(self: &Rc<Server>, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let server = Rc::clone(self);
                    spawn(move || server.serve_one(&stream));
                }
                // No descriptor is left, or the client was too quick to go: others go on.
                Err(error) => {
                    eprintln!("coroutine_echo: cannot accept: {error}");
                    sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn serve_one(&self, stream: &TcpStream) {
        self.connections.set(self.connections.get() + 1);
        self.open.set(self.open.get() + 1);
        // A connection that breaks is the client's business.
        let _ = self.echo(stream);
        self.open.set(self.open.get() - 1);
    }

    fn echo(&self, mut stream: &TcpStream) -> io::Result<()> {
        loop {
            stream.wait_readable()?;
            let mut buffer = self.take_buffer();
            let result = stream.read(&mut buffer).and_then(|count| {
                stream.write_all(&buffer[..count])?;
                Ok(count)
            });
            self.buffers.borrow_mut().push(buffer);
            match result? {
                0 => return Ok(()),
                count => self.bytes.set(self.bytes.get() + count as u64),
            }
        }
    }

    fn take_buffer(&self) -> Box<[u8]> {
        let free = self.buffers.borrow_mut().pop();
        free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
    }
}

/// Each connection takes a descriptor; the soft limit is often 1024.
fn raise_fd_limit() {
    use rustix::process::Resource;
    use rustix::process::getrlimit;
    use rustix::process::setrlimit;

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It serves fewer clients then.
    let _ = setrlimit(Resource::Nofile, limit);
}
