//! A list of those who wait, first in, first out, through nodes in their own frames.
//!
//! It belongs into a lock. A node carries a value that who waits and who wakes hand to each
//! other: while the node is in the list it is the list's, so reached under that lock only;
//! before and after it is its owner's.
//!
//! **Invariant:** a node leaves its list before its frame goes away: its owner sees to that,
//! even if it unwinds. If it did not, dropping the node would abort the process.

// Nodes are linked by raw pointers into the frames of those who wait.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;

use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::order;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::process::abort_with;

/// A ring of nodes; null is empty. Unless it is said otherwise a node carries a tag: what the
/// owner of the list wants to know of the waiter.
pub(crate) struct List<P = Cell<u32>> {
    first: *const Node<P>,
}

/// The place of one waiter, in its own frame.
pub(crate) struct Node<P = Cell<u32>> {
    payload: P,
    wake: Cell<Option<WakeRef>>,
    next: Cell<*const Node<P>>,
    previous: Cell<*const Node<P>>,
    /// Changed under the lock. Once its owner sees that it is false, nobody else touches the
    /// node until it is linked again.
    linked: AtomicBool,
    _pin: PhantomPinned,
}

/// Nodes of one waiter in several lists: where they are they stay.
pub(crate) struct Nodes(Box<[Node]>);

// SAFETY: the list is reached under a lock only, the names in its nodes are `Send`, and so is
// what they carry.
unsafe impl<P: Send> Send for List<P> {}

impl<P> List<P> {
    /// Makes an empty list.
    pub(crate) const fn new() -> List<P> {
        List { first: ptr::null() }
    }

    /// Whether nobody waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Whether there is one node.
    #[inline]
    pub(crate) fn has_one(&self) -> bool {
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        unsafe { self.first.as_ref() }.is_some_and(|first| ptr::eq(first.next.get(), self.first))
    }

    /// Whether the node is the first.
    #[inline]
    pub(crate) fn is_first(&self, node: Pin<&Node<P>>) -> bool {
        ptr::eq(self.first, node.get_ref())
    }

    /// Whether the node is the only one.
    #[inline]
    pub(crate) fn is_only(&self, node: Pin<&Node<P>>) -> bool {
        self.is_first(node) && ptr::eq(node.next.get(), node.get_ref())
    }

    /// Adds a node, with the name of the next wait at the place: at the end, or at the front if it
    /// had its turn and lost the race. One that is in line still, after a wake that was not for it
    /// alone, keeps its place.
    pub(crate) fn link(&mut self, node: Pin<&Node<P>>, place: &Place, at_front: bool) {
        self.link_named(node, |name| place.name_wait(name), at_front);
    }

    /// Does that with a name that is written for the node.
    #[inline(always)]
    pub(super) fn link_named(
        &mut self,
        node: Pin<&Node<P>>,
        write_name: impl FnOnce(&Cell<Option<WakeRef>>),
        at_front: bool,
    ) {
        let node: *const Node<P> = node.get_ref();
        // SAFETY: it was a reference just now. A pinned node is there until it is dropped, and
        // that aborts the process if it is linked still.
        let new = unsafe { &*node };
        write_name(&new.wake);
        if new.linked.load(Ordering::Relaxed) {
            return;
        }
        new.linked.store(true, Ordering::Relaxed);
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
    pub(crate) fn unlink(&mut self, node: Pin<&Node<P>>) -> bool {
        let is_linked = node.linked.load(Ordering::Relaxed);
        if is_linked {
            self.remove(node.get_ref());
        }
        is_linked
    }

    /// Removes the first node and gives the name of its wait.
    #[inline]
    pub(crate) fn take_first(&mut self) -> Option<WakeRef> {
        self.take_first_with(|_| ()).map(|((), wake)| wake)
    }

    /// Removes the first node after a look at what it carries. `look` runs under the lock.
    #[inline]
    pub(crate) fn take_first_with<R>(
        &mut self,
        look: impl FnOnce(&P) -> R,
    ) -> Option<(R, WakeRef)> {
        self.take_with(self.first, look)
    }

    /// Removes a linked node, if it is one, after a look at what it carries.
    #[inline]
    fn take_with<R>(
        &mut self,
        node: *const Node<P>,
        look: impl FnOnce(&P) -> R,
    ) -> Option<(R, WakeRef)> {
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let taken = unsafe { node.as_ref() }?;
        let seen = look(&taken.payload);
        let wake = taken.wake.get().expect("a linked node has a name");
        self.remove(node);
        Some((seen, wake))
    }

    /// The name of the first node's wait.
    #[inline]
    pub(crate) fn first(&self) -> Option<WakeRef> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        unsafe { &*self.first }.wake.get()
    }

    /// Whether there is a node such as `look` asks for, from what it carries and the name of its
    /// wait. That runs under the lock.
    pub(crate) fn has_any(&self, look: impl FnMut(&P, WakeRef) -> bool) -> bool {
        !self.find(look).is_null()
    }

    /// Removes the first node that is not of the waiter who is named, and gives the name of its
    /// wait.
    pub(crate) fn take_first_but(&mut self, own: WakeRef) -> Option<WakeRef> {
        let node = self.find(|_, wake| !wake.is_same(own));
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let wake = unsafe { node.as_ref() }?.wake.get();
        self.remove(node);
        wake
    }

