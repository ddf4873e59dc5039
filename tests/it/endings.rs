//! What is left when a thread, or the process, ends: of its hub and of its coroutines.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::Abandoned;
use corovent::JoinHandle;
use corovent::remote;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::yield_now;

use crate::support::child;
use crate::support::mappings;
use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;

#[test]
fn joiners_of_a_thread_that_ends_are_told() {
    run(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let go_on = Arc::new(Barrier::new(2));
        let thread = os::spawn({
            let go_on = Arc::clone(&go_on);
            move || {
                let parked = spawn(|| {
                    park();
                    1
                });
                let new = spawn(|| 2);
                yield_now();
                let never_ran = spawn(|| 3);
                drop(new);
                sender.send((parked, never_ran)).unwrap();
                go_on.wait();
            }
        });
        let (parked, never_ran): (JoinHandle<i32>, JoinHandle<i32>) = receiver.recv().unwrap();
        // One waits already, in a coroutine; the other asks when all is over.
        let joiner = spawn(move || parked.join());
        yield_now();
        go_on.wait();
        assert!(joiner.join().unwrap().unwrap_err().is::<Abandoned>());
        thread.join().unwrap();
        assert!(never_ran.is_finished());
        assert!(!never_ran.kill());
        assert!(never_ran.join().unwrap_err().is::<Abandoned>());
    });
}

/// A coroutine that is sent to a hub whose thread ends before it looks.
#[test]
fn one_that_was_sent_too_late_is_abandoned() {
    run(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (go_on, gone) = std::sync::mpsc::channel::<()>();
        let thread = os::spawn(move || {
            spawn(|| ()).join().unwrap();
            sender.send(remote()).unwrap();
            assert!(gone.recv().is_err());
        });
        let hub = receiver.recv().unwrap();
        let sent = hub.spawn(|| 5).unwrap();
        drop(go_on);
        thread.join().unwrap();
        assert!(sent.join().unwrap_err().is::<Abandoned>());
    });
}

#[test]
fn a_remote_handle_outlives_its_hub() {
    let hub = os::spawn(|| {
        spawn(|| ()).join().unwrap();
        remote()
    })
    .join()
    .unwrap();
    let value = Arc::new(());
    let held = Arc::clone(&value);
    let error = hub.spawn(move || drop(held)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    assert_eq!(Arc::strong_count(&value), 1, "the closure was dropped");
    drop(hub.clone());
}

/// What is parked when its thread ends is left as it is: no destructor runs.
#[test]
fn a_thread_that_ends_runs_no_destructor_of_its_coroutines() {
    let count = Arc::new(AtomicU64::new(0));
    os::spawn({
        let count = Arc::clone(&count);
        move || {
            for _ in 0..10 {
                let count = Arc::clone(&count);
                spawn(move || {
                    let _guard = crate::support::on_drop(move || {
                        count.fetch_add(1, Ordering::SeqCst);
                    });
                    park();
                });
            }
            yield_now();
            let never_ran = Arc::clone(&count);
            spawn(move || drop(never_ran));
        }
    })
    .join()
    .unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&count), 1 + 10 + 1, "they still hold it");
}

#[test]
fn a_wait_on_a_hub_that_has_ended_is_refused() {
    // A waiter whose thread has ended is passed over: see the unit tests of the queue.
    let parked = os::spawn(|| {
        let task = spawn(park);
        yield_now();
        let thread = task.thread().clone();
        drop(task);
        thread
    })
    .join()
    .unwrap();
    // Nobody is there any more; nothing happens, and nothing breaks.
    parked.unpark();
    parked.unpark();
}

