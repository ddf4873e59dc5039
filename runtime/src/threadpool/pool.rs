//! Thread pools of the user's own: a size, a limit of the line, and an end.
//!
//! The threads and the line are a lane; the jobs are counted at the desk.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::sys::clock::Deadline;
use crate::task;
use crate::threadpool::builder::Builder;
use crate::threadpool::desk::Pool;
use crate::threadpool::handle::JobHandle;
use crate::threadpool::job::Home;
use crate::threadpool::job::Job;
use crate::threadpool::lane::Lane;

/// A pool of OS threads for work that would stop the hub.
///
/// Jobs begin in the order in which they were submitted, on at most as many threads as the pool
/// has; they are started when there is work for them, and end when they have been idle for 5
/// seconds. The pool may be shared by coroutines of any hubs and by threads without one.
/// Coroutines that a job leaves behind on its thread end with it.
///
/// When the pool is dropped it takes no more jobs; those that were submitted are done, and its
/// threads end. Nobody waits for that: there is [`shutdown`](ThreadPool::shutdown). gevent's
/// name is `ThreadPool`; Python's, `ThreadPoolExecutor`.
///
/// It is for what blocks, and for computing beside the hub. For one job at a time there is
/// [`blocking`](crate::threadpool::blocking()); for parallel algorithms, crates such as `rayon`.
/// Threads run Rust code on all cores, so there is no pool of processes: what has to be apart
/// is a child of `process::Command`.
///
/// # Examples
///
/// ```
/// use corovent_runtime::threadpool::ThreadPool;
///
/// let pool = ThreadPool::new(4);
/// let lengths = pool.map(["a", "bc", "def"], str::len);
/// assert_eq!(lengths, [1, 2, 3]);
/// let job = pool.submit(|| std::fs::read("/dev/null"));
/// assert_eq!(job.join().unwrap()?, b"");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ThreadPool {
    pub(super) pool: Arc<Pool>,
}

impl ThreadPool {
    /// Makes a pool of at most so many threads.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    #[must_use]
    pub fn new(threads: usize) -> ThreadPool {
        Builder::new().threads(threads).build()
    }

    /// Puts a job in line, and gives its handle.
    ///
    /// # Suspends
    ///
    /// Never, unless the pool has a limit: then until there is room in the line. A job of this
    /// pool does not wait for room.
    ///
    /// # Panics
    ///
    /// If the pool was shut down.
    ///
    /// # Cancellation
    ///
    /// The job is not submitted, and its closure dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::threadpool::ThreadPool::new(1);
    /// let jobs: Vec<_> = (0..10).map(|n| pool.submit(move || n * n)).collect();
    /// let squares: Vec<i32> = jobs.into_iter().map(|job| job.join().unwrap()).collect();
    /// assert_eq!(squares[9], 81);
    /// ```
    ///
    /// What goes there and comes back crosses threads:
    ///
    /// ```compile_fail
    /// let own = std::rc::Rc::new(1);
    /// corovent_runtime::threadpool::ThreadPool::new(1).submit(move || *own);
    /// ```
    #[track_caller]
    pub fn submit<F, T>(&self, f: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        assert!(self.pool.enter_line(), "a job was submitted to a pool that was shut down");
        self.start(f)
    }

