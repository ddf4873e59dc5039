//! Work off the thread: calls that would stop the hub run on threads of a pool.
//!
//! There are lanes with threads of their own, so that slow name lookups, and opens that wait
//! for somebody else, do not hold up anything else. Threads are started when there is work and
//! none is idle, up to a limit, and end when they have been idle for a while.

mod flights;

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
use crate::hub::reason::What;
use crate::hub::shared::SharedRecord;
use crate::hub::turn::change_idle_helpers;
use crate::packet::drop_quietly;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

pub use crate::threadpool::flights::Flights;

/// Runs a closure on a thread of the pool and waits for its result, while other coroutines
/// run.
///
/// It is for what blocks in the kernel or computes for long: files, C libraries, hashing.
/// At most 64 run at once; others wait in line, so jobs that wait for jobs of their own can
/// come to a standstill. Coroutines that a job leaves behind on its thread end with it. On a
/// thread without coroutines the closure simply runs. gevent's name is `ThreadPool.apply`.
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
/// The closure goes on to its end, and its result is dropped there. A result that came
/// together with the kill is given; the kill comes at the next wait.
///
/// # Examples
///
/// ```
/// let sum = corovent_runtime::threadpool::blocking(|| (1..=1000u64).sum::<u64>());
/// assert_eq!(sum, 500_500);
/// ```
///
/// What goes there and comes back crosses threads:
///
/// ```compile_fail
/// let own = std::rc::Rc::new(1);
/// corovent_runtime::threadpool::blocking(move || *own);
/// ```
///
/// ```compile_fail
/// corovent_runtime::threadpool::blocking(|| std::rc::Rc::new(1));
/// ```
#[track_caller]
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match run_on(&GENERAL, What::Blocking, Mode::Plain, f) {
        Ok(value) => value,
        Err(error) => panic!("the thread pool has no thread: {error}"),
    }
}

/// Makes a call that may fail on a thread of the pool; otherwise like [`blocking`].
///
/// # Suspends
///
/// Until the closure has returned.
///
/// # Errors
///
/// - What the closure gives.
/// - What starting a thread gives.
///
/// # Panics
///
/// If the closure does, with its payload.
///
/// # Cancellation
///
/// The closure goes on to its end, and its result is dropped.
pub fn call<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    run_on(&GENERAL, What::Blocking, Mode::Plain, f)?
}

/// Makes a call on a file system that may be given up: it takes what it needs along, and may
/// have its effect after the caller has gone. While the coroutine unwinds it stops the thread
/// instead: destructors remove files.
pub(crate) fn file_call<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let Some(hub) = hub::current().filter(|hub| !hub.is_unwinding()) else { return f() };
    if hub.is_interrupted(Mode::Plain) {
        hub.throw();
    }
    run_on(&GENERAL, What::File, Mode::Plain, f)?
}

/// Makes a call on an open file, which cannot be given up once it has begun: what it has
/// moved would be lost. A kill or a timeout is thrown before it, or at the next wait. While
/// the coroutine unwinds it stops the thread instead: destructors write what they have.
pub(crate) fn complete<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    begin()?;
    if hub::current().is_some_and(Hub::is_unwinding) {
        return f();
    }
    run_on(&GENERAL, What::File, Mode::Masked, f)?
}

/// Throws what wants the task before a call that cannot be given up, for those who put
/// something into its closure that must not be lost then. Where nothing can unwind, a timeout
/// is an error.
pub(crate) fn begin() -> io::Result<()> {
    match hub::current() {
        Some(hub) if !hub.is_unwinding() && hub.is_interrupted(Mode::Io) => {
            Err(hub.throw_or_error())
        }
        _ => Ok(()),
    }
}

/// Opens what may have to wait for somebody else to open it, such as a FIFO: on threads of
/// its own, or those that wait would keep everybody from working. It may be given up.
pub(crate) fn meet<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    if hub::current().is_some_and(Hub::is_unwinding) {
        return Err(error::unwinding());
    }
    run_on(&MEETINGS, What::Open, Mode::Plain, f)?
}

