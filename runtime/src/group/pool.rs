//! Pools: groups with a limit.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::group::Group;
use crate::group::handles::Survivors;
use crate::group::members::Members;
use crate::group::throw;
use crate::hub::Mode;
use crate::hub::identity::Thread;
use crate::hub::reason::What;
use crate::join::JoinHandle;
use crate::join::interrupted;
use crate::packet::Head;
use crate::scheduler::Outcome;
use crate::scope::scope;
use crate::sys::clock::Deadline;
use crate::task::spawn;

/// A group with a limit: at most so many coroutines of it exist at once.
///
/// A place is taken when a coroutine is spawned, and free when it has ended, however that
/// was. A clone is the same pool. Dropping the last one detaches the members.
///
/// A member that spawns into its own pool while that is full waits for another member to end;
/// if all do, none ever will. [`apply`](Pool::apply) and [`map`](Pool::map) go on in the
/// member's own place instead.
///
/// It belongs to its thread:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::group::Pool::new(1));
/// ```
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::Pool;
///
/// let pool = Pool::new(2);
/// let tasks: Vec<_> = (0..10)
///     .map(|n| {
///         let task = pool.spawn(move || n);
///         assert!(pool.len() <= 2);
///         task
///     })
///     .collect();
/// let sum: i32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
/// assert_eq!(sum, 45);
/// ```
#[derive(Clone)]
pub struct Pool {
    group: Group,
    limit: usize,
}

/// There is no free place in the pool: gives the closure back that was to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<F>(
    /// The closure.
    pub F,
);

impl Pool {
    /// Makes a pool for so many coroutines at once.
    ///
    /// # Panics
    ///
    /// If the limit is zero: nothing would ever run.
    #[must_use]
    #[track_caller]
    pub fn new(limit: usize) -> Pool {
        assert!(limit > 0, "a pool has at least one place");
        Pool { group: Group { members: Members::new(limit) }, limit }
    }

