//! Items that are out of their queue while code of the user's compares or clones them. They come
//! back whatever that does: return, panic, or be killed in a wait.

use std::collections::VecDeque;
use std::mem;

use crate::hub;
use crate::hub::identity;
use crate::hub::items;
use crate::hub::shared::SharedRecord;
use crate::queue::core::Core;
use crate::queue::core::State;
use crate::queue::order::Heap;
use crate::queue::order::Order;
use crate::sys::lock::Guard;
use crate::wait_queue::Inner;

/// Who has items out: a coroutine, the root or a thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    /// The number of the coroutine, or else that of the thread.
    number: u64,
    /// The number of the thread, with or without a hub.
    thread: u64,
    /// The hub of a coroutine, and its first ticket.
    hub: Option<(SharedRecord, u64)>,
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
    pub(super) const NOBODY: Busy = Busy { number: 0, thread: 0, hub: None };

    /// The running code. Not under a lock: asking for the hub may end it.
    pub(super) fn current() -> Busy {
        // The root is as a thread without a hub, which may come meanwhile.
        let hub = hub::current().filter(|hub| !hub.is_root()).map(|hub| hub.shared());
        Busy {
            number: identity::current_number(),
            thread: identity::os_thread_number(),
            hub: hub.map(|hub| (hub, hub.first_ticket())),
        }
    }

    /// Whether it is on this thread: it does not run, then, while something else asks.
    pub(super) fn is_here(&self) -> bool {
        self.thread == identity::os_thread_number()
    }

    /// Whether it will never run again, so that the items that it has out are lost.
    pub(super) fn is_lost(&self) -> bool {
        self.hub.is_some_and(|(hub, first_ticket)| {
            hub.first_ticket() != first_ticket || items::has_lost_items(self.number)
        })
    }
}

impl<T> State<T> {
    /// Whether the items that are out will never come back.
    #[inline]
    pub(super) fn is_lost(&self) -> bool {
        self.busy.as_ref().is_some_and(Busy::is_lost)
    }
}

impl<T, O: Order<T>> Core<T, O> {
    /// Who takes an item, if that is asked for.
    #[inline]
    pub(super) fn taker() -> Busy {
        if O::COMPARES { Busy::current() } else { Busy::NOBODY }
    }

    /// Panics if the items are out with the running code itself, which would wait for ever.
    pub(super) fn refuse_own_comparison(&self) {
        let own = Busy::current();
        let busy = { self.queue.lock().state.busy };
        let is_own = busy.is_some_and(|busy| busy.number == own.number);
        assert!(!is_own, "comparing or cloning an item cannot take one from the same queue");
    }

    /// Locks the queue, in which no items are lost then.
    pub(super) fn lock(&self) -> Guard<'_, Inner<State<T>>> {
        loop {
            let inner = self.queue.lock();
            if !inner.state.is_lost() {
                return inner;
            }
            drop(inner);
            self.take_over();
        }
    }

    /// Does without items that will never come back. Those who wait use the room, and all who
    /// wait for an item try again.
    #[cold]
    pub(super) fn take_over(&self) {
        let mut inner = self.queue.lock();
        let state = &mut inner.state;
        if !state.is_lost() {
            return;
        }
        state.busy = None;
        state.is_closing = false;
        state.out = 0;
        let len = state.items.len() + state.heap.items.len();
        self.set_len(state, len);
        loop {
            let state = &mut inner.state;
            if state.putters.is_empty() || state.len >= self.bound {
                break;
            }
            let needed = state.items.len() + state.out + 1;
            if needed > state.items.capacity() {
                drop(inner);
                self.grow(needed);
                inner = self.queue.lock();
                continue;
            }
            let Some((item, served)) = Self::serve(state) else { break };
            state.items.push_back(item);
            let len = state.len + 1;
            self.set_len(state, len);
            drop(inner);
            served.wake();
            inner = self.queue.lock();
        }
        drop(inner);
        self.queue.wake_all();
    }

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
        items::change_items_out(1);
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
        items::change_items_out(-1);
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
        items::change_items_out(1);
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
        items::change_items_out(-1);
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
