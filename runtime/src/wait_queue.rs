//! A queue of waits, first in, first out: the one list on which coroutines, and threads
//! without a hub, wait for each other.
//!
//! A queue guards a state by a lock of its own. A waiter tries to take what it wants from
//! the state; if it cannot, it links a node of its own frame into the list and blocks.
//! Whoever changes the state wakes the first. A wake is advice to try again, so one who was
//! woken and leaves without having tried passes the wake on. For one who will never run
//! again the hub does so; it cannot touch the queue, which may be gone, and makes everybody
//! try again who waits at its address (see `hub::wake::retry`).
//!
//! **Invariants:** the list is touched only under the lock, and a node leaves it before its
//! frame goes away. Who wakes copies the name of the wait under the lock and uses it after.

pub(crate) mod list;

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::pin::pin;
use std::ptr;

use crate::hub::Begun;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::scheduler::Outcome;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::lock::Guard;
use crate::sys::lock::Lock;
use crate::sys::single_threaded::AtomicUsize;

pub(crate) use crate::wait_queue::list::List;
pub(crate) use crate::wait_queue::list::Node;
pub(crate) use crate::wait_queue::list::Nodes;

/// A state, and those who wait for it to change.
pub(crate) struct WaitQueue<S> {
    inner: Lock<Inner<S>>,
}

/// What the lock guards.
pub(crate) struct Inner<S> {
    /// The state.
    pub(crate) state: S,
    list: List,
    /// That of the next `wake_all`; the tag of a waiter is the one that it waits for. Tags
    /// never fall along the list.
    number: u32,
}

/// What one who waits in several queues links into one of them.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// Which of those queues it is.
    pub(crate) index: usize,
    /// Whether one of them has taken what the waiter offers, which only one may.
    pub(crate) claim: &'a Claim,
    /// Its node for this queue.
    pub(crate) node: Pin<&'a Node>,
    /// Where it waits, which is the same for all.
    pub(crate) place: &'a Place,
    /// The node was linked when the waiter looked last; if it is not now, it was woken since.
    pub(crate) was_linked: bool,
    /// It was woken before, and came too late; if the node is not linked still, it was here.
    pub(crate) had_its_turn: bool,
}

/// What one who offers several things to several others shares with them: only one may take.
#[derive(Debug)]
pub(crate) struct Claim(AtomicUsize);

/// Nothing may be taken: the waiter does not wait.
const CLOSED: usize = usize::MAX;
/// Something may be taken; else it was, and this is its index.
const OPEN: usize = usize::MAX - 1;

impl Claim {
    /// Makes one by which nothing may be taken.
    pub(crate) fn new() -> Claim {
        Claim(AtomicUsize::new(CLOSED))
    }

    /// Lets one thing be taken from now on.
    pub(crate) fn open(&self) {
        self.0.store(OPEN, Ordering::Release);
    }

    /// Whether something may be taken.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }

