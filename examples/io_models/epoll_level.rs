//! `epoll(7)`, level-triggered: the kernel keeps the list, and gives those that are ready, as
//! long as they are. One try for each is enough: who has more is in the next list again.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, data(listener.as_raw_fd()), EventFlags::IN)?;
    let mut server = Server { epoll, connections: HashMap::new() };
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        tally::wait(|| Ok(epoll::wait(&server.epoll, spare_capacity(&mut events), None)?))?;
        tally::noticed(events.len());
        for event in &events {
            let fd = event.data.u64() as RawFd;
            if fd == listener.as_raw_fd() {
                server.accept_all(&listener)?;
            } else {
                server.serve_one(fd)?;
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    connections: HashMap<RawFd, Connection>,
}

impl Server {
    fn accept_all(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some(connection) = accept(listener) {
            let fd = connection.as_raw_fd();
            epoll::add(&self.epoll, &connection, data(fd), EventFlags::IN)?;
            self.connections.insert(fd, connection);
        }
        Ok(())
    }

    fn serve_one(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(connection) = self.connections.get(&fd) else { return Ok(()) };
        let wanted_room = connection.wants_room();
        if connection.serve() == Outcome::Closed {
            // Closing it takes it out of the kernel's list.
            self.connections.remove(&fd);
            return Ok(());
        }
        let wants_room = connection.wants_room();
        if wants_room != wanted_room {
            let wanted = if wants_room { EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, connection, data(fd), wanted)?;
        }
        Ok(())
    }
}

fn data(fd: RawFd) -> EventData {
    EventData::new_u64(fd as u64)
}
