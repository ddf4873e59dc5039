//! `sync::ReentrantMutex`: the cases of std's `ReentrantLock` (library/std/tests/sync/
//! reentrant_lock.rs) and of gevent's `RLock`, in every world: who is its owner.

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt::Debug;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::ReentrantMutex;
use corovent::sync::ReentrantMutexGuard;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::leak;
use crate::worlds::settle;
use crate::worlds::until;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

fn is_free(lock: &ReentrantMutex<impl Send>) -> bool {
    // By one who cannot hold it.
    os::scope(|scope| scope.spawn(|| lock.try_lock().is_some()).join().unwrap_or(false))
}

#[test]
fn it_is_what_stds_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Default + Debug>() {}
    traits::<ReentrantMutex<u32>>();
    fn shared<T: Send + Sync>() {}
    // One thread at a time reaches what is inside.
    shared::<ReentrantMutex<Cell<u32>>>();
    fn sync<T: Sync>() {}
    sync::<ReentrantMutexGuard<'static, u32>>();
    static LOCK: ReentrantMutex<u32> = ReentrantMutex::new(7);
    assert_eq!(format!("{LOCK:?}"), "ReentrantMutex { data: 7, .. }");
    let guard = LOCK.lock();
    assert_eq!(format!("{guard:?} {guard} {LOCK:?}"), "7 7 ReentrantMutex { data: 7, .. }");
    let text = os::spawn(|| format!("{LOCK:?}")).join().unwrap();
    assert_eq!(text, "ReentrantMutex { data: <locked>, .. }");
    drop(guard);
    let mut lock = ReentrantMutex::from(1);
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 2);
    let unsized_one: &ReentrantMutex<[u32]> = &ReentrantMutex::new([1, 2]);
    assert_eq!(*unsized_one.lock(), [1, 2]);
}

#[test]
fn its_holder_takes_it_again_in_every_world() {
    run(|| {
        for world in WORLDS {
            let body = || {
                let lock = ReentrantMutex::new(RefCell::new(0));
                let outer = lock.lock();
                let inner = lock.try_lock().unwrap();
                let third = lock.lock_timeout(Duration::ZERO).unwrap();
                *inner.borrow_mut() += 1;
                // In another order than that in which they were taken.
                drop(outer);
                assert!(!is_free(&lock));
                drop(third);
                assert!(!is_free(&lock), "one is left");
                drop(inner);
                assert!(is_free(&lock));
                assert_eq!(lock.into_inner().into_inner(), 1);
            };
            world.start(body).join();
        }
    });
}

/// The owner is the coroutine, and not its thread.
#[test]
fn another_coroutine_of_the_thread_waits() {
    run(|| {
        let lock = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let root = lock.lock();
        let again = lock.lock();
        let has_tried = Rc::new(Cell::new(false));
        let task = spawn({
            let (lock, has_tried) = (Arc::clone(&lock), Rc::clone(&has_tried));
            move || {
                assert!(lock.try_lock().is_none());
                assert!(lock.lock_timeout(SHORT).is_none());
                assert!(timeout(SHORT, || lock.lock().get()) == Err(Elapsed));
                has_tried.set(true);
                let held = (lock.lock(), lock.lock());
                yield_now();
                held.0.set(held.1.get() + 1);
            }
        });
        until(|| has_tried.get());
        assert_eq!(waiting_for("lock"), 1);
        drop(root);
        settle();
        assert_eq!(lock.lock().get(), 0, "the root has it still, and again");
        drop(again);
        yield_now();
        assert!(lock.try_lock().is_none(), "now the coroutine has it");
        task.join().unwrap();
        assert_eq!(lock.lock().get(), 1);
    });
}

/// On the root it belongs to the thread, whether that has a hub yet or not.
#[test]
fn what_a_thread_locks_before_it_has_a_hub_is_its_roots() {
    run(|| {
        let thread = os::spawn(|| {
            let lock = Arc::new(ReentrantMutex::new(Cell::new(0)));
            let before = lock.lock();
            let task = spawn({
                let lock = Arc::clone(&lock);
                move || lock.lock().set(1)
            });
            settle();
            lock.lock().set(5);
            assert!(!task.is_finished());
            drop(before);
            task.join().unwrap();
            assert_eq!(lock.lock().get(), 1);
        });
        thread.join().unwrap();
    });
}

#[test]
fn a_kill_gives_it_up_however_often_it_was_taken() {
    run(|| {
        let lock = Arc::new(ReentrantMutex::new(()));
        let task = spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _guards = (lock.lock(), lock.lock(), lock.lock());
                let _last = on_drop(|| assert!(lock.try_lock().is_some(), "it holds it still"));
                park();
            }
        });
        let next = spawn({
            let lock = Arc::clone(&lock);
            move || drop(lock.lock())
        });
        settle();
        task.kill();
        assert!(was_killed(task));
        next.join().unwrap();
        assert!(is_free(&lock), "and it is not poisoned");
    });
}

