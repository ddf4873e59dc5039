//! A server for connections: gevent's `StreamServer`.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use corovent_runtime::JoinHandle;
use corovent_runtime::group::Pool;
use corovent_runtime::spawn;

use crate::addr::ToSocketAddrs;
use crate::server::builder::Builder;
use crate::server::control::Control;
use crate::server::control::EndOfSite;
use crate::server::control::Worker;
use crate::server::control::server_accessors;
use crate::server::crew::Crew;
use crate::server::listener::Bound;
use crate::server::listener::Listener;
use crate::server::listener::SocketFile;
use crate::server::options::Config;
use crate::server::options::Options;
use crate::server::processes::Supervisor;
use crate::server::processes::stop_at_sigterm;
use crate::server::report::Report;
use crate::server::request::Outcome;
use crate::server::site::Site;
use crate::server::work::Reception;
use crate::server::work::Work;
use crate::server::worker::Part;
use crate::server::worker::Passed;
use crate::tcp::TcpListener;
use crate::unix::UnixListener;

/// A server that runs a handler in a coroutine of its own for each connection, over TCP or
/// Unix sockets.
///
/// A handler is a closure that is given the connection and the address of its other end; what
/// it returns is an [`Outcome`]. The connection is the handler's: it is closed when the handler
/// drops it, also by a panic, which harms nobody else. An error and a panic are counted and
/// told to [`Builder::on_error`].
///
/// Errors of accepting do not end the server, unless the listener itself is broken: one that
/// concerns a single connection is passed over, and when descriptors or memory have run out it
/// tries again after a pause of 10 ms, which doubles up to a second. After some 128 connections
/// in a row others have their turn.
///
/// Dropping a server that runs is [`request_stop`](crate::server::Handle::request_stop) without
/// limit: it accepts no more, handlers go on to their ends, and nobody waits for them.
///
/// # Examples
///
/// ```
/// use corovent_net::TcpStream;
/// use corovent_net::server::StreamServer;
/// use std::io::{self, Read, Write};
/// use std::time::Duration;
///
/// fn echo(mut stream: TcpStream) -> io::Result<()> {
///     let mut buf = [0; 4096];
///     loop {
///         match stream.read(&mut buf)? {
///             0 => return Ok(()),
///             n => stream.write_all(&buf[..n])?,
///         }
///     }
/// }
///
/// let server = StreamServer::bind("127.0.0.1:0", |stream, _| echo(stream))?;
/// server.start()?;
/// let mut client = TcpStream::connect(server.local_addr())?;
/// client.write_all(b"ping")?;
/// let mut answer = [0; 4];
/// client.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"ping");
/// drop(client);
/// let report = server.stop(Duration::from_secs(5));
/// assert_eq!(report.to_string(), "1 finished");
/// # Ok::<(), io::Error>(())
/// ```
///
/// A program that ends in an orderly way at SIGTERM, and at once at a second one:
///
/// ```no_run
/// use corovent_net::server::StreamServer;
/// use corovent_runtime::{signal, spawn};
/// use std::time::Duration;
///
/// const SIGTERM: i32 = 15;
///
/// let server = StreamServer::bind("0.0.0.0:8080", |stream, _| drop(stream))?;
/// let handle = server.handle();
/// spawn(move || -> std::io::Result<()> {
///     signal::wait(&[SIGTERM])?;
///     handle.request_stop(Duration::from_secs(30));
///     signal::wait(&[SIGTERM])?;
///     std::process::exit(1)
/// });
/// server.serve_forever()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct StreamServer<L: Listener = TcpListener> {
    control: Arc<Control>,
    config: Arc<Config>,
    pool: Option<Pool>,
    work: Work<L>,
    /// Taken when it is started.
    bound: RefCell<Option<Bound<L>>>,
    address: L::Addr,
    /// Whether it may bind its address again.
    is_ours: bool,
    /// By which worker processes know it, in the first process.
    key: Option<String>,
    threads: RefCell<Vec<thread::JoinHandle<()>>>,
    /// Waits for SIGTERM in a worker process.
    watcher: RefCell<Option<JoinHandle<()>>>,
}

impl StreamServer<TcpListener> {
    /// Gives the options of a server, to be bound with.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Binds to the first of the addresses that works, and listens, as [`Builder::bind`] does.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// As for [`Builder::bind`].
    pub fn bind<A, F, R>(addr: A, handler: F) -> io::Result<StreamServer<TcpListener>>
    where
        A: ToSocketAddrs,
        F: Fn(<TcpListener as Listener>::Stream, <TcpListener as Listener>::Addr) -> R + 'static,
        R: Outcome,
    {
        Builder::new().bind(addr, handler)
    }
}

