//! The options of a server for datagrams, and the ways in which it gets its socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::server::datagram::Bound;
use crate::server::datagram::DatagramServer;
use crate::server::datagram::DatagramSocket;
use crate::server::listener::SocketFile;
use crate::server::options::Options;
use crate::server::options::at;
use crate::server::options::server_options;
use crate::server::request::Outcome;
use crate::udp::UdpSocket;
use crate::unix::UnixDatagram;

/// The options of a [`DatagramServer`], to be set before it is bound. They mean what they mean
/// to a [`Builder`](crate::server::Builder).
///
/// # Examples
///
/// ```
/// use corovent_net::server::DatagramServer;
///
/// let server = DatagramServer::builder()
///     .limit(10)
///     .bind("127.0.0.1:0", |data, peer, socket| socket.send_to(&data, peer))?;
/// assert_ne!(server.local_addr().port(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a server is made by binding it"]
pub struct DatagramBuilder {
    options: Options,
}

impl DatagramBuilder {
    pub(super) fn new() -> DatagramBuilder {
        DatagramBuilder { options: Options::new() }
    }

    /// Limits how many handlers are at work at once. Datagrams beyond that wait in the
    /// socket's buffer; when that is full the kernel drops those of UDP, and lets senders over
    /// Unix sockets wait.
    ///
    /// # Suspends
    ///
    /// Never; nor does any other method that sets an option.
    ///
    /// # Panics
    ///
    /// If `handlers` is zero.
    pub fn limit(mut self, handlers: usize) -> DatagramBuilder {
        self.options.set_limit(handlers);
        self
    }

    /// Sets how long handlers may go on when the socket has failed; 30 seconds if it is not
    /// set.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn grace(mut self, grace: Duration) -> DatagramBuilder {
        self.options.config.grace = grace;
        self
    }

    /// Binds to the first of the addresses that works. Port 0 lets the system choose one.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them, with the address in the
    ///   message.
    /// - `InvalidInput` if there is no address.
    ///
    /// # Cancellation
    ///
    /// A lookup is abandoned.
    pub fn bind<A, F, R>(self, addr: A, handler: F) -> io::Result<DatagramServer<UdpSocket>>
    where
        A: ToSocketAddrs,
        F: Fn(Vec<u8>, SocketAddr, &UdpSocket) -> R + 'static,
        R: Outcome,
    {
        let bind = |addr: &SocketAddr| UdpSocket::bind(addr).map_err(|error| at(error, addr));
        let socket = each_addr(addr, bind)?;
        DatagramServer::new(self.options, Bound { socket, file: None, is_ours: true }, handler)
    }

    /// Binds to a path, at which a file is made. The file is removed when the server stops to
    /// receive, if it is still the same.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them, with the path in the message.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    pub fn bind_unix<P, F, R>(self, path: P, handler: F) -> io::Result<DatagramServer<UnixDatagram>>
    where
        P: AsRef<Path>,
        F: Fn(Vec<u8>, std::os::unix::net::SocketAddr, &UnixDatagram) -> R + 'static,
        R: Outcome,
    {
        let path = path.as_ref();
        let socket = UnixDatagram::bind(path).map_err(|error| at(error, path.display()))?;
        let bound = Bound { socket, file: SocketFile::of(path), is_ours: true };
        DatagramServer::new(self.options, bound, handler)
    }

    /// Takes over a socket that was made elsewhere, such as one that was inherited. Once
    /// stopped, such a server cannot be started again.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockname(2) gives them.
    pub fn socket<S, F, R>(self, socket: S, handler: F) -> io::Result<DatagramServer<S>>
    where
        S: DatagramSocket,
        F: Fn(Vec<u8>, S::Addr, &S) -> R + 'static,
        R: Outcome,
    {
        DatagramServer::new(self.options, Bound { socket, file: None, is_ours: false }, handler)
    }
}

server_options!(DatagramBuilder);

impl fmt::Debug for DatagramBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramBuilder").field("config", &self.options.config).finish()
    }
}
