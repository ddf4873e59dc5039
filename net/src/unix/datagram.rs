//! Datagrams: the mirror of [`std::os::unix::net::UnixDatagram`].
//!
//! A datagram waits in the queue of its receiver, which is short. Of a receiver that is
//! connected to, the kernel tells by the sender's own readiness when it has room. Of any
//! other it does not; then a second socket is connected to it for the time of the wait, by
//! whose readiness it does.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Limit;
use corovent_runtime::fd::Source;
use corovent_runtime::time::Deadline;
use corovent_runtime::time::Pauses;
use socket2::SockAddr;

use crate::socket::Socket;
use crate::socket::convert_socket;
use crate::socket::socket_options;
use crate::sys;
use crate::sys::message;
use crate::unix::ancillary::SocketAncillary;

/// A socket for datagrams between processes of one machine: the mirror of
/// [`std::os::unix::net::UnixDatagram`].
///
/// Any number of coroutines may receive and send by it; those that wait to receive are served
/// in the order in which they came, each with a datagram. No datagram is lost, but what does
/// not fit into the buffer of one is. Dropping it closes the descriptor, and never waits.
///
/// # Examples
///
/// ```
/// use corovent_net::os::unix::net::UnixDatagram;
/// use corovent_runtime::spawn;
///
/// let (client, server) = UnixDatagram::pair()?;
/// let echo = spawn(move || -> std::io::Result<()> {
///     let mut buf = [0; 16];
///     let count = server.recv(&mut buf)?;
///     server.send(&buf[..count]).map(drop)
/// });
/// client.send(b"ping")?;
/// let mut buf = [0; 16];
/// let count = client.recv(&mut buf)?;
/// assert_eq!(&buf[..count], b"ping");
/// echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    socket: Socket<std::os::unix::net::UnixDatagram>,
}

socket_options!(UnixDatagram);
convert_socket!(UnixDatagram, std::os::unix::net::UnixDatagram);

impl UnixDatagram {
    /// What it is made of.
    pub(crate) fn socket(&self) -> &Socket<std::os::unix::net::UnixDatagram> {
        &self.socket
    }

