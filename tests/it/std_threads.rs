//! Threads and coroutines: what std's own tests expect, with the imports swapped, and what
//! the types of `thread` implement.
//!
//! The cases are those of library/std/src/thread/tests.rs and library/std/tests/thread.rs of
//! Rust 1.95, written anew. Those about channels are about park tokens and joins here.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::thread;
use corovent::thread::Builder;
use corovent::thread::JoinHandle;
use corovent::thread::Scope;
use corovent::thread::ScopedJoinHandle;
use corovent::thread::Thread;
use corovent::thread::ThreadId;

use crate::mirror::differences;
use crate::mirror::implements;
use crate::support::is_message;
use crate::support::run;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// Runs a case on the root, in a coroutine, and on a thread that has no hub at first.
#[track_caller]
fn everywhere(case: fn()) {
    run(case);
    run(|| thread::spawn(case).join().unwrap());
    os::spawn(case).join().unwrap();
}

#[test]
fn names() {
    everywhere(|| {
        thread::spawn(|| assert!(thread::current().name().is_none())).join().unwrap();
        let named = || Builder::new().name("ada lovelace".to_string());
        let check = || assert_eq!(thread::current().name(), Some("ada lovelace"));
        let task = named().spawn(check).unwrap();
        assert_eq!(task.thread().name(), Some("ada lovelace"));
        task.join().unwrap();
        thread::scope(|scope| drop(named().spawn_scoped(scope, check).unwrap()));
        // No name is too long.
        let long = "green ".repeat(100);
        let task = Builder::new().name(long.clone()).spawn(move || {
            assert_eq!(thread::current().name(), Some(long.as_str()));
        });
        task.unwrap().join().unwrap();
    });
}

#[test]
fn a_name_with_a_zero_byte_panics() {
    let name = || Builder::new().name("ada l\0velace".to_string());
    let spawn = || drop(name().spawn(|| {}));
    let theirs = || drop(os::Builder::new().name("ada l\0velace".to_string()).spawn(|| {}));
    let scoped = || thread::scope(|scope| drop(name().spawn_scoped(scope, || {})));
    for case in [&spawn as &dyn Fn(), &theirs, &scoped] {
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case)).unwrap_err();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap();
        assert!(text.starts_with("thread name may not contain interior null bytes"), "{text}");
    }
}

#[test]
fn is_finished_becomes_true() {
    everywhere(|| {
        let task = thread::spawn(|| {
            thread::park();
            1234
        });
        thread::yield_now();
        assert!(!task.is_finished());
        task.thread().unpark();
        while !task.is_finished() {
            thread::sleep(SHORT);
        }
        assert_eq!(task.join().unwrap(), 1234);
    });
}

