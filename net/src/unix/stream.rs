//! Connections: the mirror of [`std::os::unix::net::UnixStream`].
//!
//! Only while a connection is made has the open file O_NONBLOCK. A short count proves
//! nothing here: where a descriptor was attached the kernel gives less.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use corovent_runtime::fd::Direction;
use corovent_runtime::time::Pauses;

use crate::socket::Socket;
use crate::socket::convert_socket;
use crate::socket::socket_options;
use crate::socket::stream_traits;
use crate::sys;
use crate::sys::message;
use crate::unix::ancillary::SocketAncillary;

/// A connection between processes of one machine: the mirror of
/// [`std::os::unix::net::UnixStream`].
///
/// Any number of coroutines may read and write it; those that wait for the same direction
/// are served in the order in which they came. It may be sent to, and shared with, other
/// threads. Dropping it closes the descriptor, and never waits.
///
/// # Limits
///
/// The kernel does not tell one who waits to write that writing was shut down meanwhile, or
/// reading at the other end: it fails with `BrokenPipe` up to a second later. A close is told at
/// once.
///
/// # Examples
///
/// ```
/// use corovent_net::os::unix::net::UnixStream;
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
///
/// let (mut client, mut server) = UnixStream::pair()?;
/// let echo = spawn(move || -> std::io::Result<()> {
///     let mut buf = [0; 16];
///     let count = server.read(&mut buf)?;
///     server.write_all(&buf[..count])
/// });
/// client.write_all(b"ping")?;
/// let mut answer = [0; 4];
/// client.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"ping");
/// echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    socket: Socket<std::os::unix::net::UnixStream>,
}

socket_options!(UnixStream);
stream_traits!(UnixStream, true);
convert_socket!(UnixStream, std::os::unix::net::UnixStream);

impl UnixStream {
    /// Connects to the listener at a path.
    ///
    /// # Suspends
    ///
    /// While the listener's queue is full. The kernel does not tell when it no longer is, so
    /// this tries again after pauses that grow to 50 ms.
    ///
    /// # Errors
    ///
    /// - `NotFound`, `ConnectionRefused`, … as connect(2) gives them.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The attempt is given up and its socket closed.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener at an address.
    ///
    /// # Suspends
    ///
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Errors
    ///
    /// - `ConnectionRefused`, … as connect(2) gives them.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The attempt is given up and its socket closed.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        let addr = sys::unix::kernel_addr(socket_addr)?;
        let stream = UnixStream::made_here(sys::unix::stream()?);
        let mut pauses = Pauses::new();
        while stream.socket.attempt(|fd| sys::unix::connect(fd, &addr))?.is_none() {
            stream.socket.pause(pauses.take())?;
        }
        stream.socket.io().set_nonblocking(false)?;
        Ok(stream)
    }

    /// Makes two that are connected to each other.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As socketpair(2) gives them.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        Ok((UnixStream::made_here(one), UnixStream::made_here(other)))
    }

    /// Takes over a socket that nobody else has seen.
    pub(super) fn made_here(io: std::os::unix::net::UnixStream) -> UnixStream {
        UnixStream { socket: Socket::made_here(io) }
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

    /// Gives the address of the other end.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getpeername(2) gives them.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// Ends one or both directions. Coroutines that wait for them find the end, or an error.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As shutdown(2) gives them.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.io().shutdown(how)
    }

    /// Receives bytes into several buffers, and what was sent along with them.
    ///
    /// Descriptors among that belong to `ancillary` until they are taken out of it. What it
    /// still holds of an earlier call is dropped first. The name is std's, where it is not
    /// stable.
    ///
    /// # Suspends
    ///
    /// Until there is something to read, or the end.
    ///
    /// # Errors
    ///
    /// - What recvmsg(2) gives.
    /// - `WouldBlock` when the read timeout is over, or after
    ///   [`set_nonblocking`](UnixStream::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: a call that was interrupted took neither bytes nor descriptors.
    pub fn recv_vectored_with_ancillary(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let receive = |fd: BorrowedFd<'_>| ancillary.receive(fd, bufs);
        Ok(self.socket.call(Direction::Read, receive)?.count)
    }

    /// Sends the bytes of several buffers, and along with the first of them what was added
    /// to `ancillary`, which stays there.
    ///
    /// Like other writes it goes on until all is written. Nothing is sent along with no
    /// bytes at all. The name is std's, where it is not stable.
    ///
    /// # Suspends
    ///
    /// Until all is written.
    ///
    /// # Errors
    ///
    /// None if a part was written, which is what it gives then.
    ///
    /// - What sendmsg(2) gives.
    /// - `WouldBlock` when the write timeout is over, or after
    ///   [`set_nonblocking`](UnixStream::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// If a part was written it gives the count, and the kill or the timeout comes at the next
    /// wait; a call that does not return sent neither bytes nor descriptors.
    pub fn send_vectored_with_ancillary(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let control = ancillary.outgoing();
        self.socket
            .write_vectored_by::<true>(bufs, |fd, bufs| message::send(fd, bufs, None, control))
    }
}
