//! The slots of a bounded channel: a ring that is allocated once.
//!
//! It knows neither who waits nor how many values are in it: the channel counts them, and
//! says which slot is written or read.

// A slot is written by a sender and read by the receiver without a lock in between.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

/// Slots in a circle.
pub(super) struct Ring<T> {
    slots: Box<[MaybeUninit<UnsafeCell<T>>]>,
}

// SAFETY: the slots are reached through `write` and `read` only, whose callers see to it that
// no two use one at a time; values move from thread to thread.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// Makes so many empty slots.
    pub(super) fn new(slots: usize) -> Ring<T> {
        Ring { slots: Box::new_uninit_slice(slots) }
    }

    /// The slot after one.
    #[inline]
    pub(super) fn after(&self, slot: usize) -> usize {
        let next = slot + 1;
        if next == self.slots.len() { 0 } else { next }
    }

    /// Fills a slot.
    ///
    /// # Safety
    ///
    /// The slot is empty, and nobody else uses it meanwhile.
    #[inline]
    pub(super) unsafe fn write(&self, slot: usize, value: T) {
        let place = UnsafeCell::raw_get(self.slots[slot].as_ptr());
        // SAFETY: it is a place for a `T` in our allocation, which the caller alone uses.
        unsafe { place.write(value) };
    }

    /// Empties a slot.
    ///
    /// # Safety
    ///
    /// The slot is full, that was made known to this thread, and nobody else uses it meanwhile.
    #[inline]
    pub(super) unsafe fn read(&self, slot: usize) -> T {
        let place = UnsafeCell::raw_get(self.slots[slot].as_ptr());
        // SAFETY: the caller has filled it, alone uses it, and takes it for empty from now on.
        unsafe { place.read() }
    }
}
