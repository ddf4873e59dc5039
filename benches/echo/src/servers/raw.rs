//! The limit: loops over the kernel's own calls, with one buffer for all connections.

use std::io;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;
use crate::epoll;
use crate::epoll::EDGE;
use crate::epoll::Epoll;
use crate::epoll::FEW;
use crate::epoll::LEVEL;
use crate::epoll::MANY;

/// Two calls a request, and a share of a third.
pub(super) fn edge_triggered() -> Served {
    serve_edges(announced()?)
}

/// The same with fewer at a time.
pub(super) fn few_at_a_time() -> Served {
    serve(announced()?, EDGE, FEW, echo_edge)
}

/// The same without asking whether there is more: the next poll tells.
pub(super) fn level_triggered() -> Served {
    serve(announced()?, LEVEL, MANY, |fd, buffer| echo(fd, buffer).is_some())
}

pub(super) fn serve_edges(listener: TcpListener) -> Served {
    serve(listener, EDGE, MANY, echo_edge)
}

fn echo_edge(fd: RawFd, buffer: &mut [u8]) -> bool {
    loop {
        match echo(fd, buffer) {
            None => return false,
            // A short read has emptied the socket: the next edge tells of more.
            Some(got) if got < buffer.len() => return true,
            Some(_) => {}
        }
    }
}

fn announced() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    Ok(listener)
}

/// What is done with a connection that is ready; whether it goes on after that.
type Handle = fn(RawFd, &mut [u8]) -> bool;

fn serve(listener: TcpListener, bits: i32, events: usize, handle: Handle) -> Served {
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new(events)?;
    let listener_fd = listener.as_raw_fd();
    epoll.add(listener_fd, listener_fd as u64, bits)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    // By the numbers of their descriptors.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    loop {
        for event in 0..epoll.wait(None) {
            let fd = epoll.data(event) as RawFd;
            if fd != listener_fd {
                if !handle(fd, &mut buffer) {
                    streams[fd as usize] = None;
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                let fd = stream.as_raw_fd();
                epoll.add(fd, fd as u64, bits)?;
                streams.resize_with(streams.len().max(fd as usize + 1), || None);
                streams[fd as usize] = Some(stream);
            }
        }
    }
}

/// Sends back what is there, and gives how much that is; nothing if the connection has ended.
fn echo(fd: RawFd, buffer: &mut [u8]) -> Option<usize> {
    let got = epoll::receive(fd, buffer);
    if got <= 0 {
        let is_blocked = got < 0 && io::Error::last_os_error().kind() == ErrorKind::WouldBlock;
        return is_blocked.then_some(0);
    }
    let sent = epoll::send(fd, &buffer[..got as usize]);
    assert_eq!(sent, got, "one message fits into the socket");
    Some(got as usize)
}
