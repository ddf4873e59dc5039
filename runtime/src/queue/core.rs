//! What all queues are made of: the items, who waits for one, and who waits to put one in.
//!
//! - One that waits for an item is *called* by whoever puts one in: woken, to take that or
//!   another. The item stays in the queue until somebody takes it.
//! - One that waits for room keeps its item in its own frame, in line with the others. Whoever
//!   makes room moves the first item of the line into it, and wakes its owner, who has put it in.
//! - In a *channel*, with a bound of 0, an item is put in only for somebody who waits for one and
//!   is called. If nobody does, its owner gets in line, and the item is taken from its frame.
//! - Whoever compares or clones items takes them *out* meanwhile. Others may put items in, but get
//!   none until they are back. If they never will, whoever comes next, or
//!   waits, goes on without them.
//!
//! **Invariant:** while somebody is in line, the queue is full.
//!
//! **Invariant:** under the lock nothing is allocated, and no code of the user's runs.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::wake::WakeRef;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::queue::errors::Missing;
use crate::queue::order::Heap;
use crate::queue::order::Order;
use crate::queue::out::Busy;
use crate::queue::out::Peeked;
use crate::queue::out::Sorting;
use crate::queue::putting::Offer;
use crate::scheduler::Outcome;
use crate::select::Waitable;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Claim;
use crate::wait_queue::Inner;
use crate::wait_queue::List;
use crate::wait_queue::WaitQueue;

/// A queue.
pub(super) struct Core<T, O> {
    /// Those who wait are those who wait for an item.
    pub(super) queue: WaitQueue<State<T>>,
    /// The number of items: a hint but under the lock.
    pub(super) len: AtomicUsize,
    /// `usize::MAX` is none; 0 is a channel.
    pub(super) bound: usize,
    order: PhantomData<fn() -> O>,
}

/// What the lock guards.
pub(super) struct State<T> {
    /// The items, but those in `heap` and those that are out.
    pub(super) items: VecDeque<T>,
    /// Those that were compared already, if the order compares.
    pub(super) heap: Heap<T>,
    /// How many items there are in all.
    pub(super) len: usize,
    /// How many room is kept for in `items`.
    pub(super) out: usize,
    /// Who has items out.
    pub(super) busy: Option<Busy>,
    pub(super) is_closed: bool,
    /// Somebody waits for the items to be back, to close the queue.
    pub(super) is_closing: bool,
    /// Those who wait for room, with their items.
    pub(super) putters: List<Offer<T>>,
    /// Those who wait for an item of a channel beside other things: they count for nobody.
    pub(super) selects: List,
    /// How many of the items that were put in are not done.
    pub(super) unfinished: usize,
    /// How often all were done.
    pub(super) finished: u64,
}

/// What became of an item that was offered.
pub(super) enum Offered<T> {
    Put,
    Full(T),
    Closed(T),
}

/// What one has found who came for an item.
pub(super) enum Found<T> {
    Item(T, AfterGet<T>),
    /// The items, to be compared.
    Heap(Heap<T>, VecDeque<T>),
    /// The item to be looked at, and its place.
    Next(T, usize),
    /// Those that are out are lost: [`take_over`](Core::take_over), and look again.
    Lost,
    Ended,
}

/// What is left to be done without the lock when an item was taken.
pub(super) struct AfterGet<T> {
    served: Option<WakeRef>,
    /// Memory that is not needed any more.
    _spare: VecDeque<T>,
}

/// So many slots are kept when a queue is empty.
const SLOTS_KEPT: usize = 1024;
const SLOTS_MIN: usize = 8;
/// How often `try_get` looks again while another thread has the items out, who will have compared
/// them in a moment; and if that waits, never mind.
const LOOKS: usize = 200;

impl<T, O: Order<T>> Core<T, O> {
    /// Makes an empty queue.
    pub(super) const fn new(bound: usize) -> Core<T, O> {
        let state = State {
            items: VecDeque::new(),
            heap: Heap::new(),
            len: 0,
            out: 0,
            busy: None,
            is_closed: false,
            is_closing: false,
            putters: List::new(),
            selects: List::new(),
            unfinished: 0,
            finished: 0,
        };
        Core { queue: WaitQueue::new(state), len: AtomicUsize::new(0), bound, order: PhantomData }
    }

