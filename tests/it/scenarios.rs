//! What gevent's own test-suite shows of its greenlets, timeouts and hub, where no other module
//! here does: each test names the behaviour that it carries over.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Builder;
use corovent::Deadlock;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::debug;
use corovent::net::TcpStream;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;

use crate::full_listener::FullListener;
use crate::support::Log;
use crate::support::run;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// A kill that waits, of one that never started: however it was spawned, its body does not run
/// and its captures are gone.
#[test]
fn a_kill_that_waits_ends_one_that_never_ran() {
    run(|| {
        let held = Rc::new(());
        let captures = || {
            let held = Rc::clone(&held);
            move || -> () { unreachable!("{held:?}: it was killed before it ran") }
        };
        assert!(spawn(captures()).kill_timeout(LONG));
        assert!(Builder::new().spawn(captures()).unwrap().kill_timeout(LONG));
        scope(|scope| assert!(scope.spawn(captures()).kill_timeout(LONG)));
        let joined = spawn(captures());
        assert!(joined.kill_timeout(LONG));
        assert!(was_killed(joined));
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

/// A kill while connecting and while a name is looked up; what was waited for is given back.
#[test]
fn a_kill_ends_connects_and_lookups() {
    run(|| {
        let full = FullListener::new();
        let addr = full.addr;
        let waits: [Box<dyn Fn()>; 3] = [
            Box::new(move || drop(TcpStream::connect(addr))),
            Box::new(move || drop(TcpStream::connect_timeout(&addr, LONG))),
            // The lookup itself goes on, on its own thread.
            Box::new(|| drop(TcpStream::connect("no.such.host.invalid:80"))),
        ];
        for wait in waits {
            let log = Log::new();
            let task = spawn({
                let log = log.clone();
                move || {
                    let _guard = log.on_drop("destructor");
                    // Should one have ended by itself, the next is ended by the kill.
                    loop {
                        wait();
                    }
                }
            });
            yield_now();
            assert!(task.kill_timeout(LONG));
            assert!(was_killed::<()>(task));
            assert_eq!(log.text(), "destructor");
        }
    });
}

/// A kill comes while another kill's unwinding waits in a destructor: there is one throw.
#[test]
fn a_second_kill_does_not_disturb_the_first() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _last = log.on_drop("last");
                let _guard = crate::support::on_drop(move || {
                    sleep(SHORT);
                    log.add("slept");
                });
                park();
            }
        });
        yield_now();
        assert!(task.kill());
        yield_now();
        assert!(task.kill());
        assert!(task.kill_timeout(LONG));
        assert!(!task.kill());
        assert!(was_killed(task));
        assert_eq!(log.text(), "slept last");
    });
}

/// Killing in turns: the first kills the second, which kills the first while it unwinds.
#[test]
fn two_that_kill_each_other_both_end() {
    run(|| {
        let handles: Rc<RefCell<Vec<JoinHandle<()>>>> = Rc::default();
        let killer = |victim: usize| {
            let handles = Rc::clone(&handles);
            move || {
                let also = Rc::clone(&handles);
                let _guard = crate::support::on_drop(move || {
                    also.borrow()[victim].kill();
                });
                yield_now();
                assert!(handles.borrow()[victim].kill());
                park();
            }
        };
        let both = [spawn(killer(1)), spawn(killer(0))];
        handles.borrow_mut().extend(both);
        while handles.borrow().iter().any(|task| !task.is_finished()) {
            yield_now();
        }
        assert!(handles.take().into_iter().all(was_killed));
    });
}

/// Two that join each other wait for ever: that is found out, not waited for.
#[test]
fn two_that_join_each_other_are_a_deadlock() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        let handles: Rc<RefCell<[Option<JoinHandle<()>>; 2]>> = Rc::default();
        let join = |other: usize| {
            let handles = Rc::clone(&handles);
            move || {
                let other = handles.borrow_mut()[other].take().unwrap();
                drop(other.join());
            }
        };
        corovent::run(|| {
            let names = ["tick", "tock"].map(|name| Builder::new().name(name.to_owned()));
            let [first, second] = names;
            let both = [Some(first.spawn(join(1)).unwrap()), Some(second.spawn(join(0)).unwrap())];
            *handles.borrow_mut() = both;
            let payload = catch_unwind(AssertUnwindSafe(park_for_ever)).unwrap_err();
            let report = payload.downcast::<Deadlock>().unwrap().to_string();
            for name in ["'tick' (#", "'tock' (#", "join (#"] {
                assert!(report.contains(name), "{name} is not in:\n{report}");
            }
        });
    });
}

fn park_for_ever() {
    loop {
        park();
    }
}

/// A joiner is killed; the joined goes on, and a third can still end it.
#[test]
fn a_chain_of_joiners_ends_from_either_side() {
    run(|| {
        let last = spawn(park);
        let unpark = last.thread().clone();
        let middle = spawn(move || last.join());
        let first = spawn(move || middle.join());
        yield_now();
        unpark.unpark();
        assert!(first.join().unwrap().unwrap().is_ok());

        let last = spawn(park);
        let ended = last.thread().clone();
        let middle = spawn(move || last.join());
        yield_now();
        assert!(middle.kill_timeout(LONG));
        assert!(middle.join().unwrap_err().is::<Killed>());
        ended.unpark();
        yield_now();
    });
}

/// The time of a limit is counted from its begin, not from the loop's last look at the clock.
#[test]
fn limits_after_a_long_computation_last_in_full() {
    run(|| {
        spawn(|| ()).join().unwrap();
        let limits: [fn(); 3] = [
            || assert!(timeout(3 * SHORT, park).is_err()),
            || park_timeout(3 * SHORT),
            || {
                let parked = spawn(park);
                let parked = parked.join_timeout(3 * SHORT).unwrap_err();
                parked.thread().unpark();
                parked.join().unwrap();
            },
        ];
        for limit in limits {
            std::thread::sleep(10 * SHORT);
            let start = Instant::now();
            limit();
            assert!(start.elapsed() >= 3 * SHORT);
        }
    });
}

/// One that panics as soon as its timer has fired, beside others whose timers fire with it.
#[test]
fn a_panic_at_a_timer_leaves_the_other_timers_alone() {
    run(|| {
        let start = Instant::now();
        let panics: Vec<_> = (0..3)
            .map(|_| {
                spawn(|| -> () {
                    sleep(SHORT);
                    panic!("when the time was up")
                })
            })
            .collect();
        let sleepers: Vec<_> = (1..4).map(|n| spawn(move || sleep(n * SHORT))).collect();
        let limited = spawn(|| timeout(2 * SHORT, park));
        sleep(4 * SHORT);
        assert!(start.elapsed() >= 4 * SHORT);
        assert!(panics.into_iter().all(|task| task.join().is_err()));
        assert!(sleepers.into_iter().all(|task| task.join().is_ok()));
        assert!(limited.join().unwrap().is_err());
    });
}

/// Depths of spawns that each wait for what they spawn.
#[test]
fn nested_joins_come_back_in_order() {
    fn nest(depth: u32, log: Log) {
        if depth > 0 {
            spawn({
                let log = log.clone();
                move || nest(depth - 1, log)
            })
            .join()
            .unwrap();
        }
        log.add(depth.to_string());
    }

    run(|| {
        let log = Log::new();
        nest(5, log.clone());
        assert_eq!(log.text(), "0 1 2 3 4 5");
    });
}
