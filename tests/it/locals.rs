//! Coroutine-locals: what a value's life is, who sees it, and what std's own tests expect.

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;
use corovent::Killed;
use corovent::coroutine_local;
use corovent::debug;
use corovent::remote;
use corovent::scope;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::LocalKey;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::OnDrop;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(1);

/// Runs code where std's tests have a thread: in a coroutine, and on an OS thread without a
/// hub. In both, destructors have run when this returns.
#[track_caller]
pub(crate) fn in_both_worlds(code: fn()) {
    run(|| spawn(code).join().unwrap());
    os::spawn(code).join().unwrap();
}

/// A local that is set to what is to happen at the end of its coroutine.
pub(crate) type AtEnd = RefCell<Option<OnDrop<Box<dyn FnOnce()>>>>;

pub(crate) fn at_end(f: impl FnOnce() + 'static) -> Option<OnDrop<Box<dyn FnOnce()>>> {
    Some(on_drop(Box::new(f)))
}

/// Counts a call.
pub(crate) fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

coroutine_local! {
    pub(crate) static FIRST: AtEnd = const { RefCell::new(None) };
    pub(crate) static SECOND: AtEnd = RefCell::new(None);
    pub(crate) static THIRD: AtEnd = RefCell::new(None);
}

// Who sees a value.

