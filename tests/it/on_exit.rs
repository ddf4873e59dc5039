//! Closures called at a coroutine's end, and coroutines that start after a while.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Abandoned;
use corovent::Builder;
use corovent::Deadlock;
use corovent::ExitHook;
use corovent::JoinHandle;
use corovent::Outcome;
use corovent::debug;
use corovent::remote;
use corovent::sleep;
use corovent::spawn;
use corovent::spawn_after;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::Log;
use crate::support::assert_fifo;
use crate::support::child;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::resident_bytes;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);

/// Lets others run until no coroutine is left.
fn settle() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

/// Has the end of a coroutine written down.
fn log_exit<T>(task: &JoinHandle<T>, log: &Log, word: &str) -> ExitHook {
    let (log, word) = (log.clone(), word.to_owned());
    task.on_exit(move |outcome| log.add(format!("{word}:{outcome:?}")))
}

#[test]
fn each_end_is_told() {
    type End = fn(&JoinHandle<()>);

    let nothing: End = |_| ();
    let kill: End = |task| assert!(task.kill());
    let kill_later: End = |task| {
        yield_now();
        assert!(task.kill());
    };
    let cases: [(fn(), End, Outcome); 5] = [
        (|| (), nothing, Outcome::Returned),
        (|| panic!("as expected"), nothing, Outcome::Panicked),
        (park, kill, Outcome::Killed),
        (park, kill_later, Outcome::Killed),
        (|| panic!("as expected"), kill, Outcome::Killed),
    ];
    for (body, end, expected) in cases {
        for joined in [true, false] {
            run(|| {
                let log = Log::new();
                let task = spawn(body);
                log_exit(&task, &log, "a");
                assert_eq!(task.outcome(), None);
                end(&task);
                if joined {
                    assert_eq!(task.join().is_ok(), expected == Outcome::Returned);
                } else {
                    drop(task);
                    settle();
                }
                settle();
                assert_eq!(log.text(), format!("a:{expected:?}"));
            });
        }
    }
}

#[test]
fn the_outcome_stays_until_the_result_is_taken() {
    run(|| {
        let tasks = [spawn(|| ()), spawn(|| panic!("as expected")), spawn(park)];
        tasks[2].kill();
        settle();
        let outcomes = tasks.each_ref().map(JoinHandle::outcome);
        let expected = [Outcome::Returned, Outcome::Panicked, Outcome::Killed];
        assert_eq!(outcomes, expected.map(Some));
        corovent::group::join_all(tasks);
    });
}

/// gevent's greenlet-link tests: the order of a thousand.
#[test]
fn a_thousand_are_called_in_order() {
    run(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let task = spawn(|| ());
        for n in 0..1000 {
            let seen = Rc::clone(&seen);
            task.on_exit(move |_| seen.borrow_mut().push(n));
        }
        task.join().unwrap();
        settle();
        assert_fifo(&seen.borrow(), &(0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn one_that_comes_after_the_end_is_called_later() {
    run(|| {
        let log = Log::new();
        let task = spawn(|| 1);
        settle();
        log_exit(&task, &log, "late");
        assert_eq!(log.text(), "", "not at once");
        until_quiet();
        assert_eq!(log.text(), "late:Returned");
        assert_eq!(task.join().unwrap(), 1);
    });
}

#[test]
fn an_earlier_one_may_cancel_a_later_one() {
    run(|| {
        let log = Log::new();
        let task = spawn(|| ());
        let later: Rc<RefCell<Option<ExitHook>>> = Rc::default();
        task.on_exit({
            let (log, later) = (log.clone(), Rc::clone(&later));
            move |_| log.add(format!("cancels:{}", later.take().unwrap().cancel()))
        });
        let dropped = log.on_drop("dropped");
        let hook = task.on_exit(move |_| {
            let _dropped = dropped;
            unreachable!()
        });
        *later.borrow_mut() = Some(hook);
        let last = log_exit(&task, &log, "last");
        task.join().unwrap();
        assert!(!last.cancel(), "it was called");
        settle();
        assert_eq!(log.text(), "dropped cancels:true last:Returned");
    });
}

#[test]
fn more_may_come_while_they_are_called() {
    run(|| {
        let log = Log::new();
        let task = Rc::new(spawn(|| ()));
        task.on_exit({
            let (log, task) = (log.clone(), Rc::clone(&task));
            move |_| {
                log.add("first");
                log_exit(&task, &log, "new");
            }
        });
        log_exit(&task, &log, "second");
        settle();
        log.assert_fifo("first second:Returned new:Returned");
    });
}

#[test]
fn a_panic_or_a_wait_of_one_harms_no_other() {
    run(|| {
        let log = Log::new();
        let task = spawn(|| 7);
        let before = debug::unjoined_panics();
        task.on_exit(|_| panic!("as expected"));
        task.on_exit(|_| sleep(Duration::from_millis(1)));
        log_exit(&task, &log, "last");
        assert_eq!(task.join().unwrap(), 7);
        settle();
        assert_eq!(log.text(), "last:Returned");
        assert!(debug::unjoined_panics() > before);
    });
}

#[test]
fn it_is_called_after_the_results_destructor() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                on_drop(move || {
                    sleep(Duration::from_millis(1));
                    log.add("result");
                })
            }
        });
        log_exit(&task, &log, "exit");
        drop(task);
        settle();
        assert_eq!(log.text(), "result exit:Returned");
    });
}

