//! `sync::Mutex`: std's cases (library/std/tests/sync/mutex.rs), in every world, and what
//! kills, timeouts and the ends of hubs do to those who wait.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Deadlock;
use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::Mutex;
use corovent::sync::MutexGuard;
use corovent::sync::TryLockError;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::assert_kept;
use crate::worlds::join_all;
use crate::worlds::leak;
use crate::worlds::settle;
use crate::worlds::until;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);

/// A coroutine that takes the lock, notes that, and gives it back.
fn taker(lock: &Arc<Mutex<()>>, log: &Log, word: &'static str) -> corovent::JoinHandle<()> {
    let (lock, log) = (Arc::clone(lock), log.clone());
    spawn(move || {
        let _guard = lock.lock().unwrap();
        log.add(word);
    })
}

#[test]
fn a_free_lock_is_taken_at_once() {
    let lock = Mutex::new(1);
    drop(lock.lock().unwrap());
    *lock.lock().unwrap() += 1;
    let guard = lock.try_lock().unwrap();
    assert_eq!(*guard, 2);
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), 2);
}

#[test]
fn the_value_can_be_had_without_the_lock() {
    let mut lock = Mutex::new(5);
    *lock.get_mut().unwrap() = 6;
    assert_eq!(lock.into_inner().unwrap(), 6);
    // It is dropped once, with the lock or after it.
    let drops = Arc::new(AtomicU32::new(0));
    let counted = || {
        let drops = Arc::clone(&drops);
        on_drop(move || {
            drops.fetch_add(1, Ordering::Relaxed);
        })
    };
    let inner = Mutex::new(counted()).into_inner().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    drop(inner);
    drop(Mutex::new(counted()));
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn a_lock_may_hold_what_has_no_size() {
    let lock: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    {
        let mut guard = lock.lock().unwrap();
        guard[0] = 4;
        guard[2] = 5;
    }
    assert_eq!(&*lock.lock().unwrap(), &[4, 2, 5]);
}

#[test]
fn it_is_what_std_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin>() {}
    fn is_sync<T: Sync + UnwindSafe + RefUnwindSafe + Debug>() {}
    traits::<Mutex<Cell<i32>>>();
    is_sync::<MutexGuard<'_, i32>>();
    static LOCK: Mutex<Vec<i32>> = Mutex::new(Vec::new());
    LOCK.lock().unwrap().push(1);
    assert_eq!(*Mutex::from(3).lock().unwrap(), 3);
    assert_eq!(*Mutex::<i32>::default().lock().unwrap(), 0);
    // One word and a line of those who wait.
    assert_eq!(size_of::<Mutex<()>>(), 24);
}

#[test]
fn it_shows_what_std_shows() {
    let (own, std) = (Mutex::new(7), std::sync::Mutex::new(7));
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    assert_eq!(format!("{own:#?}"), format!("{std:#?}"));
    let guards = (own.lock().unwrap(), std.lock().unwrap());
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    assert_eq!(format!("{} {:?}", guards.0, guards.0), format!("{} {:?}", guards.1, guards.1));
}

#[test]
fn coroutines_are_served_in_the_order_in_which_they_came() {
    run(|| {
        let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
        let guard = lock.lock().unwrap();
        let tasks = ["a", "b", "c", "d"].map(|word| taker(&lock, &log, word));
        settle();
        assert_eq!(waiting_for("lock"), 4);
        assert_eq!(log.text(), "");
        drop(guard);
        log.add("free");
        join_all(tasks);
        assert_eq!(log.text(), "free a b c d");
    });
}

#[test]
fn an_unlock_lets_nobody_run_and_the_lock_may_be_taken_again() {
    run(|| {
        let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
        let guard = lock.lock().unwrap();
        let waits = taker(&lock, &log, "the other");
        settle();
        drop(guard);
        for _ in 0..3 {
            drop(lock.lock().unwrap());
            log.add("again");
        }
        waits.join().unwrap();
        assert_eq!(log.text(), "again again again the other");
    });
}

/// Each holder keeps the lock over a wait and wants it again at once.
#[test]
fn nobody_is_overtaken_twice() {
    run(|| {
        assert_kept(|| {
            let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
            let greedy = spawn({
                let (lock, log) = (Arc::clone(&lock), log.clone());
                move || {
                    for _ in 0..6 {
                        let _guard = lock.lock().unwrap();
                        log.add("greedy");
                        yield_now();
                    }
                }
            });
            yield_now();
            let tasks = ["a", "b"].map(|word| taker(&lock, &log, word));
            join_all(tasks);
            let text = log.text();
            greedy.join().unwrap();
            // Twice before anybody waits; then it overtakes the first, who was called, once.
            text == "greedy greedy greedy a b"
        });
    });
}