    /// Puts a job in line if there is room.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// The closure is given back if the line is at its limit, or the pool was shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::{Builder, TrySubmitError};
    ///
    /// let pool = Builder::new().threads(1).queue_limit(1).build();
    /// let (sender, receiver) = std::sync::mpsc::channel::<()>();
    /// let (entered, is_entered) = std::sync::mpsc::channel();
    /// let first = pool.submit(move || {
    ///     entered.send(()).unwrap();
    ///     receiver.recv().is_err()
    /// });
    /// is_entered.recv()?;
    /// let second = pool.submit(|| 2);
    /// assert!(matches!(pool.try_submit(|| 3), Err(TrySubmitError::Full(_))));
    /// drop(sender);
    /// assert!(first.join().unwrap());
    /// assert_eq!(second.join().unwrap(), 2);
    /// # Ok::<(), std::sync::mpsc::RecvError>(())
    /// ```
    pub fn try_submit<F, T>(&self, f: F) -> Result<JobHandle<T>, TrySubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.pool.try_enter_line() {
            Some(true) => Ok(self.start(f)),
            Some(false) => Err(TrySubmitError::ShutDown(f)),
            None => Err(TrySubmitError::Full(f)),
        }
    }

    /// Runs a closure on a thread of the pool and waits for its result. A job of this pool runs
    /// it in place.
    ///
    /// Pools whose jobs wait for each other come to a standstill when they run out of threads:
    /// a job of A that applies to B, where the closure applies to A, needs two threads of A.
    ///
    /// # Suspends
    ///
    /// Until the closure has returned. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If the closure does, with its payload; if the pool was shut down; and if no thread can
    /// be started.
    ///
    /// # Cancellation
    ///
    /// As for [`JobHandle::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::threadpool::ThreadPool::new(1);
    /// assert_eq!(pool.apply(|| 6 * 7), 42);
    /// ```
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.pool.lane.is_here() {
            return f();
        }
        self.submit(f).join().unwrap_or_else(|payload| task::rethrow(payload))
    }

    /// Calls a closure with each item, on the threads of the pool, and gives what it returned,
    /// in the order of the items.
    ///
    /// # Suspends
    ///
    /// Until all calls have returned. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If a call does, with the payload of the first item of which that is so; calls that have
    /// not begun are then cancelled. And as for [`apply`](ThreadPool::apply).
    ///
    /// # Cancellation
    ///
    /// Calls that have begun go on to their end, the others are cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::threadpool::ThreadPool::new(2);
    /// assert_eq!(pool.map(1..=4, |n| n * n), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        let mut calls = Calls(Vec::new());
        for item in items {
            let f = Arc::clone(&f);
            calls.0.push(self.submit(move || f(item)));
        }
        calls.0.reverse();
        let mut results = Vec::with_capacity(calls.0.len());
        while let Some(call) = calls.0.last() {
            let result = call.job.wait();
            calls.0.pop();
            results.push(result.unwrap_or_else(|payload| task::rethrow(payload)));
        }
        results
    }

    /// How many threads the pool has at most.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.lane.threads_max()
    }

    /// Changes how many threads the pool has at most. More are started at once if jobs are in
    /// line; those that are too many end when they have done the job they are at. gevent's name
    /// is `maxsize`.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    pub fn set_threads(&self, threads: usize) {
        assert!(threads > 0, "a pool without threads would do no job");
        Lane::set_threads_max(&self.pool, threads);
    }

    /// Waits until no job is in line or running. Others may submit new ones at any time.
    ///
    /// # Suspends
    ///
    /// Until all jobs are done. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If one of the pool's own jobs waits so, for itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let done = Arc::new(AtomicU32::new(0));
    /// let pool = corovent_runtime::threadpool::ThreadPool::new(2);
    /// for _ in 0..10 {
    ///     let done = Arc::clone(&done);
    ///     pool.submit(move || done.fetch_add(1, Ordering::Relaxed));
    /// }
    /// pool.join();
    /// assert_eq!(done.load(Ordering::Relaxed), 10);
    /// ```
    #[track_caller]
    pub fn join(&self) {
        self.pool.wait_for_jobs(Deadline::NEVER);
    }

    /// Waits until no job is in line or running, but not longer than `timeout`. False if the
    /// time was up first.
    ///
    /// # Suspends
    ///
    /// Until all jobs are done, or the time is up. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If one of the pool's own jobs waits so, for itself.
    #[track_caller]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.pool.wait_for_jobs(Deadline::after(timeout))
    }

    /// Takes no more jobs, waits until those that were submitted are done, and lets the threads
    /// end. Python's name is the same; `with ThreadPoolExecutor(…)` ends so.
    ///
    /// # Suspends
    ///
    /// Until all jobs are done. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If one of the pool's own jobs waits so, for itself.
    ///
    /// # Cancellation
    ///
    /// The pool stays shut down.
    #[track_caller]
    pub fn shutdown(&self) {
        self.pool.close();
        self.pool.wait_for_jobs(Deadline::NEVER);
    }

    /// Takes no more jobs, and cancels those that have not begun; their closures are dropped
    /// here. What runs already goes on. gevent's name is the same.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn kill(&self) {
        self.pool.close();
        self.pool.lane.clear();
    }

    /// Puts a job in line that is counted.
    fn start<F, T>(&self, f: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        JobHandle { job: Job::start(Home::Pool(Arc::clone(&self.pool)), f) }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_line, running) = self.pool.counts();
        f.debug_struct("ThreadPool")
            .field("threads", &self.threads())
            .field("in_line", &in_line)
            .field("running", &running)
            .finish_non_exhaustive()
    }
}

/// Why a job was not submitted; the closure is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySubmitError<F> {
    /// As many jobs are in line as the pool's limit says.
    Full(F),
    /// The pool was shut down.
    ShutDown(F),
}

impl<F> fmt::Debug for TrySubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySubmitError::Full(_) => "Full(..)",
            TrySubmitError::ShutDown(_) => "ShutDown(..)",
        })
    }
}

impl<F> fmt::Display for TrySubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySubmitError::Full(_) => "the line of the pool is full",
            TrySubmitError::ShutDown(_) => "the pool was shut down",
        })
    }
}

impl<F> Error for TrySubmitError<F> {}

/// Calls of which nobody will have the results if this is dropped.
struct Calls<T>(Vec<JobHandle<T>>);

impl<T> Drop for Calls<T> {
    fn drop(&mut self) {
        self.0.iter().for_each(|call| _ = call.cancel());
    }
}
