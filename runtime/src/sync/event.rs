//! The event: a flag that many can wait for.
//!
//! A word holds the flag, and whether somebody may be in line. Who finds the flag set goes on;
//! who sets it takes out of the line all who are in it, and wakes them. One that was taken out
//! has its answer, whatever becomes of the flag before it runs; so one that leaves has nothing
//! to pass on.
//!
//! **Invariant**, under the line's lock: `QUEUED` is set while somebody is in line.

use std::fmt;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::pin::pin;
use std::time::Duration;

use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::select::Selectable;
use crate::select::Waitable;
use crate::sync::line::Line;
use crate::sync::line::LineGuard;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::single_threaded::AtomicU32;
use crate::wait_queue::Node;
use crate::wait_queue::Spot;

/// Lets any number wait until somebody says go: gevent's `Event`.
///
/// It is a flag. [`wait`](Event::wait) returns at once while it is set, and else waits for
/// [`set`](Event::set), which wakes all who wait then, first in, first out. A waiter that was
/// woken returns even if the flag was taken back by [`clear`](Event::clear) before it ran: so
/// `set` and `clear` in a row let go on who waits now, and nobody who comes later.
///
/// It works between coroutines, of one thread or of several, and with threads that have none.
///
/// # Examples
///
/// Workers that wait for the start signal:
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::{Arc, Event, Mutex};
///
/// let (start, log) = (Arc::new(Event::new()), Arc::new(Mutex::new(Vec::new())));
/// let workers: Vec<_> = (1..=3)
///     .map(|number| {
///         let (start, log) = (Arc::clone(&start), Arc::clone(&log));
///         spawn(move || {
///             start.wait();
///             log.lock().unwrap().push(format!("worker {number} starts"));
///         })
///     })
///     .collect();
/// corovent_runtime::yield_now();
/// log.lock().unwrap().push("go".to_owned());
/// start.set();
/// for worker in workers {
///     worker.join().unwrap();
/// }
/// let expected = ["go", "worker 1 starts", "worker 2 starts", "worker 3 starts"];
/// assert_eq!(*log.lock().unwrap(), expected);
/// ```
///
/// A traffic light: cars pass while it is green, and those who come at red wait for the next
/// green.
///
/// ```
/// use corovent_runtime::sync::{Event, Mutex};
/// use corovent_runtime::{scope, yield_now};
///
/// let (green, passed) = (Event::new(), Mutex::new(Vec::new()));
/// scope(|street| {
///     let drive = |car: &'static str| {
///         green.wait();
///         passed.lock().unwrap().push(car);
///     };
///     green.set();
///     street.spawn(move || drive("at green"));
///     yield_now();
///     green.clear();
///     street.spawn(move || drive("at red"));
///     street.spawn(move || drive("behind it"));
///     yield_now();
///     assert_eq!(*passed.lock().unwrap(), ["at green"]);
///     // However short the light is green: who waits for it passes.
///     green.set();
///     green.clear();
/// });
/// assert_eq!(*passed.lock().unwrap(), ["at green", "at red", "behind it"]);
/// assert!(!green.is_set());
/// ```
pub struct Event {
    /// `SET` and `QUEUED`.
    word: AtomicU32,
    /// Its number is that of the next `set` that finds somebody; the tag of a waiter is the
    /// one that it waits for.
    line: Line,
}

/// The flag.
const SET: u32 = 1;
/// Somebody may be in line: who sets the flag has to look.
const QUEUED: u32 = 2;

impl UnwindSafe for Event {}
impl RefUnwindSafe for Event {}

