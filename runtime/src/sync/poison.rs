//! Whether a lock is poisoned: the mark that an unwinding leaves on what it held.
//!
//! It goes by whether the *coroutine* unwinds. std's own locks go by the thread, which unwinds
//! whenever one of its coroutines waits in the middle of it.

use std::sync::LockResult;
use std::sync::PoisonError;
use std::thread;

use crate::hub;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;

/// The mark of one lock.
#[derive(Debug)]
pub(super) struct Flag {
    is_set: AtomicBool,
}

/// Whether the running code unwinds: by a panic, a kill or a timeout.
#[inline]
pub(super) fn is_unwinding() -> bool {
    // If std knows of no panic, nobody on this thread unwinds, and no more is asked: in a
    // process without a panic it is one look at a counter.
    thread::panicking() && is_unwinding_itself()
}

#[cold]
fn is_unwinding_itself() -> bool {
    hub::current().is_none_or(hub::Hub::is_unwinding)
}

impl Flag {
    /// Makes one that is not set.
    pub(super) const fn new() -> Flag {
        Flag { is_set: AtomicBool::new(false) }
    }

    /// Sets it, if the holder unwinds and did not when it took the lock.
    #[inline]
    pub(super) fn note_end(&self, was_unwinding: bool) {
        if !was_unwinding && is_unwinding() {
            self.is_set.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn clear(&self) {
        self.is_set.store(false, Ordering::Relaxed);
    }

    /// Gives a value as an error if the flag is set.
    #[inline]
    pub(super) fn check<T>(&self, value: T) -> LockResult<T> {
        if self.is_set() { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}