#[test]
fn coroutines_do_not_see_each_others_values() {
    coroutine_local!(static NUMBER: Cell<usize> = const { Cell::new(0) });

    run(|| {
        NUMBER.set(1000);
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                spawn(move || {
                    assert_eq!(NUMBER.replace(n), 0);
                    for _ in 0..3 {
                        yield_now();
                        assert_eq!(NUMBER.get(), n);
                    }
                    // What it spawns inherits nothing.
                    spawn(|| assert_eq!(NUMBER.get(), 0)).join().unwrap();
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(NUMBER.get(), 1000);
    });
}

/// Many keys, which coroutines come to in different orders.
#[test]
fn many_keys_in_any_order() {
    macro_rules! keys {
        ($($name:ident)*) => {{
            coroutine_local! {
                $(static $name: Cell<usize> = const { Cell::new(0) };)*
            }
            [$(&$name),*]
        }};
    }

    const KEYS: [&LocalKey<Cell<usize>>; 16] = keys!(A B C D E F G H I J K L M N O P);

    run(|| {
        let tasks: Vec<_> = [1, 3, 5, 7, 9, 11, 13, 15]
            .into_iter()
            .map(|step| {
                spawn(move || {
                    for n in 0..16 {
                        KEYS[n * step % 16].set(step * 100 + n * step % 16);
                        yield_now();
                    }
                    for (n, key) in KEYS.into_iter().enumerate() {
                        assert_eq!(key.get(), step * 100 + n);
                        yield_now();
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert!(KEYS.iter().all(|key| key.get() == 0));
    });
}

#[test]
fn an_initialiser_may_wait() {
    coroutine_local!(static SLOW: Cell<Option<u64>> = {
        yield_now();
        sleep(SHORT);
        Cell::new(Some(NEXT.fetch_add(1, Ordering::Relaxed).into()))
    });

    static NEXT: AtomicU32 = AtomicU32::new(0);

    run(|| {
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                spawn(|| {
                    SLOW.with(|own| {
                        let before = own.get();
                        yield_now();
                        sleep(SHORT);
                        assert_eq!(own.get(), before);
                        assert_eq!(SLOW.get(), before);
                        before.unwrap()
                    })
                })
            })
            .collect();
        let mut made: Vec<u64> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        // The root's own, while others have theirs.
        made.push(SLOW.get().unwrap());
        made.sort_unstable();
        assert_eq!(made, [0, 1, 2, 3]);
    });
}

#[test]
fn a_value_stays_where_it_is() {
    macro_rules! more {
        ($($name:ident)*) => {{
            coroutine_local!($(static $name: Box<u8> = Box::new(1));*);
            $($name.with(|_| ());)*
        }};
    }

    coroutine_local!(static FIXED: RefCell<String> = RefCell::new("fixed".to_owned()));

    run(|| {
        let task = spawn(|| {
            FIXED.with_borrow(|text| {
                let before: *const String = text;
                more!(A B C D E F G H I J K L M N O P);
                yield_now();
                FIXED.with_borrow(|again| assert_eq!(std::ptr::from_ref(again), before));
                assert_eq!(text, "fixed");
            });
        });
        spawn(|| FIXED.set("another's".to_owned())).join().unwrap();
        task.join().unwrap();
    });
}

#[test]
fn other_threads_and_their_coroutines_have_their_own() {
    coroutine_local!(static OWNER: Cell<u32> = const { Cell::new(0) });

    run(|| {
        OWNER.set(1);
        spawn(|| {
            OWNER.set(2);
            // On a thread of the pool, which has no hub.
            assert_eq!(corovent::threadpool::blocking(|| OWNER.replace(3)), 0);
            assert_eq!(OWNER.get(), 2);
        })
        .join()
        .unwrap();
        let hub = remote();
        let thread = os::spawn(move || {
            OWNER.set(4);
            let there = hub.spawn(|| OWNER.replace(5)).unwrap().join().unwrap();
            assert_eq!(there, 0);
            spawn(|| assert_eq!(OWNER.replace(6), 0)).join().unwrap();
            // The thread's own, before and after it has a hub.
            assert_eq!(OWNER.get(), 4);
        });
        while !thread.is_finished() {
            sleep(SHORT);
        }
        thread.join().unwrap();
        assert_eq!(OWNER.get(), 1);
    });
}

#[test]
fn a_panic_hook_sees_the_values_of_the_one_that_panics() {
    passes("locals::child_looks_at_a_value_in_a_panic_hook");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_looks_at_a_value_in_a_panic_hook() {
    coroutine_local!(static REQUEST: Cell<u32> = const { Cell::new(0) });

    static SEEN: AtomicU32 = AtomicU32::new(0);

    std::panic::set_hook(Box::new(|_| SEEN.store(REQUEST.get(), Ordering::Relaxed)));
    run(|| {
        REQUEST.set(1);
        let task = spawn(|| {
            REQUEST.set(7);
            panic!("seen by the hook")
        });
        assert!(task.join().is_err());
        assert_eq!(SEEN.load(Ordering::Relaxed), 7);
    });
    let _ = std::panic::take_hook();
}

// How a value comes to be.

#[test]
fn an_initialiser_that_fails_is_tried_again() {
    coroutine_local! {
        static FAILS: u32 = match TRIES.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("the first time"),
            1 => { park(); 1 }
            2 => 2,
            _ => unreachable!("there is a value"),
        };
    }

    static TRIES: AtomicU32 = AtomicU32::new(0);

    run(|| {
        let task = spawn(|| {
            let panicked = catch_unwind(|| FAILS.with(|_| ()));
            assert!(is_message(&*panicked.unwrap_err(), "the first time"));
            assert!(timeout(SHORT, || FAILS.with(|_| ())).is_err());
            FAILS.with(|value| assert_eq!(*value, 2));
            FAILS.with(|value| assert_eq!(*value, 2));
        });
        task.join().unwrap();
    });
}

#[test]
fn a_kill_may_end_an_initialiser() {
    coroutine_local!(static NEVER: u32 = { park(); 1 });

    run(|| {
        let task = spawn(|| NEVER.with(|_| unreachable!()));
        yield_now();
        task.kill();
        assert!(was_killed::<()>(task));
    });
}

/// As in std, the value that is made last stays, and the others are dropped.
#[test]
fn an_initialiser_that_comes_to_its_own_key() {
    struct Counted(u32);

    impl Drop for Counted {
        fn drop(&mut self) {
            // It is out of the way already.
            NESTED.with(|now| assert_ne!(now.0, self.0));
            let _ = DROPPED.try_with(|dropped| dropped.borrow_mut().push(self.0));
        }
    }

    coroutine_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        static DROPPED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
        static NESTED: std::mem::ManuallyDrop<Counted> = std::mem::ManuallyDrop::new(Counted(9));
        static RECURSIVE: Counted = {
            let depth = DEPTH.replace(DEPTH.get() + 1);
            if depth < 2 {
                yield_now();
                RECURSIVE.with(|inner| assert_eq!(inner.0, depth + 1));
            }
            Counted(depth)
        };
    }

    in_both_worlds(|| {
        RECURSIVE.with(|value| assert_eq!(value.0, 0));
        DROPPED.with_borrow(|dropped| assert_eq!(*dropped, [2, 1]));
    });
}

// How a value goes.

/// Spawns a coroutine with a guard in its body and values that note their end.
fn with_values(log: &Log, body: impl FnOnce() + 'static) -> corovent::JoinHandle<()> {
    let log = log.clone();
    spawn(move || {
        for (key, word) in [(&SECOND, "one"), (&FIRST, "two"), (&THIRD, "three")] {
            let log = log.clone();
            key.set(at_end(move || log.add(word)));
        }
        let _guard = log.on_drop("body");
        body();
    })
}

#[test]
fn values_are_destroyed_in_reverse_after_the_body() {
    run(|| {
        let log = Log::new();
        with_values(&log, || ()).join().unwrap();
        assert_eq!(log.text(), "body three two one");
    });
}

#[test]
fn values_of_one_that_was_killed_or_panicked_are_destroyed() {
    run(|| {
        let log = Log::new();
        let task = with_values(&log, park);
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "body three two one");

        let log = Log::new();
        let task = with_values(&log, || panic!("in the body"));
        assert!(is_message(&*task.join().unwrap_err(), "in the body"));
        assert_eq!(log.text(), "body three two one");
    });
}

/// What a coroutine that never ran has captured may come to make some.
#[test]
fn one_that_never_ran_has_none_but_those_of_its_captures() {
    run(|| {
        let log = Log::new();
        let task = with_values(&log, || ());
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "");

        let capture = on_drop({
            let log = log.clone();
            move || FIRST.set(at_end(move || log.add("destroyed")))
        });
        let task = spawn(move || drop(capture));
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "destroyed");
    });
}

#[test]
fn values_of_a_scoped_coroutine_go_before_its_scope_returns() {
    run(|| {
        let log = Log::new();
        scope(|scope| {
            for word in ["first", "second"] {
                let log = &log;
                scope.spawn(move || {
                    let log = log.clone();
                    FIRST.set(at_end(move || {
                        sleep(SHORT);
                        log.add(word);
                    }));
                });
            }
        });
        assert_eq!(log.text(), "first second");
    });
}

#[test]
fn a_kill_waits_until_the_destructors_are_through() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                FIRST.set(at_end({
                    let log = log.clone();
                    move || {
                        yield_now();
                        sleep(SHORT);
                        log.add("first");
                    }
                }));
                SECOND.set(at_end(move || {
                    assert!(!corovent::thread::panicking());
                    // A limit inside works.
                    assert!(timeout(SHORT, park).is_err());
                    log.add("second");
                }));
                8
            }
        });
        yield_now();
        assert!(!task.is_finished());
        assert!(task.kill());
        assert!(task.kill_timeout(Duration::from_secs(60)));
        assert_eq!(task.join().unwrap(), 8, "it was over already");
        assert_eq!(log.text(), "second first");
    });
}

