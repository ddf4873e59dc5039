//! What all sockets but listeners have in common: a source, the user's options, and calls
//! that wait as these say.
//!
//! Streams move bytes by `transfer.rs`; datagrams are moved whole, by [`Socket::call`]. The
//! open file keeps the kernel's blocking mode: every call carries MSG_DONTWAIT.

mod convert;
mod options;
mod transfer;

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Done;
use corovent_runtime::fd::Limit;
use corovent_runtime::fd::Source;
use socket2::SockRef;

use crate::socket::options::Options;

pub(crate) use crate::socket::convert::convert_descriptors;
pub(crate) use crate::socket::convert::convert_socket;
pub(crate) use crate::socket::options::socket_options;
pub(crate) use crate::socket::transfer::stream_traits;

/// A socket of std's type `T` whose calls wait through the hub.
pub(crate) struct Socket<T: AsFd> {
    source: Source<T>,
    options: Options,
    /// Whether a short count proves that the socket is empty, or full: the kernel's TCP
    /// does so, but what a foreign descriptor is nobody knows, and a Unix stream gives less
    /// where a descriptor was attached.
    short_is_all: bool,
}

impl<T: AsFd> Socket<T> {
    /// Takes over a socket that nobody else has seen.
    pub(crate) fn made_here(io: T) -> Socket<T> {
        Socket { source: Source::new(io), options: Options::default(), short_is_all: false }
    }

    /// Takes over a connection of the kernel's TCP that nobody else has seen.
    pub(crate) fn of_tcp(io: T) -> Socket<T> {
        Socket { short_is_all: true, ..Socket::made_here(io) }
    }

    /// Takes a socket over from elsewhere, with its timeouts and its non-blocking mode.
    pub(crate) fn from_elsewhere(io: T) -> Socket<T> {
        let options = Options::of(io.as_fd());
        Socket { source: Source::from_foreign(io), options, short_is_all: false }
    }

    /// Makes another handle of the socket, which shares its options.
    pub(crate) fn try_clone(&self) -> io::Result<Socket<T>>
    where
        T: From<OwnedFd>,
    {
        let io = T::from(self.io().as_fd().try_clone_to_owned()?);
        let options = self.options.share();
        Ok(Socket { source: Source::new(io), options, short_is_all: self.short_is_all })
    }

    /// std's type, for calls that cannot wait.
    #[inline]
    pub(crate) fn io(&self) -> &T {
        self.source.io()
    }

    /// Gives the descriptor away; it is registered nowhere then.
    pub(crate) fn into_io(self) -> T {
        self.source.into_io()
    }

    /// Makes a call that moves all or nothing, and waits as the user's options say.
    #[inline]
    pub(crate) fn call<R>(
        &self,
        direction: Direction,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.call_within(direction, || self.options.limit(direction), attempt)
    }

    /// The same for a call of which epoll does not tell everything that ends its wait.
    pub(crate) fn call_retrying<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let limit = || self.options.limit(direction);
        self.source.call_retrying(direction, limit, |fd| attempt(fd).map(Done::more))
    }

    /// The same as [`call`](Socket::call) with another limit.
    #[inline]
    pub(crate) fn call_within<R>(
        &self,
        direction: Direction,
        limit: impl Fn() -> Limit,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.call(direction, limit, |fd| attempt(fd).map(Done::more))
    }

    /// Makes a call that writes, once. `None`: it would have to wait for something of which the
    /// readiness of this socket does not tell, so nothing is noted of that.
    pub(crate) fn attempt<R>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<Option<R>> {
        let never = || Limit::NonBlocking;
        self.source.call(Direction::Write, never, |fd| match attempt(fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Done::more(None)),
            result => result.map(|value| Done::more(Some(value))),
        })
    }

    /// Waits for a time before a call that writes is made again, where nothing tells when.
    pub(crate) fn pause(&self, duration: Duration) -> io::Result<()> {
        self.source.pause(Direction::Write, duration)
    }

    /// Waits until there is something to read, without a call that takes it.
    pub(crate) fn wait_readable(&self) -> io::Result<()> {
        self.source.ready(Direction::Read, || self.options.limit(Direction::Read))
    }

    /// The same with another limit.
    pub(crate) fn readable_within(&self, limit: Limit) -> io::Result<()> {
        self.source.ready(Direction::Read, || limit)
    }

    /// Waits until there is room to write.
    pub(crate) fn wait_writable(&self) -> io::Result<()> {
        self.source.ready(Direction::Write, || self.options.limit(Direction::Write))
    }

    /// How long an operation may wait.
    #[inline]
    pub(crate) fn limit(&self, direction: Direction) -> Limit {
        self.options.limit(direction)
    }

    /// Sets how long an operation may wait, here and in the kernel.
    pub(crate) fn set_timeout(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(zero_timeout());
        }
        let socket = SockRef::from(self.io());
        // As in std: to the kernel, nothing at all would be no timeout.
        let in_kernel = timeout.map(|timeout| timeout.max(Duration::from_micros(1)));
        match direction {
            Direction::Read => socket.set_read_timeout(in_kernel)?,
            Direction::Write => socket.set_write_timeout(in_kernel)?,
        }
        self.options.set_timeout(direction, timeout);
        Ok(())
    }

    /// Gives how long an operation may wait, as the kernel has noted it.
    pub(crate) fn timeout(&self, direction: Direction) -> io::Result<Option<Duration>> {
        let socket = SockRef::from(self.io());
        match direction {
            Direction::Read => socket.read_timeout(),
            Direction::Write => socket.write_timeout(),
        }
    }

    /// Sets whether the user wants the socket not to block, here and in the kernel.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        SockRef::from(self.io()).set_nonblocking(nonblocking)?;
        self.options.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Takes the pending error of the socket.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self.io()).take_error()
    }
}

/// std's error for a timeout of zero.
pub(crate) fn zero_timeout() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout")
}
