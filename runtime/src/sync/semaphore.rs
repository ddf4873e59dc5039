//! The semaphores: at most so many at a time.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::permits::PERMITS_MAX;
use crate::sync::permits::Permits;
use crate::sys::clock::Deadline;

/// Lets at most so many be inside at a time: gevent's `Semaphore`.
///
/// It counts permits. Who takes one gets a guard, which gives it back when it is dropped, also
/// by a panic or a kill. A permit belongs to nobody: the guard may be sent to another
/// coroutine or thread, or be forgotten, and [`release`](Semaphore::release) adds one that
/// nobody has taken. It works between coroutines, of one thread or of several, and with
/// threads that have none.
///
/// Who is served: those who wait stand in one line, first in, first out, and nobody overtakes
/// them. A permit that is given back while there is a line is promised to the first in it, and
/// kept until that has run: who gives it back and asks again stands behind, and
/// [`try_acquire`](Semaphore::try_acquire) fails meanwhile. One who wants several permits and
/// is first gets the next that come, so that those behind it wait even if there are enough for
/// them. When the thread of one with a promise ends before it runs, its permits go to the
/// others; all promises of the process are void for once then, and may have to be made again.
///
/// Unlike gevent's, it has no `wait`, which waits for a permit without taking it: one that is
/// free when it returns may be taken when it is asked for.
///
/// # Examples
///
/// Five workers, of whom at most three are inside at a time:
///
/// ```
/// use std::cell::Cell;
///
/// use corovent_runtime::sync::Semaphore;
/// use corovent_runtime::{scope, yield_now};
///
/// let (room, inside, most) = (Semaphore::new(3), Cell::new(0), Cell::new(0));
/// scope(|workers| {
///     for _ in 0..5 {
///         workers.spawn(|| {
///             let _permit = room.acquire();
///             inside.set(inside.get() + 1);
///             most.set(most.get().max(inside.get()));
///             (0..10).for_each(|_| yield_now());
///             inside.set(inside.get() - 1);
///         });
///     }
/// });
/// assert_eq!((inside.get(), most.get()), (0, 3));
/// assert_eq!(room.available_permits(), 3);
/// ```
pub struct Semaphore {
    permits: Permits,
}

/// A [`Semaphore`] that never has more permits than it was made with: gevent's
/// `BoundedSemaphore`.
///
/// To [`release`](BoundedSemaphore::release) a permit that nobody holds is a mistake, and
/// panics. Everything else is as described there.
///
/// # Examples
///
/// ```
/// use corovent_runtime::sync::BoundedSemaphore;
///
/// let room = BoundedSemaphore::new(2);
/// room.acquire().forget();
/// room.release();
/// let release = std::panic::AssertUnwindSafe(|| room.release());
/// assert!(std::panic::catch_unwind(release).is_err());
/// assert_eq!(room.available_permits(), 2);
/// ```
pub struct BoundedSemaphore {
    permits: Permits,
}

/// Permits of a [`Semaphore`] or a [`BoundedSemaphore`]; gives them back when it is dropped.
///
/// Dropping it never waits. If they would be too many, since others have released what they
/// did not hold, those too many are lost.
#[must_use = "if unused the permit is given back immediately"]
#[clippy::has_significant_drop]
pub struct SemaphorePermit<'a> {
    permits: &'a Permits,
    count: u32,
}

/// Permits of a [`Semaphore`] that it keeps alive; gives them back when it is dropped.
///
/// It is for coroutines and values that outlive the frame in which the permit was taken.
#[must_use = "if unused the permit is given back immediately"]
#[clippy::has_significant_drop]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    count: u32,
}

