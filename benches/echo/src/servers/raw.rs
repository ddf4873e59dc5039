//! The limit: loops over the kernel's own calls, with one buffer for all connections.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::RawFd;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;
use crate::epoll;
use crate::epoll::EDGE;
use crate::epoll::Epoll;
use crate::epoll::LEVEL;

/// Two calls a request, and a share of a third.
pub(super) fn edge_triggered() -> Served {
    serve_edges(announced()?)
}

/// The same without asking whether there is more: the next poll tells.
pub(super) fn level_triggered() -> Served {
    serve(announced()?, LEVEL, |fd, buffer| {
        echo(fd, buffer);
    })
}

pub(super) fn serve_edges(listener: TcpListener) -> Served {
    serve(listener, EDGE, |fd, buffer| {
        // A short read has emptied the socket: the next edge tells of more.
        while echo(fd, buffer) == buffer.len() {}
    })
}

fn announced() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    Ok(listener)
}

fn serve(listener: TcpListener, bits: i32, handle: fn(RawFd, &mut [u8])) -> Served {
    listener.set_nonblocking(true)?;
    let mut epoll = Epoll::new()?;
    let listener_fd = listener.as_raw_fd();
    epoll.add(listener_fd, listener_fd as u64, bits)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        for event in 0..epoll.wait(None) {
            let fd = epoll.data(event) as RawFd;
            if fd != listener_fd {
                handle(fd, &mut buffer);
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                let fd = stream.into_raw_fd();
                epoll.add(fd, fd as u64, bits)?;
            }
        }
    }
}

/// Sends back what is there, and gives how much that is. Closes what has ended.
fn echo(fd: RawFd, buffer: &mut [u8]) -> usize {
    let got = epoll::receive(fd, buffer);
    if got <= 0 {
        if got == 0 || io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock {
            epoll::close(fd);
        }
        return 0;
    }
    let sent = epoll::send(fd, &buffer[..got as usize]);
    assert_eq!(sent, got, "one message fits into the socket");
    got as usize
}