    /// Whether the queue is a channel.
    #[inline]
    pub(super) fn is_channel(&self) -> bool {
        self.bound == 0
    }

    /// Notes how many items there are. Under the lock.
    #[inline]
    pub(super) fn set_len(&self, state: &mut State<T>, len: usize) {
        state.len = len;
        self.len.store(len, Ordering::Relaxed);
    }

    /// Whether an item may be put in. Under the lock.
    #[inline]
    pub(super) fn has_room(&self, inner: &mut Inner<State<T>>) -> bool {
        if self.is_channel() { inner.is_awaited() } else { inner.state.len < self.bound }
    }

    /// Puts an item in, if that needs no wait.
    #[inline]
    pub(super) fn offer(&self, item: T) -> Offered<T> {
        loop {
            let mut inner = self.queue.lock();
            if inner.state.is_closed {
                drop(inner);
                return Offered::Closed(item);
            }
            if !self.has_room(&mut inner) {
                let is_lost = inner.state.is_lost();
                drop(inner);
                if is_lost {
                    self.take_over();
                    continue;
                }
                return Offered::Full(item);
            }
            let state = &mut inner.state;
            let needed = state.items.len() + state.out + 1;
            if needed > state.items.capacity() {
                drop(inner);
                self.grow(needed);
                continue;
            }
            state.items.push_back(item);
            state.unfinished += 1;
            let len = state.len + 1;
            self.set_len(state, len);
            let called = inner.call();
            drop(inner);
            self.wake_called(called);
            return Offered::Put;
        }
    }

    /// Makes more slots than are needed.
    #[cold]
    pub(super) fn grow(&self, needed: usize) {
        let mut slots = VecDeque::with_capacity(needed.max(SLOTS_MIN / 2) * 2);
        let mut inner = self.queue.lock();
        let items = &mut inner.state.items;
        if slots.capacity() > items.capacity() {
            // So this only moves the items.
            slots.append(items);
            mem::swap(&mut slots, items);
        }
    }

    /// Wakes one who was called for an item; the next one if it will never run again.
    #[inline]
    pub(super) fn wake_called(&self, called: Option<WakeRef>) {
        if called.is_some_and(|wake| !wake.wake()) {
            self.queue.wake_one();
        }
    }

    /// Takes the item of the first in line, which is put in by that, and gives whom to wake.
    pub(super) fn serve(state: &mut State<T>) -> Option<(T, WakeRef)> {
        loop {
            if state.putters.first()?.is_void() {
                // The item stays in its frame, which nobody returns to.
                state.putters.take_first();
                continue;
            }
            // One who selects and does not wait just now is passed over, and comes again.
            if let (Some(item), served) = state.putters.take_first_with(Offer::take)? {
                state.unfinished += 1;
                return Some((item, served));
            }
        }
    }

    /// Takes an item, if that is all there is to do.
    #[inline]
    fn take_at_once(&self) -> Option<T> {
        let mut inner = self.queue.lock();
        let state = &mut inner.state;
        let is_last_of_many = state.len == 1 && state.items.capacity() > SLOTS_KEPT;
        if state.busy.is_some() || !state.putters.is_empty() || is_last_of_many {
            return None;
        }
        let item = O::pop(&mut state.items)?;
        let len = state.len - 1;
        self.set_len(state, len);
        Some(item)
    }