    /// Makes a socket and binds it to a path, at which a file is made.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        std::os::unix::net::UnixDatagram::bind(path).map(UnixDatagram::made_here)
    }

    /// Makes a socket and binds it to an address.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied`, … as bind(2) gives them.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        std::os::unix::net::UnixDatagram::bind_addr(socket_addr).map(UnixDatagram::made_here)
    }

    /// Makes a socket without an address.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As socket(2) gives them.
    pub fn unbound() -> io::Result<UnixDatagram> {
        std::os::unix::net::UnixDatagram::unbound().map(UnixDatagram::made_here)
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
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = std::os::unix::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::made_here(one), UnixDatagram::made_here(other)))
    }

    fn made_here(io: std::os::unix::net::UnixDatagram) -> UnixDatagram {
        UnixDatagram { socket: Socket::made_here(io) }
    }

    /// Connects to the socket at a path: to it go the datagrams of
    /// [`send`](UnixDatagram::send), and only what comes from it is received.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `NotFound`, `ConnectionRefused`, … as connect(2) gives them.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.socket.io().connect(path)
    }

    /// Connects to the socket at an address.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused`, … as connect(2) gives them.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.socket.io().connect_addr(socket_addr)
    }

    /// Gives the address of this socket.
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

    /// Gives the address of the socket that this one is connected to.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not; else as getpeername(2) gives them.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// Receives a datagram, and gives its length and its sender.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram, or reading is shut down.
    ///
    /// # Errors
    ///
    /// - What recvfrom(2) gives.
    /// - `WouldBlock` when the read timeout is over, or after
    ///   [`set_nonblocking`](UnixDatagram::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram waits for the next caller.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.receive(|fd| sys::recv_from(fd, buf))? {
            Some((count, addr)) => Ok((count, sys::unix::std_addr(&addr)?)),
            None => Ok((0, sys::unix::unnamed()?)),
        }
    }

    /// Receives a datagram, and gives its length.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram, or reading is shut down.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram waits for the next caller.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(|fd| sys::recv(fd, buf))?.unwrap_or(0))
    }

    /// Receives a datagram into several buffers, and what was sent along with it. Gives its
    /// length, and whether it did not fit.
    ///
    /// Descriptors among what came along belong to `ancillary` until they are taken out of
    /// it. What it still holds of an earlier call is dropped first. The name is std's, where
    /// it is not stable.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram, or reading is shut down.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram, with what belongs to it, waits for the next caller.
    pub fn recv_vectored_with_ancillary(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool)> {
        let (count, truncated, _) = self.recv_vectored_with_ancillary_from(bufs, ancillary)?;
        Ok((count, truncated))
    }

    /// The same, which gives the sender as well.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram, or reading is shut down.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram, with what belongs to it, waits for the next caller.
    pub fn recv_vectored_with_ancillary_from(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<(usize, bool, SocketAddr)> {
        match self.receive(|fd| ancillary.receive(fd, bufs))? {
            Some(received) => {
                let addr = sys::unix::std_addr(&received.addr)?;
                Ok((received.count, received.truncated, addr))
            }
            None => Ok((0, false, sys::unix::unnamed()?)),
        }
    }

    /// Sends a datagram to the socket at a path, and gives its length.
    ///
    /// # Suspends
    ///
    /// While the receiver's queue is full, or this socket. For the time of that wait it uses
    /// one more descriptor. If none is left, or it is this socket that is full, it may be as
    /// late as 50 ms.
    ///
    /// # Errors
    ///
    /// - What sendto(2) gives.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    /// - `WouldBlock` when the write timeout is over, or after
    ///   [`set_nonblocking`](UnixDatagram::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_pathname(path)?)
    }

    /// Sends a datagram to the socket at an address, and gives its length.
    ///
    /// # Suspends
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UnixDatagram::send_to).
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        let addr = sys::unix::kernel_addr(socket_addr)?;
        self.send_by(&addr, |fd| sys::send_to(fd, buf, &addr))
    }

    /// Sends a datagram to the socket that this one is connected to, and gives its length.
    ///
    /// # Suspends
    ///
    /// While the receiver's queue is full, or this socket.
    ///
    /// # Errors
    ///
    /// - What send(2) gives.
    /// - `WouldBlock` when the write timeout is over, or after
    ///   [`set_nonblocking`](UnixDatagram::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call_retrying(Direction::Write, |fd| sys::send(fd, buf))
    }

    /// Sends a datagram from several buffers to the socket at a path, and along with it what
    /// was added to `ancillary`, which stays there. The name is std's, where it is not stable.
    ///
    /// # Suspends
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// # Errors
    ///
    /// As for [`send_to`](UnixDatagram::send_to).
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send_vectored_with_ancillary_to<P: AsRef<Path>>(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
        path: P,
    ) -> io::Result<usize> {
        let addr = sys::unix::kernel_addr(&SocketAddr::from_pathname(path)?)?;
        let control = ancillary.outgoing();
        self.send_by(&addr, |fd| message::send(fd, bufs, Some(&addr), control))
    }

    /// Sends a datagram from several buffers to the socket that this one is connected to, and
    /// along with it what was added to `ancillary`, which stays there. The name is std's,
    /// where it is not stable.
    ///
    /// # Suspends
    ///
    /// As [`send`](UnixDatagram::send).
    ///
    /// # Errors
    ///
    /// As for [`send`](UnixDatagram::send).
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send_vectored_with_ancillary(
        &self,
        bufs: &[IoSlice<'_>],
        ancillary: &mut SocketAncillary<'_>,
    ) -> io::Result<usize> {
        let control = ancillary.outgoing();
        self.socket.call_retrying(Direction::Write, |fd| message::send(fd, bufs, None, control))
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

    /// Receives a datagram; `None`: reading was shut down, which a call that does not block is
    /// not told.
    fn receive<R>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<Option<R>> {
        self.socket.call(Direction::Read, |fd| match attempt(fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let may_wait = self.socket.limit(Direction::Read) != Limit::NonBlocking;
                if may_wait && sys::has_ended(fd)? { Ok(None) } else { Err(error) }
            }
            result => result.map(Some),
        })
    }

    /// Sends to an address, whose owner need not be the one that this socket is connected to.
    fn send_by(
        &self,
        addr: &SockAddr,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut deadline = None;
        let mut pauses = Pauses::new();
        loop {
            if let Some(count) = self.socket.attempt(&mut attempt)? {
                return Ok(count);
            }
            let deadline = match deadline {
                Some(deadline) => deadline,
                None => *deadline.insert(self.socket.limit(Direction::Write).deadline()?),
            };
            self.wait_for_room(addr, deadline, pauses.take())?;
        }
    }

    /// Waits until sending to an address has a chance.
    fn wait_for_room(
        &self,
        addr: &SockAddr,
        deadline: Deadline,
        pause: Duration,
    ) -> io::Result<()> {
        let left = deadline.since(Deadline::now());
        if left.is_zero() {
            return Err(sys::would_block());
        }
        let pause = pause.min(left);
        let Ok(watched) = self.watched(addr) else {
            // Most likely the next attempt fails as well, and says why.
            return self.socket.pause(pause);
        };
        // Nor is all told by readiness: not that sending was shut down meanwhile.
        let result = match watched {
            Watched::Receiver(watcher) => {
                let limit = Limit::Timeout(left.min(RETRY));
                watcher.ready(Direction::Write, || limit)
            }
            // It may look full when it is not: if the one that it is connected to is.
            Watched::Sender(sender) => sender.ready(Direction::Write, || Limit::Timeout(pause)),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }

    /// Finds out which end is full.
    fn watched(&self, addr: &SockAddr) -> io::Result<Watched> {
        match sys::unix::watcher_of(addr) {
            Ok(watcher) if !sys::is_writable(watcher.as_fd())? => {
                return Ok(Watched::Receiver(Source::new(watcher)));
            }
            // Not to a receiver that is connected to this socket, and whose queue has no limit
            // for it.
            Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(error),
            _ => {}
        }
        // A duplicate, since what is known of the readiness of this one is for those who wait
        // for the one that it is connected to.
        Ok(Watched::Sender(Source::new(self.as_fd().try_clone_to_owned()?)))
    }
}

/// How often one who waits for the receiver's queue tries again in any case.
const RETRY: Duration = Duration::from_secs(1);

/// What is waited for by one who sends to an address: the end that is full.
enum Watched {
    /// Through a socket that is connected to it.
    Receiver(Source<std::os::unix::net::UnixDatagram>),
    /// Through a duplicate.
    Sender(Source<OwnedFd>),
}
