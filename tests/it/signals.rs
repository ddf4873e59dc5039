//! Signals of the operating system as wakeups.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use corovent::debug;
use corovent::signal;
use corovent::signal::Signals;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::child_command;
use crate::support::passes;
use crate::support::run;
use crate::support::until_waiting;
use crate::support::was_killed;

/// Sends a signal to this thread, which has handled it when this returns; one for the process
/// could be handled by another thread, later.
fn raise(signal: i32) {
    // SAFETY: raise(3) takes no pointer.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Lets the coroutines of this hub come to their ends.
fn until_alone() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

#[test]
fn signals_wake_all_who_wait_for_them() {
    passes("signals::child_waits_for_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_for_signals() {
    run(|| {
        let first = spawn(|| signal::wait(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap());
        let second = spawn(|| signal::wait(&[libc::SIGUSR1]).unwrap());
        until_waiting(2);
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
        until_waiting(1);
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
        for signal in [0, -1, 32, 65, 1000, libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
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
                until_waiting(1);
            })
            .join()
            .unwrap();
        }
        let waiter = spawn(|| signal::wait(&[libc::SIGUSR1]));
        until_waiting(1);
        raise(libc::SIGUSR1);
        assert_eq!(waiter.join().unwrap().unwrap(), libc::SIGUSR1);
        assert!(crate::support::open_fds() < 50, "the places are taken over");
        // There is no limit but that of descriptors.
        let waiters: Vec<_> = (0..400).map(|_| spawn(|| signal::wait(&[libc::SIGUSR1]))).collect();
        until_waiting(400);
        raise(libc::SIGUSR1);
        let heard = waiters.into_iter().map(|waiter| waiter.join().unwrap().unwrap());
        assert!(heard.collect::<Vec<_>>().iter().all(|signal| *signal == libc::SIGUSR1));
    });
}

/// The action in force for a signal.
fn action_of(signal: i32) -> libc::sigaction {
    // SAFETY: all zeros is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the action is writable.
    assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) }, 0);
    action
}

