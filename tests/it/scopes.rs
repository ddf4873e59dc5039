//! Coroutines that borrow.

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

use corovent::Builder;
use corovent::Elapsed;
use corovent::Killed;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child;
use crate::support::is_message;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn a_scope_waits_for_all_of_its_coroutines() {
    run(|| {
        let mut values = vec![1, 2, 3];
        let text = "borrowed".to_owned();
        let total = scope(|scope| {
            for value in &mut values {
                let text = &text;
                scope.spawn(move || {
                    yield_now();
                    *value += text.len();
                });
            }
            "result"
        });
        assert_eq!((total, values), ("result", vec![9, 10, 11]));
    });
}

#[test]
fn results_of_a_scope_may_borrow() {
    run(|| {
        let words = ["a", "bc"];
        let longest = scope(|scope| {
            let tasks: Vec<_> = words.iter().map(|word| scope.spawn(move || word)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).max_by_key(|word| word.len())
        });
        assert_eq!(longest, Some(&"bc"));
    });
}

#[test]
fn a_coroutine_of_a_scope_spawns_another() {
    run(|| {
        let count = Cell::new(0);
        scope(|scope| {
            scope.spawn(|| {
                scope.spawn(|| {
                    yield_now();
                    count.set(count.get() + 1);
                });
                count.set(count.get() + 1);
            });
        });
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn a_panic_of_the_body_waits_and_kills_nobody() {
    run(|| {
        let log = Log::new();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                scope.spawn(|| {
                    sleep(SHORT);
                    log.add("child ended");
                });
                panic!("the body");
            })
        }));
        assert!(is_message(&*payload.unwrap_err(), "the body"));
        assert_eq!(log.text(), "child ended");
    });
}

#[test]
fn a_panic_of_a_child_panics_the_scope_after_the_others_have_ended() {
    run(|| {
        let log = Log::new();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                scope.spawn(|| panic!("a child"));
                scope.spawn(|| {
                    sleep(SHORT);
                    log.add("the other");
                });
            })
        }));
        assert!(is_message(&*payload.unwrap_err(), "a scoped thread panicked"));
        assert_eq!(log.text(), "the other");
    });
}

#[test]
fn a_panic_of_a_child_that_was_joined_is_the_joiners() {
    run(|| {
        scope(|scope| {
            let task = scope.spawn(|| -> () { panic!("a child") });
            assert!(is_message(&*task.join().unwrap_err(), "a child"));
        });
        // A handle that is dropped after the end has not been joined.
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                let task = scope.spawn(|| -> () { panic!("a child") });
                yield_now();
                drop(task);
            })
        }));
        assert!(payload.is_err());
    });
}

#[test]
fn a_killed_child_is_no_panic() {
    run(|| {
        scope(|scope| {
            let task = scope.spawn(park);
            yield_now();
            task.kill();
        });
    });
}

#[test]
fn a_kill_of_the_parent_ends_the_children_first() {
    for where_it_waits in ["in the body", "at the exit"] {
        run(|| {
            let log = Log::new();
            let task = spawn({
                let log = log.clone();
                move || {
                    let _parent = log.on_drop("parent");
                    let lent = log.clone();
                    scope(|scope| {
                        scope.spawn(|| {
                            let _child = lent.on_drop("child");
                            park();
                        });
                        // One that never gets to run drops its captures before the parent too.
                        if where_it_waits == "in the body" {
                            park();
                        }
                        lent.add("exit");
                    });
                    log.add("unreachable");
                }
            });
            yield_now();
            yield_now();
            task.kill();
            assert!(task.join().unwrap_err().is::<Killed>());
            let expected = match where_it_waits {
                "in the body" => "child parent",
                _ => "exit child parent",
            };
            assert_eq!(log.text(), expected, "{where_it_waits}");
        });
    }
}

#[test]
fn a_timeout_ends_the_children_first() {
    run(|| {
        let mut lent = vec![1, 2, 3];
        let log = Log::new();
        let result = timeout(SHORT, || {
            scope(|scope| {
                scope.spawn(|| {
                    let _guard = log.on_drop("child");
                    let lent = &mut lent;
                    sleep(LONG);
                    lent.push(4);
                });
            });
        });
        assert_eq!((result, log.text()), (Err(Elapsed), "child".to_owned()));
        lent.push(5);
        assert_eq!(lent, [1, 2, 3, 5]);
    });
}

/// One that never ran: its closure borrows, and is dropped before the parent goes on.
#[test]
fn the_captures_of_a_child_killed_before_it_ran_are_dropped_in_the_scope() {
    run(|| {
        let log = Log::new();
        let lent = log.clone();
        scope(|scope| {
            let guard = lent.on_drop("captures");
            let task = scope.spawn(move || drop(guard));
            task.kill();
        });
        log.add("after the scope");
        assert_eq!(log.text(), "captures after the scope");
    });
}

