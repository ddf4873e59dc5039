//! What a subscriber may do while it is told of a switch, and what it may not.

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::panic::catch_unwind;
use std::panic::panic_any;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::Killed;
use corovent::debug;
use corovent::queue::Queue;
use corovent::spawn;
use corovent::sync::Barrier;
use corovent::sync::Condvar;
use corovent::sync::Event as Signal;
use corovent::sync::Mutex;
use corovent::sync::Semaphore;
use corovent::sync::TryLockError;
use corovent::sync::mpsc;
use corovent::yield_now;
use tracing::dispatcher;
use tracing::info;
use tracing::info_span;
use tracing::span::Id;

use crate::log::Log;
use crate::log::Told;
use crate::support;

thread_local! {
    /// Whether the subscriber of the test that runs here does its mischief.
    static ARMED: Cell<bool> = const { Cell::new(false) };
    /// Which span it does not leave.
    static STUBBORN: RefCell<Option<Id>> = const { RefCell::new(None) };
    /// Whom it kills.
    static VICTIM: RefCell<Option<JoinHandle<()>>> = const { RefCell::new(None) };
}

/// Two coroutines with spans, and what they log: the subscriber is armed while they only switch.
/// They leave and enter spans 28 times then.
#[track_caller]
fn check_two(log: &Log) {
    support::run(|| {
        let (start, end) = (Rc::new(Signal::new()), Rc::new(Barrier::new(2)));
        let worker = |name: &'static str| {
            let (start, end) = (Rc::clone(&start), Rc::clone(&end));
            spawn(move || {
                let _outer = info_span!("outer").entered();
                let _inner = info_span!("inner").entered();
                start.wait();
                ARMED.set(true);
                for _ in 0..3 {
                    yield_now();
                }
                if end.wait().is_leader() {
                    ARMED.set(false);
                }
                info!("{name}");
            })
        };
        let handles = [worker("one"), worker("two")];
        support::until_waiting(2);
        start.set();
        spawn(|| info!("outside")).join().unwrap();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        // What the subscriber has spawned.
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
    log.check(&["outer:inner: one", "outer:inner: two", "outside"]);
}

#[test]
fn a_subscriber_may_panic() {
    for when in [Told::Enter, Told::Exit] {
        let (log, _guard) = Log::set_with(move |told, _| {
            if ARMED.get() && told == when {
                panic!("on purpose: {told:?}");
            }
        });
        check_two(&log);
    }
}

/// As it does by the code of a span's last handle.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("on purpose: the payload too");
    }
}

#[test]
fn what_a_subscriber_panics_with_may_panic() {
    let (log, _guard) = Log::set_with(|_, name| {
        if ARMED.get() && name == "inner" {
            panic_any(Explosive);
        }
    });
    check_two(&log);
}

/// While the coroutine unwinds as well, and another waits in the middle of an unwinding.
#[test]
fn a_subscriber_may_panic_while_its_coroutine_unwinds() {
    struct Waits;

    impl Drop for Waits {
        fn drop(&mut self) {
            ARMED.set(true);
            yield_now();
            ARMED.set(false);
            info!("waited");
        }
    }

    let (log, _guard) = Log::set_with(|told, _| {
        if ARMED.get() && told != Told::Close {
            panic!("on purpose");
        }
    });
    support::run(|| {
        let start = Rc::new(Signal::new());
        let unwinding = || {
            let start = Rc::clone(&start);
            spawn(move || {
                let _span = info_span!("span").entered();
                start.wait();
                let _waits = Waits;
                panic!("on purpose: the coroutine");
            })
        };
        let handles = [unwinding(), unwinding()];
        support::until_waiting(2);
        start.set();
        let plain = spawn(|| {
            yield_now();
            yield_now();
            // Whoever unwinds, it is not this one: a wait may begin.
            catch_unwind(|| corovent::sleep(Duration::from_millis(1))).unwrap();
        });
        plain.join().unwrap();
        handles.into_iter().for_each(|handle| assert!(handle.join().is_err()));
    });
    log.check(&["span: waited", "span: waited"]);
}

