//! A closure for each item of an input, many at once, with the results one after the other.
//!
//! A coroutine of its own, the feeder, reads the input and spawns a job for each item; it
//! stops while too many results have not been taken. Who takes them waits for jobs to end,
//! and for the feeder, in one queue.

use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::iter::FusedIterator;
use std::mem;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::group::completions::Completions;
use crate::group::pool::Pool;
use crate::group::throw;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::JoinHandle;
use crate::join::interrupted;
use crate::sys::clock::Deadline;
use crate::task::no_coroutine;
use crate::task::spawn_at;
use crate::wait_queue::WaitQueue;

/// Gives an iterator over the results of a closure for each item of an input, in the order of
/// the items; at most `limit` are called at once, each in a coroutine.
///
/// See [`Pool::imap`].
///
/// # Panics
///
/// If the limit is zero.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::imap;
/// use corovent_runtime::sleep;
/// use std::time::Duration;
///
/// let slowest_first = imap(3, [3, 2, 1], |n| {
///     sleep(Duration::from_millis(n));
///     n
/// });
/// assert_eq!(slowest_first.collect::<Vec<_>>(), [3, 2, 1]);
/// ```
#[track_caller]
pub fn imap<I, F, R>(limit: usize, items: I, f: F) -> Imap<R>
where
    I: IntoIterator + 'static,
    F: Fn(I::Item) -> R + 'static,
    R: 'static,
{
    Pool::new(limit).imap(items, f)
}

/// The same, with the results in the order in which they are ready.
///
/// See [`Pool::imap_unordered`].
///
/// # Panics
///
/// If the limit is zero.
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::imap_unordered;
/// use corovent_runtime::yield_now;
///
/// let fastest_first = imap_unordered(3, [30, 20, 10], |n| {
///     (0..n).for_each(|_| yield_now());
///     n
/// });
/// assert_eq!(fastest_first.collect::<Vec<_>>(), [10, 20, 30]);
/// ```
#[track_caller]
pub fn imap_unordered<I, F, R>(limit: usize, items: I, f: F) -> ImapUnordered<R>
where
    I: IntoIterator + 'static,
    F: Fn(I::Item) -> R + 'static,
    R: 'static,
{
    Pool::new(limit).imap_unordered(items, f)
}

impl Pool {
    /// Gives an iterator over the results of a closure for each item of an input, in the order
    /// of the items; each is called in a place of the pool.
    ///
    /// Nothing happens before the first result is asked for. From then on a coroutine of its
    /// own reads the input, which may wait, and begins with an item while fewer than
    /// [`read_ahead`](Imap::read_ahead) others were begun whose results are not taken. When the
    /// iterator is dropped, what it has begun is killed. A member of the pool may use it only
    /// if the members leave a place free.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = corovent_runtime::group::Pool::new(2);
    /// assert_eq!(pool.imap(1.., |n| n * n).take(3).collect::<Vec<u32>>(), [1, 4, 9]);
    /// ```
    #[track_caller]
    pub fn imap<I, F, R>(&self, items: I, f: F) -> Imap<R>
    where
        I: IntoIterator + 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        Imap { feed: Feed::new(self.clone(), items, f, Location::caller()) }
    }

    /// The same as [`imap`](Pool::imap), with the results in the order in which they are ready.
    #[track_caller]
    pub fn imap_unordered<I, F, R>(&self, items: I, f: F) -> ImapUnordered<R>
    where
        I: IntoIterator + 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        ImapUnordered { feed: Feed::new(self.clone(), items, f, Location::caller()) }
    }
}

/// The iterator of [`imap`].
///
/// A panic of the closure is thrown where its result would have been given; the iteration may
/// go on. A panic of the input is thrown after all results, and ends it.
#[must_use = "iterators do nothing unless consumed"]
pub struct Imap<R> {
    feed: Feed<R>,
}

/// The iterator of [`imap_unordered`].
///
/// A panic of the closure is thrown where its result would have been given; the iteration may
/// go on. A panic of the input is thrown after all results, and ends it.
#[must_use = "iterators do nothing unless consumed"]
pub struct ImapUnordered<R> {
    feed: Feed<R>,
}

