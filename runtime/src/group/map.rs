//! A closure for each item of an input, many at once, with the results in order.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::thread;

use crate::group::pool::Pool;
use crate::group::throw;
use crate::packet::drop_quietly;
use crate::scope::ScopedJoinHandle;
use crate::scope::scope;
use crate::task::catch_unwind;

/// Calls a closure for each item of an input, at most `limit` at once, each in a coroutine,
/// and gives the results in the order of the items. It may borrow.
///
/// See [`Pool::map`].
///
/// # Suspends
///
/// Until the closure has returned for all items.
///
/// # Panics
///
/// As for [`Pool::map`], and if the limit is zero.
///
/// # Cancellation
///
/// The coroutines are killed, and the unwinding goes on when all have ended.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::map;
/// use corovent_runtime::sleep;
/// use std::time::Duration;
///
/// let words = ["a", "green", "thread"];
/// let lengths = map(2, &words, |word| {
///     sleep(Duration::from_millis(1));
///     word.len()
/// });
/// assert_eq!(lengths, [1, 5, 6]);
/// ```
#[track_caller]
pub fn map<I, F, R>(limit: usize, items: I, f: F) -> Vec<R>
where
    I: IntoIterator,
    F: Fn(I::Item) -> R,
{
    Pool::new(limit).map(items, f)
}

impl Pool {
    /// Calls a closure for each item of an input, each in a place of the pool, and gives the
    /// results in the order of the items. It may borrow.
    ///
    /// The input is read one item ahead: the next is asked for when the last has got a place.
    /// In a member of the pool, what finds no free place is called in the member's own.
    ///
    /// # Suspends
    ///
    /// Until the closure has returned for all items.
    ///
    /// # Panics
    ///
    /// If the closure does, or the input: with that payload; of several, with that of the
    /// first item. From then on no item is begun, and those after it are killed and waited
    /// for. Also if somebody kills one of the coroutines, and if there is no room for a stack.
    ///
    /// # Cancellation
    ///
    /// The coroutines are killed, and the unwinding goes on when all have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::group::Pool::new(3);
    /// let factor = 2;
    /// assert_eq!(pool.map(0..4, |n| n * factor), [0, 2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn map<I, F, R>(&self, items: I, f: F) -> Vec<R>
    where
        I: IntoIterator,
        F: Fn(I::Item) -> R,
    {
        let (f, failed) = (&f, &Cell::new(false));
        let is_member = self.has_current();
        let results = scope(|scope| {
            let mut jobs = Jobs { jobs: VecDeque::new() };
            for item in items {
                let place = if is_member { self.try_place() } else { Some(self.place()) };
                if failed.get() {
                    break;
                }
                let tells = Tells { failed, passed: false };
                let job = move || tells.passed(f(item));
                jobs.jobs.push_back(match place {
                    Some(place) => {
                        let task = scope.spawn(job);
                        place.give_to(task.handle.side.head());
                        Job::Spawned(task)
                    }
                    None => Job::Done(catch_unwind(AssertUnwindSafe(job))),
                });
            }
            jobs.join()
        });
        results.unwrap_or_else(|payload| throw(payload))
    }
}

/// What was begun and not looked at. Dropping it kills what has not ended.
struct Jobs<'scope, R> {
    jobs: VecDeque<Job<'scope, R>>,
}

enum Job<'scope, R> {
    Spawned(ScopedJoinHandle<'scope, R>),
    /// It was called in place.
    Done(thread::Result<R>),
}

impl<R> Jobs<'_, R> {
    /// Waits for all, or for the first in order that has failed; those after it are killed.
    fn join(mut self) -> thread::Result<Vec<R>> {
        let mut values = Vec::with_capacity(self.jobs.len());
        while let Some(job) = self.jobs.pop_front() {
            match job.join() {
                Ok(value) => values.push(value),
                Err(payload) => {
                    self.kill();
                    // A panic that nobody joins would be the scope's.
                    self.jobs.drain(..).for_each(|job| drop_quietly(job.join()));
                    return Err(payload);
                }
            }
        }
        Ok(values)
    }

    fn kill(&self) {
        for job in &self.jobs {
            if let Job::Spawned(task) = job {
                task.kill();
            }
        }
    }
}

impl<R> Drop for Jobs<'_, R> {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<R> Job<'_, R> {
    fn join(self) -> thread::Result<R> {
        match self {
            Job::Spawned(task) => task.join(),
            Job::Done(result) => result,
        }
    }
}

/// Tells of an item whose closure does not return.
struct Tells<'a> {
    failed: &'a Cell<bool>,
    passed: bool,
}

impl Tells<'_> {
    fn passed<R>(mut self, value: R) -> R {
        self.passed = true;
        value
    }
}

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        if !self.passed {
            self.failed.set(true);
        }
    }
}
