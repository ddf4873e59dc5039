//! Connections: the mirror of [`std::net::TcpStream`].
//!
//! The open file keeps the kernel's blocking mode: every call carries MSG_DONTWAIT. Only
//! while a connection is made does it have O_NONBLOCK.

// `FromRawFd` is an unsafe trait method.
#![allow(unsafe_code)]

use std::io;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::FromRawFd;
use std::os::fd::RawFd;
use std::os::linux::net::TcpStreamExt as StdTcpStreamExt;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Done;
use corovent_runtime::fd::Limit;
use corovent_runtime::fd::Source;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::options::Options;
use crate::sys;
use crate::tcp::convert_descriptors;

/// A TCP connection: the mirror of [`std::net::TcpStream`].
///
/// Any number of coroutines may read and write it; those that wait for the same direction
/// are served in the order in which they came. It may be sent to, and shared with, other
/// threads. Dropping it closes the descriptor, and never waits.
///
/// # Limits
///
/// A read that gave less than it had room for has emptied the socket, so the next one waits
/// for news of more without asking the kernel. That is so for the kernel's plain TCP. Other
/// code that holds the descriptor can make it untrue: by receiving urgent data out of band
/// (`MSG_OOB`), behind which more data may lie, or by handing the connection to the kernel's
/// TLS, which gives one record at a time. Convert such a connection to std's type and back:
/// of a descriptor that came from elsewhere nothing is assumed.
///
/// # Examples
///
/// ```
/// use corovent_net::{TcpListener, TcpStream};
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let echo = spawn(move || -> std::io::Result<()> {
///     let (mut stream, _) = listener.accept()?;
///     let mut buf = [0; 16];
///     let n = stream.read(&mut buf)?;
///     stream.write_all(&buf[..n])
/// });
/// client.write_all(b"ping")?;
/// let mut answer = [0; 4];
/// client.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"ping");
/// echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    pub(super) source: Source<std::net::TcpStream>,
    pub(super) options: Options,
    /// Whether a short count proves that the socket is empty, or full: the kernel's TCP
    /// does so, but what a foreign descriptor is nobody knows.
    pub(super) short_is_all: bool,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Suspends
    ///
    /// Until the connection is made or refused; and while a name is looked up.
    ///
    /// # Errors
    ///
    /// - `ConnectionRefused`, `TimedOut`, … as connect(2) gives them, for the last address.
    /// - `InvalidInput` if there is no address.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The attempt is given up and its socket closed.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        each_addr(addr, |addr| TcpStream::connect_to(addr, sys::stream_for(addr)?, Limit::None))
    }

    /// Connects to an address, but gives up after `timeout`.
    ///
    /// # Suspends
    ///
    /// Until the connection is made or refused, or the time is up.
    ///
    /// # Errors
    ///
    /// - `TimedOut` if the time is up.
    /// - `InvalidInput` if the timeout is zero, as in std.
    /// - What connect(2) gives.
    ///
    /// # Cancellation
    ///
    /// The attempt is given up and its socket closed.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let io = sys::stream_for(addr)?;
        if timeout.is_zero() {
            // As in std, an answer that is there at once wins over a bad timeout.
            sys::connect(io.as_fd(), addr).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => zero_timeout(),
                _ => error,
            })?;
        }
        TcpStream::connect_to(addr, io, Limit::Timeout(timeout)).map_err(|error| {
            match error.kind() {
                io::ErrorKind::WouldBlock => {
                    io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
                }
                _ => error,
            }
        })
    }

    fn connect_to(
        addr: &SocketAddr,
        io: std::net::TcpStream,
        limit: Limit,
    ) -> io::Result<TcpStream> {
        let stream = TcpStream::made_here(io);
        stream.source.call(
            Direction::Write,
            || limit,
            |fd| sys::connect(fd, addr).map(Done::more),
        )?;
        stream.source.io().set_nonblocking(false)?;
        Ok(stream)
    }

    /// Takes over a socket that nobody else has seen.
    pub(crate) fn made_here(io: std::net::TcpStream) -> TcpStream {
        TcpStream { source: Source::new(io), options: Options::default(), short_is_all: true }
    }

    /// Takes over a socket of which nobody knows what it is.
    pub(crate) fn of_unknown_kind(io: std::net::TcpStream) -> TcpStream {
        TcpStream { short_is_all: false, ..TcpStream::made_here(io) }
    }

    /// Gives the address of the other end.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the other end has gone; else as getpeername(2) gives them.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().peer_addr()
    }

    /// Gives the address of this end.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockname(2) gives them.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.io().local_addr()
    }

    /// Ends one or both directions. Coroutines that wait for them find the end, or an error.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is over.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.io().shutdown(how)
    }

    /// Makes another handle of the same connection, with a descriptor of its own.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them, when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        let source = Source::new(self.source.io().try_clone()?);
        let options = self.options.share();
        Ok(TcpStream { source, options, short_is_all: self.short_is_all })
    }

    /// Sets how long a read may wait; `None` is for ever. Clones share it.
    ///
    /// A read whose time is up fails with `WouldBlock`, as in std on Unix.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.io().set_read_timeout(timeout)?;
        self.options.set_timeout(Direction::Read, timeout);
        Ok(())
    }

    /// Sets how long a write may wait; `None` is for ever. Clones share it.
    ///
    /// A write whose time is up fails with `WouldBlock`, as in std on Unix.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the timeout is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.io().set_write_timeout(timeout)?;
        self.options.set_timeout(Direction::Write, timeout);
        Ok(())
    }

    /// Gives how long a read may wait, in the kernel's microseconds.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.source.io().read_timeout()
    }

    /// Gives how long a write may wait, in the kernel's microseconds.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.source.io().write_timeout()
    }

    /// Reads without taking: the next read gives the same bytes.
    ///
    /// # Suspends
    ///
    /// Until there is something to read.
    ///
    /// # Errors
    ///
    /// As for reading.
    ///
    /// # Cancellation
    ///
    /// Nothing is taken.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Read);
        self.source.call(Direction::Read, limit, |fd| sys::peek(fd, buf).map(Done::more))
    }

    /// Sets whether small writes are sent at once (TCP_NODELAY).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.io().set_nodelay(nodelay)
    }

    /// Gives whether small writes are sent at once.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.io().nodelay()
    }

    /// Sets the time-to-live of the packets sent.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.io().set_ttl(ttl)
    }

    /// Gives the time-to-live of the packets sent.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.io().ttl()
    }

    /// Takes the pending error of the socket.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.io().take_error()
    }

    /// Sets whether reading and writing fail with `WouldBlock` instead of waiting. Clones
    /// share it.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As ioctl(2) gives them.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.source.io().set_nonblocking(nonblocking)?;
        self.options.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Waits until there is something to read, without a buffer to read it into.
    ///
    /// A server with many idle connections takes a buffer only after this has returned. It
    /// may return for nothing; the read that follows then waits.
    ///
    /// # Suspends
    ///
    /// Until the connection is readable, has ended or failed.
    ///
    /// # Errors
    ///
    /// - `WouldBlock` when the read timeout is over, or after `set_nonblocking`.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is taken.
    pub fn wait_readable(&self) -> io::Result<()> {
        self.source.ready(Direction::Read, || self.options.limit(Direction::Read))
    }

    /// Waits until there is room to write.
    ///
    /// # Suspends
    ///
    /// Until the connection is writable, or has failed.
    ///
    /// # Errors
    ///
    /// - `WouldBlock` when the write timeout is over, or after `set_nonblocking`.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is written.
    pub fn wait_writable(&self) -> io::Result<()> {
        self.source.ready(Direction::Write, || self.options.limit(Direction::Write))
    }

    /// What a read of `count` bytes into room for `wanted` has left behind.
    #[inline]
    pub(super) fn read_of(&self, count: usize, wanted: usize) -> Done<usize> {
        let drained = self.short_is_all && 0 < count && count < wanted;
        Done { value: count, drained, finished: true }
    }
}

