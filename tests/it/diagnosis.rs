//! What a program can be asked about itself: counts, parts that must not wait, hints.

use std::cell::RefCell;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use corovent::Builder;
use corovent::debug;
use corovent::net::TcpListener;
use corovent::scope;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Mutex;
use corovent::testing;
use corovent::thread;
use corovent::timeout;
use corovent::yield_now;

use crate::support::passes;
use crate::support::run;

/// What a closure panics with.
#[track_caller]
fn message<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) else { panic!("no panic") };
    let text = payload.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| (*payload.downcast_ref::<&str>().expect("a message")).to_owned())
}

#[test]
fn stats_count_what_became_of_coroutines() {
    run(|| {
        let before = debug::stats();
        let done = spawn(|| 1);
        let parked = spawn(thread::park);
        let ready = debug::stats();
        assert_eq!((ready.live, ready.ready, ready.parked), (2, 2, 0));
        assert_eq!(done.join().unwrap(), 1);
        let now = debug::stats();
        assert_eq!((now.live, now.ready, now.parked), (1, 0, 1));
        assert_eq!(now.stacks_live, 1);
        // One run each, and the root's after its wait.
        assert_eq!(now.switches - before.switches, 3);
        let inside = Builder::new().spawn(debug::stats).unwrap().join().unwrap();
        assert_eq!((inside.live, inside.ready, inside.parked), (2, 0, 1));
        assert!(spawn(|| panic!("on purpose")).join().is_err());
        assert!(parked.kill());
        assert!(parked.join().is_err());
        let unborn = spawn(|| unreachable!("it never runs"));
        unborn.kill();
        assert!(unborn.join().is_err());
        let now = debug::stats();
        assert_eq!(now.spawned - before.spawned, 5);
        assert_eq!(now.panicked - before.panicked, 1);
        assert_eq!(now.killed - before.killed, 2);
        assert_eq!((now.live, now.stacks_live, now.timers), (0, 0, 0));
        assert!(now.stacks_pooled >= 1);
    });
}

#[test]
fn stats_count_turns_events_and_what_is_registered() {
    run(|| {
        let before = debug::stats();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || listener.accept().unwrap());
        let sleeper = spawn(|| sleep(Duration::from_secs(600)));
        yield_now();
        let now = debug::stats();
        assert_eq!((now.descriptors, now.timers, now.parked), (1, 1, 2));
        let client = std::net::TcpStream::connect(addr).unwrap();
        server.join().unwrap();
        drop(client);
        let now = debug::stats();
        assert!(now.events > before.events);
        assert!(now.turns > before.turns);
        sleeper.kill();
        assert!(sleeper.join().is_err());
    });
}

#[test]
fn the_longest_run_is_no_shorter_than_any() {
    run(|| {
        let time = Duration::from_millis(30);
        let hog = spawn(move || {
            let start = std::time::Instant::now();
            while start.elapsed() < time {}
        });
        hog.join().unwrap();
        assert!(debug::stats().longest_run >= time);
    });
}

#[test]
fn stats_of_a_thread_without_a_hub_are_zero() {
    let stats = std::thread::spawn(debug::stats).join().unwrap();
    assert_eq!((stats.live, stats.spawned, stats.switches), (0, 0, 0));
}

#[test]
fn a_part_that_must_not_wait_panics_at_every_wait() {
    let check = || {
        assert_eq!(debug::no_wait(|| 7), 7);
        let text = message(|| debug::no_wait(yield_now));
        assert!(text.contains("inside of debug::no_wait at tests/it/diagnosis.rs:"), "{text}");
        #[cfg(feature = "backtrace")]
        assert_eq!(text.matches("diagnosis.rs:").count(), 2, "{text}");
        let text = message(|| debug::no_wait(|| sleep(Duration::from_secs(600))));
        assert!(text.contains("sleep"), "{text}");
        message(|| debug::no_wait(thread::park));
        message(|| debug::no_wait(|| spawn(|| ()).join()));
        // Inside of what holds off kills, or has a deadline of its own.
        message(|| debug::no_wait(|| shield(thread::park)));
        message(|| debug::no_wait(|| timeout(Duration::from_secs(600), thread::park)));
        // A lock that is free needs no wait.
        let lock = Mutex::new(1);
        assert_eq!(debug::no_wait(|| *lock.lock().unwrap()), 1);
        // Afterwards everything waits as before.
        yield_now();
        sleep(Duration::from_millis(1));
    };
    run(|| {
        check();
        spawn(check).join().unwrap();
    });
}

#[test]
fn parts_that_must_not_wait_nest_and_end_with_an_unwinding() {
    run(|| {
        debug::no_wait(|| {
            debug::no_wait(|| ());
            message(yield_now);
            // Caught inside: the outer part goes on.
            message(|| debug::no_wait(|| panic!("on purpose")));
            message(yield_now);
        });
        yield_now();
        // A timeout inside does not end the part around it.
        debug::no_wait(|| {
            assert_eq!(timeout(Duration::from_secs(600), || 1), Ok(1));
            message(yield_now);
        });
        yield_now();
    });
}

#[test]
fn only_the_coroutine_itself_must_not_wait() {
    run(|| {
        let other = debug::no_wait(|| spawn(|| sleep(Duration::from_millis(1))));
        other.join().unwrap();
        // A scope whose children are to be waited for ends them first.
        let text = message(|| {
            debug::no_wait(|| {
                scope(|scope| {
                    scope.spawn(thread::park);
                });
            })
        });
        assert!(text.contains("debug::no_wait"), "{text}");
        assert_eq!(debug::stats().live, 0);
    });
}

#[test]
fn a_wait_is_asserted_and_its_value_given() {
    run(|| {
        // A thread without a hub has nobody to let run.
        spawn(|| ()).join().unwrap();
        let check = || {
            testing::assert_waits(yield_now);
            assert_eq!(testing::assert_waits(|| spawn(|| 3).join().unwrap()), 3);
            let text = message(|| testing::assert_waits(|| 3));
            assert!(text.contains("was to wait"), "{text}");
        };
        check();
        spawn(check).join().unwrap();
    });
}

#[test]
fn a_panic_about_a_borrow_says_how_to_find_it() {
    let text = passes("diagnosis::borrows_across_a_wait");
    assert_eq!(text.matches("hold that borrow across a wait").count(), 1, "{text}");
    assert!(text.contains("coroutine 'second'"), "{text}");
    assert!(text.contains("the user's hook"), "{text}");
}

#[test]
#[ignore = "run by a_panic_about_a_borrow_says_how_to_find_it"]
fn borrows_across_a_wait() {
    thread_local!(static CELL: RefCell<u32> = const { RefCell::new(0) });

    panic::set_hook(Box::new(|info| eprintln!("the user's hook: {info}")));
    // Nobody else could hold it: no hint.
    message(|| CELL.with_borrow_mut(|_| CELL.with_borrow(|_| ())));
    spawn(|| ()).join().unwrap();
    message(|| CELL.with_borrow_mut(|_| CELL.with_borrow(|_| ())));
    let holder = spawn(|| CELL.with_borrow_mut(|_| thread::park()));
    yield_now();
    let second = Builder::new().name("second".to_owned()).spawn(|| CELL.set(1)).unwrap();
    assert!(second.join().is_err());
    // Another panic has no such line.
    assert!(spawn(|| panic!("on purpose")).join().is_err());
    holder.kill();
    assert!(holder.join().is_err());
    // And this is how it is found.
    let holder = || debug::no_wait(|| CELL.with_borrow_mut(|_| thread::park()));
    assert!(spawn(holder).join().is_err());
}
