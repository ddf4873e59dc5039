//! `sync::Condvar`: std's cases (library/std/tests/sync/condvar.rs), in every world, and that
//! no notification is lost with one that leaves.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Deadlock;
use corovent::JoinHandle;
use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::Condvar;
use corovent::sync::Mutex;
use corovent::sync::WaitTimeoutResult;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::join_all;
use crate::worlds::leak;
use crate::worlds::settle;
use crate::worlds::until;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

type Pair = Arc<(Mutex<i32>, Condvar)>;

fn pair() -> Pair {
    Arc::new((Mutex::new(0), Condvar::new()))
}

/// A coroutine that waits once.
fn waiter(pair: &Pair, log: &Log, word: &'static str) -> JoinHandle<()> {
    let (pair, log) = (Arc::clone(pair), log.clone());
    spawn(move || {
        let guard = pair.1.wait(pair.0.lock().unwrap()).unwrap();
        log.add(word);
        drop(guard);
    })
}

#[test]
fn a_notification_for_nobody_is_forgotten() {
    run(|| {
        let pair = pair();
        pair.1.notify_one();
        pair.1.notify_all();
        let (guard, result) = pair.1.wait_timeout(pair.0.lock().unwrap(), SHORT).unwrap();
        assert!(result.timed_out());
        drop(guard);
    });
}

#[test]
fn it_is_what_std_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Default + Debug>() {}
    traits::<Condvar>();
    static CONDVAR: Condvar = Condvar::new();
    CONDVAR.notify_all();
    assert_eq!(format!("{CONDVAR:?}"), format!("{:?}", std::sync::Condvar::new()));
    assert_eq!(size_of::<Condvar>(), 16);
    fn result<T: Debug + PartialEq + Eq + Copy + Clone + Send + Sync>() {}
    result::<WaitTimeoutResult>();
    let lock = Mutex::new(());
    let (_guard, result) = CONDVAR.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap();
    assert_eq!(format!("{result:?}"), "WaitTimeoutResult(true)");
}

#[test]
fn each_notification_wakes_one_in_the_order_in_which_they_came() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let tasks = ["a", "b", "c", "d"].map(|word| waiter(&pair, &log, word));
        settle();
        assert_eq!(waiting_for("notification"), 4);
        assert!(pair.0.try_lock().is_ok(), "the lock is free while they wait");
        pair.1.notify_one();
        settle();
        assert_eq!(log.text(), "a");
        pair.1.notify_one();
        pair.1.notify_one();
        settle();
        assert_eq!(log.text(), "a b c");
        pair.1.notify_all();
        join_all(tasks);
        assert_eq!(log.text(), "a b c d");
    });
}

/// The notifier holds the lock; those who were notified get it one after the other.
#[test]
fn all_are_woken_and_none_runs_before_it_has_the_lock() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let tasks = ["a", "b", "c"].map(|word| waiter(&pair, &log, word));
        settle();
        let guard = pair.0.lock().unwrap();
        pair.1.notify_all();
        settle();
        assert_eq!((log.text().as_str(), waiting_for("lock")), ("", 3));
        drop(guard);
        join_all(tasks);
        assert_eq!(log.text(), "a b c");
    });
}

/// Those who come while a notifier is at it are not its business.
#[test]
fn one_that_waits_again_is_not_notified_twice() {
    run(|| {
        let pair = pair();
        let rounds = Rc::new(Cell::new(0));
        let task = spawn({
            let (pair, rounds) = (Arc::clone(&pair), Rc::clone(&rounds));
            move || {
                let mut guard = pair.0.lock().unwrap();
                while *guard == 0 {
                    guard = pair.1.wait(guard).unwrap();
                    rounds.set(rounds.get() + 1);
                }
            }
        });
        settle();
        for round in 1..=3 {
            pair.1.notify_all();
            settle();
            assert_eq!(rounds.get(), round);
        }
        *pair.0.lock().unwrap() = 1;
        pair.1.notify_one();
        task.join().unwrap();
        assert_eq!(rounds.get(), 4);
    });
}

