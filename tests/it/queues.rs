//! Queues: who gets what in which order, and that nothing is lost or doubled, whoever leaves.

use std::cell::Cell;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::catch_unwind;
use corovent::queue::Channel;
use corovent::queue::GetError;
use corovent::queue::GetTimeoutError;
use corovent::queue::JoinableQueue;
use corovent::queue::LifoQueue;
use corovent::queue::PriorityQueue;
use corovent::queue::PutError;
use corovent::queue::PutTimeoutError;
use corovent::queue::Queue;
use corovent::queue::TryGetError;
use corovent::queue::TryPutError;
use corovent::scope;
use corovent::select;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::run;
use crate::support::until_quiet;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn items_come_in_the_order_of_their_queue() {
    run(|| {
        let items = [3, 1, 4, 1, 5, 9, 2, 6];
        let fifo: Queue<i32> = items.into_iter().collect();
        assert!(fifo.try_iter().eq(items));
        let lifo: LifoQueue<i32> = items.into_iter().collect();
        assert!(lifo.try_iter().eq(items.into_iter().rev()));
        let priority: PriorityQueue<i32> = items.into_iter().collect();
        assert!(priority.try_iter().eq([1, 1, 2, 3, 4, 5, 6, 9]));
        let joinable: JoinableQueue<i32> = items.into_iter().collect();
        assert_eq!(joinable.unfinished(), 8);
        assert!(joinable.try_iter().eq(items));
        // Put in and taken out by turns.
        let priority = PriorityQueue::bounded(4);
        for n in [5, 3, 8] {
            priority.put(n).unwrap();
        }
        assert_eq!(priority.get(), Ok(3));
        priority.put(1).unwrap();
        priority.put(9).unwrap();
        assert_eq!(priority.try_put(0), Err(TryPutError::Full(0)));
        assert!((0..4).map(|_| priority.get().unwrap()).eq([1, 5, 8, 9]));
    });
}

#[test]
fn sizes_are_told() {
    run(|| {
        let queue = Queue::bounded(2);
        assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (0, true, false));
        assert_eq!(queue.capacity(), Some(2));
        queue.put('a').unwrap();
        queue.put('b').unwrap();
        assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (2, false, true));
        assert_eq!(queue.try_put('c'), Err(TryPutError::Full('c')));
        assert_eq!(queue.put_timeout('c', SHORT), Err(PutTimeoutError::Timeout('c')));
        assert_eq!(format!("{queue:?}"), "Queue { len: 2, .. }");
        assert_eq!(Queue::<u8>::unbounded().capacity(), None);
        let payload = catch_unwind(|| Queue::<u8>::bounded(0)).unwrap_err();
        let text = "a queue has room for an item; one without is a `Channel`";
        assert!(is_message(&*payload, text));
        // More than a block of memory, and back.
        let queue = Queue::unbounded();
        for round in 0..3 {
            (0..5000).for_each(|n| queue.put(n).unwrap());
            assert!(queue.try_iter().eq(0..5000), "round {round}");
        }
    });
}

#[test]
fn putters_and_getters_are_served_in_the_order_in_which_they_came() {
    run(|| {
        let log = Log::new();
        let queue = Rc::new(Queue::bounded(1));
        queue.put(0).unwrap();
        let putters: Vec<_> = (1..=4)
            .map(|n| {
                let (queue, log) = (Rc::clone(&queue), log.clone());
                spawn(move || {
                    queue.put(n).unwrap();
                    log.add(format!("p{n}"));
                })
            })
            .collect();
        until_quiet();
        // Room is for those who wait, and nobody goes before them.
        assert_eq!(queue.get(), Ok(0));
        assert_eq!(queue.try_put(9), Err(TryPutError::Full(9)));
        assert_eq!(queue.len(), 1);
        assert!((1..=4).all(|n| queue.get() == Ok(n)));
        putters.into_iter().for_each(|putter| putter.join().unwrap());
        let getters: Vec<_> = (1..=4)
            .map(|n| {
                let (queue, log) = (Rc::clone(&queue), log.clone());
                spawn(move || log.add(format!("g{n}={}", queue.get().unwrap())))
            })
            .collect();
        until_quiet();
        (1..=4).for_each(|n| queue.put(n).unwrap());
        getters.into_iter().for_each(|getter| getter.join().unwrap());
        assert_eq!(log.text(), "p1 p2 p3 p4 g1=1 g2=2 g3=3 g4=4");
    });
}

