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
//! **Invariants:** a node is touched only under the lock, and unlinked before its frame
//! goes away. Who wakes copies the name of the wait under the lock and uses it after.

// Nodes are linked by raw pointers into the frames of those who wait.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::pin::pin;
use std::ptr;

use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::sys::lock::Guard;
use crate::sys::lock::Lock;

/// A state, and those who wait for it to change.
pub(crate) struct WaitQueue<S> {
    inner: Lock<Inner<S>>,
}

/// What the lock guards.
pub(crate) struct Inner<S> {
    /// The state.
    pub(crate) state: S,
    list: List,
}

/// A ring of nodes; null is empty.
pub(crate) struct List {
    first: *const Node,
}

/// The place of one waiter, in its own frame.
pub(crate) struct Node {
    wake: Cell<Option<WakeRef>>,
    next: Cell<*const Node>,
    previous: Cell<*const Node>,
    linked: Cell<bool>,
    /// What the owner of the list wants to know of the waiter.
    tag: Cell<u32>,
    _pin: PhantomPinned,
}

// SAFETY: the list is reached under the lock only, and the names in its nodes are `Send`.
unsafe impl Send for List {}

impl<S> WaitQueue<S> {
    /// Makes a queue nobody waits in.
    pub(crate) const fn new(state: S) -> WaitQueue<S> {
        WaitQueue { inner: Lock::new(Inner { state, list: List::new() }) }
    }

    /// Reaches the state.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, Inner<S>> {
        self.inner.lock()
    }

    /// Waits until `take` finds what it wants in the state.
    ///
    /// `take` runs under the lock: it may not wait, allocate or call user code. The error is
    /// `TimedOut` or `Interrupted`.
    pub(crate) fn wait<R>(
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
        let node = node.as_ref();
        let reason = Reason::Queue(what, ptr::from_ref(self).addr());
        let linked = Linked { queue: self, node };
        let mut had_its_turn = false;
        loop {
            let place = Place::current();
            // Before the lock is taken: whoever wakes this node finds it announced.
            place.announce(reason);
            let mut inner = self.lock();
            if let Some(taken) = take(&mut inner.state) {
                inner.list.unlink(node);
                drop(inner);
                mem::forget(linked);
                return Ok(taken);
            }
            inner.list.link(node, place.wake_ref(), had_its_turn);
            drop(inner);
            match place.block(deadline, reason, mode) {
                Outcome::Woken => had_its_turn = true,
                // Dropping `linked` passes on a wake that came meanwhile.
                outcome => return Err(outcome),
            }
        }
    }

    /// Wakes the first waiter whose hub lives. False if nobody waits.
    pub(crate) fn wake_one(&self) -> bool {
        loop {
            let first = self.lock().list.take_first();
            match first {
                None => return false,
                Some(wake) if wake.wake() => return true,
                Some(_) => {}
            }
        }
    }

    /// Wakes everybody who waits now.
    pub(crate) fn wake_all(&self) {
        // A waiter of another thread that comes back meanwhile is only woken again.
        while self.wake_one() {}
    }
}

/// Takes a node out of its list before the frame goes away, even if that is by a panic, and
/// passes on a wake that it had.
struct Linked<'a, S> {
    queue: &'a WaitQueue<S>,
    node: Pin<&'a Node>,
}

impl<S> Drop for Linked<'_, S> {
    fn drop(&mut self) {
        let was_woken = !self.queue.lock().list.unlink(self.node);
        if was_woken {
            self.queue.wake_one();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

impl List {
    /// Makes an empty list.
    pub(crate) const fn new() -> List {
        List { first: ptr::null() }
    }

    /// Whether nobody is in it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Whether the node is the first.
    #[inline]
    pub(crate) fn is_first(&self, node: Pin<&Node>) -> bool {
        ptr::eq(self.first, node.get_ref())
    }

    /// Whether the node is the only one.
    #[inline]
    pub(crate) fn is_only(&self, node: Pin<&Node>) -> bool {
        self.is_first(node) && ptr::eq(node.next.get(), node.get_ref())
    }

    /// The tag of the first.
    #[inline]
    pub(crate) fn first_tag(&self) -> Option<u32> {
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let first = unsafe { self.first.as_ref() }?;
        Some(first.tag.get())
    }

    /// Adds a node: at the end, or at the front if it had its turn and lost the race. One that
    /// is in line still, after a wake that was not for it alone, keeps its place.
    pub(crate) fn link(&mut self, node: Pin<&Node>, wake: WakeRef, at_front: bool) {
        let node: *const Node = node.get_ref();
        // SAFETY: the caller's frame holds the node and unlinks it before it goes away.
        let new = unsafe { &*node };
        new.wake.set(Some(wake));
        if new.linked.replace(true) {
            return;
        }
        if self.first.is_null() {
            new.next.set(node);
            new.previous.set(node);
            self.first = node;
            return;
        }
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let first = unsafe { &*self.first };
        // SAFETY: as above.
        let last = unsafe { &*first.previous.get() };
        new.next.set(self.first);
        new.previous.set(last);
        last.next.set(node);
        first.previous.set(node);
        if at_front {
            self.first = node;
        }
    }

    /// Removes a node; false if somebody else has.
    pub(crate) fn unlink(&mut self, node: Pin<&Node>) -> bool {
        let node = node.get_ref();
        if !node.linked.get() {
            return false;
        }
        self.remove(node);
        true
    }

    /// Removes the first node and gives the name of its wait.
    pub(crate) fn take_first(&mut self) -> Option<WakeRef> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let first = unsafe { &*self.first };
        self.remove(first);
        first.wake.take()
    }

    fn remove(&mut self, node: &Node) {
        node.linked.set(false);
        let next = node.next.get();
        if ptr::eq(next, node) {
            self.first = ptr::null();
            return;
        }
        let previous = node.previous.get();
        // SAFETY: the neighbours of a linked node are linked, so their frames are there.
        unsafe { (*next).previous.set(previous) };
        // SAFETY: as above.
        unsafe { (*previous).next.set(next) };
        if ptr::eq(self.first, node) {
            self.first = next;
        }
    }
}

impl Node {
    pub(crate) fn new(tag: u32) -> Node {
        Node {
            tag: Cell::new(tag),
            wake: Cell::new(None),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            linked: Cell::new(false),
            _pin: PhantomPinned,
        }
    }

    /// Changes what the owner of the list knows of the waiter. Under the list's lock.
    #[inline]
    pub(crate) fn set_tag(&self, tag: u32) {
        self.tag.set(tag);
    }

    /// Whether it is in a list. Under the list's lock.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.linked.get()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
pub(crate) mod tests;

#[cfg(all(test, not(loom)))]
impl<S> WaitQueue<S> {
    /// How many wait, for tests that have to know that somebody does.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().list.len()
    }
}

#[cfg(all(test, not(loom)))]
impl List {
    /// How many nodes there are. Under the list's lock.
    pub(crate) fn len(&self) -> usize {
        let mut count = 0;
        let mut at = self.first;
        while !at.is_null() {
            count += 1;
            // SAFETY: a linked node's frame is there, and the lock is held.
            at = unsafe { (*at).next.get() };
            if ptr::eq(at, self.first) {
                break;
            }
        }
        count
    }
}
