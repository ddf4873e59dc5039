//! Those who wait for an item of a queue beside other things.
//!
//! In a queue with room they stand among those who wait for an item. In a channel they have a list
//! of their own: they may come back with something else, so nothing is put in for them.

use std::pin::Pin;

use crate::hub::wake::WakeRef;
use crate::queue::core::Core;
use crate::queue::core::State;
use crate::queue::order::Order;
use crate::select::Waitable;
use crate::sys::lock::Guard;
use crate::wait_queue::Inner;
use crate::wait_queue::Node;
use crate::wait_queue::Spot;

impl<T, O: Order<T>> Waitable for Core<T, O> {
    /// Whether `get` need not wait.
    fn is_ready(&self) -> bool {
        self.lock().state.is_ready(self.is_channel(), None)
    }

    /// Links the node of one who waits for other things as well. False if `get` need not wait.
    fn link(&self, spot: &Spot<'_>) -> bool {
        if !self.is_channel() {
            let mut inner = self.lock();
            if inner.state.is_ready(false, None) {
                return false;
            }
            inner.link(spot.node, spot.place, spot.had_its_turn);
            return true;
        }
        let mut inner = self.queue.lock();
        if inner.state.is_ready(true, Some(spot.claim)) {
            return false;
        }
        inner.state.selects.link(spot.node, spot.place, spot.had_its_turn);
        true
    }

    /// Takes that node out. False if a wake has.
    fn unlink(&self, node: Pin<&Node>) -> bool {
        if self.is_channel() {
            return self.queue.lock().state.selects.unlink(node);
        }
        self.queue.unlink(node)
    }

    /// Wakes the next, for one who was woken and leaves.
    fn pass_on(&self) {
        loop {
            let called = {
                let mut inner = self.queue.lock();
                // Nobody waits for an item of a channel while somebody is in line, but those who
                // wait for other things too.
                inner.state.selects.take_next().or_else(|| inner.call())
            };
            if called.is_none_or(WakeRef::wake) {
                return;
            }
        }
    }
}

impl<T, O: Order<T>> Core<T, O> {
    /// Wakes one who waits for an item of a channel beside other things, for one who is in line
    /// now, and may be the same.
    pub(super) fn call_select<'a>(&'a self, mut inner: Guard<'a, Inner<State<T>>>, own: WakeRef) {
        if !self.is_channel() {
            return;
        }
        while let Some(called) = inner.state.selects.take_first_but(own) {
            drop(inner);
            if called.wake() {
                return;
            }
            inner = self.queue.lock();
        }
    }
}
