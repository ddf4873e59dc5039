//! Descriptors that wait through the hub: registrations, and the one EAGAIN loop.
//!
//! A [`Source`] owns an fd. Its call is always tried first; when the kernel says EAGAIN the
//! fd is registered with the hub's epoll instance, edge-triggered and once, and the task
//! waits until epoll has told of a change. The same source may be registered with the hubs
//! of several threads: it remembers with which, and leaves them before the fd is closed or
//! given away. Registrations are checked by the source's id, since the kernel gives the same
//! numbers out again.
//!
//! **Invariant:** of the fd of a source no epoll instance tells any more when it is closed.

// The owner of the fd is taken out of the source once.
#![allow(unsafe_code)]

mod foreign;
mod owner;

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::Duration;

use crate::error;
use crate::fd::owner::Owner;
use crate::fd::owner::Stop;
use crate::fd::owner::bits_of;
use crate::fd::owner::reason_of;
use crate::fd::owner::would_block;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::readiness::Ready;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::sys::epoll;

pub use crate::fd::foreign::wait_foreign;
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
    /// Whether the call is over. Else its rest is tried again as soon as that has a chance,
    /// and `value` is what it gives should nothing come of the rest.
    pub finished: bool,
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
        Done { value, drained: false, finished: true }
    }
}

impl Limit {
    /// The limit of an optional timeout.
    pub fn from_timeout(timeout: Option<Duration>) -> Limit {
        timeout.map_or(Limit::None, Limit::Timeout)
    }

    /// Gives the end of a wait that begins now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there may be none.
    #[inline]
    pub fn deadline(self) -> io::Result<Deadline> {
        match self {
            Limit::None => Ok(Deadline::NEVER),
            Limit::NonBlocking => Err(would_block()),
            Limit::Timeout(timeout) => Ok(Deadline::after(timeout)),
            Limit::Until(deadline) => Ok(deadline),
        }
    }
}

impl<T: AsFd> Source<T> {
    /// Takes ownership of a descriptor that was made for it.
    pub fn new(io: T) -> Source<T> {
        Source { owner: Owner::new(io.as_fd().as_raw_fd()), io: ManuallyDrop::new(io) }
    }

    /// Takes ownership of a descriptor that came from elsewhere. Should unsafe code have taken
    /// it from under another source, then the tasks that wait there fail with EBADF when this
    /// one lets go of it, on whichever threads they are.
    pub fn from_foreign(io: T) -> Source<T> {
        Source { owner: Owner::of_foreign(io.as_fd().as_raw_fd()), io: ManuallyDrop::new(io) }
    }

    /// The owner that was given, for calls that do not wait.
    #[inline]
    pub fn io(&self) -> &T {
        &self.io
    }

