//! What is known of who unwinds, while coroutines wait in the middle of an unwinding.
//!
//! std counts the panics of the thread. With one coroutine parked in mid-unwinding that count
//! tells nothing of the others, so what is noted of each has to stay right.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::catch_unwind;
use corovent::scope;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::panicking;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

/// A coroutine that waits in the middle of its unwinding until it is unparked.
fn park_unwinding() -> JoinHandle<()> {
    let task = spawn(|| {
        let _guard = on_drop(park);
        panic!("parked in the middle of this");
    });
    yield_now();
    assert!(std::thread::panicking(), "the thread counts its panic");
    task
}

fn let_go(parked: JoinHandle<()>) {
    parked.thread().unpark();
    assert!(is_message(&*parked.join().unwrap_err(), "parked in the middle of this"));
}

/// Handlers that catch the panic of a request and go on: they would keep each other's stale
/// note alive for ever, and none could be killed.
#[test]
fn a_panic_that_was_caught_while_another_unwinds_is_over() {
    run(|| {
        let parked = park_unwinding();
        let handler = || {
            let caught = std::panic::catch_unwind(|| panic!("a request"));
            assert!(caught.is_err());
            loop {
                yield_now();
            }
        };
        let (first, second): (JoinHandle<()>, JoinHandle<()>) = (spawn(handler), spawn(handler));
        yield_now();
        yield_now();
        let_go(parked);
        assert!(!std::thread::panicking());
        assert!(first.kill_timeout(Duration::from_secs(20)));
        assert!(second.kill_timeout(Duration::from_secs(20)));
        assert!(was_killed(first) && was_killed(second));
    });
}

/// The calls that catch what unwinds on its way through them.
const CATCHERS: [(&str, fn()); 6] = [
    ("catch_unwind", || assert!(catch_unwind(|| panic!("inside")).is_err())),
    ("timeout", || assert!(catch_unwind(|| timeout(LONG, || panic!("inside"))).is_err())),
    ("shield", || assert!(catch_unwind(|| shield(|| panic!("inside"))).is_err())),
    ("scope", || assert!(catch_unwind(|| scope(|_| panic!("inside"))).is_err())),
    ("a scope's child", || {
        let scoped = || scope(|scope| drop(scope.spawn(|| panic!("a child"))));
        assert!(catch_unwind(scoped).is_err());
    }),
    ("join", || assert!(spawn(|| panic!("joined")).join().is_err())),
];

#[test]
fn after_a_catch_a_coroutine_unwinds_if_it_did_before() {
    for (name, catcher) in CATCHERS {
        run(|| {
            let parked = park_unwinding();
            let seen = Rc::new(Cell::new(None));

            // One that does not unwind: it says so, and can be killed.
            let task = spawn({
                let seen = Rc::clone(&seen);
                move || {
                    catcher();
                    seen.set(Some(panicking()));
                    park();
                }
            });
            while seen.get().is_none() {
                yield_now();
            }
            assert_eq!(seen.take(), Some(false), "{name}");
            assert!(task.kill_timeout(LONG), "{name}");
            assert!(was_killed(task), "{name}");

            // One that does, in a destructor.
            let task = spawn({
                let seen = Rc::clone(&seen);
                move || {
                    let _guard = on_drop(move || {
                        catcher();
                        seen.set(Some(panicking()));
                    });
                    panic!("unwinds");
                }
            });
            let result: std::thread::Result<()> = task.join();
            assert!(is_message(&*result.unwrap_err(), "unwinds"), "{name}");
            assert_eq!(seen.take(), Some(true), "{name}");
            let_go(parked);
        });
    }
}

#[test]
fn after_a_timeout_that_fired_nobody_unwinds() {
    run(|| {
        let parked = park_unwinding();
        let task = spawn(|| {
            assert!(timeout(SHORT, || sleep(LONG)).is_err());
            assert!(!panicking());
            // A second one can fire as well.
            assert!(timeout(SHORT, || sleep(LONG)).is_err());
            park();
        });
        sleep(Duration::from_millis(20));
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        let_go(parked);
    });
}

/// `run` on the root, inside a destructor of the root and outside of one.
#[test]
fn run_leaves_the_root_as_it_was() {
    run(|| {
        let payload = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let _guard = on_drop(|| {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    corovent::run(|| {
                        drop(spawn(park));
                        yield_now();
                        panic!("in run");
                    })
                }));
                let seen = (caught.is_err(), panicking(), std::thread::panicking());
                if seen != (true, true, true) {
                    std::process::abort();
                }
            });
            panic!("on the root");
        }));
        assert!(is_message(&*payload.unwrap_err(), "on the root"));
        assert!(!panicking());
        assert!(timeout(SHORT, park).is_err(), "the root's waits can be interrupted");
    });
}

/// A kill that is thrown into a destructor would abort the process.
#[test]
fn a_kill_is_not_thrown_into_an_unwinding() {
    passes("unwinding::child_kills_in_the_middle_of_an_unwinding");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_kills_in_the_middle_of_an_unwinding() {
    fn fail_in_the_pool() {
        blocking(|| panic!("unwinds"));
    }
    fn fail_in_a_timeout() {
        let _ = timeout(LONG, || panic!("unwinds"));
    }
    fn fail_in_a_scope() {
        scope(|_| panic!("unwinds"));
    }
    fn fail_in_a_shield() {
        shield(|| panic!("unwinds"));
    }
    fn fail() {
        panic!("unwinds");
    }
    fn fail_again() {
        assert!(catch_unwind(fail_in_the_pool).is_err());
        fail_in_the_pool();
    }

    let ways =
        [fail_in_the_pool, fail_in_a_timeout, fail_in_a_scope, fail_in_a_shield, fail, fail_again];
    run(|| {
        for way in ways {
            let parked = park_unwinding();
            let log = Log::new();
            let task = spawn({
                let log = log.clone();
                move || {
                    let _guard = on_drop({
                        let log = log.clone();
                        move || {
                            log.add(if panicking() { "unwinding" } else { "wrong" });
                            park();
                            log.add("unwound");
                        }
                    });
                    way();
                }
            });
            while log.text().is_empty() {
                sleep(Duration::from_micros(100));
            }
            assert!(task.kill());
            yield_now();
            yield_now();
            assert_eq!(log.text(), "unwinding");
            task.thread().unpark();
            assert!(is_message(&*task.join().unwrap_err(), "unwinds"));
            assert_eq!(log.text(), "unwinding unwound");
            let_go(parked);
        }
    });
}