/// A `try_lock` may not overtake one that came too late either.
#[test]
fn a_try_lock_does_not_overtake_one_that_came_too_late() {
    run(|| {
        let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
        assert_kept(|| {
            let guard = lock.lock().unwrap();
            let waits = taker(&lock, &log, "late");
            settle();
            drop(guard);
            let guard = lock.try_lock().unwrap();
            settle();
            drop(guard);
            let is_kept = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
            waits.join().unwrap();
            assert!(lock.try_lock().is_ok());
            is_kept
        });
    });
}

#[test]
fn a_spinning_try_lock_gets_its_turn() {
    run(|| {
        let lock = Arc::new(Mutex::new(()));
        let holder = spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _guard = lock.lock().unwrap();
                (0..20).for_each(|_| yield_now());
            }
        });
        yield_now();
        let mut tries = 0;
        until(|| {
            tries += 1;
            lock.try_lock().is_ok()
        });
        assert!(tries > 10);
        holder.join().unwrap();
    });
}

/// Adds in turns, in all worlds at once; half of the holders keep the lock over a wait.
#[test]
fn everybody_excludes_everybody() {
    run(|| {
        const ROUNDS: u64 = 300;
        let lock = Arc::new(Mutex::new(0u64));
        let running: Vec<Running<()>> = (0..3)
            .flat_map(|_| WORLDS)
            .map(|world| {
                let lock = Arc::clone(&lock);
                world.start(move || {
                    for round in 0..ROUNDS {
                        let mut total = lock.lock().unwrap();
                        let seen = *total;
                        if round % 2 == 0 {
                            match world {
                                World::Thread => os::yield_now(),
                                _ => yield_now(),
                            }
                        }
                        *total = seen + 1;
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert_eq!(*lock.lock().unwrap(), 12 * ROUNDS);
    });
}

#[test]
fn a_holder_in_one_world_lets_a_waiter_in_another_in() {
    run(|| {
        for (holder, waiter) in WORLDS.into_iter().flat_map(|a| WORLDS.map(|b| (a, b))) {
            let (lock, order) =
                (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
            let holds = holder.start({
                let (lock, order) = (Arc::clone(&lock), Arc::clone(&order));
                move || {
                    let mut guard = lock.lock().unwrap();
                    order.store(true, Ordering::Release);
                    match holder {
                        World::Thread => os::sleep(SHORT),
                        _ => sleep(SHORT),
                    }
                    guard.push(holder);
                }
            });
            until(|| order.load(Ordering::Acquire));
            let waits = waiter.start({
                let lock = Arc::clone(&lock);
                move || lock.lock().unwrap().push(waiter)
            });
            holds.join();
            waits.join();
            assert_eq!(*lock.lock().unwrap(), [holder, waiter]);
        }
    });
}

#[test]
fn a_kill_and_a_timeout_end_the_wait_and_hold_nothing() {
    run(|| {
        let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
        let guard = lock.lock().unwrap();
        let killed = taker(&lock, &log, "killed");
        let late = spawn({
            let lock = Arc::clone(&lock);
            move || timeout(SHORT, || drop(lock.lock().unwrap())).is_err()
        });
        let next = taker(&lock, &log, "next");
        settle();
        assert!(killed.kill());
        assert!(was_killed(killed));
        assert!(late.join().unwrap(), "an outer timeout is not lost");
        drop(guard);
        next.join().unwrap();
        assert!(!lock.is_poisoned());
        assert_eq!(log.text(), "next");
        assert!(lock.try_lock().is_ok());
    });
}

/// It was called, was overtaken, and is killed on its way back into the line.
#[test]
fn one_that_was_called_and_is_killed_passes_the_lock_on() {
    run(|| {
        for overtakes in [false, true] {
            let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
            let mut guard = lock.lock().unwrap();
            let called = spawn({
                let lock = Arc::clone(&lock);
                move || {
                    let _guard = lock.lock().unwrap();
                    park();
                }
            });
            let next = taker(&lock, &log, "next");
            settle();
            drop(guard);
            if overtakes {
                guard = lock.lock().unwrap();
                called.kill();
                assert!(was_killed(called));
                drop(guard);
            } else {
                // It gets what it was woken for, and ends at its next wait.
                called.kill();
                assert!(was_killed(called));
            }
            let result = next.join();
            assert_eq!(lock.is_poisoned(), !overtakes, "poisoned if it was held");
            assert_eq!(result.is_err(), !overtakes);
            assert!(!matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        }
    });
}

#[test]
fn a_holder_that_is_killed_poisons_and_the_next_proceeds() {
    run(|| {
        let lock = Arc::new(Mutex::new(1));
        let holder = spawn({
            let lock = Arc::clone(&lock);
            move || {
                let mut guard = lock.lock().unwrap();
                *guard = 2;
                park();
            }
        });
        let next = spawn({
            let lock = Arc::clone(&lock);
            move || lock.lock().map(|guard| *guard).map_err(|error| *error.into_inner())
        });
        settle();
        holder.kill();
        assert!(was_killed(holder));
        assert_eq!(next.join().unwrap(), Err(2));
        lock.clear_poison();
        assert_eq!(*lock.lock().unwrap(), 2);
    });
}

#[test]
fn a_panic_of_the_holder_poisons_in_every_world() {
    run(|| {
        for world in WORLDS {
            let mut lock = Arc::new(Mutex::new(1));
            assert!(!lock.is_poisoned());
            let holder = world.start({
                let lock = Arc::clone(&lock);
                move || {
                    let mut guard = lock.lock().unwrap();
                    *guard = 2;
                    panic!("with the lock held");
                }
            });
            assert!(holder.result().is_err());
            assert!(lock.is_poisoned());
            assert_eq!(**lock.lock().unwrap_err().get_ref(), 2);
            assert!(matches!(lock.try_lock(), Err(TryLockError::Poisoned(_))));
            assert!(format!("{lock:?}").contains("data: 2, poisoned: true"));
            let own = Arc::get_mut(&mut lock).unwrap();
            assert_eq!(**own.get_mut().unwrap_err().get_ref(), 2);
            let own = Arc::into_inner(lock).unwrap();
            assert_eq!(own.into_inner().unwrap_err().into_inner(), 2);
        }
    });
}

#[test]
fn a_destructor_may_lock_and_poisons_nothing() {
    run(|| {
        let lock = Arc::new(Mutex::new(1));
        let holder = lock.lock().unwrap();
        let task = spawn({
            let lock = Arc::clone(&lock);
            move || {
                // The unwinding really waits for the lock.
                let _guard = on_drop(move || *lock.lock().unwrap() += 1);
                park();
            }
        });
        settle();
        task.kill();
        settle();
        assert_eq!(waiting_for("lock"), 1);
        drop(holder);
        assert!(was_killed(task));
        assert_eq!(*lock.lock().unwrap(), 2);
    });
}

/// std's mutex would be poisoned in the first case and not in the second.
#[test]
fn it_is_the_coroutine_that_poisons_and_not_its_thread() {
    run(|| {
        let (calm, wild) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let guard = calm.lock().unwrap();
        let unwinds = spawn(|| {
            let _guard = on_drop(park);
            panic!("parked in the middle of this");
        });
        settle();
        assert!(std::thread::panicking());
        drop(guard);
        assert!(!calm.is_poisoned(), "its holder does not unwind");
        let task = spawn({
            let wild = Arc::clone(&wild);
            move || {
                let _guard = wild.lock().unwrap();
                panic!("beside another");
            }
        });
        assert!(task.join().is_err());
        assert!(wild.is_poisoned());
        unwinds.thread().unpark();
        assert!(unwinds.join().is_err());
    });
}

#[test]
fn a_deadlock_names_the_lock_and_the_hub_goes_on() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        corovent::run(|| {
            let lock = Arc::new(Mutex::new(()));
            let holder = spawn({
                let lock = Arc::clone(&lock);
                move || {
                    let _guard = lock.lock().unwrap();
                    park();
                }
            });
            yield_now();
            let payload = catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))).unwrap_err();
            let report = payload.downcast::<Deadlock>().unwrap().to_string();
            assert!(report.contains("lock") && report.contains("unpark"), "{report}");
            holder.thread().unpark();
            holder.join().unwrap();
            drop(lock.lock().unwrap());
            // The same lock twice.
            let guard = lock.lock().unwrap();
            let payload = catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))).unwrap_err();
            assert!(payload.is::<Deadlock>());
            drop(guard);
            assert!(!lock.is_poisoned());
            drop(lock.lock().unwrap());
        });
    });
}