/// gevent's `test_two_waiters_one_dies` and `test_senders_that_die`.
#[test]
fn an_item_of_one_who_leaves_goes_to_the_next() {
    run(|| {
        let queue = Queue::bounded(1);
        scope(|scope| {
            let first = scope.spawn(|| queue.get());
            let limited = scope.spawn(|| queue.get_timeout(SHORT));
            let last = scope.spawn(|| queue.get());
            until_quiet();
            first.kill();
            queue.put(7).unwrap();
            assert!(first.join().is_err());
            assert_eq!(limited.join().unwrap(), Ok(7));
            assert!(!last.is_finished());
            queue.put(8).unwrap();
            assert_eq!(last.join().unwrap(), Ok(8));
        });
        queue.put(0).unwrap();
        scope(|scope| {
            let killed = scope.spawn(|| queue.put(1));
            let limited = scope.spawn(|| queue.put_timeout(2, SHORT));
            let last = scope.spawn(|| queue.put(3));
            until_quiet();
            killed.kill();
            assert!(killed.join().is_err());
            assert_eq!(limited.join().unwrap(), Err(PutTimeoutError::Timeout(2)));
            assert_eq!(queue.get(), Ok(0));
            assert_eq!(queue.get(), Ok(3), "what was not put in is not there");
            last.join().unwrap().unwrap();
        });
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    });
}

#[test]
fn one_that_is_killed_when_its_item_is_in_has_put_it() {
    run(|| {
        let queue = Queue::bounded(1);
        queue.put(0).unwrap();
        scope(|scope| {
            let putter = scope.spawn(|| {
                queue.put(1).unwrap();
                "goes on"
            });
            until_quiet();
            assert_eq!(queue.get(), Ok(0));
            assert!(putter.kill());
            assert_eq!(putter.join().unwrap(), "goes on");
        });
        assert_eq!(queue.get(), Ok(1));
    });
}

#[test]
fn a_peek_leaves_the_item_to_others() {
    run(|| {
        let queue = Queue::unbounded();
        scope(|scope| {
            let peekers: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.peek())).collect();
            let getter = scope.spawn(|| queue.get());
            let late = scope.spawn(|| queue.peek());
            until_quiet();
            assert_eq!(queue.try_peek(), Err(TryGetError::Empty));
            assert_eq!(queue.peek_timeout(SHORT), Err(GetTimeoutError::Timeout));
            queue.put('a').unwrap();
            peekers.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), Ok('a')));
            assert_eq!(getter.join().unwrap(), Ok('a'));
            queue.put('b').unwrap();
            assert_eq!(late.join().unwrap(), Ok('b'));
            assert_eq!(queue.get(), Ok('b'));
        });
        let lifo: LifoQueue<i32> = (1..=3).collect();
        assert_eq!((lifo.peek(), lifo.try_peek()), (Ok(3), Ok(3)));
        let priority: PriorityQueue<i32> = [2, 1].into_iter().collect();
        assert_eq!((priority.peek(), priority.len()), (Ok(1), 2));
        priority.close();
        assert!(priority.iter().eq([1, 2]));
        assert_eq!(priority.peek(), Err(GetError));
    });
}

/// An item whose clone waits, or panics.
struct Slow(i32, bool);

impl Clone for Slow {
    fn clone(&self) -> Slow {
        assert!(!self.1, "no clone");
        (0..3).for_each(|_| yield_now());
        Slow(self.0, self.1)
    }
}

#[test]
fn a_clone_may_wait_and_panic() {
    run(|| {
        let queue = Queue::bounded(2);
        let lifo = LifoQueue::unbounded();
        scope(|scope| {
            queue.put(Slow(1, false)).unwrap();
            lifo.put(Slow(1, false)).unwrap();
            let peeker = scope.spawn(|| (queue.peek().unwrap().0, lifo.peek().unwrap().0));
            let getter = scope.spawn(|| queue.get().unwrap().0);
            yield_now();
            // The item is out, and counts still; others may be put in behind it.
            assert_eq!(queue.len(), 1);
            assert_eq!(queue.try_get().map(|item| item.0), Err(TryGetError::Empty));
            queue.put(Slow(2, false)).unwrap();
            assert!(queue.is_full());
            assert_eq!(getter.join().unwrap(), 1);
            while lifo.try_get().is_ok() {}
            (2..40).for_each(|n| lifo.put(Slow(n, false)).unwrap());
            assert_eq!(peeker.join().unwrap(), (1, 1));
            assert_eq!(queue.get().unwrap().0, 2);
            let left: Vec<i32> = lifo.try_iter().map(|item| item.0).collect();
            assert!(left.into_iter().eq((1..40).rev()), "it is back where it was");
        });
        queue.put(Slow(3, true)).unwrap();
        queue.put(Slow(4, true)).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| queue.peek())).is_err());
        assert!(queue.try_iter().map(|item| item.0).eq([3, 4]), "nothing is lost");
    });
}

