//! The result: a value or an error that is set once, and that many wait for.
//!
//! It is an event whose flag is set together with a value, under one lock. The value is moved
//! in before the flag is set, and is neither changed nor moved as long as it is shared.

// The value is reached through an `UnsafeCell`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::error::Error;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crate::hub::reason::What;
use crate::select::Selectable;
use crate::select::waits_as;
use crate::sync::event::Event;
use crate::sys::clock::Deadline;

/// Holds a value or an error that is set once, and lets any number wait for it: gevent's
/// `AsyncResult`.
///
/// Whoever comes first sets it, for good. All who ask get a reference: clone what has to
/// outlive it. It works between coroutines, of one thread or of several, and with threads
/// that have none. It is shared by an [`Arc`] or, as in a [`scope`](crate::scope()), by a
/// reference. Where somebody has promised to set it, [`setter`](AsyncResult::setter) sees to
/// it that nobody waits for ever when the promise is broken.
///
/// It is `Sync` only if the value and the error are `Send` and `Sync`: they may be set on one
/// thread, read on others and dropped on a third.
///
/// ```compile_fail
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(corovent_runtime::sync::AsyncResult::<std::cell::Cell<u32>>::new());
/// ```
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::{Arc, AsyncResult};
///
/// let answer = Arc::new(AsyncResult::new());
/// let askers: Vec<_> = (0..2)
///     .map(|_| {
///         let answer = Arc::clone(&answer);
///         spawn(move || *answer.get().unwrap() + 1)
///     })
///     .collect();
/// assert_eq!(answer.set(41), Ok(()));
/// assert_eq!(answer.set(7), Err(7), "the first is for good");
/// for asker in askers {
///     assert_eq!(asker.join().unwrap(), 42);
/// }
/// ```
///
/// An error instead of a value:
///
/// ```
/// use corovent_runtime::sync::AsyncResult;
///
/// let answer = AsyncResult::<u32>::new();
/// answer.set_error("nobody knows".into()).unwrap();
/// assert_eq!(answer.get().unwrap_err().to_string(), "nobody knows");
/// ```
pub struct AsyncResult<T, E = Box<dyn Error + Send + Sync>> {
    /// Set if and only if there is an outcome. Its flag is never taken back.
    ready: Event,
    /// Written under the lock of `ready`, before that is set.
    outcome: UnsafeCell<Option<Result<T, E>>>,
}

/// Promises to set an [`AsyncResult`]: see [`AsyncResult::setter`].
///
/// If it is dropped with the promise unkept, also by a kill or a panic, the result is the
/// error [`NeverSet`].
pub struct Setter<T, E: From<NeverSet> = Box<dyn Error + Send + Sync>> {
    result: Arc<AsyncResult<T, E>>,
}

/// The error of an [`AsyncResult`] whose [`Setter`] was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSet;

// SAFETY: shared, it lets one thread move an outcome in, for which that has to be `Send`, and
// all threads refer to it then, for which it has to be `Sync`.
unsafe impl<T: Send + Sync, E: Send + Sync> Sync for AsyncResult<T, E> {}

impl<T: RefUnwindSafe + UnwindSafe, E: RefUnwindSafe + UnwindSafe> RefUnwindSafe
    for AsyncResult<T, E>
{
}
impl<T: UnwindSafe, E: UnwindSafe> UnwindSafe for AsyncResult<T, E> {}

impl<T> AsyncResult<T> {
    /// Makes one that is not set, for errors of any type.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn new() -> AsyncResult<T> {
        AsyncResult::empty()
    }
}