#[test]
fn a_waiter_whose_thread_has_ended_keeps_nobody_from_the_lock() {
    run(|| {
        let (lock, log) = (Arc::new(Mutex::new(())), Log::new());
        let guard = lock.lock().unwrap();
        leak({
            let lock = Arc::clone(&lock);
            move || drop(lock.lock())
        });
        let next = taker(&lock, &log, "next");
        settle();
        drop(guard);
        next.join().unwrap();
        // Alone in line.
        let guard = lock.lock().unwrap();
        leak({
            let lock = Arc::clone(&lock);
            move || drop(lock.lock())
        });
        drop(guard);
        drop(lock.try_lock().unwrap());
    });
}

/// A thread with a waiter that was called, was overtaken, is called again, and then ends
/// without having run it. It ends when the sender is used.
fn lose_the_called(lock: &Arc<Mutex<()>>) -> (mpsc::Sender<()>, os::JoinHandle<()>) {
    let (end, ends) = mpsc::channel();
    let (step, steps) = mpsc::channel();
    let (done, dones) = mpsc::channel();
    let guard = lock.lock().unwrap();
    let thread = os::spawn({
        let lock = Arc::clone(lock);
        move || {
            spawn(move || drop(lock.lock()));
            settle();
            assert_eq!(waiting_for("lock"), 1);
            done.send(()).unwrap();
            steps.recv().unwrap();
            // The call is in the inbox; the waiter comes too late.
            sleep(SHORT);
            assert_eq!(waiting_for("lock"), 1);
            done.send(()).unwrap();
            // From here on the hub does not run any more.
            ends.recv().unwrap();
        }
    });
    dones.recv().unwrap();
    drop(guard);
    let guard = lock.lock().unwrap();
    step.send(()).unwrap();
    dones.recv().unwrap();
    drop(guard);
    (end, thread)
}