#[test]
fn what_is_in_a_closed_queue_can_be_taken() {
    run(|| {
        let queue = Queue::bounded(2);
        scope(|scope| {
            queue.put(1).unwrap();
            queue.put(2).unwrap();
            let queue = &queue;
            let putters: Vec<_> = (3..6).map(|n| scope.spawn(move || queue.put(n))).collect();
            until_quiet();
            queue.close();
            queue.close();
            assert!(queue.is_closed());
            for (n, putter) in (3..6).zip(putters) {
                assert_eq!(putter.join().unwrap(), Err(PutError(n)));
            }
            assert_eq!(queue.put(6), Err(PutError(6)));
            assert_eq!(queue.try_put(7), Err(TryPutError::Closed(7)));
            assert!(queue.iter().eq([1, 2]));
            assert_eq!(queue.get(), Err(GetError));
            assert_eq!(queue.try_get(), Err(TryGetError::Closed));
            assert_eq!(queue.get_timeout(LONG), Err(GetTimeoutError::Closed));
        });
        // Who waits for an item is woken, all of them.
        let queue = PriorityQueue::<u8>::unbounded();
        scope(|scope| {
            let getters: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.get())).collect();
            let peeker = scope.spawn(|| queue.peek());
            until_quiet();
            queue.close();
            getters.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), Err(GetError)));
            assert_eq!(peeker.join().unwrap(), Err(GetError));
        });
    });
}

#[test]
fn a_queue_that_is_closed_now_gives_its_items() {
    run(|| {
        let queue = JoinableQueue::bounded(3);
        scope(|scope| {
            (0..3).for_each(|n| queue.put(n).unwrap());
            let putter = scope.spawn(|| queue.put(3));
            assert_eq!(queue.get(), Ok(0));
            let join = scope.spawn(|| queue.join());
            until_quiet();
            assert_eq!(queue.close_now(), [1, 2, 3]);
            putter.join().unwrap().unwrap();
            assert_eq!(queue.get(), Err(GetError));
            // One was taken, and is worked on.
            assert_eq!(queue.unfinished(), 1);
            assert!(!join.is_finished());
            queue.task_done();
            join.join().unwrap();
        });
        let priority: PriorityQueue<i32> = (0..4).collect();
        assert_eq!(priority.get(), Ok(0));
        priority.put(9).unwrap();
        let left: BTreeSet<i32> = priority.close_now().into_iter().collect();
        assert!(left.into_iter().eq([1, 2, 3, 9]));
        assert!(priority.close_now().is_empty());
    });
}

#[test]
fn all_items_are_done_before_join_returns() {
    run(|| {
        let queue = JoinableQueue::unbounded();
        queue.join();
        assert!(queue.join_timeout(SHORT), "nothing was put in");
        let payload = catch_unwind(AssertUnwindSafe(|| queue.task_done())).unwrap_err();
        assert!(is_message(&*payload, "`task_done` is called once for each item"));
        scope(|scope| {
            (0..3).for_each(|n| queue.put(n).unwrap());
            assert!(!queue.join_timeout(SHORT));
            assert!(timeout(SHORT, || queue.join()).is_err());
            let joins: Vec<_> = (0..2).map(|_| scope.spawn(|| queue.join())).collect();
            let killed = scope.spawn(|| queue.join());
            until_quiet();
            killed.kill();
            for n in 0..3 {
                assert_eq!(queue.get(), Ok(n));
                assert!(joins.iter().all(|join| !join.is_finished()));
                queue.task_done();
            }
            // More has come before they run: there was an end.
            queue.put(3).unwrap();
            joins.into_iter().for_each(|join| join.join().unwrap());
            assert!(killed.join().is_err());
            assert_eq!(queue.close_now(), [3]);
            queue.join();
        });
    });
}