impl Semaphore {
    /// Makes a semaphore with so many permits.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If they are more than `usize::MAX / 8`.
    #[must_use]
    #[inline]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= PERMITS_MAX, "a semaphore has at most usize::MAX / 8 permits");
        Semaphore { permits: Permits::new(permits, PERMITS_MAX) }
    }

    /// Takes a permit, and gives the guard that holds it.
    ///
    /// # Suspends
    ///
    /// Only if no permit is free, or others wait: until its turn has come. A thread without a
    /// hub is stopped.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given.
    #[inline(always)]
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        self.acquire_many(1)
    }

    /// Takes several permits at once; none of them before all are free.
    ///
    /// # Suspends
    ///
    /// Only if fewer are free, or others wait: until its turn has come. A thread without a hub
    /// is stopped.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given.
    #[inline(always)]
    pub fn acquire_many(&self, count: u32) -> SemaphorePermit<'_> {
        take(&self.permits, count, Deadline::NEVER);
        SemaphorePermit { permits: &self.permits, count }
    }

    /// Takes a permit, but does not wait for it longer than `timeout`. `None`: the time was up
    /// first.
    ///
    /// # Suspends
    ///
    /// Only if no permit is free, or others wait: until its turn has come, or the time is up.
    /// A thread without a hub is stopped.
    ///
    /// # Cancellation
    ///
    /// Nothing is held; the next in line gets what was about to be given. It is the same when
    /// the time is up.
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        take_within(&self.permits, timeout)
    }

    /// Takes a permit if one is free that is promised to nobody.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes several permits at once, if so many are free that are promised to nobody.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn try_acquire_many(&self, count: u32) -> Option<SemaphorePermit<'_>> {
        let permits = &self.permits;
        permits.try_take(count).then(|| SemaphorePermit { permits, count })
    }

    /// Takes a permit whose guard keeps the semaphore alive, and borrows nothing.
    ///
    /// # Suspends
    ///
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Cancellation
    ///
    /// As for [`acquire`](Semaphore::acquire).
    ///
    /// # Examples
    ///
    /// A permit that goes with the work:
    ///
    /// ```
    /// use corovent_runtime::spawn;
    /// use corovent_runtime::sync::{Arc, Semaphore};
    ///
    /// let room = Arc::new(Semaphore::new(2));
    /// for _ in 0..5 {
    ///     // The third waits here until the first has ended.
    ///     let permit = room.acquire_owned();
    ///     spawn(move || {
    ///         corovent_runtime::yield_now();
    ///         drop(permit);
    ///     });
    /// }
    /// let _all = room.acquire_many(2);
    /// ```
    #[inline(always)]
    pub fn acquire_owned(self: &Arc<Self>) -> OwnedSemaphorePermit {
        self.acquire().into_owned_by(self)
    }

    /// As [`acquire_timeout`](Semaphore::acquire_timeout), with a guard that borrows nothing.
    ///
    /// # Suspends
    ///
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
    ///
    /// # Cancellation
    ///
    /// As for [`acquire_timeout`](Semaphore::acquire_timeout).
    #[inline]
    pub fn acquire_owned_timeout(
        self: &Arc<Self>,
        timeout: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        Some(self.acquire_timeout(timeout)?.into_owned_by(self))
    }

    /// As [`try_acquire`](Semaphore::try_acquire), with a guard that borrows nothing.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedSemaphorePermit> {
        Some(self.try_acquire()?.into_owned_by(self))
    }

    /// Adds a permit: one that was forgotten, or a new one.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there would be more than `usize::MAX / 8` free.
    #[inline]
    pub fn release(&self) {
        self.add_permits(1);
    }

    /// Adds so many permits.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there would be more than `usize::MAX / 8` free.
    #[inline]
    pub fn add_permits(&self, count: usize) {
        let fits = self.permits.add(count);
        assert!(fits, "a semaphore has at most usize::MAX / 8 permits");
    }

    /// How many permits nobody holds. Some of them may be promised to those who wait.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }
}

impl BoundedSemaphore {
    /// Makes a semaphore with so many permits, and never more.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If they are more than `usize::MAX / 8`.
    #[must_use]
    #[inline]
    pub const fn new(permits: usize) -> BoundedSemaphore {
        assert!(permits <= PERMITS_MAX, "a semaphore has at most usize::MAX / 8 permits");
        BoundedSemaphore { permits: Permits::new(permits, permits) }
    }

    /// Takes a permit, and gives the guard that holds it.
    ///
    /// # Suspends
    ///
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancellation
    ///
    /// As for [`Semaphore::acquire`].
    #[inline(always)]
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        take(&self.permits, 1, Deadline::NEVER);
        SemaphorePermit { permits: &self.permits, count: 1 }
    }

    /// Takes a permit, but does not wait for it longer than `timeout`. `None`: the time was up
    /// first.
    ///
    /// # Suspends
    ///
    /// As [`Semaphore::acquire_timeout`].
    ///
    /// # Cancellation
    ///
    /// As for [`Semaphore::acquire_timeout`].
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        take_within(&self.permits, timeout)
    }

    /// Takes a permit if one is free that is promised to nobody.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let permits = &self.permits;
        permits.try_take(1).then(|| SemaphorePermit { permits, count: 1 })
    }

    /// Gives a permit back that was [forgotten](SemaphorePermit::forget).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If all permits are there already. gevent raises `ValueError`.
    #[inline]
    pub fn release(&self) {
        assert!(self.permits.add(1), "a permit was released that nobody held");
    }

    /// How many permits nobody holds. Some of them may be promised to those who wait.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }
}

/// Takes permits, or unwinds.
#[inline(always)]
fn take(permits: &Permits, count: u32, deadline: Deadline) -> bool {
    match permits.take(count, deadline) {
        Ok(()) => true,
        Err(Outcome::Interrupted) => interrupted(),
        Err(_) => false,
    }
}

#[inline]
fn take_within(permits: &Permits, timeout: Duration) -> Option<SemaphorePermit<'_>> {
    // A permit that is free needs no look at the clock.
    let has_it = permits.try_take(1) || take(permits, 1, Deadline::after(timeout));
    has_it.then(|| SemaphorePermit { permits, count: 1 })
}

impl SemaphorePermit<'_> {
    /// How many permits it holds.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Keeps the permits for good, or until they are [released](Semaphore::release).
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn forget(self) {
        mem::forget(self);
    }

    /// The same permits, with a guard that keeps the semaphore alive, which has to be theirs.
    #[inline]
    fn into_owned_by(self, semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        let count = self.count;
        self.forget();
        OwnedSemaphorePermit { semaphore: Arc::clone(semaphore), count }
    }
}

impl OwnedSemaphorePermit {
    /// How many permits it holds.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Keeps the permits for good, or until they are [released](Semaphore::release).
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// The semaphore whose permits they are.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.permits.give_back(self.count);
    }
}

impl Drop for OwnedSemaphorePermit {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.permits.give_back(self.count);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.available_permits();
        f.debug_struct("Semaphore").field("available_permits", &free).finish_non_exhaustive()
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("available_permits", &self.available_permits())
            .field("bound", &self.permits.bound())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit").field("count", &self.count).finish_non_exhaustive()
    }
}
