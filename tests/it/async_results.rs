//! `sync::AsyncResult`: gevent's cases (src/gevent/tests/test__event.py), in every world, and
//! what becomes of promises that are not kept.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::select::select;
use corovent::select::try_select;
use corovent::spawn;
use corovent::sync::Arc;
use corovent::sync::AsyncResult;
use corovent::sync::NeverSet;
use corovent::sync::Setter;
use corovent::timeout;

use crate::support::Log;
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

fn getter(result: &Arc<AsyncResult<u32>>, log: &Log, word: &'static str) -> JoinHandle<u32> {
    let (result, log) = (Arc::clone(result), log.clone());
    spawn(move || {
        let value = *result.get().unwrap();
        log.add(word);
        value
    })
}

#[test]
fn it_is_shared_by_all() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default + Debug>() {}
    traits::<AsyncResult<u32, NeverSet>>();
    fn shared<T: Send + Sync + Debug>() {}
    shared::<AsyncResult<String>>();
    shared::<Setter<String>>();
    static RESULT: AsyncResult<u32> = AsyncResult::new();
    static SURE: AsyncResult<u32, Infallible> = AsyncResult::empty();
    assert_eq!(format!("{RESULT:?}"), "AsyncResult(<not set>)");
    assert!(!RESULT.is_ready() && RESULT.try_get().is_none());
    RESULT.set(7).unwrap();
    assert_eq!(format!("{RESULT:?}"), "AsyncResult(Ok(7))");
    assert!(RESULT.is_ready());
    assert_eq!(SURE.set(8), Ok(()));
    assert_eq!(SURE.get(), Ok(&8));
    // What may not leave its thread need not.
    let own = AsyncResult::<_, Rc<u32>>::empty();
    own.set(Rc::new(Cell::new(9))).unwrap();
    assert_eq!(own.get().unwrap().get(), 9);
}

#[test]
fn the_first_is_for_good() {
    let result = AsyncResult::<String, &str>::empty();
    assert_eq!(result.set("first".to_owned()), Ok(()));
    assert_eq!(result.set("second".to_owned()), Err("second".to_owned()));
    assert_eq!(result.set_error("third"), Err("third"));
    assert_eq!(result.get(), Ok(&"first".to_owned()));
    assert_eq!(result.into_inner(), Some(Ok("first".to_owned())));

    let result = AsyncResult::<u32, &str>::empty();
    assert_eq!(result.set_error("failed"), Ok(()));
    assert_eq!(result.set(1), Err(1));
    assert_eq!((result.get(), result.try_get()), (Err(&"failed"), Some(Err(&"failed"))));
    assert!(result.wait_timeout(Duration::ZERO));
    assert_eq!(AsyncResult::<u32>::new().into_inner().map(|_| ()), None);
}

/// Set before get, get before set, and get by many.
#[test]
fn all_getters_are_woken_in_the_order_in_which_they_came() {
    run(|| {
        let (result, log) = (Arc::new(AsyncResult::new()), Log::new());
        let tasks = ["a", "b", "c"].map(|word| getter(&result, &log, word));
        settle();
        assert_eq!(waiting_for("result"), 3);
        result.set(7).unwrap();
        assert_eq!(log.text(), "", "waking only enqueues");
        let late = getter(&result, &log, "late");
        let values = tasks.map(|task| task.join().unwrap());
        assert_eq!((values, late.join().unwrap()), ([7; 3], 7));
        assert_eq!(log.text(), "a b c late");
    });
}

#[test]
fn one_that_leaves_takes_nothing_with_it() {
    run(|| {
        let (result, log) = (Arc::new(AsyncResult::new()), Log::new());
        let killed = getter(&result, &log, "killed");
        let last = getter(&result, &log, "last");
        settle();
        killed.kill();
        assert!(was_killed(killed));
        assert!(result.get_timeout(SHORT).is_none());
        assert_eq!(timeout(SHORT, || result.get_timeout(LONG).is_some()), Err(Elapsed));
        result.set(7).unwrap();
        assert_eq!(last.join().unwrap(), 7);
        assert_eq!(log.text(), "last");
    });
}

#[test]
fn a_wait_with_a_limit_is_never_short() {
    run(|| {
        for world in WORLDS {
            let limited = || {
                let (result, start) = (AsyncResult::<u32>::new(), Instant::now());
                assert!(result.get_timeout(SHORT).is_none());
                assert!(start.elapsed() >= SHORT);
            };
            world.start(limited).join();
        }
    });
}

