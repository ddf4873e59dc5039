//! The mutex: one at a time may use what it guards.

// The value is reached through an `UnsafeCell`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::LockResult;
use std::sync::TryLockError;
use std::sync::TryLockResult;

use crate::hub::reason::What;
use crate::sync::poison;
use crate::sync::raw_lock::RawLock;

/// Guards a value that one coroutine or thread at a time may use: the mirror of
/// [`std::sync::Mutex`].
///
/// It works between the coroutines of a thread, between threads with coroutines, and with
/// threads that have none; those are stopped while they wait, and get no hub. The guard may be
/// kept across a wait: other coroutines then wait for the lock, and run nothing else's share.
///
/// Who is served: those who wait stand in one line, first in, first out. An unlock wakes the
/// first of them, and leaves the lock free; whoever runs may take it once more without a
/// switch. But nobody overtakes one that was woken and came too late: it gets the lock next.
/// When the thread of one that was woken ends before it runs, the lock goes to the others.
/// A thread that the operating system stops, as in [`std::thread::JoinHandle::join`], with one
/// that was woken on it, keeps those behind it waiting too.
///
/// # Deadlocks
///
/// A coroutine that locks what it holds already waits for ever; [`ReentrantMutex`] is for that.
/// So do two that hold one lock each and want the other's. When nothing else can happen, the
/// root's wait ends by [`Deadlock`](crate::Deadlock), whose report shows who waits for a "lock":
///
/// ```
/// use std::panic::AssertUnwindSafe;
///
/// use corovent_runtime::sync::{Arc, Mutex};
/// use corovent_runtime::{Builder, Deadlock, catch_unwind, debug, run, yield_now};
///
/// run(|| {
///     // Other threads of the program count as able to help; but they know nothing of this.
///     debug::deadlock(debug::Scope::Hub);
///     let locks = Arc::new([Mutex::new("A"), Mutex::new("B")]);
///     let take = |name: &str, first: usize, second: usize| {
///         let locks = Arc::clone(&locks);
///         let body = move || {
///             let _first = locks[first].lock().unwrap();
///             yield_now();
///             let _second = locks[second].lock().unwrap();
///         };
///         Builder::new().name(name.to_owned()).spawn(body).unwrap()
///     };
///     let tasks = [take("A then B", 0, 1), take("B then A", 1, 0)];
///     let join = AssertUnwindSafe(|| tasks.map(|task| task.join()));
///     let report = catch_unwind(join).unwrap_err().downcast::<Deadlock>().unwrap().to_string();
///     let waits = |name: &str| {
///         report.lines().any(|line| line.contains(name) && line.contains("lock"))
///     };
///     assert!(waits("A then B") && waits("B then A"), "{report}");
/// });
/// ```
///
/// The cure is one order for all: who takes `A` before `B` never holds what another needs to
/// get on.
///
/// ```
/// use corovent_runtime::sync::Mutex;
/// use corovent_runtime::{scope, yield_now};
///
/// let locks = [Mutex::new(0), Mutex::new(0)];
/// scope(|tasks| {
///     for _ in 0..2 {
///         tasks.spawn(|| {
///             let mut first = locks[0].lock().unwrap();
///             yield_now();
///             let mut second = locks[1].lock().unwrap();
///             (*first, *second) = (*first + 1, *second + 1);
///         });
///     }
/// });
/// assert_eq!(locks.map(|lock| lock.into_inner().unwrap()), [2, 2]);
/// ```
///
/// [`ReentrantMutex`]: crate::sync::ReentrantMutex
///
/// # Poisoning
///
/// As in std, the lock is poisoned when a guard is dropped while its coroutine unwinds, which
/// it did not when it took the lock. A kill and a timeout unwind too. It is the coroutine
/// that counts, and not its thread.
///
/// # Examples
///
/// ```
/// use corovent_runtime::sync::{Arc, Mutex};
/// use corovent_runtime::{spawn, yield_now};
///
/// let total = Arc::new(Mutex::new(0));
/// let tasks: Vec<_> = (0..10)
///     .map(|n| {
///         let total = Arc::clone(&total);
///         spawn(move || {
///             let mut total = total.lock().unwrap();
///             yield_now();
///             *total += n;
///         })
///     })
///     .collect();
/// for task in tasks {
///     task.join().unwrap();
/// }
/// assert_eq!(*total.lock().unwrap(), 45);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

/// Gives the value of a [`Mutex`] until it is dropped: the mirror of [`std::sync::MutexGuard`].
///
/// Dropping it never waits. It stays with the coroutine that has locked:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::sync::Mutex::new(1).lock().unwrap());
/// ```
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a Mutex<T>,
    was_unwinding: bool,
    _stays: PhantomData<*const ()>,
}

// SAFETY: the lock gives the value to one thread at a time, which may move it out.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: a shared guard gives shared access to the value only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// Makes a mutex that nobody holds.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, and gives the guard that holds it.
    ///
    /// # Suspends
    ///
    /// Only if somebody holds the lock, or was overtaken on its way to it: until its turn has
    /// come. A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned. It is taken nevertheless: the error holds the guard.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock(What::Lock);
        self.guard(poison::is_unwinding())
    }

    /// Takes the lock if nobody holds it, and nobody who waits was overtaken.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `WouldBlock`: it would have to wait.
    /// - `Poisoned`: the lock is poisoned, and taken nevertheless.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() {
            Ok(self.guard(poison::is_unwinding())?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether the lock is poisoned. If it is held, that may change at any time.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.raw.poison.is_set()
    }

    /// Takes the mark of poison away.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn clear_poison(&self) {
        self.raw.poison.clear();
    }

    /// Gives the value back.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error holds the value.
    pub fn into_inner(self) -> LockResult<T>
    where
        T: Sized,
    {
        let Mutex { raw, value } = self;
        raw.poison.check(value.into_inner())
    }

    /// Gives the value to one who has the mutex to itself, without a lock.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the error holds the value.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.raw.poison.check(self.value.get_mut())
    }

    /// The guard of the lock that the caller has just taken.
    #[inline]
    fn guard(&self, was_unwinding: bool) -> LockResult<MutexGuard<'_, T>> {
        self.raw.poison.check(MutexGuard { mutex: self, was_unwinding, _stays: PhantomData })
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Gives the lock up while `wait` runs, which ends with the lock taken again, or unwinds
    /// without it: then it is not poisoned, since nobody holds it.
    #[inline(always)]
    pub(super) fn give_up_while<R>(
        self,
        wait: impl FnOnce(&RawLock) -> R,
    ) -> (LockResult<MutexGuard<'a, T>>, R) {
        let MutexGuard { mutex, was_unwinding, .. } = self;
        mem::forget(self);
        let result = wait(&mutex.raw);
        (mutex.guard(was_unwinding), result)
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.poison.note_end(self.was_unwinding);
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the value.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => fields.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => fields.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => fields.field("data", &"<locked>"),
        };
        fields.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
