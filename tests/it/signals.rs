//! Signals of the operating system as wakeups.

use std::time::Duration;

use corovent::signal;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::passes;
use crate::support::run;

#[test]
fn signals_wake_all_who_wait_for_them() {
    passes("signals::child_waits_for_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_for_signals() {
    /// To the calling thread: the handler has run when this returns. One that is sent to the
    /// process may come on another thread, and later.
    fn raise(signal: i32) {
        // SAFETY: raise(3) has no preconditions.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    run(|| {
        let first = spawn(|| signal::wait(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap());
        let second = spawn(|| signal::wait(&[libc::SIGUSR1]).unwrap());
        yield_now();
        raise(libc::SIGUSR1);
        assert_eq!(first.join().unwrap(), libc::SIGUSR1);
        assert_eq!(second.join().unwrap(), libc::SIGUSR1);

        // One that comes while nobody waits is kept, once.
        raise(libc::SIGUSR2);
        raise(libc::SIGUSR2);
        assert_eq!(signal::wait(&[libc::SIGUSR2]).unwrap(), libc::SIGUSR2);
        let late = timeout(Duration::from_millis(3), || signal::wait(&[libc::SIGUSR2]));
        assert!(late.is_err());

        // From a thread that has no hub, to a coroutine that is killed: nothing is lost.
        let killed = spawn(|| signal::wait(&[libc::SIGUSR2]));
        yield_now();
        killed.kill();
        assert!(killed.join().is_err());
        std::thread::spawn(|| raise(libc::SIGUSR2)).join().unwrap();
        assert_eq!(signal::wait(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap(), libc::SIGUSR2);

        // Many waits do not use descriptors up.
        let fds = crate::support::open_fds();
        for _ in 0..100 {
            let _ = timeout(Duration::ZERO, || signal::wait(&[libc::SIGUSR1]));
        }
        assert_eq!(crate::support::open_fds(), fds);
    });
}

#[test]
fn a_wait_for_a_signal_is_no_deadlock() {
    passes("signals::child_is_woken_by_a_signal");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_is_woken_by_a_signal() {
    run(|| {
        corovent::debug::deadlock(corovent::debug::Scope::Hub);
        let pid = std::process::id().to_string();
        let mut kill = std::process::Command::new("sh")
            .args(["-c", &format!("sleep 0.05; kill -USR1 {pid}")])
            .spawn()
            .unwrap();
        assert_eq!(signal::wait(&[libc::SIGUSR1]).unwrap(), libc::SIGUSR1);
        kill.wait().unwrap();
    });
}

#[test]
fn signals_that_cannot_be_waited_for_are_refused() {
    run(|| {
        for signal in [0, -1, 65, 1000, libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
            let error = signal::wait(&[signal]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{signal}");
        }
    });
}

/// Each thread ends with a coroutine that waits: its place is not lost, though nobody will
/// ever leave it.
#[test]
fn waits_of_threads_that_have_ended_take_no_place() {
    passes("signals::child_ends_threads_that_wait_for_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_ends_threads_that_wait_for_signals() {
    run(|| {
        for _ in 0..300 {
            std::thread::spawn(|| {
                drop(spawn(|| signal::wait(&[libc::SIGUSR1])));
                yield_now();
                assert_eq!(corovent::debug::counters().waiting, 1);
            })
            .join()
            .unwrap();
        }
        let waiter = spawn(|| signal::wait(&[libc::SIGUSR1]));
        yield_now();
        // SAFETY: raise(3) has no preconditions.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        assert_eq!(waiter.join().unwrap().unwrap(), libc::SIGUSR1);
        // As many waits at once as there are places.
        let waiters: Vec<_> = (0..256).map(|_| spawn(|| signal::wait(&[libc::SIGUSR1]))).collect();
        yield_now();
        let error = signal::wait(&[libc::SIGUSR1]).unwrap_err();
        assert!(error.to_string().contains("too many waits"), "{error}");
        // SAFETY: as above.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        let heard = waiters.into_iter().map(|waiter| waiter.join().unwrap().unwrap());
        assert!(heard.collect::<Vec<_>>().iter().all(|signal| *signal == libc::SIGUSR1));
    });
}
