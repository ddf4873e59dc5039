//! `sync::RwLock`: std's cases (library/std/tests/sync/rwlock.rs), in every world, and that
//! neither readers nor writers starve.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::RwLock;
use corovent::sync::RwLockReadGuard;
use corovent::sync::RwLockWriteGuard;
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
use crate::worlds::join_all;
use crate::worlds::leak;
use crate::worlds::settle;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);

fn reader(lock: &Arc<RwLock<i32>>, log: &Log, word: &'static str) -> JoinHandle<()> {
    let (lock, log) = (Arc::clone(lock), log.clone());
    spawn(move || {
        let _guard = lock.read().unwrap();
        log.add(word);
        yield_now();
    })
}

fn writer(lock: &Arc<RwLock<i32>>, log: &Log, word: &'static str) -> JoinHandle<()> {
    let (lock, log) = (Arc::clone(lock), log.clone());
    spawn(move || {
        let _guard = lock.write().unwrap();
        log.add(word);
        yield_now();
    })
}

fn would_block<T>(result: &Result<T, TryLockError<T>>) -> bool {
    matches!(result, Err(TryLockError::WouldBlock))
}

#[test]
fn a_free_lock_is_taken_at_once() {
    let lock = RwLock::new(1);
    drop(lock.read().unwrap());
    *lock.write().unwrap() += 1;
    let readers = (lock.read().unwrap(), lock.read().unwrap());
    assert_eq!((*readers.0, *readers.1), (2, 2));
    assert!(lock.try_read().is_ok());
    assert!(would_block(&lock.try_write()));
    drop(readers);
    let writer = lock.try_write().unwrap();
    assert!(would_block(&lock.try_read()) && would_block(&lock.try_write()));
    drop(writer);
    assert!(lock.try_read().is_ok());
}

#[test]
fn the_value_can_be_had_without_the_lock() {
    let mut lock = RwLock::new(5);
    *lock.get_mut().unwrap() = 6;
    assert_eq!(lock.into_inner().unwrap(), 6);
    let sliced: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
    sliced.write().unwrap()[1] = 5;
    assert_eq!(&*sliced.read().unwrap(), &[1, 5, 3]);
}

/// A guard of a longer-lived reference may stand for one of a shorter-lived one.
#[test]
fn a_read_guard_is_covariant() {
    fn both<'a>(_: RwLockReadGuard<'_, &'a i32>, _: &'a i32) {}
    let lock: RwLock<&'static i32> = RwLock::new(&1);
    let local = 2;
    both(lock.read().unwrap(), &local);
}

#[test]
fn it_is_what_std_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin>() {}
    fn is_sync<T: Sync + UnwindSafe + RefUnwindSafe + Debug>() {}
    traits::<RwLock<i32>>();
    is_sync::<RwLockReadGuard<'_, i32>>();
    is_sync::<RwLockWriteGuard<'_, i32>>();
    static LOCK: RwLock<i32> = RwLock::new(0);
    *LOCK.write().unwrap() = 1;
    assert_eq!(*RwLock::from(3).read().unwrap(), 3);
    assert_eq!(*RwLock::<i32>::default().read().unwrap(), 0);
    assert_eq!(size_of::<RwLock<()>>(), 24);
}

#[test]
fn it_shows_what_std_shows() {
    let (own, std) = (RwLock::new(7), std::sync::RwLock::new(7));
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    let readers = (own.read().unwrap(), std.read().unwrap());
    assert_eq!(format!("{own:#?} {0} {0:?}", readers.0), format!("{std:#?} {0} {0:?}", readers.1));
    drop(readers);
    let writers = (own.write().unwrap(), std.write().unwrap());
    assert_eq!(format!("{own:?} {0} {0:?}", writers.0), format!("{std:?} {0} {0:?}", writers.1));
}

#[test]
fn readers_and_writers_are_served_in_one_line() {
    run(|| {
        let (lock, log) = (Arc::new(RwLock::new(0)), Log::new());
        let guard = lock.read().unwrap();
        let tasks = [
            reader(&lock, &log, "r1"),
            writer(&lock, &log, "w1"),
            reader(&lock, &log, "r2"),
            reader(&lock, &log, "r3"),
            writer(&lock, &log, "w2"),
            reader(&lock, &log, "r4"),
        ];
        settle();
        // The first joins the one that reads; a writer waits in front of the others.
        assert_eq!(log.text(), "r1");
        assert_eq!((waiting_for("write lock"), waiting_for("read lock")), (2, 3));
        assert!(would_block(&lock.try_read()), "as in std while a writer waits");
        drop(guard);
        join_all(tasks);
        assert_eq!(log.text(), "r1 w1 r2 r3 w2 r4");
    });
}

