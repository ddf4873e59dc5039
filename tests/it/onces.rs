//! `sync::{Once, OnceLock, LazyLock}`: std's cases (library/std/tests/sync/once.rs,
//! once_lock.rs, lazy_lock.rs), in every world, and what is shielded and refused.

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
use std::thread as os;
use std::time::Duration;

use corovent::Builder;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::LazyLock;
use corovent::sync::Once;
use corovent::sync::OnceLock;
use corovent::sync::OnceState;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::join_all;
use crate::worlds::settle;
use crate::worlds::until;
use crate::worlds::waiting_for;

const SHORT: Duration = Duration::from_millis(1);

/// The text of the panic that a closure ends with.
#[track_caller]
fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(f()))).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

fn pause(world: World) {
    match world {
        World::Thread => os::yield_now(),
        _ => yield_now(),
    }
}

#[test]
fn they_are_what_std_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Debug>() {}
    traits::<Once>();
    traits::<OnceLock<i32>>();
    traits::<LazyLock<i32>>();
    fn send<T: Send>() {}
    send::<OnceLock<Cell<i32>>>();
    send::<OnceState>();
    send::<LazyLock<Cell<i32>>>();
    let (own, std) = (Once::new(), std::sync::Once::new());
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    own.call_once_force(|own| {
        std.call_once_force(|std| assert_eq!(format!("{own:?}"), format!("{std:?}")));
    });
    #[expect(deprecated, reason = "it is std's")]
    static OLD: Once = corovent::sync::ONCE_INIT;
    assert!(!OLD.is_completed());
    let (own, std) = (OnceLock::new(), std::sync::OnceLock::new());
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    assert_eq!(own.set(1), std.set(1));
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    let (own, std) = (LazyLock::new(|| 1), std::sync::LazyLock::new(|| 1));
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
    assert_eq!(*own, *std);
    assert_eq!(format!("{own:?}"), format!("{std:?}"));
}

#[test]
fn it_runs_once_and_everybody_waits_for_it() {
    run(|| {
        static RUNS: AtomicUsize = AtomicUsize::new(0);

        let once = Arc::new(Once::new());
        let running: Vec<Running<()>> = (0..4)
            .flat_map(|_| WORLDS)
            .map(|world| {
                let once = Arc::clone(&once);
                world.start(move || {
                    once.call_once(|| {
                        (0..5).for_each(|_| pause(world));
                        RUNS.fetch_add(1, Ordering::Relaxed);
                    });
                    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
                })
            })
            .collect();
        running.into_iter().for_each(Running::join);
        assert!(once.is_completed());
        once.call_once(|| unreachable!());
        once.call_once_force(|_| unreachable!());
        once.wait();
    });
}

#[test]
fn a_panic_poisons_until_one_is_forced() {
    run(|| {
        for world in WORLDS {
            let once = Arc::new(Once::new());
            let failed = world.start({
                let once = Arc::clone(&once);
                move || once.call_once(|| panic!("the initialiser"))
            });
            assert!(failed.result().is_err());
            let poisoned = "Once instance has previously been poisoned";
            assert_eq!(panic_of(|| once.call_once(|| ())), poisoned);
            assert_eq!(panic_of(|| once.wait()), poisoned);
            assert!(
                catch_unwind(AssertUnwindSafe(|| {
                    once.call_once_force(|state| {
                        assert!(state.is_poisoned());
                        panic!("again");
                    });
                }))
                .is_err()
            );
            once.call_once_force(|state| assert!(state.is_poisoned()));
            once.call_once(|| unreachable!());
            once.wait();
        }
    });
}

