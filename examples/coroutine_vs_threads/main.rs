//! The same blocking code twice, on OS threads and on coroutines, under the same load.
//!
//! ```text
//! cargo run --release --example coroutine_vs_threads [-- --requests N --connections N,N,…]
//! ```
//!
//! `server.rs` is compiled with std's names and with corovent's; not a line differs. Each of
//! the two serves in a process of its own, and the clients, coroutines here, compare every
//! byte that comes back. What the machine cannot run is said in the table.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::net::TcpStream;
use corovent::scope;
use corovent::timeout;

/// The server on OS threads.
mod threads {
    use std::io;
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::thread::Builder;

    use super::STACK_BYTES;

    include!("server.rs");
}

/// The server on coroutines.
mod coroutines {
    use std::io;
    use std::io::Read;
    use std::io::Write;

    use corovent::net::TcpListener;
    use corovent::net::TcpStream;
    use corovent::thread::Builder;

    use super::STACK_BYTES;

    include!("server.rs");
}

const HELP: &str = "\
The same blocking echo server on OS threads and on coroutines, under the same load.

Usage: coroutine_vs_threads [--connections N,N,…] [--requests N]

  --connections N,N,…  how many at once, one row of the table each (default 1,100,1000,5000)
  --requests N         messages of 64 bytes for each row (default 100000)";

/// Both kinds get the same.
const STACK_BYTES: usize = 64 * 1024;
const MESSAGE_BYTES: usize = 64;
/// A server that has not answered for so long does not run.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    raise_fd_limit();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["--serve", "threads"] => threads::serve().map_err(Box::from),
        ["--serve", "coroutines"] => coroutines::serve().map_err(Box::from),
        _ => Plan::from_args(&args).and_then(|plan| plan.run()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coroutine_vs_threads: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What to measure.
struct Plan {
    connections: Vec<usize>,
    requests: usize,
}

impl Plan {
    fn from_args(args: &[String]) -> Result<Plan, Box<dyn Error>> {
        let mut plan = Plan { connections: vec![1, 100, 1_000, 5_000], requests: 100_000 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or(format!("unexpected argument '{arg}' (see --help)"))?;
            let numbers: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
            let numbers = numbers.map_err(|_| format!("{arg}: not a number: {value}"))?;
            match (arg.as_str(), &numbers[..]) {
                (_, numbers) if numbers.contains(&0) => {
                    return Err(format!("{arg} must not be zero").into());
                }
                ("--connections", _) => plan.connections = numbers,
                ("--requests", &[requests]) => plan.requests = requests,
                _ => return Err(format!("unexpected argument '{arg}' (see --help)").into()),
            }
        }
        Ok(plan)
    }

    fn run(&self) -> Result<(), Box<dyn Error>> {
        println!(
            "{:>11}  {:<10} {:>10} {:>6} {:>12} {:>9}  {:>16}",
            "connections", "server", "requests/s", "CPU s", "resident MiB", "switches", "checksum"
        );
        let mut compared = 0;
        for &connections in &self.connections {
            let threads = self.print_row("threads", connections);
            let coroutines = self.print_row("coroutines", connections);
            if let (Some(threads), Some(coroutines)) = (threads, coroutines) {
                if threads != coroutines {
                    return Err("threads and coroutines have sent back different bytes".into());
                }
                compared += threads.bytes;
            }
        }
        println!(
            "threads and coroutines sent the same {compared} bytes, each of them the right one"
        );
        Ok(())
    }

    /// Measures and prints one row, and gives the checksum of all that was received; `None`
    /// if this machine cannot run it.
    fn print_row(&self, kind: &str, connections: usize) -> Option<Received> {
        print!("{connections:>11}  {kind:<10} ");
        let _ = io::stdout().flush();
        match self.measure(kind, connections) {
            Ok(row) => {
                println!(
                    "{:>10.0} {:>6.2} {:>12.1} {:>9}  {:016x}",
                    self.requests as f64 / row.seconds,
                    row.cpu_seconds,
                    row.resident_bytes as f64 / f64::from(1 << 20),
                    row.switches,
                    row.received.checksum,
                );
                Some(row.received)
            }
            Err(error) => {
                println!("cannot run: {error}");
                None
            }
        }
    }

    fn measure(&self, kind: &str, connections: usize) -> Result<Row, Box<dyn Error>> {
        let mut server = Server::start(kind)?;
        let measured = timeout(PATIENCE, || -> Result<Row, Box<dyn Error>> {
            let clients = Clients::connect(&server.addr, connections)?;
            let (before, start) = (server.usage()?, Instant::now());
            let received = clients.exchange(self.requests)?;
            let (after, seconds) = (server.usage()?, start.elapsed().as_secs_f64());
            Ok(Row {
                seconds,
                cpu_seconds: after.cpu_seconds - before.cpu_seconds,
                resident_bytes: after.resident_bytes,
                switches: after.switches - before.switches,
                received,
            })
        });
        match measured {
            Ok(Ok(row)) => Ok(row),
            // What the server said last tells more than what its clients saw.
            Ok(Err(error)) => Err(server.last_words().map_or(error, Box::from)),
            Err(Elapsed) => Err("the time is up".into()),
        }
    }
}

/// What one row of the table shows.
struct Row {
    seconds: f64,
    cpu_seconds: f64,
    resident_bytes: u64,
    switches: u64,
    received: Received,
}

/// The clients of one row: coroutines, whatever the server is.
struct Clients {
    streams: Vec<TcpStream>,
}

/// All that came back.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Received {
    bytes: u64,
    checksum: u64,
}