    /// Takes the thing of that index. False if it may not be taken.
    pub(crate) fn take(&self, index: usize) -> bool {
        self.0.compare_exchange(OPEN, index, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Lets nothing be taken any more, and gives the index of what was.
    pub(crate) fn close(&self) -> Option<usize> {
        let before = self.0.swap(CLOSED, Ordering::AcqRel);
        (before < OPEN).then_some(before)
    }
}

impl<S> WaitQueue<S> {
    /// Makes a queue nobody waits in.
    pub(crate) const fn new(state: S) -> WaitQueue<S> {
        WaitQueue { inner: Lock::new(Inner { state, list: List::new(), number: 0 }) }
    }

    /// Reaches the state.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, Inner<S>> {
        self.inner.lock()
    }

    /// Forgets those who wait and are no more in the child of a fork: all but the tasks of `own`,
    /// or all if the list may be half changed. Gives the state, and whether it may be as well.
    /// Async-signal-safe.
    pub(crate) fn begin_anew(&self, own: Option<&Hub>) -> (Guard<'_, Inner<S>>, bool) {
        let was_locked = self.inner.free_in_child();
        let mut inner = self.inner.lock();
        if was_locked {
            inner.list = List::new();
        } else {
            inner.list.keep(|wake| wake.is_of(own));
        }
        (inner, was_locked)
    }

    /// Waits until `take` finds what it wants in the state.
    ///
    /// `take` runs under the lock: it may not wait, allocate or call user code. The error is
    /// `TimedOut` or `Interrupted`.
    #[inline(always)]
    pub(crate) fn wait<R>(
        &self,
        deadline: Deadline,
        what: What,
        mode: Mode,
        take: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, Outcome> {
        self.wait_as::<R, false>(deadline, what, mode, take)
    }

    /// The same where a wake says that something is meant for the one who is woken: it takes that
    /// even if its time is up meanwhile, or something else wants it.
    #[inline(always)]
    pub(crate) fn wait_to_be_met<R>(
        &self,
        deadline: Deadline,
        what: What,
        mode: Mode,
        take: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, Outcome> {
        self.wait_as::<R, true>(deadline, what, mode, take)
    }

    #[inline(always)]
    fn wait_as<R, const IS_MET: bool>(
        &self,
        deadline: Deadline,
        what: What,
        mode: Mode,
        mut take: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, Outcome> {
        if let Some(taken) = take(&mut self.lock().state) {
            return Ok(taken);
        }
        let node = pin!(Node::new(0));
        let linked = Linked { queue: self, node: node.as_ref() };
        loop {
            let begun = match linked.begin(deadline, what, mode, &mut take) {
                Err(begun) => begun,
                Ok(taken) => {
                    mem::forget(linked);
                    return Ok(taken);
                }
            };
            match Suspension::outcome_of(begun, deadline) {
                Outcome::Woken => {}
                outcome if IS_MET => return linked.leave(take).ok_or(outcome),
                // Dropping `linked` passes on a wake that came meanwhile.
                outcome => return Err(outcome),
            }
        }
    }

    /// Links the node of one who waits for more than this, unless `is_ready`. False if it is;
    /// that runs under the lock, as `take` of [`wait`](WaitQueue::wait).
    pub(crate) fn link_unless(&self, spot: &Spot<'_>, is_ready: impl FnOnce(&S) -> bool) -> bool {
        let mut inner = self.lock();
        if is_ready(&inner.state) {
            return false;
        }
        inner.link(spot.node, spot.place, spot.had_its_turn);
        true
    }

    /// Takes the node of one who waits for more than this out of the list. False if a wake has.
    pub(crate) fn unlink(&self, node: Pin<&Node>) -> bool {
        self.lock().list.unlink(node)
    }

    /// Wakes the first waiter whose hub lives. False if nobody waits.
    pub(crate) fn wake_one(&self) -> bool {
        loop {
            let first = self.lock().list.take_next();
            match first {
                None => return false,
                Some(wake) if wake.wake() => return true,
                Some(_) => {}
            }
        }
    }

    /// Wakes everybody who waits now. Those of other threads who come back meanwhile are not
    /// woken again, or they could keep the caller here for ever.
    pub(crate) fn wake_all(&self) {
        let mut inner = self.lock();
        let number = inner.number;
        inner.number = number.wrapping_add(1);
        while let Some(wake) = inner.list.take_first_of(number) {
            drop(inner);
            wake.wake();
            inner = self.lock();
        }
    }
}

impl<S> Inner<S> {
    /// Takes the first waiter out, to be woken without the lock; and if that is in vain, another
    /// by [`wake_one`](WaitQueue::wake_one).
    #[inline]
    pub(crate) fn call(&mut self) -> Option<WakeRef> {
        self.list.take_next()
    }

    /// Whether anybody waits. Those whose hubs have ended do not count, and are passed over.
    pub(crate) fn is_awaited(&mut self) -> bool {
        while self.list.first().is_some_and(WakeRef::is_void) {
            self.list.take_first();
        }
        !self.list.is_empty()
    }

    /// Links a node, with the name of its next wait: in front, if it had its turn.
    pub(crate) fn link(&mut self, node: Pin<&Node>, place: &Place, had_its_turn: bool) {
        let number = self.number;
        // Not in front of those whom a `wake_all` has yet to wake: it would miss them.
        let may_lead = node.payload().is_some_and(|tag| tag.replace(number) == number);
        self.list.link(node, place, had_its_turn && may_lead);
    }
}

/// Takes a node out of its list before the frame goes away, even if that is by a panic, and
/// passes on a wake that it had.
struct Linked<'a, S> {
    queue: &'a WaitQueue<S>,
    node: Pin<&'a Node>,
}

impl<S> Linked<'_, S> {
    /// Takes what is wanted and is out of the list; or gets in, and begins a wait.
    #[inline(never)]
    fn begin<R>(
        &self,
        deadline: Deadline,
        what: What,
        mode: Mode,
        mut take: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R, Begun> {
        let Linked { queue, node } = *self;
        let reason = Reason::Queue(what, ptr::from_ref(queue).addr());
        let place = Place::announced(reason);
        let mut inner = queue.lock();
        if let Some(taken) = take(&mut inner.state) {
            inner.list.unlink(node);
            return Ok(taken);
        }
        inner.link(node, &place, node.was_taken_out());
        drop(inner);
        Err(place.begin(deadline, reason, mode))
    }

    /// Leaves with what was meant for it, if it was woken.
    #[cold]
    fn leave<R>(self, mut take: impl FnMut(&mut S) -> Option<R>) -> Option<R> {
        let mut inner = self.queue.lock();
        if inner.list.unlink(self.node) {
            drop(inner);
            mem::forget(self);
            return None;
        }
        let taken = take(&mut inner.state)?;
        drop(inner);
        mem::forget(self);
        Some(taken)
    }
}

impl<S> Drop for Linked<'_, S> {
    #[cold]
    fn drop(&mut self) {
        let was_linked = self.queue.lock().list.unlink(self.node);
        if !was_linked && self.node.was_taken_out() {
            self.queue.wake_one();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
impl<S> WaitQueue<S> {
    /// How many wait, for tests that have to know that somebody does.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().list.len()
    }
}
