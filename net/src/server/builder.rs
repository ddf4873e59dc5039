//! The options of a server, and the ways in which it gets its listener.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::server::listener::Accepts;
use crate::server::listener::Bound;
use crate::server::listener::Listener;
use crate::server::listener::SocketFile;
use crate::server::options::Options;
use crate::server::options::at;
use crate::server::options::server_options;
use crate::server::request::Outcome;
use crate::server::stream::StreamServer;
use crate::server::work::Work;
use crate::server::worker::key_of;
use crate::tcp::TcpListener;
use crate::unix::UnixListener;

/// The options of a [`StreamServer`], to be set before it is bound.
///
/// # Examples
///
/// ```
/// use corovent_net::TcpStream;
/// use corovent_net::server::StreamServer;
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// let server = StreamServer::builder()
///     .limit(100)
///     .on_error(|trouble| eprintln!("{trouble}"))
///     .bind("127.0.0.1:0", |mut stream: TcpStream, _| stream.write_all(b"hello"))?;
/// server.start()?;
/// let mut text = String::new();
/// TcpStream::connect(server.local_addr())?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// assert!(server.stop(Duration::from_secs(1)).is_clean());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a server is made by binding it"]
pub struct Builder {
    options: Options,
}

/// The options of a server whose handlers run on several OS threads, each with a hub of its
/// own; made by [`Builder::workers`].
#[must_use = "a server is made by binding it"]
#[derive(Debug)]
pub struct Workers {
    builder: Builder,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder { options: Options::new() }
    }

    /// Sets how many connections the kernel keeps until they are accepted, at most
    /// `net.core.somaxconn`; 4096 if it is not set. It is no limit for a listener that is given.
    ///
    /// # Suspends
    ///
    /// Never; nor does any other method that sets an option.
    pub fn backlog(mut self, connections: u32) -> Builder {
        self.options.config.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    /// Lets other servers, also of other processes of the same user, bind the same address and
    /// port (SO_REUSEPORT); the kernel spreads the connections.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn reuse_port(mut self, reuse_port: bool) -> Builder {
        self.options.config.reuse_port = reuse_port;
        self
    }

    /// Limits how many handlers are at work at once. Connections beyond that wait in the
    /// kernel's queue. gevent's name is `StreamServer(…, spawn=n)`.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If `handlers` is zero.
    pub fn limit(mut self, handlers: usize) -> Builder {
        self.options.set_limit(handlers);
        self
    }

    /// Sets how long handlers may go on when the server stops without being told how long:
    /// because its listener has failed, or, in a worker process, because of SIGTERM. 30 seconds
    /// if it is not set.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.options.config.grace = grace;
        self
    }

    /// Makes the server run on so many OS threads, each with a hub of its own; the thread that
    /// starts it only waits.
    ///
    /// Over TCP each thread has a listener of its own (SO_REUSEPORT), and the kernel spreads
    /// the connections by their addresses, whatever the threads have to do. Over Unix sockets,
    /// and with a listener that was given without that option, all accept from one. The limit
    /// is one for all.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If `threads` is zero, or a [`pool`](Builder::pool) was set, which is one thread's.
    pub fn workers(mut self, threads: usize) -> Workers {
        assert!(threads > 0, "a server without threads would serve nobody");
        assert!(self.options.pool.is_none(), "a pool is one thread's: use `shared_limit`");
        self.options.config.threads = threads;
        Workers { builder: self }
    }

    /// Makes the server run in so many processes: this program again, with its arguments and
    /// environment, and with the listener, from which all accept. What Python's
    /// `ForkingMixIn` and gevent's users do by fork(2).
    ///
    /// A worker runs the program from the start. When it comes to the bind of the same address
    /// it finds itself a worker: it gets the listener, and serves there as soon as the server
    /// is started. The first process accepts nothing. A worker that dies is started again, after
    /// a pause of 100 ms, which doubles up to five seconds while workers die young, and
    /// [`Builder::on_error`] is told. What was not accepted stays in the queue for the others.
    ///
    /// Stopped, the first process closes its listener, sends SIGTERM to the workers, and
    /// SIGKILL to those that have not ended in time. A worker stops its server at SIGTERM, and
    /// gives its handlers what [`grace`](Builder::grace) says; `serve_forever` returns in it,
    /// and the program should come to its end. At a second SIGTERM it ends at once. Workers
    /// get SIGTERM as well when the thread has ended that started them, and so when the first
    /// process has died, however that was; SIGINT does nothing to them.
    ///
    /// Limits: options count for each process, so a limit of 10 is one of 10 in each. Several
    /// servers are told apart by their addresses, and those that ask for the same, such as
    /// port 0, by their order; a worker serves the one that has started it, and the others
    /// wait there for the end. So all are bound, in the same order, before one is started. What
    /// is for the first process alone is done if
    /// [`worker_number`](crate::server::worker_number) is `None`. A program that a worker
    /// starts before it has asked for that, or bound a server, inherits the listeners too, and
    /// keeps them open.
    ///
    /// A connection wakes every worker that has nothing else to do, and one accepts it. If it
    /// woke only one (EPOLLEXCLUSIVE), it would be lost on a worker whose limit is reached.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If `processes` is zero.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use corovent_net::server::StreamServer;
    /// use corovent_net::TcpStream;
    /// use std::io::Write;
    ///
    /// let server = StreamServer::builder().processes(4).bind(
    ///     "127.0.0.1:8080",
    ///     |mut stream: TcpStream, _| writeln!(stream, "served by {}", std::process::id()),
    /// )?;
    /// server.serve_forever()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn processes(mut self, processes: usize) -> Builder {
        assert!(processes > 0, "a server without processes would serve nobody");
        self.options.config.processes = processes;
        self
    }

    /// Binds to the first of the addresses that works, and listens. Port 0 lets the system
    /// choose one.
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
    pub fn bind<A, F, R>(self, addr: A, handler: F) -> io::Result<StreamServer<TcpListener>>
    where
        A: ToSocketAddrs,
        F: Fn(<TcpListener as Listener>::Stream, <TcpListener as Listener>::Addr) -> R + 'static,
        R: Outcome,
    {
        let bound = self.bind_tcp(addr)?;
        StreamServer::new(self.options, bound, Work::here(handler))
    }

    /// Binds to a path, at which a file is made, and listens. The file is removed when the
    /// server stops to accept, if it is still the same.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `PermissionDenied`, … as bind(2) gives them, with the path in the message.
    /// - `InvalidInput` if the path is too long, or has a zero byte.
    pub fn bind_unix<P, F, R>(self, path: P, handler: F) -> io::Result<StreamServer<UnixListener>>
    where
        P: AsRef<Path>,
        F: Fn(<UnixListener as Listener>::Stream, <UnixListener as Listener>::Addr) -> R + 'static,
        R: Outcome,
    {
        let bound = self.bind_path(path.as_ref())?;
        StreamServer::new(self.options, bound, Work::here(handler))
    }

    /// Takes over a listener that was made elsewhere, such as one that was inherited:
    /// `TcpListener` and `UnixListener` are made from descriptors by `From<OwnedFd>`. The user's
    /// non-blocking wish does not matter. Once stopped, such a server cannot be started again.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - As getsockname(2) gives them.
    /// - `InvalidInput` if there are to be worker [`processes`](Builder::processes).
    ///
    /// # Examples
    ///
    /// The socket that systemd has made for a service (`Accept=no`):
    ///
    /// ```no_run
    /// use corovent_net::TcpListener;
    /// use corovent_net::server::StreamServer;
    /// use std::os::fd::{FromRawFd, OwnedFd};
    ///
    /// assert_eq!(std::env::var("LISTEN_PID"), Ok(std::process::id().to_string()));
    /// // SAFETY: systemd leaves the first of `LISTEN_FDS` descriptors to this process.
    /// let socket = unsafe { OwnedFd::from_raw_fd(3) };
    /// let server = StreamServer::builder().listener(TcpListener::from(socket), |_, _| ())?;
    /// server.serve_forever()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn listener<L, F, R>(self, listener: L, handler: F) -> io::Result<StreamServer<L>>
    where
        L: Listener,
        F: Fn(L::Stream, L::Addr) -> R + 'static,
        R: Outcome,
    {
        let bound = self.take_given(listener)?;
        StreamServer::new(self.options, bound, Work::here(handler))
    }

    fn bind_tcp<A: ToSocketAddrs>(&self, addr: A) -> io::Result<Bound<TcpListener>> {
        let addrs: Vec<SocketAddr> = addr.to_socket_addrs()?.collect();
        let bind = || {
            let listener = each_addr(&addrs[..], |addr| {
                TcpListener::bind_again(
                    addr,
                    self.options.config.backlog,
                    self.options.config.reuses_port(),
                )
                .map_err(|error| at(error, addr))
            })?;
            Ok(Bound::here(listener, None))
        };
        match self.options.config.processes {
            0 => bind(),
            _ => Bound::shared(key_of(&format!("tcp {addrs:?}")), bind),
        }
    }

    fn bind_path(&self, path: &Path) -> io::Result<Bound<UnixListener>> {
        let bind = || {
            let address = std::os::unix::net::SocketAddr::from_pathname(path)?;
            let listener = UnixListener::bind_again(&address, self.options.config.backlog, false)?;
            Ok(Bound::here(listener, SocketFile::of(path)))
        };
        let bound = match self.options.config.processes {
            0 => bind(),
            _ => Bound::shared(key_of(&format!("unix {path:?}")), bind),
        };
        bound.map_err(|error| at(error, path.display()))
    }

    /// A worker process cannot know a listener that the user makes.
    fn take_given<L: Listener>(&self, listener: L) -> io::Result<Bound<L>> {
        if self.options.config.processes > 0 {
            let message = "a server with worker processes is bound to an address";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Bound::given(listener))
    }
}

