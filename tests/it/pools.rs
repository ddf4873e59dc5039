//! Pools: never more at once than there are places.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::Outcome;
use corovent::debug;
use corovent::group::Full;
use corovent::group::Pool;
use corovent::group::join_all;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;
use proptest::prelude::*;

use crate::support::Log;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// Lets others run until no coroutine is left.
fn settle() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

#[test]
fn no_more_run_at_once_than_there_are_places() {
    run(|| {
        for limit in [1, 2, 7] {
            let (pool, inside) = (Pool::new(limit), Rc::new(Cell::new(0)));
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let inside = Rc::clone(&inside);
                    pool.spawn(move || {
                        inside.set(inside.get() + 1);
                        assert!(inside.get() <= limit);
                        (0..n % 5).for_each(|_| yield_now());
                        inside.set(inside.get() - 1);
                        n
                    })
                })
                .collect();
            assert!(pool.len() <= limit);
            let values: Vec<_> = join_all(tasks).into_iter().map(Result::unwrap).collect();
            assert_eq!(values, (0..100).collect::<Vec<_>>());
            pool.join();
            assert_eq!(pool.free_count(), limit);
        }
    });
}

#[test]
fn a_pool_without_places_is_refused() {
    assert!(catch_unwind(|| Pool::new(0)).is_err());
}

#[test]
fn a_full_pool_hands_the_closure_back() {
    run(|| {
        let pool = Pool::new(1);
        let task = pool.try_spawn(park).unwrap();
        assert!(pool.is_full() && pool.contains(&task) && !pool.is_empty());
        assert_eq!((pool.limit(), pool.len(), pool.free_count()), (1, 1, 0));
        let Err(Full(f)) = pool.try_spawn(|| 7) else { panic!("it is full") };
        assert_eq!(f(), 7);
        let Err(full) = pool.spawn_timeout(SHORT, || 8) else { panic!("it is full") };
        assert_eq!(full.to_string(), "the pool has no free place");
        assert_eq!((full.0)(), 8);
        task.thread().unpark();
        assert_eq!(pool.spawn_timeout(LONG, || 9).unwrap().join().unwrap(), 9);
        task.join().unwrap();
    });
}

/// gevent scenario 56.
#[test]
fn a_place_is_free_however_its_coroutine_has_ended() {
    run(|| {
        let pool = Pool::new(1);
        assert!(pool.spawn(|| panic!("as expected")).join().is_err());
        let unstarted = pool.spawn(|| unreachable!());
        assert!(unstarted.kill());
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
        assert!(was_killed(unstarted));
        let waiting = pool.spawn(park);
        until_quiet();
        assert!(waiting.kill());
        assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
        drop(waiting);
        assert_eq!(pool.free_count(), 1, "and no more than there were");
    });
}

#[test]
fn a_place_is_free_before_the_joiner_goes_on() {
    run(|| {
        let pool = Pool::new(1);
        for _ in 0..100 {
            pool.try_spawn(yield_now).unwrap().join().unwrap();
        }
    });
}

#[test]
fn a_place_is_free_before_closures_are_called() {
    /// Each takes the place of one that was killed before it ran.
    fn next(pool: &Pool, left: u32) {
        let Ok(task) = pool.try_spawn(|| unreachable!()) else { panic!("there is no place") };
        let own = pool.clone();
        task.on_exit(move |outcome| {
            assert_eq!((outcome, own.free_count()), (Outcome::Killed, 1));
            if left > 0 {
                next(&own, left - 1);
            }
        });
        assert!(task.kill() && pool.is_full());
    }

    run(|| {
        let pool = Pool::new(1);
        next(&pool, 50);
        settle();
        assert_eq!((pool.free_count(), pool.len()), (1, 0));
        assert_eq!(debug::counters().coroutines, 0);
    });
}