    /// Looks for an item. `None`: there is none, or they are out.
    fn find(&self, state: &mut State<T>, own: Busy) -> Option<Found<T>> {
        if state.busy.is_some() {
            return state.is_lost().then_some(Found::Lost);
        }
        if O::COMPARES && state.len > 0 {
            return Some(Core::<T, O>::take_out(state, own));
        }
        if let Some(item) = O::pop(&mut state.items) {
            let mut served = None;
            let mut len = state.len - 1;
            if !state.putters.is_empty()
                && !self.is_channel()
                && let Some((item, wake)) = Self::serve(state)
            {
                // In the slot that was emptied.
                state.items.push_back(item);
                served = Some(wake);
                len += 1;
            }
            self.set_len(state, len);
            let is_large = len == 0 && state.items.capacity() > SLOTS_KEPT;
            let spare = if is_large { mem::take(&mut state.items) } else { VecDeque::new() };
            return Some(Found::Item(item, AfterGet { served, _spare: spare }));
        }
        if self.is_channel()
            && let Some((item, wake)) = Self::serve(state)
        {
            let after = AfterGet { served: Some(wake), _spare: VecDeque::new() };
            return Some(Found::Item(item, after));
        }
        state.is_closed.then_some(Found::Ended)
    }

    /// Looks for an item that is to be looked at only.
    fn find_to_peek(&self, state: &mut State<T>, own: Busy) -> Option<Found<T>> {
        if state.busy.is_some() {
            return state.is_lost().then_some(Found::Lost);
        }
        if O::COMPARES && state.len > 0 {
            return Some(Core::<T, O>::take_out(state, own));
        }
        let Some(item) = O::pop(&mut state.items) else {
            return state.is_closed.then_some(Found::Ended);
        };
        state.busy = Some(own);
        state.out = 1;
        Some(Found::Next(item, O::place(state.items.len())))
    }

    fn take_out(state: &mut State<T>, own: Busy) -> Found<T> {
        state.busy = Some(own);
        Found::Heap(mem::take(&mut state.heap), mem::take(&mut state.items))
    }

    /// Does what is to be done without the lock.
    #[inline(never)]
    fn finish_get(&self, found: Found<T>) -> Result<T, Missing> {
        match found {
            Found::Item(item, after) => {
                if let Some(served) = after.served {
                    served.wake();
                    // For the item that has come into the queue.
                    self.queue.wake_one();
                }
                Ok(item)
            }
            Found::Heap(heap, came) => Ok(Sorting::new(self, heap, came).take()),
            Found::Next(..) | Found::Lost => unreachable!("it is not peeked, and looked again"),
            Found::Ended => Err(Missing::Ended),
        }
    }

    fn finish_peek(&self, found: Found<T>) -> Result<T, Missing>
    where
        T: Clone,
    {
        match found {
            Found::Next(item, place) => Ok(Peeked::new(self, item, place).clone_item()),
            Found::Heap(heap, came) => Ok(Sorting::new(self, heap, came).clone_first()),
            Found::Item(..) | Found::Lost => unreachable!("it is not taken, and looked again"),
            Found::Ended => Err(Missing::Ended),
        }
    }

    /// Takes an item that is there.
    #[inline]
    pub(super) fn try_get(&self) -> Result<T, Missing> {
        self.take_at_once().map_or_else(|| self.try_get_slowly(), Ok)
    }

    #[inline(never)]
    fn try_get_slowly(&self) -> Result<T, Missing> {
        self.try_find(Self::taker(), Self::find).and_then(|found| self.finish_get(found))
    }

    /// Clones the next item, if there is one.
    pub(super) fn try_peek(&self) -> Result<T, Missing>
    where
        T: Clone,
    {
        self.try_find(Busy::current(), Self::find_to_peek).and_then(|found| self.finish_peek(found))
    }

    fn try_find(&self, own: Busy, find: Find<Self, T>) -> Result<Found<T>, Missing> {
        for _ in 0..LOOKS {
            let mut inner = self.lock();
            if let Some(found) = find(self, &mut inner.state, own) {
                return Ok(found);
            }
            if inner.state.busy.as_ref().is_none_or(Busy::is_here) {
                break;
            }
            drop(inner);
            std::thread::yield_now();
        }
        Err(Missing::Late)
    }

