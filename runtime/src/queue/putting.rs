//! Waiting for room: the line of those who put items in, each with its item in its own frame.

// Who selects shares a word with those who take what it offers, by its address.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::RefCell;
use std::pin::Pin;
use std::pin::pin;
use std::ptr;
use std::ptr::NonNull;

use crate::hub;
use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::queue::branch::PutBranch;
use crate::queue::core::Core;
use crate::queue::core::Offered;
use crate::queue::errors::PutError;
use crate::queue::order::Order;
use crate::scheduler::Outcome;
use crate::select::Waitable;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Claim;
use crate::wait_queue::Node;
use crate::wait_queue::Spot;

/// The item of one who waits.
pub(super) struct Offer<T> {
    /// Empty once it was taken.
    item: Cell<Option<T>>,
    /// Of one who selects: what tells whether the item may be taken, and its number there.
    claim: Cell<Option<(NonNull<Claim>, usize)>>,
}

// SAFETY: the item is `Send`, and the claim, which is atomic, may be used on any thread.
unsafe impl<T: Send> Send for Offer<T> {}

impl<T> Offer<T> {
    fn new(item: Option<T>) -> Offer<T> {
        Offer { item: Cell::new(item), claim: Cell::new(None) }
    }

    /// Takes the item, if it may be taken. Under the lock of the line.
    pub(super) fn take(&self) -> Option<T> {
        if let Some((claim, index)) = self.claim.get() {
            // SAFETY: who selects takes its node out of the line, under the lock, before the claim
            // goes away.
            let claim = unsafe { claim.as_ref() };
            if !claim.take(index) {
                return None;
            }
        }
        self.item.take()
    }

    /// Whether the item may be taken. Under the lock of the line.
    pub(super) fn is_open(&self) -> bool {
        // SAFETY: as in `take`.
        self.claim.get().is_none_or(|(claim, _)| unsafe { claim.as_ref() }.is_open())
    }

    /// Whether it is one of the offers of which `claim` tells.
    pub(super) fn is_under(&self, claim: &Claim) -> bool {
        self.claim.get().is_some_and(|(own, _)| ptr::eq(own.as_ptr(), claim))
    }
}

/// What became of an item.
pub(super) enum Unput<T> {
    Closed(T),
    Late(T),
}

impl<T, O: Order<T>> Core<T, O> {
    /// Puts an item in, waiting for room.
    #[inline(always)]
    pub(super) fn put(&self, item: T, deadline: impl FnOnce() -> Deadline) -> Result<(), Unput<T>> {
        if self.looks_full() {
            return self.put_slowly(item, deadline());
        }
        hub::spend();
        match self.offer(item) {
            Offered::Put => Ok(()),
            Offered::Closed(item) => Err(Unput::Closed(item)),
            Offered::Full(item) => self.put_slowly(item, deadline()),
        }
    }

    /// Whether there seems to be no room.
    #[inline]
    fn looks_full(&self) -> bool {
        if self.is_channel() {
            return !self.queue.lock().is_awaited();
        }
        self.len.load(Ordering::Relaxed) >= self.bound
    }

    #[inline(always)]
    fn put_slowly(&self, item: T, deadline: Deadline) -> Result<(), Unput<T>> {
        // Dropped last, without the lock, and with it an item that was not put in.
        let node = pin!(Node::carrying(Offer::new(None)));
        let in_line = InLine { core: self, node: node.as_ref() };
        let mut item = Some(item);
        loop {
            let outcome = match in_line.begin(&mut item, deadline) {
                Err(begun) => Suspension::outcome_of(begun, deadline),
                Ok(result) => return result,
            };
            if let Some(result) = in_line.end(outcome, &mut item) {
                return result;
            }
        }
    }
}

/// Throws what interrupted the put of an item, which is dropped by that.
fn drop_and_throw<T>(_item: T) -> ! {
    interrupted()
}

/// Takes the node out of line before its frame goes away, even if that is by a panic.
struct InLine<'a, T, O: Order<T>> {
    core: &'a Core<T, O>,
    node: Pin<&'a Node<Offer<T>>>,
}

