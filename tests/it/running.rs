//! `run`: a root that ends what it started.

use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

#[test]
fn run_kills_until_nobody_is_left() {
    crate::support::run(|| {
        let log = Log::new();
        corovent::run(|| {
            for n in 0..3 {
                let log = log.clone();
                spawn(move || {
                    let _guard = crate::support::on_drop({
                        let log = log.clone();
                        // A destructor that spawns: that one is killed before it runs.
                        move || {
                            log.add(n.to_string());
                            spawn(|| unreachable!("killed before its first run"));
                            sleep(Duration::from_millis(1));
                        }
                    });
                    park();
                });
            }
            yield_now();
        });
        assert_eq!(log.text(), "0 1 2");
    });
}

#[test]
fn run_ends_its_coroutines_also_after_a_panic() {
    run(|| {
        let log = Log::new();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            corovent::run(|| {
                let log = log.clone();
                spawn(move || {
                    let _guard = log.on_drop("destructor");
                    park();
                });
                yield_now();
                panic!("the body");
            })
        }));
        assert!(crate::support::is_message(&*payload.unwrap_err(), "the body"));
        assert_eq!(log.text(), "destructor");
    });
}

#[test]
fn run_gives_up_one_that_swallows_its_kills() {
    let text = passes("running::child_runs_a_stubborn_coroutine");
    assert!(text.contains("swallowed its kill 8 times"), "{text}");
    assert!(text.contains("is given up"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_runs_a_stubborn_coroutine() {
    let value = Rc::new(());
    let inside = Rc::clone(&value);
    let mut stubborn = None;
    corovent::run(|| {
        stubborn = Some(spawn(move || {
            let _inside = inside;
            loop {
                let _ = catch_unwind(park);
            }
        }));
        yield_now();
    });
    // It is left as it is for ever; the hub works on, and its stack is not used again.
    assert_eq!(Rc::strong_count(&value), 2);
    let stubborn: JoinHandle<()> = stubborn.unwrap();
    assert!(stubborn.join().unwrap_err().is::<corovent::Abandoned>());
    let tasks: Vec<_> = (0..10_000).map(|n| spawn(move || n)).collect();
    assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).max(), Some(9_999));
}

#[test]
fn run_is_for_a_root_without_coroutines() {
    run(|| {
        let nested = spawn(|| corovent::run(|| ()));
        assert!(nested.join().is_err());
        let other = spawn(park);
        assert!(catch_unwind(AssertUnwindSafe(|| corovent::run(|| ()))).is_err());
        other.kill();
        assert!(was_killed(other));
    });
}

/// The timeout has fired when the body has returned already: it does not keep `run` from
/// waiting for all, and it does not end anything afterwards.
#[test]
fn a_timeout_around_run_waits_until_all_have_ended() {
    run(|| {
        let log = Log::new();
        let result = timeout(Duration::from_millis(2), || {
            corovent::run(|| {
                let log = log.clone();
                drop(spawn(move || {
                    corovent::shield(|| sleep(Duration::from_millis(20)));
                    log.add("shielded to the end");
                    yield_now();
                    log.add("unreachable");
                }));
                yield_now();
                "the body"
            })
        });
        assert_eq!(result, Ok("the body"));
        assert_eq!(log.text(), "shielded to the end");
        sleep(Duration::from_millis(3));
        yield_now();
    });
}

/// The other order: the timeout ends the body, and then waits for the coroutines too.
#[test]
fn a_timeout_that_ends_the_body_of_run_ends_its_coroutines() {
    run(|| {
        let log = Log::new();
        let result = timeout(Duration::from_millis(2), || {
            corovent::run(|| {
                let log = log.clone();
                drop(spawn(move || {
                    let _guard = log.on_drop("destructor");
                    park();
                }));
                park();
            })
        });
        assert_eq!(result, Err(corovent::Elapsed));
        assert_eq!(log.text(), "destructor");
    });
}

#[test]
fn run_gives_up_one_that_nothing_can_wake_from_its_shield() {
    let text = passes("running::child_is_shielded_for_ever");
    assert!(text.contains("is given up"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_is_shielded_for_ever() {
    run(|| {
        corovent::debug::deadlock(corovent::debug::Scope::Hub);
        let leave_shielded = || {
            corovent::run(|| {
                let shielded = spawn(|| {
                    corovent::shield(|| {
                        sleep(Duration::from_millis(5));
                        park();
                    });
                });
                yield_now();
                shielded
            })
        };
        // Also when a timeout around it is over: it is the deadlock that ends the wait.
        let in_a_timeout = || timeout(Duration::from_millis(1), leave_shielded).unwrap();
        for shielded in [leave_shielded(), in_a_timeout()] {
            assert!(shielded.join().unwrap_err().is::<corovent::Abandoned>());
            // The deadlock was used up.
            sleep(Duration::from_millis(1));
        }
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
    });
}

/// Its place among those who wait for a descriptor is given up too: the hub would take it
/// for somebody who can still be woken, and hand it what others could use.
#[test]
fn one_that_is_given_up_waits_for_no_descriptor() {
    passes("running::child_gives_up_one_that_waits_for_a_descriptor");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_gives_up_one_that_waits_for_a_descriptor() {
    use corovent_runtime::fd::Direction;
    use corovent_runtime::fd::wait_foreign;
    use corovent_runtime::time::Deadline;

    corovent::debug::deadlock(corovent::debug::Scope::Hub);
    let (reader, writer) = std::io::pipe().unwrap();
    let reader = Rc::new(reader);
    corovent::run(|| {
        let reader = Rc::clone(&reader);
        drop(spawn(move || {
            let wait = || wait_foreign(reader.as_fd(), Direction::Read, Deadline::NEVER);
            while catch_unwind(AssertUnwindSafe(wait)).is_err() {}
        }));
        yield_now();
    });
    assert_eq!(corovent::debug::counters().waiting, 0);
    assert!(catch_unwind(park).unwrap_err().is::<corovent::Deadlock>());
    // The next one to wait for it is woken.
    let waiter = spawn(move || wait_foreign(reader.as_fd(), Direction::Read, Deadline::NEVER));
    yield_now();
    drop(writer);
    waiter.join().unwrap().unwrap();
}

/// Else the hub would wake for nobody, and find a deadlock only then.
#[test]
fn one_that_is_given_up_leaves_no_timer() {
    passes("running::child_gives_up_one_that_sleeps");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_gives_up_one_that_sleeps() {
    const DAY: Duration = Duration::from_secs(86_400);

    corovent::debug::deadlock(corovent::debug::Scope::Hub);
    corovent::run(|| {
        drop(spawn(|| while catch_unwind(|| sleep(DAY)).is_err() {}));
        drop(spawn(|| timeout(DAY, || while catch_unwind(park).is_err() {})));
        yield_now();
    });
    assert_eq!(corovent::debug::counters().timers, 0);
    assert!(catch_unwind(park).unwrap_err().is::<corovent::Deadlock>());
}
