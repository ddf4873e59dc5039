//! What the two sides of a channel share: the values, who waits, and who is still there.
//!
//! Senders put values in under the lock. The receiver takes them out without it, since there
//! is only one: it compares how many values were put in with how many it took.
//!
//! - A receiver that waits is *called* by whoever puts a value in: woken, to take it or
//!   another. What was put in stays in the channel until somebody takes it.
//! - A sender that waits keeps its value in its own frame, in line with the others. If it is
//!   of the receiver's hub, the receiver moves the value into the room that it makes, so the
//!   sender is woken when it has sent. One of another thread is told of the room instead, and
//!   tries again, at the front of the line if it comes too late: to give it the room would
//!   keep the senders that run from using it, and each message would cost a switch of threads.
//! - A *rendezvous* channel, with a bound of 0, has one slot, which is filled only for a
//!   receiver that waits and is called. If none waits, the sender does, and the value is taken
//!   from its frame. So a value leaves its sender when a receiver is there to take it.
//!
//! **Invariant:** if a sender is in line, the channel is full, or for each free place somebody
//! was told of it and has not looked yet, or the receiver is about to serve the line.
//!
//! **Invariant:** no value is dropped, and nothing is allocated, under the lock.

// A slot is written under the lock, by the buffers' rules.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

use crate::hub;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::hub::wake::WakeRef;
use crate::sync::mpsc::blocks::Block;
use crate::sync::mpsc::blocks::Blocks;
use crate::sync::mpsc::blocks::Cursor;
use crate::sync::mpsc::ring::Ring;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::lock::Lock;
use crate::sys::single_threaded::AtomicUsize;
use crate::wait_queue::List;

/// A channel, as both sides see it.
#[repr(C)]
pub(super) struct Channel<T> {
    pub(super) inner: Lock<Inner<T>>,
    /// How many values were ever put in. Changed under the lock.
    pub(super) put: AtomicUsize,
    /// Whether a receiver waits: a hint but under the lock.
    pub(super) is_awaited: AtomicBool,
    /// How many senders there are.
    pub(super) senders: AtomicUsize,
    pub(super) buffer: Buffer<T>,
    pub(super) taken: Taken,
}

/// What the receiver changes, on a line of the processor's cache of its own.
#[repr(align(64))]
pub(super) struct Taken {
    /// How many values were ever taken out of a bounded channel.
    pub(super) count: AtomicUsize,
    /// Whether a sender is in line: a hint but under the lock, where it is changed.
    pub(super) has_line: AtomicBool,
}

/// Where the values are.
pub(super) enum Buffer<T> {
    /// `bound` is 0 for a rendezvous, whose ring has one slot.
    Bounded {
        ring: Ring<T>,
        bound: usize,
    },
    Unbounded(Blocks<T>),
}

/// What the lock guards.
pub(super) struct Inner<T> {
    /// Where the next value is put.
    tail: Tail<T>,
    pub(super) receiver_is_gone: bool,
    /// Senders that wait, with their values.
    pub(super) line: List<Cell<Option<T>>>,
    /// Receivers that wait: coroutines of one thread may share the one there is.
    pub(super) receivers: List<()>,
    /// Those who wait for the channel beside other things. They come when they are called and no
    /// receiver is, and do not count as one: who sends at a rendezvous waits until they take it.
    pub(super) selects: List,
}

/// The next slot.
enum Tail<T> {
    Ring(usize),
    Blocks(Cursor<T>),
}

/// What became of a value that was offered.
pub(super) enum Offered<T> {
    Sent,
    Full(T),
    Gone(T),
}

