//! `sync::Semaphore`, `sync::BoundedSemaphore`: gevent's cases (src/gevent/tests/
//! test__semaphore.py and lock_tests.py), in every world; that permits are given in order, and
//! that none is lost with one that leaves.

use std::cell::Cell;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::BoundedSemaphore;
use corovent::sync::OwnedSemaphorePermit;
use corovent::sync::Semaphore;
use corovent::sync::SemaphorePermit;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::assert_kept;
use crate::worlds::join_all;
use crate::worlds::leak;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// A coroutine that takes so many permits and keeps them.
fn taker(semaphore: &Arc<Semaphore>, log: &Log, word: &'static str, count: u32) -> JoinHandle<()> {
    let (semaphore, log) = (Arc::clone(semaphore), log.clone());
    spawn(move || {
        semaphore.acquire_many(count).forget();
        log.add(word);
    })
}

#[test]
fn it_is_shared_by_all() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Debug>() {}
    traits::<Semaphore>();
    traits::<BoundedSemaphore>();
    traits::<SemaphorePermit<'static>>();
    traits::<OwnedSemaphorePermit>();
    static ROOM: Semaphore = Semaphore::new(2);
    static BOUNDED: BoundedSemaphore = BoundedSemaphore::new(2);
    let permit = ROOM.acquire();
    assert_eq!(format!("{ROOM:?}"), "Semaphore { available_permits: 1, .. }");
    assert_eq!(format!("{permit:?}"), "SemaphorePermit { count: 1, .. }");
    let _permit = BOUNDED.try_acquire();
    let text = "BoundedSemaphore { available_permits: 1, bound: 2, .. }";
    assert_eq!(format!("{BOUNDED:?}"), text);
    assert_eq!(size_of::<Semaphore>(), 48);
}

#[test]
fn permits_are_counted() {
    let room = Semaphore::new(3);
    let one = room.acquire();
    let two = room.try_acquire_many(2).unwrap();
    assert_eq!((one.count(), two.count(), room.available_permits()), (1, 2, 0));
    assert!(room.try_acquire().is_none());
    assert!(room.acquire_timeout(SHORT).is_none());
    assert_eq!(room.acquire_many(0).count(), 0, "nothing needs no wait");
    drop(two);
    assert!(room.try_acquire_many(3).is_none());
    assert_eq!(room.available_permits(), 2);
    // A permit is nobody's: another thread gives it back.
    os::scope(|scope| scope.spawn(move || drop(one)).join().unwrap());
    assert_eq!(room.available_permits(), 3);
    room.acquire().forget();
    room.release();
    room.add_permits(2);
    assert_eq!(room.available_permits(), 5);
}

#[test]
fn too_many_permits_are_refused() {
    const MOST: usize = usize::MAX / 8;
    const TEXT: &str = "a semaphore has at most usize::MAX / 8 permits";
    let refused = |f: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        assert!(is_message(&*payload, TEXT));
    };
    refused(&|| drop(Semaphore::new(MOST + 1)));
    refused(&|| drop(BoundedSemaphore::new(MOST + 1)));
    let full = Semaphore::new(MOST);
    refused(&|| full.release());
    refused(&|| full.add_permits(usize::MAX));
    full.acquire().forget();
    full.release();
    assert_eq!(full.available_permits(), MOST);
}

#[test]
fn a_bounded_one_takes_no_permit_that_nobody_held() {
    run(|| {
        let room = Arc::new(BoundedSemaphore::new(2));
        let release = || catch_unwind(AssertUnwindSafe(|| room.release()));
        let refused = |payload: Box<dyn std::any::Any + Send>| {
            assert!(is_message(&*payload, "a permit was released that nobody held"));
        };
        refused(release().unwrap_err());
        let permits = (room.acquire(), room.acquire_timeout(SHORT).unwrap());
        assert!(room.try_acquire().is_none() && room.acquire_timeout(SHORT).is_none());
        release().unwrap();
        release().unwrap();
        refused(release().unwrap_err());
        // What these hold was given back by others already.
        drop(permits);
        assert_eq!(room.available_permits(), 2);
        let task = spawn({
            let room = Arc::clone(&room);
            move || (room.acquire().forget(), room.acquire().forget(), room.acquire().forget())
        });
        until_quiet();
        assert_eq!(waiting_for("permit"), 1);
        room.release();
        task.join().unwrap();
    });
}

