//! Waiting for the first of several coroutines, and for one after the other as they end.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::group::completions::Completions;
use crate::group::handles::Joinable;
use crate::group::handles::heads;
use crate::join::JoinHandle;
use crate::packet::Head;
use crate::sys::clock::Deadline;

/// Waits for the first of several coroutines to end, and gives its place among the handles;
/// `None` if there is no handle.
///
/// Of those that have ended already it is the first in the order of the handles. The handles
/// may be of different types, see [`Joinable`]. gevent's name is `wait(…, count=1)`.
///
/// Each call looks at every handle. To take the ends of many coroutines one after the other,
/// use [`as_completed`].
///
/// # Suspends
///
/// Until one has ended.
///
/// # Panics
///
/// If the caller's own handle is among them, and none has ended.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::wait_any, spawn, thread::park};
///
/// let tasks = [spawn(park), spawn(|| ())];
/// assert_eq!(wait_any(&tasks), Some(1));
/// tasks[0].kill();
/// ```
pub fn wait_any<'a, J>(handles: impl IntoIterator<Item = &'a J>) -> Option<usize>
where
    J: Joinable + ?Sized + 'a,
{
    wait_for(&heads(handles), 1, Deadline::NEVER).pop()
}

/// Waits for the first of several coroutines to end, but not longer than `timeout`; `None` if
/// the time was up first, or if there is no handle.
///
/// # Suspends
///
/// Until one has ended, or the time is up.
///
/// # Panics
///
/// If the caller's own handle is among them, and none has ended.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::wait_any_timeout, spawn, thread::park};
/// use std::time::Duration;
///
/// let tasks = [spawn(park)];
/// assert_eq!(wait_any_timeout(&tasks, Duration::from_millis(1)), None);
/// tasks[0].kill();
/// ```
pub fn wait_any_timeout<'a, J>(
    handles: impl IntoIterator<Item = &'a J>,
    timeout: Duration,
) -> Option<usize>
where
    J: Joinable + ?Sized + 'a,
{
    wait_for(&heads(handles), 1, Deadline::after(timeout)).pop()
}

/// Waits until so many of the coroutines have ended, or all, and gives their places among the
/// handles in the order of their ends.
///
/// gevent's name is `wait(…, count=n)`.
///
/// # Suspends
///
/// Until so many have ended.
///
/// # Panics
///
/// If the caller's own handle is among them, and fewer have ended.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::wait_count, spawn, thread::park};
///
/// let tasks = [spawn(park), spawn(|| ()), spawn(|| ())];
/// assert_eq!(wait_count(&tasks, 2), [1, 2]);
/// tasks[0].kill();
/// ```
pub fn wait_count<'a, J>(handles: impl IntoIterator<Item = &'a J>, count: usize) -> Vec<usize>
where
    J: Joinable + ?Sized + 'a,
{
    wait_for(&heads(handles), count, Deadline::NEVER)
}

/// The same, but not longer than `timeout`; gives those that have ended then.
///
/// # Suspends
///
/// Until so many have ended, or the time is up.
///
/// # Panics
///
/// If the caller's own handle is among them, and fewer have ended.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{group::wait_count_timeout, spawn, thread::park};
/// use std::time::Duration;
///
/// let tasks = [spawn(park), spawn(|| ())];
/// assert_eq!(wait_count_timeout(&tasks, 2, Duration::from_millis(1)), [1]);
/// tasks[0].kill();
/// ```
pub fn wait_count_timeout<'a, J>(
    handles: impl IntoIterator<Item = &'a J>,
    count: usize,
    timeout: Duration,
) -> Vec<usize>
where
    J: Joinable + ?Sized + 'a,
{
    wait_for(&heads(handles), count, Deadline::after(timeout))
}

