//! A root that nothing can wake.

use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

use corovent::Builder;
use corovent::Deadlock;
use corovent::debug;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;

/// Other tests run on other threads of this process, so only this hub counts. What a
/// deadlock leaves parked is killed in the end.
fn run_alone(body: impl FnOnce()) {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        corovent::run(body);
    });
}

#[test]
fn a_deadlock_names_those_who_wait_and_the_hub_goes_on() {
    run_alone(|| {
        let builder = Builder::new().name("stuck".to_owned());
        let stuck = builder.spawn(park).unwrap();
        let other = spawn(park);
        let joiner = spawn(move || other.join());
        let payload = catch_unwind(AssertUnwindSafe(|| joiner.join())).unwrap_err();
        let report = payload.downcast::<Deadlock>().unwrap().to_string();
        for part in ["'stuck' (#", "unpark", "join (#", "tests/it/deadlocks.rs:", "root"] {
            assert!(report.contains(part), "{part} is not in:\n{report}");
        }
        // The hub is usable.
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
        sleep(Duration::from_millis(1));
        stuck.thread().unpark();
        stuck.join().unwrap();
    });
}

#[test]
fn the_root_alone_can_be_in_a_deadlock() {
    run_alone(|| {
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
    });
}

#[test]
fn what_can_still_wake_is_no_deadlock() {
    run_alone(|| {
        let root = corovent::current();
        // A timer.
        let waker = spawn({
            let root = root.clone();
            move || {
                sleep(Duration::from_millis(2));
                root.unpark();
            }
        });
        park();
        waker.join().unwrap();

        // A job in the pool.
        let job = spawn({
            let root = root.clone();
            move || {
                corovent::threadpool::blocking(|| std::thread::sleep(Duration::from_millis(2)));
                root.unpark();
            }
        });
        park();
        job.join().unwrap();

        // A remote handle on another thread.
        let remote = corovent::remote();
        let thread = std::thread::spawn({
            let root = root.clone();
            move || {
                std::thread::sleep(Duration::from_millis(2));
                remote.spawn(move || root.unpark()).unwrap();
            }
        });
        park();
        thread.join().unwrap();

        // A listener that somebody waits on.
        let accepting = spawn(|| corovent::net::TcpListener::bind("127.0.0.1:0").unwrap().accept());
        assert!(timeout(Duration::from_millis(5), park).is_err());
        accepting.kill();
        assert!(accepting.join().is_err());
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
}

#[test]
fn a_remote_handle_that_does_not_count_is_a_deadlock() {
    run_alone(|| {
        let remote = corovent::remote().uncounted();
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
        let counting = corovent::remote();
        drop(counting);
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
        drop(remote);
    });
}

#[test]
fn the_last_remote_handle_that_goes_reveals_the_deadlock() {
    run_alone(|| {
        let remote = corovent::remote();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            drop(remote);
        });
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
        thread.join().unwrap();
    });
}

#[test]
fn a_deadlock_in_a_scope_ends_its_coroutines_first() {
    run_alone(|| {
        let log = Log::new();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|scope| {
                scope.spawn(|| {
                    let _guard = log.on_drop("child");
                    park();
                });
            });
        }));
        assert!(payload.unwrap_err().is::<Deadlock>());
        assert_eq!(log.text(), "child");
    });
}

#[test]
fn a_program_without_other_threads_finds_its_deadlock() {
    let text = passes("deadlocks::child_deadlocks");
    assert!(text.contains("deadlock: the root waits, and nothing can wake it"), "{text}");
    assert!(text.contains("'stuck' (#"), "{text}");
}

/// libtest has a thread of its own, so the process is made to have only one hub's: a forked
/// child has no thread but this one. Panics unless the body returns.
fn in_a_fork(body: fn()) {
    // SAFETY: the child runs on this thread only, and ends by _exit or an abort.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: alarm(2) has no preconditions. A fork begins without one.
        unsafe { libc::alarm(60) };
        let code = if catch_unwind(body).is_ok() { 77 } else { 1 };
        // SAFETY: the child ends without running anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 77, "status {status:#x}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_deadlocks() {
    in_a_fork(|| {
        let builder = Builder::new().name("stuck".to_owned());
        let stuck = builder.spawn(park).unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| stuck.join()));
        assert!(payload.unwrap_err().is::<Deadlock>());
    });
}

