//! The condition variable: waiting, without a lock, for what its holder will announce.

use std::fmt;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::pin::pin;
use std::sync::LockResult;
use std::sync::PoisonError;
use std::time::Duration;

use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::line::Line;
use crate::sync::mutex::MutexGuard;
use crate::sync::raw_lock::Kind;
use crate::sync::raw_lock::RawLock;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;

/// Lets the holder of a [`Mutex`](crate::sync::Mutex) wait, without the lock, until another
/// has changed what it guards: the mirror of [`std::sync::Condvar`].
///
/// Those who wait are notified first in, first out. None is woken for nothing, except when
/// the thread of one that was notified ends before it runs: then those who wait return once,
/// since the notification is for one of them. Who was notified and is killed before it has
/// the lock again passes the notification on. One condition variable may be used with several
/// mutexes.
///
/// A kill or a timeout ends the wait without taking the lock again. So a coroutine that is
/// killed while it waits does not poison the mutex, and need not wait for its holder.
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::{Arc, Condvar, Mutex};
///
/// let pair = Arc::new((Mutex::new(false), Condvar::new()));
/// let task = spawn({
///     let pair = Arc::clone(&pair);
///     move || {
///         *pair.0.lock().unwrap() = true;
///         pair.1.notify_one();
///     }
/// });
/// let ready = pair.1.wait_while(pair.0.lock().unwrap(), |ready| !*ready).unwrap();
/// assert!(*ready);
/// task.join().unwrap();
/// ```
pub struct Condvar {
    /// Its number is that of the next `notify_all`; the tag of a waiter is the one that it
    /// waits for.
    line: Line,
}

/// Tells whether a wait with a limit has ended since the time was up: the mirror of
/// [`std::sync::WaitTimeoutResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl WaitTimeoutResult {
    /// Whether the time was up before a notification came.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Makes a condition variable nobody waits for.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar { line: Line::new() }
    }

    /// Gives the lock up, waits for a notification, and takes the lock again.
    ///
    /// No notification is missed that comes after the lock was given up.
    ///
    /// # Suspends
    ///
    /// Until it is notified and has the lock. A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it was taken again; the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// The lock is not held, and not poisoned. A notification goes to the next.
    #[inline(always)]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, Deadline::NEVER).0
    }

    /// Waits as long as `condition` is true of the value.
    ///
    /// # Suspends
    ///
    /// Until the condition is false; it is asked first, and after each notification.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it was taken again; the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// The lock is not held, and not poisoned. A notification goes to the next.
    #[inline(always)]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits for a notification, but not longer than so many milliseconds. False: the time
    /// was up.
    ///
    /// # Suspends
    ///
    /// Until it is notified or the time is up, and it has the lock.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it was taken again; the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// The lock is not held, and not poisoned. A notification goes to the next.
    #[deprecated(note = "replaced by `Condvar::wait_timeout`")]
    pub fn wait_timeout_ms<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        ms: u32,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        match self.wait_timeout(guard, Duration::from_millis(u64::from(ms))) {
            Ok((guard, result)) => Ok((guard, !result.timed_out())),
            Err(error) => {
                let (guard, result) = error.into_inner();
                Err(PoisonError::new((guard, !result.timed_out())))
            }
        }
    }

    /// Waits for a notification, but not longer than `dur` from the call on.
    ///
    /// # Suspends
    ///
    /// Until it is notified or the time is up, and it has the lock, which may take longer.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it was taken again; the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// The lock is not held, and not poisoned. A notification goes to the next.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        dur: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, notified) = self.wait_until(guard, Deadline::after(dur));
        with(guard, WaitTimeoutResult(!notified))
    }

    /// Waits as long as `condition` is true of the value, but not longer than `dur` from the
    /// call on.
    ///
    /// # Suspends
    ///
    /// Until the condition is false or the time is up, and it has the lock.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it was taken again; the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// The lock is not held, and not poisoned. A notification goes to the next.
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        dur: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Deadline::after(dur);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if Deadline::now() > deadline {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            let (taken, notified) = self.wait_until(guard, deadline);
            guard = with(taken, WaitTimeoutResult(!notified))?.0;
        }
    }

    /// Wakes the one that has waited longest, if anybody waits.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn notify_one(&self) {
        loop {
            let first = self.line.lock().take_next();
            // One whose hub has ended waits no more.
            if first.is_none_or(|wake| wake.wake()) {
                return;
            }
        }
    }

    /// Wakes all who wait now.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn notify_all(&self) {
        let mut line = self.line.lock();
        let number = line.number();
        line.set_number(number.wrapping_add(1));
        // Those who come meanwhile wait for a later number.
        while let Some(first) = line.take_first_of(number) {
            drop(line);
            first.wake();
            line = self.line.lock();
        }
    }

    /// Waits without the lock; false if the deadline has passed before a notification came.
    #[inline(always)]
    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        // While there is a guard: it would let the lock go if this panics.
        Place::check();
        guard.give_up_while(|lock| self.wait_unlocked(lock, deadline))
    }

    /// Gives up a lock, waits, and takes it again; or unwinds without it.
    #[inline(always)]
    fn wait_unlocked(&self, lock: &RawLock, deadline: Deadline) -> bool {
        let notified = self.wait_notified(lock, deadline);
        let taken = lock.acquire(Kind::Write, What::Lock, Deadline::NEVER);
        if taken.is_err() {
            self.give_up(notified);
        }
        notified
    }

    #[inline(always)]
    fn wait_notified(&self, lock: &RawLock, deadline: Deadline) -> bool {
        let node = pin!(Node::new(0));
        let waits = Waits { condvar: self, node: node.as_ref() };
        let outcome = Suspension::outcome_of(waits.begin(lock, deadline), deadline);
        waits.end(outcome)
    }

    /// Passes on a notification, and throws what ended the wait.
    #[cold]
    fn give_up(&self, notified: bool) -> ! {
        if notified {
            self.notify_one();
        }
        interrupted();
    }
}

