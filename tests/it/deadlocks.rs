//! A root that nothing can wake.

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
    let output = child("deadlocks::child_deadlocks");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("deadlock: the root waits, and nothing can wake it"), "{text}");
    assert!(text.contains("'stuck' (#"), "{text}");
}

/// libtest has a thread of its own, so the process is made to have only one hub's.
#[test]
#[ignore = "runs in a process of its own"]
fn child_deadlocks() {
    // A forked child has no thread but this one.
    // SAFETY: the child runs on this thread only, and ends by _exit or an abort.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let builder = Builder::new().name("stuck".to_owned());
        let stuck = builder.spawn(park).unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| stuck.join()));
        let code = if payload.is_err_and(|payload| payload.is::<Deadlock>()) { 77 } else { 1 };
        // SAFETY: the child ends without running anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(libc::WEXITSTATUS(status), 77, "the child saw the deadlock");
    panic!("as expected");
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
