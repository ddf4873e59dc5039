//! `poll(2)`: an array with an entry for each descriptor. No limit but memory; still both
//! sides walk over all of it at every call.

use std::io;
use std::iter;
use std::net::TcpListener;

use rustix::event::PollFd;
use rustix::event::PollFlags;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        // The entries borrow the connections, so they are made anew each time.
        let mut entries: Vec<PollFd<'_>> = connections.iter().map(entry).collect();
        entries.push(PollFd::new(&listener, PollFlags::IN));
        let count = tally::wait(|| Ok(rustix::event::poll(&mut entries, None)?))?;
        tally::noticed(count);

        let ready = entries.iter().map(|entry| !entry.revents().is_empty());
        let mut ready = ready.collect::<Vec<bool>>().into_iter();
        // They are in the order of the entries; the listener's is the last.
        connections.retain(|connection| {
            let is_ready = ready.next() == Some(true);
            !is_ready || connection.serve() != Outcome::Closed
        });
        if ready.next() == Some(true) {
            connections.extend(iter::from_fn(|| accept(&listener)));
        }
    }
}

fn entry(connection: &Connection) -> PollFd<'_> {
    let wanted = if connection.wants_room() { PollFlags::OUT } else { PollFlags::IN };
    PollFd::new(connection, wanted)
}
