//! What listeners of all kinds have in common: accepting.
//!
//! accept(2) has no flag against blocking, so a listener is the one kind of socket whose
//! open file gets O_NONBLOCK; it loses it when it is converted back. The flag belongs to all
//! duplicates of the file, and any holder of one may take it away. So it is looked at before
//! each call, while this crate changes none; where it is gone a thread of the pool accepts, and
//! is stopped if the connection goes to somebody else after all. Other code that takes it away
//! between the look and the call cannot be seen.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Done;
use corovent_runtime::fd::Limit;
use corovent_runtime::fd::Source;
use corovent_runtime::shield;
use corovent_runtime::threadpool;
use socket2::SockAddr;

use crate::sys;
use crate::sys::listener;

/// A listener of std's type `T` that accepts through the hub.
pub(crate) struct Acceptor<T: AsFd> {
    source: Source<T>,
}

impl<T: AsFd> Acceptor<T> {
    /// Takes over a listener that was made here, with the mark that it is ours.
    pub(crate) fn made_here(io: T) -> Acceptor<T> {
        Acceptor { source: Source::new(io) }
    }

    /// Takes a listener over from elsewhere.
    pub(crate) fn from_elsewhere(io: T) -> Acceptor<T> {
        // If it cannot be changed, it is no listener, and accept(2) will say so.
        let _ = listener::take(io.as_fd());
        Acceptor { source: Source::from_foreign(io) }
    }

    /// Gives the listener away: it blocks again, unless the user wanted it not to.
    pub(crate) fn into_io(self) -> T {
        let io = self.source.into_io();
        // What cannot be changed was not changed before.
        let _ = listener::release(io.as_fd());
        io
    }

    /// Makes another handle of the listener.
    pub(crate) fn try_clone(&self) -> io::Result<Acceptor<T>>
    where
        T: From<OwnedFd>,
    {
        let io = T::from(self.io().as_fd().try_clone_to_owned()?);
        Ok(Acceptor { source: Source::new(io) })
    }

    /// std's type, for calls that cannot wait.
    #[inline]
    pub(crate) fn io(&self) -> &T {
        self.source.io()
    }

    /// Accepts one connection; gives it with the address of its other end. `when_empty` gives
    /// the error of an accept that found none: EAGAIN, if another has a chance.
    pub(crate) fn accept(
        &self,
        when_empty: impl Fn(BorrowedFd<'_>) -> io::Error,
    ) -> io::Result<(OwnedFd, SockAddr)> {
        let limit = || match listener::is_marked_nonblocking(self.io().as_fd()) {
            true => Limit::NonBlocking,
            false => Limit::None,
        };
        self.accept_within(limit, when_empty)
    }

    /// The same with another limit than the user's wish.
    pub(crate) fn accept_within(
        &self,
        limit: impl Fn() -> Limit,
        when_empty: impl Fn(BorrowedFd<'_>) -> io::Error,
    ) -> io::Result<(OwnedFd, SockAddr)> {
        self.source.call(Direction::Read, limit, |fd| {
            let accepted = match listener::accept_at_once(fd) {
                Ok(Some(accepted)) => Ok(accepted),
                Ok(None) => accept_elsewhere(fd),
                Err(error) => Err(error),
            };
            accepted.map(Done::more).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => when_empty(fd),
                _ => error,
            })
        })
    }

    /// Waits until there may be a connection, and takes none.
    pub(crate) fn ready(&self, limit: Limit) -> io::Result<()> {
        self.source.ready(Direction::Read, || limit)
    }

    /// Sets whether the user wants accepting not to wait.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        listener::mark(self.io().as_fd(), nonblocking)
    }
}

/// Accepts from a listener whose open file blocks: on another thread, since the connection
/// may be gone to another holder before the call. Once it is taken it must not be lost.
#[cold]
fn accept_elsewhere(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    if !sys::is_readable(fd)? {
        return Err(sys::would_block());
    }
    let fd = fd.try_clone_to_owned()?;
    shield(|| threadpool::call(move || listener::accept(fd.as_fd())))
}