    /// Takes an item, waiting for one.
    #[inline(always)]
    pub(super) fn get(&self, deadline: impl FnOnce() -> Deadline) -> Result<T, Missing> {
        if self.looks_ready() {
            hub::spend();
            if let Some(item) = self.take_at_once() {
                return Ok(item);
            }
        }
        self.finish_get(self.wait(Self::taker(), deadline(), Self::find)?)
    }

    /// Clones the next item, waiting for one.
    pub(super) fn peek(&self, deadline: impl FnOnce() -> Deadline) -> Result<T, Missing>
    where
        T: Clone,
    {
        if self.looks_ready() {
            hub::spend();
        }
        self.finish_peek(self.wait(Busy::current(), deadline(), Self::find_to_peek)?)
    }

    #[inline(always)]
    fn wait(
        &self,
        own: Busy,
        deadline: Deadline,
        find: Find<Self, T>,
    ) -> Result<Found<T>, Missing> {
        let take = |state: &mut State<T>| find(self, state, own);
        loop {
            let found = if self.is_channel() {
                let found = self.queue.wait_to_be_met(deadline, What::Get, Mode::Plain, take);
                if found.is_ok() {
                    got_it_after_all();
                }
                found
            } else {
                self.refuse_own_comparison();
                self.queue.wait(deadline, What::Get, Mode::Plain, take)
            };
            match found {
                Ok(Found::Lost) => self.take_over(),
                Ok(found) => return Ok(found),
                Err(Outcome::Interrupted) => interrupted(),
                Err(_) => return Err(Missing::Late),
            }
        }
    }

    /// Whether an item seems to be there.
    #[inline]
    fn looks_ready(&self) -> bool {
        if self.is_channel() { self.is_ready() } else { self.len.load(Ordering::Relaxed) > 0 }
    }

    /// Closes the queue, and wakes all who wait.
    pub(super) fn close(&self) {
        self.queue.lock().state.is_closed = true;
        // Nobody comes to these two lists any more.
        loop {
            let mut inner = self.queue.lock();
            let first = inner.state.putters.take_first();
            let Some(wake) = first.or_else(|| inner.state.selects.take_first()) else { break };
            drop(inner);
            wake.wake();
        }
        self.queue.wake_all();
    }

    /// Closes the queue, and takes all items out, when none is out any more.
    pub(super) fn close_now(&self) -> Vec<T> {
        self.refuse_own_comparison();
        let take = |state: &mut State<T>| {
            if state.busy.is_some() {
                state.is_closing = true;
                return state.is_lost().then_some(None);
            }
            state.is_closed = true;
            state.finish(state.len);
            self.set_len(state, 0);
            Some(Some((mem::take(&mut state.heap), mem::take(&mut state.items))))
        };
        let (heap, items) = loop {
            let taken = self.queue.wait(Deadline::NEVER, What::Get, Mode::Plain, take);
            if let Some(all) = taken.unwrap_or_else(|_| interrupted()) {
                break all;
            }
            self.take_over();
        };
        self.close();
        let mut all = heap.items;
        all.extend(items);
        all
    }
}

/// Looks for an item in a queue.
type Find<Q, T> = fn(&Q, &mut State<T>, Busy) -> Option<Found<T>>;

impl<T> State<T> {
    /// Whether `get` need not wait, for one whose own offers are under `claim`.
    pub(super) fn is_ready(&self, is_channel: bool, claim: Option<&Claim>) -> bool {
        let has_item = self.len > 0 || is_channel && self.has_putter(claim);
        self.busy.is_none() && (has_item || self.is_closed)
    }

    /// Whether somebody is in line whose item can be had; of another than the owner of `claim`.
    fn has_putter(&self, claim: Option<&Claim>) -> bool {
        self.putters.has_any(|offer, wake| {
            let is_own = claim.is_some_and(|claim| offer.is_under(claim));
            !is_own && offer.is_open() && !wake.is_void()
        })
    }

    /// Notes that so many items are done. True if all are, by that.
    pub(super) fn finish(&mut self, count: usize) -> bool {
        self.unfinished -= count;
        let is_end = count > 0 && self.unfinished == 0;
        self.finished += u64::from(is_end);
        is_end
    }
}