impl StreamServer<UnixListener> {
    /// Binds to a path, and listens, as [`Builder::bind_unix`] does.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`Builder::bind_unix`].
    pub fn bind_unix<P, F, R>(path: P, handler: F) -> io::Result<StreamServer<UnixListener>>
    where
        P: AsRef<Path>,
        F: Fn(<UnixListener as Listener>::Stream, <UnixListener as Listener>::Addr) -> R + 'static,
        R: Outcome,
    {
        Builder::new().bind_unix(path, handler)
    }
}

impl<L: Listener> StreamServer<L> {
    pub(super) fn new(
        options: Options,
        bound: Bound<L>,
        work: Work<L>,
    ) -> io::Result<StreamServer<L>> {
        let key = match &bound.part {
            Some(Part::Parent(passed)) => Some(passed.key().to_owned()),
            _ => None,
        };
        Ok(StreamServer {
            control: Control::new(),
            config: Arc::new(options.config),
            pool: options.pool,
            work,
            address: bound.listener.address()?,
            is_ours: bound.is_ours,
            bound: RefCell::new(Some(bound)),
            key,
            threads: RefCell::default(),
            watcher: RefCell::default(),
        })
    }

    /// Starts the server and returns: coroutines of this thread, or its workers, accept and
    /// handle from now on. One that runs already is left alone. One that was stopped is bound
    /// to its address again.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, … if it was stopped and cannot be bound again; `InvalidInput` if its
    ///   listener was given.
    /// - What the kernel says when there is no room for a thread; nothing is started then.
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
        if matches!(bound.part, Some(Part::Worker | Part::Bystander)) {
            *self.watcher.borrow_mut() = Some(stop_at_sigterm(&self.control, self.config.grace));
        }
        match bound.part {
            Some(Part::Parent(_)) => self.start_processes(bound),
            Some(Part::Bystander) => self.start_nothing(bound),
            _ if self.config.threads > 0 => return self.start_threads(bound),
            _ => self.start_here(bound),
        }
        Ok(())
    }

    /// Starts the server unless it runs, and waits until it was stopped.
    ///
    /// # Suspends
    ///
    /// Until another coroutine, thread or signal stops the server by its
    /// [`handle`](StreamServer::handle), and its handlers have ended.
    ///
    /// # Errors
    ///
    /// - As for [`start`](StreamServer::start).
    /// - The error of a listener that has become useless (EBADF, EINVAL, ENOTSOCK).
    ///
    /// # Cancellation
    ///
    /// The server accepts no more; its handlers go on.
    pub fn serve_forever(&self) -> io::Result<()> {
        self.start()?;
        let result = self.control.wait_for_end();
        self.join_threads();
        result
    }

    /// Accepts one connection and handles it in the calling coroutine; the server need not be
    /// started. What the handler returns is told to the server's hook. socketserver's name is
    /// the same; its `timeout` is a [`timeout`](corovent_runtime::timeout) around it.
    ///
    /// # Suspends
    ///
    /// Until a connection has come, and while it is handled.
    ///
    /// # Errors
    ///
    /// - What accept(2) gives.
    /// - `InvalidInput` if the server runs.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A connection that was not accepted waits for the next call.
    pub fn handle_request(&self) -> io::Result<()> {
        let taken = || io::Error::new(io::ErrorKind::InvalidInput, "the server accepts already");
        let bound = self.bound.borrow_mut().take().ok_or_else(taken)?;
        // Put back whatever ends the wait.
        let bound = PutBack { slot: &self.bound, bound: Some(bound) };
        let wait = corovent_runtime::fd::Limit::None;
        let (stream, peer) = bound.listener().accept_within(wait)?;
        drop(bound);
        let crew = Crew::new(&self.control, &self.config, self.pool.as_ref());
        let address = peer.clone();
        crew.run(|| address, || self.work.call(stream, peer));
        Ok(())
    }

    /// Stops the server as [`Handle::stop`](crate::server::Handle::stop) does, and waits until
    /// its threads have ended.
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
        // One that was never started refuses connections as well.
        drop(self.bound.borrow_mut().take());
        self.join_threads();
        report
    }

    fn bind_again(&self) -> io::Result<Bound<L>> {
        if !self.is_ours {
            let message = "a server cannot make the listener again that it was given";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (backlog, reuse_port) = (self.config.backlog, self.config.reuses_port());
        let listener = L::bind_again(&self.address, backlog, reuse_port)?;
        let file = L::path(&self.address).and_then(SocketFile::of);
        let bound = Bound::here(listener, file);
        let Some(key) = &self.key else { return Ok(bound) };
        let passed = Passed::new(key.clone(), bound.listener.as_fd())?;
        Ok(Bound { part: Some(Part::Parent(passed)), ..bound })
    }

    fn start_here(&self, bound: Bound<L>) {
        let crew = Crew::new(&self.control, &self.config, self.pool.as_ref());
        let door = Reception { listener: bound.listener, work: self.work.clone() };
        let site = Site { door, file: bound.file, crew };
        if self.control.begin(1) {
            let end = EndOfSite::new(&self.control, &self.config);
            spawn(move || end.with(site.serve()));
        }
    }

    fn start_processes(&self, bound: Bound<L>) {
        let Some(Part::Parent(passed)) = bound.part else { return };
        let (control, config) = (Arc::clone(&self.control), Arc::clone(&self.config));
        if self.control.begin(1) {
            let end = EndOfSite::new(&control, &self.config);
            let supervisor = Supervisor { passed, control, config };
            let close = move || drop((bound.file, bound.listener));
            spawn(move || end.with(supervisor.serve(close)));
        }
    }

    /// What another server's worker does: it waits for the end, and keeps no listener.
    fn start_nothing(&self, bound: Bound<L>) {
        drop(bound);
        let control = Arc::clone(&self.control);
        if self.control.begin(1) {
            let end = EndOfSite::new(&control, &self.config);
            spawn(move || {
                control.wait_for_stop(|| false);
                end.with(Report::default());
            });
        }
    }

    fn start_threads(&self, bound: Bound<L>) -> io::Result<()> {
        let threads = self.config.threads;
        let Work::Anywhere(work) = &self.work else {
            unreachable!("the builder of a server with threads asks for such a handler");
        };
        let mut listeners = Vec::with_capacity(threads);
        for _ in 1..threads {
            listeners.push(bound.listener.for_another_thread(self.config.backlog)?);
        }
        listeners.push(bound.listener);
        if !self.control.begin(threads) {
            return Ok(());
        }
        let mut ends: Vec<_> =
            listeners.iter().map(|_| EndOfSite::new(&self.control, &self.config)).collect();
        for (number, listener) in listeners.into_iter().enumerate() {
            let end = ends.pop().expect("there are as many");
            let (config, file) = (Arc::clone(&self.config), bound.file.clone());
            let (work, control) = (Arc::clone(work), Arc::clone(&self.control));
            let worker = Worker::of(&self.control);
            let body = move || {
                let _worker = worker;
                corovent_runtime::run(|| {
                    let crew = Crew::new(&control, &config, None);
                    let door = Reception { listener, work: Work::<L>::Anywhere(work) };
                    end.with(Site { door, file, crew }.serve());
                });
            };
            let name = format!("corovent worker {number}");
            match thread::Builder::new().name(name).spawn(body) {
                Ok(thread) => self.threads.borrow_mut().push(thread),
                Err(error) => {
                    drop(ends);
                    self.handle().stop(Duration::ZERO);
                    self.join_threads();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn end_watcher(&self) -> Option<JoinHandle<()>> {
        let watcher = self.watcher.take()?;
        watcher.kill();
        Some(watcher)
    }

    /// Waits for the last steps of threads whose sites have ended; they are left if one hangs,
    /// such as one with a handler that would not end.
    fn join_threads(&self) {
        let threads = self.threads.take();
        if !self.control.is_running() && self.control.wait_for_threads() {
            // A panic was told to the hook of the thread.
            threads.into_iter().for_each(|thread| drop(thread.join()));
        }
        if !self.control.is_running()
            && let Some(watcher) = self.end_watcher()
        {
            // It gives nothing but that it was killed.
            drop(watcher.join());
        }
    }
}

server_accessors!(StreamServer<L: Listener>);

impl<L: Listener> Drop for StreamServer<L> {
    fn drop(&mut self) {
        drop(self.end_watcher());
        self.control.abandon();
    }
}

/// A listener that is lent out of its server.
struct PutBack<'a, L> {
    slot: &'a RefCell<Option<Bound<L>>>,
    bound: Option<Bound<L>>,
}

impl<L> PutBack<'_, L> {
    fn listener(&self) -> &L {
        &self.bound.as_ref().expect("it is there until it is put back").listener
    }
}

impl<L> Drop for PutBack<'_, L> {
    fn drop(&mut self) {
        *self.slot.borrow_mut() = self.bound.take();
    }
}

impl<L: Listener> fmt::Debug for StreamServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamServer")
            .field("address", &self.address)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
