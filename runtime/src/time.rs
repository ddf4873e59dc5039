//! Waiting for a time, and limits on waiting.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::error::Elapsed;
use crate::error::TimeoutThrow;
use crate::hub;
use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::Reason;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::task::yield_now;

pub use crate::sys::clock::Deadline;

/// Waits for a time; others run meanwhile. It never waits for less.
///
/// A zero duration yields, as in gevent.
///
/// # Suspends
///
/// Until the time has passed.
///
/// # Cancellation
///
/// A kill or a timeout ends the sleep.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// corovent_runtime::sleep(Duration::from_millis(2));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[inline(always)]
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return yield_now();
    }
    let deadline = Deadline::after(duration);
    while let Some(begun) = begin_sleep(deadline, duration) {
        match Suspension::outcome_of(begun, deadline) {
            Outcome::TimedOut => return,
            Outcome::Woken => {}
            Outcome::Interrupted => interrupted(),
        }
    }
}

/// Begins to sleep. `None`: the thread has slept.
#[inline(never)]
fn begin_sleep(deadline: Deadline, duration: Duration) -> Option<Begun> {
    match hub::get() {
        Ok(hub) => Some(hub.begin(deadline, Reason::Sleep, Mode::Plain)),
        Err(_) => {
            // The thread is ending, or has no fd left: it runs no coroutines.
            thread::sleep(duration);
            None
        }
    }
}

/// Waits until a point in time; one that is past yields.
///
/// # Suspends
///
/// Until the point has come.
///
/// # Cancellation
///
/// A kill or a timeout ends the sleep.
pub fn sleep_until(deadline: Instant) {
    sleep(deadline.saturating_duration_since(Instant::now()));
}

/// Calls a closure, and gives up on it if it still waits after `duration`.
///
/// The time counts only at waits: a closure that computes is not interrupted, and what it
/// has got without waiting is not taken away, so a zero timeout gives data that is there.
/// When the time is up the wait unwinds to here. Blocks nest; each ends by its own time
/// only. It works on a thread's own stack as well.
///
/// Code inside that catches the unwinding and goes on gets it again at its next wait, eight
/// times in all. An unwinding that passes a [`std::thread::scope`] waits there for its OS
/// threads, and stops this thread meanwhile.
///
/// In a destructor that runs because its coroutine unwinds it interrupts nothing, since nothing
/// is thrown there: what has to end waits with a limit of its own, such as `recv_timeout`.
///
/// gevent's names are `Timeout` and `with_timeout`.
///
/// # Suspends
///
/// Only if the closure does.
///
/// # Errors
///
/// [`Elapsed`] if the time was up.
///
/// # Panics
///
/// If the thread's hub cannot be made.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{sleep, timeout};
/// use std::time::Duration;
///
/// assert_eq!(timeout(Duration::from_secs(9), || 1), Ok(1));
/// assert!(timeout(Duration::from_millis(1), || sleep(Duration::from_secs(9))).is_err());
/// ```
#[track_caller]
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let hub = match hub::get() {
        Ok(hub) => hub,
        Err(error) => panic!("a timeout needs the thread's hub: {error}"),
    };
    let (scope, timer) = hub.open_scope(Deadline::after(duration));
    let result = hub.catch(f);
    hub.close_scope(scope, timer);
    match result {
        Ok(value) => Ok(value),
        Err(payload) if payload.downcast_ref() == Some(&TimeoutThrow { scope }) => Err(Elapsed),
        Err(payload) => hub.rethrow(payload),
    }
}

/// The pauses between attempts where no event tells when one has a chance: each is twice as
/// long as the one before, up to a limit. Whoever waits for long is late by that at most.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// What is about to be given back at all is so within this time.
    const FIRST: Duration = Duration::from_millis(1);
    /// Twenty attempts a second cost next to nothing.
    const LONGEST: Duration = Duration::from_millis(50);

    /// Makes pauses of at most 50 ms.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "nobody asks for a default")]
    pub fn new() -> Pauses {
        Pauses::up_to(Pauses::LONGEST)
    }

    /// Makes pauses up to a limit.
    pub(crate) fn up_to(longest: Duration) -> Pauses {
        Pauses { next: Pauses::FIRST, longest }
    }

    /// Gives the length of the next pause.
    pub fn take(&mut self) -> Duration {
        let longer = (2 * self.next).min(self.longest);
        std::mem::replace(&mut self.next, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::new();
        let ms: Vec<_> = (0..8).map(|_| pauses.take().as_millis()).collect();
        assert_eq!(ms, [1, 2, 4, 8, 16, 32, 50, 50]);
    }
}
