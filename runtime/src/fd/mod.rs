//! Descriptors that wait through the hub: registrations, and the one EAGAIN loop.
//!
//! A [`Source`] owns an fd. Its call is always tried first; when the kernel says EAGAIN the
//! fd is registered with the hub's epoll instance, edge-triggered and once, and the task
//! waits until epoll has told of a change. The same source may be registered with the hubs
//! of several threads: it remembers with which, and leaves them before the fd is closed or
//! given away. Registrations are checked by the source's id, since the kernel gives the same
//! numbers out again.
//!
//! **Invariant:** the fd of a source is in no epoll instance when it is closed.

// The owner of the fd is taken out of the source once.
#![allow(unsafe_code)]

mod owner;

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::fd::owner::Owner;
use crate::fd::owner::bits_of;
use crate::fd::owner::reason_of;
use crate::fd::owner::would_block;
use crate::hub::reason::Reason;
use crate::readiness::Ready;
use crate::sys::clock::Deadline;
use crate::sys::epoll;

pub use crate::readiness::Direction;

/// An owned descriptor whose calls may wait: the common part of all sockets.
///
/// `T` is std's type, or another owner of the fd; everything that cannot wait is done by
/// calling it.
pub struct Source<T: AsFd> {
    io: ManuallyDrop<T>,
    owner: Owner,
}

/// What a call through a [`Source`] gave.
#[derive(Clone, Copy, Debug)]
pub struct Done<R> {
    /// The value.
    pub value: R,
    /// Whether the call took all there was, so that the next need not be tried before epoll
    /// has told of more. To be set only where a short count proves it.
    pub drained: bool,
}

/// How long a call through a [`Source`] may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// For as long as it takes.
    None,
    /// Not at all: the user has asked for a non-blocking descriptor.
    NonBlocking,
    /// At most this long, over all attempts of the call.
    Timeout(Duration),
    /// Until then.
    Until(Deadline),
}

impl<R> Done<R> {
    /// A value of a call that may have left something behind.
    pub fn more(value: R) -> Done<R> {
        Done { value, drained: false }
    }
}

impl Limit {
    /// The limit of an optional timeout.
    pub fn from_timeout(timeout: Option<Duration>) -> Limit {
        timeout.map_or(Limit::None, Limit::Timeout)
    }
}

impl<T: AsFd> Source<T> {
    /// Takes ownership of a descriptor.
    pub fn new(io: T) -> Source<T> {
        Source { io: ManuallyDrop::new(io), owner: Owner::new() }
    }

    /// The owner that was given, for calls that do not wait.
    #[inline]
    pub fn io(&self) -> &T {
        &self.io
    }

    /// Gives the descriptor away; it is registered nowhere then.
    pub fn into_io(self) -> T {
        let mut this = ManuallyDrop::new(self);
        this.unregister();
        // SAFETY: the source is forgotten, so its owner of the fd is taken out once.
        unsafe { ManuallyDrop::take(&mut this.io) }
    }

    /// Makes a call until it does not fail with EAGAIN: the loop behind every operation
    /// that can wait. EINTR is tried again and never seen outside.
    ///
    /// # Suspends
    ///
    /// Until the call succeeds; and now and then before a call, when the task has made many
    /// in a row without waiting. On a thread that cannot have a hub the thread is stopped.
    ///
    /// # Errors
    ///
    /// - What the call gives.
    /// - `WouldBlock` if `limit` is over, or does not allow to wait.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    /// - EBADF if the descriptor was closed by other code while the task waited for it.
    /// - `TimedOut` in a build that cannot unwind, if a surrounding
    ///   [`timeout`](crate::time::timeout) is over.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: only a wait is interrupted, never a call.
    #[inline]
    pub fn call<R>(
        &self,
        direction: Direction,
        limit: impl Fn() -> Limit,
        attempt: impl FnMut(&T) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        self.call_for(reason_of, direction, limit, attempt)
    }