impl<T, O: Order<T>> InLine<'_, T, O> {
    /// Puts the item in; or gets in line, and begins a wait.
    #[inline(never)]
    fn begin(
        &self,
        item: &mut Option<T>,
        deadline: Deadline,
    ) -> Result<Result<(), Unput<T>>, Begun> {
        let core = self.core;
        let reason = Reason::Queue(What::Put, ptr::from_ref(&core.queue).addr());
        loop {
            let place = Place::announced(reason);
            if self.join(&place, item) {
                return Err(place.begin(deadline, reason, Mode::Plain));
            }
            let Some(offered) = item.take() else { return Ok(Ok(())) };
            match core.offer(offered) {
                Offered::Put => return Ok(Ok(())),
                Offered::Closed(item) => return Ok(Err(Unput::Closed(item))),
                Offered::Full(again) => *item = Some(again),
            }
        }
    }

    /// What a wait with that outcome has led to. `None`: to nothing.
    #[inline(never)]
    fn end(&self, outcome: Outcome, item: &mut Option<T>) -> Option<Result<(), Unput<T>>> {
        if outcome != Outcome::Woken {
            self.leave();
        }
        let offer = self.node.payload()?;
        // Out of line it has its item still if the queue was closed, or it leaves.
        let Some(left) = offer.item.take() else {
            got_it_after_all();
            return Some(Ok(()));
        };
        match outcome {
            Outcome::Woken => *item = Some(left),
            Outcome::TimedOut => return Some(Err(Unput::Late(left))),
            Outcome::Interrupted => drop_and_throw(left),
        }
        None
    }

    /// Gets in line with the item, or stays there, with the name of the next wait. False if there
    /// is nothing to wait for: there may be room for the item, or it was taken.
    fn join(&self, place: &Place, item: &mut Option<T>) -> bool {
        let mut inner = self.core.lock();
        let Some(offer) = self.node.payload() else {
            inner.state.putters.link(self.node, place, false);
            return true;
        };
        if item.is_none() {
            *item = offer.item.take();
            return false;
        }
        if inner.state.is_closed || self.core.has_room(&mut inner) {
            return false;
        }
        offer.item.set(item.take());
        offer.claim.set(None);
        inner.state.putters.link(self.node, place, false);
        self.core.call_select(inner, place.wake_ref());
        true
    }

    fn leave(&self) {
        self.core.queue.lock().state.putters.unlink(self.node);
    }
}

impl<T, O: Order<T>> Drop for InLine<'_, T, O> {
    fn drop(&mut self) {
        if self.node.is_linked() {
            self.leave();
        }
    }
}

/// The branch of a select that puts an item in.
pub(super) struct Putting<'a, T, O> {
    core: &'a Core<T, O>,
    /// Where the item comes from, and stays if it is not put in.
    slot: RefCell<&'a mut Option<T>>,
    /// Made when it is needed first.
    node: OnceCell<Pin<Box<Node<Offer<T>>>>>,
    was_put: Cell<Option<Result<(), PutError<T>>>>,
}

impl<'a, T, O: Order<T>> Putting<'a, T, O> {
    pub(super) fn new(core: &'a Core<T, O>, slot: &'a mut Option<T>) -> Putting<'a, T, O> {
        assert!(slot.is_some(), "a select puts what is in the `Option`, which is empty");
        let slot = RefCell::new(slot);
        Putting { core, slot, node: OnceCell::new(), was_put: Cell::new(None) }
    }

    fn node(&self) -> Pin<&Node<Offer<T>>> {
        self.node.get_or_init(|| Box::pin(Node::carrying(Offer::new(None)))).as_ref()
    }

    /// Gets out of line, with the item if it is there still.
    fn leave(&self) {
        let Some(node) = self.node.get() else { return };
        let node = node.as_ref();
        self.core.queue.lock().state.putters.unlink(node);
        let item = node.payload().and_then(|offer| offer.item.take());
        if item.is_some() {
            **self.slot.borrow_mut() = item;
        }
    }
}

impl<T, O: Order<T>> Waitable for Putting<'_, T, O> {
    fn is_ready(&self) -> bool {
        let mut inner = self.core.lock();
        inner.state.is_closed || self.core.has_room(&mut inner)
    }

    fn link(&self, spot: &Spot<'_>) -> bool {
        let node = self.node();
        let mut inner = self.core.lock();
        if inner.state.is_closed || (!node.is_linked() && self.core.has_room(&mut inner)) {
            return false;
        }
        if let Some(offer) = node.payload() {
            if let Some(item) = self.slot.borrow_mut().take() {
                offer.item.set(Some(item));
            }
            offer.claim.set(Some((NonNull::from(spot.claim), spot.index)));
        }
        inner.state.putters.link(node, spot.place, spot.had_its_turn);
        self.core.call_select(inner, spot.place.wake_ref());
        true
    }

    fn unlink(&self, _: Pin<&Node>) -> bool {
        let was_linked = self.node().is_linked();
        self.leave();
        was_linked
    }

    fn pass_on(&self) {
        // Whoever was told that it has put its item in has used the room.
    }

    fn is_linked(&self, _: Pin<&Node>) -> bool {
        self.node().is_linked()
    }
}

impl<T, O: Order<T>> PutBranch<T> for Putting<'_, T, O> {
    fn into_result(self: Box<Self>) -> Option<Result<(), PutError<T>>> {
        self.was_put.into_inner()
    }

    fn try_put(&self) -> bool {
        self.leave();
        let item = self.slot.borrow_mut().take();
        let result = match item.map(|item| self.core.offer(item)) {
            None | Some(Offered::Put) => Ok(()),
            Some(Offered::Closed(item)) => Err(PutError(item)),
            Some(Offered::Full(item)) => {
                **self.slot.borrow_mut() = Some(item);
                return false;
            }
        };
        self.was_put.set(Some(result));
        true
    }
}
