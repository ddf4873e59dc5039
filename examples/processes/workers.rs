//! `serve`: one address, and several processes that answer there.
//!
//! The first process has the listener and starts the others, which run this program from its
//! start and come to the same `bind`: there they find themselves workers. One that dies is
//! started again. Each serves its connections by coroutines; while one of them computes, the
//! other connections of its process wait, those of other processes do not.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::process;
use std::time::Duration;

use corovent::net::TcpStream;
use corovent::server::StreamServer;
use corovent::server::worker_number;
use corovent::signal;
use corovent::spawn;
use corovent::thread::available_parallelism;
use corovent::yield_now;

const ADDR_DEFAULT: &str = "127.0.0.1:7777";
const NUMBER_MAX: usize = 10_000_000;
const LINE_BYTES_MAX: u64 = 100;
/// How long clients may go on after the signal.
const GRACE: Duration = Duration::from_secs(1);
/// The first process gives the workers a little longer than they give their clients.
const GRACE_OF_WORKERS: Duration = Duration::from_secs(3);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Serves until a signal comes. Gives true.
pub(crate) fn serve(args: &[String]) -> Result<bool, String> {
    let (workers, addr) = read(args)?;
    let server = StreamServer::builder()
        .processes(workers)
        .grace(GRACE)
        .bind(addr, |stream: TcpStream, _| answer(&stream))
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    if worker_number().is_none() {
        let handle = server.handle();
        spawn(move || {
            // A program that cannot wait for signals can still be killed.
            if signal::wait(&[SIGINT, SIGTERM]).is_ok() {
                handle.request_stop(GRACE_OF_WORKERS);
            }
        });
        // It waits by the time that somebody knows of the server.
        yield_now();
        println!("listening on {}", server.local_addr());
    }
    server.serve_forever().map_err(|error| error.to_string())?;
    match worker_number() {
        Some(number) => println!("worker {number} served {} clients", server.stats().accepted),
        None => println!("{workers} workers have ended"),
    }
    Ok(true)
}

/// How many workers, and where.
fn read(args: &[String]) -> Result<(usize, &str), String> {
    let mut workers = None;
    let mut addr = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--workers" => {
                let text = args.next().ok_or("--workers needs a number (see --help)")?;
                let bad = || format!("--workers needs a number from 1 to 1000, not '{text}'");
                let number = text.parse().ok().filter(|number| (1..=1000).contains(number));
                workers = Some(number.ok_or_else(bad)?);
            }
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
            _ if addr.is_none() => addr = Some(arg.as_str()),
            _ => return Err(format!("unexpected argument '{arg}'")),
        }
    }
    let processors = || available_parallelism().map_or(1, |processors| processors.get());
    Ok((workers.unwrap_or_else(processors), addr.unwrap_or(ADDR_DEFAULT)))
}

/// Answers the lines of a client, one after the other.
fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let by = format!(
        "worker {} (process {})",
        worker_number().map_or("none".to_owned(), |number| number.to_string()),
        process::id()
    );
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let text = match line.trim().parse() {
            Ok(limit @ 0..=NUMBER_MAX) => {
                format!("{} primes up to {limit}, counted by {by}\n", count_primes(limit))
            }
            _ => format!("a number from 0 to {NUMBER_MAX} is needed, says {by}\n"),
        };
        stream.write_all(text.as_bytes())?;
    }
}

/// The sieve of Eratosthenes. It never waits, so meanwhile nothing else runs in the process.
fn count_primes(limit: usize) -> usize {
    let mut is_prime = vec![true; limit + 1];
    let mut count = 0;
    for n in 2..=limit {
        if is_prime[n] {
            count += 1;
            (n * n..=limit).step_by(n).for_each(|multiple| is_prime[multiple] = false);
        }
    }
    count
}