/// gevent's issue 1487.
#[test]
fn permits_are_given_in_the_order_in_which_they_were_asked_for() {
    run(|| {
        let (room, log) = (Arc::new(Semaphore::new(0)), Log::new());
        let tasks = ["a", "b", "c", "d"].map(|word| taker(&room, &log, word, 1));
        until_quiet();
        assert_eq!(waiting_for("permit"), 4);
        room.release();
        assert_eq!(log.text(), "", "waking only enqueues");
        until_quiet();
        assert_eq!(log.text(), "a");
        room.add_permits(2);
        until_quiet();
        assert_eq!((log.text().as_str(), room.available_permits()), ("a b c", 0));
        room.release();
        join_all(tasks);
        assert_eq!(log.text(), "a b c d");
    });
}

/// In gevent who releases and acquires at once gets the permit again, and the others starve.
#[test]
fn nobody_is_overtaken() {
    run(|| {
        let (room, log) = (Arc::new(Semaphore::new(1)), Log::new());
        let tasks: Vec<_> = ["a", "b", "c"]
            .map(|word| {
                let (room, log) = (Arc::clone(&room), log.clone());
                spawn(move || {
                    for _ in 0..3 {
                        let permit = room.acquire();
                        log.add(word);
                        yield_now();
                        drop(permit);
                    }
                })
            })
            .into();
        join_all(tasks);
        assert_eq!(log.text(), "a b c a b c a b c");
        // A permit that was given back is promised to who waits.
        assert_kept(|| {
            let permit = room.acquire();
            let task = taker(&room, &log, "next", 1);
            until_quiet();
            drop(permit);
            assert_eq!(room.available_permits(), 1);
            let is_kept = room.try_acquire().is_none();
            let is_behind = timeout(SHORT, || drop(room.acquire())).is_err();
            task.join().unwrap();
            assert_eq!(room.available_permits(), 0);
            room.release();
            is_kept && is_behind
        });
        assert!(room.try_acquire().is_some());
    });
}

#[test]
fn one_that_wants_many_is_not_passed_by() {
    run(|| {
        let (room, log) = (Arc::new(Semaphore::new(2)), Log::new());
        let many = taker(&room, &log, "many", 3);
        let few = taker(&room, &log, "few", 1);
        until_quiet();
        assert!(room.try_acquire().is_none(), "two are free, and there is a line");
        assert_eq!((log.text().as_str(), waiting_for("permit")), ("", 2));
        room.release();
        many.join().unwrap();
        until_quiet();
        assert_eq!((log.text().as_str(), room.available_permits()), ("many", 0));
        room.release();
        few.join().unwrap();
        // It leaves, and those behind it go on.
        room.add_permits(2);
        let late = spawn({
            let room = Arc::clone(&room);
            move || timeout(SHORT, || room.acquire_many(3).forget())
        });
        let behind = ["a", "b"].map(|word| taker(&room, &log, word, 1));
        until_quiet();
        assert_eq!(waiting_for("permit"), 3);
        assert_eq!(late.join().unwrap(), Err(Elapsed));
        join_all(behind);
        assert_eq!(room.available_permits(), 0);
    });
}

#[test]
fn an_owned_permit_goes_with_the_work() {
    run(|| {
        let room = Arc::new(Semaphore::new(2));
        let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let permit = room.acquire_owned();
                let (inside, most) = (Rc::clone(&inside), Rc::clone(&most));
                spawn(move || {
                    assert_eq!(permit.count(), 1);
                    inside.set(inside.get() + 1);
                    most.set(most.get().max(inside.get()));
                    yield_now();
                    inside.set(inside.get() - 1);
                    drop(permit);
                })
            })
            .collect();
        join_all(tasks);
        assert_eq!((most.get(), room.available_permits()), (2, 2));
        let permits = (room.try_acquire_owned().unwrap(), room.acquire_owned_timeout(SHORT));
        assert!(room.try_acquire_owned().is_none());
        assert!(room.acquire_owned_timeout(SHORT).is_none());
        assert!(Arc::ptr_eq(permits.0.semaphore(), &room));
        assert_eq!(Arc::strong_count(&room), 3);
        permits.0.forget();
        drop(permits.1);
        assert_eq!((Arc::strong_count(&room), room.available_permits()), (1, 1));
        // One that is never run gives its permit back.
        let permit = room.acquire_owned();
        let task = spawn(move || drop(permit));
        task.kill();
        assert!(was_killed(task));
        assert_eq!(room.available_permits(), 1);
    });
}