fn wait_for(heads: &[&Head], count: usize, deadline: Deadline) -> Vec<usize> {
    let count = count.min(heads.len());
    let is_done = |(_, head): &(usize, &&Head)| head.is_done();
    let ended = heads.iter().enumerate().filter(is_done).map(|(n, _)| n);
    let mut found: Vec<usize> = ended.take(count).collect();
    if found.len() == count {
        return found;
    }
    let completions = Completions::with_room(heads.len());
    let _watch = Watch { completions: &completions, heads };
    let mut seen = found.iter().copied().peekable();
    for (n, head) in heads.iter().enumerate() {
        if seen.next_if_eq(&n).is_none() {
            completions.watch(head, n);
        }
    }
    while found.len() < count
        && let Some(n) = completions.next(deadline)
    {
        found.push(n);
    }
    found
}

/// Takes the links back, whatever ends the wait.
struct Watch<'a> {
    completions: &'a Completions,
    heads: &'a [&'a Head],
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.heads.iter().for_each(|head| self.completions.unwatch(head));
    }
}

/// Gives the results of coroutines in the order in which they end, each with its place among
/// the handles.
///
/// Dropping the iterator detaches those that it has not given. gevent's name is `iwait`.
///
/// # Suspends
///
/// Never; the iterator does.
///
/// # Panics
///
/// If the caller's own handle is among them.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::as_completed;
/// use corovent_runtime::{spawn, yield_now};
///
/// let tasks = [30, 10, 20].map(|n| spawn(move || (0..n).for_each(|_| yield_now())));
/// let order: Vec<usize> = as_completed(tasks).map(|(n, _)| n).collect();
/// assert_eq!(order, [1, 2, 0]);
/// ```
#[track_caller]
pub fn as_completed<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> AsCompleted<T> {
    let handles: Vec<Option<JoinHandle<T>>> = handles.into_iter().map(Some).collect();
    let completions = Completions::with_room(handles.len());
    let completed = AsCompleted { left: handles.len(), handles, completions };
    for (n, handle) in completed.handles.iter().flatten().enumerate() {
        completed.completions.watch(handle.side.head(), n);
    }
    completed
}

/// The iterator of [`as_completed`].
#[must_use = "iterators do nothing unless consumed"]
pub struct AsCompleted<T> {
    /// `None` once it was given.
    handles: Vec<Option<JoinHandle<T>>>,
    left: usize,
    completions: Arc<Completions>,
}

impl<T> AsCompleted<T> {
    /// Gives the next result, but does not wait for it longer than `timeout`. `None` if the
    /// time was up first, or if there is none: [`len`](ExactSizeIterator::len) tells.
    ///
    /// # Suspends
    ///
    /// Until a coroutine has ended, or the time is up.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::{group::as_completed, spawn, thread::park};
    /// use std::time::Duration;
    ///
    /// let mut completed = as_completed([spawn(park)]);
    /// assert!(completed.next_timeout(Duration::from_millis(1)).is_none());
    /// let handles = completed.into_handles();
    /// handles[0].kill();
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<(usize, thread::Result<T>)> {
        self.next_until(Deadline::after(timeout))
    }

    /// Gives the handles back of those that it has not given, in their order.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn into_handles(mut self) -> Vec<JoinHandle<T>> {
        self.unwatch();
        std::mem::take(&mut self.handles).into_iter().flatten().collect()
    }

    fn next_until(&mut self, deadline: Deadline) -> Option<(usize, thread::Result<T>)> {
        if self.left == 0 {
            return None;
        }
        let n = self.completions.next(deadline)?;
        let handle = self.handles[n].take().expect("a coroutine ends once");
        self.left -= 1;
        Some((n, handle.side.take()))
    }

    fn unwatch(&self) {
        if self.left > 0 {
            let handles = self.handles.iter().flatten();
            handles.for_each(|handle| self.completions.unwatch(handle.side.head()));
        }
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = (usize, thread::Result<T>);

    /// Gives the next result.
    ///
    /// # Suspends
    ///
    /// Until a coroutine has ended.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    fn next(&mut self) -> Option<(usize, thread::Result<T>)> {
        self.next_until(Deadline::NEVER)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for AsCompleted<T> {}
impl<T> FusedIterator for AsCompleted<T> {}

impl<T> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        self.unwatch();
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left).finish_non_exhaustive()
    }
}
