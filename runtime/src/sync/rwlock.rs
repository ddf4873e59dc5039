//! The reader-writer lock: many may read what it guards, or one may write it.

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
use std::ptr::NonNull;
use std::sync::LockResult;
use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::TryLockResult;

use crate::hub::reason::What;
use crate::sync::poison;
use crate::sync::raw_lock::RawLock;

/// Guards a value that many may read at once, or one may write: the mirror of
/// [`std::sync::RwLock`].
///
/// It works between the coroutines of a thread, between threads with coroutines, and with
/// threads that have none; those are stopped while they wait, and get no hub.
///
/// Who is served: readers and writers wait in one line, first in, first out, so neither
/// starve the others. While somebody is in line a new reader does not join those that read;
/// so a coroutine that reads twice waits for ever if a writer comes in between, as std warns
/// of. An unlock that leaves the lock free wakes the first in line, and if that reads, those
/// that read behind it follow. Whoever runs may take the free lock before the one that was
/// woken does, without a switch; but nobody overtakes one that came too late for that reason.
///
/// A writer that unwinds poisons the lock as described for [`Mutex`](crate::sync::Mutex);
/// readers do not.
///
/// # Examples
///
/// ```
/// use corovent_runtime::sync::RwLock;
///
/// let lock = RwLock::new(5);
/// {
///     let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
///     assert_eq!((*one, *other), (5, 5));
/// }
/// *lock.write().unwrap() += 1;
/// assert_eq!(*lock.read().unwrap(), 6);
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

/// Gives the value of a [`RwLock`] to one of those that read, until it is dropped: the mirror
/// of [`std::sync::RwLockReadGuard`].
///
/// Dropping it never waits. It stays with the coroutine that has locked:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::sync::RwLock::new(1).read().unwrap());
/// ```
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'rwlock, T: ?Sized + 'rwlock> {
    // A pointer, so that a guard of `&'static U` is one of `&'a U`.
    value: NonNull<T>,
    raw: &'rwlock RawLock,
}

/// Gives the value of a [`RwLock`] to the one that writes, until it is dropped: the mirror of
/// [`std::sync::RwLockWriteGuard`].
///
/// Dropping it never waits. It stays with the coroutine that has locked:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::sync::RwLock::new(1).write().unwrap());
/// ```
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'rwlock, T: ?Sized + 'rwlock> {
    lock: &'rwlock RwLock<T>,
    was_unwinding: bool,
    _stays: PhantomData<*const ()>,
}

// SAFETY: the lock gives the value to one writer at a time, which may move it out.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as above; and those that read share it.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: a shared guard gives shared access to the value only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// Makes a lock that nobody holds.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock together with others that read.
    ///
    /// # Suspends
    ///
    /// Only if somebody writes or is in line: until its turn has come. A thread without a hub
    /// is stopped.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned. It is taken nevertheless: the error holds the guard.
    ///
    /// # Panics
    ///
    /// If more than half a milliard guards read already.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given.
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.lock_shared();
        self.read_guard()
    }

    /// Takes the lock together with others that read, if that needs no wait.
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
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.raw.try_lock_shared() {
            Ok(self.read_guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Takes the lock alone.
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
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.lock(What::WriteLock);
        self.write_guard()
    }

    /// Takes the lock alone, if that needs no wait.
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
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.raw.try_lock() { Ok(self.write_guard()?) } else { Err(TryLockError::WouldBlock) }
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
        let RwLock { raw, value } = self;
        raw.poison.check(value.into_inner())
    }

    /// Gives the value to one who has the lock to itself, without taking it.
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
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        // SAFETY: the address of a cell is not null.
        let value = unsafe { NonNull::new_unchecked(self.value.get()) };
        self.raw.poison.check(RwLockReadGuard { value, raw: &self.raw })
    }

    /// The guard of the lock that the caller has just taken alone.
    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let was_unwinding = poison::is_unwinding();
        self.raw.poison.check(RwLockWriteGuard { lock: self, was_unwinding, _stays: PhantomData })
    }
}

impl<'rwlock, T: ?Sized> RwLockWriteGuard<'rwlock, T> {
    /// Turns the right to write into one to read, so that others may read; nobody writes in
    /// between.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write().unwrap();
    /// *writer = 2;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!((*reader, *lock.read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(s: Self) -> RwLockReadGuard<'rwlock, T> {
        let lock = s.lock;
        // As in std: the guard did not come to its end, so it poisons nothing.
        mem::forget(s);
        lock.raw.downgrade();
        lock.read_guard().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.raw.unlock_shared();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.poison.note_end(self.was_unwinding);
        self.lock.raw.unlock();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard reads, so nobody writes; and it borrows the lock with the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock alone, so nobody else reaches the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock alone and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => fields.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => fields.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => fields.field("data", &format_args!("<locked>")),
        };
        fields.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