/// What a job has come to, which its thread and the waiter share.
enum Progress<T> {
    Running,
    Done(io::Result<thread::Result<T>>),
    /// The waiter has gone: whatever comes is dropped by the job's thread.
    Abandoned,
}

fn run_on<F, T>(lane: &'static Lane, what: What, mode: Mode, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Without a hub there is nobody to run meanwhile.
    let Some(hub) = hub::current() else { return Ok(f()) };
    let progress = Arc::new(WaitQueue::new(Progress::Running));
    let there = Arc::clone(&progress);
    let holder = Holder::new(hub);
    lane.submit(Box::new(move |thread_started| {
        finish(&there, run_job(thread_started, f));
        drop(holder);
    }));
    let given = match progress.wait(Deadline::NEVER, what, mode, Progress::take) {
        Ok(given) => given,
        Err(_) => {
            // What came together with the kill is given; the kill comes at the next wait.
            let left = progress.lock().state.abandon();
            left.unwrap_or_else(|| hub.throw())
        }
    };
    match given? {
        Ok(value) => Ok(value),
        Err(payload) => hub.rethrow(payload),
    }
}

/// Keeps a hub from a deadlock until it is dropped.
struct Holder {
    hub: SharedRecord,
    hub_number: u64,
}

impl Holder {
    fn new(hub: &Hub) -> Holder {
        let hub = hub.shared();
        let hub_number = hub.first_ticket();
        hub.add_holder(hub_number);
        Holder { hub, hub_number }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.hub.remove_holder(self.hub_number);
    }
}

/// Runs a job's closure, or drops it if there is no thread for it.
fn run_job<F, T>(thread_started: io::Result<()>, f: F) -> io::Result<thread::Result<T>>
where
    F: FnOnce() -> T,
{
    match thread_started {
        Ok(()) => Ok(panic::catch_unwind(AssertUnwindSafe(f))),
        Err(error) => {
            drop_quietly(f);
            Err(error)
        }
    }
}

/// Hands what a job has given to the waiter.
fn finish<T>(progress: &WaitQueue<Progress<T>>, given: io::Result<thread::Result<T>>) {
    let mut inner = progress.lock();
    let unwanted = match inner.state {
        Progress::Abandoned => Some(given),
        _ => {
            inner.state = Progress::Done(given);
            None
        }
    };
    drop(inner);
    progress.wake_one();
    drop_quietly(unwanted);
}

impl<T> Progress<T> {
    fn take(&mut self) -> Option<io::Result<thread::Result<T>>> {
        match mem::replace(self, Progress::Running) {
            Progress::Done(given) => Some(given),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Goes without the result; gives it if it is there already.
    fn abandon(&mut self) -> Option<io::Result<thread::Result<T>>> {
        match mem::replace(self, Progress::Abandoned) {
            Progress::Done(given) => Some(given),
            _ => None,
        }
    }
}

/// Is called once: with the error if no thread could be started for it.
type Job = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Threads that take jobs from one queue.
struct Lane {
    name: &'static str,
    threads_max: usize,
    /// A thread ends that has found nothing to do for so long.
    idle_exit: Duration,
    queue: WaitQueue<Queue>,
}

static GENERAL: Lane = Lane::new("corovent-pool", 64, IDLE_EXIT);
static LOOKUPS: Lane = Lane::new("corovent-names", 16, IDLE_EXIT);
/// As many as may wait to open a FIFO at once.
static MEETINGS: Lane = Lane::new("corovent-opens", 1024, IDLE_EXIT);
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
    /// Threads that take a job as soon as they come to the queue.
    idle: usize,
}

struct Entry {
    job: Job,
    below: Option<Box<Entry>>,
}

impl Lane {
    const fn new(name: &'static str, threads_max: usize, idle_exit: Duration) -> Lane {
        let queue = Queue { front: None, back: None, waiting: 0, threads: 0, idle: 0 };
        Lane { name, threads_max, idle_exit, queue: WaitQueue::new(queue) }
    }