/// What Linux has besides: the mirror of [`std::os::linux::net::TcpStreamExt`].
pub trait TcpStreamExt {
    /// Sets whether acknowledgements are sent at once (TCP_QUICKACK).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// Gives whether acknowledgements are sent at once.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    fn quickack(&self) -> io::Result<bool>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.source.io().set_quickack(quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        self.source.io().quickack()
    }
}

impl From<std::net::TcpStream> for TcpStream {
    /// Takes a connection of std's over, with its timeouts and its non-blocking mode. The
    /// open file is not changed, so duplicates of it go on as before.
    fn from(io: std::net::TcpStream) -> TcpStream {
        let options = Options::default();
        // What cannot be asked is not a socket, and the first call will say so.
        if let Ok(Some(timeout)) = io.read_timeout() {
            options.set_timeout(Direction::Read, Some(timeout));
        }
        if let Ok(Some(timeout)) = io.write_timeout() {
            options.set_timeout(Direction::Write, Some(timeout));
        }
        if let Ok(true) = sys::is_nonblocking(io.as_fd()) {
            options.set_nonblocking(true);
        }
        TcpStream { source: Source::from_foreign(io), options, short_is_all: false }
    }
}

impl From<TcpStream> for std::net::TcpStream {
    /// Gives the connection away as std's, with its timeouts and its non-blocking mode.
    fn from(stream: TcpStream) -> std::net::TcpStream {
        stream.source.into_io()
    }
}

impl FromRawFd for TcpStream {
    unsafe fn from_raw_fd(fd: RawFd) -> TcpStream {
        // SAFETY: the caller vouches that it owns the descriptor.
        unsafe { std::net::TcpStream::from_raw_fd(fd) }.into()
    }
}

convert_descriptors!(TcpStream, std::net::TcpStream);

/// std's error for a timeout of zero.
fn zero_timeout() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout")
}