impl<T> Channel<T> {
    /// Makes a channel with one sender; `None` is no bound.
    pub(super) fn new(bound: Option<usize>) -> Channel<T> {
        let (buffer, tail) = match bound {
            Some(bound) => {
                (Buffer::Bounded { ring: Ring::new(bound.max(1)), bound }, Tail::Ring(0))
            }
            None => (Buffer::Unbounded(Blocks::new()), Tail::Blocks(Cursor::new())),
        };
        Channel {
            inner: Lock::new(Inner {
                tail,
                receiver_is_gone: false,
                line: List::new(),
                receivers: List::new(),
                selects: List::new(),
            }),
            put: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            senders: AtomicUsize::new(1),
            buffer,
            taken: Taken { count: AtomicUsize::new(0), has_line: AtomicBool::new(false) },
        }
    }

    /// The reason of a wait for the channel.
    pub(super) fn reason(&self, what: What) -> Reason {
        Reason::Queue(what, ptr::from_ref(self).addr())
    }

    /// Whether a value cannot be put in without a wait, as far as can be seen without the lock.
    #[inline]
    pub(super) fn looks_full(&self) -> bool {
        match self.buffer {
            Buffer::Bounded { bound: 0, .. } => !self.is_awaited.load(Ordering::Relaxed),
            Buffer::Bounded { bound, .. } => self.len() >= bound,
            Buffer::Unbounded(_) => false,
        }
    }

    /// How many values are in a bounded channel.
    #[inline]
    fn len(&self) -> usize {
        let put = self.put.load(Ordering::Relaxed);
        put.wrapping_sub(self.taken.count.load(Ordering::SeqCst))
    }

    /// Whether each value leaves its sender when a receiver is there.
    #[inline]
    pub(super) fn is_rendezvous(&self) -> bool {
        matches!(self.buffer, Buffer::Bounded { bound: 0, .. })
    }

    /// Whether a value may be put in. Under the lock.
    #[inline]
    pub(super) fn has_room(&self, inner: &Inner<T>) -> bool {
        match self.buffer {
            Buffer::Bounded { bound: 0, .. } => self.len() == 0 && !inner.receivers.is_empty(),
            Buffer::Bounded { bound, .. } => self.len() < bound,
            Buffer::Unbounded(_) => true,
        }
    }

    /// Puts a value in, if that needs no wait.
    #[inline]
    pub(super) fn offer(&self, value: T) -> Offered<T> {
        let mut new = None;
        let mut inner = loop {
            let mut inner = self.inner.lock();
            if inner.receiver_is_gone {
                drop(inner);
                return Offered::Gone(value);
            }
            if !self.has_room(&inner) {
                drop(inner);
                return Offered::Full(value);
            }
            if self.has_slot(&mut inner, &mut new) {
                break inner;
            }
            drop(inner);
            new = Some(Block::new());
        };
        let called = self.put(&mut inner, value);
        drop(inner);
        self.wake_called(called);
        if let (Some(block), Buffer::Unbounded(blocks)) = (new, &self.buffer) {
            // Somebody else added one meanwhile.
            blocks.keep(block);
        }
        Offered::Sent
    }

    /// Sees to it that there is a slot for the next value. False if a new block is needed.
    #[inline]
    fn has_slot(&self, inner: &mut Inner<T>, new: &mut Option<Box<Block<T>>>) -> bool {
        match (&self.buffer, &mut inner.tail) {
            (Buffer::Unbounded(blocks), Tail::Blocks(tail)) if tail.needs_block() => {
                let Some(block) = new.take().or_else(|| blocks.take_spare()) else {
                    return false;
                };
                // SAFETY: the lock is held, and guards the chain's cursor.
                unsafe { blocks.add(tail, block) };
                true
            }
            _ => true,
        }
    }