    /// Puts a job in line.
    fn submit(&'static self, job: Job) {
        let entry = Box::new(Entry { job, below: None });
        let mut inner = self.queue.lock();
        let queue = &mut inner.state;
        queue.push(entry);
        let start = queue.waiting > queue.idle && queue.threads < self.threads_max;
        queue.threads += usize::from(start);
        drop(inner);
        self.queue.wake_one();
        if start && let Err(error) = self.start_thread() {
            self.do_without_thread(&error);
        }
    }

    fn start_thread(&'static self) -> io::Result<()> {
        let builder = thread::Builder::new().name(self.name.to_owned());
        builder.spawn(|| self.work()).map(drop)
    }

    /// A thread was counted and could not be started: if there is no other, all jobs in
    /// line fail, which may count on that thread.
    #[cold]
    fn do_without_thread(&self, error: &io::Error) {
        let mut inner = self.queue.lock();
        let queue = &mut inner.state;
        queue.threads -= 1;
        let mut failed = if queue.threads == 0 { queue.take_all() } else { None };
        drop(inner);
        while let Some(mut entry) = failed {
            failed = entry.below.take();
            (entry.job)(Err(flights::copy_of(error)));
        }
    }

    /// What a thread of the lane does.
    fn work(&'static self) {
        loop {
            self.queue.lock().state.change(|queue| queue.idle += 1);
            let entry = loop {
                let deadline = Deadline::after(self.idle_exit);
                match self.queue.wait(deadline, What::Work, Mode::Masked, Queue::take) {
                    Ok(entry) => break entry,
                    Err(_) if self.leave() => return,
                    Err(_) => {}
                }
            };
            (entry.job)(Ok(()));
            if hub::current().is_some() {
                return self.make_room();
            }
        }
    }

    /// Counts an idle thread out; false if a job has come after all.
    fn leave(&self) -> bool {
        let mut inner = self.queue.lock();
        let leaves = inner.state.waiting == 0;
        if leaves {
            inner.state.change(|queue| {
                queue.idle -= 1;
                queue.threads -= 1;
            });
        }
        leaves
    }

    /// Ends a thread after a job that made a hub there: with it end the coroutines that the
    /// job has left behind. Another takes its place if there is work.
    #[cold]
    fn make_room(&'static self) {
        let mut inner = self.queue.lock();
        let queue = &mut inner.state;
        let start = queue.waiting > queue.idle;
        queue.threads -= usize::from(!start);
        drop(inner);
        if start && let Err(error) = self.start_thread() {
            self.do_without_thread(&error);
        }
    }
}

impl Queue {
    fn push(&mut self, mut entry: Box<Entry>) {
        entry.below = self.back.take();
        self.back = Some(entry);
        self.change(|queue| queue.waiting += 1);
    }

    /// Changes the counts, and with them how many threads have nothing to do: they will wake
    /// nobody. One that is idle but about to take a job may.
    fn change(&mut self, f: impl FnOnce(&mut Queue)) {
        let before = self.idle.saturating_sub(self.waiting);
        f(self);
        let after = self.idle.saturating_sub(self.waiting);
        change_idle_helpers(after.wrapping_sub(before) as isize);
    }

    /// Takes the oldest job, for a thread that was idle.
    fn take(&mut self) -> Option<Box<Entry>> {
        if self.front.is_none() {
            self.turn_over();
        }
        let mut first = self.front.take()?;
        self.front = first.below.take();
        self.change(|queue| {
            queue.waiting -= 1;
            queue.idle -= 1;
        });
        Some(first)
    }

    /// Takes all jobs, in no order.
    fn take_all(&mut self) -> Option<Box<Entry>> {
        self.change(|queue| queue.waiting = 0);
        self.turn_over();
        self.front.take()
    }

    /// Puts the newest in front of the others, the oldest of them on top.
    fn turn_over(&mut self) {
        while let Some(mut entry) = self.back.take() {
            self.back = mem::replace(&mut entry.below, self.front.take());
            self.front = Some(entry);
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests;
