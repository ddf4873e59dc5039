//! Connections: the mirror of [`std::net::TcpStream`].
//!
//! Only while a connection is made has the open file O_NONBLOCK.

use std::io;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::linux::net::TcpStreamExt as StdTcpStreamExt;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Limit;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::socket::Socket;
use crate::socket::convert_socket;
use crate::socket::socket_options;
use crate::socket::stream_traits;
use crate::socket::zero_timeout;
use crate::sys;

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
    socket: Socket<std::net::TcpStream>,
}

socket_options!(TcpStream);
stream_traits!(TcpStream, false);
convert_socket!(TcpStream, std::net::TcpStream);

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
        let connect = |fd: BorrowedFd<'_>| sys::connect(fd, addr);
        stream.socket.call_within(Direction::Write, || limit, connect)?;
        stream.socket.io().set_nonblocking(false)?;
        Ok(stream)
    }

    /// Takes over a connection of the kernel's TCP that nobody else has seen.
    pub(crate) fn made_here(io: std::net::TcpStream) -> TcpStream {
        TcpStream { socket: Socket::of_tcp(io) }
    }

    /// Takes over a socket of which nobody knows what it is.
    pub(crate) fn of_unknown_kind(io: std::net::TcpStream) -> TcpStream {
        TcpStream { socket: Socket::made_here(io) }
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
        self.socket.io().peer_addr()
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
        self.socket.io().local_addr()
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
        self.socket.io().shutdown(how)
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
        self.socket.call(Direction::Read, |fd| sys::peek(fd, buf))
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
        self.socket.io().set_nodelay(nodelay)
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
        self.socket.io().nodelay()
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
        self.socket.io().set_ttl(ttl)
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
        self.socket.io().ttl()
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
        self.socket.io().set_quickack(quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        self.socket.io().quickack()
    }
}
