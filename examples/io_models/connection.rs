//! A client of the models that never block: each call does what it can at once.
//!
//! The kernel says when the next call has a chance; how it says so is all by which these
//! models differ. A connection that waits owns no buffer but what the client has not taken.

use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::thread;
use std::time::Duration;

use crate::tally;
use crate::upper::BUFFER_BYTES;

/// One client.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The rest of an answer for which there was no room.
    owed: RefCell<Vec<u8>>,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something was moved, and there may be more.
    Moved,
    /// The next try has a chance when the kernel says so.
    WouldBlock,
    Closed,
}

impl Connection {
    /// Whether it waits for room, else it waits for something to read.
    ///
    /// A client that does not take its answers is not read from: what it is owed stays small.
    pub(crate) fn wants_room(&self) -> bool {
        !self.owed.borrow().is_empty()
    }

    /// Goes on with an answer, or reads one piece and answers that.
    pub(crate) fn serve(&self) -> Outcome {
        self.try_serve().unwrap_or_else(|error| match error.kind() {
            ErrorKind::WouldBlock => Outcome::WouldBlock,
            ErrorKind::Interrupted => Outcome::Moved,
            // A connection that breaks is the client's business.
            _ => Outcome::Closed,
        })
    }

    /// Serves until nothing is left to do, or often enough that others should have a turn.
    pub(crate) fn serve_often(&self) -> Outcome {
        const OFTEN: usize = 16;
        let mut outcomes = (0..OFTEN).map(|_| self.serve());
        outcomes.find(|outcome| *outcome != Outcome::Moved).unwrap_or(Outcome::Moved)
    }

    fn try_serve(&self) -> io::Result<Outcome> {
        let mut stream = &self.stream;
        let mut owed = self.owed.borrow_mut();
        if !owed.is_empty() {
            let count = tally::call(|| stream.write(&owed))?;
            owed.drain(..count);
            return Ok(Outcome::Moved);
        }
        let mut buffer = [0; BUFFER_BYTES];
        let count = tally::call(|| stream.read(&mut buffer))?;
        if count == 0 {
            return Ok(Outcome::Closed);
        }
        let answer = &mut buffer[..count];
        answer.make_ascii_uppercase();
        tally::served_bytes(count);
        let written = tally::call(|| stream.write(answer));
        let rest = &answer[*written.as_ref().unwrap_or(&0)..];
        owed.extend_from_slice(rest);
        written.map(|_| Outcome::Moved)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

/// Accepts one client of a listener that does not block; `None` if nobody knocks, or if
/// that cannot be helped now.
pub(crate) fn accept(listener: &TcpListener) -> Option<Connection> {
    loop {
        let accepted = tally::call(|| listener.accept()).and_then(|(stream, _)| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        match accepted {
            Ok(stream) => {
                tally::accepted();
                return Some(Connection { stream, owed: RefCell::default() });
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return None,
                // The client was too quick to go.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                _ => {
                    pause(&error);
                    return None;
                }
            },
        }
    }
}

/// A client cannot be taken in, for want of a descriptor or of memory: says so, and gives
/// others a moment to leave.
pub(crate) fn pause(error: &io::Error) {
    eprintln!("io_models: cannot take in a client: {error}");
    thread::sleep(Duration::from_millis(10));
}
