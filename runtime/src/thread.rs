//! The mirror of [`std::thread`]: a "thread" here is a coroutine.

use std::time::Duration;

use crate::hub;
use crate::hub::identity;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;

pub use crate::hub::identity::Thread;
pub use crate::hub::identity::ThreadId;
pub use crate::join::JoinHandle;
pub use crate::local::AccessError;
pub use crate::local::LocalKey;
pub use crate::task::Builder;
pub use crate::task::current;
pub use crate::task::spawn;
pub use crate::task::yield_now;
pub use crate::time::sleep;
pub use crate::time::sleep_until;

pub use std::thread::Result;
pub use std::thread::available_parallelism;

/// Waits for the token of this coroutine or thread, which
/// [`Thread::unpark`] makes available.
///
/// As in std it may return for nothing, so it belongs into a loop.
///
/// # Suspends
///
/// Until the token is there. A thread without a hub is stopped.
///
/// # Cancellation
///
/// A token that comes meanwhile is kept for the next call.
///
/// # Examples
///
/// ```
/// use corovent_runtime::thread;
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let flag = Rc::new(Cell::new(false));
/// let task = thread::spawn({
///     let flag = Rc::clone(&flag);
///     move || {
///         while !flag.get() {
///             thread::park();
///         }
///     }
/// });
/// flag.set(true);
/// task.thread().unpark();
/// task.join().unwrap();
/// ```
#[inline(always)]
pub fn park() {
    park_until(Deadline::NEVER);
}

/// Waits for the token of this coroutine or thread, but not longer than `timeout`.
///
/// # Suspends
///
/// Until the token is there, or the time is up.
///
/// # Cancellation
///
/// A token that comes meanwhile is kept for the next call.
pub fn park_timeout(timeout: Duration) {
    park_until(Deadline::after(timeout));
}

/// Waits for the token of this coroutine or thread, but not longer than so many
/// milliseconds: std's old form of [`park_timeout`].
///
/// # Suspends
///
/// Until the token is there, or the time is up.
#[deprecated(since = "0.1.0", note = "replaced by `corovent::thread::park_timeout`")]
pub fn park_timeout_ms(ms: u32) {
    park_timeout(Duration::from_millis(ms.into()));
}

/// Waits for so many milliseconds: std's old form of [`sleep`].
///
/// # Suspends
///
/// Until the time has passed.
#[deprecated(since = "0.1.0", note = "replaced by `corovent::thread::sleep`")]
pub fn sleep_ms(ms: u32) {
    sleep(Duration::from_millis(ms.into()));
}

#[inline(always)]
fn park_until(deadline: Deadline) {
    if identity::park(deadline) == Outcome::Interrupted {
        interrupted();
    }
}

/// Whether the running coroutine unwinds: by a panic, a kill or a timeout.
///
/// std's function of that name tells of the OS thread, which unwinds whenever one of its
/// coroutines waits in the middle of it.
///
/// # Examples
///
/// ```
/// struct Guard;
///
/// impl Drop for Guard {
///     fn drop(&mut self) {
///         assert!(corovent_runtime::thread::panicking());
///     }
/// }
///
/// let task = corovent_runtime::spawn(|| {
///     let _guard = Guard;
///     corovent_runtime::thread::park();
/// });
/// corovent_runtime::yield_now();
/// task.kill();
/// assert!(task.join().is_err());
/// ```
#[must_use]
pub fn panicking() -> bool {
    match hub::current() {
        Some(hub) => hub.is_unwinding(),
        None => std::thread::panicking(),
    }
}