#[test]
fn idle_threads_of_the_pool_do_not_count() {
    passes("deadlocks::child_has_an_idle_helper");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_an_idle_helper() {
    in_a_fork(|| {
        spawn(|| corovent::threadpool::blocking(|| ())).join().unwrap();
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
    });
}

#[test]
fn with_other_threads_the_root_waits_for_them() {
    run(|| {
        let root = corovent::current();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            root.unpark();
        });
        // The default scope: the other thread may wake it, and does.
        park();
    });
}

#[test]
fn switched_off_the_root_waits_whatever_happens() {
    run(|| {
        let before = debug::deadlock(debug::Scope::Off);
        assert_eq!(before, debug::Scope::Process);
        let root = corovent::current();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            root.unpark();
        });
        park();
        thread.join().unwrap();
    });
}

/// The scope unwinds with the payload of its body; a deadlock that ended its wait is over
/// then, and does not end a later one.
#[test]
fn a_deadlock_under_an_unwinding_is_taken_back() {
    run_alone(|| {
        let payload = catch_unwind(|| {
            scope(|scope| {
                scope.spawn(park);
                panic!("the body");
            })
        });
        assert!(is_message(&*payload.unwrap_err(), "the body"));
        sleep(Duration::from_millis(1));
        yield_now();
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
        // A real one is found as ever.
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
    });
}

/// In a child, where the next hub is certain to get the record of the one before.
#[test]
fn a_handle_of_a_hub_that_has_ended_counts_nowhere() {
    passes("deadlocks::child_holds_a_stale_handle");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_holds_a_stale_handle() {
    let stale = std::thread::spawn(corovent::remote).join().unwrap();
    let before = stale.clone();
    let body = move || {
        // A clone made, or dropped, while the record is another hub's.
        debug::deadlock(debug::Scope::Hub);
        let after = stale.clone();
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>(), "they do not count here");

        // The new hub's own handle does, also while the others go.
        let (root, own) = (corovent::current(), corovent::remote());
        let thread = std::thread::spawn(move || {
            drop(before);
            drop(stale.uncounted());
            drop(after);
            std::thread::sleep(Duration::from_millis(5));
            own.spawn(move || root.unpark()).unwrap().join().unwrap();
        });
        park();
        thread.join().unwrap();
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
    };
    std::thread::spawn(move || run(body)).join().unwrap();
}

/// Two coroutines are parked in the middle of an unwinding, and the root has caught a panic:
/// what is known of it may be stale, but it does not unwind.
#[test]
fn a_deadlock_among_unwinding_coroutines_is_thrown_on_the_root() {
    passes("deadlocks::child_deadlocks_among_the_unwinding");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_deadlocks_among_the_unwinding() {
    debug::deadlock(debug::Scope::Hub);
    for parked in 1..3 {
        for _ in 0..parked {
            drop(spawn(|| {
                let _guard = on_drop(park);
                panic!("parks in the middle of this");
            }));
        }
        yield_now();
        assert!(catch_unwind(|| panic!("caught by the root")).is_err());
        assert!(catch_unwind(park).unwrap_err().is::<Deadlock>());
    }
}

/// There is nothing left to throw: the root is unwinding already.
#[test]
fn a_deadlock_of_a_root_that_unwinds_aborts() {
    let output = child("deadlocks::child_deadlocks_while_the_root_unwinds");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("deadlock: the root waits"), "{text}");
    assert!(text.contains("the root's wait cannot be ended by unwinding"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_deadlocks_while_the_root_unwinds() {
    debug::deadlock(debug::Scope::Hub);
    let _guard = on_drop(park);
    panic!("the root");
}
