//! Listening for connections: the mirror of [`std::net::TcpListener`].
//!
//! How connections are accepted is in `acceptor.rs`.

use std::io;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use corovent_runtime::fd::Limit;
use socket2::SockAddr;

use crate::acceptor::Acceptor;
use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::socket::convert_descriptors;
use crate::sys;
use crate::sys::listener;
use crate::tcp::stream::TcpStream;

/// A socket that listens for TCP connections: the mirror of [`std::net::TcpListener`].
///
/// Any number of coroutines may accept from one listener; each connection goes to one.
///
/// # Examples
///
/// ```
/// use corovent_net::{TcpListener, TcpStream};
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let addr = listener.local_addr()?;
/// let client = spawn(move || TcpStream::connect(addr)?.write_all(b"hello"));
/// let (mut stream, _) = listener.accept()?;
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// client.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    acceptor: Acceptor<std::net::TcpListener>,
    /// Whether its connections are the kernel's TCP: what a foreign listener gives nobody
    /// knows.
    made_here: bool,
}

/// An iterator over the connections of a listener, which never ends.
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl TcpListener {
    /// Binds to the first of the addresses that works, and listens. Port 0 lets the system
    /// choose one.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them, for the last address.
    /// - `InvalidInput` if there is no address.
    ///
    /// # Cancellation
    ///
    /// A lookup is abandoned.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        Ok(TcpListener::made_here(each_addr(addr, listener::listen)?))
    }

    /// Takes over a listener that was made here.
    pub(crate) fn made_here(io: std::net::TcpListener) -> TcpListener {
        TcpListener { acceptor: Acceptor::made_here(io), made_here: true }
    }

    /// Gives the address that the listener is bound to.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockname(2) gives them.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.io().local_addr()
    }

    /// Makes another handle of the same listener, with a descriptor of its own.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them, when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener { acceptor: self.acceptor.try_clone()?, made_here: self.made_here })
    }

    /// Accepts one connection.
    ///
    /// # Suspends
    ///
    /// Until a connection comes.
    ///
    /// # Errors
    ///
    /// - What accept(2) gives, such as `EMFILE`; of a connection that is gone already the
    ///   next read tells.
    /// - `WouldBlock` after [`set_nonblocking`](TcpListener::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// No connection is lost: it waits for the next caller. If other code has made the open
    /// file block, a kill or a timeout that finds the coroutine while a connection is taken
    /// comes after it.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.take_over(self.acceptor.accept(|_| sys::would_block())?)
    }

    /// Accepts one connection, and waits as the limit says, not as the user wished.
    pub(crate) fn accept_within(&self, limit: Limit) -> io::Result<(TcpStream, SocketAddr)> {
        self.take_over(self.acceptor.accept_within(|| limit, |_| sys::would_block())?)
    }

    /// Waits until there may be a connection.
    pub(crate) fn ready(&self, limit: Limit) -> io::Result<()> {
        self.acceptor.ready(limit)
    }

    fn take_over(&self, (io, addr): (OwnedFd, SockAddr)) -> io::Result<(TcpStream, SocketAddr)> {
        let addr = sys::ip_addr(&addr)?;
        let io = io.into();
        let stream =
            if self.made_here { TcpStream::made_here(io) } else { TcpStream::of_unknown_kind(io) };
        Ok((stream, addr))
    }

    /// Gives an iterator over the connections.
    ///
    /// # Suspends
    ///
    /// Never; its `next` does, as [`accept`](TcpListener::accept).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
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
        self.acceptor.io().set_ttl(ttl)
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
        self.acceptor.io().ttl()
    }

    /// Sets whether an IPv6 listener takes IPv4 connections; too late on a bound one.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    #[deprecated(note = "this option can only be set before the socket is bound")]
    #[allow(deprecated)]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.acceptor.io().set_only_v6(only_v6)
    }

    /// Gives whether an IPv6 listener refuses IPv4 connections.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    #[deprecated(note = "this option can only be set before the socket is bound")]
    #[allow(deprecated)]
    pub fn only_v6(&self) -> io::Result<bool> {
        self.acceptor.io().only_v6()
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
        self.acceptor.io().take_error()
    }

    /// Sets whether [`accept`](TcpListener::accept) fails with `WouldBlock` instead of
    /// waiting. Whoever else holds the listener sees it.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.acceptor.set_nonblocking(nonblocking)
    }
}

impl<'a> Iterator for Incoming<'a> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

impl From<std::net::TcpListener> for TcpListener {
    /// Takes a listener of std's over. Its open file becomes non-blocking until it is given
    /// away again: accepting by a duplicate of it that other code holds fails with
    /// `WouldBlock` where it would have waited. A duplicate that was converted as well waits
    /// as it should.
    fn from(io: std::net::TcpListener) -> TcpListener {
        TcpListener { acceptor: Acceptor::from_elsewhere(io), made_here: false }
    }
}

impl From<TcpListener> for std::net::TcpListener {
    /// Gives the listener away as std's. Its open file blocks again, unless the user wanted
    /// it not to. Clones that stay green still wait without stopping the thread, but each
    /// accepts with the help of a thread of the pool.
    fn from(listener: TcpListener) -> std::net::TcpListener {
        listener.acceptor.into_io()
    }
}

convert_descriptors!(TcpListener, std::net::TcpListener, acceptor);
