//! `sync::Barrier`: std's cases (library/std/tests/sync/barrier.rs), in every world.

use std::fmt::Debug;
use std::hint::spin_loop;
use std::panic::AssertUnwindSafe;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::panic::catch_unwind;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::JoinHandle;
use corovent::debug;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::Barrier;
use corovent::sync::BarrierWaitResult;
use corovent::timeout;
use corovent::yield_now;

use crate::support::run;
use crate::support::was_killed;
use crate::worlds::Running;
use crate::worlds::WORLDS;
use crate::worlds::World;
use crate::worlds::leak;
use crate::worlds::settle;
use crate::worlds::waiting_for;

fn waiter(barrier: &Arc<Barrier>) -> JoinHandle<bool> {
    let barrier = Arc::clone(barrier);
    spawn(move || barrier.wait().is_leader())
}

fn leaders(tasks: impl IntoIterator<Item = JoinHandle<bool>>) -> usize {
    tasks.into_iter().map(|task| usize::from(task.join().unwrap())).sum()
}

#[test]
fn it_is_what_std_is() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Unpin + Debug>() {}
    traits::<Barrier>();
    traits::<BarrierWaitResult>();
    static BARRIER: Barrier = Barrier::new(1);
    let result = BARRIER.wait();
    assert!(result.is_leader());
    assert_eq!(format!("{result:?}"), "BarrierWaitResult { is_leader: true }");
    assert_eq!(format!("{BARRIER:?}"), format!("{:?}", std::sync::Barrier::new(1)));
    assert!(Barrier::new(0).wait().is_leader());
}

#[test]
fn the_last_one_leads_and_does_not_wait() {
    run(|| {
        let barrier = Arc::new(Barrier::new(4));
        let tasks: Vec<_> = (0..3).map(|_| waiter(&barrier)).collect();
        settle();
        assert_eq!(waiting_for("barrier"), 3);
        assert!(barrier.wait().is_leader());
        assert!(tasks.iter().all(|task| !task.is_finished()), "nobody has run meanwhile");
        assert_eq!(leaders(tasks), 0);
    });
}

#[test]
fn it_is_used_again_in_every_world() {
    run(|| {
        const ROUNDS: usize = 50;
        let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
        let barrier = Arc::new(Barrier::new(places.len()));
        let running: Vec<Running<usize>> = places
            .into_iter()
            .map(|world| {
                let barrier = Arc::clone(&barrier);
                world.start(move || (0..ROUNDS).filter(|_| barrier.wait().is_leader()).count())
            })
            .collect();
        let leaders: usize = running.into_iter().map(Running::join).sum();
        assert_eq!(leaders, ROUNDS, "one for each round");
    });
}

#[test]
fn one_that_is_killed_has_not_arrived() {
    run(|| {
        let barrier = Arc::new(Barrier::new(3));
        let killed = waiter(&barrier);
        let late = spawn({
            let barrier = Arc::clone(&barrier);
            move || timeout(Duration::from_millis(1), || barrier.wait().is_leader()).is_err()
        });
        settle();
        killed.kill();
        assert!(was_killed(killed));
        assert!(late.join().unwrap(), "an outer timeout is not lost");
        let tasks = [waiter(&barrier), waiter(&barrier)];
        settle();
        assert_eq!(waiting_for("barrier"), 2, "one is missing still");
        assert!(barrier.wait().is_leader());
        assert_eq!(leaders(tasks), 0);
    });
}

/// The kill is asked for, and the last one comes before the killed one has run.
#[test]
fn one_whose_kill_comes_with_the_last_has_arrived() {
    run(|| {
        let barrier = Arc::new(Barrier::new(2));
        let task = spawn({
            let barrier = Arc::clone(&barrier);
            move || {
                assert!(!barrier.wait().is_leader());
                yield_now();
                unreachable!("the next wait is the last");
            }
        });
        settle();
        task.kill();
        assert!(barrier.wait().is_leader());
        assert!(was_killed(task));
        // The next round begins anew.
        let other = waiter(&barrier);
        settle();
        assert_eq!(waiting_for("barrier"), 1);
        assert!(barrier.wait().is_leader());
        assert!(!other.join().unwrap());
    });
}

#[test]
fn one_whose_thread_has_ended_counts_as_arrived() {
    run(|| {
        let barrier = Arc::new(Barrier::new(3));
        leak({
            let barrier = Arc::clone(&barrier);
            move || assert!(!barrier.wait().is_leader())
        });
        let task = waiter(&barrier);
        settle();
        assert!(barrier.wait().is_leader());
        assert!(!task.join().unwrap());
    });
}

/// The last one arrives from another thread while a deadlock is reported. Either that is
/// thrown, and the root has not arrived; or it is no deadlock, and is not thrown later.
#[test]
fn an_arrival_takes_a_deadlock_back() {
    for round in 0..20 {
        let barrier = Arc::new(Barrier::new(2));
        let is_waiting = AtomicBool::new(false);
        os::scope(|scope| {
            scope.spawn(|| {
                while !is_waiting.load(Ordering::Relaxed) {
                    spin_loop();
                }
                let waits = Instant::now();
                while waits.elapsed() < Duration::from_micros(100) * round {}
                barrier.wait();
            });
            scope.spawn(|| {
                corovent::run(|| {
                    // It takes a while to report these.
                    (0..100).for_each(|_| drop(spawn(corovent::thread::park)));
                    yield_now();
                    debug::deadlock(debug::Scope::Hub);
                    is_waiting.store(true, Ordering::Relaxed);
                    let wait = || barrier.wait().is_leader();
                    let met = catch_unwind(AssertUnwindSafe(wait));
                    debug::deadlock(debug::Scope::Off);
                    let stale = catch_unwind(yield_now);
                    if met.is_err() {
                        barrier.wait();
                    }
                    assert!(stale.is_ok(), "round {round}: {met:?}");
                });
            });
        });
    }
}
