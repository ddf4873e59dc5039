//! The options that all kinds of servers have.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use corovent_runtime::group::Place;
use corovent_runtime::group::Pool;
use corovent_runtime::group::take_place;
use corovent_runtime::sync::OwnedSemaphorePermit;
use corovent_runtime::sync::Semaphore;

use crate::server::trouble::Hook;
use crate::server::trouble::Trouble;
use crate::server::trouble::tell;
use crate::sys::listener;

/// What is set before a server is bound.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) config: Config,
    /// Not among the others, which all threads of a server see. Of this and their limit one is
    /// set at most.
    pub(super) pool: Option<Pool>,
}

/// What all parts of a server look up.
pub(super) struct Config {
    pub(super) backlog: i32,
    pub(super) reuse_port: bool,
    /// A permit for each handler, if they are limited; others may take some as well.
    pub(super) limit: Option<Arc<Semaphore>>,
    pub(super) stack_bytes: Option<usize>,
    /// The threads that serve; zero: the one that starts the server.
    pub(super) threads: usize,
    /// The worker processes; zero: none.
    pub(super) processes: usize,
    /// How long handlers may go on when the server stops by itself.
    pub(super) grace: Duration,
    pub(super) hook: Box<Hook>,
}

impl Options {
    pub(super) fn new() -> Options {
        Options { config: Config::new(), pool: None }
    }

    pub(super) fn set_limit(&mut self, handlers: usize) {
        assert!(handlers > 0, "a server that may have no handler would serve nobody");
        self.set_shared_limit(Arc::new(Semaphore::new(handlers)));
    }

    pub(super) fn set_shared_limit(&mut self, permits: Arc<Semaphore>) {
        self.config.limit = Some(permits);
        self.pool = None;
    }

    pub(super) fn set_pool(&mut self, pool: &Pool) {
        self.config.limit = None;
        self.pool = Some(pool.clone());
    }
}

impl Config {
    fn new() -> Config {
        Config {
            backlog: listener::BACKLOG,
            reuse_port: false,
            limit: None,
            stack_bytes: None,
            threads: 0,
            processes: 0,
            grace: Duration::from_secs(30),
            hook: Box::new(tell),
        }
    }

    /// Whether each thread has a listener of its own. Worker processes share one, or what is
    /// in the queue of one that dies would be lost.
    pub(super) fn reuses_port(&self) -> bool {
        self.reuse_port || (self.threads > 0 && self.processes == 0)
    }

    /// Tells the user's hook, whose panic goes no further than the panic hook.
    pub(super) fn tell(&self, trouble: &Trouble<'_>) {
        let call = std::panic::AssertUnwindSafe(|| (self.hook)(trouble));
        let _ = corovent_runtime::catch_unwind(call);
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("backlog", &self.backlog)
            .field("reuse_port", &self.reuse_port)
            .field("stack_bytes", &self.stack_bytes)
            .field("threads", &self.threads)
            .field("processes", &self.processes)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// Implements the methods that set what all kinds of servers have.
macro_rules! server_options {
    ($builder:ident) => {
        impl $builder {
            /// Limits the handlers of several servers together, and whatever else takes permits
            /// of the semaphore: a handler has one while it is at work, and a server that is
            /// idle has none.
            ///
            /// # Suspends
            ///
            /// Never.
            pub fn shared_limit(
                mut self,
                permits: std::sync::Arc<corovent_runtime::sync::Semaphore>,
            ) -> $builder {
                self.options.set_shared_limit(permits);
                self
            }

            /// Runs the handlers as members of a pool, so that it limits them, with those of
            /// other servers and whatever else runs in it; its `kill` ends them as well. What
            /// comes beyond its limit waits in the kernel. gevent's name is
            /// `StreamServer(…, spawn=pool)`.
            ///
            /// Of this, [`limit`](Self::limit) and [`shared_limit`](Self::shared_limit) the last
            /// counts.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Examples
            ///
            /// ```
            /// use corovent_net::server::StreamServer;
            /// use corovent_runtime::group::Pool;
            ///
            /// let pool = Pool::new(100);
            /// let http = StreamServer::builder().pool(&pool).bind("127.0.0.1:0", |_, _| ())?;
            /// let admin = StreamServer::builder().pool(&pool).bind("127.0.0.1:0", |_, _| ())?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn pool(mut self, pool: &corovent_runtime::group::Pool) -> $builder {
                self.options.set_pool(pool);
                self
            }

            /// Sets how many bytes of stack each handler has, as
            /// [`Builder::stack_size`](corovent_runtime::Builder::stack_size) does.
            ///
            /// # Suspends
            ///
            /// Never.
            pub fn stack_size(mut self, bytes: usize) -> $builder {
                self.options.config.stack_bytes = Some(bytes);
                self
            }

            /// Sets what is called when something goes wrong that the server goes on after: a
            /// handler that fails, an error of accepting or receiving. It is called in the
            /// coroutine where that happens, on any of the server's threads. If it panics, that
            /// goes no further.
            ///
            /// Without it a line is written to stderr. gevent's name is `Hub.handle_error`,
            /// socketserver's `handle_error`.
            ///
            /// # Suspends
            ///
            /// Never.
            pub fn on_error(
                mut self,
                hook: impl Fn(&$crate::server::Trouble<'_>) + Send + Sync + 'static,
            ) -> $builder {
                self.options.config.hook = Box::new(hook);
                self
            }
        }
    };
}

pub(super) use server_options;

/// Adds an address to the error of a bind: several may be tried, and the reason is of one.
pub(super) fn at(error: io::Error, address: impl fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {error}"))
}

/// What a handler needs before it runs, where their number is limited.
#[derive(Clone)]
pub(super) enum Limit {
    None,
    Permits(Arc<Semaphore>),
    /// Handlers are members of it.
    Pool(Pool),
}

/// The right to run one handler.
pub(super) enum Permit {
    Free,
    /// Until it is dropped.
    Of {
        _held: OwnedSemaphorePermit,
    },
    /// Until the handler's coroutine has ended, which gets it.
    Place(Place),
}

impl Limit {
    /// The limit on one hub: a pool is its thread's, anything else counts for all threads.
    pub(super) fn of(config: &Config, pool: Option<&Pool>) -> Limit {
        match (pool, &config.limit) {
            (Some(pool), _) => Limit::Pool(pool.clone()),
            (None, Some(permits)) => Limit::Permits(Arc::clone(permits)),
            (None, None) => Limit::None,
        }
    }

    /// Waits for a permit, but not longer than `timeout`.
    pub(super) fn acquire(&self, timeout: Option<Duration>) -> Option<Permit> {
        match (self, timeout) {
            (Limit::None, _) => Some(Permit::Free),
            (Limit::Permits(permits), None) => Some(Permit::Of { _held: permits.acquire_owned() }),
            (Limit::Permits(permits), Some(timeout)) => {
                permits.acquire_owned_timeout(timeout).map(|held| Permit::Of { _held: held })
            }
            (Limit::Pool(pool), timeout) => take_place(pool, timeout).map(Permit::Place),
        }
    }
}