/// The body's unwinding was caught, so destructors are not in the middle of one.
#[test]
fn destructors_after_a_panic_are_not_unwinding() {
    run(|| {
        // Another waits in mid-unwinding, so that std's own answer says nothing.
        let other = spawn(|| {
            let _guard = on_drop(park);
            panic!("parked in mid-unwinding")
        });
        yield_now();
        let seen = Rc::new(Cell::new(None));
        let task = spawn({
            let seen = Rc::clone(&seen);
            move || {
                FIRST.set(at_end(move || {
                    sleep(SHORT);
                    seen.set(Some(corovent::thread::panicking()));
                }));
                panic!("the body's");
            }
        });
        assert!(task.join().is_err());
        assert_eq!(seen.get(), Some(false));
        other.thread().unpark();
        assert!(other.join().is_err());
    });
}

#[test]
fn a_destructor_that_panics_is_reported_and_the_others_go_on() {
    run(|| {
        let before = debug::unjoined_panics();
        let log = Log::new();
        let task = with_values(&log, || {
            FIRST.set(at_end(|| panic!("in a destructor")));
        });
        task.join().unwrap();
        assert_eq!(log.text(), "two body three one");
        // Tests in other threads may panic as well.
        assert!(debug::unjoined_panics() > before);

        // Nobody can join it, so the scope panics.
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                let task = scope.spawn(|| FIRST.set(at_end(|| panic!("in a destructor"))));
                task.join().unwrap();
            });
        }));
        assert!(is_message(&*payload.unwrap_err(), "a scoped thread panicked"));
    });
}

/// Only what has a destructor is destroyed; the rest is there until the end, as in std.
#[test]
fn values_without_a_destructor_stay_until_the_end() {
    coroutine_local!(static PLAIN: Cell<u32> = Cell::new(0));

    static SEEN: AtomicU32 = AtomicU32::new(0);

    in_both_worlds(|| {
        FIRST.set(at_end(|| {
            SEEN.fetch_add(PLAIN.get(), Ordering::Relaxed);
        }));
        PLAIN.set(4);
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), 8);
}

