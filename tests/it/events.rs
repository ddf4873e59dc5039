//! `sync::Event`: gevent's cases (src/gevent/tests/test__event.py and lock_tests.py), in every
//! world, and what a `set` and a `clear` in a row do.

use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::select::select;
use corovent::select::select_timeout;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::Event;
use corovent::timeout;

use crate::support::Log;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::join_all;
use crate::worlds::leak;
use crate::worlds::until;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

fn waiter(event: &Arc<Event>, log: &Log, word: &'static str) -> JoinHandle<()> {
    let (event, log) = (Arc::clone(event), log.clone());
    spawn(move || {
        event.wait();
        log.add(word);
    })
}

#[test]
fn it_is_shared_by_all() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Default + Debug>() {}
    traits::<Event>();
    static EVENT: Event = Event::new();
    assert_eq!(format!("{EVENT:?}"), "Event { is_set: false, .. }");
    EVENT.set();
    EVENT.set();
    EVENT.wait();
    assert_eq!(format!("{EVENT:?}"), "Event { is_set: true, .. }");
    EVENT.clear();
    EVENT.clear();
    assert!(!EVENT.is_set());
    assert_eq!(size_of::<Event>(), 24);
}

#[test]
fn a_flag_that_is_set_needs_no_wait() {
    run(|| {
        let event = Event::new();
        event.set();
        let log = Log::new();
        let other = spawn({
            let log = log.clone();
            move || log.add("other")
        });
        event.wait();
        assert!(event.wait_timeout(Duration::ZERO));
        log.add("own");
        other.join().unwrap();
        assert_eq!(log.text(), "own other");
    });
}

#[test]
fn all_are_woken_in_the_order_in_which_they_came() {
    run(|| {
        let (event, log) = (Arc::new(Event::new()), Log::new());
        let tasks = ["a", "b", "c", "d"].map(|word| waiter(&event, &log, word));
        until_quiet();
        assert_eq!(waiting_for("event"), 4);
        event.set();
        assert_eq!(log.text(), "", "waking only enqueues");
        join_all(tasks);
        log.assert_fifo("a b c d");
    });
}

/// gevent's test_set_and_clear (test__event.py).
#[test]
fn a_waiter_returns_though_the_flag_was_taken_back() {
    run(|| {
        let event = Arc::new(Event::new());
        for _ in 0..1000 {
            let limited = spawn({
                let event = Arc::clone(&event);
                move || event.wait_timeout(LONG)
            });
            let task = spawn({
                let event = Arc::clone(&event);
                move || event.wait()
            });
            until_quiet();
            event.set();
            event.clear();
            assert!(!event.is_set());
            assert!(limited.join().unwrap());
            task.join().unwrap();
        }
        assert!(!event.wait_timeout(SHORT), "nothing is left of it");
    });
}

/// One that comes when those before it are woken but have not run, and the flag was taken back.
#[test]
fn one_that_comes_during_a_notification_waits_for_the_next() {
    run(|| {
        let (event, log) = (Arc::new(Event::new()), Log::new());
        let tasks = ["a", "b"].map(|word| waiter(&event, &log, word));
        until_quiet();
        event.set();
        event.clear();
        let late = waiter(&event, &log, "late");
        join_all(tasks);
        until_quiet();
        log.assert_fifo("a b");
        assert!(!late.is_finished());
        event.set();
        late.join().unwrap();
        assert_eq!(log.words().last().unwrap(), "late");
    });
}

