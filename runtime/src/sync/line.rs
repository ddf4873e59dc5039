//! A line of waiters, first in, first out, with a note of its owner's beside it, a number for
//! most: what the locks, the condition variable, the event and the semaphore wait in.
//!
//! It is a [`WaitQueue`](crate::wait_queue::WaitQueue) whose owner decides itself who is
//! woken, and who passes on what. Small, since there is one in every lock.
//!
//! **Invariant:** the list and the note are touched under the lock only.

// The list and the note are reached through `UnsafeCell`s.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::cell::UnsafeCell;
use std::fmt;
use std::pin::Pin;
use std::ptr;

use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::sys::lock::Guard;
use crate::sys::lock::Lock;
use crate::wait_queue::List;
use crate::wait_queue::Node;

/// Those who wait.
pub(super) struct Line<N = u32> {
    lock: Lock<()>,
    number: UnsafeCell<N>,
    list: UnsafeCell<List>,
}

/// The line, locked.
pub(super) struct LineGuard<'a, N = u32> {
    line: &'a Line<N>,
    _held: Guard<'a, ()>,
}

// SAFETY: the list and the note are `Send`, and reached by who holds the lock alone.
unsafe impl<N: Send> Sync for Line<N> {}

impl Line {
    /// Makes a line nobody waits in.
    pub(super) const fn new() -> Line {
        Line::with(0)
    }
}

impl<N> Line<N> {
    /// Makes a line nobody waits in, with a note.
    pub(super) const fn with(number: N) -> Line<N> {
        let list = UnsafeCell::new(List::new());
        Line { lock: Lock::new(()), number: UnsafeCell::new(number), list }
    }

    /// Locks it. Not across a switch, an allocation or user code.
    #[inline]
    pub(super) fn lock(&self) -> LineGuard<'_, N> {
        LineGuard { line: self, _held: self.lock.lock() }
    }

    /// The reason of a wait in it.
    #[inline]
    pub(super) fn reason(&self, what: What) -> Reason {
        Reason::Queue(what, ptr::from_ref(self).addr())
    }
}

impl<N> LineGuard<'_, N> {
    #[inline]
    fn list(&self) -> &List {
        // SAFETY: the lock is held, and `&mut self` is needed to change the list.
        unsafe { &*self.line.list.get() }
    }

    #[inline]
    fn list_mut(&mut self) -> &mut List {
        // SAFETY: the lock is held, and its only guard is borrowed exclusively.
        unsafe { &mut *self.line.list.get() }
    }

    /// The owner's note.
    #[inline]
    pub(super) fn number(&self) -> N
    where
        N: Copy,
    {
        // SAFETY: the lock is held.
        unsafe { *self.line.number.get() }
    }

    /// Changes the owner's note.
    #[inline]
    pub(super) fn set_number(&mut self, number: N) {
        // SAFETY: the lock is held, and its only guard is borrowed exclusively.
        unsafe { *self.line.number.get() = number };
    }

    /// Whether nobody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// Whether nobody else waits.
    #[inline]
    pub(super) fn is_empty_without(&self, node: Pin<&Node>) -> bool {
        self.list().is_empty() || self.list().is_only(node)
    }

    /// Whether somebody waits, and nobody else.
    #[inline]
    pub(super) fn has_one(&self) -> bool {
        self.list().has_one()
    }

    /// Whether the node is first, or would be.
    #[inline]
    pub(super) fn has_nobody_before(&self, node: Pin<&Node>) -> bool {
        self.list().is_empty() || self.list().is_first(node)
    }

    /// The tag of the first.
    #[inline]
    pub(super) fn first_tag(&self) -> Option<u32> {
        self.list().first_tag()
    }

    /// Adds a node at the end, or at the front; one that is in line keeps its place.
    #[inline]
    pub(super) fn link(&mut self, node: Pin<&Node>, place: &Place, at_front: bool) {
        self.list_mut().link(node, place, at_front);
    }

    /// Removes a node; false if somebody else has.
    #[inline]
    pub(super) fn unlink(&mut self, node: Pin<&Node>) -> bool {
        self.list_mut().unlink(node)
    }

    /// Removes the node that is next and gives the name of its wait.
    #[inline]
    pub(super) fn take_next(&mut self) -> Option<WakeRef> {
        self.list_mut().take_next()
    }

    /// The same with a look at the node's tag, which is its owner's from then on.
    #[inline]
    pub(super) fn take_next_with<R>(
        &mut self,
        look: impl FnOnce(&Cell<u32>) -> R,
    ) -> Option<(R, WakeRef)> {
        self.list_mut().take_next_with(look)
    }

    /// Removes the first node if its tag is not later than `number`.
    #[inline]
    pub(super) fn take_first_of(&mut self, number: u32) -> Option<WakeRef> {
        self.list_mut().take_first_of(number)
    }
}

impl<N> fmt::Debug for Line<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

#[cfg(test)]
impl<N> Line<N> {
    /// How many wait, for tests that have to know that somebody does.
    pub(super) fn waiting(&self) -> usize {
        self.lock().list().len()
    }
}
