//! A closure for each item of an input: results in order, as they come, all at once.

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

use corovent::Elapsed;
use corovent::debug;
use corovent::group::Pool;
use corovent::group::imap;
use corovent::group::imap_unordered;
use corovent::group::map;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::run;
use crate::support::until_waiting;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(2);

/// Lets others run until no coroutine is left.
fn settle() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

/// The message that a closure panics with.
fn message(f: impl FnOnce()) -> &'static str {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload.downcast_ref::<&str>().copied().unwrap_or("another")
}

/// An input that notes how far it was read.
fn counted(count: &Rc<Cell<usize>>, items: usize) -> impl Iterator<Item = usize> + use<> {
    let count = Rc::clone(count);
    (0..items).inspect(move |_| count.set(count.get() + 1))
}

#[test]
fn results_are_in_the_order_of_the_items() {
    run(|| {
        for (limit, items) in [(1, 0), (1, 1), (1, 50), (3, 50), (100, 50)] {
            let expected: Vec<u32> = (0..items).map(|n| n * n).collect();
            let f = |n: u32| {
                (0..(n * 7) % 5).for_each(|_| yield_now());
                n * n
            };
            assert_eq!(map(limit, 0..items, f), expected);
            assert_eq!(imap(limit, 0..items, f).collect::<Vec<_>>(), expected);
            let mut unordered: Vec<_> = imap_unordered(limit, 0..items, f).collect();
            unordered.sort_unstable();
            assert_eq!(unordered, expected);
        }
    });
}

#[test]
fn no_more_than_the_limit_are_called_at_once() {
    run(|| {
        let inside = Rc::new(Cell::new(0));
        let own = Rc::clone(&inside);
        let f = move |n: u32| {
            own.set(own.get() + 1);
            assert!(own.get() <= 3);
            (0..n % 4).for_each(|_| yield_now());
            own.set(own.get() - 1);
        };
        map(3, 0..50, &f);
        assert_eq!(imap(3, 0..50, f.clone()).read_ahead(20).count(), 50);
        assert_eq!(imap_unordered(3, 0..50, f).read_ahead(20).count(), 50);
    });
}

#[test]
fn a_map_may_borrow() {
    run(|| {
        let words = vec!["a".to_owned(), "bc".to_owned()];
        let total = Cell::new(0);
        let lengths = map(2, &words, |word| {
            total.set(total.get() + word.len());
            &word[..1]
        });
        assert_eq!((lengths, total.get()), (vec!["a", "b"], 3));
    });
}

#[test]
fn the_first_panic_in_order_is_thrown() {
    run(|| {
        let log = Log::new();
        let f = |n: u32| {
            let _dropped = log.on_drop(&n.to_string());
            match n {
                0 => sleep(SHORT),
                1 => {
                    sleep(SHORT);
                    panic!("one")
                }
                2 => panic!("two"),
                _ => park(),
            }
        };
        assert_eq!(message(|| drop(map(4, 0..100, f))), "one");
        // Those after it are killed, and the rest of the input is never begun.
        let ended: Vec<_> = log.text().split(' ').map(str::to_owned).collect();
        assert_eq!(ended.len(), 4, "{ended:?}");
        assert_eq!(debug::counters().coroutines, 0, "all have ended");
    });
}

#[test]
fn a_map_ends_what_it_has_begun_when_its_input_panics() {
    run(|| {
        let log = Log::new();
        let items = (0..5).inspect(|n| assert!(*n < 2, "input"));
        let f = |n: u32| {
            let _dropped = log.on_drop(&n.to_string());
            park();
        };
        assert!(catch_unwind(AssertUnwindSafe(|| map(2, items, f))).is_err());
        assert_eq!(debug::counters().coroutines, 0);
    });
}

#[test]
fn a_map_that_is_interrupted_ends_what_it_has_begun() {
    run(|| {
        let log = Log::new();
        let f = |n: u32| {
            let _dropped = log.on_drop(&n.to_string());
            park();
        };
        assert_eq!(timeout(SHORT, || map(2, 0..5, f)), Err(Elapsed));
        assert_eq!(log.text(), "0 1");
        let task = spawn(|| drop(map(2, 0..5, |_| park())));
        until_waiting(3);
        assert!(task.kill());
        assert!(was_killed(task));
        assert_eq!(debug::counters().coroutines, 0);
    });
}

