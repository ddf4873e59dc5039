//! A value that the checker watches: two uses of it that are not ordered fail the model, and so
//! does one that is dropped twice or not at all.

use std::cell::Cell;

use loom::cell;

thread_local! {
    /// How many there are. The checker runs all threads of a model on one.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// A number to be written by one thread and read by another.
#[derive(Debug)]
pub(crate) struct Tracked {
    number: cell::UnsafeCell<u32>,
}

/// std's, with the same checks: whoever asks where the value is counts as using it alone.
pub(crate) struct UnsafeCell<T>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(cell::UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> *mut T {
        self.0.with_mut(|value| value)
    }
}

// SAFETY: each use is checked to come after or before every other one.
unsafe impl Sync for Tracked {}

/// Begins to count.
pub(crate) fn begin() {
    LIVE.set(0);
}

/// Checks that all were dropped once.
pub(crate) fn check_end() {
    assert_eq!(LIVE.get(), 0, "values that were not dropped once");
}

impl Tracked {
    pub(crate) fn new(number: u32) -> Tracked {
        LIVE.set(LIVE.get() + 1);
        Tracked { number: cell::UnsafeCell::new(number) }
    }

    /// Reads it, as one of several readers.
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: the pointer is valid, and the checker sees to it that nobody writes.
        self.number.with(|number| unsafe { *number })
    }

    /// Adds one, alone.
    pub(crate) fn add(&self) -> u32 {
        self.number.with_mut(|number| {
            // SAFETY: the pointer is valid, and the checker sees to it that nobody else uses it.
            unsafe { *number += 1 };
            // SAFETY: the same.
            unsafe { *number }
        })
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.add();
        }
        LIVE.set(LIVE.get() - 1);
    }
}

/// Counts some as dropped that are in memory which is never freed.
pub(crate) fn forget(count: usize) {
    LIVE.set(LIVE.get() - count as i64);
}
