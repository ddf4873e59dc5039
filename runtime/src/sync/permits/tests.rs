//! Threads without a hub that race for permits. All of it runs under Miri; coroutines that wait
//! are tested in `tests/it`.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use super::*;
use crate::hub::wake::retry;
use crate::wait_queue::tests::OTHERS;

fn permits(count: usize) -> Permits {
    Permits::new(count, PERMITS_MAX)
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn an_idle_one_is_not_busy() {
    let permits = permits(2);
    assert!(permits.try_take(2) && !permits.try_take(1));
    let soon = Deadline::after(Duration::from_millis(1));
    assert_eq!(permits.take(1, soon), Err(Outcome::TimedOut));
    assert_eq!(permits.word.load(Ordering::Relaxed), 0, "nobody waits any more");
    permits.give_back(1);
    assert_eq!(permits.take(1, Deadline::NEVER), Ok(()));
}

/// Who is called and comes finds its permits, and leaves the word as it was.
#[test]
fn a_promise_is_kept() {
    let permits = permits(0);
    thread::scope(|scope| {
        let first = scope.spawn(|| permits.take(2, Deadline::NEVER));
        until(|| permits.line.waiting() == 1);
        let second = scope.spawn(|| permits.take(1, Deadline::NEVER));
        until(|| permits.line.waiting() == 2);
        permits.give_back(1);
        assert_eq!(permits.line.waiting(), 2, "not enough for the first");
        permits.give_back(1);
        first.join().unwrap().unwrap();
        assert!(permits.add(1));
        second.join().unwrap().unwrap();
    });
    assert_eq!(permits.word.load(Ordering::Relaxed), 0);
}

/// Waits that are tried again for nothing lose neither their place nor their permits.
#[test]
fn a_retry_changes_nothing() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let (rounds, threads) = if cfg!(miri) { (5, 2) } else { (500, 3) };
    let permits = permits(1);
    let inside = AtomicUsize::new(0);
    let left = AtomicUsize::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    permits.take(1, Deadline::NEVER).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    permits.give_back(1);
                }
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while left.load(Ordering::Relaxed) > 0 {
                retry(None);
                thread::yield_now();
            }
        });
    });
    assert_eq!(permits.free(), 1);
    assert!(permits.try_take(1));
}

/// Limits that meet the permits: each is taken by one, or there in the end.
#[test]
fn no_permit_is_lost_at_a_deadline() {
    let rounds = if cfg!(miri) { 5 } else { 300 };
    let permits = permits(0);
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..3 {
            let (permits, taken) = (&permits, &taken);
            scope.spawn(move || {
                for round in 0..rounds {
                    let limit = Duration::from_micros((round * 7 + thread * 13) % 40);
                    let wanted = 1 + (round % 2) as u32;
                    if permits.take(wanted, Deadline::after(limit)).is_ok() {
                        taken.fetch_add(wanted as usize, Ordering::Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..rounds {
                permits.give_back(1);
                thread::yield_now();
            }
        });
    });
    let free = permits.free();
    assert_eq!(taken.into_inner() + free, rounds as usize);
    assert!(permits.try_take(free as u32), "all that is there can be had");
}

/// Promises of one number are not counted under the next: nobody would come for them.
#[test]
fn a_retry_amid_promises_leaves_none_behind() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let rounds = if cfg!(miri) { 5 } else { 300 };
    for round in 0..rounds {
        let permits = permits(0);
        let calls = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| permits.take(1, Deadline::NEVER).unwrap());
            }
            until(|| permits.line.waiting() == 3);
            scope.spawn(|| {
                calls.store(1, Ordering::Release);
                permits.give_back(3);
            });
            until(|| calls.load(Ordering::Acquire) == 1);
            (0..round % 20 * 10).for_each(|_| std::hint::spin_loop());
            retry(Some(1));
        });
        assert_eq!(promised(&permits.line.lock()), 0);
        assert_eq!(permits.word.load(Ordering::Relaxed), 0);
    }
}