#[test]
fn a_map_in_a_member_of_its_own_pool_goes_on_in_place() {
    run(|| {
        for limit in [1, 2, 3] {
            let pool = Pool::new(limit);
            let own = pool.clone();
            let task = pool.spawn(move || {
                own.map(0..20, |n| {
                    yield_now();
                    own.map(0..2, move |k| n * k).len() + n
                })
            });
            assert_eq!(task.join().unwrap(), (2..22).collect::<Vec<_>>());
            assert_eq!(pool.free_count(), limit);
            let own = pool.clone();
            let task = pool.spawn(move || own.map(0..3, |n| assert_ne!(n, 1, "as expected")));
            assert!(task.join().is_err());
            settle();
            assert_eq!(pool.free_count(), limit);
        }
    });
}

#[test]
fn a_map_whose_coroutine_is_killed_by_another_panics() {
    run(|| {
        let pool = Pool::new(2);
        let own = pool.clone();
        let task = spawn(move || own.map(0..2, |_| park()));
        until_waiting(3);
        assert_eq!(pool.kill(), 2);
        let payload = task.join().unwrap_err();
        assert!(is_message(&*payload, "the coroutine that did the work was killed"));
    });
}

#[test]
fn nothing_is_read_before_it_is_asked_for_and_not_too_far_ahead() {
    run(|| {
        for ahead in [1, 2, 5] {
            let read = Rc::new(Cell::new(0));
            let mut ordered = imap(2, counted(&read, 50), |n| n).read_ahead(ahead);
            (0..5).for_each(|_| yield_now());
            assert_eq!(read.get(), 0);
            for n in 0..50 {
                assert_eq!(ordered.next(), Some(n));
                (0..10).for_each(|_| yield_now());
                assert!(read.get() <= n + 1 + ahead, "{} after {n}", read.get());
            }
            assert_eq!(ordered.next(), None);
            assert_eq!(ordered.next(), None);
            let read = Rc::new(Cell::new(0));
            let mut unordered = imap_unordered(2, counted(&read, 50), |n| n).read_ahead(ahead);
            assert!(unordered.next().is_some());
            (0..10).for_each(|_| yield_now());
            assert!(read.get() <= 1 + ahead);
            assert_eq!(unordered.count(), 49);
        }
    });
}

/// gevent scenario 57: results are given while the input is slow.
#[test]
fn a_slow_input_holds_no_result_back() {
    run(|| {
        for unordered in [true, false] {
            let log = Log::new();
            let own = log.clone();
            let items = (0..3).inspect(move |n| {
                (0..20).for_each(|_| yield_now());
                own.add(format!("read{n}"));
            });
            let own = log.clone();
            let take = |n: u32| own.add(format!("took{n}"));
            if unordered {
                imap_unordered(2, items, |n| n).for_each(take);
            } else {
                imap(2, items, |n| n).for_each(take);
            }
            assert_eq!(log.text(), "read0 took0 read1 took1 read2 took2");
        }
    });
}

#[test]
fn a_panic_of_an_item_is_thrown_at_its_place_and_the_iteration_goes_on() {
    run(|| {
        let f = |n: u32| {
            assert_ne!(n % 3, 1, "as expected");
            n
        };
        let mut ordered = imap(2, 0..6, f);
        let mut seen = Vec::new();
        loop {
            match catch_unwind(AssertUnwindSafe(|| ordered.next())) {
                Ok(None) => break,
                Ok(Some(n)) => seen.push(Some(n)),
                Err(_) => seen.push(None),
            }
        }
        assert_eq!(seen, [Some(0), None, Some(2), Some(3), None, Some(5)]);
        let mut unordered = imap_unordered(2, 0..6, f);
        let mut next = || catch_unwind(AssertUnwindSafe(|| unordered.next()));
        let ends: Vec<_> = (0..6).map(|_| next().is_ok()).collect();
        assert_eq!(ends.iter().filter(|ok| **ok).count(), 4);
        assert_eq!(next().ok(), Some(None));
    });
}

#[test]
fn a_panic_of_the_input_comes_after_the_results() {
    run(|| {
        let items = || {
            (0..9).inspect(|n| {
                if *n == 3 {
                    panic!("input")
                }
            })
        };
        let mut ordered = imap(8, items(), |n| n);
        assert_eq!([ordered.next(), ordered.next(), ordered.next()], [Some(0), Some(1), Some(2)]);
        assert_eq!(message(|| assert!(ordered.next().is_none())), "input");
        assert_eq!(ordered.next(), None);
        let mut unordered = imap_unordered(8, items(), |n| n);
        assert_eq!((0..3).filter_map(|_| unordered.next()).count(), 3);
        assert_eq!(message(|| assert!(unordered.next().is_none())), "input");
        assert_eq!(unordered.next(), None);
    });
}

