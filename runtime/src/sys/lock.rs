//! A lock for the few words that threads share.
//!
//! It spins for a moment, then sleeps on a futex. It is never std's: once std's locks
//! are made to park coroutines, this one still has to stop the thread. It is never held
//! across a switch, user code or an allocation.
//!
//! Almost always nobody else wants it. So it is freed by a store, which costs next to nothing,
//! and not by an exchange, which waits for the processor's stores. The price: who announces its
//! sleep between the holder's look and that store is not seen. It sleeps for `SLEEP_MAX` then.

// The value behind a lock is reached through an `UnsafeCell`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::single_threaded::AtomicU32;

/// A value that one thread at a time may use.
pub(crate) struct Lock<T> {
    /// One of `FREE`, `HELD`, `CONTENDED`.
    word: AtomicU32,
    value: UnsafeCell<T>,
}

/// Gives the value of a [`Lock`] until it is dropped.
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// Neither `Send` nor `Sync`, whatever the value is.
    _thread: PhantomData<*mut ()>,
}

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may sleep on the word.
const CONTENDED: u32 = 2;
/// The critical sections are a few instructions: longer than this and the holder
/// has lost its processor.
const SPINS_MAX: u32 = 100;
/// How long a thread sleeps at most before it looks again: so long as a holder may well be
/// without its processor, which is why anybody sleeps here.
const SLEEP_MAX: Duration = Duration::from_millis(1);

// SAFETY: the lock hands out the value to one thread at a time.
unsafe impl<T: Send> Send for Lock<T> {}
// SAFETY: as above; a shared lock gives exclusive access only.
unsafe impl<T: Send> Sync for Lock<T> {}

// No code of users runs while it is held, so no panic of theirs leaves the value half-changed.
impl<T> UnwindSafe for Lock<T> {}
impl<T> RefUnwindSafe for Lock<T> {}

impl<T> Lock<T> {
    /// Makes a free lock.
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Takes the lock, stopping the thread if another one holds it.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let taken = self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            self.lock_contended();
        }
        Guard { lock: self, _thread: PhantomData }
    }

    /// Frees the lock for the only thread of a process: the child of a fork, where whoever held
    /// it is gone. True if somebody did, and may have left the value half changed.
    pub(crate) fn free_in_child(&self) -> bool {
        self.word.swap(FREE, Ordering::Relaxed) != FREE
    }

    /// Frees the lock for whoever has taken it and forgotten the guard.
    pub(crate) fn free_forgotten(&self) {
        drop(Guard { lock: self, _thread: PhantomData });
    }

    #[cold]
    fn lock_contended(&self) {
        for _ in 0..SPINS_MAX {
            if self.word.load(Ordering::Relaxed) == FREE
                && self
                    .word
                    .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            std::hint::spin_loop();
        }
        // Whoever slept takes the lock as contended: others may still be asleep.
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex::wait(&self.word, CONTENDED, Deadline::after(SLEEP_MAX));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let is_contended = self.lock.word.load(Ordering::Relaxed) == CONTENDED;
        self.lock.word.store(FREE, Ordering::Release);
        if is_contended {
            futex::wake(&self.lock.word, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn threads_take_turns() {
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let lock = Arc::new(Lock::new(0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || {
                    for round in 0..rounds {
                        let mut count = lock.lock();
                        let before = *count;
                        if round % 64 == 0 {
                            // Whoever is not kept out comes in here.
                            std::thread::yield_now();
                        }
                        *count = before + 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*lock.lock(), 4 * rounds);
    }
}