/// Readers that overlap all the time leave no moment without one.
#[test]
fn a_writer_is_not_starved_by_readers() {
    run(|| {
        let lock = Arc::new(RwLock::new(0));
        let (stop, reads) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let (lock, stop, reads) = (Arc::clone(&lock), Rc::clone(&stop), Rc::clone(&reads));
                spawn(move || {
                    while !stop.get() {
                        let _guard = lock.read().unwrap();
                        reads.set(reads.get() + 1);
                        (0..3).for_each(|_| yield_now());
                    }
                })
            })
            .collect();
        settle();
        for _ in 0..20 {
            let before = reads.get();
            *lock.write().unwrap() += 1;
            assert!(reads.get() - before <= 10, "more than those that had come before");
            settle();
        }
        stop.set(true);
        join_all(readers);
    });
}

/// Writers that wait for each other all the time.
#[test]
fn a_reader_is_not_starved_by_writers() {
    run(|| {
        let lock = Arc::new(RwLock::new(0));
        let stop = Rc::new(Cell::new(false));
        let writers: Vec<_> = (0..10)
            .map(|_| {
                let (lock, stop) = (Arc::clone(&lock), Rc::clone(&stop));
                spawn(move || {
                    while !stop.get() {
                        *lock.write().unwrap() += 1;
                        let mut guard = lock.write().unwrap();
                        yield_now();
                        *guard += 1;
                    }
                })
            })
            .collect();
        settle();
        for _ in 0..20 {
            let before = *lock.read().unwrap();
            settle();
            let after = *lock.read().unwrap();
            assert!(after - before <= 200, "{before} {after}");
        }
        stop.set(true);
        join_all(writers);
    });
}

#[test]
fn a_writer_that_leaves_lets_the_readers_behind_it_in() {
    run(|| {
        let (lock, log) = (Arc::new(RwLock::new(0)), Log::new());
        let guard = lock.read().unwrap();
        let killed = writer(&lock, &log, "killed");
        let readers = ["r1", "r2"].map(|word| reader(&lock, &log, word));
        settle();
        assert_eq!(log.text(), "");
        killed.kill();
        assert!(was_killed(killed));
        join_all(readers);
        assert_eq!(log.text(), "r1 r2");
        // The same by a timeout.
        let late = spawn({
            let lock = Arc::clone(&lock);
            move || timeout(SHORT, || drop(lock.write().unwrap())).is_err()
        });
        yield_now();
        let task = reader(&lock, &log, "r3");
        assert!(late.join().unwrap(), "an outer timeout is not lost");
        task.join().unwrap();
        drop(guard);
        assert!(lock.try_write().is_ok() && !lock.is_poisoned());
    });
}

