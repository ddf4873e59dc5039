//! Killing coroutines, wherever they stand.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::is_interrupt;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::panicking;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::yield_now;

use crate::support::Log;
use crate::support::run;
use crate::support::was_killed;
use crate::timeouts::full_addr;
use crate::timeouts::pair;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn one_that_has_not_run_never_does() {
    run(|| {
        type Spawner = fn(Rc<Cell<bool>>) -> JoinHandle<()>;
        let spawners: [Spawner; 2] = [
            |ran| spawn(move || ran.set(true)),
            |ran| Builder::new().spawn(move || ran.set(true)).unwrap(),
        ];
        for spawner in spawners {
            let ran = Rc::new(Cell::new(false));
            let task = spawner(Rc::clone(&ran));
            assert!(task.kill());
            assert!(was_killed(task));
            assert!(!ran.get());
            assert_eq!(Rc::strong_count(&ran), 1, "its captures were dropped");
        }
    });
}

/// The captures of one that never ran are dropped on a coroutine's stack: they may wait, and
/// may panic.
#[test]
fn the_captures_of_one_that_never_ran_may_wait() {
    run(|| {
        let log = Log::new();
        let guard = crate::support::on_drop({
            let log = log.clone();
            move || {
                assert!(corovent::is_coroutine());
                log.add("before");
                yield_now();
                log.add("after");
                panic!("a capture's destructor");
            }
        });
        let task = spawn(move || drop(guard));
        task.kill();
        assert_eq!(log.text(), "", "kill runs no code of the user's");
        // The destructor's panic takes the place of the kill.
        assert!(task.join().is_err());
        assert_eq!(log.text(), "before after");
    });
}

/// Its kill was served when its turn came: what its captures' destructors do is not a wait
/// that could be killed once more.
#[test]
fn the_captures_of_one_that_never_ran_are_not_killed_again() {
    run(|| {
        let log = Log::new();
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let guard = crate::support::on_drop({
            let (own, log) = (Rc::clone(&own), log.clone());
            move || {
                assert!(!panicking());
                let other = spawn(park);
                assert!(own.borrow().as_ref().unwrap().kill());
                yield_now();
                other.kill();
                assert!(was_killed(other));
                log.add("flushed");
            }
        });
        let task = spawn(move || drop(guard));
        task.kill();
        *own.borrow_mut() = Some(task);
        yield_now();
        assert!(own.borrow().as_ref().unwrap().kill(), "it has not ended");
        let task = own.borrow_mut().take().unwrap();
        assert!(was_killed(task));
        assert_eq!(log.text(), "flushed");
    });
}

#[test]
fn joiners_of_one_that_never_ran_are_woken() {
    run(|| {
        let victim: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        // The joiner is spawned first, so it waits before the victim's turn comes.
        let joiner = spawn({
            let victim = Rc::clone(&victim);
            move || was_killed(victim.take().unwrap())
        });
        let task = spawn(|| unreachable!("it is killed before it runs"));
        task.kill();
        *victim.borrow_mut() = Some(task);
        assert!(joiner.join().unwrap());
    });
}

/// Each wait that can be killed: destructors run, and nothing stays registered.
#[test]
fn one_that_waits_unwinds_from_its_wait() {
    let waits: Vec<(&str, fn())> = vec![
        ("sleep", || sleep(LONG)),
        ("park", park),
        ("yield", || {
            loop {
                yield_now();
            }
        }),
        ("join", || drop(spawn(|| sleep(Duration::from_millis(5))).join())),
        ("join_timeout", || drop(spawn(|| sleep(Duration::from_millis(5))).join_timeout(LONG))),
        ("kill_timeout", || {
            let stubborn = spawn(|| corovent::shield(|| sleep(Duration::from_millis(5))));
            yield_now();
            stubborn.kill_timeout(LONG);
        }),
        ("blocking job", || blocking(|| std::thread::sleep(Duration::from_millis(2)))),
        ("scope", || corovent::scope(|scope| drop(scope.spawn(|| sleep(LONG))))),
        ("timeout", || assert!(corovent::timeout(LONG, || sleep(LONG)).is_ok())),
        ("nested wait in a catch of ours", || drop(corovent::catch_unwind(|| sleep(LONG)))),
    ];
    for (name, wait) in waits {
        run(|| {
            let log = Log::new();
            let task = spawn({
                let log = log.clone();
                move || {
                    let _guard = log.on_drop("destructor");
                    wait();
                    log.add("went on");
                }
            });
            yield_now();
            yield_now();
            assert!(task.kill(), "{name}");
            assert!(was_killed(task), "{name}");
            assert_eq!(log.text(), "destructor", "{name}");
            // Whatever the task left to end by itself does so.
            while corovent::debug::counters().coroutines > 0 {
                sleep(Duration::from_millis(1));
            }
        });
    }
}

