//! The clients of a measurement: coroutines of this process, each with one connection.
//!
//! Each sends a message, waits for the answer, checks it, and sends the next. What a model
//! does not serve just waits; when the time is up, all of them are killed.

use std::cell::Cell;
use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use corovent::JoinHandle;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;

use crate::server::Server;
use crate::server::Usage;

pub(crate) const MESSAGE_BYTES: usize = 64;
/// Whoever has not had a first answer after so long is not served.
const PATIENCE: Duration = Duration::from_secs(1);
/// An hour; an answer that takes longer counts as one.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// What came of talking to a server for some time.
pub(crate) struct Talk {
    pub(crate) seconds: f64,
    /// Answers that came in that time.
    pub(crate) requests: u64,
    /// Connections that had at least one of them.
    pub(crate) served: usize,
    pub(crate) p99_ms: f64,
    /// What the server used in that time.
    pub(crate) cpu_seconds: f64,
    pub(crate) switches: u64,
    /// What it was at the end of it.
    pub(crate) usage: Usage,
}

impl Talk {
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Microseconds of the server's processor time for one request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests as f64
    }
}

/// Connects so many clients, and gives those that were answered once, in that order.
pub(crate) fn greet(addr: &str, connections: usize) -> Vec<TcpStream> {
    let clients: Vec<JoinHandle<io::Result<TcpStream>>> = (0..connections)
        .map(|n| {
            let addr = addr.to_owned();
            spawn(move || {
                let mut stream = connect(&addr)?;
                exchange(&mut stream, n, 0)?;
                Ok(stream)
            })
        })
        .collect();
    let _ = timeout(PATIENCE, || {
        while !clients.iter().all(JoinHandle::is_finished) {
            sleep(Duration::from_millis(5));
        }
    });
    for client in &clients {
        client.kill();
    }
    // Whoever was killed or sent away is not among them.
    clients.into_iter().filter_map(|client| client.join().ok()?.ok()).collect()
}

/// Connects so many clients and has them all talk, so long.
pub(crate) fn talk(
    server: &Server,
    connections: usize,
    time: Duration,
) -> Result<Talk, Box<dyn Error>> {
    let load = Load::new()?;
    let clients = (0..connections).map(|n| {
        let (load, addr) = (Rc::clone(&load), server.addr.clone());
        spawn(move || load.talk(n, connect(&addr)?))
    });
    load.measure(server, clients.collect(), time)
}

/// Has one client that is connected talk, so long.
pub(crate) fn talk_alone(
    server: &Server,
    stream: TcpStream,
    time: Duration,
) -> Result<Talk, Box<dyn Error>> {
    let load = Load::new()?;
    let client = Rc::clone(&load);
    load.measure(server, vec![spawn(move || client.talk(0, stream))], time)
}

/// What the clients share. They are on one thread: no lock is needed.
struct Load {
    /// Connections that have had an answer, be it before the measurement.
    greeted: Cell<usize>,
    is_measured: Cell<bool>,
    requests: Cell<u64>,
    served: Cell<usize>,
    latency: RefCell<Histogram<u64>>,
    /// An answer that was not the right one.
    wrong: RefCell<Option<io::Error>>,
}

impl Load {
    fn new() -> Result<Rc<Load>, Box<dyn Error>> {
        Ok(Rc::new(Load {
            greeted: Cell::new(0),
            is_measured: Cell::new(false),
            requests: Cell::new(0),
            served: Cell::new(0),
            latency: RefCell::new(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?),
            wrong: RefCell::new(None),
        }))
    }

    fn measure(
        &self,
        server: &Server,
        clients: Vec<JoinHandle<io::Result<()>>>,
        time: Duration,
    ) -> Result<Talk, Box<dyn Error>> {
        // First all connections are made, and some answers given: memory is touched by them.
        let start = Instant::now();
        while self.greeted.get() < clients.len() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5));
        }
        sleep(time / 5);
        let (before, start) = (server.usage()?, Instant::now());
        self.is_measured.set(true);
        sleep(time);
        // On a busy machine the first answer may take longer.
        while self.requests.get() == 0 && start.elapsed() < time + PATIENCE {
            sleep(time / 5);
        }
        self.is_measured.set(false);
        let (seconds, after) = (start.elapsed().as_secs_f64(), server.usage()?);

        for client in &clients {
            client.kill();
        }
        for client in clients {
            // Whoever was killed, or sent away by the server, has just not been served.
            let _ = client.join();
        }
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong.into());
        }
        Ok(Talk {
            seconds,
            requests: self.requests.get(),
            served: self.served.get(),
            p99_ms: self.latency.borrow().value_at_quantile(0.99) as f64 / 1e6,
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            switches: after.switches.saturating_sub(before.switches),
            usage: after,
        })
    }

    /// Talks until it is killed.
    fn talk(&self, n: usize, mut stream: TcpStream) -> io::Result<()> {
        let mut is_served = false;
        for number in 0.. {
            let start = Instant::now();
            if let Err(error) = exchange(&mut stream, n, number) {
                if error.kind() == ErrorKind::InvalidData {
                    *self.wrong.borrow_mut() = Some(error);
                }
                break;
            }
            if number == 0 {
                self.greeted.set(self.greeted.get() + 1);
            }
            if self.is_measured.get() {
                self.requests.set(self.requests.get() + 1);
                self.served.set(self.served.get() + usize::from(!is_served));
                is_served = true;
                let latency = start.elapsed().as_nanos() as u64;
                self.latency.borrow_mut().saturating_record(latency);
            }
        }
        Ok(())
    }
}

fn connect(addr: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a message that no other is like, and checks the answer.
fn exchange(stream: &mut TcpStream, n: usize, number: u64) -> io::Result<()> {
    let mut message = [b'.'; MESSAGE_BYTES];
    let text = &mut message[..24];
    for (at, byte) in text.iter_mut().enumerate() {
        // The numbers in hexadecimal digits, which are letters here.
        let digits = if at < 8 { n as u64 } else { number };
        *byte = b'a' + (digits >> (4 * (at % 8)) & 15) as u8;
    }
    stream.write_all(&message)?;
    let mut answer = [0; MESSAGE_BYTES];
    stream.read_exact(&mut answer)?;
    message.make_ascii_uppercase();
    if answer == message {
        Ok(())
    } else {
        let text = format!("connection {n} had a wrong answer to its message {number}");
        Err(io::Error::new(ErrorKind::InvalidData, text))
    }
}