/// Puts two results of a wait into one.
fn with<G>(guard: LockResult<G>, result: WaitTimeoutResult) -> LockResult<(G, WaitTimeoutResult)> {
    match guard {
        Ok(guard) => Ok((guard, result)),
        Err(error) => Err(PoisonError::new((error.into_inner(), result))),
    }
}

/// Takes a node out of the line before the frame goes away. If that is by a panic, it passes on
/// a notification that it had.
struct Waits<'a> {
    condvar: &'a Condvar,
    node: Pin<&'a Node>,
}

impl Waits<'_> {
    /// Gets in line, gives up the lock, and begins a wait.
    #[inline(never)]
    fn begin(&self, lock: &RawLock, deadline: Deadline) -> Begun {
        let reason = self.condvar.line.reason(What::Condvar);
        let place = Place::announced(reason);
        let mut line = self.condvar.line.lock();
        self.node.set_tag(line.number());
        line.link(self.node, &place, false);
        drop(line);
        // A notification that comes from now on finds the node.
        lock.unlock();
        place.begin(deadline, reason, Mode::Plain)
    }

    /// Ends a wait; whether that was by a notification.
    #[inline]
    fn end(self, outcome: Outcome) -> bool {
        let is_notified = outcome == Outcome::Woken && !self.node.is_linked();
        if is_notified {
            mem::forget(self);
            return true;
        }
        self.end_slowly(outcome)
    }

    #[cold]
    fn end_slowly(self, outcome: Outcome) -> bool {
        let was_notified = !self.leave();
        let condvar = self.condvar;
        mem::forget(self);
        match outcome {
            // In line still: it was woken for one whose hub has ended, and who may have been
            // notified. Better once for nothing than never.
            Outcome::Woken => true,
            Outcome::TimedOut => was_notified,
            Outcome::Interrupted => condvar.give_up(was_notified),
        }
    }

    /// False if a notification has taken it out.
    fn leave(&self) -> bool {
        let is_in_line = self.condvar.line.lock().unlink(self.node);
        is_in_line || !self.node.was_taken_out()
    }
}

impl Drop for Waits<'_> {
    #[cold]
    fn drop(&mut self) {
        if !self.leave() {
            self.condvar.notify_one();
        }
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