#[test]
fn a_reader_that_is_killed_lets_the_others_go_on() {
    run(|| {
        let (lock, log) = (Arc::new(RwLock::new(0)), Log::new());
        let guard = lock.write().unwrap();
        let tasks = ["r1", "r2", "r3"].map(|word| reader(&lock, &log, word));
        settle();
        let [first, second, third] = tasks;
        assert!(second.kill());
        assert!(was_killed(second));
        drop(guard);
        // It was called, and ends at its next wait, with the lock held; the others read on.
        first.kill();
        assert!(was_killed(first));
        third.join().unwrap();
        assert_eq!(log.text(), "r1 r3");
        assert!(!lock.is_poisoned() && lock.try_write().is_ok());
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    run(|| {
        let (lock, log) = (Arc::new(RwLock::new(0)), Log::new());
        let mut guard = lock.write().unwrap();
        *guard = 1;
        let tasks = [
            reader(&lock, &log, "r1"),
            reader(&lock, &log, "r2"),
            writer(&lock, &log, "w"),
            reader(&lock, &log, "r3"),
        ];
        settle();
        let guard = RwLockWriteGuard::downgrade(guard);
        settle();
        settle();
        assert_eq!(*guard, 1);
        assert_eq!(log.text(), "r1 r2");
        drop(guard);
        join_all(tasks);
        assert_eq!(log.text(), "r1 r2 w r3");
    });
}

/// Each sees its own write: nobody writes between the write and the read.
#[test]
fn nobody_writes_between_a_write_and_its_downgrade() {
    run(|| {
        let lock = Arc::new(RwLock::new(0));
        let running: Vec<Running<()>> = (0..2)
            .flat_map(|_| WORLDS)
            .zip(1..)
            .map(|(world, own)| {
                let lock = Arc::clone(&lock);
                world.start(move || {
                    for _ in 0..200 {
                        let mut guard = lock.write().unwrap();
                        *guard = own;
                        let guard = RwLockWriteGuard::downgrade(guard);
                        os::yield_now();
                        assert_eq!(*guard, own);
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
    });
}

#[test]
fn only_writers_poison() {
    run(|| {
        for world in WORLDS {
            let lock = Arc::new(RwLock::new(1));
            let reads = world.start({
                let lock = Arc::clone(&lock);
                move || {
                    let _guard = lock.read().unwrap();
                    panic!("while it reads");
                }
            });
            assert!(reads.result().is_err());
            assert!(!lock.is_poisoned());
            let downgraded = world.start({
                let lock = Arc::clone(&lock);
                move || {
                    let _guard = RwLockWriteGuard::downgrade(lock.write().unwrap());
                    panic!("after a downgrade");
                }
            });
            assert!(downgraded.result().is_err());
            assert!(!lock.is_poisoned());
            let writes = world.start({
                let lock = Arc::clone(&lock);
                move || {
                    let _guard = lock.write().unwrap();
                    panic!("while it writes");
                }
            });
            assert!(writes.result().is_err());
            assert!(lock.is_poisoned());
            assert_eq!(**lock.read().unwrap_err().get_ref(), 1);
            assert_eq!(**lock.write().unwrap_err().get_ref(), 1);
            assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
            assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
            lock.clear_poison();
            assert_eq!(*lock.read().unwrap(), 1);
        }
    });
}

#[test]
fn a_destructor_may_write_and_poisons_nothing() {
    run(|| {
        let lock = Arc::new(RwLock::new(1));
        let task = spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _guard = on_drop(move || *lock.write().unwrap() += 1);
                park();
            }
        });
        settle();
        task.kill();
        assert!(was_killed(task));
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn waiters_whose_threads_have_ended_keep_nobody_out() {
    run(|| {
        let (lock, log) = (Arc::new(RwLock::new(0)), Log::new());
        let guard = lock.write().unwrap();
        leak({
            let lock = Arc::clone(&lock);
            move || drop(lock.write())
        });
        leak({
            let lock = Arc::clone(&lock);
            move || drop(lock.read())
        });
        let next = reader(&lock, &log, "next");
        settle();
        drop(guard);
        next.join().unwrap();
        drop(lock.write().unwrap());
    });
}

#[test]
fn writers_exclude_everybody_in_every_world() {
    run(|| {
        let (lock, holders) = (Arc::new(RwLock::new(0)), Arc::new(AtomicI32::new(0)));
        let running: Vec<Running<()>> = (0..3)
            .flat_map(|_| WORLDS)
            .zip(0..)
            .map(|(world, own)| {
                let (lock, holders) = (Arc::clone(&lock), Arc::clone(&holders));
                let wait = move || match world {
                    World::Thread => os::yield_now(),
                    _ => yield_now(),
                };
                world.start(move || {
                    for round in 0..200 {
                        if (own + round) % 4 == 0 {
                            let mut guard = lock.write().unwrap();
                            assert_eq!(holders.fetch_sub(1, Ordering::Relaxed), 0);
                            wait();
                            *guard += 1;
                            assert_eq!(holders.fetch_add(1, Ordering::Relaxed), -1);
                        } else {
                            let _guard = lock.read().unwrap();
                            assert!(holders.fetch_add(1, Ordering::Relaxed) >= 0);
                            wait();
                            assert!(holders.fetch_sub(1, Ordering::Relaxed) > 0);
                        }
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert_eq!(*lock.read().unwrap(), 12 * 50);
        assert!(lock.try_write().is_ok());
    });
}
