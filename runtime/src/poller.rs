//! The epoll instance of one hub.
//!
//! Keys are opaque here: a caller registers an fd with a data word, and events carry it
//! back. The alarm by which other threads end a wait is registered too; its events are those that
//! `is_alarm` tells of, and `note_alarms` silences it.

// Other code may take the descriptors away, so they are kept, and closed, by their numbers.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

use crate::sys::epoll;
use crate::sys::epoll::Event;
use crate::sys::epoll::Patience;

/// An epoll instance, its alarm, and room for its events.
pub(crate) struct Poller {
    /// The numbers of descriptors that belong to it, as long as no other code takes them away.
    epoll: RawFd,
    /// An eventfd by which other threads end a wait.
    alarm: RawFd,
    events: Vec<Event>,
    /// Whether the last look was not cut short: by a signal, or for want of room.
    has_seen_all: bool,
    /// An event says that one of the two may not be ours any more.
    is_suspect: bool,
}

/// The data word of the eventfd. Those of fds have a generation above 32 bits of fd
/// number, which never has all bits set.
const ALARM: u64 = u64::MAX;
/// The data word of what rings if the eventfd is gone.
const SECOND_ALARM: u64 = u64::MAX - 1;
/// There is room for so many events at first, and at most.
const EVENTS_FIRST: usize = 64;
pub(crate) const EVENTS_MAX: usize = 1024;

/// Whether an event with that data is no descriptor's.
#[inline]
pub(crate) fn is_alarm(data: u64) -> bool {
    data >= SECOND_ALARM
}

impl Poller {
    /// Makes an instance and its alarm.
    pub(crate) fn new() -> io::Result<Poller> {
        let epoll = epoll::create()?;
        let alarm = epoll::eventfd()?;
        epoll::add(epoll.as_raw_fd(), alarm.as_raw_fd(), epoll::IN, ALARM)?;
        let events = Vec::with_capacity(EVENTS_FIRST);
        let (epoll, alarm) = (epoll.into_raw_fd(), alarm.into_raw_fd());
        Ok(Poller { epoll, alarm, events, has_seen_all: true, is_suspect: false })
    }

    /// The number of the epoll instance.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.epoll
    }

    /// The number of the eventfd that ends a wait.
    pub(crate) fn alarm(&self) -> RawFd {
        self.alarm
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

    /// Changes what is reported of an fd that probably is registered already, at a fifth of what
    /// it costs to register it and to take that back.
    pub(crate) fn register_again(&self, fd: RawFd, bits: u32, data: u64) -> io::Result<()> {
        match epoll::modify(self.raw_fd(), fd, bits, data) {
            // It is another file by now.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.register(fd, bits, data)
            }
            other => other,
        }
    }

    /// Whether the last wait has had an event that only another instance would have, or only one
    /// without its alarm.
    #[inline]
    pub(crate) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Whether both descriptors are the ones that were made here: other code may have closed
    /// them, or put other files under their numbers.
    pub(crate) fn is_intact(&self) -> bool {
        // It is there only if the instance is ours, and the number that of our alarm.
        epoll::modify(self.raw_fd(), self.alarm(), epoll::IN, ALARM).is_ok()
    }

    /// Makes both anew, without registrations, after other code has taken one of them away. What
    /// stands under the old numbers now may be somebody else's, and stays open.
    pub(crate) fn replace(&mut self) -> io::Result<()> {
        let new = Poller::new()?;
        (self.epoll, self.alarm) = (new.epoll, new.alarm);
        mem::forget(new);
        Ok(())
    }

    /// Takes back the suspicion.
    pub(crate) fn trust(&mut self) {
        self.is_suspect = false;
    }

    /// Makes both anew under the same numbers, without registrations: in the child of a fork.
    /// Async-signal-safe. If it fails the numbers are closed, and `is_intact` says so. If other
    /// code had taken them away, what stands there is left alone, and `is_intact` says so too.
    ///
    /// # Safety
    ///
    /// The calling thread must be the only one.
    pub(crate) unsafe fn renew(&self) {
        if !self.is_intact() {
            return;
        }
        // SAFETY: the number was found to be that of our instance, and there is no other thread.
        unsafe { epoll::renew(self.raw_fd(), epoll::create) };
        // SAFETY: as above, of our alarm.
        unsafe { epoll::renew(self.alarm(), epoll::eventfd) };
        let _ = epoll::add(self.raw_fd(), self.alarm(), epoll::IN, ALARM);
    }

    /// Collects so many of what is ready at most, waiting for it as long as `patience` says, or
    /// until a signal.
    pub(crate) fn wait(&mut self, at_most: usize, patience: Patience) -> io::Result<&mut [Event]> {
        let at_most = at_most.clamp(1, EVENTS_MAX);
        match epoll::wait(self.epoll, &mut self.events, at_most, patience) {
            Ok(()) => self.has_seen_all = self.events.len() < at_most,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.has_seen_all = false,
            Err(error) => return Err(error),
        }
        Ok(&mut self.events)
    }

    /// Whether nothing was ready at the last look but what it gave.
    #[inline]
    pub(crate) fn has_seen_all(&self) -> bool {
        self.has_seen_all
    }

    /// Silences the alarm, after a wait with events that are no descriptor's.
    pub(crate) fn note_alarms(&mut self) {
        let alarms = || self.events.iter().filter(|event| is_alarm(event.u64));
        let is_rung = alarms().any(|event| event.u64 == ALARM);
        let is_one = alarms().count() == 1;
        // Level-triggered and read: an eventfd that is only re-armed by its edge has lost wakes
        // on some kernels. If it was not rung, another instance has told of another alarm.
        let was_rung = is_rung && epoll::eventfd_clear(self.alarm);
        self.is_suspect = !was_rung || !is_one;
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        // Otherwise the numbers may be somebody else's.
        if self.is_intact() {
            // SAFETY: the number was just found to be that of our instance, used by nobody else.
            unsafe { epoll::close(self.epoll) };
            // SAFETY: as above, of our alarm.
            unsafe { epoll::close(self.alarm) };
        }
    }
}