#[test]
fn a_put_into_a_channel_returns_when_its_item_is_taken() {
    run(|| {
        let channel = Channel::new();
        scope(|scope| {
            assert_eq!(channel.try_put(0), Err(TryPutError::Full(0)));
            assert_eq!(channel.try_get(), Err(TryGetError::Empty));
            let (first, second) = (scope.spawn(|| channel.put(1)), scope.spawn(|| channel.put(2)));
            until_quiet();
            assert!(!first.is_finished());
            assert_eq!(channel.get(), Ok(1));
            first.join().unwrap().unwrap();
            assert!(!second.is_finished());
            assert_eq!(channel.try_get(), Ok(2));
            second.join().unwrap().unwrap();
            // No ghost of one whose time was up, or who was killed.
            assert_eq!(channel.put_timeout(3, SHORT), Err(PutTimeoutError::Timeout(3)));
            let killed = scope.spawn(|| channel.put(4));
            until_quiet();
            killed.kill();
            assert!(killed.join().is_err());
            assert_eq!(channel.get_timeout(SHORT), Err(GetTimeoutError::Timeout));
            // Somebody waits already.
            let getters: Vec<_> = (0..2).map(|_| scope.spawn(|| channel.get())).collect();
            until_quiet();
            assert_eq!(channel.try_put(5), Ok(()));
            assert_eq!(channel.put(6), Ok(()));
            assert_eq!(channel.try_put(7), Err(TryPutError::Full(7)));
            for (n, getter) in (5..).zip(getters) {
                assert_eq!(getter.join().unwrap(), Ok(n));
            }
            let putter = scope.spawn(|| channel.put(8));
            until_quiet();
            channel.close();
            assert_eq!(putter.join().unwrap(), Err(PutError(8)));
            assert_eq!(channel.get(), Err(GetError));
        });
    });
}

/// A put that somebody was woken for is taken by that one, though it is killed.
#[test]
fn one_that_was_met_in_a_channel_takes_the_item() {
    run(|| {
        let channel = Channel::new();
        for is_killed_first in [true, false] {
            scope(|scope| {
                let getter = scope.spawn(|| channel.get());
                until_quiet();
                if is_killed_first {
                    getter.kill();
                }
                assert_eq!(channel.try_put(1), Ok(()));
                if !is_killed_first {
                    getter.kill();
                }
                assert_eq!(getter.join().unwrap(), Ok(1));
            });
        }
        assert_eq!(channel.get_timeout(SHORT), Err(GetTimeoutError::Timeout));
    });
}

/// What a comparison of [`Odd`] items does, besides comparing.
type Act = Rc<RefCell<Option<Rc<dyn Fn()>>>>;

#[derive(Clone)]
struct Odd(i32, Act);

impl Odd {
    fn queue(bound: usize, items: &[i32]) -> (Rc<PriorityQueue<Odd>>, Act, impl Fn(i32) -> Odd) {
        let act = Act::default();
        let make = {
            let act = Rc::clone(&act);
            move |n| Odd(n, Rc::clone(&act))
        };
        let queue = PriorityQueue::bounded(bound);
        items.iter().for_each(|n| queue.put(make(*n)).unwrap());
        (Rc::new(queue), act, make)
    }

    /// Takes the odd act away, since the items that are left refer to it.
    fn rest(queue: &PriorityQueue<Odd>, act: &Act) -> Vec<i32> {
        drop(act.borrow_mut().take());
        queue.try_iter().map(|item| item.0).collect()
    }
}

impl PartialEq for Odd {
    fn eq(&self, other: &Odd) -> bool {
        self.0 == other.0
    }
}

impl Eq for Odd {}

impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Odd) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Odd {
    fn cmp(&self, other: &Odd) -> Ordering {
        let act = self.1.borrow().clone();
        if let Some(act) = act {
            act();
        }
        self.0.cmp(&other.0)
    }
}