#[test]
fn a_lock_is_not_kept_for_one_whose_thread_has_ended() {
    run(|| {
        for world in WORLDS {
            let lock = Arc::new(Mutex::new(()));
            assert_kept(|| {
                let (end, thread) = lose_the_called(&lock);
                let is_kept = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
                end.send(()).unwrap();
                thread.join().unwrap();
                is_kept
            });
            let (end, thread) = lose_the_called(&lock);
            // One comes before the thread ends, and one after.
            let before = world.start({
                let lock = Arc::clone(&lock);
                move || drop(lock.lock().unwrap())
            });
            settle();
            end.send(()).unwrap();
            thread.join().unwrap();
            before.join();
            let (end, thread) = lose_the_called(&lock);
            end.send(()).unwrap();
            thread.join().unwrap();
            drop(lock.try_lock().unwrap());
            let after = world.start({
                let lock = Arc::clone(&lock);
                move || drop(lock.lock().unwrap())
            });
            after.join();
        }
    });
}

/// Waiters come, are killed and time out, while others in all worlds take the lock.
#[test]
fn no_turn_is_lost_among_waiters_that_leave() {
    run(|| {
        let lock = Arc::new(Mutex::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let others: Vec<Running<()>> = [World::Coroutine, World::OtherHub, World::Thread]
            .map(|world| {
                let (lock, stop) = (Arc::clone(&lock), Arc::clone(&stop));
                world.start(move || {
                    while !stop.load(Ordering::Relaxed) {
                        *lock.lock().unwrap() += 1;
                        match world {
                            World::Thread => os::yield_now(),
                            _ => yield_now(),
                        }
                    }
                })
            })
            .into();
        let done = Rc::new(Cell::new(0));
        for round in 0..200u64 {
            let guard = lock.lock().unwrap();
            let tasks: Vec<_> = (0..6u64)
                .map(|own| {
                    let (lock, done) = (Arc::clone(&lock), Rc::clone(&done));
                    let limit = Duration::from_micros((own * 37 + round * 11) % 200);
                    spawn(move || {
                        let taken = timeout(limit, || *lock.lock().unwrap() += 1);
                        done.set(done.get() + u32::from(taken.is_ok()));
                    })
                })
                .collect();
            yield_now();
            drop(guard);
            tasks[(round % 6) as usize].kill();
            for task in tasks {
                let _ = task.join();
            }
        }
        stop.store(true, Ordering::Relaxed);
        others.into_iter().for_each(Running::join);
        assert!(lock.try_lock().is_ok());
    });
}