impl Clients {
    /// Makes the connections. Each has had an answer, so its thread or coroutine runs.
    fn connect(addr: &str, connections: usize) -> io::Result<Clients> {
        let mut streams = Vec::with_capacity(connections);
        for n in 0..connections {
            let stream = TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            exchange_one(&stream, n, 0)?;
            streams.push(stream);
        }
        Ok(Clients { streams })
    }

    /// Sends messages, a share of them over each connection, all connections at once.
    fn exchange(&self, requests: usize) -> io::Result<Received> {
        let connections = self.streams.len();
        let talk = |n: usize, stream: &TcpStream| -> io::Result<Received> {
            let share = requests / connections + usize::from(n < requests % connections);
            let mut received = Received::default();
            for number in 0..share {
                received.add(&exchange_one(stream, n, number)?);
            }
            Ok(received)
        };
        scope(|scope| {
            let start = |(n, stream)| scope.spawn(move || talk(n, stream));
            let talks: Vec<_> = self.streams.iter().enumerate().map(start).collect();
            let mut all = Received::default();
            for talk in talks {
                let received = talk.join().expect("no client panics")?;
                all.bytes += received.bytes;
                // No connection comes before another.
                all.checksum = all.checksum.wrapping_add(received.checksum);
            }
            Ok(all)
        })
    }
}

impl Received {
    fn add(&mut self, answer: &[u8]) {
        self.bytes += answer.len() as u64;
        for byte in answer {
            // FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>.
            self.checksum = (self.checksum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// Sends a message that no other is like, and gives the answer, which must be the same.
fn exchange_one(mut stream: &TcpStream, n: usize, number: usize) -> io::Result<Vec<u8>> {
    let text = format!("connection {n}, message {number};");
    let message: Vec<u8> = text.bytes().cycle().take(MESSAGE_BYTES).collect();
    stream.write_all(&message)?;
    let mut answer = vec![0; MESSAGE_BYTES];
    stream.read_exact(&mut answer)?;
    if answer == message {
        Ok(answer)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("another answer to: {text}")))
    }
}

/// One of the servers, in a process of its own.
struct Server {
    child: Child,
    addr: String,
}

/// What a process has used up.
struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    switches: u64,
}

impl Server {
    fn start(kind: &str) -> Result<Server, Box<dyn Error>> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve", kind])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        Ok(Server { child, addr })
    }

    /// Ends the server, and gives the line with which it gave up, if it did.
    fn last_words(&mut self) -> Option<String> {
        let _ = self.child.kill();
        let mut errors = String::new();
        self.child.stderr.take()?.read_to_string(&mut errors).ok()?;
        let line = errors.lines().next()?;
        Some(line.strip_prefix("coroutine_vs_threads: ").unwrap_or(line).to_owned())
    }

    fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        let directory = format!("/proc/{}", self.child.id());
        // Behind the name, in parentheses, the fields of proc_pid_stat(5) go on with the third.
        let stat = fs::read_to_string(format!("{directory}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("stat has no name")?;
        let ticks: Result<u64, _> = fields.split(' ').skip(12).take(2).map(str::parse::<u64>).sum();
        let mut switches = 0;
        for task in fs::read_dir(format!("{directory}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            switches += field(&status, "voluntary_ctxt_switches")?;
            switches += field(&status, "nonvoluntary_ctxt_switches")?;
        }
        let status = fs::read_to_string(format!("{directory}/status"))?;
        Ok(Usage {
            cpu_seconds: ticks? as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: field(&status, "VmRSS")? * 1024,
            switches,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of one line of a status file: proc_pid_status(5).
fn field(status: &str, name: &str) -> Result<u64, Box<dyn Error>> {
    let of_line = |line: &str| {
        line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
    };
    status.lines().find_map(of_line).ok_or_else(|| format!("{name} is missing in /proc").into())
}

/// Each connection takes a descriptor; the soft limit is often 1024.
fn raise_fd_limit() {
    use rustix::process::Resource;
    use rustix::process::getrlimit;
    use rustix::process::setrlimit;

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Then some rows cannot run, and say so.
    let _ = setrlimit(Resource::Nofile, limit);
}