#[test]
fn a_kill_and_a_timeout_take_no_permit() {
    run(|| {
        let (room, log) = (Arc::new(Semaphore::new(0)), Log::new());
        let killed = taker(&room, &log, "killed", 1);
        let late = spawn({
            let room = Arc::clone(&room);
            move || room.acquire_timeout(SHORT).is_some()
        });
        let later = spawn({
            let room = Arc::clone(&room);
            move || timeout(SHORT, || room.acquire_timeout(LONG).is_some())
        });
        let last = taker(&room, &log, "last", 1);
        until_quiet();
        killed.kill();
        assert!(was_killed(killed));
        assert!(!late.join().unwrap());
        assert_eq!(later.join().unwrap(), Err(Elapsed));
        assert_eq!(room.available_permits(), 0);
        room.release();
        last.join().unwrap();
        assert_eq!((log.text().as_str(), room.available_permits()), ("last", 0));
    });
}

#[test]
fn one_that_was_called_and_is_killed_passes_its_permit_on() {
    run(|| {
        for is_killed_first in [false, true] {
            let (room, log) = (Arc::new(Semaphore::new(0)), Log::new());
            let killed = taker(&room, &log, "killed", 2);
            let next = ["a", "b"].map(|word| taker(&room, &log, word, 1));
            until_quiet();
            if is_killed_first {
                killed.kill();
                room.add_permits(2);
                assert!(was_killed(killed));
                join_all(next);
                assert_eq!(log.text(), "a b");
            } else {
                room.add_permits(2);
                killed.kill();
                // It was satisfied first.
                killed.join().unwrap();
                assert_eq!(log.text(), "killed");
                room.add_permits(2);
                join_all(next);
            }
            assert_eq!(room.available_permits(), 0);
        }
    });
}

#[test]
fn a_permit_goes_back_however_its_holder_ends() {
    run(|| {
        let room = Arc::new(Semaphore::new(1));
        let holder = |dies: bool| {
            let room = Arc::clone(&room);
            spawn(move || {
                let _permit = room.acquire();
                corovent::thread::park();
                if dies {
                    std::panic::resume_unwind(Box::new("a panic that is not printed"));
                }
            })
        };
        let (killed, dies) = (holder(false), holder(true));
        until_quiet();
        killed.kill();
        assert!(was_killed(killed));
        until_quiet();
        assert!(room.try_acquire().is_none(), "the next has it");
        dies.thread().unpark();
        dies.join().unwrap_err();
        assert_eq!(room.available_permits(), 1);
    });
}

#[test]
fn a_wait_with_a_limit_is_never_short() {
    run(|| {
        for world in WORLDS {
            let limited = || {
                let (room, start) = (Semaphore::new(0), Instant::now());
                assert!(room.acquire_timeout(SHORT).is_none());
                assert!(start.elapsed() >= SHORT);
            };
            world.start(limited).join();
        }
    });
}

#[test]
fn those_whose_thread_has_ended_are_passed_over() {
    run(|| {
        let (room, log) = (Arc::new(Semaphore::new(0)), Log::new());
        let lost = Arc::clone(&room);
        leak(move || lost.acquire_many(2).forget());
        let next = taker(&room, &log, "next", 1);
        until_quiet();
        room.add_permits(2);
        next.join().unwrap();
        assert_eq!(room.available_permits(), 1);
        // Alone in line.
        let lost = Arc::clone(&room);
        leak(move || lost.acquire_many(2).forget());
        room.release();
        assert!(room.try_acquire_many(2).is_some());
    });
}

/// A thread with a waiter that was called, and that ends without having run it, when the sender
/// is used.
fn lose_the_called(room: &Arc<Semaphore>) -> (mpsc::Sender<()>, os::JoinHandle<()>) {
    let (end, ends) = mpsc::channel();
    let (done, dones) = mpsc::channel();
    let thread = os::spawn({
        let room = Arc::clone(room);
        move || {
            spawn(move || room.acquire().forget());
            until_quiet();
            assert_eq!(waiting_for("permit"), 1);
            done.send(()).unwrap();
            // From here on the hub does not run any more.
            ends.recv().unwrap();
        }
    });
    dones.recv().unwrap();
    room.release();
    (end, thread)
}

#[test]
fn a_promise_to_one_whose_thread_has_ended_is_void() {
    run(|| {
        for world in WORLDS {
            let room = Arc::new(Semaphore::new(0));
            let take = || {
                let room = Arc::clone(&room);
                move || room.acquire().forget()
            };
            let (end, thread) = lose_the_called(&room);
            // Two come before the thread ends, one of which has to wait on.
            let before = world.start(take());
            until_quiet();
            let behind = taker(&room, &Log::new(), "behind", 1);
            until_quiet();
            end.send(()).unwrap();
            thread.join().unwrap();
            room.release();
            before.join();
            behind.join().unwrap();
            assert_eq!(room.available_permits(), 0);
            // One comes after.
            let (end, thread) = lose_the_called(&room);
            end.send(()).unwrap();
            thread.join().unwrap();
            world.start(take()).join();
            assert_eq!(room.available_permits(), 0);
        }
    });
}