#[test]
fn a_comparison_that_panics_loses_nothing() {
    run(|| {
        // At each of its comparisons in turn.
        for nth in 0..24 {
            let (queue, act, make) = Odd::queue(10, &[5, 2, 8, 1, 9, 3]);
            queue.put(make(4)).unwrap();
            let left = Cell::new(nth);
            *act.borrow_mut() = Some(Rc::new(move || {
                left.set(left.get() - 1);
                assert!(left.get() != -1, "no order");
            }));
            let mut taken = Vec::new();
            while let Ok(item) = catch_unwind(AssertUnwindSafe(|| queue.try_get())) {
                let Ok(item) = item else { break };
                taken.push(item.0);
            }
            assert_eq!(queue.len() + taken.len(), 7);
            queue.put(make(0)).unwrap();
            let rest = Odd::rest(&queue, &act);
            assert!(rest.is_sorted(), "{rest:?}");
            taken.extend(rest);
            taken.sort_unstable();
            assert_eq!(taken, [0, 1, 2, 3, 4, 5, 8, 9], "after {nth}");
        }
    });
}

#[test]
fn a_comparison_may_wait() {
    run(|| {
        let (queue, act, make) = Odd::queue(6, &[5, 2, 8, 1]);
        *act.borrow_mut() = Some(Rc::new(yield_now));
        let getters: Vec<_> = (0..2)
            .map(|_| {
                let queue = Rc::clone(&queue);
                spawn(move || queue.get().unwrap().0)
            })
            .collect();
        yield_now();
        // It compares, and others may put in but not take.
        assert_eq!(queue.len(), 4);
        assert!(queue.try_get().is_err());
        queue.put(make(0)).unwrap();
        queue.put(make(7)).unwrap();
        assert!(queue.is_full());
        let closing = {
            let queue = Rc::clone(&queue);
            spawn(move || queue.put(make(6)).is_ok())
        };
        assert_eq!(queue.peek().map(|item| item.0), Ok(2), "the others were first");
        let taken: Vec<i32> = getters.into_iter().map(|getter| getter.join().unwrap()).collect();
        assert_eq!(taken, [1, 0]);
        assert!(closing.join().unwrap());
        assert_eq!(Odd::rest(&queue, &act), [2, 5, 6, 7, 8]);
    });
}

#[test]
fn a_queue_is_closed_after_a_comparison() {
    run(|| {
        let (queue, act, _) = Odd::queue(6, &[5, 2, 8, 1]);
        *act.borrow_mut() = Some(Rc::new(park));
        let own = Rc::clone(&queue);
        let getter = spawn(move || own.get().map(|item| item.0));
        until_quiet();
        assert!(timeout(SHORT, || queue.close_now()).is_err());
        assert!(!queue.is_closed());
        let own = Rc::clone(&queue);
        let closing = spawn(move || own.close_now().len());
        until_quiet();
        *act.borrow_mut() = None;
        getter.thread().unpark();
        assert_eq!(closing.join().unwrap(), 3);
        assert_eq!(getter.join().unwrap(), Ok(1));
        assert_eq!(queue.get().map(|item| item.0), Err(GetError));
    });
}

#[test]
fn one_that_is_killed_while_it_compares_leaves_all_items() {
    run(|| {
        let (queue, act, _) = Odd::queue(6, &[5, 2, 8, 1]);
        *act.borrow_mut() = Some(Rc::new(park));
        let (own, other) = (Rc::clone(&queue), Rc::clone(&queue));
        let getter = spawn(move || drop(own.get()));
        until_quiet();
        let behind = spawn(move || other.get_timeout(LONG).unwrap().0);
        until_quiet();
        getter.kill();
        *act.borrow_mut() = None;
        assert!(getter.join().is_err());
        assert_eq!(behind.join().unwrap(), 1);
        assert_eq!(Odd::rest(&queue, &act), [2, 5, 8]);
    });
}

#[test]
fn a_comparison_may_use_the_queue_but_not_take_from_it() {
    run(|| {
        let (queue, act, make) = Odd::queue(9, &[5, 2, 8]);
        let own = Rc::downgrade(&queue);
        *act.borrow_mut() = Some(Rc::new(move || {
            let queue = own.upgrade().unwrap();
            assert!(queue.try_get().is_err());
            assert!(!queue.is_empty());
            if queue.len() < 5 {
                queue.put(make(1)).unwrap();
            }
            let get = || drop(queue.get());
            let payload = catch_unwind(AssertUnwindSafe(get)).unwrap_err();
            let text = "comparing or cloning an item cannot take one from the same queue";
            assert!(is_message(&*payload, text));
            assert!(catch_unwind(AssertUnwindSafe(|| queue.close_now())).is_err());
        }));
        assert_eq!(queue.get().map(|item| item.0), Ok(2));
        assert_eq!(Odd::rest(&queue, &act), [1, 1, 5, 8]);
    });
}

