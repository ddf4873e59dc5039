//! The configuration of a thread pool.

use std::borrow::Cow;
use std::thread;
use std::time::Duration;

use crate::threadpool::desk::Pool;
use crate::threadpool::lane::IDLE_EXIT;
use crate::threadpool::lane::Lane;
use crate::threadpool::pool::ThreadPool;

/// Configures a [`ThreadPool`].
///
/// # Examples
///
/// ```
/// use corovent_runtime::threadpool::Builder;
/// use std::time::Duration;
///
/// let pool = Builder::new()
///     .threads(2)
///     .name("hasher")
///     .idle_timeout(Duration::from_secs(60))
///     .queue_limit(1000)
///     .build();
/// let name = pool.apply(|| std::thread::current().name().map(str::to_owned));
/// assert_eq!(name.as_deref(), Some("hasher"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "must eventually build the pool"]
pub struct Builder {
    threads: Option<usize>,
    name: Cow<'static, str>,
    idle_timeout: Duration,
    queue_limit: usize,
}

impl Builder {
    /// Makes a configuration with nothing set.
    pub fn new() -> Builder {
        let name = Cow::Borrowed("corovent-pool");
        Builder { threads: None, name, idle_timeout: IDLE_EXIT, queue_limit: usize::MAX }
    }

    /// Sets how many threads there are at most. The default is what
    /// [`std::thread::available_parallelism`] says.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    pub fn threads(mut self, threads: usize) -> Builder {
        assert!(threads > 0, "a pool without threads would do no job");
        self.threads = Some(threads);
        self
    }

    /// Sets the name that the threads have.
    ///
    /// # Panics
    ///
    /// If it contains a zero byte.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "thread name may not contain interior null bytes");
        self.name = Cow::Owned(name);
        self
    }

    /// Sets how long a thread stays that has nothing to do: 5 seconds, unless it is said
    /// otherwise. With `Duration::MAX` it stays as long as the pool.
    pub fn idle_timeout(mut self, timeout: Duration) -> Builder {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many jobs may wait in line for a thread; with so many `submit` waits for room.
    /// Without a limit it never waits.
    ///
    /// # Panics
    ///
    /// If `jobs` is 0.
    pub fn queue_limit(mut self, jobs: usize) -> Builder {
        assert!(jobs > 0, "a job stands in line until a thread takes it");
        self.queue_limit = jobs;
        self
    }

    /// Makes the pool. Its threads are started when there is work for them.
    pub fn build(self) -> ThreadPool {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or_else(cores);
        let lane = Lane::named(self.name, threads, self.idle_timeout);
        ThreadPool { pool: Pool::new(lane, self.queue_limit) }
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}
