//! A client for any echo server: many connections at once, each a coroutine of plain
//! blocking code, all on one thread.
//!
//! ```text
//! cargo run --release --example echo_client -- ADDR --connections 1000 --messages 100
//! ```
//!
//! Every connection sends its messages one after the other, each when the answer to the one
//! before is there, and compares every byte that comes back.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::io;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use corovent::JoinHandle;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;

const HELP: &str = "\
A client for any echo server: many connections at once, all on one thread.

Usage: echo_client ADDR [--connections N] [--messages M] [--size B]

  --connections N  connections that are open at once (default 50)
  --messages M     messages that each of them sends, one after the other (default 1000)
  --size B         bytes of a message (default 64)

Every byte that comes back is compared. The exit code is 1 if anything is wrong.";

/// A billion of anything is a mistake.
const NUMBER_MAX: u32 = 1_000_000_000;
/// So many connections are being made at once: more would only wait in the server's queue.
const CONNECTING_MAX: usize = 256;
/// A longer message is read while it is still being written: it does not fit into the
/// buffers of both sockets, and a server that echoes piece by piece would wait for us.
const AT_ONCE_BYTES_MAX: usize = 32 * 1024;
/// An hour; an answer that takes longer counts as one.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
/// Messages begin at different places of one pattern, so that one cannot be taken for another.
const OFFSETS: usize = 4099;

fn main() -> ExitCode {
    let plan = match Plan::from_args(env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("echo_client: {message} (see --help)");
            return ExitCode::FAILURE;
        }
    };
    raise_fd_limit();
    match plan.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_client: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What to do.
struct Plan {
    addr: String,
    connections: usize,
    messages: u64,
    size: usize,
}

impl Plan {
    /// `None` if the help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
        let mut plan = Plan { addr: String::new(), connections: 50, messages: 1000, size: 64 };
        while let Some(arg) = args.next() {
            let mut number = || {
                let text = args.next().ok_or(format!("{arg} needs a number"))?;
                match text.parse() {
                    Ok(number @ 1..=NUMBER_MAX) => Ok::<u32, String>(number),
                    _ => Err(format!("{arg} needs a number from 1 to {NUMBER_MAX}, not '{text}'")),
                }
            };
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--connections" => plan.connections = number()? as usize,
                "--messages" => plan.messages = number()?.into(),
                "--size" => plan.size = number()? as usize,
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ if plan.addr.is_empty() => plan.addr = arg,
                _ => return Err(format!("unexpected argument '{arg}'")),
            }
        }
        if plan.addr.is_empty() { Err("ADDR is missing".to_owned()) } else { Ok(Some(plan)) }
    }

    fn run(self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let streams = self.connect()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("connected {} times in {seconds:.2} s", self.connections);

        let start = Instant::now();
        let total = self.connections as u64 * self.messages;
        let client = Rc::new(Client::new(self)?);
        let talks: Vec<_> = (0..).zip(streams).map(|(n, stream)| client.start(n, stream)).collect();
        let progress = spawn({
            let client = Rc::clone(&client);
            move || client.show_progress(total)
        });
        for talk in talks {
            talk.join().map_err(|_| "a connection's coroutine has panicked")??;
        }
        progress.kill();
        client.report(start.elapsed());
        Ok(())
    }

    /// Makes all connections, many at once.
    fn connect(&self) -> Result<Vec<TcpStream>, Box<dyn Error>> {
        let mut pending: Vec<JoinHandle<io::Result<TcpStream>>> = Vec::new();
        let mut streams = Vec::with_capacity(self.connections);
        for n in 0..self.connections {
            let addr = self.addr.clone();
            pending.push(spawn(move || TcpStream::connect(addr)));
            if pending.len() < CONNECTING_MAX && n + 1 < self.connections {
                continue;
            }
            for handle in pending.drain(..) {
                let made = handle.join().map_err(|_| "a connection's coroutine has panicked")?;
                streams.push(made.map_err(|error| {
                    format!("cannot connect to {} (number {}): {error}", self.addr, streams.len())
                })?);
            }
        }
        Ok(streams)
    }
}

/// What the connections share. They are on one thread: no lock is needed.
struct Client {
    plan: Plan,
    pattern: Vec<u8>,
    answered: Cell<u64>,
    latency: RefCell<Histogram<u64>>,
}

impl Client {
    fn new(plan: Plan) -> Result<Client, Box<dyn Error>> {
        // A multiplier that is odd visits all values; the high bits are the mixed ones.
        let pattern = (0..(plan.size + OFFSETS) as u32)
            .map(|n| (n.wrapping_mul(0x9e37_79b1) >> 24) as u8)
            .collect();
        let latency = RefCell::new(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?);
        Ok(Client { plan, pattern, answered: Cell::new(0), latency })
    }

    fn start(self: &Rc<Client>, n: usize, stream: TcpStream) -> JoinHandle<Result<(), String>> {
        let client = Rc::clone(self);
        spawn(move || {
            let talked = client.talk(n, &stream);
            talked.map_err(|error| format!("connection {n}: {error}"))
        })
    }

    fn talk(&self, n: usize, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut answer = vec![0; self.plan.size];
        for number in 0..self.plan.messages as usize {
            let message = &self.pattern[(n * 31 + number) % OFFSETS..][..self.plan.size];
            let start = Instant::now();
            exchange(stream, message, &mut answer)?;
            self.latency.borrow_mut().saturating_record(start.elapsed().as_nanos() as u64);
            if let Some(at) = answer.iter().zip(message).position(|(got, sent)| got != sent) {
                let text = format!("message {number} came back wrong from byte {at} on");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.answered.set(self.answered.get() + 1);
        }
        Ok(())
    }

    fn show_progress(&self, total: u64) {
        loop {
            sleep(Duration::from_secs(1));
            eprintln!("{} of {total} messages", self.answered.get());
        }
    }

    fn report(&self, elapsed: Duration) {
        let (answered, seconds) = (self.answered.get(), elapsed.as_secs_f64());
        let Plan { connections, size, .. } = self.plan;
        println!("{answered} messages of {size} bytes came back right in {seconds:.2} s");
        println!("{:.0} requests/s over {connections} connections", answered as f64 / seconds);
        let latency = self.latency.borrow();
        let at = |share| latency.value_at_quantile(share) as f64 / 1e6;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        println!("latency p50 {p50:.3} ms, p99 {p99:.3} ms, p99.9 {p999:.3} ms");
    }
}

/// Sends a message and reads as much as it was.
fn exchange(mut stream: &TcpStream, message: &[u8], answer: &mut [u8]) -> io::Result<()> {
    if message.len() <= AT_ONCE_BYTES_MAX {
        stream.write_all(message)?;
        return stream.read_exact(answer);
    }
    corovent::scope(|scope| {
        let writing = scope.spawn(|| (&*stream).write_all(message));
        let read = stream.read_exact(answer);
        if read.is_err() {
            // Nobody will read any more what is still to be written.
            writing.kill();
            return read;
        }
        writing.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    })
}

/// Each connection takes a descriptor; the soft limit is often 1024.
fn raise_fd_limit() {
    use rustix::process::Resource;
    use rustix::process::getrlimit;
    use rustix::process::setrlimit;

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Then fewer connections are possible, and the error says so.
    let _ = setrlimit(Resource::Nofile, limit);
}