/// gevent's issue 2013: a thread without a hub releases, and a coroutine waits; and so on.
#[test]
fn a_holder_in_one_world_lets_a_waiter_in_another_in() {
    run(|| {
        for holder in WORLDS {
            for waiter in WORLDS {
                let room = Arc::new(Semaphore::new(0));
                let (give, take) = (Arc::clone(&room), Arc::clone(&room));
                let waits = waiter.start(move || drop(take.acquire()));
                let gives = holder.start(move || give.release());
                gives.join();
                waits.join();
                assert_eq!(room.available_permits(), 1);
            }
        }
    });
}

#[test]
fn a_deadlock_names_the_permit_and_the_hub_goes_on() {
    run(|| {
        corovent::run(|| {
            debug::deadlock(debug::Scope::Hub);
            let room = Semaphore::new(0);
            let payload = catch_unwind(AssertUnwindSafe(|| room.acquire().forget())).unwrap_err();
            let report = payload.downcast::<corovent::Deadlock>().unwrap().to_string();
            assert!(report.contains("permit"), "{report}");
            room.release();
            room.acquire().forget();
            debug::deadlock(debug::Scope::Off);
        });
    });
}

/// At most so many are inside, of all worlds together, and in the end all permits are there.
#[test]
fn it_bounds_every_world() {
    run(|| {
        const ROUNDS: usize = 300;
        const ROOM: usize = 3;
        let room = Arc::new(Semaphore::new(ROOM));
        let inside = Arc::new(AtomicUsize::new(0));
        let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
        let running: Vec<Running<()>> = places
            .into_iter()
            .enumerate()
            .map(|(own, world)| {
                let (room, inside) = (Arc::clone(&room), Arc::clone(&inside));
                world.start(move || {
                    for round in 0..ROUNDS {
                        let count = 1 + ((round + own) % ROOM) as u32;
                        let permit = room.acquire_many(count);
                        let others = inside.fetch_add(count as usize, Ordering::Relaxed);
                        assert!(others + count as usize <= ROOM);
                        if world == World::Thread {
                            os::yield_now();
                        } else {
                            yield_now();
                        }
                        inside.fetch_sub(count as usize, Ordering::Relaxed);
                        drop(permit);
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert_eq!(room.available_permits(), ROOM);
    });
}

/// Waiters come, are killed and time out, while others in all worlds take permits.
#[test]
fn no_permit_is_lost_among_waiters_that_leave() {
    run(|| {
        let room = Arc::new(Semaphore::new(2));
        let stop = Arc::new(AtomicBool::new(false));
        let others: Vec<Running<()>> = [World::Coroutine, World::OtherHub, World::Thread]
            .map(|world| {
                let (room, stop) = (Arc::clone(&room), Arc::clone(&stop));
                world.start(move || {
                    let mut round = 0;
                    while !stop.load(Ordering::Relaxed) {
                        round += 1;
                        let limit = Duration::from_micros(round % 50);
                        let permit = room.acquire_timeout(limit);
                        match world {
                            World::Thread => os::yield_now(),
                            _ => yield_now(),
                        }
                        drop(permit);
                    }
                })
            })
            .into();
        for round in 0..200u64 {
            let permit = room.acquire_many(2);
            let tasks: Vec<_> = (0..6u64)
                .map(|own| {
                    let room = Arc::clone(&room);
                    let limit = Duration::from_micros((own * 37 + round * 11) % 200);
                    let count = 1 + (own % 2) as u32;
                    spawn(move || timeout(limit, || drop(room.acquire_many(count))).is_ok())
                })
                .collect();
            yield_now();
            drop(permit);
            tasks[(round % 6) as usize].kill();
            for task in tasks {
                let _ = task.join();
            }
        }
        stop.store(true, Ordering::Relaxed);
        others.into_iter().for_each(Running::join);
        assert_eq!(room.available_permits(), 2);
        assert!(room.try_acquire_many(2).is_some());
    });
}

/// One that holds no permit and only tries gets its turn by and by (gevent's issue 1464).
#[test]
fn a_spinning_try_acquire_gets_its_turn() {
    run(|| {
        let room = Arc::new(Semaphore::new(1));
        let permit = room.acquire();
        let task = spawn({
            let room = Arc::clone(&room);
            move || {
                let mut tries = 0;
                while room.try_acquire().is_none() {
                    tries += 1;
                    yield_now();
                }
                tries
            }
        });
        yield_now();
        sleep(SHORT);
        drop(permit);
        assert!(task.join().unwrap() > 0);
    });
}
