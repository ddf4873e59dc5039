//! A sender's side of a channel, bounded or not.

use std::cell::Cell;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::mpsc::channel::Channel;
use crate::sync::mpsc::channel::Inner;
use crate::sync::mpsc::channel::Offered;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;

/// One of the senders.
pub(super) struct Sending<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sending<T> {
    /// The first sender of a new channel.
    pub(super) fn new(channel: Arc<Channel<T>>) -> Sending<T> {
        Sending { channel }
    }

    /// Puts a value in, waiting for room. The error gives it back: the receiver has gone.
    #[inline]
    pub(super) fn send(&self, value: T) -> Result<(), T> {
        if self.channel.looks_full() {
            return self.send_slowly(value);
        }
        hub::spend();
        match self.channel.offer(value) {
            Offered::Sent => Ok(()),
            Offered::Gone(value) => Err(value),
            Offered::Full(value) => self.send_slowly(value),
        }
    }

    /// Puts a value in, if that needs no wait.
    #[inline]
    pub(super) fn offer(&self, value: T) -> Offered<T> {
        self.channel.offer(value)
    }

    /// Puts a value into a bounded channel that was full, or seemed to be.
    fn send_slowly(&self, value: T) -> Result<(), T> {
        let channel = &*self.channel;
        let reason = channel.reason(What::Send);
        // Dropped last, without the lock, and with it a value that was not sent.
        let node = pin!(Node::carrying(Cell::new(Some(value))));
        let node = node.as_ref();
        let in_line = InLine { channel, node };
        let mut had_its_turn = false;
        loop {
            let place = Place::announced(reason);
            if in_line.join(&place, had_its_turn) {
                break;
            }
            let outcome = place.block(Deadline::NEVER, reason, Mode::Plain);
            if outcome == Outcome::Interrupted {
                in_line.leave();
                if in_line.has_value() {
                    drop(in_line);
                    interrupted();
                }
                got_it_after_all();
                break;
            }
            had_its_turn = !node.is_linked();
        }
        let value = node.payload().expect("it is out of line").take();
        value.map_or(Ok(()), Err)
    }
}

impl<T> Clone for Sending<T> {
    fn clone(&self) -> Sending<T> {
        self.channel.senders.fetch_add(1, Ordering::Relaxed);
        Sending { channel: Arc::clone(&self.channel) }
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

/// Takes a sender's node out of line before its frame goes away, even if that is by a panic,
/// and serves the line if it was told of room that it did not use.
struct InLine<'a, T> {
    channel: &'a Channel<T>,
    node: Pin<&'a Node<Cell<Option<T>>>>,
}

impl<T> InLine<'_, T> {
    /// Gets in line, with the name of the next wait. True if there is nothing to wait for: the
    /// value was sent or cannot be, which is told by whether the node has it still.
    fn join(&self, place: &Place, at_front: bool) -> bool {
        let InLine { channel, node } = self;
        let mut inner = channel.inner.lock();
        if inner.receiver_is_gone {
            inner.line.unlink(*node);
            return true;
        }
        let has_room = self.has_room(&inner);
        if has_room {
            inner.line.unlink(*node);
        }
        if let Some(payload) = node.payload() {
            let value = payload.take();
            if has_room || value.is_none() {
                // Without a value it was served since it was woken.
                let called = value.and_then(|value| channel.put(&mut inner, value));
                channel.note_line(&inner);
                drop(inner);
                channel.wake_called(called);
                return true;
            }
            payload.set(value);
        }
        inner.line.link(*node, place, at_front);
        if channel.is_rendezvous() {
            // No receiver waits, or there would be room.
            let called = inner.selects.take_next();
            drop(inner);
            channel.wake_called(called);
        }
        false
    }

    /// Whether there is room. If not, the receiver will look for a line when it makes some.
    fn has_room(&self, inner: &Inner<T>) -> bool {
        if inner.line.is_empty() {
            // Before the look at the room: if the receiver makes some after that, it sees this.
            self.channel.taken.has_line.store(true, Ordering::SeqCst);
        }
        self.channel.has_room(inner)
    }

    /// Gets out of line.
    fn leave(&self) {
        let mut inner = self.channel.inner.lock();
        if inner.line.unlink(self.node) {
            self.channel.note_line(&inner);
        }
    }

    /// Whether the value was not sent; for one that is out of line.
    fn has_value(&self) -> bool {
        self.node.payload().is_some_and(|payload| {
            let value = payload.take();
            let has_value = value.is_some();
            payload.set(value);
            has_value
        })
    }
}

impl<T> Drop for InLine<'_, T> {
    fn drop(&mut self) {
        if self.node.is_linked() {
            self.leave();
        }
        if self.has_value() {
            self.channel.refill();
        }
    }
}