#[test]
fn payloads_of_panics_arrive_as_they_were_thrown() {
    struct Juju;

    everywhere(|| {
        assert!(thread::spawn(|| -> () { panic!() }).join().is_err());
        let text = thread::spawn(|| -> () { panic!("static string") }).join().unwrap_err();
        assert_eq!(*text.downcast::<&'static str>().unwrap(), "static string");
        let text = thread::spawn(|| -> () { panic_any("owned".to_string()) }).join().unwrap_err();
        assert_eq!(*text.downcast::<String>().unwrap(), "owned");
        let boxed = || -> () { panic_any(Box::new(413u16) as Box<dyn Any + Send>) };
        let inner = thread::spawn(boxed).join().unwrap_err();
        let inner = inner.downcast::<Box<dyn Any + Send>>().unwrap();
        assert_eq!(*inner.downcast::<u16>().unwrap(), 413);
        assert!(thread::spawn(|| -> () { panic_any(Juju) }).join().unwrap_err().is::<Juju>());
    });
}

/// A chain in which each spawns the next, all detached but for a shared count.
#[test]
fn detached_spawns_of_spawns_run() {
    fn next(left: u32, count: Rc<Cell<u32>>) {
        count.set(count.get() + 1);
        if left > 0 {
            thread::spawn(move || next(left - 1, count));
        }
    }

    everywhere(|| {
        let count = Rc::new(Cell::new(0));
        thread::spawn({
            let count = Rc::clone(&count);
            move || next(10, count)
        });
        while count.get() < 11 {
            thread::yield_now();
        }
        // The last has still to end.
        thread::yield_now();
    });
}

#[test]
fn the_body_is_not_copied() {
    type Body = Box<dyn Fn() -> usize + Send>;

    let spawners: [fn(Body) -> usize; 2] = [
        |body| thread::spawn(body).join().unwrap(),
        |body| thread::scope(|scope| scope.spawn(body).join().unwrap()),
    ];
    run(|| {
        for spawn in spawners {
            let value = Box::new(1);
            let there = std::ptr::from_ref(&*value).addr();
            assert_eq!(spawn(Box::new(move || std::ptr::from_ref(&*value).addr())), there);
        }
    });
}

#[test]
fn parks_and_unparks() {
    everywhere(|| {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park();
            thread::current().unpark();
            thread::park_timeout(LONG);
            thread::park_timeout(SHORT);
        }
        // The start of what is spawned does not use up the token.
        for park in [thread::park, || thread::park_timeout(LONG)] {
            let parked = thread::current();
            let task = thread::spawn(move || {
                thread::sleep(SHORT);
                parked.unpark();
            });
            park();
            task.join().unwrap();
        }
    });
}

#[test]
fn sleeps_and_their_old_names() {
    everywhere(|| {
        #[allow(deprecated, reason = "std has them still")]
        let sleeps: [(u64, fn()); 4] = [
            (2, || thread::sleep(Duration::from_millis(2))),
            (2, || thread::sleep_ms(2)),
            (2, || thread::sleep_until(Instant::now() + Duration::from_millis(2))),
            (0, || thread::park_timeout_ms(2)),
        ];
        for (least_ms, sleep) in sleeps {
            let start = Instant::now();
            sleep();
            assert!(start.elapsed() >= Duration::from_millis(least_ms));
        }
        let past = Instant::now();
        thread::sleep_until(past);
    });
    run(|| {
        let woken = Rc::new(Cell::new(false));
        let task = thread::spawn({
            let woken = Rc::clone(&woken);
            move || {
                thread::sleep(Duration::new(u64::MAX, 0));
                woken.set(true);
            }
        });
        thread::sleep(Duration::from_millis(10));
        assert!(!woken.get());
        assert!(task.kill_timeout(LONG));
    });
}

#[test]
fn ids_tell_all_apart() {
    assert_eq!(size_of::<Option<ThreadId>>(), size_of::<ThreadId>());
    everywhere(|| {
        assert_eq!(thread::current().id(), thread::current().id());
        let mut ids = HashSet::from([thread::current().id()]);
        for _ in 0..10 {
            let task = thread::spawn(|| thread::current().id());
            let named = task.thread().id();
            let own = task.join().unwrap();
            assert_eq!(own, named);
            assert!(ids.insert(own));
        }
        for _ in 0..3 {
            assert!(ids.insert(os::spawn(|| thread::current().id()).join().unwrap()));
        }
    });
}

/// A thread that ends keeps its number, whatever of it is destroyed already.
#[test]
fn a_thread_that_ends_keeps_its_id_and_name() {
    struct Asks(Cell<Option<ThreadId>>);

    impl Drop for Asks {
        fn drop(&mut self) {
            let own = thread::current();
            assert_eq!(Some(own.id()), self.0.get());
            assert_eq!(own.name(), Some("ends"));
            CHECKED.fetch_add(1, Ordering::Relaxed);
        }
    }

    static CHECKED: AtomicU32 = AtomicU32::new(0);

    std::thread_local! {
        // One is destroyed before what `current` keeps, the other after it.
        static BEFORE: Asks = const { Asks(Cell::new(None)) };
        static AFTER: Asks = const { Asks(Cell::new(None)) };
    }

    let body = || {
        AFTER.with(|_| ());
        let id = thread::current().id();
        BEFORE.with(|asks| asks.0.set(Some(id)));
        AFTER.with(|asks| asks.0.set(Some(id)));
    };
    os::Builder::new().name("ends".to_owned()).spawn(body).unwrap().join().unwrap();
    assert_eq!(CHECKED.load(Ordering::Relaxed), 2);
}

