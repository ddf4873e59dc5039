//! The receiver's side of a channel, bounded or not.
//!
//! It is used by one thread at a time, so what it alone knows is in cells. Coroutines of that
//! thread may share it, and several may wait.

// A slot is read without the lock, by the buffers' rules.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::hub;
use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::packet::drop_quietly;
use crate::scheduler::Outcome;
use crate::select::Waitable;
use crate::sync::mpsc::blocks::Cursor;
use crate::sync::mpsc::channel::Buffer;
use crate::sync::mpsc::channel::Channel;
use crate::sync::mpsc::channel::Inner;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;
use crate::wait_queue::Spot;

/// The receiver.
pub(super) struct Receiving<T> {
    channel: Arc<Channel<T>>,
    /// How many values it took.
    taken: Cell<usize>,
    /// The next slot of a ring,
    slot: Cell<usize>,
    /// or of a chain.
    cursor: Cell<Cursor<T>>,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// None came in time.
    Late,
    /// None will come.
    Ended,
}

impl<T> Receiving<T> {
    /// The receiver of a new channel.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Receiving<T> {
        let cursor = Cell::new(Cursor::new());
        Receiving { channel, taken: Cell::new(0), slot: Cell::new(0), cursor }
    }

    /// Takes a value that is there.
    #[inline]
    pub(super) fn try_receive(&self) -> Result<T, Missing> {
        if let Some(value) = self.take() {
            return Ok(value);
        }
        if !self.channel.is_ended() {
            return Err(Missing::Late);
        }
        // What was put in before the end.
        self.take().ok_or(Missing::Ended)
    }

    /// Takes a value, waiting for one.
    #[inline(always)]
    pub(super) fn receive(&self) -> Result<T, Missing> {
        match self.take_at_once() {
            Some(value) => Ok(value),
            None => self.wait(Deadline::NEVER),
        }
    }

    /// Takes a value, waiting for one so long.
    #[inline(always)]
    pub(super) fn receive_timeout(&self, timeout: Duration) -> Result<T, Missing> {
        match self.take_at_once() {
            Some(value) => Ok(value),
            None => self.wait(Deadline::after(timeout)),
        }
    }

    /// Takes a value that is there, and counts that.
    #[inline]
    fn take_at_once(&self) -> Option<T> {
        if self.looks_empty() {
            return None;
        }
        hub::spend();
        self.take()
    }

    /// Whether no value is there, in the channel or with a sender that waits.
    #[inline]
    fn looks_empty(&self) -> bool {
        self.is_empty() && !self.channel.taken.has_line.load(Ordering::Relaxed)
    }

    /// Whether no value is in the channel.
    #[inline]
    fn is_empty(&self) -> bool {
        self.channel.put.load(Ordering::Acquire) == self.taken.get()
    }

    /// Takes the next value.
    #[inline]
    fn take(&self) -> Option<T> {
        let channel = &*self.channel;
        if self.is_empty() {
            return if channel.is_rendezvous() { self.take_from_sender() } else { None };
        }
        let taken = self.taken.get().wrapping_add(1);
        self.taken.set(taken);
        match &channel.buffer {
            Buffer::Unbounded(blocks) => {
                let mut cursor = self.cursor.get();
                // SAFETY: the cursor is that of the one receiver, and `is_empty` has seen that
                // the value was put in.
                let value = unsafe { blocks.read(&mut cursor) };
                self.cursor.set(cursor);
                Some(value)
            }
            Buffer::Bounded { ring, .. } => {
                let slot = self.slot.replace(ring.after(self.slot.get()));
                // SAFETY: `is_empty` has seen that the value was put in; the senders use the
                // slot again once `count` says that it was taken.
                let value = unsafe { ring.read(slot) };
                // An exchange, not a store: either a sender that is about to wait sees the
                // room, or its line is seen here.
                channel.taken.count.swap(taken, Ordering::SeqCst);
                if channel.taken.has_line.load(Ordering::SeqCst) {
                    channel.refill();
                }
                Some(value)
            }
        }
    }

    /// Takes the value of the first sender that waits at a rendezvous.
    #[inline]
    fn take_from_sender(&self) -> Option<T> {
        let channel = &*self.channel;
        if !channel.taken.has_line.load(Ordering::Relaxed) {
            return None;
        }
        let mut inner = channel.inner.lock();
        if !self.is_empty() {
            // One was put in meanwhile, for a receiver that is called. It comes first.
            drop(inner);
            return self.take();
        }
        let (value, served) = channel.serve(&mut inner)?;
        drop(inner);
        served.wake();
        Some(value)
    }

    /// Whether a sender waits at a rendezvous.
    fn has_sender(&self, inner: &mut Inner<T>) -> bool {
        self.channel.is_rendezvous() && Channel::first_sender(inner).is_some()
    }

    #[inline(always)]
    fn wait(&self, deadline: Deadline) -> Result<T, Missing> {
        let node = pin!(Node::carrying(()));
        let mut waiting = Waiting { receiver: self, node: node.as_ref(), was_linked: false };
        loop {
            let outcome = Suspension::outcome_of(waiting.begin(deadline), deadline);
            if outcome == Outcome::Interrupted {
                if !waiting.is_met() {
                    drop(waiting);
                    interrupted();
                }
                got_it_after_all();
            }
            match self.try_receive() {
                Err(Missing::Late) if outcome == Outcome::Woken => {}
                Err(missing) => return Err(missing),
                Ok(value) => {
                    waiting.end();
                    return Ok(value);
                }
            }
        }
    }
}

