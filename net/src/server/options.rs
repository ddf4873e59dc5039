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

impl Config {
    pub(super) fn new() -> Config {
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

    pub(super) fn set_limit(&mut self, handlers: usize) {
        assert!(handlers > 0, "a server that may have no handler would serve nobody");
        self.limit = Some(Arc::new(Semaphore::new(handlers)));
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