/// The same for sockets.
#[test]
fn one_that_waits_for_a_socket_unwinds_from_its_wait() {
    let waits: Vec<(&str, fn())> = vec![
        ("read", || {
            let (mut client, _server) = pair();
            drop(client.read(&mut [0; 8]));
        }),
        ("peek", || {
            let (client, _server) = pair();
            drop(client.peek(&mut [0; 8]));
        }),
        ("wait_readable", || {
            let (client, _server) = pair();
            drop(client.wait_readable());
        }),
        ("write", || {
            let (mut client, _server) = pair();
            drop(client.write_all(&vec![0; 64 << 20]));
        }),
        ("accept", || drop(TcpListener::bind("127.0.0.1:0").unwrap().accept())),
        ("connect", || drop(TcpStream::connect(full_addr()))),
        ("connect_timeout", || drop(TcpStream::connect_timeout(&full_addr(), LONG))),
    ];
    for (name, wait) in waits {
        run(|| {
            let log = Log::new();
            let task = spawn({
                let log = log.clone();
                move || {
                    let _guard = log.on_drop("destructor");
                    wait();
                    log.add("went on");
                }
            });
            while corovent::debug::counters().waiting == 0 {
                yield_now();
            }
            assert!(task.kill_timeout(LONG), "{name}");
            assert!(was_killed(task), "{name}");
            assert_eq!(log.text(), "destructor", "{name}");
        });
    }
}

#[test]
fn one_that_is_ready_gets_what_it_waited_for_and_is_killed_at_its_next_wait() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                park();
                log.add("woken");
                park();
                log.add("unreachable");
            }
        });
        yield_now();
        task.thread().unpark();
        assert!(task.kill());
        assert!(was_killed(task));
        assert_eq!(log.text(), "woken");
    });
}

#[test]
fn one_that_ends_without_another_wait_is_not_harmed() {
    run(|| {
        let task = spawn(|| {
            park();
            "done"
        });
        yield_now();
        task.thread().unpark();
        assert!(task.kill());
        assert_eq!(task.join().unwrap(), "done");
    });
}

#[test]
fn killing_twice_or_late_is_harmless() {
    run(|| {
        let task = spawn(park);
        yield_now();
        assert!(task.kill());
        assert!(task.kill());
        yield_now();
        assert!(task.is_finished());
        assert!(!task.kill(), "it has ended");
        assert!(task.kill_timeout(LONG), "it has ended");
        assert!(was_killed(task));
    });
}

#[test]
fn one_that_kills_itself_ends_at_its_next_wait() {
    run(|| {
        let log = Log::new();
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let task = spawn({
            let (own, log) = (Rc::clone(&own), log.clone());
            move || {
                assert!(own.borrow().as_ref().unwrap().kill());
                log.add("still here");
                yield_now();
                log.add("unreachable");
            }
        });
        *own.borrow_mut() = Some(task);
        yield_now();
        yield_now();
        assert!(was_killed(own.take().unwrap()));
        assert_eq!(log.text(), "still here");
    });
}

#[test]
fn a_kill_runs_no_code_of_the_users() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _guard = log.on_drop("destructor");
                park();
            }
        });
        yield_now();
        task.kill();
        assert_eq!(log.text(), "");
        yield_now();
        assert_eq!(log.text(), "destructor");
    });
}

/// The one corosensei's own unwinding does not survive: a destructor that waits.
#[test]
fn a_destructor_may_wait_while_its_coroutine_is_killed() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _guard = crate::support::on_drop({
                    let log = log.clone();
                    move || {
                        assert!(panicking());
                        yield_now();
                        sleep(Duration::from_millis(1));
                        spawn(yield_now).join().unwrap();
                        log.add("flushed");
                    }
                });
                park();
            }
        });
        yield_now();
        task.kill();
        yield_now();
        // Kills are masked while it unwinds.
        assert!(task.kill());
        assert!(was_killed(task));
        assert_eq!(log.text(), "flushed");
    });
}

