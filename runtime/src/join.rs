//! Joining a coroutine: its result, or why there is none.

// A joiner promises to have its handle to itself.
#![allow(unsafe_code)]

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::hub;
use crate::hub::Begun;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::UNWINDS;
use crate::hub::identity::Thread;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::packet::HandleSide;
use crate::packet::Head;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;

/// Owns the right to a coroutine's result: the mirror of [`std::thread::JoinHandle`].
///
/// Dropping it detaches the coroutine, which goes on. It may be used on any thread that it
/// can be sent to; it can be if `T` can.
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::spawn(|| std::rc::Rc::new(1)));
/// ```
///
/// ```
/// fn is_sync<T: Sync>(_: &T) {}
/// is_sync(&corovent_runtime::spawn(|| std::rc::Rc::new(1)));
/// ```
pub struct JoinHandle<T> {
    pub(crate) side: HandleSide<T>,
}

impl<T> JoinHandle<T> {
    /// Waits for the coroutine to end, and gives what it returned or panicked with.
    ///
    /// The `Err` of a coroutine that was killed is [`Killed`](crate::error::Killed), of one
    /// whose thread has ended [`Abandoned`](crate::error::Abandoned).
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If a coroutine joins itself.
    ///
    /// # Cancellation
    ///
    /// The joined coroutine goes on, detached.
    ///
    /// # Examples
    ///
    /// ```
    /// let task = corovent_runtime::spawn(|| 6 * 7);
    /// assert_eq!(task.join().unwrap(), 42);
    /// ```
    #[inline(always)]
    pub fn join(self) -> thread::Result<T> {
        match self.wait_until(Deadline::NEVER) {
            Some(hub) => hub.throw(),
            None => self.side.take(),
        }
    }

    /// Waits for the coroutine to end, but not longer than `timeout`; then gives the handle
    /// back.
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended, or the time is up.
    ///
    /// # Panics
    ///
    /// If a coroutine joins itself.
    ///
    /// # Cancellation
    ///
    /// The joined coroutine goes on, detached.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let task = corovent_runtime::spawn(corovent_runtime::thread::park);
    /// let task = task.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// task.thread().unpark();
    /// task.join().unwrap();
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        self.join_until(Deadline::after(timeout))
    }

    /// The same with a deadline.
    pub(crate) fn join_until(self, deadline: Deadline) -> Result<thread::Result<T>, Self> {
        match self.wait_until(deadline) {
            Some(hub) => hub.throw(),
            None if self.is_finished() => Ok(self.side.take()),
            None => Err(self),
        }
    }

    /// Whether the coroutine has ended.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn is_finished(&self) -> bool {
        self.side.head().is_done()
    }

    /// Asks the coroutine to end. True if it will get to see that; false if it has ended
    /// already, or if this build cannot unwind.
    ///
    /// Nothing happens at once: one that has not run yet never will, one that waits unwinds
    /// from that wait with the payload [`Killed`](crate::error::Killed), and one that is ready
    /// to run gets what it waited for and unwinds from its next wait. Code that swallows the
    /// payload gets it again at its next wait, eight times in all. gevent's name is
    /// `Greenlet.kill`.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// let task = corovent_runtime::spawn(|| loop { corovent_runtime::yield_now() });
    /// assert!(task.kill());
    /// assert!(task.join().unwrap_err().is::<corovent_runtime::Killed>());
    /// ```
    pub fn kill(&self) -> bool {
        kill(self.side.head())
    }

    /// Asks the coroutine to end, and waits until it has. False if the time was up first, or
    /// if the coroutine swallowed the kill every time.
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended or ignored the kill, or the time is up.
    ///
    /// # Cancellation
    ///
    /// The kill stays in force.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let task = corovent_runtime::spawn(corovent_runtime::thread::park);
    /// assert!(task.kill_timeout(Duration::from_secs(1)));
    /// assert!(task.is_finished());
    /// ```
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        let deadline = Deadline::after(timeout);
        let head = self.side.head();
        head.clear_kill_ignored();
        if !self.kill() {
            return head.is_done();
        }
        wait_for_fate(head, deadline)
    }

    /// Gives the handle that names and unparks the coroutine.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.side.head().thread()
    }

    /// Waits until the coroutine has ended or the deadline has passed. `Some`: something
    /// wants the caller, who throws.
    #[inline(always)]
    fn wait_until(&self, deadline: Deadline) -> Option<&'static Hub> {
        let head = self.side.head();
        while !head.is_done() {
            // SAFETY: the methods that come here use the handle up, so it is not shared.
            let begun = unsafe { begin_join(head, deadline) };
            let outcome = Suspension::outcome_of(begun, deadline);
            head.stop_joining();
            match outcome {
                Outcome::Woken => {}
                Outcome::TimedOut => return None,
                Outcome::Interrupted => return hub::current(),
            }
        }
        None
    }
}

/// Begins to wait for the end of a coroutine.
///
/// # Safety
///
/// The caller must have the handle to itself until it has called
/// [`stop_joining`](Head::stop_joining).
#[inline(never)]
unsafe fn begin_join(head: &Head, deadline: Deadline) -> Begun {
    if let Some(hub) = hub::current()
        && head.is_of(hub)
    {
        assert!(head.slot() != Some(hub.slot()), "a coroutine cannot join itself");
        hub.check_caller();
        head.start_joining_at_home(hub.slot());
        return hub.begin(deadline, Reason::Join(head.id), Mode::Plain);
    }
    // SAFETY: as the caller vouches.
    unsafe { begin_elsewhere(head, deadline) }
}

/// The same for one of another hub, or on a thread that has none.
///
/// # Safety
///
/// As for [`begin_join`].
#[cold]
#[inline(never)]
unsafe fn begin_elsewhere(head: &Head, deadline: Deadline) -> Begun {
    if head.lose_if_orphaned() {
        return Err(Outcome::Woken);
    }
    let place = Place::current();
    // SAFETY: as the caller vouches.
    if !unsafe { head.start_joining(place.wake_ref()) } {
        return Err(Outcome::Woken);
    }
    place.begin(deadline, Reason::Join(head.id), Mode::Plain)
}

/// Asks a coroutine to end; see [`JoinHandle::kill`].
pub(crate) fn kill(head: &Head) -> bool {
    if head.is_done() {
        return false;
    }
    match (hub::current(), head.slot()) {
        (Some(hub), Some(slot)) if head.is_of(hub) => hub.kill(slot, head.id),
        // Only its own thread knows whether it has started, and only then it could end.
        _ => UNWINDS && head.send_kill(),
    }
}

/// Waits until a coroutine that was killed has ended. False if the time was up first, or if
/// it swallowed the kill every time.
pub(crate) fn wait_for_fate(head: &Head, deadline: Deadline) -> bool {
    match head.start_watching().wait(deadline, What::Kill, Mode::Plain, |()| head.fate()) {
        Ok(ended) => ended,
        Err(Outcome::Interrupted) => interrupted(),
        Err(_) => false,
    }
}

/// Throws what interrupted the running task.
#[cold]
pub(crate) fn interrupted() -> ! {
    hub::current().expect("only a hub's tasks are interrupted").throw()
}

/// Takes back a deadlock of a root that got what it waited for after all. A kill or a timeout
/// stays in force, and is thrown at the next wait.
#[cold]
pub(crate) fn got_it_after_all() {
    if let Some(hub) = hub::current() {
        hub.take_deadlock();
    }
}

// No value of the type is in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