#[test]
fn what_cannot_be_heard_is_not_caught() {
    passes("signals::child_cannot_listen");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_cannot_listen() {
    let kept = Signals::new(&[signal::SIGUSR2]).unwrap();
    let both = [signal::SIGUSR1, signal::SIGUSR2, libc::SIGKILL];
    assert_eq!(Signals::new(&both).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the record is writable.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = 0;
    // SAFETY: the record is readable.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    // The bell of the call that failed is there still, and taken here.
    let _taken = Signals::new(&[signal::SIGUSR2]).unwrap();
    let error = Signals::new(&[signal::SIGTERM]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    assert_eq!(action_of(signal::SIGUSR1).sa_sigaction, libc::SIG_DFL);
    assert_eq!(action_of(signal::SIGTERM).sa_sigaction, libc::SIG_DFL);
    // What others hear stays caught.
    raise(signal::SIGUSR2);
    assert_eq!(kept.try_wait(), Some(signal::SIGUSR2));
}

#[test]
fn a_handler_for_which_there_is_no_room_catches_nothing() {
    passes("signals::child_has_no_room_for_a_handler");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_no_room_for_a_handler() {
    run(|| {
        // The bell is there, and the heap has room, before the limit is set.
        drop(signal::on(&[signal::SIGUSR2], |_| ()).unwrap());
        let mut tasks = Vec::with_capacity(10_000);
        drop(Vec::<u8>::with_capacity(1 << 20));
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the record is writable.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) }, 0);
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        let tight = libc::rlimit { rlim_cur: pages * 4096 + (1 << 20), ..limit };
        // SAFETY: the record is readable.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const tight) }, 0);
        let full = loop {
            match corovent::Builder::new().spawn(yield_now) {
                Ok(task) => tasks.push(task),
                Err(error) => break error,
            }
        };
        let refused = signal::on(&[signal::SIGUSR1], |_| ()).map(drop);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        assert_eq!(refused.unwrap_err().kind(), full.kind());
        assert_eq!(action_of(signal::SIGUSR1).sa_sigaction, libc::SIG_DFL);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// One hub clears the bell of which the other is yet to be told.
#[test]
fn every_signal_finds_one_of_those_who_share_a_listener() {
    passes("signals::child_shares_a_listener");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_shares_a_listener() {
    run(|| {
        // Named twice, heard once.
        let kinds = [signal::SIGUSR1, signal::SIGUSR1];
        let signals = Arc::new(Signals::new(&kinds).unwrap());
        let there = Arc::clone(&signals);
        let ((waits, is_waiting), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
        let other = std::thread::spawn(move || {
            let waiter = spawn(move || there.wait().unwrap());
            until_waiting(1);
            waits.send(()).unwrap();
            // Its hub is stopped meanwhile.
            may_go.recv().unwrap();
            waiter.join().unwrap()
        });
        is_waiting.recv().unwrap();
        raise(signal::SIGUSR1);
        raise(signal::SIGUSR1);
        assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
        go.send(()).unwrap();
        assert_eq!(other.join().unwrap(), signal::SIGUSR1);
        assert_eq!(signals.try_wait(), None);
    });
}

/// std unmaps the stack for handlers that it has given to the main thread, while that goes on.
#[test]
fn an_exit_on_another_thread_harms_no_handler_on_main() {
    let status = child_command("signals::child_exits_beside_main").output().unwrap().status;
    assert_eq!(status.code(), Some(7), "{status}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_beside_main() {
    static HEARD: OnceLock<Signals> = OnceLock::new();

    extern "C" fn signal_main() {
        let pid = libc::c_long::from(std::process::id() as i32);
        // SAFETY: the call takes no pointer.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGUSR1) };
        assert_eq!(sent, 0);
        while HEARD.get().unwrap().try_wait().is_none() {
            std::thread::yield_now();
        }
    }

    HEARD.set(Signals::new(&[signal::SIGUSR1]).unwrap()).unwrap();
    // SAFETY: the function may be called at any exit.
    assert_eq!(unsafe { libc::atexit(signal_main) }, 0);
    let exit = std::thread::spawn(|| std::process::exit(7));
    let _ = exit.join();
}

/// Between its waits a listener misses nothing, whatever others are told.
#[test]
fn a_listener_hears_each_signal_once() {
    passes("signals::child_listens");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_listens() {
    run(|| {
        let both = [signal::SIGUSR1, signal::SIGUSR2];
        let (first, second) = (Signals::new(&both).unwrap(), Signals::new(&both).unwrap());
        assert_eq!(first.try_wait(), None);
        raise(signal::SIGUSR1);
        raise(signal::SIGUSR2);
        raise(signal::SIGUSR2);
        // A wait that ends by one of several, and others that are told of the rest.
        assert_eq!(signal::wait(&both).unwrap(), signal::SIGUSR1);
        assert_eq!(signal::wait(&both).unwrap(), signal::SIGUSR2);
        for listener in [&first, &second] {
            let heard: Vec<i32> = listener.iter().take(3).map(|signal| signal.unwrap()).collect();
            assert_eq!(heard, [signal::SIGUSR1, signal::SIGUSR2, signal::SIGUSR2]);
            assert_eq!(listener.try_wait(), None);
        }
        // A signal that was heard by a listener is not kept for a wait.
        raise(signal::SIGUSR1);
        assert_eq!(second.wait().unwrap(), signal::SIGUSR1);
        assert!(timeout(Duration::from_millis(2), || signal::wait(&both)).is_err());
        assert_eq!(first.wait().unwrap(), signal::SIGUSR1);
        // One that is made later has not heard it.
        assert_eq!(Signals::new(&both).unwrap().try_wait(), None);

        // Several who wait for one listener share what comes; a kill loses nothing.
        let shared = Rc::new(first);
        let waiter = || {
            let shared = Rc::clone(&shared);
            spawn(move || shared.wait().unwrap())
        };
        let (one, killed, two) = (waiter(), waiter(), waiter());
        until_waiting(3);
        raise(signal::SIGUSR1);
        killed.kill();
        raise(signal::SIGUSR2);
        assert!(was_killed(killed));
        let mut heard = [one.join().unwrap(), two.join().unwrap()];
        heard.sort_unstable();
        assert_eq!(heard, both);
        assert_eq!(shared.try_wait(), None);

        // Real-time signals are delivered one by one.
        let real_time = signal::real_time(3).unwrap();
        let listener = Signals::new(&[real_time, signal::SIGWINCH]).unwrap();
        (0..5).for_each(|_| raise(real_time));
        raise(signal::SIGWINCH);
        assert_eq!((&listener).into_iter().take(5).filter_map(Result::ok).count(), 5);
        assert_eq!(listener.wait().unwrap(), signal::SIGWINCH);
        assert_eq!(format!("{listener:?}"), format!("Signals([{real_time}, 28])"));
    });
}

#[test]
fn a_listener_may_go_to_other_threads() {
    passes("signals::child_sends_its_listener");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_sends_its_listener() {
    run(|| {
        let signals = Arc::new(Signals::new(&[signal::SIGUSR1]).unwrap());
        let (sender, heard) = mpsc::channel();
        let waiters: Vec<_> = (0..4)
            .map(|n| {
                let (signals, sender) = (Arc::clone(&signals), sender.clone());
                std::thread::spawn(move || {
                    let work = move || {
                        for _ in 0..10 {
                            sender.send(signals.wait().unwrap()).unwrap();
                        }
                    };
                    if n % 2 == 0 { work() } else { spawn(work).join().unwrap() }
                })
            })
            .collect();
        for _ in 0..40 {
            raise(signal::SIGUSR1);
            assert_eq!(heard.recv().unwrap(), signal::SIGUSR1);
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(signals.try_wait(), None);
    });
}

#[test]
fn a_handler_runs_in_a_coroutine_for_each_signal() {
    passes("signals::child_handles_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_handles_signals() {
    run(|| {
        let (log, go) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
        let guard = signal::on(&[signal::SIGUSR1, signal::SIGUSR2], {
            let (log, go) = (Rc::clone(&log), Rc::clone(&go));
            move |signal| {
                assert!(corovent::is_coroutine());
                log.borrow_mut().push(signal);
                while go.get() <= usize::from(signal == signal::SIGUSR2) {
                    yield_now();
                }
                log.borrow_mut().push(-signal);
                assert_ne!(signal, signal::SIGUSR2, "a panic harms nobody");
            }
        })
        .unwrap();
        let wait_for = |count: usize| {
            while log.borrow().len() < count {
                sleep(Duration::from_micros(10));
            }
        };
        // It listens already, though its coroutine has not run.
        raise(signal::SIGUSR1);
        wait_for(1);
        // The first run waits still, when another begins.
        raise(signal::SIGUSR2);
        wait_for(2);
        assert_eq!(*log.borrow(), [signal::SIGUSR1, signal::SIGUSR2]);
        go.set(1);
        wait_for(3);
        go.set(2);
        wait_for(4);
        assert_eq!(log.borrow()[2..], [-signal::SIGUSR1, -signal::SIGUSR2]);
        raise(signal::SIGUSR1);
        wait_for(6);

        // One that came before the guard was dropped, and was not seen, is not handled any more.
        yield_now();
        raise(signal::SIGUSR1);
        drop(guard);
        raise(signal::SIGUSR1);
        until_alone();
        assert_eq!(log.borrow().len(), 6);

        // The guard may be dropped on another thread.
        let guard = signal::on(&[signal::SIGUSR1], |_| ()).unwrap();
        yield_now();
        std::thread::spawn(move || drop(guard)).join().unwrap();
        until_alone();
        let error = signal::on(&[libc::SIGKILL], |_| ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    });
    // One that is forgotten ends with its hub.
    corovent::run(|| {
        let count = Rc::new(Cell::new(0));
        let seen = Rc::clone(&count);
        signal::on(&[signal::SIGUSR1], move |_| seen.set(seen.get() + 1)).unwrap().forget();
        raise(signal::SIGUSR1);
        while count.get() == 0 {
            yield_now();
        }
    });
}

#[test]
fn a_handler_can_wake_a_root_that_nothing_else_can() {
    passes("signals::child_is_woken_by_a_handler");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_is_woken_by_a_handler() {
    run(|| {
        let before = debug::deadlock(debug::Scope::Hub);
        let root = corovent::current();
        let guard = signal::on(&[signal::SIGTERM], move |_| root.unpark()).unwrap();
        let pid = std::process::id().to_string();
        let script = format!("sleep 0.05; kill -TERM {pid}");
        let mut kill = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
        park();
        kill.wait().unwrap();
        drop(guard);
        until_alone();
        debug::deadlock(before);
    });
}

#[test]
fn every_hub_has_handlers_of_its_own() {
    passes("signals::child_handles_signals_on_many_hubs");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_handles_signals_on_many_hubs() {
    const HUBS: usize = 6;
    const SIGNALS: usize = 20;

    let (sender, handled) = mpsc::channel();
    let threads: Vec<_> = (0..HUBS)
        .map(|hub| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                run(|| {
                    let (count, root) = (Rc::new(Cell::new(0)), corovent::current());
                    let seen = Rc::clone(&count);
                    let ready = sender.clone();
                    let guard = signal::on(&[signal::SIGUSR1], move |_| {
                        seen.set(seen.get() + 1);
                        sender.send(Some(hub)).unwrap();
                        root.unpark();
                    });
                    ready.send(None).unwrap();
                    while count.get() < SIGNALS {
                        park();
                    }
                    drop(guard);
                    until_alone();
                });
            })
        })
        .collect();
    (0..HUBS).for_each(|_| assert_eq!(handled.recv().unwrap(), None));
    for _ in 0..SIGNALS {
        raise(signal::SIGUSR1);
        let mut hubs: Vec<_> = (0..HUBS).map(|_| handled.recv().unwrap().unwrap()).collect();
        hubs.sort_unstable();
        assert_eq!(hubs, (0..HUBS).collect::<Vec<_>>());
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// SIGCHLD takes no child from those who wait for one.
#[test]
fn the_signal_of_children_is_one_like_any_other() {
    passes("signals::child_handles_sigchld");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_handles_sigchld() {
    run(|| {
        let count = Rc::new(Cell::new(0));
        let seen = Rc::clone(&count);
        let guard = signal::on(&[signal::SIGCHLD], move |_| seen.set(seen.get() + 1)).unwrap();
        let green = corovent::process::Command::new("sh").args(["-c", "exit 3"]).status().unwrap();
        assert_eq!(green.code(), Some(3));
        let stds = std::process::Command::new("sh").args(["-c", "exit 4"]).status().unwrap();
        assert_eq!(stds.code(), Some(4));
        while count.get() < 2 {
            sleep(Duration::from_micros(10));
        }
        drop(guard);
        until_alone();
    });
}

#[test]
fn a_signal_that_is_reset_does_what_it_did_before() {
    let status = |test: &str| child_command(test).output().unwrap().status;
    assert_eq!(status("signals::child_resets_sigterm").signal(), Some(signal::SIGTERM));
    passes("signals::child_resets_sighup");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_resets_sigterm() {
    let first = Signals::new(&[signal::SIGTERM]).unwrap();
    raise(signal::SIGTERM);
    assert_eq!(first.wait().unwrap(), signal::SIGTERM);
    // Twice: the handler stays.
    raise(signal::SIGTERM);
    assert_eq!(first.wait().unwrap(), signal::SIGTERM);
    signal::reset(signal::SIGTERM).unwrap();
    raise(signal::SIGTERM);
    unreachable!("its default is to end the process");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_resets_sighup() {
    run(|| {
        // As under nohup(1).
        // SAFETY: to ignore a signal calls no code.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        let signals = Signals::new(&[signal::SIGHUP]).unwrap();
        raise(signal::SIGHUP);
        assert_eq!(signals.wait().unwrap(), signal::SIGHUP);
        for _ in 0..2 {
            signal::reset(signal::SIGHUP).unwrap();
            raise(signal::SIGHUP);
            assert_eq!(signals.try_wait(), None);
        }
        // Caught again, and those who listened before hear it again.
        let again = Signals::new(&[signal::SIGHUP]).unwrap();
        raise(signal::SIGHUP);
        assert_eq!(again.try_wait(), Some(signal::SIGHUP));
        assert_eq!(signals.try_wait(), Some(signal::SIGHUP));
        // What was never caught, or is no signal, is left alone.
        for signal in [signal::SIGUSR1, 0, -1, 65] {
            signal::reset(signal).unwrap();
        }
    });
}

/// A handler in the kernel's sense has some kilobytes of registers to put down: not on the
/// stack of a coroutine.
#[test]
fn no_handler_runs_on_the_stack_of_a_coroutine() {
    passes("signals::child_has_alternate_stacks");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_alternate_stacks() {
    /// Whether this thread has a stack for handlers.
    fn has_alternate_stack() -> bool {
        // SAFETY: all zeros is a valid record.
        let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: the record is writable.
        assert_eq!(unsafe { libc::sigaltstack(std::ptr::null(), &raw mut stack) }, 0);
        stack.ss_flags & libc::SS_DISABLE == 0
    }

    /// A thread that std has not started has none until it has a hub.
    extern "C" fn foreign(count: *mut libc::c_void) -> *mut libc::c_void {
        // AddressSanitizer gives one to every thread.
        assert!(cfg!(feature = "sanitizer") || !has_alternate_stack());
        assert!(spawn(has_alternate_stack).join().unwrap());
        // SAFETY: the pointer is that of the counter, which outlives the thread.
        let count = unsafe { &*count.cast::<AtomicUsize>() };
        count.fetch_add(1, Ordering::SeqCst);
        std::ptr::null_mut()
    }

    run(|| {
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let action = action_of(libc::SIGUSR1);
        assert_ne!(action.sa_flags & libc::SA_ONSTACK, 0);
        assert_ne!(action.sa_flags & libc::SA_RESTART, 0);
        assert!(has_alternate_stack());
        assert!(spawn(has_alternate_stack).join().unwrap());
        assert!(blocking(|| spawn(has_alternate_stack).join().unwrap()));
        let count = AtomicUsize::new(0);
        let argument = (&raw const count).cast_mut().cast();
        // SAFETY: zero is as good as any value, since the call replaces it.
        let mut thread: libc::pthread_t = unsafe { std::mem::zeroed() };
        let attributes = std::ptr::null();
        // SAFETY: the function may be a thread's, and its argument outlives it.
        let made = unsafe { libc::pthread_create(&raw mut thread, attributes, foreign, argument) };
        assert_eq!(made, 0);
        // SAFETY: the thread was made and is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        // And one that is deep in the smallest stack hears a signal.
        let small = corovent::Builder::new().stack_size(1 << 16);
        small.spawn(|| raise(signal::SIGUSR1)).unwrap().join().unwrap();
        assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
    });
}

/// A server that serves a request when it gets SIGTERM, once or twice.
#[test]
fn the_first_sigterm_drains_and_the_second_exits() {
    for is_impatient in [false, true] {
        let mut command = child_command("signals::child_drains");
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let port = hear(&mut said, "port ");
        let address = format!("127.0.0.1:{port}");
        let mut request = std::net::TcpStream::connect(&address).unwrap();
        request.write_all(b"begin\n").unwrap();
        let mut answers = BufReader::new(request.try_clone().unwrap());
        assert_eq!(line(&mut answers), "begun\n");

        send(&server, signal::SIGTERM);
        hear(&mut said, "draining");
        let refused = std::net::TcpStream::connect(&address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        if is_impatient {
            send(&server, signal::SIGTERM);
            assert_eq!(server.wait().unwrap().code(), Some(3));
            assert_eq!(line(&mut answers), "", "the connection is gone");
        } else {
            request.write_all(b"end\n").unwrap();
            assert_eq!(line(&mut answers), "done\n");
            hear(&mut said, "drained");
            assert!(server.wait().unwrap().success());
        }
    }
}

/// Reads lines until one begins with a word, and gives its rest.
fn hear(said: &mut impl BufRead, word: &str) -> String {
    loop {
        let line = line(said);
        assert!(!line.is_empty(), "it has ended and not said {word:?}");
        // What libtest has said before may be on the same line.
        if let Some((_, rest)) = line.split_once(word) {
            return rest.trim_end().to_owned();
        }
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    // A connection that is reset is as good as one that has ended.
    let _ = from.read_line(&mut line);
    line
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child was not waited for, so the number is its own.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_drains() {
    fn serve(stream: &corovent::net::TcpStream) -> std::io::Result<()> {
        let mut requests = BufReader::new(stream);
        requests.read_line(&mut String::new())?;
        (&mut &*stream).write_all(b"begun\n")?;
        requests.read_line(&mut String::new())?;
        (&mut &*stream).write_all(b"done\n")
    }

    run(|| {
        let listener = corovent::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Rc::new(RefCell::new(Vec::new()));
        let accepting = spawn({
            let served = Rc::clone(&served);
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    let task = spawn(move || serve(&stream).unwrap());
                    served.borrow_mut().push(task);
                }
            }
        });
        let (root, count) = (corovent::current(), Cell::new(0));
        let guard = signal::on(&[signal::SIGTERM], move |_| {
            count.set(count.get() + 1);
            if count.get() > 1 {
                std::process::exit(3);
            }
            assert!(accepting.kill_timeout(Duration::from_secs(60)));
            println!("draining");
            root.unpark();
        });
        println!("port {port}");
        park();
        let served = served.take();
        served.into_iter().for_each(|task| task.join().unwrap());
        drop(guard);
        until_alone();
        println!("drained");
    });
}