#[test]
fn an_item_is_dropped_once_and_without_a_lock() {
    /// Uses its queue when it is dropped.
    struct Item(Arc<Queue<Item>>, Arc<Mutex<usize>>);

    impl Drop for Item {
        fn drop(&mut self) {
            assert!(self.0.try_get().is_err() || self.0.len() < 5);
            *self.1.lock().unwrap() += 1;
        }
    }

    run(|| {
        let (queue, dropped) = (Arc::new(Queue::bounded(1)), Arc::new(Mutex::new(0)));
        let item = || Item(Arc::clone(&queue), Arc::clone(&dropped));
        queue.put(item()).unwrap();
        let putter = spawn({
            let (queue, item) = (Arc::clone(&queue), item());
            move || queue.put(item).is_ok()
        });
        until_quiet();
        putter.kill();
        assert!(putter.join().is_err());
        assert!(queue.try_put(item()).is_ok() || *dropped.lock().unwrap() > 1);
        drop(queue.close_now());
        assert!(queue.put(item()).is_err());
        assert!(*dropped.lock().unwrap() >= 3);
    });
}

/// Everything that is put in by many is taken once by many, in the order of each putter.
#[test]
fn hubs_and_threads_share_a_queue() {
    const EACH: usize = 3000;

    fn check<Q: Send + Sync + 'static>(
        queue: Q,
        put: fn(&Q, (usize, usize)),
        get: fn(&Q) -> Option<(usize, usize)>,
        close: fn(&Q),
        is_ordered: bool,
    ) {
        let (queue, taken) = (Arc::new(queue), Arc::new(Mutex::new(Vec::new())));
        let putters: Vec<_> = (0..4)
            .map(|id| {
                let queue = Arc::clone(&queue);
                let work = move || (0..EACH).for_each(|n| put(&queue, (id, n)));
                // Two of them without a hub.
                os::spawn(move || if id < 2 { work() } else { spawn(work).join().unwrap() })
            })
            .collect();
        let getters: Vec<_> = (0..4)
            .map(|id| {
                let (queue, taken) = (Arc::clone(&queue), Arc::clone(&taken));
                let work = move || {
                    let own: Vec<_> = std::iter::from_fn(|| get(&queue)).collect();
                    let mut last = [None; 4];
                    for (from, n) in &own {
                        assert!(!is_ordered || last[*from] < Some(*n));
                        last[*from] = Some(*n);
                    }
                    taken.lock().unwrap().extend(own);
                };
                os::spawn(move || if id < 2 { work() } else { spawn(work).join().unwrap() })
            })
            .collect();
        putters.into_iter().for_each(|thread| thread.join().unwrap());
        close(&queue);
        getters.into_iter().for_each(|thread| thread.join().unwrap());
        let mut taken = taken.lock().unwrap();
        taken.sort_unstable();
        assert!(taken.iter().copied().eq((0..4).flat_map(|id| (0..EACH).map(move |n| (id, n)))));
    }

    run(|| {
        check(Queue::unbounded(), |q, n| q.put(n).unwrap(), |q| q.get().ok(), |q| q.close(), true);
        check(Queue::bounded(3), |q, n| q.put(n).unwrap(), |q| q.get().ok(), |q| q.close(), true);
        let lifo = LifoQueue::bounded(50);
        check(lifo, |q, n| q.put(n).unwrap(), |q| q.get().ok(), |q| q.close(), false);
        let heap = PriorityQueue::bounded(50);
        check(heap, |q, n| q.put(n).unwrap(), |q| q.get().ok(), |q| q.close(), false);
        check(Channel::new(), |q, n| q.put(n).unwrap(), |q| q.get().ok(), |q| q.close(), true);
    });
}

/// An item that lets the others run while it is compared.
struct Patient(i32);

