//! Asynchronous: the server hands a whole operation to the kernel (`io_uring(7)`), which says
//! when it is done. Nobody asks whether something is ready, and one call submits operations
//! and collects results for everybody.

// The kernel is given memory to write to while other code runs.
#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::ptr;

use io_uring::IoUring;
use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::Fd;
use slab::Slab;

use crate::connection::pause;
use crate::tally;
use crate::upper::BUFFER_BYTES;

/// So many operations are submitted by one call; more than that take several.
const ENTRIES: u32 = 256;
/// What stands for the listener where others have the number of their connection.
const LISTENER: u64 = u64::MAX;

/// A client. At any time the kernel has exactly one operation of it: a receive into all of
/// the buffer, or a send of a part.
struct Connection {
    stream: TcpStream,
    buffer: Box<[u8; BUFFER_BYTES]>,
    /// The part of the answer that is still to be sent; empty if it receives.
    start: usize,
    end: usize,
}

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    let ring = IoUring::new(ENTRIES).map_err(|error| {
        io::Error::new(error.kind(), format!("the kernel refuses an io_uring: {error}"))
    })?;
    // Never freed, also if this function should end by an error or a panic: the kernel may
    // write to the buffers for a while after the ring was closed.
    let connections = ManuallyDrop::new(Slab::new());
    Server { ring, listener, connections }.run()
}

struct Server {
    ring: IoUring,
    listener: TcpListener,
    connections: ManuallyDrop<Slab<Connection>>,
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        self.accept_next()?;
        loop {
            match tally::wait(|| self.ring.submit_and_wait(1)) {
                // So many results wait that the kernel first wants some of them collected.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                result => drop(result?),
            }
            let done: Vec<(u64, i32)> =
                self.ring.completion().map(|done| (done.user_data(), done.result())).collect();
            tally::noticed(done.len());
            for (who, result) in done {
                let result = u32::try_from(result)
                    .map_err(|_| io::Error::from_raw_os_error(result.saturating_neg()));
                if who == LISTENER {
                    self.on_accepted(result)?;
                } else {
                    self.on_moved(who as usize, result)?;
                }
            }
        }
    }

    fn accept_next(&mut self) -> io::Result<()> {
        let fd = Fd(self.listener.as_raw_fd());
        let accept = opcode::Accept::new(fd, ptr::null_mut(), ptr::null_mut())
            .flags(libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: the operation has no pointers, and the listener lives as long as the ring.
        unsafe { submit(&mut self.ring, accept.user_data(LISTENER)) }
    }

    fn on_accepted(&mut self, result: io::Result<u32>) -> io::Result<()> {
        match result {
            Ok(fd) => {
                tally::accepted();
                // SAFETY: the kernel has just made it for us and nobody else owns it.
                let stream = unsafe { TcpStream::from_raw_fd(fd as i32) };
                let buffer = Box::new([0; BUFFER_BYTES]);
                let connection = Connection { stream, buffer, start: 0, end: 0 };
                let key = self.connections.insert(connection);
                self.go_on(key)?;
            }
            Err(error) => pause(&error),
        }
        self.accept_next()
    }

    /// One operation of a connection is done: the buffer is ours again.
    fn on_moved(&mut self, key: usize, result: io::Result<u32>) -> io::Result<()> {
        let connection = &mut self.connections[key];
        let count = match result {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.go_on(key),
            // A connection that breaks is the client's business.
            Err(_) => 0,
        };
        if count == 0 {
            self.connections.remove(key);
            return Ok(());
        }
        if connection.start < connection.end {
            connection.start += count;
        } else {
            connection.buffer[..count].make_ascii_uppercase();
            tally::served_bytes(count);
            (connection.start, connection.end) = (0, count);
        }
        self.go_on(key)
    }

    /// Hands the connection's next operation to the kernel.
    fn go_on(&mut self, key: usize) -> io::Result<()> {
        let connection = &mut self.connections[key];
        let fd = Fd(connection.stream.as_raw_fd());
        let operation = if connection.start < connection.end {
            let part = &connection.buffer[connection.start..connection.end];
            let send = opcode::Send::new(fd, part.as_ptr(), part.len() as u32);
            send.flags(libc::MSG_NOSIGNAL).build()
        } else {
            let buffer = &mut connection.buffer[..];
            opcode::Recv::new(fd, buffer.as_mut_ptr(), buffer.len() as u32).build()
        };
        // SAFETY: the buffer and the descriptor stay until the operation is done: only
        // `on_moved` touches or removes a connection, and if the server ends, none is freed.
        unsafe { submit(&mut self.ring, operation.user_data(key as u64)) }
    }
}

/// Puts an operation into the queue that the kernel takes with the next call.
///
/// # Safety
///
/// What the operation points to must be there until it is done.
unsafe fn submit(ring: &mut IoUring, operation: Entry) -> io::Result<()> {
    loop {
        // SAFETY: the caller answers for what the operation points to.
        if unsafe { ring.submission().push(&operation) }.is_ok() {
            return Ok(());
        }
        tally::wait(|| ring.submit())?;
    }
}