/// One whose guard was forgotten holds it for ever: nobody else is ever taken for it.
#[test]
fn a_forgotten_guard_is_nobody_elses() {
    run(|| {
        let lock = Arc::new(ReentrantMutex::new(()));
        let forget = |lock: &Arc<ReentrantMutex<()>>| {
            let lock = Arc::clone(lock);
            move || mem::forget(lock.lock())
        };
        spawn(forget(&lock)).join().unwrap();
        // Many that may get the same place in the hub's table.
        for _ in 0..1000 {
            let lock = Arc::clone(&lock);
            spawn(move || assert!(lock.try_lock().is_none())).join().unwrap();
        }
        assert!(!is_free(&lock));

        let of_a_thread = Arc::new(ReentrantMutex::new(()));
        os::spawn(forget(&of_a_thread)).join().unwrap();
        for world in WORLDS {
            let lock = Arc::clone(&of_a_thread);
            world.start(move || assert!(lock.try_lock().is_none())).join();
        }
    });
}

#[test]
fn it_stays_locked_when_its_holders_thread_ends() {
    run(|| {
        let lock = Arc::new(ReentrantMutex::new(()));
        let held = Arc::clone(&lock);
        leak(move || {
            let _guard = held.lock();
            park();
        });
        assert!(!is_free(&lock));
        let lost = Arc::new(ReentrantMutex::new(()));
        let guard = lost.lock();
        let waits = Arc::clone(&lost);
        leak(move || drop(waits.lock()));
        drop(guard);
        assert!(is_free(&lost), "one that waited there is passed over");
    });
}

/// What a thread holds it has in its thread-locals' destructors too, when its hub is gone; its
/// coroutines' locks it has not.
#[test]
fn a_thread_is_the_same_one_to_its_very_end() {
    struct AtTheEnd(&'static ReentrantMutex<()>, Option<ReentrantMutexGuard<'static, ()>>);

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let again = self.0.try_lock();
            TALK.lock().unwrap().push((self.1.is_some(), again.is_some()));
            self.1.take();
        }
    }

    thread_local! {
        static FIRST: RefCell<Vec<AtTheEnd>> = const { RefCell::new(Vec::new()) };
    }
    static TALK: Mutex<Vec<(bool, bool)>> = Mutex::new(Vec::new());
    static OWN: ReentrantMutex<()> = ReentrantMutex::new(());
    static OF_ITS_HUB: ReentrantMutex<()> = ReentrantMutex::new(());
    static OF_A_COROUTINE: ReentrantMutex<()> = ReentrantMutex::new(());

    os::spawn(|| {
        // Dropped after the hub has ended, which is made later.
        FIRST.with_borrow_mut(|first| first.push(AtTheEnd(&OWN, Some(OWN.lock()))));
        spawn(|| mem::forget(OF_A_COROUTINE.lock())).join().unwrap();
        FIRST.with_borrow_mut(|first| {
            first.push(AtTheEnd(&OF_ITS_HUB, Some(OF_ITS_HUB.lock())));
            first.push(AtTheEnd(&OF_A_COROUTINE, None));
        });
    })
    .join()
    .unwrap();
    assert_eq!(*TALK.lock().unwrap(), [(true, true), (true, true), (false, false)]);
    assert!(is_free(&OWN) && is_free(&OF_ITS_HUB) && !is_free(&OF_A_COROUTINE));
}

#[test]
fn a_wait_with_a_limit_is_never_short() {
    run(|| {
        let lock = Arc::new(ReentrantMutex::new(()));
        let (release, is_released) = mpsc::channel::<()>();
        let (has_it, it_has_it) = mpsc::channel();
        let holder = os::spawn({
            let lock = Arc::clone(&lock);
            move || {
                let _guard = lock.lock();
                has_it.send(()).unwrap();
                let _ = is_released.recv();
            }
        });
        it_has_it.recv().unwrap();
        for world in WORLDS {
            let lock = Arc::clone(&lock);
            let limited = move || {
                let start = Instant::now();
                assert!(lock.lock_timeout(SHORT).is_none());
                assert!(start.elapsed() >= SHORT);
            };
            world.start(limited).join();
        }
        drop(release);
        assert!(lock.lock_timeout(LONG).is_some());
        holder.join().unwrap();
    });
}

/// Depths of all kinds, in every world at once: who is inside is alone.
#[test]
fn it_excludes_in_every_world() {
    run(|| {
        const ROUNDS: usize = 300;
        let lock = Arc::new(ReentrantMutex::new((Cell::new(0_usize), Cell::new(0_usize))));
        let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
        let count = places.len();
        let running: Vec<Running<()>> = places
            .into_iter()
            .enumerate()
            .map(|(own, world)| {
                let lock = Arc::clone(&lock);
                world.start(move || {
                    for round in 0..ROUNDS {
                        let outer = match (round + own) % 3 {
                            0 => lock.lock_timeout(LONG).unwrap(),
                            _ => lock.lock(),
                        };
                        outer.0.set(own);
                        deepen(&lock, round % 4);
                        if round % 16 == 0 {
                            // A wait inside; on a thread without a hub that would make one.
                            let pause = lock.try_lock().unwrap();
                            if world != World::Thread {
                                yield_now();
                            }
                            drop(pause);
                        }
                        assert_eq!(outer.0.get(), own, "somebody else was inside");
                        outer.1.set(outer.1.get() + 1);
                    }
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert_eq!(lock.lock().1.get(), ROUNDS * count);
    });
}

fn deepen(lock: &ReentrantMutex<(Cell<usize>, Cell<usize>)>, depth: usize) {
    let _guard = lock.lock();
    if depth > 0 {
        deepen(lock, depth - 1);
    }
}