    /// The same with another reason than the direction in the table of tasks.
    #[inline]
    pub(crate) fn call_for<R>(
        &self,
        reason: fn(RawFd, Direction) -> Reason,
        direction: Direction,
        limit: impl Fn() -> Limit,
        mut attempt: impl FnMut(&T) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        let fd = self.raw_fd();
        let mut waits = Waits::None;
        let mut try_it = self.owner.is_worth_a_call(fd, direction);
        loop {
            if try_it {
                match attempt(&self.io) {
                    Ok(done) => {
                        self.owner.leave(fd, direction, done.drained, waits.any());
                        return Ok(done.value);
                    }
                    Err(error) => match error.raw_os_error() {
                        Some(libc::EAGAIN) => self.owner.clear(fd, direction),
                        Some(libc::EINTR) => continue,
                        _ => {
                            self.owner.leave(fd, direction, false, waits.any());
                            return Err(error);
                        }
                    },
                }
            }
            let deadline = waits.deadline(&limit)?;
            let had_its_turn = try_it && waits.any();
            self.owner.wait(fd, direction, deadline, had_its_turn, reason)?;
            waits = Waits::Until(deadline);
            try_it = true;
        }
    }

    /// Waits until the descriptor is ready, without making a call.
    ///
    /// It may return for nothing, as any readiness may: a call then waits. It costs a system
    /// call only if nothing is known of the descriptor yet.
    ///
    /// # Suspends
    ///
    /// Until the descriptor is ready. On a thread that cannot have a hub the thread is
    /// stopped.
    ///
    /// # Errors
    ///
    /// As for [`call`](Source::call).
    pub fn ready(&self, direction: Direction, limit: impl Fn() -> Limit) -> io::Result<()> {
        let fd = self.raw_fd();
        match self.owner.known(fd, direction) {
            Some(Ready::Yes) => {
                // It counts as a call, or a reader that is always served would never yield.
                self.owner.is_worth_a_call(fd, direction);
                return Ok(());
            }
            Some(Ready::Untried) if epoll::poll_one(fd, bits_of(direction), ZERO)? => {
                return Ok(());
            }
            _ => self.owner.clear(fd, direction),
        }
        let deadline = Waits::None.deadline(&limit)?;
        self.owner.wait(fd, direction, deadline, false, reason_of)?;
        // Others may be waiting to make calls: this one takes nothing.
        self.owner.leave(fd, direction, false, true);
        Ok(())
    }

    #[inline]
    fn raw_fd(&self) -> RawFd {
        self.io.as_fd().as_raw_fd()
    }

    fn unregister(&mut self) {
        let fd = self.raw_fd();
        self.owner.unregister(fd);
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.unregister();
        // SAFETY: the source goes away, so its owner of the fd is dropped once.
        unsafe { ManuallyDrop::drop(&mut self.io) };
    }
}

impl<T: AsFd> AsFd for Source<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// How far the waits of one call have come.
#[derive(Clone, Copy)]
enum Waits {
    /// There was none.
    None,
    /// The call has waited, and may until then.
    Until(Deadline),
}

const ZERO: Option<Duration> = Some(Duration::ZERO);

impl Waits {
    #[inline]
    fn any(self) -> bool {
        matches!(self, Waits::Until(_))
    }

    /// The end of the waits; the limit is asked for once.
    fn deadline(self, limit: impl Fn() -> Limit) -> io::Result<Deadline> {
        match self {
            Waits::Until(deadline) => Ok(deadline),
            Waits::None => match limit() {
                Limit::None => Ok(Deadline::NEVER),
                Limit::NonBlocking => Err(would_block()),
                Limit::Timeout(timeout) => Ok(Deadline::after(timeout)),
                Limit::Until(deadline) => Ok(deadline),
            },
        }
    }
}

/// Waits until a descriptor that belongs to other code is ready, or the deadline has
/// passed. It is watched for this wait only.
///
/// What epoll cannot watch, such as a file, is always ready.
///
/// # Suspends
///
/// Until the descriptor is ready. On a thread that cannot have a hub the thread is stopped.
///
/// # Errors
///
/// - `TimedOut` if the deadline has passed.
/// - `Other` if it would have to wait while the coroutine unwinds.
/// - What epoll_ctl(2) gives.
///
/// # Cancellation
///
/// Nothing is taken from the descriptor.
pub fn wait_foreign(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Deadline,
) -> io::Result<()> {
    if epoll::poll_one(fd.as_raw_fd(), bits_of(direction), ZERO)? {
        return Ok(());
    }
    // A duplicate has a number of its own, so that no registration of this one is in the
    // way, and ours is gone when it is closed.
    let source = Source::new(fd.try_clone_to_owned()?);
    match source.ready(direction, || Limit::Until(deadline)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::TimedOut.into())
        }
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        result => result,
    }
}
