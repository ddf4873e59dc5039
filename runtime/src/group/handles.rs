//! Joining and killing by many handles.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::thread;
use std::time::Duration;

use crate::group::completed::as_completed;
use crate::hub::identity::Thread;
use crate::join::JoinHandle;
use crate::join::kill;
use crate::join::wait_for_fate;
use crate::packet::Head;
use crate::scope::ScopedJoinHandle;
use crate::sys::clock::Deadline;

use self::sealed::Ends;
use self::sealed::Sealed;

/// A handle of a coroutine, whatever its result is: for the functions that wait for several
/// or kill them.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::{Joinable, wait_any};
/// use corovent_runtime::{spawn, thread::park};
///
/// let (number, word) = (spawn(|| { park(); 1 }), spawn(|| "one"));
/// let both: [&dyn Joinable; 2] = [&number, &word];
/// assert_eq!(wait_any(&both), Some(1));
/// number.kill();
/// # number.join().unwrap_err();
/// ```
pub trait Joinable: Sealed {}

impl<T> Joinable for JoinHandle<T> {}
impl<T> Joinable for ScopedJoinHandle<'_, T> {}
impl<J: Joinable + ?Sized> Joinable for &J {}

impl<T> Sealed for JoinHandle<T> {
    fn ends(&self) -> Ends<'_> {
        Ends(self.side.head())
    }
}

impl<T> Sealed for ScopedJoinHandle<'_, T> {
    fn ends(&self) -> Ends<'_> {
        Ends(self.handle.side.head())
    }
}

impl<J: Joinable + ?Sized> Sealed for &J {
    fn ends(&self) -> Ends<'_> {
        (**self).ends()
    }
}

/// Keeps others from being joinable, and what is behind a handle from others.
mod sealed {
    use crate::packet::Head;

    pub trait Sealed {
        fn ends(&self) -> Ends<'_>;
    }

    #[expect(missing_debug_implementations, reason = "nobody outside can have one")]
    pub struct Ends<'a>(pub(in crate::group) &'a Head);
}

/// The coroutines of some handles, in their order.
pub(super) fn heads<'a, J>(handles: impl IntoIterator<Item = &'a J>) -> Vec<&'a Head>
where
    J: Joinable + ?Sized + 'a,
{
    handles.into_iter().map(|handle| handle.ends().0).collect()
}

/// Waits for all coroutines to end, and gives what each returned or panicked with, in the
/// order of the handles.
///
/// gevent's name is `joinall`.
///
/// # Suspends
///
/// Until all have ended.
///
/// # Panics
///
/// If a coroutine joins itself.
///
/// # Cancellation
///
/// The coroutines go on, detached.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::join_all, spawn};
///
/// let results = join_all((0..3).map(|n| spawn(move || n * n)));
/// let squares: Vec<i32> = results.into_iter().map(Result::unwrap).collect();
/// assert_eq!(squares, [0, 1, 4]);
/// ```
pub fn join_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<thread::Result<T>> {
    let handles: Vec<JoinHandle<T>> = handles.into_iter().collect();
    handles.into_iter().map(JoinHandle::join).collect()
}

/// Waits for all coroutines to end, but not longer than `timeout`; gives the result of each,
/// or its handle back.
///
/// # Suspends
///
/// Until all have ended, or the time is up.
///
/// # Panics
///
/// If a coroutine joins itself.
///
/// # Cancellation
///
/// The coroutines go on, detached.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::join_all_timeout, spawn, thread::park};
/// use std::time::Duration;
///
/// let tasks = [spawn(|| ()), spawn(park)];
/// let [first, second] = join_all_timeout(tasks, Duration::from_millis(1)).try_into().unwrap();
/// assert!(first.unwrap().is_ok());
/// second.unwrap_err().kill();
/// ```
pub fn join_all_timeout<T>(
    handles: impl IntoIterator<Item = JoinHandle<T>>,
    timeout: Duration,
) -> Vec<Result<thread::Result<T>, JoinHandle<T>>> {
    let handles: Vec<JoinHandle<T>> = handles.into_iter().collect();
    let deadline = Deadline::after(timeout);
    let mut is_over = false;
    let join = |handle: JoinHandle<T>| {
        if is_over && !handle.is_finished() {
            return Err(handle);
        }
        let joined = handle.join_until(deadline);
        is_over |= joined.is_err();
        joined
    };
    handles.into_iter().map(join).collect()
}