    /// Removes all nodes but those that `is_kept` names by the names of their waits.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(WakeRef) -> bool) {
        loop {
            let node = self.find(|_, wake| !is_kept(wake));
            if node.is_null() {
                return;
            }
            self.remove(node);
        }
    }

    /// The first node such as `look` asks for; null is none.
    fn find(&self, mut look: impl FnMut(&P, WakeRef) -> bool) -> *const Node<P> {
        let mut at = self.first;
        while !at.is_null() {
            // SAFETY: a linked node's frame is there: its owner unlinks it first.
            let node = unsafe { &*at };
            if look(&node.payload, node.wake.get().expect("a linked node has a name")) {
                return at;
            }
            let next = node.next.get();
            at = if ptr::eq(next, self.first) { ptr::null() } else { next };
        }
        at
    }

    /// Removes a linked node. It takes a pointer, since the node may go away before the call
    /// is over.
    #[inline]
    fn remove(&mut self, node: *const Node<P>) {
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let node = unsafe { &*node };
        let next = node.next.get();
        if ptr::eq(next, node) {
            self.first = ptr::null();
        } else {
            let previous = node.previous.get();
            // SAFETY: the neighbours of a linked node are linked, so their frames are there.
            unsafe { (*next).previous.set(previous) };
            // SAFETY: as above.
            unsafe { (*previous).next.set(next) };
            if ptr::eq(self.first, node) {
                self.first = next;
            }
        }
        // The last touch: the owner may look at any moment, and be gone.
        node.linked.store(false, Ordering::Release);
    }
}

impl<P> Node<P> {
    /// Makes a node that carries something, and is in no list.
    pub(crate) fn carrying(payload: P) -> Node<P> {
        Node {
            payload,
            wake: Cell::new(None),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            linked: AtomicBool::new(false),
            _pin: PhantomPinned,
        }
    }

    /// Whether the node is in a list; for its owner.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.linked.load(Ordering::Acquire)
    }

    /// Whether somebody else has taken the node out of a list; for its owner.
    #[inline]
    pub(crate) fn was_taken_out(&self) -> bool {
        !self.is_linked() && self.wake.get().is_some()
    }

    /// What the node carries; `None` while it is in a list.
    #[inline]
    pub(crate) fn payload(&self) -> Option<&P> {
        (!self.is_linked()).then_some(&self.payload)
    }
}

/// What all the dereferences above stand on: nobody forgets to take a node out.
impl<P> Drop for Node<P> {
    #[inline]
    fn drop(&mut self) {
        if self.linked.load(Ordering::Acquire) {
            abort_with("a place in a line goes away while it is in the line");
        }
    }
}

impl List {
    /// The tag of the first.
    #[inline]
    pub(crate) fn first_tag(&self) -> Option<u32> {
        // SAFETY: a linked node's frame is there: its owner unlinks it first.
        let first = unsafe { self.first.as_ref() }?;
        Some(first.payload.get())
    }

    /// Removes the node that is next, and gives the name of its wait.
    #[inline]
    pub(crate) fn take_next(&mut self) -> Option<WakeRef> {
        self.take_next_with(|_| ()).map(|((), wake)| wake)
    }

    /// The same with a look at the node's tag, which is that of the first. `look` runs under the
    /// lock.
    #[inline]
    pub(crate) fn take_next_with<R>(
        &mut self,
        look: impl FnOnce(&Cell<u32>) -> R,
    ) -> Option<(R, WakeRef)> {
        let next = if order::is_seeded() { self.choose() } else { self.first };
        self.take_with(next, look)
    }

    /// What a seed chooses: one of those in front that have the first's tag, so that whoever has
    /// looked at that need not again, and those behind have no more to wait for than without.
    #[cold]
    fn choose(&self) -> *const Node {
        let tag = self.first_tag();
        let mut alike = 0;
        self.find(|payload, _| {
            let is_alike = Some(payload.get()) == tag;
            alike += usize::from(is_alike);
            !is_alike || alike == order::CHOICES_MAX
        });
        let mut left = order::pick(alike);
        self.find(|_, _| {
            let is_chosen = left == 0;
            left = left.saturating_sub(1);
            is_chosen
        })
    }

    /// Removes the first node if its tag is not later than `number`, and gives the name of its
    /// wait. The numbers go round.
    pub(crate) fn take_first_of(&mut self, number: u32) -> Option<WakeRef> {
        let tag = self.first_tag()?;
        if number.wrapping_sub(tag) < u32::MAX / 2 { self.take_first() } else { None }
    }
}

impl Node {
    /// Makes a node that carries a tag, and is in no list.
    pub(crate) fn new(tag: u32) -> Node {
        Node::carrying(Cell::new(tag))
    }

    /// Changes what the owner of the list knows of the waiter. Under the list's lock.
    #[inline]
    pub(crate) fn set_tag(&self, tag: u32) {
        self.payload.set(tag);
    }
}

impl Nodes {
    /// Makes so many nodes that are in no list.
    pub(crate) fn new(count: usize) -> Nodes {
        Nodes((0..count).map(|_| Node::new(0)).collect())
    }

    /// One of them.
    pub(crate) fn get(&self, index: usize) -> Pin<&Node> {
        // SAFETY: the nodes are in a box of their own, which nobody can take them out of.
        unsafe { Pin::new_unchecked(&self.0[index]) }
    }
}

#[cfg(test)]
impl<P> List<P> {
    /// How many wait.
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