/// Of a thread's own stack it is that of the thread, whether there is a hub or not. That the
/// main thread's is `main` is checked by `tests/abort/smoke.rs`, which has one.
#[test]
fn the_name_of_a_root_is_that_of_its_thread() {
    everywhere(|| {
        if !corovent::is_coroutine() {
            assert_eq!(thread::current().name(), os::current().name());
        }
    });
    let body = || assert_eq!(thread::current().name(), Some("named"));
    os::Builder::new().name("named".to_owned()).spawn(body).unwrap().join().unwrap();
}

#[test]
fn a_scope_waits_for_what_the_drop_of_a_result_spawns() {
    struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env>, &'env AtomicBool);

    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            thread::sleep(SHORT);
            let finished = self.1;
            self.0.spawn(move || {
                thread::sleep(SHORT);
                finished.store(true, Ordering::Relaxed);
            });
        }
    }

    everywhere(|| {
        let finished = &AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(SHORT);
                Spawns(scope, finished)
            });
        });
        assert!(finished.load(Ordering::Relaxed));
    });
}

/// Mostly that it compiles.
#[test]
#[allow(clippy::match_single_binding, reason = "it is what has to compile")]
fn a_scoped_closure_may_look_at_a_borrow_without_using_it() {
    fn look(value: &u8) {
        thread::scope(|scope| {
            scope.spawn(|| match value {
                _ => (),
            });
        });
    }

    run(|| look(&42));
}

#[test]
fn a_scope_and_its_coroutines_see_each_others_writes() {
    everywhere(|| {
        let flag = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| flag.store(true, Ordering::Relaxed));
            }
            for _ in 0..5 {
                scope.spawn(|| flag.load(Ordering::Relaxed));
            }
        });
        assert!(flag.into_inner());
    });
}

#[test]
fn the_processors_are_counted() {
    assert_eq!(thread::available_parallelism().unwrap(), os::available_parallelism().unwrap());
}

/// Code that was written for std's bounds.
#[test]
fn generic_code_with_stds_bounds_compiles() {
    fn spawn_all<T, F>(bodies: Vec<F>) -> thread::Result<Vec<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handles: Vec<JoinHandle<T>> = bodies.into_iter().map(thread::spawn).collect();
        handles.into_iter().map(JoinHandle::join).collect()
    }

    fn spawn_scoped<'scope, 'env, F>(
        scope: &'scope Scope<'scope, 'env>,
        body: F,
    ) -> ScopedJoinHandle<'scope, u8>
    where
        F: FnOnce() -> u8 + Send + 'scope,
    {
        Builder::new().stack_size(64 * 1024).spawn_scoped(scope, body).unwrap()
    }

    run(|| {
        assert_eq!(spawn_all(vec![|| 1, || 2]).unwrap(), [1, 2]);
        let boxed: Box<dyn FnOnce() -> u8 + Send> = Box::new(|| 3);
        assert_eq!(spawn_all(vec![boxed]).unwrap(), [3]);
        let lent = 4;
        assert_eq!(thread::scope(|scope| spawn_scoped(scope, || lent).join().unwrap()), 4);
        let shared = Arc::new(5);
        // SAFETY: it borrows nothing.
        let task = unsafe { Builder::new().spawn_unchecked(move || *shared) }.unwrap();
        assert_eq!(task.join().unwrap(), 5);
    });
}