/// A token goes round: each in its world waits for its number.
#[test]
fn every_world_notifies_every_world() {
    run(|| {
        const ROUNDS: i32 = 100;
        let pair = pair();
        let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
        let count = places.len() as i32;
        let running: Vec<Running<()>> = places
            .into_iter()
            .zip(0..)
            .map(|(world, own)| {
                let pair = Arc::clone(&pair);
                world.start(move || {
                    for round in 0..ROUNDS {
                        let guard = pair.0.lock().unwrap();
                        let turn = round * count + own;
                        let mut guard = pair.1.wait_while(guard, |token| *token != turn).unwrap();
                        *guard += 1;
                        drop(guard);
                        pair.1.notify_all();
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert_eq!(*pair.0.lock().unwrap(), ROUNDS * count);
    });
}

#[test]
fn a_wait_with_a_limit_is_never_short() {
    run(|| {
        for world in WORLDS {
            let pair = pair();
            world
                .start(move || {
                    let start = Instant::now();
                    let guard = pair.0.lock().unwrap();
                    let (guard, result) = pair.1.wait_timeout(guard, SHORT).unwrap();
                    assert!(result.timed_out() && start.elapsed() >= SHORT);
                    assert!(pair.0.try_lock().is_err(), "it holds the lock");
                    let start = Instant::now();
                    let waited = pair.1.wait_timeout_while(guard, SHORT, |_| true).unwrap();
                    assert!(waited.1.timed_out() && start.elapsed() >= SHORT);
                    // What is so already needs no wait.
                    let waited = pair.1.wait_timeout_while(waited.0, LONG, |_| false).unwrap();
                    assert!(!waited.1.timed_out());
                    let none = Duration::ZERO;
                    let waited = pair.1.wait_timeout_while(waited.0, none, |_| false).unwrap();
                    assert!(!waited.1.timed_out());
                    #[expect(deprecated, reason = "it is std's")]
                    let waited = pair.1.wait_timeout_ms(waited.0, 1).unwrap();
                    assert!(!waited.1);
                })
                .join();
        }
    });
}

/// Limits that no clock can hold, and such as are far off (library/std's timeout_nanoseconds).
#[test]
fn a_limit_may_be_as_long_as_it_likes() {
    run(|| {
        for limit in [Duration::MAX, Duration::from_millis(u64::MAX), LONG] {
            for world in WORLDS {
                let pair = pair();
                let waits = world.start({
                    let pair = Arc::clone(&pair);
                    move || {
                        let guard = pair.0.lock().unwrap();
                        let waited = pair.1.wait_timeout_while(guard, limit, |value| *value == 0);
                        !waited.unwrap().1.timed_out()
                    }
                });
                settle();
                *pair.0.lock().unwrap() = 1;
                pair.1.notify_all();
                assert!(waits.join());
            }
        }
    });
}

#[test]
fn a_notification_in_time_is_no_timeout() {
    run(|| {
        let pair = pair();
        let waits = spawn({
            let pair = Arc::clone(&pair);
            move || pair.1.wait_timeout(pair.0.lock().unwrap(), LONG).unwrap().1.timed_out()
        });
        settle();
        pair.1.notify_one();
        assert!(!waits.join().unwrap());
        // The time is up while it waits for the lock: it was notified nevertheless.
        let waits = spawn({
            let pair = Arc::clone(&pair);
            move || pair.1.wait_timeout(pair.0.lock().unwrap(), SHORT).unwrap().1.timed_out()
        });
        settle();
        let guard = pair.0.lock().unwrap();
        pair.1.notify_one();
        sleep(SHORT * 3);
        drop(guard);
        assert!(!waits.join().unwrap());
    });
}

#[test]
fn one_that_is_killed_neither_holds_nor_poisons_the_lock() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let killed = waiter(&pair, &log, "killed");
        let late = spawn({
            let pair = Arc::clone(&pair);
            move || timeout(SHORT, || drop(pair.1.wait(pair.0.lock().unwrap()))).is_err()
        });
        let next = waiter(&pair, &log, "next");
        settle();
        // It need not wait for the holder.
        let guard = pair.0.lock().unwrap();
        killed.kill();
        assert!(was_killed(killed));
        assert!(late.join().unwrap(), "an outer timeout is not lost");
        drop(guard);
        assert!(!pair.0.is_poisoned());
        pair.1.notify_one();
        next.join().unwrap();
        assert_eq!(log.text(), "next");
    });
}

/// It was notified and waits for the lock.
#[test]
fn one_that_is_killed_after_its_notification_passes_it_on() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let notified = waiter(&pair, &log, "killed");
        let next = waiter(&pair, &log, "next");
        settle();
        let guard = pair.0.lock().unwrap();
        pair.1.notify_one();
        settle();
        assert_eq!((waiting_for("notification"), waiting_for("lock")), (1, 1));
        notified.kill();
        assert!(was_killed(notified));
        drop(guard);
        next.join().unwrap();
        assert_eq!(log.text(), "next");
        assert!(!pair.0.is_poisoned());
    });
}

/// A kill and a notification meet: whichever is first, the other waiter is notified if the
/// killed one made nothing of it.
#[test]
fn a_notification_of_one_that_was_killed_first_goes_to_the_next() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let killed = waiter(&pair, &log, "killed");
        let next = waiter(&pair, &log, "next");
        settle();
        killed.kill();
        pair.1.notify_one();
        next.join().unwrap();
        assert!(was_killed(killed));
        assert_eq!(log.text(), "next");
    });
}

#[test]
fn a_destructor_may_wait_for_a_notification() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let task = spawn({
            let (pair, log) = (Arc::clone(&pair), log.clone());
            move || {
                let _guard = on_drop(move || {
                    let guard = pair.0.lock().unwrap();
                    drop(pair.1.wait_while(guard, |value| *value == 0).unwrap());
                    log.add("notified");
                });
                corovent::thread::park();
            }
        });
        settle();
        task.kill();
        settle();
        *pair.0.lock().unwrap() = 1;
        pair.1.notify_one();
        assert!(was_killed(task));
        assert_eq!(log.text(), "notified");
        assert!(!pair.0.is_poisoned());
    });
}

