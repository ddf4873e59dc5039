//! The epoll instance of one hub.
//!
//! Keys are opaque here: a caller registers an fd with a data word, and events carry it
//! back. The alarm by which other threads end a wait is registered too; its events are
//! used up inside.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

use crate::sys::epoll;
use crate::sys::epoll::Event;
use crate::sys::epoll::Patience;

/// An epoll instance, its alarm, and room for its events.
pub(crate) struct Poller {
    epoll: OwnedFd,
    /// An eventfd by which other threads end a wait.
    alarm: OwnedFd,
    events: Vec<Event>,
    /// Whether the last look was not cut short: by a signal, or for want of room.
    has_seen_all: bool,
}

/// The data word of the eventfd. Those of fds have a generation above 32 bits of fd
/// number, which never has all bits set.
const ALARM: u64 = u64::MAX;
const EVENTS_FIRST: usize = 64;
/// A full buffer grows up to this: it is how many tasks one poll can wake.
const EVENTS_MAX: usize = 1024;

impl Poller {
    /// Makes an instance and its alarm.
    pub(crate) fn new() -> io::Result<Poller> {
        let epoll = epoll::create()?;
        let alarm = epoll::eventfd()?;
        epoll::add(epoll.as_raw_fd(), alarm.as_raw_fd(), epoll::IN, ALARM)?;
        let events = Vec::with_capacity(EVENTS_FIRST);
        Ok(Poller { epoll, alarm, events, has_seen_all: true })
    }

    /// The number of the epoll instance.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// The number of the eventfd that ends a wait.
    pub(crate) fn alarm(&self) -> RawFd {
        self.alarm.as_raw_fd()
    }

    /// Starts to report `bits` of an fd with `data`.
    pub(crate) fn register(&self, fd: RawFd, bits: u32, data: u64) -> io::Result<()> {
        match epoll::add(self.raw_fd(), fd, bits, data) {
            // The same file is still registered under this number, by an owner that is
            // gone: somebody else holds a duplicate.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                epoll::modify(self.raw_fd(), fd, bits, data)
            }
            other => other,
        }
    }

    /// Collects what is ready, waiting for it as long as `patience` says, or until a signal.
    pub(crate) fn wait(&mut self, patience: Patience) -> io::Result<&mut [Event]> {
        if self.events.len() == self.events.capacity() && self.events.len() < EVENTS_MAX {
            self.events.reserve_exact(2 * self.events.len());
        }
        match epoll::wait(self.epoll.as_fd(), &mut self.events, patience) {
            Ok(()) => self.has_seen_all = self.events.len() < self.events.capacity(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.has_seen_all = false,
            Err(error) => return Err(error),
        }
        let woken = self.events.iter().position(|event| event.u64 == ALARM);
        if let Some(position) = woken {
            // Level-triggered and read: an eventfd that is only re-armed by its edge has
            // lost wakes on some kernels.
            epoll::eventfd_clear(self.alarm.as_fd());
            self.events.remove(position);
        }
        Ok(&mut self.events)
    }

    /// Whether nothing was ready at the last look but what it gave.
    #[inline]
    pub(crate) fn has_seen_all(&self) -> bool {
        self.has_seen_all
    }

    /// How many events one look gives at most.
    pub(crate) fn room(&self) -> usize {
        self.events.capacity()
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_ends_a_wait_and_is_used_up() {
        let mut poller = Poller::new().unwrap();
        epoll::eventfd_raise(poller.alarm());
        epoll::eventfd_raise(poller.alarm());
        assert!(poller.wait(Patience::Unlimited).unwrap().is_empty());
        assert!(poller.wait(Patience::None).unwrap().is_empty());
    }

    #[test]
    fn events_carry_their_data() {
        let mut poller = Poller::new().unwrap();
        let other = epoll::eventfd().unwrap();
        poller.register(other.as_raw_fd(), epoll::IN, 7).unwrap();
        poller.register(other.as_raw_fd(), epoll::IN, 8).unwrap();
        epoll::eventfd_raise(other.as_raw_fd());
        let events = poller.wait(Patience::Unlimited).unwrap();
        let seen: Vec<(u64, u32)> = events.iter().map(|event| (event.u64, event.events)).collect();
        assert_eq!(seen, [(8, epoll::IN)]);
    }
}