impl<R> Imap<R> {
    /// Sets how many items may be begun whose results were not taken. Without it, as many as
    /// may be called at once.
    ///
    /// # Panics
    ///
    /// If it is zero: nothing would ever be begun.
    ///
    /// # Examples
    ///
    /// ```
    /// let squares = corovent_runtime::group::imap(2, 1..=9, |n| n * n).read_ahead(8);
    /// assert_eq!(squares.last(), Some(81));
    /// ```
    pub fn read_ahead(self, count: usize) -> Imap<R> {
        self.feed.read_ahead(count);
        self
    }
}

impl<R> ImapUnordered<R> {
    /// Sets how many items may be begun whose results were not taken; see
    /// [`Imap::read_ahead`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn read_ahead(self, count: usize) -> ImapUnordered<R> {
        self.feed.read_ahead(count);
        self
    }
}

impl<R> Iterator for Imap<R> {
    type Item = R;

    /// Gives the result of the next item.
    ///
    /// # Suspends
    ///
    /// Until it is ready.
    ///
    /// # Panics
    ///
    /// If the closure has panicked for this item, or the input after the last; and if somebody
    /// has killed its coroutine.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    fn next(&mut self) -> Option<R> {
        let flow = Rc::clone(&self.feed.flow);
        self.feed.note_ends();
        loop {
            if let Some(job) = flow.take_first() {
                return Some(flow.give(job));
            }
            if self.feed.is_over() {
                return None;
            }
            self.feed.next_end();
        }
    }
}

impl<R> Iterator for ImapUnordered<R> {
    type Item = R;

    /// Gives the next result.
    ///
    /// # Suspends
    ///
    /// Until one is ready.
    ///
    /// # Panics
    ///
    /// As for [`Imap`].
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    fn next(&mut self) -> Option<R> {
        let flow = Rc::clone(&self.feed.flow);
        while !self.feed.is_over() {
            if let Some(number) = self.feed.next_end() {
                let job = flow.jobs.borrow_mut().remove(&number);
                return Some(flow.give(job.expect("a job ends once")));
            }
        }
        None
    }
}

impl<R> FusedIterator for Imap<R> {}
impl<R> FusedIterator for ImapUnordered<R> {}

/// The side of who takes the results.
struct Feed<R> {
    flow: Rc<Flow<R>>,
    /// What the feeder does; taken when it is started.
    start: Option<Box<dyn FnOnce()>>,
    /// `None` before it is started, and when its end was seen.
    feeder: Option<JoinHandle<()>>,
    /// What the feeder ended with, if it did not return.
    failure: Option<Box<dyn Any + Send>>,
    spawned_at: &'static Location<'static>,
}

/// What both sides share.
struct Flow<R> {
    pool: Pool,
    /// Those that were begun and not given, by the numbers of their items.
    jobs: RefCell<BTreeMap<usize, JoinHandle<R>>>,
    /// The number of the next item.
    begun: Cell<usize>,
    /// How many results were given, or thrown.
    given: Cell<usize>,
    read_ahead: Cell<usize>,
    /// Nobody takes results any more.
    is_closed: Cell<bool>,
    /// Where the feeder waits for results to be taken.
    demand: WaitQueue<()>,
    ended: Arc<Completions>,
}

/// The number of the feeder among those that end.
const FEEDER: usize = usize::MAX;

impl<R: 'static> Feed<R> {
    fn new<I, F>(pool: Pool, items: I, f: F, spawned_at: &'static Location<'static>) -> Feed<R>
    where
        I: IntoIterator + 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        let flow = Rc::new(Flow {
            read_ahead: Cell::new(pool.limit()),
            pool,
            jobs: RefCell::new(BTreeMap::new()),
            begun: Cell::new(0),
            given: Cell::new(0),
            is_closed: Cell::new(false),
            demand: WaitQueue::new(()),
            ended: Completions::with_room(2),
        });
        let own = Rc::clone(&flow);
        let start = Box::new(move || own.feed(items, Rc::new(f), spawned_at));
        Feed { flow, start: Some(start), feeder: None, failure: None, spawned_at }
    }
}