/// gevent's issue 1520: one that is woken and waits again is not woken by the same `set`.
#[test]
fn one_that_waits_again_is_not_woken_twice() {
    run(|| {
        let event = Arc::new(Event::new());
        let rounds = Arc::new(AtomicUsize::new(0));
        let task = spawn({
            let (event, rounds) = (Arc::clone(&event), Arc::clone(&rounds));
            move || {
                for _ in 0..3 {
                    event.wait();
                    event.clear();
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for round in 1..=3 {
            until_quiet();
            event.set();
            until_quiet();
            assert_eq!(rounds.load(Ordering::Relaxed), round);
        }
        task.join().unwrap();
    });
}

#[test]
fn a_wait_with_a_limit_is_never_short() {
    run(|| {
        for world in WORLDS {
            let limited = move || {
                let (event, start) = (Event::new(), Instant::now());
                assert!(!event.wait_timeout(SHORT));
                assert!(start.elapsed() >= SHORT);
                assert!(!event.wait_timeout(Duration::ZERO));
            };
            world.start(limited).join();
        }
    });
}

/// The one in the middle leaves, by a kill, a timeout of its own or one around it.
#[test]
fn one_that_leaves_takes_nobody_with_it() {
    run(|| {
        let (event, log) = (Arc::new(Event::new()), Log::new());
        let first = waiter(&event, &log, "first");
        let killed = waiter(&event, &log, "killed");
        let late = spawn({
            let event = Arc::clone(&event);
            move || event.wait_timeout(SHORT)
        });
        let later = spawn({
            let event = Arc::clone(&event);
            move || timeout(SHORT, || event.wait_timeout(LONG))
        });
        let last = waiter(&event, &log, "last");
        until_quiet();
        killed.kill();
        assert!(was_killed(killed));
        assert!(!late.join().unwrap());
        assert_eq!(later.join().unwrap(), Err(Elapsed));
        assert_eq!(waiting_for("event"), 2);
        event.set();
        join_all([first, last]);
        log.assert_fifo("first last");
    });
}

#[test]
fn those_whose_thread_has_ended_are_passed_over() {
    run(|| {
        let (event, log) = (Arc::new(Event::new()), Log::new());
        let lost = Arc::clone(&event);
        leak(move || lost.wait());
        let task = waiter(&event, &log, "after it");
        until_quiet();
        event.set();
        event.clear();
        task.join().unwrap();
        assert!(!event.wait_timeout(SHORT));
    });
}

#[test]
fn what_was_done_before_is_seen_after() {
    run(|| {
        for world in WORLDS {
            for _ in 0..50 {
                let shared = Arc::new((Event::new(), AtomicUsize::new(0)));
                let other = Arc::clone(&shared);
                let waits = world.start(move || {
                    other.0.wait();
                    other.1.load(Ordering::Relaxed)
                });
                shared.1.store(7, Ordering::Relaxed);
                shared.0.set();
                assert_eq!(waits.join(), 7);
            }
        }
    });
}

/// The light changes for all at once, from every world in turn; who missed it would hang.
#[test]
fn every_world_is_woken_by_every_world() {
    run(|| {
        const ROUNDS: usize = 100;
        let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
        let count = places.len();
        let events: Arc<Vec<Event>> = Arc::new((0..ROUNDS * count).map(|_| Event::new()).collect());
        let running: Vec<Running<()>> = places
            .into_iter()
            .enumerate()
            .map(|(own, world)| {
                let events = Arc::clone(&events);
                world.start(move || {
                    for (number, event) in events.iter().enumerate() {
                        if number % count == own {
                            event.set();
                        } else {
                            event.wait();
                        }
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert!(events.iter().all(Event::is_set));
    });
}

/// Some set and clear as fast as they can, others wait: none that waits is left behind once the
/// flag stays set.
#[test]
fn a_flag_that_flickers_loses_nobody() {
    run(|| {
        for _ in 0..20 {
            let event = Arc::new(Event::new());
            let running: Vec<Running<()>> = WORLDS
                .into_iter()
                .map(|world| {
                    let event = Arc::clone(&event);
                    world.start(move || {
                        for _ in 0..50 {
                            event.wait();
                            // Some of these limits are met by a `set`.
                            event.wait_timeout(Duration::from_micros(1));
                        }
                    })
                })
                .collect();
            os::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        event.set();
                        event.clear();
                    }
                });
            });
            event.set();
            running.into_iter().for_each(Running::join);
        }
    });
}

/// A `set` meets the end of a wait's time, on another thread: the answer is the flag's.
#[test]
fn a_set_that_meets_a_deadline_is_one_or_the_other() {
    run(|| {
        for round in 0..200u64 {
            let event = Arc::new(Event::new());
            let other = Arc::clone(&event);
            let thread = os::spawn(move || {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(round % 50) {}
                other.set();
                other.clear();
            });
            let was_set = event.wait_timeout(Duration::from_micros(round % 60));
            until(|| thread.is_finished());
            thread.join().unwrap();
            assert!(!event.is_set());
            if was_set {
                continue;
            }
            event.set();
            assert!(event.wait_timeout(LONG));
        }
    });
}

/// Beside others, and for a moment only.
#[test]
fn a_select_sees_a_flag_that_was_taken_back() {
    run(|| {
        for world in WORLDS {
            let events = Arc::new([Event::new(), Event::new()]);
            let select_one = {
                let events = Arc::clone(&events);
                move || select(&[&events[0], &events[1]])
            };
            let selects = world.start(select_one.clone());
            if world == World::Coroutine {
                until_quiet();
                assert_eq!(waiting_for("one of several"), 1);
                events[1].set();
                events[1].clear();
            } else {
                events[1].set();
            }
            assert_eq!(selects.join(), 1);
            events[1].clear();
            assert_eq!(select_timeout(&[&events[0], &events[1]], SHORT), None);
            events[0].set();
            assert_eq!(select_one(), 0);
        }
        // One that is killed in a select takes nobody with it.
        let (event, log) = (Arc::new(Event::new()), Log::new());
        let killed = spawn({
            let event = Arc::clone(&event);
            move || select(&[&*event, &*event])
        });
        let task = waiter(&event, &log, "after it");
        until_quiet();
        killed.kill();
        assert!(was_killed(killed));
        event.set();
        task.join().unwrap();
    });
}