#[test]
fn an_iterator_that_is_dropped_leaves_nothing() {
    run(|| {
        for taken in 0..3 {
            let log = Log::new();
            let (items, results) = (log.on_drop("input"), log.clone());
            let input = (0..).inspect(move |_: &u32| {
                let _ = &items;
            });
            let f = move |n| {
                if n >= 2 {
                    park();
                }
                results.on_drop("result")
            };
            let mut ordered = imap(4, input, f);
            let got: Vec<_> = ordered.by_ref().take(taken).collect();
            drop(ordered);
            settle();
            let count = log.text().split(' ').filter(|word| *word == "result").count();
            assert_eq!(count + got.len(), if taken == 0 { 0 } else { 2 });
            assert!(log.text().contains("input"));
        }
        let unordered = imap_unordered(2, 0.., |n: u32| {
            if n > 0 {
                park()
            }
        });
        let mut unordered = unordered.read_ahead(9);
        assert_eq!(unordered.next(), Some(()));
        drop(unordered);
        settle();
    });
}

#[test]
fn an_input_that_waits_is_ended_when_the_iterator_is_dropped() {
    run(|| {
        let mut ordered = imap(
            2,
            (0..2).inspect(|n| {
                if *n == 1 {
                    park()
                }
            }),
            |n| n,
        );
        assert_eq!(ordered.next(), Some(0));
        drop(ordered);
        settle();
    });
}

#[test]
fn what_interrupts_a_next_loses_nothing() {
    run(|| {
        let go = Rc::new(Cell::new(false));
        let own = Rc::clone(&go);
        let f = move |n: u32| {
            while !own.get() {
                yield_now();
            }
            n
        };
        let mut ordered = imap(2, 0..4, f.clone());
        let mut unordered = imap_unordered(2, 0..4, f);
        assert_eq!(timeout(SHORT, || ordered.next()), Err(Elapsed));
        assert_eq!(timeout(SHORT, || unordered.next()), Err(Elapsed));
        go.set(true);
        assert_eq!(ordered.collect::<Vec<_>>(), [0, 1, 2, 3]);
        // Where in the turn the time was up decides who of two goes on first.
        let mut rest: Vec<_> = unordered.collect();
        rest.sort_unstable();
        assert_eq!(rest, [0, 1, 2, 3]);
    });
}

#[test]
fn an_iterator_that_is_killed_with_its_coroutine_leaves_nothing() {
    run(|| {
        let task = spawn(|| imap(2, 0..4, |_| park()).count());
        (0..5).for_each(|_| yield_now());
        assert!(task.kill());
        assert!(was_killed(task));
        settle();
    });
}

#[test]
fn several_iterators_share_a_pool() {
    run(|| {
        let pool = Pool::new(2);
        let (first, second) = (pool.imap(0..20, |n| n), pool.imap_unordered(0..20, |n| n));
        let pairs: Vec<(u32, u32)> = first.zip(second).collect();
        assert_eq!(pairs.len(), 20);
        settle();
        assert_eq!(pool.free_count(), 2);
    });
}

#[test]
fn results_are_dropped_where_nobody_holds_a_borrow() {
    run(|| {
        // The destructor of a result looks at the very iterator's pool, and waits.
        struct Waits(Pool, Rc<RefCell<u32>>);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.apply(|| *self.1.borrow_mut() += 1);
            }
        }
        let (pool, count) = (Pool::new(3), Rc::new(RefCell::new(0)));
        let (own, seen) = (pool.clone(), Rc::clone(&count));
        let mut ordered = pool.imap(0..3, move |_| Waits(own.clone(), Rc::clone(&seen)));
        drop(ordered.next());
        (0..10).for_each(|_| yield_now());
        drop(ordered);
        settle();
        assert_eq!(*count.borrow(), 3);
    });
}

#[test]
fn a_hundred_thousand_items() {
    run(|| {
        assert_eq!(map(1000, 0..100_000, |n: u64| n).into_iter().sum::<u64>(), 4_999_950_000);
        assert_eq!(imap(1000, 0..100_000, |n: u64| n).sum::<u64>(), 4_999_950_000);
        let unordered = imap_unordered(10, 0..100_000, |n: u64| n).read_ahead(100_000);
        assert_eq!(unordered.sum::<u64>(), 4_999_950_000);
    });
}
