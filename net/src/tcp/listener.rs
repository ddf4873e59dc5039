//! Listening for connections: the mirror of [`std::net::TcpListener`].
//!
//! accept(2) has no flag against blocking, so a listener is the one kind of socket whose
//! open file gets O_NONBLOCK; it loses it when it is converted back. The flag belongs to all
//! duplicates of the file, and any holder of one may take it away. So it is looked at before
//! each call, while this crate changes none; where it is gone a thread of the pool accepts, and
//! is stopped if the connection goes to somebody else after all. Other code that takes it away
//! between the look and the call cannot be seen.

// `FromRawFd` is an unsafe trait method.
#![allow(unsafe_code)]

use std::io;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::RawFd;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Done;
use corovent_runtime::fd::Limit;
use corovent_runtime::fd::Source;
use corovent_runtime::shield;
use corovent_runtime::threadpool;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::sys;
use crate::tcp::convert_descriptors;
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
    source: Source<std::net::TcpListener>,
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
        let io = each_addr(addr, sys::listen)?;
        Ok(TcpListener { source: Source::new(io), made_here: true })
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
        self.source.io().local_addr()
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
        let io = self.source.io().try_clone()?;
        Ok(TcpListener { source: Source::new(io), made_here: self.made_here })
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
        let limit = || match sys::is_marked_nonblocking(self.as_fd()) {
            true => Limit::NonBlocking,
            false => Limit::None,
        };
        let (io, addr) = self.source.call(Direction::Read, limit, |fd| {
            let accepted = match sys::accept_at_once(fd)? {
                Some(accepted) => accepted,
                None => accept_elsewhere(fd)?,
            };
            Ok(Done::more(accepted))
        })?;
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
        self.source.io().set_only_v6(only_v6)
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
        self.source.io().only_v6()
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
        sys::mark_listener(self.as_fd(), nonblocking)
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
        // If it cannot be changed, it is no listener, and accept(2) will say so.
        let _ = sys::take_listener(io.as_fd());
        TcpListener { source: Source::from_foreign(io), made_here: false }
    }
}

impl From<TcpListener> for std::net::TcpListener {
    /// Gives the listener away as std's. Its open file blocks again, unless the user wanted
    /// it not to. Clones that stay green still wait without stopping the thread, but each
    /// accepts with the help of a thread of the pool.
    fn from(listener: TcpListener) -> std::net::TcpListener {
        let io = listener.source.into_io();
        // What cannot be changed was not changed before.
        let _ = sys::release_listener(io.as_fd());
        io
    }
}

impl FromRawFd for TcpListener {
    unsafe fn from_raw_fd(fd: RawFd) -> TcpListener {
        // SAFETY: the caller vouches that it owns the descriptor.
        unsafe { std::net::TcpListener::from_raw_fd(fd) }.into()
    }
}

convert_descriptors!(TcpListener, std::net::TcpListener);

/// Accepts from a listener whose open file blocks: on another thread, since the connection
/// may be gone to another holder before the call. Once it is taken it must not be lost.
#[cold]
fn accept_elsewhere(listener: BorrowedFd<'_>) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    if !sys::is_readable(listener)? {
        return Err(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    let listener = listener.try_clone_to_owned()?;
    shield(|| threadpool::call(move || sys::accept(listener.as_fd())))
}