/// One waits while another fails, and then does it itself.
#[test]
fn a_forced_run_waits_for_the_one_that_panics() {
    run(|| {
        let once = Arc::new(Once::new());
        let fails = spawn({
            let once = Arc::clone(&once);
            move || {
                once.call_once(|| {
                    (0..3).for_each(|_| yield_now());
                    panic!("the initialiser");
                });
            }
        });
        yield_now();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let once = Arc::clone(&once);
                spawn(move || {
                    let mut was_poisoned = None;
                    once.call_once_force(|state| was_poisoned = Some(state.is_poisoned()));
                    was_poisoned
                })
            })
            .collect();
        assert!(fails.join().is_err());
        let found: Vec<_> = tasks.into_iter().filter_map(|task| task.join().unwrap()).collect();
        assert_eq!(found, [true]);
    });
}

#[test]
fn waiting_for_it_ends_when_it_was_done_or_has_panicked() {
    run(|| {
        for world in WORLDS {
            let once = Arc::new(Once::new());
            let wait = |force: bool| {
                let once = Arc::clone(&once);
                world.start(move || if force { once.wait_force() } else { once.wait() })
            };
            let (waits, forces) = (wait(false), wait(true));
            settle();
            assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("it")))).is_err());
            assert!(waits.result().is_err(), "also if it came after the panic");
            once.call_once_force(|_| settle());
            forces.join();
        }
    });
}

