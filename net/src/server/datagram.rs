//! A server for datagrams: gevent's `DatagramServer`.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Limit;
use corovent_runtime::group::Pool;
use corovent_runtime::spawn;

use crate::addr::ToSocketAddrs;
use crate::server::control::Control;
use crate::server::control::EndOfSite;
use crate::server::control::server_accessors;
use crate::server::crew::Crew;
use crate::server::datagram_builder::DatagramBuilder;
use crate::server::listener::SocketFile;
use crate::server::options::Config;
use crate::server::options::Options;
use crate::server::report::Report;
use crate::server::request::Outcome;
use crate::server::site::Door;
use crate::server::site::Job;
use crate::server::site::Site;
use crate::server::trouble::Failure;
use crate::sys;
use crate::udp::UdpSocket;
use crate::unix::UnixDatagram;

/// A server that runs a handler in a coroutine of its own for each datagram, over UDP or Unix
/// sockets.
///
/// A handler is a closure that is given the datagram, the address of its sender, and the
/// server's socket, by which it answers; what it returns is an [`Outcome`]. Of a datagram of
/// more than 64 KiB, which only Unix sockets have, the rest is cut off. Errors that the network
/// has sent back for an answer, such as that nobody listens, are counted and passed over.
///
/// Everything else is as for [`StreamServer`](crate::server::StreamServer): a stop handles what
/// has arrived, waits for the handlers, kills those that are left and says whose they were.
/// The socket is closed when the handlers have ended.
///
/// # Examples
///
/// ```
/// use corovent_net::UdpSocket;
/// use corovent_net::server::DatagramServer;
/// use std::time::Duration;
///
/// let server = DatagramServer::bind("127.0.0.1:0", |data, peer, socket| {
///     socket.send_to(&data.to_ascii_uppercase(), peer)
/// })?;
/// server.start()?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", server.local_addr())?;
/// let mut buf = [0; 16];
/// let (count, _) = client.recv_from(&mut buf)?;
/// assert_eq!(&buf[..count], b"HELLO");
/// assert!(server.stop(Duration::from_secs(1)).is_clean());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DatagramServer<S: DatagramSocket = UdpSocket> {
    control: Arc<Control>,
    config: Arc<Config>,
    pool: Option<Pool>,
    handler: Rc<HandleFn<S>>,
    /// Taken when it is started.
    bound: RefCell<Option<Bound<S>>>,
    address: S::Addr,
    /// Whether it may bind its address again.
    is_ours: bool,
}

/// A socket that a [`DatagramServer`] can serve on: [`UdpSocket`] and [`UnixDatagram`]. Nobody
/// else implements it.
pub trait DatagramSocket: Receives<Self::Addr> + 'static {
    /// The address of a socket.
    type Addr: Clone + fmt::Debug + 'static;
}

/// The part of the trait that is not for users.
pub trait Receives<A>: Sized {
    /// Receives a datagram, and waits as the limit says.
    fn receive_within(&self, limit: Limit, buf: &mut [u8]) -> io::Result<(usize, A)>;

    /// Waits until there may be a datagram, and takes none.
    fn ready(&self, limit: Limit) -> io::Result<()>;

    /// The address that it is bound to.
    fn address(&self) -> io::Result<A>;

    /// Binds one more, to the address of another that is gone.
    fn bind_again(address: &A) -> io::Result<Self>;

    /// The path that an address names.
    fn path(address: &A) -> Option<&Path>;
}

type HandleFn<S> = dyn Fn(Vec<u8>, <S as DatagramSocket>::Addr, &S) -> Result<(), Failure>;

/// More than any datagram over IP has.
const DATAGRAM_MAX: usize = 64 << 10;

/// A socket that is bound.
pub(super) struct Bound<S> {
    pub(super) file: Option<SocketFile>,
    pub(super) socket: S,
    pub(super) is_ours: bool,
}

impl DatagramServer<UdpSocket> {
    /// Gives the options of a server, to be bound with.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn builder() -> DatagramBuilder {
        DatagramBuilder::new()
    }

    /// Binds to the first of the addresses that works, as [`DatagramBuilder::bind`] does.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// As for [`DatagramBuilder::bind`].
    pub fn bind<A, F, R>(addr: A, handler: F) -> io::Result<DatagramServer<UdpSocket>>
    where
        A: ToSocketAddrs,
        F: Fn(Vec<u8>, SocketAddr, &UdpSocket) -> R + 'static,
        R: Outcome,
    {
        DatagramBuilder::new().bind(addr, handler)
    }
}