#[test]
fn it_is_refused_on_another_thread() {
    run(|| {
        let task = spawn(|| ());
        let task = os::spawn(move || {
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                task.on_exit(|_| ());
            }));
            assert!(refused.is_err());
            task
        });
        task.join().unwrap().join().unwrap();
    });
}

#[test]
fn a_closure_of_another_thread_is_called_on_the_coroutines() {
    run(|| {
        for ended_before in [true, false] {
            let task = spawn(|| ());
            if ended_before {
                yield_now();
            }
            let home = os::current().id();
            let (sender, receiver) = mpsc::channel();
            let other = os::spawn(move || {
                let closure = move |outcome| sender.send((outcome, os::current().id())).unwrap();
                task.on_exit_send(closure).unwrap();
                task
            });
            let hub = remote();
            let task = other.join().unwrap();
            drop(hub);
            task.join().unwrap();
            while debug::counters().coroutines > 0
                || receiver.try_recv().map_or(true, |got| {
                    assert_eq!(got, (Outcome::Returned, home));
                    false
                })
            {
                sleep(Duration::from_micros(100));
            }
        }
    });
}

#[test]
fn registrations_race_with_the_end_and_each_is_called_once() {
    run(|| {
        let rounds = 200;
        let (sender, receiver) = mpsc::channel();
        let hub = remote();
        for n in 0..rounds {
            let task = spawn(yield_now);
            let sender = sender.clone();
            let other = os::spawn(move || {
                for k in 0..5 {
                    let sender = sender.clone();
                    task.on_exit_send(move |_| sender.send((n, k)).unwrap()).unwrap();
                }
            });
            while !other.is_finished() {
                yield_now();
            }
            other.join().unwrap();
        }
        drop((sender, hub));
        let mut seen = Vec::new();
        loop {
            match receiver.try_recv() {
                Ok(got) => seen.push(got),
                Err(mpsc::TryRecvError::Empty) => yield_now(),
                Err(mpsc::TryRecvError::Disconnected) => break,
            }
        }
        settle();
        seen.sort_unstable();
        let expected: Vec<_> = (0..rounds).flat_map(|n| (0..5).map(move |k| (n, k))).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn each_of_another_thread_is_called_or_cancelled() {
    run(|| {
        let called = Arc::new(AtomicUsize::new(0));
        let (mut cancelled, rounds) = (0, 300);
        let hub = remote();
        for n in 0..rounds {
            let called = Arc::clone(&called);
            let task = spawn(move || (0..n % 7).for_each(|_| yield_now()));
            let other = os::spawn(move || {
                let hooks = [(); 4].map(|()| {
                    let called = Arc::clone(&called);
                    let count = move |_| {
                        called.fetch_add(1, Ordering::Relaxed);
                    };
                    task.on_exit_send(count).unwrap()
                });
                hooks.into_iter().map(ExitHook::cancel).filter(|own| *own).count()
            });
            while !other.is_finished() {
                yield_now();
            }
            cancelled += other.join().unwrap();
        }
        while called.load(Ordering::Relaxed) + cancelled < 4 * rounds {
            yield_now();
        }
        settle();
        drop(hub);
        assert_eq!(called.load(Ordering::Relaxed) + cancelled, 4 * rounds);
    });
}

#[test]
fn one_of_another_thread_is_not_overtaken_by_a_later_one() {
    run(|| {
        let log = Log::new();
        let task = Arc::new(spawn(|| ()));
        let hub = remote();
        until_quiet();
        let (sender, receiver) = mpsc::channel();
        let other = Arc::clone(&task);
        let send = move || {
            other.on_exit_send(move |_| sender.send(()).unwrap()).unwrap();
        };
        // This thread waits without its hub, which has read no message when it goes on.
        os::spawn(send).join().unwrap();
        task.on_exit({
            let log = log.clone();
            move |_| log.add(format!("after the other: {}", receiver.try_recv().is_ok()))
        });
        settle();
        drop(hub);
        assert_eq!(log.text(), "after the other: true");
    });
}

#[test]
fn one_that_holds_the_handle_itself_leaves_nothing() {
    for (is_cancelled, has_run) in [(false, false), (false, true), (true, false), (true, true)] {
        run(|| {
            let log = Log::new();
            let task = Rc::new(spawn(park));
            let hook = task.on_exit({
                let (task, dropped) = (Rc::clone(&task), log.on_drop("dropped"));
                move |_| drop((task, dropped))
            });
            if has_run {
                yield_now();
            }
            task.kill();
            drop(task);
            assert_eq!(is_cancelled && hook.cancel(), is_cancelled);
            settle();
            assert_eq!(log.text(), "dropped");
        });
    }
}

#[test]
fn those_that_are_cancelled_do_not_pile_up() {
    passes("on_exit::child_cancels");
}

#[test]
#[ignore = "measures the memory of its process"]
fn child_cancels() {
    run(|| {
        let task = spawn(park);
        let before = resident_bytes();
        for _ in 0..300_000 {
            assert!(task.on_exit(|_| unreachable!()).cancel());
        }
        let grown = resident_bytes().saturating_sub(before);
        // They would take 20 MB at least.
        assert!(grown < 8 << 20, "{grown} bytes more");
        task.kill();
        assert!(was_killed(task));
    });
}

#[test]
fn what_waits_when_its_thread_ends_is_left_as_it_is() {
    let task = os::spawn(|| {
        let task = spawn(park);
        task.on_exit_send(|_| unreachable!()).unwrap();
        until_quiet();
        task
    });
    let task = task.join().unwrap();
    assert_eq!(task.outcome(), Some(Outcome::Abandoned));
    let dropped = Arc::new(());
    let own = Arc::clone(&dropped);
    assert_eq!(task.on_exit_send(move |_| drop(own)).unwrap_err(), Abandoned);
    assert_eq!(Arc::strong_count(&dropped), 1, "the closure was dropped");
    assert!(task.join().unwrap_err().is::<Abandoned>());
}

#[test]
fn a_run_that_is_over_kills_those_that_have_not_begun() {
    run(|| {
        let restarts = Rc::new(RefCell::new(0));
        let count = Rc::clone(&restarts);
        corovent::run(|| {
            // It would start itself anew for ever.
            fn supervise(restarts: Rc<RefCell<u32>>) {
                spawn(park).on_exit(move |_| {
                    *restarts.borrow_mut() += 1;
                    supervise(Rc::clone(&restarts));
                });
            }
            supervise(count);
            until_quiet();
        });
        assert_eq!(*restarts.borrow(), 0);
        assert_eq!(Rc::strong_count(&restarts), 1, "it was dropped");
    });
}

#[test]
fn a_delayed_one_starts_in_time_and_in_order() {
    run(|| {
        loop {
            let start = Instant::now();
            let log = Log::new();
            let tasks = [3, 1, 2].map(|n| {
                let log = log.clone();
                spawn_after(Duration::from_millis(5 * n), move || {
                    assert!(start.elapsed() >= Duration::from_millis(5 * n));
                    log.add(n.to_string());
                    n
                })
            });
            // Who is held up in between gives them times in another order.
            let was_held_up = start.elapsed() >= Duration::from_millis(5);
            assert_eq!(tasks.map(|task| task.join().unwrap()), [3, 1, 2]);
            if !was_held_up {
                log.assert_fifo("1 2 3");
                break;
            }
        }
        assert_eq!(spawn_after(Duration::ZERO, || 1).join().unwrap(), 1);
    });
}

#[test]
fn one_that_is_killed_before_its_time_never_runs() {
    run(|| {
        let log = Log::new();
        for delay in [Duration::ZERO, LONG, Duration::MAX] {
            for waits in [true, false] {
                let dropped = log.on_drop("dropped");
                let task = spawn_after(delay, move || {
                    let _dropped = dropped;
                    unreachable!()
                });
                log_exit(&task, &log, "exit");
                assert!(task.kill());
                if waits {
                    assert!(task.kill_timeout(LONG));
                }
                assert!(was_killed(task));
                assert_eq!(debug::counters().timers, 0);
                settle();
            }
        }
        assert_eq!(log.text(), ["dropped exit:Killed"; 6].join(" "));
    });
}

#[test]
fn what_a_killed_one_has_captured_is_dropped_in_a_coroutine() {
    run(|| {
        let log = Log::new();
        let own = log.clone();
        let captured = on_drop(move || {
            assert!(corovent::is_coroutine());
            sleep(Duration::from_millis(1));
            own.add("dropped");
        });
        let task = spawn_after(LONG, move || drop(captured));
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "dropped");
    });
}

#[test]
fn a_delayed_one_counts_and_shows_in_the_table() {
    run(|| {
        let task = Builder::new().name("late".to_owned()).spawn_after(LONG, || ()).unwrap();
        assert_eq!(debug::counters().coroutines, 1);
        assert_eq!(debug::counters().timers, 1);
        let dump = debug::dump();
        let late = dump.tasks().find(|task| task.name() == Some("late")).unwrap();
        assert_eq!(late.waits_for().as_deref(), Some("time to start"));
        drop(dump);
        let handle = task.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(debug::counters().timers, 1, "only its own is left");
        handle.kill();
        assert!(was_killed(handle));
        // Something can still wake, so this is no deadlock.
        let before = debug::deadlock(debug::Scope::Hub);
        spawn_after(Duration::from_millis(5), || ()).join().unwrap();
        debug::deadlock(before);
    });
}

#[test]
fn one_whose_time_never_comes_is_a_deadlock() {
    passes("on_exit::child_never");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_never() {
    debug::deadlock(debug::Scope::Hub);
    let task = spawn_after(Duration::MAX, || ());
    let joined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.join()));
    assert!(joined.unwrap_err().is::<Deadlock>());
}

#[test]
fn a_run_ends_those_that_wait_for_their_time() {
    run(|| {
        let value = Rc::new(());
        let own = Rc::clone(&value);
        corovent::run(|| {
            spawn_after(LONG, move || drop(own));
        });
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn a_waiting_one_takes_no_stack() {
    run(|| {
        let before = crate::support::resident_bytes();
        let tasks: Vec<_> = (0..20_000).map(|_| spawn_after(LONG, || ())).collect();
        let grown = crate::support::resident_bytes().saturating_sub(before);
        assert!(grown < 20_000 * 2_048, "{} bytes each", grown / 20_000);
        assert_eq!(corovent::group::kill_all(&tasks), 20_000);
        corovent::group::join_all(tasks);
    });
}

#[test]
fn it_stays_when_the_spawner_ends() {
    let output = child("on_exit::child_thread_ends");
    assert!(output.status.success());
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_thread_ends() {
    let value = Arc::new(());
    let own = Arc::clone(&value);
    let task = os::spawn(move || spawn_after(LONG, move || drop(own))).join().unwrap();
    assert!(task.join().unwrap_err().is::<Abandoned>());
    assert_eq!(Arc::strong_count(&value), 2, "left as it is");
}