/// Waits for all coroutines to return, and gives their values in the order of the handles; or
/// for the first that fails.
///
/// # Suspends
///
/// Until all have ended, or one has without returning.
///
/// # Errors
///
/// The payload of the one that ended first of those that did not return. The others go on,
/// detached.
///
/// # Panics
///
/// If the caller's own handle is among them.
///
/// # Cancellation
///
/// The coroutines go on, detached.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::try_join_all, spawn, thread::park};
///
/// let tasks = [spawn(park), spawn(|| panic!("as expected"))];
/// let payload = try_join_all(tasks).unwrap_err();
/// assert_eq!(payload.downcast_ref(), Some(&"as expected"));
/// ```
pub fn try_join_all<T>(
    handles: impl IntoIterator<Item = JoinHandle<T>>,
) -> Result<Vec<T>, Box<dyn Any + Send>> {
    let completed = as_completed(handles);
    let mut values: Vec<Option<T>> = (0..completed.len()).map(|_| None).collect();
    for (n, result) in completed {
        values[n] = Some(result?);
    }
    Ok(values.into_iter().map(|value| value.expect("each has ended")).collect())
}

/// Asks all coroutines to end; see [`JoinHandle::kill`]. All are marked before any runs.
/// Gives the number of those that will get to see it.
///
/// gevent's name is `killall`.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::{join_all, kill_all};
/// use corovent_runtime::{spawn, thread::park};
///
/// let tasks = [spawn(park), spawn(park)];
/// assert_eq!(kill_all(&tasks), 2);
/// assert!(join_all(tasks).iter().all(Result::is_err));
/// ```
pub fn kill_all<'a, J>(handles: impl IntoIterator<Item = &'a J>) -> usize
where
    J: Joinable + ?Sized + 'a,
{
    handles.into_iter().filter(|handle| kill(handle.ends().0)).count()
}

/// Asks all coroutines to end, and waits until they have.
///
/// # Suspends
///
/// Until each has ended or ignored the kill, or the time is up.
///
/// # Errors
///
/// [`Survivors`]: those that have not ended.
///
/// # Cancellation
///
/// The kills stay in force.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::kill_all_timeout;
/// use corovent_runtime::{shield, spawn, thread::park, yield_now};
/// use std::time::Duration;
///
/// let tasks = [spawn(park), spawn(|| shield(park))];
/// yield_now();
/// let survivors = kill_all_timeout(&tasks, Duration::from_millis(1)).unwrap_err();
/// assert_eq!(survivors.threads().len(), 1);
/// survivors.threads()[0].unpark();
/// # corovent_runtime::group::join_all(tasks);
/// ```
pub fn kill_all_timeout<'a, J>(
    handles: impl IntoIterator<Item = &'a J>,
    timeout: Duration,
) -> Result<(), Survivors>
where
    J: Joinable + ?Sized + 'a,
{
    let heads = heads(handles);
    let deadline = Deadline::after(timeout);
    let mark = |head: &&Head| {
        head.clear_kill_ignored();
        kill(head)
    };
    let killed: Vec<bool> = heads.iter().map(mark).collect();
    let mut survivors = Vec::new();
    for (head, killed) in heads.into_iter().zip(killed) {
        // Once the time was up nobody is waited for any more.
        let is_over = !survivors.is_empty() && Deadline::now() >= deadline;
        let waits = killed && !is_over && !head.is_done();
        if !(if waits { wait_for_fate(head, deadline) } else { head.is_done() }) {
            survivors.push(head.thread().clone());
        }
    }
    if survivors.is_empty() { Ok(()) } else { Err(Survivors::new(survivors)) }
}

/// Those that have not ended though they were killed.
#[derive(Clone, Debug)]
pub struct Survivors {
    threads: Vec<Thread>,
}

impl Survivors {
    pub(super) fn new(threads: Vec<Thread>) -> Survivors {
        Survivors { threads }
    }

    /// Gives the handles that name and unpark them.
    #[must_use]
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} coroutines have not ended though they were killed", self.threads.len())
    }
}

impl Error for Survivors {}