impl<T> Waitable for Receiving<T> {
    /// Whether [`receive`](Receiving::receive) need not wait.
    fn is_ready(&self) -> bool {
        !self.is_empty()
            || self.channel.is_ended()
            || self.has_sender(&mut self.channel.inner.lock())
    }

    /// Links the node of one who waits for other things as well. False if the receiver is ready.
    fn link(&self, spot: &Spot<'_>) -> bool {
        let mut inner = self.channel.inner.lock();
        if !self.is_empty() || self.channel.is_ended() || self.has_sender(&mut inner) {
            return false;
        }
        inner.selects.link(spot.node, spot.place, spot.had_its_turn);
        true
    }

    /// Takes that node out. False if it was called.
    fn unlink(&self, node: Pin<&Node>) -> bool {
        self.channel.inner.lock().selects.unlink(node)
    }

    /// Calls another, for one that was called and leaves.
    fn pass_on(&self) {
        let called = self.channel.call(&mut self.channel.inner.lock());
        self.channel.wake_called(called);
    }
}

impl<T> Drop for Receiving<T> {
    fn drop(&mut self) {
        self.channel.remove_receiver();
        let rest = Rest(self);
        rest.drop_values();
    }
}

/// Drops what is left in the channel, also if a destructor panics.
struct Rest<'a, T>(&'a Receiving<T>);

impl<T> Rest<'_, T> {
    fn drop_values(&self) {
        while let Some(value) = self.0.take() {
            drop(value);
        }
    }
}

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        // If there are any, a destructor has panicked. One more that does would abort the
        // process, as it would not in std, where what is left then is leaked.
        while let Some(value) = self.0.take() {
            drop_quietly(value);
        }
        if let Buffer::Unbounded(blocks) = &self.0.channel.buffer {
            let mut cursor = self.0.cursor.get();
            // SAFETY: the cursor is the receiver's, all values are taken, and since the
            // receiver has gone the senders write no more.
            unsafe { blocks.end(&mut cursor) };
            self.0.cursor.set(cursor);
        }
    }
}

/// A receiver that waits. It takes its node out before the frame goes away, even if that is by
/// a panic, and lets the next one look if it was called and leaves without a value.
struct Waiting<'a, T> {
    receiver: &'a Receiving<T>,
    node: Pin<&'a Node<()>>,
    /// Whether it has been in line. If it is not now, it was called since.
    was_linked: bool,
}

impl<T> Waiting<'_, T> {
    /// Gets in line and begins a wait, which is over if there is nothing to wait for.
    #[inline(never)]
    fn begin(&mut self, deadline: Deadline) -> Begun {
        let reason = self.receiver.channel.reason(What::Receive);
        let place = Place::announced(reason);
        if !self.link(&place) {
            return Err(Outcome::Woken);
        }
        place.begin(deadline, reason, Mode::Plain)
    }

    /// Gets in line, with the name of the next wait. False if there is nothing to wait for.
    #[inline]
    fn link(&mut self, place: &Place) -> bool {
        let receiver = self.receiver;
        let channel = &*receiver.channel;
        let mut inner = channel.inner.lock();
        if !receiver.is_empty() || channel.is_ended() || receiver.has_sender(&mut inner) {
            return false;
        }
        let had_its_turn = self.was_linked && !self.node.is_linked();
        inner.receivers.link(self.node, place, had_its_turn);
        self.was_linked = true;
        channel.is_awaited.store(true, Ordering::Relaxed);
        true
    }

    /// Whether a value was put in at a rendezvous, for the receiver that was called. It is
    /// this receiver's, whatever wants it.
    fn is_met(&self) -> bool {
        let is_called = !self.node.is_linked();
        is_called && self.receiver.channel.is_rendezvous() && !self.receiver.is_empty()
    }

    /// Leaves with a value.
    #[inline]
    fn end(self) {
        if self.node.is_linked() {
            self.unlink();
        }
        mem::forget(self);
    }

    #[cold]
    fn unlink(&self) {
        let channel = &*self.receiver.channel;
        let mut inner = channel.inner.lock();
        inner.receivers.unlink(self.node);
        channel.is_awaited.store(!inner.receivers.is_empty(), Ordering::Relaxed);
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        if self.node.is_linked() {
            self.unlink();
        }
        let receiver = self.receiver;
        if !receiver.is_empty() {
            receiver.pass_on();
        }
    }
}
