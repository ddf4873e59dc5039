//! What a submitter holds: the right to a job's result.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::join::JoinHandle;
use crate::sys::clock::Deadline;
use crate::task::spawn;
use crate::threadpool::job::Home;
use crate::threadpool::job::Job;

/// Puts a job in line for the runtime's own pool, that of [`blocking`], and gives its handle.
///
/// [`ThreadPool::submit`] does the same for a pool of one's own.
///
/// [`blocking`]: crate::threadpool::blocking()
/// [`ThreadPool::submit`]: crate::threadpool::ThreadPool::submit
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// let job = corovent_runtime::threadpool::submit(|| (1..=1000u64).sum::<u64>());
/// assert_eq!(job.join().unwrap(), 500_500);
/// ```
pub fn submit<F, T>(f: F) -> JobHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    JobHandle { job: Job::start(Home::General, f) }
}

/// Owns the right to the result of a job in a thread pool.
///
/// Dropping it detaches the job, which goes on; its result is dropped on the pool's thread. It
/// may be used on any thread, with a hub or without. gevent's name is `AsyncResult`, as
/// `ThreadPool.spawn` gives it; Python's is `Future`.
pub struct JobHandle<T> {
    pub(super) job: Arc<Job<T>>,
}

/// The payload that the joiner of a job gets which was cancelled, and has never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl<T> JobHandle<T> {
    /// Waits for the job to end, and gives what it returned or panicked with.
    ///
    /// The `Err` of a job that was cancelled is [`Cancelled`]; if no thread could be started
    /// for it, a text that says why. A job that is joined by another of its own pool, and has
    /// not begun, runs in place, so waits within one pool cannot come to a standstill; those of
    /// two pools for each other can ([`ThreadPool::apply`]).
    ///
    /// [`ThreadPool::apply`]: crate::threadpool::ThreadPool::apply
    ///
    /// # Suspends
    ///
    /// Until the job has ended. A thread without a hub is stopped.
    ///
    /// # Cancellation
    ///
    /// The job goes on, detached. A result that came together with the kill is given; the kill
    /// comes at the next wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2);
    /// let (one, two) = (pool.submit(|| 1), pool.submit(|| 2));
    /// assert_eq!(one.join().unwrap() + two.join().unwrap(), 3);
    /// ```
    pub fn join(self) -> thread::Result<T> {
        self.job.wait()
    }

    /// Waits for the job to end, but not longer than `timeout`; then gives the handle back.
    ///
    /// # Suspends
    ///
    /// Until the job has ended, or the time is up. A thread without a hub is stopped.
    ///
    /// # Cancellation
    ///
    /// As for [`join`](JobHandle::join).
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::submit;
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let job = submit(move || receiver.recv());
    /// let job = job.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// sender.send(5)?;
    /// assert_eq!(job.join().unwrap(), Ok(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        self.job.wait_until(Deadline::after(timeout)).ok_or(self)
    }

    /// Gives the result if the job has ended, else the handle back.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn try_join(self) -> Result<thread::Result<T>, Self> {
        self.job.try_take().ok_or(self)
    }

    /// Whether the job has ended, or was cancelled.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn is_finished(&self) -> bool {
        self.job.is_done()
    }

    /// Takes the job out of the line if it has not begun. True if it was: it never runs then,
    /// and a joiner gets [`Cancelled`]. Its closure is dropped here.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::{Cancelled, ThreadPool};
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = std::sync::mpsc::channel::<()>();
    /// let first = pool.submit(move || receiver.recv());
    /// let second = pool.submit(|| unreachable!("the only thread is busy"));
    /// assert!(second.cancel());
    /// let result: std::thread::Result<()> = second.join();
    /// assert!(result.unwrap_err().is::<Cancelled>());
    /// drop(sender);
    /// assert!(first.join().unwrap().is_err());
    /// ```
    pub fn cancel(&self) -> bool {
        self.job.cancel()
    }

    /// Calls a closure with the result when the job has ended: on this thread, in a coroutine
    /// of its hub, whose handle is given.
    ///
    /// The closure need not be `Send`, and may wait. Callbacks begin in the order in which their
    /// jobs ended; if a job has ended already, its callback runs all the same. A panic of it is
    /// that of the coroutine, and killing the coroutine gives the callback up, not the job.
    /// Python's name is `add_done_callback`, gevent's `AsyncResult.rawlink`; as there, a thread
    /// that does not let its hub run has its callbacks later. Without a hub this makes one; for
    /// a thread that is never to have one there is [`on_done_in_pool`].
    ///
    /// [`on_done_in_pool`]: JobHandle::on_done_in_pool
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there is no room for the coroutine's stack.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::ThreadPool;
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let total = Rc::new(Cell::new(0));
    /// let pool = ThreadPool::new(2);
    /// let callback = pool.submit(|| 6 * 7).on_done({
    ///     let total = Rc::clone(&total);
    ///     move |result| total.set(result.unwrap())
    /// });
    /// callback.join().unwrap();
    /// assert_eq!(total.get(), 42);
    /// ```
    #[track_caller]
    pub fn on_done<F, R>(self, f: F) -> JoinHandle<R>
    where
        F: FnOnce(thread::Result<T>) -> R + 'static,
        T: 'static,
        R: 'static,
    {
        spawn(move || f(self.job.wait_in_order()))
    }

    /// Calls a closure with the result when the job has ended: on the pool's thread that has
    /// run the job, or, if it has ended already, as a job of its own.
    ///
    /// A job that is cancelled has its callback where that is done. A panic of the closure is
    /// printed and harms nobody.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::threadpool::ThreadPool;
    ///
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let pool = ThreadPool::new(2);
    /// pool.submit(|| 6 * 7).on_done_in_pool(move |result| sender.send(result.unwrap()).unwrap());
    /// assert_eq!(receiver.recv()?, 42);
    /// # Ok::<(), std::sync::mpsc::RecvError>(())
    /// ```
    ///
    /// It crosses threads, so it must be `Send`:
    ///
    /// ```compile_fail
    /// let own = std::rc::Rc::new(1);
    /// corovent_runtime::threadpool::submit(|| 5).on_done_in_pool(move |_| drop(own));
    /// ```
    pub fn on_done_in_pool<F>(self, f: F)
    where
        F: FnOnce(thread::Result<T>) + Send + 'static,
        T: Send + 'static,
    {
        self.job.bequeath(Box::new(f));
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        drop(self.job.disown());
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").finish_non_exhaustive()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was cancelled")
    }
}

impl Error for Cancelled {}
