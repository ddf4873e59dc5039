//! Coroutines that start after a while.
//!
//! Until then there is a record and a timer, and no stack.

// Making a coroutine needs a promise about what its closure borrows.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::hub;
use crate::join::JoinHandle;
use crate::sys::clock::Deadline;
use crate::task::Builder;
use crate::task::Plan;
use crate::task::no_coroutine;
use crate::task::spawn_planned;
use crate::timers::TimerKey;

/// Starts a coroutine on this thread when a time has passed, and gives the handle of its
/// result. It never starts earlier.
///
/// Until then it takes no stack, only room that is set aside for one; it counts as a
/// coroutine: something that can still wake is no deadlock, and a [`run`](crate::run::run)
/// that is over kills it. One that is killed before its time never runs: what it has captured
/// is dropped on a stack of its own, in the next turn. gevent's name is `spawn_later`.
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If there is no room for the stack; [`Builder::spawn_after`] gives that as an error.
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn_after;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let task = spawn_after(Duration::from_millis(2), move || start.elapsed());
/// assert!(task.join().unwrap() >= Duration::from_millis(2));
///
/// let never = spawn_after(Duration::from_secs(3600), || unreachable!());
/// never.kill();
/// assert!(never.join().is_err());
/// ```
#[track_caller]
pub fn spawn_after<F, T>(delay: Duration, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().spawn_after(delay, f) {
        Ok(handle) => handle,
        Err(error) => no_coroutine(&error),
    }
}

impl Builder {
    /// Starts the coroutine when a time has passed, as [`spawn_after`] does.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Builder::spawn).
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte, as in std.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = corovent_runtime::Builder::new().name("tick".to_owned());
    /// let task = builder.spawn_after(Duration::from_millis(1), || 1)?;
    /// assert_eq!(task.join().unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_after<F, T>(self, delay: Duration, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let deadline = Deadline::after(delay);
        let class = self.class()?;
        let spawned_at = Location::caller();
        let name = self.name.map(String::into_boxed_str);
        let key = Rc::new(Cell::new(None));
        let timer = StartTimer { key: Rc::clone(&key) };
        let start = move || {
            drop(timer);
            f()
        };
        let plan = Plan { name, class, observer: None, spawned_at };
        // SAFETY: the closure and its result borrow nothing.
        unsafe {
            spawn_planned(plan, start, |hub, new| {
                let (slot, timer) = hub.spawn_later(new, deadline)?;
                key.set(timer);
                Ok(slot)
            })
        }
    }
}

/// The timer of a coroutine that has not started. It goes with the closure, so also if that
/// is killed before its time.
struct StartTimer {
    key: Rc<Cell<Option<TimerKey>>>,
}

impl Drop for StartTimer {
    fn drop(&mut self) {
        // A closure that the hub has refused has no timer.
        if let (Some(key), Some(hub)) = (self.key.take(), hub::running_hub()) {
            hub.state().timers.cancel(key);
        }
    }
}