/// Each kind of wait is refused, and the wait that the subscriber is told of goes on.
#[test]
fn a_subscriber_may_not_wait() {
    let locked: &'static Mutex<()> = Box::leak(Box::new(Mutex::new(())));
    let permits: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let signal: &'static Signal = Box::leak(Box::new(Signal::new()));
    let queue: &'static Queue<u32> = Box::leak(Box::new(Queue::unbounded()));
    let free: &'static Mutex<()> = Box::leak(Box::new(Mutex::new(())));
    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(3)));
    let waits: [(&str, fn(Shared)); 13] = [
        ("yield", |_| yield_now()),
        ("sleep", |_| corovent::sleep(Duration::from_millis(1))),
        ("lock", |shared| drop(shared.locked.lock())),
        ("acquire", |shared| drop(shared.permits.acquire())),
        ("event", |shared| _ = shared.signal.wait()),
        ("queue", |shared| _ = shared.queue.get()),
        // Nor has it arrived.
        ("barrier", |shared| _ = shared.barrier.wait()),
        ("condvar", |shared| {
            let guard = shared.free.try_lock().unwrap_or_else(|error| match error {
                TryLockError::Poisoned(poisoned) => poisoned.into_inner(),
                TryLockError::WouldBlock => panic!("locked for ever"),
            });
            drop(Condvar::new().wait(guard));
        }),
        ("park", |_| corovent::thread::park()),
        ("join", |_| drop(spawn(|| ()).join())),
        ("recv", |_| _ = mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(1))),
        ("blocking", |_| corovent::threadpool::blocking(|| ())),
        ("file", |_| drop(corovent::fs::metadata("/"))),
    ];
    let shared = Shared { locked, free, barrier, permits, signal, queue };
    for (name, wait) in waits {
        let refused = Arc::new(AtomicUsize::new(0));
        let (log, _guard) = Log::set_with({
            let refused = Arc::clone(&refused);
            move |_, _| {
                if ARMED.get() {
                    let payload = catch_unwind(|| wait(shared)).unwrap_err();
                    let message = payload.downcast_ref::<&str>().copied().unwrap_or("another");
                    assert!(message.contains("a subscriber of tracing waits"), "{message}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let held = locked.lock().unwrap();
        check_two(&log);
        drop(held);
        assert_eq!(refused.load(Ordering::Relaxed), 28, "{name}");
    }
}

/// What waits need that a subscriber tries.
#[derive(Clone, Copy)]
struct Shared {
    locked: &'static Mutex<()>,
    free: &'static Mutex<()>,
    barrier: &'static Barrier,
    permits: &'static Semaphore,
    signal: &'static Signal,
    queue: &'static Queue<u32>,
}

/// The panic reaches the runtime when the subscriber does not catch it.
#[test]
fn a_refused_wait_is_a_panic_of_the_subscriber() {
    let (log, _guard) = Log::set_with(|_, _| {
        if ARMED.get() {
            yield_now();
        }
    });
    check_two(&log);
}

/// A wake that the subscriber gives to the task itself, just before that is suspended, counts;
/// and sending by the thousand does not make it yield.
#[test]
fn a_subscriber_may_wake_spawn_and_send() {
    let (sender, receiver) = mpsc::channel();
    let spawned = Arc::new(AtomicUsize::new(0));
    let (log, _guard) = Log::set_with({
        let spawned = Arc::clone(&spawned);
        move |told, name| {
            if ARMED.get() && told == Told::Exit {
                ARMED.set(false);
                (0..1000).for_each(|n| sender.send((n, name)).unwrap());
                let spawned = Arc::clone(&spawned);
                spawn(move || spawned.fetch_add(1, Ordering::Relaxed));
            }
        }
    });
    support::run(|| {
        let reader = spawn(move || {
            let _span = info_span!("reader").entered();
            ARMED.set(true);
            assert_eq!(receiver.recv(), Ok((0, "reader")));
            assert_eq!(receiver.try_iter().count(), 999);
            info!("read");
        });
        reader.join().unwrap();
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
    log.check(&["reader: read"]);
    assert_eq!(spawned.load(Ordering::Relaxed), 1);
}

#[test]
fn a_subscriber_may_kill_whom_it_is_told_of() {
    let (log, _guard) = Log::set_with(|told, _| {
        if ARMED.get() && told == Told::Exit {
            ARMED.set(false);
            VICTIM.with_borrow(|victim| assert!(victim.as_ref().unwrap().kill()));
        }
    });
    support::run(|| {
        let victim = spawn(|| {
            let _span = info_span!("victim").entered();
            ARMED.set(true);
            corovent::sleep(Duration::from_secs(1000));
        });
        VICTIM.set(Some(victim));
        while log.count(Told::Exit, "victim") == 0 {
            yield_now();
        }
        let victim = VICTIM.take().unwrap();
        assert!(victim.join().unwrap_err().is::<Killed>());
        info!("root");
    });
    log.check(&["root"]);
    assert_eq!(log.count(Told::Close, "victim"), 1);
}

/// A dump resumes those that wait: not the one whose subscriber asks, which waits and runs.
#[test]
fn a_subscriber_may_ask_for_a_dump() {
    let (log, _guard) = Log::set_with(|_, _| {
        if ARMED.get() {
            let dump = debug::dump_with_backtraces().to_string();
            assert!(dump.contains("subscribers"), "{dump}");
        }
    });
    check_two(&log);
}

/// It enters each span anew that it is told to leave.
#[test]
fn a_subscriber_that_always_has_a_current_span_ends_no_program() {
    let exits = Arc::new(AtomicUsize::new(0));
    let (log, _guard) = Log::set_with({
        let exits = Arc::clone(&exits);
        move |told, _| {
            if ARMED.get() && told == Told::Exit {
                exits.fetch_add(1, Ordering::Relaxed);
                let id = STUBBORN.with_borrow(Clone::clone).unwrap();
                dispatcher::get_default(|subscriber| subscriber.enter(&id));
            }
        }
    });
    support::run(|| {
        let stubborn = spawn(|| {
            let span = info_span!("stubborn").entered();
            STUBBORN.set(span.id());
            ARMED.set(true);
            yield_now();
            ARMED.set(false);
            info!("goes on");
        });
        stubborn.join().unwrap();
    });
    log.check(&["stubborn: goes on"]);
    assert!(exits.load(Ordering::Relaxed) > 1);
}

/// The last handle to a subscriber may be the one that was kept for a coroutine that waits.
#[test]
fn a_subscriber_may_be_replaced_while_a_coroutine_waits() {
    let (first, guard) = Log::set();
    support::run(|| {
        let signal = Rc::new(Signal::new());
        let waiting = spawn({
            let signal = Rc::clone(&signal);
            move || {
                let _span = info_span!("first").entered();
                signal.wait();
                info!("to the second");
            }
        });
        support::until_waiting(1);
        drop(guard);
        let (second, _guard) = Log::set();
        let other = spawn(|| {
            let _span = info_span!("second").entered();
            yield_now();
            info!("inside");
        });
        signal.set();
        waiting.join().unwrap();
        other.join().unwrap();
        second.check(&["to the second", "second: inside"]);
    });
    first.check(&[]);
    assert_eq!(first.count(Told::Close, "first"), 1);
}

/// The subscriber that is asked at a switch is the thread's. Spans of one that was replaced stay
/// entered there, until their guards are dropped.
#[test]
fn a_subscriber_that_was_replaced_is_told_of_no_switch() {
    let (first, _guard) = Log::set();
    support::run(|| {
        let signal = Rc::new(Signal::new());
        let waiting = spawn({
            let signal = Rc::clone(&signal);
            move || {
                let outer = info_span!("first").entered();
                let (second, guard) = Log::set();
                let inner = info_span!("second").entered();
                signal.wait();
                info!("inside");
                drop(inner);
                drop(guard);
                info!("back");
                drop(outer);
                second.check(&["other", "second: inside"]);
            }
        });
        support::until_waiting(1);
        info!("other");
        signal.set();
        waiting.join().unwrap();
    });
    first.check(&["first: back"]);
    let expected = [Told::Enter, Told::Exit, Told::Close].map(|told| (told, "first"));
    assert_eq!(first.others(), expected);
}

/// In a process of its own, since the first that is set counts for all threads.
#[test]
fn without_a_subscriber_nothing_happens() {
    const NAME: &str = "subscribers::without_a_subscriber_nothing_happens";

    if env::var_os("COROVENT_TEST_ALONE").is_none() {
        let exe = env::current_exe().unwrap();
        let mut command = Command::new(exe);
        let command = command.args([NAME, "--exact"]).env("COROVENT_TEST_ALONE", "1");
        let output = command.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{output:?}");
        return;
    }
    support::run(|| {
        let _root = info_span!("root").entered();
        let waiting = spawn(|| {
            let _span = info_span!("span").entered();
            yield_now();
            assert!(tracing::Span::current().is_disabled());
        });
        waiting.join().unwrap();
    });
    assert!(!dispatcher::has_been_set());
    // One that is set later is told of what is entered from then on.
    let (log, _guard) = Log::set();
    support::run(|| {
        let waiting = spawn(|| {
            let _span = info_span!("span").entered();
            yield_now();
            info!("inside");
        });
        thread::yield_now();
        waiting.join().unwrap();
    });
    log.check(&["span: inside"]);
}