    /// Gives the descriptor away; it is registered nowhere then.
    pub fn into_io(self) -> T {
        let mut this = ManuallyDrop::new(self);
        this.owner.unregister();
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
    /// - `WouldBlock` if `limit` is over, or does not allow to wait. Then, too, one call has
    ///   found nothing.
    /// - `Other` if it would have to wait while the coroutine unwinds; likewise.
    /// - EBADF if the descriptor was closed by other code while the task waited for it.
    /// - `TimedOut` in a build that cannot unwind, if a surrounding
    ///   [`timeout`](crate::time::timeout) is over.
    ///
    /// None of them but EBADF if a part is done, whose value is given then; an error that
    /// lasts comes with the next call.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: only a wait is interrupted, never a call. If a part is done its value
    /// is given, and the next wait is interrupted instead.
    #[inline]
    pub fn call<R>(
        &self,
        direction: Direction,
        limit: impl Fn() -> Limit,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        self.call_for::<R, false>(reason_of(self.owner.fd(), direction), direction, limit, attempt)
    }

    /// The same for a call of which epoll does not tell everything that ends its wait: it is
    /// tried again every second.
    ///
    /// # Suspends
    ///
    /// As [`call`](Source::call).
    ///
    /// # Errors
    ///
    /// As for [`call`](Source::call).
    pub fn call_retrying<R>(
        &self,
        direction: Direction,
        limit: impl Fn() -> Limit,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        self.call_for::<R, true>(reason_of(self.owner.fd(), direction), direction, limit, attempt)
    }

    /// The same with another reason than the direction in the table of tasks.
    #[inline]
    pub(crate) fn call_for<R, const RETRIES: bool>(
        &self,
        reason: Reason,
        direction: Direction,
        limit: impl Fn() -> Limit,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        let hub = hub::current();
        let mut waits = Waits::None;
        if !self.owner.is_worth_a_call(hub, direction) {
            match self.wait::<RETRIES>(hub, direction, &limit, &mut waits, false, reason) {
                // Only a real call tells what is there now.
                Ok(()) | Err(Stop::Refused(_)) => {}
                Err(stop) => return Err(stop.into_error()),
            }
        }
        match attempt(self.borrowed()) {
            Ok(done) if done.finished => {
                self.owner.leave(hub, direction, done.drained, waits.any());
                Ok(done.value)
            }
            result => self.call_on::<R, RETRIES>(result, waits, reason, direction, limit, attempt),
        }
    }

    /// Goes on with a call whose first attempt did not end it.
    #[inline(never)]
    fn call_on<R, const RETRIES: bool>(
        &self,
        mut result: io::Result<Done<R>>,
        mut waits: Waits,
        reason: Reason,
        direction: Direction,
        limit: impl Fn() -> Limit,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
    ) -> io::Result<R> {
        let mut part = None;
        loop {
            match result {
                Ok(done) if done.finished => {
                    self.owner.leave(hub::current(), direction, done.drained, waits.any());
                    return Ok(done.value);
                }
                Ok(done) => {
                    part = Some(done.value);
                    if !done.drained || self.owner.drain(direction) {
                        result = attempt(self.borrowed());
                        continue;
                    }
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => self.owner.clear(direction),
                    Some(libc::EINTR) => {
                        result = attempt(self.borrowed());
                        continue;
                    }
                    _ => {
                        self.owner.leave(hub::current(), direction, false, waits.any());
                        return part.ok_or(error);
                    }
                },
            }
            let hub = hub::current();
            let had_its_turn = waits.any();
            match self.wait::<RETRIES>(hub, direction, &limit, &mut waits, had_its_turn, reason) {
                // The error is for the call that gives nothing else.
                Ok(()) if part.is_some() && self.owner.has_failed() => {
                    self.owner.leave(hub::current(), direction, false, true);
                    return part.ok_or_else(would_block);
                }
                Ok(()) => {}
                // Whoever is given a part calls again, and must not with that number.
                Err(Stop::Closed) => return Err(Stop::Closed.into_error()),
                Err(stop) => return part.ok_or_else(|| stop.into_error()),
            }
            result = attempt(self.borrowed());
        }
    }

    /// Waits until the descriptor is ready, without making a call.
    ///
    /// It may return for nothing, as any readiness may: a call then waits. It costs a system
    /// call unless it is known what there is.
    ///
    /// # Suspends
    ///
    /// Until the descriptor is ready. On a thread that cannot have a hub the thread is
    /// stopped.
    ///
    /// # Errors
    ///
    /// As for [`call`](Source::call).
    #[inline]
    pub fn ready(&self, direction: Direction, limit: impl Fn() -> Limit) -> io::Result<()> {
        let hub = hub::current();
        // It counts as a call, or a reader that is always served would never yield.
        hub.inspect(|hub| hub.spend());
        match self.owner.known(hub, direction) {
            Some(Ready::Yes) => Ok(()),
            Some(Ready::No) => {
                let mut waits = Waits::None;
                match self.wait_to_know(hub, direction, &limit, &mut waits) {
                    Ok(()) => Ok(()),
                    Err(stop) => self.ready_on(stop, waits, direction, limit),
                }
            }
            _ => self.ready_on(Stop::Unknown, Waits::None, direction, limit),
        }
    }

    /// Goes on with that where it is not known, or one wait was not enough.
    #[cold]
    fn ready_on(
        &self,
        mut stop: Stop,
        mut waits: Waits,
        direction: Direction,
        limit: impl Fn() -> Limit,
    ) -> io::Result<()> {
        loop {
            match stop {
                Stop::Unknown => {}
                Stop::Refused(error) => {
                    return self.asks_ready(direction)?.then_some(()).ok_or(error);
                }
                stop => return Err(stop.into_error()),
            }
            // The first wait has made one.
            let hub = hub::current();
            let known = self.owner.known(hub, direction);
            // Registering tells as well; but on a thread without a hub only asking does.
            let ask = known == Some(Ready::Untried) || (known.is_none() && waits.any());
            if known == Some(Ready::Yes) || (ask && self.asks_ready(direction)?) {
                break;
            }
            match self.wait_to_know(hub, direction, &limit, &mut waits) {
                Ok(()) => return Ok(()),
                Err(next) => stop = next,
            }
        }
        if waits.any() {
            // Others may be waiting to make calls: this one takes nothing.
            self.owner.pass_on(direction);
        }
        Ok(())
    }

    /// Waits until it is known that there is something, for as long as one still may.
    #[inline]
    fn wait_to_know(
        &self,
        hub: Option<&'static Hub>,
        direction: Direction,
        limit: impl Fn() -> Limit,
        waits: &mut Waits,
    ) -> Result<(), Stop> {
        let deadline = waits.deadline(limit).map_err(Stop::Refused)?;
        let has_waited = waits.any();
        *waits = Waits::Until(deadline);
        let reason = reason_of(self.owner.fd(), direction);
        self.owner.wait_to_know(hub, direction, deadline, has_waited, reason)
    }

    /// Waits for a time, before a call is made again for which no readiness is ever told.
    ///
    /// # Suspends
    ///
    /// Until the time is over. On a thread that cannot have a hub the thread is stopped.
    ///
    /// # Errors
    ///
    /// - `Other` if it would have to wait while the coroutine unwinds.
    /// - `TimedOut` in a build that cannot unwind, if a surrounding
    ///   [`timeout`](crate::time::timeout) is over.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends it.
    pub fn pause(&self, direction: Direction, duration: Duration) -> io::Result<()> {
        pause(reason_of(self.owner.fd(), direction), duration, Mode::Io)
    }

    /// Waits until one of several descriptors may have something to read, of which calls have
    /// found that they have nothing. Nobody else may wait for them.
    ///
    /// # Suspends
    ///
    /// Until one is ready. On a thread that cannot have a hub the thread is stopped.
    ///
    /// # Errors
    ///
    /// As for [`call`](Source::call).
    pub(crate) fn any_readable(sources: &[&Source<T>]) -> io::Result<()> {
        let owned: Vec<_> = sources.iter().map(|source| &source.owner).collect();
        Owner::wait_any(&owned).map_err(Stop::into_error)
    }

    /// Waits for a change, for as long as the call may still wait; or for a second, if it is to
    /// be tried again then.
    #[inline]
    fn wait<const RETRIES: bool>(
        &self,
        hub: Option<&'static Hub>,
        direction: Direction,
        limit: impl Fn() -> Limit,
        waits: &mut Waits,
        had_its_turn: bool,
        reason: Reason,
    ) -> Result<(), Stop> {
        let deadline = waits.deadline(limit).map_err(Stop::Refused)?;
        if RETRIES {
            let until = deadline.min(Deadline::after(RETRY));
            match self.owner.wait(hub, direction, until, had_its_turn, reason) {
                Err(Stop::Failed(error))
                    if until < deadline && error.kind() == io::ErrorKind::WouldBlock => {}
                result => result?,
            }
        } else {
            self.owner.wait(hub, direction, deadline, had_its_turn, reason)?;
        }
        *waits = Waits::Until(deadline);
        Ok(())
    }

    /// Asks the kernel whether the descriptor is ready.
    fn asks_ready(&self, direction: Direction) -> io::Result<bool> {
        let ready = epoll::poll_one(self.owner.fd(), bits_of(direction), ZERO)?;
        if !ready {
            self.owner.clear(direction);
        }
        Ok(ready)
    }

    #[inline]
    fn borrowed(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.owner.unregister();
        // SAFETY: the source goes away, so its owner of the fd is dropped once.
        unsafe { ManuallyDrop::drop(&mut self.io) };
    }
}

impl<T: AsFd> AsFd for Source<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.borrowed()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// Waits for a time, for a call of which nothing tells when it has a chance.
pub(crate) fn pause(reason: Reason, duration: Duration, mode: Mode) -> io::Result<()> {
    let Ok(hub) = hub::get() else {
        thread::sleep(duration);
        return Ok(());
    };
    let deadline = Deadline::after(duration);
    loop {
        match hub.block(deadline, reason, mode) {
            Outcome::Woken => {}
            Outcome::TimedOut => return Ok(()),
            Outcome::Interrupted if hub.is_unwinding() => return Err(error::unwinding()),
            Outcome::Interrupted => return Err(hub.throw_or_error()),
        }
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
/// How often a call is tried again of whose end epoll may not tell.
const RETRY: Duration = Duration::from_secs(1);

impl Waits {
    #[inline]
    fn any(self) -> bool {
        matches!(self, Waits::Until(_))
    }

    /// The end of the waits; the limit is asked for once.
    #[inline]
    fn deadline(self, limit: impl Fn() -> Limit) -> io::Result<Deadline> {
        match self {
            Waits::Until(deadline) => Ok(deadline),
            Waits::None => limit().deadline(),
        }
    }
}
