//! The queues with room: their methods, which differ in the order of the items only.

use std::fmt;
use std::time::Duration;

use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::queue::branch::Gets;
use crate::queue::branch::PutBranch;
use crate::queue::branch::Puts;
use crate::queue::core::Core;
use crate::queue::core::Offered;
use crate::queue::errors::GetError;
use crate::queue::errors::GetTimeoutError;
use crate::queue::errors::Missing;
use crate::queue::errors::PutError;
use crate::queue::errors::PutTimeoutError;
use crate::queue::errors::TryGetError;
use crate::queue::errors::TryPutError;
use crate::queue::iter::Iter;
use crate::queue::iter::TryIter;
use crate::queue::order::First;
use crate::queue::order::Last;
use crate::queue::order::Smallest;
use crate::queue::putting::Putting;
use crate::queue::putting::Unput;
use crate::scheduler::Outcome;
use crate::select::Selectable;
use crate::select::Takeable;
use crate::select::waits_as;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// A queue, first in, first out: gevent's `SimpleQueue`.
///
/// # Examples
///
/// ```
/// use corovent_runtime::queue::Queue;
/// use corovent_runtime::scope;
///
/// let queue = Queue::bounded(2);
/// scope(|scope| {
///     scope.spawn(|| {
///         (1..=5).for_each(|n| queue.put(n).unwrap());
///         queue.close();
///     });
///     assert_eq!(queue.iter().collect::<Vec<i32>>(), [1, 2, 3, 4, 5]);
/// });
/// ```
///
/// It is `Send` and `Sync` if the items are `Send`:
///
/// ```compile_fail,E0277
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(corovent_runtime::queue::Queue::<std::rc::Rc<()>>::unbounded());
/// ```
pub struct Queue<T> {
    core: Core<T, First>,
}

/// A stack: last in, first out.
///
/// # Examples
///
/// ```
/// use corovent_runtime::queue::LifoQueue;
///
/// let queue: LifoQueue<_> = [1, 2, 3].into_iter().collect();
/// queue.close();
/// assert_eq!(queue.iter().collect::<Vec<i32>>(), [3, 2, 1]);
/// ```
pub struct LifoQueue<T> {
    core: Core<T, Last>,
}

/// A queue that gives the *smallest* item first, as gevent's and Python's do, and unlike
/// [`BinaryHeap`](std::collections::BinaryHeap). For the largest put in
/// [`Reverse`](std::cmp::Reverse)d items.
///
/// Items that are equal come in no particular order. They are compared when one is taken, never
/// when one is put in. While one coroutine compares, others may put items in, and wait for it if
/// they want to take one; a comparison must not take from the queue itself. After one that has
/// panicked, or was killed in a wait, every item is still there; but if its thread ends in the
/// middle of it, those that were in the queue when it began are lost.
///
/// # Examples
///
/// ```
/// use corovent_runtime::queue::PriorityQueue;
///
/// let queue = PriorityQueue::unbounded();
/// for task in [(3, "sleep"), (1, "rise"), (2, "work")] {
///     queue.put(task)?;
/// }
/// assert_eq!(queue.get(), Ok((1, "rise")));
/// assert_eq!(queue.peek(), Ok((2, "work")));
/// # Ok::<(), corovent_runtime::queue::PutError<(i32, &str)>>(())
/// ```
pub struct PriorityQueue<T> {
    core: Core<T, Smallest>,
}

/// A queue, first in, first out, that knows when the work on all its items is done: gevent's
/// `JoinableQueue`.
///
/// Each item that was put in is to be followed by a call of
/// [`task_done`](JoinableQueue::task_done) when it was taken and worked on.
///
/// # Examples
///
/// A producer, some workers, and the end of it:
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::sync::Arc;
/// use corovent_runtime::queue::JoinableQueue;
/// use corovent_runtime::spawn;
///
/// let queue = Arc::new(JoinableQueue::bounded(3));
/// let sum = Arc::new(AtomicU32::new(0));
/// for _ in 0..2 {
///     let (queue, sum) = (Arc::clone(&queue), Arc::clone(&sum));
///     spawn(move || {
///         for item in &*queue {
///             sum.fetch_add(item, Ordering::Relaxed);
///             queue.task_done();
///         }
///     });
/// }
/// for item in 1..=10 {
///     queue.put(item)?;
/// }
/// queue.join();
/// assert_eq!(sum.load(Ordering::Relaxed), 55);
/// // The workers end.
/// queue.close();
/// # Ok::<(), corovent_runtime::queue::PutError<u32>>(())
/// ```
pub struct JoinableQueue<T> {
    core: Core<T, First>,
    /// Those who wait for the end of all work.
    joins: WaitQueue<()>,
}

impl<T> Queue<T> {
    constructors!();
    methods!();
    getting_methods!();
    peek_methods!();
    size_methods!();
    closing_method!();
}

impl<T> LifoQueue<T> {
    constructors!();
    methods!();
    getting_methods!();
    peek_methods!();
    size_methods!();
    closing_method!();
}

impl<T: Ord> PriorityQueue<T> {
    constructors!();
    methods!();
    getting_methods!();
    peek_methods!();
    size_methods!();
    closing_method!();
}

impl<T> JoinableQueue<T> {
    constructors!(joins: WaitQueue::new(()));
    methods!();
    getting_methods!();
    peek_methods!();
    size_methods!();

    /// Closes the queue, and gives the items that are left: they count as done.
    ///
    /// # Suspends
    ///
    /// Only while another clones an item: until that is done.
    ///
    /// # Cancellation
    ///
    /// The queue is not closed.
    pub fn close_now(&self) -> Vec<T> {
        let items = self.core.close_now();
        self.joins.wake_all();
        items
    }

    /// Says that the work on one item, which was taken, is done.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If it is called more often than items were put in.
    pub fn task_done(&self) {
        let is_end = {
            let mut inner = self.core.queue.lock();
            let is_due = inner.state.unfinished > 0;
            is_due.then(|| inner.state.finish(1))
        };
        if is_end.expect("`task_done` is called once for each item") {
            self.joins.wake_all();
        }
    }

    /// The number of items that were put in and are not done.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.core.queue.lock().state.unfinished
    }

    /// Waits until all items are done that were put in.
    ///
    /// # Suspends
    ///
    /// Until there was a moment in which all were done, though more may have come since. A thread
    /// without a hub is stopped.
    pub fn join(&self) {
        let is_done = self.join_until(Deadline::NEVER);
        debug_assert!(is_done, "it has no deadline");
    }

    /// Waits until all items are done, but not longer than `timeout`. False: the time was up.
    ///
    /// # Suspends
    ///
    /// Until there was a moment in which all were done, or the time is up. A thread without a
    /// hub is stopped.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, deadline: Deadline) -> bool {
        let before = {
            let inner = self.core.queue.lock();
            if inner.state.unfinished == 0 {
                return true;
            }
            inner.state.finished
        };
        let take = |(): &mut ()| (self.core.queue.lock().state.finished != before).then_some(());
        match self.joins.wait(deadline, What::Finish, Mode::Plain, take) {
            Ok(()) => true,
            Err(Outcome::Interrupted) => interrupted(),
            Err(_) => false,
        }
    }
}

collection_traits!(Queue, [T]);
collection_traits!(LifoQueue, [T]);
collection_traits!(PriorityQueue, [T: Ord]);
collection_traits!(JoinableQueue, [T]);

traits!(Queue, "Queue", [T]);
traits!(LifoQueue, "LifoQueue", [T]);
traits!(PriorityQueue, "PriorityQueue", [T: Ord]);
traits!(JoinableQueue, "JoinableQueue", [T]);