impl DatagramServer<UnixDatagram> {
    /// Binds to a path, as [`DatagramBuilder::bind_unix`] does.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`DatagramBuilder::bind_unix`].
    pub fn bind_unix<P, F, R>(path: P, handler: F) -> io::Result<DatagramServer<UnixDatagram>>
    where
        P: AsRef<Path>,
        F: Fn(Vec<u8>, std::os::unix::net::SocketAddr, &UnixDatagram) -> R + 'static,
        R: Outcome,
    {
        DatagramBuilder::new().bind_unix(path, handler)
    }
}

impl<S: DatagramSocket> DatagramServer<S> {
    pub(super) fn new<F, R>(
        options: Options,
        bound: Bound<S>,
        handler: F,
    ) -> io::Result<DatagramServer<S>>
    where
        F: Fn(Vec<u8>, S::Addr, &S) -> R + 'static,
        R: Outcome,
    {
        Ok(DatagramServer {
            control: Control::new(),
            config: Arc::new(options.config),
            pool: options.pool,
            handler: Rc::new(move |data, peer, socket| handler(data, peer, socket).into_result()),
            address: bound.socket.address()?,
            is_ours: bound.is_ours,
            bound: RefCell::new(Some(bound)),
        })
    }

    /// Starts the server and returns: coroutines of this thread receive and handle from now on.
    /// One that runs already is left alone. One that was stopped is bound to its address again.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, … if it was stopped and cannot be bound again; `InvalidInput` if its socket
    /// was given.
    ///
    /// # Panics
    ///
    /// If there is no room for a coroutine.
    pub fn start(&self) -> io::Result<()> {
        if self.control.is_running() {
            return Ok(());
        }
        let bound = self.bound.borrow_mut().take();
        let bound = bound.map_or_else(|| self.bind_again(), Ok)?;
        let crew = Crew::new(&self.control, &self.config, self.pool.as_ref());
        let site = Site { door: self.door(bound.socket), file: bound.file.map(Arc::new), crew };
        if self.control.begin(1) {
            let end = EndOfSite::new(&self.control, &self.config);
            spawn(move || end.with(site.serve()));
        }
        Ok(())
    }

    /// Starts the server unless it runs, and waits until it was stopped.
    ///
    /// # Suspends
    ///
    /// Until another coroutine, thread or signal stops the server by its
    /// [`handle`](DatagramServer::handle), and its handlers have ended.
    ///
    /// # Errors
    ///
    /// - As for [`start`](DatagramServer::start).
    /// - The error of a socket that has become useless (EBADF, EINVAL, ENOTSOCK).
    ///
    /// # Cancellation
    ///
    /// The server receives no more; its handlers go on.
    pub fn serve_forever(&self) -> io::Result<()> {
        self.start()?;
        self.control.wait_for_end()
    }

    /// Receives one datagram and handles it in the calling coroutine; the server need not be
    /// started. What the handler returns is told to the server's hook.
    ///
    /// # Suspends
    ///
    /// Until a datagram has come, and while it is handled.
    ///
    /// # Errors
    ///
    /// - What recvfrom(2) gives.
    /// - `InvalidInput` if the server runs.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A datagram that was not received waits for the next call.
    pub fn handle_request(&self) -> io::Result<()> {
        let taken = || io::Error::new(io::ErrorKind::InvalidInput, "the server receives already");
        let bound = self.bound.borrow_mut().take().ok_or_else(taken)?;
        // Put back whatever ends the wait; it is shared with the job meanwhile.
        let slot = Lent { server: self, file: bound.file, door: Some(self.door(bound.socket)) };
        let door = slot.door.as_ref().expect("it is there until it is put back");
        let (peer, job) = door.take(Limit::None)?;
        Crew::new(&self.control, &self.config, self.pool.as_ref()).run(|| peer, || job.run());
        Ok(())
    }

    /// Stops the server as [`Handle::stop`](crate::server::Handle::stop) does.
    ///
    /// # Suspends
    ///
    /// Until the server has ended, which is at most a little over `timeout`.
    ///
    /// # Cancellation
    ///
    /// The server goes on to stop.
    pub fn stop(&self, timeout: Duration) -> Report {
        let report = self.handle().stop(timeout);
        // One that was never started receives no more as well.
        drop(self.bound.borrow_mut().take());
        report
    }

