//! Which item is next: the first that came, the last, or the smallest.
//!
//! The first two are taken under the queue's lock. To find the smallest, items are compared, which
//! is code of the user's: that is done on a heap which its owner has taken out of the queue.
//!
//! **Invariant:** whatever a comparison does, every item is in the heap at every moment: items are
//! only swapped.

use std::collections::VecDeque;

/// An order of items.
pub(super) trait Order<T> {
    /// Whether items are compared.
    const COMPARES: bool = false;

    /// Takes the next out; of an order that does not compare.
    fn pop(_: &mut VecDeque<T>) -> Option<T> {
        None
    }

    /// Where an item is put back that was the next, when the queue had `len` items without it and
    /// has only got more.
    fn place(_len: usize) -> usize {
        0
    }

    /// Brings the next item to the front, of an order that compares.
    fn settle(_: &mut Heap<T>) {}

    /// Takes the next item out, which is in front. All items are ordered, but it if this panics.
    fn take(_: &mut Heap<T>) -> Option<T> {
        None
    }
}

/// First in, first out.
#[derive(Debug)]
pub(super) enum First {}

/// Last in, first out.
#[derive(Debug)]
pub(super) enum Last {}

/// The smallest first.
#[derive(Debug)]
pub(super) enum Smallest {}

/// Items of which some are ordered: none is smaller than that at half its index.
#[derive(Debug)]
pub(super) struct Heap<T> {
    pub(super) items: Vec<T>,
    /// How many of them are ordered; after a comparison that panicked, none.
    ordered: usize,
}

impl<T> Order<T> for First {
    #[inline]
    fn pop(items: &mut VecDeque<T>) -> Option<T> {
        items.pop_front()
    }
}

impl<T> Order<T> for Last {
    #[inline]
    fn pop(items: &mut VecDeque<T>) -> Option<T> {
        items.pop_back()
    }

    fn place(len: usize) -> usize {
        len
    }
}

impl<T: Ord> Order<T> for Smallest {
    const COMPARES: bool = true;

    fn settle(heap: &mut Heap<T>) {
        let mut ordered = heap.take_ordered();
        while ordered < heap.items.len() {
            heap.rise(ordered);
            ordered += 1;
        }
        heap.ordered = ordered;
    }

    fn take(heap: &mut Heap<T>) -> Option<T> {
        let last = heap.items.len().checked_sub(1)?;
        heap.take_ordered();
        heap.items.swap(0, last);
        heap.sink(last);
        heap.ordered = last;
        heap.items.pop()
    }
}

impl<T> Default for Heap<T> {
    fn default() -> Heap<T> {
        Heap::new()
    }
}

impl<T> Heap<T> {
    pub(super) const fn new() -> Heap<T> {
        Heap { items: Vec::new(), ordered: 0 }
    }

    /// How many are ordered; until that is set again, none.
    fn take_ordered(&mut self) -> usize {
        std::mem::take(&mut self.ordered)
    }
}

impl<T: Ord> Heap<T> {
    /// Brings an item behind those that are ordered to its place.
    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.items[parent] <= self.items[at] {
                return;
            }
            self.items.swap(parent, at);
            at = parent;
        }
    }

    /// Brings the first item to its place among the first `len`.
    fn sink(&mut self, len: usize) {
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= len {
                return;
            }
            if child + 1 < len && self.items[child + 1] < self.items[child] {
                child += 1;
            }
            if self.items[at] <= self.items[child] {
                return;
            }
            self.items.swap(at, child);
            at = child;
        }
    }
}