#[test]
fn a_call_that_would_wait_for_io_fails_while_the_coroutine_unwinds() {
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let log = Log::new();
        let task = spawn({
            let (listener, log) = (Rc::clone(&listener), log.clone());
            move || {
                let _guard = crate::support::on_drop(move || {
                    let error = listener.accept().unwrap_err();
                    log.add(format!("{:?}: {error}", error.kind()));
                });
                park();
            }
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "Other: the coroutine is unwinding");
    });
}

#[test]
fn a_swallowed_kill_is_thrown_again() {
    run(|| {
        let swallowed = Rc::new(Cell::new(0));
        let task = spawn({
            let swallowed = Rc::clone(&swallowed);
            move || {
                for _ in 0..3 {
                    let payload = catch_unwind(AssertUnwindSafe(park)).unwrap_err();
                    assert!(is_interrupt(&*payload) && payload.is::<Killed>());
                    swallowed.set(swallowed.get() + 1);
                }
                park();
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert_eq!(swallowed.get(), 3);
        assert!(was_killed(task));
    });
}

#[test]
fn one_that_swallows_every_kill_is_left_alone_and_the_killer_is_told() {
    run(|| {
        let swallowed = Rc::new(Cell::new(0));
        let task = spawn({
            let swallowed = Rc::clone(&swallowed);
            move || {
                while catch_unwind(AssertUnwindSafe(park)).is_err() {
                    swallowed.set(swallowed.get() + 1);
                }
                "outlived it"
            }
        });
        yield_now();
        assert!(!task.kill_timeout(LONG), "told at once, not after an hour");
        assert_eq!(swallowed.get(), 8);
        // It can be asked anew.
        assert!(!task.kill_timeout(LONG));
        assert_eq!(swallowed.get(), 16);
        task.thread().unpark();
        assert_eq!(task.join().unwrap(), "outlived it");
    });
}

#[test]
fn kill_timeout_gives_up_at_its_deadline() {
    run(|| {
        let task = spawn(|| corovent::shield(park));
        yield_now();
        let start = Instant::now();
        assert!(!task.kill_timeout(Duration::from_millis(5)));
        assert!(start.elapsed() >= Duration::from_millis(5));
        task.thread().unpark();
        // The kill has waited for the shield; there is no further wait.
        task.join().unwrap();
    });
}

#[test]
fn the_joined_goes_on_when_the_joiner_is_killed() {
    run(|| {
        let ended = Rc::new(Cell::new(false));
        let joined = spawn({
            let ended = Rc::clone(&ended);
            move || {
                park();
                ended.set(true);
            }
        });
        let thread = joined.thread().clone();
        let joiner = spawn(move || joined.join());
        yield_now();
        joiner.kill();
        assert!(was_killed(joiner));
        thread.unpark();
        yield_now();
        assert!(ended.get());
    });
}

/// gevent's `killall` with members that were never started, that wait and that have ended.
#[test]
fn a_mixed_crowd_can_be_killed() {
    run(|| {
        let log = Log::new();
        let ended = spawn(|| ());
        let waiting = spawn({
            let log = log.clone();
            move || {
                let _guard = log.on_drop("waiting");
                park();
            }
        });
        yield_now();
        let new = spawn({
            let guard = log.on_drop("new");
            move || drop(guard)
        });
        let crowd = [ended, waiting, new];
        let told: Vec<bool> = crowd.iter().map(JoinHandle::kill).collect();
        assert_eq!(told, [false, true, true]);
        let results: Vec<bool> = crowd.into_iter().map(was_killed).collect();
        assert_eq!(results, [false, true, true]);
        // The new one was in the queue before.
        assert_eq!(log.text(), "new waiting");
    });
}

/// Locals are dropped in the reverse order of their making, as in any unwinding.
#[test]
fn locals_are_dropped_in_reverse_order() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _first = log.on_drop("first");
                let _second = log.on_drop("second");
                let inner = || {
                    let _third = log.on_drop("third");
                    park();
                };
                inner();
            }
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert_eq!(log.text(), "third second first");
    });
}