    /// Puts a value in, for which there is room and a slot, and gives whom to wake for it.
    #[inline(always)]
    pub(super) fn put(&self, inner: &mut Inner<T>, value: T) -> Option<WakeRef> {
        match (&self.buffer, &mut inner.tail) {
            (Buffer::Bounded { ring, .. }, Tail::Ring(slot)) => {
                // SAFETY: there is room, so the receiver has emptied the slot; the lock is
                // held, so no other sender uses it.
                unsafe { ring.write(*slot, value) };
                *slot = ring.after(*slot);
            }
            (Buffer::Unbounded(blocks), Tail::Blocks(tail)) => {
                // SAFETY: the lock is held, and guards the chain's cursor, which needs no block.
                unsafe { blocks.write(tail, value) };
            }
            _ => unreachable!("a cursor is made with its buffer"),
        }
        // Makes the slot known to the receiver.
        self.put.store(self.put.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        self.call(inner)
    }

    /// Takes the first receiver out of its line; a select if there is none.
    #[inline]
    pub(super) fn call(&self, inner: &mut Inner<T>) -> Option<WakeRef> {
        let Some(called) = inner.receivers.take_first() else {
            return inner.selects.take_next();
        };
        self.is_awaited.store(!inner.receivers.is_empty(), Ordering::Relaxed);
        Some(called)
    }

    /// Wakes a receiver that was called; the next one if it will never run again.
    #[inline]
    pub(super) fn wake_called(&self, called: Option<WakeRef>) {
        if called.is_some_and(|wake| !wake.wake()) {
            self.wake_another();
        }
    }

    /// Calls receivers until one is woken.
    #[cold]
    fn wake_another(&self) {
        loop {
            let called = self.call(&mut self.inner.lock());
            if called.is_none_or(WakeRef::wake) {
                return;
            }
        }
    }

    /// Takes the value of the first sender in line, which has sent by that, and gives whom to
    /// wake for it.
    pub(super) fn serve(&self, inner: &mut Inner<T>) -> Option<(T, WakeRef)> {
        Channel::first_sender(inner)?;
        let (value, served) = inner.line.take_first_with(Cell::take)?;
        self.note_line(inner);
        Some((value.expect("a sender waits with its value"), served))
    }

    /// The first sender in line. Those whose hubs have ended are passed over.
    pub(super) fn first_sender(inner: &mut Inner<T>) -> Option<WakeRef> {
        while inner.line.first()?.is_void() {
            // Its value stays in its frame, which nobody returns to.
            inner.line.take_first();
        }
        inner.line.first()
    }

    /// Notes whether a sender is in line, after a change. Under the lock.
    pub(super) fn note_line(&self, inner: &Inner<T>) {
        self.taken.has_line.store(!inner.line.is_empty(), Ordering::SeqCst);
    }

    /// Serves the line, for room that the receiver has made, or that one leaves who was told
    /// of it.
    #[cold]
    pub(super) fn refill(&self) {
        // Not under the lock: it may find that the thread is ending, and end the hub.
        let home = hub::current();
        loop {
            let mut inner = self.inner.lock();
            if inner.receiver_is_gone || !self.has_room(&inner) {
                return;
            }
            let Some(first) = Channel::first_sender(&mut inner) else {
                return self.note_line(&inner);
            };
            if self.is_rendezvous() || first.is_of(home) {
                let Some((value, served)) = self.serve(&mut inner) else { return };
                let called = self.put(&mut inner, value);
                drop(inner);
                served.wake();
                self.wake_called(called);
                continue;
            }
            inner.line.take_first();
            self.note_line(&inner);
            drop(inner);
            if first.wake() {
                return;
            }
        }
    }

    /// Notes that one more sender has gone; the last makes the receivers look.
    pub(super) fn remove_sender(&self) {
        // What the others have put in is before the end.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            while let Some(called) = { self.call(&mut self.inner.lock()) } {
                called.wake();
            }
        }
    }

    /// Whether all senders have gone.
    #[inline]
    pub(super) fn is_ended(&self) -> bool {
        self.senders.load(Ordering::Acquire) == 0
    }

    /// Notes that the receiver has gone: nothing is put in from now on, and those in line are
    /// woken with their values.
    pub(super) fn remove_receiver(&self) {
        loop {
            let mut inner = self.inner.lock();
            inner.receiver_is_gone = true;
            let next = inner.line.take_first();
            self.note_line(&inner);
            drop(inner);
            match next {
                Some(wake) => wake.wake(),
                None => return,
            };
        }
    }
}
