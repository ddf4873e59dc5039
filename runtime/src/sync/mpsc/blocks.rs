//! The slots of an unbounded channel: a chain of blocks that grows at the end and is given
//! back at the front.
//!
//! ```text
//!   first ──▶ ┌─────┐ next ┌─────┐ next ┌─────┐
//!             │ ×××·│─────▶│·····│─────▶│··   │
//!             └─────┘      └─────┘      └─────┘
//!                 ▲ the receiver's cursor  ▲ the senders' cursor
//! ```
//!
//! The senders add a block when the last is full; the receiver leaves a block when it needs a
//! value of the next. One block that was left is kept to be used again, so that a channel
//! which neither grows nor shrinks allocates nothing.
//!
//! **Invariant:** a block is linked before a value in it is made known, so that the receiver
//! finds a next block whenever it needs one.

// A slot is written by a sender and read by the receiver without a lock in between; blocks are
// passed as raw pointers.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sys::atomic::Ordering;
use crate::sys::single_threaded::AtomicPtr;

/// The chain.
pub(super) struct Blocks<T> {
    /// The first block there ever was; null before.
    first: AtomicPtr<Block<T>>,
    /// A block to be used again, or null.
    spare: AtomicPtr<Block<T>>,
}

/// Some slots.
pub(super) struct Block<T> {
    /// Null in the last block.
    next: AtomicPtr<Block<T>>,
    slots: [MaybeUninit<UnsafeCell<T>>; SLOTS],
}

/// The next slot to be written, or to be read.
pub(super) struct Cursor<T> {
    /// Null before the first block.
    block: *mut Block<T>,
    /// `SLOTS` if it is in the next block.
    slot: usize,
}

/// A block is allocated once for so many values, and an idle channel keeps two of them.
const SLOTS: usize = 32;

// SAFETY: a cursor refers to slots, whose values move from thread to thread with it.
unsafe impl<T: Send> Send for Cursor<T> {}

impl<T> Clone for Cursor<T> {
    #[inline]
    fn clone(&self) -> Cursor<T> {
        *self
    }
}

impl<T> Copy for Cursor<T> {}

impl<T> Cursor<T> {
    /// Before everything.
    pub(super) fn new() -> Cursor<T> {
        Cursor { block: ptr::null_mut(), slot: SLOTS }
    }

    /// Whether the next slot is in a block that is not there yet; of the senders' cursor.
    #[inline]
    pub(super) fn needs_block(&self) -> bool {
        self.slot == SLOTS
    }
}

impl<T> Block<T> {
    /// Allocates a block, without a detour over the stack.
    #[cold]
    pub(super) fn new() -> Box<Block<T>> {
        let mut block = Box::<Block<T>>::new_uninit();
        // SAFETY: the pointer is that of a whole block.
        let next = unsafe { &raw mut (*block.as_mut_ptr()).next };
        // SAFETY: it is the place of the link in a block that is ours alone.
        unsafe { next.write(AtomicPtr::new(ptr::null_mut())) };
        // SAFETY: the link is initialised, and slots need not be.
        unsafe { block.assume_init() }
    }
}

impl<T> Blocks<T> {
    /// Makes a chain without a block.
    pub(super) fn new() -> Blocks<T> {
        Blocks { first: AtomicPtr::new(ptr::null_mut()), spare: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Takes the block that was kept.
    pub(super) fn take_spare(&self) -> Option<Box<Block<T>>> {
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: a kept block came from a box, and the exchange has made it ours.
        (!spare.is_null()).then(|| unsafe { Box::from_raw(spare) })
    }

    /// Keeps a block, and gives back the one that was kept. Never under the lock.
    pub(super) fn keep(&self, mut block: Box<Block<T>>) {
        *block.next.get_mut() = ptr::null_mut();
        let kept = self.spare.swap(Box::into_raw(block), Ordering::AcqRel);
        if !kept.is_null() {
            // SAFETY: as in `take_spare`.
            drop(unsafe { Box::from_raw(kept) });
        }
    }

    /// Adds a block at the end.
    ///
    /// # Safety
    ///
    /// The cursor is that of this chain's senders, and the caller holds their lock.
    pub(super) unsafe fn add(&self, tail: &mut Cursor<T>, block: Box<Block<T>>) {
        debug_assert!(tail.needs_block());
        let block = Box::into_raw(block);
        let link = match tail.block.is_null() {
            true => &self.first,
            // SAFETY: the last block is there as long as its successor is not known.
            false => unsafe { &(*tail.block).next },
        };
        link.store(block, Ordering::Release);
        *tail = Cursor { block, slot: 0 };
    }

    /// Fills the next slot.
    ///
    /// # Safety
    ///
    /// The cursor is that of this chain's senders, needs no block, and the caller holds their
    /// lock.
    #[inline]
    pub(super) unsafe fn write(&self, tail: &mut Cursor<T>, value: T) {
        // SAFETY: the last block is there: the receiver leaves it only for the next.
        let slot = unsafe { &(*tail.block).slots[tail.slot] };
        // SAFETY: the slot is behind all that were written, so empty, and unknown to the
        // receiver.
        unsafe { UnsafeCell::raw_get(slot.as_ptr()).write(value) };
        tail.slot += 1;
    }

    /// Empties the next slot.
    ///
    /// # Safety
    ///
    /// The cursor is that of this chain's receiver, and the value was made known to this
    /// thread.
    #[inline]
    pub(super) unsafe fn read(&self, head: &mut Cursor<T>) -> T {
        if head.slot == SLOTS {
            // SAFETY: the same.
            unsafe { self.go_on(head) };
        }
        // SAFETY: the block of the cursor is there until the cursor leaves it.
        let slot = unsafe { &(*head.block).slots[head.slot] };
        head.slot += 1;
        // SAFETY: the slot was filled, and is behind the cursor from now on.
        unsafe { UnsafeCell::raw_get(slot.as_ptr()).read() }
    }

    /// Goes to the next block, which is there, and leaves the one before.
    ///
    /// # Safety
    ///
    /// The cursor is that of this chain's receiver, has read its block to the end, and a value
    /// of the next block was made known to this thread.
    unsafe fn go_on(&self, head: &mut Cursor<T>) {
        let left = head.block;
        if left.is_null() {
            head.block = self.first.load(Ordering::Acquire);
        } else {
            // SAFETY: the block of the cursor is there until the cursor leaves it.
            head.block = unsafe { &(*left).next }.load(Ordering::Acquire);
            // SAFETY: it came from a box; the senders have left it, since they have written to
            // the next, and now the receiver has. Its values are all taken.
            self.keep(unsafe { Box::from_raw(left) });
        }
        head.slot = 0;
    }

    /// Gives the last block back, once all values are taken.
    ///
    /// # Safety
    ///
    /// The cursor is that of this chain's receiver, no value is left, and the senders write no
    /// more.
    pub(super) unsafe fn end(&self, head: &mut Cursor<T>) {
        let last = head.block;
        *head = Cursor::new();
        if !last.is_null() {
            // SAFETY: it came from a box, and by now nobody else refers to it.
            drop(unsafe { Box::from_raw(last) });
        }
    }
}

impl<T> Drop for Blocks<T> {
    fn drop(&mut self) {
        drop(self.take_spare());
    }
}
