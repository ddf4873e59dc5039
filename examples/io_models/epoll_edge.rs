//! `epoll(7)`, edge-triggered: the kernel says once that something has come. Whoever is told
//! goes on until EAGAIN, or is never told again. Nothing is ever registered anew.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

const NOT_AT_ALL: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    // The listener is level-triggered: a client that cannot be taken in now is not forgotten.
    epoll::add(&epoll, &listener, data(listener.as_raw_fd()), EventFlags::IN)?;
    let mut connections: HashMap<RawFd, Connection> = HashMap::new();
    // Those that were told and have not come to EAGAIN: one that never stops sending must
    // not keep the others from their turn.
    let mut unfinished: VecDeque<RawFd> = VecDeque::new();
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        let timeout = if unfinished.is_empty() { None } else { Some(&NOT_AT_ALL) };
        tally::wait(|| Ok(epoll::wait(&epoll, spare_capacity(&mut events), timeout)?))?;
        tally::noticed(events.len());
        for event in &events {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                accept_all(&listener, &epoll, &mut connections)?;
            } else {
                unfinished.push_back(fd);
            }
        }
        for _ in 0..unfinished.len() {
            let Some(fd) = unfinished.pop_front() else { break };
            match connections.get(&fd).map(Connection::serve_often) {
                Some(Outcome::Moved) if !unfinished.contains(&fd) => unfinished.push_back(fd),
                Some(Outcome::Closed) => drop(connections.remove(&fd)),
                _ => {}
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    epoll: &OwnedFd,
    connections: &mut HashMap<RawFd, Connection>,
) -> io::Result<()> {
    while let Some(connection) = accept(listener) {
        let fd = connection.as_raw_fd();
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &connection, data(fd), both)?;
        connections.insert(fd, connection);
    }
    Ok(())
}

fn data(fd: RawFd) -> EventData {
    EventData::new_u64(fd as u64)
}