/// Ends the wait of a poller, by the number of its epoll instance, if its alarm is gone: by
/// another, which has to be kept until the poller was replaced.
#[cold]
pub(crate) fn ring_otherwise(epoll: RawFd, lost: RawFd) -> io::Result<OwnedFd> {
    let mut alarm = epoll::eventfd()?;
    if alarm.as_raw_fd() == lost {
        // Under that number it would be taken for the first one.
        alarm = epoll::eventfd()?;
    }
    epoll::eventfd_raise(alarm.as_raw_fd());
    epoll::add(epoll, alarm.as_raw_fd(), epoll::IN, SECOND_ALARM)?;
    Ok(alarm)
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
        let events = poller.wait(EVENTS_MAX, Patience::Unlimited).unwrap();
        assert!(events.len() == 1 && events.iter().all(|event| is_alarm(event.u64)));
        poller.note_alarms();
        assert!(!poller.is_suspect());
        assert!(poller.wait(EVENTS_MAX, Patience::None).unwrap().is_empty());
    }

    #[test]
    fn a_look_gives_no_more_than_was_asked_for() {
        let mut poller = Poller::new().unwrap();
        let ready: Vec<_> = (0..100).map(|_| epoll::eventfd().unwrap()).collect();
        for (n, fd) in (0..).zip(&ready) {
            poller.register(fd.as_raw_fd(), epoll::IN | epoll::EDGE, n).unwrap();
            epoll::eventfd_raise(fd.as_raw_fd());
        }
        let mut seen = vec![];
        for (asked, given, is_all) in
            [(0, 1, false), (79, 79, false), (20, 20, false), (20, 0, true), (usize::MAX, 0, true)]
        {
            let events = poller.wait(asked, Patience::None).unwrap();
            assert_eq!(events.len(), given);
            seen.extend(events.iter().map(|event| event.u64));
            assert_eq!(poller.has_seen_all(), is_all);
        }
        assert!(seen.into_iter().eq(0..100));
    }

    #[test]
    fn events_carry_their_data() {
        let mut poller = Poller::new().unwrap();
        let other = epoll::eventfd().unwrap();
        poller.register(other.as_raw_fd(), epoll::IN, 7).unwrap();
        poller.register(other.as_raw_fd(), epoll::IN, 8).unwrap();
        epoll::eventfd_raise(other.as_raw_fd());
        let events = poller.wait(EVENTS_MAX, Patience::Unlimited).unwrap();
        let seen: Vec<(u64, u32)> = events.iter().map(|event| (event.u64, event.events)).collect();
        assert_eq!(seen, [(8, epoll::IN)]);
    }
}