impl<T, E> AsyncResult<T, E> {
    /// Makes one that is not set, for errors of one type.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn empty() -> AsyncResult<T, E> {
        AsyncResult { ready: Event::new(), outcome: UnsafeCell::new(None) }
    }

    /// Sets the value, and wakes all who wait, in the order in which they came.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If a value or an error is set already; the error holds the value that came late.
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.put(Ok(value)) {
            Some(Ok(late)) => Err(late),
            _ => Ok(()),
        }
    }

    /// Sets the error, and wakes all who wait, in the order in which they came.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If a value or an error is set already; the error holds the one that came late.
    pub fn set_error(&self, error: E) -> Result<(), E> {
        match self.put(Err(error)) {
            Some(Err(late)) => Err(late),
            _ => Ok(()),
        }
    }

    /// Waits until it is set, and gives the value or the error.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it is. A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// If an error was set.
    #[inline]
    pub fn get(&self) -> Result<&T, &E> {
        self.wait();
        self.try_get().expect("what is set stays set")
    }

    /// Waits until it is set, but not longer than `timeout`. `None`: the time was up first.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it is, or the time is up. A thread without a hub is
    /// stopped.
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Option<Result<&T, &E>> {
        self.wait_timeout(timeout);
        self.try_get()
    }

    /// Gives the value or the error, if one is set. gevent's name is `get_nowait`.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn try_get(&self) -> Option<Result<&T, &E>> {
        if !self.is_ready() {
            return None;
        }
        // SAFETY: it was written before it was ready, and is never again while shared.
        unsafe { &*self.outcome.get() }.as_ref().map(Result::as_ref)
    }

    /// Waits until it is set.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it is. A thread without a hub is stopped.
    #[inline(always)]
    pub fn wait(&self) {
        if !self.is_ready() {
            self.ready.wait_until(Deadline::NEVER, What::Result);
        }
    }

    /// Waits until it is set, but not longer than `timeout`. False: the time was up first.
    ///
    /// # Suspends
    ///
    /// Only if it is not set: until it is, or the time is up. A thread without a hub is
    /// stopped.
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_ready() || self.ready.wait_until(Deadline::after(timeout), What::Result)
    }

    /// Whether a value or an error is set.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.ready.is_set()
    }

    /// Takes the value or the error out of one that nobody shares any more.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn into_inner(self) -> Option<Result<T, E>> {
        self.outcome.into_inner()
    }

    /// Gives a promise to set it: if that is dropped unkept, the error [`NeverSet`] is set.
    ///
    /// Others may set it as well; the first is for good. A promise that a coroutine has, even
    /// one that has not run, is never dropped if the thread ends before it.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::spawn;
    /// use corovent_runtime::sync::{Arc, AsyncResult, NeverSet};
    ///
    /// let answer = Arc::new(AsyncResult::<u32>::new());
    /// let setter = answer.setter();
    /// let task = spawn(move || {
    ///     corovent_runtime::thread::park();
    ///     setter.set(42).unwrap();
    /// });
    /// task.kill();
    /// assert!(answer.get().unwrap_err().is::<NeverSet>());
    /// ```
    pub fn setter(self: &Arc<Self>) -> Setter<T, E>
    where
        E: From<NeverSet>,
    {
        Setter { result: Arc::clone(self) }
    }

    /// Sets the outcome; gives it back if there is one already.
    fn put(&self, outcome: Result<T, E>) -> Option<Result<T, E>> {
        let mut outcome = Some(outcome);
        self.ready.set_once(|| {
            // SAFETY: it is called once, under a lock, and before the flag is set: nobody
            // refers to the cell yet.
            let cell = unsafe { &mut *self.outcome.get() };
            *cell = outcome.take();
        });
        outcome
    }
}

impl<T, E: From<NeverSet>> Setter<T, E> {
    /// Sets the value: see [`AsyncResult::set`].
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If another has set a value or an error; the error holds the value that came late.
    pub fn set(self, value: T) -> Result<(), T> {
        self.result.set(value)
    }

    /// Sets the error: see [`AsyncResult::set_error`].
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// If another has set a value or an error; the error holds the one that came late.
    pub fn set_error(self, error: E) -> Result<(), E> {
        self.result.set_error(error)
    }
}

impl<T, E: From<NeverSet>> Drop for Setter<T, E> {
    fn drop(&mut self) {
        if !self.result.is_ready() {
            // Another who was faster has kept the promise.
            let _ = self.result.set_error(E::from(NeverSet));
        }
    }
}

impl<T, E> Selectable for AsyncResult<T, E> {}

waits_as!([T, E] AsyncResult<T, E>, this => this.ready);

impl<T, E> Default for AsyncResult<T, E> {
    fn default() -> AsyncResult<T, E> {
        AsyncResult::empty()
    }
}

impl<T: fmt::Debug, E: fmt::Debug> fmt::Debug for AsyncResult<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_tuple("AsyncResult");
        match self.try_get() {
            Some(outcome) => fields.field(&outcome),
            None => fields.field(&format_args!("<not set>")),
        };
        fields.finish()
    }
}

impl<T, E: From<NeverSet>> fmt::Debug for Setter<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setter").field("is_ready", &self.result.is_ready()).finish_non_exhaustive()
    }
}

impl fmt::Display for NeverSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the setter was dropped, and has set nothing")
    }
}

impl Error for NeverSet {}