    fn bind_again(&self) -> io::Result<Bound<S>> {
        if !self.is_ours {
            let message = "a server cannot make the socket again that it was given";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let socket = S::bind_again(&self.address)?;
        Ok(Bound { socket, file: S::path(&self.address).and_then(SocketFile::of), is_ours: true })
    }

    fn door(&self, socket: S) -> Mailbox<S> {
        let buf = RefCell::new(vec![0; DATAGRAM_MAX]);
        Mailbox { socket: Rc::new(socket), handler: Rc::clone(&self.handler), buf }
    }
}

server_accessors!(DatagramServer<S: DatagramSocket>);

impl<S: DatagramSocket> Drop for DatagramServer<S> {
    fn drop(&mut self) {
        self.control.abandon();
    }
}

/// A socket with its handler.
struct Mailbox<S: DatagramSocket> {
    socket: Rc<S>,
    handler: Rc<HandleFn<S>>,
    /// One datagram is received at a time.
    buf: RefCell<Vec<u8>>,
}

/// A datagram that was received.
struct Letter<S: DatagramSocket> {
    data: Vec<u8>,
    peer: S::Addr,
    socket: Rc<S>,
    handler: Rc<HandleFn<S>>,
}

impl<S: DatagramSocket> Door for Mailbox<S> {
    type Peer = S::Addr;
    type Job = Letter<S>;

    fn take(&self, wait: Limit) -> io::Result<(S::Addr, Letter<S>)> {
        let mut buf = self.buf.borrow_mut();
        let (count, peer) = self.socket.receive_within(wait, &mut buf)?;
        let letter = Letter {
            data: buf[..count].to_vec(),
            peer: peer.clone(),
            socket: Rc::clone(&self.socket),
            handler: Rc::clone(&self.handler),
        };
        Ok((peer, letter))
    }

    fn ready(&self, wait: Limit) -> io::Result<()> {
        self.socket.ready(wait)
    }
}

impl<S: DatagramSocket> Job for Letter<S> {
    fn run(self) -> Result<(), Failure> {
        (self.handler)(self.data, self.peer, &self.socket)
    }
}

/// A socket that is lent out of its server.
struct Lent<'a, S: DatagramSocket> {
    server: &'a DatagramServer<S>,
    file: Option<SocketFile>,
    door: Option<Mailbox<S>>,
}

impl<S: DatagramSocket> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        let socket = self.door.take().and_then(|door| Rc::into_inner(door.socket));
        if let Some(socket) = socket {
            let (file, is_ours) = (self.file.take(), self.server.is_ours);
            *self.server.bound.borrow_mut() = Some(Bound { socket, file, is_ours });
        }
    }
}

impl DatagramSocket for UdpSocket {
    type Addr = SocketAddr;
}

impl Receives<SocketAddr> for UdpSocket {
    fn receive_within(&self, limit: Limit, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let attempt = |fd: BorrowedFd<'_>| sys::recv_from(fd, buf);
        let (count, addr) = self.socket().call_within(Direction::Read, || limit, attempt)?;
        Ok((count, sys::ip_addr(&addr)?))
    }

    fn ready(&self, limit: Limit) -> io::Result<()> {
        self.socket().readable_within(limit)
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn bind_again(address: &SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(address)
    }

    fn path(_: &SocketAddr) -> Option<&Path> {
        None
    }
}

impl DatagramSocket for UnixDatagram {
    type Addr = std::os::unix::net::SocketAddr;
}

impl Receives<std::os::unix::net::SocketAddr> for UnixDatagram {
    fn receive_within(
        &self,
        limit: Limit,
        buf: &mut [u8],
    ) -> io::Result<(usize, std::os::unix::net::SocketAddr)> {
        let attempt = |fd: BorrowedFd<'_>| match sys::recv_from(fd, buf) {
            // Of one that was shut down, a call that does not block says that it is empty.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && sys::has_ended(fd)? => {
                Err(io::Error::from_raw_os_error(libc::EINVAL))
            }
            result => result,
        };
        let (count, addr) = self.socket().call_within(Direction::Read, || limit, attempt)?;
        Ok((count, sys::unix::std_addr(&addr)?))
    }

    fn ready(&self, limit: Limit) -> io::Result<()> {
        self.socket().readable_within(limit)
    }

    fn address(&self) -> io::Result<std::os::unix::net::SocketAddr> {
        self.local_addr()
    }

    fn bind_again(address: &std::os::unix::net::SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(address)
    }

    fn path(address: &std::os::unix::net::SocketAddr) -> Option<&Path> {
        address.as_pathname()
    }
}

impl<S: DatagramSocket> fmt::Debug for DatagramServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramServer")
            .field("address", &self.address)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
