//! The mutex that its holder may lock again.
//!
//! Beside the lock it keeps the number of the coroutine or thread that holds it, which nobody
//! else ever has, and how often that has locked. A coroutine stays on its thread: so whoever
//! reads its own number there is on the thread that wrote it, and the count is that thread's.

// The value and the count are reached through cells that threads share.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

use crate::hub::identity;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::raw_lock::Kind;
use crate::sync::raw_lock::RawLock;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;

/// Guards a value that one coroutine or thread at a time may use, and that may be locked again
/// by the one that holds it: gevent's `RLock`, with the methods of std's unstable
/// `ReentrantLock`.
///
/// It is free again when as many guards were dropped as were given. Since there may be several
/// they give shared access to the value only; put a [`Cell`] or a
/// [`RefCell`](std::cell::RefCell) inside to change it. It belongs to a coroutine, and not to
/// its thread: another coroutine of the thread waits for it. On the root, and on a thread
/// without a hub, it belongs to the thread. It is not poisoned by a panic or a kill, which
/// drop the guards of the coroutine that they end.
///
/// Who is served is as for [`Mutex`](crate::sync::Mutex).
///
/// # Examples
///
/// A function that locks, and calls itself:
///
/// ```
/// use std::cell::Cell;
///
/// use corovent_runtime::sync::ReentrantMutex;
///
/// fn count_down(from: u32, total: &ReentrantMutex<Cell<u32>>) {
///     let held = total.lock();
///     held.set(held.get() + from);
///     if from > 0 {
///         count_down(from - 1, total);
///     }
/// }
///
/// let total = ReentrantMutex::new(Cell::new(0));
/// count_down(4, &total);
/// assert_eq!(total.into_inner().get(), 10);
/// ```
///
/// With a [`Mutex`](crate::sync::Mutex) that is a deadlock, and reported when nothing else can
/// happen:
///
/// ```
/// use corovent_runtime::sync::Mutex;
/// use corovent_runtime::{Deadlock, catch_unwind, debug, run};
///
/// fn count_down(from: u32, total: &Mutex<u32>) {
///     let mut held = total.lock().unwrap();
///     *held += from;
///     if from > 0 {
///         // It is held by the caller, that is by this coroutine itself.
///         count_down(from - 1, total);
///     }
/// }
///
/// run(|| {
///     // Other threads of the program count as able to help; but they know nothing of this.
///     debug::deadlock(debug::Scope::Hub);
///     let total = Mutex::new(0);
///     let payload = catch_unwind(|| count_down(4, &total)).unwrap_err();
///     let report = payload.downcast_ref::<Deadlock>().unwrap().to_string();
///     assert!(report.contains("lock"), "{report}");
/// });
/// ```
pub struct ReentrantMutex<T: ?Sized> {
    raw: RawLock,
    /// The number of the one that holds it, or `NOBODY`.
    owner: AtomicU64,
    /// How many guards there are; only for who holds the lock.
    count: Cell<u32>,
    value: T,
}

/// Gives the value of a [`ReentrantMutex`] until it is dropped.
///
/// Dropping it never waits. It stays with the coroutine that has locked:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::sync::ReentrantMutex::new(1).lock());
/// ```
///
/// It is `Sync` only if the value is, and not already if that is `Send`:
///
/// ```compile_fail
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(corovent_runtime::sync::ReentrantMutex::new(std::cell::Cell::new(1)).lock());
/// ```
#[must_use = "if unused the ReentrantMutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct ReentrantMutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a ReentrantMutex<T>,
    _stays: PhantomData<*const ()>,
}

const NOBODY: u64 = 0;

// SAFETY: the lock gives the value and the count to one thread at a time.
unsafe impl<T: ?Sized + Send> Sync for ReentrantMutex<T> {}
// SAFETY: a shared guard gives shared access to the value only.
unsafe impl<T: ?Sized + Sync> Sync for ReentrantMutexGuard<'_, T> {}

impl<T: ?Sized + UnwindSafe> UnwindSafe for ReentrantMutex<T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for ReentrantMutex<T> {}

impl<T> ReentrantMutex<T> {
    /// Makes a mutex that nobody holds.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub const fn new(value: T) -> ReentrantMutex<T> {
        let (owner, count) = (AtomicU64::new(NOBODY), Cell::new(0));
        ReentrantMutex { raw: RawLock::new(), owner, count, value }
    }

    /// Gives the value back.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Takes the lock, for the first time or once more, and gives a guard.
    ///
    /// # Suspends
    ///
    /// Only if another holds the lock, or was overtaken on its way to it: until its turn has
    /// come. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If there are 2³² - 1 guards already.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given.
    #[inline]
    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        let own = identity::current_number();
        if !self.is_owner(own) {
            self.raw.lock(What::Lock);
            self.begin(own);
        }
        self.guard()
    }

    /// Takes the lock if no other holds it, and nobody who waits was overtaken.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there are 2³² - 1 guards already.
    #[inline]
    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        let own = identity::current_number();
        if !self.is_owner(own) {
            if !self.raw.try_lock() {
                return None;
            }
            self.begin(own);
        }
        Some(self.guard())
    }

    /// Takes the lock, but does not wait for it longer than `timeout`. `None`: the time was up
    /// first.
    ///
    /// # Suspends
    ///
    /// Only if another holds the lock, or was overtaken on its way to it: until its turn has
    /// come, or the time is up. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If there are 2³² - 1 guards already.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given. It is the same when
    /// the time is up.
    pub fn lock_timeout(&self, timeout: Duration) -> Option<ReentrantMutexGuard<'_, T>> {
        let own = identity::current_number();
        if !self.is_owner(own) {
            if !self.raw.try_lock() {
                match self.raw.acquire(Kind::Write, What::Lock, Deadline::after(timeout)) {
                    Ok(()) => {}
                    Err(Outcome::Interrupted) => interrupted(),
                    Err(_) => return None,
                }
            }
            self.begin(own);
        }
        Some(self.guard())
    }

    /// Gives the value to one who has the mutex to itself, without a lock.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// Whether the caller, whose number that is, holds the lock.
    #[inline]
    fn is_owner(&self, own: u64) -> bool {
        // Nobody else writes that number, so an old value of another is as good as the newest.
        self.owner.load(Ordering::Relaxed) == own
    }

    /// Notes who has just taken the lock.
    #[inline]
    fn begin(&self, own: u64) {
        self.owner.store(own, Ordering::Relaxed);
    }

    /// One more guard for who holds the lock.
    #[inline]
    fn guard(&self) -> ReentrantMutexGuard<'_, T> {
        let count = self.count.get().checked_add(1).expect("a lock has at most 2³² - 1 guards");
        self.count.set(count);
        ReentrantMutexGuard { mutex: self, _stays: PhantomData }
    }
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let mutex = self.mutex;
        let left = mutex.count.get() - 1;
        mutex.count.set(left);
        if left == 0 {
            mutex.owner.store(NOBODY, Ordering::Relaxed);
            mutex.raw.unlock();
        }
    }
}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.mutex.value
    }
}

impl<T> From<T> for ReentrantMutex<T> {
    fn from(value: T) -> ReentrantMutex<T> {
        ReentrantMutex::new(value)
    }
}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> ReentrantMutex<T> {
        ReentrantMutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("ReentrantMutex");
        match self.try_lock() {
            Some(guard) => fields.field("data", &&*guard),
            None => fields.field("data", &format_args!("<locked>")),
        };
        fields.finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