/// A handle outlives what it names, and waking that is nothing.
#[test]
fn a_thread_handle_outlives_its_coroutine() {
    run(|| {
        let task = thread::spawn(|| ());
        let handle: Thread = task.thread().clone();
        task.join().unwrap();
        handle.unpark();
        assert!(handle.name().is_none());
        // A token of one is not for another in the same place.
        let next = thread::spawn(|| thread::park_timeout(SHORT));
        assert_ne!(next.thread().id(), handle.id());
        next.join().unwrap();
    });
}

#[test]
fn the_texts_are_stds() {
    run(|| {
        let task = thread::spawn(|| ());
        let theirs = os::spawn(|| ());
        assert_eq!(format!("{task:?}"), format!("{theirs:?}"));
        task.join().unwrap();
        theirs.join().unwrap();
        thread::scope(|scope| {
            let task = scope.spawn(|| ());
            os::scope(|other| {
                assert_eq!(format!("{task:?}"), format!("{:?}", other.spawn(|| ())));
            });
            let text = format!("{scope:?}");
            let expected = "Scope { num_running_threads: 1, a_thread_panicked: false, .. }";
            assert_eq!(text, expected);
        });
        let named = || Builder::new().name("named".to_owned()).stack_size(1 << 20);
        let expected = "Builder { name: Some(\"named\"), stack_size: Some(1048576), .. }";
        assert_eq!(format!("{:?}", named()), expected);
        let task = named().spawn(thread::current).unwrap();
        let own = task.join().unwrap();
        let expected = format!("Thread {{ id: {:?}, name: Some(\"named\"), .. }}", own.id());
        assert_eq!(format!("{own:?}"), expected);
        assert!(format!("{:?}", own.id()).starts_with("ThreadId("));
    });
}

#[test]
fn a_scoped_panic_has_stds_text() {
    run(|| {
        let ours = std::panic::catch_unwind(|| {
            thread::scope(|scope| drop(scope.spawn(|| panic!("unjoined"))));
        });
        assert!(is_message(&*ours.unwrap_err(), "a scoped thread panicked"));
    });
}

#[test]
fn the_traits_are_stds() {
    use std::fmt::Debug;
    use std::fmt::Display;
    use std::hash::Hash;
    use std::panic::RefUnwindSafe;
    use std::panic::UnwindSafe;

    macro_rules! same {
        ($($ours:ty, $std:ty;)*) => {
            $(assert_eq!(
                differences!(
                    $ours, $std: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug, Display,
                    Clone, Copy, PartialEq, Eq, Hash, std::error::Error
                ),
                [],
                stringify!($ours)
            );)*
        };
    }

    type NotSend = *const u8;

    same! {
        Thread, os::Thread;
        ThreadId, os::ThreadId;
        Builder, os::Builder;
        JoinHandle<u8>, os::JoinHandle<u8>;
        ScopedJoinHandle<'static, u8>, os::ScopedJoinHandle<'static, u8>;
        Scope<'static, 'static>, os::Scope<'static, 'static>;
        thread::AccessError, os::AccessError;
        thread::LocalKey<u8>, os::LocalKey<u8>;
        thread::LocalKey<NotSend>, os::LocalKey<NotSend>;
        thread::LocalKey<Cell<u8>>, os::LocalKey<Cell<u8>>;
    }
    // The first of the two differences on purpose: `Send` demands it of the result.
    let send = differences!(JoinHandle<NotSend>, os::JoinHandle<NotSend>: Send, Sync);
    assert_eq!(send, [("Send", false, true)]);
    let send = differences!(
        ScopedJoinHandle<'static, NotSend>, os::ScopedJoinHandle<'static, NotSend>: Send, Sync
    );
    // Nothing of the result is reached through a shared handle.
    assert_eq!(send, [("Sync", true, false)]);
}
