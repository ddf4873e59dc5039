//! poll(2), which lets the others run.
//!
//! What is there is always asked of the kernel's own poll(2). To wait, the descriptors are
//! watched by an epoll instance for the time of the call.

// The entries are the kernel's, under another name.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::slice;
use std::time::Duration;

use crate::fd;
use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::sys::clock::Deadline;
use crate::sys::epoll;
use crate::sys::epoll::PollEntry;

/// A descriptor for [`poll`]: its number, what to look for, and what was found.
///
/// It is a number only, as in poll(2), since nothing is read from the descriptor or written to
/// it. A negative one is passed over.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(PollEntry);

/// What a descriptor is, or is to be, ready for: a set of the bits of poll(2).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PollFlags(i16);

/// Waits until one of several descriptors is ready: poll(2), but the other coroutines run.
///
/// Gives how many have something in [`PollFd::revents`], which is set for all; none if the time
/// is up. A number may be there twice. One that is no descriptor is ready at once, with
/// [`PollFlags::NVAL`]; a negative one never is. The limit is to the nanosecond; without one it
/// waits for as long as it takes, and a zero one only looks. gevent's name is
/// `gevent.select.poll`.
///
/// A descriptor that is closed while it is waited for does not end the wait, as in the kernel;
/// it has `NVAL` when something else does. For descriptors that are waited for again and again
/// a [`Selector`](crate::selectors::Selector) costs less.
///
/// # Suspends
///
/// Until a descriptor is ready, or the time is up; and now and then if one is ready at once. On a
/// thread that is ending, the thread is stopped.
///
/// # Errors
///
/// - `InvalidInput` if there are more entries than the process may have descriptors.
/// - `Other` if it would have to wait while the coroutine unwinds.
/// - `TimedOut` in a build that cannot unwind, if a surrounding
///   [`timeout`](crate::time::timeout) is over.
/// - What epoll_create1(2) and epoll_ctl(2) give.
///
/// Never `Interrupted`: after a signal it goes on.
///
/// # Cancellation
///
/// Nothing is taken from the descriptors.
///
/// # Examples
///
/// ```
/// use corovent_runtime::selectors::{PollFd, PollFlags, poll};
/// use corovent_runtime::spawn;
/// use std::io::{self, Write};
/// use std::os::fd::AsRawFd;
///
/// let (idle, _idle) = io::pipe()?;
/// let (reader, mut writer) = io::pipe()?;
/// let mut fds = [&idle, &reader].map(|pipe| PollFd::new(pipe.as_raw_fd(), PollFlags::IN));
/// spawn(move || writer.write_all(b"x"));
/// assert_eq!(poll(&mut fds, None)?, 1);
/// assert!(fds[0].revents().is_empty());
/// assert!(fds[1].revents().contains(PollFlags::IN));
/// # Ok::<(), io::Error>(())
/// ```
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let entries = PollFd::entries(fds);
    hub::spend();
    let found = look(entries)?;
    if found > 0 || timeout == Some(Duration::ZERO) {
        return Ok(found);
    }
    let watched = watched(entries);
    if watched.is_empty() {
        fd::pause(Reason::Sleep, timeout.unwrap_or(Duration::MAX), Mode::Io)?;
        return Ok(0);
    }
    let deadline = Deadline::after_option(timeout);
    let alarm = Source::new(alarm(&watched)?);
    let ready = alarm.call_for::<_, false>(
        Reason::Descriptors(alarm.as_fd().as_raw_fd()),
        Direction::Read,
        || Limit::Until(deadline),
        |_| match epoll::poll_now(entries)? {
            0 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            found => Ok(Done::more(found)),
        },
    );
    match ready {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => look(entries),
        result => result,
    }
}