impl<R> Feed<R> {
    #[track_caller]
    fn read_ahead(&self, count: usize) {
        assert!(count > 0, "at least one item is read ahead");
        self.flow.read_ahead.set(count);
    }

    /// Whether all results were given, or thrown. Starts the feeder the first time, and throws
    /// what the input has panicked with the last time.
    fn is_over(&mut self) -> bool {
        if let Some(start) = self.start.take() {
            let feeder = spawn_at(self.spawned_at, start);
            let feeder = feeder.unwrap_or_else(|error| no_coroutine(&error));
            self.flow.ended.watch(feeder.side.head(), FEEDER);
            self.feeder = Some(feeder);
        }
        if self.feeder.is_some() || !self.flow.jobs.borrow().is_empty() {
            return false;
        }
        if let Some(payload) = self.failure.take() {
            throw(payload);
        }
        true
    }

    /// Waits for somebody to end, and gives the number of the job if it was one.
    fn next_end(&mut self) -> Option<usize> {
        let number = self.flow.ended.next(Deadline::NEVER);
        self.note(number.expect("without a deadline the time is never up"))
    }

    /// Forgets who has ended already: in order they are found by looking.
    fn note_ends(&mut self) {
        while let Some(number) = self.flow.ended.try_next() {
            self.note(number);
        }
    }

    fn note(&mut self, number: usize) -> Option<usize> {
        if number == FEEDER {
            self.end_feeder();
            return None;
        }
        Some(number)
    }

    fn end_feeder(&mut self) {
        let feeder = self.feeder.take().expect("the feeder ends once");
        self.failure = feeder.side.take().err();
    }
}

impl<R> Flow<R> {
    /// What the feeder does: reads the input, and spawns a job for each item.
    fn feed<I, F>(&self, items: I, f: Rc<F>, spawned_at: &'static Location<'static>)
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        let mut items = items.into_iter();
        loop {
            self.wait_for_demand();
            let Some(item) = items.next() else { return };
            let place = self.pool.place();
            // What has swallowed its kill in the input comes here.
            if self.is_closed.get() {
                return;
            }
            let f = Rc::clone(&f);
            let job = spawn_at(spawned_at, move || f(item));
            let job = job.unwrap_or_else(|error| no_coroutine(&error));
            place.give_to(job.side.head());
            let number = self.begun.replace(self.begun.get() + 1);
            let mut jobs = self.jobs.borrow_mut();
            // Besides those: this one, the feeder, and one that was given meanwhile.
            self.ended.make_room(jobs.len() + 3);
            self.ended.watch(job.side.head(), number);
            jobs.insert(number, job);
        }
    }

    /// Waits until few enough results have not been taken.
    fn wait_for_demand(&self) {
        let is_room = |_: &mut ()| {
            let open = self.begun.get() - self.given.get();
            (open < self.read_ahead.get()).then_some(())
        };
        let waited = self.demand.wait(Deadline::NEVER, What::Demand, Mode::Plain, is_room);
        if waited.is_err() {
            interrupted();
        }
    }

    /// Takes the job of the next item in order, if it has ended.
    fn take_first(&self) -> Option<JoinHandle<R>> {
        let mut jobs = self.jobs.borrow_mut();
        let first = jobs.first_entry()?;
        first.get().is_finished().then(|| first.remove())
    }

    /// Gives the result of a job that has ended.
    fn give(&self, job: JoinHandle<R>) -> R {
        self.given.set(self.given.get() + 1);
        self.demand.wake_one();
        job.side.take().unwrap_or_else(|payload| throw(payload))
    }
}

impl<R> Drop for Feed<R> {
    fn drop(&mut self) {
        self.flow.is_closed.set(true);
        if let Some(feeder) = &self.feeder {
            feeder.kill();
        }
        let jobs = mem::take(&mut *self.flow.jobs.borrow_mut());
        jobs.values().for_each(|job| {
            job.kill();
        });
    }
}

impl<R> fmt::Debug for Imap<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for ImapUnordered<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImapUnordered").finish_non_exhaustive()
    }
}
