//! Items that are out of their queue while code of the user's compares or clones them. They come
//! back whatever that does: return, panic, or be killed in a wait.

use std::collections::VecDeque;
use std::mem;
use std::ptr;

use crate::hub;
use crate::queue::core::Core;
use crate::queue::core::State;
use crate::queue::order::Heap;
use crate::queue::order::Order;
use crate::sys::lock::Guard;
use crate::wait_queue::Inner;

/// Who has items out: a coroutine, the root or a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy {
    /// The address of a variable of the thread.
    thread: usize,
    slot: u32,
}

/// The next item, to be cloned.
pub(super) struct Peeked<'a, T, O: Order<T>> {
    core: &'a Core<T, O>,
    /// Empty once it is back.
    item: Option<T>,
    place: usize,
}

/// All items of a queue that compares, but those that are put in meanwhile.
pub(super) struct Sorting<'a, T, O: Order<T>> {
    core: &'a Core<T, O>,
    heap: Heap<T>,
    /// The memory of those that came, for others to come.
    slots: VecDeque<T>,
    was_taken: bool,
}

impl Busy {
    /// Nobody.
    pub(super) const NOBODY: Busy = Busy { thread: 0, slot: 0 };

    /// The running code. Not under a lock: asking for the hub may end it.
    pub(super) fn current() -> Busy {
        // Without a hub as with one: it may come meanwhile.
        let slot = hub::current().map_or(hub::ROOT, |hub| hub.slot());
        Busy { thread: thread(), slot }
    }

    /// Whether it is on this thread: it does not run, then, while something else asks.
    pub(super) fn is_here(&self) -> bool {
        self.thread == thread()
    }
}

/// A number that no other thread has at the same time.
fn thread() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| ptr::from_ref(here).addr())
}

impl<T, O: Order<T>> Core<T, O> {
    /// Notes that the items are back, and wakes those who waited for that: so many, or all who
    /// have something to do if there is no item.
    fn give_back(&self, mut inner: Guard<'_, Inner<State<T>>>, count: usize) {
        let state = &mut inner.state;
        state.busy = None;
        let is_for_all = mem::take(&mut state.is_closing) || state.is_closed;
        drop(inner);
        if is_for_all {
            self.queue.wake_all();
        } else {
            (0..count).any(|_| !self.queue.wake_one());
        }
    }
}

impl<'a, T, O: Order<T>> Peeked<'a, T, O> {
    pub(super) fn new(core: &'a Core<T, O>, item: T, place: usize) -> Peeked<'a, T, O> {
        Peeked { core, item: Some(item), place }
    }

    pub(super) fn clone_item(&self) -> T
    where
        T: Clone,
    {
        self.item.as_ref().expect("it is out").clone()
    }
}

impl<T, O: Order<T>> Drop for Peeked<'_, T, O> {
    fn drop(&mut self) {
        let Some(item) = self.item.take() else { return };
        let mut inner = self.core.queue.lock();
        let state = &mut inner.state;
        // Room was kept for it.
        state.items.insert(self.place, item);
        state.out = 0;
        // None of them takes the items out, so none would wake the next.
        let count = state.len;
        self.core.give_back(inner, count);
    }
}

impl<'a, T, O: Order<T>> Sorting<'a, T, O> {
    pub(super) fn new(
        core: &'a Core<T, O>,
        mut heap: Heap<T>,
        mut came: VecDeque<T>,
    ) -> Sorting<'a, T, O> {
        heap.items.extend(came.drain(..));
        Sorting { core, heap, slots: came, was_taken: false }
    }

    pub(super) fn take(mut self) -> T {
        O::settle(&mut self.heap);
        let item = O::take(&mut self.heap).expect("it is not empty");
        self.was_taken = true;
        item
    }

    pub(super) fn clone_first(mut self) -> T
    where
        T: Clone,
    {
        O::settle(&mut self.heap);
        self.heap.items[0].clone()
    }
}

impl<T, O: Order<T>> Drop for Sorting<'_, T, O> {
    fn drop(&mut self) {
        let mut inner = self.core.queue.lock();
        let state = &mut inner.state;
        state.heap = mem::take(&mut self.heap);
        if state.items.is_empty() {
            mem::swap(&mut state.items, &mut self.slots);
        }
        let mut served = None;
        if self.was_taken {
            let mut len = state.len - 1;
            if let Some((item, wake)) = Core::<T, O>::serve(state) {
                // In the place of the one that was taken.
                state.heap.items.push(item);
                served = Some(wake);
                len += 1;
            }
            self.core.set_len(state, len);
        }
        // Who takes one gives the others back.
        self.core.give_back(inner, 1);
        if let Some(served) = served {
            served.wake();
        }
    }
}
