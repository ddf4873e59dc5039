//! `select(2)`: three sets of descriptors go to the kernel, and come back with who is ready.
//!
//! The sets are arrays of bits, as long as the largest descriptor in them: both sides walk
//! over all of it at every call. POSIX limits them to descriptors below `FD_SETSIZE`.

// `rustix::event::select` is unsafe: it takes descriptors by number.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;

use rustix::event::FdSetElement;
use rustix::event::FdSetIter;
use rustix::event::fd_set_insert;
use rustix::event::fd_set_num_elements;
use rustix::event::fd_set_remove;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

/// The length of an `fd_set`, which POSIX gives as a constant. Linux itself takes longer
/// ones; its C library does not.
pub(crate) const FD_SETSIZE: RawFd = 1024;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut server = Server { connections: HashMap::new(), sets: [empty_set(), empty_set()] };
    fd_set_insert(&mut server.sets[READ], listener.as_raw_fd());
    loop {
        for fd in server.wait(&listener)? {
            if fd == listener.as_raw_fd() {
                server.accept_all(&listener);
            } else {
                server.serve_one(fd);
            }
        }
    }
}

const READ: usize = 0;
const WRITE: usize = 1;

struct Server {
    connections: HashMap<RawFd, Connection>,
    /// Who wants to read, and who wants to write: exactly the listener and the connections.
    sets: [Vec<FdSetElement>; 2],
}

impl Server {
    /// Gives those that are ready.
    fn wait(&self, listener: &TcpListener) -> io::Result<Vec<RawFd>> {
        // The kernel writes its answer into the sets, so it gets copies.
        let [mut read, mut write] = self.sets.clone();
        let all = self.connections.keys().copied().chain([listener.as_raw_fd()]);
        let end = 1 + all.max().unwrap_or(0);
        tally::wait(|| {
            // SAFETY: the descriptors in the sets must be open: they are the listener, which
            // is borrowed, and the connections, which leave the sets before they are closed.
            let count = unsafe {
                rustix::event::select(end, Some(&mut read), Some(&mut write), None, None)
            };
            Ok(count?)
        })?;
        let ready: Vec<RawFd> = FdSetIter::new(&read).chain(FdSetIter::new(&write)).collect();
        tally::noticed(ready.len());
        Ok(ready)
    }

    fn accept_all(&mut self, listener: &TcpListener) {
        while let Some(connection) = accept(listener) {
            let fd = connection.as_raw_fd();
            // There is no bit for it: dropping it sends the client away.
            if fd < FD_SETSIZE {
                fd_set_insert(&mut self.sets[READ], fd);
                self.connections.insert(fd, connection);
            }
        }
    }

    fn serve_one(&mut self, fd: RawFd) {
        let Some(connection) = self.connections.get(&fd) else { return };
        let outcome = connection.serve();
        let [wanted, other] = if connection.wants_room() { [WRITE, READ] } else { [READ, WRITE] };
        fd_set_insert(&mut self.sets[wanted], fd);
        fd_set_remove(&mut self.sets[other], fd);
        if outcome == Outcome::Closed {
            fd_set_remove(&mut self.sets[wanted], fd);
            self.connections.remove(&fd);
        }
    }
}

fn empty_set() -> Vec<FdSetElement> {
    vec![FdSetElement::default(); fd_set_num_elements(FD_SETSIZE as usize, FD_SETSIZE)]
}
