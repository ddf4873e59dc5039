//! The process ends while coroutines are parked: by whom it may, it ends at once, with the status
//! that was asked for, and no destructor of a parked coroutine runs.

use std::cell::RefCell;
use std::process;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;

use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::yield_now;

use crate::support::child;
use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::until_waiting;

/// Who ends the process, by the name of a child, and the status that it has then.
const ENDS: [(&str, Option<i32>); 10] = [
    ("child_exits_in_a_destructor", Some(11)),
    ("child_exits_in_a_killed_coroutine", Some(12)),
    ("child_exits_from_another_thread", Some(13)),
    ("child_exits_in_a_pool_job", Some(14)),
    ("child_exits_in_a_scope_of_a_coroutine", Some(15)),
    ("child_exits_in_a_handler_that_waits", Some(16)),
    ("child_aborts_in_a_coroutine", None),
    ("child_exits_while_a_thread_local_waits", Some(17)),
    ("child_exits_in_a_coroutine_and_keeps_its_hub", Some(18)),
    ("child_exits_on_the_root_and_frees_its_hub", Some(19)),
];

#[test]
fn the_process_ends_at_once_whoever_ends_it() {
    for (test, status) in ENDS {
        let output = child(&format!("exits::{test}"));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), status, "{test}: {text}");
        assert!(!text.contains("a parked destructor"), "{test}: {text}");
        assert!(!text.contains("panicked"), "{test}: {text}");
    }
}

/// Some that wait, each with a destructor that must not run.
fn leave_some_parked() {
    for n in 0..10 {
        drop(spawn(move || {
            let _guard = on_drop(|| eprintln!("a parked destructor has run"));
            if n % 2 == 0 { park() } else { sleep(std::time::Duration::from_secs(1000)) }
        }));
    }
    until_waiting(10);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_destructor() {
    leave_some_parked();
    let _ = spawn(|| {
        let _guard = on_drop(|| process::exit(11));
        yield_now();
    })
    .join();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_killed_coroutine() {
    leave_some_parked();
    let victim = spawn(|| {
        let _guard = on_drop(|| {
            yield_now();
            process::exit(12)
        });
        park();
    });
    yield_now();
    victim.kill();
    let _ = victim.join();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_from_another_thread() {
    leave_some_parked();
    os::spawn(|| process::exit(13));
    park();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_pool_job() {
    leave_some_parked();
    let _: i32 = blocking(|| process::exit(14));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_scope_of_a_coroutine() {
    leave_some_parked();
    let _ = spawn(|| {
        let text = String::from("borrowed");
        scope(|scope| {
            scope.spawn(|| {
                park();
                eprintln!("{text}");
            });
            scope.spawn(|| {
                yield_now();
                process::exit(15);
            });
        });
    })
    .join();
}

/// A handler of exit(3) can lock; it cannot spawn, and is told so.
#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_handler_that_waits() {
    extern "C" fn at_exit() {
        let handle = corovent::thread::Builder::new().spawn(|| 5);
        // The thread-locals of the thread are gone already, and with them its hub.
        let is_right = handle.is_err() && corovent::sync::Mutex::new(1).lock().is_ok();
        // SAFETY: nothing of the process is used any more.
        unsafe { libc::_exit(if is_right { 16 } else { 99 }) };
    }
    // SAFETY: the function lives as long as the program.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let _ = spawn(|| ()).join();
    process::exit(3);
}

/// Registers a handler of exit(3) that ends the process with `kept` or `freed`, as the hub's
/// descriptors are still there then or not.
fn tell_at_exit<const KEPT: i32, const FREED: i32>() {
    static BEFORE: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn at_exit<const KEPT: i32, const FREED: i32>() {
        let is_kept = open_fds() == BEFORE.load(Ordering::Relaxed);
        // SAFETY: nothing of the process is used any more.
        unsafe { libc::_exit(if is_kept { KEPT } else { FREED }) };
    }

    leave_some_parked();
    BEFORE.store(open_fds(), Ordering::Relaxed);
    // SAFETY: the function lives as long as the program.
    assert_eq!(unsafe { libc::atexit(at_exit::<KEPT, FREED>) }, 0);
}

/// The frames below the call of `exit` refer to the hub.
#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_coroutine_and_keeps_its_hub() {
    tell_at_exit::<18, 98>();
    let _ = spawn(|| process::exit(3)).join();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_on_the_root_and_frees_its_hub() {
    tell_at_exit::<99, 19>();
    process::exit(3);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_aborts_in_a_coroutine() {
    leave_some_parked();
    let _ = spawn(|| process::abort()).join();
}

/// A thread-local whose destructor locks, spawns and sleeps, on a thread whose coroutines are
/// parked: what cannot be done any more fails, and the process goes on to its end.
#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_while_a_thread_local_waits() {
    struct Last;

    impl Drop for Last {
        fn drop(&mut self) {
            let lock = corovent::sync::Mutex::new(1);
            assert_eq!(*lock.lock().unwrap(), 1);
            sleep(std::time::Duration::from_micros(10));
            assert!(corovent::thread::Builder::new().spawn(|| ()).is_err());
        }
    }

    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    let thread = os::spawn(|| {
        LAST.set(Some(Last));
        leave_some_parked();
    });
    assert!(thread.join().is_ok());
    process::exit(17);
}