#[test]
fn a_promise_is_kept_or_its_breach_is_known() {
    run(|| {
        let kept = Arc::new(AsyncResult::<u32>::new());
        kept.setter().set(7).unwrap();
        assert_eq!(*kept.get().unwrap(), 7);

        let failed = Arc::new(AsyncResult::<u32, String>::empty());
        // A promise needs an error for its breach.
        failed.set_error("text".to_owned()).unwrap();
        assert_eq!(failed.get(), Err(&"text".to_owned()));

        let dropped = Arc::new(AsyncResult::<u32, NeverSet>::empty());
        let setter = dropped.setter();
        assert_eq!(format!("{setter:?}"), "Setter { is_ready: false, .. }");
        let waits = spawn({
            let dropped = Arc::clone(&dropped);
            move || dropped.get().copied().map_err(|error| *error)
        });
        settle();
        drop(setter);
        assert_eq!(waits.join().unwrap(), Err(NeverSet));
        assert_eq!(NeverSet.to_string(), "the setter was dropped, and has set nothing");

        // Another was faster: the promise is void.
        let others = Arc::new(AsyncResult::<u32, NeverSet>::empty());
        let (setter, second) = (others.setter(), others.setter());
        others.set(1).unwrap();
        assert_eq!(setter.set(2), Err(2));
        assert_eq!(second.set_error(NeverSet), Err(NeverSet));
        assert_eq!(others.get(), Ok(&1));
    });
}

#[test]
fn one_that_is_killed_or_panics_breaks_its_promise() {
    run(|| {
        for dies in [false, true] {
            let result = Arc::new(AsyncResult::<u32>::new());
            let setter = result.setter();
            let task = spawn(move || {
                corovent::thread::park();
                if dies {
                    std::panic::resume_unwind(Box::new("a panic that is not printed"));
                }
                setter.set(7).unwrap();
            });
            settle();
            if dies {
                task.thread().unpark();
            } else {
                task.kill();
            }
            assert!(result.get().unwrap_err().is::<NeverSet>());
            task.join().unwrap_err();
        }
    });
}

/// One that was never run breaks it as well.
#[test]
fn one_that_is_killed_before_it_starts_breaks_its_promise() {
    run(|| {
        let result = Arc::new(AsyncResult::<u32>::new());
        let setter = result.setter();
        let task = spawn(move || setter.set(7));
        task.kill();
        assert!(result.get().unwrap_err().is::<NeverSet>());
        assert!(was_killed(task));
    });
}

#[test]
fn those_whose_thread_has_ended_are_passed_over() {
    run(|| {
        let (result, log) = (Arc::new(AsyncResult::new()), Log::new());
        let lost = Arc::clone(&result);
        leak(move || _ = lost.get());
        let task = getter(&result, &log, "after it");
        settle();
        result.set(7).unwrap();
        assert_eq!(task.join().unwrap(), 7);
    });
}

/// Of many that set it at once one is first, and all that get it get that one.
#[test]
fn of_many_setters_in_every_world_one_is_first() {
    run(|| {
        for _ in 0..50 {
            let result = Arc::new(AsyncResult::<Box<usize>>::new());
            let firsts = Arc::new(AtomicUsize::new(0));
            let places: Vec<World> = (0..2).flat_map(|_| WORLDS).collect();
            let running: Vec<Running<usize>> = places
                .into_iter()
                .enumerate()
                .map(|(own, world)| {
                    let (result, firsts) = (Arc::clone(&result), Arc::clone(&firsts));
                    world.start(move || {
                        if own % 2 == 0 {
                            match result.set(Box::new(own)) {
                                Ok(()) => _ = firsts.fetch_add(1, Ordering::Relaxed),
                                Err(late) => assert!(*late == own && result.is_ready()),
                            }
                        }
                        **result.get().unwrap()
                    })
                })
                .collect();
            let values: Vec<usize> = running.into_iter().map(Running::join).collect();
            assert_eq!(firsts.load(Ordering::Relaxed), 1);
            assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
        }
    });
}

/// Values are dropped once: that which is set with the last owner, those that are late by who
/// brought them.
#[test]
fn every_value_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let dropped = Arc::new(AtomicUsize::new(0));
    let value = || Counted(Arc::clone(&dropped));
    let result = Arc::new(AsyncResult::<Counted>::new());
    assert!(result.set(value()).is_ok());
    assert!(result.set(value()).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let other = Arc::clone(&result);
    drop(result);
    os::spawn(move || drop(other)).join().unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

/// A value that comes with the end of the getter's time, from another thread.
#[test]
fn a_set_that_meets_a_deadline_is_not_lost() {
    run(|| {
        for round in 0..200u64 {
            let result = Arc::new(AsyncResult::<u64>::new());
            let other = Arc::clone(&result);
            let thread = os::spawn(move || {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(round % 50) {}
                other.set(round).unwrap();
            });
            if let Some(value) = result.get_timeout(Duration::from_micros(round % 60)) {
                assert_eq!(*value.unwrap(), round);
            }
            until(|| thread.is_finished());
            join_all([spawn(move || assert_eq!(*result.get().unwrap(), round))]);
            thread.join().unwrap();
        }
    });
}

#[test]
fn the_first_of_several_is_selected() {
    run(|| {
        for world in WORLDS {
            let results = Arc::new([AsyncResult::<u32>::new(), AsyncResult::new()]);
            let other = Arc::clone(&results);
            let selects = world.start(move || {
                let first = select(&[&other[0], &other[1]]);
                *other[first].try_get().unwrap().unwrap()
            });
            settle();
            assert_eq!(try_select(&[&results[0], &results[1]]), None);
            results[1].set(7).unwrap();
            assert_eq!(selects.join(), 7);
            assert_eq!(try_select(&[&results[0], &results[1]]), Some(1));
        }
    });
}