#[test]
fn those_who_wait_for_a_place_get_it_in_order() {
    run(|| {
        let (pool, log) = (Pool::new(1), Log::new());
        let first = pool.spawn(park);
        let waiters: Vec<_> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|word| {
                let (pool, log) = (pool.clone(), log.clone());
                spawn(move || pool.spawn(move || log.add(word)).join().unwrap())
            })
            .collect();
        until_quiet();
        // One that leaves the line takes no place with it.
        assert!(waiters[1].kill());
        first.thread().unpark();
        let ends = join_all(waiters);
        assert!(ends[1].as_ref().is_err_and(|payload| payload.is::<Killed>()));
        log.assert_fifo("a c d");
        first.join().unwrap();
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn one_that_was_woken_and_is_killed_passes_the_place_on() {
    run(|| {
        let pool = Pool::new(1);
        let first = pool.spawn(park);
        let waiters = [(); 2].map(|()| {
            let pool = pool.clone();
            spawn(move || pool.spawn(|| 1).join().unwrap())
        });
        until_quiet();
        let [unlucky, lucky] = waiters;
        first.thread().unpark();
        let own = spawn(move || {
            // `first` has ended by now, and the first in line is about to run.
            unlucky.kill();
            unlucky.join().is_ok()
        });
        assert_eq!(lucky.join().unwrap(), 1);
        own.join().unwrap();
        first.join().unwrap();
        settle();
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn waiting_for_a_place_takes_none() {
    run(|| {
        let (pool, log) = (Pool::new(1), Log::new());
        pool.wait_available();
        let first = pool.spawn(park);
        assert!(!pool.wait_available_timeout(SHORT));
        assert_eq!(timeout(SHORT, || pool.wait_available()), Err(Elapsed));
        assert_eq!(timeout(SHORT, || pool.spawn(|| ())).err(), Some(Elapsed));
        let watcher = spawn({
            let (pool, log) = (pool.clone(), log.clone());
            move || {
                pool.wait_available();
                log.add("available");
            }
        });
        let spawner = spawn({
            let (pool, log) = (pool.clone(), log.clone());
            move || pool.spawn(move || log.add("spawned")).join().unwrap()
        });
        until_quiet();
        first.thread().unpark();
        join_all([watcher, spawner, first]);
        log.assert_fifo("available spawned");
        assert!(pool.wait_available_timeout(Duration::ZERO));
    });
}

/// gevent scenario 58.
#[test]
fn apply_works_inside_of_its_own_pool() {
    run(|| {
        let pool = Pool::new(1);
        let inner = pool.clone();
        assert_eq!(pool.apply(|| inner.apply(|| inner.apply(|| 7))), 7);
        let own = pool.clone();
        let task = pool.spawn(move || own.apply(|| corovent::thread::current().id()));
        assert_eq!(task.thread().id(), task.thread().id());
        let id = task.thread().id();
        assert_eq!(task.join().unwrap(), id, "in place");
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn apply_throws_what_the_closure_does_and_a_panic_for_a_kill() {
    run(|| {
        let pool = Pool::new(2);
        let panics = || pool.apply(|| -> u32 { panic!("as expected") });
        let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        assert!(is_message(&*payload, "as expected"));
        let caller = spawn({
            let pool = pool.clone();
            move || pool.apply(park)
        });
        until_quiet();
        assert_eq!(pool.kill(), 1);
        // The caller was not killed, and must not seem to be.
        let payload = caller.join().unwrap_err();
        assert!(!payload.is::<Killed>());
        assert_eq!(pool.free_count(), 2);
    });
}

#[test]
fn a_kill_of_who_applies_ends_the_closure_first() {
    run(|| {
        let (pool, log) = (Pool::new(1), Log::new());
        let caller = spawn({
            let (pool, log) = (pool.clone(), log.clone());
            move || {
                pool.apply(|| {
                    let _dropped = log.on_drop("closure");
                    park();
                });
            }
        });
        until_quiet();
        caller.kill();
        assert!(was_killed(caller));
        assert_eq!(log.text(), "closure");
        assert_eq!(timeout(SHORT, || pool.apply(|| sleep(LONG))), Err(Elapsed));
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn a_pool_is_killed_with_those_who_come_meanwhile() {
    run(|| {
        let pool = Pool::new(2);
        let feeder = spawn({
            let pool = pool.clone();
            move || (0..10).map(|_| pool.spawn(park)).collect::<Vec<_>>()
        });
        until_quiet();
        pool.kill_timeout(LONG).unwrap();
        let killed = timeout(LONG, || {
            while !feeder.is_finished() {
                pool.kill();
                yield_now();
            }
        });
        killed.unwrap();
        let tasks = feeder.join().unwrap();
        pool.kill();
        assert!(join_all(tasks).into_iter().all(|result| result.is_err()));
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
        assert!(pool.threads().is_empty());
        assert!(pool.join_timeout(Duration::ZERO));
    });
}

#[test]
fn ten_thousand_wait_for_one_place() {
    run(|| {
        let (pool, count) = (Pool::new(1), Rc::new(Cell::new(0)));
        let tasks: Vec<_> = (0..10_000)
            .map(|_| {
                let (pool, count) = (pool.clone(), Rc::clone(&count));
                spawn(move || drop(pool.spawn(move || count.set(count.get() + 1))))
            })
            .collect();
        join_all(tasks);
        settle();
        assert_eq!(count.get(), 10_000);
    });
}

/// What somebody does with a pool.
#[derive(Clone, Debug)]
enum Act {
    /// Spawns one that yields so often, and panics in the end if it is told to.
    Spawn(u8, bool),
    TrySpawn(u8),
    SpawnTimeout(u8, u64),
    /// Kills the one that was spawned so long ago.
    Kill(usize),
    Apply(u8),
    Yield,
}

fn acts() -> impl Strategy<Value = Vec<Vec<Act>>> {
    let act = prop_oneof![
        (0..4u8, any::<bool>()).prop_map(|(yields, panics)| Act::Spawn(yields, panics)),
        (0..4u8).prop_map(Act::TrySpawn),
        (0..4u8, 0..300u64).prop_map(|(yields, us)| Act::SpawnTimeout(yields, us)),
        (0..4usize).prop_map(Act::Kill),
        (0..3u8).prop_map(Act::Apply),
        Just(Act::Yield),
    ];
    prop::collection::vec(prop::collection::vec(act, 0..12), 1..5)
}

/// The closures of a program: how many there were, and what has become of them.
#[derive(Default)]
struct Fates {
    inside: Cell<usize>,
    made: Cell<usize>,
    /// Each is dropped once: after it has run, unrun in a kill, or when it was handed back.
    dropped: Cell<usize>,
}

fn closure(fates: &Rc<Fates>, limit: usize, yields: u8, panics: bool) -> impl FnOnce() + use<> {
    fates.made.set(fates.made.get() + 1);
    let (last, fates) = (Rc::clone(fates), Rc::clone(fates));
    let dropped = on_drop(move || last.dropped.set(last.dropped.get() + 1));
    move || {
        let _dropped = dropped;
        fates.inside.set(fates.inside.get() + 1);
        assert!(fates.inside.get() <= limit, "more than {limit} at once");
        let own = Rc::clone(&fates);
        let _leaves = on_drop(move || own.inside.set(own.inside.get() - 1));
        (0..yields).for_each(|_| yield_now());
        if panics {
            std::panic::resume_unwind(Box::new("as expected"));
        }
    }
}

fn perform(acts: &[Act], pool: &Pool, fates: &Rc<Fates>) {
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for act in acts {
        let make = |yields, panics| closure(fates, pool.limit(), yields, panics);
        match *act {
            Act::Spawn(yields, panics) => tasks.push(pool.spawn(make(yields, panics))),
            Act::TrySpawn(yields) => tasks.extend(pool.try_spawn(make(yields, false))),
            Act::SpawnTimeout(yields, us) => {
                let limit = Duration::from_micros(us);
                tasks.extend(pool.spawn_timeout(limit, make(yields, false)));
            }
            Act::Kill(ago) => {
                tasks.iter().rev().nth(ago).map(JoinHandle::kill);
            }
            Act::Apply(yields) => {
                // Another may kill what it is told to, but not this.
                pool.apply(make(yields, false));
            }
            Act::Yield => yield_now(),
        }
        assert!(pool.len() <= pool.limit());
    }
}

#[test]
fn places_are_kept_and_every_closure_runs_once() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    proptest!(config, |(programs in acts(), limit in 1..4usize)| {
        run(|| {
            let (pool, fates) = (Pool::new(limit), Rc::<Fates>::default());
            let tasks: Vec<_> = programs
                .into_iter()
                .map(|acts| {
                    let (pool, fates) = (pool.clone(), Rc::clone(&fates));
                    spawn(move || perform(&acts, &pool, &fates))
                })
                .collect();
            for result in join_all(tasks) {
                result.unwrap();
            }
            pool.join();
            settle();
            assert_eq!((pool.len(), pool.free_count()), (0, limit));
            assert_eq!(fates.inside.get(), 0);
            assert_eq!(fates.dropped.get(), fates.made.get());
        });
    });
}
