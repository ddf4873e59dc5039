//! Calls that run on the threads of the runtime's own lanes while the caller waits.
//!
//! They differ in what a kill or a timeout does to the caller, and in what a coroutine does
//! that unwinds. On a thread without a hub there is nobody to run meanwhile: the call is made
//! in place.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread;

use crate::error;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::packet::drop_quietly;
use crate::sys::clock::Deadline;
use crate::threadpool::holder::Holder;
use crate::threadpool::lane::GENERAL;
use crate::threadpool::lane::Lane;
use crate::threadpool::lane::MEETINGS;
use crate::threadpool::lane::run_job;
use crate::wait_queue::WaitQueue;

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
/// together with the kill is given; the kill comes at the next wait. If the thread of the caller
/// ends meanwhile, a closure that has not begun is dropped uncalled.
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

pub(super) fn run_on<F, T>(lane: &'static Lane, what: What, mode: Mode, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Without a hub there is nobody to run meanwhile.
    let Some(hub) = hub::current() else { return Ok(f()) };
    // Not a job whose result would be refused, or not, as it comes.
    hub.check_caller();
    let progress = Arc::new(WaitQueue::new(Progress::Running));
    let there = Arc::clone(&progress);
    let holder = Holder::new(hub);
    Lane::submit(
        &lane,
        Box::new(move |thread_started| {
            if holder.has_lost_its_hub() && there.lock().state.is_waited_for() {
                return drop_quietly(f);
            }
            finish(&there, run_job(thread_started, f), &holder);
            drop(holder);
        }),
    );
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

/// What a job has come to, which its thread and the waiter share.
enum Progress<T> {
    Running,
    Done(io::Result<thread::Result<T>>),
    /// The waiter has gone: whatever comes is dropped by the job's thread.
    Abandoned,
}

/// Hands what a job has given to the waiter, unless that has gone or its hub has.
fn finish<T>(
    progress: &WaitQueue<Progress<T>>,
    given: io::Result<thread::Result<T>>,
    holder: &Holder,
) {
    let mut inner = progress.lock();
    let unwanted = match inner.state {
        Progress::Abandoned => Some(given),
        _ if holder.has_lost_its_hub() => Some(given),
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

    /// Whether the waiter has not gone by itself, by a kill or a timeout.
    fn is_waited_for(&self) -> bool {
        !matches!(self, Progress::Abandoned)
    }

    /// Goes without the result; gives it if it is there already.
    fn abandon(&mut self) -> Option<io::Result<thread::Result<T>>> {
        match mem::replace(self, Progress::Abandoned) {
            Progress::Done(given) => Some(given),
            _ => None,
        }
    }
}
