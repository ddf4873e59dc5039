//! The load for one server: connections that each have one request under way, on one epoll loop.
//!
//! It does what the lines of stdin say, and answers each with a line:
//!
//! ```text
//! connect COUNT            adds connections, each of which has a message answered
//! run BYTES MILLISECONDS   a new request on each as soon as its answer is in, for so long
//! rounds BYTES COUNT       a request on each, and when all answers are in the next on each
//! ```
//!
//! The answer is `done REQUESTS NANOSECONDS P50 P99 P99.9`, the percentiles in nanoseconds.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;
use support::clients::raise_fd_limit;

use crate::epoll::EDGE;
use crate::epoll::Epoll;
use crate::epoll::MANY;

/// A server that answers nothing for so long has lost something.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many connect before the server has to have accepted them: fewer than any backlog.
const CONNECTING: usize = 100;
const GREETING_BYTES: usize = 64;

pub(crate) struct Load {
    addr: SocketAddr,
    epoll: Epoll,
    connections: Vec<Connection>,
    latencies: Histogram<u64>,
    /// An answer is shorter, so reading one empties the socket: the next edge tells of more.
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    sent_at: Instant,
    /// Of the answer that is under way; 0 if none is.
    bytes_missing: usize,
}

impl Load {
    pub(crate) fn serve(addr: &str) -> io::Result<()> {
        raise_fd_limit();
        let longest_ns = 10 * PATIENCE.as_nanos() as u64;
        let latencies = Histogram::new_with_max(longest_ns, 3).map_err(io::Error::other)?;
        let addr = addr.parse().map_err(io::Error::other)?;
        let epoll = Epoll::new(MANY)?;
        let mut load =
            Load { addr, epoll, connections: Vec::new(), latencies, buffer: vec![0; 64 * 1024] };
        for line in io::stdin().lines() {
            let line = line?;
            let words: Vec<&str> = line.split(' ').collect();
            let number = |n: usize| -> io::Result<usize> {
                let word = words.get(n).ok_or_else(|| io::Error::other("a number is missing"))?;
                word.parse().map_err(io::Error::other)
            };
            load.latencies.reset();
            let start = Instant::now();
            let done = match words[0] {
                "connect" => load.connect(number(1)?)?,
                "run" => load.run(number(1)?, Duration::from_millis(number(2)? as u64))?,
                "rounds" => load.rounds(number(1)?, number(2)?)?,
                other => return Err(io::Error::other(format!("what is '{other}'?"))),
            };
            load.answer(done, start.elapsed());
        }
        Ok(())
    }

    fn answer(&self, done: usize, elapsed: Duration) {
        let at = |quantile: f64| self.latencies.value_at_quantile(quantile);
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        println!("done {done} {} {p50} {p99} {p999}", elapsed.as_nanos());
    }

    fn connect(&mut self, count: usize) -> io::Result<usize> {
        let wanted = self.connections.len() + count;
        while self.connections.len() < wanted {
            let first = self.connections.len();
            for n in first..wanted.min(first + CONNECTING) {
                self.connections.push(Connection::new(self.addr)?);
                self.epoll.add(self.connections[n].stream.as_raw_fd(), n as u64, EDGE)?;
            }
            self.round(&[7; GREETING_BYTES], first)?;
        }
        Ok(count)
    }

    fn run(&mut self, bytes: usize, time: Duration) -> io::Result<usize> {
        let message = vec![7; bytes];
        let end = Instant::now() + time;
        for connection in &mut self.connections {
            connection.send(&message, Instant::now())?;
        }
        let mut sent = self.connections.len();
        let mut done = 0;
        while done < sent {
            done += self.receive(|connection, now| {
                if now < end {
                    connection.send(&message, now)?;
                    sent += 1;
                }
                Ok(())
            })?;
        }
        Ok(done)
    }

    fn rounds(&mut self, bytes: usize, count: usize) -> io::Result<usize> {
        let message = vec![7; bytes];
        for _ in 0..count {
            self.round(&message, 0)?;
        }
        Ok(count * self.connections.len())
    }

    /// A request on each connection from one on, until all are answered.
    fn round(&mut self, message: &[u8], first: usize) -> io::Result<()> {
        for connection in &mut self.connections[first..] {
            connection.send(message, Instant::now())?;
        }
        let mut missing = self.connections.len() - first;
        while missing > 0 {
            missing -= self.receive(|_, _| Ok(()))?;
        }
        Ok(())
    }

    /// Reads what has come, and gives how many answers are whole now. What is to be done with such
    /// a connection is told when that is.
    fn receive(
        &mut self,
        mut next: impl FnMut(&mut Connection, Instant) -> io::Result<()>,
    ) -> io::Result<usize> {
        let events = self.epoll.wait(Some(PATIENCE));
        if events == 0 {
            return Err(io::Error::other("the server does not answer"));
        }
        let mut done = 0;
        for event in 0..events {
            let connection = &mut self.connections[self.epoll.data(event) as usize];
            if connection.receive(&mut self.buffer)? {
                let now = Instant::now();
                self.latencies.saturating_record((now - connection.sent_at).as_nanos() as u64);
                done += 1;
                next(connection, now)?;
            }
        }
        Ok(done)
    }
}

impl Connection {
    fn new(addr: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        // Nothing stays behind when it is closed: of ports there are fewer than connections.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(Connection { stream, sent_at: Instant::now(), bytes_missing: 0 })
    }

    /// One message of at most 16 KiB always fits into the socket.
    fn send(&mut self, message: &[u8], now: Instant) -> io::Result<()> {
        self.sent_at = now;
        self.bytes_missing = message.len();
        self.stream.write_all(message)
    }

    /// Reads what is there; whether the answer is whole then.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let got = match self.stream.read(buffer) {
            Ok(0) => return Err(io::Error::other("the server has closed a connection")),
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        self.bytes_missing = self
            .bytes_missing
            .checked_sub(got)
            .ok_or_else(|| io::Error::other("more has come back than was sent"))?;
        Ok(self.bytes_missing == 0)
    }
}