/// A result that nobody wants is dropped before the locals, if that is known by then; else
/// it may make more of them.
#[test]
fn the_destructor_of_an_unwanted_result_has_locals() {
    run(|| {
        let log = Log::new();
        let result = || {
            let log = log.clone();
            on_drop(move || {
                log.add("result");
                let inner = log.clone();
                SECOND.set(at_end(move || inner.add("of-the-result")));
            })
        };
        // Nobody wants it from the begin.
        let unwanted = result();
        drop(spawn(move || unwanted));
        yield_now();
        assert_eq!(log.text(), "result of-the-result");

        // Nobody wants it any more, while a destructor waits.
        let (log, unwanted) = (log.clone(), result());
        let task = spawn({
            let log = log.clone();
            move || {
                FIRST.set(at_end(move || {
                    yield_now();
                    log.add("local");
                }));
                unwanted
            }
        });
        yield_now();
        drop(task);
        yield_now();
        let twice = "result of-the-result";
        assert_eq!(log.text(), format!("{twice} local {twice}"));
    });
}

#[test]
fn values_of_one_that_is_left_parked_are_not_destroyed() {
    static DROPS: AtomicU32 = AtomicU32::new(0);

    os::spawn(|| {
        spawn(|| {
            FIRST.set(at_end(|| count(&DROPS)));
            park();
        });
        yield_now();
    })
    .join()
    .unwrap();
    assert_eq!(DROPS.load(Ordering::Relaxed), 0);
    // `run` is the form that cleans up.
    corovent::run(|| {
        spawn(|| {
            FIRST.set(at_end(|| count(&DROPS)));
            park();
        });
        yield_now();
    });
    assert_eq!(DROPS.load(Ordering::Relaxed), 1);
}

