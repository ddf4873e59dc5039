//! Iterating over a queue, which takes its items.

use std::fmt;

use crate::queue::branch::Gets;

/// Iterates over the items of a queue, taking each and waiting for it; made by `iter` of the
/// queues.
pub struct Iter<'a, Q> {
    queue: &'a Q,
}

/// Iterates over the items that a queue holds, taking each; made by `try_iter` of the queues.
pub struct TryIter<'a, Q> {
    queue: &'a Q,
}

impl<'a, Q> Iter<'a, Q> {
    pub(super) fn new(queue: &'a Q) -> Iter<'a, Q> {
        Iter { queue }
    }
}

impl<'a, Q> TryIter<'a, Q> {
    pub(super) fn new(queue: &'a Q) -> TryIter<'a, Q> {
        TryIter { queue }
    }
}

impl<Q: Gets> Iterator for Iter<'_, Q> {
    type Item = Q::Item;

    fn next(&mut self) -> Option<Q::Item> {
        self.queue.next_item()
    }
}

impl<Q: Gets> Iterator for TryIter<'_, Q> {
    type Item = Q::Item;

    fn next(&mut self) -> Option<Q::Item> {
        self.queue.next_item_now()
    }
}

impl<Q> Clone for Iter<'_, Q> {
    fn clone(&self) -> Self {
        Iter { queue: self.queue }
    }
}

impl<Q> Clone for TryIter<'_, Q> {
    fn clone(&self) -> Self {
        TryIter { queue: self.queue }
    }
}

impl<Q: fmt::Debug> fmt::Debug for Iter<'_, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("queue", self.queue).finish()
    }
}

impl<Q: fmt::Debug> fmt::Debug for TryIter<'_, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryIter").field("queue", self.queue).finish()
    }
}
