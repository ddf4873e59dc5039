//! The kernel's own calls, for the raw server and the load.

// std has no functions for them.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

/// What is told of a connection: each change, or the state for as long as it lasts.
pub(crate) const EDGE: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
pub(crate) const LEVEL: i32 = libc::EPOLLIN;

/// An epoll instance and what it has told last.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// One look is told of so many changes at most, as with tokio.
pub(crate) const MANY: usize = 1024;
/// So few that what the kernel goes through to tell of them is in the caches when they are served.
pub(crate) const FEW: usize = 64;

impl Epoll {
    pub(crate) fn new(events: usize) -> io::Result<Epoll> {
        // SAFETY: epoll_create1(2) takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call returned it and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; events] })
    }

    pub(crate) fn add(&self, fd: RawFd, data: u64, bits: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: bits as u32, u64: data };
        let epoll = self.fd.as_raw_fd();
        // SAFETY: `event` is valid for the call.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Gives how many events there are, 0 if none has come for so long.
    pub(crate) fn wait(&mut self, longest: Option<Duration>) -> usize {
        let ms = longest.map_or(-1, |longest| longest.as_millis() as i32);
        let (room, events) = (self.events.len() as i32, self.events.as_mut_ptr());
        // SAFETY: the kernel writes at most as many events as there is room for.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events, room, ms) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Gives what was added with the descriptor that the event is about.
    pub(crate) fn data(&self, event: usize) -> u64 {
        self.events[event].u64
    }
}

/// Reads what is there; an error that it does not tell apart is less than 0.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> isize {
    let (start, room) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: `buffer` is writable for its length.
    unsafe { libc::recv(fd, start.cast(), room, libc::MSG_DONTWAIT) }
}

pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> isize {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` is readable for its length.
    unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) }
}