#[test]
fn a_coroutine_with_values_may_exit_the_process() {
    passes("locals::child_exits_in_a_coroutine_with_values");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_coroutine_with_values() {
    std::thread_local! {
        static LATE: AtEnd = const { RefCell::new(None) };
    }

    FIRST.set(at_end(|| ()));
    // In a thread-local's destructor, which runs while the coroutine still stands here.
    LATE.set(at_end(|| {
        let _ = FIRST.try_with(|_| ());
        let _ = SECOND.try_with(|_| ());
    }));
    let task = spawn(|| {
        FIRST.set(at_end(|| unreachable!("the coroutine does not end")));
        println!("test result: ok. 1 passed");
        std::process::exit(0);
    });
    let _ = task.join();
}

/// The handle goes with the last of the locals, and nobody is left to take the result.
#[test]
fn a_local_may_hold_the_handle_of_its_own_coroutine() {
    coroutine_local!(static OWN: RefCell<Option<corovent::JoinHandle<Rc<()>>>> = const {
        RefCell::new(None)
    });

    run(|| {
        let value = Rc::new(());
        let handle = Rc::new(RefCell::new(None));
        let task = spawn({
            let (handle, value) = (Rc::clone(&handle), Rc::clone(&value));
            move || {
                OWN.set(handle.take());
                value
            }
        });
        handle.replace(Some(task));
        yield_now();
        assert_eq!(Rc::strong_count(&value), 1);

        // Joining oneself is refused there as anywhere.
        let handle = Rc::new(RefCell::new(None::<corovent::JoinHandle<()>>));
        let task = spawn({
            let handle = Rc::clone(&handle);
            move || FIRST.set(at_end(move || drop(handle.take().unwrap().join())))
        });
        handle.replace(Some(task));
        yield_now();
        assert!(handle.borrow().is_none());
    });
}

#[test]
fn nothing_is_leaked() {
    run(|| {
        let value = Arc::new(());
        for round in 0..100 {
            let held = Arc::clone(&value);
            let task = spawn(move || {
                FIRST.set(at_end(move || drop(held)));
                SECOND.set(None);
                assert!(round % 3 != 0);
            });
            if round % 2 == 0 {
                let _ = task.join();
            }
        }
        while debug::counters() != debug::Counters::default() {
            yield_now();
        }
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

// Coroutines of another crate, whose switches the hub does not see.

/// A foreign coroutine that looks at a value for as long as it is suspended.
fn looks(key: &'static LocalKey<RefCell<Vec<u8>>>) -> Coroutine<(), (), usize> {
    Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
        key.with_borrow(|list| {
            let before = list.as_ptr();
            yielder.suspend(());
            assert_eq!(list.as_ptr(), before);
            list.iter().map(|byte| usize::from(*byte)).sum()
        })
    })
}

/// It holds a reference into a coroutine that has ended: the value is leaked, not freed.
#[test]
fn a_value_that_somebody_still_looks_at_is_kept() {
    coroutine_local!(static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![1, 2, 3]));

    run(|| {
        let kept = Rc::new(RefCell::new(looks(&BYTES)));
        let lent = Rc::clone(&kept);
        spawn(move || {
            assert!(matches!(lent.borrow_mut().resume(()), CoroutineResult::Yield(())));
            assert!(catch_unwind(|| BYTES.set(vec![])).is_err(), "it is borrowed");
        })
        .join()
        .unwrap();
        // Its memory is not used for others.
        let _others: Vec<Vec<u8>> = (0..100).map(|_| vec![9, 9, 9]).collect();
        let sum = spawn(move || kept.borrow_mut().resume(()).as_return()).join().unwrap();
        assert_eq!(sum, Some(6));
    });
}

/// The same for a value that the initialiser of its own key replaces.
#[test]
fn a_value_that_is_replaced_while_somebody_looks_is_kept() {
    std::thread_local! {
        static LOOKER: RefCell<Option<Coroutine<(), (), usize>>> = const { RefCell::new(None) };
    }

    coroutine_local! {
        static DEPTH: Cell<u8> = const { Cell::new(0) };
        static BYTES: RefCell<Vec<u8>> = {
            DEPTH.set(DEPTH.get() + 1);
            if DEPTH.get() == 1 {
                let mut looker = looks(&BYTES);
                assert!(matches!(looker.resume(()), CoroutineResult::Yield(())));
                LOOKER.set(Some(looker));
            }
            RefCell::new(vec![DEPTH.get()])
        };
    }

    run(|| {
        spawn(|| {
            BYTES.with_borrow(|bytes| assert_eq!(*bytes, [2]));
            let mut looker = LOOKER.take().unwrap();
            assert_eq!(looker.resume(()).as_return(), Some(2));
        })
        .join()
        .unwrap();
    });
}

/// An initialiser that begins in one coroutine and ends in another, or on the root.
#[test]
fn an_initialiser_may_end_somewhere_else() {
    std::thread_local! {
        static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
    }

    coroutine_local!(static MADE: Vec<u8> = {
        // SAFETY: the foreign coroutine that runs this has just set its own.
        unsafe { &*YIELDER.get() }.suspend(());
        vec![1]
    });

    fn begun() -> Rc<RefCell<Coroutine<(), (), usize>>> {
        let foreign = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            YIELDER.set(yielder);
            MADE.with(Vec::len)
        });
        let foreign = Rc::new(RefCell::new(foreign));
        let lent = Rc::clone(&foreign);
        spawn(move || assert!(lent.borrow_mut().resume(()).as_return().is_none())).join().unwrap();
        foreign
    }

    run(|| {
        let foreign = begun();
        spawn(move || {
            assert_eq!(foreign.borrow_mut().resume(()).as_return(), Some(1));
            MADE.with(|list| assert_eq!(*list, [1]));
        })
        .join()
        .unwrap();
        let foreign = begun();
        let payload =
            catch_unwind(AssertUnwindSafe(|| foreign.borrow_mut().resume(()).as_return()));
        let text = "an initialiser was left by a switch which the hub knows not of";
        assert!(is_message(&*payload.unwrap_err(), text));
    });
}

/// The destructor of a killed coroutine's local throws a kill of its own making.
#[test]
fn a_destructor_that_throws_an_interrupt_harms_nobody() {
    run(|| {
        let log = Log::new();
        let task = with_values(&log, || {
            FIRST.set(at_end(|| std::panic::resume_unwind(Box::new(Killed))));
        });
        task.join().unwrap();
        assert_eq!(log.text(), "two body three one");
    });
}

/// A destructor that leaves a shield which another coroutine has entered, or enters one that
/// another leaves.
#[test]
fn a_destructor_may_end_the_shield_of_somebody_else() {
    run(|| {
        let log = Log::new();
        let mut foreign = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            shield(|| yielder.suspend(()));
            shield(|| yielder.suspend(()));
        });
        let mut foreign = spawn(move || {
            foreign.resume(());
            foreign
        })
        .join()
        .unwrap();
        let (first, second) = (log.clone(), log.clone());
        let task = spawn(move || {
            SECOND.set(at_end(move || {
                yield_now();
                second.add("not killed");
            }));
            FIRST.set(at_end(move || {
                yield_now();
                while foreign.resume(()).as_yield().is_some() {
                    first.add("resumed");
                }
            }));
        });
        yield_now();
        task.kill();
        task.join().unwrap();
        assert_eq!(log.text(), "resumed not killed");
    });
}