#[test]
fn one_condition_may_be_used_with_several_locks() {
    run(|| {
        let (one, other) = (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)));
        let condvar = Arc::new(Condvar::new());
        let tasks = [one, other].map(|lock| {
            let condvar = Arc::clone(&condvar);
            spawn(move || *condvar.wait(lock.lock().unwrap()).unwrap())
        });
        settle();
        condvar.notify_all();
        assert_eq!(tasks.map(|task| task.join().unwrap()), [1, 2]);
    });
}

#[test]
fn a_lock_that_was_poisoned_meanwhile_is_an_error() {
    run(|| {
        for world in WORLDS {
            let pair = pair();
            let waits = world.start({
                let pair = Arc::clone(&pair);
                move || {
                    let mut guard = pair.0.lock().unwrap();
                    *guard = 1;
                    match pair.1.wait(guard) {
                        Ok(_) => 0,
                        Err(error) => **error.get_ref(),
                    }
                }
            });
            until(|| pair.0.try_lock().is_ok_and(|guard| *guard == 1));
            let panics = spawn({
                let pair = Arc::clone(&pair);
                move || {
                    let mut guard = pair.0.lock().unwrap();
                    *guard = 2;
                    pair.1.notify_one();
                    panic!("with the lock held");
                }
            });
            assert!(panics.join().is_err());
            assert_eq!(waits.join(), 2);
        }
    });
}

#[test]
fn a_panic_of_the_condition_poisons() {
    run(|| {
        let pair = pair();
        let task = spawn({
            let pair = Arc::clone(&pair);
            move || drop(pair.1.wait_while(pair.0.lock().unwrap(), |_| panic!("the condition")))
        });
        assert!(task.join().is_err());
        assert!(pair.0.is_poisoned());
    });
}

#[test]
fn a_deadlock_while_waiting_leaves_the_lock_free() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        let pair = pair();
        let wait = || drop(pair.1.wait(pair.0.lock().unwrap()));
        let payload = catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
        let report = payload.downcast::<Deadlock>().unwrap().to_string();
        assert!(report.contains("notification"), "{report}");
        assert!(pair.0.try_lock().is_ok());
        debug::deadlock(debug::Scope::Process);
    });
}

#[test]
fn a_notification_is_not_lost_with_a_thread_that_has_ended() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let wait = |pair: Pair| move || drop(pair.1.wait(pair.0.lock().unwrap()));
        // Its thread has ended before it is notified.
        leak(wait(Arc::clone(&pair)));
        let next = waiter(&pair, &log, "next");
        settle();
        pair.1.notify_one();
        next.join().unwrap();

        // Its thread ends after it was notified, and before it runs.
        for world in WORLDS {
            let (end, ends) = mpsc::channel();
            let (waits, is_waiting) = mpsc::channel();
            let thread = os::spawn({
                let wait = wait(Arc::clone(&pair));
                move || {
                    spawn(wait);
                    settle();
                    waits.send(()).unwrap();
                    ends.recv().unwrap();
                }
            });
            is_waiting.recv().unwrap();
            let (is_behind, behind) = mpsc::channel();
            let next = world.start({
                let pair = Arc::clone(&pair);
                move || {
                    let guard = pair.0.lock().unwrap();
                    is_behind.send(()).unwrap();
                    drop(pair.1.wait(guard).unwrap());
                }
            });
            until(|| behind.try_recv().is_ok());
            // Whoever can take the lock knows that the other one waits.
            drop(pair.0.lock().unwrap());
            pair.1.notify_one();
            end.send(()).unwrap();
            thread.join().unwrap();
            next.join();
        }
    });
}

/// Producers and consumers, of whom some are killed and some lose patience.
#[test]
fn no_notification_is_lost_among_waiters_that_leave() {
    run(|| {
        let pair = pair();
        let consumed = Rc::new(Cell::new(0));
        let consume = |pair: &Pair, consumed: &Rc<Cell<i32>>| {
            let (pair, consumed) = (Arc::clone(pair), Rc::clone(consumed));
            spawn(move || {
                loop {
                    let guard = pair.0.lock().unwrap();
                    let mut guard = pair.1.wait_while(guard, |value| *value == 0).unwrap();
                    *guard -= 1;
                    consumed.set(consumed.get() + 1);
                }
            })
        };
        let mut consumers: Vec<_> = (0..8).map(|_| consume(&pair, &consumed)).collect();
        for round in 0..400 {
            *pair.0.lock().unwrap() += 1;
            pair.1.notify_one();
            if round % 3 == 0 {
                let killed = consumers.swap_remove(round % 8);
                killed.kill();
                consumers.push(consume(&pair, &consumed));
            }
            if round % 2 == 0 {
                yield_now();
            }
        }
        // Without a further notification.
        settle();
        until(|| *pair.0.lock().unwrap() == 0);
        assert_eq!(consumed.get(), 400);
        for consumer in consumers {
            consumer.kill();
            assert!(was_killed(consumer));
        }
        settle();
    });
}