impl Event {
    /// Makes an event whose flag is not set.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn new() -> Event {
        Event { word: AtomicU32::new(0), line: Line::new() }
    }

    /// Sets the flag, and wakes all who wait for it, in the order in which they came.
    ///
    /// Nothing happens if it is set already. What the caller did before is seen by whoever
    /// finds the flag set.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn set(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & QUEUED == 0 {
            // Also if it is set: what the caller did before is to be seen.
            let order = (Ordering::Release, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, word | SET, order.0, order.1) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.set_for_those_in_line();
    }

    /// Takes the flag back: who comes from now on waits for the next [`set`](Event::set).
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn clear(&self) {
        self.word.fetch_and(!SET, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Waits until the flag is set.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it was set for a moment. A thread without a hub is
    /// stopped.
    #[inline(always)]
    pub fn wait(&self) {
        if !self.is_set() {
            self.wait_until(Deadline::NEVER, What::Event);
        }
    }

    /// Waits until the flag is set, but not longer than `timeout`. False: the time was up
    /// first.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it was set for a moment, or the time is up. A thread
    /// without a hub is stopped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = corovent_runtime::sync::Event::new();
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::ZERO));
    /// ```
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_set() || self.wait_until(Deadline::after(timeout), What::Event)
    }

    /// Sets the flag, with something else that is done first, under the line's lock. False: it
    /// was set already, and nothing is done. `first` may not wait, allocate or call user code.
    pub(super) fn set_once(&self, first: impl FnOnce()) -> bool {
        let line = self.line.lock();
        if self.is_set() {
            return false;
        }
        first();
        self.set_and_wake(line);
        true
    }

    #[cold]
    fn set_for_those_in_line(&self) {
        self.set_and_wake(self.line.lock());
    }

    /// Sets the flag, and wakes all who wait now. Who comes after the flag was seen waits for a
    /// later number, even if it is taken back at once: it is set with the line locked.
    fn set_and_wake<'a>(&'a self, mut line: LineGuard<'a>) {
        if self.word.fetch_or(SET, Ordering::Release) & QUEUED == 0 {
            return;
        }
        let number = line.number();
        line.set_number(number.wrapping_add(1));
        while let Some(first) = line.take_first_of(number) {
            drop(line);
            first.wake();
            line = self.line.lock();
        }
        self.note_left(&line);
    }

    /// Waits until the flag is set; false if the deadline has passed first.
    #[inline(always)]
    pub(super) fn wait_until(&self, deadline: Deadline, what: What) -> bool {
        let node = pin!(Node::new(0));
        let in_line = InLine { event: self, node: node.as_ref() };
        while let Some(begun) = in_line.begin(deadline, what) {
            match Suspension::outcome_of(begun, deadline) {
                Outcome::Woken if !in_line.node.is_linked() => {
                    mem::forget(in_line);
                    return true;
                }
                // It was woken for one whose hub has ended, which is nothing to this one.
                Outcome::Woken => {}
                outcome => return in_line.end(outcome),
            }
        }
        true
    }

    /// Puts a node into the line; one that is there keeps its place. False if the flag is set, or
    /// was since the node was there.
    fn enter(&self, node: Pin<&Node>, place: &Place, was_there: bool) -> bool {
        let mut line = self.line.lock();
        let was_set = was_there && !node.is_linked();
        let waits = !was_set && self.note_queued();
        if waits {
            if !node.is_linked() {
                node.set_tag(line.number());
            }
            line.link(node, place, false);
        }
        waits
    }

    /// Takes a node out of the line. False if a `set` has.
    fn leave(&self, node: Pin<&Node>) -> bool {
        let mut line = self.line.lock();
        let was_linked = line.unlink(node);
        self.note_left(&line);
        was_linked
    }

    /// Notes that somebody is in line from now on; false if the flag is set. It is one
    /// exchange, so a `set` comes either before it or sees the note.
    fn note_queued(&self) -> bool {
        let mut word = self.word.load(Ordering::Acquire);
        while word & (SET | QUEUED) == 0 {
            let order = (Ordering::Relaxed, Ordering::Acquire);
            match self.word.compare_exchange_weak(word, word | QUEUED, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        word & SET == 0
    }

    /// Takes the note back if nobody is in line any more.
    fn note_left(&self, line: &LineGuard<'_>) {
        if line.is_empty() {
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }
}

/// Takes a node out of the line before the frame goes away, even if that is by a panic.
struct InLine<'a> {
    event: &'a Event,
    node: Pin<&'a Node>,
}

impl InLine<'_> {
    /// Gets in line and begins a wait. `None`: the flag is set.
    #[inline(never)]
    fn begin(&self, deadline: Deadline, what: What) -> Option<Begun> {
        let reason = self.event.line.reason(what);
        let place = Place::announced(reason);
        let waits = self.event.enter(self.node, &place, false);
        waits.then(|| place.begin(deadline, reason, Mode::Plain))
    }

    /// Leaves the line after a wait that nobody has ended; whether the flag was set.
    #[cold]
    fn end(self, outcome: Outcome) -> bool {
        let event = self.event;
        let was_set = !event.leave(self.node);
        mem::forget(self);
        if outcome == Outcome::Interrupted {
            interrupted();
        }
        // It may have been set since.
        was_set || event.is_set()
    }
}

impl Drop for InLine<'_> {
    #[cold]
    fn drop(&mut self) {
        self.event.leave(self.node);
    }
}

impl Selectable for Event {}

impl Waitable for Event {
    fn is_ready(&self) -> bool {
        self.is_set()
    }

    fn was_ready(&self, was_woken: bool) -> bool {
        was_woken || self.is_set()
    }

    fn link(&self, spot: &Spot<'_>) -> bool {
        self.enter(spot.node, spot.place, spot.was_linked)
    }

    fn unlink(&self, node: Pin<&Node>) -> bool {
        self.leave(node)
    }

    fn pass_on(&self) {
        // All are woken at once.
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