/// Asks for what is there now. A signal changes nothing.
fn look(entries: &mut [PollEntry]) -> io::Result<usize> {
    loop {
        match epoll::poll_now(entries) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Each number once, with all that is looked for.
fn watched(entries: &[PollEntry]) -> BTreeMap<RawFd, u32> {
    let mut watched = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.fd >= 0) {
        // The bits of poll(2) and epoll(7) are the same numbers.
        *watched.entry(entry.fd).or_default() |= u32::from(entry.events as u16);
    }
    watched
}

/// Makes an epoll instance that is ready when one of the descriptors may be.
fn alarm(watched: &BTreeMap<RawFd, u32>) -> io::Result<OwnedFd> {
    let alarm = epoll::create()?;
    for (fd, bits) in watched {
        match epoll::add(alarm.as_raw_fd(), *fd, bits & ASKABLE, 0) {
            // A file on a disk, which never has anything else than it had; or a descriptor that
            // was just closed, and the next look finds that.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EBADF)) => {}
            result => result?,
        }
    }
    Ok(alarm)
}

/// What poll(2) may be asked for. Other bits would mean something to epoll.
const ASKABLE: u32 = (libc::POLLIN
    | libc::POLLPRI
    | libc::POLLOUT
    | libc::POLLRDNORM
    | libc::POLLRDBAND
    | libc::POLLWRNORM
    | libc::POLLWRBAND
    | libc::POLLRDHUP) as u32;

impl PollFd {
    /// Makes an entry for a descriptor of which nothing was found yet.
    pub const fn new(fd: RawFd, events: PollFlags) -> PollFd {
        PollFd(PollEntry { fd, events: events.0, revents: 0 })
    }

    /// Gives the number.
    pub const fn fd(&self) -> RawFd {
        self.0.fd
    }

    /// Gives what is looked for, besides errors.
    pub const fn events(&self) -> PollFlags {
        PollFlags(self.0.events)
    }

    /// Gives what the last `poll` has found.
    pub const fn revents(&self) -> PollFlags {
        PollFlags(self.0.revents)
    }

    fn entries(fds: &mut [PollFd]) -> &mut [PollEntry] {
        let (first, len) = (fds.as_mut_ptr().cast::<PollEntry>(), fds.len());
        // SAFETY: a `PollFd` has the layout of its only field, and they are borrowed as long.
        unsafe { slice::from_raw_parts_mut(first, len) }
    }
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd")
            .field("fd", &self.fd())
            .field("events", &self.events())
            .field("revents", &self.revents())
            .finish()
    }
}

impl PollFlags {
    /// There is something to read, or a connection to accept.
    pub const IN: PollFlags = PollFlags(libc::POLLIN);
    /// Something urgent has come.
    pub const PRI: PollFlags = PollFlags(libc::POLLPRI);
    /// There is room to write.
    pub const OUT: PollFlags = PollFlags(libc::POLLOUT);
    /// The other side of a stream has ended its direction.
    pub const RDHUP: PollFlags = PollFlags(libc::POLLRDHUP);
    /// It has failed, or nobody reads it any more. Found whether it is looked for or not.
    pub const ERR: PollFlags = PollFlags(libc::POLLERR);
    /// Both directions have ended. Found whether it is looked for or not.
    pub const HUP: PollFlags = PollFlags(libc::POLLHUP);
    /// The number is no descriptor. Found whether it is looked for or not.
    pub const NVAL: PollFlags = PollFlags(libc::POLLNVAL);

    const NAMES: [(PollFlags, &str); 7] = [
        (PollFlags::IN, "IN"),
        (PollFlags::PRI, "PRI"),
        (PollFlags::OUT, "OUT"),
        (PollFlags::RDHUP, "RDHUP"),
        (PollFlags::ERR, "ERR"),
        (PollFlags::HUP, "HUP"),
        (PollFlags::NVAL, "NVAL"),
    ];

    /// The set with nothing in it.
    pub const fn empty() -> PollFlags {
        PollFlags(0)
    }

    /// Tells whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether all of `other` is in it.
    pub const fn contains(self, other: PollFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Tells whether any of `other` is in it.
    pub const fn intersects(self, other: PollFlags) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for PollFlags {
    type Output = PollFlags;

    fn bitor(self, other: PollFlags) -> PollFlags {
        PollFlags(self.0 | other.0)
    }
}

impl BitAnd for PollFlags {
    type Output = PollFlags;

    fn bitand(self, other: PollFlags) -> PollFlags {
        PollFlags(self.0 & other.0)
    }
}

impl fmt::Debug for PollFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = PollFlags::NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "empty" } else { "" })?;
        f.write_str(&names.join(" | "))
    }
}
