//! Listening for connections: the mirror of [`std::os::unix::net::UnixListener`].
//!
//! How connections are accepted is in `acceptor.rs`.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use corovent_runtime::fd::Limit;

use crate::acceptor::Acceptor;
use crate::socket::convert_descriptors;
use crate::sys;
use crate::sys::listener;
use crate::unix::stream::UnixStream;

/// A socket that listens for connections from the same machine: the mirror of
/// [`std::os::unix::net::UnixListener`].
///
/// Any number of coroutines may accept from one listener; each connection goes to one.
/// Dropping it closes the descriptor and leaves the file, as in std.
///
/// # Examples
///
/// ```
/// use corovent_net::os::linux::net::SocketAddrExt;
/// use corovent_net::os::unix::net::{SocketAddr, UnixListener, UnixStream};
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
///
/// // A name that is no path goes away with the listener.
/// let name = format!("corovent-example-{}", std::process::id());
/// let addr = SocketAddr::from_abstract_name(name)?;
/// let listener = UnixListener::bind_addr(&addr)?;
/// let client = spawn(move || UnixStream::connect_addr(&addr)?.write_all(b"hello"));
/// let (mut stream, _) = listener.accept()?;
/// let mut text = String::new();
/// stream.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// client.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    acceptor: Acceptor<std::os::unix::net::UnixListener>,
}

/// An iterator over the connections of a listener, which never ends.
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

convert_descriptors!(UnixListener, std::os::unix::net::UnixListener, acceptor);

impl UnixListener {
    /// Binds to a path, at which a file is made, and listens.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::made_here(std::os::unix::net::UnixListener::bind(path)?)
    }

    /// Binds to an address, and listens.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied`, … as bind(2) gives them.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::made_here(std::os::unix::net::UnixListener::bind_addr(socket_addr)?)
    }

    fn made_here(io: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        listener::take(io.as_fd())?;
        Ok(UnixListener { acceptor: Acceptor::made_here(io) })
    }

    /// Accepts one connection, and gives it with the address of its other end, which seldom
    /// has one.
    ///
    /// # Suspends
    ///
    /// Until a connection comes.
    ///
    /// # Errors
    ///
    /// - What accept(2) gives, such as `EMFILE`; `InvalidInput` if it was shut down.
    /// - `WouldBlock` after [`set_nonblocking`](UnixListener::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// No connection is lost: it waits for the next caller. If other code has made the open
    /// file block, a kill or a timeout that finds the coroutine while a connection is taken
    /// comes after it.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (io, addr) = self.acceptor.accept(when_empty)?;
        Ok((UnixStream::made_here(io.into()), sys::unix::std_addr(&addr)?))
    }

    /// Accepts one connection, and waits as the limit says, not as the user wished.
    pub(crate) fn accept_within(&self, limit: Limit) -> io::Result<(UnixStream, SocketAddr)> {
        let (io, addr) = self.acceptor.accept_within(|| limit, when_empty)?;
        Ok((UnixStream::made_here(io.into()), sys::unix::std_addr(&addr)?))
    }

    /// Waits until there may be a connection.
    pub(crate) fn ready(&self, limit: Limit) -> io::Result<()> {
        self.acceptor.ready(limit)
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
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        Ok(UnixListener { acceptor: self.acceptor.try_clone()? })
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

    /// Sets whether [`accept`](UnixListener::accept) fails with `WouldBlock` instead of
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

    /// Gives an iterator over the connections.
    ///
    /// # Suspends
    ///
    /// Never; its `next` does, as [`accept`](UnixListener::accept).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }
}

/// The error of an accept that found nothing: of a listener that was shut down, a call that
/// does not block says that it is empty.
fn when_empty(fd: BorrowedFd<'_>) -> io::Error {
    match sys::has_ended(fd) {
        Ok(true) if !listener::is_marked_nonblocking(fd) => {
            io::Error::from_raw_os_error(libc::EINVAL)
        }
        Ok(_) => sys::would_block(),
        Err(error) => error,
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl From<std::os::unix::net::UnixListener> for UnixListener {
    /// Takes a listener of std's over. Its open file becomes non-blocking until it is given
    /// away again: accepting by a duplicate of it that other code holds fails with
    /// `WouldBlock` where it would have waited. A duplicate that was converted as well waits
    /// as it should.
    fn from(io: std::os::unix::net::UnixListener) -> UnixListener {
        UnixListener { acceptor: Acceptor::from_elsewhere(io) }
    }
}

impl From<UnixListener> for std::os::unix::net::UnixListener {
    /// Gives the listener away as std's. Its open file blocks again, unless the user wanted
    /// it not to. Clones that stay green still wait without stopping the thread, but each
    /// accepts with the help of a thread of the pool.
    fn from(listener: UnixListener) -> std::os::unix::net::UnixListener {
        listener.acceptor.into_io()
    }
}
