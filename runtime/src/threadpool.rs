//! Work off the thread: calls that would stop the hub run on threads of a pool.
//!
//! There are two lanes with threads of their own, so that slow name lookups do not hold up
//! anything else. Threads are started when there is work and none is idle, up to a limit,
//! and end when they have been idle for a while.

use std::fmt;
use std::io;
use std::mem;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::error;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::turn::IDLE_HELPERS;
use crate::scheduler::Outcome;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// Runs a closure on a thread of the pool and waits for its result, while other coroutines
/// run.
///
/// It is for what blocks in the kernel or computes for long: files, C libraries, hashing.
/// At most 64 run at once; others wait in line. On a thread without coroutines the closure
/// simply runs. gevent's name is `ThreadPool.apply`.
///
/// # Suspends
///
/// Until the closure has returned.
///
/// # Panics
///
/// If the closure does, with its payload; and if no thread can be started.
///
/// # Cancellation
///
/// The closure goes on to its end, and its result is dropped.
///
/// # Examples
///
/// ```
/// let sum = corovent_runtime::threadpool::blocking(|| (1..=1000u64).sum::<u64>());
/// assert_eq!(sum, 500_500);
/// ```
#[track_caller]
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match run_on(&GENERAL, Reason::Blocking, f) {
        Ok(value) => value,
        Err(error) => panic!("the thread pool has no thread: {error}"),
    }
}

/// Looks something up on a thread of the lane for names; otherwise like [`blocking`].
///
/// # Suspends
///
/// Until the closure has returned.
///
/// # Errors
///
/// - `Other` if the coroutine unwinds.
/// - What starting a thread gives.
///
/// # Panics
///
/// If the closure does, with its payload.
///
/// # Cancellation
///
/// The closure goes on to its end, and its result is dropped.
pub fn lookup<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    if hub::current().is_some_and(Hub::is_unwinding) {
        return Err(error::unwinding());
    }
    run_on(&LOOKUPS, Reason::Lookup, f)?
}

fn run_on<F, T>(lane: &'static Lane, reason: Reason, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Without a hub there is nobody to run meanwhile.
    let Some(hub) = hub::current() else { return Ok(f()) };
    let result = Arc::new(WaitQueue::new(None));
    let there = Arc::clone(&result);
    let (shared, hub_number) = (hub.shared(), hub.shared().first_ticket());
    shared.add_holder();
    let job = move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(f));
        there.lock().state = Some(outcome);
        there.wake_one();
        // Dropped here if the waiter has gone, whatever the destructor does.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(there)));
        shared.remove_holder(hub_number);
    };
    if let Err(error) = lane.submit(Box::new(job)) {
        shared.remove_holder(hub_number);
        return Err(error);
    }
    let outcome = result.wait(Deadline::NEVER, reason, Mode::Plain, Option::take);
    drop(result);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(payload)) => hub.rethrow(payload),
        Err(Outcome::Interrupted) => hub.throw(),
        Err(_) => unreachable!("the wait has no deadline"),
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs from one queue.
struct Lane {
    name: &'static str,
    threads_max: usize,
    queue: WaitQueue<Queue>,
}

static GENERAL: Lane = Lane::new("corovent-pool", 64);
static LOOKUPS: Lane = Lane::new("corovent-names", 16);
/// gevent's GEVENT_THREADPOOL_IDLE_TASK_TIMEOUT.
const IDLE_EXIT: Duration = Duration::from_secs(5);

/// Jobs in line, first in, first out; nothing is allocated under the lock.
struct Queue {
    /// The oldest on top.
    front: Option<Box<Entry>>,
    /// The newest on top: turned over when the front is used up.
    back: Option<Box<Entry>>,
    /// Jobs in the two lists.
    waiting: usize,
    threads: usize,
    idle: usize,
}

struct Entry {
    job: Job,
    below: Option<Box<Entry>>,
}

impl Lane {
    const fn new(name: &'static str, threads_max: usize) -> Lane {
        let queue = Queue { front: None, back: None, waiting: 0, threads: 0, idle: 0 };
        Lane { name, threads_max, queue: WaitQueue::new(queue) }
    }

    /// Puts a job in line. The error is that there is no thread, and none can be started.
    fn submit(&'static self, job: Job) -> io::Result<()> {
        let entry = Box::new(Entry { job, below: None });
        let mut inner = self.queue.lock();
        let Queue { waiting, idle, threads, .. } = &mut inner.state;
        let start = *waiting >= *idle && *threads < self.threads_max;
        *threads += usize::from(start);
        drop(inner);
        if start && let Err(error) = self.start_thread() {
            self.do_without_thread(error)?;
        }
        self.queue.lock().state.push(entry);
        self.queue.wake_one();
        Ok(())
    }

    fn start_thread(&'static self) -> io::Result<()> {
        let builder = thread::Builder::new().name(self.name.to_owned());
        builder.spawn(|| self.work()).map(drop)
    }

    /// A thread was counted and could not be started: an error if there is no other.
    #[cold]
    fn do_without_thread(&self, error: io::Error) -> io::Result<()> {
        let mut inner = self.queue.lock();
        inner.state.threads -= 1;
        if inner.state.threads > 0 {
            return Ok(());
        }
        drop(inner);
        // Jobs that others put in line meanwhile, counting on that thread, are done here.
        while let Some(entry) = { self.queue.lock().state.pop() } {
            (entry.job)();
        }
        Err(error)
    }

    /// What a thread of the lane does.
    fn work(&self) {
        loop {
            self.queue.lock().state.idle += 1;
            IDLE_HELPERS.fetch_add(1, Ordering::Release);
            let deadline = Deadline::after(IDLE_EXIT);
            let entry = self.queue.wait(deadline, Reason::Blocking, Mode::Masked, Queue::pop);
            IDLE_HELPERS.fetch_sub(1, Ordering::Release);
            let mut inner = self.queue.lock();
            inner.state.idle -= 1;
            if entry.is_err() && inner.state.waiting == 0 {
                inner.state.threads -= 1;
                return;
            }
            drop(inner);
            if let Ok(entry) = entry {
                (entry.job)();
            }
        }
    }
}

impl Queue {
    fn push(&mut self, mut entry: Box<Entry>) {
        entry.below = self.back.take();
        self.back = Some(entry);
        self.waiting += 1;
    }

    fn pop(&mut self) -> Option<Box<Entry>> {
        if self.front.is_none() {
            while let Some(mut entry) = self.back.take() {
                self.back = mem::replace(&mut entry.below, self.front.take());
                self.front = Some(entry);
            }
        }
        let mut first = self.front.take()?;
        self.waiting -= 1;
        self.front = first.below.take();
        Some(first)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}