/// A thousand threads with a hub each, some with coroutines that never end.
#[test]
fn threads_with_hubs_leave_no_descriptor_and_no_mapping() {
    passes("endings::child_makes_a_thousand_hubs");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_makes_a_thousand_hubs() {
    let hub_thread = || {
        os::spawn(|| {
            let tasks: Vec<_> = (0..10).map(|n| spawn(move || n)).collect();
            assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>(), 45);
            sleep(Duration::from_micros(10));
            let listener = corovent::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let client = corovent::net::TcpStream::connect(listener.local_addr().unwrap());
            let _ = (listener.accept().unwrap(), client.unwrap());
        })
        .join()
        .unwrap();
    };
    (0..20).for_each(|_| hub_thread());
    let (fds, maps) = (open_fds(), mappings());
    (0..1000).for_each(|_| hub_thread());
    assert_eq!(open_fds(), fds);
    assert!(mappings() <= maps + 2, "{} mappings, {maps} before", mappings());
    // With coroutines left parked the descriptors go too; their slabs stay.
    for _ in 0..20 {
        os::spawn(|| {
            drop(spawn(park));
            yield_now();
        })
        .join()
        .unwrap();
    }
    assert_eq!(open_fds(), fds);
}

/// A thread-local's destructor that waits, while a coroutine that parked before could be
/// woken: it may hold a reference into a thread-local that is gone, so it is not resumed.
#[test]
fn a_wait_in_a_thread_locals_destructor_resumes_nobody() {
    let text = passes("endings::child_waits_in_a_thread_locals_destructor");
    assert_eq!(text.matches("the destructor has slept").count(), 3, "{text}");
    assert!(!text.contains("was resumed"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_in_a_thread_locals_destructor() {
    struct Waits(Cell<bool>);
    impl Drop for Waits {
        fn drop(&mut self) {
            sleep(Duration::from_millis(20));
            assert!(corovent::Builder::new().spawn(|| ()).is_err(), "no coroutine starts");
            eprintln!("the destructor has slept");
        }
    }
    thread_local! {
        static EARLY: Waits = const { Waits(Cell::new(false)) };
        static LATE: Waits = const { Waits(Cell::new(false)) };
        static IN_COROUTINE: Waits = const { Waits(Cell::new(false)) };
    }

    os::spawn(|| {
        EARLY.with(|early| early.0.set(true));
        spawn(|| {
            IN_COROUTINE.with(|local| {
                sleep(Duration::from_millis(1));
                local.0.set(true);
                eprintln!("a coroutine was resumed in the middle of the thread's end");
            });
        });
        yield_now();
        LATE.with(|late| late.0.set(true));
    })
    .join()
    .unwrap();
}

/// However deep and in whatever state the thread was when it made its hub.
#[test]
fn the_end_of_a_thread_is_seen_however_its_hub_was_made() {
    let text = passes("endings::child_makes_hubs_in_many_ways");
    assert_eq!(text.matches("the destructor has slept").count(), MAKERS.len(), "{text}");
    assert!(!text.contains("was resumed"), "{text}");
}

const MAKERS: [fn(); 5] = [
    || spawn(|| ()).join().unwrap(),
    || in_depth(100),
    || {
        let unwinding = std::panic::catch_unwind(|| {
            let _guard = on_drop(|| spawn(|| ()).join().unwrap());
            panic!("the hub is made in the middle of this");
        });
        assert!(unwinding.is_err());
    },
    || assert!(corovent::timeout(Duration::from_millis(1), park).is_err()),
    || {
        let mut foreign = corosensei::Coroutine::new(|_: &corosensei::Yielder<(), ()>, ()| {
            spawn(|| ()).join().unwrap();
        });
        assert!(matches!(foreign.resume(()), corosensei::CoroutineResult::Return(())));
    },
];

fn in_depth(levels: u32) {
    let frame = std::hint::black_box([levels; 16]);
    match levels {
        0 => spawn(|| ()).join().unwrap(),
        _ => in_depth(frame[3] - 1),
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_makes_hubs_in_many_ways() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            yield_now();
            sleep(Duration::from_millis(1));
            park_timeout(Duration::from_millis(1));
            assert!(!corovent::is_coroutine());
            assert_eq!(corovent::debug::counters(), corovent::debug::Counters::default());
            eprintln!("the destructor has slept");
        }
    }
    thread_local! {
        static WAITS: Waits = const { Waits };
        static HELD: Vec<u64> = vec![7; 64];
    }

    for make in MAKERS {
        let body = move || {
            make();
            WAITS.with(|_| ());
            spawn(|| {
                HELD.with(|held| {
                    yield_now();
                    eprintln!("a coroutine was resumed that holds {}", held[0]);
                });
            });
            yield_now();
        };
        os::spawn(body).join().unwrap();
    }
}

/// One that is parked could refer into a thread-local that is gone, so there is no place in
/// a thread's end where a hub could be made.
#[test]
fn a_thread_that_is_ending_gets_no_hub() {
    let text = passes("endings::child_asks_for_a_hub_at_its_threads_end");
    assert_eq!(text.matches("the thread is ending: it gets no hub").count(), 2, "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_asks_for_a_hub_at_its_threads_end() {
    struct Asks;
    impl Drop for Asks {
        fn drop(&mut self) {
            let refused = corovent::Builder::new().spawn(|| ()).unwrap_err();
            eprintln!("{refused}");
            // What needs no coroutine works as without a hub.
            yield_now();
            sleep(Duration::from_millis(1));
            assert_eq!(corovent::threadpool::blocking(|| 5), 5);
        }
    }
    thread_local!(static ASKS: Asks = const { Asks });

    // One thread never had a hub, the other has one whose end has not come yet.
    os::spawn(|| ASKS.with(|_| ())).join().unwrap();
    os::spawn(|| {
        spawn(|| ()).join().unwrap();
        ASKS.with(|_| ());
    })
    .join()
    .unwrap();
}

/// The question ends the hub, in the middle of the panic hook that wraps the user's.
#[test]
fn a_panic_hook_may_ask_who_runs_while_its_thread_ends() {
    let text = passes("endings::child_asks_in_its_panic_hook");
    assert!(text.contains("nobody's memory was written to"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_asks_in_its_panic_hook() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            let _ = std::panic::catch_unwind(|| panic!("in a thread-local's destructor"));
        }
    }
    thread_local!(static PANICS: Panics = const { Panics });
    static HELD: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    HELD.lock().unwrap().reserve(1024);
    std::panic::set_hook(Box::new(|_| {
        assert!(!corovent::is_coroutine());
        // Whatever size the memory of the hub had, it is in one of these now.
        let mut held = HELD.lock().unwrap();
        (16..1024).rev().for_each(|words| held.push(vec![0xff; words * 16]));
    }));
    os::spawn(|| {
        spawn(|| ()).join().unwrap();
        PANICS.with(|_| ());
    })
    .join()
    .unwrap();
    let _ = std::panic::take_hook();
    let held = HELD.lock().unwrap();
    assert!(!held.is_empty(), "the hook has run");
    assert!(held.iter().flatten().all(|byte| *byte == 0xff));
    eprintln!("nobody's memory was written to");
}

/// `process::exit` in a coroutine runs the thread-locals' destructors on its own stack,
/// which must not be unmapped by them.
#[test]
fn a_coroutine_may_exit_the_process() {
    for test in [
        "endings::child_exits_in_a_coroutine",
        "endings::child_exits_in_a_scope",
        "endings::child_exits_on_the_root",
    ] {
        let output = child(test);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{test}: {:?} {text}", output.status);
        assert!(!text.contains("was resumed"), "{test}: {text}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_coroutine() {
    drop(spawn(park));
    let exiting = spawn(|| std::process::exit(7));
    let _ = exiting.join();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_on_the_root() {
    drop(spawn(park));
    yield_now();
    std::process::exit(7);
}

/// The thread-local is older than the hub, so its destructor runs after the hub's end: it
/// waits by stopping the thread.
#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_scope() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            sleep(Duration::from_millis(5));
            assert!(corovent::Builder::new().spawn(|| ()).is_err());
        }
    }
    thread_local!(static WAITS: Waits = const { Waits });

    WAITS.with(|_| ());
    spawn(|| {
        sleep(Duration::from_millis(1));
        eprintln!("a coroutine was resumed while the process exits");
    });
    let exiting = spawn(|| {
        corovent::scope(|scope| {
            scope.spawn(|| std::process::exit(7));
        });
    });
    let _ = exiting.join();
}