server_options!(Builder);

impl Workers {
    /// As [`Builder::bind`]; the handler is called on any of the threads.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// As for [`Builder::bind`].
    pub fn bind<A, F, R>(self, addr: A, handler: F) -> io::Result<StreamServer<TcpListener>>
    where
        A: ToSocketAddrs,
        F: Fn(<TcpListener as Listener>::Stream, <TcpListener as Listener>::Addr) -> R,
        F: Send + Sync + 'static,
        R: Outcome,
    {
        let bound = self.builder.bind_tcp(addr)?;
        StreamServer::new(self.builder.options, bound, Work::anywhere(handler))
    }

    /// As [`Builder::bind_unix`]; the handler is called on any of the threads.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`Builder::bind_unix`].
    pub fn bind_unix<P, F, R>(self, path: P, handler: F) -> io::Result<StreamServer<UnixListener>>
    where
        P: AsRef<Path>,
        F: Fn(<UnixListener as Listener>::Stream, <UnixListener as Listener>::Addr) -> R,
        F: Send + Sync + 'static,
        R: Outcome,
    {
        let bound = self.builder.bind_path(path.as_ref())?;
        StreamServer::new(self.builder.options, bound, Work::anywhere(handler))
    }

    /// As [`Builder::listener`]; the handler is called on any of the threads.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`Builder::listener`].
    pub fn listener<L, F, R>(self, listener: L, handler: F) -> io::Result<StreamServer<L>>
    where
        L: Listener,
        F: Fn(L::Stream, L::Addr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        let bound = self.builder.take_given(listener)?;
        StreamServer::new(self.builder.options, bound, Work::anywhere(handler))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.options.config).finish()
    }
}