impl PartialEq for Patient {
    fn eq(&self, other: &Patient) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Patient {}

impl PartialOrd for Patient {
    fn partial_cmp(&self, other: &Patient) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Patient {
    fn cmp(&self, other: &Patient) -> Ordering {
        yield_now();
        self.0.cmp(&other.0)
    }
}

/// While items are out many may come to wait: when those are back, all who have something to do
/// go on, not the first of them only.
#[test]
fn all_who_waited_for_items_that_were_out_go_on() {
    run(|| {
        for (items, is_closed) in [(4, false), (1, true)] {
            let queue: Queue<Slow> = (1..=items).map(|n| Slow(n, false)).collect();
            scope(|scope| {
                let peeker = scope.spawn(|| queue.peek().unwrap().0);
                yield_now();
                let get = || queue.get().map(|item| item.0);
                let getters: Vec<_> = (0..4).map(|_| scope.spawn(get)).collect();
                yield_now();
                if is_closed {
                    queue.close();
                }
                assert_eq!(peeker.join().unwrap(), 1);
                for (n, getter) in (1..).zip(getters) {
                    assert_eq!(
                        getter.join().unwrap(),
                        if n <= items { Ok(n) } else { Err(GetError) }
                    );
                }
            });
        }
        let queue: PriorityQueue<Patient> = (1..=3).map(Patient).collect();
        scope(|scope| {
            let get = || queue.get().map(|item| item.0);
            let getters: Vec<_> = (0..6).map(|_| scope.spawn(get)).collect();
            yield_now();
            queue.close();
            let got: Vec<_> = getters.into_iter().map(|task| task.join().unwrap()).collect();
            assert_eq!(got, [Ok(1), Ok(2), Ok(3), Err(GetError), Err(GetError), Err(GetError)]);
        });
        // One who closes it waits behind others, for whom nothing is left.
        let queue: PriorityQueue<Patient> = (1..=2).map(Patient).collect();
        scope(|scope| {
            let get = || queue.get().map(|item| item.0);
            let getters: Vec<_> = (0..4).map(|_| scope.spawn(get)).collect();
            yield_now();
            let closing = scope.spawn(|| queue.close_now().len());
            let taken = getters.into_iter().map(|task| task.join().unwrap());
            let taken = taken.filter(Result::is_ok).count();
            assert_eq!(taken + closing.join().unwrap(), 2);
        });
    });
}

/// An item that is compared and cloned for ever while the flag is up.
struct Endless(i32, Arc<AtomicBool>);

impl Endless {
    fn stop(&self) {
        while self.1.load(SeqCst) {
            // Nor does a kill end it.
            drop(std::panic::catch_unwind(park));
        }
    }
}

impl Clone for Endless {
    fn clone(&self) -> Endless {
        self.stop();
        Endless(self.0, Arc::clone(&self.1))
    }
}

impl PartialEq for Endless {
    fn eq(&self, other: &Endless) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Endless {}

impl PartialOrd for Endless {
    fn partial_cmp(&self, other: &Endless) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Endless {
    fn cmp(&self, other: &Endless) -> Ordering {
        self.stop();
        self.0.cmp(&other.0)
    }
}

/// Lets a coroutine of a thread take items out, does something meanwhile, and ends the thread.
fn lose_items<Q: Send + Sync + 'static>(
    queue: &Arc<Q>,
    flag: &Arc<AtomicBool>,
    take_out: fn(&Q),
    meanwhile: impl FnOnce(),
) {
    let ((out, is_out), (end, is_end)) = (mpsc::channel(), mpsc::channel());
    flag.store(true, SeqCst);
    let queue = Arc::clone(queue);
    let thread = os::spawn(move || {
        spawn(move || take_out(&queue));
        until_quiet();
        out.send(()).unwrap();
        is_end.recv().unwrap();
    });
    is_out.recv().unwrap();
    meanwhile();
    // Whoever compares from now on is done soon; but the one that has stopped is not woken.
    flag.store(false, SeqCst);
    end.send(()).unwrap();
    thread.join().unwrap();
}

/// A thread ends while one of its coroutines compares or clones: what is out is lost, and those
/// who wait, on other threads, go on with what there is and what comes.
#[test]
fn those_who_wait_for_items_that_are_lost_go_on() {
    run(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let item = |n| Endless(n, Arc::clone(&flag));
        // Three are out, and two wait for the room.
        let queue = Arc::new(PriorityQueue::bounded(3));
        [3, 1, 2].into_iter().for_each(|n| queue.put(item(n)).unwrap());
        scope(|scope| {
            let mut getters = Vec::new();
            let mut elsewhere = None;
            lose_items(
                &queue,
                &flag,
                |queue| drop(queue.get()),
                || {
                    let get = || queue.get().unwrap().0;
                    getters.push(scope.spawn(get));
                    getters.push(scope.spawn(|| select!(item = get(&*queue) => item.unwrap().0)));
                    for n in [4, 5] {
                        let (queue, item) = (&queue, item(n));
                        scope.spawn(move || queue.put(item).unwrap());
                    }
                    let queue = Arc::clone(&queue);
                    elsewhere = Some(os::spawn(move || queue.get().unwrap().0));
                    until_quiet();
                },
            );
            queue.put(item(6)).unwrap();
            let mut got: Vec<i32> = getters.into_iter().map(|task| task.join().unwrap()).collect();
            got.push(elsewhere.unwrap().join().unwrap());
            got.sort_unstable();
            assert_eq!(got, [4, 5, 6]);
        });
        assert!(queue.is_empty());
        // One is out, and the other two are given to whoever closes the queue.
        let queue: Arc<Queue<_>> = Arc::new([1, 2, 3].map(item).into_iter().collect());
        scope(|scope| {
            let mut closing = None;
            let close = || {
                closing = Some(scope.spawn(|| queue.close_now()));
                until_quiet();
            };
            lose_items(&queue, &flag, |queue| drop(queue.peek()), close);
            let left = closing.unwrap().join().unwrap();
            assert!(left.iter().map(|item| item.0).eq([2, 3]));
        });
    });
}

/// Those who come when that thread has ended do not wait for the items either.
#[test]
fn a_queue_goes_on_without_items_that_are_lost() {
    run(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let item = |n| Endless(n, Arc::clone(&flag));
        let queue = Arc::new(PriorityQueue::bounded(2));
        let lose = || {
            while queue.try_put(item(1)).is_ok() {}
            lose_items(&queue, &flag, |queue| drop(queue.get()), || ());
        };
        lose();
        assert!(queue.try_get().is_err());
        lose();
        queue.put(item(2)).unwrap();
        assert_eq!(queue.get().map(|item| item.0), Ok(2));
        lose();
        queue.try_put(item(3)).unwrap();
        assert_eq!(queue.peek().map(|item| item.0), Ok(3));
        lose();
        assert!(queue.get_timeout(SHORT).is_err());
        lose();
        // In the same place of another thread, which may have got the memory of that one.
        let own = Arc::clone(&queue);
        let coroutine = move || spawn(move || own.get_timeout(SHORT).is_err()).join().unwrap();
        assert!(os::spawn(coroutine).join().unwrap());
        lose();
        assert!(queue.close_now().is_empty());
        let queue = Arc::new(Queue::bounded(2));
        [1, 2].into_iter().for_each(|n| queue.put(item(n)).unwrap());
        lose_items(&queue, &flag, |queue| drop(queue.peek()), || ());
        queue.put(item(3)).unwrap();
        assert!(queue.try_iter().map(|item| item.0).eq([2, 3]));
    });
}

/// `run` gives one up that swallows its kills, on a thread that lives on.
#[test]
fn items_are_lost_with_one_that_is_given_up() {
    run(|| {
        let flag = Arc::new(AtomicBool::new(true));
        let item = |n| Endless(n, Arc::clone(&flag));
        let queue: Arc<PriorityQueue<_>> = Arc::new([1, 2].map(item).into_iter().collect());
        let ((out, is_out), (end, is_end)) = (mpsc::channel(), mpsc::channel());
        let thread = os::spawn({
            let queue = Arc::clone(&queue);
            move || {
                corovent::run(|| {
                    spawn(move || queue.get().is_ok());
                    until_quiet();
                    out.send(()).unwrap();
                    is_end.recv().unwrap();
                });
                out.send(()).unwrap();
                is_end.recv().unwrap();
            }
        });
        is_out.recv().unwrap();
        let behind = spawn({
            let queue = Arc::clone(&queue);
            move || queue.get().unwrap().0
        });
        until_quiet();
        queue.put(item(3)).unwrap();
        until_quiet();
        assert!(!behind.is_finished(), "it is woken by the end only");
        end.send(()).unwrap();
        is_out.recv().unwrap();
        flag.store(false, SeqCst);
        assert_eq!(behind.join().unwrap(), 3);
        assert!(queue.is_empty());
        end.send(()).unwrap();
        thread.join().unwrap();
    });
}