    /// Starts a coroutine in the pool, when there is a place for it; see
    /// [`spawn`](crate::task::spawn()).
    ///
    /// # Suspends
    ///
    /// Until a place is free.
    ///
    /// # Panics
    ///
    /// If there is no room for the stack.
    ///
    /// # Cancellation
    ///
    /// Nothing is spawned, and the closure is dropped.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.place().spawn(f)
    }

    /// Starts a coroutine in the pool, if there is a place for it now.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// [`Full`], with the closure.
    ///
    /// # Panics
    ///
    /// If there is no room for the stack.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::group::{Full, Pool};
    ///
    /// let pool = Pool::new(1);
    /// let first = pool.try_spawn(|| 1).unwrap();
    /// let Err(Full(f)) = pool.try_spawn(|| 2) else { unreachable!() };
    /// assert_eq!(first.join().unwrap() + f(), 3);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, Full<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.try_place() {
            Some(place) => Ok(place.spawn(f)),
            None => Err(Full(f)),
        }
    }

    /// Starts a coroutine in the pool, but does not wait for a place longer than `timeout`.
    ///
    /// # Suspends
    ///
    /// Until a place is free, or the time is up.
    ///
    /// # Errors
    ///
    /// [`Full`], with the closure.
    ///
    /// # Panics
    ///
    /// If there is no room for the stack.
    ///
    /// # Cancellation
    ///
    /// Nothing is spawned, and the closure is dropped.
    #[track_caller]
    pub fn spawn_timeout<F, T>(&self, timeout: Duration, f: F) -> Result<JoinHandle<T>, Full<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.place_until(Deadline::after(timeout)) {
            Some(place) => Ok(place.spawn(f)),
            None => Err(Full(f)),
        }
    }

    /// Calls a closure in a place of the pool, and gives what it returns. It may borrow. In a
    /// member of the pool it is called in place.
    ///
    /// # Suspends
    ///
    /// Until a place is free and the closure has returned.
    ///
    /// # Panics
    ///
    /// If the closure does, with its payload; if somebody kills its coroutine; and if there is
    /// no room for the stack.
    ///
    /// # Cancellation
    ///
    /// The closure's coroutine is killed, and the unwinding goes on when it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::group::Pool::new(1);
    /// let text = String::from("borrowed");
    /// let length = pool.apply(|| pool.apply(|| text.len()));
    /// assert_eq!(length, 8);
    /// ```
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T,
    {
        if self.has_current() {
            return f();
        }
        let place = self.place();
        let result = scope(|scope| {
            let task = scope.spawn(f);
            place.give_to(task.handle.side.head());
            task.join()
        });
        result.unwrap_or_else(|payload| throw(payload))
    }

    /// How many coroutines the pool has places for.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many members there are.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// Whether there is no member.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.group.is_empty()
    }

    /// How many places are free.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::group::Pool::new(3);
    /// let task = pool.spawn(|| ());
    /// assert_eq!((pool.len(), pool.free_count(), pool.is_full()), (1, 2, false));
    /// task.join().unwrap();
    /// assert_eq!((pool.len(), pool.free_count(), pool.limit()), (0, 3, 3));
    /// ```
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.group.members.places.lock().state
    }

    /// Whether no place is free.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free_count() == 0
    }

    /// Whether a coroutine is a member: not after it has ended.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn contains<T>(&self, handle: &JoinHandle<T>) -> bool {
        self.group.contains(handle)
    }

    /// Gives the handles that name and unpark the members, in the order of their numbers.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn threads(&self) -> Vec<Thread> {
        self.group.threads()
    }

    /// Waits until a place is free; it takes none, so the place may be gone again.
    ///
    /// # Suspends
    ///
    /// Until a place is free.
    pub fn wait_available(&self) {
        self.wait_available_until(Deadline::NEVER);
    }

    /// Waits until a place is free, but not longer than `timeout`. False if the time was up
    /// first.
    ///
    /// # Suspends
    ///
    /// Until a place is free, or the time is up.
    #[must_use]
    pub fn wait_available_timeout(&self, timeout: Duration) -> bool {
        self.wait_available_until(Deadline::after(timeout))
    }

    /// Waits until the pool has no member, if only for a moment; see [`Group::join`].
    ///
    /// # Suspends
    ///
    /// Until the last member has left.
    ///
    /// # Panics
    ///
    /// In a member of the pool.
    pub fn join(&self) {
        self.group.join();
    }

    /// Waits until the pool has no member, but not longer than `timeout`; see
    /// [`Group::join_timeout`].
    ///
    /// # Suspends
    ///
    /// Until the last member has left, or the time is up.
    ///
    /// # Panics
    ///
    /// In a member of the pool.
    #[must_use]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.group.join_timeout(timeout)
    }

    /// Asks all members to end; see [`Group::kill`].
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn kill(&self) -> usize {
        self.group.kill()
    }

    /// Asks all members to end, and those that come meanwhile, and waits until there is none;
    /// see [`Group::kill_timeout`].
    ///
    /// # Suspends
    ///
    /// Until the last member has left, or all that are left have ignored the kill, or the time
    /// is up.
    ///
    /// # Errors
    ///
    /// [`Survivors`]: the members that are left.
    pub fn kill_timeout(&self, timeout: Duration) -> Result<(), Survivors> {
        self.group.kill_timeout(timeout)
    }

    /// Whether the running coroutine is a member.
    pub(super) fn has_current(&self) -> bool {
        self.group.members.has_current()
    }

    /// Takes a place, as soon as one is free.
    pub(super) fn place(&self) -> Place {
        self.place_until(Deadline::NEVER).expect("without a deadline the time is never up")
    }

    /// Takes a place, if one is free.
    pub(super) fn try_place(&self) -> Option<Place> {
        let taken = take(&mut self.group.members.places.lock().state);
        taken.map(|()| Place::of(&self.group.members))
    }

    fn place_until(&self, deadline: Deadline) -> Option<Place> {
        let members = &self.group.members;
        match members.places.wait(deadline, What::Place, Mode::Plain, take) {
            Ok(()) => Some(Place::of(members)),
            Err(Outcome::Interrupted) => interrupted(),
            Err(_) => None,
        }
    }

    fn wait_available_until(&self, deadline: Deadline) -> bool {
        let places = &self.group.members.places;
        let is_free = |free: &mut usize| (*free > 0).then_some(());
        match places.wait(deadline, What::Place, Mode::Plain, is_free) {
            Ok(()) => {
                // The place is still there, for the next in line.
                places.wake_one();
                true
            }
            Err(Outcome::Interrupted) => interrupted(),
            Err(_) => false,
        }
    }
}

/// Takes one of the free places.
fn take(free: &mut usize) -> Option<()> {
    *free = free.checked_sub(1)?;
    Some(())
}

/// Takes a place of a pool for a coroutine that the caller makes, as servers do, but does not
/// wait for it longer than `timeout`; `None` if the time was up.
///
/// # Suspends
///
/// Until a place is free, or the time is up.
pub fn take_place(pool: &Pool, timeout: Option<Duration>) -> Option<Place> {
    pool.place_until(Deadline::after_option(timeout))
}

/// A place that was taken, and is given back unless a coroutine gets it.
pub struct Place {
    members: Rc<Members>,
    is_given: bool,
}

impl Place {
    fn of(members: &Rc<Members>) -> Place {
        Place { members: Rc::clone(members), is_given: false }
    }

    /// Makes a coroutine of this thread a member, which has not ended and is none: the place is
    /// free when it has ended.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn give<T>(self, handle: &JoinHandle<T>) {
        self.give_to(handle.side.head());
    }

    /// The same by its head.
    pub(super) fn give_to(mut self, head: &Head) {
        self.is_given = true;
        self.members.enter(head);
    }

    #[track_caller]
    fn spawn<F, T>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let handle = spawn(f);
        self.give_to(handle.side.head());
        handle
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_given {
            self.members.release_place();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("len", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Full<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Full<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool has no free place")
    }
}

impl<F> Error for Full<F> {}