#[test]
fn an_initialiser_is_shielded() {
    run(|| {
        static VALUE: LazyLock<i32> = LazyLock::new(|| {
            (0..3).for_each(|_| yield_now());
            7
        });
        let task = spawn(|| {
            assert_eq!(*VALUE, 7);
            yield_now();
            unreachable!("the next wait is the last");
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert_eq!(LazyLock::get(&VALUE), Some(&7), "it was run to its end");

        let cell = OnceLock::new();
        let slow = || {
            corovent::sleep(SHORT * 3);
            8
        };
        let result = timeout(SHORT, || {
            assert_eq!(*cell.get_or_init(slow), 8);
            yield_now();
        });
        assert!(result.is_err() && cell.get() == Some(&8));
        let mut lazy = LazyLock::new(slow);
        let result = timeout(SHORT, || {
            assert_eq!(*LazyLock::force_mut(&mut lazy), 8);
            yield_now();
        });
        assert!(result.is_err());
    });
}

#[test]
fn a_kill_ends_the_wait_for_another() {
    run(|| {
        let cell = Arc::new(OnceLock::new());
        let slow = spawn({
            let cell = Arc::clone(&cell);
            move || {
                cell.get_or_init(|| {
                    park();
                    1
                });
            }
        });
        yield_now();
        let killed = spawn({
            let cell = Arc::clone(&cell);
            move || *cell.get_or_init(|| 2)
        });
        let late = spawn({
            let cell = Arc::clone(&cell);
            move || timeout(SHORT, || *cell.wait()).is_err()
        });
        let waits = spawn({
            let cell = Arc::clone(&cell);
            move || *cell.wait()
        });
        settle();
        assert_eq!(waiting_for("initialisation"), 3);
        killed.kill();
        assert!(was_killed(killed));
        assert!(late.join().unwrap(), "an outer timeout is not lost");
        slow.thread().unpark();
        slow.join().unwrap();
        assert_eq!(waits.join().unwrap(), 1);
    });
}

#[test]
fn a_recursion_panics_and_names_the_coroutine() {
    fn recurse(once: &Once) -> String {
        let mut found = String::new();
        once.call_once_force(|_| {
            found = panic_of(|| once.call_once(|| ()));
            assert_eq!(panic_of(|| once.call_once_force(|_| ())), found);
            assert_eq!(panic_of(|| once.wait()), found);
            assert_eq!(panic_of(|| once.wait_force()), found);
        });
        found
    }

    run(|| {
        let builder = Builder::new().name("circular".to_owned());
        let task = builder.spawn(|| (corovent::current().id(), recurse(&Once::new()))).unwrap();
        let (id, text) = task.join().unwrap();
        assert!(text.contains("'circular'") && text.contains(&format!("{id:?}")), "{text}");
        for world in WORLDS {
            let text = world.start(|| recurse(&Once::new())).join();
            assert!(text.contains("initialis"), "{world:?}: {text}");
        }
        // A thread that gets a hub meanwhile is still itself.
        let text = os::spawn(|| {
            let once = Once::new();
            let mut found = String::new();
            once.call_once(|| {
                spawn(|| ()).join().unwrap();
                found = panic_of(|| once.call_once(|| ()));
            });
            found
        });
        assert!(text.join().unwrap().contains("initialis"));
    });
}

#[test]
fn a_recursion_by_way_of_another_cell_is_found() {
    static OUTER: LazyLock<i32> = LazyLock::new(|| *INNER.get_or_init(|| *OUTER + 1));
    static INNER: OnceLock<i32> = OnceLock::new();

    run(|| {
        let text = panic_of(|| assert_eq!(*OUTER, 0));
        assert!(text.contains("initialising already"), "{text}");
        assert_eq!(
            panic_of(|| assert_eq!(*OUTER, 0)),
            "LazyLock instance has previously been poisoned"
        );
        // The cell is as empty as before.
        assert_eq!(*INNER.get_or_init(|| 5), 5);
    });
}

/// Another coroutine is no recursion: it waits.
#[test]
fn one_that_the_initialiser_spawns_waits_for_it() {
    static VALUE: LazyLock<i32> = LazyLock::new(|| {
        spawn(|| SEEN.store(*VALUE == 3, Ordering::Relaxed));
        settle();
        assert_eq!(waiting_for("initialisation"), 1);
        3
    });
    static SEEN: AtomicBool = AtomicBool::new(false);

    run(|| {
        assert_eq!(*VALUE, 3);
        settle();
        assert!(SEEN.load(Ordering::Relaxed));
    });
}

#[test]
fn one_that_is_initialised_on_one_hub_is_waited_for_on_others() {
    static VALUE: LazyLock<i32> = LazyLock::new(|| {
        BEGUN.store(true, Ordering::Release);
        until(|| GO_ON.load(Ordering::Acquire));
        4
    });
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static GO_ON: AtomicBool = AtomicBool::new(false);

    run(|| {
        let first = World::OtherHub.start(|| *VALUE);
        until(|| BEGUN.load(Ordering::Acquire));
        let others: Vec<Running<i32>> =
            WORLDS.into_iter().map(|world| world.start(|| *VALUE)).collect();
        settle();
        assert_eq!(waiting_for("initialisation"), 1);
        GO_ON.store(true, Ordering::Release);
        assert_eq!(first.join(), 4);
        others.into_iter().for_each(|other| assert_eq!(other.join(), 4));
    });
}

#[test]
fn a_cell_is_written_once() {
    run(|| {
        for world in WORLDS {
            let cell = Arc::new(OnceLock::new());
            assert!(cell.get().is_none());
            world
                .start({
                    let cell = Arc::clone(&cell);
                    move || {
                        assert_eq!(*cell.get_or_init(|| 92), 92);
                        assert_eq!(cell.set(1), Err(1));
                    }
                })
                .join();
            assert_eq!(*cell.get_or_init(|| unreachable!()), 92);
            let mut cell = Arc::into_inner(cell).unwrap();
            *cell.get_mut().unwrap() = 5;
            assert_eq!(cell.take(), Some(5));
            assert_eq!((cell.take(), cell.get_mut()), (None, None));
            cell.set(6).unwrap();
            assert_eq!(cell.clone(), OnceLock::from(6));
            assert_ne!(cell, OnceLock::new());
            assert_eq!(OnceLock::<i32>::default(), OnceLock::new().clone());
            assert_eq!(cell.into_inner(), Some(6));
        }
    });
}

#[test]
fn a_cell_whose_initialiser_panics_stays_empty() {
    run(|| {
        let cell = OnceLock::new();
        assert_eq!(panic_of(|| *cell.get_or_init(|| -> i32 { panic!("first") })), "first");
        assert_eq!(cell.get(), None);
        assert_eq!(cell.clone(), OnceLock::new());
        assert_eq!(cell.get_or_init(|| 2), &2);
    });
}

#[test]
fn values_are_dropped_once() {
    let drops = Rc::new(Cell::new(0));
    let counted = || {
        let drops = Rc::clone(&drops);
        on_drop(move || drops.set(drops.get() + 1))
    };
    let cell = OnceLock::new();
    assert!(cell.set(counted()).is_ok());
    let refused = cell.set(counted());
    assert_eq!(drops.get(), 0);
    drop(refused);
    assert_eq!(drops.get(), 1);
    drop(cell);
    assert_eq!(drops.get(), 2);
    let lazy = LazyLock::new(counted);
    LazyLock::force(&lazy);
    drop(lazy);
    assert_eq!(drops.get(), 3);
    // The captures of an initialiser that never ran, and of one that has panicked.
    let capture = counted();
    drop(LazyLock::new(move || drop(capture)));
    assert_eq!(drops.get(), 4);
    let capture = counted();
    let failed = LazyLock::new(move || {
        let _capture = &capture;
        panic!("the initialiser")
    });
    assert_eq!(panic_of(|| *failed), "the initialiser");
    drop(failed);
    assert_eq!(drops.get(), 5);
}

/// What is in the cell may go before the cell (library/std's dropck).
#[test]
fn a_cell_may_outlive_what_its_value_refers_to() {
    let cell = OnceLock::new();
    {
        let text = String::new();
        cell.set(&text).unwrap();
    }
}

#[test]
fn a_lazy_value_is_made_when_it_is_used() {
    run(|| {
        let made = AtomicUsize::new(0);
        let mut lazy = LazyLock::new(|| made.fetch_add(1, Ordering::Relaxed) + 10);
        assert_eq!((LazyLock::get(&lazy), made.load(Ordering::Relaxed)), (None, 0));
        assert_eq!(LazyLock::get_mut(&mut lazy), None);
        assert_eq!((*lazy, *lazy), (10, 10));
        *lazy += 1;
        *LazyLock::get_mut(&mut lazy).unwrap() += 1;
        *LazyLock::force_mut(&mut lazy) += 1;
        assert_eq!((*lazy, made.load(Ordering::Relaxed)), (13, 1));
        // It is made by one who has it to itself, too.
        let mut lazy = LazyLock::new(|| vec![1]);
        lazy.push(2);
        assert_eq!(*lazy, [1, 2]);
        assert_eq!(*LazyLock::<Vec<i32>>::default(), [0_i32; 0]);
    });
}

#[test]
fn a_lazy_value_that_has_panicked_is_poisoned() {
    let refused = "LazyLock instance has previously been poisoned";
    let mut shared: LazyLock<i32> = LazyLock::new(|| panic!("the initialiser"));
    assert_eq!(panic_of(|| *LazyLock::force(&shared)), "the initialiser");
    assert_eq!(panic_of(|| *LazyLock::force(&shared)), refused);
    assert_eq!(panic_of(|| *LazyLock::force_mut(&mut shared)), refused);
    assert_eq!(LazyLock::get(&shared), None);
    let mut own: LazyLock<i32> = LazyLock::new(|| panic!("the initialiser"));
    assert_eq!(panic_of(|| *own += 1), "the initialiser");
    assert_eq!(panic_of(|| *own += 1), refused);
    assert_eq!(panic_of(|| assert_eq!(*own, 0)), refused);
    let payload = catch_unwind(AssertUnwindSafe(|| *own)).unwrap_err();
    assert!(is_message(&*payload, refused));
}

#[test]
fn thousands_wait_for_one_initialiser() {
    run(|| {
        let cell = Arc::new(OnceLock::new());
        let tasks: Vec<_> = (0..5_000)
            .map(|own| {
                let cell = Arc::clone(&cell);
                spawn(move || {
                    let value = cell.get_or_init(|| {
                        yield_now();
                        own
                    });
                    assert_eq!(*value, 0);
                })
            })
            .collect();
        join_all(tasks);
    });
}