/// corosensei #27 and #59, generator #49: a handle that is forgotten must not let the scope
/// end early, nor keep it from ending.
#[test]
fn a_forgotten_handle_changes_nothing() {
    run(|| {
        let mut value = 1;
        scope(|scope| {
            std::mem::forget(scope.spawn(|| {
                yield_now();
                value += 1;
            }));
            std::mem::forget(scope.spawn(|| vec![0u8; 100]));
        });
        assert_eq!(value, 2);
    });
}

/// A child's destructor that waits keeps its scope waiting.
#[test]
fn a_destructor_of_a_child_may_wait() {
    run(|| {
        let ended = Cell::new(false);
        scope(|scope| {
            let task = scope.spawn(|| {
                let _guard = crate::support::on_drop(|| {
                    sleep(SHORT);
                    ended.set(true);
                });
                park();
            });
            yield_now();
            task.kill();
        });
        assert!(ended.get());
    });
}

/// An unwinding destructor may open a scope of its own, whose wait really waits.
#[test]
fn a_scope_in_a_destructor_waits_while_the_coroutine_unwinds() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _guard = crate::support::on_drop(|| {
                    scope(|scope| {
                        scope.spawn(|| {
                            sleep(SHORT);
                            log.add("child");
                        });
                    });
                    log.add("scope over");
                });
                park();
            }
        });
        yield_now();
        task.kill();
        assert!(task.join().unwrap_err().is::<Killed>());
        assert_eq!(log.text(), "child scope over");
    });
}

#[test]
fn a_child_that_cannot_be_ended_aborts() {
    let output = child("scopes::child_has_a_stubborn_member");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("a coroutine of a scope swallowed its kill"), "{text}");
    assert!(!text.contains("the parent went on"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_a_stubborn_member() {
    let task = spawn(|| {
        let _guard = crate::support::on_drop(|| eprintln!("the parent went on"));
        let lent = RefCell::new(0);
        scope(|scope| {
            scope.spawn(|| {
                let _lent = &lent;
                while catch_unwind(park).is_err() {}
            });
        });
    });
    yield_now();
    yield_now();
    task.kill();
    let _ = task.join();
}

#[test]
fn a_stubborn_child_that_others_kill_is_none_of_the_scopes_business() {
    run(|| {
        scope(|scope| {
            let task = scope.spawn(|| {
                let swallow = || (0..8).for_each(|_| assert!(catch_unwind(park).is_err()));
                swallow();
                sleep(SHORT);
            });
            yield_now();
            assert!(!task.kill_timeout(LONG));
        });
    });
}

#[test]
fn spawning_on_a_scope_from_another_thread_panics() {
    run(|| {
        scope(|scope| {
            std::thread::scope(|threads| {
                let thread = threads.spawn(|| scope.spawn(|| ()));
                assert!(thread.join().is_err());
            });
        });
    });
}

#[test]
fn scopes_nest() {
    run(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        scope(|outer| {
            outer.spawn(|| {
                scope(|inner| {
                    inner.spawn(|| order.borrow_mut().push("innermost"));
                });
                order.borrow_mut().push("inner");
            });
        });
        order.borrow_mut().push("outer");
        assert_eq!(*order.borrow(), ["innermost", "inner", "outer"]);
    });
}

/// One that was never made is not waited for.
#[test]
fn a_spawn_that_fails_is_not_counted() {
    run(|| {
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                let too_large = Builder::new().stack_size(usize::MAX).spawn_scoped(scope, || ());
                assert!(too_large.is_err());
                let builder = Builder::new().name("zero\0byte".to_owned());
                drop(builder.spawn_scoped(scope, || ()));
            });
        }));
        let text = "thread name may not contain interior null bytes";
        assert!(is_message(&*payload.unwrap_err(), text));
    });
}

/// Destructors that spawn in the scope that kills them: it would wait for those for ever.
#[test]
fn a_child_spawned_while_its_scope_kills_is_killed_too() {
    run(|| {
        let log = Log::new();
        let parent = spawn({
            let log = log.clone();
            move || {
                scope(|scope| {
                    let log = &log;
                    scope.spawn(move || {
                        let _first = crate::support::on_drop(move || {
                            log.add("destructor");
                            let captured = log.on_drop("captures");
                            scope.spawn(move || {
                                drop(captured);
                                log.add("ran");
                            });
                            // One that waits already when the next comes.
                            sleep(SHORT);
                            scope.spawn(move || log.add("ran"));
                        });
                        park();
                    });
                    park();
                });
            }
        });
        yield_now();
        yield_now();
        assert!(parent.kill_timeout(LONG));
        assert!(parent.join().unwrap_err().is::<Killed>());
        assert_eq!(log.text(), "destructor captures");
    });
}
