//! Wakers, on threads without a hub. All of it runs under Miri; coroutines that await are in
//! `tests/it/futures.rs`.

use std::future::poll_fn;
use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use super::*;

const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };

fn new_alarm() -> (Arc<Alarm>, Waker) {
    let alarm = Arc::new(Alarm::new());
    let waker = Waker::from(Arc::clone(&alarm));
    (alarm, waker)
}

#[test]
fn a_waker_may_cross_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Arc<Alarm>>();
    is_send_and_sync::<Waker>();
}

#[test]
fn a_waker_knows_its_copies() {
    let (alarm, waker) = new_alarm();
    let (_other, others) = new_alarm();
    let copy = waker.clone();
    // A "no" costs whoever asks a clone; Miri says so now and then, since it gives a constant an
    // address for each use, and std's table of functions is one.
    assert!(cfg!(miri) || (waker.will_wake(&copy) && copy.will_wake(&waker)));
    assert!(!waker.will_wake(&others) && !others.will_wake(&copy));
    copy.wake();
    waker.wake_by_ref();
    let rung = alarm.rung.lock().state;
    assert!(rung);
}

#[test]
fn every_copy_gives_its_share_back() {
    let (alarm, waker) = new_alarm();
    let copies: Vec<Waker> = (0..10).map(|_| waker.clone()).collect();
    assert_eq!(Arc::strong_count(&alarm), 12);
    for (n, copy) in copies.into_iter().enumerate() {
        match n % 3 {
            0 => copy.wake(),
            1 => drop(copy),
            _ => thread::spawn(move || copy.wake_by_ref()).join().unwrap(),
        }
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&alarm), 1);
}

#[test]
fn a_future_that_is_done_is_polled_once() {
    assert_eq!(block_on(ready(5)), 5);
    assert_eq!(block_on(async { 2 + 3 }), 5);
}

/// The waker is used in the poll, by value and by reference, before `Pending` is returned.
#[test]
fn a_wake_in_the_poll_is_not_lost() {
    let mut polls = 0;
    let output = block_on(poll_fn(|context| {
        polls += 1;
        match polls {
            1 => context.waker().wake_by_ref(),
            2 => {
                let copy = context.waker().clone();
                copy.wake();
            }
            _ => return Poll::Ready(polls),
        }
        Poll::Pending
    }));
    assert_eq!(output, 3);
}

#[test]
fn a_wake_from_another_thread_is_not_lost() {
    let (sender, receiver) = mpsc::channel::<(Waker, Arc<AtomicUsize>)>();
    let thread = thread::spawn(move || {
        for (waker, done) in receiver {
            // Relaxed: only the waker carries it over.
            done.store(1, Ordering::Relaxed);
            waker.wake();
        }
    });
    for _ in 0..ROUNDS {
        let done = Arc::new(AtomicUsize::new(0));
        let mut asked = false;
        block_on(poll_fn(|context| {
            if done.load(Ordering::Relaxed) == 1 {
                return Poll::Ready(());
            }
            assert!(!asked, "nobody else wakes");
            asked = true;
            sender.send((context.waker().clone(), Arc::clone(&done))).unwrap();
            Poll::Pending
        }));
    }
    drop(sender);
    thread.join().unwrap();
}

/// Several threads use copies of one waker while the future counts, and afterwards.
#[test]
fn a_waker_is_good_for_ever() {
    const THREADS: usize = 3;
    let kept = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            block_on(poll_fn(|context| {
                kept.lock().unwrap().push(context.waker().clone());
                if count.load(Ordering::SeqCst) == THREADS * ROUNDS {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        });
        for _ in 0..THREADS {
            scope.spawn(|| {
                while kept.lock().unwrap().is_empty() {
                    thread::yield_now();
                }
                for _ in 0..ROUNDS {
                    count.fetch_add(1, Ordering::SeqCst);
                    let waker = kept.lock().unwrap().last().cloned();
                    waker.expect("the list is not empty").wake();
                }
            });
        }
        waiter.join().unwrap();
    });
    // The thread is gone that they were for.
    for waker in kept.into_inner().unwrap() {
        let copy = waker.clone();
        waker.wake();
        copy.wake_by_ref();
    }
}

/// A waker of a call that is over ends no other wait of the thread.
#[test]
fn a_late_wake_is_for_nobody() {
    let mut late = None;
    block_on(poll_fn(|context| {
        late = Some(context.waker().clone());
        Poll::Ready(())
    }));
    let late = late.unwrap();
    let polls = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<Waker>();
    thread::scope(|scope| {
        let polls = &polls;
        let polls_after_late_wake = scope.spawn(move || {
            let waker = receiver.recv().unwrap();
            late.wake();
            let seen = polls.load(Ordering::SeqCst);
            waker.wake();
            seen
        });
        block_on(poll_fn(|context| {
            if polls.fetch_add(1, Ordering::SeqCst) == 1 {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        assert_eq!(polls_after_late_wake.join().unwrap(), 1);
    });
    assert_eq!(polls.into_inner(), 2);
}
